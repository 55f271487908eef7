"""Pages for a reader in a task: as in test_window.py, on a running event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from threading import Event
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.pages import AsyncPages
from apikit_sql.engine.session import Session
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitWarning, RequestError, ScanInterrupted
from apikit_sql.plan import request_plan
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.taking import Hand, ids, plan_of
from tests.fakes.api import FakeApi, Table

SIZE = 2  # records a page
EXPECTED = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")
NEXT_ONLY = PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")


class Server:
    """An API with a table for each trip, whose answers take a turn of the loop; it tells how many it makes at once."""

    def __init__(self, *counts: int, paging: PaginationConfig = EXPECTED) -> None:
        style: Any = paging.strategy
        self.paging = paging
        self.trips = len(counts)
        self.api = FakeApi(
            {
                f"/{number}": Table([{"id": 1_000 * number + n} for n in range(count)], style, page_size=SIZE)
                for number, count in enumerate(counts)
            }
        )
        self.under_way = self.most_under_way = 0
        self.before: Callable[[httpx.Request], Awaitable[object]] = lambda _: asyncio.sleep(0.001)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.before(request)
            return self.api(request)
        finally:
            self.under_way -= 1

    def pages(self, **window: Any) -> AsyncPages:
        hand = Hand(self.api)
        plans = [plan_of(f"/{number}", pagination=self.paging) for number in range(self.trips)]
        trips = [partial(trip, plan, hand.access(plan)) for plan in plans]
        return AsyncPages(trips, httpx.MockTransport(self), window.pop("cancelled", Event()), **window)


async def every(pages: AsyncPages) -> list[int]:
    return [number for page in [page async for _, page in pages] for number in ids([page])]


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 13), max_size=4),
    concurrency=st.integers(1, 8),
    paging=st.sampled_from([EXPECTED, NEXT_ONLY]),
)
def test_every_page_comes_once_and_in_order(counts: list[int], concurrency: int, paging: PaginationConfig) -> None:
    server = Server(*counts, paging=paging)

    found = asyncio.run(every(server.pages(concurrency=concurrency)))

    assert found == [1_000 * number + n for number, count in enumerate(counts) for n in range(count)]
    assert len(server.api.seen) == sum(max(1, -(-count // SIZE)) for count in counts)
    assert server.most_under_way <= concurrency


def test_a_reader_who_breaks_off_has_sent_few_requests_and_leaves_no_task() -> None:
    server = Server(100)

    async def first() -> int:
        pages = server.pages(concurrency=8)
        async for _ in pages:
            break
        await pages.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(first()) == 1
    assert len(server.api.seen) == 1
    assert server.under_way == 0


def test_pages_are_fetched_ahead_once_the_reader_wants_more() -> None:
    server = Server(60)

    asyncio.run(every(server.pages(concurrency=8)))

    assert server.most_under_way == 8


def test_a_failure_is_raised_after_the_pages_before_it() -> None:
    server = Server(10)
    seen: list[int] = []

    async def read() -> None:
        async for _, page in server.pages(concurrency=1):
            seen.extend(ids([page]))
            server.api.routes["/0"] = httpx.Response(403)

    with pytest.raises(RequestError, match="403"):
        asyncio.run(read())
    assert seen == [0, 1]


def test_a_cancel_ends_the_wait_while_a_request_hangs() -> None:
    server, cancelled = Server(10), Event()

    async def hangs(_: httpx.Request) -> None:
        cancelled.set()
        await asyncio.sleep(60)

    server.before = hangs

    with pytest.raises(ScanInterrupted):
        asyncio.run(every(server.pages(cancelled=cancelled)))
    assert server.under_way == 0


def test_a_task_that_is_cancelled_gives_up_what_is_under_way() -> None:
    server, begun = Server(10), asyncio.Event()

    async def hangs(_: httpx.Request) -> None:
        begun.set()
        await asyncio.sleep(60)

    server.before = hangs

    async def cancelled_on_the_way() -> int:
        reading = asyncio.create_task(every(server.pages()))
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return len(asyncio.all_tasks())

    assert asyncio.run(cancelled_on_the_way()) == 1
    assert server.under_way == 0


# --- through a whole session


def test_a_scan_in_a_task_is_recorded_and_warned_of_as_one_on_a_thread() -> None:
    server = Server(5)
    server.api.routes["/1"] = httpx.Response(404)
    session = Session(transport=httpx.MockTransport(server))
    plans = [plan_of(f"/{number}", pagination=EXPECTED) for number in (0, 1)]

    async def read() -> list[int]:
        trips = [request_plan.Trip(plan) for plan in plans]
        async with await session.apages(ScanPlan(plans[0], on_error="skip"), trips, Event()) as scan:
            return [number for _, page in [each async for each in scan.pages] for number in ids([page])]

    with pytest.warns(ApikitWarning, match="1 of 2 trips failed and were skipped"):
        found = asyncio.run(read())

    assert found == [0, 1, 2, 3, 4]
    (record,) = session.scans
    assert (record.state, record.trips, record.failed_trips, record.requests) == ("done", 2, 1, 4)


def test_a_scan_in_a_task_that_is_left_early_is_closed() -> None:
    server = Server(50)
    session = Session(transport=httpx.MockTransport(server))
    plan = plan_of("/0", pagination=EXPECTED)

    async def first() -> None:
        async with await session.apages(ScanPlan(plan), [request_plan.Trip(plan)], Event()) as scan:
            async for _ in scan.pages:
                raise GeneratorExit

    with pytest.raises(GeneratorExit):
        asyncio.run(first())

    assert session.scans[0].state == "closed"
    assert len(server.api.seen) == 1
