"""A limit says how long to wait, by what the API told and by a clock that the tests move."""

import threading
from collections.abc import Mapping

import httpx
import pytest

from apikit_sql.connector.protocol import RateLimitConfig
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.errors import RateLimitError
from tests.engine.taking import NOW, Clock, Hand, plan_of
from tests.fakes.api import FakeApi


def limit(clock: Clock, *, rate: float | None = None, min_remaining: int = 0) -> RateLimitState:
    return RateLimitState(RateLimitConfig(requests_per_second=rate, min_remaining=min_remaining), clock)


def told(remaining: object, reset: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, headers={"X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": f"{reset}"})


def test_an_api_that_has_said_nothing_is_not_waited_for() -> None:
    state = limit(Clock())

    assert [state.reserve() for _ in range(3)] == [0, 0, 0]
    assert (state.should_throttle(), state.sleep_duration(), state.headroom) == (False, 0, None)


def test_a_rate_gives_every_request_a_slot_of_its_own() -> None:
    clock = Clock()
    state = limit(clock, rate=4)

    assert [state.reserve() for _ in range(4)] == [0, 0.25, 0.5, 0.75]

    clock.now += 0.9
    assert state.reserve() == pytest.approx(0.1)
    clock.now += 100
    assert [state.reserve(), state.reserve()] == [0, 0.25]


def test_looking_takes_no_slot() -> None:
    clock = Clock()
    state = limit(clock, rate=1)
    state.reserve()

    assert [state.sleep_duration() for _ in range(3)] == [1.0, 1.0, 1.0]
    assert state.should_throttle()
    assert state.reserve() == 1.0


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (int(NOW) + 30, 30.0),
        (int(NOW + 30) * 1000, 30.0),
        (30, 30.0),
        (0.5, 0.5),
        (0, 0.0),
        (int(NOW) - 30, 0.0),
        (3600, 3600.0),
    ],
    ids=["epoch seconds", "epoch milliseconds", "delay", "part of a second", "now", "past", "an hour"],
)
def test_a_reset_is_a_time_or_a_delay(reset: float, seconds: float) -> None:
    state = limit(Clock())

    state.ingest(told(0, reset))

    assert state.sleep_duration() == seconds
    assert state.should_throttle() is (seconds > 0)
    assert state.reserve() == seconds


@pytest.mark.parametrize("prefix", ["X-RateLimit", "RateLimit", "X-Rate-Limit", "x-ratelimit"])
def test_the_usual_names_are_read(prefix: str) -> None:
    state = limit(Clock())

    state.ingest(httpx.Response(200, headers={f"{prefix}-Remaining": "5", f"{prefix}-Reset": "30"}))

    assert state.headroom == 5


def test_requests_that_remain_are_used_up_before_anyone_waits() -> None:
    clock = Clock()
    state = limit(clock)
    state.ingest(told(2, 30))

    assert [state.reserve() for _ in range(3)] == [0, 0, 30.0]
    clock.now += 30
    assert state.reserve() == 0


def test_min_remaining_is_left_untouched() -> None:
    state = limit(Clock(), min_remaining=10)

    state.ingest(told(12, 30))

    assert state.headroom == 2
    assert [state.reserve() for _ in range(3)] == [0, 0, 30.0]
    assert state.headroom == 0


def test_the_answer_tells_the_true_number() -> None:
    state = limit(Clock())
    state.ingest(told(0, 30))

    state.ingest(told(50, 30))

    assert state.headroom == 50
    assert not state.should_throttle()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_closes_the_limit_for_all_who_share_it(status: int) -> None:
    clock = Clock()
    state = limit(clock)

    state.ingest(httpx.Response(status, headers={"retry-after": "20"}))
    state.ingest(httpx.Response(status, headers={"retry-after": "5"}))

    assert [state.reserve(), state.reserve()] == [20.0, 20.0]
    clock.now += 20
    assert not state.should_throttle()


