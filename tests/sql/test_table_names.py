"""Names of API tables in SQL text, written out as calls."""

import pytest

from apikit_sql.sql.table_names import call_of, with_calls

DEMO = "apikit('demo', '/issues')"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("FROM 'demo:/issues'", f"FROM {DEMO}"),
        (
            "SELECT * from 'demo:/issues' t JOIN 'demo:/x' USING (id)",
            f"SELECT * from {DEMO} t JOIN apikit('demo', '/x') USING (id)",
        ),
        ("DESCRIBE 'demo:/issues'", f"DESCRIBE FROM {DEMO}"),
        ("SUMMARIZE 'demo:/issues'", f"SUMMARIZE FROM {DEMO}"),
        ("SELECT 'é', 'ü' FROM 'demo:/issues'", f"SELECT 'é', 'ü' FROM {DEMO}"),
        ("FROM 'demo:/issues'-- FROM 'demo:/issues'", f"FROM {DEMO}-- FROM 'demo:/issues'"),
        ("FROM /* FROM 'demo:/issues' */ 'demo:/issues'", f"FROM /* FROM 'demo:/issues' */ {DEMO}"),
        ("SELECT 1; INSERT INTO t FROM 'demo:/issues' LIMIT 3", f"SELECT 1; INSERT INTO t FROM {DEMO} LIMIT 3"),
        ("COPY (FROM 'demo:/issues') TO 'demo:/x'", f"COPY (FROM {DEMO}) TO 'demo:/x'"),
        ("COPY t FROM 'a.csv'; FROM 'demo:/issues'", f"COPY t FROM 'a.csv'; FROM {DEMO}"),
        ("FROM 'demo:/a', 'demo:/b' SELECT 'demo:/c', 'demo:/d'",
         "FROM apikit('demo', '/a'), apikit('demo', '/b') SELECT 'demo:/c', 'demo:/d'"),
        ("SELECT * FROM t AS x, 'demo:/issues'", f"SELECT * FROM t AS x, {DEMO}"),
        ("FROM range(1) AS t(a), 'demo:/issues'", f"FROM range(1) AS t(a), {DEMO}"),
        ("FROM a JOIN b USING (id), 'demo:/issues'", f"FROM a JOIN b USING (id), {DEMO}"),
        ("FROM 'https://a.test/items'", "FROM apikit('https://a.test', '/items')"),
        ("FROM 'https://a.test'", "FROM apikit('https://a.test', '/')"),
        ("FROM 'http://a.test:8080/x'", "FROM apikit('http://a.test:8080', '/x')"),
        ("FROM 'demo:/o''brien'", "FROM apikit('demo', '/o''brien')"),
        (
            "FROM 'https://a.test/x?state=open&label=a&label=b%20c'",
            "FROM apikit('https://a.test', '/x', params := MAP {'state': ['open'], 'label': ['a', 'b c']})",
        ),
        ("FROM 'demo:/x?a=1'", "FROM apikit('demo', '/x', params := MAP {'a': ['1']})"),
    ],
)  # fmt: skip
def test_a_name_where_a_table_stands_becomes_a_call(sql: str, expected: str) -> None:
    assert with_calls(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 'demo:/issues'",
        "SELECT * FROM t WHERE url = 'https://a.test/items'",
        "FROM 'https://a.test/items.parquet'",
        "FROM 'https://a.test/items.csv.gz'",
        "FROM 's3://bucket/key'",
        "FROM 'file:///etc/x'",
        "FROM 'C:/data/x'",
        "COPY t FROM 'https://a.test/items'",
        "INSTALL x FROM 'https://a.test/repository'",
        'FROM "demo:/issues"',
        "SELECT 'a' IS DISTINCT FROM 'demo:/issues'",
        "WITH t AS (SELECT 1 AS x) SELECT (SELECT max(x) FROM t), 'https://a.test/i'",
        "SELECT coalesce((SELECT NULL FROM t), 'https://a.test/i')",
        "SELECT trim(BOTH FROM 'demo:/issues ')",
        "SELECT trim('x' FROM 'demo:/issues')",
        "SELECT * FROM t WHERE a IN ('demo:/x', 'demo:/y')",
        "SELECT * FROM t ORDER BY 'demo:/x', 'demo:/y'",
        "FROM 'https://'",
    ],
)
def test_any_other_text_stays_as_it_is(sql: str) -> None:
    assert with_calls(sql) == sql


def test_a_file_of_a_connector_whose_path_has_a_suffix_is_still_the_connectors() -> None:
    assert call_of("demo:/report.json") == "apikit('demo', '/report.json')"
