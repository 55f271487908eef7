"""Threads that open, scan, cancel and close without rest: `python -m tests.reliability.churning SECONDS SEED`.

A watchdog ends it, and shows where every thread is, where one of them has done nothing for too long.
"""

import faulthandler
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import duckdb

import apikit_sql
from apikit_sql.sql.seam import rows_of
from tests.reliability.endless import PAGES, ROWS, Endless

THREADS = 8
LONGEST = 30.0  # seconds that one thing may take
REFUSED = ("interrupted", "Interrupted", "INTERRUPT")  # which another thread may cause

Done = Counter[str]


class Churner(threading.Thread):
    """Does one thing after the other until the time is over."""

    def __init__(self, shared: duckdb.DuckDBPyConnection, url: str, seed: int, until: float) -> None:
        super().__init__(daemon=True)
        self.shared, self.url, self.until = shared, url, until
        self.chance = random.Random(seed)
        self.done: Done = Counter()
        self.failed: BaseException | None = None
        self.busy_since = time.monotonic()

    def run(self) -> None:
        works = (self.scan, self.explain, self.leave_early, self.open_another, self.install_again, self.interrupt)
        try:
            while time.monotonic() < self.until:
                self.busy_since = time.monotonic()
                work = self.chance.choice(works)
                work()
                self.done[work.__name__] += 1
        except BaseException as error:  # noqa: BLE001 - the main thread tells
            self.failed = error

    def scan(self) -> None:
        with self.shared.cursor() as cursor:
            found = cursor.execute(f"SELECT count(*) FROM apikit('{self.url}', '/few')").fetchall()
            assert found == [(ROWS * PAGES,)]

    def explain(self) -> None:
        with self.shared.cursor() as cursor:
            cursor.execute(f"EXPLAIN FROM apikit('{self.url}', '/few')").fetchall()

    def leave_early(self) -> None:
        cursor = self.shared.cursor()
        rows = rows_of(cursor, f"SELECT id, repeat(text, 50) FROM apikit('{self.url}', '/items') LIMIT 20000", 100)
        assert rows is not None
        assert rows.batches.read_next_batch().num_rows
        if self.chance.random() < 0.5:
            rows.batches.close()
            cursor.close()

    def open_another(self) -> None:
        con = duckdb.connect(config={"threads": 2})
        apikit_sql.install(con)
        assert con.execute(f"SELECT count(*) FROM apikit('{self.url}', '/few')").fetchall() == [(ROWS * PAGES,)]
        if self.chance.random() < 0.5:
            con.close()

    def install_again(self) -> None:
        with self.shared.cursor() as cursor:
            apikit_sql.install(cursor)

    def interrupt(self) -> None:
        con = apikit_sql.connect()
        timer = threading.Timer(self.chance.uniform(0, 0.1), con.interrupt)
        timer.start()
        try:
            con.execute(f"SELECT count(*) FROM apikit('{self.url}', '/few')").fetchall()
        except (apikit_sql.ScanInterrupted, duckdb.InterruptException, KeyboardInterrupt, RuntimeError) as error:
            self.done[type(error).__name__] += 1
        timer.join()
        con.close()


def installed_at_once(number: int) -> None:
    """One connection's cursors, and connections of their own, on which so many threads install at the same time."""
    for make in (duckdb.connect().cursor, duckdb.connect):
        together, failed = threading.Barrier(number), list[BaseException]()

        def install(con: Any) -> None:
            together.wait()  # noqa: B023 - the threads end within the round
            try:
                apikit_sql.install(con)
                assert con.execute("SELECT version FROM apikit('demo', 'status')").fetchall() == [("1.0",)]
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)  # noqa: B023 - as above

        threads = [threading.Thread(target=install, args=(make(),)) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed


def main() -> None:
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    faulthandler.dump_traceback_later(seconds + 2 * LONGEST, exit=True)
    installed_at_once(THREADS)
    api, shared = Endless(), duckdb.connect()
    apikit_sql.install(shared)
    until = time.monotonic() + seconds
    churners = [Churner(shared, api.url, seed * 100 + number, until) for number in range(THREADS)]
    for churner in churners:
        churner.start()
    while any(churner.is_alive() for churner in churners):
        time.sleep(0.05)
        for churner in churners:
            if churner.is_alive() and time.monotonic() - churner.busy_since > LONGEST:
                faulthandler.dump_traceback(all_threads=True)
                sys.exit("a thread hangs")
    for churner in churners:
        if churner.failed is not None:
            raise churner.failed
    done = sum((churner.done for churner in churners), Counter())
    print(f"{THREADS} threads churned for {seconds:g} s: {dict(done)}")  # noqa: T201


if __name__ == "__main__":
    main()
