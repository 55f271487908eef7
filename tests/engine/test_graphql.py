"""GraphQL answers: pages of a connection, errors beside data, limits with status 200, and what is missing where."""

import json
from typing import Any

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RetryConfig
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, AuthError, DecodeError, GraphQLError, PaginationError, RateLimitError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import read_envelope
from tests.engine.taking import BOTH, Hand, Take, plan_of
from tests.fakes.api import FakeApi
from tests.fakes.graphql import graphql_route, issues, variables

SECRET = "tok-secret-1234567"
PAGE_INFO = "pageInfo { hasNextPage endCursor }"
OF_LABELS = ("repository", "issues", "nodes", "labels", "pageInfo", "hasNextPage")


def query_of(
    inside: str = "nodes { number }", record_path: str = "data.repository.issues.nodes", size: int = 2, **plan: Any
) -> RequestPlan:
    """The plan of a query of the issues of 'duck', some to a page."""
    text = f"""query($first: Int, $after: String) {{
        repository(name: "duck") {{ issues(first: $first, after: $after) {{ {inside} {PAGE_INFO} }} }} }}"""
    settings = PaginationConfig(strategy="relay", connection_path="repository.issues")
    return posted(text, {"first": size}, record_path=record_path, pagination=settings, **plan)


def posted(text: str, given: dict[str, Any] | None = None, **plan: Any) -> RequestPlan:
    body = json.dumps({"query": text, "variables": given or {}}).encode()
    return plan_of("/graphql", method="POST", body=body, is_graphql=True, **{"record_path": "data", **plan})


def api_of(count: int = 5, **issue: int) -> FakeApi:
    return FakeApi({"/graphql": graphql_route(issues(count, **issue))})


def answering(body: object, status: int = 200, headers: dict[str, str] | None = None) -> FakeApi:
    return FakeApi({"/graphql": httpx.Response(status, json=body, headers=headers)})


def taken(plan: RequestPlan, api: FakeApi) -> list[Page]:
    hand = Hand(api)
    return hand.pages(trip(plan, hand.access(plan)))


def error_of(plan: RequestPlan, api: FakeApi) -> ApikitError:
    with pytest.raises(ApikitError) as caught:
        taken(plan, api)
    return caught.value


def numbers(pages: list[Page]) -> list[Any]:
    return [json.loads(bytes(record)) for page in pages for record in page.envelope.records]


def page(nodes: object, info: object) -> dict[str, Any]:
    return {"data": {"repository": {"issues": {"nodes": nodes, "pageInfo": info}}}}


# --- pages


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize(
    ("inside", "record_path"),
    [
        ("nodes { number }", "data.repository.issues.nodes"),
        ("edges { cursor node { number } }", "data.repository.issues.edges[].node"),
    ],
)
def test_pages_follow_the_end_cursor_until_there_is_no_next(take: Take, inside: str, record_path: str) -> None:
    plan, api = query_of(inside, record_path), api_of(5)

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert numbers(pages) == [{"number": n} for n in range(1, 6)]
    assert [variables(each) for each in api.seen] == [
        {"first": 2},
        {"first": 2, "after": "c2"},
        {"first": 2, "after": "c4"},
    ]
    assert len({json.loads(each.content)["query"] for each in api.seen}) == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_single_page_is_one_request(count: int) -> None:
    api = api_of(count)

    assert len(numbers(taken(query_of(), api))) == count
    assert len(api.seen) == 1


def test_nodes_that_are_null_stay_in_their_places() -> None:
    edges = [{"node": {"number": 1}}, {"node": None}, None, {"cursor": "c"}]
    info = {"hasNextPage": False, "endCursor": None}
    api = answering({"data": {"repository": {"issues": {"edges": edges, "pageInfo": info}}}})

    assert numbers(taken(query_of(record_path="data.repository.issues.edges[].node"), api)) == [
        {"number": 1},
        None,
        None,
        None,
    ]


def test_without_a_connection_there_is_one_request() -> None:
    api = api_of()

    pages = taken(posted("{ countries { code } }", record_path="data.countries"), api)

    assert numbers(pages) == [{"code": "CH"}, {"code": "VN"}]
    assert len(api.seen) == 1


