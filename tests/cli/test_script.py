"""Text is taken apart as DuckDB's lexer sees it: where a semicolon ends a statement, and where it does not."""

import duckdb
import pytest

from apikit_sql.cli.script import is_whole, pieces_of


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("select 1; select 2;", ["select 1;", " select 2;"]),
        ("select 1", ["select 1"]),
        ("select\n1;\n", ["select\n1;"]),
        ("select ';'; select $$;$$;", ["select ';';", " select $$;$$;"]),
        ("select 1 as \"a;b\"; select 'é;';", ['select 1 as "a;b";', " select 'é;';"]),
        ("select /* ; */ 1;", ["select /* ; */ 1;"]),
        (";;; ;", []),
        ("-- only; this\n", []),
        ("", []),
        (".mode csv\nselect 1;\n.mode json", [".mode csv", "select 1;", ".mode json"]),
        ("-- first\n.mode csv", [".mode csv"]),
        ("select 1; -- behind\n.mode csv\n", ["select 1;", ".mode csv"]),
        ("select 'a;\nb;' as x;\nselect 2", ["select 'a;\nb;' as x;", "select 2"]),
        ("insert into t values\n(';'),\n(';');\nselect 1;", ["insert into t values\n(';'),\n(';');", "select 1;"]),
        ("select 1; select ';\n'; .mode csv", ["select 1;", " select ';\n';", " .mode csv"]),
        ("select 1;.mode csv", ["select 1;", " .mode csv"]),  # behind a semicolon it is SQL, and wrong
        ("/* ;\n.mode csv\n; */ select 1;", ["/* ;\n.mode csv\n; */ select 1;"]),
        ("-- why;\n\nselect 1;", ["-- why;\n\nselect 1;"]),
        ("select 1\n.mode;", ["select 1\n.mode;"]),  # within a statement a line with a dot is part of it
    ],
)
def test_a_text_is_its_statements_and_dot_commands(text: str, pieces: list[str]) -> None:
    assert list(pieces_of(text.splitlines())) == pieces


def test_what_is_no_utf8_ends_no_statement_of_another() -> None:
    assert list(pieces_of(["select 'é\udcff;'; select 1;"])) == ["select 'é\udcff;';", " select 1;"]


def test_a_long_statement_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lexed: list[int] = []
    tokenize = duckdb.tokenize

    def counted(text: str) -> object:
        lexed.append(len(text))
        return tokenize(text)

    monkeypatch.setattr(duckdb, "tokenize", counted)
    lines = ["insert into t values", *(f"({number}, 'some; text')," for number in range(1_000)), "(0, '');"]

    pieces = list(pieces_of(lines))

    assert pieces == ["\n".join(lines)]
    assert sum(lexed) < 2 * len(pieces[0])


@pytest.mark.parametrize("text", ["", "  ", ".help", "select 1;", "select 1; -- done", "select\n1\n;"])
def test_what_is_whole_waits_for_no_more(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["select", "select 1; select", "select ';", "select 1 -- ;", "/* ;"])
def test_what_is_not_whole_does(text: str) -> None:
    assert not is_whole(text)
