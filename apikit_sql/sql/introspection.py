"""What happened, as tables: the scans of a session, and their trips that failed. The newest thousand are kept."""

from __future__ import annotations

import datetime as dt
import json
from typing import TypeVar

from apikit_sql.engine.scan_log import FailedTrip, ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types

T = TypeVar("T")
_ALL = 1_000  # more are not kept


_SCANS = columns_of_types(
    {
        "started_at": "TIMESTAMPTZ", "connector": "VARCHAR", "path": "VARCHAR", "state": "VARCHAR",
        "pagination": "VARCHAR", "trips": "BIGINT", "failed_trips": "BIGINT", "pages": "BIGINT", "rows": "BIGINT",
        "requests": "BIGINT", "retries": "BIGINT", "throttled_seconds": "DOUBLE", "elapsed_ms": "DOUBLE",
        "truncated": "BOOLEAN", "drifted": "JSON", "unseen_fields": "JSON",
    }
)  # fmt: skip
_ERRORS = columns_of_types(
    {
        "failed_at": "TIMESTAMPTZ", "connector": "VARCHAR", "path": "VARCHAR", "keys": "JSON", "pages": "BIGINT",
        "status": "BIGINT", "error": "VARCHAR", "message": "VARCHAR", "skipped": "BOOLEAN",
    }
)  # fmt: skip


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


def _last(records: tuple[T, ...], count: int) -> tuple[T, ...]:
    return records[max(0, len(records) - count) :]


def _scan_row(scan: ScanRecord) -> Row:
    return {
        **{name: getattr(scan, name) for name in ("connector", "path", "state", "trips", "failed_trips", "pages")},
        **{name: getattr(scan, name) for name in ("rows", "requests", "retries")},
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


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
