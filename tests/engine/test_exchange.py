"""The engine fed by hand: one request with its answers, a whole trip, and what an error says of them."""

import json
from collections.abc import Iterator
from urllib.parse import unquote_plus

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RetryConfig
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.steps import Send, Sleep
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, AuthError, DecodeError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import AT_ONCE, BOTH, NOW, Hand, Take, accepted, ids, numbered, plan_of
from tests.fakes.api import BASE_URL, FakeApi, Table

SECRET = "s3cr3t-t0k3n"
LINKED = PaginationConfig(strategy="next_url", next_url_path="next")


def fetch(plan: RequestPlan, api: FakeApi) -> list[int]:
    hand = Hand(api)
    return ids(hand.pages(trip(plan, hand.access(plan))))


def trace_of(error: BaseException) -> Iterator[str]:
    """Every text through which `error` reaches a person or a log, its causes too."""
    current: BaseException | None = error
    while current is not None:
        yield str(current)
        yield repr(current)
        yield repr(vars(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def test_a_request_asks_its_driver_for_nothing_but_sending_and_waiting() -> None:
    plan = plan_of(retry=RetryConfig(jitter=0))
    hand = Hand(FakeApi())
    request = first_request(plan)
    ok = httpx.Response(200, request=httpx.Request("GET", f"{BASE_URL}/items"))
    busy = httpx.Response(429, headers={"retry-after": "7"}, request=ok.request)

    steps = exchange(plan, hand.access(plan), request)
    first = next(steps)
    wait = steps.send(busy)
    hand.clock.now += 7
    again = steps.send(None)
    with pytest.raises(StopIteration) as done:
        steps.send(ok)

    assert isinstance(first, Send)
    assert (first.request.method, str(first.request.url)) == ("GET", f"{BASE_URL}/items")
    assert first.timeout == plan.timeout
    assert wait == Sleep(7.0)
    assert isinstance(again, Send)
    assert done.value.value is ok


def test_a_network_error_thrown_into_a_request_is_tried_again() -> None:
    plan = plan_of(retry=RetryConfig(jitter=0))
    steps = exchange(plan, Hand(FakeApi()).access(plan), first_request(plan))

    next(steps)
    wait = steps.throw(httpx.ConnectError("down"))

    assert wait == Sleep(1.0)
    assert isinstance(steps.send(None), Send)


def test_a_page_is_asked_for_only_when_the_one_before_it_was_taken() -> None:
    plan = plan_of(pagination=PaginationConfig(strategy="link"))
    hand = Hand(FakeApi({"/items": Table(numbered(4), "link", page_size=2)}))
    pages = accepted(trip(plan, hand.access(plan)), lambda wanted: hand.value(wanted.fetch()))

    first = next(pages)
    asked_for_first = [str(request.url) for request in hand.sent]
    second = next(pages)

    assert (first.number, asked_for_first) == (1, [f"{BASE_URL}/items"])
    assert (second.number, str(hand.sent[-1].url)) == (2, f"{BASE_URL}/items?page=2")


@pytest.mark.parametrize("take", BOTH)
def test_a_trip_survives_trouble_in_its_middle(take: Take) -> None:
    parts = [httpx.Response(200, json={"items": [{"id": 1}], "next": "/items?b"}), httpx.Response(503)]
    last = httpx.Response(200, json={"items": [{"id": 2}], "next": None})
    api = FakeApi({"/items": [*parts, httpx.Response(429), last]})
    plan = plan_of(pagination=LINKED)

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert ids(pages) == [1, 2]
    assert api.paths == ["/items", "/items?b", "/items?b", "/items?b"]


def test_a_page_tells_where_it_came_from() -> None:
    body = b'[{"id": 1}]'
    api = FakeApi({"/items": httpx.Response(203, content=body, headers={"x-a": "b"})})
    plan, hand = plan_of(params=[("q", "a b"), ("api_key", "abcd")]), Hand(api)

    (page,) = hand.pages(trip(plan, hand.access(plan)))

    assert (page.number, page.status, page.size, page.headers["x-a"]) == (1, 203, len(body), "b")
    assert page.url == f"{BASE_URL}/items?q=a%20b&api_key=***REDACTED***"


def test_a_request_carries_the_plan_and_says_what_it_accepts() -> None:
    api = FakeApi({"/query": httpx.Response(200, json=[])})
    plan = plan_of(
        "/query",
        method="POST",
        body=b'{"a": 1}',
        params=[("a", "1"), ("a", "x y"), ("b", "é&=")],
        headers=(("X-Version", "2"), ("Accept", "application/vnd.api+json")),
    )

    fetch(plan, api)

    (request,) = api.seen
    assert request.method == "POST"
    assert request.url.raw_path == b"/query?a=1&a=x%20y&b=%C3%A9%26%3D"
    assert request.content == b'{"a": 1}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-version"] == "2"
    assert request.headers.get_list("accept") == ["application/vnd.api+json"]
    assert request.headers["user-agent"] == "apikit_sql"


def test_a_header_may_hold_letters_beyond_ascii_or_is_refused_by_an_error_of_this_package() -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[])})

    try:
        fetch(plan_of(headers=(("X-City", "Zürich"),)), api)
    except ApikitError:
        return

    assert dict(api.seen[0].headers.raw)[b"x-city"] in {"Zürich".encode(), "Zürich".encode("latin-1")}


