"""A page's records as columns: each value exactly, or an error that says which one and what to write."""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import httpx
import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import Column, TimeFormat, parse_type
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import Nested, RequestPlan, ScanPlan
from apikit_sql.records import Envelope, read_envelope
from apikit_sql.scan.batches import project
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.schema import infer_columns
from tests.fakes.api import BASE_URL, FakeApi

URL = "https://api.test/t"


def page_of(body: bytes | list[Any], number: int = 1) -> Page:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Page(number, URL, 200, httpx.Headers(), read_envelope(text, ""), len(text))


def column(kind: str, *, declared: bool = False, time_format: TimeFormat = "", name: str = "v") -> Column:
    return Column(name, parse_type(kind), (name,), declared=declared, format=time_format)


def batch_of(page: Page, columns: Sequence[Column], fills: Mapping[str, object] | None = None) -> pa.RecordBatch:
    """The batch of one page, read by a decoder of its own."""
    return PageDecoder(columns).decode(page, fills or {})


def decoded(value: Any, kind: str, *, declared: bool = False, time_format: TimeFormat = "") -> Any:
    """The one value of a page, as Python has what DuckDB would read."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    columns = [column(kind, declared=declared, time_format=time_format)]
    batch = batch_of(page_of(b'[{"v": ' + body + b"}]"), columns)
    batch.validate(full=True)
    found = batch.column(0)[0].as_py()
    return int.from_bytes(found, "little", signed=True) if kind == "HUGEINT" and found is not None else found


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


def naive(*parts: int) -> dt.datetime:
    return utc(*parts).replace(tzinfo=None)


FITS: list[tuple[str, Any, Any]] = [
    ("BOOLEAN", True, True),
    ("BOOLEAN", False, False),
    ("INTEGER", 2**31 - 1, 2**31 - 1),
    ("INTEGER", -(2**31), -(2**31)),
    ("INTEGER", 7.0, 7),
    ("BIGINT", 2**53 + 1, 2**53 + 1),
    ("BIGINT", 2**63 - 1, 2**63 - 1),
    ("BIGINT", -(2**63), -(2**63)),
    ("BIGINT", 3.0, 3),
    ("BIGINT", b"9007199254740991.0", 2**53 - 1),
    ("BIGINT", b"1e3", 1000),
    ("BIGINT", b"-0", 0),
    ("BIGINT", b"-0.0", 0),
    ("HUGEINT", 2**63, 2**63),
    ("HUGEINT", 2**127 - 1, 2**127 - 1),
    ("HUGEINT", -(2**127), -(2**127)),
    ("HUGEINT", -1, -1),
    ("HUGEINT", 5.0, 5),
    ("DOUBLE", 1.5, 1.5),
    ("DOUBLE", 2**53, float(2**53)),
    ("DOUBLE", -(2**53), -float(2**53)),
    ("DOUBLE", b"1.7976931348623157e308", 1.7976931348623157e308),
    ("DOUBLE", b"5e-324", 5e-324),
    ("DOUBLE", b"0.1", 0.1),
    ("VARCHAR", "", ""),
    ("VARCHAR", "it's\n\"q\" \\ é 𝄞", "it's\n\"q\" \\ é 𝄞"),
    ("VARCHAR", b'"\\ud834\\udd1e"', "𝄞"),
    ("VARCHAR", "a\0b", "a\0b"),
    ("DATE", "2024-02-29", dt.date(2024, 2, 29)),
    ("DATE", "2000-02-29", dt.date(2000, 2, 29)),
    ("DATE", "0001-01-01", dt.date(1, 1, 1)),
    ("DATE", "9999-12-31", dt.date(9999, 12, 31)),
    ("TIMESTAMP", "2024-02-29T23:59:59", naive(2024, 2, 29, 23, 59, 59)),
    ("TIMESTAMP", "2024-02-29 00:00:00.5", naive(2024, 2, 29, 0, 0, 0, 500_000)),
    ("TIMESTAMP", "1969-12-31T23:59:59.999999", naive(1969, 12, 31, 23, 59, 59, 999_999)),
    ("TIMESTAMP", "0001-01-01T00:00:00", naive(1, 1, 1)),
    ("TIMESTAMP", "9999-12-31T23:59:59.999999", naive(9999, 12, 31, 23, 59, 59, 999_999)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00Z", utc(2024, 2, 29, 12)),
    ("TIMESTAMPTZ", "2024-02-29t12:00:00z", utc(2024, 2, 29, 12)),
    ("TIMESTAMPTZ", "2024-02-29 12:00:00+00", utc(2024, 2, 29, 12)),
    ("TIMESTAMPTZ", "2024-03-01T00:30:00+01:00", utc(2024, 2, 29, 23, 30)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00-0530", utc(2024, 2, 29, 17, 30)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00+0000", utc(2024, 2, 29, 12)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00-00:00", utc(2024, 2, 29, 12)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00.1Z", utc(2024, 2, 29, 12, 0, 0, 100_000)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00.123456Z", utc(2024, 2, 29, 12, 0, 0, 123_456)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00.1234560000Z", utc(2024, 2, 29, 12, 0, 0, 123_456)),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00.0000000Z", utc(2024, 2, 29, 12)),
    ("BIGINT[]", [1, None, 3], [1, None, 3]),
    ("BIGINT[]", [], []),
    ("DOUBLE[][]", [[1.5], [], None], [[1.5], [], None]),
    ("STRUCT(a BIGINT, b VARCHAR)", {"b": "x", "a": 1, "more": 2}, {"a": 1, "b": "x"}),
    ("STRUCT(a BIGINT, b VARCHAR)", {}, {"a": None, "b": None}),
    ("STRUCT(a STRUCT(b DATE[]))", {"a": {"b": ["2024-02-29"]}}, {"a": {"b": [dt.date(2024, 2, 29)]}}),
    ("STRUCT(a BIGINT)[]", [{"a": 1}, None, {"a": None}], [{"a": 1}, None, {"a": None}]),
]  # fmt: skip


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize(("kind", "value", "expected"), FITS, ids=[f"{kind}-{value!r}" for kind, value, _ in FITS])
def test_a_value_that_fits_is_kept_exactly(kind: str, value: Any, expected: Any, declared: bool) -> None:  # noqa: FBT001
    found = decoded(value, kind, declared=declared)

    assert found == expected
    assert type(found) is type(expected)


def test_a_negative_nought_keeps_its_sign() -> None:
    assert math.copysign(1, decoded(b"-0.0", "DOUBLE")) == -1


@pytest.mark.parametrize(("kind", "value", "expected"), FITS, ids=[f"{kind}-{value!r}" for kind, value, _ in FITS])
def test_null_and_a_missing_field_are_null_in_every_type(kind: str, value: Any, expected: Any) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    batch = batch_of(page_of(b'[{"v": null}, {"v": ' + body + b"}, {}]"), [column(kind)])

    assert batch.column(0).is_null().to_pylist() == [True, False, True]
    assert expected is not None


DECLARED_FITS: list[tuple[str, Any, Any]] = [
    ("BOOLEAN", "true", True),
    ("BOOLEAN", "false", False),
    ("INTEGER", "12", 12),
    ("BIGINT", "-9223372036854775808", -(2**63)),
    ("BIGINT", "+7", 7),
    ("BIGINT", "007", 7),
    ("HUGEINT", "170141183460469231731687303715884105727", 2**127 - 1),
    ("DOUBLE", "1.5", 1.5),
    ("DOUBLE", "-1e-3", -0.001),
    ("DOUBLE", ".5", 0.5),
    ("DOUBLE", "9007199254740992", 2.0**53),
    ("VARCHAR", 1, "1"),
    ("VARCHAR", 1.5, "1.5"),
    ("VARCHAR", True, "true"),
    ("VARCHAR", {"a": [1, None]}, '{"a": [1, null]}'),
    ("VARCHAR", 2**100, str(2**100)),
    ("TIMESTAMP", "2024-02-29", naive(2024, 2, 29)),
    ("BIGINT[]", ["1", 2], [1, 2]),
    ("STRUCT(a BIGINT)", {"a": "1"}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "expected"), DECLARED_FITS)
def test_a_declared_column_takes_text_that_reads_as_its_type(kind: str, value: Any, expected: Any) -> None:
    assert decoded(value, kind, declared=True) == expected


@pytest.mark.parametrize(("kind", "value", "expected"), DECLARED_FITS)
def test_in_an_inferred_column_the_same_value_is_drift(kind: str, value: Any, expected: Any) -> None:
    with pytest.raises(SchemaDriftError):
        decoded(value, kind)
    assert expected is not None


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("BOOLEAN", [True, "false", None], [True, False, None]),
        ("BIGINT", [1, "2", 3.0, None], [1, 2, 3, None]),
        ("DOUBLE", [1.5, 2, "2.5"], [1.5, 2.0, 2.5]),
        ("VARCHAR", ["a", 1, None, [True]], ["a", "1", None, "[true]"]),
    ],
)
def test_a_declared_column_takes_values_and_their_texts_mixed(
    kind: str, values: list[Any], expected: list[Any]
) -> None:
    page = page_of([{"v": value} for value in values])

    assert batch_of(page, [column(kind, declared=True)]).column(0).to_pylist() == expected


MISFITS: list[tuple[str, Any]] = [
    ("BOOLEAN", 1),
    ("BOOLEAN", 0),
    ("BOOLEAN", "TRUE"),
    ("BOOLEAN", "yes"),
    ("BOOLEAN", []),
    ("INTEGER", 2**31),
    ("INTEGER", -(2**31) - 1),
    ("INTEGER", "2147483648"),
    ("INTEGER", True),
    ("BIGINT", 2**63),
    ("BIGINT", -(2**63) - 1),
    ("BIGINT", 2**64),
    ("BIGINT", 10**400),
    ("BIGINT", 2.5),
    ("BIGINT", b"9007199254740993.0"),  # a double rounds it to 2**53
    ("BIGINT", b"9007199254740994.0"),
    ("BIGINT", b"1e300"),
    ("BIGINT", True),
    ("BIGINT", ""),
    ("BIGINT", "1.0"),
    ("BIGINT", " 1"),
    ("BIGINT", "1_000"),
    ("BIGINT", "0x10"),
    ("BIGINT", "\u0661\u0662"),
    ("BIGINT", "9" * 40),
    ("BIGINT", "9" * 5_000),
    ("BIGINT", {"a": 1}),
    ("HUGEINT", 2**127),
    ("HUGEINT", -(2**127) - 1),
    ("HUGEINT", 1.5),
    ("HUGEINT", "x"),
    ("DOUBLE", 2**53 + 1),
    ("DOUBLE", -(2**53) - 1),
    ("DOUBLE", 10**400),
    ("DOUBLE", "9007199254740993"),
    ("DOUBLE", "1e999"),
    ("DOUBLE", "nan"),
    ("DOUBLE", "inf"),
    ("DOUBLE", "1_0.5"),
    ("DOUBLE", "\u0661.\u0665"),
    ("DOUBLE", ""),
    ("DOUBLE", True),
    ("DATE", "2023-02-29"),
    ("DATE", "1900-02-29"),
    ("DATE", "2024-2-9"),
    ("DATE", "20240229"),
    ("DATE", "2024-W09-4"),
    ("DATE", "0000-01-01"),
    ("DATE", "2024-02-29T00:00:00"),
    ("DATE", "2024-02-29\n"),
    ("DATE", "٢٠٢٤-٠٢-٢٩"),
    ("DATE", 20240229),
    ("TIMESTAMP", "2024-02-29T12:00:00Z"),
    ("TIMESTAMP", "2024-02-29T12:00:00+00:00"),
    ("TIMESTAMP", "2024-02-29T25:00:00"),
    ("TIMESTAMP", "2024-02-30T12:00:00"),
    ("TIMESTAMP", "2024-02-29T12:00"),
    ("TIMESTAMP", "2024-02-29T12:00:00.1234567"),
    ("TIMESTAMP", "2024-02-29T12:00:00,5"),
    ("TIMESTAMP", 1709208000),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00"),
    ("TIMESTAMPTZ", "2024-02-29"),
    ("TIMESTAMPTZ", "2024-02-29T12:00:60Z"),
    ("TIMESTAMPTZ", "2023-02-29T12:00:00Z"),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00+25:00"),
    ("TIMESTAMPTZ", "2024-02-29T12:00:00.0000001Z"),
    ("TIMESTAMPTZ", "0001-01-01T00:00:00+00:01"),
    ("TIMESTAMPTZ", "9999-12-31T23:59:59-00:01"),
    ("TIMESTAMPTZ", 1709208000),
    ("BIGINT[]", 1),
    ("BIGINT[]", {"0": 1}),
    ("BIGINT[]", [1, "x"]),
    ("BIGINT[]", [[1]]),
    ("STRUCT(a BIGINT)", [1]),
    ("STRUCT(a BIGINT)", "a"),
    ("STRUCT(a BIGINT)", {"a": 1.5}),
    ("STRUCT(a BIGINT)[]", [{"a": 1}, 2]),
]  # fmt: skip


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize(("kind", "value"), MISFITS, ids=[f"{kind}-{value!r:.40}" for kind, value in MISFITS])
def test_a_value_that_does_not_fit_is_drift_and_never_rounded(kind: str, value: Any, declared: bool) -> None:  # noqa: FBT001
    with pytest.raises(SchemaDriftError, match=r"^https://api\.test/t, page 1, record 1: v"):
        decoded(value, kind, declared=declared)


def test_text_in_an_inferred_varchar_column_is_only_text() -> None:
    values: list[Any] = [1, True, [], {}]
    for value in values:
        with pytest.raises(SchemaDriftError):
            decoded(value, "VARCHAR")


EPOCHS: list[tuple[TimeFormat, Any, dt.datetime]] = [
    ("epoch", 0, utc(1970, 1, 1)),
    ("epoch", 1_709_208_000, utc(2024, 2, 29, 12)),
    ("epoch", -1, utc(1969, 12, 31, 23, 59, 59)),
    ("epoch", 1_709_208_000.5, utc(2024, 2, 29, 12, 0, 0, 500_000)),
    ("epoch", 1_709_208_000.123456, utc(2024, 2, 29, 12, 0, 0, 123_456)),
    ("epoch", "1709208000", utc(2024, 2, 29, 12)),
    ("epoch", "1709208000.25", utc(2024, 2, 29, 12, 0, 0, 250_000)),
    ("epoch", "1709208000.123456", utc(2024, 2, 29, 12, 0, 0, 123_456)),
    ("epoch", 253_402_300_799, utc(9999, 12, 31, 23, 59, 59)),
    ("epoch_ms", 1_709_208_000_001, utc(2024, 2, 29, 12, 0, 0, 1_000)),
    ("epoch_ms", "1709208000001", utc(2024, 2, 29, 12, 0, 0, 1_000)),
    ("epoch_ms", -1, utc(1969, 12, 31, 23, 59, 59, 999_000)),
    ("epoch_ms", 0.5, utc(1970, 1, 1, 0, 0, 0, 500)),
]


@pytest.mark.parametrize(("time_format", "value", "moment"), EPOCHS)
def test_seconds_or_milliseconds_since_1970_are_times(time_format: TimeFormat, value: Any, moment: dt.datetime) -> None:
    assert decoded(value, "TIMESTAMPTZ", declared=True, time_format=time_format) == moment
    assert decoded(value, "TIMESTAMP", declared=True, time_format=time_format) == moment.replace(tzinfo=None)


@pytest.mark.parametrize("time_format", ["epoch", "epoch_ms"])
@pytest.mark.parametrize(
    "value", ["2024-02-29T12:00:00Z", "", True, [], {}, 10**18, -(10**18), 10**400, "1e999", b"1e300"]
)
def test_what_is_no_epoch_is_drift(time_format: TimeFormat, value: Any) -> None:
    with pytest.raises(SchemaDriftError):
        decoded(value, "TIMESTAMPTZ", declared=True, time_format=time_format)


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "true",
        "1",
        "-0.0",
        '"\\u0000"',
        "[]",
        "{}",
        '{"b":[1,{"a":null}],"":""}',
        str(2**200),
        str(-(10**300)),
    ],
)
def test_json_holds_any_value(text: str) -> None:
    found = decoded(text.encode(), "JSON")

    assert found is None if text == "null" else json.loads(found) == json.loads(text)


def test_json_is_held_as_text_and_hugeint_as_bytes_until_the_filter_is_applied() -> None:
    columns = [column("JSON", name="j"), column("HUGEINT[]", name="h")]

    batch = batch_of(page_of([{"j": {"a": 1}, "h": [1]}]), columns)

    assert batch.schema.types == [pa.string(), pa.list_(pa.binary(16))]
    assert project(batch, columns).schema.types == [
        pa.json_(),
        pa.list_(pa.opaque(pa.binary(16), "hugeint", "DuckDB")),
    ]


@pytest.mark.parametrize(
    "kind", ["STRUCT(h HUGEINT, j JSON[])", "STRUCT(h HUGEINT, j JSON[])[]", "STRUCT(s STRUCT(h HUGEINT, j JSON[]))"]
)
def test_types_of_duckdbs_own_survive_inside_structs_and_lists(kind: str) -> None:
    leaf = {"h": 2**100, "j": [{"a": 1}, None]}
    value: Any = [leaf, None] if kind.endswith("]") else {"s": leaf} if kind.startswith("STRUCT(s") else leaf

    batch = project(batch_of(page_of([{"v": value}, {"v": None}, {}]), [column(kind)]), [column(kind)])
    with duckdb.connect() as con:
        con.register("t", pa.Table.from_batches([batch]))
        texts = [text for (text,) in con.execute("SELECT CAST(to_json(v) AS VARCHAR) FROM t").fetchall()]

    assert [None if text is None else json.loads(text) for text in texts] == [value, None, None]


# --- records ---------------------------------------------------------------------------------------------------------


def test_a_page_without_records_has_the_columns_and_no_rows() -> None:
    batch = batch_of(page_of([]), [column("STRUCT(a BIGINT[])"), column("JSON", name="j")])

    assert (batch.num_rows, batch.schema.names) == (0, ["v", "j"])


def test_without_columns_only_the_rows_are_counted() -> None:
    batch = batch_of(page_of([{"a": 1}, {}, {"b": "x"}]), [])

    assert (batch.num_rows, batch.num_columns) == (3, 0)


def test_columns_come_in_the_order_asked_for() -> None:
    batch = batch_of(page_of([{"a": 1, "b": 2}]), [column("BIGINT", name="b"), column("BIGINT", name="a")])

    assert batch.to_pylist() == [{"b": 2, "a": 1}]


def test_a_field_inside_objects_is_read_by_its_path() -> None:
    inside = Column("u__n", parse_type("BIGINT"), ("u", "n"))

    batch = batch_of(page_of([{"u": {"n": 1}}, {"u": {}}, {"u": None}, {}]), [inside])

    assert batch.column(0).to_pylist() == [1, None, None, None]


def test_an_object_that_became_a_text_is_drift_of_the_fields_inside() -> None:
    inside = Column("u__n", parse_type("BIGINT"), ("u", "n"))

    with pytest.raises(SchemaDriftError, match=r'page 1, record 2: u__n = .*"gone"'):
        batch_of(page_of([{"u": {"n": 1}}, {"u": "gone"}]), [inside])


def test_scalars_are_records_with_one_value() -> None:
    value = Column("value", parse_type("BIGINT"), ())

    assert batch_of(page_of([1, None, 3]), [value]).column(0).to_pylist() == [1, None, 3]


def test_a_scalar_among_objects_is_drift() -> None:
    with pytest.raises(SchemaDriftError, match=r"page 1, record 2: v = 7 does not fit BIGINT"):
        batch_of(page_of([{"v": 1}, 7]), [column("BIGINT")])


@pytest.mark.parametrize("record", [b"1e400", b'{"v": 1e400}', b'{"v": "\\ud800"}', b'{"v": "\xff"}', b'{"v": nan}'])
def test_a_record_that_no_json_reader_takes_is_an_error_that_names_the_page(record: bytes) -> None:
    page = Page(3, URL, 200, httpx.Headers(), _envelope_of(record))

    with pytest.raises(DecodeError, match=r"https://api\.test/t, page 3: a record is not JSON"):
        read_records(page)


def _envelope_of(record: bytes) -> Envelope:
    return Envelope("", is_single=False, text=msgspec.Raw(b"[" + record + b"]"))


@pytest.mark.parametrize("columns", [[], [column("BIGINT")]], ids=["no column", "a column"])
@pytest.mark.parametrize("records", [b"1,", b"nan", b"[" * 100_000 + b"]" * 100_000], ids=["comma", "nan", "deep"])
def test_whatever_is_read_of_a_page_that_is_no_json_the_error_names_it(records: bytes, columns: list[Column]) -> None:
    page = Page(3, URL, 200, httpx.Headers(), _envelope_of(records))

    with pytest.raises(DecodeError, match=r"https://api\.test/t, page 3: "):
        batch_of(page, columns)


def test_a_record_nested_too_deeply_is_an_error_that_names_the_page() -> None:
    page = Page(3, URL, 200, httpx.Headers(), _envelope_of(b"[" * 100_000 + b"]" * 100_000))

    with pytest.raises(DecodeError, match="page 3: a record is nested too deeply"):
        read_records(page)


# --- key columns -----------------------------------------------------------------------------------------------------


def test_a_key_column_that_a_record_lacks_has_the_keys_value() -> None:
    columns = [column("VARCHAR", declared=True, name="owner"), column("BIGINT", declared=True, name="v")]

    batch = batch_of(page_of([{"v": 1}, {"v": 2, "owner": "other"}, {"owner": None}]), columns, {"owner": "duckdb"})

    assert batch.column(0).to_pylist() == ["duckdb", "other", None]
    assert batch.column(1).to_pylist() == [1, 2, None]


@pytest.mark.parametrize(
    ("kind", "key", "expected"),
    [
        ("BIGINT", 7, 7),
        ("DATE", dt.date(2024, 2, 29), dt.date(2024, 2, 29)),
        ("TIMESTAMP", naive(2024, 2, 29, 12), naive(2024, 2, 29, 12)),
        ("TIMESTAMPTZ", utc(2024, 2, 29, 12), utc(2024, 2, 29, 12)),
        ("TIMESTAMPTZ", utc(2024, 2, 29, 12, 0, 0, 1), utc(2024, 2, 29, 12, 0, 0, 1)),
        ("BOOLEAN", True, True),
        ("VARCHAR", 7, "7"),
        ("VARCHAR", True, "true"),
        ("VARCHAR", dt.date(2024, 2, 29), "2024-02-29"),
    ],
)
def test_a_key_of_any_kind_fills_its_column(kind: str, key: object, expected: object) -> None:
    batch = batch_of(page_of([{}]), [column(kind, declared=True)], {"v": key})

    assert batch.column(0).to_pylist() == [expected]


def test_a_time_fills_a_key_column_whose_records_write_seconds() -> None:
    batch = batch_of(
        page_of([{}, {"v": 0}]),
        [column("TIMESTAMPTZ", declared=True, time_format="epoch")],
        {"v": utc(2024, 2, 29, 12)},
    )

    assert batch.column(0).to_pylist() == [utc(2024, 2, 29, 12), utc(1970, 1, 1)]


# --- what an error says ----------------------------------------------------------------------------------------------


def drift(records: list[Any], which: Column, number: int = 1) -> str:
    with pytest.raises(SchemaDriftError) as raised:
        batch_of(page_of(records, number), [which])
    return str(raised.value)


def test_drift_names_page_record_column_value_and_what_to_write() -> None:
    message = drift([{"v": 1}, {"v": 2}, {"v": "x"}], column("BIGINT"), 4)

    assert message.startswith('https://api.test/t, page 4, record 3: v = "x" does not fit BIGINT. ')
    assert re.search(r"(types|columns) := \{'v': '(VARCHAR|JSON)'\}", message)


def test_a_long_value_is_shown_in_part() -> None:
    message = drift([{"v": "x" * 10_000}], column("BIGINT"))

    assert len(message) < 400
    assert "xxx..." in message


@pytest.mark.parametrize("value", [2**64, -(2**200), 10**400, {"a": 2**100}, [2**64], "é" * 200, "\0"])
def test_any_value_can_be_shown(value: Any) -> None:
    assert "page 1, record 1: v" in drift([{"v": value}], column("STRUCT(a BOOLEAN)"))


def advice(message: str) -> str:
    """The struct that a message says to write."""
    found = re.search(r"(?:types|columns) := (\{.*\})", message)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", ["v", "it's", 'a"b', "Größe", "a b", "\\", "a}", "a: b"])
def test_what_drift_says_to_write_is_sql_that_works(api: FakeApi, rows: Callable[[str], Any], name: str) -> None:
    api.routes["/t"] = httpx.Response(200, json=[{name: 1}, {name: "x"}])
    message = drift([{name: 1}, {name: "x"}], column("BIGINT", name=name))

    found = rows(f"FROM apikit('{BASE_URL}', '/t', types := {advice(message)})")

    assert [str(value).strip('"') for (value,) in found] == ["1", "x"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", 2**31),
        ("INTEGER", -(2**63)),
        ("INTEGER", 2**63),
        ("INTEGER", 1.5),
        ("BIGINT", 2**63),
        ("BIGINT", 2**127 - 1),
        ("BIGINT", 2**127),
        ("BIGINT", 10**400),
        ("BIGINT", 0.5),
        ("BIGINT", True),
        ("BIGINT", "x"),
        ("BIGINT", [1]),
        ("HUGEINT", 2**127),
        ("HUGEINT", 0.5),
        ("DOUBLE", 2**53 + 1),
        ("BOOLEAN", 1),
        ("BOOLEAN", {"a": 1}),
        ("DATE", "soon"),
        ("TIMESTAMPTZ", "2024-02-29"),
        ("TIMESTAMPTZ", 1),
        ("VARCHAR", 1),
        ("VARCHAR", {"a": 1}),
        ("BIGINT[]", 1),
        ("STRUCT(a BIGINT)", {"a": "x"}),
    ],
    ids=lambda value: f"{value!s:.40}",
)
def test_the_type_that_drift_says_to_write_holds_the_value(kind: str, value: Any) -> None:
    message = drift([{"v": value}], column(kind))

    wider = advice(message).removeprefix("{'v': '").removesuffix("'}")

    assert decoded(value, wider, declared=True) is not None


# --- laws ------------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["a", "b", "A", "c d", "", "é", "it's", 'q"'])
DAYS = st.dates().map(dt.date.isoformat)
TIMES = st.datetimes().map(dt.datetime.isoformat)
ZONED = st.datetimes(
    timezones=st.sampled_from(
        [dt.UTC, dt.timezone(dt.timedelta(hours=-5)), dt.timezone(dt.timedelta(hours=5, minutes=30))]
    )
).map(dt.datetime.isoformat)
ODD_TIMES = st.sampled_from(
    [
        "2024-02-30",
        "2024-02-29T12:00:00.1234567Z",
        "2016-12-31T23:59:60Z",
        "2024-02-29T24:00:00",
        "2024-02-29T12:00:00+0000",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ]
)
SCALARS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**130), 2**130),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63, -(2**63), 2**64, 2**127, -(2**127), 2**127 - 1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3) | st.floats(-2, 2),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    DAYS,
    TIMES,
    ZONED,
    DAYS | TIMES | ODD_TIMES,
    ODD_TIMES,
]


@st.composite
def fields(draw: st.DrawFn, depth: int = 2) -> Any:
    """A strategy for the values of one field: mostly of one kind, as APIs have them, and sometimes not."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind <= 4:
        found = draw(st.sampled_from(SCALARS))
    elif kind == 5:
        found = st.one_of(SCALARS)
    elif kind == 6:
        found = st.lists(draw(fields(depth - 1)), max_size=3)
    else:
        inside = {key: draw(fields(depth - 1)) for key in draw(st.lists(KEYS, max_size=3, unique=True))}
        found = st.fixed_dictionaries({}, optional=inside)
    return found | st.none() if draw(st.booleans()) else found


