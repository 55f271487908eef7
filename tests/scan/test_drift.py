"""Values that do not fit their columns: exactly those are told, are NULL, or are texts, whatever the API sends."""

import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct, TimeFormat, parse_type
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import OnDrift, RequestPlan, ScanPlan
from apikit_sql.records import read_envelope
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.schema import infer_columns
from tests.fakes.api import BASE_URL, FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

URL = "https://api.test/t"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Rows = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Token:
    """A number as its API writes it, which Python's json would write otherwise."""

    text: str


@dataclass(frozen=True)
class Cell:
    """One value of a record, what a column has to make of it, and how much in it does not fit: that is NULL."""

    told: Any
    found: Any
    misfits: int = 0


@dataclass(frozen=True)
class Missing:
    """What a record does not have."""


MISSING = Missing()


def written(value: Any) -> str:
    """`value` as JSON, tokens as they are."""
    match value:
        case Token(text):
            return text
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def page_of(records: Sequence[Any], number: int = 1) -> Page:
    body = written(list(records)).encode()
    return Page(number, URL, 200, httpx.Headers(), read_envelope(body, ""), len(body))


def column(kind: str, *, name: str = "v", declared: bool = False, time_format: TimeFormat = "") -> Column:
    return Column(name, parse_type(kind), (name,), declared=declared, format=time_format)


def rows_of(decoder: PageDecoder, columns: Sequence[Column], page: Page) -> list[dict[str, Any]]:
    """The rows of a page, HUGEINT as numbers."""
    batch = decoder.decode(page, {})
    batch.validate(full=True)
    assert batch.schema.names == [c.name for c in columns]
    return [{c.name: plain(row[c.name], c.type) for c in columns} for row in batch.to_pylist()]


def plain(value: Any, kind: ColumnType) -> Any:
    """`value` with the bytes of a HUGEINT read."""
    match kind:
        case Scalar("HUGEINT") if value is not None:
            return int.from_bytes(value, "little", signed=True)
        case ListOf(element) if value is not None:
            return [plain(each, element) for each in value]
        case Struct(fields) if value is not None:
            return {name: plain(value[name], field) for name, field in fields}
        case _:
            return value


def exactly(value: Any) -> Any:
    """`value` so that == tells 1 from 1.0 and True, and -0.0 from 0.0."""
    match value:
        case dict():
            return {key: exactly(each) for key, each in value.items()}
        case list():
            return [exactly(each) for each in value]
        case float():
            return ("float", math.copysign(1, value), value)
        case _:
            return (type(value).__name__, value)


# --- what fits each scalar, and what does not ------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
HALVES = st.integers(-(2**40), 2**40).map(lambda n: n + 0.5)
BEYOND_64 = st.integers(2**63, 2**126) | st.integers(-(2**126), -(2**63) - 1)
BEYOND_128 = st.integers(2**127, 2**200) | st.integers(-(2**200), -(2**127) - 1)
BEYOND_DOUBLE = st.integers(2**53 + 1, 2**130) | st.integers(-(2**130), -(2**53) - 1)
LISTS = st.lists(st.integers(-3, 3) | TEXTS, max_size=2)
OBJECTS = st.dictionaries(TEXTS, st.integers(-3, 3) | st.none(), max_size=2)
TOKENS = st.sampled_from(["1.10", "-0", "-0.0", "1E5", "12345678901234567890.123456789", "0.10000000000000000000001"])
NO_NUMBERS = st.sampled_from(["", "x", " 1", "1 ", "0x1", "1_000", "--1", "nan", "inf", "1e999", "\u0661"])
NO_DATES = st.sampled_from(
    ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-2-9", "20240229", "soon", "", "2024-02-29T00:00:00"]
)
NO_TIMES = st.sampled_from(
    ["2024-02-30T12:00:00", "2024-02-29T25:00:00", "2024-02-29T12:00", "2024-02-29T12:00:00.1234567", "soon", ""]
)
NO_MOMENTS = st.sampled_from(
    [
        "2023-02-29T12:00:00Z",
        "2024-02-29T12:60:00Z",
        "2024-02-29T12:00:00+25:00",
        "2016-12-31T23:59:60Z",
        "2024-02-29T12:00:00.0000001Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
    ]
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
MOMENTS = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=ZONES)  # noqa: DTZ001 - zones are drawn
FITTING_TIMES = st.datetimes()
BITS = {"INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}


def integers_of(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) | st.integers(-3, 3)


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, value))


