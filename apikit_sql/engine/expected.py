"""The requests of pages that are known to follow, so that they can be fetched before the pages between have come.

Nothing here guesses: the first page has told its total, its number of pages, or a `last` link. What each page then
says itself decides; a request that was expected and is not wanted after all is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.link import link_target
from apikit_sql.engine.pagination import (
    PageRequest,
    Progress,
    began_at_start,
    count_of,
    follow,
    pages_of,
    sent_number,
    total_of,
)
from apikit_sql.engine.steps import Page
from apikit_sql.errors import PaginationError

_IN_QUERY = PaginationConfig()  # settings that put their parameters there, as links do


def expected_requests(
    settings: PaginationConfig, page: Page, progress: Progress, following: PageRequest
) -> Iterator[PageRequest] | None:
    """The requests after `following`, the second, in order; None where the first page does not tell where they end."""
    match settings.strategy:
        case "page":
            return _by_number(settings, page, progress, following)
        case "offset":
            return _by_offset(settings, page, following)
        case "link":
            return _by_last_link(page, progress, following)
        case _:
            return None


def _by_number(
    settings: PaginationConfig, page: Page, progress: Progress, following: PageRequest
) -> Iterator[PageRequest] | None:
    assert settings.page_param is not None  # noqa: S101 - the model refuses it
    param = settings.page_param
    pages, total, size = pages_of(settings, page), total_of(settings, page), len(page.envelope.records)
    if pages is None and total is not None and size and began_at_start(settings, progress):
        pages = -(-total // size)
    if pages is None:
        return None
    numbers = range(sent_number(settings, following, param, settings.start_page) + 1, settings.start_page + pages)
    return (following.with_values(settings, {param: number}) for number in numbers)


def _by_offset(settings: PaginationConfig, page: Page, following: PageRequest) -> Iterator[PageRequest] | None:
    assert settings.offset_param is not None  # noqa: S101 - the model refuses it
    param, total, size = settings.offset_param, total_of(settings, page), len(page.envelope.records)
    if total is None or not size:
        return None
    offset = sent_number(settings, following, param, 0)
    return (following.with_values(settings, {param: beyond}) for beyond in range(offset + size, total, size))


def _by_last_link(page: Page, progress: Progress, following: PageRequest) -> Iterator[PageRequest] | None:
    """The links between next and last, which differ in one number: RFC 8288 names them, and they count alike."""
    try:
        last = follow(progress.request, link_target(page.headers, "last"))
    except PaginationError:
        return None
    if last is not None and last.url == following.url:
        return iter(())
    here, there = urlsplit(following.url), urlsplit(last.url if last else "")
    values, ends = dict(parse_qsl(here.query)), dict(parse_qsl(there.query))
    counted = [name for name in values if values[name] != ends.get(name)]
    if here[:3] != there[:3] or values.keys() != ends.keys() or len(counted) != 1:
        return None
    (name,) = counted
    before = progress.request.value(_IN_QUERY, name) or dict(parse_qsl(urlsplit(progress.request.url).query)).get(name)
    number, end = count_of(values[name]), count_of(ends[name])
    step = _step(before, number or 0, len(page.envelope.records))
    text = f"{name}={values[name]}"
    if number is None or end is None or step < 1 or (end - number) % step or here.query.split("&").count(text) != 1:
        return None
    return (_with_number(following, text, f"{name}={beyond}") for beyond in range(number + step, end + 1, step))


def _with_number(request: PageRequest, text: str, other: str) -> PageRequest:
    """`request` with `other` in place of the part `text` of its query."""
    here = urlsplit(request.url)
    parts = [other if part == text else part for part in here.query.split("&")]
    return PageRequest(here._replace(query="&".join(parts)).geturl(), body=request.body)


def _step(before: object, second: int, size: int) -> int:
    """How far the number counts from page to page, 0 where that cannot be told; `before` is what the first page had.

    Where it had none, the second page's tells: a number of pages is 2 then, or 1, and an offset is the page's `size`.
    """
    if before is not None:
        return second - (count_of(str(before)) or 0)
    if second == size:
        return 0 if second == 2 else second  # noqa: PLR2004 - the second page, or an offset beyond two records
    return 1 if second <= 2 else 0  # noqa: PLR2004 - the second page
