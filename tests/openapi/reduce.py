"""Makes github.json.gz, a reduced copy of GitHub's OpenAPI document.

    npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz
    python -m tests.openapi.reduce package/generated/api.github.com.json

The GET operations whose answer is an array, or an object that has one, stay, with all that they refer to. Descriptions
and examples are cut, but for the first sentence of a parameter's: it tells the largest page.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REDUCED = Path(__file__).parent / "github.json.gz"
#: What goes wherever it is no name of a property.
CUT = {"description", "example", "examples", "tags", "title", "requestBody", "callbacks"}


def reduced(document: dict[str, Any]) -> dict[str, Any]:
    """The part of the document that lists records."""
    kept = {key: document[key] for key in ("openapi", "info", "externalDocs", "servers")}
    paths = {path: {"get": operation(item["get"])} for path, item in document["paths"].items() if "get" in item}
    kept["paths"] = {path: item for path, item in paths.items() if lists(document, item["get"])}
    kept["components"] = components(document, kept["paths"])
    return kept


def operation(whole: dict[str, Any]) -> dict[str, Any]:
    """A GET with its good answer alone."""
    answers = {status: answer for status, answer in whole["responses"].items() if status == "200"}
    cut: dict[str, Any] = without_words(whole | {"responses": answers})
    return cut


def lists(document: dict[str, Any], get: dict[str, Any]) -> bool:
    """Whether the answer is an array, or an object that has one."""
    content = at(document, get["responses"].get("200", {})).get("content", {})
    schema = at(document, content.get("application/json", {}).get("schema", {}))
    parts = [at(document, each) for name in ("allOf", "anyOf", "oneOf") for each in schema.get(name, ())] or [schema]
    inner = [at(document, each) for part in parts for each in part.get("properties", {}).values()]
    return any(each.get("type") == "array" for each in parts + inner)


def components(document: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Everything that the paths refer to, and what that refers to."""
    kept: dict[str, dict[str, Any]] = {}
    waiting = sorted(set(references(paths)))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in kept.setdefault(kind, {}):
            kept[kind][name] = without_words(document["components"][kind][name])
            waiting += references(kept[kind][name])
    return {kind: dict(sorted(parts.items())) for kind, parts in sorted(kept.items())}


def at(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """`node`, or what it refers to."""
    while "$ref" in node:
        _, _, kind, name = node["$ref"].split("/")
        node = document["components"][kind][name]
    return node


def references(node: object) -> Iterator[str]:
    """Every reference in `node`."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from references(each)


def without_words(node: Any, *, are_names: bool = False) -> Any:
    """`node` without what is only for people; the keys of `properties` are names, whatever they say."""
    if isinstance(node, list):
        return [without_words(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: without_words(each, are_names=key == "properties" and not are_names)
        for key, each in node.items()
        if are_names or not (key in CUT or key.startswith("x-"))
    }
    if "in" in node and "description" in node and not are_names:
        kept["description"] = node["description"].partition(". ")[0][:100]
    return kept


def main() -> None:
    """Write the reduced copy of the document that is named."""
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    text = json.dumps(reduced(document), ensure_ascii=False, separators=(",", ":"))
    REDUCED.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{REDUCED}: {REDUCED.stat().st_size:,} bytes")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
