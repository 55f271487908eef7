"""What reads the answers of APIs, and deliveries: pages, trips, headers, recordings, tokens, webhooks."""

import json
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

import httpx
import msgspec

from apikit_sql.column_types import Column, parse_type
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.graphql import errors_in
from apikit_sql.engine.limit_headers import read_quotas
from apikit_sql.engine.link import link_target
from apikit_sql.engine.oauth2 import read_token
from apikit_sql.engine.pagination import PageRequest, follow
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.replay import Tape
from apikit_sql.engine.retry import asked_wait, is_limited
from apikit_sql.engine.steps import Page, Send
from apikit_sql.engine.trip import trip
from apikit_sql.errors import WebhookSignatureError
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.records import json_text, read_envelope
from apikit_sql.scan.decode import PageDecoder, json_records, read_records
from apikit_sql.scan.schema import infer_columns
from apikit_sql.webhook.delivery import Post, read_delivery
from apikit_sql.webhook.journal import as_record
from apikit_sql.webhook.signature import (
    GenericHmacValidator,
    GitHubWebhookValidator,
    StandardWebhookValidator,
    StripeWebhookValidator,
)
from tests.engine.caching import Caching
from tests.engine.taking import Hand, plan_of
from tests.reliability.fuzz_inputs import Dice, Lines, Target, Values, folder
from tests.vectors import link, oauth_tokens, rate_limit, retry_after
from tests.vectors.test_json_test_suite import CASES as JSON_CASES
from tests.webhook.signing import SECRET, github, hexadecimal, standard, stripe

T = TypeVar("T")

NOW = 1_750_000_000.0

RECORDS = [{"id": 1, "v": "x", "at": "2025-01-01T00:00:00Z"}, {"id": 2, "v": None, "w": {"a": [1.5, True]}, "n": 2**40}]
CONNECTION = {"pageInfo": {"hasNextPage": True, "endCursor": "c1"}, "edges": [{"node": each} for each in RECORDS]}
BODIES = Values(
    [
        RECORDS,
        RECORDS[0],
        {"data": RECORDS, "next_cursor": "c1", "has_more": True},
        {"items": RECORDS, "total": 4, "page": 1, "total_pages": 2},
        {"results": RECORDS, "next": "https://api.test/items?page=2", "count": 4},
        {"value": RECORDS, "@odata.nextLink": "/items?skip=2"},
        {"_embedded": {"items": RECORDS}, "_links": {"next": {"href": "/items?page=2"}}},
        {"response": {"data": {"items": RECORDS}}, "paging": {"next": {"after": "c1"}}},
        {"data": {"repository": {"issues": CONNECTION}}},
        {"errors": [{"message": "no", "path": ["a", 1], "type": "RATE_LIMITED", "extensions": {"code": "THROTTLED"}}]},
        [1, "a", None, [], {}],
    ],
    ("next", "total", "meta", "links", "after", "nextPageToken", "pageInfo", "edges", "nodes", "limit", "offset"),
)
SUITE = tuple(JSON_CASES.values())
PATHS = (None, None, "", "data", "data.items", "edges[].node", "response.data.items")
KINDS = (
    "JSON", "VARCHAR", "BIGINT", "INTEGER", "HUGEINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ",
    "STRUCT(a BIGINT, b VARCHAR[])", "DOUBLE[]", "JSON[]",
)  # fmt: skip


def _make_body(dice: Dice) -> bytes:
    return dice.data(SUITE) if dice.number(4) == 3 else dice.body(BODIES)


def _make_page(dice: Dice) -> tuple[bytes, str | None, str]:
    return _make_body(dice), dice.pick(PATHS), dice.pick(KINDS)


