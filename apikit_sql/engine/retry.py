"""When to try again, and how long to wait first. Decisions only: the waiting is a Sleep step."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import tenacity

from apikit_sql.connector.protocol import RetryConfig
from apikit_sql.engine.limit_headers import read_date

TOO_MANY = 429
_OK, _FORBIDDEN = 200, 403
_LIMITS = frozenset({"RATE_LIMITED", "RATE_LIMIT", "THROTTLED"})
_LONGEST_REFUSAL = 10_000  # bytes
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")  # RFC 9110 has whole ones; Shopify sends `2.0`
_SECONDARY = b"secondary rate limit"
_SECONDARY_WAIT = 60.0  # seconds that GitHub asks for where it tells no other
_LONGEST = 10.0 * 365 * 86_400  # seconds; nobody waits for more
_HEAD = 1_000  # bytes of an error's body that are looked at


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
    jitter, and is never shorter than the server asked for in Retry-After (RFC 9110, section 10.2.3). Stripe says in a
    header of its own whether it makes sense to try again (https://docs.stripe.com/error-low-level).
    """
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    asked = 0.0
    if not outcome.failed:
        response: httpx.Response = outcome.result()
        status = TOO_MANY if is_limited(response) else response.status_code
        if status not in config.retry_on_status or response.headers.get("stripe-should-retry") == "false":
            return None
        asked = asked_wait(response, clock) or 0.0
    if tenacity.stop_after_attempt(config.max_attempts)(attempts):
        return None
    backoff = tenacity.wait_exponential_jitter(multiplier=config.min_wait, max=config.max_wait, jitter=config.jitter)
    return Delay(max(asked, backoff(attempts)), asked)


def is_limited(response: httpx.Response) -> bool:
    """Whether the API has refused for its limit: 429, or a 403 that tells when to come back.

    GitHub answers its limits with 403 and `retry-after`, `x-ratelimit-remaining: 0`, or words about its secondary limit
    (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). To GraphQL it answers them with 200.
    """
    if response.status_code == TOO_MANY or _is_told_by_graphql(response):
        return True
    tells_when = "retry-after" in response.headers or response.headers.get("x-ratelimit-remaining") == "0"
    return response.status_code == _FORBIDDEN and (tells_when or _is_secondary(response))


def asked_wait(response: httpx.Response, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that a refusal asks to wait; None where it does not say."""
    told = retry_after(response.headers, clock)
    return _SECONDARY_WAIT if told is None and is_limited(response) and _is_secondary(response) else told


def _is_told_by_graphql(response: httpx.Response) -> bool:
    """Whether an answer with status 200 has no data and an error that names a limit.

    GitHub: `type` (https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api; it sends
    RATE_LIMIT, too: https://github.com/octokit/plugin-throttling.js/pull/848). Shopify: `extensions.code`
    (https://shopify.dev/docs/api/usage/limits).
    """
    body = response.content
    if response.status_code != _OK or len(body) > _LONGEST_REFUSAL or b'"errors"' not in body:
        return False
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return False
    errors = told.get("errors") if isinstance(told, dict) and not told.get("data") else None
    return any(_names_limit(each) for each in errors if isinstance(each, dict)) if isinstance(errors, list) else False


def _names_limit(error: dict[str, Any]) -> bool:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    is_secondary = _SECONDARY in str(error.get("message")).lower().encode(errors="replace")
    return is_secondary or str(error.get("type")) in _LIMITS or str(code) in _LIMITS


def _is_secondary(response: httpx.Response) -> bool:
    return response.headers.get("x-ratelimit-remaining") != "0" and _SECONDARY in response.content[:_HEAD].lower()


def retry_after(headers: httpx.Headers, clock: Callable[[], float] = time.time) -> float | None:
    """Seconds that Retry-After asks for, given as seconds or as a date; None where it is absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST)
    moment = read_date(text)
    return None if moment is None else max(0.0, moment - clock())


class RetryBudget:
    """How many retries one API may be asked for: a fifth of its requests, and a few for a bad moment.

    Whoever finds an API down would otherwise send it `max_attempts` times what it cannot bear.
    """

    def __init__(self) -> None:
        """A full budget."""
        self._left = self._most = 64.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """A request was sent for the first time."""
        with self._lock:
            self._left = min(self._most, self._left + 0.2)

    def spend(self) -> bool:
        """Whether one more retry may be sent."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True
