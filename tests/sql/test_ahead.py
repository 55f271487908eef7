"""Pages fetched ahead, eight at once, while DuckDB stops, fails or goes away: nothing of them stays behind."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.sql.seam import HAS_READABLE_RELATIONS
from tests.benchmarks.bodies import Api
from tests.benchmarks.server import running
from tests.sql.script import run_script

Con = duckdb.DuckDBPyConnection

SOON = 5.0  # seconds: what happens at all happens long before
A_PAGE = 100  # records

#: An API whose failures are tried again at once.
MANIFEST = """
name = "shop"
base_url = "https://shop.test"
retry = { max_attempts = 2, min_wait = 0.01, max_wait = 0.02, jitter = 0 }
[streams.items]
path = "/items"
columns = { id = "BIGINT", name = "VARCHAR" }
[streams.items.pagination]
strategy = "offset"
offset_param = "offset"
total_path = "total"
"""
ITEMS = "apikit('shop', 'items', concurrency := 8)"


class Shop:
    """An API of a hundred million items, a hundred a page; `trouble` is what a page answers instead.

    It lets its first requests wait for others beside them.
    """

    def __init__(self) -> None:
        self.trouble: dict[int, httpx.Response] = {}
        self.pages = self.under_way = self.most_at_once = 0
        self._changed = threading.Condition()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._changed:
            self.pages += 1
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
            self._changed.notify_all()
            if 8 < self.pages < 17:
                self._changed.wait_for(lambda: self.most_at_once > 4, timeout=1)
        time.sleep(0.002)
        with self._changed:
            self.under_way -= 1
        start = int(request.url.params["offset"])
        items = [{"id": n, "name": f"item {n}"} for n in range(start, start + A_PAGE)]
        answer = {"items": items, "total": 100_000_000}
        return self.trouble.get(1 + start // A_PAGE) or httpx.Response(200, json=answer)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def session(shop: Shop, tmp_path: Path) -> Iterator[Session]:
    (tmp_path / "shop.toml").write_text(MANIFEST, encoding="utf-8")
    registry = ConnectorRegistry()
    registry.add_file(tmp_path / "shop.toml")
    session = Session(connectors=registry, transport=httpx.MockTransport(shop))
    yield session
    session.close()


@pytest.fixture(autouse=True)
def _no_thread_stays_behind() -> Iterator[None]:
    yield
    assert eventually(lambda: workers() == [])


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "apikit-pages"]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return held


def assert_all_has_stopped(shop: Shop) -> None:
    assert shop.most_at_once > 4  # else it was no scan that fetched ahead
    assert eventually(lambda: workers() == [])
    asked = shop.pages
    time.sleep(0.05)
    assert (shop.pages, shop.under_way) == (asked, 0)


def slow_reader(session: Session) -> Con:
    """A connection for which DuckDB reads 20 KB before it hands on a row, and no more after that."""
    con = duckdb.connect()
    apikit_sql.install(con, session=session)
    con.execute("SET streaming_buffer_size = '20KB'")
    return con


_COLLECTED = pytest.param(
    "collect",
    marks=pytest.mark.skipif(
        not HAS_READABLE_RELATIONS, reason="DuckDB 1.x waits for a scan with the interpreter's lock held, and hangs"
    ),
)


class TestAReaderWhoGoesAway:
    def test_a_limit_has_its_rows_and_stops_the_requests(self, con: Con, shop: Shop) -> None:
        found = con.execute(f"SELECT id FROM {ITEMS} LIMIT 5000").fetchall()

        assert found == [(n,) for n in range(5000)]
        assert_all_has_stopped(shop)
        assert shop.pages < 5000 // A_PAGE + 60

    @pytest.mark.parametrize("ending", ["another statement", "close", _COLLECTED])
    def test_a_result_read_in_part_stops_the_requests(self, session: Session, shop: Shop, ending: str) -> None:
        left = []

        def read() -> None:  # a frame of its own: DuckDB 1.x looks for variables in it, which keeps them until it ends
            reader = slow_reader(session)
            assert reader.execute(f"SELECT id FROM {ITEMS}").fetchmany(3000)[-1] == (2999,)
            assert workers() != []
            match ending:
                case "another statement":
                    left.append(reader.execute("SELECT 1"))
                case "close":
                    reader.close()

        read()
        gc.collect()

        assert_all_has_stopped(shop)


#: Statements that would keep what they read, and the file that a COPY writes.
KEEPING = {
    "create": f"CREATE TABLE kept AS FROM {ITEMS}",
    "insert": f"INSERT INTO old FROM {ITEMS}",
    "copy": f"COPY (FROM {ITEMS}) TO '{{file}}' (FORMAT parquet)",
}


def assert_nothing_was_kept(con: Con | apikit_sql.Connection, file: Path) -> None:
    assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("old",)]
    assert con.execute("FROM old").fetchall() == [(-1, "old")]
    if HAS_READABLE_RELATIONS:  # before 2.0 DuckDB leaves a file without its end
        assert not file.exists()


class TestAnErrorInTheMiddle:
    @pytest.mark.parametrize("statement", sorted(KEEPING))
    @pytest.mark.parametrize(
        ("trouble", "kind", "words"),
        [
            (httpx.Response(500, json={}), apikit_sql.RequestError, "GET /items answered 500"),
            (
                httpx.Response(200, json={"items": [{"id": 1}, {"id": 2.5}], "total": 100_000_000}),
                apikit_sql.SchemaDriftError,
                "page 20, record 2: id = 2.5 does not fit BIGINT",
            ),
        ],
        ids=["500", "drift"],
    )
    def test_it_leaves_neither_rows_nor_threads(  # noqa: PLR0917 - fixtures and parameters, given by name
        self,
        shop: Shop,
        session: Session,
        tmp_path: Path,
        statement: str,
        trouble: httpx.Response,
        kind: type[Exception],
        words: str,
    ) -> None:
        shop.trouble[20] = trouble
        file = tmp_path / "kept.parquet"

        with apikit_sql.connect(session=session) as con:
            con.execute("CREATE TABLE old AS SELECT -1::BIGINT AS id, 'old' AS name")
            with pytest.raises(kind, match=words):
                con.execute(KEEPING[statement].format(file=file))

            assert_nothing_was_kept(con, file)
        assert_all_has_stopped(shop)

    def test_the_rows_before_it_are_still_read_where_no_more_are_wanted(self, con: Con, shop: Shop) -> None:
        shop.trouble[20] = httpx.Response(500, json={})

        found = con.execute(f"SELECT count(*), sum(id) FROM (FROM {ITEMS} LIMIT 300)").fetchall()

        assert found == [(300, sum(range(300)))]


class TestInterrupt:
    @pytest.mark.parametrize("statement", ["select", *sorted(KEEPING)])
    def test_it_stops_the_scan_and_keeps_nothing(
        self, shop: Shop, session: Session, tmp_path: Path, statement: str
    ) -> None:
        # given a statement that has read some pages
        file = tmp_path / "kept.parquet"
        found: list[BaseException] = []
        with apikit_sql.connect(session=session) as con:
            con.execute("CREATE TABLE old AS SELECT -1::BIGINT AS id, 'old' AS name")

            def run() -> None:
                try:
                    con.execute({**KEEPING, "select": f"SELECT sum(id) FROM {ITEMS}"}[statement].format(file=file))
                except BaseException as error:  # noqa: BLE001 - the test looks at it
                    found.append(error)

            reader = threading.Thread(target=run)
            reader.start()
            assert eventually(lambda: shop.pages > 50)

            # when it is interrupted
            con.interrupt()
            reader.join(SOON)

            # then it has ended, nothing is kept, and the connection goes on
            assert not reader.is_alive()
            assert [type(error) for error in found] in ([apikit_sql.ScanInterrupted], [duckdb.InterruptException])
            assert_nothing_was_kept(con, file)
            assert con.execute(f"SELECT count(*) FROM (FROM {ITEMS} LIMIT 7)").fetchall() == [(7,)]
        assert_all_has_stopped(shop)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of a million pages in a process of its own: the descriptors of this one are the client's."""
    with running() as origin:
        yield origin + Api("narrow", pages=1_000_000, milliseconds=1).path


