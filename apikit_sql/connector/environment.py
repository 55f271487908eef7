"""The connector `env`: one API described by environment variables alone, as twelve-factor deployments have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apikit_sql.connector.findings import check
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.errors import ConfigError

#: The name under which it is called.
NAME = "env"
#: Where each number of the environment goes in the manifest, and what it is where the environment does not say.
_NUMBERS = {
    "MAX_RETRIES": ("retry", "max_attempts", "3"),
    "BACKOFF_FACTOR": ("retry", "min_wait", "1.0"),
    "CONCURRENCY_LIMIT": ("", "concurrency", "10"),
    "RATE_THRESHOLD": ("rate_limit", "warn_above", "100"),
}


def is_described(environ: Mapping[str, str]) -> bool:
    """Whether the environment describes an API."""
    return bool(_base_url(environ))


def connector_of(environ: Mapping[str, str]) -> ConnectorDefinition:
    """The connector that `environ` describes. Its secrets stay where they are: it refers to them.

    `API_BASE_URL` (or `BASE_URL`); `CLIENT_ID` and `CLIENT_SECRET` with `TOKEN_PATH` (`/oauth2/token`) for OAuth2, else
    `APIKIT_TOKEN` for a bearer token, else `APIKIT_API_KEY`; and the numbers. Raises ConfigError that names the
    variable.
    """
    if not is_described(environ):
        message = "the connector 'env' needs API_BASE_URL, the base URL of the API. Set it."
        raise ConfigError(message)
    settings: dict[str, Any] = {"name": NAME, "base_url": _base_url(environ), "auth": _auth(environ)}
    for variable, (place, name, default) in _NUMBERS.items():
        value = environ.get(variable) or default
        (settings.setdefault(place, {}) if place else settings)[name] = value
    connector, found = check(settings)
    if connector is None or found:
        where = {"base_url": "API_BASE_URL", "auth.token_url": "TOKEN_PATH"}
        where |= {f"{place}.{name}".lstrip("."): variable for variable, (place, name, _) in _NUMBERS.items()}
        message = "the connector 'env': " + "; ".join(
            f"{where.get(each.key, each.key)}: {each.message}" for each in found
        )
        raise ConfigError(message)
    return connector


def _base_url(environ: Mapping[str, str]) -> str:
    return environ.get("API_BASE_URL") or environ.get("BASE_URL") or ""


def _auth(environ: Mapping[str, str]) -> dict[str, str]:
    if bool(environ.get("CLIENT_ID")) != bool(environ.get("CLIENT_SECRET")):
        message = "the connector 'env': of CLIENT_ID and CLIENT_SECRET only one is set. OAuth2 needs both."
        raise ConfigError(message)
    if environ.get("CLIENT_ID"):
        path = environ.get("TOKEN_PATH") or "/oauth2/token"
        return {"type": "oauth2", "client_id": "env:CLIENT_ID", "client_secret": "env:CLIENT_SECRET", "token_url": path}
    if environ.get("APIKIT_TOKEN"):
        return {"type": "bearer", "token": "env:APIKIT_TOKEN"}
    if environ.get("APIKIT_API_KEY"):
        return {"type": "apikey", "api_key": "env:APIKIT_API_KEY"}
    return {"type": "none"}
