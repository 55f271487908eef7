"""Every strategy walks every record exactly once, or says why it cannot."""

import json
import time
import warnings
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.link import link_target
from apikit_sql.engine.pagination import PageRequest, Progress, next_request
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, ApikitWarning, ConfigError, OriginError, PaginationError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import BOTH, Hand, Take, asked, ids, numbered, page_of, plan_of
from tests.fakes.api import BASE_URL, FakeApi, Paging, Table

BY_PAGE = PaginationConfig(strategy="page", page_param="page")
BY_OFFSET = PaginationConfig(strategy="offset", offset_param="offset")
BY_CURSOR = PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")
BY_LINK = PaginationConfig(strategy="link")
BY_NEXT_URL = PaginationConfig(strategy="next_url", next_url_path="next")
DECLARED: Mapping[Paging, Mapping[str, Any]] = {
    "none": {"strategy": "none"},
    "offset": {"strategy": "offset", "offset_param": "offset"},
    "page": {"strategy": "page", "page_param": "page"},
    "cursor": {"strategy": "cursor", "cursor_param": "cursor", "next_cursor_path": "next_cursor"},
    "record_cursor": {
        "strategy": "cursor",
        "cursor_param": "starting_after",
        "cursor_record_field": "id",
        "has_more_path": "has_more",
    },
    "link": {"strategy": "link"},
    "next_url": {"strategy": "next_url", "next_url_path": "next"},
}
FOUND_BY_AUTO: Mapping[Paging, Mapping[str, str]] = {
    "none": {},
    "offset": {"offset": "0"},
    "cursor": {},
    "record_cursor": {},
    "link": {},
    "next_url": {},
}


def walk(plan: RequestPlan, api: FakeApi) -> list[int]:
    hand = Hand(api)
    return ids(hand.pages(trip(plan, hand.access(plan))))


def next_of(config: PaginationConfig, body: object, request: PageRequest | None = None) -> PageRequest | None:
    """The request after a first page of `body`."""
    page = page_of(body)
    return next_request(config, page, Progress(request or asked(), 1, len(page.envelope.records)))


@given(count=st.integers(0, 40), size=st.integers(1, 12), paging=st.sampled_from(sorted(DECLARED)))
@settings(max_examples=150, deadline=None, database=None)
def test_a_declared_strategy_walks_every_record_exactly_once(count: int, size: int, paging: Paging) -> None:
    api = FakeApi({"/items": Table(numbered(count), paging)})
    config = PaginationConfig(**DECLARED[paging], limit_param="limit", page_size=size)

    found = walk(plan_of(pagination=config), api)

    assert found == list(range(1, count + 1))


@given(count=st.integers(0, 40), size=st.integers(1, 12), paging=st.sampled_from(sorted(FOUND_BY_AUTO)))
@settings(max_examples=150, deadline=None, database=None)
def test_auto_walks_every_record_exactly_once(count: int, size: int, paging: Paging) -> None:
    api = FakeApi({"/items": Table(numbered(count), paging)})
    plan = plan_of(pagination=PaginationConfig(), params={"limit": str(size), **FOUND_BY_AUTO[paging]}.items())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ApikitWarning)
        found = walk(plan, api)

    assert found == list(range(1, count + 1))


@given(size=st.integers(1, 5), pages=st.integers(2, 6), short=st.integers(0, 4))
@settings(max_examples=50, deadline=None, database=None)
def test_a_server_that_clamps_pages_past_the_end_gives_every_record_once(size: int, pages: int, short: int) -> None:
    count = max(size + 1, size * pages - short)
    api = FakeApi({"/items": Table(numbered(count), "clamped_page")})
    config = BY_PAGE.model_copy(update={"limit_param": "limit", "page_size": size})

    found = walk(plan_of(pagination=config), api)

    assert found == list(range(1, count + 1))


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize("paging", sorted(DECLARED))
def test_both_drivers_walk_the_same_pages(take: Take, paging: Paging) -> None:
    api = FakeApi({"/items": Table(numbered(7), paging)})
    plan = plan_of(pagination=PaginationConfig(**DECLARED[paging], limit_param="limit", page_size=3))

    pages = take(trip(plan, Hand(api).access(plan)), api)

    assert ids(pages) == [1, 2, 3, 4, 5, 6, 7]
    assert [page.number for page in pages if page.envelope.records] == ([1] if paging == "none" else [1, 2, 3])


