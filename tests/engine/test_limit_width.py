"""How many requests may be under way at once, as the API bears them; and what is told to those who wait."""

import datetime as dt
import itertools
import re
from contextlib import suppress
from dataclasses import replace
from math import inf

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.rate_limit import RateLimitState, in_words
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Send, Sleep
from apikit_sql.errors import RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import NOW, Clock, Hand, ids, numbered, plan_of, read
from tests.fakes.api import Busy, FakeApi, Table

GOOD = httpx.Response(200, json=[])
REFUSED = httpx.Response(429)
STEADY = RetryConfig(min_wait=1, jitter=0)
AT_14_32 = dt.datetime(2025, 6, 15, 14, 32, tzinfo=dt.UTC).timestamp()


def under_way(count: int, clock: Clock | None = None) -> RateLimitState:
    """A limit with so many requests under way."""
    state = RateLimitState(clock=clock or Clock())
    for _ in range(count):
        state.enter()
    return state


def used_up(reset: float, remaining: int = 0, limit: int | None = 5000) -> httpx.Response:
    told = {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": f"{reset:.0f}"}
    return httpx.Response(200, json=[], headers=told if limit is None else told | {"x-ratelimit-limit": str(limit)})


# --- width


def test_an_api_that_refuses_nothing_sets_no_width() -> None:
    state = under_way(100)

    for _ in range(100):
        state.ingest(GOOD, NOW)

    assert state.width == inf


@pytest.mark.parametrize(("count", "width"), [(8, 4), (9, 4), (2, 1), (1, 1), (0, 1), (64, 32)])
def test_a_refusal_halves_what_is_under_way(count: int, width: float) -> None:
    state = under_way(count)

    state.ingest(REFUSED, NOW)

    assert state.width == width


def test_requests_that_were_sent_together_halve_it_once() -> None:
    clock = Clock()
    state = under_way(16, clock)
    sent_at = clock.now

    for _ in range(16):
        clock.now += 0.1
        state.ingest(REFUSED, sent_at)
    assert state.width == 8

    clock.now += 0.1
    state.ingest(REFUSED, clock.now)
    assert state.width == 4


def test_it_is_never_less_than_one() -> None:
    clock = Clock()
    state = under_way(8, clock)

    for _ in range(20):
        clock.now += 1
        state.ingest(REFUSED, clock.now)

    assert state.width == 1


def test_it_grows_by_about_one_with_each_round() -> None:
    state = under_way(16)
    state.ingest(REFUSED, NOW)
    widths = [state.width]

    for _ in range(20):
        for _ in range(int(state.width)):
            state.ingest(GOOD, NOW)
        widths.append(state.width)

    assert widths[0] == 8
    assert all(
        0.8 <= wide - narrow <= 1 for narrow, wide in itertools.pairwise(widths)
    )  # a part of a round is left out


def test_it_is_gone_where_it_is_as_wide_as_any() -> None:
    state = under_way(2)
    state.ingest(REFUSED, NOW)
    widths = []

    while state.width < inf:
        widths.append(state.width)
        state.ingest(GOOD, NOW)
        assert len(widths) < 10_000

    assert 63 < max(widths) < 64
    assert 1900 < len(widths) < 2200  # 1 + 2 + ... + 63


@pytest.mark.parametrize("status", [500, 503, 404, 401])
def test_other_errors_narrow_nothing(status: int) -> None:
    state = under_way(8)

    state.ingest(httpx.Response(status), NOW)

    assert state.width == inf


def test_a_secondary_limit_narrows_too() -> None:
    state = under_way(8)

    state.ingest(httpx.Response(403, json={"message": "You have exceeded a secondary rate limit."}), NOW)

    assert state.width == 4


def test_a_secondary_limit_closes_the_limit_for_all_who_share_it() -> None:
    # GitHub: wait for at least one minute; who goes on while limited may be banned
    state = under_way(8)

    state.ingest(httpx.Response(403, json={"message": "You have exceeded a secondary rate limit."}), NOW)

    assert state.reserve() == 60.0


def test_pages_are_fetched_by_fewer_at_once_after_a_refusal() -> None:
    busy, clock = Busy(Table(numbered(120), "offset", page_size=2)), Clock()
    api = FakeApi({"/items": busy})
    session = Session(transport=api.transport(), clock=clock)
    paging = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")
    plan = plan_of(pagination=paging)
    read(session, plan, concurrency=8)
    assert busy.most > 2

    api.trouble.append(REFUSED)
    read(session, plan_of("/items", params=[("n", "1")], pages=1))  # refused alone, so 1 is under way
    busy.most = 0
    found = ids(read(session, plan_of(pagination=paging, params=[("limit", "12")]), concurrency=8))

    assert found == list(range(1, 121))
    assert 1 <= busy.most <= 5  # ten pages, from a width of 1 on


# --- every request that has begun is over some day


def one_page(plan: RequestPlan, access: Access) -> None:
    Hand(FakeApi({"/items": GOOD})).value(exchange(plan, access, first_request(plan)))


@pytest.mark.parametrize("end", ["answered", "closed", "failed", "refused", "closed while it waits"])
def test_a_request_that_is_over_counts_no_more(end: str) -> None:
    plan = plan_of(retry=RetryConfig(max_attempts=1))
    access = Hand(FakeApi()).access(plan)
    for _ in range(6):
        if end == "closed while it waits":
            access.limiter.ingest(httpx.Response(503, headers={"retry-after": "5"}))
        steps = exchange(plan, access, first_request(plan))
        next(steps)
        with suppress(StopIteration, RequestError):
            match end:
                case "answered":
                    steps.send(GOOD)
                case "failed":
                    steps.throw(httpx.ConnectError("down"))
                case "refused":
                    steps.send(httpx.Response(404))
                case _:
                    steps.close()

    still = [exchange(plan, access, first_request(plan)) for _ in range(4)]
    for steps in still:
        next(steps)
    access.limiter.ingest(REFUSED)

    assert access.limiter.width == 2


def test_a_request_that_waits_to_be_tried_again_is_not_under_way() -> None:
    plan = plan_of(retry=STEADY)
    access = Hand(FakeApi()).access(plan)
    waiting = [exchange(plan, access, first_request(plan)) for _ in range(8)]
    for steps in waiting:
        next(steps)
        steps.send(httpx.Response(500))

    access.limiter.enter()
    access.limiter.enter()
    access.limiter.ingest(REFUSED)

    assert access.limiter.width == 1


def test_who_will_not_wait_was_never_under_way() -> None:
    plan = plan_of(max_wait=1)
    access = Hand(FakeApi()).access(plan)
    access.limiter.ingest(httpx.Response(429, headers={"retry-after": "5"}), NOW)
    for _ in range(10):
        with pytest.raises(RateLimitError):
            one_page(plan, access)

    for _ in range(4):
        access.limiter.enter()
    access.limiter.ingest(REFUSED)

    assert access.limiter.width == 1  # as it was after the first refusal


# --- what is told


class Told(Hand):
    """A hand that keeps what was told."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__(api)
        self.lines: list[str] = []

    def access(self, plan: RequestPlan) -> Access:
        return replace(super().access(plan), tell=self.lines.append)


@pytest.mark.parametrize(("seconds", "lines"), [(1, 0), (2, 0), (3, 1), (45, 1)])
def test_a_wait_of_more_than_two_seconds_is_told(seconds: int, lines: int) -> None:
    api = FakeApi({"/items": GOOD})
    api.trouble.append(httpx.Response(429, headers={"retry-after": str(seconds)}))
    hand, plan = Told(api), plan_of(retry=STEADY)

    hand.value(exchange(plan, hand.access(plan), first_request(plan)))

    assert len(hand.lines) == lines
    assert all(re.fullmatch(rf"api: waiting {seconds} s( after [0-9]+)?\.", line) for line in hand.lines)


def test_the_line_says_what_is_waited_for() -> None:
    hand, plan = Told(FakeApi({"/items": used_up(NOW + 45)})), plan_of()
    access = hand.access(plan)

    for _ in range(2):
        hand.value(exchange(plan, access, first_request(plan)))

    assert hand.lines == ["api: waiting 45 s. 0 of 5000 left, resets 15:07 UTC (45 s)"]


def test_many_who_wait_together_are_told_once() -> None:
    hand, plan = Told(FakeApi()), plan_of()
    access = hand.access(plan)
    access.limiter.ingest(used_up(NOW + 45))

    for number in range(50):
        hand.clock.now = NOW + number * 0.02
        next(exchange(plan, access, first_request(plan)))

    assert len(hand.lines) == 1


def test_a_longer_wait_is_news_again() -> None:
    clock = Clock()
    state = RateLimitState(clock=clock)

    told = [state.is_news(wait) for wait in (30, 30, 29, 30.5, 32, 31)]
    clock.now += 32
    told.append(state.is_news(5))

    assert told == [True, False, False, False, True, False, True]


def test_a_session_tells_whom_it_was_told_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    for tell in (lines.append, None):
        api = FakeApi({"/items": GOOD})
        api.trouble.append(httpx.Response(503, headers={"retry-after": "30"}))
        hand = Hand(api)
        session = Session(transport=api.transport(), tell=tell, clock=hand.clock)
        scan = session._sharing.access(plan_of(retry=STEADY), ScanRecord())
        hand.value(exchange(plan_of(retry=STEADY), scan, first_request(plan_of())))

    assert lines == ["api: waiting 30 s after 503."]
    assert capsys.readouterr().err == "apikit: api: waiting 30 s after 503.\n"


# --- describe


def test_a_limit_that_is_used_up_is_described() -> None:
    state = RateLimitState(clock=Clock(AT_14_32 - 41 * 60))

    state.ingest(used_up(AT_14_32))

    assert state.describe() == "0 of 5000 left, resets 14:32 UTC (41 min)"


def test_a_limit_of_which_some_is_left_untouched_is_described_with_it() -> None:
    state = RateLimitState(RateLimitConfig(min_remaining=100), Clock(AT_14_32 - 60))

    state.ingest(used_up(AT_14_32, remaining=99, limit=None))

    assert state.describe() == "99 left, resets 14:32 UTC (60 s)"


def test_what_is_left_or_over_is_not_described() -> None:
    clock = Clock()
    state = RateLimitState(clock=clock)
    assert state.describe() == ""

    state.ingest(used_up(NOW + 30, remaining=1))
    assert state.describe() == ""

    state.ingest(used_up(NOW + 30))
    clock.now += 30
    assert state.describe() == ""


def test_an_error_for_too_long_a_wait_says_until_when_and_what_to_do() -> None:
    hand, plan = Hand(FakeApi({"/items": used_up(AT_14_32)})), plan_of(connector="github")
    hand.clock.now = AT_14_32 - 41 * 60
    access = hand.access(plan)
    hand.value(exchange(plan, access, first_request(plan)))

    with pytest.raises(RateLimitError) as raised:
        hand.value(exchange(plan, access, first_request(plan)))

    assert str(raised.value) == "github: 0 of 5000 left, resets 14:32 UTC (41 min). Set max_wait := 3600."
    assert raised.value.retry_after == 41 * 60


@pytest.mark.parametrize(
    ("seconds", "patience"), [(61, 120), (119.5, 120), (1799, 1800), (3601, 7200), (7199.5, 7200), (86_400, 90_000)]
)
def test_the_max_wait_that_an_error_proposes_is_enough(seconds: float, patience: int) -> None:
    hand, plan = Hand(FakeApi()), plan_of()
    access = hand.access(plan)
    access.limiter.ingest(httpx.Response(429, headers={"retry-after": str(seconds)}), NOW)

    with pytest.raises(RateLimitError, match=rf"Set max_wait := {patience}\.$"):
        hand.value(exchange(plan, access, first_request(plan)))

    assert access.limiter.reserve(patience) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (60, "60 s"), (99, "99 s"), (100, "2 min"), (2460, "41 min"), (7200, "2 h"), (86_400, "24 h")],
)
def test_a_duration_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_no_more_than_the_width_are_under_way_whoever_sends_them() -> None:
    state = RateLimitState(clock=Clock())
    assert all(state.enter() for _ in range(8))

    state.ingest(httpx.Response(429))
    for _ in range(4):
        state.release()

    assert not state.enter()
    state.release()
    assert state.enter()


def test_a_request_waits_until_fewer_are_under_way() -> None:
    plan, hand = plan_of(), Hand(FakeApi())
    access = hand.access(plan)
    access.limiter.enter()
    access.limiter.ingest(httpx.Response(429))

    late = exchange(plan, access, first_request(plan))

    assert isinstance(next(late), Sleep)
    access.limiter.release()
    assert isinstance(next(late), Send)


def test_who_waits_for_a_slot_is_told_that_the_api_has_closed_meanwhile() -> None:
    plan = plan_of(rate_limit=RateLimitConfig(requests_per_second=1), retry=RetryConfig(min_wait=0, jitter=0))
    hand = Hand(FakeApi())
    access = hand.access(plan)
    first, second = (exchange(plan, access, first_request(plan)) for _ in range(2))
    next(first)
    assert next(second) == Sleep(1)

    first.send(httpx.Response(429, headers={"retry-after": "30"}))
    hand.clock.now += 1

    assert next(second) == Sleep(29)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "999999999999999999"},
        {"ratelimit": '"x";r=0;t=999999999999999'},
    ],
)
def test_a_reset_beyond_all_calendars_is_told_all_the_same(headers: dict[str, str]) -> None:
    state = RateLimitState(clock=Clock())

    state.ingest(httpx.Response(200, headers=headers))

    assert "0 left, resets" in state.describe()
