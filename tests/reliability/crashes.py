"""Processes that leave, fork, close and churn, and none aborts or hangs.

`python -m tests.reliability.crashes [EXITS] [SEED]`. A process of its own for each exit, so that a crash is seen as its
return code, and a hang as time that has run out. The matrix: where a scan is, how the process leaves, and when.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import duckdb

from tests.reliability.endless import Endless
from tests.reliability.leaving import CODE

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 60.0  # seconds after which a process hangs
AT_ONCE = 3  # processes
BAD = ("terminate called", "Fatal Python error", "FATAL", "Segmentation", "AddressSanitizer")

#: How a process may leave, and with which return code: -15 is SIGTERM's own.
CODES = {"end": 0, "exit": CODE, "exception": 1, "killed": -15, "handled": CODE, "interrupted": CODE}
AWAY = ("worker", "daemon", "stuck", "silent", "generator", "mutation", "webhook")
MATRIX = [*product(AWAY, ("end", "exit", "exception", "killed", "handled"))] + [
    ("main", how) for how in ("killed", "handled", "interrupted")
]


@dataclass(frozen=True)
class Ended:
    """How a process ended that was to end with `code`."""

    what: str
    code: int
    found: int | None  # None where it hung
    err: str
    seconds: float

    @property
    def is_well(self) -> bool:
        return self.found == self.code and not any(word in self.err for word in BAD)

    def __str__(self) -> str:
        return f"{self.what}: {self.found}, not {self.code}, after {self.seconds:.1f} s\n{self.err[-2000:]}"


def run(module: str, *arguments: object, code: int = 0, longest: float = LONGEST) -> Ended:
    """A process that runs `module`, ended with its children where it hangs."""
    started, what = time.monotonic(), " ".join([module, *map(str, arguments)])
    with tempfile.TemporaryDirectory() as folder:
        # pyarrow would import pandas, for half of the time that a process takes
        (Path(folder) / "pandas.py").write_text('raise ImportError("pandas is not there")\n', encoding="utf-8")
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
            "APIKIT_CONFIG_PATH": str(Path(folder) / "config.toml"),
            "PYTHONFAULTHANDLER": "1",
        }
        with (Path(folder) / "err").open("w+", encoding="utf-8") as err:  # a pipe would be held by a child that hangs
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.reliability.{module}", *map(str, arguments)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=err,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            found: int | None
            try:
                found = process.wait(longest)
            except subprocess.TimeoutExpired:
                found = None
                os.killpg(process.pid, 9)
                process.wait()
            err.seek(0)
            return Ended(what, code, found, err.read(), time.monotonic() - started)


def exits(number: int, seed: int) -> list[Ended]:
    """So many processes that leave while they scan, the whole matrix again and again, at moments drawn by `seed`."""
    chance, api = random.Random(seed), Endless()
    order = [each for _ in range(number // len(MATRIX) + 1) for each in chance.sample(MATRIX, len(MATRIX))][:number]
    drawn = [(where, how, chance.uniform(0, 0.5), chance.choice(("connect", "install"))) for where, how in order]
    tasks = [
        lambda where=where, how=how, at=at, door=door: run(
            "leaving", where, how, f"{at:.3f}", api.url, door, code=CODES[how]
        )
        for where, how, at, door in drawn
    ]
    return together(tasks)


def together(tasks: Iterable[Callable[[], Ended]]) -> list[Ended]:
    """What comes of `tasks`, a few at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [each.result() for each in [pool.submit(task) for task in tasks]]


def broken(ended: Sequence[Ended]) -> list[str]:
    return [str(each) for each in ended if not each.is_well]


def main() -> None:
    number, seed = (int(sys.argv[1]) if len(sys.argv) > 1 else 300), (int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    left = exits(number, seed)
    say(f"DuckDB {duckdb.__version__}, seed {seed}")
    codes = Counter(each.found for each in left)
    slowest = max(left, key=lambda each: each.seconds)
    say(f"{number} exits: return codes {dict(codes)}; the slowest took {slowest.seconds:.1f} s ({slowest.what})")
    forked = forks(longest=LONGEST)
    say(f"{len(forked)} programs that fork, each {FORKS} times")
    others = [run("closing", max(number // 2, 20), seed, longest=600), run("churning", 60, seed, longest=150)]
    for each in others:
        say(each.err.strip().splitlines()[-1] if each.is_well else str(each))
    wrong = broken([*left, *forked, *others])
    say("\n".join(wrong) or "none aborted, none hung")
    sys.exit(bool(wrong))


FORKS = 5
KINDS = ("before", "during", "after", "pool", "spawn", "inherited")


def forks(longest: float, times: int = FORKS) -> list[Ended]:
    """Programs that fork before, during and after a scan; each checks its children and itself."""
    api = Endless()
    return together(
        [lambda kind=kind: run("forking", kind, times, api.url, longest=longest) for kind in KINDS]  # type: ignore[misc]
    )


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