def test_the_first_request_carries_what_its_strategy_starts_with() -> None:
    api = FakeApi({"/items": Table(numbered(1), "page")})
    config = PaginationConfig(strategy="page", page_param="page", limit_param="per_page", page_size=50)

    walk(plan_of(pagination=config, params=[("state", "all")], pages=1), api)

    assert api.paths == ["/items?state=all&per_page=50&page=1"]


def test_the_parameters_of_the_call_win_over_those_that_a_strategy_starts_with() -> None:
    api = FakeApi({"/items": Table(numbered(9), "page", page_size=3)})
    config = PaginationConfig(strategy="page", page_param="page", limit_param="limit", page_size=50)

    found = walk(plan_of(pagination=config, params=[("page", "2"), ("limit", "3")]), api)

    assert found == [4, 5, 6, 7, 8, 9]
    assert api.params("page") == ["2", "3", "4"]


def test_a_parameter_that_repeats_keeps_its_values_on_every_page() -> None:
    api = FakeApi({"/items": Table(numbered(4), "page", page_size=2)})

    walk(plan_of(pagination=BY_PAGE, params=[("label", "a"), ("label", "b")]), api)

    assert [request.url.params.get_list("label") for request in api.seen] == [["a", "b"]] * 3


@pytest.mark.parametrize("paging", sorted(DECLARED.keys() - {"none"}))
def test_pages_stops_after_that_many(paging: Paging) -> None:
    api = FakeApi({"/items": Table(numbered(9), paging, page_size=2)})

    found = walk(plan_of(pagination=PaginationConfig(**DECLARED[paging]), pages=2), api)

    assert found == [1, 2, 3, 4]
    assert len(api.seen) == 2


def test_pages_stops_before_auto_looks_for_evidence() -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": [{"id": 1}], "has_more": True})})

    assert walk(plan_of(pagination=PaginationConfig(), pages=1), api) == [1]


def test_more_pages_than_max_pages_is_an_error_that_names_both_ways_on() -> None:
    api = FakeApi({"/items": Table(numbered(9), "link", page_size=2)})

    with pytest.raises(PaginationError, match=r"api: GET /items: no end within max_pages = 3 pages.*pages := 3"):
        walk(plan_of(pagination=PaginationConfig(strategy="link", max_pages=3)), api)

    assert len(api.seen) == 3


def test_exactly_max_pages_pages_are_no_error() -> None:
    api = FakeApi({"/items": Table(numbered(6), "link", page_size=2)})

    assert walk(plan_of(pagination=PaginationConfig(strategy="link", max_pages=3)), api) == [1, 2, 3, 4, 5, 6]


def test_a_first_page_that_is_there_already_is_not_asked_for_again() -> None:
    api = FakeApi({"/items": Table(numbered(4), "cursor", page_size=2)})
    plan, hand = plan_of(pagination=BY_CURSOR), Hand(api)
    first = page_of({"data": [{"id": 1}, {"id": 2}], "next_cursor": "at-2"})

    pages = hand.pages(trip(plan, hand.access(plan), (first,)))

    assert ids(pages) == [1, 2, 3, 4]
    assert pages[0] is first
    assert api.params("cursor") == ["at-2"]


# --- the loop guard


@pytest.mark.parametrize(
    ("config", "body"),
    [
        pytest.param(BY_CURSOR, {"data": [{"id": 1}], "next_cursor": "same"}, id="cursor"),
        pytest.param(BY_NEXT_URL, {"items": [{"id": 1}], "next": f"{BASE_URL}/items?page=2"}, id="next_url"),
        pytest.param(BY_NEXT_URL, {"items": [{"id": 1}], "next": f"{BASE_URL}/items"}, id="next_url to itself"),
    ],
)
def test_a_page_that_leads_back_is_an_error(config: PaginationConfig, body: object) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=body)})

    with pytest.raises(PaginationError, match=r"api: GET /items.* leads back to an earlier page"):
        walk(plan_of(pagination=config), api)

    assert len(api.seen) <= 2