@pytest.mark.parametrize(
    ("query", "path", "rows"),
    [
        ("{ hello numbers }", "data", [{"hello": "world", "numbers": [1, 2]}]),
        ('{ repository(name: "duck") { name } }', "data.repository", [{"name": "duck"}]),
        ('{ repository(name: "goose") { name } }', "data.repository", []),
    ],
)
def test_one_object_is_one_row_and_null_is_none(query: str, path: str, rows: list[object]) -> None:
    assert numbers(taken(posted(query, record_path=path), api_of())) == rows


# --- what does not tell the next page


@pytest.mark.parametrize("info", [None, {}, [], {"hasNextPage": None}, {"hasNextPage": "no"}, {"endCursor": "c2"}])
def test_page_info_that_does_not_say_is_an_error(info: object) -> None:
    error = error_of(query_of(), answering(page([{"number": 1}], info)))

    assert isinstance(error, PaginationError)
    assert str(error).startswith("api: POST /graphql: repository.issues.pageInfo.hasNextPage is neither true nor false")


@pytest.mark.parametrize(("cursor", "shown"), [(None, "null"), ("", '""'), (7, "7"), ({"a": 1}, '{"a": 1}')])
def test_more_without_a_cursor_is_an_error(cursor: object, shown: str) -> None:
    info = {"hasNextPage": True, "endCursor": cursor}

    error = error_of(query_of(), answering(page([{"number": 1}], info)))

    assert isinstance(error, PaginationError)
    assert f"repository.issues.pageInfo says that there is more, but its endCursor is {shown}." in str(error)


def test_a_cursor_that_is_not_there_is_an_error() -> None:
    error = error_of(query_of(), answering(page([{"number": 1}], {"hasNextPage": True})))

    assert "endCursor is null" in str(error)


def test_a_cursor_that_comes_again_is_an_error() -> None:
    api = answering(page([{"number": 1}], {"hasNextPage": True, "endCursor": "c1"}))

    error = error_of(query_of(), api)

    assert isinstance(error, PaginationError)
    assert "page 2 leads back to an earlier page" in str(error)
    assert len(api.seen) == 2


# --- where the rows should be


@pytest.mark.parametrize("body", [{"data": None}, {}, [], {"items": [1]}, {"data": [1]}, {"data": 3}])
@pytest.mark.parametrize("plan", [query_of(), posted("{ a }"), posted("{ a { b } }", record_path="data.a")])
def test_an_answer_without_data_and_errors_is_no_table(body: object, plan: RequestPlan) -> None:
    error = error_of(plan, answering(body))

    assert isinstance(error, DecodeError)
    assert str(error).startswith("api: POST /graphql answered 200 (application/json), page 1: data is ")
    assert "no errors tell why. If /graphql does not answer GraphQL, say path := ..." in str(error)


def test_nothing_at_all_is_no_table() -> None:
    api = FakeApi({"/graphql": httpx.Response(204)})

    assert "data is not there" in str(error_of(query_of(), api))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"repository": None}, "repository is null, and no errors tell why: what the query asks for may not exist"),
        ({}, "repository is not there"),
        ({"repository": {"issues": None}}, "repository.issues is null"),
        ({"repository": {"issues": {"nodes": None}}}, "repository.issues.nodes is null"),
        ({"repository": {"issues": {"nodes": {"a": 1}}}}, "repository.issues.nodes is an object"),
        (
            {"repository": [{"issues": {}}]},
            "repository is a list: of a connection within a list no pages can be followed",
        ),
    ],
)
def test_a_step_to_the_connection_that_leads_nowhere_is_named(data: object, told: str) -> None:
    error = error_of(query_of(), answering({"data": data}))

    assert isinstance(error, DecodeError)
    assert told in str(error)


# --- errors


