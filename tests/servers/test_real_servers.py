"""The main trip on real servers: true counts and sums, with the pagination found or said."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from tests.servers.conftest import DATASETTE, JSON_SERVER_0, JSON_SERVER_1

pytestmark = pytest.mark.servers

Truth = Callable[[str], tuple[Any, ...]]
Records = dict[str, list[dict[str, Any]]]
Con = duckdb.DuckDBPyConnection


def row(con: Con, sql: str) -> tuple[Any, ...]:
    (found,) = con.execute(sql).fetchall()
    return tuple(found)


def test_every_flight_of_datasette_is_read_with_the_pagination_found_by_itself(con: Con, truth: Truth) -> None:
    sql = f"""SELECT count(*), sum(id), sum(distance) FROM apikit('{DATASETTE}', '/nyc/flights.json',
              params := {{_size: 1000, _shape: 'objects'}})"""

    assert row(con, sql) == truth("SELECT count(*), sum(id), sum(distance) FROM flights")


def test_a_filter_of_datasette_narrows_the_requests_and_gives_the_true_count(con: Con, truth: Truth) -> None:
    sql = f"""SELECT count(*), sum(id) FROM apikit('{DATASETTE}', '/nyc/flights.json',
              params := {{_size: 1000, _shape: 'objects'}},
              filters := {{carrier: 'carrier__exact', 'day >=': 'day__gte'}})
              WHERE carrier = 'HA' AND day >= 15"""

    assert row(con, sql) == truth("SELECT count(*), sum(id) FROM flights WHERE carrier = 'HA' AND day >= 15")


def test_rows_in_the_shape_of_arrays_are_one_column(con: Con, truth: Truth) -> None:
    sql = f"SELECT count(*) FROM apikit('{DATASETTE}', '/nyc/planes.json', params := {{_size: 1000}})"

    assert row(con, sql) == truth("SELECT count(*) FROM planes")


@pytest.mark.parametrize("collection", ["posts", "comments", "photos"])
@pytest.mark.parametrize(
    "options",
    [
        "params := {_page: 1, _limit: 100}",
        "params := {_start: 0, _limit: 100}",
        "pagination := {strategy: 'page', page_param: '_page', limit_param: '_limit', page_size: 50}",
        "pagination := {strategy: 'offset', offset_param: '_start', limit_param: '_limit', page_size: 50}",
        "params := {_page: 1, _limit: 30}, pagination := 'link'",
        "pagination := 'none'",
    ],
    ids=["link found", "offset found", "page", "offset", "link", "none"],
)
def test_json_server_0_gives_its_true_counts_and_sums(
    con: Con, records: Records, collection: str, options: str
) -> None:
    found = row(con, f"SELECT count(*), sum(id) FROM apikit('{JSON_SERVER_0}', '/{collection}', {options})")

    assert found == (len(records[collection]), sum(record["id"] for record in records[collection]))


@pytest.mark.parametrize("collection", ["posts", "comments", "photos"])
@pytest.mark.parametrize(
    "options",
    [
        "params := {_page: 1, _per_page: 100}",
        "pagination := {strategy: 'page', page_param: '_page', limit_param: '_per_page', page_size: 50}",
        "pagination := {strategy: 'page', page_param: '_page', limit_param: '_per_page', page_size: 1000}",
        "params := {_per_page: 30}, pagination := {strategy: 'page', page_param: '_page'}",
        "pagination := 'none'",
    ],
    ids=["page found", "page", "page of all", "page with a size of one's own", "none"],
)
def test_json_server_1_gives_its_true_counts_and_sums_though_it_clamps_the_last_page(
    con: Con, records: Records, collection: str, options: str
) -> None:
    sql = f"""SELECT count(*), sum(id)
              FROM apikit('{JSON_SERVER_1}', '/{collection}', {options}, types := {{id: 'BIGINT'}})"""

    assert row(con, sql) == (len(records[collection]), sum(record["id"] for record in records[collection]))


def test_late_values_nested_nulls_and_lists_come_out_as_they_are(con: Con, records: Records) -> None:
    sql = f"""SELECT id, title, published, author.name, author.address.city, tags, score, amount
              FROM apikit('{JSON_SERVER_0}', '/posts', types := {{score: 'DOUBLE'}}) ORDER BY id"""

    assert con.execute(sql).fetchall() == [
        (
            post["id"],
            post["title"],
            post["published"],
            post["author"]["name"],
            post["author"]["address"]["city"],
            post["tags"],
            post["score"],
            post["amount"],
        )
        for post in records["posts"]
    ]


def test_an_empty_collection_is_an_empty_table_once_its_columns_are_declared(con: Con) -> None:
    sql = f"SELECT count(*) FROM apikit('{JSON_SERVER_0}', '/empties', columns := {{id: 'BIGINT'}})"

    assert row(con, sql) == (0,)


# --- a column that is null for long and mixed afterwards --------------------------------------------------------------

EDGE = f"apikit('{DATASETTE}', '/nyc/edge.json', params := {{_shape: 'objects', _size: 60}}"


@pytest.fixture(scope="module")
def edge(store: Path) -> list[tuple[str, str, Any]]:
    """The rows of a table with a key of odd texts, in datasette's order: nulls, then integers, fractions and texts."""
    made = [
        (
            f"k{i // 10}",
            f"ü/ {i},~{'😀' if i % 7 == 0 else ''}",
            None if i < 120 else i if i % 2 else f"{i}.0" if i % 3 else i / 4,
        )
        for i in range(250)
    ]
    with closing(sqlite3.connect(store / "nyc.db")) as con:
        con.executescript("DROP TABLE IF EXISTS edge; CREATE TABLE edge (a TEXT, b TEXT, v, PRIMARY KEY (a, b))")
        con.executemany("INSERT INTO edge VALUES (?, ?, ?)", made)
        con.commit()
        return con.execute("SELECT a, b, v FROM edge ORDER BY a, b").fetchall()


