"""apikit_explain(): the requests that a SELECT would send, told by running it with its API tables empty.

The statement runs on a cursor of its own, where the functions behind ours mean something else: a table takes note of
its scans and has no rows, and a function of a row gives NULL. DuckDB itself decides what it pushes into each scan, so
nothing of that is guessed; what it does not push stands in its plan.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from apikit_sql.engine.estimate import Estimate
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.identifiers import quoted
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.scan.recording import Asked, RecordedScan, Recording
from apikit_sql.sql.catalog import (
    BIND_FUNCTION,
    CALLED,
    EXPLAIN,
    FUNCTIONS,
    PROBING,
    RECORD,
    SCALAR_FUNCTIONS,
    bind_sql,
    call_sql,
    literal,
    object_sql,
    type_sql,
)
from apikit_sql.sql.database import Database
from apikit_sql.sql.plan_tree import PlanScan, plan_scans, words
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types
from apikit_sql.sql.seam import PUSHES_WHILE_RUNNING, prepare
from apikit_sql.sql.table_names import with_calls

Con = duckdb.DuckDBPyConnection

_COLUMNS = columns_of_types(
    {
        "connector": "VARCHAR", "path": "VARCHAR", "method": "VARCHAR", "url": "VARCHAR", "pushed": "VARCHAR[]",
        "not_pushed": "VARCHAR[]", "trips": "BIGINT", "requests": "BIGINT", "why": "VARCHAR",
        "credential": "VARCHAR", "remaining": "BIGINT",
    }
)  # fmt: skip
_VARIABLE = re.compile(r"getvariable\s*\(\s*'((?:[^']|'')*)'\s*\)", re.IGNORECASE)


def asked_again(arguments: str) -> str | None:
    """The SQL text that asks again, with the values of the variables that the statement reads; None where it has none.

    A cursor does not see its caller's variables, but what a bind answers is bound where the caller is.
    """
    given = json.loads(arguments)
    names = {name.lower(): name for name in _VARIABLE.findall(str(given["sql"]))}
    if not names or "variables" in given:
        return None
    values = {name.replace("''", "'"): f"getvariable('{name}')" for name in names.values()}
    variables = object_sql(
        {name: object_sql({"value": value, "type": type_sql(value)}) for name, value in values.items()}
    )
    others = {name: literal(text) for name, text in given.items()} | {"variables": variables}
    return "FROM " + bind_sql(call_sql({"function": literal(EXPLAIN.name)}, (), others))


def explain_dataset(database: Database, arguments: str) -> ScannedDataset:
    """A row for each scan of a SELECT. Raises CallError for anything else, and what a bind of it raises."""
    given = json.loads(arguments)
    if not isinstance(given["sql"], str):
        message = "apikit_explain: write the statement as a text, $$ SELECT ... $$."
        raise CallError(message)
    with _recording(database) as (key, recording), _cursor(database, key, given) as cursor:
        recording.called.clear()  # DuckDB has bound the macros
        try:
            plan = _run(cursor, with_calls(given["sql"]))
        except duckdb.Error as error:
            raise recording.error or _refused(error) from None
    rows = [*_scan_rows(recording.scans, plan), *map(_call_row, sorted(recording.called))]
    return RecordsDataset(_COLUMNS, lambda: rows)


def recorded(
    database: Database, question: Mapping[str, str], answer: Callable[[Database, Mapping[str, str]], ScannedDataset]
) -> ScannedDataset:
    """What `answer` gives to the question within `question`, its scans written down instead of read."""
    recording, asked = _known(database, question), json.loads(question["question"])
    try:
        dataset = answer(database, asked)
        if isinstance(dataset, RecordsDataset) and asked["function"] in {each.name for each in PROBING}:
            recording.called.add(asked["function"])
            return dataset.emptied()
        return recording.of(dataset)
    except ApikitError as error:
        recording.error = recording.error or error
        raise


def called(database: Database, question: Mapping[str, str]) -> str:
    """Nothing: that a function of a row is called is written down."""
    _known(database, question).called.add(question["name"])
    return ""


def _known(database: Database, question: Mapping[str, str]) -> Recording:
    recording = database.recordings.get(question["recording"])
    if recording is None:
        message = "no statement is explained here."
        raise CallError(message)
    return recording


@contextmanager
def _recording(database: Database) -> Iterator[tuple[str, Recording]]:
    """A recording and its key, known to the database while inside."""
    key, recording = uuid.uuid4().hex, Recording()
    database.recordings[key] = recording
    try:
        yield key, recording
    finally:
        del database.recordings[key]


@contextmanager
def _cursor(database: Database, key: str, given: Mapping[str, Any]) -> Iterator[Con]:
    """A cursor with its caller's catalog, time zone and variables, on which all scans are recorded under `key`."""
    cursor = database.cursor()
    try:
        prepare(cursor)
        for function in FUNCTIONS:
            cursor.execute(function.macro_sql(temporary=True))
        for statement in _shadows(database, key):
            cursor.execute(statement)
        cursor.execute(f"SET TimeZone = {literal(given['time_zone'])}")
        if given["search_path"]:
            cursor.execute(f"SET search_path = {literal(given['search_path'])}")
        for name, variable in given.get("variables", {}).items():
            if variable["type"] != '"NULL"':
                value = literal(json.dumps({"value": variable["value"]}))
                kind = f"STRUCT(value {variable['type']})"
                cursor.execute(f"SET VARIABLE {quoted(name)} = (SELECT CAST({value}::JSON AS {kind}).value)")
        yield cursor
    finally:
        cursor.close()


