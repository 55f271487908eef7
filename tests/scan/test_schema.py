"""Columns inferred from sampled records: every rule, and what DuckDB makes of them."""

from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import EXTRA, JSON, VARCHAR, Column, ListOf, Scalar, Struct, TimeFormat, parse_type
from apikit_sql.errors import CallError
from apikit_sql.plan.request_plan import Nested, OnDrift, RequestPlan, ScanPlan
from apikit_sql.scan.schema import arrow_schema, arrow_type, infer_columns, infer_type
from tests.fakes.api import BASE_URL, FakeApi


def plan(nested: Nested = "struct", types: dict[str, str] | None = None) -> ScanPlan:
    overrides = tuple(Column(n, parse_type(t), (n,), declared=True) for n, t in (types or {}).items())
    return ScanPlan(RequestPlan("shop", BASE_URL, "/orders"), types=overrides, nested=nested)


def inferred(*records: Any, nested: Nested = "struct", types: dict[str, str] | None = None) -> dict[str, str]:
    """The columns of `records`, each with its type as DuckDB writes it."""
    return {column.name: str(column.type) for column in infer_columns(plan(nested, types), records)}


_STRUCT_OF_200 = "STRUCT(" + ", ".join(f"k{number} BIGINT" for number in range(200)) + ")"

