"""apikit-sql: the shell, and its subcommands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from apikit_sql.cli import commands
from apikit_sql.cli.failures import ShellError, ended
from apikit_sql.cli.streams import use_utf8


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `apikit-sql` with `arguments`, those of the command line unless given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    use_utf8()
    return ended(lambda: _run(given), has_debug="--debug" in given)


def _run(given: list[str]) -> int:
    for number, each in enumerate(given, 1):
        if each != each.encode(errors="replace").decode():
            message = f"the argument {number} of the command line is no UTF-8."
            raise ShellError(message)
    if given and given[0] in commands.NAMES:
        return commands.command(given[0]).run(given[1:])
    from apikit_sql.cli.options import parse  # noqa: PLC0415 - a subcommand may need neither
    from apikit_sql.cli.shell import run_shell  # noqa: PLC0415

    return run_shell(parse(given))


if __name__ == "__main__":
    sys.exit(main())
