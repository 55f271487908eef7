"""The law of pushdown: the API may send more rows than asked for, never fewer."""

import datetime as dt
import decimal
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from apikit_sql.connector.manifest import KeyColumn, Operator, ValueFormat
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.plan.predicate import Bound, Compared, OneOf, Predicate, Value
from apikit_sql.plan.pushdown import LARGEST_RANGE, MOST_TRIPS, push_down
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan, Trip
from apikit_sql.plan.rounding import exact_text

HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
BOUNDS: list[Bound] = [">", ">=", "<", "<="]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LOCAL_EPOCH = EPOCH.replace(tzinfo=None)
NOON = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)  # 1767607200
HALF_PAST = NOON + dt.timedelta(milliseconds=500, microseconds=1)


def scan(*keys: KeyColumn, path: str = "/x", params: Sequence[tuple[str, str]] = ()) -> ScanPlan:
    return ScanPlan(RequestPlan("api", "https://api.test", path, params=tuple(params)), key_columns=keys)


def params_of(trips: Iterable[Trip]) -> list[dict[str, str]]:
    return [dict(trip.request.params) for trip in trips]


def only_params(key: KeyColumn, *predicates: Predicate) -> dict[str, str]:
    (params,) = params_of(push_down(scan(key), predicates))
    return params


# ---- the law --------------------------------------------------------------------------------------------------------


def unit_of(value_format: ValueFormat, *, is_date: bool) -> dt.timedelta:
    match value_format:
        case "date":
            return dt.timedelta(days=1)
        case "epoch_ms" | "rfc3339_ms":
            return dt.timedelta(milliseconds=1)
        case _:
            return dt.timedelta(days=1) if is_date and not value_format else dt.timedelta(seconds=1)


def as_moment(value: dt.date) -> dt.datetime:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def sent_value(text: str, like: Value, value_format: ValueFormat) -> Any:
    """The parameter as the API reads it."""
    match like:
        case bool():
            return {"true": True, "false": False}[text]
        case int():
            return int(text)
        case float():
            return float(text)
        case str():
            return text
        case _ if value_format == "epoch":
            return EPOCH + dt.timedelta(seconds=int(text))
        case _ if value_format == "epoch_ms":
            return EPOCH + dt.timedelta(milliseconds=int(text))
        case _:
            return as_moment(dt.datetime.fromisoformat(text))


def stored_value(value: Value, value_format: ValueFormat, *, truncates: bool) -> Any:
    """The row's value as the API compares it: whole, or only as precise as its parameter is."""
    if not isinstance(value, dt.date):
        return value
    moment = as_moment(value)
    unit = unit_of(value_format, is_date=not isinstance(value, dt.datetime))
    return EPOCH + (moment - EPOCH) // unit * unit if truncates else moment


def api_sends(row: Value, key: KeyColumn, op: Operator, trip: Trip, *, truncates: bool) -> bool:
    """Whether the simulated API, asked as `trip` asks, sends the row."""
    text = dict(trip.request.params).get(cast("str", key.param))
    if text is None:
        return True
    return HOLDS[op](stored_value(row, key.format, truncates=truncates), sent_value(text, row, key.format))


def row_passes(row: Any, predicates: Iterable[Predicate]) -> bool:
    for predicate in predicates:
        match predicate:
            case OneOf(values=values) if row not in values:
                return False
            case Compared(operator=op, value=value) if not HOLDS[op](row, value):
                return False
            case _:
                pass
    return True


def near(value: Any) -> st.SearchStrategy[Any]:
    """Values so close that rounding matters."""
    match value:
        case bool() | str():
            return st.just(value)
        case int():
            return st.integers(-2, 2).map(lambda step: value + step)
        case float():
            return st.sampled_from([value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf)])
        case dt.datetime():
            steps = st.one_of(st.integers(-3, 3), st.integers(-3_000, 3_000), st.integers(-3_000_000, 3_000_000))
            return steps.map(lambda us: value + dt.timedelta(microseconds=us))
        case _:
            return st.integers(-2, 2).map(lambda days: value + dt.timedelta(days=days))


