"""A connection that runs each statement once: its rows as they come, its errors, what may be sent."""

import json
from collections.abc import Iterator

import duckdb
import httpx
import pytest

from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError, RequestError
from apikit_sql.sql.install import install
from apikit_sql.sql.single_runs import SingleRuns
from tests.fakes.api import BASE_URL, FakeApi


@pytest.fixture
def own(session: Session) -> Iterator[SingleRuns]:
    raw = duckdb.connect()
    install(raw, session=session, allow_mutations=[BASE_URL])
    own = SingleRuns(raw)
    yield own
    own.close()


def rows(own: SingleRuns, sql: str) -> list[tuple[object, ...]]:
    result = own.run(sql)
    assert result is not None
    return [tuple(row.values()) for batch in result.batches for row in batch.to_pylist()]


def test_rows_come_with_the_names_and_types_of_their_columns(own: SingleRuns) -> None:
    result = own.run("SELECT 1 AS a, [1.5::DECIMAL(3, 1)] AS a, 5::HUGEINT AS h")
    assert result is not None

    assert (result.names, result.types) == (["a", "a", "h"], ["INTEGER", "DECIMAL(3,1)[]", "HUGEINT"])
    assert [batch.num_rows for batch in result.batches] == [1]
    assert result.empty.column_names == ["0", "1", "2"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE u AS SELECT 1 AS i",
        "INSERT INTO t VALUES (2)",
        "UPDATE t SET i = 3",
        "SET VARIABLE x = 1",
        "BEGIN; ",
        "-- nothing",
        "DROP TABLE t",
    ],
)
def test_what_only_does_something_gives_nothing(own: SingleRuns, sql: str) -> None:
    own.run("CREATE TABLE t AS SELECT 1 AS i")

    assert own.run(sql) is None


def test_what_it_does_is_done(own: SingleRuns) -> None:
    own.run("CREATE TABLE t (i INTEGER)")
    own.run("INSERT INTO t VALUES (1)")

    assert rows(own, "INSERT INTO t VALUES (2) RETURNING i") == [(2,)]
    assert rows(own, "SELECT sum(i)::INTEGER FROM t") == [(3,)]
    assert rows(own, "PIVOT (SELECT 'x' AS k, 2 AS v) ON k USING first(v)") == [(2,)]
    assert rows(own, "SELECT 7 AS n UNION ALL SELECT 8 ORDER BY 1") == [(7,), (8,)]


def test_a_select_that_has_an_effect_has_it_once(own: SingleRuns, api: FakeApi) -> None:
    api.routes["/orders"] = httpx.Response(201, json={"id": 1})

    found = rows(own, f"SELECT apikit_post('{BASE_URL}', '/orders', {{n: i}}).status FROM range(3) t(i)")

    assert found == [(201,)] * 3
    assert api.paths == ["/orders"] * 3


