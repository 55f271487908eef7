"""What one scan reads, and the record of it: leaving it stops the requests, and warns of what was passed over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Self

from apikit_sql.advice import advise
from apikit_sql.engine.pages import AsyncPages, Pages
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.errors import ApikitWarning


@dataclass(frozen=True)
class ScanPages:
    """A scan on a thread."""

    pages: Pages
    record: ScanRecord
    hide: Callable[[str], str] = str  # masks secrets

    def saying(self, say: Callable[[str], str]) -> Self:
        """The scan, whose warnings are worded by `say`."""
        return replace(self, hide=lambda text: say(self.hide(text)))

    def __enter__(self) -> Self:
        """The scan, whose pages may be read."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: object) -> None:
        """The scan is over: at its end, closed by its reader, or failed."""
        self.pages.close()
        _end(self.record, kind, self.hide)


@dataclass(frozen=True)
class AsyncScanPages:
    """A scan in a task."""

    pages: AsyncPages
    record: ScanRecord
    hide: Callable[[str], str] = str  # masks secrets

    def saying(self, say: Callable[[str], str]) -> Self:
        """The scan, whose warnings are worded by `say`."""
        return replace(self, hide=lambda text: say(self.hide(text)))

    async def __aenter__(self) -> Self:
        """The scan, whose pages may be read."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: object) -> None:
        """The scan is over: at its end, closed by its reader, or failed."""
        try:
            await self.pages.aclose()
        finally:
            _end(self.record, kind, self.hide)


def _end(record: ScanRecord, kind: type[BaseException] | None, hide: Callable[[str], str]) -> None:
    record.end(kind)
    if record.state == "failed":  # a warning made an error would hide the failure
        return
    with suppress(ApikitWarning) if record.state == "closed" else nullcontext():  # nothing may be raised then
        for text in record.warnings():
            advise(hide(text))
