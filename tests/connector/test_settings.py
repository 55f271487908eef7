"""What a connector needs of its user: settings and secrets, found or told by name; and secrets kept in the keyring."""

from collections.abc import Iterator
from typing import Any, NoReturn

import keyring
import keyring.errors
import pytest
from pydantic import SecretStr

from apikit_sql.connector.config import config_file
from apikit_sql.connector.manifest import ConnectorDefinition, Variable
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.settings import missing_settings, with_settings
from apikit_sql.errors import ConfigError
from apikit_sql.secrets import KEYRING_SERVICE, forget, is_stored, keep, kept, resolve
from tests.fakes.tokens import MemoryKeyring

SITE = 'base_url = "https://{site}.example.test"\nvariables.site = { env = "ACME_SITE", default = "fallback" }\n'
OAUTH: dict[str, str] = {"type": "oauth2", "client_id": "env:ACME_ID", "client_secret": "env:ACME_SECRET"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACME_SITE", "ACME_TENANT", "ACME_TOKEN", "ACME_ID", "ACME_SECRET"):
        monkeypatch.delenv(name, raising=False)


class LockedKeyring(MemoryKeyring):
    """A keyring that is there and lets nobody in."""

    def get_password(self, service: str, username: str) -> NoReturn:
        raise keyring.errors.KeyringLocked(service, username)

    def set_password(self, service: str, username: str, password: str) -> NoReturn:
        raise keyring.errors.KeyringLocked(service, username, password)

    def delete_password(self, service: str, username: str) -> NoReturn:
        raise keyring.errors.KeyringLocked(service, username)


@pytest.fixture(params=[MemoryKeyring])
def ring(request: pytest.FixtureRequest) -> Iterator[MemoryKeyring]:
    """The keyring of the operating system, for one test."""
    before, ring = keyring.get_keyring(), request.param()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def entry(text: str) -> ConnectorDefinition:
    """The connector `acme` of a config file that says `text`."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[connectors.acme]\n{text}", encoding="utf-8")
    return ConnectorRegistry().get("acme")


def acme(
    url: str = "https://acme.test", auth: dict[str, str] | None = None, **variables: Variable
) -> ConnectorDefinition:
    return ConnectorDefinition(
        name="acme", base_url=url, auth=AuthConfig.model_validate(auth or {"type": "none"}), variables=variables
    )


# --- settings of an entry


def test_a_setting_wins_over_the_environment_and_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SITE", "from-the-environment")

    assert entry(SITE + 'settings.site = "mine"\n').base_url == "https://mine.example.test"


def test_without_a_setting_the_environment_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [entry(SITE).base_url]

    monkeypatch.setenv("ACME_SITE", "from-the-environment")
    found.append(entry(SITE).base_url)

    assert found == ["https://fallback.example.test", "https://from-the-environment.example.test"]


def test_a_setting_fills_a_field_that_has_no_variable() -> None:
    found = entry('base_url = "https://{site}.example.test"\n[connectors.acme.settings]\nsite = "mine"\n')

    assert found.base_url == "https://mine.example.test"


def test_the_setting_of_the_nearest_entry_wins() -> None:
    bases = f'\n[connectors.b]\n{SITE}settings.site = "far"\n'

    found = entry(f'extends = "c"\nsettings.site = "near"\n[connectors.c]\nextends = "b"\n{bases}')

    assert found.base_url == "https://near.example.test"


def test_a_setting_fills_the_token_url_too() -> None:
    auth = '{ type = "oauth2", client_id = "env:A", client_secret = "env:B", token_url = "https://{tenant}.test/t" }'

    found = entry(f'base_url = "https://acme.test"\nauth = {auth}\nsettings.tenant = "mine"\n')

    assert found.auth.token_url == "https://mine.test/t"


@pytest.mark.parametrize("name", ["sight", "Site", "wibble"])
def test_a_setting_that_nothing_asks_for_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ACME_SITE", "another-account")

    with pytest.raises(ConfigError, match=rf"settings\.{name}: there is no such setting"):
        entry(SITE + f'settings.{name} = "mine"\n')


@pytest.mark.parametrize("value", ["'mine'", "['mine']", "5", "[{ site = 'mine' }]"])
def test_settings_that_are_no_table_are_told_to_be_one(value: str) -> None:
    with pytest.raises(ConfigError, match="settings: ") as caught:
        entry(SITE + f"settings = {value}\n")

    assert "no such setting" not in str(caught.value)


@pytest.mark.parametrize("value", ["5", "true", "['mine']", "{ site = 'mine' }", "2026-01-01"])
def test_a_setting_that_is_no_text_is_told_as_it_was_written(value: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.site: must be a text"):
        entry(SITE + f"settings.site = {value}\n")


@pytest.mark.parametrize("variables", ["variables = 5", "variables = ['site']", "variables.site = 'x'"])
def test_variables_that_are_no_tables_are_a_config_error_beside_settings_too(variables: str) -> None:
    with pytest.raises(ConfigError, match="variables"):
        entry(f'base_url = "https://{{site}}.example.test"\n{variables}\nsettings.site = "mine"\n')


@pytest.mark.parametrize(
    "value",
    [
        "evil.test", "evil.test/", "a/b", "a@evil", "a:80", "-a", "a-", "", "a" * 64, "ä", " a", "a\\n", "a#", "a?b",
        "%61", "{site}", "evil.test\\\\", "\\u0000",
    ],
)  # fmt: skip
def test_a_hostile_setting_cannot_change_the_host(value: str) -> None:
    with pytest.raises(ConfigError, match="is not a hostname label"):
        entry(SITE + f'settings.site = "{value}"\n')


# --- what is missing


@pytest.mark.parametrize(
    ("variables", "source"),
    [({"site": {"env": "ACME_SITE"}}, "ACME_SITE"), ({"site": {}}, "settings.site"), ({}, "settings.site")],
)
def test_a_missing_variable_is_told_by_where_it_is_looked_for(variables: dict[str, Any], source: str) -> None:
    connector = ConnectorDefinition(name="acme", base_url="https://{site}.test", variables=variables)

    assert missing_settings(connector) == (source,)
    with pytest.raises(ConfigError, match=rf"needs the setting 'site' .*(set|say) {source}\b"):
        with_settings(connector)


def test_a_missing_variable_of_the_token_url_is_told_with_what_to_set() -> None:
    auth = OAUTH | {"token_url": "https://{tenant}.test/t"}
    connector = acme(auth=auth, tenant=Variable(env="ACME_TENANT"))

    assert missing_settings(connector) == ("ACME_TENANT", "ACME_ID", "ACME_SECRET")
    with pytest.raises(ConfigError, match=r"needs the setting 'tenant' .*set ACME_TENANT\b"):
        with_settings(connector)


@pytest.mark.parametrize("value", ["", None])
def test_what_the_environment_leaves_empty_is_missing_unless_it_has_a_default(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("ACME_SITE", value)

    with_default = acme("https://{site}.test", site=Variable(env="ACME_SITE", default="x"))

    assert missing_settings(with_default) == ()
    assert missing_settings(acme("https://{site}.test", site=Variable(env="ACME_SITE"))) == ("ACME_SITE",)


def test_a_variable_that_no_url_asks_for_is_not_missing() -> None:
    assert missing_settings(acme(unused=Variable(env="ACME_SITE"))) == ()


def test_nothing_is_missing_once_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = OAUTH | {"token_url": "https://{tenant}.test/t"}
    connector = acme("https://{site}.test", auth, tenant=Variable(env="ACME_TENANT"), site=Variable(env="ACME_SITE"))
    assert missing_settings(connector) == ("ACME_SITE", "ACME_TENANT", "ACME_ID", "ACME_SECRET")

    for name in ("ACME_SITE", "ACME_TENANT", "ACME_ID", "ACME_SECRET"):
        monkeypatch.setenv(name, "x")

    assert missing_settings(connector) == ()


def test_what_is_missing_twice_is_told_once() -> None:
    auth = {"type": "basic", "username": "env:ACME_TOKEN", "password": "env:ACME_TOKEN"}

    assert missing_settings(acme(auth=auth)) == ("ACME_TOKEN",)


def test_optional_auth_is_never_missing() -> None:
    auth = AuthConfig(type="bearer", token=SecretStr("env:ACME_TOKEN"), optional=True)

    assert missing_settings(ConnectorDefinition(name="acme", base_url="https://acme.test", auth=auth)) == ()


def test_a_literal_secret_is_not_missing_and_not_told() -> None:
    assert missing_settings(acme(auth={"type": "bearer", "token": "s3cret"})) == ()


def test_a_secret_of_the_keyring_is_missing_until_it_is_stored(ring: MemoryKeyring) -> None:
    connector = acme(auth={"type": "bearer", "token": "keyring:acme.token"})
    assert missing_settings(connector) == ("keyring:acme.token",)

    ring.set_password(KEYRING_SERVICE, "acme.token", "s3cret")

    assert missing_settings(connector) == ()


@pytest.mark.parametrize("ring", [LockedKeyring], indirect=True)
@pytest.mark.usefixtures("ring")
def test_without_a_keyring_its_secrets_are_missing_and_no_error() -> None:
    assert missing_settings(acme(auth={"type": "bearer", "token": "keyring:acme.token"})) == ("keyring:acme.token",)


# --- what is kept


def test_what_is_kept_is_found_by_its_reference_and_forgotten_again(ring: MemoryKeyring) -> None:
    keep("acme.token", "s3cret")
    found = resolve("keyring:acme.token"), kept("acme.token"), is_stored("keyring:acme.token")

    forget("acme.token")

    assert found == ("s3cret", "s3cret", True)
    assert (kept("acme.token"), is_stored("keyring:acme.token"), ring.stored) == (None, False, {})


@pytest.mark.usefixtures("ring")
def test_what_was_never_kept_can_be_forgotten() -> None:
    forget("acme.token")

    assert kept("acme.token") is None


@pytest.mark.parametrize("ring", [LockedKeyring], indirect=True)
@pytest.mark.usefixtures("ring")
def test_a_keyring_that_lets_nobody_in_keeps_nothing_and_offers_the_environment() -> None:
    with pytest.raises(
        ConfigError, match=r"keyring:acme\.token could not be stored \(KeyringLocked\).*env:NAME"
    ) as told:
        keep("acme.token", "s3cret")

    forget("acme.token")
    assert "s3cret" not in str(told.value)
    assert (kept("acme.token"), is_stored("keyring:acme.token")) == (None, False)


@pytest.mark.parametrize("text", ["env:ACME_TOKEN", "keyring:acme.token"])
def test_a_secret_that_is_stored_empty_is_not_there(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ACME_TOKEN", "")
    ring.set_password(KEYRING_SERVICE, "acme.token", "")

    assert not is_stored(text)
    assert missing_settings(acme(auth={"type": "bearer", "token": text})) == (text.removeprefix("env:"),)


def test_a_text_that_is_no_reference_is_there() -> None:
    assert is_stored("s3cret")
    assert is_stored("Bearer env:ACME_TOKEN")
