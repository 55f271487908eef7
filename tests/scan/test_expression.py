"""The filters that DuckDB really pushes, and generated ones, read back as predicates.

What a version of DuckDB pushes is its own affair: a predicate may be absent, it is never wrong.
"""

import datetime as dt
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.plan.predicate import Compared, OneOf, Predicate
from apikit_sql.scan.expression import Constant, read_columns, read_expression, read_predicates, with_both_zeros

MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=dt.UTC)
NAIVE = MOMENT.replace(tzinfo=None)

TABLE = pa.table(
    {
        "i": pa.array([1, 2, None], pa.int64()),
        "x": pa.array([1.5, 2.5, None], pa.float64()),
        "s": pa.array(["a", "b", None], pa.string()),
        "b": pa.array([True, False, None], pa.bool_()),
        "d": pa.array([MOMENT.date(), None, None], pa.date32()),
        "ts": pa.array([NAIVE, None, None], pa.timestamp("us")),
        "tz": pa.array([MOMENT, None, None], pa.timestamp("us", "UTC")),
        "n": pa.array([{"f": 1, "g": {"h": "x"}}, {"f": 2, "g": None}, None]),
        "odd name.x": pa.array([{"it's": 1}, None, None]),
    }
)


class RecordingDataset(ds.Dataset):  # type: ignore[misc]  # pyarrow is untyped
    """A table in memory that keeps every filter it is asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.filters: list[pc.Expression | None] = []

    @property
    def schema(self) -> pa.Schema:
        return self._table.schema

    def scanner(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's
        **_: object,
    ) -> Any:
        self.filters.append(filter)
        return ds.dataset(self._table).scanner(columns=columns, filter=filter)


def pushed(where: str, before: str = "") -> tuple[pc.Expression | None, tuple[Predicate, ...]]:
    """The filter that DuckDB pushes for WHERE `where`, and the predicates read from it."""
    dataset = RecordingDataset(TABLE)
    with duckdb.connect() as con:
        con.register("t", dataset)
        con.execute(before)
        con.execute(f"SELECT i FROM t WHERE {where}").fetchall()
    assert len(dataset.filters) == 1
    return dataset.filters[0], read_predicates(dataset.filters[0])


def meaning(predicates: Iterable[Predicate]) -> set[object]:
    """The predicates with the values of IN lists in no order, for versions order them differently."""
    return {
        (p.column, "in", frozenset(p.values)) if isinstance(p, OneOf) else (p.column, p.operator, p.value)
        for p in predicates
    }


ALWAYS: list[tuple[str, list[Predicate]]] = [
    ("i = 1", [OneOf("i", (1,))]),
    ("1 = i", [OneOf("i", (1,))]),
    ("i > 1", [Compared("i", ">", 1)]),
    ("i >= 1", [Compared("i", ">=", 1)]),
    ("i < 1", [Compared("i", "<", 1)]),
    ("i <= -1", [Compared("i", "<=", -1)]),
    ("1 < i", [Compared("i", ">", 1)]),
    ("1 >= i", [Compared("i", "<=", 1)]),
    ("i BETWEEN 1 AND 2", [Compared("i", ">=", 1), Compared("i", "<=", 2)]),
    ("i = 9223372036854775807", [OneOf("i", (2**63 - 1,))]),
    ("i = -9223372036854775807", [OneOf("i", (-(2**63) + 1,))]),
    ("x = 1.5", [OneOf("x", (1.5,))]),
    ("s = 'a'", [OneOf("s", ("a",))]),
    ("s = ''", [OneOf("s", ("",))]),
    ("s = 'it''s \"q\"'", [OneOf("s", ('it\'s "q"',))]),
    ("s = 'C:\\new\\'", [OneOf("s", ("C:\\new\\",))]),
    ("s = 'two\nlines\t\r\n'", [OneOf("s", ("two\nlines\t\r\n",))]),
    ("s = 'é ☃ 𝄞 漢 \u202e end'", [OneOf("s", ("é ☃ 𝄞 漢 \u202e end",))]),
    ("s = 'end'", [OneOf("s", ("end",))]),  # words of the pickled form are no structure
    ("s = '(i == 1) and {value_set=[\"a\"]}'", [OneOf("s", ('(i == 1) and {value_set=["a"]}',))]),
    ("d = DATE '2024-02-29'", [OneOf("d", (dt.date(2024, 2, 29),))]),
    ("d > DATE '0001-01-01'", [Compared("d", ">", dt.date(1, 1, 1))]),
    ("ts >= TIMESTAMP '2024-02-29 12:30:15.25'", [Compared("ts", ">=", NAIVE)]),
    ("tz < TIMESTAMPTZ '2024-02-29 12:30:15.25+00'", [Compared("tz", "<", MOMENT)]),
    ("tz < TIMESTAMPTZ '2024-02-29 14:30:15.25+02'", [Compared("tz", "<", MOMENT)]),
    ("n.f = 1", [OneOf("n.f", (1,))]),
    ("n.f > 1", [Compared("n.f", ">", 1)]),
    ("n.g.h = 'x'", [OneOf("n.g.h", ("x",))]),
    ('"odd name.x"."it\'s" = 1', [OneOf("odd name.x.it's", (1,))]),
    ("i = 1 AND s = 'a'", [OneOf("i", (1,)), OneOf("s", ("a",))]),
    ("s IN ('a', 'b')", [OneOf("s", ("a", "b"))]),
    ("i IN (1, 7, 90)", [OneOf("i", (1, 7, 90))]),
    ("i = 1 AND s IN ('a', 'it''s')", [OneOf("i", (1,)), OneOf("s", ("a", "it's"))]),
    ("d IN ('2024-02-29', '2023-01-01')", [OneOf("d", (dt.date(2024, 2, 29), dt.date(2023, 1, 1)))]),
    (
        "tz IN (TIMESTAMPTZ '2024-02-29 12:30:15.25+00', TIMESTAMPTZ '2023-01-01 00:00:00+00')",
        [OneOf("tz", (MOMENT, dt.datetime(2023, 1, 1, tzinfo=dt.UTC)))],
    ),
]

SOMETIMES: list[tuple[str, list[Predicate]]] = [
    ("x > 1", [Compared("x", ">", 1.0)]),
    ("b", [OneOf("b", (True,))]),
    ("NOT b", [OneOf("b", (False,))]),
    ("b = false", [OneOf("b", (False,))]),
    ("s LIKE 'ab%'", [Compared("s", ">=", "ab"), Compared("s", "<", "ac")]),
    ("i IN (1, NULL)", [OneOf("i", (1,))]),
    ("s IN ('a', 'b', NULL)", [OneOf("s", ("a", "b"))]),
    ("n.f IN (1, 7, 9)", [OneOf("n.f", (1, 7, 9))]),
    ("i + 1 = 2", [OneOf("i", (1,))]),
    ("i = 1 OR i = 7", [OneOf("i", (1, 7))]),
    ("i IN getvariable('chosen')", [OneOf("i", (1, 7))]),
    ("i = ANY(getvariable('chosen'))", [OneOf("i", (1, 7))]),
    ("i IN getvariable('chosen_and_null')", [OneOf("i", (1, 7))]),
    ("i = ANY(getvariable('chosen_and_null'))", [OneOf("i", (1, 7))]),
    ("i = 1 AND (s = 'a' OR x = 1.5)", [OneOf("i", (1,))]),
]

VARIABLES = "SET VARIABLE chosen = [1, 7]; SET VARIABLE chosen_and_null = [1, 7, NULL]"

NEVER = [
    "i <> 1",
    "NOT (i = 1)",
    "i NOT IN (1, 7)",
    "i IS NULL",
    "i IS NOT NULL",
    "n.g.h IS NULL",
    "i = 1 OR s = 'a'",
    "i > 5 OR i < 1",
    "i = 1 OR i > 5",
    "i = 1 OR i IS NULL",
    "i IS NOT DISTINCT FROM NULL",
    "coalesce(i, 1) = 1",
    "s ILIKE 'ab%'",
    "i = x",
    "x = 'nan'::DOUBLE",
    "x < 'infinity'::DOUBLE",
    "x > '-infinity'::DOUBLE",
    "ts < 'infinity'::TIMESTAMP",
    "ts > '-infinity'::TIMESTAMP",
    "tz < 'infinity'::TIMESTAMPTZ",
    "d < 'infinity'::DATE",
    "d < DATE '20000-01-01'",
    "d > DATE '0044-03-15 (BC)'",
    "ts = TIMESTAMP '290000-01-01 00:00:00'",
]


@pytest.mark.parametrize(("where", "expected"), ALWAYS, ids=[where for where, _ in ALWAYS])
def test_a_pushed_filter_is_read_back_as_what_was_written(where: str, expected: list[Predicate]) -> None:
    _, found = pushed(where)

    assert meaning(found) == meaning(expected)


@pytest.mark.parametrize(("where", "expected"), SOMETIMES, ids=[where for where, _ in SOMETIMES])
def test_what_only_some_versions_push_is_absent_or_right(where: str, expected: list[Predicate]) -> None:
    _, found = pushed(where, VARIABLES)

    assert meaning(found) <= meaning(expected) | {("i", ">=", 1), ("i", "<=", 7)}


@pytest.mark.parametrize("where", NEVER)
def test_a_condition_that_bounds_no_single_column_is_no_predicate(where: str) -> None:
    _, found = pushed(where)

    assert found == ()


def test_a_dense_list_of_integers_is_a_list_or_a_range() -> None:
    _, found = pushed("i IN (4, 3, 5)")

    assert meaning(found) in (
        {("i", "in", frozenset({3, 4, 5}))},
        {("i", ">=", 3), ("i", "<=", 5)},
    )


@pytest.mark.parametrize("count", [500, 1_500])
def test_a_long_list_of_texts_is_read_whole(count: int) -> None:
    values = [f"v'{number}" for number in range(count)]
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)

    _, found = pushed(f"s IN ({quoted})")

    # no version is obliged to be read at any length, but a long list never breaks the query
    assert meaning(found) in (
        [{("s", "in", frozenset(values))}] if count == 500 else [{("s", "in", frozenset(values))}, set()]
    )


def test_a_long_list_of_integers_is_read_whole() -> None:
    values = [number * number for number in range(500)]

    _, found = pushed(f"i IN ({', '.join(map(str, values))})")

    assert meaning(found) == {("i", "in", frozenset(values))}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_moment_is_the_same_in_every_time_zone_of_the_session(zone: str) -> None:
    _, found = pushed("tz = TIMESTAMPTZ '2024-02-29 12:30:15.25+00'", f"SET TimeZone = '{zone}'")

    assert meaning(found) == {("tz", "in", frozenset({MOMENT}))}


def test_the_columns_of_a_pushed_filter_are_told() -> None:
    expression, _ = pushed("i = 1 AND n.g.h = 'x'")

    assert read_columns(expression) == frozenset({"i", "n"})


def test_no_filter_has_no_predicates_and_no_columns() -> None:
    assert read_expression(None) is None
    assert read_predicates(None) == ()
    assert read_columns(None) == frozenset()


# --- expressions of pyarrow's own making -----------------------------------------------------------------------------

INT, TEXT, NESTED = pc.field("i"), pc.field("s"), pc.field(("n", "f"))
ONE, NO_INT = pc.scalar(1), pc.scalar(pa.scalar(None, pa.int64()))


def is_in(field: pc.Expression, values: list[Any], kind: pa.DataType) -> pc.Expression:
    return pc.Expression._call("is_in", [field], pc.SetLookupOptions(pa.array(values, kind)))


MADE: list[tuple[str, pc.Expression, list[Predicate]]] = [
    ("a mirrored equality", ONE == INT, [OneOf("i", (1,))]),
    ("a mirrored <", ONE < INT, [Compared("i", ">", 1)]),
    ("a mirrored <=", ONE <= INT, [Compared("i", ">=", 1)]),
    ("a mirrored >", ONE > INT, [Compared("i", "<", 1)]),
    ("a mirrored >=", ONE >= INT, [Compared("i", "<=", 1)]),
    ("a field equal to NULL", INT == NO_INT, []),
    ("a NaN", pc.field("x") == pc.scalar(math.nan), []),
    ("an infinity", pc.field("x") < pc.scalar(math.inf), []),
    ("two columns compared", pc.field("x") == INT, []),
    ("bytes", pc.field("h") == pc.scalar(b"0123456789abcdef"), []),
    ("an empty list", is_in(INT, [], pa.int64()), []),
    ("a list of NULL alone", is_in(INT, [None], pa.int64()), []),
    ("a list of infinities", is_in(pc.field("x"), [1.0, math.inf], pa.float64()), []),
    ("an OR of bounds", (INT > 5) | (INT < 1), []),
    ("an OR of two columns", (INT == 1) | (TEXT == "a"), []),
    ("an OR with a NULL", (INT == 1) | (INT == NO_INT), [OneOf("i", (1,))]),
    ("a negation", ~(INT == 1), []),
    (
        "a guarded list",
        pc.if_else(INT.is_valid(), is_in(INT, [1, 2, None], pa.int64()), pc.scalar(None)),
        [OneOf("i", (1, 2))],
    ),
    ("a list guarded by another column", pc.if_else(TEXT.is_valid(), is_in(INT, [1], pa.int64()), pc.scalar(None)), []),
    (
        "a list that passes where it is not valid",
        pc.if_else(INT.is_valid(), is_in(INT, [1], pa.int64()), pc.scalar(value=True)),
        [],
    ),
    ("a nested list", is_in(NESTED, [1, 2], pa.int64()), [OneOf("n.f", (1, 2))]),
    ("a literal alone", pc.scalar(value=True), []),
]


@pytest.mark.parametrize(("expression", "expected"), [made[1:] for made in MADE], ids=[made[0] for made in MADE])
def test_an_expression_is_read_back(expression: pc.Expression, expected: list[Predicate]) -> None:
    assert meaning(read_predicates(expression)) == meaning(expected)


def test_a_list_whose_null_lets_null_rows_pass_is_no_predicate() -> None:
    expression = is_in(INT, [1, None], pa.int64())  # null_matching_behavior=MATCH, pyarrow's default
    assert pa.table({"i": [1, 2, None]}).filter(expression)["i"].to_pylist() == [1, None]

    assert read_predicates(expression) == ()


def test_a_conjunction_nested_as_deeply_as_no_person_writes_does_not_break_the_query() -> None:
    expression = INT == 0
    for number in range(1, 3_000):
        expression = expression | (number == INT)

    found = read_predicates(expression)

    assert meaning(found) in ({("i", "in", frozenset(range(3_000)))}, set())
    assert read_columns(expression) in (frozenset({"i"}), None)


class Pickled:
    """Stands for an expression whose pickled form is `payload`."""

    def __init__(self, payload: object) -> None:
        self._payload = payload

    def __reduce__(self) -> tuple[Any, ...]:
        return (Pickled, self._payload)


def in_arrow(metadata: dict[str, str] | None, constants: pa.RecordBatch | None = None) -> Pickled:
    """An Arrow file as an expression pickles to, with this structure."""
    batch = pa.record_batch({"0": [7]}) if constants is None else constants
    sink = pa.BufferOutputStream()
    schema = batch.schema.with_metadata(metadata)
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(metadata))
    return Pickled((sink.getvalue(),))


def test_the_pickled_form_is_an_arrow_file_with_its_structure_in_the_metadata() -> None:
    assert read_expression(in_arrow({"literal": "0"})) == Constant(pa.scalar(7))


@pytest.mark.parametrize(
    "unreadable",
    [
        Pickled(()),
        Pickled(None),
        Pickled((b"no arrow file",)),
        Pickled((7,)),
        in_arrow(None),
        in_arrow({}),
        in_arrow({"literal": "1"}),
        in_arrow({"literal": "seven"}),
        in_arrow({"lambda": "x"}),
        in_arrow({"call": "equal"}),
        in_arrow({"call": "equal", "literal": "0"}),
        in_arrow({"field_ref": "i", "literal": "0"}),
        in_arrow({"nested_field_ref": "2", "field_ref": "i"}),
        in_arrow({"nested_field_ref": "i"}),
        in_arrow({"literal": "0"}, pa.record_batch({"0": pa.array([], pa.int64())})),
    ],
)
def test_what_cannot_be_read_is_no_predicate_and_may_read_any_column(unreadable: Any) -> None:
    assert read_expression(unreadable) is None
    assert read_predicates(unreadable) == ()
    assert read_columns(unreadable) is None


@pytest.mark.parametrize("endless", [pa.scalar(2**31 - 1, pa.date32()), pa.scalar(2**63 - 1, pa.timestamp("us"))])
def test_a_time_beyond_pythons_is_no_predicate_and_hinders_no_other(endless: pa.Scalar) -> None:
    expression = (pc.field("t") < endless) & (pc.field("i") == 1)

    assert read_predicates(expression) == (OneOf("i", (1,)),)
    assert read_columns(expression) == frozenset({"t", "i"})


# --- the law: whatever passes the expression passes each predicate ---------------------------------------------------

small = st.integers(-3, 3)
halves = st.integers(-4, 4).map(lambda n: n / 2)
texts = st.sampled_from(["", "a", "b", "B", "é", "it's", 'q"', "\\", "\n"])
FIELDS: dict[str, tuple[pc.Expression, pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pc.field("i"), pa.int64(), small),
    "x": (pc.field("x"), pa.float64(), halves | st.just(math.nan)),
    "s": (pc.field("s"), pa.string(), texts),
    "b": (pc.field("b"), pa.bool_(), st.booleans()),
    "n.f": (pc.field(("n", "f")), pa.int64(), small),
}
COMPARISONS: list[Callable[[Any, Any], Any]] = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@st.composite
def leaves(draw: st.DrawFn) -> pc.Expression:
    field, kind, values = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
    match draw(st.sampled_from(["compare", "mirror", "in", "guarded in", "null", "valid"])):
        case "compare":
            return draw(st.sampled_from(COMPARISONS))(field, pc.scalar(pa.scalar(draw(values), kind)))
        case "mirror":
            return draw(st.sampled_from(COMPARISONS))(pc.scalar(pa.scalar(draw(values), kind)), field)
        case "in":
            return is_in(field, draw(st.lists(values, max_size=4)), kind)
        case "guarded in":
            found = is_in(field, draw(st.lists(values | st.none(), max_size=4)), kind)
            return pc.if_else(field.is_valid(), found, pc.scalar(pa.scalar(None, pa.bool_())))
        case "null":
            return field.is_null()
        case _:
            return field.is_valid()


expressions = st.recursive(
    leaves(),
    lambda inner: (
        st.tuples(inner, inner).map(lambda two: two[0] & two[1])
        | st.tuples(inner, inner).map(lambda two: two[0] | two[1])
        | inner.map(lambda one: ~one)
    ),
    max_leaves=6,
)
records = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | small,
            "x": st.none() | halves,
            "s": st.none() | texts,
            "b": st.none() | st.booleans(),
            "n": st.none() | st.fixed_dictionaries({"f": st.none() | small}),
        }
    ),
    min_size=1,
    max_size=8,
)
SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("n", pa.struct([("f", pa.int64())])),
    ]
)
HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def satisfies(record: dict[str, Any], predicate: Predicate) -> bool:
    value: Any = record
    for step in predicate.column.split("."):
        value = None if value is None else value[step]
    if value is None:
        return False
    if isinstance(predicate, OneOf):
        return value in predicate.values
    return HOLDS[predicate.operator](value.encode() if isinstance(value, str) else value, _bytes(predicate.value))


def _bytes(value: object) -> object:
    return value.encode() if isinstance(value, str) else value


@settings(max_examples=250, deadline=None)
@given(expression=expressions, rows=records)
def test_every_row_that_passes_an_expression_passes_its_predicates(
    expression: pc.Expression, rows: list[dict[str, Any]]
) -> None:
    predicates = read_predicates(expression)

    passing = pa.Table.from_pylist(rows, SCHEMA).filter(expression).to_pylist()

    assert [(row, p) for row in passing for p in predicates if not satisfies(row, p)] == []


@settings(max_examples=100, deadline=None)
@given(expression=expressions)
def test_the_columns_of_an_expression_are_all_that_it_reads(expression: pc.Expression) -> None:
    columns = read_columns(expression)

    assert columns is not None
    pa.Table.from_pylist([], SCHEMA).select(sorted(columns)).filter(expression)  # would raise for a column it lacks


def test_a_list_with_nought_holds_it_with_either_sign() -> None:
    rows = pa.record_batch({"x": [0.0, -0.0, 1.0, None]})
    is_zero = pc.field("x").isin(pa.array([0.0, 5.5]))

    kept = rows.filter(with_both_zeros(is_zero & (pc.field("x") < 2.0)))

    assert [str(value) for value in kept.column("x").to_pylist()] == ["0.0", "-0.0"]
    assert with_both_zeros(pc.field("x") == 1.0) is not None
    assert with_both_zeros(None) is None
