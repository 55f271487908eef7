"""What is kept for too long is asked for only if it has changed; no news make it good for as long again."""

import httpx
import pytest

from apikit_sql.engine.trip import trip
from apikit_sql.errors import RequestError
from tests.engine.caching import PLAN, Caching, Versioned, counting
from tests.engine.taking import ids, numbered, plan_of

SUNDAY = "Sun, 15 Jun 2025 12:00:00 GMT"


@pytest.mark.parametrize("etag", [True, False])
def test_what_has_not_changed_is_good_for_as_long_again(*, etag: bool) -> None:
    api = Versioned(etag=etag)
    hand = Caching(api)

    bodies = [hand.body(), hand.body(after=300), hand.body(after=299)]

    assert (bodies, api.statuses) == ([b"1"] * 3, [200, 304])
    assert [record.status for record in hand.records] == [200, 304]


def test_an_unchanged_answer_is_a_request_and_no_cached_page() -> None:
    hand = Caching(Versioned())
    hand.body()

    hand.body(after=300)

    assert (hand.scan.requests, hand.scan.cached_pages, hand.scan.cache_age) == (1, 0, None)


def test_what_has_changed_takes_the_old_ones_place() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    api.version = 2

    assert [hand.body(after=300), hand.body(after=299), api.statuses] == [b"2", b"2", [200, 200]]


def test_both_validators_are_sent_as_they_came() -> None:
    hand = Caching(counting(etag='"ä b"', last_modified=SUNDAY))
    hand.body()

    hand.body(after=300)

    assert hand.asked("if-none-match") == [None, '"ä b"']
    assert hand.asked("if-modified-since") == [None, SUNDAY]


def test_without_a_validator_it_is_asked_for_whole() -> None:
    hand = Caching(counting())
    hand.body()

    assert hand.body(after=300) == b"2"
    assert hand.asked("if-none-match") == hand.asked("if-modified-since") == [None, None]


def test_a_read_by_post_is_asked_for_whole() -> None:
    """Under a condition it would be answered 412 (RFC 9110, section 13.1.2)."""
    hand = Caching(counting(etag='"a"'))
    plan = plan_of(cache=300, method="POST", body=b"{}")
    hand.body(plan)

    assert hand.body(plan, after=300) == b"2"
    assert hand.asked("if-none-match") == [None, None]


def test_news_of_headers_hold_and_those_of_the_body_stay() -> None:
    whole = {"etag": '"a"', "x-left": "2", "x-kept": "é", "content-type": "application/json", "link": "<>; rel=last"}
    news = {"ETag": '"a"', "X-Left": "1", "x-new": "n", "content-type": "text/html", "content-length": "0"}
    told = httpx.Headers(whole, encoding="utf-8")
    hand = Caching([httpx.Response(200, json=numbered(1), headers=told), httpx.Response(304, headers=news)])
    hand.pages(trip(PLAN, hand.access(PLAN)))
    hand.clock.now += 300

    confirmed, again = [hand.pages(trip(PLAN, hand.access(PLAN)))[0] for _ in range(2)]

    expected = {**whole, "x-left": "1", "x-new": "n", "content-length": "10"}
    assert dict(confirmed.headers) == dict(again.headers) == expected
    assert (confirmed.status, ids([confirmed]), len(hand.sent)) == (200, [1], 2)


def test_unchanged_but_no_more_to_be_kept() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    api.headers = {"cache-control": "no-store"}

    assert [hand.body(after=300), hand.body()] == [b"1", b"1"]
    assert api.statuses == [200, 304, 200]


def test_an_api_that_is_down_is_an_error_and_what_is_kept_stays() -> None:
    api = Versioned()
    hand = Caching(api)
    hand.body()
    hand.api.trouble += [httpx.Response(503)] * 3

    with pytest.raises(RequestError, match="503"):
        hand.body(after=300)

    assert hand.body() == b"1"
    assert api.statuses == [200, 304]


def test_no_news_is_no_answer_for_whoever_did_not_ask_for_news() -> None:
    hand = Caching(Versioned())
    plan = plan_of(cache=300, headers=(("If-None-Match", 'W/"v1"'),))

    with pytest.raises(RequestError, match="answered 304"):
        hand.body(plan)


def test_unchanged_still_cannot_be_read() -> None:
    hand = Caching([httpx.Response(200, json={"error": "x"}, headers={"etag": '"a"'}), httpx.Response(304)])
    hand.body()
    hand.clock.now += 300

    with pytest.raises(RequestError, match="with an error"):
        hand.pages(trip(PLAN, hand.access(PLAN)))
