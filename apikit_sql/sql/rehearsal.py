"""A SELECT run with its API tables empty, on a cursor of its own where the functions behind ours mean something else.

There a table takes note of its scans and has no rows, and a function of a row gives NULL. Nothing is written either:
the transaction may only read, and what writes files is refused.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from apikit_sql.errors import ApikitError, CallError
from apikit_sql.identifiers import quoted
from apikit_sql.scan.recording import Recording
from apikit_sql.sql.catalog import BIND_FUNCTION, CALLED, FUNCTIONS, RECORD, SCALAR_FUNCTIONS, literal, object_sql
from apikit_sql.sql.database import Database
from apikit_sql.sql.plan_tree import PlanScan, names_of, plan_scans
from apikit_sql.sql.seam import SURVIVES_NOT_MATERIALIZED, prepare, see_as_caller
from apikit_sql.sql.table_names import with_calls

Con = duckdb.DuckDBPyConnection

_PIVOT = re.compile(r"\bpivot", re.IGNORECASE)
_NOT_MATERIALIZED = re.compile(r"\bNOT\s+MATERIALIZED\b", re.IGNORECASE)
_OF_A_WRITER = "apikit_explain: the statement writes (DELETE, INSERT, COPY, nextval() ...); explain its SELECT alone."


def rehearsed(database: Database, sql: str, caller: Mapping[str, Any]) -> tuple[Recording, list[PlanScan]]:
    """What the SELECT `sql` scans, and the scans of its plan. Raises CallError for anything else.

    `caller` has the search path, the time zone and the variables that the statement shall see.
    """
    with _recording(database) as (key, recording):
        try:
            with _cursor(database, key, caller) as cursor:
                recording.called.clear()  # DuckDB has bound the macros
                return recording, _run(cursor, with_calls(sql))
        except duckdb.Error as error:
            raise recording.error or _refused(error) from None


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
def _cursor(database: Database, key: str, caller: Mapping[str, Any]) -> Iterator[Con]:
    """A cursor that only reads, with its caller's catalog, time zone and variables; scans are recorded under `key`."""
    cursor = database.cursor()
    try:
        prepare(cursor)
        for function in FUNCTIONS:
            cursor.execute(function.macro_sql(temporary=True))
        for statement in _shadows(database, key):
            cursor.execute(statement)
        see_as_caller(cursor, caller["time_zone"], caller["search_path"])
        _set_variables(cursor, caller["variables"])
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        yield cursor
    finally:
        cursor.close()


def _set_variables(cursor: Con, variables: Sequence[Mapping[str, str]]) -> None:
    """Give `cursor` the variables, each as its name, type and text. Raises CallError where a text loses something."""
    for name, kind, text in ((each["name"], each["type"], each["value"]) for each in variables):
        if text == "NULL":  # DuckDB writes a missing value of any type so, and an unset variable is NULL
            continue
        try:
            # parsed and written again: the function behind can be called with any text for a type
            cursor.execute(f"SET VARIABLE {quoted(name)} = CAST($1 AS {cursor.type(kind)})", [text])
        except duckdb.Error:
            raise CallError(_of_a_variable(name, kind)) from None
    kept = cursor.execute("SELECT name, type, value FROM system.main.duckdb_variables()").fetchall()
    known = {name.lower(): (kind, text) for name, kind, text in kept}
    for each in variables:
        if each["value"] != "NULL" and known.get(each["name"].lower()) != (each["type"], each["value"]):
            raise CallError(_of_a_variable(each["name"], each["type"]))


def _of_a_variable(name: str, kind: str) -> str:
    return (
        f"apikit_explain: the variable {name} ({kind}) has no text that gives it back. RESET VARIABLE {quoted(name)}."
    )


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
    _check(cursor, sql)
    told = dict(cursor.execute("EXPLAIN (FORMAT JSON) " + sql).fetchall())
    plan = json.loads(told["physical_plan"])
    if any("COPY_TO" in name for name in names_of(plan)):  # a file is not of the transaction
        raise CallError(_OF_A_WRITER)
    cursor.execute(sql).fetchall()
    return plan_scans(plan)


def _check(cursor: Con, sql: str) -> None:
    """Raise CallError for what is not one SELECT that can be run as it stands."""
    statements = cursor.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        if _PIVOT.search(sql):
            message = "apikit_explain: a PIVOT that finds its columns first is more than one SELECT. "
            raise CallError(message + "List them: ON x IN ('a', 'b').")
        message = "apikit_explain: the text must be one SELECT. Of CREATE TABLE ... AS, INSERT or COPY take the SELECT."
        raise CallError(message)
    if statements[0].named_parameters:
        message = "apikit_explain: the statement has parameters; write their values."
        raise CallError(message)
    if not SURVIVES_NOT_MATERIALIZED and _NOT_MATERIALIZED.search(sql):
        message = "apikit_explain: this DuckDB may crash at NOT MATERIALIZED over an API's table; leave it out."
        raise CallError(message)


def _refused(error: duckdb.Error) -> ApikitError:
    """What DuckDB says of the statement, and what its cursor does not see."""
    text = str(error).partition("\n\nLINE ")[0].strip()
    if isinstance(error, duckdb.TransactionException) and "read-only" in text:
        return CallError(_OF_A_WRITER)
    unseen = ""
    if isinstance(error, duckdb.CatalogException):
        unseen = "\nTemporary tables, and what a transaction has not committed yet, are not seen by apikit_explain."
    return CallError(f"apikit_explain: {text}{unseen}")
