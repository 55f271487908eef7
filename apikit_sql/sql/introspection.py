"""What happened, as tables: scans, requests, limits and errors of a session, the newest thousand; and what there is."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import TypeVar

from apikit_sql.engine.access import SharedLimit
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.scan_log import FailedTrip, ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.catalog import FUNCTIONS, Function
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types

T = TypeVar("T")
_ALL = 1_000  # more are not kept


_SCANS = columns_of_types(
    {
        "started_at": "TIMESTAMPTZ", "connector": "VARCHAR", "path": "VARCHAR", "state": "VARCHAR",
        "pagination": "VARCHAR", "trips": "BIGINT", "failed_trips": "BIGINT", "pages": "BIGINT", "rows": "BIGINT",
        "requests": "BIGINT", "cached_pages": "BIGINT", "cache_age": "DOUBLE", "retries": "BIGINT",
        "throttled_seconds": "DOUBLE", "elapsed_ms": "DOUBLE",
        "truncated": "BOOLEAN", "drifted": "JSON", "unseen_fields": "JSON",
    }
)  # fmt: skip
_ERRORS = columns_of_types(
    {
        "failed_at": "TIMESTAMPTZ", "connector": "VARCHAR", "path": "VARCHAR", "keys": "JSON", "pages": "BIGINT",
        "status": "BIGINT", "error": "VARCHAR", "message": "VARCHAR", "skipped": "BOOLEAN",
    }
)  # fmt: skip
_REQUESTS = columns_of_types(
    {
        "sent_at": "TIMESTAMPTZ", "connector": "VARCHAR", "method": "VARCHAR", "url": "VARCHAR", "status": "BIGINT",
        "elapsed_ms": "DOUBLE", "bytes": "BIGINT", "attempt": "BIGINT",
    }
)  # fmt: skip
_LIMITS = columns_of_types(
    {
        "connector": "VARCHAR", "origin": "VARCHAR", "credential": "VARCHAR", "limit": "BIGINT", "remaining": "BIGINT",
        "resets_at": "TIMESTAMPTZ", "wait_seconds": "DOUBLE", "at_once": "BIGINT",
    }
)  # fmt: skip
_LAST_ERROR = columns_of_types(
    {
        "error": "VARCHAR", "message": "VARCHAR", "status": "BIGINT", "url": "VARCHAR", "retry_after": "DOUBLE",
    }
)  # fmt: skip
_HELP = columns_of_types({"function": "VARCHAR", "signature": "VARCHAR", "gives": "VARCHAR", "help": "VARCHAR"})


def read_newest(arguments: str) -> int:
    """How many rows were asked for, all unless `newest` says. Raises CallError for what is no number of rows."""
    newest = json.loads(arguments)["newest"]
    if newest is None:
        return _ALL
    if not isinstance(newest, int) or isinstance(newest, bool) or newest < 0:
        message = f"newest is {newest!r}, not a number of rows."
        raise CallError(message)
    return newest


def scans_dataset(session: Session, newest: int) -> ScannedDataset:
    """A row for each of the `newest` scans of `session`, the oldest first, also while it runs."""
    return RecordsDataset(_SCANS, lambda: map(_scan_row, _last(tuple(session.scans), newest)))


def errors_dataset(session: Session, newest: int) -> ScannedDataset:
    """A row for each of the `newest` trips that failed in `session`, the oldest first."""
    return RecordsDataset(_ERRORS, lambda: map(_error_row, _last(tuple(session.failures), newest)))


def requests_dataset(session: Session, newest: int) -> ScannedDataset:
    """A row for each of the `newest` requests that `session` has sent, the oldest first."""
    return RecordsDataset(_REQUESTS, lambda: map(_request_row, _last(tuple(session.requests), newest)))


def limits_dataset(session: Session, connector: str | None) -> ScannedDataset:
    """A row for each limit that `session` shares, of all connectors or of one."""
    return RecordsDataset(
        _LIMITS, lambda: [_limit_row(limit) for limit in session.limits() if connector in {None, limit.connector}]
    )


def last_error_dataset(session: Session, error: str | None) -> ScannedDataset:
    """The newest error of `session`, or the newest of the class `error`; no row where there was none."""
    found = [each for each in tuple(session.errors) if error in {None, type(each).__name__}]
    return RecordsDataset(_LAST_ERROR, lambda: map(_last_error_row, found[-1:]))


def help_dataset(name: str | None) -> ScannedDataset:
    """A row for each function, or for that of this `name`."""
    return RecordsDataset(_HELP, lambda: [_help_row(each) for each in FUNCTIONS if name in {None, each.name}])


def _last(records: tuple[T, ...], count: int) -> tuple[T, ...]:
    return records[max(0, len(records) - count) :]


def _scan_row(scan: ScanRecord) -> Row:
    return {
        **{name: getattr(scan, name) for name in ("connector", "path", "state", "trips", "failed_trips", "pages")},
        **{name: getattr(scan, name) for name in ("rows", "requests", "cached_pages", "cache_age", "retries")},
        "started_at": _moment(scan.at),
        "pagination": scan.pagination or None,
        "throttled_seconds": scan.throttled,
        "elapsed_ms": scan.elapsed * 1000,
        "truncated": scan.is_truncated,
        "drifted": json.dumps(scan.drifted.copy()),
        "unseen_fields": json.dumps(scan.unseen.copy()),
    }


def _error_row(trip: FailedTrip) -> Row:
    return {
        **{name: getattr(trip, name) for name in ("connector", "path", "pages", "status", "error", "message")},
        "failed_at": _moment(trip.at),
        "keys": json.dumps(dict(trip.keys), default=str),
        "skipped": trip.is_skipped,
    }


def _request_row(request: RequestRecord) -> Row:
    return {
        **{name: getattr(request, name) for name in ("connector", "method", "url", "status", "attempt")},
        "sent_at": _moment(request.at),
        "elapsed_ms": request.elapsed * 1000,
        "bytes": request.size,
    }


def _limit_row(shared: SharedLimit) -> Row:
    quota, width = shared.limiter.binding, shared.limiter.width
    return {
        **{name: getattr(shared, name) for name in ("connector", "origin", "credential")},
        "limit": quota.limit if quota else None,
        "remaining": quota.remaining if quota else None,
        "resets_at": _moment(quota.reset_at) if quota else None,
        "wait_seconds": shared.limiter.sleep_duration(),
        "at_once": int(width) if math.isfinite(width) else None,
    }


def _last_error_row(error: ApikitError) -> Row:
    told = {name: getattr(error, name, None) for name in ("status", "url", "retry_after")}
    return {"error": type(error).__name__, "message": str(error), **told}


def _help_row(function: Function) -> Row:
    gives = function.returns or "TABLE"
    return {"function": function.name, "signature": function.signature, "gives": gives, "help": function.help}


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
