"""ConfigManager: entries added, listed and removed; secrets in the keyring alone; what goes wrong changes nothing."""

import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx
import keyring
import keyring.backends.fail
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

import apikit_sql
from apikit_sql.connector.config import config_file
from apikit_sql.connector.config_manager import ConfigManager
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import KEYRING_SERVICE
from tests.fakes.api import FakeApi

Rows = Callable[[str], list[tuple[object, ...]]]
SECRET = "s3cret-of-acme"
URL = "https://acme.test"


class MemoryKeyring(KeyringBackend):
    """A keyring that is there for one test. Without a priority it is never chosen by itself."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stored: dict[str, str] = {}
        self.most = 10

    def get_password(self, service: str, username: str) -> str | None:
        return self.stored.get(username) if service == KEYRING_SERVICE else None

    def set_password(self, service: str, username: str, password: str) -> None:
        if service != KEYRING_SERVICE or len(self.stored.keys() | {username}) > self.most:
            raise keyring.errors.PasswordSetError
        self.stored[username] = password

    def delete_password(self, service: str, username: str) -> None:
        if service != KEYRING_SERVICE or self.stored.pop(username, None) is None:
            raise keyring.errors.PasswordDeleteError


@pytest.fixture(autouse=True)
def ring() -> Iterator[MemoryKeyring]:
    """The keyring of the operating system, for one test."""
    before, ring = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture
def manager() -> ConfigManager:
    return ConfigManager()


def written() -> str:
    return config_file().read_text(encoding="utf-8") if config_file().exists() else ""


def declare(text: str) -> Path:
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def auth_of(name: str) -> dict[str, Any]:
    """What the connector's auth says beside its defaults, secrets as they are written."""
    auth = ConnectorRegistry().get(name).auth
    given = {field: getattr(auth, field) for field in auth.model_fields_set}
    return {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in given.items()
    }


def leftovers() -> list[str]:
    """The files beside the config file that are neither it nor its lock."""
    folder = config_file().parent
    known = {config_file().name, f".{config_file().name}.lock"}
    return [each.name for each in folder.iterdir() if each.name not in known] if folder.exists() else []


# --- added


def test_it_is_a_public_name_and_so_is_what_a_function_registers() -> None:
    assert apikit_sql.ConfigManager is ConfigManager
    assert apikit_sql.ConnectorDefinition.__module__ == "apikit_sql.connector.manifest"


def test_what_was_added_is_known_and_asked_with_its_secret(manager: ConfigManager, rows: Rows, api: FakeApi) -> None:
    api.routes["/me"] = httpx.Response(200, json=[{"id": 1}])

    manager.add_connector("acme", URL, "bearer", token=SECRET)

    assert rows("SELECT id FROM apikit('acme', '/me')") == [(1,)]
    assert str(api.seen[-1].url) == f"{URL}/me"
    assert api.seen[-1].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("kind", "given", "refers"),
    [
        (None, {"token": SECRET}, {"type": "bearer", "token": "keyring:acme.token"}),
        ("bearer", {"token": SECRET, "prefix": "Token"}, {"token": "keyring:acme.token", "prefix": "Token"}),
        ("apikey", {"api_key": SECRET, "api_key_header": "X-K"}, {"api_key": "keyring:acme.api_key"}),
        ("basic", {"username": "ann", "password": SECRET}, {"username": "ann", "password": "keyring:acme.password"}),
        (
            "oauth2",
            {"client_id": f"{SECRET}-1", "client_secret": f"{SECRET}-2", "token_url": "/token"},
            {"client_id": "keyring:acme.client_id", "client_secret": "keyring:acme.client_secret"},
        ),
        ("bearer", {"token": "env:ACME_TOKEN"}, {"token": "env:ACME_TOKEN"}),
        ("bearer", {"token": "keyring:shared"}, {"token": "keyring:shared"}),
    ],
)
def test_secrets_go_into_the_keyring_and_references_into_the_file(
    manager: ConfigManager, ring: MemoryKeyring, kind: str | None, given: dict[str, Any], refers: dict[str, str]
) -> None:
    manager.add_connector("acme", URL, kind, **given)

    secrets = {f"acme.{field}": value for field, value in given.items() if SECRET in value}
    assert ring.stored == secrets
    assert SECRET not in written()
    assert auth_of("acme").items() >= refers.items()


