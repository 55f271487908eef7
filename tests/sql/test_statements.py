"""apikit() in every kind of statement that DuckDB has, and with every option."""

import datetime as dt
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi, Table
from tests.sql import demo_data

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

ITEMS = [{"id": n, "name": f"item {n}", "kind": "odd" if n % 2 else "even"} for n in range(25)]
PARTS = [{"item": n % 5, "part": f"part {n}"} for n in range(11)]
SOURCE = "apikit('https://api.test', '/items')"
IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
OTHER = "apikit('https://api.test', '/parts')"


@pytest.fixture
def api() -> FakeApi:
    """25 items in three pages behind Link headers, and 11 parts in one."""
    return FakeApi(
        {
            "/items": Table(ITEMS, paging="link", filters={"kind": ("kind", "=")}),
            "/parts": Table(PARTS),
            "/offsets": Table(ITEMS, paging="offset"),
            "/cursors": Table(ITEMS, paging="cursor"),
            "/nested": Table([{"id": 1, "user": {"login": "ada", "at": {"city": "Lyon"}}, "tags": ["a", "b"]}]),
        }
    )


class TestQueries:
    def test_a_scan_brings_every_record_of_every_page_in_order(self, rows: Rows) -> None:
        assert rows(f"SELECT id, name, kind FROM {SOURCE}") == [tuple(item.values()) for item in ITEMS]

    def test_count_star_reads_every_page(self, rows: Rows, api: FakeApi) -> None:
        assert rows(f"SELECT count(*) FROM {SOURCE}") == [(25,)]
        assert api.paths == ["/items", "/items?page=2", "/items?page=3"]

    def test_two_apis_join(self, rows: Rows) -> None:
        # given items 0 to 4, each with the parts whose number ends in it modulo 5
        found = rows(f"SELECT i.id, p.part FROM {SOURCE} i JOIN {OTHER} p ON p.item = i.id ORDER BY p.part")

        assert found == sorted([(p["item"], p["part"]) for p in PARTS], key=lambda row: str(row[1]))

    def test_a_table_joins_itself(self, rows: Rows) -> None:
        found = rows(f"SELECT a.id, b.id FROM {SOURCE} a JOIN {SOURCE} b ON b.id = a.id + 20 ORDER BY 1")

        assert found == [(0, 20), (1, 21), (2, 22), (3, 23), (4, 24)]

    def test_a_left_join_keeps_rows_without_a_partner(self, rows: Rows) -> None:
        found = rows(
            f"SELECT i.id FROM {SOURCE} i LEFT JOIN {OTHER} p ON p.item = i.id WHERE p.item IS NULL ORDER BY 1"
        )

        assert found == [(n,) for n in range(5, 25)]

    def test_a_common_table_expression_is_used_twice(self, rows: Rows) -> None:
        found = rows(f"WITH c AS (FROM {SOURCE}) SELECT (SELECT count(*) FROM c), (SELECT max(id) FROM c)")

        assert found == [(25, 24)]

    # DuckDB before 2.0 crashes where any pyarrow dataset stands in a CTE that is NOT MATERIALIZED and used twice
    @pytest.mark.parametrize("materialized", ["", "MATERIALIZED", *(["NOT MATERIALIZED"] if IS_2 else [])])
    def test_a_common_table_expression_joins_itself(self, rows: Rows, materialized: str) -> None:
        found = rows(
            f"WITH c AS {materialized} (FROM {SOURCE}) SELECT count(*) FROM c a JOIN c b ON a.id = b.id WHERE a.id < 7"
        )

        assert found == [(7,)]

    def test_union_all_reads_one_api_after_the_other(self, rows: Rows) -> None:
        found = rows(f"SELECT id FROM {SOURCE} UNION ALL SELECT item FROM {OTHER}")

        assert sorted(n for (n,) in found) == sorted([*range(25), *(n % 5 for n in range(11))])

    def test_forty_tables_stand_in_one_statement(self, rows: Rows) -> None:
        # given more tables than a thread's names are remembered for
        tables = [
            f"SELECT {n} AS n, * FROM apikit('https://api.test', '/parts', params := {{n: {n}}})" for n in range(40)
        ]

        found = rows(f"SELECT n, count(*) FROM ({' UNION ALL '.join(tables)}) GROUP BY n ORDER BY n")

        assert found == [(n, 11) for n in range(40)]

    def test_twenty_tables_join_in_one_statement(self, rows: Rows) -> None:
        joined = " JOIN ".join(f"{OTHER} t{n}" + (" USING (part)" if n else "") for n in range(20))

        assert rows(f"SELECT count(*) FROM {joined}") == [(11,)]

    def test_a_subquery_in_where_reads_an_api(self, rows: Rows) -> None:
        assert rows(f"SELECT id FROM {SOURCE} WHERE id IN (SELECT item FROM {OTHER}) ORDER BY 1") == [
            (n,) for n in range(5)
        ]

    def test_a_subquery_in_from_is_aggregated(self, rows: Rows) -> None:
        found = rows(f"SELECT kind, count(*) FROM (SELECT * FROM {SOURCE} WHERE id > 2) GROUP BY kind ORDER BY kind")

        assert found == [("even", 11), ("odd", 11)]

    def test_a_window_runs_over_a_scan(self, rows: Rows) -> None:
        found = rows(f"SELECT id, lag(id) OVER (PARTITION BY kind ORDER BY id) FROM {SOURCE} ORDER BY id LIMIT 4")

        assert found == [(0, None), (1, None), (2, 0), (3, 1)]

    def test_a_lateral_column_is_refused_in_the_words_of_duckdb(self, rows: Rows) -> None:
        with pytest.raises(duckdb.BinderException, match="lateral join column parameters"):
            rows("FROM (SELECT '/items' AS p) t, apikit('https://api.test', t.p)")

    def test_a_subquery_as_argument_is_refused_in_the_words_of_duckdb(self, rows: Rows) -> None:
        with pytest.raises(duckdb.BinderException, match="cannot contain subqueries"):
            rows("FROM apikit('https://api.test', (SELECT '/items'))")

    def test_an_unknown_option_gets_the_signature(self, rows: Rows) -> None:
        with pytest.raises(duckdb.BinderException, match="path_params := NULL"):
            rows("FROM apikit('https://api.test', '/items', parms := {a: 1})")


