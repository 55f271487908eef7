"""Which predicates the API can answer itself, as narrower request plans.

The law: the API may send more rows than asked for, never fewer, for the scan filters every batch again. So a value is
pushed only where it can be said exactly, a bound only rounded outward, and what is not understood is not pushed.
"""

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from apikit_sql.column_types import Scalar
from apikit_sql.connector.manifest import KeyColumn, Operator
from apikit_sql.errors import CallError
from apikit_sql.identifiers import plain
from apikit_sql.plan.predicate import Compared, OneOf, Predicate, Value
from apikit_sql.plan.request_plan import Keys, ScanPlan, Trip
from apikit_sql.plan.rounding import bound_text, exact_text
from apikit_sql.plan.values import param_text
from apikit_sql.redaction import MASK, is_masked_param

#: How many values a closed integer range may have to be read as an IN list (DuckDB 1.x makes ranges of dense IN lists).
LARGEST_RANGE = 1_000
#: The same where the key column is not required: a range may be a cheap bound, a trip for each of its values is not.
_LARGEST_OPTIONAL_RANGE = 50
#: How many trips one scan may take.
MOST_TRIPS = 1_000
_DAY = len("2026-01-31")


@dataclass(frozen=True)
class Choice:
    """The values that predicates ask a key column for, a trip for each; `why` they are not sent, `` where they are."""

    key: KeyColumn
    values: tuple[Value, ...] = ()
    said_by: tuple[Predicate, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class SentBound:
    """A bound that a predicate sets to a key column; `why` it is not sent, `` where it is."""

    key: KeyColumn
    text: str
    said_by: Predicate
    is_rounded: bool = False
    why: str = ""


@dataclass(frozen=True)
class Narrowing:
    """What becomes of the predicates of one scan; `given` are those of the call's keys that they leave."""

    given: tuple[Keys, ...]
    choices: tuple[Choice, ...]
    bounds: tuple[SentBound, ...]

    @property
    def sent(self) -> list[Choice]:
        """The choices that make trips."""
        return [choice for choice in self.choices if choice.values and not choice.why]

    @property
    def params(self) -> dict[str, str]:
        """The parameters that carry a bound."""
        return {bound.key.param: bound.text for bound in self.bounds if bound.key.param is not None and not bound.why}

    @property
    def trips(self) -> int:
        """How many trips that makes."""
        return len(self.given) * math.prod(len(choice.values) for choice in self.sent)


def push_down(scan: ScanPlan, predicates: Iterable[Predicate]) -> tuple[Trip, ...]:
    """The trips that together bring every row for which all `predicates` hold.

    A key column with several values makes a trip for each; bounds become parameters of every trip. Raises CallError
    where a required key column has no value.
    """
    narrowing, most = narrow(scan, predicates), _most_trips(scan)
    if narrowing.trips > most:
        message = (
            f"{scan.shown}: the keys ask for {narrowing.trips} trips; {most} are the most. Say a larger max_requests."
        )
        raise CallError(message)
    if scan.max_requests is not None and narrowing.trips > scan.max_requests and not scan.request.cache:
        message = (
            f"{scan.shown}: {narrowing.trips} trips need as many requests at least; max_requests is "
            f"{scan.max_requests}."
        )
        raise CallError(message)
    keys = [choice.key for choice in narrowing.sent]
    combinations = list(product(*(choice.values for choice in narrowing.sent)))
    return tuple(_trip(scan, narrowing.params, own, keys, values) for own in narrowing.given for values in combinations)


def narrow(scan: ScanPlan, predicates: Iterable[Predicate]) -> Narrowing:
    """What becomes of each of `predicates`. Raises CallError where a required key column has no value."""
    asked = tuple(predicates)
    given = tuple(key for key in scan.keys if _may_hold(key, asked)) if scan.keys is not None else ((),)
    narrowing = Narrowing(given, tuple(_choices(scan, asked)), tuple(_bounds(scan.key_columns, asked)))
    if narrowing.trips <= (most := _most_trips(scan)):
        return narrowing
    why = f"its values would make more than {most} trips"
    fewer = [
        choice if choice.why or choice.key.required or len(choice.values) <= 1 else replace(choice, why=why)
        for choice in narrowing.choices
    ]
    return replace(narrowing, choices=tuple(fewer))


def _most_trips(scan: ScanPlan) -> int:
    return max(MOST_TRIPS, scan.max_requests or 0)


def _may_hold(key: Keys, asked: Sequence[Predicate]) -> bool:
    """Whether rows of `key` can satisfy all of `asked`: only values of one type are compared."""
    return not any(
        isinstance(predicate, OneOf)
        and predicate.column.lower() == name.lower()
        and all(type(other) is type(value) and other != value for other in predicate.values)
        for name, value in key
        for predicate in asked
    )


def _choices(scan: ScanPlan, asked: Sequence[Predicate]) -> Iterator[Choice]:
    """What each key is asked for; of several keys on one column a required one speaks, else the first."""
    given = {name.lower() for name, _ in scan.keys[0]} if scan.keys else set()
    taken = {key.column.lower() for key in scan.key_columns if key.required} | given
    for key in scan.key_columns:
        if scan.keys == () or key.column.lower() in given or "=" not in key.operators:
            continue  # each of the given keys has its own value
        choice = _choice(scan, key, asked)
        if choice.values and not choice.why:
            if not key.required and key.column.lower() in taken:
                choice = replace(choice, why="another parameter carries the column")
            taken.add(key.column.lower())
        yield choice


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


def _choice(scan: ScanPlan, key: KeyColumn, predicates: Sequence[Predicate]) -> Choice:
    """The values that `key` is asked for, each once: the shortest list of them; none where it is not narrowed."""
    column = key.column.lower()
    lists = [Choice(key, p.values, (p,)) for p in predicates if isinstance(p, OneOf) and p.column.lower() == column]
    if not lists:
        bounds = tuple(p for p in predicates if isinstance(p, Compared) and p.column.lower() == column)
        largest = LARGEST_RANGE if key.required else _LARGEST_OPTIONAL_RANGE
        lists = [Choice(key, values, bounds) for values in _closed_range(bounds, largest)]
    distinct = [replace(choice, values=tuple(dict.fromkeys(choice.values))) for choice in lists]
    choice = min(distinct, key=_length, default=Choice(key))
    refusal = next((why for value in choice.values if (why := _why_not_said(key, value))), "")
    if key.required and (refusal or not choice.values):
        raise CallError(_required(scan, key, choice.values))
    return replace(choice, why=refusal)


def _why_not_said(key: KeyColumn, value: Value) -> str:
    """Why the parameter of `key` cannot carry `value`, `` where it can."""
    text = exact_text(value, key.format)
    if text is None:
        return f"the parameter cannot say {shown_value(key, value)} exactly"
    if key.values and text not in key.values:
        return f"{shown_value(key, text)} is none of the values that the API takes: {', '.join(key.values)}"
    return ""


def shown_value(key: KeyColumn, value: Value) -> str:
    """`value` as a text may show it: masked where URLs mask the parameter that carries it."""
    return MASK if is_masked_param(key.param or "") else str(value)


def _length(choice: Choice) -> int:
    return len(choice.values)


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
    option = f"path_params := {{'{key.path}': ...}}" if key.path else f"params := {{'{key.param}': ...}}"
    where = f"WHERE {plain(key.column)} = ..."
    return f"{needs}Write {where}, or {option}, or {variable} and keys := getvariable('k')."


def _not_asked(scan: ScanPlan, key: KeyColumn, values: Sequence[Value]) -> str:
    allowed = f" (one of {', '.join(key.values)})" if key.values else ""
    return (
        f"{scan.shown} cannot ask for {key.column} = {', '.join(shown_value(key, value) for value in values)}{allowed}."
    )


def _closed_range(bounds: Sequence[Compared], largest: int) -> Iterable[tuple[Value, ...]]:
    """Every integer between a lower and an upper bound, where there are both and few enough."""
    whole = [(b.operator, b.value) for b in bounds if isinstance(b.value, int) and not isinstance(b.value, bool)]
    lower = [value + (operator == ">") for operator, value in whole if operator in {">", ">="}]
    upper = [value - (operator == "<") for operator, value in whole if operator in {"<", "<="}]
    if lower and upper and 0 <= min(upper) - max(lower) < largest:
        yield tuple(range(max(lower), min(upper) + 1))


def _bounds(keys: Iterable[KeyColumn], predicates: Sequence[Predicate]) -> Iterator[SentBound]:
    """The bounds that `predicates` imply; of those for one parameter the tightest is sent."""
    for key in keys:
        for operator in key.operators:
            if operator != "=" and key.param is not None:
                tightest = max if operator in {">", ">="} else min
                implied = list(_implied(key, operator, predicates))
                texts = [(value, bound_text(value, operator, key.format)) for _, value in implied]
                best = tightest((found for found in texts if found[1]), key=lambda found: found[0], default=None)
                for (predicate, value), found in zip(implied, texts, strict=True):
                    is_rounded = found[1] != exact_text(value, key.format) or not _says(predicate, operator)
                    why = "" if found == best else "a tighter bound is sent"
                    if found[1] is None:
                        why = f"the parameter cannot say {shown_value(key, value)} as {operator}"
                    yield SentBound(key, found[1] or "", predicate, is_rounded, why)


def _says(predicate: Predicate, operator: Operator) -> bool:
    """Whether a bound by `operator` is all that `predicate` says in that direction."""
    return len(predicate.values) == 1 if isinstance(predicate, OneOf) else predicate.operator == operator


def _implied(key: KeyColumn, operator: Operator, predicates: Sequence[Predicate]) -> Iterator[tuple[Predicate, Value]]:
    """The predicates that set a bound to `key` in the direction of `operator`, with the bound; texts set none."""
    is_lower = operator in {">", ">="}
    for predicate in predicates:
        if predicate.column.lower() != key.column.lower():
            continue
        match predicate:
            case OneOf(values=values) if all(_is_ordered(value) for value in values):
                yield predicate, (min if is_lower else max)(values)
            case Compared(operator=asked, value=value) if _is_ordered(value) and is_lower == (asked in {">", ">="}):
                yield predicate, value
            case _:
                pass


def _is_ordered(value: Value) -> bool:
    """Numbers and times sort alike everywhere; how an API sorts texts is its own affair."""
    return isinstance(value, int | float | dt.date) and not isinstance(value, bool)
