"""What was sent and what came back: one record a request, secrets masked, kept in a ring and written to the log."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass

from apikit_sql.errors import ConfigError

LOGGER = logging.getLogger("apikit")


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
    """Write `record` to the logger `apikit` as one JSON object, at level DEBUG."""
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    told = {
        "ts": _moment(record.at),
        "method": record.method,
        "url": record.url,
        "status": record.status,
        "elapsed_ms": round(record.elapsed * 1000, 1),
        "bytes": record.size,
        "attempt": record.attempt,
        "connector": record.connector,
    }
    LOGGER.debug("%s", json.dumps(told))


class _AsJson(logging.Formatter):
    """Every line a JSON object: a request's own, or a message with its level."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of `record`."""
        text = super().format(record)
        if text.startswith('{"ts": '):
            return text
        return json.dumps({"ts": _moment(record.created), "level": record.levelname.lower(), "message": text})


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show_log(level: str) -> None:
    """Write the log from `level` on to stderr, as `APIKIT_LOG_LEVEL` asks; nothing changes where that is empty.

    Raises ConfigError for a level that there is not.
    """
    if not level:
        return
    number = logging.getLevelNamesMapping().get(level.strip().upper())
    if number is None:
        message = f"APIKIT_LOG_LEVEL is {level!r}; say debug, info, warning, error or critical."
        raise ConfigError(message)
    LOGGER.setLevel(number)
    if not LOGGER.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_AsJson())
        LOGGER.addHandler(handler)
