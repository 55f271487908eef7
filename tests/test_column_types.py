"""The closed grammar of column types: what it reads, what it refuses, and that it reads what it writes."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.column_types import JSON, VARCHAR, ColumnType, ListOf, Scalar, Struct, parse_type

SCALARS = [
    "BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON",
]  # fmt: skip
BIGINT, BOOLEAN, DOUBLE = Scalar("BIGINT"), Scalar("BOOLEAN"), Scalar("DOUBLE")

field_names = st.one_of(
    st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(
        ["struct", "select", "user name", 'say "hi"', "a, b INTEGER", ")", "[]", "Größe", "catchPhrase", "+1"]
    ),
    st.text(max_size=8),
)
scalars = st.sampled_from([Scalar(name) for name in SCALARS])  # type: ignore[arg-type]
types: st.SearchStrategy[ColumnType] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(ListOf, inner),
        st.lists(st.tuples(field_names, inner), min_size=1, max_size=4, unique_by=lambda field: field[0].lower()).map(
            lambda fields: Struct(tuple(fields))
        ),
    ),
    max_leaves=8,
)


@given(types)
def test_a_type_reads_as_it_is_written(kind: ColumnType) -> None:
    assert parse_type(str(kind)) == kind


@given(types)
def test_case_of_keywords_and_space_around_do_not_matter_to_a_type(kind: ColumnType) -> None:
    assert parse_type(f"  {kind}\n") == kind


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_read_in_any_case(name: str) -> None:
    assert str(parse_type(name.lower())) == name
    assert str(parse_type(f" {name} ")) == name


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("bool", "BOOLEAN"), ("logical", "BOOLEAN"),
        ("int", "INTEGER"), ("int4", "INTEGER"), ("signed", "INTEGER"), ("int32", "INTEGER"), ("integral", "INTEGER"),
        ("int8", "BIGINT"), ("long", "BIGINT"), ("int64", "BIGINT"),
        ("int128", "HUGEINT"),
        ("float8", "DOUBLE"), ("double precision", "DOUBLE"), ("DOUBLE   PRECISION", "DOUBLE"),
        ("text", "VARCHAR"), ("string", "VARCHAR"), ("char", "VARCHAR"), ("bpchar", "VARCHAR"), ("nvarchar", "VARCHAR"),
        ("datetime", "TIMESTAMP"), ("timestamp without time zone", "TIMESTAMP"), ("timestamp_us", "TIMESTAMP"),
        ("timestamp with time zone", "TIMESTAMPTZ"),
    ],
)  # fmt: skip
def test_duckdbs_other_names_mean_the_same_type(written: str, meant: str) -> None:
    assert str(parse_type(written)) == meant


def test_structs_and_lists_nest() -> None:
    kind = parse_type('STRUCT(login VARCHAR, "first name" TEXT, tags STRUCT(id INT8)[][])[]')

    assert kind == ListOf(
        Struct(
            (
                ("login", VARCHAR),
                ("first name", VARCHAR),
                ("tags", ListOf(ListOf(Struct((("id", BIGINT),))))),
            )
        )
    )


def test_a_quoted_field_keeps_its_case_and_its_quotes() -> None:
    assert parse_type('STRUCT("say ""Hi""" JSON)') == Struct((('say "Hi"', JSON),))


def test_a_field_may_be_named_like_a_type() -> None:
    assert parse_type("STRUCT(struct STRUCT(date DATE), double DOUBLE)") == Struct(
        (("struct", Struct((("date", Scalar("DATE")),))), ("double", DOUBLE))
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "WIBBLE",
        "VARCHAR(10)",
        "DECIMAL(18, 2)",
        "BIGINT BIGINT",
        "BIGINT;",
        "BIGINT[",
        "BIGINT]",
        "BIGINT[3]",
        "[]",
        "STRUCT",
        "STRUCT()",
        "STRUCT(a)",
        "STRUCT(a BIGINT",
        "STRUCT(a BIGINT,)",
        "STRUCT(a BIGINT b BIGINT)",
        "STRUCT(, a BIGINT)",
        "STRUCT(1 BIGINT)",
        "STRUCT(a BIGINT))",
        "STRUCT[a BIGINT]",
        'STRUCT("a BIGINT)',
        '"BIGINT"',
        'BIGINT"x"',
        "MAP(VARCHAR, BIGINT)",
        "BIGINT -- x",
        "'BIGINT'",
        "BIGINT[]; DROP TABLE t",
        "STRUCT(a-b BIGINT)",
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a column type") as caught:
        parse_type(text)

    assert repr(text) in str(caught.value)


def test_a_struct_has_no_two_fields_of_one_name_whatever_their_case() -> None:
    with pytest.raises(ValueError, match="is not a column type"):
        parse_type('STRUCT(a BIGINT, "A" BIGINT)')


@given(st.text(max_size=40))
def test_any_text_is_a_type_or_a_value_error(text: str) -> None:
    try:
        kind = parse_type(text)
    except ValueError:
        return

    assert parse_type(str(kind)) == kind


@pytest.mark.parametrize(
    "text",
    ["STRUCT(a " * 40 + "BIGINT" + ")" * 40, "STRUCT(a " * 5_000 + "BIGINT" + ")" * 5_000, "BIGINT" + "[]" * 5_000],
    ids=["structs", "many structs", "lists"],
)
def test_a_type_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a column type"):
        parse_type(text)


@pytest.mark.parametrize("name", ["login", "catchPhrase", "+1", "default", "end", "select", 'say "hi"', "a b"])
def test_duckdb_reads_a_type_as_it_is_written(name: str) -> None:
    kind = Struct(((name, ListOf(BOOLEAN)),))

    (row,) = duckdb.execute(f"SELECT typeof(NULL::{kind}) = typeof(NULL::{kind})").fetchall()

    assert row == (True,)
