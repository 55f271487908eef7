"""SQL under fire: whatever an API and its network do, exactly the API's rows, or an error of ours and nothing changed.

    python -m tests.reliability.faults [CASES] [SEED]

A case is a statement of `fault_statements.py` over an API that fails by a schedule of `tests/engine/faults.py`, on a
plain connection or on `connect()`'s, alone or inside BEGIN, over sockets or without. What must come of it, the schedule
tells. After an error, tables, views, files and their contents must be those from before; in a transaction the rest of
it is refused, and its end leaves nothing. Each case has a seed of its own: `... 1 SEED` runs one again.
"""

import faulthandler
import random
import sys
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql import ApikitError
from apikit_sql.engine.session import Session
from apikit_sql.scan.dataset import safe_text
from tests.engine.faults import WELL, Schedule, Verdict, drawn, ends_of, happens, judge
from tests.engine.faulty import Server
from tests.reliability.fault_server import by_parents, served
from tests.reliability.fault_statements import PAGES, PARENTS, VIEW, WAYS, Way
from tests.reliability.fault_yard import IS_2, Yard, yards

STUCK = 60.0  # seconds that no case takes


@dataclass(frozen=True)
class Case:
    """A statement, and the schedules of the APIs that it reads."""

    way: Way
    source: str
    plan: Schedule
    other: Schedule
    is_declared: bool = False
    is_own: bool = False  # on connect()'s connection, of a database file; else on a plain one in memory
    end: str = ""  # of its transaction, where it is in one
    on_wire: bool = False
    has_file: bool = False  # where COPY will write

    def __str__(self) -> str:
        told = [name for name in ("is_declared", "is_own", "on_wire", "has_file") if getattr(self, name)]
        other = f"\nthe other API:\n{self.other}" if self.way.other else ""
        return f"{self.way.name} of {self.source} {told}, {self.end or 'no transaction'}\n{self.plan}{other}"

    @property
    def skips(self) -> bool:
        return self.source.endswith("skipping")


def case(chance: random.Random, seed: int = 0) -> Case:
    """A case, all of whose choices come from `chance`."""
    way = chance.choice(WAYS)
    source = chance.choice([*PAGES, *PARENTS])
    plan, other = (drawn(chance, seed, longest=12, in_window=True) for _ in range(2))
    return Case(
        way,
        source,
        plan if source in PAGES else by_parents(plan),
        other,
        is_declared=happens(chance, 0.5),
        is_own=happens(chance, 0.5),
        end=chance.choice(["", "", "COMMIT", "ROLLBACK"]),
        on_wire=happens(chance, 0.2),
        has_file=happens(chance, 0.5),
    )


def check(case: Case, yards: dict[bool, Yard]) -> str:
    """How the case ended, "rows" or "error"; raises AssertionError where that is wrong."""
    plans = {"api": case.plan, "other": case.other} if case.way.other else {"api": case.plan}
    with served(plans, on_wire=case.on_wire) as (session, servers):
        done = Statement(case, yards[case.is_own], session)
        try:
            end = done.run()
        finally:
            done.yard.raw.execute("ROLLBACK") if done.is_open else None
    wrongs = [wrong for server in servers.values() for wrong in server.wrongs]
    assert wrongs == [], wrongs
    if end == "rows" and case.way.reads_all:
        check_answers(servers, done.skipped)
    return end


def check_answers(servers: dict[str, Server], skipped: set[int]) -> None:
    """Each page that is there has been told once."""
    for name, server in servers.items():
        missing = skipped if name == "api" else set()
        told = Counter({number: 1 for number in range(1, server.plan.pages + 1) if number not in missing})
        assert server.answered == told, f"true answers of {name} by page: {server.answered}"


