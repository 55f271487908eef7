"""What is worth knowing and stops nothing: warned of where this package was called, or kept until that is known."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from apikit_sql.errors import ApikitWarning

_OWN = str(Path(__file__).parent)
_KEPT: ContextVar[list[str] | None] = ContextVar("apikit_kept", default=None)


def advise(text: str) -> None:
    """Warn of `text`, by the line that has called this package; within `keeping` it joins what is kept."""
    kept = _KEPT.get()
    if kept is not None:
        kept.append(text)
        return
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - what warnings itself goes by
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_OWN, contextlib.__file__)):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, ApikitWarning, stacklevel=level)


@contextmanager
def keeping(kept: list[str]) -> Iterator[None]:
    """While inside, in this context, advice joins `kept`: whoever has called is on another thread, to tell it there."""
    before = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(before)
