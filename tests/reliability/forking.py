"""A process that forks: `python -m tests.reliability.forking KIND TIMES URL`.

Children end as those of multiprocessing do, by os._exit: DuckDB 2.0 aborts a forked child that ends in another way,
and waits for ever there for threads of a database that its parent left open.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time

import duckdb

import apikit_sql
from tests.reliability.endless import PAGES, ROWS

LONGEST = 30.0  # seconds that a child may take
EXPECTED = [(ROWS * PAGES,)]


def count(url: str) -> list[tuple[int]]:
    """The rows of a few pages, read in a database of one's own."""
    con = duckdb.connect()
    apikit_sql.install(con)
    found: list[tuple[int]] = con.execute(f"SELECT count(*) FROM apikit('{url}', '/few')").fetchall()
    con.close()
    return found


def count_inherited(con: duckdb.DuckDBPyConnection, url: str) -> bool:
    """Whether the parent's connection tells a child that it is the parent's."""
    try:
        con.execute(f"SELECT count(*) FROM apikit('{url}', '/few')").fetchall()
    except duckdb.Error as error:
        return "Open one of your own in the child" in str(error)
    return False


def ended(child: int) -> int | None:
    """The return code of `child`; None where it hung, and was ended."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def fork(kind: str, url: str, con: duckdb.DuckDBPyConnection) -> None:
    """A child that scans on its own, or with what it inherited."""
    child = os.fork()
    if child == 0:
        is_well = False
        try:
            is_well = count_inherited(con, url) if kind == "inherited" else count(url) == EXPECTED
        finally:
            os._exit(0 if is_well else 1)
    assert ended(child) == 0, kind


def scan_endlessly(con: duckdb.DuckDBPyConnection, url: str, told: list[str]) -> None:
    try:
        con.execute(f"SELECT count(*) FROM apikit('{url}', '/items')").fetchall()
    except duckdb.Error as error:
        told.append(str(error))


def forks_during(times: int, url: str) -> None:
    """Fork while threads scan; their scans go on, and stop when they are told to."""
    con, told = apikit_sql.connect(), list[str]()
    threads = [threading.Thread(target=scan_endlessly, args=(con.cursor()._raw, url, told)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(times):
        time.sleep(0.1)
        fork("during", url, con._raw)
        assert all(thread.is_alive() for thread in threads), told
    con.interrupt()
    for thread in threads:
        thread.join(LONGEST)
    assert len(told) == 2, told


def main() -> None:
    kind, times, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if kind in {"pool", "spawn"}:
        assert count(url) == EXPECTED
        with multiprocessing.get_context("fork" if kind == "pool" else "spawn").Pool(2) as pool:
            assert pool.map_async(count, [url] * times).get(2 * LONGEST) == [EXPECTED] * times
    elif kind == "during":
        forks_during(times, url)
    else:
        con = duckdb.connect()
        if kind != "before":
            apikit_sql.install(con)
            assert con.execute(f"SELECT count(*) FROM apikit('{url}', '/few')").fetchall() == EXPECTED
        for _ in range(times):
            fork(kind, url, con)
    assert count(url) == EXPECTED  # the parent is unharmed
    print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