@pytest.mark.parametrize("body", [b"{}", b"null", b"[]", b'{"items": []}'])
def test_a_body_without_records_is_a_page_without_records(body: bytes) -> None:
    api = FakeApi({"/items": httpx.Response(200, content=body)})

    assert fetch(plan_of(), api) == []


@pytest.mark.parametrize("base_url", ["https://api.test:port", "https://xn--"])
def test_a_base_url_that_is_none_is_a_request_error(base_url: str) -> None:
    api = FakeApi()

    with pytest.raises(RequestError, match="is not a URL that can be asked"):
        fetch(plan_of(base_url=base_url), api)

    assert api.seen == []


def test_no_content_is_a_page_without_records() -> None:
    assert fetch(plan_of(), FakeApi({"/items": httpx.Response(204)})) == []


@pytest.mark.parametrize("body", [b"<html>", b'{"items": [', b"\xff\xfe", b"NaN", b'"ok"'])
def test_a_body_that_is_not_json_is_an_error_that_names_the_page(body: bytes) -> None:
    api = FakeApi({"/items": httpx.Response(200, content=body, headers={"content-type": "text/html"})})

    with pytest.raises(DecodeError, match=r"^api: GET /items answered 200 \(text/html\), page 1: "):
        fetch(plan_of(), api)


@pytest.mark.parametrize("body", [b'[{"id": 1}] x', b"[" * 100_000])
def test_records_that_are_not_json_are_an_error_that_names_the_api(body: bytes) -> None:
    api = FakeApi({"/items": httpx.Response(200, content=body)})

    with pytest.raises(DecodeError, match=r"^api: GET /items, page 1: the body is (not JSON|nested too deeply)"):
        fetch(plan_of(), api)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "boom"},
        {"error": {"message": "boom"}},
        {"errors": ["boom"]},
        {"errors": [{"message": "boom"}]},
        {"errors": [{"message": "boom"}], "data": None},
        {"errors": [{"detail": "boom"}], "status": "error"},
        {"ok": False, "error": "boom"},
        {"items": [], "error": "boom"},
        {"data": None, "error": {"title": "boom"}},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("status", [200, 206])
def test_an_error_with_a_good_status_and_no_records_is_a_request_error(body: object, status: int) -> None:
    api = FakeApi({"/items": httpx.Response(status, json=body)})

    with pytest.raises(RequestError, match=rf"^api: GET /items answered {status} with an error \(boom\)") as raised:
        fetch(plan_of(), api)

    assert raised.value.status == status