WHOLE = "(typeof(v) = 'integer' OR (typeof(v) = 'real' AND v = round(v)))"  # SQLite's words


def test_mixed_values_are_json_each_as_the_store_has_it(con: Con, edge: list[tuple[str, str, Any]]) -> None:
    found = con.execute(f"SELECT a, b, v FROM {EDGE}) ORDER BY a, b").fetchall()

    assert [(a, b, v and json.loads(v)) for a, b, v in found] == edge


def test_a_value_that_does_not_fit_is_told_with_its_page_and_what_to_write(
    con: Con, edge: list[tuple[str, str, Any]]
) -> None:
    number, value = next(
        (number, v) for number, (_, _, v) in enumerate(edge) if v is not None and (isinstance(v, str) or v != int(v))
    )
    told = f"page {number // 60 + 1}, record {number % 60 + 1}: v = {json.dumps(value)} does not fit BIGINT"

    with pytest.raises(duckdb.InvalidInputException, match=re.escape(told)) as caught:
        row(con, f"SELECT count(v) FROM {EDGE}, types := {{v: 'BIGINT'}})")

    assert "types := {'v': 'VARCHAR'}" in str(caught.value)


@pytest.mark.usefixtures("edge")
def test_what_does_not_fit_is_null_and_counted_where_that_is_asked_for(con: Con, truth: Truth) -> None:
    (misfits,) = truth(f"SELECT count(*) FROM edge WHERE v IS NOT NULL AND NOT {WHOLE}")

    with pytest.warns(apikit_sql.ApikitWarning, match=rf"{misfits} values do not fit their columns and are NULL \(v:"):
        found = row(
            con, f"SELECT count(*), count(v), sum(v) FROM {EDGE}, types := {{v: 'BIGINT'}}, on_drift := 'null')"
        )

    assert misfits > 0
    assert found == truth(f"SELECT count(*), sum({WHOLE}), CAST(sum(v) FILTER (WHERE {WHOLE}) AS INTEGER) FROM edge")


@pytest.mark.usefixtures("edge")
def test_on_drift_text_gives_every_value_in_the_text_that_the_store_has(con: Con, store: Path) -> None:
    with closing(sqlite3.connect(store / "nyc.db")) as own:
        texts = own.execute("SELECT a, b, CAST(v AS TEXT) FROM edge ORDER BY a, b").fetchall()

    found = con.execute(
        f"SELECT a, b, v FROM {EDGE}, types := {{v: 'BIGINT'}}, on_drift := 'text') ORDER BY a, b"
    ).fetchall()

    assert len(found) == 250
    assert found == texts


# --- several requests at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_slice_of_the_flights_is_the_same_with_one_request_at_once_and_with_eight(
    con: Con, truth: Truth, concurrency: int
) -> None:
    sql = f"""SELECT count(*), sum(id), sum(distance) FROM apikit('{DATASETTE}', '/nyc/flights.json',
              params := {{_size: 1000, _shape: 'objects', id__lte: 20000}}, concurrency := {concurrency})"""

    assert row(con, sql) == truth("SELECT count(*), sum(id), sum(distance) FROM flights WHERE id <= 20000")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_fan_out_over_values_is_the_same_with_one_request_at_once_and_with_eight(
    con: Con, truth: Truth, concurrency: int
) -> None:
    makers = "('EMBRAER', 'BOEING', 'AIRBUS', 'BOMBARDIER INC', 'CESSNA', 'MCDONNELL DOUGLAS')"
    sql = f"""SELECT count(*), sum(seats) FROM apikit('{DATASETTE}', '/nyc/planes.json',
              params := {{_size: 100, _shape: 'objects'}}, columns := {{manufacturer: 'VARCHAR', seats: 'BIGINT'}},
              filters := {{manufacturer: 'manufacturer__exact'}}, concurrency := {concurrency})
              WHERE manufacturer IN {makers}"""

    assert row(con, sql) == truth(f"SELECT count(*), sum(seats) FROM planes WHERE manufacturer IN {makers}")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_pages_up_to_a_last_link_come_in_order_with_one_request_at_once_and_with_eight(
    con: Con, records: Records, concurrency: int
) -> None:
    sql = f"""SELECT id, body FROM apikit('{JSON_SERVER_0}', '/comments', params := {{_page: 1, _limit: 10}},
              concurrency := {concurrency})"""

    assert con.execute(sql).fetchall() == [(comment["id"], comment["body"]) for comment in records["comments"]]
