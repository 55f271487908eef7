"""What an attached catalog may be called, which manifest stands behind it, and what it leaves."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.sql import attach
from tests.fakes.api import FakeApi, Table
from tests.sql.script import run_script

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

ITEMS = [{"id": n, "name": f"n{n}", "rank": 10 * n} for n in range(3)]
ONE = """
[streams.items]
path = "/items"
columns = { id = "BIGINT", name = "VARCHAR" }
key_columns = [{ column = "id", param = "id" }]
"""
OTHER = """
[streams.others]
path = "/others"
"""


@pytest.fixture
def api() -> FakeApi:
    items = Table(ITEMS, filters={"id": ("id", "=")})
    return FakeApi({"/items": items, "/others": Table([{"x": 1}])})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """What writes the manifest of a connector, `acme` unless named."""

    def write(*streams: str, name: str = "acme") -> None:
        file = tmp_path / "config" / "connectors" / f"{name}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(['base_url = "https://acme.test"', "retry = { max_attempts = 1 }", *streams]))

    return write


@pytest.fixture
def acme(con: Con, write: Callable[..., None]) -> Con:
    write(ONE)
    con.execute("CALL apikit_attach('acme')")
    return con


def databases(con: Con) -> set[str]:
    return {name for (name,) in con.execute("SELECT database_name FROM duckdb_databases()").fetchall()}


class TestNames:
    @pytest.mark.parametrize("name", ["Ünicode", "a b", "", "1a", "a.b", 'x"y', "x'y", "https://api.test", "a\nb"])
    def test_what_is_no_name_is_refused(self, con: Con, name: str) -> None:
        before = databases(con)

        with pytest.raises(duckdb.Error, match="is no name for a catalog; it is letters, digits and '_'"):
            con.execute("CALL apikit_attach('demo', name := ?)", [name])
        assert databases(con) == before

    @pytest.mark.parametrize(
        "name", ["main", "MAIN", "system", "temp", "memory", "Memory", "pg_catalog", "information_schema"]
    )
    def test_the_names_that_duckdb_has_are_refused(self, con: Con, name: str) -> None:
        with pytest.raises(duckdb.Error, match=f"is called '{name}' already. Choose another name: .*{name}_api"):
            con.execute("CALL apikit_attach('demo', name := ?)", [name])

    @pytest.mark.parametrize(
        "statement", ["CREATE SCHEMA Demo", "ATTACH ':memory:' AS DEMO", "ATTACH ':memory:' AS f; CREATE SCHEMA f.demo"]
    )
    def test_the_names_that_the_user_has_are_refused(self, con: Con, api: FakeApi, statement: str) -> None:
        con.execute(statement)
        before = databases(con)

        with pytest.raises(duckdb.Error, match=r"CALL apikit_attach\(\.\.\., name := 'demo_api'\)"):
            con.execute("CALL apikit_attach('demo')")
        assert databases(con) == before
        assert api.seen == []

    def test_a_table_of_that_name_does_not_matter(self, rows: Rows) -> None:
        rows("CREATE TABLE demo(status INTEGER)")
        rows("CREATE TEMP TABLE status(i INTEGER)")

        rows("CALL apikit_attach('demo')")

        assert rows("SELECT version FROM demo.status") == [("1.0",)]
        assert rows("FROM demo") == []

    def test_a_key_word_is_a_name_in_quotes(self, rows: Rows) -> None:
        rows("CALL apikit_attach('demo', name := 'select')")

        assert rows('SELECT version FROM "select".status') == [("1.0",)]
        assert rows("SELECT len(\"select\".warehouses_of('emea'))") == [(8,)]

    def test_advice_can_be_pasted_where_a_name_is_a_key_word(self, rows: Rows) -> None:
        rows("CALL apikit_attach('demo', name := 'select')")

        with pytest.raises(
            duckdb.Error, match=r'Use "select"\.warehouses_of\(r\.region\), or .*"select"\.warehouses\('
        ):
            rows('FROM "select".warehouses')

    def test_streams_and_columns_have_any_name(self, rows: Rows, write: Any, api: FakeApi) -> None:
        names = ["order", "a b", 'q"x', "it's", "é", "keys", "key", "connector", "arguments", "from", "pages_type"]
        api.routes["/items"] = Table([dict.fromkeys(names, 1)])
        columns = "".join(f'{json.dumps(name, ensure_ascii=False)} = "BIGINT"\n' for name in names)
        keys = ", ".join(
            f'{{ column = {json.dumps(name, ensure_ascii=False)}, param = "p{n}" }}' for n, name in enumerate(names)
        )
        stream = f'[streams.group]\npath = "/items"\nkey_columns = [{keys}]\n[streams.group.columns]\n{columns}'
        write(stream, '[streams.group_of]\npath = "/items"\ncolumns = { order = "BIGINT" }')
        rows("CALL apikit_attach('acme')")

        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            assert rows(f'SELECT count(*) FROM acme."group"({quoted} := 1)') == [(1,)]
            assert rows(f"SELECT len(acme.group_of({quoted} := 1))") == [(1,)]
        assert rows("FROM acme.group_of") == [(1,)]
        assert api.params("p1") == [None, None, "1", "1", *[None] * (2 * len(names) - 3)]

    def test_a_key_column_may_be_called_like_an_option_in_another_case(self, rows: Rows, write: Any) -> None:
        write(
            '[streams.items]\npath = "/items"\ncolumns = { Timeout = "BIGINT" }',
            'key_columns = [{ column = "Timeout", param = "t" }]',
        )

        assert rows("CALL apikit_attach('acme')") == [("acme.items", [], 1, "", None)]

    @pytest.mark.parametrize(
        "argument", ["5, name := 'x'", "NULL", "['demo']", "'demo', name := 5", "'demo', name = 'x'"]
    )
    def test_an_argument_that_is_no_text_is_told_in_our_words(self, con: Con, argument: str) -> None:
        with pytest.raises(duckdb.Error) as refused:
            con.execute(f"CALL apikit_attach({argument})")

        assert "apikit_attach" in str(refused.value).partition("\n")[0]


class TestRequiredKeys:
    @pytest.mark.parametrize("name", ["github", "gh"])
    @pytest.mark.parametrize(
        "source", ["issues", "issues()", "issues WHERE owner = 'a'", "issues(owner := 'a')", "issues NATURAL JOIN r"]
    )
    def test_missing_ones_are_told_with_the_names_in_use(
        self, rows: Rows, api: FakeApi, name: str, source: str
    ) -> None:
        rows(f"CALL apikit_attach('github', name := '{name}')")
        rows("CREATE TABLE r(owner TEXT, repo TEXT)")
        rows("INSERT INTO r SELECT 'o' || i, 'r' || i FROM range(3000) t(i)")

        with pytest.raises(duckdb.Error) as refused:
            rows(f"FROM {name}.{source}")

        assert (
            f"{name}.issues needs owner and repo (= or IN); a join cannot supply them. Use {name}.issues_of(r.owner, "
            "r.repo), or SET VARIABLE k = (SELECT list({owner: ..., repo: ...}) FROM ...) and "
            f"{name}.issues(keys := getvariable('k'))."
        ) in str(refused.value).partition("\n")[0]
        assert api.seen == []


@pytest.mark.usefixtures("acme")
class TestManifestsThatChange:
    def test_streams_come_and_go_with_the_next_attach(self, rows: Rows, write: Any) -> None:
        write(OTHER)
        told = rows("CALL apikit_attach('acme')")

        assert told == [("acme.others", [], 1, "", None)]
        assert rows("FROM acme.others") == [(1,)]
        for gone in ("FROM acme.items", "FROM acme.items(id := 1)", "SELECT acme.items_of(id := 1)"):
            with pytest.raises(duckdb.CatalogException):
                rows(gone)

    def test_views_and_functions_follow_changed_columns(self, rows: Rows, write: Any) -> None:
        write(ONE.replace('id = "BIGINT", name', 'rank = "BIGINT", id = "VARCHAR", name'))

        rows("CALL apikit_attach('acme')")

        assert rows("FROM acme.items LIMIT 1") == [(0, "0", "n0")]
        assert rows("SELECT acme.items_of(id := 2)[1].rank") == [(20,)]

    def test_columns_of_a_stream_that_is_gone_are_told(self, rows: Rows, write: Any) -> None:
        write(OTHER)

        with pytest.raises(duckdb.Error, match="acme has no stream 'items'"):
            rows("FROM acme.items")

    @pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(200, json=[])])
    def test_a_stream_that_cannot_be_sampled_is_left_out_and_told(
        self, rows: Rows, write: Any, api: FakeApi, answer: httpx.Response
    ) -> None:
        write(ONE, OTHER)
        api.routes["/others"] = answer

        for name in ("acme", "another"):
            with pytest.warns(apikit_sql.ApikitWarning, match=rf"{name}\.others is left out: .*/others"):
                told = rows(f"SELECT stream, error FROM apikit_attach('acme', name := '{name}')")

            assert [(stream, "Declare its columns" in (error or "")) for stream, error in told] == [
                (f"{name}.items", False),
                (f"{name}.others", True),
            ]
            assert rows(f"SELECT count(*), len({name}.items_of(id := 1)) FROM {name}.items") == [(3, 1)]
            with pytest.raises(duckdb.Error, match="others"):
                rows(f"FROM {name}.others")

    def test_where_no_stream_can_be_sampled_nothing_is_attached(
        self, acme: Con, rows: Rows, write: Any, api: FakeApi
    ) -> None:
        write(OTHER)
        api.routes["/others"] = httpx.Response(404)

        with pytest.raises(duckdb.Error, match="/others answered 404"):
            rows("CALL apikit_attach('acme', name := 'another')")

        assert "another" not in databases(acme)

    def test_what_duckdb_refused_once_is_attached_the_next_time(
        self, rows: Rows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a statement that fails behind those that made the stream's function
        whole = attach._statements
        with monkeypatch.context() as broken:
            broken.setattr(attach, "_statements", lambda *given: (*whole(*given), "SELECT nothing_there"))
            with pytest.raises(duckdb.Error, match="nothing_there"):
                rows("CALL apikit_attach('acme', name := 'again')")

        rows("CALL apikit_attach('acme', name := 'again')")

        assert rows("SELECT again.items_of(id := 2)[1].name") == [("n2",)]


class TestDatabaseFiles:
    LISTING = """
        SELECT 'view', view_name, sql FROM duckdb_views() WHERE NOT internal
        UNION ALL SELECT 'table', table_name, sql FROM duckdb_tables()
        UNION ALL SELECT 'function', function_name, macro_definition FROM duckdb_functions() WHERE NOT internal
        UNION ALL SELECT 'database', database_name, path FROM duckdb_databases()
        UNION ALL SELECT 'schema', schema_name, NULL FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL
    """

    def test_nothing_is_written_into_the_file(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as plain:
            plain.execute("CREATE TABLE mine(i INTEGER); CREATE MACRO twice(x) AS 2 * x; CREATE VIEW one AS SELECT 1")
        with duckdb.connect(file) as plain:
            before = plain.execute(self.LISTING).fetchall()

        with duckdb.connect(file) as con:
            apikit_sql.install(con, attach=["demo"], session=session)
            con.execute("CALL apikit_attach('demo', name := 'd2')")
            con.execute("INSERT INTO mine SELECT len(demo.warehouses_of('emea')) FROM d2.status")

        with duckdb.connect(file) as plain:
            assert plain.execute(self.LISTING).fetchall() == before
            assert plain.execute("FROM mine").fetchall() == [(8,)]

    def test_a_view_of_ones_own_works_again_after_attach(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        with duckdb.connect(file) as con:
            apikit_sql.install(con, attach=["demo"], session=session)
            con.execute("CREATE VIEW mine AS SELECT len(demo.warehouses_of(r)) n FROM (VALUES ('emea')) t(r)")

        with duckdb.connect(file) as con:
            apikit_sql.install(con, session=session)
            with pytest.raises(duckdb.CatalogException):
                con.execute("FROM mine")
            con.execute("CALL apikit_attach('demo')")
            assert con.execute("FROM mine").fetchall() == [(8,)]

    def test_a_read_only_file_stands_beside_a_catalog(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        duckdb.connect(file).close()

        with duckdb.connect(file, read_only=True) as con:
            apikit_sql.install(con, session=session)
            con.execute("CALL apikit_attach('demo')")
            assert con.execute("SELECT version FROM demo.status").fetchall() == [("1.0",)]

    def test_a_plain_cursor_of_the_file_reads_the_catalog(self, tmp_path: Path, session: Session) -> None:
        con = duckdb.connect(tmp_path / "mine.db")
        apikit_sql.install(con, attach=["demo"], session=session)

        cursor = con.cursor()

        assert cursor.execute("SELECT len(demo.warehouses_of('emea')) FROM demo.status").fetchall() == [(8,)]
        con.close()

    def test_the_file_is_free_when_it_is_closed(self, tmp_path: Path, session: Session) -> None:
        file = tmp_path / "mine.db"
        con = duckdb.connect(file)
        apikit_sql.install(con, attach=["demo"], session=session)
        con.execute("SELECT len(demo.warehouses_of('emea')) FROM demo.status").fetchall()
        con.close()

        opened = subprocess.run(
            [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1])", file], check=False
        )

        assert opened.returncode == 0

    @pytest.mark.parametrize("database", [":memory:", "mine.db"])
    @pytest.mark.parametrize("end", ["del con", "con.close(); del con"])
    def test_what_lives_on_reads_without_the_connection_that_attached(
        self, tmp_path: Path, database: str, end: str
    ) -> None:
        script = f"""
            import gc, sys
            import duckdb, apikit_sql

            con = duckdb.connect({database!r})
            apikit_sql.install(con, attach=["demo"])
            cursor = con.cursor()
            beside = duckdb.connect({database!r})
            {end}
            gc.collect()
            for living in (cursor, beside):
                for _ in range(3):
                    try:
                        print(living.execute("SELECT len(demo.warehouses_of('emea')) FROM demo.status").fetchall())
                    except duckdb.Error as error:
                        print(type(error).__name__)
        """

        done = run_script(script, folder=tmp_path)

        reads, closed, unknown = 3 * ["[(8,)]"], 3 * ["ConnectionException"], 3 * ["CatalogException"]
        of_cursor = reads if end == "del con" else closed
        of_beside = reads if database == "mine.db" else unknown
        assert (done.stdout.split("\n")[:-1], done.returncode) == (of_cursor + of_beside, 0)
