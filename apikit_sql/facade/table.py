"""A table that a Python variable holds: DuckDB reads it with pushdown, everyone else by Arrow's stream protocol."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import NoReturn

import pyarrow as pa

from apikit_sql.engine.session import Session
from apikit_sql.facade.wording import in_python
from apikit_sql.output.tables import with_text, with_text_schema
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.dataset import ApiDataset

_FIRST_AHEAD = 3  # DuckDB 1.x asks for two batches at once


class RemoteTable(ApiDataset):
    """One endpoint as a table. Each reading of it asks the API again.

    `duckdb.sql("FROM issues WHERE ...")` finds it by the name of its variable. `pl.from_arrow(issues)` and
    `pa.table(issues)` read it whole.
    """

    def __init__(self, plan: ScanPlan, session: Session) -> None:
        """The table of `plan`. Where columns were not declared, the first page is fetched to infer them."""
        super().__init__(plan, session, Event, first_ahead=_FIRST_AHEAD, say=in_python)

    def __repr__(self) -> str:
        """The API, the endpoint and the columns."""
        columns = ", ".join(f"{column.name} {column.type}" for column in self.table.columns)
        return f"<RemoteTable {self.table.plan.shown}: {columns}>"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        """Refused: pandas, which reads no Arrow streams in its DataFrame(...), would make a row of each batch."""
        message = "an API's table is no array: pa.table(...).to_pandas()"
        raise TypeError(message)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as an Arrow stream: JSON as text, HUGEINT as decimal128(38, 0)."""
        return self._reader().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The rows as Arrow batches, at least one. polars reads it by these."""
        yield from self._reader()
        yield pa.RecordBatch.from_pylist([], schema=with_text_schema(self.schema))

    def _reader(self) -> pa.RecordBatchReader:
        batches = (
            batch
            for own in self.scanner().to_reader()
            for batch in with_text(pa.Table.from_batches([own])).to_batches()
        )
        return pa.RecordBatchReader.from_batches(with_text_schema(self.schema), batches)
