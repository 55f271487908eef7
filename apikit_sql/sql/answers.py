"""A call of one of our table functions -> the table that answers it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from apikit_sql.errors import ApikitWarning, CallError
from apikit_sql.plan.call import read_arguments
from apikit_sql.plan.planner import is_base_url
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.sql import catalog
from apikit_sql.sql.attach import Attached
from apikit_sql.sql.database import Database, raised_as_text
from apikit_sql.sql.dry_run import dry_run_dataset
from apikit_sql.sql.explain import recorded
from apikit_sql.sql.introspection import (
    errors_dataset,
    help_dataset,
    last_error_dataset,
    limits_dataset,
    read_newest,
    requests_dataset,
    scans_dataset,
)
from apikit_sql.sql.permissions import definition
from apikit_sql.sql.questions import needed
from apikit_sql.sql.records_dataset import Row
from apikit_sql.sql.registry_tables import attached_dataset, connectors_dataset, detached_dataset, streams_dataset
from apikit_sql.sql.seam import HAS_READABLE_RELATIONS
from apikit_sql.sql.streams import stream_dataset, stream_tables
from apikit_sql.sql.tables import apikit_dataset, graphql_dataset

#: What asks an API, now or when it is read.
_SENDING = frozenset({catalog.STREAM, *(f.name for f in (catalog.APIKIT, catalog.GRAPHQL, *catalog.PROBING))})
_OF_WEBHOOKS = frozenset(each.name for each in (catalog.WEBHOOK_START, catalog.WEBHOOK_STOP, catalog.WEBHOOKS))
_OF_DBT = frozenset({catalog.DBT_EXPORT.name, catalog.DBT_EXPORT_QUERY.name})
_OF_THE_NEWEST = {
    catalog.SCANS.name: scans_dataset,
    catalog.ERRORS.name: errors_dataset,
    catalog.REQUESTS.name: requests_dataset,
}


def answer(database: Database, question: Mapping[str, str]) -> ScannedDataset:
    """The table that a call stands for. Raises CallError where DuckDB could not read it by a name."""
    may_send = database.permissions.allow_network or question["function"] not in {*_SENDING, catalog.ATTACH.name}
    if may_send and not HAS_READABLE_RELATIONS and not database.may_reach_outside():
        message = (
            "apikit: where enable_external_access is false it needs DuckDB 2.0; older ones cannot read its tables."
        )
        raise CallError(message)
    return _dataset(database, question)


def _dataset(database: Database, question: Mapping[str, str]) -> ScannedDataset:
    """The table that a call of one of our table functions stands for."""
    text = question.get("arguments", "")
    match question["function"]:
        case catalog.RECORD:
            return recorded(database, question, answer)
        case catalog.DRY_RUN.name:
            return dry_run_dataset(text, database.permissions)
        case name if name in _OF_DBT:
            return _of_dbt(database, name, text)
        case name if name in _OF_WEBHOOKS:
            return _of_webhooks(database, name, text)
        case name if name in _SENDING:
            return _of_api(database, question, text)
        case name if name in _OF_THE_NEWEST:
            return _OF_THE_NEWEST[name](database.permissions.session, read_newest(name, text))
        case other:
            return _dataset_of_texts(database, other, read_arguments(text))


def _of_api(database: Database, question: Mapping[str, str], text: str) -> ScannedDataset:
    """The table of a function that sends requests."""
    permissions, in_stream = database.permissions, partial(_in_stream, database)
    match question["function"]:
        case catalog.APIKIT.name:
            return apikit_dataset(text, permissions, database.new_scan, database.may_reach_outside)
        case catalog.GRAPHQL.name:
            return graphql_dataset(text, permissions, database.new_scan, database.may_reach_outside)
        case catalog.INSPECT.name | catalog.SCHEMA.name:
            from apikit_sql.sql.inspect_tables import inspect_dataset, schema_dataset  # noqa: PLC0415 - few want it

            of_probes = inspect_dataset if question["function"] == catalog.INSPECT.name else schema_dataset
            return of_probes(text, database.reach, in_stream)
        case _:
            table = database.catalogs.table(needed(question, "table"))
            return stream_dataset(table, text, database.reach(table.connector))


def _in_stream(database: Database, work: Callable[[], list[Row]]) -> list[Row]:
    """The rows that `work` gives; a line break keeps the first line of its error apart from what pyarrow adds."""
    return raised_as_text(database.permissions.session, work, end="\n")


def _of_dbt(database: Database, function: str, text: str) -> ScannedDataset:
    """The table of a function that writes what dbt reads."""
    from apikit_sql.sql.dbt_export import export_dataset, export_query_dataset  # noqa: PLC0415 - few want it

    export = export_dataset if function == catalog.DBT_EXPORT.name else export_query_dataset
    return export(text, database, partial(_in_stream, database))


def _of_webhooks(database: Database, function: str, text: str) -> ScannedDataset:
    """The table of a function that is about receivers."""
    from apikit_sql.sql.webhooks import receivers_dataset, start_dataset, stop_dataset  # noqa: PLC0415 - few want it

    if function != catalog.WEBHOOKS.name:
        database.permissions.check_receivers(function)
    if function == catalog.WEBHOOK_START.name:
        database.permissions.check_network(database.may_reach_outside)
        if not database.may_reach_outside():
            message = f"{function} opens a port, and enable_external_access is false."
            raise CallError(message)
        return start_dataset(text, database.webhooks, partial(_in_stream, database))
    name = _text(function, "name", json.loads(text)["name"])
    if function == catalog.WEBHOOKS.name:
        return receivers_dataset(name, database.webhooks)
    return stop_dataset(_needed(function, {"name": name}, "name"), database.webhooks)


def _dataset_of_texts(database: Database, function: str, arguments: Mapping[str, Any]) -> ScannedDataset:
    """The table of a function whose arguments are texts."""
    permissions = database.permissions
    texts = {name: _text(function, name, value) for name, value in arguments.items()}
    match function:
        case catalog.RATE_LIMITS.name:
            return limits_dataset(permissions.session, texts["connector"])
        case catalog.LAST_ERROR.name:
            return last_error_dataset(permissions.session, texts["error"])
        case catalog.HELP.name:
            return help_dataset(texts["name"])
        case catalog.CONNECTORS.name:
            return connectors_dataset(permissions.session.connectors, permissions.connectors, texts["name"])
        case catalog.STREAMS.name:
            return streams_dataset(definition(_needed(function, texts, "connector"), permissions))
        case catalog.ATTACH.name:
            name = _needed(function, texts, "connector")
            return attached_dataset(attach(database, name, texts["name"]).tables)
        case catalog.DETACH.name:
            name = _needed(function, texts, "name")
            return detached_dataset(name, was_there=database.catalogs.detach(name, texts["current"] or ""))
        case _:
            message = f"{function} is no function of this package"
            raise CallError(message)


def _text(function: str, name: str, value: object) -> str | None:
    """`value` as a text, or NULL. Raises CallError for anything else."""
    if isinstance(value, bool):
        message = f"{function}: {name} is a boolean. Options are written name := value; name = value is a comparison."
        raise CallError(message)
    if value is not None and not isinstance(value, str):
        message = f"{function}: {name} must be a text, as in {name} := 'github'."
        raise CallError(message)
    return value


def _needed(function: str, texts: Mapping[str, str | None], name: str) -> str:
    """The argument of this `name`. Raises CallError where it is NULL."""
    text = texts[name]
    if text is None:
        message = f"{function}: {name} is NULL. If it is a variable, it is not set."
        raise CallError(message)
    return text


def attach(database: Database, connector: str, name: str | None = None) -> Attached:
    """The `connector` as the catalog `name`, its own unless given. Raises CallError, ConfigError."""
    reach, name = database.reach(connector), connector if name is None else name
    if is_base_url(connector):
        message = "apikit_attach: a base URL has no streams. Declare a connector with them, or call apikit()."
        raise CallError(message)
    if not reach.connector.streams:
        message = f"apikit_attach: {connector} has no streams to attach. Declare them in its manifest."
        raise CallError(message)
    attached = database.catalogs.attach(reach.connector, name, lambda: stream_tables(name, reach))
    for table in attached.tables:
        if table.error:
            warnings.warn(f"{table.shown} is left out: {table.error}", ApikitWarning, stacklevel=2)
    return attached
