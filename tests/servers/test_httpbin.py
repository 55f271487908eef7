"""HTTP as httpbin speaks it: each answer's outcome. What was sent is told by httpbin's own echo."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest

import apikit_sql
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RetryConfig
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, AuthError, DecodeError, OriginError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import read
from tests.servers.conftest import DATASETTE, HTTPBIN

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("store")]

Con = duckdb.DuckDBPyConnection
Ask = Callable[..., list[Any]]
AT_ONCE = RetryConfig(min_wait=0, max_wait=0, jitter=0)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


@pytest.fixture
def con(session: Session) -> Iterator[Con]:
    con = duckdb.connect()
    apikit_sql.install(con, session=session)
    yield con
    con.close()


@pytest.fixture
def ask(session: Session) -> Ask:
    """The records of a path, through the session; `auth` and others are fields of the plan."""

    def records(path: str, auth: dict[str, str] | None = None, **plan: Any) -> list[Any]:
        whole: dict[str, Any] = {"retry": AT_ONCE, "pagination": PaginationConfig(strategy="none"), **plan}
        asked = RequestPlan("httpbin", HTTPBIN, path, auth=AuthConfig.model_validate(auth or {}), **whole)
        return [json.loads(bytes(record)) for page in read(session, asked) for record in page.envelope.records]

    return records


def row(con: Con, sql: str) -> tuple[Any, ...]:
    (found,) = con.execute(sql).fetchall()
    return tuple(found)


# --- who asks --------------------------------------------------------------------------------------------------------

BASIC = {"type": "basic", "username": "anna", "password": "p:ä|ß %"}


def test_the_right_password_is_let_in(ask: Ask) -> None:
    assert ask("/basic-auth/anna/p:%C3%A4%7C%C3%9F%20%25", BASIC) == [{"authenticated": True, "user": "anna"}]


def test_the_wrong_password_is_an_auth_error_at_once(ask: Ask, session: Session) -> None:
    with pytest.raises(AuthError, match=r"^httpbin: GET /basic-auth/anna/right answered 401") as caught:
        ask("/basic-auth/anna/right", BASIC)

    assert caught.value.status == 401
    assert len(session.requests) == 1


def test_a_manifest_gives_sql_its_password(
    con: Con, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIN_PASSWORD", "open sesame")
    auth = 'auth = { type = "basic", username = "env:BIN_USER", password = "env:BIN_PASSWORD" }'
    monkeypatch.setenv("BIN_USER", "ali")
    (tmp_path / "bin.toml").write_text(f'name = "bin"\nbase_url = "{HTTPBIN}"\n{auth}\n')
    apikit_sql.install(con, connectors=["bin", tmp_path / "bin.toml"], session=session)

    assert row(con, "FROM apikit('bin', '/basic-auth/ali/open sesame')") == (True, "ali")


def test_a_bearer_token_comes_as_it_was_given(con: Con) -> None:
    apikit_sql.install(con, tokens={HTTPBIN: "tok-1/2+3=4"})

    assert row(con, f"SELECT authenticated, token FROM apikit('{HTTPBIN}', '/bearer')") == (True, "tok-1/2+3=4")


def test_no_bearer_token_is_an_auth_error(ask: Ask) -> None:
    with pytest.raises(AuthError, match="answered 401"):
        ask("/bearer")


# --- what was sent ---------------------------------------------------------------------------------------------------


def test_parameters_come_as_they_were_written(con: Con) -> None:
    params = "{q: 'a b&c=d+e%20/ü€😀', n: 10, whole: 2.0, no: true, gone: NULL, many: ['x', 'y']}"
    sql = f"SELECT args, url FROM apikit('{HTTPBIN}', '/anything', params := {params})"

    args, _ = row(con, sql)

    assert args == {"q": "a b&c=d+e%20/ü€😀", "n": "10", "whole": "2", "no": "true", "many": ["x", "y"]}


def test_a_part_of_the_path_comes_as_it_was_written(con: Con) -> None:
    sql = f"""SELECT url, args FROM apikit('{HTTPBIN}', '/anything/{{name}}/end',
              path_params := {{name: 'a b/ü?x#1%'}}, nested := 'json')"""

    url, args = row(con, sql)

    assert (unquote(url), args) == (f"{HTTPBIN}/anything/a b/ü?x#1%/end", "{}")


def test_headers_come_as_they_were_written_beside_our_own(con: Con) -> None:
    sql = f"""SELECT headers FROM apikit('{HTTPBIN}', '/headers', headers := {{'X-Thing': 'some, thing; q="1"'}})"""

    (headers,) = row(con, sql)

    assert headers["X-Thing"] == 'some, thing; q="1"'
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"] == "apikit_sql"
    assert headers["Host"] == HTTPBIN.removeprefix("http://")
    assert "Authorization" not in headers


def test_a_body_that_is_posted_comes_as_json(con: Con) -> None:
    apikit_sql.install(con, read_posts={HTTPBIN: ["/anything"]})
    sql = f"""SELECT method, "json", headers->>'Content-Type' FROM apikit('{HTTPBIN}', '/anything', method := 'POST',
              body := {{filter: {{name: 'ü', ids: [1, 2]}}}}, nested := 'json', data_path := '')"""

    method, sent, kind = row(con, sql)

    assert (method, json.loads(sent), kind) == ("POST", {"filter": {"name": "ü", "ids": [1, 2]}}, "application/json")


def test_no_cookie_is_sent_that_an_answer_has_set(ask: Ask) -> None:
    ask("/response-headers?Set-Cookie=a%3D1%3B%20Path%3D%2F")

    assert ask("/cookies") == [{"cookies": {}}]


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "word"), [("/gzip", "gzipped"), ("/deflate", "deflated"), ("/brotli", "brotli"), ("/get", "")]
)
def test_a_compressed_body_is_read(ask: Ask, path: str, word: str) -> None:
    pytest.importorskip("brotli")

    (found,) = ask(path)

    assert found.get(word, "") is True or not word
    assert found["headers"]["Accept-Encoding"].startswith("gzip, deflate, br")


def test_headers_of_the_answer_change_nothing_of_its_rows(con: Con) -> None:
    sql = f"""SELECT freeform FROM apikit('{HTTPBIN}', '/response-headers',
              params := {{freeform: 'ü, "x"', Link: '<{HTTPBIN}/get>; rel="prev"', 'X-RateLimit-Remaining': '7'}})"""

    assert row(con, sql) == ('ü, "x"',)


def test_a_next_link_of_the_answer_is_followed_and_refused_where_it_leads_back(con: Con) -> None:
    sql = f"""SELECT Link FROM apikit('{HTTPBIN}', '/response-headers', params := {{Link: '<?Link=end>; rel="next"'}},
              columns := {{Link: 'VARCHAR'}})"""
    again = sql.replace("?Link=end", "#")

    assert con.execute(sql).fetchall() == [('<?Link=end>; rel="next"',), ("end",)]
    with pytest.raises(duckdb.InvalidInputException, match=r"PaginationError: .* leads back"):
        con.execute(again).fetchall()


def test_an_etag_is_no_hindrance(ask: Ask) -> None:
    first, second = ask("/etag/abc"), ask("/etag/abc")

    assert first == second
    assert first[0]["url"] == f"{HTTPBIN}/etag/abc"
    assert not {"If-None-Match", "If-Match"} & set(first[0]["headers"])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/html", r"\(text/html; charset=utf-8\), page 1: the body is not JSON"),
        ("/encoding/utf8", r"\(text/html; charset=utf-8\), page 1: the body is not JSON"),
        ("/xml", r"\(application/xml\), page 1: the body is not JSON"),
        ("/robots.txt", r"\(text/plain\), page 1: the body is not JSON"),
        ("/image/png", r"\(image/png\), page 1: the body is not JSON"),
        ("/bytes/1024?seed=1", r"\(application/octet-stream\), page 1: the body is not JSON"),
        ("/stream-bytes/5000?seed=1&chunk_size=100", r"\(application/octet-stream\), page 1: the body is not JSON"),
        ("/stream/3", r"\(application/json\), page 1: the body is not JSON: .*trailing characters"),
        ("/base64/NDI=", "page 1: the body is a number, not records"),
    ],
)
def test_a_good_status_with_what_is_no_records_is_a_decode_error(
    ask: Ask, session: Session, path: str, told: str
) -> None:
    with pytest.raises(DecodeError, match=rf"^httpbin: GET {path.partition('?')[0]} answered 200 .*{told}"):
        ask(path)

    assert len(session.requests) == 1


def test_one_line_of_json_is_a_record(ask: Ask) -> None:
    (found,) = ask("/stream/1")

    assert (found["id"], found["url"]) == (0, f"{HTTPBIN}/stream/1")


def test_texts_beyond_ascii_are_read(con: Con) -> None:
    sql = f"SELECT args.q FROM apikit('{HTTPBIN}', '/get', params := {{q: 'Σὲ γνωρίζω, ⠁⠧ 😀'}})"

    assert row(con, sql) == ("Σὲ γνωρίζω, ⠁⠧ 😀",)


def test_records_are_found_in_a_nested_list(con: Con) -> None:
    sql = f"SELECT title, items FROM apikit('{HTTPBIN}', '/json', data_path := 'slideshow.slides', nested := 'json')"

    titles = [title for title, _ in con.execute(sql).fetchall()]

    assert titles == ["Wake up to WonderWidgets!", "Overview"]


# --- redirects -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/redirect/1", "/relative-redirect/1", "/absolute-redirect/1", "/redirect/5"])
def test_up_to_five_redirects_are_followed(ask: Ask, session: Session, path: str) -> None:
    (found,) = ask(path, {"type": "bearer", "token": "tok-12345"})

    assert found["url"] == f"{HTTPBIN}/get"
    assert found["headers"]["Authorization"] == "Bearer tok-12345"
    statuses = [record.status for record in session.requests]
    assert statuses == [302] * int(path[-1]) + [200]


def test_a_sixth_redirect_is_refused(ask: Ask, session: Session) -> None:
    with pytest.raises(RequestError, match=r"GET /redirect/6 answered 302, redirecting more than 5 times"):
        ask("/redirect/6")

    assert [record.status for record in session.requests] == [302] * 6


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_each_kind_is_followed_at_home(ask: Ask, status: int) -> None:
    (found,) = ask("/redirect-to", params=(("url", "/get?a=1"), ("status_code", str(status))))

    assert (found["url"], found["args"]) == (f"{HTTPBIN}/get?a=1", {"a": "1"})


@pytest.mark.parametrize(
    "target",
    [f"{DATASETTE}/nyc.json", "http://localhost:18219/get", "//127.0.0.1:1/x", "http://user:pw@127.0.0.1:18219/get"],
)
def test_a_redirect_to_another_origin_is_refused(ask: Ask, session: Session, target: str) -> None:
    with pytest.raises(OriginError, match=r"^httpbin: a redirect leads to http://\S+, away from"):
        ask("/redirect-to", {"type": "bearer", "token": "tok-12345"}, params=(("url", target),))

    assert [record.status for record in session.requests] == [302]


def test_a_redirect_to_an_allowed_origin_is_followed_without_the_credential(ask: Ask) -> None:
    other = HTTPBIN.replace("127.0.0.1", "localhost")

    (found,) = ask(
        "/redirect-to",
        {"type": "bearer", "token": "tok-12345"},
        params=(("url", f"{other}/get"),),
        allowed_origins=(other,),
    )

    assert found["url"] == f"{other}/get"
    assert "Authorization" not in found["headers"]


# --- statuses --------------------------------------------------------------------------------------------------------

REFUSED = dict.fromkeys([300, 304, 400, 402, 403, 404, 405, 406, 407, 408, 409, 410, 418, 422, 501, 505], RequestError)
STATUSES: dict[int, tuple[type[ApikitError], int]] = {
    **{status: (kind, 1) for status, kind in REFUSED.items()},
    401: (AuthError, 1),
    429: (RateLimitError, 3),
    **dict.fromkeys([500, 502, 503, 504], (RequestError, 3)),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_its_error_after_as_many_requests_as_are_said(ask: Ask, session: Session, status: int) -> None:
    kind, requests = STATUSES[status]

    with pytest.raises(ApikitError, match=rf"^httpbin: GET /status/{status} answered {status}") as caught:
        ask(f"/status/{status}")

    assert type(caught.value) is kind
    assert getattr(caught.value, "status", None) == status
    assert [(record.status, record.attempt) for record in session.requests] == [
        (status, attempt) for attempt in range(1, requests + 1)
    ]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_an_overloaded_server_is_asked_as_often_as_max_attempts_says(
    ask: Ask, session: Session, status: int, attempts: int
) -> None:
    retry = AT_ONCE.model_copy(update={"max_attempts": attempts})

    with pytest.raises(RequestError, match=rf"answered {status}" + (f", after {attempts} attempts" * (attempts > 1))):
        ask(f"/status/{status}", retry=retry)

    assert len(session.requests) == attempts


@pytest.mark.parametrize("status", [204, 205])
def test_no_content_is_no_rows(ask: Ask, status: int) -> None:
    assert ask(f"/status/{status}") == []


@pytest.mark.parametrize("status", [200, 202])
def test_another_good_status_without_a_body_is_a_decode_error(ask: Ask, status: int) -> None:
    with pytest.raises(DecodeError, match=rf"^httpbin: GET /status/{status} answered {status} .*: the body is empty"):
        ask(f"/status/{status}")


def test_a_status_is_told_in_sql(con: Con, session: Session) -> None:
    with pytest.raises(duckdb.InvalidInputException, match=r"RequestError: .*GET /status/418 answered 418"):
        con.execute(f"FROM apikit('{HTTPBIN}', '/status/418', columns := {{id: 'BIGINT'}})").fetchall()

    assert len(session.requests) == 1
    assert row(con, "SELECT status, error FROM apikit_errors()") == (418, "RequestError")


# --- time ------------------------------------------------------------------------------------------------------------


def test_an_answer_within_the_timeout_is_waited_for(ask: Ask, session: Session) -> None:
    (found,) = ask("/delay/1", timeout=10)

    assert found["url"] == f"{HTTPBIN}/delay/1"
    assert 1 <= session.requests[0].elapsed < 10


def test_an_answer_beyond_the_timeout_is_asked_for_again_and_then_an_error(ask: Ask, session: Session) -> None:
    began = time.monotonic()

    with pytest.raises(RequestError, match=r"^httpbin: GET /delay/4: no answer after 2 attempts: .*(timed out|0\.3 s)"):
        ask("/delay/4", timeout=0.3, retry=AT_ONCE.model_copy(update={"max_attempts": 2}))

    assert 0.6 <= time.monotonic() - began < 3
    assert [record.status for record in session.requests] == [None, None]


def test_a_slow_body_within_the_timeout_is_read_to_its_end(ask: Ask, session: Session) -> None:
    with pytest.raises(DecodeError, match="the body is not JSON"):
        ask("/drip?duration=1&numbytes=10&delay=0", timeout=10)

    assert session.requests[0].size == 10
    assert session.requests[0].elapsed >= 0.8


def test_a_slow_body_beyond_the_timeout_is_no_answer(ask: Ask) -> None:
    began = time.monotonic()

    with pytest.raises(RequestError, match=r"^httpbin: GET /drip: no answer after 1 attempts"):
        ask("/drip?duration=5&numbytes=50&delay=0", timeout=0.5, retry=AT_ONCE.model_copy(update={"max_attempts": 1}))

    assert 0.5 <= time.monotonic() - began < 3


def test_a_timeout_is_said_in_sql(con: Con, session: Session) -> None:
    sql = f"FROM apikit('{HTTPBIN}', '/delay/1', columns := {{url: 'VARCHAR'}}, timeout := %s)"

    with pytest.raises(duckdb.InvalidInputException, match=r"RequestError: .*GET /delay/1: no answer after 3 attempts"):
        con.execute(sql % 0.2).fetchall()
    assert len(session.requests) == 3

    assert con.execute(sql % 9).fetchall() == [(f"{HTTPBIN}/delay/1",)]
