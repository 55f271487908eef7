"""Which requests a statement sends: no more than it needs, and with what the API can answer itself."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from tests.fakes.api import FakeApi, Table
from tests.sql import demo_data

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
#: DuckDB 1.x asks for a batch more than LIMIT needs.
MOST_FOR_ONE_PAGE = 1 if IS_2 else 2
MANY = [{"id": n, "kind": ("a", "b", "c")[n % 3], "at": f"2025-01-{n % 28 + 1:02}T00:00:00Z"} for n in range(5_000)]
FEW = MANY[:21]  # seven of each kind, on three pages


@pytest.fixture
def api() -> FakeApi:
    filters: dict[str, Any] = {
        "id": ("id", "="),
        "kind": ("kind", "="),
        "from": ("id", ">="),
        "upto": ("id", "<="),
        "since": ("at", ">="),
    }
    return FakeApi(
        {"/many": Table(MANY, paging="link", filters=filters), "/few": Table(FEW, paging="link", filters=filters)}
    )


class TestLimits:
    @pytest.mark.parametrize("columns", ["", ", columns := {id: 'BIGINT', kind: 'VARCHAR'}"])
    def test_five_rows_of_five_hundred_pages_take_one_request(self, rows: Rows, api: FakeApi, columns: str) -> None:
        found = rows(f"SELECT id FROM apikit('https://api.test', '/many'{columns}) LIMIT 5")

        assert found == [(n,) for n in range(5)]
        assert 1 <= len(api.seen) <= MOST_FOR_ONE_PAGE

    def test_a_limit_over_two_pages_takes_what_it_needs(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT id FROM apikit('https://api.test', '/many') LIMIT 15") == [(n,) for n in range(15)]
        assert len(api.seen) <= 2 * MOST_FOR_ONE_PAGE + 1

    def test_a_limit_in_a_subquery_holds_too(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT sum(id) FROM (FROM apikit('https://api.test', '/many') LIMIT 5)") == [(10,)]
        assert len(api.seen) <= MOST_FOR_ONE_PAGE

    def test_a_result_that_is_read_in_part_sends_part_of_the_requests(self, con: Con, api: FakeApi) -> None:
        result = con.execute("SELECT id FROM apikit('https://api.test', '/many') LIMIT 100")
        result.fetchmany(3)
        con.execute("SELECT 1")

        pages = 1 + 1 + 2 + 4 + 8  # as they are joined where all are there in time; ten hold the rows
        assert len(api.seen) <= pages + 1  # and the next one ahead

    def test_a_limit_on_a_filter_that_no_row_passes_reads_to_the_end(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT id FROM apikit('https://api.test', '/few') WHERE kind = 'z' LIMIT 1") == []
        assert len(api.seen) == 3

    def test_exists_stops_at_the_first_page(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT EXISTS (FROM apikit('https://api.test', '/many'))") == [(True,)]
        assert len(api.seen) <= 3


class TestSampledPage:
    def test_explain_and_the_run_share_one_page(self, rows: Rows, api: FakeApi) -> None:
        rows("EXPLAIN FROM apikit('https://api.test', '/few')")
        assert len(api.seen) == 1

        rows("FROM apikit('https://api.test', '/few')")
        assert len(api.seen) == 3

    def test_a_second_run_fetches_every_page_again(self, rows: Rows, api: FakeApi) -> None:
        rows("FROM apikit('https://api.test', '/few')")
        api.routes["/few"] = Table([*FEW[:20], {**FEW[20], "id": 99}], paging="link")

        assert rows("SELECT max(id) FROM apikit('https://api.test', '/few')") == [(99,)]
        assert len(api.seen) == 6

    def test_a_prepared_statement_fetches_every_page_again(self, rows: Rows, api: FakeApi) -> None:
        rows("PREPARE q AS SELECT count(*) FROM apikit('https://api.test', '/few')")
        assert [rows("EXECUTE q"), rows("EXECUTE q")] == [[(21,)], [(21,)]]
        assert len(api.seen) == 6

    def test_a_self_join_fetches_each_side(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT count(*) FROM apikit('https://api.test', '/few') a "
            "JOIN apikit('https://api.test', '/few') b USING (id)"
        )

        assert found == [(21,)]
        assert len(api.seen) <= 6

    def test_a_narrowed_scan_does_not_take_the_unnarrowed_page(self, rows: Rows, api: FakeApi) -> None:
        source = "apikit('https://api.test', '/few', filters := {kind: 'kind'})"
        rows(f"EXPLAIN FROM {source}")

        found = rows(f"SELECT id FROM {source} WHERE kind = 'b'")

        assert found == [(n,) for n in range(1, 21, 3)]
        assert api.params("kind") == [None, "b"]


class TestPushdown:
    def test_a_filter_reaches_the_api_as_its_parameter(self, rows: Rows, api: FakeApi) -> None:
        source = (
            "apikit('https://api.test', '/few', columns := {id: 'BIGINT', kind: 'VARCHAR'}, filters := {kind: 'kind'})"
        )

        assert rows(f"SELECT id FROM {source} WHERE kind = 'c'") == [(n,) for n in range(2, 21, 3)]
        assert api.params("kind") == ["c"]

    def test_bounds_reach_the_api_as_their_parameters(self, rows: Rows, api: FakeApi) -> None:
        source = (
            "apikit('https://api.test', '/few', columns := {id: 'BIGINT'}, "
            "filters := {'id >=': 'from', 'id <=': 'upto'})"
        )

        assert rows(f"SELECT id FROM {source} WHERE id BETWEEN 11 AND 13") == [(11,), (12,), (13,)]
        assert (api.params("from"), api.params("upto")) == (["11"], ["13"])

    def test_a_time_reaches_the_api_in_rfc_3339(self, rows: Rows, api: FakeApi) -> None:
        source = (
            "apikit('https://api.test', '/few', columns := {id: 'BIGINT', 'at': 'TIMESTAMPTZ'}, "
            "filters := {'at >=': 'since'})"
        )
        expected = [(each["id"],) for each in FEW if str(each["at"]) >= "2025-01-20"]

        assert rows(f"""SELECT id FROM {source} WHERE "at" >= TIMESTAMPTZ '2025-01-20 00:00:00+00'""") == expected
        assert set(api.params("since")) == {"2025-01-20T00:00:00Z"}

    def test_what_the_api_ignores_is_filtered_here(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/few"] = Table(FEW, paging="link")
        source = "apikit('https://api.test', '/few', filters := {kind: 'kind', 'id >=': 'from'})"

        assert rows(f"SELECT id FROM {source} WHERE kind = 'a' AND id >= 12") == [(12,), (15,), (18,)]

    def test_a_filter_without_a_key_column_sends_nothing(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/few') WHERE kind = 'a'") == [(7,)]
        assert set(api.params("kind")) == {None}

    def test_a_list_of_values_makes_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        source = (
            "apikit('https://api.test', '/few', columns := {id: 'BIGINT', kind: 'VARCHAR'}, filters := {kind: 'kind'})"
        )

        found = rows(f"SELECT id FROM {source} WHERE kind IN ('a', 'c') ORDER BY id")

        assert found == [(n,) for n in range(21) if n % 3 != 1]
        assert sorted(str(value) for value in api.params("kind")) == ["a", "c"]

    def test_a_list_of_values_that_the_api_ignores_brings_no_row_twice(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/few"] = Table(FEW, paging="link")
        source = (
            "apikit('https://api.test', '/few', columns := {id: 'BIGINT', kind: 'VARCHAR'}, filters := {kind: 'kind'})"
        )

        assert rows(f"SELECT count(*) FROM {source} WHERE kind IN ('a', 'c', 'a')") == [(14,)]

    def test_both_sides_of_a_join_are_narrowed(self, rows: Rows, api: FakeApi) -> None:
        few = (
            "apikit('https://api.test', '/few', filters := {kind: 'kind'}, columns := {id: 'BIGINT', kind: 'VARCHAR'})"
        )
        many = few.replace("/few", "/many")

        found = rows(
            f"SELECT a.id FROM {few} a JOIN {many} b ON a.id = b.id WHERE a.kind = 'b' AND b.kind = 'b' AND a.id < 5"
        )

        assert sorted(found) == [(1,), (4,)]
        assert set(api.params("kind")) == {"b"}

    def test_a_nested_field_reaches_the_api(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT count(*) FROM apikit('demo', 'issues') WHERE user.login = 'ada' AND state = 'open'")

        expected = [i for i in demo_data.issues() if i["user"]["login"] == "ada" and i["state"] == "open"]
        assert found == [(len(expected),)]
        assert set(api.params("creator")) == {"ada"}
        assert set(api.params("state")) == {"open"}

    def test_a_value_that_the_api_does_not_know_is_not_sent(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT count(*) FROM apikit('demo', 'issues') WHERE state = 'merged'") == [(0,)]
        assert set(api.params("state")) == {None}

    def test_a_parameter_set_by_the_call_is_not_replaced_by_a_filter(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT count(*) FROM apikit('demo', 'issues', params := {state: 'open'}) WHERE state = 'closed'")

        assert found == [(0,)]
        assert set(api.params("state")) == {"open"}

    def test_a_variable_is_pushed(self, rows: Rows, api: FakeApi) -> None:
        rows("SET VARIABLE since = TIMESTAMPTZ '2025-12-01 00:00:00+00'")

        found = rows("SELECT count(*) FROM apikit('demo', 'issues') WHERE updated_at >= getvariable('since')")

        assert found == [(sum(str(issue["updated_at"]) >= "2025-12-01" for issue in demo_data.issues()),)]
        assert set(api.params("since")) == {"2025-12-01T00:00:00Z"}


class TestRequiredKeys:
    def test_a_required_key_fills_the_path(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT id, region FROM apikit('demo', 'warehouses') WHERE region = 'emea'")

        assert found == [(each["id"], "emea") for each in demo_data.warehouses("emea")]
        assert api.paths == ["/regions/emea/warehouses"]

    def test_several_required_keys_make_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT region, count(*) FROM apikit('demo', 'warehouses') WHERE region IN ('emea', 'apac') GROUP BY 1"
        )

        assert sorted(found) == [
            ("apac", len(demo_data.warehouses("apac"))),
            ("emea", len(demo_data.warehouses("emea"))),
        ]
        assert sorted(api.paths) == ["/regions/apac/warehouses", "/regions/emea/warehouses"]

    def test_a_field_of_a_path_becomes_a_required_key(self, rows: Rows, api: FakeApi) -> None:
        source = "apikit('https://api.test', '/regions/{region}/warehouses', columns := {city: 'VARCHAR'})"

        found = rows(f"SELECT city FROM {source} WHERE region = 'apac'")

        assert found == [(each["city"],) for each in demo_data.warehouses("apac")]
        assert api.paths == ["/regions/apac/warehouses"]

    def test_a_missing_required_key_says_what_to_write(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"needs region \(= or IN\); a join cannot supply"):
            rows("FROM apikit('demo', 'warehouses')")

        assert api.seen == []

    def test_a_field_of_a_path_without_columns_says_what_to_write(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"nothing fills \{region\}.*path_params"):
            rows("FROM apikit('https://api.test', '/regions/{region}/warehouses')")

        assert api.seen == []

    def test_path_params_fill_a_required_key_too(self, rows: Rows) -> None:
        found = rows("SELECT id, region FROM apikit('demo', 'warehouses', path_params := {region: 'amer'})")

        assert found == [(each["id"], "amer") for each in demo_data.warehouses("amer")]

    def test_path_params_and_where_that_disagree_bring_no_row(self, rows: Rows) -> None:
        source = "apikit('demo', 'warehouses', path_params := {region: 'amer'})"

        assert rows(f"SELECT count(*) FROM {source} WHERE region = 'emea'") == [(0,)]


class TestWholeStreams:
    @pytest.mark.parametrize(
        ("stream", "key", "records"),
        [
            ("issues", "number", demo_data.issues),
            ("customers", "id", demo_data.customers),
            ("orders", "id", demo_data.orders),
            ("events", "id", demo_data.events),
            ("products", "sku", demo_data.products),
        ],
    )
    def test_every_stream_of_the_demo_is_read_whole(
        self, rows: Rows, stream: str, key: str, records: Callable[[], list[demo_data.Record]]
    ) -> None:
        assert rows(f"SELECT {key} FROM apikit('demo', '{stream}')") == [(record[key],) for record in records()]

    @pytest.mark.parametrize(
        ("path", "params", "key", "records"),
        [
            ("issues", "{per_page: 100}", "number", demo_data.issues),
            ("customers", "{'limit': 100}", "id", demo_data.customers),
            ("orders", "{'offset': 0, 'limit': 200}", "id", demo_data.orders),
            ("events", "{page: 1, page_size: 100}", "id", demo_data.events),
            ("products", "NULL", "sku", demo_data.products),
        ],
    )
    def test_every_path_of_the_demo_finds_its_pagination(
        self, rows: Rows, path: str, params: str, key: str, records: Callable[[], list[demo_data.Record]]
    ) -> None:
        source = f"apikit('https://api.test', '/{path}', params := {params})"

        assert rows(f"SELECT {key} FROM {source}") == [(record[key],) for record in records()]

    def test_amounts_and_dates_are_those_of_the_server(self, rows: Rows) -> None:
        found = rows(
            "SELECT currency, round(sum(amount), 2), count(shipped_on), sum(len(lines)) "
            "FROM apikit('demo', 'orders') GROUP BY currency ORDER BY currency"
        )

        orders = demo_data.orders()
        assert found == [
            (
                currency,
                pytest.approx(sum(o["amount"] for o in orders if o["currency"] == currency), abs=0.011),
                sum(o["shipped_on"] is not None for o in orders if o["currency"] == currency),
                sum(len(o["lines"]) for o in orders if o["currency"] == currency),
            )
            for currency in ("EUR", "GBP", "USD")
        ]
