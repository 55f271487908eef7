"""apikit_get() and apikit_fetch(): for each row one response, or all records of all pages; equal calls once."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

API = "'https://api.test'"
BOTH = pytest.mark.parametrize("function", ["apikit_get", "apikit_fetch"])
ODD: dict[str, Any] = {"id": 2**70, "name": '東京 "⚠️"', "deep": {"a": [1, None, {"b": 0.1}]}, "none": None}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            "/users/7": httpx.Response(200, json=ODD),
            "/numbers": httpx.Response(200, json=[1, 2.5, "x", None]),
            "/count": httpx.Response(200, json=42),
            "/text": httpx.Response(200, json="ready"),
            "/null": httpx.Response(200, text="null"),
            "/nothing": httpx.Response(204),
            "/marked": httpx.Response(200, content=b'\xef\xbb\xbf{"a": 1}\n'),
            "/told": httpx.Response(200, json={"error": "odd", "code": 7}),
            "/items": Table([{"id": n} for n in range(25)], paging="link"),
            "/one": Table([{"id": 1}], paging="link"),
            "/gone": httpx.Response(404, json={"message": "no such thing"}),
            "/html": httpx.Response(200, text="<html>", headers={"content-type": "text/html"}),
            "/nan": httpx.Response(200, text='{"a": NaN}'),
            "/empty": httpx.Response(200),
            "/cut": httpx.Response(200, text='[{"a": 1}, {"a": '),
            "/bytes": httpx.Response(200, content=b'[{"a": "\xff"}]'),
        }
    )


def parsed(rows: Rows, sql: str) -> Any:
    ((text,),) = rows(f"SELECT {sql}")
    return None if text is None else json.loads(text) if isinstance(text, str) else [json.loads(each) for each in text]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/users/7", ODD),
        ("/numbers", [1, 2.5, "x", None]),
        ("/count", 42),
        ("/text", "ready"),
        ("/null", None),
        ("/nothing", None),
        ("/marked", {"a": 1}),
        ("/told", {"error": "odd", "code": 7}),
    ],
)
def test_a_body_is_whatever_json_the_api_answers(rows: Rows, path: str, body: object) -> None:
    assert parsed(rows, f"apikit_get({API}, '{path}')") == body


def test_only_the_first_page_is_the_response(rows: Rows, api: FakeApi) -> None:
    assert parsed(rows, f"apikit_get({API}, '/items')") == [{"id": n} for n in range(10)]
    assert api.paths == ["/items"]


def test_all_records_of_all_pages_are_a_list(rows: Rows, api: FakeApi) -> None:
    assert parsed(rows, f"apikit_fetch({API}, '/items')") == [{"id": n} for n in range(25)]
    assert api.paths == ["/items", "/items?page=2", "/items?page=3"]


def test_a_record_is_handed_on_as_it_is(rows: Rows) -> None:
    assert parsed(rows, f"apikit_fetch({API}, '/users/7')") == [ODD]


@pytest.mark.parametrize("path", ["/nothing", "/null"])
def test_no_record_is_an_empty_list(rows: Rows, path: str) -> None:
    assert rows(f"SELECT apikit_fetch({API}, '{path}')") == [([],)]


@BOTH
def test_the_type_is_json(rows: Rows, function: str) -> None:
    kind = "JSON" if function == "apikit_get" else "JSON[]"

    assert rows(f"SELECT typeof({function}({API}, '/items'))") == [(kind,)]


@BOTH
def test_equal_calls_are_asked_once(rows: Rows, api: FakeApi, function: str) -> None:
    found = rows(f"SELECT {function}({API}, '/one', params := {{n: i % 3}}) FROM range(100) t(i)")

    assert len(found) == 100
    assert sorted(api.paths) == ["/one?n=0", "/one?n=1", "/one?n=2"]


@BOTH
def test_each_row_has_the_answer_to_its_own_call(rows: Rows, api: FakeApi, function: str) -> None:
    api.routes["/echo"] = lambda request: httpx.Response(200, json={"n": int(request.url.params["n"])})

    found = rows(f"SELECT i, {function}({API}, '/echo', params := {{n: i}}) FROM range(300) t(i)")

    assert [json.loads(body if isinstance(body, str) else body[0])["n"] for _, body in found] == [n for n, _ in found]


@BOTH
@pytest.mark.parametrize(
    "arguments",
    ["NULL, '/one'", f"{API}, NULL", f"{API}, '/{{id}}', path_params := {{id: NULL}}", "NULL, NULL"],
)
def test_of_null_nothing_is_asked(rows: Rows, api: FakeApi, function: str, arguments: str) -> None:
    assert rows(f"SELECT {function}({arguments})") == [(None,)]
    assert api.seen == []


@BOTH
def test_a_parameter_that_is_null_is_left_out(rows: Rows, api: FakeApi, function: str) -> None:
    rows(f"SELECT {function}({API}, '/one', params := {{n: NULL, m: 1}})")

    assert api.paths == ["/one?m=1"]


@BOTH
def test_a_path_is_filled_from_the_row_and_encoded(rows: Rows, api: FakeApi, function: str) -> None:
    api.routes["/f/a/b ü"] = api.routes["/one"]

    rows(f"SELECT {function}({API}, '/f/{{name}}', path_params := {{name: n}}) FROM (VALUES ('a/b ü')) t(n)")

    assert api.paths == ["/f/a%2Fb%20%C3%BC"]


def test_a_stream_can_be_named_and_brings_what_its_manifest_says(rows: Rows, api: FakeApi) -> None:
    api.routes["/repos/a/b/issues"] = Table([{"id": n} for n in range(3)], page_size=2, paging="link")
    named = "'github', 'issues', path_params := {owner: 'a', repo: 'b'}"

    found = [parsed(rows, f"{function}({named})") for function in ("apikit_get", "apikit_fetch")]

    assert found == [[{"id": 0}, {"id": 1}], [{"id": 0}, {"id": 1}, {"id": 2}]]
    assert {request.url.host for request in api.seen} == {"api.github.com"}
    assert {request.url.params["state"] for request in api.seen} == {"all"}


@BOTH
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", "api.test: GET /gone answered 404 (no such thing)"),
        ("/html", "api.test: GET /html answered 200 (text/html)"),
        ("/nan", "the body is not JSON"),
        ("/cut", "the body is not JSON"),
        ("/empty", "the body is empty"),
        ("/bytes", "not JSON"),
        ("/../x", "'..'"),
        ("/one?x=1", "params"),
    ],
)
def test_what_fails_is_told(rows: Rows, function: str, path: str, message: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        rows(f"SELECT {function}({API}, '{path}')")

    assert message in str(caught.value)


@BOTH
def test_one_call_that_fails_ends_the_statement(rows: Rows, function: str) -> None:
    with pytest.raises(duckdb.Error, match="/gone answered 404"):
        rows(f"SELECT {function}({API}, p) FROM (VALUES ('/one'), ('/gone'), ('/users/7')) t(p)")


@BOTH
def test_what_cannot_be_planned_is_refused_before_anything_is_sent(rows: Rows, api: FakeApi, function: str) -> None:
    with pytest.raises(duckdb.Error, match="no connector"):
        rows(f"SELECT {function}(c, '/one') FROM (VALUES ({API}), ('nosuch')) t(c)")

    assert api.seen == []


@BOTH
def test_secrets_do_not_stand_in_sql(rows: Rows, api: FakeApi, function: str) -> None:
    with pytest.raises(duckdb.Error, match="carries a credential, which SQL must not"):
        rows(f"SELECT {function}({API}, '/one', params := {{api_key: 's3cr3t'}})")

    assert api.seen == []


@BOTH
@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT {call}",
        "SELECT count(*) FROM (SELECT {call} FROM range(10))",
        "SELECT CASE WHEN i < 0 THEN {call} END FROM range(10) t(i)",
        "SELECT {call} FROM range(10) LIMIT 0",
        "CREATE VIEW v AS SELECT {call}",
        "PREPARE p AS SELECT {call}",
    ],
)
def test_nothing_is_asked_where_no_row_needs_it(con: Con, api: FakeApi, function: str, sql: str) -> None:
    con.execute(sql.format(call=f"{function}({API}, '/one')"))

    assert api.seen == []


def test_as_many_are_under_way_at_once_as_the_connector_allows(con: Con, api: FakeApi) -> None:
    """Eight are let in together, and the ninth only when one of them is through."""
    met, at_once, under_way, lock = threading.Barrier(8), [0], [0], threading.Lock()

    def answer(_: httpx.Request) -> httpx.Response:
        with lock:
            under_way[0] += 1
            at_once[0] = max(at_once[0], under_way[0])
        met.wait(timeout=10)
        with lock:
            under_way[0] -= 1
        return httpx.Response(200, json={})

    api.routes["/slow"] = answer

    con.execute(f"SELECT apikit_get({API}, '/slow', params := {{n: i}}) FROM range(16) t(i)").fetchall()

    assert at_once == [8]
    assert len(api.seen) == 16


@BOTH
def test_max_requests_of_the_installer_bounds_the_calls_of_a_vector(
    con: Con, session: Session, api: FakeApi, function: str
) -> None:
    apikit_sql.install(con, session=session, max_requests=3)

    with pytest.raises(duckdb.Error, match="max_requests = 3 are sent"):
        con.execute(f"SELECT {function}({API}, '/one', params := {{n: i}}) FROM range(50) t(i)").fetchall()

    assert len(api.seen) == 3


@BOTH
def test_they_stand_among_the_scans(rows: Rows, function: str) -> None:
    rows(f"SELECT {function}({API}, '/one', params := {{n: i}}) FROM range(4) t(i)")

    assert rows("SELECT path, state, trips, pages, requests FROM apikit_scans()") == [("/one", "done", 4, 4, 4)]


@BOTH
def test_a_failure_stands_among_the_scans_and_is_the_last_error(rows: Rows, function: str) -> None:
    with pytest.raises(duckdb.Error):
        rows(f"SELECT {function}({API}, '/gone')")

    assert rows("SELECT state FROM apikit_scans()") == [("failed",)]
    assert rows("SELECT error, status, url FROM apikit_last_error()") == [
        ("RequestError", 404, "https://api.test/gone")
    ]


@pytest.fixture
def two_files(tmp_path_factory: pytest.TempPathFactory, session: Session) -> Iterator[Con]:
    with duckdb.connect(tmp_path_factory.mktemp("db") / "a.duckdb") as con:
        apikit_sql.install(con, session=session)
        yield con


def test_a_cursor_of_a_file_needs_its_own_install_and_writes_nothing(two_files: Con, session: Session) -> None:
    cursor = two_files.cursor()
    apikit_sql.install(cursor, session=session)

    assert cursor.execute(f"SELECT apikit_get({API}, '/count')::INTEGER").fetchall() == [(42,)]
    stored = two_files.execute("SELECT count(*) FROM duckdb_functions() WHERE database_name = 'a' AND NOT internal")
    assert stored.fetchall() == [(0,)]