def true_of(row: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Predicate]:
    """Predicates that hold for the row."""

    def compared(value: Any) -> st.SearchStrategy[Predicate]:
        holding = [op for op in BOUNDS if HOLDS[op](row, value)]
        return st.sampled_from(holding).map(lambda op: Compared("at", op, value))

    def one_of(others: list[Any]) -> Predicate:
        return OneOf("at", (*others, row))

    return st.one_of(st.one_of(near(row), values).flatmap(compared), st.lists(near(row), max_size=3).map(one_of))


def predicates_on(column: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Predicate]]:
    compared = st.builds(Compared, st.just(column), st.sampled_from(BOUNDS), values)
    one_of = st.builds(OneOf, st.just(column), st.lists(values, min_size=1, max_size=4).map(tuple))
    return st.lists(cast("st.SearchStrategy[Predicate]", st.one_of(compared, one_of)), min_size=1, max_size=3)


zones = st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30)), dt.timezone(-dt.timedelta(hours=8))])
moments = st.one_of(
    st.datetimes(LOCAL_EPOCH.replace(year=1900), LOCAL_EPOCH.replace(year=2200), timezones=zones),
    st.builds(lambda us, zone: (NOON + dt.timedelta(microseconds=us)).astimezone(zone), st.integers(0, 10**6), zones),
    st.integers(-(10**6), 10**6).map(lambda us: EPOCH + dt.timedelta(microseconds=us)),
    st.just(NOON),
)
local_moments = st.one_of(
    st.datetimes(LOCAL_EPOCH.replace(year=2), LOCAL_EPOCH.replace(year=9998)),
    st.integers(-(10**6), 10**6).map(lambda us: LOCAL_EPOCH + dt.timedelta(microseconds=us)),
)
KINDS: list[tuple[st.SearchStrategy[Any], list[ValueFormat]]] = [
    (st.integers(-5, 5) | st.integers(), [""]),
    (st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.1, -0.0, 0.0, 1e300]), [""]),
    (st.booleans(), [""]),
    (st.text(max_size=2), [""]),
    (moments, ["", "rfc3339", "rfc3339_ms", "date", "epoch", "epoch_ms"]),
    (local_moments, ["", "rfc3339", "rfc3339_ms", "date", "epoch", "epoch_ms"]),
    (st.dates(dt.date(2, 1, 1), dt.date(9998, 1, 1)), ["", "date", "rfc3339", "rfc3339_ms", "epoch", "epoch_ms"]),
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_row_that_is_asked_for_is_sent(data: st.DataObject) -> None:
    values, formats = data.draw(st.sampled_from(KINDS))
    op = data.draw(st.sampled_from(cast("list[Operator]", list(HOLDS))))
    key = KeyColumn(column="at", operators=(op,), param="p", format=data.draw(st.sampled_from(formats)))
    row = data.draw(values)
    predicates = data.draw(st.lists(true_of(row, values), min_size=1, max_size=3))
    truncates = data.draw(st.booleans())

    trips = push_down(scan(key), predicates)

    assert any(api_sends(row, key, op, trip, truncates=truncates) for trip in trips)


@given(st.integers(-5, 5), predicates_on("k", st.integers(-5, 5)))
def test_every_key_that_is_asked_for_has_its_trip(row: int, predicates: list[Predicate]) -> None:
    key = KeyColumn(column="k", path="k", required=True)

    try:
        trips = push_down(scan(key, path="/{k}"), predicates)
    except CallError:
        return

    paths = [trip.request.path for trip in trips]
    assert len(paths) == len(set(paths))
    assert not row_passes(row, predicates) or f"/{row}" in paths


@given(
    st.lists(st.sampled_from(["open", "closed", "draft", "OPEN", ""]), min_size=1, max_size=4),
    st.sampled_from(["open", "closed", "draft", "OPEN", ""]),
)
def test_a_value_outside_of_the_list_is_never_sent_and_never_lost(values: list[str], row: str) -> None:
    key = KeyColumn(column="state", param="state", values=("open", "closed"))

    found = params_of(push_down(scan(key, params=[("state", "all")]), [OneOf("state", tuple(values))]))

    assert {params["state"] for params in found} <= {"open", "closed", "all"}
    assert row not in values or any(params["state"] in {row, "all"} for params in found)


