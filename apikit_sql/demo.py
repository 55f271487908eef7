"""The embedded demo API: a small company's data over loopback, so that the first query works without internet.

Every route pages in a way of its own, as the APIs do that people meet. The data is drawn by hashing, so it is the same
on every machine, and all of it lies in 2025.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from apikit_sql.demo_graphql import Arguments, Resolvers, answer_query, connection

Option = TypeVar("Option")
Query = Mapping[str, str]
Record = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One response; its body is JSON in UTF-8."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class DemoServer(ThreadingTCPServer):
    """The demo API on a free port of 127.0.0.1, answering from its construction until `close()`."""

    # not a ThreadingHTTPServer: that one looks up its host's name, and offline the look-up may wait for seconds
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        """A server that already answers."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, args=(0.05,), name="apikit-demo", daemon=True).start()

    def close(self) -> None:
        """Take no more connections. Closing twice is harmless."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver declares it
        """Silence about a caller who hung up early, as one may after enough rows; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """One caller's connection, kept alive: each request on it is answered by `respond`."""

    server: DemoServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes, and Nagle would hold back the second

    def answer(self) -> None:
        body = self.rfile.read(max(0, int(self.headers.get("Content-Length") or 0)))
        answer = respond(self.command, self.server.base_url + self.path, dict(self.headers.items()), body)
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("Content-Length", str(len(answer.body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """No line on stderr: it may be the terminal of a shell."""


def respond(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """The answer to one request, the same whenever it is asked: notes are taken, and not kept.

    `url` is absolute: links to other pages keep its scheme, host and port.
    """
    if method == "POST" and urlsplit(url).path == "/graphql":
        return _json(answer_query(body, _RESOLVERS))
    if method != "GET":
        return _note(method, [unquote(step) for step in urlsplit(url).path.split("/")[1:]], body)
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        match [unquote(step) for step in parts.path.split("/")[1:]]:
            case [stream] if stream in _PAGES:
                return _PAGES[stream](url, query)
            case ["issues", number] if found := [each for each in _issues() if str(each["number"]) == number]:
                return _json(found[0])
            case ["regions", region, "warehouses"] if region in _CITIES:
                cities = enumerate(_CITIES[region], 1)
                return _json([{"id": f"{region}-{n}", "city": city, "capacity": 900 * n} for n, city in cities])
            case ["status"]:
                return _json({"status": "ok", "version": "1.0", "uptime": 12345})
            case ["private", "items"]:
                return _private_items(headers)
            case _:
                return _NOT_FOUND
    except ValueError as error:  # a number, a time, a cursor or a URL that cannot be read
        return _json({"error": {"type": "invalid_request_error", "message": f"Invalid request: {error}"}}, 400)


def _issue_page(url: str, query: Query) -> Answer:
    """Issues as GitHub lists them: a bare array, and the other pages' addresses in the Link header (RFC 8288)."""
    state, since = query.get("state", "all"), _moment(query, "since", "2025-01-01")
    if state not in {"open", "closed", "all"}:
        return _json({"message": f"Validation Failed: state is open, closed or all, not {state!r}"}, 422)
    found = [
        issue
        for issue in reversed(_issues())
        if state in {"all", issue["state"]}
        and query.get("creator") in {None, issue["user"]["login"]}
        and query.get("label") in {None, *(label["name"] for label in issue["labels"])}
        and _moment(issue, "updated_at") >= since
    ]
    size, page = _number(query, "per_page", 30, most=100), _number(query, "page", 1)
    last = max(1, -(-len(found) // size))
    pages = {"prev": page - 1, "first": 1, "next": page + 1, "last": last}
    others = {rel: number for rel, number in pages.items() if 1 <= number <= last and number != page}
    links = ", ".join(f'<{_with(url, page=number)}>; rel="{rel}"' for rel, number in others.items())
    return _json(found[(page - 1) * size : page * size], 200, *([("Link", links)] if links else []))


def _customer_page(_url: str, query: Query) -> Answer:
    """Customers as Stripe lists them: the last record's id is the cursor."""
    size = _number(query, "limit", 10, most=100)
    rest = _after(_customers(), "id", query.get("starting_after"))
    found = [customer for customer in rest if query.get("country") in {None, customer["country"]}]
    return _json({"object": "list", "data": found[:size], "has_more": len(found) > size})


def _order_page(_url: str, query: Query) -> Answer:
    earliest, latest = _moment(query, "min_created", "2025-01-01"), _moment(query, "max_created", "2026-01-01")
    found = [
        order
        for order in _orders()
        if query.get("customer") in {None, order["customer"]} and earliest <= _moment(order, "created_at") <= latest
    ]
    offset, limit = _number(query, "offset", 0, least=0), _number(query, "limit", 50, most=200)
    return _json({"items": found[offset : offset + limit], "total": len(found), "offset": offset, "limit": limit})


def _event_page(_url: str, query: Query) -> Answer:
    """Events by page number; a page past the end is not found."""
    size, page = _number(query, "page_size", 25, most=100), _number(query, "page", 1)
    total = -(-len(_events()) // size)
    if page > total:
        return _NOT_FOUND
    return _json({"page": page, "total_pages": total, "results": _events()[(page - 1) * size : page * size]})


def _product_page(url: str, query: Query) -> Answer:
    """Products; the body holds the whole URL of the next page."""
    size = _number(query, "limit", 20, most=100)
    rest = _after(_products(), "sku", query.get("after"))
    return _json({"products": rest[:size], "next": _with(url, after=rest[size - 1]["sku"]) if rest[size:] else None})


def _issue_connection(arguments: Arguments) -> Record:
    """Issues as GitHub's GraphQL has them: the newest first, all or those of a state."""
    state = str(arguments.get("state") or "all").lower()
    return connection([issue for issue in reversed(_issues()) if state in {"all", issue["state"]}], arguments)


def _issue_of(arguments: Arguments) -> Record | None:
    return next((issue for issue in _issues() if issue["number"] == arguments.get("number")), None)


def _note(method: str, steps: list[str], body: bytes) -> Answer:
    """A note on an order, made, changed or taken away; anything else is not allowed."""
    match method, steps:
        case ("POST", ["orders", order, "notes"]) | ("PUT" | "PATCH" | "DELETE", ["orders", order, "notes", _]):
            pass
        case _:
            return _json({"message": f"{method} is not allowed here"}, 405, ("Allow", "GET"))
    if not order.isdecimal() or not 1 <= int(order) <= len(_orders()):
        return _NOT_FOUND
    if method == "DELETE":
        return Answer(204, (), b"")
    try:
        text = json.loads(body)["text"]
    except (ValueError, TypeError, KeyError):
        return _json({"message": "a note needs a text"}, 422)
    note = {"id": steps[3] if steps[3:] else f"note_{_pick(range(10_000), order, str(text)):04}", "order": int(order)}
    return _json({**note, "text": text}, 201 if method == "POST" else 200)


def _private_items(headers: Mapping[str, str]) -> Answer:
    if {name.lower(): value for name, value in headers.items()}.get("authorization") != "Bearer demo-token":
        return _json({"message": "Bad credentials: the token is demo-token"}, 401, ("WWW-Authenticate", "Bearer"))
    return _json([{"id": number, "name": name} for number, name in enumerate(("budget", "payroll", "roadmap"), 1)])


def _json(body: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
    kind = ("Content-Type", "application/json; charset=utf-8")
    return Answer(status, (kind, *headers), json.dumps(body, ensure_ascii=False).encode())


def _number(query: Query, name: str, default: int, *, least: int = 1, most: int = sys.maxsize) -> int:
    """The number asked for, silently moved between `least` and `most`."""
    return min(max(int(query.get(name, default)), least), most)


def _moment(fields: Query | Record, name: str, default: str = "") -> datetime:
    """The moment that the ISO 8601 text under `name` means, in UTC where it tells no offset."""
    moment = datetime.fromisoformat(fields.get(name, default))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _after(records: tuple[Record, ...], field: str, last: str | None) -> tuple[Record, ...]:
    """The records that follow the one whose `field` is `last`; all of them where `last` is None."""
    known = [None, *(record[field] for record in records)]
    if last not in known:
        message = f"no {field} is {last!r}"
        raise ValueError(message)
    return records[known.index(last) :]


def _with(url: str, **params: object) -> str:
    parts = urlsplit(url)
    return parts._replace(query=urlencode(dict(parse_qsl(parts.query, keep_blank_values=True)) | params)).geturl()


_NOT_FOUND = _json({"message": "Not Found"}, 404)
_PAGES: Mapping[str, Callable[[str, Query], Answer]] = {
    "issues": _issue_page, "customers": _customer_page, "orders": _order_page, "events": _event_page,
    "products": _product_page,
}  # fmt: skip
_RESOLVERS: Resolvers = {
    "issues": _issue_connection, "issue": _issue_of, "products": lambda _: list(_products()),
    "status": lambda _: {"status": "ok", "version": "1.0"},
}  # fmt: skip
_CITIES = {
    "emea": ("Amsterdam", "Cape Town", "Dubai", "Gdańsk", "Lagos", "Lyon", "Málaga", "Zürich"),
    "amer": ("Austin", "Bogotá", "Montréal", "Recife", "Reno", "São Paulo", "Toledo"),
    "apac": ("Busan", "Đà Nẵng", "Osaka", "Perth", "Pune"),
}
_USERS = [{"login": login, "id": 4_000 + len(login)} for login in ("ada", "noor", "grace", "edsger", "margaret")]
_COLORS = {"bug": "d73a4a", "docs": "0075ca", "performance": "fbca04"}
_LABELS: Sequence[Record] = [{"id": 900 + len(name), "name": name, "color": color} for name, color in _COLORS.items()]
_TITLES = ("Stock counts drift", "Speed up the nightly export", "Explain the price list", "Retry imports of orders")
_BODIES = (None, "It happens on Mondays.\n\n1. Open the page\n2. Wait", 'Zürich and 東京 get "timeout" twice. ⚠️')
_FIRST_NAMES, _LAST_NAMES = ("Alma", "Elif", "Hiro", "Ines", "Jamal"), ("Müller", "O'Brien", "Okafor", "Sato", "Wójcik")
_PLANS: Sequence[Record] = ({}, {"plan": "team"}, {"plan": "enterprise", "seats": "250"}, {"referrer": "fair"})
_WOODS, _THINGS = ("Oak", "Pine", "Cork", "Ash"), ("Desk", "Lamp", "Shelf", "Chair", "Tray", "Clock", "Stool", "Bed")
_DAY, _NEW_YEAR = 86_400, 1_735_689_600  # seconds; the second one since 1970


def _pick(options: Sequence[Option], *seed: str | int) -> Option:
    """One of the options; the seed alone decides which."""
    return options[int.from_bytes(blake2b(repr(seed).encode(), digest_size=8).digest(), "big") % len(options)]


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _times(count: int) -> Callable[[Callable[[int], Record]], Callable[[], tuple[Record, ...]]]:
    """What turns the maker of record 1, 2, 3 ... into all `count` records, made when they are first asked for."""
    return lambda make: cache(lambda: tuple(make(number) for number in range(1, count + 1)))


@_times(1240)
def _issues(number: int) -> Record:
    created = _NEW_YEAR + number * 24_000 + _pick(range(18_000), "created", number)
    edited = created + _pick(range(20 * _DAY), "updated", number)
    state = _pick(("open", "closed", "closed", "closed"), "state", number)
    return {
        "number": number, "id": 2_700_000_000 + number * 1_009, "title": _pick(_TITLES, "title", number),
        "state": state, "user": _pick(_USERS, "user", number), "assignee": _pick([*_USERS, None], "assignee", number),
        "labels": [label for label in _LABELS if _pick(range(3), label["id"], number) == 0],
        "comments": _pick(range(30), "comments", number), "body": _pick(_BODIES, "body", number),
        "created_at": _iso(created), "updated_at": _iso(edited), "closed_at": None if state == "open" else _iso(edited),
        "milestone": _pick((None, {"number": 1 + number // 200, "title": f"1.{number // 200}"}), "milestone", number),
    }  # fmt: skip


@_times(230)
def _customers(number: int) -> Record:
    first, last = _pick(_FIRST_NAMES, "first", number), _pick(_LAST_NAMES, "last", number)
    return {
        "id": f"cus_{number:04}", "email": f"{first.lower()}.{number}@example.com", "name": f"{first} {last}",
        "country": _pick(("BR", "DE", "FR", "GB", "IN", "JP", "NG", "US"), "country", number),
        "created": _NEW_YEAR + number * 130_000 + _pick(range(100_000), "customer", number),
        "balance": _pick(range(-10_000, 50_000), "balance", number),
        "delinquent": _pick(range(10), "delinquent", number) == 0, "metadata": _pick(_PLANS, "plan", number),
    }  # fmt: skip


@_times(1000)
def _orders(number: int) -> Record:
    created = _NEW_YEAR + number * 31_000 + _pick(range(30_000), "order", number)
    shipped = created + _pick(range(1, 5), "shipped", number) * _DAY
    status = _pick(("pending", "paid", "shipped", "delivered", "cancelled"), "status", number)
    bought = [_pick(_products(), "bought", number, line) for line in range(_pick(range(1, 5), "lines", number))]
    lines = [{"sku": it["sku"], "quantity": _pick((1, 2, 5), it["sku"], number), "price": it["price"]} for it in bought]
    return {
        "id": number, "customer": _pick(_customers(), "buyer", number)["id"], "status": status,
        "amount": round(sum(line["quantity"] * line["price"] for line in lines), 2),
        "currency": _pick(("EUR", "GBP", "USD"), "currency", number), "created_at": _iso(created),
        "shipped_on": _iso(shipped)[:10] if status in {"shipped", "delivered"} else None, "lines": lines,
    }  # fmt: skip


@_times(300)
def _events(number: int) -> Record:
    order = _pick(_orders(), "event", number)
    payloads: Mapping[str, Record] = {
        "order.created": {"order": order["id"], "amount": order["amount"]},
        "customer.updated": {"customer": order["customer"], "changed": ["email", "name"]},
        "stock.low": {"sku": order["lines"][0]["sku"], "left": {"emea": 3, "apac": 0}},
        "prices.published": {"note": None},
    }
    kind = _pick(list(payloads), "kind", number)
    return {"id": number, "kind": kind, "at": _NEW_YEAR + number * 100_000, "payload": payloads[kind]}


@_times(64)
def _products(number: int) -> Record:
    size = {"w": _pick(range(50, 2_000), "width", number) / 10, "h": _pick(range(50, 2_000), "height", number) / 10}
    return {
        "sku": f"SKU-{number:03}", "name": f"{_pick(_WOODS, 'wood', number)} {_THINGS[number % 8]}",
        "price": _pick(range(500, 60_000), "price", number) / 100,
        "tags": [tag for tag in ("new", "office", "outdoor", "sale") if _pick(range(4), tag, number) == 0],
        "dimensions": _pick((size, size, size, None), "measured", number),
    }  # fmt: skip
