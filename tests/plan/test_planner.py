"""A call and its connector as a scan plan: the call wins over the stream, the stream over the connector."""

import json
from typing import Any

import pytest

from apikit_sql.column_types import Column, Scalar
from apikit_sql.connector.manifest import ConnectorDefinition, KeyColumn
from apikit_sql.connector.protocol import PaginationConfig, RetryConfig
from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import USUAL_DEFAULTS, Defaults, ad_hoc_connector, is_base_url, plan_call
from apikit_sql.plan.request_plan import ScanPlan

API = ConnectorDefinition.model_validate(
    {
        "name": "api",
        "base_url": "https://api.test/v1/",
        "headers": {"Accept": "application/json"},
        "data_path": "data",
        "pagination": {"strategy": "page", "page_param": "page", "limit_param": "limit", "page_size": 100},
        "timeout": 20,
        "allowed_origins": ["https://files.test"],
        "retry": {"max_attempts": 5},
        "streams": {
            "issues": {
                "path": "/repos/{owner}/issues",
                "params": {"state": "all", "expand": ["a", "b"], "limit": 5, "draft": False},
                "columns": {"id": "BIGINT", "state": "VARCHAR", "at": {"type": "TIMESTAMPTZ", "format": "epoch"}},
                "key_columns": [
                    {"column": "owner", "path": "owner", "required": True},
                    {"column": "state", "param": "state"},
                    {"column": "at", "param": "since", "operators": [">="], "format": "epoch"},
                ],
            },
            "open": {"path": "/open"},
            "search": {"path": "/search", "method": "POST", "body": {"q": "ü"}, "data_path": "hits"},
        },
    }
)


def plan(
    path: str = "/x", connector: ConnectorDefinition = API, usual: Defaults = USUAL_DEFAULTS, **options: object
) -> ScanPlan:
    return plan_call(read_call(json.dumps({"connector": connector.name, "path": path, **options})), connector, usual)


def test_a_path_is_planned_with_what_the_connector_says() -> None:
    request = plan("/items").request

    assert (request.connector, request.base_url, request.path, request.method) == (
        "api",
        "https://api.test/v1",
        "/items",
        "GET",
    )
    assert (request.timeout, request.max_wait, request.retry.max_attempts) == (20, 60, 5)
    assert (request.record_path, request.params, request.body) == ("data", (), None)
    assert request.headers == (("Accept", "application/json"),)
    assert request.allowed_origins == ("https://files.test",)
    assert request.pages is None


def test_a_plan_is_hashable_for_it_is_a_caches_key() -> None:
    options: dict[str, Any] = {"path_params": {"owner": "ann"}, "params": {"a": [1, 2]}, "filters": {"id": "id"}}

    assert hash(plan("issues", **options)) == hash(plan("issues", **options))


def test_a_stream_brings_its_path_its_params_and_its_columns() -> None:
    scan = plan("issues")

    assert scan.request.path == "/repos/{owner}/issues"
    assert scan.request.params == (
        ("state", "all"),
        ("expand", "a"),
        ("expand", "b"),
        ("limit", "5"),
        ("draft", "false"),
    )
    assert scan.columns == (
        Column("id", Scalar("BIGINT"), ("id",), declared=True),
        Column("state", Scalar("VARCHAR"), ("state",), declared=True),
        Column("at", Scalar("TIMESTAMPTZ"), ("at",), declared=True, format="epoch"),
        Column("owner", Scalar("VARCHAR"), ("owner",), declared=True),
    )
    assert [key.column for key in scan.key_columns] == ["owner", "state", "at"]


def test_a_stream_may_post_its_body() -> None:
    request = plan("search").request

    assert request.method == "POST"
    assert json.loads(request.body or b"") == {"q": "ü"}


def test_an_unknown_stream_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        CallError, match=r"api has no stream 'issue' \(it has issues, open, search\). A path starts with '/'"
    ):
        plan("issue")


def test_a_connector_without_streams_says_so() -> None:
    with pytest.raises(CallError, match=r"it has none"):
        plan("issues", ConnectorDefinition(name="bare", base_url="https://bare.test"))


