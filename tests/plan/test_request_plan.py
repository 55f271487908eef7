"""A request plan is narrowed by returning another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.plan.request_plan import RequestPlan

PLAN = RequestPlan(
    "api", "https://api.test", "/repos/{owner}/{repo}", params=(("state", "all"), ("tag", "a"), ("tag", "b"))
)
names = st.sampled_from(["state", "tag", "other", "since"])


def test_a_parameter_is_replaced_in_all_its_values() -> None:
    narrowed = PLAN.with_params({"tag": "c", "since": "x"})

    assert narrowed.params == (("state", "all"), ("tag", "c"), ("since", "x"))
    assert PLAN.params == (("state", "all"), ("tag", "a"), ("tag", "b"))


@given(st.dictionaries(names, st.text(max_size=4)), st.dictionaries(names, st.text(max_size=4)))
def test_the_last_value_of_a_parameter_is_the_only_one(first: dict[str, str], second: dict[str, str]) -> None:
    narrowed = PLAN.with_params(first).with_params(second)

    for name, value in (first | second).items():
        assert [found for key, found in narrowed.params if key == name] == [value]


def test_no_parameters_leave_the_plan_as_it_was() -> None:
    assert PLAN.with_params({}) == PLAN
    assert PLAN.with_path_values({}) == PLAN


def test_path_values_fill_the_open_fields() -> None:
    narrowed = PLAN.with_path_values({"owner": "a/b"})

    assert narrowed.path == "/repos/a%2Fb/{repo}"
    assert (fields_of(PLAN.path), fields_of(narrowed.path)) == (("owner", "repo"), ("repo",))


def test_a_path_value_that_climbs_is_refused() -> None:
    with pytest.raises(CallError, match="cannot be part of the path"):
        PLAN.with_path_values({"owner": ".."})
