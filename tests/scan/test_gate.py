"""The gate under fire: pages of every wrong shape come out as exactly the rows that they hold, or as a typed error.

A schedule is made from its seed alone: pages whose fields drift, vanish, change places, come twice or cannot be read,
and a call of apikit() over them, read by DuckDB itself. What it must give is told by the plain model below, which knows
neither Arrow nor DuckDB. Schedules run in a Python of their own, so that a crash fails the test and tells its seed.

The suite runs 300 of them; `APIKIT_GATE=20000 pytest tests/scan/test_gate.py` runs more, and so does
`python -m tests.scan.test_gate N SEED`, which prints each seed that fails. One of them again: `... test_gate 1 SEED`.
"""

import datetime as dt
import json
import os
import random
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql import errors
from apikit_sql.connector.registry import ConnectorRegistry
from tests.fakes.api import BASE_URL, FakeApi, Table

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES, A_PROCESS = int(os.environ.get("APIKIT_GATE", "300")), 100

#: A type: the name of a scalar, a dict of a STRUCT's fields, a list of one element's type.
Kind = Any


# --- strangers' JSON -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Poison:
    """Bytes where a value should be, which are no JSON or hold a number that no type can."""

    text: bytes


class Twice(dict[str, Any]):
    """An object whose first key comes twice: `shadowed` is the value that the second one hides."""

    shadowed: Any = None


POISONS = [Poison(b"1e400"), Poison(b"NaN"), Poison(b'"\\ud800"'), Poison(b'"\xff"')]
POISONS += [Poison(b"9" * 5000), Poison(b"[" * 3000 + b"]" * 3000)]
NO_JSON = [
    b'[{"a": 1}',
    b'[{"a": 1}}',
    b"[1,]",
    b"[{}]]",
    b"<html></html>",
    b"\xff",
    b'{"data": {"items": [{}]',
    b"[{'a': 1}]",
]
INTEGERS = [0, 1, -1, 7, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 2**127 - 1, 2**127, 10**60]
FLOATS = [0.5, -0.0, 2.0, 1e300, -1.25, 0.1, 2.0**53, 1e16]
TEXTS = [
    "",
    "a",
    "é",
    "𝄞 it's",
    'q"\\',
    "null",
    "1",
    "-3.0",
    "007",
    "true",
    "2024-02-29",
    "2024-02-30",
    "a\0b",
    "1e999",
]
DATES = ["2024-02-29", "1969-12-31", "9999-12-31"]
NAMES = ["id", "a", "A", "b", "é", "x y", 'o"dd', "select", "user", "user__x", "back\\slash", "value", "_extra", ""]
FIELDS = {"x": "small", "y": "text", "X": "float", 'o"dd': "boolean", "deep": "object"}
KINDS = ["small", "integer", "huge", "text", "float", "boolean", "object", "objects", "list", "date", "any"]


def text(value: Any) -> bytes:
    """A value as it goes over the wire."""
    match value:
        case Poison(raw):
            return raw
        case dict():
            pairs = [text(key) + b":" + text(each) for key, each in value.items()]
            if isinstance(value, Twice):
                pairs.insert(0, text(next(iter(value))) + b": " + text(value.shadowed))
            return b"{" + b",".join(pairs) + b"}"
        case list():
            return b"[" + b", ".join(map(text, value)) + b"]"
        case _:
            return json.dumps(value, ensure_ascii=False).encode()


def holds_poison(value: Any) -> bool:
    inner = [*value.values(), getattr(value, "shadowed", None)] if isinstance(value, dict) else value
    return isinstance(value, Poison) or (isinstance(inner, list) and any(map(holds_poison, inner)))


# --- schedules -------------------------------------------------------------------------------------------------------


