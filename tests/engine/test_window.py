"""Pages ahead of their reader: in order, not one more than is wanted, and nothing left behind."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.pages import Pages
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import trip
from apikit_sql.errors import PaginationError, RequestError, ScanInterrupted
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.taking import Hand, ids, plan_of
from tests.fakes.api import Answer, FakeApi, Table

SOON = 5.0  # seconds: what happens at all happens long before
AT_REST = 0.02  # seconds: what a window asks for has been asked for by then
SIZE = 2  # records a page
EXPECTED = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")
NEXT_ONLY = PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")

At = tuple[int, int]  # the number of a trip, from 0, and of a page, from 1


class Server:
    """An API with a table for each trip; record 5 of trip 3 has the id 3005.

    It holds the answers of `held` pages until they are released, and gives `answers` instead of records.
    """

    def __init__(self, *counts: int, paging: PaginationConfig = EXPECTED) -> None:
        self.paging = paging
        style: Any = paging.strategy
        self.api = FakeApi(
            {f"/{trip}": Table(records(trip, count), style, page_size=SIZE) for trip, count in enumerate(counts)}
        )
        self.transport = httpx.MockTransport(self)
        self.asked: list[At] = []
        self.held: dict[At, Event] = {}
        self.answers: dict[At, Answer | BaseException] = {}
        self.latency: Callable[[], float] = lambda: 0
        self.under_way = self.most_under_way = self.taken = self.most_ahead = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        at = place_of(request)
        with self._lock:
            self.asked.append(at)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.most_ahead = max(self.most_ahead, len(self.asked) - self.taken)
        try:
            time.sleep(self.latency())
            if at in self.held:
                self.held[at].wait(SOON)
            return self._answer(at, request)
        finally:
            with self._lock:
                self.under_way -= 1

    def _answer(self, at: At, request: httpx.Request) -> httpx.Response:
        answer = self.answers.get(at)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return answer(request) if answer is not None else self.api(request)

    def hold(self, *at: At) -> Event:
        """What releases the answers of these pages."""
        released = Event()
        self.held.update(dict.fromkeys(at, released))
        return released

    def pages(
        self,
        *,
        cancelled: Event | None = None,
        scan: ScanRecord | None = None,
        kept: Sequence[Page] = (),
        bound: int | None = None,
        **window: Any,
    ) -> Pages:
        """The pages of all trips."""
        plans = [plan_of(path, pagination=self.paging, pages=bound) for path in self.api.routes]
        access = replace(Hand(self.api).access(plans[0]), scan=scan or ScanRecord())
        trips = [partial(trip, plan, access, kept) for plan in plans]
        return Pages(trips, self.transport, cancelled or Event(), **window)


def records(trip: int, count: int) -> list[dict[str, Any]]:
    return [{"id": trip * 1000 + number} for number in range(1, count + 1)]


def place_of(request: httpx.Request) -> At:
    """The trip and the page that a request asks for."""
    params = request.url.params
    begin = params.get("cursor", params.get("offset", "0")).removeprefix("at-")
    return int(request.url.path[1:]), int(begin) // SIZE + 1


def rows(pages: Iterator[tuple[int, Page]]) -> list[int]:
    return ids(page for _, page in pages)


def take_into(found: list[tuple[int, Page]], pages: Pages) -> None:
    """Every page, and those before an error too."""
    for each in pages:
        found.append(each)  # noqa: PERF402 - `extend` would be as good, were it said to keep what came before an error


def whole(*counts: int) -> list[int]:
    """The rows of tables with so many records, one after the other."""
    return [row["id"] for trip, count in enumerate(counts) for row in records(trip, count)]


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "apikit-pages"]


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


def rests_at(server: Server, asked: int) -> bool:
    """Whether the server was asked for so many pages soon, and for no more; all that is not held has come by then."""
    if not eventually(lambda: len(server.asked) >= asked):
        return False
    time.sleep(AT_REST)
    return len(server.asked) == asked


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    for thread in workers():
        thread.join(SOON)
    assert workers() == []


# --- order


@pytest.mark.parametrize("paging", [EXPECTED, NEXT_ONLY])
@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("pages", [1, 2, 3, 4, 50])
def test_every_page_comes_once_and_in_order(pages: int, concurrency: int, paging: PaginationConfig) -> None:
    server = Server(pages * SIZE, paging=paging)

    found = list(server.pages(concurrency=concurrency))

    assert rows(iter(found)) == whole(pages * SIZE)
    assert [page.number for _, page in found] == list(range(1, pages + 1))
    assert sorted(server.asked) == [(0, number) for number in range(1, pages + 1)]


def test_no_trip_gives_no_page() -> None:
    assert list(Pages([], httpx.MockTransport(lambda _: httpx.Response(200)), Event(), concurrency=4)) == []


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 24), min_size=1, max_size=9),
    concurrency=st.integers(1, 6),
    first_ahead=st.integers(2, 3),
    paging=st.sampled_from([EXPECTED, NEXT_ONLY]),
    seed=st.integers(0, 2**16),
)
def test_pages_come_in_order_however_late_each_is_and_never_too_many_are_ahead(
    counts: list[int], concurrency: int, first_ahead: int, paging: PaginationConfig, seed: int
) -> None:
    server, found = Server(*counts, paging=paging), list[tuple[int, Page]]()
    chance = random.Random(seed)
    server.latency = lambda: chance.random() * 0.003

    with server.pages(concurrency=concurrency, first_ahead=first_ahead) as pages:
        for each in pages:
            found.append(each)
            server.taken += 1

    assert rows(iter(found)) == whole(*counts)
    assert [number for number, _ in found] == sorted(number for number, _ in found)
    assert len(server.asked) == len(set(server.asked)) == len(found)
    assert server.most_under_way <= concurrency
    assert server.most_ahead <= (2 * concurrency if concurrency > 1 else 1) + 1  # the reader may be about to count one


def test_several_readers_do_not_mix() -> None:
    servers = [Server(40, paging=paging) for paging in (EXPECTED, NEXT_ONLY, EXPECTED, NEXT_ONLY)]
    readers = [server.pages(concurrency=4) for server in servers]

    found = [[ids([page]) for _, page in row] for row in zip(*readers, strict=True)]

    assert found == [[[number, number + 1]] * 4 for number in range(1, 41, 2)]


def test_a_reader_may_go_on_in_another_thread() -> None:
    pages = Server(6).pages(concurrency=2)
    taken = [next(pages)]
    thread = threading.Thread(target=taken.extend, args=(pages,))

    thread.start()
    thread.join()

    assert rows(iter(taken)) == whole(6)


# --- how far ahead


def test_nothing_is_fetched_before_the_reader_wants_it() -> None:
    server = Server(18)

    pages = server.pages(concurrency=8)

    assert not pages.is_ready()
    assert workers() == []
    pages.close()
    assert server.asked == []


@pytest.mark.parametrize(("paging", "concurrency"), [(EXPECTED, 1), (NEXT_ONLY, 1), (NEXT_ONLY, 8)])
@pytest.mark.parametrize(("taken", "asked"), [(1, 1), (2, 2), (3, 4), (4, 5), (5, 6)])
def test_one_page_is_fetched_ahead_only_from_the_third_on(
    taken: int, asked: int, paging: PaginationConfig, concurrency: int
) -> None:
    server = Server(18, paging=paging)

    with server.pages(concurrency=concurrency) as pages:
        for _ in range(taken):
            next(pages)

        assert rests_at(server, asked)


@pytest.mark.parametrize(("first_ahead", "taken", "asked"), [(2, 1, 1), (2, 2, 9), (3, 1, 1), (3, 2, 2), (4, 2, 2)])
@pytest.mark.parametrize("trips", [1, 5])
def test_expected_pages_are_fetched_ahead_from_the_first_that_is_wanted_beyond(
    first_ahead: int, taken: int, asked: int, trips: int
) -> None:
    server = Server(*[40] * trips)

    with server.pages(concurrency=8, first_ahead=first_ahead) as pages:
        for _ in range(taken):
            next(pages)

        assert rests_at(server, asked)


def test_a_reader_who_waits_for_a_page_has_the_window_filled_behind_it() -> None:
    server = Server(100)
    released = server.hold(*((0, number) for number in range(3, 51)))
    reader = threading.Thread(target=lambda: list(server.pages(concurrency=4)))

    reader.start()

    assert rests_at(server, 6)  # two that were taken, and four under way
    assert server.under_way == 4
    released.set()
    reader.join(SOON)
    assert len(server.asked) == 50
    assert server.most_under_way == 4


def test_a_late_page_does_not_idle_the_workers_until_twice_as_many_are_ahead() -> None:
    server = Server(100)
    released = server.hold((0, 3))
    reader = threading.Thread(target=lambda: list(server.pages(concurrency=4)))

    reader.start()

    assert rests_at(server, 10)  # two that were taken, one under way, seven that wait
    released.set()
    reader.join(SOON)
    assert len(server.asked) == 50


def test_pages_are_fetched_while_their_reader_works_on_those_that_are_there() -> None:
    server = Server(100)

    with server.pages(concurrency=2) as pages:
        for _ in range(8):
            next(pages)
            time.sleep(AT_REST)

        assert rests_at(server, 12)


def test_several_trips_are_fetched_at_once_and_come_in_order() -> None:
    server = Server(*[SIZE] * 12, paging=NEXT_ONLY)
    released, found = server.hold((2, 1)), list[int]()
    reader = threading.Thread(target=lambda: found.extend(rows(server.pages(concurrency=4))))

    reader.start()

    assert rests_at(server, 10)  # two that were taken, one under way, seven that wait
    assert sorted(server.asked) == [(number, 1) for number in range(10)]
    released.set()
    reader.join(SOON)
    assert found == whole(*[SIZE] * 12)


def test_trips_with_cursors_go_on_at_the_same_time() -> None:
    server = Server(*[20] * 4, paging=NEXT_ONLY)
    released, found = server.hold((0, 3)), list[int]()
    reader = threading.Thread(target=lambda: found.extend(rows(server.pages(concurrency=4))))

    reader.start()

    assert eventually(lambda: {number for number, _ in server.asked} == {0, 1, 2, 3})
    assert eventually(lambda: (1, 2) in server.asked)
    released.set()
    reader.join(SOON)
    assert found == whole(*[20] * 4)


def test_a_call_for_few_pages_sends_no_more_requests_though_more_are_expected() -> None:
    server = Server(40, 40)

    assert len(list(server.pages(concurrency=8, bound=3))) == 6
    assert sorted(server.asked) == [(number, page) for number in (0, 1) for page in (1, 2, 3)]


def test_pages_are_fetched_on_daemons_as_many_as_are_under_way_at_once() -> None:
    server = Server(100)
    names = set[str]()

    def latency() -> float:
        names.add(threading.current_thread().name)
        return 0.001

    server.latency = latency

    with server.pages(concurrency=3) as pages:
        for _ in range(20):
            next(pages)
        assert 1 <= len(workers()) <= 3
        assert all(thread.daemon for thread in workers())

    assert names == {"apikit-pages"}


# --- pages that are there already


def test_kept_pages_are_not_asked_for() -> None:
    server = Server(20)
    kept = [page for _, page in server.pages(bound=3)]
    server.asked.clear()

    found = list(server.pages(kept=kept, concurrency=4))

    assert rows(iter(found)) == whole(20)
    assert [page for _, page in found[:3]] == kept
    assert sorted(server.asked) == [(0, number) for number in range(4, 11)]


def test_kept_pages_are_ready_and_cause_no_request_by_themselves() -> None:
    server = Server(20)
    kept = [page for _, page in server.pages(bound=2)]
    server.asked.clear()

    with server.pages(kept=kept, concurrency=4) as pages:
        next(pages)
        assert pages.is_ready()
        next(pages)
        assert not pages.is_ready()

    assert server.asked == []


# --- whether a page is ready


def test_a_page_is_ready_once_it_has_come() -> None:
    server = Server(40)
    released = server.hold((0, 4))

    with server.pages(concurrency=8) as pages:
        for _ in range(3):
            next(pages)
        eventually(lambda: (0, 4) in server.asked)
        before = pages.is_ready()
        asked = len(server.asked)
        released.set()

        assert not before
        assert eventually(pages.is_ready)
        assert ids([next(pages)[1]]) == [7, 8]
        assert asked >= 4


def test_the_first_page_of_the_next_trip_is_a_next_page() -> None:
    server = Server(*[SIZE] * 9)

    with server.pages(concurrency=8) as pages:
        for _ in range(3):
            next(pages)

        assert eventually(pages.is_ready)
        assert next(pages)[0] == 3


def test_a_page_of_a_later_trip_is_not_the_next_one() -> None:
    server = Server(SIZE, SIZE, 3 * SIZE, SIZE, SIZE, paging=NEXT_ONLY)
    released = server.hold((2, 2))

    with server.pages(concurrency=8) as pages:
        for _ in range(3):
            next(pages)
        assert eventually(lambda: len(server.asked) == 6 and server.under_way == 1)
        time.sleep(AT_REST)

        assert not pages.is_ready()
        released.set()
        assert eventually(pages.is_ready)


def test_no_page_is_ready_after_the_last() -> None:
    pages = Server(SIZE).pages()

    next(pages)

    assert not pages.is_ready()
    assert next(pages, None) is None
    assert not pages.is_ready()


def test_an_error_is_no_page_that_is_ready() -> None:
    server = Server(40)
    server.answers[0, 4] = httpx.Response(400)

    with server.pages(concurrency=2) as pages:
        for _ in range(3):
            next(pages)
        assert rests_at(server, 5)
        assert not pages.is_ready()
        with pytest.raises(RequestError):
            next(pages)


# --- errors


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("at", [1, 2, 4, 9])
def test_an_error_is_raised_where_its_page_would_be(at: int, concurrency: int) -> None:
    server = Server(40)
    server.answers[0, at] = httpx.Response(400, json={"message": "boom"})
    pages = server.pages(concurrency=concurrency)

    found = [next(pages) for _ in range(at - 1)]
    with pytest.raises(RequestError, match="boom"):
        next(pages)

    assert rows(iter(found)) == whole((at - 1) * SIZE)
    assert next(pages, None) is None


def test_an_error_ahead_waits_until_the_reader_comes_to_it() -> None:
    server = Server(40)
    server.answers[0, 6] = httpx.Response(400, json={"message": "boom"})

    with server.pages(concurrency=8) as pages:
        found = [next(pages) for _ in range(3)]
        assert eventually(lambda: (0, 6) in server.asked)
        time.sleep(AT_REST)
        found += [next(pages) for _ in range(2)]
        with pytest.raises(RequestError, match="boom"):
            next(pages)

    assert rows(iter(found)) == whole(10)


def test_an_error_of_a_later_trip_waits_for_the_trips_before() -> None:
    server = Server(20, 20, paging=NEXT_ONLY)
    server.answers[1, 1] = httpx.Response(400, json={"message": "boom"})
    found: list[tuple[int, Page]] = []

    with pytest.raises(RequestError, match="boom"):
        take_into(found, server.pages(concurrency=8))

    assert rows(iter(found)) == whole(20)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_failed_trip_may_be_passed_over(concurrency: int) -> None:
    server = Server(10, 10, 10)
    server.answers[1, 3] = httpx.Response(400, json={"message": "boom"})
    failed: list[tuple[int, str, int]] = []

    found = rows(
        server.pages(
            concurrency=concurrency,
            on_failure=lambda number, error, pages: failed.append((number, str(error), pages)),
        )
    )

    assert found == whole(10, 4) + whole(10, 10, 10)[20:]
    assert failed == [(1, "api: GET /1 answered 400 (boom)", 2)]


def test_all_trips_may_be_passed_over() -> None:
    server = Server(10, 10)
    server.answers.update({(0, 1): httpx.Response(400), (1, 1): httpx.Response(400)})
    failed: list[int] = []

    assert list(server.pages(concurrency=2, on_failure=lambda number, *_: failed.append(number))) == []
    assert failed == [0, 1]


def test_a_failure_that_is_not_passed_over_ends_the_pages() -> None:
    server = Server(10, 10)
    server.answers[0, 1] = httpx.Response(400)

    def refuse(_number: int, error: Exception, _pages: int) -> None:
        raise error

    pages = server.pages(on_failure=refuse)
    with pytest.raises(RequestError):
        next(pages)

    assert next(pages, None) is None
    assert server.asked == [(0, 1)]


class Ended(BaseException):
    """What ends a program, as SystemExit does."""


def test_what_ends_a_program_is_not_kept_from_its_reader() -> None:
    server = Server(10)
    server.answers[0, 1] = Ended()

    with pytest.raises(Ended):
        next(server.pages(on_failure=lambda *_: None))


def test_a_trip_that_cannot_go_on_gives_the_pages_it_has() -> None:
    server = Server(10, paging=NEXT_ONLY.model_copy(update={"max_pages": 2}))
    pages = server.pages(concurrency=2)

    found = rows(iter([next(pages), next(pages)]))
    with pytest.raises(PaginationError, match="no end within max_pages = 2"):
        next(pages)

    assert found == whole(4)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_page_that_the_trip_refuses_is_an_error_after_the_pages_before(concurrency: int) -> None:
    server = Server(40)
    server.answers[0, 2] = httpx.Response(200, json={"items": records(0, SIZE), "total": 40})  # page 1 again
    found: list[tuple[int, Page]] = []

    with pytest.raises(PaginationError, match=r"^api: GET /0: page 2 repeats page 1: "):
        take_into(found, server.pages(concurrency=concurrency))

    assert rows(iter(found)) == whole(SIZE)


def test_an_endless_loop_is_told_where_it_closes() -> None:
    server = Server(10, paging=NEXT_ONLY)
    server.answers[0, 2] = httpx.Response(200, json={"data": [{"id": 3}], "next_cursor": "at-2"})
    pages = server.pages(concurrency=2)

    found = rows(iter([next(pages), next(pages)]))
    with pytest.raises(PaginationError, match="page 2 leads back to an earlier page"):
        next(pages)

    assert found == [1, 2, 3]


# --- an API that changes its mind


def test_a_page_that_was_expected_and_is_not_wanted_is_not_given() -> None:
    server = Server(40)
    server.answers[0, 2] = httpx.Response(200, json={"items": [{"id": 3}, {"id": 4}], "total": 4})

    assert rows(server.pages(concurrency=8)) == [1, 2, 3, 4]
    assert (0, 3) in server.asked


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_rows_are_exact_where_pages_become_smaller(concurrency: int) -> None:
    server, kept = Server(25), records(0, 25)

    def smaller(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["offset"])
        size = 4 if start == 0 else 3
        return httpx.Response(200, json={"items": kept[start : start + size], "total": 25})

    server.api.routes["/0"] = smaller

    found = list(server.pages(concurrency=concurrency))

    assert rows(iter(found)) == whole(25)
    assert [page.number for _, page in found] == list(range(1, 9))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_rows_are_exact_where_the_table_grows_meanwhile(concurrency: int) -> None:
    server, asked = Server(60), []

    def growing(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params["offset"])
        asked.append(start)
        return httpx.Response(
            200, json={"items": records(0, 60)[start : start + SIZE], "total": 10 if start == 0 else 60}
        )

    server.api.routes["/0"] = growing

    assert rows(server.pages(concurrency=concurrency)) == whole(60)
    assert sorted(asked) == list(range(0, 60, SIZE))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_status_that_says_the_end_is_past_ends_only_its_trip(concurrency: int) -> None:
    server = Server(40, 4, paging=EXPECTED.model_copy(update={"total_path": None}))
    server.answers[0, 3] = httpx.Response(404)

    assert rows(server.pages(concurrency=concurrency)) == whole(4, 4)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_page_past_the_end_is_the_end_though_more_were_expected(concurrency: int) -> None:
    server = Server(40, 4)
    told = {"items": records(0, SIZE), "total": 40}
    untold = [{"items": [{"id": 3}, {"id": 4}]}, {"items": []}]
    for number, body in enumerate([told, *untold], 1):
        server.answers[0, number] = httpx.Response(200, json=body)

    assert rows(server.pages(concurrency=concurrency)) == whole(4, 4)


# --- requests that a scan may send


@pytest.mark.parametrize("concurrency", [1, 8])
def test_pages_end_with_an_error_where_the_scan_may_send_no_more(concurrency: int) -> None:
    server, found = Server(40), list[tuple[int, Page]]()
    scan = ScanRecord(ScanPlan(plan_of("/0"), max_requests=4))

    with pytest.raises(PaginationError, match="max_requests = 4 are sent"):
        take_into(found, server.pages(concurrency=concurrency, scan=scan))

    assert len(server.asked) == scan.requests == 4
    assert rows(iter(found)) == whole(40)[: len(found) * SIZE]


# --- the end


def test_closing_asks_for_nothing_more() -> None:
    server = Server(40)
    pages = server.pages(concurrency=8)
    next(pages)

    pages.close()
    pages.close()

    assert next(pages, None) is None
    assert server.asked == [(0, 1)]


def test_closing_does_not_wait_for_a_request_that_hangs() -> None:
    server = Server(40)
    released = server.hold((0, 4), (0, 5))
    pages = server.pages(concurrency=2)
    for _ in range(3):
        next(pages)
    assert eventually(lambda: server.under_way == 2)
    started = time.monotonic()

    pages.close()

    assert time.monotonic() - started < 1
    assert len(workers()) == 2
    released.set()
    assert rests_at(server, 5)


def test_closing_wakes_a_worker_that_waits_for_a_limit() -> None:
    server = Server(40)
    server.answers[0, 4] = httpx.Response(503, headers={"retry-after": "50"})
    with server.pages(concurrency=2) as pages:
        for _ in range(3):
            next(pages)
        assert eventually(lambda: (0, 4) in server.asked)
        time.sleep(AT_REST)

    assert eventually(lambda: workers() == [])


def test_an_error_lets_the_workers_go() -> None:
    server = Server(40)
    server.answers[0, 2] = httpx.Response(400)
    pages = server.pages(concurrency=8)
    next(pages)

    with pytest.raises(RequestError):
        next(pages)

    assert eventually(lambda: workers() == [])


def test_the_end_lets_the_workers_go() -> None:
    pages = Server(20).pages(concurrency=4)

    list(pages)

    assert eventually(lambda: workers() == [])


def test_a_cancel_ends_the_wait_while_a_request_hangs() -> None:
    server, cancelled, asked_about = Server(40), Event(), list[int]()
    released = server.hold((0, 1))
    timer = threading.Timer(0.02, cancelled.set)
    started = time.monotonic()

    timer.start()
    with pytest.raises(ScanInterrupted, match="the scan was interrupted"):
        next(server.pages(cancelled=cancelled, on_failure=lambda number, *_: asked_about.append(number)))

    assert time.monotonic() - started < 1
    assert asked_about == []
    assert server.under_way == 1
    timer.join()
    released.set()


def test_a_cancel_ends_the_wait_for_a_limit() -> None:
    server, cancelled = Server(40), Event()
    server.answers[0, 1] = httpx.Response(503, headers={"retry-after": "50"})
    timer = threading.Timer(0.02, cancelled.set)

    timer.start()
    with pytest.raises(ScanInterrupted):
        next(server.pages(cancelled=cancelled))
    timer.join()

    assert eventually(lambda: workers() == [])


def test_a_cancel_wins_over_a_page_that_is_ready() -> None:
    server, cancelled = Server(40), Event()
    pages = server.pages(cancelled=cancelled, concurrency=8)
    for _ in range(3):
        next(pages)
    assert eventually(pages.is_ready)

    cancelled.set()

    with pytest.raises(ScanInterrupted):
        next(pages)
    assert next(pages, None) is None


def test_what_is_cancelled_before_it_begins_sends_nothing() -> None:
    server, cancelled = Server(40), Event()
    cancelled.set()

    with pytest.raises(ScanInterrupted):
        next(server.pages(cancelled=cancelled))

    assert server.asked == []