class TestStatementsThatWrite:
    def test_create_table_as_keeps_every_row(self, rows: Rows) -> None:
        rows(f"CREATE TABLE t AS FROM {SOURCE}")

        assert rows("SELECT count(*), sum(id) FROM t") == [(25, 300)]

    def test_insert_adds_the_rows(self, rows: Rows) -> None:
        rows("CREATE TABLE t (id BIGINT)")
        rows(f"INSERT INTO t SELECT id FROM {SOURCE}")
        rows(f"INSERT INTO t SELECT id FROM {SOURCE} WHERE id < 5")

        assert rows("SELECT count(*) FROM t") == [(30,)]

    def test_update_reads_from_an_api(self, rows: Rows) -> None:
        rows("CREATE TABLE t AS SELECT range AS id, '' AS name FROM range(3)")
        rows(f"UPDATE t SET name = s.name FROM {SOURCE} s WHERE s.id = t.id")

        assert rows("FROM t ORDER BY id") == [(0, "item 0"), (1, "item 1"), (2, "item 2")]

    @pytest.mark.parametrize("kind", ["parquet", "csv"])
    def test_copy_writes_a_file(self, rows: Rows, tmp_path: Path, kind: str) -> None:
        file = tmp_path / f"items.{kind}"

        rows(f"COPY (FROM {SOURCE}) TO '{file}' (FORMAT {kind})")

        assert rows(f"SELECT id, name, kind FROM '{file}' ORDER BY id") == [tuple(item.values()) for item in ITEMS]

    def test_a_transaction_commits_what_a_scan_brought(self, con: Con, rows: Rows) -> None:
        rows("BEGIN")
        rows(f"CREATE TABLE t AS FROM {SOURCE}")
        rows(f"INSERT INTO t FROM {SOURCE}")
        rows("COMMIT")

        assert con.cursor().execute("SELECT count(*) FROM t").fetchall() == [(50,)]

    def test_a_transaction_rolls_back_what_a_scan_brought(self, rows: Rows) -> None:
        rows("CREATE TABLE t (id BIGINT)")
        rows("BEGIN")
        rows(f"INSERT INTO t SELECT id FROM {SOURCE}")
        assert rows(f"SELECT count(*) FROM t JOIN {SOURCE} s USING (id)") == [(25,)]
        rows("ROLLBACK")

        assert rows("SELECT count(*) FROM t") == [(0,)]
        assert rows(f"SELECT count(*) FROM {SOURCE}") == [(25,)]


