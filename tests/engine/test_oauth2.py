"""Access tokens: how they are asked for, how long one is used, and what becomes of those who get none (RFC 6749)."""

import base64
import logging
from contextlib import suppress
from urllib.parse import unquote_plus

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig, RetryConfig
from apikit_sql.errors import AuthError, RateLimitError, RequestError
from tests.engine.taking import BOTH, Take, numbered, take_sync
from tests.fakes.api import Table
from tests.fakes.tokens import INVALID_CLIENT, TOKEN_URL, Client, GuardedApi, basic_of, form_of, oauth

TAKES = pytest.mark.parametrize("take", BOTH)
LINKED = PaginationConfig(strategy="link")
DOWN = [httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.Response(503), httpx.Response(500)]


# --- what is asked


@TAKES
def test_the_first_use_asks_for_a_token_and_the_next_ones_do_not(take: Take) -> None:
    api = GuardedApi()
    client = Client(api, take)
    assert api.asked == []

    found = [client.read() for _ in range(3)]

    assert found == [[1], [1], [1]]
    assert api.bearers == ["t1", "t1", "t1"]
    assert len(api.asked) == 1


def test_a_token_is_asked_for_as_rfc_6749_says() -> None:
    api = GuardedApi()

    Client(api, take_sync).read()

    (asked,) = api.asked
    assert (asked.method, str(asked.url)) == ("POST", TOKEN_URL)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/json"
    assert int(asked.headers["content-length"]) == len(asked.content)
    assert form_of(asked) == {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("client_id", "client_secret", "pair"),
    [
        ("shop", "s3cr3t", "shop:s3cr3t"),
        ("a:b", "c:d", "a%3Ab:c%3Ad"),
        ("50%", "1+1=2", "50%25:1%2B1%3D2"),
        ("Jürgen", "grün ß", "J%C3%BCrgen:gr%C3%BCn+%C3%9F"),
        ("https://shop.test/?a=b&c", "%3A", "https%3A%2F%2Fshop.test%2F%3Fa%3Db%26c:%253A"),
    ],
)
def test_basic_auth_carries_id_and_secret_form_urlencoded(client_id: str, client_secret: str, pair: str) -> None:
    # RFC 6749, section 2.3.1: encoded as in its appendix B, then as the user name and password of RFC 7617
    api = GuardedApi()

    Client(api, take_sync, oauth(client_id=client_id, client_secret=client_secret)).read()

    (asked,) = api.asked
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(pair.encode()).decode()
    assert [unquote_plus(part) for part in basic_of(asked).split(":")] == [client_id, client_secret]
    assert set(form_of(asked)) == {"grant_type"}


@pytest.mark.parametrize("client_secret", ["s3cr3t", "c:d", "1+1=2&x=%41", "grün ß"])
def test_post_auth_carries_id_and_secret_in_the_form_only(client_secret: str) -> None:
    api = GuardedApi()

    Client(api, take_sync, oauth(client_auth="client_secret_post", client_secret=client_secret)).read()

    (asked,) = api.asked
    assert "authorization" not in asked.headers
    assert form_of(asked) == {
        "grant_type": "client_credentials",
        "client_id": "shop",
        "client_secret": client_secret,
    }


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_scopes_and_audience_are_asked_for(client_auth: str) -> None:
    api = GuardedApi()
    auth = oauth(scopes=["read:items", "öffentlich"], audience="https://api.test/?a&b", client_auth=client_auth)

    Client(api, take_sync, auth).read()

    form = form_of(api.asked[0])
    assert form["scope"] == "read:items öffentlich"
    assert form["audience"] == "https://api.test/?a&b"


@pytest.mark.parametrize(("prefix", "header"), [("Bearer", "Bearer t1"), ("Token", "Token t1"), ("", "t1")])
def test_the_token_stands_behind_its_prefix(prefix: str, header: str) -> None:
    api = GuardedApi()

    with suppress(AuthError):  # the fake takes bearers only
        Client(api, take_sync, oauth(prefix=prefix)).read()

    assert api.seen[0].headers["authorization"] == header


# --- how long a token is used