def test_a_loop_over_several_pages_is_an_error() -> None:
    following = {None: "a", "a": "b", "b": "c", "c": "a"}

    def answer(request: httpx.Request) -> httpx.Response:
        cursor = following[request.url.params.get("cursor")]
        return httpx.Response(200, json={"data": [{"id": 1}], "next_cursor": cursor})

    api = FakeApi({"/items": answer})

    with pytest.raises(PaginationError, match=r"^api: GET /items: page 4 leads back to an earlier page"):
        walk(plan_of(pagination=BY_CURSOR), api)

    assert api.params("cursor") == [None, "a", "b", "c"]


# --- page numbers and offsets


@pytest.mark.parametrize(
    ("config", "following"), [(BY_PAGE, asked(page="2")), (BY_OFFSET, asked(offset="3"))], ids=["page", "offset"]
)
def test_numbers_that_were_not_sent_are_those_of_the_first_page(
    config: PaginationConfig, following: PageRequest
) -> None:
    page = page_of(numbered(3))

    assert next_request(config, page, Progress().after(config, asked(), page)) == following


@pytest.mark.parametrize("config", [BY_PAGE, BY_OFFSET])
def test_a_server_that_ignores_the_page_parameter_is_an_error(config: PaginationConfig) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=numbered(2))})

    with pytest.raises(PaginationError, match="page 2 repeats page 1"):
        walk(plan_of(pagination=config), api)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        pytest.param({"total_path": "total"}, {"total": 4}, id="page, total"),
        pytest.param({"total_pages_path": "pages"}, {"pages": 2}, id="page, total pages"),
        pytest.param(
            {"strategy": "offset", "offset_param": "offset", "total_path": "total"}, {"total": 4}, id="offset"
        ),
    ],
)
def test_a_server_that_ignores_the_page_parameter_is_an_error_also_where_the_counts_agree(
    config: dict[str, Any], told: dict[str, int]
) -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": numbered(2), **told})})

    with pytest.raises(PaginationError, match="page 2 repeats page 1"):
        walk(plan_of(pagination=PaginationConfig(**{"strategy": "page", "page_param": "page", **config})), api)


def test_a_total_ends_the_pages_without_a_request_past_the_end() -> None:
    api = FakeApi({"/items": Table(numbered(6), "offset", page_size=3)})

    walk(plan_of(pagination=BY_OFFSET.model_copy(update={"total_path": "total"})), api)

    assert api.params("offset") == ["0", "3"]


def test_a_total_in_a_header_ends_the_pages_too() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = 2 * int(request.url.params["page"]) - 2
        return httpx.Response(200, json=numbered(4)[start : start + 2], headers={"X-Total-Count": "4"})

    api = FakeApi({"/items": answer})

    found = walk(plan_of(pagination=BY_PAGE.model_copy(update={"total_header": "x-total-count"})), api)

    assert found == [1, 2, 3, 4]
    assert api.params("page") == ["1", "2"]


def test_the_number_of_pages_ends_them() -> None:
    api = FakeApi()  # the demo's events: 300, and 404 past the end

    found = walk(plan_of("/events", pagination=BY_PAGE, params=[("page_size", "100")]), api)

    assert found == list(range(1, 301))
    assert api.params("page") == ["1", "2", "3"]


def test_pages_that_count_from_zero_are_all_walked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        start = 2 * int(request.url.params["page"])
        return httpx.Response(200, json={"items": numbered(5)[start : start + 2], "pages": 3, "total": 5})

    api = FakeApi({"/items": answer})
    config = PaginationConfig(strategy="page", page_param="page", start_page=0, total_pages_path="pages")

    assert walk(plan_of(pagination=config), api) == [1, 2, 3, 4, 5]
    assert api.params("page") == ["0", "1", "2"]


def test_an_empty_page_below_the_total_is_an_error_and_not_a_short_table() -> None:
    api = FakeApi({"/items": [httpx.Response(200, json={"items": page, "total": 5}) for page in (numbered(2), [])]})

    with pytest.raises(PaginationError, match="there are 5 records, but its pages end after 2"):
        walk(plan_of(pagination=BY_OFFSET.model_copy(update={"total_path": "total"})), api)


