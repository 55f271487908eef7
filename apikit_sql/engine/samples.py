"""The pages that binds have fetched, kept for the scans that follow them."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from apikit_sql.engine.steps import Page
from apikit_sql.origin import Origin, origin_of
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
        self._forgotten: Counter[Origin] = Counter()  # how often

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

    def generation(self, plan: RequestPlan) -> int:
        """How often what `plan` reads was forgotten; to be asked before it is read."""
        with self._lock:
            return self._forgotten[origin_of(plan.base_url)]

    def keep(self, plan: RequestPlan, most: int, pages: tuple[Page, ...], generation: int) -> None:
        """Keep up to `most` `pages` of `plan` unless it was forgotten since `generation`; the oldest make room."""
        with self._lock:
            if generation != self._forgotten[origin_of(plan.base_url)]:
                return
            self._kept[plan] = _Sample(self._clock(), most, pages)
            self._kept.move_to_end(plan)
            while len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > _MOST:
                self._kept.popitem(last=False)

    def forget(self, origin: Origin) -> None:
        """Drop what connectors with a base URL of `origin` have read; what is under way is not kept either."""
        with self._lock:
            self._forgotten[origin] += 1
            for plan in [plan for plan in self._kept if origin_of(plan.base_url) == origin]:
                del self._kept[plan]

    def _is_fresh(self, kept: _Sample) -> bool:
        return self._clock() - kept.at < _LIFETIME
