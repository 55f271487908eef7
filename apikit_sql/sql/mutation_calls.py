"""Where a mutation may be called: in a statement that runs once, by one copy of the call.

DuckDB runs a relation again each time it is shown, and an expression that it has copied once for each copy. Each call
in the text of a statement has a mark of its own, by which its copies are counted before the statement runs.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event

import duckdb

from apikit_sql.engine.mutation import allowance
from apikit_sql.engine.scan_log import Allowance
from apikit_sql.errors import CallError
from apikit_sql.sql.catalog import MUTATIONS

_NOT_AGAIN = "not sent again: an equal row was, just before."
_MOST = 1_000  # calls that are remembered; a statement needs its own until it has run
#: Statements that DuckDB runs as often as it is told to.
CREATE, SELECT = duckdb.StatementType.CREATE, duckdb.StatementType.SELECT
_RUN_ONCE = frozenset({CREATE, duckdb.StatementType.INSERT, duckdb.StatementType.COPY})
_LONGEST_CREATE = 5  # words: CREATE OR REPLACE TEMP TABLE
_NAMES = frozenset(each.name.encode() for each in MUTATIONS)
#: Statements that fill a table, which may compute columns and checks of its own.
_FILLING = frozenset({b"insert", b"copy"})
#: Words whose presence lets DuckDB copy a call after it has planned it.
_COPYING = frozenset({b"in", b"having", b"lambda", b"->"})

#: What became of a row: its status, its body, what is wrong, and the key it was sent with.
StructOfOutcome = dict[str, object]


@dataclass(eq=False)
class MutationCall:
    """One call of a mutation in one statement. `cancelled` keeps back what has not been sent yet."""

    cancelled: Event
    allowance: Allowance
    together: set[str] = field(default_factory=set)  # the marks of all calls that were planned with it
    copies: int = 0
    has_begun: bool = False  # something may have been sent


def _again(outcome: StructOfOutcome | None) -> StructOfOutcome | None:
    """The outcome of a row that is asked for once more, by a copy of its expression or by an equal row."""
    if outcome is None or outcome["error"] is not None:
        return outcome
    return outcome | {"error": _NOT_AGAIN}


@dataclass
class MutationCalls:
    """The calls of one database's statements, by their marks; each may send `max_requests`."""

    new_scan: Callable[[], Event]
    max_requests: Callable[[], int | None]
    _known: OrderedDict[str, MutationCall] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _binding: dict[int, set[str]] = field(default_factory=dict)  # by thread
    _newest: dict[int, tuple[MutationCall, dict[str, StructOfOutcome | None]]] = field(
        default_factory=dict
    )  # by thread

    def mark(self, mark: str) -> str:
        """A new mark where `mark` is empty, else the same: one more copy of its call is there."""
        with self._lock:
            thread = threading.get_ident()
            if not mark:
                mark = uuid.uuid4().hex
                self._get(mark).together = self._binding.setdefault(thread, set())
                return mark
            self._binding.pop(thread, None)  # all of the statement is bound before any of it is planned
            call = self._get(mark)
            call.copies += 1
            call.together.add(mark)
            return mark

    def call(self, mark: str) -> MutationCall:
        """The call of this mark."""
        with self._lock:
            return self._get(mark)

    def answered(self, call: MutationCall, texts: list[str]) -> list[StructOfOutcome | None] | None:
        """The outcomes of these rows of `call`, where all of them are among those that this thread has just asked for.

        An expression is evaluated for a vector of rows by one thread, and all copies of it before the next vector.
        """
        newest, known = self._newest.get(threading.get_ident(), (None, {}))
        is_again = newest is call and all(text in known for text in texts)
        return [_again(known[text]) for text in texts] if is_again else None

    def note(self, call: MutationCall, outcomes: dict[str, StructOfOutcome | None]) -> None:
        """Keep what this thread has just asked for, in the place of what it had asked for before."""
        self._newest[threading.get_ident()] = call, outcomes

    def _get(self, mark: str) -> MutationCall:
        if mark not in self._known:
            self._known[mark] = MutationCall(self.new_scan(), allowance(self.max_requests()))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return self._known[mark]


