"""Nested records as flat ones: nothing is lost, one rule with SQL, and what has no name or text is told."""

import datetime as dt
import itertools
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql import CallError, flatten_dict, flatten_records
from apikit_sql.flatten import to_json
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.scan.schema import infer_columns

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
LEAP_DAY = dt.date(2024, 2, 29)
KEYS = st.sampled_from(["a", "b", "A", "a__b", "a__b_1", "", "__", "c d"]) | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=8)
RECORDS = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({"a": {"b": {"c": 1}}, "d": 2}, {"a__b__c": 1, "d": 2}),
        ({"tags": ["x", {"y": None}]}, {"tags": '["x",{"y":null}]'}),
        ({"a": None, "b": {}, "c": []}, {"a": None, "b": "{}", "c": "[]"}),
        ({"a": {"b": None}}, {"a__b": None}),
        ({"a": {"b": 1}, "a__b": 2}, {"a__b": 1, "a__b_1": 2}),
        ({"a__b": 2, "a": {"b": 1}}, {"a__b": 2, "a__b_1": 1}),
        ({"Id": 1, "id": 2}, {"Id": 1, "id_1": 2}),
        ({"a": {"x": 1, "X": 2}}, {"a": '{"x":1,"X":2}'}),
        ({"a": {"": 1}}, {"a": '{"":1}'}),
        ({"big": [2**100], "text": "ä"}, {"big": f"[{2**100}]", "text": "ä"}),
        ({"a": LEAP_DAY, "b": [LEAP_DAY]}, {"a": LEAP_DAY, "b": '["2024-02-29"]'}),
        ({}, {}),
    ],
)  # fmt: skip
def test_a_dict_becomes_flat(nested: dict[str, Any], flat: dict[str, Any]) -> None:
    assert flatten_dict(nested) == flat


def test_the_separator_can_be_another() -> None:
    assert flatten_dict({"a": {"b": 1}}, sep=".") == {"a.b": 1}


def test_an_object_with_many_keys_is_a_map_and_stays_together() -> None:
    many = {f"k{number}": number for number in range(201)}

    assert json.loads(flatten_dict({"a": many})["a"]) == many


def test_the_twenty_fifth_level_is_json() -> None:
    nested: Any = 1
    for _ in range(30):
        nested = {"a": nested}

    ((name, value),) = flatten_dict(nested).items()

    assert name == "__".join(["a"] * 24)
    assert value == '{"a":' * 6 + "1" + "}" * 6


def test_a_field_has_one_name_in_all_records() -> None:
    flat = flatten_records([{"a": {"b": 1}}, {"a__b": 2}, {"a": None}])

    assert flat == [{"a__b": 1}, {"a__b_1": 2}, {"a__b": None}]


def test_what_is_nested_in_some_records_only_is_json_text_in_all() -> None:
    flat = flatten_records([{"a": {"b": 1}}, {"a": "[1]"}, {"a": [1]}, {"a": None}, {}])

    assert flat == [{"a": '{"b":1}'}, {"a": '"[1]"'}, {"a": "[1]"}, {"a": None}, {}]


@given(RECORDS)
def test_columns_are_those_of_sql(records: list[dict[str, Any]]) -> None:
    names = dict.fromkeys(name for record in flatten_records(records) for name in record)

    columns = infer_columns(ScanPlan(RequestPlan("shop", "https://api.test", "/"), nested="flatten"), records)

    assert set(names) == {column.name for column in columns if column.path}


@given(RECORDS)
def test_no_value_is_lost(records: list[dict[str, Any]]) -> None:
    numbers = itertools.count(1_000_000)

    def numbered(value: Any) -> Any:
        """`value` with a number of its own in place of each scalar."""
        if isinstance(value, dict):
            return {key: numbered(inner) for key, inner in value.items()}
        return [numbered(inner) for inner in value] if isinstance(value, list) else next(numbers)

    told = [numbered(record) for record in records]

    for record, flat in zip(told, flatten_records(told), strict=True):
        assert all(isinstance(value, int | str) for value in flat.values())
        there = re.findall(r"1\d{6}", " ".join(map(str, flat.values())))
        assert sorted(there) == re.findall(r"1\d{6}", json.dumps(record))


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([{}, [1]], "record 2 is a list, not a dict"),
        ([{1: "x"}], "record 1 has the key 1, which is not text"),
        ([{"a": {None: "x"}}], "the key None"),
        ([{"a": [{"b": ({2.5: "x"},)}]}], "the key 2.5"),
        ([{"a": [float("nan")]}], "a value that JSON does not have"),
        ([{"a": [Decimal(1)]}], "a value that JSON does not have: a Decimal"),
        ([{"a": ["\ud800"]}], "a value that JSON does not have"),
    ],
)
def test_what_cannot_be_flat_is_told(records: list[Any], told: str) -> None:
    with pytest.raises(CallError, match=told):
        flatten_records(records)


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_what_has_no_bottom_is_told(kind: str) -> None:
    nested: Any = 1
    for _ in range(100_000):
        nested = [nested] if kind == "list" else {"a": nested}

    with pytest.raises(CallError, match="nested too deeply"):
        flatten_dict({"a": nested})
    with pytest.raises(CallError, match="nested too deeply"):
        to_json(nested)

    while not isinstance(nested, int):  # taken apart here, for the interpreter's way recurses
        nested = nested[0] if kind == "list" else nested["a"]
