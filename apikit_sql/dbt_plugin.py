"""dbt-duckdb's plugin: the SQL functions on every cursor of a run, and sources that are read from APIs.

plugins: [{module: apikit_sql.dbt_plugin, alias: apikit}]
"""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
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
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.answers import answer
from apikit_sql.sql.catalog import APIKIT
from apikit_sql.sql.database import Database, known_database, raised_as_text
from apikit_sql.sql.install import install
from apikit_sql.sql.records_dataset import RecordsDataset, columns_of_types

_LOG = AdapterLogger("apikit")
_OPTIONS = [argument.name for argument in APIKIT.arguments]
#: In capitals, since dbt-duckdb registers what "view" reads on each cursor itself, and fails where a thread has just
#: added another: "dictionary changed size during iteration".
_VIEW = "VIEW"
#: For a relation that shall stay as it is: what dbt-duckdb writes behind it is a comment.
_LEFT_ALONE = "TEMP VIEW not_used AS SELECT 1 --"
_LONGEST_WAIT = 10.0  # seconds that a source's relation may take until it is there
_VIEWS = """
SELECT schema_name || '.' || view_name FROM duckdb_views()
WHERE NOT internal AND database_name = current_database() AND regexp_matches(sql, $1)
"""
_RELATION = """
SELECT max(oid) FROM (
    SELECT database_name AS d, schema_name AS s, table_name AS n, table_oid AS oid FROM duckdb_tables()
    UNION ALL SELECT database_name, schema_name, view_name, view_oid FROM duckdb_views()
) WHERE d = coalesce($1, current_database()) AND s = $2 AND n = $3
"""


