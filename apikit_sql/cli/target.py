"""Where rows go: stdout, or a file."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TextIO

from apikit_sql.cli.visible import visible


class Target:
    """What rows are written to. A file of `once` is for one statement, one of `send_to` until the next."""

    def __init__(self) -> None:
        """Rows go to stdout."""
        self._file: TextIO | None = None
        self._once: TextIO | None = None
        self._is_inside_line = False

    @property
    def is_terminal(self) -> bool:
        """Whether rows are shown on a terminal."""
        return self._stream.isatty()

    def send_to(self, path: str | None) -> None:
        """Rows go to the file at `path`, or to stdout. Raises OSError where it cannot be written."""
        file = None if path is None else _opened(path)
        self.close()
        self._file = file

    def once(self, path: str) -> None:
        """The rows of the next statement go to the file at `path`. Raises OSError where it cannot be written."""
        self.end_once()
        self._once = _opened(path)

    def end_once(self) -> None:
        """The statement is over."""
        if self._once is not None:
            with contextlib.suppress(OSError):  # as below
                self._once.close()
            self._once = None

    def write(self, text: str) -> None:
        """Write `text`, so that whoever reads it can see it. Raises OSError where it cannot be written."""
        try:
            self._stream.write(visible(text) if self.is_terminal else text)
            self._stream.flush()
        except OSError as error:
            error.filename = self._stream.name
            raise
        self._is_inside_line = not text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line on a terminal where a statement has broken off within one."""
        if self._is_inside_line and self.is_terminal:
            self.write("\n")

    def close(self) -> None:
        """Close what is open; rows go to stdout."""
        self.end_once()
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written has been told
                self._file.close()
            self._file = None

    @property
    def _stream(self) -> TextIO:
        return self._once or self._file or sys.stdout


def _opened(path: str) -> TextIO:
    return Path(path).expanduser().open("w", encoding="utf-8", newline="")
