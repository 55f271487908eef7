"""A manifest drafted from an OpenAPI document: what the document tells, for a person to read through and edit."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from apikit_sql.connector.findings import check, is_name
from apikit_sql.connector.toml_text import comment, pairs, table
from apikit_sql.errors import ConfigError
from apikit_sql.openapi.access import auth_of, headers_of, place_of
from apikit_sql.openapi.names import stream_names
from apikit_sql.openapi.operations import ListOperation, list_operations
from apikit_sql.openapi.paging import Settings, paging_of, usual
from apikit_sql.openapi.schema import Schemas, mapping
from apikit_sql.openapi.streams import draft_stream
from apikit_sql.openapi.text import sentence

_BRACKETS = re.compile(r"[][{}]")
_MOST_OPEN = 200  # brackets in YAML, whose reader takes seconds for more of them
_ADVICE = (
    "Read it through: an OpenAPI document does not tell everything that a manifest says.",
    "A key_columns candidate is a parameter with a column's name. Make it a key column only where the API answers all",
    "records whose column equals the value, and no value means anything else.",
)


def read_document(path: Path | str) -> dict[str, Any]:
    """The JSON or YAML document at `path`. Raises ConfigError where it cannot be read, or YAML is not installed."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith("{") else _read_yaml(text)
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} cannot be read as an OpenAPI document: {error}"
        raise ConfigError(message) from None
    if not isinstance(found, dict):
        message = f"{path} is no OpenAPI document: it holds no object."
        raise ConfigError(message)
    return found


def draft_manifest(document: Mapping[str, Any], name: str) -> str:
    """The TOML of a manifest called `name`, with a stream for each operation of `document` that lists records.

    What the document does not tell for certain is left out, or stands in comments. Raises ConfigError where it is not
    OpenAPI 3, has no servers or no such operations, or would not make a manifest.
    """
    if not isinstance(document, Mapping):
        message = f"a document is needed, not {type(document).__name__}: draft_manifest(read_document(PATH), name)."
        raise ConfigError(message)
    _check(document, name)
    schemas = Schemas(document)
    base_url, variables = place_of(document, name)
    operations = list_operations(document, schemas)
    if not operations:
        message = "the document has no operations that list records: no GET answers an array of objects as JSON."
        raise ConfigError(message)
    auth, auth_notes = auth_of(document, operations, schemas, name)
    headers, unknown = headers_of(operations)
    told = {listed.path: paging_of(listed, schemas) for listed in operations}
    pagination = usual(told.values())
    lines = [
        *_head(document, {"name": name} | _about(document) | {"base_url": base_url}),
        *(line for key, settings in variables.items() for line in table(f"variables.{key}", settings)),
        *table("auth", auth),
        *map(comment, auth_notes),
        *table("headers", headers),
        *(comment(f"The document asks for the header {each}, and does not say which value.") for each in unknown),
        *table("pagination", pagination),
        *_streams(operations, told, pagination, schemas),
    ]
    return _checked("\n".join(lines) + "\n")


def _check(document: Mapping[str, Any], name: str) -> None:
    if not is_name(name):
        message = f"the name {name!r} must be lower case letters, digits and '_'."
        raise ConfigError(message)
    if "swagger" in document:
        message = "the document is Swagger 2.0: convert it to OpenAPI 3 first, as with `npx swagger2openapi`."
        raise ConfigError(message)
    if not str(document.get("openapi") or "").startswith("3."):
        message = "the document is not OpenAPI 3: it has no openapi: 3.0.x or 3.1.x."
        raise ConfigError(message)


def _about(document: Mapping[str, Any]) -> Settings:
    info = mapping(document.get("info"))
    docs = mapping(document.get("externalDocs")).get("url")
    description = sentence(info.get("summary")) or sentence(info.get("description")) or sentence(info.get("title"))
    return ({"description": description} if description else {}) | ({"docs": docs} if isinstance(docs, str) else {})


def _head(document: Mapping[str, Any], settings: Settings) -> list[str]:
    info = mapping(document.get("info"))
    title = f"Drafted from the OpenAPI document {info.get('title', '')!s}, version {info.get('version', '')!s}."
    return [*map(comment, (title, *_ADVICE)), *pairs(settings)]


def _streams(
    operations: list[ListOperation], told: Mapping[str, Settings], pagination: Settings, schemas: Schemas
) -> list[str]:
    """The streams by path; a pagination only where it is not the usual one."""
    drafts = {}
    for listed in operations:
        own = told[listed.path]
        drafts[listed.path] = draft_stream(listed, own if own != pagination else None, schemas)
    names = stream_names(path for path, draft in drafts.items() if draft is not None)
    lines = [line for path, draft in drafts.items() if draft is not None for line in draft.lines(names[path])]
    untold = [path for path, draft in drafts.items() if draft is None]
    head = ["", comment("Left out, for their columns are not told, and without keys no page can be sampled:")]
    return lines + ([*head, *(comment(f"GET {path}") for path in untold)] if untold else [])


def _checked(text: str) -> str:
    """`text`, once a manifest is made of it; raises ConfigError that names the key where it is none."""
    _, found = check(tomllib.loads(text))
    if found:
        message = "the document makes no manifest: " + "; ".join(map(str, found))
        raise ConfigError(message)
    return text


def _read_yaml(text: str) -> Any:  # noqa: ANN401 - a stranger's document
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    except ImportError:
        message = "a YAML document needs ruamel.yaml: pip install 'apikit_sql[openapi]', or give the document as JSON."
        raise ConfigError(message) from None
    opened = accumulate(1 if bracket in "[{" else -1 for bracket in _BRACKETS.findall(text))
    if max(opened, default=0) > _MOST_OPEN:
        message = "it is nested too deeply"
        raise ValueError(message)
    try:
        reader = YAML(typ="safe")
        reader.composer.warn_double_anchors = False  # the newest counts (YAML 1.2, section 3.2.2.2)
        return reader.load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from None
