"""DuckDB's plan, read for what it says of each scan. The plans are written as each version writes them."""

from typing import Any

import pytest

from apikit_sql.sql.plan_tree import PlanScan, conjuncts, plan_scans, words

PlanNode = dict[str, Any]


def node(name: str, *children: PlanNode, **info: Any) -> PlanNode:
    return {
        "name": name,
        "extra_info": {key.replace("_", " "): value for key, value in info.items()},
        "children": children,
    }


def scan(*columns: str, name: str = "PYTHON_ARROW_SCAN", filters: Any = ()) -> PlanNode:
    return node(name, Projections=columns[0] if len(columns) == 1 else list(columns), Filters=filters)


def read(*plan: PlanNode) -> list[str]:
    return [scan.read for scan in plan_scans(plan)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a = 1", ["a = 1"]),
        ("((a = 1) AND (b = 2))", ["a = 1", "b = 2"]),
        ("((a = ' AND (') AND f((b AND c)))", ["a = ' AND ('", "f((b AND c))"]),
        ('("x AND (" = 1)', ['"x AND (" = 1']),
        ("((a BETWEEN 1 AND 2) AND (b = 3))", ["a BETWEEN 1 AND 2", "b = 3"]),
        ("((a = 1) OR (b = 2))", ["(a = 1) OR (b = 2)"]),
        ("(((a = 1) AND (b = 2)) AND (c = 3))", ["a = 1", "b = 2", "c = 3"]),
        ("(a = 'it''s')", ["a = 'it''s'"]),
        ("(a = 1", ["(a = 1"]),
    ],
)
def test_a_condition_is_taken_apart_at_each_and(text: str, parts: list[str]) -> None:
    assert conjuncts(text) == parts


def test_words_are_the_same_however_a_version_writes_them() -> None:
    assert words("state = 'open' OR state = 'closed'") == words("optional: state IN ('closed', 'open')")
    assert words('("amount" > 3.0)') == words("amount > 3")
    assert words("at >= '2026-01-01 00:00:00+00:00'") == words("at>='2026-01-01 00:00:00+00'")


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (scan("a"), ["all"]),
        (node("STREAMING_LIMIT", scan("a")), ["first"]),
        (node("LIMIT", node("PROJECTION", node("FILTER", scan("a")))), ["first"]),
        (node("LIMIT", node("LIMIT", scan("a"))), ["any"]),
        (node("LIMIT", node("ORDER_BY", scan("a"))), ["all"]),
        (node("TOP_N", scan("a")), ["all"]),
        (node("LIMIT", node("HASH_GROUP_BY", scan("a"))), ["all"]),
        (node("LIMIT", node("STREAMING_WINDOW", scan("a"))), ["first"]),
        (node("LIMIT", node("UNION", scan("a"), node("ORDER_BY", scan("b")))), ["any", "any"]),
        (node("LIMIT", node("HASH_JOIN", scan("a"), scan("b"))), ["any", "all"]),
        (node("LIMIT", node("CTE", scan("a"), scan("b"))), ["all", "first"]),
        (node("UNION", scan("a"), scan("b")), ["all", "all"]),
    ],
)
def test_how_much_of_a_scan_is_surely_read(plan: PlanNode, found: list[str]) -> None:
    assert read(plan) == found


def test_the_recursive_side_of_a_cte_is_repeated() -> None:
    found = plan_scans([node("REC_CTE", scan("a"), node("HASH_JOIN", scan("b"), node("REC_CTE_SCAN")))])

    assert [each.is_repeated for each in found] == [False, True]


@pytest.mark.parametrize("name", ["PYTHON_ARROW_SCAN", "ARROW_SCAN", "ARROW_SCAN "])
def test_a_filter_belongs_to_the_scan_whose_columns_it_names(name: str) -> None:
    sides = (scan("a", "b", name=name), scan("c.d", name=name))
    plan = node("FILTER", node("CROSS_PRODUCT", *sides), Expression="((lower(a) = 'c') AND struct_extract(c, 'd'))")

    first, second = plan_scans([plan])

    assert first.not_pushed == {"lower(a) = 'c'": "a function of the column; compare the column itself"}
    assert list(second.not_pushed) == ["c.d"]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("(a = b)", "compares several columns"),
        ("((a = 1) OR (b = 2))", "an OR over several columns"),
        ("(a IS NULL)", "no parameter says whether a value is there"),
        ("(NOT a)", "a bare boolean"),
        ("(a LIKE 'x%')", "DuckDB does not push this form"),
        ("((a + 1) = 2)", "a function of the column"),
        ("(a = '2026-01-01')", "DuckDB does not push this form"),
    ],
)
def test_a_filter_says_why_it_is_not_pushed(condition: str, why: str) -> None:
    (found,) = plan_scans([node("FILTER", scan("a", "b"), Expression=condition)])

    assert [reason.startswith(why) for reason in found.not_pushed.values()] == [True]


def test_a_filter_above_a_cte_belongs_to_what_the_cte_scans() -> None:
    used = node("FILTER", node("CTE_SCAN", CTE_Index="3"), Expression="(a = 1)")

    (found,) = plan_scans([node("CTE", scan("a"), used, Table_Index="3")])

    assert list(found.not_pushed) == ["a = 1"]


@pytest.mark.parametrize(
    ("kind", "condition", "other", "why"),
    [
        ("INNER", "a = b", scan("b"), "a join key is not pushed"),
        ("INNER", "a = SUBQUERY", node("UNGROUPED_AGGREGATE"), "a subquery's value"),
        ("SEMI", "a = #0", node("SEQ_SCAN"), "the values of a subquery"),
        ("MARK", "a = #0", node("SEQ_SCAN"), "the values of a subquery"),
        ("MARK", "a = #0", node("COLUMN_DATA_SCAN"), "this DuckDB makes a join of the list"),
    ],
)
def test_a_join_says_why_its_condition_is_not_pushed(kind: str, condition: str, other: PlanNode, why: str) -> None:
    first, *_ = plan_scans([node("HASH_JOIN", scan("a"), other, Join_Type=kind, Conditions=condition)])

    ((text, reason),) = first.not_pushed.items()
    assert text == condition.replace("#0", "SUBQUERY")
    assert reason.startswith(why)


@pytest.mark.parametrize(("kind", "columns"), [("INNER", {"a"}), ("SEMI", {"a"}), ("LEFT", set()), ("ANTI", set())])
def test_only_a_join_that_leaves_rows_out_narrows_its_left_side(kind: str, columns: set[str]) -> None:
    first, second = plan_scans([node("HASH_JOIN", scan("a"), scan("b"), Join_Type=kind, Conditions=["a = b"])])

    assert (first.narrowed, second.narrowed) == (columns, set())


def test_a_scan_is_known_by_its_columns_and_filters() -> None:
    open_ones = PlanScan(frozenset({"id"}), "state='open'")
    paid = PlanScan(frozenset({"id"}), "state='paid'")

    assert open_ones.likeness(["id", "state"], ["state = 'open'"]) > paid.likeness(["id", "state"], ["state = 'open'"])
    assert open_ones.likeness(["title"], ["state = 'open'"]) == 0
    assert PlanScan(frozenset({"user.login"})).likeness(["user"], []) > 0