def test_errors_are_no_rows_also_beside_data() -> None:
    plan, api = query_of("nodes { number flaky }", size=100), api_of()

    error = error_of(plan, api)

    assert isinstance(error, GraphQLError)
    assert str(error) == (
        "api: POST /graphql answered 200 with an error (the disk of issue 3 is away) at repository.issues.nodes.2.flaky"
    )
    assert (error.status, error.url) == (200, "https://api.test/graphql")
    assert [(each["message"], each["path"][-1]) for each in error.errors] == [("the disk of issue 3 is away", "flaky")]


def test_pages_before_an_error_are_read() -> None:
    plan, api = query_of("nodes { number flaky }"), api_of()
    hand = Hand(api)
    steps = trip(plan, hand.access(plan))
    first = hand.value(next(steps).fetch())  # type: ignore[union-attr]  # a page is wanted

    assert steps.send(first) is first
    with pytest.raises(GraphQLError):
        hand.value(next(steps).fetch())  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [200, 400, 422])
def test_an_error_has_the_first_message_whatever_the_status(status: int) -> None:
    told = [{"message": "Cannot query\nfield 'x'"}, {"message": "and more", "path": ["b"]}]

    error = error_of(query_of(), answering({"errors": told}, status))

    assert isinstance(error, GraphQLError)
    assert "(Cannot query field 'x')" in str(error)
    assert (error.status, error.errors) == (status, tuple(told))


def test_an_error_beside_another_answer_in_the_envelope_is_one() -> None:
    body = {"id": 7, "data": {"repository": None}, "errors": [{"message": "gone", "path": ["repository"]}]}

    assert "(gone) at repository" in str(error_of(query_of(), answering(body)))


@pytest.mark.parametrize("errors", [None, [], {}])
def test_errors_that_are_none_are_no_errors(errors: object) -> None:
    body = page([{"number": 1}], {"hasNextPage": False}) | {"errors": errors}

    assert numbers(taken(query_of(), answering(body))) == [{"number": 1}]


@pytest.mark.parametrize("errors", ["no", ["no"], {"message": "no"}, [None, 3]])
def test_errors_of_another_shape_are_an_error_all_the_same(errors: object) -> None:
    error = error_of(query_of(), answering({"data": {}, "errors": errors}))

    assert str(error).startswith("api: POST /graphql answered 200 with an error")


def test_a_status_alone_is_a_request_error() -> None:
    for answer in (
        httpx.Response(500, text="oh"),
        httpx.Response(404, text="[" * 100_000),
        httpx.Response(403, json=[]),
    ):
        error = error_of(query_of(retry=RetryConfig(max_attempts=1)), FakeApi({"/graphql": answer}))

        assert type(error).__name__ == "RequestError"


def test_a_refused_credential_is_an_auth_error() -> None:
    body = {"errors": [{"message": "Bad credentials"}]}

    assert isinstance(error_of(query_of(), answering(body, 401)), AuthError)


def test_errors_carry_no_secret_and_are_short() -> None:
    plan = query_of(auth=AuthConfig(type="bearer", token=SECRET))
    told = {"message": f"{SECRET} is bad", "path": [f"a{SECRET}", "b\n" * 200], "extensions": {"token": [SECRET]}}

    error = error_of(plan, answering({"errors": [told]}))

    assert isinstance(error, GraphQLError)
    assert SECRET not in str(error) + repr(error.errors)
    assert "(***REDACTED*** is bad) at a***REDACTED***.bbb" in str(error)
    assert len(str(error)) < 250


# --- limits


@pytest.mark.parametrize(
    "told",
    [
        {"type": "RATE_LIMITED", "message": "API rate limit exceeded"},
        {
            "type": "RATE_LIMIT",
            "code": "graphql_rate_limit",
            "message": "API rate limit already exceeded for user ID 1.",
        },
        {"message": "Throttled", "extensions": {"code": "THROTTLED"}},
        {"message": "You have exceeded a secondary rate limit."},
    ],
)
def test_a_limit_told_with_status_200_is_waited_for(told: dict[str, Any]) -> None:
    api = api_of(1)
    api.trouble.append(httpx.Response(200, json={"data": None, "errors": [told]}, headers={"retry-after": "7"}))
    plan = query_of()
    hand = Hand(api)

    pages = hand.pages(trip(plan, hand.access(plan)))

    assert (numbers(pages), hand.slept) == ([{"number": 1}], [7])


