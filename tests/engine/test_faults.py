"""The engine under fire: whatever the network and the server do, exactly the server's rows, or an error that fits.

A schedule is made from its seed alone: a table under one of five strategies, how it is read (by the window with some
requests at once, or page by page on a thread or an event loop), a credential, and for each request the faults that it
meets before it is answered truly. What must come of it is told by `judge`, which knows nothing of the engine: where the
retries suffice, all rows; else an error whose class the schedule explains, after rows that are the first of the table.

Time moves by waiting only, where one page is read at a time; in the window waits are real and next to nothing.
Schedules run in a Python of their own, so that one that hangs ends with the stacks of all threads.

The suite runs 1,000 of them; `APIKIT_FAULTS=20000 pytest tests/engine/test_faults.py` runs more, and so does
`python -m tests.engine.test_faults N SEED`, which prints each seed that fails with its schedule. One of them again:
`... test_faults 1 SEED`.
"""

import faulthandler
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apikit_sql import errors
from tests.engine.faults import Schedule, Verdict, judge, schedule
from tests.engine.faulty import Found, perform

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES, A_PROCESS = int(os.environ.get("APIKIT_FAULTS", "1000")), 500
STUCK = 30.0  # seconds that no schedule takes


def check(plan: Schedule) -> str:
    """How the schedule ended, "rows" or "error"; raises AssertionError where that is wrong."""
    verdict, found = judge(plan), perform(plan)
    assert found.wrongs == [], found.wrongs
    if found.error is None:
        assert verdict.may_end_well, f"no error, but one of {sorted(verdict.kinds)} had to come"
        assert found.rows == plan.rows, f"rows: {found.rows}"
        assert set(found.answered.values()) == {1}, f"true answers by page: {found.answered}"
        return "rows"
    kind = type(found.error).__name__
    assert isinstance(found.error, errors.ApikitError), f"{kind}: {found.error}"
    assert not verdict.must_end_well, f"{kind} for nothing: {found.error}"
    assert kind in verdict.kinds, f"{kind}, not one of {sorted(verdict.kinds)}: {found.error}"
    assert str(found.error).startswith("api: ") or kind == "DecodeError", found.error
    check_rows_before_the_error(plan, verdict, found)
    return "error"


def check_rows_before_the_error(plan: Schedule, verdict: Verdict, found: Found) -> None:
    """They are the first of the table, page by page; a page that repeats may have come with them."""
    whole = plan.rows[: verdict.safe_pages * plan.size]
    if plan.concurrency is None:  # nothing else can have failed before
        assert found.rows[: len(whole)] == whole, f"rows: {found.rows}"
    first = min(len(found.rows), len(whole))
    assert found.rows[:first] == plan.rows[:first], f"rows: {found.rows}"
    if "repeat" not in {fault.kind for faults in plan.faults.values() for fault in faults}:
        assert found.rows == plan.rows[: len(found.rows)], f"rows: {found.rows}"
        assert len(found.rows) % plan.size == 0, f"half a page: {found.rows}"


def main(count: int, first: int) -> int:
    """How many of `count` schedules failed. Each seed is told before it runs, so that a hang leaves it as the last."""
    ends = {"rows": 0, "error": 0, "failed": 0}
    for seed in range(first, first + count):
        print(f"\rseed {seed}", end="", flush=True)  # noqa: T201
        faulthandler.dump_traceback_later(STUCK, exit=True)
        plan = schedule(seed)
        try:
            ends[check(plan)] += 1
        except Exception as error:  # noqa: BLE001 - told with its seed, and the next one runs
            ends["failed"] += 1
            print(f": {type(error).__name__}: {error}\n{plan}\n", flush=True)  # noqa: T201
        finally:
            faulthandler.cancel_dump_traceback_later()
    print(f"\n{json.dumps(ends)}")  # noqa: T201
    return ends["failed"]


@pytest.mark.parametrize("first", range(0, SCHEDULES, A_PROCESS))
def test_faults_of_every_kind_end_in_exactly_the_rows_or_in_an_error_that_they_explain(first: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.engine.test_faults", str(A_PROCESS), str(first)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    ends = json.loads(done.stdout.rsplit("\n", 2)[1])
    assert ends["rows"] > A_PROCESS / 3, ends  # the schedules are no mere errors,
    assert ends["error"] > A_PROCESS / 10, ends  # and not too tame


def test_a_seed_makes_the_same_schedule_again() -> None:
    assert [str(schedule(seed)) for seed in range(20)] == [str(schedule(seed)) for seed in range(20)]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
