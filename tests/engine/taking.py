"""How tests take an engine's steps: by hand with a clock that only moves when it is told, on a thread, or on a loop."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event
from typing import Any, TypeVar

import httpx

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RetryConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.auth import authenticator
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.scan_pages import ScanPages
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Call, Page, Send, Sleep, Steps
from apikit_sql.engine.trip import Dialogue, Wanted
from apikit_sql.plan import request_plan
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.records import Envelope, read_envelope
from tests.fakes.api import BASE_URL, FakeApi

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]
NOW = 1_750_000_000.0  # 2025-06-15T15:06:40Z
AT_ONCE = RetryConfig(min_wait=0, jitter=0)
UNPAGED = PaginationConfig(strategy="none")


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Hand:
    """Takes steps with neither client, loop nor clock. A Sleep moves its clock by what was asked, and is kept."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.clock = Clock()
        self.sent: list[httpx.Request] = []
        self.slept: list[float] = []
        self.records: list[RequestRecord] = []

    def access(self, plan: RequestPlan) -> Access:
        limiter = RateLimitState(plan.rate_limit, self.clock)
        return Access(authenticator(plan.connector, plan.auth), limiter, self.records.append, self.clock)

    def pages(self, trip: Dialogue) -> list[Page]:
        return list(accepted(trip, lambda wanted: self.value(wanted.fetch())))

    def value(self, steps: Steps[T]) -> T:
        reply: Any = None
        trouble: Exception | None = None
        while True:
            try:
                step = steps.throw(trouble) if trouble else steps.send(reply)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            reply = trouble = None
            match step:
                case Sleep(seconds):
                    self.slept.append(seconds)
                    self.clock.now += seconds
                case Call(function):
                    try:
                        reply = function()
                    except Exception as error:  # noqa: BLE001 - the steps decide
                        trouble = error
                case Send(request):
                    self.sent.append(request)
                    try:
                        answer = self.handler(request)
                        reply = httpx.Response(
                            answer.status_code, headers=answer.headers, content=answer.content, request=request
                        )
                    except httpx.TransportError as error:
                        trouble = error


def accepted(trip: Dialogue, fetch: Callable[[Wanted], Page | None]) -> Iterator[Page]:
    """The pages of a trip, each fetched when it is wanted and no page ahead of its reader."""
    for wanted in trip:
        assert isinstance(wanted, Wanted)
        try:
            page = trip.send(wanted.page or fetch(wanted))
        except StopIteration:
            return
        assert isinstance(page, Page)
        yield page


def take_sync(trip: Dialogue, api: FakeApi) -> list[Page]:
    transport = api.transport()
    return list(accepted(trip, lambda wanted: drive(wanted.fetch(), transport, Event())))


def take_async(trip: Dialogue, api: FakeApi) -> list[Page]:
    transport = api.transport()
    with asyncio.Runner() as loop:
        return list(accepted(trip, lambda wanted: loop.run(adrive(wanted.fetch(), transport))))


Take = Callable[[Dialogue, FakeApi], list[Page]]
BOTH: Sequence[Take] = (take_sync, take_async)


def plan_of(
    path: str = "/items",
    *,
    pagination: PaginationConfig = UNPAGED,
    retry: RetryConfig = AT_ONCE,
    params: Iterable[tuple[str, str]] = (),
    auth: AuthConfig | None = None,
    **others: object,
) -> RequestPlan:
    """A plan for the fake API; anonymous, one page and no waits between retries unless a test says otherwise."""
    plan = RequestPlan("api", BASE_URL, path, params=tuple(params), pagination=pagination, retry=retry)
    changed = others if auth is None else {"auth": auth, **others}
    return RequestPlan(**{**vars(plan), **changed})


def scan_of(session: Session, *requests: RequestPlan, cancelled: Event | None = None, **scan: Any) -> ScanPages:
    """The scan of these trips, not yet begun; `scan` are fields of its plan."""
    trips = [request_plan.Trip(each) for each in requests]
    return session.pages(ScanPlan(requests[0], **scan), trips, cancelled or Event())


def read(session: Session, *requests: RequestPlan, **scan: Any) -> list[Page]:
    """Every page of these trips, through a whole session."""
    with scan_of(session, *requests, **scan) as begun:
        return [page for _, page in begun.pages]


def ids(pages: Iterable[Page]) -> list[int]:
    """The `id` of each record, in order."""
    return [json.loads(bytes(record))["id"] for page in pages for record in page.envelope.records]


def numbered(count: int) -> list[dict[str, object]]:
    return [{"id": number} for number in range(1, count + 1)]


def page_of(body: object, headers: httpx.Headers | dict[str, str] | None = None, *, path: str | None = None) -> Page:
    """The first page of a trip, whose body is `body` as JSON."""
    return Page(1, f"{BASE_URL}/items", 200, httpx.Headers(headers), envelope_of(body, path))


def envelope_of(body: object, path: str | None = None) -> Envelope:
    return read_envelope(json.dumps(body).encode(), path)


def asked(**params: str) -> PageRequest:
    return PageRequest(f"{BASE_URL}/items", tuple(params.items()))
