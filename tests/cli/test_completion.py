"""What may come next, by what stands before the cursor."""

from collections.abc import Iterable

import pytest

from apikit_sql.cli.completion import candidates


class Names:
    """A small world."""

    def __init__(self) -> None:
        self.keywords = ["select", "from", "where", "stream"]
        self.functions = ["apikit", "apikit_scans", "strftime", "sum"]
        self.tables = [("memory", "main", "orders"), ("github", "main", "issues"), ("m", "main", "odd one")]
        self.connectors = ["demo", "github"]

    def streams(self, connector: str) -> list[str]:
        return {"github": ["issues", "repos"]}.get(connector, [])

    def columns(self, tables: Iterable[str]) -> list[str]:
        return [name for table in tables for name in {"orders": ["id", "sum_total", "Sent at"]}.get(table, [])]

    def stream_columns(self, connector: str, stream: str) -> list[str]:
        return ["state", "title"] if (connector, stream) == ("github", "issues") else []


@pytest.mark.parametrize(
    ("before", "texts"),
    [
        ("FROM apikit('", ["demo", "github"]),
        ("FROM apikit_streams('gi", ["github"]),
        ("FROM apikit('github', 're", ["repos"]),
        ("FROM apikit('nothing', '", []),
        ("FROM 'de", ["demo"]),
        ("SELECT 'so", []),  # within a text nothing is known
        ("FROM ", ["orders", "issues", '"odd one"', "memory", "github", "m"]),
        ("FROM or", ["orders"]),
        ("FROM apikit_", ["apikit_scans"]),
        ("SELECT * FROM github.", ["issues"]),
        ("SELECT o.s FROM orders AS o WHERE o.i", ["id"]),
        ("SELECT x FROM orders WHERE s", ["sum_total", '"Sent at"', "strftime", "sum", "select", "stream"]),
        ("SELECT x FROM orders WHERE ", ["id", "sum_total", '"Sent at"']),
        ("SELECT x FROM apikit('github', 'issues') WHERE ti", ["title"]),
        ("WHE", ["WHERE"]),
        ("whe", ["where"]),
        (".str", ["streams"]),
        (".attach de", ["demo"]),
        (".mode js", ["json", "jsonlines"]),
        (".output /tm", []),
    ],
)
def test_the_word_before_the_cursor_may_become(before: str, texts: list[str]) -> None:
    assert [each.text for each in candidates(before, "", Names())] == texts


def test_columns_are_those_of_tables_that_come_later() -> None:
    assert [each.text for each in candidates("SELECT sum_", " FROM orders", Names())] == ["sum_total"]


def test_a_candidate_takes_the_place_of_what_was_typed() -> None:
    (found,) = candidates("FROM apikit('github', 'iss", "')", Names())

    assert (found.text, found.length, found.kind) == ("issues", 3, "stream")
