"""Pages of one trip or many, fetched ahead of their reader by several workers, and handed on in order.

What to fetch is decided here, where the reader is; workers only fetch, and `pages.py` waits for them. The window opens
when the first page was not enough, so that a reader who wants few rows causes one request, and closes again when that
many pages wait for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from threading import Event
from typing import Protocol, TypedDict

from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.steps import Page, Steps
from apikit_sql.engine.trip import Dialogue, Wanted
from apikit_sql.engine.workers import Task
from apikit_sql.errors import ApikitError, ScanInterrupted

#: How many pages a reader has taken before more are fetched while it works on the newest.
_KEPT_BUSY_FROM = 3

#: Called with a trip's number, its error and how many of its pages were read; raises unless the others shall go on.
OnFailure = Callable[[int, ApikitError, int], None]


class NotYet(Enum):
    """What stands for a page that has not come yet."""

    NOT_YET = auto()


NOT_YET = NotYet.NOT_YET


class Workers(Protocol):
    """Who fetches: threads, or tasks of an event loop."""

    under_way: int

    def submit(self, steps: Callable[[], Steps[Page | None]]) -> Task[Page | None]:
        """The task whose `steps` are being taken."""
        ...

    def collect(self) -> None:
        """Take note of all that has come."""
        ...

    def stop(self) -> None:
        """Give up what is under way."""
        ...


class WindowSettings(TypedDict, total=False):
    """How many pages may be under way, from which one on, who hears of failures, and the limit that may want fewer."""

    concurrency: int
    first_ahead: int
    on_failure: OnFailure | None
    limiter: RateLimitState | None


class Window:
    """The pages of several trips with the number of their trip, from 0; trips in order, pages in order within.

    At most `concurrency` pages are under way, and twice as many with those that wait for the reader. They begin with
    page `first_ahead`, the first one that a reader asks for only where it wants more than it has. Once `cancelled` is
    set, there is no next page but ScanInterrupted, even while requests are under way.
    """

    def __init__(  # noqa: PLR0913 - what to read, and three settings by name
        self,
        trips: Sequence[Callable[[], Dialogue]],
        workers: Workers,
        cancelled: Event,
        *,
        concurrency: int = 1,
        first_ahead: int = 2,
        on_failure: OnFailure | None = None,
        limiter: RateLimitState | None = None,
    ) -> None:
        """Pages of which none has been asked for yet. A `limiter` may want fewer under way than `concurrency`."""
        self._trips = trips
        self._cancelled = cancelled
        self._concurrency = concurrency
        self._first_ahead = first_ahead
        self._on_failure = on_failure
        self._limiter = RateLimitState() if limiter is None else limiter
        self._workers = workers
        self._begun: deque[_Reading] = deque()  # the trips under way, the one that is read first
        self._current = 0  # its number
        self._taken = 0  # pages

    def next_page(self) -> tuple[int, Page] | NotYet | None:
        """The next page and its trip's number, None at the end, NOT_YET where something has to come first.

        Raises what its trip raises, unless `on_failure` passes over it.
        """
        while self._current < len(self._trips):
            try:
                page = self._page_of(self._reading(0))
            except ApikitError as error:
                if self._on_failure is None or isinstance(error, ScanInterrupted):
                    raise
                self._on_failure(self._current, error, self._begun[0].taken)
                page = None
            if page is NOT_YET:
                return NOT_YET
            if page is not None:
                self._taken += 1
                self._begun[0].taken += 1
                if self._taken >= _KEPT_BUSY_FROM:
                    self._fill()
                return self._current, page
            self._begun.popleft()
            self._current += 1
        return None

    def close(self) -> None:
        """Ask for nothing more. Requests under way are given up, and their workers end."""
        self._workers.stop()
        self._begun.clear()
        self._current = len(self._trips)

    def fail(self, error: ApikitError) -> None:
        """End the trip of the newest page, which turned out to be unreadable: what follows is as if it had not come."""
        self._begun[0].fail(error)

    def is_ready(self) -> bool:
        """Whether the next page is there already."""
        self._workers.collect()
        for reading in self._begun:
            reading.accept()
            if reading.accepted:
                return True
            if not reading.is_at_end:
                return False
        return False

    def _page_of(self, reading: _Reading) -> Page | NotYet | None:
        """The next page of the trip that is read, None at its end."""
        if self._cancelled.is_set():
            message = "the scan was interrupted"
            raise ScanInterrupted(message)
        self._workers.collect()
        reading.accept()
        if reading.accepted:
            return reading.accepted.popleft()
        if reading.error is not None:
            raise reading.error
        if reading.is_at_end:
            return None
        reading.ask_for_next(self._workers)
        self._fill()
        return NOT_YET

    def _fill(self) -> None:
        """Ask for pages in the reader's order until the window is full."""
        most = self._room()
        waiting_too = 2 * most if most == self._concurrency > 1 else most  # a late page shall not idle the workers
        outstanding = sum(reading.outstanding for reading in self._begun)
        room = min(most - self._workers.under_way, waiting_too - outstanding)
        number = 0
        while room > 0 and self._current + number < len(self._trips):
            reading = self._reading(number)
            reading.accept()
            room -= reading.ask(self._workers, room)
            number += 1

    def _room(self) -> int:
        """How many pages may be under way: 1, then from `first_ahead` on all; fewer where the API refuses so many."""
        is_open = self._taken + 2 > self._first_ahead
        return int(min(self._concurrency if is_open else 1, self._limiter.width))

    def _reading(self, number: int) -> _Reading:
        """The trip that is `number` after the one that is read."""
        while len(self._begun) <= number:
            self._begun.append(_Reading(self._trips[self._current + len(self._begun)]()))
        return self._begun[number]


