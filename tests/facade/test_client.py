"""Whose API a client is: its settings, and the errors that name what is wrong with them."""

import inspect
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import apikit_sql
from apikit_sql import (
    ApiConfig,
    Apikit,
    AuthConfig,
    CallError,
    ConfigError,
    ConnectorDefinition,
    ConnectorNotFoundError,
    ConnectorRegistry,
    PaginationConfig,
    RequestError,
    RetryConfig,
    Session,
)
from apikit_sql.connector.api_config import with_token
from tests.fakes.api import BASE_URL, FakeApi

SECRET = "s3cr3t-t0ken"
ITEMS = httpx.Response(200, json=[{"id": 1}])


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": ITEMS})


@pytest.fixture
def _the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "from-the-environment")


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"token": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"auth": "bearer", "token": SECRET}, "authorization", f"Bearer {SECRET}"),
        ({"token": "env:THE_TOKEN"}, "authorization", "Bearer from-the-environment"),
        ({"api_key": SECRET}, "x-api-key", SECRET),
        ({"username": "ada", "password": "pw"}, "authorization", "Basic YWRhOnB3"),
        ({"auth": AuthConfig(type="bearer", token=SECRET, prefix="Token")}, "authorization", f"Token {SECRET}"),
        ({"headers": {"X-Version": "2"}}, "x-version", "2"),
        ({}, "authorization", None),
    ],
)
def test_a_secret_alone_says_how_requests_are_signed(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi,
    session: Session,
    settings: dict[str, Any],
    header: str,
    value: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THE_TOKEN", "from-the-environment")
    client = Apikit(BASE_URL, session=session, **settings)

    assert client.fetch_records("/items") == [{"id": 1}]

    assert api.seen[0].headers.get(header) == value
    assert SECRET not in repr(client)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth": "none", "token": SECRET}, "auth: auth of type 'none' holds a secret"),
        ({"auth": "bearer"}, "auth: auth of type 'bearer' needs 'token'"),
        ({"auth": "digest", "token": SECRET}, "auth.type: must be 'none', 'bearer', 'apikey', 'basic' or 'oauth2'"),
        ({"auth": AuthConfig(), "token": SECRET}, "token: the AuthConfig has the secrets"),
        ({"timeout": 0, "max_attempts": 0}, "retry.max_attempts: .*timeout: "),
        ({"pagination": "pages"}, "pagination.strategy: must be 'offset', 'page', 'cursor'"),
        ({"base_url": f"https://u:{SECRET}@api.test"}, "base_url: must be 'https://host'"),
        ({"token": SECRET, "api_key": "other"}, "api_key: auth of type 'bearer' does not use it"),
        ({"token": SECRET, "username": "ada"}, "username: auth of type 'bearer' does not use it"),
        ({"auth": "apikey", "api_key": "other", "password": SECRET}, "password: auth of type 'apikey' does not use it"),
        ({"password": SECRET}, "auth of type 'basic' needs 'username'"),
        ({"max_attempts": 5, "max_retries": 1}, "max_attempts = 5 and max_retries = 1 are one number"),
        ({"timeout": None}, "timeout: must be a valid number"),
        ({"base_url": None}, "base_url: must be a text"),
    ],
)
def test_a_wrong_setting_is_named_without_its_secret(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Apikit(**{"base_url": BASE_URL, **settings})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["max_attempts", "max_retries"])
def test_attempts_are_one_number_by_two_names(api: FakeApi, session: Session, name: str) -> None:
    api.routes["/items"] = httpx.Response(500)
    settings: dict[str, Any] = {name: 1}

    with pytest.raises(RequestError, match="answered 500"):
        Apikit(BASE_URL, session=session, **settings).fetch_records("/items")

    assert len(api.seen) == 1


