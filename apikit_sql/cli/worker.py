"""Statements run on a thread of their own, so that the main thread hears Ctrl-C and tells how far they are."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
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
        presses = _Presses(interrupt)
        with presses.heard():
            future = self._pool.submit(work)
            while not future.done():
                with contextlib.suppress(TimeoutError):
                    future.exception(_TICK)
                if presses.number:
                    interrupt()  # once more: a scan may have begun since
                tick()
        if presses.number:
            raise KeyboardInterrupt
        return future.result()

    def close(self) -> None:
        """End the thread, when it has done what it was given."""
        self._pool.shutdown()


class _Presses:
    """Ctrl-C, counted: an exception could come anywhere, and leave the work to itself."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        self.number = 0
        self._interrupt = interrupt

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """While inside, Ctrl-C interrupts. Only the main thread can hear it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._press)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _press(self, *_: object) -> None:
        self.number += 1
        if self.number == _ENOUGH:
            os._exit(INTERRUPTED)
        self._interrupt()
