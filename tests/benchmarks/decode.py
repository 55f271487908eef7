"""Decoding one page: our decoder against `orjson.loads`, one list a column, and `pa.array`."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.engine.steps import Page
from apikit_sql.plan.request_plan import Nested, RequestPlan, ScanPlan
from apikit_sql.records import read_envelope
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.scalars import storage_type
from apikit_sql.scan.schema import infer_columns

RECORDED = Path(__file__).parents[1] / "fakes" / "recorded" / "get-repository.json"
ROUNDS, PAGES_A_TURN = 20, 10


def page_of_repositories(count: int = 100) -> tuple[bytes, Page]:
    """A page of recorded repositories, each with an id, name, size and description of its own."""
    (exchange,) = json.loads(RECORDED.read_text())
    changes = (
        {"id": i, "name": f"é {i}", "size": i * 3, "description": None if i % 3 else f"{i}"} for i in range(count)
    )
    body = json.dumps([exchange["response"] | change for change in changes], ensure_ascii=False).encode()
    return body, page_of(body)


def page_of(body: bytes) -> Page:
    """The page whose body this is."""
    return Page(1, "https://api.test/repos", 200, httpx.Headers(), read_envelope(body, None), len(body))


def by_apikit(body: bytes, decoder: PageDecoder) -> Callable[[], pa.RecordBatch]:
    """Our way, from the body on, its records found first."""
    return lambda: decoder.decode(page_of(body), {})


def by_lists(body: bytes, columns: Sequence[Column]) -> Callable[[], pa.RecordBatch]:
    """The plain way: parse everything, pick one list of values a column, let pyarrow convert it."""
    types = [storage_type(column.type) for column in columns]
    plain = [pa.string() if pa.types.is_temporal(kind) else kind for kind in types]

    def pick(record: Any, path: tuple[str, ...]) -> Any:
        for step in path:
            record = record.get(step) if type(record) is dict else None
        return record

    def decode() -> pa.RecordBatch:
        records = orjson.loads(body)
        arrays = []
        for column, kind in zip(columns, plain, strict=True):
            values = [pick(record, column.path) for record in records]
            if str(column.type) == "JSON":
                values = [None if value is None else orjson.dumps(value).decode() for value in values]
            arrays.append(pa.array(values, kind))
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])

    return decode


def compare(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The medians of both, in milliseconds: in turns of several pages each, for a page that arrives is in the cache."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for work, times in zip((ours, theirs), taken, strict=True):
            for _ in range(PAGES_A_TURN):
                started = time.perf_counter()
                work()
                times.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> None:
    body, page = page_of_repositories()
    modes: tuple[Nested, ...] = ("flatten", "struct")
    for nested in modes:
        plan = ScanPlan(RequestPlan("benchmark", "https://api.test", "/repos"), nested=nested)
        columns = infer_columns(plan, read_records(page))
        few = [column for column in columns if column.name in {"id", "name", "size"}]
        for wanted in (few, list(columns)):
            decoder = PageDecoder(wanted, columns)
            ours, theirs = compare(by_apikit(body, decoder), by_lists(body, wanted))
            label = f"{nested}: {len(wanted)} of {len(columns)} columns"
            print(f"{label:32} ours {ours:6.2f} ms, lists {theirs:6.2f} ms, ratio {ours / theirs:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
