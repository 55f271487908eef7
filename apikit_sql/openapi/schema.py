"""What an OpenAPI document says of a value's shape, through references and compositions, as a column type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any
from urllib.parse import unquote

from apikit_sql.column_types import JSON, VARCHAR, ColumnType, ListOf, Scalar, Struct
from apikit_sql.errors import ConfigError

#: How many STRUCTs are inside each other; what is deeper is JSON.
DEEPEST = 3

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXT_FORMATS = {"date-time": Scalar("TIMESTAMPTZ"), "date": Scalar("DATE")}
_WHOLE_FORMATS = {"int32": Scalar("INTEGER"), "uint64": Scalar("HUGEINT")}


@dataclass(frozen=True)
class Shape:
    """A schema with its references followed and its compositions merged.

    `kinds` are the JSON types that a value may have, null apart; none are told of a free-form one. `refs` are the
    references that led here: one of them again is a cycle.
    """

    kinds: frozenset[str] = frozenset()
    format: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    items: Any = None
    enum: tuple[Any, ...] = ()
    description: str = ""
    refs: frozenset[str] = frozenset()

    @property
    def is_object(self) -> bool:
        """Whether every value is an object."""
        return self.kinds == {"object"}


def mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a stranger's document
    """`value` with its keys as texts, which YAML may read as numbers; nothing where it is no object."""
    return {str(key): each for key, each in value.items()} if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:  # noqa: ANN401 - a stranger's document
    """`value` where it is an array, else nothing."""
    return value if isinstance(value, list) else []


class Schemas:
    """The parts of one document, found by reference."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """The parts of `document`."""
        self._document = document
        self._found: dict[str, Mapping[str, Any]] = {}

    def resolve(self, node: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a stranger's document
        """`node`, or what it refers to. Raises ConfigError where that is not in the document."""
        seen: set[str] = set()
        found = mapping(node)
        while isinstance(ref := found.get("$ref"), str) and ref not in seen:
            seen.add(ref)
            found = self._at(ref)
        return found

    def shape(self, schema: Any, refs: frozenset[str] = frozenset()) -> Shape:  # noqa: ANN401 - a stranger's document
        """The shape of `schema`; free-form where it leads back to one of `refs`."""
        parts = mapping(schema)
        ref = parts.get("$ref")
        own = _own(parts, refs)
        if isinstance(ref, str):
            if ref in refs:
                return replace(own, kinds=frozenset(), properties={}, items=None)
            own = _both(own, self.shape(self._at(ref), refs | {ref}))
        own = reduce(_both, (self.shape(each, refs) for each in sequence(parts.get("allOf"))), own)
        for name in ("oneOf", "anyOf"):
            if variants := [self.shape(each, refs) for each in sequence(parts.get(name)) if not _is_null(each)]:
                own = _both(own, reduce(_either, variants))
        return own

    def type_of(self, shape: Shape, depth: int = 0) -> ColumnType:
        """The type that holds every value of `shape`, which is inside of `depth` STRUCTs."""
        match sorted(shape.kinds):
            case ["boolean"]:
                return Scalar("BOOLEAN")
            case ["integer"]:
                return _WHOLE_FORMATS.get(shape.format, Scalar("BIGINT"))
            case ["number"]:
                return Scalar("DOUBLE")
            case ["string"]:
                return _TEXT_FORMATS.get(shape.format, VARCHAR)
            case ["array"]:
                return ListOf(self.type_of(self.shape(shape.items, shape.refs), depth))
            case ["object"] if depth < DEEPEST:
                return self._struct(shape, depth)
            case _:
                return JSON

    def _struct(self, shape: Shape, depth: int) -> ColumnType:
        names = {name.lower() for name in shape.properties}
        if not names or len(names) < len(shape.properties):
            return JSON
        parts = ((name, self.shape(each, shape.refs)) for name, each in shape.properties.items())
        return Struct(tuple((name, self.type_of(part, depth + 1)) for name, part in parts))

    def _at(self, ref: str) -> Mapping[str, Any]:
        if ref not in self._found:
            self._found[ref] = self._look_up(ref)
        return self._found[ref]

    def _look_up(self, ref: str) -> Mapping[str, Any]:
        """What the JSON pointer `ref` (RFC 6901) leads to."""
        place, _, pointer = ref.partition("#")
        if place:
            message = f"the document refers to {ref!r}, outside of it. Bundle it into one, as with `redocly bundle`."
            raise ConfigError(message)
        anchor, *steps = pointer.split("/")
        found: Any = None if anchor else self._document
        for step in steps:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            index = int(name) if isinstance(found, list) and name.isdecimal() else -1
            found = found[index] if 0 <= index < len(sequence(found)) else mapping(found).get(name)
        if not isinstance(found, Mapping):
            message = f"the document refers to {ref!r}, which it does not have."
            raise ConfigError(message)
        return mapping(found)


def type_text(kind: ColumnType) -> str:
    """`kind` as a manifest has it: names in quotes only where they need them."""
    match kind:
        case Struct(fields=fields):
            return "STRUCT(" + ", ".join(f"{_field_name(name)} {type_text(each)}" for name, each in fields) + ")"
        case ListOf(element=element):
            return f"{type_text(element)}[]"
        case _:
            return str(kind)


def _field_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _own(parts: Mapping[str, Any], refs: frozenset[str]) -> Shape:
    """The shape that a schema's own keywords tell."""
    properties = {
        name: each
        for name, each in mapping(parts.get("properties")).items()
        if name and mapping(each).get("writeOnly") is not True
    }
    enum = tuple(sequence(parts.get("enum"))) or ((parts["const"],) if "const" in parts else ())
    return Shape(
        _kinds(parts, enum),
        str(parts.get("format") or ""),
        properties,
        parts.get("items"),
        tuple(value for value in enum if value is not None),
        str(parts.get("description") or ""),
        refs | ({parts["$ref"]} if isinstance(parts.get("$ref"), str) else frozenset()),
    )


