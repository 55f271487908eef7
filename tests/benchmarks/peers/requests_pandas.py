"""requests and pandas, as a notebook has them: the links followed, the records normalized, DuckDB reads the frame."""

import duckdb
import pandas as pd
import requests

from tests.benchmarks.meter import Found, Job, main, sums


def load(job: Job) -> Found:
    records, url = [], job.url
    with requests.Session() as session:
        while url:
            response = session.get(url)
            records += response.json()
            url = response.links.get("next", {}).get("url", "")
    frame = pd.json_normalize(records, sep="__")
    with duckdb.connect() as con:
        con.register("records", frame)
        con.execute("CREATE TABLE t AS FROM records")
        return sums(con, "t")


if __name__ == "__main__":
    main({"requests_pandas": load})
