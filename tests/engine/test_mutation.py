"""One mutation: sent at most once, or again with one key, and an outcome that is true wherever its steps end."""

import asyncio
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.dry_run import shown_request
from apikit_sql.engine.mutation import Outcome, Sending, allowance, mutate, not_sent, send_all
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Send, Sleep
from apikit_sql.errors import ConfigError, DecodeError, OriginError, RequestError, ScanInterrupted
from apikit_sql.plan.mutation import Mutation
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.taking import AT_ONCE, Hand, plan_of
from tests.fakes.api import BASE_URL, FakeApi

NO_STATUS = RetryConfig(min_wait=0, jitter=0, retry_on_status=())
UNSENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("no answer"), httpx.ProxyError("denied")]
LOST = [
    httpx.ReadTimeout("too late"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("cut off"),
]
OAUTH = AuthConfig.model_validate(
    {"type": "oauth2", "token_url": f"{BASE_URL}/token", "client_id": "me", "client_secret": "s3cr3t-s3cr3t"}
)


def once(**others: Any) -> Mutation:
    """A POST without a key."""
    return Mutation(plan_of(**{"method": "POST", "body": b"{}", "retry": NO_STATUS, **others}))


def keyed(**others: Any) -> Mutation:
    """A POST that its API knows by a key."""
    return Mutation(plan_of(method="POST", body=b"{}", headers=(("X-Once", "k"),), **others), "k")


def outcome_of(mutation: Mutation, api: FakeApi) -> Outcome:
    hand, sending = Hand(api), Sending(mutation)
    found = hand.value(mutate(sending, hand.access(mutation.request)))
    assert found == sending.outcome
    return found


def test_an_answer_is_told_as_it_is() -> None:
    api = FakeApi({"/items": httpx.Response(201, json={"id": 7})})

    assert outcome_of(once(), api) == Outcome(201, b'{"id":7}')
    assert [(r.method, r.content, r.headers["content-type"]) for r in api.seen] == [("POST", b"{}", "application/json")]


def test_a_body_says_what_it_is() -> None:
    api = FakeApi({"/items": httpx.Response(200, json={})})

    outcome_of(once(body=b"a=1", body_type="application/x-www-form-urlencoded"), api)

    assert api.seen[0].headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(200), httpx.Response(202, content=b"")])
def test_an_answer_without_a_body_has_none(answer: httpx.Response) -> None:
    assert outcome_of(once(), FakeApi({"/items": answer})) == Outcome(answer.status_code)


def test_a_body_that_is_not_json_is_told_and_the_status_is_known() -> None:
    api = FakeApi({"/items": httpx.Response(200, html="<p>ok</p>")})

    found = outcome_of(once(), api)

    assert (found.status, found.body, found.kind) == (200, None, "RequestError")
    assert (found.error or "").startswith("api: POST /items answered 200 (text/html; charset=utf-8): the body is not")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
def test_an_error_is_the_rows_and_is_not_sent_again(status: int) -> None:
    api = FakeApi({"/items": httpx.Response(status, json={"message": "no way"}, headers={"retry-after": "1"})})

    found = outcome_of(once(), api)

    assert (found.status, found.body) == (status, b'{"message":"no way"}')
    assert (found.error or "").startswith(f"api: POST /items answered {status} (no way)")
    assert len(api.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("mutation", [once(), keyed()])
def test_a_redirect_is_told_and_not_followed(mutation: Mutation, status: int) -> None:
    api = FakeApi({"/items": httpx.Response(status, headers={"location": "/elsewhere"})})

    found = outcome_of(mutation, api)

    assert found == Outcome(
        status, None, f"api: POST /items answered {status}, a redirect, which is not followed.", "RequestError"
    )
    assert api.paths == ["/items"]


@pytest.mark.parametrize("trouble", UNSENT, ids=lambda each: type(each).__name__)
def test_without_a_connection_it_is_tried_again(trouble: Exception) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=1)})
    api.trouble.extend([trouble, trouble])

    assert outcome_of(once(), api) == Outcome(200, b"1")
    assert len(api.seen) == 3


@pytest.mark.parametrize("trouble", UNSENT, ids=lambda each: type(each).__name__)
def test_where_no_connection_comes_it_was_not_sent(trouble: Exception) -> None:
    api = FakeApi()
    api.trouble.extend([trouble] * 3)

    found = outcome_of(once(), api)

    assert found.error == f"not sent: api: POST /items: no answer after 3 attempts: {trouble}"
    assert (found.status, found.kind) == (None, "RequestError")


