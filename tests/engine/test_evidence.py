"""`auto` goes by what stands in the first response and its request, and never guesses."""

from typing import Any

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.evidence import Evidence, find_pagination, why_none, with_known_end
from apikit_sql.engine.trip import trip
from apikit_sql.errors import PaginationError
from tests.engine.taking import Hand, asked, ids, numbered, page_of, plan_of
from tests.fakes.api import FakeApi

AUTO = PaginationConfig()
THREE = numbered(3)


def found(body: object, headers: dict[str, str] | None = None, **params: str) -> Evidence:
    return find_pagination(AUTO, page_of(body, headers), asked(**params))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"items": THREE, "next": "/items?page=2"}, {"strategy": "next_url", "next_url_path": "next"}),
        ({"items": THREE, "next": "?page=2"}, {"strategy": "next_url", "next_url_path": "next"}),
        ({"items": THREE, "links": {"next": "/b"}}, {"strategy": "next_url", "next_url_path": "links.next"}),
        (
            {"items": THREE, "_links": {"next": {"href": "/b"}}},
            {"strategy": "next_url", "next_url_path": "_links.next"},
        ),
        (
            {"value": THREE, "@odata.nextLink": "https://api.test/b"},
            {"strategy": "next_url", "next_url_path": "@odata.nextLink"},
        ),
        (
            {"data": THREE, "next_cursor": "c"},
            {"strategy": "cursor", "next_cursor_path": "next_cursor", "cursor_param": "cursor"},
        ),
        (
            {"items": THREE, "nextPageToken": "c"},
            {"strategy": "cursor", "next_cursor_path": "nextPageToken", "cursor_param": "pageToken"},
        ),
        (
            {"results": THREE, "paging": {"next": {"after": "c"}}},
            {"strategy": "cursor", "next_cursor_path": "paging.next.after", "cursor_param": "after"},
        ),
        (
            {"data": {"items": THREE, "next_cursor": "c"}},
            {"strategy": "cursor", "next_cursor_path": "data.next_cursor", "cursor_param": "cursor"},
        ),
        (
            {"data": THREE, "next_cursor": "c", "has_more": True},
            {"strategy": "cursor", "next_cursor_path": "next_cursor", "has_more_path": "has_more"},
        ),
        (
            {"object": "list", "data": THREE, "has_more": True},
            {"strategy": "cursor", "cursor_record_field": "id", "cursor_param": "starting_after"},
        ),
    ],
)
def test_what_stands_in_the_body_tells_the_strategy(body: object, expected: dict[str, object]) -> None:
    settings = found(body).pagination

    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("body", "headers", "params", "expected"),
    [
        ({"items": THREE, "total": 9}, {}, {"offset": "0"}, {"strategy": "offset", "total_path": "total"}),
        ({"items": THREE, "total": 9}, {}, {"page": "1"}, {"strategy": "page", "total_path": "total", "start_page": 1}),
        ({"items": THREE, "total": 9}, {}, {"page": "0"}, {"strategy": "page", "page_param": "page", "start_page": 0}),
        ({"items": THREE, "meta": {"total_pages": 3}}, {}, {"_page": "1"}, {"total_pages_path": "meta.total_pages"}),
        (THREE, {"X-Total-Count": "9"}, {"_page": "1"}, {"strategy": "page", "total_header": "x-total-count"}),
        ({"items": THREE, "count": 9}, {}, {"startAt": "0"}, {"offset_param": "startAt", "total_path": "count"}),
    ],
)
def test_totals_count_together_with_a_parameter_of_the_request(
    body: object, headers: dict[str, str], params: dict[str, str], expected: dict[str, object]
) -> None:
    settings = found(body, headers, **params).pagination

    assert {name: getattr(settings, name) for name in expected} == expected


def test_the_order_of_belief_is_link_then_url_then_cursor_then_totals() -> None:
    link = {"link": "</b>; rel=next"}
    body: dict[str, Any] = {"items": THREE, "total": 9, "next_cursor": "c", "next": "/b"}

    assert found(body, link, page="1").pagination.strategy == "link"
    assert found(body, page="1").pagination.strategy == "next_url"
    assert found(body | {"next": None}, page="1").pagination.strategy == "cursor"
    assert found(body | {"next": None, "next_cursor": None}, page="1").pagination.strategy == "page"


