"""Stripe's lists, by the last record's id, and its filters: apikit('stripe', ...) against a server of our own."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

from apikit_sql.connector.registry import ConnectorRegistry
from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

Rows = Callable[[str], list[tuple[Any, ...]]]
Record = dict[str, Any]

KEY = "sk_test_51Fake"
START = 1_760_000_000  # when the oldest record was created
PAGING = {"limit", "starting_after"}


def moment(seconds: int | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


def sql_time(seconds: float) -> str:
    return f"TIMESTAMPTZ '{dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()}'"


def address(number: int) -> Record:
    return {"city": f"City {number}", "country": "DE", "line1": "1 Way", "line2": None, "postal_code": "1", "state": ""}


def customer(number: int) -> Record:
    return {
        "id": f"cus_{number:04}",
        "object": "customer",
        "address": address(number) if number % 2 else None,
        "balance": number * -100,
        "created": START + number * 60,
        "currency": "eur" if number % 3 else None,
        "delinquent": number % 5 == 0,
        "email": f"user{number % 40}@example.test",
        "invoice_settings": {"custom_fields": [{"name": "PO", "value": str(number)}], "footer": None},
        "livemode": False,
        "metadata": {"plan": f"p{number % 3}"},
        "name": f"Customer {number}",
        "next_invoice_sequence": number + 1,
        "preferred_locales": ["de", "en"] if number % 2 else [],
        "tax_exempt": "none",
    }


def charge(number: int) -> Record:
    return {
        "id": f"ch_{number:04}",
        "object": "charge",
        "amount": 1_000 + number,
        "amount_refunded": 0,
        "billing_details": {"address": address(number), "email": None, "name": f"Payer {number}", "phone": None},
        "captured": True,
        "created": START + number * 60,
        "currency": "usd",
        "customer": f"cus_{number % 7:04}",
        "fraud_details": {},
        "metadata": {},
        "outcome": {"type": "authorized", "risk_score": number % 100, "network_status": "approved_by_network"},
        "paid": True,
        "payment_intent": f"pi_{number // 2:04}",
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": f"{number:04}"}},
        "status": "succeeded",
        "transfer_group": "g1",
    }


def invoice(number: int) -> Record:
    status = ["draft", "open", "paid", "uncollectible", "void"][number % 5]
    subscription = {"subscription": f"sub_{number % 4:04}", "metadata": {}}
    return {
        "id": f"in_{number:04}",
        "object": "invoice",
        "amount_due": 5_000_000_000 + number,
        "collection_method": "send_invoice" if number % 2 else "charge_automatically",
        "created": START + number * 60,
        "currency": "eur",
        "customer": f"cus_{number % 7:04}",
        "customer_account": f"acct_{number % 3}",
        "discounts": [f"di_{number}"] if number % 2 else [],
        "due_date": START + number * 60 + 30 if number % 2 else None,
        "lines": {"object": "list", "data": [{"id": f"il_{number}", "amount": number}], "has_more": False},
        "parent": {"type": "subscription_details", "quote_details": None, "subscription_details": subscription}
        if number % 3
        else None,
        "status": status,
        "status_transitions": {"finalized_at": START + number, "paid_at": None, "voided_at": None},
        "total_taxes": [{"amount": number, "tax_behavior": "inclusive", "type": "tax_rate_details"}],
    }


class Listing:
    """A list endpoint as the reference has it: newest first, `has_more`, and no parameter that it does not know."""

    def __init__(self, records: list[Record], **filters: Callable[[Record], Any]) -> None:
        self.records = sorted(records, key=lambda record: record["created"], reverse=True)
        self._filters = filters

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return httpx.Response(401, json={"error": {"message": "Invalid API Key provided"}})
        params = dict(request.url.params)
        after, limit = params.pop("starting_after", None), int(params.pop("limit", "10"))
        found = self.records
        for name, text in params.items():
            field, _, bound = name.rstrip("]").partition("[")
            if field not in self._filters or bound not in {"", "gte", "lte"} or not 1 <= limit <= 100:
                message = f"Received unknown parameter: {name}"
                return httpx.Response(400, json={"error": {"code": "parameter_unknown", "message": message}})
            found = [record for record in found if _holds(self._filters[field](record), bound, text)]
        ids = [record["id"] for record in found]
        start = ids.index(after) + 1 if after is not None else 0
        body = {"object": "list", "url": request.url.path, "has_more": start + limit < len(found)}
        return httpx.Response(200, json={**body, "data": found[start : start + limit]})


def _holds(value: Any, bound: str, text: str) -> bool:
    if not bound or value is None:
        return bool(value == text)
    return int(value) >= int(text) if bound == "gte" else int(value) <= int(text)


def field(name: str) -> Callable[[Record], Any]:
    return lambda record: record[name]


def subscription_of(record: Record) -> Any:
    return record["parent"] and record["parent"]["subscription_details"]["subscription"]


CUSTOMERS = Listing([customer(n) for n in range(250)], email=field("email"), created=field("created"))
CHARGES = Listing(
    [charge(n) for n in range(230)],
    customer=field("customer"),
    payment_intent=field("payment_intent"),
    created=field("created"),
)
INVOICES = Listing(
    [invoice(n) for n in range(201)],
    status=field("status"),
    collection_method=field("collection_method"),
    customer=field("customer"),
    customer_account=field("customer_account"),
    subscription=subscription_of,
    created=field("created"),
    due_date=field("due_date"),
)

LISTINGS = {"customers": CUSTOMERS, "charges": CHARGES, "invoices": INVOICES}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({f"/v1/{stream}": listing for stream, listing in LISTINGS.items()})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)


def queries(api: FakeApi) -> list[dict[str, str]]:
    return [dict(request.url.params) for request in api.seen]


def narrowing(api: FakeApi) -> list[dict[str, str]]:
    """The filters of each trip's first page."""
    return [
        {name: value for name, value in query.items() if name not in PAGING}
        for query in queries(api)
        if "starting_after" not in query
    ]


