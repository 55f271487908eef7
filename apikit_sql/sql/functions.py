"""What DuckDB calls: one Python function behind all tables, and one behind each scalar function.

A table function is a macro that hands its arguments to the first while it is bound, and reads the SQL text it answers.
That one takes a text (a "native" function to DuckDB: on 1.x it is called in a tenth of the time), the others columns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType

import duckdb
import pyarrow as pa

from apikit_sql.errors import CallError
from apikit_sql.sql import catalog
from apikit_sql.sql.answers import answer
from apikit_sql.sql.catalog import BIND_FUNCTION, EXPLAIN_FUNCTION, MARK_FUNCTION, SCALAR_FUNCTIONS, Function
from apikit_sql.sql.database import Database, keep, know, raised_as_text
from apikit_sql.sql.explain import EXPLAINED, called, explained, reading
from apikit_sql.sql.mutations import outcomes
from apikit_sql.sql.permissions import Permissions
from apikit_sql.sql.questions import check_arguments, needed, read_question
from apikit_sql.sql.scalars import values

Work = Callable[..., object]


def register(con: duckdb.DuckDBPyConnection, permissions: Permissions) -> Database:
    """A database that was not known yet: the functions behind ours are made through `con`."""
    database = Database(permissions)
    _create(con, BIND_FUNCTION, _bind(database), "VARCHAR", is_called_by_row=False)
    _create(con, MARK_FUNCTION, _mark(database), "VARCHAR", is_called_by_row=False)
    _create(con, EXPLAIN_FUNCTION, _explained(database), EXPLAINED, is_called_by_row=True, takes=2)
    for function in SCALAR_FUNCTIONS:
        work, takes = (_outcomes(database, function), 3) if function.method else (_values(database, function), 1)
        _create(con, function.behind, work, function.returns, is_called_by_row=True, takes=takes)
    know(database)
    return database


def _create(  # noqa: PLR0913 - as DuckDB is told
    con: duckdb.DuckDBPyConnection, name: str, work: Work, returns: str, *, is_called_by_row: bool, takes: int = 1
) -> None:
    """Let DuckDB call `work`, which `takes` so many texts, beforehand where it can unless it `is_called_by_row`."""
    kind = duckdb.type(returns)
    work.__annotations__.clear()  # DuckDB would evaluate them, for 2 ms

    def create(owner: duckdb.DuckDBPyConnection) -> None:
        owner.create_function(  # type: ignore[call-overload]  # DuckDB's types do not know the text "arrow"
            name,
            work,
            ["VARCHAR"] * takes,
            kind,
            type="native" if name == BIND_FUNCTION else "arrow",
            side_effects=is_called_by_row,
            null_handling="special" if is_called_by_row else "default",
        )

    try:
        create(con)
    except duckdb.NotImplementedException:  # `con` still counts a function as its own whose creation was rolled back
        create(con.cursor())
    keep(work)


def _bind(database: Database) -> Work:
    """The function behind all tables."""

    def bind(call: str) -> str:
        try:
            caller = sys._getframe(1)  # noqa: SLF001 - at the entry it is the frame that called DuckDB; 1.x looks there
        except ValueError:
            caller = None
        return _text(database, read_question(call), caller)

    return bind


def _text(database: Database, question: Mapping[str, str], caller: FrameType | None) -> str:
    """The key of the database, or the SQL text that reads one call's rows."""
    match question["function"]:
        case "key":
            return database.key
        case catalog.CALLED:
            return called(database, question)
        case catalog.EXPLAIN.name:
            return reading(needed(question, "arguments"))
    if caller is None:  # one of DuckDB's threads evaluates it row by row: nobody binds a statement
        message = f"apikit: {BIND_FUNCTION} is asked by macros alone, while a statement is bound."
        raise CallError(message)
    check_arguments(question["function"], question.get("arguments", ""))
    session = database.permissions.session
    dataset = raised_as_text(session, lambda: answer(database, question))
    session.will_begin()
    return database.names.text_for(dataset, caller)


def _values(database: Database, function: Function) -> Work:
    """The function behind a scalar function."""

    def work(calls: pa.Array) -> pa.Array:
        return raised_as_text(database.permissions.session, lambda: values(function, calls, database))

    return work


def _mark(database: Database) -> Work:
    """The function that marks calls of mutations, and counts their copies."""

    def work(marks: pa.Array) -> pa.Array:
        known = {mark: database.mutation_calls.mark(mark) for mark in set(marks.to_pylist())}
        return pa.array([known[mark] for mark in marks.to_pylist()], pa.string())

    return work


def _explained(database: Database) -> Work:
    """The function behind apikit_explain()."""

    def work(calls: pa.Array, variables: pa.Array) -> pa.Array:
        return raised_as_text(database.permissions.session, lambda: explained(database, calls, variables))

    return work


def _outcomes(database: Database, function: Function) -> Work:
    """The function behind a mutation."""

    def work(calls: pa.Array, statements: pa.Array, marks: pa.Array) -> pa.Array:
        session = database.permissions.session
        return raised_as_text(session, lambda: outcomes(function, calls, statements, marks, database))

    return work
