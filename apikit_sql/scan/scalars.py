"""One value of strangers' JSON as one scalar of a column: exactly, or a misfit.

Nothing is rounded and nothing is guessed. Where a type was asked for (`declared`), a text that reads as the type
exactly is taken; where it was only observed, a value of another kind is a misfit.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import ColumnType, ListOf, Scalar, Struct, TimeFormat
from apikit_sql.scan.schema import EXACT_IN_DOUBLE, arrow_type

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ZONED = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,6})?0*([Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)", re.ASCII
)
_NAIVE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(\.\d{1,6})?0*)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_YEAR = "(0[1-9][0-9]{2}|[1-8][0-9]{3}|9[0-8][0-9]{2})"  # well within Python's, with any offset
_DAY, _CLOCK = _YEAR + "-[0-9]{2}-[0-9]{2}", r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
#: Texts that Arrow casts as they are, by the type they are cast to; any other is read by itself.
_CAST = {
    "DATE": f"^{_DAY}$",
    "TIMESTAMP": f"^{_DAY}[T ]{_CLOCK}$",
    "TIMESTAMPTZ": f"^{_DAY}[T ]{_CLOCK}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$",
}

_encode = msgspec.json.encode


class Misfit(Exception):  # noqa: N818 - a verdict, turned into SchemaDriftError where page and column are known
    """A value that its type cannot hold exactly."""


class Misfits:
    """The values read as NULL because they do not fit, where that is allowed: how many, and of which column."""

    def __init__(self) -> None:
        """None yet."""
        self.count = 0
        self.by_column: Counter[str] = Counter()

    def add(self, column: str, others: Misfits) -> None:
        """Take over `others`, which are of `column`."""
        self.count += others.count
        self.by_column[column] += others.count

    def null(self) -> object:
        """NULL, for one more value that does not fit."""
        self.count += 1
        return None


class Reading(NamedTuple):
    """How the values of one column are read: whether text may be cast, and how times are written."""

    declared: bool
    format: TimeFormat


def scalars(values: Sequence[Any], kind: Scalar, reading: Reading, misfits: Misfits | None = None) -> pa.Array:
    """`values`, None for NULL, as an array of the storage type of `kind`.

    One that does not fit is NULL and counted in `misfits`. Raises Misfit for it where there are none.
    """
    try:
        return _all_fitting(values, kind, reading)
    except (Misfit, pa.ArrowException, OverflowError, UnicodeEncodeError):
        if misfits is None:
            raise Misfit from None
    storage = storage_type(kind)
    _, read = _READERS[kind.name]
    return pa.array([_or_null(value, storage, read, reading, misfits) for value in values], storage)


def _all_fitting(values: Sequence[Any], kind: Scalar, reading: Reading) -> pa.Array:
    """`values` as an array, in the quickest way that their kinds allow."""
    exact, read = _READERS[kind.name]
    kinds = set(map(type, values)) - {type(None)}
    storage = storage_type(kind)
    if exact is not None and kinds <= {exact}:
        return pa.array(values, storage)
    if kinds <= {str} and kind.name in _CAST and not reading.format:
        texts = pa.array(values, pa.string())
        if pc.all(pc.match_substring_regex(texts, _CAST[kind.name]), min_count=0).as_py():
            return texts.cast(storage)
    return pa.array([None if v is None else read(v, reading) for v in values], storage)


def _or_null(
    value: Any,  # noqa: ANN401 - any JSON value
    storage: pa.DataType,
    read: Callable[[Any, Reading], Any],
    reading: Reading,
    misfits: Misfits,
) -> Any:  # noqa: ANN401 - whatever the type is read as
    try:
        found = None if value is None else read(value, reading)
        pa.scalar(found, storage)  # alone, so that it fails alone
    except (Misfit, pa.ArrowException, OverflowError, UnicodeEncodeError):
        return misfits.null()
    return found


def of_kind(kind: type, values: Sequence[Any], misfits: Misfits | None) -> Sequence[Any]:
    """`values`, each of `kind` or None; others are None and counted. Raises Misfit for them where none are allowed."""
    if set(map(type, values)) <= {kind, type(None)}:
        return values
    if misfits is None:
        raise Misfit
    return [value if value is None or type(value) is kind else misfits.null() for value in values]


def _boolean(value: Any, reading: Reading) -> bool:  # noqa: ANN401 - any JSON value
    if type(value) is bool:
        return value
    if reading.declared and value in ("true", "false"):
        return bool(value == "true")
    raise Misfit


def _integer(bits: int) -> Callable[[Any, Reading], int]:
    def read(value: Any, reading: Reading) -> int:  # noqa: ANN401 - any JSON value
        is_whole = type(value) is float and value.is_integer() and abs(value) < EXACT_IN_DOUBLE  # 2**53 may be rounded
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
_READERS: dict[str, tuple[type | None, Callable[[Any, Reading], Any]]] = {
    "BOOLEAN": (bool, _boolean),
    "INTEGER": (int, _integer(32)),
    "BIGINT": (int, _integer(64)),
    "HUGEINT": (None, _hugeint),
    "DOUBLE": (float, _double),
    "VARCHAR": (str, _varchar),
    "DATE": (None, _date),
    "TIMESTAMP": (None, _timestamp),
    "TIMESTAMPTZ": (None, _timestamptz),
}


@functools.cache
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
