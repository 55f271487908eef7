"""Notices traffic that nobody may have meant: very many requests a minute, or several credentials for one connector."""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from apikit_sql.engine.request_log import LOGGER

_WINDOW = 60.0  # seconds


@dataclass(frozen=True)
class RequestEvent:
    """One request: when, of which connector, with which credential, and how many a minute are many.

    `credential` is a fingerprint, `` for none.
    """

    at: float  # epoch seconds
    connector: str
    credential: str
    threshold: int


class Detector(Protocol):
    """What a session tells of every request. Yours may do with it what it likes; what it raises is logged."""

    def record_event(self, event: RequestEvent) -> None:
        """Take note of one request."""


@dataclass
class _Seen:
    """What was lately seen of one connector."""

    times: list[float] = field(default_factory=list)  # ascending
    credentials: dict[str, float] = field(default_factory=dict)  # when each was last seen
    quiet_until: dict[str, float] = field(default_factory=dict)  # by warning


class AnomalyDetector:
    """Looks at a sliding minute, and warns once a minute of each thing that it finds."""

    def __init__(self, warn: Callable[[str], None] = LOGGER.warning) -> None:
        """A detector that has seen nothing."""
        self._warn = warn
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def record_event(self, event: RequestEvent) -> None:
        """Take note of one request."""
        with self._lock:
            texts = [text for what, text in self._findings(event) if self._is_new(event, what)]
        for text in texts:
            self._warn(text)

    def _findings(self, event: RequestEvent) -> list[tuple[str, str]]:
        seen = self._seen.setdefault(event.connector, _Seen())
        insort(seen.times, event.at)  # a slow request is told late, and counts when it began
        since = seen.times[-1] - _WINDOW
        del seen.times[: bisect_right(seen.times, since)]
        if event.credential:
            seen.credentials[event.credential] = max(event.at, seen.credentials.get(event.credential, 0))
        for name in [name for name, at in seen.credentials.items() if at <= since]:
            del seen.credentials[name]
        found = []
        if len(seen.times) > event.threshold:
            found.append(("rate", f"{event.connector}: more than {event.threshold} requests within a minute."))
        if len(seen.credentials) > 1:
            number = len(seen.credentials)
            found.append(("credentials", f"{event.connector}: {number} credentials were used within a minute."))
        return found

    def _is_new(self, event: RequestEvent, what: str) -> bool:
        quiet_until = self._seen[event.connector].quiet_until
        if event.at < quiet_until.get(what, 0):
            return False
        quiet_until[what] = event.at + _WINDOW
        return True
