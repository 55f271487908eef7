"""Where a receiver listens: who is let in, what is held, what is told; nothing is left of what cannot start."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn

from apikit_sql import ConfigError, GenericHmacValidator, StripeWebhookValidator
from apikit_sql.webhook import listener as listeners
from apikit_sql.webhook.journal import Journal
from apikit_sql.webhook.receiver import Place, Receiver
from tests.webhook.signing import SECRET, deliver, hexadecimal, stripe

Start = Callable[[], Receiver]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


@pytest.fixture
def start(file: Path) -> Iterator[Start]:
    """Starts a receiver that writes `file`, which ends with the test."""
    with ExitStack() as stack:

        def started() -> Receiver:
            journal = Journal(file, 100)
            journal.open()
            receiver = Receiver("test", "stripe", StripeWebhookValidator(SECRET), journal, Place(0, patience=1))
            receiver.start()
            stack.callback(receiver.stop)
            return receiver

        yield started


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What nothing is stored before."""
    may_write, sync = threading.Event(), os.fsync

    def wait(file: int) -> None:
        may_write.wait(10)
        sync(file)

    monkeypatch.setattr(os, "fsync", wait)
    yield may_write
    may_write.set()


def body_of(name: str, size: int = 0) -> bytes:
    return json.dumps({"id": name, "data": "x" * size}).encode()


def sent(receiver: Receiver, name: str, size: int = 0) -> httpx.Response:
    body = body_of(name, size)
    return deliver(receiver.address, body, stripe(body))


def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connected(receiver: Receiver, text: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", receiver.port), timeout=5)
    connection.sendall(text)
    return connection


def answer_to(receiver: Receiver, text: bytes) -> bytes:
    with connected(receiver, text) as connection:
        return connection.recv(65_536)


class TestCrowds:
    def test_silent_connections_shut_nobody_out(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listeners, "_MOST_CONNECTIONS", 5)
        receiver = start()
        silent = [connected(receiver) for _ in range(20)]

        assert [sent(receiver, f"evt_{n}").status_code for n in range(3)] == [200] * 3

        closed = receiver.arrivals.rejected["more than 5 connections"]
        assert 16 <= closed <= 18  # 15 silent ones, and up to 3 for those that have delivered
        assert [connection.recv(1) for connection in silent[:10]] == [b""] * 10
        for connection in silent:
            connection.close()

    def test_where_all_have_deliveries_under_way_one_more_is_told_to_come_again(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, slow_disk: threading.Event
    ) -> None:
        monkeypatch.setattr(listeners, "_MOST_CONNECTIONS", 3)
        receiver = start()
        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(sent, receiver, f"evt_{n}") for n in range(3)]
            until(lambda: receiver.arrivals.received == 3)
            refused = sent(receiver, "evt_3")
            slow_disk.set()
            assert [answer.result().status_code for answer in answers] == [200] * 3

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.headers["connection"] == "close"
        assert receiver.arrivals.rejected == {"too many deliveries are under way": 1}
        assert sent(receiver, "evt_3").status_code == 200

    def test_a_connection_that_was_answered_before_its_body_came_is_not_kept_for_ever(self, start: Start) -> None:
        receiver = start()
        connection = connected(receiver, b"POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 404")
        time.sleep(0.1)
        connection.sendall(b"}")
        while connection.recv(65_536):  # the answer's rest
            pass
        connection.close()

    def test_what_is_held_is_let_go_of(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listeners, "_MOST_HELD", 5_000)
        receiver = start()

        assert [sent(receiver, f"evt_{n}", 2_000).status_code for n in range(10)] == [200] * 10

    def test_no_more_is_held_than_there_is_room_for(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, slow_disk: threading.Event
    ) -> None:
        monkeypatch.setattr(listeners, "_MOST_HELD", 5_000)
        receiver = start()
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(sent, receiver, f"evt_{n}", 2_000) for n in range(2)]
            until(lambda: receiver.arrivals.received == 2)
            refused = sent(receiver, "evt_2", 2_000)
            slow_disk.set()
            assert [answer.result().status_code for answer in answers] == [200] * 2

        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert receiver.arrivals.rejected == {"too much is waiting": 1}


