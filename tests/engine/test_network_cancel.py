"""A cancel ends whatever is waited for at once, closes the socket, and leaves no thread behind."""

import asyncio
import threading
import time
from pathlib import Path
from threading import Event

import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.network import AsyncNetwork, Network
from apikit_sql.engine.session import Session
from apikit_sql.errors import ScanInterrupted
from tests.engine.loopback import Loopback, Peer, Talk, deaf, reply, request_of, sending
from tests.engine.taking import plan_of, scan_of
from tests.engine.test_network import (
    BIG,
    ON_LINUX,
    drips_a_body,
    never_reads,
    reads_slowly,
    says_nothing,
    stops_within_the_body,
    stops_within_the_headers,
)

LINKED = PaginationConfig(strategy="link")


def cancelled_after(seconds: float, url: str, body: bytes | None = None) -> float:
    """How long a request to `url` goes on once it is cancelled, after so many seconds."""
    cancelled, at = Event(), [0.0]

    def cancel() -> None:
        at[0] = time.monotonic()
        cancelled.set()

    timer = threading.Timer(seconds, cancel)
    timer.start()
    with Network(verify=False) as network, pytest.raises(ScanInterrupted):
        drive(sending(request_of(url, body=body), timeout=6), network, cancelled)
    ended = time.monotonic()
    timer.join()
    return ended - at[0]


@pytest.mark.parametrize("talk", [says_nothing, stops_within_the_headers, stops_within_the_body, drips_a_body])
def test_a_cancel_ends_a_wait_at_once_and_closes_the_socket(talk: Talk) -> None:
    with Loopback(talk) as server:
        assert cancelled_after(0.2, server.url) < 0.5
        assert server.left.wait(2)


@pytest.mark.parametrize("talk", [never_reads, reads_slowly])
def test_a_cancel_ends_a_request_that_is_not_taken(talk: Talk) -> None:
    with Loopback(talk) as server:
        assert cancelled_after(0.2, server.url, BIG) < 0.5


def test_a_cancel_ends_a_handshake() -> None:
    with Loopback(says_nothing) as server:
        assert cancelled_after(0.2, f"https://127.0.0.1:{server.port}") < 0.5
        assert server.left.wait(2)


@ON_LINUX
def test_a_cancel_ends_a_connection_attempt() -> None:
    with deaf() as port:
        assert cancelled_after(0.2, f"http://127.0.0.1:{port}") < 0.5


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("talk", [says_nothing, stops_within_the_headers, stops_within_the_body, drips_a_body])
def test_cancelling_the_task_ends_a_wait_at_once_and_closes_the_socket(
    talk: Talk, scheme: str, certificate: Path
) -> None:
    def talks(peer: Peer) -> None:
        if scheme == "https" and talk is not says_nothing:
            peer.start_tls()
        talk(peer)

    async def cancelled(url: str) -> float:
        async with AsyncNetwork(verify=False) as network:
            task = asyncio.create_task(adrive(sending(request_of(url), timeout=6), network))
            await asyncio.sleep(0.2)
            task.cancel()
            at = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - at

    with Loopback(talks, certificate) as server:
        assert asyncio.run(cancelled(f"{scheme}://127.0.0.1:{server.port}")) < 0.5
        assert server.left.wait(2)


def threads_of_pages() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "apikit-pages"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_scan_that_is_left_early_leaves_no_thread_behind(scheme: str, certificate: Path) -> None:
    """The third page makes the window ask for the fourth, which never comes; over https not even its handshake does."""
    is_hanging, before = Event(), threads_of_pages()

    def talk(peer: Peer) -> None:
        if server.connections > 1:
            is_hanging.set()
            peer.hold()
        if scheme == "https":
            peer.start_tls()
        while True:
            number = int(peer.request().split(b" ")[1].partition(b"=")[2] or 1)
            if number == 4:
                is_hanging.set()
                peer.hold()
            last = ["connection: close"] if number == 3 and scheme == "https" else []
            peer.say(reply(b"[]", f"link: </items?page={number + 1}>; rel=next", *last))

    session = Session(http="")
    with Loopback(talk, certificate) as server:
        plan = plan_of(base_url=f"{scheme}://127.0.0.1:{server.port}", pagination=LINKED, verify_ssl=False)
        with scan_of(session, plan, concurrency=4) as scan:
            for _ in range(3):
                next(scan.pages)
            assert is_hanging.wait(5)
        left, deadline = time.monotonic(), time.monotonic() + 5
        while set(threads_of_pages()) - set(before) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.monotonic() - left < 0.5
    session.close()