@pytest.mark.parametrize(
    "body", [{"error": "boom"}, {"items": [], "error": "boom"}, {"items": None, "errors": ["boom"]}]
)
def test_a_declared_record_path_does_not_hide_an_error(body: object) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=body)})

    with pytest.raises(RequestError, match="boom"):
        fetch(plan_of(record_path="items"), api)


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1, "error": "of this job"},
        {"items": [{"id": 1}], "errors": ["one of ours was left out"]},
        [{"id": 1, "error": "x"}],
        {"items": [{"id": 1}], "error": None},
    ],
    ids=json.dumps,
)
def test_records_beside_an_error_or_with_a_field_of_that_name_are_records(body: object) -> None:
    assert fetch(plan_of(), FakeApi({"/items": httpx.Response(200, json=body)})) == [1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"message": "Not  here\\n now"}', " (Not here now)"),
        (b'{"error": {"message": "deep"}}', " (deep)"),
        (b'{"error": {"code": 5, "detail": "deeper"}}', " (deeper)"),
        (b'{"errors": [{"title": "listed"}]}', " (listed)"),
        (b'{"errors": ["plain"]}', " (plain)"),
        (b'{"error": "invalid", "error_description": "Longer"}', " (invalid)"),
        (b'{"error_description": "Longer"}', " (Longer)"),
        (b'[{"errorCode": "X", "message": "in a list"}]', " (in a list)"),
        (b'{"message": 5, "detail": "beside"}', " (beside)"),
        (b'{"errorMessages": ["No such issue"], "errors": {}}', " (No such issue)"),
        (b'{"errors": {"page_info": "Invalid value."}}', " (page_info: Invalid value.)"),
        (b'{"errors": {"count": 5}}', ""),
        (b'{"message": "' + b"a" * 300 + b'"}', " (" + "a" * 200 + ")"),
        (b'{"message": ""}', ""),
        (b'{"errors": []}', ""),
        (b"<html>Not here</html>", ""),
        (b"[]", ""),
        (b"5", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
def test_an_error_repeats_the_apis_own_words_in_one_line(body: bytes, reason: str) -> None:
    api = FakeApi({"/items": httpx.Response(418, content=body)})

    with pytest.raises(RequestError) as raised:
        fetch(plan_of(), api)

    assert str(raised.value) == f"api: GET /items answered 418{reason}"


def test_an_apis_own_words_bring_no_control_characters() -> None:
    api = FakeApi({"/items": httpx.Response(418, json={"message": "a\x00b\x1b[31mc"})})

    with pytest.raises(RequestError) as raised:
        fetch(plan_of(), api)

    assert str(raised.value).isprintable()


def test_a_redirect_without_a_target_is_an_error() -> None:
    with pytest.raises(RequestError, match="api: GET /items answered 304"):
        fetch(plan_of(), FakeApi({"/items": httpx.Response(304)}))


# --- secrets


AUTHS = [
    pytest.param(AuthConfig.model_validate({"type": "bearer", "token": SECRET}), id="bearer"),
    pytest.param(AuthConfig.model_validate({"type": "apikey", "api_key": SECRET}), id="header"),
    pytest.param(
        AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"}), id="query"
    ),
    pytest.param(AuthConfig.model_validate({"type": "basic", "username": "someone", "password": SECRET}), id="basic"),
]


def _echo(status: int) -> httpx.Response:
    return httpx.Response(status, json={"error": f"no such token: {SECRET}"})


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(_echo(200), id="an error with status 200"),
        pytest.param(_echo(401), id="401"),
        pytest.param(_echo(403), id="403"),
        pytest.param(_echo(429), id="429"),
        pytest.param(_echo(500), id="500"),
        pytest.param(httpx.Response(429, headers={"retry-after": "999"}), id="too long a wait"),
        pytest.param(httpx.ConnectError(f"cannot reach ?licence={SECRET}"), id="no answer"),
        pytest.param(httpx.Response(200, content=b"<html>"), id="no JSON"),
        pytest.param(httpx.Response(302, headers={"location": "/items"}), id="redirects without end"),
        pytest.param(httpx.Response(302, headers={"location": "https://other.test/"}), id="a redirect elsewhere"),
        pytest.param(httpx.Response(302, headers={"location": "https://[::1"}), id="a redirect to no URL"),
    ],
)
def test_no_secret_stands_in_an_error_or_in_the_record_of_a_request(
    auth: AuthConfig, trouble: httpx.Response | httpx.TransportError
) -> None:
    api = FakeApi()
    api.trouble.extend([trouble] * 9)
    plan, hand = plan_of(auth=auth), Hand(api)

    with pytest.raises(ApikitError) as raised:
        hand.pages(trip(plan, hand.access(plan)))

    assert SECRET not in "".join(trace_of(raised.value))
    assert SECRET not in repr(hand.records)
    assert len(hand.records) == len(api.seen)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(httpx.Response(500), id="an error"),
        pytest.param(httpx.Response(200, json={"error": "boom"}), id="an error with status 200"),
        pytest.param(httpx.Response(429, headers={"retry-after": "999"}), id="too long a wait"),
        pytest.param(httpx.Response(302, headers={"location": "/items"}), id="redirects without end"),
        pytest.param(httpx.Response(200, content=b"<"), id="no JSON"),
        pytest.param(httpx.Response(200, json={"items": [{"id": 1}], "next": f"/items?licence={SECRET}"}), id="a loop"),
    ],
)
def test_no_secret_stands_in_an_error_where_the_api_repeats_it_in_a_link(second: httpx.Response) -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": f"/items?page=2&licence={SECRET}"})
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"})
    api = FakeApi({"/items": [first, second]})
    plan, hand = plan_of(auth=auth, pagination=LINKED), Hand(api)

    with pytest.raises(ApikitError) as raised:
        hand.pages(trip(plan, hand.access(plan)))

    assert SECRET not in "".join(trace_of(raised.value))
    assert SECRET not in repr(hand.records)


