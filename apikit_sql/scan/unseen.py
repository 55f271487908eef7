"""The fields of records that no column has: what is left of a record beside its columns.

Records stay raw: a field that nobody asked for is kept or counted as it came, digit by digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

import msgspec

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct

Raw = msgspec.Raw
#: What is known of a value: fields of an object, elements of a list, or None where all of it is in a column.
Known = Mapping[str, "Known"] | tuple["Known"] | None
#: What is left: fields of an object, elements of a list, or a value as it came.
Rest = dict[str, "Rest"] | list["Rest"] | Raw


def known_fields(columns: Iterable[Column]) -> Known:
    """What `columns` have of a record."""
    known: dict[str, Any] = {}
    for column in columns:
        if column.is_rest:
            continue
        if not column.path:
            return None
        inner = known
        for step in column.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[column.path[-1]] = _known(column.type)
    return known


def _known(kind: ColumnType) -> Known:
    match kind:
        case Scalar():
            return None
        case Struct(fields):
            return {name: _known(field) for name, field in fields}
        case ListOf(element):
            inner = _known(element)
            return None if inner is None else (inner,)
        case _:
            assert_never(kind)


def rest_of(raw: Raw, known: Known) -> Rest | None:
    """What `raw` has beside what is known of it, None where that is nothing.

    In a list with such elements the others are `{}`.
    """
    first = bytes(memoryview(raw)[:1])
    if isinstance(known, Mapping) and first == b"{":
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
        left = {name: value if name not in known else rest_of(value, known[name]) for name, value in fields.items()}
        return {name: value for name, value in left.items() if value is not None} or None
    if isinstance(known, tuple) and first == b"[":
        elements = [rest_of(value, known[0]) for value in msgspec.json.decode(raw, type=tuple[Raw, ...])]
        return [{} if value is None else value for value in elements] if any(elements) else None
    return None  # a value of another kind is not unseen: it does not fit its column


def field_names(rest: Rest | None, inside: str = "") -> Iterator[str]:
    """The dotted names of the fields in `rest`."""
    if isinstance(rest, dict):
        for name, value in rest.items():
            here = f"{inside}.{name}" if inside else name
            if isinstance(value, Raw):
                yield here
            else:
                yield from field_names(value, here)
    elif isinstance(rest, list):
        for value in rest:
            yield from field_names(value, inside)
