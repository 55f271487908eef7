"""Pages as batches: the whole filter first, the projection after, and exactly the schema that was promised."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import Column, parse_type
from apikit_sql.engine.steps import Page
from apikit_sql.errors import CallError, DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import RequestPlan, Trip
from apikit_sql.records import read_envelope
from apikit_sql.scan.batches import batches, gate, key_condition, project
from apikit_sql.scan.decode import decode_page
from apikit_sql.scan.schema import arrow_schema

REQUEST = RequestPlan("shop", "https://api.test", "/t")


def page_of(records: Sequence[Any], number: int = 1) -> Page:
    body = json.dumps(list(records)).encode()
    return Page(number, "https://api.test/t", 200, httpx.Headers(), read_envelope(body, ""), len(body))


def column(name: str, kind: str, *, declared: bool = False) -> Column:
    return Column(name, parse_type(kind), (name,), declared=declared)


ID, NAME, EXTRA, HUGE = (
    column("id", "BIGINT"),
    column("name", "VARCHAR"),
    column("extra", "JSON"),
    column("h", "HUGEINT"),
)


def read(
    pages: Sequence[Page],
    columns: Sequence[Column],
    output: Sequence[Column],
    condition: pc.Expression | None = None,
    keys: tuple[tuple[str, object], ...] = (),
) -> list[pa.RecordBatch]:
    return list(batches(Trip(REQUEST, keys, keys), pages, columns, output, condition))


def test_each_page_becomes_a_batch() -> None:
    found = read([page_of([{"id": 1}, {"id": 2}]), page_of([{"id": 3}], 2)], [ID], [ID])

    assert [batch.to_pydict() for batch in found] == [{"id": [1, 2]}, {"id": [3]}]


def test_columns_are_projected_in_the_order_asked_for() -> None:
    (found,) = read([page_of([{"id": 1, "name": "a"}])], [ID, NAME], [NAME, ID])

    assert found.schema == pa.schema([("name", pa.string()), ("id", pa.int64())])
    assert found.to_pylist() == [{"name": "a", "id": 1}]


def test_a_column_that_only_the_filter_reads_is_not_given() -> None:
    page = page_of([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])

    (found,) = read([page], [ID, NAME], [NAME], pc.field("id") == 2)

    assert found.to_pydict() == {"name": ["b"]}


def test_a_column_that_nobody_reads_is_not_decoded() -> None:
    page = page_of([{"id": 1, "name": "a", "extra": 1}])

    (found,) = read([page], [ID], [ID])

    assert found.to_pydict() == {"id": [1]}
    with pytest.raises(SchemaDriftError):
        read([page], [ID, column("name", "BIGINT")], [ID])


def test_pages_without_rows_give_no_batch() -> None:
    pages = [page_of([]), page_of([{"id": 1}], 2), page_of([{"id": 9}], 3), page_of([], 4)]

    assert [batch.to_pydict() for batch in read(pages, [ID], [ID], pc.field("id") < 5)] == [{"id": [1]}]
    assert read([page_of([])], [ID], [ID]) == []


def test_rows_for_which_the_filter_is_null_are_left_out() -> None:
    (found,) = read([page_of([{"id": None}, {"id": 2}, {}])], [ID], [ID], pc.field("id") != 1)

    assert found.to_pydict() == {"id": [2]}


def test_without_columns_the_rows_are_counted() -> None:
    (found,) = read([page_of([{"id": 1}, {"id": 2}])], [], [])

    assert (found.num_rows, found.num_columns) == (2, 0)


def test_without_columns_the_rows_that_pass_are_counted() -> None:
    (found,) = read([page_of([{"id": 1}, {"id": 2}, {"id": 3}])], [ID], [], pc.field("id") > 1)

    assert (found.num_rows, found.num_columns) == (2, 0)


def test_a_json_column_is_compared_as_text() -> None:
    page = page_of([{"id": 1, "extra": {"a": 1}}, {"id": 2, "extra": "x"}, {"id": 3}])

    (found,) = read([page], [ID, EXTRA], [ID, EXTRA], pc.field("extra") == '{"a": 1}')

    assert found.schema == arrow_schema([ID, EXTRA])
    assert found.column("id").to_pylist() == [1]


def test_hugeint_columns_pass_a_filter_on_another_column() -> None:
    page = page_of([{"id": 1, "h": 2**100}, {"id": 2, "h": -1}, {"id": 3, "h": None}])

    (found,) = read([page], [ID, HUGE], [HUGE], pc.field("id") >= 2)

    assert found.schema == arrow_schema([HUGE])
    stored = found.column("h").storage.to_pylist()
    assert [v and int.from_bytes(v, "little", signed=True) for v in stored] == [-1, None]


def test_the_rows_of_a_large_page_keep_their_order() -> None:
    page = page_of([{"id": number} for number in range(100_000)])

    (found,) = read([page], [ID], [ID], pc.field("id") >= 10)

    assert found.column("id").to_pylist() == list(range(10, 100_000))


def test_a_page_is_decoded_only_when_its_batch_is_asked_for() -> None:
    taken: list[int] = []

    def pages() -> Iterator[Page]:
        for number in range(1, 4):
            taken.append(number)
            yield page_of([{"id": number}], number)

    found = batches(Trip(REQUEST), pages(), [ID], [ID], None)

    assert next(found).to_pydict() == {"id": [1]}
    assert taken == [1]


def test_a_missing_key_column_has_the_key_of_the_trip() -> None:
    owner = column("owner", "VARCHAR", declared=True)

    (found,) = read([page_of([{"id": 1}])], [ID, owner], [owner, ID], None, (("owner", "duckdb"),))

    assert found.to_pydict() == {"owner": ["duckdb"], "id": [1]}


@pytest.mark.parametrize(
    "batch",
    [
        pa.record_batch({"b": [1], "a": [2]}),
        pa.record_batch({"a": [1]}),
        pa.record_batch({"a": [1], "b": ["x"]}),
        pa.record_batch({"a": [1], "b": pa.array([1], pa.int32())}),
    ],
)
def test_a_batch_of_another_schema_never_reaches_duckdb(batch: pa.RecordBatch) -> None:
    with pytest.raises(DecodeError, match=r"a batch has the columns \["):
        gate(batch, pa.schema([("a", pa.int64()), ("b", pa.int64())]))


def test_a_batch_of_the_promised_schema_passes() -> None:
    batch = pa.record_batch({"a": [1]})

    assert gate(batch, batch.schema) is batch


KEYED: list[tuple[str, object, list[Any], list[int]]] = [
    ("VARCHAR", "a", ["a", "b", None, "A"], [0]),
    ("BIGINT", 7, [7, 8, None], [0]),
    ("DOUBLE", 1.5, [1.5, 2], [0]),
    ("BOOLEAN", False, [False, True, None], [0]),
    ("DATE", dt.date(2024, 2, 29), ["2024-02-29", "2024-03-01"], [0]),
    ("TIMESTAMP", dt.datetime(2024, 2, 29, 12), ["2024-02-29T12:00:00", "2024-02-29 12:00:00", "2024-02-29T12:00:01"], [0, 1]),  # noqa: DTZ001, E501
    ("TIMESTAMPTZ", dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), ["2024-02-29T12:00:00Z", "2024-02-29T13:00:00+01:00", "2024-02-29T12:00:01Z"], [0, 1]),  # noqa: E501
    ("HUGEINT", 7, [7, 2**100], [0]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "key", "values", "own"), KEYED, ids=[keyed[0] for keyed in KEYED])
def test_of_several_trips_each_keeps_the_rows_with_its_own_key(
    kind: str, key: object, values: list[Any], own: list[int]
) -> None:
    key_column = column("key", kind, declared=True)
    records = [{"id": number, "key": value} for number, value in enumerate(values)]
    trip = Trip(REQUEST, (("key", key),))

    condition = key_condition(trip, [ID, key_column])

    (found,) = batches(trip, [page_of(records)], [ID, key_column], [ID], condition)
    assert found.column("id").to_pylist() == own


def test_all_keys_of_a_trip_must_be_a_rows_own() -> None:
    columns = [ID, column("a", "VARCHAR"), column("b", "BIGINT")]
    trip = Trip(REQUEST, (("a", "x"), ("B", 1)))
    records = [{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "x", "b": 2}, {"id": 3, "a": "y", "b": 1}]

    (found,) = batches(trip, [page_of(records)], columns, [ID], key_condition(trip, columns))

    assert found.column("id").to_pylist() == [1]


def test_a_field_of_a_struct_tells_the_trips_apart_too() -> None:
    user = column("user", "STRUCT(login VARCHAR, id BIGINT)")
    trip = Trip(REQUEST, (("user.login", "a"),))
    records = [{"id": 1, "user": {"login": "a"}}, {"id": 2, "user": {"login": "b"}}, {"id": 3, "user": None}]

    condition = key_condition(trip, [ID, user])

    (found,) = batches(trip, [page_of(records)], [ID, user], [ID], condition)
    assert found.column("id").to_pylist() == [1]


def test_keys_without_a_column_tell_nothing_about_rows() -> None:
    assert key_condition(Trip(REQUEST, (("owner", "x"),)), [ID]) is None
    assert key_condition(Trip(REQUEST), [ID]) is None


def test_a_key_that_its_column_cannot_hold_is_an_error_of_ours_or_lets_no_row_pass() -> None:
    number = column("n", "BIGINT", declared=True)
    trip = Trip(REQUEST, (("n", "no number"),))

    try:
        condition = key_condition(trip, [ID, number])
    except (SchemaDriftError, DecodeError):
        return

    assert list(batches(trip, [page_of([{"id": 1, "n": 1}])], [ID, number], [ID], condition)) == []


cells = st.fixed_dictionaries(
    {},
    optional={
        "a": st.none() | st.integers(-3, 3),
        "b": st.none() | st.text("xyz", max_size=2),
        "j": st.none() | st.integers() | st.lists(st.booleans(), max_size=2),
        "h": st.none() | st.integers(-(2**127), 2**127 - 1),
        "s": st.none() | st.fixed_dictionaries({"h": st.none() | st.integers(-5, 5), "j": st.none() | st.booleans()}),
        "l": st.none() | st.lists(st.none() | st.integers(-5, 5), max_size=3),
    },
)
ALL = [
    column("a", "BIGINT"),
    column("b", "VARCHAR"),
    column("j", "JSON"),
    column("h", "HUGEINT"),
    column("s", "STRUCT(h HUGEINT, j JSON)"),
    column("l", "HUGEINT[]"),
]


@settings(max_examples=60, deadline=None)
@given(
    records=st.lists(cells, max_size=6),
    output=st.lists(st.sampled_from(ALL), unique=True),
    least=st.none() | st.integers(-3, 3),
)
def test_any_projection_of_any_filter_is_what_filtering_the_records_gives(
    records: list[dict[str, Any]], output: list[Column], least: int | None
) -> None:
    condition = None if least is None else pc.field("a") >= least
    columns = [c for c in ALL if c in output or (condition is not None and c.name == "a")]

    found = read([page_of(records)], columns, output, condition)

    passing = [r for r in records if least is None or (r.get("a") is not None and r["a"] >= least)]
    assert sum(batch.num_rows for batch in found) == len(passing)
    for batch in found:
        assert batch.schema == arrow_schema(output)
        batch.validate(full=True)
        expected = project(decode_page(page_of(passing), output, {}), output)
        assert batch.equals(expected)


def test_a_key_fills_its_column_whatever_the_case_of_its_name() -> None:
    owner = column("Owner", "VARCHAR", declared=True)

    (found,) = read([page_of([{"id": 1}])], [ID, owner], [owner], None, (("owner", "duckdb"),))

    assert found.to_pydict() == {"Owner": ["duckdb"]}


def test_a_declared_text_keeps_the_digits_of_a_number() -> None:
    name = column("name", "VARCHAR", declared=True)
    body = b'[{"name": 12345678901234567.89}, {"name": 12.10}, {"name": "x"}, {"name": null}]'
    page = Page(1, "https://api.test/t", 200, httpx.Headers(), read_envelope(body, ""))

    (found,) = read([page], [name], [name])

    assert found.column("name").to_pylist() == ["12345678901234567.89", "12.10", "x", None]


def test_a_filled_text_keeps_the_digits_of_a_number_too() -> None:
    amount = column("amount", "VARCHAR", declared=True)
    body = b'[{"amount": 1.10}, {}, {"amount": null}]'
    page = Page(1, "https://api.test/t", 200, httpx.Headers(), read_envelope(body, ""))

    (found,) = read([page], [amount], [amount], None, (("amount", "filled"),))

    assert found.column("amount").to_pylist() == ["1.10", "filled", None]


@pytest.mark.parametrize("kind", ["DOUBLE", "BIGINT", "VARCHAR", "JSON"])
def test_a_number_that_no_double_holds_is_an_error_of_this_package(kind: str) -> None:
    page = Page(1, "https://api.test/t", 200, httpx.Headers(), read_envelope(b'[{"x": 1}, {"x": 1e400}]', ""))
    x = column("x", kind, declared=True)

    with pytest.raises(DecodeError, match="page 1: a record is not JSON that can be read"):
        read([page], [x], [x])


def test_a_key_that_its_column_cannot_hold_is_told_to_the_caller() -> None:
    n = column("n", "BIGINT", declared=True)

    with pytest.raises(CallError, match="n = 'abc' is no BIGINT"):
        read([page_of([{"id": 1}])], [ID, n], [n], None, (("n", "abc"),))
