"""Real sockets: every wait ends in time, a cancel ends it at once, and connections are reused, shared and replaced."""

import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig, RetryConfig
from apikit_sql.engine.drivers import drive
from apikit_sql.engine.network import Network
from apikit_sql.engine.session import Session
from apikit_sql.errors import RequestError
from tests.engine.loopback import (
    Internet,
    Loopback,
    Peer,
    Talk,
    answering,
    deaf,
    reply,
    request_of,
    send_async,
    send_sync,
    sending,
    travel_async,
    travel_sync,
)
from tests.engine.taking import plan_of, scan_of

TIMEOUT = 0.5  # seconds
SEND = pytest.mark.parametrize("send", [send_sync, send_async])
LINKED = PaginationConfig(strategy="link")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="how Linux treats loopback addresses and full queues")
BIG = bytes(2**26)  # more than sockets keep in their buffers
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
Sent = Callable[..., list[httpx.Response]]


# --- servers that do not come to an end


def drips_headers(peer: Peer) -> None:
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 1000, every=0.05)


def drips_a_body(peer: Peer) -> None:
    peer.request()
    peer.say(HEAD)
    peer.drip(b" " * 1000, every=0.05)


def says_nothing(peer: Peer) -> None:
    peer.hold()


def stops_within_the_headers(peer: Peer) -> None:
    peer.say(HEAD[:30])
    peer.hold()


def stops_within_the_body(peer: Peer) -> None:
    peer.request()
    peer.say(HEAD + b"[")
    peer.hold()


def never_reads(peer: Peer) -> None:
    peer.rest(60)


def reads_slowly(peer: Peer) -> None:
    while True:
        peer.sock.recv(2**17)
        peer.rest(0.01)


def informs_without_end(peer: Peer) -> None:
    peer.request()
    while True:
        peer.say(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 20)
        peer.rest(0.01)


