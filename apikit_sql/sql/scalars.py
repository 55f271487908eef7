"""Functions of a row: a column of calls, as their arguments in JSON, -> a column of what the API answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from apikit_sql.column_types import JSON, ListOf
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.plan.call import Call, call_of
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.request_plan import ScanPlan, Trip
from apikit_sql.scan.decode import as_declared, json_records
from apikit_sql.sql import catalog
from apikit_sql.sql.catalog import Function
from apikit_sql.sql.database import Database
from apikit_sql.sql.questions import arguments_of

_ONE_PAGE = PaginationConfig(strategy="none")


def values(function: Function, calls: pa.Array, database: Database) -> pa.Array:
    """What `function` gives for each of `calls`. Raises CallError for what may not be asked, and what a scan raises."""
    match function:
        case catalog.GET:
            return bodies(calls, database)
        case _:
            return record_lists(calls, database)


def bodies(calls: pa.Array, database: Database) -> pa.Array:
    """The body of the response to each of `calls`, as JSON; NULL where a call has none to ask."""
    found: dict[str, str] = {}
    for texts, plans in _by_connector(catalog.GET, calls, database):
        cancelled = database.new_scan()
        asked = [replace(plan.request, pagination=_ONE_PAGE, pages=1) for plan in plans]
        for number, body in database.permissions.session.bodies(plans[0], asked, cancelled):
            found[texts[number]] = body.decode()
    return as_declared(pa.array([found.get(text) for text in calls.to_pylist()], pa.string()), JSON)


def record_lists(calls: pa.Array, database: Database) -> pa.Array:
    """All records of all pages that each of `calls` brings, as a list of JSON; NULL where a call has none to ask."""
    found: dict[str, list[str]] = {}
    session = database.permissions.session
    for texts, plans in _by_connector(catalog.FETCH, calls, database):
        cancelled = database.new_scan()
        lists: list[list[str]] = [[] for _ in texts]
        trips = [Trip(plan.request) for plan in plans]
        with session.running(cancelled), session.pages(plans[0], trips, cancelled, first_ahead=1) as scan:
            for number, page in scan.pages:
                records = json_records(page)
                lists[number] += records
                scan.record.pages += 1
                scan.record.rows += len(records)
        found |= dict(zip(texts, lists, strict=True))
    return as_declared(pa.array([found.get(text) for text in calls.to_pylist()], pa.list_(pa.string())), ListOf(JSON))


def _by_connector(function: Function, calls: pa.Array, database: Database) -> list[tuple[list[str], list[ScanPlan]]]:
    """The distinct calls of each connector with their plans. Nothing is sent before all of them are planned."""
    groups: dict[str, dict[str, Call]] = {}
    for text in dict.fromkeys(calls.to_pylist()):
        call = _call(arguments_of(function, text))
        if call is not None:
            groups.setdefault(call.connector, {})[text] = call
    found = []
    for connector, known in groups.items():
        reach = database.reach(connector)
        plans = [plan_call(call, reach.connector, reach.permissions.defaults) for call in known.values()]
        found.append((list(known), plans))
    return found


def _call(arguments: Mapping[str, Any]) -> Call | None:
    """The call with these arguments, None where it lacks one: of a NULL nothing can be asked."""
    if arguments["connector"] is None or arguments["path"] is None:
        return None
    call = call_of(arguments)
    return None if None in call.path_params.values() else call
