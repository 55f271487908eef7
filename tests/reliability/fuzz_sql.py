"""What reads texts in DuckDB and in the shell: the functions behind ours, which anybody may call, and names.

The API behind them is the fake one, so that whatever is asked for is answered, and nothing leaves the process.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

import apikit_sql
from apikit_sql import errors
from apikit_sql.cli.completion import candidates
from apikit_sql.cli.dot_commands import COMMANDS, Quit, run_dot_command
from apikit_sql.cli.failures import ShellError
from apikit_sql.cli.inspect import inspect_sql
from apikit_sql.cli.script import is_whole, pieces_of
from apikit_sql.cli.settings import Settings
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError
from apikit_sql.sql import catalog
from apikit_sql.sql.catalog import Function
from apikit_sql.sql.table_names import call_of, with_calls
from tests.fakes.api import FakeApi
from tests.reliability.fuzz_inputs import Dice, Target, Values
from tests.reliability.fuzz_texts import ADDRESSES

_OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ApikitError)}
_TOLD = re.compile(r"\b(\w+): ")
#: What would listen on a port, or write files, when it is read.
_DOING = {each.name for each in (catalog.WEBHOOK_START, catalog.WEBHOOK_STOP, *catalog.EXPORTING)}
_CALL = {
    "connector": "https://api.test",
    "path": "/customers",
    "params": {"limit": 5, "since": "2025-01-01 00:00:00", "tags": ["a", "b"]},
    "params_type": 'STRUCT("limit" INTEGER, since TIMESTAMP, tags VARCHAR[])',
    "path_params": {"owner": "x"},
    "path_params_type": "STRUCT(owner VARCHAR)",
    "keys": [{"owner": "a"}, {"owner": "b"}],
    "keys_type": "STRUCT(owner VARCHAR)[]",
    "key": {"owner": "a"},
    "key_type": "STRUCT(owner VARCHAR)",
    "variables": {"a": 1},
    "variables_type": "STRUCT(a INTEGER)",
    "columns": {"id": "BIGINT", "at": {"type": "TIMESTAMPTZ", "format": "epoch"}},
    "types": {"id": "VARCHAR"},
    "filters": {"state": "state", "updated_at >=": "since"},
    "pagination": {"strategy": "cursor", "cursor_param": "after", "next_cursor_path": "next"},
    "headers": {"accept": "application/json"},
    "body": {"a": 1.50, "at": "2025-01-01"},
    "query": "{ issues { nodes { number } } }",
    "sql": "SELECT id FROM apikit('https://api.test', '/customers') WHERE id > 3",
    "data_path": "items", "pages": 2, "page_size": 5, "max_pages": 3, "nested": "flatten", "sample_pages": 1,
    "on_drift": "null", "extra": True, "method": "POST", "concurrency": 2, "on_error": "skip", "timeout": 5.0,
    "max_wait": 1, "max_requests": 9, "cache": 60, "newest": 3, "name": "acme", "output_dir": "/nowhere/dbt",
    "provider": "stripe", "secret": "env:HOME", "port": 0, "host": "127.0.0.1", "tolerance": 10, "max_body": 100,
    "csv_safe": False, "tags": ["crm"], "idempotency_key": None, "search_path": "", "time_zone": "UTC",
    "error": "CallError", "catalog": "memory", "schema": "main", "current": "memory", "connection_path": None,
    "description": None,
}  # fmt: skip


#: What a macro hands over where its caller says nothing, if that is not NULL.
_DEFAULTS = {"keys": "", "output_dir": "dbt", "csv_safe": False}


def _arguments(function: Function) -> list[dict[str, Any]]:
    """What the macro of `function` would hand over: its defaults, and a value for each argument."""
    typed = [argument.name for argument in function.arguments if argument.typed]
    usual = {argument.name: _DEFAULTS.get(argument.name) for argument in function.arguments}
    usual |= {argument.name: _CALL[argument.name] for argument in function.arguments if argument.default is None}
    if function in catalog.EXPORTING:
        usual["name"] = _CALL["name"]
    usual |= {f"{name}_type": '"NULL"' for name in typed} | {name: _CALL[name] for name in function.from_caller}
    found = [usual]
    for name in (argument.name for argument in function.arguments if argument.name in _CALL):
        types = {f"{name}_type": _CALL[f"{name}_type"]} if name in typed else {}
        found.append(usual | {name: _CALL[name]} | types)
    return found


_OPTIONS = tuple(_CALL)
_CALLS = {each.name: Values(_arguments(each), _OPTIONS) for each in catalog.FUNCTIONS}
_CALLS[catalog.STREAM] = Values([{}, {"key": {"country": "NL"}, "key_type": "STRUCT(country VARCHAR)"}], _OPTIONS)
_QUESTIONS = tuple({each.name: None for each in catalog.TABLE_FUNCTIONS} | {catalog.STREAM: None})
_FORGED = Values(
    [
        {"function": "key"},
        {"function": "called", "name": "x", "recording": "x"},
        {"function": "record", "recording": "x", "question": '{"function": "apikit", "arguments": "{}"}'},
        {"function": "stream", "table": "demo.main.customers", "arguments": "{}"},
    ],
    ("function", "arguments", "table", "recording", "question", "name"),
)


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    session = Session(connectors=ConnectorRegistry(), transport=FakeApi().transport())
    con = duckdb.connect()
    apikit_sql.install(con, session=session, allow_mutations=["https://api.test"], max_requests=20, max_wait=0)
    con.execute("CALL apikit_attach('demo')")
    return con


def _answered(sql: str, *values: str) -> None:
    """What a statement does, or raises: of Python's errors only ours."""
    try:
        _connection().execute(sql, [_sendable(value) for value in values]).fetchmany(5)
    except ApikitError:
        return
    except duckdb.Error as error:
        text = str(error)
        if "Python exception" in text or "Traceback" in text or "Error: " not in text:
            assert _OURS & set(_TOLD.findall(text)), text


