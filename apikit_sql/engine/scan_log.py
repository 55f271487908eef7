"""What a scan has done: one record a scan, kept in a ring, and one for each of its trips that failed."""

from __future__ import annotations

import threading
import time
from asyncio import CancelledError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from apikit_sql.errors import RequestsSpentError
from apikit_sql.plan.request_plan import Keys, ScanPlan

_SHOWN = 10  # names of fields
State = Literal["running", "done", "closed", "failed"]


@dataclass(frozen=True)
class FailedTrip:
    """A trip that ended with an error, and whether the scan went on without the rest of it."""

    at: float  # epoch seconds
    connector: str
    path: str
    keys: Keys
    status: int | None
    error: str  # its class
    message: str  # redacted
    pages: int  # that were read before
    is_skipped: bool


class Allowance:
    """How many requests all who share it may send: `most`, or any number. Safe to share between threads."""

    def __init__(self, most: int | None, refusal: str) -> None:
        """Nothing sent yet; `refusal` is what is said to whoever would send one too many."""
        self._most = most
        self._refusal = refusal
        self._sent = 0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise RequestsSpentError where not one more may be sent."""
        with self._lock:
            self._check()

    def spend(self) -> None:
        """Count a request that is about to be sent. Raises RequestsSpentError where it would be one too many."""
        with self._lock:
            self._check()
            self._sent += 1

    def _check(self) -> None:
        if self._most is not None and self._sent >= self._most:
            raise RequestsSpentError(self._refusal)


class ScanRecord:
    """One scan as it goes: its own threads write it, anyone may read it.

    `state` is 'closed' where the reader wanted no more, as LIMIT does. `is_truncated` tells that `pages` stopped a trip
    that had more, and `may_change` that its requests are mutations. `drifted` and `unseen` count, by column and by
    field, the values made NULL and the fields without a column; `doubts` are of what the first page has not told;
    `unfollowed` are connections of a GraphQL query that had a next page; `skipped` are the errors of trips that were
    passed over.
    """

    def __init__(
        self, plan: ScanPlan | None = None, *, trips: int = 1, at: float = 0, allowance: Allowance | None = None
    ) -> None:
        """A scan of `plan` that has sent nothing yet; it began at `at`, in epoch seconds.

        It may send the plan's `max_requests`, unless it has an `allowance`, which it may share with others.
        """
        self.connector = plan.request.connector if plan else ""
        self.path = plan.request.path if plan else ""
        self.trips = trips
        self.at = at
        self.state: State = "running"
        self.pagination = ""
        self.pages = self.rows = self.requests = self.retries = self.failed_trips = 0
        self.cached_pages = 0
        self.cache_age: float | None = None  # seconds, of the oldest of them
        self.skipped: list[str] = []
        self.throttled = 0.0  # seconds that requests have waited for a limit or before a retry
        self.is_truncated = self.may_change = False
        self.drifted: Counter[str] = Counter()
        self.unseen: Counter[str] = Counter()
        self.doubts: set[str] = set()
        self.unfollowed: set[str] = set()
        self._has_inferred = plan is not None and plan.columns is None
        self.allowance = self._own_allowance(plan.max_requests if plan else None) if allowance is None else allowance
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._elapsed: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the scan began, or that it took."""
        return time.monotonic() - self._started if self._elapsed is None else self._elapsed

    def spend(self) -> None:
        """Count a request that is about to be sent. Raises RequestsSpentError where it would be one too many."""
        self.allowance.spend()
        with self._lock:
            self.requests += 1

    def _own_allowance(self, most: int | None) -> Allowance:
        refusal = (
            f"{self.connector} {self.path}: max_requests = {most} are sent and the scan is not at its end. "
            "Say a larger max_requests, or stop earlier: pages := ..., or LIMIT in SQL."
        )
        return Allowance(most, refusal)

    def reuse(self, age: float) -> None:
        """Count a page that was answered from the response cache, said by the API `age` seconds ago."""
        with self._lock:
            self.cached_pages += 1
            self.cache_age = max(age, self.cache_age or 0.0)

    def retry(self) -> None:
        """Count a request that is sent again."""
        with self._lock:
            self.retries += 1

    def wait(self, seconds: float) -> None:
        """Take note that a request waits."""
        with self._lock:
            self.throttled += seconds

    def end(self, kind: type[BaseException] | None) -> None:
        """The scan is over: at its end, closed by its reader, or failed with an error of this `kind`."""
        is_left = kind is not None and issubclass(kind, GeneratorExit | CancelledError)
        state: State = "done" if kind is None else "closed" if is_left else "failed"
        self.state, self._elapsed = state, self.elapsed

    @contextmanager
    def ending(self) -> Iterator[None]:
        """The scan is over when this is left."""
        try:
            yield
        except BaseException as error:
            self.end(type(error))
            raise
        self.end(None)

    def warnings(self) -> Iterator[str]:
        """What its reader ought to know, a text each."""
        name = f"{self.connector} {self.path}"
        if self.skipped:
            yield (
                f"{name}: {len(self.skipped)} of {self.trips} trips failed and were skipped; apikit_errors() lists "
                f"them. The first: {self.skipped[0]}"
            )
        yield from sorted(self.doubts)
        if self.drifted:
            columns = ", ".join(f"{column}: {number}" for column, number in sorted(self.drifted.items()))
            yield f"{name}: {self.drifted.total()} values do not fit their columns and are NULL ({columns})."
        if self.unfollowed:
            yield (
                f"{name}: {', '.join(sorted(self.unfollowed))} had a next page (hasNextPage), which is not followed. "
                "Ask for more of it at once, or follow it by a query of its own, with connection_path."
            )
        if self.unseen and self._has_inferred:  # whoever declares columns has chosen them
            names = ", ".join(sorted(self.unseen)[:_SHOWN])
            yield (
                f"{name}: {len(self.unseen)} fields came later than the columns were inferred and have none ({names}). "
                "Say extra := true, a larger sample_pages, or columns := {...}."
            )
