"""Nested records as flat ones: the fields of objects as `a__b`, lists as JSON text.

One rule for SQL (`nested := 'flatten'`) and Python. An object is taken apart where every record that has it has one
with fields whose names are text, not empty, and differ without case, too; at most 200 of them, 24 levels deep.
Anything else that is nested is JSON text, and so is whatever stands in the same field of other records. A name that is
taken gets a number: `a__b_1`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from apikit_sql.errors import CallError

#: An object with more keys than this is taken for a map, whose keys are data.
MOST_FIELDS = 200
DEEPEST = 24

Path = tuple[str, ...]

_LACKING = object()


def flatten_dict(d: Mapping[str, Any], sep: str = "__") -> dict[str, Any]:
    """`d` without nesting: `{"user": {"login": "ada"}, "tags": ["x"]}` as `{"user__login": "ada", "tags": '["x"]'}`.

    Raises CallError for a key that is not text, and for a list with a value that JSON does not have.
    """
    return flatten_records([d], sep)[0]


def flatten_records(records: Iterable[Mapping[str, Any]], sep: str = "__") -> list[dict[str, Any]]:
    """The records without nesting, each with the fields that it has; the same field has the same name in all of them.

    Names are joined by `sep`. Of an object that is null in one record and has fields in others, those are None. Raises
    CallError for a record that is no dict, for a key that is not text, and for a value that JSON does not have where
    it would become JSON text.
    """
    found = [checked(record, number) for number, record in enumerate(records, 1)]
    fields = list(fields_of(found, are_flat=True))
    names = distinct_names([field_name(path, sep) for path, _ in fields])
    flat: list[dict[str, Any]] = [{} for _ in found]
    for name, (path, values) in zip(names, fields, strict=True):
        is_text = any(isinstance(value, (dict, list, tuple)) for value in values)
        for number, record in enumerate(found):
            value = _value_at(record, path)
            if value is not _LACKING:
                flat[number][name] = to_json(value) if is_text and value is not None else value
    return flat


def checked(record: object, number: int) -> dict[str, Any]:
    """The `record` of this number as a dict. Raises CallError where it is none, or has a key that is not text."""
    if not isinstance(record, Mapping):
        message = (
            f"record {number} is a {type(record).__name__}, not a dict. A data frame's are df.to_dicts() (polars) or "
            "df.to_dict('records') (pandas)."
        )
        raise CallError(message)
    found = dict(record)
    try:
        odd = _odd_key(found)
    except RecursionError:
        message = f"record {number} is nested too deeply."
        raise CallError(message) from None
    if odd is not None:
        message = f"record {number} has the key {odd[0]!r}, which is not text. Make it one: str(key)."
        raise CallError(message)
    return found


def _odd_key(value: Any) -> tuple[object] | None:  # noqa: ANN401 - any value
    """The first key in `value` that is not text, None where all are."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return (key,)
        value = value.values()
    for inner in value:
        if isinstance(inner, (dict, list, tuple)) and (odd := _odd_key(inner)):
            return odd
    return None


def fields_of(
    records: Sequence[Mapping[str, Any]], *, are_flat: bool, path: Path = ()
) -> Iterator[tuple[Path, list[Any]]]:
    """Each field of the records and its values that are not null; where they are to be flat, of objects inside, too."""
    for key in dict.fromkeys(chain.from_iterable(records)):
        values = [value for record in records if (value := record.get(key)) is not None]
        here = (*path, key)
        are_objects = values and all(isinstance(value, dict) and value for value in values)
        if are_flat and are_objects and len(here) < DEEPEST and have_columns(values):
            yield from fields_of(values, are_flat=True, path=here)
        else:
            yield here, values


def have_columns(objects: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the keys of `objects` can be names of columns: no data, and told apart without case."""
    keys = dict.fromkeys(chain.from_iterable(objects))
    are_names = all(key and "\0" not in key for key in keys)  # NUL would end a name within Arrow
    return are_names and 0 < len(keys) <= MOST_FIELDS and len({key.lower() for key in keys}) == len(keys)


def field_name(path: Path, sep: str = "__") -> str:
    """What the column of the field at `path` is called."""
    return sep.join(path).replace("\0", "") or "_"


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names, numbered where they would not differ without case, as DuckDB compares them."""
    taken: set[str] = set()
    found = []
    for wanted in names:
        name, number = wanted, 0
        while name.lower() in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name.lower())
        found.append(name)
    return found


def to_json(value: object) -> str:
    """`value` as JSON text, with dates and datetimes in ISO 8601. Raises CallError for what JSON does not have."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_iso)
        text.encode()  # half of a surrogate pair is no text
    except RecursionError:
        message = "a record is nested too deeply."
        raise CallError(message) from None
    except (TypeError, ValueError) as error:
        message = f"a record has a value that JSON does not have: {error}. Make it None, text or a number."
        raise CallError(message) from None
    return text


def _iso(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    message = f"a {type(value).__name__}"
    raise TypeError(message)


def _value_at(record: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - any value
    """What `record` has at `path`, None where a step is null, _LACKING where there is no such step."""
    value: Any = record
    for step in path:
        if value is None:
            return None
        if step not in value:
            return _LACKING
        value = value[step]
    return value
