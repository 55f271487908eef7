"""The pagination of a draft: told by names of parameters, headers and properties, else `auto`."""

from typing import Any

import pytest

from tests.openapi.documents import (
    TEXT,
    WHOLE,
    answer,
    array_of,
    document,
    drafted,
    listing,
    query,
)

RECORDS = array_of({"id": TEXT})
URI = {"type": "string", "format": "uri"}


def told(body: Any, *parameters: dict[str, Any], **operation: Any) -> dict[str, Any]:
    """The pagination of the only operation, as far as it is said."""
    connector = drafted(document({"/things": listing(None, *parameters, body=body, **operation)}))
    return connector.pagination.model_dump(exclude_unset=True)


def envelope(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"data": RECORDS} | properties}


def inner(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_a_link_header_tells_more_than_parameters() -> None:
    answers = {"200": answer(RECORDS, headers={"LINK": {"schema": TEXT}})}

    pagination = told(
        None, query("page", WHOLE), query("per_page", {"type": "integer", "maximum": 50}), responses=answers
    )

    assert pagination == {"strategy": "link", "limit_param": "per_page", "page_size": 50}


@pytest.mark.parametrize(
    ("page", "limit"), [("page", "per_page"), ("pageNumber", "pageSize"), ("page[number]", "page[size]")]
)
def test_page_numbers_are_told_by_their_parameter(page: str, limit: str) -> None:
    pagination = told(RECORDS, query(page, WHOLE), query(limit, WHOLE))

    assert pagination == {"strategy": "page", "page_param": page, "limit_param": limit}


@pytest.mark.parametrize("schema", [{"type": "integer", "default": 0}, {"type": "integer", "minimum": 0}])
def test_pages_may_be_counted_from_zero(schema: Any) -> None:
    assert told(RECORDS, query("page", schema)) == {"strategy": "page", "page_param": "page", "start_page": 0}


@pytest.mark.parametrize("name", ["offset", "skip", "startAt"])
def test_offsets_are_told_by_their_parameter(name: str) -> None:
    assert told(RECORDS, query(name, WHOLE), query("limit", WHOLE)) == {
        "strategy": "offset", "offset_param": name, "limit_param": "limit",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("param", "properties", "path"),
    [
        ("cursor", {"next_cursor": TEXT}, "next_cursor"),
        ("after", {"paging": inner(next=inner(after=TEXT, link=TEXT))}, "paging.next.after"),
        ("page_token", {"nextPageToken": TEXT}, "nextPageToken"),
        ("next_page_token", {"meta": inner(next_page_token=TEXT)}, "meta.next_page_token"),
        ("marker", {"next_marker": {"type": "string", "nullable": True}}, "next_marker"),
        ("offset", {"next_page": inner(offset=TEXT, uri=URI)}, "next_page.offset"),
        ("page", {"next_page": TEXT}, "next_page"),
        ("cursor", {"a.b": TEXT, "last_id": TEXT, "next_cursor": TEXT}, "next_cursor"),
    ],
)
def test_a_cursor_is_told_by_its_parameter_and_where_the_next_one_is(
    param: str, properties: dict[str, Any], path: str
) -> None:
    assert told(envelope(**properties), query(param)) == {
        "strategy": "cursor", "cursor_param": param, "next_cursor_path": path,
    }  # fmt: skip


def test_a_cursor_may_be_the_last_id_while_there_is_more() -> None:
    pagination = told(envelope(has_more={"type": "boolean"}), query("starting_after"), query("ending_before"))

    assert pagination == {
        "strategy": "cursor", "cursor_param": "starting_after", "cursor_record_field": "id",
        "has_more_path": "has_more",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"next": URI}, "next"),
        ({"next_page_url": TEXT}, "next_page_url"),
        ({"links": inner(next=URI)}, "links.next"),
        ({"_links": inner(next=inner(href=TEXT))}, "_links.next.href"),
    ],
)
def test_a_url_of_the_next_page_is_told_by_its_property(properties: dict[str, Any], path: str) -> None:
    assert told(envelope(**properties), query("cursor")) == {"strategy": "next_url", "next_url_path": path}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (RECORDS, "cursor"),  # nothing says where the next one is
        (RECORDS, "after"),
        (envelope(next=TEXT), "state"),  # a URL or a cursor
        (envelope(next=inner(a=inner(next=TEXT))), "state"),
        (envelope(links={"type": "array", "items": TEXT}), "cursor"),
    ],
)
def test_what_is_not_told_is_left_to_the_first_page(body: Any, name: str) -> None:
    assert told(body, query(name)) == {"strategy": "auto"}


@pytest.mark.parametrize(
    ("limit", "size"),
    [
        ({"schema": {"type": "integer", "maximum": 200}, "description": "Max 10."}, 200),
        ({"schema": WHOLE, "description": "Results per page (max 100)."}, 100),
        ({"schema": WHOLE, "description": "Limit can range between 1 and 1,000."}, 1000),
        ({"schema": WHOLE | {"description": "The maximum number of records: 50"}}, 50),
        ({"schema": WHOLE, "description": "How many; 20 by default"}, None),
        ({"schema": {"type": "integer", "maximum": 2147483647}}, None),
    ],
)
def test_the_largest_page_is_asked_for_where_the_document_tells_it(limit: dict[str, Any], size: int | None) -> None:
    pagination = told(RECORDS, query("limit") | limit)

    assert pagination.get("page_size") == size
    assert pagination["limit_param"] == "limit"


def test_the_connector_has_the_pagination_of_most_operations() -> None:
    def paged() -> dict[str, Any]:
        return listing(None, query("page", WHOLE))

    paths = {"/a": listing(), "/b": listing(), "/c": listing(), "/d": listing(None, query("offset", WHOLE))}

    connector = drafted(document(paths | {"/e": paged(), "/f": paged()}))

    own = {name: stream.pagination and stream.pagination.strategy for name, stream in connector.streams.items()}
    assert connector.pagination.strategy == "page"
    assert own == {"a": "auto", "b": "auto", "c": "auto", "d": "offset", "e": None, "f": None}


def test_told_pagination_comes_before_what_is_not_told() -> None:
    paths = {
        "/a": listing(None, query("limit")),
        "/b": listing(None, query("limit")),
        "/c": listing(None, query("page")),
    }

    connector = drafted(document(paths | {"/d": listing(None, query("page", WHOLE))}))

    assert connector.pagination.strategy == "page"
