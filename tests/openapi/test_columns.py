"""The columns of a draft: what a record's schema says, as types."""

from typing import Any

import pytest

from apikit_sql.column_types import parse_type
from apikit_sql.errors import ConfigError
from apikit_sql.openapi.draft import draft_manifest
from tests.openapi.documents import (
    TEXT,
    WHOLE,
    document,
    drafted_stream,
    listing,
    ref,
    types_of,
)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (WHOLE, "BIGINT"),
        ({"type": "integer", "format": "int64"}, "BIGINT"),
        ({"type": "integer", "format": "int32"}, "INTEGER"),
        ({"type": "integer", "format": "uint64"}, "HUGEINT"),
        ({"type": "number", "format": "float"}, "DOUBLE"),
        ({"type": "boolean"}, "BOOLEAN"),
        ({"type": "string", "format": "uuid"}, "VARCHAR"),
        ({"type": "string", "format": "date-time"}, "TIMESTAMPTZ"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": "array", "items": TEXT}, "VARCHAR[]"),
        ({"type": "array", "items": {"type": "array", "items": WHOLE}}, "BIGINT[][]"),
        ({"type": "array"}, "JSON[]"),
        ({"items": TEXT}, "VARCHAR[]"),
        ({"type": "object", "properties": {"a": TEXT}}, "STRUCT(a VARCHAR)"),
        ({"properties": {"a": TEXT}}, "STRUCT(a VARCHAR)"),
        ({"type": "object", "additionalProperties": TEXT}, "JSON"),
        ({}, "JSON"),
        (True, "JSON"),
        ({"type": ["string", "null"]}, "VARCHAR"),
        ({"type": "integer", "nullable": True}, "BIGINT"),
        ({"type": ["integer", "number"]}, "DOUBLE"),
        ({"type": ["string", "integer"]}, "JSON"),
        ({"enum": ["a", "b", None]}, "VARCHAR"),
        ({"enum": [1, 2]}, "BIGINT"),
        ({"const": True}, "BOOLEAN"),
        ({"oneOf": [TEXT, WHOLE]}, "JSON"),
        ({"oneOf": [TEXT, {}]}, "JSON"),
        ({"anyOf": [TEXT, {"type": "null"}]}, "VARCHAR"),
        ({"anyOf": [TEXT, {"enum": [None]}]}, "VARCHAR"),
        ({"anyOf": [TEXT, {"type": "string", "format": "date"}]}, "VARCHAR"),
        ({"oneOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a", "b"]}]}, "VARCHAR"),
        ({"allOf": [{"description": "A name."}, TEXT]}, "VARCHAR"),
    ],
)
def test_a_schema_is_a_column_type(schema: Any, expected: str) -> None:
    assert types_of({"a": schema}) == {"a": expected}
    assert parse_type(expected)


def test_all_parts_of_a_composition_give_columns() -> None:
    parts = {"allOf": [ref("Base"), {"properties": {"b": WHOLE, "c": ref("Name")}}], "properties": {"d": TEXT}}
    body = {"type": "array", "items": parts}

    stream = drafted_stream(
        listing(body=body),
        components={"schemas": {"Base": {"type": "object", "properties": {"a": TEXT, "b": WHOLE}}, "Name": TEXT}},
    )

    assert {name: column.type for name, column in stream.columns.items()} == {
        "d": "VARCHAR", "a": "VARCHAR", "b": "BIGINT", "c": "VARCHAR",
    }  # fmt: skip


def test_records_of_several_schemas_have_the_columns_of_all() -> None:
    one = {"type": "object", "properties": {"id": WHOLE, "state": TEXT, "at": {"type": "string", "format": "date"}}}
    other = {"type": "object", "properties": {"id": WHOLE, "state": WHOLE, "name": TEXT}}

    stream = drafted_stream(listing(body={"type": "array", "items": {"oneOf": [one, other]}}))

    assert {name: column.type for name, column in stream.columns.items()} == {
        "id": "BIGINT", "state": "JSON", "at": "DATE", "name": "VARCHAR",
    }  # fmt: skip


def test_what_is_deeper_than_three_structs_is_json() -> None:
    schema: dict[str, Any] = WHOLE
    for _ in range(4):
        schema = {"type": "object", "properties": {"a": schema}}

    types = types_of({"deep": schema})

    assert types == {"deep": "STRUCT(a STRUCT(a STRUCT(a JSON)))"}


