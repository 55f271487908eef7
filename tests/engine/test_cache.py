"""The response cache: what is answered from it, for how long, how much is kept, and what never is."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.trip import trip
from apikit_sql.errors import DecodeError, RequestError
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.caching import BEARER, LINKED, ORIGIN, PLAN, SECRET, Caching, counting
from tests.engine.taking import BOTH, Clock, Take, ids, numbered, plan_of
from tests.fakes.api import BASE_URL, Answer, Paging, Table

OTHER = AuthConfig.model_validate({"type": "bearer", "token": "another"})


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
                hand.cache.forget(ORIGIN)
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
