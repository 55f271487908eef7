"""Parent and child as SQL: repositories, then the issues of each, by each way that there is.

The requests are those of the parent and the pages of each distinct child, no more; several are under way at once.
"""

import threading
import time
from collections import Counter
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection

A_PAGE = 100  # what github's manifest asks for
#: Repositories and how many issues each has: none, one page, several.
ISSUES = {"empty": 0, "small": 3, "full": A_PAGE, "over": A_PAGE + 1, "large": 5 * A_PAGE + 7}
PAGES = {name: max(1, -(-count // A_PAGE)) for name, count in ISSUES.items()}
PARENT = "FROM github.repos WHERE org = 'acme'"

FETCH = """
    SELECT name, list_transform(apikit_fetch('github', 'issues', path_params := {owner: 'acme', repo: name}),
                                lambda i: (i->>'number')::BIGINT) AS numbers
    """
WAYS = {
    "apikit_fetch": [f"SELECT name, unnest(numbers) FROM ({FETCH} {PARENT})"],
    "issues_of": [
        f"SELECT name, unnest(list_transform(github.issues_of('acme', name), lambda i: i.number)) {PARENT}",
    ],
    "keys": [
        f"SET VARIABLE k = (SELECT list({{owner: 'acme', repo: name}}) {PARENT})",
        "SELECT repo, number FROM github.issues(keys := getvariable('k'))",
    ],
}


class Hub(FakeApi):
    """GitHub with one organisation; it tells how many answers it has made at once at the most."""

    def __init__(self) -> None:
        repos = [{"id": n, "name": name} for n, name in enumerate(ISSUES)]
        super().__init__({"/orgs/acme/repos": Table(repos, paging="link", page_size=A_PAGE)})
        for name, count in ISSUES.items():
            issues = [{"number": n} for n in range(1, count + 1)]
            self.routes[f"/repos/acme/{name}/issues"] = Table(issues, paging="link", page_size=A_PAGE)
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.02)
        try:
            return super().__call__(request)
        finally:
            with self._lock:
                self.at_once -= 1


@pytest.fixture
def api() -> Hub:
    return Hub()


def run(con: Con, statements: list[str]) -> list[tuple[Any, ...]]:
    con.execute("CALL apikit_attach('github')")
    for statement in statements[:-1]:
        con.execute(statement)
    return con.execute(statements[-1]).fetchall()


def asked(api: Hub) -> Counter[str]:
    return Counter(request.url.path for request in api.seen)


@pytest.mark.parametrize("way", WAYS)
def test_every_child_is_there_and_each_page_of_it_was_asked_for_once(con: Con, api: Hub, way: str) -> None:
    found = run(con, WAYS[way])

    assert sorted(found) == sorted((name, n) for name, count in ISSUES.items() for n in range(1, count + 1))
    assert asked(api) == {"/orgs/acme/repos": 1} | {
        f"/repos/acme/{name}/issues": pages for name, pages in PAGES.items()
    }


@pytest.mark.parametrize("way", WAYS)
def test_children_are_asked_for_at_once_and_never_more_than_the_limit(con: Con, api: Hub, way: str) -> None:
    run(con, WAYS[way])

    assert 2 <= api.most_at_once <= 8


TWICE = {
    "apikit_fetch": [f"SELECT count(*) FROM (SELECT unnest(numbers) FROM ({FETCH} FROM twice))"],
    "issues_of": ["SELECT count(*) FROM (SELECT unnest(github.issues_of('acme', name)) FROM twice)"],
    "keys": [
        "SET VARIABLE k = (SELECT list({owner: 'acme', repo: name}) FROM twice)",
        "SELECT count(*) FROM github.issues(keys := getvariable('k'))",
    ],
}


@pytest.mark.parametrize("way", TWICE)
def test_a_child_of_two_rows_is_asked_for_once(con: Con, api: Hub, way: str) -> None:
    names = ", ".join(f"('{name}')" for name in [*ISSUES, *ISSUES])
    con.execute(f"CREATE TABLE twice AS FROM (VALUES {names}) t(name)")

    ((count,),) = run(con, TWICE[way])

    rows_each = 1 if way == "keys" else 2  # keys are a table of its own, whose equal keys count once
    assert count == rows_each * sum(ISSUES.values())
    assert asked(api) == {f"/repos/acme/{name}/issues": pages for name, pages in PAGES.items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_that_the_api_tells_is_kept(con: Con, api: Hub, way: str) -> None:
    """A refused request halves what is under way; all the rows come all the same."""
    api.trouble.extend([httpx.Response(429, headers={"retry-after": "0"})] * 2)

    found = run(con, WAYS[way])

    assert len(found) == sum(ISSUES.values())
    assert sum(asked(api).values()) == 1 + sum(PAGES.values()) + 2


def test_the_issues_of_a_row_can_be_taken_apart_as_columns(con: Con) -> None:
    con.execute("CALL apikit_attach('github')")

    found = con.execute(
        f"SELECT name, unnest(github.issues_of('acme', name), max_depth := 2) {PARENT} AND name = 'small'"
    )

    assert [column[0] for column in found.description or []][:1] == ["name"]
    assert {"number", "title", "state"} <= {column[0] for column in found.description or []}
    assert len(found.fetchall()) == ISSUES["small"]
