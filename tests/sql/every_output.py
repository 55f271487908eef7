"""All that a process with secrets can put out, put out: run by `test_secrets_stay_hidden.py` in a folder of its own.

Its secrets are in the environment and in a keyring of its own, its manifests in the folder. What is said on stdout and
stderr, and what is left in the folder, is what is looked through. Arguments: the server's origin.
"""

import json
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import keyring
from keyring.backend import KeyringBackend

import apikit_sql
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.session import Session
from tests.fakes.echo import PLACES

CONNECTORS = sorted(file.stem for file in Path().glob("connectors/*.toml"))
IDS = "columns := {id: 'BIGINT'}"
#: The options with which a place fails where it should.
OPTIONS = {
    "drift": f"{IDS}, pagination := 'none'",
    "fields": f"{IDS}, data_path := 'items'",
    "next": f"{IDS}, pagination := {{strategy: 'next_url', next_url_path: 'next'}}",
}


class Keyring(KeyringBackend):
    """A keyring in memory. Without a priority it is never chosen."""

    def __init__(self) -> None:
        self.passwords = {"canary": os.environ["CANARY_KEYRING"]}

    def get_password(self, service: str, username: str) -> str | None:
        return self.passwords.get(username) if service == "apikit_sql" else None

    def set_password(self, service: str, username: str, password: str) -> None:
        assert service == "apikit_sql"
        self.passwords[username] = password

    def delete_password(self, service: str, username: str) -> None:
        assert service == "apikit_sql"
        del self.passwords[username]


class Clock:
    """A clock that stands still, however busy the machine is, and may leap."""

    def __init__(self) -> None:
        self.start = time.time()
        self.ahead = 0.0

    def __call__(self) -> float:
        return self.start + self.ahead


def tell(what: object) -> None:
    print(what, flush=True)  # noqa: T201 - what is put out is what is looked through


def failing(work: Callable[[], object]) -> bool:
    """Whether `work` raised, the error told in every way."""
    try:
        tell(work())
    except Exception as error:  # noqa: BLE001 - of any kind, for it is only told
        tell(f"{error}\n{error!r}\n{error.args!r}\n{vars(error)!r}\n{traceback.format_exc()}")
        return True
    return False


def read(con: Any, sql: str) -> object:
    return con.execute(sql).fetchall()


def bind_and_read(con: Any, sql: str) -> object:
    return con.sql(sql).fetchall()


def scan_everything(con: Any, origin: str) -> None:
    """Each place where the server tells a secret back, by each connector; all must fail."""
    sources = [(f"'{name}', '", name) for name in CONNECTORS] + [(f"'{origin}', '/adhoc", "adhoc")]
    for source, name in sources:
        tell(con.execute(f"FROM apikit({source}/ok', {IDS})").fetchall())
        many = 3 if name in {"oauth", "refresh"} else 1
        for place in PLACES:
            for number in range(many):
                options = OPTIONS.get(place.partition("-")[0], IDS)
                sql = f"FROM apikit({source}/{place}/{number}', {options})"
                assert failing(partial(read, con, sql)), sql
                if not place.startswith("drift"):  # else the secret is a value of the rows, and rightly told
                    sql = sql.replace(IDS, "sample_pages := 2")
                    assert failing(partial(bind_and_read, con, sql)), sql
    keys = "keys := [{n: 'ok'}, {n: 'missing'}, {n: 'denied'}], on_error := 'skip'"
    for source, _ in sources:
        sql = f"FROM apikit({source}/{{n}}', {keys}, {IDS})"
        failing(partial(read, con, sql))


def inspect_everything(con: Any, origin: str) -> None:
    """What is told of each of these places, be it an error."""
    for source in (*(f"'{name}', '" for name in CONNECTORS), f"'{origin}', '/adhoc"):
        for place in ("ok", *(f"{place}/0" for place in PLACES)):
            failing(partial(read, con, f"FROM apikit_inspect({source}/{place}')"))


def let_tokens_age(con: Any, clock: Clock) -> None:
    """A token that cannot be renewed but is still good; one that is over."""
    for ahead, is_over in ((980.0, False), (50.0, True)):
        clock.ahead += ahead
        for name in ("oauth", "refresh"):
            failed = failing(partial(read, con, f"FROM apikit('{name}', '/ok', {IDS})"))
            assert failed == is_over, (name, ahead)


