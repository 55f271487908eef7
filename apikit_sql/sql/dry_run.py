"""apikit_dry_run(): what a call of apikit() or of a mutation would send first, as a row. It sends nothing."""

from __future__ import annotations

import json
from typing import Any

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.template import fields_of
from apikit_sql.engine.dry_run import shown_request
from apikit_sql.errors import CallError
from apikit_sql.plan.call import call_of, read_arguments
from apikit_sql.plan.mutation import idempotency_key, plan_mutation
from apikit_sql.plan.planner import plan_call, reads_by_post
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.sql.permissions import Permissions, permitted
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types

_COLUMNS = columns_of_types(
    {
        "method": "VARCHAR", "url": "VARCHAR", "headers": "JSON", "body": "VARCHAR", "credential": "VARCHAR",
        "pagination": "VARCHAR",
    }
)  # fmt: skip
_OF_READS = ("headers", "pagination", "page_size")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def dry_run_dataset(arguments: str, permissions: Permissions) -> RecordsDataset:
    """One row: the first request of the call whose arguments are JSON text. Raises CallError, ConfigError."""
    given = read_arguments(arguments)
    connector = permitted(_name(given), permissions)
    plan, pagination = _planned(given, connector)
    if still_open := fields_of(plan.path):
        name = still_open[0]
        message = f"apikit_dry_run: nothing fills {{{name}}} in {plan.path}. Say path_params := {{{name}: ...}}."
        raise CallError(message)
    row = _row(plan, pagination)
    return RecordsDataset(_COLUMNS, lambda: [row])


def _planned(given: dict[str, Any], connector: ConnectorDefinition) -> tuple[RequestPlan, str | None]:
    """The request of the call, and how it is paged; None for a mutation."""
    method, key = given.pop("method"), given.pop("idempotency_key")
    method = method.upper() if isinstance(method, str) else method
    if method is not None and method not in _METHODS:
        message = f"apikit_dry_run: method is {method!r}, not one of {', '.join(_METHODS)}."
        raise CallError(message)
    if key is not None and not isinstance(key, str):
        message = "apikit_dry_run: idempotency_key must be a text."
        raise CallError(message)
    if method is None or method == "GET" or (method == "POST" and reads_by_post(connector, str(given["path"]))):
        _refuse("a read", {"idempotency_key": key})
        request = plan_call(call_of({**given, "method": method}), connector).request
        return request, request.pagination.strategy
    _refuse("a mutation", {name: given[name] for name in _OF_READS})
    known = idempotency_key(connector, key, lambda: "a new UUID for each row")
    return plan_mutation(call_of(given), method, connector, known, 0).request, None


def _refuse(what: str, untaken: dict[str, Any]) -> None:
    """Raise CallError where one of `untaken` is given, which the call itself would not send."""
    for name, value in untaken.items():
        if value is not None:
            message = f"apikit_dry_run: {what} takes no {name}."
            raise CallError(message)


def _name(given: dict[str, Any]) -> str:
    for name in ("connector", "path"):
        if not isinstance(given[name], str):
            message = f"apikit_dry_run: {name} must be a text."
            raise CallError(message)
    return str(given["connector"])


def _row(plan: RequestPlan, pagination: str | None) -> Row:
    shown = shown_request(plan)
    return {
        **{name: getattr(shown, name) for name in ("method", "url", "body", "credential")},
        "headers": json.dumps(dict(shown.headers)),
        "pagination": pagination,
    }