class Statement:
    """The run of one case in its yard."""

    def __init__(self, case: Case, yard: Yard, session: Session) -> None:
        self.case = case
        self.yard = yard
        self.session = session
        self.is_open = False  # whether its transaction is
        self.skipped: set[int] = set()
        self._there = list(range(-2, len(case.plan.rows) // 2 + 1))
        self._file = yard.folder / "out.txt"
        self._before: dict[str, object] = {}

    def run(self) -> str:
        """How it ended, "rows" or "error"; raises AssertionError where that is wrong."""
        verdict = verdict_of(self.case)
        self._prepare()
        found, error = self._try()
        if error is None:
            self._end("COMMIT")
            self._check_rows(found, verdict)
            return "rows"
        self._check_error(error, verdict)
        self._check_end_of_transaction()
        now = self.yard.state()
        assert now == self._before, f"after {error}: {now}, not {self._before}"
        return "error"

    def _prepare(self) -> None:
        """What is there before, and in a transaction a row more."""
        case, yard = self.case, self.yard
        yard.clear(self.session, self._there)
        for statement in case.way.given:
            yard.raw.execute(statement)
        if "api." in self._source():
            yard.raw.execute("CALL apikit_attach('api')")
        if case.has_file:
            self._file.write_text("old")
        self._before = yard.state()
        if case.end:
            self._execute("BEGIN")
            self.is_open = True
            self._execute(f"INSERT INTO {case.way.table} VALUES (-9, 0)")
            self._there.append(-9)

    def _try(self) -> tuple[list[tuple[Any, ...]], Exception | None]:
        """The statement's rows, or the error of the first that fails of those that read."""
        first = (f"CREATE VIEW {VIEW} AS FROM {PAGES['call']}",) if self.case.source == "view" else ()
        try:
            for statement in (*first, *self.case.way.first):
                self._execute(statement)
                if not self.case.end:
                    self._before = self.yard.state()
            return self._execute(self.case.way.statement), None
        except (duckdb.Error, ApikitError) as error:
            return [], error

    def _end(self, how: str) -> None:
        if self.is_open:
            self._execute(how)
            self.is_open = False

    def _source(self) -> str:
        case = self.case
        numbers = range(1, case.plan.pages + 1)
        return (PAGES | PARENTS)[case.source].format(
            columns=", columns := {id: 'BIGINT'}" if case.is_declared else "",
            keys=", ".join(f"{{n: {number}}}" for number in numbers),
            parents=", ".join(map(str, numbers)),
            pages=case.plan.pages,
        )

    def _execute(self, text: str) -> list[tuple[Any, ...]]:
        uses: dict[str, object] = {"other": "apikit('other', 'items')", "file": self._file}
        uses["temporary"] = "" if IS_2 else ", USE_TMP_FILE true"
        uses["columns"] = ", columns := {id: 'BIGINT'}" if self.case.is_declared else ""
        sql = text.format(source=self._source(), **uses)
        return self.yard.con.execute(sql).fetchall()  # type: ignore[no-any-return]

    def _check_rows(self, found: list[tuple[Any, ...]], verdict: Verdict) -> None:
        case = self.case
        assert verdict.may_end_well, f"no error, but one of {sorted(verdict.kinds)} had to come; {found}"
        if case.way.result:
            found = self.yard.rows(case.way.result.format(file=self._file))
        ids = case.plan.rows
        if case.skips:
            self.skipped = {int(str(dict(each.keys)["n"])) for each in self.session.failures}
            for number in range(1, case.plan.pages + 1) if case.way.reads_all else ():
                check_skipped(case.plan, number, is_skipped=number in self.skipped)
            ids = [each for n in range(1, case.plan.pages + 1) if n not in self.skipped for each in case.plan.page(n)]
        wanted = case.way.expected(ids, case.other.rows if case.way.other else self._there)
        if case.way.reads_all:
            assert sorted(found, key=str) == sorted(wanted, key=str), f"{found}, not {wanted}"
        else:  # a page that repeats is known by what it leads to, which nobody asks for after a LIMIT
            assert len(found) == min(2, len(wanted)), found
            assert set(found) <= set(wanted), found
            assert len(set(found)) == len(found) or "repeat" in str(case.plan), found

    def _check_error(self, error: Exception, verdict: Verdict) -> None:
        first = str(error).partition("\n")[0]
        ours = [each for each in self.session.errors if safe_text(each).partition("\n")[0] in first]
        assert ours, f"{type(error).__name__}, none of ours: {error}"
        kind = type(ours[-1]).__name__
        assert not self.case.is_own or type(error).__name__ == kind, f"{type(error)} for {kind}"
        assert not verdict.must_end_well, f"{kind} for nothing: {error}"
        assert kind in verdict.kinds, f"{kind}, not one of {sorted(verdict.kinds)}: {error}"
        assert "Traceback" not in first, error

    def _check_end_of_transaction(self) -> None:
        """It is spoilt: what comes next is refused, and COMMIT, too, leaves nothing."""
        if not self.case.end:
            return
        with pytest.raises(duckdb.TransactionException, match="ROLLBACK"):
            self._execute("SELECT 1")
        self._end(self.case.end)


def check_skipped(plan: Schedule, number: int, *, is_skipped: bool) -> None:
    ends = ends_of(plan, number, tuple(plan.faults.get(number, [])))
    assert is_skipped or WELL in ends, f"page {number} was told, and had to end with {ends}"
    assert not is_skipped or ends != {WELL}, f"page {number} was passed over for nothing"


def verdict_of(case: Case) -> Verdict:
    """How the statement may end, by the schedules of its APIs."""
    found = judge(case.plan)
    if case.way.other:
        other = judge(case.other)
        found.must_end_well &= other.must_end_well
        found.may_end_well &= other.may_end_well
        found.kinds |= other.kinds
    if not case.way.reads_all:
        found.may_end_well = True
    if case.skips and not found.must_end_well:
        each = [ends_of(case.plan, n, tuple(case.plan.faults.get(n, []))) for n in range(1, case.plan.pages + 1)]
        ends_all = {"AuthError", "RateLimitError", "OriginError"}
        found.may_end_well = any(WELL in ends for ends in each) and all(ends - ends_all for ends in each)
    return found


def main(cases: int = 10_000, first: int = 1) -> int:
    """How many of `cases` failed. Each seed is told before it runs, so that a hang leaves it as the last."""
    warnings.simplefilter("ignore", apikit_sql.ApikitWarning)
    ends: Counter[str] = Counter()
    with yards() as both:
        for seed in range(first, first + cases):
            print(f"\rseed {seed}", end="", flush=True)  # noqa: T201
            faulthandler.dump_traceback_later(STUCK, exit=True)
            made = case(random.Random(seed), seed)
            try:
                ends[check(made, both)] += 1
            except Exception:  # noqa: BLE001 - told with its seed, and the next one runs
                ends["failed"] += 1
                print(f": {made}\n{traceback.format_exc()}", flush=True)  # noqa: T201
            finally:
                faulthandler.cancel_dump_traceback_later()
    print(f"\nDuckDB {duckdb.__version__}: {dict(ends)}")  # noqa: T201
    return ends["failed"]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