def test_what_the_call_says_wins() -> None:
    request = plan(
        "search", params={"q": "x"}, headers={"X-A": "b"}, data_path="other", timeout=3, pages=2, pagination="link"
    ).request

    assert request.params == (("q", "x"),)
    assert dict(request.headers) == {"Accept": "application/json", "X-A": "b"}
    assert (request.record_path, request.timeout, request.pages) == ("other", 3, 2)
    assert request.pagination == PaginationConfig(strategy="link")


def test_a_parameter_of_the_call_replaces_the_streams_in_all_its_values() -> None:
    request = plan("issues", params={"expand": "c", "state": None}).request

    assert request.params == (("limit", "5"), ("draft", "false"), ("expand", "c"))


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("/x", {}, "data"),
        ("/x", {"data_path": ""}, ""),
        ("search", {}, "hits"),
        ("search", {"data_path": "found"}, "found"),
        ("/x", {"pagination": {"strategy": "none", "data_path": "mine"}}, "mine"),
        ("search", {"pagination": {"strategy": "none", "data_path": "mine"}}, "mine"),
        ("search", {"pagination": {"strategy": "none", "data_path": "mine"}, "data_path": "found"}, "found"),
    ],
)
def test_the_nearest_record_path_wins(path: str, options: dict[str, Any], expected: str) -> None:
    assert plan(path, **options).request.record_path == expected


def test_a_record_path_that_nobody_names_is_to_be_found() -> None:
    assert plan(connector=ConnectorDefinition(name="bare", base_url="https://bare.test")).request.record_path is None


def test_the_same_strategy_keeps_the_connectors_settings() -> None:
    assert plan(pagination="page").request.pagination == API.pagination


def test_page_size_and_max_pages_change_the_pagination() -> None:
    settings = plan(page_size=10, max_pages=3).request.pagination

    assert settings == API.pagination.model_copy(update={"page_size": 10, "max_pages": 3})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pagination": "offset"}, "strategy 'offset' needs offset_param"),
        ({"pagination": "wibble"}, "is no strategy; they are offset, page"),
        ({"pagination": "link", "page_size": 5}, "page_size needs limit_param"),
    ],
)
def test_a_pagination_that_does_not_fit_is_refused_with_the_option(options: dict[str, Any], told: str) -> None:
    with pytest.raises(CallError, match="apikit: pagination: ") as caught:
        plan(**options)

    assert told in str(caught.value)


def test_path_params_fill_the_path_encoded_and_become_the_streams_keys() -> None:
    scan = plan("issues", path_params={"owner": "a/../b"})

    assert scan.request.path == "/repos/a%2F..%2Fb/issues"
    assert scan.given_keys == (("owner", "a/../b"),)
    assert [key.column for key in scan.key_columns] == ["state", "at"]
    assert scan.columns is not None
    assert scan.columns[-1].name == "owner"


def test_a_time_and_a_number_fill_a_path_as_they_fill_a_query() -> None:
    request = plan(
        "/{at}/{n}",
        path_params={"at": "2026-01-05 10:00:00", "n": 5.0},
        path_params_type="STRUCT(at TIMESTAMP, n DOUBLE)",
    ).request

    assert request.path == "/2026-01-05T10%3A00%3A00Z/5"


@pytest.mark.parametrize(
    ("path_params", "told"),
    [
        ({"owner": None}, r"path_params.owner is NULL; /\{owner\}/x needs a value"),
        ({"ownr": "a"}, r"path_params has 'ownr', but /\{owner\}/x has no \{ownr\}"),
        ({"owner": "a", "x": 1}, r"path_params has 'x'"),
        ({"owner": ""}, "cannot be part of the path"),
        ({"owner": ".."}, "cannot be part of the path"),
        ({"owner": {"a": 1}}, "path_params.owner is an object"),
        ({"owner": ["a", "b"]}, "path_params.owner"),
        ({"owner": [None]}, "path_params.owner"),
    ],
)
def test_a_path_param_that_does_not_fit_is_refused(path_params: dict[str, Any], told: str) -> None:
    with pytest.raises(CallError, match=told):
        plan("/{owner}/x", path_params=path_params)


