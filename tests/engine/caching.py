"""How tests read through a response cache, and APIs that tell one answer from the next."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.cache import ResponseCache
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Send, Sleep, Steps
from apikit_sql.origin import origin_of
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import Hand, plan_of
from tests.fakes.api import Answer, FakeApi, Table

SECRET = "s3cr3t-t0k3n"
BEARER = AuthConfig.model_validate({"type": "bearer", "token": SECRET})
LINKED = PaginationConfig(strategy="link")
PLAN = plan_of(cache=300)
ORIGIN = origin_of(PLAN.base_url)
WAIT = Sleep(0.05)


class Caching(Hand):
    """A hand whose reads share a cache."""

    def __init__(self, answer: Answer | Table | list[Answer], most: int = 2**20) -> None:
        self.api = FakeApi({"/items": answer})
        super().__init__(self.api)
        self.cache = ResponseCache(self.clock, most)
        self.scan = ScanRecord()

    def access(self, plan: RequestPlan) -> Access:
        self.scan = ScanRecord()
        return replace(super().access(plan), cache=self.cache, scan=self.scan)

    def body(self, plan: RequestPlan = PLAN, *, after: float = 0) -> bytes:
        """What a read brings, so many seconds after the last one."""
        self.clock.now += after
        return self.value(fetch_body(plan, self.access(plan)))

    def steps(self, plan: RequestPlan = PLAN) -> Steps[bytes]:
        return fetch_body(plan, self.access(plan))

    def asked(self, name: str) -> list[str | None]:
        """What each request had in the header `name`."""
        return [request.headers.get(name) for request in self.sent]


def counting(**headers: str) -> Callable[[httpx.Request], httpx.Response]:
    """An API whose every answer is another number."""
    numbers = iter(range(1, 1_000))
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}, encoding="utf-8")
    return lambda _: httpx.Response(200, json=next(numbers), headers=named)


def answer_to(step: object, json: object = 1, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    assert isinstance(step, Send)
    return httpx.Response(status, json=json, headers=headers, request=step.request)


def result_of(steps: Steps[bytes], reply: object) -> bytes:
    with pytest.raises(StopIteration) as done:
        steps.send(reply)
    return bytes(done.value.value)


class Versioned:
    """An API whose answer has a version, in one of the validators; what did not change it says with 304."""

    def __init__(self, *, etag: bool = True, **headers: str) -> None:
        self.version = 1
        self.etag = etag
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.statuses: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        tag, moment = f'W/"v{self.version}"', f"Sun, 15 Jun 2025 12:00:{self.version:02} GMT"
        told = self.headers | ({"etag": tag} if self.etag else {"last-modified": moment})
        is_known = request.headers.get("if-none-match" if self.etag else "if-modified-since") in {tag, moment}
        self.statuses.append(304 if is_known else 200)
        return httpx.Response(304, headers=told) if is_known else httpx.Response(200, json=self.version, headers=told)