class Chance(random.Random):
    """Where every choice of a schedule comes from."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def value(self, kind: str, depth: int = 0) -> Any:
        match kind:
            case "small" | "integer" | "huge":
                return self.choice(INTEGERS[: {"small": 4, "integer": 8, "huge": 14}[kind]])
            case "float":
                return self.choice(FLOATS)
            case "text":
                return self.choice(TEXTS)
            case "date":
                return self.choice(DATES)
            case "boolean":
                return self.happens(0.5)
            case "object" if depth < 3:
                names = self.sample(list(FIELDS), self.randint(0, 3))
                return {name: self.value(FIELDS[name], depth + 1) for name in names}
            case "list" | "objects" if depth < 3:
                kind = "object" if kind == "objects" else self.choice(["small", "text", "object"])
                return [self.value(kind, depth + 1) for _ in range(self.randint(0, 3))]
            case "any" if depth < 3:
                return self.value(self.choice(KINDS[:-1]), depth)
            case _:
                return None


@dataclass
class Trouble:
    """How likely each trouble of a schedule is, at each value or record."""

    drift: float
    null: float
    missing: float
    surplus: float
    twice: float
    no_object: float
    poison: float


def trouble(chance: Chance) -> Trouble:
    often = chance.choice([[0.0], [0.0, 0.01], [0.0, 0.03, 0.3]])
    drift, null, missing, surplus, twice = (chance.choice(often) for _ in range(5))
    return Trouble(drift, null, missing, surplus, twice, *(chance.choice([0, 0, 0, p]) for p in (0.05, 0.01)))


def record(chance: Chance, fields: dict[str, str], odds: Trouble) -> Any:
    if chance.happens(odds.no_object):
        return chance.choice([None, 5, "text", [], [{"id": 1}], True])
    names = [name for name in fields if not chance.happens(odds.missing)]
    if chance.happens(odds.surplus):
        names.append(chance.choice(NAMES))
    if chance.happens(0.1):
        chance.shuffle(names)
    found = {}
    for name in names:
        kind = "any" if chance.happens(odds.drift) else fields.get(name, "any")
        found[name] = None if chance.happens(odds.null) else chance.value(kind)
        if chance.happens(odds.poison):
            found[name] = chance.choice(
                [chance.choice(POISONS), {"x": chance.choice(POISONS)}, [chance.choice(POISONS)]]
            )
    if found and chance.happens(odds.twice):
        found = Twice(found)
        found.shadowed = chance.value("any") if chance.happens(0.9) else chance.choice(POISONS)
    return found


@dataclass(frozen=True)
class Body:
    """One page: its records, or None where its bytes are no JSON at all."""

    records: list[Any] | None
    text: bytes


def bodies(chance: Chance) -> tuple[list[Body], str | None, dict[str, str]]:
    """The pages of a schedule, where in them the records are, and what their fields hold where they do not drift."""
    path = chance.choice([None, None, "data.items"])
    fields = {name: chance.choice(KINDS) for name in chance.sample(NAMES, chance.randint(1, 6))}
    odds, first_odds = trouble(chance), trouble(chance)
    size = chance.choice([1, 3, 10, 40])
    found = []
    for number in range(chance.choice([1, 2, 4, 12])):
        many = 0 if chance.happens(0.1) else chance.randint(1, size)
        records = [record(chance, fields, odds if number else first_odds) for _ in range(many)]
        records *= chance.choice([1, 1, 1, 1, 900 // size])  # enough for several batches
        body = text(records)
        if path:
            body = b'{"data": {"items": ' + body + b"}}"
        elif not records:
            body = chance.choice([b"[]", b"[ ]", b"null", b"{}"])
        if number and chance.happens(odds.poison):
            found.append(Body(None, chance.choice(NO_JSON)))
        else:
            found.append(Body(records, body))
    return found, path, fields


# --- the model: what a record holds ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Col:
    """A column: its name, its type, where it is in a record, and whether its type was asked for."""

    name: str
    kind: Kind
    path: tuple[str, ...]
    declared: bool
    is_rest: bool = False


class Misfit(Exception):  # noqa: N818 - a verdict
    """A value that its type cannot hold."""


class Unreadable(Exception):  # noqa: N818 - a verdict
    """Poison where a value is read."""


def infer(values: Sequence[Any]) -> Kind:
    """The type of sampled values, as the README says: what each has exactly, JSON where they differ."""
    seen: list[Any] = [v for v in values if v is not None]
    types = {dict if isinstance(v, dict) else type(v) for v in seen}
    if types == {bool}:
        return "BOOLEAN"
    if types == {int}:
        sizes = [abs(v + 1) if v < 0 else v for v in seen]
        return "BIGINT" if max(sizes) < 2**63 else "HUGEINT" if max(sizes) < 2**127 else "JSON"
    if types and types <= {int, float}:
        return "DOUBLE" if all(type(v) is float or abs(v) <= 2**53 for v in seen) else "JSON"
    if types == {str}:
        are_dates = all(re.fullmatch(r"\d{4}-\d\d-\d\d", v) for v in seen)
        return "DATE" if are_dates and all(map(is_date, seen)) else "VARCHAR"
    if types == {list}:
        return [infer([each for v in seen for each in v])]
    if types == {dict}:
        keys = list(dict.fromkeys(key for v in seen for key in v))
        are_fields = keys and all(keys) and len({key.lower() for key in keys}) == len(keys)
        return {key: infer([v.get(key) for v in seen]) for key in keys} if are_fields else "JSON"
    return "JSON"


def is_date(value: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)) and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False


def fields_of(records: Sequence[Any], nested: str, path: tuple[str, ...] = ()) -> Iterator[Col]:
    for key in dict.fromkeys(key for each in records for key in each):
        values = [each[key] for each in records if each.get(key) is not None]
        kind = infer(values)
        if nested == "flatten" and isinstance(kind, dict) and all(values):
            yield from fields_of(values, nested, (*path, key))
        else:
            kind = "JSON" if nested != "struct" and not isinstance(kind, str) else kind
            yield Col("__".join((*path, key)) or "_", kind, (*path, key), declared=False)


def distinct(columns: Sequence[Col]) -> list[Col]:
    """The columns with names that differ without case, too."""
    taken: dict[str, Col] = {}
    for col in columns:
        names = [col.name] + [f"{col.name}_{number}" for number in range(1, len(columns) + 1)]
        name = next(name for name in names if name.lower() not in taken)
        taken[name.lower()] = Col(name, col.kind, col.path, col.declared, col.is_rest)
    return list(taken.values())


def as_text(kind: Kind) -> Kind:
    match kind:
        case dict():
            return {name: as_text(field) for name, field in kind.items()}
        case list():
            return [as_text(kind[0])]
        case _:
            return kind if kind == "JSON" else "VARCHAR"


@dataclass
class Reading:
    """How values become a column's. With `nulls` a misfit is NULL."""

    nulls: bool

    def cell(self, value: Any, col: Col, known: Any = None) -> Any:
        """A record's value of `col`, where `known` is what all columns have; raises Misfit or Unreadable."""
        if col.is_rest:
            left = rest(value, known)
            self.refuse(left)
            return canonical(text(left[0])) if left else None
        for step in col.path:
            if isinstance(value, dict):
                value = value.get(step)
            elif value is not None:
                return self.misfit(value)
        return self.read(value, col.kind, declared=col.declared)

    def read(self, value: Any, kind: Kind, *, declared: bool) -> Any:
        match kind, value:
            case _, None:
                return None
            case dict(), dict():
                return {name: self.read(value.get(name), field, declared=declared) for name, field in kind.items()}
            case list(), list():
                return [self.read(each, kind[0], declared=declared) for each in value]
            case "JSON", _:
                self.refuse(value)
                return canonical(text(value))
            case _:
                self.refuse(value)
                found = SCALARS[kind](value, declared) if isinstance(kind, str) else None
                return self.misfit(value) if found is None else found

    def refuse(self, value: Any) -> None:
        if holds_poison(value):
            raise Unreadable

    def misfit(self, value: Any) -> None:
        self.refuse(value)
        if not self.nulls:
            raise Misfit