@dataclass(frozen=True)
class _Loading:
    """A source's relation that `thread` is about to put in the place of the one that DuckDB numbers `before`."""

    before: int | None
    thread: int


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt tells no types
    """What dbt-duckdb asks: to prepare its connections, and for the table behind a source."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the profile. Raises DbtRuntimeError, its only line what is wrong."""
        settings = (self.creds.settings or {}) if self.creds is not None else {}  # of DuckDB; dbt mixes them in
        try:
            self._profile = profile_of({name: plugin_config[name] for name in plugin_config.keys() - settings.keys()})
            self._session: Session = self._profile.session()
        except ApikitError as error:
            raise DbtRuntimeError(str(error)) from None
        self._database: Database | None = None
        self._warned: set[str] = set()
        self._loaded: set[str] = set()
        self._registered: dict[str, ScannedDataset] = {}  # by the name that the view of its source reads
        self._own = threading.local()  # the cursors of each thread, weakly
        self._loading: dict[str, _Loading] = {}  # by source; while dbt makes its relation
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Make the functions, and attach what the profile names."""
        try:
            install(conn, session=self._session, **self._profile.options)
        except (ApikitError, duckdb.Error) as error:
            message = f"plugin {self.name}: {error}"
            raise DbtRuntimeError(message) from None
        self._database = known_database(conn)
        self._loading.clear()

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Make the functions known to one more cursor, and warn of views that read an API each time they are used."""
        install(cursor)
        for source, loading in tuple(self._loading.items()):
            if loading.thread == threading.get_ident():  # it is over, or the thread would not be here
                self._loading.pop(source, None)
        for name, table in tuple(self._registered.items()):
            cursor.register(name, table)
        self._own.cursors = [known for known in getattr(self._own, "cursors", ()) if known() is not None]
        self._own.cursors.append(weakref.ref(cursor))
        for (view,) in cursor.execute(_VIEWS, [self._pattern()]).fetchall():
            if view not in self._warned:
                self._warned.add(view)
                _LOG.warning(
                    f"{view} is a view that reads an API: it asks again each time it is read, and outside dbt it needs "
                    "apikit_sql.install(con). Say materialized='table'."
                )

    def default_materialization(self) -> str:
        """A view: what a model wants of it goes to the API."""
        return _VIEW

    def load(self, source_config: SourceConfig) -> ScannedDataset | pa.Table:
        """The table behind a source.

        dbt-duckdb asks each time that a model names the source, and makes the source's relation anew each time, which
        fails where two threads do so at once. Here the first makes it, and the others wait for that.
        """
        name, is_table = source_config.table_name(), source_config.get("materialization") == "table"
        read_as = f"{name.replace('.', '_')}_df"  # as dbt-duckdb calls it
        with self._locks[name]:
            self._wait(source_config)
            before = self._relation(source_config)
            if (name in self._loaded and before is not None) or (is_table and self._profile.is_offline):
                source_config.meta["materialization"] = _LEFT_ALONE
                self._show(read_as)
                return pa.table({"nothing": []})
            table = self._table(source_config)
            if isinstance(table, ScannedDataset):
                source_config.meta["materialization"] = _VIEW
                self._registered[read_as] = table
                self._show(read_as)
            self._loaded.add(name)
            self._loading[name] = _Loading(before, threading.get_ident())
            return table

    def _show(self, name: str) -> None:
        """Let the cursors that this thread has open read the view of a source; those to come will."""
        for known in self._own.cursors if name in self._registered else ():
            cursor = known()
            if cursor is not None:
                with suppress(duckdb.ConnectionException):  # closed
                    cursor.register(name, self._registered[name])

    def store(self, target_config: TargetConfig) -> None:
        """Refuse: a model is not written to an API by dbt's external materialization."""
        message = (
            f"{target_config.relation}: the plugin {self.name} stores nothing. Take `plugin` out of the model's config;"
            " an API is changed by apikit_post(...) in a model."
        )
        raise DbtRuntimeError(message)

    def _table(self, source: SourceConfig) -> ScannedDataset | pa.Table:
        """What the source's meta describes, as DuckDB reads it."""
        if "connector" not in source:
            message = f"source {source.table_name()}: its meta names no connector. Say meta: {{plugin: {self.name}, "
            raise DbtRuntimeError(message + "connector: NAME, path: a stream or a /path}.")
        options = {option: source[option] for option in _OPTIONS if option in source}
        question = {"function": APIKIT.name, "arguments": json.dumps({"path": source.name, **options}, default=str)}
        try:
            dataset = raised_as_text(self._session, lambda: answer(self._known(), question))
            if source.get("materialization") != "table":
                return dataset
            return pa.Table.from_batches(dataset.scanner().to_reader(), dataset.schema)
        except ApikitError as error:
            is_unsent = isinstance(error, ConfigError) and not isinstance(error, ConnectorNotFoundError)
            if self._profile.is_offline and is_unsent:
                return _unread(str(error))
            message = f"source {source.table_name()}: {error}"
            raise DbtRuntimeError(message) from None

    def _known(self) -> Database:
        if self._database is None:
            message = f"plugin {self.name}: dbt-duckdb has opened no database."
            raise DbtRuntimeError(message)
        return self._database

    def _pattern(self) -> str:
        """What stands in a view that reads an API: one of our functions, or a table of a connector that is attached."""
        attached = "|".join(self._database.catalogs.attached) if self._database else ""
        return r"(?i)\bapikit(_\w+)?\(" + (rf"|\b({attached})\.\w" if attached else "")

    def _wait(self, source: SourceConfig) -> None:
        """Return when dbt has made the source's relation, if a thread is about to."""
        name, deadline = source.table_name(), time.monotonic() + _LONGEST_WAIT
        while (loading := self._loading.get(name)) is not None and time.monotonic() < deadline:
            if self._relation(source) != loading.before:
                break
            time.sleep(0.002)

    def _relation(self, source: SourceConfig) -> int | None:
        """DuckDB's number of the source's table or view, None where there is none."""
        cursor = self._known().cursor()
        try:
            found = cursor.execute(_RELATION, [source.database, source.schema, source.identifier]).fetchall()
        finally:
            cursor.close()
        number: int | None = found[0][0]
        return number


def _unread(reason: str) -> ScannedDataset:
    """A table whose columns nobody knows while nothing is sent: reading it fails for this `reason`."""

    def refuse() -> list[dict[str, object]]:
        raise ConfigError(reason + "\n")

    return RecordsDataset(columns_of_types({"not_known_offline": "VARCHAR"}), refuse)