# ---- values ---------------------------------------------------------------------------------------------------------


def test_an_equality_replaces_the_streams_default() -> None:
    key = KeyColumn(column="state", param="state")

    (trip,) = push_down(scan(key, params=[("state", "all"), ("x", "1")]), [OneOf("state", ("open",))])

    assert trip.request.params == (("x", "1"), ("state", "open"))
    assert trip.keys == (("state", "open"),)


def test_no_predicate_is_one_trip_that_asks_for_everything() -> None:
    plan = scan(KeyColumn(column="state", param="state"), params=[("state", "all")])

    assert push_down(plan, []) == (Trip(plan.request),)


def test_the_keys_that_the_call_gave_belong_to_every_trip() -> None:
    plan = ScanPlan(
        RequestPlan("api", "https://api.test", "/a"),
        given_keys=(("owner", "a"),),
        key_columns=(KeyColumn(column="n", param="n"),),
    )

    assert [trip.keys for trip in push_down(plan, [OneOf("n", (1, 2))])] == [
        (("owner", "a"), ("n", 1)),
        (("owner", "a"), ("n", 2)),
    ]


def test_columns_are_compared_without_case() -> None:
    assert only_params(KeyColumn(column="Updated_At", param="p"), OneOf("UPDATED_AT", (1,))) == {"p": "1"}
    assert only_params(KeyColumn(column="N", param="p", operators=(">",)), Compared("n", ">", 5)) == {"p": "4"}


def test_predicates_on_other_columns_are_not_pushed() -> None:
    keys = (KeyColumn(column="a", param="a"), KeyColumn(column="b", param="b", operators=(">=",)))

    trips = push_down(
        scan(*keys), [OneOf("x", (1,)), Compared("a", ">=", 1), Compared("x", ">=", 1), Compared("b", "<", 1)]
    )

    assert params_of(trips) == [{}]


def test_each_value_is_asked_for_once_in_the_order_given() -> None:
    plan = scan(KeyColumn(column="state", param="s"), KeyColumn(column="n", param="n"))

    trips = push_down(plan, [OneOf("n", (2, 1, 2)), OneOf("state", ("b", "a", "b"))])

    assert params_of(trips) == [{"s": "b", "n": "2"}, {"s": "b", "n": "1"}, {"s": "a", "n": "2"}, {"s": "a", "n": "1"}]


def test_of_several_lists_the_shortest_is_asked_for() -> None:
    trips = push_down(scan(KeyColumn(column="n", param="n")), [OneOf("n", (1, 2, 3)), OneOf("n", (2,))])

    assert params_of(trips) == [{"n": "2"}]


def test_values_that_do_not_all_fit_narrow_nothing() -> None:
    state = KeyColumn(column="state", param="state", values=("open", "closed"))
    day = KeyColumn(column="day", param="day", format="date")

    assert only_params(state, OneOf("state", ("open", "draft"))) == {}
    assert only_params(day, OneOf("day", (NOON,))) == {}


@pytest.mark.parametrize(
    ("value", "value_format", "text"),
    [
        (True, "", "true"),
        (False, "", "false"),
        (5, "", "5"),
        (-5, "", "-5"),
        (2**100, "", str(2**100)),
        (0.5, "", "0.5"),
        (float("nan"), "", None),
        (float("inf"), "", None),
        ("a b&c", "", "a b&c"),
        ("", "", ""),
        (NOON, "", "2026-01-05T10:00:00Z"),
        (NOON, "rfc3339", "2026-01-05T10:00:00Z"),
        (HALF_PAST, "rfc3339", None),
        (NOON, "rfc3339_ms", "2026-01-05T10:00:00.000Z"),
        (HALF_PAST, "rfc3339_ms", None),
        (NOON, "date", None),
        (NOON, "epoch", "1767607200"),
        (NOON, "epoch_ms", "1767607200000"),
        (dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=2))), "rfc3339", "2026-01-05T10:00:00Z"),
        (NOON.replace(tzinfo=None), "rfc3339", "2026-01-05T10:00:00"),
        (NOON.replace(tzinfo=None), "epoch", "1767607200"),
        (dt.date(2026, 1, 5), "", "2026-01-05"),
        (dt.date(2026, 1, 5), "rfc3339", "2026-01-05T00:00:00Z"),
        (dt.date(2026, 1, 5), "epoch", "1767571200"),
        (dt.date(9999, 12, 31), "", "9999-12-31"),
        (dt.date(1, 1, 1), "", "0001-01-01"),
    ],
)
def test_a_value_is_said_exactly_or_not_at_all(value: Value, value_format: ValueFormat, text: str | None) -> None:
    assert exact_text(value, value_format) == text


