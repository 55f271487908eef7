"""Pages in order, for a reader who waits on a thread or in a task. All that differs between the two is in this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from threading import Event
from typing import Self, Unpack

import httpx

from apikit_sql.engine.sockets import LOOK_EVERY
from apikit_sql.engine.steps import Page
from apikit_sql.engine.tasks import Tasks
from apikit_sql.engine.trip import Dialogue
from apikit_sql.engine.window import NOT_YET, Window, WindowSettings
from apikit_sql.engine.workers import Threads
from apikit_sql.errors import ApikitError


class Pages(Iterator[tuple[int, Page]]):
    """The pages of a `Window`, fetched by threads; closing, or the end, lets them go."""

    def __init__(
        self,
        trips: Sequence[Callable[[], Dialogue]],
        transport: httpx.BaseTransport,
        cancelled: Event,
        **settings: Unpack[WindowSettings],
    ) -> None:
        """Pages of which none has been asked for yet."""
        self._workers = Threads[Page | None](transport)
        self._window = Window(trips, self._workers, cancelled, **settings)

    def __enter__(self) -> Self:
        """The pages themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self.close()

    def __next__(self) -> tuple[int, Page]:
        """The next page and its trip's number. Raises what its trip raises."""
        try:
            while (found := self._window.next_page()) is NOT_YET:
                self._workers.wait(LOOK_EVERY)
        except BaseException:
            self.close()
            raise
        if found is None:
            self.close()
            raise StopIteration
        return found

    def close(self) -> None:
        """Ask for nothing more. Requests under way are given up."""
        self._window.close()

    def fail(self, error: ApikitError) -> None:
        """End the trip of the newest page, which turned out to be unreadable: what follows is as if it had not come."""
        self._window.fail(error)

    def is_ready(self) -> bool:
        """Whether the next page is there already."""
        return self._window.is_ready()


class AsyncPages(AsyncIterator[tuple[int, Page]]):
    """The pages of a `Window`, fetched by tasks of the running event loop; closing, or the end, cancels them."""

    def __init__(
        self,
        trips: Sequence[Callable[[], Dialogue]],
        transport: httpx.AsyncBaseTransport,
        cancelled: Event,
        **settings: Unpack[WindowSettings],
    ) -> None:
        """Pages of which none has been asked for yet."""
        self._workers = Tasks[Page | None](transport)
        self._window = Window(trips, self._workers, cancelled, **settings)

    async def __anext__(self) -> tuple[int, Page]:
        """The next page and its trip's number. Raises what its trip raises."""
        try:
            while (found := self._window.next_page()) is NOT_YET:
                await self._workers.wait(LOOK_EVERY)
        except BaseException:
            await self.aclose()
            raise
        if found is None:
            await self.aclose()
            raise StopAsyncIteration
        return found

    async def aclose(self) -> None:
        """Ask for nothing more. Requests under way are given up."""
        self._window.close()
        await self._workers.join()
