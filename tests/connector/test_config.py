"""Connectors of a user's own: where the config file is, what it declares, and which place of a name wins."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import apikit_sql
from apikit_sql.connector.config import config_file
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.errors import AuthError, ConfigError, ConnectorNotFoundError
from tests.fakes.api import FakeApi

ACME = '[connectors.acme]\nbase_url = "https://acme.test"\n'


def declare(text: str) -> Path:
    """The user's config file, which says `text`."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def in_folder(name: str, text: str) -> Path:
    folder = config_file().parent / "connectors"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / f"{name}.toml"


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectorRegistry, "_registered", {})


# --- where it is


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("mine/settings.toml", "mine/settings.toml"),
        ("mine", "mine/config.toml"),
        ("mine/not/there", "mine/not/there/config.toml"),
        ("folder.toml", "folder.toml/config.toml"),
    ],
)
def test_the_config_file_is_the_given_file_or_stands_in_the_given_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, found: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "folder.toml").mkdir()

    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / given))

    assert config_file() == tmp_path / found


def test_a_given_file_may_have_any_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "apikit.conf"
    file.write_text(ACME, encoding="utf-8")

    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(file))

    assert config_file() == file
    assert "acme" in ConnectorRegistry.list()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    monkeypatch.setenv("APIKIT_CONFIG_PATH", "~/apikit")

    assert config_file() == tmp_path / "apikit" / "config.toml"


def test_a_home_folder_of_nobody_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", "~nobody-of-this-name/apikit")

    with pytest.raises(ConfigError, match="APIKIT_CONFIG_PATH"):
        ConnectorRegistry().get("github")


def test_without_a_config_file_nothing_is_made_and_what_is_built_in_is_known() -> None:
    names = ConnectorRegistry().names()

    assert "github" in names
    assert not config_file().parent.exists()


# --- what it declares


@pytest.mark.parametrize(
    "text",
    [
        '[connectors.acme]\nbase_url = "https://acme.test"\nauth = { type = "bearer", token = "env:T" }\n',
        '[connectors.acme]\nbase_url = "https://acme.test"\nauth.type = "bearer"\nauth.token = "env:T"\n',
        '[connectors]\nacme = { base_url = "https://acme.test", auth = { type = "bearer", token = "env:T" } }\n',
        'connectors.acme = {name = "acme", base_url = "https://acme.test", auth = {type = "bearer", token = "env:T"}}',
        '[connectors.acme.auth]\ntype = "bearer"\ntoken = "env:T"\n[connectors.acme]\nbase_url = "https://acme.test"',
    ],
)
def test_an_entry_is_a_whole_manifest_however_it_is_written(text: str) -> None:
    declare(text)

    connector = ConnectorRegistry().get("acme")

    auth = AuthConfig(type="bearer", token=SecretStr("env:T"))
    assert connector == ConnectorDefinition(name="acme", base_url="https://acme.test", auth=auth)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[connector.acme]\n", r"connector means nothing here; write \[connectors\.NAME\]"),
        (ACME + "[defaults]\ntimeout = 1\n", "defaults means nothing here"),
        ("wibble = 1\n", "wibble means nothing here"),
        ("connectors = 1\n", "connectors means nothing here"),
        ("[[connectors]]\nname = 'acme'\n", "connectors means nothing here"),
        ("[connectors]\nacme = 'https://acme.test'\n", r"connectors\.acme is not a table; write \[connectors\.acme\]"),
    ],
)
def test_what_means_nothing_in_a_config_file_is_told_with_the_file(text: str, told: str) -> None:
    file = declare(text)

    with pytest.raises(ConfigError, match=told) as caught:
        ConnectorRegistry().names()

    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('base_url = "https://acme.test"\nwibble = 1\n', "wibble: there is no such setting"),
        ('name = "other"\nbase_url = "https://acme.test"\n', "name is 'other'; it stands under 'acme'"),
        ('base_url = "https://acme.test"\nauth = { type = "bearer", token = "s3cret" }\n', "auth.token: must be a ref"),
    ],
)
def test_a_wrong_entry_is_told_with_its_place_and_harms_no_other(entry: str, told: str) -> None:
    file = declare(f"[connectors.acme]\n{entry}")
    registry = ConnectorRegistry()

    with pytest.raises(ConfigError) as caught:
        registry.get("acme")

    assert f"{file} [connectors.acme]" in str(caught.value)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert registry.get("github").name == "github"
    assert registry.names() == sorted({*ConnectorRegistry.list(), "acme"})