def whole(value: Any, declared: bool, bits: int) -> int | None:  # noqa: FBT001 - called by the table below
    if type(value) is float and value.is_integer() and abs(value) < 2**53:  # 9007199254740993.0 is 2**53, too
        value = int(value)
    if declared and type(value) is str and re.fullmatch(r"[+-]?[0-9]{1,40}", value):
        value = int(value)
    return value if type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else None


def double(value: Any, declared: bool) -> float | None:  # noqa: FBT001
    if declared and type(value) is str and re.fullmatch(r"[+-]?\d+(\.\d+)?(e\d+)?", value):
        value = float(value) if set(value) & set(".e") else int(value)
    if type(value) is int and abs(value) <= 2**53:
        value = float(value)
    return value if type(value) is float and abs(value) < float("inf") else None


#: What a value other than null is as each scalar, None where it does not fit; the second argument: it was asked for.
SCALARS: dict[str, Callable[[Any, bool], Any]] = {
    "BOOLEAN": lambda v, declared: {"true": True, "false": False}.get(v) if declared and type(v) is str else
    (v if type(v) is bool else None),
    "INTEGER": lambda v, declared: whole(v, declared, 32),
    "BIGINT": lambda v, declared: whole(v, declared, 64),
    "HUGEINT": lambda v, declared: whole(v, declared, 128),
    "DOUBLE": double,
    "VARCHAR": lambda v, declared: v if type(v) is str else text(v).decode() if declared else None,
    "DATE": lambda v, _: v if type(v) is str and is_date(v) else None,
}  # fmt: skip


