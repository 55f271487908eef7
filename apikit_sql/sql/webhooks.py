"""apikit_webhook_start(), apikit_webhook_stop() and apikit_webhooks(): deliveries into tables of a database.

A receiver starts when the call is read, not when it is bound: EXPLAIN starts nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from apikit_sql.errors import CallError
from apikit_sql.identifiers import plain
from apikit_sql.secrets import is_reference
from apikit_sql.sql.catalog import WEBHOOK_START, WEBHOOK_STOP
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types
from apikit_sql.webhook.inbox import Inbox, table_name
from apikit_sql.webhook.receiver import HOST, MAX_BODY, PATH, PORT, Place, Receiver
from apikit_sql.webhook.signature import (
    TOLERANCE,
    GenericHmacValidator,
    GitHubWebhookValidator,
    StandardWebhookValidator,
    StripeWebhookValidator,
    Validator,
)

Con = duckdb.DuckDBPyConnection
Work = Callable[[], list[Row]]
InStream = Callable[[Work], list[Row]]

_PROVIDERS = ("stripe", "github", "standard", "hmac")
_STARTED = columns_of_types({"name": "VARCHAR", "address": "VARCHAR", "table_name": "VARCHAR"})
_STOPPED = columns_of_types({"name": "VARCHAR", "stopped": "BOOLEAN"})
_RECEIVERS = columns_of_types(
    {
        "name": "VARCHAR", "provider": "VARCHAR", "address": "VARCHAR", "table_name": "VARCHAR",
        "started_at": "TIMESTAMPTZ", "received": "BIGINT", "stored": "BIGINT", "duplicates": "BIGINT",
        "rejected": "BIGINT", "rejections": "JSON", "failed": "BIGINT", "waiting": "BIGINT", "lag_ms": "DOUBLE",
        "last_stored_at": "TIMESTAMPTZ", "error": "VARCHAR",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A receiver as a call asks for it; one with the same is the same."""

    name: str
    provider: str
    secrets: tuple[str, ...]
    table: str
    catalog: str
    schema: str
    place: Place
    header: str | None = None
    prefix: str | None = None
    id_header: str | None = None
    event_header: str | None = None
    tolerance: float | None = None


@dataclass
class Webhooks:
    """The receivers of one database, by name; each writes through fresh cursors of it."""

    cursor: Callable[[], Con | None]
    _running: dict[str, tuple[Wanted, Receiver]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, wanted: Wanted) -> tuple[Wanted, Receiver]:
        """The receiver that runs as it is `wanted`, started if need be. Raises CallError, ConfigError."""
        with self._lock:
            known = self._running.get(wanted.name)
            if known is not None and known[1].is_running():
                if known[0] == wanted:
                    return known
                message = (
                    f"{WEBHOOK_START.name}: {wanted.name!r} runs already, with other arguments. "
                    f"CALL {WEBHOOK_STOP.name}('{wanted.name}') before."
                )
                raise CallError(message)
            self._running[wanted.name] = wanted, self._started(wanted)
            return self._running[wanted.name]

    def stop(self, name: str) -> bool:
        """Whether a receiver of this name was there to be stopped."""
        with self._lock:
            known = self._running.pop(name, None)
        if known is None:
            return False
        was_running = known[1].is_running()
        known[1].stop()
        return was_running

    def running(self, name: str | None) -> list[tuple[Wanted, Receiver]]:
        """The receivers that run, or the one of this name."""
        with self._lock:
            known = tuple(self._running.values())
        return [each for each in known if each[1].is_running() and name in {None, each[0].name}]

    def _started(self, wanted: Wanted) -> Receiver:
        validator = _validator(wanted)
        inbox = Inbox(table_name(wanted.table, wanted.catalog, wanted.schema, self._catalogs()), self.cursor)
        provider = validator.naming.provider or wanted.name
        receiver = Receiver(wanted.name, provider, validator, inbox, wanted.place)
        inbox.open()
        receiver.start()
        return receiver

    def _catalogs(self) -> list[str]:
        con = self.cursor()
        if con is None:
            return []
        return [name for (name,) in con.execute("SELECT database_name FROM system.main.duckdb_databases()").fetchall()]


def start_dataset(text: str, webhooks: Webhooks, in_stream: InStream) -> RecordsDataset:
    """One row: the receiver of a call, started when it is read. Raises CallError for wrong arguments."""
    wanted = _wanted(json.loads(text))

    def start() -> list[Row]:
        known, receiver = webhooks.start(wanted)
        return [{"name": known.name, "address": receiver.address, "table_name": known.table}]

    return RecordsDataset(_STARTED, lambda: in_stream(start))


