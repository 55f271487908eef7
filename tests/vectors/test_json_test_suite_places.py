"""Every case of JSONTestSuite as page one, as page two and as a webhook's body: exactly what it holds, or an error.

What came before a case that is refused is there once, and nothing of the case is. A case is read exactly where its
letter is y, refused where it is n, and one or the other where it is i; only scalars, which are JSON and no records, are
refused as a page.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql import StripeWebhookValidator, WebhookReceiver
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.engine.trip import trip
from apikit_sql.errors import DecodeError
from apikit_sql.scan.decode import json_records
from tests.engine.taking import Hand, accepted, plan_of
from tests.fakes.api import BASE_URL, FakeApi
from tests.vectors.test_json_test_suite import CASES, EMPTY, NO_RECORDS, as_field, expected, spelled
from tests.webhook.signing import SECRET, deliver, stripe

pytestmark = pytest.mark.no_cover

Rows = list[Any]

GOOD = [{"id": 1, "v": 7}, {"id": 2, "v": None}]
OF_PAGES = [name for name in sorted(CASES) if name not in NO_RECORDS]


def serve(body: bytes, number: int) -> FakeApi:
    """`body` as page one, or behind a page that is good."""
    answer = httpx.Response(200, content=body, headers={"content-type": "application/json"})
    if number == 1:
        return FakeApi({"/items": answer})
    return FakeApi({"/items": httpx.Response(200, json=GOOD, headers={"link": '</two>; rel="next"'}), "/two": answer})


def before(number: int) -> Rows:
    return GOOD if number == 2 else []


def taken(body: bytes, number: int) -> tuple[Rows, DecodeError | None]:
    """The records that a reader of the trip has got, and what has ended it."""
    hand = Hand(serve(body, number))
    plan = plan_of(pagination=PaginationConfig(strategy="link"), record_path="")
    records: Rows = []
    try:
        for page in accepted(trip(plan, hand.access(plan)), lambda wanted: hand.value(wanted.fetch())):
            records += map(json.loads, json_records(page))
    except DecodeError as error:
        return records, error
    return records, None


def holds(name: str, body: bytes) -> Rows:
    """What the standard library sees in it."""
    return [] if name in EMPTY else expected(body)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", OF_PAGES)
def test_a_page_is_read_exactly_or_refused_and_the_one_before_it_stays(name: str, number: int) -> None:
    body = CASES[name]

    records, error = taken(body, number)

    assert error is None or (name[0] in "ni" and f"page {number}" in str(error))
    assert error is not None or name[0] in "yi"
    assert spelled(records) == spelled(before(number) + ([] if error else holds(name, body)))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", NO_RECORDS)
def test_a_scalar_is_refused_as_a_page(name: str, number: int) -> None:
    records, error = taken(CASES[name], number)

    assert (records, type(error)) == (before(number), DecodeError)


class Table:
    """A table with a row, into which the API's records are inserted."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.session = Session(connectors=ConnectorRegistry(), transport=httpx.MockTransport(self._answer))
        self.con = duckdb.connect()
        apikit_sql.install(self.con, session=self.session)
        self.con.execute("CREATE TABLE kept (id BIGINT, v JSON)")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.api(request)

    def insert(self, body: bytes, number: int) -> str:
        """What DuckDB says."""
        self.api = serve(body, number)
        self.con.execute("DELETE FROM kept; INSERT INTO kept VALUES (0, '0')")
        options = "pagination := 'link', data_path := '', columns := {id: 'BIGINT', v: 'JSON'}"
        try:
            self.con.execute(f"INSERT INTO kept SELECT id, v FROM apikit('{BASE_URL}', '/items', {options})")
        except duckdb.Error as error:
            return str(error)
        return ""

    def rows(self) -> Rows:
        found = self.con.execute("SELECT id, v FROM kept ORDER BY id").fetchall()
        return [{"id": each, "v": None if text is None else json.loads(text)} for each, text in found]


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    made.con.close()
    made.session.close()


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", sorted(CASES))
def test_a_value_is_inserted_exactly_or_nothing_is(table: Table, name: str, number: int) -> None:
    body = as_field(CASES[name]).replace(b'"id": 1', b'"id": 3')

    error = table.insert(body, number)

    assert not error or (name[0] in "ni" and "DecodeError: " in error)
    assert error or name[0] in "yi"
    inserted = [] if error else [*before(number), *json.loads(body)]
    assert spelled(table.rows()) == spelled([{"id": 0, "v": 0}, *inserted])


Kept = Callable[[], Rows]
#: Halves of surrogate pairs, which no text can hold: some i cases have them.
_HALVES = re.compile("[\ud800-\udfff]")


def check_deliveries(address: str, kept: Kept) -> None:
    """Each case is answered 200 and kept exactly and once, or 400 and not kept."""
    good: Rows = []
    for name, body in sorted(CASES.items()):
        answer = deliver(address, body, stripe(body))
        assert answer.status_code in ({200} if name[0] == "y" else {400} if name[0] == "n" else {200, 400}), name
        if answer.status_code == 200:
            text = json.dumps(json.loads(body), ensure_ascii=False)
            good.append(json.loads(_HALVES.sub("\N{REPLACEMENT CHARACTER}", text)))
    assert spelled(kept()) == spelled(good)


def test_a_delivery_is_kept_exactly_or_refused() -> None:
    with WebhookReceiver(0, validator=StripeWebhookValidator(SECRET)) as receiver:
        check_deliveries(receiver.address, lambda: [event["payload"] for event in receiver.events])


def test_a_delivery_is_in_its_table_exactly_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    con = duckdb.connect()
    apikit_sql.install(con)
    start = "SELECT address FROM apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)"
    ((address,),) = con.execute(start).fetchall()

    def kept() -> Rows:
        found = con.execute("SELECT payload FROM h_events ORDER BY received_at").fetchall()
        return [json.loads(text) for (text,) in found]

    try:
        check_deliveries(address, kept)
    finally:
        con.execute("CALL apikit_webhook_stop('h')")
        con.close()
