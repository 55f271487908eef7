"""The two drivers. All that differs between sync and async callers is in this file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import aclosing, closing
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Event
from typing import Any, Generic, assert_never

import httpx

from apikit_sql.engine.body import BodyReader
from apikit_sql.engine.sockets import Bounds, within
from apikit_sql.engine.steps import Call, Send, Sleep, Steps, T
from apikit_sql.errors import ConfigError, DecodeError, OriginError, ScanInterrupted

_ENCODING_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")

#: What steps are told of a Send; anything else, a cancel among them, ends them.
_REPLIES = (httpx.TransportError, DecodeError, OriginError, ConfigError)


@dataclass(frozen=True)
class _Failed:
    """What a step is answered with where it failed."""

    error: Exception


def drive(steps: Steps[T], transport: httpx.BaseTransport, cancelled: Event) -> T:
    """What `steps` bring, taken on this thread. Raises ScanInterrupted once `cancelled` is set."""
    reply: object = None
    try:
        while True:
            step = _advance(steps, reply)
            if cancelled.is_set() and not _must_finish(step):
                message = "the scan was interrupted"
                raise ScanInterrupted(message)
            match step:
                case _Finished(value):
                    return value
                case Sleep(seconds):
                    cancelled.wait(min(seconds, TIMEOUT_MAX))
                    reply = None
                case Send():
                    reply = _send(step, transport, Event() if step.must_finish else cancelled)
                case Call():
                    reply = _call(step)
                case _:
                    assert_never(step)
    finally:
        steps.close()


async def adrive(steps: Steps[T], transport: httpx.AsyncBaseTransport) -> T:
    """What `steps` bring, taken on this event loop; cancelling the task stops them."""
    reply: object = None
    is_cancelled = False
    try:
        while True:
            step = _advance(steps, reply)
            if is_cancelled and not _must_finish(step):
                raise asyncio.CancelledError
            match step:
                case _Finished(value):
                    return value
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                    reply = None
                case Send(must_finish=False):
                    reply = await _asend(step, transport)
                case Send() | Call():
                    doing = _asend(step, transport) if isinstance(step, Send) else asyncio.to_thread(_call, step)
                    reply, was_cancelled = await _to_the_end(doing)
                    is_cancelled |= was_cancelled
                case _:
                    assert_never(step)
    finally:
        steps.close()


def _must_finish(step: Send | Sleep | Call | _Finished[T]) -> bool:
    return isinstance(step, Send | Call) and step.must_finish


async def _to_the_end(doing: Coroutine[Any, Any, object]) -> tuple[object, bool]:
    """What `doing` brings, and whether its task was cancelled meanwhile."""
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task), False
    except asyncio.CancelledError:
        await asyncio.wait([task])
        return task.result(), True


def _call(step: Call) -> object:
    try:
        return step.function()
    except Exception as error:  # noqa: BLE001 - the steps decide
        return _Failed(error)


def _send(step: Send, transport: httpx.BaseTransport, cancelled: Event) -> httpx.Response | _Failed:
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
        return _Failed(error.with_traceback(None))  # whose frames hold the body


async def _asend(step: Send, transport: httpx.AsyncBaseTransport) -> httpx.Response | _Failed:
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
        return _Failed(httpx.ReadTimeout(message, request=step.request))
    except _REPLIES as error:
        return _Failed(error.with_traceback(None))  # whose frames hold the body


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


def _advance(steps: Steps[T], reply: object) -> Send | Sleep | Call | _Finished[T]:
    """Hand the reply back; the next step, or what the steps bring."""
    try:
        return steps.throw(reply.error) if isinstance(reply, _Failed) else steps.send(reply)
    except StopIteration as finished:
        return _Finished(finished.value)
