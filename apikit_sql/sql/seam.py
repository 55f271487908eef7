"""All that we ask of DuckDB that differs between its versions: naming a dataset, and the rows of one statement.

A dataset has a name so that a statement can read it. On 2.0 a relation over the dataset has a readable name for as long
as the relation lives. Before 2.0 its text is a raw pointer; there DuckDB finds the dataset as a Python variable of the
frame that called it, under a random name.
"""

from __future__ import annotations

import atexit
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import duckdb
import pyarrow as pa

from apikit_sql.errors import CallError
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.catalog import literal

#: Whether a relation's SQL text can be read by other statements.
HAS_READABLE_RELATIONS = int(duckdb.__version__.split(".", 1)[0]) >= 2  # noqa: PLR2004 - DuckDB 2.0
#: The first batch that this version asks for only where it wants more: 1.x asks for two at once.
FIRST_AHEAD = 2 if HAS_READABLE_RELATIONS else 3
#: Whether a join pushes what its other side holds, when that has been read.
PUSHES_WHILE_RUNNING = not HAS_READABLE_RELATIONS
#: Whether a Python variable may be the table of a CTE that is NOT MATERIALIZED and used twice: 1.x crashes.
SURVIVES_NOT_MATERIALIZED = HAS_READABLE_RELATIONS
#: How many calls a thread may bind before the first is forgotten. A statement reads its names while it is bound.
_RECENT = 16


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a statement: the names of its columns, their types as SQL, and batches as they come."""

    names: list[str]
    types: list[str]
    batches: pa.RecordBatchReader


class DatasetNames:
    """Names the datasets of one database's statements, and forgets each name when it has been read.

    Connections are held weakly: a strong reference would keep the user's file locked after they closed it. For the same
    reason names go when a scan begins, when their thread has bound a few calls more (EXPLAIN never scans), and with the
    last connection.
    """

    def __init__(self, belongs_here: Callable[[duckdb.DuckDBPyConnection], bool]) -> None:
        """Names for a database that no connection has joined; `belongs_here` tells whether a connection is its own."""
        self._lock = threading.RLock()  # a connection may be collected, and call back, while it is held
        self._belongs_here = belongs_here
        self._connections: list[weakref.ref[duckdb.DuckDBPyConnection]] = []
        self._has_default = False
        self._named: dict[int, deque[_Name]] = {}
        atexit.register(_forget_all, weakref.ref(self))

    def join(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let `con` name datasets, as long as its owner keeps it."""
        here = weakref.ref(self)
        with self._lock:
            if all(known() is not con for known in self._connections):
                self._connections.append(weakref.ref(con, lambda _: _forget_orphans(here)))
            # the default connection's Python object does not outlive a statement
            self._has_default = self._has_default or con is duckdb.default_connection()

    def text_for(self, dataset: ScannedDataset, caller: FrameType) -> str:
        """A query that reads `dataset`, for the statement that `caller` is running."""
        cursor = self.cursor() if HAS_READABLE_RELATIONS else None
        name = _in_globals(dataset, caller) if cursor is None else _as_relation(dataset, cursor)
        thread = threading.get_ident()
        with self._lock:
            recent = self._named.setdefault(thread, deque())
            recent.append(name)
            oldest = recent.popleft() if len(recent) > _RECENT else None
        if oldest is not None:
            oldest.forget()
        dataset.on_scan = lambda: self._forget(thread)
        return name.text

    def cursor(self) -> duckdb.DuckDBPyConnection | None:
        """A fresh cursor, since the statement being bound holds its own connection; None where none is left open."""
        with self._lock:
            known = [reference() for reference in self._connections]
        for connection in known:
            if connection is not None:
                try:
                    return connection.cursor()
                except duckdb.ConnectionException:  # closed
                    continue
        if self._has_default:
            cursor = duckdb.default_connection().cursor()
            return cursor if self._belongs_here(cursor) else None
        return None

    def forget_all(self) -> None:
        """Let every name go."""
        with self._lock:
            names = [name for recent in self._named.values() for name in recent]
            self._named.clear()
        for name in names:
            name.forget()

    def forget_orphans(self) -> None:
        """Let every name go if no connection is left."""
        with self._lock:
            self._connections = [reference for reference in self._connections if reference() is not None]
            is_alone = not self._connections and not self._has_default
        if is_alone:
            self.forget_all()

    def _forget(self, thread: int) -> None:
        """Let go what `thread` has named: a scan begins, so its statement is bound."""
        with self._lock:
            names = self._named.pop(thread, ())
        for name in names:
            name.forget()


