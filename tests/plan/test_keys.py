"""`keys`: a trip for each, exactly as given; read, planned, and narrowed by what DuckDB asks."""

import json
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.column_types import Column, parse_type
from apikit_sql.connector.manifest import ConnectorDefinition, KeyColumn
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call, read_call
from apikit_sql.plan.keys import key_tuples
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.predicate import Compared, OneOf, Predicate
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import Keys, ScanPlan, Trip

API = ConnectorDefinition.model_validate(
    {
        "name": "api",
        "base_url": "https://api.test",
        "streams": {
            "invoices": {
                "path": "/accounts/{account}/invoices",
                "columns": {"id": "BIGINT", "state": "VARCHAR"},
                "key_columns": [
                    {"column": "account", "path": "account", "required": True, "type": "BIGINT"},
                    {"column": "state", "param": "status"},
                    {"column": "id", "param": "from", "operators": [">="]},
                ],
            },
        },
    }
)
LEAST: dict[str, Any] = {"connector": "api", "path": "/x"}
REPOS: list[dict[str, Any]] = [{"owner": "a", "repo": "x"}, {"owner": "b", "repo": "y"}]


def read(sql: str) -> Call:
    """The call with `keys := sql`, by way of DuckDB's own JSON and type."""
    ((values, sql_type),) = duckdb.execute(f"SELECT to_json({sql})::VARCHAR, typeof({sql})").fetchall()
    return read_call(json.dumps(LEAST | {"keys_type": sql_type})[:-1] + f', "keys": {values or "null"}}}')


def keys_of(sql: str) -> tuple[Keys, ...] | None:
    return key_tuples(read(sql))


def plan(path: str, keys: object, **options: object) -> ScanPlan:
    return plan_call(read_call(json.dumps(LEAST | {"path": path, "keys": keys, **options})), API)


def paths(trips: tuple[Trip, ...]) -> list[str]:
    return [trip.request.path for trip in trips]


def column(name: str, kind: str) -> Column:
    return Column(name, parse_type(kind), (name,), declared=True)


# ---- read -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "[{owner: 'a', repo: 'x'}, {owner: 'b', repo: 'y'}]",
        """'[{"owner": "a", "repo": "x"}, {"owner": "b", "repo": "y"}]'""",
        """'[{"owner": "a", "repo": "x"}, {"owner": "b", "repo": "y"}]'::JSON""",
        "[MAP {'owner': 'a', 'repo': 'x'}, MAP {'owner': 'b', 'repo': 'y'}]",
    ],
)
def test_keys_are_structs_maps_or_json_text(sql: str) -> None:
    assert keys_of(sql) == ((("owner", "a"), ("repo", "x")), (("owner", "b"), ("repo", "y")))


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("1.0", 1),
        ("1.5::DOUBLE", 1.5),
        ("true", True),
        ("'a b&c'", "a b&c"),
        ("''", ""),
        ("DATE '2026-01-05'", "2026-01-05"),
        ("'2026-01-05 10:00:00'", "2026-01-05 10:00:00"),
        ("TIMESTAMP '2026-01-05 10:00:00'", "2026-01-05T10:00:00Z"),
        ("TIMESTAMPTZ '2026-01-05 10:00:00+02'", "2026-01-05T08:00:00Z"),
        ("170141183460469231731687303715884105727", 2**127 - 1),
    ],
)
@pytest.mark.parametrize("shape", ["[{{k: {}}}]", "[MAP {{'k': {}}}]"])
def test_a_value_is_taken_as_it_is_and_a_time_as_rfc_3339(sql: str, value: object, shape: str) -> None:
    assert keys_of(shape.format(sql)) == ((("k", value),),)


def test_a_time_is_known_by_its_own_field_only() -> None:
    assert keys_of("[{'Since At': TIMESTAMP '2026-01-05', x: '2026-01-05 10:00:00'}]") == (
        (("Since At", "2026-01-05T00:00:00Z"), ("x", "2026-01-05 10:00:00")),
    )


def test_keys_stay_in_order_and_equal_ones_count_once() -> None:
    assert keys_of("[{k: 'b'}, {k: 'a'}, {k: 'b'}, {k: 'c'}, {k: 'a'}]") == (
        (("k", "b"),),
        (("k", "a"),),
        (("k", "c"),),
    )


