"""The rules for SQL that is not trusted, each against statements that would break it."""

import pytest

from apikit_sql.sql.catalog import FUNCTIONS
from tests.reliability.hostile_sql import AWAY, HOME, LED_AWAY, Rule, calls
from tests.reliability.sandbox import HERE, broken, led_away

pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("rule", HERE, ids=lambda rule: rule.promise)
def test_a_rule_holds(rule: Rule) -> None:
    found = broken(rule)

    assert not found, "\n".join(found)


def test_answers_lead_nowhere_else() -> None:
    found = led_away()

    assert not found, "\n".join(found)
    assert len(AWAY) * len(LED_AWAY) > 60


def test_each_function_that_takes_a_connector_is_tried() -> None:
    """So that a new one is seen."""
    tried = " ".join(calls(HOME))

    takers = {each.name for each in FUNCTIONS if any(argument.name == "connector" for argument in each.arguments)}
    assert {name for name in takers if f"{name}(" not in tried} == {"apikit_rate_limits"}


def test_a_rule_that_does_not_hold_is_found() -> None:
    rule = Rule("nothing", [f"FROM apikit('{HOME}', '/items')", "CREATE TABLE a(i INT)", "SET threads = 1"], "refused")

    found = broken(rule)

    assert ["sent" in text for text in found] == [False, True, False, False, False, False]
    assert [("changed" in text) for text in found][3::2] == [True, True]
