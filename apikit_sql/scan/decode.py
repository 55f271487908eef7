"""A page's records -> a batch of exactly the wanted columns: the gate between strangers' JSON and DuckDB.

Neither pyarrow nor DuckDB checks what a batch holds: a text where an integer was declared is garbage, columns in
another order crash the process. So every array is built from values whose types are checked, and a value that does not
fit its column is SchemaDriftError, never rounded or dropped.

A page is decoded strictly first; one that holds an unusual value is decoded again leniently, and then obeys the rules
of `scalars.py` value by value.

Arrays are in storage types (JSON as text, HUGEINT as 16 bytes) until the filter has been applied; `as_declared` then
gives them their own.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pyarrow as pa

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import OnDrift
from apikit_sql.scan.scalars import Misfit, Misfits, storage_type
from apikit_sql.scan.schema import arrow_type
from apikit_sql.scan.shape import Filling, Mode, Raw, Shape, shape_of
from apikit_sql.scan.unseen import field_names, known_fields, rest_of

_PATIENCE = 3  # pages in a row that only the lenient mode took


class PageDecoder:
    """Decodes the pages of one scan. What did not fit and what has no column is counted in the scan's record."""

    def __init__(
        self,
        wanted: Sequence[Column],
        table: Sequence[Column] | None = None,
        *,
        on_drift: OnDrift = "error",
        record: ScanRecord | None = None,
        has_options: bool = True,
    ) -> None:
        """A decoder of the columns `wanted` of a `table`, which has no others unless they are given.

        Its errors advise the options of a scan, unless its caller has none.
        """
        table = wanted if table is None else table
        whole = [column for column in table if not column.path and column not in wanted]  # then records are no objects
        self._columns = tuple(column for column in (*wanted, *whole) if not column.is_rest)
        self._shape_of = functools.lru_cache(maxsize=8)(functools.partial(shape_of, self._columns))  # hashes no columns
        self._schema = pa.schema([(column.name, storage_type(column.type)) for column in wanted])
        self._rest = next((column.name for column in wanted if column.is_rest), None)
        self._known = known_fields(table)
        self._nulls_misfits = on_drift == "null"
        self._record = ScanRecord() if record is None else record
        self._has_options = has_options
        self._modes: tuple[Mode, ...] = ("strict", "lenient")
        self._unseen: slice | None = None  # the records of a page whose fields are looked at
        if len(wanted) == len(table):
            has_inferred = on_drift == "text" or not all(column.declared for column in table)
            self._modes = ("closed", *self._modes) if has_inferred else self._modes
            self._unseen = slice(None) if has_inferred else slice(-1, None)
        self._lenient_pages = 0

    def decode(self, page: Page, fills: Mapping[str, object]) -> pa.RecordBatch:
        """The records of `page` in storage types; a column of `fills` that a record lacks has its value.

        Raises SchemaDriftError that names page, record, column and value.
        """
        self._record.pages += 1
        if not self._schema.names:  # no column was asked for, only how many rows there are
            with _naming(page):
                return pa.RecordBatch.from_struct_array(pa.array([{}] * len(page.envelope.records), pa.struct([])))
        arrays, mode = self._read(page, {name.lower(): value for name, value in fills.items()})
        if self._rest is not None:
            arrays[self._rest] = self._read_rest(page)
        elif mode != "closed":
            self._count_unseen(page)
        return pa.RecordBatch.from_arrays([arrays[name] for name in self._schema.names], schema=self._schema)

    def _read(self, page: Page, fills: Mapping[str, object]) -> tuple[dict[str, pa.Array], Mode]:
        """The columns by name, read in the first mode that takes the page."""
        if not self._columns:
            return {}, "strict"
        for mode in self._modes:
            misfits = Misfits() if self._nulls_misfits and mode == "lenient" else None
            try:
                arrays = _arrays(page, self._shape_of(frozenset(fills), mode=mode), Filling(fills, misfits))
            except Misfit:
                continue
            except msgspec.ValidationError as error:
                if mode == "lenient":  # a number that no double can hold
                    raise DecodeError(_unreadable(page, error)) from None
                continue
            self._note(mode, misfits)
            return arrays, mode
        with _naming(page):
            try:
                message = _drift(page, self._columns, has_options=self._has_options)
            except msgspec.ValidationError as error:  # a number that no double can hold, in an earlier column
                raise DecodeError(_unreadable(page, error)) from None
        raise SchemaDriftError(message)

    def _note(self, mode: Mode, misfits: Misfits | None) -> None:
        """Count what did not fit; give the strict modes up where they fail again and again."""
        if misfits is not None and misfits.count:
            told = sum(misfits.by_column.values())
            self._record.drifted.update(+misfits.by_column)
            if misfits.count > told:
                self._record.drifted["(record)"] += misfits.count - told
        self._lenient_pages = self._lenient_pages + 1 if mode == "lenient" else 0
        if self._lenient_pages == _PATIENCE:
            self._modes = ("lenient",)

    def _count_unseen(self, page: Page) -> None:
        """Count the fields without a column, where all columns are read: whoever projects does not miss any."""
        if self._unseen is None or not isinstance(self._known, Mapping):
            return
        names = Counter[str]()
        with _naming(page):
            for raw in page.envelope.records[self._unseen]:
                names.update(field_names(rest_of(raw, self._known)))
        if names:
            self._record.unseen.update(names)
            self._modes = tuple(mode for mode in self._modes if mode != "closed")

    def _read_rest(self, page: Page) -> pa.Array:
        with _naming(page):
            rests = [rest_of(raw, self._known) for raw in page.envelope.records]
            texts = [None if rest is None else msgspec.json.encode(rest).decode() for rest in rests]
            for text in texts:
                if text is not None:
                    _read_json(text)  # a Raw is delimited, not validated
        return pa.array(texts, pa.string())


