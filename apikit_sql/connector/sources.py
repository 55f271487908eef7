"""Where manifests are found: each place tells the names it knows, and gives the data of one when asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


#: The manifests of one place by name, each read when it is called.
Source = dict[str, Callable[[], Manifest]]


class ManifestFiles:
    """Reads files, each again only when it has changed: then what it gives is another object."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self._read: dict[str, tuple[object, dict[str, Manifest]]] = {}

    def in_folder(self, folder: Traversable) -> Source:
        """A manifest for each TOML file, named like it."""
        files = [file for file in folder.iterdir() if file.name.endswith(".toml")] if folder.is_dir() else []
        return {file.name.removesuffix(".toml"): lambda file=file: self.in_file(file) for file in files}  # type: ignore[misc]

    def in_config(self, file: Path) -> Source:
        """A manifest for each `[connectors.NAME]` of the user's config file, none where there is no such file."""
        manifests = self._manifests(file, _entries) if file.exists() else {}
        return {name: lambda manifest=manifest: manifest for name, manifest in manifests.items()}  # type: ignore[misc]

    def in_file(self, file: Traversable, *, is_named_like_it: bool = True) -> Manifest:
        """The manifest that `file` is. Raises ConfigError that names the file."""
        name = file.name.removesuffix(".toml") if is_named_like_it else None
        (manifest,) = self._manifests(file, lambda data, where: {"": _manifest(data, where, name)}).values()
        return manifest

    def _manifests(
        self, file: Traversable, read: Callable[[dict[str, Any], str], dict[str, Manifest]]
    ) -> dict[str, Manifest]:
        where, stamp = str(file), _stamp(file)
        known, manifests = self._read.get(where, (None, {}))
        if known is None or known != stamp:
            manifests = read(_toml(file), where)
            self._read[where] = stamp, manifests
        return manifests


def told(where: str, found: list[Finding]) -> str:
    """All that is wrong with the manifest at `where`."""
    return f"{where} is not a manifest: " + "; ".join(map(str, found))


def _entries(data: dict[str, Any], where: str) -> dict[str, Manifest]:
    entries = entries_of(data, where)
    return {name: _manifest(entry, f"{where} [connectors.{name}]", name) for name, entry in entries.items()}


def _manifest(data: dict[str, Any], where: str, name: str | None) -> Manifest:
    """The manifest of these data, which is called `name` unless it may have any name."""
    if found := literal_secrets(data):
        raise ConfigError(told(where, found))
    if name is not None and data.setdefault("name", name) != name:
        message = f"{where}: the manifest's name is {data['name']!r}; it stands under {name!r}."
        raise ConfigError(message)
    return Manifest(where, data)


def _stamp(file: Traversable) -> object:
    """What changes with the file."""
    try:
        found = file.stat() if isinstance(file, Path) else None
    except OSError:
        return object()
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else ()


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        return read_toml(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read as a manifest: {error}"
        raise ConfigError(message) from None
