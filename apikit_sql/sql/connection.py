"""connect(): DuckDB opened with everything installed, and what only our own connection can give.

Table names such as 'demo:/issues' are scans, errors are this package's classes, and interrupt() reaches a scan that is
waiting for an API. All else is DuckDB's own connection, behind a thin proxy.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import duckdb

from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.scan.dataset import safe_text
from apikit_sql.sql.catalog import FUNCTIONS
from apikit_sql.sql.ctrl_c import stopping_at_ctrl_c
from apikit_sql.sql.database import known_database
from apikit_sql.sql.install import install
from apikit_sql.sql.table_names import with_calls

_TAKES_SQL = frozenset(
    {"execute", "executemany", "sql", "query", "from_query", "extract_statements", "get_table_names"}
)


def connect(  # noqa: PLR0913 - duckdb.connect's arguments and install's
    database: str | Path = ":memory:",
    *,
    read_only: bool = False,
    config: Mapping[str, Any] | None = None,
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
) -> Connection:
    """A connection to `database` with apikit() installed; the options are those of `install`.

    Raises ConfigError for a manifest or a token that is wrong, duckdb.Error where the database cannot be opened.
    """
    raw = duckdb.connect(str(database), read_only=read_only, config=dict(config or {}))
    install(
        raw,
        attach=attach,
        tokens=tokens,
        allow_mutations=allow_mutations,
        read_posts=read_posts,
        ad_hoc=ad_hoc,
        connectors=connectors,
        allow_network=allow_network,
        max_wait=max_wait,
        max_requests=max_requests,
        cache=cache,
        session=session,
    )
    return Connection(raw)


class Connection:
    """DuckDB's connection with everything installed. Its cursors have it too.

    What it does not say itself is DuckDB's own: `sql` gives DuckDB's relations, which other statements can read by
    their Python names. A relation that is read later raises DuckDB's error with our text.
    """

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        """`raw`, on which everything is installed."""
        self._raw = raw
        self._database = known_database(raw)
        # Python variables are looked for in every frame, since ours stand between DuckDB and the caller's
        raw.execute("SET python_scan_all_frames = true")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever DuckDB has there
        """DuckDB's own attribute; a method raises our errors, and takes names of API tables in its SQL."""
        found = self._call(lambda: getattr(self._raw, name))
        if not callable(found):
            return found

        @functools.wraps(found)
        def method(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - DuckDB's signature
            if name in _TAKES_SQL:
                arguments = (
                    tuple(with_calls(each) if isinstance(each, str) else each for each in arguments[:1]) + arguments[1:]
                )
                options = {k: with_calls(each) if isinstance(each, str) else each for k, each in options.items()}
            return self._call(lambda: found(*arguments, **options))

        return method

    def cursor(self) -> Connection:
        """Another connection to the same database, with everything installed."""
        raw = self._raw.cursor()
        install(raw)
        return Connection(raw)

    duplicate = cursor

    def interrupt(self) -> None:
        """Stop what runs, also a scan that waits for an API; the scans of all connections of the database stop."""
        self._database.interrupt()
        self._raw.interrupt()

    def __enter__(self) -> Self:
        """The connection, closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._raw.close()

    def __dir__(self) -> list[str]:
        """DuckDB's own names, and this connection's."""
        return sorted({*super().__dir__(), *dir(self._raw)})

    def _call(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever `work` returns
        pressed = Event()

        def interrupt() -> None:
            pressed.set()
            self._database.interrupt()

        try:
            with stopping_at_ctrl_c(interrupt):
                result = work()
        except (duckdb.Error, RuntimeError) as error:
            text = str(error)
            # DuckDB's own words for Ctrl-C may come before the listener has been scheduled
            is_stopped = pressed.is_set() or "KeyboardInterrupt" in text or text == "Query interrupted"
            translated = None if is_stopped else self._translated(text)
            if translated is None and not is_stopped:
                raise
        else:
            return self if result is self._raw else result
        if translated is None:
            raise KeyboardInterrupt
        raise translated

    def _translated(self, text: str) -> ApikitError | None:
        """The error of ours that the `text` of DuckDB's carries, None where it carries none."""
        for ours in reversed(self._database.permissions.session.errors):
            if (first_line := safe_text(ours).partition("\n")[0]) and first_line in text:
                return copy.copy(ours)  # a raised error holds the caller's frames, and with them the connection
        for function in FUNCTIONS:
            for argument in function.arguments:
                if re.search(f"""(value|string) ['"]{argument.name}['"] (can't be cast|to )""", text):
                    name = argument.name
                    return CallError(f"{function.name}: write {name} := value; {name} = value is a comparison.")
        return None
