"""A table's CSV, types and tests: what DuckDB reads back with the statement that dbt-duckdb loads a seed by."""

import csv
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.dbt.seed import Fetched, SeedColumn, seed_columns, seed_csv
from apikit_sql.errors import CallError

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
ROWS = st.lists(
    st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | TEXT | st.sampled_from("\",\n\r'=|;\t#")),
    min_size=1,
    max_size=6,
)


def declared_tests(*columns: tuple[str, list[Any]], **known: Any) -> dict[str, tuple[str, ...]]:
    return {each.name: each.tests for each in seed_columns(Fetched(pa.table(dict(columns)), **known))}


@given(rows=ROWS)
def test_dbt_reads_every_text_and_number_back(rows: list[tuple[int | None, str | None]], tmp_path_factory: Any) -> None:
    table = pa.table(
        {"n": pa.array([n for n, _ in rows], pa.int64()), "t": pa.array([t for _, t in rows], pa.string())}
    )
    file: Path = tmp_path_factory.mktemp("seed") / "seed.csv"
    file.write_bytes(seed_csv(table, seed_columns(Fetched(table))))
    con = duckdb.connect()
    con.execute("CREATE TABLE seed (n BIGINT, t VARCHAR)")

    con.execute(f"COPY seed FROM '{file}' (FORMAT CSV, HEADER TRUE, DELIMITER ',')")

    assert con.execute("FROM seed").fetchall() == [(n, t or None) for n, t in rows]


def test_the_file_itself_tells_null_and_an_empty_text_apart() -> None:
    table = pa.table({"a": ["", None], "b": [1, None], "c": [True, False]})

    assert seed_csv(table, seed_columns(Fetched(table))) == b'"a","b","c"\n"",1,true\n,,false\n'


def test_a_single_column_has_no_empty_line_that_readers_skip() -> None:
    table = pa.table({"a": pa.array([1, None], pa.int64())})

    assert seed_csv(table, seed_columns(Fetched(table))) == b'"a"\n"1"\n""\n'


def test_a_text_that_a_spreadsheet_would_compute_is_made_safe_where_asked_for() -> None:
    table = pa.table({"t": ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "a=b", None], "n": [-1] * 9})  # noqa: RUF001

    lines = seed_csv(table, seed_columns(Fetched(table)), is_safe=True).decode().split("\n")

    assert lines[1:-1] == [
        '"\'=1+1",-1', '"\'+1",-1', '"\'-1",-1', '"\'@x",-1', '"\'\tx",-1', '"\'\rx",-1', '"\'＝1",-1',  # noqa: RUF001
        '"a=b",-1', ",-1",
    ]  # fmt: skip


def test_a_line_break_hides_no_formula_and_a_name_is_none() -> None:
    table = pa.table({"t": ["\n=1"]})
    assert seed_csv(table, seed_columns(Fetched(table)), is_safe=True) == b'"t"\n"\'\n=1"\n'

    table = pa.table({"=1+1": ["x"]})
    with pytest.raises(CallError, match="a name that a spreadsheet would compute"):
        seed_csv(table, seed_columns(Fetched(table)), is_safe=True)


def test_a_text_that_dbt_does_not_read_is_told_with_its_place() -> None:
    longest = "x" * csv.field_size_limit()
    table = pa.table({"t": [None, longest]})
    assert seed_csv(table, seed_columns(Fetched(table))).endswith(b'x"\n')

    table = pa.table({"t": [None, longest + "x"]})
    with pytest.raises(CallError, match="column 't' has a text of more than 131072 characters in row 2"):
        seed_csv(table, seed_columns(Fetched(table)))


def test_tests_are_those_that_the_loaded_data_passes() -> None:
    found = declared_tests(("kind", ["a", "a", "b"]), ("id", [1, 2, 3]), ("other", [4, 5, 6]), ("some", [1, None, 2]))

    assert found == {"kind": ("not_null",), "id": ("not_null", "unique"), "other": ("not_null",), "some": ()}


def test_an_empty_text_which_dbt_loads_as_null_is_no_value() -> None:
    assert declared_tests(("name", ["a", ""])) == {"name": ()}


def test_a_number_with_a_fraction_is_no_key_and_no_rows_have_no_tests() -> None:
    assert declared_tests(("price", [1.5, 2.5])) == {"price": ("not_null",)}
    assert declared_tests(("id", pa.array([], pa.int64()))) == {"id": ()}


@pytest.mark.parametrize(
    ("key", "unique"), [(("b",), "b"), (("a", "b"), None), (("gone",), "a"), ((), "a"), (("same",), None)]
)
def test_the_key_that_is_known_is_the_one_that_is_unique(key: tuple[str, ...], unique: str | None) -> None:
    found = declared_tests(("a", [1, 2]), ("b", [3, 4]), ("same", [5, 5]), primary_key=key)

    assert [name for name, tests in found.items() if "unique" in tests] == ([unique] if unique else [])


def test_types_are_duckdbs() -> None:
    table = pa.table(
        {
            "huge": pa.array([2**70], pa.decimal128(38, 0)), "money": pa.array([1], pa.decimal128(9, 2)),
            "at": pa.array([0], pa.timestamp("us", "UTC")), "json": pa.array(["{}"], pa.json_()), "some": ["x"],
        }
    )  # fmt: skip

    columns = seed_columns(Fetched(table, types={"some": "UUID"}, descriptions={"huge": "Large"}))

    assert [each.data_type for each in columns] == ["HUGEINT", "DECIMAL(9, 2)", "TIMESTAMPTZ", "JSON", "UUID"]
    assert columns[0] == SeedColumn("huge", "HUGEINT", "Large", ("not_null", "unique"))


@pytest.mark.parametrize("name", ["", 'a"b', "a{{b", "{%a", "{#", "a\nb"])
def test_a_name_that_dbt_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(CallError, match="rename it in a query"):
        seed_columns(Fetched(pa.table({name: [1]})))


def test_nothing_is_not_exported() -> None:
    with pytest.raises(CallError, match="there is nothing to export"):
        seed_columns(Fetched(pa.table({})))