def test_no_file_on_disk_ever_holds_a_secret(manager: ConfigManager, tmp_path: Path) -> None:
    manager.add_connector("acme", URL, token=SECRET)
    manager.add_connector("slow", extends="acme", token=f"{SECRET}-2")

    files = [each for each in tmp_path.rglob("*") if each.is_file()]

    assert files
    assert not [each for each in files if SECRET.encode() in each.read_bytes()]


def test_without_auth_nothing_is_said_of_it(manager: ConfigManager, ring: MemoryKeyring) -> None:
    manager.add_connector("acme", URL)

    assert ConnectorRegistry().get("acme") == ConnectorDefinition(name="acme", base_url=URL)
    assert (ring.stored, "auth" in written()) == ({}, False)


def test_another_account_extends_a_connector_with_its_own_token_and_settings(
    manager: ConfigManager, ring: MemoryKeyring
) -> None:
    manager.add_connector("work", extends="github", token=SECRET)
    manager.add_connector("site", "https://{site}.example.test", settings={"site": "one"})
    manager.add_connector("other", extends="site", settings={"site": "two"})

    registry = ConnectorRegistry()
    assert registry.get("work").base_url == registry.get("github").base_url
    assert auth_of("work") == {"type": "bearer", "token": "keyring:work.token", "optional": False}
    assert ring.stored == {"work.token": SECRET}
    assert [registry.get(name).base_url[8:11] for name in ("site", "other")] == ["one", "two"]


def test_the_names_are_listed_sorted(manager: ConfigManager) -> None:
    assert manager.list_connectors() == []

    for name in ("b", "c", "a"):
        manager.add_connector(name, URL)
    manager.remove_connector("b")

    assert manager.list_connectors() == ["a", "c"]


@pytest.mark.parametrize("is_there", [False, True])
def test_the_file_is_for_its_owner_alone(manager: ConfigManager, *, is_there: bool) -> None:
    if is_there:
        declare("# mine\n").chmod(0o644)

    manager.add_connector("acme", URL)

    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    assert leftovers() == []


@pytest.mark.parametrize("name", ["_", "a" * 200, "connectors", "a__b", "true"])
def test_any_name_that_sql_can_say_can_be_added_and_removed(manager: ConfigManager, name: str) -> None:
    declare("[connectors.other]\nbase_url = 'https://other.test'\n")

    manager.add_connector(name, URL, token=SECRET)
    found = ConnectorRegistry().get(name).base_url
    manager.remove_connector(name)

    assert found == URL
    assert manager.list_connectors() == ["other"]


# --- removed


def test_what_is_removed_is_gone_with_its_secrets_and_no_others(manager: ConfigManager, ring: MemoryKeyring) -> None:
    manager.add_connector("acme", URL, "basic", username="ann", password=SECRET)
    manager.add_connector("acme2", URL, token=SECRET)
    ring.stored["acme.other"] = "of somebody else"

    manager.remove_connector("acme")

    assert manager.list_connectors() == ["acme2"]
    assert ring.stored == {"acme2.token": SECRET, "acme.other": "of somebody else"}


def test_a_secret_that_another_entry_refers_to_stays(manager: ConfigManager, ring: MemoryKeyring) -> None:
    manager.add_connector("acme", URL, token=SECRET)
    manager.add_connector("copy", f"{URL}/v2", token="keyring:acme.token")

    manager.remove_connector("acme")

    assert ring.stored == {"acme.token": SECRET}


