"""What a caller leaves behind: answers that must not be lost, scans that nobody reads, waits that nobody means."""

import asyncio
import time
from collections.abc import Iterator
from threading import Event

import httpx
import keyring
import pytest

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine import sockets
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.exchange import exchange
from apikit_sql.engine.network import Network
from apikit_sql.engine.pagination import first_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Sleep, Steps
from apikit_sql.errors import ScanInterrupted
from tests.engine.loopback import request_of, sending
from tests.engine.taking import plan_of
from tests.fakes.tokens import TOKEN_URL, GuardedApi, MemoryKeyring, form_of

GRANT = AuthConfig.model_validate(
    {"type": "oauth2", "token_url": TOKEN_URL, "client_id": "id", "client_secret": "s3cret", "refresh_token": "r0"}
)
PLAN = plan_of(auth=GRANT)


@pytest.fixture
def stored() -> Iterator[MemoryKeyring]:
    before, memory = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


def access() -> Access:
    return Access(authenticator("api", GRANT), RateLimitState(), lambda _: None)


def asked_with(api: GuardedApi) -> list[str]:
    return [dict(form_of(request))["refresh_token"] for request in api.asked]


def test_a_new_refresh_token_is_kept_though_its_scan_was_closed_meanwhile(stored: MemoryKeyring) -> None:
    api, shared, cancelled = GuardedApi(rotates=True), access(), Event()

    def closing(request: httpx.Request) -> httpx.Response:
        if str(request.url) == TOKEN_URL:
            cancelled.set()
        return api(request)

    with pytest.raises(ScanInterrupted):
        drive(exchange(PLAN, shared, first_request(PLAN)), httpx.MockTransport(closing), cancelled)
    assert list(stored.stored.values()) == ["r1"]

    later = drive(exchange(PLAN, access(), first_request(PLAN)), httpx.MockTransport(api), Event())
    assert later.status_code == 200
    assert asked_with(api) == ["r0", "r1"]


def test_a_new_refresh_token_is_kept_though_its_task_was_cancelled_meanwhile(stored: MemoryKeyring) -> None:
    api, shared = GuardedApi(rotates=True), access()

    async def closed() -> None:
        async def closing(request: httpx.Request) -> httpx.Response:
            if str(request.url) == TOKEN_URL:
                task.cancel()
                await asyncio.sleep(0.01)
            return api(request)

        task = asyncio.ensure_future(adrive(exchange(PLAN, shared, first_request(PLAN)), httpx.MockTransport(closing)))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(closed())

    assert list(stored.stored.values()) == ["r1"]
    assert api.seen == []


def test_a_scan_that_nobody_reads_any_more_does_not_hold_up_the_end() -> None:
    session, cancelled = Session(), Event()

    with session.running(cancelled) as scan, scan.outside():
        time.sleep(0.35)
        began = time.monotonic()
        session.stop_running(5)

        assert time.monotonic() - began < 2
    assert cancelled.is_set()
    session.close()


def test_a_scan_that_is_read_is_waited_for() -> None:
    session = Session()

    with session.running(Event()):
        began = time.monotonic()
        session.stop_running(0.3)

        assert time.monotonic() - began >= 0.3
    session.close()


def test_a_wait_that_no_clock_can_hold_can_be_cancelled() -> None:
    cancelled = Event()

    def steps() -> Steps[None]:
        cancelled.set()
        yield Sleep(1e15)

    with pytest.raises(ScanInterrupted):
        drive(steps(), httpx.MockTransport(lambda _: httpx.Response(200)), cancelled)


def test_a_name_that_nobody_looks_up_in_time_ends_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Event()
    monkeypatch.setattr(sockets, "addresses_of", lambda *_: slow.wait(10) and [])

    began = time.monotonic()
    with Network() as network, pytest.raises(httpx.ReadTimeout):
        drive(sending(request_of("http://api.example.test/"), timeout=0.3), network, Event())
    took = time.monotonic() - began
    slow.set()

    assert took < 1.3
