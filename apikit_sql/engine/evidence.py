"""How an API pages, told by its first page alone: what stands in the response and the request, and no guess.

The order: a Link header, a next URL in the body, a cursor, then totals with page or offset parameters in the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.link import link_target
from apikit_sql.engine.pagination import PageRequest, count_of
from apikit_sql.engine.steps import Page
from apikit_sql.errors import PaginationError
from apikit_sql.records import Envelope

#: Where pagination words stand, beside the records: at the top, or in one of these objects.
_PLACES = (
    "", "meta", "pagination", "paging", "page", "page_info", "pageInfo", "info", "links", "_links", "metadata",
    "response_metadata", "meta.pagination", "meta.page", "paging.next", "paging.cursors",
)  # fmt: skip
_NEXT_URL = (
    "next",
    "next_url",
    "nextUrl",
    "next_page_url",
    "nextLink",
    "next_link",
    "@odata.nextLink",
    "nextPage",
    "next_page",
)
_ALWAYS_URL = frozenset({"next_url", "nextUrl", "next_page_url", "nextLink", "next_link"})
_LOOKS_LIKE_URL = re.compile(r"https?://|/|\?|[^\s?]+\?[^\s=]+=")
#: A cursor's name in the body, and the query parameter that APIs with that name take it back under.
_CURSORS = {
    "next_cursor": "cursor", "nextCursor": "cursor", "next_page_token": "page_token", "nextPageToken": "pageToken",
    "next_token": "next_token", "nextToken": "nextToken", "after": "after", "endCursor": "after", "end_cursor": "after",
    "continuation_token": "continuation_token", "continuationToken": "continuationToken", "scroll_id": "scroll_id",
}  # fmt: skip
_HAS_MORE = ("has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage", "more")
_TOTAL = (
    "total", "total_count", "totalCount", "total_results", "totalResults", "total_items", "totalItems", "total_records",
    "totalElements", "items", "count", "@odata.count",
)  # fmt: skip
_TOTAL_PAGES = ("total_pages", "totalPages", "pages", "page_count", "pageCount", "last_page", "lastPage", "num_pages")
_WORDS = (*_NEXT_URL, *_CURSORS, *_HAS_MORE, *_TOTAL, *_TOTAL_PAGES)
_SHOWN = 3  # words of the API's that are told
_TOTAL_HEADERS = ("x-total-count", "x-total", "total-count", "x-wp-total")
_PAGE_PARAMS = ("page", "_page", "p", "page_number", "pageNumber", "page[number]", "pageno", "pg")
_OFFSET_PARAMS = (
    "offset", "_offset", "_start", "start", "skip", "$skip", "startAt", "start_at", "startIndex", "page[offset]",
)  # fmt: skip
_USUAL_PAGE_SIZES = frozenset(
    {10, 12, 15, 20, 24, 25, 30, 40, 50, 60, 75, 80, 90, 100, 120, 150, 200, 250, 300, 500, 1000}
)


class Evidence(NamedTuple):
    """What a first page tells: the strategy to go on with, and what told it."""

    pagination: PaginationConfig
    reason: str
    doubt: str = ""  # what its reader ought to know


def find_pagination(settings: PaginationConfig, page: Page, request: PageRequest, *, is_last: bool = False) -> Evidence:
    """The strategy that `page`, the first, gives evidence of; `none` where it gives none.

    Raises PaginationError where the page says that there is more and nothing tells how to get it; doubts where there
    is no evidence but the number of records looks like a page's. Neither where it `is_last`, as its reader wants it.
    """
    envelope = page.envelope
    for evidence in (_by_link(page), _by_next_url(envelope), _by_cursor(envelope), _by_numbers(page, request)):
        if evidence is not None:
            strategy, fields, reason = evidence
            return Evidence(settings.model_copy(update={"strategy": strategy, **fields}), reason)
    if not is_last:
        refuse_unfollowed(settings, page, request)
    doubt = "" if is_last else _doubt(page)
    return Evidence(settings.model_copy(update={"strategy": "none"}), "no sign of further pages", doubt)


def why_none(page: Page, request: PageRequest) -> str:
    """Why the first page, which `refuse_unfollowed` lets pass, leads to no other: its words, or what is not there."""
    envelope, seen = page.envelope, len(page.envelope.records)
    if envelope.is_single and envelope.record_path == "":
        return "the body is one object, which is one record"
    if _speaks_of_pages(page):
        totals = {name: page.headers[name] for name in _TOTAL_HEADERS if name in page.headers}
        said = {**dict(_beside(envelope, _WORDS)), **totals}
        told = ", ".join(f"{name} = {page.shown(json.dumps(value))}" for name, value in list(said.items())[:_SHOWN])
        return f"the API says that this is all: {told}"
    if "link" in page.headers:
        return 'the Link header has no rel="next"'
    silence = "no Link header, next URL, cursor, has_more or total"
    sent = {name: value for name, value in request.params if value.isdecimal()}
    for names, strategy, counted in ((_PAGE_PARAMS, "page", "pages"), (_OFFSET_PARAMS, "offset", "records")):
        if param := next((name for name in names if name in sent), None):
            settings = f"{{'strategy': '{strategy}', '{strategy}_param': '{param}'}}"
            return f"{silence}; if {param} counts its {counted}, say pagination := {settings}"
    if seen and (seen in _USUAL_PAGE_SIZES or str(seen) in sent.values()):
        return f"{silence}; but {seen} records look like a full page: if there are more, say pagination := {{...}}"
    return silence


def _doubt(page: Page) -> str:
    """What to say where nothing speaks of further pages but the number of records."""
    if len(page.envelope.records) not in _USUAL_PAGE_SIZES or _speaks_of_pages(page):
        return ""
    return (
        f"{page.url} gave exactly {len(page.envelope.records)} records and no sign of further pages. "
        "If there are more, say pagination := {'strategy': ...}; if not, pagination := 'none'."
    )


def refuse_unfollowed(settings: PaginationConfig, page: Page, request: PageRequest) -> None:
    """Raise PaginationError where `page`, the first and last, says that there is more.

    That a strategy found no way on is no reason to believe that there is none. One that was named is told by has_more
    and totals only, unless what it looks for is nowhere in the page, and not where the call began in the middle;
    numbers know their own end, and a Link header without a next page is one.
    """
    is_named = settings.strategy in {"link", "next_url", "cursor"}
    if settings.strategy == "auto":
        more = _unfollowed(page)
    elif is_named and "link" not in page.headers and not _begins_in_the_middle(settings, request):
        more = _unfollowed(page, words=_words_for(settings, page))
    else:
        more = ""
    if more:
        message = (
            f"the API says that there is more ({more}) than the first page's {len(page.envelope.records)} records, "
            "but not how to ask for it. Add its paging parameters, params := {'page': 1} or {'offset': 0}, or say "
            "pagination := {...}."
        )
        raise PaginationError(message)


def with_known_end(settings: PaginationConfig, page: Page) -> PaginationConfig:
    """`settings` of the strategy `page` with the body's own number of pages, where it tells one and none was set."""
    if settings.strategy != "page" or settings.total_pages_path or settings.total_path or settings.total_header:
        return settings
    path, _ = _first_number(page.envelope, _TOTAL_PAGES)
    return settings.model_copy(update={"total_pages_path": path}) if path else settings


