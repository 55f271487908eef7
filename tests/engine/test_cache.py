"""The response cache: what is answered from it, for how long, what never is, and how equal reads share one answer."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.cache import ResponseCache
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Send, Sleep, Steps
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, DecodeError, RequestError, ScanInterrupted
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from tests.engine.taking import BOTH, Clock, Hand, Take, ids, numbered, plan_of, read, scan_of
from tests.fakes.api import BASE_URL, Answer, FakeApi, Paging, Table

SECRET = "s3cr3t-t0k3n"
BEARER = AuthConfig.model_validate({"type": "bearer", "token": SECRET})
OTHER = AuthConfig.model_validate({"type": "bearer", "token": "another"})
LINKED = PaginationConfig(strategy="link")
PLAN = plan_of(cache=300)
SUNDAY = "Sun, 15 Jun 2025 12:00:00 GMT"
WAIT = Sleep(0.05)


class Caching(Hand):
    """A hand whose reads share a cache."""

    def __init__(self, answer: Answer | Table | list[Answer], most: int = 2**20) -> None:
        self.api = FakeApi({"/items": answer})
        super().__init__(self.api)
        self.cache = ResponseCache(self.clock, most)
        self.scan = ScanRecord()

    def access(self, plan: RequestPlan) -> Access:
        self.scan = ScanRecord()
        return replace(super().access(plan), cache=self.cache, scan=self.scan)

    def body(self, plan: RequestPlan = PLAN, *, after: float = 0) -> bytes:
        """What a read brings, so many seconds after the last one."""
        self.clock.now += after
        return self.value(fetch_body(plan, self.access(plan)))

    def steps(self, plan: RequestPlan = PLAN) -> Steps[bytes]:
        return fetch_body(plan, self.access(plan))

    def asked(self, name: str) -> list[str | None]:
        """What each request had in the header `name`."""
        return [request.headers.get(name) for request in self.sent]


def counting(**headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """An API whose every answer is another number."""
    numbers = iter(range(1, 1_000))
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}, encoding="utf-8")
    return lambda _: httpx.Response(200, json=next(numbers), headers=named)


def answer_to(step: object, json: object = 1, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    assert isinstance(step, Send)
    return httpx.Response(status, json=json, headers=headers, request=step.request)


def result_of(steps: Steps[bytes], reply: object) -> bytes:
    with pytest.raises(StopIteration) as done:
        steps.send(reply)
    return bytes(done.value.value)


# --- for how long


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize(
    ("paging", "pagination"),
    [
        ("link", LINKED),
        ("cursor", PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")),
        ("page_total", PaginationConfig(strategy="page", page_param="page", total_path="total")),
        ("next_url", PaginationConfig()),
    ],
)
def test_a_trip_that_is_read_again_sends_nothing(take: Take, paging: Paging, pagination: PaginationConfig) -> None:
    hand = Caching(Table(numbered(25), paging))
    plan = plan_of(pagination=pagination, cache=300)

    first = take(trip(plan, hand.access(plan)), hand.api)
    sent = len(hand.api.seen)
    again = take(trip(plan, hand.access(plan)), hand.api)

    assert ids(first) == ids(again) == list(range(1, 26))
    assert (sent, len(hand.api.seen)) == (3, 3)
    assert [(page.number, page.url, page.status, page.size) for page in first] == [
        (page.number, page.url, page.status, page.size) for page in again
    ]
    assert (hand.scan.cached_pages, hand.scan.requests) == (3, 0)


def test_an_answer_is_good_for_as_many_seconds_as_its_reader_says() -> None:
    hand = Caching(counting())

    assert [hand.body(), hand.body(after=299.5), hand.body(after=0.5), hand.body(after=299.5)] == [
        b"1",
        b"1",
        b"2",
        b"2",
    ]


def test_each_reader_has_seconds_of_its_own() -> None:
    hand = Caching(counting())
    hand.body(plan_of(cache=10))

    assert hand.body(plan_of(cache=3600), after=100) == b"1"
    assert hand.body(plan_of(cache=99)) == b"2"


def test_whoever_does_not_want_it_neither_takes_nor_keeps() -> None:
    hand = Caching(counting())

    assert [hand.body(plan_of()), hand.body(PLAN), hand.body(plan_of()), hand.body(PLAN)] == [b"1", b"2", b"3", b"2"]


def test_a_clock_that_was_set_back_makes_nothing_fresh() -> None:
    hand = Caching(counting())
    hand.body()

    assert hand.body(after=-3600) == b"2"


def test_what_is_answered_spends_no_request_and_no_limit() -> None:
    hand = Caching(counting())
    hand.body()
    plan = plan_of(cache=300, rate_limit=RateLimitConfig(requests_per_second=0.01), max_wait=0)
    limiter = RateLimitState(plan.rate_limit, hand.clock)
    limiter.reserve()
    scan = ScanRecord(ScanPlan(plan, max_requests=1))
    scan.spend()
    access = replace(hand.access(plan), limiter=limiter, scan=scan)

    assert hand.value(fetch_body(plan, access)) == b"1"
    assert (scan.requests, scan.cached_pages, len(hand.records), hand.slept) == (1, 1, 1, [])


def test_the_age_told_is_that_of_the_oldest() -> None:
    hand = Caching(Table(numbered(20), "link"))
    plan = plan_of(pagination=LINKED, cache=300)
    hand.pages(trip(replace(plan, pages=1), hand.access(plan)))
    assert (hand.scan.cached_pages, hand.scan.cache_age) == (0, None)
    hand.clock.now += 40
    hand.pages(trip(plan, hand.access(plan)))
    assert (hand.scan.cached_pages, hand.scan.cache_age, hand.scan.requests) == (1, 40, 1)
    hand.clock.now += 2

    hand.pages(trip(plan, hand.access(plan)))

    assert (hand.scan.cached_pages, hand.scan.cache_age, hand.scan.requests) == (2, 42, 0)


# --- what is identical


@pytest.mark.parametrize(
    "others",
    [
        {"params": [("a", "1")]},
        {"headers": (("X-Version", "2"),)},
        {"method": "POST"},
        {"method": "POST", "body": b"{}"},
        {"connector": "another"},
        {"base_url": f"{BASE_URL}:444"},
        {"auth": BEARER},
        {"allowed_origins": ("https://elsewhere.test",)},
        {"verify_ssl": False},
    ],
    ids="-".join,
)
def test_what_differs_is_asked_for(others: dict[str, Any]) -> None:
    hand = Caching(counting())
    hand.body()
    plan = plan_of(cache=300, **others)

    assert [hand.body(plan), hand.body(plan), hand.body()] == [b"2", b"2", b"1"]


@pytest.mark.parametrize(
    "others",
    [
        {"timeout": 1},
        {"max_wait": 1},
        {"pages": 1},
        {"record_path": "a"},
        {"pagination": LINKED},
        {"retry": RetryConfig(max_attempts=1)},
    ],
    ids="-".join,
)
def test_what_the_api_does_not_see_makes_no_difference(others: dict[str, Any]) -> None:
    hand = Caching(counting())
    hand.body()

    assert hand.body(plan_of(cache=300, **others)) == b"1"


def test_two_credentials_never_share_an_answer() -> None:
    def whose(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.headers.get("authorization", "nobody"))

    hand = Caching(whose)
    plans = [plan_of(cache=300, auth=auth) for auth in (BEARER, OTHER, None)]
    expected = [b'"Bearer s3cr3t-t0k3n"', b'"Bearer another"', b'"nobody"']

    assert [hand.body(plan) for plan in plans] == expected
    assert [hand.body(plan) for plan in reversed(plans)] == expected[::-1]
    assert len(hand.sent) == 3


def test_the_same_reference_with_another_secret_is_another_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Caching(counting())
    plan = plan_of(cache=300, auth=AuthConfig.model_validate({"type": "bearer", "token": "env:SOME_TOKEN"}))
    monkeypatch.setenv("SOME_TOKEN", "one")
    assert hand.body(plan) == b"1"

    monkeypatch.setenv("SOME_TOKEN", "two")

    assert hand.body(plan) == b"2"


def test_the_same_secret_sent_in_another_way_is_another_read() -> None:
    hand = Caching(counting())
    ways = [BEARER, AuthConfig.model_validate({"type": "apikey", "api_key": SECRET})]

    assert [hand.body(plan_of(cache=300, auth=auth)) for auth in ways] == [b"1", b"2"]


def test_a_read_by_post_is_answered_by_its_body() -> None:
    hand = Caching(lambda request: httpx.Response(200, content=request.content))
    plans = [plan_of(cache=300, method="POST", body=body) for body in (b"[1]", b"[2]")]

    assert [hand.body(plan) for plan in plans * 2] == [b"[1]", b"[2]"] * 2
    assert len(hand.sent) == 2


@pytest.mark.parametrize("text", ["no-cache", "max-age=0, No-Store"])
def test_a_reader_who_asks_for_news_gets_them(text: str) -> None:
    hand = Caching(counting())
    plan = plan_of(cache=300, headers=(("X-Name", "é"), ("cache-Control", text)))

    assert [hand.body(plan), hand.body(plan)] == [b"1", b"2"]


# --- what is never kept


def elsewhere(request: httpx.Request) -> httpx.Response:
    if request.url.host == "cdn.test":
        return httpx.Response(200, json=1)
    return httpx.Response(302, headers={"location": "https://cdn.test/items"})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json=1, headers={"cache-control": "no-store"}),
        httpx.Response(200, json=1, headers={"Cache-Control": "private, NO-STORE,max-age=60"}),
        httpx.Response(200, json=1, headers=[("cache-control", "private"), ("cache-control", "no-store")]),
        httpx.Response(200, json=1, headers={"vary": "*"}),
        httpx.Response(200, json=1, headers={"vary": "accept, *"}),
        httpx.Response(203, json=1),
        httpx.Response(204),
        elsewhere,
    ],
)
def test_an_answer_that_may_not_be_kept_is_asked_for_each_time(answer: Answer) -> None:
    hand = Caching(answer)
    plan = plan_of(cache=300, allowed_origins=("https://cdn.test",))
    first = hand.body(plan)
    sent = len(hand.sent)

    assert hand.body(plan) == first
    assert len(hand.sent) == 2 * sent


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(401),
        httpx.Response(500, json=1),
        httpx.Response(200, text="<html>Please log in</html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, json={"error": "not now"}),
        httpx.Response(200, json={"errors": [{"message": "not now"}]}),
    ],
)
def test_an_error_is_never_kept(answer: httpx.Response) -> None:
    hand = Caching([answer, *[answer] * 2 * (answer.status_code == 500), httpx.Response(200, json=numbered(2))])

    with pytest.raises((RequestError, DecodeError)):
        hand.pages(trip(PLAN, hand.access(PLAN)))

    assert ids(hand.pages(trip(PLAN, hand.access(PLAN)))) == [1, 2]
    assert hand.scan.cached_pages == 0


def test_a_body_that_is_no_json_is_never_kept() -> None:
    hand = Caching([httpx.Response(200, text="<html>Please log in</html>"), httpx.Response(200, json=1)])

    with pytest.raises(DecodeError, match="api: GET /items answered 200"):
        hand.body()

    assert hand.body() == b"1"


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "max-age=0"},
        {"cache-control": "no-cache, must-revalidate"},
        {"cache-control": "private"},
        {"expires": "0"},
        {"vary": "Accept, Authorization"},
        {"age": "5000"},
    ],
)
def test_the_readers_seconds_win_over_the_apis(headers: dict[str, str]) -> None:
    hand = Caching(counting(**headers))

    assert [hand.body(), hand.body()] == [b"1", b"1"]


def test_what_another_reads_as_an_error_is_asked_for_again() -> None:
    """A body alone may be any JSON; as a page, `error` without records is none."""
    hand = Caching([httpx.Response(200, json={"error": "not now"}), httpx.Response(200, json=numbered(2))])
    assert hand.body() == b'{"error":"not now"}'

    assert ids(hand.pages(trip(PLAN, hand.access(PLAN)))) == [1, 2]
    assert ids(hand.pages(trip(PLAN, hand.access(PLAN)))) == [1, 2]
    assert len(hand.sent) == 2


def test_a_redirect_within_the_origin_is_kept_under_what_was_asked() -> None:
    hand = Caching(httpx.Response(307, headers={"location": "/moved"}))
    hand.api.routes["/moved"] = counting()

    assert [hand.body(), hand.body(), len(hand.sent)] == [b"1", b"1", 2]


# --- asked for again, if it has changed


class Versioned:
    """An API whose answer has a version, in one of the validators; what did not change it says with 304."""

    def __init__(self, *, etag: bool = True, **headers: str) -> None:
        self.version = 1
        self.etag = etag
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.statuses: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        tag, moment = f'W/"v{self.version}"', f"Sun, 15 Jun 2025 12:00:{self.version:02} GMT"
        told = self.headers | ({"etag": tag} if self.etag else {"last-modified": moment})
        is_known = request.headers.get("if-none-match" if self.etag else "if-modified-since") in {tag, moment}
        self.statuses.append(304 if is_known else 200)
        return httpx.Response(304, headers=told) if is_known else httpx.Response(200, json=self.version, headers=told)


@pytest.mark.parametrize("etag", [True, False])
def test_what_has_not_changed_is_good_for_as_long_again(*, etag: bool) -> None:
    api = Versioned(etag=etag)
    hand = Caching(api)

    bodies = [hand.body(), hand.body(after=300), hand.body(after=299)]

    assert (bodies, api.statuses) == ([b"1"] * 3, [200, 304])
    assert [record.status for record in hand.records] == [200, 304]


def test_an_unchanged_answer_is_a_request_and_no_cached_page() -> None:
    hand = Caching(Versioned())
    hand.body()

    hand.body(after=300)

    assert (hand.scan.requests, hand.scan.cached_pages, hand.scan.cache_age) == (1, 0, None)


def test_what_has_changed_takes_the_old_ones_place() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    api.version = 2

    assert [hand.body(after=300), hand.body(after=299), api.statuses] == [b"2", b"2", [200, 200]]


def test_both_validators_are_sent_as_they_came() -> None:
    hand = Caching(counting(etag='"ä b"', last_modified=SUNDAY))
    hand.body()

    hand.body(after=300)

    assert hand.asked("if-none-match") == [None, '"ä b"']
    assert hand.asked("if-modified-since") == [None, SUNDAY]


def test_without_a_validator_it_is_asked_for_whole() -> None:
    hand = Caching(counting())
    hand.body()

    assert hand.body(after=300) == b"2"
    assert hand.asked("if-none-match") == hand.asked("if-modified-since") == [None, None]


def test_a_read_by_post_is_asked_for_whole() -> None:
    """Under a condition it would be answered 412 (RFC 9110, section 13.1.2)."""
    hand = Caching(counting(etag='"a"'))
    plan = plan_of(cache=300, method="POST", body=b"{}")
    hand.body(plan)

    assert hand.body(plan, after=300) == b"2"
    assert hand.asked("if-none-match") == [None, None]


def test_news_of_headers_hold_and_those_of_the_body_stay() -> None:
    whole = {"etag": '"a"', "x-left": "2", "x-kept": "é", "content-type": "application/json", "link": "<>; rel=last"}
    news = {"ETag": '"a"', "X-Left": "1", "x-new": "n", "content-type": "text/html", "content-length": "0"}
    told = httpx.Headers(whole, encoding="utf-8")
    hand = Caching([httpx.Response(200, json=numbered(1), headers=told), httpx.Response(304, headers=news)])
    hand.pages(trip(PLAN, hand.access(PLAN)))
    hand.clock.now += 300

    confirmed, again = [hand.pages(trip(PLAN, hand.access(PLAN)))[0] for _ in range(2)]

    expected = {**whole, "x-left": "1", "x-new": "n", "content-length": "10"}
    assert dict(confirmed.headers) == dict(again.headers) == expected
    assert (confirmed.status, ids([confirmed]), len(hand.sent)) == (200, [1], 2)


def test_unchanged_but_no_more_to_be_kept() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    api.headers = {"cache-control": "no-store"}

    assert [hand.body(after=300), hand.body()] == [b"1", b"1"]
    assert api.statuses == [200, 304, 200]


def test_an_api_that_is_down_is_an_error_and_what_is_kept_stays() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    hand.api.trouble += [httpx.Response(503)] * 3

    with pytest.raises(RequestError, match="503"):
        hand.body(after=300)

    assert hand.body() == b"1"
    assert api.statuses == [200, 304]


def test_no_news_is_no_answer_for_whoever_did_not_ask_for_news() -> None:
    hand = Caching(Versioned())
    plan = plan_of(cache=300, headers=(("If-None-Match", 'W/"v1"'),))

    with pytest.raises(RequestError, match="answered 304"):
        hand.body(plan)


def test_unchanged_still_cannot_be_read() -> None:
    hand = Caching([httpx.Response(200, json={"error": "x"}, headers={"etag": '"a"'}), httpx.Response(304)])
    hand.body()
    hand.clock.now += 300

    with pytest.raises(RequestError, match="with an error"):
        hand.pages(trip(PLAN, hand.access(PLAN)))


# --- how much


def test_what_was_used_last_is_kept_the_longest() -> None:
    hand = Caching(lambda request: httpx.Response(200, json=request.url.params["q"] * 20_000), most=60_000)
    plans = {name: plan_of(cache=300, params=[("q", name)]) for name in "abc"}
    hand.body(plans["a"])
    hand.body(plans["b"])
    hand.body(plans["a"])

    hand.body(plans["c"])  # three do not fit

    hand.body(plans["a"])
    assert len(hand.sent) == 3
    hand.body(plans["b"])
    assert len(hand.sent) == 4


def test_many_small_ones_are_bounded_too() -> None:
    hand = Caching(httpx.Response(200, json=1), most=100_000)
    plans = [plan_of(cache=300, params=[("q", str(number))]) for number in range(100)]
    for plan in plans:
        hand.body(plan)

    for plan in reversed(plans):
        hand.body(plan)

    assert 100 < len(hand.sent) < 200


def test_one_that_is_larger_than_all_is_not_kept_and_lets_the_others_be() -> None:
    hand = Caching(lambda request: httpx.Response(200, json="x" * int(request.url.params["n"])), most=60_000)
    small, large = (plan_of(cache=300, params=[("n", number)]) for number in ("5", "80000"))
    hand.body(small)
    hand.body(large)
    hand.body(large)

    hand.body(small)

    assert hand.api.params("n") == ["5", "80000", "80000"]


# --- forgotten


def test_a_connector_is_forgotten_alone() -> None:
    hand = Caching(counting())
    other = plan_of(cache=300, connector="other")
    hand.body()
    hand.body(other)

    hand.cache.forget("api")

    assert [hand.body(other), hand.body()] == [b"2", b"3"]


def test_what_was_asked_before_is_not_kept_after() -> None:
    """A read that was under way while something was changed may tell of the time before."""
    hand = Caching(counting())
    steps = hand.steps()
    sent = next(steps)

    hand.cache.forget("api")

    assert result_of(steps, answer_to(sent, "old")) == b'"old"'
    assert hand.body() == b"1"


def test_whoever_waited_for_what_is_forgotten_asks_anew() -> None:
    hand = Caching(counting())
    first, second = hand.steps(), hand.steps()
    sent = next(first)
    assert next(second) == WAIT

    hand.cache.forget()
    assert hand.body() == b"1"  # which began after all was forgotten
    result_of(first, answer_to(sent, "old"))

    assert result_of(second, None) == b"1"


# --- single flight


def test_one_asks_and_the_others_wait_for_its_answer() -> None:
    hand = Caching(counting())
    first, *others = (hand.steps() for _ in range(3))
    sent = next(first)
    assert [next(each) for each in others] == [WAIT, WAIT]
    assert [each.send(None) for each in others] == [WAIT, WAIT]

    assert result_of(first, answer_to(sent)) == b"1"

    assert [result_of(each, None) for each in others] == [b"1", b"1"]
    assert hand.sent == []


def test_where_one_fails_one_of_the_others_asks() -> None:
    hand = Caching(counting())
    first, second, third = (hand.steps() for _ in range(3))
    sent = next(first)
    assert [next(second), next(third)] == [WAIT, WAIT]

    with pytest.raises(RequestError):
        first.send(answer_to(sent, status=404))
    again = second.send(None)
    assert third.send(None) == WAIT
    assert result_of(second, answer_to(again, 2)) == b"2"

    assert result_of(third, None) == b"2"


def test_where_one_is_given_up_another_asks() -> None:
    hand = Caching(counting())
    first, second = hand.steps(), hand.steps()
    next(first)
    next(second)

    first.close()

    assert result_of(second, answer_to(second.send(None))) == b"1"


@pytest.mark.parametrize("headers", [{"cache-control": "no-store"}, {"vary": "*"}])
def test_those_who_cannot_share_an_answer_ask_at_once(headers: dict[str, str]) -> None:
    hand = Caching(counting())
    first, second, third = (hand.steps() for _ in range(3))
    sent = next(first)
    assert [next(second), next(third)] == [WAIT, WAIT]

    result_of(first, answer_to(sent, headers=headers))
    asked = [second.send(None), third.send(None)]

    assert [result_of(second, answer_to(asked[0], 2)), result_of(third, answer_to(asked[1], 3))] == [b"2", b"3"]


def test_nobody_waits_longer_than_a_request_of_its_own_might_take() -> None:
    hand = Caching(counting())
    first, second = hand.steps(), hand.steps(replace(PLAN, timeout=0.1, max_wait=0.1))
    sent = next(first)

    steps = [next(second)]
    while isinstance(steps[-1], Sleep):
        steps.append(second.send(None))

    assert sum(step.seconds for step in steps if isinstance(step, Sleep)) == pytest.approx(0.2, abs=0.05)
    assert result_of(second, answer_to(steps[-1], "impatient")) == b'"impatient"'
    assert result_of(first, answer_to(sent)) == b"1"
    assert hand.body() == b"1"


def test_a_second_look_whether_it_has_changed_waits_for_the_first() -> None:
    hand = Caching(Versioned())
    hand.body()
    hand.clock.now += 300
    first, second = hand.steps(), hand.steps()

    sent = next(first)

    assert next(second) == WAIT
    assert result_of(first, httpx.Response(304, request=sent.request)) == b"1"  # type: ignore[union-attr]
    assert result_of(second, None) == b"1"


class Slow:
    """An API that takes a while to answer, and counts."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self.failures = failures
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        number = self.begin()
        time.sleep(0.05)
        return self.answer(number, request)

    async def later(self, request: httpx.Request) -> httpx.Response:
        number = self.begin()
        await asyncio.sleep(0.05)
        return self.answer(number, request)

    def begin(self) -> int:
        with self.lock:
            self.asked += 1
            return self.asked

    def answer(self, number: int, request: httpx.Request) -> httpx.Response:
        return httpx.Response(404 if number <= self.failures else 200, json=number, request=request)


