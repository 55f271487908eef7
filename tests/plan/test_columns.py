"""Which operators an API answers, column by column."""

from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.plan.columns import operators_by_column


def test_the_operators_of_several_entries_stand_together_each_once() -> None:
    keys = [
        KeyColumn(column="Issued", param="from", operators=(">=",)),
        KeyColumn(column="issued", param="until", operators=("<=", ">=")),
        KeyColumn(column="state", param="state"),
    ]

    assert operators_by_column(keys) == {"issued": [">=", "<="], "state": ["="]}


def test_an_operator_on_a_field_stands_with_the_column_that_holds_it() -> None:
    assert operators_by_column([KeyColumn(column="user.login", param="creator")]) == {"user": ["= of login"]}
