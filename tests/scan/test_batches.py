"""Pages as batches: the whole filter first, the projection after, joined, and exactly the schema that was promised."""

import datetime as dt
import json
from collections.abc import Sequence
from functools import partial
from threading import Event
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, Struct, parse_type
from apikit_sql.engine.pages import Pages
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.steps import Page, Steps
from apikit_sql.engine.trip import Dialogue, Wanted
from apikit_sql.errors import CallError, DecodeError, SchemaDriftError
from apikit_sql.plan.predicate import Value
from apikit_sql.plan.request_plan import Keys, RequestPlan, Trip
from apikit_sql.records import read_envelope
from apikit_sql.scan.batches import PageReader, batches, gate, key_condition
from apikit_sql.scan.decode import PageDecoder
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


class Canned(Pages):
    """Pages that wait in a list; each but the first is ready, or not yet, as the test says."""

    def __init__(self, pages: Sequence[tuple[int, Page]], *, ready: bool | Sequence[bool] = False) -> None:
        self._canned = list(pages)
        self._readiness = [ready] * len(pages) if isinstance(ready, bool) else [True, *ready]
        self.taken = 0

    def __next__(self) -> tuple[int, Page]:
        if self.taken == len(self._canned):
            raise StopIteration
        self.taken += 1
        return self._canned[self.taken - 1]

    def fail(self, error: Exception) -> None:
        raise error

    def is_ready(self) -> bool:
        return self.taken < len(self._canned) and self._readiness[self.taken]


def reader_of(
    columns: Sequence[Column],
    output: Sequence[Column] | None = None,
    condition: pc.Expression | None = None,
    trips: Sequence[Trip] = (Trip(REQUEST),),
) -> PageReader:
    """A reader of `output`, or of all columns, of a table with `columns`."""
    return PageReader(
        trips, columns, columns if output is None else output, condition, partial(PageDecoder, table=columns)
    )


def read(
    pages: Sequence[Page],
    columns: Sequence[Column],
    output: Sequence[Column],
    condition: pc.Expression | None = None,
    keys: Keys = (),
) -> list[pa.RecordBatch]:
    """The batches of one trip's pages, none of which is ready before it is asked for."""
    reader = reader_of(columns, output, condition, [Trip(REQUEST, keys, keys)])
    return list(batches(Canned([(0, page) for page in pages]), reader))


def rows_of(found: Sequence[pa.RecordBatch], output: Sequence[Column]) -> list[tuple[Any, ...]]:
    """The rows of batches as DuckDB fetches them, JSON read."""
    if not found:
        return []
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("t", pa.Table.from_batches(found))
        fetched = con.execute("FROM t").fetchall()
    return [tuple(as_read(value, c.type) for value, c in zip(row, output, strict=True)) for row in fetched]


def as_read(value: Any, kind: ColumnType) -> Any:
    """`value` with the JSON texts inside it read."""
    match kind:
        case Scalar("JSON"):
            return None if value is None else json.loads(value)
        case ListOf(element) if value is not None:
            return [as_read(each, element) for each in value]
        case Struct(fields) if value is not None:
            return {name: as_read(value[name], field) for name, field in fields}
        case _:
            return value


def test_each_page_that_is_waited_for_becomes_a_batch() -> None:
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
    drifting, columns = page_of([{"id": 1, "name": "a"}]), [ID, column("name", "BIGINT")]

    (found,) = read([drifting], columns, [ID])

    assert found.to_pydict() == {"id": [1]}
    with pytest.raises(SchemaDriftError, match="name"):
        read([drifting], columns, [ID], pc.field("name") > 0)


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


def test_a_page_is_taken_only_when_its_batch_is_asked_for() -> None:
    pages = Canned([(0, page_of([{"id": number}], number)) for number in (1, 2, 3)], ready=True)

    found = batches(pages, reader_of([ID]))

    assert pages.taken == 0
    assert next(found).to_pydict() == {"id": [1]}
    assert pages.taken == 1


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


KEYED: list[tuple[str, Value, list[Any], list[int]]] = [
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
    kind: str, key: Value, values: list[Any], own: list[int]
) -> None:
    key_column = column("key", kind, declared=True)
    records = [{"id": number, "key": value} for number, value in enumerate(values)]
    reader = reader_of([ID, key_column], [ID], None, [Trip(REQUEST, (("key", key),)), Trip(REQUEST)])

    found = reader.read(0, page_of(records))

    assert found.column("id").to_pylist() == own
    assert reader.read(1, page_of(records)).num_rows == len(records)


