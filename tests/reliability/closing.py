"""What has been opened is closed in any order: `python -m tests.reliability.closing EXAMPLES SEED`.

Hypothesis draws the order, and how each thing ends: closed, or forgotten. What is left is used before each end, and
gives its rows or says that it is closed; at last another process could open the file.
"""

import gc
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import apikit_sql
from apikit_sql.demo import DemoServer
from apikit_sql.sql.seam import rows_of

URL = DemoServer().base_url  # a server of its own, which no session stops
SCAN = f"SELECT count(*) FROM apikit('{URL}', '/products')"
THINGS = ("connection", "cursor", "second", "relation", "reader", "client", "session")
REFUSALS = (duckdb.Error, apikit_sql.ApikitError, RuntimeError)  # pyarrow's, of a reader whose connection has gone

Ends = list[tuple[str, str]]


def ends() -> st.SearchStrategy[Ends]:
    """All things in an order, each with how it ends."""
    ways = st.lists(st.sampled_from(["close", "forget", "both"]), min_size=len(THINGS), max_size=len(THINGS))
    return st.tuples(st.permutations(THINGS), ways).map(lambda drawn: list(zip(*drawn, strict=True)))


def opened(file: str) -> dict[str, Any]:
    """One of each, on one database."""
    session = apikit_sql.Session()
    con = duckdb.connect(file)
    apikit_sql.install(con, session=session)
    cursor, second = con.cursor(), duckdb.connect(file) if file != ":memory:" else con.cursor()
    reading = con.cursor()
    for each in (cursor, second, reading):
        apikit_sql.install(each)
    rows = rows_of(reading, f"FROM apikit('{URL}', '/products')", 8)
    assert rows is not None
    return {
        "connection": con,
        "cursor": cursor,
        "second": second,
        "relation": con.sql(SCAN),
        "reader": rows.batches,
        "client": apikit_sql.Apikit(URL, session=session),
        "session": session,
    }


def use(name: str, thing: Any) -> None:
    """Read something by it: what is right, or a refusal."""
    match name:
        case "connection" | "cursor" | "second":
            with suppress(duckdb.ConnectionException):  # it was closed with another
                assert thing.execute(SCAN).fetchall() == [(64,)]
        case "relation":
            with suppress(*REFUSALS):
                assert thing.fetchall() == [(64,)]
        case "reader":
            with suppress(StopIteration, *REFUSALS):
                assert thing.read_next_batch().num_rows
        case "client":
            assert len(thing.fetch_records("/products", paginate=True)) == 64


def end_all(file: str, order: Ends) -> None:
    living = opened(file)
    for name, how in order:
        for other, thing in living.items():
            use(other, thing)
        thing = living.pop(name)
        if how != "forget" and name not in {"relation", "client"}:
            thing.close()
        del thing
        if how != "close":
            gc.collect()


def main() -> None:
    examples, number = int(sys.argv[1]), int(sys.argv[2])
    counted: list[Ends] = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(order=ends(), is_file=st.booleans())
    def check(order: Ends, *, is_file: bool) -> None:
        counted.append(order)
        print(order, is_file, flush=True, file=shown)
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "file.db") if is_file else ":memory:"
            end_all(file, order)
            gc.collect()
            if is_file:  # another configuration is refused while anyone has it open
                duckdb.connect(file, read_only=True).close()

    with tempfile.TemporaryFile("w+") as shown:  # the last that is written is the order that crashed
        check()
    print(f"{len(counted)} orders in which seven things were closed or forgotten: no crash, each file free again")  # noqa: T201


if __name__ == "__main__":
    main()
