"""The drivers take every step, within the bounds of size and time, and stop when they are told to."""

import asyncio
import gzip
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from threading import Event

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig, RetryConfig
from apikit_sql.engine import body
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.steps import Page, Send, Sleep, Steps, T
from apikit_sql.engine.trip import trip
from apikit_sql.errors import DecodeError, RequestError, ScanInterrupted
from tests.engine.taking import BOTH, Hand, Take, ids, plan_of, take_async, take_sync
from tests.fakes.api import BASE_URL, FakeApi, Table

LINKED = PaginationConfig(strategy="link")
ONCE = RetryConfig(max_attempts=1)
SHORT = 0.06  # seconds


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives in parts, as one from a network does; `before_each` happens before each part."""

    def __init__(self, *parts: bytes, before_each: Callable[[], None] = lambda: None) -> None:
        self.parts = parts
        self.before_each = before_each
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            self.before_each()
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def streaming(stream: Stream, **headers: str) -> FakeApi:
    made = {name.replace("_", "-"): value for name, value in headers.items()}
    return FakeApi({"/items": lambda _: httpx.Response(200, stream=stream, headers=made)})


def fetch(take: Take, api: FakeApi, **plan: object) -> list[Page]:
    made = plan_of(**{"retry": ONCE, **plan})  # type: ignore[arg-type]  # any field of a plan
    return take(trip(made, Hand(api).access(made)), api)


class Watched:
    """Steps that note what they are answered and whether they were closed, and bring 7."""

    def __init__(self, *steps: Send | Sleep) -> None:
        self.steps = steps
        self.answers: list[object] = []
        self.is_closed = False

    def __call__(self) -> Steps[int]:
        try:
            for step in self.steps:
                self.answers.append((yield step))
            return 7
        finally:
            self.is_closed = True


def send(path: str = "/items") -> Send:
    return Send(httpx.Request("GET", BASE_URL + path), 30)


def drive_sync(steps: Steps[T], api: FakeApi) -> T:
    return drive(steps, api.transport(), Event())


def drive_async(steps: Steps[T], api: FakeApi) -> T:
    async def driven() -> T:
        return await adrive(steps, api.transport())

    return asyncio.run(driven())


Drive = Callable[[Steps[int], FakeApi], int]
BOTH_DRIVERS: list[Drive] = [drive_sync, drive_async]


@pytest.mark.parametrize("take", BOTH_DRIVERS)
def test_each_step_gets_its_answer(take: Drive) -> None:
    api = FakeApi({"/items": httpx.Response(200, content=b"hello", headers={"x-a": "b"})})
    watched = Watched(Sleep(0), send())

    brought = take(watched(), api)

    waited, response = watched.answers
    assert waited is None
    assert isinstance(response, httpx.Response)
    assert (response.status_code, response.content, response.headers["x-a"]) == (200, b"hello", "b")
    assert response.request.url == f"{BASE_URL}/items"
    assert brought == 7
    assert watched.is_closed


@pytest.mark.parametrize("take", BOTH_DRIVERS)
def test_steps_that_end_at_once_bring_their_value(take: Drive) -> None:
    api = FakeApi()

    assert take(Watched()(), api) == 7
    assert api.seen == []


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("identity", b'[{"id": 1}]'),
        ("gzip", gzip.compress(b'[{"id": 1}]')),
        ("deflate", zlib.compress(b'[{"id": 1}]')),
    ],
)
def test_a_body_is_decompressed(take: Take, encoding: str, packed: bytes) -> None:
    api = streaming(Stream(packed[:4], packed[4:]), content_encoding=encoding)

    (page,) = fetch(take, api)

    assert ids([page]) == [1]
    assert page.size == 11
    assert "content-encoding" not in page.headers


@pytest.mark.parametrize("take", BOTH)
def test_a_body_that_cannot_be_decompressed_is_a_decode_error(take: Take) -> None:
    stream = Stream(b"no gzip")

    with pytest.raises(DecodeError, match="the body cannot be decompressed"):
        fetch(take, streaming(stream, content_encoding="gzip"))

    assert stream.is_closed


@pytest.mark.parametrize("take", BOTH)
def test_a_redirect_to_what_is_no_name_of_a_host_is_an_error(take: Take) -> None:
    api = FakeApi({"/items": httpx.Response(302, headers={"location": "https://xn--/"})})

    with pytest.raises(RequestError, match="redirected to what is no URL"):
        fetch(take, api)


@pytest.mark.parametrize("take", BOTH)
def test_half_a_compressed_body_is_never_a_page(take: Take) -> None:
    packed = gzip.compress(b"[" + b'{"id": 1},' * 1000 + b'{"id": 2}]')

    with pytest.raises(RequestError, match="ends in the middle of its gzip data"):
        fetch(take, streaming(Stream(packed[:-20]), content_encoding="gzip"))


@pytest.mark.parametrize("take", BOTH)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_above_the_bound_is_a_decode_error_and_not_read_on(
    take: Take, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LARGEST_BODY", 2**20)
    parts = [b" " * 2**18] * 40
    if encoding == "gzip":
        packed = gzip.compress(b"".join(parts))
        parts = [packed[start : start + 500] for start in range(0, len(packed), 500)]
    read: list[None] = []
    stream = Stream(*parts, before_each=lambda: read.append(None))

    with pytest.raises(DecodeError, match="the body is larger than 1 MB; ask for smaller pages"):
        fetch(take, streaming(stream, content_encoding=encoding))

    assert stream.is_closed
    assert len(read) < len(parts)


@pytest.mark.parametrize("take", BOTH)
def test_a_body_at_the_bound_is_a_page(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LARGEST_BODY", 11)

    assert ids(fetch(take, streaming(Stream(b'[{"id": ', b"1}]")))) == [1]


@pytest.mark.parametrize("take", BOTH)
def test_a_body_that_drips_past_the_deadline_is_given_up(take: Take) -> None:
    stream = Stream(*[b" "] * 50, before_each=lambda: time.sleep(0.02))

    with pytest.raises(RequestError, match=r"no answer after 1 attempts: the answer took longer than 0\.06 s"):
        fetch(take, streaming(stream), timeout=SHORT)

    assert stream.is_closed


@pytest.mark.parametrize("take", BOTH)
def test_a_slow_body_is_tried_again(take: Take) -> None:
    slow = Stream(*[b" "] * 50, before_each=lambda: time.sleep(0.02))
    api = FakeApi({"/items": [lambda _: httpx.Response(200, stream=slow), httpx.Response(200, json=[{"id": 1}])]})

    assert ids(fetch(take, api, timeout=SHORT, retry=RetryConfig(min_wait=0, jitter=0))) == [1]


@pytest.mark.parametrize("take", BOTH)
def test_a_connection_that_breaks_within_the_body_is_tried_again(take: Take) -> None:
    def broken() -> None:
        message = "peer closed"
        raise httpx.RemoteProtocolError(message)

    stream = Stream(b"[", before_each=broken)
    api = FakeApi({"/items": [lambda _: httpx.Response(200, stream=stream), httpx.Response(200, json=[{"id": 1}])]})

    assert ids(fetch(take, api, retry=RetryConfig(min_wait=0, jitter=0))) == [1]
    assert stream.is_closed


@pytest.mark.parametrize("take", BOTH)
def test_every_phase_of_a_request_has_its_timeout(take: Take) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[])})

    fetch(take, api, timeout=12.5)

    assert api.seen[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 12.5)


# --- closing


@pytest.mark.parametrize("take", BOTH_DRIVERS)
def test_an_error_that_no_engine_knows_closes_the_steps(take: Drive) -> None:
    watched, api = Watched(send(), send()), FakeApi()
    api.trouble.append(ZeroDivisionError("of the transport"))

    with pytest.raises(ZeroDivisionError):
        take(watched(), api)

    assert watched.is_closed
    assert len(api.seen) == 1


@pytest.mark.parametrize("take", BOTH_DRIVERS)
def test_an_error_of_the_engine_closes_the_steps(take: Drive) -> None:
    closed: list[bool] = []

    def failing() -> Steps[int]:
        try:
            yield Sleep(0)
            message = "boom"
            raise DecodeError(message)
        finally:
            closed.append(True)

    with pytest.raises(DecodeError, match="boom"):
        take(failing(), FakeApi())

    assert closed == [True]


# --- cancelling


def test_a_cancel_ends_a_long_sleep() -> None:
    cancelled, watched = Event(), Watched(Sleep(60), send())
    api = FakeApi()
    timer = threading.Timer(0.02, cancelled.set)
    started = time.monotonic()

    timer.start()
    with pytest.raises(ScanInterrupted):
        drive(watched(), api.transport(), cancelled)
    timer.join()

    assert time.monotonic() - started < 5
    assert watched.is_closed
    assert api.seen == []


def test_a_cancel_between_steps_ends_them_before_the_next_request() -> None:
    cancelled = Event()

    def answer(_: httpx.Request) -> httpx.Response:
        cancelled.set()
        return httpx.Response(200)

    api, watched = FakeApi({"/items": answer}), Watched(send(), send())

    with pytest.raises(ScanInterrupted, match="interrupted"):
        drive(watched(), api.transport(), cancelled)

    assert len(api.seen) == 1
    assert watched.is_closed


def test_a_cancel_during_the_last_request_brings_nothing() -> None:
    cancelled = Event()

    def answer(_: httpx.Request) -> httpx.Response:
        cancelled.set()
        return httpx.Response(200)

    api, watched = FakeApi({"/items": answer}), Watched(send())

    with pytest.raises(ScanInterrupted):
        drive(watched(), api.transport(), cancelled)

    assert watched.is_closed


def test_a_scan_that_is_cancelled_before_it_begins_sends_nothing() -> None:
    cancelled = Event()
    cancelled.set()
    api = FakeApi()

    with pytest.raises(ScanInterrupted):
        drive(Watched(send())(), api.transport(), cancelled)

    assert api.seen == []


def test_cancelling_the_task_ends_a_long_sleep_and_closes_the_steps() -> None:
    watched, api = Watched(Sleep(60), send()), FakeApi()

    async def cancelled() -> None:
        task = asyncio.create_task(asyncio.to_thread(lambda: None))
        await task
        async with asyncio.timeout(0.02):
            await adrive(watched(), api.transport())

    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())

    assert watched.is_closed
    assert api.seen == []


def test_both_drivers_send_the_same_requests() -> None:
    routes = {"/items": Table([{"id": number} for number in range(1, 8)], "link", page_size=3)}
    seen = []
    for take in (take_sync, take_async):
        api, plan = FakeApi(routes), plan_of(pagination=LINKED)
        api.trouble.append(httpx.Response(503))
        take(trip(plan, Hand(api).access(plan)), api)
        seen.append([(request.method, str(request.url), sorted(request.headers.items())) for request in api.seen])

    assert seen[0] == seen[1]
    assert len(seen[0]) == 4
