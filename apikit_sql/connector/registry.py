"""Finds connectors by name: built-in manifests, the user's folder and config file, functions, files given by path."""

from __future__ import annotations

import builtins
import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar

from apikit_sql.connector import environment
from apikit_sql.connector.config import config_file
from apikit_sql.connector.extending import extended, with_given_settings
from apikit_sql.connector.findings import check
from apikit_sql.connector.manifest import Connector
from apikit_sql.connector.settings import with_settings
from apikit_sql.connector.sources import Manifest, ManifestFiles, Source, told
from apikit_sql.errors import ConfigError, ConnectorNotFoundError

_Definer = Callable[[], Connector]


class ConnectorRegistry:
    """The connectors one session knows by name. A manifest is read when it is asked for, and again when it changes.

    Of one name, a file given by path wins over a registered function, that over the user's config file, that over the
    folder `connectors` beside it, and that over what is built in.
    """

    _registered: ClassVar[dict[str, Manifest]] = {}

    def __init__(self, folders: Iterable[Traversable] | None = None) -> None:
        """A registry of all those places, or of the manifests in `folders` alone; a later folder's manifest wins."""
        self._folders = None if folders is None else tuple(folders)
        self._files = ManifestFiles()
        self._added: dict[str, Manifest] = {}
        self._checked: dict[str, tuple[list[Manifest], Connector]] = {}

    @classmethod
    def register(cls, function: _Definer) -> _Definer:
        """A decorator: the ConnectorDefinition that `function` returns is known to every session from now on.

        Raises ConfigError where it is none, or is wrong. Registering the same name again replaces it.
        """
        where, connector = f"{function.__module__}.{function.__qualname__}", function()
        if not isinstance(connector, Connector):
            message = f"{where} returned {type(connector).__name__}; a ConnectorDefinition is needed."
            raise ConfigError(message)
        manifest = _manifest_of(connector, where)
        _checked(manifest.data, where)
        cls._registered[connector.name] = manifest
        return function

    @classmethod
    def list(cls) -> builtins.list[str]:
        """Every name that a new session knows, sorted."""
        return cls().names()

    def names(self) -> builtins.list[str]:
        """Every known connector's name, sorted."""
        return sorted({name for source in self._sources() for name in source})

    def add_file(self, path: Path) -> str:
        """The name of the connector whose manifest is at `path`; it is known from now on."""
        manifest = self._files.in_file(path, is_named_like_it=False)
        connector = _checked(self._whole(manifest, [], 0), manifest.where)
        self._added[connector.name] = manifest
        return connector.name

    def get(self, name: str) -> Connector:
        """The connector of this name, its base URL filled in.

        Raises ConnectorNotFoundError with near matches; ConfigError where its manifest or a setting is wrong.
        """
        return with_settings(self.definition(name))

    def definition(self, name: str) -> Connector:
        """The connector of this name as its manifest has it, the variables of its URLs still open.

        Raises ConnectorNotFoundError with near matches; ConfigError where its manifest is wrong.
        """
        chain: builtins.list[Manifest] = []
        data = self._whole(self._find(name, 0), chain, 0)
        known, connector = self._checked.get(name, (None, None))
        if connector is None or known != chain:
            connector = _checked(data, chain[0].where)
            self._checked[name] = chain, connector
        return connector

    def joined(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """`data` of a manifest with those of the connectors that it extends. Raises ConfigError where there is none."""
        return self._whole(Manifest(f"the connector {data.get('name')!r}", data), [], 0)

    def where(self, name: str) -> str:
        """The place of the manifest of this name. Raises ConnectorNotFoundError."""
        return self._find(name, 0).where

    def _sources(self) -> builtins.list[Source]:
        """The places, the one that wins first."""
        described = {environment.NAME: _described} if environment.is_described(os.environ) else {}
        if self._folders is not None:
            return [_source(self._added), *map(self._files.in_folder, reversed(self._folders)), described]
        config = config_file()
        return [
            _source(self._added),
            _source(self._registered),
            self._files.in_config(config),
            self._files.in_folder(config.parent / "connectors"),
            self._files.in_folder(resources.files("apikit_sql") / "connector" / "builtin"),
            described,
        ]

    def _find(self, name: str, level: int) -> Manifest:
        """The manifest of this name, passing over as many places as `level` that have one too."""
        found = [source[name] for source in self._sources() if name in source]
        if len(found) > level:
            return found[level]()
        if name == environment.NAME:
            return _described()  # which says what it needs
        raise ConnectorNotFoundError(self._not_found(name))

    def _whole(self, manifest: Manifest, chain: builtins.list[Manifest], level: int) -> dict[str, Any]:
        """The data of `manifest` and of those that it extends, which are added to `chain`."""
        if manifest in chain:
            names = " -> ".join(str(each.data.get("name")) for each in [*chain, manifest])
            message = f"{manifest.where} extends itself: {names}."
            raise ConfigError(message)
        chain.append(manifest)
        base = manifest.data.get("extends")
        if base is None:
            return with_given_settings(manifest.data)
        below = level + 1 if base == manifest.data.get("name") else 0
        try:
            found = self._find(str(base), below)
        except ConnectorNotFoundError as error:
            message = f"{manifest.where} extends {base!r}, but {error}"
            raise ConnectorNotFoundError(message) from None
        return with_given_settings(extended(self._whole(found, chain, below), manifest.data))

    def _not_found(self, name: str) -> str:
        known = self.names()
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
        place = self._folders[-1] if self._folders else config_file()
        base_url = f"https://{name}" if "." in name else "https://api.example.com"
        return (
            f"no connector is named {name!r}. {hint} Your own are read from {place}. "
            f"A base URL works too: apikit({base_url!r}, '/path')."
        )


def _source(manifests: dict[str, Manifest]) -> Source:
    return {name: lambda manifest=manifest: manifest for name, manifest in manifests.items()}  # type: ignore[misc]


def _described() -> Manifest:
    return _manifest_of(environment.connector_of(os.environ), "the environment")


def _manifest_of(connector: Connector, where: str) -> Manifest:
    return Manifest(where, connector.model_dump(exclude_unset=True))


def _checked(data: Mapping[str, Any], where: str) -> Connector:
    """The connector that `data` declares. Raises ConfigError that tells all that is wrong."""
    connector, found = check(data)
    if connector is None or found:
        raise ConfigError(told(where, found))
    return connector