@pytest.mark.parametrize("path", ["/a/../b", "/a?b=1", "/a#b", "/%2e%2e/x"])
def test_a_hostile_path_is_refused(path: str) -> None:
    with pytest.raises(CallError, match="the path"):
        plan(path)


def test_a_path_that_nothing_fills_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        CallError, match=r"nothing fills \{owner\} in /\{owner\}/x. Say path_params := \{'owner': ...\}"
    ):
        plan("/{owner}/x")


def test_an_open_field_of_a_declared_table_is_a_required_key() -> None:
    scan = plan("/{owner}/{repo}", columns={"id": "BIGINT", "Owner": "VARCHAR"})

    assert scan.key_columns == (
        KeyColumn(column="owner", path="owner", required=True),
        KeyColumn(column="repo", path="repo", required=True),
    )
    assert scan.columns is not None
    assert [column.name for column in scan.columns] == ["id", "Owner", "repo"]


def test_filters_of_the_call_stand_beside_the_streams_keys() -> None:
    scan = plan("issues", filters={"id >=": "min_id"})

    assert KeyColumn(column="id", operators=(">=",), param="min_id") in scan.key_columns
    assert len(scan.key_columns) == 4


@pytest.mark.parametrize("value", ["closed", ["a", "b"], None])
def test_a_parameter_that_the_call_sets_is_not_pushed(value: object) -> None:
    scan = plan("issues", params={"state": value}, filters={"x": "state"})

    assert [key.column for key in scan.key_columns] == ["owner", "at"]


def test_types_override_a_streams_columns() -> None:
    scan = plan("issues", types={"state": "JSON"})

    assert scan.columns is not None
    assert scan.columns[1] == Column("state", Scalar("JSON"), ("state",), declared=True)


def test_types_of_an_inferred_table_wait_for_its_columns() -> None:
    scan = plan("open", types={"at": {"type": "TIMESTAMPTZ", "format": "epoch_ms"}}, nested="flatten")

    assert scan.columns is None
    assert scan.types == (Column("at", Scalar("TIMESTAMPTZ"), ("at",), declared=True, format="epoch_ms"),)
    assert scan.nested == "flatten"


def test_a_type_of_no_column_is_refused() -> None:
    with pytest.raises(CallError, match="types has 'stat', which is no column of 'issues'"):
        plan("issues", types={"stat": "JSON"})


def test_columns_are_the_whole_schema() -> None:
    scan = plan("issues", columns={"n": "HUGEINT"})

    assert scan.columns is not None
    assert [column.name for column in scan.columns] == ["n", "owner"]
    with pytest.raises(CallError, match="columns is the whole schema"):
        plan("issues", columns={"n": "HUGEINT"}, types={"n": "BIGINT"})


def test_a_longest_wait_is_the_installers() -> None:
    assert plan(usual=Defaults(max_wait=3600)).request.max_wait == 3600


@pytest.mark.parametrize(("said", "planned"), [(None, 3600), (5, 5), (0, 0)])
def test_a_longest_wait_of_the_call_wins(said: float | None, planned: float) -> None:
    assert plan(usual=Defaults(max_wait=3600), max_wait=said).request.max_wait == planned


@pytest.mark.parametrize(("installed", "said", "planned"), [(None, None, None), (9, None, 9), (9, 3, 3), (9, 50, 50)])
def test_a_cap_on_requests_is_the_calls_else_the_installers(
    installed: int | None, said: int | None, planned: int | None
) -> None:
    assert plan(usual=Defaults(max_requests=installed), max_requests=said).max_requests == planned


@pytest.mark.parametrize(("said", "planned"), [(None, 300), (5, 5), (0, 0)])
def test_how_old_an_answer_may_be_is_the_calls_else_the_installers(said: float | None, planned: float) -> None:
    assert plan(usual=Defaults(cache=300), cache=said).request.cache == planned
    assert plan(cache=said).request.cache == (said or 0)


