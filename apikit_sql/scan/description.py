"""What is known of each column of a call: its type, what the sampled page has in it, what the API answers of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from apikit_sql.column_types import Column
from apikit_sql.engine.session import Session
from apikit_sql.plan.columns import operators_by_column
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.dataset import can_compare, columns_of, sampled_records


@dataclass(frozen=True)
class ColumnDescription:
    """One column. `nullable` and `example` are None where no page was read; the example is as the API writes it.

    `operators` are those that the API answers; of a STRUCT's field, with its name behind. A `needed` column must be
    given by `=` or IN.
    """

    name: str
    type: str
    nullable: bool | None
    example: str | None
    operators: tuple[str, ...]
    needed: bool


def describe(plan: ScanPlan, session: Session, cancelled: Event) -> list[ColumnDescription]:
    """A description of each column of `plan`. Where columns are declared nothing is sent, else what a bind sends."""
    columns = columns_of(plan, session, cancelled)
    records = sampled_records(plan, session, cancelled) if plan.columns is None else None
    keys = {name.lower(): value for name, value in (*plan.given_keys, *(plan.keys[0] if plan.keys else ()))}
    needed = {key.column.lower() for key in plan.key_columns if key.required} - keys.keys()
    answered = operators_by_column([key for key in plan.key_columns if can_compare(columns, key.column)])
    found = []
    for column in columns:
        name = column.name.lower()
        nullable, example = (None, None) if records is None else _sampled(column, records, keys.get(name))
        operators = tuple(answered.get(name, ()))
        found.append(ColumnDescription(column.name, str(column.type), nullable, example, operators, name in needed))
    return found


def _sampled(column: Column, records: Sequence[Any], fill: object) -> tuple[bool, str | None]:
    """Whether a record lacks `column`, and the first value that is there; `fill` stands where it lacks it."""
    if column.is_rest:
        return True, None
    values = [fill if (found := _at(record, column.path)) is None else found for record in records]
    there = [value for value in values if value is not None]
    return len(there) < len(values), _text(there[0]) if there else None


def _at(record: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
    for step in path:
        record = record.get(step) if isinstance(record, dict) else None
    return record


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
