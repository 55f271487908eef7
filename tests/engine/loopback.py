"""Servers on loopback sockets that speak as a test says; names and addresses as it says; trips that go over them."""

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, Self

import httpx
import pytest

from apikit_sql.engine.address import is_address
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.network import HOME, AsyncNetwork, Network
from apikit_sql.engine.steps import Page, Send, Steps
from apikit_sql.engine.trip import trip
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import Hand, accepted
from tests.fakes.api import FakeApi

#: A self-signed certificate for api.example.test, localhost and 127.0.0.1 that ends in a hundred years, and its key.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBuzCCAWKgAwIBAgIUcWq6erv4hy4Fvs8LCy/swuZ7+bMwCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQYXBpLmV4YW1wbGUudGVzdDAgFw0yNjExMjIwNjU1MDVaGA8y
MTI2MTAyOTA2NTUwNVowGzEZMBcGA1UEAwwQYXBpLmV4YW1wbGUudGVzdDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABJh6N/WJLJ5XM+XqdzsR5dKyXLY2MPZMjA8K
4E2Xm2bHzhGXH0VW92BAOWaeMVgza235Y9ji1eV0JtRcaEGFJH+jgYEwfzAdBgNV
HQ4EFgQUKlYZh0N76JwhWu51vEMSyWqp+TQwHwYDVR0jBBgwFoAUKlYZh0N76Jwh
Wu51vEMSyWqp+TQwDwYDVR0TAQH/BAUwAwEB/zAsBgNVHREEJTAjghBhcGkuZXhh
bXBsZS50ZXN0gglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDRwAwRAIgNBog
KEbyxO3Db227PrTmZYhHOggE70wsprzaQq1dl8wCICmu1QMCsLzrzwbNlt3m+9Sq
htHo7pj2UtNmXTy+/5z4
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmAhBK9IOjdFL+9q2
sFPlkvg2ziiMpeAIXDTqey5v2sWhRANCAASYejf1iSyeVzPl6nc7EeXSsly2NjD2
TIwPCuBNl5tmx84Rlx9FVvdgQDlmnjFYM2tt+WPY4tXldCbUXGhBhSR/
-----END PRIVATE KEY-----
"""
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")


class Peer:
    """The server's side of one connection. What it cannot do because the client has gone raises OSError."""

    def __init__(self, sock: socket.socket, server: "Loopback") -> None:
        self.sock = sock
        self.server = server
        self._came = b""

    def request(self) -> bytes:
        """The next request, head and body; raises ConnectionError where the client has gone."""
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        sizes = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        size = int(sizes[0]) if sizes else 0
        while len(self._came) < size:
            self._more()
        body, self._came = self._came[:size], self._came[size:]
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return self.server.requests[-1]

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, every: float) -> None:
        """Send one byte, wait, send the next."""
        for at in range(len(data)):
            self.say(data[at : at + 1])
            self.rest(every)

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, or until the server is closed."""
        if self.server.is_closing.wait(seconds):
            raise ConnectionAbortedError

    def hold(self) -> None:
        """Say nothing until the client has gone."""
        while True:
            self._more()

    def start_tls(self) -> None:
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)

    def _more(self) -> None:
        data = self.sock.recv(2**16)
        if not data:
            raise ConnectionResetError
        self._came += data


Talk = Callable[[Peer], None]


class Loopback:
    """A server at a port of its own, which speaks to every connection as `talk` says, each on a thread.

    `requests` are all that came, `connections` how many were made, and `left` is set once a client has gone.
    """

    def __init__(self, talk: Talk, certificate: Path | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = Event()
        self.is_closing = Event()
        self._talk = talk
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._peers: list[Peer] = []
        self._listener = socket.create_server((host, port))
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        assert self._tls is not None
        return self._tls

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closing.set()
        self._threads[0].join()
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self.is_closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            sock.setblocking(True)  # noqa: FBT003 - the standard library's own
            self._peers.append(Peer(sock, self))
            self._threads.append(threading.Thread(target=self._serve, args=(self._peers[-1],)))
            self._threads[-1].start()

    def _serve(self, peer: Peer) -> None:
        try:
            self._talk(peer)
        except OSError:
            self.left.set()
        finally:
            peer.sock.close()


def reply(body: bytes = b"[]", *headers: str, status: str = "200 OK") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answering(answer: Callable[[bytes], bytes]) -> Talk:
    """A server that keeps connections open, and answers each request with what `answer` makes of it."""

    def talk(peer: Peer) -> None:
        while True:
            peer.say(answer(peer.request()))

    return talk


@contextlib.contextmanager
def deaf(host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a host that answers no connection attempt: its queue of them is full (Linux drops the next ones)."""
    with socket.create_server((host, 0), backlog=0) as listener, contextlib.ExitStack() as waiting:
        for _ in range(4):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)  # noqa: FBT003 - the standard library's own
            sock.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