def test_retry_after_of_a_good_answer_closes_nothing() -> None:
    state = limit(Clock())

    state.ingest(httpx.Response(200, headers={"retry-after": "20"}))

    assert not state.should_throttle()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "many", "x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "", "x-ratelimit-reset": ""},
        {"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "inf", "x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "1e999", "x-ratelimit-reset": "30"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "nan"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "inf"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-5"},
    ],
)
def test_what_cannot_be_read_limits_nothing(headers: Mapping[str, str]) -> None:
    state = limit(Clock())

    state.ingest(httpx.Response(200, headers=headers))

    assert state.sleep_duration() == 0


def test_a_window_that_is_over_tells_nothing_of_the_next() -> None:
    clock = Clock()
    state = limit(clock)
    state.ingest(told(0, 30))

    clock.now += 31

    assert state.headroom is None
    assert not state.should_throttle()


def test_threads_never_share_a_slot() -> None:
    state = limit(Clock(0), rate=1000)
    waits: list[float] = []
    start = threading.Barrier(8)

    def reserve() -> None:
        start.wait()
        waits.extend([state.reserve() for _ in range(250)])

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(waits) == pytest.approx([number / 1000 for number in range(2000)], abs=1e-5)


def test_threads_never_share_the_last_request_that_remains() -> None:
    state = limit(Clock())
    state.ingest(told(100, 30))
    waits: list[float] = []
    start = threading.Barrier(8)

    def reserve() -> None:
        start.wait()
        waits.extend([state.reserve() for _ in range(50)])

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert waits.count(0) == 100
    assert waits.count(30.0) == 300


# --- as the engine uses it


def test_a_request_waits_for_its_slot() -> None:
    plan = plan_of(rate_limit=RateLimitConfig(requests_per_second=2))
    hand = Hand(FakeApi({"/items": httpx.Response(200, json=[])}))
    access = hand.access(plan)
    request = first_request(plan)

    for _ in range(3):
        hand.value(exchange(plan, access, request))

    assert hand.slept == [0.5, 0.5]


def test_a_limit_that_is_used_up_is_waited_for() -> None:
    plan = plan_of()
    hand = Hand(FakeApi({"/items": told(0, 30)}))
    access = hand.access(plan)

    for _ in range(2):
        hand.value(exchange(plan, access, first_request(plan)))

    assert hand.slept == [30.0]


def test_a_limit_used_up_for_too_long_is_an_error_and_nothing_is_sent() -> None:
    plan = plan_of(max_wait=10)
    hand = Hand(FakeApi({"/items": told(0, 30)}))
    access = hand.access(plan)
    hand.value(exchange(plan, access, first_request(plan)))

    with pytest.raises(RateLimitError, match=r"^api: 0 left, resets 15:07 UTC \(30 s\)\. Set") as raised:
        hand.value(exchange(plan, access, first_request(plan)))

    assert raised.value.retry_after == 30.0
    assert len(hand.sent) == 1


def test_callers_who_will_not_wait_take_no_slot_from_those_who_will() -> None:
    plan = plan_of(rate_limit=RateLimitConfig(requests_per_second=0.1), max_wait=5)
    hand = Hand(FakeApi({"/items": httpx.Response(200, json=[])}))
    access = hand.access(plan)
    hand.value(exchange(plan, access, first_request(plan)))

    for _ in range(4):
        with pytest.raises(RateLimitError):
            hand.value(exchange(plan, access, first_request(plan)))
    hand.clock.now += 10

    assert hand.value(exchange(plan, access, first_request(plan))).status_code == 200


def test_too_many_requests_wait_for_the_reset_where_retry_after_is_absent() -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[])})
    api.trouble.append(told(0, 30, status=429))
    plan, hand = plan_of(), Hand(api)

    hand.value(exchange(plan, hand.access(plan), first_request(plan)))

    assert sum(hand.slept) == 30.0
