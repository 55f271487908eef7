"""apikit_inspect() on real servers: the pagination found, and what is suggested gives the rows of their own stores."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from tests.servers.conftest import DATASETTE, JSON_SERVER_0, JSON_SERVER_1

pytestmark = [
    pytest.mark.servers,
    pytest.mark.filterwarnings("ignore:.*no sign of further pages:apikit_sql.ApikitWarning"),
]

Con = duckdb.DuckDBPyConnection
Truth = Callable[[str], tuple[Any, ...]]
Records = dict[str, list[dict[str, Any]]]

#: What json-server is asked: by version, with parameters, the strategy that it gives evidence of, and what told it.
TELLING = [
    (JSON_SERVER_0, "{_page: 1, _limit: 30}", "link", 'Link header with rel="next"'),
    (JSON_SERVER_0, "{_start: 0, _limit: 30}", "offset", "x-total-count = {total} and the parameter _start"),
    (JSON_SERVER_1, "{_page: 1, _per_page: 30}", "page", "pages = {pages} and the parameter _page"),
]
#: What gives none: all records at once.
SILENT = [(JSON_SERVER_0, "NULL"), (JSON_SERVER_1, "NULL")]


def inspected(con: Con, connector: str, path: str, params: str) -> dict[str, Any]:
    cursor = con.execute(f"FROM apikit_inspect('{connector}', '{path}', params := {params})")
    names = [column[0] for column in cursor.description or []]
    (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))


def read_both(con: Con, found: dict[str, Any], folder: Path, wanted: str) -> tuple[Any, ...]:
    """What `wanted` is of the rows that the statement and the manifest give, which are the same."""
    data = tomllib.loads(found["manifest"])
    file = folder / f"{data['name']}.toml"
    file.write_text(found["manifest"])
    assert apikit_sql.lint(file) == []
    apikit_sql.install(con, connectors=[file])
    (stream,) = data["streams"]
    (by_manifest,) = con.execute(f"SELECT {wanted} FROM apikit('{data['name']}', '{stream}')").fetchall()
    (by_statement,) = con.execute(f"SELECT {wanted} {found['sql'].removesuffix(';')}").fetchall()
    assert by_manifest == by_statement
    return tuple(by_manifest)


def test_every_row_of_datasette_is_read_by_what_is_suggested(con: Con, truth: Truth, tmp_path: Path) -> None:
    found = inspected(con, DATASETTE, "/nyc/planes.json", "{_size: 1000, _shape: 'objects'}")

    assert (found["status"], found["strategy"], found["evidence"]) == (200, "link", 'Link header with rel="next"')
    assert (found["record_count"], found["record_path"]) == (1000, "rows")
    assert read_both(con, found, tmp_path, "count(*), sum(seats)") == truth("SELECT count(*), sum(seats) FROM planes")


def test_a_table_of_datasette_in_one_page_has_no_further_one(con: Con, truth: Truth, tmp_path: Path) -> None:
    found = inspected(con, DATASETTE, "/nyc/planes.json", "{_shape: 'objects', manufacturer__exact: 'CESSNA'}")

    assert found["strategy"] == "none"
    assert found["evidence"].startswith("the API says that this is all: ")
    expected = truth("SELECT count(*), sum(seats) FROM planes WHERE manufacturer = 'CESSNA'")
    assert read_both(con, found, tmp_path, "count(*), sum(seats)") == expected


@pytest.mark.parametrize("collection", ["posts", "comments", "photos"])
@pytest.mark.parametrize(("server", "params", "strategy", "evidence"), TELLING)
def test_json_server_tells_how_it_pages(  # noqa: PLR0917 - pytest names them
    con: Con,
    records: Records,
    tmp_path: Path,
    server: str,
    params: str,
    strategy: str,
    evidence: str,
    collection: str,
) -> None:
    known = records[collection]

    found = inspected(con, server, f"/{collection}", params)

    told = evidence.format(total=len(known), pages=-(-len(known) // 30))
    assert (found["strategy"], found["evidence"], found["record_count"]) == (strategy, told, min(30, len(known)))
    expected = len(known), sum(record["id"] for record in known)
    assert read_both(con, found, tmp_path, "count(*), sum(CAST(id AS BIGINT))") == expected


@pytest.mark.parametrize("collection", ["posts", "comments", "photos"])
@pytest.mark.parametrize(("server", "params"), SILENT)
def test_without_parameters_json_server_tells_nothing_and_gives_all(  # noqa: PLR0917 - pytest names them
    con: Con, records: Records, tmp_path: Path, server: str, params: str, collection: str
) -> None:
    known = records[collection]

    found = inspected(con, server, f"/{collection}", params)

    assert (found["strategy"], found["record_count"]) == ("none", len(known))
    assert found["evidence"].startswith("no Link header, next URL, cursor, has_more or total")
    expected = len(known), sum(record["id"] for record in known)
    assert read_both(con, found, tmp_path, "count(*), sum(CAST(id AS BIGINT))") == expected


def test_what_is_not_there_is_a_row_with_its_status(con: Con) -> None:
    for server, path in ((DATASETTE, "/nyc/nothing.json"), (JSON_SERVER_0, "/nothing"), (JSON_SERVER_1, "/nothing")):
        found = inspected(con, server, path, "NULL")

        assert found["status"] == 404
        assert "answered 404" in found["error"]
        assert found["manifest"] is None


def test_a_page_for_people_is_told_as_one(con: Con) -> None:
    found = inspected(con, DATASETTE, "/nyc", "NULL")

    assert found["status"] == 200
    assert "(text/html; charset=utf-8)" in found["error"]