RULES: list[tuple[str, list[Any], str]] = [
    ("booleans", [True, False], "BOOLEAN"),
    ("integers", [0, -1, 7], "BIGINT"),
    ("the largest BIGINT", [2**63 - 1], "BIGINT"),
    ("the smallest BIGINT", [-(2**63)], "BIGINT"),
    ("one above BIGINT", [2**63], "HUGEINT"),
    ("one below BIGINT", [-(2**63) - 1], "HUGEINT"),
    ("small and huge", [1, 2**100], "HUGEINT"),
    ("the largest HUGEINT", [2**127 - 1], "HUGEINT"),
    ("one above HUGEINT", [2**127], "JSON"),
    ("below HUGEINT", [-(2**127) - 1], "JSON"),
    ("floats", [1.5, -0.0], "DOUBLE"),
    ("whole floats", [1.0], "DOUBLE"),
    ("integers and floats", [1, 2.5], "DOUBLE"),
    ("2^53 and a float", [2**53, 0.5], "DOUBLE"),
    ("-2^53 and a float", [-(2**53), 0.5], "DOUBLE"),
    ("more than 2^53 and a float", [2**53 + 1, 0.5], "JSON"),
    ("less than -2^53 and a float", [-(2**53) - 1, 0.5], "JSON"),
    ("texts", ["a", ""], "VARCHAR"),
    ("dates", ["2024-02-29", "1970-01-01"], "DATE"),
    ("the first and the last date", ["0001-01-01", "9999-12-31"], "DATE"),
    ("no leap day", ["2023-02-29"], "VARCHAR"),
    ("a month too many", ["2024-13-01"], "VARCHAR"),
    ("the year nought", ["0000-01-01"], "VARCHAR"),
    ("a date and a word", ["2024-02-29", "soon"], "VARCHAR"),
    ("digits that are no ASCII", ["٢٠٢٤-٠٢-٢٩"], "VARCHAR"),
    ("a date and a line", ["2024-02-29\n"], "VARCHAR"),
    ("times without zone", ["2024-02-29T12:00:00", "2024-02-29 12:00:00.5"], "TIMESTAMP"),
    ("an hour too many", ["2024-02-29T25:00:00"], "VARCHAR"),
    ("a leap second", ["2016-12-31T23:59:60Z"], "VARCHAR"),
    ("times in UTC", ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.123456Z"], "TIMESTAMPTZ"),
    ("a small z", ["2024-02-29T12:00:00z"], "TIMESTAMPTZ"),
    ("offsets", ["2024-02-29T12:00:00+02:00", "2024-02-29T12:00:00-0530", "2024-02-29T12:00:00+0000"], "TIMESTAMPTZ"),
    ("an offset that is none", ["2024-02-29T12:00:00+99:00"], "VARCHAR"),
    ("six digits and noughts", ["2024-02-29T12:00:00.123456000Z"], "TIMESTAMPTZ"),
    ("more than microseconds", ["2024-02-29T12:00:00.1234567Z"], "VARCHAR"),
    ("more than microseconds, no zone", ["2024-02-29T12:00:00.123456789"], "VARCHAR"),
    ("with and without zone", ["2024-02-29T12:00:00", "2024-02-29T12:00:00Z"], "VARCHAR"),
    ("a date and a time", ["2024-02-29", "2024-02-29T12:00:00"], "VARCHAR"),
    ("before the year 1 in UTC", ["0001-01-01T00:00:00+05:00"], "VARCHAR"),
    ("after the year 9999 in UTC", ["9999-12-31T23:59:59-05:00"], "VARCHAR"),
    ("nulls alone", [None, None], "JSON"),
    ("nothing", [], "JSON"),
    ("nulls among integers", [None, 1, None], "BIGINT"),
    ("nulls among texts", [None, "x"], "VARCHAR"),
    ("a text and a number", ["1", 1], "JSON"),
    ("a boolean and a number", [True, 1], "JSON"),
    ("a boolean and a float", [True, 1.0], "JSON"),
    ("an object and a list", [{"a": 1}, [1]], "JSON"),
    ("an object and a text", [{"a": 1}, "a"], "JSON"),
    ("objects", [{"a": 1}, {"a": 2}], "STRUCT(a BIGINT)"),
    ("objects with fields of their own", [{"a": 1}, {"b": "x"}, None], "STRUCT(a BIGINT, b VARCHAR)"),
    ("objects that differ within", [{"a": 1}, {"a": "x"}], "STRUCT(a JSON)"),
    ("objects in objects", [{"a": {"b": {"c": True}}}], "STRUCT(a STRUCT(b STRUCT(c BOOLEAN)))"),
    ("a field's name is kept", [{"Größe in m": 1.5, 'q"': 1}], 'STRUCT("Größe in m" DOUBLE, "q""" BIGINT)'),
    ("empty objects", [{}, {}], "JSON"),
    ("an empty object among others", [{}, {"a": 1}], "STRUCT(a BIGINT)"),
    ("an empty key", [{"": 1, "a": 2}], "JSON"),
    ("keys that differ by case", [{"a": 1, "A": 2}], "JSON"),
    ("keys that differ by case in two records", [{"a": 1}, {"A": 2}], "JSON"),
    ("as many fields as may be", [{f"k{n}": n for n in range(200)}], _STRUCT_OF_200),
    ("a wide map", [{f"k{n}": n for n in range(201)}], "JSON"),
    ("a map whose keys are data", [{f"k{n}": 1} for n in range(201)], "JSON"),
    ("lists of integers", [[1, 2], [], None], "BIGINT[]"),
    ("lists of integers and nulls", [[1, None]], "BIGINT[]"),
    ("lists that differ within", [[1], ["x"]], "JSON[]"),
    ("empty lists", [[], []], "JSON[]"),
    ("lists of lists", [[[1.5]], [[]]], "DOUBLE[][]"),
    ("lists of objects", [[{"a": 1}], [{"b": 2}]], "STRUCT(a BIGINT, b BIGINT)[]"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "expected"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_a_type_is_taken_where_every_value_has_it_exactly(values: list[Any], expected: str) -> None:
    assert infer_type(values) == parse_type(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [rule[1:] for rule in RULES if rule[0] != "nothing"],
    ids=[rule[0] for rule in RULES if rule[0] != "nothing"],
)
def test_a_field_has_the_type_of_its_values(values: list[Any], expected: str) -> None:
    assert inferred({"id": 1}, *({"id": 2, "it": value} for value in values)) == {
        "id": "BIGINT",
        "it": str(parse_type(expected)),
    }


@pytest.mark.parametrize("one", [{"a": None}, [None]])
def test_deep_nesting_ends_in_json_and_never_in_an_error(one: Any) -> None:
    value: Any = 1
    for _ in range(400):
        value = {"a": value} if isinstance(one, dict) else [value]

    kind = infer_type([value])

    depth = 0
    while not isinstance(kind, Scalar):
        kind, depth = (kind.fields[0][1] if isinstance(kind, Struct) else kind.element), depth + 1
    assert (kind, depth) == (JSON, 24)


def test_columns_come_in_the_order_in_which_the_records_show_them() -> None:
    assert list(inferred({"b": 1, "a": 2}, {"c": 3, "a": 4})) == ["b", "a", "c"]


def test_names_that_differ_only_by_case_are_numbered() -> None:
    assert inferred({"id": 1, "ID": "x", "Id": 2.5}) == {"id": "BIGINT", "ID_1": "VARCHAR", "Id_2": "DOUBLE"}


def test_a_numbered_name_takes_no_other_columns_name() -> None:
    names = list(inferred({"a": 1, "A": 2, "A_1": 3, "a_1": 4}))

    assert len({name.lower() for name in names}) == 4
    assert names[0] == "a"


def test_numbered_columns_are_read_from_their_own_fields() -> None:
    columns = infer_columns(plan(), [{"id": 1, "ID": "x"}])

    assert [(column.name, column.path) for column in columns] == [("id", ("id",)), ("ID_1", ("ID",))]


def test_an_empty_key_is_a_column_with_a_name() -> None:
    assert inferred({"": 1, "_": 2}) == {"_": "BIGINT", "__1": "BIGINT"}


def test_a_list_of_scalars_has_one_column() -> None:
    assert inferred(1, 2) == {"value": "BIGINT"}
    assert inferred("a", None) == {"value": "VARCHAR"}
    assert inferred([1], [2]) == {"value": "BIGINT[]"}


def test_records_of_mixed_kinds_are_one_json_column() -> None:
    assert inferred({"a": 1}, 7) == {"value": "JSON"}


def test_records_without_any_field_are_one_json_column() -> None:
    assert inferred({}, {}) == {"value": "JSON"}


def test_no_records_is_an_error_that_says_how_to_declare_columns() -> None:
    with pytest.raises(CallError) as raised:
        infer_columns(plan(), [])

    for told in ("shop", "/orders", "no records", "columns := {'id': 'BIGINT', 'name': 'VARCHAR'}"):
        assert told in str(raised.value)


NESTED = {"id": 1, "user": {"login": "a", "home": {"town": "x"}, "tags": ["p"]}, "labels": [{"n": 1}]}


def test_flatten_gives_a_column_to_each_field_inside() -> None:
    columns = infer_columns(plan("flatten"), [NESTED])

    assert [(c.name, str(c.type), c.path) for c in columns] == [
        ("id", "BIGINT", ("id",)),
        ("user__login", "VARCHAR", ("user", "login")),
        ("user__home__town", "VARCHAR", ("user", "home", "town")),
        ("user__tags", "JSON", ("user", "tags")),
        ("labels", "JSON", ("labels",)),
    ]


def test_json_keeps_objects_and_lists_as_json() -> None:
    assert inferred(NESTED, nested="json") == {"id": "BIGINT", "user": "JSON", "labels": "JSON"}


def test_struct_gives_structs_and_lists() -> None:
    assert inferred(NESTED) == {
        "id": "BIGINT",
        "user": str(parse_type("STRUCT(login VARCHAR, home STRUCT(town VARCHAR), tags VARCHAR[])")),
        "labels": str(parse_type("STRUCT(n BIGINT)[]")),
    }


def test_flatten_keeps_as_json_what_is_not_always_an_object() -> None:
    assert inferred({"a": {"b": 1}}, {"a": 2}, nested="flatten") == {"a": "JSON"}
    assert inferred({"a": {"b": 1}}, {"a": {}}, nested="flatten") == {"a": "JSON"}
    assert inferred({"a": {"b": 1}}, {"a": None}, {}, nested="flatten") == {"a__b": "BIGINT"}


def test_flatten_keeps_a_wide_map_as_json() -> None:
    record = {"id": 1, "by_key": {f"k{number}": number for number in range(201)}}

    assert inferred(record, nested="flatten") == {"id": "BIGINT", "by_key": "JSON"}


def test_flatten_numbers_a_name_that_a_field_has_already() -> None:
    assert inferred({"a__b": 1, "a": {"b": "x"}}, nested="flatten") == {"a__b": "BIGINT", "a__b_1": "VARCHAR"}


def test_flatten_ends_where_nesting_is_too_deep() -> None:
    value: Any = 1
    for _ in range(100):
        value = {"a": value}

    ((name, kind),) = inferred(value, nested="flatten").items()

    assert kind == "JSON"
    assert set(name.split("__")) == {"a"}


def test_types_replace_what_was_inferred_and_nothing_else() -> None:
    columns = infer_columns(plan(types={"ID": "VARCHAR"}), [{"id": 1, "n": 2}])

    assert columns == (
        Column("id", VARCHAR, ("id",), declared=True),
        Column("n", Scalar("BIGINT"), ("n",)),
    )


def test_types_name_flattened_columns() -> None:
    columns = infer_columns(plan("flatten", {"user__id": "HUGEINT"}), [{"user": {"id": 1}}])

    assert columns == (Column("user__id", Scalar("HUGEINT"), ("user", "id"), declared=True),)


def test_types_that_name_no_column_are_an_error_that_lists_the_columns() -> None:
    with pytest.raises(CallError) as raised:
        infer_columns(plan(types={"nmae": "VARCHAR"}), [{"id": 1, "name": "x"}])

    for told in ("shop", "/orders", "types has 'nmae'", "(id, name)"):
        assert told in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BOOLEAN", pa.bool_()),
        ("INTEGER", pa.int32()),
        ("BIGINT", pa.int64()),
        ("DOUBLE", pa.float64()),
        ("VARCHAR", pa.string()),
        ("DATE", pa.date32()),
        ("TIMESTAMP", pa.timestamp("us")),
        ("TIMESTAMPTZ", pa.timestamp("us", "UTC")),
        ("JSON", pa.json_()),
        ("HUGEINT", pa.opaque(pa.binary(16), "hugeint", "DuckDB")),
        ("BIGINT[]", pa.list_(pa.int64())),
        ("STRUCT(a DATE, b JSON[])", pa.struct([("a", pa.date32()), ("b", pa.list_(pa.json_()))])),
    ],
)
def test_each_type_has_one_arrow_type(text: str, expected: pa.DataType) -> None:
    assert arrow_type(parse_type(text)) == expected


TYPES = st.recursive(
    st.sampled_from(
        ["BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON"]
    ).map(parse_type),
    lambda inner: (
        inner.map(ListOf)
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda kinds: Struct(tuple((f"f {n}", kind) for n, kind in enumerate(kinds)))
        )
    ),
    max_leaves=4,
)