def test_a_value_of_an_unknown_kind_is_not_said() -> None:
    assert exact_text(cast("Value", decimal.Decimal("1.5")), "") is None


# ---- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "value_format", "value", "text"),
    [
        (">=", "rfc3339", HALF_PAST, "2026-01-05T10:00:00Z"),
        ("<=", "rfc3339", HALF_PAST, "2026-01-05T10:00:01Z"),
        (">", "rfc3339", HALF_PAST, "2026-01-05T09:59:59Z"),
        ("<", "rfc3339", HALF_PAST, "2026-01-05T10:00:02Z"),
        (">=", "rfc3339", NOON, "2026-01-05T10:00:00Z"),
        ("<=", "rfc3339", NOON, "2026-01-05T10:00:00Z"),
        (">", "rfc3339", NOON, "2026-01-05T09:59:59Z"),
        ("<", "rfc3339", NOON, "2026-01-05T10:00:01Z"),
        (">=", "rfc3339_ms", HALF_PAST, "2026-01-05T10:00:00.500Z"),
        ("<=", "rfc3339_ms", HALF_PAST, "2026-01-05T10:00:00.501Z"),
        (">=", "date", NOON, "2026-01-05"),
        ("<=", "date", NOON, "2026-01-06"),
        (">", "date", NOON, "2026-01-04"),
        ("<", "date", NOON, "2026-01-07"),
        (">=", "epoch", HALF_PAST, "1767607200"),
        ("<=", "epoch", HALF_PAST, "1767607201"),
        (">", "epoch", NOON, "1767607199"),
        (">=", "epoch", EPOCH - dt.timedelta(milliseconds=500), "-1"),
        ("<=", "epoch", EPOCH - dt.timedelta(milliseconds=500), "0"),
        (">=", "epoch_ms", HALF_PAST, "1767607200500"),
        ("<=", "epoch_ms", HALF_PAST, "1767607200501"),
        (">=", "", 5, "5"),
        (">", "", 5, "4"),
        ("<=", "", 5, "5"),
        ("<", "", 5, "6"),
        (">=", "", 0.1, "0.1"),
        ("<=", "", -0.5, "-0.5"),
        (">=", "", dt.date(2026, 1, 5), "2026-01-05"),
        (">", "", dt.date(2026, 1, 5), "2026-01-04"),
        ("<", "", dt.date(2025, 12, 31), "2026-01-01"),
    ],
)
def test_a_bound_is_rounded_outward(op: Bound, value_format: ValueFormat, value: Value, text: str) -> None:
    key = KeyColumn(column="at", param="p", operators=(op,), format=value_format)

    assert only_params(key, Compared("at", ">=" if op in {">", ">="} else "<=", value)) == {"p": text}
    assert only_params(key, Compared("at", ">" if op in {">", ">="} else "<", value)) == {"p": text}


@pytest.mark.parametrize("op", [">", "<"])
def test_a_strict_parameter_cannot_carry_a_float(op: Bound) -> None:
    assert only_params(KeyColumn(column="n", param="p", operators=(op,)), Compared("n", op, 0.5)) == {}


@pytest.mark.parametrize("value", ["a", True])
def test_texts_and_booleans_are_no_bounds(value: Value) -> None:
    key = KeyColumn(column="n", param="p", operators=(">=",))

    assert only_params(key, Compared("n", ">=", value)) == {}
    assert only_params(key, OneOf("n", (value,))) == {}