def canonical(raw: bytes | str) -> str | None:
    """JSON text in one way of writing, its numbers digit by digit; null is NULL."""
    value = json.loads(raw, parse_int="#{}".format, parse_float="#{}".format)
    return None if value is None else json.dumps(value, sort_keys=True)


def known_of(columns: Sequence[Col]) -> Any:
    """What the columns have of a record: a dict of fields, [of an element], None for all of a value."""
    known: dict[str, Any] = {}
    for col in columns:
        if not col.path:
            return None
        inner = known
        for step in col.path[:-1]:
            inner = inner.setdefault(step, {})
        inner[col.path[-1]] = col.kind
    return known


def rest(value: Any, known: Any) -> list[Any]:
    """What `value` has beside what is known of it, as the one element; none where that is nothing."""
    if isinstance(known, dict) and isinstance(value, dict):
        left = {key: rest(each, known[key]) if key in known else [each] for key, each in value.items()}
        left = {key: found[0] for key, found in left.items() if found}
        return [left] if left else []
    if isinstance(known, list) and isinstance(value, list):
        elements = [rest(each, known[0]) for each in value]
        return [[found[0] if found else {} for found in elements]] if any(elements) else []
    return []


# --- one schedule ----------------------------------------------------------------------------------------------------

#: What a field of each kind may well be declared as.
LIKELY: dict[str, list[Kind]] = {
    "small": ["INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "JSON"],
    "integer": ["BIGINT", "HUGEINT", "VARCHAR", "JSON"],
    "huge": ["HUGEINT", "VARCHAR", "JSON"],
    "float": ["DOUBLE", "VARCHAR", "JSON"],
    "boolean": ["BOOLEAN", "VARCHAR", "JSON"],
    "date": ["DATE", "VARCHAR", "JSON"],
    "text": ["VARCHAR", "JSON"],
    "object": ["JSON", {"x": "BIGINT", "y": "VARCHAR"}, {"X": "JSON"}, {"deep": {"x": "HUGEINT"}, "y": "JSON"}],
    "objects": ["JSON", [{"x": "BIGINT"}], [{"y": "VARCHAR", "deep": "JSON"}]],
    "list": ["JSON", ["VARCHAR"], ["JSON"], [{"x": "BIGINT"}]],
    "any": ["JSON", "VARCHAR"],
}
ANY_TYPE = [kind for kinds in LIKELY.values() for kind in kinds]
COMPARED = {"INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "VARCHAR", "DATE"}
Row = dict[str, Any]


def sql_type(kind: Kind) -> str:
    match kind:
        case dict():
            return "STRUCT(" + ", ".join(f'"{name}" {sql_type(field)}' for name, field in kind.items()) + ")"
        case list():
            return sql_type(kind[0]) + "[]"
        case _:
            return str(kind)


def quoted(value: str, mark: str = "'") -> str:
    return mark + value.replace(mark, mark * 2) + mark


def struct_of(kinds: dict[str, Kind]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: {quoted(sql_type(kind))}" for name, kind in kinds.items()) + "}"


@dataclass
class Schedule:
    """Pages, the columns that a call over them has, and a statement; `columns` is empty where the bind must fail."""

    seed: int
    pages: list[Body]
    options: dict[str, str]
    columns: list[Col]
    nulls: bool
    selected: list[Col]
    where: list[tuple[Col, str, Any]]
    joint: str
    limit: int | None
    delays: list[float]
    says_last: bool
    is_own: bool  # apikit_sql.connect()
    is_stored: bool  # CREATE TABLE AS

    @property
    def sql(self) -> str:
        options = "".join(f", {name} := {value}" for name, value in self.options.items())
        names = ", ".join(quoted(col.name, '"') for col in self.selected) or "count(*)"
        where = f" {self.joint} ".join(condition_sql(*each) for each in self.where)
        limit = "" if self.limit is None else f" LIMIT {self.limit}"
        return (
            f"SELECT {names} FROM apikit('{BASE_URL}', '/t{self.seed}'{options})"
            + (f" WHERE {where}" * bool(where))
            + limit
        )

    def passes(self, row: Row) -> bool:
        verdicts = [holds(row[col.name], operator, value) for col, operator, value in self.where]
        return (any if self.joint == "OR" else all)(verdicts) if verdicts else True


def condition_sql(col: Col, operator: str, value: Any) -> str:
    name = quoted(col.name, '"')
    if value is None:
        return f"{name} {operator}"
    return f"{name} {operator} {quoted(repr(value) if col.kind == 'DOUBLE' else str(value))}::{col.kind}"


def holds(cell: Any, operator: str, value: Any) -> bool:
    match operator:
        case "IS NULL" | "IS NOT NULL":
            return (cell is None) == (operator == "IS NULL")
        case _ if cell is None:
            return False
        case "=":
            return bool(cell == value)
        case "<>":
            return bool(cell != value)
        case "<":
            return bool(cell < value)
        case _:
            return bool(cell >= value)


def schedule(seed: int) -> Schedule:
    chance = Chance(seed)
    pages, path, fields = bodies(chance)
    on_drift = chance.choice(["error", "null"])
    extra, concurrency = chance.happens(0.4), chance.choice([None, 1, 2, 8])
    options = {"concurrency": str(concurrency)} if concurrency else {}
    if path:
        options["data_path"] = quoted(path)
    if chance.happens(0.4):
        kinds = declared_kinds(chance, fields)
        columns = [Col(name, kind, (name,), declared=True) for name, kind in kinds.items()]
        options["columns"] = struct_of(kinds)
    else:
        on_drift = chance.choice([on_drift, "text"])
        columns = inferred(chance, pages, options, on_drift)
    if extra and columns:
        columns = distinct([*columns, Col("_extra", "JSON", (), declared=True, is_rest=True)])
    if on_drift != "error" or chance.happens(0.5):
        options["on_drift"] = quoted(on_drift)
    if extra:
        options["extra"] = "true"
    selected = chance.sample(columns, chance.choice([chance.randint(0, len(columns)), len(columns)]))
    return Schedule(
        seed,
        pages,
        options,
        columns,
        on_drift == "null",
        selected,
        conditions(chance, columns, pages) if selected and chance.happens(0.4) else [],
        chance.choice(["AND", "OR"]),
        chance.choice([0, 1, 5, 1000]) if selected and chance.happens(0.2) else None,
        [chance.choice([0, 0, 0, 0.002]) for _ in pages],
        chance.happens(0.7),
        chance.happens(0.5),
        chance.happens(0.2),
    )


def declared_kinds(chance: Chance, fields: dict[str, str]) -> dict[str, Kind]:
    names = chance.sample(sorted(fields), chance.randint(1, len(fields)))
    names += [chance.choice(NAMES)] if chance.happens(0.2) else []
    usable = {name.lower(): name for name in names if name not in {"", "_extra"}} or {"a": "a"}
    return {
        name: chance.choice(LIKELY[fields[name]] if name in fields and chance.happens(0.8) else ANY_TYPE)
        for name in usable.values()
    }


def inferred(chance: Chance, pages: list[Body], options: dict[str, str], on_drift: str) -> list[Col]:
    """The columns that the first pages show, some with another type; none where those cannot be read."""
    most, nested = chance.choice([1, 1, 1, 2]), chance.choice(["struct", "struct", "flatten", "json"])
    options |= {"sample_pages": str(most)} if most > 1 else {}
    options |= {"nested": quoted(nested)} if nested != "struct" else {}
    sampled = pages[:most]
    if any(page.records is None or holds_poison(page.records) for page in sampled):
        return []
    records = [each for page in sampled for each in page.records or ()]
    if not records:
        return []
    if all(isinstance(each, dict) for each in records):
        columns = list(fields_of(records, nested)) or [Col("value", "JSON", (), declared=False)]
    else:
        kind = infer(records)
        columns = [Col("value", kind if nested == "struct" or isinstance(kind, str) else "JSON", (), declared=False)]
    columns = distinct(columns)
    plain = [col for col in columns if col.name]
    chosen = {col.name: chance.choice(ANY_TYPE) for col in chance.sample(plain, chance.choice([0, 0, 1, len(plain)]))}
    if chosen:
        options["types"] = struct_of(chosen)
        columns = [Col(c.name, chosen.get(c.name, c.kind), c.path, c.name in chosen) for c in columns]
    if on_drift == "text":
        columns = [Col(c.name, as_text(c.kind), c.path, declared=True) for c in columns]
    return columns


def conditions(chance: Chance, columns: list[Col], pages: list[Body]) -> list[tuple[Col, str, Any]]:
    found: list[tuple[Col, str, Any]] = []
    for col in chance.sample(columns, min(len(columns), chance.choice([1, 1, 2]))):
        operator, value = chance.choice(["IS NULL", "IS NOT NULL"]), None
        cells = [cell for cell in cells_of(col, pages) if "\0" not in str(cell)]
        if cells and isinstance(col.kind, str) and col.kind in COMPARED:
            operator, value = chance.choice(["=", "<>", "<", ">="]), chance.choice(cells)
        found.append((col, operator, value))
    return found


def cells_of(col: Col, pages: list[Body]) -> list[Any]:
    """Values of `col` to compare with."""
    reading, found = Reading(nulls=True), []
    for each in [each for page in pages for each in page.records or ()][:50]:
        try:
            found.append(reading.cell(each, col))
        except Unreadable:
            continue
    return [cell for cell in found if cell is not None]


@dataclass
class Verdict:
    """The rows that a schedule must give: all of them, or those before a page that must fail."""

    rows: list[Row]
    failing: int | None = None  # the number of that page
    drifts: bool = False  # it fails since a value does not fit
    is_risky: bool = False  # what nobody has to look at cannot be read, so that any error will do


def judge(plan: Schedule) -> Verdict:
    verdict = Verdict([])
    asked = [*plan.selected, *(col for col, *_ in plan.where)]
    reading = Reading(plan.nulls)
    known = known_of([col for col in plan.columns if not col.is_rest])
    verdict.is_risky = any(page.records is None or holds_poison(page.records) for page in plan.pages)
    if not asked:  # count(*) reads one column, whichever DuckDB likes
        verdict.is_risky |= not plan.nulls
    for number, page in enumerate(plan.pages, 1):
        try:
            rows = rows_of(page, asked, reading, known)
        except (Misfit, Unreadable) as error:
            verdict.failing, verdict.drifts = number, isinstance(error, Misfit)
            break
        verdict.rows += [row for row in rows if plan.passes(row)]
    return verdict


def rows_of(page: Body, asked: list[Col], reading: Reading, known: Any) -> list[Row]:
    if page.records is None:
        raise Unreadable
    once: dict[int, Row] = {}  # records of a page may be one and the same
    for each in page.records:
        once[id(each)] = once.get(id(each)) or {col.name: reading.cell(each, col, known) for col in asked}
    return [once[id(each)] for each in page.records]


# --- running it ------------------------------------------------------------------------------------------------------


def as_expected(value: Any, kind: Kind) -> Any:
    """A value of DuckDB's as the model writes it."""
    match kind, value:
        case _, None:
            return None
        case dict(), _:
            return {name: as_expected(value[name], field) for name, field in kind.items()}
        case list(), _:
            return [as_expected(each, kind[0]) for each in value]
        case "JSON", _:
            return canonical(value)
        case "DATE", _:
            return value.isoformat()
        case _:
            return value


class Bench:
    """A plain connection and one of ours, and the API that they ask, whose pages are of one schedule at a time."""

    def __init__(self) -> None:
        self.plan = schedule(0)
        session = apikit_sql.Session(connectors=ConnectorRegistry(), transport=httpx.MockTransport(self.answer))
        self.own = apikit_sql.connect(session=session)
        self.plain = duckdb.connect()
        apikit_sql.install(self.plain, session=session)

    def answer(self, request: httpx.Request) -> httpx.Response:
        plan, number, last = self.plan, int(request.url.params.get("page", 1)), len(self.plan.pages)
        time.sleep(plan.delays[number - 1])
        links = [f'<{request.url.path}?page={number + 1}>; rel="next"'] if number < last else []
        links += [f'<{request.url.path}?page={last}>; rel="last"'] if links and plan.says_last else []
        headers = {"link": ", ".join(links)} if links else {}
        return httpx.Response(200, content=plan.pages[number - 1].text, headers=headers)

    def ask(self, plan: Schedule) -> tuple[list[tuple[Any, ...]], str]:
        """The rows, or the text of the error, which is one of ours; a table whose making failed is not there."""
        self.plan = plan
        con: Any = self.own if plan.is_own else self.plain
        try:
            if not plan.is_stored:
                return con.execute(plan.sql).fetchall(), ""
            con.execute("CREATE OR REPLACE TABLE stored AS " + plan.sql)
            return con.execute("FROM stored").fetchall(), ""
        except errors.ApikitError as error:
            found = f"{type(error).__name__}: {error}"
            assert plan.is_own, "a plain connection raises DuckDB's errors"
        except duckdb.InvalidInputException as error:
            found = str(error)
            assert not plan.is_own, f"connect() raised DuckDB's own error: {found}"
        finally:
            stored = con.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
            con.execute("DROP TABLE IF EXISTS stored")
        assert any(f"{name}: " in found for name in OURS), f"no class of ours is named: {found}"
        assert stored == [(0,)], "a table stayed"
        return [], found


OURS = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.ApikitError)]


