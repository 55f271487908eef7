"""What is tried again, how often, and after how long. No test waits: the clock is moved by hand."""

import datetime as dt
import time
from collections.abc import Iterator
from email.utils import format_datetime

import httpx
import pytest

from apikit_sql.connector.protocol import RetryConfig
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.retry import retry_after
from apikit_sql.errors import RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import NOW, Clock, Hand, plan_of
from tests.fakes.api import FakeApi

STEADY = RetryConfig(min_wait=1, jitter=0)
GOOD = httpx.Response(200, json=[])


def api_with(*trouble: httpx.Response | Exception) -> FakeApi:
    api = FakeApi({"/items": GOOD})
    api.trouble.extend(trouble)
    return api


def ask(plan: RequestPlan, hand: Hand) -> httpx.Response:
    return hand.value(exchange(plan, hand.access(plan), first_request(plan)))


def http_date(seconds_from_now: float) -> str:
    return format_datetime(dt.datetime.fromtimestamp(NOW + seconds_from_now, dt.UTC), usegmt=True)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_may_pass_is_tried_again(status: int) -> None:
    hand = Hand(api_with(httpx.Response(status)))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200
    assert hand.slept == [1.0]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadTimeout(""),
        httpx.ReadError("reset"),
        httpx.WriteError(""),
        httpx.PoolTimeout(""),
        httpx.RemoteProtocolError("peer closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_network_error_is_tried_again(error: httpx.TransportError) -> None:
    hand = Hand(api_with(error))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200
    assert hand.slept == [1.0]


def test_a_plan_that_reads_by_post_is_tried_again_with_the_same_body() -> None:
    hand = Hand(api_with(httpx.Response(503), httpx.ReadError("reset")))

    ask(plan_of(retry=STEADY, method="POST", body=b'{"a": 1}'), hand)

    assert [(request.method, request.content) for request in hand.sent] == [("POST", b'{"a": 1}')] * 3


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_max_attempts_counts_the_first_one_too(attempts: int) -> None:
    hand = Hand(api_with(*[httpx.Response(500)] * 9))

    with pytest.raises(RequestError, match="answered 500"):
        ask(plan_of(retry=RetryConfig(min_wait=0, jitter=0, max_attempts=attempts)), hand)

    assert len(hand.sent) == attempts


def test_the_statuses_are_the_plans() -> None:
    hand = Hand(api_with(httpx.Response(418), httpx.Response(500)))

    with pytest.raises(RequestError, match="answered 500"):
        ask(plan_of(retry=RetryConfig(min_wait=0, jitter=0, retry_on_status=(418,))), hand)

    assert len(hand.sent) == 2


def test_waits_double_up_to_max_wait() -> None:
    hand = Hand(api_with(*[httpx.Response(500)] * 6))

    ask(plan_of(retry=RetryConfig(min_wait=0.5, max_wait=4, jitter=0, max_attempts=7)), hand)

    assert hand.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_jitter_comes_on_top() -> None:
    hand = Hand(api_with(*[httpx.Response(500)] * 20))

    ask(plan_of(retry=RetryConfig(min_wait=2, max_wait=2.5, jitter=0.5, max_attempts=21)), hand)

    assert all(2 <= slept <= 2.5 for slept in hand.slept)
    assert len(set(hand.slept)) > 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "slept"), [("7", 7.0), (http_date(20), 20.0), ("0", 1.0), (http_date(-20), 1.0)])
def test_retry_after_is_kept_as_seconds_and_as_a_date(status: int, asked: str, slept: float) -> None:
    hand = Hand(api_with(httpx.Response(status, headers={"retry-after": asked})))

    ask(plan_of(retry=STEADY), hand)

    assert sum(hand.slept) == pytest.approx(slept)


def test_a_retry_is_never_earlier_than_asked_even_where_max_wait_of_the_retries_is_shorter() -> None:
    hand = Hand(api_with(httpx.Response(500, headers={"retry-after": "30"})))

    ask(plan_of(retry=RetryConfig(min_wait=1, max_wait=2, jitter=0)), hand)

    assert sum(hand.slept) == 30.0


