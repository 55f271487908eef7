"""A stream of an attached connector: as a table, and as a function of its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import pyarrow as pa

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.errors import ApikitError, CallError, ScanInterrupted
from apikit_sql.plan.call import Call, call_of, read_arguments
from apikit_sql.plan.keys import key_rows
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.request_plan import Keys, ScanPlan
from apikit_sql.scan.dataset import ApiDataset, columns_of
from apikit_sql.scan.keyed_lists import keyed_lists
from apikit_sql.sql.attach import ANY, StreamTable
from apikit_sql.sql.permissions import Permissions
from apikit_sql.sql.seam import FIRST_AHEAD


@dataclass(frozen=True)
class Reach:
    """What the streams of a connector are read with; `new_scan` gives the event that interrupts a scan."""

    connector: ConnectorDefinition
    permissions: Permissions
    new_scan: Callable[[], Event]

    def call(self, table: StreamTable, arguments: dict[str, Any]) -> Call:
        """The call of apikit() that `table` stands for. Raises CallError for arguments that are wrong."""
        return call_of({**arguments, "connector": table.connector, "path": table.name})

    def plan(self, table: StreamTable, arguments: dict[str, Any]) -> ScanPlan:
        """The scan of `table` with these arguments of apikit()."""
        plan = plan_call(self.call(table, arguments), self.connector, self.permissions.defaults)
        return replace(plan, name=table.shown, function=table.function)


def stream_tables(catalog: str, reach: Reach) -> list[StreamTable]:
    """The tables of a connector in the catalog of this name; a stream that declares no columns is sampled.

    One whose sample fails has the error. Raises it where the other streams would fail likewise, or none is left.
    """
    found, failure = [], None
    for name, stream in reach.connector.streams.items():
        table = StreamTable(reach.connector.name, catalog, name, stream, ())
        try:
            columns = columns_of(reach.plan(table, {}), reach.permissions.session, reach.new_scan())
        except ApikitError as error:
            if error.is_everywhere or isinstance(error, ScanInterrupted):
                raise
            reach.permissions.session.remember(error)
            failure = error
            found.append(replace(table, error=f"{error} Declare its columns, then no page of it is read here."))
        else:
            found.append(replace(table, columns=columns))
    if failure is not None and all(table.error for table in found):
        raise failure
    return found


def stream_dataset(table: StreamTable, arguments: str, reach: Reach) -> ApiDataset:
    """The rows of `table`, as its view or its macro calls it: with keys by name, and options of apikit().

    Raises CallError for keys that are NULL, or given twice.
    """
    given = read_arguments(arguments)
    kind = given.pop("key_type", "")
    key = given.pop("key", None) or {}
    if not isinstance(key, dict):
        message = f"{table.shown}: the keys are no object of names and values. Call the macro."
        raise CallError(message)
    key = {name: value for name, value in key.items() if value != ANY}
    for name, value in key.items():
        if value is None:
            message = f"{table.shown}: {name} is NULL. If it is a variable, it is not set."
            raise CallError(message)
        if isinstance(value, list | dict):
            message = f"{table.shown}: {name} has several values; write WHERE {name} IN (...), or keys := [...]."
            raise CallError(message)
    if key and given.get("keys", "") != "":
        message = f"{table.shown}: beside keys := ... say WHERE {next(iter(key))} = ..., not {next(iter(key))} := ..."
        raise CallError(message)
    if key:
        given |= {"keys": [key], "keys_type": f"{kind}[]"}
    plan = reach.plan(table, given)
    return ApiDataset(plan, reach.permissions.session, reach.new_scan, first_ahead=FIRST_AHEAD)


def stream_lists(table: StreamTable, keys: pa.Array, kinds: pa.Array, reach: Reach) -> pa.Array:
    """The records of each row's keys as a list; NULL where a key is NULL.

    `keys` are JSON objects, `kinds` DuckDB's type of them. Raises what a scan raises.
    """
    texts = keys.to_pylist()
    distinct = {text: _given(text) for text in texts}
    found: dict[str, tuple[str, Keys]] = {}
    for names in dict.fromkeys(tuple(key) for key in distinct.values() if key is not None):
        if not names:
            message = f"{table.function} needs one of its keys: {', '.join(key.column for key in table.keys)}."
            raise CallError(message)
        some = {text: key for text, key in distinct.items() if key is not None and tuple(key) == names}
        call = reach.call(table, {"keys": list(some.values()), "keys_type": f"{kinds[0].as_py()}[]"})
        found |= dict(zip(some, key_rows(call), strict=True))
    plan = replace(reach.plan(table, {}), columns=table.columns)
    rows = [found.get(text) for text in texts]
    return keyed_lists(plan, table.columns, rows, reach.permissions.session, reach.new_scan())


def _given(text: str) -> dict[str, Any] | None:
    """The keys that are given in `text`, None where one of them is NULL."""
    key = {name: value for name, value in read_arguments(text).items() if value != ANY}
    return None if None in key.values() else key
