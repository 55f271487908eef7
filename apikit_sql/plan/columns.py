"""Which columns a call declares, and which its keys add to the declared or inferred ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apikit_sql.column_types import EXTRA, JSON, Column, Scalar, parse_type
from apikit_sql.connector.manifest import ColumnConfig, KeyColumn, Stream
from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call
from apikit_sql.plan.predicate import Value
from apikit_sql.plan.request_plan import Keys

_BIGINT_BITS, _HUGEINT_BITS, _DOUBLE_BITS = 63, 127, 53


def declared_columns(call: Call, stream: Stream) -> tuple[Column, ...] | None:
    """The columns that the call declares, else the stream's with the types of the call; None where none are declared.

    Raises CallError where the options do not fit together.
    """
    chosen = call.columns or {**stream.columns} or None
    if chosen is None:
        return None
    if not call.columns:
        unknown = call.types.keys() - chosen.keys()
        if unknown:
            message = f"apikit: types has {min(unknown)!r}, which is no column of {call.path!r}."
            raise CallError(message)
        chosen = {**chosen, **call.types}
    elif call.types:
        message = "apikit: columns is the whole schema; say types := {...} only where columns are inferred."
        raise CallError(message)
    if len({name.lower() for name in chosen}) < len(chosen):
        message = "apikit: two of the declared columns differ by case only, which DuckDB does not tell apart."
        raise CallError(message)
    return tuple(column_of(name, config) for name, config in chosen.items())


def column_of(name: str, config: ColumnConfig) -> Column:
    """The declared column of this name."""
    return Column(name, parse_type(config.type), (name,), declared=True, format=config.format)


def with_key_columns(columns: tuple[Column, ...], keys: tuple[KeyColumn, ...]) -> tuple[Column, ...]:
    """`columns` and one for each required key that they lack; the scan fills it with the key's value."""
    names = {column.name.lower(): column for column in columns}
    for key in keys:
        column = names.get(key.column.lower())
        if key.required and column is not None and not (isinstance(column.type, Scalar) and column.type != JSON):
            message = f"apikit: {column.name} is a key column; it must be of a plain type, not {column.type}."
            raise CallError(message)
    lacking = {key.column: key for key in keys if key.required and key.column.lower() not in names}
    return columns + tuple(Column(name, parse_type(key.type), (name,), declared=True) for name, key in lacking.items())


def operators_by_column(keys: Iterable[KeyColumn]) -> dict[str, list[str]]:
    """The operators that an API answers, by the column's name in lower case; of a STRUCT's field with its name."""
    found: dict[str, list[str]] = {}
    for key in keys:
        name, _, inner = key.column.lower().partition(".")
        told = (f"{operator} of {inner}" if inner else operator for operator in key.operators)
        found[name] = list(dict.fromkeys((*found.get(name, ()), *told)))
    return found


def columns_of_keys(
    tuples: tuple[Keys, ...] | None, keys: tuple[KeyColumn, ...], declared: tuple[KeyColumn, ...]
) -> tuple[Column, ...]:
    """A column for each name of the keys that a call gives: of its type where it is `declared`, else as wide as needed.

    Raises CallError for one that no request can carry.
    """
    known = {key.column.lower(): key for key in keys if "=" in key.operators}
    fields = []
    for name in (name for name, _ in tuples[0]) if tuples else ():
        key = known.get(name.lower())
        if key is None:
            have = ", ".join(sorted(column.column for column in known.values())) or "none"
            message = (
                f"apikit: keys has {name!r}, which is neither a {{field}} of the path nor a key column (there are: "
                f"{have}). Say filters := {{'{name}': 'parameter'}} beside it."
            )
            raise CallError(message)
        values = [value for pairs in tuples or () for other, value in pairs if other == name]
        kind = key.type if key.type != "VARCHAR" or key in declared else _narrowest(values)
        fields.append(Column(name, parse_type(kind), (name,), declared=True))
    return tuple(fields)


def _narrowest(values: Sequence[Value]) -> str:
    """The narrowest type that holds every one of a key's values exactly."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "BOOLEAN"
    whole = [value for value in values if type(value) is int]
    if kinds == {int}:
        bits = max(value.bit_length() for value in whole)
        return "BIGINT" if bits <= _BIGINT_BITS else "HUGEINT" if bits <= _HUGEINT_BITS else "VARCHAR"
    are_exact = all(value.bit_length() <= _DOUBLE_BITS for value in whole)
    return "DOUBLE" if kinds <= {int, float} and are_exact else "VARCHAR"


def with_key_fields(columns: tuple[Column, ...], fields: tuple[Column, ...]) -> tuple[Column, ...]:
    """`columns` and those of `fields`, which show the values of `keys`, that are not among them.

    Raises CallError for one that is, but of a type that no key can be compared with.
    """
    by_name = {column.name.lower(): column for column in columns}
    for field in fields:
        column = by_name.get(field.name.lower())
        if column is not None and (column.type == JSON or not isinstance(column.type, Scalar)):
            message = (
                f"apikit: keys has {field.name!r}, but the records have a {column.name} of type {column.type}. "
                "Name the {field} of the path otherwise."
            )
            raise CallError(message)
    return columns + tuple(field for field in fields if field.name.lower() not in by_name)


def with_extra(columns: tuple[Column, ...], *, is_wanted: bool) -> tuple[Column, ...]:
    """`columns`, and the one of the fields that none of them has. Raises CallError where its name is taken."""
    if is_wanted and any(column.name.lower() == EXTRA.name for column in columns):
        message = f"apikit: extra := true adds the column {EXTRA.name}, but one of this name is declared."
        raise CallError(message)
    return (*columns, EXTRA) if is_wanted else columns
