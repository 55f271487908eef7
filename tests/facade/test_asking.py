"""GraphQL and inspection by both doors."""

import datetime as dt
from typing import Any

import pytest

from apikit_sql import Apikit, ApikitWarning, CallError, GraphQLError, Session
from tests.facade.doors import Door, call
from tests.fakes.api import BASE_URL, FakeApi, Table
from tests.fakes.graphql import COUNTRIES, graphql_route, issues, variables

COUNT = 25
PAGED = """query($first: Int!, $after: String) { repository(name: "duck") { issues(first: $first, after: $after) {
    nodes { number title } pageInfo { hasNextPage endCursor } } } }"""
CONNECTION = {"connection_path": "repository.issues", "page_size": 10}


@pytest.fixture
def api() -> FakeApi:
    items = [{"id": n, "name": f"n{n}"} for n in range(12)]
    return FakeApi({"/api/graphql": graphql_route(issues(COUNT)), "/items": Table(items, "link")})


def test_the_rows_are_what_the_only_field_gives(client: Apikit, door: Door) -> None:
    assert call(door, client, "graphql", "/api/graphql", "{ countries { code name } }") == COUNTRIES


def test_times_of_variables_are_rfc_3339(api: FakeApi, client: Apikit, door: Door) -> None:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    call(door, client, "graphql", "/api/graphql", "query($t: String) { at(time: $t) }", variables={"t": at})

    assert variables(api.seen[0]) == {"t": "2026-01-01T00:00:00Z"}


def test_the_pages_of_a_connection_are_followed(api: FakeApi, client: Apikit, door: Door) -> None:
    found = call(door, client, "graphql", "/api/graphql", PAGED, paginate=True, **CONNECTION)

    assert found == [{"number": n, "title": f"issue {n}"} for n in range(1, COUNT + 1)]
    assert len(api.seen) == 3


def test_the_first_page_alone_is_warned_of(api: FakeApi, client: Apikit, door: Door) -> None:
    with pytest.warns(ApikitWarning, match="has more pages"):
        found = call(door, client, "graphql", "/api/graphql", PAGED, **CONNECTION)

    assert [each["number"] for each in found] == list(range(1, 11))
    assert len(api.seen) == 1


def test_an_answer_with_errors_is_never_rows(client: Apikit, door: Door) -> None:
    query = '{ repository(name: "duck") { issues(first: 5) { nodes { flaky } } } }'

    with pytest.raises(GraphQLError, match="the disk of issue 3 is away") as caught:
        call(door, client, "graphql", "/api/graphql", query)

    assert caught.value.errors[0]["message"] == "the disk of issue 3 is away"


@pytest.mark.parametrize(
    ("query", "options", "words"),
    [
        ("mutation { addStar }", {}, "mutation"),
        ("{ hello }", {"paginate": True}, "paginate needs connection_path"),
        ("{ hello }", {"page_size": 0}, "page_size"),
        ("{ hello }", {"nodes": 1}, "no option 'nodes'"),
    ],
)
def test_what_cannot_be_asked_is_told(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, query: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CallError, match=words):
        call(door, client, "graphql", "/api/graphql", query, **options)

    assert api.seen == []


def test_an_inspection_tells_what_one_request_tells(api: FakeApi, client: Apikit, door: Door) -> None:
    found = call(door, client, "inspect", "/items", params={"limit": 5})

    assert (found.status_code, found.record_count, found.error) == (200, 5, None)
    assert found.detected_pagination.strategy == "link"
    assert found.schema_sample() == {"id": "BIGINT", "name": "VARCHAR"}
    assert f'base_url = "{BASE_URL}"' in found.suggested_config()
    assert len(api.seen) == 1


def test_the_suggestion_for_a_connector_extends_it(session: Session, door: Door) -> None:
    found = call(door, Apikit.from_name("demo", session=session), "inspect", "/orders", params={"offset": 0})

    assert 'extends = "demo"' in found.suggested_config()


def test_an_error_is_told_by_an_inspection(api: FakeApi, client: Apikit, door: Door) -> None:
    found = call(door, client, "inspect", "/nothing")

    assert found.status_code == 404
    assert "answered 404" in found.error
    assert len(api.seen) == 1
