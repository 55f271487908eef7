"""install(con): every SQL function onto one plain DuckDB connection.

What has to outlive a connection is decided here. A Python function that DuckDB can still call must never be freed: the
next bind would crash the process, so each one is kept for the life of the process. A connection must never be held: its
file would stay locked. What the connections of one database share is found again by asking the database itself.
"""

from __future__ import annotations

import json
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event
from types import FrameType

import duckdb
import pyarrow as pa

from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import ApikitError, ConfigError
from apikit_sql.scan.dataset import safe_text
from apikit_sql.sql.catalog import APIKIT, BIND_FUNCTION, TABLE_FUNCTIONS, macro_sql
from apikit_sql.sql.seam import DatasetNames, may_reach_outside, prepare
from apikit_sql.sql.tables import Permissions, apikit_dataset


class Database:
    """What the connections of one database share: permissions, names of datasets, scans that may be interrupted."""

    def __init__(self, permissions: Permissions) -> None:
        """A database with no scan running."""
        self.key = uuid.uuid4().hex
        self.permissions = permissions
        self.names = DatasetNames(lambda con: database_of(con) is self)
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


#: Every function ever registered, kept for the life of the process: DuckDB may call it for as long as a database lives.
_KEPT_FUNCTIONS: list[Callable[[pa.Array], pa.Array]] = []
_DATABASES: dict[str, Database] = {}
_LOCK = threading.Lock()


def install(  # noqa: PLR0913 - each is an option of its own, by name
    con: duckdb.DuckDBPyConnection,
    *,
    tokens: Mapping[str, str] | None = None,
    ad_hoc: bool | None = None,
    connectors: Iterable[str | Path] | None = None,
    allow_network: bool | None = None,
    max_wait: float | None = None,
    session: Session | None = None,
) -> None:
    """Make apikit() a table function of `con`, and of its cursors where the database is in memory.

    A cursor of a database file needs its own `install(cursor)`. Installing again is harmless, and changes only the
    options that are given. Nothing is written into a database file.

    `tokens` gives origins a bearer token, `{'https://api.internal': 'env:INTERNAL_TOKEN'}`; `ad_hoc=False` allows
    named connectors only; `connectors` are the names that may be used, or paths of manifest files; with DuckDB's
    `enable_external_access = false` nothing is sent unless `allow_network` is True; `max_wait` is the longest wait for
    an API's limit, in seconds (60); `session` is the process's unless given. Raises ConfigError for a manifest, an
    origin or an option that is wrong, ConnectorNotFoundError for an unknown name.
    """
    with _LOCK:
        database = database_of(con)
        known = Permissions(default_session()) if database is None else database.permissions
        shared = session or known.session
        permissions = Permissions(
            session=shared,
            tokens=known.tokens if tokens is None else _origins(tokens),
            ad_hoc=known.ad_hoc if ad_hoc is None else ad_hoc,
            connectors=known.connectors if connectors is None else _allowed(shared, connectors),
            allow_network=known.allow_network if allow_network is None else allow_network,
            max_wait=known.max_wait if max_wait is None else _seconds(max_wait),
        )
        if database is None:
            _refuse_own_macros(con)
            database = _register(con, permissions)
        database.permissions = permissions
        database.names.join(con)
    prepare(con)
    _create_macros(con)


def _create_macros(con: duckdb.DuckDBPyConnection) -> None:
    in_memory = _is_in_memory(con)
    for function in TABLE_FUNCTIONS:
        if in_memory:  # seen by every cursor, and gone with the database
            con.execute(macro_sql(function, temporary=False))
        con.execute(macro_sql(function, temporary=True))


def _refuse_own_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Raise ConfigError where the user has a macro of a name of ours: it would be replaced, or hide ours."""
    for function in TABLE_FUNCTIONS:
        found = con.execute(
            "SELECT count(*) FROM duckdb_functions() WHERE function_name = ? AND NOT contains(macro_definition, ?)",
            [function.name, BIND_FUNCTION],
        ).fetchall()
        if found != [(0,)]:
            message = f"this database has a macro {function.name!r} of its own. Rename or drop it, then install again."
            raise ConfigError(message)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        message = f"max_wait: {value!r} is not a number of seconds."
        raise ConfigError(message)
    return value


def database_of(con: duckdb.DuckDBPyConnection) -> Database | None:
    """What the connections of `con`'s database share, None where nothing was installed."""
    known = con.execute("SELECT count(*) FROM duckdb_functions() WHERE function_name = ?", [BIND_FUNCTION]).fetchall()
    if known == [(0,)]:  # asked first, since a failing statement would abort the caller's transaction
        return None
    ((key,),) = con.execute(f"""SELECT {BIND_FUNCTION}('{{"function": "key"}}')""").fetchall()
    return _DATABASES[key]


def _register(con: duckdb.DuckDBPyConnection, permissions: Permissions) -> Database:
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


def _answer(database: Database, question: Mapping[str, str], caller: FrameType) -> str:
    """The key of the database, or the SQL text that reads one call's rows.

    An error of ours leaves as its text alone, and stays on the session.
    """
    if question["function"] == "key":
        return database.key
    assert question["function"] == APIKIT.name  # noqa: S101 - only our own macros call
    session = database.permissions.session
    try:
        dataset = apikit_dataset(
            question["arguments"], database.permissions, database.new_scan, database.may_reach_outside
        )
    except ApikitError as error:
        session.remember(error)
        kind, text = type(error), safe_text(error)
    else:
        return database.names.text_for(dataset, caller)
    raise kind(text)


def _allowed(session: Session, connectors: Iterable[str | Path]) -> frozenset[str]:
    """The names that SQL may use, the manifests among `connectors` read."""
    if isinstance(connectors, str | Path):
        message = f"connectors: {str(connectors)!r} is one; write a list of them."
        raise ConfigError(message)
    names = frozenset(
        session.connectors.add_file(Path(each)) if str(each).endswith(".toml") else str(each) for each in connectors
    )
    for name in names:
        session.connectors.get(name)
    return names


def _origins(tokens: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for origin in tokens:
        scheme, _, rest = origin.partition("://")
        if scheme not in {"http", "https"} or not rest or set(rest.rstrip("/")) & set("/?#@"):
            message = f"tokens: {origin!r} is not an origin; write 'https://host' or 'https://host:port'."
            raise ConfigError(message)
    return tuple((origin.rstrip("/"), token) for origin, token in tokens.items())


def _is_in_memory(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the connection's own catalog is in memory, so that a macro there is never stored."""
    paths = con.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_catalog()").fetchall()
    return paths == [(None,)]
