"""The models of a manifest: what they accept, and that they accept nothing else."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from apikit_sql.connector.findings import Finding, check
from apikit_sql.connector.manifest import ColumnConfig, ConnectorDefinition, KeyColumn, Stream, Variable
from apikit_sql.connector.protocol import SECRET_FIELDS, AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.errors import ConfigError

LEAST: dict[str, Any] = {"name": "api", "base_url": "https://api.test"}


def test_the_least_connector_has_a_name_and_a_base_url() -> None:
    connector = ConnectorDefinition.model_validate(LEAST)

    assert connector.auth.type == "none"
    assert connector.pagination.strategy == "auto"
    assert connector.verify_ssl
    assert connector.streams == {}


def test_retries_are_three_on_the_usual_status() -> None:
    retry = RetryConfig()

    assert (retry.max_attempts, retry.min_wait, retry.max_wait, retry.jitter) == (3, 1, 60, 1)
    assert retry.retry_on_status == (429, 500, 502, 503, 504)


@pytest.mark.parametrize("model", [AuthConfig, PaginationConfig, RetryConfig, RateLimitConfig, ColumnConfig, Variable])
def test_an_unknown_key_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"type": "VARCHAR", "wibble": 1})


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ConnectorDefinition.model_validate(LEAST).name = "other"  # type: ignore[misc]


def test_settings_are_hashable_for_they_are_part_of_a_plan() -> None:
    settings = (AuthConfig(type="bearer", token="env:T"), PaginationConfig(), RetryConfig(), RateLimitConfig())

    assert hash(settings) == hash(tuple(each.model_copy() for each in settings))


@pytest.mark.parametrize(
    "base_url",
    [
        "api.test",
        "ftp://api.test",
        "https://",
        "https://u:p@api.test",
        "https://api.test?x=1",
        "https://api.test/#x",
        "https:///x",
        "",
    ],
)
def test_a_base_url_is_a_scheme_a_host_and_perhaps_a_path(base_url: str) -> None:
    with pytest.raises(ValidationError, match="base_url"):
        ConnectorDefinition.model_validate(LEAST | {"base_url": base_url})


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a?b", "a#b", "u@h"])
def test_a_name_has_nothing_that_a_url_means_something_by(name: str) -> None:
    with pytest.raises(ValidationError, match="name"):
        ConnectorDefinition.model_validate(LEAST | {"name": name})


@pytest.mark.parametrize(("auth", "field"), [("bearer", "token"), ("apikey", "api_key"), ("basic", "username")])
def test_each_type_of_auth_needs_its_secret(auth: str, field: str) -> None:
    with pytest.raises(ValidationError, match=f"auth of type '{auth}' needs '{field}'"):
        AuthConfig.model_validate({"type": auth})

    assert AuthConfig.model_validate({"type": auth, field: "env:X"}).type == auth


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"token_url"}, "needs 'token_url'"),
        ({"client_id"}, "needs 'client_id'"),
        ({"client_secret", "refresh_token"}, "needs 'client_secret' or 'refresh_token'"),
        ({"client_secret"}, ""),
        ({"refresh_token"}, ""),
    ],
)
def test_oauth2_needs_a_client_and_something_that_it_knows(lacking: set[str], said: str) -> None:
    whole = {"token_url": "/token", "client_id": "a", "client_secret": "env:B", "refresh_token": "env:C"}
    auth = {"type": "oauth2", **{name: value for name, value in whole.items() if name not in lacking}}

    if said:
        with pytest.raises(ValidationError, match=said):
            AuthConfig.model_validate(auth)
    else:
        assert AuthConfig.model_validate(auth).type == "oauth2"


@pytest.mark.parametrize("url", ["token", "ftp://api.test/token", "https://a@api.test/token", "/token?a=b", "/a b"])
def test_a_token_url_is_a_url_or_a_path(url: str) -> None:
    with pytest.raises(ValidationError, match="token_url"):
        AuthConfig.model_validate({"type": "oauth2", "token_url": url, "client_id": "a", "client_secret": "env:B"})


@pytest.mark.parametrize("field", ["token", "api_key", "password", "client_secret", "refresh_token"])
def test_a_secret_without_a_type_of_auth_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match="say which type it is"):
        AuthConfig.model_validate({field: "env:X"})


def test_a_secret_is_not_shown() -> None:
    auth = AuthConfig.model_validate({"type": "basic", "username": "ann-s3cret", "password": "s3cret"})

    assert "s3cret" not in repr(auth) + str(auth) + auth.model_dump_json()


def test_the_secret_fields_are_those_that_hold_secrets() -> None:
    assert set(SECRET_FIELDS) == {
        "token", "api_key", "username", "password", "client_id", "client_secret", "refresh_token",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"strategy": "offset"}, "offset_param"),
        ({"strategy": "page"}, "page_param"),
        ({"strategy": "next_url"}, "next_url_path or next_url_header"),
        ({"strategy": "cursor"}, "cursor_param"),
        ({"strategy": "cursor", "next_cursor_path": "next"}, "cursor_param"),
        (
            {"strategy": "cursor", "cursor_param": "c"},
            "next_cursor_path or next_cursor_header or cursor_record_field or cursor_fields",
        ),
    ],
)
def test_a_strategy_tells_what_it_needs(settings: dict[str, Any], needed: str) -> None:
    with pytest.raises(ValidationError, match=f"strategy '{settings['strategy']}' needs {needed}"):
        PaginationConfig.model_validate(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "offset", "offset_param": "offset"},
        {"strategy": "page", "page_param": "page", "start_page": 0},
        {"strategy": "next_url", "next_url_path": "next"},
        {"strategy": "next_url", "next_url_header": "X-Next"},
        {"strategy": "cursor", "cursor_param": "c", "next_cursor_path": "next"},
        {"strategy": "cursor", "cursor_param": "c", "next_cursor_header": "X-Next"},
        {"strategy": "cursor", "cursor_param": "c", "cursor_record_field": "id"},
        {"strategy": "cursor", "cursor_fields": ["a", "b"]},
        {"strategy": "link"},
        {"strategy": "relay", "connection_path": "viewer.repositories"},
        {"strategy": "none"},
        {"page_size": 10, "limit_param": "limit"},
    ],
)
def test_a_whole_pagination_is_accepted(settings: dict[str, Any]) -> None:
    assert PaginationConfig.model_validate(settings).strategy == settings.get("strategy", "auto")


def test_a_page_size_needs_a_parameter() -> None:
    with pytest.raises(ValidationError, match="page_size needs limit_param"):
        PaginationConfig.model_validate({"page_size": 10})


@pytest.mark.parametrize(
    "settings", [{"page_size": 0, "limit_param": "n"}, {"max_pages": 0}, {"start_page": -1}, {"strategy": "x"}]
)
def test_a_pagination_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PaginationConfig.model_validate(settings)


@pytest.mark.parametrize("place", [{}, {"param": "a", "path": "a"}])
def test_a_key_column_goes_into_a_parameter_or_into_the_path(place: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="key column 'a' needs either param or path"):
        KeyColumn.model_validate({"column": "a", **place})


def test_a_key_column_is_compared_by_equality_unless_it_says_otherwise() -> None:
    key = KeyColumn(column="a", param="a")

    assert key.operators == ("=",)
    assert not key.required


def test_a_column_may_be_its_type_alone() -> None:
    stream = Stream.model_validate(
        {"path": "/x", "columns": {"a": "bigint", "b": {"type": "TIMESTAMPTZ", "format": "epoch"}}}
    )

    assert stream.columns == {"a": ColumnConfig(type="bigint"), "b": ColumnConfig(type="TIMESTAMPTZ", format="epoch")}


@pytest.mark.parametrize("column", ["WIBBLE", {"type": "WIBBLE"}, {"type": "BIGINT", "format": "minutes"}, 5, {}])
def test_a_column_that_is_no_type_is_refused(column: object) -> None:
    with pytest.raises(ValidationError):
        Stream.model_validate({"path": "/x", "columns": {"a": column}})


def test_a_path_of_a_stream_starts_with_a_slash() -> None:
    with pytest.raises(ConfigError, match="path"):
        Stream(path="x")


def test_a_required_key_column_needs_declared_columns() -> None:
    key = {"column": "a", "path": "a", "required": True}

    with pytest.raises(ValidationError, match="a required key column needs declared columns"):
        Stream.model_validate({"path": "/{a}", "key_columns": [key]})

    assert Stream.model_validate({"path": "/{a}", "key_columns": [key], "columns": {"b": "BIGINT"}}).key_columns


@pytest.mark.parametrize(
    "origin", ["cdn.test", "https://cdn.test:port", "https://[bad", "https://cdn.test/x", "ftp://a"]
)
def test_an_allowed_origin_is_one(origin: str) -> None:
    with pytest.raises(ValidationError, match="allowed_origins"):
        ConnectorDefinition.model_validate(LEAST | {"allowed_origins": [origin]})


def test_an_allowed_origin_does_not_lead_out_of_tls() -> None:
    _, found = check(LEAST | {"base_url": "https://api.test", "allowed_origins": ["http://api.test"]})

    assert found == [Finding("allowed_origins.0", "must be https, as the base URL is")]


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        ({"path": "/x", "key_columns": [{"column": "a", "param": "a", "type": "JSON"}]}, "must be of a plain type"),
        (
            {"path": "/x", "columns": {"a": "JSON"}, "key_columns": [{"column": "a", "path": "a", "required": True}]},
            "fills {a}, which /x does not have",
        ),
        (
            {"path": "/x", "columns": {"b": "JSON"}, "key_columns": [{"column": "a", "param": "a"}]},
            "is none of",
        ),
        ({"path": "/x", "columns": {"b": "JSON", "B": "JSON"}}, "differ by case only"),
        ({"path": "/{a}", "key_columns": [{"column": "a", "path": "a", "required": True}]}, "needs declared columns"),
    ],
)
def test_a_stream_that_cannot_be_bound_is_refused(stream: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ConnectorDefinition.model_validate(LEAST | {"streams": {"s": stream}})
