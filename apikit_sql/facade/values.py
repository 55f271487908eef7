"""Python values as an API is sent them: what has one obvious text or JSON value, and nothing else."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn
from uuid import UUID

from apikit_sql.errors import CallError

_DEEPEST = 100  # lists and dicts within each other; what no API takes, and no encoder without end
_TAKEN = "Say a text, a number, a boolean, a time, or a list or dict of these."


def as_sent(value: object, name: str, *, has_decimals: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """The `value` called `name`: times as RFC 3339 in UTC, every sequence and set as a list.

    A Decimal is its digits where a text will do; JSON `has_decimals` not. Raises CallError that names what cannot be
    sent, be it within.
    """
    if _is_deep(value, _DEEPEST):
        message = f"{name} has lists or dicts within each other, more than {_DEEPEST} deep, or one that holds itself."
        raise CallError(message)
    return _sent(value, name, has_decimals=has_decimals)


def _is_deep(value: object, most: int) -> bool:
    """Whether lists and dicts stand in each other more than `most` times."""
    match value:
        case list() | tuple() | set() | frozenset():
            within: Iterable[object] = value
        case Mapping():
            within = value.values()
        case _:
            return False
    return most == 0 or any(_is_deep(each, most - 1) for each in within)


def _sent(value: object, name: str, *, has_decimals: bool) -> Any:  # noqa: ANN401 - any JSON value
    value = _plain(name, value)
    match value:
        case list() | tuple() | set() | frozenset():
            return [_sent(each, f"{name}[{n}]", has_decimals=has_decimals) for n, each in enumerate(value)]
        case Mapping():
            return {
                _key(name, key): _sent(each, f"{name}.{key}", has_decimals=has_decimals) for key, each in value.items()
            }
        case Decimal() if value.is_finite() and has_decimals:
            return format(value, "f")
        case _:
            return _scalar(value, name)


def _scalar(value: object, name: str) -> str | int | float | None:
    match value:
        case None | bool():
            return value
        case int():
            return _integer(name, value)
        case float() if math.isfinite(value):
            return value
        case str():
            return _text(name, value)
        case UUID():
            return str(value)
        case dt.datetime() if value == value:  # noqa: PLR0124 - NaT is one, too
            return _moment(name, value)
        case dt.time():
            return value.isoformat()
        case dt.date() if not isinstance(value, dt.datetime):
            return value.isoformat()
        case _:
            return _refuse(name, _called(value))


def _plain(name: str, value: object) -> object:
    """What an Enum or a scalar of numpy's stands for."""
    while isinstance(value, Enum):
        value = value.value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        plain = value.item()
        is_time = type(value).__name__ in {"datetime64", "timedelta64"}
        if plain is None:
            _refuse(name, str(value))  # NaT: None would leave a filter out
        return value if is_time and isinstance(plain, int) else plain  # nanoseconds, which would be a mere number
    return value


def _integer(name: str, value: int) -> int:
    try:
        int.__repr__(value)
    except ValueError:  # Python's own bound, which keeps it from taking very long
        message = f"{name} is an integer of thousands of digits, which cannot be sent."
        raise CallError(message) from None
    return value


def _text(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        message = f"{name} has half of a surrogate pair, which is no text."
        raise CallError(message) from None
    return str(value)


def _moment(name: str, value: dt.datetime) -> str:
    try:
        moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    except OverflowError:
        message = f"{name} is {value}, which is no time in UTC."
        raise CallError(message) from None
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _key(name: str, key: object) -> str:
    if not isinstance(key, str):
        message = f"{name} has the key {key!r}, which is not text. Make it one: str(key)."
        raise CallError(message)
    return key


def _called(value: object) -> str:
    """What to call a value that cannot be sent."""
    is_odd = isinstance(value, Decimal) and not value.is_finite()
    return str(value) if is_odd or isinstance(value, float | dt.datetime) else f"a {type(value).__name__}"


def _refuse(name: str, what: str) -> NoReturn:
    message = f"{name} is {what}, which cannot be sent. {_TAKEN}"
    raise CallError(message)
