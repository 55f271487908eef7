"""What became of each predicate, in words: the parameter that carries it, or why none does."""

import datetime as dt
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.manifest import ConnectorDefinition, KeyColumn, Stream
from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call
from apikit_sql.plan.outcome import outcomes
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.predicate import Compared, OneOf, Predicate, Value
from apikit_sql.plan.pushdown import LARGEST_RANGE, push_down
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan

STATE = KeyColumn(column="state", param="status", values=("open", "closed"))
SINCE = KeyColumn(column="at", param="since", operators=(">=",), format="rfc3339")
NUMBER = KeyColumn(column="n", param="n")
BOUNDED = KeyColumn(column="n", param="over", operators=(">",))
OWNER = KeyColumn(column="owner", path="owner", required=True)
NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)


def scan(*keys: KeyColumn, path: str = "/x", **others: Any) -> ScanPlan:
    return ScanPlan(RequestPlan("api", "https://api.test", path), key_columns=keys, **others)


def told(plan: ScanPlan, *predicates: Predicate) -> list[tuple[str, str]]:
    return [(outcome.sent, outcome.why) for outcome in outcomes(plan, predicates)]


@pytest.mark.parametrize(
    ("key", "predicate", "sent"),
    [
        (STATE, OneOf("state", ("open",)), "status=open"),
        (STATE, OneOf("STATE", ("open", "closed")), "status=open, status=closed (2 trips)"),
        (NUMBER, OneOf("n", (1, 2, 3, 4)), "n=1, n=2, n=3, ... (4 trips)"),
        (OWNER, OneOf("owner", ("duckdb",)), "{owner} = duckdb"),
        (SINCE, Compared("at", ">=", NOON), "since=2026-01-05T12:00:00Z"),
        (SINCE, Compared("at", ">", NOON), "since=2026-01-05T12:00:00Z (rounded outward)"),
        (SINCE, OneOf("at", (NOON,)), "since=2026-01-05T12:00:00Z"),
        (SINCE, Compared("at", ">=", NOON.replace(microsecond=1)), "since=2026-01-05T12:00:00Z (rounded outward)"),
        (BOUNDED, Compared("n", ">=", 4), "over=3 (rounded outward)"),
    ],
)
def test_what_is_sent_is_told_with_its_parameter(key: KeyColumn, predicate: Predicate, sent: str) -> None:
    assert told(scan(key), predicate) == [(sent, "")]


def test_both_bounds_of_a_range_are_told_as_its_trips() -> None:
    lower, upper = Compared("n", ">=", 1), Compared("n", "<", 3)

    assert told(scan(NUMBER), lower, upper) == [("n=1, n=2 (2 trips)", "")] * 2


def test_a_value_for_two_parameters_is_told_with_both() -> None:
    both = scan(
        KeyColumn(column="n", param="from", operators=(">=",)), KeyColumn(column="n", param="to", operators=("<=",))
    )

    assert told(both, OneOf("n", (2, 5))) == [("from=2 (rounded outward) and to=5 (rounded outward)", "")]


@pytest.mark.parametrize(
    ("plan", "predicate", "why"),
    [
        (scan(STATE), OneOf("title", ("x",)), "no key column names title, nor does filters"),
        (scan(STATE), OneOf("state", ("open", "lost")), "lost is none of the values that the API takes: open, closed"),
        (scan(STATE), Compared("state", ">", "a"), "of state the API answers =, not >"),
        (
            scan(SINCE, KeyColumn(column="at", param="day")),
            Compared("at", "<", NOON),
            "of at the API answers >= and =, not <",
        ),
        (
            scan(SINCE),
            OneOf("at", ("today",)),
            "of at the API answers bounds, which are sent for numbers and times only",
        ),
        (scan(BOUNDED), Compared("n", ">", 0.5), "the parameter cannot say 0.5 as >"),
        (
            scan(KeyColumn(column="at", param="day", format="date")),
            OneOf("at", (NOON,)),
            "the parameter cannot say 2026-01-05 12:00:00+00:00 exactly",
        ),
        (scan(settled=(STATE,)), OneOf("state", ("open",)), "the call sets status itself"),
        (scan(settled=(OWNER,)), OneOf("owner", ("a",)), "the call sets {owner} itself"),
        (scan(OWNER, keys=((("owner", "a"),),)), OneOf("owner", ("a",)), "keys tells the values"),
        (scan(OWNER, keys=()), OneOf("title", ("a",)), "keys tells the values"),
    ],
)
def test_what_is_not_sent_is_told_with_its_reason(plan: ScanPlan, predicate: Predicate, why: str) -> None:
    ((sent, found),) = told(plan, predicate)

    assert sent == ""
    assert found.startswith(why)