def test_the_tightest_bound_is_pushed() -> None:
    keys = (
        KeyColumn(column="n", param="from", operators=(">=",)),
        KeyColumn(column="n", param="to", operators=("<=",)),
    )

    trips = push_down(
        scan(*keys),
        [
            Compared("n", ">", 1),
            Compared("n", ">=", 3),
            Compared("n", "<=", 9),
            Compared("n", "<", 7),
            OneOf("n", (2, 8)),
        ],
    )

    assert params_of(trips) == [{"from": "3", "to": "7"}]


def test_a_list_of_values_implies_bounds() -> None:
    keys = (
        KeyColumn(column="n", param="from", operators=(">=",)),
        KeyColumn(column="n", param="to", operators=("<=",)),
    )

    assert params_of(push_down(scan(*keys), [OneOf("n", (5, 2, 9))])) == [{"from": "2", "to": "9"}]


def test_a_bound_replaces_the_streams_default_and_goes_into_every_trip() -> None:
    keys = (KeyColumn(column="k", param="k"), KeyColumn(column="n", param="from", operators=(">=",)))

    trips = push_down(scan(*keys, params=[("from", "0")]), [OneOf("k", ("a", "b")), Compared("n", ">=", 3)])

    assert params_of(trips) == [{"from": "3", "k": "a"}, {"from": "3", "k": "b"}]


@pytest.mark.parametrize(
    ("op", "value"),
    [
        (">", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
        (">=", dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5)))),
        ("<", dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ("<=", dt.datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=dt.UTC)),
        ("<=", dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.timezone(-dt.timedelta(hours=5)))),
        (">", dt.date.min),
        ("<", dt.date.max),
    ],
)
def test_a_bound_beyond_the_calendar_is_not_pushed(op: Bound, value: Value) -> None:
    assert only_params(KeyColumn(column="at", param="p", operators=(op,)), Compared("at", op, value)) == {}


# ---- required keys and trips ----------------------------------------------------------------------------------------

OWNER = KeyColumn(column="owner", path="owner", required=True)
REPO = KeyColumn(column="repo", path="repo", required=True)


def test_a_key_fills_the_path_encoded() -> None:
    trips = push_down(scan(OWNER, REPO, path="/{owner}/{repo}"), [OneOf("owner", ("a/b",)), OneOf("repo", ("x", "y"))])

    assert [trip.request.path for trip in trips] == ["/a%2Fb/x", "/a%2Fb/y"]
    assert [trip.keys for trip in trips] == [(("owner", "a/b"), ("repo", "x")), (("owner", "a/b"), ("repo", "y"))]


def test_a_missing_key_is_told_with_what_to_write() -> None:
    with pytest.raises(
        CallError, match=r"api /\{owner\}/\{repo\} needs owner and repo \(= or IN\).*a join cannot supply them"
    ) as caught:
        push_down(scan(OWNER, REPO, path="/{owner}/{repo}"), [OneOf("owner", ("a",))])

    assert "WHERE repo = ..." in str(caught.value)
    assert "path_params := {'repo': ...}" in str(caught.value)


def test_a_missing_key_is_told_with_the_name_that_path_params_take() -> None:
    key = KeyColumn(column="upstream_owner", path="owner", required=True)

    with pytest.raises(CallError, match=r"WHERE upstream_owner = \.\.\.") as caught:
        push_down(scan(key, path="/{owner}/forks"), [])

    assert "path_params := {'owner': ...}" in str(caught.value)


def test_a_missing_key_that_is_a_parameter_is_not_told_to_be_in_the_path() -> None:
    with pytest.raises(CallError, match="needs account") as caught:
        push_down(scan(KeyColumn(column="account", param="acct", required=True)), [])

    assert "path_params" not in str(caught.value)


def test_a_missing_key_of_an_attached_table_is_told_with_the_function_of_its_keys() -> None:
    attached = replace(scan(OWNER, REPO, path="/{owner}/{repo}"), name="hub.issues", function="hub.issues_of")

    with pytest.raises(CallError, match=r"hub\.issues needs owner and repo") as caught:
        push_down(attached, [])

    assert "Use hub.issues_of(r.owner, r.repo), or SET VARIABLE k" in str(caught.value)
    assert "hub.issues(keys := getvariable('k'))" in str(caught.value)


