"""apikit_post, put, patch, delete: where they may be called, how often the API sees each row, and what a row tells."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.sql.database import database_of
from tests.fakes.api import Answer, FakeApi

pytestmark = pytest.mark.own_database  # for a database remembers the calls of its statements

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
IS_1_4 = duckdb.__version__.startswith("1.4")
API = "https://api.test"
SECRET = "t0k3n-t0k3n-t0k3n"
ONLY_INSIDE = r"sends only inside CREATE TABLE \.\.\. AS, INSERT or COPY; "
MANIFEST = f"""
base_url = "{API}"
auth = {{ type = "bearer", token = "env:ACME_TOKEN" }}
retry = {{ min_wait = 0, jitter = 0 }}
"""
#: A call that tells the API the number of its row.
P = f"apikit_post('{API}', '/items', {{n: i}})"


NO = httpx.Response(422, json={"message": "no"})
MOVED = httpx.Response(302, headers={"location": "/x"})


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": httpx.Response(201, json={"ok": True})})


@pytest.fixture
def con(con: Con, session: Session) -> Con:
    """A connection that may change the API, with a table of ten numbers and one of five thousand (three vectors)."""
    apikit_sql.install(con, session=session, allow_mutations=[API])
    con.execute("CREATE TABLE few AS SELECT i::INT AS i FROM range(10) t(i)")
    con.execute("CREATE TABLE many AS SELECT i::INT AS i FROM range(5_000) t(i)")
    return con


def seen(api: FakeApi) -> Counter[int]:
    """How often the API saw each row."""
    return Counter(json.loads(request.content)["n"] for request in api.seen)


#: A query as the source of CREATE TABLE AS, and how often the API sees each of the ten rows: (rows seen, times each).
COUNTS = {
    "a column": (f"SELECT {P} r FROM few", (10, 1)),
    "a field": (f"SELECT ({P}).status s FROM few", (10, 1)),
    "fields, taken apart outside": (f"SELECT r.status, r.error FROM (SELECT {P} AS r FROM few)", (10, 1)),
    "fields, by unnest outside": (f"SELECT unnest(r) FROM (SELECT {P} AS r FROM few)", (10, 1)),
    "a list of it, unnested": (f"SELECT unnest([{P}], max_depth := 2) FROM few", (10, 1)),
    "a filter on the outcome": (f"FROM (SELECT {P} AS r FROM few) WHERE r.status = 201 AND r.error IS NULL", (10, 1)),
    "a filter by IN on the outcome": (f"FROM (SELECT i, {P} AS r FROM few) WHERE r.status IN (200, 201, 204)", (10, 1)),
    "a filter on another column": (f"SELECT r FROM (SELECT i, {P} AS r FROM few) WHERE i < 5", (5, 1)),
    "WHERE false": (f"SELECT {P} r FROM few WHERE false", (0, 0)),
    "a dead branch": (f"SELECT CASE WHEN false THEN {P} END r FROM few", (0, 0)),
    "a branch of some rows": (f"SELECT CASE WHEN i < 4 THEN {P} END r FROM few", (4, 1)),
    "two branches": (f"SELECT CASE WHEN i < 4 THEN {P} ELSE {P} END r FROM few", (10, 1)),
    "AND": (f"SELECT i FROM few WHERE i < 4 AND ({P}).status = 201", (4, 1)),
    "LIMIT 0": (f"SELECT {P} r FROM few LIMIT 0", (0, 0)),
    "LIMIT": (f"SELECT {P} r FROM many LIMIT 5", (5, 1)),
    "LIMIT below": (f"SELECT {P} r FROM (FROM few ORDER BY i LIMIT 5)", (5, 1)),
    "ORDER BY and LIMIT": (f"SELECT {P} r FROM few ORDER BY i LIMIT 5", (10, 1)),
    "ORDER BY the outcome": (f"SELECT i, {P} r FROM few ORDER BY r", (10, 1)),
    "OFFSET": (f"SELECT {P} r FROM few OFFSET 5", (10, 1)),
    "count(*)": (f"SELECT count(*) c FROM (SELECT {P} r FROM few)", (0, 0)),
    "a column that nobody reads": (f"SELECT i FROM (SELECT i, {P} r FROM few)", (0, 0)),
    "EXISTS": (f"SELECT 1 AS x WHERE EXISTS (SELECT {P} FROM few)", (0, 0)),
    "two aggregates": (f"SELECT count(r), max(r.status) m FROM (SELECT {P} r FROM few)", (10, 1)),
    "GROUP BY ALL": (f"SELECT {P} r, count(*) c FROM few GROUP BY ALL", (10, 1)),
    "DISTINCT": (f"SELECT DISTINCT {P} r FROM few", (10, 1)),
    "a window": (f"SELECT row_number() OVER (ORDER BY i) w, {P} r FROM few", (10, 1)),
    "UNION ALL": (f"SELECT {P} r FROM few UNION ALL SELECT {P} FROM few", (10, 2)),
    "a CTE, used twice": (f"WITH c AS (SELECT i, {P} r FROM few) SELECT a.r FROM c a JOIN c b USING (i)", (10, 1)),
    "a CTE, not materialized": (
        f"WITH c AS NOT MATERIALIZED (SELECT i, {P} r FROM few) SELECT a.r FROM c a JOIN c b USING (i)",
        (10, 1),
    ),
    "a join that drops rows": (
        f"SELECT r FROM (SELECT i, {P} r FROM few) JOIN range(3) t(i) USING (i)",
        (10 if IS_1_4 else 3, 1),
    ),
    "a join on the outcome": (f"SELECT s FROM (SELECT {P} r FROM few) JOIN (SELECT 201 s) ON r.status = s", (10, 1)),
    "a subquery of each row": (f"SELECT (SELECT {P}) r FROM few", (10, 1)),
    "LATERAL": (f"SELECT i, r FROM few, LATERAL (SELECT {P} AS r)", (10, 1)),
    "recursion": (
        f"""WITH RECURSIVE t(i, s) AS (
            SELECT 0, ({P}).status FROM (SELECT -1 i) UNION ALL SELECT i + 1, ({P}).status FROM t WHERE i < 4
        ) FROM t""",
        (5, 1),
    ),
    "equal rows": (f"SELECT apikit_post('{API}', '/items', {{n: 1}}) r FROM few", (1, 10)),
    "five thousand rows": (f"SELECT {P} r FROM many", (5_000, 1)),
    # what DuckDB copies after it has planned it
    "a field, asked for by IN": (f"SELECT ({P}).status IN (1, 2, 3) c FROM few", (10, 1)),
    "fields, asked for by IN": (f"SELECT (({P}).status, i) IN ((1, 2), (3, 4)) c FROM few", (10, 1)),
    "a field, asked for by IN of a list": (f"SELECT ({P}).status IN [1, 2, 3] c FROM few", (10, 1)),
    "five thousand rows, asked for by IN": (f"SELECT ({P}).status IN (1, 2, 3) c FROM many", (5_000, 1)),
    "a field, asked for by HAVING": (f"SELECT ({P}).status s, count(*) c FROM few GROUP BY s HAVING s = 201", (10, 1)),
    "a filter on what a lambda has called": (
        f"""SELECT r[1].status s FROM (
            SELECT list_transform([i, i + 100], lambda x: apikit_post('{API}', '/items', {{n: x}})) r FROM few
        ) WHERE r[1].status = 201 AND len(r) > 0""",
        (20, 1),
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_how_often_the_api_sees_each_row(rows: Rows, api: FakeApi, name: str) -> None:
    query, expected = COUNTS[name]

    rows(f"CREATE TABLE sent AS {query}")

    found = seen(api)
    assert (len(found), max(found.values(), default=0), min(found.values(), default=0)) == (*expected, expected[1])


COPIED = {
    "CASE": f"SELECT CASE ({P}).status WHEN 1 THEN 1 WHEN 2 THEN 2 END c FROM few",
    "nullif": f"SELECT nullif(({P}).status, 0) c FROM few",
    "a macro of the user's": f"SELECT twice(({P}).status) c FROM few",
    "a macro of DuckDB's": f"SELECT json_group_array(({P}).status) c FROM few",
    "COLUMNS": f"SELECT COLUMNS(*) + ({P}).status FROM (SELECT i, i AS j FROM few)",
    "unnest": f"SELECT unnest({P}) FROM few",
}


@pytest.mark.parametrize("name", COPIED)
def test_what_duckdb_copies_before_it_plans_it_is_refused(con: Con, api: FakeApi, name: str) -> None:
    con.execute("CREATE MACRO twice(x) AS x + x")

    with pytest.raises(duckdb.Error, match="Call it in a subquery"):
        con.execute(f"CREATE TABLE sent AS {COPIED[name]}")

    assert api.seen == []


def test_what_is_refused_for_its_copies_is_sent_once_from_a_subquery(con: Con, api: FakeApi) -> None:
    con.execute(f"CREATE TABLE sent AS SELECT CASE r.status WHEN 201 THEN 1 END c FROM (SELECT {P} AS r FROM few)")

    assert seen(api) == Counter(range(10))
    assert con.execute("SELECT sum(c) FROM sent").fetchall() == [(10,)]


def test_a_copy_has_the_status_and_the_body_of_what_was_sent(con: Con) -> None:
    con.execute(f"CREATE TABLE sent AS SELECT ({P}).status IN (200, 201, 204) c FROM many")

    assert con.execute("SELECT c, count(*) FROM sent GROUP BY c").fetchall() == [(True, 5_000)]


@pytest.mark.parametrize("column", [f"CHECK (({P}).status = 201)", f"s INTEGER GENERATED ALWAYS AS (({P}).status)"])
def test_a_table_that_would_send_by_itself_is_refused_before_anything_is_sent(
    con: Con, api: FakeApi, column: str
) -> None:
    con.execute(f"CREATE TABLE odd (i INTEGER, {column})")

    with pytest.raises(duckdb.Error, match="has the call in its own text"):
        con.execute("INSERT INTO odd (i) SELECT i FROM few")

    assert api.seen == []


@pytest.mark.parametrize("kind", ["", "TEMP "])
@pytest.mark.parametrize("before", ["", "EXPLAIN ANALYZE "])
def test_sql_cannot_say_that_it_is_another_statement(con: Con, api: FakeApi, kind: str, before: str) -> None:
    con.execute(f"CREATE {kind}MACRO current_query() AS 'CREATE TABLE t AS SELECT 1'")

    with pytest.raises(duckdb.Error, match=ONLY_INSIDE):
        con.execute(f"{before}SELECT {P} FROM few").fetchall()

    assert api.seen == []


def test_an_equal_row_that_may_be_a_copy_is_told(con: Con, api: FakeApi) -> None:
    """Of equal rows in two vectors beside an IN the second may be a copy of DuckDB's; it is not sent, and says so."""
    same = f"apikit_post('{API}', '/items', {{n: 1}})"

    con.execute("SET threads = 1")
    con.execute(f"CREATE TABLE sent AS SELECT i IN (1, 2) c, {same} r FROM many")

    told = dict(con.execute("SELECT r.error, count(*) FROM sent GROUP BY 1").fetchall())
    assert told.keys() == {None, "not sent again: an equal row was, just before."}
    assert told[None] == len(api.seen)
    assert sum(told.values()) == 5_000


