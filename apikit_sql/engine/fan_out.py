"""Which trips of a scan may fail without ending it, and what is told of those that did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import assert_never

from apikit_sql.engine.scan_log import FailedTrip, ScanRecord
from apikit_sql.errors import (
    ApikitError,
    DecodeError,
    PaginationError,
    RequestError,
)
from apikit_sql.plan.request_plan import OnError, Trip

_MISSING = frozenset({404, 410})


class FanOut:
    """The failures of one scan's trips, passed over as `on_error` says.

    'skip_missing' passes over 404 and 410. 'skip' passes over what an API may answer for one key and not for another,
    but neither a refused credential nor a limit, for these would befall every trip.
    """

    def __init__(  # noqa: PLR0913 - what is read, and what a session lends to it
        self,
        trips: Sequence[Trip],
        on_error: OnError,
        scan: ScanRecord,
        keep: Callable[[FailedTrip], None],
        clock: Callable[[], float] = time.time,
        *,
        redact: Callable[[str], str] = str,
    ) -> None:
        """No trip has failed yet; those that do are handed to `keep`, their texts by way of `redact`."""
        self._trips = trips
        self._on_error = on_error
        self._scan = scan
        self._keep = keep
        self._redact = redact
        self._clock = clock

    def failed(self, number: int, error: ApikitError, pages: int) -> None:
        """Take note that the trip of this number, from 0, ended with `error` after `pages` pages.

        Raises the error again where it ends the scan.
        """
        is_last_hope = self._on_error == "skip" and len(self._scan.skipped) == len(self._trips) - 1
        is_skipped = may_skip(self._on_error, error) and not is_last_hope
        self._scan.failed_trips += 1
        self._keep(self._record(number, error, pages, is_skipped=is_skipped))
        if not is_skipped:
            raise error
        self._scan.skipped.append(self._redact(str(error)))

    def _record(self, number: int, error: ApikitError, pages: int, *, is_skipped: bool) -> FailedTrip:
        trip = self._trips[number]
        return FailedTrip(
            at=self._clock(),
            connector=trip.request.connector,
            path=trip.request.path,
            keys=trip.keys,
            status=error.status if isinstance(error, RequestError) else None,
            error=type(error).__name__,
            message=self._redact(str(error)),
            pages=pages,
            is_skipped=is_skipped,
        )


def may_skip(on_error: OnError, error: ApikitError) -> bool:
    """Whether the other trips go on after `error`."""
    if error.is_everywhere:
        return False
    match on_error:
        case "error":
            return False
        case "skip_missing":
            return isinstance(error, RequestError) and error.status in _MISSING
        case "skip":
            return isinstance(error, RequestError | PaginationError | DecodeError)
        case _:
            assert_never(on_error)
