"""What happened, as tables: the scans of a session, and their trips that failed. The newest thousand are kept."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import Column, parse_type
from apikit_sql.engine.scan_log import FailedTrip, ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.scan.batches import project
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.scan.scalars import storage_type
from apikit_sql.scan.schema import arrow_schema

Row = dict[str, object]
T = TypeVar("T")
_ALL = 1_000  # more are not kept


def _columns(types: dict[str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, parse_type(kind), (name,)) for name, kind in types.items())


_SCANS = _columns(
    {
        "started_at": "TIMESTAMPTZ", "connector": "VARCHAR", "path": "VARCHAR", "state": "VARCHAR",
        "pagination": "VARCHAR", "trips": "BIGINT", "failed_trips": "BIGINT", "pages": "BIGINT", "rows": "BIGINT",
        "requests": "BIGINT", "retries": "BIGINT", "throttled_seconds": "DOUBLE", "elapsed_ms": "DOUBLE",
        "truncated": "BOOLEAN", "drifted": "JSON", "unseen_fields": "JSON",
    }
)  # fmt: skip
_ERRORS = _columns(
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


class RecordsDataset(ScannedDataset):
    """Rows that are there already, read when the scan begins."""

    def __init__(self, columns: Sequence[Column], read: Callable[[], Iterable[Row]]) -> None:
        """The table of `columns` whose rows `read` gives."""
        super().__init__(arrow_schema(columns))
        self._columns = {column.name: column for column in columns}
        self._read = read

    def scanner(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's name
        **_: object,
    ) -> _RecordsScan:
        """A scan of `columns` (None for all), holding only rows where `filter` is true."""
        self.on_scan()
        rows, every = list(self._read()), self._columns.values()
        arrays = [pa.array([row[each.name] for row in rows], storage_type(each.type)) for each in every]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(self._columns))
        output = [self._columns[name] for name in (self._columns if columns is None else columns)]
        return _RecordsScan(project(batch if filter is None else batch.filter(filter), output))


class _RecordsScan:
    """All rows as one batch."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows."""
        return pa.RecordBatchReader.from_batches(self._batch.schema, [self._batch] if self._batch.num_rows else [])


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