class TestSockets:
    KEPT_ALIVE = 32  # connections of the client's pool

    @staticmethod
    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    @pytest.fixture
    def network(self) -> Iterator[Session]:
        session = Session(connectors=ConnectorRegistry())
        yield session
        session.close()

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
    def test_sixty_abandoned_limits_leave_no_thread_and_no_descriptor(self, server: str, network: Session) -> None:
        # given a client with its connections open
        source = f"apikit('{server}', '/items', columns := {{id: 'BIGINT'}}, concurrency := 8, max_pages := 1000000)"
        with duckdb.connect() as con:
            apikit_sql.install(con, session=network)
            con.execute(f"FROM {source} LIMIT 5000").fetchall()
            assert eventually(lambda: workers() == [])
            network.close()
            threads, files = threading.active_count(), self.open_files()

            # when many scans are left in the middle
            for turn in range(60):
                found = con.execute(f"SELECT count(*), sum(id) FROM (FROM {source} LIMIT {3000 + turn})").fetchall()
                assert found == [(3000 + turn, sum(range(3000 + turn)))]

            # then no thread stays, nor a socket beyond the pool, nor any once the session is closed
            assert eventually(lambda: workers() == [])
            assert threading.active_count() <= threads
            assert self.open_files() <= files + self.KEPT_ALIVE
            network.close()
            assert self.open_files() <= files

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
    @pytest.mark.parametrize("ending", ["limit", "drift", "close"])
    def test_a_closed_session_has_no_socket_left(self, server: str, network: Session, ending: str) -> None:
        kind = "BOOLEAN" if ending == "drift" else "BIGINT"
        source = f"apikit('{server}', '/items', columns := {{id: '{kind}'}}, concurrency := 8, max_pages := 1000000)"
        with slow_reader(network) as reader:
            reader.execute(f"FROM {source.replace(kind, 'JSON')} LIMIT 5").fetchall()
            network.close()
            assert eventually(lambda: workers() == [])
            files = self.open_files()

            match ending:
                case "limit":
                    reader.execute(f"FROM {source} LIMIT 20000").fetchmany(5000)
                    reader.execute("SELECT 1")
                case "drift":
                    with pytest.raises(duckdb.InvalidInputException, match="does not fit BOOLEAN"):
                        reader.execute(f"FROM {source}")
                case _:
                    reader.execute(f"FROM {source}").fetchmany(5000)
                    reader.close()

            assert eventually(lambda: workers() == [])
            network.close()
            assert self.open_files() <= files