def shared_access() -> Access:
    access = Access(authenticator("api", PLAN.auth), RateLimitState(), lambda _: None)
    return replace(access, cache=ResponseCache())


@pytest.mark.parametrize("failures", [0, 2])
def test_threads_share_one_request(failures: int) -> None:
    api, access, outcomes = Slow(failures), shared_access(), []

    def ask() -> None:
        try:
            outcomes.append(drive(fetch_body(PLAN, access), httpx.MockTransport(api), Event()))
        except ApikitError as error:
            outcomes.append(type(error).__name__.encode())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == sorted([b"RequestError"] * failures + [b"%d" % (failures + 1)] * (16 - failures))
    assert api.asked == failures + 1


@pytest.mark.parametrize("failures", [0, 2])
def test_tasks_of_an_event_loop_share_one_request(failures: int) -> None:
    api, access = Slow(failures), shared_access()

    async def ask_all() -> list[bytes | BaseException]:
        transport = httpx.MockTransport(api.later)
        asking = (adrive(fetch_body(PLAN, access), transport) for _ in range(16))
        return await asyncio.gather(*asking, return_exceptions=True)

    outcomes = asyncio.run(ask_all())

    failed = [each for each in outcomes if isinstance(each, RequestError)]
    assert len(failed) == failures
    assert [each for each in outcomes if each not in failed] == [b"%d" % (failures + 1)] * (16 - failures)
    assert api.asked == failures + 1


