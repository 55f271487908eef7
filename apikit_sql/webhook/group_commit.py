"""Deliveries that wait, stored together by one thread: one commit for all that came during the one before.

A delivery is answered when its commit is over, and not before; what cannot be stored is told, never acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from apikit_sql.errors import ApikitError
from apikit_sql.webhook.delivery import Delivery

_MOST_AT_ONCE = 1_000  # deliveries in one commit
_WATCH = 0.5  # seconds between two looks at whether the store is there still


class StoreError(ApikitError):
    """Nothing of a batch was stored, for now; its first line tells why."""


class RefusedRowError(StoreError):
    """Nothing of a batch was stored for the sake of a delivery in it, which stands in nobody's way alone."""


class UnreadableError(RefusedRowError):
    """Such a delivery that can never be stored: its payload is no JSON."""


class Store(Protocol):
    """Where deliveries are kept."""

    def write(self, deliveries: Sequence[Delivery]) -> int:
        """How many were new, all stored durably now, each once. Raises StoreError where nothing was stored."""

    def is_there(self) -> bool:
        """Whether anybody could read what would be stored."""

    def close(self) -> None:
        """Let go of what is held."""


@dataclass
class Stored:
    """What became of deliveries so far; counted by the thread that stores them."""

    new: int = 0
    duplicates: int = 0
    failed: int = 0
    last_at: float | None = None  # seconds since the epoch
    lag: float = 0.0  # seconds from the arrival of the oldest of the last batch until it was stored
    failure: str | None = None  # why the last batch was not stored, None where it was


@dataclass(frozen=True, eq=False)
class _Waiting:
    delivery: Delivery
    loop: asyncio.AbstractEventLoop
    stored: asyncio.Future[None]


@dataclass(eq=False)
class GroupCommit:
    """A thread that writes into `store` what is handed to `keep`.

    `on_gone` is called, again and again, when the store has vanished: whether nothing will come any more.
    """

    name: str
    store: Store
    on_gone: Callable[[], bool]
    counts: Stored = field(default_factory=Stored)
    _queue: SimpleQueue[_Waiting | None] = field(default_factory=SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to store."""
        self._thread = threading.Thread(target=self._run, name=f"apikit-webhook-{self.name}-store", daemon=True)
        self._thread.start()

    def stop(self, longest: float) -> None:
        """Store what waits, and end; it is waited for so many seconds."""
        self._queue.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(longest)

    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def waiting(self) -> int:
        """How many deliveries wait."""
        return self._queue.qsize()

    async def keep(self, delivery: Delivery) -> None:
        """Return when `delivery` is stored. Raises StoreError where it is not, and may come again."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(delivery, loop, loop.create_future())
        self._queue.put(waiting)
        await waiting.stored

    def _run(self) -> None:
        """Store batch after batch until the end is asked for, or the store is gone."""
        is_ending = False
        while not is_ending:
            batch, is_ending = self._batch()
            if batch:
                self._write(batch)
            if (not batch or self.counts.failure) and not self.has_store():
                is_ending = self.on_gone() or is_ending
        self.store.close()

    def has_store(self) -> bool:
        """Whether the store is there, as far as can be seen."""
        try:
            return self.store.is_there()
        except Exception as error:  # noqa: BLE001 - the thread must live: who waits is answered by it
            self.counts.failure = f"{type(error).__name__}: {error}"
            return True

    def _batch(self) -> tuple[list[_Waiting], bool]:
        """What waits, after a while none, and whether it is the last."""
        batch: list[_Waiting] = []
        with contextlib.suppress(Empty):
            while len(batch) < _MOST_AT_ONCE:
                waiting = self._queue.get_nowait() if batch else self._queue.get(timeout=_WATCH)
                if waiting is None:
                    return batch, True
                batch.append(waiting)
        return batch, False

    def _write(self, batch: list[_Waiting]) -> None:
        """Store `batch`, and answer. Where one of them is in the way it is found by halves."""
        error = self._stored([each.delivery for each in batch])
        if isinstance(error, RefusedRowError) and len(batch) > 1:
            middle = len(batch) // 2
            self._write(batch[:middle])
            self._write(batch[middle:])
            return
        if error is not None and not isinstance(error, UnreadableError):
            self.counts.failed += len(batch)
            self.counts.failure = str(error)
        for loop in {each.loop for each in batch}:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for an answer
                loop.call_soon_threadsafe(_answer, [each.stored for each in batch if each.loop is loop], error)

    def _stored(self, deliveries: Sequence[Delivery]) -> StoreError | None:
        counts = self.counts
        try:
            new = self.store.write(deliveries)
        except StoreError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the outermost line of a thread: nobody may wait for ever
            return StoreError(f"{type(error).__name__}: {error}")
        now = time.time()
        counts.new += new
        counts.duplicates += len(deliveries) - new
        counts.last_at, counts.lag, counts.failure = now, now - deliveries[0].received_at / 1_000_000, None
        return None


def _answer(stored: Sequence[asyncio.Future[None]], error: StoreError | None) -> None:
    for each in stored:
        if each.done():  # whoever sent it has gone
            continue
        if error is None:
            each.set_result(None)
        else:
            each.set_exception(error)
