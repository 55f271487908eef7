"""Pages of a real scan, written as they come: what the API has is what the file has."""

import json
from pathlib import Path
from threading import Event
from typing import Any

import duckdb
import pytest

from apikit_sql import RequestsSpentError, Session, get_writer
from apikit_sql.plan.call import call_of
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.pushdown import push_down
from apikit_sql.scan.dataset import columns_of
from tests.sql.demo_data import customers, issues


def download(format_: str, target: Path, path: str, **options: Any) -> None:
    """A table of the demo API into a file, a page at a time."""
    session, cancelled = Session(), Event()
    plan = plan_call(call_of({"connector": "demo", "path": path, **options}), session.connector("demo"))
    columns = columns_of(plan, session, cancelled)
    try:
        with (
            session.running(cancelled),
            session.pages(plan, push_down(plan, ()), cancelled) as scan,
            get_writer(format_).open(target, columns, record=scan.record) as write,
        ):
            for _, page in scan.pages:
                write(page)
    finally:
        session.close()


@pytest.mark.parametrize("format_", ["parquet", "csv", "ndjson", "json", "duckdb"])
def test_a_table_of_many_pages_is_whole(format_: str, tmp_path: Path) -> None:
    path = tmp_path / f"issues.{format_}"

    download(format_, path, "issues")

    with duckdb.connect() as con:
        table = f"'{path}'"
        if format_ == "duckdb":
            con.execute(f"ATTACH '{path}' AS file (READ_ONLY)")
            table = "file.data"
        author = "user__login" if format_ == "csv" else '"user".login'
        found = con.execute(f"SELECT number, title, state, {author} FROM {table}").fetchall()
    assert found == [(each["number"], each["title"], each["state"], each["user"]["login"]) for each in issues()]


def test_ndjson_has_the_records_as_they_came(tmp_path: Path) -> None:
    download("ndjson", tmp_path / "data", "customers")

    assert [json.loads(line) for line in (tmp_path / "data").read_text().splitlines()] == customers()


def test_a_scan_that_fails_on_its_way_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"old")

    with pytest.raises(RequestsSpentError):
        download("parquet", tmp_path / "data", "issues", max_requests=2)

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("data", b"old")]
