"""The streams of a draft: which operations they are, what they are called, and what their keys are."""

from typing import Any

import pytest

from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.openapi.draft import draft_manifest
from apikit_sql.openapi.names import stream_names
from tests.openapi.documents import (
    TEXT,
    WHOLE,
    answer,
    array_of,
    document,
    drafted,
    drafted_stream,
    listing,
    query,
    ref,
)

RECORDS = array_of({"id": WHOLE})
THING = {"type": "object", "properties": {"id": WHOLE, "tags": RECORDS}}


def enveloped(name: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"total": WHOLE, name: RECORDS} | properties}


def streams(item: dict[str, Any], path: str = "/things") -> list[str]:
    """The streams of a document that has this path and another."""
    return sorted(drafted(document({"/others": listing(), path: item})).streams.keys() - {"others"})


@pytest.mark.parametrize(
    ("body", "data_path"),
    [
        (RECORDS, None),
        (ref("Things"), None),
        ({"allOf": [ref("Things")]}, None),
        ({"anyOf": [ref("Things"), {"type": "null"}]}, None),
        ({"oneOf": [RECORDS, array_of({"name": TEXT})]}, None),
        (enveloped("data", included=RECORDS), "data"),
        (enveloped("items", people=RECORDS, places=RECORDS), "items"),
        (enveloped("things", names={"type": "array", "items": TEXT}), "things"),
        ({"allOf": [{"properties": {"page": WHOLE}}, enveloped("results")]}, "results"),
        ({"oneOf": [enveloped("data"), enveloped("data", more={"type": "boolean"})]}, "data"),
        ({"properties": {"_embedded": enveloped("things")}}, "_embedded.things"),
        ({"properties": {"data": enveloped("items")}}, "data.items"),
    ],
)
def test_an_answer_that_holds_records_is_a_stream(body: Any, data_path: str | None) -> None:
    stream = drafted_stream(listing(body=body), components={"schemas": {"Things": RECORDS}})

    assert stream.data_path == data_path
    assert stream.columns["id"].type == "BIGINT"


@pytest.mark.parametrize(
    "item",
    [
        listing(body=THING),  # a thing, not a list of its tags
        listing(body=TEXT),
        listing(body={"type": "array", "items": TEXT}),
        listing(body={"oneOf": [RECORDS, THING]}),
        listing(body={"properties": {"people": RECORDS, "places": RECORDS}}),
        listing(body={"properties": {"errors": RECORDS, "data": THING}}),
        listing(body={"properties": {"a.b": RECORDS}}),
        listing(deprecated=True),
        listing(servers=[{"url": "https://uploads.acme.example"}]),
        listing() | {"servers": [{"url": "https://uploads.acme.example"}]},
        listing(responses={"404": answer(RECORDS)}),
        listing(responses={"200": {"description": "OK"}}),
        listing(responses={"200": {"content": {"text/csv": {"schema": RECORDS}}}}),
        {"post": listing()["get"]},
    ],
)
def test_what_lists_no_records_is_no_stream(item: dict[str, Any]) -> None:
    assert streams(item) == []


@pytest.mark.parametrize("path", ["/things?kind=a", "/things#a", "/../things"])
def test_a_path_that_no_request_can_have_is_no_stream(path: str) -> None:
    assert streams(listing(), path) == []


@pytest.mark.parametrize(
    "answers",
    [
        {200: answer(RECORDS), "404": answer(TEXT)},  # as YAML reads a number
        {"2XX": answer(RECORDS)},
        {"default": answer(RECORDS)},
        {"200": {"$ref": "#/components/responses/Things"}},
        {"200": {"content": {"application/vnd.acme+json": {"schema": RECORDS}}}},
        {"200": {"content": {"application/hal+json": {}, "application/json; charset=utf-8": {"schema": RECORDS}}}},
    ],
)
def test_the_good_answer_is_the_one_that_counts(answers: Any) -> None:
    stream = drafted_stream(listing(responses=answers), components={"responses": {"Things": answer(RECORDS)}})

    assert stream.columns.keys() == {"id"}