def test_a_repeated_page_below_the_total_is_an_error_and_not_a_short_table() -> None:
    parts = ([{"id": 1}], [{"id": 2}], [{"id": 2}])
    api = FakeApi({"/items": [httpx.Response(200, json={"items": part, "total": 9}) for part in parts]})

    with pytest.raises(PaginationError, match="there are 9 records, but its pages end after 2"):
        walk(plan_of(pagination=BY_PAGE.model_copy(update={"total_path": "total"})), api)


def test_records_that_look_alike_do_not_end_the_table_silently() -> None:
    parts = [["a"], ["b"], ["b"], ["c"]]
    api = FakeApi({"/items": [httpx.Response(200, json=[{"v": v} for v in part]) for part in parts]})

    with pytest.raises(PaginationError, match="page 3 repeats page 2"):
        walk(plan_of(pagination=BY_PAGE), api)


def test_a_caller_who_begins_in_the_middle_reads_to_the_end() -> None:
    answers = [httpx.Response(200, json={"items": numbered(2), "total": 5}), httpx.Response(404)]
    api = FakeApi({"/items": list(answers)})
    config = BY_PAGE.model_copy(update={"total_path": "total"})

    found = walk(plan_of(pagination=config, params=(("page", "2"),)), api)

    assert found == [1, 2]


def test_a_strategy_that_finds_no_way_on_does_not_hide_that_there_is_more() -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": numbered(2), "total": 5})})

    with pytest.raises(PaginationError, match="total = 5"):
        walk(plan_of(pagination=PaginationConfig(strategy="link")), api)


def test_a_page_not_found_below_the_total_is_an_error_and_not_a_short_table() -> None:
    api = FakeApi({"/items": [httpx.Response(200, json={"items": numbered(2), "total": 5}), httpx.Response(404)]})

    with pytest.raises(ApikitError):
        walk(plan_of(pagination=BY_PAGE.model_copy(update={"total_path": "total"})), api)


def test_an_empty_page_before_the_last_one_does_not_end_the_table_silently() -> None:
    parts: list[list[dict[str, object]]] = [[{"id": 1}], [], [{"id": 3}]]
    api = FakeApi({"/items": [httpx.Response(200, json={"items": part, "pages": 3}) for part in parts]})
    config = BY_PAGE.model_copy(update={"total_pages_path": "pages"})

    try:
        found = walk(plan_of(pagination=config), api)
    except PaginationError:
        return

    assert found == [1, 3]


@pytest.mark.parametrize("config", [BY_PAGE, BY_OFFSET])
def test_a_page_past_the_end_that_is_not_found_is_the_end(config: PaginationConfig) -> None:
    api = FakeApi({"/items": [httpx.Response(200, json=numbered(2)), httpx.Response(404)]})

    assert walk(plan_of(pagination=config), api) == [1, 2]


def test_end_status_may_be_another_one() -> None:
    api = FakeApi({"/items": [httpx.Response(200, json=numbered(2)), httpx.Response(422)]})

    assert walk(plan_of(pagination=BY_PAGE.model_copy(update={"end_status": (422,)})), api) == [1, 2]


@pytest.mark.parametrize(
    ("config", "answers"),
    [
        pytest.param(BY_PAGE, [httpx.Response(404)], id="the first page"),
        pytest.param(BY_PAGE, [httpx.Response(200, json=numbered(2)), httpx.Response(410)], id="another status"),
        pytest.param(
            BY_CURSOR,
            [httpx.Response(200, json={"data": numbered(2), "next_cursor": "x"}), httpx.Response(404)],
            id="another strategy",
        ),
    ],
)
def test_any_other_error_is_no_end(config: PaginationConfig, answers: list[httpx.Response]) -> None:
    api = FakeApi({"/items": [*answers]})

    with pytest.raises(RequestError):
        walk(plan_of(pagination=config), api)


@pytest.mark.parametrize("text", ["first", "-1", "1.5"])
def test_a_page_parameter_that_cannot_be_counted_on_from_is_an_error(text: str) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=numbered(2))})

    with pytest.raises(PaginationError, match=r"the parameter page = .* is not a number"):
        walk(plan_of(pagination=BY_PAGE, params=[("page", text)]), api)


