"""The first page tells which requests follow the second: exactly those that a reader sends one by one, or none."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import httpx
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.evidence import find_pagination
from apikit_sql.engine.expected import expected_requests
from apikit_sql.engine.pagination import PageRequest, Progress, first_request, next_request
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import trip
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import Hand, numbered, page_of, plan_of
from tests.fakes.api import BASE_URL, FakeApi

BY_TOTAL = PaginationConfig(strategy="page", page_param="page", total_path="total")
BY_PAGES = PaginationConfig(strategy="page", page_param="page", total_pages_path="pages")
BY_OFFSET = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")
LINKED = PaginationConfig(strategy="link")


def expected_after(plan: RequestPlan, first: Page) -> list[PageRequest]:
    """The requests that are known to follow the second page, from the first page alone."""
    request, how = first_request(plan), plan.pagination
    if how.strategy == "auto":
        how = find_pagination(how, first, request).pagination
    progress = Progress().after(how, request, first)
    following = next_request(how, first, progress)
    assert following is not None
    return list(islice(expected_requests(how, first, progress, following) or (), 1000))


def values(requests: list[PageRequest], name: str) -> list[str]:
    """What each request sends for a parameter, in its query or at its URL."""
    return [httpx.URL(request.full_url).params[name] for request in requests]


def total_page(size: int, **beside: int) -> Page:
    return page_of({"items": numbered(size), **beside})


# --- page numbers


@pytest.mark.parametrize(
    ("total", "numbers"), [(20, []), (21, ["3"]), (30, ["3"]), (31, ["3", "4"]), (55, ["3", "4", "5", "6"])]
)
def test_a_total_and_the_first_pages_size_tell_the_page_numbers(total: int, numbers: list[str]) -> None:
    assert values(expected_after(plan_of(pagination=BY_TOTAL), total_page(10, total=total)), "page") == numbers


def test_a_total_in_a_header_tells_the_page_numbers() -> None:
    paging = PaginationConfig(strategy="page", page_param="p", total_header="x-total")
    page = page_of(numbered(10), {"X-Total": "45"})

    assert values(expected_after(plan_of(pagination=paging), page), "p") == ["3", "4", "5"]


def test_a_number_of_pages_tells_the_page_numbers_also_of_empty_pages() -> None:
    assert values(expected_after(plan_of(pagination=BY_PAGES), total_page(3, pages=5)), "page") == ["3", "4", "5"]


def test_a_number_of_pages_counts_before_a_total() -> None:
    paging = BY_TOTAL.model_copy(update={"total_pages_path": "pages"})

    assert values(expected_after(plan_of(pagination=paging), total_page(10, total=100, pages=4)), "page") == ["3", "4"]


def test_a_number_of_pages_that_is_no_number_leaves_the_total() -> None:
    paging = BY_TOTAL.model_copy(update={"total_pages_path": "pages"})
    page = page_of({"items": numbered(10), "total": 40, "pages": "many"})

    assert values(expected_after(plan_of(pagination=paging), page), "page") == ["3", "4"]


@pytest.mark.parametrize("paging", [BY_TOTAL, BY_PAGES])
def test_pages_that_count_from_zero_end_one_number_earlier(paging: PaginationConfig) -> None:
    plan = plan_of(pagination=paging.model_copy(update={"start_page": 0}))

    assert values(expected_after(plan, total_page(10, total=50, pages=5)), "page") == ["2", "3", "4"]


def test_a_call_that_begins_at_a_later_page_expects_the_rest_by_the_number_of_pages() -> None:
    plan = plan_of(pagination=BY_PAGES, params=[("page", "4")])

    assert values(expected_after(plan, total_page(10, pages=8)), "page") == ["6", "7", "8"]


def test_a_call_that_begins_at_a_later_page_expects_nothing_by_a_total() -> None:
    plan = plan_of(pagination=BY_TOTAL, params=[("page", "4")])

    assert expected_after(plan, total_page(10, total=100)) == []


def test_numbers_without_a_total_tell_nothing() -> None:
    paging = PaginationConfig(strategy="page", page_param="page")

    assert expected_after(plan_of(pagination=paging), total_page(10, total=100)) == []


def test_an_auto_strategy_expects_what_it_found() -> None:
    plan = plan_of(params=[("page", "1"), ("q", "a b")], pagination=PaginationConfig())

    found = expected_after(plan, total_page(10, total=40))

    assert [request.params for request in found] == [(("q", "a b"), ("page", "3")), (("q", "a b"), ("page", "4"))]


@pytest.mark.parametrize(
    ("paging", "numbers"), [(BY_TOTAL, [3, 4]), (BY_OFFSET, [20, 30])], ids=["page numbers", "offsets"]
)
def test_numbers_in_a_body_are_expected_there(paging: PaginationConfig, numbers: list[int]) -> None:
    plan = plan_of(
        pagination=paging.model_copy(update={"params_in": "body"}), method="POST", body=b'{"page": 1, "q": "x"}'
    )

    found = [json.loads(request.body or b"") for request in expected_after(plan, total_page(10, total=40))]

    assert [body[paging.page_param or paging.offset_param or ""] for body in found] == numbers
    assert [body["q"] for body in found] == ["x", "x"]


# --- offsets


@pytest.mark.parametrize(
    ("begin", "total", "offsets"),
    [
        (0, 20, []),
        (0, 21, ["20"]),
        (0, 45, ["20", "30", "40"]),
        (25, 60, ["45", "55"]),
    ],
)
def test_a_total_tells_the_offsets_wherever_a_call_begins(begin: int, total: int, offsets: list[str]) -> None:
    plan = plan_of(pagination=BY_OFFSET, params=[("offset", str(begin))])

    assert values(expected_after(plan, total_page(10, total=total)), "offset") == offsets


def test_offsets_without_a_total_tell_nothing() -> None:
    paging = PaginationConfig(strategy="offset", offset_param="offset")

    assert expected_after(plan_of(pagination=paging), total_page(10, total=100)) == []


def test_a_total_beside_a_page_without_records_tells_nothing() -> None:
    request, page = PageRequest(f"{BASE_URL}/items"), total_page(0, total=100)
    following = PageRequest(f"{BASE_URL}/items", (("page", "2"),))

    for paging in (BY_TOTAL, BY_OFFSET):
        progress = Progress().after(paging, request, page)
        assert list(expected_requests(paging, page, progress, following) or ()) == []


# --- links


def linked(following: str, last: str, *, size: int = 30) -> Page:
    return page_of(numbered(size), {"link": f'<{following}>; rel="next", <{last}>; rel="last"'})


def urls(page: Page, *params: tuple[str, str]) -> list[str]:
    return [request.full_url for request in expected_after(plan_of(pagination=LINKED, params=params), page)]


def test_a_last_link_tells_the_links_between() -> None:
    base = "https://api.test/repositories/1/issues?state=all&per_page=30"

    found = urls(linked(f"{base}&page=2", f"{base}&page=34"), ("state", "all"), ("per_page", "30"))

    assert found == [f"{base}&page={number}" for number in range(3, 35)]


@pytest.mark.parametrize(
    ("following", "last"),
    [
        ("/items?page=2&q=a%20b", "/items?page=5&q=a%20b"),
        ("/items?page=2&q=a%20b", "/items?q=a+b&page=5"),
        ("?page=2&q=a%20b", "https://api.test/items?q=a%20b&page=5"),
    ],
)
def test_links_may_be_relative_and_hold_their_parameters_in_any_order(following: str, last: str) -> None:
    assert urls(linked(following, last)) == [f"{BASE_URL}/items?page={number}&q=a%20b" for number in (3, 4, 5)]


@pytest.mark.parametrize(
    ("params", "following", "last", "numbers"),
    [
        pytest.param((), "offset=30", "offset=120", ["60", "90", "120"], id="offsets from 0"),
        pytest.param([("offset", "60")], "offset=90", "offset=120", ["120"], id="offsets from the middle"),
        pytest.param([("page", "7")], "page=8", "page=10", ["9", "10"], id="pages from the middle"),
        pytest.param([("page", "0")], "page=1", "page=3", ["2", "3"], id="pages from 0"),
        pytest.param((), "page=1", "page=3", ["2", "3"], id="pages from an untold 0"),
        pytest.param((), "page=2", "page=2", [], id="the next is the last"),
        pytest.param((), "offset=30", "offset=110", [], id="an end between two steps"),
        pytest.param([("page", "9")], "page=8", "page=3", [], id="backwards"),
        pytest.param((), "page=3", "page=2", [], id="an end before the next"),
    ],
)
def test_numbers_in_links_count_on_as_they_began(
    params: list[tuple[str, str]], following: str, last: str, numbers: list[str]
) -> None:
    found = expected_after(plan_of(pagination=LINKED, params=params), linked(f"/items?{following}", f"/items?{last}"))

    assert values(found, following.partition("=")[0]) == numbers


def test_a_link_in_the_request_tells_where_the_numbers_began() -> None:
    request = PageRequest(f"{BASE_URL}/items?offset=50")
    page = linked("/items?offset=75", "/items?offset=125")
    progress = Progress().after(LINKED, request, page)
    following = next_request(LINKED, page, progress)
    assert following is not None

    assert values(list(expected_requests(LINKED, page, progress, following) or ()), "offset") == ["100", "125"]


@pytest.mark.parametrize(
    ("following", "last"),
    [
        pytest.param("/items?page=2", "https://other.test/items?page=9", id="another host"),
        pytest.param("/items?page=2", "/others?page=9", id="another path"),
        pytest.param("/items?page=2", "http://api.test/items?page=9", id="another scheme"),
        pytest.param("/items?page=2&q=a", "/items?page=9&q=b", id="two parameters differ"),
        pytest.param("/items?page=2&q=a", "/items?page=9", id="one parameter is missing"),
        pytest.param("/items?after=abc", "/items?after=xyz", id="cursors"),
        pytest.param("/items?page=2", "/items?page=last", id="an end that is a word"),
        pytest.param("/items?page=2", "/items?page=9999999999999999999", id="a number beyond all pages"),
        pytest.param("/items?page=2", "/items?page=%D9%A3", id="digits of another script"),
        pytest.param("/items?page=2&page=2", "/items?page=9", id="a parameter twice"),
        pytest.param("/items?page=%32", "/items?page=9", id="a digit that is encoded"),
        pytest.param("/items?page=2", "http://[", id="no URL"),
    ],
)
def test_links_that_do_not_count_tell_nothing(following: str, last: str) -> None:
    assert urls(linked(following, last)) == []


def test_a_next_link_alone_tells_nothing() -> None:
    assert urls(page_of(numbered(30), {"link": '</items?page=2>; rel="next"'})) == []


# --- what is never known ahead


@pytest.mark.parametrize(
    ("paging", "beside"),
    [
        (PaginationConfig(strategy="cursor", cursor_param="c", next_cursor_path="next", total_path="total"), "abc"),
        (PaginationConfig(strategy="next_url", next_url_path="next", total_path="total"), "/items?page=2"),
    ],
)
def test_cursors_and_next_urls_tell_nothing_ahead(paging: PaginationConfig, beside: str) -> None:
    page = page_of({"items": numbered(10), "total": 100, "next": beside})

    assert expected_after(plan_of(pagination=paging), page) == []


# --- the law

Answer = Callable[[httpx.Request], httpx.Response]


def by_total(records: list[Any], size: int, start: int) -> tuple[PaginationConfig, Answer]:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = (int(request.url.params["page"]) - start) * size
        return httpx.Response(200, json={"items": records[begin : begin + size], "total": len(records)})

    return BY_TOTAL.model_copy(update={"start_page": start}), answer


def by_pages(records: list[Any], size: int, start: int) -> tuple[PaginationConfig, Answer]:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = (int(request.url.params["page"]) - start) * size
        pages = max(1, -(-len(records) // size))
        return httpx.Response(200, json={"items": records[begin : begin + size], "pages": pages})

    return BY_PAGES.model_copy(update={"start_page": start}), answer


def by_offset(records: list[Any], size: int, _: int) -> tuple[PaginationConfig, Answer]:
    def answer(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params["offset"])
        return httpx.Response(200, json={"items": records[begin : begin + size], "total": len(records)})

    return BY_OFFSET, answer


def by_page_links(records: list[Any], size: int, start: int) -> tuple[PaginationConfig, Answer]:
    last = start + max(1, -(-len(records) // size)) - 1

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("page", start))
        begin = (number - start) * size
        link = f'</items?q=x&page={number + 1}>; rel="next", </items?q=x&page={last}>; rel="last"'
        return httpx.Response(200, json=records[begin : begin + size], headers={"link": link} if number < last else {})

    return LINKED, answer


def by_offset_links(records: list[Any], size: int, _: int) -> tuple[PaginationConfig, Answer]:
    last = (max(1, -(-len(records) // size)) - 1) * size

    def answer(request: httpx.Request) -> httpx.Response:
        begin = int(request.url.params.get("offset", 0))
        link = f'</items?offset={begin + size}>; rel="next", </items?offset={last}>; rel="last"'
        return httpx.Response(200, json=records[begin : begin + size], headers={"link": link} if begin < last else {})

    return LINKED, answer


def asked_one_by_one(plan: RequestPlan, hand: Hand) -> Iterator[tuple[PageRequest, list[PageRequest]]]:
    """Each request of a trip that is read one by one, and those which it then told to expect."""
    steps = trip(plan, hand.access(plan))
    for wanted in steps:
        assert not isinstance(wanted, Page)
        yield wanted.request, [ahead.request for ahead in wanted.expected]
        page = hand.value(wanted.fetch())
        steps.send(page)


@settings(deadline=None)
@given(
    count=st.integers(1, 40),
    size=st.integers(1, 12),
    start=st.integers(0, 1),
    api=st.sampled_from([by_total, by_pages, by_offset, by_page_links, by_offset_links]),
)
@example(count=9, size=2, start=0, api=by_page_links)
@example(count=9, size=2, start=1, api=by_page_links)
@example(count=9, size=1, start=0, api=by_offset_links)
def test_what_is_expected_is_exactly_what_a_reader_asks_for_one_by_one(
    count: int, size: int, start: int, api: Callable[[list[Any], int, int], tuple[PaginationConfig, Answer]]
) -> None:
    paging, answer = api(numbered(count), size, start)
    plan = plan_of(pagination=paging)
    assume(api is not by_offset_links or size != 2)  # they have a test of their own

    asked, told = zip(*asked_one_by_one(plan, Hand(FakeApi({"/items": answer}))), strict=True)

    assert len(asked) == -(-count // size)
    is_unclear = size == 2 and paging is LINKED  # a link to 2 may count pages as well as records
    found = [request for expected in told for request in expected]
    assert found == list(asked[2:]) or (is_unclear and not found)


def test_a_next_link_that_may_be_a_page_or_an_offset_leads_to_no_request_that_nobody_wants() -> None:
    paging, answer = by_offset_links(numbered(9), 2, 0)
    plan = plan_of(pagination=paging)

    asked, told = zip(*asked_one_by_one(plan, Hand(FakeApi({"/items": answer}))), strict=True)

    assert {request for expected in told for request in expected} <= set(asked)
