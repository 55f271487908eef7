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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pyarrow as pa

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.scan.scalars import Misfit, storage_type
from apikit_sql.scan.schema import arrow_type
from apikit_sql.scan.shape import Raw, Shape, shape_of

_SHOWN = 80  # characters of a value that an error shows


def decode_page(page: Page, columns: Sequence[Column], fills: Mapping[str, object]) -> pa.RecordBatch:
    """The records of `page` as `columns`, in storage types; a column of `fills` that a record lacks has its value.

    Raises SchemaDriftError that names page, record, column and value.
    """
    if not columns:  # no column was asked for, only how many rows there are
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(page.envelope.records), pa.struct([])))
    fills = {name.lower(): value for name, value in fills.items()}
    wanted, filled = tuple(columns), frozenset(fills)
    try:
        arrays = _arrays(page, shape_of(wanted, filled, strict=True), fills)
    except (Misfit, msgspec.ValidationError):
        try:
            arrays = _arrays(page, shape_of(wanted, filled, strict=False), fills)
        except Misfit:
            raise SchemaDriftError(_drift(page, columns)) from None
        except msgspec.ValidationError as error:  # a number that no double can hold
            raise DecodeError(_unreadable(page, error)) from None
    schema = pa.schema([(column.name, storage_type(column.type)) for column in columns])
    return pa.RecordBatch.from_arrays([arrays[column.name] for column in columns], schema=schema)


def _arrays(page: Page, shape: Shape, fills: Mapping[str, object]) -> dict[str, pa.Array]:
    """The columns of `page` by name. Raises Misfit or msgspec.ValidationError where its records are not of `shape`."""
    with _naming(page):
        return dict(shape.read(shape.decoder.decode(page.envelope.text), fills))


def read_records(page: Page) -> list[Any]:
    """The page's records as Python values. Raises DecodeError where one is not JSON."""
    with _naming(page):
        try:
            return list(msgspec.json.decode(page.envelope.text))
        except msgspec.ValidationError as error:  # a number that no double can hold
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
    except RecursionError:
        message = f"{page.url}, page {page.number}: a record is nested too deeply"
        raise DecodeError(message) from None


def _drift(page: Page, columns: Sequence[Column]) -> str:
    """What the first record that does not fit has, and what to write so that it does."""
    number, record, column = next(
        (number, record, column)
        for number, record in enumerate(page.envelope.records, 1)
        for column in columns
        if not _fits(record, column)
    )
    value = functools.reduce(_step, column.path, msgspec.json.decode(record))
    text = msgspec.json.encode(value).decode(errors="replace")
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    name = column.name.replace("'", "''")
    return (
        f"{page.url}, page {page.number}, record {number}: {column.name} = {shown} does not fit {column.type}. "
        f"Say types := {{'{name}': '{_wider(value, column.type)}'}}, or the same where columns are declared."
    )


def _fits(record: Raw, column: Column) -> bool:
    shape = shape_of((column,), frozenset(), strict=False)
    try:
        dict(shape.read(shape.decoder.decode(b"[" + bytes(record) + b"]"), {}))
    except Misfit:
        return False
    return True


def _step(value: Any, key: str) -> Any:  # noqa: ANN401 - any JSON value
    """The field `key` of an object; anything else stays, for it is what does not fit."""
    return value.get(key) if isinstance(value, dict) else value


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