def test_a_limit_that_is_longer_than_the_callers_patience_is_told() -> None:
    told = {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
    headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1750003600"}

    error = error_of(query_of(), answering(told, headers=headers))

    assert isinstance(error, RateLimitError)
    assert str(error) == "api: 0 of 5000 left, resets 16:06 UTC (60 min). Set max_wait := 3600."


def test_a_limit_that_does_not_end_is_a_rate_limit_error() -> None:
    api = answering({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]})

    error = error_of(query_of(), api)

    assert isinstance(error, RateLimitError)
    assert "answered 200 with an error (API rate limit exceeded)" in str(error)
    assert len(api.seen) == 3


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"a": 1}, "errors": [{"type": "RATE_LIMITED", "message": "x"}]},
        {"data": None, "errors": [{"type": "NOT_FOUND", "message": "x", "extensions": {"code": 7}}, "RATE_LIMITED"]},
        {"data": None, "errors": {"type": "RATE_LIMITED"}},
        ["errors", {"errors": [{"type": "RATE_LIMITED"}]}],
    ],
)
def test_other_errors_are_no_limit(body: object) -> None:
    api = answering(body)

    assert not isinstance(error_of(query_of(), api), RateLimitError)
    assert len(api.seen) == 1


@pytest.mark.parametrize("text", ['{"errors": [{"type": "RATE_LIMITED"}', '{"errors": ' + "[" * 9_000])
def test_a_body_that_is_cut_off_is_no_limit(text: str) -> None:
    api = FakeApi({"/graphql": httpx.Response(200, text=text)})

    assert isinstance(error_of(query_of(), api), DecodeError)
    assert len(api.seen) == 1


# --- connections that are not followed


@pytest.mark.parametrize(("labels", "told"), [(3, {"repository.issues.nodes.labels"}), (2, set()), (0, set())])
def test_an_inner_connection_with_a_next_page_is_noted(labels: int, told: set[str]) -> None:
    plan = query_of("nodes { labels(first: 2) { nodes { name } pageInfo { hasNextPage } } }", unfollowed=(OF_LABELS,))
    hand = Hand(api_of(3, labels=labels))
    access = hand.access(plan)

    hand.pages(trip(plan, access))

    assert access.scan.unfollowed == told
    assert all("repository.issues.nodes.labels had a next page" in text for text in access.scan.warnings())
    assert len(list(access.scan.warnings())) == len(told)


def test_what_is_null_on_the_way_to_an_inner_connection_has_no_pages() -> None:
    body = page([None, {"labels": None}, {"labels": 3}], {"hasNextPage": False})
    plan, hand = query_of(unfollowed=(OF_LABELS,)), Hand(answering(body))
    access = hand.access(plan)

    hand.pages(trip(plan, access))

    assert access.scan.unfollowed == set()


# --- record paths through a list


@pytest.mark.parametrize(
    ("body", "path", "records"),
    [
        ({"edges": [{"node": {"a": 1}}, {"node": {"a": 2}}]}, "edges[].node", [{"a": 1}, {"a": 2}]),
        ({"d": {"edges": [{"n": {"o": [1]}}]}}, "d.edges[].n.o", [[1]]),
        ({"edges": []}, "edges[].node", []),
        ({"edges": None}, "edges[].node", []),
    ],
)
def test_a_record_path_may_lead_through_a_list(body: object, path: str, records: list[object]) -> None:
    envelope = read_envelope(json.dumps(body).encode(), path)

    assert [json.loads(bytes(record)) for record in envelope.records] == records
    assert envelope.record_path == path


def test_a_record_path_through_no_list_leads_nowhere() -> None:
    with pytest.raises(DecodeError, match="there is no"):
        read_envelope(b'{"data": 1}', "edges[].node")
    with pytest.raises(DecodeError, match="leads to a number"):
        read_envelope(b'{"edges": 1}', "edges[].node")
