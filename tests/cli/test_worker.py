"""Ctrl-C while a statement runs on its thread, and the line that tells how far it is."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from threading import Event

import pytest

from apikit_sql.cli import progress
from apikit_sql.cli.worker import Worker
from apikit_sql.engine.scan_log import ScanRecord
from tests.cli.test_visible import ORDERS, Screen


def pressing(times: int) -> Callable[[], None]:
    """A tick at whose first `times` Ctrl-C is pressed."""
    presses = iter(range(times))

    def tick() -> None:
        if next(presses, None) is not None:
            signal.raise_signal(signal.SIGINT)

    return tick


def test_ctrl_c_interrupts_again_and_again_until_the_work_has_ended() -> None:
    calls, may_end = [], Event()

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 3:  # a scan that had not begun at the first
            may_end.set()

    with closing(Worker()) as worker, pytest.raises(KeyboardInterrupt):
        worker.run(lambda: may_end.wait(10), interrupt=interrupt, tick=pressing(1))

    assert may_end.is_set()


def test_the_third_ctrl_c_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, may_end = [], Event()

    def leave(code: int) -> None:
        codes.append(code)
        may_end.set()

    monkeypatch.setattr(os, "_exit", leave)

    with closing(Worker()) as worker, pytest.raises(KeyboardInterrupt):
        worker.run(lambda: may_end.wait(10), interrupt=lambda: None, tick=pressing(3))

    assert codes == [130]


def test_the_line_fits_the_terminal_and_gives_no_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, scan = Screen(), ScanRecord()
    scan.connector, scan.path = "m", f"/{ORDERS}/{'long' * 30}"
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "_SHOWN_AFTER", 0)

    line = progress.ProgressLine()
    line.begin()
    line.draw([scan])

    (drawn,) = screen.getvalue().split("\r\x1b[K")[1:]
    assert len(drawn) == 59
    assert drawn.isprintable()
