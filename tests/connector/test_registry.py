"""Manifests found, read and named; what is wrong with one is told with its file and its key."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from apikit_sql.connector.config import config_file
from apikit_sql.connector.findings import explain
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.settings import with_settings
from apikit_sql.errors import ConfigError, ConnectorNotFoundError

LEAST = 'name = "api"\nbase_url = "https://api.test"\n'
SITE = 'name = "jira"\nbase_url = "https://{site}.atlassian.net"\n'


def manifest(folder: Path, text: str = LEAST, name: str = "api") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def read(file: Path) -> ConnectorDefinition:
    """The connector that the manifest `file` declares."""
    registry = ConnectorRegistry([])
    return registry.definition(registry.add_file(file))


BUILT_IN = [
    "airtable", "demo", "github", "hubspot", "jira", "jsonplaceholder", "notion", "salesforce", "shopify", "stripe",
]  # fmt: skip


def test_the_built_in_connectors_are_known() -> None:
    assert ConnectorRegistry().names() == BUILT_IN


def test_the_folder_beside_the_config_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "mine" / "config.toml"))
    manifest(tmp_path / "mine" / "connectors")

    registry = ConnectorRegistry()

    assert registry.names() == sorted([*BUILT_IN, "api"])
    assert registry.get("api").base_url == "https://api.test"


def test_without_a_setting_the_config_file_is_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APIKIT_CONFIG_PATH")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)

    assert config_file() == tmp_path / ".config" / "apikit" / "config.toml"


def test_a_users_manifest_wins_over_a_built_in_one(tmp_path: Path) -> None:
    manifest(tmp_path / "a", 'name = "api"\nbase_url = "https://old.test"\n')
    manifest(tmp_path / "b", 'name = "api"\nbase_url = "https://new.test"\n')

    registry = ConnectorRegistry([tmp_path / "a", tmp_path / "missing", tmp_path / "b"])

    assert registry.names() == ["api"]
    assert registry.get("api").base_url == "https://new.test"


def test_other_files_are_no_manifests(tmp_path: Path) -> None:
    manifest(tmp_path)
    (tmp_path / "README.md").write_text("x", encoding="utf-8")

    assert ConnectorRegistry([tmp_path]).names() == ["api"]


def test_a_manifest_is_read_only_when_it_is_asked_for(tmp_path: Path) -> None:
    registry = ConnectorRegistry([manifest(tmp_path).parent])

    manifest(tmp_path, "broken", "other")

    assert registry.get("api").base_url == "https://api.test"


def test_a_manifest_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    registry = ConnectorRegistry([manifest(tmp_path).parent])
    first, again = registry.definition("api"), registry.definition("api")

    manifest(tmp_path, LEAST + "timeout = 7\n")

    assert again is first
    assert registry.get("api").timeout == 7


def test_a_file_given_by_path_is_known_by_its_own_name(tmp_path: Path) -> None:
    registry = ConnectorRegistry([])

    name = registry.add_file(manifest(tmp_path, name="anything"))

    assert name == "api"
    assert registry.names() == ["api"]
    assert registry.get("api").base_url == "https://api.test"


@pytest.mark.parametrize(
    ("asked", "near"), [("githb", "github"), ("jsonplaceholders", "jsonplaceholder"), ("GitHub", "github")]
)
def test_an_unknown_name_is_answered_with_near_ones(asked: str, near: str) -> None:
    with pytest.raises(ConnectorNotFoundError, match=f"no connector is named '{asked}'. Did you mean {near}?"):
        ConnectorRegistry().get(asked)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ConnectorNotFoundError, match=rf"Known: {', '.join(BUILT_IN)}\..*base URL"):
        ConnectorRegistry().get("xyzzy")


@pytest.mark.parametrize("name", ["../api", "/etc/passwd", "", "api.toml"])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    manifest(tmp_path)

    with pytest.raises(ConnectorNotFoundError):
        ConnectorRegistry([tmp_path]).get(name)


def test_a_manifest_is_named_like_its_file(tmp_path: Path) -> None:
    manifest(tmp_path, name="other")

    with pytest.raises(ConfigError, match=r"other\.toml: the manifest's name is 'api'; it stands under 'other'"):
        ConnectorRegistry([tmp_path]).get("other")


@pytest.mark.parametrize("name", ["My-API", "1api", "api.test", "ä"])
def test_a_manifests_name_can_be_written_in_sql_unquoted(name: str, tmp_path: Path) -> None:
    file = manifest(tmp_path, LEAST.replace('"api"', f'"{name}"'))

    with pytest.raises(ConfigError, match=r"api\.toml.*lower case letters"):
        read(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "cannot be read as TOML"),
        ("", "base_url: is needed"),
        (LEAST + "wibble = 1", "wibble: "),
        (LEAST + "[auth]\ntype = 'magic'", "auth.type: "),
        (LEAST + "auth = 'bearer'", "auth: "),
        (LEAST + "auth = ['bearer']", "auth: "),
        (LEAST + "[streams.x]\npath = 'x'", "streams.x.path: "),
        (
            LEAST + "[streams.x]\npath = '/x'\ncolumns = { a = 'WIBBLE' }",
            "streams.x.columns.a.type: 'WIBBLE' is not a column type",
        ),
        (LEAST + "[pagination]\nstrategy = 'page'", "pagination: strategy 'page' needs page_param"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told_with_its_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = manifest(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        read(file)

    assert str(file) in str(caught.value)
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')

    for name in ("missing.toml", "folder.toml", "latin.toml"):
        with pytest.raises(ConfigError, match=f"{name} cannot be read as a manifest"):
            read(tmp_path / name)


@pytest.mark.parametrize("field", ["token", "api_key", "password", "client_secret", "refresh_token"])
@pytest.mark.parametrize("value", ['"s3cret"', '"env:"', '["s3cret"]', '"Bearer env:X"', '""'])
def test_a_secret_in_a_manifest_is_refused_and_not_shown(tmp_path: Path, field: str, value: str) -> None:
    file = manifest(tmp_path, LEAST + f'[auth]\ntype = "bearer"\n{field} = {value}\n')

    with pytest.raises(ConfigError, match=f"auth.{field}: must be a reference") as caught:
        read(file)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[headers]\nAuthorization = "Bearer s3cret"\n',
        '[headers]\nX-Api-Key = "s3cret"\n',
        '[streams.x]\npath = "/x"\nparams = { api_key = "s3cret" }\n',
    ],
)
def test_a_secret_outside_of_auth_is_refused_too_and_not_shown(tmp_path: Path, text: str) -> None:
    file = manifest(tmp_path, LEAST + text)

    with pytest.raises(ConfigError) as caught:
        read(file)

    assert "s3cret" not in str(caught.value)


def test_references_stand_in_a_manifest_and_a_user_name_too(tmp_path: Path) -> None:
    file = manifest(tmp_path, LEAST + '[auth]\ntype = "basic"\nusername = "ann"\npassword = "keyring:api"\n')

    auth = read(file).auth

    assert auth.password is not None
    assert auth.password.get_secret_value() == "keyring:api"


def test_a_setting_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_SITE", "acme")
    manifest(tmp_path, SITE + '[variables]\nsite = { env = "JIRA_SITE", default = "fallback" }\n', "jira")

    assert ConnectorRegistry([tmp_path]).get("jira").base_url == "https://acme.atlassian.net"


def test_a_setting_is_read_anew_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(tmp_path, SITE + '[variables]\nsite = { env = "JIRA_SITE" }\n', "jira")
    registry = ConnectorRegistry([tmp_path])
    found = []

    for site in ("acme", "other"):
        monkeypatch.setenv("JIRA_SITE", site)
        found.append(registry.get("jira").base_url)

    assert found == ["https://acme.atlassian.net", "https://other.atlassian.net"]


@pytest.mark.parametrize("variable", ['{ default = "fallback" }', '{ env = "JIRA_SITE", default = "fallback" }'])
def test_a_setting_that_is_not_there_has_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("JIRA_SITE", "")
    manifest(tmp_path, SITE + f"[variables]\nsite = {variable}\n", "jira")

    assert ConnectorRegistry([tmp_path]).get("jira").base_url == "https://fallback.atlassian.net"


def test_a_missing_setting_is_told_with_the_variable_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JIRA_SITE", raising=False)
    manifest(tmp_path, SITE + '[variables]\nsite = { env = "JIRA_SITE" }\n', "jira")

    with pytest.raises(ConfigError, match="jira needs the setting 'site'") as caught:
        ConnectorRegistry([tmp_path]).get("jira")

    assert "JIRA_SITE" in str(caught.value)


def test_a_field_of_the_base_url_that_is_not_declared_is_missing(tmp_path: Path) -> None:
    manifest(tmp_path, SITE, "jira")

    with pytest.raises(ConfigError, match="jira needs the setting 'site'"):
        ConnectorRegistry([tmp_path]).get("jira")


def test_a_hostile_setting_cannot_change_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_SITE", "evil.test/")
    manifest(tmp_path, SITE + '[variables]\nsite = { env = "JIRA_SITE" }\n', "jira")

    with pytest.raises(ConfigError, match="is not a hostname label"):
        ConnectorRegistry([tmp_path]).get("jira")


def test_a_base_url_without_fields_stays() -> None:
    connector = ConnectorDefinition(name="api", base_url="https://api.test")

    assert with_settings(connector) is connector


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"name": "s3cret/", "base_url": "https://api.test"}, "name: String should match"),
        ({"name": "a", "base_url": "https://user:s3cret@api.test"}, "base_url: must be 'https:"),
        ({"name": "a", "base_url": "https://api.test", "timeout": "s3cret"}, "timeout: "),
        ("s3cret", "must be an object: {...}"),
    ],
)
def test_an_explanation_names_the_key_and_never_the_value(data: Any, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ConnectorDefinition.model_validate(data)

    assert told in explain(caught.value)
    assert "s3cret" not in explain(caught.value)


def test_a_manifest_that_comes_later_is_found_and_so_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path))
    registry = ConnectorRegistry()
    with pytest.raises(ConnectorNotFoundError, match=f"Your own are read from {tmp_path / 'config.toml'}"):
        registry.get("late")
    (tmp_path / "connectors").mkdir()

    (tmp_path / "connectors" / "late.toml").write_text('name = "late"\nbase_url = "https://late.test"\n')

    assert registry.get("late").base_url == "https://late.test"
    assert "late" in registry.names()


def test_a_host_is_answered_with_its_base_url() -> None:
    with pytest.raises(
        ConnectorNotFoundError, match=r"A base URL works too: apikit\('https://api.acme.test', '/path'\)"
    ):
        ConnectorRegistry([]).get("api.acme.test")