def test_whoever_waits_can_be_interrupted() -> None:
    access, cancelled = shared_access(), Event()
    under_way = fetch_body(PLAN, access)
    next(under_way)
    threading.Timer(0.1, cancelled.set).start()

    with pytest.raises(ScanInterrupted):
        drive(fetch_body(PLAN, access), httpx.MockTransport(Slow()), cancelled)
    under_way.close()


# --- of a session


def session_of(api: FakeApi, clock: Clock | None = None, http: str = "") -> Session:
    return Session(transport=api.transport(), clock=clock or Clock(), http=http)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(numbered(25), "link")})


CACHED = plan_of(pagination=LINKED, cache=300)


def test_scans_of_a_session_share_their_answers(api: FakeApi) -> None:
    clock = Clock()
    session = session_of(api, clock)
    assert ids(read(session, CACHED)) == list(range(1, 26))
    clock.now += 7

    assert ids(read(session, CACHED, concurrency=4)) == list(range(1, 26))

    assert len(api.seen) == len(session.requests) == 3
    assert [(scan.requests, scan.cached_pages, scan.cache_age) for scan in session.scans] == [(3, 0, None), (0, 3, 7)]


def test_equal_trips_of_one_scan_are_asked_for_once(api: FakeApi) -> None:
    assert len(read(session_of(api), CACHED, CACHED, CACHED, concurrency=4)) == 9

    assert len(api.seen) == 3


