"""`cache`: identical reads are answered by the session, whoever asks in SQL, and apikit_scans() tells so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.engine.taking import Clock
from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

ITEMS = [{"id": n, "kind": ("a", "b")[n % 2]} for n in range(25)]
COUNT = "SELECT count(*) FROM apikit('https://api.test', '/items'{})"
SHOP = """
base_url = "https://api.test"
retry = { max_attempts = 1 }

[streams.items]
path = "/items"
pagination = { strategy = "link" }
columns = { id = "BIGINT", kind = "VARCHAR" }
key_columns = [{ column = "kind", param = "kind" }]

[streams.sampled]
path = "/sampled"
pagination = { strategy = "none" }
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(SHOP, encoding="utf-8")


@pytest.fixture
def api() -> FakeApi:
    """25 items on three pages, and one page of them."""
    filters: Any = {"kind": ("kind", "=")}
    return FakeApi({"/items": Table(ITEMS, paging="link", filters=filters), "/sampled": Table(ITEMS[:2])})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(api: FakeApi, clock: Clock) -> Iterator[Session]:
    session = Session(transport=api.transport(), clock=clock)
    yield session
    session.close()


@pytest.fixture
def newest(rows: Rows) -> Callable[[str], tuple[Any, ...]]:
    """Columns of the newest scan."""
    return lambda columns: rows(f"SELECT {columns} FROM apikit_scans(newest := 1)")[0]


def test_without_a_word_every_read_asks(rows: Rows, api: FakeApi, newest: Callable[[str], tuple[Any, ...]]) -> None:
    assert [rows(COUNT.format("")), rows(COUNT.format(""))] == [[(25,)], [(25,)]]

    assert len(api.seen) == 6
    assert newest("cached_pages, cache_age") == (0, None)


@pytest.mark.parametrize("columns", ["", ", columns := {id: 'BIGINT'}"])
def test_a_read_that_is_repeated_sends_nothing_and_tells_its_age(
    rows: Rows, api: FakeApi, clock: Clock, newest: Callable[[str], tuple[Any, ...]], columns: str
) -> None:
    sql = COUNT.format(f"{columns}, cache := 300")
    assert rows(sql) == [(25,)]
    assert newest("pages, cached_pages, cache_age") == (3, 0, None)
    clock.now += 90.5

    assert rows(sql) == [(25,)]

    assert len(api.seen) == 3
    assert newest("pages, rows, requests, cached_pages, cache_age") == (3, 25, 0, 3, 90.5)
    assert rows("SELECT count(*) FROM apikit_requests()") == [(3,)]


def test_after_its_seconds_it_asks_again(rows: Rows, api: FakeApi, clock: Clock) -> None:
    rows(COUNT.format(", cache := 300"))
    api.routes["/items"] = Table(ITEMS[:4])
    clock.now += 300

    assert rows(COUNT.format(", cache := 300")) == [(4,)]


def test_the_installs_seconds_hold_where_a_call_says_nothing(con: Con, rows: Rows, api: FakeApi, clock: Clock) -> None:
    apikit_sql.install(con, cache=60)
    rows(COUNT.format(""))
    rows(COUNT.format(""))
    assert len(api.seen) == 3

    rows(COUNT.format(", cache := 0"))
    assert len(api.seen) == 6

    clock.now += 61
    rows(COUNT.format(", cache := 3600"))
    assert len(api.seen) == 6

    apikit_sql.install(con, max_wait=5)
    rows(COUNT.format(""))
    rows(COUNT.format(""))
    assert len(api.seen) == 9

    apikit_sql.install(con, cache=0)
    rows(COUNT.format(""))
    assert len(api.seen) == 12


def test_a_connection_of_ours_takes_it_too(session: Session, api: FakeApi) -> None:
    with apikit_sql.connect(session=session, cache=300) as con:
        counts = [con.execute(COUNT.format("")).fetchall() for _ in range(3)]

    assert counts == [[(25,)]] * 3
    assert len(api.seen) == 3


def test_a_self_join_reads_the_api_once(con: Con, rows: Rows, api: FakeApi) -> None:
    apikit_sql.install(con, cache=300)
    items = "apikit('https://api.test', '/items', columns := {id: 'BIGINT'})"

    assert rows(f"SELECT count(*) FROM {items} a JOIN {items} b ON a.id = b.id") == [(25,)]

    assert len(api.seen) == 3


def test_another_predicate_is_another_read(rows: Rows, api: FakeApi) -> None:
    source = "apikit('https://api.test', '/items', filters := {kind: 'kind'}, cache := 300)"

    kinds = [rows(f"SELECT count(*) FROM {source} WHERE kind = '{kind}'") for kind in ("a", "b", "a")]

    assert kinds == [[(13,)], [(12,)], [(13,)]]
    assert sum("kind=a" in path for path in api.paths) == 2
    assert sum("kind=b" in path for path in api.paths) == 2