def stop_dataset(name: str, webhooks: Webhooks) -> RecordsDataset:
    """One row: whether the receiver of this name was there to be stopped."""
    return RecordsDataset(_STOPPED, lambda: [{"name": name, "stopped": webhooks.stop(name)}])


def receivers_dataset(name: str | None, webhooks: Webhooks) -> RecordsDataset:
    """A row for each receiver that runs, or for that of this `name`."""
    return RecordsDataset(_RECEIVERS, lambda: [_row(*each) for each in webhooks.running(name)])


def _row(wanted: Wanted, receiver: Receiver) -> Row:
    arrivals, stored = receiver.arrivals, receiver.stored
    return {
        "name": wanted.name,
        "provider": wanted.provider,
        "address": receiver.address,
        "table_name": wanted.table,
        "started_at": _moment(receiver.started_at),
        "received": arrivals.received,
        "stored": stored.new,
        "duplicates": stored.duplicates,
        "rejected": arrivals.rejected.total(),
        "rejections": json.dumps(arrivals.rejected.copy()),
        "failed": stored.failed + arrivals.overloaded,
        "waiting": receiver.waiting,
        "lag_ms": stored.lag * 1000,
        "last_stored_at": None if stored.last_at is None else _moment(stored.last_at),
        "error": stored.failure,
    }


def _wanted(arguments: Mapping[str, Any]) -> Wanted:
    """The receiver that a call asks for. Raises CallError for wrong arguments; a secret is never shown."""
    name, provider = _text(arguments, "name"), _text(arguments, "provider")
    if name is None or not name.strip():
        message = f"{WEBHOOK_START.name}: name is NULL or empty; the receiver is stopped by it."
        raise CallError(message)
    if provider not in _PROVIDERS:
        message = f"{WEBHOOK_START.name}: provider is {provider!r}; write 'stripe', 'github', 'standard' or 'hmac'."
        raise CallError(message)
    others = {each: _text(arguments, each) for each in ("header", "prefix", "id_header", "event_header")}
    if provider != "hmac" and any(value is not None for value in others.values()):
        message = f"{WEBHOOK_START.name}: header, prefix, id_header and event_header are of provider := 'hmac'."
        raise CallError(message)
    return Wanted(
        name,
        provider,
        _secrets(arguments["secret"]),
        _text(arguments, "table_name") or plain(f"{name}_events"),
        arguments["catalog"],
        arguments["schema"],
        Place(
            _number(arguments, "port", PORT),
            _text(arguments, "path") or PATH,
            _text(arguments, "host") or HOST,
            _number(arguments, "max_body", MAX_BODY),
        ),
        **others,
        tolerance=arguments["tolerance"],
    )


def _secrets(given: object) -> tuple[str, ...]:
    """The references to the secrets. Raises CallError for a secret itself: SQL text ends in views and logs."""
    texts = given if isinstance(given, list) else [given]
    if not texts or not all(isinstance(text, str) and is_reference(text) for text in texts):
        message = f"{WEBHOOK_START.name}: secret must be a reference, 'env:NAME' or 'keyring:NAME', or a list of them."
        raise CallError(message)
    return tuple(texts)


def _validator(wanted: Wanted) -> Validator:
    """What tells which deliveries are good. Raises ConfigError where a secret is not there."""
    tolerance = TOLERANCE if wanted.tolerance is None else wanted.tolerance
    match wanted.provider:
        case "stripe":
            return StripeWebhookValidator(wanted.secrets, tolerance)
        case "standard":
            return StandardWebhookValidator(wanted.secrets, tolerance)
        case "github":
            return GitHubWebhookValidator(wanted.secrets)
        case _:
            return GenericHmacValidator(
                wanted.secrets,
                wanted.header or "X-Signature",
                wanted.prefix or "",
                id_header=wanted.id_header,
                event_header=wanted.event_header,
            )


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments[name]
    if value is not None and not isinstance(value, str):
        message = f"{WEBHOOK_START.name}: {name} must be a text. Options are written name := value."
        raise CallError(message)
    return value


def _number(arguments: Mapping[str, Any], name: str, default: int) -> int:
    value = arguments[name]
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"{WEBHOOK_START.name}: {name} must be a whole number. Options are written name := value."
        raise CallError(message)
    return value


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
