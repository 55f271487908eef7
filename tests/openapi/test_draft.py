"""A manifest drafted from an OpenAPI document: whatever it says, the draft is one, and the same each time.

    python -m tests.openapi.test_draft api.github.com.json

drafts from a whole document and prints how many streams there are.
"""

import json
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import ConfigError
from apikit_sql.openapi.draft import draft_manifest, read_document
from tests.openapi.documents import document, drafted, listing, query


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"swagger": "2.0"},
            "the document is Swagger 2.0: convert it to OpenAPI 3 first, as with `npx swagger2openapi`",
        ),
        ({}, "the document is not OpenAPI 3: it has no openapi: 3.0.x or 3.1.x"),
        (document(openapi="4.0.0"), "the document is not OpenAPI 3"),
        (document({}), "the document has no operations that list records: no GET answers an array of objects"),
        (document(servers=None), "the document has no servers"),
    ],
)
def test_a_document_that_makes_no_manifest_is_refused(found: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draft_manifest(found, "acme")


def test_a_name_that_is_no_prefix_in_sql_is_refused() -> None:
    with pytest.raises(ConfigError, match="the name 'Acme API' must be lower case"):
        draft_manifest(document(), "Acme API")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"title": "Acme"}, "Acme"),
        ({"title": "Acme", "description": "All of Acme. And more."}, "All of Acme"),
        ({"title": "Acme", "description": "All of Acme.", "summary": "Acme's things."}, "Acme's things"),
        ({}, ""),
    ],
)
def test_a_connector_says_what_it_is(info: dict[str, str], expected: str) -> None:
    connector = drafted(document(info=info, externalDocs={"url": "https://acme.example/docs"}))

    assert (connector.name, connector.description, connector.docs) == ("acme", expected, "https://acme.example/docs")


def test_a_draft_says_where_it_is_from() -> None:
    text = draft_manifest(document(info={"title": "Acme\nAPI\x00", "version": "1.2"}), "acme")

    assert text.startswith("# Drafted from the OpenAPI document Acme API, version 1.2.\n# Read it through: ")


def test_a_draft_can_be_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text(draft_manifest(document(), "acme"), encoding="utf-8")

    registry = ConnectorRegistry([])

    connector = registry.get(registry.add_file(path))

    assert connector == drafted(document())
    assert connector.streams.keys() == {"things"}


NAMES = st.text(max_size=8) | st.sampled_from(
    ["id", "ID", "a b", 'a"b', "page", "next", "data", "{x}", "updated_at", "limit"]
)
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean", "object", "null")])
    | st.sampled_from([{}, True, None, "text", {"$ref": "#/components/schemas/A"}, {"type": 7, "enum": "a"}]),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"properties": st.dictionaries(NAMES, inner, max_size=3)})
        | st.dictionaries(
            st.sampled_from(["allOf", "oneOf", "anyOf"]), st.lists(inner, max_size=2), min_size=1, max_size=2
        )
    ),
    max_leaves=12,
)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "in": st.sampled_from(["query", "path", "header", "cookie"]), "schema": SCHEMAS},
        optional={"required": st.booleans(), "description": st.text(max_size=20)},
    ),
    max_size=3,
)
STEPS = st.lists(NAMES | NAMES.map("{{{}}}".format), max_size=3).map(lambda steps: "/" + "/".join(steps))


@given(
    st.dictionaries(STEPS, st.tuples(st.dictionaries(NAMES, SCHEMAS, max_size=4), PARAMETERS), max_size=3),
    st.dictionaries(NAMES, SCHEMAS, max_size=3),
    SCHEMAS,
)
def test_whatever_a_document_says_its_draft_is_a_manifest(
    paths: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]], envelope: dict[str, Any], shared: Any
) -> None:
    items = {path: listing(properties, *parameters) for path, (properties, parameters) in paths.items()}
    wrapped = listing(body={"properties": envelope | {"data": {"type": "array", "items": {"type": "object"}}}})
    schema = shared if isinstance(shared, dict) else {}
    found = document(items | {"/things": listing(), "/wrapped": wrapped}, components={"schemas": {"A": schema}})

    text = draft_manifest(found, "acme")

    assert "things" in drafted(found).streams
    assert draft_manifest(json.loads(json.dumps(found)), "acme") == text


def test_the_order_of_paths_changes_nothing() -> None:
    paths = {f"/{name}/{{id}}/things": listing(None, query("page", {"type": "integer"})) for name in "cab"}

    texts = {draft_manifest(document(dict(sorted(paths.items(), reverse=way))), "acme") for way in (False, True)}

    assert len(texts) == 1


def test_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "acme.json"
    path.write_text("\ufeff" + json.dumps(document()), encoding="utf-8")

    assert read_document(path) == document()


def test_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(
        "openapi: 3.1.0\nservers: [{url: https://a.example}]\npaths:\n  /a: {get: {responses: {200: {}}}}\n"
    )

    found = read_document(path)

    assert found["paths"]["/a"]["get"]["responses"] == {200: {}}
    path.write_text("a: [")
    with pytest.raises(ConfigError, match=r"acme\.yaml cannot be read as an OpenAPI document: "):
        read_document(path)


def test_of_two_anchors_of_one_name_the_newer_counts(tmp_path: Path) -> None:
    path = tmp_path / "document.yaml"
    path.write_text("a: &x 1\nb: &x 2\nc: *x\n")

    assert read_document(path) == {"a": 1, "b": 2, "c": 2}


@pytest.mark.parametrize("text", ["a: " + "[" * 5_000, "a: " + "{b: " * 5_000, "a: " + "[x," * 500 + "]" * 500])
def test_yaml_that_is_nested_deeply_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "document.yaml"
    path.write_text(text)
    began = time.process_time()

    with pytest.raises(ConfigError, match="nested too deeply"):
        read_document(path)

    assert time.process_time() - began < 0.5


def test_yaml_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    path = tmp_path / "acme.yaml"
    path.write_text("openapi: 3.1.0\n")

    with pytest.raises(ConfigError, match=r"pip install 'apikit_sql\[openapi\]', or give the document as JSON"):
        read_document(path)


@pytest.mark.parametrize("text", ["{", '{"a": ' * 100_000])
def test_what_is_no_document_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "acme.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"acme\.json cannot be read as an OpenAPI document: "):
        read_document(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.json cannot be read as an OpenAPI document: "):
        read_document(tmp_path / "nothing.json")


def test_a_document_that_was_not_read_is_told_to_be() -> None:
    with pytest.raises(
        ConfigError, match=r"a document is needed, not str: draft_manifest\(read_document\(PATH\), name\)"
    ):
        draft_manifest("openapi.json", "acme")  # type: ignore[arg-type]


def test_a_path_may_be_a_text(tmp_path: Path) -> None:
    (tmp_path / "acme.json").write_text(json.dumps(document()))

    assert read_document(str(tmp_path / "acme.json")) == document()


def main() -> None:
    """Draft from the document that is named; an invalid draft is an error."""
    started = time.perf_counter()
    text = draft_manifest(read_document(Path(sys.argv[1])), "draft")
    elapsed = time.perf_counter() - started
    found = ConnectorDefinition.model_validate(tomllib.loads(text))
    print(f"{len(found.streams)} streams, {len(text):,} characters, {elapsed:.1f} s")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