@pytest.mark.parametrize("total", [True, "many", 2.5, [4]])
def test_a_total_that_is_no_number_is_not_believed(total: object) -> None:
    parts: list[list[dict[str, object]]] = [numbered(2), [{"id": 3}], []]
    api = FakeApi({"/items": [httpx.Response(200, json={"items": part, "total": total}) for part in parts]})

    assert walk(plan_of(pagination=BY_PAGE.model_copy(update={"total_path": "total"})), api) == [1, 2, 3]


def test_a_total_may_be_written_as_text() -> None:
    api = FakeApi({"/items": [httpx.Response(200, json={"items": numbered(2), "total": "2"})]})

    assert walk(plan_of(pagination=BY_PAGE.model_copy(update={"total_path": "total"})), api) == [1, 2]
    assert len(api.seen) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"strategy": "page", "page_param": "page"},
        {"strategy": "offset", "offset_param": "offset", "start_page": 0},
    ],
    ids=["page", "offset"],
)
def test_numbers_that_go_into_the_body_are_counted_on_there(config: dict[str, Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        sent = json.loads(request.content)
        start = sent["offset"] if "offset" in sent else 2 * sent["page"] - 2
        return httpx.Response(200, json=numbered(5)[start : start + sent["limit"]])

    api = FakeApi({"/items": answer})
    paging = PaginationConfig(**config, params_in="body", limit_param="limit", page_size=2)

    found = walk(plan_of(pagination=paging, method="POST", body=b'{"query": "x"}'), api)

    assert found == [1, 2, 3, 4, 5]
    assert all(json.loads(request.content)["query"] == "x" for request in api.seen)
    assert all(request.url.query == b"" for request in api.seen)


# --- cursors


def test_a_has_more_that_is_false_ends_even_with_a_cursor() -> None:
    config = BY_CURSOR.model_copy(update={"has_more_path": "has_more"})

    assert next_of(config, {"data": [{"id": 1}], "next_cursor": "x", "has_more": False}) is None


def test_a_has_more_without_a_cursor_is_an_error() -> None:
    config = BY_CURSOR.model_copy(update={"has_more_path": "has_more"})

    with pytest.raises(PaginationError, match="has_more says that there is more, but the page has no cursor"):
        next_of(config, {"data": [{"id": 1}], "next_cursor": None, "has_more": True})


@pytest.mark.parametrize("end", [{"next_cursor": None}, {"next_cursor": ""}, {"next_cursor": False}, {}])
def test_a_cursor_that_is_not_there_is_the_end(end: dict[str, object]) -> None:
    assert next_of(BY_CURSOR, {"data": [{"id": 1}], **end}) is None


@pytest.mark.parametrize(
    ("cursor", "sent"),
    [("a b&c=d/é", "a b&c=d/é"), (42, "42"), (2**63, "9223372036854775808"), (True, "true"), ([1, "x"], '[1,"x"]')],
)
def test_a_cursor_is_sent_back_as_it_came(cursor: object, sent: str) -> None:
    following = next_of(BY_CURSOR, {"data": [{"id": 1}], "next_cursor": cursor})

    assert following is not None
    assert httpx.URL(following.full_url).params["cursor"] == sent


def test_a_cursor_may_come_in_a_header() -> None:
    config = PaginationConfig(strategy="cursor", cursor_param="after", next_cursor_header="X-Next")

    following = next_request(config, page_of([{"id": 1}], {"x-next": "c2"}), Progress(asked(), 1, 1))

    assert following == PageRequest(f"{BASE_URL}/items", (("after", "c2"),))
    assert next_request(config, page_of([{"id": 1}]), Progress(asked(), 1, 1)) is None


def test_a_cursor_may_lie_within_the_last_record() -> None:
    config = PaginationConfig(strategy="cursor", cursor_param="after", cursor_record_field="node.key")

    assert next_of(config, [{"node": {"key": "a"}}, {"node": {"key": "b"}}]) == asked(after="b")
    assert next_of(config, []) is None


def test_several_cursors_go_back_each_under_its_own_name() -> None:
    config = PaginationConfig(strategy="cursor", cursor_fields=("continue.apcontinue", "continue.continue"))

    following = next_of(config, {"continue": {"apcontinue": "B", "continue": "-||"}, "items": [{"id": 1}]})

    assert following == PageRequest(f"{BASE_URL}/items", (("apcontinue", "B"), ("continue", "-||")))
    assert next_of(config, {"continue": {"apcontinue": "", "continue": None}, "items": [{"id": 1}]}) is None


@pytest.mark.parametrize("value", [["2025-01-01", 7], {"pk": {"S": "x"}}])
def test_one_of_several_cursors_may_be_a_list_or_an_object(value: object) -> None:
    config = PaginationConfig(strategy="cursor", cursor_fields=("search_after",), params_in="body")

    following = next_of(config, {"search_after": value, "items": [{"id": 1}]})

    assert following is not None
    assert json.loads(following.body or b"") == {"search_after": value}


def test_a_cursor_may_go_back_in_the_body() -> None:
    config = PaginationConfig(
        strategy="cursor",
        cursor_param="start_cursor",
        next_cursor_path="next_cursor",
        params_in="body",
        limit_param="page_size",
        page_size=2,
    )

    def answer(request: httpx.Request) -> httpx.Response:
        start = json.loads(request.content).get("start_cursor", 0)
        more = start + 2 if start < 2 else None
        return httpx.Response(200, json={"results": numbered(4)[start : start + 2], "next_cursor": more})

    api = FakeApi({"/query": answer})

    found = walk(plan_of("/query", pagination=config, method="POST", body=b'{"filter": {"x": 1}}'), api)

    assert found == [1, 2, 3, 4]
    assert [json.loads(request.content) for request in api.seen] == [
        {"filter": {"x": 1}, "page_size": 2},
        {"filter": {"x": 1}, "page_size": 2, "start_cursor": 2},
    ]
    assert {request.headers["content-type"] for request in api.seen} == {"application/json"}


# --- links


NEXT = "https://api.test/items?page=2"
LINKS = [
    pytest.param(f'<{NEXT}>; rel="next"', NEXT, id="quoted"),
    pytest.param(f"<{NEXT}>; rel=next", NEXT, id="unquoted"),
    pytest.param(f"<{NEXT}>;rel=next", NEXT, id="no space"),
    pytest.param(f'<{NEXT}> ; rel = "next"', NEXT, id="spaces around"),
    pytest.param(f'<{NEXT}>; REL="NEXT"', NEXT, id="case"),
    pytest.param(f'<{NEXT}>; rel="last next"', NEXT, id="one of several relations"),
    pytest.param(f'<https://api.test/0>; rel="prev", <{NEXT}>; rel="next"', NEXT, id="second link"),
    pytest.param(f'<{NEXT}>; rel="next",<https://api.test/9>; rel="last"', NEXT, id="first link"),
    pytest.param('</items?ids=1,2;3,4>; rel="next"', "/items?ids=1,2;3,4", id="commas and semicolons in the target"),
    pytest.param(f'<{NEXT}>; title="a, b; c"; rel="next"', NEXT, id="commas and semicolons in a title"),
    pytest.param(f"<{NEXT}>; title*=UTF-8''n%c3%a4chste; rel=next", NEXT, id="extended parameter"),
    pytest.param(f'<{NEXT}>; crossorigin; rel="next"', NEXT, id="parameter without value"),
    pytest.param(f', ,<{NEXT}>; rel="next",', NEXT, id="empty list elements"),
    pytest.param(f'<{NEXT}>; rel="next";', NEXT, id="semicolon at the end"),
    pytest.param(f"<{NEXT}>;; rel=next", NEXT, id="empty parameter"),
    pytest.param(f'<{NEXT}>; rel="prev"; rel="next"', None, id="only the first rel counts"),
    pytest.param(f'<{NEXT}>; rel="prev"; title="<{NEXT}>; rel=next"', None, id="a link within a title"),
    pytest.param(f'<{NEXT}>; title="\\"; rel=\\"next"; rel="prev"', None, id="escaped quotes"),
    pytest.param(f'<{NEXT}>; title="next"', None, id="no rel"),
    pytest.param(f'<{NEXT}>; rel="nextish"', None, id="another relation"),
    pytest.param(f'<{NEXT}>; rel="prev", <{NEXT}>', None, id="no parameters"),
    pytest.param(f'<{NEXT}>; rel=""', None, id="empty rel"),
    pytest.param("", None, id="empty"),
]


@pytest.mark.parametrize(("header", "target"), LINKS)
def test_the_link_header_is_read_as_rfc_8288_writes_it(header: str, target: str | None) -> None:
    assert link_target(httpx.Headers({"link": header}), "next") == target


def test_several_link_headers_count_as_one() -> None:
    headers = httpx.Headers([("link", '<https://api.test/0>; rel="prev"'), ("Link", f'<{NEXT}>; rel="next"')])

    assert link_target(headers, "next") == NEXT
    assert link_target(httpx.Headers(), "next") is None


@pytest.mark.parametrize(
    "header",
    ["<" + " " * 1_500, "<a>" + "; a" * 1_500, "<" * 1_500, '<a>; t="' + "\\" * 1_500, "<a>" + "; a = " * 1_500],
    ids=["spaces", "parameters", "brackets", "backslashes", "equal signs"],
)
def test_a_hostile_link_header_takes_no_time(header: str) -> None:
    started = time.process_time()

    assert link_target(httpx.Headers({"link": header + "x"}), "next") is None

    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("https://api.test/items?page=2", "https://api.test/items?page=2"),
        ("https://API.test:443/items?page=2", "https://api.test/items?page=2"),
        ("/items?page=2", "https://api.test/items?page=2"),
        ("?page=2", "https://api.test/v1/items?page=2"),
        ("items?page=2", "https://api.test/v1/items?page=2"),
        ("//api.test/items?page=2", "https://api.test/items?page=2"),
        ("../items?page=2", "https://api.test/items?page=2"),
    ],
)
@pytest.mark.parametrize("config", [BY_LINK, BY_NEXT_URL])
def test_a_link_may_be_absolute_or_relative(config: PaginationConfig, link: str, leads_to: str) -> None:
    first = httpx.Response(200, json={"items": [{"id": 1}], "next": link}, headers={"link": f"<{link}>; rel=next"})
    last = httpx.Response(200, json={"items": [{"id": 2}]})
    api = FakeApi({"/v1/items": [first, last], "/items": last})

    assert walk(plan_of("/v1/items", pagination=config, params=[("a", "b")]), api) == [1, 2]
    assert str(api.seen[1].url) == leads_to