@dataclass(frozen=True, eq=False)
class _Name:
    """SQL text that reads a dataset, until `forget` is called."""

    text: str
    forget: Callable[[], object]


def _as_relation(dataset: ScannedDataset, cursor: duckdb.DuckDBPyConnection) -> _Name:
    """The name of a relation over `dataset`, which is readable while the relation lives."""
    relation = cursor.from_arrow(dataset)
    held = [relation]
    return _Name(relation.sql_query(), held.clear)


def _in_globals(dataset: ScannedDataset, caller: FrameType) -> _Name:
    """A random name among the globals of the frame that called DuckDB, where it looks for Python variables."""
    frame: FrameType = caller
    while frame.f_globals.get("__name__", "").partition(".")[0] == "duckdb" and frame.f_back is not None:
        frame = frame.f_back
    name, variables = f"__apikit_{uuid.uuid4().hex}", frame.f_globals
    variables[name] = dataset
    return _Name(f'FROM "{name}"', lambda: variables.pop(name, None))


def _forget_all(reference: weakref.ref[DatasetNames]) -> None:
    """Relations that outlive the interpreter make DuckDB complain of leaks."""
    names = reference()
    if names is not None:
        names.forget_all()


def _forget_orphans(reference: weakref.ref[DatasetNames]) -> None:
    names = reference()
    if names is not None:
        names.forget_orphans()


def may_reach_outside(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether DuckDB itself may read files and URLs; a macro `current_setting` of SQL's own does not answer."""
    return con.execute("SELECT system.main.current_setting('enable_external_access')").fetchall() == [(True,)]


def see_as_caller(cursor: duckdb.DuckDBPyConnection, time_zone: str, search_path: str) -> None:
    """Give `cursor` the time zone and the search path of its caller.

    Raises CallError where there is no such time zone, or the configuration is locked with another one.
    """
    if cursor.execute("SELECT system.main.current_setting('TimeZone')").fetchall() != [(time_zone,)]:
        try:
            cursor.execute(f"SET TimeZone = {literal(str(time_zone))}")
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            message = f"the time zone {time_zone!r} cannot be taken over: {reason}. SET GLOBAL TimeZone before locking."
            raise CallError(message) from None
    if search_path:
        cursor.execute(f"SET search_path = {literal(str(search_path))}")


def result_table(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """All rows of `query`."""
    relation = con.sql(query)
    return getattr(relation, "to_arrow_table" if HAS_READABLE_RELATIONS else "fetch_arrow_table")()


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Switch on what this version needs to read a named dataset."""
    if not HAS_READABLE_RELATIONS:
        setting = con.execute("SELECT system.main.current_setting('python_enable_replacements')").fetchall()
        if setting != [(True,)]:
            con.execute("SET python_enable_replacements = true")


def rows_of(con: duckdb.DuckDBPyConnection, sql: str, size: int) -> Rows | None:
    """What the one statement `sql` gives, which runs once and is read as it comes; None where it is a comment.

    On 2.0 only a relation is read as it comes; before, a relation runs under a text that is not its own.
    """
    if HAS_READABLE_RELATIONS:
        relation = con.sql(sql)
        if relation is None:
            return None
        types = [str(kind) for kind in relation.types]
        return Rows(list(relation.columns), types, relation.to_arrow_reader(size))
    con.execute(sql)
    if con.description is None:
        return None
    names, types = [str(column[0]) for column in con.description], [str(column[1]) for column in con.description]
    read = getattr(con, "to_arrow_reader" if hasattr(con, "to_arrow_reader") else "fetch_record_batch")  # DuckDB 1.4
    return Rows(names, types, read(size))
