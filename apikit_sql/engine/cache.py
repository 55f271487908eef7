"""Answers kept for those who ask the same again: the response cache of a session.

Who reads says for how many seconds an answer is good enough. Equal requests under way at once are sent once: one asks,
the others wait for what it brings. The lock is held for arithmetic only, never for I/O.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from cachetools import LRUCache

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Sleep, Steps, T
from apikit_sql.errors import ApikitError
from apikit_sql.origin import Origin, origin_of
from apikit_sql.plan.request_plan import RequestPlan

#: The status of an answer that has not changed since (RFC 9110, section 15.4.5).
NOT_MODIFIED = 304
_MOST = 64 * 2**20  # bytes
_BESIDE_BODY = 4_096  # bytes that an answer takes for its headers and its question
_LOOK_AGAIN = 0.05  # seconds that one waits for another who asks
_OK = 200
_VALIDATORS = (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
_OF_THE_BODY = frozenset({b"content-encoding", b"content-length", b"content-range", b"content-type"})

#: Headers by which an API is asked whether an answer has changed.
Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, repr=False)
class Question:
    """What tells one read from another: equal ones have the same answer.

    All headers that are sent stand here, or are the same for all, so that whatever `Vary` names is alike (RFC 9111,
    section 4.1). The credential is its mark: a token that was renewed asks the same.
    """

    connector: str
    base_url: str
    auth: AuthConfig
    credential: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    allowed_origins: tuple[str, ...]
    verify_ssl: bool


def question_of(plan: RequestPlan, credential: str, request: PageRequest) -> Question:
    """What `request` of `plan` asks, with the credential of this mark."""
    return Question(
        connector=plan.connector,
        base_url=plan.base_url,
        auth=plan.auth,
        credential=credential,
        method=plan.method,
        url=request.full_url,
        headers=plan.headers,
        body=request.body,
        allowed_origins=plan.allowed_origins,
        verify_ssl=plan.verify_ssl,
    )


def accepts_kept(plan: RequestPlan) -> bool:
    """Whether kept answers are good enough for `plan`: by its seconds, and by its own headers."""
    asked = {each for name, text in plan.headers if name.lower() == "cache-control" for each in _members(text)}
    return plan.cache > 0 and not asked & {"no-cache", "no-store"}


def may_be_kept(question: Question, response: httpx.Response) -> bool:
    """Whether the answer to `question` may answer it again (RFC 9111, section 3).

    It is whole, or unchanged, from the origin that was asked, and the API does not forbid it. How long it is fresh is
    not looked at: the user, whose own cache this is, has said it.
    """
    return (
        response.status_code in {_OK, NOT_MODIFIED}
        and "no-store" not in _members(response.headers.get("cache-control", ""))
        and "*" not in _members(response.headers.get("vary", ""))
        and origin_of(str(response.request.url)) == origin_of(question.url)
    )


def _members(text: str) -> frozenset[str]:
    """The members of a header's list, in lower case."""
    return frozenset(member.strip().lower() for member in text.split(","))


@dataclass(frozen=True)
class Kept:
    """A whole answer of status 200; at `at`, in epoch seconds, the API has said it, or that it had not changed."""

    at: float
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.body) + _BESIDE_BODY

    @property
    def response(self) -> httpx.Response:
        """The answer, as if it came now."""
        return httpx.Response(_OK, headers=self.headers, content=self.body)

    @property
    def conditions(self) -> Conditions:
        """How to ask whether it has changed (RFC 9110, section 13.1); empty where it came without a validator.

        GitHub does not count such a request against a credential's limit where nothing has
        (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
        """
        return tuple((name, self.headers[told]) for name, told in _VALIDATORS if told in self.headers)

    def confirmed(self, headers: httpx.Headers, at: float) -> Kept:
        """The same answer, which has not changed: with `headers` of that news (RFC 9111, section 3.2)."""
        told = [(name, value) for name, value in headers.raw if name.lower() not in _OF_THE_BODY]
        changed = {name.lower() for name, _ in told}
        unchanged = [(name, value) for name, value in self.headers.raw if name.lower() not in changed]
        return Kept(at, httpx.Headers(unchanged + told), self.body)


