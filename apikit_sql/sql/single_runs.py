"""A connection that runs each statement once, as a shell does, and gives its rows as they come."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from apikit_sql.sql.connection import Connection
from apikit_sql.sql.seam import Rows, rows_of
from apikit_sql.sql.table_names import with_calls

#: Statements that tell how much they have changed, in a column of this name, unless they return rows.
_CHANGED = ["Count"]


@dataclass(frozen=True, eq=False)
class Result:
    """What a statement gives. Columns of `batches` and of `empty`, a table, are numbered: two may have one name."""

    names: list[str]
    types: list[str]
    empty: pa.Table
    batches: Generator[pa.RecordBatch]


class SingleRuns(Connection):
    """A connection whose SELECTs run once, by `run`, and so may send mutations, too.

    Statements see no Python variables, and the next one ends what the one before has not read.
    """

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        """`raw`, on which everything is installed, and whose database has no other connection."""
        super().__init__(raw)
        self._database.permissions = replace(self._database.permissions, runs_once=True)
        raw.execute("SET python_scan_all_frames = false; SET arrow_lossless_conversion = true")

    def run(self, sql: str, size: int = 1024) -> Result | None:
        """The rows of one statement, `size` of them in a batch; None where it only does something, or is a comment."""
        sql = with_calls(sql)
        kinds = self._call(lambda: self._raw.extract_statements(sql))
        rows = self._call(lambda: rows_of(self._raw, sql, size))
        if rows is None:
            return None
        numbers = [str(number) for number in range(len(rows.names))]
        batches = self._batches(rows, numbers)
        results = kinds[-1].expected_result_type if kinds else []
        may_return = duckdb.ExpectedResultType.QUERY_RESULT in results
        if may_return and (duckdb.ExpectedResultType.CHANGED_ROWS not in results or rows.names != _CHANGED):
            empty = pa.Table.from_batches([], rows.batches.schema).rename_columns(numbers)
            return Result(rows.names, rows.types, empty, batches)
        for _ in batches:
            pass
        return None

    def _batches(self, rows: Rows, numbers: list[str]) -> Generator[pa.RecordBatch]:
        """The batches of a statement, which is over when they are closed. Raises what a statement raises."""
        with rows.batches:
            while (batch := self._call(lambda: _next(rows))) is not None:
                yield batch.rename_columns(numbers)


def _next(rows: Rows) -> pa.RecordBatch | None:
    """The next batch. An error is DuckDB's, as that of a statement is, though pyarrow has wrapped it."""
    try:
        return next(rows.batches, None)
    except (OSError, pa.ArrowException) as error:
        message = str(error)
    raise duckdb.Error(message)