class Internet:
    """Names and addresses, made up. `names` are the answers of a name in turn, the last for ever.

    Addresses of `led_home` are in truth 127.0.0.1, those of `really` themselves; no other can be reached. `dialled` are
    the addresses that were tried, and `asked` the names.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.led_home: set[str] = set()
        self.really: set[str] = set()
        self.dialled: list[str] = []
        self.asked: list[str] = []
        self._look_up = socket.getaddrinfo
        internet = self

        class Dialling(socket.socket):
            def connect(self, where: Any, /) -> None:
                super().connect(internet.place(where))

            def connect_ex(self, where: Any, /) -> int:
                try:
                    return super().connect_ex(internet.place(where))
                except OSError as error:
                    return error.errno or -1

        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(socket, "socket", Dialling)

    def place(self, where: Any) -> Any:
        """The socket address to which a connection to `where` is really made."""
        address, *rest = where
        self.dialled.append(address)
        if address in self.really:
            return where
        if address not in self.led_home:
            raise OSError(errno.ENETUNREACH, f"{address} is not on this internet")
        return ("127.0.0.1", *rest[:1])

    def _getaddrinfo(self, host: str, port: int | None, *_: Any, **__: Any) -> Any:
        if is_address(host):
            return self._numeric(host, port)
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [each for address in found for each in self._numeric(address, port)]

    def _numeric(self, address: str, port: int | None) -> Any:
        return self._look_up(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


def request_of(url: str, *, home: str | None = None, body: bytes | None = None) -> httpx.Request:
    """A request of a connector whose own host is `home`, or that of `url`."""
    extensions = {} if home is None else {HOME: home}
    return httpx.Request("GET" if body is None else "POST", url, content=body, extensions=extensions)


def sending(*requests: httpx.Request, timeout: float = 10) -> Steps[list[httpx.Response]]:
    """The answers to `requests`, one after the other."""
    answers = []
    for request in requests:
        answer = yield Send(request, timeout)
        assert answer is not None
        answers.append(answer)
    return answers


def send_sync(*requests: httpx.Request, timeout: float = 10, verify: bool = True) -> list[httpx.Response]:
    with Network(verify=verify) as network:
        return drive(sending(*requests, timeout=timeout), network, Event())


def send_async(*requests: httpx.Request, timeout: float = 10, verify: bool = True) -> list[httpx.Response]:
    async def sent() -> list[httpx.Response]:
        async with AsyncNetwork(verify=verify) as network:
            return await adrive(sending(*requests, timeout=timeout), network)

    return asyncio.run(sent())


def travel_sync(plan: RequestPlan) -> list[Page]:
    """The pages of `plan`, over the network."""
    going = trip(plan, Hand(FakeApi()).access(plan))
    with Network() as network:
        return list(accepted(going, lambda wanted: drive(wanted.fetch(), network, Event())))


def travel_async(plan: RequestPlan) -> list[Page]:
    """The pages of `plan`, over the network."""
    going = trip(plan, Hand(FakeApi()).access(plan))
    network = AsyncNetwork()
    with asyncio.Runner() as loop:
        try:
            return list(accepted(going, lambda wanted: loop.run(adrive(wanted.fetch(), network))))
        finally:
            loop.run(network.aclose())
