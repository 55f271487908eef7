"""What a connector needs of its user: the variables of its URLs, and its secrets. What is missing is told by name."""

from __future__ import annotations

import os

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import SECRET_FIELDS
from apikit_sql.connector.template import fields_of, fill_base_url
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import is_stored


def with_settings(connector: ConnectorDefinition) -> ConnectorDefinition:
    """`connector` with the variables of its URLs filled from the environment or their defaults.

    Its `token_url` is a whole URL then. Raises ConfigError where one is missing.
    """
    token_url = connector.auth.token_url or ""
    if not token_url and "{" not in connector.base_url:
        return connector
    values = _values(connector)
    for url in (connector.base_url, token_url):
        for name in fields_of(url):
            if values.get(name) is None:
                message = f"{connector.name} needs the setting {name!r} for {url}: {_remedy(connector, name)}"
                raise ConfigError(message)
    base_url = fill_base_url(connector.name, connector.base_url, values)
    if not token_url:
        return connector.model_copy(update={"base_url": base_url})
    whole = base_url.rstrip("/") + token_url if token_url.startswith("/") else token_url
    auth = connector.auth.model_copy(update={"token_url": fill_base_url(connector.name, whole, values)})
    return connector.model_copy(update={"base_url": base_url, "auth": auth})


def missing_settings(connector: ConnectorDefinition) -> tuple[str, ...]:
    """What `connector` cannot do without and does not have: environment variables, `settings.NAME`, `keyring:NAME`."""
    values = _values(connector)
    wanted = [*fields_of(connector.base_url), *fields_of(connector.auth.token_url or "")]
    variables = [_source(connector, name) for name in dict.fromkeys(wanted) if values.get(name) is None]
    secrets = [getattr(connector.auth, field) for field in sorted(SECRET_FIELDS)]
    texts = [secret.get_secret_value() for secret in secrets if secret is not None]
    lacking = [] if connector.auth.optional else [text for text in texts if not is_stored(text)]
    return tuple(dict.fromkeys(variables + [text.removeprefix("env:") for text in lacking]))


def _values(connector: ConnectorDefinition) -> dict[str, str | None]:
    return {
        name: (os.environ.get(variable.env) if variable.env else None) or variable.default
        for name, variable in connector.variables.items()
    }


def _source(connector: ConnectorDefinition, name: str) -> str:
    """Where the variable `name` is looked for first."""
    variable = connector.variables.get(name)
    return variable.env if variable is not None and variable.env else f"settings.{name}"


def _remedy(connector: ConnectorDefinition, name: str) -> str:
    variable = connector.variables.get(name)
    setting = f"settings.{name} in the config file ([connectors.NAME], extends = {connector.name!r})"
    return f"set {variable.env}, or {setting}." if variable is not None and variable.env else f"say {setting}."
