"""What the connections of one database share, and the one function through which its statements reach us.

A Python function that DuckDB can still call must never be freed: the next bind would crash the process, so each one is
kept for the life of the process. A connection must never be held: its file would stay locked. What the connections of
one database share is found again by asking the database itself.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

import duckdb
import pyarrow as pa

from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.scan.dataset import safe_text
from apikit_sql.scan.recording import Recording
from apikit_sql.sql.attach import Catalogs, RowFunction, StreamTable
from apikit_sql.sql.catalog import BIND_FUNCTION
from apikit_sql.sql.mutation_calls import MutationCalls
from apikit_sql.sql.permissions import Permissions, permitted
from apikit_sql.sql.seam import DatasetNames, may_reach_outside
from apikit_sql.sql.streams import Reach, stream_lists

if TYPE_CHECKING:
    from apikit_sql.sql.webhooks import Webhooks

T = TypeVar("T")

#: Every function ever registered, kept for the life of the process: DuckDB may call it for as long as a database lives.
_KEPT_FUNCTIONS: list[Callable[..., pa.Array]] = []
_DATABASES: dict[str, Database] = {}
_LOCK = Lock()


class Database:
    """What the connections of one database share: permissions, names of datasets, scans that may be interrupted."""

    def __init__(self, permissions: Permissions) -> None:
        """A database with no scan running."""
        self.key = uuid.uuid4().hex
        self.permissions = permissions
        self.names = DatasetNames(lambda con: database_of(con) is self)
        self._webhooks: Webhooks | None = None
        self.catalogs = Catalogs(self.cursor, self._row_function)
        self.recordings: dict[str, Recording] = {}  # of the statements that are explained right now
        self._scans: weakref.WeakSet[Event] = weakref.WeakSet()
        self.mutation_calls = MutationCalls(self.new_scan, lambda: self.permissions.defaults.max_requests)
        self._may_reach_outside = True

    @property
    def webhooks(self) -> Webhooks:
        """The receivers that write into this database."""
        from apikit_sql.sql.webhooks import Webhooks  # noqa: PLC0415 - few want it, and it costs each start 10 ms

        with _LOCK:
            self._webhooks = self._webhooks or Webhooks(self.names.cursor)
            return self._webhooks

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
        """Whether DuckDB itself may read files and URLs; asked of the database, for SQL could claim anything.

        Where only cursors are left, none of which can be asked, it is what was known last, first of all when installed.
        """
        cursor = self.names.cursor()
        if cursor is not None:
            self._may_reach_outside = may_reach_outside(cursor)
        return self._may_reach_outside

    def reach(self, connector: str) -> Reach:
        """What the streams of `connector` are read with. Raises CallError where SQL may not, or nothing may be sent."""
        self.permissions.check_network(self.may_reach_outside)
        return Reach(permitted(connector, self.permissions), self.permissions, self.new_scan)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A fresh cursor of the database. Raises CallError where no connection is left that could give one."""
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

        keep(lists)
        return lists


def keep(function: Callable[..., pa.Array]) -> None:
    """Never let go of `function`, which DuckDB may call."""
    _KEPT_FUNCTIONS.append(function)


def know(database: Database) -> None:
    """Find `database` again by its key."""
    _DATABASES[database.key] = database


def database_of(con: duckdb.DuckDBPyConnection) -> Database | None:
    """What the connections of `con`'s database share, None where nothing was installed.

    Within a transaction, which a statement that fails would abort, DuckDB lists its functions: twenty times as slow.
    """
    if _is_in_transaction(con) and BIND_FUNCTION not in definitions(con, [BIND_FUNCTION]):
        return None
    try:
        return known_database(con)
    except duckdb.CatalogException:
        return None


def known_database(con: duckdb.DuckDBPyConnection) -> Database:
    """What the connections of `con`'s database share, which has our functions."""
    ((key,),) = con.execute(f"""SELECT system.main.{BIND_FUNCTION}('{{"function": "key"}}')""").fetchall()
    return _DATABASES[key]


def _is_in_transaction(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the statements of `con` belong to one transaction, rather than each to one of its own."""
    first, second = (con.execute("SELECT system.main.txid_current()").fetchall() for _ in range(2))
    return first == second


def definitions(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, str]:
    """The functions of these names that `con` can call, with what their macros stand for."""
    query = (
        "SELECT function_name, macro_definition FROM system.main.duckdb_functions() "
        "WHERE list_contains(?, function_name)"
    )
    return {name: body or "" for name, body in con.execute(query, [list(names)]).fetchall()}


def raised_as_text(session: Session, work: Callable[[], T], *, end: str = "") -> T:
    """What `work` gives. An error of ours leaves as its text and `end` alone, and stays on the session.

    So does what is nested too deeply for Python.
    """
    try:
        return work()
    except ApikitError as error:
        session.remember(error)
        kind, text = type(error), safe_text(error) + end
    except RecursionError:
        kind, text = CallError, "apikit: a value is nested too deeply." + end
    raise kind(text)
