"""Every malformed body has one stated outcome, on page one and on page two, on a thread, on a loop, and in SQL.

Rows are those that the body holds; an error is of one class, and names the page. Nothing is half a page.
"""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.column_types import Column, parse_type
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.engine.trip import trip
from apikit_sql.errors import ApikitError, DecodeError, SchemaDriftError
from apikit_sql.scan.decode import PageDecoder
from tests.engine.taking import Hand, Take, plan_of, take_async, take_sync
from tests.fakes.api import BASE_URL, FakeApi

Rows = list[tuple[Any, Any]]
#: The rows that are to come, or the error and what its message says behind the number of the page.
Outcome = Rows | tuple[type[ApikitError], str]

GOOD: Rows = [(1, 7), (2, None)]  # of every type
NOT_JSON = (DecodeError, "the body is not JSON|a record is not JSON")
UNREADABLE = (DecodeError, "(the body is not JSON|a record is not JSON that can be read): .*")
TOO_DEEP = (DecodeError, "(the body|a record) is nested too deeply")
DRIFT = (SchemaDriftError, r"record 1: v = {} does not fit {}\. Say types := ")
DEEP = 10_000


@dataclass(frozen=True)
class Case:
    """One answer, and what it comes to."""

    body: bytes
    outcome: Outcome
    kind: str = "JSON"  # the type of the column v
    status: int = 200
    content_type: str | None = "application/json"


def rows(*values: Any) -> Rows:
    return list(enumerate(values, 3))


def body(text: str | bytes) -> bytes:
    """A page of one record whose `v` is this text."""
    return b'[{"id": 3, "v": ' + (text.encode() if isinstance(text, str) else text) + b"}]"


def drift(value: object, kind: str) -> Outcome:
    error, told = DRIFT
    return error, told.format(re.escape(str(value)), kind)


TWO = b'[{"id": 3, "v": "x"}, {"id": 4, "v": {"y": [1.5, true, null]}}]'
READ = rows("x", {"y": [1.5, True, None]})
NOTHING = (
    DecodeError,
    "the body is empty",
)  # that is no page without records, which is said by 204, `[]`, `{}` or null

