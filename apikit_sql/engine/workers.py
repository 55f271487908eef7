"""Threads that take steps: as many as there are requests under way at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Generic

import httpx

from apikit_sql.engine.drivers import drive
from apikit_sql.engine.steps import Steps, T


@dataclass(eq=False)
class Task(Generic[T]):
    """What was asked for, and what came of it."""

    steps: Callable[[], Steps[T]]
    is_done: bool = False
    outcome: T | BaseException | None = None


class Threads(Generic[T]):
    """As many threads as there are requests under way at once.

    They are daemons: a thread pool's would be joined at exit, for as long as their requests take.
    """

    def __init__(self, transport: httpx.BaseTransport, cancelled: Event | None = None) -> None:
        """No thread yet. Once `cancelled` is set, steps are taken only where they must finish."""
        self._transport = transport
        self._todo: queue.SimpleQueue[Task[T] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Task[T], T | BaseException]] = queue.SimpleQueue()
        self._stopped = Event()
        self._cancelled = self._stopped if cancelled is None else cancelled
        self._threads = self.under_way = 0

    def submit(self, steps: Callable[[], Steps[T]]) -> Task[T]:
        """The task whose `steps` are being taken."""
        task = Task(steps)
        self.under_way += 1
        self._todo.put(task)
        if self.under_way > self._threads:
            self._threads += 1
            threading.Thread(
                target=_work,
                args=(self._todo, self._done, self._transport, self._stopped, self._cancelled),
                name="apikit-pages",
                daemon=True,
            ).start()
        return task

    def collect(self) -> None:
        """Take note of all that has come."""
        while not self._done.empty():
            self._note(*self._done.get())

    def wait(self, longest: float) -> None:
        """Wait up to `longest` seconds for something to come."""
        try:
            self._note(*self._done.get(timeout=longest))
        except queue.Empty:
            return
        self.collect()

    def stop(self) -> None:
        """Let the threads go. A request under way is given up."""
        self._stopped.set()
        for _ in range(self._threads):
            self._todo.put(None)
        self._threads = 0

    def _note(self, task: Task[T], outcome: T | BaseException) -> None:
        self.under_way -= 1
        task.is_done, task.outcome = True, outcome


def _work(
    todo: queue.SimpleQueue[Task[T] | None],
    done: queue.SimpleQueue[tuple[Task[T], T | BaseException]],
    transport: httpx.BaseTransport,
    stopped: Event,
    cancelled: Event,
) -> None:
    while (task := todo.get()) is not None and not stopped.is_set():
        outcome: T | BaseException
        try:
            outcome = drive(task.steps(), transport, cancelled)
        except BaseException as error:  # noqa: BLE001 - the reader raises it
            outcome = error
        done.put((task, outcome))
        del task, outcome  # what came is let go when its reader has it
