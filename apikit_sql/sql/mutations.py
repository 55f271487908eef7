"""Functions of a row that change something: a column of calls -> a column of outcomes. A row that fails is an outcome.

Once something has been sent nothing is raised: that would lose the outcomes of other rows. What concerns the whole
statement raises before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from apikit_sql.column_types import parse_type
from apikit_sql.engine.mutation import Outcome, not_sent
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.plan.call import Call, call_of
from apikit_sql.plan.mutation import Mutation, idempotency_key, plan_mutation
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.decode import as_declared
from apikit_sql.scan.scalars import storage_type
from apikit_sql.sql.catalog import OUTCOME, Function
from apikit_sql.sql.database import Database
from apikit_sql.sql.mutation_calls import MutationCall, StructOfOutcome, check_copies, check_runs_once, may_share
from apikit_sql.sql.questions import arguments_of
from apikit_sql.sql.streams import Reach

_TYPE = parse_type(OUTCOME)
#: What the values of one row can cause: numbers of too many digits and JSON nested too deeply among it.
_OF_A_ROW = (ApikitError, ValueError, RecursionError)


@dataclass(eq=False)
class _Row:
    """One row: what it asks for, and what became of it. A row that asks for nothing has neither."""

    connector: str
    path: str
    call: Call | None = None
    key: str | None = None
    outcome: Outcome | None = None


def outcomes(
    function: Function, calls: pa.Array, statements: pa.Array, marks: pa.Array, database: Database
) -> pa.Array:
    """What became of each of `calls`, NULL for one without a connector or a path.

    Raises CallError where the statement may not send, or the API may not be changed; ConfigError where a credential is
    not there.
    """
    if not len(calls):
        return _as_structs([])
    call = database.mutation_calls.call(marks[0].as_py())
    selects = database.permissions.runs_once
    check_runs_once(function.name, statements[0].as_py(), database.cursor, selects=selects)
    check_copies(function.name, call, statements[0].as_py())
    texts = calls.to_pylist()
    shares = may_share(statements[0].as_py())
    if shares and (again := database.mutation_calls.answered(call, texts)) is not None:
        return _as_structs(again)
    rows = [_read(function, text) for text in texts]
    by_connector: dict[str, list[_Row]] = {}
    for row in rows:
        if row.call is not None:
            by_connector.setdefault(row.connector, []).append(row)
    ready = [_ready(function, some, database, call) for some in by_connector.values()]
    call.has_begun = True
    for send in ready:
        send()
    for row in rows:
        if row.call is None and row.outcome is not None:
            row.outcome = database.permissions.session.noted(row.connector, row.path, row.outcome)
    found = [None if row.outcome is None else _as_struct(row.outcome, row.key) for row in rows]
    if shares:
        database.mutation_calls.note(call, dict(zip(texts, found, strict=True)))
    return _as_structs(found)


def _read(function: Function, text: str) -> _Row:
    """The row whose arguments are the JSON object `text`."""
    row = _Row("", "")
    try:
        given = arguments_of(function, text)
        if given["connector"] is None or given["path"] is None:
            return row
        row.connector, row.path = str(given["connector"]), str(given["path"])
        row.key = _text(given.pop("idempotency_key"))
        row.call = call_of(given)
    except _OF_A_ROW as error:
        row.outcome = not_sent(error)
    return row


def _text(key: object) -> str | None:
    if isinstance(key, bool | list | dict):
        message = "apikit: idempotency_key must be a text."
        raise CallError(message)
    return None if key is None else str(key)


def _ready(function: Function, rows: list[_Row], database: Database, call: MutationCall) -> Callable[[], None]:
    """What sends `rows`, all of one connector. Raises what keeps all of them back, unless others may have been sent."""
    try:
        return _planned(function, rows, database, call)
    except ApikitError as error:
        if call.has_begun:
            return partial(_keep_back, rows, error)
        raise


def _keep_back(rows: list[_Row], error: Exception) -> None:
    for row in rows:
        row.call, row.outcome = None, not_sent(error)


def _planned(function: Function, rows: list[_Row], database: Database, call: MutationCall) -> Callable[[], None]:
    permissions, name = database.permissions, rows[0].connector
    reach = database.reach(name)
    permissions.check_mutable(function.name, name)
    planned: list[tuple[_Row, Mutation]] = []
    for row in rows:
        try:
            planned.append((row, _plan(row, function.method, reach)))
        except _OF_A_ROW as error:
            _keep_back([row], error)
    if not planned:
        return lambda: None
    plan = ScanPlan(planned[0][1].request, concurrency=reach.connector.concurrency)
    asked = [mutation for _, mutation in planned]
    send = permissions.session.mutations(plan, asked, call.cancelled, call.allowance)

    def work() -> None:
        for (row, _), outcome in zip(planned, send(), strict=True):
            row.outcome = outcome

    return work


def _plan(row: _Row, method: str, reach: Reach) -> Mutation:
    assert row.call is not None  # noqa: S101 - it is one of those that ask for something
    row.key = idempotency_key(reach.connector, row.key)
    return plan_mutation(
        row.call, method, reach.connector, row.key, reach.permissions.defaults.patience(reach.connector)
    )


def _as_structs(outcomes: Sequence[StructOfOutcome | None]) -> pa.Array:
    return as_declared(pa.array(outcomes, storage_type(_TYPE)), _TYPE)


def _as_struct(outcome: Outcome, key: str | None) -> StructOfOutcome:
    body = None if outcome.body is None else outcome.body.decode()
    return {"status": outcome.status, "body": body, "error": outcome.error, "idempotency_key": key}
