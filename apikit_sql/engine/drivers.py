"""The two drivers. All that differs between sync and async callers is in this file."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from threading import Event
from typing import Generic, assert_never

import httpx

from apikit_sql.engine.request_log import without_httpx_log
from apikit_sql.engine.steps import Send, Sleep, Steps, T
from apikit_sql.errors import DecodeError, ScanInterrupted

#: The largest body that is read, in bytes after decompression.
LARGEST_BODY = 256 * 2**20
_ENCODING_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")

Reply = httpx.Response | httpx.TransportError | DecodeError | None


def drive(steps: Steps[T], client: httpx.Client, cancelled: Event) -> T:
    """What `steps` bring, taken on this thread. Raises ScanInterrupted once `cancelled` is set."""
    reply: Reply = None
    try:
        while True:
            if cancelled.is_set():
                message = "the scan was interrupted"
                raise ScanInterrupted(message)
            step = _advance(steps, reply)
            match step:
                case _Finished(value):
                    return value
                case Sleep(seconds):
                    cancelled.wait(seconds)
                    reply = None
                case Send():
                    reply = _send(step, client)
                case _:
                    assert_never(step)
    finally:
        steps.close()


async def adrive(steps: Steps[T], client: httpx.AsyncClient) -> T:
    """What `steps` bring, taken on this event loop; cancelling the task stops them."""
    reply: Reply = None
    try:
        while True:
            step = _advance(steps, reply)
            match step:
                case _Finished(value):
                    return value
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                    reply = None
                case Send():
                    reply = await _asend(step, client)
                case _:
                    assert_never(step)
    finally:
        steps.close()


def _send(step: Send, client: httpx.Client) -> Reply:
    body = _BoundedBody(step)
    try:
        with without_httpx_log():
            response = client.send(step.request, stream=True, follow_redirects=False, auth=None)
        try:
            for chunk in response.iter_bytes():
                body.take(chunk)
        finally:
            response.close()
    except (httpx.TransportError, httpx.DecodingError, DecodeError, UnicodeError) as error:
        return _as_reply(error)
    return body.read_to_end(response)


async def _asend(step: Send, client: httpx.AsyncClient) -> Reply:
    body = _BoundedBody(step)
    try:
        with without_httpx_log():
            response = await client.send(step.request, stream=True, follow_redirects=False, auth=None)
        try:
            async for chunk in response.aiter_bytes():
                body.take(chunk)
        finally:
            await response.aclose()
    except (httpx.TransportError, httpx.DecodingError, DecodeError, UnicodeError) as error:
        return _as_reply(error)
    return body.read_to_end(response)


class _BoundedBody:
    """A response's body as it arrives, within its size and the request's time."""

    def __init__(self, step: Send) -> None:
        self._request = step.request
        self._timeout = step.timeout
        self._deadline = time.monotonic() + step.timeout
        self._chunks: list[bytes] = []
        self._size = 0
        step.request.extensions["timeout"] = httpx.Timeout(step.timeout).as_dict()

    def take(self, chunk: bytes) -> None:
        """Keep `chunk`. Raises DecodeError past the size, ReadTimeout past the time."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > LARGEST_BODY:
            message = f"the body is larger than {LARGEST_BODY // 2**20} MB; ask for smaller pages"
            raise DecodeError(message)
        if time.monotonic() > self._deadline:
            message = f"the answer took longer than {self._timeout:g} s"
            raise httpx.ReadTimeout(message, request=self._request)

    def read_to_end(self, response: httpx.Response) -> httpx.Response:
        """`response` with its whole, decompressed body."""
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _ENCODING_HEADERS]
        return httpx.Response(
            response.status_code, headers=headers, content=b"".join(self._chunks), request=self._request
        )


def _as_reply(error: Exception) -> Reply:
    if isinstance(error, httpx.DecodingError):
        return DecodeError(f"the body cannot be decompressed: {error}")
    if isinstance(error, UnicodeError):  # httpx reads a redirect's Location whether it is followed or not
        return DecodeError("the answer has a header that is neither text nor a URL")
    assert isinstance(error, httpx.TransportError | DecodeError)  # noqa: S101 - what the callers catch
    return error


@dataclass(frozen=True)
class _Finished(Generic[T]):
    """The steps are all taken, and this is what they bring."""

    value: T


def _advance(steps: Steps[T], reply: Reply) -> Send | Sleep | _Finished[T]:
    """Hand the reply back; the next step, or what the steps bring."""
    try:
        return steps.throw(reply) if isinstance(reply, Exception) else steps.send(reply)
    except StopIteration as finished:
        return _Finished(finished.value)
