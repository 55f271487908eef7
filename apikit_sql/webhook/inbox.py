"""A DuckDB table as the store of deliveries: each provider's id once, durable when a commit has returned.

No connection is held between two commits, so that the database closes when its owner closes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from apikit_sql.errors import ConfigError
from apikit_sql.identifiers import quoted
from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import RefusedRowError, StoreError, UnreadableError

Con = duckdb.DuckDBPyConnection

COLUMNS = {
    "received_at": "TIMESTAMP WITH TIME ZONE",
    "provider": "VARCHAR",
    "event": "VARCHAR",
    "id": "VARCHAR",
    "headers": "JSON",
    "payload": "JSON",
    "verdict": "VARCHAR",
}
_MAY_BE_NULL = {"event", "id"}
_PAUSES = (0.01, 0.02, 0.04, 0.08)  # seconds after a commit that another transaction has prevented
_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^".\s]+))\s*(?:\.|$)')
_INSERT = "INSERT INTO {} (received_at, {}) SELECT make_timestamptz(unnest($1)), {}"
#: Doubles what a commit costs: said where there is a known id. DuckDB refuses it where the ids are not unique any more.
_WHERE_NEW = " ON CONFLICT (provider, id) DO NOTHING"
_ASK_UNIQUE = "PREPARE is_unique AS INSERT INTO {} (provider, id) SELECT '', '' WHERE false" + _WHERE_NEW


@dataclass(frozen=True)
class TableName:
    """A table, whole, whatever the current catalog and schema are."""

    catalog: str
    schema: str
    table: str

    def __str__(self) -> str:
        """The name as SQL takes it."""
        return ".".join(map(quoted, (self.catalog, self.schema, self.table)))


class Inbox:
    """The table `name`, written through a cursor of its own from `cursor`, which gives None where all are closed."""

    def __init__(self, name: TableName, cursor: Callable[[], Con | None]) -> None:
        """An inbox whose table need not be there yet."""
        self._name, self._cursor = name, cursor
        given = [name for name in COLUMNS if name != "received_at"]
        values = ", ".join(f"unnest(${number})" for number in range(2, 2 + len(given)))
        self._insert = _INSERT.format(name, ", ".join(given), values)
        self._ask_unique = _ASK_UNIQUE.format(name)

    def open(self) -> None:
        """Make the table where it is not there yet. Raises ConfigError where it is no inbox, or cannot be written."""
        con = self._own_cursor()
        if con is None:
            message = "webhook: the database is closed."
            raise ConfigError(message)
        try:
            con.execute(_create(self._name))
            _check(con, self._name)
            con.begin()
            con.execute(self._insert, _parameters([Delivery(0, "", None, None, "{}", "{}", "")]))
            con.rollback()
        except duckdb.Error as error:
            message = f"webhook: the table {self._name} cannot be written: {_first_line(error)}"
            raise ConfigError(message) from None
        finally:
            con.close()

    def write(self, deliveries: Sequence[Delivery]) -> int:
        """How many were new, all stored durably now, each once. Raises StoreError where nothing was stored."""
        parameters = _parameters(_each_once(deliveries))
        for pause in _PAUSES:
            try:
                return self._insert_new(parameters)
            except duckdb.TransactionException:
                time.sleep(pause)
            except duckdb.ConversionException as error:
                raise UnreadableError(_first_line(error)) from None
            except duckdb.ConstraintException as error:
                raise RefusedRowError(_first_line(error)) from None
            except duckdb.BinderException as error:
                raise StoreError(self._lacking() or _first_line(error)) from None
            except duckdb.Error as error:
                raise StoreError(_first_line(error)) from None
        message = "another transaction is in the way"
        raise StoreError(message)

    def is_there(self) -> bool:
        """Whether a connection to the database is open."""
        con = self._cursor()
        if con is not None:
            con.close()
        return con is not None

    def close(self) -> None:
        """Nothing is held."""

    def _insert_new(self, parameters: list[list[object]]) -> int:
        """How many were new, committed. Raises duckdb.Error where none was inserted."""
        con = self._own_cursor()
        if con is None:
            message = "the database is closed"
            raise StoreError(message)
        try:
            con.begin()
            con.execute(self._ask_unique)  # the table may be another one by now
            ((new,),) = con.execute(self._insert, parameters).fetchall()
            con.commit()
        except duckdb.ConstraintException:
            con.rollback()
            ((new,),) = con.execute(self._insert + _WHERE_NEW, parameters).fetchall()
        finally:
            con.close()
        return int(new)

    def _lacking(self) -> str:
        """What the table lacks to be an inbox, in words; nothing where that cannot be seen."""
        con = self._own_cursor()
        if con is None:
            return ""
        try:
            lacks = _lacks(con, self._name)
        except duckdb.Error:
            return ""
        finally:
            con.close()
        return f"the table {self._name} lacks {lacks}" if lacks else ""

    def _own_cursor(self) -> Con | None:
        """A connection that outlives its owner's: who closes theirs meanwhile takes nothing from a commit."""
        cursor = self._cursor()
        try:
            return None if cursor is None else cursor.cursor()
        except duckdb.ConnectionException:  # closed this moment
            return None