@pytest.mark.parametrize("value", ["mars", "EMEA"])
def test_a_required_key_has_one_of_its_values(value: str) -> None:
    key = KeyColumn(column="region", path="region", required=True, values=("emea", "apac"))

    with pytest.raises(CallError, match=rf"cannot ask for region = {value} \(one of emea, apac\)"):
        push_down(scan(key, path="/{region}"), [OneOf("region", (value,))])


def test_a_required_key_that_cannot_be_said_exactly_is_refused() -> None:
    key = KeyColumn(column="day", path="day", required=True, format="date")

    with pytest.raises(CallError, match=r"cannot ask for day = 2026-01-05 10:00:00\+00:00\."):
        push_down(scan(key, path="/{day}"), [OneOf("day", (NOON,))])


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_key_that_would_climb_the_path_is_refused(value: str) -> None:
    with pytest.raises(CallError, match="cannot be part of the path"):
        push_down(scan(OWNER, path="/{owner}"), [OneOf("owner", (value,))])


@pytest.mark.parametrize(
    ("lower", "upper", "paths"),
    [
        (Compared("k", ">=", 2), Compared("k", "<=", 4), ["/2", "/3", "/4"]),
        (Compared("k", ">", 2), Compared("k", "<", 4), ["/3"]),
        (Compared("K", ">=", -1), Compared("k", "<", 1), ["/-1", "/0"]),
    ],
)
def test_a_closed_range_of_integers_is_a_list(lower: Predicate, upper: Predicate, paths: list[str]) -> None:
    trips = push_down(scan(KeyColumn(column="k", path="k", required=True), path="/{k}"), [lower, upper])

    assert [trip.request.path for trip in trips] == paths


@pytest.mark.parametrize(
    "bounds",
    [
        [Compared("k", ">=", 1)],
        [Compared("k", "<=", 1)],
        [Compared("k", ">=", 3), Compared("k", "<=", 1)],
        [Compared("k", ">=", 1), Compared("k", "<=", LARGEST_RANGE + 1)],
        [Compared("k", ">=", "a"), Compared("k", "<=", "b")],
        [Compared("k", ">=", 1.0), Compared("k", "<=", 2.0)],
    ],
)
def test_another_range_is_no_list(bounds: list[Predicate]) -> None:
    with pytest.raises(CallError, match="needs k"):
        push_down(scan(KeyColumn(column="k", path="k", required=True), path="/{k}"), bounds)


def test_the_largest_range_is_a_thousand_values() -> None:
    trips = push_down(
        scan(KeyColumn(column="k", path="k", required=True), path="/{k}"),
        [Compared("k", ">=", 1), Compared("k", "<=", 1_000)],
    )

    assert len(trips) == 1_000


def test_a_range_beside_a_list_is_left_to_the_filter() -> None:
    predicates: list[Predicate] = [OneOf("k", (7, 8)), Compared("k", ">=", 1), Compared("k", "<=", 9)]

    trips = push_down(scan(KeyColumn(column="k", path="k", required=True), path="/{k}"), predicates)

    assert [trip.request.path for trip in trips] == ["/7", "/8"]


def test_too_many_trips_leave_out_the_keys_that_need_not_be() -> None:
    keys = (OWNER, KeyColumn(column="n", param="n"), KeyColumn(column="one", param="one"))
    predicates = [OneOf("owner", ("a", "b")), OneOf("n", tuple(range(501))), OneOf("one", (1,))]

    trips = push_down(scan(*keys, path="/{owner}"), predicates)

    assert [(trip.request.path, trip.request.params) for trip in trips] == [
        ("/a", (("one", "1"),)),
        ("/b", (("one", "1"),)),
    ]


def test_more_requests_allow_more_trips() -> None:
    plan = replace(scan(OWNER, path="/{owner}"), max_requests=2_000)

    trips = push_down(plan, [OneOf("owner", tuple(map(str, range(2_000))))])

    assert [trip.request.path for trip in trips] == [f"/{n}" for n in range(2_000)]
    with pytest.raises(CallError, match="the keys ask for 2001 trips; 2000 are the most"):
        push_down(plan, [OneOf("owner", tuple(map(str, range(2_001))))])