def _shadows(database: Database, key: str) -> Iterator[str]:
    """The macros that stand before the functions behind ours, on one connection only."""
    behind = f"system.main.{BIND_FUNCTION}"
    record = object_sql({"function": literal(RECORD), "recording": literal(key), "question": "CAST(q AS VARCHAR)"})
    yield f"CREATE TEMP MACRO {BIND_FUNCTION}(q) AS {behind}(to_json({record}))"
    functions = [
        (each.behind, "q, statement, mark" if each.method else "q", each.name, each.returns)
        for each in SCALAR_FUNCTIONS
    ]
    functions += [(name, "q, kinds", table.function, kind) for name, table, kind in database.catalogs.functions()]
    for name, arguments, shown, kind in functions:
        called = json.dumps({"function": CALLED, "recording": key, "name": shown})
        # that it is called is folded into a constant, and so told, before it runs; the value is not, or NULL might be
        value = f"CASE WHEN random() < 0 THEN CAST({behind}({literal(called)}) || q AS {kind}) END"
        yield f"CREATE TEMP MACRO {name}({arguments}) AS {value}"


def _run(cursor: Con, sql: str) -> list[PlanScan]:
    """The scans of the plan of the one SELECT in `sql`, which has run then. Raises CallError for anything else."""
    statements = cursor.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        message = "apikit_explain: the text must be one SELECT. Of CREATE TABLE ... AS, INSERT or COPY take the SELECT."
        raise CallError(message)
    if statements[0].named_parameters:
        message = "apikit_explain: the statement has parameters; write their values."
        raise CallError(message)
    told = dict(cursor.execute("EXPLAIN (FORMAT JSON) " + sql).fetchall())
    cursor.execute(sql).fetchall()
    return plan_scans(json.loads(told["physical_plan"]))


def _refused(error: duckdb.Error) -> ApikitError:
    """What DuckDB says of the statement, and what its cursor does not see."""
    text = str(error).partition("\n\nLINE ")[0].strip()
    unseen = ""
    if isinstance(error, duckdb.CatalogException):
        unseen = "\nTemporary tables, and what a transaction has not committed yet, are not seen by apikit_explain."
    return CallError(f"apikit_explain: {text}{unseen}")


def _scan_rows(scans: Sequence[RecordedScan], plan: Sequence[PlanScan]) -> Iterator[Row]:
    sampled: set[RequestPlan] = set()
    for scan, shown in sorted(_paired(scans, plan), key=lambda pair: pair[0].number):
        yield _scan_row(scan, shown, sampled)


