"""Where requests and credentials may go when a server says where to."""

import base64
from contextlib import suppress

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.redirect import check_origin, is_home, without_credentials
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, OriginError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import BOTH, Hand, Take, ids, plan_of
from tests.fakes.api import FakeApi

SECRET = "s3cr3t-t0k3n"
OTHER = "https://cdn.test"
BEARER = AuthConfig.model_validate({"type": "bearer", "token": SECRET})
HEADER = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_header": "X-Special"})
QUERY = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"})
BASIC = AuthConfig.model_validate({"type": "basic", "username": "someone", "password": SECRET})
AUTHS = pytest.mark.parametrize("auth", [BEARER, HEADER, QUERY, BASIC], ids=["bearer", "header", "query", "basic"])
LINKED = PaginationConfig(strategy="next_url", next_url_path="next")


def last(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"items": [{"id": 2}]})


def redirect(to: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"location": to})


def fetch(plan: RequestPlan, api: FakeApi) -> list[int]:
    hand = Hand(api)
    return ids(hand.pages(trip(plan, hand.access(plan))))


def carries_secret(request: httpx.Request) -> bool:
    password = base64.b64encode(f"someone:{SECRET}".encode()).decode()
    text = f"{request.url} {dict(request.headers)} {request.content!r}"
    return SECRET in text or password in text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/moved", "https://api.test/moved", "https://API.TEST:443/moved", "//api.test/moved"])
def test_a_redirect_on_the_same_origin_is_followed(status: int, to: str) -> None:
    api = FakeApi({"/items": redirect(to, status), "/moved": last})

    assert fetch(plan_of(), api) == [2]


@AUTHS
@pytest.mark.parametrize("take", BOTH)
def test_a_redirect_on_the_same_origin_is_signed_again(take: Take, auth: AuthConfig) -> None:
    api = FakeApi({"/items": redirect("/moved?a=b"), "/moved": last})
    plan = plan_of(auth=auth, headers=(("x-version", "2"),))

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert ids(pages) == [2]
    assert [carries_secret(request) for request in api.seen] == [True, True]
    assert [request.headers["x-version"] for request in api.seen] == ["2", "2"]
    assert api.seen[1].url.params["a"] == "b"


def test_five_redirects_are_followed_and_a_sixth_is_an_error() -> None:
    steps = {f"/{number}": redirect(f"/{number + 1}") for number in range(1, 6)}
    short = FakeApi({"/items": redirect("/2"), **steps, "/6": last})
    long = FakeApi({"/items": redirect("/1"), **steps, "/6": last})

    assert fetch(plan_of(), short) == [2]
    with pytest.raises(RequestError, match="api: GET /items answered 302, redirecting more than 5 times"):
        fetch(plan_of(), long)

    assert (len(short.seen), len(long.seen)) == (6, 6)


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.test/items",
        "//evil.test/items",
        "http://api.test/items",
        "https://api.test:8443/items",
        "https://sub.api.test/items",
        "https://someone:pw@api.test/items",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/items",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("take", BOTH)
def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(take: Take, to: str) -> None:
    api, plan = FakeApi({"/items": redirect(to)}), plan_of(auth=BEARER)

    with pytest.raises(OriginError, match=r"^api: a redirect leads to .*, away from https://api\.test\.") as raised:
        take(trip(plan, Hand(api).access(plan)), api)

    assert "allowed_origins" in str(raised.value)
    assert "pw" not in str(raised.value)
    assert api.paths == ["/items"]


def test_https_is_never_given_up_for_http_even_on_a_host_that_is_allowed() -> None:
    api = FakeApi({"/items": redirect("http://cdn.test/items")})

    with pytest.raises(OriginError):
        fetch(plan_of(allowed_origins=(OTHER,)), api)


@AUTHS
@pytest.mark.parametrize("take", BOTH)
def test_an_allowed_origin_is_followed_without_the_credential(take: Take, auth: AuthConfig) -> None:
    api = FakeApi({"/items": redirect(f"{OTHER}/moved"), "/moved": last})
    plan = plan_of(auth=auth, allowed_origins=(OTHER,))

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert ids(pages) == [2]
    assert [request.url.host for request in api.seen] == ["api.test", "cdn.test"]
    assert [carries_secret(request) for request in api.seen] == [True, False]


def test_a_redirect_that_keeps_the_query_takes_no_key_to_another_origin() -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        return redirect(str(request.url.copy_with(host="cdn.test", path="/moved")), 308)

    api = FakeApi({"/items": moved, "/moved": last})

    with suppress(ApikitError):
        fetch(plan_of(auth=QUERY, allowed_origins=(OTHER,), params=[("a", "b")]), api)

    assert not any(carries_secret(request) for request in api.seen if request.url.host != "api.test")


