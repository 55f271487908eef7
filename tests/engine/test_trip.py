"""A trip's dialogue: what it wants, what it accepts, what it tells its scan, and how its errors are named."""

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import Dialogue, Wanted, trip
from apikit_sql.errors import DecodeError, PaginationError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import Hand, accepted, ids, numbered, plan_of
from tests.fakes.api import BASE_URL, FakeApi, Table

AUTO = PaginationConfig()
BY_CURSOR = PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")
BY_OFFSET = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")
BY_PAGE = PaginationConfig(strategy="page", page_param="page")
LINKED = PaginationConfig(strategy="link")


def api_of(count: int, paging: str, size: int = 2) -> FakeApi:
    return FakeApi({"/items": Table(numbered(count), paging, page_size=size)})  # type: ignore[arg-type]  # its names


def scanned(plan: RequestPlan, api: FakeApi) -> tuple[list[Page], ScanRecord]:
    """The pages of a whole trip, and what it told its scan."""
    hand = Hand(api)
    access = hand.access(plan)
    return hand.pages(trip(plan, access)), access.scan


def begun(plan: RequestPlan, api: FakeApi, *kept: Page) -> tuple[Dialogue, Hand, Access]:
    hand = Hand(api)
    access = hand.access(plan)
    return trip(plan, access, kept), hand, access


def next_wanted(steps: Dialogue) -> Wanted:
    wanted = next(steps)
    assert isinstance(wanted, Wanted)
    return wanted


# --- the dialogue


def test_a_trip_wants_a_page_and_hands_it_back_accepted_before_it_wants_the_next() -> None:
    steps, hand, _ = begun(plan_of(pagination=LINKED), api_of(4, "link"))

    first = next_wanted(steps)
    page = hand.value(first.fetch())
    accepted = steps.send(page)
    second = next_wanted(steps)

    assert accepted is page
    assert (first.request.full_url, first.number, first.page) == (f"{BASE_URL}/items", 1, None)
    assert (second.request.full_url, second.number) == (f"{BASE_URL}/items?page=2", 2)


def test_a_trip_ends_after_its_last_page() -> None:
    steps, hand, _ = begun(plan_of(), api_of(2, "none"))

    steps.send(hand.value(next_wanted(steps).fetch()))

    assert next(steps, None) is None


def test_what_follows_is_told_with_the_second_page_and_only_once() -> None:
    steps, hand, _ = begun(plan_of(pagination=BY_OFFSET), api_of(9, "offset"))

    told = []
    for wanted in steps:
        assert isinstance(wanted, Wanted)
        told.append([(ahead.number, ahead.request.params[0][1]) for ahead in wanted.expected])
        steps.send(hand.value(wanted.fetch()))

    assert told == [[], [(3, "4"), (4, "6"), (5, "8")], [], [], []]


def test_a_page_that_was_expected_is_fetched_as_any_other() -> None:
    steps, hand, _ = begun(plan_of(pagination=BY_OFFSET), api_of(9, "offset"))
    steps.send(hand.value(next_wanted(steps).fetch()))

    third, *_ = next_wanted(steps).expected
    page = hand.value(third.fetch())

    assert page is not None
    assert (page.number, ids([page])) == (3, [5, 6])


@pytest.mark.parametrize(("pages", "numbers"), [(3, [3]), (2, []), (None, [3, 4, 5])])
def test_no_page_is_expected_that_the_call_does_not_want(pages: int | None, numbers: list[int]) -> None:
    steps, hand, _ = begun(plan_of(pagination=BY_OFFSET, pages=pages), api_of(9, "offset"))
    steps.send(hand.value(next_wanted(steps).fetch()))

    assert [ahead.number for ahead in next_wanted(steps).expected] == numbers


def test_no_page_is_expected_beyond_the_guard() -> None:
    paging = BY_OFFSET.model_copy(update={"max_pages": 3})
    steps, hand, _ = begun(plan_of(pagination=paging), api_of(9, "offset"))
    steps.send(hand.value(next_wanted(steps).fetch()))

    assert [ahead.number for ahead in next_wanted(steps).expected] == [3]


# --- pages that are there already


def test_kept_pages_are_wanted_with_themselves_and_the_rest_is_fetched() -> None:
    api = api_of(9, "cursor")
    plan = plan_of(pagination=BY_CURSOR)
    kept, _ = scanned(plan_of(pagination=BY_CURSOR, pages=3), api)
    api.seen.clear()
    steps, hand, _ = begun(plan, api, *kept)

    pages = hand.pages(steps)

    assert [page is known for page, known in zip(pages, kept, strict=False)] == [True, True, True]
    assert ids(pages) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert api.params("cursor") == ["at-6", "at-8"]


def test_kept_pages_that_are_all_there_are_leave_nothing_to_fetch() -> None:
    api, plan = api_of(5, "offset"), plan_of(pagination=BY_OFFSET)
    kept, _ = scanned(plan, api)
    api.seen.clear()

    steps, hand, _ = begun(plan, api, *kept)

    assert ids(hand.pages(steps)) == [1, 2, 3, 4, 5]
    assert api.seen == []


