"""Which predicates the API can answer itself, as narrower request plans.

The law: the API may send more rows than asked for, never fewer, for the scan filters every batch again. So a value is
pushed only where it can be said exactly, a bound only rounded outward, and what is not understood is not pushed.
"""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from itertools import product

from apikit_sql.column_types import Scalar
from apikit_sql.connector.manifest import KeyColumn, Operator, ValueFormat
from apikit_sql.errors import CallError
from apikit_sql.identifiers import plain
from apikit_sql.plan.predicate import Compared, OneOf, Predicate, Value
from apikit_sql.plan.request_plan import Keys, ScanPlan, Trip
from apikit_sql.plan.values import param_text

_EXACT = 2**53  # whole numbers below are exact as DOUBLE
#: How many values a closed integer range may have to be read as an IN list (DuckDB 1.x makes ranges of dense IN lists).
LARGEST_RANGE = 1_000
#: The same where the key column is not required: a range may be a cheap bound, a trip for each of its values is not.
_LARGEST_OPTIONAL_RANGE = 50
#: How many trips one scan may take.
MOST_TRIPS = 1_000
_DAY = len("2026-01-31")


def push_down(scan: ScanPlan, predicates: Iterable[Predicate]) -> tuple[Trip, ...]:
    """The trips that together bring every row for which all `predicates` hold.

    A key column with several values makes a trip for each; bounds become parameters of every trip. Raises CallError
    where a required key column has no value.
    """
    asked = tuple(predicates)
    bounds = dict(_bounds(scan.key_columns, asked))
    choices = list(_choices(scan, asked))
    given = [key for key in scan.keys if _may_hold(key, asked)] if scan.keys is not None else [()]
    most = max(MOST_TRIPS, scan.max_requests or 0)
    if len(given) * math.prod(len(values) for _, values in choices) > most:
        choices = [(key, values) for key, values in choices if key.required or len(values) == 1]
    count = len(given) * math.prod(len(values) for _, values in choices)
    if count > most:
        message = f"{scan.shown}: the keys ask for {count} trips; {most} are the most. Say a larger max_requests."
        raise CallError(message)
    if scan.max_requests is not None and count > scan.max_requests and not scan.request.cache:
        message = f"{scan.shown}: {count} trips need as many requests at least; max_requests is {scan.max_requests}."
        raise CallError(message)
    keys = [key for key, _ in choices]
    combinations = list(product(*(values for _, values in choices)))
    return tuple(_trip(scan, bounds, own, keys, values) for own in given for values in combinations)


def _may_hold(key: Keys, asked: Sequence[Predicate]) -> bool:
    """Whether rows of `key` can satisfy all of `asked`: only values of one type are compared."""
    return not any(
        isinstance(predicate, OneOf)
        and predicate.column.lower() == name.lower()
        and all(type(other) is type(value) and other != value for other in predicate.values)
        for name, value in key
        for predicate in asked
    )


def _choices(scan: ScanPlan, asked: Sequence[Predicate]) -> Iterable[tuple[KeyColumn, tuple[Value, ...]]]:
    """Each key that is asked for, with its values; of several on one column a required one speaks, else the first."""
    given = {name.lower() for name, _ in scan.keys[0]} if scan.keys else set()
    taken = {key.column.lower() for key in scan.key_columns if key.required} | given
    for key in scan.key_columns:
        if scan.keys == () or key.column.lower() in given:
            continue  # each of the given keys has its own value
        values = _values(scan, key, asked) if "=" in key.operators else ()
        if values and (key.required or key.column.lower() not in taken):
            taken.add(key.column.lower())
            yield key, values


def _trip(
    scan: ScanPlan, bounds: dict[str, str], own: Keys, keys: Sequence[KeyColumn], values: Sequence[Value]
) -> Trip:
    own = tuple((name, _of_type(scan, name, value)) for name, value in own)
    chosen = list(zip(keys, values, strict=True))
    given = [
        (key, value)  # a field of the path and a parameter may have one name
        for name, value in own
        for key in scan.key_columns
        if key.column.lower() == name.lower() and "=" in key.operators
    ]
    given = [(key, _moment(value) if key.format else value) for key, value in given]
    for key, value in given:
        text = exact_text(value, key.format)
        if text is None or (key.values and text not in key.values):
            raise CallError(_not_asked(scan, key, (value,)))
    texts = [(key, text) for key, value in (*given, *chosen) if (text := exact_text(value, key.format)) is not None]
    request = scan.request.with_params(bounds | {key.param: text for key, text in texts if key.param})
    request = request.with_path_values({key.path: text for key, text in texts if key.path})
    asked = [(key, (key.column, value)) for key, value in chosen]
    fills = scan.given_keys + own + tuple(pair for key, pair in asked if key.required)
    return Trip(request, scan.given_keys + own + tuple(pair for _, pair in asked), fills, own)


def _of_type(scan: ScanPlan, name: str, value: Value) -> Value:
    """A given key's value as its column has it: a number as text, a day as its first moment."""
    column = next((column for column in scan.columns or () if column.name.lower() == name.lower()), None)
    is_finite = not isinstance(value, float) or math.isfinite(value)
    match column.type if column else None, value:
        case Scalar("VARCHAR"), bool() | int() | float() if is_finite:
            return param_text(value)
        case Scalar("TIMESTAMPTZ" | "TIMESTAMP" as kind), str() if len(value) == _DAY:
            return f"{value}T00:00:00" + ("Z" if kind == "TIMESTAMPTZ" else "")
        case _:
            return value