class TestViews:
    @pytest.mark.parametrize("kind", ["VIEW", "TEMP VIEW"])
    def test_a_view_reads_the_api_each_time(self, rows: Rows, api: FakeApi, kind: str) -> None:
        rows(f"CREATE {kind} v AS SELECT id, kind FROM {SOURCE} WHERE id >= 20")

        assert rows("SELECT * FROM v WHERE kind = 'odd'") == [(21, "odd"), (23, "odd")]
        before = len(api.seen)
        assert rows("SELECT count(*) FROM v a JOIN v b USING (id)") == [(5,)]
        assert len(api.seen) > before

    def test_a_view_is_read_by_a_cursor_and_in_a_transaction(self, con: Con, rows: Rows) -> None:
        rows(f"CREATE VIEW v AS FROM {SOURCE}")
        cursor = con.cursor()

        cursor.execute("BEGIN")
        assert cursor.execute("SELECT count(*) FROM v").fetchall() == [(25,)]
        cursor.execute("COMMIT")

    @pytest.mark.own_database  # for a macro stays
    def test_a_macro_passes_its_argument_to_apikit(self, rows: Rows) -> None:
        rows("CREATE MACRO things(path) AS TABLE FROM apikit('https://api.test', path)")

        assert rows("SELECT count(*) FROM things('/parts')") == [(11,)]
        assert rows("SELECT count(*) FROM things('/items')") == [(25,)]


class TestPreparedStatements:
    def test_an_executed_statement_reads_the_api_every_time(self, rows: Rows) -> None:
        rows(f"PREPARE q AS SELECT count(*) FROM {SOURCE} WHERE id >= $1")

        assert [rows(f"EXECUTE q({n})") for n in (5, 10, 24, 5)] == [[(20,)], [(15,)], [(1,)], [(20,)]]

    def test_twenty_statements_stay_prepared(self, rows: Rows) -> None:
        # given more prepared statements than a thread's names are remembered for
        for n in range(20):
            rows(
                f"PREPARE q{n} AS SELECT count(*) + {n} FROM apikit('https://api.test', '/parts', params := {{n: {n}}})"
            )

        assert [rows(f"EXECUTE q{n}") for n in range(20)] == [[(11 + n,)] for n in range(20)]
        assert [rows(f"EXECUTE q{n}") for n in range(20)] == [[(11 + n,)] for n in range(20)]

    def test_a_prepared_statement_inside_a_transaction_is_executed_twice(self, rows: Rows) -> None:
        rows(f"PREPARE q AS SELECT sum(id) FROM {SOURCE}")
        rows("BEGIN")
        assert [rows("EXECUTE q"), rows("EXECUTE q")] == [[(300,)], [(300,)]]
        rows("COMMIT")
        assert rows("EXECUTE q") == [(300,)]

    @pytest.mark.parametrize("mark", ["?", "$1"])
    def test_a_parameter_stands_in_where(self, con: Con, mark: str) -> None:
        sql = f"SELECT id FROM {SOURCE} WHERE id > {mark}"

        assert [con.execute(sql, [n]).fetchall() for n in (22, 23)] == [[(23,), (24,)], [(24,)]]

    @pytest.mark.parametrize(("path", "param"), [("?", "?"), ("$1", "$2")])
    def test_parameters_stand_inside_apikit(self, con: Con, api: FakeApi, path: str, param: str) -> None:
        sql = f"SELECT count(*) FROM apikit('https://api.test', {path}, params := {{kind: {param}}})"

        assert con.execute(sql, ["/items", "odd"]).fetchall() == [(12,)]
        assert con.execute(sql, ["/items", "even"]).fetchall() == [(13,)]
        assert api.params("kind") == ["odd", "odd", "even", "even"]

    def test_parameters_have_names(self, con: Con) -> None:
        sql = "SELECT count(*) FROM apikit('https://api.test', '/items', params := {kind: $kind}) WHERE id < $below"

        assert con.execute(sql, {"kind": "odd", "below": 10}).fetchall() == [(5,)]

    def test_executemany_inserts_for_each_set_of_parameters(self, con: Con, rows: Rows) -> None:
        rows("CREATE TABLE t (id BIGINT)")

        con.executemany(f"INSERT INTO t SELECT id FROM {SOURCE} WHERE id = ?", [[1], [2], [3]])

        assert rows("FROM t ORDER BY id") == [(1,), (2,), (3,)]

    def test_a_parameter_holds_a_struct(self, con: Con, api: FakeApi) -> None:
        con.execute("SELECT count(*) FROM apikit('https://api.test', '/items', params := ?)", [{"kind": "odd"}])

        assert set(api.params("kind")) == {"odd"}

    def test_variables_give_path_and_parameters(self, rows: Rows) -> None:
        rows("SET VARIABLE path = '/items'")
        rows("SET VARIABLE params = {kind: 'odd'}")

        assert rows(
            "SELECT count(*) FROM apikit('https://api.test', getvariable('path'), params := getvariable('params'))"
        ) == [(12,)]