@dataclass(eq=False)
class _Reading:
    """One trip under way: what it wants, what was asked for, what has come, and what it has accepted of that."""

    trip: Dialogue
    wanted: Wanted | None = None
    expected: Iterator[Wanted] = field(default_factory=lambda: iter(()))
    asked: dict[PageRequest, Task[Page | None]] = field(default_factory=dict)
    accepted: deque[Page] = field(default_factory=deque)
    taken: int = 0  # pages
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._advance()

    @property
    def is_at_end(self) -> bool:
        """Whether the trip wants no more; pages that it has accepted may still wait."""
        return self.wanted is None and self.error is None

    @property
    def outstanding(self) -> int:
        """How many pages are under way or waiting."""
        return len(self.asked) + len(self.accepted)

    def accept(self) -> None:
        """Give the trip each page that it wants next and that has come."""
        while self.wanted is not None:
            task = self.asked.get(self.wanted.request)
            if self.wanted.page is not None:
                outcome: Page | BaseException | None = self.wanted.page
            elif task is not None and task.is_done:
                del self.asked[self.wanted.request]
                outcome = task.outcome
            else:
                return
            if isinstance(outcome, BaseException):
                self._stop(outcome)
            else:
                self._hand_over(outcome)

    def ask_for_next(self, workers: Workers) -> None:
        """Ask for the page that the trip wants next, if that was not done yet: its reader cannot go on without."""
        wanted = self.wanted
        if wanted is not None and wanted.request not in self.asked:
            self.asked[wanted.request] = workers.submit(wanted.fetch)

    def ask(self, workers: Workers, room: int) -> int:
        """Ask for up to `room` more pages. How many were asked for."""
        before = len(self.asked)
        if self.wanted is not None and self.wanted.page is None:
            self.ask_for_next(workers)
            while len(self.asked) - before < room:
                ahead = next(self.expected, None)
                if ahead is None:
                    break
                if ahead.number > self.wanted.number and ahead.request not in self.asked:
                    self.asked[ahead.request] = workers.submit(ahead.fetch)
        return len(self.asked) - before

    def fail(self, error: ApikitError) -> None:
        """End the trip with `error`, as if the newest page that was taken had not come."""
        self.taken -= 1
        self.accepted.clear()
        self._stop(error)

    def _hand_over(self, page: Page | None) -> None:
        """Send the page in; it is accepted unless it lies past the end."""
        try:
            accepted = self.trip.send(page)
        except StopIteration:
            self._stop(None)
        except ApikitError as error:  # raised when the reader is there
            self._stop(error)
        else:
            assert isinstance(accepted, Page)  # noqa: S101 - a trip hands on the page it accepts
            self.accepted.append(accepted)
            self._advance()

    def _advance(self) -> None:
        """Hear what the trip wants next. An error waits until its reader has taken the pages before."""
        try:
            wanted = next(self.trip)
        except StopIteration:
            self._stop(None)
        except ApikitError as error:  # raised when the reader is there
            self._stop(error)
        else:
            assert isinstance(wanted, Wanted)  # noqa: S101 - a page is only handed on when one was sent in
            self.wanted = wanted
            if self.asked and wanted.request not in self.asked:  # the API goes another way than it said
                self.asked.clear()
                self.expected = iter(())
            if wanted.number == 2:  # noqa: PLR2004 - the first page has told what follows
                self.expected = iter(wanted.expected)

    def _stop(self, error: BaseException | None) -> None:
        self.wanted, self.error = None, error
        self.asked.clear()
        self.trip.close()
