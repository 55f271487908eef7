"""A page's records -> a batch of exactly the wanted columns: the gate between strangers' JSON and DuckDB.

Neither pyarrow nor DuckDB checks what a batch holds: a text where an integer was declared is garbage, columns in
another order crash the process. So every array is built from values checked here, one by one, and a value that does not
fit its column is SchemaDriftError, never rounded or dropped.

Arrays are in storage types (JSON as text, HUGEINT as 16 bytes) until the filter has been applied; `as_declared` then
gives them their own.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct, TimeFormat
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.scan.schema import EXACT_IN_DOUBLE, arrow_type

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ZONED = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,6})?0*([Zz]|[+-]\d\d(?::?\d\d)?)", re.ASCII)
_NAIVE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(\.\d{1,6})?0*)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHOWN = 80  # characters of a value that an error shows

_decode_record = msgspec.json.Decoder().decode
_encode = msgspec.json.encode


class Misfit(Exception):  # noqa: N818 - a verdict, turned into SchemaDriftError where page and column are known
    """A value that its type cannot hold exactly."""


class Reading(NamedTuple):
    """How the values of one column are read: whether text may be cast, and how times are written."""

    declared: bool
    format: TimeFormat


def read_records(page: Page) -> list[Any]:
    """The page's records as Python values. Raises DecodeError where one is not JSON."""
    try:
        return [_decode_record(record) for record in page.envelope.records]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{page.url}, page {page.number}: a record is not JSON that can be read: {error}"
        raise DecodeError(message) from None
    except RecursionError:
        message = f"{page.url}, page {page.number}: a record is nested too deeply"
        raise DecodeError(message) from None


def decode_page(page: Page, columns: Sequence[Column], fills: Mapping[str, object]) -> pa.RecordBatch:
    """The records of `page` as `columns`, in storage types; a column of `fills` that a record lacks has its value.

    Raises SchemaDriftError that names page, record, column and value.
    """
    records = read_records(page)
    arrays = [_filled(page, column, records, fills) for column in columns]
    schema = pa.schema([(column.name, storage_type(column.type)) for column in columns])
    if not columns:  # no column was asked for, only how many rows there are
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(records), pa.struct([])))
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    batch.validate(full=True)
    return batch


def _filled(page: Page, column: Column, records: list[Any], fills: Mapping[str, object]) -> pa.Array:
    array = _column(page, column, records)
    if column.name not in fills:
        return array
    (name,) = column.path
    lacking = pa.array([not (isinstance(record, dict) and name in record) for record in records], pa.bool_())
    fill = build([as_json(fills[column.name])], column.type, Reading(declared=True, format=""))[0]
    return pc.if_else(lacking, fill, array)


def _column(page: Page, column: Column, records: list[Any]) -> pa.Array:
    reading = Reading(column.declared, column.format)
    try:
        return build([_at(record, column.path) for record in records], column.type, reading)
    except (Misfit, pa.ArrowException, OverflowError, UnicodeEncodeError):
        raise SchemaDriftError(_drift(page, column, records, reading)) from None


def _at(record: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    for step in path:
        if record is None:
            return None
        if type(record) is not dict:
            raise Misfit
        record = record.get(step)
    return record


def as_json(value: object) -> object:
    """A value of DuckDB's as JSON has it: times as ISO 8601 text."""
    return value.isoformat() if isinstance(value, dt.date) else value


def _drift(page: Page, column: Column, records: list[Any], reading: Reading) -> str:
    """What the first record that does not fit has, and what to write so that it does."""
    number, record = next(
        (number, record) for number, record in enumerate(records, 1) if not _fits(record, column, reading)
    )
    name = column.name.replace("'", "''")
    return (
        f"{page.url}, page {page.number}, record {number}: {column.name} = {_shown(record, column)} does not fit "
        f"{column.type}. Say types := {{'{name}': '{_wider(record, column)}'}}, or the same where columns are declared."
    )


def _fits(record: Any, column: Column, reading: Reading) -> bool:  # noqa: ANN401 - any JSON value
    try:
        build([_at(record, column.path)], column.type, reading)
    except (Misfit, pa.ArrowException, OverflowError, UnicodeEncodeError):
        return False
    return True


def _wider(record: Any, column: Column) -> str:  # noqa: ANN401 - any JSON value
    """A type that holds the value of `record` and those that fitted the column before."""
    try:
        value = _at(record, column.path)
    except Misfit:
        return "JSON"
    match column.type, value:
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


def _shown(record: Any, column: Column) -> str:  # noqa: ANN401 - any JSON value
    try:
        value = _at(record, column.path)
    except Misfit:
        value = record
    text = _encode(value).decode(errors="replace")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def build(values: Sequence[Any], kind: ColumnType, reading: Reading) -> pa.Array:
    """`values`, None for NULL, as an array of the storage type of `kind`. Raises Misfit for one that does not fit."""
    match kind:
        case Struct(fields):
            if not set(map(type, values)) <= {dict, type(None)}:
                raise Misfit
            children = [
                build([None if v is None else v.get(name) for v in values], field, reading) for name, field in fields
            ]
            mask = pa.array([v is None for v in values], pa.bool_())
            return pa.StructArray.from_arrays(children, fields=list(storage_type(kind)), mask=mask)
        case ListOf(element):
            if not set(map(type, values)) <= {list, type(None)}:
                raise Misfit
            offsets = [0]
            for value in values:
                offsets.append(offsets[-1] + (0 if value is None else len(value)))
            inner = build([each for value in values if value is not None for each in value], element, reading)
            mask = pa.array([v is None for v in values], pa.bool_())
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, type=storage_type(kind), mask=mask)
        case Scalar(name):
            exact, read = _SCALARS[name]
            if exact is not None and set(map(type, values)) <= {exact, type(None)}:
                return pa.array(values, storage_type(kind))
            return pa.array([None if v is None else read(v, reading) for v in values], storage_type(kind))