def test_keys_are_equal_in_whatever_order_their_names_stand() -> None:
    found = keys_of("""'[{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"b": 1, "a": 2}]'""")

    assert [dict(key) for key in found or ()] == [{"a": 1, "b": 2}, {"b": 1, "a": 2}]


def test_keys_that_are_sent_alike_are_one() -> None:
    assert keys_of("""'[{"k": 1}, {"k": "1"}, {"k": true}, {"k": 1.0}]'""") == ((("k", 1),), (("k", True),))


@pytest.mark.parametrize("number", ["1e999", "0.1000000000000000000001"])
def test_a_number_that_no_double_holds_as_written_is_refused(number: str) -> None:
    with pytest.raises(CallError, match="no double holds"):
        keys_of(f"""'[{{"k": {number}}}]'""")


def test_names_of_one_key_that_differ_by_case_only_are_refused() -> None:
    with pytest.raises(CallError, match="differ by case only"):
        keys_of("""'[{"k": 1, "K": 2}]'""")


@given(st.lists(st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.sampled_from("xyz")}), max_size=12))
def test_of_any_keys_each_is_there_once_in_the_order_of_its_first(keys: list[dict[str, Any]]) -> None:
    found = key_tuples(read_call(json.dumps(LEAST | {"keys": keys})))

    assert [dict(each) for each in found or ()] == [key for at, key in enumerate(keys) if key not in keys[:at]]


@pytest.mark.parametrize(
    "sql",
    [
        """'[{"owner": "a", "repo": "x"}, {"owner": "b"}]'""",
        """'[{"owner": "a"}, {"owner": "b", "repo": "y"}]'""",
        """'[{"owner": "a", "repo": "x"}, {}]'""",
        "[{owner: 'a', repo: 'x'}, {owner: 'b', repo: NULL}]",
        "[{owner: 'a', repo: {x: 1}}]",
        "[{owner: 'a', repo: ['x']}]",
    ],
)
def test_a_key_without_a_plain_value_is_told_by_its_name(sql: str) -> None:
    with pytest.raises(CallError, match=r"keys has no value for '(repo|owner)' in \{.*each key needs all of"):
        keys_of(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "[]",
        "'[]'",
        "NULL::STRUCT(owner VARCHAR)[]",
        "(SELECT list({owner: name}) FROM (SELECT 'a' AS name) WHERE name = 'b')",
    ],
)
def test_a_list_of_no_rows_holds_no_key(sql: str) -> None:
    assert keys_of(sql) == ()


@pytest.mark.parametrize("sql", ["NULL", "getvariable('never_set')"])
def test_keys_that_are_nothing_are_no_reason_to_read_everything(sql: str) -> None:
    with pytest.raises(CallError, match=r"keys is NULL\. If it is a variable, it is not set"):
        keys_of(sql)


def test_keys_have_a_default_that_is_not_given() -> None:
    assert keys_of("''") is None


@pytest.mark.parametrize("sql", ["'[{}]'", "['emea', 'apac']", "{region: 'emea'}", "'cus_0223'"])
def test_what_is_no_list_of_keys_is_refused_with_what_to_write(sql: str) -> None:
    with pytest.raises(CallError, match=r"write \[\{'name': value\}, \.\.\.\]"):
        keys_of(sql)


@pytest.mark.parametrize(
    "sql", ["[{api_key: 's3cret'}]", "[{k: 'a'}, {k: 'env:s3cret'}]", """'[{"password": "s3cret"}]'"""]
)
def test_keys_carry_no_credential(sql: str) -> None:
    with pytest.raises(CallError, match="carries a credential, which SQL must not") as caught:
        read(sql)

    assert "s3cret" not in str(caught.value)


def test_a_key_may_have_a_name_of_many_innocent_uses() -> None:
    assert keys_of("[{token: 'x'}]") == ((("token", "x"),),)


def test_a_time_that_rfc_3339_cannot_say_is_refused() -> None:
    with pytest.raises(CallError, match="cannot go into a URL"):
        keys_of("[{k: 'infinity'::TIMESTAMP}]")


# ---- planned --------------------------------------------------------------------------------------------------------


def test_a_name_that_no_request_can_carry_is_refused_with_what_to_write() -> None:
    with pytest.raises(CallError, match=r"keys has 'customer'.*\(there are: owner\)") as caught:
        plan("/{owner}/x", [{"owner": "a", "customer": 1}])

    assert "Say filters := {'customer': 'parameter'} beside it." in str(caught.value)


