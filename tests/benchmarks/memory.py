"""Memory of a long scan: the peak of a process that reads 10,000,000 rows, against one that reads 100,000.

`python -m tests.benchmarks.memory [ROWS ...]`; a process of its own reads each number of rows, a multiple of 1,000.
"""

import json
import resource
import subprocess
import sys
import time

from tests.benchmarks.server import NUMBERS, running

FEW, MANY = 100_000, 10_000_000
#: What 10,000,000 rows may take beyond what 100,000 take, in MB.
GOAL = 50
COLUMNS = "{id: 'BIGINT', name: 'VARCHAR', amount: 'DOUBLE'}"
_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # what ru_maxrss counts in


def peak() -> float:
    """The most memory that this process has had so far, in MB.

    Linux lets a process begin with the peak of the one that started it: what was there before the scan is told, too.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / 2**20


def read(base_url: str, pages: int) -> dict[str, float]:
    """Peaks before and after the scan of all rows, its seconds, and what it gave."""
    import duckdb

    import apikit_sql

    with duckdb.connect() as con:
        apikit_sql.install(con)
        before, started = peak(), time.perf_counter()
        ((count, total),) = con.execute(
            f"""SELECT count(*), sum(id) FROM apikit('{base_url}', '/items', columns := {COLUMNS}, concurrency := 8,
                max_pages := {pages})"""
        ).fetchall()
        seconds = time.perf_counter() - started
    return {"before": before, "after": peak(), "seconds": seconds, "count": int(count), "sum": int(total)}


def measure(rows: int) -> float:
    """The peak of a process that reads this many rows; its sums are the server's own."""
    records = json.loads(NUMBERS)
    pages = rows // len(records)
    with running(pages, kind="numbers") as base_url:
        command = [sys.executable, "-m", "tests.benchmarks.memory", base_url, str(pages)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    assert found["count"] == pages * len(records)
    assert found["sum"] == pages * sum(record["id"] for record in records)
    print(  # noqa: T201
        f"{rows:10,} rows: {found['after']:6.1f} MB ({found['before']:.1f} before the scan), "
        f"{found['seconds']:6.1f} s, {rows / found['seconds']:,.0f} rows/s"
    )
    return float(found["after"])


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1].startswith("http"):
        print(json.dumps(read(sys.argv[1], int(sys.argv[2]))))  # noqa: T201
        return
    least, *others = [measure(int(rows)) for rows in sys.argv[1:] or (FEW, MANY)]
    for most in others:
        print(f"difference: {most - least:.1f} MB (goal: {GOAL})")  # noqa: T201


if __name__ == "__main__":
    main()
