"""One token for all: whoever wants it first asks, the others wait for that answer, be it a token or an error."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import TypeVar

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.oauth2 import Grant
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Send, Sleep, Steps
from apikit_sql.engine.tokens import Tokens
from apikit_sql.errors import ApikitError, AuthError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.taking import Clock, ids, numbered, plan_of, read
from tests.fakes.api import Table
from tests.fakes.tokens import INVALID_CLIENT, TOKEN_URL, GuardedApi, bearer_of, oauth

T = TypeVar("T")
MANY = 50
SOON = 10.0  # seconds: what happens at all happens long before
PLAN = plan_of(auth=oauth())
DOWN = httpx.Response(503)
GOOD = httpx.Response(200, json=[])
TOKEN = httpx.Response(200, json={"access_token": "t1", "expires_in": 3600})


def access_of(clock: Callable[[], float] = time.time, *, scan: ScanRecord | None = None) -> Access:
    """A way in whose tokens are shared by all who use it."""
    credential = authenticator("api", PLAN.auth, lambda grant: Tokens(grant, clock))
    return Access(
        credential, RateLimitState(clock=clock), lambda _: None, clock, ScanRecord() if scan is None else scan
    )


def one_page(access: Access) -> Steps[httpx.Response]:
    return exchange(PLAN, access, first_request(PLAN))


def asks_for_token(step: object) -> bool:
    return isinstance(step, Send) and str(step.request.url) == TOKEN_URL


def token_of(step: object) -> str:
    """The token that a page is asked for with."""
    assert isinstance(step, Send)
    assert step.request.url.host == "api.test"
    return bearer_of(step.request)


def result_of(get: Callable[[], T]) -> T | ApikitError:
    try:
        return get()
    except ApikitError as error:
        return error


# --- step by step


def test_one_asks_and_the_others_wait_for_its_token() -> None:
    access = access_of()
    first, *others = (one_page(access) for _ in range(3))
    assert asks_for_token(next(first))

    waits = [next(each) for each in others]
    assert all(isinstance(step, Sleep) and 0 < step.seconds <= 0.1 for step in waits)

    assert token_of(first.send(TOKEN)) == "t1"
    assert [token_of(next(each)) for each in others] == ["t1", "t1"]


def test_a_renewal_ahead_lets_the_others_use_the_old_token_meanwhile() -> None:
    clock = Clock()
    access = access_of(clock)
    first = one_page(access)
    next(first)
    first.send(TOKEN)
    clock.now += 3590

    renewing, other = one_page(access), one_page(access)

    assert asks_for_token(next(renewing))
    assert token_of(next(other)) == "t1"


def test_a_refused_token_is_renewed_for_all_who_brought_it() -> None:
    access, refused = access_of(), httpx.Response(401)
    pages = [one_page(access) for _ in range(3)]
    next(pages[0])
    pages[0].send(TOKEN)
    for page in pages[1:]:
        next(page)

    assert asks_for_token(pages[0].send(refused))
    assert isinstance(pages[1].send(refused), Sleep)
    newer = httpx.Response(200, json={"access_token": "t2"})

    assert token_of(pages[0].send(newer)) == "t2"
    assert token_of(next(pages[1])) == "t2"
    assert token_of(pages[2].send(refused)) == "t2"


@pytest.mark.parametrize("end", ["closed", "broken"])
def test_another_asks_when_the_one_who_asked_has_gone(end: str) -> None:
    access = access_of()
    first, second = one_page(access), one_page(access)
    next(first)
    assert isinstance(next(second), Sleep)

    if end == "closed":
        first.close()
    else:
        with pytest.raises(ZeroDivisionError):
            first.throw(ZeroDivisionError())

    assert asks_for_token(next(second))
    assert token_of(second.send(TOKEN)) == "t1"


def test_who_waited_is_told_what_became_of_it_even_when_the_clock_stands_still() -> None:
    access = access_of(Clock())
    first, second = one_page(access), one_page(access)
    next(first)
    assert isinstance(next(second), Sleep)

    with pytest.raises(RequestError, match=r"POST .*/oauth/token answered 404"):
        first.send(httpx.Response(404))

    with pytest.raises(RequestError, match=r"POST .*/oauth/token answered 404"):
        next(second)


def test_a_token_is_none_of_the_requests_that_a_scan_may_send() -> None:
    frugal = access_of(scan=ScanRecord(ScanPlan(PLAN, max_requests=1)))
    first = one_page(frugal)

    assert asks_for_token(next(first))
    assert not asks_for_token(first.send(TOKEN))

    assert frugal.scan.requests == 1


def test_one_who_will_not_wait_for_a_token_does_not_decide_for_who_will() -> None:
    clock = Clock()
    access = access_of(clock)
    hasty, patient = (exchange(plan, access, first_request(plan)) for plan in (replace(PLAN, max_wait=5), PLAN))
    next(hasty)
    assert isinstance(next(patient), Sleep)

    with pytest.raises(RateLimitError, match="is to wait 20 s"):
        hasty.send(httpx.Response(429, headers={"retry-after": "20"}))

    assert next(patient) == Sleep(20)
    clock.now += 20
    assert asks_for_token(next(patient))


def test_each_who_waited_has_an_error_of_its_own() -> None:
    access = access_of()
    first, *others = (one_page(access) for _ in range(3))
    next(first)
    for each in others:
        next(each)

    errors = [result_of(lambda: first.send(INVALID_CLIENT)), *(result_of(lambda e=e: next(e)) for e in others)]  # type: ignore[misc]

    assert all(isinstance(error, AuthError) and error.code == "invalid_client" for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert len({str(error) for error in errors}) == 1


# --- all at once


class Waits(Event):
    """Tells, as the driver waits for it, how many steps have waited."""

    def __init__(self, all_wait: threading.Barrier) -> None:
        super().__init__()
        self._all_wait = all_wait
        self._has_waited = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._has_waited:
            self._has_waited = True
            self._all_wait.wait(SOON)
        return super().wait(timeout)


def on_threads(count: int, work: Callable[[], T]) -> list[T | ApikitError]:
    """What `work` brings, begun on so many threads at once."""
    start, found = threading.Barrier(count), list[T | ApikitError]()

    def run() -> None:
        start.wait(SOON)
        found.append(result_of(work))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not any(thread.is_alive() for thread in threads)
    return found


def test_fifty_threads_of_one_session_ask_once() -> None:
    api = GuardedApi({"/items": Table(numbered(1))})
    session = Session(transport=api.transport())

    found = on_threads(MANY, lambda: ids(read(session, PLAN)))

    assert found == [[1]] * MANY
    assert api.bearers == ["t1"] * MANY
    assert len(api.asked) == 1


@pytest.mark.parametrize("answer", [INVALID_CLIENT, httpx.Response(404), httpx.Response(500)])
def test_fifty_threads_that_wait_for_a_token_share_its_failure(answer: httpx.Response) -> None:
    all_wait = threading.Barrier(MANY)
    asked: list[httpx.Request] = []

    def endpoint(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) == 1:
            all_wait.wait(SOON)
        return answer

    transport, access = httpx.MockTransport(endpoint), access_of()

    found = on_threads(MANY, lambda: drive(one_page(access), transport, Waits(all_wait)))

    assert {type(each) for each in found} == {AuthError if answer is INVALID_CLIENT else RequestError}
    assert len({str(each) for each in found}) == 1
    assert [str(request.url) for request in asked] == [TOKEN_URL] * (3 if answer.status_code == 500 else 1)


@pytest.mark.parametrize("answer", [TOKEN, INVALID_CLIENT, httpx.Response(404), httpx.Response(500)])
def test_fifty_tasks_that_share_tokens_ask_once_and_share_what_comes(answer: httpx.Response) -> None:
    asked: list[httpx.Request] = []

    async def endpoint(request: httpx.Request) -> httpx.Response:
        if str(request.url) != TOKEN_URL:
            assert bearer_of(request) == "t1"
            return GOOD
        asked.append(request)
        await asyncio.sleep(0.01)  # all have begun by then
        return answer

    async def all_at_once() -> list[httpx.Response | BaseException]:
        access, transport = access_of(), httpx.MockTransport(endpoint)
        tasks = (adrive(one_page(access), transport) for _ in range(MANY))
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(all_at_once())

    expected = {401: AuthError, 200: httpx.Response}.get(answer.status_code, RequestError)
    assert {type(each) for each in found} == {expected}
    assert len(found) == MANY
    assert len(asked) == (3 if answer.status_code == 500 else 1)


def test_a_task_that_is_cancelled_while_it_asks_leaves_that_to_another() -> None:
    asked: list[httpx.Request] = []

    async def two() -> httpx.Response:
        is_asked = asyncio.Event()

        async def endpoint(request: httpx.Request) -> httpx.Response:
            if str(request.url) != TOKEN_URL:
                return GOOD
            asked.append(request)
            if not is_asked.is_set():
                is_asked.set()
                await asyncio.Event().wait()
            return TOKEN

        access, transport = access_of(), httpx.MockTransport(endpoint)
        first = asyncio.create_task(adrive(one_page(access), transport))
        second = asyncio.create_task(adrive(one_page(access), transport))
        async with asyncio.timeout(SOON):
            await is_asked.wait()
            first.cancel()
            return await second

    assert asyncio.run(two()).status_code == 200
    assert len(asked) == 2


def test_a_token_refused_in_several_pages_at_once_is_renewed_once() -> None:
    table = Table(numbered(60), "offset", page_size=2)
    refused, enough, lock = list[str](), Event(), threading.Lock()

    def revoked_later(request: httpx.Request) -> httpx.Response:
        if int(request.url.params["offset"]) < 10 or bearer_of(request) != "t1":
            return table.answer(request)
        with lock:
            refused.append(request.url.params["offset"])
            if len(refused) == 4:
                enough.set()
        assert enough.wait(SOON)
        return httpx.Response(401)

    api = GuardedApi({"/items": revoked_later})
    session = Session(transport=api.transport())
    paging = PaginationConfig(
        strategy="offset", offset_param="offset", limit_param="limit", page_size=2, total_path="total"
    )

    found = ids(read(session, plan_of(auth=oauth(), pagination=paging), concurrency=8))

    assert found == list(range(1, 61))
    assert len(refused) >= 4
    assert len(api.asked) == 2
    assert len(api.paths) == 30 + len(refused)
    assert set(api.bearers) == {"t1", "t2"}


def test_two_scans_with_other_scopes_have_tokens_of_their_own() -> None:
    api = GuardedApi()
    session = Session(transport=api.transport())

    for scopes in (["a"], ["b"], ["a"]):
        read(session, plan_of(auth=oauth(scopes=scopes)))

    assert api.bearers == ["t1", "t2", "t1"]


def test_a_grant_is_equal_to_one_of_the_same_settings() -> None:
    grants: list[Grant] = []

    def tokens_of(grant: Grant) -> Tokens:
        grants.append(grant)
        return Tokens(grant)

    for _ in range(2):
        authenticator("api", oauth(), tokens_of)

    assert grants[0] == grants[1]
    assert hash(grants[0]) == hash(grants[1])