def test_all_keys_of_a_trip_must_be_a_rows_own() -> None:
    columns = [ID, column("a", "VARCHAR"), column("b", "BIGINT")]
    trips = [Trip(REQUEST, (("a", "x"), ("B", 1))), Trip(REQUEST, (("a", "y"), ("B", 1)))]
    records = [{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "x", "b": 2}, {"id": 3, "a": "y", "b": 1}]
    reader = reader_of(columns, [ID], None, trips)

    found = [reader.read(number, page_of(records)).column("id").to_pylist() for number in (0, 1, 0)]

    assert found == [[1], [3], [1]]


def test_of_a_trip_the_rows_must_pass_the_filter_too() -> None:
    name = column("name", "VARCHAR")
    trips = [Trip(REQUEST, (("name", "a"),)), Trip(REQUEST, (("name", "b"),))]
    page = page_of([{"id": 1, "name": "a"}, {"id": 2, "name": "a"}, {"id": 3, "name": "b"}])

    found = reader_of([ID, name], [ID], pc.field("id") > 1, trips).read(0, page)

    assert found.to_pydict() == {"id": [2]}


def test_of_a_single_trip_the_rows_are_not_told_apart() -> None:
    name = column("name", "VARCHAR")
    page = page_of([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 3, "name": None}])

    found = reader_of([ID, name], [ID], None, [Trip(REQUEST, (("name", "a"),))]).read(0, page)

    assert found.to_pydict() == {"id": [1, 2, 3]}


def test_a_field_of_a_struct_tells_the_trips_apart_too() -> None:
    user = column("user", "STRUCT(login VARCHAR, id BIGINT)")
    trips = [Trip(REQUEST, (("user.login", "a"),)), Trip(REQUEST, (("User.LOGIN", "b"),))]
    records = [{"id": 1, "user": {"login": "a"}}, {"id": 2, "user": {"login": "b"}}, {"id": 3, "user": None}]
    reader = reader_of([ID, user], [ID], None, trips)

    found = [reader.read(number, page_of(records)).column("id").to_pylist() for number in (0, 1)]

    assert found == [[1], [2]]


@pytest.mark.parametrize("columns", [[ID], [ID, column("owner", "JSON")], [ID, column("owner", "STRUCT(a BIGINT)")]])
def test_keys_without_a_plain_column_tell_nothing_about_rows(columns: list[Column]) -> None:
    assert key_condition((("owner", "x"),), columns) is None
    assert key_condition((("owner.b", "x"),), columns) is None
    assert key_condition((), columns) is None


def test_a_key_that_its_column_cannot_hold_lets_no_row_pass() -> None:
    number = column("n", "BIGINT", declared=True)
    trips = [Trip(REQUEST, (("n", "no number"),)), Trip(REQUEST, (("n", 1),))]
    reader = reader_of([ID, number], [ID], None, trips)

    found = [reader.read(number, page_of([{"id": 1, "n": 1}, {"id": 2}])).num_rows for number in (0, 1)]

    assert found == [0, 1]


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

    found = read([page_of(records)], ALL, output, condition)

    passing = [r for r in records if least is None or (r.get("a") is not None and r["a"] >= least)]
    assert sum(batch.num_rows for batch in found) == len(passing)
    for batch in found:
        assert batch.schema == arrow_schema(output)
        batch.validate(full=True)
    if output:
        assert rows_of(found, output) == [tuple(record.get(c.name) for c in output) for record in passing]


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


# --- joined ----------------------------------------------------------------------------------------------------------


def numbered(*sizes: int) -> list[tuple[int, Page]]:
    """Pages of so many records each, whose ids go on from page to page."""
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    return [
        (0, page_of([{"id": start + each} for each in range(size)], number))
        for number, (start, size) in enumerate(zip(starts, sizes, strict=True), 1)
    ]


def test_the_first_page_is_a_batch_of_its_own_even_where_more_are_there() -> None:
    pages = Canned(numbered(2, 3, 4), ready=True)
    found = batches(pages, reader_of([ID]))

    first = next(found)

    assert first.column("id").to_pylist() == [0, 1]
    assert pages.taken == 1


def test_pages_that_are_there_are_joined_in_order_twice_as_many_each_time() -> None:
    found = list(batches(Canned(numbered(1, 2, 1, 3, 1, 1, 1, 1, 2), ready=True), reader_of([ID])))

    assert [batch.column("id").to_pylist() for batch in found] == [
        [0],
        [1, 2],
        [3, 4, 5, 6],
        [7, 8, 9, 10],
        [11, 12],
    ]


