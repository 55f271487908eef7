"""ikiapikit: its records as a polars frame, which DuckDB reads."""

import duckdb
from ikiapikit import Apikit

from tests.benchmarks.meter import Found, Job, main, sums


def load(job: Job) -> Found:
    frame = Apikit(job.origin + job.path).fetch_polars("/items", paginate=True, strategy="link")
    with duckdb.connect() as con:
        con.register("records", frame)
        con.execute("CREATE TABLE t AS FROM records")
        return sums(con, "t")


if __name__ == "__main__":
    main({"ikiapikit": load})
