"""What is decoded of a page: msgspec types generated for exactly the wanted fields, and how they become columns.

Everything else in the body is skipped without becoming an object. A strict shape takes the usual values only, and is
fast; a lenient one takes any value for any field, and each is then read by itself.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any, Literal, NamedTuple, assert_never, get_origin

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import VARCHAR, Column, ColumnType, ListOf, Scalar, Struct
from apikit_sql.errors import CallError
from apikit_sql.scan.scalars import Misfit, Misfits, Reading, of_kind, scalars, storage_type

Raw = msgspec.Raw
#: How much is taken: the usual values and no unknown field; the usual values; any value for any field.
Mode = Literal["closed", "strict", "lenient"]


class Filling(NamedTuple):
    """What stands in for what a page does not have: values of columns that records lack, and NULL for misfits."""

    fills: Mapping[str, object]  # by column, in lower case
    misfits: Misfits | None = None  # None where one is an error


#: How decoded values become an array.
ReadValues = Callable[[Sequence[Any], Misfits | None], pa.Array]
#: How decoded records become columns by name.
ReadRecords = Callable[[Sequence[Any], Filling], Iterator[tuple[str, pa.Array]]]

_ODD_KEY = re.compile(r'["\\\x00-\x1f]')  # msgspec names no field of a Struct so
_AS_ASKED = Reading(declared=True, format="")

_LACKING = Raw(b"null")  # known by identity: what a record has not, where that differs from null

_check_json = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Shape:
    """What is decoded of a page: the generated types of its records, and how such records become columns."""

    decoder: msgspec.json.Decoder[list[Any]]
    read: ReadRecords


@functools.lru_cache(maxsize=64)
def shape_of(columns: tuple[Column, ...], filled: frozenset[str], *, mode: Mode) -> Shape:
    """The shape of records with `columns`, of which those `filled` may be lacking."""
    whole = next((column for column in columns if not column.path), None)
    if whole is not None:
        kind, read = _value(whole.type, Reading(whole.declared, whole.format), mode=mode)
        read_column = _column_reader(whole, read, is_filled=False)
        others = [column for column in columns if column.path]

        def read_whole(records: Sequence[Any], filling: Filling) -> Iterator[tuple[str, pa.Array]]:
            yield from read_column(records, filling)
            for column in others:
                one = _fill(column, filling.fills)
                yield column.name, pa.concat_arrays([one] * len(records) or [one[:0]])

        return Shape(msgspec.json.Decoder(list[kind]), read_whole)  # type: ignore[valid-type]
    tree: dict[str, Any] = {}
    for column in columns:
        inner = tree
        for step in column.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[column.path[-1]] = column
    struct, read_object = _object(tree, filled, mode=mode)
    return Shape(msgspec.json.Decoder(list[_or_other(struct, mode=mode)]), read_object)  # type: ignore[misc]


def _object(tree: Mapping[str, Any], filled: frozenset[str], *, mode: Mode) -> tuple[Any, ReadRecords]:
    """The type of objects with the fields of `tree`, columns or objects of columns, and how they become columns."""
    fields: list[tuple[str, Any, object]] = []
    readers: list[tuple[int, ReadRecords]] = []
    alike: dict[pa.DataType, list[tuple[int, str]]] = {}  # columns whose decoded values Arrow takes as they are
    for number, (key, part) in enumerate(tree.items()):
        default: object = None
        if isinstance(part, Column):
            reading, is_filled = Reading(part.declared, part.format), part.name.lower() in filled
            kind, read_values = _value(part.type, reading, mode=mode)
            if is_filled:
                kind, default, read_values = Raw, _LACKING, _raw_reader(_scalar(part), reading)
            if kind is not Raw and kind is not Any and part.type in _TAKEN_AS_THEY_ARE:
                alike.setdefault(storage_type(part.type), []).append((number, part.name))
            else:
                readers.append((number, _column_reader(part, read_values, is_filled=is_filled)))
        else:
            inner, read_inner = _object(part, filled, mode=mode)
            kind = _or_other(inner, mode=mode)
            readers.append((number, read_inner))
        fields.append((key, kind, default))
    struct, columns_of = _transposed(fields, is_closed=mode == "closed")

    def read(records: Sequence[Any], filling: Filling) -> Iterator[tuple[str, pa.Array]]:
        sequences = columns_of(records, filling.misfits)
        for kind, columns in alike.items():
            yield from _arrays_of(kind, columns, sequences)
        for number, read_part in readers:
            yield from read_part(sequences[number], filling)

    return struct, read


def _arrays_of(
    kind: pa.DataType, columns: Sequence[tuple[int, str]], sequences: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, pa.Array]]:
    """The columns of one type, each by its number in `sequences`: made together, for a call costs more than work."""
    try:
        whole = pa.array(list(chain.from_iterable(sequences[number] for number, _ in columns)), kind)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        raise Misfit from None
    length = len(whole) // len(columns)
    for index, (_, name) in enumerate(columns):
        yield name, whole.slice(index * length, length)


def _column_reader(column: Column, read_values: ReadValues, *, is_filled: bool) -> ReadRecords:
    """How the values of one column become its array; where it is filled, it is filled where a record lacks it."""

    def read(values: Sequence[Any], filling: Filling) -> Iterator[tuple[str, pa.Array]]:
        if filling.misfits is None:
            yield column.name, read_values(values, None)
        else:
            own = Misfits()
            yield column.name, read_values(values, own)
            filling.misfits.add(column.name, own)

    def read_filled(values: Sequence[Any], filling: Filling) -> Iterator[tuple[str, pa.Array]]:
        lacking = [value is _LACKING for value in values]
        ((_, array),) = read([None if value is _LACKING else value for value in values], filling)
        yield column.name, pc.if_else(pa.array(lacking, pa.bool_()), _fill(column, filling.fills)[0], array)

    return read_filled if is_filled else read


def _transposed(
    fields: Sequence[tuple[str, Any, object]], *, is_closed: bool
) -> tuple[Any, Callable[[Sequence[Any], Misfits | None], Sequence[Sequence[Any]]]]:
    """The type of objects with `fields` (key, type, default), and how many of them become one sequence a field.

    A None among the objects is a None in each sequence. A closed type takes no other field.
    """
    if any(_ODD_KEY.search(key) for key, *_ in fields):
        decoders = [(key, msgspec.json.Decoder(kind), default) for key, kind, default in fields]
        return dict[str, Raw], functools.partial(_picked, decoders, is_closed)
    names = [f"f{number}" for number in range(len(fields))]
    struct = msgspec.defstruct(
        "Record",
        [(name, t, msgspec.field(default=d, name=k)) for name, (k, t, d) in zip(names, fields, strict=True)],
        gc=False,
        forbid_unknown_fields=is_closed,
    )
    get = attrgetter(*names) if len(names) > 1 else lambda record: (record.f0,)
    blank = (None,) * len(names)

    def transpose(records: Sequence[Any], misfits: Misfits | None) -> Sequence[Sequence[Any]]:
        records = of_kind(struct, records, misfits)
        has_null = type(None) in set(map(type, records))
        rows = (blank if r is None else get(r) for r in records) if has_null else map(get, records)
        return list(zip(*rows, strict=True)) if records else [()] * len(names)

    return struct, transpose


def _picked(
    fields: Sequence[tuple[str, msgspec.json.Decoder[Any], object]],
    is_closed: bool,  # noqa: FBT001 - bound by partial
    records: Sequence[Any],
    misfits: Misfits | None,
) -> Sequence[Sequence[Any]]:
    """The same for objects with a key that no Struct can have: they come as raw values by key."""
    records = of_kind(dict, records, misfits)
    if is_closed and any(record and record.keys() - {key for key, *_ in fields} for record in records):
        raise Misfit
    return [
        [decoder.decode(record[key]) if record and key in record else default for record in records]
        for key, decoder, default in fields
    ]


def _value(kind: ColumnType, reading: Reading, *, mode: Mode) -> tuple[Any, ReadValues]:
    """The Python type that a value of `kind` is decoded to, and how such values become an array."""
    match kind:
        case Scalar("JSON"):
            return Raw, _json_texts
        case Scalar("VARCHAR") if reading.declared and mode == "lenient":
            return Raw, _verbatim_texts
        case Scalar(name):
            python = Any if mode == "lenient" or reading.format else _USUAL[name]
            return python, lambda values, misfits: scalars(values, kind, reading, misfits)
        case ListOf(element):
            inner, read = _value(element, reading, mode=mode)
            return _or_other(list[inner], mode=mode), functools.partial(_lists, kind, read)  # type: ignore[valid-type]
        case Struct(fields):
            tree = {name: Column(name, field, (name,), reading.declared, reading.format) for name, field in fields}
            struct, read_object = _object(tree, frozenset(), mode=mode)
            return _or_other(struct, mode=mode), functools.partial(_structs, kind, struct, read_object)
        case _:
            assert_never(kind)


#: What the usual values of a scalar are decoded to.
_USUAL: dict[str, Any] = {
    "BOOLEAN": bool | None,
    "INTEGER": int | None,
    "BIGINT": int | None,
    "HUGEINT": int | None,
    "DOUBLE": float | int | None,
    "VARCHAR": str | None,
    "DATE": str | None,
    "TIMESTAMP": str | None,
    "TIMESTAMPTZ": str | None,
}


#: Of these, the ones that Arrow converts without a further look: what does not fit raises.
_TAKEN_AS_THEY_ARE = frozenset({Scalar("BOOLEAN"), Scalar("INTEGER"), Scalar("BIGINT"), VARCHAR})


def _or_other(kind: Any, *, mode: Mode) -> Any:  # noqa: ANN401 - types made at run time
    """`kind` or null; leniently, any other JSON value too."""
    if mode != "lenient":
        return kind | None
    others = bool | int | float | str | None
    return kind | others | (dict[str, Any] if get_origin(kind) is list else list[Any])  # no union has two of a kind


def _json_texts(values: Sequence[Any], _: Misfits | None) -> pa.Array:
    """The values' own JSON texts; null, and a field of an object that is null, is NULL."""
    texts = [None if value is None or (own := str(value, "utf-8")) == "null" else own for value in values]
    for text in texts:
        if text is not None:
            _check_json(text)  # a Raw is delimited, not validated
    return pa.array(texts, pa.string())