def test_concurrency_is_the_calls_else_the_connectors() -> None:
    modest = API.model_copy(update={"concurrency": 2})

    assert plan().concurrency == 8
    assert plan(connector=modest).concurrency == 2
    assert plan(connector=modest, concurrency=5).concurrency == 5


def test_what_becomes_of_drift_and_of_failed_trips_stands_in_the_plan() -> None:
    scan = plan("open", sample_pages=3, on_drift="text", extra=True, on_error="skip_missing")

    assert (scan.sample_pages, scan.on_drift, scan.extra, scan.on_error) == (3, "text", True, "skip_missing")
    assert scan.columns is None


@pytest.mark.parametrize(("path", "options"), [("/x", {"columns": {"id": "BIGINT"}}), ("issues", {})])
def test_columns_that_are_declared_are_not_made_text(path: str, options: dict[str, Any]) -> None:
    with pytest.raises(CallError, match=r"on_drift := 'text' makes inferred columns VARCHAR.*declare VARCHAR"):
        plan(path, on_drift="text", **options)


def test_declared_columns_get_one_more_for_what_they_lack() -> None:
    scan = plan("issues", extra=True)

    assert scan.columns is not None
    assert [column.name for column in scan.columns] == ["id", "state", "at", "owner", "_extra"]
    assert [column.is_rest for column in scan.columns] == [False] * 4 + [True]


@pytest.mark.parametrize("name", ["_extra", "_EXTRA"])
def test_a_declared_column_of_the_name_of_the_extra_one_is_refused(name: str) -> None:
    with pytest.raises(CallError, match="extra := true adds the column _extra, but one of this name is declared"):
        plan(columns={"id": "BIGINT", name: "JSON"}, extra=True)

    assert plan(columns={"id": "BIGINT", name: "JSON"}).columns is not None


def test_a_base_url_is_known_by_its_scheme() -> None:
    assert is_base_url("https://api.test")
    assert is_base_url("http://localhost:8000/v1")
    assert not is_base_url("github")
    assert not is_base_url("ftp://api.test")


def test_an_api_without_manifest_is_named_by_its_host_and_anonymous() -> None:
    connector = ad_hoc_connector("https://api.test:8443/v1/", {"https://other.test": "env:T"})

    assert (connector.name, connector.base_url, connector.auth.type) == (
        "api.test:8443",
        "https://api.test:8443/v1",
        "none",
    )


@pytest.mark.parametrize(
    "base_url",
    ["https://api.test", "https://api.test/v1", "https://API.test/v1", "https://api.test:443/v1", "https://api.test/"],
)
def test_an_origin_has_its_own_token(base_url: str) -> None:
    auth = ad_hoc_connector(base_url, {"https://api.test": "env:TOKEN"}).auth

    assert auth.type == "bearer"
    assert auth.token is not None
    assert auth.token.get_secret_value() == "env:TOKEN"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.test",
        "https://api.test:8443",
        "https://api.test.evil.test",
        "https://x.api.test",
        "https://evil.test/https://api.test",
    ],
)
def test_no_other_origin_gets_a_token(base_url: str) -> None:
    assert ad_hoc_connector(base_url, {"https://api.test": "env:TOKEN"}).auth.type == "none"