def test_the_first_page_that_has_rows_counts_as_the_first() -> None:
    found = list(batches(Canned(numbered(0, 2, 1, 1), ready=True), reader_of([ID])))

    assert [batch.column("id").to_pylist() for batch in found] == [[0, 1], [2], [3]]


def test_a_page_that_is_not_there_is_not_waited_for() -> None:
    pages = Canned(numbered(1, 1, 1, 1, 1, 1), ready=[True, True, True, False, True])
    found = batches(pages, reader_of([ID]))

    seen = [(next(found).column("id").to_pylist(), pages.taken) for _ in range(4)]

    assert seen == [([0], 1), ([1], 2), ([2, 3], 4), ([4, 5], 6)]
    assert list(found) == []


def test_an_empty_page_neither_ends_nor_begins_a_batch() -> None:
    pages = Canned(numbered(1, 1, 1, 0, 1, 0, 1, 0), ready=[True, True, True, True, False, True, True])

    found = list(batches(pages, reader_of([ID])))

    assert [batch.column("id").to_pylist() for batch in found] == [[0], [1], [2, 3], [4]]


def test_what_waits_is_given_where_an_empty_page_must_be_waited_for() -> None:
    pages = Canned(numbered(1, 1, 1, 0, 1), ready=[True, True, True, False])
    found = batches(pages, reader_of([ID]))

    seen = [(next(found).column("id").to_pylist(), pages.taken) for _ in range(4)]

    assert seen == [([0], 1), ([1], 2), ([2], 4), ([3], 5)]


def test_a_joined_batch_is_full_with_2048_rows() -> None:
    found = list(batches(Canned(numbered(*[1000] * 8, 48, 2048, 1), ready=True), reader_of([ID])))

    assert [batch.num_rows for batch in found] == [1000, 1000, 2000, 3000, 3096, 1]
    assert [row for batch in found for row in batch.column("id").to_pylist()] == list(range(10_097))


def test_exactly_2048_rows_are_full() -> None:
    found = list(batches(Canned(numbered(1, 2048, 2047, 1, 5), ready=True), reader_of([ID])))

    assert [batch.num_rows for batch in found] == [1, 2048, 2048, 5]


def test_only_rows_that_pass_the_filter_make_a_batch_full() -> None:
    pages = Canned(numbered(*[2048] * 4), ready=True)

    found = list(batches(pages, reader_of([ID], [ID], pc.field("id") >= 3 * 2048 - 1)))

    assert [batch.num_rows for batch in found] == [1, 2048]


def test_an_error_of_a_later_page_comes_after_the_first_batch() -> None:
    pages = Canned([(0, page_of([{"id": 1}])), (0, page_of([{"id": "x"}], 2))], ready=True)
    found = batches(pages, reader_of([ID]))

    assert next(found).to_pydict() == {"id": [1]}
    with pytest.raises(SchemaDriftError, match=r"page 2, record 1: id = \"x\""):
        next(found)


def test_pages_of_several_trips_are_joined_each_with_its_own_keys() -> None:
    owner = column("owner", "VARCHAR", declared=True)
    trips = [Trip(REQUEST, (("owner", name),), (("owner", name),)) for name in "abc"]
    pages = Canned([(number, page_of([{"id": number}])) for number in (0, 0, 1, 2)], ready=True)

    found = list(batches(pages, reader_of([ID, owner], None, None, trips)))

    assert [batch.to_pydict() for batch in found] == [
        {"id": [0], "owner": ["a"]},
        {"id": [0], "owner": ["a"]},
        {"id": [1, 2], "owner": ["b", "c"]},
    ]


def kept_trip(pages: Sequence[Page]) -> Dialogue:
    """A trip whose pages are all there already."""

    def never() -> Steps[Page | None]:
        raise AssertionError
        yield

    for page in pages:
        request = PageRequest("https://api.test/t", (("page", str(page.number)),))
        yield Wanted(request, page.number, never, page)
        yield page


def test_pages_of_the_window_that_wait_are_joined() -> None:
    kept = [page for _, page in numbered(1, 1, 2, 3)]
    with Pages([lambda: kept_trip(kept)], httpx.HTTPTransport(), Event()) as pages:
        found = list(batches(pages, reader_of([ID])))

    assert [batch.column("id").to_pylist() for batch in found] == [[0], [1], [2, 3, 4, 5, 6]]