def _boolean(value: Any, reading: Reading) -> bool:  # noqa: ANN401 - any JSON value
    if type(value) is bool:
        return value
    if reading.declared and value in ("true", "false"):
        return bool(value == "true")
    raise Misfit


def _integer(bits: int) -> Callable[[Any, Reading], int]:
    def read(value: Any, reading: Reading) -> int:  # noqa: ANN401 - any JSON value
        is_whole = type(value) is float and value.is_integer() and abs(value) <= EXACT_IN_DOUBLE
        if is_whole or (type(value) is str and reading.declared and _INTEGER.fullmatch(value)):
            value = int(value)
        if type(value) is not int or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise Misfit
        return value

    return read


def _hugeint(value: Any, reading: Reading) -> bytes:  # noqa: ANN401 - any JSON value
    return _integer(128)(value, reading).to_bytes(16, "little", signed=True)


def _double(value: Any, reading: Reading) -> float:  # noqa: ANN401 - any JSON value
    if type(value) is str and reading.declared and _NUMBER.fullmatch(value):
        value = int(value) if _INTEGER.fullmatch(value) else float(value)
    if type(value) is int and abs(value) <= EXACT_IN_DOUBLE:
        value = float(value)
    if type(value) is not float or value in (float("inf"), float("-inf")):
        raise Misfit
    return value


def _varchar(value: Any, reading: Reading) -> str:  # noqa: ANN401 - any JSON value
    if type(value) is str:
        return value
    if reading.declared:
        return _encode(value).decode()
    raise Misfit


def _json(value: Any, _: Reading) -> str:  # noqa: ANN401 - any JSON value
    return _encode(value).decode()


def _date(value: Any, _: Reading) -> Any:  # noqa: ANN401 - any JSON value
    if type(value) is not str or not _DATE.fullmatch(value):
        raise Misfit
    return _real(dt.date.fromisoformat, value)


def _timestamp(value: Any, reading: Reading) -> Any:  # noqa: ANN401 - any JSON value
    if reading.format:
        return _since_epoch(value, reading.format).replace(tzinfo=None)
    match = _NAIVE.fullmatch(value) if type(value) is str else None
    if match is None or not (match[2] or reading.declared):
        raise Misfit
    return _real(dt.datetime.fromisoformat, f"{match[1]}T{match[2] or '00:00:00'}{match[3] or ''}")


def _timestamptz(value: Any, reading: Reading) -> Any:  # noqa: ANN401 - any JSON value
    if reading.format:
        return _since_epoch(value, reading.format)
    match = _ZONED.fullmatch(value) if type(value) is str else None
    if match is None:
        raise Misfit
    return _real(dt.datetime.fromisoformat, f"{match[1]}T{match[2]}{match[3] or ''}{match[4].upper()}").astimezone(
        dt.UTC
    )


def _since_epoch(value: Any, time_format: TimeFormat) -> Any:  # noqa: ANN401 - any JSON value
    if type(value) is str and _NUMBER.fullmatch(value):
        value = int(value) if _INTEGER.fullmatch(value) else float(value)
    if type(value) not in {int, float}:
        raise Misfit
    seconds_per_unit = 1 if time_format == "epoch" else 1000
    microseconds = value * (1_000_000 // seconds_per_unit)
    return _real(lambda us: _EPOCH + dt.timedelta(microseconds=us), round(microseconds))


def _real(make: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401 - a date or a datetime
    try:
        return make(value)
    except (ValueError, OverflowError):
        raise Misfit from None


#: For each scalar: the Python type that pyarrow takes as it is, and how any other value is read.
_SCALARS: dict[str, tuple[type | None, Callable[[Any, Reading], Any]]] = {
    "BOOLEAN": (bool, _boolean),
    "INTEGER": (int, _integer(32)),
    "BIGINT": (int, _integer(64)),
    "HUGEINT": (None, _hugeint),
    "DOUBLE": (float, _double),
    "VARCHAR": (str, _varchar),
    "DATE": (None, _date),
    "TIMESTAMP": (None, _timestamp),
    "TIMESTAMPTZ": (None, _timestamptz),
    "JSON": (None, _json),
}


def storage_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type in which `kind` is held until it is given its own: JSON is text, HUGEINT is bytes."""
    match kind:
        case Scalar():
            own = arrow_type(kind)
            return own.storage_type if isinstance(own, pa.BaseExtensionType) else own
        case Struct(fields):
            return pa.struct([(name, storage_type(field)) for name, field in fields])
        case ListOf(element):
            return pa.list_(storage_type(element))


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
