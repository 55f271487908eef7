"""All the records of each of many keys, as one list a row: what a function of a row's values gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from threading import Event

import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.plan.pushdown import MOST_TRIPS, push_down
from apikit_sql.plan.request_plan import Keys, ScanPlan
from apikit_sql.scan.batches import PageReader
from apikit_sql.scan.decode import PageDecoder, as_declared
from apikit_sql.scan.scalars import storage_type
from apikit_sql.scan.schema import arrow_schema


def keyed_lists(
    plan: ScanPlan,
    columns: Sequence[Column],
    rows: Iterable[tuple[str, Keys] | None],
    session: Session,
    cancelled: Event,
) -> pa.Array:
    """A list of structs of `columns` for each of `rows`: a text that is the same for equal keys, and the keys.

    Equal keys are asked for once, others concurrently. Of None there is no list. Raises what the first trip raises
    that fails.
    """
    asked = list(rows)
    keys = dict(row for row in asked if row is not None)
    found: dict[str, list[pa.RecordBatch]] = {}
    texts = list(keys)
    for start in range(0, len(texts), MOST_TRIPS):
        some = texts[start : start + MOST_TRIPS]
        trips, _ = read_whole(replace(plan, keys=tuple(keys[text] for text in some)), columns, session, cancelled)
        found |= dict(zip(some, trips, strict=True))
    return _lists([None if row is None else found[row[0]] for row in asked], columns)


def read_whole(
    plan: ScanPlan, columns: Sequence[Column], session: Session, cancelled: Event
) -> tuple[list[list[pa.RecordBatch]], ScanRecord]:
    """The batches of each of the plan's trips, all of them read, and the record of their scan."""
    trips = push_down(plan, ())
    found: list[list[pa.RecordBatch]] = [[] for _ in trips]
    with session.running(cancelled), session.pages(plan, trips, cancelled, first_ahead=1) as scan:
        new_decoder = partial(PageDecoder, table=columns, on_drift=plan.on_drift, record=scan.record)
        reader = PageReader(trips, columns, columns, None, new_decoder)
        for number, page in scan.pages:
            batch = reader.joined([reader.read(number, page)])
            scan.record.rows += batch.num_rows
            found[number].append(batch)
    return found, scan.record


def _lists(rows: Sequence[Sequence[pa.RecordBatch] | None], columns: Sequence[Column]) -> pa.Array:
    """The rows of each of `rows` as a list."""
    schema = arrow_schema(columns)
    offsets: list[int | None] = []
    count = 0
    for batches in rows:
        offsets.append(None if batches is None else count)
        count += sum(batch.num_rows for batch in batches or ())
    structs = [
        pa.StructArray.from_arrays(batch.columns, fields=list(schema)) for batches in rows for batch in batches or ()
    ]
    if not structs:
        empty = [as_declared(pa.array([], storage_type(column.type)), column.type) for column in columns]
        structs = [pa.StructArray.from_arrays(empty, fields=list(schema))]
    return pa.ListArray.from_arrays(pa.array([*offsets, count], pa.int32()), pa.concat_arrays(structs))
