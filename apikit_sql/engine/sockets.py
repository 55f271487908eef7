"""Sockets whose waits end with their request's deadline or its cancel, connected only where a connector may reach.

httpx's own bound each wait, not their sum; cannot be stopped from another thread; and connect to whatever address a
name has. These stand on httpcore's network backends, where all three are decided.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

import httpcore

from apikit_sql.engine.address import Place, addresses_of, allowed, is_address
from apikit_sql.errors import ScanInterrupted

#: How often a waiting thread looks whether it was cancelled, in seconds.
LOOK_EVERY = 0.05
_PIECE = 16 * 2**10  # bytes; a socket that takes any takes as many
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})

T = TypeVar("T")


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
_UNBOUND = Bounds(float("inf"), float("inf"), Event())  # a connection that is closed belongs to no request


@contextmanager
def within(bounds: Bounds) -> Iterator[None]:
    """While inside, what this thread waits for on the network ends with `bounds`."""
    before = _BOUNDS.set(bounds)
    try:
        yield
    finally:
        _BOUNDS.reset(before)


class Backend(httpcore.NetworkBackend):
    """Connects threads to addresses within `reach`."""

    def __init__(self, reach: frozenset[Place]) -> None:
        """Connections to public addresses, and to those of `reach`."""
        self._reach = reach

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the request's bounds hold
        local_address: str | None = None,  # noqa: ARG002 - nobody sets it
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - nobody sets them
    ) -> httpcore.NetworkStream:
        """A connection to the first address of `host` that takes it."""
        addresses = allowed(host, looked_up(host, port), self._reach)
        for left in range(len(addresses), 1, -1):  # one that does not answer leaves time for the others
            share = (_BOUNDS.get() or _UNBOUND).left() / left
            try:
                return dial(addresses[-left], port, time.monotonic() + share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return dial(addresses[-1], port, float("inf"))


class _Stream(httpcore.NetworkStream):
    """A socket that never blocks: its thread waits until it is ready, and looks at the bounds meanwhile."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the request's bounds hold
        """What has come, at least a byte; nothing where the other side has closed."""
        return _when_ready(self._sock, partial(self._sock.recv, max_bytes), httpcore.ReadError)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the request's bounds hold
        """Send all of `buffer`."""
        rest = memoryview(buffer)
        while rest:
            sent = _when_ready(self._sock, partial(self._sock.send, rest[:_PIECE]), httpcore.WriteError)
            rest = rest[sent:]

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the request's bounds hold
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted."""
        try:
            (server_hostname or "").encode("idna")  # wrap_socket would lose the socket
            sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from None
        try:
            _when_ready(sock, sock.do_handshake, httpcore.ConnectError)
        except BaseException:
            sock.close()
            raise
        return _Stream(sock)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever httpcore asks for
        """Whether something has come, and what encrypts it."""
        if info == "is_readable":
            return _is_ready(self._sock, 0, for_reading=True)
        return self._sock if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket) else None

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def looked_up(host: str, port: int | None) -> list[str]:
    """The IP addresses of `host`, looked up on a thread of its own: the system's resolver knows neither bound."""
    if is_address(host):
        return [host]
    found: queue.SimpleQueue[list[str] | httpcore.ConnectError] = queue.SimpleQueue()

    def look() -> None:
        try:
            found.put(addresses_of(host, port))
        except httpcore.ConnectError as error:
            found.put(error)

    threading.Thread(target=look, name="apikit-names", daemon=True).start()
    bounds = _BOUNDS.get() or _UNBOUND
    while True:
        try:
            addresses = found.get(timeout=min(bounds.left(), LOOK_EVERY))
        except queue.Empty:
            continue
        if isinstance(addresses, httpcore.ConnectError):
            raise addresses
        return addresses


def dial(address: str, port: int, until: float) -> httpcore.NetworkStream:
    """A connection to the IP `address`. Raises ConnectTimeout where it is not there at `until`, by the clock."""
    family, kind, protocol, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:  # of a family that this machine has not, or one descriptor too many
        raise httpcore.ConnectError(str(error)) from None
    try:
        sock.setblocking(False)  # noqa: FBT003 - socket's own signature
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _connect(sock, where, until)
    except BaseException:
        sock.close()
        raise
    return _Stream(sock)


def _connect(sock: socket.socket, where: Any, until: float) -> None:  # noqa: ANN401 - a family's own form
    code = sock.connect_ex(where)
    if code in _UNDER_WAY:
        _wait(sock, for_reading=False, until=until)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise httpcore.ConnectError(os.strerror(code))


def _when_ready(sock: socket.socket, do: Callable[[], T], kind: type[httpcore.NetworkError]) -> T:
    """What `do` gives, done as soon as the socket lets it."""
    while True:
        try:
            return do()
        except BlockingIOError:
            for_reading = kind is not httpcore.WriteError
        except ssl.SSLWantReadError:
            for_reading = True
        except ssl.SSLWantWriteError:
            for_reading = False
        except OSError as error:
            raise kind(str(error)) from None
        _wait(sock, for_reading=for_reading)


def _wait(sock: socket.socket, *, for_reading: bool, until: float = float("inf")) -> None:
    """Wait until the socket is ready. Raises what ends the request before; ConnectTimeout at `until`, by the clock."""
    bounds = _BOUNDS.get() or _UNBOUND
    while not _is_ready(sock, min(bounds.left(), LOOK_EVERY), for_reading=for_reading):
        if time.monotonic() > until:
            message = "the address does not answer"
            raise httpcore.ConnectTimeout(message)


def _is_ready(sock: socket.socket, seconds: float, *, for_reading: bool) -> bool:
    if hasattr(select, "poll"):  # select takes no descriptor beyond 1,023
        poll = select.poll()
        poll.register(sock, select.POLLIN if for_reading else select.POLLOUT)
        return bool(poll.poll(seconds * 1000))
    ready = select.select([sock] * for_reading, [sock] * (not for_reading), [sock], seconds)
    return any(ready)
