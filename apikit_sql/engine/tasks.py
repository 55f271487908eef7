"""Tasks of an event loop that take steps: as many as there are requests under way at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic

import httpx

from apikit_sql.engine.drivers import adrive
from apikit_sql.engine.steps import Steps, T
from apikit_sql.engine.workers import Task


class Tasks(Generic[T]):
    """Tasks of the event loop that is running."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        """No task yet."""
        self._transport = transport
        self._running: set[asyncio.Task[None]] = set()
        self._has_come = asyncio.Event()
        self.under_way = 0

    def submit(self, steps: Callable[[], Steps[T]]) -> Task[T]:
        """The task whose `steps` are being taken."""
        task = Task(steps)
        self.under_way += 1
        running = asyncio.create_task(self._work(task), name="apikit-pages")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return task

    def collect(self) -> None:
        """All that has come is taken note of when it comes."""

    async def wait(self, longest: float) -> None:
        """Wait up to `longest` seconds for something to come."""
        with suppress(TimeoutError):  # of Python 3.11, wait_for loses a cancel that comes together with the event
            async with asyncio.timeout(longest):
                await self._has_come.wait()
        self._has_come.clear()

    def stop(self) -> None:
        """Give up what is under way."""
        for running in self._running:
            running.cancel()

    async def join(self) -> None:
        """Wait until all that was given up has ended."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _work(self, task: Task[T]) -> None:
        try:
            task.outcome = await adrive(task.steps(), self._transport)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whoever asked raises it
            task.outcome = error
        task.is_done = True
        self.under_way -= 1
        self._has_come.set()