def _sendable(text: str) -> str:
    """What DuckDB takes as a text."""
    return text.encode(errors="replace").decode()


def _make_question(dice: Dice) -> str:
    if dice.number(8) == 7:
        return dice.json(_FORGED)
    name = dice.pick(_QUESTIONS)
    question = {"function": name, "arguments": dice.json(_CALLS[name])}
    if name == catalog.STREAM:
        question["table"] = "demo.customers"
    return dice.json(Values([question])) if dice.number(8) == 7 else json.dumps(question)


def _make_read(dice: Dice) -> str:
    name = dice.pick([each for each in _QUESTIONS if each not in _DOING])
    return json.dumps({"function": name, "table": "demo.customers", "arguments": dice.json(_CALLS[name])})


def _from(question: str) -> str:
    return f"FROM query(__apikit_bind({catalog.literal(_sendable(question))})) LIMIT 5"


def _make_row(dice: Dice) -> tuple[str, str]:
    function = dice.pick((catalog.GET, catalog.FETCH))
    return function.behind, dice.json(_CALLS[function.name])


def _read_row(given: tuple[str, str]) -> None:
    behind, text = given
    _answered(f"SELECT {behind}($1)", text)


_STATEMENTS = (
    "CREATE TABLE t AS SELECT apikit_post('https://api.test', '/customers')",
    "INSERT INTO t SELECT 1",
    "SELECT 1",
)


def _make_mutation(dice: Dice) -> tuple[str, str, str, str]:
    function = dice.pick(catalog.MUTATIONS)
    return function.behind, dice.json(_CALLS[function.name]), dice.text(_STATEMENTS), dice.text(("mark", ""))


def _mutate(given: tuple[str, str, str, str]) -> None:
    behind, *texts = given
    _answered(f"SELECT {behind}($1, $2, $3)", *texts)


