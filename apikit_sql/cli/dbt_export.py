"""`apikit-sql dbt-export`: an endpoint, or the rows of a SELECT, as a seed and a source of a dbt project."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing

from apikit_sql.cli.commands import parser_of
from apikit_sql.cli.function_arguments import add_flags, called_sql
from apikit_sql.cli.settings import Start
from apikit_sql.cli.shell import Shell
from apikit_sql.sql.catalog import DBT_EXPORT, DBT_EXPORT_QUERY

SUMMARY = "all records of an endpoint, or the rows of a SELECT, as a seed and a source of a dbt project"


def run(arguments: Sequence[str]) -> int:
    """0; the files and what became of each are written to stdout."""
    parser = _parser()
    options = parser.parse_args(arguments)
    has_path = options.path is not None
    if has_path == (options.sql is not None):
        parser.error("give a connector and a path, or --sql")
    if not has_path and (options.params or options.path_params):
        parser.error("--params and --path-params are of a connector and a path")
    function = DBT_EXPORT if has_path else DBT_EXPORT_QUERY
    with closing(Shell(Start(env_file=options.env_file))) as shell:
        shell.query(called_sql(function, vars(options)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("dbt-export", SUMMARY)
    parser.add_argument("connector", nargs="?", help=DBT_EXPORT.arguments[0].help)
    parser.add_argument("path", nargs="?", help=DBT_EXPORT.arguments[1].help)
    parser.add_argument("--sql", metavar="SELECT", help="a statement instead")
    add_flags(parser, DBT_EXPORT, but=("connector", "path"))
    parser.add_argument("--env-file", metavar="FILE", help="variables for env: references")
    return parser