#: An API in this very process: every team has pages without end, each after argv[1] seconds. A thread reads 8 teams.
FAN_OUT = """
    import json, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from urllib.parse import parse_qs, urlsplit
    import duckdb, apikit_sql

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            path, query = urlsplit(self.path)[2], parse_qs(urlsplit(self.path)[3])
            page = int(query.get("page", ["1"])[0])
            pages = 3 if path < "/team4" else 100000
            time.sleep(float(sys.argv[1]))
            body = json.dumps([{"id": page}] * 100).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if page < pages:
                self.send_header("Link", f'<{path}?page={page + 1}>; rel="next", <{path}?page={pages}>; rel="last"')
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    session = apikit_sql.Session()
    con = apikit_sql.connect(session=session)
    cursor = con.cursor()
    how = []

    def scan():
        try:
            cursor.execute(f'''
                SELECT count(*) FROM apikit('http://127.0.0.1:{server.server_port}', '/{{team}}/items',
                keys := [{{team: 'team1'}}, {{team: 'team2'}}, {{team: 'team3'}}, {{team: 'team4'}}, {{team: 'team5'}}],
                columns := {{id: 'BIGINT'}}, concurrency := 8)''').fetchall()
        except BaseException as error:
            how.append(type(error).__name__)

    reader = threading.Thread(target=scan, daemon=True)
    reader.start()
    while len(session.requests) < 20:
        time.sleep(0.01)
    begun = {request.url.split("/")[3] for request in session.requests}
    assert len(begun) > 3, begun
"""
ENDED = """
    reader.join(5)
    print(how, reader.is_alive())
"""


#: Whichever is told first.
INTERRUPTED = ("['ScanInterrupted'] False\n", "['InterruptException'] False\n")


class TestLeavingAFanOut:
    @pytest.mark.parametrize(
        ("pace", "ending", "says"),
        [
            (0.001, "", ("",)),
            (0.05, "", ("",)),
            (0.01, "    session.stop_running(3)" + ENDED, INTERRUPTED[:1]),
            (0.01, "    session.close()" + ENDED, INTERRUPTED[:1]),
            (0.01, "    con.interrupt()" + ENDED, INTERRUPTED),
        ],
        ids=["exit", "exit with slow requests", "stop_running", "close", "interrupt"],
    )
    def test_the_process_ends_cleanly(self, tmp_path: Path, pace: float, ending: str, says: tuple[str, ...]) -> None:
        started = time.monotonic()

        done = run_script(FAN_OUT + ending, pace, folder=tmp_path)

        assert (done.returncode, done.stdout in says) == (0, True), done
        assert not {"Fatal", "FATAL", "Traceback"} & set(done.stderr.replace(":", " ").split())
        assert time.monotonic() - started < 12
