"""stdin, stdout and stderr as a shell needs them, whatever they were when the process began."""

from __future__ import annotations

import io
import os
import sys

#: How each is opened, and what becomes of what UTF-8 has not: stdin keeps it for an error of that statement alone.
_STREAMS = {
    "stdin": ("r", "surrogateescape"),
    "stdout": ("w", "backslashreplace"),
    "stderr": ("w", "backslashreplace"),
}


def use_utf8() -> None:
    """Read and write UTF-8, in whatever locale; one that is closed is empty, or takes all."""
    for name, (mode, errors) in _STREAMS.items():
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the life of the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors)
