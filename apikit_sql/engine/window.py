"""Pages fetched ahead of their reader, in order, on a thread that never outlives the process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from threading import Event

from apikit_sql.engine.steps import Page
from apikit_sql.errors import ScanInterrupted

#: How often a waiting reader looks whether it was cancelled, in seconds.
LOOK_EVERY = 0.05
#: The first page whose successor is asked for before the reader wants it. A reader that stops earlier, as LIMIT does
#: after one batch or two, has caused no request that it did not need.
FIRST_AHEAD = 3


def read_ahead(pages: Generator[Page], cancelled: Event) -> Generator[Page]:
    """The same pages, each fetched on a worker thread; from the third on, one ahead of the reader.

    The reader's wait ends when `cancelled` is set, with ScanInterrupted, even while a request is under way. Closing
    this iterator closes `pages`. The worker is a daemon: a thread pool's would be joined at exit, for as long as its
    request takes.
    """
    wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
    ready: queue.SimpleQueue[Page | BaseException | None] = queue.SimpleQueue()
    worker = threading.Thread(target=_work, args=(pages, wanted, ready), name="apikit-pages", daemon=True)
    asked = taken = 0
    try:
        worker.start()
        while True:
            taken += 1
            if asked < taken:
                asked += 1
                wanted.put(True)  # noqa: FBT003 - a ticket for one page
            page = _await(ready, cancelled)
            if page is None:
                return
            if taken >= FIRST_AHEAD:
                asked += 1
                wanted.put(True)  # noqa: FBT003 - a ticket for one page
            yield page
    finally:
        wanted.put(False)  # noqa: FBT003 - a ticket for one page


def _await(ready: queue.SimpleQueue[Page | BaseException | None], cancelled: Event) -> Page | None:
    while True:
        if cancelled.is_set():
            message = "the scan was interrupted"
            raise ScanInterrupted(message)
        try:
            page = ready.get(timeout=LOOK_EVERY)
        except queue.Empty:
            continue
        if isinstance(page, BaseException):
            raise page
        return page


def _work(
    pages: Generator[Page], wanted: queue.SimpleQueue[bool], ready: queue.SimpleQueue[Page | BaseException | None]
) -> None:
    """Fetch a page for each True; stop at the end, at an error, or at False."""
    try:
        while wanted.get():
            page = next(pages, None)
            ready.put(page)
            if page is None:
                return
    except BaseException as error:  # noqa: BLE001 - the reader raises it
        ready.put(error)
    finally:
        pages.close()