def _make_explained(dice: Dice) -> tuple[str, str]:
    return dice.json(_CALLS[catalog.EXPLAIN.name]), dice.json(
        Values([[{"name": "a", "type": "INTEGER", "value": "1"}]])
    )


def _explain(given: tuple[str, str]) -> None:
    _answered("SELECT __apikit_explained($1, $2)", *given)


# statements and the shell

_SCRIPTS = (
    "SELECT 1; SELECT ';' -- a;b\n;\n.mode json\n",
    "FROM 'github:/orgs/duckdb/repos?a=1' t JOIN 'https://api.test/items?b=%41' USING (id);",
    "SELECT $$ ; $$, E'\\'', \"a;b\" /* ; */ FROM x;\n",
    "COPY (FROM 'demo:/orders') TO 'x.csv';",
    ".read 'a b'\nSELECT trim(BOTH FROM 'x:/y')",
)
_LINES = tuple(
    f".{each.name} {argument}"
    for each in COMMANDS
    for argument in ("", "on", "csv", "'a b' c", "demo 5", "https://api.test/x?a=1")
)


def _make_script(dice: Dice) -> str:
    return _sendable(dice.text(_SCRIPTS))


def _take_apart(text: str) -> None:
    for piece in pieces_of(text.splitlines(keepends=True)):
        with_calls(piece)
    is_whole(text)


def _name_table(text: str) -> None:
    call = call_of(_sendable(text))
    if call is not None:
        _connection().execute("SELECT json_serialize_sql($1)", [f"FROM {call}"])
        inspect_sql(_sendable(text), None)


@dataclass
class _Target:
    def once(self, path: str) -> None:
        """Rows would go there."""

    send_to = once


@dataclass
class _Shell:
    """What dot commands do things with; it does none."""

    settings: Settings = field(default_factory=Settings)
    target: _Target = field(default_factory=_Target)

    def query(self, sql: str, **_: object) -> None:
        _connection().execute("SELECT json_serialize_sql($1)", [_sendable(sql)])

    def run_file(self, path: str) -> None:
        """A file would be run."""

    reopen = run_file


def _command(line: str) -> None:
    if line.startswith("."):
        run_dot_command(_Shell(), line)  # type: ignore[arg-type]  # all of it that commands use


class _Names:
    keywords = ("select", "from")
    functions = ("apikit",)
    tables = (("memory", "main", "t"),)
    connectors = ("demo",)
    streams = columns = stream_columns = staticmethod(lambda *_: ["a b"])


def _complete(given: tuple[str, str]) -> None:
    for each in candidates(*given, _Names()):  # type: ignore[arg-type]  # as one of the tests' own
        assert each.length <= len(given[0])


def _split(make: Callable[[Dice], str]) -> Callable[[Dice], tuple[str, str]]:
    def halves(dice: Dice) -> tuple[str, str]:
        text = make(dice)
        at = dice.number(len(text) + 1)
        return text[:at], text[at:]

    return halves


def _typed(dice: Dice) -> str:
    return dice.text((*_SCRIPTS, *_LINES))


TARGETS = (
    Target("question", _make_question, lambda text: _answered(f"EXPLAIN {_from(text)}"), share=2),
    Target("unbound", _make_question, lambda text: _answered("SELECT __apikit_bind($1)", text)),
    Target("read", _make_read, lambda text: _answered(_from(text)), share=2),
    Target("row-function", _make_row, _read_row, share=2),
    Target("mutation", _make_mutation, _mutate, share=2),
    Target("explain", _make_explained, _explain, share=1),
    Target("script", _make_script, _take_apart, share=4),
    Target("table-name", lambda dice: dice.text(ADDRESSES), _name_table, (ShellError,), share=4),
    Target("dot-command", lambda dice: dice.text(_LINES), _command, (ShellError, Quit), share=4),
    Target("completion", _split(_typed), _complete, share=4),
)
