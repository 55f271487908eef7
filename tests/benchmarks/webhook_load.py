"""Deliveries sent over many connections by a process of its own: as fast as they are answered, or so many a second.

`python -m tests.benchmarks.webhook_load PORT COUNT RATE CONNECTIONS`, the secret in WEBHOOK_SECRET; RATE 0 is as fast
as they are answered. What it prints is JSON. With a rate, a delivery's time begins when it should leave, not when a
connection is free for it.
"""

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections import Counter, deque

SIZE = 1024  # bytes of a body


def request(number: int, secret: bytes, run: str) -> bytes:
    """One signed delivery of Stripe's kind, as it goes over the wire."""
    head = f'{{"id": "evt_{run}_{number:09}", "type": "charge.succeeded", "data": "'
    body = f'{head}{"x" * (SIZE - len(head) - 2)}"}}'.encode()
    moment = int(time.time())
    signature = hmac.new(secret, b"%d." % moment + body, hashlib.sha256).hexdigest()
    return (
        f"POST /webhook HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Stripe-Signature: t={moment},v1={signature}\r\n\r\n"
    ).encode() + body


class Load:
    """What is to be sent, and how it fared."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self.due: deque[tuple[float, bytes]] = deque()
        self.requests, self.rate = deque(requests), rate
        self.idle: deque[Connection] = deque()
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.left = len(requests)
        self.over = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Send all, and wait for every answer."""
        if not self.rate:
            self.due.extend((0.0, each) for each in self.requests)
            self.send()
        begun, sent = time.perf_counter(), 0
        while self.rate and self.requests:
            while self.requests and sent / self.rate <= time.perf_counter() - begun:
                self.due.append((begun + sent / self.rate, self.requests.popleft()))
                sent += 1
            self.send()
            await asyncio.sleep(0.001)
        await self.over

    def send(self) -> None:
        """Hand what is due to connections that are free."""
        while self.due and self.idle:
            self.idle.popleft().send(*self.due.popleft())

    def answered(self, connection: "Connection", status: str, seconds: float) -> None:
        """One more answer."""
        self.statuses[status] += 1
        self.seconds.append(seconds)
        self.idle.append(connection)
        self.left -= 1
        if not self.left:
            self.over.set_result(None)
        self.send()


class Connection(asyncio.Protocol):
    """One connection, kept alive, with one request under way."""

    def __init__(self, load: Load) -> None:
        self.load, self.answer, self.since = load, b"", 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.load.idle.append(self)

    def send(self, since: float, data: bytes) -> None:
        """Send a request whose time begins at `since`, now if that is 0."""
        self.since = since or time.perf_counter()
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            self.answer = b""
            self.load.answered(self, head.split(b" ", 2)[1].decode(), time.perf_counter() - self.since)


async def main() -> None:
    port, count, rate, connections = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    secret, run = os.environ["WEBHOOK_SECRET"].encode(), f"{time.time_ns():x}"
    load = Load([request(number, secret, run) for number in range(count)], rate)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", port)
    begun, cpu = time.perf_counter(), time.process_time()
    await load.run()
    seconds, ordered = time.perf_counter() - begun, sorted(load.seconds)
    told = {
        "rate": count / seconds,
        "p50_ms": ordered[count // 2] * 1000,
        "p99_ms": ordered[count * 99 // 100] * 1000,
        "max_ms": ordered[-1] * 1000,
        "statuses": load.statuses,
        "client_cpu_us": (time.process_time() - cpu) / count * 1e6,
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