@pytest.mark.parametrize("trouble", LOST, ids=lambda each: type(each).__name__)
def test_a_lost_answer_is_an_unknown_outcome_and_nothing_is_sent_again(trouble: Exception) -> None:
    api = FakeApi({"/items": httpx.Response(200)})
    api.trouble.append(trouble)

    assert outcome_of(once(), api) == Outcome(
        error=f"outcome unknown: api: POST /items: {trouble}", kind="RequestError"
    )
    assert len(api.seen) == 1


@pytest.mark.parametrize("mutation", [once(), keyed()])
def test_a_body_that_cannot_be_unpacked_is_an_unknown_outcome(mutation: Mutation) -> None:
    sending, hand = Sending(mutation), Hand(FakeApi())
    steps = mutate(sending, hand.access(mutation.request))
    next(steps)
    steps.send(None)

    with pytest.raises(StopIteration):
        steps.throw(DecodeError("the body is no gzip"))

    assert (sending.outcome.error or "").startswith("outcome unknown: api: POST /items: ")
    assert "the body is no gzip" in (sending.outcome.error or "")


@pytest.mark.parametrize("error", [OriginError("out of reach"), ConfigError("a proxy that is none")])
def test_what_may_not_go_where_it_wants_to_was_not_sent(error: Exception) -> None:
    mutation = once()
    sending = Sending(mutation)
    steps = mutate(sending, Hand(FakeApi()).access(mutation.request))
    next(steps)
    steps.send(None)

    with pytest.raises(StopIteration):
        steps.throw(error)

    assert sending.outcome.error == f"not sent: api: POST /items: {error}"
    assert sending.outcome.kind == type(error).__name__


def test_an_address_that_is_none_was_not_sent() -> None:
    api = FakeApi()

    found = outcome_of(once(base_url="https://api.test:port"), api)

    assert found.error == "not sent: api: https://api.test:port is not a URL that can be asked."
    assert api.seen == []


class TestKeys:
    @pytest.mark.parametrize("trouble", [*UNSENT, *LOST, httpx.Response(503), httpx.Response(429)])
    def test_what_may_pass_is_tried_again_with_the_same_key(self, trouble: Any) -> None:
        api = FakeApi({"/items": httpx.Response(200, json=1)})
        api.trouble.append(trouble)

        assert outcome_of(keyed(), api) == Outcome(200, b"1")
        assert [request.headers["x-once"] for request in api.seen] == ["k", "k"]

    def test_a_lost_answer_stays_unknown_where_no_connection_comes_after_it(self) -> None:
        api = FakeApi()
        api.trouble.extend([httpx.ReadTimeout("too late"), *UNSENT[:2]])

        assert outcome_of(keyed(), api).error == "outcome unknown: api: POST /items: too late"

    def test_a_refusal_after_a_lost_answer_is_unknown_too(self) -> None:
        api = FakeApi()
        api.trouble.extend([httpx.ReadTimeout("too late"), httpx.Response(409), httpx.Response(200)])

        found = outcome_of(keyed(), api)

        assert found.status == 409
        assert (found.error or "").startswith("outcome unknown: an attempt before had no answer; then api: POST /items")

    def test_the_last_answer_stays_known_where_no_connection_comes_after_it(self) -> None:
        api = FakeApi()
        api.trouble.extend([httpx.Response(503), *UNSENT[:2]])

        assert outcome_of(keyed(), api).status == 503

    def test_who_is_to_wait_too_long_after_an_answer_has_that_answer(self) -> None:
        api = FakeApi({"/items": httpx.Response(429, headers={"retry-after": "3600"})})

        found = outcome_of(keyed(), api)

        assert found.status == 429
        assert (found.error or "").startswith("api: POST /items answered 429")


