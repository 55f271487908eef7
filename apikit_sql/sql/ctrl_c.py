"""Ctrl-C that reaches a scan which waits for an API.

DuckDB may keep the main thread, where Python handles signals, until the scan on a thread of its own lets go. So a
listener hears Ctrl-C by the byte that Python writes for each signal (`signal.set_wakeup_fd`), and interrupts the scans;
the statement ends, the main thread is free, and KeyboardInterrupt comes as ever.
"""

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stopping_at_ctrl_c(interrupt: Callable[[], None]) -> Iterator[None]:
    """While inside, Ctrl-C calls `interrupt`, on another thread. Only the main thread can hear signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listener = _listener_of(os.getpid())
    outer, listener.interrupt = listener.interrupt, interrupt
    before = signal.set_wakeup_fd(listener.fileno, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        listener.interrupt = outer


class _Listener:
    """A thread that calls `interrupt` for each Ctrl-C."""

    def __init__(self) -> None:
        self.interrupt: Callable[[], None] = lambda: None
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)  # noqa: FBT003 - as set_wakeup_fd asks
        self.fileno = self._told.fileno()
        threading.Thread(target=self._listen, name="apikit-ctrl-c", daemon=True).start()

    def _listen(self) -> None:
        while signals := self._heard.recv(64):
            if signal.SIGINT in signals:
                self.interrupt()


@functools.cache
def _listener_of(_pid: int) -> _Listener:
    """The listener of this process; a forked child has no threads of its parent's."""
    return _Listener()
