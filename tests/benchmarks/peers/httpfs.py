"""DuckDB's own read_json over HTTP, for one who knows every page's URL."""

import duckdb

from tests.benchmarks.meter import Found, Job, main, sums


def load(job: Job) -> Found:
    with duckdb.connect() as con:
        try:
            con.execute("INSTALL httpfs; LOAD httpfs")
        except duckdb.IOException:
            return {"missing": "not available here: the extension httpfs cannot be downloaded"}
        urls = [f"{job.url}?page={number}" for number in range(1, job.pages + 1)]
        con.execute("CREATE TABLE t AS FROM read_json(?)", [urls])
        return sums(con, "t")


if __name__ == "__main__":
    main({"httpfs": load})
