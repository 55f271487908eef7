"""What SQL meets under a schedule of faults: a table by pages and by parents, with no network or over real sockets."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.sources import Manifest
from apikit_sql.engine.session import Session
from tests.engine.faults import Schedule
from tests.engine.faulty import AUTH, PAGINATION, Server, Time
from tests.engine.loopback import Loopback, Peer, Talk

COLUMNS = {"id": {"type": "BIGINT"}}


class Parents(Server):
    """The pages of a schedule, each also as the one page of a parent: `/of/3`. A credential is tried by all of them."""

    def _page(self, request: httpx.Request) -> tuple[httpx.Response | Exception, float]:
        _, is_parent, parent = request.url.path.partition("/of/")
        if not is_parent:
            return super()._page(request)
        asked = httpx.Request("GET", request.url.copy_with(params={"page": parent}), headers=request.headers)
        answer, seconds = super()._page(asked)
        if isinstance(answer, httpx.Response):
            answer.headers.pop("link", None)  # one page is all that a parent has
        return answer, seconds


def by_parents(plan: Schedule) -> Schedule:
    """The schedule where each page is a parent's: none leads to another, so that none can repeat the one before."""
    faults = {number: [each for each in found if each.kind != "repeat"] for number, found in plan.faults.items()}
    return replace(plan, strategy="link", faults=faults)


@contextmanager
def served(plans: dict[str, Schedule], *, on_wire: bool) -> Iterator[tuple[Session, dict[str, Server]]]:
    """A session that knows a connector for each of `plans`, by name, and their servers."""
    clock = Time(is_real=True)
    servers: dict[str, Server] = {name: Parents(plan, clock) for name, plan in plans.items()}
    registry = ConnectorRegistry([])

    def answer(request: httpx.Request) -> httpx.Response:
        return servers[request.url.host.partition(".")[0]](request)

    with ExitStack() as opened:
        for name, server in servers.items():
            server.base_url = f"https://{name}.test"
            if on_wire:
                server.base_url = opened.enter_context(Loopback(talking(server))).url
            data = connector(name, plans[name], server.base_url).model_dump(exclude_unset=True)
            registry.add(Manifest(name, data))
        transport = None if on_wire else httpx.MockTransport(answer)
        session = Session(connectors=registry, transport=transport, clock=clock, http="", tell=lambda _: None)
        yield opened.enter_context(closing(session)), servers


def connector(name: str, plan: Schedule, base_url: str) -> ConnectorDefinition:
    auth = {"type": plan.auth, **AUTH[plan.auth]}
    if plan.auth == "oauth2":
        auth["token_url"] = f"{base_url}/token"
    streams = {
        "items": {"path": "/items", "columns": COLUMNS},
        "parts": {
            "path": "/of/{n}",
            "columns": COLUMNS,
            "key_columns": [{"column": "n", "path": "n", "required": True, "type": "BIGINT"}],
        },
    }
    return ConnectorDefinition.model_validate(
        {
            "name": name,
            "base_url": base_url,
            "auth": auth,
            "pagination": {"strategy": plan.strategy, **PAGINATION[plan.strategy]},
            "retry": {"max_attempts": plan.max_attempts, "min_wait": 0, "jitter": 0},
            "rate_limit": {"warn_above": 1_000_000},
            "concurrency": plan.concurrency or 1,
            "streams": streams,
        }
    )


def talking(server: Server) -> Talk:
    """What the server answers, as bytes on a socket; and what is no answer, as a socket has it."""

    def talk(peer: Peer) -> None:
        while True:
            head, _, body = peer.request().partition(b"\r\n\r\n")
            line, *lines = head.decode().split("\r\n")
            method, target, _ = line.split(" ")
            headers = dict(each.split(": ", 1) for each in lines)
            host = urlsplit(server.base_url).netloc
            try:
                answer = server(httpx.Request(method, f"http://{host}{target}", headers=headers, content=body))
            except httpx.TransportError as error:
                break_off(peer, error)
                return
            peer.say(written(answer))

    return talk


def written(answer: httpx.Response, *, beyond: int = 0) -> bytes:
    """The answer as it is sent, its Content-Length `beyond` the truth."""
    assert isinstance(answer.stream, httpx.SyncByteStream)
    body = b"".join(answer.stream)
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    headers["content-length"] = str(len(body) + beyond)
    lines = [f"HTTP/1.1 {answer.status_code} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def break_off(peer: Peer, error: httpx.TransportError) -> None:
    """No answer: a reset, a body shorter than it said, a head without an end, or nothing at all."""
    match error:
        case httpx.ReadError():
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case httpx.RemoteProtocolError():
            peer.say(written(httpx.Response(200, json=[{"id": -1}]), beyond=10))
        case httpx.ReadTimeout():
            peer.say(b"HTTP/1.1 200 OK\r\ncontent-le")
