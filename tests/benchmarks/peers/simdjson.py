"""The parse alone, by simdjson: no value becomes a Python object."""

import simdjson

from tests.benchmarks.bodies import Api
from tests.benchmarks.meter import Found, Job, main


def parse(job: Job) -> Found:
    parser = simdjson.Parser()
    for number in range(1, job.pages + 1):
        document = parser.parse(Api().body(number, coding="plain"))
        length = len(document)
        del document  # a parser has one document at a time
    assert length == 100
    return {}


if __name__ == "__main__":
    main({"simdjson": parse})