@pytest.mark.parametrize("secret", ["two words", "a+b/c==", "ünïcode", "100%", "q?a=1&b", "tilde~star*"])
def test_a_secret_in_the_query_is_masked_however_it_is_encoded(secret: str) -> None:
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": secret, "api_key_query_param": "licence"})
    api = FakeApi({"/items": httpx.Response(200, json=[])})
    plan, hand = plan_of(auth=auth), Hand(api)

    hand.pages(trip(plan, hand.access(plan)))

    assert api.params("licence") == [secret]
    (record,) = hand.records
    assert record.url.startswith(f"{BASE_URL}/items?licence=***REDACTED***")
    assert secret not in unquote_plus(record.url)


@pytest.mark.parametrize("auth", AUTHS)
def test_no_secret_shows_where_a_plan_or_what_signs_it_is_printed(auth: AuthConfig) -> None:
    plan = plan_of(auth=auth)
    access = Hand(FakeApi()).access(plan)

    assert SECRET not in repr(plan)
    assert SECRET not in str(plan.auth.model_dump())
    assert SECRET not in repr(access)
    assert SECRET not in repr(access.credential)


# --- records of requests


def test_every_request_is_recorded_with_what_came_of_it() -> None:
    api = FakeApi({"/items": httpx.Response(200, content=b"[]")})
    api.trouble.extend([httpx.ConnectError("down"), httpx.Response(503, content=b"busy")])
    plan, hand = plan_of(retry=RetryConfig(min_wait=1, jitter=0)), Hand(api)

    def slow(request: httpx.Request) -> httpx.Response:
        hand.clock.now += 0.25
        return api(request)

    hand.handler = slow
    hand.pages(trip(plan, hand.access(plan)))

    told = [(r.status, r.size, r.attempt, round(r.elapsed, 3), round(r.at - NOW, 3)) for r in hand.records]
    assert told == [(None, 0, 1, 0.25, 0.0), (503, 4, 2, 0.25, 1.25), (200, 2, 3, 0.25, 3.5)]
    assert {(r.connector, r.method, r.url) for r in hand.records} == {("api", "GET", f"{BASE_URL}/items")}


