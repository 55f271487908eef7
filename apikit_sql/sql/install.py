"""install(con): every SQL function onto one plain DuckDB connection.

What has to outlive a connection is decided here. A Python function that DuckDB can still call must never be freed: the
next bind would crash the process, so each one is kept for the life of the process. A connection must never be held: its
file would stay locked. What the connections of one database share is found again by asking the database itself.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TypeVar

import duckdb
import pyarrow as pa

from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import ApikitError, CallError, ConfigError
from apikit_sql.plan.planner import Limits
from apikit_sql.redaction import redact_url
from apikit_sql.scan.dataset import ScannedDataset, safe_text
from apikit_sql.secrets import is_reference
from apikit_sql.sql.catalog import APIKIT, BIND_FUNCTION, ERRORS, SCANS, TABLE_FUNCTIONS, macro_sql
from apikit_sql.sql.introspection import errors_dataset, read_newest, scans_dataset
from apikit_sql.sql.seam import DatasetNames, may_reach_outside, prepare
from apikit_sql.sql.tables import Permissions, apikit_dataset

T = TypeVar("T")

_LIKE_A_REFERENCE = re.compile(r"\s*(env|keyring)\s*:", re.IGNORECASE)


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
    read_posts: Mapping[str, Iterable[str]] | None = None,
    ad_hoc: bool | None = None,
    connectors: Iterable[str | Path] | None = None,
    allow_network: bool | None = None,
    max_wait: float | None = None,
    max_requests: int | None = None,
    session: Session | None = None,
) -> None:
    """Make apikit() a table function of `con`, and of its cursors where the database is in memory.

    A cursor of a database file needs its own `install(cursor)`. Installing again is harmless, and changes only the
    options that are given. Nothing is written into a database file.

    `tokens` gives origins a bearer token, `{'https://api.internal': 'env:INTERNAL_TOKEN'}`; `read_posts` says which
    of their paths are read by POST, `{'https://api.internal': ['/search', '/items/*/query']}`; `ad_hoc=False` allows
    named connectors only; `connectors` are the names that may be used, or paths of manifest files; with DuckDB's
    `enable_external_access = false` nothing is sent unless `allow_network` is True; `max_wait` is the longest wait for
    an API's limit, in seconds (60); `max_requests` is how many requests one scan may send (any); `session` is the
    process's unless given. Raises ConfigError for a manifest, an origin or an option that is wrong,
    ConnectorNotFoundError for an unknown name.
    """
    with _LOCK:
        database = database_of(con)
        known = Permissions(default_session()) if database is None else database.permissions
        shared = session or known.session
        permissions = Permissions(
            session=shared,
            tokens=known.tokens if tokens is None else _tokens(tokens),
            read_posts=known.read_posts if read_posts is None else _read_posts(read_posts),
            ad_hoc=known.ad_hoc if ad_hoc is None else ad_hoc,
            connectors=known.connectors if connectors is None else _allowed(shared, connectors),
            allow_network=known.allow_network if allow_network is None else allow_network,
            limits=_limits(known.limits, max_wait, max_requests),
        )
        is_first = database is None
        if database is None:
            _refuse_own_macros(con)
            database = _register(con, permissions)
        database.permissions = permissions
        database.names.join(con)
    prepare(con)
    _create_macros(con, is_first=is_first)


def _create_macros(con: duckdb.DuckDBPyConnection, *, is_first: bool) -> None:
    """The macros of the connection; of its database only once, for cursors made at once would get in their way."""
    is_shared = is_first and _is_in_memory(con)
    for function in TABLE_FUNCTIONS:
        if is_shared:  # seen by every cursor, and gone with the database
            con.execute(macro_sql(function, temporary=False))
        con.execute(macro_sql(function, temporary=True))


def _refuse_own_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Raise ConfigError where the user has a macro of a name of ours: it would be replaced, or hide ours."""
    found = con.execute(
        "SELECT function_name FROM duckdb_functions() "
        "WHERE list_contains(?, function_name) AND NOT contains(macro_definition, ?)",
        [[function.name for function in TABLE_FUNCTIONS], BIND_FUNCTION],
    ).fetchall()
    if found:
        ((name,), *_) = found
        message = f"this database has a macro {name!r} of its own. Rename or drop it, then install again."
        raise ConfigError(message)


def _limits(known: Limits, max_wait: object, max_requests: object) -> Limits:
    """`known` with what is not None. Raises ConfigError for what is no limit."""
    if max_wait is not None:
        if isinstance(max_wait, bool) or not isinstance(max_wait, int | float) or not max_wait >= 0:
            message = f"max_wait: {max_wait!r} is not a number of seconds."
            raise ConfigError(message)
        known = replace(known, max_wait=max_wait)
    if max_requests is not None:
        if isinstance(max_requests, bool) or not isinstance(max_requests, int) or max_requests < 1:
            message = f"max_requests: {max_requests!r} is not a number of requests."
            raise ConfigError(message)
        known = replace(known, max_requests=max_requests)
    return known


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
    session = database.permissions.session
    try:
        dataset = _dataset(database, question)
    except ApikitError as error:
        session.remember(error)
        kind, text = type(error), safe_text(error)
    else:
        return database.names.text_for(dataset, caller)
    raise kind(text)


def _dataset(database: Database, question: Mapping[str, str]) -> ScannedDataset:
    """The table that a call of one of our table functions stands for."""
    match question["function"]:
        case APIKIT.name:
            return apikit_dataset(
                question["arguments"], database.permissions, database.new_scan, database.may_reach_outside
            )
        case SCANS.name:
            return scans_dataset(database.permissions.session, read_newest(question["arguments"]))
        case ERRORS.name:
            return errors_dataset(database.permissions.session, read_newest(question["arguments"]))
        case other:
            message = f"{other} is no function of this package"
            raise CallError(message)


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


def _tokens(tokens: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for origin, token in tokens.items():
        is_text = isinstance(token, str) and token.strip() != ""
        if not is_text or (_LIKE_A_REFERENCE.match(token) and not is_reference(token)):
            message = f"tokens: that of {redact_url(origin)!r} is no reference; write 'env:NAME' or 'keyring:NAME'."
            raise ConfigError(message)
    return _origins("tokens", tokens)


def _read_posts(patterns: Mapping[str, Iterable[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    lists = {origin: (paths,) if isinstance(paths, str) else tuple(paths) for origin, paths in patterns.items()}
    for path in (path for paths in lists.values() for path in paths):
        if not path.startswith("/"):
            message = f"read_posts: {path!r} is not a path; it starts with '/', and * stands for any one segment."
            raise ConfigError(message)
    return _origins("read_posts", lists)


def _origins(option: str, by_origin: Mapping[str, T]) -> tuple[tuple[str, T], ...]:
    for origin in by_origin:
        scheme, _, rest = origin.partition("://")
        if scheme not in {"http", "https"} or not rest or set(rest.rstrip("/")) & set("/?#@"):
            shown = redact_url(origin)
            message = f"{option}: {shown!r} is not an origin alone; write 'https://host' or 'https://host:port'."
            raise ConfigError(message)
    return tuple((origin.rstrip("/"), value) for origin, value in by_origin.items())


def _is_in_memory(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the connection's own catalog is in memory, so that a macro there is never stored."""
    paths = con.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_catalog()").fetchall()
    return paths == [(None,)]
