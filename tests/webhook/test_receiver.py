"""A receiver as Python has it: what it takes and refuses over HTTP, what it keeps, and what it leaves behind."""

import gzip
import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import polars as pl
import pytest

from apikit_sql import (
    ConfigError,
    GenericHmacValidator,
    GitHubWebhookValidator,
    OutputError,
    StandardWebhookValidator,
    StripeWebhookValidator,
    WebhookReceiver,
)
from apikit_sql.webhook import receiver as receivers
from tests.webhook.signing import SECRET, deliver, github, hexadecimal, standard, stripe

BODY = b'{"id": "evt_1", "type": "charge.succeeded", "amount": 1.50}'
WEBHOOKS = Path(__file__).parents[1] / "fakes" / "recorded" / "github-webhooks.json.gz"


@pytest.fixture(scope="module")
def refusing() -> Iterator[WebhookReceiver]:
    """A receiver for deliveries that it does not keep."""
    with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET)) as receiver:
        yield receiver


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), max_body=1_000) as receiver:
        yield receiver


def port_of(receiver: WebhookReceiver) -> int:
    return httpx.URL(receiver.address).port or 0


def raw(receiver: WebhookReceiver, *parts: bytes, pause: float = 0) -> bytes:
    """What is answered to `parts`, sent one after the other, until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port_of(receiver)), timeout=10) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
                if pause and select.select([connection], [], [], pause)[0] and not connection.recv(65_536):
                    return answer
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                answer += chunk
        except OSError:  # it is closed already
            pass
        return answer


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestAnswers:
    def test_a_good_delivery_is_kept_and_its_repetition_answered(self, receiver: WebhookReceiver) -> None:
        answers = [deliver(receiver.address, BODY, stripe(BODY) | {"authorization": "Bearer t"}) for _ in range(3)]

        (event,) = receiver.events
        assert [answer.status_code for answer in answers] == [200] * 3
        assert (event["provider"], event["id"], event["event"]) == ("stripe", "evt_1", "charge.succeeded")
        assert event["payload"] == json.loads(BODY)
        assert isinstance(event["headers"], dict)
        assert event["headers"]["authorization"] == "***REDACTED***"
        assert receiver.event_count == 1

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "the header Stripe-Signature is missing"),
            (stripe(BODY, "whsec_other"), "Stripe-Signature does not match"),
            (stripe(BODY, moment=5), "the timestamp is too old"),
        ],
    )
    def test_a_bad_signature_is_401_and_told(
        self, refusing: WebhookReceiver, headers: dict[str, str], reason: str
    ) -> None:
        answer = deliver(refusing.address, BODY, headers)

        assert (answer.status_code, answer.text) == (401, f"Refused: {reason}.\n")
        assert "evt_1" not in [event["id"] for event in refusing.events]

    @pytest.mark.parametrize("body", [b"", b"no", b'{"a":1}}', b"\xff", b"[" * 9_000 + b"]" * 9_000, rb'"\ud8"'])
    def test_what_is_no_json_is_400(self, refusing: WebhookReceiver, body: bytes) -> None:
        assert deliver(refusing.address, body, stripe(body)).status_code == 400
        assert body not in [event["payload"] for event in refusing.events]

    def test_other_paths_and_methods_are_told(self, refusing: WebhookReceiver) -> None:
        wrong_path = deliver(f"{refusing.address}s", BODY, stripe(BODY))
        wrong_method = httpx.get(refusing.address)

        assert wrong_path.status_code == 404
        assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")

    def test_a_body_that_is_too_large_is_413_whether_it_says_so_or_not(self, receiver: WebhookReceiver) -> None:
        largest, larger = b'"' + b"x" * 998 + b'"', b'"' + b"x" * 999 + b'"'

        assert deliver(receiver.address, largest, stripe(largest)).status_code == 200
        assert deliver(receiver.address, larger, stripe(larger)).status_code == 413
        chunked = httpx.post(receiver.address, content=iter([larger[:500], larger[500:]]), headers=stripe(larger))
        assert chunked.status_code == 413


class TestBounds:
    @pytest.fixture
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
        monkeypatch.setattr(receivers, "Place", partial(receivers.Place, patience=0.3))
        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET)) as receiver:
            yield receiver

    @pytest.mark.parametrize(
        "parts",
        [
            [b""] * 200,
            [b"P"] + [b"O"] * 200,
            [b"POST /webhook HTTP/1.1\r\nHost: x\r\nA: b"] + [b"x"] * 200,
            [b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"] + [b"x"] * 200,
            [b"POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"1\r\nx\r\n"] * 200,
            [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", *[b"P"] + [b"O"] * 200],
        ],
        ids=[
            "silence",
            "no request line",
            "no end of headers",
            "half a body",
            "chunks without end",
            "a second request",
        ],
    )
    def test_a_request_that_takes_its_time_is_given_up(self, patient: WebhookReceiver, parts: list[bytes]) -> None:
        begun = time.monotonic()

        raw(patient, *parts, pause=0.05)

        assert time.monotonic() - begun < 5
        assert deliver(patient.address, BODY, stripe(BODY)).status_code == 200

    def test_a_hundred_slow_connections_hold_up_nobody(self, patient: WebhookReceiver) -> None:
        slow = [socket.create_connection(("127.0.0.1", port_of(patient))) for _ in range(100)]
        for connection in slow:
            connection.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")

        assert deliver(patient.address, BODY, stripe(BODY)).status_code == 200

        for connection in slow:
            connection.settimeout(5)
            assert connection.recv(100) == b""
            connection.close()

    @pytest.mark.parametrize(
        "request_text",
        [
            b"nonsense\r\n\r\n",
            b"POST /webhook HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST /webhook HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
            b"POST /webhook HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /webhook HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 60,
            b"POST /webhook HTTP/1.1\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
            b"POST /webhook HTTP/1.1\r\n" + b"A: b\r\n" * 40_000,
        ],
        ids=["no HTTP", "no length", "two lengths", "length and chunks", "no chunk", "TLS", "a long header", "headers"],
    )
    def test_a_malformed_request_is_400_and_takes_nobody_along(
        self, refusing: WebhookReceiver, request_text: bytes
    ) -> None:
        answer = raw(refusing, request_text)

        assert answer.startswith(b"HTTP/1.1 400") or answer == b""  # a reset may overtake the answer
        assert deliver(refusing.address, b"[1]", stripe(b"[1]")).status_code == 200

    def test_where_too_many_wait_more_are_told_to_come_again(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        is_slow = threading.Event()
        monkeypatch.setattr(receivers, "Place", partial(receivers.Place, most_waiting=2))
        monkeypatch.setattr(os, "fsync", lambda _: is_slow.wait(10))
        bodies = [json.dumps({"id": f"evt_{n}"}).encode() for n in range(12)]
        with (
            WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), output_file=tmp_path / "e.ndjson") as receiver,
            ThreadPoolExecutor(12) as pool,
        ):
            answers = [pool.submit(deliver, receiver.address, body, stripe(body)) for body in bodies]
            until(lambda: sum(answer.done() for answer in answers) >= 8)
            is_slow.set()
            statuses = [answer.result() for answer in answers]
            refused = [answer for answer in statuses if answer.status_code == 503]

            assert 8 <= len(refused) < 12
            assert all(answer.headers["retry-after"] == "5" for answer in refused)
            assert receiver.event_count == 12 - len(refused)


class TestKeeping:
    def test_a_payload_with_a_number_too_long_for_python_is_its_text(self) -> None:
        bodies = [f'{{"id": "evt_{n}", "v": {each}}}'.encode() for n, each in enumerate(["1", "9" * 5_000])]
        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET)) as receiver:
            for body in bodies:
                deliver(receiver.address, body, stripe(body))

            assert [event["payload"] for event in receiver.events] == [json.loads(bodies[0]), bodies[1].decode()]

    def test_the_oldest_is_dropped_from_memory(self) -> None:
        bodies = [json.dumps({"id": f"evt_{n}"}).encode() for n in range(5)]
        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), max_events=3) as receiver:
            for body in bodies:
                deliver(receiver.address, body, stripe(body))

            assert [event["id"] for event in receiver.events] == ["evt_2", "evt_3", "evt_4"]
            assert receiver.event_count == 5

    def test_events_are_a_data_frame(self, receiver: WebhookReceiver) -> None:
        deliver(receiver.address, BODY, stripe(BODY))

        frame = receiver.to_polars()

        assert frame.schema["received_at"] == pl.Datetime("us", "UTC")
        assert frame.select("provider", "event", "id", "payload", "verdict").rows() == [
            ("stripe", "charge.succeeded", "evt_1", BODY.decode(), "verified")
        ]

    def test_an_empty_data_frame_has_the_same_columns(self, receiver: WebhookReceiver) -> None:
        empty = receiver.to_polars()
        deliver(receiver.address, BODY, stripe(BODY))

        assert empty.schema == receiver.to_polars().schema
        assert empty.height == 0

    def test_a_file_has_a_line_for_each_and_each_once_also_after_a_restart(self, tmp_path: Path) -> None:
        file = tmp_path / "events.ndjson"
        first, second = b'{\n  "id": "evt_1",\n  "n": 1.50\n}\n', b'{"id": "evt_2"}'
        for bodies in ([first, first], [first, second]):
            with WebhookReceiver(
                0, validator=StripeWebhookValidator(SECRET), output_file=file, provider="acme"
            ) as receiver:
                for body in bodies:
                    assert deliver(receiver.address, body, stripe(body)).status_code == 200

        lines = file.read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == ["evt_1", "evt_2"]
        assert '"payload": {"id":"evt_1","n":1.50}' in lines[0]
        assert json.loads(lines[0])["provider"] == "acme"

    def test_a_line_that_a_kill_has_cut_off_goes(self, tmp_path: Path) -> None:
        file = tmp_path / "events.ndjson"
        file.write_text('{"provider": "stripe", "id": "evt_0"}\n{"received_at": "2026-01-01T00:00:00+00:00", "pro')
        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), output_file=file) as receiver:
            deliver(receiver.address, BODY, stripe(BODY))

        assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["evt_0", "evt_1"]

    def test_what_cannot_be_written_is_503_and_leaves_the_file_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file, sync = tmp_path / "events.ndjson", os.fsync
        other = b'{"id": "evt_2"}'

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), output_file=file) as receiver:
            deliver(receiver.address, BODY, stripe(BODY))
            before = file.read_bytes()
            monkeypatch.setattr(os, "fsync", full)
            answer = deliver(receiver.address, other, stripe(other))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert file.read_bytes() == before
            monkeypatch.setattr(os, "fsync", sync)
            assert deliver(receiver.address, other, stripe(other)).status_code == 200

        assert len(file.read_text().splitlines()) == 2

    def test_a_file_that_cannot_be_is_told_before_anything_is_received(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="nosuch"):
            WebhookReceiver(
                0, validator=StripeWebhookValidator(SECRET), output_file=tmp_path / "nosuch" / "e.ndjson"
            ).start()

    def test_without_an_id_each_delivery_is_one_of_its_own(self) -> None:
        headers = {"x-signature": hexadecimal(b"{}")}
        with WebhookReceiver(0, validator=GenericHmacValidator(SECRET)) as receiver:
            for _ in range(2):
                deliver(receiver.address, b"{}", headers)

            assert [event["id"] for event in receiver.events] == [None, None]

    def test_headers_name_a_delivery_where_they_are_named(self) -> None:
        validator = GenericHmacValidator(SECRET, id_header="X-Id", event_header="X-Topic")
        headers = {"x-signature": hexadecimal(b"[1]"), "x-id": "7", "x-topic": "orders/create"}
        with WebhookReceiver(0, validator=validator, provider="shop") as receiver:
            for _ in range(2):
                deliver(receiver.address, b"[1]", headers)

            (event,) = receiver.events
            assert (event["provider"], event["id"], event["event"]) == ("shop", "7", "orders/create")

    def test_standard_webhooks_are_named_by_their_header(self) -> None:
        body = b'{"type": "user.created", "id": "not this"}'
        with WebhookReceiver(0, validator=StandardWebhookValidator(SECRET)) as receiver:
            deliver(receiver.address, body, standard(body, "msg_1"))
            deliver(receiver.address, body, standard(body, "msg_2", prefix="svix"))

            assert [(e["id"], e["event"]) for e in receiver.events] == [
                ("msg_1", "user.created"),
                ("msg_2", "user.created"),
            ]

    def test_a_form_of_github_holds_the_payload(self) -> None:
        payload: dict[str, Any] = json.loads(gzip.decompress(WEBHOOKS.read_bytes()))[0]["examples"][0]
        body = f"payload={quote_plus(json.dumps(payload))}".encode()
        form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        with WebhookReceiver(0, validator=GitHubWebhookValidator(SECRET)) as receiver:
            assert deliver(receiver.address, body, github(body, "1", "check_run") | form).status_code == 200
            empty = deliver(receiver.address, b"a=1", github(b"a=1", "2", "check_run") | form)

            assert receiver.events[0]["payload"] == payload
            assert (empty.status_code, receiver.event_count) == (400, 1)


class TestBeginningAndEnd:
    def test_start_and_stop_twice_are_harmless_and_leave_nothing(self) -> None:
        threads = set(threading.enumerate())
        receiver = WebhookReceiver(0, validator=StripeWebhookValidator(SECRET))
        receiver.start()
        port = port_of(receiver)
        receiver.start()
        assert port_of(receiver) == port
        receiver.stop()
        receiver.stop()

        assert set(threading.enumerate()) == threads
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with pytest.raises(ConfigError, match="does not run"):
            assert receiver.address

    def test_it_may_start_again_and_goes_on_counting(self) -> None:
        receiver = WebhookReceiver(0, validator=StripeWebhookValidator(SECRET))
        for number in range(2):
            body = json.dumps({"id": f"evt_{number}"}).encode()
            with receiver:
                deliver(receiver.address, body, stripe(body))

        assert receiver.event_count == 2

    def test_a_port_that_is_taken_is_told(self, receiver: WebhookReceiver) -> None:
        with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port_of(receiver)}"):
            WebhookReceiver(port_of(receiver), validator=StripeWebhookValidator(SECRET)).start()

    def test_it_listens_at_ipv6_too(self) -> None:
        with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET), host="::1") as receiver:
            assert receiver.address.startswith("http://[::1]:")
            assert deliver(receiver.address, BODY, stripe(BODY)).status_code == 200

    @pytest.mark.parametrize("library", ["uvicorn", "starlette", "httptools"])
    def test_what_must_be_installed_is_told(self, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith("uvicorn.protocols")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delitem(sys.modules, "apikit_sql.webhook.connection", raising=False)
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ConfigError, match=rf"{library}: pip install 'apikit_sql\[webhook\]'"):
            WebhookReceiver(0, validator=StripeWebhookValidator(SECRET)).start()

    def test_a_client_that_stays_connected_does_not_hold_up_the_end(self, receiver: WebhookReceiver) -> None:
        with httpx.Client() as client:
            client.post(receiver.address, content=BODY, headers=stripe(BODY))
            half = socket.create_connection(("127.0.0.1", port_of(receiver)))
            half.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
            time.sleep(0.05)
            begun = time.monotonic()
            receiver.stop()

            assert time.monotonic() - begun < 2.5
            half.close()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"validator": None},
            {"port": -1},
            {"port": "8080"},
            {"path": "webhook"},
            {"path": "/a?b"},
            {"max_events": 0},
            {"host": "no.such.host.invalid"},
        ],
    )
    def test_what_is_wrong_is_told(self, wrong: dict[str, Any]) -> None:
        options: dict[str, Any] = {"port": 0, "validator": StripeWebhookValidator(SECRET)} | wrong
        with pytest.raises(ConfigError, match="webhook: "):
            WebhookReceiver(**options).start()
