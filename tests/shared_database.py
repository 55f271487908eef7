"""One database in memory for the tests of a file, for to make one costs more than most of them.

Each test has a connection of its own, with its own session and its own permissions: variables, temporary objects,
results that are open and the settings of a connection end with it. Connectors are detached, tables and views dropped
after the test; what else it left to other connections (a catalog, a schema, a setting of the database) ends the
database, and the next test has a new one. Macros are too dear to be looked for after each test: one that stays behind
fails the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.sql.database import database_of
from apikit_sql.sql.permissions import Permissions

#: What statements of one connection leave to the others.
_STATE = """
    SELECT 'database', database_name, '' FROM duckdb_databases()
    UNION ALL SELECT 'schema', database_name || '.' || schema_name, '' FROM duckdb_schemas()
    UNION ALL SELECT 'TABLE', table_name, '' FROM duckdb_tables() WHERE NOT temporary
    UNION ALL SELECT 'VIEW', view_name, '' FROM duckdb_views() WHERE NOT internal AND NOT temporary
    UNION ALL SELECT 'index', index_name, '' FROM duckdb_indexes()
    UNION ALL SELECT 'sequence', sequence_name, '' FROM duckdb_sequences() WHERE NOT temporary
    UNION ALL SELECT 'type', type_name, '' FROM duckdb_types() WHERE NOT internal
    UNION ALL SELECT 'secret', name, '' FROM duckdb_secrets()
    UNION ALL SELECT 'setting', name, value FROM duckdb_settings()
"""
_MACROS = "SELECT count(*) FROM duckdb_functions() WHERE function_type LIKE '%macro' AND database_name = 'memory'"

_State = set[tuple[str, str, str]]


class SharedDatabase:
    """Connections of one database, until a test changes it for the others."""

    def __init__(self) -> None:
        """No database yet: a file's tests may need none."""
        self._owner: duckdb.DuckDBPyConnection | None = None
        self._state: _State = set()
        self._macros = 0
        self._is_in_use = False

    @contextmanager
    def connection(self, session: Session, **options: Any) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection on which apikit is installed with `session` and `options`, as if nothing had been before."""
        assert not self._is_in_use, "a second connection would change the permissions of the first"
        owner = self._owner or self._made(session)
        database = database_of(owner)
        assert database is not None
        database.permissions = Permissions(session)
        self._is_in_use = True
        try:
            with owner.cursor() as con:
                apikit_sql.install(con, session=session, **options)
                yield con
        finally:
            self._is_in_use = False
            self._clean()

    def close(self) -> None:
        """The end of the database. Raises AssertionError where a macro stayed behind."""
        owner, self._owner = self._owner, None
        if owner is not None:
            macros = _count(owner)
            owner.close()
            message = "a test of this file left a macro in the database: give it one of its own, by `own_database`"
            assert macros == self._macros, message

    def _made(self, session: Session) -> duckdb.DuckDBPyConnection:
        self._owner = duckdb.connect()
        apikit_sql.install(self._owner, session=session)
        self._state, self._macros = _state(self._owner), _count(self._owner)
        return self._owner

    def _clean(self) -> None:
        """Detach the connectors that a test left, drop its tables and views; end the database if it left more."""
        assert self._owner is not None
        database = database_of(self._owner)
        assert database is not None
        for name in list(database.catalogs.attached):
            with suppress(CallError):  # the test detached it in its own way
                database.catalogs.detach(name, current="")
        left = _state(self._owner)
        if left == self._state:
            return
        if {kind for kind, *_ in left ^ self._state} <= {"TABLE", "VIEW"}:
            for kind, name, _ in left - self._state:
                self._owner.execute(f'DROP {kind} "{name}"')
        else:
            self.close()


def _state(con: duckdb.DuckDBPyConnection) -> _State:
    return set(con.execute(_STATE).fetchall())


def _count(con: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = con.execute(_MACROS).fetchall()
    return int(count)