def test_another_session_has_none_of_them(api: FakeApi) -> None:
    read(session_of(api), CACHED)

    read(session_of(api), CACHED)

    assert len(api.seen) == 6


@pytest.mark.parametrize("forget", [lambda session: session.forget_answers("api"), Session.close])
def test_a_session_forgets(api: FakeApi, forget: Callable[[Session], None]) -> None:
    session = session_of(api)
    read(session, CACHED)

    forget(session)
    read(session, CACHED)

    assert len(api.seen) == 6


def test_what_another_connector_changed_is_no_reason(api: FakeApi) -> None:
    session = session_of(api)
    read(session, CACHED)

    session.forget_answers("another")
    read(session, CACHED)

    assert len(api.seen) == 3


def test_the_sample_of_a_bind_is_forgotten_too(api: FakeApi) -> None:
    session, plan, other = session_of(api), plan_of(), plan_of(connector="another")
    for each in (plan, other):
        session.sample(each, 1, Event())

    session.forget_answers("api")

    assert len(read(session, plan)) == len(read(session, other)) == 1
    assert len(api.seen) == 3


def test_a_sample_that_was_cached_is_told_by_its_scan(api: FakeApi) -> None:
    clock = Clock()
    session = session_of(api, clock)
    read(session, CACHED)
    clock.now += 299
    session.sample(CACHED, 1, Event())
    assert len(api.seen) == 3

    read(session, CACHED)
    assert (session.scans[-1].cached_pages, session.scans[-1].cache_age) == (3, 299)
    clock.now += 2
    read(session, CACHED)

    assert (session.scans[-1].cached_pages, len(api.seen)) == (0, 6)


