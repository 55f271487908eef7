"""Declared or sampled columns as one Arrow schema.

Inference never guesses: a type is taken where every sampled value has it exactly, and JSON, which holds anything,
where they differ or where all are null.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, assert_never

import pyarrow as pa

from apikit_sql.column_types import EXTRA, JSON, VARCHAR, Column, ColumnType, ListOf, Scalar, Struct
from apikit_sql.errors import CallError
from apikit_sql.flatten import DEEPEST, distinct_names, field_name, fields_of, have_columns
from apikit_sql.plan.columns import with_key_fields
from apikit_sql.plan.request_plan import ScanPlan

#: Integers up to here are exact as DOUBLE.
EXACT_IN_DOUBLE = 2**53
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6}0*)?")
_TIMESTAMPTZ = re.compile(_TIMESTAMP.pattern + r"(?:[Zz]|[+-]\d\d:?\d\d)")

_ARROW = {
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "HUGEINT": pa.opaque(pa.binary(16), "hugeint", "DuckDB"),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "JSON": pa.json_(),
}


@functools.cache
def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type that DuckDB reads as `kind`."""
    match kind:
        case Scalar(name):
            return _ARROW[name]
        case Struct(fields):
            return pa.struct([(name, arrow_type(field)) for name, field in fields])
        case ListOf(element):
            return pa.list_(arrow_type(element))


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The columns as DuckDB sees them."""
    return pa.schema([(column.name, arrow_type(column.type)) for column in columns])


def infer_columns(plan: ScanPlan, records: Sequence[Any]) -> tuple[Column, ...]:
    """The columns of the sampled `records`, with the types that `plan` overrides.

    Raises CallError where there are none, or where `types` names a column that is not among them.
    """
    if not records:
        message = (
            f"{plan.request.connector}: {plan.request.path} has no records to infer columns from. "
            "Declare them: columns := {'id': 'BIGINT', 'name': 'VARCHAR'}, or read more: sample_pages := 3."
        )
        raise CallError(message)
    if all(isinstance(record, dict) for record in records):
        fields = list(_fields(records, plan))
    else:
        fields = [Column("value", _inferred(records, plan), ())]
    if not fields:
        fields = [Column("value", JSON, ())]
    columns = _with_types(plan, _distinct(fields))
    if plan.on_drift == "text":
        columns = tuple(replace(c, type=_as_text(c.type), declared=True, format="") for c in columns)
    of_keys = {field.name.lower(): field for field in plan.key_fields}
    columns = tuple(  # one that is null in the whole sample is what its key is
        replace(c, type=field.type, declared=True) if c.type == JSON and (field := of_keys.get(c.name.lower())) else c
        for c in columns
    )
    columns = with_key_fields(columns, plan.key_fields)
    return _distinct((*columns, EXTRA)) if plan.extra else columns


def _as_text(kind: ColumnType) -> ColumnType:
    """`kind` with VARCHAR, which holds any value, in place of every scalar but JSON, which does so too."""
    match kind:
        case Scalar():
            return kind if kind == JSON else VARCHAR
        case Struct(fields):
            return Struct(tuple((name, _as_text(field)) for name, field in fields))
        case ListOf(element):
            return ListOf(_as_text(element))
        case _:
            assert_never(kind)


def _fields(records: Sequence[dict[str, Any]], plan: ScanPlan) -> Iterable[Column]:
    """A column for each field; with nested := 'flatten', for each field of objects inside, too."""
    for path, values in fields_of(records, are_flat=plan.nested == "flatten"):
        yield Column(field_name(path), _inferred(values, plan), path)


def _inferred(values: Sequence[Any], plan: ScanPlan) -> ColumnType:
    kind = infer_type(values)
    return kind if plan.nested == "struct" or isinstance(kind, Scalar) else JSON


def _distinct(columns: Iterable[Column]) -> tuple[Column, ...]:
    """The columns with names that differ also without case, as DuckDB compares them."""
    found = list(columns)
    names = distinct_names(column.name for column in found)
    return tuple(replace(column, name=name) for column, name in zip(found, names, strict=True))


def _with_types(plan: ScanPlan, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    overrides = {column.name.lower(): column for column in plan.types}
    unknown = overrides.keys() - {column.name.lower() for column in columns}
    if unknown:
        names = ", ".join(column.name for column in columns)
        where = f"{plan.request.connector} {plan.request.path}"
        message = f"{where}: types has {min(unknown)!r}, which is none of its columns ({names})."
        raise CallError(message)
    return tuple(
        replace(c, type=chosen.type, declared=True, format=chosen.format)
        if (chosen := overrides.get(c.name.lower()))
        else c
        for c in columns
    )


def infer_type(values: Iterable[Any], depth: int = 0) -> ColumnType:
    """The narrowest type that holds every one of `values` exactly; nulls fit all."""
    seen = [value for value in values if value is not None]
    kinds = set(map(type, seen))
    if kinds == {bool}:
        return Scalar("BOOLEAN")
    if kinds == {int}:
        return _integers(seen)
    if kinds and kinds <= {int, float}:
        return Scalar("DOUBLE") if all(abs(v) <= EXACT_IN_DOUBLE for v in seen if type(v) is int) else JSON
    if kinds == {str}:
        return _texts(seen)
    if kinds == {dict} and depth < DEEPEST:
        return _objects(seen, depth)
    if kinds == {list} and depth < DEEPEST:
        return ListOf(infer_type((element for value in seen for element in value), depth + 1))
    return JSON


def _integers(values: list[int]) -> ColumnType:
    low, high = min(values), max(values)
    if low >= -(2**63) and high < 2**63:
        return Scalar("BIGINT")
    return Scalar("HUGEINT") if low > -(2**127) and high < 2**127 else JSON


def _texts(values: list[str]) -> ColumnType:
    for pattern, name in ((_TIMESTAMPTZ, "TIMESTAMPTZ"), (_DATE, "DATE"), (_TIMESTAMP, "TIMESTAMP")):
        if all(pattern.fullmatch(value) for value in values):
            return Scalar(name) if all(_is_real(value) for value in values) else VARCHAR  # type: ignore[arg-type]
    return VARCHAR


def _is_real(text: str) -> bool:
    """Whether a text of a date's or time's shape is one (2026-02-30 is not)."""
    try:
        moment = dt.datetime.fromisoformat(text.upper())
        _ = moment.tzinfo and moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _objects(values: list[dict[str, Any]], depth: int) -> ColumnType:
    if not have_columns(values):
        return JSON
    keys = dict.fromkeys(key for value in values for key in value)
    return Struct(tuple((key, infer_type([value.get(key) for value in values], depth + 1)) for key in keys))