class TestRequests:
    def test_headers_that_never_end_are_told(self, start: Start) -> None:
        receiver = start()
        with connected(receiver, b"POST /webhook HTTP/1.1\r\nHost: x\r\nA: b") as connection:
            assert connection.recv(1) == b""

        assert receiver.arrivals.rejected == {"the headers were not there whole after 1 seconds": 1}

    @pytest.mark.parametrize("upgrade", ["Upgrade: h2c", "upgrade:websocket"])
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b'{"id": "evt_1"}', b"200 OK"),
            (b"\r\nUpgrade: h2c\r\n", b"400 Bad Request"),  # what is signed is looked at: it is no JSON
        ],
    )
    def test_a_wish_for_another_protocol_is_ignored(
        self, start: Start, upgrade: str, body: bytes, status: bytes
    ) -> None:
        """Java's HttpClient has one with each request over plain HTTP."""
        receiver = start()
        headers = {"Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AA"} | stripe(body)
        lines = [upgrade, f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]

        answer = answer_to(receiver, "\r\n".join(["POST /webhook HTTP/1.1", *lines, "", ""]).encode() + body)

        assert answer.startswith(b"HTTP/1.1 " + status)

    def test_space_around_a_header_is_no_part_of_it(self, file: Path) -> None:
        journal = Journal(file, 10)
        receiver = Receiver("test", "shop", GenericHmacValidator(SECRET), journal, Place(0))
        receiver.start()
        try:
            answer = answer_to(
                receiver,
                b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                + f"X-Signature: \t{hexadecimal(b'{}')} \t \r\n\r\n{{}}".encode(),
            )
        finally:
            receiver.stop()

        assert answer.startswith(b"HTTP/1.1 200")


class TestStarts:
    @pytest.mark.parametrize("host", ["a\0b", "no.such.host.invalid", "256.1.1.1", "\ud800", "x" * 300])
    def test_a_host_that_cannot_be_is_told(self, file: Path, host: str) -> None:
        place = Place(0, host=host)
        with pytest.raises(ConfigError, match="cannot listen"):
            Receiver("test", "stripe", StripeWebhookValidator(SECRET), Journal(file, 10), place).start()

    @pytest.mark.parametrize(
        ("failure", "told"), [(OSError(24, "Too many open files"), "Too many open files"), (None, "it has not started")]
    )
    def test_a_start_that_fails_is_told_and_leaves_nothing(
        self, monkeypatch: pytest.MonkeyPatch, failure: Exception | None, told: str
    ) -> None:
        def run(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
            assert sockets
            if failure is not None:
                raise failure

        monkeypatch.setattr(uvicorn.Server, "run", run)
        threads = set(threading.enumerate())
        receiver = Receiver("test", "stripe", StripeWebhookValidator(SECRET), Journal(None, 10), Place(0))

        with pytest.raises(ConfigError, match=rf"cannot listen at 127\.0\.0\.1:[1-9]\d*: {told}"):
            receiver.start()

        assert not receiver.is_running()
        assert set(threading.enumerate()) == threads
        with pytest.raises(ConnectionRefusedError):
            connected(receiver)

    def test_a_thread_that_cannot_be_had_leaves_no_port(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, file: Path
    ) -> None:
        start().stop()
        begin = threading.Thread.start
        receiver = Receiver("test", "stripe", StripeWebhookValidator(SECRET), Journal(file, 10), Place(0))
        for name in ("store", "webhook"):

            def refuse(thread: threading.Thread, what: str = name) -> None:
                if what in thread.name:
                    message = "can't start new thread"
                    raise RuntimeError(message)
                begin(thread)

            monkeypatch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                receiver.start()

            assert not receiver.is_running()
            with pytest.raises(ConnectionRefusedError):
                connected(receiver)


def test_a_stop_closes_the_port_before_the_store_and_answers_what_is_under_way(
    start: Start, slow_disk: threading.Event
) -> None:
    receiver = start()
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(sent, receiver, f"evt_{n}") for n in range(2)]
        until(lambda: receiver.arrivals.received == 2)
        end = pool.submit(receiver.stop)

        def is_closed() -> bool:
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", receiver.port)) != 0

        until(is_closed, 2)
        slow_disk.set()
        begun = time.monotonic()
        assert [answer.result().status_code for answer in answers] == [200, 200]
        end.result()

    assert time.monotonic() - begun < 2.5
    assert receiver.stored.new == 2