class TestStatements:
    """Which statements may send: those that DuckDB runs once."""

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE t AS SELECT {} r FROM few",
            "create or replace temp table t as from few select {} r",
            "-- SELECT\n/* é */ CREATE /* é */ OR REPLACE TEMPORARY TABLE t AS WITH c AS (SELECT {} FROM few) FROM c",
            "CREATE TABLE IF NOT EXISTS t AS SELECT {} r FROM few;",
            "INSERT INTO kept SELECT {} FROM few",
            "WITH c AS (SELECT {} r FROM few) INSERT INTO kept FROM c",
            "INSERT INTO kept SELECT {} FROM few RETURNING r.status",
            "COPY (SELECT {} FROM few) TO '{{folder}}/sent.csv'",
            "SELECT 1; CREATE TABLE t AS SELECT {} r FROM few; SELECT 2",
            "BEGIN; CREATE TABLE t AS SELECT {} r FROM few; COMMIT",
            "CREATE VIEW v AS SELECT {} r FROM few; CREATE TABLE t AS FROM v",
            "CREATE TABLE t AS FROM query('SELECT {} r FROM few')",
        ],
    )
    @pytest.mark.parametrize("run", ["execute", "sql"])
    def test_one_that_runs_once_sends_each_row_once(
        self, con: Con, api: FakeApi, tmp_path: Path, statement: str, run: str
    ) -> None:
        con.execute(f"CREATE TABLE kept AS SELECT {P} r FROM few LIMIT 0")
        text = statement.format(P.replace("'", "''") if "query(" in statement else P)

        result = getattr(con, run)(text.replace("{folder}", str(tmp_path)))
        if result is not None:  # to be shown twice is to be run once
            repr(result)
            result.fetchall()

        assert seen(api) == Counter(range(10))

    @pytest.mark.parametrize(
        ("statement", "this"),
        [
            ("SELECT {} FROM few", "this is a SELECT"),
            ("WITH c AS (SELECT {} r FROM few) SELECT r.status FROM c", "this is a SELECT"),
            ("/* CREATE TABLE t AS */ FROM few SELECT {}", "this is a SELECT"),
            ("CREATE TABLE t AS SELECT 1; SELECT {} FROM few", "this is a SELECT"),
            ("FROM query('SELECT {} FROM few')", "this is a SELECT"),
            ("CREATE VIEW v AS SELECT {} r FROM few; FROM v", "this is a SELECT"),
            ("SUMMARIZE SELECT {} r FROM few", "this is a SELECT"),
            ("EXPLAIN ANALYZE CREATE TABLE t AS SELECT {} r FROM few", "this is an EXPLAIN"),
            ("PREPARE p AS INSERT INTO few SELECT ({}).status FROM few; EXECUTE p", "this is an EXECUTE: say its"),
            ("CREATE TABLE u AS FROM few; UPDATE u SET i = ({}).status", "this is an UPDATE"),
            (
                "MERGE INTO few USING (SELECT i, ({}).status s FROM few) USING (i) WHEN MATCHED THEN UPDATE SET i = s",
                "this is a MERGE INTO",
            ),
            ("DELETE FROM few WHERE ({}).status = 201", "this is a DELETE"),
            ("SET VARIABLE v = (SELECT list({}) FROM few)", "this is a SET"),
            ("CREATE TYPE t AS ENUM (SELECT DISTINCT ({}).status::VARCHAR FROM few)", "this is a CREATE of something"),
            ("CREATE TYPE table_kinds AS ENUM (SELECT ({}).status::VARCHAR FROM few LIMIT 1)", "this is a CREATE of s"),
            ("CREATE TABLE t AS PIVOT (SELECT i, ({}).status s FROM few) ON s USING count(*)", "this "),
            ("INSERT INTO few SELECT 1 FROM (PIVOT (SELECT i, ({}).status s FROM few) ON s USING count(*))", "this "),
        ],
    )
    def test_any_other_is_refused_before_anything_is_sent(
        self, con: Con, api: FakeApi, statement: str, this: str
    ) -> None:
        text = statement.format(P.replace("'", "''") if "query(" in statement else P)

        with pytest.raises(duckdb.Error, match=ONLY_INSIDE + this):
            con.execute(text).fetchall()

        assert api.seen == []

    def test_a_relation_is_refused_each_time_it_is_shown(self, con: Con, api: FakeApi) -> None:
        relation = con.sql(f"SELECT {P} r FROM few")

        for show in (relation.fetchall, relation.fetchall):
            with pytest.raises(duckdb.Error, match=ONLY_INSIDE):
                show()
        assert api.seen == []

    @pytest.mark.parametrize("write", ["create", "insert_into", "to_table"])
    def test_a_relation_that_is_written_sends_where_duckdb_tells_the_statement(
        self, con: Con, api: FakeApi, write: str
    ) -> None:
        con.execute(f"CREATE TABLE sent AS SELECT {P} r FROM few LIMIT 0")
        relation, name = con.sql(f"SELECT {P} r FROM few"), "sent" if write == "insert_into" else "other"

        with contextlib.nullcontext() if IS_2 else pytest.raises(duckdb.Error, match="Write it out, as SQL"):
            getattr(relation, write)(name)

        assert seen(api) == Counter(range(10) if IS_2 else [])

    @pytest.mark.parametrize("word", ["EXPLAIN", "DESCRIBE"])
    def test_what_only_plans_sends_nothing(self, con: Con, api: FakeApi, word: str) -> None:
        statement = f"SELECT {P} r FROM few" if word == "DESCRIBE" else f"CREATE TABLE t AS SELECT {P} r FROM few"

        con.execute(f"{word} {statement}")
        con.execute(f"CREATE VIEW v AS SELECT {P} r FROM few")
        con.execute(f"PREPARE p AS SELECT {P} FROM few")

        assert api.seen == []

    def test_parameters_are_sent_with_each_execution(self, con: Con, api: FakeApi) -> None:
        con.execute(f"CREATE TABLE t AS SELECT apikit_post('{API}', '/items', {{n: ?::INT}}) r", [70])
        con.executemany(f"INSERT INTO t SELECT apikit_post('{API}', '/items', {{n: ?::INT}})", [[71], [72], [73]])

        assert seen(api) == Counter([70, 71, 72, 73])

    @pytest.mark.parametrize(
        "query", [f"SELECT unnest({P}) FROM few", f"SELECT unnest({P}, recursive := true) FROM few"]
    )
    def test_a_call_that_duckdb_would_copy_is_refused_before_anything_is_sent(
        self, con: Con, api: FakeApi, query: str
    ) -> None:
        with pytest.raises(duckdb.Error, match=r"apikit_post: DuckDB would call it 4 times for each row\. Call it in"):
            con.execute(f"CREATE TABLE t AS {query}")
        con.execute(f"CREATE VIEW v AS {query}")
        with pytest.raises(duckdb.Error, match="4 times for each row"):
            con.execute("CREATE TABLE t AS FROM v")

        assert api.seen == []

    def test_a_call_for_each_element_of_a_list_is_sent(self, con: Con, api: FakeApi) -> None:
        call = f"apikit_post('{API}', '/items', {{n: x}})"
        con.execute("CREATE TABLE lists AS SELECT i, range(i, i + 1) AS l FROM range(2_500) t(i)")

        con.execute(f"CREATE TABLE t AS SELECT list_transform(l, lambda x: {call}) r FROM lists")

        assert seen(api) == Counter(range(2_500))

    def test_a_statement_that_is_too_long_to_be_looked_at_is_refused(self, con: Con, api: FakeApi) -> None:
        values = ", ".join(f"({n})" for n in range(4_000))

        with pytest.raises(duckdb.Error, match="apikit_post: the statement is too long"):
            con.execute(f"CREATE TABLE t AS SELECT {P} r FROM (VALUES {values}) v(i)")
        assert api.seen == []

    def test_where_statements_run_once_a_select_sends(self, con: Con, session: Session, api: FakeApi) -> None:
        database = database_of(con)
        assert database is not None
        database.permissions = replace(database.permissions, runs_once=True)
        apikit_sql.install(con, session=session)

        assert con.execute(f"SELECT ({P}).status FROM few").fetchall() == [(201,)] * 10
        assert seen(api) == Counter(range(10))

    def test_more_statements_than_are_remembered_are_told_apart(
        self, con: Con, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apikit_sql.sql.mutation_calls._MOST", 100)
        con.execute(f"CREATE TABLE t AS SELECT {P} r FROM few LIMIT 0")

        for n in range(220):
            con.execute(f"INSERT INTO t SELECT apikit_post('{API}', '/items', {{n: {n}}})")

        assert seen(api) == Counter(range(220))


class TestPermission:
    def test_nothing_may_be_changed_unless_it_is_allowed(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session)

        for name, call in ((API, f"apikit_put('{API}/v1', '/items')"), ("github", "apikit_put('github', '/items')")):
            with pytest.raises(duckdb.Error) as caught:
                con.execute(f"CREATE TABLE t AS SELECT {call}")
            text = f"apikit_put: {name} may only be read. Else say install(con, allow_mutations=['{name}'])."
            assert text in str(caught.value)
        assert api.seen == []

    def test_an_origin_allows_every_path_below_it(self, con: Con, api: FakeApi) -> None:
        con.execute(f"CREATE TABLE t AS SELECT apikit_delete('{API}:443/v1', '/items')")

        assert [(request.method, str(request.url)) for request in api.seen] == [("DELETE", f"{API}/v1/items")]

    def test_installing_again_keeps_it_and_an_empty_list_takes_it_away(
        self, con: Con, session: Session, api: FakeApi
    ) -> None:
        apikit_sql.install(con, session=session)
        con.execute(f"CREATE TABLE t AS SELECT {P} r FROM few")
        apikit_sql.install(con, session=session, allow_mutations=[])

        with pytest.raises(duckdb.Error, match="may only be read"):
            con.execute(f"INSERT INTO t SELECT {P} FROM few")
        assert len(api.seen) == 10

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("github", "allow_mutations: 'github' is one; write a list of them"),
            ([f"{API}/v1"], "allow_mutations: 'https://api.test/v1' is not an origin alone"),
            (["no_such"], "no_such"),
        ],
    )
    def test_what_is_no_connector_is_refused(self, con: Con, given: Any, message: str) -> None:
        with pytest.raises(apikit_sql.ConfigError, match=message):
            apikit_sql.install(con, allow_mutations=given)

    def test_connect_takes_it_too(self, session: Session, api: FakeApi) -> None:
        with apikit_sql.connect(session=session, allow_mutations=[API]) as con:
            con.execute(f"CREATE TABLE t AS SELECT {P} r FROM range(3) r(i)")
            with pytest.raises(apikit_sql.CallError, match=ONLY_INSIDE):
                con.execute(f"SELECT {P} FROM range(3) r(i)")

        assert seen(api) == Counter(range(3))

    def test_without_network_nothing_is_sent(self, con: Con, session: Session, api: FakeApi) -> None:
        apikit_sql.install(con, session=session, allow_network=False)

        with pytest.raises(duckdb.Error, match="sends nothing while enable_external_access is false"):
            con.execute(f"CREATE TABLE t AS SELECT {P} r FROM few")
        assert api.seen == []

    def test_a_credential_that_is_not_there_stops_the_statement_before_anything_is_sent(
        self, con: Con, session: Session, api: FakeApi, tmp_path: Path
    ) -> None:
        (tmp_path / "acme.toml").write_text(MANIFEST)
        apikit_sql.install(con, session=session, connectors=[tmp_path / "acme.toml"], allow_mutations=[API, "acme"])

        with pytest.raises(duckdb.Error, match="acme: env:ACME_TOKEN is not set"):
            con.execute(f"CREATE TABLE t AS SELECT apikit_post(c, '/items') FROM (VALUES ('{API}'), ('acme')) t(c)")
        assert api.seen == []

    def test_a_connector_that_comes_later_and_may_not_be_changed_is_its_rows_own_affair(
        self, con: Con, api: FakeApi
    ) -> None:
        con.execute("SET threads = 1")
        con.execute(
            f"CREATE TABLE t AS SELECT apikit_post(if(i < 2500, '{API}', 'github'), '/items', {{n: i}}) r "
            "FROM range(3_000) t(i)"
        )

        assert con.execute("SELECT r.status, r.error[:47], count(*) FROM t GROUP BY ALL ORDER BY 1").fetchall() == [
            (201, None, 2_500),
            (None, "not sent: apikit_post: github may only be read.", 500),
        ]
        assert seen(api) == Counter(range(2_500))