def _speaks_of_pages(page: Page) -> bool:
    """Whether the page says anything of further ones, so that its silence about them is an answer."""
    return any(True for _ in _beside(page.envelope, _WORDS)) or any(name in page.headers for name in _TOTAL_HEADERS)


Found = tuple[str, Mapping[str, object], str]  # a strategy, its fields, and what told it


def _by_link(page: Page) -> Found | None:
    return ("link", {}, 'Link header with rel="next"') if link_target(page.headers, "next") else None


def _by_next_url(envelope: Envelope) -> Found | None:
    for path, value in _beside(envelope, _NEXT_URL):
        target = value.get("href") if isinstance(value, dict) else value
        is_url = path.rpartition(".")[2] in _ALWAYS_URL or "@odata.nextLink" in path
        if isinstance(target, str) and target and (is_url or _LOOKS_LIKE_URL.match(target)):
            return "next_url", {"next_url_path": path}, f"next URL at {path}"
    return None


def _by_cursor(envelope: Envelope) -> Found | None:
    has_more_path, has_more = next(
        ((path, value) for path, value in _beside(envelope, _HAS_MORE) if isinstance(value, bool)), (None, None)
    )
    for path, value in _beside(envelope, tuple(_CURSORS)):
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "" and has_more is not False:
            fields = {
                "next_cursor_path": path,
                "cursor_param": _CURSORS[path.rpartition(".")[2]],
                "has_more_path": has_more_path,
            }
            return "cursor", fields, f"cursor at {path}"
    if has_more and envelope.at("object") == "list" and envelope.of_last_record("id"):
        fields = {"cursor_record_field": "id", "cursor_param": "starting_after", "has_more_path": has_more_path}
        return "cursor", fields, f'{has_more_path} in an "object": "list"'
    return None


