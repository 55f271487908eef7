"""CALL apikit_dbt_export() and apikit_dbt_export_query(): files in a dbt project, and the rows that tell of them."""

from pathlib import Path

import duckdb
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table
from tests.sql.demo_data import customers

EXPORT = "CALL apikit_dbt_export('https://api.test', '/people', name := 'people', output_dir := 'shop')"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    api.routes["/people"] = Table([{"id": n, "user": {"login": f"u{n}"}} for n in range(25)], "link")
    return folder


def told(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    with pytest.raises(duckdb.Error) as error:
        con.execute(sql).fetchall()
    return str(error.value)


def test_all_pages_of_a_path_are_exported(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(EXPORT).fetchall()

    assert rows == [
        ("shop/seeds/people.csv", "created", 25),
        ("shop/models/people.yml", "created", 25),
        ("shop/models/sources.yml", "created", 25),
    ]
    assert Path("shop/seeds/people.csv").read_text().splitlines()[-1] == '24,"u24"'
    assert {action for _, action, _ in con.execute(EXPORT).fetchall()} == {"unchanged"}


def test_explain_and_describe_write_nothing_and_send_nothing(
    con: duckdb.DuckDBPyConnection, here: Path, api: FakeApi
) -> None:
    con.execute(f"EXPLAIN {EXPORT}").fetchall()
    con.execute(f"DESCRIBE FROM {EXPORT.removeprefix('CALL ')}").fetchall()
    con.execute("FROM apikit_explain($$ FROM " + EXPORT.removeprefix("CALL ") + " $$)").fetchall()
    query = "apikit_dbt_export_query('SELECT 1 AS one', 'people', 'shop')"
    con.execute(f"FROM apikit_explain($$ FROM {query} $$)").fetchall()

    assert list(here.iterdir()) == []
    assert api.seen == []


def test_a_stream_tells_its_types_texts_and_key() -> None:
    con = duckdb.connect()
    apikit_sql.install(con, session=Session())

    con.execute("CALL apikit_dbt_export('demo', 'customers', name := 'demo_customers', output_dir := '.')")

    (ids,) = con.execute("SELECT list(id ORDER BY id) FROM read_csv('seeds/demo_customers.csv')").fetchall()[0]
    assert ids == sorted(each["id"] for each in customers())
    text = Path("models/demo_customers.yml").read_text()
    assert "created: TIMESTAMPTZ" in text
    assert 'description: "ISO 3166-1 alpha-2"' in text
    assert text.count("- unique") == 1
    assert "by cursor, the last record's id" in text
    con.close()


def test_path_params_fill_the_path_and_the_column_that_records_lack() -> None:
    con = duckdb.connect()
    apikit_sql.install(con, session=Session())

    con.execute("CALL apikit_dbt_export('demo', 'warehouses', 'places', '.', path_params := {region: 'apac'})")

    regions = con.execute("SELECT DISTINCT region, count(*) FROM read_csv('seeds/places.csv') GROUP BY ALL").fetchall()
    assert regions == [("apac", 5)]
    con.close()


def test_a_select_keeps_its_types_and_reads_apis(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "CREATE TABLE kinds AS SELECT 1.50::DECIMAL(5, 2) AS d, -3::HUGEINT AS h, [1] AS l, DATE '2025-01-02' AS day"
    )

    con.execute("""CALL apikit_dbt_export_query($$
        SELECT p.id, "user".login AS login, kinds.* FROM apikit('https://api.test', '/people') AS p, kinds
        WHERE p.id < 2 ORDER BY p.id; -- the first two
    $$, 'people', output_dir := '.', schema := 'raw', csv_safe := true)""")

    lines = Path("seeds/people.csv").read_text().splitlines()
    assert lines[1:] == ['0,"u0","1.50","-3","[1]","2025-01-02"', '1,"u1","1.50","-3","[1]","2025-01-02"']
    text = Path("models/people.yml").read_text()
    for declared in ('d: "DECIMAL(5,2)"', "h: HUGEINT", "l: JSON", "day: DATE"):
        assert declared in text
    assert "schema: raw" in Path("models/sources.yml").read_text()


def test_a_select_sees_the_current_catalog_of_its_caller(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ATTACH ':memory:' AS other; CREATE TABLE other.here AS SELECT 42 AS n; USE other")

    con.execute("CALL memory.main.apikit_dbt_export_query('FROM here', 'numbers', '.')")

    assert Path("seeds/numbers.csv").read_text() == '"n"\n"42"\n'


def test_a_select_reads_times_in_the_time_zone_of_its_caller(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("SET TimeZone = 'Asia/Tokyo'")

    con.execute("CALL apikit_dbt_export_query($$ SELECT TIMESTAMPTZ '2025-01-01 00:00:00Z' AS at $$, 'times', '.')")

    assert Path("seeds/times.csv").read_text() == '"at"\n"2025-01-01 09:00:00+09"\n'


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("CALL apikit_dbt_export('demo', 'issues')", "name must be a text"),
        ("CALL apikit_dbt_export('demo', 'issues', 'a b')", "is no name for a seed"),
        ("CALL apikit_dbt_export('demo', 'issues', 'x', '/tmp')", "is outside the working folder"),
        ("CALL apikit_dbt_export('demo', 'nope', 'x')", "demo has no stream 'nope'"),
        ("CALL apikit_dbt_export('demo', 'issues', 'x', tags := 'crm')", "tags are a list of texts"),
        ("CALL apikit_dbt_export('demo', 'issues', 'x', csv_safe := 'yes')", "csv_safe is true or false"),
        ("CALL apikit_dbt_export('demo', 'issues', 'x', description := 1)", "description must be a text"),
        ("CALL apikit_dbt_export('demo', 'warehouses', 'x')", "region"),
        ("CALL apikit_dbt_export_query('DROP TABLE t', 'x')", "the text must be one SELECT"),
        ("CALL apikit_dbt_export_query('SELECT 1; SELECT 2', 'x')", "the text must be one SELECT"),
        ("CALL apikit_dbt_export_query('FROM nowhere', 'x')", "nowhere"),
        ("CALL apikit_dbt_export_query('SELECT', 'x')", "apikit_dbt_export_query: Parser Error"),
        ("CALL apikit_dbt_export_query(1, 'x')", "write the statement as a text"),
        ("CALL apikit_dbt_export_query('SELECT nextval(''s'')', 'x')", "apikit_dbt_export_query"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    con: duckdb.DuckDBPyConnection, here: Path, sql: str, wrong: str
) -> None:
    con.execute("CREATE SEQUENCE s; CREATE TABLE t (n INTEGER)")

    assert wrong in told(con, sql)
    assert list(here.iterdir()) == []
    assert con.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


def test_no_file_is_written_where_duckdb_may_write_none(session: Session, here: Path) -> None:
    con = duckdb.connect(config={"enable_external_access": False})
    apikit_sql.install(con, session=session, allow_network=True)

    assert "enable_external_access is false" in told(con, EXPORT)
    assert "enable_external_access is false" in told(con, "CALL apikit_dbt_export_query('SELECT 1 AS n', 'n')")
    assert list(here.iterdir()) == []
    con.close()


def test_an_error_of_the_api_is_remembered_and_nothing_is_written(con: duckdb.DuckDBPyConnection, here: Path) -> None:
    text = told(con, EXPORT.replace("/people", "/nowhere"))

    assert "answered 404" in text.splitlines()[0]
    assert con.execute("SELECT error, status FROM apikit_last_error()").fetchall() == [("RequestError", 404)]
    assert list(here.iterdir()) == []