def sends_headers_without_end(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.say(b"x-more: and more\r\n" * 100)


def chunks_without_end(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        peer.say(b"1\r\n \r\n")
        peer.rest(0.05)


ENDLESS = [
    drips_headers,
    drips_a_body,
    says_nothing,
    stops_within_the_headers,
    stops_within_the_body,
    informs_without_end,
    sends_headers_without_end,
    chunks_without_end,
]


@SEND
@pytest.mark.parametrize("talk", ENDLESS)
def test_an_answer_that_does_not_end_is_given_up_in_time(send: Sent, talk: Talk) -> None:
    with Loopback(talk) as server:
        started = time.monotonic()

        with pytest.raises(httpx.TransportError):
            send(request_of(server.url), timeout=TIMEOUT)

        assert time.monotonic() - started < TIMEOUT + 1
        assert server.left.wait(2)


@SEND
@pytest.mark.parametrize("talk", [never_reads, reads_slowly])
def test_a_request_that_is_not_taken_is_given_up_in_time(send: Sent, talk: Talk) -> None:
    with Loopback(talk) as server:
        started = time.monotonic()

        with pytest.raises(httpx.TransportError):
            send(request_of(server.url, body=BIG), timeout=TIMEOUT)

        assert time.monotonic() - started < TIMEOUT + 1


@SEND
@ON_LINUX
def test_a_host_that_does_not_answer_is_given_up_in_time(send: Sent) -> None:
    with deaf() as port:
        started = time.monotonic()

        with pytest.raises(httpx.TransportError):
            send(request_of(f"http://127.0.0.1:{port}"), timeout=TIMEOUT)

        assert TIMEOUT * 0.8 < time.monotonic() - started < TIMEOUT + 1


@SEND
def test_a_server_that_never_finishes_its_handshake_is_given_up_in_time(send: Sent) -> None:
    with Loopback(says_nothing) as server:
        started = time.monotonic()

        with pytest.raises(httpx.TransportError):
            send(request_of(f"https://127.0.0.1:{server.port}"), timeout=TIMEOUT, verify=False)

        assert time.monotonic() - started < TIMEOUT + 1
        assert server.left.wait(2)


@pytest.mark.parametrize("travel", [travel_sync, travel_async])
def test_a_trip_that_times_out_is_a_request_error_that_says_so(travel: Callable[..., object]) -> None:
    with Loopback(says_nothing) as server:
        plan = plan_of(base_url=server.url, timeout=TIMEOUT, retry=RetryConfig(max_attempts=1))

        with pytest.raises(RequestError, match=r"no answer after 1 attempts: the answer took longer than 0\.5 s"):
            travel(plan)


@SEND
def test_a_body_that_ends_before_its_length_is_no_answer(send: Sent) -> None:
    def cuts(peer: Peer) -> None:
        peer.request()
        peer.say(HEAD + b"[1, 2]")

    with Loopback(cuts) as server, pytest.raises(httpx.RemoteProtocolError):
        send(request_of(server.url))


# --- connections


def echo(request: bytes) -> bytes:
    """Answers with the path that was asked for."""
    return reply(request.split(b" ")[1])


@SEND
def test_a_connection_is_used_again(send: Sent) -> None:
    with Loopback(answering(echo)) as server:
        answers = send(*(request_of(f"{server.url}/{number}") for number in range(5)))

    assert [answer.content for answer in answers] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    assert server.connections == 1


def test_the_pages_of_a_scan_share_a_connection() -> None:
    def answer(request: bytes) -> bytes:
        number = int(request.split(b" ")[1].partition(b"=")[2] or 1)
        return reply(b'[{"id": 1}]', *[f"link: </items?page={number + 1}>; rel=next"] * (number < 6))

    session = Session(http="")
    with Loopback(answering(answer)) as server:
        with scan_of(session, plan_of(base_url=server.url, pagination=LINKED)) as scan:
            assert len(list(scan.pages)) == 6
        session.close()

    assert server.connections == 1


@pytest.mark.parametrize("is_told", [True, False])
def test_a_connection_that_the_server_has_closed_is_replaced(is_told: bool) -> None:  # noqa: FBT001 - a case of a table
    def answers_once(peer: Peer) -> None:
        peer.say(reply(echo(peer.request()), *["connection: close"] * is_told))
        peer.sock.shutdown(socket.SHUT_RDWR)

    with Loopback(answers_once) as server, Network() as network:
        for number in range(3):
            drive(sending(request_of(f"{server.url}/{number}")), network, Event())
            time.sleep(0.1)

    assert server.connections == 3
    assert len(server.requests) == 3


def test_many_threads_share_one_network() -> None:
    with Loopback(answering(echo)) as server, Network() as network, ThreadPoolExecutor(20) as threads:

        def ask(number: int) -> list[bytes]:
            requests = [request_of(f"{server.url}/{number}/{each}") for each in range(5)]
            return [answer.content for answer in drive(sending(*requests), network, Event())]

        answers = list(threads.map(ask, range(40)))

    assert answers == [[f"/{number}/{each}".encode() for each in range(5)] for number in range(40)]
    assert server.connections <= 20


@SEND
@ON_LINUX
@pytest.mark.parametrize("first", ["refuses", "is deaf"])
def test_the_next_address_is_tried_where_the_first_does_not_answer(
    send: Sent, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deaf("127.0.0.2") as port, Loopback(answering(echo), port=port if first == "is deaf" else 0) as server:
        internet = Internet(monkeypatch)
        internet.names = {"api.example.test": [["127.0.0.2", "127.0.0.1"]]}
        internet.led_home = {"127.0.0.1"}
        internet.really = {"127.0.0.2"}

        (answer,) = send(request_of(f"http://api.example.test:{server.port}/a"), timeout=1.5)

    assert answer.content == b"/a"
    assert internet.dialled == ["127.0.0.2", "127.0.0.1"]


@SEND
def test_a_name_without_an_address_is_no_answer(send: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    Internet(monkeypatch)

    with pytest.raises(httpx.ConnectError, match=r"nowhere\.example\.test has no address"):
        send(request_of("http://nowhere.example.test/"))


# --- certificates


def secretly(peer: Peer) -> None:
    peer.start_tls()
    answering(echo)(peer)


@SEND
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    send: Sent, host: str, certificate: Path
) -> None:
    with Loopback(secretly, certificate) as server:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            send(request_of(f"https://{host}:{server.port}/a"))

        assert server.requests == []


@SEND
def test_a_certificate_is_not_looked_at_where_the_connector_says_so(send: Sent, certificate: Path) -> None:
    with Loopback(secretly, certificate) as server:
        answers = send(*(request_of(f"https://127.0.0.1:{server.port}/{each}") for each in "ab"), verify=False)

    assert [answer.content for answer in answers] == [b"/a", b"/b"]
    assert server.connections == 1
