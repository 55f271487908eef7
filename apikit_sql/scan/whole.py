"""All pages of a scan as one Arrow table: whoever has them all need not tell the columns by the first."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.errors import SchemaDriftError
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.batches import project
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.schema import arrow_schema, infer_columns


def whole_table(plan: ScanPlan, pages: Sequence[Page]) -> pa.Table:
    """The records of `pages`, in order.

    Columns are those that `plan` declares, else one for every field that any record has, of the narrowest type that
    holds all of its values exactly; no record at all is a table without columns. Raises SchemaDriftError for a value
    that a declared column does not hold.
    """
    if plan.columns is not None:
        return _read(plan, pages, plan.columns, ScanRecord())
    first = next((page for page in pages if page.envelope.records), None)
    if first is None:
        return pa.table({})
    columns, record = infer_columns(plan, read_records(first)), ScanRecord()
    if not any("JSON" in str(column.type) for column in columns):  # which a column is, too, that was null all along
        try:
            table = _read(plan, pages, columns, record)
        except SchemaDriftError:
            pass
        else:
            if not record.unseen:
                return table
    every = [each for page in pages for each in read_records(page)]
    return _read(plan, pages, infer_columns(plan, every), ScanRecord())


def _read(plan: ScanPlan, pages: Sequence[Page], columns: Sequence[Column], record: ScanRecord) -> pa.Table:
    decoder = PageDecoder(columns, on_drift=plan.on_drift, record=record)
    batches = [project(decoder.decode(page, {}), columns) for page in pages]
    return pa.Table.from_batches(batches, arrow_schema(columns))
