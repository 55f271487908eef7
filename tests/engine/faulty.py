"""A server that keeps to a schedule of faults, and its reading: by the window, on a thread, on an event loop."""

import asyncio
import gzip
import json
import selectors
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

import httpx

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.engine.tokens import Tokens
from apikit_sql.engine.trip import trip
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.faults import MAX_WAIT, Fault, Schedule
from tests.engine.taking import NOW, accepted, ids, scan_of
from tests.fakes.api import BASE_URL

TIMEOUT = 30.0  # seconds, for one request
TICK = 1e-6  # seconds; less is lost in a float of so many
PAGINATION = {
    "link": {},
    "page": {"page_param": "page", "total_path": "total"},
    "offset": {"offset_param": "offset", "total_path": "total"},
    "cursor": {"cursor_param": "cursor", "next_cursor_path": "next_cursor"},
    "next_url": {"next_url_path": "next"},
}
AUTH: dict[str, dict[str, str]] = {
    "none": {},
    "bearer": {"token": "tok-constant"},
    "oauth2": {"token_url": f"{BASE_URL}/token", "client_id": "someone", "client_secret": "s3cr3t"},
}
BROKEN: dict[str, Callable[[str], Exception]] = {
    "connect": httpx.ConnectError,
    "reset": httpx.ReadError,
    "timeout": httpx.ReadTimeout,
    "cut": httpx.RemoteProtocolError,
}

#: What is sent as gzip, and stops in the middle or is none.
GZIP = {"cut gzip": gzip.compress(b'[{"id": 1}]' * 9)[:-9], "other gzip": b'[{"id": 1}]'}


class Time:
    """A clock that moves by waiting: ours where `is_real` is not, and the machine's beside it where it is."""

    def __init__(self, *, is_real: bool) -> None:
        self.now = NOW
        self._is_real = is_real
        self._began = time.monotonic()

    def __call__(self) -> float:
        return self.now + (time.monotonic() - self._began if self._is_real else 0)

    def pass_by(self, seconds: float) -> None:
        if self._is_real:
            time.sleep(min(seconds, 0.01))
        else:
            self.now += seconds


class Waiting(threading.Event):
    """An event that nobody sets: to wait for it moves the clock."""

    def __init__(self, clock: Time) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.pass_by(timeout or 0)
        return False


class Leaping(selectors.SelectSelector):
    """What an event loop waits by, which leaps to the moment that is waited for."""

    def __init__(self, clock: Time) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout:
            self._clock.pass_by(max(timeout, TICK))
        return ready