@st.composite
def pages(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """The records of a first page, and of a later one that is often, but not always, of the same kinds."""
    shape = {key: draw(fields()) for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True))}
    record = st.fixed_dictionaries({}, optional=shape)
    first = draw(st.lists(record, min_size=1, max_size=4))
    other = {key: draw(fields()) for key in shape} if draw(st.booleans()) else shape
    strange = st.fixed_dictionaries({}, optional=other) | (st.integers() if draw(st.booleans()) else record)
    return first, draw(st.lists(strange, max_size=4))


def same(original: Any, found: Any) -> bool:
    """Whether `found`, fetched from DuckDB, is `original`: absent fields are null, times are the same moment."""
    match original, found:
        case None, None:
            return True
        case bool(), _:
            return found is original
        case int(), int() | float() | Decimal():
            return type(found) is not bool and found == original
        case float(), float():
            return found == original and math.copysign(1, found) == math.copysign(1, original)
        case str(), dt.datetime():
            moment = dt.datetime.fromisoformat(original.upper())
            return moment == found and (moment.tzinfo is None) == (found.tzinfo is None)
        case str(), dt.date():
            return original == found.isoformat()
        case str(), str():
            return found == original
        case list(), list():
            return len(original) == len(found) and all(map(same, original, found))
        case dict(), dict():
            missing = [key for key in found if key not in original]
            return all(key in found and same(value, found[key]) for key, value in original.items()) and all(
                found[key] is None for key in missing
            )
        case _:
            return False


