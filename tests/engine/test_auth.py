"""Each kind of auth signs requests, finds its secret, and says what is missing without saying what is secret."""

import base64
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.auth import ANONYMOUS, authenticator
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ConfigError
from apikit_sql.origin import origin_of
from tests.engine.taking import BOTH, Hand, Take, plan_of
from tests.fakes.api import FakeApi

SECRET = "s3cr3t-t0k3n"


def config(**fields: Any) -> AuthConfig:
    return AuthConfig.model_validate(fields)


def signed(auth: AuthConfig, **plan: Any) -> httpx.Request:
    """The request as it is sent with `auth`."""
    api = FakeApi({"/items": httpx.Response(200, json=[])})
    made, hand = plan_of(auth=auth, **plan), Hand(api)
    hand.pages(trip(made, hand.access(made)))
    return api.seen[0]


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (config(type="bearer", token=SECRET), "authorization", f"Bearer {SECRET}"),
        (config(type="bearer", token=SECRET, prefix="token"), "authorization", f"token {SECRET}"),
        (config(type="bearer", token=SECRET, prefix=""), "authorization", SECRET),
        (config(type="apikey", api_key=SECRET), "x-api-key", SECRET),
        (config(type="apikey", api_key=SECRET, api_key_header="X-Shop"), "x-shop", SECRET),
        (config(type="basic", username="u", password="pä"), "authorization", "Basic dTpww6Q="),
        (config(type="basic", username="key"), "authorization", "Basic a2V5Og=="),
    ],
)
def test_a_header_carries_the_secret(take: Take, auth: AuthConfig, header: str, value: str) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[])})
    plan = plan_of(auth=auth)

    take(trip(plan, Hand(api).access(plan)), api)

    assert api.seen[0].headers[header] == value


def test_a_query_parameter_carries_the_secret_beside_the_others() -> None:
    request = signed(
        config(type="apikey", api_key="a b&c", api_key_query_param="appid"), params=[("q", "x y"), ("q", "z")]
    )

    assert request.url.params.multi_items() == [("q", "x y"), ("q", "z"), ("appid", "a b&c")]
    assert "x-api-key" not in request.headers


def test_no_auth_adds_nothing() -> None:
    request = signed(config())

    assert str(request.url) == "https://api.test/items"
    assert not {"authorization", "x-api-key"} & set(request.headers)


def test_a_password_of_the_url_or_of_netrc_is_not_used() -> None:
    assert authenticator("api", config()).secrets == ()


def test_a_reference_is_resolved_and_names_the_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", SECRET)

    credential = authenticator("api", config(type="bearer", token="env:API_TOKEN"))

    assert (credential.name, credential.secrets) == ("env:API_TOKEN", (SECRET,))


def test_a_literal_secret_is_named_by_its_type() -> None:
    assert authenticator("api", config(type="bearer", token=SECRET)).name == "bearer"


def test_every_part_of_basic_auth_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_USER", "someone")
    monkeypatch.setenv("API_PASSWORD", SECRET)

    request = signed(config(type="basic", username="env:API_USER", password="env:API_PASSWORD"))

    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"someone:{SECRET}".encode()).decode()


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("API_TOKEN", raising=False)
    else:
        monkeypatch.setenv("API_TOKEN", value)

    with pytest.raises(ConfigError, match=r"^api: env:API_TOKEN is not set\. Set it, or in Python say token='"):
        authenticator("api", config(type="bearer", token="env:API_TOKEN"))


def test_a_missing_part_is_named_and_not_the_part_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_PASSWORD", raising=False)

    with pytest.raises(ConfigError) as raised:
        authenticator("api", config(type="basic", username=SECRET, password="env:API_PASSWORD"))

    assert "env:API_PASSWORD" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_optional_auth_that_is_missing_is_anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    auth = config(type="bearer", token="env:API_TOKEN", optional=True)

    credential = authenticator("api", auth)

    assert (credential.sign, credential.values, credential.mark) == (ANONYMOUS.sign, (), "")
    assert "authorization" not in signed(auth).headers


def test_optional_auth_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", SECRET)

    request = signed(config(type="bearer", token="env:API_TOKEN", optional=True))

    assert request.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("bad", ["a\nb", "a\r\nX-Evil: 1", "a\x00b", "a\x1bb", "a\x7fb", " ab", "ab ", "ab\n", "\tab"])
@pytest.mark.parametrize("kind", ["bearer", "apikey", "basic"])
def test_a_secret_with_control_characters_or_spaces_around_is_refused_without_being_shown(kind: str, bad: str) -> None:
    fields = {"bearer": {"token": bad}, "apikey": {"api_key": bad}, "basic": {"username": "u", "password": bad}}

    with pytest.raises(ConfigError, match=r"^api: a secret has a line break, a control character or spaces") as raised:
        authenticator("api", config(type=kind, **fields[kind]))

    assert bad not in str(raised.value)


@pytest.mark.parametrize("kind", ["bearer", "apikey"])
def test_an_empty_secret_is_refused(kind: str) -> None:
    fields = {"bearer": {"token": ""}, "apikey": {"api_key": ""}}

    with pytest.raises(ConfigError):
        authenticator("api", config(type=kind, **fields[kind]))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "bearer"},
        {"type": "apikey"},
        {"type": "basic", "password": SECRET},
        {"type": "oauth2"},
        {"type": "none", "token": SECRET},
        {"type": "bearer", "tokens": SECRET},
    ],
)
def test_an_auth_that_is_not_whole_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        config(**fields)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://api.test", "https://api.test:443/x?y", True),
        ("http://api.test:80", "http://API.test/", True),
        ("https://api.test", "http://api.test", False),
        ("https://api.test:8443", "https://api.test", False),
        ("https://api.test", "https://www.api.test", False),
        ("https://bücher.test", "https://xn--bcher-kva.test", True),
        ("ftp://api.test", "https://api.test", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table's column
    assert (origin_of(one) == origin_of(other)) is same
