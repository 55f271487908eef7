"""Webhook deliveries a second, acknowledged durably; and how long each waits at 1,000 a second.

`python -m tests.benchmarks.webhook [FOLDER]`: the database is a new file in FOLDER (the current one); its disk decides.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb

import apikit_sql
from apikit_sql.webhook import group_commit

#: Deliveries a second at the least, the aim, and milliseconds within which 99 of 100 are answered at 1,000 a second.
LEAST, AIM, PROMPT = 3_000, 5_000, 50
SECRET = "whsec_benchmark"
IN_GROUPS = group_commit._MOST_AT_ONCE


def fsync_ms(folder: Path) -> float:
    """What one append of 1 KB costs here, synced: nothing durable is faster alone."""
    with (folder / "probe").open("wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(100):
            file.write(b"x" * 1024)
            os.fsync(file.fileno())
    return (time.perf_counter() - begun) * 10


@contextmanager
def counted(con: duckdb.DuckDBPyConnection) -> Iterator[list[int]]:
    """The counts of rows, asked again and again while inside; each id must be there once, and no count be less."""
    counts, is_over, wrong = [0], threading.Event(), []

    def look() -> None:
        with con.cursor() as cursor:
            while not is_over.wait(0.02):
                ((rows, ids),) = cursor.execute("SELECT count(*), count(DISTINCT id) FROM stripe_events").fetchall()
                if rows != ids or rows < counts[-1]:
                    wrong.append((counts[-1], rows, ids))
                counts.append(rows)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield counts
    finally:
        is_over.set()
        reader.join()
    assert not wrong, wrong[:10]


def measure(
    folder: Path, count: int, rate: float, connections: int, at_once: int, *, is_read: bool = False
) -> dict[str, Any]:
    """What the generator tells of `count` deliveries, which must then be in the file; the counts too, if it is read."""
    group_commit._MOST_AT_ONCE = at_once
    file = folder / f"{time.time_ns()}.duckdb"
    with duckdb.connect(str(file)) as con:
        apikit_sql.install(con)
        con.execute("CALL apikit_webhook_start('stripe', 'stripe', 'env:WEBHOOK_SECRET', port := 0)")
        ((address,),) = con.execute("SELECT address FROM apikit_webhooks()").fetchall()
        port = address.rpartition(":")[2].partition("/")[0]
        arguments = [port, str(count), str(rate), str(connections)]
        cpu = time.process_time()
        reading: AbstractContextManager[list[int]] = counted(con) if is_read else nullcontext([])
        with reading as counts:
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.webhook_load", *arguments],
                stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"WEBHOOK_SECRET": SECRET},
            )  # fmt: skip
        cpu = time.process_time() - cpu
        ((stored,),) = con.execute("SELECT count(DISTINCT id) FROM stripe_events").fetchall()
        con.execute("CALL apikit_webhook_stop('stripe')")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["statuses"] == {"200": count}, found
    assert stored == count
    return found | {"server_cpu_us": cpu / count * 1e6, "counts": counts}


def show(what: str, found: dict[str, Any]) -> None:
    print(  # noqa: T201
        f"{what:42} {found['rate']:7,.0f}/s   p50 {found['p50_ms']:6.1f} ms   p99 {found['p99_ms']:6.1f} ms   "
        f"max {found['max_ms']:6.1f} ms   CPU {found['server_cpu_us']:.0f} + {found['client_cpu_us']:.0f} us each"
    )


def main() -> None:
    os.environ["WEBHOOK_SECRET"] = SECRET
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else ".") as name:
        folder = Path(name)
        print(f"one synced append of 1 KB: {fsync_ms(folder):.2f} ms")  # noqa: T201
        show("one commit for each delivery", measure(folder, 1_000, 0, 64, at_once=1))
        for connections in (64, 256):
            fastest = measure(folder, 20_000, 0, connections, at_once=IN_GROUPS)
            show(f"in groups, {connections} connections", fastest)
        print(f"  at least {LEAST:,}/s, the aim is {AIM:,}/s")  # noqa: T201
        show("in groups, 1,000 a second for 20 s", measure(folder, 20_000, 1_000, 64, at_once=IN_GROUPS))
        print(f"  p99 under {PROMPT} ms")  # noqa: T201
        read = measure(folder, 15_000, 1_000, 64, at_once=IN_GROUPS, is_read=True)
        show("SELECT while 1,000 a second arrive", read)
        counts = read["counts"]
        print(f"  {len(counts):,} counts, {len(set(counts)):,} of them different, none less than one before")  # noqa: T201


if __name__ == "__main__":
    main()