def _by_numbers(page: Page, request: PageRequest) -> Found | None:
    sent = {name: value for name, value in request.params if value.isdecimal()}
    totals = _totals(page)
    told = next((f"{path} = {value}" for path, value in totals.values() if path is not None), None)
    fields = {field: path for field, (path, _) in totals.items()}
    for names, strategy, field in ((_PAGE_PARAMS, "page", "page_param"), (_OFFSET_PARAMS, "offset", "offset_param")):
        param = next((name for name in names if name in sent), None)
        if param and told:
            start = {"start_page": 0} if strategy == "page" and sent[param] == "0" else {}
            return strategy, {field: param, **fields, **start}, f"{told} and the parameter {param}"
    return None


def _totals(page: Page) -> dict[str, tuple[str | None, int | None]]:
    """Where the page tells how many pages and records there are, and how many, by the setting that names the place."""
    header = next((name for name in _TOTAL_HEADERS if page.headers.get(name, "").isdecimal()), None)
    return {
        "total_pages_path": _first_number(page.envelope, _TOTAL_PAGES),
        "total_path": _first_total(page.envelope),
        "total_header": (header, count_of(page.headers[header]) if header else None),
    }


def _words_for(settings: PaginationConfig, page: Page) -> tuple[str, ...]:
    """The signs of a next page that speak against a named strategy which found none.

    Where the page has no place at all for what the strategy looks for, it may look in the wrong one. APIs that give
    next URLs often give cursors too, on the last page as well; they are no sign then.
    """
    match settings.strategy:
        case "cursor" if settings.cursor_record_field is None:
            paths, header = (settings.next_cursor_path, *settings.cursor_fields), settings.next_cursor_header
            words = (*_NEXT_URL, *_CURSORS)
        case "next_url":
            paths, header, words = (settings.next_url_path,), settings.next_url_header, _NEXT_URL
        case "link":
            return _NEXT_URL  # a Link header, and there is none
        case _:
            return ()
    is_there = any(page.envelope.has(path) for path in paths if path) or (header is not None and header in page.headers)
    return () if is_there else words


def _begins_in_the_middle(settings: PaginationConfig, request: PageRequest) -> bool:
    """Whether the first request asks for a later page than the first."""
    sent = dict(request.params)
    pages = any(sent.get(name, "1") not in {"0", "1"} for name in _PAGE_PARAMS)
    return pages or any(sent.get(name, "0") != "0" for name in _OFFSET_PARAMS) or (settings.cursor_param or "") in sent


def _unfollowed(page: Page, words: Iterable[str] = (*_NEXT_URL, *_CURSORS)) -> str:
    """What says that there are more records than this page has, `` where nothing does.

    `words` are signs of a next page.
    """
    envelope, seen = page.envelope, len(page.envelope.records)
    has_more = {path: value for path, value in _beside(envelope, _HAS_MORE) if isinstance(value, bool)}
    if has_more:
        return next((f"{path} = true" for path, value in has_more.items() if value), "")
    for path, value in _beside(envelope, words):
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return f"{path} is set"
    totals = _totals(page)
    for place, total in (totals["total_path"], totals["total_header"]):
        if total is not None and total > seen:
            return f"{place} = {total}"
    place, pages = totals["total_pages_path"]
    if pages is not None and pages > 1 and seen:
        return f"{place} = {pages}"
    return ""


def _first_total(envelope: Envelope) -> tuple[str | None, int | None]:
    """A total's path and value. `count` and `items` may mean this page's, so they count only above what it holds."""
    for path, value in _beside(envelope, _TOTAL):
        name = path.rpartition(".")[2]
        count = count_of(value)
        if count is not None and (name not in {"count", "items"} or count > len(envelope.records)):
            return path, count
    return None, None


def _first_number(envelope: Envelope, names: tuple[str, ...]) -> tuple[str | None, int | None]:
    return next(((path, count) for path, value in _beside(envelope, names) if (count := count_of(value))), (None, None))


def _beside(envelope: Envelope, names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """The paths and values of `names` beside the records; none where the body is one record itself."""
    if envelope.is_single and envelope.record_path == "":
        return
    parent = envelope.record_path.rpartition(".")[0]
    names = tuple(names)
    for place in dict.fromkeys((*_PLACES, parent)):
        inside = envelope.at(place) if place else dict.fromkeys(envelope.beside)
        if isinstance(inside, dict):
            for name in names:
                path = f"{place}.{name}" if place else name
                if name in inside and path != envelope.record_path:
                    yield path, envelope.at(path)
