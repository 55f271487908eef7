"""The two things an engine may ask of its driver, and what it brings. Nothing here does I/O, or knows of threads."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from apikit_sql.records import Envelope

_SHOWN = 80  # characters


@dataclass(frozen=True)
class Send:
    """Send this request. The driver answers with the response, read to its end, or throws httpx.TransportError."""

    request: httpx.Request
    timeout: float  # seconds, from the first byte sent to the last byte read


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


T = TypeVar("T")
Steps = Generator[Send | Sleep, httpx.Response | None, T]
