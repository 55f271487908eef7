"""What Apikit fetches, by both doors: expected values are the fake API's own records."""

import asyncio
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from apikit_sql import (
    ApiConfig,
    Apikit,
    ApikitWarning,
    CallError,
    ConfigError,
    DecodeError,
    PaginationConfig,
    PaginationError,
    RequestError,
    Session,
)
from apikit_sql.connector.protocol import RateLimitConfig
from apikit_sql.demo import DemoServer
from tests.facade.doors import Door, call, first
from tests.facade.records import RECORDS
from tests.fakes.api import FakeApi, Table
from tests.sql.demo_data import customers, events, issues, warehouses


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(RECORDS, "link"), "/one": Table(RECORDS[:3])})


def test_all_pages_are_the_records_as_they_came(api: FakeApi, client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_records", "/items", paginate=True)

    assert found == RECORDS
    assert len(api.seen) == 3


def test_one_page_alone_is_warned_of_where_more_follow(api: FakeApi, client: Apikit, door: Door) -> None:
    with pytest.warns(ApikitWarning, match=r"/items has more pages .* paginate=True") as told:
        found = call(door, client, "fetch_records", "/items")

    assert found == RECORDS[:10]
    assert len(api.seen) == 1
    assert told[0].filename.endswith("doors.py")  # whoever has called


def test_the_only_page_is_no_reason_to_warn(client: Apikit, door: Door) -> None:
    assert call(door, client, "fetch_records", "/one") == RECORDS[:3]


def test_a_polars_frame_has_every_value_of_all_pages(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_polars", "/items", paginate=True)

    assert found.to_dicts() == [
        {
            "id": r["id"],
            "big": r["big"],
            "user__login": r["user"]["login"],
            "tags": json.dumps(r["tags"]).replace(" ", ""),
            "score": r["score"],
        }
        for r in RECORDS
    ]
    assert found.schema["big"] == pl.Int128
    assert found.schema["score"] == pl.Float64  # which the first page does not tell


def test_a_polars_frame_that_is_not_flat_keeps_objects_and_lists(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_polars", "/items", paginate=True, flatten=False)

    assert found.to_dicts() == RECORDS


def test_an_arrow_table_has_every_value_of_all_pages(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_arrow", "/items", paginate=True)

    assert found.to_pylist() == RECORDS  # a decimal equals its integer
    assert found.schema.field("big").type == pa.decimal128(38, 0)


def test_a_pandas_frame_rounds_nothing(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_pandas", "/items", paginate=True)

    assert list(found["id"]) == [record["id"] for record in RECORDS]
    assert list(found["big"]) == [record["big"] for record in RECORDS]
    assert list(found["user__login"]) == [f"u{n}" for n in range(25)]
    assert found["tags"].iloc[2] == '["x","x"]'
    assert found["score"].isna().sum() == 15


def test_declared_columns_are_the_schema(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_polars", "/items", paginate=True, columns={"id": "INTEGER", "score": "DOUBLE"})

    assert found.schema == {"id": pl.Int32, "score": pl.Float64}
    assert found["score"].to_list() == [record["score"] for record in RECORDS]


def test_a_stream_has_its_own_columns_and_those_of_its_path(session: Session, door: Door) -> None:
    demo = Apikit.from_name("demo", session=session)

    found = call(door, demo, "fetch_polars", "warehouses", path_params={"region": "emea"})
    paying = call(door, demo, "fetch_polars", "customers", paginate=True)

    assert found.to_dicts() == [{**each, "region": "emea"} for each in warehouses("emea")]
    assert paying["created"].to_list() == [dt.datetime.fromtimestamp(each["created"], dt.UTC) for each in customers()]


@pytest.mark.parametrize("method", ["fetch_polars", "fetch_pandas", "fetch_arrow"])
def test_a_column_that_records_lack_has_the_value_of_the_path(session: Session, door: Door, method: str) -> None:
    demo = Apikit.from_name("demo", session=session)

    found = call(door, demo, method, "warehouses", path_params={"region": "emea"})

    assert list(found["region"] if method != "fetch_arrow" else found["region"].to_pylist()) == ["emea"] * len(found)
    assert len(found) == len(warehouses("emea"))


def test_a_pandas_frame_that_is_not_flat_keeps_objects_and_lists(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_pandas", "/items", paginate=True, flatten=False)

    assert list(found["user"]) == [record["user"] for record in RECORDS]
    assert [list(tags) for tags in found["tags"]] == [record["tags"] for record in RECORDS]


def test_an_arrow_table_may_be_flat(client: Apikit, door: Door) -> None:
    found = call(door, client, "fetch_arrow", "/items", paginate=True, flatten=True)

    assert found.column_names == ["id", "big", "user__login", "tags", "score"]
    assert found["user__login"].to_pylist() == [record["user"]["login"] for record in RECORDS]
    assert [json.loads(tags) for tags in found["tags"].to_pylist()] == [record["tags"] for record in RECORDS]


@pytest.mark.parametrize("method", ["fetch_pandas", "fetch_arrow"])
def test_declared_columns_are_the_schema_of_others_too(client: Apikit, door: Door, method: str) -> None:
    found = call(door, client, method, "/items", paginate=True, columns={"id": "INTEGER", "score": "DOUBLE"})

    table = found if method == "fetch_arrow" else pa.Table.from_pandas(found)
    assert [(each.name, each.type) for each in table.schema] == [("id", pa.int32()), ("score", pa.float64())]
    assert table["score"].to_pylist() == [record["score"] for record in RECORDS]


def test_a_page_has_the_size_that_is_asked_for(api: FakeApi, client: Apikit, door: Door) -> None:
    paging = PaginationConfig(strategy="link", limit_param="limit")

    found = call(door, client, "fetch_records", "/items", strategy=paging, page_size=5, paginate=True)

    assert found == RECORDS
    assert api.params("limit") == ["5"] * 5


def test_records_are_where_the_caller_says(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/two"] = httpx.Response(200, json={"a": [{"id": 1}], "b": {"c": [{"id": 2}]}})

    assert call(door, client, "fetch_records", "/two", data_path="b.c") == [{"id": 2}]


def test_a_stream_that_is_broken_off_sends_no_more(api: FakeApi, client: Apikit, door: Door) -> None:
    found = first(door, client, 10, "/items")

    assert found == RECORDS[:10]
    assert len(api.seen) == 1


def test_a_stream_has_all_pages_unless_told_otherwise(client: Apikit, door: Door) -> None:
    assert first(door, client, 99, "/items") == RECORDS
    with pytest.warns(ApikitWarning, match="has more pages"):
        assert first(door, client, 99, "/items", paginate=False) == RECORDS[:10]


def test_params_are_sent_as_an_api_takes_them(api: FakeApi, client: Apikit, door: Door) -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    params = {
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone), "local": dt.datetime(2026, 1, 2),  # noqa: DTZ001
        "on": dt.date(2026, 1, 2), "labels": ("bug", "p1"), "nothing": None, "yes": True,
    }  # fmt: skip

    call(door, client, "fetch_records", "/one", params=params)

    assert list(api.seen[0].url.params.multi_items()) == [
        ("at", "2026-01-02T01:04:05Z"), ("local", "2026-01-02T00:00:00Z"), ("on", "2026-01-02"), ("labels", "bug"),
        ("labels", "p1"), ("yes", "true"),
    ]  # fmt: skip


def test_path_params_fill_the_path(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/users/a/b"] = Table([{"id": 1}])

    assert call(door, client, "fetch_records", "/users/{name}", path_params={"name": "a/b"}) == [{"id": 1}]
    assert api.paths == ["/users/a%2Fb"]


@pytest.mark.parametrize(
    "strategy",
    ["auto", PaginationConfig(strategy="offset", offset_param="offset", limit_param="limit", total_path="total")],
)
def test_a_strategy_is_a_name_or_a_config(client: Apikit, api: FakeApi, door: Door, strategy: Any) -> None:
    api.routes["/offsets"] = Table(RECORDS, "offset")

    found = call(door, client, "fetch_records", "/offsets", params={"offset": 0}, strategy=strategy, paginate=True)

    assert found == RECORDS


def test_max_pages_is_a_guard(client: Apikit, door: Door) -> None:
    with pytest.raises(PaginationError, match="max_pages"):
        call(door, client, "fetch_records", "/items", paginate=True, max_pages=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strategy": "pages"}, "'pages' is no strategy; they are offset, page, cursor, link"),
        ({"paginat": True}, "no option 'paginat'; there are cache, .*paginate"),
        ({"params": {"a": {"b": 1}}}, "params.a is an object"),
        ({"path_params": {"x": 1}}, "has no {x}"),
        ({"columns": {"id": "BIGINT"}}, "no option 'columns' where records stay as they are; there are cache"),
        ({"max_pages": 0}, "max_pages"),
    ],
)
def test_what_cannot_be_asked_is_told_and_not_sent(
    api: FakeApi, client: Apikit, door: Door, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CallError, match=words):
        call(door, client, "fetch_records", "/items", **options)

    assert api.seen == []


@pytest.mark.parametrize("values", [[1, "x", None], [[1], [2]]])
def test_values_that_are_no_objects_have_one_field(api: FakeApi, client: Apikit, door: Door, values: list[Any]) -> None:
    api.routes["/values"] = httpx.Response(200, json=values)

    assert call(door, client, "fetch_records", "/values") == [{"value": each} for each in values]
    assert first(door, client, 9, "/values") == [{"value": each} for each in values]


def test_an_unknown_stream_lists_those_there_are(session: Session, door: Door) -> None:
    with pytest.raises(CallError, match=r"demo has no stream 'isues' .*issues"):
        call(door, Apikit.from_name("demo", session=session), "fetch_records", "isues")


def test_a_key_that_a_stream_needs_is_told(session: Session, door: Door) -> None:
    with pytest.raises(CallError, match=r"needs region: say path_params=\{'region': \.\.\.\}"):
        call(door, Apikit.from_name("demo", session=session), "fetch_records", "warehouses")


def test_an_error_is_kept_by_the_session(api: FakeApi, session: Session, door: Door) -> None:
    api.routes["/no"] = httpx.Response(404, json={"message": "no s3cr3t-t0ken"})
    client = Apikit("https://api.test", token="s3cr3t-t0ken", session=session)

    with pytest.raises(RequestError, match="answered 404") as caught:
        call(door, client, "fetch_records", "/no")

    assert caught.value.status == 404
    assert "s3cr3t" not in str(caught.value)
    kept = session.errors[-1]
    assert (type(kept), str(kept), vars(kept)) == (caught.type, str(caught.value), vars(caught.value))
    assert kept.__traceback__ is None  # whose frames hold pages


def test_a_record_that_cannot_be_read_names_its_page(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/odd"] = httpx.Response(200, content=b'[{"a": 1e999}, {"a": \xff}]')

    with pytest.raises(DecodeError, match="page 1"):
        call(door, client, "fetch_records", "/odd")


def test_a_scan_is_in_the_sessions_log(session: Session, client: Apikit, door: Door) -> None:
    call(door, client, "fetch_polars", "/items", paginate=True)

    scan = session.scans[-1]
    assert (scan.path, scan.state, scan.pages, scan.rows, scan.requests) == ("/items", "done", 3, 25, 3)


def test_progress_is_drawn_where_it_is_asked_for_only(
    client: Apikit, door: Door, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    call(door, client, "fetch_records", "/items", paginate=True)

    assert capsys.readouterr().err == ""


def test_progress_is_drawn_on_no_terminal(client: Apikit, door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    call(door, client, "fetch_records", "/items", paginate=True, show_progress=True)

    assert capsys.readouterr().err == ""


def test_progress_counts_on_a_terminal(
    client: Apikit, door: Door, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    call(door, client, "fetch_records", "/items", paginate=True, show_progress=True)

    assert "3 pages, 25 records" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "method", "extra"),
    [
        ("rich.console", "fetch_records", "progress"),
        ("pandas", "fetch_pandas", "pandas"),
        ("polars", "fetch_polars", "polars"),
    ],
)
def test_an_extra_that_is_not_there_is_named(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, module: str, method: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigError, match=rf"pip install 'apikit_sql\[{extra}\]'"):
        call(door, client, method, "/one", show_progress=True)

    assert api.seen == []


class CountingServer(DemoServer):
    """The demo API, and how many connections it has taken."""

    accepted = 0

    def get_request(self) -> Any:
        self.accepted += 1
        return super().get_request()


def test_twenty_at_once_share_their_connections_and_the_limit() -> None:
    server, session = CountingServer(), Session()
    limit = RateLimitConfig(requests_per_second=200)
    client = Apikit.from_config(ApiConfig(base_url=server.base_url, rate_limit=limit), session=session)

    async def main() -> list[pl.DataFrame]:
        options: dict[str, Any] = {
            "params": {"page": 1},
            "paginate": True,
            "concurrency": 1,
        }  # so twenty requests under way at most
        asked = (client.afetch_polars("/events", **options) for _ in range(20))
        return list(await asyncio.gather(*asked))

    frames = asyncio.run(main())

    assert [frame["id"].to_list() for frame in frames] == [[event["id"] for event in events()]] * 20
    assert len(session.limits()) == 1
    assert server.accepted <= 20 < len(session.requests)
    sent = [request.at for request in session.requests]
    assert max(sent) - min(sent) > 0.9 * (len(sent) - 1) / 200
    session.close()
    server.close()


def test_methods_without_a_twins_letter_work_in_a_running_loop(client: Apikit, tmp_path: Path) -> None:
    async def notebook() -> Any:
        client.fetch_to_file("/items", format="ndjson", file_path=tmp_path / "out", paginate=True)
        return client.fetch_records("/items", paginate=True), list(client.stream("/items"))

    assert asyncio.run(notebook()) == (RECORDS, RECORDS)
    assert [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()] == RECORDS


def test_the_demo_is_read_whole(session: Session, door: Door) -> None:
    demo = Apikit.from_name("demo", session=session)

    assert call(door, demo, "fetch_records", "issues", paginate=True) == issues()
