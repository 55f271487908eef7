"""A whole scan: `apikit(...)` against the loop that one would write by hand with httpx and pyarrow."""

import time
from collections.abc import Callable

import duckdb
import httpx
import pyarrow as pa

import apikit_sql
from tests.benchmarks.server import running

PAGES = 100


def by_hand(base_url: str) -> int:
    """The sum of sizes: every page loaded, its records turned into an Arrow table, DuckDB asked."""
    records: list[dict[str, object]] = []
    url: str | None = f"{base_url}/items"
    with httpx.Client() as client:
        while url:
            response = client.get(url)
            records += response.json()
            following = response.links.get("next", {}).get("url")
            url = f"{base_url}{following}" if following else None
    table = pa.Table.from_pylist(records)
    with duckdb.connect() as con:
        con.register("repos", table)
        return int(con.execute("SELECT sum(size) FROM repos").fetchall()[0][0])


def by_apikit(base_url: str) -> int:
    """The same sum."""
    with duckdb.connect() as con:
        apikit_sql.install(con)
        return int(con.execute(f"SELECT sum(size) FROM apikit('{base_url}', '/items')").fetchall()[0][0])


def cpu_seconds(work: Callable[[str], int], base_url: str) -> tuple[float, int]:
    """The CPU seconds of this process, and what came out."""
    started = time.process_time()
    found = work(base_url)
    return time.process_time() - started, found


def main() -> None:
    with running(PAGES) as base_url:
        by_apikit(base_url)
        taken = {work.__name__: min(cpu_seconds(work, base_url) for _ in range(5)) for work in (by_apikit, by_hand)}
    (ours, sum_ours), (theirs, sum_theirs) = taken["by_apikit"], taken["by_hand"]
    assert sum_ours == sum_theirs
    print(f"{PAGES} pages: apikit {ours:.2f} s, by hand {theirs:.2f} s of CPU, ratio {ours / theirs:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
