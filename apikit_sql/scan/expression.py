"""The filter that DuckDB pushes, a pyarrow Expression, read back as predicates.

An Expression has no public accessors, but it pickles: as an Arrow file of one row, whose literals are typed columns
and whose structure stands in the schema's metadata, as a sequence of keys such as `call`, `field_ref`, `end`. That is
read here, by public means only (pickle, IPC, the Arrow C data interface). What is not understood is not pushed.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Mapping
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
class Constant:
    """A value, as Arrow has it."""

    scalar: pa.Scalar

    @property
    def value(self) -> Any:  # noqa: ANN401 - any constant
        """The constant as Python has it; the scalar itself where Python has nothing for it, as for `infinity`."""
        try:
            return self.scalar.as_py()
        except (ValueError, OverflowError):
            return self.scalar


@dataclass(frozen=True)
class Function:
    """A function of other nodes; `options` are its settings by name."""

    function: str
    arguments: tuple[Node, ...]
    options: Mapping[str, Any]


Node = Field | Constant | Function

_BOUNDS: dict[str, Bound] = {"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<="}
_MIRRORED: dict[Bound, Bound] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


def read_predicates(expression: pc.Expression | None) -> tuple[Predicate, ...]:
    """The conjuncts of `expression` that bound one column; the others are left to the scan's own filter."""
    return tuple(predicate for part in read_conjuncts(expression) for predicate in predicates_of(part))


def read_conjuncts(expression: pc.Expression | None) -> list[Node]:
    """What `expression` joins by AND, in order; nothing where there is none or it cannot be read."""
    node = read_expression(expression)
    return [] if node is None else parts_of(node, "and_kleene")


def read_columns(expression: pc.Expression | None) -> frozenset[str] | None:
    """The top-level columns that `expression` reads; None where it cannot be read."""
    if expression is None:
        return frozenset()
    node = read_expression(expression)
    return None if node is None else frozenset(inner.path[0] for inner in walk(node) if isinstance(inner, Field))


def read_expression(expression: pc.Expression | None) -> Node | None:
    """`expression` as a tree, None where there is none or its pickled form is not as expected."""
    if expression is None:
        return None
    try:
        _, (buffer, *_) = expression.__reduce__()
        reader = pa.ipc.open_file(buffer)
        return _read(_metadata(reader.schema), [column[0] for column in reader.get_batch(0).columns])
    except (ValueError, TypeError, KeyError, IndexError, pa.ArrowException):
        return None


def _read(marks: list[tuple[str, str]], constants: list[pa.Scalar]) -> Node:
    """The tree that `marks` describe. DuckDB 1.4 writes a long IN list as a deep OR, so there is no recursion here."""
    open_calls: list[tuple[str, list[Node], dict[str, Any]]] = [("", [], {})]
    position = 0
    while position < len(marks):
        mark, text = marks[position]
        position += 1
        function, arguments, options = open_calls[-1]
        match mark:
            case "literal":
                arguments.append(Constant(constants[int(text)]))
            case "field_ref":
                arguments.append(Field((text,)))
            case "nested_field_ref":
                steps = [name for kind, name in marks[position : position + int(text)] if kind == "field_ref"]
                if len(steps) < int(text):
                    message = f"{len(steps)} of {text} steps"
                    raise ValueError(message)
                position += len(steps)
                arguments.append(Field(tuple(steps)))
            case "call":
                open_calls.append((text, [], {}))
            case "options":
                options.update(constants[int(text)].as_py())
            case "end" if text == function:
                open_calls.pop()
                open_calls[-1][1].append(Function(function, tuple(arguments), options))
            case _:
                message = f"unexpected {mark}"
                raise ValueError(message)
    ((_, roots, _),) = open_calls
    (root,) = roots
    return root


def walk(node: Node) -> Iterable[Node]:
    """`node` and every node within."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        if isinstance(current, Function):
            waiting.extend(current.arguments)


def parts_of(node: Node, function: str) -> list[Node]:
    """What `function`, AND or OR, joins together; `node` itself where it is no such call. In order."""
    waiting, parts = [node], []
    while waiting:
        current = waiting.pop()
        if isinstance(current, Function) and current.function == function:
            waiting.extend(reversed(current.arguments))
        else:
            parts.append(current)
    return parts


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


def predicates_of(node: Node) -> Iterable[Predicate]:
    """What one conjunct says of one column; nothing where it says anything else."""
    match node:
        case Function(
            "if_else",
            (
                Function("is_valid", (Field() as tested,)),
                Function("is_in", (Field() as field,), {"value_set": list(values)}),
                last,
            ),
        ) if tested == field and isinstance(last, Constant) and last.value is None:
            yield from _one_of(field, [value for value in values if value is not None])
        case Function("is_in", (Field() as field,), {"value_set": list(values)}):
            yield from _one_of(field, values)
        case Function("or_kleene"):
            alternatives = [_equality(part) for part in parts_of(node, "or_kleene")]
            fields = {field for field, _ in alternatives}
            if len(fields) == 1 and (alike := fields.pop()) is not None:
                yield from _one_of(alike, [value for _, value in alternatives if value is not None])
        case Function("equal"):
            equal, value = _equality(node)
            if equal is not None:
                yield from _one_of(equal, [value])
        case Function(function, (Field() as field, Constant(value=value))) if function in _BOUNDS and _is_plain(value):
            yield Compared(".".join(field.path), _BOUNDS[function], value)
        case Function(function, (Constant(value=value), Field() as field)) if function in _BOUNDS and _is_plain(value):
            yield Compared(".".join(field.path), _MIRRORED[_BOUNDS[function]], value)
        case _:
            pass


def _equality(node: Node) -> tuple[Field | None, Any]:
    """The field and the value of `field = value`; a None field for anything else."""
    match node:
        case Function("equal", (Field() as field, Constant(value=value)) | (Constant(value=value), Field() as field)):
            return field, value
        case _:
            return None, None


def _one_of(field: Field, values: list[Any]) -> Iterable[Predicate]:
    """`field IN (values)`, where every value is plain: a NULL among them may let rows without a value pass."""
    if values and all(_is_plain(value) for value in values):
        yield OneOf(".".join(field.path), tuple(values))


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, Value)


def with_both_zeros(expression: pc.Expression | None) -> pc.Expression | None:
    """`expression` with 0.0 and -0.0 equal in IN lists, as they are to DuckDB; Arrow's `is_in` tells them apart."""
    node = read_expression(expression)
    zeros = node is not None and any(
        isinstance(inner, Function)
        and inner.function == "is_in"
        and 0.0 in (v for v in _values(inner) if type(v) is float)
        for inner in walk(node)
    )
    return _rebuilt(node) if zeros and node is not None else expression


def _values(call: Function) -> list[Any]:
    return list(call.options.get("value_set", ()))


def _rebuilt(node: Node) -> pc.Expression:
    match node:
        case Field(path):
            return pc.field(*path)
        case Constant(scalar):
            return pc.scalar(scalar)
        case Function("is_in", (tested,)):
            return _rebuilt(tested).isin([*_values(node), 0.0, -0.0])
        case Function(function, arguments):
            return getattr(pc, function)(*map(_rebuilt, arguments))