POST = f"apikit_post('{BASE_URL}', '/orders', {{n: i}}).status"
PIVOTED = f"PIVOT (SELECT i, {POST} AS s FROM t) ON s"
SENDS = {
    "SELECT": f"SELECT {POST} FROM t",
    "FROM": f"FROM t SELECT {POST}",
    "WITH": f"WITH c AS (SELECT {POST} AS s FROM t) SELECT s FROM c",
    "SUMMARIZE": f"SUMMARIZE SELECT {POST} AS s FROM t",
    "a view": f"CREATE VIEW v AS SELECT {POST} AS s FROM t; FROM v",
    "query()": "FROM query('SELECT " + POST.replace("'", "''") + " FROM t')",
    "CREATE TABLE AS": f"CREATE TABLE u AS SELECT {POST} AS s FROM t",
    "INSERT": f"INSERT INTO t SELECT {POST} FROM t",
    "INSERT RETURNING": f"INSERT INTO t SELECT {POST} FROM t RETURNING i",
    "COPY": f"COPY (SELECT {POST} FROM t) TO '/dev/null'",
    "PIVOT IN": f"{PIVOTED} IN (201) USING count(*)",
    "UNPIVOT": f"UNPIVOT (SELECT i, {POST} AS s FROM t) ON s",
}
ONLY_INSIDE = r"sends only inside SELECT, CREATE|PIVOT statements without|a single SELECT"  # the others are of query()
REFUSED = {
    "PIVOT": f"{PIVOTED} USING count(*)",
    "PIVOT_WIDER": f"{PIVOTED} USING count(*)".replace("PIVOT", "PIVOT_WIDER", 1),
    "a PIVOT below": f"SELECT * FROM ({PIVOTED} USING count(*))",
    "a PIVOT of a view": f"CREATE VIEW v AS SELECT {POST} AS s FROM t; PIVOT v ON s USING count(*)",
    "CREATE TABLE AS PIVOT": f"CREATE TABLE u AS {PIVOTED} USING count(*)",
    "INSERT of a PIVOT": f"INSERT INTO t SELECT 1 FROM ({PIVOTED} USING count(*))",
    "COPY of a PIVOT": f"COPY ({PIVOTED} USING count(*)) TO '/dev/null'",
    "query() of a PIVOT": "FROM query('" + f"{PIVOTED} USING count(*)".replace("'", "''") + "')",
    "MERGE": f"""MERGE INTO t USING (SELECT 1 AS j UNION ALL SELECT 9) ON t.i = j
        WHEN MATCHED THEN UPDATE SET i = {POST} WHEN NOT MATCHED THEN INSERT VALUES ({POST.replace(": i", ": j")})""",
    "UPDATE": f"UPDATE t SET i = {POST}",
    "DELETE": f"DELETE FROM t WHERE {POST} = 201",
    "SET": f"SET VARIABLE v = (SELECT max({POST}) FROM t)",
    "EXPLAIN ANALYZE": f"EXPLAIN ANALYZE SELECT {POST} FROM t",
    "EXECUTE": f"PREPARE p AS SELECT {POST} FROM t; EXECUTE p",
    "EXECUTE of an INSERT": f"PREPARE p AS INSERT INTO t SELECT {POST} FROM t; EXECUTE p",
    "CALL": f"CREATE MACRO m() AS TABLE SELECT {POST} FROM t; CALL m()",
}


def run_all(own: SingleRuns, api: FakeApi, text: str) -> None:
    """Run the statements of `text` one by one, each to its last row."""
    api.routes["/orders"] = httpx.Response(201, json={"id": 1})
    for statement in ["CREATE TABLE t AS SELECT i::INTEGER AS i FROM range(3) t(i)", *text.split("; ")]:
        result = own.run(statement)
        for _ in result.batches if result is not None else ():
            pass


@pytest.mark.parametrize("name", SENDS)
def test_a_statement_that_runs_once_sends_each_row_once(own: SingleRuns, api: FakeApi, name: str) -> None:
    run_all(own, api, SENDS[name])

    assert sorted(json.loads(request.content)["n"] for request in api.seen) == [0, 1, 2]


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_statement_is_refused_before_anything_is_sent(own: SingleRuns, api: FakeApi, name: str) -> None:
    with pytest.raises((CallError, duckdb.Error), match=ONLY_INSIDE):
        run_all(own, api, REFUSED[name])

    assert api.seen == []


def test_rows_are_read_as_they_come_and_no_more_than_are_wanted(own: SingleRuns) -> None:
    result = own.run("SELECT i FROM range(10_000_000_000) t(i)", size=100)
    assert result is not None

    assert next(result.batches).to_pylist()[:2] == [{"0": 0}, {"0": 1}]
    result.batches.close()
    assert rows(own, "SELECT 1") == [(1,)]


def test_errors_are_of_our_classes_also_in_the_middle_of_rows(own: SingleRuns, api: FakeApi) -> None:
    with pytest.raises(RequestError):
        own.run(f"FROM apikit('{BASE_URL}', '/nowhere')")
    api.routes["/items"] = [
        httpx.Response(200, json=[{"id": 1}], headers={"link": f'<{BASE_URL}/items?page=2>; rel="next"'}),
        httpx.Response(404, json={}),
    ]
    with pytest.raises(RequestError, match="answered 404"):
        rows(own, f"FROM apikit('{BASE_URL}', '/items')")
    with pytest.raises(duckdb.Error, match="boom"):
        rows(own, "SELECT CASE WHEN i = 5000 THEN error('boom') END FROM range(10000) t(i)")

    assert rows(own, "SELECT 1") == [(1,)]
