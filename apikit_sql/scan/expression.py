"""The filter that DuckDB pushes, a pyarrow Expression, read back as predicates.

An Expression has no public accessors, but it pickles: as an Arrow file of one row, whose literals are typed columns
and whose structure stands in the schema's metadata, as a sequence of keys such as `call`, `field_ref`, `end`. That is
read here, by public means only (pickle, IPC, the Arrow C data interface). What is not understood is not pushed.
"""

from __future__ import annotations

import ctypes
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from apikit_sql.plan.predicate import Bound, Compared, OneOf, Predicate, Value


@dataclass(frozen=True)
class Field:
    """A column, or a field of a struct column: one name a step."""

    path: tuple[str, ...]


@dataclass(frozen=True)
class Literal:
    """A constant, as Python has it."""

    value: Any


@dataclass(frozen=True)
class Call:
    """A function of other nodes; `options` are its settings by name."""

    function: str
    arguments: tuple[Node, ...]
    options: Any = None


Node = Field | Literal | Call

_BOUNDS: dict[str, Bound] = {"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="}
_MIRRORED: dict[Bound, Bound] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


def read_predicates(expression: pc.Expression | None) -> tuple[Predicate, ...]:
    """The conjuncts of `expression` that bound one column; the others are left to the scan's own filter."""
    node = read_expression(expression)
    return () if node is None else tuple(_predicates(node))


def read_columns(expression: pc.Expression | None) -> frozenset[str] | None:
    """The top-level columns that `expression` reads; None where it cannot be read."""
    if expression is None:
        return frozenset()
    node = read_expression(expression)
    return None if node is None else frozenset(_columns(node))


def read_expression(expression: pc.Expression | None) -> Node | None:
    """`expression` as a tree, None where there is none or its pickled form is not as expected."""
    if expression is None:
        return None
    try:
        _, (buffer, *_) = expression.__reduce__()
        reader = pa.ipc.open_file(buffer)
        constants = [column[0] for column in reader.get_batch(0).columns]
        marks = deque(_metadata(reader.schema))
        node = _read(marks, constants)
    except (ValueError, TypeError, KeyError, IndexError, pa.ArrowException):
        return None
    return None if marks else node


def _read(marks: deque[tuple[str, str]], constants: list[pa.Scalar]) -> Node:
    mark, text = marks.popleft()
    match mark:
        case "literal":
            return Literal(constants[int(text)].as_py())
        case "field_ref":
            return Field((text,))
        case "nested_field_ref":
            steps = [_read(marks, constants) for _ in range(int(text))]
            return Field(tuple(name for step in steps if isinstance(step, Field) for name in step.path))
        case "call":
            return _read_call(text, marks, constants)
        case _:
            message = f"unexpected {mark}"
            raise ValueError(message)


def _read_call(function: str, marks: deque[tuple[str, str]], constants: list[pa.Scalar]) -> Call:
    arguments: list[Node] = []
    options = None
    while marks[0] != ("end", function):
        if marks[0][0] == "options":
            options = constants[int(marks.popleft()[1])].as_py()
        else:
            arguments.append(_read(marks, constants))
    marks.popleft()
    return Call(function, tuple(arguments), options)


def _metadata(schema: pa.Schema) -> list[tuple[str, str]]:
    """The schema's metadata with repeated keys, which pyarrow's own dict drops.

    Read from the Arrow C data interface: `metadata` is the third pointer of ArrowSchema, an int32 count and then each
    key and value behind its int32 length (https://arrow.apache.org/docs/format/CDataInterface.html).
    """
    capsule = schema.__arrow_c_schema__()
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    struct = pointer_of(capsule, b"arrow_schema")
    at = ctypes.c_void_p.from_address(struct + 2 * ctypes.sizeof(ctypes.c_void_p)).value
    if at is None:
        return []

    def number() -> int:
        nonlocal at
        assert at is not None  # noqa: S101 - checked above
        value = ctypes.c_int32.from_address(at).value
        at += 4
        return value

    def text() -> str:
        nonlocal at
        length = number()
        assert at is not None  # noqa: S101 - checked above
        value = ctypes.string_at(at, length).decode()
        at += length
        return value

    return [(text(), text()) for _ in range(number())]


def _predicates(node: Node) -> Iterable[Predicate]:
    match node:
        case Call("and_kleene" | "and", (left, right)):
            yield from _predicates(left)
            yield from _predicates(right)
        case Call(
            "if_else",
            (Call("is_valid", (Field() as tested,)), Call("is_in", (Field() as field,)) as inner, Literal(None)),
        ):
            if tested == field:
                yield from _predicates(inner)
        case Call("is_in", (Field() as field,), {"value_set": list(values)}):
            yield from _one_of(field, values)
        case Call("or_kleene" | "or"):
            alternatives = list(_alternatives(node))
            fields = {field for field, _ in alternatives}
            if len(fields) == 1 and (alike := fields.pop()) is not None:
                yield from _one_of(alike, [value for _, value in alternatives])
        case Call("equal", (Field() as field, Literal(value)) | (Literal(value), Field() as field)):
            yield from _one_of(field, [value])
        case Call(function, (Field() as field, Literal(value))) if function in _BOUNDS and _is_plain(value):
            yield Compared(".".join(field.path), _BOUNDS[function], value)
        case Call(function, (Literal(value), Field() as field)) if function in _BOUNDS and _is_plain(value):
            yield Compared(".".join(field.path), _MIRRORED[_BOUNDS[function]], value)
        case _:
            pass


def _alternatives(node: Node) -> Iterable[tuple[Field | None, Any]]:
    """Each `field = value` of an OR; a None field for anything else in it."""
    match node:
        case Call("or_kleene" | "or", (left, right)):
            yield from _alternatives(left)
            yield from _alternatives(right)
        case Call("equal", (Field() as field, Literal(value))):
            yield field, value
        case _:
            yield None, None


def _one_of(field: Field, values: list[Any]) -> Iterable[Predicate]:
    """`field IN (values)`; NULL in the list never makes a row pass."""
    plain = [value for value in values if value is not None]
    if plain and all(_is_plain(value) for value in plain):
        yield OneOf(".".join(field.path), tuple(plain))


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, Value)


def _columns(node: Node) -> Iterable[str]:
    match node:
        case Field(path):
            yield path[0]
        case Call(_, arguments):
            for argument in arguments:
                yield from _columns(argument)
        case Literal():
            pass
