"""The user's config file: where it is, and what it declares.

[connectors.acme]                       # a whole manifest
base_url = "https://api.acme.example/v2"
auth = { type = "bearer", token = "keyring:acme.token" }

[connectors.jira_acme]                  # another account of a known API
extends = "jira"
settings.site = "acme"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apikit_sql.connector.findings import Finding
from apikit_sql.errors import ConfigError


def config_file() -> Path:
    """The user's config file, which need not be there: `APIKIT_CONFIG_PATH`, that file or `config.toml` in it.

    Raises ConfigError where it begins with `~` and there is no such home folder.
    """
    given = os.environ.get("APIKIT_CONFIG_PATH")
    try:
        path = Path(given).expanduser() if given else Path.home() / ".config" / "apikit" / "config.toml"
    except RuntimeError as error:
        message = f"the config file cannot be found: {error} Set APIKIT_CONFIG_PATH."
        raise ConfigError(message) from None
    return path if path.is_file() or (path.suffix == ".toml" and not path.is_dir()) else path / "config.toml"


def read_toml(text: str, where: str) -> dict[str, Any]:
    """What the TOML `text` says. Raises ConfigError that names the place."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # very long numbers, deep nesting
        message = f"{where} cannot be read as TOML: {error}"
        raise ConfigError(message) from None


def wrong_entries(data: Mapping[str, Any]) -> list[Finding]:
    """What a config file's `data` hold beside tables of connectors."""
    connectors = data.get("connectors", {})
    found = [Finding(key, "means nothing here; write [connectors.NAME]") for key in data.keys() - {"connectors"}]
    if not isinstance(connectors, dict):
        return [*found, Finding("connectors", "means nothing here; write [connectors.NAME]")]
    found += [
        Finding(f"connectors.{name}", f"is not a table; write [connectors.{name}] and its settings below")
        for name, entry in connectors.items()
        if not isinstance(entry, dict)
    ]
    return sorted(found, key=str)


def entries_of(data: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The connectors that a config file's `data` declares, by name. Raises ConfigError for what else it holds."""
    if found := wrong_entries(data):
        message = f"{where}: " + "; ".join(f"{finding.key} {finding.message}" for finding in found)
        raise ConfigError(message)
    connectors: dict[str, dict[str, Any]] = data.get("connectors", {})
    return connectors