class TestTokens:
    def answers(self, *statuses: int) -> FakeApi:
        tokens = [httpx.Response(200, json={"access_token": f"tok-{n}", "token_type": "bearer"}) for n in range(9)]
        return FakeApi({"/token": [*tokens], "/items": [httpx.Response(status, json={}) for status in statuses]})

    def sent(self, api: FakeApi) -> list[str]:
        return [request.headers["authorization"] for request in api.seen if request.url.path == "/items"]

    def test_a_refused_token_is_renewed_for_the_next_row_and_this_one_is_not_sent_again(self) -> None:
        api, mutation = self.answers(401, 200), once(auth=OAUTH)
        hand = Hand(api)
        access = hand.access(mutation.request)

        found = [hand.value(mutate(Sending(mutation), access)) for _ in range(2)]

        assert [each.status for each in found] == [401, 200]
        assert self.sent(api) == ["Bearer tok-0", "Bearer tok-1"]

    def test_with_a_key_it_is_sent_again(self) -> None:
        api = self.answers(401, 200)

        assert outcome_of(keyed(auth=OAUTH), api).status == 200
        assert len(self.sent(api)) == 2

    def test_without_a_token_it_was_not_sent(self) -> None:
        api = FakeApi({"/token": httpx.Response(400, json={"error": "invalid_client"})})

        found = outcome_of(once(auth=OAUTH), api)

        assert (found.error or "").startswith("not sent: api: POST https://api.test/token answered 400: invalid_client")
        assert found.kind == "AuthError"
        assert self.sent(api) == []


def test_an_error_does_not_tell_the_credential() -> None:
    secret = "t0k3n-t0k3n-t0k3n"
    auth = AuthConfig.model_validate({"type": "bearer", "token": secret})
    echo = httpx.Response(422, json={"message": f"Bearer {secret} is bad"})

    for trouble in (echo, httpx.ReadError(f"sent {secret}"), httpx.ConnectError(f"sent {secret}")):
        api = FakeApi()
        api.trouble.extend([trouble] * 3)
        assert secret not in str(outcome_of(once(auth=auth), api).error)


class TestInterruptions:
    def test_before_it_has_left_it_was_not_sent(self) -> None:
        api, mutation, cancelled = FakeApi(), once(), Event()
        sending = Sending(mutation)
        cancelled.set()

        send_all([sending] * 3, Hand(api).access(mutation.request), api.transport(), cancelled, concurrency=2)

        assert sending.outcome == not_sent(ScanInterrupted())
        assert sending.outcome.error == "not sent: the statement was interrupted."
        assert api.seen == []

    def test_what_has_left_is_finished_and_the_others_stay(self) -> None:
        mutation, cancelled = once(), Event()

        def interrupt(_: httpx.Request) -> httpx.Response:
            cancelled.set()
            return httpx.Response(201, json=1)

        rows = [Sending(mutation) for _ in range(5)]
        access = Hand(FakeApi()).access(mutation.request)
        send_all(rows, access, httpx.MockTransport(interrupt), cancelled, concurrency=1)

        assert [row.outcome.status for row in rows] == [201, None, None, None, None]

    def test_between_two_attempts_the_last_answer_is_the_outcome(self) -> None:
        mutation, cancelled = keyed(), Event()

        def interrupt(_: httpx.Request) -> httpx.Response:
            cancelled.set()
            return httpx.Response(503)

        row = Sending(mutation)
        access = Hand(FakeApi()).access(mutation.request)
        send_all([row], access, httpx.MockTransport(interrupt), cancelled, concurrency=1)

        assert row.outcome.status == 503

    def test_steps_that_are_closed_on_the_way_leave_an_unknown_outcome(self) -> None:
        mutation = once()
        sending = Sending(mutation)
        steps = mutate(sending, Hand(FakeApi()).access(mutation.request))
        assert next(steps) == Sleep(0)
        assert isinstance(steps.send(None), Send)

        steps.close()

        assert (sending.outcome.error or "").startswith("outcome unknown: ")

    def test_what_nobody_foresaw_is_the_rows_own(self) -> None:
        def broken(_: httpx.Request) -> httpx.Response:
            message = "nobody foresaw it"
            raise RuntimeError(message)

        mutation = once()
        rows = [Sending(mutation) for _ in range(2)]
        send_all(rows, Hand(FakeApi()).access(mutation.request), httpx.MockTransport(broken), Event(), concurrency=1)

        assert all((row.outcome.error or "").startswith("outcome unknown: ") for row in rows)
        assert not_sent(ValueError()).error == "not sent: ValueError"

    def test_who_stops_reading_keeps_the_others_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pressed(*_: object) -> None:
            raise KeyboardInterrupt

        mutation, cancelled, api = once(), Event(), FakeApi()
        monkeypatch.setattr("apikit_sql.engine.workers.Threads.wait", pressed)

        access = Hand(api).access(mutation.request)
        with pytest.raises(KeyboardInterrupt):
            send_all([Sending(mutation)] * 9, access, api.transport(), cancelled, concurrency=1)

        assert cancelled.is_set()