class TestBinding:
    @pytest.mark.parametrize("statement", ["EXPLAIN FROM", "DESCRIBE FROM", "FROM", "CREATE VIEW v AS FROM"])
    def test_what_reads_no_row_sends_the_request_of_the_bind_at_most(
        self, rows: Rows, api: FakeApi, statement: str
    ) -> None:
        rows(f"{statement} {SOURCE}" + (" LIMIT 0" if statement == "FROM" else ""))

        assert len(api.seen) <= 1

    @pytest.mark.parametrize(
        "statement", ["EXPLAIN FROM", "DESCRIBE FROM", "CREATE VIEW v AS FROM", "PREPARE q AS FROM"]
    )
    def test_declared_columns_need_no_request_to_bind(self, rows: Rows, api: FakeApi, statement: str) -> None:
        rows(f"{statement} apikit('https://api.test', '/items', columns := {{id: 'BIGINT'}})")

        assert api.seen == []

    def test_describe_tells_names_and_types(self, rows: Rows) -> None:
        found = rows("SELECT column_name, column_type FROM (DESCRIBE FROM apikit('https://api.test', '/nested'))")

        assert found == [
            ("id", "BIGINT"),
            ("user", 'STRUCT(login VARCHAR, "at" STRUCT(city VARCHAR))'),
            ("tags", "VARCHAR[]"),
        ]

    def test_limit_zero_has_columns_and_no_rows(self, con: Con) -> None:
        result = con.execute(f"FROM {SOURCE} LIMIT 0")

        assert [column[0] for column in result.description or []] == ["id", "name", "kind"]
        assert result.fetchall() == []

    def test_a_statement_that_fails_to_bind_leaves_the_next_one_working(self, rows: Rows) -> None:
        with pytest.raises(duckdb.BinderException, match="nosuch"):
            rows(f"SELECT nosuch FROM {SOURCE}")

        assert rows(f"SELECT count(*) FROM {SOURCE}") == [(25,)]


class TestRelations:
    def test_a_relation_is_printed_and_fetched_twice(self, con: Con) -> None:
        relation = con.sql(f"SELECT id FROM {SOURCE} ORDER BY id")

        assert "id" in str(relation)
        assert "id" in str(relation)
        assert [len(relation.fetchall()), len(relation.fetchall())] == [25, 25]

    def test_a_relation_is_refined(self, con: Con) -> None:
        relation = con.sql(f"FROM {SOURCE}").filter("kind = 'odd'").order("id").limit(2).project("id")

        assert relation.fetchall() == [(1,), (3,)]

    def test_a_relation_is_queried_by_its_python_name(self, con: Con) -> None:
        relation = con.sql(f"FROM {SOURCE}")

        assert con.sql("SELECT max(id) FROM relation").fetchall() == [(24,)]
        del relation

    def test_relations_join(self, con: Con) -> None:
        items, parts = con.sql(f"FROM {SOURCE}").set_alias("i"), con.sql(f"FROM {OTHER}").set_alias("p")

        assert items.join(parts, "i.id = p.item").aggregate("count(*)").fetchall() == [(11,)]

    def test_a_relation_becomes_a_table(self, con: Con, rows: Rows) -> None:
        con.sql(f"FROM {SOURCE}").create("t")

        assert rows("SELECT count(*) FROM t") == [(25,)]

    def test_a_relation_becomes_an_arrow_table(self, con: Con) -> None:
        table = con.sql(f"FROM {SOURCE}").arrow()
        table = table.read_all() if hasattr(table, "read_all") else table

        assert table.column("id").to_pylist() == list(range(25))

    def test_a_relation_made_in_one_module_is_read_in_another(self, con: Con) -> None:
        # given a module whose global variables are not ours
        elsewhere: dict[str, Any] = {}
        exec("def make(con, sql):\n    return con.sql(sql)\n", elsewhere)  # noqa: S102

        relation = elsewhere["make"](con, f"FROM {SOURCE}")

        assert len(relation.fetchall()) == 25
        assert relation.filter("id > 20").aggregate("count(*)").fetchall() == [(4,)]

    def test_several_statements_run_in_one_execute(self, con: Con) -> None:
        sql = f"CREATE TABLE a AS FROM {SOURCE}; CREATE TABLE b AS FROM {OTHER}; SELECT count(*) FROM a, b"

        assert con.execute(sql).fetchall() == [(275,)]

    def test_rows_are_fetched_one_by_one_while_another_cursor_reads(self, con: Con) -> None:
        first, second = con.cursor(), con.cursor()
        first.execute(f"SELECT id FROM {SOURCE}")

        assert [first.fetchone(), first.fetchone()] == [(0,), (1,)]
        assert second.execute(f"SELECT count(*) FROM {SOURCE}").fetchall() == [(25,)]
        assert len(first.fetchall()) == 23


