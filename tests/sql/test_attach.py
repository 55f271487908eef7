"""A connector as a catalog: attached and detached by statements, its streams read as tables in every form."""

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table
from tests.sql import demo_data

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

SHOP = """
base_url = "https://shop.test"
retry = { max_attempts = 1 }

[streams.orders]
path = "/purchases"
description = "Orders, and who's to pay"
pagination = { strategy = "link", limit_param = "limit" }
key_columns = [
  { column = "state", param = "status", values = ["open", "paid"] },
  { column = "made", param = "since", operators = [">="] },
]
[streams.orders.columns]
id = { type = "BIGINT", description = "Its number; nobody's else" }
state = "VARCHAR"
made = { type = "TIMESTAMPTZ", description = "When" }

[streams.lines]
path = "/purchases/{order}/lines"
pagination = { strategy = "none" }
columns = { sku = "VARCHAR" }
key_columns = [{ column = "order", path = "order", required = true, type = "BIGINT" }]

[streams.notes]
path = "/notes"
pagination = { strategy = "none" }
"""
ORDERS: list[dict[str, Any]] = [
    {"id": n, "state": ("open", "paid", "lost")[n % 3], "made": f"2026-01-{n + 1:02}T00:00:00Z"} for n in range(25)
]
OPEN = [order["id"] for order in ORDERS if order["state"] == "open"]
LINES = {1: ["a", "b"], 2: ["c"], 3: []}
NOTES = [{"about": 1, "text": "zu spät"}, {"about": 2, "text": "早い"}]


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(SHOP, encoding="utf-8")


@pytest.fixture
def api() -> FakeApi:
    filters: Any = {"status": ("state", "="), "since": ("made", ">=")}
    api = FakeApi({"/purchases": Table(ORDERS, paging="link", filters=filters), "/notes": Table(NOTES)})
    for order, skus in LINES.items():
        api.routes[f"/purchases/{order}/lines"] = Table([{"sku": sku} for sku in skus])
    return api


@pytest.fixture
def shop(con: Con, api: FakeApi) -> Con:
    """A connection with the connector `shop` attached, and nothing seen by its API."""
    con.execute("CALL apikit_attach('shop')")
    api.seen.clear()
    return con


