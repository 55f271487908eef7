"""Where manifests are found: each place tells the names it knows, and gives the data of one when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from apikit_sql.connector.config import entries_of, read_toml
from apikit_sql.connector.findings import Finding, literal_secrets
from apikit_sql.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Manifest:
    """The data of one manifest, and where it stands."""

    where: str
    data: Mapping[str, Any]


#: The manifests of one place by name, each made when it is called.
Source = dict[str, Callable[[], Manifest]]


@dataclass
class _File:
    """What a file held when it looked like `stamp`, and the manifests made of it, by what they were made for."""

    stamp: object
    data: dict[str, Any]
    manifests: dict[str, Manifest] = field(default_factory=dict)


class ManifestFiles:
    """Reads files, each again only when it has changed: then what it gives is another object."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self._read: dict[str, _File] = {}

    def in_folder(self, folder: Traversable) -> Source:
        """A manifest for each TOML file, named like it."""
        files = [file for file in folder.iterdir() if file.name.endswith(".toml")] if folder.is_dir() else []
        return {file.name.removesuffix(".toml"): partial(self._named_like_it, file) for file in files}

    def in_config(self, file: Path) -> Source:
        """A manifest for each `[connectors.NAME]` of the user's config file, none where there is no such file."""
        entries = entries_of(self._file(file).data, str(file)) if file.exists() else {}
        return {name: partial(self._entry, file, name) for name in entries}

    def at(self, path: Path) -> Manifest:
        """The manifest that the file is, called as it says, else like the file. Raises ConfigError that names it."""
        found = self._file(path)
        data = {"name": path.name.removesuffix(".toml"), **found.data}
        return _made(found, "", str(path), data, None)

    def _named_like_it(self, file: Traversable) -> Manifest:
        found = self._file(file)
        name = file.name.removesuffix(".toml")
        return _made(found, name, str(file), found.data, name)

    def _entry(self, file: Path, name: str) -> Manifest:
        found = self._file(file)
        where = f"{file} [connectors.{name}]"
        return _made(found, name, where, entries_of(found.data, str(file))[name], name)

    def _file(self, file: Traversable) -> _File:
        stamp, known = _stamp(file), self._read.get(str(file))
        if known is None or known.stamp != stamp:
            known = _File(stamp, _toml(file))
            self._read[str(file)] = known
        return known


def told(where: str, found: list[Finding]) -> str:
    """All that is wrong with the manifest at `where`."""
    return f"{where} is not a manifest: " + "; ".join(map(str, found))


def _made(file: _File, purpose: str, where: str, data: Mapping[str, Any], name: str | None) -> Manifest:
    """The manifest of `data`, which is called `name` unless it may have any name; the same one each time."""
    if purpose not in file.manifests:
        if found := literal_secrets(data):
            raise ConfigError(told(where, found))
        if name is not None and data.get("name", name) != name:
            message = f"{where}: the manifest's name is {data['name']!r}; it stands under {name!r}."
            raise ConfigError(message)
        file.manifests[purpose] = Manifest(where, data if name is None else {"name": name, **data})
    return file.manifests[purpose]


def _stamp(file: Traversable) -> object:
    """What changes with the file."""
    try:
        found = file.stat() if isinstance(file, Path) else None
    except OSError:
        return object()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino) if found is not None else ()


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read as a manifest: {error}"
        raise ConfigError(message) from None
    return read_toml(text, str(file))
