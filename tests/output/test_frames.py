"""Records as polars data frames: every value exactly, in the types that SQL would give."""

import datetime as dt
import json
import sys
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apikit_sql import CallError, ConfigError, infer_polars_schema, records_to_polars
from apikit_sql.column_types import Column, parse_type
from apikit_sql.engine.steps import page_of
from apikit_sql.output.frames import polars_frame
from apikit_sql.output.tables import arrow_table
from tests.output.records import BIGINTS, TEXTS, found_of, row_of

UTC = pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [
        ([True, None], pl.Boolean, [True, None]),
        ([2**63 - 1, -(2**63)], pl.Int64, [2**63 - 1, -(2**63)]),
        ([2**63, 1], pl.Int128, [2**63, 1]),
        ([2**127 - 1, -(2**127) + 1, None], pl.Int128, [2**127 - 1, -(2**127) + 1, None]),
        ([2**127], pl.String, [str(2**127)]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([2**53, 0.5], pl.Float64, [2.0**53, 0.5]),
        ([2**53 + 1, 0.5], pl.String, [str(2**53 + 1), "0.5"]),
        (["1", 1, True, None], pl.String, ['"1"', "1", "true", None]),
        (["2024-02-29"], pl.Date, [dt.date(2024, 2, 29)]),
        (["2023-02-29"], pl.String, ["2023-02-29"]),
        (["2024-02-29T12:00:00.5"], pl.Datetime("us"), [dt.datetime(2024, 2, 29, 12, 0, 0, 500_000)]),  # noqa: DTZ001
        (["2024-02-29T12:00:00+02:00"], UTC, [dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC)]),
        ([dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC)], UTC, [dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC)]),
        ([dt.date(2024, 2, 29)], pl.Date, [dt.date(2024, 2, 29)]),
        (["007"], pl.String, ["007"]),
        ([None, None], pl.String, [None, None]),
    ],
)  # fmt: skip
def test_a_column_has_the_type_that_holds_every_value(values: list[Any], dtype: Any, found: list[Any]) -> None:
    records = [{"v": value} for value in values]

    frame = records_to_polars(records)

    assert frame.schema == infer_polars_schema(records) == pl.Schema({"v": dtype})
    assert frame["v"].to_list() == found


RECORDS = st.lists(
    row_of(owner=st.none() | st.fixed_dictionaries({"login": TEXTS, "ids": st.none() | st.lists(st.none() | BIGINTS)})),
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@example(records=[])
@given(records=RECORDS)
def test_a_frame_holds_what_the_records_hold(records: list[dict[str, Any]]) -> None:
    frame = records_to_polars(records)

    assert frame.schema == infer_polars_schema(records)
    for row, record in zip(frame.to_dicts(), records, strict=True):
        assert {name: row[name] for name in found_of(record)} == found_of(record)
        if record["owner"] is not None:
            assert row["owner__login"] == record["owner"]["login"]
            assert json.loads(row["owner__ids"] or "null") == record["owner"]["ids"]


def test_what_is_not_flat_keeps_its_structs_and_lists() -> None:
    records: list[dict[str, Any]] = [{"a": {"b": {"n": 2**70}, "l": [{"x": 2**70, "y": "z"}, None]}}, {"a": None}, {}]

    frame = records_to_polars(records, flatten=False)

    inner = pl.Struct({"x": pl.Int128, "y": pl.String})
    assert frame.schema == pl.Schema({"a": pl.Struct({"b": pl.Struct({"n": pl.Int128}), "l": pl.List(inner)})})
    assert frame.schema == infer_polars_schema(records, flatten=False)
    assert frame["a"].to_list() == [records[0]["a"], None, None]


def test_names_that_clash_get_a_number() -> None:
    assert records_to_polars([{"a": {"b": 1}, "a__b": 2}]).to_dicts() == [{"a__b": 1, "a__b_1": 2}]


def test_no_records_are_a_frame_without_columns() -> None:
    assert records_to_polars([]).shape == (0, 0)
    assert infer_polars_schema([]) == pl.Schema()
    assert arrow_table([]).num_columns == 0


def test_types_are_told_by_all_records_not_by_the_first_ones() -> None:
    records = [{"v": 1} for _ in range(25_000)] + [{"v": 1.5}]

    frame = records_to_polars(iter(records))

    assert frame.schema == pl.Schema({"v": pl.Float64})
    assert (frame.height, frame["v"].sum(), frame.n_chunks()) == (25_001, 25_001.5, 1)


def test_declared_columns_hold_of_pages_too() -> None:
    columns = [Column("id", parse_type("HUGEINT"), ("id",), declared=True), Column("n", parse_type("INTEGER"), ("n",))]
    pages = [page_of(b'[{"id": "12", "n": 1}]', "records"), page_of(b"[{}]", "records", 2)]

    frame, table = polars_frame(pages, columns), arrow_table(pages, columns)

    assert frame.schema == pl.Schema({"id": pl.Int128, "n": pl.Int32})
    assert frame.rows() == [(12, 1), (None, None)]
    assert table.to_pylist() == [{"id": 12, "n": 1}, {"id": None, "n": None}]
    assert polars_frame([], columns).schema == frame.schema


def test_declared_columns_become_flat_as_inferred_ones_do() -> None:
    columns = [Column("a", parse_type("STRUCT(b BIGINT, l DATE[])"), ("a",))]
    pages = [page_of(b'[{"a": {"b": 1, "l": ["2024-02-29"]}}]', "records")]
    flat = {"a__b": 1, "a__l": '["2024-02-29"]'}

    assert polars_frame(pages, columns).to_dicts() == arrow_table(pages, columns, flatten=True).to_pylist() == [flat]
    assert polars_frame(pages).to_dicts() == [flat]
    assert arrow_table(pages, columns).to_pylist() == [{"a": {"b": 1, "l": [dt.date(2024, 2, 29)]}}]


@pytest.mark.parametrize("records", [[{"a": float("nan")}], [{1: 2}], [7]])
def test_what_is_no_record_is_told(records: list[Any]) -> None:
    with pytest.raises(CallError):
        records_to_polars(records)


def test_without_polars_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)

    with pytest.raises(ConfigError, match=r"pip install 'apikit_sql\[polars\]'"):
        records_to_polars([{"a": 1}])
