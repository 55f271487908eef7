"""One way, measured in a process of its own: what it is told, what it tells.

A way is called as `python -m MODULE JOB`, JOB being JSON; it prints one line of JSON. Standard library only: a cold
process pays for its imports, and peers have environments of their own.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_UNIT = 1 if sys.platform == "darwin" else 2**10  # bytes that ru_maxrss counts in


class Job(NamedTuple):
    """What is asked of a way: by its name, the work it shall do with the API at `origin` and `path`."""

    way: str
    work: str
    origin: str
    path: str
    pages: int
    in_flight: int
    warm: bool = True  # whether imports, connections and first calls are done before the clock starts

    @property
    def url(self) -> str:
        """The first page."""
        return f"{self.origin}{self.path}/items"

    def warming(self) -> "Job":
        """A little of the same kind, from another API."""
        _, kind, strategy, *_, coding = self.path.split("/")
        return self._replace(path=f"/{kind}/{strategy}/2/0/{coding}", pages=2)


#: What came out: count and sum of the ids, or whatever else is told; what can be called is, once the clock has stopped.
Found = Mapping[str, Any]
Way = Callable[[Job], Found]


def peak() -> float:
    """The most memory that this process has had, in MB; at least what that had which started it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT / 2**20


def sums(con: Any, table: str) -> Found:
    """What DuckDB says of the records in `table`."""
    count, total, _ = con.execute(f"SELECT count(*), sum(id), max(name) FROM {table}").fetchone()
    return {"count": count, "sum": int(total)}


def main(ways: Mapping[str, Way]) -> None:
    """Do the job of the command line, and tell seconds, CPU seconds, the peak and what was found."""
    job = Job(*json.loads(sys.argv[1]))
    way = ways[job.way]
    if job.warm:
        way(job.warming())
    before, cpu, started = peak(), time.process_time(), time.perf_counter()
    found = way(job)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    told = {"seconds": seconds, "cpu": cpu, "peak": peak(), "before": before}
    told |= {name: value() if callable(value) else value for name, value in found.items()}
    sys.stdout.write(json.dumps(told) + "\n")
