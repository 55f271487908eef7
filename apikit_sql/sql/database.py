"""What the connections of one database share, and the one function through which its statements reach us.

A Python function that DuckDB can still call must never be freed: the next bind would crash the process, so each one is
kept for the life of the process. A connection must never be held: its file would stay locked. What the connections of
one database share is found again by asking the database itself.
"""

from __future__ import annotations

import json
import sys
import uuid
import warnings
import weakref
from collections.abc import Callable, Mapping
from threading import Event
from types import FrameType
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, ApikitWarning, CallError
from apikit_sql.plan.planner import is_base_url
from apikit_sql.scan.dataset import ScannedDataset, safe_text
from apikit_sql.sql import catalog
from apikit_sql.sql.attach import Attached, Catalogs, RowFunction, StreamTable
from apikit_sql.sql.catalog import APIKIT, ATTACH, BIND_FUNCTION, CONNECTORS, DETACH, ERRORS, SCANS, STREAMS
from apikit_sql.sql.introspection import errors_dataset, read_newest, scans_dataset
from apikit_sql.sql.permissions import Permissions, definition, permitted
from apikit_sql.sql.registry_tables import attached_dataset, connectors_dataset, detached_dataset, streams_dataset
from apikit_sql.sql.seam import HAS_READABLE_RELATIONS, DatasetNames, may_reach_outside
from apikit_sql.sql.streams import Reach, stream_dataset, stream_lists, stream_tables
from apikit_sql.sql.tables import apikit_dataset

T = TypeVar("T")

#: Every function ever registered, kept for the life of the process: DuckDB may call it for as long as a database lives.
_KEPT_FUNCTIONS: list[Callable[..., pa.Array]] = []
_DATABASES: dict[str, Database] = {}


class Database:
    """What the connections of one database share: permissions, names of datasets, scans that may be interrupted."""

    def __init__(self, permissions: Permissions) -> None:
        """A database with no scan running."""
        self.key = uuid.uuid4().hex
        self.permissions = permissions
        self.names = DatasetNames(lambda con: database_of(con) is self)
        self.catalogs = Catalogs(self._cursor, self._row_function)
        self._scans: weakref.WeakSet[Event] = weakref.WeakSet()
        self._may_reach_outside = True

    def new_scan(self) -> Event:
        """The event that interrupts one scan."""
        cancelled = Event()
        self._scans.add(cancelled)
        return cancelled

    def interrupt(self) -> None:
        """Interrupt every scan of this database, also while it waits for an API."""
        for cancelled in list(self._scans):
            cancelled.set()

    def may_reach_outside(self) -> bool:
        """Whether DuckDB itself may read files and URLs; asked of the database, for SQL could claim anything."""
        cursor = self.names.cursor()
        if cursor is not None:
            self._may_reach_outside = may_reach_outside(cursor)
        return self._may_reach_outside

    def reach(self, connector: str) -> Reach:
        """What the streams of `connector` are read with. Raises CallError where SQL may not, or nothing may be sent."""
        self.permissions.check_network(self.may_reach_outside)
        return Reach(permitted(connector, self.permissions), self.permissions, self.new_scan)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self.names.cursor()
        if cursor is None:
            message = "no connection of this database has the functions any more; install(con) again."
            raise CallError(message)
        return cursor

    def _row_function(self, table: StreamTable) -> RowFunction:
        """What DuckDB calls for a stream's function of its keys; kept for the life of the process."""
        here = weakref.ref(self)

        def lists(keys: pa.Array, kinds: pa.Array) -> pa.Array:
            database = here()
            assert database is not None  # noqa: S101 - DuckDB calls it, which keeps the database
            session, connector = database.permissions.session, table.connector
            return raised_as_text(session, lambda: stream_lists(table, keys, kinds, database.reach(connector)))

        _KEPT_FUNCTIONS.append(lists)
        return lists


def database_of(con: duckdb.DuckDBPyConnection) -> Database | None:
    """What the connections of `con`'s database share, None where nothing was installed."""
    known = con.execute("SELECT count(*) FROM duckdb_functions() WHERE function_name = ?", [BIND_FUNCTION]).fetchall()
    if known == [(0,)]:  # asked first, since a failing statement would abort the caller's transaction
        return None
    ((key,),) = con.execute(f"""SELECT {BIND_FUNCTION}('{{"function": "key"}}')""").fetchall()
    return _DATABASES[key]


