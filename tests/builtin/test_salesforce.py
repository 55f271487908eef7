"""Salesforce: OAuth 2.0 client credentials, SOQL, and batches that lead to one another by `nextRecordsUrl`."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

HOST = "acme.my.salesforce.com"
CLIENT_ID, CLIENT_SECRET = "3MVG9.fake_consumer_key", "0123456789ABCDEFFAKE"
QUERY = "/services/data/v66.0/query"
BATCH = 200
FIRST = dt.datetime(2024, 2, 28, 23, 59, 58, tzinfo=dt.UTC)

Rows = Callable[[str], list[tuple[object, ...]]]


def written(moment: dt.datetime) -> str:
    """A date and time as Salesforce writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def account(number: int) -> dict[str, Any]:
    changed = FIRST + dt.timedelta(hours=number)
    record_id = f"001fake{number:011d}"
    return {
        "attributes": {"type": "Account", "url": f"/services/data/v66.0/sobjects/Account/{record_id}"},
        "Id": record_id,
        "IsDeleted": False,
        "Name": f"Account {number}",
        "Industry": None if number % 5 == 0 else "Energy",
        "AnnualRevenue": None if number % 7 == 0 else number * 1000.5,
        "NumberOfEmployees": number,
        "BillingCity": "Bern",
        "BillingAddress": {
            "city": "Bern",
            "country": "Switzerland",
            "geocodeAccuracy": None,
            "latitude": 46.948,
            "longitude": 7.447,
            "postalCode": "3011",
            "state": None,
            "street": f"Gasse {number}",
        },
        "OwnerId": "005fake00000000001",
        "CreatedDate": written(FIRST),
        "SystemModstamp": written(changed),
        "LastActivityDate": "2024-02-29" if number % 2 else None,
    }


def contact(number: int) -> dict[str, Any]:
    record_id = f"003fake{number:011d}"
    return {
        "attributes": {"type": "Contact", "url": f"/services/data/v66.0/sobjects/Contact/{record_id}"},
        "Id": record_id,
        "AccountId": f"001fake{number:011d}",
        "Name": f"Ada Nr{number}",
        "FirstName": "Ada",
        "LastName": f"Nr{number}",
        "Email": f"ada{number}@example.com",
        "Birthdate": "1990-12-01",
        "HasOptedOutOfEmail": number % 2 == 0,
        "SystemModstamp": written(FIRST),
    }


def opportunity(number: int) -> dict[str, Any]:
    record_id = f"006fake{number:011d}"
    return {
        "attributes": {"type": "Opportunity", "url": f"/services/data/v66.0/sobjects/Opportunity/{record_id}"},
        "Id": record_id,
        "Name": f"Deal {number}",
        "StageName": "Closed Won" if number % 3 == 0 else "Prospecting",
        "Amount": number * 0.25,
        "Probability": 100.0 if number % 3 == 0 else 10.0,
        "CloseDate": f"2026-{number % 12 + 1:02d}-28",
        "IsWon": number % 3 == 0,
        "FiscalYear": 2026,
        "FiscalQuarter": number % 4 + 1,
        "SystemModstamp": written(FIRST + dt.timedelta(seconds=number)),
    }


TABLES = {
    "Account": [account(number) for number in range(550)],
    "Contact": [contact(number) for number in range(450)],
    "Opportunity": [opportunity(number) for number in range(401)],
}
LEADS = [{"attributes": {"type": "Lead"}, "Id": "00Qfake00000000001", "Email": "lead@example.com"}]


