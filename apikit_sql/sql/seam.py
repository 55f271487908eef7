"""All that we ask of DuckDB that differs between its versions: naming a dataset so that a statement can read it.

On 2.0 a relation over the dataset has a readable name for as long as the relation lives. Before 2.0 its text is a raw
pointer; there DuckDB finds the dataset as a Python variable of the frame that called it, under a random name.
"""

from __future__ import annotations

import atexit
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import duckdb

from apikit_sql.scan.dataset import ApiDataset

#: Whether a relation's SQL text can be read by other statements.
HAS_READABLE_RELATIONS = int(duckdb.__version__.split(".", 1)[0]) >= 2  # noqa: PLR2004 - DuckDB 2.0
#: How many calls a thread may bind before the first is forgotten. A statement reads its names while it is bound.
_RECENT = 16


class Sources:
    """Names the datasets of one database's statements, and forgets each name when it has been read.

    Connections are held weakly: a strong reference would keep the user's file locked after they closed it. For the same
    reason a name goes when its scan begins, or when its thread has bound a few calls more (EXPLAIN never scans).
    """

    def __init__(self) -> None:
        """Sources of a database that no connection has joined."""
        self._lock = threading.Lock()
        self._connections: list[Callable[[], duckdb.DuckDBPyConnection | None]] = []
        self._named: dict[int, deque[_Name]] = {}
        atexit.register(_forget_all, weakref.ref(self))

    def join(self, con: duckdb.DuckDBPyConnection) -> None:
        """Let `con` name datasets, as long as its owner keeps it."""
        is_default = con is duckdb.default_connection()  # its Python object does not outlive a statement
        reference = duckdb.default_connection if is_default else weakref.ref(con)
        with self._lock:
            self._connections = [known for known in self._connections if known() not in {None, con}]
            self._connections.append(reference)

    def text_for(self, dataset: ApiDataset, caller: FrameType) -> str:
        """A query that reads `dataset`, for the statement that `caller` is running."""
        name = self._relation(dataset) or _in_globals(dataset, caller)
        thread = threading.get_ident()
        with self._lock:
            recent = self._named.setdefault(thread, deque())
            recent.append(name)
            oldest = recent.popleft() if len(recent) > _RECENT else None
        if oldest is not None:
            oldest.forget()
        dataset.on_scan = lambda: self._forget(thread, name)
        return name.text

    def forget_all(self) -> None:
        """Let every name go."""
        with self._lock:
            names = [name for recent in self._named.values() for name in recent]
            self._named.clear()
        for name in names:
            name.forget()

    def _relation(self, dataset: ApiDataset) -> _Name | None:
        """A relation over `dataset`, on a fresh cursor: the statement being bound holds its own connection."""
        with self._lock:
            references = list(self._connections) if HAS_READABLE_RELATIONS else []
        for reference in references:
            connection = reference()
            if connection is not None:
                try:
                    relation = connection.cursor().from_arrow(dataset)
                except duckdb.ConnectionException:  # closed
                    continue
                held = [relation]
                return _Name(relation.sql_query(), held.clear)
        return None

    def _forget(self, thread: int, name: _Name) -> None:
        with self._lock:
            recent = self._named.get(thread)
            if recent is not None and name in recent:
                recent.remove(name)
            if not recent:
                self._named.pop(thread, None)
        name.forget()


@dataclass(frozen=True, eq=False)
class _Name:
    """SQL text that reads a dataset, until `forget` is called."""

    text: str
    forget: Callable[[], object]


def _in_globals(dataset: ApiDataset, caller: FrameType) -> _Name:
    """A random name among the globals of `caller`, where DuckDB looks for Python variables."""
    name, variables = f"__apikit_{uuid.uuid4().hex}", caller.f_globals
    variables[name] = dataset
    return _Name(f'FROM "{name}"', lambda: variables.pop(name, None))


def _forget_all(reference: weakref.ref[Sources]) -> None:
    """Relations that outlive the interpreter make DuckDB complain of leaks."""
    sources = reference()
    if sources is not None:
        sources.forget_all()


def prepare(con: duckdb.DuckDBPyConnection) -> None:
    """Switch on what this version needs to read a named dataset."""
    if not HAS_READABLE_RELATIONS:
        con.execute("SET python_enable_replacements = true")
