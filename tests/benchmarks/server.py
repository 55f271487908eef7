"""The loopback server, a process of its own: whole answers that were made before, written at once.

`GET <path of an Api>/truth` tells what it holds, and makes its pages; any other name there is its pages.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from tests.benchmarks.bodies import SIZES, Api


class Answers(asyncio.Protocol):
    """One connection, on which requests without a body follow each other."""

    def __init__(self) -> None:
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if not self._asked.endswith(b"\r\n\r\n"):
            return
        head, self._asked = self._asked.decode("latin-1").lower(), b""
        target = head.split(" ", 2)[1]
        api = Api.at(target)
        coding = "gzip" if api.coding == "gzip" and "gzip" in head else "plain"
        if target.endswith("/truth"):
            pages = [api.body(number) for number in range(1, min(api.pages, 1_000) + 1)]
            self._transport.write(_answer(json.dumps(api.truth() | {"sent": sum(map(len, pages))}).encode()))
        else:
            host = head.partition("\r\nhost: ")[2].partition("\r\n")[0]
            answer = page(api, f"http://{host}{target}", coding)
            asyncio.get_running_loop().call_later(api.milliseconds / 1000, self._transport.write, answer)


def page(api: Api, url: str, coding: str) -> bytes:
    """The page that is asked for at `url`, as it is sent."""
    items, _, text = url.partition("?")
    query = parse_qs(text)
    number = int((query.get("page") or query.get("cursor") or ["1"])[0])
    if "offset" in query:
        number = int(query["offset"][0]) // SIZES[api.kind] + 1
    links = ""
    if api.strategy == "link" and number < api.pages:
        links = f'Link: <{items}?page={number + 1}>; rel="next", <{items}?page={api.pages}>; rel="last"\r\n'
    return _answer(api.body(number, coding=coding), links, coding)


def _answer(body: bytes, links: str = "", coding: str = "plain") -> bytes:
    encoded = "Content-Encoding: gzip\r\n" if coding == "gzip" else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{encoded}{links}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def serve() -> None:
    """Answer until the process is ended; the port is the first line on stdout."""
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """The origin of such a server, which ends with the block."""
    command = [sys.executable, "-m", "tests.benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve())
