"""What an answer's headers tell of the limit it counted against: how much is left, and until when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

_PREFIXES = ("x-ratelimit-", "ratelimit-", "x-rate-limit-")
_HUBSPOT = "x-hubspot-ratelimit-"
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_DATE = re.compile(  # the email package reads on past what it does not know, an AM or PM for instance
    r"(?:[A-Za-z]{3,9},? +)?(?:[0-9]{1,2}[ -][A-Za-z]{3}[ -](?:[0-9]{4}|[0-9]{2}) +[0-9]{1,2}:[0-9]{2}:[0-9]{2}"
    r"(?: +(?:GMT|UTC|UT|Z|[+-][0-9]{4}))?|[A-Za-z]{3} +[0-9]{1,2} +[0-9]{1,2}:[0-9]{2}:[0-9]{2} +[0-9]{4})"
)
_MILLISECONDS_FROM = 10**11  # a reset above this is not in seconds: as seconds it would lie in the year 5138
_LATEST = 32_503_680_000.0  # the year 3000: calendars end soon after
_EPOCH_FROM = 10**9  # a reset below this is a delay, not a time


@dataclass(frozen=True)
class Quota:
    """How many requests remain of `limit` until `reset_at`, in epoch seconds from 0 on. An untold `limit` is None."""

    remaining: int
    reset_at: float
    limit: int | None = None


def read_quotas(headers: httpx.Headers, now: float) -> tuple[Quota, ...]:
    """Every quota that `headers` tell of at `now`, in epoch seconds; what cannot be read tells of none.

    The IETF's structured field (draft-ietf-httpapi-ratelimit-headers) with the fields of its older drafts, the
    `X-RateLimit-*` that most APIs send, and HubSpot's own
    (https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines).
    """
    found = [*_structured(headers, now)]
    found += filter(None, (_by_prefix(headers, prefix, now) for prefix in _PREFIXES))
    window = _number(headers.get(f"{_HUBSPOT}interval-milliseconds"))
    remaining = _number(headers.get(f"{_HUBSPOT}remaining"))
    if window is not None and remaining is not None:
        limit = _number(headers.get(f"{_HUBSPOT}max"))
        found.append(_quota(remaining, now + window / 1000, limit))
    return tuple(found)


def _structured(headers: httpx.Headers, now: float) -> Iterator[Quota]:
    """The members of `RateLimit`, their limits from `RateLimit-Policy`; or its older form, a dictionary."""
    text = headers.get("ratelimit", "")
    members = _parsed(text, "list")
    for name, params in members:
        policy = dict(_parsed(headers.get("ratelimit-policy", ""), "list")).get(name, {})
        if policy.get("qu", "requests") == "requests":
            yield from _whole_quota(params.get("r"), params.get("t"), policy.get("q"), now)
    if not members:
        values = {name: value for name, value in _parsed(text, "dictionary") if not isinstance(value, dict)}
        yield from _whole_quota(values.get("remaining"), values.get("reset"), values.get("limit"), now)


def _parsed(text: str, kind: Literal["list", "dictionary"]) -> list[tuple[str, Any]]:
    """A structured field (RFC 9651): named members with their parameters, or keys with their values; else nothing."""
    if not text:
        return []
    import http_sf  # noqa: PLC0415 - few APIs send structured fields

    try:
        found: Any = http_sf.parse(text.encode(), tltype=kind)
    except (http_sf.StructuredFieldError, ValueError):
        return []
    if kind == "dictionary":
        return [(name, member[0]) for name, member in found.items()]
    return [(member[0], member[1]) for member in found if type(member[0]) is str]


def _whole_quota(remaining: object, seconds: object, limit: object, now: float) -> Iterator[Quota]:
    """The quota of these integers, if they are none below zero."""
    if type(remaining) is int and type(seconds) is int and remaining >= 0 and seconds >= 0:
        yield _quota(remaining, now + seconds, limit if type(limit) is int and limit >= 0 else None)


def _by_prefix(headers: httpx.Headers, prefix: str, now: float) -> Quota | None:
    remaining = _number(headers.get(f"{prefix}remaining"))
    reset = None if remaining is None else _moment(headers.get(f"{prefix}reset"), now)
    if remaining is None or reset is None:
        return None
    limit = headers.get(f"{prefix}limit", "").partition(",")[0].partition(";")[0]  # 100, 100;w=60
    return _quota(remaining, reset, _number(limit))


def _quota(remaining: float, reset_at: float, limit: float | None) -> Quota:
    return Quota(max(0, int(remaining)), min(max(0.0, reset_at), _LATEST), None if limit is None else int(limit))


def _number(text: str | None) -> float | None:
    return float(text) if text and _NUMBER.fullmatch(text.strip()) else None


def _moment(text: str | None, now: float) -> float | None:
    """A reset as a time: APIs give seconds to wait, epoch seconds, epoch milliseconds, or a date."""
    number = _number(text)
    if number is not None:
        if number >= _MILLISECONDS_FROM:
            return number / 1000
        return number if number >= _EPOCH_FROM else now + number
    try:
        moment = dt.datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, OverflowError):
        return read_date(text or "")


def read_date(text: str) -> float | None:
    """The time, in epoch seconds, of a date as HTTP writes it (RFC 9110, section 5.6.7), None where it is none."""
    if not _DATE.fullmatch(text.strip()):
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