@dataclass(eq=False)
class _Flight:
    """A request under way, for whose answer others wait; they cannot share one that may not be kept."""

    is_over: bool = False
    is_shared: bool = True


class ResponseCache:
    """Up to `most` bytes of answers, those used last. Safe to share between threads and tasks."""

    def __init__(self, clock: Callable[[], float] = time.time, most: int = _MOST) -> None:
        """Nothing kept yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: LRUCache[Question, Kept] = LRUCache(most, getsizeof=lambda kept: kept.size)
        self._flights: dict[Question, _Flight] = {}

    def answer(
        self,
        question: Question,
        plan: RequestPlan,
        ask: Callable[[Conditions], Steps[httpx.Response]],
        read: Callable[[httpx.Response], T],
        scan: ScanRecord,
    ) -> Steps[T]:
        """What `read` makes of the answer to `question`: a kept one that is good enough for `plan`, or a new one.

        What cannot be read is not kept. Raises what the two raise.
        """
        flight, patience = _Flight(), plan.max_wait + plan.timeout
        while (found := self._find(question, plan.cache, flight)) is not flight:
            if isinstance(found, Kept):
                try:
                    value = read(found.response)
                except ApikitError:  # another has read it otherwise; an error is told by the API alone
                    self._drop(question)
                    continue
                scan.reuse(self._clock() - found.at)
                return value
            while not found.is_over and patience > 0:
                yield Sleep(_LOOK_AGAIN)
                patience -= _LOOK_AGAIN
            if not (found.is_over and found.is_shared):
                return read((yield from ask(())))
        try:
            return (yield from self._asked(question, flight, ask, read))
        finally:
            self._land(question, flight)

    def forget(self, origin: Origin | None = None) -> None:
        """Drop what connectors with a base URL of `origin` have read, or all; what is under way is not kept either."""
        with self._lock:
            known = {each.base_url for each in (*self._kept, *self._flights)}
            dropped = {url for url in known if origin in {None, origin_of(url)}}
            for each in [each for each in self._kept if each.base_url in dropped]:
                del self._kept[each]
            for each in [each for each in self._flights if each.base_url in dropped]:
                del self._flights[each]

    def _find(self, question: Question, seconds: float, flight: _Flight) -> Kept | _Flight:
        """An answer of the last `seconds`, or the request under way for it; `flight` itself where it is to begin."""
        with self._lock:
            kept = self._kept.get(question)
            if kept is not None and 0 <= self._clock() - kept.at < seconds:
                return kept
            return self._flights.setdefault(question, flight)

    def _asked(
        self,
        question: Question,
        flight: _Flight,
        ask: Callable[[Conditions], Steps[httpx.Response]],
        read: Callable[[httpx.Response], T],
    ) -> Steps[T]:
        """What `read` makes of the API's answer, kept for others; one that is there already is only confirmed."""
        with self._lock:
            old = self._kept.get(question)
        is_get = question.method == "GET"  # of others a condition would be refused (RFC 9110, section 13.1.2)
        response = yield from ask(old.conditions if old is not None and is_get else ())
        if old is not None and response.status_code == NOT_MODIFIED:
            kept = old.confirmed(response.headers, self._clock())
            value = read(kept.response)
        else:
            kept = Kept(self._clock(), response.headers, response.content)
            value = read(response)
        self._keep(question, flight, kept if may_be_kept(question, response) else None)
        return value

    def _keep(self, question: Question, flight: _Flight, kept: Kept | None) -> None:
        """Keep what `flight` has brought, where there is anything; not if all was to be forgotten meanwhile."""
        with self._lock:
            if self._flights.get(question) is not flight:
                return
            if kept is None or kept.size > self._kept.maxsize:
                flight.is_shared = False
                self._kept.pop(question, None)
            else:
                self._kept[question] = kept

    def _drop(self, question: Question) -> None:
        with self._lock:
            self._kept.pop(question, None)

    def _land(self, question: Question, flight: _Flight) -> None:
        with self._lock:
            flight.is_over = True
            if self._flights.get(question) is flight:
                del self._flights[question]