@TAKES
@pytest.mark.parametrize(
    ("expires_in", "renewed_after"),
    [(3600, 3570), (86_400, 86_370), ("3600", 3570), (300, 270), (290, 261), (200, 180), (60, 54), (10, 9)],
)
def test_a_token_is_renewed_before_it_expires(take: Take, expires_in: object, renewed_after: float) -> None:
    # 30 s before; a tenth of its life before, where that is less than 5 minutes
    api = GuardedApi(expires_in=expires_in)
    client = Client(api, take)
    client.read()

    client.clock.now += renewed_after - 0.5
    client.read()
    assert api.bearers == ["t1", "t1"]

    client.clock.now += 0.5
    client.read()
    assert api.bearers == ["t1", "t1", "t2"]
    assert len(api.asked) == 2


def test_a_renewed_token_has_a_whole_life_again() -> None:
    api = GuardedApi(expires_in=3600)
    client = Client(api, take_sync)

    for _ in range(4):
        client.read()
        client.clock.now += 3569.5
        client.read()
        client.clock.now += 0.5

    assert api.bearers == ["t1", "t1", "t2", "t2", "t3", "t3", "t4", "t4"]


def test_an_expired_token_is_not_sent_any_more() -> None:
    api = GuardedApi(expires_in=3600)
    client = Client(api, take_sync)
    client.read()

    client.clock.now += 10_000
    client.read()

    assert api.bearers == ["t1", "t2"]


@TAKES
def test_a_token_that_tells_no_end_is_used_until_it_is_refused(take: Take) -> None:
    api = GuardedApi(expires_in=None)
    client = Client(api, take)
    client.read()

    client.clock.now += 10 * 365 * 86_400
    client.read()
    assert len(api.asked) == 1

    api.revoke()
    assert client.read() == [1]
    assert api.bearers == ["t1", "t1", "t1", "t2"]


@TAKES
def test_a_refused_token_is_renewed_once_and_the_same_page_is_asked_for_again(take: Take) -> None:
    table = Table(numbered(6), "link", page_size=2)
    api = GuardedApi({"/items": table})
    api.trouble.extend([table.answer, httpx.Response(401)])

    found = Client(api, take).read(pagination=LINKED)

    assert found == [1, 2, 3, 4, 5, 6]
    assert api.paths == ["/items", "/items?page=2", "/items?page=2", "/items?page=3"]
    assert api.bearers == ["t1", "t1", "t2", "t2"]
    assert len(api.asked) == 2


@TAKES
def test_a_token_that_is_refused_when_it_is_new_is_an_error(take: Take) -> None:
    api = GuardedApi()
    api.trouble.extend([httpx.Response(401, json={"message": "Bad credentials"})] * 2)

    with pytest.raises(AuthError, match=r"^api: GET /items answered 401 \(Bad credentials\).*was refused") as raised:
        Client(api, take).read()

    assert (raised.value.status, raised.value.code) == (401, "")
    assert api.bearers == ["t1", "t2"]
    assert len(api.asked) == 2


def test_a_token_that_was_refused_once_leaves_the_next_scan_another_try() -> None:
    api = GuardedApi()
    api.trouble.extend([httpx.Response(401)] * 2)
    client = Client(api, take_sync)
    with pytest.raises(AuthError):
        client.read()

    assert client.read() == [1]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_no_other_status_renews_a_token(status: int) -> None:
    api = GuardedApi({"/items": httpx.Response(status)})

    with pytest.raises(RequestError):
        Client(api, take_sync).read()

    assert len(api.asked) == 1


def test_a_page_that_is_tried_again_asks_for_no_other_token() -> None:
    api = GuardedApi()
    api.trouble.extend([httpx.Response(503), httpx.ReadError("reset")])

    assert Client(api, take_sync).read() == [1]
    assert api.bearers == ["t1", "t1", "t1"]
    assert len(api.asked) == 1


# --- no token


@TAKES
def test_a_client_that_is_refused_is_told_in_the_servers_words(take: Take) -> None:
    api = GuardedApi()
    api.refusals.append(INVALID_CLIENT)

    with pytest.raises(AuthError, match=r"^api: POST .*/oauth/token answered 401: invalid_client \(no such") as raised:
        Client(api, take).read()

    assert (raised.value.code, raised.value.status, raised.value.url) == ("invalid_client", 401, TOKEN_URL)
    assert api.seen == []


@TAKES
def test_a_client_that_is_refused_asks_no_more_for_a_minute(take: Take) -> None:
    api = GuardedApi()
    api.refusals.append(INVALID_CLIENT)
    client = Client(api, take)
    messages = []

    for waited in (0, 30, 29.5):
        client.clock.now += waited
        with pytest.raises(AuthError) as raised:
            client.read()
        messages.append((str(raised.value), raised.value.code))
    assert len(api.asked) == 1
    assert len(set(messages)) == 1

    client.clock.now += 0.5
    assert client.read() == [1]
    assert len(api.asked) == 2


