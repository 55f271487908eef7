"""Fields that no column has: counted by name where they are missed, or held by `_extra` as they came."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apikit_sql.column_types import EXTRA, Column, ColumnType, ListOf, Scalar, Struct, parse_type
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, SchemaDriftError
from apikit_sql.plan.request_plan import Nested, OnDrift, RequestPlan, ScanPlan
from apikit_sql.records import read_envelope
from apikit_sql.scan.decode import PageDecoder, read_records
from apikit_sql.scan.schema import infer_columns
from tests.fakes.api import BASE_URL, FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

URL = "https://api.test/t"
Rows = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Token:
    """A number as its API writes it, which Python's json would write otherwise."""

    text: str


def written(value: Any) -> str:
    """`value` as JSON, tokens as they are."""
    match value:
        case Token(text):
            return text
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def verbatim(text: str) -> Any:
    """What `text` holds, each number as its own digits."""
    return json.loads(text, parse_int=Token, parse_float=Token)


def page_of(records: Sequence[Any] | bytes, number: int = 1) -> Page:
    body = records if isinstance(records, bytes) else written(list(records)).encode()
    return Page(number, URL, 200, httpx.Headers(), read_envelope(body, ""), len(body))


def column(name: str, kind: str, *, declared: bool = False) -> Column:
    return Column(name, parse_type(kind), (name,), declared=declared)


def plan(nested: Nested = "struct", *, extra: bool = False, on_drift: OnDrift = "error") -> ScanPlan:
    return ScanPlan(RequestPlan("t", BASE_URL, "/t"), nested=nested, extra=extra, on_drift=on_drift)


def counted(
    columns: Sequence[Column],
    *pages: Sequence[Any],
    wanted: Sequence[Column] | None = None,
    on_drift: OnDrift = "error",
) -> Counter[str]:
    """The fields that are counted when these pages are read."""
    record = ScanRecord()
    decoder = PageDecoder(columns if wanted is None else wanted, columns, on_drift=on_drift, record=record)
    for number, records in enumerate(pages, 1):
        decoder.decode(page_of(records, number), {})
    return record.unseen


def extras(columns: Sequence[Column], records: Sequence[Any] | bytes) -> list[str | None]:
    """What `_extra` holds of each record."""
    (name,) = (c.name for c in columns if c.is_rest)
    return PageDecoder(columns).decode(page_of(records), {}).column(name).to_pylist()  # type: ignore[no-any-return]


ID = column("id", "BIGINT")
USER = column("user", "STRUCT(login VARCHAR, home STRUCT(town VARCHAR))")
TAGS = column("tags", "STRUCT(n BIGINT)[]")
GRID = column("grid", "STRUCT(n BIGINT)[][]")


# --- counted ---------------------------------------------------------------------------------------------------------