CASES: dict[str, Case] = {
    # nothing, and what is no JSON
    "html": Case(b"<!doctype html><html>log in</html>", NOT_JSON, content_type="text/html"),
    "html said to be JSON": Case(b"<html></html>", NOT_JSON),
    "no content": Case(b"", [], status=204, content_type=None),
    "content that is reset": Case(b"", [], status=205, content_type=None),
    "empty": Case(b"", NOTHING),
    "empty and only accepted": Case(b"", NOTHING, status=202),
    "white space": Case(b" \r\n\t ", NOTHING),
    "a byte order mark alone": Case(b"\xef\xbb\xbf", NOTHING),
    "null": Case(b"null", []),
    "an empty object": Case(b"{}", []),
    "an empty list": Case(b"[]", []),
    "white space around": Case(b"\r\n " + TWO + b"\n\n", READ),
    "a number": Case(b"42", (DecodeError, "the body is a number, not records")),
    "a text": Case(b'"OK"', (DecodeError, "the body is a string, not records")),
    "a boolean": Case(b"true", (DecodeError, "the body is a boolean, not records")),
    "single quotes": Case(b"[{'id': 3}]", NOT_JSON),
    "a comment": Case(b'[{"id": 3} /* and more */]', NOT_JSON),
    "a comma at the end": Case(b'[{"id": 3},]', NOT_JSON),
    "JSONP": Case(b"callback(" + TWO + b");", NOT_JSON, content_type="application/javascript"),
    "a prefix against inclusion": Case(b")]}',\n" + TWO, NOT_JSON),
    # encodings
    "a byte order mark": Case(b"\xef\xbb\xbf" + TWO, READ),
    "two byte order marks": Case(b"\xef\xbb\xbf" * 2 + TWO, NOT_JSON),
    "UTF-16 with its mark": Case(TWO.decode().encode("utf-16"), NOT_JSON, content_type="text/json; charset=utf-16"),
    "UTF-16, little end first": Case(TWO.decode().encode("utf-16-le"), NOT_JSON),
    "UTF-16, big end first": Case(TWO.decode().encode("utf-16-be"), NOT_JSON),
    "Latin 1 in a string": Case(body('"ü"'.encode("latin-1")), UNREADABLE),
    "Latin 1 in a key": Case('[{"id": 3, "ü": 1, "v": 2}]'.encode("latin-1"), UNREADABLE),
    "a string that is cut in a character": Case(body(b'"\xe2\x82"'), UNREADABLE),
    "an overlong NUL": Case(body(b'"\xc0\x80"'), UNREADABLE),
    "a surrogate in UTF-8": Case(body(b'"\xed\xa0\x80"'), UNREADABLE),
    "a raw line break in a string": Case(body('"a\nb"'), UNREADABLE),
    # escapes
    "half a surrogate pair": Case(body(r'"\ud800"'), UNREADABLE),
    "the other half": Case(body(r'"\udc00 and more"'), UNREADABLE),
    "half a pair in a key": Case(body(r'{"\ud83d": 1}'), UNREADABLE),
    "a whole pair": Case(body(r'"\ud83d\ude00"'), rows("\N{GRINNING FACE}")),
    "an escape that is none": Case(body(r'"\x41"'), UNREADABLE),
    # numbers
    "NaN": Case(body("NaN"), UNREADABLE),
    "Infinity": Case(body("Infinity"), UNREADABLE),
    "-Infinity": Case(body("[-Infinity]"), UNREADABLE),
    "1e400": Case(body("1e400"), (DecodeError, ".*[Nn]umber")),
    "1e400 as a DOUBLE": Case(body("1e400"), (DecodeError, ".*[Nn]umber"), kind="DOUBLE"),
    "a number with a zero before": Case(body("007"), UNREADABLE),
    "a hexadecimal number": Case(body("0x10"), UNREADABLE),
    "the largest BIGINT": Case(body(str(2**63 - 1)), rows(2**63 - 1), kind="BIGINT"),
    "one more": Case(body(str(2**63)), drift(2**63, "BIGINT"), kind="BIGINT"),
    "the largest HUGEINT": Case(body(str(2**127 - 1)), rows(2**127 - 1), kind="HUGEINT"),
    "one more than that": Case(body(str(2**127)), drift(2**127, "HUGEINT"), kind="HUGEINT"),
    "the least HUGEINT that Arrow and DuckDB share": Case(body(str(-(2**127))), rows(-(2**127)), kind="HUGEINT"),
    "an integer that a DOUBLE holds": Case(body(str(2**53)), rows(2.0**53), kind="DOUBLE"),
    "an integer that a DOUBLE would round": Case(body(str(2**53 + 1)), drift(2**53 + 1, "DOUBLE"), kind="DOUBLE"),
    "an integer of 4,000 digits": Case(body("9" * 4000), rows(10**4000 - 1)),
    "a fraction for an integer": Case(body("1.5"), drift("1.5", "BIGINT"), kind="BIGINT"),
    # keys, depth and ends
    "a key twice": Case(b'[{"id": 9, "v": "no", "id": 3, "v": "yes"}]', rows("yes")),
    "a key twice within": Case(body('{"a": 1, "a": 2}'), rows({"a": 2})),
    "an envelope twice": Case(b'{"items": [{"id": 9, "v": 0}], "items": ' + TWO + b"}", READ),
    "a value of lists in lists": Case(body("[" * DEEP + "]" * DEEP), TOO_DEEP),
    "a value of objects in objects": Case(body('{"a":' * DEEP + "1" + "}" * DEEP), TOO_DEEP),
    "lists in lists": Case(b"[" * DEEP + b"]" * DEEP, TOO_DEEP),
    "lists in lists without end": Case(b"[" * DEEP, TOO_DEEP),
    "garbage behind": Case(TWO + b" garbage", NOT_JSON),
    "a bracket too many": Case(TWO + b"]", NOT_JSON),
    "a NUL behind": Case(TWO + b"\0", NOT_JSON),
    "two JSON texts": Case(TWO + TWO, NOT_JSON),
    "lines of JSON": Case(b'{"id": 3, "v": 1}\n{"id": 4, "v": 2}\n', NOT_JSON, content_type="application/x-ndjson"),
    "one line of JSON": Case(b'{"id": 3, "v": 1}\n', rows(1), content_type="application/x-ndjson"),
    "a content type of another kind": Case(TWO, READ, content_type="text/html; charset=iso-8859-1"),
    "no content type": Case(TWO, READ, content_type=None),
}  # fmt: skip


def serve(case: Case, number: int) -> FakeApi:
    """The case as page `number`."""
    headers = {"content-type": case.content_type} if case.content_type else {}
    answer = httpx.Response(case.status, content=case.body, headers=headers)
    if number == 1:
        return FakeApi({"/items": answer})
    first = [{"id": each, "v": value} for each, value in GOOD]
    return FakeApi({"/items": httpx.Response(200, json=first, headers={"link": '</two>; rel="next"'}), "/two": answer})


