"""The running servers, and what their own stores say."""

import json
import os
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql

DATASETTE, JSON_SERVER_0, JSON_SERVER_1 = "http://127.0.0.1:18203", "http://127.0.0.1:18205", "http://127.0.0.1:18206"
HTTPBIN, POSTGRAPHILE = "http://127.0.0.1:18219", "http://127.0.0.1:18207"


@pytest.fixture(scope="session")
def store() -> Path:
    """The folder of the servers' stores, once all of them answer."""
    for port in (18203, 18205, 18206, 18207, 18219):
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"nothing answers at port {port}; start tests/servers/run"
                time.sleep(0.2)
    return Path(os.environ["APIKIT_TEST_STORE"])


@pytest.fixture(scope="session")
def truth(store: Path) -> Callable[[str], tuple[Any, ...]]:
    """A row of datasette's own SQLite file."""
    return lambda sql: tuple(sqlite3.connect(store / "nyc.db").execute(sql).fetchone())


@pytest.fixture(scope="session")
def postgres(store: Path) -> Callable[[str], list[str]]:
    """The values of a row of PostGraphile's own database, as text."""
    assert store.is_dir()
    ask = ["psql", "-h", os.environ["APIKIT_TEST_POSTGRES"], "-U", "postgres", "-At", "-c"]
    return lambda sql: subprocess.run([*ask, sql], check=True, capture_output=True, text=True).stdout.strip().split("|")


@pytest.fixture(scope="session")
def records(store: Path) -> dict[str, list[dict[str, Any]]]:
    """json-server's own records."""
    return dict(json.loads((store / "v0.json").read_text()))


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    apikit_sql.install(con, session=apikit_sql.Session())
    yield con
    con.close()