@pytest.mark.parametrize("asked", ["61", http_date(61)])
def test_a_wait_longer_than_max_wait_is_an_error_at_once_that_tells_it(asked: str) -> None:
    hand = Hand(api_with(httpx.Response(429, headers={"retry-after": asked})))

    with pytest.raises(RateLimitError, match=r"^api: GET /items is to wait 61 s, .* := 120.$") as raised:
        ask(plan_of(retry=STEADY), hand)

    assert raised.value.retry_after == pytest.approx(61)
    assert raised.value.status == 429
    assert hand.slept == []
    assert len(hand.sent) == 1


def test_a_wait_of_exactly_max_wait_is_waited() -> None:
    hand = Hand(api_with(httpx.Response(429, headers={"retry-after": "60"})))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200
    assert sum(hand.slept) == 60.0


def test_the_error_of_too_long_a_wait_has_the_status_that_was_answered() -> None:
    hand = Hand(api_with(httpx.Response(503, headers={"retry-after": "100"})))

    with pytest.raises(RequestError) as raised:
        ask(plan_of(retry=STEADY), hand)

    assert raised.value.status == 503


@pytest.mark.parametrize("trouble", [httpx.ConnectError("down"), httpx.Response(500)])
def test_max_wait_is_for_limits_and_not_for_errors_that_ask_for_no_wait(
    trouble: httpx.Response | httpx.TransportError,
) -> None:
    hand = Hand(api_with(*[trouble] * 9))

    with pytest.raises(RequestError) as raised:
        ask(plan_of(retry=STEADY, max_wait=0.5), hand)

    assert not isinstance(raised.value, RateLimitError)


def test_the_last_answer_asks_for_no_wait_any_more() -> None:
    hand = Hand(api_with(*[httpx.Response(429, headers={"retry-after": "5"})] * 9))

    with pytest.raises(RateLimitError, match="after 2 attempts") as raised:
        ask(plan_of(retry=RetryConfig(max_attempts=2, jitter=0)), hand)

    assert sum(hand.slept) == 5.0
    assert raised.value.retry_after in {None, 5.0}


@pytest.mark.parametrize("header", [{"retry-after": "60"}, {"retry-after": "60", "x-ratelimit-remaining": "0"}])
def test_a_403_that_says_when_to_come_back_is_a_limit(header: dict[str, str]) -> None:
    # GitHub, "Best practices for using the REST API": secondary limits answer 403 or 429 with retry-after
    answer = httpx.Response(403, json={"message": "You have exceeded a secondary rate limit"}, headers=header)
    hand = Hand(api_with(answer))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200
    assert sum(hand.slept) == 60.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 5 ", 5.0),
        ("Sun, 15 Jun 2025 15:06:50 GMT", 10.0),
        ("Sun, 15 Jun 2025 15:06:30 GMT", 0.0),
        ("Sunday, 15-Jun-25 15:06:50 GMT", 10.0),
        ("Sun Jun 15 15:06:50 2025", 10.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5.2", None),
        ("Sun, 99 Jun 2025 15:06:50 GMT", None),
        ("Sun, 15 Jun 99999 15:06:50 GMT", None),
        ("Sun, 15 Jun 2025 15:06:50 +999999999", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_writes_it(text: str, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"retry-after": text}), Clock()) == seconds


def test_retry_after_that_is_absent_asks_for_nothing() -> None:
    assert retry_after(httpx.Headers(), Clock()) is None


@pytest.fixture
def _far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_far_from_greenwich")
@pytest.mark.parametrize("text", ["Sun, 15 Jun 2025 15:06:50 GMT", "Sun Jun 15 15:06:50 2025"])
def test_retry_after_means_greenwich_wherever_the_caller_is(text: str) -> None:
    assert retry_after(httpx.Headers({"retry-after": text}), Clock()) == 10.0


