"""dbt-duckdb's plugin: the SQL functions on every cursor of a run, and sources that are read from APIs.

plugins: [{module: apikit_sql.dbt_plugin, alias: apikit}]
"""

from __future__ import annotations

import atexit
import json
import sys
import threading
import time
import weakref
from collections import defaultdict
from contextlib import closing, suppress
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import SourceConfig, TargetConfig
from dbt.adapters.events.logging import AdapterLogger
from dbt_common.exceptions import DbtRuntimeError

from apikit_sql.dbt.profile import profile_of
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, ConfigError, ConnectorNotFoundError
from apikit_sql.identifiers import quoted
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.answers import answer
from apikit_sql.sql.catalog import APIKIT, BIND_FUNCTION, bind_sql, literal
from apikit_sql.sql.database import Database, known_database, raised_as_text
from apikit_sql.sql.install import install
from apikit_sql.sql.questions import handed_over

_LOG = AdapterLogger("apikit")
_OPTIONS = [argument.name for argument in APIKIT.arguments]
#: A source is made here; what dbt-duckdb writes behind this is a comment.
_MADE = "TEMP VIEW not_used AS SELECT 1 --"
#: Views of models that read an API: by a function, by an attached connector ($1), or by the view of a source ($2).
_VIEWS = """
WITH views AS (
    SELECT schema_name || '.' || view_name AS name, replace(sql, '"', '') AS text, contains(sql, $2) AS is_source
    FROM duckdb_views() WHERE NOT internal AND database_name = current_database()
)
SELECT name FROM views AS v WHERE NOT is_source AND (
    regexp_matches(text, $1)
    OR EXISTS (
        FROM views AS s WHERE s.is_source AND regexp_matches(v.text, '(?i)\\b' || regexp_escape(s.name) || '\\b')
    )
)
"""
_KIND = """
SELECT kind FROM (
    SELECT database_name AS d, schema_name AS s, table_name AS n, 'TABLE' AS kind FROM duckdb_tables()
    UNION ALL SELECT database_name, schema_name, view_name, 'VIEW' FROM duckdb_views()
) WHERE lower(d) = lower(coalesce($1, current_database())) AND lower(s) = lower($2) AND lower(n) = lower($3)
"""
#: The threads that dbt runs models on, and their cursors.
_THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_CURSORS: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
_IS_ENDING = threading.Event()
_EXIT_WAIT = 3.0  # seconds


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt tells no types
    """What dbt-duckdb asks: to prepare its connections, and for the table behind a source."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the profile. Raises DbtRuntimeError, its only line what is wrong."""
        settings = (self.creds.settings or {}) if self.creds is not None else {}  # of DuckDB; dbt mixes them in
        entries = (self.creds.plugins or []) if self.creds is not None else []
        if sum(each.module == __name__ for each in entries) > 1:
            message = f"plugin {self.name}: {__name__} stands twice among the plugins; one is for all connectors."
            raise DbtRuntimeError(message)
        try:
            self._profile = profile_of({name: plugin_config[name] for name in plugin_config.keys() - settings.keys()})
            self._session: Session = self._profile.session()
        except ApikitError as error:
            raise DbtRuntimeError(str(error)) from None
        self._database: Database | None = None
        self._warned: set[str] = set()
        self._loaded: set[str] = set()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Make the functions, and attach what the profile names."""
        try:
            install(conn, session=self._session, **self._profile.options)
        except (ApikitError, duckdb.Error) as error:
            message = f"plugin {self.name}: {error}"
            raise DbtRuntimeError(message) from None
        self._database = known_database(conn)

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Make the functions known to one more cursor, and warn of views that read an API each time they are used."""
        if _IS_ENDING.is_set():
            message = f"plugin {self.name}: dbt has left; this model is not run."
            raise DbtRuntimeError(message)
        _THREADS.add(threading.current_thread())
        _CURSORS.add(cursor)
        install(cursor)
        for (view,) in cursor.execute(_VIEWS, [self._pattern(), f"{BIND_FUNCTION}("]).fetchall():
            if view not in self._warned:
                self._warned.add(view)
                _LOG.warning(
                    f"{view} is a view that reads an API: it asks again each time it is read, and outside dbt it needs "
                    "apikit_sql.install(con). Say materialized='table'."
                )

    def load(self, source_config: SourceConfig) -> pa.Table:
        """Nothing that is used: the source is made here.

        dbt-duckdb asks each time that a model names the source, and would make it anew each time, which fails where two
        threads do so at once; and its view would read a table that only this process knows. Here the first thread makes
        it, and the others wait for that. What is there stays as it is while nothing is sent.
        """
        name = source_config.table_name()
        with self._locks[name]:
            kind = self._kind(source_config)
            if kind is None or not (name in self._loaded or self._profile.is_offline):
                self._make(source_config, kind)
                self._loaded.add(name)
        source_config.meta["materialization"] = _MADE
        return pa.table({"nothing": []})

    def store(self, target_config: TargetConfig) -> None:
        """Refuse: a model is not written to an API by dbt's external materialization."""
        message = (
            f"{target_config.relation}: the plugin {self.name} stores nothing. Take `plugin` out of the model's config;"
            " an API is changed by apikit_post(...) in a model."
        )
        raise DbtRuntimeError(message)

    def _make(self, source: SourceConfig, known: str | None) -> None:
        """Make the view on what the source's meta describes, or the table of it, in the place of the `known` kind."""
        is_table = source.get("materialization") == "table" and not self._profile.is_offline
        name = ".".join(quoted(part) for part in (source.database, source.schema, source.identifier) if part)
        question = self._question(source)
        try:
            dataset: ScannedDataset | None = raised_as_text(self._session, lambda: answer(self._known(), question))
            query = "__apikit_source" if is_table else bind_sql(literal(json.dumps(question)))
        except ApikitError as error:
            is_unsent = isinstance(error, ConfigError) and not isinstance(error, ConnectorNotFoundError)
            if not (self._profile.is_offline and is_unsent):
                message = f"source {source.table_name()}: {error}"
                raise DbtRuntimeError(message) from None
            dataset, query = None, _unread(str(error))
        kind = "TABLE" if is_table else "VIEW"
        with closing(self._known().cursor()) as cursor:
            if known not in {None, kind}:
                cursor.execute(f"DROP {known} {name}")
            if is_table:
                cursor.register("__apikit_source", dataset)
            try:
                cursor.execute(f"CREATE OR REPLACE {kind} {name} AS FROM {query}")
            except duckdb.Error as error:
                message = f"source {source.table_name()}: {str(error).partition(chr(10))[0]}"
                raise DbtRuntimeError(message) from None

    def _question(self, source: SourceConfig) -> dict[str, str]:
        """The call of apikit() that the source's meta describes."""
        if "connector" not in source:
            message = f"source {source.table_name()}: its meta names no connector. Say meta: {{plugin: {self.name}, "
            raise DbtRuntimeError(message + "connector: NAME, path: a stream or a /path}.")
        options = {option: source[option] for option in _OPTIONS if option in source}
        return {"function": APIKIT.name, "arguments": handed_over(APIKIT, {"path": source.name, **options})}

    def _known(self) -> Database:
        if self._database is None:
            message = f"plugin {self.name}: dbt-duckdb has opened no database."
            raise DbtRuntimeError(message)
        return self._database

    def _pattern(self) -> str:
        """What stands in a view that reads an API: one of our functions, or a table of a connector that is attached."""
        attached = "|".join(self._database.catalogs.attached) if self._database else ""
        return r"(?i)\bapikit(_\w+)?\(" + (rf"|\b({attached})\.\w" if attached else "")

    def _kind(self, source: SourceConfig) -> str | None:
        """Whether the source is a TABLE or a VIEW, None where it is not there."""
        with closing(self._known().cursor()) as cursor:
            found = cursor.execute(_KIND, [source.database, source.schema, source.identifier]).fetchall()
        return found[0][0] if found else None


def _unread(reason: str) -> str:
    """A query of which nobody knows the columns while nothing is sent: its only one is called like the `reason`.

    So DuckDB names it, too, where it looks for another column; 1.x tells only what follows a comma.
    """
    return f"(SELECT NULL AS {quoted(reason.replace(',', ''))} WHERE error({literal(reason)}))"


@atexit.register
def _let_threads_end() -> None:
    """Interrupt what dbt's threads run, and wait until they are idle.

    Where a model does not compile, dbt leaves while its threads still work. One that comes back from DuckDB when Python
    is no more aborts the process.
    """
    _IS_ENDING.set()
    deadline = time.monotonic() + _EXIT_WAIT
    while any(map(_is_working, _THREADS)) and time.monotonic() < deadline:
        for cursor in list(_CURSORS):
            with suppress(duckdb.Error):  # closed
                cursor.interrupt()
        time.sleep(0.01)


def _is_working(thread: threading.Thread) -> bool:
    """Whether dbt's thread is about a model, rather than at its end or waiting in the pool for the next."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented
    return thread.daemon and frame is not None and frame.f_globals.get("__name__") != "multiprocessing.pool"