MOMENT = dt.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=dt.UTC)
OF_EACH_TYPE: dict[str, list[tuple[Any, Any]]] = {
    "BOOLEAN": [(True, True), (False, False)],
    "INTEGER": [(-7, -7), (2**31 - 1, 2**31 - 1)],
    "BIGINT": [(2**63 - 1, 2**63 - 1), (0, 0)],
    "HUGEINT": [(2**127 - 1, 2**127 - 1), (-1, -1), (-(2**127), -(2**127))],
    "DOUBLE": [(0.1, 0.1), (-1e300, -1e300)],
    "VARCHAR": [("é 𝄞", "é 𝄞"), ("", "")],
    "DATE": [("2024-02-29", dt.date(2024, 2, 29)), ("1969-12-31", dt.date(1969, 12, 31))],
    "TIMESTAMP": [("2024-02-29T12:00:00.000001", MOMENT.replace(tzinfo=None))],
    "TIMESTAMPTZ": [("2024-02-29T13:00:00.000001+01:00", MOMENT)],
    "JSON": [({"a": [1, None]}, {"a": [1, None]}), ("x", "x"), (2**200, 2**200)],
}  # fmt: skip
FORMS = ["{}", "{}[]", "STRUCT(x {}, y {}[])", "STRUCT(x {})[]", "STRUCT(s STRUCT(x {}[]), n BIGINT)[][]"]


def formed(form: str, value: Any) -> Any:
    """`value` in a column of this form, beside what is null or empty there."""
    match form:
        case "{}":
            return value
        case "{}[]":
            return [None, value, value]
        case "STRUCT(x {}, y {}[])":
            return {"x": value, "y": [value, None]}
        case "STRUCT(x {})[]":
            return [{"x": value}, None, {"x": None}]
        case _:
            return [[{"s": {"x": [value]}, "n": 1}, {"s": None, "n": None}], None, []]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", OF_EACH_TYPE)
def test_joined_batches_have_the_rows_of_their_pages_whatever_the_type(kind: str, form: str) -> None:
    v = column("v", form.replace("{}", kind))
    values = [(formed(form, told), formed(form, found)) for told, found in OF_EACH_TYPE[kind]]
    told = [
        page_of([{"v": value}, {}, {"v": None}, {"v": value}], number) for number, (value, _) in enumerate(values, 1)
    ]
    expected = [row for _, value in values for row in [(value,), (None,), (None,), (value,)]]

    found = list(batches(Canned([(0, page) for page in told * 4], ready=True), reader_of([v])))

    assert 1 < len(found) < 4 * len(told)
    for batch in found:
        assert batch.schema == arrow_schema([v])
        batch.validate(full=True)
    assert rows_of(found, [v]) == expected * 4


