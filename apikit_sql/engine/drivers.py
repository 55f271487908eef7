"""The two drivers. All that differs between sync and async callers is in this file."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, closing
from dataclasses import dataclass
from threading import Event
from typing import Generic, assert_never

import httpx

from apikit_sql.engine.body import BodyReader
from apikit_sql.engine.sockets import Bounds, within
from apikit_sql.engine.steps import Send, Sleep, Steps, T
from apikit_sql.errors import ApikitError, ConfigError, DecodeError, OriginError, ScanInterrupted

_ENCODING_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")

Reply = httpx.Response | httpx.TransportError | ApikitError | None
#: What steps are told of; anything else, a cancel among them, ends them.
_REPLIES = (httpx.TransportError, DecodeError, OriginError, ConfigError)


def drive(steps: Steps[T], transport: httpx.BaseTransport, cancelled: Event) -> T:
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
                    reply = _send(step, transport, cancelled)
                case _:
                    assert_never(step)
    finally:
        steps.close()


async def adrive(steps: Steps[T], transport: httpx.AsyncBaseTransport) -> T:
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
                    reply = await _asend(step, transport)
                case _:
                    assert_never(step)
    finally:
        steps.close()


def _send(step: Send, transport: httpx.BaseTransport, cancelled: Event) -> Reply:
    body = _body_of(step)
    try:
        with within(Bounds(time.monotonic() + step.timeout, step.timeout, cancelled)):
            response = transport.handle_request(step.request)
            with closing(response):
                body.begin(response.headers)
                assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101 - a BaseTransport gives it
                for chunk in response.stream:
                    body.take(chunk)
        return _whole(step, response, body)
    except _REPLIES as error:
        return error.with_traceback(None)  # whose frames hold the body


async def _asend(step: Send, transport: httpx.AsyncBaseTransport) -> Reply:
    body = _body_of(step)
    try:
        async with asyncio.timeout(step.timeout):
            response = await transport.handle_async_request(step.request)
            async with aclosing(response):
                body.begin(response.headers)
                assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an AsyncBaseTransport gives it
                async for chunk in response.stream:
                    body.take(chunk)
        return _whole(step, response, body)
    except TimeoutError:
        message = f"the answer took longer than {step.timeout:g} s"
        return httpx.ReadTimeout(message, request=step.request)
    except _REPLIES as error:
        return error.with_traceback(None)  # whose frames hold the body


def _body_of(step: Send) -> BodyReader:
    step.request.extensions["timeout"] = httpx.Timeout(step.timeout).as_dict()
    return BodyReader(step.request, step.timeout)


def _whole(step: Send, response: httpx.Response, body: BodyReader) -> httpx.Response:
    """`response` with its whole, decompressed body."""
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _ENCODING_HEADERS]
    return httpx.Response(response.status_code, headers=headers, content=body.whole(), request=step.request)


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
