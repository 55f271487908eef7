"""The built-in manifests: each loads, names what there is, and its streams can be asked."""

import datetime as dt
import json
from typing import Any
from urllib.parse import quote

import pytest

from apikit_sql.column_types import ColumnType, Struct, parse_type
from apikit_sql.connector.manifest import ConnectorDefinition, Stream
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.identifiers import plain
from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.predicate import Compared, OneOf, Predicate
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan

REGISTRY = ConnectorRegistry()
CONNECTORS = [REGISTRY.definition(name) for name in REGISTRY.names()]
STREAMS = [
    pytest.param(connector, name, stream, id=f"{connector.name}.{name}")
    for connector in CONNECTORS
    for name, stream in connector.streams.items()
]


def plan(connector: ConnectorDefinition, path: str, **options: object) -> ScanPlan:
    return plan_call(read_call(json.dumps({"connector": connector.name, "path": path, **options})), connector)


def github(stream: str, *predicates: Predicate, **options: object) -> list[RequestPlan]:
    return [trip.request for trip in push_down(plan(REGISTRY.get("github"), stream, **options), predicates)]


def type_at(stream: Stream, path: str) -> ColumnType | None:
    """The type of a column, or of a field in a struct column."""
    head, *steps = path.split(".")
    kind: ColumnType | None = parse_type(stream.columns[head].type) if head in stream.columns else None
    for step in steps:
        kind = dict(kind.fields).get(step) if isinstance(kind, Struct) else None
    return kind


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_a_connector_says_what_it_is_and_where_that_is_written(connector: ConnectorDefinition) -> None:
    assert connector.description
    assert connector.docs
    assert connector.streams


@pytest.mark.parametrize(("connector", "name", "stream"), STREAMS)
def test_a_stream_declares_its_columns_and_names_only_those(
    connector: ConnectorDefinition, name: str, stream: Stream
) -> None:
    known = stream.columns.keys() | {key.column for key in stream.key_columns if key.required}

    assert stream.description
    assert stream.columns, f"{connector.name}.{name} would be sampled at bind"
    assert set(stream.primary_key) <= known
    assert stream.updated_at is None or stream.updated_at in stream.columns
    for key in stream.key_columns:
        assert key.required or type_at(stream, key.column) is not None, key.column
        assert key.path is None or f"{{{key.path}}}" in stream.path


@pytest.mark.parametrize(("connector", "name", "stream"), STREAMS)
def test_a_stream_can_be_planned_and_asked(connector: ConnectorDefinition, name: str, stream: Stream) -> None:
    scan = plan(connector, name)
    required = [key for key in stream.key_columns if key.required]
    values = {key.column: key.values[0] if key.values else f"x {number}" for number, key in enumerate(required)}

    (trip,) = push_down(scan, [OneOf(column, (value,)) for column, value in values.items()])

    assert scan.columns is not None
    assert {column.name for column in scan.columns} >= set(stream.columns) | values.keys()
    assert fields_of(trip.request.path) == ()
    for key in required:
        value = values[key.column]
        assert (key.param, value) in trip.request.params or f"/{quote(value)}" in trip.request.path
    assert hash(scan)


@pytest.mark.parametrize(("connector", "name", "stream"), STREAMS)
def test_a_required_key_cannot_be_left_out(connector: ConnectorDefinition, name: str, stream: Stream) -> None:
    required = [key.column for key in stream.key_columns if key.required]

    if required:
        with pytest.raises(CallError, match=f"needs {' and '.join(map(plain, required))}"):
            push_down(plan(connector, name), [])


def test_github_is_asked_anonymously_where_there_is_no_token() -> None:
    connector = REGISTRY.get("github")

    assert (connector.auth.type, connector.auth.optional) == ("bearer", True)
    assert connector.auth.token is not None
    assert connector.auth.token.get_secret_value() == "env:GITHUB_TOKEN"
    assert connector.base_url == "https://api.github.com"
    assert (connector.pagination.strategy, connector.pagination.limit_param, connector.pagination.page_size) == (
        "link",
        "per_page",
        100,
    )


def test_github_issues_without_more_are_those_of_every_state() -> None:
    (request,) = github("issues", OneOf("owner", ("duckdb",)), OneOf("repo", ("duckdb",)))

    assert request.base_url + request.path == "https://api.github.com/repos/duckdb/duckdb/issues"
    assert request.params == (("state", "all"),)


def test_github_issues_are_narrowed_by_state_and_time() -> None:
    (request,) = github(
        "issues",
        OneOf("owner", ("duckdb",)),
        OneOf("repo", ("duckdb",)),
        OneOf("state", ("open",)),
        Compared("updated_at", ">", dt.datetime(2026, 1, 5, 10, 0, 0, 500_000, tzinfo=dt.UTC)),
        OneOf("title", ("x",)),
        Compared("created_at", ">", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    )
    params = dict(request.params)

    assert request.path == "/repos/duckdb/duckdb/issues"
    assert params.keys() == {"state", "since"}
    assert params["state"] == "open"
    assert dt.datetime.fromisoformat(params["since"]) <= dt.datetime(2026, 1, 5, 10, 0, 0, tzinfo=dt.UTC)
    assert dt.datetime.fromisoformat(params["since"]) >= dt.datetime(2026, 1, 5, 9, 59, 58, tzinfo=dt.UTC)


def test_github_issues_of_both_states_are_two_trips() -> None:
    requests = github("issues", OneOf("state", ("open", "closed")), path_params={"owner": "a", "repo": "b"})

    assert [dict(request.params)["state"] for request in requests] == ["open", "closed"]
    assert {request.path for request in requests} == {"/repos/a/b/issues"}


def test_a_state_that_github_does_not_know_is_not_sent() -> None:
    (request,) = github("issues", OneOf("state", ("reopened",)), path_params={"owner": "a", "repo": "b"})

    assert request.params == (("state", "all"),)


def test_a_state_that_the_call_sets_stays() -> None:
    (request,) = github(
        "issues", OneOf("state", ("open",)), path_params={"owner": "a", "repo": "b"}, params={"state": "closed"}
    )

    assert request.params == (("state", "closed"),)


def test_the_latest_changes_are_no_upper_bound() -> None:
    (request,) = github(
        "issues",
        Compared("updated_at", "<", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        path_params={"owner": "a", "repo": "b"},
    )

    assert "since" not in dict(request.params)


def test_githubs_forks_are_told_apart_from_their_upstream() -> None:
    (request,) = github(
        "forks", OneOf("upstream_owner", ("duckdb",)), OneOf("upstream_repo", ("duckdb",)), OneOf("owner.login", ("x",))
    )

    assert (request.path, request.params) == ("/repos/duckdb/duckdb/forks", ())


def test_jsonplaceholder_counts_pages() -> None:
    connector = REGISTRY.get("jsonplaceholder")
    expected: dict[str, Any] = {"strategy": "page", "page_param": "_page", "limit_param": "_limit"}

    assert expected.items() <= connector.pagination.model_dump().items()
    assert connector.auth.type == "none"
    (trip,) = push_down(plan(connector, "posts"), [OneOf("userId", (3,))])
    assert trip.request.base_url + trip.request.path == "https://jsonplaceholder.typicode.com/posts"
    assert trip.request.params == (("userId", "3"),)
