"""A receiver: a listener, a validator and a store put together; and `WebhookReceiver`, the one that Python sees."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from apikit_sql.errors import ConfigError, DecodeError, WebhookSignatureError
from apikit_sql.webhook.delivery import Post, read_delivery
from apikit_sql.webhook.group_commit import GroupCommit, Store, StoreError, UnreadableError
from apikit_sql.webhook.journal import Journal, as_record, received_at
from apikit_sql.webhook.listener import Answer, Listener
from apikit_sql.webhook.signature import Validator

if TYPE_CHECKING:
    import polars as pl

PORT, PATH, HOST = 8080, "/webhook", "127.0.0.1"
MAX_BODY = 25 * 1024 * 1024  # bytes; GitHub sends no more
_PATIENCE = 10.0  # seconds in which a request must be there whole
_MOST_WAITING = 10_000  # deliveries
_ENDING = 10.0  # seconds
_RETRY_AFTER = 5  # seconds
_LARGEST_PORT = 65_535


@dataclass(frozen=True)
class Place:
    """Where a receiver listens, and how much it takes."""

    port: int = PORT
    path: str = PATH
    host: str = HOST
    max_body: int = MAX_BODY
    patience: float = _PATIENCE
    most_waiting: int = _MOST_WAITING

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be listened at."""
        if not isinstance(self.port, int) or isinstance(self.port, bool) or not 0 <= self.port <= _LARGEST_PORT:
            message = f"webhook: port is {self.port!r}, not a number from 0 to {_LARGEST_PORT}."
            raise ConfigError(message)
        if not self.path.startswith("/") or set(self.path) & set("?#% "):
            message = f"webhook: path is {self.path!r}; write it as '/webhook'."
            raise ConfigError(message)


@dataclass
class Arrivals:
    """What came so far; counted by the listener's thread."""

    received: int = 0  # that came whole, whatever they were
    rejected: Counter[str] = field(default_factory=Counter)  # by reason
    overloaded: int = 0


