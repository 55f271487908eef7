"""A connector's auth as what signs its requests, and the one rule of where that may go: its own origin.

A new kind of auth takes, in `connector/manifest.py`: its name in `AuthConfig.type`, its fields, those of them that are
secrets in `SECRET_FIELDS` (else they are neither resolved nor masked), and what it cannot do without in `_is_whole`.
Here: a `case` in `_signer`, which changes a request that is about to be sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

import httpx
from pydantic import SecretStr

from apikit_sql.connector.protocol import SECRET_FIELDS, AuthConfig
from apikit_sql.engine.oauth2 import Grant, basic_pair, secrets_of
from apikit_sql.engine.steps import Steps
from apikit_sql.engine.tokens import Ask, Tokens
from apikit_sql.errors import ConfigError
from apikit_sql.redaction import MASK, redact
from apikit_sql.secrets import is_reference, resolve

_REFUSED = 401


@dataclass(frozen=True)
class Credential:
    """A resolved auth: how it signs a request, what to call it, and the values that no text may show.

    It signs with `sign`, or with the newest of `tokens`. `others` are secrets that are sent beside it.
    """

    sign: Callable[[httpx.Request], None] = field(repr=False)
    name: str
    values: tuple[str, ...] = field(repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    prefix: str = "Bearer"
    others: tuple[str, ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no text may show, those of today's tokens among them."""
        return self.values + self.others + (() if self.tokens is None else self.tokens.secrets)

    def hide(self, text: str) -> str:
        """`text` without the credential."""
        return redact(text, self.secrets)

    @property
    def mark(self) -> str:
        """What tells this credential from others, and nothing of what it is; `` for none."""
        identity = self.values if self.tokens is None else self.tokens.identity
        if not identity:
            return ""
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def answer(self, request: httpx.Request, send: Ask, ask: Ask, *, sends_again: bool = True) -> Steps[httpx.Response]:
        """The answer to `request`, signed and sent by `send`. A token that is refused is renewed once, by `ask`.

        With the new one the request is sent once more, unless the caller says otherwise.
        """
        if self.tokens is None:
            self.sign(request)
            return (yield from send(request))
        token = yield from self.tokens.access_token(ask)
        request.headers["Authorization"] = f"{self.prefix} {token}".strip()
        response = yield from send(request)
        if response.status_code != _REFUSED:
            return response
        token = yield from self.tokens.access_token(ask, refused=token)
        if not sends_again:
            return response
        request.headers["Authorization"] = f"{self.prefix} {token}".strip()
        return (yield from send(request))


ANONYMOUS = Credential(lambda _: None, "none", ())


def authenticator(connector: str, auth: AuthConfig, tokens_of: Callable[[Grant], Tokens] = Tokens) -> Credential:
    """The credential that `auth` describes, its references resolved; anonymous where it is optional and not there.

    `tokens_of` gives the tokens that all callers with the same grant share. Raises ConfigError that names the
    reference to set.
    """
    names = {name: value.get_secret_value() for name in SECRET_FIELDS if (value := _secret(auth, name)) is not None}
    found = {field: resolve(text) or None for field, text in names.items()}
    missing = [names[field] for field, value in found.items() if value is None]
    if missing and auth.optional:
        return replace(ANONYMOUS, name=missing[0])
    if missing:
        what = missing[0] or "a secret"
        else_ = ", or in Python say token='...'" if auth.type in {"bearer", "apikey"} else ""
        message = f"{connector}: {what} is not set. Set it{else_}."
        raise ConfigError(message)
    values = {field: value for field, value in found.items() if value is not None}
    _check(connector, values)
    name = name_of(auth)
    if auth.type == "oauth2":
        grant = _grant(connector, auth, values, names)
        return Credential(ANONYMOUS.sign, name, tuple(secrets_of(grant)), tokens_of(grant), auth.prefix)
    secrets = tuple(values.values())
    if auth.type == "basic":
        name_is_secret = "password" not in values  # else it is a name, which stands in paths and records
        secrets = tuple(value for field, value in values.items() if field != "username" or name_is_secret)
        secrets += (basic_pair(values["username"], values.get("password", "")),)  # an API may echo what it was sent
    return Credential(_signer(auth, values), name, secrets)


def name_of(auth: AuthConfig) -> str:
    """What to call a credential: the first reference in it, or its type."""
    texts = (value.get_secret_value() for name in SECRET_FIELDS if (value := _secret(auth, name)) is not None)
    return next((text for text in texts if is_reference(text)), auth.type)


def masked(auth: AuthConfig) -> AuthConfig:
    """`auth` with a mask for each of its secrets."""
    given = (name for name in SECRET_FIELDS if _secret(auth, name) is not None)
    return auth.model_copy(update={name: SecretStr(MASK) for name in given})


def known_secrets(auth: AuthConfig) -> tuple[str, ...]:
    """The secrets of `auth` that are at hand: those in it, and those of the environment. A keyring is not asked."""
    texts = (value.get_secret_value() for name in SECRET_FIELDS if (value := _secret(auth, name)) is not None)
    return tuple(found for text in texts if not text.startswith("keyring:") and (found := resolve(text)))


def _check(connector: str, values: dict[str, str]) -> None:
    for value in values.values():
        if not value.isprintable() or value != value.strip():
            message = (
                f"{connector}: a secret has a line break, a control character or spaces around it. Store it without."
            )
            raise ConfigError(message)


def _signer(auth: AuthConfig, values: dict[str, str]) -> Callable[[httpx.Request], None]:
    match auth.type:
        case "none" | "oauth2":
            return ANONYMOUS.sign
        case "bearer":
            return _in_header("Authorization", f"{auth.prefix} {values['token']}".strip())
        case "apikey" if auth.api_key_query_param:
            return _in_query(auth.api_key_query_param, values["api_key"])
        case "apikey":
            return _in_header(auth.api_key_header, values["api_key"])
        case "basic":
            return _in_header("Authorization", f"Basic {basic_pair(values['username'], values.get('password', ''))}")
        case _:
            assert_never(auth.type)


def _in_header(name: str, value: str) -> Callable[[httpx.Request], None]:
    def sign(request: httpx.Request) -> None:
        request.headers[name] = value

    return sign


def _in_query(param: str, value: str) -> Callable[[httpx.Request], None]:
    def sign(request: httpx.Request) -> None:
        request.url = request.url.copy_set_param(param, value)

    return sign


def _grant(connector: str, auth: AuthConfig, values: dict[str, str], names: dict[str, str]) -> Grant:
    """How tokens are asked for. A rotated refresh token takes the place of the reference, or of the secret it was."""
    assert auth.token_url is not None  # noqa: S101 - the model refuses it
    given, reference = values.get("refresh_token", ""), names.get("refresh_token", "")
    kept_as = f"{connector}.refresh_token.{hashlib.sha256(given.encode()).hexdigest()[:16]}"
    return Grant(
        connector=connector,
        token_url=auth.token_url,
        client_id=values["client_id"],
        client_secret=values.get("client_secret"),
        scopes=auth.scopes,
        audience=auth.audience,
        client_auth=auth.client_auth,
        refresh_token=values.get("refresh_token"),
        kept_as=reference.removeprefix("keyring:") if reference.startswith("keyring:") else kept_as,
    )


def _secret(auth: AuthConfig, field: str) -> SecretStr | None:
    value = getattr(auth, field)
    return value if isinstance(value, SecretStr) else None
