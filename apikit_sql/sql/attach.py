"""A connector as a catalog of DuckDB: for each stream a view, a macro, and a function of its keys.

    FROM github.issues WHERE owner = 'duckdb' AND repo = 'duckdb'
    FROM github.issues(owner := 'duckdb', repo := 'duckdb', pages := 1)
    SELECT r.name, unnest(github.issues_of('duckdb', r.name), max_depth := 2) FROM ...

The catalog is in memory, is seen by every connection of the database, and is gone with it. All is made through a cursor
of its own, while the statement that attaches is being bound.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.connector.manifest import ConnectorDefinition, KeyColumn, Stream
from apikit_sql.errors import CallError
from apikit_sql.identifiers import is_identifier, plain, quoted
from apikit_sql.plan.columns import operators_by_column
from apikit_sql.sql.catalog import APIKIT, STREAM, bind_sql, call_sql, literal, object_sql, type_sql

Con = duckdb.DuckDBPyConnection
#: Keys and their SQL type, as JSON and as text, row by row -> a list of records for each.
RowFunction = Callable[[pa.Array, pa.Array], pa.Array]

#: What a key's argument is where none is given, as JSON and in SQL: no column holds it, while NULL is a missing value.
ANY = {"any": True}
_ANY_SQL = "{'any': true}"
#: The options of apikit() that a stream has settled.
_SETTLED = frozenset({"connector", "path", "path_params", "data_path", "pagination", "filters", "method", "body"})
_OF_INFERRED = frozenset({"nested", "sample_pages"})  # columns, of which a table has its own


@dataclass(frozen=True)
class StreamTable:
    """One stream of an attached connector, and the columns that it has."""

    connector: str
    catalog: str
    name: str
    stream: Stream
    columns: tuple[Column, ...]
    error: str = ""  # why its columns could not be read; then it is no table

    @property
    def full_name(self) -> str:
        """What the table is found by."""
        return f"{self.catalog}.{self.name}"

    @property
    def shown(self) -> str:
        """The table as people write it in SQL."""
        return f"{plain(self.catalog)}.{plain(self.name)}"

    @property
    def function(self) -> str:
        """The function of its keys, as people write it in SQL."""
        return f"{plain(self.catalog)}.{plain(self.name + '_of')}"

    @property
    def keys(self) -> tuple[KeyColumn, ...]:
        """The key columns that can be given by name, the required ones first."""
        found: dict[str, KeyColumn] = {}
        for key in sorted(self.stream.key_columns, key=lambda key: not key.required):
            if "=" in key.operators and "." not in key.column:
                found.setdefault(key.column.lower(), key)
        return tuple(found.values())


@dataclass
class Attached:
    """A connector under one name: the database that DuckDB has for it, and its tables."""

    connector: ConnectorDefinition
    database: int
    tables: tuple[StreamTable, ...]


@dataclass
class Catalogs:
    """The connectors attached to one database. `cursor` gives a connection of it that is not in use."""

    cursor: Callable[[], Con]
    row_function: Callable[[StreamTable], RowFunction]
    attached: dict[str, Attached] = field(default_factory=dict)
    _functions: dict[str, tuple[StreamTable, str]] = field(default_factory=dict)
    _once: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attach(
        self, connector: ConnectorDefinition, name: str, tables: Callable[[], Sequence[StreamTable]]
    ) -> Attached:
        """`connector` as the catalog `name`; nothing is done where it is attached so already.

        Raises CallError for a name that is none, or that a catalog or a schema has.
        """
        if not is_identifier(name):
            message = f"apikit_attach: {name!r} is no name for a catalog; it is letters, digits and '_'."
            raise CallError(message)
        with self._lock:  # one attaches at a time, so that equal ones send their requests once
            cursor = self.cursor()
            known = self._known(cursor, name, connector)
            if known is not None and known.connector == connector and _is_whole(cursor, known):
                return known
            if known is None:
                _refuse_taken(cursor, name)
            made = tuple(tables())
            if known is None:
                cursor.execute(f"ATTACH ':memory:' AS {quoted(name)} (READ_WRITE)")
            return self._filled(cursor, name, Attached(connector, _database_id(cursor, name), made), known)

    def _filled(self, cursor: Con, name: str, attached: Attached, known: Attached | None) -> Attached:
        """`attached`, its tables made in the place of those `known`; where that fails, all is as it was before."""
        self.attached[name.lower()] = attached  # a view is bound when it is made
        try:
            self._fill(cursor, name, attached.tables, known)
        except duckdb.Error:
            if known is None:
                del self.attached[name.lower()]
                cursor.execute(f"DETACH {quoted(name)}")
            else:
                self.attached[name.lower()] = known
            raise
        self._once.add(name.lower())
        return attached

    def table(self, full_name: str) -> StreamTable:
        """The table that is written so in SQL. Raises CallError where its connector is attached no longer."""
        catalog, _, name = full_name.partition(".")
        known = self.attached.get(catalog.lower())
        for table in known.tables if known else ():
            if table.name == name and not table.error:
                return table
        message = f"{full_name}: the connector is attached no longer. Attach it again: CALL apikit_attach(...)."
        raise CallError(message)

    def functions(self) -> list[tuple[str, StreamTable, str]]:
        """Each function behind a macro of keys: its name, its table, and the type that it gives."""
        return [(name, table, _type_of_records(table)) for table, name in self._functions.values()]

    def detach(self, name: str, current: str) -> bool:
        """Whether the catalog `name` was there; it no longer is.

        Raises CallError for one that never was of ours, or that is the caller's `current` one.
        """
        if name.lower() == current.lower():
            message = f"apikit_detach: {name} is the current catalog. Say USE memory (or another one) first."
            raise CallError(message)
        with self._lock:
            cursor = self.cursor()
            if self._known(cursor, name) is None:
                if name.lower() in self._once:
                    return False
                have = ", ".join(sorted(self.attached)) or "none"
                message = f"apikit_detach: no connector is attached as {name!r} (attached: {have})."
                raise CallError(message)
            try:
                cursor.execute(f"DETACH {quoted(name)}")
            except duckdb.Error as error:
                message = f"apikit_detach: {name} is in use ({str(error).partition(chr(10))[0]})."
                raise CallError(message) from None
            del self.attached[name.lower()]
            return True

    def _known(self, cursor: Con, name: str, connector: ConnectorDefinition | None = None) -> Attached | None:
        """What is attached under `name`, if DuckDB still has it; someone may have detached it.

        Raises CallError where it is another connector than the one that is wanted.
        """
        known = self.attached.get(name.lower())
        if known is None:
            return None
        if _database_id(cursor, name) != known.database:
            del self.attached[name.lower()]
            return None
        if connector is not None and known.connector.name != connector.name:
            message = (
                f"apikit_attach: {name} is the connector {known.connector.name!r} already. Choose another name "
                f"(name := ...), or say CALL apikit_detach('{name}') first."
            )
            raise CallError(message)
        return known

    def _fill(self, cursor: Con, name: str, tables: Sequence[StreamTable], known: Attached | None) -> None:
        gone = {each.name for each in known.tables} - {each.name for each in tables} if known else set()
        tables = [table for table in tables if not table.error]
        functions = {table.name: self._function(cursor, table) for table in tables if table.keys}
        cursor.execute("BEGIN")
        try:
            for table in tables:
                for statement in _statements(table, functions.get(table.name)):
                    cursor.execute(statement)
            for each in gone:
                for statement in _removed(name, each):
                    cursor.execute(statement)
            cursor.execute("COMMIT")
        except duckdb.Error:
            cursor.execute("ROLLBACK")
            raise

    def _function(self, cursor: Con, table: StreamTable) -> str:
        """The name of the function behind `table`'s macro; one that was made once stays for good."""
        known, name = self._functions.get(table.full_name, (None, ""))
        if known != table:
            name = f"__apikit_of_{uuid.uuid4().hex}"
            text = duckdb.type("VARCHAR")
            cursor.create_function(  # type: ignore[call-overload]  # DuckDB's types do not know the text "arrow"
                name, self.row_function(table), [text, text], duckdb.type(_type_of_records(table)),
                type="arrow", side_effects=True, null_handling="special",
            )  # fmt: skip
            self._functions[table.full_name] = table, name
        return name


