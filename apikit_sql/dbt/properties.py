"""dbt's YAML files: an entry for a seed and one for its source, added to what is there; comments and order stay."""

from __future__ import annotations

import copy
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
_BOM = "\ufeff"
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
        _named(document, "seeds", entry.name, place)
        seed = _own(document["seeds"], entry.name)
        _describe(seed, entry)
        config = _mapping(seed, "config", place)
        config["quote_columns"] = True
        types = _mapping(config, "column_types", place)
        for column in entry.columns:
            if types.get(column.name) != column.data_type:
                types[_text(column.name)] = _text(column.data_type)
        for gone in types.keys() - {column.name for column in entry.columns}:
            del types[gone]
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
        _named(source, "tables", entry.name, place)
        table = _own(source["tables"], entry.name)
        _describe(table, entry)
        _columns(table, [replace(column, tests=()) for column in entry.columns], place)

    return _changed(text, change, place)


def _describe(found: Any, entry: Entry) -> None:  # noqa: ANN401 - ruamel's mapping
    """Say the description and the tags, where nothing is said yet."""
    if entry.description and not found.get("description"):
        found["description"] = _text(escaped(entry.description))
    if entry.tags:
        config = found.setdefault("config", {})
        config.setdefault("tags", [_text(escaped(tag)) for tag in entry.tags])


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
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.width = 1 << 20
    mark, end = text[: text.startswith(_BOM)], "\r\n" if "\r\n" in text else "\n"
    lines = text.removeprefix(_BOM).replace("\r\n", "\n")
    try:
        document = yaml.load(lines)
        _, indent, dash = load_yaml_guess_indent(lines) if lines.strip() else (None, None, None)
    except (YAMLError, ValueError) as error:
        message = f"{place} cannot be read as YAML: {_problem(error)}. Nothing is written."
        raise OutputError(message) from None
    head = ""
    if document is None:
        document, head = yaml.map(version=2), "".join(f"{line}\n" for line in lines.splitlines() if _is_comment(line))
    before = _plain(document)
    _mapping_of(document, place)
    change(document)
    if text and not head and _plain(document) == before:
        return text
    sequence, offset = _USUAL_INDENT if indent is None else (indent, dash or 0)
    yaml.indent(mapping=2, sequence=sequence, offset=offset)
    yaml.explicit_start = lines.startswith("---") and not head
    output = io.StringIO()
    yaml.dump(document, output)
    return mark + (head + output.getvalue()).replace("\n", end)


def _problem(error: Exception) -> str:
    """What is wrong in the YAML, and in which line."""
    at = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {at.line + 1}: {what}" if at is not None else what


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith(("#", "---"))


def describes_seed(text: str, name: str) -> bool:
    """Whether the YAML `text` has an entry for the seed; what cannot be read has none."""
    if "seeds" not in text or name not in text:
        return False
    from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError):
        return False
    seeds = document.get("seeds") if isinstance(document, dict) else None
    return any(isinstance(each, dict) and each.get("name") == name for each in seeds or ())


def _named(parent: Any, key: str, name: str, place: str) -> Any:  # noqa: ANN401 - ruamel's mapping
    """The entry called `name` in the list `key` of `parent`, made where there is none."""
    entries = _list(parent, key, place)
    found = next((each for each in entries if _mapping_of(each, place).get("name") == name), None)
    if found is None:
        entries.append({"name": _text(name)})
        found = entries[-1]
    return found


def _own(entries: Any, name: str) -> Any:  # noqa: ANN401 - ruamel's list
    """The entry called `name`, in its place; nothing of it is shared with another."""
    index = next(index for index, each in enumerate(entries) if each.get("name") == name)
    entries[index] = _of_its_own(entries[index])
    return entries[index]


def _of_its_own(node: Any) -> Any:  # noqa: ANN401 - ruamel's values
    """`node`, or a copy of it where an alias shares a part of it with others, which shall not change with it."""
    if not _anchored(node):
        return node
    copied = copy.deepcopy(node)
    for each in _anchored(copied):
        each.yaml_set_anchor(None)
    return copied


def _anchored(node: Any) -> list[Any]:  # noqa: ANN401 - ruamel's values
    """The nodes in `node`, itself included, that have an anchor."""
    if not isinstance(node, dict | list):
        return []
    parts = node.values() if isinstance(node, dict) else node
    anchor = getattr(node, "anchor", None)
    own = [node] if anchor is not None and anchor.value else []
    return own + [found for part in parts for found in _anchored(part)]


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