@pytest.mark.parametrize(
    ("body", "headers", "params", "reason"),
    [
        (THREE, {"link": "</b>; rel=next"}, {}, 'Link header with rel="next"'),
        ({"items": THREE, "links": {"next": "/b"}}, {}, {}, "next URL at links.next"),
        ({"items": THREE, "next_cursor": "c"}, {}, {}, "cursor at next_cursor"),
        ({"items": THREE, "total": 9}, {}, {"page": "1"}, "total = 9 and the parameter page"),
        ({"items": THREE, "total_pages": 2}, {}, {"page": "1"}, "total_pages = 2 and the parameter page"),
        (THREE, {"x-total": "9"}, {"skip": "0"}, "x-total = 9 and the parameter skip"),
        (THREE, {}, {}, "no sign of further pages"),
    ],
)
def test_the_evidence_says_what_told(
    body: object, headers: dict[str, str], params: dict[str, str], reason: str
) -> None:
    assert found(body, headers, **params).reason == reason


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        ({"items": THREE, "has_more": True}, {}, "has_more = true"),
        ({"items": THREE, "meta": {"hasNextPage": True}}, {}, "meta.hasNextPage = true"),
        ({"items": THREE, "next_page": 2}, {}, "next_page is set"),
        ({"items": THREE, "nextPage": "c2"}, {}, "nextPage is set"),
        ({"items": THREE, "total": 4}, {}, "total = 4"),
        ({"items": THREE, "count": 4}, {}, "count = 4"),
        (THREE, {"X-Total-Count": "4"}, "x-total-count = 4"),
    ],
)
def test_more_than_was_seen_and_no_way_to_it_is_an_error(body: Any, headers: dict[str, str], told: str) -> None:
    with pytest.raises(PaginationError) as raised:
        found(body, headers)

    assert f"({told}) than the first page's 3 records" in str(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        {"value": THREE, "@odata.nextLink": "items?$skip=3"},
        {"items": THREE, "next_url": "items?page=2"},
        {"items": THREE, "links": {"next": "items?page=2"}},
        {"items": THREE, "total": "9"},
    ],
    ids=["@odata.nextLink", "next_url", "links.next", "total as text"],
)
def test_a_sign_of_further_pages_never_gives_a_short_table(body: object) -> None:
    try:
        settings = found(body).pagination
    except PaginationError:
        return

    assert settings.strategy != "none"


@pytest.mark.parametrize("cursor", ["c", 3])
def test_a_cursor_beside_a_has_more_that_is_false_is_the_end(cursor: object) -> None:
    assert found({"items": THREE, "next_cursor": cursor, "has_more": False}).pagination.strategy == "none"


def test_an_error_of_the_trip_names_the_api() -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": THREE, "has_more": True})})
    plan, hand = plan_of(pagination=AUTO), Hand(api)

    with pytest.raises(PaginationError, match=r"^api: GET /items: the API says that there is more"):
        hand.pages(trip(plan, hand.access(plan)))


@pytest.mark.parametrize(
    "body",
    [
        THREE,
        [],
        {},
        {"items": THREE, "total": 3},
        {"items": THREE, "next": None, "has_more": False},
        {"items": THREE, "count": 3},
        {"items": THREE, "total": True},
        {"id": 1, "next": "/b", "total": 9},
    ],
)
def test_no_evidence_is_one_page(body: object) -> None:
    assert found(body).pagination.strategy == "none"


def test_a_record_count_that_looks_like_a_page_size_is_a_doubt() -> None:
    evidence = found(numbered(10))

    assert evidence.pagination.strategy == "none"
    assert evidence.doubt.startswith("https://api.test/items gave exactly 10 records and no sign of further pages.")


@pytest.mark.parametrize(
    "said",
    [{"next_cursor": None}, {"next": None}, {"total": 10}, {"has_more": False}, {"total_pages": 1}],
    ids=lambda said: next(iter(said)),
)
def test_an_api_that_says_that_this_is_all_leaves_no_doubt(said: dict[str, object]) -> None:
    evidence = found({"items": numbered(10), **said})

    assert (evidence.pagination.strategy, evidence.doubt) == ("none", "")


