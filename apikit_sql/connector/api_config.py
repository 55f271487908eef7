"""ApiConfig: an API as Python code describes it, without a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, model_validator

from apikit_sql.connector.findings import findings_of
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.errors import ConfigError

#: The kind of auth that takes a secret, and that it alone means.
_TAKES = {"token": "bearer", "api_key": "apikey", "username": "basic", "password": "basic"}


class ApiConfig(ConnectorDefinition):
    """A connector whose name is its host's unless given. `auth` may hold secrets themselves, or references to them."""

    name: str = ""

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not self.name:
            object.__setattr__(self, "name", urlsplit(self.base_url).netloc)
        return self


def api_config(settings: Mapping[str, Any]) -> ApiConfig:
    """The API of these settings. Raises ConfigError that names every one that is wrong, and no secret."""
    try:
        return ApiConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{each.key}: {each.message}" for each in findings_of(error))) from None


def as_connector(config: object) -> ConnectorDefinition:
    """The connector that `config` is, or whose settings it has. Raises ConfigError where it is neither."""
    if isinstance(config, ConnectorDefinition):
        return config
    if isinstance(config, Mapping):
        return api_config(config)
    message = f"a {type(config).__name__} describes no API: give an ApiConfig, or a dict of its settings."
    raise ConfigError(message)


def auth_of(kind: str | AuthConfig | None, secrets: Mapping[str, Any]) -> AuthConfig | dict[str, Any]:
    """What `auth` is with these secrets: of the `kind` given, else of the one that they mean alone."""
    given = {name: value for name, value in secrets.items() if value is not None}
    if isinstance(kind, AuthConfig):
        if given:
            message = f"{min(given)}: the AuthConfig has the secrets; say it there."
            raise ConfigError(message)
        return kind
    meant = next((each for name, each in _TAKES.items() if name in given), "none")
    chosen = meant if kind is None else kind
    others = [name for name in given if _TAKES[name] != chosen]
    if others and chosen in _TAKES.values():
        message = f"{others[0]}: auth of type {chosen!r} does not use it. Give the secrets of one type."
        raise ConfigError(message)
    return {"type": chosen, **given}


def with_token(connector: ConnectorDefinition, token: str) -> ConnectorDefinition:
    """The `connector` with `token` in the place of its own. Raises ConfigError where it takes something else."""
    auth = connector.auth
    match auth.type:
        case "none":
            changes: dict[str, Any] = {"type": "bearer", "token": SecretStr(token)}
        case "bearer":
            changes = {"token": SecretStr(token)}
        case "apikey":
            changes = {"api_key": SecretStr(token)}
        case other:
            message = (
                f"{connector.name} has auth of type {other!r}, which a token is not. Extend it in the config file."
            )
            raise ConfigError(message)
    return connector.model_copy(update={"auth": auth.model_copy(update=changes)})
