"""dlt's REST source with its defaults, loaded into DuckDB."""

import os
import tempfile

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import duckdb
from dlt.sources.rest_api import rest_api_source

from tests.benchmarks.meter import Found, Job, main, sums


def load(job: Job) -> Found:
    client = {"base_url": job.origin + job.path, "paginator": {"type": "header_link"}}
    source = rest_api_source({"client": client, "resources": [{"name": "items", "endpoint": {"path": "items"}}]})
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/records.duckdb"
        destination = dlt.destinations.duckdb(file)
        pipeline = dlt.pipeline("trip", folder, destination=destination, dataset_name="trip")
        pipeline.run(source)
        with duckdb.connect(file) as con:
            return sums(con, "trip.items")


if __name__ == "__main__":
    main({"dlt": load})
