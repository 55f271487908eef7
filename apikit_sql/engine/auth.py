"""A connector's auth as an httpx.Auth, and the one rule of where it may go: its own origin.

A new kind of auth takes, in `connector/manifest.py`: its name in `AuthConfig.type`, its fields, those of them that are
secrets in `SECRET_FIELDS` (else they are neither resolved nor masked), and what it cannot do without in `_is_whole`.
Here: a `case` in `_signer`, giving an `httpx.Auth` whose `auth_flow` yields the requests it needs.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import assert_never

import httpx
from pydantic import SecretStr

from apikit_sql.connector.manifest import SECRET_FIELDS, AuthConfig
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import is_reference, resolve


@dataclass(frozen=True)
class Credential:
    """A resolved auth: how it signs a request, what to call it, and the values that no text may show."""

    auth: httpx.Auth = field(repr=False)
    name: str
    secrets: tuple[str, ...] = field(repr=False)


class HeaderAuth(httpx.Auth):
    """A secret in one header."""

    def __init__(self, header: str, value: str) -> None:
        """Auth that sets `header`."""
        self._header, self._value = header, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its header."""
        request.headers[self._header] = self._value
        yield request


class QueryAuth(httpx.Auth):
    """A secret in one query parameter."""

    def __init__(self, param: str, value: str) -> None:
        """Auth that sets `param`."""
        self._param, self._value = param, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its parameter."""
        request.url = request.url.copy_set_param(self._param, self._value)
        yield request


ANONYMOUS = Credential(httpx.Auth(), "none", ())


def authenticator(connector: str, auth: AuthConfig) -> Credential:
    """The credential that `auth` describes, its references resolved; anonymous where it is optional and not there.

    Raises ConfigError that names the reference to set.
    """
    names = {name: value.get_secret_value() for name in SECRET_FIELDS if (value := _secret(auth, name)) is not None}
    found = {field: resolve(text) or None for field, text in names.items()}
    missing = [names[field] for field, value in found.items() if value is None]
    if missing and auth.optional:
        return ANONYMOUS
    if missing:
        what = missing[0] or "a secret"
        message = f"{connector}: {what} is not set. Set it, or leave this credential out to ask the API anonymously."
        raise ConfigError(message)
    values = {field: value for field, value in found.items() if value is not None}
    name = next((text for text in names.values() if is_reference(text)), auth.type)
    secrets = tuple(values.values())
    if auth.type == "basic":  # an API may echo what it was sent
        pair = f"{values['username']}:{values.get('password', '')}"
        secrets += (base64.b64encode(pair.encode()).decode(),)
    return Credential(_signer(connector, auth, values), name, secrets)


def _signer(connector: str, auth: AuthConfig, values: dict[str, str]) -> httpx.Auth:
    for value in values.values():
        if not value.isprintable() or value != value.strip():
            message = (
                f"{connector}: a secret has a line break, a control character or spaces around it. Store it without."
            )
            raise ConfigError(message)
    match auth.type:
        case "none":
            return httpx.Auth()
        case "bearer":
            return HeaderAuth("Authorization", f"{auth.prefix} {values['token']}".strip())
        case "apikey" if auth.api_key_query_param:
            return QueryAuth(auth.api_key_query_param, values["api_key"])
        case "apikey":
            return HeaderAuth(auth.api_key_header, values["api_key"])
        case "basic":
            return httpx.BasicAuth(values["username"], values.get("password", ""))
        case "oauth2":
            message = f"{connector}: auth of type 'oauth2' is not available in this version."
            raise ConfigError(message)
        case _:
            assert_never(auth.type)


def _secret(auth: AuthConfig, field: str) -> SecretStr | None:
    value = getattr(auth, field)
    return value if isinstance(value, SecretStr) else None
