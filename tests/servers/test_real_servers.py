"""The main trip on real servers: true counts and sums, with the pagination found or said."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

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
