"""What can be typed: the names that the database, the functions and the connectors have, asked of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import cached_property

import duckdb

from apikit_sql.cli.opening import Opened
from apikit_sql.errors import ConfigError

_TABLES = """
    SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE NOT internal
    UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal
"""
_FUNCTIONS = (
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE regexp_matches(function_name, '^[a-z][a-z_0-9]*$')"
)
_COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE lower(table_name) = lower(?) ORDER BY column_index"


class Vocabulary:
    """The names of one moment, each list asked for when it is first wanted."""

    def __init__(self, database: Opened) -> None:
        """Names of `database`, which is doing nothing else meanwhile."""
        self._database = database

    @cached_property
    def keywords(self) -> list[str]:
        """Those of DuckDB's SQL, in lower case."""
        return [name for (name,) in self._rows("SELECT keyword_name FROM duckdb_keywords()")]

    @cached_property
    def functions(self) -> list[str]:
        """Functions and macros, those that read APIs first."""
        return sorted(
            (name for (name,) in self._rows(_FUNCTIONS)), key=lambda name: (not name.startswith("apikit"), name)
        )

    @cached_property
    def tables(self) -> list[tuple[str, str, str]]:
        """Database, schema and name of each table and view."""
        return [(database, schema, name) for database, schema, name in self._rows(_TABLES)]

    @cached_property
    def connectors(self) -> list[str]:
        """The connectors that are known."""
        return self._database.session.connectors.survey()[0]

    def streams(self, connector: str) -> list[str]:
        """The streams of a connector; none where there is no such connector."""
        with contextlib.suppress(ConfigError):
            return list(self._database.session.connectors.definition(connector).streams)
        return []

    def columns(self, tables: Iterable[str]) -> list[str]:
        """The columns of these tables and views, by the last part of their names."""
        return [name for table in tables for (name,) in self._rows(_COLUMNS, table)]

    def stream_columns(self, connector: str, stream: str) -> list[str]:
        """The columns that a stream declares."""
        with contextlib.suppress(ConfigError, KeyError):
            return list(self._database.session.connectors.definition(connector).streams[stream].columns)
        return []

    def _rows(self, sql: str, *parameters: str) -> list[tuple[str, ...]]:
        with contextlib.suppress(duckdb.Error):  # in a transaction that has failed nothing is answered
            return self._database.con.execute(sql, list(parameters)).fetchall()  # type: ignore[no-any-return]
        return []
