"""The HTTP server of one receiver, in a thread of its own: reads a delivery within its bounds, asks, answers."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from apikit_sql.errors import ConfigError
from apikit_sql.webhook.crowd import IS_ONE_TOO_MANY, Crowd

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

_LOG = logging.getLogger("apikit.webhook")
_LOG.setLevel(logging.ERROR)  # what strangers send is counted, not logged
_LARGEST_HEADERS = 64 * 1024  # bytes
_MOST_HELD = 256 * 1024 * 1024  # bytes of bodies that are read or wait
_MOST_CONNECTIONS = 500  # half of what a process may open by default
_BACKLOG = 1_024
_STARTING = 10.0  # seconds
_FINISHING = 3  # seconds that answers under way are waited for


@dataclass(frozen=True)
class Answer:
    """What a POST is answered: 2xx only where it is stored. `retry_after` is in seconds."""

    status: int
    text: str
    retry_after: int | None = None


Headers = dict[str, str]
Deliver = Callable[[bytes, Headers], Awaitable[Answer]]


@dataclass(eq=False)
class Listener:
    """Listens at `host` and `port` (0: any) for POSTs to `path`, and answers what `deliver` says.

    A body of more than `max_body` bytes is refused, and a request that is not there whole after `patience` seconds.
    `on_refusal` is told of what was refused before anyone looked at it.
    """

    host: str
    port: int
    path: str
    max_body: int
    patience: float
    deliver: Deliver
    on_refusal: Callable[[str], None]
    _socket: socket.socket | None = None
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _failure: str = ""  # what has ended the thread
    _held: int = field(default=0, init=False)  # bytes; the loop's own

    def start(self) -> None:
        """Begin to listen. Raises ConfigError where the port cannot be had, or the extra is not installed."""
        server = _server(self._app, self.patience, self.on_refusal)
        self._socket = _bound(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=self._run, name=f"apikit-webhook-{self.port}", daemon=True)
        try:
            self._thread.start()
            self._wait_for(server, self._thread)
        except BaseException:
            server.should_exit = True
            self._socket.close()
            raise

    def _wait_for(self, server: uvicorn.Server, thread: threading.Thread) -> None:
        """Return when `server` listens. Raises ConfigError where it never does."""
        deadline = time.monotonic() + _STARTING
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        if not server.started:
            raise _no_listener(self.host, self.port, self._failure or "it has not started")

    def _run(self) -> None:
        """Serve until the end is asked for; nothing is left open, whatever happens."""
        assert self._server is not None  # noqa: S101 - it was made before the thread
        assert self._socket is not None  # noqa: S101
        with self._socket:
            try:
                self._server.run(sockets=[self._socket])
            except Exception as error:  # noqa: BLE001 - the outermost line of a thread: whoever waits for it is told
                self._failure = _told(error)  # itself it would keep what has failed

    @property
    def address(self) -> str:
        """Where deliveries are to be sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{self.path}"

    def close_soon(self) -> bool:
        """Let the thread end, and with it the port. Whether it has."""
        if self._server is not None:
            self._server.should_exit = True
        return not self.is_running()

    def stop(self, longest: float) -> None:
        """Answer what is under way, close the port, and end; it is waited for so many seconds."""
        self.close_soon()
        if self._thread is not None:
            self._thread.join(longest)

    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def forget(self) -> None:
        """Close the port's copy that a forked child has; its parent listens on."""
        if self._socket is not None:
            self._socket.close()
        self._thread = self._server = None

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        from starlette.requests import ClientDisconnect, Request  # noqa: PLC0415 - an extra
        from starlette.responses import PlainTextResponse  # noqa: PLC0415

        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            self.on_refusal("the connection ended before the request did")
            return
        headers = {} if answer.retry_after is None else {"retry-after": str(answer.retry_after)}
        if answer.status == _NOT_ALLOWED:
            headers["allow"] = "POST"
        await PlainTextResponse(f"{answer.text}\n", answer.status, headers)(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        if IS_ONE_TOO_MANY in request.scope["state"]:
            self.on_refusal("too many deliveries are under way")
            return Answer(503, "Too many deliveries are under way. Send it again later.", retry_after=5)
        if request.scope["path"] != self.path:
            return Answer(404, f"Deliveries are taken at {self.path}.")
        if request.method != "POST":
            return Answer(_NOT_ALLOWED, "Deliveries are sent by POST.")
        length = request.headers.get("content-length", "0")
        if int(length) > self.max_body:
            return self._too_large()
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                self._held += len(chunk)
                if len(body) > self.max_body:
                    return self._too_large()
                if self._held > _MOST_HELD:
                    self.on_refusal("too much is waiting")
                    return Answer(503, "Too much is waiting. Send it again later.", retry_after=5)
            return await self.deliver(bytes(body), _joined(request))
        finally:
            self._held -= len(body)

    def _too_large(self) -> Answer:
        reason = f"the body is larger than {self.max_body} bytes"
        self.on_refusal(reason)
        return Answer(413, f"Refused: {reason}.")


_NOT_ALLOWED = 405


def _joined(request: Request) -> Headers:
    """The headers by name, in lower case; values of one name are one list, as RFC 9110 has it."""
    found: Headers = {}
    for name, text in request.headers.items():
        value = text.strip(" \t")  # what is around it is no part of it (RFC 9110, 5.5)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _bound(host: str, port: int) -> socket.socket:
    """A socket at this address that nobody else listens at. Raises ConfigError where there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # where the protocol is said, asyncio sets TCP_NODELAY: without it each answer waits 40 ms for an ACK
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except (OSError, OverflowError, TypeError, ValueError) as error:  # a host may be any text
        bound.close()
        raise _no_listener(host, port, _told(error)) from None
    return bound


def _no_listener(host: str, port: int, reason: str) -> ConfigError:
    return ConfigError(
        f"webhook: cannot listen at {host}:{port}: {reason}. Give another port, or 0 for any that is free."
    )


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _server(app: Callable[..., Any], patience: float, on_refusal: Callable[[str], None]) -> uvicorn.Server:
    """A server that has not started; it leaves signals and logging alone."""
    try:
        import starlette  # noqa: F401, PLC0415 - an extra
        import uvicorn  # noqa: PLC0415

        from apikit_sql.webhook.connection import BoundedConnection, Bounds  # noqa: PLC0415
    except ImportError as error:
        message = f"webhooks need {error.name}: pip install 'apikit_sql[webhook]'"
        raise ConfigError(message) from None
    bounds = Bounds(patience, _LARGEST_HEADERS, Crowd(_MOST_CONNECTIONS, on_refusal), on_refusal)
    connection = partial(BoundedConnection, bounds, _LOG)
    config = uvicorn.Config(
        app,
        http=connection,  # type: ignore[arg-type]  # it is only called
        interface="asgi3",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=round(patience),
        timeout_graceful_shutdown=_FINISHING,
    )
    return uvicorn.Server(config)
