"""The scans and binds of a session that are under way, and how they end with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

_PARKED_AFTER = 0.3  # seconds that a reader works on a batch; nobody waits for one that does for longer
_UNWINDING = 0.5  # seconds that DuckDB's threads need after a scan has ended
_BEGINNING = 0.3  # seconds in which DuckDB begins to read what was bound
_BINDING = 0.1  # seconds in which it begins to bind what another thread has told it a moment ago


@dataclass(eq=False)
class Running:
    """A scan or a bind under way. One whose reader has stopped in the middle, as after a LIMIT, is parked."""

    cancelled: Event
    must_finish: bool = False  # what is under way is not given up
    is_inside: bool = True
    left_at: float = 0.0  # by the monotonic clock

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While inside this, the reader works on what it has."""
        self.is_inside, self.left_at = False, time.monotonic()
        try:
            yield
        finally:
            self.is_inside = True

    def is_read(self) -> bool:
        """Whether its reader is there, or was a moment ago."""
        return self.is_inside or time.monotonic() - self.left_at < _PARKED_AFTER


class RunningScans:
    """All that is under way, on whatever thread."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._all: set[Running] = set()
        self._bound_at = float("-inf")  # by the monotonic clock
        self._is_over = False
        self._lock = threading.Lock()

    @contextmanager
    def running(self, cancelled: Event, *, must_finish: bool = False) -> Iterator[Running]:
        """While inside, `cancel` and `stop` set `cancelled`; after a `stop` it is set at once."""
        scan = Running(cancelled, must_finish)
        with self._lock:
            self._all.add(scan)
        if self._is_over:
            cancelled.set()
        try:
            yield scan
        finally:
            with self._lock:
                self._all.remove(scan)

    def will_begin(self) -> None:
        """Take note that this thread has bound a statement, whose scan begins in a moment."""
        if threading.current_thread() is not threading.main_thread():  # which cannot leave meanwhile
            self._bound_at = time.monotonic()

    def cancel(self) -> list[Running]:
        """Cancel what is under way: these scans, which have not ended by this alone."""
        with self._lock:
            scans = list(self._all)
        for scan in scans:
            scan.cancelled.set()
        return scans

    def finish(self, longest: float) -> None:
        """Cancel every scan and wait up to `longest` seconds for what must finish."""
        deadline = time.monotonic() + longest
        while any(scan.must_finish for scan in self.cancel()) and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self, longest: float) -> None:
        """Cancel every scan, also those to come; wait up to `longest` seconds until those that are read have ended."""
        self._is_over, has_run = True, False
        started = time.monotonic()
        earliest = started + (_BINDING if _has_company() else 0)
        while (now := time.monotonic()) < started + longest:
            runs = any(scan.is_read() for scan in self.cancel()) or now - self._bound_at < _BEGINNING
            if not runs and now >= earliest:
                break
            has_run = has_run or runs
            time.sleep(0.01)
        if has_run:
            time.sleep(_UNWINDING)


def _has_company() -> bool:
    """Whether there are other threads than this one, and ours, that may have told DuckDB to run something."""
    here = threading.current_thread()
    return any(each is not here and not each.name.startswith("apikit") for each in threading.enumerate())