def test_a_next_url_may_come_in_a_header_or_as_an_object() -> None:
    config = PaginationConfig(strategy="next_url", next_url_header="X-Next", next_url_path="links.next")
    progress = Progress(asked(), 1, 1)

    by_header = next_request(config, page_of([{"id": 1}], {"x-next": "/b"}), progress)
    by_object = next_request(config, page_of({"items": [{"id": 1}], "links": {"next": {"href": "/c"}}}), progress)
    at_end = next_request(config, page_of({"items": [{"id": 1}], "links": {}}), progress)

    assert by_header == PageRequest("https://api.test/b")
    assert by_object == PageRequest("https://api.test/c")
    assert at_end is None


def test_a_next_url_that_is_none_is_an_error_that_names_its_path() -> None:
    with pytest.raises(PaginationError, match="next is 7, not a URL"):
        next_of(BY_NEXT_URL, {"items": [{"id": 1}], "next": 7})


@pytest.mark.parametrize(
    "link", ["https://[::1", "https://api.test:abc/", "https://api.test:99999999/", "https://api.test/\x00"]
)
def test_a_link_that_is_no_url_is_an_error_of_this_package(link: str) -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": [{"id": 1}], "next": link})})

    with pytest.raises(ApikitError, match="api: "):
        walk(plan_of(pagination=BY_NEXT_URL), api)

    assert len(api.seen) == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/items?page=2",
        "https://api.test.evil.test/items",
        "http://api.test/items?page=2",
        "https://api.test:8443/items",
        "https://user@api.test/items",
        "https://api.test@evil.test/items",
        "//evil.test/items",
        "ftp://api.test/items",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("take", BOTH)