def _read_page(given: tuple[bytes, str | None, str]) -> None:
    body, path, kind = given
    envelope = read_envelope(body, path)
    assert envelope.tells_error_only in {True, False}
    for place in ("id", "next", "meta.next", "", "."):
        envelope.at(place), envelope.has(place), envelope.kind_at(place), envelope.has_distinct(place)
        envelope.of_last_record(place)
    page = Page(1, "https://api.test/items", 200, httpx.Headers(), envelope, len(body))
    records = read_records(page)
    assert len(records) == len(json_records(page)) == len(envelope.records)
    declared = [Column("id", parse_type("BIGINT"), ("id",)), Column("v", parse_type(kind), ("v",), declared=True)]
    if records:
        plan = ScanPlan(RequestPlan("api", "https://api.test", "/items"))
        inferred = PageDecoder(infer_columns(plan, records)).decode(page, {})
        inferred.validate(full=True)
        assert inferred.num_rows == len(records)
    batch = PageDecoder(declared).decode(page, {})
    batch.validate(full=True)
    assert batch.num_rows == len(records)


def _read_json(body: bytes) -> None:
    json.loads(json_text(body))  # what is said to be JSON is


PAGINATIONS = (
    *(PaginationConfig(strategy=strategy) for strategy in ("auto", "auto", "link", "none")),
    PaginationConfig(strategy="page", page_param="page", total_path="total", total_pages_path="total_pages"),
    PaginationConfig(strategy="page", page_param="page", total_header="x-total"),
    PaginationConfig(strategy="offset", offset_param="offset", limit_param="limit", page_size=2, total_path="total"),
    PaginationConfig(strategy="cursor", cursor_param="after", next_cursor_path="next_cursor", has_more_path="has_more"),
    PaginationConfig(strategy="cursor", cursor_param="after", cursor_record_field="id"),
    PaginationConfig(strategy="cursor", cursor_fields=("paging.next.after", "next"), params_in="body"),
    PaginationConfig(strategy="cursor", cursor_param="after", next_cursor_header="x-next"),
    PaginationConfig(strategy="next_url", next_url_path="next", next_url_header="x-next"),
    PaginationConfig(strategy="next_url", next_url_path="_links.next"),
    PaginationConfig(strategy="relay", connection_path="repository.issues"),
)
CONTENT: Lines = (
    ("content-type", "application/json"),
    ("content-type", "text/html; charset=iso-8859-1"),
    ("link", '</items?page=2>; rel="next"'),
    ("link", '<https://elsewhere.test/x>; rel="next", <?page=9>; rel=last'),
    ("x-next", "/items?page=2"),
    ("x-total", "4"),
    ("x-total-count", "7"),
    ("location", "/elsewhere"),
    ("location", "https://api.test/items?page=3"),
    ("retry-after", "1"),
    ("retry-after", "Sun, 15 Jun 2025 12:00:00 GMT"),
    ("x-ratelimit-remaining", "0"),
    ("x-ratelimit-reset", "1750000060"),
    ("etag", 'W/"1"'),
    ("last-modified", "Sun, 15 Jun 2025 12:00:00 GMT"),
    ("cache-control", "max-age=60, private"),
    ("vary", "*"),
    ("date", "Sun, 15 Jun 2025 12:00:00 GMT"),
    ("age", "10"),
    ("stripe-should-retry", "false"),
    ("www-authenticate", 'Bearer error="x"'),
)
STATUSES = (
    200,
    200,
    200,
    200,
    200,
    201,
    204,
    206,
    301,
    302,
    307,
    304,
    400,
    401,
    403,
    404,
    410,
    418,
    429,
    500,
    503,
    599,
)
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


@dataclass(frozen=True)
class Journey:
    """A trip, and what the API answers; to more than that, always the last."""

    pagination: PaginationConfig
    is_graphql: bool
    pages: int | None
    cache: float
    answers: list[Answer]


def _make_answer(dice: Dice) -> Answer:
    return dice.pick(STATUSES), dice.lines(CONTENT, 4), _make_body(dice)


def _make_journey(dice: Dice) -> Journey:
    settings = dice.pick(PAGINATIONS)
    answers = [_make_answer(dice), *dice.some(lambda: _make_answer(dice), 2)]
    is_graphql = settings.strategy == "relay" or dice.number(8) == 7
    return Journey(settings, is_graphql, dice.pick((None, None, 1, 2)), dice.pick((0, 0, 60)), answers)


