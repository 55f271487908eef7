"""The three things an engine may ask of its driver, and what it brings. Nothing here does I/O, or knows of threads."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from apikit_sql.records import Envelope, read_envelope

_SHOWN = 80  # characters


@dataclass(frozen=True)
class Send:
    """Send this request. The driver answers with the response, read to its end, or throws httpx.TransportError.

    One that `must_finish` is not given up when the caller is: its answer would be lost for good.
    """

    request: httpx.Request
    timeout: float  # seconds, from now to the last byte read
    must_finish: bool = False


@dataclass(frozen=True)
class Call:
    """Call this function, which may block. The driver answers with what it returns, or throws what it raises."""

    function: Callable[[], Any]
    must_finish: bool = False


@dataclass(frozen=True)
class Sleep:
    """Wait this many seconds. The driver answers None."""

    seconds: float


@dataclass(frozen=True)
class Page:
    """One response with its records still raw."""

    number: int  # from 1, within its trip
    url: str  # redacted
    status: int
    headers: httpx.Headers = field(repr=False)
    envelope: Envelope = field(repr=False)
    size: int = 0  # bytes
    hide: Callable[[str], str] = field(default=str, repr=False, compare=False)  # masks the credential

    def shown(self, text: str) -> str:
        """A text of the server's as an error may show it: without secrets, then cut."""
        hidden = self.hide(text)
        return hidden if len(hidden) <= _SHOWN else hidden[:_SHOWN] + "..."


def page_of(records: bytes, name: str, number: int = 1) -> Page:
    """A JSON list of `records` that no API has sent, as a page; errors call it by its `name`."""
    return Page(number, name, 200, httpx.Headers(), read_envelope(records, ""), len(records))


T = TypeVar("T")
Steps = Generator[Send | Sleep | Call, Any, T]


def called(function: Callable[[], T], *, must_finish: bool = False) -> Steps[T]:
    """What `function` returns, called by the driver."""
    result: T = yield Call(function, must_finish)
    return result
