"""Where the records of a body are, and what stands beside them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.errors import DecodeError
from apikit_sql.records import Envelope, find_record_path, json_text, read_envelope

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(body: object, record_path: str | None = None) -> Envelope:
    return read_envelope(json.dumps(body).encode(), record_path)


def records_of(envelope: Envelope) -> list[Any]:
    return [json.loads(bytes(memoryview(record))) for record in envelope.records]


@given(st.lists(json_values, max_size=5))
def test_a_list_holds_its_elements_whatever_they_are(elements: list[Any]) -> None:
    envelope = read(elements)

    assert records_of(envelope) == elements
    assert (envelope.record_path, envelope.is_single) == ("", False)


@given(
    st.lists(json_values, max_size=4), st.lists(st.sampled_from(["data", "items", "a.b", "x"]), min_size=1, max_size=3)
)
def test_records_are_found_at_the_path_that_was_named(elements: list[Any], steps: list[str]) -> None:
    body: Any = elements
    for step in reversed(steps):
        body = {"meta": 1, step: body}

    envelope = read(body, ".".join(steps))

    assert records_of(envelope) == elements


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"{}", b" { } ", b"\xef\xbb\xbf", b"\xef\xbb\xbf{}"])
@pytest.mark.parametrize("record_path", [None, "", "data.items"])
def test_an_empty_body_holds_no_records(body: bytes, record_path: str | None) -> None:
    assert read_envelope(body, record_path).records == ()


def test_a_lone_object_is_one_record() -> None:
    envelope = read({"id": 1, "labels": [{"name": "x"}]})

    assert records_of(envelope) == [{"id": 1, "labels": [{"name": "x"}]}]
    assert envelope.is_single


def test_an_object_at_the_path_is_one_record() -> None:
    envelope = read({"data": {"a": 1}, "total": 1}, "data")

    assert records_of(envelope) == [{"a": 1}]
    assert envelope.is_single


def test_null_at_the_path_is_no_record() -> None:
    assert read({"data": None}, "data").records == ()


def test_an_empty_path_takes_the_whole_object_as_its_record() -> None:
    envelope = read({"data": [1, 2]}, "")

    assert records_of(envelope) == [{"data": [1, 2]}]
    assert envelope.is_single


def test_a_byte_order_mark_and_spaces_around_do_not_matter() -> None:
    assert records_of(read_envelope(b'\xef\xbb\xbf \n[ {"a" : 1} , 2 ]\r\n', None)) == [{"a": 1}, 2]


@pytest.mark.parametrize(
    ("body", "kind"), [(b"5", "a number"), (b'"x"', "a string"), (b"true", "a boolean"), (b"-1.5", "a number")]
)
def test_a_lone_scalar_is_not_records(body: bytes, kind: str) -> None:
    with pytest.raises(DecodeError, match=f"the body is {kind}"):
        read_envelope(body, None)


def test_a_path_into_a_list_is_refused_with_what_to_write() -> None:
    with pytest.raises(DecodeError, match=r"there is no 'data': the body is a list\. Say data_path := ''"):
        read([1], "data")


def test_a_path_that_leads_nowhere_is_refused_with_what_there_is() -> None:
    with pytest.raises(DecodeError, match=r"there is no 'items' in the body; it has data, total"):
        read({"total": 3, "data": []}, "items")


def test_a_path_that_leads_to_a_scalar_is_refused() -> None:
    with pytest.raises(DecodeError, match="'total' leads to a number"):
        read({"total": 3}, "total")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{",
        b"[1,",
        b'{"a": }',
        b"[1] [2]",
        b'{"a":1}{"a":2}',
        b"[1,,2]",
        b"nul",
        b"{'a': 1}",
        b"\xff\xfe[\x001",
        b'{"data": [1, 2',
        b'{"data": [1}',
        b'{"\xff": 1}',
        b"[NaN]",
        b'{"a": 01}',
    ],
)
def test_what_is_not_json_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError, match="the body is not JSON"):
        _ = read_envelope(body, None).records


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"data":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_a_body_nested_too_deeply_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"the body is (nested too deeply|not JSON)"):
        _ = read_envelope(body, None).records


@given(st.binary(max_size=30))
def test_any_bytes_are_an_envelope_or_a_decode_error(body: bytes) -> None:
    try:
        records = read_envelope(body, None).records
    except DecodeError:
        return

    assert all(isinstance(record, msgspec.Raw) for record in records)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"data": [{"a": 1}], "has_more": False}, "data"),
        ({"total_count": 1, "incomplete_results": False, "items": [{"a": 1}]}, "items"),
        ({"results": [1, 2], "tags": ["x"]}, "results"),
        ({"products": [{"sku": "x"}], "next": None, "total": 3}, "products"),
        ({"products": [], "total": 0}, "products"),
        ({"_embedded": {"orders": [{"a": 1}]}, "_links": {}}, "_embedded.orders"),
        ({"hits": {"total": 1, "hits": [{"a": 1}]}}, "hits.hits"),
        ({"response": {"result": {"items": []}}}, "response.result.items"),
        ({"@odata.context": "x", "value": [{"a": 1}], "@odata.nextLink": "y"}, "value"),
    ],
)
def test_records_are_found_where_apis_put_them(body: dict[str, Any], path: str) -> None:
    envelope = read(body)

    assert envelope.record_path == path
    assert not envelope.is_single


@pytest.mark.parametrize(
    "body",
    [
        {"id": 7, "items": [{"a": 1}]},
        {"name": "x", "products": [{"a": 1}]},
        {"tags": ["a", "b"]},
        {"a": [{"x": 1}], "b": [{"x": 1}]},
        {"data": {"id": 1, "name": "x"}},
        {"message": "Not Found", "status": "404"},
    ],
)
def test_an_object_that_only_holds_lists_is_a_record_itself(body: dict[str, Any]) -> None:
    envelope = read(body)

    assert (envelope.record_path, envelope.is_single) == ("", True)
    assert records_of(envelope) == [body]


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": "boom"}]},
        {"errors": [{"message": "boom"}], "message": "Validation Failed"},
    ],
)
def test_a_list_of_errors_is_never_taken_for_records(body: dict[str, Any]) -> None:
    top = {key: msgspec.Raw(json.dumps(value).encode()) for key, value in body.items()}

    assert find_record_path(top) == ""


def test_values_beside_the_records_are_found_by_path() -> None:
    envelope = read({"data": [], "paging": {"next": {"after": "abc"}}, "total": 7, "has_more": None})

    assert envelope.at("paging.next.after") == "abc"
    assert envelope.at("paging.next") == {"after": "abc"}
    assert envelope.at("total") == 7
    assert envelope.at("has_more") is None


@pytest.mark.parametrize(
    "path", ["", "nope", "paging.nope", "total.x", "paging.next.after.x", ".", "data.0", "paging."]
)
def test_a_missing_step_is_none(path: str) -> None:
    envelope = read({"data": [1], "paging": {"next": {"after": "abc"}}, "total": 7})

    assert envelope.at(path) is None


def test_a_key_that_holds_dots_is_found_as_it_is_written() -> None:
    envelope = read({"value": [], "@odata.nextLink": "https://api.test/2", "a.b": {"c.d": 1}})

    assert envelope.at("@odata.nextLink") == "https://api.test/2"
    assert envelope.at("a.b.c.d") == 1


def test_a_list_body_has_nothing_beside_its_records() -> None:
    assert read([{"next": 1}]).at("next") is None


def test_a_field_of_the_last_record_is_found_by_path() -> None:
    envelope = read([{"id": 1}, {"id": 2, "user": {"id": "u"}}])

    assert envelope.of_last_record("id") == 2
    assert envelope.of_last_record("user.id") == "u"
    assert envelope.of_last_record("nope") is None


def test_no_last_record_has_no_field() -> None:
    assert read([]).of_last_record("id") is None


@pytest.mark.parametrize("last", [1, "x", None, True, [1]])
def test_a_last_record_that_is_no_object_has_no_field(last: object) -> None:
    assert read([{"id": 1}, last]).of_last_record("id") is None


@pytest.mark.parametrize("record", [b'{"\xff": 1}', b'{"id": 1, "v\x80": 2}', b'{"id": }'])
def test_a_record_that_cannot_be_read_is_a_decode_error_whatever_is_asked_of_it(record: bytes) -> None:
    envelope = read_envelope(b"[" + record + b"]", None)

    for ask in (envelope.has_distinct, envelope.of_last_record):
        with pytest.raises(DecodeError, match="the body is not JSON"):
            ask("id")


def test_an_object_beside_the_records_that_cannot_be_read_is_a_decode_error_too() -> None:
    envelope = read_envelope(b'{"items": [], "meta": {"\xff": 1}}', "items")

    for ask in (envelope.has, envelope.kind_at, envelope.at):
        with pytest.raises(DecodeError, match="the body is not JSON"):
            ask("meta.next.after")


@pytest.mark.parametrize("value", [b"1e999", b'"\xff"', b'{"\xff": 1}'])
def test_a_value_that_cannot_be_read_is_a_decode_error(value: bytes) -> None:
    envelope = read_envelope(b'{"next": ' + value + b', "data": [{"next": ' + value + b"}]}", None)

    with pytest.raises(DecodeError):
        envelope.at("next")
    with pytest.raises(DecodeError):
        envelope.of_last_record("next")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", b"null"),
        (b" \r\n", b"null"),
        (b"null", b"null"),
        (b'\xef\xbb\xbf {"a": 1}\n', b'{"a": 1}'),
        (b'"\xc3\xa9"', b'"\xc3\xa9"'),
        (b"18446744073709551616", b"18446744073709551616"),
    ],
)
def test_a_body_as_json_alone(body: bytes, text: bytes) -> None:
    assert json_text(body) == text


@pytest.mark.parametrize("body", [b"<html>", b"{", b"[NaN]", b'"\xff"', b"1 2", b"[" * 5_000, b"'a'"])
def test_what_is_not_json_alone_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        json_text(body)
