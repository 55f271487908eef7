"""Decoding a page of 100 GitHub repositories, 111 columns: our way, and the quickest plain way of orjson, pyarrow."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import orjson
import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.engine.steps import Page
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.records import read_envelope
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.scalars import storage_type
from apikit_sql.scan.schema import infer_columns
from tests.benchmarks.bodies import Api
from tests.benchmarks.meter import Found

_FEW = {"id", "name", "size"}
Decode = Callable[[bytes], object]


def decode_pages(design: str, work: str, pages: int) -> Found:
    """How many columns come out when `pages` are decoded in this way, few or all."""
    decode, columns = _design(design, work)
    for number in range(1, pages + 1):
        batch = decode(Api().body(number, coding="plain"))
    if isinstance(batch, pa.RecordBatch):
        assert (batch.num_rows, batch.num_columns) == (100, columns)
    return {"columns": columns}


@functools.cache
def _design(design: str, work: str) -> tuple[Decode, int]:
    """What decodes a page, and the number of its columns: they are inferred before the clock starts."""
    bodies = [Api().body(number, coding="plain") for number in range(1, 5)]
    plan = ScanPlan(RequestPlan("benchmark", "https://api.test", "/repos"), nested="flatten")
    table = infer_columns(plan, [record for body in bodies for record in read_records(_page(body))])
    wanted = [column for column in table if column.name in _FEW or work == "all"]
    match design:
        case "apikit":
            return _by_apikit(wanted, table), len(wanted)
        case "lists":
            return _by_lists(wanted), len(wanted)
        case _:
            return orjson.loads, len(table)


def _page(body: bytes) -> Page:
    return Page(1, "https://api.test/repos", 200, httpx.Headers(), read_envelope(body, None), len(body))


def _by_apikit(wanted: Sequence[Column], table: Sequence[Column]) -> Decode:
    """Our way, from the body on, its records found first."""
    decoder = PageDecoder(wanted, table)
    return lambda body: decoder.decode(_page(body), {})


def _by_lists(columns: Sequence[Column]) -> Decode:
    """The plain way: parse everything, pick one list of values a column, let pyarrow convert it.

    It checks no value and reads no time, as ours does.
    """
    types = [storage_type(column.type) for column in columns]
    plain = [pa.string() if pa.types.is_temporal(kind) else kind for kind in types]

    def pick(record: Any, path: tuple[str, ...]) -> Any:
        for step in path:
            record = record.get(step) if type(record) is dict else None
        return record

    def decode(body: bytes) -> pa.RecordBatch:
        records = orjson.loads(body)
        arrays = []
        for column, kind in zip(columns, plain, strict=True):
            values = [pick(record, column.path) for record in records]
            if str(column.type) == "JSON":
                values = [None if value is None else orjson.dumps(value).decode() for value in values]
            arrays.append(pa.array(values, kind))
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    return decode
