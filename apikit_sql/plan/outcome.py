"""What became of each predicate of a scan, in words: the parameter that carries it, or why none does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.plan.predicate import Compared, Predicate
from apikit_sql.plan.pushdown import Choice, Narrowing, SentBound, narrow
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.plan.rounding import exact_text

_SHOWN = 3  # values of one list


@dataclass(frozen=True)
class Outcome:
    """What a predicate is `sent` as, or `why` it is not; one of them is empty."""

    predicate: Predicate
    sent: str = ""
    why: str = ""


def outcomes(scan: ScanPlan, predicates: Iterable[Predicate]) -> tuple[Outcome, ...]:
    """What becomes of each of `predicates`. Raises CallError where a required key column has no value."""
    asked = tuple(predicates)
    narrowing = narrow(scan, asked)
    return tuple(_outcome(scan, predicate, narrowing) for predicate in asked)


def _outcome(scan: ScanPlan, predicate: Predicate, narrowing: Narrowing) -> Outcome:
    choices = [choice for choice in narrowing.choices if predicate in choice.said_by]
    bounds = [bound for bound in narrowing.bounds if bound.said_by == predicate]
    sent = [_choice_text(choice) for choice in choices if not choice.why]
    if not sent:
        sent = [_bound_text(bound) for bound in bounds if not bound.why]
    if sent:
        return Outcome(predicate, " and ".join(dict.fromkeys(sent)))
    refused = [choice.why for choice in choices] + [bound.why for bound in bounds]
    return Outcome(predicate, why=refused[0] if refused else _why_unasked(scan, predicate))


def _choice_text(choice: Choice) -> str:
    texts = [_parameter(choice.key, exact_text(value, choice.key.format) or "") for value in choice.values]
    if len(texts) == 1:
        return texts[0]
    shown = ", ".join([*texts[:_SHOWN], *(["..."] if len(texts) > _SHOWN else [])])
    return f"{shown} ({len(texts)} trips)"


def _bound_text(bound: SentBound) -> str:
    return _parameter(bound.key, bound.text) + (" (rounded outward)" if bound.is_rounded else "")


def _parameter(key: KeyColumn, text: str) -> str:
    return f"{{{key.path}}} = {text}" if key.path else f"{key.param}={text}"


def _why_unasked(scan: ScanPlan, predicate: Predicate) -> str:
    """Why no parameter was thought of: what the key columns of its column lack."""
    column = predicate.column
    if scan.keys is not None and (not scan.keys or column.lower() in {name.lower() for name, _ in scan.keys[0]}):
        return "keys tells the values; a key that this excludes makes no trip"
    if settled := [_name(key) for key in scan.settled if key.column.lower() == column.lower()]:
        return f"the call sets {' and '.join(dict.fromkeys(settled))} itself"
    operators = list(dict.fromkeys(_operators(scan, column)))
    if not operators:
        return f"no key column names {column}, nor does filters"
    if isinstance(predicate, Compared):
        return f"of {column} the API answers {' and '.join(operators)}, not {predicate.operator}"
    if "=" in operators:
        return "another list of the same column is sent"
    return f"of {column} the API answers bounds, which are sent for numbers and times only"


def _operators(scan: ScanPlan, column: str) -> Iterator[str]:
    for key in scan.key_columns:
        if key.column.lower() == column.lower():
            yield from key.operators


def _name(key: KeyColumn) -> str:
    return f"{{{key.path}}}" if key.path else str(key.param)