def _arrays(page: Page, shape: Shape, filling: Filling) -> dict[str, pa.Array]:
    """The columns of `page` by name. Raises Misfit or msgspec.ValidationError where its records are not of `shape`."""
    with _naming(page):
        return dict(shape.read(shape.decoder.decode(page.envelope.text), filling))


def read_records(page: Page) -> list[Any]:
    """The page's records as Python values. Raises DecodeError where one is not JSON."""
    with _naming(page):
        return list(_read_json(page.envelope.text))


def json_records(page: Page) -> list[str]:
    """The page's records as JSON texts. Raises DecodeError where one is not JSON."""
    read_records(page)
    return [bytes(record).decode() for record in page.envelope.records]


def _read_json(text: str | Raw) -> Any:  # noqa: ANN401 - any JSON value
    """The value of `text`. Raises msgspec.DecodeError where it is not JSON, or a number that no double can hold."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError as error:
        raise msgspec.DecodeError(str(error)) from None


def _unreadable(page: Page, error: Exception) -> str:
    return f"{page.url}, page {page.number}: a record is not JSON that can be read: {error}"


@contextmanager
def _naming(page: Page) -> Iterator[None]:
    """While inside, what is not JSON is a DecodeError that names the page."""
    try:
        yield
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(_unreadable(page, error)) from None
    except DecodeError as error:
        message = f"{page.url}, page {page.number}: {error}"
        raise DecodeError(message) from None
    except RecursionError:
        message = f"{page.url}, page {page.number}: a record is nested too deeply"
        raise DecodeError(message) from None


def _drift(page: Page, columns: Sequence[Column], *, has_options: bool) -> str:
    """What the first record that does not fit has, and what to write so that it does."""
    columns = [column for column in columns if not column.path] or columns  # beside a whole one all others are fills
    number, record, column = next(
        (number, record, column)
        for number, record in enumerate(page.envelope.records, 1)
        for column in columns
        if not _fits(record, column)
    )
    raw, is_reached = record, True
    for step in column.path:  # raw, for a field beside it may be one that no reader takes
        is_reached = bytes(memoryview(raw)[:1]) == b"{"
        if not is_reached:
            break
        raw = msgspec.json.decode(raw, type=dict[str, Raw]).get(step, Raw(b"null"))
    value, text = msgspec.json.decode(raw), _text_of(raw)
    name = column.name.replace("'", "''")
    where = f"{page.url}, page {page.number}, record {number}: {column.name} = {page.shown(text)}"
    if bytes(memoryview(record)[:1]) == b"[":
        else_ = ", or on_drift := 'null'" if has_options else ""
        return f"{where}: the record is a list. Ask the API for objects, say another data_path{else_}."
    wider = f"types := {{'{name}': '{_wider(value, column.type)}'}}, or the same where columns are declared, or "
    if not has_options:
        return f"{where} does not fit {column.type}. Declare {_wider(value, column.type) if is_reached else 'JSON'}."
    return f"{where} does not fit {column.type}. Say {wider if is_reached else ''}on_drift := 'null'."


def _text_of(raw: Raw) -> str:
    return bytes(raw).decode(errors="replace")


def _fits(record: Raw, column: Column) -> bool:
    shape = shape_of((column,), frozenset(), mode="lenient")
    try:
        dict(shape.read(shape.decoder.decode(b"[" + bytes(record) + b"]"), Filling({})))
    except Misfit:
        return False
    return True


def _wider(value: Any, kind: ColumnType) -> str:  # noqa: ANN401 - any JSON value
    """A type that holds `value` and what `kind` has held before."""
    match kind, value:
        case (Scalar("INTEGER"), int()) if not isinstance(value, bool) and abs(value) < 2**63:
            return "BIGINT"
        case (Scalar("INTEGER" | "BIGINT"), int()) if not isinstance(value, bool) and abs(value) < 2**127:
            return "HUGEINT"
        case (Scalar("INTEGER" | "BIGINT"), float()):
            return "DOUBLE"
        case (Scalar(), str() | int() | float()):
            return "VARCHAR"
        case _:
            return "JSON"


def as_declared(array: pa.Array, kind: ColumnType) -> pa.Array:
    """`array`, of the storage type of `kind`, as its own type."""
    own = arrow_type(kind)
    if own == array.type:
        return array
    match kind:
        case Scalar():
            return pa.ExtensionArray.from_storage(own, array)
        case Struct(fields):
            children = [as_declared(array.field(index), field) for index, (_, field) in enumerate(fields)]
            return pa.StructArray.from_arrays(children, fields=list(own), mask=array.is_null())
        case ListOf(element):
            values = as_declared(array.values, element)
            return pa.ListArray.from_arrays(array.offsets, values, type=own, mask=array.is_null())
