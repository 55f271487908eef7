"""HubSpot's lists, by `paging.next.after`, and their properties: apikit('hubspot', ...) against a server of our own."""

import base64
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

Rows = Callable[[str], list[tuple[Any, ...]]]
Record = dict[str, Any]

TOKEN = "pat-eu1-fake"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
#: What comes with every record, asked for or not.
ALWAYS = {"createdate", "hs_object_id"}


def text_of(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def contact(number: int) -> Record:
    return {
        "firstname": f"First {number}",
        "lastname": f"Last {number}" if number % 3 else None,
        "email": f"user{number}@example.test",
        "phone": f"+49 {number}",
    }


def company(number: int) -> Record:
    return {"name": f"Company {number}", "domain": f"c{number}.test" if number % 2 else None, "city": "Berlin"}


def deal(number: int) -> Record:
    return {
        "dealname": f"Deal {number}",
        "amount": f"{number}.50" if number % 2 else None,
        "closedate": text_of(START + dt.timedelta(days=number)),
        "pipeline": "default",
        "dealstage": "contractsent",
    }


class Objects:
    """One kind of CRM object. Cursors are opaque, and the last page has no `paging`."""

    def __init__(self, count: int, properties: Callable[[int], Record], *defaults: str) -> None:
        self.records: list[Record] = [
            {
                "id": str(9_000_000_000 + number),
                "properties": properties(number),
                "createdAt": START + dt.timedelta(minutes=number, milliseconds=number),
                "updatedAt": START + dt.timedelta(days=1, minutes=number),
                "archived": number % 50 == 7,
            }
            for number in range(count)
        ]
        self.live = [record for record in self.records if not record["archived"]]
        self._defaults = set(defaults)

    def listed(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"status": "error", "message": "Authentication credentials not found."})
        if int(params.get("limit", "10")) > 100:
            return httpx.Response(400, json={"status": "error", "message": "limit is too large"})
        is_archived = params.get("archived") == "true"
        asked = params.get("properties")
        body = self._page(
            [record for record in self.records if record["archived"] is is_archived],
            params.get("after"),
            int(params.get("limit", "10")),
            set(asked.split(",")) if asked else self._defaults,
        )
        return httpx.Response(200, json=body)

    def searched(self, request: httpx.Request) -> httpx.Response:
        """The search: everything is in the body, and a parameter of the query means nothing."""
        asked = json.loads(request.content)
        wanted = set(asked.get("properties") or self._defaults)
        body = self._page(self.live, asked.get("after"), int(asked.get("limit", 10)), wanted)
        return httpx.Response(200, json={"total": len(self.live), **body})

    def _page(self, found: list[Record], after: str | None, limit: int, wanted: set[str]) -> Record:
        start = int(base64.b64decode(after).removeprefix(b"at ")) if after else 0
        body: Record = {"results": [self._shown(record, wanted) for record in found[start : start + limit]]}
        if start + limit < len(found):
            cursor = self.cursor(start + limit)
            body["paging"] = {"next": {"after": cursor, "link": f"?after={cursor}"}}
        return body

    @staticmethod
    def cursor(start: int) -> str:
        return base64.b64encode(b"at %d" % start).decode()

    @staticmethod
    def _shown(record: Record, wanted: set[str]) -> Record:
        always = {"createdate": text_of(record["createdAt"]), "hs_object_id": record["id"]}
        chosen = {name: value for name, value in record["properties"].items() if name in wanted}
        times = {name: text_of(record[name]) for name in ("createdAt", "updatedAt")}
        return record | times | {"properties": always | chosen}


CONTACTS = Objects(260, contact, "firstname", "lastname", "email")
COMPANIES = Objects(230, company, "name", "domain")
DEALS = Objects(215, deal, "dealname", "amount", "closedate", "pipeline", "dealstage")
STREAMS = [
    ("contacts", CONTACTS, "firstname,lastname,email"),
    ("companies", COMPANIES, "name,domain"),
    ("deals", DEALS, "dealname,amount,closedate,pipeline,dealstage"),
]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {f"/crm/v3/objects/{name}": objects.listed for name, objects, _ in STREAMS}
        | {"/crm/v3/objects/contacts/search": CONTACTS.searched}
    )


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", TOKEN)


def queries(api: FakeApi) -> list[dict[str, str]]:
    return [dict(request.url.params) for request in api.seen]


