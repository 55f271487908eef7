"""Sockets whose waits end with their request's deadline or its cancel, connected only where a connector may reach.

httpx's own bound each wait, not their sum; cannot be stopped from another thread; and connect to whatever address a
name has. These stand on httpcore's network backend, where all three are decided.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event
from typing import Any

import httpcore

from apikit_sql.engine.address import Place, aaddresses_of, addresses_of, allowed
from apikit_sql.errors import ScanInterrupted

#: How often a waiting thread looks whether it was cancelled, in seconds.
LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Bounds:
    """When a request must be over, by the monotonic clock, and what ends it before."""

    deadline: float
    timeout: float  # seconds, as the error says it
    cancelled: Event

    def left(self) -> float:
        """Seconds left. Raises ScanInterrupted, or ReadTimeout where there are none."""
        if self.cancelled.is_set():
            message = "the scan was interrupted"
            raise ScanInterrupted(message)
        left = self.deadline - time.monotonic()
        if left <= 0:
            message = f"the answer took longer than {self.timeout:g} s"
            raise httpcore.ReadTimeout(message)
        return left


_BOUNDS: ContextVar[Bounds | None] = ContextVar("apikit_bounds", default=None)


@contextmanager
def within(bounds: Bounds) -> Iterator[None]:
    """While inside, what this thread waits for on the network ends with `bounds`."""
    before = _BOUNDS.set(bounds)
    try:
        yield
    finally:
        _BOUNDS.reset(before)


class Backend(httpcore.NetworkBackend):
    """Sockets to addresses within `reach`, bounded."""

    def __init__(self, reach: frozenset[Place]) -> None:
        """Connections to public addresses, and to those of `reach`."""
        self._reach = reach
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of `host` that takes it."""
        addresses = allowed(host, addresses_of(host, port), self._reach)
        deadline = time.monotonic() + (timeout or 0)
        for left in range(len(addresses), 1, -1):  # one that does not answer leaves time for the others
            share = _left(deadline, timeout) / left
            try:
                return self._connect(addresses[-left], port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, _left(deadline, timeout), local_address, socket_options)

    def _connect(
        self, address: str, port: int, timeout: float, local_address: str | None, options: Iterable[Any] | None
    ) -> httpcore.NetworkStream:
        bounds = _BOUNDS.get()
        longest = timeout if bounds is None else min(timeout, bounds.left())
        return _Stream(self._inner.connect_tcp(address, port, longest, local_address, options))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A socket whose waits end with the bounds of the request that its thread is at."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, at least a byte; nothing where the other side has closed."""
        bounds = _BOUNDS.get()
        if bounds is None:
            return self._inner.read(max_bytes, timeout)
        while True:
            left = bounds.left()
            try:
                return self._inner.read(max_bytes, min(left, LOOK_EVERY))
            except httpcore.ReadTimeout:
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`."""
        bounds = _BOUNDS.get()
        self._inner.write(buffer, timeout if bounds is None else bounds.left())

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        bounds = _BOUNDS.get()
        left = timeout if bounds is None else bounds.left()
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever httpcore asks for
        """What is known of the socket."""
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Sockets to addresses within `reach`; a task's own timeout bounds them."""

    def __init__(self, reach: frozenset[Place]) -> None:
        """Connections to public addresses, and to those of `reach`."""
        self._reach = reach
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of `host` that takes it."""
        addresses = allowed(host, await aaddresses_of(host, port), self._reach)
        for address in addresses[:-1]:
            try:
                share = None if timeout is None else timeout / len(addresses)
                return await self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def _left(deadline: float, timeout: float | None) -> float:
    """Seconds until `deadline`, which is never where there is no timeout; 0 would mean a socket that does not wait."""
    return 3600.0 if timeout is None else max(0.001, deadline - time.monotonic())
