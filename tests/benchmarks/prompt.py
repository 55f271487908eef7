"""The seconds until the shell's first prompt is on the screen, against those of `import duckdb` alone."""

from __future__ import annotations

import os
import statistics
import sys
import time

import pexpect

_RUNS = 9
_BOUND = 3.0
_PROMPT = ["-m", "apikit_sql.cli"]
_IMPORT = ["-c", "import duckdb; print('apikit>', flush=True); input()"]


def seconds(arguments: list[str]) -> float:
    """The seconds from the start of a process until it shows `apikit>`."""
    started = time.perf_counter()
    process = pexpect.spawn(sys.executable, arguments, env={**os.environ, "PROMPT_TOOLKIT_NO_CPR": "1"})
    process.expect_exact("apikit>")
    elapsed = time.perf_counter() - started
    process.close(force=True)
    return elapsed


def ratio(runs: int = _RUNS) -> tuple[float, float]:
    """The medians of both, in turns."""
    pairs = [(seconds(_PROMPT), seconds(_IMPORT)) for _ in range(runs)]
    ours, bare = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(bare)


def main() -> int:
    """Print both, and how many times as long the prompt takes; 1 where that is above the bound."""
    ratio(1)  # what was not compiled yet
    ours, bare = ratio()
    sys.stdout.write(
        f"first prompt {ours:.3f} s, import duckdb {bare:.3f} s: {ours / bare:.2f} times, bound {_BOUND}\n"
    )
    return int(ours > _BOUND * bare)


if __name__ == "__main__":
    sys.exit(main())
