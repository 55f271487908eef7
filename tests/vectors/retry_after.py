"""What public projects read in Retry-After, and how long they wait between attempts.

VALUES, SLEEPS, MOST, BACKOFFS, STATUSES: test/test_retry.py and test/with_dummyserver/test_connectionpool.py of urllib3
    2.8.0 (MIT), the latter for STATUSES alone. Left out are the cases with `respect_retry_after_header=False` and those
    about redirects and methods, which have no counterpart here.
RFC_9110: the examples of RFC 9110, 10.2.3 and 5.6.7.
OURS: our own, no one else's.
"""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Vector:
    """A value of Retry-After as it comes off the wire, and the seconds that it asks for, None for nothing.

    `theirs` where the source says otherwise.
    """

    value: bytes
    seconds: float | None
    now: float = 0.0
    theirs: str = ""


@dataclass(frozen=True)
class Backoff:
    """The shortest and longest wait after each attempt, by its number. A wait is also shorter than `most`."""

    name: str
    factor: float
    waits: dict[int, tuple[float, float]]
    most: float = 120.0
    jitter: float = 0.0
    theirs: str = ""


@dataclass(frozen=True)
class Status:
    """Whether an answer of this status is tried again where these statuses are."""

    status: int
    retried: tuple[int, ...]
    is_retried: bool


def moment(*parts: int) -> float:
    """Seconds since 1970 of a moment in UTC."""
    return dt.datetime(*parts, tzinfo=dt.UTC).timestamp()  # type: ignore[arg-type,misc]


_JUNE = moment(2019, 6, 3, 11)  # the moment of test_respect_retry_after_header_sleep

VALUES = (
    Vector(b"0", 0.0),
    Vector(b"1000", 1000.0),
    Vector(b"\t42 ", 42.0),
    Vector(b"-1", None, theirs="InvalidHeader: here a value that cannot be read asks for nothing"),
    Vector(b"+1", None, theirs="InvalidHeader: here a value that cannot be read asks for nothing"),
    Vector(b"1.0", 1.0, theirs="InvalidHeader: Shopify sends seconds so"),
    Vector(b"\xb2", None, theirs="InvalidHeader: here a value that cannot be read asks for nothing"),
)

SLEEPS = (
    Vector(b"3600", 3600.0, _JUNE),
    Vector(b"Mon, 3 Jun 2019 12:00:00 UTC", 3600.0, _JUNE),
    Vector(b"Mon, 3 Jun 2019 11:00:00 UTC", 0.0, _JUNE),
    Vector(b"Mon, 03 Jun 2019 11:30:12 GMT", 1812.0, _JUNE),
    Vector(b"Monday, 03-Jun-19 11:30:12 GMT", 1812.0, _JUNE),
    Vector(b"Mon Jun  3 11:30:12 2019", 1812.0, _JUNE),
)

MOST = (
    Vector(b"21600", 21600.0),
    Vector(b"21601", 21601.0, theirs="21600, their most: here a wait beyond max_wait is an error that tells it"),
    Vector(b"1", 1.0),
    Vector(b"2", 2.0, theirs="1 where retry_after_max=1: here a wait beyond max_wait is an error that tells it"),
)

_AT_ONCE = "0 after the first attempt: here that one is waited for too"
BACKOFFS = (
    Backoff(
        "test_backoff",
        0.2,
        {1: (0.2, 0.2), 2: (0.4, 0.4), 3: (0.8, 0.8), 4: (1.6, 1.6), 14: (120.0, 120.0)},
        theirs=_AT_ONCE,
    ),
    Backoff(
        "test_configurable_backoff_max",
        0.2,
        {1: (0.2, 0.2), 2: (0.4, 0.4), 3: (0.8, 0.8), 4: (1.0, 1.0), 5: (1.0, 1.0)},
        most=1.0,
        theirs=_AT_ONCE,
    ),
    Backoff(
        "test_backoff_jitter",
        0.2,
        {1: (0.2, 0.6), 2: (0.4, 0.8), 3: (0.8, 1.0), 4: (1.0, 1.0), 5: (1.0, 1.0)},
        most=1.0,
        jitter=0.4,
        theirs=_AT_ONCE,
    ),
    Backoff("test_zero_backoff", 0.0, {1: (0.0, 0.0), 2: (0.0, 0.0)}),
)

STATUSES = (
    Status(200, tuple(range(500, 600)), is_retried=False),
    Status(400, tuple(range(500, 600)), is_retried=False),
    Status(500, tuple(range(500, 600)), is_retried=True),
    Status(400, (418,), is_retried=False),
    Status(418, (418,), is_retried=True),
    Status(429, (413, 429, 503), is_retried=True),
    Status(503, (413, 429, 503), is_retried=True),
    Status(418, (413, 429, 503), is_retried=False),
)

_BEFORE = moment(1994, 11, 6, 8, 48, 37)
RFC_9110 = (
    Vector(b"Fri, 31 Dec 1999 23:59:59 GMT", 59.0, moment(1999, 12, 31, 23, 59)),
    Vector(b"120", 120.0),
    Vector(b"Sun, 06 Nov 1994 08:49:37 GMT", 60.0, _BEFORE),
    Vector(b"Sunday, 06-Nov-94 08:49:37 GMT", 60.0, _BEFORE),
    Vector(b"Sun Nov  6 08:49:37 1994", 60.0, _BEFORE),
)

_LEAP = moment(2028, 2, 28, 23, 59, 50)
_NEW_YEAR = moment(2025, 12, 31, 23, 59, 30)
OURS = (
    Vector(b"Tue, 29 Feb 2028 00:00:00 GMT", 10.0, _LEAP),
    Vector(b"Tuesday, 29-Feb-28 00:00:00 GMT", 10.0, _LEAP),
    Vector(b"Tue Feb 29 00:00:00 2028", 10.0, _LEAP),
    Vector(b"Thu, 01 Jan 2026 00:00:00 GMT", 30.0, _NEW_YEAR),
    Vector(b"Thursday, 01-Jan-26 00:00:00 GMT", 30.0, _NEW_YEAR),
    Vector(b"Thu Jan  1 00:00:00 2026", 30.0, _NEW_YEAR),
    Vector(b"Thu, 01 Jan 1970 00:00:00 GMT", 0.0, _NEW_YEAR),
    Vector(b"Thu, 01 Jan 2026 00:00:30.5 GMT", None, _NEW_YEAR),
    Vector(b"Mon, 30 Feb 2026 00:00:00 GMT", None, _NEW_YEAR),
    Vector(b"Thu, 01 Jan 2026 25:00:00 GMT", None, _NEW_YEAR),
    Vector(b"Thu, 01 Jan", None, _NEW_YEAR),
    Vector(b"", None),
    Vector(b"soon", None),
    Vector(b"1e3", None),
    Vector(b"1,000", None),
    Vector(b"0x10", None),
    Vector(b"nan", None),
    Vector(b"inf", None),
    Vector(b"1_000", None),
    Vector("٤٢".encode(), None),
    Vector(b"120, 120", None),
    Vector(b"007", 7.0),
)