@pytest.mark.parametrize("auth", ['"bearer"', "5", '["bearer"]', '{ token = ["x"] }', "{}"])
def test_an_entry_that_no_session_could_read_can_be_removed(manager: ConfigManager, auth: str) -> None:
    declare(f'[connectors.acme]\nauth = {auth}\n[connectors.b]\nbase_url = "https://b.test"\n')

    manager.remove_connector("acme")

    assert manager.list_connectors() == ["b"]


def test_what_is_not_there_cannot_be_removed(manager: ConfigManager) -> None:
    manager.add_connector("acme", URL)

    with pytest.raises(ConfigError, match=r"declares no connector 'github' \(it has acme\)"):
        manager.remove_connector("github")


# --- refused, and nothing changed

WRONG: list[dict[str, Any]] = [
    {"name": "acme"},
    {"name": "My-API", "base_url": URL},
    {"name": "a.b", "base_url": URL},
    {"name": "", "base_url": URL},
    {"name": "a\nb", "base_url": URL},
    {"name": "known", "base_url": URL},
    {"name": "acme", "base_url": "ftp://acme.test"},
    {"name": "acme", "base_url": "https://me:s3cret-of-acme@acme.test"},
    {"name": "acme", "base_url": URL, "auth_type": "magic"},
    {"name": "acme", "base_url": URL, "api_key": SECRET},
    {"name": "acme", "base_url": URL, "auth_type": "none"},
    {"name": "acme", "base_url": URL, "auth_type": "apikey"},
    {"name": "acme", "base_url": URL, "tokn": SECRET},
    {"name": "acme", "extends": "known", "tokn": SECRET},
    {"name": "acme", "extends": "known", "auth_type": "magic"},
    {"name": "acme", "extends": "known", "base_url": "acme.test"},
    {"name": "acme", "base_url": URL, "token": ""},
    {"name": "acme", "base_url": URL, "token": None},
    {"name": "acme", "base_url": URL, "token": 5},
    {"name": "acme", "base_url": URL, "settings": {"site": ("a",)}},
    {"name": "acme", "base_url": URL, "settings": {"site": b"x"}},
    {"name": "acme", "base_url": "https://{site}.test", "settings": {"site": "evil.test/"}},
    {"name": "acme", "base_url": "https://{site}.test", "settings": {"site": "\udc80"}},
]


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_what_is_wrong_is_refused_and_changes_nothing(
    manager: ConfigManager, ring: MemoryKeyring, given: dict[str, Any]
) -> None:
    declare("# mine\n[connectors.known]\nbase_url = 'https://known.test'\n")
    before = written()

    with pytest.raises(ConfigError) as caught:
        manager.add_connector(**({"token": SECRET} | given))

    assert SECRET not in str(caught.value)
    assert (written(), ring.stored, leftovers()) == (before, {}, [])


UNCHANGEABLE = [
    f"connectors = {{ known = {{ base_url = '{URL}' }} }}\n",
    "[connectors.known\n",
    "[defaults]\ntimeout = 1\n",
    "connectors = 1\n",
]


@pytest.mark.parametrize("text", UNCHANGEABLE)
def test_a_file_that_cannot_be_changed_is_told_and_no_secret_is_left(
    manager: ConfigManager, ring: MemoryKeyring, text: str
) -> None:
    file = declare(text)
    ring.stored["acme.token"] = "kept before"

    with pytest.raises(ConfigError, match=str(file)):
        manager.add_connector("acme", URL, token=SECRET)

    assert (written(), ring.stored, leftovers()) == (text, {"acme.token": "kept before"}, [])


def test_a_secret_that_cannot_be_kept_leaves_no_other_behind(manager: ConfigManager, ring: MemoryKeyring) -> None:
    ring.most = 1

    with pytest.raises(ConfigError, match="could not be stored"):
        manager.add_connector("acme", URL, "oauth2", client_id="id", client_secret=SECRET, token_url="/token")

    assert (written(), ring.stored) == ("", {})


