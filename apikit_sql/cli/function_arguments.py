"""The arguments of a function of SQL as flags of a subcommand: the same names, the same help."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping

from apikit_sql.sql.catalog import Argument, Function, literal

#: What a flag may be given several times for.
_LISTS = frozenset({"secret", "tags"})
_NUMBERS = frozenset({"max_body", "port", "tolerance"})
_SWITCHES = frozenset({"csv_safe"})


def add_flags(parser: argparse.ArgumentParser, function: Function, *, but: Collection[str] = ()) -> None:
    """A flag for each argument of `function` whose name is none of `but`; one without a default must be given."""
    for argument in function.arguments:
        if argument.name not in but:
            _add_flag(parser, argument)


def called_sql(function: Function, given: Mapping[str, object]) -> str:
    """The CALL of `function` with those of its arguments that were `given`."""
    written = [
        f"{argument.name} := {_written(argument.name, given[argument.name])}"
        for argument in function.arguments
        if given.get(argument.name) is not None
    ]
    return f"CALL {function.name}({', '.join(written)})"


def _add_flag(parser: argparse.ArgumentParser, argument: Argument) -> None:
    flag, needed = f"--{argument.name.replace('_', '-')}", argument.default is None
    if argument.name in _SWITCHES:
        parser.add_argument(flag, action="store_true", default=None, help=argument.help)
    elif argument.name in _NUMBERS:
        parser.add_argument(flag, type=int, metavar="NUMBER", help=argument.help)
    elif argument.name in _LISTS:
        more = f"{argument.help}; again for more"
        parser.add_argument(flag, action="append", required=needed, metavar="TEXT", help=more)
    else:
        parser.add_argument(flag, required=needed, metavar="TEXT", help=argument.help)


def _written(name: str, value: object) -> str:
    """A value in SQL."""
    if isinstance(value, list):
        return f"[{', '.join(literal(str(each)) for each in value)}]"
    return str(value) if name in _NUMBERS | _SWITCHES else literal(str(value))