class Salesforce:
    """A token endpoint, and queries in batches. Its tokens are those that it has given out, but for revoked ones."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.revoked: set[str] = set()
        self.forms: list[dict[str, str]] = []

    def token(self, request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(request.content.decode()))
        self.forms.append(form)
        asked = (form.get("grant_type"), form.get("client_id"), form.get("client_secret"))
        if request.method != "POST" or asked != ("client_credentials", CLIENT_ID, CLIENT_SECRET):
            error = {"error": "invalid_client", "error_description": "invalid client credentials"}
            return httpx.Response(400, json=error)
        self.tokens.append(f"00Dfake!AQ.token{len(self.tokens)}")
        body = {
            "access_token": self.tokens[-1],
            "signature": "c2lnbmF0dXJl",
            "scope": "api",
            "instance_url": f"https://{HOST}",
            "id": "https://login.salesforce.com/id/00Dfake/005fake",
            "token_type": "Bearer",
            "issued_at": "1767225600000",
        }
        return httpx.Response(200, json=body)

    def query(self, request: httpx.Request) -> httpx.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        soql = request.url.params["q"]
        for name in TABLES:
            if soql == f"SELECT FIELDS(STANDARD) FROM {name}":
                return self._batch(name, 0)
        if soql == "SELECT Id, Email FROM Lead":
            return httpx.Response(200, json={"totalSize": 1, "done": True, "records": LEADS})
        return httpx.Response(400, json=[{"message": "unexpected token: 'SELECTED'", "errorCode": "MALFORMED_QUERY"}])

    def more(self, name: str, start: int) -> Callable[[httpx.Request], httpx.Response]:
        """The batch that begins there; it takes no parameters."""

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.query:
                error = [{"message": "no parameters are taken", "errorCode": "INVALID_QUERY_LOCATOR"}]
                return httpx.Response(400, json=error)
            return self._refusal(request) or self._batch(name, start)

        return answer

    def _refusal(self, request: httpx.Request) -> httpx.Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in set(self.tokens) - self.revoked:
            return None
        return httpx.Response(401, json=[{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])

    def _batch(self, name: str, start: int) -> httpx.Response:
        records, end = TABLES[name], start + BATCH
        body: dict[str, Any] = {"totalSize": len(records), "done": end >= len(records), "records": records[start:end]}
        if end < len(records):
            body["nextRecordsUrl"] = locator(name, end)
        return httpx.Response(200, json=body)


def locator(name: str, start: int) -> str:
    return f"{QUERY}/01gfake{name}-{start}"


@pytest.fixture
def salesforce() -> Salesforce:
    return Salesforce()


@pytest.fixture
def api(salesforce: Salesforce) -> FakeApi:
    following = {
        locator(name, start): salesforce.more(name, start)
        for name, records in TABLES.items()
        for start in range(BATCH, len(records), BATCH)
    }
    return FakeApi({"/services/oauth2/token": salesforce.token, QUERY: salesforce.query, **following})


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_INSTANCE", "acme")
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", CLIENT_SECRET)


def moment(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1_000)


def test_accounts_come_batch_by_batch_with_one_token(api: FakeApi, rows: Rows, salesforce: Salesforce) -> None:
    found = rows(
        "SELECT Id, Name, Industry, AnnualRevenue, NumberOfEmployees, BillingCity, BillingAddress.street, "
        "BillingAddress.latitude, IsDeleted, epoch_ms(SystemModstamp), LastActivityDate, attributes.type "
        "FROM apikit('salesforce', 'accounts')"
    )

    assert found == [
        (
            a["Id"],
            a["Name"],
            a["Industry"],
            a["AnnualRevenue"],
            a["NumberOfEmployees"],
            a["BillingCity"],
            a["BillingAddress"]["street"],
            a["BillingAddress"]["latitude"],
            a["IsDeleted"],
            moment(a["SystemModstamp"]),
            a["LastActivityDate"] and dt.date.fromisoformat(a["LastActivityDate"]),
            a["attributes"]["type"],
        )
        for a in TABLES["Account"]
    ]
    token, first, *others = api.seen
    assert (token.method, token.url.host, token.url.path) == ("POST", HOST, "/services/oauth2/token")
    assert salesforce.forms == [
        {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    ]
    assert "authorization" not in token.headers
    assert (first.method, first.url.path) == ("GET", QUERY)
    assert dict(first.url.params) == {"q": "SELECT FIELDS(STANDARD) FROM Account"}
    assert [r.url.raw_path.decode() for r in others] == [locator("Account", 200), locator("Account", 400)]
    assert {r.headers["authorization"] for r in (first, *others)} == {f"Bearer {salesforce.tokens[0]}"}
    assert {r.url.host for r in api.seen} == {HOST}


def test_contacts_have_dates_and_flags(api: FakeApi, rows: Rows) -> None:
    found = rows("SELECT Id, AccountId, Email, Birthdate, HasOptedOutOfEmail FROM apikit('salesforce', 'contacts')")

    assert found == [
        (c["Id"], c["AccountId"], c["Email"], dt.date.fromisoformat(c["Birthdate"]), c["HasOptedOutOfEmail"])
        for c in TABLES["Contact"]
    ]
    assert [r.url.path for r in api.seen[1:]] == [QUERY, locator("Contact", 200), locator("Contact", 400)]


def test_opportunities_have_amounts(api: FakeApi, rows: Rows) -> None:
    found = rows(
        "SELECT Id, StageName, Amount, Probability, CloseDate, IsWon, FiscalYear, FiscalQuarter "
        "FROM apikit('salesforce', 'opportunities')"
    )

    names = ("Id", "StageName", "Amount", "Probability", "CloseDate", "IsWon", "FiscalYear", "FiscalQuarter")
    assert [(*row[:4], str(row[4]), *row[5:]) for row in found] == [
        tuple(o[name] for name in names) for o in TABLES["Opportunity"]
    ]
    assert [r.url.path for r in api.seen[1:]] == [QUERY, locator("Opportunity", 200), locator("Opportunity", 400)]


def test_a_field_that_the_user_may_not_see_is_null(rows: Rows) -> None:
    found = rows("SELECT count(*), count(Rating), count(Phone) FROM apikit('salesforce', 'accounts')")

    assert found == [(len(TABLES["Account"]), 0, 0)]


def test_predicates_are_not_sent_for_the_query_is_fixed(api: FakeApi, rows: Rows) -> None:
    found = rows("SELECT Id FROM apikit('salesforce', 'opportunities') WHERE IsWon AND Amount >= 90")

    assert found == [(o["Id"],) for o in TABLES["Opportunity"] if o["IsWon"] and o["Amount"] >= 90]
    assert api.params("q") == [None, "SELECT FIELDS(STANDARD) FROM Opportunity", None, None]


def test_a_session_that_ends_between_two_batches_is_renewed(api: FakeApi, rows: Rows, salesforce: Salesforce) -> None:
    honest = api.routes[locator("Account", 200)]
    assert callable(honest)

    def ends(request: httpx.Request) -> httpx.Response:
        salesforce.revoked.add("00Dfake!AQ.token0")
        answer = honest(request)
        assert isinstance(answer, httpx.Response)
        return answer

    api.routes[locator("Account", 200)] = ends

    found = rows("SELECT Id FROM apikit('salesforce', 'accounts')")

    assert found == [(a["Id"],) for a in TABLES["Account"]]
    assert [r.url.path for r in api.seen] == [
        "/services/oauth2/token",
        QUERY,
        locator("Account", 200),
        "/services/oauth2/token",
        locator("Account", 200),
        locator("Account", 400),
    ]
    assert len(salesforce.tokens) == 2


def test_any_soql_is_a_call_with_q(api: FakeApi, rows: Rows) -> None:
    found = rows(
        f"SELECT Id, Email FROM apikit('salesforce', '{QUERY}', params := {{q: 'SELECT Id, Email FROM Lead'}})"
    )

    assert found == [(lead["Id"], lead["Email"]) for lead in LEADS]
    assert api.params("q")[1:] == ["SELECT Id, Email FROM Lead"]


def test_malformed_soql_is_an_error_in_salesforces_words(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match=rf"salesforce: GET {QUERY} answered 400 \(unexpected token: 'SELECTED'\)"):
        con.sql(f"FROM apikit('salesforce', '{QUERY}', params := {{q: 'SELECTED'}})").fetchall()


def test_refused_client_credentials_are_named_and_not_shown(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "wrongSecret99")

    with pytest.raises(duckdb.Error, match="invalid_client") as refused:
        con.sql("FROM apikit('salesforce', 'accounts')").fetchall()

    assert "wrongSecret99" not in str(refused.value)


@pytest.mark.parametrize("name", ["SALESFORCE_INSTANCE", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"])
def test_a_missing_setting_is_named(
    name: str, api: FakeApi, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(duckdb.Error, match=name):
        con.sql("FROM apikit('salesforce', 'accounts')").fetchall()

    assert api.seen == []


def test_an_instance_that_is_no_hostname_label_is_refused(
    api: FakeApi, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_INSTANCE", "evil.example/")

    with pytest.raises(duckdb.Error, match="not a hostname label"):
        con.sql("FROM apikit('salesforce', 'accounts')").fetchall()

    assert api.seen == []