def _moment(value: Value) -> Value:
    """The day or the time that a text tells, or the value itself."""
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value) if len(value) == _DAY else dt.datetime.fromisoformat(value)
    except ValueError:
        return value


def _values(scan: ScanPlan, key: KeyColumn, predicates: Sequence[Predicate]) -> tuple[Value, ...]:
    """The values that `key` is asked for, each once; none where it is not narrowed."""
    column = key.column.lower()
    lists: list[tuple[Value, ...]] = [
        p.values for p in predicates if isinstance(p, OneOf) and p.column.lower() == column
    ]
    if not lists:
        bounds = [p for p in predicates if isinstance(p, Compared) and p.column.lower() == column]
        lists = list(_closed_range(bounds, LARGEST_RANGE if key.required else _LARGEST_OPTIONAL_RANGE))
    values = min((tuple(dict.fromkeys(values)) for values in lists), key=_length, default=())
    fits = all(exact_text(value, key.format) is not None for value in values) and (
        not key.values or all(exact_text(value, key.format) in key.values for value in values)
    )
    if key.required and not (values and fits):
        raise CallError(_required(scan, key, values))
    return values if fits else ()


def _length(values: Sequence[Value]) -> int:
    return len(values)


def _required(scan: ScanPlan, key: KeyColumn, values: Sequence[Value]) -> str:
    if values:
        return _not_asked(scan, key, values)
    required = {plain(other.column): other.type for other in scan.key_columns if other.required}
    names, typed = list(required), (n if kind == "VARCHAR" else f"{n} ({kind})" for n, kind in required.items())
    needs = f"{scan.shown} needs {' and '.join(typed)} (= or IN); a join cannot supply them. "
    fields = ", ".join(f"{name}: ..." for name in names)
    variable = "SET VARIABLE k = (SELECT list({" + fields + "}) FROM ...)"  # noqa: S608 - advice, nobody runs it
    if scan.name:
        rows = ", ".join(f"r.{name}" for name in names)
        return f"{needs}Use {scan.function}({rows}), or {variable} and {scan.name}(keys := getvariable('k'))."
    option = f"path_params := {{{key.path}: ...}}" if key.path else f"params := {{{key.param}: ...}}"
    where = f"WHERE {plain(key.column)} = ..."
    return f"{needs}Write {where}, or {option}, or {variable} and keys := getvariable('k')."


def _not_asked(scan: ScanPlan, key: KeyColumn, values: Sequence[Value]) -> str:
    allowed = f" (one of {', '.join(key.values)})" if key.values else ""
    return f"{scan.shown} cannot ask for {key.column} = {', '.join(map(str, values))}{allowed}."


def _closed_range(bounds: Sequence[Compared], largest: int) -> Iterable[tuple[Value, ...]]:
    """Every integer between a lower and an upper bound, where there are both and few enough."""
    whole = [(b.operator, b.value) for b in bounds if isinstance(b.value, int) and not isinstance(b.value, bool)]
    lower = [value + (operator == ">") for operator, value in whole if operator in {">", ">="}]
    upper = [value - (operator == "<") for operator, value in whole if operator in {"<", "<="}]
    if lower and upper and 0 <= min(upper) - max(lower) < largest:
        yield tuple(range(max(lower), min(upper) + 1))


def _bounds(keys: Iterable[KeyColumn], predicates: Sequence[Predicate]) -> Iterable[tuple[str, str]]:
    """The parameters that carry a bound, with the tightest value that `predicates` imply for each."""
    for key in keys:
        for operator in key.operators:
            if operator != "=" and key.param is not None:
                texts = [
                    (value, text)
                    for value in _implied(key, operator, predicates)
                    if (text := _bound_text(value, operator, key.format))
                ]
                if texts:
                    tightest = max if operator in {">", ">="} else min
                    yield key.param, tightest(texts, key=lambda found: found[0])[1]


def _implied(key: KeyColumn, operator: Operator, predicates: Sequence[Predicate]) -> Iterable[Value]:
    """The bounds that `predicates` set to `key` in the direction of `operator`; texts set none."""
    is_lower = operator in {">", ">="}
    for predicate in predicates:
        if predicate.column.lower() != key.column.lower():
            continue
        match predicate:
            case OneOf(values=values) if all(_is_ordered(value) for value in values):
                yield (min if is_lower else max)(values)
            case Compared(operator=asked, value=value) if _is_ordered(value) and is_lower == (asked in {">", ">="}):
                yield value
            case _:
                pass


def _is_ordered(value: Value) -> bool:
    """Numbers and times sort alike everywhere; how an API sorts texts is its own affair."""
    return isinstance(value, int | float | dt.date) and not isinstance(value, bool)


def exact_text(value: Value, value_format: ValueFormat) -> str | None:
    """`value` as a parameter that means exactly it, or None where the format cannot say it."""
    down, up = _bound_text(value, ">=", value_format), _bound_text(value, "<=", value_format)
    return down if down == up else None


def _bound_text(value: Value, operator: Operator, value_format: ValueFormat) -> str | None:
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
