"""Sockets for tasks: asyncio's connections, which a task's own timeout and cancel end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from apikit_sql.engine.address import Place, aaddresses_of, allowed


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """Connects tasks to addresses within `reach`; a task's own timeout bounds them."""

    def __init__(self, reach: frozenset[Place]) -> None:
        """Connections to public addresses, and to those of `reach`."""
        self._reach = reach

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,  # noqa: ARG002 - nobody sets it
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - nobody sets them
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of `host` that takes it."""
        addresses = allowed(host, await aaddresses_of(host, port), self._reach)
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(None if timeout is None else timeout / len(addresses)):
                    return await adial(address, port)
            except (httpcore.ConnectError, TimeoutError):
                continue
        return await adial(addresses[-1], port)


async def adial(address: str, port: int) -> httpcore.AsyncNetworkStream:
    """A connection to the IP `address`. Raises httpcore.ConnectError."""
    try:
        return _AsyncStream(*await asyncio.open_connection(address, port))
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from None


class _AsyncStream(httpcore.AsyncNetworkStream):
    """A connection of asyncio's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - the task's timeout holds
        """What has come, at least a byte; nothing where the other side has closed."""
        try:
            return await self._reader.read(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - the task's timeout holds
        """Send all of `buffer`."""
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except OSError as error:
            raise httpcore.WriteError(str(error)) from None

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the task's timeout holds
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted."""
        try:
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except (OSError, ValueError) as error:
            self._writer.transport.abort()
            raise httpcore.ConnectError(str(error)) from None
        except BaseException:
            self._writer.transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - whatever httpcore asks for
        """Whether the other side has closed, and what encrypts the connection."""
        if info == "is_readable":
            return self._writer.is_closing() or _has_data(self._reader)
        return self._writer.get_extra_info(info)

    async def aclose(self) -> None:
        """Close the connection, without a farewell that nobody may answer."""
        self._writer.transport.abort()


def _has_data(reader: asyncio.StreamReader) -> bool:
    """Whether a read would not wait: something has come unasked, or the other side has closed."""
    reading = reader.read(1)
    try:
        reading.send(None)
    except StopIteration:
        return True
    reading.close()
    return False
