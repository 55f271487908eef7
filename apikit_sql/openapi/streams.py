"""One list operation of an OpenAPI document as a stream of a draft: its keys, its columns, and what to look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apikit_sql.column_types import JSON, ColumnType, Scalar
from apikit_sql.connector.toml_text import comment, inline, table
from apikit_sql.openapi.names import key_prefix
from apikit_sql.openapi.operations import ListOperation, Parameter
from apikit_sql.openapi.paging import Settings, is_paging
from apikit_sql.openapi.schema import Schemas, Shape, type_text
from apikit_sql.openapi.text import sentence, snake
from apikit_sql.redaction import is_secret_param

_FIELD = re.compile(r"\{([^{}]*)\}")
_PLAIN_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UPDATES = re.compile(r"(date_)?(last_)?(updated|modified)(_(at|on|date|time|datetime))?")
_TIMES = {"TIMESTAMPTZ", "DATE"}
_FORMATS = {"DATE": "date", "TIMESTAMPTZ": "rfc3339"}
_WHOLE = {"INTEGER", "BIGINT", "HUGEINT"}
#: How many values a key column lists.
_MOST_VALUES = 30


@dataclass(frozen=True)
class StreamDraft:
    """A stream as it will be written: `notes` are lines of comment."""

    settings: Settings
    pagination: Settings | None
    columns: Mapping[str, Any]
    notes: tuple[str, ...]

    def lines(self, name: str) -> list[str]:
        """The stream as TOML."""
        return [
            *table(f"streams.{name}", self.settings),
            *map(comment, self.notes),
            *table(f"streams.{name}.pagination", self.pagination or {}),
            *table(f"streams.{name}.columns", self.columns),
        ]


@dataclass(frozen=True)
class _Columns:
    """The columns of a record by name, with their types, and those that differ by case only."""

    shapes: Mapping[str, Shape]
    types: Mapping[str, ColumnType]
    twins: tuple[str, ...]

    def has(self, name: str) -> bool:
        return name.lower() in {column.lower() for column in self.types}


def draft_stream(listed: ListOperation, pagination: Settings | None, schemas: Schemas) -> StreamDraft | None:
    """The draft; None where the records' columns are not told and the path cannot be sampled without keys."""
    columns = _columns(listed.record, schemas)
    path, keys = _path_keys(listed, columns, schemas)
    keys += _query_keys(listed, columns, schemas, {key["column"] for key in keys})
    if keys and not columns.types:
        return None
    operation = listed.operation
    docs = operation.get("externalDocs")
    settings = {
        "path": path,
        "description": sentence(operation.get("summary") or operation.get("description")),
        "docs": str(docs.get("url") or "") if isinstance(docs, Mapping) else "",
        "data_path": listed.data_path,
        "params": _fixed(listed),
        "primary_key": ["id"] if isinstance(columns.types.get("id"), Scalar) and columns.types["id"] != JSON else [],
        "updated_at": next((name for name in columns.types if _is_update(name, columns, schemas)), ""),
        "key_columns": keys,
    }
    notes = (*_candidates(listed, columns, schemas), *_defaults(listed), *_twins(columns), *_secrets(listed))
    written = {name: _column(shape, columns.types[name]) for name, shape in columns.shapes.items()}
    return StreamDraft({name: value for name, value in settings.items() if value}, pagination, written, notes)


def _columns(record: Shape, schemas: Schemas) -> _Columns:
    lowered = [name.lower() for name in record.properties]
    twins = tuple(sorted(name for name in record.properties if lowered.count(name.lower()) > 1))
    shapes = {name: schemas.shape(each, record.refs) for name, each in record.properties.items() if name not in twins}
    return _Columns(shapes, {name: schemas.type_of(shape) for name, shape in shapes.items()}, twins)


def _column(shape: Shape, kind: ColumnType) -> Any:  # noqa: ANN401 - a type, or a type with its settings
    settings = {"type": type_text(kind)}
    if shape.format == "unix-time" and settings["type"] == "BIGINT":
        settings |= {"type": "TIMESTAMPTZ", "format": "epoch"}
    if described := sentence(shape.description):
        settings["description"] = described
    return settings if len(settings) > 1 else settings["type"]


def _is_update(name: str, columns: _Columns, schemas: Schemas) -> bool:
    shape = columns.shapes[name]
    is_time = type_text(schemas.type_of(shape)) in _TIMES or (shape.format == "unix-time" and "integer" in shape.kinds)
    return is_time and _UPDATES.fullmatch(snake(name)) is not None


