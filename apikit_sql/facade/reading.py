"""The pages of what was asked, for a reader on a thread and for one in a task: all that differs between the two."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import aclosing, asynccontextmanager, closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import TypeVar

from apikit_sql.advice import advise, keeping
from apikit_sql.engine.running import Running
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.scan_pages import AsyncScanPages, ScanPages
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ApikitError, DecodeError
from apikit_sql.facade.options import Asked
from apikit_sql.facade.progress import Show, progress
from apikit_sql.facade.threads import Kind, task_threads
from apikit_sql.facade.wording import in_python, python_words

T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """The pages as they come, and the record of their scan."""

    pages: Iterator[Page]
    record: ScanRecord


@contextmanager
def reading(session: Session, asked: Asked, cancelled: Event) -> Iterator[Reading]:
    """The pages of what is `asked`. Leaving stops the requests; at the end a page that is not followed is warned of."""
    with (
        remembering(session),
        session.running(cancelled) as running,
        progress(asked.plan.shown, is_wanted=asked.shows_progress) as show,
        session.pages(asked.plan, [asked.trip], cancelled).saying(in_python) as scan,
        closing(_each(scan, running, show)) as pages,
    ):
        yield Reading(pages, scan.record)
    _tell_rest(asked, scan.record)


@asynccontextmanager
async def areading(session: Session, asked: Asked, cancelled: Event) -> AsyncIterator[AsyncIterator[Page]]:
    """The pages of what is `asked`. Leaving stops the requests; at the end a page that is not followed is warned of."""
    with (
        remembering(session),
        session.running(cancelled) as running,
        progress(asked.plan.shown, is_wanted=asked.shows_progress) as show,
    ):
        async with (
            (await session.apages(asked.plan, [asked.trip], cancelled)).saying(in_python) as scan,
            aclosing(_aeach(scan, running, show)) as pages,
        ):
            yield pages
    _tell_rest(asked, scan.record)


def _each(scan: ScanPages, running: Running, show: Show) -> Generator[Page]:
    for _, page in scan.pages:
        with _noting(scan.record, page, running, show):
            yield page


async def _aeach(scan: AsyncScanPages, running: Running, show: Show) -> AsyncGenerator[Page]:
    async for _, page in scan.pages:
        with _noting(scan.record, page, running, show):
            yield page


@contextmanager
def _noting(record: ScanRecord, page: Page, running: Running, show: Show) -> Iterator[None]:
    """While inside, the reader works on `page`, which is counted."""
    with suppress(DecodeError):  # the reader raises it, by the page's name
        record.rows += len(page.envelope.records)
    show(page.number, record.rows)
    try:
        with running.outside():
            yield
    finally:
        record.pages = page.number  # its decoder may have counted it, too


async def in_thread(session: Session, work: Callable[[Event], T], kind: Kind = "waiting") -> T:
    """What `work` gives, done by a thread; the event that it is handed is set where this task is cancelled.

    The loop's own threads are the user's: they are few, and whoever waits for an API would hold them all.
    """
    cancelled, done, kept = Event(), Future[T](), list[str]()
    done.set_running_or_notify_cancel()

    def working() -> T:
        with session.running(cancelled), keeping(kept):  # so that the interpreter does not end in the middle of it
            return work(cancelled)

    task_threads(kind, os.getpid()).submit(partial(copy_context().run, _work, working, done))
    try:
        outcome = await asyncio.wrap_future(done)
    finally:
        cancelled.set()
    for text in kept:
        advise(text)
    return outcome


def _work(work: Callable[[], T], done: Future[T]) -> None:
    try:
        outcome = work()
    except BaseException as error:  # noqa: BLE001 - the task raises it
        done.set_exception(error)
    else:
        done.set_result(outcome)


@contextmanager
def remembering(session: Session) -> Iterator[None]:
    """While inside, an error of ours is kept among the session's, too, and has no secrets and the words of Python."""
    try:
        with python_words():
            yield
    except ApikitError as error:
        session.remember(error)
        raise


def _tell_rest(asked: Asked, record: ScanRecord) -> None:
    """Warn where the API has more than the first page, and no more was asked for."""
    if asked.is_first_page and record.is_truncated:
        message = f"{asked.plan.shown} has more pages than the one that was read. Say paginate=True for all of them."
        advise(message)
