"""A scan written down instead of read: each conjunct of its filter as SQL, and what the API is asked for it."""

import datetime as dt
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from apikit_sql.column_types import Column, parse_type
from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.engine.session import Session
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.scan.dataset import ApiDataset, ScannedDataset
from apikit_sql.scan.recording import RecordedScan, Recording
from apikit_sql.scan.schema import arrow_schema
from tests.fakes.api import BASE_URL, FakeApi

TYPES = {
    "id": "BIGINT", "state": "VARCHAR", "at": "TIMESTAMPTZ", "user": "STRUCT(login VARCHAR)", "meta": "JSON",
    "my col": "DOUBLE", "done": "BOOLEAN",
}  # fmt: skip
PLAN = ScanPlan(
    RequestPlan("api", BASE_URL, "/items"),
    columns=tuple(Column(name, parse_type(kind), (name,), declared=True) for name, kind in TYPES.items()),
    key_columns=(KeyColumn(column="state", param="state"), KeyColumn(column="meta", param="meta")),
)
NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
STATE, ID = pc.field("state"), pc.field("id")


@pytest.fixture
def dataset(session: Session) -> ApiDataset:
    return ApiDataset(PLAN, session, Event)


def recorded(dataset: ApiDataset, condition: pc.Expression | None = None) -> RecordedScan:
    recording = Recording()
    recording.of(dataset).scanner(["id"], condition)
    (scan,) = recording.scans
    return scan


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (STATE == "it's", "state = 'it''s'"),
        (ID != 3, "id <> 3"),
        (pc.field("user", "login") == "ada", "user.login = 'ada'"),
        (pc.field("my col") > 1.5, '"my col" > 1.5'),
        (pc.field("at") >= NOON, "\"at\" >= '2026-01-05 12:00:00+00:00'"),
        (STATE.isin(["a", "b"]), "state IN ('a', 'b')"),
        (pc.if_else(STATE.is_valid(), STATE.isin(["a"]), pc.scalar(pa.scalar(None, pa.bool_()))), "state IN ('a')"),
        ((STATE == "a") | (STATE == "b"), "state IN ('a', 'b')"),
        ((STATE == "a") | (ID == 3), "(state = 'a') OR (id = 3)"),
        (STATE.is_null(), "state IS NULL"),
        (STATE.is_valid(), "state IS NOT NULL"),
        (pc.field("done") == pc.scalar(True), "done = true"),  # noqa: FBT003 - a literal
        (~(ID > 3), "invert(id > 3)"),
    ],
)
def test_a_conjunct_is_told_as_sql(dataset: ApiDataset, condition: pc.Expression, text: str) -> None:
    assert [asked.text for asked in recorded(dataset, condition).asked()] == [text]


def test_each_conjunct_is_told_with_what_the_api_is_asked(dataset: ApiDataset) -> None:
    condition = (STATE == "a") & (ID == 3) & (ID != 4) & STATE.is_valid() & ((STATE == "a") | (ID == 3)) & ~(ID > 3)

    found = recorded(dataset, condition & (pc.field("meta") == "{}")).asked()

    assert [(asked.sent, asked.why) for asked in found] == [
        ("state=a", ""),
        ("", "no key column names id, nor does filters"),
        ("", "no parameter says <>"),
        ("", "no parameter says whether a value is there"),
        ("", "an OR over several columns; a parameter narrows one"),
        ("", "not of the form column = value, IN or a bound"),
        ("", "the column is not of a plain type that the API could compare"),
    ]


def test_its_trips_are_those_of_the_scan(dataset: ApiDataset) -> None:
    trips = recorded(dataset, STATE.isin(["a", "b"]) & (pc.field("meta") == "{}")).trips()

    assert [trip.request.params for trip in trips] == [(("state", "a"),), (("state", "b"),)]


def test_a_scan_without_a_filter_asks_nothing(dataset: ApiDataset) -> None:
    scan = recorded(dataset)

    assert (scan.asked(), scan.columns, len(scan.trips())) == ([], ("id",), 1)


def test_a_recorded_table_has_the_columns_and_no_rows_and_sends_nothing(dataset: ApiDataset, api: FakeApi) -> None:
    table = Recording().of(dataset)

    reader = table.scanner(["state", "id"]).to_reader()

    assert table.schema.equals(arrow_schema(PLAN.columns or ()))
    assert (reader.schema.names, reader.read_all().num_rows, api.seen) == (["state", "id"], 0, [])


def test_what_sends_nothing_is_left_as_it_is(dataset: ApiDataset) -> None:
    table = ScannedDataset(dataset.schema)

    assert Recording().of(table) is table


def test_tables_are_numbered_as_they_are_bound(dataset: ApiDataset) -> None:
    recording = Recording()
    first, second = recording.of(dataset), recording.of(dataset)

    second.scanner()
    first.scanner()

    assert [scan.number for scan in recording.scans] == [2, 1]
