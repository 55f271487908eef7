"""apikit_scans() and apikit_errors(): what happened, as tables; reading them sends nothing."""

import datetime as dt
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitWarning
from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

MANIFEST = """
name = "shop"
base_url = "https://shop.test"
retry = { max_attempts = 3, min_wait = 0, max_wait = 0, jitter = 0 }
"""
ITEMS = [{"id": n} for n in range(25)]
LINK = 'link (Link header with rel="next")'
ITEMS_OF = "apikit('shop', '{}', columns := {{id: 'BIGINT'}}{})"
SOURCE = ITEMS_OF.format("/items", "")


@pytest.fixture
def api() -> FakeApi:
    """25 items in three pages behind Link headers."""
    return FakeApi(
        {
            "/items": Table(ITEMS, paging="link"),
            "/broken": httpx.Response(403, json={"message": "no way"}),
            "/k/a": Table(ITEMS[:3]),
            "/k/b": httpx.Response(404),
            "/k/7": httpx.Response(410),
        }
    )


@pytest.fixture
def con(connected: Callable[..., Con], tmp_path: Path) -> Con:
    """A connection with the connector `shop`, which tries again at once."""
    file = tmp_path / "shop.toml"
    file.write_text(MANIFEST)
    return connected(connectors=[file])


def scan_of(rows: Rows, columns: str) -> tuple[Any, ...]:
    """The only scan there was."""
    (found,) = rows(f"SELECT {columns} FROM apikit_scans()")
    return found


def by_keys(*keys: object, options: str = "") -> str:
    given = ", ".join(f"{{k: {key!r}}}" for key in keys)
    return ITEMS_OF.format("/k/{k}", f", keys := [{given}]{options}")


