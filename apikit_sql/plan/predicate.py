"""What DuckDB asks of the rows, in words the planner understands. Pure data: no Arrow, no HTTP."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Value = str | int | float | bool | dt.date | dt.datetime
Bound = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True)
class OneOf:
    """`column IN (values)`; one value is `column = value`. A nested field's column is its dotted path."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Compared:
    """`column >= value` and its kin."""

    column: str
    operator: Bound
    value: Value


Predicate = OneOf | Compared