@settings(max_examples=60, deadline=None)
@given(
    pages=st.lists(st.lists(cells, max_size=3), max_size=6),
    output=st.lists(st.sampled_from(ALL), min_size=1, unique=True),
    least=st.none() | st.integers(-3, 3),
    ready=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_whatever_is_joined_the_rows_are_those_of_the_pages_in_order(
    pages: list[list[dict[str, Any]]], output: list[Column], least: int | None, ready: list[bool]
) -> None:
    condition = None if least is None else pc.field("a") >= least
    canned = Canned([(0, page_of(page, number)) for number, page in enumerate(pages, 1)], ready=ready)

    found = list(batches(canned, reader_of(ALL, output, condition)))

    passing = [r for page in pages for r in page if least is None or (r.get("a") is not None and r["a"] >= least)]
    assert all(batch.num_rows for batch in found)
    assert rows_of(found, output) == [tuple(record.get(c.name) for c in output) for record in passing]


def test_joined_batches_without_columns_still_count_their_rows() -> None:
    found = list(batches(Canned(numbered(2, 1, 3, 4), ready=True), reader_of([ID], [])))

    assert [(batch.num_rows, batch.num_columns) for batch in found] == [(2, 0), (1, 0), (7, 0)]


def test_joined_batches_without_columns_count_the_rows_that_pass() -> None:
    found = list(batches(Canned(numbered(2, 1, 3, 4), ready=True), reader_of([ID], [], pc.field("id") >= 1)))

    assert [(batch.num_rows, batch.num_columns) for batch in found] == [(1, 0), (1, 0), (7, 0)]


# --- keys that the call gave -----------------------------------------------------------------------------------------

OWNER = column("owner", "VARCHAR", declared=True)


def given_trip(name: str, value: Value) -> Trip:
    """A trip for a key that the call gave, which is in its path."""
    key = ((name, value),)
    return Trip(REQUEST, key, key, key)


@pytest.mark.parametrize("others", [[], [given_trip("owner", "b")]], ids=["one trip", "several trips"])
def test_records_that_tell_the_given_key_or_none_pass_and_lacking_it_are_filled(others: list[Trip]) -> None:
    page = page_of([{"id": 1, "owner": "a"}, {"id": 2, "owner": None}, {"id": 3}])
    reader = reader_of([ID, OWNER], None, None, [given_trip("owner", "a"), *others])

    found = reader.read(0, page)

    assert found.to_pydict() == {"id": [1, 2, 3], "owner": ["a", None, "a"]}


CONTRADICTED: list[tuple[str, Value, Value]] = [
    ("VARCHAR", "a", "b"),
    ("VARCHAR", "a", "A"),
    ("BIGINT", 7, 8),
    ("HUGEINT", 7, 2**100),
    ("DOUBLE", 1.5, 2.5),
    ("BOOLEAN", True, False),
]


@pytest.mark.parametrize(("kind", "asked", "told"), CONTRADICTED)
@pytest.mark.parametrize("others", [[], [given_trip("key", "x")]], ids=["one trip", "several trips"])
def test_a_record_that_contradicts_the_given_key_is_an_error_that_names_both_values(
    kind: str, asked: Value, told: Value, others: list[Trip]
) -> None:
    key = column("Key", kind, declared=True)
    page = page_of([{"id": 1}, {"id": 2, "Key": asked}, {"id": 3, "Key": told}], 4)
    reader = reader_of([ID, key], [ID], None, [given_trip("key", asked), *others])

    with pytest.raises(SchemaDriftError) as raised:
        reader.read(0, page)

    expected = f"https://api.test/t, page 4: a record has Key = {told!r} where keys asked for {asked!r}."
    assert str(raised.value).startswith(expected)


def test_each_trip_checks_the_key_that_was_given_for_it() -> None:
    trips = [given_trip("owner", "a"), given_trip("owner", "b")]
    page = page_of([{"id": 1, "owner": "b"}])
    reader = reader_of([ID, OWNER], None, None, trips)

    assert reader.read(1, page).num_rows == 1
    with pytest.raises(SchemaDriftError, match="owner = 'b' where keys asked for 'a'"):
        reader.read(0, page)


def test_beside_a_given_key_one_from_the_filter_still_tells_the_trips_apart() -> None:
    team = column("team", "VARCHAR", declared=True)
    given_key = (("owner", "a"),)
    trips = [Trip(REQUEST, (*given_key, ("team", name)), given_key, given_key) for name in ("x", "y")]
    page = page_of([{"id": 1, "team": "x"}, {"id": 2, "team": "y"}, {"id": 3, "owner": None, "team": "y"}])
    reader = reader_of([ID, OWNER, team], [ID, OWNER], None, trips)

    found = [reader.read(number, page).to_pylist() for number in (0, 1)]

    assert found == [[{"id": 1, "owner": "a"}], [{"id": 2, "owner": "a"}, {"id": 3, "owner": None}]]


def test_a_given_key_of_which_records_have_no_column_is_not_checked() -> None:
    reader = reader_of([ID], None, None, [given_trip("owner", "a")])

    assert reader.read(0, page_of([{"id": 1, "owner": "b"}])).to_pydict() == {"id": [1]}


def test_scalars_have_the_given_key_beside_their_value() -> None:
    value = Column("value", parse_type("BIGINT"), ())
    trips = [given_trip("owner", "a"), given_trip("owner", "b")]
    pages = Canned([(0, page_of([1, None])), (1, page_of([3])), (1, page_of([]))], ready=True)

    found = list(batches(pages, reader_of([value, OWNER], None, None, trips)))

    assert [batch.to_pydict() for batch in found] == [
        {"value": [1, None], "owner": ["a", "a"]},
        {"value": [3], "owner": ["b"]},
    ]


def test_of_scalars_the_given_key_can_be_read_alone() -> None:
    value = Column("value", parse_type("BIGINT"), ())
    reader = reader_of([value, OWNER], [OWNER], None, [given_trip("owner", "a")])

    assert reader.read(0, page_of([1, None])).to_pydict() == {"owner": ["a", "a"]}