def _travel(journey: Journey) -> None:
    answers = iter(journey.answers)
    newest = journey.answers[-1]

    def answer(_: httpx.Request) -> httpx.Response:
        status, headers, body = next(answers, newest)
        return httpx.Response(status, headers=headers, content=body)

    body = b"{}" if journey.pagination.params_in == "body" else None
    if journey.is_graphql:
        body = b'{"query": "{a}", "variables": {"first": 2}}'
    plan = plan_of(
        pagination=journey.pagination.model_copy(update={"max_pages": 6}),
        method="POST" if body else "GET",
        body=body,
        is_graphql=journey.is_graphql,
        record_path="data.repository.issues.edges[].node" if journey.is_graphql else None,
        pages=journey.pages,
        max_wait=60.0,
        unfollowed=(("repository", "issues", "pageInfo", "hasNextPage"),),
    )
    hand = Hand(answer)
    for page in hand.pages(trip(plan, hand.access(plan))):
        read_records(page)
    assert len(hand.sent) < 100


def _make_cached(dice: Dice) -> list[Answer]:
    return [_make_answer(dice) for _ in range(3)]


def _read_cached(answers: list[Answer]) -> None:
    kept = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        status, headers, body = next(kept, answers[-1])
        return httpx.Response(status, headers=headers, content=body)

    hand = Caching(answer)
    for after in (0, 10, 400):
        hand.body(after=after)


# headers


def _vectors(module: ModuleType, kind: type[T]) -> list[T]:
    """The public vectors in the tables of `module`."""
    tables = [table for table in vars(module).values() if isinstance(table, list | tuple)]
    return [each for table in tables for each in table if isinstance(each, kind)]


LINKS = tuple(line for each in _vectors(link, link.Vector) for line in each.lines)
WAITS: Lines = (
    *(("retry-after", each.value.decode("latin-1")) for each in _vectors(retry_after, retry_after.Vector)),
    ("x-ratelimit-remaining", "0"),
    ("stripe-should-retry", "true"),
)
_LIMITS = (line.partition(":") for each in _vectors(rate_limit, rate_limit.Vector) for line in each.lines)
LIMITS = tuple((name.strip().lower(), value.strip()) for name, _, value in _LIMITS)


def _make_links(dice: Dice) -> list[tuple[bytes, bytes]]:
    return [(b"link", text) for _, text in dice.lines([("link", line) for line in LINKS], 3)]


def _read_links(lines: list[tuple[bytes, bytes]]) -> None:
    for relation in ("next", "last"):
        target = link_target(httpx.Headers(lines), relation)
        follow(PageRequest("https://api.test/items"), target)


def _read_wait(given: tuple[int, list[tuple[bytes, bytes]], bytes]) -> None:
    status, lines, body = given
    response = httpx.Response(status, headers=lines, content=body)
    is_limited(response)
    wait = asked_wait(response, lambda: NOW)
    assert wait is None or 0 <= wait < 1e12


def _read_limit(lines: list[tuple[bytes, bytes]]) -> None:
    for quota in read_quotas(httpx.Headers(lines), NOW):
        assert quota.remaining >= 0
        assert quota.reset_at >= 0
    limiter = RateLimitState(clock=lambda: NOW)
    for status in (200, 429):
        limiter.ingest(httpx.Response(status, headers=lines))
        limiter.describe()
        limiter.reserve()
        assert limiter.sleep_duration() >= 0


# webhooks

DELIVERIES = (
    b'{"id": "evt_1", "type": "a"}',
    b'{"type": 1}',
    b"[]",
    b"payload=%7B%22a%22%3A1%7D",
    b"payload=1&payload=2",
)
VALIDATORS = (
    (StripeWebhookValidator(SECRET, clock=lambda: NOW), lambda body: stripe(body, moment=int(NOW))),
    (StandardWebhookValidator(SECRET, clock=lambda: NOW), lambda body: standard(body, "msg_1", int(NOW))),
    (GitHubWebhookValidator(SECRET), lambda body: github(body, "d1", "push")),
    (GenericHmacValidator(SECRET, "X-Sig", "v="), lambda body: {"x-sig": "v=" + hexadecimal(body)}),
)