def test_more_trips_than_requests_may_be_answered_by_a_cache() -> None:
    plan = scan(OWNER, path="/{owner}")
    plan = replace(plan, request=replace(plan.request, cache=300), max_requests=1)

    assert len(push_down(plan, [OneOf("owner", ("a", "b"))])) == 2


def test_more_trips_than_requests_are_refused_beforehand() -> None:
    plan = replace(scan(OWNER, path="/{owner}"), max_requests=3)

    assert len(push_down(plan, [OneOf("owner", ("a", "b", "c"))])) == 3
    with pytest.raises(CallError, match=r"4 trips need as many requests at least; max_requests is 3"):
        push_down(plan, [OneOf("owner", ("a", "b", "c", "d"))])


def test_more_trips_than_are_allowed_are_refused() -> None:
    predicates = [OneOf("owner", tuple(map(str, range(MOST_TRIPS))))]

    assert len(push_down(scan(OWNER, path="/{owner}"), predicates)) == 1_000
    with pytest.raises(
        CallError, match=r"api /\{owner\}/\{repo\}: the keys ask for 2000 trips; 1000 are the most.*max_requests"
    ):
        push_down(scan(OWNER, REPO, path="/{owner}/{repo}"), [*predicates, OneOf("repo", ("x", "y"))])


@pytest.mark.parametrize(
    "key", [{"required": False}, {"required": True, "operators": [">="]}, {"required": False, "values": ["x"]}]
)
@pytest.mark.parametrize("predicates", [[], [OneOf("a", ("y", "z")), Compared("a", ">=", 1)]])
def test_no_trip_leaves_with_an_open_field_in_its_path(key: dict[str, Any], predicates: list[Predicate]) -> None:
    """Either such a manifest is refused, or the scan is: `/{a}` is no address."""
    try:
        trips = push_down(scan(KeyColumn.model_validate({"column": "a", "path": "a", **key}), path="/{a}"), predicates)
    except (CallError, ValidationError):
        return

    assert all(not fields_of(trip.request.path) for trip in trips)


def test_a_column_that_two_keys_name_makes_each_trip_once() -> None:
    keys = (KeyColumn(column="customer", param="customer"), KeyColumn(column="Customer", param="customer"))
    plan = ScanPlan(RequestPlan("api", "https://api.test", "/orders"), key_columns=keys)

    trips = push_down(plan, [OneOf("customer", ("a", "b", "c"))])

    assert [trip.request.params for trip in trips] == [(("customer", value),) for value in "abc"]


def test_a_small_range_on_an_optional_key_is_a_list_and_a_large_one_is_not() -> None:
    plan = ScanPlan(RequestPlan("api", "https://api.test", "/posts"), key_columns=(KeyColumn(column="id", param="id"),))

    small = push_down(plan, [Compared("id", ">=", 1), Compared("id", "<=", 3)])
    large = push_down(plan, [Compared("id", ">=", 1), Compared("id", "<=", 900)])

    assert [trip.request.params for trip in small] == [(("id", "1"),), (("id", "2"),), (("id", "3"),)]
    assert [trip.request.params for trip in large] == [()]


def test_a_whole_double_goes_out_as_a_whole_number() -> None:
    plan = ScanPlan(
        RequestPlan("api", "https://api.test", "/flights"),
        key_columns=(KeyColumn(column="distance", param="least", operators=(">=",)),),
    )

    assert push_down(plan, [Compared("distance", ">=", 4000.0)])[0].request.params == (("least", "4000"),)
    assert push_down(plan, [Compared("distance", ">=", 0.5)])[0].request.params == (("least", "0.5"),)


def test_a_required_key_is_sent_also_where_a_filter_names_its_column() -> None:
    keys = (
        KeyColumn(column="account", param="acct"),
        KeyColumn(column="account", param="account_id", required=True),
    )
    plan = ScanPlan(RequestPlan("api", "https://api.test", "/invoices"), key_columns=keys)

    (trip,) = push_down(plan, [OneOf("account", ("a1",))])

    assert trip.request.params == (("account_id", "a1"),)
    assert trip.fills == (("account", "a1"),)
