"""apikit_graphql on PostGraphile: the truth is asked of its PostgreSQL by psql."""

import datetime as dt
from collections.abc import Callable

import duckdb
import pytest

import apikit_sql
from tests.servers.conftest import POSTGRAPHILE

pytestmark = pytest.mark.servers

Con = duckdb.DuckDBPyConnection
Postgres = Callable[[str], list[str]]

INSIDE = {
    "nodes": "nodes { id distance depDelay origin timeHour }",
    "edges": "edges { cursor node { id distance depDelay origin timeHour } }",
}


def flights(shape: str = "nodes") -> str:
    """The arguments of a call that follows all flights, or those of a condition in `$chosen`."""
    return f"""'{POSTGRAPHILE}', 'query($first: Int!, $after: Cursor, $chosen: FlightCondition) {{
        allFlights(first: $first, after: $after, condition: $chosen) {{
          totalCount {INSIDE[shape]} pageInfo {{ hasNextPage endCursor }} }} }}', connection_path := 'allFlights'"""


def requests_of(con: Con) -> int:
    ((sent,),) = con.execute("SELECT count(*) FROM apikit_requests()").fetchall()
    return int(sent)


def error_of(con: Con, sql: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value)


@pytest.mark.parametrize(("shape", "size"), [("nodes", 1000), ("nodes", 333), ("edges", 1000)])
def test_every_flight_is_read_once(con: Con, postgres: Postgres, shape: str, size: int) -> None:
    sql = "SELECT count(*), count(DISTINCT id), sum(id), sum(distance), count({}), max({}) FROM {}"

    (found,) = con.execute(
        sql.format("depDelay", "timeHour", f"apikit_graphql({flights(shape)}, page_size := {size})")
    ).fetchall()

    *numbers, latest = postgres(sql.format("dep_delay", "extract(epoch FROM time_hour)::bigint", "flights"))
    assert [str(each) for each in found[:-1]] == numbers[: len(found) - 1]
    assert found[-1] == dt.datetime.fromtimestamp(int(latest), dt.UTC)
    assert found[0] > 10_000
    assert requests_of(con) == -(-found[0] // size)


def test_limit_stops_the_requests(con: Con) -> None:
    found = con.execute(f"SELECT id FROM apikit_graphql({flights()}, page_size := 100) LIMIT 5").fetchall()

    assert len(found) == 5
    assert requests_of(con) <= 2


def test_variables_select(con: Con, postgres: Postgres) -> None:
    sql = f"""SELECT count(*), sum(id), min(origin), max(origin)
              FROM apikit_graphql({flights()}, variables := {{chosen: {{origin: 'LGA'}}}}, page_size := 1000)"""

    (found,) = con.execute(sql).fetchall()

    assert [str(each) for each in found] == postgres(
        "SELECT count(*), sum(id), min(origin), max(origin) FROM flights WHERE origin = 'LGA'"
    )


def test_two_queries_are_joined(con: Con, postgres: Postgres) -> None:
    airlines = f"'{POSTGRAPHILE}', '{{ allAirlines {{ nodes {{ carrier name }} }} }}'"
    text = flights().replace("id distance", "id carrier distance")
    sql = f"""WITH names AS (SELECT unnest(nodes, max_depth := 2) FROM apikit_graphql({airlines}))
              SELECT name, count(*) AS flights FROM apikit_graphql({text}, page_size := 1000)
              JOIN names USING (carrier) GROUP BY name ORDER BY flights DESC, name LIMIT 1"""

    (found,) = con.execute(sql).fetchall()

    assert [str(each) for each in found] == postgres(
        "SELECT name, count(*) FROM flights JOIN airlines USING (carrier) GROUP BY name ORDER BY 2 DESC, 1 LIMIT 1"
    )


def test_an_inner_connection_that_goes_on_is_warned_of(con: Con, postgres: Postgres) -> None:
    sql = f"""FROM apikit_graphql('{POSTGRAPHILE}', 'query($first: Int, $after: Cursor) {{
        allAirlines(first: $first, after: $after) {{
          nodes {{ carrier flightsByCarrier(first: 1) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }} }}
          pageInfo {{ hasNextPage endCursor }} }} }}', connection_path := 'allAirlines', page_size := 5)"""

    with pytest.warns(apikit_sql.ApikitWarning, match=r"allAirlines\.nodes\.flightsByCarrier had a next page"):
        found = con.execute(sql).fetchall()

    assert [str(len(found))] == postgres("SELECT count(*) FROM airlines")


def test_a_mutation_is_refused_and_changes_nothing(con: Con, postgres: Postgres) -> None:
    before = postgres("SELECT count(*) FROM flights")

    text = error_of(
        con,
        f"""FROM apikit_graphql('{POSTGRAPHILE}',
            'mutation {{ deleteFlightById(input: {{id: 3}}) {{ clientMutationId }} }}')""",
    )

    assert "a mutation is not sent; only a query reads" in text
    assert requests_of(con) == 0
    assert postgres("SELECT count(*) FROM flights") == before


def test_partial_data_are_no_rows(con: Con) -> None:
    text = error_of(
        con,
        f"""FROM apikit_graphql('{POSTGRAPHILE}',
            '{{ good: allAirlines {{ nodes {{ name }} }} bad: allAirlines {{ nodes {{ broken }} }} }}')""",
    )

    assert "GraphQLError: 127.0.0.1:18207: POST /graphql answered 200 with an error (division by zero) at bad" in text


def test_a_field_that_is_not_there_is_told_in_the_servers_words(con: Con) -> None:
    text = error_of(con, f"FROM apikit_graphql('{POSTGRAPHILE}', '{{ x }}')")

    assert "GraphQLError: 127.0.0.1:18207: POST /graphql answered 400" in text
    assert "Cannot query field" in text


def test_one_record_is_one_row(con: Con, postgres: Postgres) -> None:
    sql = f"""FROM apikit_graphql('{POSTGRAPHILE}', 'query($n: Int!) {{ flightById(id: $n) {{ id dest }} }}',
                                  variables := {{n: 42}})"""

    assert [str(each) for each in con.execute(sql).fetchall()[0]] == postgres(
        "SELECT id, dest FROM flights WHERE id = 42"
    )
