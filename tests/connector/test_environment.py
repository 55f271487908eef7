"""The connector `env`: an API described by environment variables alone; and where a token URL leads."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from apikit_sql.connector.environment import connector_of, is_described
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import ConfigError, ConnectorNotFoundError

SECRET = "s3cr3t-0f-mine"
BASE = {"API_BASE_URL": "https://api.test/v1"}
VARIABLES = [
    "API_BASE_URL", "BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "TOKEN_PATH", "APIKIT_TOKEN", "APIKIT_API_KEY",
    "MAX_RETRIES", "BACKOFF_FACTOR", "CONCURRENCY_LIMIT", "RATE_THRESHOLD",
]  # fmt: skip
OAUTH = 'type = "oauth2"\nclient_id = "env:CLIENT_ID"\nclient_secret = "env:CLIENT_SECRET"\n'


@pytest.fixture(autouse=True)
def _nothing_described(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def described(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ConnectorDefinition:
    for name, value in (BASE | variables).items():
        monkeypatch.setenv(name, value)
    return ConnectorRegistry([]).get("env")


# --- the connector


def test_a_base_url_is_enough() -> None:
    connector = connector_of(BASE)

    assert (connector.name, connector.base_url) == ("env", "https://api.test/v1")
    assert connector.auth == AuthConfig()
    assert (connector.retry.max_attempts, connector.retry.min_wait) == (3, 1.0)
    assert (connector.concurrency, connector.rate_limit.warn_above) == (10, 100)


@pytest.mark.parametrize(
    ("environ", "base_url"),
    [
        ({"BASE_URL": "https://old.test"}, "https://old.test"),
        ({"API_BASE_URL": "https://new.test", "BASE_URL": "https://old.test"}, "https://new.test"),
        ({"API_BASE_URL": "", "BASE_URL": "https://old.test"}, "https://old.test"),
    ],
)
def test_the_base_url_has_two_names(environ: dict[str, str], base_url: str) -> None:
    assert is_described(environ)
    assert connector_of(environ).base_url == base_url


@pytest.mark.parametrize("half", [{"CLIENT_ID": "shop"}, {"CLIENT_SECRET": SECRET}])
def test_half_of_an_oauth_client_is_told(half: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="of CLIENT_ID and CLIENT_SECRET only one is set") as raised:
        connector_of(BASE | half | {"APIKIT_TOKEN": "other"})

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("environ", [{}, {"API_BASE_URL": ""}, {"CLIENT_ID": "x", "CLIENT_SECRET": SECRET}])
def test_without_a_base_url_it_says_what_to_set(environ: dict[str, str]) -> None:
    assert not is_described(environ)
    with pytest.raises(ConfigError, match=r"'env'.*API_BASE_URL.*Set it") as raised:
        connector_of(environ)

    assert SECRET not in str(raised.value)


def test_client_id_and_secret_are_oauth2() -> None:
    auth = connector_of(BASE | {"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET}).auth

    assert (auth.type, told(auth.client_id), told(auth.client_secret)) == (
        "oauth2",
        "env:CLIENT_ID",
        "env:CLIENT_SECRET",
    )
    assert auth.token_url == "/oauth2/token"


def test_the_token_path_is_the_users() -> None:
    auth = connector_of(BASE | {"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET, "TOKEN_PATH": "/login/token"}).auth

    assert auth.token_url == "/login/token"


@pytest.mark.parametrize(
    ("variables", "kind", "reference"),
    [
        ({"APIKIT_TOKEN": SECRET}, "bearer", "env:APIKIT_TOKEN"),
        ({"APIKIT_API_KEY": SECRET}, "apikey", "env:APIKIT_API_KEY"),
        ({"APIKIT_TOKEN": SECRET, "APIKIT_API_KEY": SECRET}, "bearer", "env:APIKIT_TOKEN"),
        ({"APIKIT_TOKEN": "", "APIKIT_API_KEY": SECRET}, "apikey", "env:APIKIT_API_KEY"),
        ({"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET, "APIKIT_TOKEN": SECRET}, "oauth2", "env:CLIENT_ID"),
    ],
)
def test_a_secret_is_referred_to_and_never_held(variables: dict[str, str], kind: str, reference: str) -> None:
    connector = connector_of(BASE | variables)

    assert connector.auth.type == kind
    assert reference in {
        told(each) for each in (connector.auth.token, connector.auth.api_key, connector.auth.client_id)
    }
    assert SECRET not in connector.model_dump_json() + repr(connector)
    assert SECRET not in " ".join(str(told(value)) for value in vars(connector.auth).values() if _is_secret(value))


def _is_secret(value: object) -> bool:
    return isinstance(value, SecretStr)


def test_the_numbers_are_the_users() -> None:
    numbers = {"MAX_RETRIES": "7", "BACKOFF_FACTOR": "0.5", "CONCURRENCY_LIMIT": "2", "RATE_THRESHOLD": "1000"}

    connector = connector_of(BASE | numbers)

    assert (connector.retry.max_attempts, connector.retry.min_wait) == (7, 0.5)
    assert (connector.concurrency, connector.rate_limit.warn_above) == (2, 1000)


def test_a_number_that_is_empty_is_as_if_it_were_not_set() -> None:
    assert connector_of(BASE | {"MAX_RETRIES": "", "RATE_THRESHOLD": ""}) == connector_of(BASE)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_RETRIES", "many"),
        ("MAX_RETRIES", "2.5"),
        ("MAX_RETRIES", "-1"),
        ("BACKOFF_FACTOR", "slow"),
        ("BACKOFF_FACTOR", "-0.1"),
        ("BACKOFF_FACTOR", "nan"),
        ("CONCURRENCY_LIMIT", "0"),
        ("CONCURRENCY_LIMIT", "1e3x"),
        ("RATE_THRESHOLD", "0"),
        ("RATE_THRESHOLD", "lots"),
        ("API_BASE_URL", "api.test"),
        ("API_BASE_URL", "ftp://api.test"),
    ],
)
def test_what_is_wrong_names_its_variable_and_no_other(variable: str, value: str) -> None:
    environ = BASE | {"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET, variable: value}

    with pytest.raises(ConfigError, match=f"the connector 'env': {variable}: ") as raised:
        connector_of(environ)

    assert [name for name in VARIABLES if name in str(raised.value)] == [name for name in VARIABLES if name in variable]
    assert SECRET not in str(raised.value)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        connector_of(BASE | {"MAX_RETRIES": "many", "RATE_THRESHOLD": "lots"})

    assert "MAX_RETRIES: " in str(raised.value)
    assert "RATE_THRESHOLD: " in str(raised.value)


@pytest.mark.parametrize("path", ["oauth2/token", "/token?x=1", "/to ken", "/token#x", "https://user@login.test/token"])
def test_a_token_path_that_is_none_is_named(path: str) -> None:
    with pytest.raises(ConfigError, match="TOKEN_PATH: "):
        connector_of(BASE | {"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET, "TOKEN_PATH": path})


@pytest.mark.parametrize("variable", ["API_BASE_URL", "TOKEN_PATH", "MAX_RETRIES"])
def test_a_secret_in_the_wrong_place_is_not_repeated(variable: str) -> None:
    environ = BASE | {"CLIENT_ID": "shop", "CLIENT_SECRET": SECRET, variable: f"https://ann:{SECRET}@api.test"}

    with pytest.raises(ConfigError) as raised:
        connector_of(environ)

    assert SECRET not in str(raised.value)


# --- by its name


def test_it_is_listed_only_when_it_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ConnectorRegistry([])
    assert registry.names() == []

    monkeypatch.setenv("BASE_URL", "https://api.test")
    assert registry.names() == ["env"]

    monkeypatch.setenv("BASE_URL", "")
    assert registry.names() == []


def test_it_is_told_what_to_set_when_it_is_asked_for_undescribed() -> None:
    with pytest.raises(ConfigError, match=r"API_BASE_URL.*Set it") as raised:
        ConnectorRegistry([]).get("env")

    assert not isinstance(raised.value, ConnectorNotFoundError)


def test_it_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, found = ConnectorRegistry([]), []

    for site in ("one", "two"):
        monkeypatch.setenv("API_BASE_URL", f"https://{site}.test")
        found.append(registry.get("env").base_url)

    assert found == ["https://one.test", "https://two.test"]


def test_a_manifest_of_that_name_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_BASE_URL", "https://api.test")
    (tmp_path / "env.toml").write_text('name = "env"\nbase_url = "https://mine.test"\n', encoding="utf-8")

    assert ConnectorRegistry([tmp_path]).get("env").base_url == "https://mine.test"


# --- where a token URL leads


@pytest.mark.parametrize("base_url", ["https://api.test/v1", "https://api.test/v1/"])
def test_a_token_path_stands_behind_the_base_url(monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    connector = described(monkeypatch, API_BASE_URL=base_url, CLIENT_ID="shop", CLIENT_SECRET=SECRET)

    assert connector.auth.token_url == "https://api.test/v1/oauth2/token"
    assert told(connector.auth.client_secret) == "env:CLIENT_SECRET"


def test_a_token_path_never_leaves_the_host_of_the_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = described(monkeypatch, CLIENT_ID="shop", CLIENT_SECRET=SECRET, TOKEN_PATH="//evil.test/token")

    assert (connector.auth.token_url or "").startswith("https://api.test/")


def test_a_whole_token_url_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    connector = described(monkeypatch, CLIENT_ID="shop", CLIENT_SECRET=SECRET, TOKEN_PATH="https://login.test/token")

    assert connector.auth.token_url == "https://login.test/token"


def test_secrets_are_not_taken_out_of_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="TOKEN_PATH: must be https"):
        described(monkeypatch, CLIENT_ID="shop", CLIENT_SECRET=SECRET, TOKEN_PATH="http://login.test/token")


@pytest.mark.parametrize("token_url", ["http://127.0.0.1:8080/token", "https://login.test/token", "/token"])
def test_an_api_without_tls_may_have_its_tokens_without(monkeypatch: pytest.MonkeyPatch, token_url: str) -> None:
    connector = described(
        monkeypatch, API_BASE_URL="http://127.0.0.1:8080", CLIENT_ID="shop", CLIENT_SECRET=SECRET, TOKEN_PATH=token_url
    )

    assert (connector.auth.token_url or "").endswith("/token")


def site(folder: Path, token_url: str, base_url: str = "https://{site}.api.test") -> ConnectorRegistry:
    text = f'name = "shop"\nbase_url = "{base_url}"\n[auth]\n{OAUTH}token_url = "{token_url}"\n'
    text += '[variables]\nsite = { env = "SHOP_SITE", default = "main" }\n'
    (folder / "shop.toml").write_text(text, encoding="utf-8")
    return ConnectorRegistry([folder])


@pytest.mark.parametrize(
    ("token_url", "whole"),
    [
        ("/token", "https://acme.api.test/token"),
        ("https://{site}.login.test/token", "https://acme.login.test/token"),
        ("https://login.test/{site}/token", "https://login.test/acme/token"),
        ("https://login.test/token", "https://login.test/token"),
    ],
)
def test_a_token_url_has_the_settings_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token_url: str, whole: str
) -> None:
    monkeypatch.setenv("SHOP_SITE", "acme")

    connector = site(tmp_path, token_url).get("shop")

    assert connector.auth.token_url == whole
    assert connector.base_url == "https://acme.api.test"


def test_only_the_token_url_may_have_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SITE", "acme")

    connector = site(tmp_path, "https://{site}.login.test/token", "https://api.test").get("shop")

    assert (connector.base_url, connector.auth.token_url) == ("https://api.test", "https://acme.login.test/token")


@pytest.mark.parametrize("value", ["evil.test/", "a.b", "x@evil", "-", "a/../b"])
def test_a_hostile_setting_does_not_change_where_tokens_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SHOP_SITE", value)

    with pytest.raises(ConfigError, match="is not a hostname label"):
        site(tmp_path, "https://{site}.login.test/token", "https://api.test").get("shop")


def test_a_setting_of_the_token_url_that_is_not_declared_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'realm'"):
        site(tmp_path, "https://login.test/{realm}/token", "https://api.test").get("shop")
