"""How long to wait before the next request of one API and credential. It never sleeps: it only says how long."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import httpx

from apikit_sql.connector.manifest import RateLimitConfig
from apikit_sql.engine.retry import is_limited, retry_after

_UNAVAILABLE = 503
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_MILLISECONDS_FROM = 10**11  # a reset above this is not in seconds: as seconds it would lie in the year 5138
_EPOCH_FROM = 10**9  # a reset below this is a delay, not a time


class RateLimitState:
    """What is known of one limit, shared by every thread and task that talks to the API with one credential.

    The lock is held for arithmetic only, never across I/O.
    """

    def __init__(self, config: RateLimitConfig, clock: Callable[[], float] = time.time) -> None:
        """A limit of which nothing has been heard yet."""
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0  # by the clock: the next slot of requests_per_second
        self._closed_until = 0.0  # by the clock: no request before
        self._remaining: int | None = None
        self._reset_at = 0.0
        self.answered = 0  # requests that the limit let through

    @property
    def headroom(self) -> int | None:
        """Requests left in the current window above `min_remaining`; None where the API has not said."""
        with self._lock:
            if self._remaining is None or self._clock() >= self._reset_at:
                return None
            return max(0, self._remaining - self._config.min_remaining)

    def should_throttle(self) -> bool:
        """Whether the next request has to wait."""
        return self.sleep_duration() > 0

    def sleep_duration(self) -> float:
        """Seconds until the next request may go; 0 for at once."""
        with self._lock:
            return self._wait(self._clock())

    def reserve(self, longest: float = math.inf) -> float:
        """Take the next free slot; the seconds until it comes. No slot is taken where that is more than `longest`."""
        with self._lock:
            now = self._clock()
            wait = self._wait(now)
            if wait > longest:
                return wait
            if self._config.requests_per_second:
                self._free_at = now + wait + 1 / self._config.requests_per_second
            if self._remaining is not None and self._remaining > 0:
                self._remaining -= 1  # until the answer tells the true number
            return wait

    def ingest(self, response: httpx.Response) -> None:
        """Learn from an answer: what remains and until when, and a 429's or 503's Retry-After."""
        headers = response.headers
        remaining, reset = _number(headers, _REMAINING), _number(headers, _RESET)
        is_told = is_limited(response) or response.status_code == _UNAVAILABLE
        asked = retry_after(headers, self._clock) if is_told else None
        with self._lock:
            now = self._clock()
            self.answered += not is_limited(response)
            if asked is not None:
                self._closed_until = max(self._closed_until, now + asked)
            if remaining is not None and reset is not None:
                self._remaining = int(remaining)
                self._reset_at = _moment(reset, now)

    def _wait(self, now: float) -> float:
        wait = max(0.0, self._free_at - now, self._closed_until - now)
        if self._remaining is not None and now < self._reset_at and self._remaining <= self._config.min_remaining:
            wait = max(wait, self._reset_at - now)
        return wait


def _number(headers: httpx.Headers, names: tuple[str, ...]) -> float | None:
    for name in names:
        try:
            number = float(headers[name])
        except (KeyError, ValueError):
            continue
        if math.isfinite(number):
            return number
    return None


def _moment(reset: float, now: float) -> float:
    """A reset as a time by the clock: APIs give seconds to wait, epoch seconds, or epoch milliseconds."""
    if reset >= _MILLISECONDS_FROM:
        return reset / 1000
    return reset if reset >= _EPOCH_FROM else now + reset
