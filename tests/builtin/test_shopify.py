"""Shopify: next links whose `page_info` carries the filters, and refuses any beside it."""

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

HOST = "acme.myshopify.com"
ADMIN = "/admin/api/2026-07"
TOKEN = "shpat_fake0123456789abcdef"
ZONE = dt.timezone(dt.timedelta(hours=-5))
FIRST = dt.datetime(2026, 1, 10, 22, 0, 0, tzinfo=ZONE)
HIDDEN = dt.timedelta(milliseconds=700)  # times are kept more exactly than they are shown

Rows = Callable[[str], list[tuple[object, ...]]]


def money(amount: str) -> dict[str, Any]:
    return {
        "shop_money": {"amount": amount, "currency_code": "CHF"},
        "presentment_money": {"amount": amount, "currency_code": "EUR"},
    }


def order(number: int) -> dict[str, Any]:
    made = (FIRST + dt.timedelta(minutes=number)).isoformat()
    price = f"{number}.95"
    return {
        "id": 450_789_469_000 + number,
        "admin_graphql_api_id": f"gid://shopify/Order/{450_789_469_000 + number}",
        "name": f"#{1001 + number}",
        "number": number + 1,
        "order_number": 1001 + number,
        "financial_status": ("paid", "pending", "refunded", "authorized")[number % 4],
        "fulfillment_status": (None, "fulfilled", "partial")[number % 3],
        "email": f"c{number}@example.com",
        "test": False,
        "customer": {"id": 7, "email": f"c{number}@example.com", "default_address": {"id": 1, "default": True}},
        "shipping_address": {"city": "Bern", "country_code": "CH", "latitude": 46.9, "longitude": 7.4},
        "currency": "CHF",
        "total_price": price,
        "total_price_set": money(price),
        "total_tax": "0.00",
        "total_weight": number * 10,
        "tax_lines": [{"title": "VAT", "price": "1.10", "rate": 0.077, "price_set": money("1.10")}],
        "line_items": [
            {
                "id": number * 10 + item,
                "title": f"Item {item}",
                "quantity": item + 1,
                "price": "4.50",
                "price_set": money("4.50"),
                "gift_card": False,
                "properties": [{"name": "Engraving", "value": "Ada"}],
            }
            for item in range(number % 3)
        ],
        "discount_codes": [{"code": "TEN", "amount": "10.00", "type": "fixed_amount"}] if number % 2 else [],
        "refunds": [],
        "note_attributes": [],
        "payment_gateway_names": ["bogus"],
        "tags": "a, b",
        "created_at": made,
        "processed_at": made,
        "updated_at": (FIRST + dt.timedelta(days=1, minutes=number)).isoformat(),
        "closed_at": made if number % 5 == 0 else None,
        "cancelled_at": None,
    }


def product(number: int) -> dict[str, Any]:
    made = (FIRST + dt.timedelta(minutes=number)).isoformat()
    return {
        "id": 632_910_000 + number,
        "title": f"Product {number}",
        "handle": f"product-{number}",
        "vendor": ("Acme", "Other & Sons")[number % 2],
        "product_type": ("Tool", "Toy", "Book")[number % 3],
        "status": ("active", "active", "archived", "draft")[number % 4],
        "tags": "x",
        "options": [{"id": 1, "product_id": 632_910_000 + number, "name": "Size", "position": 1, "values": ["S", "M"]}],
        "variants": [{"id": number, "title": "S", "price": "19.90", "compare_at_price": None, "inventory_quantity": 3}],
        "images": [{"id": 5, "position": 1, "src": "https://cdn.example/1.png", "variant_ids": [number]}],
        "image": None,
        "created_at": made,
        "updated_at": made,
        "published_at": made if number % 2 else None,
    }


def customer(number: int) -> dict[str, Any]:
    made = (FIRST + dt.timedelta(minutes=number)).isoformat()
    return {
        "id": 207_119_000 + number,
        "email": f"c{number}@example.com",
        "first_name": "Ada",
        "last_name": f"Nr{number}",
        "state": "enabled" if number % 2 else "disabled",
        "orders_count": number,
        "total_spent": f"{number}.50",
        "currency": "CHF",
        "tags": "",
        "tax_exemptions": ["CA_STATUS_CARD_EXEMPTION"] if number % 2 else [],
        "addresses": [{"id": 1, "customer_id": 207_119_000 + number, "city": "Bern", "default": True}],
        "email_marketing_consent": {
            "state": "subscribed",
            "opt_in_level": "single_opt_in",
            "consent_updated_at": made,
        },
        "created_at": made,
        "updated_at": made,
    }


ORDERS = [order(number) for number in range(620)]
PRODUCTS = [product(number) for number in range(620)]
CUSTOMERS = [customer(number) for number in range(510)]