def test_other_options_that_the_api_does_not_see_make_no_difference(rows: Rows, api: FakeApi) -> None:
    rows(COUNT.format(", cache := 300"))

    rows(COUNT.format(", cache := 300, nested := 'json', extra := true, pages := 2, concurrency := 1, timeout := 9"))

    assert len(api.seen) == 3


def test_requests_that_are_not_sent_are_not_counted(rows: Rows, api: FakeApi) -> None:
    source = "apikit('https://api.test', '/k/{k}', columns := {id: 'BIGINT'}, cache := 300, keys := [{k: 1}, {k: 2}]"
    api.routes |= {"/k/1": Table(ITEMS[:1]), "/k/2": Table(ITEMS[:2])}
    assert len(rows(f"FROM {source})")) == 3

    assert len(rows(f"FROM {source}, max_requests := 1)")) == 3

    assert len(api.seen) == 2


def test_more_requests_than_are_left_are_an_error_all_the_same(con: Con, rows: Rows) -> None:
    rows(COUNT.format(", cache := 300, pages := 1"))

    with pytest.raises(duckdb.Error, match="max_requests = 1 are sent"):
        con.execute(COUNT.format(", cache := 300, max_requests := 1"))


def test_functions_of_a_row_are_answered_by_the_installs_seconds(con: Con, rows: Rows, api: FakeApi) -> None:
    apikit_sql.install(con, cache=300)
    api.routes["/one"] = httpx.Response(200, json={"a": 1})

    gets = [rows("SELECT apikit_get('https://api.test', '/one')->>'a' FROM range(3)") for _ in range(2)]
    lists = [rows("SELECT len(apikit_fetch('https://api.test', '/items'))") for _ in range(2)]

    assert gets == [[("1",)] * 3] * 2
    assert lists == [[(25,)]] * 2
    assert api.paths == ["/one", "/items", "/items?page=2", "/items?page=3"]
    assert rows("SELECT cached_pages FROM apikit_scans()") == [(0,), (1,), (0,), (3,)]


def test_a_table_and_a_function_of_its_row_share_answers(con: Con, rows: Rows, api: FakeApi) -> None:
    apikit_sql.install(con, cache=300)
    rows(COUNT.format(""))

    assert rows("SELECT len(apikit_fetch('https://api.test', '/items'))") == [(25,)]

    assert len(api.seen) == 3


def test_a_stream_takes_the_installs_seconds_and_its_macro_those_of_the_call(
    con: Con, rows: Rows, api: FakeApi, clock: Clock
) -> None:
    apikit_sql.install(con, attach=["shop"], cache=60)
    api.seen.clear()
    rows("FROM shop.items")
    rows("FROM shop.items")
    assert rows("SELECT len(shop.items_of('a')) FROM range(2)") == rows("SELECT len(shop.items_of('a')) FROM range(2)")
    assert len(api.seen) == 5

    clock.now += 61
    rows("FROM shop.items(cache := 3600)")
    assert len(api.seen) == 5
    rows("FROM shop.items(cache := 0)")
    assert len(api.seen) == 8


def test_what_attaching_has_sampled_is_there(con: Con, rows: Rows, api: FakeApi) -> None:
    apikit_sql.install(con, attach=["shop"], cache=60)

    assert [len(rows("FROM shop.sampled")) for _ in range(2)] == [2, 2]

    assert len(api.seen) == 1


def test_a_write_makes_the_session_forget(rows: Rows, api: FakeApi, session: Session) -> None:
    rows(COUNT.format(", cache := 300"))
    api.routes["/items"] = Table(ITEMS[:4])

    session.forget_answers("https://api.test")

    assert rows(COUNT.format(", cache := 300")) == [(4,)]


def test_databases_of_one_session_share_answers(session: Session, api: FakeApi) -> None:
    for _ in range(2):
        con = duckdb.connect()
        apikit_sql.install(con, session=session)
        assert con.execute(COUNT.format(", cache := 300")).fetchall() == [(25,)]
        con.close()

    assert len(api.seen) == 3


def test_a_token_reads_nothing_that_another_has_read(session: Session, api: FakeApi) -> None:
    api.routes["/me"] = lambda request: httpx.Response(200, json=[{"me": request.headers["authorization"]}])
    found = []
    for token in ("one", "two", "one"):
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://api.test": token}, cache=300)
        found += con.execute("FROM apikit('https://api.test', '/me')").fetchall()
        con.close()

    assert found == [("Bearer one",), ("Bearer two",), ("Bearer one",)]
    assert len(api.seen) == 2


@pytest.mark.parametrize("value", ["-1", "'soon'", "true", "'nan'"])
def test_what_is_no_number_of_seconds_is_told(con: Con, api: FakeApi, value: str) -> None:
    with pytest.raises(duckdb.Error, match="apikit: cache"):
        con.execute(COUNT.format(f", cache := {value}"))

    assert api.seen == []


@pytest.mark.parametrize("value", [-1, "300", True, float("nan")])
def test_an_installer_is_told_as_well(con: Con, value: Any) -> None:
    with pytest.raises(apikit_sql.ConfigError, match=r"cache: .* is not a number of seconds"):
        apikit_sql.install(con, cache=value)
