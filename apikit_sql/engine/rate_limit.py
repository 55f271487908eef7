"""How long to wait before the next request of one API and credential. It never sleeps: it only says how long."""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from apikit_sql.connector.protocol import RateLimitConfig
from apikit_sql.engine.limit_headers import Quota, read_quotas
from apikit_sql.engine.retry import asked_wait, is_limited

_UNAVAILABLE = 503
_WIDEST = 64  # requests under way, at which a narrowed limit is as good as none
_NEWS = 1.0  # seconds that a wait must end later than the last one told, to be worth a line


class RateLimitState:
    """What is known of one limit, shared by every thread and task that talks to the API with one credential.

    The lock is held for arithmetic only, never across I/O.
    """

    def __init__(self, config: RateLimitConfig | None = None, clock: Callable[[], float] = time.time) -> None:
        """A limit of which nothing has been heard yet."""
        self._config = RateLimitConfig() if config is None else config
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0  # by the clock: the next slot of requests_per_second
        self._closed_until = 0.0  # by the clock: no request before
        self._quotas: tuple[Quota, ...] = ()
        self._under_way = 0
        self._width = math.inf  # requests that may be under way
        self._narrowed_at = -math.inf
        self._told_until = -math.inf
        self.answered = 0  # requests that the limit let through

    @property
    def headroom(self) -> int | None:
        """Requests left in the current window above `min_remaining`; None where the API has not said."""
        quota = self.binding
        return max(0, quota.remaining - self._config.min_remaining) if quota else None

    @property
    def binding(self) -> Quota | None:
        """Of what the API has told of its current windows, the quota with the least left; None where it has not."""
        with self._lock:
            current = [quota for quota in self._quotas if self._clock() < quota.reset_at]
        return min(current, key=lambda quota: quota.remaining, default=None)

    @property
    def width(self) -> float:
        """How many requests may be under way at once: halved when the API refuses one, and one more with each round.

        No limit (infinite) where it has refused none lately.
        """
        with self._lock:
            return self._width

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
            self._quotas = tuple(  # until the answer tells the true number
                replace(quota, remaining=max(0, quota.remaining - 1)) for quota in self._quotas
            )
            return wait

    def closed_for(self) -> float:
        """Seconds for which the API has asked that nobody come; 0 where it has not, or they are over."""
        with self._lock:
            return max(0.0, self._closed_until - self._clock())

    def enter(self) -> bool:
        """Whether one more request may be under way; whoever may calls `release` when it is over."""
        with self._lock:
            if self._under_way >= self._width:
                return False
            self._under_way += 1
            return True

    def release(self) -> None:
        """A request that had entered is over."""
        with self._lock:
            self._under_way -= 1

    def ingest(self, response: httpx.Response, sent_at: float = math.inf) -> None:
        """Learn from the answer to a request sent at `sent_at`: what remains until when, a refusal's Retry-After."""
        quotas, is_refused = read_quotas(response.headers, self._clock()), is_limited(response)
        is_told = is_refused or response.status_code == _UNAVAILABLE
        asked = asked_wait(response, self._clock) if is_told else None
        with self._lock:
            now = self._clock()
            if is_refused:
                self._narrow(now, sent_at)
            else:
                self.answered += 1
                self._widen()
            if asked is not None:
                self._closed_until = max(self._closed_until, now + asked)
            if quotas:
                self._quotas = quotas

    def is_news(self, wait: float) -> bool:
        """Whether a wait of so many seconds, from now, ends later than those told of before."""
        with self._lock:
            until = self._clock() + wait
            if until <= self._told_until + _NEWS:
                return False
            self._told_until = until
            return True

    def describe(self) -> str:
        """What the limit is waiting for: `0 of 5000 left, resets 14:32 UTC (41 min)`; `` where the API has not said."""
        with self._lock:
            now = self._clock()
            binding = [quota for quota in self._quotas if now < quota.reset_at and self._is_used_up(quota)]
        if not binding:
            return ""
        quota = max(binding, key=lambda each: each.reset_at)
        of = "" if quota.limit is None else f" of {quota.limit}"
        left = quota.reset_at - now
        at = dt.datetime.fromtimestamp(quota.reset_at, dt.UTC)
        return f"{quota.remaining}{of} left, resets {at:%H:%M} UTC ({in_words(left)})"

    def _narrow(self, now: float, sent_at: float) -> None:
        """Halve what may be under way; once for all requests that were under way together."""
        if sent_at > self._narrowed_at:
            self._width = max(1.0, min(self._width, self._under_way) // 2)
            self._narrowed_at = now

    def _widen(self) -> None:
        self._width += 1 / self._width
        if self._width >= _WIDEST:
            self._width = math.inf

    def _wait(self, now: float) -> float:
        waits = [quota.reset_at - now for quota in self._quotas if self._is_used_up(quota)]
        return max(0.0, self._free_at - now, self._closed_until - now, *waits)

    def _is_used_up(self, quota: Quota) -> bool:
        return quota.remaining <= self._config.min_remaining


def in_words(seconds: float) -> str:
    """A duration as people say it: `12 s`, `41 min`, `3 h`."""
    if seconds < 100:  # noqa: PLR2004 - where minutes become easier to read
        return f"{math.ceil(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 2 * 3600 else f"{round(seconds / 3600)} h"
