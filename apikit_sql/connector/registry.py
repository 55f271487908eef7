"""Finds connectors by name: built-in manifests, the user's folder and config file, functions, files given by path."""

from __future__ import annotations

import builtins
import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar

from apikit_sql.connector import environment
from apikit_sql.connector.config import config_file
from apikit_sql.connector.extending import extended, takes_a_credential_away
from apikit_sql.connector.findings import check
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.settings import with_settings
from apikit_sql.connector.sources import Manifest, ManifestFiles, Source, told
from apikit_sql.errors import ConfigError, ConnectorNotFoundError
from apikit_sql.redaction import redact_url

#: Files are read once for all registries, and again when they have changed.
_FILES = ManifestFiles()
_BUILT_IN = resources.files("apikit_sql") / "connector" / "builtin"
_Definer = Callable[[], ConnectorDefinition]


class ConnectorRegistry:
    """The connectors one session knows by name. A manifest is read when it is asked for, and again when it changes.

    Of one name, a file given by path wins over a registered function, that over the user's config file, that over the
    folder `connectors` beside it, and that over what is built in.
    """

    _registered: ClassVar[dict[str, Manifest]] = {}

    def __init__(self, folders: Iterable[Traversable] | None = None) -> None:
        """A registry of all those places, or of the manifests in `folders` alone; a later folder's manifest wins."""
        self._folders = None if folders is None else tuple(folders)
        self._added: dict[str, Manifest] = {}

    @classmethod
    def register(cls, function: _Definer) -> _Definer:
        """A decorator: the ConnectorDefinition that `function` returns is known to every session from now on.

        Raises ConfigError where it is none, or is wrong. Registering the same name again replaces it.
        """
        where = getattr(function, "__qualname__", repr(function))
        connector = function()
        if not isinstance(connector, ConnectorDefinition):
            message = f"{where} returned {type(connector).__name__}; a ConnectorDefinition is needed."
            raise ConfigError(message)
        manifest = _manifest_of(connector, where)
        _connector_of((manifest,))
        cls._registered[connector.name] = manifest
        return function

    @classmethod
    def list(cls) -> builtins.list[str]:
        """Every name that a new session knows, sorted."""
        return cls().names()

    def names(self) -> builtins.list[str]:
        """Every known connector's name, sorted."""
        return sorted({name for source in self._sources() for name in source})

    def survey(self) -> tuple[builtins.list[str], builtins.list[tuple[str, str]]]:
        """Every name that can be known, sorted, and what is wrong with the config file, by its path."""
        try:
            return self.names(), []
        except ConfigError as error:
            file = config_file()
            places = [_FILES.in_folder(file.parent / "connectors"), _FILES.in_folder(_BUILT_IN)]
            names = {*self._added, *self._registered, *(name for source in places for name in source)}
            return sorted(names), [(str(file), str(error))]

    def add_file(self, path: Path) -> str:
        """The name of the connector whose manifest is at `path`: its own, else the file's. It is known from now on."""
        manifest = _FILES.at(path)
        name = _connector_of(tuple(self._chain(manifest))).name
        self.add(manifest)
        return name

    def get(self, name: str) -> ConnectorDefinition:
        """The connector of this name, its base URL filled in.

        Raises ConnectorNotFoundError with near matches; ConfigError where its manifest or a setting is wrong.
        """
        return with_settings(self.definition(name))

    def definition(self, name: str) -> ConnectorDefinition:
        """The connector of this name as its manifest has it, the variables of its URLs still open.

        Raises ConnectorNotFoundError with near matches; ConfigError where its manifest is wrong.
        """
        return _connector_of(tuple(self._chain(self._find(name))))

    def add(self, manifest: Manifest) -> None:
        """Make `manifest` known under its name, whether it is right or not."""
        self._added[str(manifest.data.get("name"))] = manifest

    def joined(self, manifest: Manifest) -> dict[str, Any]:
        """The data of `manifest` and of those that it extends. Raises ConfigError where there is none."""
        return _joined(self._chain(manifest))

    def where(self, name: str) -> str:
        """The place of the manifest of this name. Raises ConnectorNotFoundError."""
        return self._find(name).where

    def _sources(self) -> Iterator[Source]:
        """The places, the one that wins first; those behind it are not read before they are wanted."""
        yield _source(self._added)
        if self._folders is None:
            config = config_file()
            yield _source(self._registered)
            yield _FILES.in_config(config)
            yield _FILES.in_folder(config.parent / "connectors")
            yield _FILES.in_folder(_BUILT_IN)
        yield from map(_FILES.in_folder, reversed(self._folders or ()))
        yield {environment.NAME: _described} if environment.is_described(os.environ) else {}

    def _find(self, name: str, behind: Manifest | None = None) -> Manifest:
        """The manifest of this name, that of the place that wins; or of the first place behind that of `behind`."""
        manifests: Iterator[Manifest] = (source[name]() for source in self._sources() if name in source)
        if behind is not None:
            every = list(manifests)
            manifests = iter(every[every.index(behind) + 1 :] if behind in every else every)
        found = next(manifests, None)
        if found is not None:
            return found
        if name == environment.NAME:
            return _described()  # which says what it needs
        raise ConnectorNotFoundError(self._not_found(name))

    def _chain(self, manifest: Manifest) -> builtins.list[Manifest]:
        """`manifest`, the one that it extends, and so on."""
        chain = [manifest]
        while (base := chain[-1].data.get("extends")) is not None:
            try:
                found = self._find(str(base), chain[-1] if base == chain[-1].data.get("name") else None)
            except ConnectorNotFoundError as error:
                message = f"{chain[-1].where} extends {base!r}, but {error}"
                raise ConnectorNotFoundError(message) from None
            if found in chain:
                names = " -> ".join(str(each.data.get("name")) for each in [*chain, found])
                message = f"{manifest.where} extends itself: {names}."
                raise ConfigError(message)
            chain.append(found)
        return chain

    def _not_found(self, name: str) -> str:
        known = self.names()
        near = [each for each in difflib.get_close_matches(name, known, n=3) if each != name]
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
        config = config_file()
        place = self._folders[-1] if self._folders else f"{config} and {config.parent / 'connectors'}"
        is_host = re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?", name) and not name.endswith(".toml")
        is_url = name.startswith(("https://", "http://"))
        base_url = redact_url(name) if is_url else f"https://{name}" if is_host else "https://api.example.com"
        return (
            f"no connector is named {redact_url(name)!r}. {hint} Your own are read from {place}. "
            f"A base URL works too: apikit({base_url!r}, '/path'), or in Python Apikit({base_url!r})."
        )


def _source(manifests: dict[str, Manifest]) -> Source:
    return {name: lambda manifest=manifest: manifest for name, manifest in manifests.items()}  # type: ignore[misc]


def _described() -> Manifest:
    return _manifest_of(environment.connector_of(os.environ), "the environment")


def _manifest_of(connector: ConnectorDefinition, where: str) -> Manifest:
    return Manifest(where, connector.model_dump(exclude_unset=True))


@lru_cache(maxsize=1_000)
def _connector_of(chain: tuple[Manifest, ...]) -> ConnectorDefinition:
    """The connector that the manifests of `chain` declare together. Raises ConfigError that tells all that is wrong."""
    connector, found = check(_joined(chain))
    if connector is None or found:
        raise ConfigError(told(chain[0].where, found))
    return connector


def _joined(chain: Sequence[Manifest]) -> dict[str, Any]:
    """The data of the last of `chain`, with what those before it say."""
    data: dict[str, Any] = {}
    for manifest in reversed(chain):
        if takes_a_credential_away(data, manifest.data):
            message = (
                f"{manifest.where} has another host than {data.get('name')!r}, whose credential is not sent there: say "
                "auth of its own."
            )
            raise ConfigError(message)
        data = extended(data, manifest.data)
    return data