def test_auto_follows_page_numbers_that_the_caller_began_in_the_middle() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = 2 * int(request.url.params["page"]) - 2
        return httpx.Response(200, json={"items": numbered(7)[start : start + 2], "total": 7})

    api = FakeApi({"/items": answer})
    plan, hand = plan_of(pagination=AUTO, params=[("page", "2")]), Hand(api)

    assert ids(hand.pages(trip(plan, hand.access(plan)))) == [3, 4, 5, 6, 7]


def test_the_own_settings_stay_beside_what_was_found() -> None:
    settings = PaginationConfig(max_pages=7, limit_param="limit", page_size=3)

    evidence = find_pagination(settings, page_of({"data": THREE, "next_cursor": "c"}), asked())

    assert (evidence.pagination.max_pages, evidence.pagination.page_size) == (7, 3)


def test_a_declared_page_strategy_learns_the_number_of_pages_from_the_body() -> None:
    declared = PaginationConfig(strategy="page", page_param="page")

    learned = with_known_end(declared, page_of({"items": THREE, "total_pages": 4}))
    unknown = with_known_end(declared, page_of({"items": THREE, "total_pages": 0}))

    assert learned.total_pages_path == "total_pages"
    assert unknown == declared


@pytest.mark.parametrize(
    "declared",
    [
        PaginationConfig(strategy="link"),
        PaginationConfig(strategy="page", page_param="page", total_path="total"),
        PaginationConfig(strategy="page", page_param="page", total_header="x-total"),
        PaginationConfig(strategy="page", page_param="page", total_pages_path="other"),
    ],
)
def test_what_was_declared_is_not_second_guessed(declared: PaginationConfig) -> None:
    assert with_known_end(declared, page_of({"items": THREE, "total_pages": 4})) == declared


@pytest.mark.parametrize("beside", [{"total_pages": 12}, {"pages": 9}, {"pagination": {"page": 1, "total_pages": 9}}])
def test_pages_that_nothing_leads_to_are_no_short_table(beside: dict[str, object]) -> None:
    with pytest.raises(PaginationError, match=r"says that there is more \(.*pages = (12|9)\)"):
        found({"items": THREE, **beside})


FULL = "; but {} records look like a full page: if there are more, say pagination := {{...}}"
SILENCE = "no Link header, next URL, cursor, has_more or total"


@pytest.mark.parametrize(
    ("body", "headers", "params", "reason"),
    [
        ({"id": 1, "name": "a"}, {}, {}, "the body is one object, which is one record"),
        ({"items": THREE, "total": 3}, {}, {}, "the API says that this is all: total = 3"),
        ({"items": THREE, "next": None, "has_more": False}, {}, {}, "next = null, has_more = false"),
        ({"items": THREE, "meta": {"next_cursor": ""}}, {}, {}, 'meta.next_cursor = ""'),
        (THREE, {"X-Total-Count": "3"}, {}, "the API says that this is all: x-total-count = "),
        (THREE, {"Link": "</a>; rel=prev"}, {}, 'the Link header has no rel="next"'),
        (THREE, {}, {}, SILENCE),
        ([], {}, {"limit": "0"}, SILENCE),
        (numbered(10), {}, {}, SILENCE + FULL.format(10)),
        (THREE, {}, {"limit": "3"}, SILENCE + FULL.format(3)),
        (THREE, {}, {"_page": "1"}, "; if _page counts its pages, say pagination := {'strategy': 'page', 'page_p"),
        (THREE, {}, {"skip": "0"}, "; if skip counts its records, say pagination := {'strategy': 'offset', 'off"),
    ],
)
def test_why_there_is_no_further_page_is_said(
    body: object, headers: dict[str, str], params: dict[str, str], reason: str
) -> None:
    assert reason in why_none(page_of(body, headers), asked(**params))


def test_no_more_than_three_of_the_apis_words_are_told_and_a_long_one_is_cut() -> None:
    body = {"items": THREE, "next": None, "total": 3, "has_more": False, "pages": 1, "cursor": "c"}
    told = why_none(page_of(body | {"next_cursor": "x" * 500}), asked())

    assert told.count(" = ") == 3
    assert 'next_cursor = "' + "x" * 79 + "...," in told
