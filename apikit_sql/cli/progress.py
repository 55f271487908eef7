"""One line on the terminal that tells how far a statement is: pages, rows, requests and waits."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apikit_sql.cli.visible import on_one_line, visible

if TYPE_CHECKING:
    from apikit_sql.engine.scan_log import ScanRecord

_SHOWN_AFTER = 0.3  # seconds: what is over before needs no line
_ERASE = "\r\x1b[K"


class ProgressLine:
    """The line below what has been written, drawn again and again; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        """No line yet."""
        self._lock = threading.Lock()
        self._is_there = False
        self._may_draw = False
        self._started = 0.0

    def begin(self) -> None:
        """A statement begins."""
        self._started, self._may_draw = time.monotonic(), sys.stderr.isatty()

    def draw(self, scans: Sequence[ScanRecord]) -> None:
        """Tell how far `scans` are."""
        elapsed = time.monotonic() - self._started
        if not self._may_draw or elapsed < _SHOWN_AFTER:
            return
        width = shutil.get_terminal_size().columns - 1
        text = on_one_line(line_of(scans, elapsed))
        with self._lock:
            if self._may_draw:
                sys.stderr.write(_ERASE + text[:width])
                sys.stderr.flush()
                self._is_there = True

    def end(self) -> None:
        """Take the line away; there is none until the next statement, so that rows can be written."""
        with self._lock:
            self._may_draw = False
            self._erase()

    def tell(self, text: str) -> None:
        """Write a line of its own above it, from whatever thread."""
        with self._lock:
            self._erase()
            sys.stderr.write(visible(f"apikit: {text}\n"))
            sys.stderr.flush()

    def _erase(self) -> None:
        if self._is_there:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._is_there = False


def line_of(scans: Sequence[ScanRecord], elapsed: float) -> str:
    """How far `scans` are, the newest by name."""
    parts = [f"{elapsed:.1f} s"]
    if scans:
        newest = scans[-1]
        waited = sum(scan.throttled for scan in scans)
        parts = [
            f"{newest.connector} {newest.path}".strip() + (f" and {len(scans) - 1} more" if len(scans) > 1 else ""),
            _many(sum(scan.pages for scan in scans), "page"),
            _many(sum(scan.rows for scan in scans), "row"),
            _many(sum(scan.requests for scan in scans), "request"),
            *([f"{waited:.0f} s of waits"] if waited >= 1 else []),
            *parts,
        ]
    return " · ".join(parts) + "  (Ctrl-C stops)"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
