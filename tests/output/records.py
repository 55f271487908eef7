"""Records to be written, and what a reader of columns must find in them: told by the records alone."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

#: Beyond this a HUGEINT has more digits than a DECIMAL.
LARGEST_DECIMAL = 10**38 - 1


class Kind(NamedTuple):
    """Values of one column, and what a reader of typed columns finds of each that is not null."""

    values: st.SearchStrategy[Any]
    found: Callable[[Any], Any]


def same(value: Any) -> Any:
    return value


def from_iso(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(lambda text: text and "x" + text)
BIGINTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
KINDS = {
    "flag": Kind(st.booleans(), same),
    "whole": Kind(BIGINTS, same),
    "huge": Kind(st.integers(2**63, LARGEST_DECIMAL) | st.integers(-LARGEST_DECIMAL, -(2**64)), same),
    "number": Kind(FLOATS, same),
    "text": Kind(TEXTS, same),
    "day": Kind(st.dates().map(str), dt.date.fromisoformat),
    "moment": Kind(st.datetimes().map(dt.datetime.isoformat), from_iso),
    "instant": Kind(st.datetimes().map(lambda t: t.isoformat() + "Z"), from_iso),
}


def row_of(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A record with a value or null of each kind, and `more`."""
    return st.fixed_dictionaries({name: st.none() | kind.values for name, kind in KINDS.items()} | more)


def found_of(record: dict[str, Any]) -> dict[str, Any]:
    """What a reader of typed columns finds of `record`'s scalars."""
    return {n: None if record[n] is None else kind.found(record[n]) for n, kind in KINDS.items()}


def parsed(text: str | None) -> Any:
    """What a JSON column has."""
    return None if text is None else json.loads(text)
