"""A page and the request that brought it -> the next request, or none. Pure: settings in, requests out.

`auto` becomes one of the other strategies by the evidence in the first page; `evidence.py` reads it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never
from urllib.parse import quote, urlencode, urljoin

import httpx

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.graphql import next_cursor
from apikit_sql.engine.link import link_target
from apikit_sql.engine.steps import Page
from apikit_sql.errors import PaginationError
from apikit_sql.origin import origin_of
from apikit_sql.plan.request_plan import RequestPlan

_SHOWN = 80  # characters of a caller's text that an error shows
_LONGEST_NUMBER = 18  # digits


@dataclass(frozen=True)
class PageRequest:
    """What is asked for one page. Equal requests would bring the same page again."""

    url: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def full_url(self) -> str:
        """The URL with its query."""
        return f"{self.url}?{urlencode(self.params, quote_via=quote)}" if self.params else self.url

    def value(self, settings: PaginationConfig, name: str) -> object:
        """What is sent under `name`, where `settings` put their parameters; None where nothing is."""
        if settings.params_in == "body":
            return json.loads(self.body or b"{}").get(name)
        return dict(self.params).get(name)

    def with_values(self, settings: PaginationConfig, changed: Mapping[str, object]) -> PageRequest:
        """The same request with these values, in the query or the JSON body as `settings` say."""
        if settings.params_in == "body":
            return replace(self, body=json.dumps({**json.loads(self.body or b"{}"), **changed}).encode())
        kept = tuple(pair for pair in self.params if pair[0] not in changed)
        return replace(self, params=kept + tuple((name, _text(value)) for name, value in changed.items()))

    def with_variable(self, name: str, value: str) -> PageRequest:
        """The same GraphQL query with this value of a variable."""
        asked = json.loads(self.body or b"{}")
        return replace(self, body=json.dumps({**asked, "variables": {**asked["variables"], name: value}}).encode())


@dataclass(frozen=True)
class Progress:
    """How far a trip has come: pages and records seen, the most of one page, and the newest request with its page.

    Records are counted where that tells the end: by page numbers and offsets, and on the first page.
    """

    request: PageRequest = PageRequest("")
    pages: int = 0
    records: int = 0
    page: Page | None = None
    fullest: int = 0

    def after(self, settings: PaginationConfig, request: PageRequest, page: Page) -> Progress:
        """The progress once `page` is in."""
        is_counted = self.pages == 0 or settings.strategy in {"page", "offset"}
        count = len(page.envelope.records) if is_counted else 0
        return Progress(request, self.pages + 1, self.records + count, page, max(self.fullest, count))


def first_request(plan: RequestPlan) -> PageRequest:
    """The request of a trip's first page, with the parameters that its strategy starts with."""
    settings, request = plan.pagination, PageRequest(plan.base_url + plan.path, plan.params, plan.body)
    starting: dict[str, object] = {}
    if settings.limit_param and settings.page_size:
        starting[settings.limit_param] = settings.page_size
    if settings.strategy == "page" and settings.page_param:
        starting[settings.page_param] = settings.start_page
    if settings.strategy == "offset" and settings.offset_param:
        starting[settings.offset_param] = 0
    return request.with_values(
        settings, {name: value for name, value in starting.items() if request.value(settings, name) is None}
    )