@settings(deadline=None)
@given(kinds=st.lists(TYPES, min_size=1, max_size=4))
def test_duckdb_sees_the_types_that_columns_have(kinds: list[Scalar | Struct | ListOf]) -> None:
    schema = arrow_schema(Column(f"c{n}", kind, (f"c{n}",)) for n, kind in enumerate(kinds))

    with duckdb.connect() as con:
        con.register("t", pa.RecordBatchReader.from_batches(schema, []))
        described = con.execute("SELECT column_type FROM (DESCRIBE t)").fetchall()

        spelled = [con.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchall()[0] for kind in kinds]

    assert [_words(seen) for (seen,) in described] == [_words(own) for (own,) in spelled]


def _words(text: str) -> str:
    return text.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")


Rows = Callable[[str], list[tuple[object, ...]]]


def test_a_sampled_table_is_described_with_its_inferred_types(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = httpx.Response(
        200, json=[{"id": 1, "at": "2024-02-29T12:00:00Z", "big": 2**64, "tags": [{"n": 1}], "none": None}]
    )

    found = rows(f"SELECT column_name, column_type FROM (DESCRIBE FROM apikit('{BASE_URL}', '/t'))")

    assert found == [
        ("id", "BIGINT"),
        ("at", "TIMESTAMP WITH TIME ZONE"),
        ("big", "HUGEINT"),
        ("tags", "STRUCT(n BIGINT)[]"),
        ("none", "JSON"),
    ]
    assert len(api.seen) == 1


def test_an_empty_first_page_without_declared_columns_says_how_to_declare_them(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = httpx.Response(200, json=[])

    with pytest.raises(duckdb.InvalidInputException, match=r"columns := \{'id': 'BIGINT', 'name': 'VARCHAR'\}"):
        rows(f"FROM apikit('{BASE_URL}', '/t')")


def test_an_object_with_a_nul_in_a_key_is_json() -> None:
    assert inferred({"s": {"a": 1, "a\0b": 2}}) == {"s": "JSON"}


# --- as text, with keys, with the rest -------------------------------------------------------------------------------


def columns_of(
    *records: Any,
    nested: Nested = "struct",
    on_drift: OnDrift = "error",
    types: tuple[Column, ...] = (),
    key_fields: tuple[Column, ...] = (),
    extra: bool = False,
) -> tuple[Column, ...]:
    scan = ScanPlan(
        RequestPlan("shop", BASE_URL, "/orders"),
        nested=nested,
        on_drift=on_drift,
        types=types,
        key_fields=key_fields,
        extra=extra,
    )
    return infer_columns(scan, records)


TEXTUAL: list[tuple[str, Any, str]] = [
    ("a boolean", True, "VARCHAR"),
    ("an integer", 1, "VARCHAR"),
    ("a huge integer", 2**100, "VARCHAR"),
    ("a float", 1.5, "VARCHAR"),
    ("a text", "x", "VARCHAR"),
    ("a date", "2024-02-29", "VARCHAR"),
    ("a time", "2024-02-29T12:00:00", "VARCHAR"),
    ("a moment", "2024-02-29T12:00:00Z", "VARCHAR"),
    ("a null", None, "JSON"),
    ("a list", [1], "VARCHAR[]"),
    ("an empty list", [], "JSON[]"),
    ("an object", {"a": 1, "b": None}, "STRUCT(a VARCHAR, b JSON)"),
    ("objects in lists in objects", {"a": [{"b": 1.5}]}, "STRUCT(a STRUCT(b VARCHAR)[])"),
]


@pytest.mark.parametrize(("value", "expected"), [each[1:] for each in TEXTUAL], ids=[each[0] for each in TEXTUAL])
def test_as_text_every_scalar_is_varchar_where_it_was(value: Any, expected: str) -> None:
    (found,) = columns_of({"v": value}, on_drift="text")

    assert found == Column("v", parse_type(expected), ("v",), declared=True)


def test_as_text_mixed_kinds_stay_json() -> None:
    found = columns_of({"v": 1, "id": 1}, {"v": "x", "id": 2}, on_drift="text")

    assert [(c.name, str(c.type)) for c in found] == [("v", "JSON"), ("id", "VARCHAR")]


@pytest.mark.parametrize("nested", ["flatten", "json"])
def test_as_text_nothing_but_scalars_changes(nested: Nested) -> None:
    as_text, usual = columns_of(NESTED, nested=nested, on_drift="text"), columns_of(NESTED, nested=nested)

    assert [(c.name, c.path) for c in as_text] == [(c.name, c.path) for c in usual]
    assert [str(c.type) == "JSON" for c in as_text] == [str(c.type) == "JSON" for c in usual]
    assert {str(c.type) for c in as_text} == ({"JSON", "VARCHAR"})


@pytest.mark.parametrize("time_format", ["", "epoch"])
def test_as_text_types_that_were_asked_for_are_text_too(time_format: TimeFormat) -> None:
    at = Column("at", parse_type("TIMESTAMPTZ"), ("at",), declared=True, format=time_format)

    assert columns_of({"at": 0}, types=(at,)) == (at,)
    assert columns_of({"at": 0}, types=(at,), on_drift="text") == (Column("at", VARCHAR, ("at",), declared=True),)


def test_nulls_for_what_drifts_leave_the_inferred_types() -> None:
    assert columns_of(NESTED, on_drift="null") == columns_of(NESTED)


OWNER = Column("owner", VARCHAR, ("owner",), declared=True)


def test_a_key_that_records_lack_is_a_column_at_the_end() -> None:
    number = Column("n", Scalar("BIGINT"), ("n",), declared=True)

    found = columns_of({"id": 1}, key_fields=(OWNER, number))

    assert found == (Column("id", Scalar("BIGINT"), ("id",)), OWNER, number)


def test_a_key_that_records_have_is_their_own_column() -> None:
    found = columns_of({"Owner": "x", "id": 1}, key_fields=(OWNER,))

    assert found == (Column("Owner", VARCHAR, ("Owner",)), Column("id", Scalar("BIGINT"), ("id",)))


def test_a_key_that_is_null_in_the_whole_sample_has_the_type_of_its_values() -> None:
    found = columns_of({"owner": None, "id": 1}, key_fields=(OWNER,))

    assert found == (OWNER, Column("id", Scalar("BIGINT"), ("id",)))


@pytest.mark.parametrize("value", [{"login": "x"}, ["x"]])
def test_a_key_that_cannot_be_compared_with_what_records_have_is_an_error_that_says_so(value: Any) -> None:
    with pytest.raises(CallError, match="keys has 'owner', but the records have a owner of type"):
        columns_of({"owner": value}, key_fields=(OWNER,))


def test_a_key_stands_beside_a_list_of_scalars() -> None:
    assert columns_of(1, 2, key_fields=(OWNER,)) == (Column("value", Scalar("BIGINT"), ()), OWNER)


def test_a_key_keeps_its_type_as_text() -> None:
    number = Column("n", Scalar("BIGINT"), ("n",), declared=True)

    assert columns_of({"id": 1}, key_fields=(number,), on_drift="text")[-1] == number


def test_the_rest_is_the_last_column() -> None:
    found = columns_of({"id": 1}, key_fields=(OWNER,), extra=True)

    assert found == (Column("id", Scalar("BIGINT"), ("id",)), OWNER, EXTRA)
    assert str(EXTRA.type) == "JSON"


@pytest.mark.parametrize("on_drift", ["error", "null", "text"])
@pytest.mark.parametrize("field", ["_extra", "_EXTRA"])
def test_the_rest_takes_another_name_where_records_have_its_own(field: str, on_drift: OnDrift) -> None:
    found = columns_of({field: "x"}, on_drift=on_drift, extra=True)

    assert [(c.name, c.path, c.is_rest) for c in found] == [(field, (field,), False), ("_extra_1", ("_extra",), True)]


def test_a_list_of_scalars_has_a_rest_too() -> None:
    assert [c.name for c in columns_of(1, 2, extra=True)] == ["value", "_extra"]