def test_a_sample_that_was_asked_for_serves_its_scan_as_ever(api: FakeApi) -> None:
    session = session_of(api)
    session.sample(CACHED, 1, Event())

    read(session, CACHED)

    assert (session.scans[-1].requests, session.scans[-1].cached_pages, len(api.seen)) == (2, 0, 3)


def test_a_scan_that_is_closed_early_keeps_what_it_had(api: FakeApi) -> None:
    session = session_of(api)
    with scan_of(session, CACHED) as begun:
        next(begun.pages)

    read(session, CACHED)

    assert session.scans[-1].cached_pages >= 1
    assert len(api.seen) == 3


def test_every_answer_is_recorded_and_replayed(tmp_path: Path) -> None:
    plan = plan_of(cache=300)
    recording = session_of(FakeApi({"/items": counting_pages()}), http=f"record:{tmp_path}")
    assert [ids(read(recording, plan)) for _ in range(2)] == [[1], [2]]

    replaying = session_of(FakeApi({"/items": httpx.Response(500)}), http=f"replay:{tmp_path}")

    assert [ids(read(replaying, plan)) for _ in range(3)] == [[1], [2], [2]]


def counting_pages() -> Callable[[httpx.Request], httpx.Response]:
    numbers = iter(range(1, 1_000))
    return lambda _: httpx.Response(200, json=[{"id": next(numbers)}])


