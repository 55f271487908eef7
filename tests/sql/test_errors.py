"""What a user reads when something goes wrong: one line that says it all, and nothing that must not be told."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

SECRET = "tok-secret-1234567"
#: Twenty-four records on three pages, the last of which has a value of another kind.
DRIFTING: list[dict[str, Any]] = [{"id": n} for n in range(23)] + [{"id": "many"}]
MANIFEST = """
name = "shop"
base_url = "https://shop.test"
auth = { type = "bearer", token = "env:SHOP_TOKEN" }
retry = { max_attempts = 3, min_wait = 0, max_wait = 0, jitter = 0 }
"""


@pytest.fixture
def con(connected: Callable[..., Con], api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Con:
    """A connection with the connector `shop`, which tries again at once, and its token in the environment."""
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    file = tmp_path / "shop.toml"
    file.write_text(MANIFEST)
    api.routes |= {"/items": Table([{"id": 1}]), "/drifting": Table(DRIFTING, paging="link")}
    return connected(connectors=[file])


def error_of(con: Con, sql: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    assert caught.value.__cause__ is None
    return str(caught.value)


class TestStatuses:
    @pytest.mark.parametrize(
        ("status", "kind"), [(401, "AuthError"), (403, "RequestError"), (404, "RequestError"), (422, "RequestError")]
    )
    def test_a_refusal_is_told_after_one_attempt(self, con: Con, api: FakeApi, status: int, kind: str) -> None:
        api.routes["/orders"] = httpx.Response(status, json={"message": "no way"})

        text = error_of(con, "FROM apikit('shop', '/orders')")

        assert f"{kind}: shop: GET /orders answered {status} (no way)" in text.splitlines()[0]
        assert len(api.seen) == 1

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(500, "RequestError"), (502, "RequestError"), (503, "RequestError"), (429, "RateLimitError")],
    )
    def test_a_failure_is_told_after_all_attempts(self, con: Con, api: FakeApi, status: int, kind: str) -> None:
        api.routes["/orders"] = httpx.Response(status, json={"error": {"message": "try later"}})

        text = error_of(con, "FROM apikit('shop', '/orders')")

        assert f"{kind}: shop: GET /orders answered {status} (try later)" in text.splitlines()[0]
        assert len(api.seen) == 3

    def test_a_failure_that_passes_is_not_told(self, con: Con, api: FakeApi) -> None:
        api.trouble.extend([httpx.Response(500), httpx.ConnectError("refused"), httpx.Response(200, json=[{"id": 5}])])

        assert con.execute("FROM apikit('shop', '/items', columns := {id: 'BIGINT'})").fetchall() == [(5,)]

    def test_no_answer_is_told_after_all_attempts(self, con: Con, api: FakeApi) -> None:
        api.trouble.extend([httpx.ConnectError("connection refused")] * 3)

        text = error_of(con, "FROM apikit('shop', '/items')")

        assert "RequestError: shop: GET /items: no answer after 3 attempts: connection refused" in text.splitlines()[0]

    def test_a_failure_on_a_later_page_is_told(self, con: Con, api: FakeApi) -> None:
        first = httpx.Response(200, json=[{"id": 1}], headers={"link": '<https://shop.test/next>; rel="next"'})
        api.routes |= {"/first": first, "/next": httpx.Response(500, json={"message": "out of order"})}

        text = error_of(con, "FROM apikit('shop', '/first')")

        assert "shop: GET /next answered 500 (out of order)" in text.splitlines()[0]

    def test_a_good_status_with_an_error_in_its_body_is_told(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(200, json={"ok": False, "error": "not_allowed"})

        first = error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]

        assert "RequestError: shop: GET /orders answered 200" in first
        assert "not_allowed" in first

    @pytest.mark.parametrize("body", [b"<html>login</html>", b"[{]", b"\xff\xfe", b'[{"id": 1', b"42", b"[" * 100_000])
    def test_a_body_that_is_no_json_is_told(self, con: Con, api: FakeApi, body: bytes) -> None:
        api.routes["/orders"] = httpx.Response(200, content=body, headers={"content-type": "text/html"})

        first = error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]

        assert "DecodeError: " in first
        assert "/orders" in first
        assert "shop" in first

    def test_no_records_to_infer_from_says_what_to_declare(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(200, json=[])

        first = error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]

        assert "/orders" in first
        assert "columns := {" in first
        assert con.execute("FROM apikit('shop', '/orders', columns := {id: 'BIGINT'})").fetchall() == []


class TestFirstLine:
    def test_an_error_at_bind_names_api_and_path(self, con: Con) -> None:
        first = error_of(con, "FROM apikit('https://api.test', '/nowhere')").splitlines()[0]

        assert first.endswith("RequestError: api.test: GET /nowhere answered 404 (Not Found)")

    def test_an_error_in_the_stream_names_page_record_and_value(self, con: Con) -> None:
        first = error_of(con, "FROM apikit('https://api.test', '/drifting')").splitlines()[0]

        assert 'https://api.test/drifting?page=3, page 3, record 4: id = "many" does not fit BIGINT' in first
        assert "types := {'id':" in first

    def test_the_error_itself_stays_on_the_session(self, con: Con, session: Session) -> None:
        error_of(con, "FROM apikit('shop', '/nowhere')")
        error_of(con, "SELECT sum(id) FROM apikit('shop', '/drifting')")

        assert [type(error) for error in session.errors] == [apikit_sql.RequestError, apikit_sql.SchemaDriftError]
        first = session.errors[0]
        assert isinstance(first, apikit_sql.RequestError)
        assert (first.status, first.url) == (404, "https://shop.test/nowhere")

    @pytest.mark.parametrize(
        "path", ["'x' || repeat('y', 5000)", "'x' || repeat('😀', 3000)", "'/' || repeat('z', 5000)"]
    )
    def test_a_text_of_ours_is_two_kilobytes_at_most(self, con: Con, path: str) -> None:
        first = error_of(con, f"FROM apikit('shop', {path})").splitlines()[0]

        ours = first.partition("Error: ")[2].partition("Error: ")[2]
        assert 0 < len(ours.encode()) <= 2048
        assert "shop" in ours

    def test_nul_does_not_cut_the_text(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(400, json={"message": "bad \0 byte", "more": 1})

        first = error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]

        assert "\0" not in first
        assert first.endswith(("answered 400 (bad  byte)", "answered 400 (bad byte)"))

    def test_nul_in_a_value_of_a_page_does_not_cut_the_text(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = Table([{"id": n} for n in range(10)] + [{"id": "a\0b"}], paging="link")

        text = error_of(con, "FROM apikit('shop', '/orders')")

        assert "\0" not in text
        assert "does not fit BIGINT" in text.splitlines()[0]

    def test_a_message_of_many_lines_stays_on_the_first(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(400, json={"message": "line one\nline two\r\n\tline three"})

        first = error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]

        assert first.endswith("shop: GET /orders answered 400 (line one line two line three)")

    def test_a_whole_body_is_never_told(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(400, json={"message": "m" * 10_000})

        assert len(error_of(con, "FROM apikit('shop', '/orders')").splitlines()[0]) < 500


class TestSecrets:
    def test_a_token_that_the_api_repeats_is_masked(self, con: Con, api: FakeApi) -> None:
        api.routes["/orders"] = httpx.Response(403, json={"message": f"token {SECRET} may not"})

        text = error_of(con, "FROM apikit('shop', '/orders')")

        assert SECRET not in text
        assert "token ***REDACTED*** may not" in text

    def test_a_token_in_a_network_error_is_masked(self, con: Con, api: FakeApi) -> None:
        api.trouble.extend([httpx.ConnectError(f"cannot send {SECRET}")] * 3)

        assert SECRET not in error_of(con, "FROM apikit('shop', '/items')")

    def test_a_token_in_a_next_url_is_masked(self, con: Con, api: FakeApi) -> None:
        link = {"link": f'<https://shop.test/next?cursor=1&access_token={SECRET}>; rel="next"'}
        api.routes |= {
            "/first": httpx.Response(200, json=[{"id": 1}], headers=link),
            "/next": httpx.Response(200, json=[{"id": "x"}]),
        }

        text = error_of(con, "FROM apikit('shop', '/first')")

        assert SECRET not in text
        assert "/next" in text.splitlines()[0]

    def test_a_token_is_neither_in_the_log_nor_in_the_record_of_requests(
        self, con: Con, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level("DEBUG"):
            con.execute("FROM apikit('shop', '/items')").fetchall()
            error_of(con, "FROM apikit('shop', '/nowhere')")

        assert SECRET not in caplog.text
        assert SECRET not in repr(list(session.requests))
        assert SECRET not in repr(list(session.errors))


class TestStreamErrors:
    def test_no_chain_of_errors_is_shown(self, con: Con) -> None:
        text = error_of(con, "SELECT * FROM apikit('shop', '/drifting')")

        assert "During handling of the above exception" not in text
        assert "direct cause" not in text
        assert text.count("Traceback") <= 1

    def test_the_connection_works_on(self, con: Con) -> None:
        error_of(con, "SELECT * FROM apikit('shop', '/drifting')")

        assert con.execute("FROM apikit('shop', '/items')").fetchall() == [(1,)]

    def test_what_a_limit_does_not_reach_is_no_error(self, con: Con) -> None:
        assert con.execute("SELECT id FROM apikit('shop', '/drifting') LIMIT 2").fetchall() == [(0,), (1,)]

    def test_the_error_reads_as_json_where_types_says_so(self, con: Con) -> None:
        # given the option that the message proposes
        found = con.execute(
            "SELECT count(*), max(id) FROM apikit('shop', '/drifting', types := {id: 'JSON'})"
        ).fetchall()

        assert found[0][0] == 24


class TestHalfDoneStatements:
    def test_create_table_as_leaves_no_table(self, con: Con) -> None:
        error_of(con, "CREATE TABLE t AS FROM apikit('shop', '/drifting')")

        assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]

    def test_create_or_replace_leaves_the_old_table(self, con: Con) -> None:
        con.execute("CREATE TABLE t AS SELECT 7 AS id")

        error_of(con, "CREATE OR REPLACE TABLE t AS FROM apikit('shop', '/drifting')")

        assert con.execute("FROM t").fetchall() == [(7,)]

    def test_insert_leaves_no_row(self, con: Con) -> None:
        con.execute("CREATE TABLE t (id BIGINT)")

        error_of(con, "INSERT INTO t FROM apikit('shop', '/drifting')")

        assert con.execute("SELECT count(*) FROM t").fetchall() == [(0,)]

    def test_a_transaction_with_an_error_commits_nothing(self, con: Con) -> None:
        con.execute("CREATE TABLE t (id BIGINT)")
        con.execute("BEGIN")
        con.execute("INSERT INTO t VALUES (1)")
        error_of(con, "INSERT INTO t FROM apikit('shop', '/drifting')")
        con.execute("ROLLBACK")

        assert con.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
        assert con.execute("FROM apikit('shop', '/items')").fetchall() == [(1,)]

    def test_more_pages_than_allowed_leave_no_table(self, con: Con) -> None:
        error_of(con, "CREATE TABLE t AS FROM apikit('shop', '/drifting', types := {id: 'JSON'}, max_pages := 1)")

        assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]


class TestNoSecretIsShown:
    """A server may echo what it was sent, and other libraries log what they send."""

    def test_a_drifting_value_that_echoes_the_token_is_masked(self, api: FakeApi, session: Session) -> None:
        api.routes["/echo"] = lambda request: httpx.Response(200, json=[{"auth": request.headers["authorization"]}])
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={"https://api.test": "SECRETTOK-9999"})

        text = error_of(con, "FROM apikit('https://api.test', '/echo', columns := {auth: 'BIGINT'})")

        assert "auth = " in text
        assert "SECRETTOK" not in text

    def test_httpx_logs_nothing_of_what_is_sent(
        self, api: FakeApi, session: Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        api.routes["/items"] = httpx.Response(200, json=[{"id": 1}])
        con = duckdb.connect()
        apikit_sql.install(con, session=session)
        caplog.set_level(logging.DEBUG)

        con.execute("FROM apikit('https://api.test', '/items', params := {sig: 'SECRETSIG-1'})").fetchall()

        assert "SECRETSIG" not in caplog.text
        assert {record.name for record in caplog.records if "api.test" in record.getMessage()} == {"apikit"}