def test_what_is_written_is_a_form_and_may_be_sent_twice() -> None:
    connector = ConnectorRegistry().get("stripe")

    assert (connector.body_format, connector.idempotency_header) == ("form", "Idempotency-Key")
    assert connector.read_posts == ()


class TestLists:
    def test_every_customer_is_a_row_of_exact_values(self, rows: Rows) -> None:
        found = rows(
            "SELECT id, email, created, balance, delinquent, currency, address.city, preferred_locales, metadata, "
            "invoice_settings.custom_fields[1].value, next_invoice_sequence FROM apikit('stripe', 'customers')"
        )

        assert [(*row[:8], json.loads(row[8]), *row[9:]) for row in found] == [
            (
                record["id"],
                record["email"],
                moment(record["created"]),
                record["balance"],
                record["delinquent"],
                record["currency"],
                record["address"] and record["address"]["city"],
                record["preferred_locales"],
                record["metadata"],
                record["invoice_settings"]["custom_fields"][0]["value"],
                record["next_invoice_sequence"],
            )
            for record in CUSTOMERS.records
        ]

    def test_every_charge_is_a_row_of_exact_values(self, rows: Rows) -> None:
        found = rows(
            "SELECT id, amount, created, outcome.risk_score, billing_details.address.country, "
            "fraud_details.user_report, payment_method_details ->> '$.card.last4' FROM apikit('stripe', 'charges')"
        )

        assert found == [
            (
                record["id"],
                record["amount"],
                moment(record["created"]),
                record["outcome"]["risk_score"],
                "DE",
                None,
                record["payment_method_details"]["card"]["last4"],
            )
            for record in CHARGES.records
        ]

    def test_every_invoice_is_a_row_of_exact_values(self, rows: Rows) -> None:
        found = rows(
            "SELECT id, amount_due, due_date, status_transitions.finalized_at, status_transitions.paid_at, discounts, "
            "parent.subscription_details.subscription, total_taxes[1].amount, lines ->> '$.data[0].id' "
            "FROM apikit('stripe', 'invoices')"
        )

        assert found == [
            (
                record["id"],
                record["amount_due"],
                moment(record["due_date"]),
                moment(record["status_transitions"]["finalized_at"]),
                None,
                record["discounts"],
                subscription_of(record),
                record["total_taxes"][0]["amount"],
                record["lines"]["data"][0]["id"],
            )
            for record in INVOICES.records
        ]

    @pytest.mark.parametrize("stream", LISTINGS)
    def test_each_page_starts_after_the_last_record_of_the_one_before(
        self, rows: Rows, api: FakeApi, stream: str
    ) -> None:
        rows(f"FROM apikit('stripe', '{stream}')")

        ids = [record["id"] for record in LISTINGS[stream].records]
        assert [request.url.path for request in api.seen] == [f"/v1/{stream}"] * 3
        assert queries(api) == [
            {"limit": "100"},
            {"limit": "100", "starting_after": ids[99]},
            {"limit": "100", "starting_after": ids[199]},
        ]

    def test_a_request_is_signed_and_names_the_version(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT id FROM apikit('stripe', 'customers')")

        for request in api.seen:
            assert request.url.host == "api.stripe.com"
            assert request.headers.get_list("authorization") == [f"Bearer {KEY}"]
            assert request.headers.get_list("stripe-version") == ["2026-10-28.endive"]
            assert request.content == b""

    def test_columns_are_known_without_a_request(self, rows: Rows, api: FakeApi) -> None:
        found: dict[str, str] = dict(
            rows("SELECT column_name, column_type FROM (DESCRIBE FROM apikit('stripe', 'invoices'))")
        )

        assert api.seen == []
        assert {name: found[name] for name in ("id", "created", "amount_due", "discounts", "metadata")} == {
            "id": "VARCHAR",
            "created": "TIMESTAMP WITH TIME ZONE",
            "amount_due": "BIGINT",
            "discounts": "VARCHAR[]",
            "metadata": "JSON",
        }

    def test_a_plain_path_pages_as_the_streams_do(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT count(*) FROM apikit('stripe', '/customers')") == [(250,)]
        assert queries(api)[-1] == {"limit": "100", "starting_after": CUSTOMERS.records[199]["id"]}

    def test_a_path_of_one_object_is_asked_without_paging(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/v1/balance"] = httpx.Response(200, json={"object": "balance", "livemode": False})

        assert rows("SELECT livemode FROM apikit('stripe', '/balance', pagination := 'none')") == [(False,)]
        assert queries(api) == [{}]

    def test_what_is_expanded_is_json_text_unless_the_call_declares_it(self, rows: Rows, api: FakeApi) -> None:
        # given a charge whose customer is an object, as expand[] makes it
        expanded = charge(1) | {"customer": customer(1)}
        api.routes["/v1/charges"] = httpx.Response(200, json={"object": "list", "has_more": False, "data": [expanded]})
        source = "apikit('stripe', 'charges', params := {'expand[]': 'data.customer'}%s)"

        declared = rows(
            "FROM " + source % ", columns := {id: 'VARCHAR', customer: 'STRUCT(id VARCHAR, email VARCHAR)'}"
        )
        ((text,),) = rows("SELECT customer FROM " + source % "")

        assert declared == [("ch_0001", {"id": "cus_0001", "email": "user1@example.test"})]
        assert json.loads(text) == expanded["customer"]
        assert queries(api) == [{"expand[]": "data.customer", "limit": "100"}] * 2


class TestFilters:
    @pytest.mark.parametrize(
        ("stream", "column", "value"),
        [
            ("customers", "email", "user7@example.test"),
            ("charges", "customer", "cus_0003"),
            ("charges", "payment_intent", "pi_0010"),
            ("invoices", "status", "uncollectible"),
            ("invoices", "collection_method", "send_invoice"),
            ("invoices", "customer", "cus_0003"),
            ("invoices", "customer_account", "acct_2"),
        ],
    )
    def test_a_value_is_asked_for_by_the_parameter_of_its_name(
        self, rows: Rows, api: FakeApi, stream: str, column: str, value: str
    ) -> None:
        found = rows(f"SELECT id FROM apikit('stripe', '{stream}') WHERE {column} = '{value}'")

        assert found == [(record["id"],) for record in LISTINGS[stream].records if record[column] == value]
        assert narrowing(api) == [{column: value}]

    def test_the_subscription_within_parent_is_asked_for_by_its_parameter(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT id FROM apikit('stripe', 'invoices') WHERE parent.subscription_details.subscription = 'sub_0002'"
        )

        assert found == [(record["id"],) for record in INVOICES.records if subscription_of(record) == "sub_0002"]
        assert narrowing(api) == [{"subscription": "sub_0002"}]

    def test_several_values_are_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT id FROM apikit('stripe', 'invoices') WHERE status IN ('open', 'void')")

        assert sorted(found) == sorted((r["id"],) for r in INVOICES.records if r["status"] in {"open", "void"})
        assert sorted(query["status"] for query in narrowing(api)) == ["open", "void"]

    def test_a_status_that_stripe_does_not_know_is_not_sent(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT id FROM apikit('stripe', 'invoices') WHERE status = 'deleted'") == []
        assert narrowing(api) == [{}]

    @pytest.mark.parametrize("predicate", ["transfer_group = 'g1'", "email = lower(email)", "amount > 1100"])
    def test_what_is_no_exact_filter_is_not_sent(self, rows: Rows, api: FakeApi, predicate: str) -> None:
        stream = "customers" if "email" in predicate else "charges"

        assert rows(f"SELECT count(*) > 0 FROM apikit('stripe', '{stream}') WHERE {predicate}") == [(True,)]
        assert narrowing(api) == [{}]

    @pytest.mark.parametrize(
        ("stream", "column"),
        [
            ("customers", "created"),
            ("charges", "created"),
            ("invoices", "created"),
            ("invoices", "due_date"),
        ],
    )
    def test_bounds_between_two_seconds_are_rounded_outward(
        self, rows: Rows, api: FakeApi, stream: str, column: str
    ) -> None:
        low, high = START + 3_000, START + 6_000

        found = rows(
            f"SELECT id FROM apikit('stripe', '{stream}') "
            f"WHERE {column} >= {sql_time(low + 0.5)} AND {column} < {sql_time(high + 0.5)}"
        )

        assert found == [
            (r["id"],) for r in LISTINGS[stream].records if r[column] is not None and low < r[column] <= high
        ]
        assert found
        assert narrowing(api) == [{f"{column}[gte]": str(low), f"{column}[lte]": str(high + 1)}]

    def test_one_moment_is_both_bounds(self, rows: Rows, api: FakeApi) -> None:
        found = rows(f"SELECT id FROM apikit('stripe', 'charges') WHERE created = {sql_time(START + 600)}")

        assert found == [("ch_0010",)]
        assert narrowing(api) == [{"created[gte]": str(START + 600), "created[lte]": str(START + 600)}]

    def test_filters_stay_while_the_pages_go_on(self, rows: Rows, api: FakeApi) -> None:
        found = rows(f"SELECT id FROM apikit('stripe', 'charges') WHERE created >= {sql_time(START + 60)}")

        assert len(found) == 229
        assert [query.pop("created[gte]") for query in queries(api)] == [str(START + 60)] * 3


class TestRefusals:
    def test_without_a_key_the_error_names_its_variable(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("STRIPE_API_KEY")

        with pytest.raises(duckdb.Error, match="stripe: env:STRIPE_API_KEY is not set"):
            rows("FROM apikit('stripe', 'customers')")
        assert api.seen == []

    def test_a_refused_key_is_told_and_not_shown(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STRIPE_API_KEY", "sk_live_wrong0123456789")

        with pytest.raises(duckdb.Error, match="answered 401") as caught:
            rows("FROM apikit('stripe', 'customers')")
        assert "sk_live_wrong0123456789" not in str(caught.value)
        assert len(api.seen) == 1

    def test_a_parameter_that_stripe_does_not_know_is_told_in_its_words(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match="Received unknown parameter: name"):
            rows("FROM apikit('stripe', 'customers', params := {name: 'x'})")