# --- no secret leaves


def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "k"})
    plan = plan_of(cache=300, auth=auth)
    with caplog.at_level(logging.DEBUG, logger="apikit"):
        session = Session(transport=FakeApi({"/items": Versioned()}).transport(), clock=(clock := Clock()), http="")
        for _ in range(3):
            list(session.bodies(ScanPlan(plan), [plan], Event()))
            clock.now += 200

    assert [record.status for record in session.requests] == [200, 304]
    assert '"status": 304' in caplog.text
    assert SECRET not in caplog.text + repr([*session.requests, vars(session._cache)])
    assert PageRequest(f"{BASE_URL}/items").full_url in caplog.text


# --- the law

SECONDS = st.sampled_from([0, 10, 60, 300])
EVENTS = st.one_of(
    st.tuples(st.just("read"), SECONDS),
    st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 51, 240, 300])),
    st.tuples(st.just("change"), st.just(0)),
    st.tuples(st.just("headers"), st.integers(0, 4)),
    st.tuples(st.just("down"), st.just(0)),
    st.tuples(st.just("forget"), st.just(0)),
)
HEADERS: list[dict[str, str]] = [
    {},
    {"etag": "{}"},
    {"last-modified": "{}"},
    {"cache-control": "no-store", "etag": "{}"},
    {"cache-control": "max-age=0", "vary": "accept"},
]