def test_an_object_behind_a_key_is_a_list_only_where_the_operation_says_so() -> None:
    body = enveloped("tags")

    assert streams(listing(body=body, operationId="get-thing"), "/things/{thing}") == []
    assert streams(listing(body=body, operationId="things/listTags"), "/things/{thing}") == ["things"]
    assert streams(listing(body=RECORDS), "/things/{thing}") == ["things"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/repos"], ["repos"]),
        (["/api/v2/tickets.json"], ["tickets"]),
        (["/2010-04-01/Accounts/{Sid}/Calls"], ["account_calls"]),
        (["/orgs/{org}/repos", "/users/{user}/repos"], ["org_repos", "user_repos"]),
        (["/companies/{id}/addresses/{no}/boxes"], ["address_boxes"]),
        (["/companies/{id}/staff"], ["company_staff"]),
        (["/boxes/{id}/things"], ["box_things"]),
        (["/status/{id}/things"], ["status_things"]),
        (["/pet/findByStatus"], ["pet_by_status"]),
        (["/users/list", "/getAll"], ["users", "records"]),
        (["/"], ["records"]),
        (["/v1"], ["v1"]),
        (["/2fa/{id}"], ["_2fa"]),
        (["/a/{x}/b/c", "/d/{x}/b/c"], ["a_b_c", "d_b_c"]),
        (["/projects/{id}/project_members"], ["project_members"]),
        (["/project_members", "/projects/{id}/project_members"], ["project_members", "project_project_members"]),
        (["/user/repos", "/users/{user}/repos"], ["user_repos", "users_repos"]),
        (["/a/{x}/things", "/a/{x}/things/{y}"], ["a_things", "a_things_by_y"]),
        (["/a-b", "/aB", "/a_b"], ["a_b", "a_b_2", "a_b_3"]),
    ],
)
def test_a_stream_is_called_by_the_last_steps_of_its_path(paths: list[str], names: list[str]) -> None:
    named = stream_names(paths)

    assert [named[path] for path in paths] == names
    assert stream_names(reversed(paths)) == named


def test_a_field_of_the_path_is_a_required_key() -> None:
    given = {"name": "itemNo", "in": "path", "required": True, "schema": WHOLE}

    stream = drafted_stream(listing({"name": TEXT}, given), "/sites/{site-name}/items/{itemNo}/notes")

    assert stream.path == "/sites/{site_name}/items/{itemNo}/notes"
    assert stream.key_columns == (
        KeyColumn(column="site_name", path="site_name", required=True),
        KeyColumn(column="item_no", path="itemNo", required=True, type="BIGINT"),
    )


def test_fields_that_would_have_one_name_are_kept_apart() -> None:
    stream = drafted_stream(listing(), "/a/{b-c}/{b_c}/{b-c}/things")

    assert stream.path == "/a/{b_c}/{b_c_key}/{b_c}/things"
    assert [(key.column, key.path) for key in stream.key_columns] == [("b_c", "b_c"), ("b_c_key", "b_c_key")]


def test_a_key_that_the_records_have_under_its_name_is_called_otherwise() -> None:
    """A task's own `id` is not its project's: a predicate on one must not ask for the other."""
    paths = {
        "/projects/{id}/tasks": listing({"id": WHOLE}),
        "/teams/{team_id}/teams": listing({"team_id": WHOLE}),
        "/{id}/things": listing({"id": WHOLE, "key_id": WHOLE}),
        "/searches": listing({"state": TEXT}, query("state", required=True), query("State", required=True)),
    }

    connector = drafted(document(paths))

    keys = {name: [key.column for key in stream.key_columns] for name, stream in connector.streams.items()}
    assert keys == {
        "project_tasks": ["project_id"],
        "team_teams": ["team_id_key"],
        "things": ["key_id_key"],
        "searches": ["state_key", "state_key_key"],
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, {}),
        ({"type": "string", "enum": ["a", "b"]}, {"values": ("a", "b")}),
        ({"type": "string", "enum": [str(number) for number in range(31)]}, {}),
        ({"type": "string", "format": "date"}, {"type": "DATE", "format": "date"}),
        ({"type": "string", "format": "date-time"}, {"type": "TIMESTAMPTZ", "format": "rfc3339"}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "BIGINT"}),
        ({"type": "array", "items": TEXT}, {}),
        ({"oneOf": [TEXT, WHOLE]}, {}),
    ],
)
def test_a_query_parameter_that_is_required_is_a_required_key(schema: Any, expected: dict[str, Any]) -> None:
    stream = drafted_stream(listing({"id": WHOLE}, query("forWhom", schema, required=True)))

    assert stream.key_columns == (KeyColumn(column="for_whom", param="forWhom", required=True, **expected),)


