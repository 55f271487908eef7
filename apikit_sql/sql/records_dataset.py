"""Rows that are there already, as a table that DuckDB scans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import Column, parse_type
from apikit_sql.scan.batches import project
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.scan.scalars import storage_type
from apikit_sql.scan.schema import arrow_schema

Row = Mapping[str, object]


def columns_of_types(types: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns of these names and types."""
    return tuple(Column(name, parse_type(kind), (name,)) for name, kind in types.items())


class RecordsDataset(ScannedDataset):
    """Rows that are there already, read when the scan begins."""

    def __init__(self, columns: Sequence[Column], read: Callable[[], Iterable[Row]]) -> None:
        """The table of `columns` whose rows `read` gives."""
        super().__init__(arrow_schema(columns))
        self._columns = {column.name: column for column in columns}
        self._read = read

    def scanner(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's name
        **_: object,
    ) -> _RecordsScan:
        """A scan of `columns` (None for all), holding only rows where `filter` is true."""
        self.on_scan()
        output = [self._columns[name] for name in (self._columns if columns is None else columns)]

        def batches() -> Iterator[pa.RecordBatch]:
            batch = self._batch()
            found = project(batch if filter is None else batch.filter(filter), output)
            if found.num_rows:
                yield found

        return _RecordsScan(arrow_schema(output), batches)

    def emptied(self) -> RecordsDataset:
        """The same table without rows."""
        return RecordsDataset(tuple(self._columns.values()), lambda: ())

    def _batch(self) -> pa.RecordBatch:
        """All rows, in storage types."""
        rows, every = list(self._read()), self._columns.values()
        arrays = [pa.array([row[each.name] for row in rows], storage_type(each.type)) for each in every]
        return pa.RecordBatch.from_arrays(arrays, names=list(self._columns))


class _RecordsScan:
    """All rows as one batch, read within the stream: DuckDB shows an error there as it shows those of other scans."""

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self._schema = schema
        self._batches = batches

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows."""
        return pa.RecordBatchReader.from_batches(self._schema, self._batches())
