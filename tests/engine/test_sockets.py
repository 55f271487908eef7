"""Sockets alone: what the network makes of a connection that is cut, of a name that none can have, of no poll."""

import asyncio
import contextlib
import errno
import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterator

import httpcore
import pytest

from apikit_sql.engine import sockets
from apikit_sql.engine.address import EVERYWHERE
from apikit_sql.engine.async_sockets import AsyncBackend
from apikit_sql.engine.sockets import Backend


@contextlib.contextmanager
def resetting() -> Iterator[int]:
    """The port of a server that resets each connection as soon as a byte has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    sock.recv(1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextlib.contextmanager
def echoing() -> Iterator[int]:
    """The port of a server that says back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                while heard := sock.recv(2**16):
                    sock.sendall(heard)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


async def write_on(stream: httpcore.AsyncNetworkStream) -> None:
    for _ in range(200):
        await stream.write(b"x" * 2**16)
        await asyncio.sleep(0.005)


def test_a_connection_that_is_reset_is_a_read_error() -> None:
    with resetting() as port:
        stream = Backend(EVERYWHERE).connect_tcp("127.0.0.1", port)

        stream.write(b"x")
        with pytest.raises(httpcore.ReadError):
            stream.read(1)

        stream.close()


def test_a_connection_that_is_reset_is_a_read_error_for_a_task_too() -> None:
    async def talk(port: int) -> None:
        stream = await AsyncBackend(EVERYWHERE).connect_tcp("127.0.0.1", port)
        try:
            await stream.write(b"x")
            with pytest.raises(httpcore.ReadError):
                await stream.read(1)
        finally:
            await stream.aclose()

    with resetting() as port:
        asyncio.run(talk(port))


def test_writing_to_a_connection_that_was_reset_is_a_write_error_for_a_task() -> None:
    async def talk(port: int) -> None:
        stream = await AsyncBackend(EVERYWHERE).connect_tcp("127.0.0.1", port)
        try:
            with pytest.raises(httpcore.WriteError):
                await write_on(stream)
        finally:
            await stream.aclose()

    with resetting() as port:
        asyncio.run(talk(port))


def test_a_name_that_no_certificate_can_have_is_a_connect_error() -> None:
    with resetting() as port:
        stream = Backend(EVERYWHERE).connect_tcp("127.0.0.1", port)

        with pytest.raises(httpcore.ConnectError):
            stream.start_tls(ssl.create_default_context(), ".example.test")


def test_what_is_said_comes_back_also_where_there_is_no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    said = bytes(range(256)) * 4096

    with echoing() as port:
        stream = Backend(EVERYWHERE).connect_tcp("127.0.0.1", port)
        heard = bytearray()
        for start in range(0, len(said), 2**16):
            stream.write(said[start : start + 2**16])
            while len(heard) < min(len(said), start + 2**16):
                heard += stream.read(2**16)
        stream.close()

    assert heard == said


def test_an_address_of_a_family_that_the_machine_has_not_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class FourOnly(socket.socket):
        def __init__(self, family: int = -1, *given: int, **more: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *given, **more)

    monkeypatch.setattr(sockets, "addresses_of", lambda *_: ["::1", "127.0.0.1"])
    with echoing() as port:
        monkeypatch.setattr(socket, "socket", FourOnly)
        stream = Backend(EVERYWHERE).connect_tcp("localhost", port)
        stream.write(b"x")

        assert stream.read(1) == b"x"
        stream.close()


def test_a_connection_on_which_something_has_come_unasked_is_not_used_again() -> None:
    async def talk(port: int) -> tuple[bool, bool]:
        stream = await AsyncBackend(EVERYWHERE).connect_tcp("127.0.0.1", port)
        try:
            before = stream.get_extra_info("is_readable")
            await stream.write(b"HTTP/1.1 408 Request Timeout")
            await asyncio.sleep(0.1)
            return before, stream.get_extra_info("is_readable")
        finally:
            await stream.aclose()

    with echoing() as port:
        assert asyncio.run(talk(port)) == (False, True)