def fitting(kind: str, *, declared: bool, time_format: TimeFormat) -> st.SearchStrategy[tuple[Any, Any]]:
    """Values that fit, each with what the column has then."""
    usual, texts = _usual(kind), _texts_of(kind)
    if kind == "VARCHAR" and declared:  # numbers keep their digits
        others = st.booleans() | BEYOND_128 | TOKENS.map(Token) | LISTS | OBJECTS
        return usual | others.map(lambda value: (value, written(value)))
    if time_format:
        return _since_1970(kind, time_format)
    return usual | texts if declared and texts is not None else usual


def _usual(kind: str) -> st.SearchStrategy[tuple[Any, Any]]:
    match kind:
        case "BOOLEAN":
            return same(st.booleans())
        case "INTEGER" | "BIGINT" | "HUGEINT":
            whole = integers_of(32).map(lambda n: (float(n), n)) | st.just((Token("1E5"), 100_000))
            return same(integers_of(BITS[kind])) | whole
        case "DOUBLE":
            return same(FLOATS) | st.integers(-(2**53), 2**53).map(lambda n: (n, float(n)))
        case "VARCHAR":
            return same(TEXTS)
        case "DATE":
            return st.dates().map(lambda date: (date.isoformat(), date))
        case "TIMESTAMP":
            return st.tuples(FITTING_TIMES, st.sampled_from("T ")).map(lambda t: (t[0].isoformat(sep=t[1]), t[0]))
        case "TIMESTAMPTZ":
            return MOMENTS.map(lambda moment: (moment.isoformat(), moment.astimezone(dt.UTC)))
        case _:
            anything = st.booleans() | BEYOND_128 | TEXTS | LISTS | OBJECTS | TOKENS.map(Token)
            return anything.map(lambda value: (value, written(value)))


def _texts_of(kind: str) -> st.SearchStrategy[tuple[Any, Any]] | None:
    """Texts that a declared column takes."""
    match kind:
        case "BOOLEAN":
            return st.booleans().map(lambda value: (str(value).lower(), value))
        case "INTEGER" | "BIGINT" | "HUGEINT":
            return integers_of(BITS[kind]).map(lambda n: (str(n), n))
        case "DOUBLE":
            return FLOATS.map(lambda x: (repr(x), x)) | st.integers(-(2**53), 2**53).map(lambda n: (str(n), float(n)))
        case "TIMESTAMP":
            return st.dates().map(lambda date: (date.isoformat(), dt.datetime.combine(date, dt.time())))
        case _:
            return None