class TestScans:
    def test_its_columns(self, rows: Rows) -> None:
        assert rows("SELECT column_name, column_type FROM (DESCRIBE FROM apikit_scans())") == [
            ("started_at", "TIMESTAMP WITH TIME ZONE"),
            ("connector", "VARCHAR"),
            ("path", "VARCHAR"),
            ("state", "VARCHAR"),
            ("pagination", "VARCHAR"),
            ("trips", "BIGINT"),
            ("failed_trips", "BIGINT"),
            ("pages", "BIGINT"),
            ("rows", "BIGINT"),
            ("requests", "BIGINT"),
            ("cached_pages", "BIGINT"),
            ("cache_age", "DOUBLE"),
            ("retries", "BIGINT"),
            ("throttled_seconds", "DOUBLE"),
            ("elapsed_ms", "DOUBLE"),
            ("truncated", "BOOLEAN"),
            ("drifted", "JSON"),
            ("unseen_fields", "JSON"),
        ]

    def test_there_is_none_before_the_first(self, rows: Rows) -> None:
        assert rows("FROM apikit_scans()") == []

    def test_one_that_came_to_its_end_is_done(self, rows: Rows) -> None:
        before = dt.datetime.now(dt.UTC)
        rows(f"FROM {SOURCE}")

        assert scan_of(rows, "connector, path, state, pagination, trips, failed_trips, pages, rows, requests") == (
            "shop",
            "/items",
            "done",
            LINK,
            1,
            0,
            3,
            25,
            3,
        )
        assert scan_of(rows, "retries, throttled_seconds, truncated, drifted, unseen_fields") == (
            0,
            0,
            False,
            "{}",
            "{}",
        )
        started, elapsed = scan_of(rows, "started_at, elapsed_ms")
        after = dt.datetime.now(dt.UTC)
        assert before <= started <= after
        assert 0 < elapsed <= (after - before).total_seconds() * 1000
        assert scan_of(rows, "elapsed_ms") == (elapsed,)

    def test_one_that_a_limit_closed_tells_what_it_read(self, rows: Rows) -> None:
        rows(f"FROM {SOURCE} LIMIT 5")

        state, pages, read, truncated = scan_of(rows, "state, pages, rows, truncated")
        assert (state, truncated) == ("closed", False)
        assert read == min(pages * 10, 25)
        assert pages < 3

    def test_one_that_failed_tells_how_far_it_came(self, con: Con, rows: Rows, api: FakeApi) -> None:
        table = Table(ITEMS, paging="link")
        api.routes["/items"] = lambda request: (
            httpx.Response(403) if request.url.params.get("page") == "3" else table.answer(request)
        )
        with pytest.raises(duckdb.Error):
            con.execute(f"FROM {SOURCE}").fetchall()

        assert scan_of(rows, "state, trips, failed_trips, pages, requests") == ("failed", 1, 1, 2, 3)

    def test_one_that_was_refused_before_it_began_is_none(self, con: Con, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match="answered 403"):
            con.execute("FROM apikit('shop', '/broken')")

        assert rows("FROM apikit_scans()") == []

    def test_one_of_a_failed_statement_does_not_go_with_its_transaction(self, con: Con, rows: Rows) -> None:
        con.execute("BEGIN")
        rows(f"FROM {SOURCE}")
        con.execute("ROLLBACK")

        assert scan_of(rows, "state") == ("done",)

    def test_rows_are_those_that_passed_the_filter(self, rows: Rows) -> None:
        rows(f"FROM {SOURCE} WHERE id >= 20")

        assert scan_of(rows, "pages, rows") == (3, 5)

    def test_attempts_are_told(self, rows: Rows, api: FakeApi) -> None:
        api.trouble.extend([httpx.Response(500), httpx.ConnectError("refused")])

        rows(f"FROM {SOURCE}")

        assert scan_of(rows, "state, pages, requests, retries") == ("done", 3, 5, 2)

    def test_seconds_that_the_api_asked_to_wait_are_told(self, rows: Rows, api: FakeApi) -> None:
        api.trouble.append(httpx.Response(429, headers={"retry-after": "1"}))

        rows(f"FROM {SOURCE}")

        throttled, elapsed, retries = scan_of(rows, "throttled_seconds, elapsed_ms, retries")
        assert 1 <= throttled < 3
        assert elapsed >= 1000
        assert retries == 1

    @pytest.mark.parametrize(("pages", "truncated"), [(1, True), (2, True), (3, False), (4, False)])
    def test_one_that_pages_stopped_is_truncated(self, rows: Rows, pages: int, *, truncated: bool) -> None:
        rows(f"FROM {ITEMS_OF.format('/items', f', pages := {pages}')}")

        assert scan_of(rows, "state, pages, truncated") == ("done", min(pages, 3), truncated)

    @pytest.mark.parametrize("pages", ["1", "2"])
    def test_a_trip_of_several_that_pages_stopped_truncates_the_scan(
        self, rows: Rows, api: FakeApi, pages: str
    ) -> None:
        api.routes["/k/b"] = Table(ITEMS[:4], page_size=2, paging="link")

        rows(f"FROM {by_keys('a', 'b', options=f', pages := {pages}')}")

        assert scan_of(rows, "truncated") == (pages == "1",)

    @pytest.mark.parametrize(
        ("options", "pagination"),
        [
            ("", LINK),
            (", pagination := 'link'", "link"),
            (", pagination := {strategy: 'page', page_param: 'page'}", "page"),
        ],
    )
    def test_the_pagination_is_told_with_its_evidence(
        self, con: Con, rows: Rows, options: str, pagination: str
    ) -> None:
        con.execute(f"FROM {ITEMS_OF.format('/items', options)}").fetchall()

        assert scan_of(rows, "pagination") == (pagination,)

    def test_pagination_that_was_not_found_is_told_too(self, rows: Rows) -> None:
        rows(f"FROM {ITEMS_OF.format('/k/a', '')}")

        assert scan_of(rows, "pagination") == ("none (no sign of further pages)",)

    def test_the_scan_of_inferred_columns_tells_its_pagination_and_pages(self, rows: Rows) -> None:
        rows("FROM apikit('shop', '/items')")

        assert scan_of(rows, "pagination, pages, rows") == (LINK, 3, 25)

    def test_trips_are_told(self, rows: Rows) -> None:
        with pytest.warns(ApikitWarning, match="2 of 3 trips failed"):
            rows(f"FROM {by_keys('a', 'b', '7', options=', on_error := $$skip$$')}")

        assert scan_of(rows, "path, state, trips, failed_trips, pages, rows") == ("/k/{k}", "done", 3, 2, 1, 3)

    def test_one_is_there_while_it_runs(self, con: Con, rows: Rows, api: FakeApi) -> None:
        # given a scan that waits for its second page
        table, may_answer, was_asked = Table(ITEMS, paging="link"), threading.Event(), threading.Event()

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.params.get("page") == "2":
                was_asked.set()
                may_answer.wait(10)
            return table.answer(request)

        api.routes["/items"] = answer
        found: list[tuple[Any, ...]] = []
        reader = threading.Thread(target=lambda: found.extend(con.cursor().execute(f"FROM {SOURCE}").fetchall()))
        reader.start()
        assert was_asked.wait(10)

        # when the scans are read meanwhile
        state, pages, first = scan_of(rows, "state, pages, elapsed_ms")
        second = scan_of(rows, "elapsed_ms")[0]
        may_answer.set()
        reader.join(10)

        # then it was running, and is done afterwards
        assert (state, pages) == ("running", 1)
        assert 0 < first < second
        assert len(found) == 25
        assert scan_of(rows, "state, pages") == ("done", 3)

    def test_the_newest_comes_last(self, rows: Rows) -> None:
        for path in ("/k/a", "/items", "/k/a"):
            rows(f"FROM {ITEMS_OF.format(path, '')}")

        assert rows("SELECT path FROM apikit_scans()") == [("/k/a",), ("/items",), ("/k/a",)]
        assert rows("SELECT path FROM apikit_scans() ORDER BY started_at DESC LIMIT 2") == [("/k/a",), ("/items",)]

    @pytest.mark.parametrize(
        ("condition", "count"),
        [
            ("state = 'done'", 2),
            ("state = 'failed'", 0),
            ("path IN ('/items', '/x')", 1),
            ("pages > 1 AND NOT truncated", 1),
            ("rows >= 25 OR rows < 0", 1),
            ("started_at > now() - INTERVAL 1 HOUR", 2),
            ("started_at > TIMESTAMPTZ '2200-01-01'", 0),
            ("drifted = '{}'", 2),
            ("drifted IS NULL", 0),
            ("json_extract(unseen_fields, '$.x') IS NULL", 2),
            ("pagination LIKE 'link%'", 1),
            ("throttled_seconds = 0.0", 2),
        ],
    )
    def test_it_is_filtered_as_any_table(self, rows: Rows, condition: str, count: int) -> None:
        rows(f"FROM {SOURCE}")
        rows(f"FROM {ITEMS_OF.format('/k/a', '')}")

        assert len(rows(f"FROM apikit_scans() WHERE {condition}")) == count
        assert rows(f"SELECT count(*) FROM apikit_scans() WHERE {condition}") == [(count,)]
        assert len(rows(f"SELECT connector FROM apikit_scans() WHERE {condition}")) == count

    def test_json_columns_are_read_alone(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/items"] = Table([*ITEMS, {"id": "x"}], paging="link")
        with pytest.warns(ApikitWarning, match="1 values do not fit"):
            rows(f"FROM {ITEMS_OF.format('/items', ', on_drift := $$null$$')}")

        assert rows("SELECT drifted ->> 'id' FROM apikit_scans() WHERE (drifted ->> 'id')::INT = 1") == [("1",)]
        assert json.loads(rows("SELECT drifted FROM apikit_scans() WHERE drifted != '{}'")[0][0]) == {"id": 1}

    def test_reading_it_sends_nothing_and_is_no_scan(self, con: Con, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {SOURCE}")
        sent = len(api.seen)

        con.execute("EXPLAIN FROM apikit_scans()")
        con.execute("CREATE VIEW scans AS FROM apikit_scans()")
        rows("FROM apikit_scans() a JOIN apikit_errors() b USING (path)")
        rows("FROM scans")

        assert len(api.seen) == sent
        assert rows("SELECT count(*) FROM apikit_scans()") == [(1,)]

    def test_a_view_and_a_prepared_statement_show_what_happened_since(self, con: Con, rows: Rows) -> None:
        con.execute("CREATE VIEW scans AS SELECT count(*) FROM apikit_scans()")
        con.execute("PREPARE counted AS SELECT count(*) FROM apikit_scans()")

        for count in (1, 2):
            rows(f"FROM {SOURCE}")
            assert rows("FROM scans") == rows("SELECT count(*) FROM apikit_scans()") == [(count,)]
            assert rows("EXECUTE counted") == [(count,)]

    def test_a_table_is_made_of_it(self, con: Con, rows: Rows) -> None:
        rows(f"FROM {SOURCE}")
        con.execute("CREATE TABLE kept AS FROM apikit_scans()")

        assert rows("SELECT path, pages, drifted FROM kept") == [("/items", 3, "{}")]

    def test_sessions_have_scans_of_their_own(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {SOURCE}")

        other = Session(transport=api.transport())
        with duckdb.connect() as elsewhere:
            apikit_sql.install(elsewhere, session=other)
            assert elsewhere.execute("FROM apikit_scans()").fetchall() == []
        assert scan_of(rows, "state") == ("done",)

    def test_connections_of_ours_and_files_have_it_too(self, session: Session, rows: Rows, tmp_path: Path) -> None:
        rows(f"FROM {SOURCE}")

        with apikit_sql.connect(tmp_path / "mine.db", session=session) as con:
            assert con.execute("SELECT path FROM apikit_scans()").fetchall() == [("/items",)]
            assert con.execute("FROM apikit_errors()").fetchall() == []


class TestErrors:
    def test_its_columns(self, rows: Rows) -> None:
        assert rows("SELECT column_name, column_type FROM (DESCRIBE FROM apikit_errors())") == [
            ("failed_at", "TIMESTAMP WITH TIME ZONE"),
            ("connector", "VARCHAR"),
            ("path", "VARCHAR"),
            ("keys", "JSON"),
            ("pages", "BIGINT"),
            ("status", "BIGINT"),
            ("error", "VARCHAR"),
            ("message", "VARCHAR"),
            ("skipped", "BOOLEAN"),
        ]

    def test_there_is_none_while_all_goes_well(self, rows: Rows) -> None:
        rows(f"FROM {SOURCE}")

        assert rows("FROM apikit_errors()") == []

    def test_a_trip_that_was_skipped_is_told_with_its_key(self, rows: Rows) -> None:
        before = dt.datetime.now(dt.UTC)
        with pytest.warns(ApikitWarning, match="1 of 2 trips failed"):
            rows(f"FROM {by_keys('a', 'b', options=', on_error := $$skip$$')}")

        ((failed_at, *found),) = rows("FROM apikit_errors()")
        assert before <= failed_at <= dt.datetime.now(dt.UTC)
        assert found == [
            "shop",
            "/k/b",
            '{"k": "b"}',
            0,
            404,
            "RequestError",
            "shop: GET /k/b answered 404",
            True,
        ]

    def test_a_trip_that_ended_its_scan_is_told_too(self, con: Con, rows: Rows) -> None:
        with pytest.raises(duckdb.Error):
            con.execute(f"FROM {ITEMS_OF.format('/broken', '')}").fetchall()

        assert rows("SELECT path, keys, status, error, skipped FROM apikit_errors()") == [
            ("/broken", "{}", 403, "RequestError", False)
        ]
        ((message,),) = rows("SELECT message FROM apikit_errors()")
        assert message.startswith("shop: GET /broken answered 403 (no way)")

    def test_no_answer_has_no_status(self, con: Con, rows: Rows, api: FakeApi) -> None:
        api.trouble.extend([httpx.ConnectError("refused")] * 3)
        with pytest.raises(duckdb.Error):
            con.execute(f"FROM {SOURCE}").fetchall()

        assert rows("SELECT status, pages FROM apikit_errors()") == [(None, 0)]

    def test_a_limit_that_closes_a_scan_is_no_error(self, rows: Rows) -> None:
        rows(f"FROM {SOURCE} LIMIT 1")

        assert rows("FROM apikit_errors()") == []

    @pytest.mark.parametrize(
        ("condition", "count"),
        [
            ("status = 404", 1),
            ("status IN (404, 410)", 2),
            ("keys ->> 'k' = 'b'", 1),
            ("""keys = '{"k": "b"}'""", 1),
            ("keys IS NOT NULL", 2),
            ("skipped", 2),
            ("skipped = false", 0),
            ("NOT skipped", 0),
            ("error LIKE 'Request%'", 2),
            ("failed_at > now() - INTERVAL 1 HOUR", 2),
            ("pages > 0", 0),
        ],
    )
    def test_it_is_filtered_as_any_table(self, rows: Rows, condition: str, count: int) -> None:
        with pytest.warns(ApikitWarning, match="2 of 3 trips failed"):
            rows(f"FROM {by_keys('a', 'b', '7', options=', on_error := $$skip_missing$$')}")

        assert len(rows(f"FROM apikit_errors() WHERE {condition}")) == count
        assert rows(f"SELECT count(*) FROM apikit_errors() WHERE {condition}") == [(count,)]
        assert len(rows(f"SELECT path FROM apikit_errors() WHERE {condition}")) == count

    def test_keys_make_the_next_try(self, con: Con, rows: Rows, api: FakeApi) -> None:
        # given two keys that were missing, and are there by now
        with pytest.warns(ApikitWarning, match="2 of 3 trips failed"):
            rows(f"FROM {by_keys('a', 'b', '7', options=', on_error := $$skip_missing$$')}")
        api.routes |= {"/k/b": Table([{"id": 2}]), "/k/7": Table([{"id": 7}])}

        con.execute("SET VARIABLE again = (SELECT list({k: keys ->> 'k'}) FROM apikit_errors())")
        found = rows(f"SELECT k, id FROM {ITEMS_OF.format('/k/{k}', ', keys := getvariable($$again$$)')}")

        assert found == [("b", 2), ("7", 7)]


@pytest.mark.parametrize(("newest", "kept"), [(0, 0), (2, 2), (5, 3)])
def test_only_the_newest_are_told(rows: Rows, newest: int, kept: int) -> None:
    for number in range(3):
        rows(f"SELECT count(*) FROM {ITEMS_OF.format('/items', f', pages := {number + 1}')}")

    found = rows(f"SELECT pages FROM apikit_scans({newest}) ORDER BY started_at")

    assert found == [(number,) for number in range(4 - kept, 4)]
    assert rows(f"SELECT count(*) FROM apikit_errors(newest := {newest})") == [(0,)]


@pytest.mark.parametrize("newest", ["-1", "'many'", "1.5", "true"])
def test_what_is_no_number_of_rows_is_refused(rows: Rows, newest: str) -> None:
    for function in ("apikit_scans", "apikit_requests", "apikit_errors"):
        with pytest.raises(duckdb.Error, match=rf"{function}: newest is .*, not a number of rows\."):
            rows(f"FROM {function}(newest := {newest})")


# ---- requests


def test_a_request_is_a_row_with_its_status_its_bytes_and_its_attempt(rows: Rows, api: FakeApi) -> None:
    api.trouble.append(httpx.Response(503))

    rows(f"FROM {SOURCE}")

    found = rows("SELECT connector, method, url, status, attempt FROM apikit_requests()")
    urls = [f"https://shop.test/items{query}" for query in ("", "", "?page=2", "?page=3")]
    assert sorted(found) == sorted(
        ("shop", "GET", url, status, attempt)
        for url, status, attempt in zip(urls, (503, 200, 200, 200), (1, 2, 1, 1), strict=True)
    )
    sizes: dict[Any, Any] = dict(rows("SELECT url, bytes FROM apikit_requests() WHERE status = 200"))
    assert sizes[urls[2]] == len(Table(ITEMS, paging="link").answer(httpx.Request("GET", urls[2])).content)


def test_a_request_without_an_answer_has_no_status(rows: Rows, api: FakeApi) -> None:
    api.trouble.extend([httpx.ConnectError("refused")] * 3)

    with pytest.raises(duckdb.Error):
        rows(f"FROM {SOURCE}")

    assert rows("SELECT status, attempt FROM apikit_requests()") == [(None, 1), (None, 2), (None, 3)]


def test_a_secret_in_a_url_is_masked(
    con: Con, rows: Rows, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYED_KEY", "s3cr3t-k3y")
    file = tmp_path / "keyed.toml"
    auth = 'auth = { type = "apikey", api_key = "env:KEYED_KEY", api_key_query_param = "key" }'
    file.write_text(f'name = "keyed"\nbase_url = "https://keyed.test"\n{auth}\n', encoding="utf-8")
    apikit_sql.install(con, session=session, connectors=[file])

    rows("FROM apikit('keyed', '/items', columns := {id: 'BIGINT'}, pages := 1)")

    ((url,),) = rows("SELECT url FROM apikit_requests()")
    assert url.startswith("https://keyed.test/items?key=")
    assert "s3cr3t" not in url


def test_only_the_newest_requests_are_asked_for(rows: Rows) -> None:
    rows(f"FROM {ITEMS_OF.format('/items', ', concurrency := 1')}")

    assert rows("SELECT url FROM apikit_requests(newest := 1)") == [("https://shop.test/items?page=3",)]
    assert rows("SELECT count(*) FROM apikit_requests(newest := 0)") == [(0,)]


# ---- limits


def test_a_limit_has_what_the_api_has_told(rows: Rows, api: FakeApi) -> None:
    reset = int(dt.datetime(2040, 1, 1, tzinfo=dt.UTC).timestamp())
    told = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "41", "x-ratelimit-reset": str(reset)}
    api.routes["/told"] = httpx.Response(200, json=[{"id": 1}], headers=told)

    rows(f"FROM {ITEMS_OF.format('/told', '')}")

    assert rows("FROM apikit_rate_limits(connector := 'shop')") == [
        ("shop", "https://shop.test", "none", 60, 41, dt.datetime(2040, 1, 1, tzinfo=dt.UTC), 0.0, None)
    ]


def test_a_limit_of_which_nothing_was_told_is_there_and_a_used_up_one_tells_its_wait(rows: Rows, api: FakeApi) -> None:
    rows("FROM apikit('https://quiet.test:8443', '/items', columns := {id: 'BIGINT'})")
    api.routes["/told"] = httpx.Response(200, json=[], headers={"ratelimit-remaining": "0", "ratelimit-reset": "1000"})
    rows("FROM apikit('https://busy.test', '/told', columns := {id: 'BIGINT'})")

    quiet, busy = rows('SELECT origin, "limit", remaining, wait_seconds FROM apikit_rate_limits() ORDER BY origin DESC')

    assert quiet == ("https://quiet.test:8443", None, None, 0.0)
    assert busy[:3] == ("https://busy.test", None, 0)
    assert 900 < busy[3] <= 1000


def test_a_refusal_tells_how_many_may_be_under_way(rows: Rows, api: FakeApi) -> None:
    api.trouble.append(httpx.Response(429))

    rows(f"FROM {ITEMS_OF.format('/k/a', ', concurrency := 1')}")

    ((at_once,),) = rows("SELECT at_once FROM apikit_rate_limits()")
    assert at_once is not None


def test_two_credentials_of_one_api_have_a_limit_each(con: Con, rows: Rows, session: Session, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\nbase_url = "https://same.test"\n'
            f'auth = {{ type = "bearer", token = "env:TOKEN_{name.upper()}", optional = true }}\n',
            encoding="utf-8",
        )
    apikit_sql.install(con, session=session, connectors=[tmp_path / "one.toml", tmp_path / "two.toml"])

    for name in ("one", "two"):
        rows(f"FROM apikit('{name}', '/items', columns := {{id: 'BIGINT'}})")

    found = rows("SELECT connector, origin, credential FROM apikit_rate_limits() ORDER BY 1")
    assert found == [("one", "https://same.test", "env:TOKEN_ONE"), ("two", "https://same.test", "env:TOKEN_TWO")]


# ---- the newest error


def test_there_is_no_error_before_there_was_one(rows: Rows) -> None:
    assert rows("FROM apikit_last_error()") == []


def test_the_newest_error_is_whole(rows: Rows) -> None:
    for path in ("/broken", "/k/b"):
        with pytest.raises(duckdb.Error):
            rows(f"FROM {ITEMS_OF.format(path, '')}")

    assert rows("FROM apikit_last_error()") == [
        ("RequestError", "shop: GET /k/b answered 404", 404, "https://shop.test/k/b", None)
    ]


def test_the_newest_of_a_class_may_be_an_older_one(rows: Rows, api: FakeApi) -> None:
    api.routes["/busy"] = httpx.Response(429, headers={"retry-after": "100"})
    with pytest.raises(duckdb.Error):
        rows(f"FROM {ITEMS_OF.format('/busy', '')}")
    with pytest.raises(duckdb.Error):
        rows("FROM apikit('nosuch', '/items')")

    ((newest,),) = rows("SELECT error FROM apikit_last_error()")
    ((limit, status, wait),) = rows("SELECT error, status, retry_after FROM apikit_last_error('RateLimitError')")

    assert newest == "CallError"  # installed with the one connector
    assert (limit, status) == ("RateLimitError", 429)
    assert 90 < wait <= 100


# ---- help


def test_help_lists_every_function_that_duckdb_has_of_ours(rows: Rows) -> None:
    listed = rows("SELECT function FROM apikit_help()")

    known = rows("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_name LIKE 'apikit%'")
    assert sorted(listed) == sorted(known)
    assert rows("SELECT count(*) FROM apikit_help() WHERE help = '' OR signature NOT LIKE function || '(%'") == [(0,)]


def test_help_can_be_asked_of_one(rows: Rows) -> None:
    assert rows("SELECT gives FROM apikit_help('apikit_fetch')") == [("JSON[]",)]
    assert rows("SELECT gives FROM apikit_help(name := 'apikit')") == [("TABLE",)]
    assert rows("FROM apikit_help('nosuch')") == []
