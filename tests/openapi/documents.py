"""Small OpenAPI documents, and the connectors drafted from them."""

import tomllib
from typing import Any

from apikit_sql.connector.manifest import ConnectorDefinition, Stream
from apikit_sql.openapi.draft import draft_manifest

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


def document(paths: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """A document of these paths; one that lists things unless they are given."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "Acme", "version": "1"},
        "servers": [{"url": "https://api.acme.example/v2"}],
        "paths": {"/things": listing()} if paths is None else paths,
    } | parts


def array_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


def answer(schema: Any, **parts: Any) -> dict[str, Any]:
    return {"description": "OK", "content": {"application/json": {"schema": schema}}} | parts


def listing(
    properties: dict[str, Any] | None = None, *parameters: dict[str, Any], body: Any = None, **operation: Any
) -> dict[str, Any]:
    """The path of a GET that answers an array of such objects, or a body of this schema."""
    schema = array_of({"id": WHOLE} if properties is None else properties) if body is None else body
    return {"get": {"parameters": list(parameters), "responses": {"200": answer(schema)}} | operation}


def query(name: str, schema: Any = None, **parts: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": TEXT if schema is None else schema} | parts


def drafted(found: dict[str, Any]) -> ConnectorDefinition:
    return ConnectorDefinition.model_validate(tomllib.loads(draft_manifest(found, "acme")))


def drafted_stream(item: dict[str, Any], path: str = "/things", **parts: Any) -> Stream:
    """The stream of the only operation."""
    (stream,) = drafted(document({path: item}, **parts)).streams.values()
    return stream


def types_of(properties: dict[str, Any], **schemas: Any) -> dict[str, str]:
    """The columns' types of records that have these properties."""
    columns = drafted_stream(listing(properties), components={"schemas": schemas}).columns
    return {name: column.type for name, column in columns.items()}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
