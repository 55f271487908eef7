"""Pages ahead of their reader: in order, not one more than is wanted, and nothing left behind."""

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from threading import Event

import pytest

from apikit_sql.engine.steps import Page
from apikit_sql.engine.window import read_ahead
from apikit_sql.errors import RequestError, ScanInterrupted
from tests.engine.taking import ids, page_of

SOON = 5.0  # seconds: what happens at all happens long before


class Source:
    """Pages 1 to `count`, one request each; `trouble` at a page is raised, or waited for, instead."""

    def __init__(self, count: int, trouble: dict[int, Exception | Event] | None = None) -> None:
        self.count, self.trouble = count, trouble or {}
        self.asked = 0
        self.closed = Event()
        self.threads: set[str] = set()

    def pages(self) -> Generator[Page]:
        try:
            for number in range(1, self.count + 1):
                self.asked = number
                self.threads.add(threading.current_thread().name)
                match self.trouble.get(number):
                    case Exception() as error:
                        raise error
                    case Event() as until:
                        until.wait(SOON)
                    case _:
                        pass
                yield page_of([{"id": number}])
        finally:
            self.closed.set()


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "apikit-pages"]


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    yield
    for thread in workers():
        thread.join(SOON)
    assert workers() == []


def eventually(source: Source, asked: int) -> bool:
    """Whether the source was asked for so many pages soon, and stays there."""
    deadline = time.monotonic() + SOON
    while source.asked < asked and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    return source.asked == asked


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
def test_every_page_comes_once_and_in_order(count: int) -> None:
    source = Source(count)

    assert ids(read_ahead(source.pages(), Event())) == list(range(1, count + 1))
    assert source.closed.wait(SOON)


@pytest.mark.parametrize(("taken", "asked"), [(1, 1), (2, 2), (3, 4), (4, 5), (5, 6)])
def test_one_page_is_fetched_ahead_only_from_the_third_on(taken: int, asked: int) -> None:
    source = Source(9)

    with closing(read_ahead(source.pages(), Event())) as pages:
        for _ in range(taken):
            next(pages)

        assert eventually(source, asked)


def test_nothing_is_fetched_before_the_reader_wants_it() -> None:
    source = Source(9)

    read_ahead(source.pages(), Event()).close()

    assert source.asked == 0
    assert workers() == []


def test_pages_are_fetched_on_a_daemon_of_their_own() -> None:
    source = Source(2)

    with closing(read_ahead(source.pages(), Event())) as pages:
        next(pages)
        assert all(thread.daemon for thread in workers())

    assert source.threads == {"apikit-pages"}


def test_closing_closes_the_source() -> None:
    source = Source(9)
    pages = read_ahead(source.pages(), Event())
    next(pages)

    pages.close()

    assert source.closed.wait(SOON)
    assert source.asked == 1


@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_error_is_raised_where_its_page_would_be(at: int) -> None:
    source = Source(9, {at: RequestError("boom")})
    pages = read_ahead(source.pages(), Event())

    for _ in range(at - 1):
        next(pages)
    with pytest.raises(RequestError, match="boom"):
        next(pages)

    assert next(pages, None) is None
    assert source.closed.wait(SOON)


def test_an_error_ahead_waits_until_the_reader_comes_to_it() -> None:
    source = Source(9, {4: RequestError("boom")})

    with closing(read_ahead(source.pages(), Event())) as pages:
        for _ in range(3):
            next(pages)
        assert source.closed.wait(SOON)

        with pytest.raises(RequestError, match="boom"):
            next(pages)


def test_a_cancel_ends_the_wait_while_a_request_hangs() -> None:
    released, cancelled = Event(), Event()
    source = Source(9, {1: released})
    timer = threading.Timer(0.02, cancelled.set)
    started = time.monotonic()

    timer.start()
    with pytest.raises(ScanInterrupted, match="the scan was interrupted"):
        next(read_ahead(source.pages(), cancelled))

    assert time.monotonic() - started < 1
    assert not source.closed.is_set()
    released.set()
    assert source.closed.wait(SOON)
    timer.join()


def test_a_cancel_wins_over_a_page_that_is_ready() -> None:
    cancelled = Event()
    source = Source(9)
    pages = read_ahead(source.pages(), cancelled)
    for _ in range(3):
        next(pages)
    assert eventually(source, 4)

    cancelled.set()

    with pytest.raises(ScanInterrupted):
        next(pages)
    assert source.closed.wait(SOON)


def test_closing_does_not_wait_for_a_request_that_hangs() -> None:
    released = Event()
    source = Source(9, {4: released})
    pages = read_ahead(source.pages(), Event())
    for _ in range(3):
        next(pages)
    started = time.monotonic()

    pages.close()

    assert time.monotonic() - started < 1
    released.set()
    assert source.closed.wait(SOON)
    assert source.asked == 4


def test_several_readers_do_not_mix() -> None:
    sources = [Source(20) for _ in range(4)]
    readers = [read_ahead(source.pages(), Event()) for source in sources]

    rows = [ids(row) for row in zip(*readers, strict=True)]

    assert rows == [[number] * 4 for number in range(1, 21)]


def test_a_reader_may_go_on_in_another_thread() -> None:
    source = Source(3)
    pages = read_ahead(source.pages(), Event())
    taken = [next(pages)]
    thread = threading.Thread(target=taken.extend, args=(pages,))

    thread.start()
    thread.join()

    assert ids(taken) == [1, 2, 3]
