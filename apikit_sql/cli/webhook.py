"""`apikit-sql webhook`: receives deliveries into a table of a database file, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event

from apikit_sql.cli.commands import parser_of
from apikit_sql.cli.function_arguments import add_flags, called_sql
from apikit_sql.cli.settings import Start
from apikit_sql.cli.shell import Shell
from apikit_sql.sql.catalog import WEBHOOK_START, WEBHOOK_STOP, WEBHOOKS, literal

SUMMARY = "receives the deliveries of a webhook into a table of a database file, until Ctrl-C"


def run(arguments: Sequence[str]) -> int:
    """0, when a signal has ended it: what was under way is answered then, and the counts are written to stdout."""
    options = _parser().parse_args(arguments)
    with _until_signal() as ended, closing(Shell(Start(options.file, env_file=options.env_file))) as shell:
        shell.query(called_sql(WEBHOOK_START, vars(options)))
        print("Ctrl-C stops it.", file=sys.stderr)  # noqa: T201 - to whoever has started it
        ended.wait()
        shell.query(f"FROM {WEBHOOKS.name}({literal(options.name)})", mode="line")
        shell.opened().con.execute(f"CALL {WEBHOOK_STOP.name}({literal(options.name)})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("webhook", SUMMARY)
    parser.add_argument("file", help="the database file that has the table")
    parser.add_argument("name", help=WEBHOOK_START.arguments[0].help)
    add_flags(parser, WEBHOOK_START, but=("name",))
    parser.add_argument("--env-file", metavar="FILE", help="variables for env: references")
    return parser


@contextmanager
def _until_signal() -> Iterator[Event]:
    """What is set by Ctrl-C, and by what a service manager sends."""
    ended = Event()
    before = {each: signal.signal(each, lambda *_: ended.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
