"""What answers one request, told rather than raised."""

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, RetryConfig
from apikit_sql.engine.limit_headers import Quota
from apikit_sql.engine.probe import Probe, probe
from apikit_sql.errors import AuthError, DecodeError, OriginError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import NOW, Hand, numbered, plan_of
from tests.fakes.api import Answer, FakeApi, Table


def probed(answer: Answer | Table | list[Answer], plan: RequestPlan | None = None) -> tuple[Probe, Hand]:
    plan, hand = plan or plan_of(), Hand(FakeApi({"/items": answer}))
    return hand.value(probe(plan, hand.access(plan))), hand


def test_a_page_is_told_with_its_status_and_what_was_asked() -> None:
    found, hand = probed(Table(numbered(25), paging="link"), plan_of(params=[("limit", "7")]))

    assert (found.status, found.error) == (200, None)
    assert found.url == "https://api.test/items?limit=7"
    assert found.request.params == (("limit", "7"),)
    assert found.page is not None
    assert len(found.page.envelope.records) == 7
    assert len(hand.sent) == 1


def test_the_time_of_the_answer_is_told_and_recorded() -> None:
    hand = Hand(FakeApi())

    def slow(_: httpx.Request) -> httpx.Response:
        hand.clock.now += 0.25
        return httpx.Response(200, json=[])

    hand.handler = slow
    plan = plan_of()
    found = hand.value(probe(plan, hand.access(plan)))

    assert found.elapsed == 0.25
    assert [record.elapsed for record in hand.records] == [0.25]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthError), (403, RequestError), (404, RequestError), (429, RateLimitError), (500, RequestError)],
)
def test_an_answer_that_is_an_error_is_told_at_once_and_not_tried_again(status: int, kind: type[RequestError]) -> None:
    answer = httpx.Response(status, json={"message": "no way"}, headers={"retry-after": "3"} if status == 429 else {})
    found, hand = probed(answer)

    assert (found.status, type(found.error), found.page) == (status, kind, None)
    assert str(found.error).startswith(f"api: GET /items answered {status} (no way)")
    assert len(hand.sent) == 1
    assert hand.slept == []


def test_a_body_that_is_none_is_told_with_its_status() -> None:
    found, _ = probed(httpx.Response(200, html="<!doctype html>"))

    assert (found.status, found.page) == (200, None)
    assert isinstance(found.error, DecodeError)
    assert "answered 200 (text/html" in str(found.error)


def test_where_no_answer_comes_there_is_no_status() -> None:
    def lost(_: httpx.Request) -> httpx.Response:
        message = "no route to host"
        raise httpx.ConnectError(message)

    found, hand = probed(lost, plan_of(retry=RetryConfig(max_attempts=2, min_wait=0, jitter=0)))

    assert (found.status, found.elapsed) == (None, 0)
    assert str(found.error) == "api: GET /items: no answer after 2 attempts: no route to host"
    assert len(hand.sent) == 2


def test_where_the_limit_lets_nothing_be_sent_no_time_is_told() -> None:
    plan, hand = plan_of(max_wait=5), Hand(FakeApi())
    access = hand.access(plan)
    access.limiter.ingest(httpx.Response(429, headers={"retry-after": "60"}))

    found = hand.value(probe(plan, access))

    assert found.elapsed is None
    assert isinstance(found.error, RateLimitError)
    assert hand.sent == []


def test_of_several_limits_the_one_with_the_least_left_is_told() -> None:
    headers = {
        "x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": "30",
        "ratelimit-limit": "9", "ratelimit-remaining": "2", "ratelimit-reset": "10",
    }  # fmt: skip
    found, _ = probed(httpx.Response(403, json={}, headers=headers))

    assert found.quota == Quota(2, NOW + 10, 9)


def test_what_tells_of_no_limit_has_none() -> None:
    assert probed(Table(numbered(3)))[0].quota is None


def test_a_refused_host_raises() -> None:
    with pytest.raises(OriginError, match=r"away from https://api\.test"):
        probed(httpx.Response(302, headers={"location": "https://evil.test/"}))


def test_the_credential_is_masked() -> None:
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": "canary-9", "api_key_query_param": "k"})
    found, hand = probed(httpx.Response(400, json={"message": "canary-9 is bad"}), plan_of(auth=auth))

    assert "canary-9" in str(hand.sent[0].url)
    assert "canary-9" not in f"{found.url} {found.error}"
    assert found.hide("canary-9") == "***REDACTED***"
