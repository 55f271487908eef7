"""Finds, reads and names manifests: the built-in ones, the user's folder, and files given by path."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from apikit_sql.connector import environment
from apikit_sql.connector.manifest import SECRET_FIELDS, Connector
from apikit_sql.connector.template import fill_base_url
from apikit_sql.errors import ConfigError, ConnectorNotFoundError
from apikit_sql.redaction import is_secret_header, is_secret_param
from apikit_sql.secrets import is_reference

_PLAINLY = {"extra_forbidden": "there is no such setting"}
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class ConnectorRegistry:
    """The connectors one session knows by name. A manifest is read when it is first asked for."""

    def __init__(self, folders: Iterable[Traversable] | None = None) -> None:
        """A registry of the manifests in `folders`, the usual ones unless given; a later folder's manifest wins."""
        self._folders = None if folders is None else tuple(folders)
        self._loaded: dict[str, Connector] = {}

    def names(self) -> list[str]:
        """Every known connector's name, sorted."""
        described = {environment.NAME} if environment.is_described(os.environ) else set()
        return sorted(self._files() | self._loaded.keys() | described)

    def add_file(self, path: Path) -> str:
        """The name of the connector whose manifest is at `path`; it is known from now on."""
        connector = read_manifest(path)
        self._loaded[connector.name] = connector
        return connector.name

    def get(self, name: str) -> Connector:
        """The connector of this name, its base URL filled in.

        Raises ConnectorNotFoundError with near matches; ConfigError where its manifest is wrong.
        """
        if name not in self._loaded:
            file = self._files().get(name)
            if file is None and name == environment.NAME:
                return with_settings(environment.connector_of(os.environ))
            if file is None:
                folder = (self._folders or default_folders())[-1]
                raise ConnectorNotFoundError(_not_found(name, self.names(), folder))
            connector = read_manifest(file)
            if connector.name != name:
                message = f"{file}: the manifest's name is {connector.name!r}; its file says {name!r}."
                raise ConfigError(message)
            self._loaded[name] = connector
        return with_settings(self._loaded[name])

    def _files(self) -> dict[str, Traversable]:
        """The manifests that lie in the folders now, by name."""
        folders = default_folders() if self._folders is None else self._folders
        files = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
        return {file.name.removesuffix(".toml"): file for file in files if file.name.endswith(".toml")}


def default_folders() -> list[Traversable]:
    """The built-in manifests, and the folder `connectors` beside the user's config file."""
    config = Path(os.environ.get("APIKIT_CONFIG_PATH") or Path.home() / ".config" / "apikit" / "config.toml")
    folder = config if config.is_dir() else config.parent
    return [resources.files("apikit_sql") / "connector" / "builtin", folder / "connectors"]


def read_manifest(file: Traversable) -> Connector:
    """The connector that the TOML `file` declares.

    Raises ConfigError that names the file and the key, and for a secret that stands in the file itself.
    """
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{file} cannot be read as a manifest: {error}"
        raise ConfigError(message) from None
    _refuse_literal_secrets(file, data.get("auth"))
    try:
        connector = Connector.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{file} is not a manifest: " + explain(error)) from None
    _refuse_credentials_elsewhere(file, connector)
    if not _NAME.fullmatch(connector.name):
        message = f"{file}: the name {connector.name!r} must be lower case letters, digits and '_'."
        raise ConfigError(message)
    return connector


def with_settings(connector: Connector) -> Connector:
    """`connector` with the variables of its URLs filled from the environment or their defaults.

    Its `token_url` is a whole URL then. Raises ConfigError where it would take secrets out of TLS.
    """
    token_url = connector.auth.token_url or ""
    if not token_url and "{" not in connector.base_url:
        return connector
    values = {
        name: (os.environ.get(variable.env) if variable.env else None) or variable.default
        for name, variable in connector.variables.items()
    }
    for name, value in values.items():
        if value is None and (env := connector.variables[name].env):
            message = f"{connector.name} needs the setting {name!r} for {connector.base_url}: set {env}."
            raise ConfigError(message)
    base_url = fill_base_url(connector.name, connector.base_url, values)
    if not token_url:
        return connector.model_copy(update={"base_url": base_url})
    whole = base_url.rstrip("/") + token_url if token_url.startswith("/") else token_url
    whole = fill_base_url(connector.name, whole, values)
    if whole.startswith("http://") and not base_url.startswith("http://"):
        message = f"{connector.name}: auth.token_url must be https, as the base URL is: it is sent secrets."
        raise ConfigError(message)
    auth = connector.auth.model_copy(update={"token_url": whole})
    return connector.model_copy(update={"base_url": base_url, "auth": auth})


def explain(error: ValidationError) -> str:
    """What `error` found, one `key: reason` each, without the values given."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), _PLAINLY.get(each["type"]) or each["msg"])))
        for each in found
    ).replace("Value error, ", "")


def _refuse_literal_secrets(file: Traversable, auth: object) -> None:
    """A file may be shared: it holds references to secrets, never a secret."""
    for field in SECRET_FIELDS - {"username"}:
        value = auth.get(field) if isinstance(auth, dict) else None
        if value is not None and not (isinstance(value, str) and is_reference(value)):
            message = f"{file}: auth.{field} must be a reference (env:NAME or keyring:NAME), not the secret itself."
            raise ConfigError(message)


def _refuse_credentials_elsewhere(file: Traversable, connector: Connector) -> None:
    """Only what stands under `auth` is bound to the API's origin and masked."""
    places = {f"headers.{name}": is_secret_header(name) for name in connector.headers}
    for name, stream in connector.streams.items():
        places |= {f"streams.{name}.params.{param}": is_secret_param(param) for param in stream.params}
    for place, is_secret in places.items():
        if is_secret:
            message = f"{file}: {place} carries a credential; say it under [auth], as a reference (env:NAME)."
            raise ConfigError(message)


def _not_found(name: str, known: list[str], folder: Traversable) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    return (
        f"no connector is named {name!r}. {hint} Your own are read from {folder}. "
        "A base URL works too: apikit('https://api.example.com', '/path')."
    )