def _refuse_taken(cursor: Con, name: str) -> None:
    """Raise CallError where a statement could not tell the catalog `name` from another one, or from a schema."""
    taken = cursor.execute(
        "SELECT 'a database' FROM system.main.duckdb_databases() WHERE lower(database_name) = lower($name) "
        "UNION ALL SELECT 'a schema' FROM system.main.duckdb_schemas() WHERE lower(schema_name) = lower($name) LIMIT 1",
        {"name": name},
    ).fetchall()
    if taken:
        message = (
            f"apikit_attach: {taken[0][0]} is called {name!r} already. Choose another name: "
            f"CALL apikit_attach(..., name := '{name}_api')."
        )
        raise CallError(message)


def _database_id(cursor: Con, name: str) -> int:
    """DuckDB's number of the database `name`, -1 where it has none."""
    query = "SELECT database_oid FROM system.main.duckdb_databases() WHERE lower(database_name) = lower(?)"
    found = cursor.execute(query, [name]).fetchall()  # all: an unread result would keep the cursor busy
    return int(found[0][0]) if found else -1


def _is_whole(cursor: Con, attached: Attached) -> bool:
    """Whether DuckDB has a view for each table; someone may have dropped one."""
    query = "SELECT view_name FROM system.main.duckdb_views() WHERE database_oid = ? AND NOT internal"
    views = {name for (name,) in cursor.execute(query, [attached.database]).fetchall()}
    return {table.name for table in attached.tables if not table.error} <= views