def _path_keys(listed: ListOperation, columns: _Columns, schemas: Schemas) -> tuple[str, list[Settings]]:
    """The path with its fields as a manifest can name them, and a required key for each.

    A record's own column of that name may mean another thing, the project's `id` and the task's: then the key is
    called by the step before it as well.
    """
    told = {each.name: each for each in listed.parameters if each.place == "path"}
    keys: dict[str, Settings] = {}
    for field in dict.fromkeys(_FIELD.findall(listed.path)):
        column, prefix = snake(field) or "key", key_prefix(listed.path, field)
        if columns.has(column) and f"_{prefix}_" not in f"_{column}_":
            column = f"{prefix}_{column}"
        column = _free(column, columns, {key["column"] for key in keys.values()})
        is_plain = _PLAIN_FIELD.fullmatch(field) and field not in {key["path"] for key in keys.values()}
        given = _key_type(told[field], schemas) if field in told else {}
        keys[field] = {"column": column, "path": field if is_plain else column, "required": True} | given
    return _FIELD.sub(lambda match: "{" + keys[match[1]]["path"] + "}", listed.path), list(keys.values())


def _query_keys(listed: ListOperation, columns: _Columns, schemas: Schemas, taken: set[str]) -> list[Settings]:
    """A required key for each query parameter that a request cannot do without."""
    keys = list[Settings]()
    for name, each in listed.in_query().items():
        if not _is_asked(each) or is_paging(each):
            continue
        column = _free(snake(name) or "key", columns, taken | {key["column"] for key in keys})
        keys.append({"column": column, "param": name, "required": True} | _key_type(each, schemas))
    return keys


def _is_asked(parameter: Parameter) -> bool:
    return parameter.is_required and parameter.only_value is None and not is_secret_param(parameter.name)


def _free(column: str, columns: _Columns, taken: set[str]) -> str:
    """`column`, with as many words behind it as keep it apart from the others."""
    while columns.has(column) or column in taken:
        column += "_key"
    return column


def _key_type(parameter: Parameter, schemas: Schemas) -> Settings:
    """The type, the format and the values of a key column."""
    kind = schemas.type_of(parameter.shape)
    text = type_text(kind) if isinstance(kind, Scalar) and kind != JSON else "VARCHAR"
    told = {"type": text} if text != "VARCHAR" else {}
    told |= {"format": _FORMATS[text]} if text in _FORMATS else {}
    values = [each for each in parameter.shape.enum if isinstance(each, str)]
    return told | ({"values": values} if text == "VARCHAR" and 0 < len(values) <= _MOST_VALUES else {})


def _fixed(listed: ListOperation) -> Settings:
    """The required query parameters that have one value only, which a request must still say."""
    return {
        name: each.shape.enum[0]
        for name, each in listed.in_query().items()
        if each.is_required and len(each.shape.enum) == 1 and isinstance(each.shape.enum[0], str | int | float)
        if not is_secret_param(name)
    }


def _candidates(listed: ListOperation, columns: _Columns, schemas: Schemas) -> list[str]:
    """The parameters that have a column's name and type: they may mean equality, which the document does not say."""
    notes = []
    for name, each in listed.in_query().items():
        kind = columns.types.get(name)
        if kind is None or is_paging(each) or _is_asked(each) or is_secret_param(name):
            continue
        given = schemas.type_of(each.shape)
        if isinstance(given, Scalar) and given != JSON and _family(given) == _family(kind):
            written = {part: value for part, value in _key_type(each, schemas).items() if part != "type"}
            notes.append("key_columns candidate: " + inline({"column": name, "param": name} | written))
    return notes


def _defaults(listed: ListOperation) -> list[str]:
    """What the API chooses where it is not asked: it may leave records out."""
    return [
        f"The API's own default: {name} = {each.schema['default']!r}, of {', '.join(map(str, each.shape.enum))}."
        for name, each in listed.in_query().items()
        if len(each.shape.enum) > 1 and each.schema.get("default") in each.shape.enum and not is_paging(each)
    ]


def _family(kind: ColumnType) -> str:
    text = type_text(kind)
    return "whole number" if text in _WHOLE else text


def _twins(columns: _Columns) -> list[str]:
    told = ", ".join(columns.twins)
    return [f"Left out, for they differ by case only: {told}"] if told else []


def _secrets(listed: ListOperation) -> list[str]:
    names = [name for name, each in listed.in_query().items() if each.is_required and is_secret_param(name)]
    return [f"{name} carries a credential: say it under [auth]." for name in names]