def check(bench: Bench, seed: int) -> str:
    """How the schedule of this seed ended, "rows" or "error"; raises AssertionError where that is wrong."""
    plan = schedule(seed)
    verdict = judge(plan)
    rows, error = bench.ask(plan)
    must_fail = not plan.columns or (
        verdict.failing is not None and (plan.limit is None or len(verdict.rows) < plan.limit)
    )
    if error:
        assert must_fail or verdict.failing is not None or verdict.is_risky, f"an error for nothing: {error}"
        if plan.columns and verdict.drifts and not verdict.is_risky:
            assert f"page {verdict.failing}, record " in error, error
            assert "SchemaDriftError: " in error, error
        return "error"
    assert not must_fail, f"no error, though page {verdict.failing} cannot be read"
    expected = [tuple(row[col.name] for col in plan.selected) or 1 for row in verdict.rows]
    if not plan.selected:
        assert rows == [(len(expected),)], (rows, len(expected))
        return "rows"
    expected = expected[: plan.limit]
    found = [tuple(as_expected(v, col.kind) for v, col in zip(row, plan.selected, strict=True)) for row in rows]
    assert len(found) == len(expected), (len(found), len(expected))
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert repr(one) == repr(other), f"row {number}: {one}, not {other}"
    return "rows"


