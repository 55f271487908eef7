"""dbt's YAML files: an entry for a seed and one for its source, added to what is there; comments and order stay."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apikit_sql.dbt.seed import SeedColumn
from apikit_sql.errors import ConfigError, OutputError
from apikit_sql.identifiers import plain

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NOT_TEXT = frozenset("y n yes no on off true false null".split())  # noqa: SIM905 - what YAML 1.1 takes for no text
_JINJA = re.compile(r"\{[{%#]")
_USUAL_INDENT = (4, 2)  # of a list, and of the dash in it


@dataclass(frozen=True)
class Entry:
    """What is to be said of one table in dbt's YAML. `schema` and `database` are where its source is."""

    name: str
    columns: tuple[SeedColumn, ...]
    description: str = ""
    tags: tuple[str, ...] = ()
    database: str = ""
    schema: str = ""


def with_seed(text: str, entry: Entry, place: str) -> str:
    """The YAML `text` of the file at `place` with an entry for the seed. Raises OutputError where it cannot be read.

    What an entry of that name says of its own stays: types follow the data, tests and texts are for new columns, and a
    column that is no longer there goes.
    """

    def change(document: Any) -> None:  # noqa: ANN401 - ruamel's mapping
        seed = _named(document, "seeds", entry.name, place)
        _describe(seed, entry)
        config = _mapping(seed, "config", place)
        config["quote_columns"] = True
        config["column_types"] = {_text(each.name): _text(each.data_type) for each in entry.columns}
        _columns(seed, entry.columns, place)
        for gone in [each for each in seed["columns"] if each.get("name") not in config["column_types"]]:
            seed["columns"].remove(gone)

    return _changed(text, change, place)


def with_source(text: str, entry: Entry, place: str) -> str:
    """The YAML `text` of the file at `place` with an entry for the source's table; the others are not touched.

    The source is called like its schema, or `apikit`. Raises OutputError where `text` cannot be read, or has a source
    of that name elsewhere.
    """

    def change(document: Any) -> None:  # noqa: ANN401 - ruamel's mapping
        where = {"database": entry.database, "schema": entry.schema or "{{ target.schema }}"}
        source = _named(document, "sources", entry.schema or "apikit", place)
        is_new = "tables" not in source and "schema" not in source
        for key, value in where.items():
            if is_new and value:
                source[key] = _text(value)
            elif value and source.get(key) != value:
                message = (
                    f"{place}: the source {source['name']!r} has another {key} than {value!r}. Nothing is written."
                )
                raise OutputError(message)
        table = _named(source, "tables", entry.name, place)
        _describe(table, entry)
        _columns(table, [replace(column, tests=()) for column in entry.columns], place)

    return _changed(text, change, place)


def _describe(found: Any, entry: Entry) -> None:  # noqa: ANN401 - ruamel's mapping
    """Say the description and the tags, where nothing is said yet."""
    if entry.description and not found.get("description"):
        found["description"] = _text(escaped(entry.description))
    if entry.tags:
        config = found.setdefault("config", {})
        config.setdefault("tags", [_text(tag) for tag in entry.tags])


def _columns(found: Any, columns: Iterable[SeedColumn], place: str) -> None:  # noqa: ANN401 - ruamel's mapping
    """An entry for each of `columns`; one that is there keeps all but its type."""
    known = {_mapping_of(each, place).get("name"): each for each in _list(found, "columns", place)}
    for column in columns:
        each = known.get(column.name)
        if each is None:
            found["columns"].append(_column(column))
        elif each.get("data_type") != column.data_type:
            each["data_type"] = _text(column.data_type)


def _column(column: SeedColumn) -> dict[str, object]:
    quote = {"quote": True} if plain(column.name) != column.name else {}
    description = {"description": _text(escaped(column.description))} if column.description else {}
    tests = {"data_tests": list(column.tests)} if column.tests else {}
    return {"name": _text(column.name), **quote, **description, "data_type": _text(column.data_type), **tests}


def escaped(text: str) -> str:
    """`text` so that dbt, which reads Jinja in descriptions, shows it as it is."""
    return _JINJA.sub(lambda found: "{{ '" + found[0] + "' }}", text)


def _changed(text: str, change: Callable[[Any], None], place: str) -> str:
    """`text` after `change`; itself, where that changes nothing."""
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415
        from ruamel.yaml.util import load_yaml_guess_indent  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = "ruamel.yaml, which writes dbt's files, is not installed: pip install 'apikit_sql[dbt]'."
        raise ConfigError(message) from error
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    try:
        document = yaml.load(text)
        _, indent, dash = load_yaml_guess_indent(text) if text.strip() else (None, None, None)
    except (YAMLError, ValueError) as error:
        message = f"{place} cannot be read as YAML: {str(error).splitlines()[0]}. Nothing is written."
        raise OutputError(message) from None
    if document is None:
        text, document = "", yaml.map(version=2)
    before = _plain(document)
    _mapping_of(document, place)
    change(document)
    if text and _plain(document) == before:
        return text
    sequence, offset = _USUAL_INDENT if indent is None else (indent, dash or 0)
    yaml.indent(mapping=2, sequence=sequence, offset=offset)
    yaml.explicit_start = text.startswith("---")
    output = io.StringIO()
    yaml.dump(document, output)
    return output.getvalue()


def _named(parent: Any, key: str, name: str, place: str) -> Any:  # noqa: ANN401 - ruamel's mapping
    """The entry called `name` in the list `key` of `parent`, made where there is none."""
    entries = _list(parent, key, place)
    found = next((each for each in entries if _mapping_of(each, place).get("name") == name), None)
    if found is None:
        entries.append({"name": _text(name)})
        found = entries[-1]
    return found


def _list(parent: Any, key: str, place: str) -> Any:  # noqa: ANN401 - ruamel's list
    if parent.get(key) is None:
        parent[key] = []
    if not isinstance(parent[key], list):
        raise OutputError(_not_as_dbt_has_it(place, key, "list"))
    return parent[key]


def _mapping(parent: Any, key: str, place: str) -> Any:  # noqa: ANN401 - ruamel's mapping
    if parent.get(key) is None:
        parent[key] = {}
    if not isinstance(parent[key], dict):
        raise OutputError(_not_as_dbt_has_it(place, key, "mapping"))
    return parent[key]


def _mapping_of(found: Any, place: str) -> Any:  # noqa: ANN401 - ruamel's mapping
    if not isinstance(found, dict):
        raise OutputError(_not_as_dbt_has_it(place, str(found)[:40], "mapping"))
    return found


def _not_as_dbt_has_it(place: str, what: str, kind: str) -> str:
    return f"{place}: {what!r} is no {kind}, as dbt has it there. Nothing is written."


def _text(text: str) -> str:
    """`text` as YAML of either version reads it: in quotes unless it is a plain word."""
    if _WORD.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString  # noqa: PLC0415 - an extra

    found: str = DoubleQuotedScalarString(text)
    return found


def _plain(value: Any) -> object:  # noqa: ANN401 - ruamel's values
    """What YAML holds, order included, without comments."""
    if isinstance(value, Mapping):
        return [(str(key), _plain(each)) for key, each in value.items()]
    return [_plain(each) for each in value] if isinstance(value, list) else value