def register(con: duckdb.DuckDBPyConnection, permissions: Permissions) -> Database:
    """A database that was not known yet: our function is made through `con`."""
    database = Database(permissions)

    def bind(calls: pa.Array) -> pa.Array:
        caller = sys._getframe(1)  # noqa: SLF001 - at the entry it is the frame that called DuckDB; 1.x looks there
        return pa.array([_answer(database, json.loads(call), caller) for call in calls.to_pylist()], pa.string())

    def create(owner: duckdb.DuckDBPyConnection) -> None:
        owner.create_function(  # type: ignore[call-overload]  # DuckDB's types do not know the text "arrow"
            BIND_FUNCTION, bind, ["VARCHAR"], "VARCHAR", type="arrow", side_effects=False
        )

    try:
        create(con)
    except duckdb.NotImplementedException:  # `con` still counts a function as its own whose creation was rolled back
        create(con.cursor())
    _KEPT_FUNCTIONS.append(bind)
    _DATABASES[database.key] = database
    return database


def raised_as_text(session: Session, work: Callable[[], T]) -> T:
    """What `work` gives. An error of ours leaves as its text alone, and stays on the session."""
    try:
        return work()
    except ApikitError as error:
        session.remember(error)
        kind, text = type(error), safe_text(error)
    raise kind(text)


def _answer(database: Database, question: Mapping[str, str], caller: FrameType) -> str:
    """The key of the database, or the SQL text that reads one call's rows."""
    if question["function"] == "key":
        return database.key
    dataset = raised_as_text(database.permissions.session, lambda: _named_dataset(database, question))
    return database.names.text_for(dataset, caller)


def _named_dataset(database: Database, question: Mapping[str, str]) -> ScannedDataset:
    """The table that a call stands for. Raises CallError where DuckDB could not read it by a name."""
    sends = {APIKIT.name, catalog.STREAM, ATTACH.name}
    may_send = database.permissions.allow_network or question["function"] not in sends
    if may_send and not HAS_READABLE_RELATIONS and not database.may_reach_outside():
        message = (
            "apikit: where enable_external_access is false it needs DuckDB 2.0; older ones cannot read its tables."
        )
        raise CallError(message)
    return _dataset(database, question)


def _dataset(database: Database, question: Mapping[str, str]) -> ScannedDataset:
    """The table that a call of one of our table functions stands for."""
    permissions, text = database.permissions, question["arguments"]
    match question["function"]:
        case APIKIT.name:
            return apikit_dataset(text, permissions, database.new_scan, database.may_reach_outside)
        case catalog.STREAM:
            table = database.catalogs.table(question["table"])
            return stream_dataset(table, text, database.reach(table.connector))
        case SCANS.name:
            return scans_dataset(permissions.session, read_newest(text))
        case ERRORS.name:
            return errors_dataset(permissions.session, read_newest(text))
        case other:
            return _registry_dataset(database, other, json.loads(text))


def _registry_dataset(database: Database, function: str, arguments: Mapping[str, Any]) -> ScannedDataset:
    permissions = database.permissions
    texts = {name: _text(function, name, value) for name, value in arguments.items()}
    match function:
        case CONNECTORS.name:
            return connectors_dataset(permissions.session.connectors, permissions.connectors, texts["name"])
        case STREAMS.name:
            return streams_dataset(definition(_needed(function, texts, "connector"), permissions))
        case ATTACH.name:
            name = _needed(function, texts, "connector")
            return attached_dataset(attach(database, name, texts["name"]))
        case DETACH.name:
            name = _needed(function, texts, "name")
            return detached_dataset(name, was_there=database.catalogs.detach(name, texts["current"] or ""))
        case _:
            message = f"{function} is no function of this package"
            raise CallError(message)


def _text(function: str, name: str, value: object) -> str | None:
    """`value` as a text, or NULL. Raises CallError for anything else."""
    if isinstance(value, bool):
        message = f"{function}: {name} is a boolean. Options are written name := value; name = value is a comparison."
        raise CallError(message)
    if value is not None and not isinstance(value, str):
        message = f"{function}: {name} must be a text, as in {name} := 'github'."
        raise CallError(message)
    return value


def _needed(function: str, texts: Mapping[str, str | None], name: str) -> str:
    """The argument of this `name`. Raises CallError where it is NULL."""
    text = texts[name]
    if text is None:
        message = f"{function}: {name} is NULL. If it is a variable, it is not set."
        raise CallError(message)
    return text


def attach(database: Database, connector: str, name: str | None = None) -> Attached:
    """The `connector` as the catalog `name`, its own unless given. Raises CallError, ConfigError."""
    reach, name = database.reach(connector), connector if name is None else name
    if is_base_url(connector):
        message = "apikit_attach: a base URL has no streams. Declare a connector with them, or call apikit()."
        raise CallError(message)
    if not reach.connector.streams:
        message = f"apikit_attach: {connector} has no streams to attach. Declare them in its manifest."
        raise CallError(message)
    attached = database.catalogs.attach(reach.connector, name, lambda: stream_tables(name, reach))
    for table in attached.tables:
        if table.error:
            warnings.warn(f"{table.shown} is left out: {table.error}", ApikitWarning, stacklevel=2)
    return attached
