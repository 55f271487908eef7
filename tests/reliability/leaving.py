"""A process that leaves while a scan runs: `python -m tests.reliability.leaving WHERE HOW SECONDS URL DOOR`.

`WHERE` the work goes on, `HOW` the main thread leaves, after so many seconds. Each is a line of the crash matrix.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

import apikit_sql
from apikit_sql.sql.seam import rows_of
from tests.webhook.signing import SECRET, stripe

CODE = 7  # with which it leaves where it may choose


def scan(con: Any, url: str, path: str) -> None:
    """Read all of it, or until it is stopped."""
    with contextlib.suppress(duckdb.Error, apikit_sql.ApikitError, RuntimeError, KeyboardInterrupt):
        con.execute(f"SELECT count(*), max(text) FROM apikit('{url}', '{path}')").fetchall()


def mutate(con: Any, url: str) -> None:
    """Change something again and again."""
    with contextlib.suppress(duckdb.Error, apikit_sql.ApikitError, RuntimeError):
        con.execute(f"SELECT apikit_post('{url}', '/items', {{n: i}}) FROM range(100) t(i)").fetchall()


def deliver(address: str) -> None:
    """Deliver webhooks until nobody takes them."""
    with contextlib.suppress(OSError):
        for number in range(10_000):
            body = json.dumps({"id": f"evt_{number}"}).encode()
            urllib.request.urlopen(urllib.request.Request(address, body, stripe(body)), timeout=5).close()  # noqa: S310


def batches(con: Any, url: str) -> Iterator[Any]:
    """The batches of a long scan; DuckDB 1.x hands out none before it has read all."""
    rows = rows_of(
        getattr(con, "_raw", con), f"SELECT id, repeat(text, 50) FROM apikit('{url}', '/items') LIMIT 20000", 1_000
    )
    assert rows is not None
    yield from rows.batches


def begin(where: str, con: Any, url: str) -> object:
    """Let the work begin; what is given stays until the process ends."""

    def thread(work: Callable[..., None], *arguments: object, daemon: bool = True) -> object:
        threading.Thread(target=work, args=arguments, daemon=daemon).start()
        return None

    match where:
        case "worker":
            return thread(scan, con.cursor(), url, "/few", daemon=False)  # for which Python waits
        case "daemon":
            return [thread(scan, con.cursor(), url, "/items") for _ in range(2)]
        case "stuck":
            return thread(scan, con.cursor(), url, "/stuck")
        case "silent":
            return thread(scan, con.cursor(), url, "/silent")
        case "generator":
            rows = batches(con, url)
            next(rows)
            return rows
        case "mutation":
            return thread(mutate, con.cursor(), url)
        case "webhook":
            os.environ["WEBHOOK_SECRET"] = SECRET
            start = "CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)"
            ((_, address, _),) = con.execute(start).fetchall()
            return [thread(deliver, address), thread(scan, con.cursor(), url, "/items")]
    raise AssertionError(where)


def leave(how: str) -> None:
    """Leave the main thread; where it returns, the script ends."""
    match how:
        case "exit":
            sys.exit(CODE)
        case "exception":
            message = "nobody catches this"
            raise LookupError(message)
        case "handled" | "killed":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)


def main() -> None:
    where, how, seconds, url, door = sys.argv[1:]
    if how == "handled":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(CODE))
    if door == "connect":
        con: Any = apikit_sql.connect(allow_mutations=[url])
    else:
        con = duckdb.connect()
        apikit_sql.install(con, allow_mutations=[url])
    print("ready", flush=True)  # noqa: T201
    if where == "main":
        stop = signal.SIGINT if how == "interrupted" else signal.SIGTERM
        threading.Timer(float(seconds), os.kill, (os.getpid(), stop)).start()
        with contextlib.suppress(SystemExit):
            scan(con, url, "/items")
        sys.exit(CODE)
    kept = begin(where, con, url)
    time.sleep(float(seconds))
    leave(how)
    del kept


if __name__ == "__main__":
    main()
