"""ConfigManager: changes the user's config file without losing anything, and keeps secrets in the keyring."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from apikit_sql.connector import environment
from apikit_sql.connector.config import config_file, entries_of, read_toml
from apikit_sql.connector.findings import Finding, check
from apikit_sql.connector.protocol import SECRET_FIELDS
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.sources import Manifest
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import forget, is_reference, keep, kept

#: What people write who mean a reference.
_LIKE_A_REFERENCE = re.compile(r"\s*(env|keyring)\s*:|\$\{?\w+\}?$", re.IGNORECASE)
_HEADER = re.compile(r"\s*\[\s*(?P<key>[^\[\]]+?)\s*\]\s*(#.*)?")


class ConfigManager:
    """Changes the connectors of the user's config file; secrets go into the operating system's keyring.

    Several processes may change the file at once. Comments and other entries stay as they are.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        """A manager of the config file `path`, the user's own unless given."""
        self.path = config_file() if path is None else Path(path)

    def list_connectors(self) -> list[str]:
        """The names of the connectors that the file declares, sorted. Raises ConfigError where it cannot be read."""
        return sorted(self._entries(self._text()))

    def add_connector(
        self,
        name: str,
        base_url: str | None = None,
        auth_type: str | None = None,
        *,
        extends: str | None = None,
        settings: Mapping[str, str] | None = None,
        **auth: str | bool | list[str],
    ) -> None:
        """Declare the connector `name`: an API at `base_url`, or another account of the one it `extends`.

        `auth` are the fields of AuthConfig, such as `token=`: secrets go into the keyring (as `NAME.FIELD`) and the
        file refers to them; a reference (`env:NAME`) is written as it is. A token alone means bearer. Raises
        ConfigError where the name is taken, something is wrong, or no keyring is there; then nothing is changed.
        """
        texts = {"name": name, **_without_none(base_url=base_url, extends=extends, auth_type=auth_type)}
        texts |= {f"auth.{key}": value for key, value in auth.items()}
        _refuse_no_texts(name, texts | {f"settings.{key}": value for key, value in (settings or {}).items()})
        are_secret = SECRET_FIELDS if "password" not in auth else SECRET_FIELDS - {"username"}
        given = {key: str(auth[key]) for key in auth.keys() & are_secret}
        secrets = {f"{name}.{key}": text for key, text in given.items() if not is_reference(text)}
        written = {key: f"keyring:{name}.{key}" if f"{name}.{key}" in secrets else value for key, value in auth.items()}
        kind = auth_type or ("bearer" if set(auth) == {"token"} and not extends else None)
        entry = _without_none(
            extends=extends, base_url=base_url, settings=settings, auth=_without_none(type=kind, **written)
        )
        with _locked(self.path):
            text = self._text()
            entries = self._entries(text)
            if name in entries:
                message = f"{self.path} has a connector {name!r} already. Remove it first: remove_connector({name!r})."
                raise ConfigError(message)
            _refuse_unfit(name, entry, entries)
            changed = self._checked(_with_table(text, name, entry), entries | {name: entry})
            with _keeping(secrets):
                _replace(self.path, changed)

    def remove_connector(self, name: str) -> None:
        """Take the connector `name` out of the file, and its secrets out of the keyring.

        Raises ConfigError where the file does not declare it, or in a way that only a person can change.
        """
        with _locked(self.path):
            text = self._text()
            entries = self._entries(text)
            if name not in entries:
                message = f"{self.path} declares no connector {name!r} (it has {', '.join(sorted(entries)) or 'none'})."
                raise ConfigError(message)
            left = {other: entry for other, entry in entries.items() if other != name}
            if built_on := sorted(other for other, entry in left.items() if entry.get("extends") == name):
                message = f"{', '.join(built_on)} in {self.path} extends {name!r}. Remove that first."
                raise ConfigError(message)
            _replace(self.path, self._checked(_without_table(text, name), left))
            for reference in set(_texts(entries[name])) - set(_texts(left)):
                if reference.startswith(f"keyring:{name}."):
                    forget(reference.removeprefix("keyring:"))

    def _text(self) -> str:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
                return file.read()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.path} cannot be read: {error}"
            raise ConfigError(message) from None

    def _entries(self, text: str) -> dict[str, dict[str, Any]]:
        return entries_of(read_toml(text, str(self.path)), str(self.path))

    def _checked(self, text: str, expected: Mapping[str, Any]) -> str:
        """`text`, if it declares exactly what is `expected`. Raises ConfigError otherwise."""
        try:
            is_as_expected = self._entries(text) == expected
        except ConfigError:
            is_as_expected = False
        if not is_as_expected:
            message = f"{self.path} cannot be changed without touching something else. Edit it by hand."
            raise ConfigError(message)
        return text


