"""Values of a call's arguments as requests carry them: numbers in their own digits, times as RFC 3339."""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from apikit_sql.errors import CallError

#: Where the times of a value are: it is one itself (or a list of them), or has some in its fields, whose names are in
#: lower case; None is every field of a MAP.
Times = bool | dict[str | None, "Times"]

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|\S""")
_MARKS = frozenset({"", "(", ")", ",", "[", "]"})


def number_text(text: str) -> object:
    """A JSON float as it goes into a URL: its own digits, whole numbers without `.0`."""
    whole, _, fraction = text.partition(".")
    if "e" not in text.lower() and not fraction.strip("0"):
        return int(whole)
    return _Verbatim(text)


class _Verbatim(str):
    """A number's own digits."""

    __slots__ = ()


def body_bytes(value: object) -> bytes:
    """A body as JSON, its numbers as they were written.

    Raises CallError for one that no double holds as written, and for a value that JSON does not have.
    """
    try:
        return json.dumps(numbers(value), allow_nan=False).encode()
    except TypeError as error:
        message = f"apikit: the body cannot be sent: {error}. Make it None, text or a number."
        raise CallError(message) from None
    except ValueError:
        message = "apikit: the body has a number that is none (NaN, or infinity), which JSON cannot say."
        raise CallError(message) from None


def form_bytes(value: object) -> bytes:
    """A body as an HTML form, what is inside it in brackets: `items[0][price]=...&metadata[order]=...`.

    That is how Stripe reads it (https://docs.stripe.com/api/subscriptions/create). Null is left out, for a form cannot
    say it. Raises CallError for a list on top.
    """
    if not isinstance(value, dict):
        message = "apikit: this API takes forms, so its body is an object, not a list."
        raise CallError(message)
    return urlencode([pair for name, each in value.items() for pair in _form_pairs(name, each)]).encode()


def _form_pairs(name: str, value: object) -> Iterator[tuple[str, str]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is not None:
        for step, each in inside:
            yield from _form_pairs(f"{name}[{step}]", each)
    elif value is not None:
        yield name, param_text(value)


def numbers(value: object) -> object:
    """A JSON value whose numbers are numbers. Raises CallError for one that no double holds as it was written."""
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [numbers(each) for each in value]
    if not isinstance(value, _Verbatim):
        return value
    number = float(value)
    if Decimal(value) != Decimal(repr(number)):
        message = f"apikit: no double holds {value} as it is written; give it as a text."
        raise CallError(message)
    return number


def query_params(option: str, values: Mapping[str, Any], sql_type: str) -> tuple[tuple[str, str], ...]:
    """`values` as query parameters: a list repeats its key, null omits it.

    Times go out as RFC 3339 UTC; which they are is told by `sql_type`, DuckDB's type of the whole option. Raises
    CallError for an object.
    """
    times = times_of(sql_type)
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        told = with_times(value, times_at(times, name))
        for element in told if isinstance(told, list) else [told]:
            if isinstance(element, dict | list):
                message = f"apikit: {option}.{name} is an object; say a text, a number, a boolean or a list of these."
                raise CallError(message)
            if element is not None:
                pairs.append((name, param_text(element)))
    return tuple(pairs)


def param_text(value: object) -> str:
    """A value as a parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def with_times(value: object, times: Times) -> object:
    """A JSON value that DuckDB wrote, its `times` as RFC 3339. Raises CallError for one that this cannot say."""
    if isinstance(value, list):
        return [with_times(each, times) for each in value]
    if isinstance(value, dict):
        return {name: with_times(each, times_at(times, name)) for name, each in value.items()}
    return rfc3339(value) if times is True and isinstance(value, str) else value


def rfc3339(text: str) -> str:
    """DuckDB's text of a timestamp as RFC 3339 in UTC; without zone it is taken as UTC, as DuckDB's own casts do."""
    try:
        moment = dt.datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        message = f"apikit: the timestamp {text!r} cannot go into a URL."
        raise CallError(message) from None
    return moment.isoformat().removesuffix("+00:00") + "Z"


def times_of(sql_type: str) -> Times:
    """Where a value of `sql_type`, a type as DuckDB writes it, has its times; JSON does not tell them from texts.

    Raises CallError for what DuckDB would not write.
    """
    try:
        return _times(["", *reversed(_TOKEN.findall(sql_type))]) if sql_type else False
    except (IndexError, RecursionError):
        message = "apikit: the type of an option cannot be read."
        raise CallError(message) from None


def times_at(times: Times, name: str) -> Times:
    """Where the field of this `name` has its times."""
    return times.get(name.lower(), times.get(None, False)) if isinstance(times, dict) else False


def _times(tokens: list[str]) -> Times:
    """Where the type has its times that the last of `tokens` begins; its tokens are taken away."""
    word = tokens.pop()
    is_named = word in {"STRUCT", "UNION"}
    inside = _times_inside(tokens, is_named=is_named) if tokens[-1] == "(" else []
    while tokens[-1] not in _MARKS:
        tokens.pop()  # WITH TIME ZONE
    while tokens[-1] == "[":
        while tokens.pop() != "]":
            pass
    if is_named:
        return dict(inside)
    return {None: inside[-1][1]} if word == "MAP" else word.startswith("TIMESTAMP")


def _times_inside(tokens: list[str], *, is_named: bool) -> list[tuple[str | None, Times]]:
    """The name of each part within brackets, which may lack in a STRUCT of row(...), and where it has its times."""
    found: list[tuple[str | None, Times]] = []
    while tokens.pop() in {"(", ","}:
        name = tokens.pop() if is_named and tokens[-2] not in _MARKS else ""
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name
        found.append((name.lower(), _times(tokens)))
    return found
