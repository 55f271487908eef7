"""The list of SQL functions: what it says of itself is what DuckDB can call."""

import json

import duckdb
import pytest

import apikit_sql
from apikit_sql.sql.catalog import (
    APIKIT,
    BIND_FUNCTION,
    FUNCTIONS,
    MARK_FUNCTION,
    SCALAR_FUNCTIONS,
    Argument,
    Function,
)

Con = duckdb.DuckDBPyConnection


@pytest.fixture
def bare() -> Con:
    """A connection with functions behind the macros that tell what they were given."""
    con = duckdb.connect()
    con.execute(f"CREATE MACRO {BIND_FUNCTION}(call) AS 'SELECT ' || chr(39) || replace(call, chr(39), '') || chr(39)")
    for function in SCALAR_FUNCTIONS:
        beside = ", statement, mark" if function.method else ""
        con.execute(f"CREATE MACRO {function.behind}(call{beside}) AS call")
    con.execute(f"CREATE MACRO {MARK_FUNCTION}(mark) AS 'm' || mark")
    return con


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
@pytest.mark.parametrize("temporary", [True, False])
def test_a_macro_parses_and_stands_in_its_catalog(bare: Con, function: Function, *, temporary: bool) -> None:
    bare.execute(function.macro_sql(temporary=temporary))

    found = bare.execute(
        "SELECT database_name, function_type FROM duckdb_functions() WHERE function_name = ?", [function.name]
    ).fetchall()
    kind = "macro" if function.returns else "table_macro"
    assert found == [("temp" if temporary else "memory", kind)]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_macro_is_made_twice(bare: Con, function: Function) -> None:
    bare.execute(function.macro_sql(temporary=True))
    bare.execute(function.macro_sql(temporary=True))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_argument_is_known_to_duckdb_in_the_order_of_the_list(function: Function) -> None:
    con = duckdb.connect()
    apikit_sql.install(con)

    ((parameters,),) = con.execute(
        "SELECT DISTINCT parameters FROM duckdb_functions() WHERE function_name = ?", [function.name]
    ).fetchall()

    assert parameters == [argument.name for argument in function.arguments]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_option_can_be_written_without_quotes(bare: Con, function: Function) -> None:
    bare.execute(function.macro_sql(temporary=True))
    given = ", ".join("'x'" if a.default is None else f"{a.name} := {a.default}" for a in function.arguments)

    called = f"(SELECT {function.name}({given}))" if function.returns else f"{function.name}({given})"
    assert bare.execute(f"SELECT count(*) FROM {called}").fetchall() == [(1,)]


def test_a_signature_lists_every_argument_with_its_default() -> None:
    assert APIKIT.signature == (
        "apikit(connector, path, params := NULL, path_params := NULL, keys := '', data_path := NULL, pages := NULL, "
        "pagination := NULL, page_size := NULL, max_pages := NULL, columns := NULL, types := NULL, nested := NULL, "
        "sample_pages := NULL, on_drift := NULL, extra := NULL, filters := NULL, method := NULL, body := NULL, "
        "headers := NULL, concurrency := NULL, on_error := NULL, timeout := NULL, max_wait := NULL, "
        "max_requests := NULL, cache := NULL)"
    )


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_making_a_macro_asks_nothing(function: Function) -> None:
    """A function that is bound when its macro is made would name a dataset that nobody reads."""
    con, asked = duckdb.connect(), []

    def bind(call: str) -> str:
        asked.append(call)
        return "SELECT 1"

    def change(call: str, _statement: str, _mark: str) -> str:
        return bind(call)

    if function.method:
        con.create_function(function.behind, change, ["VARCHAR"] * 3, "VARCHAR")
    else:
        con.create_function(function.behind, bind, ["VARCHAR"], "VARCHAR")
    con.execute(f"CREATE MACRO {MARK_FUNCTION}(mark) AS 'm' || mark")
    con.execute(function.macro_sql(temporary=False))

    assert asked == []


def test_a_signature_is_the_one_that_duckdb_shows_for_a_wrong_argument() -> None:
    con = duckdb.connect()
    apikit_sql.install(con)

    with pytest.raises(duckdb.BinderException) as caught:
        con.execute("FROM apikit('demo', 'issues', nosuch := 1)")

    assert APIKIT.signature in str(caught.value)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_function_and_argument_has_one_line_of_help(function: Function) -> None:
    texts = [function.help, *(argument.help for argument in function.arguments)]

    assert all(text.strip() == text and text and "\n" not in text for text in texts)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_the_arguments_that_must_be_given_come_first(function: Function) -> None:
    is_optional = [argument.default is not None for argument in function.arguments]

    assert is_optional == sorted(is_optional)
    assert len({argument.name for argument in function.arguments}) == len(function.arguments)


def test_the_function_behind_the_macros_is_told_call_and_types(bare: Con) -> None:
    bare.execute(APIKIT.macro_sql(temporary=True))

    ((text,),) = bare.execute(
        "FROM apikit('demo', 'issues', params := {since: TIMESTAMP '2026-01-02 03:04:05'})"
    ).fetchall()

    question = json.loads(text)
    arguments = json.loads(question["arguments"])
    assert question["function"] == "apikit"
    assert arguments["connector"] == "demo"
    assert arguments["params"] == {"since": "2026-01-02 03:04:05"}
    assert arguments["params_type"] == "STRUCT(since TIMESTAMP)"


@pytest.mark.parametrize("option", [argument for argument in APIKIT.arguments if argument.typed], ids=lambda a: a.name)
def test_an_option_that_is_not_given_has_no_type(bare: Con, option: Argument) -> None:
    """A list that is NULL has one: `keys` tells no key from no keys by it."""
    bare.execute(APIKIT.macro_sql(temporary=True))

    found = []
    for given in ("NULL", "getvariable('never_set')", "NULL::STRUCT(a VARCHAR)[]"):
        ((text,),) = bare.execute(f"FROM apikit('demo', 'issues', {option.name} := {given})").fetchall()
        arguments = json.loads(json.loads(text)["arguments"])
        assert arguments[option.name] is None
        found.append(arguments[f"{option.name}_type"])

    assert found[0] == found[1] == '"NULL"'
    assert found[2] == "STRUCT(a VARCHAR)[]"
