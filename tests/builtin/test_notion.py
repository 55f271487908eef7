"""Notion's lists, by `next_cursor` in queries and in bodies: apikit('notion', ...) against a server of our own."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

Rows = Callable[[str], list[tuple[Any, ...]]]
Record = dict[str, Any]

TOKEN = "ntn_fake"
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SOURCE, OTHER, BLOCK = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


def at(number: int) -> dt.datetime:
    return START + dt.timedelta(minutes=number, milliseconds=number)


def text_of(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rich(text: str) -> list[Record]:
    return [{"type": "text", "text": {"content": text, "link": None}, "plain_text": text, "href": None}]


def edited(number: int, kind: str) -> Record:
    """What pages, data sources and blocks have in common."""
    return {
        "object": kind,
        "id": str(uuid.UUID(int=1_000 + number)),
        "created_time": text_of(at(number)),
        "created_by": {"object": "user", "id": str(uuid.UUID(int=number % 5))},
        "last_edited_time": text_of(at(number + 60)),
        "last_edited_by": {"object": "user", "id": str(uuid.UUID(int=number % 3))},
        "in_trash": False,
        "archived": False,
    }


def page(number: int) -> Record:
    return edited(number, "page") | {
        "url": f"https://www.notion.so/{number}",
        "public_url": None,
        "icon": {"type": "emoji", "emoji": "🌳"} if number % 2 else None,
        "cover": None,
        "is_locked": number % 7 == 0,
        "parent": {"type": "data_source_id", "data_source_id": SOURCE, "database_id": OTHER},
        "properties": {
            "Name": {"id": "title", "type": "title", "title": rich(f"Page {number}")},
            "Price": {"id": "a%3Ab", "type": "number", "number": number / 4},
        },
    }


def data_source(number: int) -> Record:
    return edited(number, "data_source") | {
        "title": rich(f"Source {number}"),
        "description": [],
        "url": f"https://www.notion.so/s{number}",
        "is_inline": True,
        "parent": {"type": "database_id", "database_id": OTHER},
        "database_parent": {"type": "workspace", "workspace": True},
        "properties": {"Name": {"id": "title", "name": "Name", "type": "title", "title": {}}},
    }


def user(number: int) -> Record:
    common = {"object": "user", "id": str(uuid.UUID(int=number)), "name": f"User {number}", "avatar_url": None}
    if number % 4 == 0:
        return common | {"type": "bot", "bot": {"owner": {"type": "workspace", "workspace": True}}}
    return common | {"type": "person", "person": {"email": f"user{number}@example.test"}}


def block(number: int) -> Record:
    kind = ["paragraph", "to_do", "divider"][number % 3]
    content: Record = {"paragraph": {"rich_text": rich(f"Line {number}"), "color": "default"}}
    content |= {"to_do": {"rich_text": rich("Do"), "checked": True}, "divider": {}}
    parent = {"type": "page_id", "page_id": BLOCK}
    return edited(number, "block") | {"type": kind, "parent": parent, "has_children": False, kind: content[kind]}


class Listing:
    """A list endpoint: cursors are ids of records and `next_cursor` is null at the end.

    The parameters are in the body of a POST and in the query of a GET, as the reference says, and nowhere else. More
    than `most` results are cut off as the guide tells: no cursor, and a `request_status`.
    """

    def __init__(self, records: list[Record], *, method: str = "GET", most: int = 10_000) -> None:
        self.records = records
        self._method = method
        self._most = most

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if (status := self._refused(request)) is not None:
            return httpx.Response(
                status, json={"object": "error", "status": status, "code": "refused", "message": "no"}
            )
        asked = json.loads(request.content) if self._method == "POST" else dict(request.url.params)
        size, cursor = int(asked.get("page_size", 100)), asked.get("start_cursor")
        found = self.records[: self._most]
        if title := asked.get("query"):
            found = [record for record in found if title in json.dumps(record)]
        ids = [record["id"] for record in found]
        start = ids.index(cursor) if cursor is not None else 0
        has_more = start + size < len(found)
        body: Record = {
            "object": "list",
            "results": found[start : start + size],
            "next_cursor": ids[start + size] if has_more else None,
            "has_more": has_more,
            "type": "page_or_data_source",
            "page_or_data_source": {},
        }
        if self._method == "POST":
            is_cut = not has_more and len(self.records) > self._most
            why = {"incomplete_reason": "query_result_limit_reached"} if is_cut else {}
            body["request_status"] = {"type": "incomplete" if is_cut else "complete", **why}
        return httpx.Response(200, json=body)

    def _refused(self, request: httpx.Request) -> int | None:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401
        is_wrong = request.method != self._method or request.headers.get("notion-version") != "2025-09-03"
        misplaced = request.url.params if self._method == "POST" else request.content
        return 400 if is_wrong or misplaced or int(request.url.params.get("page_size", "1")) > 100 else None


USERS = Listing([user(n) for n in range(205)])
PAGES = Listing([page(n) for n in range(230)], method="POST")
OTHERS = Listing([page(n) for n in range(900, 903)], method="POST")
FOUND = Listing([page(n) if n % 2 else data_source(n) for n in range(204)], method="POST")
BLOCKS = Listing([block(n) for n in range(203)])
PAGES_PATH = f"/v1/data_sources/{SOURCE}/query"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            "/v1/users": USERS,
            PAGES_PATH: PAGES,
            f"/v1/data_sources/{OTHER}/query": OTHERS,
            "/v1/search": FOUND,
            f"/v1/blocks/{BLOCK}/children": BLOCKS,
        }
    )


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTION_TOKEN", TOKEN)


def sent(api: FakeApi) -> list[tuple[str, str, dict[str, str], Any]]:
    """Method, path, query and body of each request."""
    return [(r.method, r.url.path, dict(r.url.params), json.loads(r.content) if r.content else None) for r in api.seen]


def ids_of(listing: Listing) -> list[str]:
    return [record["id"] for record in listing.records]


class TestUsers:
    def test_every_user_is_a_row_of_exact_values(self, rows: Rows) -> None:
        found = rows("SELECT id, type, name, avatar_url, person.email, bot FROM apikit('notion', 'users')")

        assert [(*row[:5], row[5] and json.loads(row[5])) for row in found] == [
            (
                record["id"],
                record["type"],
                record["name"],
                None,
                record.get("person", {}).get("email"),
                record.get("bot"),
            )
            for record in USERS.records
        ]

    def test_a_get_has_its_cursor_in_the_query(self, rows: Rows, api: FakeApi) -> None:
        rows("FROM apikit('notion', 'users')")

        assert sent(api) == [
            ("GET", "/v1/users", {"page_size": "100"}, None),
            ("GET", "/v1/users", {"page_size": "100", "start_cursor": ids_of(USERS)[100]}, None),
            ("GET", "/v1/users", {"page_size": "100", "start_cursor": ids_of(USERS)[200]}, None),
        ]

    def test_a_request_is_signed_and_names_the_version(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT id FROM apikit('notion', 'users')")

        for request in api.seen:
            assert request.url.host == "api.notion.com"
            assert request.headers.get_list("authorization") == [f"Bearer {TOKEN}"]
            assert request.headers.get_list("notion-version") == ["2025-09-03"]

    def test_a_path_of_one_object_is_one_row(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/v1/users/me"] = httpx.Response(200, json=user(4))

        assert rows("SELECT name, bot.owner.type FROM apikit('notion', '/users/me')") == [("User 4", "workspace")]
        assert len(api.seen) == 1


class TestPages:
    def test_every_page_is_a_row_of_exact_values(self, rows: Rows) -> None:
        found = rows(
            "SELECT id, object, created_time, last_edited_time, created_by.id, parent.database_id, parent.page_id, "
            "is_locked, icon ->> '$.emoji', properties ->> '$.Name.title[0].plain_text', "
            "(properties ->> '$.Price.number')::DOUBLE, data_source_id "
            f"FROM apikit('notion', 'pages') WHERE data_source_id = '{SOURCE}'"
        )

        assert found == [
            (
                record["id"],
                "page",
                at(number),
                at(number + 60),
                record["created_by"]["id"],
                OTHER,
                None,
                record["is_locked"],
                record["icon"] and record["icon"]["emoji"],
                f"Page {number}",
                number / 4,
                SOURCE,
            )
            for number, record in enumerate(PAGES.records)
        ]

    def test_a_query_has_its_cursor_in_the_body(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM apikit('notion', 'pages') WHERE data_source_id = '{SOURCE}'")

        assert sent(api) == [
            ("POST", PAGES_PATH, {}, {"page_size": 100}),
            ("POST", PAGES_PATH, {}, {"page_size": 100, "start_cursor": ids_of(PAGES)[100]}),
            ("POST", PAGES_PATH, {}, {"page_size": 100, "start_cursor": ids_of(PAGES)[200]}),
        ]
        assert {request.headers["content-type"] for request in api.seen} == {"application/json"}

    def test_a_filter_in_the_body_stays_with_every_page(self, rows: Rows, api: FakeApi) -> None:
        rows(
            f"FROM apikit('notion', 'pages', body := {{filter: {{property: 'Price', number: {{less_than: 9}}}}}}) "
            f"WHERE data_source_id = '{SOURCE}'"
        )

        assert [body["filter"] for _, _, _, body in sent(api)] == [
            {"property": "Price", "number": {"less_than": 9}}
        ] * 3
        assert [body["page_size"] for _, _, _, body in sent(api)] == [100] * 3

    def test_several_data_sources_are_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT data_source_id, count(*) FROM apikit('notion', 'pages') "
            f"WHERE data_source_id IN ('{SOURCE}', '{OTHER}') GROUP BY 1 ORDER BY 1"
        )

        assert found == [(SOURCE, len(PAGES.records)), (OTHER, len(OTHERS.records))]
        assert len(api.seen) == 4

    def test_no_other_predicate_is_sent(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            f"SELECT id FROM apikit('notion', 'pages') WHERE data_source_id = '{OTHER}' "
            "AND last_edited_time >= TIMESTAMPTZ '2026-01-01' AND in_trash = false AND object = 'page'"
        )

        assert found == [(record["id"],) for record in OTHERS.records]
        assert sent(api) == [("POST", f"/v1/data_sources/{OTHER}/query", {}, {"page_size": 100})]

    def test_without_a_data_source_the_error_names_the_key(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match=r"needs data_source_id \(= or IN\)"):
            rows("FROM apikit('notion', 'pages')")
        assert api.seen == []

    def test_a_query_that_was_cut_off_is_an_error_and_no_short_table(self, rows: Rows, api: FakeApi) -> None:
        # given a data source of which one query gives the first 210 pages only
        api.routes[PAGES_PATH] = Listing(PAGES.records, method="POST", most=210)
        source = f"apikit('notion', 'pages') WHERE data_source_id = '{SOURCE}'"

        with pytest.raises(duckdb.Error, match=r"request_status\.incomplete_reason says that there is more"):
            rows(f"SELECT id FROM {source}")
        assert rows(f"SELECT id FROM {source} LIMIT 5") == [(each,) for each in ids_of(PAGES)[:5]]


class TestSearch:
    def test_pages_and_data_sources_are_rows_of_one_table(self, rows: Rows) -> None:
        found = rows(
            "SELECT id, object, title ->> '$[0].plain_text', database_parent.workspace, parent.type, is_inline, "
            "last_edited_time FROM apikit('notion', 'search')"
        )

        assert found == [
            (
                record["id"],
                record["object"],
                record["title"][0]["plain_text"] if "title" in record else None,
                True if "database_parent" in record else None,
                record["parent"]["type"],
                record.get("is_inline"),
                at(number + 60),
            )
            for number, record in enumerate(FOUND.records)
        ]

    def test_a_search_has_its_cursor_in_the_body(self, rows: Rows, api: FakeApi) -> None:
        rows("FROM apikit('notion', 'search')")

        assert sent(api) == [
            ("POST", "/v1/search", {}, {"page_size": 100}),
            ("POST", "/v1/search", {}, {"page_size": 100, "start_cursor": ids_of(FOUND)[100]}),
            ("POST", "/v1/search", {}, {"page_size": 100, "start_cursor": ids_of(FOUND)[200]}),
        ]

    def test_a_title_is_searched_for_by_the_body(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT title ->> '$[0].plain_text' FROM apikit('notion', 'search', body := {query: 'Source 10'})")

        assert found == [
            ("Source 10",),
            ("Source 100",),
            ("Source 102",),
            ("Source 104",),
            ("Source 106",),
            ("Source 108",),
        ]
        assert [body for _, _, _, body in sent(api)] == [{"query": "Source 10", "page_size": 100}]


class TestBlocks:
    def test_every_block_is_a_row_with_the_content_of_its_type(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT id, type, parent.page_id, has_children, created_time, paragraph, to_do, divider, block_id "
            f"FROM apikit('notion', 'blocks') WHERE block_id = '{BLOCK}'"
        )

        assert [(*row[:5], *(each and json.loads(each) for each in row[5:8]), row[8]) for row in found] == [
            (
                record["id"],
                record["type"],
                BLOCK,
                False,
                at(number),
                record.get("paragraph"),
                record.get("to_do"),
                record.get("divider"),
                BLOCK,
            )
            for number, record in enumerate(BLOCKS.records)
        ]
        path = f"/v1/blocks/{BLOCK}/children"
        assert sent(api) == [
            ("GET", path, {"page_size": "100"}, None),
            ("GET", path, {"page_size": "100", "start_cursor": ids_of(BLOCKS)[100]}, None),
            ("GET", path, {"page_size": "100", "start_cursor": ids_of(BLOCKS)[200]}, None),
        ]

    def test_without_a_block_the_error_names_the_key(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match=r"needs block_id \(= or IN\)"):
            rows("FROM apikit('notion', 'blocks')")
        assert api.seen == []


class TestPlainPosts:
    BODY = (
        "pagination := {strategy: 'cursor', params_in: 'body', cursor_param: 'start_cursor', "
        "next_cursor_path: 'next_cursor', limit_param: 'page_size', page_size: 100}"
    )

    def test_a_query_by_its_path_pages_in_the_body(self, rows: Rows, api: FakeApi) -> None:
        found = rows(f"SELECT id FROM apikit('notion', '/data_sources/{SOURCE}/query', method := 'POST', {self.BODY})")

        assert found == [(each,) for each in ids_of(PAGES)]
        assert [query for _, _, query, _ in sent(api)] == [{}] * 3

    @pytest.mark.parametrize("path", [f"/databases/{OTHER}/query", "/pages"])
    def test_other_posts_are_refused(self, rows: Rows, api: FakeApi, path: str) -> None:
        with pytest.raises(duckdb.Error, match="may change something"):
            rows(f"FROM apikit('notion', '{path}', method := 'POST')")
        assert api.seen == []

    def test_a_stream_that_is_posted_cannot_be_asked_by_get(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match="'search' is asked by POST, not by GET"):
            rows("FROM apikit('notion', 'search', method := 'GET')")
        assert api.seen == []


class TestRefusals:
    def test_without_a_token_the_error_names_its_variable(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NOTION_TOKEN")

        with pytest.raises(duckdb.Error, match="notion: env:NOTION_TOKEN is not set"):
            rows("FROM apikit('notion', 'users')")
        assert api.seen == []

    def test_a_refused_token_is_told_and_not_shown(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NOTION_TOKEN", "ntn_wrong0123456789")

        with pytest.raises(duckdb.Error, match="answered 401") as caught:
            rows("FROM apikit('notion', 'users')")
        assert "ntn_wrong0123456789" not in str(caught.value)
        assert len(api.seen) == 1

    def test_a_page_larger_than_notion_gives_is_refused_by_it(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match="answered 400"):
            rows("FROM apikit('notion', 'users', page_size := 101)")
