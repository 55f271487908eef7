"""A value as the text that a parameter carries: exactly, or as a bound rounded outward to what its format can say."""

import datetime as dt
import math

from apikit_sql.connector.manifest import Operator, ValueFormat
from apikit_sql.plan.predicate import Value

_EXACT = 2**53  # whole numbers below are exact as DOUBLE


def exact_text(value: Value, value_format: ValueFormat) -> str | None:
    """`value` as a parameter that means exactly it, or None where the format cannot say it."""
    down, up = bound_text(value, ">=", value_format), bound_text(value, "<=", value_format)
    return down if down == up else None


def bound_text(value: Value, operator: Operator, value_format: ValueFormat) -> str | None:
    """`value` as a bound rounded outward to what the format can say; None where that could lose a row.

    A strict parameter (`>`) must still bring rows that equal a rounded or inclusive bound, so it goes one unit further.
    """
    is_lower = operator in {">", ">="}
    outward = 0 if operator in {">=", "<="} else (-1 if is_lower else 1)
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value + outward)
        case float():
            if outward or not math.isfinite(value):
                return None
            return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)
        case str():
            return value
        case dt.datetime():
            return _moment_text(value, value_format, is_lower=is_lower, outward=outward)
        case dt.date():
            moment = dt.datetime.combine(value, dt.time(), dt.UTC)
            return _moment_text(moment, value_format or "date", is_lower=is_lower, outward=outward)


def _moment_text(moment: dt.datetime, value_format: ValueFormat, *, is_lower: bool, outward: int) -> str | None:
    unit = {
        "date": dt.timedelta(days=1),
        "epoch_ms": dt.timedelta(milliseconds=1),
        "rfc3339_ms": dt.timedelta(milliseconds=1),
    }.get(value_format, dt.timedelta(seconds=1))
    try:
        moment = moment if moment.tzinfo is None else moment.astimezone(dt.UTC)
        origin = dt.datetime(1970, 1, 1, tzinfo=moment.tzinfo)
        units = (moment - origin) // unit if is_lower else -((origin - moment) // unit)
        rounded = origin + (units + outward) * unit
    except OverflowError:
        return None
    match value_format:
        case "epoch" | "epoch_ms":
            return str(units + outward)
        case "date":
            return rounded.date().isoformat()
        case "rfc3339_ms":
            return _zoned(rounded.isoformat(timespec="milliseconds"))
        case _:
            return _zoned(rounded.isoformat(timespec="seconds"))


def _zoned(text: str) -> str:
    """RFC 3339 writes UTC as Z; a time without zone stays without, as the records have it."""
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