@pytest.mark.parametrize(
    "base_url", ["https://ann:s3cret@api.test", "https://s3cret@api.test/x", "https://api.test@evil.test"]
)
def test_a_base_url_holds_no_credentials(base_url: str) -> None:
    with pytest.raises(CallError, match="the base URL holds credentials") as caught:
        ad_hoc_connector(base_url, {})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["https://api.test?api_key=s3cret", "https://api.test/x?token=s3cret", "https://api.test/#access_token=s3cret"],
)
def test_a_credential_in_a_base_url_is_not_shown(base_url: str) -> None:
    with pytest.raises(CallError, match="is not a base URL") as caught:
        ad_hoc_connector(base_url, {})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://", "https:///x", "https://a b", "https://api.test?x=1", "https://[::1", "https://[::1/x", "https://api.test\n",
        "https://api\t.test", "https://api.test:port", "https://api.test\\.evil.test",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(CallError, match="base URL"):
        ad_hoc_connector(base_url, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": {"id": "BIGINT"}, "types": {"id": "DOUBLE"}}, "columns is the whole schema"),
        ({"columns": {"id": "BIGINT", "ID": "DOUBLE"}}, "differ by case only"),
        ({"columns": {"id": "BIGINT"}, "nested": "json"}, "nested shapes inferred columns"),
        ({"columns": {"id": "BIGINT"}, "on_drift": "text"}, "makes inferred columns VARCHAR"),
        (
            {"path": "/repos/{owner}", "columns": {"owner": "JSON"}},
            "owner is a key column; it must be of a plain type, not JSON",
        ),
        ({"path": "/repos/{owner}", "pagination": {"strategy": "cursor", "params_in": "body", "cursor_param": "a",
          "next_cursor_path": "b"}, "columns": {"id": "BIGINT"}}, "needs method := 'POST'"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CallError, match=said):
        plan(**{"path": "/x", **options})


def test_a_reference_to_a_credential_is_refused_wherever_it_stands() -> None:
    with pytest.raises(CallError, match="refers to a credential, which SQL must not"):
        plan(data_path="env:TOKEN")


def test_a_post_is_sent_where_the_manifest_says_that_it_reads() -> None:
    reads = API.model_copy(update={"read_posts": ("/search", "/lists/*/query")})

    asked = [plan(path, reads, method="post", body={"ids": [1, 2]}).request for path in ("/search", "/lists/7/query")]

    assert [(request.method, json.loads(request.body or b"")) for request in asked] == [("POST", {"ids": [1, 2]})] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"body": {"q": "x"}}, "a body needs method := 'POST'"),
        ({"path": "search", "method": "GET"}, "'search' is asked by POST, not by GET"),
        (
            {"path": "/items", "method": "POST"},
            r"POST /items may change something.*'https://api.test': \['/v1/items'\]",
        ),
        ({"headers": {"X A": "b"}}, "the header 'X A' has characters that HTTP cannot carry"),
        ({"headers": {"X-A": "b\r\nX-B: c"}}, "the header 'X-A' has characters that HTTP cannot carry"),
        ({"headers": {"X-A": " b"}}, "the header 'X-A' has .* spaces around its value"),
        ({"headers": {"X-A": "b "}}, "the header 'X-A' has .* spaces around its value"),
    ],
)
def test_a_request_that_must_not_be_sent_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CallError, match=said):
        plan(**{"path": "/x", **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pagination": "page"}, "needs page_param. Say pagination := {'strategy': 'page', 'page_param': 'page', "),
        ({"pagination": "next_url"}, "Say pagination := {'strategy': 'next_url', 'next_url_path': 'next', "),
        ({"page_size": 5}, "needs limit_param, the query parameter that carries it. Say pagination := {'strategy': "),
    ],
)
def test_a_strategy_that_says_too_little_is_told_with_what_to_write(options: dict[str, Any], words: str) -> None:
    with pytest.raises(CallError) as caught:
        plan(connector=ConnectorDefinition(name="api", base_url="https://api.test"), **options)

    assert words in str(caught.value)


def test_a_url_is_no_path() -> None:
    with pytest.raises(CallError, match=r"A path starts with '/', and comes behind the base URL, https://api\.test\.$"):
        plan("https://api.test/items", ConnectorDefinition(name="api", base_url="https://api.test"))


@pytest.mark.parametrize(("of_retry", "installed", "planned"), [(5, None, 60), (200, None, 200), (200, 10, 10)])
def test_a_limit_is_waited_for_as_long_as_the_longer_of_two_says(
    of_retry: float, installed: float | None, planned: float
) -> None:
    api = ConnectorDefinition(name="api", base_url="https://api.test", retry=RetryConfig(max_wait=of_retry))

    assert plan(connector=api, usual=Defaults(max_wait=installed)).request.max_wait == planned