@TAKES
@pytest.mark.parametrize("trouble", DOWN, ids=lambda each: type(each).__name__)
def test_a_token_endpoint_that_is_down_is_asked_again(take: Take, trouble: httpx.Response | Exception) -> None:
    api = GuardedApi()
    api.refusals.extend([trouble, trouble])

    assert Client(api, take).read() == [1]
    assert len(api.asked) == 3
    assert len(api.seen) == 1


@TAKES
@pytest.mark.parametrize("trouble", DOWN, ids=lambda each: type(each).__name__)
def test_a_token_endpoint_that_stays_down_is_an_error_that_names_it(
    take: Take, trouble: httpx.Response | Exception
) -> None:
    api = GuardedApi()
    api.refusals.extend([trouble] * 20)
    client = Client(api, take)

    with pytest.raises(RequestError, match=r"^api: POST .*/oauth/token") as raised:
        client.read()

    assert not isinstance(raised.value, AuthError)
    assert raised.value.status == (trouble.status_code if isinstance(trouble, httpx.Response) else None)
    assert len(api.asked) == 3
    assert api.seen == []


def test_a_token_endpoint_that_was_down_is_asked_by_the_next_scan() -> None:
    api = GuardedApi()
    api.refusals.extend([httpx.Response(503)] * 3)
    client = Client(api, take_sync)
    with pytest.raises(RequestError):
        client.read()

    assert client.read() == [1]


def test_a_token_endpoint_that_asks_for_too_long_a_wait_is_a_limit() -> None:
    api = GuardedApi()
    api.refusals.append(httpx.Response(429, headers={"retry-after": "61"}))

    with pytest.raises(
        RateLimitError, match=r"^api: POST .*/oauth/token is to wait 61 s, longer than max_wait = 60 s"
    ) as told:
        Client(api, take_sync).read(retry=RetryConfig())

    assert told.value.retry_after == 61


@TAKES
@pytest.mark.parametrize("trouble", [*DOWN, INVALID_CLIENT], ids=lambda each: type(each).__name__)
def test_a_renewal_ahead_that_fails_goes_on_with_the_old_token(
    take: Take, trouble: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api = GuardedApi(expires_in=3600)
    client = Client(api, take)
    client.read()
    api.refusals.extend([trouble] * 20)

    client.clock.now += 3570
    with caplog.at_level(logging.WARNING, logger="apikit"):
        found = client.read()
    client.clock.now += 29.5
    again = client.read()

    assert (found, again) == ([1], [1])
    assert api.bearers == ["t1", "t1", "t1"]
    assert "api: the token could not be renewed" in caplog.text

    client.clock.now += 0.5
    with pytest.raises(RequestError, match=r"api: POST .*/oauth/token"):
        client.read()
    assert len(api.seen) == 3


def test_a_refusal_is_remembered_while_the_old_token_is_used_up() -> None:
    api = GuardedApi(expires_in=3600)
    client = Client(api, take_sync)
    client.read()
    api.refusals.append(INVALID_CLIENT)
    client.clock.now += 3570

    for _ in range(3):
        client.read()

    assert len(api.asked) == 2


@TAKES
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://evil.test/token", "/oauth/elsewhere", TOKEN_URL])
def test_a_redirect_of_the_token_endpoint_is_not_followed(take: Take, status: int, to: str) -> None:
    api = GuardedApi()
    api.refusals.extend([httpx.Response(status, headers={"location": to})] * 5)

    with pytest.raises(RequestError, match=f"^api: POST .*/oauth/token answered {status}") as raised:
        Client(api, take).read()

    assert not isinstance(raised.value, AuthError)
    assert len(api.asked) == 1
    assert api.seen == []


def test_a_limit_of_the_token_endpoint_is_a_rate_limit_error_for_every_trip() -> None:
    api = GuardedApi()
    api.refusals.extend([httpx.Response(429)] * 3)

    with pytest.raises(RateLimitError, match="its limit is used up") as raised:
        Client(api, take_sync).read()

    assert raised.value.is_everywhere
    assert raised.value.status == 429


def test_a_token_endpoint_that_has_moved_ends_every_trip_too() -> None:
    api = GuardedApi()
    api.refusals.append(httpx.Response(404))

    with pytest.raises(RequestError, match=r"Check auth\.token_url") as raised:
        Client(api, take_sync).read()

    assert raised.value.is_everywhere