def test_an_entry_whose_name_cannot_stand_in_sql_is_refused() -> None:
    declare('[connectors."My.API"]\nbase_url = "https://acme.test"\n')

    with pytest.raises(ConfigError, match=r"'My\.API' must be lower case letters"):
        ConnectorRegistry().get("My.API")


# --- when it changes


def test_a_config_file_that_breaks_is_told_with_its_line_and_nothing_is_asked_in_its_stead() -> None:
    registry = ConnectorRegistry()
    file = declare('[connectors.github]\nextends = "github"\ntimeout = 7\n')
    assert registry.get("github").timeout == 7

    declare('[connectors.github]\nextends = "github"\ntimeout = \n')

    for name in ("github", "jira"):  # the file may mean another account of either
        with pytest.raises(ConfigError, match=rf"{file} cannot be read as TOML: .*line 3"):
            registry.get(name)


def test_a_config_file_that_is_mended_or_deleted_is_read_anew() -> None:
    registry = ConnectorRegistry()
    declare("[connectors.acme")
    with pytest.raises(ConfigError):
        registry.get("acme")

    file = declare(ACME)
    mended = registry.get("acme")
    file.unlink()

    assert mended.base_url == "https://acme.test"
    assert "acme" not in registry.names()
    with pytest.raises(ConnectorNotFoundError, match="no connector is named 'acme'"):
        registry.get("acme")


@pytest.mark.parametrize("text", ["x = " + "[" * 2000 + "]" * 2000, "x = " + "1" * 5000, 'x = "\udc80"'])
def test_what_no_reader_of_toml_can_take_is_a_config_error(text: str) -> None:
    file = declare("")
    file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        ConnectorRegistry().get("github")


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_change_of_the_same_size_within_the_same_second_is_seen(*, is_replaced: bool) -> None:
    file = declare(ACME)
    os.utime(file, ns=(10**18, 10**18))
    registry = ConnectorRegistry()
    assert registry.get("acme").base_url == "https://acme.test"

    target = file.with_name("new.toml") if is_replaced else file
    target.write_text(ACME.replace("https://acme", "https://acne"), encoding="utf-8")
    os.utime(target, ns=(10**18, 10**18 + (0 if is_replaced else 1)))
    target.replace(file)

    assert registry.get("acme").base_url == "https://acne.test"


def test_a_base_that_changes_changes_what_extends_it() -> None:
    base = in_folder("base", 'base_url = "https://old.test"\n')
    declare('[connectors.acme]\nextends = "base"\n')
    registry = ConnectorRegistry()
    assert registry.get("acme").base_url == "https://old.test"

    base.write_text('base_url = "https://new.test"\n', encoding="utf-8")

    assert registry.get("acme").base_url == "https://new.test"


# --- which place wins


def test_of_one_name_a_file_by_path_wins_then_a_function_then_the_config_file_then_its_folder(tmp_path: Path) -> None:
    registry = ConnectorRegistry()
    found = [registry.get("github").base_url]

    in_folder("github", 'base_url = "https://folder.test"\n')
    found.append(registry.get("github").base_url)
    declare('[connectors.github]\nbase_url = "https://config.test"\n')
    found.append(registry.get("github").base_url)
    ConnectorRegistry.register(lambda: ConnectorDefinition(name="github", base_url="https://function.test"))
    found.append(registry.get("github").base_url)
    (tmp_path / "any.toml").write_text('name = "github"\nbase_url = "https://file.test"\n', encoding="utf-8")
    registry.add_file(tmp_path / "any.toml")
    found.append(registry.get("github").base_url)

    hosts = ["api.github.com", "folder.test", "config.test", "function.test", "file.test"]
    assert found == [f"https://{host}" for host in hosts]