def next_request(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    """The request after `page`, or None where `page` was the last.

    Raises PaginationError where the API says that there is more and no request leads to it.
    """
    match settings.strategy:
        case "none" | "auto":
            return None
        case "link":
            return follow(progress.request, link_target(page.headers, "next"), page.shown)
        case "next_url":
            return follow(progress.request, _next_url(settings, page), page.shown)
        case "cursor":
            return _next_cursor(settings, page, progress.request)
        case "offset":
            return _next_offset(settings, page, progress)
        case "page":
            return _next_number(settings, page, progress)
        case "relay":
            cursor = next_cursor(settings, page)
            return None if cursor is None else progress.request.with_variable("after", cursor)
        case _ as unreachable:
            assert_never(unreachable)


def check_guard(settings: PaginationConfig, progress: Progress) -> None:
    """Raise PaginationError where one more page would be beyond `max_pages`: rows would be missing without a word."""
    if progress.pages == settings.max_pages:
        most = settings.max_pages
        message = f"no end within max_pages = {most} pages. Say a larger max_pages, or stop there with pages := {most}."
        raise PaginationError(message)


def is_past_end(settings: PaginationConfig, page: Page | None, progress: Progress) -> bool:
    """Whether `page`, the one after `progress`, lies past the end: it repeats the page before, or is None (a 404).

    A server that clamps a page past the end answers the last one again: it is shorter than the others, or its records
    have ids of their own and so are the same. Raises PaginationError for any other repeat, which may be of a server
    that ignores the parameter or of records that look alike, and where the API has told of more records.
    """
    newest = progress.page
    if newest is None or settings.strategy not in {"page", "offset"}:
        return False
    if page is not None:
        records, total = page.envelope.records, total_of(settings, page)
        if not records or records != newest.envelope.records:
            return False
        are_known = progress.pages > 1 and page.envelope.has_distinct("id")
        if progress.pages > 1 and not are_known and total is not None and progress.records + len(records) <= total:
            return False  # records may look alike
        is_clamped = len(records) < progress.fullest or are_known
        if not is_clamped:
            message = (
                f"page {page.number} repeats page {newest.number}: the API ignores the paging parameter, or answers "
                f"its last page for any beyond it. If that was all, say pages := {newest.number}."
            )
            raise PaginationError(message)
    if began_at_start(settings, progress):
        _refuse_short(settings, newest, progress.records)
    return True


def began_at_start(settings: PaginationConfig, progress: Progress) -> bool:
    """Whether the trip has seen every record up to its newest page: a caller may begin in the middle."""
    if settings.strategy == "page" and settings.page_param:
        number = sent_number(settings, progress.request, settings.page_param, settings.start_page)
        return number - settings.start_page + 1 == progress.pages
    newest = len(progress.page.envelope.records) if progress.page else 0
    offset = sent_number(settings, progress.request, settings.offset_param or "", 0)
    return offset + newest == progress.records


def _refuse_short(settings: PaginationConfig, page: Page, records: int) -> None:
    """Raise PaginationError where `page` tells of more than the `records` that came before the end."""
    total = total_of(settings, page)
    if total is not None and total > records:
        message = f"the API says there are {total} records, but its pages end after {records}."
        raise PaginationError(message)
    if (pages := pages_of(settings, page)) is not None:
        message = f"the API says there are {pages} pages, but they end after {records} records."
        raise PaginationError(message)


@functools.lru_cache(maxsize=1024)
def url_of(text: str) -> httpx.URL:
    """`text` as a URL, parsed once: the link of a page is the next request's. Raises InvalidURL, ValueError."""
    url = httpx.URL(text)
    _ = url.host  # decoded here, and perhaps no name
    return url


def follow(request: PageRequest, link: str | None, shown: Callable[[str], str] = str) -> PageRequest | None:
    """The request that `link`, perhaps relative, leads to.

    Raises PaginationError, which has what is `shown` of it, where it is no URL.
    """
    if not link:
        return None
    try:
        url = str(url_of(urljoin(request.full_url, link)))
        origin_of(url_of(url).host and url)  # a host or a port may be none
    except (httpx.InvalidURL, ValueError):
        message = f"the next link {shown(link)!r} is no URL."
        raise PaginationError(message) from None
    return PageRequest(url, body=request.body)


def _next_url(settings: PaginationConfig, page: Page) -> str | None:
    if settings.next_url_header and (url := page.headers.get(settings.next_url_header)):
        return str(url)
    found = page.envelope.at(settings.next_url_path) if settings.next_url_path else None
    if isinstance(found, dict):
        found = found.get("href")  # HAL and JSON:API may write a link as an object
    if not isinstance(found, str) and found is not None and found is not False:
        message = f"{settings.next_url_path} is {page.shown(_text(found))}, not a URL."
        raise PaginationError(message)
    return found or None


def _next_cursor(settings: PaginationConfig, page: Page, request: PageRequest) -> PageRequest | None:
    has_more = page.envelope.at(settings.has_more_path) if settings.has_more_path else None
    if has_more is False:
        return None
    cursors = dict(_cursors(settings, page))
    if not cursors:
        if has_more:
            message = f"{settings.has_more_path} says that there is more, but the page has no cursor."
            raise PaginationError(message)
        return None
    return request.with_values(settings, cursors)


def _cursors(settings: PaginationConfig, page: Page) -> Iterable[tuple[str, Any]]:
    """Each cursor that the page gives, under the parameter that sends it back."""
    if settings.cursor_fields:
        given = [(field.rpartition(".")[2], page.envelope.at(field)) for field in settings.cursor_fields]
    else:
        given = [(settings.cursor_param or "", _cursor(settings, page))]
    return [(name, value) for name, value in given if value is not None and value is not False and value != ""]


def _cursor(settings: PaginationConfig, page: Page) -> Any:  # noqa: ANN401 - any JSON value
    if settings.next_cursor_header:
        return page.headers.get(settings.next_cursor_header)
    if settings.next_cursor_path:
        return page.envelope.at(settings.next_cursor_path)
    if page.envelope.is_single and page.envelope.record_path == "":
        return None  # one object, no list that could go on
    return page.envelope.of_last_record(settings.cursor_record_field or "")


def _text(value: object) -> str:
    """A value as a parameter: an object is its JSON text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _next_offset(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    assert settings.offset_param is not None  # noqa: S101 - the model refuses it
    offset = sent_number(settings, progress.request, settings.offset_param, 0)
    beyond = offset + len(page.envelope.records)
    total = total_of(settings, page)
    if total is not None and beyond >= total:
        return None
    if not page.envelope.records:
        _refuse_short(settings, page, beyond)
        return None
    return progress.request.with_values(settings, {settings.offset_param: beyond})


def _next_number(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    assert settings.page_param is not None  # noqa: S101 - the model refuses it
    number = sent_number(settings, progress.request, settings.page_param, settings.start_page)
    last = pages_of(settings, page)
    if last is not None and number - settings.start_page + 1 >= last:
        return None
    is_whole = began_at_start(settings, progress)
    total = total_of(settings, page) if is_whole else None
    if total is not None and progress.records >= total:
        return None
    if not page.envelope.records:
        if is_whole:
            _refuse_short(settings, page, progress.records)
        return None
    return progress.request.with_values(settings, {settings.page_param: number + 1})


def total_of(settings: PaginationConfig, page: Page) -> int | None:
    """How many records there are in all, where the API says so."""
    found = page.headers.get(settings.total_header) if settings.total_header else None
    if settings.total_path:
        found = page.envelope.at(settings.total_path)
    return count_of(found)


def pages_of(settings: PaginationConfig, page: Page) -> int | None:
    """How many pages there are in all, where the API says so."""
    return count_of(page.envelope.at(settings.total_pages_path)) if settings.total_pages_path else None


def count_of(value: object) -> int | None:
    """The whole number that a server has written, as such or as its digits; None where it is none to count by."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= _LONGEST_NUMBER:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def sent_number(settings: PaginationConfig, request: PageRequest, param: str, default: int) -> int:
    """The number that `request` has under `param`, else `default`. Raises PaginationError where it is none."""
    sent = request.value(settings, param)
    if sent is None:
        return default
    number = count_of(sent)
    if number is None:
        message = f"the parameter {param} = {_text(sent)[:_SHOWN]} is not a number to count on from."
        raise PaginationError(message)
    return number
