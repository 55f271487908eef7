"""The dot commands: what each is called, what it takes, and what it does. The README has the same table."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apikit_sql.cli.failures import ShellError
from apikit_sql.cli.settings import MODES, unescaped

if TYPE_CHECKING:
    from apikit_sql.cli.shell import Shell


_CODES = 256
_LONGEST_NUMBER = 18  # digits
_SHOWN = 80  # characters of what was typed


@dataclass(frozen=True)
class DotCommand:
    """One dot command. `takes` are its arguments, those in brackets may be left out."""

    name: str
    takes: str
    help: str
    run: Callable[..., object]

    @property
    def usage(self) -> str:
        """How it is written."""
        return f".{self.name} {self.takes}".rstrip()


class Quit(Exception):  # noqa: N818 - nothing went wrong
    """Leave the shell, with an exit code of its own unless that is None."""

    def __init__(self, code: int | None = None) -> None:
        """Leave it."""
        super().__init__()
        self.code = code


def run_dot_command(shell: Shell, line: str) -> None:
    """Do what `line` says. Raises ShellError where it says nothing that there is."""
    try:
        name, *arguments = shlex.split(line.rstrip("; ")[1:]) or [""]
    except ValueError as error:
        message = f"{line}: {error}"
        raise ShellError(message) from None
    found = [each for each in COMMANDS if each.name == name] or [
        each for each in COMMANDS if each.name.startswith(name)
    ]
    if not name or not found:
        message = f".{name} is no command; .help lists them."
        raise ShellError(message)
    command = found[0]
    wanted = command.takes.split()
    if not sum(not each.startswith("[") for each in wanted) <= len(arguments) <= len(wanted):
        message = f"it is written {command.usage}"
        raise ShellError(message)
    command.run(shell, *arguments)


def _mode(shell: Shell, name: str | None = None) -> None:
    if name is None:
        sys.stderr.write(f"{shell.settings.mode}\n")
        return
    if name not in MODES:
        message = f".mode takes one of {', '.join(MODES)}."
        raise ShellError(message)
    shell.settings.mode = name
    shell.settings.separator = None


def _once(shell: Shell, path: str) -> None:
    shell.target.once(path)


def _output(shell: Shell, path: str | None = None) -> None:
    shell.target.send_to(path)


def _set(name: str, value: Callable[[str], object]) -> Callable[..., None]:
    """What sets `name` of the settings to the `value` of what is written."""

    def run(shell: Shell, text: str) -> None:
        setattr(shell.settings, name, value(text))

    return run


def _switch(text: str) -> bool:
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if text.lower() not in known:
        message = f"{text!r} is neither on nor off."
        raise ShellError(message)
    return known[text.lower()]


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _LONGEST_NUMBER or int(text) < 1:
        message = f"{text[:_SHOWN]!r} is no number of rows."
        raise ShellError(message)
    return int(text)


def _help(_: Shell, name: str = "") -> None:
    found = [each for each in COMMANDS if each.name.startswith(name.lstrip("."))]
    if not found:
        message = f"{name} is no command; .help lists them."
        raise ShellError(message)
    width = max(len(each.usage) for each in found) + 2
    sys.stderr.write("".join(f"{each.usage:<{width}}{each.help}\n" for each in found))
    if not name:
        sys.stderr.write("SQL ends with a semicolon. FROM apikit_help() lists the functions that read APIs.\n")


def _quit(_: Shell, code: str | None = None) -> None:
    if code is not None and not (code.isdecimal() and int(code) < _CODES):
        message = f"{code!r} is no exit code."
        raise ShellError(message)
    raise Quit(None if code is None else int(code))


def _databases(shell: Shell) -> None:
    shell.query(
        "SELECT database_name AS name, path, type, readonly FROM duckdb_databases() "
        "WHERE NOT internal AND NOT starts_with(database_name, '__apikit') ORDER BY ALL"
    )


def _tables(shell: Shell, pattern: str = "%") -> None:
    shell.query(
        "SELECT * FROM ("  # noqa: S608 - literals are quoted
        "SELECT database_name AS database, schema_name AS schema, table_name AS name, 'table' AS kind "
        "FROM duckdb_tables() WHERE NOT internal UNION ALL "
        "SELECT database_name, schema_name, view_name, 'view' FROM duckdb_views() WHERE NOT internal"
        f") WHERE name LIKE {_literal(pattern)} ORDER BY ALL"
    )


def _schema(shell: Shell, pattern: str = "%") -> None:
    shell.query(
        "SELECT sql FROM (SELECT sql, table_name AS name, internal, 1 AS place FROM duckdb_tables() UNION ALL "  # noqa: S608 - literals are quoted
        "SELECT sql, table_name, false, 2 FROM duckdb_indexes() UNION ALL "
        "SELECT sql, view_name, internal, 3 FROM duckdb_views()) "
        f"WHERE NOT internal AND sql NOT LIKE '%\\_\\_apikit%' ESCAPE '\\' AND name LIKE {_literal(pattern)} "
        "ORDER BY place, name",
        mode="list",
        has_header=False,
    )


def _connectors(shell: Shell, name: str | None = None) -> None:
    if name is None:
        shell.query("SELECT name, configured, missing, streams, description FROM apikit_connectors() ORDER BY name")
    else:
        shell.query(f"FROM apikit_connectors({_literal(name)})", mode="line")


def _streams(shell: Shell, connector: str) -> None:
    shell.query(f"SELECT stream, path, needs, columns, description FROM apikit_streams({_literal(connector)})")  # noqa: S608 - literals are quoted


def _inspect(shell: Shell, what: str, path: str | None = None) -> None:
    from apikit_sql.cli.inspect import inspect_sql  # noqa: PLC0415 - brings DuckDB

    shell.query(inspect_sql(what, path), mode="line")


def _attach(shell: Shell, connector: str, name: str | None = None) -> None:
    named = "" if name is None else f", name := {_literal(name)}"
    shell.query(f"SELECT stream, needs, columns, description, error FROM apikit_attach({_literal(connector)}{named})")  # noqa: S608 - literals are quoted


def _requests(shell: Shell, number: str = "10") -> None:
    shell.query(f"SELECT sent_at, method, url, status, elapsed_ms, bytes FROM apikit_requests({_number(number)})")  # noqa: S608 - literals are quoted


def _literal(text: str) -> str:
    from apikit_sql.sql.catalog import literal  # noqa: PLC0415 - the first prompt needs none

    return literal(text)


COMMANDS = (
    DotCommand("mode", "[NAME]", "how rows are written", _mode),
    DotCommand("output", "[FILE]", "rows go there, or to the terminal again", _output),
    DotCommand("once", "FILE", "those of the next statement only", _once),
    DotCommand("read", "FILE", "run the file, to its first error", lambda shell, path: shell.run_file(path)),
    DotCommand("timer", "on|off", "how long each statement takes", _set("has_timer", _switch)),
    DotCommand("bail", "on|off", "the first error in stdin ends the shell", _set("is_bailing", _switch)),
    DotCommand("headers", "on|off", "with the names of columns, or without", _set("has_header", _switch)),
    DotCommand("nullvalue", "TEXT", "what stands for NULL", _set("null_value", str)),
    DotCommand("separator", "SEP", "between the columns of csv and list", _set("separator", unescaped)),
    DotCommand("maxrows", "NUMBER", "rows that duckbox shows", _set("most_rows", _number)),
    DotCommand("open", "[FILE]", "another database", lambda shell, path=":memory:": shell.reopen(path)),
    DotCommand("databases", "", "those that are open", _databases),
    DotCommand("tables", "[PATTERN]", "tables and views, by a pattern of LIKE", _tables),
    DotCommand("schema", "[PATTERN]", "the statements that made them", _schema),
    DotCommand("connectors", "[NAME]", "what APIs are known by name, and what they lack", _connectors),
    DotCommand("streams", "CONNECTOR", "the tables of one", _streams),
    DotCommand("inspect", "URL [PATH]", "what one request tells of an API", _inspect),
    DotCommand("attach", "CONNECTOR [NAME]", "a connector as a catalog", _attach),
    DotCommand("requests", "[NUMBER]", "the newest requests", _requests),
    DotCommand("help", "[NAME]", "these, or one of them", _help),
    DotCommand("quit", "[CODE]", "leave", _quit),
    DotCommand("exit", "[CODE]", "leave", _quit),
)