@pytest.mark.parametrize(
    ("path", "options", "have"),
    [
        ("/x", {}, "none"),
        ("/x", {"filters": {"id >=": "from"}}, "none"),
        ("/x", {"filters": {"id": "from"}, "params": {"from": 5}}, "none"),
        ("/{id}/x", {"path_params": {"id": 5}}, "none"),
        ("invoices", {}, "account, state"),
    ],
)
def test_a_key_needs_a_parameter_that_is_free_and_means_equality(path: str, options: dict[str, Any], have: str) -> None:
    with pytest.raises(CallError, match=rf"keys has 'id'.*\(there are: {have}\)"):
        plan(path, [{"id": 1}], **options)


def test_keys_fill_the_path_of_an_inferred_table() -> None:
    scan = plan("/{owner}/{repo}", REPOS)

    assert scan.columns is None
    assert scan.key_fields == (column("owner", "VARCHAR"), column("repo", "VARCHAR"))
    assert paths(push_down(scan, ())) == ["/a/x", "/b/y"]


def test_a_field_of_the_path_that_keys_leave_open_is_told() -> None:
    with pytest.raises(CallError, match=r"nothing fills \{repo\} in /\{owner\}/\{repo\}.*keys := \[\{'repo': "):
        plan("/{owner}/{repo}", [{"owner": "a"}])


def test_the_rest_of_a_path_may_come_from_path_params() -> None:
    scan = plan("/{owner}/{repo}", [{"repo": "x"}, {"repo": "y"}], path_params={"owner": "a"})

    assert paths(push_down(scan, ())) == ["/a/x", "/a/y"]


def test_the_rest_of_a_declared_tables_path_may_come_from_where() -> None:
    scan = plan("/{owner}/{repo}", [{"repo": "x"}, {"repo": "y"}], columns={"id": "BIGINT"})

    assert paths(push_down(scan, [OneOf("owner", ("a",))])) == ["/a/x", "/a/y"]
    with pytest.raises(CallError, match=r"needs owner and repo \(= or IN\); a join cannot"):
        push_down(scan, ())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"], "VARCHAR"),
        ([1, 2], "BIGINT"),
        ([1, 2.5], "DOUBLE"),
        ([True, False], "BOOLEAN"),
        ([1, 2**63], "HUGEINT"),
        ([1, "a"], "VARCHAR"),
        ([1, True], "VARCHAR"),
    ],
)
def test_a_column_of_a_key_has_the_narrowest_type_that_holds_its_values(values: list[object], kind: str) -> None:
    keys = [{"k": value} for value in values]

    declared = plan("/{k}", keys, columns={"id": "BIGINT"})
    inferred = plan("/{k}", keys)
    assert inferred.key_fields == (column("k", kind),)
    assert plan("/x", keys, filters={"k": "k"}).key_fields == (column("k", kind),)
    assert declared.columns is not None
    assert declared.columns[0] == column("id", "BIGINT")
    assert [each.name for each in declared.columns] == ["id", "k"]


def test_the_manifest_says_the_type_of_its_own_key() -> None:
    scan = plan("invoices", [{"account": "7", "state": "open"}])

    assert scan.columns == (column("id", "BIGINT"), column("state", "VARCHAR"), column("account", "BIGINT"))


def test_a_column_that_is_declared_stays_as_it_was_declared() -> None:
    scan = plan("/{owner}/{n}", [{"owner": "a", "n": 1}], columns={"id": "BIGINT", "OWNER": "VARCHAR", "n": "DOUBLE"})

    assert scan.columns == (column("id", "BIGINT"), column("OWNER", "VARCHAR"), column("n", "DOUBLE"))


@pytest.mark.parametrize("kind", ["JSON", "STRUCT(login VARCHAR)", "VARCHAR[]"])
@pytest.mark.parametrize(("path", "options"), [("/{owner}/x", {}), ("/x", {"filters": {"owner": "owner"}})])
def test_a_key_of_a_declared_column_without_plain_values_is_refused(
    kind: str, path: str, options: dict[str, Any]
) -> None:
    with pytest.raises(CallError, match="owner"):
        plan(path, [{"owner": "a"}], columns={"owner": kind}, **options)


