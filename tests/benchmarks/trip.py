"""The main trip, from an API to DuckDB, measured.

`python -m tests.benchmarks.trip [CASE ...] [--rounds N] [--peers FOLDER]`. Each run is a process of its own; those of a
case take turns, round by round; medians are shown. What a way says it
found is compared with what the server says it has.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.cases import CASES, Case, Medians, Run
from tests.benchmarks.server import running
from tests.benchmarks.ways import WAYS

ROOT = Path(__file__).parents[2]


class Missing(Exception):  # noqa: N818 - a finding that is printed
    """Why a run cannot be made here."""


class Bench:
    """Makes runs at the server at `origin`; peers have their environments in the folder `peers`.

    In the folder `scratch` is what hides pandas, and what Python has compiled.
    """

    def __init__(self, origin: str, peers: Path | None, scratch: Path) -> None:
        self._origin, self._peers, self._scratch = origin, peers, scratch

    def measure(self, run: Run) -> dict[str, float]:
        """What one process of `run` tells, checked. Raises Missing where there is none."""
        with urllib.request.urlopen(f"{self._origin}{run.api.path}/truth") as answer:  # noqa: S310 - our own server
            truth = json.load(answer)
        job = [run.way, run.work, self._origin, run.api.path, run.api.pages, run.in_flight, not run.cold]
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        found = self._told(run, json.dumps(job))
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if "missing" in found:
            raise Missing(found["missing"])
        for name in ("count", "sum", "bytes"):
            if name in found and found[name] != truth[name]:
                raise _failed(run, f"wrong: {name} is {found[name]}, the server has {truth[name]}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return found | {"seconds": seconds, "cpu": cpu} if run.cold else found

    def _command(self, run: Run) -> list[str]:
        if run.way in WAYS:
            return [sys.executable, "-m", "tests.benchmarks.ways"]
        python = self._peers / run.way / "bin" / "python" if self._peers else None
        if python is None or not python.exists():
            message = "not installed: python -m tests.benchmarks.peers FOLDER, then --peers FOLDER"
            raise Missing(message)
        return [str(python), "-m", f"tests.benchmarks.peers.{run.way}"]

    def _told(self, run: Run, job: str) -> dict[str, float]:
        """The last line of the process. Ours finds no pandas, which pyarrow would import for half a second."""
        path = os.pathsep.join([*[str(self._scratch)] * (run.way in WAYS), str(ROOT)])
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self._scratch / "compiled")}
        environment = os.environ | {"PYTHONPATH": path} | compiled
        done = subprocess.run([*self._command(run), job], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _failed(run, f"failed: {done.stderr[-3_000:] if run.way in WAYS else done.stderr.splitlines()[-1]}")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def _failed(run: Run, why: str) -> Exception:
    """What is raised where a run fails: a peer is left out, and ours ends all."""
    return RuntimeError(f"{run.name} {why}") if run.way in WAYS else Missing(why)


def measured(bench: Bench, case: Case, rounds: int) -> tuple[Medians, dict[str, str]]:
    """The medians of each run, and why others are missing. Cold runs have a round before, for what is not compiled."""
    taken: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    for number in range(rounds + 1):
        for run in case.runs:
            if run.name in missing or (number == 0 and not run.cold):
                continue
            try:
                found = bench.measure(run)
            except Missing as reason:
                missing[run.name] = str(reason)
            else:
                taken.setdefault(run.name, []).extend([found] * (number > 0))
    medians = {
        name: {what: statistics.median(found[what] for found in all_found) for what in all_found[0]}
        for name, all_found in taken.items()
    }
    return medians, missing


def report(name: str, case: Case, medians: Medians, missing: dict[str, str]) -> Iterator[str]:
    """The lines that tell of a case."""
    api = case.runs[0].api
    yield f"{name}: {case.says} ({api.pages} {api.kind} pages, {api.strategy}, {api.coding}, {api.milliseconds} ms)"
    first = medians.get(case.runs[0].name)
    for run in case.runs:
        if run.name in missing:
            yield f"  {run.name:26} {missing[run.name]}"
            continue
        found = medians[run.name]
        times = f" {found['seconds'] / first['seconds']:6.2f} times" if first else ""
        waiting = f", {found['seconds'] / run.least:.2f} of least" if run.least else ""
        yield (
            f"  {run.name:26} {found['seconds']:8.3f} s, {found['cpu']:8.3f} s of CPU, {found['peak']:5.0f} MB,{times}"
            f"{waiting}"
        )
    for verdict in case.verdicts:
        try:
            value = verdict.value(medians)
        except KeyError as error:
            yield f"  {verdict.text}: unknown, for {error} is missing"
            continue
        of_cpu = f" ({verdict.of_cpu(medians):.2f} of CPU)" if verdict.of_cpu else ""
        side = "at least" if verdict.at_least else "at most"
        ends = "holds" if verdict.holds(value) else "DOES NOT HOLD"
        yield f"  {verdict.text}: {value:.2f}{of_cpu} of {side} {verdict.bound:g}{verdict.unit}: {ends}"


@contextmanager
def bench_at(peers: Path | None) -> Iterator[Bench]:
    """A bench with a server, and with a folder in which pandas cannot be imported."""
    with tempfile.TemporaryDirectory() as folder, running() as origin:
        (Path(folder) / "pandas.py").write_text('raise ImportError("pandas is not there")\n', encoding="utf-8")
        yield Bench(origin, peers, Path(folder))


def main() -> None:
    """Measure the cases that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.trip", description=__doc__)
    parser.add_argument("case", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path)
    arguments = parser.parse_args()
    if unknown := set(arguments.case) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    sys.stdout.write(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    with bench_at(arguments.peers) as bench:
        for name in arguments.case or CASES:
            medians, missing = measured(bench, CASES[name], arguments.rounds)
            sys.stdout.writelines(line + "\n" for line in report(name, CASES[name], medians, missing))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
