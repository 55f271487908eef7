"""Every file of sql_examples/ runs as it stands, and gives the rows that stand below each query.

The rows were taken from the demo API's own data, walked with plain Python.
"""

import re
from pathlib import Path

import duckdb
import pytest

import apikit_sql

EXAMPLES = sorted((Path(__file__).parents[1] / "sql_examples").glob("*.sql"))
STATEMENT = re.compile(r"(?P<sql>(?:(?!--)[^;'\n]|'[^']*'|--[^\n]*\n|\n)+;)\n(?P<rows>(?:-- .*\n)*)")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.removeprefix("-- ").split("|")]


@pytest.mark.filterwarnings("ignore::apikit_sql.ApikitWarning")  # some show what is warned of
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_gives_the_rows_below_its_queries(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_example")
    con = duckdb.connect()
    apikit_sql.install(con, allow_mutations=["demo"])
    text = path.read_text()
    found = list(STATEMENT.finditer(text))

    for statement in found:
        result = con.execute(statement["sql"])
        expected = [cells(line) for line in statement["rows"].splitlines()]
        if expected:
            names = [column[0] for column in result.description or []]
            rows = [["NULL" if value is None else text_of(value) for value in row] for row in result.fetchall()]
            assert [names, *rows] == expected, statement["sql"]

    assert "".join(f"{statement['sql']}\n{statement['rows']}" for statement in found).split() == text.split()


def text_of(value: object) -> str:
    """A value as the examples write it: as DuckDB casts it to text."""
    return str(duckdb.connect().execute("SELECT ?::VARCHAR", [value]).fetchall()[0][0])