class Shop:
    """One list of the Admin API. `inclusive` tells whether its bounds include the time that they name."""

    def __init__(self, key: str, records: list[dict[str, Any]], *, inclusive: bool) -> None:
        self.key, self.records, self.inclusive = key, records, inclusive
        self.pages: dict[str, tuple[list[dict[str, Any]], int]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("x-shopify-access-token") != TOKEN:
            return httpx.Response(401, json={"errors": "[API] Invalid API key or access token"})
        params = request.url.params
        size = int(params.get("limit", 50))
        if size > 250:
            return httpx.Response(400, json={"errors": {"limit": "must be at most 250"}})
        if (page_info := params.get("page_info")) is None:
            found, start = self._matching(params), 0
        elif params.keys() <= {"page_info", "limit", "fields"} and page_info in self.pages:
            found, start = self.pages[page_info]
        else:
            return httpx.Response(400, json={"errors": {"page_info": "Invalid value."}})
        links = []
        if start > 0:
            links.append(self._link(request, found, max(0, start - size), size, "previous"))
        if start + size < len(found):
            links.append(self._link(request, found, start + size, size, "next"))
        headers = {"link": ", ".join(links)} if links else {}
        headers["x-shopify-shop-api-call-limit"] = "1/40"
        return httpx.Response(200, json={self.key: found[start : start + size]}, headers=headers)

    def _link(self, request: httpx.Request, found: list[dict[str, Any]], start: int, size: int, relation: str) -> str:
        page_info = secrets.token_urlsafe(24)
        self.pages[page_info] = (found, start)
        url = request.url.copy_with(params={"limit": str(size), "page_info": page_info})
        return f'<{url}>; rel="{relation}"'

    def _matching(self, params: httpx.QueryParams) -> list[dict[str, Any]]:
        found = self.records
        for name, text in params.items():
            found = [record for record in found if name == "limit" or self._passes(record, name, text)]
        if self.key == "orders" and "status" not in params:
            found = [record for record in found if record["closed_at"] is None]
        if self.key == "products" and "status" not in params:
            found = [record for record in found if record["status"] == "active"]
        return found

    def _passes(self, record: Mapping[str, Any], name: str, text: str) -> bool:
        if name == "ids":
            return str(record["id"]) in text.split(",")
        if name == "status" and self.key == "orders":
            return text == "any" or (text == "open") == (record["closed_at"] is None)
        if name in {"status", "vendor", "product_type", "handle", "financial_status", "fulfillment_status"}:
            return bool(record[name] == text)
        column, _, side = name.rpartition("_")
        if side not in {"min", "max"} or record[column] is None:
            return False
        kept, bound = dt.datetime.fromisoformat(record[column]) + HIDDEN, dt.datetime.fromisoformat(text)
        if kept == bound:
            return self.inclusive
        return kept > bound if side == "min" else kept < bound


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            f"{ADMIN}/orders.json": Shop("orders", ORDERS, inclusive=True),
            f"{ADMIN}/products.json": Shop("products", PRODUCTS, inclusive=False),
            f"{ADMIN}/customers.json": Shop("customers", CUSTOMERS, inclusive=False),
        }
    )


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPIFY_SHOP", "acme")
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", TOKEN)


def moment(text: str | None) -> int | None:
    return None if text is None else round(dt.datetime.fromisoformat(text).timestamp())


def literal(text: str) -> str:
    return f"TIMESTAMPTZ '{text}'"


def test_orders_of_every_status_come_link_by_link(api: FakeApi, rows: Rows) -> None:
    found = rows(
        "SELECT id, name, order_number, financial_status, fulfillment_status, total_price, "
        'total_price_set.presentment_money.currency_code, total_weight, customer.default_address."default", '
        "shipping_address.latitude, [[i.id, i.quantity] for i in line_items], "
        "[i.price_set.shop_money.amount for i in line_items], tax_lines[1].rate, discount_codes[1].amount, "
        "line_items[1].properties[1].value->>'$', payment_gateway_names, epoch(created_at)::BIGINT, "
        "epoch(closed_at)::BIGINT FROM apikit('shopify', 'orders')"
    )

    assert found == [
        (
            o["id"],
            o["name"],
            o["order_number"],
            o["financial_status"],
            o["fulfillment_status"],
            float(o["total_price"]),
            "EUR",
            o["total_weight"],
            True,
            o["shipping_address"]["latitude"],
            [[item["id"], item["quantity"]] for item in o["line_items"]],
            [float(item["price_set"]["shop_money"]["amount"]) for item in o["line_items"]],
            o["tax_lines"][0]["rate"],
            float(o["discount_codes"][0]["amount"]) if o["discount_codes"] else None,
            "Ada" if o["line_items"] else None,
            o["payment_gateway_names"],
            moment(o["created_at"]),
            moment(o["closed_at"]),
        )
        for o in ORDERS
    ]
    first, *others = api.seen
    assert dict(first.url.params) == {"limit": "250", "status": "any"}
    assert [set(r.url.params.keys()) for r in others] == [{"limit", "page_info"}] * 2
    assert api.params("limit") == ["250"] * 3
    for request in api.seen:
        assert (request.method, request.url.host, request.url.path) == ("GET", HOST, f"{ADMIN}/orders.json")
        assert request.headers["x-shopify-access-token"] == TOKEN
        assert "authorization" not in request.headers


