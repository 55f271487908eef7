"""Threads that do what tasks wait for: many tasks share a few of them."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

_MOST = 64

#: Work that waits for an API, or for a disk, and work that finishes what has come: that shall not wait for the other.
Kind = Literal["waiting", "finishing"]


class TaskThreads:
    """At most so many threads at once; each ends when nothing is left to do.

    They are daemons: a thread pool's would be joined at exit.
    """

    def __init__(self, most: int = _MOST) -> None:
        """No thread yet."""
        self._most = most
        self._todo: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[[], object]) -> None:
        """Have `work`, which raises nothing, done by a thread. Raises RuntimeError where there is none to be had."""
        with self._lock:
            self._todo.append(work)
            if self._threads == self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run, name="apikit-task", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                if self._threads:
                    return  # one of those that there are does it
                self._todo.remove(work)
            raise

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            if self._todo:
                return self._todo.popleft()
            self._threads -= 1
            return None


@functools.cache
def task_threads(kind: Kind, _pid: int) -> TaskThreads:  # noqa: ARG001 - a key of the cache, as `kind` is
    """The threads of this process for one `kind` of work; a forked child has none of its parent's."""
    return TaskThreads()