@pytest.mark.parametrize("taken", ["on a thread", "on a loop"])
def test_both_drivers_bring_the_same_outcome(taken: str) -> None:
    api, mutation = FakeApi({"/items": httpx.Response(201, json=1)}), once()
    api.trouble.append(UNSENT[0])
    steps = mutate(Sending(mutation), Hand(api).access(mutation.request))

    if taken == "on a thread":
        found = drive(steps, api.transport(), Event())
    else:
        found = asyncio.run(adrive(steps, api.transport()))

    assert found == Outcome(201, b"1")


class TestSession:
    def session(self, handler: Callable[[httpx.Request], httpx.Response]) -> Session:
        return Session(connectors=ConnectorRegistry([]), transport=httpx.MockTransport(handler), http="")

    def test_outcomes_come_in_the_order_of_the_rows_and_all_is_logged(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            number = int(request.url.path.rpartition("/")[2])
            return httpx.Response(404 if number % 3 == 0 else 200, json=number)

        session = self.session(answer)
        asked = [once(path=f"/items/{number}") for number in range(20)]
        send = session.mutations(ScanPlan(asked[0].request, concurrency=4), asked, Event())
        assert (list(session.requests), list(session.scans)) == ([], [])

        found = send()

        assert [each.status for each in found] == [404 if number % 3 == 0 else 200 for number in range(20)]
        assert len(session.requests) == 20
        assert [(each.path, each.status, each.error, each.is_skipped) for each in session.failures] == [
            (f"/items/{number}", 404, "RequestError", True) for number in range(0, 20, 3)
        ]
        assert [scan.state for scan in session.scans] == ["done"]

    def test_closing_finishes_what_is_under_way(self) -> None:
        begun, may_end = Event(), Event()

        def slow(_: httpx.Request) -> httpx.Response:
            begun.set()
            may_end.wait(10)
            return httpx.Response(200, json=1)

        found: list[Outcome] = []
        session, asked = self.session(slow), [once() for _ in range(3)]
        send = session.mutations(ScanPlan(asked[0].request, concurrency=1), asked, cancelled := Event())
        sending = Thread(target=lambda: found.extend(send()))
        sending.start()
        begun.wait(10)
        closing = Thread(target=session.close)
        closing.start()
        assert cancelled.wait(10)
        may_end.set()
        closing.join(10)
        sending.join(10)

        assert [each.status for each in found] == [200, None, None]

    @pytest.mark.parametrize("mode", ["off", "replay:nowhere"])
    def test_where_nothing_is_sent_the_rows_say_so(self, mode: str) -> None:
        session = Session(connectors=ConnectorRegistry([]), transport=FakeApi().transport(), http=mode)

        (found,) = session.mutations(ScanPlan(once().request), [once()], Event())()

        assert (found.error or "").startswith(f"not sent: api: POST /items: APIKIT_HTTP={mode.partition(':')[0]}: ")

    def test_a_mutation_is_not_recorded(self, tmp_path: Any) -> None:
        api = FakeApi({"/items": httpx.Response(200, json=1)})
        session = Session(connectors=ConnectorRegistry([]), transport=api.transport(), http=f"record:{tmp_path}")

        (found,) = session.mutations(ScanPlan(once().request), [once()], Event())()

        assert found.status == 200
        assert list(tmp_path.rglob("*.json")) == []

    def test_a_scan_that_may_send_no_more_says_so(self) -> None:
        session = self.session(lambda _: httpx.Response(200))
        asked = [once() for _ in range(3)]

        found = session.mutations(ScanPlan(asked[0].request, max_requests=2), asked, Event())()

        kept_back = "not sent: max_requests = 2 are sent; install(con, max_requests=...) allows more."
        assert sorted(each.error or "" for each in found) == ["", "", kept_back]

    def test_scans_with_one_allowance_send_no_more_than_one_may(self) -> None:
        session, shared = self.session(lambda _: httpx.Response(200)), allowance(4)
        asked = [once() for _ in range(3)]

        found = [session.mutations(ScanPlan(asked[0].request), asked, Event(), shared)() for _ in range(2)]

        assert [sum(each.status == 200 for each in some) for some in found] == [3, 1]
        assert [scan.requests for scan in session.scans] == [3, 1]

    def test_who_may_send_no_more_waits_for_no_limit(self) -> None:
        session = self.session(lambda _: httpx.Response(200))
        request = plan_of(method="POST", rate_limit=RateLimitConfig(requests_per_second=0.001), max_wait=3_600)
        asked = [Mutation(request) for _ in range(3)]

        found = session.mutations(ScanPlan(request, max_requests=1), asked, Event())()

        assert [each.kind for each in found] == ["", "RequestsSpentError", "RequestsSpentError"]

    def test_a_row_that_is_tried_again_keeps_its_answer_where_no_request_is_left(self) -> None:
        session = self.session(lambda _: httpx.Response(503))

        (found,) = session.mutations(ScanPlan(keyed().request, max_requests=1), [keyed()], Event())()

        assert (found.status, len(session.requests)) == (503, 1)

    def test_a_limit_that_is_known_keeps_rows_back(self) -> None:
        limits = {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "7200"}
        session = self.session(lambda _: httpx.Response(200, json=1, headers=limits))
        asked = [once() for _ in range(2)]

        found = session.mutations(ScanPlan(asked[0].request, concurrency=1), asked, Event())()

        assert found[0].status == 200
        assert (found[1].error or "").startswith("not sent: api: 0 of 1 left")
        assert len(session.requests) == 1


class TestDryRun:
    AUTHS = (
        ({"type": "none"}, None, "none"),
        ({"type": "bearer", "token": "env:T"}, ("authorization", "Bearer ***REDACTED***"), "env:T"),
        ({"type": "bearer", "token": "s3cr3t-s3cr3t"}, ("authorization", "Bearer ***REDACTED***"), "bearer"),
        ({"type": "apikey", "api_key": "env:T"}, ("x-api-key", "***REDACTED***"), "env:T"),
        ({"type": "basic", "username": "u", "password": "env:T"}, ("authorization", "Basic ***REDACTED***"), "env:T"),
        (OAUTH.model_dump(exclude_defaults=True), ("authorization", "Bearer ***REDACTED***"), "oauth2"),
    )

    @pytest.mark.parametrize(("auth", "header", "name"), AUTHS)
    def test_a_request_is_shown_as_it_would_go_out_with_its_secrets_masked(
        self, auth: dict[str, Any], header: tuple[str, str] | None, name: str
    ) -> None:
        plan = plan_of(auth=AuthConfig.model_validate(auth), method="POST", body=b'{"a": 1}', params=[("q", "x y")])

        shown = shown_request(plan)

        assert (shown.method, shown.url, shown.body) == ("POST", f"{BASE_URL}/items?q=x%20y", '{"a": 1}')
        assert shown.credential == name
        assert [pair for pair in shown.headers if pair[0] in {"authorization", "x-api-key"}] == (
            [header] if header else []
        )

    def test_a_short_value_of_a_given_header_is_masked_by_its_name(self) -> None:
        shown = shown_request(plan_of(headers=(("X-My-Key", "abc"), ("X-Version", "abc"))))

        assert {("x-my-key", "***REDACTED***"), ("x-version", "abc")} <= {*shown.headers}

    def test_it_is_the_request_that_is_sent(self) -> None:
        api, plan = FakeApi({"/items": httpx.Response(200, json=1)}), once(params=[("a", "ü")]).request

        shown = shown_request(plan)
        outcome_of(Mutation(plan), api)

        assert (shown.method, shown.url) == (api.seen[0].method, str(api.seen[0].url))
        assert dict(shown.headers) == dict(api.seen[0].headers.items())

    def test_a_key_in_the_query_is_masked(self) -> None:
        auth = AuthConfig.model_validate({"type": "apikey", "api_key": "env:T", "api_key_query_param": "code"})

        assert shown_request(plan_of(auth=auth)).url == f"{BASE_URL}/items?code=***REDACTED***"

    def test_a_read_has_no_body(self) -> None:
        assert shown_request(plan_of(retry=AT_ONCE)).body is None

    def test_an_address_that_is_none_is_an_error(self) -> None:
        with pytest.raises(RequestError, match="is not a URL that can be asked"):
            shown_request(plan_of(base_url="https://api.test:port"))
