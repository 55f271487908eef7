"""How the list operations of an OpenAPI document page, told by the names of parameters, headers and properties."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from apikit_sql.openapi.operations import ListOperation, Parameter
from apikit_sql.openapi.schema import Schemas, Shape
from apikit_sql.openapi.text import snake

#: Names of a page's size as `snake` writes them: `page[size]` is page_size.
LIMITS = (
    "per_page", "page_size", "pagesize", "limit", "page_limit", "max_results", "maxresults", "max_items",
    "results_per_page", "items_per_page", "count", "top", "size",
)  # fmt: skip
_PAGES = ("page", "page_number", "page_no", "page_num", "page_index", "current_page")
_OFFSETS = ("offset", "page_offset", "skip", "start_at", "start_index")
_CURSORS = (
    "cursor", "page_cursor", "after", "page_after", "after_cursor", "starting_after", "start_cursor", "next_cursor",
    "page_token", "next_page_token", "next_token", "continuation_token", "pagination_token", "marker", "bookmark",
)  # fmt: skip
#: They page too, backwards or besides, and are no filters.
_OTHERS = frozenset({"before", "page_before", "ending_before", "before_cursor", "previous_cursor", "first", "last"})
_PAGING = frozenset({*LIMITS, *_PAGES, *_OFFSETS, *_CURSORS, *_OTHERS})

#: Properties, the likeliest first.
_NEXT_URLS = (
    "next_url", "next_uri", "next_link", "next_href", "next_page_url", "next_page_uri", "next_page_link",
    "next_page_href", "next",
)  # fmt: skip
_NEXT_CURSORS = (
    "next_cursor", "next_page_token", "next_token", "next_page_cursor", "next_marker", "next_after", "next_offset",
    "next_page_offset", "next_page", "end_cursor", "continuation_token", "pagination_token", "next", "after", "cursor",
    "last_id",
)  # fmt: skip
_MORE = ("has_more", "has_next_page", "has_next", "more", "is_truncated")
#: Objects of a body that tell about its page.
_ABOUT = frozenset(
    {
        "paging", "pagination", "meta", "metadata", "links", "cursors", "response_metadata", "page_info", "next",
        "next_page",
    }
)  # fmt: skip
_LARGEST = re.compile(
    r"(?:max(?:imum)?(?: (?:value|page size|allowed|of|is|number of \w+))*|up to|at most|(?:between|from) 1 (?:and|to)"
    r"|1-)[:\s]*(\d{1,3}(?:,\d{3})+|\d{1,6})\b",
    re.IGNORECASE,
)

#: A page that no API means: the largest number of its type, written by a generator.
_ENDLESS = 10_000

Settings = dict[str, Any]


def is_paging(parameter: Parameter) -> bool:
    """Whether the parameter tells which page is wanted, or how large a page is."""
    return snake(parameter.name) in _PAGING


def paging_of(listed: ListOperation, schemas: Schemas) -> Settings:
    """The pagination of one operation; `auto` where the document does not tell."""
    given = {snake(name): each for name, each in reversed(listed.in_query().items())}
    limit = _limit(next((given[name] for name in LIMITS if name in given), None))
    page, offset, cursor = (
        next((given[name] for name in names if name in given), None) for names in (_PAGES, _OFFSETS, _CURSORS)
    )
    cursor = next((each for each in (offset, page) if each and each.shape.kinds == {"string"}), cursor)
    about = _about(listed.body, schemas)
    if listed.has_link:
        return {"strategy": "link"} | limit
    if cursor and (follow := _next_cursor(cursor, listed, about)):
        return {"strategy": "cursor", "cursor_param": cursor.name} | follow | limit
    if url := _first(about, _NEXT_URLS, are_urls=True):
        return {"strategy": "next_url", "next_url_path": url} | limit
    if page and page.shape.kinds <= {"integer", "number"}:
        start = {"start_page": 0} if 0 in (page.schema.get("default"), page.schema.get("minimum")) else {}
        return {"strategy": "page", "page_param": page.name} | start | limit
    if offset and offset.shape.kinds <= {"integer", "number"}:
        return {"strategy": "offset", "offset_param": offset.name} | limit
    return {"strategy": "auto"} | limit


def usual(told: Iterable[Settings]) -> Settings:
    """The pagination that most operations have; `auto` counts only where there is nothing else."""
    counts = Counter(json.dumps(each) for each in told if each != {"strategy": "auto"})
    best = min(counts, key=lambda text: (json.loads(text)["strategy"] == "auto", -counts[text], text), default=None)
    return json.loads(best) if best else {"strategy": "auto"}


def _limit(parameter: Parameter | None) -> Settings:
    """The parameter of the page's size, and the largest that the document names."""
    if parameter is None:
        return {}
    largest = parameter.schema.get("maximum")
    if not isinstance(largest, int) and (told := _LARGEST.search(parameter.description)):
        largest = int(told[1].replace(",", ""))
    is_told = isinstance(largest, int) and 0 < largest <= _ENDLESS
    return {"limit_param": parameter.name} | ({"page_size": largest} if is_told else {})


def _next_cursor(cursor: Parameter, listed: ListOperation, about: Mapping[str, Shape]) -> Settings | None:
    """Where the next cursor is: in the body, else it is the last record's id while the body says that there is more."""
    more = _first(about, _MORE)
    has_more = {"has_more_path": more} if more else {}
    if path := _first(about, _NEXT_CURSORS):
        return {"next_cursor_path": path} | has_more
    is_id = snake(cursor.name) in {"starting_after", "after"} and "id" in listed.record.properties
    return {"cursor_record_field": "id"} | has_more if is_id and has_more else None


def _about(body: Shape, schemas: Schemas, before: str = "", depth: int = 0) -> dict[str, Shape]:
    """The scalar properties of a body that may tell about its page, by their paths."""
    found: dict[str, Shape] = {}
    for name, each in body.properties.items():
        shape, path = schemas.shape(each, body.refs), before + name
        if "." in name:
            continue
        if shape.is_object and snake(name) in _ABOUT and depth < 2:  # noqa: PLR2004 - _links.next.href
            found |= _about(shape, schemas, f"{path}.", depth + 1)
        elif not shape.is_object:
            found[path] = shape
    return found


def _first(about: Mapping[str, Shape], names: tuple[str, ...], *, are_urls: bool = False) -> str | None:
    """The path of the property that has the first of the names; `next` alone may be a URL or a cursor."""
    found: dict[str, str] = {}
    for path, shape in about.items():
        parent, _, name = path.rpartition(".")
        before = snake(parent.rpartition(".")[2])
        word = f"{before}_{snake(name)}" if before in {"next", "next_page"} else snake(name)
        is_url = shape.format in {"uri", "url", "uri-reference"}
        if shape.kinds <= {"string", "integer", "boolean"} and (is_url == are_urls or (are_urls and word != "next")):
            found.setdefault(word, path)
    return next((found[name] for name in names if name in found), None)