def _without_none(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - TOML values
    """`values` without what is None or an empty table."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


def _refuse_no_texts(name: str, given: Mapping[str, object]) -> None:
    """Raise ConfigError for what is no text that a file or a keyring can hold; none is shown."""
    found = [
        Finding(key, "must be a text, not empty and without control characters")
        for key, value in given.items()
        if not (isinstance(value, str) and value.strip() and value.isprintable())
        and not (isinstance(value, bool | list) and key.removeprefix("auth.") not in SECRET_FIELDS)
    ]
    found += [
        Finding(key, "looks like a reference and is none; write env:NAME or keyring:NAME")
        for key, value in given.items()
        if isinstance(value, str) and _LIKE_A_REFERENCE.match(value) and not is_reference(value)
    ]
    _refuse(name, found)


def _refuse(name: str, found: list[Finding]) -> None:
    if found:
        message = f"the connector {name!r} was not added: " + "; ".join(map(str, found))
        raise ConfigError(message)


def _refuse_unfit(name: str, entry: Mapping[str, Any], beside: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ConfigError for an entry that would hide another connector, or that no session could read."""
    registry = ConnectorRegistry()
    if name == environment.NAME:
        message = f"{name!r} is the connector that environment variables describe. Choose another name."
        raise ConfigError(message)
    if name in registry.names() and entry.get("extends") != name:
        message = f"{name!r} is known already ({registry.where(name)}). Choose another name, or say extends={name!r}."
        raise ConfigError(message)
    for other, settings in beside.items():
        registry.add(Manifest(f"[connectors.{other}]", {**settings, "name": other}))
    _refuse(name, check(registry.joined(Manifest(f"[connectors.{name}]", {"name": name, **entry})))[1])


def _texts(value: object) -> Iterator[str]:
    """Every text within a TOML value."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(each)


@contextlib.contextmanager
def _keeping(secrets: Mapping[str, str]) -> Iterator[None]:
    """While inside, `secrets` are in the keyring, and from then on unless it fails: then all is as it was before."""
    before: dict[str, str | None] = {}
    try:
        for name, secret in secrets.items():
            before[name] = kept(name)
            keep(name, secret)
        yield
    except BaseException:
        for name, old in before.items():
            with contextlib.suppress(ConfigError):
                _put_back(name, old)
        raise


def _put_back(name: str, secret: str | None) -> None:
    if secret is None:
        forget(name)
    else:
        keep(name, secret)


def _with_table(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """`text` with the connector behind all others."""
    end = "\r\n" if "\r\n" in text else "\n"
    addition = tomli_w.dumps({"connectors": {name: entry}}).replace("\n", end)
    start = text if text.endswith("\n") or not text else text + end
    has_gap = not start or start.endswith(end + end)
    return start + ("" if has_gap else end) + addition


def _without_table(text: str, name: str) -> str:
    """`text` without the tables of the connector `name`; comments behind its last line belong to what follows."""
    kept_lines: list[str] = []
    cut: list[str] = []
    is_inside = False
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        header = _HEADER.fullmatch(line.rstrip("\r\n"))
        if header is not None:
            was_inside, is_inside = is_inside, _is_table_of(name, header["key"])
            if was_inside and not is_inside:
                kept_lines += _trailing_comments(cut)
            cut = []
        (cut if is_inside else kept_lines).append(line)
    return "".join(kept_lines + (_trailing_comments(cut) if is_inside else []))


def _is_table_of(name: str, key: str) -> bool:
    """Whether the header `key` is that of a table of the connector, however it is quoted."""
    try:
        data: Any = tomllib.loads(f"[{key}]\n")
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(data.get("connectors"), dict) and name in data["connectors"]


def _trailing_comments(lines: list[str]) -> list[str]:
    behind: list[str] = []
    for line in reversed(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        behind.insert(0, line)
    first = next((index for index, line in enumerate(behind) if line.strip()), len(behind))
    return behind[first:]


def _replace(path: Path, text: str) -> None:
    """Put `text` at `path` (or where a link there leads) as a whole or not at all, readable by its owner alone."""
    try:
        place = path.resolve()
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")  # with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(place)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except (OSError, UnicodeEncodeError) as error:
        message = f"{path} cannot be written: {error}"
        raise ConfigError(message) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The file beside `path` that only one process at a time may hold."""
    place = path.resolve()  # a link and the file that it leads to have one lock
    try:
        if not path.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (place.parent / f".{place.name}.lock").open("a")
    except OSError as error:
        message = f"{path} cannot be changed: {error}"
        raise ConfigError(message) from None
    with file:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - Windows only

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - not on Windows

            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file lets go