def _make_delivery(dice: Dice) -> tuple[int, bytes, bytes, dict[str, str]]:
    number, signed = dice.number(len(VALIDATORS)), dice.data(DELIVERIES)
    headers = {name: dice.text((text,)) for name, text in VALIDATORS[number][1](signed).items()}
    sent = dice.data((signed,)) if dice.number(4) == 3 else signed
    kind = dice.text(("application/x-www-form-urlencoded", "application/json; charset=utf-8"))
    return number, signed, sent, headers | {"content-type": kind}


def _read_delivery(given: tuple[int, bytes, bytes, dict[str, str]]) -> None:
    number, signed, sent, headers = given
    validator = VALIDATORS[number][0]
    try:
        verdict = validator.validate(sent, headers)
    except WebhookSignatureError:
        verdict = "unsigned"  # is still read, as any body that is signed may be
    else:
        assert sent == signed, "a delivery is taken for good that nobody has signed"
    delivery = read_delivery(Post(sent, headers, NOW), validator.naming, "p", verdict)
    json.loads(delivery.headers)
    as_record(delivery)
    msgspec.json.decode(delivery.payload, type=msgspec.Raw)  # what is kept as JSON is


# recordings and tokens

RECORDING = Values(
    [
        {
            "request": {"method": "GET", "url": "https://api.test/items"},
            "response": {
                "status": 200,
                "headers": [["content-type", "application/json"], ["link", "<x>; rel=next"]],
                "body": "[]",
            },
        },
        {"request": {}, "response": {"status": 200, "headers": [], "body_base64": "/w=="}},
    ],
    ("status", "headers", "body", "body_base64"),
)


def _read_recording(body: bytes) -> None:
    tape = Tape("replay", folder(), str)
    request = httpx.Request("GET", "https://api.test/items")
    name, _ = tape._name(request)
    name.parent.mkdir(exist_ok=True)
    name.with_name(f"{name.name}-1.json").write_bytes(body)
    plan = plan_of()
    hand = Hand(lambda sent: hand.value(tape.answer(Send(sent, 1.0))))
    hand.value(fetch_body(plan, hand.access(plan)))


TOKENS = _vectors(oauth_tokens, oauth_tokens.Vector)
TOKEN_BODIES = tuple(each.body.encode() for each in TOKENS)
TOKEN_VALUES = Values(
    [{"access_token": "t1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r1", "scope": "a b"},
     {"error": "invalid_grant", "error_description": "no", "error_uri": "https://x"}]
)  # fmt: skip


def _make_token(dice: Dice) -> tuple[int, bytes]:
    body = dice.data(TOKEN_BODIES) if dice.number(2) else dice.body(TOKEN_VALUES)
    return dice.pick((200, 200, 200, 400, 401, 500)), body


def _read_token(given: tuple[int, bytes]) -> None:
    status, body = given
    token = read_token(httpx.Response(status, content=body), NOW)
    assert token.access_token
    assert token.access_token.isascii()


TARGETS = (
    Target("page", _make_page, _read_page, share=8),
    Target("json", _make_body, _read_json),
    Target("trip", _make_journey, _travel, share=8),
    Target("cache", _make_cached, _read_cached),
    Target("link", _make_links, _read_links),
    Target("retry-after", lambda dice: (dice.pick(STATUSES), dice.lines(WAITS, 3), _make_body(dice)), _read_wait),
    Target("rate-limit", lambda dice: dice.lines(LIMITS), _read_limit),
    Target("delivery", _make_delivery, _read_delivery),
    Target("recording", lambda dice: dice.body(RECORDING), _read_recording, share=2),
    Target("token", _make_token, _read_token),
    Target("graphql-errors", _make_body, lambda body: errors_in(body, str)),
)