class Told:
    """An API that changes; it keeps what it has told, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.version = self.headers = 0
        self.is_down = False
        self.log: list[tuple[float, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            self.is_down = False
            return httpx.Response(404)
        self.log.append((self.clock.now, b"%d" % self.version))
        headers = {name: text.format(f'"{self.version}"') for name, text in HEADERS[self.headers].items()}
        if f'"{self.version}"' in {request.headers.get("if-none-match"), request.headers.get("if-modified-since")}:
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, json=self.version, headers=headers)


@given(st.lists(EVENTS, max_size=40))
def test_nothing_is_read_that_the_api_has_not_said_within_these_seconds(events: list[tuple[str, int]]) -> None:
    hand = Caching(httpx.Response(500))
    api = hand.api.routes["/items"] = Told(hand.clock)
    forgotten_at = 0  # how much had been told
    for what, number in events:
        match what:
            case "wait":
                hand.clock.now += number
            case "change":
                api.version += 1
            case "headers":
                api.headers = number
            case "down":
                api.is_down = True
            case "forget":
                hand.cache.forget("api")
                forgotten_at = len(api.log)
            case _:
                was_told = len(api.log)
                try:
                    body = hand.body(plan_of(cache=number))
                except RequestError:
                    continue
                said = [(at, each) for at, each in api.log[forgotten_at:] if hand.clock.now - at < number]
                assert body in {each for _, each in said} | {each for _, each in api.log[was_told:]}
                assert number or len(api.log) == was_told + 1
