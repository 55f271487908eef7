"""Pages -> record batches: decoded to the schema, filtered by the whole of DuckDB's filter, projected, joined.

What is yielded has exactly the schema that was promised. A batch without rows is not yielded: DuckDB looks for an
interrupt only when it gets some.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.column_types import JSON, Column, ColumnType, Scalar, Struct
from apikit_sql.engine.pages import Pages
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import Keys, Trip
from apikit_sql.scan.decode import PageDecoder, as_declared
from apikit_sql.scan.expression import read_columns
from apikit_sql.scan.scalars import Misfit, Reading, scalars
from apikit_sql.scan.schema import arrow_schema
from apikit_sql.scan.shape import as_json

_ENOUGH_ROWS = 2_048  # DuckDB's own vectors hold as many


class PageReader:
    """Turns the pages of a scan into batches of its `output`, of the rows where its condition is true."""

    def __init__(
        self,
        trips: Sequence[Trip],
        table: Sequence[Column],
        output: Sequence[Column],
        condition: pc.Expression | None,
        new_decoder: Callable[[Sequence[Column]], PageDecoder],
    ) -> None:
        """A reader of pages of `trips`; `new_decoder` makes the one for the columns that are read."""
        read = read_columns(condition)
        keys = {name.partition(".")[0].lower() for trip in trips for name, _ in (*_told(trip, trips), *trip.given)}
        names = {column.name for column in output}
        self._trips = trips
        self._table = table
        self._output = output
        self._condition = condition
        self._decoder = new_decoder(
            [c for c in table if read is None or c.name in read or c.name in names or c.name.lower() in keys]
        )
        self._promised = arrow_schema(output)
        self._trip, self._own = -1, condition

    def read(self, number: int, page: Page) -> pa.RecordBatch:
        """The batch of `page`, which is of the trip of this number: the rows and columns wanted, in storage types."""
        trip = self._trips[number]
        if number != self._trip:
            self._trip, self._own = number, self._condition_of(trip)
        batch = self._decoder.decode(page, dict(trip.fills))
        _check_given(page, trip, self._table, batch)
        return (batch if self._own is None else batch.filter(self._own)).select(self._promised.names)

    def joined(self, batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
        """One batch of all the rows of `batches`, which has exactly the promised schema."""
        whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
        return gate(project(whole, self._output), self._promised)

    def _condition_of(self, trip: Trip) -> pc.Expression | None:
        """The rows wanted of `trip`: of several trips, each brings only those that have its own key values.

        An API that ignores a key's parameter would otherwise bring every row once a trip.
        """
        own = key_condition(_told(trip, self._trips), self._table)
        if own is None or self._condition is None:
            return self._condition if own is None else own
        return self._condition & own


def batches(pages: Pages, reader: PageReader) -> Iterator[pa.RecordBatch]:
    """The rows of `pages`: of the first, of the second, then of 2 pages, of 4, up to about 2,048 rows.

    DuckDB's work for a batch hardly depends on its rows. Yet nobody shall wait for a page that is not there, nor is a
    reader who wants few rows to cause many requests: only pages that have come are joined, and few at first.
    """
    held: list[pa.RecordBatch] = []
    given = 0
    for number, page in pages:
        try:
            batch = reader.read(number, page)
        except DecodeError as error:
            pages.fail(error)
            continue
        if batch.num_rows:
            held.append(batch)
        is_full = len(held) >= 1 << max(0, given - 1) or sum(batch.num_rows for batch in held) >= _ENOUGH_ROWS
        if held and (is_full or not pages.is_ready()):
            given += 1
            yield reader.joined(held)
            held = []
    if held:
        yield reader.joined(held)


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


def _told(trip: Trip, trips: Sequence[Trip]) -> Keys:
    """The keys by which the rows of `trip` are told from those of other trips; given ones are checked instead."""
    return tuple(key for key in trip.keys if key not in trip.given) if len(trips) > 1 else ()


def key_condition(keys: Keys, columns: Sequence[Column]) -> pc.Expression | None:
    """The rows that have these values of `keys`, None where no column tells."""
    conditions = [_equal(column, path, value) for (column, path), value in _key_fields(keys, columns)]
    return functools.reduce(operator.and_, conditions) if conditions else None


def _check_given(page: Page, trip: Trip, table: Sequence[Column], batch: pa.RecordBatch) -> None:
    """Raise SchemaDriftError where a record tells another value of a key than it was asked by."""
    for (kind, path), value in _key_fields(trip.given, table):
        other = batch.filter(~_equal(kind, path, value))
        if other.num_rows:
            found = functools.reduce(pc.struct_field, path[1:], other.column(path[0]))[0].as_py()
            if isinstance(found, bytes):  # a HUGEINT
                found = int.from_bytes(found, "little", signed=True)
            name = ".".join(path)
            message = (
                f"{page.url}, page {page.number}: a record has {name} = {found!r} where keys asked for {value!r}. "
                "The API does not answer by this key, or means another field: name the {field} of the path otherwise."
            )
            raise SchemaDriftError(message)


def _key_fields(keys: Keys, columns: Sequence[Column]) -> Iterator[tuple[tuple[Scalar, list[str]], object]]:
    """The type and the path of each key that is a column or a field of one; names are alike without case."""
    by_name = {column.name.lower(): column for column in columns} if keys else {}
    for key, value in keys:
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
        if isinstance(kind, Scalar) and kind != JSON:  # a predicate on anything else is not pushed
            yield (kind, path), value


def _equal(kind: Scalar, path: list[str], value: object) -> pc.Expression:
    """The rows whose field at `path` is `value`; none where a field of this type cannot be."""
    try:
        value_of = scalars([as_json(value)], kind, Reading(declared=True, format=""))
    except Misfit:
        return pc.scalar(False)  # noqa: FBT003 - a constant, not a flag
    return pc.field(*path) == value_of[0]