def _paired(scans: Sequence[RecordedScan], plan: Sequence[PlanScan]) -> list[tuple[RecordedScan, PlanScan]]:
    """Each scan with what the plan shows of it, the most alike first; scans of a recursion's later rounds are left."""
    filters = [[asked.text for asked in scan.asked()] for scan in scans]
    likeness = [
        (shown.likeness(scan.columns, filters[number]), -number, -place)
        for number, scan in enumerate(scans)
        for place, shown in enumerate(plan)
    ]
    pairs: dict[int, int] = {}
    for alike, number, place in sorted(likeness, reverse=True):
        if alike > 0 and -number not in pairs and -place not in pairs.values():
            pairs[-number] = -place
    found = {scans[number].number for number in pairs}
    unseen = [scan for scan in scans if scan.number not in found]
    return [(scans[number], plan[place]) for number, place in pairs.items()] + [(scan, PlanScan()) for scan in unseen]


def _scan_row(scan: RecordedScan, shown: PlanScan, sampled: set[RequestPlan]) -> Row:
    """What one scan sends. A page of `sampled` requests serves another scan already; those of this one are added."""
    plan, trips = scan.table.plan, scan.trips()
    outlooks = [scan.table.session.outlook(trip.request) for trip in trips]
    again = sum(outlook.estimate.kept for trip, outlook in zip(trips, outlooks, strict=True) if trip.request in sampled)
    sampled.update(trip.request for trip in trips)
    requests, why = _expected(scan, shown, [outlook.estimate for outlook in outlooks], again)
    asked = scan.asked()
    first = outlooks[0] if outlooks else scan.table.session.outlook(plan.request)
    return {
        "connector": plan.request.connector,
        "path": plan.request.path,
        "method": plan.request.method,
        "url": first.url if outlooks else None,
        "pushed": [f"{each.text} as {each.sent}" for each in asked if each.sent],
        "not_pushed": [f"{each.text}: {each.why}" for each in asked if each.why] + _not_pushed(shown, asked),
        "trips": len(trips),
        "requests": requests,
        "why": why or None,
        "credential": first.credential,
        "remaining": first.remaining,
    }


def _expected(scan: RecordedScan, shown: PlanScan, estimates: Sequence[Estimate], again: int) -> tuple[int | None, str]:
    """The requests of one scan, `again` for pages that serve another one; None where only the API can tell, and why."""
    plan = scan.table.plan
    if shown.is_repeated:
        return None, "a recursive CTE may scan it many times"
    if PUSHES_WHILE_RUNNING and shown.narrowed & {key.column.partition(".")[0] for key in plan.key_columns}:
        return None, "a join may narrow it by what its other side holds"
    if plan.request.cache and estimates:
        return None, f"answers of the last {plan.request.cache:g} s come from the response cache"
    for estimate in estimates:
        if estimate.requests is None:
            return None, estimate.why
    requests = again + sum(estimate.requests or 0 for estimate in estimates)
    is_one = requests == 1 and not any(estimate.kept for estimate in estimates)
    if requests and not (shown.read == "all" or (shown.read == "first" and is_one)):
        return None, f"LIMIT may end it early; {requests} at the most"
    if plan.max_requests is not None and requests > plan.max_requests:
        return plan.max_requests, f"it will fail: it needs {requests} requests, and max_requests is {plan.max_requests}"
    return requests, next((estimate.why for estimate in estimates if estimate.why), "")


def _not_pushed(shown: PlanScan, asked: Sequence[Asked]) -> list[str]:
    """What stands in the plan beside a scan, but for what DuckDB has pushed all the same, now or as a join began."""
    told = [words(each.text) for each in asked]
    known = words(" ".join(each.text for each in asked)) - words(shown.filters) if PUSHES_WHILE_RUNNING else frozenset()
    return [
        f"{condition}: {why}"
        for condition, why in shown.not_pushed.items()
        if words(condition) not in told and not (known & shown.concerns(condition))
    ]


def _call_row(function: str) -> Row:
    """A function that the statement calls, and that asks an API by itself."""
    names = (column.name for column in _COLUMNS)
    if function in {each.name for each in PROBING}:
        why = f"{function} sends a request when it is read, unless a bind has"
    else:
        why = f"{function} sends a request or more for each distinct row that calls it, known only while it runs"
    return {**dict.fromkeys(names), "why": why}
