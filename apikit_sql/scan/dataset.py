"""A request plan that DuckDB can scan: the seam between the API and the database.

DuckDB reads a pyarrow Dataset, and only a subclass is offered projection and filter. Of a Dataset it uses `schema` at
bind and `scanner(columns, filter)` at each execution; of the scanner, `to_reader`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from apikit_sql.column_types import JSON, Column, ColumnType, Scalar, Struct
from apikit_sql.engine.fan_out import may_skip
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, ApikitWarning, CallError
from apikit_sql.plan.predicate import Predicate
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.batches import PageReader, batches
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.expression import read_predicates, with_both_zeros
from apikit_sql.scan.schema import arrow_schema, infer_columns

_MOST_MISSES = 10  # trips that may fail before columns are given up
_LONGEST_TEXT = 2_000  # bytes of an error that DuckDB is handed


@dataclass(frozen=True)
class ApiTable:
    """One call as a table: its plan, its columns, and the session that sends the requests."""

    plan: ScanPlan
    columns: tuple[Column, ...]
    session: Session
    first_ahead: int
    say: Callable[[str], str]  # a message, as its reader writes it


class ScannedDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow is untyped
    """What DuckDB scans: a schema, and a scanner that a subclass gives. What pyarrow's own datasets do is refused."""

    def __init__(self, schema: pa.Schema) -> None:
        """A table of `schema`; `on_scan` is called when a scan begins."""
        self._schema = schema
        self.on_scan: Callable[[], None] = lambda: None

    @property
    def schema(self) -> pa.Schema:
        """The columns as DuckDB sees them, before projection."""
        return self._schema

    def _refused(self, *_: object, **__: object) -> NoReturn:
        message = "this table is an API's: SELECT from it, or read it whole first, pa.table(...)"
        raise TypeError(message)

    # These reach C++ state that a subclass does not have; partition_expression and sort_by crash the interpreter.
    partition_expression = property(_refused)
    _get_fragments = get_fragments = replace_schema = _scanner_options = _scan_options = _refused
    count_rows = filter = head = join = join_asof = sort_by = take = to_batches = to_table = _refused
    __reduce__ = _refused


class ApiDataset(ScannedDataset):
    """One call of apikit() as a table."""

    def __init__(
        self,
        plan: ScanPlan,
        session: Session,
        new_scan: Callable[[], Event],
        *,
        first_ahead: int = 2,
        say: Callable[[str], str] = str,
    ) -> None:
        """The table of `plan`. Where columns were not declared, the first page is fetched to infer them.

        `new_scan` gives the event that interrupts a scan, or the bind itself; its reader asks for batch `first_ahead`
        only where it wants more than it has. Its errors and warnings are worded by `say`.
        """
        self.table = ApiTable(plan, columns_of(plan, session, new_scan()), session, first_ahead, say)
        self._new_scan = new_scan
        super().__init__(arrow_schema(self.table.columns))

    def scanner(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's name
        **_: object,
    ) -> ApiScan:
        """A scan of `columns` (None for all), holding only rows where `filter` is true."""
        self.on_scan()
        names = self._schema.names if columns is None else columns
        return ApiScan(self.table, names, filter, self._new_scan())


class ApiScan:
    """One execution of a plan; its pages are fetched as DuckDB reads."""

    def __init__(
        self, table: ApiTable, names: Sequence[str], condition: pc.Expression | None, cancelled: Event
    ) -> None:
        """A scan of the columns `names`, holding only rows where `condition` is true."""
        by_name = {column.name: column for column in table.columns}
        self._table = table
        self._output = [by_name[name] for name in names]
        self._condition = with_both_zeros(condition)
        self._predicates = pushable(table.columns, read_predicates(condition))
        self._cancelled = cancelled

    def to_reader(self) -> pa.RecordBatchReader:
        """The batches, filtered and projected. Closing the reader stops the requests."""
        return pa.RecordBatchReader.from_batches(arrow_schema(self._output), self._read())

    def _read(self) -> Generator[pa.RecordBatch]:
        session, rows = self._table.session, self._rows()
        try:
            with session.running(self._cancelled) as scan:
                while (batch := _next_batch(self._table, rows)) is not None:
                    with scan.outside():
                        yield batch
        finally:
            rows.close()

    def _rows(self) -> Generator[pa.RecordBatch]:
        plan, columns = self._table.plan, self._table.columns
        trips = push_down(plan, self._predicates)
        pages = self._table.session.pages(plan, trips, self._cancelled, first_ahead=self._table.first_ahead)
        with pages.saying(self._table.say) as scan:
            new_decoder = partial(PageDecoder, table=columns, on_drift=plan.on_drift, record=scan.record)
            reader = PageReader(trips, columns, self._output, self._condition, new_decoder)
            for batch in batches(scan.pages, reader):
                scan.record.rows += batch.num_rows
                yield batch