def test_without_a_keyring_that_is_told_and_the_environment_offered(manager: ConfigManager) -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    before = declare("# mine\n").read_bytes()

    with pytest.raises(ConfigError, match=r"keyring:acme\.token could not be stored.*no keyring.*env:NAME") as caught:
        manager.add_connector("acme", URL, token=SECRET)

    assert SECRET not in str(caught.value)
    assert config_file().read_bytes() == before
    assert leftovers() == []


def test_without_a_keyring_references_are_added_and_entries_removed(manager: ConfigManager) -> None:
    manager.add_connector("old", URL, token=SECRET)
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]

    manager.add_connector("acme", URL, token="env:ACME_TOKEN")
    manager.remove_connector("old")

    assert manager.list_connectors() == ["acme"]
    assert ConnectorRegistry().get("acme").auth == AuthConfig.model_validate(
        {"type": "bearer", "token": "env:ACME_TOKEN"}
    )


def _no_space(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_written_stays_as_it_was(
    manager: ConfigManager, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    manager.add_connector("known", URL, token=SECRET)
    before = written(), dict(ring.stored)
    monkeypatch.setattr(os, step, _no_space)
    monkeypatch.setattr(Path, "replace", _no_space)

    with pytest.raises(ConfigError, match="No space left"):
        manager.add_connector("acme", URL, token=f"{SECRET}-2")
    with pytest.raises(ConfigError, match="No space left"):
        manager.remove_connector("known")

    assert (written(), ring.stored, leftovers()) == (*before, [])


def test_a_place_where_no_file_can_be_is_a_config_error(tmp_path: Path, ring: MemoryKeyring) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "link.toml").symlink_to(tmp_path / "not" / "there.toml")

    for place in ("file/config.toml", "folder.toml", "link.toml"):
        with pytest.raises(ConfigError, match=place.rpartition("/")[2]):
            ConfigManager(tmp_path / place).add_connector("acme", URL, token=SECRET)

    assert ring.stored == {}


def test_an_entry_that_another_one_extends_stays(tmp_path: Path) -> None:
    manager = ConfigManager(tmp_path / "config.toml")
    manager.add_connector("acme", URL)
    manager.add_connector("acme_two", extends="acme")

    with pytest.raises(ConfigError, match=r"acme_two in .* extends 'acme'"):
        manager.remove_connector("acme")

    assert manager.list_connectors() == ["acme", "acme_two"]


@pytest.mark.parametrize("token", ["$ACME_TOKEN", "${ACME_TOKEN}", "ENV:ACME_TOKEN", "env: ACME_TOKEN"])
def test_what_was_meant_as_a_reference_is_not_kept_as_the_secret(
    tmp_path: Path, ring: MemoryKeyring, token: str
) -> None:
    with pytest.raises(ConfigError, match=r"auth\.token: looks like a reference and is none; write env:NAME"):
        ConfigManager(tmp_path / "config.toml").add_connector("acme", URL, token=token)

    assert ring.stored == {}


def test_fields_that_are_no_texts_are_written_as_they_are(tmp_path: Path) -> None:
    ConfigManager(tmp_path / "config.toml").add_connector(
        "acme",
        URL,
        "oauth2",
        client_id="env:ID",
        client_secret="env:S",
        token_url="/t",
        scopes=["a", "b"],
        optional=True,
    )

    entry = tomllib.loads((tmp_path / "config.toml").read_text(encoding="utf-8"))["connectors"]["acme"]["auth"]
    assert (entry["scopes"], entry["optional"]) == (["a", "b"], True)


@pytest.mark.parametrize(
    ("name", "told"), [("env", "that environment variables describe"), ("github", "is known already .*github.toml")]
)
def test_a_name_that_hides_another_connector_is_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ConfigManager(tmp_path / "config.toml").add_connector(name, URL)