def test_a_call_wants_no_more_of_the_kept_pages_than_it_said() -> None:
    api = api_of(9, "cursor")
    kept, _ = scanned(plan_of(pagination=BY_CURSOR), api)

    steps, hand, _ = begun(plan_of(pagination=BY_CURSOR, pages=2), api, *kept)

    assert ids(hand.pages(steps)) == [1, 2, 3, 4]


# --- what the scan is told


@pytest.mark.parametrize(
    ("paging", "count", "pages", "is_truncated"),
    [
        ("cursor", 4, 1, True),
        ("cursor", 4, 2, False),
        ("cursor", 4, 3, False),
        ("cursor", 5, 2, True),
        ("offset", 4, 1, True),
        ("offset", 4, 2, False),
        ("offset", 5, 2, True),
        ("link", 4, 1, True),
        ("link", 4, 2, False),
    ],
)
def test_a_scan_is_truncated_where_the_call_stops_before_the_end(
    paging: str, count: int, pages: int, *, is_truncated: bool
) -> None:
    strategy = {"cursor": BY_CURSOR, "offset": BY_OFFSET, "link": LINKED}[paging]

    found, scan = scanned(plan_of(pagination=strategy, pages=pages), api_of(count, paging))

    assert len(found) <= pages
    assert scan.is_truncated is is_truncated


@pytest.mark.parametrize(
    ("body", "is_truncated"),
    [
        ({"items": numbered(2), "next": "/items?page=2"}, True),
        ({"items": numbered(2), "next": None}, False),
        ({"items": numbered(2), "next_cursor": "abc"}, True),
        ({"items": numbered(2), "total": 2}, False),
    ],
)
def test_a_first_page_tells_by_itself_whether_more_follow(body: object, *, is_truncated: bool) -> None:
    _, scan = scanned(plan_of(pagination=AUTO, pages=1), FakeApi({"/items": httpx.Response(200, json=body)}))

    assert scan.is_truncated is is_truncated


def test_more_pages_that_no_request_leads_to_are_more_pages() -> None:
    paging = BY_CURSOR.model_copy(update={"has_more_path": "has_more"})
    api = FakeApi({"/items": httpx.Response(200, json={"items": numbered(2), "has_more": True})})

    _, scan = scanned(plan_of(pagination=paging, pages=1), api)

    assert scan.is_truncated


def test_one_page_that_is_all_by_the_bodys_own_number_of_pages_is_not_truncated() -> None:
    api = FakeApi({"/items": httpx.Response(200, json={"items": numbered(2), "total_pages": 1})})

    _, scan = scanned(plan_of(pagination=BY_PAGE, pages=1), api)

    assert not scan.is_truncated


def test_a_whole_trip_is_not_truncated() -> None:
    _, scan = scanned(plan_of(pagination=BY_CURSOR), api_of(5, "cursor"))

    assert not scan.is_truncated


@pytest.mark.parametrize(
    ("paging", "text"),
    [
        ("link", 'link (Link header with rel="next")'),
        ("next_url", "next_url (next URL at next)"),
        ("cursor", "cursor (cursor at next_cursor)"),
        ("none", "none (no sign of further pages)"),
    ],
)
def test_a_strategy_that_was_found_is_told_with_its_reason(paging: str, text: str) -> None:
    _, scan = scanned(plan_of(pagination=AUTO), api_of(5, paging))

    assert scan.pagination == text


def test_a_strategy_that_was_said_is_told() -> None:
    _, scan = scanned(plan_of(pagination=BY_OFFSET), api_of(5, "offset"))

    assert scan.pagination == "offset"


# --- errors


def test_a_cursor_that_cannot_be_read_is_an_error_that_names_the_api() -> None:
    api = FakeApi({"/items": httpx.Response(200, content=b'{"data": [{"id": 1}], "next_cursor": "\xff"}')})

    with pytest.raises(DecodeError, match=r"^api: GET /items, page 1: a value beside the records cannot be read"):
        scanned(plan_of(pagination=BY_CURSOR), api)


def test_a_cursor_that_cannot_be_read_names_the_api_also_after_the_last_page_that_is_wanted() -> None:
    api = FakeApi({"/items": httpx.Response(200, content=b'{"data": [{"id": 1}], "next_cursor": "\xff"}')})

    with pytest.raises(DecodeError, match=r"^api: GET /items, page 1: a value beside the records cannot be read"):
        scanned(plan_of(pagination=BY_CURSOR, pages=1), api)


def test_the_guard_names_the_api_and_comes_after_the_pages_before() -> None:
    plan = plan_of(pagination=BY_CURSOR.model_copy(update={"max_pages": 2}))
    steps, hand, _ = begun(plan, api_of(9, "cursor"))
    pages = accepted(steps, lambda wanted: hand.value(wanted.fetch()))

    found = ids([next(pages), next(pages)])
    with pytest.raises(PaginationError, match=r"^api: GET /items: no end within max_pages = 2 pages"):
        next(pages)

    assert found == [1, 2, 3, 4]


def test_a_page_past_the_end_is_not_handed_on() -> None:
    api = FakeApi({"/items": [httpx.Response(200, json=numbered(2)), httpx.Response(404)]})
    steps, hand, _ = begun(plan_of(pagination=BY_PAGE), api)
    steps.send(hand.value(next_wanted(steps).fetch()))

    past = hand.value(next_wanted(steps).fetch())

    assert past is None
    with pytest.raises(StopIteration):
        steps.send(past)