class Bench:
    """A connection, and the API that it asks, which is another for each case."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.session = Session(connectors=ConnectorRegistry(), transport=httpx.MockTransport(self._answer))
        self.con = duckdb.connect()
        apikit_sql.install(self.con, session=self.session)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.api(request)

    def ask(self, case: Case, number: int) -> Rows:
        self.api = serve(case, number)
        columns = f"columns := {{id: 'BIGINT', v: '{case.kind}'}}"
        sql = f"SELECT id, v FROM apikit('{BASE_URL}', '/items', pagination := 'link', {columns})"
        return [(each, value_of(value, case.kind)) for each, value in self.con.execute(sql).fetchall()]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.con.close()
    made.session.close()


def decoded(take: Take, case: Case, api: FakeApi) -> Rows:
    """The rows that the drivers and the scan's decoder make of it."""
    types = {"id": "BIGINT", "v": case.kind}
    decoder = PageDecoder([Column(name, parse_type(kind), (name,), declared=True) for name, kind in types.items()])
    plan = plan_of(pagination=PaginationConfig(strategy="link"))
    batches = [decoder.decode(page, {}) for page in take(trip(plan, Hand(api).access(plan)), api)]
    return [(row["id"], value_of(row["v"], case.kind)) for batch in batches for row in batch.to_pylist()]


def value_of(stored: Any, kind: str) -> Any:
    """A value of the column v, out of what Arrow stores."""
    match kind, stored:
        case "JSON", str():
            return json.loads(stored)
        case "HUGEINT", bytes():
            return int.from_bytes(stored, "little", signed=True)
        case _:
            return stored


def outcome_of(case: Case, number: int) -> Outcome:
    """The outcome of the whole trip."""
    return [*(GOOD if number == 2 else []), *case.outcome] if isinstance(case.outcome, list) else case.outcome


PLACES = [(name, number) for name, case in CASES.items() for number in (1, 2)]


@pytest.mark.parametrize("take", [take_sync, take_async])
@pytest.mark.parametrize(("name", "number"), PLACES)
def test_a_body_comes_to_its_stated_outcome(take: Take, name: str, number: int) -> None:
    case = CASES[name]
    api, outcome = serve(case, number), outcome_of(case, number)

    if isinstance(outcome, list):
        assert decoded(take, case, api) == outcome
        return
    kind, told = outcome
    with pytest.raises(ApikitError, match=rf"(?s)page {number}(: |, )({told})") as caught:
        decoded(take, case, api)

    assert type(caught.value) is kind
    assert ("/two" if number == 2 else "/items") in str(caught.value)


@pytest.mark.parametrize(("name", "number"), PLACES)
def test_sql_says_the_same(bench: Bench, name: str, number: int) -> None:
    case = CASES[name]
    outcome = outcome_of(case, number)

    if isinstance(outcome, list):
        assert bench.ask(case, number) == outcome
        return
    kind, told = outcome
    with pytest.raises(duckdb.InvalidInputException, match=rf"(?s)page {number}(: |, )({told})") as caught:
        bench.ask(case, number)

    assert f"{kind.__name__}: " in str(caught.value)
    assert "Traceback" not in str(caught.value).partition("\n")[0]


@pytest.mark.parametrize("take", [take_sync, take_async])
@pytest.mark.parametrize("number", [1, 2])
def test_a_body_that_is_cut_anywhere_is_never_rows(take: Take, number: int) -> None:
    for whole in (TWO, b'{"items": ' + TWO + b', "more": null}'):
        for length in range(1, len(whole)):
            case = Case(whole[:length], [])
            with pytest.raises(DecodeError, match=f"page {number}"):
                decoded(take, case, serve(case, number))


@pytest.mark.parametrize("bad", [b'"\xff"', b"NaN", b"1e400", rb'"\ud800"', b"007", b"[" * DEEP + b"]" * DEEP])
@pytest.mark.parametrize("kind", ["JSON", "VARCHAR", "BIGINT"])
def test_a_bad_value_that_no_column_wants_leaves_the_others_as_they_are_or_refuses_the_page(
    kind: str, bad: bytes
) -> None:
    case = Case(b'[{"id": 3, "other": ' + bad + b', "v": 5}]', [], kind=kind)
    found: Rows = []

    with suppress(DecodeError):
        found = decoded(take_sync, case, serve(case, 1))

    assert found in ([], [(3, "5" if kind == "VARCHAR" else 5)])
