"""A GraphQL API for the one fake API's routes: graphql-core executes a small schema over plain records."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from graphql import build_schema, graphql_sync

SCHEMA = build_schema("""
    type Query {
        repository(name: String!): Repository
        countries: [Country!]!
        hello: String
        numbers: [Int]
        at(time: String): String
    }
    type Mutation { addStar: Int }
    type Subscription { stars: Int }
    type Country { code: String!  name: String! }
    type Repository { name: String!  owner: Owner  issues(first: Int, after: String, number: Int): IssueConnection }
    type Owner { login: String! }
    type IssueConnection { totalCount: Int!  nodes: [Issue]  edges: [IssueEdge]  pageInfo: PageInfo! }
    type IssueEdge { cursor: String!  node: Issue }
    type Issue { number: Int!  title: String  flaky: String  labels(first: Int!): LabelConnection! }
    type LabelConnection { nodes: [Label!]!  pageInfo: PageInfo! }
    type Label { name: String! }
    type PageInfo { hasNextPage: Boolean!  endCursor: String }
""")

COUNTRIES = [{"code": "CH", "name": "Switzerland"}, {"code": "VN", "name": "Việt Nam"}]


def issues(count: int, labels: int = 1) -> list[dict[str, Any]]:
    """So many issues with so many labels each."""
    return [
        {"number": n, "title": f"issue {n}", "labels": [{"name": f"l{k}"} for k in range(labels)]}
        for n in range(1, count + 1)
    ]


def graphql_route(records: Sequence[Mapping[str, Any]]) -> Callable[[httpx.Request], httpx.Response]:
    """What answers a posted query over `records`, the issues of the repository 'duck'; others are null.

    The issue 3 has a field `flaky` that cannot be read.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        asked = json.loads(request.content)
        result = graphql_sync(SCHEMA, asked["query"], _root(records), variable_values=asked["variables"])
        return httpx.Response(200, json=result.formatted)

    return answer


def variables(request: httpx.Request) -> dict[str, Any]:
    """The variables that a request has sent."""
    sent: dict[str, Any] = json.loads(request.content)["variables"]
    return sent


def _root(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def repository(_: object, name: str) -> dict[str, Any] | None:
        return {"name": name, "owner": {"login": "ada"}, "issues": found} if name == "duck" else None

    def found(_: object, first: int | None = None, after: str | None = None, **__: object) -> dict[str, Any]:
        return _connection([_issue(record) for record in records], first, after)

    return {
        "repository": repository,
        "countries": COUNTRIES,
        "hello": "world",
        "numbers": [1, 2],
        "at": lambda _, time: time,
    }


def _issue(record: Mapping[str, Any]) -> dict[str, Any]:
    def flaky(_: object) -> str:
        if record["number"] == 3:
            message = "the disk of issue 3 is away"
            raise ValueError(message)
        return "fine"

    return {**record, "flaky": flaky, "labels": lambda _, first: _connection(record["labels"], first, None)}


def _connection(records: Sequence[Any], first: int | None, after: str | None) -> dict[str, Any]:
    """The `first` records behind `after` (https://relay.dev/graphql/connections.htm)."""
    start = int(after.removeprefix("c")) if after else 0
    end = len(records) if first is None else min(start + first, len(records))
    return {
        "totalCount": len(records),
        "nodes": records[start:end],
        "edges": [{"cursor": f"c{n}", "node": records[n - 1]} for n in range(start + 1, end + 1)],
        "pageInfo": {"hasNextPage": end < len(records), "endCursor": f"c{end}" if end > start else None},
    }
