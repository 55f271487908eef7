"""Pages fetched ahead: a scan of 100 pages at 50 ms latency, against the least time that so many requests can take."""

import statistics
import time

import duckdb

import apikit_sql
from apikit_sql.engine.session import Session
from tests.benchmarks.server import running

PAGES, LATENCY, ROUNDS = 100, 0.05, 5
SUMS = {"numbers": "SELECT sum(id) FROM {call}", "repositories": "SELECT sum(size) FROM {call}"}


def run(con: duckdb.DuckDBPyConnection, session: Session, base_url: str, query: str, concurrency: int) -> float:
    """Seconds that the query took; what it sent stands in the session."""
    columns = "{id: 'BIGINT', size: 'BIGINT'}"
    call = f"apikit('{base_url}', '/items', columns := {columns}, concurrency := {concurrency})"
    session.requests.clear()
    started = time.perf_counter()
    con.execute(query.format(call=call)).fetchall()
    return time.perf_counter() - started


def compare(con: duckdb.DuckDBPyConnection, session: Session, kind: str) -> None:
    """Print what 1, 8 and 16 in flight take, and what LIMIT does."""
    with running(PAGES, LATENCY, kind) as base_url:
        run(con, session, base_url, "FROM {call} LIMIT 10", 1)  # imports, the client
        for concurrency in (1, 8, 16):
            taken = []
            for _ in range(ROUNDS):
                taken.append(run(con, session, base_url, SUMS[kind], concurrency))
                assert len(session.requests) == PAGES
            least, median = LATENCY * (1 + (PAGES - 1) / concurrency), statistics.median(taken)
            print(f"{kind}, {concurrency:2} in flight: {median:.2f} s, least {least:.2f} s, ratio {median / least:.2f}")  # noqa: T201
        seconds = run(con, session, base_url, "FROM {call} LIMIT 10", 8)
        print(f"{kind}, LIMIT 10: {seconds * 1000:.0f} ms, {len(session.requests)} request(s)")  # noqa: T201


def main() -> None:
    session = Session()
    with duckdb.connect() as con:
        apikit_sql.install(con, session=session)
        for kind in SUMS:
            compare(con, session, kind)


if __name__ == "__main__":
    main()
