"""Airtable: an opaque `offset` from page to page, cells as JSON, and the meta API."""

import datetime as dt
import json
import math
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

BASE, TABLE = "appFake0000000001", "tblFake0000000001"
ODD_TABLE = "Leads 50%/Q1"
TOKEN = "patFake.0123456789abcdef"
FIRST = dt.datetime(2026, 1, 31, 22, 15, tzinfo=dt.UTC)

Rows = Callable[[str], list[tuple[object, ...]]]


def record(number: int) -> dict[str, Any]:
    """A record in the documented shape: cells that are empty are left out."""
    cells: dict[str, Any] = {"Name": f"Lead {number}", "Score": number / 4, "Tags": ["new", f"t{number % 3}"]}
    if number % 2:
        cells["Done"] = True
    created = FIRST + dt.timedelta(minutes=number, milliseconds=number)
    return {
        "id": f"rec{number:014d}",
        "createdTime": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "fields": cells,
    }


RECORDS = [record(number) for number in range(230)]
BASES = [
    {"id": f"app{number:014d}", "name": f"Base {number}", "permissionLevel": ("create", "edit", "read")[number % 3]}
    for number in range(2_400)
]
TABLES = [
    {
        "id": TABLE,
        "name": ODD_TABLE,
        "description": "Who might buy.",
        "primaryFieldId": "fld1",
        "fields": [
            {"id": "fld1", "name": "Name", "type": "singleLineText", "description": "Who"},
            {"id": "fld2", "name": "Done", "type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
        ],
        "views": [{"id": "viw1", "name": "Grid view", "type": "grid"}],
    },
    {"id": "tblFake0000000002", "name": "Empty", "primaryFieldId": "fld9", "fields": [], "views": []},
]


class Pages:
    """A list that is given out page by page. The next page is known by a token that says nothing of where it is."""

    def __init__(self, key: str, records: list[dict[str, Any]], largest: int, *, sized: bool = True) -> None:
        self._key, self._records, self._largest, self._sized = key, records, largest, sized
        self._starts: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            error = {"type": "AUTHENTICATION_REQUIRED", "message": "Authentication required"}
            return httpx.Response(401, json={"error": error})
        params = request.url.params
        size = int(params.get("pageSize", self._largest))
        token = params.get("offset")
        if size > self._largest or (not self._sized and "pageSize" in params) or (token and token not in self._starts):
            error = {"type": "INVALID_REQUEST_UNKNOWN", "message": "Invalid request: parameter validation failed."}
            return httpx.Response(422, json={"error": error})
        start = self._starts[token] if token else 0
        body: dict[str, Any] = {self._key: self._records[start : start + size]}
        if start + size < len(self._records):
            following = f"itr{hash((self._key, start)) & 0xFFFFFF:x}/{self._records[start + size - 1]['id']}"
            self._starts[following] = start + size
            body["offset"] = following
        return httpx.Response(200, json=body)

    @property
    def tokens(self) -> list[str]:
        """The tokens that were given out, in order."""
        return list(self._starts)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRTABLE_TOKEN", TOKEN)


@pytest.fixture
def records() -> Pages:
    return Pages("records", RECORDS, 100)


@pytest.fixture
def bases() -> Pages:
    return Pages("bases", BASES, 1_000, sized=False)


@pytest.fixture
def api(records: Pages, bases: Pages) -> FakeApi:
    return FakeApi(
        {
            f"/v0/{BASE}/{TABLE}": records,
            f"/v0/{BASE}/{ODD_TABLE}": Pages("records", RECORDS[:2], 100),
            f"/v0/{BASE}/tblNone": httpx.Response(404, json={"error": "NOT_FOUND"}),
            "/v0/meta/bases": bases,
            f"/v0/meta/bases/{BASE}/tables": httpx.Response(200, json={"tables": TABLES}),
        }
    )


def test_every_record_of_a_table_comes_over_pages_of_a_hundred(api: FakeApi, rows: Rows, records: Pages) -> None:
    found = rows(
        f"SELECT base_id, \"table\", id, epoch_ms(createdTime), fields FROM apikit('airtable', 'records') "
        f"WHERE base_id = '{BASE}' AND \"table\" = '{TABLE}'"
    )

    expected = [
        (BASE, TABLE, r["id"], round(dt.datetime.fromisoformat(r["createdTime"]).timestamp() * 1_000), r["fields"])
        for r in RECORDS
    ]
    assert [(*row[:4], json.loads(str(row[4]))) for row in found] == expected
    assert [dict(request.url.params) for request in api.seen] == [
        {"pageSize": "100"},
        *({"pageSize": "100", "offset": token} for token in records.tokens),
    ]
    assert len(records.tokens) == math.ceil(len(RECORDS) / 100) - 1
    assert {(r.method, r.url.host, r.url.path) for r in api.seen} == {
        ("GET", "api.airtable.com", f"/v0/{BASE}/{TABLE}")
    }
    assert {r.headers["authorization"] for r in api.seen} == {f"Bearer {TOKEN}"}


def test_cells_are_read_by_field_name(rows: Rows) -> None:
    found = rows(
        "SELECT fields->>'Name', (fields->>'Score')::DOUBLE, (fields->>'Done')::BOOLEAN FROM apikit('airtable', "
        f"'records') WHERE base_id = '{BASE}' AND \"table\" = '{TABLE}' AND (fields->>'Score')::DOUBLE > 56"
    )

    expected = [r["fields"] for r in RECORDS if r["fields"]["Score"] > 56]
    assert found == [(cells["Name"], cells["Score"], cells.get("Done")) for cells in expected]


def test_a_table_is_known_by_its_name_too_whatever_it_holds(api: FakeApi, rows: Rows) -> None:
    found = rows(f"SELECT id FROM apikit('airtable', 'records') WHERE base_id = '{BASE}' AND \"table\" = '{ODD_TABLE}'")

    assert found == [(r["id"],) for r in RECORDS[:2]]
    assert api.paths == [f"/v0/{BASE}/Leads%2050%25%2FQ1?pageSize=100"]


def test_a_formula_goes_along_to_every_page(api: FakeApi, rows: Rows, records: Pages) -> None:
    rows(
        "SELECT id FROM apikit('airtable', 'records', params := {filterByFormula: '{Score} > 1'}) "
        f"WHERE base_id = '{BASE}' AND \"table\" = '{TABLE}'"
    )

    assert api.params("filterByFormula") == ["{Score} > 1"] * 3
    assert api.params("offset") == [None, *records.tokens]


def test_a_predicate_on_a_records_own_columns_is_not_sent(api: FakeApi, rows: Rows) -> None:
    found = rows(
        f"SELECT id FROM apikit('airtable', 'records') WHERE base_id = '{BASE}' AND \"table\" = '{TABLE}' "
        f"AND id = '{RECORDS[7]['id']}' AND createdTime >= TIMESTAMPTZ '2026-01-31 22:15:00+00'"
    )

    assert found == [(RECORDS[7]["id"],)]
    assert {frozenset(request.url.params) for request in api.seen} <= {
        frozenset({"pageSize"}),
        frozenset({"pageSize", "offset"}),
    }


def test_bases_come_by_the_thousand_and_no_page_size_is_sent(api: FakeApi, rows: Rows, bases: Pages) -> None:
    found = rows("SELECT id, name, permissionLevel FROM apikit('airtable', 'bases')")

    assert found == [(base["id"], base["name"], base["permissionLevel"]) for base in BASES]
    assert [dict(request.url.params) for request in api.seen] == [{}, *({"offset": token} for token in bases.tokens)]
    assert len(api.seen) == 3


def test_tables_tell_their_fields_and_views(api: FakeApi, rows: Rows) -> None:
    found = rows(
        "SELECT base_id, id, name, description, primaryFieldId, "
        "[[f.id, f.name, f.type, f.description, f.options->>'color'] for f in fields], "
        f"[[v.id, v.name, v.type] for v in views] FROM apikit('airtable', 'tables') WHERE base_id = '{BASE}'"
    )

    tables: list[Any] = TABLES
    assert found == [
        (
            BASE,
            t["id"],
            t["name"],
            t.get("description"),
            t["primaryFieldId"],
            [
                [f["id"], f["name"], f["type"], f.get("description"), f.get("options", {}).get("color")]
                for f in t["fields"]
            ],
            [[v["id"], v["name"], v["type"]] for v in t["views"]],
        )
        for t in tables
    ]
    assert api.paths == [f"/v0/meta/bases/{BASE}/tables"]


def test_a_limit_stops_the_requests(api: FakeApi, rows: Rows) -> None:
    found = rows(
        f"SELECT id FROM apikit('airtable', 'records') WHERE base_id = '{BASE}' AND \"table\" = '{TABLE}' LIMIT 5"
    )

    assert found == [(r["id"],) for r in RECORDS[:5]]
    assert len(api.seen) <= 2  # DuckDB 1.x reads one page ahead


def test_records_need_a_base_and_a_table(api: FakeApi, con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match='needs base_id and "table"'):
        con.sql(f"FROM apikit('airtable', 'records') WHERE base_id = '{BASE}'").fetchall()

    assert api.seen == []


def test_a_table_that_is_not_there_is_an_error_in_airtables_words(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match=r"airtable: GET /v0/\w+/tblNone answered 404 \(NOT_FOUND\)"):
        con.sql(f"FROM apikit('airtable', 'records') WHERE base_id = '{BASE}' AND \"table\" = 'tblNone'").fetchall()


def test_a_missing_token_is_named(
    api: FakeApi, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRTABLE_TOKEN")

    with pytest.raises(duckdb.Error, match="AIRTABLE_TOKEN"):
        con.sql("FROM apikit('airtable', 'bases')").fetchall()

    assert api.seen == []


def test_a_refused_token_is_an_error_that_does_not_show_it(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRTABLE_TOKEN", "patWrong.fedcba9876543210")

    with pytest.raises(duckdb.Error, match=r"401 .*env:AIRTABLE_TOKEN\) was refused") as refused:
        con.sql("FROM apikit('airtable', 'bases')").fetchall()

    assert "patWrong" not in str(refused.value)
