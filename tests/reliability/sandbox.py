"""SQL that is not trusted: each rule of install() against statements that would break it.

`python -m tests.reliability.sandbox`. Each rule has a connection of its own on the fake API, in a folder of its own. A
statement must be refused, with the words that the rule has for it; and whatever it says, nothing may be sent, no file
written, no setting changed, no port opened, no catalog or table made. Then a statement that is allowed runs, so that a
rule which refuses everything is seen.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.sql.database import database_of
from tests.fakes.api import FakeApi
from tests.reliability.hostile_sql import AWAY, LED_AWAY, RULES, SECRET, Rule

IS_2 = duckdb.__version__.startswith("2.")
HERE = [rule for rule in RULES if IS_2 or not rule.is_of_2]
_STATE = """
    SELECT 'setting', name, value FROM system.main.duckdb_settings()
    UNION ALL SELECT 'database', database_name, path FROM system.main.duckdb_databases()
    UNION ALL SELECT 'table', table_name, '' FROM system.main.duckdb_tables()
"""
_REFUSED = "OriginError|away from|is not a URL|cannot be"


@contextmanager
def yard(rule: Rule) -> Iterator[tuple[Any, FakeApi]]:
    """A connection with the rule's options, and the fake API behind it, in a folder of its own."""
    api = FakeApi({"/items": httpx.Response(200, json=[{"id": 1}])})
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "inside"
        inside.mkdir()
        (inside / "link").symlink_to(folder)
        with chdir(inside), closing(Session(connectors=ConnectorRegistry(), transport=api.transport())) as session:
            connect: Any = apikit_sql.connect if rule.is_own else duckdb.connect
            with closing(connect(config=rule.config)) as con:
                apikit_sql.install(con, session=session)
                for statement in rule.before:
                    con.execute(statement).fetchall()
                apikit_sql.install(con, session=session, **rule.options)
                yield con, api


def state(con: Any) -> set[str]:
    """What no hostile statement may change: settings, databases, tables, files, ports."""
    database = database_of(con)
    assert database is not None
    ports = [receiver.address for _, receiver in database.webhooks.running(None)]
    return {str(row) for row in con.execute(_STATE).fetchall()} | {*map(str, Path("..").rglob("*"))} | {*ports}


def outcome(con: Any, statement: str) -> str:
    """What DuckDB says of a statement, all of its rows read."""
    try:
        return f"it gave {con.execute(statement).fetchall()}"
    except (duckdb.Error, apikit_sql.ApikitError) as error:
        return f"Error: {error}"


def broken(rule: Rule) -> list[str]:
    """The statements that were not refused, or changed or sent something all the same, and what became of them."""
    found = []
    with yard(rule) as (con, api):
        before = state(con)
        for statement in rule.hostile:
            sent = len(api.seen)
            said = outcome(con, statement)
            con.execute("DROP TABLE IF EXISTS evil") if "TABLE evil AS SELECT" in statement else None
            if not re.search(rule.words, said):
                found.append(f"{statement}\n    {said}")
            if SECRET in said.partition("LINE 1:")[0]:
                found.append(f"{statement}\n    tells the credential: {said}")
            if state(con) != before:
                found.append(f"{statement}\n    changed {state(con) ^ before}")
            if len(api.seen) > sent:
                found.append(f"{statement}\n    sent {[str(each.url) for each in api.seen[sent:]]}")
        con.execute(rule.allowed).fetchall()
    return found


def led_away() -> list[str]:
    """What was asked away from home because an answer said so, or was not refused."""
    found = []
    with yard(Rule("", (), "")) as (con, api):
        for away in AWAY:
            api.routes |= {
                "/redirect": httpx.Response(302, headers={"location": away}),
                "/link": httpx.Response(200, json=[{"id": 1}], headers={"link": f'<{away}>; rel="next"'}),
                "/body": httpx.Response(200, json={"items": [{"id": 1}], "next": away}),
            }
            said = {statement: outcome(con, statement) for statement in LED_AWAY}
            found += [f"{each}: {away}\n    {text}" for each, text in said.items() if not re.search(_REFUSED, text)]
        places = {(each.url.scheme, each.url.host, each.url.port) for each in api.seen}
        found += [f"asked {place}" for place in places - {("https", "api.test", None)}]
    return found


def main() -> None:
    """A line for each rule, and how many statements broke it."""
    os.environ["APIKIT_CONFIG_PATH"] = str(Path(tempfile.gettempdir()) / "no folder" / "config.toml")
    failed: list[str] = []
    for rule in HERE:
        found = broken(rule)
        failed += found
        print(f"{len(rule.hostile):4} statements, {len(found)} not refused: {rule.promise}")  # noqa: T201
    found = led_away()
    print(f"{len(AWAY) * len(LED_AWAY):4} statements, {len(found)} not refused: answers lead nowhere")  # noqa: T201
    if failed + found:
        raise SystemExit("\n".join(failed + found))


if __name__ == "__main__":
    main()