class Receiver:
    """Takes deliveries that `validator` finds good, and answers when they are in `store`."""

    def __init__(self, name: str, provider: str, validator: Validator, store: Store, place: Place) -> None:
        """A receiver that does not listen yet; `provider` is whose deliveries they are said to be."""
        self.name = name
        self.arrivals = Arrivals()
        self.started_at = 0.0
        self._provider, self._validator, self._place = provider, validator, place
        self._listener = Listener(
            place.host, place.port, place.path, place.max_body, place.patience, self._deliver, self._refused
        )
        self._commits = GroupCommit(name, store, self._listener.close_soon)
        self.stored = self._commits.counts

    @property
    def address(self) -> str:
        """Where deliveries are to be sent."""
        return self._listener.address

    @property
    def port(self) -> int:
        """The port it listens at."""
        return self._listener.port

    @property
    def waiting(self) -> int:
        """How many deliveries wait to be stored."""
        return self._commits.waiting()

    def start(self) -> None:
        """Begin to listen. Raises ConfigError where that cannot be."""
        for each in list(_RUNNING):
            if each.port == self.port and each.has_lost_its_store():
                each.stop()  # it would have ended a moment later
        self._listener.start()
        try:
            self._commits.start()
        except RuntimeError:  # the process may have no more threads
            self._listener.stop(_ENDING)
            raise
        self.started_at = time.time()
        _RUNNING.add(self)

    def stop(self) -> None:
        """Answer what is under way, close the port, store what waits. Twice is harmless."""
        self._listener.stop(_ENDING)
        if self._commits.is_running():
            self._commits.stop(_ENDING)
        _RUNNING.discard(self)

    def is_running(self) -> bool:
        """Whether it listens."""
        return self._listener.is_running()

    def has_lost_its_store(self) -> bool:
        """Whether what it would store could be read by nobody."""
        return not self._commits.has_store()

    def forget(self) -> None:
        """Be of no effect in a forked child, whose parent listens on."""
        self._listener.forget()
        self._commits.store.close()

    async def _deliver(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Look at a POST, and keep it."""
        self.arrivals.received += 1
        try:
            verdict = self._validator.validate(body, headers)
            post = Post(body, headers, time.time())
            delivery = read_delivery(post, self._validator.naming, self._provider, verdict)
        except WebhookSignatureError as error:
            return self._reject(401, error.reason)
        except DecodeError as error:
            return self._reject(400, str(error))
        if self._commits.waiting() >= self._place.most_waiting:
            self.arrivals.overloaded += 1
            return Answer(503, "Too many deliveries wait. Send it again later.", _RETRY_AFTER)
        try:
            await self._commits.keep(delivery)
        except UnreadableError as error:
            return self._reject(400, str(error))
        except StoreError:
            return Answer(503, "It could not be stored. Send it again later.", _RETRY_AFTER)
        return Answer(200, "Stored.")

    def _reject(self, status: int, reason: str) -> Answer:
        self._refused(reason)
        return Answer(status, f"Refused: {reason}.")

    def _refused(self, reason: str) -> None:
        self.arrivals.rejected[reason.partition(":")[0]] += 1


class WebhookReceiver:
    """Receives the deliveries of one provider while it runs: `with WebhookReceiver(port=8080, validator=...)`.

    The newest `max_events` are kept in memory, the oldest dropped; with an `output_file` each is a line of NDJSON,
    on the disk before it is answered. A delivery whose id is known is answered and not kept again.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is an option of its own, by name
        self,
        port: int = PORT,
        path: str = PATH,
        validator: Validator | None = None,
        output_file: str | Path | None = None,
        provider: str | None = None,
        max_events: int = 1_000,
        *,
        host: str = HOST,
        max_body: int = MAX_BODY,
    ) -> None:
        """A receiver that does not listen yet. `provider` is what its deliveries are said to be of.

        Raises ConfigError where something is missing or wrong; without a validator anybody could deliver.
        """
        if validator is None:
            message = "webhook: validator is missing, and anybody could deliver. Give StripeWebhookValidator(...), ..."
            raise ConfigError(message)
        if isinstance(max_events, bool) or not isinstance(max_events, int) or max_events < 1:
            message = f"webhook: max_events is {max_events!r}, not a number of deliveries."
            raise ConfigError(message)
        name = provider or validator.naming.provider or "webhook"
        self._journal = Journal(None if output_file is None else Path(output_file), max_events)
        place = Place(port, path, host, max_body)
        self._make = partial(Receiver, name, name, validator, self._journal, place)
        self._receiver: Receiver | None = None
        self._earlier = 0  # events of the runs before

    def start(self) -> None:
        """Begin to listen. Twice is harmless. Raises ConfigError or OutputError where that cannot be."""
        if self._receiver is not None and self._receiver.is_running():
            return
        self.stop()
        self._journal.open()
        receiver = self._make()
        try:
            receiver.start()
        except BaseException:
            self._journal.close()
            raise
        self._receiver = receiver

    def stop(self) -> None:
        """Answer what is under way, and close port and file. Twice is harmless."""
        if self._receiver is not None:
            self._receiver.stop()
            self._earlier += self._receiver.stored.new
            self._receiver = None

    @property
    def address(self) -> str:
        """Where deliveries are to be sent, while it runs."""
        if self._receiver is None:
            message = "webhook: the receiver does not run; call start() before."
            raise ConfigError(message)
        return self._receiver.address

    @property
    def event_count(self) -> int:
        """How many deliveries were kept since it was made, those that are dropped from memory too."""
        return self._earlier + (0 if self._receiver is None else self._receiver.stored.new)

    @property
    def events(self) -> list[dict[str, object]]:
        """The newest deliveries, the oldest first: received_at, provider, event, id, headers, payload, verdict."""
        return [as_record(each) for each in tuple(self._journal.newest)]

    def to_polars(self) -> pl.DataFrame:
        """The newest deliveries as a data frame; headers and payload are JSON text."""
        try:
            import polars as pl  # noqa: PLC0415 - an extra
        except ImportError:
            message = "polars is not installed: pip install 'apikit_sql[polars]'."
            raise ConfigError(message) from None
        newest = tuple(self._journal.newest)
        texts = {name: pl.String() for name in ("provider", "event", "id", "headers", "payload", "verdict")}
        columns = {name: [getattr(each, name) for each in newest] for name in texts}
        moments = [received_at(each) for each in newest]
        return pl.DataFrame(
            {"received_at": moments, **columns}, schema={"received_at": pl.Datetime("us", "UTC"), **texts}
        )

    def __enter__(self) -> Self:
        """The receiver, running until the end of the block."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


#: What listens in this process; a thread that stores while the interpreter ends would abort it.
_RUNNING: weakref.WeakSet[Receiver] = weakref.WeakSet()


def _stop_all() -> None:
    for receiver in list(_RUNNING):
        receiver.stop()


def _forget_all() -> None:
    for receiver in list(_RUNNING):
        receiver.forget()
    _RUNNING.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