def _type_of_records(table: StreamTable) -> str:
    fields = ", ".join(f"{quoted(column.name)} {column.type}" for column in table.columns)
    return f"STRUCT({fields})[]"


def _statements(table: StreamTable, function: str | None) -> Iterator[str]:
    """What makes a stream's view, macros and comments."""
    name = f"{quoted(table.catalog)}.main.{quoted(table.name)}"
    question = json.dumps({"function": STREAM, "table": table.full_name, "arguments": "{}"})
    yield f"CREATE OR REPLACE VIEW {name} AS FROM {bind_sql(literal(question))}"
    yield f"COMMENT ON VIEW {name} IS {literal(table.stream.description)}"
    for column, text in _comments(table):
        yield f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(text)}"
    keys = [key.column for key in table.keys]
    options = [a for a in APIKIT.arguments if a.name not in {*_SETTLED, *_OF_INFERRED, *map(str.lower, keys)}]
    declared = ", ".join(
        [f"{quoted(key)} := {_ANY_SQL}" for key in keys] + [f"{option.name} := {option.default}" for option in options]
    )
    key = {"key": _struct(keys), "key_type": type_sql(_struct(keys))} if keys else {}
    yield f"CREATE OR REPLACE MACRO {name}({declared}) AS TABLE FROM " + bind_sql(
        call_sql({"function": literal(STREAM), "table": literal(table.full_name)}, options, key)
    )
    if function is not None:
        arguments = ", ".join(
            quoted(key.column) if key.required else f"{quoted(key.column)} := {_ANY_SQL}" for key in table.keys
        )
        scalar = f"{quoted(table.catalog)}.main.{quoted(table.name + '_of')}"
        yield (
            f"CREATE OR REPLACE MACRO {scalar}({arguments}) AS "
            f"{function}(CAST(to_json({_struct(keys)}) AS VARCHAR), {type_sql(_struct(keys))})"
        )


def _removed(catalog: str, stream: str) -> Iterator[str]:
    name = f"{quoted(catalog)}.main.{quoted(stream)}"
    yield f"DROP VIEW IF EXISTS {name}"
    yield f"DROP MACRO TABLE IF EXISTS {name}"
    yield f"DROP MACRO IF EXISTS {quoted(catalog)}.main.{quoted(stream + '_of')}"


def _comments(table: StreamTable) -> Iterator[tuple[str, str]]:
    """What is to be said of the columns: their meaning, and which predicates the API answers itself."""
    operators = operators_by_column(table.stream.key_columns)
    required = {column.lower() for column in table.stream.required}
    for column in table.columns:
        name = column.name.lower()
        config = table.stream.columns.get(column.name)
        pushed = f"the API answers {', '.join(operators[name])}" if name in operators else ""
        texts = (config.description if config else "", "needed: = or IN" if name in required else pushed)
        if any(texts):
            yield column.name, "; ".join(filter(None, texts))


def _struct(names: Sequence[str]) -> str:
    return object_sql({name: quoted(name) for name in names})