@pytest.mark.parametrize("is_found_first", [True, False])
def test_a_file_without_a_name_is_named_like_its_file_by_path_and_in_the_folder(*, is_found_first: bool) -> None:
    file = in_folder("acme", 'base_url = "https://acme.test"\n')
    registry = ConnectorRegistry()
    if is_found_first:
        registry.get("acme")

    name = registry.add_file(file)

    assert name == "acme"
    assert registry.get("acme").base_url == "https://acme.test"


def test_a_file_given_by_path_is_still_found_under_its_own_name_only() -> None:
    file = in_folder("other", 'name = "acme"\nbase_url = "https://acme.test"\n')
    registry = ConnectorRegistry()

    assert registry.add_file(file) == "acme"

    with pytest.raises(ConfigError, match="name is 'acme'; it stands under 'other'"):
        registry.get("other")


@pytest.mark.parametrize("text", [ACME, ACME + '[connectors.b]\nbase_url = "https://b.test"\n'])
def test_a_config_file_is_no_manifest(text: str) -> None:
    file = declare(text)
    registry = ConnectorRegistry()
    registry.names()

    with pytest.raises(ConfigError, match="connectors: there is no such setting"):
        registry.add_file(file)


# --- functions


def test_a_registered_function_is_known_to_every_session_also_to_those_before() -> None:
    before = ConnectorRegistry()

    @ConnectorRegistry.register
    def acme() -> ConnectorDefinition:
        return ConnectorDefinition(name="acme", base_url="https://acme.test")

    assert acme().base_url == "https://acme.test"
    assert before.get("acme") == ConnectorRegistry().get("acme") == acme()
    assert before.where("acme").endswith("acme")
    assert ConnectorRegistry.list() == before.names()
    assert "acme" in ConnectorRegistry.list()


def test_a_name_registered_again_is_replaced() -> None:
    ConnectorRegistry.register(lambda: ConnectorDefinition(name="acme", base_url="https://old.test"))

    ConnectorRegistry.register(lambda: ConnectorDefinition(name="acme", base_url="https://new.test"))

    assert ConnectorRegistry().get("acme").base_url == "https://new.test"


@pytest.mark.parametrize("returned", [None, {"name": "acme", "base_url": "https://acme.test"}, "acme"])
def test_a_function_that_returns_no_definition_is_refused(returned: Any) -> None:
    def acme() -> Any:
        return returned

    with pytest.raises(ConfigError, match=rf"acme returned {type(returned).__name__}; a ConnectorDefinition is needed"):
        ConnectorRegistry.register(acme)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "My-API"}, "name: 'My-API' must be lower case"),
        ({"name": "acme", "headers": {"Authorization": "s3cret"}}, "headers.Authorization: carries a credential"),
    ],
)
def test_a_definition_that_is_wrong_is_refused_and_not_known(given: dict[str, Any], told: str) -> None:
    def acme() -> ConnectorDefinition:
        return ConnectorDefinition(base_url="https://acme.test", **given)

    with pytest.raises(ConfigError, match=told) as caught:
        ConnectorRegistry.register(acme)

    assert acme.__qualname__ in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert given["name"] not in ConnectorRegistry.list()


def test_any_callable_can_be_registered() -> None:
    acme: Callable[[], ConnectorDefinition] = functools.partial(
        ConnectorDefinition, name="acme", base_url="https://acme.test"
    )

    ConnectorRegistry.register(acme)

    assert ConnectorRegistry().get("acme").base_url == "https://acme.test"


def test_a_literal_secret_of_a_function_is_sent_and_never_shown(api: FakeApi, session: Session) -> None:
    auth = AuthConfig(type="bearer", token=SecretStr("s3cret-of-acme"))
    ConnectorRegistry.register(lambda: ConnectorDefinition(name="acme", base_url="https://acme.test", auth=auth))
    connector = session.connector("acme")
    api.routes["/denied"] = lambda request: httpx.Response(401, json={"message": request.headers["authorization"]})

    with apikit_sql.connect(session=session) as con, pytest.raises(AuthError) as caught:
        con.execute("FROM apikit('acme', '/denied')").fetchall()

    assert api.seen[-1].headers["authorization"] == "Bearer s3cret-of-acme"
    assert "s3cret-of-acme" not in str(caught.value)
    assert "s3cret-of-acme" not in repr(connector)