COUNTED: list[tuple[str, list[Column], list[Any], dict[str, int]]] = [
    ("nothing new", [ID], [{"id": 1}, {}, {"id": None}, None], {}),
    ("a field", [ID], [{"id": 1, "new": 2}], {"new": 1}),
    ("in some records", [ID], [{"id": 1}, {"id": 2, "new": 1}, {"id": 3}, {"new": None}, {"id": 5}], {"new": 2}),
    ("several fields", [ID], [{"a": 1, "b": {"c": 1}}, {"b": []}], {"a": 1, "b": 2}),
    ("inside an object", [USER], [{"user": {"login": "x", "age": 1}}, {"user": {"age": 2}}], {"user.age": 2}),
    ("deeper inside", [USER], [{"user": {"home": {"town": "x", "zip": 1}}}], {"user.home.zip": 1}),
    ("inside lists", [TAGS], [{"tags": [{"n": 1, "x": 1}, {"n": 2}, {"x": 3, "y": 4}]}], {"tags.x": 2, "tags.y": 1}),
    ("in lists of lists", [GRID], [{"grid": [[{"x": 1}], [], [{"n": 1}, {"x": 2}]]}], {"grid.x": 2}),
    ("nulls inside", [USER, TAGS], [{"user": None, "tags": None}, {"tags": [None, {"x": 1}]}], {"tags.x": 1}),
    ("a name with a dot", [ID], [{"a.b": 1}], {"a.b": 1}),
    ("a name with a quote", [ID], [{'a"b': 1}], {'a"b': 1}),
    ("a name with a control character", [ID], [{"a\nb\0": 1}], {"a\nb\0": 1}),
    ("an empty name", [ID], [{"": 1}], {"": 1}),
    ("a name that differs by case", [ID], [{"ID": 1}], {"ID": 1}),
    ("a name beyond ASCII", [ID], [{"Größe": 1}], {"Größe": 1}),
    ("a column with a quote", [column('a"b', "BIGINT")], [{'a"b': 1, "a": 2}, {'a"b': 2}], {"a": 1}),
    ("a column with a control character", [column("a\n", "BIGINT")], [{"a\n": 1}, {"a\n": 2, "a": 1}], {"a": 1}),
    ("a field with a quote inside", [column("s", 'STRUCT("a""" BIGINT)')], [{"s": {'a"': 1, "b": 1}}], {"s.b": 1}),
    ("all that JSON holds is seen", [column("j", "JSON")], [{"j": {"any": {"thing": 1}}}], {}),
    ("and of lists of it", [column("j", "JSON[]")], [{"j": [{"any": 1}]}], {}),
    ("and of texts", [column("v", "VARCHAR[]", declared=True), ID], [{"v": [{"any": 1}]}], {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "records", "expected"), [each[1:] for each in COUNTED], ids=[each[0] for each in COUNTED]
)
def test_each_field_without_a_column_is_counted_in_every_record(
    columns: list[Column], records: list[Any], expected: dict[str, int]
) -> None:
    assert counted(columns, records) == expected


def test_fields_are_counted_over_all_pages() -> None:
    usual, odd = [{"id": 1}, {"id": 2}], [{"id": 3, "x": 1}, {"id": 4}]

    assert counted([ID], usual, odd, usual, odd, [{"id": 5, "x": 1, "y": 2}]) == {"x": 3, "y": 1}


def test_fields_inside_a_flattened_object_are_counted_by_their_place() -> None:
    columns = infer_columns(plan("flatten"), [{"u": {"n": 1}, "id": 1}])

    assert counted(columns, [{"u": {"n": 1, "m": 2}}, {"u": None}, {"m": 1}]) == {"u.m": 1, "m": 1}


def test_what_a_batch_holds_does_not_change_with_fields_that_nobody_asked_for() -> None:
    decoder = PageDecoder([ID, TAGS])

    batches = [
        decoder.decode(page_of(records), {}).to_pydict()
        for records in ([{"id": 1}], [{"id": 2, "new": 1, "tags": [{"n": 1, "x": 2}]}], [{"id": 3, "new": None}])
    ]

    assert batches == [
        {"id": [1], "tags": [None]},
        {"id": [2], "tags": [[{"n": 1}]]},
        {"id": [3], "tags": [None]},
    ]


@pytest.mark.parametrize("drifting", [1, 3, 4])
def test_pages_with_unusual_values_are_counted_exactly_too(drifting: int) -> None:
    record = ScanRecord()
    decoder = PageDecoder([ID], on_drift="null", record=record)

    for _ in range(drifting):
        decoder.decode(page_of([{"id": "x", "a": 1}, {"id": 1}]), {})
    decoder.decode(page_of([{"id": 1, "b": 1}, {"id": 1}]), {})

    assert record.unseen == {"a": drifting, "b": 1}
    assert record.drifted == {"id": drifting}


def test_a_value_of_another_kind_is_drift_and_not_unseen() -> None:
    record = ScanRecord()
    decoder = PageDecoder([USER, TAGS], on_drift="null", record=record)

    decoder.decode(page_of([{"user": [{"x": 1}], "tags": {"x": 1}}, [{"x": 1}], 7]), {})

    assert record.unseen == {}
    assert record.drifted == {"user": 1, "tags": 1, "(record)": 2}


def test_whoever_reads_some_columns_misses_no_field() -> None:
    records = [{"id": 1, "new": 1, "user": {"x": 1}}]

    assert counted([ID, USER], records, wanted=[ID]) == {}
    assert counted([ID, USER], records, wanted=[USER]) == {}
    assert counted([ID, USER], records, wanted=[]) == {}
    assert counted([ID, USER], records, wanted=[USER, ID]) == {"new": 1, "user.x": 1}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([{"id": 1, "a": 1}, {"id": 2, "b": 1}], {"b": 1}),
        ([{"id": 1, "a": 1}, {"id": 2}], {}),
        ([{"id": 1, "a": 1}, None], {}),
        ([], {}),
    ],
)
def test_where_all_columns_are_declared_the_last_record_tells(records: list[Any], expected: dict[str, int]) -> None:
    columns = [column("id", "BIGINT", declared=True)]

    assert counted(columns, records) == expected
    assert counted(columns, records, [{"id": 1}], records) == {name: 2 * number for name, number in expected.items()}