def _since_1970(kind: str, time_format: TimeFormat) -> st.SearchStrategy[tuple[Any, Any]]:
    """Moments as numbers, whole or broken, or as their texts."""
    unit = 1 if time_format == "epoch" else 1_000
    whole = st.integers(-62_135_596_800 * unit, 253_402_300_799 * unit)
    numbers = whole.map(lambda n: (n, n * 1_000_000 // unit)) | whole.map(lambda n: (str(n), n * 1_000_000 // unit))
    broken = st.integers(-(2**31) * 1_000_000, 2**31 * 1_000_000).map(lambda us: (us / (1_000_000 // unit), us))
    zone = dt.UTC if kind == "TIMESTAMPTZ" else None
    return (numbers | broken).map(
        lambda both: (both[0], (EPOCH + dt.timedelta(microseconds=both[1])).replace(tzinfo=zone))
    )


def misfitting(kind: str, *, declared: bool, time_format: TimeFormat) -> st.SearchStrategy[Any] | None:
    """Values that do not fit; None where all do."""
    nested = LISTS | OBJECTS
    if kind == "JSON" or (kind == "VARCHAR" and declared):
        return None
    if time_format:
        beyond = st.sampled_from([10**18, -(10**18), 1e300, "1e999"])
        return nested | st.booleans() | beyond | NO_DATES.filter(lambda text: text != "20240229") | NO_MOMENTS
    match kind:
        case "BOOLEAN":
            other = st.sampled_from([0, 1, 1.0, "TRUE", "yes", ""])
        case "INTEGER" | "BIGINT" | "HUGEINT":
            edge = 2 ** (BITS[kind] - 1)
            beyond = st.integers(edge, edge * 2**70) | st.integers(-edge * 2**70, -edge - 1)
            other = beyond | beyond.map(str) | HALVES | st.booleans() | NO_NUMBERS | st.sampled_from([2.0**60, 1e300])
        case "DOUBLE":
            other = BEYOND_DOUBLE | BEYOND_DOUBLE.map(str) | st.booleans() | NO_NUMBERS
        case "VARCHAR":
            other = st.integers() | FLOATS | st.booleans()
        case "DATE":
            other = NO_DATES | st.integers() | FLOATS | st.booleans() | MOMENTS.map(dt.datetime.isoformat)
        case "TIMESTAMP":
            other = NO_TIMES | NO_MOMENTS | st.integers() | st.booleans() | MOMENTS.map(dt.datetime.isoformat)
        case _:
            other = NO_MOMENTS | NO_TIMES | st.integers() | FITTING_TIMES.map(dt.datetime.isoformat) | NO_DATES
    texts = None if declared else _texts_of(kind)
    return other | nested if texts is None else other | nested | texts.map(lambda both: both[0])


# --- columns, and records for them -----------------------------------------------------------------------------------

SCALARS = ["BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON"]
NAMES = ["a", "b", "c d", "it's", 'q"', "e.f", "Größe"]
FORMATS: list[TimeFormat] = ["epoch", "epoch_ms", ""]
TYPES: st.SearchStrategy[ColumnType] = st.recursive(
    st.sampled_from(SCALARS).map(parse_type),
    lambda inner: (
        inner.map(ListOf)
        | st.lists(st.tuples(st.sampled_from(NAMES), inner), min_size=1, max_size=3, unique_by=lambda f: f[0]).map(
            lambda fields: Struct(tuple(fields))
        )
    ),
    max_leaves=3,
)


@st.composite
def columns_drawn(draw: st.DrawFn) -> tuple[Column, ...]:
    """Columns of any type, declared or inferred, some of them of fields inside an object `u`."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        declared = draw(st.booleans())
        time_format = draw(st.sampled_from(FORMATS)) if declared else ""
        kind = parse_type(draw(st.sampled_from(["TIMESTAMP", "TIMESTAMPTZ"]))) if time_format else draw(TYPES)
        if draw(st.booleans()) and time_format:
            kind = ListOf(kind)
        is_inside = draw(st.integers(0, 3)) == 0
        here = Column(f"u__{name}", kind, ("u", name)) if is_inside else Column(name, kind, (name,))
        found.append(replace(here, declared=declared, format=time_format))
    return tuple(found)


def cells(kind: ColumnType, *, declared: bool, time_format: TimeFormat = "") -> st.SearchStrategy[Cell]:
    """Values for a column of `kind`, and what it makes of them."""
    null = st.just(Cell(None, None))
    match kind:
        case Scalar(name):
            fits = fitting(name, declared=declared, time_format=time_format).map(lambda both: Cell(*both))
            misfits = misfitting(name, declared=declared, time_format=time_format)
            return fits | null if misfits is None else fits | fits | null | misfits.map(lambda v: Cell(v, None, 1))
        case ListOf(element):
            inner = cells(element, declared=declared, time_format=time_format)
            lists = st.lists(inner, max_size=3).map(
                lambda each: Cell([c.told for c in each], [c.found for c in each], sum(c.misfits for c in each))
            )
            return lists | lists | null | (st.integers() | TEXTS | OBJECTS).map(lambda v: Cell(v, None, 1))
        case Struct(fields):
            inside = {name: cells(field, declared=declared, time_format=time_format) for name, field in fields}
            return (
                objects(inside)
                | objects(inside)
                | null
                | (st.integers() | TEXTS | LISTS).map(lambda v: Cell(v, None, 1))
            )


def objects(fields: Mapping[str, st.SearchStrategy[Cell]]) -> st.SearchStrategy[Cell]:
    """Objects that have these fields, lack some, and have one that nobody asked for."""
    drawn = {name: cell | st.just(Cell(MISSING, None)) for name, cell in fields.items()}
    return st.tuples(st.fixed_dictionaries(drawn), st.booleans()).map(lambda both: _object(*both))


def _object(each: Mapping[str, Cell], has_more: bool) -> Cell:  # noqa: FBT001 - drawn
    told = {name: cell.told for name, cell in each.items() if cell.told is not MISSING}
    found = {name: cell.found for name, cell in each.items()}
    return Cell(
        told | {"more": [1]} if has_more and "more" not in each else told,
        found,
        sum(cell.misfits for cell in each.values()),
    )


@dataclass(frozen=True)
class Told:
    """A record, what its columns have to make of it, and the misfits of each column or of the record."""

    record: Any
    row: dict[str, Any]
    misfits: Counter[str]
    first: str | None  # the first column that something in does not fit
    is_object: bool = True  # and so is each object that columns lie in


@st.composite
def records_for(draw: st.DrawFn, columns: tuple[Column, ...]) -> Told:
    """One record, seldom none at all, or something else in place of an object."""
    nulls = {c.name: None for c in columns}
    odd = draw(st.integers(0, 15))
    if odd == 0:
        return Told(None, nulls, Counter(), None)
    if odd == 1:
        other = draw(st.integers() | TEXTS | LISTS)
        return Told(other, nulls, Counter({"(record)": 1}), columns[0].name, is_object=False)
    record: dict[str, Any] = {}
    row: dict[str, Any] = dict(nulls)
    misfits = Counter[str]()
    inside = [c for c in columns if len(c.path) > 1]
    u_is_other = bool(inside) and draw(st.integers(0, 7)) == 0
    if u_is_other:
        record["u"] = draw(st.integers() | TEXTS | LISTS)
        misfits["(record)"] += 1
    for c in columns:
        if c in inside and u_is_other:
            continue
        cell = draw(cells(c.type, declared=c.declared, time_format=c.format) | st.just(Cell(MISSING, None)))
        where = record if len(c.path) == 1 else record.setdefault("u", {})
        if cell.told is not MISSING:
            where[c.path[-1]] = cell.told
        row[c.name] = cell.found
        misfits[c.name] += cell.misfits
    first = next((c.name for c in columns if misfits[c.name] or (c in inside and u_is_other)), None)
    return Told(record, row, +misfits, first, is_object=not u_is_other)


@st.composite
def scans(draw: st.DrawFn, longest: int = 3) -> tuple[tuple[Column, ...], list[list[Told]]]:
    columns = draw(columns_drawn())
    return columns, draw(st.lists(st.lists(records_for(columns), max_size=3), min_size=1, max_size=longest))


LAW = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- on_drift := 'error' ---------------------------------------------------------------------------------------------

TELLS = re.compile(
    r"https://api\.test/t, page (\d+), record (\d+): (.*?) = (.*)(?: does not fit .*?\. Say |: the record is a list\. )"
    r"(?:types := \{'(.*)': '(\w+)'\})?",
    re.DOTALL,
)


@LAW
@given(scan=scans())
def test_every_value_comes_out_exactly_or_the_first_that_does_not_fit_is_named(
    scan: tuple[tuple[Column, ...], list[list[Told]]],
) -> None:
    columns, pages = scan
    decoder = PageDecoder(columns)

    for number, told in enumerate(pages, 1):
        page = page_of([each.record for each in told], number)
        at = next((at for at, each in enumerate(told, 1) if each.misfits), None)
        if at is None:
            assert exactly(rows_of(decoder, columns, page)) == exactly([each.row for each in told])
            continue
        with pytest.raises(SchemaDriftError) as raised:
            rows_of(decoder, columns, page)
        _check_told(str(raised.value), columns, number, at, told[at - 1])


def _check_told(message: str, columns: Sequence[Column], number: int, at: int, told: Told) -> None:
    """That `message` names page, record, column and value, and that its advice makes this value load."""
    match = TELLS.match(message)
    assert match is not None, message
    (c,) = (c for c in columns if c.name == told.first)
    value = json.loads(written(told.record))
    for step in c.path:
        value = value.get(step) if isinstance(value, dict) else value
    assert (int(match[1]), int(match[2]), match[3]) == (number, at, c.name)
    assert match[4].endswith("...") if len(match[4]) > 80 else json.loads(match[4]) == value
    if not told.is_object:
        return
    assert match[5] == c.name.replace("'", "''")
    wider = Column(c.name, parse_type(match[6]), c.path, declared=True)
    ((loaded,),) = (row.values() for row in rows_of(PageDecoder([wider]), [wider], page_of([told.record])))
    assert loaded is not None
    if match[6] == "VARCHAR":
        assert (loaded if isinstance(value, str) else json.loads(loaded)) == value
    else:
        assert (json.loads(loaded) if match[6] == "JSON" else loaded) == value


@pytest.mark.parametrize("record", [7, "x", [1], {"u": "gone", "v": 1}, {"u": [{"n": 1}]}], ids=str)
def test_where_no_type_would_help_none_is_advised(record: Any) -> None:
    columns = [Column("u__n", parse_type("BIGINT"), ("u", "n")), column("BIGINT")]
    with pytest.raises(SchemaDriftError, match=r"page 1, record 1: u__n = ") as raised:
        rows_of(PageDecoder(columns), columns, page_of([record]))

    assert "on_drift := 'null'" in str(raised.value)
    assert "types :=" not in str(raised.value)


@pytest.mark.parametrize(
    ("first", "later", "named"),
    [
        ([{"a": {"b": 1}}], {"a": [{"b": 1}]}, "a"),
        ([{"a": [1]}], {"a": {"b": 1}}, "a"),
        ([{"a": 1, "b": 1}], {"a": 1.5, "b": 2**64}, "a"),
        ([{"a": 1, "b": "x"}], {"a": 2, "b": 5}, "b"),
        ([{"a": [{"b": 1}]}], {"a": [{"b": 2}, {"b": "x"}]}, "a"),
        ([{"a": 0.5}], {"a": 2**53 + 1}, "a"),
        ([{"a": "2024-02-29"}], {"a": "2023-02-29"}, "a"),
    ],
)
def test_what_differs_from_the_sample_is_drift_that_types_would_take(
    api: FakeApi, rows: Rows, first: list[Any], later: Any, named: str
) -> None:
    api.routes["/t"] = lambda request: httpx.Response(
        200,
        json=[later] if "page" in request.url.params else first,
        headers={} if "page" in request.url.params else {"Link": f'<{BASE_URL}/t?page=2>; rel="next"'},
    )
    table = f"apikit('{BASE_URL}', '/t'"
    with pytest.raises(Exception, match=f"page 2, record 1: {named} = ") as raised:
        rows(f"FROM {table})")
    advice = re.search(r"types := (\{.*?\})", str(raised.value))
    assert advice is not None
    assert rows(f"SELECT {named} IS NULL FROM {table}, types := {advice[1]})") == [(False,), (False,)]


# --- on_drift := 'null' ----------------------------------------------------------------------------------------------


@LAW
@given(scan=scans())
def test_only_what_does_not_fit_is_null_and_counted(scan: tuple[tuple[Column, ...], list[list[Told]]]) -> None:
    columns, pages = scan
    record = ScanRecord()
    decoder = PageDecoder(columns, on_drift="null", record=record)

    found = [
        rows_of(decoder, columns, page_of([each.record for each in told], number))
        for number, told in enumerate(pages, 1)
    ]

    assert exactly(found) == exactly([[each.row for each in told] for told in pages])
    assert record.drifted == sum((each.misfits for told in pages for each in told), Counter[str]())
    assert record.pages == len(pages)


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        ("BIGINT", [1, "x", 2**63, 1.5, None, 7.0], [1, None, None, None, None, 7]),
        ("INTEGER", [1, 2**31, -(2**31)], [1, None, -(2**31)]),
        ("HUGEINT", [2**127 - 1, 2**127, "x"], [2**127 - 1, None, None]),
        ("DOUBLE", [0.5, 2**53, 2**53 + 1, "0.5"], [0.5, 2.0**53, None, None]),
        ("BOOLEAN", [True, 1, "true"], [True, None, None]),
        ("VARCHAR", ["x", 1, None], ["x", None, None]),
        ("DATE", ["2024-02-29", "2023-02-29"], [dt.date(2024, 2, 29), None]),
        ("DATE", ["2023-02-29", "2024-13-01"], [None, None]),
        ("TIMESTAMP", ["2024-02-30T00:00:00"], [None]),
        ("TIMESTAMPTZ", ["1970-01-01T00:00:00Z", "1970-01-01T25:00:00Z"], [EPOCH, None]),
        ("BIGINT[]", [[1, "x", None], "x", [2]], [[1, None, None], None, [2]]),
        ("DATE[]", [["2023-02-29"], ["2024-02-29"]], [[None], [dt.date(2024, 2, 29)]]),
        ("STRUCT(a BIGINT, b DATE)", [{"a": "x", "b": "2023-02-29"}, [1]], [{"a": None, "b": None}, None]),
        ("STRUCT(a BIGINT)[]", [[{"a": 1.5}, 7, None, {"a": 2}]], [[{"a": None}, None, None, {"a": 2}]]),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_null_among_others_that_stay(
    kind: str, values: list[Any], found: list[Any]
) -> None:
    record = ScanRecord()
    decoder = PageDecoder([column(kind)], on_drift="null", record=record)

    rows = rows_of(decoder, [column(kind)], page_of([{"v": value} for value in values]))

    assert exactly(rows) == exactly([{"v": value} for value in found])
    assert record.drifted["v"] == _lost(values, found)


def _lost(told: Any, found: Any) -> int:
    """How many values of `told` are NULL in `found` without having been null."""
    if found is None:
        return int(told is not None)
    if isinstance(found, list):
        return sum(map(_lost, told, found))
    return sum(_lost(told.get(name), value) for name, value in found.items()) if isinstance(found, dict) else 0


def test_a_record_that_is_no_object_is_a_row_of_nulls() -> None:
    record = ScanRecord()
    columns = [column("BIGINT", name="a"), column("VARCHAR", name="b")]

    rows = rows_of(PageDecoder(columns, on_drift="null", record=record), columns, page_of([{"a": 1}, 7, [], None]))

    nulls = {"a": None, "b": None}
    assert rows == [{"a": 1, "b": None}, nulls, nulls, nulls]
    assert record.drifted == {"(record)": 2}


def test_a_scalar_of_another_kind_is_a_misfit_of_its_column() -> None:
    record = ScanRecord()
    value = Column("value", parse_type("BIGINT"), ())

    rows = rows_of(PageDecoder([value], on_drift="null", record=record), [value], page_of([1, "x", None, {"a": 1}]))

    assert [row["value"] for row in rows] == [1, None, None, None]
    assert record.drifted == {"value": 2}


def test_a_key_column_is_null_where_its_value_does_not_fit_and_filled_where_it_lacks() -> None:
    record = ScanRecord()
    key = column("BIGINT", name="key", declared=True)

    batch = PageDecoder([key], on_drift="null", record=record).decode(
        page_of([{"key": 1}, {"key": "x"}, {}, {"key": None}, {"key": "2"}]), {"KEY": 9}
    )

    assert batch.to_pydict() == {"key": [1, None, 9, None, 2]}
    assert record.drifted == {"key": 1}


@pytest.mark.parametrize("on_drift", ["error", "null"])
def test_what_fits_is_not_counted(on_drift: OnDrift) -> None:
    record = ScanRecord()
    declared = column("BIGINT", declared=True)

    rows = rows_of(
        PageDecoder([declared], on_drift=on_drift, record=record), [declared], page_of([{"v": "1"}, {"v": 2.0}])
    )

    assert rows == [{"v": 1}, {"v": 2}]
    assert record.drifted == {}


@pytest.mark.parametrize("on_drift", ["error", "null", "text"])
@pytest.mark.parametrize("body", [b'[{"v": 1e400}]', b'[{"v": nope}]', b'[{"v": "\xff"}]', b'[{"v": 1}'])
def test_what_is_no_json_is_an_error_and_no_misfit(on_drift: OnDrift, body: bytes) -> None:
    page = Page(3, URL, 200, httpx.Headers(), read_envelope(body, ""))

    with pytest.raises(DecodeError, match="page 3: a record is not JSON"):
        PageDecoder([column("BIGINT")], on_drift=on_drift).decode(page, {})


def test_the_count_reaches_whoever_reads_the_table(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = httpx.Response(200, json=[{"id": 1, "n": "x"}, {"id": 2, "n": 5}, {"id": None, "n": [1]}])
    columns = "{id: 'BIGINT', n: 'BIGINT'}"

    with pytest.warns(UserWarning, match=r"2 values do not fit their columns and are NULL \(n: 2\)"):
        found = rows(f"FROM apikit('{BASE_URL}', '/t', columns := {columns}, on_drift := 'null')")

    assert found == [(1, None), (2, 5), (None, None)]


@st.composite
def lists_of_cells(draw: st.DrawFn, kind: str, *, declared: bool, time_format: TimeFormat) -> list[Cell]:
    """Values of one column: often all misfits of one kind, for a whole page of them is read another way than a few."""
    fits = fitting(kind, declared=declared, time_format=time_format).map(lambda both: Cell(*both))
    others = misfitting(kind, declared=declared, time_format=time_format)
    misfits = fits if others is None else others.map(lambda value: Cell(value, None, 1))
    either = draw(st.sampled_from([fits, misfits, fits | misfits | st.just(Cell(None, None))]))
    return draw(st.lists(either, min_size=1, max_size=4))


@pytest.mark.parametrize(
    ("kind", "declared", "time_format"),
    [(kind, declared, "") for kind in SCALARS for declared in (False, True)]
    + [(kind, True, unit) for kind in ("TIMESTAMP", "TIMESTAMPTZ") for unit in ("epoch", "epoch_ms")],
)
@settings(LAW, max_examples=40)
@given(data=st.data())
def test_in_a_column_of_each_type_only_what_does_not_fit_is_null_or_drift(
    kind: str,
    declared: bool,  # noqa: FBT001 - a parameter of the test
    time_format: TimeFormat,
    data: st.DataObject,
) -> None:
    told = data.draw(lists_of_cells(kind, declared=declared, time_format=time_format))
    columns = [column(kind, declared=declared, time_format=time_format)]
    page, record = page_of([{"v": cell.told} for cell in told]), ScanRecord()

    found = rows_of(PageDecoder(columns, on_drift="null", record=record), columns, page)

    assert exactly(found) == exactly([{"v": cell.found} for cell in told])
    assert record.drifted.total() == sum(cell.misfits for cell in told)
    if not record.drifted:
        assert exactly(rows_of(PageDecoder(columns), columns, page)) == exactly(found)
        return
    at = next(at for at, cell in enumerate(told, 1) if cell.misfits)
    with pytest.raises(SchemaDriftError) as raised:
        rows_of(PageDecoder(columns), columns, page)
    _check_told(str(raised.value), columns, 1, at, Told({"v": told[at - 1].told}, {}, Counter(), "v"))


# --- on_drift := 'text' ----------------------------------------------------------------------------------------------


def text_columns(records: Sequence[Any]) -> tuple[Column, ...]:
    plan = ScanPlan(RequestPlan("t", BASE_URL, "/t"), on_drift="text")
    return infer_columns(plan, read_records(page_of(records)))


def leaves(kind: ColumnType) -> set[str]:
    match kind:
        case Scalar(name):
            return {name}
        case ListOf(element):
            return leaves(element)
        case Struct(fields):
            return set().union(*(leaves(field) for _, field in fields))


@st.composite
def sampled(draw: st.DrawFn) -> tuple[list[Any], tuple[Column, ...], list[list[Cell]]]:
    """Records of a first page, the columns inferred of them, and later records with any scalars in their places."""
    types = draw(st.dictionaries(st.sampled_from(NAMES), TYPES, min_size=1, max_size=3))
    record = objects({name: cells(kind, declared=False) for name, kind in types.items()})
    first = [cell.told for cell in draw(st.lists(record, min_size=1, max_size=3))]
    columns = text_columns(first)
    inside = objects({c.path[0]: scalar_cells(c.type) for c in columns if c.path})
    return first, columns, draw(st.lists(st.lists(inside, max_size=3), max_size=5))


def scalar_cells(kind: ColumnType) -> st.SearchStrategy[Cell]:
    """Any scalar where `kind` has one, as the text it is."""
    null = st.just(Cell(None, None))
    match kind:
        case Scalar("JSON"):
            return null | (BEYOND_128 | TOKENS.map(Token) | TEXTS | LISTS).map(lambda v: Cell(v, written(v)))
        case Scalar():
            numbers = BEYOND_128 | BEYOND_64 | TOKENS.map(Token) | st.booleans() | FLOATS
            return null | TEXTS.map(lambda v: Cell(v, v)) | numbers.map(lambda v: Cell(v, written(v)))
        case ListOf(element):
            return null | st.lists(scalar_cells(element), max_size=3).map(
                lambda each: Cell([c.told for c in each], [c.found for c in each])
            )
        case Struct(fields):
            return null | objects({name: scalar_cells(field) for name, field in fields})


@LAW
@given(drawn=sampled())
def test_as_text_no_scalar_drifts_and_numbers_keep_their_own_digits(
    drawn: tuple[list[Any], tuple[Column, ...], list[list[Cell]]],
) -> None:
    first, columns, later = drawn
    decoder = PageDecoder(columns, on_drift="text")

    assert all(leaves(c.type) <= {"VARCHAR", "JSON"} for c in columns)
    assert len(rows_of(decoder, columns, page_of(first))) == len(first)
    for number, told in enumerate(later, 2):
        page = page_of([cell.told for cell in told], number)
        if any(not c.path for c in columns):  # no field at all: the records themselves are JSON
            expected = [{"value": written(cell.told)} for cell in told]
        else:
            expected = [{c.name: cell.found[c.path[0]] for c in columns} for cell in told]
        assert rows_of(decoder, columns, page) == expected


def test_as_text_every_inferred_scalar_is_its_own_text() -> None:
    tokens = ["1.10", "-0", "1E5", "170141183460469231731687303715884105728", "true", '"2024-02-29"', "null"]
    records = [{"v": Token(token), "s": {"n": [Token(token)]}} for token in tokens]
    columns = text_columns([{"v": 1, "s": {"n": [2.5]}}])

    rows = rows_of(PageDecoder(columns, on_drift="text"), columns, page_of(records))

    texts = [*tokens[:5], "2024-02-29", None]
    assert [str(c.type) for c in columns] == ["VARCHAR", 'STRUCT("n" VARCHAR[])']
    assert rows == [{"v": text, "s": {"n": [text]}} for text in texts]


@pytest.mark.parametrize("value", [7, "x", [1]])
def test_as_text_a_value_in_place_of_an_object_is_drift_all_the_same(value: Any) -> None:
    columns = text_columns([{"v": {"a": 1}}])

    with pytest.raises(SchemaDriftError, match=r"page 1, record 1: v = .* does not fit STRUCT"):
        rows_of(PageDecoder(columns, on_drift="text"), columns, page_of([{"v": value}]))


# --- many pages ------------------------------------------------------------------------------------------------------


@settings(LAW, max_examples=50)
@given(scan=scans(longest=9), on_drift=st.sampled_from(["error", "null"]))
def test_a_page_is_read_alike_whatever_pages_were_read_before(
    scan: tuple[tuple[Column, ...], list[list[Told]]], on_drift: OnDrift
) -> None:
    columns, pages = scan
    fits = [told for told in pages if on_drift == "null" or not any(each.misfits for each in told)]
    decoder = PageDecoder(columns, on_drift=on_drift)

    found = [rows_of(decoder, columns, page_of([each.record for each in told])) for told in fits for _ in range(2)]

    assert exactly(found) == exactly([[each.row for each in told] for told in fits for _ in range(2)])


@pytest.mark.parametrize("drifting", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("declared", [False, True])
def test_after_any_number_of_unusual_pages_results_and_counts_are_as_before(
    drifting: int,
    declared: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    record = ScanRecord()
    columns = [column("BIGINT", name="n", declared=declared), column("TIMESTAMPTZ", name="at", declared=declared)]
    decoder = PageDecoder(columns, on_drift="null", record=record)
    odd = [{"n": 2.0, "at": "no time"}, {"n": 2**64, "at": "2024-02-29T12:00:00+01:00"}]
    usual = [{"n": 1, "at": "2024-02-29T12:00:00Z"}, {"n": None}]

    found = [rows_of(decoder, columns, page_of(odd)) for _ in range(drifting)]
    found += [rows_of(decoder, columns, page_of(usual)) for _ in range(2)]

    noon = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
    odd_rows = [{"n": 2, "at": None}, {"n": None, "at": noon - dt.timedelta(hours=1)}]
    assert found == [odd_rows] * drifting + [[{"n": 1, "at": noon}, {"n": None, "at": None}]] * 2
    assert record.drifted == {"n": drifting, "at": drifting}


@pytest.mark.parametrize("unusual", [0, 3, 5])
def test_after_any_number_of_unusual_pages_drift_is_an_error_of_its_page(unusual: int) -> None:
    columns = [column("BIGINT", name="n", declared=True)]
    decoder = PageDecoder(columns)
    found = [rows_of(decoder, columns, page_of([{"n": "5"}], number)) for number in range(1, unusual + 1)]

    with pytest.raises(SchemaDriftError, match=r'page 9, record 2: n = "x" does not fit BIGINT'):
        rows_of(decoder, columns, page_of([{"n": 1}, {"n": "x"}], 9))

    assert found == [[{"n": 5}]] * unusual
