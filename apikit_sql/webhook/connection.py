"""uvicorn's HTTP connection with what it lacks: an end to requests that never do, and to headers without one."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apikit_sql.webhook.crowd import IS_ONE_TOO_MANY, Crowd

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)


@dataclass(frozen=True)
class Bounds:
    """A request must be there whole after `patience` seconds, and its headers have `largest_headers` bytes at most.

    Those of `crowd` are open at once. `on_refusal` is told why a connection was closed.
    """

    patience: float
    largest_headers: int
    crowd: Crowd
    on_refusal: Callable[[str], None]


class BoundedConnection(HttpToolsProtocol):
    """One connection, closed where a request goes beyond the bounds."""

    def __init__(self, bounds: Bounds, log: logging.Logger, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """A connection that is not made yet."""
        super().__init__(**options)
        self.logger = log
        self._bounds = bounds
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0  # of a request whose headers are not there whole
        self._is_in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Expect a request."""
        super().connection_made(transport)
        if not self._bounds.crowd.enter(self):
            self.app_state = {**self.app_state, IS_ONE_TOO_MANY: True}
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing."""
        self._rest()
        self._bounds.crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        if self._deadline is None:
            self._expect()
        if not self._is_in_body:
            self._header_bytes += len(data)
            data = _without_upgrade(data)
        super().data_received(data)
        largest = self._bounds.largest_headers
        if self._header_bytes > largest and not self.transport.is_closing():
            self._bounds.on_refusal(f"the headers are larger than {largest} bytes")
            self.send_400_response("The headers are too large.")

    def on_headers_complete(self) -> None:
        """Begin with the body."""
        self._is_in_body, self._header_bytes = True, 0
        super().on_headers_complete()
        if IS_ONE_TOO_MANY in self.app_state:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The request is there whole."""
        self._is_in_body = False
        self._rest()
        if self.cycle.response_complete:  # before its body was there
            self._expect()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, as long as it is kept alive."""
        if not self.pipeline:
            self._bounds.crowd.wait_for(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and close."""
        if self._header_bytes <= self._bounds.largest_headers:
            self._bounds.on_refusal("the request is no HTTP")
        super().send_400_response(msg)

    def shutdown(self) -> None:
        """Answer what is being stored, and wait for nothing that is not here whole."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.close()
        super().shutdown()

    def close(self) -> None:
        """Close the connection, now."""
        self.transport.close()

    def _expect(self) -> None:
        self._rest()
        self._bounds.crowd.wait_for(self)
        self._deadline = self.loop.call_later(self._bounds.patience, self._give_up)

    def _rest(self) -> None:
        self._bounds.crowd.wait_no_more(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._header_bytes:  # of a body that stops, whoever reads it tells
            self._bounds.on_refusal(f"the headers were not there whole after {self._bounds.patience:g} seconds")
        if not self.transport.is_closing():
            self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """The same request without a wish for another protocol, which may be ignored (RFC 9110, 7.8).

    The parser would take what follows the headers, which is the body, for that other protocol.
    """
    end = data.find(b"\r\n\r\n")
    headers = len(data) if end < 0 else end + 2
    return _UPGRADE.sub(b"", data[:headers]) + data[headers:]
