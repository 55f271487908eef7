"""try_out(): one page of each stream of a connector, to see whether its manifest is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

import pyarrow as pa

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.plan.call import call_of
from apikit_sql.plan.planner import plan_call
from apikit_sql.scan.dataset import columns_of
from apikit_sql.scan.keyed_lists import read_whole
from apikit_sql.scan.schema import arrow_schema


@dataclass(frozen=True)
class Trial:
    """What one page of a stream has shown.

    `skipped` streams need keys that were not given; `message` says which, or what failed. `has_more` tells whether the
    page leads to a next one. `unseen` are fields of its last record that no column has, `empty` columns that are NULL
    in all of its `rows`.
    """

    stream: str
    state: Literal["ok", "failed", "skipped"]
    rows: int = 0
    has_more: bool = False
    unseen: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    message: str = ""

    def __str__(self) -> str:
        """The trial as one line."""
        pages = "a next page" if self.has_more else "no next page"
        told = [f"{self.rows} rows and {pages}"] if self.state == "ok" else [self.message]
        told += [f"fields without a column: {', '.join(self.unseen)}"] if self.unseen else []
        told += [f"always NULL: {', '.join(self.empty)}"] if self.empty else []
        return f"{self.stream}: {self.state}: {'; '.join(told)}"


def try_out(
    connector: str | Path, keys: Mapping[str, object] | None = None, *, session: Session | None = None
) -> Iterator[Trial]:
    """A trial of each stream of the `connector` (or of the manifest file at that path), as the trials are iterated.

    They come in the manifest's order, a request each. `keys` are values of key columns, for all streams that have
    them: `{'owner': 'duckdb', 'repo': 'duckdb'}`. An answer that is an error is told in its trial; raises
    ConnectorNotFoundError, ConfigError for a manifest or a setting that is wrong, and CallError for a key that no
    stream has.
    """
    used = session or default_session()
    is_file = isinstance(connector, Path) or connector.endswith(".toml")
    found = used.connector(used.connectors.add_file(Path(connector)) if is_file else str(connector))
    known = {key.column for stream in found.streams.values() for key in stream.key_columns if "=" in key.operators}
    if unknown := sorted(keys.keys() - known if keys else ()):
        message = f"{found.name} has no key column {unknown[0]!r} (there are: {', '.join(sorted(known)) or 'none'})."
        raise CallError(message)
    return (_tried(found, stream, dict(keys or {}), used) for stream in found.streams)


def _tried(connector: ConnectorDefinition, name: str, keys: Mapping[str, object], session: Session) -> Trial:
    stream = connector.streams[name]
    known = {key.column: keys[key.column] for key in stream.key_columns if "=" in key.operators and key.column in keys}
    if lacking := [column for column in stream.required if column not in known]:
        return Trial(name, "skipped", message=f"needs {' and '.join(lacking)}")
    arguments: dict[str, Any] = {"connector": connector.name, "path": name, "pages": 1}
    try:
        plan = plan_call(call_of(arguments | ({"keys": [known]} if known else {})), connector)
        columns = columns_of(plan, session, Event())
        trips, record = read_whole(plan, columns, session, Event())
    except ApikitError as error:
        session.remember(error)
        return Trial(name, "failed", message=str(error))
    rows = pa.Table.from_batches([batch for batches in trips for batch in batches], arrow_schema(columns))
    empty = tuple(
        column.name for column in columns if rows.num_rows and rows.column(column.name).null_count == len(rows)
    )
    return Trial(name, "ok", rows.num_rows, record.is_truncated, tuple(sorted(record.unseen)), empty)