class TestCursorsAndThreads:
    def test_a_cursor_of_a_database_in_memory_needs_no_install(self, con: Con) -> None:
        assert con.cursor().cursor().execute(f"SELECT count(*) FROM {SOURCE}").fetchall() == [(25,)]

    def test_six_threads_read_at_once_each_with_its_cursor(self, con: Con) -> None:
        found: list[tuple[int, list[Any]]] = []
        start = threading.Barrier(6)

        def read(number: int) -> None:
            cursor = con.cursor()
            start.wait()
            for turn in range(4):
                sql = f"SELECT count(*), sum(id) FROM apikit('https://api.test', '/items', params := {{t: {number}}})"
                found.append((number * 10 + turn, cursor.execute(sql).fetchall()))

        threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert sorted(found) == [(n * 10 + turn, [(25, 300)]) for n in range(6) for turn in range(4)]


class TestParams:
    @pytest.mark.parametrize(
        "params",
        [
            "{kind: 'odd', n: 3}",
            "MAP {'kind': 'odd', 'n': '3'}",
            """'{"kind": "odd", "n": 3}'""",
            "{'kind': 'odd', n: 3}::JSON",
        ],
    )
    def test_a_struct_a_map_and_json_text_say_the_same(self, rows: Rows, api: FakeApi, params: str) -> None:
        found = rows(f"SELECT count(*) FROM apikit('https://api.test', '/items', params := {params})")

        assert found == [(12,)]
        assert api.params("kind") == ["odd", "odd"]
        assert api.params("n") == ["3", "3"]

    def test_a_list_repeats_its_key_and_null_omits_it(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT 1 FROM apikit('https://api.test', '/parts', params := {a: ['x', NULL, 'y'], b: NULL, c: ''})")

        assert api.seen[0].url.params.multi_items() == [("a", "x"), ("a", "y"), ("c", "")]

    def test_numbers_and_booleans_go_out_as_people_write_them(self, rows: Rows, api: FakeApi) -> None:
        rows(
            "SELECT 1 FROM apikit('https://api.test', '/parts', params := {i: 7, e: epoch(TIMESTAMP '2026-01-01'), "
            "f: 0.25, t: true, h: 170141183460469231731687303715884105727::HUGEINT})"
        )

        assert dict(api.seen[0].url.params) == {
            "i": "7",
            "e": "1767225600",
            "f": "0.25",
            "t": "true",
            "h": "170141183460469231731687303715884105727",
        }

    def test_a_decimal_keeps_all_its_digits(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT 1 FROM apikit('https://api.test', '/parts', params := {price: 12345678901234567.89})")

        assert api.params("price") == ["12345678901234567.89"]

    @pytest.mark.parametrize(
        ("value", "sent"),
        [
            ("TIMESTAMP '2026-01-02 03:04:05'", "2026-01-02T03:04:05Z"),
            ("TIMESTAMPTZ '2026-01-02 03:04:05+02'", "2026-01-02T01:04:05Z"),
            ("TIMESTAMPTZ '2026-07-02 03:04:05.25+02'", "2026-07-02T01:04:05.250000Z"),
            ("TIMESTAMP_S '2026-01-02 03:04:05'", "2026-01-02T03:04:05Z"),
            ("TIMESTAMP_MS '2026-01-02 03:04:05'", "2026-01-02T03:04:05Z"),
            ("TIMESTAMP_NS '2026-01-02 03:04:05'", "2026-01-02T03:04:05Z"),
            ("DATE '2026-01-02'", "2026-01-02"),
        ],
    )
    def test_a_time_goes_out_in_rfc_3339(self, rows: Rows, api: FakeApi, value: str, sent: str) -> None:
        # given a zone whose own times are written in another way
        rows("SET TimeZone = 'America/New_York'")

        rows(f"SELECT 1 FROM apikit('https://api.test', '/parts', params := {{since: {value}}})")

        assert api.params("since") == [sent]

    def test_times_in_a_list_and_in_a_map_go_out_in_rfc_3339(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT 1 FROM apikit('https://api.test', '/parts', params := {t: [TIMESTAMP '2026-01-02 03:04:05']})")
        rows("SELECT 1 FROM apikit('https://api.test', '/parts', params := MAP {'t': TIMESTAMP '2026-01-02 03:04:05'})")

        assert set(api.params("t")) == {"2026-01-02T03:04:05Z"}

    def test_text_that_looks_like_a_time_is_left_alone(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT 1 FROM apikit('https://api.test', '/parts', params := {t: '2026-01-02 03:04:05'})")

        assert api.params("t") == ["2026-01-02 03:04:05"]

    def test_any_text_arrives_as_it_was_written(self, rows: Rows, api: FakeApi) -> None:
        # given what quotes, separators, signs and other scripts could break
        text = "a'b\"c\\d&e=f#g?h%20i+j 東京 ⚠️\n{}"

        quoted = text.replace("'", "''")
        rows(f"SELECT 1 FROM apikit('https://api.test', '/parts', params := {{q: '{quoted}'}})")

        assert api.params("q") == [text]

    def test_a_whole_query_is_not_taken_for_params(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="params"):
            rows("FROM apikit('https://api.test', '/items', params := 'kind=odd')")

    def test_an_object_as_a_parameter_is_refused_by_name(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"params\.place is an object"):
            rows("FROM apikit('https://api.test', '/items', params := {place: {a: 1}})")

        assert api.seen == []

    @pytest.mark.parametrize("name", ["api_key", "access_token", "password", "client_secret"])
    def test_a_credential_in_params_is_refused_and_not_repeated(self, rows: Rows, api: FakeApi, name: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=f"parameter '{name}' carries a credential") as caught:
            rows(f"FROM apikit('https://api.test', '/items', params := {{{name}: 'hunter2-hunter2'}})")

        assert "hunter2" not in str(caught.value).partition("LINE 1")[0]
        assert api.seen == []

    @pytest.mark.parametrize("option", ["params := {q: 'env:HOME'}", "headers := {'x-any': 'keyring:mine'}"])
    def test_a_reference_to_a_secret_is_refused_in_sql(self, rows: Rows, api: FakeApi, option: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="carries a credential"):
            rows(f"FROM apikit('https://api.test', '/items', {option})")

        assert api.seen == []


class TestPathParams:
    def test_a_field_of_the_path_is_filled_and_encoded(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/orgs/a b/é%/items"] = Table([{"id": 1}])

        found = rows(
            "FROM apikit('https://api.test', '/orgs/{org}/{name}/items', path_params := {org: 'a b', name: 'é%'})"
        )

        assert found == [(1,)]
        assert api.paths == ["/orgs/a%20b/%C3%A9%25/items"]

    def test_a_slash_stays_within_its_step(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/files/a/b"] = Table([{"id": 1}])

        rows("FROM apikit('https://api.test', '/files/{name}', path_params := {name: 'a/b'})")

        assert api.paths == ["/files/a%2Fb"]

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("{name: NULL}", "path_params.name is NULL"),
            ("{name: '..'}", "cannot be part of the path"),
            ("{name: ''}", "cannot be part of the path"),
            ("{name: 'a', other: 'b'}", "path_params has 'other'"),
        ],
    )
    def test_a_value_that_does_not_fit_the_path_is_refused(
        self, rows: Rows, api: FakeApi, given: str, reason: str
    ) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=reason):
            rows(f"FROM apikit('https://api.test', '/files/{{name}}', path_params := {given})")

        assert api.seen == []

    @pytest.mark.parametrize("path", ["/a/../b", "/a?b=c", "/a#b", "/%2e%2e/b", "/a\\b"])
    def test_a_path_that_climbs_or_brings_its_own_query_is_refused(self, rows: Rows, api: FakeApi, path: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="the path"):
            rows(f"FROM apikit('https://api.test', '{path}')")

        assert api.seen == []


class TestPaging:
    def test_data_path_tells_where_the_records_are(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/deep"] = httpx.Response(200, json={"data": [{"no": 1}], "deep": {"down": [{"id": 1}, {"id": 2}]}})

        assert rows("FROM apikit('https://api.test', '/deep', data_path := 'deep.down')") == [(1,), (2,)]

    def test_an_empty_data_path_takes_the_whole_body_as_one_record(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/one"] = httpx.Response(200, json={"data": [1, 2], "total": 2})

        assert rows("FROM apikit('https://api.test', '/one', data_path := '')") == [([1, 2], 2)]

    def test_pages_stops_after_so_many(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/items', pages := 2)") == [(20,)]
        assert len(api.seen) == 2

    def test_pages_all_is_every_page(self, rows: Rows) -> None:
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/items', pages := 'all')") == [(25,)]

    @pytest.mark.parametrize("pages", ["0", "-1", "'some'", "1.5"])
    def test_pages_that_are_no_number_are_refused(self, rows: Rows, api: FakeApi, pages: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="pages"):
            rows(f"FROM apikit('https://api.test', '/items', pages := {pages})")

        assert api.seen == []

    def test_a_strategy_is_chosen_by_name(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/items', pagination := 'none')") == [(10,)]
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/items', pagination := 'link')") == [(25,)]
        assert len(api.seen) == 1 + 3

    def test_a_strategy_is_described_by_a_struct(self, rows: Rows, api: FakeApi) -> None:
        cursor = "{strategy: 'cursor', cursor_param: 'cursor', next_cursor_path: 'next_cursor'}"
        assert rows(f"SELECT sum(id) FROM apikit('https://api.test', '/cursors', pagination := {cursor})") == [(300,)]

        offset = (
            "{strategy: 'offset', offset_param: 'offset', limit_param: 'limit', page_size: 20, total_path: 'total'}"
        )
        assert rows(f"SELECT sum(id) FROM apikit('https://api.test', '/offsets', pagination := {offset})") == [(300,)]
        assert api.params("cursor")[:3] == [None, "at-10", "at-20"]
        assert api.params("limit")[3:] == ["20", "20"]

    def test_a_strategy_that_lacks_a_setting_says_which(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="strategy 'cursor' needs cursor_param"):
            rows("FROM apikit('https://api.test', '/cursors', pagination := 'cursor')")

    def test_page_size_is_asked_for(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT count(*) FROM apikit('https://api.test', '/items', page_size := 5, "
            "pagination := {strategy: 'link', limit_param: 'limit'})"
        )

        assert found == [(25,)]
        assert api.params("limit") == ["5"] * 5

    def test_page_size_replaces_that_of_the_stream(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT count(*) FROM apikit('demo', 'orders', page_size := 150)")

        assert found == [(1000,)]
        assert set(api.params("limit")) == {"150"}

    def test_more_pages_than_max_pages_is_an_error(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="max_pages = 2"):
            rows("SELECT count(*) FROM apikit('https://api.test', '/items', max_pages := 2)")

    def test_exactly_max_pages_is_no_error(self, rows: Rows) -> None:
        assert rows("SELECT count(*) FROM apikit('https://api.test', '/items', max_pages := 3)") == [(25,)]


class TestColumns:
    def test_declared_columns_are_the_whole_schema(self, con: Con) -> None:
        result = con.execute("FROM apikit('https://api.test', '/items', columns := {id: 'VARCHAR', lacking: 'DATE'})")

        assert [(column[0], str(column[1])) for column in result.description or []] == [
            ("id", "VARCHAR"),
            ("lacking", "DATE"),
        ]
        assert result.fetchall() == [(str(n), None) for n in range(25)]

    def test_declared_columns_come_as_json_text_or_as_a_map(self, rows: Rows) -> None:
        for columns in ("""'{"id": "BIGINT"}'""", "MAP {'id': 'BIGINT'}"):
            assert rows(f"SELECT max(id) FROM apikit('https://api.test', '/items', columns := {columns})") == [(24,)]

    def test_a_declared_time_may_be_told_in_seconds(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/times"] = Table([{"moment": 0}, {"moment": 86_400}])

        found = rows(
            "FROM apikit('https://api.test', '/times', columns := {moment: {type: 'TIMESTAMPTZ', format: 'epoch'}})"
        )

        assert found == [(dt.datetime(1970, 1, 1, tzinfo=dt.UTC),), (dt.datetime(1970, 1, 2, tzinfo=dt.UTC),)]

    def test_types_replaces_what_would_be_inferred(self, rows: Rows) -> None:
        found = rows("SELECT id, name FROM apikit('https://api.test', '/items', types := {id: 'VARCHAR'}) LIMIT 1")

        assert found == [("0", "item 0")]

    def test_types_of_an_unknown_column_is_refused(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="types has 'nosuch'"):
            rows("FROM apikit('https://api.test', '/items', types := {nosuch: 'VARCHAR'})")

    def test_a_type_that_is_none_is_refused(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="'NUMBER' is not a column type"):
            rows("FROM apikit('https://api.test', '/items', columns := {id: 'NUMBER'})")

    def test_nested_records_are_structs_and_lists(self, rows: Rows) -> None:
        assert rows("SELECT id, user.login, user.at.city, tags[2] FROM apikit('https://api.test', '/nested')") == [
            (1, "ada", "Lyon", "b")
        ]

    def test_nested_records_are_flattened(self, con: Con) -> None:
        result = con.execute("FROM apikit('https://api.test', '/nested', nested := 'flatten')")

        assert [column[0] for column in result.description or []] == ["id", "user__login", "user__at__city", "tags"]
        assert result.fetchall() == [(1, "ada", "Lyon", '["a","b"]')]

    def test_nested_records_are_kept_as_json(self, rows: Rows) -> None:
        ((number, user, tags, kind),) = rows(
            "SELECT *, typeof(user) FROM apikit('https://api.test', '/nested', nested := 'json')"
        )

        assert (number, kind) == (1, "JSON")
        assert json.loads(user) == {"login": "ada", "at": {"city": "Lyon"}}
        assert json.loads(tags) == ["a", "b"]

    def test_the_columns_of_a_stream_are_those_of_its_manifest(self, rows: Rows) -> None:
        found = rows("SELECT sku, price, dimensions.w, len(tags) FROM apikit('demo', 'products') ORDER BY sku")

        assert found == [
            (p["sku"], p["price"], p["dimensions"]["w"] if p["dimensions"] else None, len(p["tags"]))
            for p in sorted(demo_data.products(), key=lambda product: str(product["sku"]))
        ]


class TestOtherOptions:
    def test_filters_send_a_predicate_as_a_parameter(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT count(*) FROM apikit('https://api.test', '/items', filters := {kind: 'kind'}) WHERE kind = 'odd'"
        )

        assert found == [(12,)]
        assert "odd" in api.params("kind")

    def test_filters_that_cannot_be_read_are_refused(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="filters"):
            rows("FROM apikit('https://api.test', '/items', filters := {'>=': 'since'})")

    def test_headers_are_sent_with_every_request(self, rows: Rows, api: FakeApi) -> None:
        rows(
            "SELECT count(*) FROM apikit('https://api.test', '/items', "
            "headers := {'X-Version': '2', accept: 'text/json'})"
        )

        assert [request.headers["x-version"] for request in api.seen] == ["2"] * 3
        assert [request.headers.get_list("accept") for request in api.seen] == [["text/json"]] * 3

    @pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token", "x-my-token"])
    def test_a_credential_in_headers_is_refused_and_not_repeated(self, rows: Rows, api: FakeApi, name: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=f"header '{name}' carries a credential") as caught:
            rows(f"FROM apikit('https://api.test', '/items', headers := {{'{name}': 'hunter2-hunter2'}})")

        assert "hunter2" not in str(caught.value).partition("LINE 1")[0]
        assert api.seen == []

    def test_a_header_with_a_line_break_is_refused(self, rows: Rows, api: FakeApi) -> None:
        # given a value that would smuggle in a header of its own
        with pytest.raises(duckdb.InvalidInputException, match=r"CallError.*x-any"):
            rows(r"FROM apikit('https://api.test', '/items', headers := {'x-any': e'a\r\nx-evil: 1'})")

        assert api.seen == []

    @pytest.mark.parametrize("header", ['"x-ü": "a"', '"x any": "a"', '"": "a"'])
    def test_a_header_that_http_cannot_carry_is_refused_as_an_error_of_ours(
        self, rows: Rows, api: FakeApi, header: str
    ) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="CallError"):
            rows(f"FROM apikit('https://api.test', '/items', headers := '{{{header}}}')")

        assert api.seen == []

    def test_timeout_bounds_each_request(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT count(*) FROM apikit('https://api.test', '/items', timeout := 7.5)")

        assert [request.extensions["timeout"]["read"] for request in api.seen] == [7.5] * 3

    @pytest.mark.parametrize("option", ["timeout := 0", "timeout := -1", "page_size := 0", "nested := 'deep'"])
    def test_a_value_out_of_bounds_is_refused_by_name(self, rows: Rows, api: FakeApi, option: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=option.partition(" ")[0]):
            rows(f"FROM apikit('https://api.test', '/items', {option})")

        assert api.seen == []

    def test_an_equals_sign_for_an_option_is_told(self, rows: Rows, api: FakeApi) -> None:
        # given a comparison, which DuckDB passes on as a boolean
        with pytest.raises(duckdb.InvalidInputException, match="name := value"):
            rows("FROM apikit('https://api.test', '/items', nested = 'flatten')")

        assert api.seen == []

    @pytest.mark.parametrize(
        "base_url",
        ["https://[::1", "https://api.test:port", "https://api.test:99999", "https://", "https://ü b", "https://a\tb"],
    )
    def test_a_base_url_that_is_none_is_refused_as_an_error_of_ours(
        self, rows: Rows, api: FakeApi, base_url: str
    ) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="CallError"):
            rows(f"FROM apikit('{base_url}', '/items')")

        assert api.seen == []

    def test_a_base_url_with_credentials_is_refused_and_not_repeated(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="holds credentials") as caught:
            rows("FROM apikit('https://ada:hunter2@api.test', '/items')")

        assert "hunter2" not in str(caught.value).partition("LINE 1")[0]
        assert api.seen == []

    def test_a_base_url_may_have_a_path(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/v2/items"] = Table([{"id": 7}])

        assert rows("FROM apikit('https://api.test/v2/', '/items')") == [(7,)]

    @pytest.mark.parametrize("arguments", ["NULL, '/items'", "'https://api.test', NULL"])
    def test_connector_and_path_may_not_be_null(self, rows: Rows, api: FakeApi, arguments: str) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"apikit: (connector|path)"):
            rows(f"FROM apikit({arguments})")

        assert api.seen == []

    def test_an_unknown_stream_gets_those_that_there_are(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"no stream 'issue' \(it has customers, events, issues"):
            rows("FROM apikit('demo', 'issue')")

    def test_an_unknown_connector_gets_near_names(self, rows: Rows) -> None:
        with pytest.raises(duckdb.InvalidInputException, match="Did you mean github"):
            rows("FROM apikit('gihub', '/user')")
