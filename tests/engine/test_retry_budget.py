"""Retries come to an end: each request's own, and all of those that one API may be sent."""

import itertools
import threading
from collections.abc import Callable

import httpx
import pytest

from apikit_sql.connector.protocol import RetryConfig
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.retry import RetryBudget
from apikit_sql.errors import RateLimitError, RequestError
from tests.engine.taking import Hand, plan_of
from tests.fakes.api import FakeApi

STEADY = RetryConfig(min_wait=1, jitter=0)
GOOD = httpx.Response(200, json=[])


def api_with(*trouble: httpx.Response | Exception) -> FakeApi:
    api = FakeApi({"/items": GOOD})
    api.trouble.extend(trouble)
    return api


# --- of one request


def forever(refusal: httpx.Response, meanwhile: RateLimitState) -> Callable[[httpx.Request], httpx.Response]:
    """An API that refuses this request for ever and answers another one between its attempts."""
    tried = itertools.count(1)

    def answer(_: httpx.Request) -> httpx.Response:
        assert next(tried) < 1000, "it does not end"
        meanwhile.ingest(GOOD)
        return refusal

    return answer


@pytest.mark.parametrize("headers", [{"retry-after": "1"}, {"retry-after": "7"}, {}, {"retry-after": "0"}])
@pytest.mark.parametrize("retry", [STEADY, RetryConfig(min_wait=0.5, jitter=0.1)], ids=["steady", "jitter"])
def test_a_limit_that_only_others_get_through_ends_within_max_wait(headers: dict[str, str], retry: RetryConfig) -> None:
    hand, plan = Hand(FakeApi()), plan_of(retry=retry, max_wait=30)
    access = hand.access(plan)
    hand.handler = forever(httpx.Response(429, headers=headers), access.limiter)

    with pytest.raises(RateLimitError, match="answered 429"):
        hand.value(exchange(plan, access, first_request(plan)))

    last_waits = retry.max_attempts * max(float(headers.get("retry-after", 0)), retry.min_wait * 2 + retry.jitter)
    assert 30 <= sum(hand.slept) <= 30 + last_waits


def test_a_limit_that_only_others_get_through_ends_also_where_nobody_waits() -> None:
    hand, plan = Hand(FakeApi()), plan_of(retry=RetryConfig(min_wait=0, jitter=0), max_wait=30)
    access = hand.access(plan)
    hand.handler = forever(httpx.Response(429), access.limiter)

    with pytest.raises(RateLimitError, match="answered 429"):
        hand.value(exchange(plan, access, first_request(plan)))


def test_errors_of_ones_own_are_no_sign_that_others_get_through() -> None:
    hand = Hand(api_with(*[httpx.Response(500), httpx.Response(429, headers={"retry-after": "1"})] * 9))

    plan = plan_of(retry=STEADY)

    with pytest.raises(RequestError, match="after 3 attempts"):
        hand.value(exchange(plan, hand.access(plan), first_request(plan)))

    assert len(hand.sent) == 3


# --- of one API


def test_a_budget_has_retries_for_a_bad_moment() -> None:
    budget = RetryBudget()

    assert [budget.spend() for _ in range(70)] == [True] * 64 + [False] * 6


def test_every_fifth_request_earns_a_retry() -> None:
    budget = RetryBudget()
    while budget.spend():
        pass

    earned = 0
    for _ in range(1000):
        budget.earn()
        earned += budget.spend()

    assert earned in {199, 200}  # fifths add up to a whole but for rounding


def test_a_budget_never_grows_beyond_its_beginning() -> None:
    budget = RetryBudget()

    for _ in range(1000):
        budget.earn()

    assert sum(budget.spend() for _ in range(100)) == 64


def test_threads_spend_no_retry_twice() -> None:
    budget, start = RetryBudget(), threading.Barrier(8)
    spent: list[bool] = []

    def spend() -> None:
        start.wait()
        spent.extend([budget.spend() for _ in range(50)])

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert spent.count(True) == 64


@pytest.mark.parametrize("trouble", [httpx.Response(500), httpx.ConnectError("down")])
def test_an_api_that_is_down_is_not_sent_three_times_what_it_is_asked(
    trouble: httpx.Response | httpx.TransportError,
) -> None:
    hand, plan = Hand(api_with(*[trouble] * 2000)), plan_of(retry=RetryConfig(min_wait=0, jitter=0))
    access = hand.access(plan)

    for _ in range(500):
        with pytest.raises(RequestError):
            hand.value(exchange(plan, access, first_request(plan)))

    assert 500 + 64 + 90 <= len(hand.sent) <= 500 + 64 + 100


def test_a_limit_uses_up_no_budget() -> None:
    limited = httpx.Response(429, headers={"retry-after": "1"})
    hand, plan = Hand(api_with(*[limited, limited, GOOD] * 100, httpx.Response(500))), plan_of(retry=STEADY)
    access = hand.access(plan)

    for _ in range(100):
        assert hand.value(exchange(plan, access, first_request(plan))).status_code == 200

    assert hand.value(exchange(plan, access, first_request(plan))).status_code == 200  # after a retry
    assert sum(access.budget.spend() for _ in range(100)) == 63
