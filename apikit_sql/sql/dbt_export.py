"""apikit_dbt_export() and apikit_dbt_export_query(): what was fetched as a seed and a source of a dbt project.

Files are written while the result is read, not while it is bound: EXPLAIN writes none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.dbt.exporter import DbtExport, DbtExporter
from apikit_sql.dbt.properties import Entry
from apikit_sql.dbt.seed import Fetched
from apikit_sql.errors import CallError
from apikit_sql.identifiers import quoted
from apikit_sql.output.tables import arrow_table
from apikit_sql.plan.call import call_of
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.pushdown import push_down
from apikit_sql.sql.catalog import DBT_EXPORT, DBT_EXPORT_QUERY, FUNCTIONS, literal
from apikit_sql.sql.database import Database
from apikit_sql.sql.inspect_tables import Guard
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types
from apikit_sql.sql.seam import prepare, result_table, see_as_caller
from apikit_sql.sql.streams import Reach

_EXPORTED = columns_of_types({"file": "VARCHAR", "action": "VARCHAR", "rows": "BIGINT"})
_OF_THE_CALL = ("connector", "path", "params", "params_type", "path_params", "path_params_type")
_AS_THEY_ARE = frozenset({"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR"})
_NESTED = ("STRUCT(", "MAP(", "UNION(")


def export_dataset(arguments: str, database: Database, guard: Guard[list[Row]]) -> RecordsDataset:
    """A row for each file of the export of an endpoint; its pages are read, and files written, when the rows are."""
    given = json.loads(arguments)
    entry, exporter = _entry(DBT_EXPORT.name, given), _exporter(DBT_EXPORT.name, given, database)
    call = call_of({name: given[name] for name in _OF_THE_CALL if name in given})
    reach = database.reach(call.connector)
    plan = plan_call(call, reach.connector, reach.permissions.defaults)

    def read() -> list[Row]:
        (trip,), session, cancelled = push_down(plan, ()), reach.permissions.session, reach.new_scan()
        with session.running(cancelled), session.pages(plan, [trip], cancelled) as scan:
            pages = [page for _, page in scan.pages]
        table = arrow_table(pages, plan.columns, fills=dict(trip.fills), flatten=True)
        return _rows(exporter.export_table(_told(table, call.path, reach), entry))

    return RecordsDataset(_EXPORTED, lambda: guard(read))


def export_query_dataset(arguments: str, database: Database, guard: Guard[list[Row]]) -> RecordsDataset:
    """A row for each file of the export of a SELECT, which runs when the rows are read."""
    given = json.loads(arguments)
    entry, exporter = _entry(DBT_EXPORT_QUERY.name, given), _exporter(DBT_EXPORT_QUERY.name, given, database)
    if not isinstance(given["sql"], str):
        message = f"{DBT_EXPORT_QUERY.name}: write the statement as a text, $$ SELECT ... $$."
        raise CallError(message)
    return RecordsDataset(
        _EXPORTED, lambda: guard(lambda: _rows(exporter.export_table(_selected(given, database), entry)))
    )


def _entry(function: str, given: Mapping[str, Any]) -> Entry:
    """What is said of the table. Raises CallError for an argument that is no text."""
    for name in ("name", "output_dir", "database", "schema", "description"):
        if not isinstance(given[name], str) and (given[name] is not None or name in {"name", "output_dir"}):
            message = f"{function}: {name} must be a text, as in {name} := 'stripe_customers'."
            raise CallError(message)
    tags = given["tags"] or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        message = f"{function}: tags are a list of texts, ['crm']."
        raise CallError(message)
    texts = {name: given[name] or "" for name in ("description", "database", "schema")}
    return Entry(given["name"], (), tags=tuple(tags), **texts)


def _exporter(function: str, given: Mapping[str, Any], database: Database) -> DbtExporter:
    if not isinstance(given["csv_safe"], bool):
        message = f"{function}: csv_safe is true or false."
        raise CallError(message)
    if not database.may_reach_outside():
        message = f"{function} writes files, and enable_external_access is false."
        raise CallError(message)
    exporter = DbtExporter(given["output_dir"], csv_safe=given["csv_safe"])
    exporter.places(given["name"])
    return exporter


def _told(table: pa.Table, path: str, reach: Reach) -> Fetched:
    """`table` with what the manifest tells of its columns."""
    connector: ConnectorDefinition = reach.connector
    stream = connector.streams.get(path)
    if stream is None:
        return Fetched(table)
    texts = {name: column.description for name, column in stream.columns.items()}
    return Fetched(table, stream.description, texts, primary_key=stream.primary_key)


def _selected(given: Mapping[str, Any], database: Database) -> Fetched:
    """The rows of the SELECT, on a cursor that only reads. Raises CallError for anything else, and what DuckDB says."""
    cursor = database.cursor()
    try:
        prepare(cursor)
        for function in FUNCTIONS:
            cursor.execute(function.macro_sql(temporary=True))
        see_as_caller(cursor, given["time_zone"], given["search_path"])
        if [each.type for each in cursor.extract_statements(given["sql"])] != [duckdb.StatementType.SELECT]:
            message = f"{DBT_EXPORT_QUERY.name}: the text must be one SELECT."
            raise CallError(message)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        return _read(cursor, f"query({literal(given['sql'])})")
    except duckdb.Error as error:
        message = f"{DBT_EXPORT_QUERY.name}: {str(error).partition(chr(10))[0]}"
        raise CallError(message) from None
    finally:
        cursor.close()


def _read(cursor: duckdb.DuckDBPyConnection, query: str) -> Fetched:
    """The rows of `query`, what CSV has no type for as text; and the types as dbt shall have them."""
    types = {name: kind for name, kind, *_ in cursor.execute(f"DESCRIBE FROM {query}").fetchall()}
    values = [f"{_value(name, kind)} AS {quoted(name)}" for name, kind in types.items()]
    table = result_table(cursor, f"SELECT {', '.join(values)} FROM {query}")  # noqa: S608 - quoted
    return Fetched(table, types={name: "JSON" if _is_nested(kind) else kind for name, kind in types.items()})


def _value(name: str, kind: str) -> str:
    if kind in _AS_THEY_ARE:
        return quoted(name)
    return f"CAST({f'to_json({quoted(name)})' if _is_nested(kind) else quoted(name)} AS VARCHAR)"


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(_NESTED)


def _rows(export: DbtExport) -> list[Row]:
    return [{"file": str(each.path), "action": each.action, "rows": export.rows} for each in export.files]