def test_where_one_column_is_inferred_every_record_tells() -> None:
    columns = [column("id", "BIGINT", declared=True), column("n", "BIGINT")]

    assert counted(columns, [{"a": 1}, {"a": 1}, {"id": 1}]) == {"a": 2}


def test_where_columns_are_inferred_as_text_every_record_tells() -> None:
    columns = infer_columns(plan(on_drift="text"), [{"id": 1}])

    assert counted(columns, [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3}], on_drift="text") == {"a": 2}


def test_records_that_are_one_column_have_no_other_fields() -> None:
    columns = infer_columns(plan(), [{"a": 1}, 7])

    assert counted(columns, [{"b": 1}, 8, [9]]) == {}


def test_whoever_has_the_column_of_the_rest_misses_no_field() -> None:
    assert counted([ID, EXTRA], [{"id": 1, "new": 1}]) == {}
    assert counted([ID, EXTRA], [{"id": 1, "new": 1}], wanted=[ID]) == {}


def test_later_fields_are_a_warning_to_whoever_reads_the_table(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = lambda request: httpx.Response(
        200,
        json=[{"id": 2, "new": 1}] if "page" in request.url.params else [{"id": 1}],
        headers={} if "page" in request.url.params else {"Link": f'<{BASE_URL}/t?page=2>; rel="next"'},
    )

    with pytest.warns(UserWarning, match=r"1 fields came later than the columns were inferred and have none \(new\)"):
        found = rows(f"FROM apikit('{BASE_URL}', '/t')")

    assert found == [(1,), (2,)]
    assert rows(f"FROM apikit('{BASE_URL}', '/t', extra := true)") == [(1, None), (2, '{"new":1}')]


# --- held by _extra --------------------------------------------------------------------------------------------------

HELD: list[tuple[str, list[Column], Any, Any]] = [
    ("nothing left", [ID], {"id": 1}, None),
    ("no field at all", [ID], {}, None),
    ("a null record", [ID], None, None),
    ("a field", [ID], {"id": 1, "new": 2}, {"new": 2}),
    ("a null", [ID], {"id": 1, "new": None}, {"new": None}),
    ("fields in their order", [ID], {"z": 1, "id": 1, "a": [2]}, {"z": 1, "a": [2]}),
    ("an object as it is", [ID], {"new": {"id": 1, "b": {}}}, {"new": {"id": 1, "b": {}}}),
    ("inside an object", [USER], {"user": {"login": "x", "age": 1}}, {"user": {"age": 1}}),
    ("deeper inside", [USER], {"user": {"home": {"zip": 1}}, "x": 2}, {"user": {"home": {"zip": 1}}, "x": 2}),
    ("nothing left inside", [USER], {"user": {"home": {"town": "x"}}}, None),
    ("inside a list", [TAGS], {"tags": [{"n": 1}, {"n": 2, "x": 3}, None]}, {"tags": [{}, {"x": 3}, {}]}),
    ("nothing left in a list", [TAGS], {"tags": [{"n": 1}, {}, None]}, None),
    ("an empty list", [TAGS], {"tags": []}, None),
    ("in a list of lists", [GRID], {"grid": [[{"n": 1}], [{"x": 1}, {}]]}, {"grid": [{}, [{"x": 1}, {}]]}),
    ("a name that differs by case", [ID], {"ID": 1, "id": 2}, {"ID": 1}),
    ("a name with a dot", [USER], {"user.login": 1}, {"user.login": 1}),
    ("a name with a quote", [ID], {'a"b\\': 1}, {'a"b\\': 1}),
    ("a name with control characters", [ID], {"\0\n\x1f": 1}, {"\0\n\x1f": 1}),
    ("an empty name", [ID], {"": {"": 1}}, {"": {"": 1}}),
    ("a name beyond ASCII", [ID], {"Größe 𝄞": "é\0"}, {"Größe 𝄞": "é\0"}),
    ("beside a column with a quote", [column('a"', "BIGINT")], {'a"': 1, "b": 2}, {"b": 2}),
    ("beside JSON", [column("j", "JSON")], {"j": {"x": 1}, "k": 1}, {"k": 1}),
    ("a column of one name", [ID], {"_extra": 1, "id": 2}, {"_extra": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "record", "expected"), [each[1:] for each in HELD], ids=[each[0] for each in HELD])
def test_the_rest_is_exactly_what_no_column_has(columns: list[Column], record: Any, expected: Any) -> None:
    (text,) = extras([*columns, EXTRA], [record])

    assert (None if text is None else json.loads(text)) == expected
    assert text != "{}"


@pytest.mark.parametrize(
    "digits", ["1.10", "1E5", "-0", "-0.0", "0.1000000000000000055511151231257827", "1" * 60, "1e-400"]
)
def test_the_rest_keeps_the_digits_of_a_number(digits: str) -> None:
    record = {"id": 1, "new": Token(digits), "tags": [{"x": [Token(digits)]}]}

    (text,) = extras([ID, TAGS, EXTRA], [record])

    assert text is not None
    assert verbatim(text) == {"new": Token(digits), "tags": [{"x": [Token(digits)]}]}


def test_the_rest_of_a_flattened_object_lies_in_an_object() -> None:
    columns = infer_columns(plan("flatten", extra=True), [{"u": {"n": 1, "o": {"p": 1}}, "l": [{"q": 1}]}])

    found = extras(columns, [{"u": {"n": 2, "m": 3, "o": {"r": 4}}, "l": [{"s": 5}]}, {"u": {"n": 1}}])

    assert [c.name for c in columns] == ["u__n", "u__o__p", "l", "_extra"]
    assert [text and json.loads(text) for text in found] == [{"u": {"m": 3, "o": {"r": 4}}}, None]


def test_a_record_that_has_a_field_of_that_name_keeps_its_column() -> None:
    records = [{"_extra": 1}, {"_extra": 2, "new": 3}]
    columns = infer_columns(plan(extra=True), records[:1])

    batch = PageDecoder(columns).decode(page_of(records), {})

    assert [(c.name, c.is_rest) for c in columns] == [("_extra", False), ("_extra_1", True)]
    assert batch.to_pydict() == {"_extra": [1, 2], "_extra_1": [None, '{"new":3}']}


def test_where_such_a_field_comes_later_it_is_in_the_rest() -> None:
    columns = infer_columns(plan(extra=True), [{"id": 1}])

    assert extras(columns, [{"id": 2, "_extra": {"a": 1}}]) == ['{"_extra":{"a":1}}']


@pytest.mark.parametrize("wanted", [[EXTRA], [EXTRA, TAGS], [ID, EXTRA], [TAGS, EXTRA, ID]])
def test_the_rest_is_the_same_whatever_else_is_read(wanted: list[Column]) -> None:
    page = page_of([{"id": 1, "tags": [{"n": 1, "x": 2}], "new": 3}, {"id": 2}])

    batch = PageDecoder(wanted, [ID, TAGS, EXTRA]).decode(page, {})

    assert batch.schema.names == [c.name for c in wanted]
    assert batch.column("_extra").to_pylist() == ['{"tags":[{"x":2}],"new":3}', None]


def test_a_page_without_records_has_no_rest() -> None:
    assert extras([ID, EXTRA], []) == []
    assert PageDecoder([EXTRA], [ID, EXTRA]).decode(page_of([]), {}).num_rows == 0


def test_scalars_and_whole_records_leave_nothing() -> None:
    columns = infer_columns(plan(extra=True), [1, 2])

    batch = PageDecoder(columns).decode(page_of([3, None]), {})

    assert batch.to_pydict() == {"value": [3, None], "_extra": [None, None]}


def test_a_record_that_is_no_object_is_drift_beside_the_rest() -> None:
    with pytest.raises(SchemaDriftError, match="page 1, record 2: id = 7"):
        extras([ID, EXTRA], [{"id": 1}, 7])

    assert PageDecoder([EXTRA], [ID, EXTRA]).decode(page_of([{"a": 1}, 7]), {}).to_pydict() == {
        "_extra": ['{"a":1}', None]
    }


@pytest.mark.parametrize("wanted", [[ID, EXTRA], [EXTRA]])
@pytest.mark.parametrize(
    "value",
    [b"nope", b"1e400", b'"\\ud800"', b'"\xff"', b"01", b'{"x": [1e400]}', b"[" * 100_000 + b"]" * 100_000],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_rest_that_no_json_reader_takes_is_an_error_that_names_the_page(value: bytes, wanted: list[Column]) -> None:
    page = page_of(b'[{"id": 1, "new": ' + value + b"}]", 3)

    with pytest.raises(DecodeError, match=r"https://api\.test/t, page 3: (a record|the body) is"):
        PageDecoder(wanted, [ID, EXTRA]).decode(page, {})


# --- laws ------------------------------------------------------------------------------------------------------------

KNOWN = ["a", "b", "c d", 'q"', "e.f", "\x1f"]
UNKNOWN = ["new", "A", "", "x.y", "z\n", 'r"', "_extra"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.text(max_size=3)
    | st.sampled_from(["1.10", "-0", "1E5", "7", "12345678901234567890123.50", "0.30000000000000000000004"]).map(Token)
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KNOWN + UNKNOWN), inner, max_size=2),
    max_leaves=4,
)
#: What a value leaves where nothing of it is left.
NOTHING: Any = object()


@dataclass(frozen=True)
class Left:
    """A value, and what its column leaves of it."""

    told: Any
    rest: Any


TYPES: st.SearchStrategy[ColumnType] = st.recursive(
    st.just(parse_type("JSON")),
    lambda inner: (
        inner.map(ListOf)
        | st.dictionaries(st.sampled_from(KNOWN), inner, min_size=1, max_size=2).map(
            lambda fields: Struct(tuple(fields.items()))
        )
    ),
    max_leaves=4,
)


def values(kind: ColumnType) -> st.SearchStrategy[Left]:
    """Values of `kind`, with fields here and there that it has not."""
    null = st.just(Left(None, NOTHING))
    match kind:
        case Scalar():
            return ANYTHING.map(lambda value: Left(value, NOTHING))
        case ListOf(element):
            return null | st.lists(values(element), max_size=3).map(_list)
        case Struct(fields):
            return null | objects(dict(fields))


def _list(each: Sequence[Left]) -> Left:
    rests = [{} if one.rest is NOTHING else one.rest for one in each]
    return Left([one.told for one in each], rests if any(one.rest is not NOTHING for one in each) else NOTHING)


@st.composite
def objects(draw: st.DrawFn, fields: Mapping[str, ColumnType]) -> Left:
    told, rest = {}, {}
    names = draw(st.lists(st.sampled_from([*fields, *(name for name in UNKNOWN if name not in fields)]), unique=True))
    for name in names:
        one = draw(values(fields[name])) if name in fields else draw(ANYTHING.map(lambda value: Left(value, value)))
        told[name] = one.told
        if one.rest is not NOTHING:
            rest[name] = one.rest
    return Left(told, rest or NOTHING)


def dotted(rest: Any, kinds: Mapping[str, ColumnType], inside: str = "") -> Counter[str]:
    """The names of the fields in `rest`, which lie in columns of these kinds."""
    names = Counter[str]()
    for name, value in rest.items():
        here = f"{inside}.{name}" if inside else name
        if name not in kinds:
            names[here] += 1
            continue
        kind, parts = kinds[name], [value]
        while isinstance(kind, ListOf):
            kind, parts = kind.element, [each for part in parts if part != {} for each in part]
        assert isinstance(kind, Struct)
        for part in parts:
            names.update(dotted(part, dict(kind.fields), here))
    return names


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, ColumnType], list[list[Left]]]:
    kinds = draw(st.dictionaries(st.sampled_from(KNOWN), TYPES, min_size=1, max_size=3))
    return kinds, draw(st.lists(st.lists(objects(kinds), max_size=3), min_size=1, max_size=4))


