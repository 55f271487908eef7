"""What was sent and what came back: one record a request, secrets masked, kept in a ring and written to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LOGGER = logging.getLogger("apikit")
_SENDING: ContextVar[bool] = ContextVar("apikit_sending", default=False)


@contextmanager
def without_httpx_log() -> Iterator[None]:
    """While inside, httpx does not log what this thread or task sends: it would show the credentials in URLs."""
    before = _SENDING.set(True)
    try:
        yield
    finally:
        _SENDING.reset(before)


logging.getLogger("httpx").addFilter(lambda _: not _SENDING.get())


@dataclass(frozen=True)
class RequestRecord:
    """One request as sent. `status` is None where no answer came; `elapsed` is in seconds, `size` in bytes."""

    at: float  # epoch seconds
    connector: str
    method: str
    url: str  # redacted
    status: int | None
    elapsed: float
    size: int
    attempt: int


def log(record: RequestRecord) -> None:
    """Write `record` to the logger `apikit`, at level DEBUG."""
    LOGGER.debug(
        "%s %s %s -> %s in %.0f ms, %d bytes, attempt %d",
        record.connector, record.method, record.url, record.status, record.elapsed * 1000, record.size, record.attempt,
    )  # fmt: skip
