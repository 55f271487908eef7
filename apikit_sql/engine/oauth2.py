"""What is asked of a token endpoint, and what its answers mean (RFC 6749). Pure: grants in, requests and tokens out."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote_plus, urlencode

import httpx

from apikit_sql.errors import AuthError

#: The extension of a request whose answer no recording may have.
UNRECORDED = "apikit_unrecorded"
#: The extension of a request whose answer cannot be had again: a refresh token is good once.
MUST_FINISH = "apikit_must_finish"

_LONGEST_REASON = 200  # characters of a server's own words
_BEARERS = frozenset({"bearer", "application access token", "user access token"})  # the latter two are eBay's words
_REFUSALS = frozenset({400, 401})  # RFC 6749, section 5.2


@dataclass(frozen=True)
class Grant:
    """How tokens are asked for: with a refresh token where there is one, else with the client's own credentials."""

    connector: str
    token_url: str
    client_id: str = field(repr=False)
    client_secret: str | None = field(repr=False)
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    refresh_token: str | None = field(default=None, repr=False)
    kept_as: str = ""  # the keyring's name for the refresh token that has taken this one's place


@dataclass(frozen=True)
class Token:
    """An access token. `expires_at` is in epoch seconds, None where the server did not say."""

    access_token: str = field(repr=False)
    expires_at: float | None
    refresh_token: str | None = field(default=None, repr=False)


def token_request(grant: Grant, refresh_token: str | None) -> httpx.Request:
    """The request for a token (RFC 6749, sections 4.4.2 and 6), the client authenticated as section 2.3.1 says."""
    form: list[tuple[str, str]] = [("grant_type", "client_credentials")]
    if refresh_token is not None:
        form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)]
    if grant.scopes:
        form.append(("scope", " ".join(grant.scopes)))
    if grant.audience:
        form.append(("audience", grant.audience))
    headers = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "apikit_sql",
    }
    if grant.client_secret is None:
        form.append(("client_id", grant.client_id))
    elif grant.client_auth == "client_secret_post":
        form += [("client_id", grant.client_id), ("client_secret", grant.client_secret)]
    else:
        headers["authorization"] = f"Basic {basic_pair(quote_plus(grant.client_id), quote_plus(grant.client_secret))}"
    extensions = {UNRECORDED: True, MUST_FINISH: refresh_token is not None}
    return httpx.Request(
        "POST",
        grant.token_url,
        headers=headers,
        content=urlencode(form).encode(),
        extensions=extensions,
    )


def basic_pair(username: str, password: str) -> str:
    """What stands behind `Basic` (RFC 7617)."""
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def read_token(response: httpx.Response, now: float, hide: Callable[[str], str] = str) -> Token:
    """The token that `response` brings at `now`, in epoch seconds (RFC 6749, section 5.1).

    Raises AuthError with the code of section 5.2 where it brings an error, or none that can be used. A form-encoded
    answer, as some servers send, is read too; `expires_in` that is no number of seconds is as if it were absent. `hide`
    masks what the server's own words may not tell.
    """
    answer, status = _fields(response), response.status_code
    code = answer.get("error")
    if code is not None or status in _REFUSALS:
        code, words = _printable(code, hide), _printable(answer.get("error_description"), hide)
        message = f"{status}: {code or 'no error code'}" + (f" ({words})" if words else "")
        raise AuthError(message, status=status, code=code)
    token, kind, rotated = answer.get("access_token"), answer.get("token_type"), answer.get("refresh_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        message = f"{status} without an access_token that a header can carry"
        raise AuthError(message, status=status)
    if kind is not None and _printable(kind).lower() not in _BEARERS:
        message = f"{status} with a token of type {_printable(kind, hide)!r}, not a bearer token"
        raise AuthError(message, status=status)
    life = _seconds(answer.get("expires_in"))
    return Token(token, None if life is None else now + life, rotated if isinstance(rotated, str) and rotated else None)


def _fields(response: httpx.Response) -> Mapping[str, object]:
    """What the body tells by name, whether it is JSON or a form; nothing where it is neither."""
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        text = response.content.decode(errors="replace")
        found = dict(parse_qsl(text)) if "=" in text and "<" not in text else {}
    return found if isinstance(found, dict) else {}


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def _printable(value: object, hide: Callable[[str], str] = str) -> str:
    """A text of the server's on one line; `` for what is no text, which might hold anything."""
    text = hide(value) if isinstance(value, str) else ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_REASON]


def secrets_of(grant: Grant) -> Iterable[str]:
    """The values of `grant` that no text may show, as they are and as they are sent."""
    yield from (value for value in (grant.client_secret, grant.refresh_token) if value)
    if grant.client_secret:
        yield basic_pair(quote_plus(grant.client_id), quote_plus(grant.client_secret))
