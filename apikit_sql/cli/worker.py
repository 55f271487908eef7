"""Statements run on a thread of their own, so that the main thread hears Ctrl-C and tells how far they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from apikit_sql.cli.failures import INTERRUPTED

T = TypeVar("T")

_TICK = 0.1  # seconds
_ENOUGH = 3  # times Ctrl-C is pressed by one who will not wait for what is under way


class Worker:
    """One thread, which does one thing at a time."""

    def __init__(self) -> None:
        """Nothing to do yet."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="apikit-shell")

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """`work`, which the thread does when it has done what it was given before."""
        return self._pool.submit(work)

    def run(self, work: Callable[[], T], *, interrupt: Callable[[], object], tick: Callable[[], object]) -> T:
        """What `work` gives, done on the thread. Ctrl-C calls `interrupt`, and `tick` is called again and again.

        Raises what `work` raises; KeyboardInterrupt where it has ended after Ctrl-C, whatever it says.
        """
        future = self._pool.submit(work)
        pressed = 0
        while not future.done():
            try:
                if pressed:
                    interrupt()  # once more: a scan may have begun since
                future.exception(_TICK)
            except TimeoutError:
                tick()
            except KeyboardInterrupt:
                pressed += 1
                if pressed == _ENOUGH:
                    os._exit(INTERRUPTED)
                interrupt()
        if pressed:
            raise KeyboardInterrupt
        return future.result()

    def close(self) -> None:
        """End the thread, when it has done what it was given."""
        self._pool.shutdown()
