"""Pages -> record batches: decoded to the schema, filtered by the whole of DuckDB's filter, projected.

What is yielded has exactly the schema that was promised. A batch without rows is not yielded: DuckDB looks for an
interrupt only when it gets some.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import Column, ColumnType, Scalar, Struct
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError
from apikit_sql.plan.request_plan import Trip
from apikit_sql.scan.decode import as_declared, decode_page
from apikit_sql.scan.scalars import Misfit, Reading, scalars
from apikit_sql.scan.schema import arrow_schema
from apikit_sql.scan.shape import as_json


def batches(
    trip: Trip,
    pages: Iterable[Page],
    columns: Sequence[Column],
    output: Sequence[Column],
    condition: pc.Expression | None,
) -> Iterator[pa.RecordBatch]:
    """A batch for each of `pages`, holding `output` of the rows where `condition` is true.

    `columns` are all that the condition and the output read.
    """
    fills = dict(trip.fills)
    promised = arrow_schema(output)
    for page in pages:
        batch = decode_page(page, columns, fills)
        if condition is not None:
            batch = batch.filter(condition)
        if batch.num_rows:
            yield gate(project(batch, output), promised)


def project(batch: pa.RecordBatch, output: Sequence[Column]) -> pa.RecordBatch:
    """The columns of `output`, each of its own type."""
    arrays = [as_declared(batch.column(column.name), column.type) for column in output]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(output)) if output else batch.select([])


def gate(batch: pa.RecordBatch, promised: pa.Schema) -> pa.RecordBatch:
    """`batch`, which has exactly the schema `promised`. Raises DecodeError otherwise: DuckDB would crash."""
    if not batch.schema.equals(promised):
        message = f"a batch has the columns {batch.schema.names}, not {promised.names}"
        raise DecodeError(message)
    return batch


def key_condition(trip: Trip, columns: Sequence[Column]) -> pc.Expression | None:
    """The rows that belong to `trip`: of several trips, each brings only those that have its own key values.

    An API that ignores a key's parameter would otherwise bring every row once a trip.
    """
    conditions = [_equal(column, path, value) for (column, path), value in _key_fields(trip, columns)]
    return functools.reduce(operator.and_, conditions) if conditions else None


def _key_fields(trip: Trip, columns: Sequence[Column]) -> Iterator[tuple[tuple[Scalar, list[str]], object]]:
    """The type and the path of each key that is a column or a field of one; names are alike without case."""
    by_name = {column.name.lower(): column for column in columns}
    for key, value in trip.keys:
        name, *steps = key.lower().split(".")
        column = by_name.get(name)
        if column is None:
            continue
        kind: ColumnType = column.type
        path = [column.name]
        for step in steps:
            fields = kind.fields if isinstance(kind, Struct) else ()
            for field, inner in fields:
                if field.lower() == step:
                    kind, path = inner, [*path, field]
                    break
        if isinstance(kind, Scalar):  # a predicate on anything else is not pushed
            yield (kind, path), value


def _equal(kind: Scalar, path: list[str], value: object) -> pc.Expression:
    """The rows whose field at `path` is `value`; none where a field of this type cannot be."""
    try:
        value_of = scalars([as_json(value)], kind, Reading(declared=True, format=""))
    except Misfit:
        return pc.scalar(False)  # noqa: FBT003 - a constant, not a flag
    return pc.field(*path) == value_of[0]