def test_products_of_each_status_are_a_trip(api: FakeApi, rows: Rows) -> None:
    found = rows(
        'SELECT id, title, status, options[1]."values", variants[1].price, variants[1].compare_at_price, '
        "images[1].variant_ids, epoch(published_at)::BIGINT FROM apikit('shopify', 'products') "
        "WHERE status IN ('active', 'archived', 'draft')"
    )

    expected = [
        (
            p["id"],
            p["title"],
            p["status"],
            p["options"][0]["values"],
            float(p["variants"][0]["price"]),
            None,
            p["images"][0]["variant_ids"],
            moment(p["published_at"]),
        )
        for p in PRODUCTS
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    first_pages = [dict(r.url.params) for r in api.seen if "page_info" not in r.url.params]
    assert sorted(p["status"] for p in first_pages) == ["active", "archived", "draft"]


def test_customers_come_link_by_link(api: FakeApi, rows: Rows) -> None:
    found = rows(
        "SELECT id, email, state, orders_count, total_spent, tax_exemptions, addresses[1].city, "
        "epoch(email_marketing_consent.consent_updated_at)::BIGINT, epoch(updated_at)::BIGINT "
        "FROM apikit('shopify', 'customers')"
    )

    assert found == [
        (
            c["id"],
            c["email"],
            c["state"],
            c["orders_count"],
            float(c["total_spent"]),
            c["tax_exemptions"],
            c["addresses"][0]["city"],
            moment(c["email_marketing_consent"]["consent_updated_at"]),
            moment(c["updated_at"]),
        )
        for c in CUSTOMERS
    ]
    assert [set(r.url.params.keys()) for r in api.seen] == [{"limit"}, {"limit", "page_info"}, {"limit", "page_info"}]


def test_a_filter_stands_on_the_first_page_and_the_links_carry_it(api: FakeApi, rows: Rows) -> None:
    start = ORDERS[20]["updated_at"]

    found = rows(
        f"SELECT id FROM apikit('shopify', 'orders', page_size := 40) "
        f"WHERE financial_status = 'paid' AND updated_at >= {literal(start)}"
    )

    expected = [o["id"] for o in ORDERS[20:] if o["financial_status"] == "paid"]
    assert found == [(order_id,) for order_id in expected]
    first, *others = api.seen
    assert first.url.params.keys() == {"limit", "status", "financial_status", "updated_at_min"}
    assert dt.datetime.fromisoformat(first.url.params["updated_at_min"]) == dt.datetime.fromisoformat(start)
    assert len(others) == -(-len(expected) // 40) - 1
    assert all(r.url.params.keys() == {"limit", "page_info"} for r in others)


@pytest.mark.parametrize(
    ("predicate", "param", "sent"),
    [
        (f"id = {ORDERS[3]['id']}", "ids", str(ORDERS[3]["id"])),
        ("financial_status = 'voided'", "financial_status", "voided"),
        ("financial_status = 'expired'", "financial_status", None),
        ("fulfillment_status = 'partial'", "fulfillment_status", "partial"),
        ("fulfillment_status = 'fulfilled'", "fulfillment_status", None),
        ("fulfillment_status IS NULL", "fulfillment_status", None),
        ("created_at > TIMESTAMPTZ '2026-01-11 04:00:00.5+00'", "created_at_min", "2026-01-11T04:00:00Z"),
        ("created_at <= TIMESTAMPTZ '2026-01-11 04:00:00.5+00'", "created_at_max", "2026-01-11T04:00:02Z"),
        ("processed_at >= TIMESTAMPTZ '2026-01-11 04:00:00+00'", "processed_at_min", "2026-01-11T04:00:00Z"),
        ("processed_at < TIMESTAMPTZ '2026-01-11 04:00:00+00'", "processed_at_max", "2026-01-11T04:00:01Z"),
        ("updated_at < TIMESTAMPTZ '2026-01-12 04:00:00+00'", "updated_at_max", "2026-01-12T04:00:01Z"),
        ("cancelled_at > TIMESTAMPTZ '2026-01-12 04:00:00+00'", "cancelled_at_min", None),
    ],
)
def test_a_predicate_on_orders_is_sent_where_shopify_means_the_same(
    predicate: str, param: str, sent: str | None, api: FakeApi, rows: Rows
) -> None:
    rows(f"SELECT id FROM apikit('shopify', 'orders') WHERE {predicate}")

    first = api.seen[0].url.params
    assert first.get(param) == sent
    assert first.keys() == {"limit", "status", *([param] if sent else [])}


@pytest.mark.parametrize(
    ("predicate", "param", "sent"),
    [
        (f"id = {PRODUCTS[3]['id']}", "ids", str(PRODUCTS[3]["id"])),
        ("vendor = 'Other & Sons'", "vendor", "Other & Sons"),
        ("product_type = 'Toy'", "product_type", "Toy"),
        ("handle = 'product-5'", "handle", "product-5"),
        ("title = 'Product 5'", "title", None),
        ("created_at >= TIMESTAMPTZ '2026-01-11 04:00:00+00'", "created_at_min", "2026-01-11T03:59:59Z"),
        ("updated_at <= TIMESTAMPTZ '2026-01-11 04:00:00+00'", "updated_at_max", "2026-01-11T04:00:01Z"),
        ("published_at > TIMESTAMPTZ '2026-01-11 04:00:00+00'", "published_at_min", "2026-01-11T03:59:59Z"),
    ],
)
def test_a_predicate_on_products_is_sent_where_shopify_means_the_same(
    predicate: str, param: str, sent: str | None, api: FakeApi, rows: Rows
) -> None:
    rows(f"SELECT id FROM apikit('shopify', 'products') WHERE status = 'draft' AND {predicate}")

    first = api.seen[0].url.params
    assert first["status"] == "draft"
    assert first.get(param) == sent
    assert first.keys() == {"limit", "status", *([param] if sent else [])}


@pytest.mark.parametrize("where", ["", "WHERE status <> 'active'", "WHERE status = 'unlisted'"])
def test_products_of_a_status_that_was_not_said_are_not_left_out_silently(where: str, rows: Rows) -> None:
    with pytest.raises(duckdb.InvalidInputException, match=r"shopify /.*products.json (needs|cannot ask for) status"):
        rows(f"SELECT id FROM apikit('shopify', 'products') {where}")


@pytest.mark.parametrize("operator", ["<", "<=", "=", ">=", ">"])
@pytest.mark.parametrize(("stream", "records"), [("orders", ORDERS), ("customers", CUSTOMERS)])
def test_no_row_is_lost_at_a_bound(operator: str, stream: str, records: list[dict[str, Any]], rows: Rows) -> None:
    shown = records[300]["updated_at"]

    found = rows(f"SELECT id FROM apikit('shopify', '{stream}') WHERE updated_at {operator} {literal(shown)}")

    everything = rows(f"SELECT id, updated_at {operator} {literal(shown)} FROM apikit('shopify', '{stream}')")
    assert found == [(record_id,) for record_id, holds in everything if holds]
    assert len(everything) == len(records)
    assert len(found) == {"<": 300, "<=": 301, "=": 1, ">=": len(records) - 300, ">": len(records) - 301}[operator]


def test_several_ids_are_a_trip_each(api: FakeApi, rows: Rows) -> None:
    wanted = [CUSTOMERS[5]["id"], CUSTOMERS[400]["id"]]

    found = rows(f"SELECT id FROM apikit('shopify', 'customers') WHERE id IN ({wanted[0]}, {wanted[1]})")

    assert sorted(found) == [(record_id,) for record_id in wanted]
    assert sorted(str(ids) for ids in api.params("ids")) == [str(record_id) for record_id in wanted]


def test_a_larger_page_than_shopify_gives_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match=r"shopify: GET /admin/api/2026-07/orders\.json answered 400"):
        con.sql("FROM apikit('shopify', 'orders', page_size := 251)").fetchall()


def test_a_refused_token_is_an_error_that_does_not_show_it(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", "shpat_wrong99999999")

    with pytest.raises(duckdb.Error, match=r"401 .*env:SHOPIFY_ACCESS_TOKEN\) was refused") as refused:
        con.sql("FROM apikit('shopify', 'orders')").fetchall()

    assert "shpat_wrong99999999" not in str(refused.value)


@pytest.mark.parametrize("name", ["SHOPIFY_SHOP", "SHOPIFY_ACCESS_TOKEN"])
def test_a_missing_setting_is_named(
    name: str, api: FakeApi, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(duckdb.Error, match=name):
        con.sql("FROM apikit('shopify', 'orders')").fetchall()

    assert api.seen == []
