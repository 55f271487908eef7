"""The functions behind ours may be called by anybody with any text: they answer, or say what is wrong as we say it."""

import json
import re
from typing import Any

import duckdb
import pytest

from apikit_sql.errors import CallError
from apikit_sql.sql import catalog
from apikit_sql.sql.catalog import bind_sql, literal
from apikit_sql.sql.questions import arguments_of, read_question, read_variables
from apikit_sql.sql.table_names import call_of
from tests.fakes.api import FakeApi

Con = duckdb.DuckDBPyConnection

DEEP = "[" * 5_000 + "]" * 5_000
#: Deep enough for Python, and not for what reads JSON.
NESTED = "[" * 800 + "]" * 800
NO_QUESTION = (
    "", "apikit", "[]", "null", "{}", DEEP, "9" * 5_000, '{"function": 1}', '{"function": null}', '{"arguments": "{}"}',
    '{"function": "apikit", "arguments": {}}', '{"function": "record", "recording": "x", "question": ["{}"]}',
)  # fmt: skip
NO_ARGUMENTS = ("", "[]", "1", DEEP, "9" * 5_000, "{}", '{"nothing": "demo"}')


def ask(con: Con, question: str) -> None:
    con.execute(f"EXPLAIN FROM {bind_sql(literal(question))}")


@pytest.mark.parametrize("text", NO_QUESTION)
def test_a_text_that_is_no_question_is_an_error_of_ours(con: Con, api: FakeApi, text: str) -> None:
    with pytest.raises(duckdb.Error, match="CallError: apikit: this is no question as its macros ask one"):
        ask(con, text)

    assert api.seen == []


@pytest.mark.parametrize("question", ["record", "called", "stream", "explain"])
def test_a_question_that_lacks_what_it_is_about_is_an_error_of_ours(con: Con, question: str) -> None:
    name = catalog.EXPLAIN.name if question == "explain" else question

    with pytest.raises(duckdb.Error, match="CallError: "):
        ask(con, json.dumps({"function": name}))


@pytest.mark.parametrize("function", catalog.TABLE_FUNCTIONS, ids=lambda function: function.name)
@pytest.mark.parametrize("text", NO_ARGUMENTS)
def test_arguments_that_no_macro_writes_are_an_error_of_ours(
    con: Con, api: FakeApi, function: catalog.Function, text: str
) -> None:
    if function == catalog.EXPLAIN:
        pytest.skip("it looks at them when it is read")

    with pytest.raises(duckdb.Error, match="CallError: "):
        ask(con, json.dumps({"function": function.name, "arguments": text}))

    assert api.seen == []


@pytest.mark.parametrize("text", NO_ARGUMENTS)
def test_explain_refuses_them_when_it_is_read(con: Con, text: str) -> None:
    with pytest.raises(duckdb.Error, match="CallError: "):
        con.execute(f"SELECT {catalog.EXPLAIN_FUNCTION}($1, '[]')", [text])


@pytest.mark.parametrize("variables", ["[", "{}", "[1]", '[{"name": "a"}]', '[{"name": "a", "type": 1, "value": "1"}]'])
def test_variables_that_are_none_are_an_error_of_ours(con: Con, variables: str) -> None:
    given = json.dumps({"sql": "SELECT 1", "search_path": "", "time_zone": "UTC"})

    with pytest.raises(duckdb.Error, match="CallError: "):
        con.execute(f"SELECT {catalog.EXPLAIN_FUNCTION}($1, $2)", [given, variables])


def test_a_time_zone_that_there_is_none_is_an_error_of_ours(con: Con) -> None:
    given = json.dumps({"sql": "SELECT 1", "search_path": "", "time_zone": "nowhere"})

    with pytest.raises(duckdb.Error, match=r"CallError: the time zone 'nowhere' .*Unknown TimeZone"):
        con.execute(f"SELECT {catalog.EXPLAIN_FUNCTION}($1, '[]')", [given])


@pytest.mark.parametrize("function", [catalog.GET, catalog.FETCH], ids=lambda function: function.name)
@pytest.mark.parametrize("text", NO_ARGUMENTS)
def test_functions_of_a_row_refuse_them(con: Con, api: FakeApi, function: catalog.Function, text: str) -> None:
    with pytest.raises(duckdb.Error, match="CallError: "):
        con.execute(f"SELECT {function.behind}($1)", [text])

    assert api.seen == []


