"""`apikit-sql connectors`: which APIs are known by name; adds, removes, checks and tries them."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from contextlib import closing

from apikit_sql.cli.commands import parser_of
from apikit_sql.cli.failures import FAILED
from apikit_sql.cli.settings import MODES, Settings, Start
from apikit_sql.cli.shell import Shell
from apikit_sql.cli.visible import visible
from apikit_sql.connector.config_manager import ConfigManager
from apikit_sql.connector.lint import lint
from apikit_sql.engine.session import default_session
from apikit_sql.scan.trial import try_out
from apikit_sql.secrets import is_reference
from apikit_sql.sql.catalog import literal

SUMMARY = "list, show, add, remove, lint and test the APIs that are known by name"

#: What is asked for where it is not given, by the type of auth.
_SECRET_OF = {"bearer": "token", "apikey": "api_key", "basic": "password", "oauth2": "client_secret"}


def run(arguments: Sequence[str]) -> int:
    """0, or 1 where something is wrong with a connector."""
    options = _parser().parse_args(arguments)
    code: int = options.work(options)
    return code


def _parser() -> argparse.ArgumentParser:
    """A subcommand of its own for each thing that can be done."""
    parser = parser_of("connectors", SUMMARY)
    actions = parser.add_subparsers(required=True, metavar="{list,show,add,remove,lint,test}")

    def action(name: str, work: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        found.set_defaults(work=work)
        found.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return found

    listing = action("list", _list, "what is known, and what is missing")
    listing.add_argument("--mode", choices=MODES, default="duckbox", help="how rows are written")
    showing = action("show", _show, "one connector and its streams")
    showing.add_argument("name")
    _declare_add(action("add", _add, "declare an API in the config file; its secret goes into the keyring"))
    action("remove", _remove, "take one out of the config file, and its secrets out of the keyring").add_argument(
        "name"
    )
    linting = action("lint", _lint, "what is wrong or doubtful in manifests")
    linting.add_argument("files", nargs="+", metavar="FILE")
    testing = action("test", _test, "one request for each stream of a connector, or of a manifest file")
    testing.add_argument("name", metavar="NAME", help="a connector, or the path of its manifest")
    testing.add_argument("keys", nargs="*", type=_pair, metavar="KEY=VALUE", help="values of key columns")
    return parser


def _declare_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    parser.add_argument("base_url", nargs="?", metavar="URL")
    parser.add_argument("--extends", metavar="NAME", help="another account of a known API")
    parser.add_argument("--auth", choices=["none", *_SECRET_OF], help="its secret is asked for unless it is given")
    for name in ("token", "api-key", "password", "client-secret"):
        parser.add_argument(f"--{name}", type=_reference, metavar="REFERENCE", help="env:NAME or keyring:NAME")
    for name in ("username", "client-id", "token-url", "api-key-header"):
        parser.add_argument(f"--{name}", metavar="TEXT")
    parser.add_argument(
        "--set", action="append", type=_pair, default=[], metavar="KEY=VALUE", help="a setting, as site=acme"
    )


def _list(options: argparse.Namespace) -> int:
    _show_rows(
        options.mode, "SELECT name, configured, missing, streams, description FROM apikit_connectors() ORDER BY name"
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    name = literal(options.name)
    default_session().connectors.definition(options.name)  # an unknown name is an error
    _show_rows("line", f"FROM apikit_connectors({name})")
    sys.stdout.write("\n")
    _show_rows("duckbox", f"SELECT stream, path, needs, columns, description FROM apikit_streams({name})")  # noqa: S608 - literals are quoted
    return 0


def _show_rows(mode: str, sql: str) -> None:
    with closing(Shell(Start(settings=Settings(mode=mode)))) as shell:  # type: ignore[arg-type]  # one of MODES
        shell.query(sql)


def _add(options: argparse.Namespace) -> int:
    fields = ("token", "api_key", "password", "client_secret", "username", "client_id", "token_url", "api_key_header")
    auth = {name: getattr(options, name) for name in fields if getattr(options, name) is not None}
    wanted = _SECRET_OF.get(options.auth or "")
    if wanted is not None and wanted not in auth:
        auth[wanted] = _asked(wanted, options.name)
    config = ConfigManager()
    config.add_connector(
        options.name, options.base_url, options.auth, extends=options.extends, settings=dict(options.set), **auth
    )
    sys.stderr.write(f"{options.name} is in {config.path}. Try it: apikit-sql connectors test {options.name}\n")
    return 0


def _asked(what: str, name: str) -> str:
    """The secret that a person types, or that stands on stdin's first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass(f"{what} of {name}: ")


def _remove(options: argparse.Namespace) -> int:
    ConfigManager().remove_connector(options.name)
    return 0


def _lint(options: argparse.Namespace) -> int:
    found = [finding for file in options.files for finding in lint(file)]
    sys.stdout.write(visible("".join(f"{finding}\n" for finding in found)))
    return FAILED if any(finding.level == "error" for finding in found) else 0


def _test(options: argparse.Namespace) -> int:
    has_failed = False
    for trial in try_out(options.name, dict(options.keys)):
        sys.stdout.write(visible(f"{trial}\n"))
        sys.stdout.flush()
        has_failed = has_failed or trial.state == "failed"
    return FAILED if has_failed else 0


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not name or not mark:
        message = f"{text!r} is not KEY=VALUE"
        raise argparse.ArgumentTypeError(message)
    return name, value


def _reference(text: str) -> str:
    """A reference: a secret itself would be seen by whoever lists the processes, and stay in the history."""
    if not is_reference(text):
        message = "write env:NAME or keyring:NAME, or leave it out and be asked for the secret"
        raise argparse.ArgumentTypeError(message)
    return text
