"""apikit_dry_run(): the first request as it would be sent, and nothing sent."""

import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]
MASKED = "Bearer ***REDACTED***"


def test_a_read_is_shown_with_what_the_connector_adds(rows: Rows, api: FakeApi) -> None:
    ((method, url, headers, body, credential, pagination),) = rows(
        "FROM apikit_dry_run('github', 'issues', {labels: ['a', 'b']}, path_params := {owner: 'o', repo: 'r'})"
    )

    assert (method, body, credential, pagination) == ("GET", None, "env:GITHUB_TOKEN", "link")
    assert url == "https://api.github.com/repos/o/r/issues?state=all&labels=a&labels=b&per_page=100"
    assert json.loads(headers)["authorization"] == MASKED
    assert api.seen == []


@pytest.mark.parametrize("method", ["POST", "put", "Patch", "DELETE"])
def test_a_mutation_is_shown_also_where_it_is_not_allowed(rows: Rows, api: FakeApi, method: str) -> None:
    ((sent, url, headers, body, credential, pagination),) = rows(
        f"FROM apikit_dry_run('stripe', '/customers/{{id}}', path_params := {{id: 'c/1'}}, method := '{method}', "
        "body := {name: 'x', metadata: {k: 1}})"
    )

    assert (sent, url) == (method.upper(), "https://api.stripe.com/v1/customers/c%2F1")
    assert (body, credential, pagination) == ("name=x&metadata%5Bk%5D=1", "env:STRIPE_API_KEY", None)
    told = json.loads(headers)
    assert (told["authorization"], told["idempotency-key"]) == (MASKED, "a new UUID for each row")
    assert told["content-type"] == "application/x-www-form-urlencoded"
    assert api.seen == []


def test_a_key_that_is_given_is_shown(rows: Rows) -> None:
    ((headers,),) = rows(
        "SELECT headers FROM apikit_dry_run('stripe', '/x', method := 'POST', idempotency_key := 'mine')"
    )

    assert json.loads(headers)["idempotency-key"] == "mine"


def test_a_post_that_reads_is_shown_as_one(con: Con, session: Session, rows: Rows) -> None:
    apikit_sql.install(con, session=session, read_posts={"https://api.test": ["/search"]})

    assert rows(
        "SELECT method, body, pagination FROM apikit_dry_run('https://api.test', '/search', method := 'POST', "
        "body := {a: 1}, pagination := {strategy: 'cursor', cursor_param: 'c', next_cursor_path: 'n', "
        "limit_param: 'size', params_in: 'body'}, page_size := 5)"
    ) == [("POST", '{"a": 1, "size": 5}', "cursor")]


def test_what_is_shown_is_what_is_sent(con: Con, session: Session, rows: Rows, api: FakeApi) -> None:
    apikit_sql.install(con, session=session, allow_mutations=["https://api.test"])
    given = "'https://api.test', '/items/{i}', body := {a: ['b', 'ü']}, params := {q: 'x y'}, path_params := {i: 'ä'}"

    ((method, url, headers, body),) = rows(
        f"SELECT method, url, headers, body FROM apikit_dry_run({given}, method := 'POST')"
    )
    con.execute(f"CREATE TABLE t AS SELECT apikit_post({given})")

    (sent,) = api.seen
    assert (method, url, body) == (sent.method, str(sent.url), sent.content.decode())
    assert json.loads(headers) == dict(sent.headers.items())


def test_a_post_that_reads_takes_no_key(con: Con, session: Session, rows: Rows) -> None:
    apikit_sql.install(con, session=session, read_posts={"https://api.test": ["/search"]})

    with pytest.raises(duckdb.Error, match="a read takes no idempotency_key"):
        rows("FROM apikit_dry_run('https://api.test', '/search', method := 'POST', idempotency_key := 'a')")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'github', 'issues'", r"nothing fills \{owner\}"),
        ("'github', '/x', method := 'FETCH'", "method is 'FETCH', not one of GET, POST, PUT, PATCH, DELETE"),
        ("'github', '/x', method := 'PUT', idempotency_key := 'a'", "has no idempotency_header"),
        ("'github', '/x', idempotency_key := 7", "idempotency_key must be a text"),
        ("'stripe', '/x', method := 'post', headers := {'X-A': 'b'}", "a mutation takes no headers"),
        ("'stripe', '/x', method := 'PUT', pagination := 'page'", "a mutation takes no pagination"),
        ("'stripe', '/x', method := 'DELETE', page_size := 5", "a mutation takes no page_size"),
        ("'stripe', '/x', idempotency_key := 'a'", "a read takes no idempotency_key"),
        ("'stripe', '/x', method := 'get', idempotency_key := 'a'", "a read takes no idempotency_key"),
        ("'github', NULL", "path must be a text"),
        ("7, '/x'", "connector must be a text"),
        ("'https://api.test', '/x', headers := {'Authorization': 'x'}", "carries a credential, which SQL must not"),
        ("'no_such', '/x'", "no_such"),
    ],
)
def test_what_cannot_be_asked_is_an_error(rows: Rows, api: FakeApi, arguments: str, message: str) -> None:
    with pytest.raises(duckdb.Error, match=message):
        rows(f"FROM apikit_dry_run({arguments})")
    assert api.seen == []
