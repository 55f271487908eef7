"""What proves who the caller is goes to its own origin only, and is in no error, record, repr() or log."""

import base64
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import keyring
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.oauth2 import Grant, read_token
from apikit_sql.engine.session import Session
from apikit_sql.engine.tokens import Tokens
from apikit_sql.errors import ApikitError, AuthError, OriginError, RequestError
from apikit_sql.redaction import MASK
from tests.engine.taking import BOTH, Take, ids, plan_of, read, take_sync
from tests.fakes.tokens import LOGIN, TOKEN_URL, Client, GuardedApi, MemoryKeyring, form_of, oauth, texts_of

CDN = "https://cdn.test"
CLIENT_ID, CLIENT_SECRET = "id-of-the-shop", "s3cr3t: of/the+shop%ü"
SOON = 10.0  # seconds: what happens at all happens long before
PREFIX = "t0k3n-"  # of every access and refresh token
BASIC = base64.b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
SECRETS = [CLIENT_SECRET, quote_plus(CLIENT_SECRET), quote(CLIENT_SECRET, safe=""), BASIC, PREFIX]
TAKES = pytest.mark.parametrize("take", BOTH)
LINKED = PaginationConfig(strategy="next_url", next_url_path="next")
BY_SECRET = oauth(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
BY_POST = oauth(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, client_auth="client_secret_post")
BY_REFRESH = oauth(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, refresh_token=f"{PREFIX}r0")
GRANTS = pytest.mark.parametrize("auth", [BY_SECRET, BY_POST, BY_REFRESH], ids=["secret", "post", "refresh"])


@pytest.fixture(autouse=True)
def _keyring_of_our_own() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(MemoryKeyring())
    yield
    keyring.set_keyring(before)


def guarded(routes: dict[str, Any] | None = None) -> GuardedApi:
    return GuardedApi(routes, prefix=PREFIX, rotates=True)


def assert_tells_nothing(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


def echo(status: int, wrap: Callable[[str], object]) -> Callable[[httpx.Request], httpx.Response]:
    """An answer that repeats all that was sent."""

    def answer(request: httpx.Request) -> httpx.Response:
        sent = f"{request.headers.get('authorization', '')} {request.content.decode()}"
        pairs = form_of(request) if request.content else {}
        return httpx.Response(status, json=wrap(f"{' '.join(pairs.values())} {sent}"))

    return answer


def message(text: str) -> object:
    return {"message": text}


def invalid(text: str) -> object:
    return {"error": "invalid_client", "error_description": text}


def dropped(request: httpx.Request) -> httpx.Response:
    sent = f"broken while sending {request.headers.get('authorization')} {request.content.decode()}"
    raise httpx.ReadError(sent)


# --- what is told


@TAKES
@GRANTS
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_an_api_that_repeats_what_it_was_sent_makes_no_error_that_does(
    take: Take, auth: AuthConfig, status: int
) -> None:
    api = guarded({"/items": echo(status, message)})

    with pytest.raises(ApikitError) as raised:
        Client(api, take, auth).read()

    assert_tells_nothing(f"{raised.value!r} {raised.value.__dict__}")
    assert MASK in str(raised.value)


@TAKES
@GRANTS
@pytest.mark.parametrize("status", [400, 401])
def test_a_token_endpoint_that_repeats_what_it_was_sent_makes_no_error_that_does(
    take: Take, auth: AuthConfig, status: int
) -> None:
    api = guarded()
    api.refusals.append(echo(status, invalid))

    with pytest.raises(AuthError, match="invalid_client") as raised:
        Client(api, take, auth).read()

    assert_tells_nothing(f"{raised.value!r} {raised.value.__dict__}")


def test_a_token_endpoint_whose_code_is_what_it_was_sent_makes_no_error_that_tells_it() -> None:
    api = guarded()
    api.refusals.append(echo(400, lambda text: {"error": text}))

    with pytest.raises(AuthError) as raised:
        Client(api, take_sync, BY_POST).read()

    assert_tells_nothing(f"{raised.value!r} {raised.value.__dict__}")


@pytest.mark.parametrize("before", [188, 192, 195])
@pytest.mark.parametrize("where", ["api", "token endpoint"])
def test_words_that_are_cut_short_hold_no_piece_of_a_secret(where: str, before: int) -> None:
    api = guarded()
    secret = "0123456789abcdef"
    words = ("no such thing " * 20)[:before] + f"{secret} was refused"
    if where == "api":
        api.trouble.append(httpx.Response(400, json={"message": words}))
    else:
        api.refusals.append(httpx.Response(401, json={"error": "invalid_client", "error_description": words}))

    with pytest.raises(ApikitError) as raised:
        Client(api, take_sync, oauth(client_secret=secret)).read()

    assert secret[:4] not in str(raised.value)


@pytest.mark.parametrize("secret", ["0123456789" * 6, "äöüßéèàêçñ" * 6], ids=["ascii", "umlauts"])
@pytest.mark.parametrize("write", ["str", "quote", "json.dumps"])
def test_a_text_with_the_beginning_of_a_secret_is_redacted_at_once(secret: str, write: str) -> None:
    # many an API shows which token it has refused: `the token 0123456789... is not known`
    program = (
        "import json\nfrom urllib.parse import quote\nfrom apikit_sql.redaction import redact\n"
        f"secret = {secret!a}\n"
        f"print(redact({write}(secret[:50]) + '... is not known here, nor is ' + {write}(secret), [secret]).count('*'))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=SOON)

    assert int(done.stdout) == MASK.count("*")


@GRANTS
def test_a_renewal_that_fails_logs_nothing_that_was_sent(auth: AuthConfig, caplog: pytest.LogCaptureFixture) -> None:
    api = guarded()
    client = Client(api, take_sync, auth)
    client.read()
    api.refusals.append(echo(401, invalid))
    client.clock.now += 3580

    with caplog.at_level(logging.DEBUG, logger="apikit"):
        client.read()

    assert "could not be renewed" in caplog.text
    assert_tells_nothing(caplog.text)


@TAKES
@GRANTS
@pytest.mark.parametrize("where", ["api", "token endpoint"])
def test_a_network_error_that_repeats_what_was_sent_makes_no_error_that_does(
    take: Take, auth: AuthConfig, where: str
) -> None:
    api = guarded({"/items": dropped})
    if where == "token endpoint":
        api.refusals.extend([dropped] * 3)

    with pytest.raises(ApikitError) as raised:
        Client(api, take, auth).read()

    assert_tells_nothing(f"{raised.value!r} {raised.value.__dict__}")


@GRANTS
@pytest.mark.parametrize("status", [200, 401])
def test_neither_records_nor_the_log_tell_what_was_sent(
    auth: AuthConfig, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    api = guarded({"/items": echo(status, lambda text: [{"id": 1, "text": text}])})
    session = Session(transport=api.transport())

    with caplog.at_level(logging.DEBUG), suppress(AuthError):
        read(session, plan_of(auth=auth))

    assert len(session.requests) == len(api.asked) + len(api.seen)
    assert_tells_nothing(f"{list(session.requests)} {list(session.failures)} {caplog.text}")


def test_a_token_that_the_api_puts_into_its_links_is_masked_in_the_page_and_the_record() -> None:
    def first(request: httpx.Request) -> httpx.Response:
        link = f"https://api.test/next?page=2&who={request.headers['authorization'][7:]}"
        return httpx.Response(200, json={"items": [{"id": 1}], "next": link})

    api = guarded({"/items": first, "/next": httpx.Response(200, json={"items": [{"id": 2}]})})
    session = Session(transport=api.transport())

    pages = read(session, plan_of(auth=BY_SECRET, pagination=LINKED))

    assert ids(pages) == [1, 2]
    assert api.paths[1] == f"/next?page=2&who={PREFIX}t1"
    assert_tells_nothing(f"{[page.url for page in pages]} {list(session.requests)}")


def test_what_a_session_remembers_tells_no_token_of_today() -> None:
    api = guarded()
    session = Session(transport=api.transport())
    read(session, plan_of(auth=BY_REFRESH))

    session.remember(ApikitError(f"{PREFIX}r0 {PREFIX}t1 {PREFIX}r1 {CLIENT_SECRET} {BASIC}"))

    assert_tells_nothing(str(session.errors[-1]))


@GRANTS
def test_what_is_printed_tells_no_secret(auth: AuthConfig) -> None:
    grants: list[Grant] = []

    def tokens_of(grant: Grant) -> Tokens:
        grants.append(grant)
        return Tokens(grant)

    credential = authenticator("api", auth, tokens_of)
    answer = {"access_token": f"{PREFIX}t1", "refresh_token": f"{PREFIX}r1"}
    token = read_token(httpx.Response(200, json=answer), 0)
    client = Client(guarded(), take_sync, auth)
    client.read()

    printed = [credential, *grants, token, auth, plan_of(auth=auth), client.access, *client.tokens, *client.records]

    assert_tells_nothing(" ".join(f"{each!r} {each!s}" for each in printed))


def test_a_sample_that_fails_tells_nothing() -> None:
    api = guarded({"/items": echo(500, message)})
    session = Session(transport=api.transport())

    with pytest.raises(ApikitError) as raised:
        session.sample(plan_of(auth=BY_SECRET), 1, Event())

    assert_tells_nothing(repr(raised.value))


@pytest.mark.parametrize("kind", ["bearer", "apikey", "basic"])
def test_an_api_that_repeats_the_header_makes_no_error_that_tells_the_secret(kind: str) -> None:
    secret = "s3cr3t-0f-mine"
    fields = {
        "bearer": {"token": secret},
        "apikey": {"api_key": secret},
        "basic": {"username": "u", "password": secret},
    }
    auth = AuthConfig.model_validate({"type": kind} | fields[kind])
    pair = base64.b64encode(f"u:{secret}".encode()).decode()
    transport = httpx.MockTransport(lambda request: httpx.Response(403, json={"message": str(dict(request.headers))}))
    session = Session(transport=transport)

    with pytest.raises(ApikitError) as raised:
        read(session, plan_of(auth=auth))

    assert secret not in str(raised.value)
    assert pair not in str(raised.value)


# --- where it goes


def sent_to(api: GuardedApi, host: str) -> str:
    return texts_of(request for request in [*api.seen, *api.asked] if request.url.host == host)


@TAKES
@GRANTS
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_to_an_allowed_origin_takes_no_token_along(take: Take, auth: AuthConfig, status: int) -> None:
    moved = httpx.Response(status, headers={"location": f"{CDN}/file"})
    api = guarded({"/items": moved, "/file": httpx.Response(200, json=[{"id": 7}])})

    assert Client(api, take, auth).read(allowed_origins=(CDN,)) == [7]
    assert [request.url.host for request in api.seen] == ["api.test", "cdn.test"]
    assert_tells_nothing(sent_to(api, "cdn.test"))
    assert "authorization" not in api.seen[1].headers


@TAKES
@GRANTS
def test_a_next_link_to_an_allowed_origin_takes_no_token_along(take: Take, auth: AuthConfig) -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": f"{CDN}/two"})
    api = guarded({"/items": first, "/two": httpx.Response(200, json={"items": [{"id": 2}]})})

    assert Client(api, take, auth).read(allowed_origins=(CDN,), pagination=LINKED) == [1, 2]
    assert_tells_nothing(sent_to(api, "cdn.test"))
    assert len(api.asked) == 1


@TAKES
def test_an_allowed_origin_that_refuses_is_not_asked_again_with_a_token(take: Take) -> None:
    moved = httpx.Response(302, headers={"location": f"{CDN}/file"})
    api = guarded({"/items": moved, "/file": httpx.Response(401)})

    with pytest.raises(RequestError, match=r"answered 401$"):
        Client(api, take, BY_SECRET).read(allowed_origins=(CDN,))

    assert len(api.asked) == 1
    assert len(api.seen) == 2


@TAKES
def test_a_redirect_that_puts_the_token_into_its_address_is_not_followed(take: Take) -> None:
    def moved(request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(302, headers={"location": f"{CDN}/file?who={token}"})

    api = guarded({"/items": moved, "/file": httpx.Response(200, json=[])})

    with pytest.raises(OriginError, match="carries the credential along"):
        Client(api, take, BY_SECRET).read(allowed_origins=(CDN,))

    assert [request.url.host for request in api.seen] == ["api.test"]


@GRANTS
def test_the_token_endpoint_is_sent_no_token_and_the_api_no_secret(auth: AuthConfig) -> None:
    api = guarded()
    client = Client(api, take_sync, auth)
    client.read()
    client.clock.now += 3600
    client.read()

    to_api, to_login = sent_to(api, "api.test"), sent_to(api, "login.test")

    assert len(api.asked) == 2
    assert [secret for secret in SECRETS if secret != PREFIX and secret in to_api] == []
    assert f"{PREFIX}r" not in to_api
    assert f"{PREFIX}t" not in to_login
    assert CLIENT_ID not in to_api


@TAKES
@pytest.mark.parametrize("allowed", [(), (LOGIN,)])
def test_a_next_link_to_the_token_endpoint_is_sent_neither(take: Take, allowed: tuple[str, ...]) -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": TOKEN_URL})
    api = guarded({"/items": first})
    api.refusals.extend([_token, httpx.Response(200, json={"items": []})])
    api.good.add(f"{PREFIX}t1")

    with suppress(OriginError):
        Client(api, take, BY_POST).read(allowed_origins=allowed, pagination=LINKED)

    assert len(api.asked) == 1 + len(allowed)
    assert_tells_nothing(texts_of(api.asked[1:]))


def _token(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"access_token": f"{PREFIX}t1"})
