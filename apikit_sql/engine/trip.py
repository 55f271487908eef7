"""All the pages of one plan, as a dialogue: what is wanted next, and what was accepted.

A trip does no I/O and does not know who fetches, or how many pages at once: each page is asked for only when the one
before it is known, or known to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.evidence import find_pagination, refuse_unfollowed, with_known_end
from apikit_sql.engine.exchange import fetch_page
from apikit_sql.engine.expected import expected_requests
from apikit_sql.engine.graphql import unfollowed
from apikit_sql.engine.pagination import PageRequest, Progress, check_guard, first_request, is_past_end, next_request
from apikit_sql.engine.refusal import where
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page, Steps
from apikit_sql.errors import DecodeError, PaginationError
from apikit_sql.plan.request_plan import RequestPlan


@dataclass(frozen=True)
class Wanted:
    """A page that a trip wants: the steps that fetch it, or the page itself where it is there already.

    `expected` are the pages known to follow it, told once; `is_end_known` tells that no others do.
    """

    request: PageRequest
    number: int  # from 1, within its trip
    fetch: Callable[[], Steps[Page | None]]
    page: Page | None = None
    expected: Iterable[Wanted] = ()
    is_end_known: bool = False


#: Says what it wants, is sent the page (None where its status says that the end is past), and hands on what it accepts.
Dialogue = Generator[Wanted | Page, Page | None, None]


def trip(plan: RequestPlan, access: Access, kept: Sequence[Page] = ()) -> Dialogue:
    """Every page of `plan`, in order, beginning with those `kept` already.

    After each page that was sent in it gives this page, if it is not past the end, and then what it wants next. Raises
    an ApikitError that names the API.
    """
    request: PageRequest | None = first_request(plan)
    settings, seen, progress = plan.pagination, set[PageRequest](), Progress()
    expected: Iterator[PageRequest] | None = None
    while request is not None:
        seen.add(request)
        fetch, number = partial(fetch_page, plan, settings, access), progress.pages + 1
        with _naming(plan, access, request, number):
            check_guard(settings, progress)
        page = yield Wanted(
            request,
            number,
            partial(fetch, request, number),
            kept[progress.pages] if progress.pages < len(kept) else None,
            _ahead(fetch, expected or iter(()), range(number + 1, _most_pages(plan, settings) + 1)),
            expected is not None,
        )
        with _naming(plan, access, request, number):
            if is_past_end(settings, page, progress):
                return
            assert page is not None  # noqa: S101 - else it is past the end
            progress, is_first = progress.after(settings, request, page), progress.pages == 0
            access.scan.unfollowed |= unfollowed(plan, page)
        yield page
        with _naming(plan, access, request, number):
            if is_first:
                settings = _settled(settings, page, request, access.scan, is_last=number == plan.pages)
            if number == plan.pages:
                access.scan.is_truncated |= _has_more(plan.pagination, settings, page, progress)
                return
            following = next_request(settings, page, progress)
            if following is None and is_first:
                refuse_unfollowed(settings, page, request)
            if following in seen:
                message = f"page {page.number} leads back to an earlier page."
                raise PaginationError(message)
            request = following
            expected = expected_requests(settings, page, progress, request) if is_first and request else None


def _most_pages(plan: RequestPlan, settings: PaginationConfig) -> int:
    return settings.max_pages if plan.pages is None else min(plan.pages, settings.max_pages)


def _ahead(
    fetch: Callable[[PageRequest, int], Steps[Page | None]], requests: Iterator[PageRequest], numbers: range
) -> Iterator[Wanted]:
    """The pages that `requests` bring, which have these numbers."""
    for number, request in zip(numbers, requests, strict=False):  # numbers end at the guard, requests at the last page
        yield Wanted(request, number, partial(fetch, request, number))


def _settled(
    settings: PaginationConfig, page: Page, request: PageRequest, scan: ScanRecord, *, is_last: bool
) -> PaginationConfig:
    """`settings` with what only the first page tells; nobody asks for more where it `is_last`, too."""
    if settings.strategy == "auto":
        found = find_pagination(settings, page, request, is_last=is_last)
        scan.pagination = f"{found.pagination.strategy} ({found.reason})"
        scan.doubts |= {found.doubt} - {""}
        return found.pagination
    scan.pagination = settings.strategy
    return with_known_end(settings, page)


def _has_more(said: PaginationConfig, settings: PaginationConfig, page: Page, progress: Progress) -> bool:
    """Whether pages follow `page`, which the caller wanted to be the last; `said` are the settings before it came."""
    try:
        if next_request(settings, page, progress) is not None:
            return True
        if progress.pages == 1:
            refuse_unfollowed(said, page, progress.request)
    except PaginationError:
        return True
    return False


@contextmanager
def _naming(plan: RequestPlan, access: Access, request: PageRequest, number: int) -> Iterator[None]:
    """While inside, a PaginationError gets the API and the path in front; a DecodeError of records the page, too."""
    try:
        yield
    except PaginationError as error:
        message = f"{where(plan, request)}: {access.credential.hide(str(error))}"
        raise PaginationError(message) from None
    except DecodeError as error:
        message = f"{where(plan, request)}, page {number}: {error}"
        raise DecodeError(access.credential.hide(message)) from None
