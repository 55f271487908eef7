"""A statement's scans written down instead of read: what DuckDB asks of each, and what of that the API is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.errors import ApikitError
from apikit_sql.identifiers import plain
from apikit_sql.plan.outcome import Outcome, outcomes
from apikit_sql.plan.predicate import OneOf
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import Trip
from apikit_sql.scan.dataset import ApiDataset, ApiTable, ScannedDataset, pushable
from apikit_sql.scan.expression import (
    Constant,
    Field,
    Function,
    Node,
    predicates_of,
    read_conjuncts,
    read_predicates,
    walk,
)

_OPERATORS = {
    "equal": "=", "not_equal": "<>", "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=",
    "and_kleene": "AND", "or_kleene": "OR",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One conjunct of the filter that DuckDB pushes: what the API is `sent` for it, or `why` it is sent nothing."""

    text: str
    sent: str = ""
    why: str = ""


@dataclass(frozen=True)
class RecordedScan:
    """A scan that DuckDB has begun: its table, the columns it reads, and the filter it has pushed.

    `number` is that of its table, in the order in which they were bound.
    """

    number: int
    table: ApiTable
    columns: tuple[str, ...]
    condition: pc.Expression | None

    def trips(self) -> tuple[Trip, ...]:
        """The trips that it takes. Raises CallError where a required key column has no value."""
        return push_down(self.table.plan, pushable(self.table.columns, read_predicates(self.condition)))

    def asked(self) -> list[Asked]:
        """What becomes of each conjunct of its filter."""
        parts = [(part, next(iter(predicates_of(part)), None)) for part in read_conjuncts(self.condition)]
        pushed = pushable(self.table.columns, [predicate for _, predicate in parts if predicate is not None])
        told = {outcome.predicate: outcome for outcome in outcomes(self.table.plan, pushed)}
        if self.condition is not None and not parts:
            return [Asked(str(self.condition), why="not understood")]
        return [_asked(sql_text(part), told.get(predicate) if predicate else None, part) for part, predicate in parts]


@dataclass
class Recording:
    """What one statement scans, as far as it is bound through this; `error` is the first that a bind has raised."""

    scans: list[RecordedScan] = field(default_factory=list)
    called: set[str] = field(default_factory=set)
    error: ApikitError | None = None
    _bound: int = 0

    def of(self, dataset: ScannedDataset) -> ScannedDataset:
        """`dataset`, its scans recorded and empty where they would send requests."""
        if not isinstance(dataset, ApiDataset):
            return dataset
        self._bound += 1
        return _RecordingDataset(dataset, self, self._bound)


class _RecordingDataset(ScannedDataset):
    """A table without rows that takes note of its scans."""

    def __init__(self, dataset: ApiDataset, recording: Recording, number: int) -> None:
        super().__init__(dataset.schema)
        self._table = dataset.table
        self._recording = recording
        self._number = number

    def scanner(
        self,
        columns: list[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's name
        **_: object,
    ) -> _EmptyScan:
        """A scan without rows."""
        self.on_scan()
        names = self._schema.names if columns is None else columns
        self._recording.scans.append(RecordedScan(self._number, self._table, tuple(names), filter))
        return _EmptyScan(pa.schema([self._schema.field(name) for name in names]))


class _EmptyScan:
    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema

    def to_reader(self) -> pa.RecordBatchReader:
        """No rows."""
        return pa.RecordBatchReader.from_batches(self._schema, [])


def _asked(text: str, outcome: Outcome | None, part: Node) -> Asked:
    return Asked(text, why=_why_not_read(part)) if outcome is None else Asked(text, outcome.sent, outcome.why)


def sql_text(node: Node) -> str:
    """`node` as SQL would write it."""
    match node:
        case Field(path):
            return ".".join(plain(name) for name in path)
        case Constant():
            return _literal(node.value)
        case Function("if_else", (Function("is_valid"), inner, Constant(value=None))):
            return sql_text(inner)
        case Function("is_in", (tested,), {"value_set": values}):
            return f"{sql_text(tested)} IN ({', '.join(map(_literal, values))})"
        case Function("is_null", (tested, *_)):
            return f"{sql_text(tested)} IS NULL"
        case Function("is_valid", (tested, *_)):
            return f"{sql_text(tested)} IS NOT NULL"
        case Function("or_kleene") if isinstance(found := next(iter(predicates_of(node)), None), OneOf):
            return f"{found.column} IN ({', '.join(map(_literal, found.values))})"
        case Function(function, arguments) if function in _OPERATORS:
            return f" {_OPERATORS[function]} ".join(_inner_texts(function, arguments))
        case Function(function, arguments):
            return f"{function}({', '.join(map(sql_text, arguments))})"


def _inner_texts(function: str, arguments: tuple[Node, ...]) -> Iterator[str]:
    for argument in arguments:
        is_flat = isinstance(argument, Field | Constant) or argument.function in {function, "is_in"}
        yield sql_text(argument) if is_flat or not function.endswith("kleene") else f"({sql_text(argument)})"


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case dt.datetime():
            return f"'{value.isoformat(' ')}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"


def _why_not_read(part: Node) -> str:
    fields = {node.path for node in walk(part) if isinstance(node, Field)}
    match part:
        case Function("is_null" | "is_valid"):
            return "no parameter says whether a value is there"
        case Function("not_equal"):
            return "no parameter says <>"
        case Function("or_kleene") if len(fields) > 1:
            return "an OR over several columns; a parameter narrows one"
        case _ if next(iter(predicates_of(part)), None) is not None:
            return "the column is not of a plain type that the API could compare"
        case _:
            return "not of the form column = value, IN or a bound"