class TestAttaching:
    def test_the_streams_are_told_with_what_they_need(self, rows: Rows) -> None:
        assert rows("CALL apikit_attach('shop')") == [
            ("shop.orders", [], 3, "Orders, and who's to pay", None),
            ("shop.lines", ["order"], 2, "", None),
            ("shop.notes", [], 2, "", None),
        ]

    def test_only_a_stream_without_declared_columns_is_asked_for_them(self, rows: Rows, api: FakeApi) -> None:
        rows("CALL apikit_attach('shop')")
        rows("CALL apikit_attach('shop')")
        rows("DESCRIBE shop.notes")

        assert api.paths == ["/notes"]

    def test_twice_is_harmless(self, rows: Rows) -> None:
        once = rows("CALL apikit_attach('shop')")

        assert rows("CALL apikit_attach('shop')") == once
        assert rows("CALL apikit_attach('shop', name := 'SHOP')") == once
        assert rows("SELECT count(*) FROM shop.orders") == [(25,)]

    @pytest.mark.parametrize(
        "statement",
        [
            "EXPLAIN CALL apikit_attach('shop')",
            "FROM apikit_attach('shop')",
            "DESCRIBE FROM apikit_attach('shop')",
            "CREATE TABLE attached AS FROM apikit_attach(connector := 'shop', name := NULL)",
        ],
    )
    def test_whatever_binds_the_call_attaches(self, rows: Rows, statement: str) -> None:
        rows(statement)

        assert rows("SELECT count(*) FROM shop.orders") == [(25,)]

    def test_a_relation_attaches(self, con: Con, rows: Rows) -> None:
        relation = con.sql("CALL apikit_attach('shop')")

        assert len(relation.fetchall()) == 3
        assert rows("SELECT count(*) FROM shop.orders") == [(25,)]

    def test_parameters_name_connector_and_catalog(self, con: Con, rows: Rows) -> None:
        con.execute("CALL apikit_attach(?, name := ?)", ["shop", "laden"])

        assert rows("SELECT count(*) FROM laden.orders") == [(25,)]

    def test_one_connector_has_two_names(self, rows: Rows, api: FakeApi) -> None:
        rows("CALL apikit_attach('shop')")
        rows("CALL apikit_attach('shop', name := 'laden')")
        rows("CALL apikit_detach('shop')")

        assert rows('SELECT sku FROM laden.lines WHERE "order" = 2') == [("c",)]
        assert api.paths == ["/notes", "/purchases/2/lines"]

    def test_two_connectors_join(self, rows: Rows) -> None:
        rows("CALL apikit_attach('shop')")
        rows("CALL apikit_attach('demo')")

        found = rows("SELECT o.id FROM shop.orders o JOIN demo.orders d USING (id) WHERE state = 'open' ORDER BY ALL")

        assert found == [(n,) for n in OPEN if n in {order["id"] for order in demo_data.orders()}]

    def test_eight_threads_at_once_attach_it_once(self, con: Con, rows: Rows, api: FakeApi) -> None:
        found: list[Any] = []

        def attach() -> None:
            cursor = con.cursor()
            found.append(cursor.execute("CALL apikit_attach('shop')").fetchall())
            found.append(cursor.execute("SELECT count(*) FROM shop.orders").fetchall())

        threads = [threading.Thread(target=attach) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert found.count([(25,)]) == 8
        assert api.paths.count("/notes") == 1
        assert len(rows("CALL apikit_attach('shop')")) == 3

    @pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
    def test_inside_a_transaction_it_serves_at_once_and_stays(self, rows: Rows, end: str) -> None:
        rows("BEGIN")
        rows("CREATE TABLE mine(i INTEGER)")
        rows("CALL apikit_attach('shop')")

        assert rows("SELECT count(*) FROM shop.orders") == [(25,)]
        rows(end)
        assert rows("SELECT count(*) FROM shop.orders") == [(25,)]

    def test_install_and_connect_attach_too(self, session: Session) -> None:
        plain = duckdb.connect()

        apikit_sql.install(plain, attach=["shop", "demo"], session=session)
        ours = apikit_sql.connect(attach=("shop",), session=session)

        assert plain.execute("SELECT count(*) FROM shop.orders, demo.status").fetchall() == [(25,)]
        assert ours.execute("SELECT count(*) FROM shop.orders").fetchall() == [(25,)]

    def test_one_text_is_no_list(self, session: Session) -> None:
        con = duckdb.connect()

        with pytest.raises(apikit_sql.ConfigError, match=r"attach: 'shop' is one; write a list of them\."):
            apikit_sql.install(con, attach="shop", session=session)

    def test_an_unknown_connector_is_told_with_near_names(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match=r"no connector is named 'shp'\. Did you mean shop"):
            rows("CALL apikit_attach('shp')")


@pytest.mark.usefixtures("shop")
class TestCatalog:
    def test_the_catalog_tells_columns_and_comments(self, rows: Rows, api: FakeApi) -> None:
        assert [row[:2] for row in rows("DESCRIBE shop.orders")] == [
            ("id", "BIGINT"), ("state", "VARCHAR"), ("made", "TIMESTAMP WITH TIME ZONE"),
        ]  # fmt: skip
        assert rows("SELECT comment FROM duckdb_views() WHERE database_name = 'shop' AND view_name = 'orders'") == [
            ("Orders, and who's to pay",)
        ]
        comments = "SELECT column_name, comment FROM duckdb_columns() WHERE database_name = 'shop' AND table_name = "
        assert rows(comments + "'orders'") == [
            ("id", "Its number; nobody's else"),
            ("state", "the API answers ="),
            ("made", "When; the API answers >="),
        ]
        assert rows(comments + "'lines'") == [("sku", None), ("order", "needed: = or IN")]
        assert rows(
            "SELECT table_name, count(*) FROM information_schema.columns WHERE table_catalog = 'shop' "
            "GROUP BY ALL ORDER BY ALL"
        ) == [("lines", 2), ("notes", 2), ("orders", 3)]
        assert {row[2] for row in rows("SHOW ALL TABLES") if row[0] == "shop"} == {"orders", "lines", "notes"}
        assert api.seen == []

    def test_summarize_reads_the_stream(self, rows: Rows) -> None:
        found = rows("SELECT column_name, min, max FROM (SUMMARIZE shop.orders) WHERE column_name = 'id'")

        assert found == [("id", "0", "24")]

    @pytest.mark.parametrize("way", ["USE shop", "SET search_path = 'memory,shop'"])
    def test_names_may_go_without_the_catalog(self, rows: Rows, way: str) -> None:
        rows(way)

        assert rows("SELECT count(*) FROM orders(state := 'open')") == [(len(OPEN),)]
        assert rows("SELECT count(*) FROM orders") == [(25,)]
        assert rows("SELECT len(lines_of(1))") == [(2,)]
        assert rows("SELECT connector FROM apikit_scans(1)") == [("shop",)]

    def test_cursors_see_it_whenever_they_were_made(self, con: Con) -> None:
        before = con.cursor()
        con.execute("CALL apikit_attach('shop')")

        for cursor in (before, con.cursor()):
            assert cursor.execute("SELECT count(*) FROM shop.orders").fetchall() == [(25,)]
            assert cursor.execute("SELECT len(shop.lines_of(1))").fetchall() == [(2,)]


@pytest.mark.usefixtures("shop")
class TestCallForms:
    @pytest.mark.parametrize(
        ("source", "path"),
        [
            ("shop.orders WHERE state = 'open'", "/purchases?status=open"),
            ("shop.orders(state := 'open')", "/purchases?status=open"),
            ("shop.orders('open')", "/purchases?status=open"),
            ("shop.main.orders(keys := [{state: 'open'}])", "/purchases?status=open"),
            ("shop.orders(keys := getvariable('k'))", "/purchases?status=open"),
            ("shop.orders(state := getvariable('s'), page_size := 20)", "/purchases?status=open&limit=20"),
            ("shop.orders(state := 'open', pages := 1, max_requests := 1, extra := true)", "/purchases?status=open"),
            (
                "shop.orders(columns := {id: 'INTEGER', state: 'VARCHAR'}) WHERE state = 'open'",
                "/purchases?status=open",
            ),
            (
                "shop.orders(types := {made: 'VARCHAR'}, on_drift := 'null') WHERE state = 'open'",
                "/purchases?status=open",
            ),
        ],
    )
    def test_a_key_becomes_a_parameter(self, rows: Rows, api: FakeApi, source: str, path: str) -> None:
        rows("SET VARIABLE k = [{state: 'open'}]")
        rows("SET VARIABLE s = 'open'")

        assert [row[0] for row in rows(f"SELECT id FROM {source}")] == OPEN
        assert api.paths[0] == path

    def test_what_a_key_promises_is_tried_by_an_expression_that_is_not_sent(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT id FROM shop.orders WHERE md5(state) = md5('open')")

        assert [row[0] for row in found] == OPEN
        assert set(api.params("status")) == {None}

    def test_a_bound_narrows_beside_a_key(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT id FROM shop.orders(state := 'open') WHERE made >= TIMESTAMPTZ '2026-01-20 00:00:00+00'")

        late = [o["id"] for o in ORDERS if o["state"] == "open" and dt.datetime.fromisoformat(o["made"]).day >= 20]
        assert [row[0] for row in found] == late
        assert api.params("since") == ["2026-01-20T00:00:00Z"]

    def test_several_keys_are_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        by_in = rows('SELECT "order", sku FROM shop.lines WHERE "order" IN (1, 2) ORDER BY ALL')
        by_keys = rows('SELECT "order", sku FROM shop.lines(keys := [{"order": 1}, {"order": 2}]) ORDER BY ALL')

        assert by_in == by_keys == [(1, "a"), (1, "b"), (2, "c")]
        assert sorted(api.paths) == 2 * ["/purchases/1/lines"] + 2 * ["/purchases/2/lines"]

    @pytest.mark.parametrize("source", ['lines("order" := ?)', 'lines WHERE "order" = ?', "lines($1)"])
    def test_a_parameter_is_a_key(self, shop: Con, api: FakeApi, source: str) -> None:
        assert shop.execute(f"SELECT sku FROM shop.{source}", [2]).fetchall() == [("c",)]
        assert api.paths == ["/purchases/2/lines"]

    def test_a_prepared_statement_asks_by_each_key(self, rows: Rows, api: FakeApi) -> None:
        rows('PREPARE q AS SELECT sku FROM shop.lines WHERE "order" = ?')

        assert (rows("EXECUTE q(1)"), rows("EXECUTE q(2)")) == ([("a",), ("b",)], [("c",)])
        assert api.paths == ["/purchases/1/lines", "/purchases/2/lines"]

    @pytest.mark.parametrize("kind", ["TABLE", "VIEW", "TEMP VIEW"])
    def test_a_stream_becomes_a_table_or_a_view_of_ones_own(self, rows: Rows, kind: str) -> None:
        rows(f"CREATE {kind} mine AS SELECT o.id, n.text FROM shop.orders o JOIN shop.notes n ON n.about = o.id")

        assert rows("FROM mine ORDER BY id") == [(note["about"], note["text"]) for note in NOTES]

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("orders(state := NULL)", "shop.orders: state is NULL. If it is a variable, it is not set."),
            ("lines(getvariable('nope'))", "shop.lines: order is NULL. If it is a variable, it is not set."),
            ("orders(keys := getvariable('nope'))", "keys is NULL. If it is a variable, it is not set"),
            (
                "orders('open', keys := [{state: 'paid'}])",
                "shop.orders: beside keys := ... say WHERE state = ..., not state := ...",
            ),
            ("orders(state := 'env:HOME')", "the parameter 'state' carries a credential, which SQL must not."),
            (
                "orders(params := {client_secret: 'x'})",
                "the parameter 'client_secret' carries a credential, which SQL must not.",
            ),
        ],
    )
    def test_a_key_that_is_none_is_refused(self, rows: Rows, api: FakeApi, source: str, message: str) -> None:
        with pytest.raises(duckdb.Error) as refused:
            rows(f"FROM shop.{source}")

        assert message in str(refused.value).partition("\n")[0]
        assert api.seen == []


@pytest.mark.usefixtures("shop")
class TestDetaching:
    def test_the_catalog_is_gone(self, rows: Rows) -> None:
        assert rows("CALL apikit_detach('SHOP')") == [("SHOP", True)]
        assert rows("CALL apikit_detach('shop')") == [("shop", False)]
        with pytest.raises(duckdb.CatalogException):
            rows("FROM shop.orders")

    def test_what_never_was_attached_is_told(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match=r"no connector is attached as 'system' \(attached: shop\)\."):
            rows("CALL apikit_detach('system')")

    def test_the_current_catalog_stays(self, rows: Rows) -> None:
        rows("USE shop")

        with pytest.raises(duckdb.Error, match="SHOP is the current catalog"):
            rows("CALL apikit_detach('SHOP')")

        rows("USE memory")
        assert rows("CALL apikit_detach('shop')") == [("shop", True)]

    def test_another_connector_does_not_take_a_name_that_is_used(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match="SHOP is the connector 'shop' already"):
            rows("CALL apikit_attach('demo', name := 'SHOP')")

    def test_a_view_that_was_dropped_is_made_again(self, rows: Rows) -> None:
        rows("DROP VIEW shop.orders")

        rows("CALL apikit_attach('shop')")

        assert rows("SELECT count(*) FROM duckdb_views() WHERE database_name = 'shop' AND view_name = 'orders'") == [
            (1,)
        ]

    @pytest.mark.parametrize("statement", ["CALL apikit_detach('shop')", "DETACH shop"])
    def test_it_is_attached_again(self, rows: Rows, api: FakeApi, statement: str) -> None:
        rows(statement)
        rows("CALL apikit_attach('shop')")

        assert rows("SELECT len(shop.lines_of(1)), count(*) FROM shop.orders") == [(2, 25)]
        assert "/notes" not in api.paths

    def test_what_stands_in_its_place_is_left_alone(self, rows: Rows) -> None:
        rows("DETACH shop")
        rows("ATTACH ':memory:' AS Shop")

        with pytest.raises(duckdb.Error, match="a database is called 'shop' already"):
            rows("CALL apikit_attach('shop')")
        assert rows("CALL apikit_detach('shop')") == [("shop", False)]
        assert rows("SELECT count(*) FROM duckdb_databases() WHERE database_name = 'Shop'") == [(1,)]

    def test_a_reader_half_way_reads_to_the_end(self, shop: Con) -> None:
        shop.execute("SELECT id FROM shop.orders")
        first = shop.fetchone()
        assert shop.cursor().execute("CALL apikit_detach('shop')").fetchall() == [("shop", True)]

        assert first == (0,)
        assert [row[0] for row in shop.fetchall()] == list(range(1, 25))

    def test_a_transaction_that_still_sees_the_catalog_is_told(self, shop: Con, rows: Rows) -> None:
        rows("BEGIN")
        rows("SELECT count(*) FROM shop.orders")
        shop.cursor().execute("CALL apikit_detach('shop')")

        with pytest.raises(duckdb.Error, match=r"shop\.orders: the connector is attached no longer"):
            rows("FROM shop.orders")