def test_a_cycle_ends_in_json() -> None:
    node = {"type": "object", "properties": {"name": TEXT, "parent": ref("Node"), "nodes": {"items": ref("Node")}}}

    types = types_of({"node": ref("Node"), "loop": ref("Loop")}, Node=node, Loop={"allOf": [ref("Loop")]})

    assert types == {"node": "STRUCT(name VARCHAR, parent JSON, nodes JSON[])", "loop": "JSON"}


def test_names_of_fields_are_quoted_where_they_need_it() -> None:
    fields = {"plain_1": TEXT, "two words": TEXT, "1st": TEXT, 'a"b': TEXT, "": TEXT}

    types = types_of({"a": {"type": "object", "properties": fields}})

    assert types == {"a": 'STRUCT(plain_1 VARCHAR, "two words" VARCHAR, "1st" VARCHAR, "a""b" VARCHAR)'}


def test_names_that_differ_by_case_only_are_left_out_and_told() -> None:
    properties = {"url": TEXT, "URL": TEXT, "id": WHOLE, "a": {"type": "object", "properties": {"b": TEXT, "B": TEXT}}}

    text = draft_manifest(document({"/things": listing(properties)}), "acme")

    assert types_of(properties) == {"id": "BIGINT", "a": "JSON"}
    assert "# Left out, for they differ by case only: URL, url\n" in text


def test_what_is_only_written_is_no_column() -> None:
    assert types_of({"name": TEXT, "password": {"type": "string", "writeOnly": True}}) == {"name": "VARCHAR"}


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("The name. And more, e.g. this.", "The name"),
        ("A name, e.g. `x` or i.e. that.\n\nMore.", "A name, e.g. `x` or i.e. that"),
        ("# Heading\n\nSee <b>the</b>\n[docs](https://example.com) now", "See the docs now"),
        ("word " * 40, "word " * 20 + "..."),
        ("", ""),
    ],
)
def test_a_column_is_described_by_one_short_sentence(description: str, expected: str) -> None:
    stream = drafted_stream(listing({"a": {"type": "string", "description": description}}))

    assert stream.columns["a"].description == expected


def test_a_unix_time_is_a_time() -> None:
    column = drafted_stream(listing({"updated": {"type": "integer", "format": "unix-time"}})).columns["updated"]

    assert (column.type, column.format) == ("TIMESTAMPTZ", "epoch")


@pytest.mark.parametrize("name", ["updated_at", "updatedAt", "updated", "modified", "lastModified", "date_updated"])
def test_the_time_of_the_last_change_is_told_by_its_name(name: str) -> None:
    moment = {"type": "string", "format": "date-time"}

    stream = drafted_stream(listing({"created_at": moment, name: moment}))
    text = drafted_stream(listing({name: TEXT}))
    unix = drafted_stream(listing({name: {"type": "integer", "format": "unix-time"}}))

    assert (stream.updated_at, text.updated_at, unix.updated_at) == (name, None, name)


def test_an_id_is_the_primary_key() -> None:
    assert drafted_stream(listing({"name": TEXT, "id": TEXT})).primary_key == ("id",)
    assert drafted_stream(listing({"id": {}})).primary_key == ()
    assert drafted_stream(listing({"uid": TEXT})).primary_key == ()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"$ref": "other.yaml#/Thing"}, "'other.yaml#/Thing', outside of it. Bundle it into one"),
        ({"$ref": "#/components/schemas/Nothing"}, "'#/components/schemas/Nothing', which it does not have"),
        ({"$ref": "#thing/a"}, "'#thing/a', which it does not have"),
        ({"$ref": "#/servers/7"}, "'#/servers/7', which it does not have"),
    ],
)
def test_a_reference_must_lead_somewhere(schema: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        types_of({"a": schema})


def test_a_reference_is_a_json_pointer() -> None:
    schemas = {"a/b~c d": {"oneOf": [TEXT, WHOLE]}}

    types = types_of(
        {
            "whole": {"$ref": "#/components/schemas/a~1b~0c%20d"},
            "part": {"$ref": "#/components/schemas/a~1b~0c%20d/oneOf/1"},
        },
        **schemas,
    )

    assert types == {"whole": "JSON", "part": "BIGINT"}
