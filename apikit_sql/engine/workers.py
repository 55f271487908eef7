"""Threads that fetch pages: as many as there are requests under way at once."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from threading import Event

import httpx

from apikit_sql.engine.drivers import drive
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import Wanted

Outcome = Page | BaseException | None


@dataclass(eq=False)
class Task:
    """A page that was asked for, and what came."""

    wanted: Wanted
    is_done: bool = False
    outcome: Outcome = None


class Workers:
    """As many threads as there are requests under way at once.

    They are daemons: a thread pool's would be joined at exit, for as long as their requests take.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        """No thread yet."""
        self._transport = transport
        self._todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Task, Outcome]] = queue.SimpleQueue()
        self._stopped = Event()
        self._threads = self.under_way = 0

    def submit(self, wanted: Wanted) -> Task:
        """The page, being fetched."""
        task = Task(wanted)
        self.under_way += 1
        self._todo.put(task)
        if self.under_way > self._threads:
            self._threads += 1
            threading.Thread(
                target=_work,
                args=(self._todo, self._done, self._transport, self._stopped),
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

    def _note(self, task: Task, outcome: Outcome) -> None:
        self.under_way -= 1
        task.is_done, task.outcome = True, outcome


def _work(
    todo: queue.SimpleQueue[Task | None],
    done: queue.SimpleQueue[tuple[Task, Outcome]],
    transport: httpx.BaseTransport,
    stopped: Event,
) -> None:
    while (task := todo.get()) is not None and not stopped.is_set():
        outcome: Outcome
        try:
            outcome = drive(task.wanted.fetch(), transport, stopped)
        except BaseException as error:  # noqa: BLE001 - the reader raises it
            outcome = error
        done.put((task, outcome))
        del task, outcome  # a page is let go when its reader has it
