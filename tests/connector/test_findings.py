"""What is wrong with a manifest: every finding with its key, what would do, and never a value."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apikit_sql.connector.findings import Finding, check, literal_secrets
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import SECRET_FIELDS

LEAST: dict[str, Any] = {"name": "acme", "base_url": "https://acme.test"}
SECRET = "s3cret"
OAUTH = {"type": "oauth2", "client_id": "env:A", "client_secret": "env:B"}


def found(**data: Any) -> dict[str, str]:
    """What is wrong with the least manifest and `data`: messages by key."""
    return {finding.key: finding.message for finding in check(LEAST | data)[1]}


def streams(**stream: Any) -> dict[str, Any]:
    return {"streams": {"items": {"path": "/items"} | stream}}


def test_a_manifest_without_fault_is_its_connector() -> None:
    assert check(LEAST) == (ConnectorDefinition(name="acme", base_url="https://acme.test"), [])


# --- unknown keys


@pytest.mark.parametrize(
    ("data", "key", "near"),
    [
        ({"base_ulr": 1}, "base_ulr", "base_url"),
        ({"auth": {"tokn": 1}}, "auth.tokn", "token or token_url"),
        ({"auth": OAUTH | {"token_url": "/t", "scope": []}}, "auth.scope", "scopes"),
        ({"pagination": {"strategi": 1}}, "pagination.strategi", "strategy"),
        ({"rate_limit": {"warn_abov": 1}}, "rate_limit.warn_abov", "warn_above"),
        ({"retry": {"attempts": 1}}, "retry.attempts", "max_attempts"),
        ({"variables": {"site": {"enf": 1}}}, "variables.site.enf", "env"),
        (streams(colums={}), "streams.items.colums", "columns or key_columns"),
        (streams(pagination={"startpage": 1}), "streams.items.pagination.startpage", "start_page"),
        (streams(columns={"a": {"type": "JSON", "fromat": 1}}), "streams.items.columns.a.fromat", "format"),
        (
            streams(key_columns=[{"column": "a", "param": "a"}, {"column": "b", "param": "b", "requird": 1}]),
            "streams.items.key_columns.1.requird",
            "required",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_near_ones_on_every_level(data: dict[str, Any], key: str, near: str) -> None:
    assert found(**data) == {key: f"there is no such setting; did you mean {near}?"}


@pytest.mark.parametrize(("key", "near"), [("extend", "extends"), ("setting", "settings")])
def test_the_keys_of_a_users_entry_are_among_the_near_ones(key: str, near: str) -> None:
    assert found(**{key: "x"}) == {key: f"there is no such setting; did you mean {near}?"}


def test_an_unknown_key_like_no_other_is_told_alone() -> None:
    assert found(xyzzy=1, auth={"xyzzy": 1}) == dict.fromkeys(("xyzzy", "auth.xyzzy"), "there is no such setting")


def test_a_name_that_a_user_chooses_is_never_unknown() -> None:
    data = streams(columns={"wibble": "JSON"}, params={"wibble": 1}) | {"variables": {"wibble": {}}}

    assert found(**data, headers={"wibble": "x"}) == {}


# --- plain messages


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        ({"base_url": None}, "base_url", "must be a text"),
        ({"base_url": 5}, "base_url", "must be a text"),
        ({"read_posts": "/search"}, "read_posts", "must be a list: ['...']"),
        ({"streams": {"items": {}}}, "streams.items.path", "is needed"),
    ],
)
def test_a_plain_fault_is_told_plainly(data: dict[str, Any], key: str, message: str) -> None:
    assert found(**data) == {key: message}


URLS = [
    "ftp://acme.test", "acme.test", "https://", "", "https://a b.test", "https://user:s3cret@acme.test",
    "https://acme.test?api_key=s3cret", "https://acme.test/#s3cret", "https:\\\\acme.test", "https://acme.test:s3cret",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("key", ["base_url", "auth.token_url", "allowed_origins.0"])
def test_a_url_that_will_not_do_is_told_what_would_and_never_shown(key: str, url: str) -> None:
    data: dict[str, dict[str, Any]] = {
        "base_url": {"base_url": url},
        "auth.token_url": {"auth": OAUTH | {"token_url": url}},
        "allowed_origins.0": {"allowed_origins": [url]},
    }

    told = found(**data[key])

    assert list(told) == [key]
    assert "https://host" in told[key]
    assert not any(mark in told[key] for mark in ("^", "[", "\\", "pattern", SECRET))


@pytest.mark.parametrize("url", ["https://user:s3cret@acme.test", "https://acme.test/?api_key=s3cret"])
def test_a_token_url_behind_the_base_url_has_no_credentials_either(url: str) -> None:
    told = found(auth=OAUTH | {"token_url": url.removeprefix("https:/")})

    assert list(told) == ["auth.token_url"]
    assert SECRET not in told["auth.token_url"]


# --- all at once


def test_all_that_is_wrong_is_told_at_once_however_deep() -> None:
    told = found(
        base_url="acme.test",
        timeout=0,
        wibble=1,
        auth={"type": "magic"},
        retry={"max_attempts": 0},
        streams={"a": {"path": "a"}, "b": {"path": "/b", "columns": {"c": "WIBBLE"}}},
    )

    keys = {"base_url", "timeout", "wibble", "auth.type", "retry.max_attempts", "streams.a.path"}
    assert told.keys() == keys | {"streams.b.columns.c.type"}


def test_a_name_and_a_header_are_told_beside_all_the_rest() -> None:
    told = found(name="My-API", headers={"Authorization": SECRET}, wibble=1)

    assert told.keys() == {"name", "headers.Authorization", "wibble"}


def test_every_credential_that_stands_outside_of_auth_is_told() -> None:
    told = found(
        headers={"X-Api-Key": SECRET, "Accept": "*/*", "Cookie": SECRET}, **streams(params={"api_key": SECRET})
    )

    assert told.keys() == {"headers.X-Api-Key", "headers.Cookie", "streams.items.params.api_key"}
    assert all("[auth]" in message and SECRET not in message for message in told.values())


# --- never a value

HOLDERS: list[dict[str, Any]] = [
    {"auth": {"type": "bearer", "token": [SECRET]}},
    {"auth": {"type": SECRET, "token": SECRET}},
    {"auth": SECRET},
    {"auth": {"type": "none", "token": SECRET}},
    {"auth": {"type": "bearer", "api_key": SECRET}},
    {"auth": {"type": "bearer", "token": SECRET, "optional": SECRET, "scopes": SECRET, "tokn": SECRET}},
    {"auth": OAUTH | {"token_url": f"https://me:{SECRET}@acme.test/token"}},
    {"headers": SECRET},
    {"headers": [SECRET]},
    {"headers": {"Authorization": SECRET}},
    {"timeout": SECRET, "concurrency": SECRET, "verify_ssl": SECRET, "body_format": SECRET},
    {"allowed_origins": [f"https://me:{SECRET}@acme.test/path"]},
    {"allowed_origins": [f"https://me:{SECRET}@acme.test"]},
    {"allowed_origins": [f"https://acme.test?api_key={SECRET}"]},
    {"allowed_origins": [f"https://me:{SECRET}"]},
    {"allowed_origins": [f"http://me:{SECRET}@acme.test"]},
    streams(path=f"https://me:{SECRET}@acme.test/items"),
    streams(params={"token": SECRET}),
    streams(params={"sort": {"a": SECRET}}),
    streams(pagination={"strategy": SECRET, "page_size": SECRET}),
    {"wibble": SECRET},
]


@pytest.mark.parametrize("data", HOLDERS)
def test_what_is_wrong_is_told_without_the_value(data: dict[str, Any]) -> None:
    told = found(**data)

    assert told
    assert SECRET not in str(told)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.sampled_from(["a", "type", "path"]), values),
    max_leaves=5,
)
KEYS = sorted(ConnectorDefinition.model_fields.keys() - {"name", "streams"})


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=4))
@example({"allowed_origins": [SECRET]})
def test_whatever_is_given_there_is_a_connector_or_findings_and_no_value(data: dict[str, Any]) -> None:
    connector, findings = check(LEAST | data)

    assert connector is not None or findings
    assert SECRET not in str(findings)


# --- secrets that stand in a file


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS - {"username"}))
@pytest.mark.parametrize("value", [SECRET, "", "env:", "Bearer env:T", [SECRET], {"a": SECRET}, 5, False])
def test_a_literal_secret_is_found_whatever_it_is_and_not_shown(field: str, value: Any) -> None:
    (finding,) = literal_secrets({"auth": {field: value}})

    assert finding.key == f"auth.{field}"
    assert "env:NAME or keyring:NAME" in finding.message
    assert SECRET not in str(finding)


def test_every_literal_secret_of_a_file_is_found_at_once() -> None:
    found = literal_secrets({"auth": {"token": SECRET, "api_key": SECRET, "username": "ann", "password": "env:P"}})

    assert [finding.key for finding in found] == ["auth.api_key", "auth.token"]


@pytest.mark.parametrize("data", [{}, {"auth": SECRET}, {"auth": {}}, {"auth": {"token": "keyring:a.b-c_1"}}])
def test_references_and_what_is_no_auth_are_no_literal_secrets(data: dict[str, Any]) -> None:
    assert literal_secrets(data) == []


@pytest.mark.parametrize(
    ("finding", "line"),
    [(Finding("auth.token", "is needed"), "auth.token: is needed"), (Finding("", "is odd"), "is odd")],
)
def test_a_finding_is_one_line(finding: Finding, line: str) -> None:
    assert str(finding) == line


def test_key_columns_are_told_to_be_a_list_of_objects() -> None:
    _, found = check({"name": "a", "base_url": "https://a.test", "streams": {"x": {"path": "/x", "key_columns": {}}}})

    assert [finding.message for finding in found] == [
        "must be a list of objects: [{ column = 'state', param = 'state' }]"
    ]
