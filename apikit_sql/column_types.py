"""The closed grammar of column types, as `columns`, `types` and manifests write them, and the columns made of them."""

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from apikit_sql.identifiers import quoted

ScalarName = Literal[
    "BOOLEAN", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "JSON"
]
#: How a time is written where it is not ISO 8601 text: seconds or milliseconds since 1970-01-01 UTC.
TimeFormat = Literal["", "epoch", "epoch_ms"]


@dataclass(frozen=True)
class Scalar:
    """A type without parts."""

    name: ScalarName

    def __str__(self) -> str:
        """The type as DuckDB writes it."""
        return self.name


@dataclass(frozen=True)
class Struct:
    """Named fields, each of its own type."""

    fields: tuple[tuple[str, "ColumnType"], ...]

    def __str__(self) -> str:
        """The type as DuckDB writes it."""
        return "STRUCT(" + ", ".join(f"{quoted(name)} {kind}" for name, kind in self.fields) + ")"


@dataclass(frozen=True)
class ListOf:
    """Any number of values of one type."""

    element: "ColumnType"

    def __str__(self) -> str:
        """The type as DuckDB writes it."""
        return f"{self.element}[]"


ColumnType = Scalar | Struct | ListOf

JSON = Scalar("JSON")
VARCHAR = Scalar("VARCHAR")


@dataclass(frozen=True)
class Column:
    """One column of a scan and the field it is read from.

    `path` is where the value is in a record, one key a step. A `declared` type was asked for, so text that reads as
    that type exactly is taken; an inferred one was only observed, so a value of another kind is drift. One column may
    hold the `rest`: the fields of a record that no other column has.
    """

    name: str
    type: ColumnType
    path: tuple[str, ...]
    declared: bool = False
    format: TimeFormat = ""
    is_rest: bool = False


#: The column of the fields that no other column has.
EXTRA = Column("_extra", JSON, ("_extra",), declared=True, is_rest=True)

_ALIASES: dict[str, ScalarName] = {
    "BOOL": "BOOLEAN", "BOOLEAN": "BOOLEAN", "LOGICAL": "BOOLEAN",
    "INTEGER": "INTEGER", "INT": "INTEGER", "INT4": "INTEGER", "INT32": "INTEGER", "SIGNED": "INTEGER",
    "INTEGRAL": "INTEGER",
    "BIGINT": "BIGINT", "INT8": "BIGINT", "INT64": "BIGINT", "LONG": "BIGINT",
    "HUGEINT": "HUGEINT", "INT128": "HUGEINT",
    "DOUBLE": "DOUBLE", "FLOAT8": "DOUBLE", "DOUBLE PRECISION": "DOUBLE",
    "VARCHAR": "VARCHAR", "TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR",
    "NVARCHAR": "VARCHAR",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "DATETIME": "TIMESTAMP", "TIMESTAMP_US": "TIMESTAMP",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "JSON": "JSON",
}  # fmt: skip

_TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z_][A-Za-z0-9_]*)|(.))', re.DOTALL)
_DEEPEST = 32


def parse_type(text: str) -> ColumnType:
    """The type that `text` names.

    The grammar is closed: a scalar (BOOLEAN, INTEGER, BIGINT, HUGEINT, DOUBLE, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ,
    JSON, or DuckDB's other names for them), `STRUCT(name TYPE, ...)`, and `TYPE[]`.

    Raises ValueError, telling what was not understood.
    """
    tokens = [
        (match[2] or match[3] if match[1] is None else match[1].replace('""', '"'), match[1] is not None)
        for match in _TOKEN.finditer(text.strip())
    ]
    kind, rest = _read_type(text, tokens, 0)
    if rest != len(tokens):
        _refuse(text)
    return kind


def _read_type(text: str, tokens: list[tuple[str, bool]], at: int, depth: int = 0) -> tuple[ColumnType, int]:
    if depth > _DEEPEST or at >= len(tokens) or tokens[at][1]:
        _refuse(text)
    kind: ColumnType
    if tokens[at][0].upper() == "STRUCT":
        kind, at = _read_struct(text, tokens, at + 1, depth)
    else:
        words = []
        while at < len(tokens) and not tokens[at][1] and tokens[at][0].isidentifier():
            words.append(tokens[at][0].upper())
            at += 1
        name = _ALIASES.get(" ".join(words))
        if name is None:
            _refuse(text)
        kind = Scalar(name)
    while [word for word, _ in tokens[at : at + 2]] == ["[", "]"]:
        depth += 1
        if depth > _DEEPEST:
            _refuse(text)
        kind, at = ListOf(kind), at + 2
    return kind, at


def _read_struct(text: str, tokens: list[tuple[str, bool]], at: int, depth: int) -> tuple[Struct, int]:
    fields: list[tuple[str, ColumnType]] = []
    closing = "("
    while closing in {"(", ","}:
        if at + 1 >= len(tokens) or tokens[at] != (closing, False):
            _refuse(text)
        name, is_quoted = tokens[at + 1]
        if not (is_quoted or name.isidentifier()) or name.lower() in {field.lower() for field, _ in fields}:
            _refuse(text)
        kind, at = _read_type(text, tokens, at + 2, depth + 1)
        fields.append((name, kind))
        closing = tokens[at][0] if at < len(tokens) else ""
    if closing != ")":
        _refuse(text)
    return Struct(tuple(fields)), at + 1


def _refuse(text: str) -> NoReturn:
    message = (
        f"{text!r} is not a column type. Types are BOOLEAN, INTEGER, BIGINT, HUGEINT, DOUBLE, VARCHAR, DATE, "
        "TIMESTAMP, TIMESTAMPTZ, JSON, STRUCT(name TYPE, ...) and TYPE[]."
    )
    raise ValueError(message)