def through_duckdb(records: list[Any], columns: tuple[Column, ...], number: int = 1) -> list[tuple[Any, ...]]:
    """The rows of one page as DuckDB fetches them; JSON columns read again."""
    batch = project(batch_of(page_of(records, number), columns), columns)
    with duckdb.connect() as con:
        con.register("t", pa.Table.from_batches([batch]))
        return [tuple(map(_read, row, columns)) for row in con.execute("FROM t").fetchall()]


def _read(value: Any, which: Column) -> Any:
    return _read_as(value, which.type)


def _read_as(value: Any, kind: Any) -> Any:
    """`value` with the JSON texts inside it read."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_read_as(each, kind.element) for each in value]
    if isinstance(value, dict):
        return {name: _read_as(value[name], field) for name, field in kind.fields}
    return json.loads(value) if str(kind) == "JSON" else value


def value_of(record: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        record = None if record is None else record.get(step)
    return record


@pytest.mark.no_cover  # what it runs is measured in less time elsewhere
@settings(max_examples=200, deadline=None)
@given(both=pages(), nested=st.sampled_from(["struct", "flatten", "json"]))
@example(both=([{"a": "0001-01-01T00:00:00+05:00"}], []), nested="struct")
@example(both=([{"a": "9999-12-31T23:59:59-05:00"}], []), nested="struct")
@example(both=([{"a": 2**127 - 1}], [{"a": -(2**127)}]), nested="struct")
@example(both=([{"a": {"b": 1}}], [{"a": 5}, 7, {"a": {"b": None}}]), nested="flatten")
def test_what_was_inferred_gives_every_value_back_and_later_pages_fit_or_drift(
    both: tuple[list[Any], list[Any]], nested: Nested
) -> None:
    first, later = both
    columns = infer_columns(ScanPlan(RequestPlan("t", BASE_URL, "/t"), nested=nested), first)

    rows = through_duckdb(first, columns)

    assert len(rows) == len(first)
    for record, row in zip(first, rows, strict=True):
        for which, found in zip(columns, row, strict=True):
            assert same(value_of(record, which.path), found), (which, record, found)
        read = {which.path[0] for which in columns if which.path}
        assert set(record) <= read or not read
    _fits_or_drifts(later, columns)


def _fits_or_drifts(later: list[Any], columns: tuple[Column, ...]) -> None:
    try:
        rows = through_duckdb(later, columns, 2)
    except SchemaDriftError as error:
        assert str(error).startswith("https://api.test/t, page 2, record ")  # noqa: PT017 - an error is one of two ends
        return
    for record, row in zip(later, rows, strict=True):
        for which, found in zip(columns, row, strict=True):
            original = value_of(record, which.path)
            assert same_or_narrowed(original, found), (which, record, found)


def same_or_narrowed(original: Any, found: Any) -> bool:
    """As `same`, but fields that the schema does not have are left out, and a whole float may be an integer."""
    if isinstance(original, dict) and isinstance(found, dict):
        return all(same_or_narrowed(original.get(key), value) for key, value in found.items())
    if isinstance(original, list) and isinstance(found, list):
        return len(original) == len(found) and all(map(same_or_narrowed, original, found))
    if isinstance(original, float) and isinstance(found, int | Decimal):
        return original == found
    return same(original, found)