def misconfigure(con: Any, origin: str) -> None:
    """What is told of settings that are wrong."""
    user, secret = os.environ["CANARY_USERINFO"], os.environ["CANARY_BEARER"]
    at = origin.replace("//", f"//someone:{user}@")
    assert failing(lambda: apikit_sql.install(con, tokens={at: "env:NONE"}))
    assert failing(lambda: apikit_sql.install(con, read_posts={at: ["/x"]}))
    assert failing(partial(read, con, f"FROM apikit('env', '/ok', {IDS})"))
    assert failing(lambda: con.execute(f"FROM apikit(?, '/ok', {IDS})", [at]).fetchall())
    assert failing(lambda: AuthConfig.model_validate({"type": "none", "token": secret}))
    assert failing(lambda: AuthConfig.model_validate({"type": "bearer", "tokn": secret}))
    tell(repr(AuthConfig.model_validate({"type": "bearer", "token": secret})))
    apikit_sql.install(con, tokens={"http://127.0.0.1:1": f"{secret}\n{secret}"})
    assert failing(partial(read, con, f"FROM apikit('http://127.0.0.1:1', '/ok', {IDS})"))
    assert failing(partial(read, con, f"FROM apikit('http://outside.test/adhoc', '/missing', {IDS})"))


def keep_and_explain(con: Any, origin: str) -> None:
    """Views, tables, plans and profiles."""
    con.execute("PRAGMA enable_profiling = 'json'")
    for number, name in enumerate([*CONNECTORS, origin]):
        path = "/adhoc/ok" if name == origin else "/ok"
        scan = f"FROM apikit('{name}', '{path}', columns := {{id: 'BIGINT'}})"
        con.execute(f"CREATE VIEW view_{number} AS {scan}")
        con.execute(f"CREATE MACRO macro_{number}() AS TABLE {scan}")
        ways = ("EXPLAIN", "EXPLAIN ANALYZE", "DESCRIBE", "SUMMARIZE", f"CREATE TABLE table_{number} AS", "")
        for each, way in enumerate(ways):
            con.execute(f"PRAGMA profiling_output = 'profile_{number}_{each}.json'")
            tell(con.execute(f"{way} {scan}").fetchall())
        failing(partial(read, con, scan.replace("/ok", "/body/0")))
    con.execute("PRAGMA disable_profiling")
    for name in ("views", "functions", "tables", "settings", "databases", "dependencies", "secrets"):
        tell(con.execute(f"FROM duckdb_{name}()").fetchall())


def introspect(con: Any, session: Session) -> None:
    for name in ("apikit_scans", "apikit_errors"):
        tell(con.execute(f"FROM {name}()").fetchall())
    tell([session, *session.requests])
    tell([*map(repr, session.errors), *map(vars, session.errors), *map(str, session.errors)])
    tell([*map(vars, session.scans), *session.failures])


def main(origin: str) -> None:
    """Everything, on a plain connection to a file and on one of ours."""
    warnings.simplefilter("always")
    keyring.set_keyring(Keyring())
    clock = Clock()
    session = Session(clock=clock)
    tokens = {origin: os.environ["CANARY_INSTALL"], "http://outside.test": os.environ["CANARY_INSTALL"]}
    plain = duckdb.connect("kept.duckdb")
    apikit_sql.install(plain, tokens=tokens, session=session)
    own = apikit_sql.connect(session=session, tokens=tokens)
    for con in (plain, own):
        scan_everything(con, origin)
    inspect_everything(own, origin)
    keep_and_explain(plain, origin)
    let_tokens_age(own, clock)
    misconfigure(own, origin)
    introspect(own, session)
    plain.close()
    own.close()
    tell(json.dumps({"requests": len(session.requests), "errors": len(session.errors)}))


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, filename=Path("debug.log"), format="%(name)s %(message)s")
    # httpcore's own log of what servers answer, header by header, is not ours
    logging.getLogger("httpcore").setLevel(logging.INFO)
    main(sys.argv[1])
