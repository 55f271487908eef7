"""When to try again, and how long to wait first. Decisions only: the waiting is a Sleep step."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
import tenacity

from apikit_sql.connector.manifest import RetryConfig


def new_attempts() -> tenacity.RetryCallState:
    """The record of a request's attempts, none made yet."""
    return tenacity.RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]


def retry_delay(
    config: RetryConfig, attempts: tenacity.RetryCallState, clock: Callable[[], float] = time.time
) -> float | None:
    """Seconds to wait before the next attempt, or None to accept the answer.

    Network errors and `retry_on_status` are tried again, up to `max_attempts`. The wait grows exponentially with
    jitter, and is never shorter than the server asked for in Retry-After (RFC 9110, section 10.2.3).
    """
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    asked = 0.0
    if not outcome.failed:
        response: httpx.Response = outcome.result()
        if response.status_code not in config.retry_on_status:
            return None
        asked = retry_after(response.headers, clock) or 0.0
    if tenacity.stop_after_attempt(config.max_attempts)(attempts):
        return None
    backoff = tenacity.wait_exponential_jitter(multiplier=config.min_wait, max=config.max_wait, jitter=config.jitter)
    return max(asked, backoff(attempts))


def retry_after(headers: httpx.Headers, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that Retry-After asks for, given as seconds or as a date; None where it is absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock())
    except ValueError:
        return None
