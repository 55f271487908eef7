"""apikit_inspect() and apikit_schema(): what an API tells of itself, and what is known of the columns of a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TypeVar

from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import plan_call
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.scan.description import ColumnDescription, describe
from apikit_sql.scan.inspection import InspectorResult, inspect, inspected_plan
from apikit_sql.scan.suggestion import Suggestion
from apikit_sql.sql.catalog import APIKIT, literal, object_sql
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types
from apikit_sql.sql.streams import Reach

T = TypeVar("T")
#: Calls a function; an error of ours leaves it as its text alone.
Guard = Callable[[Callable[[], T]], T]

_INSPECTED = columns_of_types(
    {
        "status": "BIGINT", "latency_ms": "DOUBLE", "error": "VARCHAR", "record_count": "BIGINT",
        "record_path": "VARCHAR", "strategy": "VARCHAR", "evidence": "VARCHAR",
        "rate_limit": 'STRUCT("limit" BIGINT, remaining BIGINT, resets_at TIMESTAMPTZ)',
        "columns": "STRUCT(name VARCHAR, type VARCHAR)[]", "manifest": "VARCHAR", "sql": "VARCHAR", "url": "VARCHAR",
    }
)  # fmt: skip
_SCHEMA = columns_of_types(
    {
        "name": "VARCHAR", "type": "VARCHAR", "nullable": "BOOLEAN", "example": "VARCHAR", "operators": "VARCHAR[]",
        "needed": "BOOLEAN",
    }
)  # fmt: skip


def inspect_dataset(arguments: str, reach: Callable[[str], Reach], guard: Guard[list[Row]]) -> ScannedDataset:
    """One row: what the API tells. What cannot be asked is refused now, the request is sent when the row is read."""
    call = read_call(arguments)
    found = reach(call.connector)
    connector, session, usual = found.connector, found.permissions.session, found.permissions.defaults
    inspected_plan(call, connector, usual)

    def read() -> list[Row]:
        return [_inspected_row(inspect(call, connector, session, found.new_scan(), usual))]

    return RecordsDataset(_INSPECTED, lambda: guard(read))


def schema_dataset(arguments: str, reach: Callable[[str], Reach], guard: Guard[list[Row]]) -> ScannedDataset:
    """A row for each column of a call of apikit(); its page is read when the rows are, if it is read at all."""
    call = read_call(arguments)
    found = reach(call.connector)
    session, usual = found.permissions.session, found.permissions.defaults
    plan = plan_call(call, found.connector, usual)

    def read() -> list[Row]:
        return [_column_row(each) for each in describe(plan, session, found.new_scan())]

    return RecordsDataset(_SCHEMA, lambda: guard(read))


def _inspected_row(found: InspectorResult) -> Row:
    quota = found.rate_limit_state
    return {
        **{name: getattr(found, name) for name in ("latency_ms", "error", "record_count", "record_path", "evidence")},
        "url": found.url,
        "status": found.status_code,
        "strategy": found.detected_pagination.strategy if found.detected_pagination else None,
        "rate_limit": quota
        and {
            "limit": quota.limit,
            "remaining": quota.remaining,
            "resets_at": dt.datetime.fromtimestamp(quota.reset_at, dt.UTC),
        },
        "columns": [{"name": name, "type": kind} for name, kind in found.schema_sample().items()] or None,
        "manifest": found.suggested_config(),
        "sql": statement(found.suggestion) if found.suggestion else None,
    }


def _column_row(column: ColumnDescription) -> Row:
    return {name: getattr(column, name) for name in ("name", "type", "nullable", "example", "operators", "needed")}


def statement(found: Suggestion) -> str:
    """The statement that reads what was inspected."""
    options = [f"{name} := {_value(value)}" for name, value in found.options().items()]
    arguments = [literal(found.call.connector), literal(found.call.path), *options]
    return found.hide(f"FROM {APIKIT.name}({', '.join(arguments)});")


def _value(value: object) -> str:
    """A text, a number, a list or an object as SQL writes it."""
    match value:
        case None:
            return "NULL"
        case str():
            return literal(value)
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case dict():
            return object_sql({name: _value(each) for name, each in value.items()})
        case _:
            return str(value)
