"""When to try again, and how long to wait first. Decisions only: the waiting is a Sleep step."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx
import tenacity

from apikit_sql.connector.manifest import RetryConfig

TOO_MANY = 429
_FORBIDDEN = 403


def new_attempts() -> tenacity.RetryCallState:
    """The record of a request's attempts, none made yet."""
    return tenacity.RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]


class Delay(NamedTuple):
    """Seconds to wait before the next attempt, and how many of them the API has asked for."""

    seconds: float
    asked: float


def retry_delay(
    config: RetryConfig, attempts: tenacity.RetryCallState, clock: Callable[[], float] = time.time
) -> Delay | None:
    """How long to wait before the next attempt, or None to accept the answer.

    Network errors and `retry_on_status` are tried again, up to `max_attempts`. The wait grows exponentially with
    jitter, and is never shorter than the server asked for in Retry-After (RFC 9110, section 10.2.3).
    """
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    asked = 0.0
    if not outcome.failed:
        response: httpx.Response = outcome.result()
        status = TOO_MANY if is_limited(response) else response.status_code
        if status not in config.retry_on_status:
            return None
        asked = retry_after(response.headers, clock) or 0.0
    if tenacity.stop_after_attempt(config.max_attempts)(attempts):
        return None
    backoff = tenacity.wait_exponential_jitter(multiplier=config.min_wait, max=config.max_wait, jitter=config.jitter)
    return Delay(max(asked, backoff(attempts)), asked)


def is_limited(response: httpx.Response) -> bool:
    """Whether the API has refused for its limit: 429, or a 403 that tells when to come back.

    GitHub answers its limits with 403 and `retry-after` or `x-ratelimit-remaining: 0`
    (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
    """
    if response.status_code == TOO_MANY:
        return True
    tells_when = "retry-after" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    return response.status_code == _FORBIDDEN and tells_when


def retry_after(headers: httpx.Headers, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that Retry-After asks for, given as seconds or as a date; None where it is absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() - clock())
