"""An API behind access tokens with the endpoint that issues them, who scans it, and a keyring in memory."""

import base64
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.oauth2 import Grant
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.tokens import Tokens
from apikit_sql.engine.trip import trip
from tests.engine.taking import Clock, Take, ids, plan_of
from tests.fakes.api import Answer, FakeApi, Table

LOGIN = "https://login.test"
TOKEN_URL = f"{LOGIN}/oauth/token"
INVALID_CLIENT = httpx.Response(401, json={"error": "invalid_client", "error_description": "no such client"})
INVALID_GRANT = httpx.Response(400, json={"error": "invalid_grant"})


def oauth(**fields: Any) -> AuthConfig:
    """OAuth 2.0 by the fake token endpoint; with the client's own credentials unless `fields` say otherwise."""
    known = {"type": "oauth2", "token_url": TOKEN_URL, "client_id": "shop", "client_secret": "s3cr3t-of-shop"}
    return AuthConfig.model_validate(known | fields)


class GuardedApi(FakeApi):
    """The fake API for those who bring a token that is good. `seen` are its requests, `asked` those for tokens.

    Tokens are called t1, t2, ... after `prefix`; with `rotates`, each comes with a new refresh token r1, r2, ... that
    takes the place of `refresh_token`. `refusals` are given, one each, before any token.
    """

    def __init__(
        self,
        routes: Mapping[str, Answer | Table | list[Answer]] | None = None,
        *,
        expires_in: object = 3600,
        prefix: str = "",
        rotates: bool = False,
    ) -> None:
        super().__init__({"/items": Table([{"id": 1}]), **(routes or {})})
        self.asked: list[httpx.Request] = []
        self.refusals: deque[Answer | Exception] = deque()
        self.good: set[str] = set()
        self.issued: list[str] = []
        self.refresh_token = f"{prefix}r0"
        self._expires_in = expires_in
        self._prefix = prefix
        self._rotates = rotates
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request = _as_sent(request)
        if str(request.url) == TOKEN_URL:
            with self._lock:
                self.asked.append(request)
                return self._refuse(request) if self.refusals else self._issue(form_of(request))
        is_at_home = request.url.host == "api.test"
        if is_at_home and bearer_of(request) not in self.good:
            self.seen.append(request)
            return httpx.Response(401, json={"message": "Bad credentials"})
        return super().__call__(request)

    def revoke(self) -> None:
        """No token that was issued so far is good any more."""
        self.good.clear()

    @property
    def bearers(self) -> list[str]:
        """The token that each request brought."""
        return [bearer_of(request) for request in self.seen]

    @property
    def refreshed_with(self) -> list[str | None]:
        """The refresh token that each request for a token brought."""
        return [form_of(request).get("refresh_token") for request in self.asked]

    def _refuse(self, request: httpx.Request) -> httpx.Response:
        refusal = self.refusals.popleft()
        if isinstance(refusal, Exception):
            raise refusal
        return refusal(request) if callable(refusal) else refusal

    def _issue(self, form: Mapping[str, str]) -> httpx.Response:
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh_token:
            return INVALID_GRANT
        number = len(self.issued) + 1
        self.issued.append(f"{self._prefix}t{number}")
        self.good.add(self.issued[-1])
        told = {"access_token": self.issued[-1], "token_type": "Bearer"}
        if self._expires_in is not None:
            told["expires_in"] = self._expires_in  # type: ignore[assignment]
        if self._rotates:
            told["refresh_token"] = self.refresh_token = f"{self._prefix}r{number}"
        return httpx.Response(200, json=told)


class Client:
    """Scans a guarded API again and again, on one set of tokens, by a clock that only moves when it is told."""

    def __init__(self, api: GuardedApi, take: Take, auth: AuthConfig | None = None, *, name: str = "api") -> None:
        self.clock = Clock()
        self.records: list[RequestRecord] = []
        self._api = api
        self._take = take
        self._auth = oauth() if auth is None else auth
        self._name = name
        self.tokens: list[Tokens] = []
        credential = authenticator(name, self._auth, self._tokens_of)
        self.access = Access(credential, RateLimitState(clock=self.clock), self.records.append, self.clock)

    def read(self, path: str = "/items", **plan: Any) -> list[int]:
        """The `id` of each record."""
        wanted = plan_of(path, auth=self._auth, connector=self._name, **plan)
        return ids(self._take(trip(wanted, self.access), self._api))

    def _tokens_of(self, grant: Grant) -> Tokens:
        self.tokens.append(Tokens(grant, self.clock))
        return self.tokens[-1]


class MemoryKeyring(KeyringBackend):
    """A keyring that is gone with its test: service and name -> secret. Without a priority it is never chosen."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stored: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.stored.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.stored[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.stored.pop((service, username), None) is None:
            raise PasswordDeleteError(username)


def _as_sent(request: httpx.Request) -> httpx.Request:
    """What came over the wire: whoever sent it may change their own and send it again."""
    return httpx.Request(request.method, request.url, headers=request.headers, content=request.content)


def bearer_of(request: httpx.Request) -> str:
    """The token of a request; `` where it brings none."""
    return str(request.headers.get("authorization", "")).removeprefix("Bearer ")


def form_of(request: httpx.Request) -> dict[str, str]:
    """The fields of a form, each of which stands there once."""
    pairs = parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=True)
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def basic_of(request: httpx.Request) -> str:
    """What stands in Base64 behind `Basic`."""
    scheme, _, text = request.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(text, validate=True).decode("ascii")


def texts_of(requests: Iterable[httpx.Request]) -> str:
    """All that requests carry, as one text."""
    return "\n".join(f"{each.method} {each.url} {dict(each.headers)} {each.content!r}" for each in requests)
