"""The one fake API: generated tables under every pagination strategy, the demo's routes, recorded responses, trouble.

It is a handler for httpx.MockTransport, so it serves sync and async clients without a socket, and it keeps what it saw.
"""

import datetime as dt
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from apikit_sql.demo import respond

RECORDED = Path(__file__).parent / "recorded"
BASE_URL = "https://api.test"

Paging = Literal[
    "none", "offset", "page", "clamped_page", "cursor", "record_cursor", "link", "next_url", "link_last", "page_total"
]
Operator = Literal["=", ">", ">=", "<", "<="]
Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:")
_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
}


@dataclass(frozen=True)
class Table:
    """Records served page by page. `filters` say which parameter compares which field, a dotted path inside objects.

    The value is read as JSON; times are compared as moments, however they are written.
    """

    records: list[dict[str, Any]]
    paging: Paging = "none"
    page_size: int = 10
    filters: Mapping[str, tuple[str, Operator]] = field(default_factory=dict)

    def matching(self, params: httpx.QueryParams) -> list[dict[str, Any]]:
        found = self.records
        for param, (name, operator) in self.filters.items():
            for text in params.get_list(param):
                found = [r for r in found if _passes(_at(r, name), operator, text)]
        return found

    def answer(self, request: httpx.Request) -> httpx.Response:  # noqa: C901 - a case for each strategy
        params = request.url.params
        records = self.matching(params)
        size = int(params.get("limit", self.page_size))
        pages = max(1, -(-len(records) // size))
        match self.paging:
            case "none":
                return httpx.Response(200, json=records)
            case "offset":
                start = int(params.get("offset", 0))
                return httpx.Response(200, json={"items": records[start : start + size], "total": len(records)})
            case "page" | "clamped_page":
                number = int(params.get("page", 1))
                if self.paging == "page" and number > pages:
                    return httpx.Response(200, json=[])
                start = (min(number, pages) - 1) * size
                return httpx.Response(200, json=records[start : start + size])
            case "cursor":
                start = int(params.get("cursor", "at-0").removeprefix("at-"))
                more = start + size < len(records)
                after = f"at-{start + size}" if more else None
                return httpx.Response(200, json={"data": records[start : start + size], "next_cursor": after})
            case "record_cursor":
                ids = [record["id"] for record in records]
                start = ids.index(json.loads(params["starting_after"])) + 1 if "starting_after" in params else 0
                body = {
                    "object": "list",
                    "data": records[start : start + size],
                    "has_more": start + size < len(records),
                }
                return httpx.Response(200, json=body)
            case "page_total":
                start = (int(params.get("page", 1)) - 1) * size
                return httpx.Response(200, json={"items": records[start : start + size], "total": len(records)})
            case "link" | "next_url" | "link_last":
                number = int(params.get("page", 1))
                part = records[(number - 1) * size : number * size]
                following = str(request.url.copy_set_param("page", number + 1)) if number < pages else None
                if self.paging == "next_url":
                    return httpx.Response(200, json={"items": part, "next": following})
                headers = {"link": f'<{following}>; rel="next"'} if following else {}
                if following and self.paging == "link_last":
                    headers["link"] += f', <{request.url.copy_set_param("page", pages)}>; rel="last"'
                return httpx.Response(200, json=part, headers=headers)


def _at(record: Any, path: str) -> Any:
    for step in path.split("."):
        record = record.get(step) if isinstance(record, dict) else None
    return record


def _passes(value: Any, operator: Operator, text: str) -> bool:
    """Whether a field's value, None where there is none, compares so to the `text` of a parameter."""
    if value is None:
        return False
    if not isinstance(value, str):
        return _HOLDS[operator](value, json.loads(text))
    if _TIME.match(value) and _TIME.match(text):
        return _HOLDS[operator](dt.datetime.fromisoformat(value), dt.datetime.fromisoformat(text))
    return _HOLDS[operator](value, text)


class FakeApi:
    """Routes by path. `seen` are the requests so far; `trouble` is given, one each, before any true answer."""

    def __init__(self, routes: Mapping[str, Answer | Table | list[Answer]] | None = None) -> None:
        self.routes = dict(routes or {})
        self.seen: list[httpx.Request] = []
        self.trouble: deque[Answer | Exception] = deque()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if self.trouble:
            return _given(self.trouble.popleft(), request)
        route = self.routes.get(request.url.path)
        if isinstance(route, Table):
            return route.answer(request)
        if isinstance(route, list):
            return _given(route.pop(0) if len(route) > 1 else route[0], request)
        if route is not None:
            return _given(route, request)
        answer = respond(request.method, str(request.url), request.headers, request.content)
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body)

    @property
    def paths(self) -> list[str]:
        """What was asked for, with its query, in order."""
        return [request.url.raw_path.decode() for request in self.seen]

    def params(self, name: str) -> list[str | None]:
        """The value that each request sent for the parameter `name`."""
        return [request.url.params.get(name) for request in self.seen]

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)


class Busy:
    """A table that takes a while to answer, and tells how many answers it has made at once at the most."""

    def __init__(self, table: Table, seconds: float = 0.02) -> None:
        self.most = 0
        self._table = table
        self._seconds = seconds
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1
        return self._table.answer(request)


def _given(answer: Answer | Exception, request: httpx.Request) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return answer(request) if callable(answer) else answer


def recorded(*names: str) -> dict[str, Answer | Table | list[Answer]]:
    """Routes that replay recorded GitHub exchanges (octokit/fixtures, MIT) by path, whatever the host."""
    routes: dict[str, Answer | Table | list[Answer]] = {}
    for exchange in _exchanges(names):
        if exchange["method"] == "get":
            path = exchange["path"].partition("?")[0]
            routes[path] = httpx.Response(exchange["status"], headers=_headers(exchange), json=exchange["response"])
    return routes


def _exchanges(names: Iterable[str]) -> Iterable[dict[str, Any]]:
    for name in names:
        yield from json.loads((RECORDED / f"{name}.json").read_text())


def _headers(exchange: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in exchange["headers"].items()
        if name not in {"content-length", "content-encoding"}
    }
