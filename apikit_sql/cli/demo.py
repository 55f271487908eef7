"""`apikit-sql demo`: the shell, with the demo API attached."""

from __future__ import annotations

import argparse

from apikit_sql.cli.options import parse
from apikit_sql.cli.shell import run_shell

SUMMARY = "the shell with the embedded demo API attached, to look around; takes the shell's flags"
_GREETING = """\
The demo API is attached: an API of a small company, served by this process. Try

  FROM demo.issues WHERE state = 'open' LIMIT 5;
  SELECT country, count(*) FROM demo.customers GROUP BY ALL ORDER BY 2 DESC;
  FROM 'demo:/status';
  .streams demo
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Whatever the shell takes."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="flags of the shell (apikit-sql --help)")


def run(options: argparse.Namespace) -> int:
    """The exit code of the shell."""
    return run_shell(parse(options.arguments, greeting=_GREETING, attach=["demo"]))
