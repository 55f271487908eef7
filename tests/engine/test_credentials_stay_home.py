"""Wherever a server leads, by whatever means and spelling, no credential arrives at another origin than its own."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, product
from urllib.parse import quote, unquote

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.session import Session
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import BOTH, Hand, Take, plan_of, scan_of, take_sync
from tests.fakes.api import BASE_URL, FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

SECRET = "s3cr3t/t0k3n+é?~x"
HEADER_SECRET = "s3cr3t/t0k3n+%x??>~~"
TOKEN = "access/t0k3n+x=="

AUTHS = {
    "bearer": AuthConfig.model_validate({"type": "bearer", "token": HEADER_SECRET}),
    "header": AuthConfig.model_validate({"type": "apikey", "api_key": HEADER_SECRET, "api_key_header": "X-Special"}),
    "query": AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"}),
    "basic": AuthConfig.model_validate({"type": "basic", "username": "someone-special", "password": SECRET}),
    "oauth2": AuthConfig.model_validate(
        {"type": "oauth2", "client_id": "client-id", "client_secret": SECRET, "token_url": f"{BASE_URL}/token"}
    ),
}
PAIR = base64.b64encode(f"someone-special:{SECRET}".encode()).decode()
SECRETS = {
    "bearer": [HEADER_SECRET],
    "header": [HEADER_SECRET],
    "query": [SECRET],
    "basic": [SECRET, PAIR],
    "oauth2": [TOKEN, SECRET],
}
SIGNED: dict[str, Callable[[httpx.Request], bool]] = {
    "bearer": lambda request: request.headers.get("authorization") == f"Bearer {HEADER_SECRET}",
    "header": lambda request: request.headers.get("x-special") == HEADER_SECRET,
    "query": lambda request: request.url.params.get("licence") == SECRET,
    "basic": lambda request: request.headers.get("authorization") == f"Basic {PAIR}",
    "oauth2": lambda request: request.headers.get("authorization") == f"Bearer {TOKEN}",
}

#: Where a server may lead; some of it is no URL, some stays at home.
AWAY = [
    "https://cdn.test/2",
    "https://evil.test/2",
    "//cdn.test/2",
    "//evil.test/2",
    "https://API.TEST:8443/2",
    "https://api.test:80/2",
    "http://api.test/2",
    "http://api.test:443/2",
    "https://sub.api.test/2",
    "https://test/2",
    "https://api.test.evil.test/2",
    "https://api.test@evil.test/2",
    "https://api.test:443@evil.test/2",
    "https://someone@cdn.test/2",
    "https://api.test%40evil.test/2",
    "https://evil.test#@api.test/2",
    "https://evil.test?@api.test/2",
    "https://evil.test\\@api.test/2",
    "https://api.test\\@evil.test/2",
    "\\\\evil.test/2",
    "/\\evil.test/2",
    "\\/evil.test/2",
    "https:evil.test/2",
    "https:/evil.test/2",
    "https:///evil.test/2",
    "///evil.test/2",
    "////evil.test/2",
    "https://api.test./2",
    "https://api%2etest/2",
    "https://api.test%2eevil.test/2",
    "https://аpi.test/2",  # noqa: RUF001 - a Cyrillic letter is the case
    "https://api。test/2",
    "https://ａｐｉ.test/2",  # noqa: RUF001 - wide letters are the case
    "https://xn--pi-7kc.test/2",
    "HTTPS://CDN.TEST/2",
    " https://evil.test/2",
    "\thttps://evil.test/2",
    "https://ev\til.test/2",
    "ht\ntps://evil.test/2",
    "/\t/evil.test/2",
    "/\n/evil.test/2",
    "https://api.test\t.evil.test/2",
    "https://0x7f.1/2",
    "https://[::1]/2",
    "ftp://api.test/2",
    "file:///2",
    "javascript://api.test/%0a2",
    "https://api.test:99999/2",
    "https://[::1/2",
    "https://",
    "//",
]
HOMEWARD = ["/2", "2", "?page=2", "./2", "../2", f"{BASE_URL}/2", "//api.test/2", "https://API.test:443/2", "/2#part"]
ALLOWED = ("https://cdn.test", "https://evil.test", "http://cdn.test")

ECHOES: dict[str, Callable[[str], str]] = {
    "not": lambda _: "",
    "plain": lambda secret: secret,
    "percent": lambda secret: quote(secret, safe=""),
    "percent, all": lambda secret: "".join(f"%{byte:02x}" for byte in secret.encode()),
    "Base64": lambda secret: base64.b64encode(b"x:" + secret.encode()).decode(),
    "Base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    "JSON": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
}

Leads = Callable[[str], httpx.Response]
BODY = {"items": [{"id": 1}]}
#: How a server leads: the settings of the trip, and its first answer.
WAYS: dict[str, tuple[PaginationConfig, Leads]] = {
    **{
        f"redirect {status}": (
            PaginationConfig(strategy="none"),
            lambda to, status=status: httpx.Response(status, headers=[(b"location", to.encode())]),  # type: ignore[misc]
        )
        for status in (301, 302, 303, 307, 308)
    },
    "link": (
        PaginationConfig(strategy="link"),
        lambda to: httpx.Response(200, json=BODY, headers=[(b"link", f'<{to}>; rel="next"'.encode())]),
    ),
    "last link": (
        PaginationConfig(strategy="link"),
        lambda to: httpx.Response(
            200, json=BODY, headers=[(b"link", f'<{to}?page=2>; rel="next", <{to}?page=9>; rel="last"'.encode())]
        ),
    ),
    "body": (
        PaginationConfig(strategy="next_url", next_url_path="next"),
        lambda to: httpx.Response(200, json={**BODY, "next": to}),
    ),
    "header": (
        PaginationConfig(strategy="next_url", next_url_header="x-next"),
        lambda to: httpx.Response(200, json=BODY, headers=[(b"x-next", to.encode())]),
    ),
    "cursor": (
        PaginationConfig(strategy="cursor", cursor_param="after", next_cursor_path="next"),
        lambda to: httpx.Response(200, json={**BODY, "next": to}),
    ),
    "found": (PaginationConfig(strategy="auto"), lambda to: httpx.Response(200, json={**BODY, "next": to})),
}


def api_that(first: httpx.Response) -> FakeApi:
    """An API whose first page leads on, as it is asked at home, and whose every other page is the last."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_first = request.url.host == "api.test" and not asked_before
        asked_before.append(request)
        return first if is_first else httpx.Response(200, json={"items": [{"id": 2}]})

    asked_before: list[httpx.Request] = []
    token = httpx.Response(200, json={"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600})
    return FakeApi({"/token": token, "/items": answer, "/2": answer, "/": answer})


def is_at_home(request: httpx.Request) -> bool:
    """Whether a connection for `request` is one to https://api.test."""
    return (request.url.raw_scheme, request.url.raw_host, request.url.port) == (b"https", b"api.test", None)


def traces_of(secret: str) -> Iterator[str]:
    """What a text that holds `secret` holds, once it is percent-decoded: itself, escaped, or the core of its Base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret.encode()).decode()
        core = whole[before + 1 if before else 0 :].rstrip("=")[:-1]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def leaks(api: FakeApi, auth: str) -> list[str]:
    """The requests elsewhere that carry a credential."""
    found = []
    for request in (each for each in api.seen if not is_at_home(each)):
        text = f"{request.url} {request.headers.raw!r} {request.content!r}"
        texts = [text, unquote(text), unquote(unquote(text)), text.replace("%2B", "+")]
        if any(trace in each for secret in SECRETS[auth] for trace in traces_of(secret) for each in texts):
            found.append(f"{request.method} {request.url}")
        if "authorization" in request.headers or "x-special" in request.headers or "licence" in request.url.params:
            found.append(f"{request.method} {request.url} signed")
    return found


def plan_for(auth: str, way: str, allowed: tuple[str, ...]) -> RequestPlan:
    return plan_of(auth=AUTHS[auth], pagination=WAYS[way][0], allowed_origins=allowed, record_path="items")


@pytest.mark.parametrize("auth", list(AUTHS))
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("take", BOTH)
def test_no_credential_leaves_home(take: Take, way: str, auth: str) -> None:
    """Each destination, the credential echoed in the link in every way in turn; of some ways a third of them."""
    found, numbers, echoes = [], count(), list(ECHOES.items())
    sent = 0
    cases = list(product(AWAY, [ALLOWED, ()]))
    is_full = take is take_sync and way in {"redirect 307", "link", "body"}
    for to, allowed in cases if is_full else cases[list(WAYS).index(way) % 3 :: 3]:
        name, echo = echoes[next(numbers) % len(echoes)]
        echoed = "" if name == "not" else ("&" if "?" in to else "?") + "q=" + echo(SECRETS[auth][0])
        api = api_that(WAYS[way][1](to + echoed))
        plan = plan_for(auth, way, allowed)

        with suppress(ApikitError):
            take(trip(plan, Hand(api).access(plan)), api)

        at_home = [each for each in api.seen if is_at_home(each) and each.url.path != "/token"]
        assert at_home
        assert all(SIGNED[auth](each) for each in at_home), (to, api.paths)
        found += [(to, name, leak) for leak in leaks(api, auth)]
        sent += len(api.seen) - len(at_home)

    assert found == []
    assert sent > 0 or not is_full


@pytest.mark.parametrize("auth", list(AUTHS))
@pytest.mark.parametrize("way", [way for way in WAYS if way != "cursor"])
@pytest.mark.parametrize("echo", [echo for echo in ECHOES if echo != "not"])
def test_a_link_to_an_allowed_origin_that_carries_the_credential_is_not_followed(
    auth: str, way: str, echo: str
) -> None:
    for place in ("/2?q=", "/2/", "/2?", "/2;v="):
        for secret in SECRETS[auth]:
            api = api_that(WAYS[way][1](f"https://cdn.test{place}{ECHOES[echo](secret)}"))
            plan = plan_for(auth, way, ALLOWED)

            with suppress(ApikitError):
                BOTH[0](trip(plan, Hand(api).access(plan)), api)

            assert leaks(api, auth) == [], (place, secret)


TWICE: dict[str, Callable[[str], str]] = {
    "percent twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "percent, all, twice": lambda secret: quote(ECHOES["percent, all"](secret), safe=""),
    "JSON, then percent": lambda secret: quote(json.dumps(secret)[1:-1], safe=""),
    "JSON of a quote, then as a URL has it": lambda secret: json.dumps(secret)[1:-1],
    "Base64, then percent": lambda secret: quote(base64.b64encode(secret.encode()).decode(), safe=""),
    "Base64 in lower case percent": lambda secret: (
        base64.b64encode(secret.encode()).decode().replace("/", "%2f").replace("+", "%2b").replace("=", "%3d")
    ),
}


@pytest.mark.parametrize("secret", [HEADER_SECRET, 'wi"th/all+of??>~~>~\\it'])
@pytest.mark.parametrize("echo", list(TWICE))
def test_a_credential_that_is_encoded_twice_is_not_carried_along(echo: str, secret: str) -> None:
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": secret, "api_key_query_param": "licence"})
    to = f"https://cdn.test/2?q={TWICE[echo](secret)}"
    api = api_that(WAYS["body"][1](to))
    plan = plan_of(auth=auth, pagination=WAYS["body"][0], allowed_origins=ALLOWED)

    with suppress(ApikitError):
        BOTH[0](trip(plan, Hand(api).access(plan)), api)

    assert api.params("licence") == [secret]


@pytest.mark.parametrize("auth", list(AUTHS))
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("take", BOTH)
def test_a_credential_goes_wherever_home_is(take: Take, way: str, auth: str) -> None:
    for to in HOMEWARD:
        api = api_that(WAYS[way][1](to))
        plan = plan_for(auth, way, ())

        if way == "found" and to in {"2", "?page=2", "./2", "../2"}:
            continue  # not evidence enough

        take(trip(plan, Hand(api).access(plan)), api)

        pages = [each for each in api.seen if each.url.path != "/token"]
        assert len(pages) == 2, to
        assert all(is_at_home(each) and SIGNED[auth](each) for each in pages), to


@pytest.mark.parametrize("auth", list(AUTHS))
@pytest.mark.parametrize("to", ["https://evil.test/items", "https://cdn.test/items", "http://api.test/items"])
def test_pages_that_are_fetched_ahead_take_no_credential_along(auth: str, to: str) -> None:
    """The next page is at home; what the last link says is fetched ahead of it."""
    links = f'</items?page=2>; rel="next", <{to}?page=9>; rel="last"'

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=BODY, headers={"link": links})

    token = httpx.Response(200, json={"access_token": TOKEN, "token_type": "bearer"})
    api = FakeApi({"/items": answer, "/token": token})
    session = Session(transport=api.transport(), http="")
    plan = plan_of(auth=AUTHS[auth], pagination=WAYS["link"][0], allowed_origins=ALLOWED)

    with suppress(ApikitError), scan_of(session, plan, concurrency=8) as scan:
        for _ in range(4):
            next(scan.pages)
    session.close()

    assert leaks(api, auth) == []
    assert any(SIGNED[auth](request) for request in api.seen)


@pytest.mark.parametrize("auth", list(AUTHS))
@pytest.mark.parametrize("status", [301, 307])
def test_on_a_way_through_several_origins_only_home_is_given_the_credential(auth: str, status: int) -> None:
    hops = iter(["https://cdn.test/2", "https://evil.test/2", f"{BASE_URL}/2", "https://cdn.test/2", f"{BASE_URL}/2"])

    def answer(_: httpx.Request) -> httpx.Response:
        to = next(hops, None)
        return httpx.Response(status, headers={"location": to}) if to else httpx.Response(200, json=BODY)

    api = FakeApi({"/items": answer, "/2": answer, "/token": httpx.Response(200, json={"access_token": TOKEN})})
    plan = plan_of(auth=AUTHS[auth], allowed_origins=ALLOWED)

    BOTH[0](trip(plan, Hand(api).access(plan)), api)

    pages = [each for each in api.seen if each.url.path != "/token"]
    assert [each.url.host for each in pages] == [
        "api.test",
        "cdn.test",
        "evil.test",
        "api.test",
        "cdn.test",
        "api.test",
    ]
    assert [SIGNED[auth](each) for each in pages] == [is_at_home(each) for each in pages]
    assert leaks(api, auth) == []


def test_port_0_is_not_the_port_of_home() -> None:
    api = api_that(WAYS["body"][1]("https://api.test:0/2"))
    plan = plan_for("bearer", "body", ())

    with suppress(ApikitError):
        BOTH[0](trip(plan, Hand(api).access(plan)), api)

    assert api.paths == ["/items"]
