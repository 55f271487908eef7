"""A table in a Python variable: pushdown by DuckDB without install, and whoever reads Arrow streams."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from apikit_sql import Apikit, CallError, RequestError, Session
from tests.fakes.api import FakeApi, Table
from tests.sql.demo_data import issues as every_issue

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
RECORDS: list[dict[str, Any]] = [
    {"id": n, "state": "open" if n % 2 else "closed", "big": 2**70 + n, "any": n or "x"} for n in range(25)
]
STATE = {"state": ("state", "=")}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(RECORDS, "link", filters=STATE), "/none": Table([])})  # type: ignore[arg-type]


def rows(relation: duckdb.DuckDBPyRelation | None) -> list[tuple[Any, ...]]:
    assert relation is not None
    return relation.fetchall()


def test_a_predicate_is_pushed_without_install(api: FakeApi, client: Apikit) -> None:
    items = client.table("/items", filters={"state": "state"})  # noqa: F841 - DuckDB finds it by its name

    found = rows(duckdb.sql("SELECT id FROM items WHERE state = 'open' ORDER BY id"))

    assert found == [(n,) for n in range(25) if n % 2]
    assert api.params("state") == [None, "open", "open"]  # the page that told the columns, then two


def test_a_connectors_key_columns_are_pushed_with_its_types(session: Session) -> None:
    issues = Apikit.from_name("demo", session=session).table("issues")  # noqa: F841 - DuckDB finds it by its name

    found = rows(duckdb.sql("SELECT count(*), epoch(max(updated_at)) FROM issues WHERE state = 'open'"))

    opened = [each for each in every_issue() if each["state"] == "open"]
    newest = dt.datetime.fromisoformat(max(each["updated_at"] for each in opened))
    assert found == [(len(opened), newest.timestamp())]
    assert session.scans[-1].requests == -(-len(opened) // 100)


def test_limit_stops_the_requests(api: FakeApi, client: Apikit) -> None:
    items = client.table("/items")  # noqa: F841 - DuckDB finds it by its name
    api.seen.clear()

    assert rows(duckdb.sql("SELECT id FROM items LIMIT 2")) == [(0,), (1,)]

    assert len(api.seen) <= (0 if IS_2 else 1)  # the page that told the columns serves the scan


def test_every_reading_asks_again(api: FakeApi, client: Apikit) -> None:
    items = client.table("/items", columns={"id": "BIGINT"})
    assert api.seen == []

    assert pa.table(items).num_rows == pa.table(items).num_rows == 25

    assert len(api.seen) == 6


def test_its_own_name_and_joins_work_in_a_connection_of_ones_own(client: Apikit) -> None:
    items = client.table("/items")
    with duckdb.connect() as con:
        con.register("registered", items)

        assert con.sql("SELECT count(*) FROM registered JOIN items USING (id)").fetchall() == [(25,)]


@pytest.mark.parametrize(
    "read",
    [
        lambda items: pa.table(items).to_pylist(),
        lambda items: pa.RecordBatchReader.from_stream(items).read_all().to_pylist(),
        lambda items: pl.DataFrame(pl.from_arrow(items)).to_dicts(),
        lambda items: pl.DataFrame(items).to_dicts(),
    ],
    ids=["pyarrow's table", "pyarrow's reader", "polars' from_arrow", "polars' DataFrame"],
)
def test_arrow_streams_have_every_row(client: Apikit, read: Callable[[Any], list[dict[str, Any]]]) -> None:
    found = read(client.table("/items"))

    assert found == [{**record, "any": json.dumps(record["any"])} for record in RECORDS]


def test_a_stream_has_text_for_json_and_a_decimal_for_a_huge_integer(client: Apikit) -> None:
    schema = pa.table(client.table("/items")).schema

    assert (schema.field("any").type, schema.field("big").type) == (pa.string(), pa.decimal128(38, 0))


def test_no_rows_are_an_empty_frame_with_its_columns(client: Apikit) -> None:
    none = client.table("/none", columns={"id": "BIGINT"})

    assert pl.DataFrame(pl.from_arrow(none)).equals(pl.DataFrame(schema={"id": pl.Int64}))


def test_what_cannot_be_asked_is_told(client: Apikit) -> None:
    with pytest.raises(CallError, match=r"no option 'paginate'; there are cache, columns, .*filters"):
        client.table("/items", paginate=True)  # type: ignore[call-arg]
    with pytest.raises(RequestError, match="answered 404"):
        client.table("/nothing")