def main(count: int, first: int) -> int:
    """How many of `count` schedules failed. Each seed is told before it runs, so that a crash leaves it as the last."""
    warnings.simplefilter("ignore", apikit_sql.ApikitWarning)
    bench, ends = Bench(), {"rows": 0, "error": 0, "failed": 0}
    for seed in range(first, first + count):
        print(f"\rseed {seed}", end="", flush=True)  # noqa: T201
        try:
            ends[check(bench, seed)] += 1
        except Exception as error:  # noqa: BLE001 - told with its seed, and the next one runs
            ends["failed"] += 1
            plan = schedule(seed)
            print(f": {type(error).__name__}: {error}\n{plan.sql}\n", flush=True)  # noqa: T201
            if count == 1:
                for page in plan.pages:
                    print(page.text[:2000])  # noqa: T201
    print(f"\n{json.dumps(ends)}")  # noqa: T201
    return ends["failed"]


@pytest.mark.parametrize("first", range(0, SCHEDULES, A_PROCESS))
def test_pages_of_every_wrong_shape_are_exactly_their_rows_or_a_typed_error(first: int) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.scan.test_gate", str(A_PROCESS), str(first)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    ends = json.loads(done.stdout.rsplit("\n", 2)[1])
    assert ends["rows"] > A_PROCESS / 4, ends  # the schedules are no mere errors,
    assert ends["error"] > A_PROCESS / 10, ends  # and not too tame


