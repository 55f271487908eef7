"""A page and the request that brought it -> the next request, or none. Pure: settings in, requests out.

`auto` becomes one of the other strategies by the evidence in the first page; `evidence.py` reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never
from urllib.parse import quote, urlencode, urljoin

import httpx

from apikit_sql.connector.manifest import PaginationConfig
from apikit_sql.engine.steps import Page
from apikit_sql.errors import PaginationError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import Envelope

_PARAMETER = r"""\s*;\s*([^\s=;,"<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?"""
_ATTRIBUTE = re.compile(_PARAMETER)
_LINK = re.compile(r"<\s*([^<>]*?)\s*>((?:" + _PARAMETER.replace("(", "(?:").replace("(?:?:", "(?:") + ")*)")


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

    def param(self, name: str) -> str | None:
        """The value of a query parameter, None where it is not sent."""
        return dict(self.params).get(name)

    def with_params(self, changed: Mapping[str, str]) -> PageRequest:
        """The same request with these query parameters."""
        kept = tuple(pair for pair in self.params if pair[0] not in changed)
        return replace(self, params=kept + tuple(changed.items()))

    def with_body_fields(self, changed: Mapping[str, object]) -> PageRequest:
        """The same request with these fields of its JSON body."""
        return replace(self, body=json.dumps({**json.loads(self.body or b"{}"), **changed}).encode())


@dataclass(frozen=True)
class Progress:
    """How far a trip has come once its newest page is in: pages and records seen, and the page before the newest."""

    request: PageRequest
    pages: int
    records: int
    previous: Envelope | None = None


def first_request(plan: RequestPlan) -> PageRequest:
    """The request of a trip's first page, with the parameters that its strategy starts with."""
    settings, request = plan.pagination, PageRequest(plan.base_url + plan.path, plan.params, plan.body)
    starting: dict[str, str] = {}
    if settings.limit_param and settings.page_size:
        starting[settings.limit_param] = str(settings.page_size)
    if settings.strategy == "page" and settings.page_param:
        starting[settings.page_param] = str(settings.start_page)
    if settings.strategy == "offset" and settings.offset_param:
        starting[settings.offset_param] = "0"
    if settings.params_in == "body":
        return request.with_body_fields({name: int(value) for name, value in starting.items()})
    return request.with_params({name: value for name, value in starting.items() if request.param(name) is None})


def next_request(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    """The request after `page`, or None where `page` was the last.

    Raises PaginationError where the API says that there is more and no request leads to it.
    """
    match settings.strategy:
        case "none" | "auto":
            return None
        case "link":
            return _follow(progress.request, next_link(page.headers))
        case "next_url":
            return _follow(progress.request, _next_url(settings, page))
        case "cursor":
            return _next_cursor(settings, page, progress.request)
        case "offset":
            return _next_offset(settings, page, progress)
        case "page":
            return _next_number(settings, page, progress)
        case "relay":
            message = "the strategy 'relay' belongs to GraphQL queries, not to a path."
            raise PaginationError(message)
        case _ as unreachable:
            assert_never(unreachable)


def next_link(headers: httpx.Headers) -> str | None:
    """The target of `rel="next"` in the Link header (RFC 8288, section 3), None where there is none.

    Targets may hold commas and semicolons, a relation type may stand among several, and only the first rel counts.
    """
    for target, attributes in _LINK.findall(headers.get("link", "")):
        relation = next(
            (quoted or plain for name, quoted, plain in _ATTRIBUTE.findall(attributes) if name.lower() == "rel"), ""
        )
        if "next" in relation.lower().split():
            return str(target)
    return None


def _follow(request: PageRequest, link: str | None) -> PageRequest | None:
    """The request that `link`, perhaps relative, leads to."""
    return None if not link else PageRequest(urljoin(request.full_url, link), body=request.body)


def _next_url(settings: PaginationConfig, page: Page) -> str | None:
    if settings.next_url_header and (url := page.headers.get(settings.next_url_header)):
        return str(url)
    found = page.envelope.at(settings.next_url_path) if settings.next_url_path else None
    if isinstance(found, dict):
        found = found.get("href")  # HAL and JSON:API may write a link as an object
    if found is not None and not isinstance(found, str):
        message = f"{settings.next_url_path} is {found!r}, not a URL."
        raise PaginationError(message)
    return found


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
    if settings.params_in == "body":
        return request.with_body_fields(cursors)
    return request.with_params({name: _cursor_text(value) for name, value in cursors.items()})


def _cursors(settings: PaginationConfig, page: Page) -> Iterable[tuple[str, Any]]:
    """Each cursor that the page gives, under the parameter that sends it back."""
    for field in settings.cursor_fields:
        if (value := page.envelope.at(field)) not in {None, ""}:
            yield field.rpartition(".")[2], value
    if settings.cursor_fields or settings.cursor_param is None:
        return
    value = None
    if settings.next_cursor_header:
        value = page.headers.get(settings.next_cursor_header)
    elif settings.next_cursor_path:
        value = page.envelope.at(settings.next_cursor_path)
    elif settings.cursor_record_field:
        value = page.envelope.of_last_record(settings.cursor_record_field)
    if value is not None and value is not False and value != "":
        yield settings.cursor_param, value


def _cursor_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _next_offset(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    assert settings.offset_param is not None  # noqa: S101 - the model refuses it
    offset = _sent_number(progress.request, settings.offset_param, 0)
    count = len(page.envelope.records)
    total = _total(settings, page)
    if _is_end(page, progress, total, beyond=offset + count):
        return None
    return progress.request.with_params({settings.offset_param: str(offset + count)})


def _next_number(settings: PaginationConfig, page: Page, progress: Progress) -> PageRequest | None:
    assert settings.page_param is not None  # noqa: S101 - the model refuses it
    number = _sent_number(progress.request, settings.page_param, settings.start_page)
    last = page.envelope.at(settings.total_pages_path) if settings.total_pages_path else None
    if isinstance(last, int) and number - settings.start_page + 1 >= last:
        return None
    is_whole = number - settings.start_page + 1 == progress.pages  # else the caller began in the middle
    total = _total(settings, page) if is_whole else None
    if _is_end(page, progress, total, beyond=progress.records):
        return None
    return progress.request.with_params({settings.page_param: str(number + 1)})


def _is_end(page: Page, progress: Progress, total: int | None, *, beyond: int) -> bool:
    """Whether no records lie beyond the first `beyond`: by the total, else by an empty or a repeated page.

    A server that clamps a page past the end answers the last one again. Were it to answer the first one again, it
    would be ignoring the parameter, which is an error and not an end.
    """
    if total is not None and beyond >= total:
        return True
    if not page.envelope.records:
        if total is not None:
            message = f"the API says there are {total} records, but sent an empty page after {beyond}."
            raise PaginationError(message)
        return True
    is_repeated = progress.previous is not None and progress.previous.records == page.envelope.records
    if is_repeated and progress.pages == 2:  # noqa: PLR2004 - the second page repeats the first
        message = "page 2 repeats page 1: the API ignores the page's parameter, or has one page only."
        raise PaginationError(message)
    return is_repeated


def _total(settings: PaginationConfig, page: Page) -> int | None:
    """How many records there are in all, where the API says so."""
    found = page.headers.get(settings.total_header) if settings.total_header else None
    if settings.total_path:
        found = page.envelope.at(settings.total_path)
    if isinstance(found, bool) or not isinstance(found, int | str):
        return None
    return int(found) if isinstance(found, int) or found.isdecimal() else None


def _sent_number(request: PageRequest, param: str, default: int) -> int:
    text = request.param(param)
    if text is None:
        return default
    if not text.isdecimal():
        message = f"the parameter {param} = {text!r} is not a number to count on from."
        raise PaginationError(message)
    return int(text)
