"""Connections, threads and the interpreter itself end in any order, and nothing crashes, hangs, locks or stays behind.

Scripts run in a Python of their own, so that a crash is seen as a signal. `APIKIT_DATABASES=100` in the environment is
the long form: so many databases must give their memory back, rather than twenty-five.
"""

import gc
import os
import subprocess
import time
import weakref
from pathlib import Path

import duckdb
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table
from tests.sql.script import run_script

pytestmark = pytest.mark.own_database

Con = duckdb.DuckDBPyConnection

DATABASES = int(os.environ.get("APIKIT_DATABASES", "25"))
COUNT = "SELECT count(*) FROM apikit('https://api.test', '/items')"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table([{"id": n} for n in range(25)], paging="link")})


def assert_clean(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, "")


def assert_no_crash(done: subprocess.CompletedProcess[str]) -> None:
    """DuckDB 2.0 may list what a thread still held at exit; that is all that may be said."""
    assert "Fatal" not in done.stderr
    assert "FATAL" not in done.stderr
    assert "Traceback" not in done.stderr


class TestClosing:
    #: A connection, its cursor and another connection; each order of their ends, and each way to end.
    ORDERS = """
        import gc, itertools, sys
        import duckdb, apikit_sql

        SCAN = "SELECT version FROM apikit('demo', 'status')"
        database, how = sys.argv[1:]
        for number, order in enumerate(itertools.permutations(range(3))):
            con = duckdb.connect(database.format(number))
            apikit_sql.install(con)
            living = {0: con, 1: con.cursor(), 2: duckdb.connect(database.format(number))}
            del con
            if not database.startswith(":memory:"):
                for each in living.values():
                    apikit_sql.install(each)
            for index in order:
                for each in living.values():
                    assert each.execute(SCAN).fetchall() == [("1.0",)]
                    assert each.sql(SCAN).fetchall() == [("1.0",)]
                each = None
                ending = living.pop(index, None)
                if ending is None:
                    continue
                if index == 0 and how != "collect":
                    living.pop(1, None)  # DuckDB closes a connection's cursors with it
                if how != "collect":
                    ending.close()
                if how != "close":
                    del ending
                    gc.collect()
        print("done")
    """

    @pytest.mark.parametrize("how", ["close", "collect", "close and collect"])
    @pytest.mark.parametrize("database", [":memory:db{}", "{}.db"])
    def test_connections_and_cursors_end_in_any_order(self, tmp_path: Path, database: str, how: str) -> None:
        done = run_script(self.ORDERS, database, how, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "done\n"

    def test_a_closed_connection_says_so(self, con: Con) -> None:
        con.execute(COUNT)
        con.close()

        with pytest.raises(duckdb.ConnectionException):
            con.execute(COUNT)

    def test_many_databases_open_and_close_beside_one_that_stays(self, con: Con, session: Session) -> None:
        for _ in range(12):
            other = duckdb.connect()
            apikit_sql.install(other, session=session)
            other.close()

        assert con.execute(COUNT).fetchall() == [(25,)]


class TestFileLocks:
    @pytest.mark.parametrize("how", ["con.close()", "del con"])
    def test_another_process_opens_the_file_afterwards(self, tmp_path: Path, how: str) -> None:
        # given every kind of statement, also those that bind and never scan
        script = f"""
            import gc, subprocess, sys
            import duckdb, apikit_sql

            def use(con, turn):
                source = "FROM apikit('demo', '/products')"
                match turn:
                    case 0: con.execute(source).fetchall()
                    case 1: con.execute("EXPLAIN " + source).fetchall()
                    case 2: con.sql(source).fetchall()
                    case 3: str(con.sql(source))
                    case 4: con.execute("CREATE VIEW v AS " + source)
                    case 5: con.execute(source).fetchone()
                    case 6:
                        try:
                            con.execute("SELECT nosuch " + source)
                        except duckdb.BinderException:
                            pass
                    case 7:
                        cursor = con.cursor()
                        apikit_sql.install(cursor)
                        cursor.execute(source).fetchall()
                        cursor.close()
                    case 8: con.execute("PREPARE q AS " + source)
                    case 9:
                        try:
                            con.execute("FROM apikit('demo', '/nowhere')")
                        except duckdb.Error:
                            pass

            opener = "import duckdb, sys; [duckdb.connect(f'{{n}}.db').close() for n in range(10)]"
            for turn in range(10):
                con = duckdb.connect(f"{{turn}}.db")
                apikit_sql.install(con)
                use(con, turn)
                {how}
                gc.collect()
            print(subprocess.run([sys.executable, "-c", opener], capture_output=True, text=True).stderr[-300:])
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout.strip() == ""

    def test_a_file_is_opened_again_with_another_configuration(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        con = duckdb.connect(file)
        apikit_sql.install(con, session=session)
        con.execute("EXPLAIN FROM apikit('https://api.test', '/items')").fetchall()
        con.close()

        with duckdb.connect(file, read_only=True) as again:
            apikit_sql.install(again, session=session)
            assert again.execute(COUNT).fetchall() == [(25,)]


#: An API in this very process whose pages never end: each takes argv[1] seconds, page argv[2] a minute.
ENDLESS = """
    import json, sys, threading, time, urllib.parse
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    import duckdb, apikit_sql

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            page = int(query.get("page", ["1"])[0])
            time.sleep(60 if page == int(sys.argv[2]) else float(sys.argv[1]))
            body = json.dumps([{"id": page}] * 3000).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Link", f'<http://127.0.0.1:{PORT}/items?page={page + 1}>; rel="next"')
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    PORT = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    con = duckdb.connect()
    apikit_sql.install(con)
"""


class TestLeavingTheInterpreter:
    @pytest.mark.parametrize("run", range(2))
    @pytest.mark.parametrize(
        ("pace", "stuck_at"), [(0.005, 0), (0.0, 3), (0.0, 1)], ids=["flowing", "stuck in a scan", "stuck in a bind"]
    )
    def test_a_scan_in_a_thread_does_not_keep_or_crash_it(
        self, tmp_path: Path, pace: float, stuck_at: int, run: int
    ) -> None:
        script = (
            ENDLESS
            + """
    def scan():
        try:
            con.cursor().execute(f"SELECT count(*) FROM apikit('http://127.0.0.1:{PORT}', '/items')").fetchall()
        except duckdb.Error:
            pass

    threading.Thread(target=scan, daemon=True).start()
    time.sleep(0.4)
    print("leaving")
    """
        )

        started = time.monotonic()
        done = run_script(script, pace, stuck_at, folder=tmp_path)

        assert (done.stdout, done.returncode) == ("leaving\n", 0)
        assert_no_crash(done)
        assert time.monotonic() - started < 10, run

    def test_a_result_read_in_part_does_not_keep_or_crash_it(self, tmp_path: Path) -> None:
        script = (
            ENDLESS
            + """
    reader = con.execute(f"SELECT id FROM apikit('http://127.0.0.1:{PORT}', '/items') LIMIT 20000")
    print(reader.fetchone())
    """
        )

        done = run_script(script, 0.005, 0, folder=tmp_path)

        assert (done.stdout, done.returncode) == ("(1,)\n", 0)
        assert_no_crash(done)

    @pytest.mark.parametrize(
        "statements",
        [
            """con.sql("FROM apikit('demo', 'products')").show()""",
            """relation = con.sql("FROM apikit('demo', '/products')"); relation.show(); relation.show()""",
            """con.execute("EXPLAIN FROM apikit('demo', '/products')").fetchall()""",
            """con.execute("PREPARE q AS FROM apikit('demo', '/products')")""",
            """con.execute("CREATE VIEW v AS FROM apikit('demo', '/products')")""",
            """reader = con.execute("FROM apikit('demo', '/issues')").fetchone()""",
            """cursors = [con.cursor() for _ in range(3)]; cursors[1].sql("FROM apikit('demo', 'status')").show()""",
            """
try:
    con.execute("FROM apikit('demo', '/nowhere')")
except duckdb.Error:
    pass
""",
            """
try:
    con.execute("SELECT nosuch FROM apikit('demo', '/products')")
except duckdb.Error:
    pass
""",
            """
try:
    con.execute("FROM apikit('demo', '/issues', types := {body: 'BIGINT'})").fetchall()
except duckdb.Error:
    pass
""",
        ],
        ids=[
            "a relation shown",
            "a relation kept",
            "explained",
            "prepared",
            "a view",
            "read in part",
            "cursors kept",
            "refused by the API",
            "refused by DuckDB",
            "failed in the stream",
        ],
    )
    def test_a_plain_script_says_nothing_on_stderr(self, tmp_path: Path, statements: str) -> None:
        # given a script that never closes what it opened
        script = f"import duckdb, apikit_sql\ncon = duckdb.connect()\napikit_sql.install(con)\n{statements}\n"

        assert_clean(run_script(script, folder=tmp_path))


class TestDefaultConnection:
    def test_the_default_connection_has_apikit(self, tmp_path: Path) -> None:
        script = """
            import gc
            import duckdb, apikit_sql

            apikit_sql.install(duckdb.default_connection())
            gc.collect()
            print(duckdb.sql("SELECT count(*) FROM apikit('demo', 'products')").fetchall())
            print(duckdb.execute("SELECT count(*) FROM apikit('demo', '/products')").fetchall())
            print(duckdb.cursor().execute("SELECT count(*) FROM apikit('demo', 'products')").fetchall())
            apikit_sql.install(duckdb.default_connection())
            print(duckdb.query("SELECT count(*) FROM apikit('demo', 'products')").fetchall())
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "[(64,)]\n" * 4

    def test_another_connection_works_beside_the_default_one(self, tmp_path: Path) -> None:
        script = """
            import duckdb, apikit_sql

            apikit_sql.install(duckdb.default_connection())
            con = duckdb.connect()
            apikit_sql.install(con)
            print(con.execute("SELECT count(*) FROM apikit('demo', '/products')").fetchall())
            print(duckdb.sql("SELECT count(*) FROM apikit('demo', '/products')").fetchall())
            con.close()
            print(duckdb.sql("SELECT count(*) FROM apikit('demo', '/products')").fetchall())
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "[(64,)]\n" * 3

    def test_a_default_connection_that_was_replaced_is_read_still(self, tmp_path: Path) -> None:
        script = """
            import duckdb, apikit_sql

            first = duckdb.default_connection()
            apikit_sql.install(first)
            duckdb.set_default_connection(duckdb.connect())
            print(first.execute("SELECT count(*) FROM apikit('demo', '/products')").fetchall())
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "[(64,)]\n"


class TestForks:
    def test_a_forked_child_has_a_session_of_its_own(self, tmp_path: Path) -> None:
        script = """
            import os
            import duckdb, apikit_sql

            def count():
                con = duckdb.connect(config={"threads": 1})
                apikit_sql.install(con)
                found = con.execute("SELECT count(*) FROM apikit('demo', '/products')").fetchall()
                con.close()
                return found

            assert count() == [(64,)]
            child = os.fork()
            if child == 0:
                os._exit(0 if count() == [(64,)] else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count())
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "0 [(64,)]\n"

    def test_a_child_is_told_that_a_connection_is_its_parents(self, tmp_path: Path) -> None:
        script = """
            import os
            import duckdb, apikit_sql

            con = duckdb.connect(config={"threads": 1})
            apikit_sql.install(con)
            COUNT = "SELECT count(*) FROM apikit('demo', '/products')"
            assert con.execute(COUNT).fetchall() == [(64,)]
            child = os.fork()
            if child == 0:
                try:
                    con.execute(COUNT)
                except duckdb.InvalidInputException as error:
                    os._exit(0 if "Open one of your own in the child" in str(error) else 1)
                os._exit(2)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), con.execute(COUNT).fetchall())
        """

        done = run_script(script, folder=tmp_path)

        assert_clean(done)
        assert done.stdout == "0 [(64,)]\n"

    def test_a_child_installs_though_a_thread_of_its_parent_was_installing(self, tmp_path: Path) -> None:
        script = """
            import os, threading
            import duckdb, apikit_sql

            def install():
                con = duckdb.connect(config={"threads": 1})
                apikit_sql.install(con)
                con.close()

            install()
            ending = threading.Event()

            def installing():
                while not ending.is_set():
                    install()

            thread = threading.Thread(target=installing)
            thread.start()
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    from apikit_sql.sql.install import _LOCK
                    os._exit(0 if _LOCK.acquire(timeout=5) else 1)
                assert os.waitpid(child, 0)[1] == 0
            ending.set()
            thread.join()
        """

        assert_clean(run_script(script, folder=tmp_path))


class TestWhatStaysBehind:
    def ours(self) -> list[str]:
        return [name for name in globals() if name.startswith("__apikit_")]

    @pytest.fixture(autouse=True)
    def _no_names_of_other_tests(self) -> None:
        for name in self.ours():
            del globals()[name]

    def test_no_name_of_ours_after_a_statement_was_executed(self, con: Con) -> None:
        con.execute(COUNT).fetchall()
        con.execute(
            "SELECT count(*) FROM apikit('https://api.test', '/items') a, apikit('https://api.test', '/items') b"
        )

        assert self.ours() == []

    def test_no_name_of_ours_after_a_relation_was_fetched(self, con: Con) -> None:
        con.sql(COUNT).fetchall()

        assert self.ours() == []

    def test_few_names_of_ours_after_many_binds(self, con: Con) -> None:
        for _ in range(60):
            con.execute("EXPLAIN FROM apikit('https://api.test', '/items')").fetchall()

        assert len(self.ours()) <= 20

    @pytest.mark.parametrize("prefix", ["", "EXPLAIN "])
    def test_deleted_databases_are_freed(self, session: Session, prefix: str) -> None:
        freed: list[weakref.ref[Con]] = []

        def use() -> None:  # a frame of its own: DuckDB 1.x looks for variables in it, which keeps them until it ends
            con = duckdb.connect(config={"threads": 1})
            apikit_sql.install(con, session=session)
            con.execute(prefix + COUNT).fetchall()
            freed.append(weakref.ref(con))

        for _ in range(20):  # more than a thread's names are remembered for
            use()
        gc.collect()

        assert [reference for reference in freed if reference() is not None] == []

    def test_a_database_is_freed_after_an_error_of_the_api(self, session: Session) -> None:
        freed: list[weakref.ref[Con]] = []

        def use() -> None:
            con = duckdb.connect(config={"threads": 1})
            apikit_sql.install(con, session=session)
            with pytest.raises(duckdb.InvalidInputException, match="404"):
                con.execute("FROM apikit('https://api.test', '/nowhere')")
            freed.append(weakref.ref(con))

        use()
        gc.collect()

        assert freed[0]() is None

    @pytest.mark.parametrize("prefix", ["", "EXPLAIN "])
    def test_many_databases_give_their_memory_back(self, tmp_path: Path, prefix: str) -> None:
        # given databases of five megabytes each
        script = """
            import gc, sys
            import duckdb, apikit_sql

            def resident():
                with open("/proc/self/statm") as file:
                    return int(file.read().split()[1]) * 4096 / 2**20

            def use():
                con = duckdb.connect(config={"threads": 1})
                apikit_sql.install(con)
                con.execute("CREATE TABLE t AS SELECT random() AS a, random() AS b FROM range(320_000)")
                con.execute(sys.argv[1] + "SELECT version FROM apikit('demo', 'status')").fetchall()

            for _ in range(10):
                use()
            gc.collect()
            before = resident()
            for _ in range(int(sys.argv[2])):
                use()
            gc.collect()
            print(round(resident() - before))
        """

        done = run_script(script, prefix, DATABASES, folder=tmp_path)

        assert_clean(done)
        assert int(done.stdout) < 15
