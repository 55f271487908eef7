"""The user's config file: where it is, what it declares, and how it is changed without losing anything.

[connectors.acme]                       # a whole manifest
base_url = "https://api.acme.example/v2"
auth = { type = "bearer", token = "keyring:acme.token" }

[connectors.jira_acme]                  # another account of a known API
extends = "jira"
settings.site = "acme"
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from apikit_sql.connector.findings import check
from apikit_sql.connector.manifest import SECRET_FIELDS
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import forget, is_reference, keep

_HEADER = re.compile(r"\s*\[\s*(?P<key>[^\[\]]+?)\s*\]\s*(#.*)?")


def config_file() -> Path:
    """The user's config file, which need not be there: `APIKIT_CONFIG_PATH`, that file or `config.toml` in it."""
    given = os.environ.get("APIKIT_CONFIG_PATH")
    if not given:
        return Path.home() / ".config" / "apikit" / "config.toml"
    path = Path(given).expanduser()
    return path if path.suffix == ".toml" and not path.is_dir() else path / "config.toml"


def read_toml(text: str, where: str) -> dict[str, Any]:
    """What the TOML `text` says. Raises ConfigError that names the place."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{where} cannot be read as TOML: {error}"
        raise ConfigError(message) from None


def entries_of(data: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The connectors that a config file's `data` declares, by name. Raises ConfigError for what else it holds."""
    connectors = data.get("connectors", {})
    other = sorted(data.keys() - {"connectors"})
    if other or not isinstance(connectors, dict):
        message = f"{where}: {other[0] if other else 'connectors'} means nothing here; write [connectors.NAME]."
        raise ConfigError(message)
    for name, entry in connectors.items():
        if not isinstance(entry, dict):
            message = f"{where}: connectors.{name} is not a table; write [connectors.{name}] and its settings below."
            raise ConfigError(message)
    return connectors


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
        **auth: str,
    ) -> None:
        """Declare the connector `name`: an API at `base_url`, or another account of the one it `extends`.

        `auth` are the fields of AuthConfig, such as `token=`: secrets go into the keyring (as `NAME.FIELD`) and the
        file refers to them; a reference (`env:NAME`) is written as it is. A token alone means bearer. Raises
        ConfigError where the name is taken, something is wrong, or no keyring is there; then nothing is changed.
        """
        references = {
            field: f"keyring:{name}.{field}" for field in auth.keys() & _KEPT if not is_reference(auth[field])
        }
        kind = auth_type or ("bearer" if set(auth) == {"token"} and not extends else None)
        entry = {
            "extends": extends,
            "base_url": base_url,
            "settings": dict(settings or {}),
            "auth": {"type": kind, **auth, **references},
        }
        entry = {key: _without_none(value) for key, value in entry.items() if _without_none(value)}
        _refuse_what_is_wrong(name, entry, is_whole=extends is None)
        with _locked(self.path):
            text = self._text()
            if name in self._entries(text):
                message = f"{self.path} has a connector {name!r} already. Remove it first: remove_connector({name!r})."
                raise ConfigError(message)
            for field in references:
                keep(f"{name}.{field}", auth[field])
            start = text if text.endswith("\n") or not text else text + "\n"
            addition = tomli_w.dumps({"connectors": {name: entry}})
            self._write(start + ("\n" if start else "") + addition, self._entries(text) | {name: entry})

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
            removed = entries[name]
            self._write(_without_table(text, name), {other: entries[other] for other in entries.keys() - {name}})
        for field, value in removed.get("auth", {}).items():
            if value == f"keyring:{name}.{field}":
                forget(f"{name}.{field}")

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.path} cannot be read: {error}"
            raise ConfigError(message) from None

    def _entries(self, text: str) -> dict[str, dict[str, Any]]:
        return entries_of(read_toml(text, str(self.path)), str(self.path))

    def _write(self, text: str, expected: Mapping[str, Any]) -> None:
        """Put `text` in the file's place, if it declares exactly what is `expected`."""
        try:
            is_as_expected = self._entries(text) == expected
        except ConfigError:
            is_as_expected = False
        if not is_as_expected:
            message = f"{self.path} cannot be changed without touching something else. Edit it by hand."
            raise ConfigError(message)
        _replace(self.path.resolve(), text)


_KEPT = SECRET_FIELDS - {"username"}


def _without_none(value: Any) -> Any:  # noqa: ANN401 - a TOML value
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


def _refuse_what_is_wrong(name: str, entry: Mapping[str, Any], *, is_whole: bool) -> None:
    """Raise ConfigError for an entry that no session could read."""
    trial = copy.deepcopy({key: value for key, value in entry.items() if key not in {"extends", "settings"}})
    if not is_whole:
        trial.setdefault("base_url", "https://known.invalid")
        if "type" not in trial.get("auth", {}):
            trial.pop("auth", None)
    _, found = check({"name": name, **trial})
    if found:
        message = f"the connector {name!r} was not added: " + "; ".join(map(str, found))
        raise ConfigError(message)


def _without_table(text: str, name: str) -> str:
    """`text` without the tables of the connector `name`; comments right above the next table belong to that one."""
    kept: list[str] = []
    cut: list[str] = []
    is_inside = False
    for line in text.splitlines(keepends=True):
        header = _HEADER.fullmatch(line.rstrip("\n"))
        if header is not None:
            was_inside, is_inside = is_inside, _is_table_of(name, header["key"])
            if was_inside and not is_inside:
                kept += _trailing_comments(cut)
            cut = []
        (cut if is_inside else kept).append(line)
    return "".join(kept)


def _is_table_of(name: str, key: str) -> bool:
    """Whether the header `key` is that of a table of the connector, however it is quoted."""
    try:
        data: Any = tomllib.loads(f"[{key}]\n")
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(data.get("connectors"), dict) and name in data["connectors"]


def _trailing_comments(lines: list[str]) -> list[str]:
    kept: list[str] = []
    for line in reversed(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        kept.insert(0, line)
    first = next((index for index, line in enumerate(kept) if line.strip()), len(kept))
    return kept[first:]


def _replace(path: Path, text: str) -> None:
    """Put `text` at `path` as a whole or not at all, readable by its owner alone."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The file beside `path` that only one process at a time may hold."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (path.parent / f".{path.name}.lock").open("a")
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
