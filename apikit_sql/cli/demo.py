"""`apikit-sql demo`: the shell, with the demo API attached."""

from __future__ import annotations

from collections.abc import Sequence

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


def run(arguments: Sequence[str]) -> int:
    """The exit code of the shell, which takes the arguments."""
    return run_shell(parse(arguments, greeting=_GREETING, attach=["demo"]))
