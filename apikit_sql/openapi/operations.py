"""Which operations of an OpenAPI document list records, with what they take and where the records are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apikit_sql.openapi.schema import Schemas, Shape, mapping, sequence
from apikit_sql.openapi.text import snake

#: Where an object that wraps records usually has them, the likeliest first.
_ENVELOPES = ("data", "items", "results", "values", "records")
#: Objects that may wrap the envelope itself.
_WRAPPERS = ("data", "result", "results", "response", "_embedded")
#: Arrays that go along with records.
_BESIDE = frozenset({"included", "errors", "warnings", "messages", "links", "_links"})
#: What a path cannot have: its own query or fragment, or braces that hold no name.
_UNUSABLE = re.compile(r"[?#\\{}]|/\.{1,2}(?=/|$)")
_FIELDS = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True)
class Parameter:
    """What a request is given: `place` is path, query, header or cookie."""

    name: str
    place: str
    is_required: bool
    shape: Shape
    schema: Mapping[str, Any]
    description: str

    @property
    def only_value(self) -> Any:  # noqa: ANN401 - a stranger's document
        """The value that it always has, None where there may be several: its one choice, or its default."""
        return self.shape.enum[0] if len(self.shape.enum) == 1 else self.schema.get("default")


@dataclass(frozen=True)
class ListOperation:
    """A GET whose answer is a list of records: `body` is the answer's shape, `data_path` is where they are in it."""

    path: str
    operation: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    body: Shape
    record: Shape
    data_path: str
    has_link: bool

    def in_query(self) -> dict[str, Parameter]:
        """The query parameters by name."""
        return {each.name: each for each in self.parameters if each.place == "query"}


def list_operations(document: Mapping[str, Any], schemas: Schemas) -> list[ListOperation]:
    """The operations that list records, by path. A deprecated one, or one with servers of its own, is left out."""
    found = list[ListOperation]()
    for path, item in sorted(mapping(document.get("paths")).items()):
        parts = schemas.resolve(item)
        operation = mapping(parts.get("get"))
        is_elsewhere = "servers" in operation or "servers" in parts
        if not operation or operation.get("deprecated") is True or is_elsewhere or not _is_usable(path):
            continue
        given = (*sequence(parts.get("parameters")), *sequence(operation.get("parameters")))
        found += _listed(path, operation, _parameters(given, schemas), schemas)
    return found


def _is_usable(path: str) -> bool:
    return _UNUSABLE.search(_FIELDS.sub("", path)) is None


def _listed(
    path: str, operation: Mapping[str, Any], parameters: tuple[Parameter, ...], schemas: Schemas
) -> Iterable[ListOperation]:
    """The operation, where its answer is a list of records."""
    answer = _answer(operation, schemas)
    body = schemas.shape(_json_schema(mapping(answer.get("content"))))
    if found := _records(body, schemas, is_single=_is_single(path, operation)):
        has_link = any(name.lower() == "link" for name in mapping(answer.get("headers")))
        yield ListOperation(path, operation, parameters, body, found[1], found[0], has_link)


def _parameters(given: Iterable[Any], schemas: Schemas) -> tuple[Parameter, ...]:
    """The parameters, an operation's own in the place of its path's."""
    found: dict[tuple[str, str], Parameter] = {}
    for each in given:
        parts = schemas.resolve(each)
        name, place = str(parts.get("name") or ""), str(parts.get("in") or "")
        shape = schemas.shape(parts.get("schema"))
        schema = schemas.resolve(parts.get("schema"))
        description = str(parts.get("description") or shape.description)
        found[name, place] = Parameter(name, place, parts.get("required") is True, shape, schema, description)
    return tuple(each for each in found.values() if each.name)


def _answer(operation: Mapping[str, Any], schemas: Schemas) -> Mapping[str, Any]:
    answers = mapping(operation.get("responses"))
    wanted = next((answers[status] for status in ("200", "2XX", "2xx", "default") if status in answers), None)
    return schemas.resolve(wanted)


def _json_schema(content: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a stranger's document
    """The schema of the JSON content: plain JSON before JSON of some dialect."""
    kinds = {name.partition(";")[0].strip().lower(): name for name in sorted(content, reverse=True)}
    told = sorted(
        (kind != "application/json", kind) for kind in kinds if re.fullmatch(r"application/(.*\+)?json", kind)
    )
    return mapping(content[kinds[told[0][1]]]).get("schema") if told else None


def _is_single(path: str, operation: Mapping[str, Any]) -> bool:
    """Whether the path leads to one thing: it ends with its key, and the operation does not say that it lists."""
    return path.rstrip("/").endswith("}") and "list" not in snake(str(operation.get("operationId") or "")).split("_")


def _records(body: Shape, schemas: Schemas, *, is_single: bool) -> tuple[str, Shape] | None:
    """Where the records are in a body, and their shape; None where it is no list.

    An object with an `id` is a record itself, whatever arrays it has.
    """
    if body.kinds == {"array"}:
        record = schemas.shape(body.items, body.refs)
        return ("", record) if record.is_object else None
    if not body.is_object or is_single or "id" in body.properties:
        return None
    return _enveloped(body, schemas) or _wrapped(body, schemas)


def _enveloped(body: Shape, schemas: Schemas) -> tuple[str, Shape] | None:
    arrays = {}
    for name, each in body.properties.items():
        shape = schemas.shape(each, body.refs)
        record = schemas.shape(shape.items, shape.refs)
        if shape.kinds == {"array"} and record.is_object and name not in _BESIDE and "." not in name:
            arrays[name] = record
    only = list(arrays) if len(arrays) == 1 else []
    return next(((name, arrays[name]) for name in (*_ENVELOPES, *only) if name in arrays), None)


def _wrapped(body: Shape, schemas: Schemas) -> tuple[str, Shape] | None:
    """Records whose envelope is inside of another object."""
    for name in _WRAPPERS:
        inner = schemas.shape(body.properties.get(name), body.refs)
        if inner.is_object and "id" not in inner.properties and (found := _enveloped(inner, schemas)):
            return f"{name}.{found[0]}", found[1]
    return None