@pytest.mark.parametrize("text", NO_ARGUMENTS)
def test_a_mutation_of_them_is_an_outcome(con: Con, api: FakeApi, text: str) -> None:
    statement = "CREATE TABLE t AS SELECT 1"

    ((outcome,),) = con.execute(f"SELECT {catalog.POST.behind}($1, $2, '')", [text, statement]).fetchall()

    assert outcome["status"] is None
    assert "not sent" in outcome["error"]
    assert api.seen == []


def test_a_mutation_in_a_statement_that_is_none_is_refused(con: Con, api: FakeApi) -> None:
    with pytest.raises(duckdb.Error, match="CallError: apikit_post sends only inside"):
        con.execute(f"SELECT {catalog.POST.behind}('{{}}', 'CREATE TABEL t', '')")

    assert api.seen == []


def test_what_a_thread_of_duckdb_asks_is_refused(con: Con, api: FakeApi) -> None:
    question = json.dumps({"function": "apikit_scans", "arguments": '{"newest": #}'})
    rows = "SELECT replace($1, '#', (range % 9)::VARCHAR) AS q FROM range(400000)"  # more than one thread takes
    con.execute(f"CREATE TABLE asked AS {rows}", [question])

    with pytest.raises(duckdb.Error, match=r"CallError: apikit: __apikit_bind is asked by macros alone"):
        con.execute("SELECT count(DISTINCT left(__apikit_bind(q), 4)) FROM asked")

    assert api.seen == []


@pytest.mark.parametrize(
    ("option", "type_"),
    [("params", "STRUCT("), ("params", "STRUCT(a"), ("params", "MAP()"), ("params", "X["), ("params", "(" * 2_000)],
)
def test_a_type_that_is_none_is_an_error_of_ours(con: Con, option: str, type_: str) -> None:
    usual: dict[str, Any] = {argument.name: None for argument in catalog.APIKIT.arguments}
    usual |= dict.fromkeys(("params_type", "path_params_type", "keys_type"), '"NULL"')
    given = usual | {"connector": "https://api.test", "path": "/customers", "keys": "", option: {"a": "b"}}

    with pytest.raises(duckdb.Error, match="CallError: apikit: the type of an option cannot be read"):
        ask(con, json.dumps({"function": "apikit", "arguments": json.dumps(given | {f"{option}_type": type_})}))


@pytest.mark.parametrize("option", ["params", "path_params", "body", "filters", "variables"])
def test_a_value_that_is_nested_deeply_is_an_error_of_ours(con: Con, api: FakeApi, option: str) -> None:
    function, method = ("apikit_graphql", "") if option == "variables" else ("apikit", ", method := 'POST'")
    second = "'{a}'" if option == "variables" else "'/customers'"
    sql = f"FROM {function}('https://api.test', {second}, {option} := '{{\"a\": {NESTED}}}'::JSON{method})"

    with pytest.raises(duckdb.Error, match="CallError: "):
        con.execute(sql)

    assert api.seen == []


@pytest.mark.parametrize("key", ["[]", '"a"', "1"])
def test_keys_of_a_stream_that_are_no_object_are_an_error_of_ours(con: Con, key: str) -> None:
    con.execute("CALL apikit_attach('demo')")
    question = {"function": "stream", "table": "demo.customers", "arguments": f'{{"key": {key}, "key_type": ""}}'}

    if key == "[]":
        ask(con, json.dumps(question))
        return
    with pytest.raises(duckdb.Error, match=r"CallError: demo\.customers: the keys are no object"):
        ask(con, json.dumps(question))


@pytest.mark.parametrize("name", ["https://[/x", "http://[::1/x", "https://[]/x", "https://a]/x"])
def test_a_url_that_is_none_names_no_table(name: str) -> None:
    assert call_of(name) is None


def test_what_a_macro_hands_over_is_read_back() -> None:
    given = {"sql": "SELECT 1.50", "search_path": "", "time_zone": "UTC"}

    assert arguments_of(catalog.EXPLAIN, json.dumps(given)) == given
    assert read_question('{"function": "key"}') == {"function": "key"}
    assert read_variables('[{"name": "a", "type": "INTEGER", "value": "1"}]') == [
        {"name": "a", "type": "INTEGER", "value": "1"}
    ]
    with pytest.raises(CallError, match=re.escape("apikit_explain: this is not what its macro hands over")):
        arguments_of(catalog.EXPLAIN, json.dumps(given | {"time_zone": 1}))
