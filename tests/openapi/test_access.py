"""The base URL, the auth and the headers of a draft."""

from typing import Any

import pytest

from apikit_sql.connector.manifest import Variable
from apikit_sql.errors import ConfigError
from apikit_sql.openapi.draft import draft_manifest
from tests.openapi.documents import document, drafted, listing

BEARER = {"type": "http", "scheme": "Bearer"}
BASIC = {"type": "http", "scheme": "basic"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "session"}
CLIENT = {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://acme.example/token", "scopes": {}}}}


def auth(schemes: dict[str, Any], *security: dict[str, list[str]]) -> dict[str, Any]:
    """The auth of a document, as far as it is said."""
    connector = drafted(document(components={"securitySchemes": schemes}, security=list(security)))
    said = connector.auth.model_dump(exclude_unset=True)
    return {key: getattr(value, "get_secret_value", lambda value=value: value)() for key, value in said.items()}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (BEARER, {"type": "bearer", "token": "env:ACME_TOKEN"}),
        (BASIC, {"type": "basic", "username": "env:ACME_USERNAME", "password": "env:ACME_PASSWORD"}),
        (
            {"type": "apiKey", "in": "header", "name": "X-Key"},
            {"type": "apikey", "api_key": "env:ACME_API_KEY", "api_key_header": "X-Key"},
        ),
        (
            {"type": "apiKey", "in": "query", "name": "key"},
            {"type": "apikey", "api_key": "env:ACME_API_KEY", "api_key_query_param": "key"},
        ),
        (
            CLIENT,
            {
                "type": "oauth2",
                "token_url": "https://acme.example/token",
                "client_id": "env:ACME_CLIENT_ID",
                "client_secret": "env:ACME_CLIENT_SECRET",
                "scopes": ("read",),
            },
        ),
        ({"type": "oauth2", "flows": {"implicit": {}}}, {"type": "bearer", "token": "env:ACME_TOKEN"}),
        ({"type": "openIdConnect"}, {"type": "bearer", "token": "env:ACME_TOKEN"}),
        (COOKIE, {}),
        ({"type": "http", "scheme": "digest"}, {}),
    ],
)
def test_a_security_scheme_is_an_auth(scheme: dict[str, Any], expected: dict[str, Any]) -> None:
    assert auth({"a": scheme}, {"a": ["read"]}) == expected


def test_a_client_without_scopes_asks_for_none() -> None:
    assert "scopes" not in auth({"a": CLIENT}, {"a": []})


def test_without_security_there_is_no_auth() -> None:
    assert auth({"a": BEARER}) == {}
    assert drafted(document(components={"securitySchemes": {"a": BEARER}})).auth.type == "none"


def test_security_may_be_optional() -> None:
    assert auth({"a": BEARER}, {}, {"a": []})["optional"] is True
    assert auth({"a": BEARER}, {}) == {}


def test_of_several_schemes_the_one_with_the_fewest_steps_is_taken() -> None:
    schemes = {"client": CLIENT, "basic": BASIC, "token": BEARER}

    assert auth(schemes, {"client": []}, {"basic": []}, {"token": []})["type"] == "bearer"
    assert auth(schemes, {"client": []}, {"basic": []})["type"] == "basic"
    assert auth(schemes, {"client": []}, {"basic": [], "token": []})["type"] == "oauth2"


def test_what_the_auth_does_not_cover_is_told() -> None:
    schemes = {"securitySchemes": {"token": BEARER, "session": COOKIE}}

    both = draft_manifest(document(components=schemes, security=[{"token": [], "session": []}]), "acme")
    none = draft_manifest(document(components=schemes, security=[{"session": []}]), "acme")

    assert "# The document asks for session as well.\n" in both
    assert "# The document asks for session, which has no counterpart here.\n" in none
    assert "[auth]" not in none


def test_operations_may_say_what_the_document_does_not() -> None:
    paths = {
        "/a": listing(security=[{"basic": []}]),
        "/b": listing(security=[{"token": []}]),
        "/c": listing(security=[{"basic": []}]),
    }

    connector = drafted(document(paths, components={"securitySchemes": {"token": BEARER, "basic": BASIC}}))

    assert connector.auth.type == "basic"


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["https://a.example/"], "https://a.example"),
        (["/v1", "http://a.example", "https://b.example/v1/"], "https://b.example/v1"),
        (["http://localhost:8080/api"], "http://localhost:8080/api"),
    ],
)
def test_the_base_url_is_the_first_https_server(urls: list[str], expected: str) -> None:
    assert drafted(document(servers=[{"url": url} for url in urls])).base_url == expected


def test_variables_of_a_server_are_settings() -> None:
    variables = {
        "site-name": {"description": "Your site. More.", "default": "acme"},
        "region": {"enum": ["eu", "us"]},
        "port": {"default": "8443"},
        "version": {"default": "v1.2"},
    }
    url = "https://{site-name}.{region}.{other}.example:{port}/{version}"

    connector = drafted(document(servers=[{"url": url, "variables": variables}]))

    assert connector.base_url == "https://{site_name}.{region}.{other}.example:8443/v1.2"
    assert connector.variables == {
        "site_name": Variable(description="Your site", env="ACME_SITE_NAME", default="acme"),
        "region": Variable(env="ACME_REGION", default="eu"),
        "other": Variable(env="ACME_OTHER"),
    }


@pytest.mark.parametrize("servers", [[], [{"url": "/v1"}], ["https://a.example"]])
def test_a_document_without_the_url_of_a_server_is_refused(servers: list[Any]) -> None:
    with pytest.raises(ConfigError, match=r"has no servers with a whole URL\. Add one"):
        draft_manifest(document(servers=servers), "acme")


def test_a_server_that_is_no_base_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="the document makes no manifest: base_url: "):
        draft_manifest(document(servers=[{"url": "https://a b.example"}]), "acme")


def test_required_headers_with_one_value_are_sent() -> None:
    def header(name: str, schema: dict[str, Any], *, is_required: bool = True) -> dict[str, Any]:
        return {"name": name, "in": "header", "required": is_required, "schema": schema}

    given = (
        header("X-Version", {"type": "string", "enum": ["2026-01-01"]}),
        header("X-Number", {"type": "integer", "default": 2}),
        header("X-Unknown", {"type": "string"}),
        header("X-Optional", {"type": "string", "default": "a"}, is_required=False),
        header("Accept", {"type": "string", "default": "text/plain"}),
        header("X-Api-Key", {"type": "string", "default": "hush"}),
    )
    found = document({"/a": listing(None, *given), "/b": listing(None, header("X-Unknown", {"default": "b"}))})

    connector = drafted(found)

    assert connector.headers == {"X-Number": "2", "X-Version": "2026-01-01"}
    assert "# The document asks for the header X-Unknown, and does not say which value.\n" in draft_manifest(
        found, "acme"
    )
