"""A connection that runs each statement once: its rows as they come, its errors, what may be sent."""

from collections.abc import Iterator

import duckdb
import httpx
import pytest

from apikit_sql.engine.session import Session
from apikit_sql.errors import RequestError
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