def _kinds(parts: Mapping[str, Any], enum: tuple[Any, ...]) -> frozenset[str]:
    told = parts.get("type")
    kinds = {told} if isinstance(told, str) else set(filter(lambda each: isinstance(each, str), sequence(told)))
    if not kinds and enum:
        kinds = {_kind_of(value) for value in enum}
    if not kinds and "properties" in parts:
        kinds = {"object"}
    if not kinds and "items" in parts:
        kinds = {"array"}
    return _plain_kinds(kinds)


def _plain_kinds(kinds: Iterable[str]) -> frozenset[str]:
    """`kinds` without null, and integers among numbers as such."""
    named = frozenset(kinds) - {"null"}
    return named - {"integer"} if "number" in named else named


def _kind_of(value: Any) -> str:  # noqa: ANN401 - a stranger's document
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "string")


def _both(one: Shape, other: Shape) -> Shape:
    """What holds for a value of both shapes; where they differ, the first speaks."""
    return Shape(
        one.kinds or other.kinds,
        one.format or other.format,
        _joined("allOf", one, other),
        other.items if one.items is None else one.items,
        one.enum or other.enum,
        one.description or other.description,
        one.refs | other.refs,
    )


def _either(one: Shape, other: Shape) -> Shape:
    """What holds for a value of either shape: of several kinds it is mixed; a free-form one leaves nothing to say."""
    return Shape(
        _plain_kinds(one.kinds | other.kinds) if one.kinds and other.kinds else frozenset(),
        one.format if one.format == other.format else "",
        _joined("oneOf", one, other),
        _one_of("oneOf", one.items, other.items),
        one.enum + tuple(each for each in other.enum if each not in one.enum) if one.enum and other.enum else (),
        one.description or other.description,
        one.refs | other.refs,
    )


def _is_null(schema: Any) -> bool:  # noqa: ANN401 - a stranger's document
    parts = mapping(schema)
    return parts.get("type") in ("null", ["null"]) or parts.get("enum") == [None]


def _joined(how: str, one: Shape, other: Shape) -> dict[str, Any]:
    names = dict.fromkeys((*one.properties, *other.properties))
    return {name: _one_of(how, one.properties.get(name), other.properties.get(name)) for name in names}


def _one_of(how: str, one: Any, other: Any) -> Any:  # noqa: ANN401 - a stranger's document
    if one is None or one == other:
        return other
    return one if other is None else {how: [one, other]}
