"""The pages that binds have fetched, kept for the scans that follow them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from apikit_sql.engine.steps import Page
from apikit_sql.plan.request_plan import RequestPlan

_LIFETIME = 30.0  # seconds
_MOST = 64 * 2**20  # bytes


@dataclass(frozen=True)
class _Sample:
    """The first pages of a plan, up to `most`, as a bind has fetched them."""

    at: float
    most: int
    pages: tuple[Page, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(page.size for page in self.pages)


class Samples:
    """The newest pages of each plan that was sampled lately. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """None yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[RequestPlan, _Sample] = OrderedDict()

    def look(self, plan: RequestPlan, most: int) -> tuple[Page, ...] | None:
        """Up to `most` pages of `plan`, kept for more binds; None where so many were not sampled, or long ago."""
        with self._lock:
            kept = self._kept.get(plan)
        return kept.pages[:most] if kept is not None and kept.most >= most and self._is_fresh(kept) else None

    def take(self, plan: RequestPlan) -> tuple[Page, ...]:
        """The pages of `plan`, once: a later scan reads the API afresh."""
        with self._lock:
            kept = self._kept.pop(plan, None)
        return kept.pages if kept is not None and self._is_fresh(kept) else ()

    def kept(self, plan: RequestPlan) -> tuple[Page, ...]:
        """The pages of `plan` that a scan would take, left where they are."""
        with self._lock:
            kept = self._kept.get(plan)
        return kept.pages if kept is not None and self._is_fresh(kept) else ()

    def keep(self, plan: RequestPlan, most: int, pages: tuple[Page, ...]) -> None:
        """Keep up to `most` `pages` of `plan`; the oldest go when there are too many."""
        with self._lock:
            self._kept[plan] = _Sample(self._clock(), most, pages)
            self._kept.move_to_end(plan)
            while len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > _MOST:
                self._kept.popitem(last=False)

    def forget(self, connector: str) -> None:
        """Drop the pages of `connector`."""
        with self._lock:
            for plan in [plan for plan in self._kept if plan.connector == connector]:
                del self._kept[plan]

    def _is_fresh(self, kept: _Sample) -> bool:
        return self._clock() - kept.at < _LIFETIME
