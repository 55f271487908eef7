"""The subcommands: each is one file of this folder, and one line here.

Such a file has `SUMMARY`, a line of help, and `run(arguments)`, which gives the exit code. It may raise whatever
`failures.ended` tells of, and ends the process with 2 where the arguments are wrong, as argparse does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

_COMMANDS = {
    "connectors": "apikit_sql.cli.connectors",
    "dbt-export": "apikit_sql.cli.dbt_export",
    "demo": "apikit_sql.cli.demo",
    "inspect": "apikit_sql.cli.inspect",
    "webhook": "apikit_sql.cli.webhook",
}
NAMES = tuple(_COMMANDS)


class Command(Protocol):
    """What the file of a subcommand has."""

    SUMMARY: str

    def run(self, arguments: Sequence[str]) -> int:
        """Do what `arguments` say; the exit code."""


def command(name: str) -> Command:
    """The subcommand of this name, imported now."""
    return cast("Command", import_module(_COMMANDS[name]))


def parser_of(name: str, summary: str) -> argparse.ArgumentParser:
    """What reads the arguments of the subcommand `name`; all have `--debug`, which `main` looks for."""
    parser = argparse.ArgumentParser(prog=f"apikit-sql {name}", description=summary, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="an error shows its traceback")
    return parser
