"""The options of the plugin in profiles.yml, checked: what `install` is called with, and the session it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import is_reference

#: Options of `install` that a profile may give as they are.
_OF_INSTALL = frozenset(
    {
        "attach", "tokens", "allow_mutations", "read_posts", "ad_hoc", "connectors", "allow_network", "max_wait",
        "max_requests", "cache",
    }
)  # fmt: skip
_TRUE_OR_FALSE = frozenset({"ad_hoc", "allow_network"})
_LISTS = frozenset({"attach", "allow_mutations", "connectors"})
_NUMBERS = frozenset({"max_wait", "max_requests", "cache"})
_OWN = frozenset({"http", "connectors_folder"})


@dataclass(frozen=True)
class Profile:
    """What one profile says: whether requests leave, the folder of manifests, and the options of `install`."""

    http: str = ""
    folder: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_offline(self) -> bool:
        """Whether nothing is sent, and nothing is answered."""
        return (self.http or os.environ.get("APIKIT_HTTP", "")) == "off"

    def session(self) -> Session:
        """The process's session, or one of the profile's own, with the manifests of its folder."""
        if not self.http and not self.folder:
            return default_session()
        session = _session(self.http, self.folder)
        for path in sorted(Path(self.folder).glob("*.toml")) if self.folder else ():
            session.connectors.add_file(path)
        return session


@cache
def _session(http: str, _folder: str) -> Session:
    """One for all runs of dbt in this process that say the same."""
    return Session(http=http or None)


def profile_of(given: Mapping[str, Any]) -> Profile:
    """The profile whose `config` is `given`. Raises ConfigError for an option that is none, a folder that is not there.

    A token stands there by reference only: `dbt debug` prints what a profile says.
    """
    for name in given:
        if name not in _OF_INSTALL | _OWN:
            message = f"plugin apikit: there is no option {name!r}; there are {', '.join(sorted(_OF_INSTALL | _OWN))}."
            raise ConfigError(message)
    http = "off" if given.get("http") is False else str(given.get("http") or "")  # to YAML, off is False
    folder = str(given.get("connectors_folder") or "")
    if folder and not Path(folder).is_dir():
        message = f"plugin apikit: connectors_folder {folder!r} is not there (it is looked for in {Path.cwd()})."
        raise ConfigError(message)
    _check_tokens(given.get("tokens") or {})
    options = {name: given[name] for name in given.keys() & _OF_INSTALL if given[name] is not None}
    return Profile(http, folder, {name: _checked(name, value) for name, value in options.items()})


def _checked(name: str, value: object) -> object:
    """`value` as `install` takes the option; what stands in Jinja is a text to dbt. Raises ConfigError else."""
    if name in _TRUE_OR_FALSE:
        known = {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
        if not isinstance(known, bool):
            message = f"plugin apikit: {name} is true or false, not {value!r}."
            raise ConfigError(message)
        return known
    if name in _LISTS and not (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)):
        message = f"plugin apikit: {name} is a list of names, [github], not {value!r}."
        raise ConfigError(message)
    if name in _NUMBERS:
        return _number(name, value)
    if name == "read_posts" and not isinstance(value, Mapping):
        message = "plugin apikit: read_posts are lists of paths, {https://api.internal: [/search]}."
        raise ConfigError(message)
    return value


def _number(name: str, value: object) -> float:
    """`value` as a number; of a text what YAML would read. Raises ConfigError where it is none."""
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return kind(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"plugin apikit: {name} is a number, not {value!r}."
        raise ConfigError(message)
    return value


def _check_tokens(tokens: object) -> None:
    texts = tokens.values() if isinstance(tokens, Mapping) else [None]
    if not all(isinstance(token, str) and is_reference(token) for token in texts):
        message = (
            "plugin apikit: tokens are references, {https://api.internal: 'env:NAME'}: dbt shows what a profile says."
        )
        raise ConfigError(message)
