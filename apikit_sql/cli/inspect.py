"""`apikit-sql inspect`: what one request tells of an API."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing

from apikit_sql.cli.commands import parser_of
from apikit_sql.cli.failures import FAILED, ShellError
from apikit_sql.cli.settings import Settings, Start
from apikit_sql.cli.shell import Shell
from apikit_sql.sql.catalog import APIKIT, INSPECT, literal
from apikit_sql.sql.table_names import call_of

SUMMARY = "what one request tells of an API: its columns, how it pages, a manifest"


def run(arguments: Sequence[str]) -> int:
    """0 where the API has answered, else 1."""
    options = _parser().parse_args(arguments)
    settings = Settings(mode="line" if options.part is None else "json" if options.part == "*" else "list")
    settings.has_header = False
    with closing(Shell(Start(settings=settings, env_file=options.env_file))) as shell:
        shell.query(f"CREATE TEMP TABLE inspected AS {inspect_sql(options.url, options.path)}")
        ((error,),) = shell.opened().con.execute("SELECT error FROM inspected").fetchall()
        if error is not None and options.part in {"manifest", "sql"}:
            raise ShellError(error)
        shell.query(f"SELECT {options.part or '*'} FROM inspected")  # noqa: S608 - one of three words
    return 0 if error is None else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("inspect", SUMMARY)
    parser.add_argument("url", help="https://host/path?limit=10, connector:/path, or a connector's name")
    parser.add_argument("path", nargs="?", help="the path or the stream, behind a connector's name or a base URL")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--manifest", action="store_const", dest="part", const="manifest", help="the manifest alone")
    part.add_argument("--sql", action="store_const", dest="part", const="sql", help="the statement alone that reads it")
    part.add_argument("--json", action="store_const", dest="part", const="*", help="all of it, as JSON")
    parser.add_argument("--env-file", metavar="FILE", help="variables for env: references")
    return parser


def inspect_sql(url: str, path: str | None) -> str:
    """The call of apikit_inspect() for a URL, or a connector and a path. Raises ShellError where it is neither."""
    if path is not None:
        return f"FROM {INSPECT.name}({literal(url)}, {literal(path)})"
    call = call_of(url)
    if call is None:
        message = f"{url!r} is no URL; write https://host/path, connector:/path, or a connector and a path."
        raise ShellError(message)
    return "FROM " + call.replace(f"{APIKIT.name}(", f"{INSPECT.name}(", 1)
