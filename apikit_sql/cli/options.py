"""The command line of the shell."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apikit_sql.cli.commands import NAMES, command
from apikit_sql.cli.settings import MODES, Settings, Start, unescaped


class _Help(argparse.Action):
    """`-help`, with the subcommands, whose files are read for that alone."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        lines = [f"  {name:<12}{command(name).SUMMARY}" for name in NAMES]
        parser.epilog = "subcommands (apikit-sql NAME --help tells more):\n" + "\n".join(lines)
        parser.print_help()
        parser.exit()


class _Version(argparse.Action):
    """`-version`: that of this package and of DuckDB."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - this flag's alone

        parser.exit(message=f"apikit_sql {version('apikit_sql')}, DuckDB {version('duckdb')}\n")


class _Work(argparse.Action):
    """`-c` and `-f`, in one order."""

    def __call__(self, _: object, options: argparse.Namespace, value: object, flag: str | None = None) -> None:
        kind = "sql" if (flag or "").lstrip("-") in {"c", "s"} else "file"
        options.work = [*(options.work or []), (kind, str(value))]


class _Parser(argparse.ArgumentParser):
    """A parser in which `--`, as the value of a flag, is one: others lose it before Python 3.13."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:  # noqa: ANN401 - argparse's
        is_value = arg_strings == ["--"] and action.option_strings and action.nargs is None
        return "--" if is_value and action.type is None else super()._get_values(action, arg_strings)


def parse(arguments: Sequence[str], *, greeting: str = "", attach: Sequence[str] = ()) -> Start:
    """What `arguments` ask for. Ends the process with the exit code 2 where they are wrong."""
    parser = _parser()
    options, more = parser.parse_known_args(_checked(arguments, parser))
    if more:
        parser.error(f"{more[0]!r} is one too many: a database and one statement stand without a flag")
    _check_database(options.database, parser)
    settings = Settings(
        mode=options.mode or "duckbox",
        separator=None if options.separator is None else unescaped(options.separator),
        null_value=options.nullvalue,
        has_header=options.header,
        is_bailing=options.bail,
        has_debug=options.debug,
    )
    statement = [("sql", options.sql)] if options.sql is not None else []
    return Start(
        database=options.database,
        settings=settings,
        work=(*(options.work or ()), *statement),
        is_read_only=options.readonly,
        init_file=options.init,
        has_init=not options.no_init,
        output=options.o,
        attach=(*attach, *options.attach),
        allow_mutations=tuple(options.allow_mutations),
        env_file=options.env_file,
        cache=options.cache,
        greeting=greeting,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="apikit-sql",
        usage="apikit-sql [FLAGS] [DATABASE [SQL]]\n       apikit-sql {" + ",".join(NAMES) + "} ...",
        description="A SQL shell in which any REST or GraphQL API is a table.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("database", nargs="?", default=":memory:", help="a database file; in memory without one")
    parser.add_argument("sql", nargs="?", help="a statement to run")

    def flag(name: str, **options: object) -> None:
        """An option of one hyphen, as DuckDB's shell has them, and of two."""
        parser.add_argument(f"-{name}", f"--{name}", **options)  # type: ignore[arg-type]  # those of argparse

    flag("c", action=_Work, dest="work", metavar="SQL", help="run it and exit; again for more")
    flag("s", action=_Work, dest="work", help=argparse.SUPPRESS)
    flag("f", action=_Work, dest="work", metavar="FILE", help="run the file and exit; again for more")
    for mode in MODES:
        flag(mode, action="store_const", dest="mode", const=mode, help="how rows are written")
    flag("nullvalue", default="NULL", metavar="TEXT", help="what stands for NULL")
    flag("separator", metavar="SEP", help="between the columns of -csv and -list")
    flag("noheader", action="store_false", dest="header", help="without the names of columns")
    flag("header", action="store_true", default=True, help="with them")
    flag("o", metavar="FILE", help="rows go there")
    flag("readonly", action="store_true", help="the database is not changed")
    flag("bail", action="store_true", help="the first error in stdin ends the shell")
    flag("init", metavar="FILE", help="run this first, in the place of init.sql beside the config file")
    flag("no-init", action="store_true", help="run neither")
    flag("attach", action="append", default=[], metavar="NAME", help="a connector to attach as a catalog")
    flag("allow-mutations", action="append", default=[], metavar="NAME", help="an API that may be changed")
    flag("env-file", metavar="FILE", help="variables for env: references, where they are not set")
    flag("cache", type=_seconds, default=300, metavar="SECONDS", help="how old an answer may be (300)")
    flag("debug", action="store_true", help="an error shows its traceback")
    flag("version", action=_Version, nargs=0, help="of this package, and of DuckDB")
    parser.add_argument("-h", "-help", "--help", action=_Help, nargs=0, help="these")
    return parser


def _checked(arguments: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """`arguments`, each value joined to its flag. Ends the process where one looks like a flag, and is none.

    argparse would take `-cahce` for `-c ahce`, and run that; and no value of its own begins with a hyphen.
    """
    flags = {name.lstrip("-"): action for action in parser._actions for name in action.option_strings}  # noqa: SLF001 - no other way
    found, rest = [], iter(arguments)
    for each in rest:
        name, mark, _ = each.removeprefix("-").removeprefix("-").partition("=")
        if not each.startswith("-"):
            found.append(each)
        elif name not in flags:
            near = difflib.get_close_matches(name, flags, n=1)
            parser.error(f"there is no {each}. " + (f"Did you mean -{near[0]}?" if near else "-help lists the flags."))
        elif not mark and flags[name].nargs is None and (value := next(rest, None)) is not None:
            found.append(f"--{name}={value}")
        else:
            found.append(each)
    return found


def _check_database(name: str, parser: argparse.ArgumentParser) -> None:
    """End the process where `name` is a subcommand's, misspelt, rather than make a file of that name."""
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.8)
    if near and not Path(name).exists():
        parser.error(f"there is no {name}. Did you mean the subcommand {near[0]}? A new database is ./{name}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        message = f"{text!r} is no number of seconds"
        raise argparse.ArgumentTypeError(message)
    return seconds