@AUTHS
def test_the_way_back_home_is_signed_again(auth: AuthConfig) -> None:
    api = FakeApi({"/items": redirect(f"{OTHER}/there"), "/there": redirect("https://api.test/back"), "/back": last})

    assert fetch(plan_of(auth=auth, allowed_origins=(OTHER,)), api) == [2]
    assert [carries_secret(request) for request in api.seen] == [True, False, True]


@AUTHS
@pytest.mark.parametrize("take", BOTH)
def test_a_next_link_to_an_allowed_origin_is_followed_without_the_credential(take: Take, auth: AuthConfig) -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": f"{OTHER}/page2"})
    api = FakeApi({"/items": first, "/page2": last})
    plan = plan_of(auth=auth, allowed_origins=(OTHER,), pagination=LINKED)

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert ids(pages) == [1, 2]
    assert [carries_secret(request) for request in api.seen] == [True, False]


def test_a_next_link_that_repeats_the_key_takes_it_to_no_other_origin() -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": f"{OTHER}/page2?licence={SECRET}"})
    api = FakeApi({"/items": first, "/page2": last})

    with suppress(ApikitError):
        fetch(plan_of(auth=QUERY, allowed_origins=(OTHER,), pagination=LINKED), api)

    assert not any(carries_secret(request) for request in api.seen if request.url.host != "api.test")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_post_is_not_sent_to_where_it_is_redirected(status: int) -> None:
    api = FakeApi({"/items": redirect("/moved", status), "/moved": last})

    with pytest.raises(RequestError, match="api redirected a POST, which is not sent twice") as raised:
        fetch(plan_of(method="POST", body=b"{}", auth=QUERY), api)

    assert raised.value.status == status
    assert SECRET not in raised.value.url
    assert api.paths == [f"/items?licence={SECRET}"]


@pytest.mark.parametrize("to", ["https://[::1", "https://api.test:port/"])
def test_a_redirect_to_what_is_no_url_is_an_error(to: str) -> None:
    with pytest.raises(RequestError, match="api redirected to what is no URL"):
        fetch(plan_of(), FakeApi({"/items": redirect(to)}))


@pytest.mark.parametrize("take", BOTH)
def test_a_cookie_that_the_api_sets_is_not_sent_back(take: Take) -> None:
    body = {"items": [{"id": 1}], "next": f"{OTHER}/page2"}
    first = httpx.Response(200, json=body, headers={"set-cookie": "s=1; Domain=test"})
    api = FakeApi({"/items": first, "/page2": last})
    plan = plan_of(allowed_origins=(OTHER,), pagination=LINKED)

    take(trip(plan, Hand(api).access(plan)), api)

    assert all("cookie" not in request.headers for request in api.seen)


def test_home_is_one_scheme_host_and_port() -> None:
    plan = plan_of(base_url="https://api.test/v1")

    assert is_home(plan, httpx.URL("https://api.test:443/elsewhere"))
    assert is_home(plan, httpx.URL("https://API.test/"))
    assert not is_home(plan, httpx.URL("http://api.test/v1"))
    assert not is_home(plan, httpx.URL("https://api.test:8443/v1"))
    assert not is_home(plan, httpx.URL("https://api.test.evil.test/v1"))


def test_an_allowed_origin_counts_as_a_whole_and_its_path_does_not() -> None:
    plan = plan_of(allowed_origins=("https://cdn.test:8443/files",))

    check_origin(plan, httpx.URL("https://cdn.test:8443/other"), "redirect", ())
    with pytest.raises(OriginError, match=r"a redirect leads to https://cdn\.test,"):
        check_origin(plan, httpx.URL("https://cdn.test/files"), "redirect", ())
    with pytest.raises(OriginError, match=r"leads to https://cdn\.test:9,"):
        check_origin(plan, httpx.URL("https://cdn.test:9/files"), "redirect", ())


def test_what_leaves_home_is_another_request() -> None:
    request = httpx.Request(
        "POST", OTHER, headers={"Authorization": SECRET, "X-Own-Key": SECRET, "X-A": "b"}, content=b"{}",
        extensions={"timeout": {"read": 5}},
    )  # fmt: skip

    away = without_credentials(request)

    assert {*away.headers} == {"host", "x-a", "content-length"}
    assert (away.method, str(away.url), away.content, away.extensions) == (
        "POST",
        OTHER,
        b"{}",
        {"timeout": {"read": 5}},
    )
    assert request.headers["authorization"] == SECRET