class TestLists:
    @pytest.mark.parametrize(("stream", "objects", "properties"), STREAMS)
    def test_every_record_is_a_row_of_exact_values(
        self, rows: Rows, stream: str, objects: Objects, properties: str
    ) -> None:
        found = rows(
            f"SELECT id, properties, createdAt, updatedAt, archived, archivedAt, associations "
            f"FROM apikit('hubspot', '{stream}')"
        )

        assert found == [
            (
                record["id"],
                {name: record["properties"][name] for name in properties.split(",")},
                record["createdAt"],
                record["updatedAt"],
                False,
                None,
                None,
            )
            for record in objects.live
        ]

    @pytest.mark.parametrize(("stream", "objects", "properties"), STREAMS)
    def test_each_page_is_asked_for_by_the_cursor_of_the_one_before(
        self, rows: Rows, api: FakeApi, stream: str, objects: Objects, properties: str
    ) -> None:
        rows(f"FROM apikit('hubspot', '{stream}')")

        first = {"properties": properties, "limit": "100"}
        assert [request.url.path for request in api.seen] == [f"/crm/v3/objects/{stream}"] * 3
        assert queries(api) == [first, first | {"after": objects.cursor(100)}, first | {"after": objects.cursor(200)}]

    def test_a_request_is_signed(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT id FROM apikit('hubspot', 'deals')")

        for request in api.seen:
            assert request.method == "GET"
            assert request.url.host == "api.hubapi.com"
            assert request.headers.get_list("authorization") == [f"Bearer {TOKEN}"]

    def test_columns_are_known_without_a_request(self, rows: Rows, api: FakeApi) -> None:
        found: dict[str, str] = dict(
            rows("SELECT column_name, column_type FROM (DESCRIBE FROM apikit('hubspot', 'companies'))")
        )

        assert api.seen == []
        assert found["id"] == "VARCHAR"
        assert found["updatedAt"] == "TIMESTAMP WITH TIME ZONE"
        assert found["properties"].replace('"', "") == "STRUCT(name VARCHAR, domain VARCHAR)"

    def test_amounts_and_dates_are_texts_that_can_be_cast(self, rows: Rows) -> None:
        found = rows(
            "SELECT sum(properties.amount::DECIMAL(18, 2)), max(properties.closedate::TIMESTAMPTZ) "
            "FROM apikit('hubspot', 'deals')"
        )

        deals = [record["properties"] for record in DEALS.live]
        amounts = sum(Decimal(deal["amount"]) for deal in deals if deal["amount"])
        assert found == [(amounts, max(dt.datetime.fromisoformat(deal["closedate"]) for deal in deals))]


class TestProperties:
    def test_other_properties_are_asked_for_and_declared_by_the_call(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT id, properties.phone FROM apikit('hubspot', 'contacts', params := {properties: 'email,phone'}, "
            "columns := {id: 'VARCHAR', properties: 'STRUCT(email VARCHAR, phone VARCHAR)'})"
        )

        assert found == [(record["id"], record["properties"]["phone"]) for record in CONTACTS.live]
        assert api.params("properties") == ["email,phone"] * 3

    def test_associations_come_where_the_call_asks_for_them(self, rows: Rows, api: FakeApi) -> None:
        # given a contact with a company
        linked = {"companies": {"results": [{"id": "7", "type": "contact_to_company"}]}}
        record = {"id": "1", "properties": {"email": "a@b.test"}, "archived": False, "associations": linked}
        api.routes["/crm/v3/objects/contacts"] = httpx.Response(200, json={"results": [record]})

        ((found,),) = rows(
            "SELECT associations FROM apikit('hubspot', 'contacts', params := {associations: 'companies'})"
        )

        assert json.loads(found) == linked
        assert queries(api) == [{"properties": "firstname,lastname,email", "associations": "companies", "limit": "100"}]


class TestFilters:
    @pytest.mark.parametrize(
        "predicate",
        [
            "id = '9000000003'",
            "archived = false",
            "properties.email = 'user3@example.test'",
            "updatedAt > TIMESTAMPTZ '2026-01-01'",
        ],
    )
    def test_no_predicate_is_sent_because_the_lists_know_no_filter(
        self, rows: Rows, api: FakeApi, predicate: str
    ) -> None:
        assert rows(f"SELECT count(*) > 0 FROM apikit('hubspot', 'contacts') WHERE {predicate}") == [(True,)]
        assert {name for query in queries(api) for name in query} == {"properties", "limit", "after"}

    def test_what_is_archived_comes_where_the_call_asks_for_it(self, rows: Rows, api: FakeApi) -> None:
        archived = [(record["id"],) for record in CONTACTS.records if record["archived"]]

        assert rows("SELECT id FROM apikit('hubspot', 'contacts', params := {archived: true})") == archived
        assert rows("SELECT id FROM apikit('hubspot', 'contacts') WHERE archived = true") == []
        assert api.params("archived") == ["true", None, None, None]


class TestSearch:
    SOURCE = "apikit('hubspot', '/crm/v3/objects/contacts/search', method := 'POST', body := {properties: ['email']}%s)"
    BODY = (
        ", pagination := {strategy: 'cursor', params_in: 'body', cursor_param: 'after', "
        "next_cursor_path: 'paging.next.after', limit_param: 'limit', page_size: 100}"
    )

    def test_a_search_reads_by_post_and_pages_in_its_body(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT id, properties.email FROM " + self.SOURCE % self.BODY)

        assert found == [(record["id"], record["properties"]["email"]) for record in CONTACTS.live]
        first = {"properties": ["email"], "limit": 100}
        assert [request.method for request in api.seen] == ["POST"] * 3
        assert queries(api) == [{}] * 3
        assert [json.loads(request.content) for request in api.seen] == [
            first,
            first | {"after": CONTACTS.cursor(100)},
            first | {"after": CONTACTS.cursor(200)},
        ]

    def test_a_search_paged_in_its_query_is_an_error_and_no_endless_loop(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match=r"leads back to an earlier page|repeats"):
            rows("SELECT id FROM " + self.SOURCE % "")
        assert len(api.seen) <= 3

    def test_a_post_that_writes_is_refused(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match="may change something"):
            rows("FROM apikit('hubspot', '/crm/v3/objects/contacts/batch/create', method := 'POST')")
        assert api.seen == []


class TestRefusals:
    def test_without_a_token_the_error_names_its_variable(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN")

        with pytest.raises(duckdb.Error, match="hubspot: env:HUBSPOT_ACCESS_TOKEN is not set"):
            rows("FROM apikit('hubspot', 'contacts')")
        assert api.seen == []

    def test_a_refused_token_is_told_and_not_shown(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-eu1-wrong0123456789")

        with pytest.raises(duckdb.Error, match=r"answered 401 \(Authentication credentials not found") as caught:
            rows("FROM apikit('hubspot', 'contacts')")
        assert "pat-eu1-wrong0123456789" not in str(caught.value)
        assert len(api.seen) == 1

    def test_a_page_larger_than_hubspot_gives_is_told_in_its_words(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match="limit is too large"):
            rows("FROM apikit('hubspot', 'contacts', page_size := 200)")