def test_no_keys_are_no_trip_and_none_at_all_are_one() -> None:
    columns = {"id": "BIGINT"}

    assert push_down(plan("/{owner}/x", [], columns=columns), ()) == ()
    assert push_down(plan("/{owner}/x", [], columns=columns), [OneOf("owner", ("a", "b"))]) == ()
    assert len(push_down(plan("/x", "", columns=columns), ())) == 1


# ---- trips ----------------------------------------------------------------------------------------------------------


def test_each_key_is_a_trip_with_its_own_path_and_parameters() -> None:
    scan = plan("/{owner}/x", [{"owner": "a/b", "page": 1}, {"owner": "c", "page": 2}], filters={"page": "p"})

    trips = push_down(scan, ())

    assert [(trip.request.path, trip.request.params) for trip in trips] == [
        ("/a%2Fb/x", (("p", "1"),)),
        ("/c/x", (("p", "2"),)),
    ]
    assert [trip.given for trip in trips] == [(("owner", "a/b"), ("page", 1)), (("owner", "c"), ("page", 2))]
    assert [trip.fills for trip in trips] == [trip.given for trip in trips]
    assert [trip.keys for trip in trips] == [trip.given for trip in trips]


def test_the_names_of_keys_are_alike_without_case() -> None:
    scan = plan("/{owner}/x", [{"OWNER": "a"}], columns={"id": "BIGINT"})

    assert paths(push_down(scan, ())) == ["/a/x"]


def test_keys_and_values_of_in_multiply_in_their_order() -> None:
    scan = plan("/{owner}/x", [{"owner": "b"}, {"owner": "a"}], filters={"state": "s"}, columns={"state": "VARCHAR"})

    trips = push_down(scan, [OneOf("state", ("open", "draft"))])

    assert [(trip.request.path, dict(trip.request.params)["s"]) for trip in trips] == [
        ("/b/x", "open"),
        ("/b/x", "draft"),
        ("/a/x", "open"),
        ("/a/x", "draft"),
    ]
    assert trips[0].keys == (("owner", "b"), ("state", "open"))
    assert trips[0].given == (("owner", "b"),)


def test_bounds_go_into_the_trip_of_every_key() -> None:
    scan = plan("invoices", [{"account": 1}, {"account": 2}])

    trips = push_down(scan, [Compared("id", ">=", 9)])

    assert [trip.request.params for trip in trips] == [(("from", "9"),)] * 2


@pytest.mark.parametrize(
    ("predicates", "expected"),
    [
        ([OneOf("owner", ("a",))], ["/a/x"]),
        ([OneOf("OWNER", ("c", "a", "d"))], ["/a/x", "/c/x"]),
        ([OneOf("owner", ("d",))], []),
        ([OneOf("owner", ("a", "b")), OneOf("owner", ("b", "c"))], ["/b/x"]),
        ([OneOf("other", ("a",))], ["/a/x", "/b/x", "/c/x"]),
        ([Compared("owner", ">", "b")], ["/a/x", "/b/x", "/c/x"]),
        ([OneOf("owner", (1,))], ["/a/x", "/b/x", "/c/x"]),
    ],
)
def test_a_predicate_leaves_out_the_keys_that_it_excludes(predicates: list[Predicate], expected: list[str]) -> None:
    scan = plan("/{owner}/x", [{"owner": "a"}, {"owner": "b"}, {"owner": "c"}])

    assert paths(push_down(scan, predicates)) == expected


@pytest.mark.parametrize(
    ("value", "asked"), [(1, 1.0), (1.5, 1), (1, "1"), ("1", 1), (True, 1), (1, True), ("true", True)]
)
def test_a_value_of_another_type_leaves_no_key_out(value: object, asked: Any) -> None:
    scan = plan("/{k}", [{"k": value}])

    assert len(push_down(scan, [OneOf("k", (asked,))])) == 1


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1), st.integers(0, 5))
def test_a_key_that_is_asked_for_has_its_trip(keys: list[int], asked: list[int], row: int) -> None:
    found = paths(push_down(plan("/{k}", [{"k": key} for key in keys]), [OneOf("k", tuple(asked))]))

    assert len(found) == len(set(found))
    assert (f"/{row}" in found) == (row in keys and row in asked)


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_no_url_can_say_is_refused(number: str) -> None:
    """JSON can write numbers that no double holds; without its value a trip would ask for something else."""
    text = json.dumps(LEAST | {"path": "/{k}"})[:-1] + f', "keys": [{{"k": {number}}}]}}'

    with pytest.raises(CallError):
        push_down(plan_call(read_call(text), API), ())


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_key_that_would_climb_the_path_is_refused(value: str) -> None:
    with pytest.raises(CallError, match="cannot be part of the path"):
        push_down(plan("/{k}/x", [{"k": value}]), ())