LAW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@LAW
@given(table=tables(), declared=st.booleans())
def test_the_rest_of_any_record_is_what_its_columns_leave(
    table: tuple[dict[str, ColumnType], list[list[Left]]],
    declared: bool,  # noqa: FBT001 - drawn
) -> None:
    kinds, pages = table
    decoder = PageDecoder([*(Column(name, kind, (name,), declared) for name, kind in kinds.items()), EXTRA])

    for told in pages:
        texts = decoder.decode(page_of([each.told for each in told]), {}).column("_extra").to_pylist()

        found = [NOTHING if text is None else verbatim(text) for text in texts]
        assert found == [NOTHING if each.rest is NOTHING else verbatim(written(each.rest)) for each in told]


@LAW
@given(table=tables())
def test_the_fields_that_columns_leave_are_counted_each_by_its_name(
    table: tuple[dict[str, ColumnType], list[list[Left]]],
) -> None:
    kinds, pages = table
    columns = [Column(name, kind, (name,)) for name, kind in kinds.items()]

    found = counted(columns, *([each.told for each in told] for told in pages))

    rests = [each.rest for told in pages for each in told if each.rest is not NOTHING]
    assert found == sum((dotted(rest, kinds) for rest in rests), Counter[str]())


def whole(value: Any, rest: Any) -> Any:
    """The value of a column and what it has left, together again; a field that is null may be lacking."""
    match value, rest:
        case _, _ if rest is NOTHING:
            return value
        case None, _:
            return rest
        case dict(), dict():
            assert not {name for name in value.keys() & rest.keys() if value[name] is not None and rest[name] is None}
            return {name: whole(value.get(name), rest.get(name, NOTHING)) for name in [*value, *rest]}
        case list(), list():
            assert len(value) == len(rest)
            return [whole(each, NOTHING if left == {} else left) for each, left in zip(value, rest, strict=True)]
        case _:
            raise AssertionError((value, rest))


