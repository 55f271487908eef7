"""apikit-sql: the shell, and its subcommands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from apikit_sql.cli import commands
from apikit_sql.cli.failures import ended


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of `apikit-sql` with `arguments`, those of the command line unless given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    return ended(lambda: _run(given), has_debug="--debug" in given)


def _run(given: list[str]) -> int:
    if given and given[0] in commands.NAMES:
        return commands.command(given[0]).run(given[1:])
    from apikit_sql.cli.options import parse  # noqa: PLC0415 - a subcommand may need neither
    from apikit_sql.cli.shell import run_shell  # noqa: PLC0415

    return run_shell(parse(given))


if __name__ == "__main__":
    sys.exit(main())
