"""The subcommands: each is one file of this folder, and one line here.

Such a file has `SUMMARY`, a line of help; `declare(parser)`, which says its arguments; and `run(options)`, which gives
the exit code, and raises what `failures.ended` tells of.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

_COMMANDS = {
    "connectors": "apikit_sql.cli.connectors",
    "demo": "apikit_sql.cli.demo",
    "inspect": "apikit_sql.cli.inspect",
}
NAMES = tuple(_COMMANDS)


class Command(Protocol):
    """What the file of a subcommand has."""

    SUMMARY: str

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Say which arguments it takes."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; the exit code."""


def command(name: str) -> Command:
    """The subcommand of this name, imported now."""
    return cast("Command", import_module(_COMMANDS[name]))


def run_command(name: str, arguments: Sequence[str]) -> int:
    """What the subcommand `name` does with `arguments`; its exit code, 2 where they are wrong."""
    found = command(name)
    parser = argparse.ArgumentParser(prog=f"apikit-sql {name}", description=found.SUMMARY, allow_abbrev=False)
    found.declare(parser)
    return found.run(parser.parse_args(arguments))
