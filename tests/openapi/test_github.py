"""A draft from GitHub's own OpenAPI document: its streams against facts that are read from the document here."""

import datetime as dt
import gzip
import json
import re
import tomllib
from typing import Any

import pytest

from apikit_sql.column_types import ListOf, Scalar, Struct, parse_type
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.template import fields_of
from apikit_sql.openapi.draft import draft_manifest
from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.predicate import OneOf
from apikit_sql.plan.pushdown import push_down
from tests.openapi.reduce import REDUCED, at

GITHUB: dict[str, Any] = json.loads(gzip.decompress(REDUCED.read_bytes()))
#: Ten streams of GitHub's, and what the document calls their operations.
CHOSEN = {
    "org_repos": "repos/list-for-org",
    "repo_issues": "issues/list-for-repo",
    "issue_comments": "issues/list-comments",
    "repo_pulls": "pulls/list",
    "repo_commits": "repos/list-commits",
    "repo_releases": "repos/list-releases",
    "org_members": "orgs/list-members",
    "actions_runs": "actions/list-workflow-runs-for-repo",
    "run_jobs": "actions/list-jobs-for-workflow-run",
    "search_repositories": "search/repos",
}
#: A value of each type that a required key of GitHub's has.
VALUES: dict[str, Any] = {"VARCHAR": "x y", "BIGINT": 7, "DATE": dt.date(2026, 1, 2)}
_FIELD = re.compile(r"\{[^{}]*\}")
#: What a plain schema is as a column.
PLAIN = {("string", None): "VARCHAR", ("string", "uri"): "VARCHAR", ("string", "date-time"): "TIMESTAMPTZ",
         ("integer", None): "BIGINT", ("integer", "int64"): "BIGINT", ("boolean", None): "BOOLEAN"}  # fmt: skip


@pytest.fixture(scope="module")
def github() -> ConnectorDefinition:
    return ConnectorDefinition.model_validate(tomllib.loads(draft_manifest(GITHUB, "github")))


def test_github_has_a_stream_for_each_array_of_objects(github: ConnectorDefinition) -> None:
    arrays = {
        path
        for path, item in GITHUB["paths"].items()
        if not item["get"].get("deprecated") and is_array_of_objects(body_of(path))
    }

    paths = {_FIELD.sub("{}", stream.path) for stream in github.streams.values()}

    assert {_FIELD.sub("{}", path) for path in arrays} <= paths
    assert len(github.streams) == len(paths) > len(arrays) > 200


def test_each_stream_of_github_can_be_planned_and_asked(github: ConnectorDefinition) -> None:
    for name, stream in github.streams.items():
        required = [key for key in stream.key_columns if key.required]
        values = [key.values[0] if key.values else VALUES[key.type] for key in required]

        scan = plan_call(read_call(json.dumps({"connector": "github", "path": name})), github)
        (trip,) = push_down(scan, [OneOf(key.column, (value,)) for key, value in zip(required, values, strict=True)])

        assert scan.columns is not None, name
        assert {column.name for column in scan.columns} == set(stream.columns) | {key.column for key in required}
        assert fields_of(trip.request.path) == ()
        assert {key.param for key in required if key.param} <= dict(trip.request.params).keys()


def body_of(path: str) -> dict[str, Any]:
    answered = at(GITHUB, GITHUB["paths"][path]["get"]["responses"]["200"])
    return at(GITHUB, answered["content"]["application/json"]["schema"])


def is_array_of_objects(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array" and "properties" in at(GITHUB, schema["items"])


@pytest.mark.parametrize(("name", "operation"), CHOSEN.items())
def test_a_stream_of_github_is_what_the_document_says(github: ConnectorDefinition, name: str, operation: str) -> None:
    ((path, item),) = [
        (path, item) for path, item in GITHUB["paths"].items() if item["get"]["operationId"] == operation
    ]
    body = body_of(path)
    (records,) = (
        [(None, body)]
        if body["type"] == "array"
        else [(key, schema) for key, schema in body["properties"].items() if schema.get("type") == "array"]
    )
    properties = at(GITHUB, records[1]["items"])["properties"]

    stream = github.streams[name]

    assert (stream.path, stream.data_path) == (path, records[0])
    assert stream.docs == item["get"]["externalDocs"]["url"]
    assert list(stream.columns) == list(properties)
    assert [key.path for key in stream.key_columns if key.path] == [
        part[1:-1] for part in path.split("/") if part[:1] == "{"
    ]
    for column, schema in properties.items():
        kind = parse_type(stream.columns[column].type)
        match at(GITHUB, schema):
            case {"type": "array"}:
                assert isinstance(kind, ListOf)
            case {"type": "object", "properties": fields}:
                assert isinstance(kind, Struct)
                assert [field for field, _ in kind.fields] == list(fields)
            case {"type": str(told), **rest} if (told, rest.get("format")) in PLAIN:
                assert kind == Scalar(PLAIN[told, rest.get("format")])  # type: ignore[arg-type]
            case _:
                pass


def test_github_pages_by_its_links(github: ConnectorDefinition) -> None:
    pagination = github.pagination

    assert (pagination.strategy, pagination.limit_param, pagination.page_size) == ("link", "per_page", 100)
    assert github.streams["repo_issues"].pagination is None
    assert github.streams["search_repositories"].pagination is not None
    assert github.streams["search_repositories"].pagination.strategy == "page"
    assert github.base_url == GITHUB["servers"][0]["url"]