def plain(value: Any, kind: ColumnType) -> Any:
    """A value of a batch as JSON has it, without what is null in objects."""
    match kind:
        case Scalar("JSON") if value is not None:
            return json.loads(value)
        case Scalar("HUGEINT") if value is not None:
            return int.from_bytes(value, "little", signed=True)
        case ListOf(element) if value is not None:
            return [plain(each, element) for each in value]
        case Struct(fields) if value is not None:
            return {name: plain(value[name], field) for name, field in fields}
        case _:
            return value


def without_nulls(value: Any) -> Any:
    """`value` without the fields that are null, or hold nothing else, at any depth: a missing field is NULL, too."""
    match value:
        case dict():
            kept = {name: without_nulls(each) for name, each in value.items()}
            return {name: each for name, each in kept.items() if each is not None and each != {}}
        case list():
            return [without_nulls(each) for each in value]
        case float() if value.is_integer() and math.isfinite(value):
            return int(value)
        case _:
            return value


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 9).map(lambda n: n + 0.5)
    | st.text("xyz"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KNOWN + UNKNOWN), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def samples(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records that were sampled, and later ones: the same with fields more and fields less, at any depth."""
    first = draw(st.lists(st.dictionaries(st.sampled_from(KNOWN), JSON_VALUES, max_size=3), min_size=1, max_size=3))
    return first, [draw(changed(record)) for record in draw(st.lists(st.sampled_from(first), max_size=4))]


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, list):
        return [draw(changed(each)) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: draw(changed(each)) for name, each in value.items() if draw(st.integers(0, 5))}
    return kept | draw(
        st.dictionaries(st.sampled_from([n for n in UNKNOWN if n not in value]), JSON_VALUES, max_size=1)
    )


@LAW
@given(both=samples(), nested=st.sampled_from(["struct", "flatten", "json"]))
def test_columns_and_the_rest_hold_every_field_of_every_record(
    both: tuple[list[dict[str, Any]], list[dict[str, Any]]], nested: Nested
) -> None:
    first, later = both
    columns = infer_columns(plan(nested, extra=True), read_records(page_of(first)))

    for records in (first, later):
        try:
            rows = PageDecoder(columns).decode(page_of(records), {}).to_pylist()
        except SchemaDriftError:
            assert records is later  # what is new to one record may be of another kind than in another
            continue
        assert [together(row, columns) for row in rows] == [without_nulls(record) for record in records]


def together(row: Mapping[str, Any], columns: Sequence[Column]) -> Any:
    """One row as the record that it was."""
    record: Any = {}
    for c in columns:
        value = plain(row[c.name], c.type)
        if c.is_rest:
            record = whole(record, NOTHING if value is None else value)
        elif not c.path:
            record = value
        else:
            inner = record
            for step in c.path[:-1]:
                inner = inner.setdefault(step, {})
            inner[c.path[-1]] = value
    return without_nulls(record)
