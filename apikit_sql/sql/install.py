"""install(con): every SQL function onto one plain DuckDB connection."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import ConfigError
from apikit_sql.sql.answers import attach as attach_connector
from apikit_sql.sql.catalog import FUNCTIONS
from apikit_sql.sql.database import database_of, definitions
from apikit_sql.sql.functions import register
from apikit_sql.sql.permissions import (
    Permissions,
    allowed_names,
    defaults_of,
    mutable_of,
    read_posts_of,
    tokens_of,
)
from apikit_sql.sql.seam import prepare

_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child would wait for ever for a thread that installs in its parent
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


def install(  # noqa: PLR0913 - each is an option of its own, by name
    con: duckdb.DuckDBPyConnection,
    *,
    attach: Iterable[str] = (),
    tokens: Mapping[str, str] | None = None,
    allow_mutations: Iterable[str] | None = None,
    read_posts: Mapping[str, Iterable[str]] | None = None,
    ad_hoc: bool | None = None,
    connectors: Iterable[str | Path] | None = None,
    allow_network: bool | None = None,
    max_wait: float | None = None,
    max_requests: int | None = None,
    cache: float | None = None,
    session: Session | None = None,
) -> None:
    """Make apikit() a table function of `con`, and of its cursors where the database is in memory.

    A cursor of a database file needs its own `install(cursor)`. Installing again is harmless, and changes only the
    options that are given. Nothing is written into a database file.

    `attach` are connectors to be attached as catalogs, as `CALL apikit_attach('github')` does; `tokens` gives origins a
    bearer token, `{'https://api.internal': 'env:INTERNAL_TOKEN'}`; `allow_mutations` are the connectors, and origins of
    ad-hoc ones, that SQL may change; `read_posts` says which of their paths are read by
    POST, `{'https://api.internal': ['/search', '/items/*/query']}`; `ad_hoc=False` allows named connectors only;
    `connectors` are the names that may be used, or paths of manifest files; with DuckDB's
    `enable_external_access = false` nothing is sent unless `allow_network` is True; `max_wait` is the longest wait for
    an API's limit, in seconds (60); `max_requests` is how many requests one scan may send (any); `cache` is for how
    many seconds identical reads are answered from the response cache (0); `session` is the process's unless given.
    Raises ConfigError for a manifest, an origin or an option that is wrong, ConnectorNotFoundError for an unknown name.
    """
    with _LOCK:
        if session is not None and not isinstance(session, Session):
            message = f"session: {type(session).__name__} is no Session; write session=apikit_sql.Session()."
            raise ConfigError(message)
        database = database_of(con)
        known = Permissions(default_session()) if database is None else database.permissions
        shared = session or known.session
        permissions = Permissions(
            session=shared,
            tokens=known.tokens if tokens is None else tokens_of(tokens),
            read_posts=known.read_posts if read_posts is None else read_posts_of(read_posts),
            ad_hoc=known.ad_hoc if ad_hoc is None else ad_hoc,
            connectors=known.connectors if connectors is None else allowed_names(shared, connectors),
            allow_network=known.allow_network if allow_network is None else allow_network,
            defaults=defaults_of(known.defaults, max_wait, max_requests, cache),
            mutable=known.mutable if allow_mutations is None else mutable_of(shared, allow_mutations),
            runs_once=known.runs_once,
        )
        is_first = database is None
        if database is None:
            _refuse_own_macros(con)
            database = register(con, permissions)
        database.permissions = permissions
        database.names.join(con)
        database.may_reach_outside()
    prepare(con)
    _create_macros(con, is_first=is_first)
    for name in _names(attach):
        attach_connector(database, name)


def _create_macros(con: duckdb.DuckDBPyConnection, *, is_first: bool) -> None:
    """The macros of the connection; of its database only once, for cursors made at once would get in their way."""
    is_shared = is_first and _is_in_memory(con)
    if is_shared:  # seen by every cursor, and gone with the database
        for statement in _parsed(temporary=False):
            con.execute(statement)
    for statement in _parsed(temporary=True):
        con.execute(statement)


@functools.cache
def _parsed(*, temporary: bool) -> list[duckdb.Statement]:
    """The statements that make the macros; to parse them takes DuckDB 2.0 longer than to run them."""
    sql = ";".join(function.macro_sql(temporary=temporary) for function in FUNCTIONS)
    with duckdb.connect() as con:
        return con.extract_statements(sql)


def _refuse_own_macros(con: duckdb.DuckDBPyConnection) -> None:
    """Raise ConfigError where the user has a macro of a name of ours: it would be replaced, or hide ours."""
    there = definitions(con, [function.name for function in FUNCTIONS])
    for function in FUNCTIONS:
        if function.behind not in there.get(function.name, function.behind):
            name = function.name
            message = f"this database has a macro {name!r} of its own. Rename or drop it, then install again."
            raise ConfigError(message)


def _is_in_memory(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the connection's own catalog is in memory, so that a macro there is never stored."""
    paths = con.execute(
        "SELECT path FROM system.main.duckdb_databases() WHERE database_name = system.main.current_catalog()"
    ).fetchall()
    return paths == [(None,)]


def _names(attach: Iterable[str]) -> tuple[str, ...]:
    if isinstance(attach, str):
        message = f"attach: {attach!r} is one; write a list of them."
        raise ConfigError(message)
    names = tuple(attach or ())
    for name in names:
        if not isinstance(name, str):
            message = f"attach: {name!r} is not a connector's name."
            raise ConfigError(message)
    return names
