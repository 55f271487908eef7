"""One scan over many keys: rows and their order, what one failing key does, and how many requests there are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.errors import (
    ApikitError,
    ApikitWarning,
    CallError,
    DecodeError,
    PaginationError,
    RateLimitError,
    SchemaDriftError,
)
from tests.fakes.api import Busy, FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
MANIFEST = """
name = "shop"
base_url = "https://shop.test"
retry = { max_attempts = 3, min_wait = 0, max_wait = 0, jitter = 0 }
"""
TEAMS = [f"t{n:02}" for n in range(50)]
BROKEN = "t17"
#: Three people of each team, on two pages.
PEOPLE: dict[str, list[dict[str, Any]]] = {
    team: [{"id": 10 * n + i, "name": f"{team}-{i}"} for i in range(3)] for n, team in enumerate(TEAMS)
}
COLUMNS = "columns := {id: 'BIGINT', name: 'VARCHAR'}"
BY_KEYS = "keys := [" + ", ".join(f"{{team: '{team}'}}" for team in TEAMS) + "]"
BY_IN = "team IN (" + ", ".join(f"'{team}'" for team in TEAMS) + ")"
MEMBERS = "/teams/{team}/people"
SKIP = ", on_error := 'skip'"
SKIP_MISSING = "on_error := 'skip_missing'"


@pytest.fixture
def api() -> FakeApi:
    """The people of each team, and those of all teams, who tell their team."""
    everyone = [{"team": team, **person} for team in TEAMS for person in PEOPLE[team]]
    api = FakeApi({"/people": Table(everyone, page_size=2, paging="link", filters={"of": ("team", "=")})})
    for team in TEAMS:
        api.routes[members(team)] = Table(PEOPLE[team], page_size=2, paging="link")
    return api


@pytest.fixture
def con(connected: Callable[..., Con], tmp_path: Path) -> Con:
    """A connection with the connector `shop`, which tries again at once."""
    file = tmp_path / "shop.toml"
    file.write_text(MANIFEST)
    return connected(connectors=[file])


def members(team: str) -> str:
    return f"/teams/{team}/people"


def people_of(*teams: str) -> list[tuple[str, int]]:
    """What `SELECT team, id` gives for these teams."""
    return [(team, person["id"]) for team in teams for person in PEOPLE[team]]


def of_keys(*teams: str, options: str = COLUMNS, path: str = MEMBERS) -> str:
    keys = ", ".join(f"{{team: '{team}'}}" for team in teams)
    return f"apikit('shop', '{path}', keys := [{keys}], {options})"


def error_of(con: Con, sql: str) -> str:
    """The first line of the error that `sql` raises."""
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value).splitlines()[0]


def kind_of_newest(session: Session) -> type[ApikitError]:
    """The class of the newest error that the session keeps: DuckDB may tell only the text."""
    return type(session.errors[-1])


def in_order(found: list[tuple[Any, ...]], source: str) -> list[tuple[Any, ...]]:
    """The rows as they came; sorted where DuckDB before 2.0 makes a join of a long IN, which has no order."""
    return found if IS_2 or source != SOURCES["in"] else sorted(found)


def all_failing(api: FakeApi, answer: Callable[[], httpx.Response]) -> None:
    for team in TEAMS:
        api.routes[members(team)] = lambda _: answer()


class TestKeys:
    def test_each_key_brings_its_rows_in_the_order_given_and_is_their_column(self, rows: Rows) -> None:
        found = rows(f"SELECT team, id FROM {of_keys('t03', 't01', 't02')}")

        assert found == people_of("t03", "t01", "t02")

    def test_columns_are_inferred_from_the_first_key(self, rows: Rows, api: FakeApi) -> None:
        source = f"apikit('shop', '{MEMBERS}', keys := [{{team: 't03'}}, {{team: 't01'}}])"

        described = rows(f"SELECT column_name, column_type FROM (DESCRIBE FROM {source})")

        assert described == [("id", "BIGINT"), ("name", "VARCHAR"), ("team", "VARCHAR")]
        assert api.paths == [members("t03")]
        assert rows(f"SELECT team, id FROM {source}") == people_of("t03", "t01")
        assert len(api.seen) == 4

    def test_keys_come_out_of_a_query_by_a_variable(self, con: Con, rows: Rows) -> None:
        con.execute("SET VARIABLE k = (SELECT list({team: t} ORDER BY t DESC) FROM (VALUES ('t01'), ('t04')) v(t))")

        found = rows(f"SELECT team, id FROM apikit('shop', '{MEMBERS}', keys := getvariable('k'))")

        assert found == people_of("t04", "t01")

    def test_a_list_of_no_rows_is_a_table_of_no_rows(self, con: Con, rows: Rows, api: FakeApi) -> None:
        con.execute("SET VARIABLE k = (SELECT list({team: t}) FROM (VALUES ('t01')) v(t) WHERE t = 'x')")

        found = rows(f"SELECT team, id FROM apikit('shop', '{MEMBERS}', keys := getvariable('k'), {COLUMNS})")

        assert found == []
        assert api.seen == []

    @pytest.mark.parametrize("keys", ["[]", "NULL::STRUCT(team VARCHAR)[]"])
    def test_no_keys_leave_the_columns_of_filters_as_they_are(self, rows: Rows, api: FakeApi, keys: str) -> None:
        source = f"apikit('shop', '/people', keys := {keys}, filters := {{team: 'of'}}, {COLUMNS})"

        assert rows(f"SELECT id FROM {source}") == []
        assert api.seen == []

    @pytest.mark.parametrize("path", [MEMBERS, "/people"])
    def test_without_keys_there_is_nothing_to_infer_columns_from(self, con: Con, api: FakeApi, path: str) -> None:
        text = error_of(con, f"FROM apikit('shop', '{path}', keys := [], filters := {{team: 'of'}})")

        assert "columns := {" in text
        assert "nothing fills" not in text
        assert api.seen == []

    def test_a_variable_that_is_not_set_is_no_list(self, con: Con, api: FakeApi) -> None:
        text = error_of(con, f"FROM apikit('shop', '{MEMBERS}', keys := getvariable('never_set'))")

        assert "CallError: apikit: keys is NULL. If it is a variable, it is not set" in text
        assert api.seen == []

    def test_a_key_may_be_a_parameter_that_filters_name(self, rows: Rows, api: FakeApi) -> None:
        source = of_keys("t05", "t02", path="/people", options="filters := {team: 'of'}")

        assert rows(f"SELECT team, id FROM {source}") == people_of("t05", "t02")
        assert {request.url.params["of"] for request in api.seen} == {"t05", "t02"}

    def test_a_key_of_the_manifest_is_given_as_well_as_asked_for(self, session: Session, tmp_path: Path) -> None:
        file = tmp_path / "own.toml"
        file.write_text(
            MANIFEST.replace("shop", "own")
            + f'[streams.people]\npath = "{MEMBERS}"\ncolumns = {{ id = "BIGINT" }}\n'
            + 'key_columns = [{ column = "squad", path = "team", required = true }]\n'
        )
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=[file])

        given = con.execute("SELECT squad, id FROM apikit('own', 'people', keys := [{squad: 't05'}])").fetchall()
        asked = con.execute("SELECT squad, id FROM apikit('own', 'people') WHERE squad = 't05'").fetchall()

        assert given == asked == people_of("t05")

    def test_a_time_as_key_is_sent_as_rfc_3339(self, rows: Rows, api: FakeApi) -> None:
        rows(
            "FROM apikit('shop', '/people', keys := [{seen: TIMESTAMP '2026-01-05 10:00:00'}], "
            "filters := {seen: 'seen'}, columns := {id: 'BIGINT'})"
        )

        assert api.params("seen")[0] == "2026-01-05T10:00:00Z"

    @pytest.mark.parametrize("number", [2**63, 2**100])
    def test_a_number_beyond_bigint_is_a_key_in_all_its_digits(self, rows: Rows, api: FakeApi, number: int) -> None:
        api.routes[f"/n/{number}"] = httpx.Response(200, json=[{"id": 1}])

        found = rows(f"SELECT id, k::VARCHAR FROM apikit('shop', '/n/{{k}}', keys := [{{k: {number}::HUGEINT}}])")

        assert found == [(1, str(number))]

    def test_a_key_that_the_records_tell_as_well_is_not_doubled(self, rows: Rows) -> None:
        source = of_keys("t05", path="/people", options="filters := {team: 'of'}")

        described = rows(f"SELECT column_name FROM (DESCRIBE FROM {source})")

        assert described == [("team",), ("id",), ("name",)]

    @pytest.mark.parametrize("keys", ["{team: 't01'}", "{team: 't01'}, {team: 't02'}"])
    def test_a_record_that_tells_no_key_is_a_row_as_well(self, rows: Rows, api: FakeApi, keys: str) -> None:
        api.routes[members("t01")] = httpx.Response(200, json=[{"id": 1}, {"id": 2, "team": None}])

        found = rows(f"SELECT id, team FROM apikit('shop', '{MEMBERS}', keys := [{keys}], columns := {{id: 'BIGINT'}})")

        assert found[0] == (1, "t01")
        assert found[1][0] == 2
        assert len(found) == 2 + 3 * keys.count("t02")

    @pytest.mark.parametrize("options", [COLUMNS, "timeout := 9"])
    def test_a_record_that_tells_another_key_is_an_error(
        self, con: Con, api: FakeApi, session: Session, options: str
    ) -> None:
        api.routes[members("t01")] = httpx.Response(
            200, json=[{"id": 1, "name": "x", "team": "t01"}, {"id": 2, "name": "y", "team": "t02"}]
        )

        text = error_of(con, f"SELECT id FROM {of_keys('t01', options=options)}")

        assert "https://shop.test/teams/t01/people, page 1: " in text
        assert "a record has team = 't02' where keys asked for 't01'" in text
        assert kind_of_newest(session) is SchemaDriftError

    def test_an_api_that_takes_no_notice_of_the_key_is_found_out(self, con: Con, api: FakeApi) -> None:
        api.routes["/people"] = Table([{"id": 1, "team": "t01"}, {"id": 2, "team": "t02"}])

        text = error_of(con, f"FROM {of_keys('t01', 't02', path='/people', options='filters := {team: $$of$$}')}")

        assert "keys asked for 't01'" in text

    def test_a_number_that_records_tell_as_text_is_the_same_key(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/n/7"] = httpx.Response(200, json=[{"id": 1, "k": "7"}])

        assert rows("SELECT id, k FROM apikit('shop', '/n/{k}', keys := [{k: 7}])") == [(1, "7")]

    def test_a_key_asked_for_in_where_leaves_the_others_out(self, rows: Rows, api: FakeApi) -> None:
        found = rows(f"SELECT team, id FROM apikit('shop', '{MEMBERS}', {BY_KEYS}, {COLUMNS}) WHERE team = 't30'")

        assert found == people_of("t30")
        assert {request.url.path for request in api.seen} == {members("t30")}

    def test_keys_join_with_what_they_were_made_of(self, con: Con, rows: Rows) -> None:
        con.execute("CREATE TABLE t AS SELECT * FROM (VALUES ('t02', 'two'), ('t03', 'three')) v(team, label)")

        found = rows(
            f"SELECT label, count(*) FROM {of_keys('t02', 't03', 't04')} JOIN t USING (team) GROUP BY label ORDER BY 1"
        )

        assert found == [("three", 3), ("two", 3)]

    def test_keys_and_in_multiply(self, rows: Rows, api: FakeApi) -> None:
        everything = [{"id": n, "team": f"t0{n % 2}", "kind": "abc"[n % 3]} for n in range(12)]
        api.routes["/things"] = Table(everything, filters={"of": ("team", "="), "kind": ("kind", "=")})
        source = of_keys("t01", "t00", path="/things", options="filters := {team: 'of', kind: 'kind'}")

        found = rows(f"SELECT team, kind, id FROM {source} WHERE kind IN ('c', 'a') ORDER BY ALL")

        assert found == sorted((e["team"], e["kind"], e["id"]) for e in everything if e["kind"] != "b")
        asked = {(r.url.params.get("of"), r.url.params.get("kind")) for r in api.seen[1:]}
        assert asked == {(team, kind) for team in ("t00", "t01") for kind in "ac"}


class TestOrder:
    @pytest.mark.parametrize("concurrency", [1, 3, 8])
    def test_late_answers_change_nothing(self, rows: Rows, api: FakeApi, concurrency: int) -> None:
        # given trips of which each answers sooner than the one before
        teams = list(reversed(TEAMS[:12]))
        for n, team in enumerate(teams):
            api.routes[members(team)] = Busy(Table(PEOPLE[team], page_size=2, paging="link"), (12 - n) * 0.003)

        found = rows(f"SELECT team, id FROM {of_keys(*teams, options=f'{COLUMNS}, concurrency := {concurrency}')}")

        assert found == people_of(*teams)

    def test_the_first_key_of_inferred_columns_is_not_fetched_again(self, rows: Rows, api: FakeApi) -> None:
        source = f"apikit('shop', '{MEMBERS}', {BY_KEYS})"

        assert rows(f"SELECT team, id FROM {source}") == people_of(*TEAMS)
        assert sorted(api.paths) == sorted(members(team) + page for team in TEAMS for page in ("", "?page=2"))


def broken(status: int, **given: Any) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, **given)


MISSING = {"404": broken(404), "410": broken(410)}
FAILED = {
    "500": broken(500),
    "403": broken(403),
    "422": broken(422, json={"message": "no way"}),
    "malformed": broken(200, content=b'[{"id": 1', headers={"content-type": "application/json"}),
    "html": broken(200, content=b"<html>", headers={"content-type": "text/html"}),
}
EVERYWHERE = {"401": broken(401)}
KIND = {"401": "AuthError", "malformed": "DecodeError", "html": "DecodeError"}
SOURCES = {
    "keys": f"apikit('shop', '{MEMBERS}', {BY_KEYS}, {COLUMNS}, on_error := 'ON_ERROR')",
    "in": f"apikit('shop', '{MEMBERS}', {COLUMNS}, on_error := 'ON_ERROR') WHERE {BY_IN}",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
class TestOneOfFiftyKeysFails:
    @pytest.mark.parametrize("what", [*MISSING, *FAILED, *EVERYWHERE])
    @pytest.mark.parametrize("on_error", ["error", "skip_missing", "skip"])
    def test_the_rows_of_the_others_or_the_error(  # noqa: PLR0917 - pytest names them
        self, con: Con, rows: Rows, api: FakeApi, session: Session, source: str, on_error: str, what: str
    ) -> None:
        answer = (MISSING | FAILED | EVERYWHERE)[what]
        api.routes[members(BROKEN)] = lambda _: answer()
        sql = f"SELECT team, id FROM {source.replace('ON_ERROR', on_error)}"
        is_skipped = what in {"error": {}, "skip_missing": MISSING, "skip": MISSING | FAILED}[on_error]

        if is_skipped:
            with pytest.warns(ApikitWarning) as caught:
                found = rows(sql)
            assert in_order(found, source) == people_of(*(team for team in TEAMS if team != BROKEN))
            assert [str(each.message).partition(": ")[2][:40] for each in caught] == [
                "1 of 50 trips failed and were skipped; a"
            ]
            assert BROKEN in str(caught[0].message)
        else:
            text = error_of(con, sql)
            assert f": shop: GET {members(BROKEN)}" in text
            assert kind_of_newest(session).__name__ == KIND.get(what, "RequestError")

        ((keys, status, error, skipped, pages),) = rows(
            "SELECT keys ->> 'team', status, error, skipped, pages FROM apikit_errors()"
        )
        expected_status = int(what) if what.isdecimal() else None
        assert (keys, status, error) == (BROKEN, expected_status, KIND.get(what, "RequestError"))
        assert (skipped, pages) == (is_skipped, 0)

    @pytest.mark.parametrize("on_error", ["error", "skip_missing", "skip"])
    def test_a_limit_that_is_used_up_ends_the_scan(  # noqa: PLR0917 - pytest names them
        self, con: Con, rows: Rows, api: FakeApi, session: Session, source: str, on_error: str
    ) -> None:
        api.routes[members(BROKEN)] = httpx.Response(429, headers={"retry-after": "3600"})

        text = error_of(con, f"SELECT team, id FROM {source.replace('ON_ERROR', on_error)}")

        assert "is to wait 60 min, longer than max_wait = 60 s. Set max_wait := 3600." in text
        assert kind_of_newest(session) is RateLimitError
        assert rows("SELECT DISTINCT error, skipped FROM apikit_errors()") == [("RateLimitError", False)]

    @pytest.mark.parametrize("on_error", ["error", "skip_missing"])
    def test_a_statement_that_fails_midway_leaves_nothing(
        self, con: Con, rows: Rows, api: FakeApi, source: str, on_error: str
    ) -> None:
        api.routes[members(BROKEN)] = httpx.Response(500)
        con.execute("CREATE TABLE kept AS SELECT 'old' AS team, 0::BIGINT AS id")
        sql = f"SELECT team, id FROM {source.replace('ON_ERROR', on_error)}"

        error_of(con, f"CREATE TABLE made AS {sql}")
        error_of(con, f"INSERT INTO kept {sql}")
        error_of(con, f"CREATE OR REPLACE TABLE kept AS {sql}")

        assert rows("SELECT table_name FROM duckdb_tables()") == [("kept",)]
        assert rows("FROM kept") == [("old", 0)]

    def test_all_that_are_missing_are_no_rows(self, rows: Rows, api: FakeApi, source: str) -> None:
        all_failing(api, broken(404))

        with pytest.warns(ApikitWarning, match="50 of 50 trips failed") as caught:
            assert rows(f"SELECT team, id FROM {source.replace('ON_ERROR', 'skip_missing')}") == []

        assert len(caught) == 1
        assert rows("SELECT count(*), count(DISTINCT keys::VARCHAR) FROM apikit_errors()") == [(50, 50)]

    @pytest.mark.parametrize("status", [404, 500])
    def test_all_that_fail_are_an_error(self, con: Con, rows: Rows, api: FakeApi, source: str, status: int) -> None:
        all_failing(api, broken(status))

        text = error_of(con, f"SELECT team, id FROM {source.replace('ON_ERROR', 'skip')}")

        ((last,),) = rows("SELECT keys ->> 'team' FROM apikit_errors() WHERE NOT skipped")
        assert f"shop: GET {members(last)} answered {status}" in text
        assert rows("SELECT count(*), count(DISTINCT keys::VARCHAR) FROM apikit_errors()") == [(50, 50)]

    def test_a_failure_on_its_second_page_keeps_the_first(self, rows: Rows, api: FakeApi, source: str) -> None:
        table = Table(PEOPLE[BROKEN], page_size=2, paging="link")
        api.routes[members(BROKEN)] = lambda request: (
            httpx.Response(500) if "page" in request.url.params else table.answer(request)
        )

        with pytest.warns(ApikitWarning, match="1 of 50 trips failed"):
            found = rows(f"SELECT team, id FROM {source.replace('ON_ERROR', 'skip')}")

        assert in_order(found, source) == [row for row in people_of(*TEAMS) if row != people_of(BROKEN)[2]]
        assert rows("SELECT keys ->> 'team', pages, status FROM apikit_errors()") == [(BROKEN, 1, 500)]


class TestFailures:
    def test_a_first_key_that_is_missing_does_not_keep_columns_from_being_inferred(
        self, rows: Rows, api: FakeApi
    ) -> None:
        api.routes[members("t01")] = httpx.Response(404)

        with pytest.warns(ApikitWarning, match="1 of 2 trips failed"):
            found = rows(f"SELECT team, id FROM {of_keys('t01', 't02', options=SKIP_MISSING)}")

        assert found == people_of("t02")

    @pytest.mark.parametrize("on_error", ["error", "skip_missing", "skip"])
    def test_a_single_trip_that_fails(self, con: Con, rows: Rows, api: FakeApi, on_error: str) -> None:
        api.routes["/gone"] = httpx.Response(404)
        sql = f"FROM apikit('shop', '/gone', {COLUMNS}, on_error := '{on_error}')"

        if on_error == "skip_missing":
            with pytest.warns(ApikitWarning, match="1 of 1 trips failed"):
                assert rows(sql) == []
        else:
            assert "GET /gone answered 404" in error_of(con, sql)

    def test_the_end_by_page_numbers_is_no_failure(self, rows: Rows, api: FakeApi) -> None:
        # given an API that answers 404 for the page after the last
        table = Table(PEOPLE["t01"], page_size=3, paging="page")
        api.routes[members("t01")] = lambda request: (
            table.answer(request) if request.url.params["page"] == "1" else httpx.Response(404)
        )
        options = f"{COLUMNS}, pagination := {{strategy: 'page', page_param: 'page'}}, on_error := 'skip'"

        assert rows(f"SELECT team, id FROM {of_keys('t01', options=options)}") == people_of("t01")
        assert rows("SELECT count(*) FROM apikit_errors()") == [(0,)]

    def test_drift_is_never_skipped(self, con: Con, api: FakeApi) -> None:
        api.routes[members("t02")] = httpx.Response(200, json=[{"id": "many", "name": "x"}])

        text = error_of(con, f"FROM {of_keys('t01', 't02', options=COLUMNS + SKIP)}")

        assert 'https://shop.test/teams/t02/people, page 1, record 1: id = "many"' in text

    def test_a_limit_may_close_the_scan_before_a_key_that_fails(self, rows: Rows, api: FakeApi) -> None:
        api.routes[members("t02")] = httpx.Response(500)

        assert rows(f"SELECT team, id FROM {of_keys('t01', 't02', 't03')} LIMIT 1") == people_of("t01")[:1]

    def test_attempts_that_are_given_up_are_three_and_those_of_a_missing_key_one(
        self, rows: Rows, api: FakeApi
    ) -> None:
        api.routes |= {members("t01"): httpx.Response(503), members("t02"): httpx.Response(404)}

        with pytest.warns(ApikitWarning, match="2 of 3 trips failed"):
            rows(f"FROM {of_keys('t01', 't02', 't03', options=COLUMNS + SKIP)}")

        assert [request.url.path for request in api.seen].count(members("t01")) == 3
        assert [request.url.path for request in api.seen].count(members("t02")) == 1

    def test_secrets_that_an_api_repeats_are_masked_in_what_is_kept(
        self, session: Session, api: FakeApi, rows: Rows
    ) -> None:
        api.routes[members("t01")] = httpx.Response(404, json={"message": "no tok-secret-99 here"})
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://shop.test": "tok-secret-99"})
        source = of_keys("t01", "t02", options=f"{COLUMNS}, on_error := 'skip'").replace(
            "'shop'", "'https://shop.test'"
        )

        with pytest.warns(ApikitWarning) as caught:
            con.execute(f"FROM {source}").fetchall()

        ((message,),) = rows("SELECT message FROM apikit_errors()")
        assert "tok-secret-99" not in message + str(caught[0].message)
        assert "answered 404 (no ***" in message

    def test_a_connection_of_ours_raises_the_class(self, session: Session, api: FakeApi) -> None:
        api.routes[members("t02")] = httpx.Response(410)
        source = of_keys("t01", "t02").replace("'shop'", "'https://shop.test'")

        with apikit_sql.connect(session=session) as con, pytest.raises(apikit_sql.RequestError, match="answered 410"):
            con.execute(f"FROM {source}").fetchall()


class TestHowManyRequests:
    @pytest.mark.parametrize("concurrency", [1, 2, 5])
    def test_never_more_at_once_than_concurrency(self, rows: Rows, api: FakeApi, concurrency: int) -> None:
        busy = Busy(Table([{"id": 1, "name": "x"}], page_size=1, paging="link"))
        for team in TEAMS[:20]:
            api.routes[members(team)] = busy

        found = rows(f"SELECT team, id FROM {of_keys(*TEAMS[:20], options=f'{COLUMNS}, concurrency := {concurrency}')}")

        assert found == [(team, 1) for team in TEAMS[:20]]
        assert busy.most == concurrency

    def test_eight_at_once_unless_told(self, rows: Rows, api: FakeApi) -> None:
        busy = Busy(Table([{"id": 1, "name": "x"}]), 0.03)
        for team in TEAMS:
            api.routes[members(team)] = busy

        rows(f"FROM apikit('shop', '{MEMBERS}', {BY_KEYS}, {COLUMNS})")

        assert busy.most == 8

    @pytest.mark.parametrize("source", list(SOURCES.values())[: None if IS_2 else 1])  # 1.x makes a join of IN
    def test_the_first_row_of_fifty_keys_costs_one_request(self, rows: Rows, api: FakeApi, source: str) -> None:
        found = rows(f"SELECT team, id FROM {source.replace('ON_ERROR', 'error')} LIMIT 1")

        assert found == people_of("t00")[:1]
        assert api.paths[0] == members("t00")
        assert len(api.seen) == 1 if IS_2 else len(api.seen) <= 2

    def test_the_first_row_of_inferred_columns_costs_no_more(self, rows: Rows, api: FakeApi) -> None:
        rows(f"SELECT team, id FROM apikit('shop', '{MEMBERS}', {BY_KEYS}) LIMIT 1")

        assert len(api.seen) == 1 if IS_2 else len(api.seen) <= 2

    def test_a_limit_bounds_how_far_ahead_keys_are_fetched(self, rows: Rows, api: FakeApi) -> None:
        for team in TEAMS:
            api.routes[members(team)] = Busy(Table(PEOPLE[team], page_size=2, paging="link"))

        rows(f"SELECT team, id FROM {of_keys(*TEAMS, options=COLUMNS + ', concurrency := 4')} LIMIT 6")

        # batches of 1, 1 and 2 pages have the rows, DuckDB reads one more (of 4), 1.x two; 4 are under way, 4 may wait
        assert 4 <= len(api.seen) <= (8 if IS_2 else 16) + 2 * 4

    def test_each_page_is_asked_for_once(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM apikit('shop', '{MEMBERS}', {BY_KEYS}, {COLUMNS}, concurrency := 16)")

        assert sorted(api.paths) == sorted(members(team) + page for team in TEAMS for page in ("", "?page=2"))

    def test_reaching_max_requests_is_told_and_leaves_no_table(
        self, con: Con, rows: Rows, api: FakeApi, session: Session
    ) -> None:
        source = of_keys("t01", "t02", "t03", options=f"{COLUMNS}, max_requests := 4")

        text = error_of(con, f"CREATE TABLE made AS FROM {source}")

        assert f"shop {MEMBERS}: max_requests = 4 are sent and the scan is not at its end" in text
        assert issubclass(kind_of_newest(session), PaginationError)
        assert len(api.seen) == 4
        assert rows("SELECT count(*) FROM duckdb_tables()") == [(0,)]

    @pytest.mark.parametrize("on_error", ["skip", "skip_missing"])
    def test_reaching_max_requests_is_never_skipped(self, con: Con, on_error: str) -> None:
        source = of_keys("t01", "t02", "t03", options=f"{COLUMNS}, max_requests := 4, on_error := '{on_error}'")

        assert "max_requests = 4 are sent" in error_of(con, f"FROM {source}")

    def test_as_many_requests_as_are_needed_are_enough(self, rows: Rows, api: FakeApi) -> None:
        source = of_keys("t01", "t02", "t03", options=f"{COLUMNS}, max_requests := 6")

        assert rows(f"SELECT team, id FROM {source}") == people_of("t01", "t02", "t03")
        assert len(api.seen) == 6

    @pytest.mark.parametrize("missing", ["t01", "t02", "t03"])
    def test_a_missing_key_is_skipped_where_the_last_request_is_sent(
        self, rows: Rows, api: FakeApi, missing: str
    ) -> None:
        # given three keys of one page each, and three requests
        for team in ("t01", "t02", "t03"):
            api.routes[members(team)] = Table(PEOPLE[team])
        api.routes[members(missing)] = httpx.Response(404)
        source = of_keys("t01", "t02", "t03", options=f"{COLUMNS}, max_requests := 3, on_error := 'skip_missing'")

        with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
            found = rows(f"SELECT team, id FROM {source}")

        assert found == people_of(*(team for team in ("t01", "t02", "t03") if team != missing))

    def test_attempts_count_as_requests(self, con: Con, api: FakeApi) -> None:
        api.routes[members("t01")] = httpx.Response(500)

        text = error_of(con, f"FROM {of_keys('t01', options=COLUMNS + ', max_requests := 2')}")

        assert "max_requests = 2 are sent" in text
        assert len(api.seen) == 2

    def test_more_keys_than_requests_send_nothing(self, con: Con, api: FakeApi, session: Session) -> None:
        text = error_of(con, f"FROM {of_keys('t01', 't02', 't03', options=COLUMNS + ', max_requests := 2')}")

        assert kind_of_newest(session) is CallError
        assert "3 trips need as many requests at least; max_requests is 2" in text
        assert api.seen == []

    @pytest.mark.skipif(not IS_2, reason="DuckDB 1.x asks for two batches at once")
    def test_a_limit_stays_below_max_requests(self, rows: Rows, api: FakeApi) -> None:
        found = rows(f"SELECT team, id FROM {of_keys('t01', options=COLUMNS + ', max_requests := 1')} LIMIT 2")

        assert found == people_of("t01")[:2]
        assert len(api.seen) == 1

    def test_max_requests_of_the_install_hold_where_the_call_says_nothing(
        self, con: Con, rows: Rows, api: FakeApi
    ) -> None:
        apikit_sql.install(con, max_requests=4)

        assert "max_requests = 4 are sent" in error_of(con, f"FROM {of_keys('t01', 't02', 't03')}")
        assert rows(
            f"SELECT team, id FROM {of_keys('t01', 't02', 't03', options=COLUMNS + ', max_requests := 6')}"
        ) == (people_of("t01", "t02", "t03"))
        assert rows(f"SELECT team, id FROM {of_keys('t01', 't02')}") == people_of("t01", "t02")
        assert len(api.seen) == 4 + 6 + 4

    def test_more_than_a_thousand_keys_need_max_requests(self, con: Con, rows: Rows, api: FakeApi) -> None:
        api.routes["/things"] = lambda request: httpx.Response(200, json=[{"id": int(request.url.params["n"])}])
        con.execute("SET VARIABLE k = (SELECT list({n: i} ORDER BY i) FROM range(1001) r(i))")
        source = "apikit('shop', '/things', keys := getvariable('k'), filters := {n: 'n'}, columns := {id: 'BIGINT'}"

        text = error_of(con, f"FROM {source})")
        assert "the keys ask for 1001 trips; 1000 are the most. Say a larger max_requests" in text
        assert api.seen == []

        assert rows(f"SELECT id, n FROM {source}, max_requests := 1001)") == [(n, n) for n in range(1001)]
        assert len(api.seen) == 1001


def connected(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> apikit_sql.Connection:
    """A connection whose requests `answer` answers."""
    return apikit_sql.connect(session=Session(transport=httpx.MockTransport(answer)), **options)


class TestOddKeys:
    def test_one_key_may_fill_the_path_and_a_parameter(self) -> None:
        sent: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            sent.append(str(request.url))
            return httpx.Response(200, json=[{"x": 1}])

        table = "apikit('https://api.test', '/a/{id}', keys := [{id: 1}, {id: 2}], filters := {id: 'of'})"

        assert connected(answer).execute(f"SELECT id FROM {table}").fetchall() == [(1,), (2,)]
        assert sent == ["https://api.test/a/1?of=1", "https://api.test/a/2?of=2"]

    @pytest.mark.parametrize("columns", ["id", "*"])
    def test_a_field_of_a_struct_is_checked_too(self, columns: str) -> None:
        con = connected(lambda _: httpx.Response(200, json=[{"id": 1, "user": {"login": "zoe"}}]))
        table = "apikit('https://api.test', '/a', keys := [{'user.login': 'KEY'}], filters := {'user.login': 'by'})"

        assert con.execute(f"SELECT id FROM {table.replace('KEY', 'zoe')}").fetchall() == [(1,)]
        with pytest.raises(SchemaDriftError, match=r"user\.login = 'zoe' where keys asked for 'ann'"):
            con.execute(f"SELECT {columns} FROM {table.replace('KEY', 'ann')}").fetchall()

    @pytest.mark.parametrize("columns", ["", ", columns := {x: 'BIGINT'}"])
    def test_a_key_has_the_same_type_whether_columns_are_declared_or_not(self, columns: str) -> None:
        con = connected(lambda _: httpx.Response(200, json=[{"x": 1}]))
        table = f"apikit('https://api.test', '/{{k}}', keys := [{{k: 7}}]{columns})"

        assert con.execute(f"SELECT typeof(k), k FROM {table}").fetchall() == [("BIGINT", 7)]

    def test_beside_scalars_the_value_is_named_that_does_not_fit(self) -> None:
        con = connected(lambda r: httpx.Response(200, json={"items": [1] if r.url.path == "/1" else ["x"]}))

        with pytest.raises(SchemaDriftError, match='value = "x" does not fit BIGINT'):
            con.execute("SELECT k FROM apikit('https://api.test', '/{k}', keys := [{k: 1}, {k: 2}])").fetchall()

    def test_the_text_of_missing_keys_tells_that_they_are_missing(self) -> None:
        con = connected(lambda _: httpx.Response(404))
        keys = "[{k: i} for i in range(20)]"

        with pytest.raises(CallError, match=r"10 trips failed while columns .* GET /9 answered 404"):
            con.execute(f"FROM apikit('https://api.test', '/{{k}}', keys := {keys}, on_error := 'skip_missing')")
        with pytest.raises(CallError, match="without keys there is nothing to infer columns from"):
            con.execute("FROM apikit('https://api.test', '/{k}', keys := [])")


@pytest.mark.parametrize("page", [1, 2])
def test_a_malformed_body_is_skipped_on_whatever_page_it_comes(page: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        key, number = request.url.path[1:], int(request.url.params.get("page", "1"))
        if key == "b" and number == page:
            return httpx.Response(200, content=b'[{"id": 1}, {"id":')
        link = {"link": f'</{key}?page=2>; rel="next"'} if number == 1 else {}
        return httpx.Response(200, json=[{"id": number}], headers=link)

    con = connected(answer)
    keys = "keys := [{k: 'a'}, {k: 'b'}, {k: 'c'}], on_error := 'skip', columns := {id: 'BIGINT'}"

    with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
        found = con.execute(f"SELECT k, id FROM apikit('https://api.test', '/{{k}}', {keys})").fetchall()

    assert found == [("a", 1), ("a", 2), *[("b", 1)][: page - 1], ("c", 1), ("c", 2)]
    assert con.execute("SELECT keys ->> 'k', pages FROM apikit_errors()").fetchall() == [("b", page - 1)]


def test_what_a_server_echoes_of_a_secret_is_masked_among_the_errors() -> None:
    con = connected(
        lambda _: httpx.Response(200, json={"data_sk_live_SECRET1234567890": 1}),
        tokens={"https://api.test": "sk_live_SECRET1234567890"},
    )
    keys = "keys := [{k: 'a'}, {k: 'b'}], on_error := 'skip', data_path := 'q', columns := {x: 'INT'}"

    with pytest.raises(DecodeError) as raised:
        con.execute(f"FROM apikit('https://api.test', '/{{k}}', {keys})").fetchall()

    told = con.execute("SELECT message FROM apikit_errors()").fetchall()
    assert len(told) == 2
    assert "SECRET" not in str(told) + str(raised.value)


def test_a_scan_that_could_not_begin_is_none() -> None:
    con = connected(lambda _: httpx.Response(200), tokens={"https://api.test": "env:NEVER_SET_ANYWHERE"})

    with pytest.raises(apikit_sql.ConfigError):
        con.execute("FROM apikit('https://api.test', '/x', columns := {x: 'INT'})").fetchall()

    assert con.execute("FROM apikit_scans()").fetchall() == []