# --- what it has found -----------------------------------------------------------------------------------------------


class TestFound:
    """Each of these was a schedule."""

    @pytest.mark.parametrize("poison", [b"1e400", b"9" * 5000], ids=["1e400", "5,000 digits"])
    def test_a_number_that_nothing_can_hold_is_a_decode_error_where_no_column_has_it(
        self, api: FakeApi, con: duckdb.DuckDBPyConnection, poison: bytes
    ) -> None:
        api.routes["/t"] = httpx.Response(200, content=b'[{"id": 1, "more": ' + poison + b"}]")

        with pytest.raises(duckdb.InvalidInputException, match=r"DecodeError: .*page 1: a record is not JSON"):
            con.execute(f"FROM apikit('{BASE_URL}', '/t', columns := {{id: 'BIGINT'}}, extra := true)").fetchall()

    @pytest.mark.parametrize("poison", [b"1e400", b'"\xff"'], ids=["1e400", "no UTF-8"])
    def test_a_value_that_does_not_fit_is_told_beside_one_that_cannot_be_read(
        self, api: FakeApi, con: duckdb.DuckDBPyConnection, poison: bytes
    ) -> None:
        api.routes["/t"] = httpx.Response(200, content=b'[{"id": "x", "more": ' + poison + b"}]")

        with pytest.raises(duckdb.InvalidInputException, match=r"(SchemaDrift|Decode)Error: .*page 1"):
            con.execute(f"FROM apikit('{BASE_URL}', '/t', columns := {{id: 'BIGINT'}})").fetchall()

    @pytest.mark.parametrize(
        ("kind", "good", "bad"),
        [
            ("DATE", "2024-02-29", "2023-02-29"),
            ("TIMESTAMP", "2024-02-29T12:00:00", "2023-02-29T12:00:00"),
            ("TIMESTAMPTZ", "2024-02-29T12:00:00Z", "2024-02-29T25:00:00Z"),
        ],
    )
    def test_a_day_that_is_none_is_null_where_misfits_are_null(
        self, api: FakeApi, con: duckdb.DuckDBPyConnection, kind: str, good: str, bad: str
    ) -> None:
        api.routes["/t"] = Table([{"day": good}, {"day": bad}])

        with pytest.warns(apikit_sql.ApikitWarning, match="1 values do not fit"):
            found = con.execute(
                f"SELECT day IS NULL FROM apikit('{BASE_URL}', '/t', columns := {{day: '{kind}'}}, on_drift := 'null')"
            ).fetchall()

        assert found == [(False,), (True,)]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])) > 0)
