"""What Apikit writes to a file or a buffer, by both doors: it reads back equal, or the old one stays."""

import asyncio
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

from apikit_sql import (
    Apikit,
    ApikitWarning,
    CallError,
    ConfigError,
    OutputError,
    RequestError,
    SchemaDriftError,
    Session,
)
from tests.facade.doors import Door, call
from tests.facade.records import FORMATS, RECORDS
from tests.fakes.api import Busy, FakeApi, Table
from tests.sql.demo_data import warehouses


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(RECORDS, "link"), "/one": Table(RECORDS[:3])})


@pytest.mark.parametrize("format_", ["parquet", "csv", "arrow", "duckdb"])
def test_a_file_has_the_value_of_the_path(session: Session, door: Door, format_: str, tmp_path: Path) -> None:
    demo, out = Apikit.from_name("demo", session=session), tmp_path / "out"

    call(door, demo, "fetch_to_file", "warehouses", path_params={"region": "emea"}, format=format_, file_path=out)

    found = read_back(format_, out.read_bytes(), tmp_path)
    assert [each["region"] for each in found] == ["emea"] * len(warehouses("emea"))


def test_fields_that_come_later_than_a_files_columns_are_warned_of(
    api: FakeApi, client: Apikit, door: Door, tmp_path: Path
) -> None:
    api.routes["/late"] = Table([{"id": n} if n < 10 else {"id": n, "late": 1} for n in range(12)], "link")

    with pytest.warns(ApikitWarning, match=r"1 fields came later .* \(late\)"):
        call(door, client, "fetch_to_file", "/late", format="parquet", file_path=tmp_path / "out", paginate=True)

    assert pa.parquet.read_table(tmp_path / "out").to_pylist() == [{"id": n} for n in range(12)]


def read_back(format_: str, content: bytes, folder: Path) -> list[dict[str, Any]]:
    """The rows that DuckDB reads of a file."""
    (folder / "back").write_bytes(content)
    source = {
        "parquet": f"read_parquet('{folder}/back')",
        "csv": f"read_csv('{folder}/back')",
        "arrow": "opened",
        "duckdb": "file.data",
    }.get(format_, f"read_json('{folder}/back')")
    with duckdb.connect() as con:
        if format_ == "arrow":
            con.register("opened", pa.ipc.open_file(folder / "back").read_all())
        if format_ == "duckdb":
            con.execute(f"ATTACH '{folder}/back' AS file (READ_ONLY)")
        result = con.execute(f"FROM {source}")
        names = [each[0] for each in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("place", ["file", "buffer"])
def test_each_format_reads_back_equal(client: Apikit, door: Door, format_: str, place: str, tmp_path: Path) -> None:
    target: Any = tmp_path / "out" if place == "file" else io.BytesIO()

    call(door, client, "fetch_to_file", "/items", format=format_, file_path=target, paginate=True)

    rows = inferred_rows(format_, target.read_bytes() if place == "file" else target.getvalue(), tmp_path)
    assert rows == RECORDS


def inferred_rows(format_: str, content: bytes, folder: Path) -> list[dict[str, Any]]:
    """The records that others find in a file; the score, null on the first page, is a column of JSON."""
    if format_ == "json":
        return list(json.loads(content))
    if format_ in {"ndjson", "jsonl"}:
        return [json.loads(line) for line in content.splitlines()]
    if format_ == "csv":
        return [
            {
                "id": int(row["id"]),
                "big": int(row["big"]),
                "user": {"login": row["user__login"]},
                "tags": json.loads(row["tags"]),
                "score": json.loads(row["score"] or "null"),
            }
            for row in csv.DictReader(io.StringIO(content.decode(), newline=""))
        ]
    rows = read_back(format_, content, folder)
    return [{**row, "score": json.loads(row["score"] or "null")} for row in rows]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("place", ["file", "buffer"])
def test_each_format_reads_back_equal_with_declared_columns(
    client: Apikit, door: Door, format_: str, place: str, tmp_path: Path
) -> None:
    target: Any = tmp_path / "out" if place == "file" else io.BytesIO()
    columns = {"id": "BIGINT", "user": "STRUCT(login VARCHAR)", "score": "DOUBLE"}
    declared: dict[str, Any] = {} if "js" in format_ else {"columns": columns}

    call(door, client, "fetch_to_file", "/items", format=format_, file_path=target, paginate=True, **declared)

    rows = read_back(format_, target.read_bytes() if place == "file" else target.getvalue(), tmp_path)
    for row in rows:
        if format_ == "csv":
            row["user"] = {"login": row.pop("user__login")}
    assert [{name: row[name] for name in columns} for row in rows] == [
        {name: record[name] for name in columns} for record in RECORDS
    ]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_failure_in_the_middle_leaves_the_old_file(
    api: FakeApi, client: Apikit, door: Door, format_: str, tmp_path: Path
) -> None:
    link = {"link": '<https://api.test/bad?page=2>; rel="next"'}
    api.routes["/bad"] = [
        httpx.Response(200, json=RECORDS[:10], headers=link),
        httpx.Response(400, json={"message": "no"}),
    ]
    (tmp_path / "out").write_bytes(b"old")

    with pytest.raises(RequestError, match="answered 400"):
        call(door, client, "fetch_to_file", "/bad", format=format_, file_path=tmp_path / "out", paginate=True)

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("out", b"old")]


def test_a_later_value_that_does_not_fit_leaves_the_old_file(
    api: FakeApi, client: Apikit, door: Door, tmp_path: Path
) -> None:
    api.routes["/drift"] = Table([{"v": n} for n in range(10)] + [{"v": "text"}], "link")
    (tmp_path / "out").write_bytes(b"old")

    with pytest.raises(SchemaDriftError, match='v = "text"'):
        call(door, client, "fetch_to_file", "/drift", format="csv", file_path=tmp_path / "out", paginate=True)

    assert (tmp_path / "out").read_bytes() == b"old"


def test_an_unknown_format_lists_those_there_are(api: FakeApi, client: Apikit, door: Door) -> None:
    with pytest.raises(ConfigError, match=re.escape("'excel' is no output format. Formats are parquet, ndjson")):
        call(door, client, "fetch_to_file", "/items", format="excel", file_path="x")

    assert api.seen == []


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (None, CallError, "a NoneType is nothing to write to"),
        (io.StringIO(), CallError, "a StringIO is nothing to write to"),
        ("", OutputError, "it is a folder"),
        ("no/file", OutputError, "its folder is not there"),
        ("a-file/file", OutputError, "a part of its folder is a file"),
    ],
)
def test_a_bad_target_costs_no_request(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi,
    client: Apikit,
    door: Door,
    format_: str,
    target: Any,
    error: type[Exception],
    words: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "a-file").touch()
    file_path = tmp_path / target if isinstance(target, str) else target

    with pytest.raises(error, match=words):
        call(door, client, "fetch_to_file", "/items", format=format_, file_path=file_path, paginate=True)

    assert api.seen == []


def test_a_cancelled_task_stops_its_requests_and_leaves_the_old_file(
    api: FakeApi, session: Session, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"old")
    api.routes["/slow"] = Busy(Table([{"id": n} for n in range(500)], "next_url", page_size=1), 0.01)
    client = Apikit("https://api.test", session=session)

    async def main() -> None:
        writing = client.afetch_to_file("/slow", format="ndjson", file_path=tmp_path / "out", paginate=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writing, 0.2)
        session.stop_running(5)

    asyncio.run(main())

    assert (tmp_path / "out").read_bytes() == b"old"
    assert 0 < len(api.seen) < 400
    assert not [each for each in tmp_path.iterdir() if each.name != "out"]
