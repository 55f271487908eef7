"""One answer for each of many questions, several under way at once: for functions of a row."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from threading import Event

import httpx

from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.sockets import LOOK_EVERY
from apikit_sql.engine.steps import Steps, T
from apikit_sql.engine.workers import Task, Threads
from apikit_sql.errors import ScanInterrupted


def replies(  # noqa: PLR0913 - three settings by name
    asked: Sequence[Callable[[], Steps[T]]],
    transport: httpx.BaseTransport,
    cancelled: Event,
    *,
    concurrency: int,
    limiter: RateLimitState,
    must_finish: bool = False,
) -> Generator[tuple[int, T | BaseException]]:
    """The number of each of `asked` and what its steps bring or raise, as they come.

    At most `concurrency` are under way, fewer where the `limiter` says. Closing the iterator gives up those under way;
    so does `cancelled`, which raises ScanInterrupted. What `must_finish` ends by itself once `cancelled` is set: what
    has not been sent raises ScanInterrupted, each for itself.
    """
    workers, under_way, following = Threads[T](transport, cancelled if must_finish else None), dict[int, Task[T]](), 0
    try:
        while under_way or following < len(asked):
            if cancelled.is_set() and not must_finish:
                message = "the statement was interrupted"
                raise ScanInterrupted(message)
            while following < len(asked) and len(under_way) < min(concurrency, limiter.width):
                under_way[following] = workers.submit(asked[following])
                following += 1
            workers.wait(LOOK_EVERY)
            for number in [number for number, task in under_way.items() if task.is_done]:
                outcome = under_way.pop(number).outcome
                assert outcome is not None  # noqa: S101 - it is done
                yield number, outcome
    finally:
        workers.stop()