def test_of_several_bounds_the_tightest_is_sent() -> None:
    early, late = Compared("at", ">=", NOON - dt.timedelta(days=1)), Compared("at", ">=", NOON)

    assert told(scan(SINCE), early, late) == [("", "a tighter bound is sent"), ("since=2026-01-05T12:00:00Z", "")]


def test_of_several_lists_the_shortest_is_sent() -> None:
    assert told(scan(NUMBER), OneOf("n", (1, 2)), OneOf("n", (2,))) == [
        ("", "another list of the same column is sent"),
        ("n=2", ""),
    ]


def test_of_several_parameters_for_a_column_the_first_is_told() -> None:
    other = KeyColumn(column="n", param="id")

    assert told(scan(NUMBER, other), OneOf("n", (2,))) == [("n=2", "")]


def test_values_of_too_many_trips_are_told() -> None:
    plan = scan(KeyColumn(column="a", param="a"), KeyColumn(column="b", param="b"))
    many = tuple(range(LARGEST_RANGE))

    (_, why), (sent, _) = told(plan, OneOf("a", many), OneOf("b", (1,)))
    assert (why, sent) == ("", "b=1")

    found = told(plan, OneOf("a", many), OneOf("b", (1, 2)))
    assert found == [("", "its values would make more than 1000 trips")] * 2


def test_a_required_key_without_a_value_is_an_error() -> None:
    with pytest.raises(CallError, match="needs owner"):
        outcomes(scan(OWNER, path="/{owner}"), [])


def test_what_the_call_sets_is_settled_by_its_plan() -> None:
    stream = Stream(path="/{owner}/x", columns=cast("Any", {"state": "VARCHAR"}), key_columns=(STATE, OWNER))
    connector = ConnectorDefinition(name="api", base_url="https://api.test", streams={"x": stream})
    call = Call(connector="api", path="x", params={"status": "open"}, path_params={"owner": "duckdb"})

    plan = plan_call(call, connector)

    assert told(plan, OneOf("state", ("open",)), OneOf("owner", ("duckdb",))) == [
        ("", "the call sets status itself"),
        ("", "the call sets {owner} itself"),
    ]


VALUES: st.SearchStrategy[Value] = st.one_of(st.integers(-5, 5), st.sampled_from(["open", "lost"]), st.just(NOON))
COLUMNS = st.sampled_from(["state", "at", "n", "other"])
PREDICATES: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(OneOf, COLUMNS, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Compared, COLUMNS, st.sampled_from([">", ">=", "<", "<="]), VALUES),
)


@given(st.lists(st.sampled_from([STATE, SINCE, NUMBER, BOUNDED]), unique=True), st.lists(PREDICATES, max_size=3))
def test_what_is_told_is_what_is_sent(keys: list[KeyColumn], predicates: list[Predicate]) -> None:
    try:
        plan = scan(*keys)
        trips = push_down(plan, predicates)
    except TypeError:  # numbers and times in one column, which no column holds
        return

    found = outcomes(plan, predicates)

    assert all(bool(outcome.sent) != bool(outcome.why) for outcome in found)
    params = {f"{name}={value}" for trip in trips for name, value in trip.request.params}
    first = {f"{name}={value}" for name, value in trips[0].request.params}
    told = " ".join(outcome.sent for outcome in found).strip()
    assert all(each in told or "..." in told for each in first)
    assert bool(params) == bool(told)
    assert replace(plan, key_columns=()) == scan()