def test_a_next_url_on_another_origin_is_refused_and_nothing_is_sent_there(take: Take, link: str) -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": [{"id": 1}], "next": link})})
    plan = plan_of(pagination=BY_NEXT_URL)

    with pytest.raises(OriginError, match=r"^api: a next link leads to .*, away from https://api\.test\."):
        take(trip(plan, Hand(api).access(plan)), api)

    assert len(api.seen) == 1


def test_the_error_of_a_next_url_that_is_none_repeats_no_whole_body() -> None:
    with pytest.raises(PaginationError) as raised:
        next_of(BY_NEXT_URL, {"items": [{"id": 1}], "next": ["x" * 100] * 100})

    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "incomplete",
    [
        {"strategy": "offset"},
        {"strategy": "page"},
        {"strategy": "next_url"},
        {"strategy": "relay"},
        {"strategy": "cursor", "cursor_param": "after"},
        {"strategy": "cursor", "next_cursor_path": "next"},
        {"page_size": 10},
    ],
)
def test_a_strategy_without_what_it_needs_is_refused(incomplete: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^PaginationConfig: .* needs"):
        PaginationConfig(**incomplete)


@pytest.mark.parametrize(
    ("body", "settings", "params"),
    [
        (
            {"data": [{"id": 1}], "paging": {"cursors": {"before": "a", "after": "b"}}},
            {"strategy": "next_url", "next_url_path": "paging.next"},
            (),
        ),
        (
            {"data": [{"id": 1}], "total": 100, "next_cursor": None},
            {"strategy": "cursor", "cursor_param": "cursor", "next_cursor_path": "next_cursor"},
            (("cursor", "resume"),),
        ),
        ({"data": [{"id": 1}], "total": 100}, {"strategy": "link"}, (("page", "7"),)),
    ],
    ids=["another strategy's word", "resumed from a cursor", "from a later page"],
)
def test_a_named_strategy_believes_its_own_end(
    body: dict[str, object], settings: dict[str, Any], params: tuple[tuple[str, str], ...]
) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=body)})

    found = walk(plan_of(pagination=PaginationConfig(**settings), params=params), api)

    assert found == [1]


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "link"},
        {"strategy": "cursor", "cursor_param": "after", "next_cursor_path": "paging.nxt"},
        {"strategy": "cursor", "cursor_param": "after", "next_cursor_path": "next"},
        {"strategy": "cursor", "cursor_param": "after", "next_cursor_header": "X-Next"},
        {"strategy": "next_url", "next_url_path": "paging.url"},
    ],
    ids=str,
)
@pytest.mark.parametrize("following", ["20", "https://api.test/items?after=20"])
def test_a_strategy_that_looks_in_the_wrong_place_is_no_short_table(settings: dict[str, Any], following: str) -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": [{"id": 1}], "paging": {"next": following}})})

    with pytest.raises(PaginationError, match=r"says that there is more \(paging\.next is set\)"):
        walk(plan_of(pagination=PaginationConfig(**settings)), api)


