"""A real terminal: a process on a pseudo terminal, and the screen that a person would see."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

_COLUMNS, _LINES = 100, 40


class Terminal:
    """`apikit-sql` with `arguments`, on a terminal of its own."""

    def __init__(self, arguments: Sequence[str], home: Path, *, columns: int = _COLUMNS, lines: int = _LINES) -> None:
        """The process has been started; what it keeps is in the folder `home`."""
        kept = {"APIKIT_HISTORY": str(home / "history"), "APIKIT_CONFIG_PATH": str(home / "config.toml")}
        self._screen = _AnsweringScreen(columns, lines, self.press)
        self._stream = pyte.ByteStream(self._screen)
        self._process = pexpect.spawn(
            sys.executable,
            ["-m", "apikit_sql.cli", *arguments],
            env={**os.environ, "TERM": "xterm-256color", **kept},
            dimensions=(lines, columns),
            echo=False,
        )

    def press(self, keys: str) -> None:
        """Press these keys."""
        self._process.send(keys)

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C."""
        self._process.sendintr()

    def wait_for(self, text: str, *, longest: float = 60) -> float:
        """The seconds until the screen shows `text`. Raises AssertionError where it does not within the `longest`."""
        return self.wait_until(lambda shown: text in shown, repr(text), longest=longest)

    def wait_until(self, is_met: Callable[[str], bool], what: str, *, longest: float = 60) -> float:
        """The seconds until what the screen shows is as it is waited for."""
        started = time.monotonic()
        while not is_met(self.shown):
            if time.monotonic() - started > longest:
                message = f"no {what} within {longest} s:\n{self.shown}"
                raise AssertionError(message)
            self._read()
        return time.monotonic() - started

    def wait_for_end(self, *, longest: float = 60) -> int | None:
        """The exit code, when the process has ended."""
        deadline = time.monotonic() + longest
        while self._process.isalive() and time.monotonic() < deadline:
            self._read()
        self._process.close()
        code: int | None = self._process.exitstatus
        return code

    @property
    def shown(self) -> str:
        """The lines of the screen, from the top."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def screen(self) -> pyte.Screen:
        """The screen, with its colours."""
        return self._screen

    def _read(self) -> None:
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            self._stream.feed(self._process.read_nonblocking(65_536, timeout=0.02))

    def __enter__(self) -> Self:
        """The terminal; its process ends with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.close(force=True)


class _AnsweringScreen(pyte.Screen):
    """A screen that answers where its cursor is, as terminals do."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], None]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)