def test_a_required_parameter_with_a_default_is_no_key_and_one_with_a_single_value_is_sent() -> None:
    given = (
        query("sort", {"type": "string", "default": "name"}, required=True),
        query("api", {"type": "string", "enum": ["v2"]}, required=True),
        query("limit", WHOLE, required=True),
        query("token", required=True),
    )
    found = document({"/things": listing(None, *given)})

    (stream,) = drafted(found).streams.values()

    assert stream.key_columns == ()
    assert stream.params == {"api": "v2"}
    assert "# token carries a credential: say it under [auth].\n" in draft_manifest(found, "acme")


def test_an_operations_parameter_takes_the_place_of_its_paths() -> None:
    shared = {"name": "kind", "in": "query", "required": True, "schema": TEXT}
    item = listing(None, query("kind", WHOLE, required=True)) | {"parameters": [shared, {"in": "query"}]}

    assert [key.type for key in drafted_stream(item).key_columns] == ["BIGINT"]


def test_a_parameter_with_the_name_and_type_of_a_column_is_a_candidate_only() -> None:
    record = {"state": TEXT, "number": {"type": "integer", "format": "int32"}, "limit": WHOLE, "at": TEXT, "tag": TEXT}
    given = (
        query("state", {"type": "string", "enum": ["open", "closed"]}),
        query("number", WHOLE),
        query("limit", WHOLE),
        query("at", {"type": "string", "format": "date-time"}),
        query("tag", {"type": "array", "items": TEXT}),
        query("sort"),
    )
    found = document({"/things": listing(record, *given)})

    lines = [line for line in draft_manifest(found, "acme").splitlines() if line.startswith("# key_columns candidate:")]

    assert drafted(found).streams["things"].key_columns == ()
    assert lines == [
        '# key_columns candidate: { column = "state", param = "state", values = ["open", "closed"] }',
        '# key_columns candidate: { column = "number", param = "number" }',
    ]


def test_records_without_columns_are_sampled_unless_a_key_forbids_it() -> None:
    free = {"type": "array", "items": {"type": "object"}}
    found = document({"/a": listing(body=free), "/b/{id}/c": listing(body=free)})

    connector = drafted(found)

    assert connector.streams.keys() == {"a"}
    assert connector.streams["a"].columns == {}
    assert draft_manifest(found, "acme").endswith("no page can be sampled:\n# GET /b/{id}/c\n")


def test_a_stream_says_what_it_is_and_where_that_is_written() -> None:
    told = listing(summary="List *things*", externalDocs={"url": "https://acme.example/docs#things"})
    untold = listing(description="All things. More.", externalDocs="none")

    one, other = drafted_stream(told), drafted_stream(untold)

    assert (one.description, one.docs) == ("List *things*", "https://acme.example/docs#things")
    assert (other.description, other.docs) == ("All things", "")


def test_a_default_that_may_leave_records_out_is_told() -> None:
    state = query("state", {"type": "string", "enum": ["open", "closed", "all"], "default": "open"})
    text = draft_manifest(document({"/things": listing({"state": {"type": "string"}}, parameters=[state])}), "acme")

    assert "# The API's own default: state = 'open', of open, closed, all.\n" in text