def check_runs_once(
    function: str, statement: str | None, cursor: Callable[[], duckdb.DuckDBPyConnection], *, selects: bool
) -> None:
    """Raise CallError unless `statement`, which calls `function`, is one that runs once, as `selects` may do here.

    `cursor` gives what parses.
    """
    if statement is None:
        message = f"{function}: the statement is too long. Put its rows into a table, and send them from there."
        raise CallError(message)
    try:
        kinds = [each.type for each in cursor().extract_statements(statement)]
    except duckdb.ParserException:  # one that DuckDB has not read itself: somebody calls the function behind ours
        kinds = []
    once = _RUN_ONCE | {SELECT} if selects else _RUN_ONCE
    if len(kinds) == 1 and kinds[0] in once and (kinds[0] != CREATE or _makes_table(statement)):
        return
    this = f"this is {_shown(kinds[0])}" if len(kinds) == 1 else "this may be none. Write it out, as SQL text"
    if len(kinds) > 1 or b"pivot" in _words(statement):
        this = "a PIVOT without IN (...) runs its source twice. Make a table of that first"
    places = "SELECT, CREATE TABLE ... AS" if selects else "CREATE TABLE ... AS"
    message = f"{function} sends only inside {places}, INSERT or COPY; {this}."
    raise CallError(message)


def check_copies(function: str, call: MutationCall, statement: str | None) -> None:
    """Raise CallError where DuckDB would make `call` several times for each row."""
    if call.has_begun:
        return
    words = [] if statement is None else _words(statement)
    written = _calls_in(words)
    if not written and statement is not None and not _makes_table(statement) and not _FILLING.isdisjoint(words):
        message = (
            f"{function}: an INSERT or COPY has the call in its own text. A CHECK and a generated column are computed "
            "twice by DuckDB; of a view or a macro make a table first, with CREATE TABLE ... AS."
        )
        raise CallError(message)
    if max(written, 1) < len(call.together):
        message = (
            f"{function}: the statement has {written} such calls, and DuckDB would make {len(call.together)} of them: "
            "CASE, nullif and macros copy what they are given. Call it in a subquery, and "
            f"use what it gives outside: CASE r.status ... FROM (SELECT {function}(...) AS r ...)."
        )
        raise CallError(message)
    if call.copies > 1:
        message = (
            f"{function}: DuckDB would call it {call.copies} times for each row. Call it in a subquery, and take what "
            f"it gives apart outside: unnest(r) ... FROM (SELECT {function}(...) AS r ...)."
        )
        raise CallError(message)


def may_share(statement: str | None) -> bool:
    """Whether DuckDB may have copied a call after it had planned it, so that equal rows are asked for again.

    It copies what stands before IN and in HAVING, what a lambda holds (1.x), and what a view brings along.
    """
    words = [] if statement is None else _words(statement)
    return not _calls_in(words) or not _COPYING.isdisjoint(words)


def _calls_in(words: Iterable[bytes]) -> int:
    """How many calls of mutations stand in a text of these words."""
    return sum(word in _NAMES for word in words)


def _words(statement: str) -> list[bytes]:
    """The words of a statement, in lower case, without quotes and parentheses."""
    text = statement.encode()
    starts = [at for at, kind in duckdb.tokenize(statement) if kind != duckdb.token_type.comment]
    ends = [*starts, len(text)][1:]  # of an empty one, as DuckDB has it for relations, there are none
    return [text[start:end].strip(b'"() \n\t\r').lower() for start, end in zip(starts, ends, strict=True)]


def _makes_table(statement: str) -> bool:
    """Whether a CREATE makes a table: of a PIVOT, DuckDB makes a type first, and runs its source twice."""
    return b"table" in _words(statement)[:_LONGEST_CREATE]


def _shown(kind: duckdb.StatementType) -> str:
    """A kind of statement as people say it."""
    name = kind.name.replace("_", " ")
    article = "an" if name[0] in "AEIOU" else "a"
    match kind:
        case duckdb.StatementType.EXECUTE:
            return "an EXECUTE: say its statement itself, with con.execute(sql, parameters)"
        case duckdb.StatementType.CREATE:
            return "a CREATE of something else"
        case _:
            return f"{article} {name}"