def test_a_limit_that_others_get_through_does_not_use_up_the_attempts() -> None:
    hand, plan = Hand(FakeApi({"/items": GOOD})), plan_of(retry=STEADY)
    access = hand.access(plan)
    refused = iter(range(9))

    def answer(_: httpx.Request) -> httpx.Response:
        if next(refused, None) is None:
            return GOOD
        access.limiter.ingest(GOOD)  # another request of the same credential is answered meanwhile
        return httpx.Response(429, headers={"retry-after": "1"})

    hand.handler = answer

    assert hand.value(exchange(plan, access, first_request(plan))).status_code == 200
    assert len(hand.sent) == 10


def test_a_limit_that_nobody_gets_through_ends_after_the_attempts() -> None:
    hand = Hand(lambda _: httpx.Response(429, headers={"retry-after": "1"}))

    with pytest.raises(RateLimitError, match="after 3 attempts"):
        ask(plan_of(retry=STEADY), hand)


# --- what single APIs say


SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


def test_githubs_secondary_limit_that_tells_no_time_is_waited_for_a_minute() -> None:
    # https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
    told = {"x-ratelimit-remaining": "4321", "x-ratelimit-reset": str(int(NOW + 2000))}
    hand = Hand(api_with(httpx.Response(403, json=SECONDARY, headers=told)))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200
    assert sum(hand.slept) == 60.0


def test_githubs_secondary_limit_tells_its_own_time() -> None:
    hand = Hand(api_with(httpx.Response(403, json=SECONDARY, headers={"retry-after": "7"})))

    ask(plan_of(retry=STEADY), hand)

    assert sum(hand.slept) == 7.0


def test_githubs_primary_limit_is_waited_for_until_its_reset() -> None:
    told = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 20))}
    hand = Hand(api_with(httpx.Response(403, json={"message": "API rate limit exceeded"}, headers=told)))

    ask(plan_of(retry=STEADY), hand)

    assert sum(hand.slept) == 20.0


def test_a_secondary_limit_is_an_error_for_who_will_not_wait_a_minute() -> None:
    hand = Hand(api_with(httpx.Response(403, json=SECONDARY)))

    with pytest.raises(RateLimitError, match=r"Set max_wait := 60\.$") as raised:
        ask(plan_of(retry=STEADY, max_wait=59), hand)

    assert (raised.value.status, raised.value.retry_after) == (403, 60.0)
    assert hand.slept == []


@pytest.mark.parametrize("body", [{"message": "Resource not accessible"}, {"message": "rate limit"}, None])
def test_any_other_403_is_no_limit(body: object) -> None:
    hand = Hand(api_with(httpx.Response(403, json=body)))

    with pytest.raises(RequestError, match="answered 403") as raised:
        ask(plan_of(retry=STEADY), hand)

    assert not isinstance(raised.value, RateLimitError)
    assert len(hand.sent) == 1


@pytest.mark.parametrize(("status", "error"), [(500, RequestError), (429, RateLimitError)])
def test_what_stripe_says_not_to_try_again_is_not(status: int, error: type[RequestError]) -> None:
    # https://docs.stripe.com/error-low-level#stripe-should-retry
    hand = Hand(api_with(httpx.Response(status, headers={"stripe-should-retry": "false"})))

    with pytest.raises(error, match=f"answered {status}"):
        ask(plan_of(retry=STEADY), hand)

    assert (len(hand.sent), hand.slept) == (1, [])


@pytest.mark.parametrize("said", ["true", ""])
def test_what_stripe_says_to_try_again_is_tried(said: str) -> None:
    hand = Hand(api_with(httpx.Response(500, headers={"stripe-should-retry": said})))

    assert ask(plan_of(retry=STEADY), hand).status_code == 200


@pytest.mark.parametrize(("text", "seconds"), [("2.0", 2.0), ("0.25", 0.25), ("1e3", None), ("2.", None), (".5", None)])
def test_retry_after_may_be_a_decimal_as_shopify_writes_it(text: str, seconds: float | None) -> None:
    # https://shopify.dev/docs/api/usage/limits
    assert retry_after(httpx.Headers({"retry-after": text}), Clock()) == seconds