class TestRows:
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_each_function_sends_its_method(self, con: Con, api: FakeApi, method: str) -> None:
        con.execute(
            f"CREATE TABLE t AS SELECT apikit_{method}('{API}', '/items', {{a: 1.50::DECIMAL(9,2), b: [NULL]}}, "
            "params := {'at': TIMESTAMPTZ '2026-01-31 01:02:03+02'}) AS r"
        )

        (request,) = api.seen
        assert (request.method, json.loads(request.content)) == (method.upper(), {"a": 1.5, "b": [None]})
        assert request.url.params["at"] == "2026-01-30T23:02:03Z"
        assert con.execute("SELECT typeof(r.status), typeof(r.body), r FROM t").fetchall() == [
            (
                "INTEGER",
                "JSON",
                {"status": 201, "body": '{"ok":true}', "error": None, "idempotency_key": None},
            )
        ]

    @pytest.mark.parametrize("given", ["NULL, '/items'", f"'{API}', NULL"])
    def test_nothing_to_ask_is_null(self, rows: Rows, con: Con, api: FakeApi, given: str) -> None:
        con.execute(f"CREATE TABLE t AS SELECT apikit_post({given}) AS r FROM few")

        assert rows("SELECT DISTINCT r FROM t") == [(None,)]
        assert api.seen == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("'items'", "the path 'items' must start with '/'"),
            ("'/a?b'", "has a '?' or '#'"),
            ("'/{x}', path_params := {x: NULL}", "path_params.x is NULL"),
            ("'/{x}'", "nothing fills {x} in /{x}"),
            ("'/items', 7", "body"),
            ("'/items', true", "body is a boolean"),
            ("'/items', {password: 'x'}", "the parameter 'password' carries a credential"),
            ("'/items', {a: 'env:HOME'}", "carries a credential, which SQL must not"),
            ("'/items', {a: 'nan'::DOUBLE}", "which JSON cannot say"),
            ("'/items', repeat('[', 5000) || repeat(']', 5000)", ""),
            ("'/items', ('{\"a\": ' || repeat('9', 5000) || '}')::JSON", ""),
            ("'/items', params := {a: {b: 1}}", "params.a is an object"),
            ("'/items', idempotency_key := 'mine'", "has no idempotency_header"),
            ("'/items', idempotency_key := true", "idempotency_key must be a text"),
        ],
    )
    def test_a_row_that_cannot_be_sent_says_why_and_the_others_are_sent(
        self, rows: Rows, con: Con, api: FakeApi, arguments: str, message: str
    ) -> None:
        con.execute(f"CREATE TABLE t AS SELECT 1 AS n, {P} AS r FROM few")
        con.execute(f"INSERT INTO t SELECT 2, apikit_post('{API}', {arguments})")

        ((error,),) = rows("SELECT r.error FROM t WHERE n = 2")
        assert error.startswith("not sent: ")
        assert message in error
        assert len(api.seen) == 10
        assert rows("SELECT message, skipped FROM apikit_errors()") == [(error, True)]

    def test_a_bad_row_among_good_ones_keeps_its_place(self, rows: Rows, con: Con, api: FakeApi) -> None:
        con.execute(
            f"CREATE TABLE t AS SELECT i, apikit_post('{API}', if(i % 3 = 0, 'bad', '/items'), {{n: i}}) r "
            "FROM range(3000) t(i)"
        )

        assert rows("SELECT count(*) FROM t WHERE r.error LIKE 'not sent: %' AND i % 3 = 0") == [(1000,)]
        assert rows("SELECT count(*) FROM t WHERE r.status = 201 AND i % 3 <> 0") == [(2000,)]
        assert seen(api) == Counter(i for i in range(3_000) if i % 3)

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            (httpx.Response(204), (204, None, None)),
            (httpx.Response(200), (200, None, None)),
            (
                httpx.Response(422, json={"message": "no"}),
                (422, '{"message":"no"}', "api.test: POST /items answered 422 (no)"),
            ),
            (
                httpx.Response(302, headers={"location": "/x"}),
                (302, None, "api.test: POST /items answered 302, a redirect, which is not followed."),
            ),
            (httpx.ReadTimeout("too late"), (None, None, "outcome unknown: api.test: POST /items: too late")),
        ],
    )
    def test_what_the_api_does_is_told(
        self, rows: Rows, con: Con, api: FakeApi, answer: Answer | Exception, expected: tuple[Any, ...]
    ) -> None:
        api.trouble.append(answer)

        con.execute(f"CREATE TABLE t AS SELECT unnest(r) FROM (SELECT {P} r FROM few LIMIT 1)")

        assert rows("SELECT status, body, error FROM t") == [expected]
        assert rows("SELECT method, status FROM apikit_requests()") == [("POST", expected[0])]
        assert rows("SELECT status, message FROM apikit_errors()") == (
            [(expected[0], expected[2])] if expected[2] else []
        )

    def test_stripe_gets_forms_and_a_key_for_each_row(
        self, rows: Rows, con: Con, session: Session, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STRIPE_API_KEY", SECRET)
        apikit_sql.install(con, session=session, allow_mutations=["stripe"])
        api.routes["/v1/customers"] = httpx.Response(200, json={"id": "cus_1"})

        con.execute(
            "CREATE TABLE t AS SELECT apikit_post('stripe', '/customers', {name: i, metadata: {k: [i]}}, "
            "idempotency_key := if(i = 0, 'mine', NULL)) AS r FROM range(3) x(i)"
        )

        sent = {request.headers["idempotency-key"]: request.content.decode() for request in api.seen}
        assert sent["mine"] == "name=0&metadata%5Bk%5D%5B0%5D=0"
        assert len(sent) == 3
        assert {key for (key,) in rows("SELECT r.idempotency_key FROM t")} == set(sent)
        assert {request.headers["content-type"] for request in api.seen} == {"application/x-www-form-urlencoded"}

    def test_no_error_tells_the_credential(
        self, con: Con, session: Session, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACME_TOKEN", SECRET)
        (tmp_path / "acme.toml").write_text(MANIFEST)
        apikit_sql.install(con, session=session, connectors=[tmp_path / "acme.toml"], allow_mutations=["acme"])
        api.trouble.extend(
            [
                httpx.Response(401, json={"message": f"bad {SECRET}"}),
                httpx.ReadError(SECRET),
                httpx.Response(500, text=SECRET),
            ]
        )

        con.execute("CREATE TABLE t AS SELECT apikit_post('acme', '/items', {n: i}) AS r FROM range(3) x(i)")

        assert con.execute("SELECT count(r.error) FROM t").fetchall() == [(3,)]
        for query in ("SELECT r.error FROM t", "FROM apikit_errors()", "FROM apikit_requests()"):
            assert SECRET not in str(con.execute(query).fetchall())

    def test_several_are_under_way_at_once(self, con: Con, api: FakeApi) -> None:
        lock, now, most = threading.Lock(), [0], [0]

        def busy(_: httpx.Request) -> httpx.Response:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.02)
            with lock:
                now[0] -= 1
            return httpx.Response(200)

        api.routes["/items"] = busy
        con.execute(f"CREATE TABLE t AS SELECT {P} r FROM many LIMIT 60")

        assert 2 <= most[0] <= 8

    @pytest.mark.parametrize("threads", [1, 2])
    def test_max_requests_of_the_installer_bounds_a_call_over_all_of_its_parts(
        self, con: Con, session: Session, api: FakeApi, threads: int
    ) -> None:
        apikit_sql.install(con, session=session, max_requests=3)
        con.execute(f"SET threads = {threads}")
        kept_back = "not sent: max_requests = 3 are sent; install(con, max_requests=...) allows more."

        for table in ("t", "u"):
            con.execute(f"CREATE TABLE {table} AS SELECT {P} r FROM many")

            found = con.execute(f"SELECT r.status, r.error, count(*) FROM {table} GROUP BY ALL ORDER BY 1").fetchall()
            assert found == [(201, None, 3), (None, kept_back, 4_997)]
        assert len(api.seen) == 6

    def test_connectors_of_one_call_share_its_requests(self, con: Con, session: Session, api: FakeApi) -> None:
        other = "https://other.test"
        apikit_sql.install(con, session=session, max_requests=3, allow_mutations=[API, other])

        con.execute(f"CREATE TABLE t AS SELECT apikit_post(if(i < 2, '{API}', '{other}'), '/items') r FROM few")

        assert len(api.seen) == 3

    def test_an_interrupt_finishes_what_is_under_way_and_keeps_the_rest_back(self, con: Con, api: FakeApi) -> None:
        begun = threading.Event()

        def slow(_: httpx.Request) -> httpx.Response:
            begun.set()
            time.sleep(0.05)
            return httpx.Response(200)

        api.routes["/items"] = slow
        database = database_of(con)
        assert database is not None
        threading.Thread(target=lambda: begun.wait(10) and database.interrupt()).start()  # type: ignore[func-returns-value]

        con.execute(f"CREATE TABLE t AS SELECT i, {P} r FROM many")

        found = dict(con.execute("SELECT coalesce(r.error, 'ok'), count(*) FROM t GROUP BY 1").fetchall())
        assert found.keys() == {"ok", "not sent: the statement was interrupted."}
        assert found["ok"] == len(api.seen) < 100
        assert {i for (i,) in con.execute("SELECT i FROM t WHERE r.status = 200").fetchall()} == set(seen(api))

    def test_answers_that_were_kept_are_forgotten(self, rows: Rows, con: Con, api: FakeApi) -> None:
        api.routes["/list"] = httpx.Response(200, json=[{"n": 1}])
        read = f"FROM apikit('{API}', '/list', columns := {{n: 'BIGINT'}}, pagination := 'none', cache := 60)"

        rows(read)
        rows(read)
        con.execute(f"CREATE TABLE t AS SELECT {P} r FROM few LIMIT 1")
        rows(read)

        assert api.paths == ["/list", "/items", "/list"]

    def test_what_another_connector_of_the_same_api_has_read_is_forgotten(
        self, rows: Rows, con: Con, session: Session, api: FakeApi, tmp_path: Path
    ) -> None:
        (tmp_path / "acme.toml").write_text(f'base_url = "{API}"')
        (tmp_path / "acme2.toml").write_text('extends = "acme"')
        names = [tmp_path / "acme.toml", tmp_path / "acme2.toml"]
        apikit_sql.install(con, session=session, connectors=names, allow_mutations=["acme"])
        api.routes["/list"] = httpx.Response(200, json=[{"n": 1}])
        reads = [
            f"FROM apikit('{name}', '/list', columns := {{n: 'BIGINT'}}, pagination := 'none', cache := 60)"
            for name in ("acme2", API)
        ]

        for _ in range(2):
            for read in reads:
                rows(read)
        con.execute("CREATE TABLE t AS SELECT apikit_post('acme', '/items') r")
        for read in reads:
            rows(read)

        assert api.paths == ["/list", "/list", "/items", "/list", "/list"]

    def test_a_page_of_a_bind_that_was_under_way_meanwhile_is_read_anew(
        self, rows: Rows, con: Con, api: FakeApi
    ) -> None:
        asked, may_end, read = threading.Event(), threading.Event(), f"FROM apikit('{API}', '/list')"

        def slow(_: httpx.Request) -> httpx.Response:
            found = [{"changed": "/items" in api.paths}]
            asked.set()
            may_end.wait(10)
            return httpx.Response(200, json=found)

        api.routes["/list"] = slow
        binding = threading.Thread(target=con.cursor().execute, args=(f"DESCRIBE {read}",))
        binding.start()
        assert asked.wait(10)
        con.execute(f"CREATE TABLE t AS SELECT {P} r FROM few LIMIT 1")
        may_end.set()
        binding.join(10)

        assert rows(read) == [(True,)]
