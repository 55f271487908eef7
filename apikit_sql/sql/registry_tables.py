"""The connectors that are known, their streams, and what was attached, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.settings import missing_settings
from apikit_sql.errors import ConfigError
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql.attach import StreamTable
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types

_CONNECTORS = columns_of_types(
    {
        "name": "VARCHAR", "base_url": "VARCHAR", "auth": "VARCHAR", "configured": "BOOLEAN", "missing": "VARCHAR[]",
        "pagination": "VARCHAR", "streams": "BIGINT", "description": "VARCHAR", "docs": "VARCHAR", "place": "VARCHAR",
        "error": "VARCHAR",
    }
)  # fmt: skip
_EMPTY: Row = dict.fromkeys((column.name for column in _CONNECTORS), None)
_STREAMS = columns_of_types(
    {
        "stream": "VARCHAR", "path": "VARCHAR", "needs": "VARCHAR[]", "key_columns": "JSON", "columns": "BIGINT",
        "primary_key": "VARCHAR[]", "updated_at": "VARCHAR", "description": "VARCHAR", "docs": "VARCHAR",
    }
)  # fmt: skip
_ATTACHED = columns_of_types(
    {"stream": "VARCHAR", "needs": "VARCHAR[]", "columns": "BIGINT", "description": "VARCHAR", "error": "VARCHAR"}
)
_DETACHED = columns_of_types({"name": "VARCHAR", "detached": "BOOLEAN"})


def connectors_dataset(registry: ConnectorRegistry, allowed: frozenset[str] | None, name: str | None) -> ScannedDataset:
    """A row for each connector that `registry` knows and that is `allowed`, or only for that of this `name`.

    A manifest that is wrong has its `error`; the others are listed all the same.
    """
    known, errors = registry.survey()
    names = known if name is None else [name]
    rows = [_connector_row(registry, each) for each in names if allowed is None or each in allowed]
    wrong = [{**_EMPTY, "name": place, "configured": False, "missing": [], "error": text} for place, text in errors]
    return RecordsDataset(_CONNECTORS, lambda: rows + (wrong if name is None else []))


def streams_dataset(connector: ConnectorDefinition) -> ScannedDataset:
    """A row for each stream of `connector`; `key_columns` is an object of operators by column."""
    return RecordsDataset(_STREAMS, lambda: [_stream_row(connector, name) for name in connector.streams])


def attached_dataset(tables: Iterable[StreamTable]) -> RecordsDataset:
    """A row for each of the tables of a connector that was attached."""
    rows: list[Row] = [
        {
            "stream": table.shown,
            "needs": list(table.stream.required),
            "columns": len(table.columns),
            "description": table.stream.description,
            "error": table.error or None,
        }
        for table in tables
    ]
    return RecordsDataset(_ATTACHED, lambda: rows)


def detached_dataset(name: str, *, was_there: bool) -> RecordsDataset:
    """One row: whether the catalog `name` was there to be taken away."""
    return RecordsDataset(_DETACHED, lambda: [{"name": name, "detached": was_there}])


def _connector_row(registry: ConnectorRegistry, name: str) -> Row:
    try:
        connector, place = registry.definition(name), registry.where(name)
        missing = missing_settings(connector)
    except ConfigError as error:
        return {**_EMPTY, "name": name, "configured": False, "missing": [], "error": str(error)}
    return {
        **_EMPTY,
        "name": name,
        "base_url": connector.base_url,
        "auth": connector.auth.type + (", optional" if connector.auth.optional else ""),
        "configured": not missing,
        "missing": list(missing),
        "pagination": connector.pagination.strategy,
        "streams": len(connector.streams),
        "description": connector.description,
        "docs": connector.docs,
        "place": place,
    }


def _stream_row(connector: ConnectorDefinition, name: str) -> Row:
    stream = connector.streams[name]
    operators: dict[str, list[str]] = {}
    for key in stream.key_columns:
        operators.setdefault(key.column, []).extend(key.operators)
    return {
        "stream": name,
        "path": stream.path,
        "needs": list(stream.required),
        "key_columns": json.dumps({column: list(dict.fromkeys(each)) for column, each in operators.items()}),
        "columns": len(stream.columns) or None,
        "primary_key": list(stream.primary_key),
        "updated_at": stream.updated_at,
        "description": stream.description,
        "docs": stream.docs,
    }
