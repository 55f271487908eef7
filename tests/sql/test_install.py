"""install(con): what it puts on a connection, what it leaves alone, and what it lets SQL reach."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.sql.catalog import FUNCTIONS
from tests.fakes.api import FakeApi, Table

pytestmark = pytest.mark.own_database

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

COUNT = "SELECT count(*) FROM apikit('https://api.test', '/items')"
IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table([{"id": n} for n in range(3)])})


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest file of the connector `shop`, which lies on the fake API."""
    file = tmp_path / "shop.toml"
    file.write_text('name = "shop"\nbase_url = "https://shop.test"\n[streams.items]\npath = "/items"\n')
    return file


def fingerprint(database: Path) -> tuple[list[tuple[Any, ...]], ...]:
    """The functions, views, tables and schemas that a database file itself holds."""
    con = duckdb.connect(database, read_only=True)
    name = con.execute("SELECT current_catalog()").fetchall()[0][0]
    found = tuple(
        con.execute(f"FROM duckdb_{kind}() SELECT * EXCLUDE (database_oid) WHERE database_name = '{name}'").fetchall()
        for kind in ("functions", "views", "tables", "schemas", "types")
    )
    con.close()
    return found


class TestInstallingAgain:
    def test_twice_is_harmless(self, con: Con, session: Session) -> None:
        apikit_sql.install(con, session=session)
        apikit_sql.install(con)

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_without_options_those_that_were_given_stay(self, session: Session, manifest: Path) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, ad_hoc=False, connectors=[manifest])

        apikit_sql.install(con)

        assert con.execute("SELECT count(*) FROM apikit('shop', 'items')").fetchall() == [(3,)]
        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            con.execute(COUNT)

    def test_on_a_cursor_those_of_the_database_stay(self, session: Session) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, ad_hoc=False)
        cursor = con.cursor()

        apikit_sql.install(cursor)

        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            cursor.execute(COUNT)

    def test_with_options_the_new_ones_hold(self, con: Con, session: Session) -> None:
        apikit_sql.install(con, session=session, ad_hoc=False)
        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            con.execute(COUNT)

        apikit_sql.install(con, session=session, max_wait=5)
        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            con.execute(COUNT)

        apikit_sql.install(con, ad_hoc=True)
        assert con.execute(COUNT).fetchall() == [(3,)]

    @pytest.mark.parametrize(
        "options",
        [
            {"max_wait": -1},
            {"max_wait": "x"},
            {"max_wait": True},
            {"max_wait": float("nan")},
            {"max_requests": 0},
            {"max_requests": "x"},
            {"max_requests": 2.5},
            {"max_requests": True},
            {"connectors": "demo"},
            {"connectors": ["nosuch"]},
        ],
    )
    def test_an_option_that_is_wrong_is_told_at_once(self, con: Con, options: dict[str, Any]) -> None:
        with pytest.raises(apikit_sql.ConfigError):
            apikit_sql.install(con, **options)

    @pytest.mark.parametrize("name", [function.name for function in FUNCTIONS])
    def test_a_macro_of_the_users_own_is_not_replaced(self, name: str) -> None:
        with duckdb.connect() as con:
            con.execute(f"CREATE MACRO {name}(x) AS x + 1")

            with pytest.raises(apikit_sql.ConfigError, match=f"has a macro '{name}' of its own"):
                apikit_sql.install(con)

            assert con.execute(f"SELECT {name}(1)").fetchall() == [(2,)]

    def test_limits_that_were_given_stay_each_by_itself(self, con: Con, api: FakeApi) -> None:
        api.routes["/many"] = Table([{"id": n} for n in range(30)], paging="link")
        sql = "FROM apikit('https://api.test', '/many', columns := {id: 'BIGINT'})"
        apikit_sql.install(con, max_requests=2)

        apikit_sql.install(con, max_wait=5)

        with pytest.raises(duckdb.Error, match="max_requests = 2 are sent"):
            con.execute(sql).fetchall()
        apikit_sql.install(con, max_requests=3)
        assert len(con.execute(sql).fetchall()) == 30

    def test_two_databases_keep_options_of_their_own(self, con: Con, session: Session) -> None:
        other = duckdb.connect()
        apikit_sql.install(other, session=session, ad_hoc=False)

        assert con.execute(COUNT).fetchall() == [(3,)]
        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            other.execute(COUNT)

    def test_after_an_install_that_was_rolled_back(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("BEGIN")
        apikit_sql.install(con, session=session)
        con.execute("ROLLBACK")

        apikit_sql.install(con, session=session)

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_inside_a_transaction_that_is_committed(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("BEGIN")
        apikit_sql.install(con, session=session)
        assert con.execute(COUNT).fetchall() == [(3,)]
        con.execute("COMMIT")

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_a_wrong_option_leaves_the_connection_as_it_was(self, con: Con, tmp_path: Path) -> None:
        with pytest.raises(apikit_sql.ConfigError):
            apikit_sql.install(con, connectors=[tmp_path / "missing.toml"])

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_the_tables_and_settings_of_the_user_stay(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("CREATE TABLE apikit (id INTEGER); INSERT INTO apikit VALUES (7); SET threads = 1")

        apikit_sql.install(con, session=session)

        assert con.execute("FROM apikit").fetchall() == [(7,)]
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(1,)]
        assert con.execute(COUNT).fetchall() == [(3,)]


class TestDatabaseFiles:
    def test_nothing_is_written_into_a_file(self, tmp_path: Path, session: Session) -> None:
        # given a file with a table, and what it holds
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as con:
            con.execute("CREATE TABLE t AS SELECT 1 AS id")
        before, size, content = fingerprint(file), file.stat().st_size, file.read_bytes()

        # when every function is installed and used
        with duckdb.connect(file) as con:
            apikit_sql.install(con, session=session)
            apikit_sql.install(con.cursor(), session=session)
            assert con.execute(COUNT).fetchall() == [(3,)]

        # then the file is what it was
        assert fingerprint(file) == before
        assert file.stat().st_size == size
        assert file.read_bytes() == content
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("mine")] == ["mine.db"]

    def test_nothing_is_written_even_where_the_user_writes(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as con:
            apikit_sql.install(con, session=session)
            con.execute("CREATE TABLE t AS FROM apikit('https://api.test', '/items')")
            con.execute("CHECKPOINT")

        with duckdb.connect(file) as con:
            names = [
                row[0]
                for row in con.execute("SELECT function_name FROM duckdb_functions() WHERE NOT internal").fetchall()
            ]
            assert [name for name in names if "apikit" in name] == []
            assert con.execute("SELECT database_name FROM duckdb_databases() WHERE NOT internal").fetchall() == [
                ("mine",)
            ]
            assert con.execute("SELECT count(*) FROM t").fetchall() == [(3,)]
        assert b"__apikit" not in file.read_bytes()

    def test_a_stored_view_works_again_after_install(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as con:
            apikit_sql.install(con, session=session)
            con.execute("CREATE VIEW v AS FROM apikit('https://api.test', '/items', columns := {id: 'BIGINT'})")

        with duckdb.connect(file) as con:
            with pytest.raises(duckdb.Error, match="apikit"):
                con.execute("FROM v")
            apikit_sql.install(con, session=session)
            assert con.execute("SELECT sum(id) FROM v").fetchall() == [(3,)]

    def test_a_read_only_file_is_read_beside_an_api(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as con:
            con.execute("CREATE TABLE t AS SELECT 1 AS id")

        with duckdb.connect(file, read_only=True) as con:
            apikit_sql.install(con, session=session)
            found = con.execute(
                "SELECT count(*) FROM t JOIN apikit('https://api.test', '/items') USING (id)"
            ).fetchall()

        assert found == [(1,)]

    def test_the_cursor_of_a_file_needs_an_install_of_its_own(self, tmp_path: Path, session: Session) -> None:
        with duckdb.connect(tmp_path / "mine.db") as con:
            apikit_sql.install(con, session=session)
            cursor = con.cursor()
            with pytest.raises(duckdb.CatalogException, match="apikit"):
                cursor.execute(COUNT)

            apikit_sql.install(cursor)

            assert cursor.execute(COUNT).fetchall() == [(3,)]

    def test_a_file_attached_to_a_database_in_memory_stays_as_it_was(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        duckdb.connect(file).close()
        before = fingerprint(file)

        with duckdb.connect() as con:
            con.execute(f"ATTACH '{file}' AS mine; USE mine")
            apikit_sql.install(con, session=session)
            assert con.execute(COUNT).fetchall() == [(3,)]

        assert fingerprint(file) == before

    def test_a_database_in_memory_is_copied_without_our_macros_once_they_are_dropped(
        self, tmp_path: Path, con: Con
    ) -> None:
        file = tmp_path / "copy.db"
        con.execute("CREATE TABLE t AS FROM apikit('https://api.test', '/items')")
        for function in FUNCTIONS:
            con.execute(f"DROP MACRO {'' if function.returns else 'TABLE '}memory.main.{function.name}")
        con.execute(f"ATTACH '{file}' AS copy")

        con.execute("COPY FROM DATABASE memory TO copy")
        con.execute("DETACH copy")

        functions, _, tables, *_ = fingerprint(file)
        assert functions == []
        assert len(tables) == 1
        assert con.execute(COUNT).fetchall() == [(3,)]


class TestCursors:
    def test_the_cursor_of_a_database_in_memory_sees_everything(self, con: Con) -> None:
        assert con.cursor().execute(COUNT).fetchall() == [(3,)]

    def test_a_named_database_in_memory_is_one_database(self, session: Session) -> None:
        first, second = duckdb.connect(":memory:shared"), duckdb.connect(":memory:shared")
        apikit_sql.install(first, session=session)

        assert second.execute(COUNT).fetchall() == [(3,)]
        first.close()
        assert second.execute(COUNT).fetchall() == [(3,)]
        second.close()

    def test_an_install_on_a_cursor_serves_its_connection_too(self, session: Session) -> None:
        con = duckdb.connect()
        apikit_sql.install(con.cursor(), session=session)

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_a_table_in_use_elsewhere_is_read_from_a_cursor(self, con: Con) -> None:
        con.execute("CREATE SCHEMA s; USE s")

        assert con.execute(COUNT).fetchall() == [(3,)]
        assert con.cursor().execute(COUNT).fetchall() == [(3,)]


class TestTokens:
    def test_a_token_is_sent_to_its_origin_and_to_no_other(
        self, session: Session, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INTERNAL_TOKEN", "tok-1234567")
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://api.test": "env:INTERNAL_TOKEN"})

        for base in ("https://api.test", "https://api.test.evil.test", "https://other.test", "http://api.test"):
            con.execute(f"SELECT count(*) FROM apikit('{base}', '/items')")
        con.execute("SELECT count(*) FROM apikit('https://api.test:8443', '/items')")

        assert {(str(r.url.copy_with(raw_path=b"/")), r.headers.get("authorization")) for r in api.seen} == {
            ("https://api.test/", "Bearer tok-1234567"),
            ("https://api.test.evil.test/", None),
            ("https://other.test/", None),
            ("http://api.test/", None),
            ("https://api.test:8443/", None),
        }

    @pytest.mark.parametrize(
        ("origin", "base"),
        [
            ("https://api.test/", "https://api.test"),
            ("https://api.test", "https://api.test/v1"),
            ("https://api.test:443", "https://api.test"),
            ("https://api.test", "https://api.test:443"),
            ("https://API.test", "https://api.test"),
            ("https://api.test", "https://API.test"),
            ("http://localhost:8080", "http://localhost:8080"),
        ],
    )
    def test_one_origin_is_written_in_several_ways(
        self, session: Session, api: FakeApi, origin: str, base: str
    ) -> None:
        api.routes["/v1/items"] = api.routes["/items"]
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={origin: "tok-1234567"})

        con.execute(f"SELECT count(*) FROM apikit('{base}', '/items')")

        assert {request.headers.get("authorization") for request in api.seen} == {"Bearer tok-1234567"}

    def test_a_connector_does_not_get_the_token_of_another_origin(
        self, session: Session, api: FakeApi, manifest: Path
    ) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://api.test": "tok-1234567"}, connectors=[manifest])

        con.execute("SELECT count(*) FROM apikit('shop', 'items')")

        assert {request.headers.get("authorization") for request in api.seen} == {None}

    def test_a_token_that_is_not_set_is_told_by_its_name(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://api.test": "env:NOT_SET_ANYWHERE"})

        with pytest.raises(duckdb.InvalidInputException, match="env:NOT_SET_ANYWHERE is not set"):
            con.execute(COUNT)
        assert api.seen == []

    @pytest.mark.parametrize(
        "origin",
        ["api.test", "https://", "https://api.test/v1", "https://u:p@api.test", "ftp://api.test", "https://a?b"],
    )
    def test_what_is_no_origin_is_refused_without_its_token(self, con: Con, origin: str) -> None:
        with pytest.raises(apikit_sql.ConfigError, match="is not an origin") as caught:
            apikit_sql.install(con, tokens={origin: "tok-1234567"})

        assert "tok-1234567" not in str(caught.value)


class TestNamedConnectorsOnly:
    def test_an_ad_hoc_address_is_refused(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, ad_hoc=False)

        with pytest.raises(duckdb.InvalidInputException, match="only named connectors"):
            con.execute(COUNT)
        assert con.execute("SELECT count(*) > 0 FROM apikit('demo', 'products')").fetchall() == [(True,)]
        assert all(request.url.host == "127.0.0.1" for request in api.seen)

    def test_only_the_connectors_named_may_be_used(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=["demo"])

        assert con.execute("SELECT count(*) FROM apikit('demo', 'products')").fetchall() == [(64,)]
        seen = len(api.seen)
        with pytest.raises(duckdb.InvalidInputException, match="'jsonplaceholder' may not be used here; allowed: demo"):
            con.execute("FROM apikit('jsonplaceholder', '/posts')")
        assert len(api.seen) == seen

    def test_no_connectors_at_all_is_a_choice(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=[], ad_hoc=False)

        with pytest.raises(duckdb.InvalidInputException, match="may not be used here"):
            con.execute("FROM apikit('demo', 'products')")
        assert api.seen == []

    def test_a_manifest_file_becomes_a_connector(self, session: Session, api: FakeApi, manifest: Path) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=[manifest, "demo"])

        assert con.execute("FROM apikit('shop', 'items')").fetchall() == [(0,), (1,), (2,)]
        assert {request.url.host for request in api.seen} == {"shop.test"}

    def test_a_manifest_file_is_named_as_text_too(self, session: Session, manifest: Path) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=[str(manifest)])

        assert con.execute("SELECT count(*) FROM apikit('shop', 'items')").fetchall() == [(3,)]

    def test_a_manifest_that_is_wrong_is_told_by_file_and_key(self, con: Con, tmp_path: Path) -> None:
        file = tmp_path / "bad.toml"
        file.write_text('name = "bad"\nbase_uri = "https://bad.test"\n')

        with pytest.raises(apikit_sql.ConfigError, match=r"bad\.toml.*base_ur[il]"):
            apikit_sql.install(con, connectors=[file])


class TestExternalAccess:
    def test_nothing_is_sent_where_duckdb_may_not_reach_outside(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session)

        with pytest.raises(duckdb.InvalidInputException, match="sends nothing while enable_external_access is false"):
            con.execute(COUNT)
        assert api.seen == []

    def test_access_that_is_taken_away_later_is_noticed(self, con: Con, api: FakeApi) -> None:
        assert con.execute(COUNT).fetchall() == [(3,)]
        sent = len(api.seen)

        con.execute("SET enable_external_access = false")

        with pytest.raises(duckdb.InvalidInputException, match="sends nothing"):
            con.execute(COUNT)
        assert len(api.seen) == sent

    def test_allow_network_sends_all_the_same(self, session: Session) -> None:
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session, allow_network=True)

        if IS_2:
            assert con.execute(COUNT).fetchall() == [(3,)]
        else:  # the name of the dataset cannot be found then
            with pytest.raises(duckdb.Error):
                con.execute(COUNT)

    def test_a_network_that_is_not_allowed_is_not_used(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, allow_network=False)

        with pytest.raises(duckdb.InvalidInputException, match="apikit"):
            con.execute(COUNT)
        assert api.seen == []

    def test_sql_cannot_claim_an_access_that_the_database_does_not_have(self, session: Session, api: FakeApi) -> None:
        # given the function behind the macro, which SQL can call by itself
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session)
        claim = (
            '{"function": "apikit", "external_access": true, '
            '"arguments": {"connector": "https://api.test", "path": "/items"}}'
        )

        with pytest.raises(duckdb.Error):
            con.execute("SELECT * FROM query(__apikit_bind($1))", [claim])
        assert api.seen == []

    @pytest.mark.parametrize("kind", ["MACRO", "TEMP MACRO"])
    def test_a_macro_of_sql_does_not_answer_for_duckdb(self, session: Session, api: FakeApi, kind: str) -> None:
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session)
        con.execute(f"CREATE {kind} current_setting(name) AS true")

        for statement in (COUNT, "SELECT apikit_get('https://api.test', '/items')"):
            with pytest.raises(duckdb.InvalidInputException, match="sends nothing"):
                con.execute(statement)
        assert api.seen == []

    def test_macros_that_are_called_like_duckdbs_functions_are_in_nobodys_way(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("CREATE MACRO txid_current() AS random(); CREATE MACRO current_catalog() AS 'x'")
        for name in ("databases", "functions", "schemas", "views"):
            con.execute(f"CREATE MACRO duckdb_{name}() AS TABLE SELECT 'x' AS path, 'memory' AS database_name")

        apikit_sql.install(con, session=session)
        apikit_sql.install(con, session=session, attach=["demo"])

        assert con.execute("SELECT count(*) FROM demo.products").fetchall() == [(64,)]

    def test_a_cursor_whose_connection_is_gone_reaches_no_more_than_it_did(
        self, session: Session, api: FakeApi
    ) -> None:
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session)
        cursor = con.cursor()
        del con

        with pytest.raises(duckdb.InvalidInputException, match="sends nothing"):
            cursor.execute("SELECT apikit_get('https://api.test', '/items')")
        assert api.seen == []

    def test_a_locked_configuration_can_be_installed_on(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("SET lock_configuration = true")

        apikit_sql.install(con, session=session)

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_replacements_that_another_library_switched_off_are_switched_on(self, session: Session) -> None:
        con = duckdb.connect()
        con.execute("SET python_enable_replacements = false")

        apikit_sql.install(con, session=session)

        assert con.execute(COUNT).fetchall() == [(3,)]


class TestSession:
    def test_without_a_session_that_of_the_process_serves_all(self) -> None:
        con = duckdb.connect()
        apikit_sql.install(con)

        assert con.execute("SELECT count(*) FROM apikit('demo', 'products')").fetchall() == [(64,)]

    def test_a_session_keeps_what_was_sent(self, con: Con, session: Session) -> None:
        con.execute(COUNT).fetchall()

        assert [(record.method, record.url, record.status) for record in session.requests] == [
            ("GET", "https://api.test/items", 200)
        ]

    def test_a_closed_session_may_be_used_again(self, con: Con, session: Session) -> None:
        con.execute(COUNT).fetchall()
        session.close()

        assert con.execute(COUNT).fetchall() == [(3,)]

    def test_two_sessions_have_connectors_of_their_own(self, api: FakeApi, manifest: Path, session: Session) -> None:
        own = Session(connectors=ConnectorRegistry(), transport=api.transport())
        first, second = duckdb.connect(), duckdb.connect()
        apikit_sql.install(first, session=own, connectors=[manifest])
        apikit_sql.install(second, session=session)

        assert first.execute("SELECT count(*) FROM apikit('shop', 'items')").fetchall() == [(3,)]
        with pytest.raises(duckdb.InvalidInputException, match="no connector is named 'shop'"):
            second.execute("SELECT count(*) FROM apikit('shop', 'items')")
        own.close()
