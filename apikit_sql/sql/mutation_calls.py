"""Where a mutation may be called: in a statement that runs once, by one copy of the call.

DuckDB runs a relation again each time it is shown, and an expression that it has copied once for each copy. Each call
in the text of a statement has a mark of its own, by which its copies are counted before the statement runs.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

import duckdb

from apikit_sql.engine.mutation import allowance
from apikit_sql.engine.scan_log import Allowance
from apikit_sql.errors import CallError

_MOST = 1_000  # calls that are remembered; a statement needs its own until it has run
#: Statements that DuckDB runs as often as it is told to.
CREATE = duckdb.StatementType.CREATE
_RUN_ONCE = frozenset({CREATE, duckdb.StatementType.INSERT, duckdb.StatementType.COPY})
_TABLE, _LONGEST_CREATE = b"TABLE", 5  # words: CREATE OR REPLACE TEMP TABLE


@dataclass(eq=False)
class MutationCall:
    """One call of a mutation in one statement. `cancelled` keeps back what has not been sent yet."""

    cancelled: Event
    allowance: Allowance
    copies: int = 0
    has_begun: bool = False  # something may have been sent


@dataclass
class MutationCalls:
    """The calls of one database's statements, by their marks; each may send `max_requests`."""

    new_scan: Callable[[], Event]
    max_requests: Callable[[], int | None]
    _known: OrderedDict[str, MutationCall] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mark(self, mark: str) -> str:
        """A new mark where `mark` is empty, else the same: one more copy of its call is there."""
        with self._lock:
            if not mark:
                return uuid.uuid4().hex
            self._get(mark).copies += 1
            return mark

    def call(self, mark: str) -> MutationCall:
        """The call of this mark."""
        with self._lock:
            return self._get(mark)

    def _get(self, mark: str) -> MutationCall:
        if mark not in self._known:
            self._known[mark] = MutationCall(self.new_scan(), allowance(self.max_requests()))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return self._known[mark]


def check_runs_once(function: str, statement: str | None, cursor: Callable[[], duckdb.DuckDBPyConnection]) -> None:
    """Raise CallError unless `statement`, which calls `function`, is one that runs once. `cursor` gives what parses."""
    if statement is None:
        message = f"{function}: the statement is too long. Put its rows into a table, and send them from there."
        raise CallError(message)
    kinds = [each.type for each in cursor().extract_statements(statement)]
    if len(kinds) == 1 and kinds[0] in _RUN_ONCE and (kinds[0] != CREATE or _makes_table(statement)):
        return
    this = f"this is {_shown(kinds[0])}" if len(kinds) == 1 else "this may be none. Write it out, as SQL text"
    message = f"{function} sends only inside CREATE TABLE ... AS, INSERT or COPY; {this}."
    raise CallError(message)


def check_copies(function: str, call: MutationCall) -> None:
    """Raise CallError where DuckDB would make `call` several times for each row."""
    if call.copies > 1 and not call.has_begun:
        message = (
            f"{function}: DuckDB would call it {call.copies} times for each row. Call it in a subquery, and take what "
            f"it gives apart outside: unnest(r) ... FROM (SELECT {function}(...) AS r ...)."
        )
        raise CallError(message)


def _makes_table(statement: str) -> bool:
    """Whether a CREATE makes a table: of a PIVOT, DuckDB makes a type first, and runs its source twice."""
    text = statement.encode()
    first = [at for at, kind in duckdb.tokenize(statement) if kind != duckdb.token_type.comment][:_LONGEST_CREATE]
    return any(text[at : at + len(_TABLE)].upper() == _TABLE for at in first)


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
