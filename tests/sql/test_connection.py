"""connect(): DuckDB with everything installed, and what only our own connection can give."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pyarrow as pa
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table
from tests.sql.script import run_script


@pytest.fixture
def own(session: Session) -> Iterator[apikit_sql.Connection]:
    with apikit_sql.connect(session=session) as con:
        yield con


def test_a_table_by_name_is_a_scan(own: apikit_sql.Connection) -> None:
    assert own.execute("SELECT count(*) FROM 'demo:/products'").fetchall() == [(64,)]
    assert own.sql("SELECT count(*) FROM 'demo:/products'").fetchall() == [(64,)]
    assert own.sql(query="SELECT count(*) FROM 'demo:/products'").fetchall() == [(64,)]


def test_a_url_is_a_table_with_its_query_as_parameters(own: apikit_sql.Connection, api: FakeApi) -> None:
    api.routes["/items"] = Table([{"id": i, "kind": i % 2} for i in range(6)], filters={"kind": ("kind", "=")})

    rows = own.execute("SELECT id FROM 'https://api.test/items?kind=1' ORDER BY id").fetchall()

    assert rows == [(1,), (3,), (5,)]
    assert api.paths == ["/items?kind=1"]


def test_errors_are_the_packages_classes(own: apikit_sql.Connection, api: FakeApi) -> None:
    api.routes["/gone"] = httpx.Response(410, json={"message": "moved away"})

    with pytest.raises(apikit_sql.RequestError, match=r"GET /gone answered 410 \(moved away\)") as caught:
        own.execute("FROM 'https://api.test/gone'")

    assert caught.value.status == 410
    assert caught.value.url == "https://api.test/gone"


def test_an_error_in_the_middle_of_a_scan_is_the_packages_too(own: apikit_sql.Connection, api: FakeApi) -> None:
    api.routes["/items"] = Table([{"id": i if i < 15 else "x"} for i in range(20)], paging="next_url")

    with pytest.raises(apikit_sql.SchemaDriftError, match='page 2, record 6: id = "x" does not fit BIGINT'):
        own.execute("SELECT sum(id) FROM apikit('https://api.test', '/items')").fetchall()


def test_an_error_of_duckdb_stays_duckdbs(own: apikit_sql.Connection) -> None:
    with pytest.raises(duckdb.ParserException):
        own.execute("SELEC 1")
    with pytest.raises(duckdb.CatalogException):
        own.sql("FROM nowhere")


@pytest.mark.parametrize("wrong", ["params = {'a': 1}", "pages = 2", "timeout = 2.5"])
def test_a_comparison_where_an_option_was_meant_is_explained(own: apikit_sql.Connection, wrong: str) -> None:
    name = wrong.split(" ", 1)[0]

    with pytest.raises(apikit_sql.CallError, match=f"{name} := value"):
        own.execute(f"FROM apikit('demo', '/issues', {wrong})")


def test_python_variables_are_still_tables(own: apikit_sql.Connection) -> None:
    local = pa.table({"a": [1, 2]})

    assert own.execute("SELECT sum(a) FROM local").fetchall() == [(3,)]
    assert own.sql("SELECT sum(a) FROM local").fetchall() == [(3,)]
    assert local.num_rows == 2


def test_a_relation_can_be_refined_and_named_in_another_statement(own: apikit_sql.Connection) -> None:
    relation = own.sql("SELECT sku FROM 'demo:/products'")

    assert relation.filter("sku = 'SKU-007'").fetchall() == [("SKU-007",)]
    assert own.sql("SELECT count(*) FROM relation").fetchall() == [(64,)]


def test_a_cursor_has_everything_too(tmp_path: Path, session: Session) -> None:
    with apikit_sql.connect(tmp_path / "a.duckdb", session=session) as con:
        for cursor in (con.cursor(), con.duplicate()):
            assert isinstance(cursor, apikit_sql.Connection)
            assert cursor.execute("SELECT count(*) FROM 'demo:/products'").fetchall() == [(64,)]


def test_it_behaves_like_duckdbs_own(own: apikit_sql.Connection) -> None:
    assert own.execute("SELECT 1 AS a") is own
    assert own.fetchall() == [(1,)]
    assert "fetchall" in dir(own)
    assert own.execute("SELECT ? + ?", [1, 2]).fetchone() == (3,)
    own.close()
    with pytest.raises(duckdb.ConnectionException):
        own.execute("SELECT 1")


def test_interrupt_reaches_a_scan_that_waits(own: apikit_sql.Connection, api: FakeApi) -> None:
    waiting, release = threading.Event(), threading.Event()

    def hang(_: httpx.Request) -> httpx.Response:
        waiting.set()
        release.wait(20)
        return httpx.Response(200, json=[])

    api.routes["/slow"] = hang
    found: list[BaseException] = []

    def read() -> None:
        try:
            own.execute("FROM apikit('https://api.test', '/slow', columns := {id: 'BIGINT'})").fetchall()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            found.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(10)
    started = time.monotonic()

    own.interrupt()
    reader.join(10)
    release.set()

    assert time.monotonic() - started < 5
    assert [type(error) for error in found] in ([apikit_sql.ScanInterrupted], [duckdb.InterruptException])


def test_an_error_holds_neither_the_connection_nor_its_file(tmp_path: Path) -> None:
    script = f"""
        import gc, subprocess, sys
        import apikit_sql

        def fails():
            con = apikit_sql.connect({str(tmp_path / "a.duckdb")!r})
            try:
                con.execute("FROM apikit('nosuch', '/x')")
            except apikit_sql.ConnectorNotFoundError:
                pass

        fails()
        gc.collect()
        opens = "import duckdb; duckdb.connect({str(tmp_path / "a.duckdb")!r}).execute('CREATE TABLE t (i INT)')"
        print(subprocess.run([sys.executable, "-c", opens], check=False).returncode)
    """

    assert run_script(script, folder=tmp_path).stdout.split() == ["0"]


def test_ctrl_c_stops_a_scan_that_waits_and_is_a_keyboard_interrupt(tmp_path: Path) -> None:
    script = """
        import os, signal, socket, threading, time
        import apikit_sql

        silent = socket.create_server(("127.0.0.1", 0))
        con = apikit_sql.connect()
        threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        try:
            con.execute(f"FROM apikit('http://127.0.0.1:{silent.getsockname()[1]}', '/x', columns := {{id: 'BIGINT'}})")
            con.fetchall()
        except KeyboardInterrupt:
            print("stopped" if time.monotonic() - started < 6 else "late")
    """

    assert run_script(script, folder=tmp_path).stdout.split() == ["stopped"]