class Bytes(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body as it goes over the wire, compressed or not."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class Server:
    """The table of a schedule. `answered` counts the true answers by page; `wrongs` are what no client may do."""

    def __init__(self, plan: Schedule, clock: Time) -> None:
        self.base_url = BASE_URL
        self.plan = plan
        self.clock = clock
        self.answered: Counter[int] = Counter()
        self.wrongs: list[str] = []
        self._faults = {number: list(faults) for number, faults in plan.faults.items()}
        self._token_faults = list(plan.token_faults)
        self._not_before: dict[str, float] = {}
        self._tokens: dict[str, float] = {} if plan.auth == "oauth2" else {"tok-constant": float("inf")}
        self._given = self._requests = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self._requests += 1
            if self._requests > 2_000:
                message = "the client does not stop asking"
                raise RuntimeError(message)
            answer, seconds = self._token(request) if request.url.path == "/token" else self._page(request)
        if isinstance(answer, Exception):
            self.clock.pass_by(seconds)
            raise answer
        self.clock.pass_by(seconds)
        return answer

    def _page(self, request: httpx.Request) -> tuple[httpx.Response | Exception, float]:
        number = self._number(request.url.params)
        if not 1 <= number <= self.plan.pages:
            self.wrongs.append(f"page {number} was asked for")
        if not self._is_let_in(request):
            if self.plan.concurrency is None:
                self.wrongs.append(f"page {number} was asked for with {request.headers.get('authorization')}")
            return respond(401, {"error": "invalid_token"}), 0
        self._check_patience(f"page {number}")
        faults = self._faults.get(number)
        fault = faults.pop(0) if faults else None
        if fault is None or fault.kind == "slow":
            self.answered[number] += 1
            return self._records(number), fault.seconds if fault else 0
        return self._trouble(fault, request, number)

    def _trouble(self, fault: Fault, request: httpx.Request, number: int) -> tuple[httpx.Response | Exception, float]:
        body = self._records(number) if number else respond(200, {})
        match fault.kind:
            case kind if kind in BROKEN:
                return BROKEN[kind](kind), TIMEOUT if kind == "timeout" else 0
            case kind if kind in GZIP:
                return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Bytes(GZIP[kind])), 0
            case "elsewhere":
                return httpx.Response(302, headers={"location": "https://elsewhere.test/items"}), 0
            case "html":
                return httpx.Response(200, html="<html>Please log in</html>"), 0
            case "cut json":
                content = json.dumps(self._body(number)).encode()
                return httpx.Response(200, headers=plain(body.headers), content=content[: -1 - number % 5]), 0
            case "empty":
                return httpx.Response(200), 0
            case "repeat":
                return self._records(number - 1), 0
            case "401":
                if self.plan.auth == "oauth2":
                    self._tokens.pop(request.headers["authorization"].removeprefix("Bearer "))
                return respond(401, {"error": "invalid_token"}), 0
            case kind:
                return respond(int(kind), {"message": kind}, self._retry_after(fault, f"page {number}")), 0

    def _token(self, request: httpx.Request) -> tuple[httpx.Response | Exception, float]:
        self._check_patience("token")
        fault = self._token_faults.pop(0) if self._token_faults else None
        if fault is None:
            self._given += 1
            token = f"tok-{self._given:04}"
            self._tokens[token] = self.clock() + self.plan.token_life + 5 * (self.plan.concurrency is not None)
            body = {"access_token": token, "token_type": "bearer", "expires_in": self.plan.token_life}
            return respond(200, body), 0
        if fault.kind.isdigit():
            return respond(int(fault.kind), {}, self._retry_after(fault, "token")), 0
        return self._trouble(fault, request, 0)

    def _retry_after(self, fault: Fault, what: str) -> dict[str, str]:
        """The header, and the note that nobody may come before."""
        if fault.asked is None:
            return {}
        moment = self.clock() + fault.asked
        if fault.as_date:
            moment = float(int(moment) + bool(fault.asked))
        self._not_before[what] = moment
        text = formatdate(moment, usegmt=True) if fault.as_date else f"{fault.asked:g}"
        return {"retry-after": text}

    def _check_patience(self, what: str) -> None:
        if self.clock() < self._not_before.pop(what, 0) - 1e-3:
            self.wrongs.append(f"{what} was asked for before the time that the server had said")

    def _is_let_in(self, request: httpx.Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.plan.auth == "none":
            return not scheme
        return scheme == "Bearer" and self._tokens.get(token, 0) > self.clock()

    def _number(self, params: httpx.QueryParams) -> int:
        match self.plan.strategy:
            case "offset":
                return int(params.get("offset", 0)) // self.plan.size + 1
            case "cursor":
                return int(params.get("cursor", "at-1").removeprefix("at-"))
            case _:
                return int(params.get("page", 1))

    def _records(self, number: int) -> httpx.Response:
        headers = {}
        if self.plan.strategy == "link" and number < self.plan.pages:
            headers["link"] = f'</items?page={number + 1}>; rel="next"'
            headers["link"] += f', </items?page={self.plan.pages}>; rel="last"' * self.plan.says_last
        return respond(200, self._body(number), headers, is_compressed=self.plan.is_compressed)

    def _body(self, number: int) -> Any:
        records = [{"id": each} for each in self.plan.page(number)]
        has_next = number < self.plan.pages
        match self.plan.strategy:
            case "link":
                return records
            case "cursor":
                return {"data": records, "next_cursor": f"at-{number + 1}" if has_next else None}
            case "next_url":
                return {"items": records, "next": f"{self.base_url}/items?page={number + 1}" if has_next else None}
            case _:
                return {"items": records, "total": len(self.plan.rows)}


def respond(
    status: int, body: Any, headers: dict[str, str] | None = None, *, is_compressed: bool = False
) -> httpx.Response:
    content, headers = json.dumps(body).encode(), {"content-type": "application/json", **(headers or {})}
    if is_compressed:
        content, headers["content-encoding"] = gzip.compress(content), "gzip"
    return httpx.Response(status, headers=headers, stream=Bytes(content))


def plain(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


# --- reading it ------------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What a client has read until the end, or until the error."""

    rows: list[int] = field(default_factory=list)
    error: Exception | None = None
    answered: Counter[int] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)


def perform(plan: Schedule) -> Found:
    clock = Time(is_real=plan.concurrency is not None)
    server = Server(plan, clock)
    found = Found(answered=server.answered, wrongs=server.wrongs)
    read = in_the_window if plan.concurrency else on_a_loop if plan.is_async else on_a_thread
    try:
        for page in read(plan, server, clock):
            found.rows += ids([page])
    except Exception as error:  # noqa: BLE001 - judged by its class
        found.error = error
    return found


def in_the_window(plan: Schedule, server: Server, clock: Time) -> Iterator[Page]:
    transport = httpx.MockTransport(server)
    session = Session(connectors=ConnectorRegistry([]), transport=transport, clock=clock, http="", tell=lambda _: None)
    with scan_of(session, requests_of(plan), concurrency=plan.concurrency) as scan:
        yield from (page for _, page in scan.pages)


def on_a_thread(plan: Schedule, server: Server, clock: Time) -> Iterator[Page]:
    transport, never, request = httpx.MockTransport(server), Waiting(clock), requests_of(plan)
    yield from accepted(trip(request, access(request, clock)), lambda wanted: drive(wanted.fetch(), transport, never))


def on_a_loop(plan: Schedule, server: Server, clock: Time) -> Iterator[Page]:
    transport, request = httpx.MockTransport(server), requests_of(plan)

    def new_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(Leaping(clock))
        loop.time = lambda: clock() - NOW  # type: ignore[method-assign]  # small, so that its resolution is not lost
        return loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        pages = trip(request, access(request, clock))
        yield from accepted(pages, lambda wanted: runner.run(adrive(wanted.fetch(), transport)))


def access(plan: RequestPlan, clock: Time) -> Access:
    credential = authenticator(plan.connector, plan.auth, partial(Tokens, clock=clock))
    return Access(credential, RateLimitState(plan.rate_limit, clock), lambda _: None, clock)


def requests_of(plan: Schedule) -> RequestPlan:
    settings = PaginationConfig.model_validate({"strategy": plan.strategy, **PAGINATION[plan.strategy]})
    waits: dict[str, float] = {} if plan.concurrency is None else {"min_wait": 0, "jitter": 0}
    return RequestPlan(
        "api",
        BASE_URL,
        "/items",
        pagination=settings,
        auth=AuthConfig.model_validate({"type": plan.auth, **AUTH[plan.auth]}),
        retry=RetryConfig(max_attempts=plan.max_attempts, **waits),
        rate_limit=RateLimitConfig(warn_above=1_000_000),
        timeout=TIMEOUT,
        max_wait=MAX_WAIT,
    )