def table_name(text: str, catalog: str, schema: str, catalogs: Sequence[str]) -> TableName:
    """The table that `text` names for who is in this catalog and schema. Raises ConfigError for what is no name."""
    parts, position = [], 0
    while position < len(text) and (match := _PART.match(text, position)) is not None:
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        position = match.end()
    if position < len(text) or text.rstrip().endswith("."):
        parts = []
    match parts:
        case [table]:
            return TableName(catalog, schema, table)
        case [first, table] if first.lower() in {each.lower() for each in catalogs}:
            return TableName(first, "main", table)
        case [first, table]:
            return TableName(catalog, first, table)
        case [first, second, table]:
            return TableName(first, second, table)
        case _:
            message = f"webhook: {text!r} is no name; write 'events', 'schema.events' or 'catalog.schema.events'."
            raise ConfigError(message)


def _create(name: TableName) -> str:
    columns = ", ".join(f"{each} {kind}{'' if each in _MAY_BE_NULL else ' NOT NULL'}" for each, kind in COLUMNS.items())
    return f"CREATE TABLE IF NOT EXISTS {name} ({columns}, UNIQUE (provider, id))"


def _check(con: Con, name: TableName) -> None:
    """Raise ConfigError where the table has other columns, or would take a delivery twice."""
    lacks = _lacks(con, name)
    if lacks:
        message = f"webhook: the table {name} is no inbox, it lacks {lacks}. Name another, which is made as it must be."
        raise ConfigError(message)


def _lacks(con: Con, name: TableName) -> str:
    """The columns that the table lacks, and the constraint that keeps each id unique; names have no case in DuckDB."""
    where = "lower(database_name) = lower($1) AND lower(schema_name) = lower($2) AND lower(table_name) = lower($3)"
    place = [name.catalog, name.schema, name.table]
    columns = dict(con.execute(f"SELECT column_name, data_type FROM duckdb_columns() WHERE {where}", place).fetchall())  # noqa: S608
    wrong = [f"{each} {kind}" for each, kind in COLUMNS.items() if columns.get(each) != kind]
    unique = con.execute(
        f"""SELECT 1 FROM duckdb_constraints() WHERE {where} AND constraint_type = 'UNIQUE'
            AND list_sort(constraint_column_names) = ['id', 'provider']""",  # noqa: S608
        place,
    ).fetchall()
    return ", ".join([*wrong, *([] if unique else ["UNIQUE (provider, id)"])])


def _each_once(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The first of those that have the same id."""
    named = {(each.provider, each.id): each for each in reversed(deliveries) if each.id is not None}
    return [each for each in deliveries if each.id is None or named[each.provider, each.id] is each]


def _parameters(deliveries: Sequence[Delivery]) -> list[list[object]]:
    """A list for each column."""
    return [[getattr(each, name) for each in deliveries] for name in COLUMNS]


def _first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
