"""One answer for each of many questions: as they come, several at once, and none once the asker has gone."""

import threading
from collections.abc import Generator
from threading import Event
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.replies import replies
from apikit_sql.engine.steps import Call, Send, Sleep, Steps, called
from apikit_sql.errors import RequestError, ScanInterrupted

NOWHERE = httpx.MockTransport(lambda _: httpx.Response(500))


def telling(value: object) -> Steps[Any]:
    return (yield from called(lambda: value))


def failing() -> Generator[Send | Sleep | Call, Any, Any]:
    yield Sleep(0)
    message = "no such thing"
    raise RequestError(message)


def ask(asked: list[Any], *, concurrency: int = 8, cancelled: Event | None = None) -> list[tuple[int, Any]]:
    limiter = RateLimitState()
    return list(replies(asked, NOWHERE, cancelled or Event(), concurrency=concurrency, limiter=limiter))


@given(st.lists(st.integers(), max_size=40), st.integers(1, 8))
def test_each_is_answered_once_and_by_its_own_answer(values: list[int], concurrency: int) -> None:
    found = ask([lambda value=value: telling(value) for value in values], concurrency=concurrency)

    assert sorted(found) == list(enumerate(values))


def test_one_that_fails_is_told_in_its_place_and_the_others_go_on() -> None:
    found = dict(ask([lambda: telling(1), failing, lambda: telling(3)]))

    assert (found[0], found[2]) == (1, 3)
    assert isinstance(found[1], RequestError)


def test_no_more_are_under_way_than_may_be() -> None:
    met, lock, at_once, most = threading.Barrier(3), threading.Lock(), [0], [0]

    def busy() -> int:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        met.wait(timeout=10)  # which three together pass, and no fewer
        with lock:
            at_once[0] -= 1
        return 1

    ask([lambda: called(busy) for _ in range(9)], concurrency=3)

    assert most == [3]


def test_a_limit_may_want_fewer_under_way() -> None:
    limiter = RateLimitState()
    limiter.ingest(httpx.Response(429))  # one at a time from now on
    at_once, most, lock = [0], [0], threading.Lock()

    def busy() -> int:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        Event().wait(0.005)
        with lock:
            at_once[0] -= 1
        return 1

    asked = [lambda: called(busy) for _ in range(5)]
    found = list(replies(asked, NOWHERE, Event(), concurrency=8, limiter=limiter))

    assert (len(found), most) == (5, [1])


def test_a_cancel_ends_it_while_requests_are_under_way() -> None:
    cancelled, let_go = Event(), Event()

    def waits() -> int:
        cancelled.set()
        let_go.wait(10)
        return 1

    with pytest.raises(ScanInterrupted):
        ask([lambda: called(waits)], cancelled=cancelled)
    let_go.set()


def test_a_reader_who_leaves_asks_for_nothing_more() -> None:
    asked: list[int] = []

    def one_more() -> int:
        asked.append(1)
        return 1

    limiter = RateLimitState()
    reading = replies([lambda: called(one_more)] * 50, NOWHERE, Event(), concurrency=1, limiter=limiter)

    next(reading)
    reading.close()

    Event().wait(0.05)
    assert len(asked) <= 2


def test_of_nothing_asked_nothing_comes() -> None:
    assert ask([]) == []
