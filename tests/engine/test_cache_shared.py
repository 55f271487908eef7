"""Equal reads under way at once are sent once: one asks, the others wait; nothing forgotten meanwhile is shared."""

import asyncio
import threading
import time
from dataclasses import replace
from threading import Event

import httpx
import pytest

from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.cache import ResponseCache
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.steps import Sleep
from apikit_sql.errors import ApikitError, RequestError, ScanInterrupted
from tests.engine.caching import ORIGIN, PLAN, WAIT, Caching, Versioned, answer_to, counting, result_of
from tests.engine.taking import plan_of

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


# --- forgotten


def test_an_origin_is_forgotten_alone_whatever_connectors_have_read_there() -> None:
    hand = Caching(counting())
    plans = PLAN, plan_of(cache=300, connector="other"), plan_of(cache=300, base_url="https://other.test")
    for plan in plans:
        hand.body(plan)

    hand.cache.forget(ORIGIN)

    assert [hand.body(plan) for plan in plans] == [b"4", b"5", b"3"]


def test_what_was_asked_before_is_not_kept_after() -> None:
    """A read that was under way while something was changed may tell of the time before."""
    hand = Caching(counting())
    steps = hand.steps()
    sent = next(steps)

    hand.cache.forget(ORIGIN)

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