@pytest.mark.parametrize("take", BOTH)
def test_a_request_whose_body_cannot_be_read_is_recorded_and_its_error_names_the_api(take: Take) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b"not gzip at all"), headers={"content-encoding": "gzip"})

    api, plan = FakeApi({"/items": answer}), plan_of()
    hand = Hand(api)

    with pytest.raises(DecodeError, match=r"^api: GET /items"):
        take(trip(plan, hand.access(plan)), api)

    assert len(hand.records) == 1


# --- which error


def test_a_refused_credential_is_an_auth_error_that_names_it_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_TOKEN", SECRET)
    api = FakeApi({"/items": httpx.Response(401, json={"message": "Bad credentials"})})
    plan = plan_of(auth=AuthConfig.model_validate({"type": "bearer", "token": "env:API_TOKEN"}))

    with pytest.raises(AuthError) as raised:
        fetch(plan, api)

    assert str(raised.value) == (
        "api: GET /items answered 401 (Bad credentials): the credential (env:API_TOKEN) was refused."
    )
    assert raised.value.status == 401
    assert len(api.seen) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 418, 422, 451, 501])
def test_an_error_of_the_caller_is_not_tried_again(status: int) -> None:
    api = FakeApi({"/items": httpx.Response(status)})

    with pytest.raises(RequestError) as raised:
        fetch(plan_of("/items", params=[("token", "abcd")]), api)

    assert (raised.value.status, raised.value.url) == (status, f"{BASE_URL}/items?token=***REDACTED***")
    assert not isinstance(raised.value, AuthError | RateLimitError)
    assert len(api.seen) == 1


def test_too_many_requests_to_the_last_is_a_rate_limit_error() -> None:
    api = FakeApi({"/items": httpx.Response(429, json={"message": "slow down"})})

    with pytest.raises(
        RateLimitError, match=r"^api: GET /items answered 429 \(slow down\), after 3 attempts"
    ) as raised:
        fetch(plan_of(retry=AT_ONCE), api)

    assert raised.value.status == 429
    assert len(api.seen) == 3


def test_no_answer_to_the_last_is_a_request_error_without_a_status() -> None:
    api = FakeApi()
    api.trouble.extend([httpx.ConnectError("down"), httpx.ReadTimeout(""), httpx.ReadError("")])

    with pytest.raises(RequestError, match=r"^api: GET /items: no answer after 3 attempts: ReadError$") as raised:
        fetch(plan_of(), api)

    assert raised.value.status is None


def test_a_proxy_that_wants_credentials_is_told_of_as_such() -> None:
    api = FakeApi({"/items": httpx.Response(407)})

    with pytest.raises(RequestError, match="credentials of a proxy in the environment are not used"):
        fetch(plan_of(), api)


@pytest.mark.parametrize("status", [401, 403])
def test_an_api_that_wants_a_credential_and_was_sent_none_says_where_to_give_one(status: int) -> None:
    api = FakeApi({"/items": httpx.Response(status)})

    with pytest.raises(RequestError, match="no credential was sent"):
        fetch(plan_of(), api)


def test_an_api_that_wants_the_credential_which_nobody_set_says_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    api = FakeApi({"/items": httpx.Response(401)})

    with pytest.raises(AuthError, match="no credential was sent, for env:API_TOKEN is not set"):
        fetch(plan_of(auth=AuthConfig(type="bearer", token="env:API_TOKEN", optional=True)), api)
