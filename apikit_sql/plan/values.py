"""Values of a call's arguments as requests carry them: numbers in their own digits, times as RFC 3339."""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from apikit_sql.errors import CallError


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
    times = time_fields(sql_type)
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, dict | list):
                message = f"apikit: {option}.{name} is an object; say a text, a number, a boolean or a list of these."
                raise CallError(message)
            if element is not None:
                pairs.append((name, param_text(element, is_time=name.lower() in times or "" in times)))
    return tuple(pairs)


def param_text(value: object, *, is_time: bool = False) -> str:
    """A value as a parameter; a time as RFC 3339."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return rfc3339(str(value)) if is_time else str(value)


def rfc3339(text: str) -> str:
    """DuckDB's text of a timestamp as RFC 3339 in UTC; without zone it is taken as UTC, as DuckDB's own casts do."""
    try:
        moment = dt.datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        message = f"apikit: the timestamp {text!r} cannot go into a URL."
        raise CallError(message) from None
    return moment.isoformat().removesuffix("+00:00") + "Z"


def time_fields(sql_type: str) -> frozenset[str]:
    """The fields of a STRUCT type (`` for every value of a MAP) that are timestamps or lists of them, in lower case."""
    if re.fullmatch(r"MAP\(VARCHAR, TIMESTAMP(_\w+)?( WITH TIME ZONE)?(\[\])?\)", sql_type):
        return frozenset({""})
    fields = re.findall(r'(?:^STRUCT\(|, )(?:"((?:[^"]|"")+)"|(\w+)) TIMESTAMP(?:_\w+)?\b', sql_type)
    return frozenset((quoted.replace('""', '"') or plain).lower() for quoted, plain in fields)