def columns_of(plan: ScanPlan, session: Session, cancelled: Event) -> tuple[Column, ...]:
    """The declared columns, else those of the first page: inferred once a session, the page kept for the scan."""
    known = session.inferred(plan) if plan.columns is None else plan.columns
    if known is None:
        known = infer_columns(plan, sampled_records(plan, session, cancelled))
        session.keep_inferred(plan, known)
    names = {column.name.lower() for column in known}
    for name in plan.filters if plan.keys != () else ():  # without a key its column is not known
        if name.partition(".")[0].lower() not in names:
            have = ", ".join(column.name for column in known)
            message = f"{plan.request.connector} {plan.request.path}: filters has {name!r}, no column ({have})."
            raise CallError(message)
    return known


def sampled_records(plan: ScanPlan, session: Session, cancelled: Event) -> list[Any]:
    """The records of the first `sample_pages` pages, of one trip after the other; trips that may fail are left out."""
    if plan.keys == ():
        message = f"{plan.request.connector} {plan.request.path}: without keys there is nothing to infer columns from. "
        raise CallError(message + "Declare them: columns := {'id': 'BIGINT', 'name': 'VARCHAR'}.")
    records: list[Any] = []
    left, misses, missed = plan.sample_pages, 0, ""
    few = replace(plan, keys=plan.keys and plan.keys[: left + _MOST_MISSES], max_requests=None)
    for trip in push_down(few, ()):
        if left < 1:
            break
        try:
            pages = session.sample(trip.request, left, cancelled)
        except ApikitError as error:
            if not may_skip(plan.on_error, error):
                raise
            misses += 1
            missed = f"{misses} trips failed while columns were to be inferred, the newest: {error} Declare columns."
            if misses == _MOST_MISSES:
                break
            continue
        records += [record for page in pages for record in read_records(page)]
        left -= len(pages)
    if misses and not records:
        message = f"{plan.request.connector} {plan.request.path}: {missed}"
        raise CallError(message)
    return records


def pushable(columns: Sequence[Column], predicates: Iterable[Predicate]) -> tuple[Predicate, ...]:
    """Those of `predicates` whose column holds what the API compares."""
    return tuple(predicate for predicate in predicates if can_compare(columns, predicate.column))


def can_compare(columns: Sequence[Column], name: str) -> bool:
    """Whether the column, or field of one, holds what the API compares: JSON is text of our own making."""
    head, *steps = name.split(".")
    kind: ColumnType | None = next((each.type for each in columns if each.name.lower() == head.lower()), None)
    for step in steps:
        fields = {field.lower(): inner for field, inner in kind.fields} if isinstance(kind, Struct) else {}
        kind = fields.get(step.lower())
    return isinstance(kind, Scalar) and kind != JSON


def _next_batch(table: ApiTable, rows: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    """The next of `rows`, None at the end. An error of ours stays on the session and is raised again as its text alone.

    DuckDB shows the whole chain of a stream's error, with file names and source lines: a new error, raised outside the
    except block, has neither cause nor context, and the line break keeps its first line apart from what pyarrow adds.
    """
    told: ApikitError | ApikitWarning
    try:
        return next(rows, None)
    except ApikitError as error:
        table.session.remember(error)
        told, text = copy(error), table.say(safe_text(error))  # as it was remembered
    except ApikitWarning as warning:  # which the caller has made an error
        told, text = copy(warning), str(warning)
    told.args = (text + "\n",)
    raise told


def safe_text(error: ApikitError) -> str:
    """The message as DuckDB can carry it: NUL would end it, half a surrogate pair is no text, and it is kept short."""
    return str(error).replace("\0", "").rstrip().encode(errors="replace")[:_LONGEST_TEXT].decode(errors="ignore")
