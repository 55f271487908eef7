"""Names that DuckDB takes without quotes, and those that it does not."""

import duckdb
import pytest

from apikit_sql.identifiers import plain


def is_column(con: duckdb.DuckDBPyConnection, word: str) -> bool:
    try:
        con.execute(f'SELECT {word}\nFROM (SELECT 1 AS "{word}") AS "t" WHERE {word} IS NULL')
    except duckdb.Error:
        return False
    return True


def test_every_word_that_is_no_column_to_duckdb_is_quoted() -> None:
    con = duckdb.connect()
    words = [word for (word,) in con.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()]

    assert [word for word in words if not is_column(con, word) and plain(word) == word] == []


@pytest.mark.parametrize(
    ("name", "shown"), [("id", "id"), ("a b", '"a b"'), ('a"b', '"a""b"'), ("1a", '"1a"'), ("é", '"é"')]
)
def test_a_name_is_quoted_where_it_needs_that(name: str, shown: str) -> None:
    assert plain(name) == shown