@given(st.lists(st.fixed_dictionaries({"a": st.text(max_size=3), "b": st.integers() | st.booleans()}), max_size=4))
def test_no_trip_of_a_key_leaves_with_an_open_field_in_its_path(keys: list[dict[str, Any]]) -> None:
    try:
        trips = push_down(plan("/{a}/{b}", keys, columns={"id": "BIGINT"}), ())
    except CallError:
        return

    assert all(not fields_of(trip.request.path) for trip in trips)


# ---- how many -------------------------------------------------------------------------------------------------------


def test_a_thousand_keys_are_the_most_unless_more_requests_are_allowed() -> None:
    keys = [{"k": number} for number in range(1_001)]

    assert len(push_down(plan("/{k}", keys[:1_000]), ())) == 1_000
    with pytest.raises(CallError, match=r"the keys ask for 1001 trips; 1000 are the most\. Say a larger max_requests"):
        push_down(plan("/{k}", keys), ())
    assert len(push_down(plan("/{k}", keys, max_requests=1_001), ())) == 1_001


def test_keys_count_with_the_values_of_in() -> None:
    scan = plan("/{k}/{n}", [{"k": number} for number in range(501)], columns={"id": "BIGINT"})

    with pytest.raises(CallError, match="the keys ask for 1002 trips; 1000 are the most"):
        push_down(scan, [OneOf("n", ("a", "b"))])


def test_keys_that_a_predicate_leaves_out_do_not_count() -> None:
    scan = plan("/{k}", [{"k": number} for number in range(1_001)])

    assert paths(push_down(scan, [OneOf("k", (7, 5))])) == ["/5", "/7"]


def test_more_keys_than_requests_are_refused_beforehand() -> None:
    with pytest.raises(CallError, match="3 trips need as many requests at least; max_requests is 2"):
        push_down(plan("/{k}", [{"k": number} for number in range(3)], max_requests=2), ())


def test_a_number_as_key_of_a_time_is_sent_as_it_is() -> None:
    call = {
        "connector": "api",
        "path": "/x",
        "keys": [{"at": 5}, {"at": "2026-01-31T00:00:00Z"}],
        "filters": {"at": "at"},
        "columns": {"at": {"type": "TIMESTAMPTZ", "format": "epoch"}},
    }

    trips = push_down(plan_call(read_call(json.dumps(call)), API), [])

    assert [dict(trip.request.params)["at"] for trip in trips] == ["5", "1769817600"]


@pytest.mark.parametrize(
    ("kind", "value", "key"),
    [
        ("VARCHAR", 7, "7"),
        ("VARCHAR", 0.5, "0.5"),
        ("VARCHAR", True, "true"),
        ("VARCHAR", "seven", "seven"),
        ("BIGINT", 7, 7),
        ("TIMESTAMPTZ", "2026-01-31", "2026-01-31T00:00:00Z"),
        ("TIMESTAMP", "2026-01-31", "2026-01-31T00:00:00"),
        ("DATE", "2026-01-31", "2026-01-31"),
    ],
)
def test_a_key_is_of_the_type_of_its_column(kind: str, value: object, key: object) -> None:
    (trip,) = push_down(plan("/x", [{"k": value}], columns={"k": kind}, filters={"k": "k"}), [])

    assert trip.given == (("k", key),)


def test_a_key_of_a_time_that_is_none_is_sent_as_it_is() -> None:
    columns = {"at": {"type": "TIMESTAMPTZ", "format": "epoch"}}

    (trip,) = push_down(plan("/x", [{"at": "yesterday"}], columns=columns, filters={"at": "at"}), [])

    assert dict(trip.request.params)["at"] == "yesterday"


def test_a_key_outside_of_the_list_of_its_values_is_refused() -> None:
    key = KeyColumn(column="region", param="region", values=("emea", "apac"))

    with pytest.raises(CallError, match=r"cannot ask for region = mars \(one of emea, apac\)"):
        push_down(replace(plan("/x", [{"region": "mars"}], filters={"region": "region"}), key_columns=(key,)), [])
