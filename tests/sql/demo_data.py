"""The demo API's tables, walked page by page in plain Python: what a scan of them has to find."""

import json
import re
from functools import cache
from typing import Any

from apikit_sql.demo import respond

Record = dict[str, Any]
_BASE = "http://demo.test"


def _ask(url: str) -> tuple[Any, str]:
    """The body, and the Link header or nothing."""
    answer = respond("GET", url, {})
    assert answer.status == 200, answer.body
    return json.loads(answer.body), dict(answer.headers).get("Link", "")


@cache
def issues() -> list[Record]:
    found, following = [], f"{_BASE}/issues?per_page=100"
    while following:
        body, link = _ask(following)
        found += body
        after = re.search(r'<([^>]*)>; rel="next"', link)
        following = after[1] if after else ""
    return found


@cache
def customers() -> list[Record]:
    found: list[Record] = []
    more = True
    while more:
        after = f"&starting_after={found[-1]['id']}" if found else ""
        body, _ = _ask(f"{_BASE}/customers?limit=100{after}")
        found += body["data"]
        more = body["has_more"]
    return found


@cache
def orders() -> list[Record]:
    found: list[Record] = []
    while len(found) < _ask(f"{_BASE}/orders")[0]["total"]:
        found += _ask(f"{_BASE}/orders?limit=200&offset={len(found)}")[0]["items"]
    return found


@cache
def products() -> list[Record]:
    found, following = [], f"{_BASE}/products"
    while following:
        body, _ = _ask(following)
        found += body["products"]
        following = body["next"]
    return found


@cache
def events() -> list[Record]:
    total = _ask(f"{_BASE}/events?page_size=100")[0]["total_pages"]
    return [
        record
        for page in range(1, total + 1)
        for record in _ask(f"{_BASE}/events?page_size=100&page={page}")[0]["results"]
    ]


def warehouses(region: str) -> list[Record]:
    found: list[Record] = _ask(f"{_BASE}/regions/{region}/warehouses")[0]
    return found