def test_one_object_under_a_cursor_of_records_is_the_end() -> None:
    config = PaginationConfig(strategy="cursor", cursor_param="starting_after", cursor_record_field="id")
    api = FakeApi({"/items": httpx.Response(200, json={"id": 1, "object": "item"})})

    assert walk(plan_of(pagination=config), api) == [1]
    assert len(api.seen) == 1


@pytest.mark.parametrize("following", [None, ""])
def test_a_place_that_is_there_and_empty_is_the_end(following: str | None) -> None:
    body = {"items": [{"id": 1}], "next": following, "links": {"next": "https://api.test/elsewhere"}}
    config = PaginationConfig(strategy="cursor", cursor_param="after", next_cursor_path="next")

    found = walk(plan_of(pagination=config), FakeApi({"/items": httpx.Response(200, json=body)}))

    assert found == [1]


def test_records_that_look_alike_are_all_read_where_the_total_says_so() -> None:
    parts = [[1, 2], [3, 3], [3, 3]]
    answers = [httpx.Response(200, json={"items": [{"id": i} for i in part], "total": 6}) for part in parts]
    config = BY_PAGE.model_copy(update={"total_path": "total"})

    assert walk(plan_of(pagination=config), FakeApi({"/items": list(answers)})) == [1, 2, 3, 3, 3, 3]