def _raw_reader(kind: Scalar, reading: Reading) -> ReadValues:
    """How values that are still raw become an array of scalars."""
    if kind == VARCHAR and reading.declared:
        return _verbatim_texts
    return lambda values, misfits: scalars(
        [None if v is None else _check_json(v) for v in values], kind, reading, misfits
    )


def _verbatim_texts(values: Sequence[Any], _: Misfits | None) -> pa.Array:
    """Texts as they are, any other value as its own JSON text: a number keeps its digits."""
    texts = [None if value is None else bytes(value).decode() for value in values]
    read = [text if text is None else _check_json(text) for text in texts]
    return pa.array([v if v is None or type(v) is str else t for t, v in zip(texts, read, strict=True)], pa.string())


def _lists(kind: ListOf, read: ReadValues, values: Sequence[Any], misfits: Misfits | None) -> pa.Array:
    values = of_kind(list, values, misfits)
    offsets = [0, *accumulate(0 if value is None else len(value) for value in values)]
    inner = read([each for value in values if value is not None for each in value], misfits)
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, type=storage_type(kind), mask=mask)


def _structs(kind: Struct, struct: type, read: ReadRecords, values: Sequence[Any], misfits: Misfits | None) -> pa.Array:
    values = of_kind(get_origin(struct) or struct, values, misfits)
    by_name = dict(read(values, Filling({}, misfits)))
    children = [by_name[name] for name, _ in kind.fields]
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=list(storage_type(kind)), mask=mask)


def _fill(column: Column, fills: Mapping[str, object]) -> pa.Array:
    """What `column` has where records lack it, as an array of one. Raises CallError where it cannot have that."""
    value = fills.get(column.name.lower())
    try:
        return scalars([as_json(value)], _scalar(column), _AS_ASKED)
    except Misfit:
        message = f"the key {column.name} = {value!r} is no {column.type}."
        raise CallError(message) from None


def _scalar(column: Column) -> Scalar:
    """The type of a key column, which is never nested."""
    assert isinstance(column.type, Scalar)  # noqa: S101 - predicates are on scalars only
    return column.type


def as_json(value: object) -> object:
    """A value of DuckDB's as JSON has it: times as ISO 8601 text."""
    return value.isoformat() if isinstance(value, dt.date) else value