def test_a_client_is_made_of_a_config(api: FakeApi, session: Session) -> None:
    config = ApiConfig(base_url=f"{BASE_URL}/v2", retry=RetryConfig(max_attempts=1), params={"locale": "en"})
    api.routes["/v2/items"] = ITEMS

    assert Apikit.from_config(config, session=session).fetch_records("/items") == [{"id": 1}]
    assert api.paths == ["/v2/items?locale=en"]
    assert config.name == "api.test"
    assert ApiConfig(name="acme", base_url=BASE_URL).name == "acme"


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (PaginationConfig, {"strategy": "nope"}, "^PaginationConfig: strategy: must be 'offset', 'page', 'cursor'"),
        (PaginationConfig, {"strategy": "page"}, "strategy 'page' needs page_param"),
        (AuthConfig, {"type": "bearer"}, "^AuthConfig: auth of type 'bearer' needs 'token'"),
        (AuthConfig, {"type": "none", "token": SECRET}, "holds a secret"),
        (RetryConfig, {"max_attempts": 0}, "^RetryConfig: max_attempts: "),
        (
            ApiConfig,
            {"base_url": f"https://u:{SECRET}@api.test", "retry": {"jitter": -1}},
            "^ApiConfig: base_url.*jitter",
        ),
        (ApiConfig, {"base_ulr": BASE_URL}, "base_url: is needed.*base_ulr: there is no such setting.*base_url"),
    ],
)
def test_a_model_that_is_wrong_is_an_error_of_ours(model: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        model(**settings)

    assert SECRET not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_the_settings_of_a_config_will_do(api: FakeApi, session: Session) -> None:
    client = Apikit.from_config({"base_url": BASE_URL, "params": {"locale": "en"}}, session=session)

    assert client.fetch_records("/items") == [{"id": 1}]
    assert api.paths == ["/items?locale=en"]
    with pytest.raises(ConfigError, match="base_url: is needed"):
        Apikit.from_config({})
    with pytest.raises(ConfigError, match="a str describes no API: give an ApiConfig"):
        Apikit.from_config("github")  # type: ignore[arg-type]


def test_a_name_is_text() -> None:
    with pytest.raises(CallError, match="a NoneType is no connector's name"):
        Apikit.from_name(None)  # type: ignore[arg-type]


def test_certificates_are_verified_unless_told_otherwise(session: Session) -> None:
    clients = [Apikit(BASE_URL, session=session), Apikit(BASE_URL, verify_ssl=False, session=session)]

    assert [each.table("/items").table.plan.request.verify_ssl for each in clients] == [True, False]


def test_the_clients_own_pagination_and_data_path_are_used(api: FakeApi, session: Session) -> None:
    items = [{"id": n, "tags": [{"no": "record"}]} for n in range(5)]
    api.routes["/pages"] = lambda request: httpx.Response(
        200, json={"a": {"b": items[2 * int(request.url.params["p"]) :][:2]}, "other": [{"x": 1}]}
    )
    paging = PaginationConfig(strategy="page", page_param="p", start_page=0, limit_param="n", page_size=2)
    client = Apikit(BASE_URL, pagination=paging, data_path="a.b", session=session)

    assert client.fetch_records("/pages", paginate=True) == items
    assert {*api.params("n")} == {"2"}


def test_an_unknown_connector_has_near_names() -> None:
    with pytest.raises(ConnectorNotFoundError, match="github"):
        Apikit.from_name("gihtub")


def test_a_token_takes_the_place_of_the_connectors_own(api: FakeApi) -> None:
    registry = ConnectorRegistry()
    session = Session(connectors=registry, transport=api.transport())
    api.routes["/rate_limit"] = ITEMS

    Apikit.from_name("github", SECRET, session=session).fetch_records("/rate_limit")

    assert api.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    session.close()


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (AuthConfig(), "authorization", f"Bearer {SECRET}"),
        (AuthConfig(type="bearer", token="old", prefix="Token"), "authorization", f"Token {SECRET}"),
        (AuthConfig(type="apikey", api_key="old", api_key_header="X-Key"), "x-key", SECRET),
    ],
)
def test_a_token_is_used_as_the_connector_uses_its_own(
    api: FakeApi, session: Session, auth: AuthConfig, header: str, value: str
) -> None:
    acme = with_token(ConnectorDefinition(name="acme", base_url=BASE_URL, auth=auth), SECRET)

    Apikit.from_config(acme, session=session).fetch_records("/items")

    assert api.seen[0].headers[header] == value


def test_a_token_is_no_user_and_password() -> None:
    basic = ConnectorDefinition(name="acme", base_url=BASE_URL, auth=AuthConfig(type="basic", username="ada"))

    with pytest.raises(ConfigError, match="acme has auth of type 'basic', which a token is not"):
        with_token(basic, SECRET)


def test_the_environment_and_a_file_of_it_describe_an_api(
    api: FakeApi, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_BASE_URL", "APIKIT_TOKEN", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(name, "")  # so that what the file sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("API_BASE_URL", BASE_URL)
    file = tmp_path / "settings.env"
    file.write_text(f"API_BASE_URL=https://other.test\nAPIKIT_TOKEN={SECRET}\n")

    Apikit.from_env(env_file=file, session=session).fetch_records("/items")

    assert str(api.seen[0].url) == f"{BASE_URL}/items"
    assert api.seen[0].headers["authorization"] == f"Bearer {SECRET}"


def test_the_extra_that_reads_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)

    with pytest.raises(ConfigError, match=r"pip install 'apikit_sql\[dotenv\]'"):
        Apikit.from_env(env_file=tmp_path / "nothing.env")


def test_an_environment_that_describes_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="API_BASE_URL"):
        Apikit.from_env()
    with pytest.raises(ConfigError, match=r"nothing\.env cannot be read"):
        Apikit.from_env(env_file=tmp_path / "nothing.env")


def test_the_clients_of_a_process_share_its_session() -> None:
    one, other = Apikit(BASE_URL), Apikit.from_name("github")

    assert one._session is other._session


def test_a_forked_child_has_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Apikit(BASE_URL)
    of_parent = client._session

    monkeypatch.setattr("os.getpid", lambda: -1)

    assert client._session is not of_parent


PUBLIC = [name for name, _ in inspect.getmembers(Apikit, inspect.isfunction) if not name.startswith("_")]
TWINS = [name for name in PUBLIC if f"a{name}" in PUBLIC]


def test_every_method_that_asks_an_api_has_a_twin() -> None:
    assert {*PUBLIC} - {*TWINS} - {f"a{name}" for name in TWINS} == {"table"}
    assert len(TWINS) == 12


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_has_the_same_arguments_and_the_same_docstring(name: str) -> None:
    method, twin = getattr(Apikit, name), getattr(Apikit, f"a{name}")

    assert inspect.signature(method).parameters == inspect.signature(twin).parameters
    assert inspect.getdoc(method) == inspect.getdoc(twin)
    assert inspect.iscoroutinefunction(twin) or inspect.isasyncgenfunction(twin)


def test_every_method_is_in_the_types_that_a_caller_sees() -> None:
    seen = (Path(__file__).parents[1] / "typing_api.py").read_text(encoding="utf-8")

    assert [name for name in PUBLIC if f"assert_type(client.{name}(" not in seen
            and f"assert_type(await client.{name}(" not in seen
            and f"assert_type((await client.{name}(" not in seen] == []  # fmt: skip


@pytest.mark.parametrize("name", ["Apikit", "ApiConfig", "DryRunResult", "InspectorResult", "FetchOptions"])
def test_the_door_is_public(name: str) -> None:
    assert name in apikit_sql.__all__
