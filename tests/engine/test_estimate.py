"""How many requests a trip will send: as many as a reader then sends, or none told where only the API can tell."""

from threading import Event
from typing import Any

import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.estimate import Estimate, estimate
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import trip
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import Clock, Hand, numbered, page_of, plan_of, read
from tests.fakes.api import BASE_URL, FakeApi, Table

AUTO = PaginationConfig()
PAGINGS = {
    "offset": PaginationConfig(strategy="offset", offset_param="offset", total_path="total"),
    "page_total": PaginationConfig(strategy="page", page_param="page", total_path="total"),
    "link_last": PaginationConfig(strategy="link"),
}
NEXT_ONLY = {
    "link": PaginationConfig(strategy="link"),
    "next_url": PaginationConfig(strategy="next_url", next_url_path="next"),
    "cursor": PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor"),
    "page": PaginationConfig(strategy="page", page_param="page"),
}


def api_of(count: int, paging: str) -> FakeApi:
    return FakeApi({"/items": Table(numbered(count), paging, page_size=10)})  # type: ignore[arg-type]  # its names


def estimated(plan: RequestPlan, *kept: Page) -> Estimate:
    return estimate(plan, Hand(FakeApi()).access(plan), kept)


def pages_of(plan: RequestPlan, api: FakeApi) -> list[Page]:
    hand = Hand(api)
    return hand.pages(trip(plan, hand.access(plan)))


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("count", [0, 1, 10, 11, 20, 21, 95])
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_where_the_first_page_tells_the_end_it_is_exactly_what_is_sent(paging: str, count: int, kept: int) -> None:
    plan, api = plan_of(pagination=PAGINGS[paging]), api_of(count, paging)
    pages = pages_of(plan, api)

    found = estimated(plan, *pages[:kept])

    assert found.requests == len(pages) - min(kept, len(pages))
    assert (found.kept, found.why, found.first.full_url) == (min(kept, len(pages)), "", str(api.seen[0].url))


@pytest.mark.parametrize("paging", NEXT_ONLY)
def test_where_each_page_tells_only_the_next_it_is_unknown(paging: str) -> None:
    plan = plan_of(pagination=NEXT_ONLY[paging])
    pages = pages_of(plan, api_of(25, paging))

    found = estimated(plan, pages[0])

    assert (found.requests, found.kept) == (None, 1)
    assert "only whether there is a next one" in found.why


@pytest.mark.parametrize("paging", ["link", "next_url", "cursor"])
def test_the_last_page_tells_that_nothing_follows(paging: str) -> None:
    plan = plan_of(pagination=NEXT_ONLY[paging])

    assert estimated(plan, *pages_of(plan, api_of(5, paging))).requests == 0


def test_before_the_first_page_only_what_has_one_page_is_known() -> None:
    assert estimated(plan_of()).requests == 1
    assert estimated(plan_of(pagination=AUTO, pages=1)).requests == 1

    found = estimated(plan_of(pagination=PAGINGS["offset"]))
    assert found.requests is None
    assert "its first page" in found.why


@pytest.mark.parametrize(("pages", "requests"), [(1, 0), (2, 1), (3, 2), (9, 9 - 1), (20, 9)])
def test_pages_end_it_earlier(pages: int, requests: int) -> None:
    plan, api = plan_of(pagination=PAGINGS["offset"]), api_of(95, "offset")
    first, *_ = pages_of(plan, api)

    found = estimated(plan_of(pagination=PAGINGS["offset"], pages=pages), first)

    assert found.requests == requests


def test_two_pages_of_which_the_next_is_known_are_one_request_more() -> None:
    first, *_ = pages_of(plan_of(pagination=NEXT_ONLY["cursor"]), api_of(25, "cursor"))

    assert estimated(plan_of(pagination=NEXT_ONLY["cursor"], pages=2), first).requests == 1


def test_the_guard_is_counted() -> None:
    paging = PAGINGS["offset"].model_copy(update={"max_pages": 4})
    first, *_ = pages_of(plan_of(pagination=PAGINGS["offset"]), api_of(95, "offset"))

    assert estimated(plan_of(pagination=paging), first).requests == 3


def test_what_fails_at_a_page_that_is_there_is_told() -> None:
    page = page_of({"items": numbered(3), "has_more": True})

    found = estimated(plan_of(pagination=AUTO), page)

    assert found.requests == 0
    assert found.why.startswith("it will fail: api: GET /items: the API says that there is more")


def test_a_page_past_the_end_ends_it() -> None:
    plan = plan_of(pagination=NEXT_ONLY["page"])
    first, second = (page_of(numbered(2)), page_of(numbered(2)[:1]))

    assert estimated(plan, first, second, second).requests == 0


class TestOutlook:
    def test_a_sampled_page_is_looked_at_and_left_for_the_scan(self, session: Session, api: FakeApi) -> None:
        api.routes["/items"] = Table(numbered(35), "offset", page_size=10)
        plan = plan_of(pagination=PAGINGS["offset"])
        session.sample(plan, 1, Event())

        found = [session.outlook(plan).estimate for _ in range(2)]
        read(session, plan)

        assert [(each.kept, each.requests) for each in found] == [(1, 3)] * 2
        assert len(api.seen) == 4
        assert session.outlook(plan).estimate.requests is None

    def test_a_sample_is_forgotten_in_time(self, api: FakeApi) -> None:
        clock = Clock()
        session = Session(transport=api.transport(), clock=clock)
        api.routes["/items"] = Table(numbered(5), "offset")
        plan = plan_of(pagination=PAGINGS["offset"])
        session.sample(plan, 1, Event())
        assert session.outlook(plan).estimate.kept == 1

        clock.now += 31

        assert session.outlook(plan).estimate.kept == 0

    def test_it_names_the_credential_and_shows_no_secret(self, session: Session, api: FakeApi) -> None:
        auth: Any = AuthConfig(type="bearer", token="s3cr3t-token")
        found = session.outlook(plan_of(auth=auth, params=[("q", "s3cr3t-token"), ("n", "1")]))

        assert found.url == f"{BASE_URL}/items?q=***REDACTED***&n=1"
        assert "s3cr3t" not in repr(found.credential)
        assert (found.remaining, api.seen) == (None, [])
