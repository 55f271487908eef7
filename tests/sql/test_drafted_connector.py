"""A connector drafted from GitHub's OpenAPI document answers: records made of its own schemas are read back."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.connector.manifest import Stream
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi
from tests.openapi.reduce import REDUCED

Con = duckdb.DuckDBPyConnection
Schema = Mapping[str, Any]

DOCUMENT: dict[str, Any] = json.loads(gzip.decompress(REDUCED.read_bytes()))
PAGES, A_PAGE = 3, 2
STREAMS = [
    "org_repos", "repo_issues", "repo_pulls", "repo_commits", "repo_releases", "repo_labels", "actions_runs",
    "search_repositories", "issue_comments", "team_members",
]  # fmt: skip


def resolved(schema: Schema) -> Schema:
    """`schema` with its reference followed, its parts joined, and of several kinds the first that is not null."""
    while "$ref" in schema:
        found: Any = DOCUMENT
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/")]
        schema = found
    if "allOf" in schema:
        parts = [resolved(part) for part in schema["allOf"]]
        return {"type": "object", "properties": {k: v for part in parts for k, v in part.get("properties", {}).items()}}
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return next(resolved(each) for each in schema[several] if resolved(each).get("type") != "null")
    return schema


def kind_of(schema: Schema) -> str:
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    return kinds if isinstance(kinds, str) else next(kind for kind in kinds if kind != "null")


def sample(schema: Schema, name: str, number: int, depth: int = 0) -> Any:
    """A value as `schema` has it, another one for each `number`."""
    schema = resolved(schema)
    match kind_of(schema):
        case "object" if depth < 6:
            return {key: sample(each, key, number, depth + 1) for key, each in schema.get("properties", {}).items()}
        case "array" if depth < 6:
            return [sample(schema.get("items", {}), name, number, depth + 1)]
        case "object":
            return {}
        case "array":
            return []
        case "integer":
            return number
        case "number":
            return number + 0.5
        case "boolean":
            return number % 2 == 0
        case _ if schema.get("enum"):
            return next(each for each in schema["enum"] if each is not None)
    texts = {"date-time": f"2025-01-{number + 1:02}T10:00:00Z", "date": f"2025-01-{number + 1:02}"}
    return texts.get(schema.get("format", ""), f"{name} {number}")


def records_of(stream: Stream) -> list[dict[str, Any]]:
    """Records of the operation behind `stream`."""
    answer = DOCUMENT["paths"][stream.path]["get"]["responses"]["200"]
    schema = resolved(resolved(answer)["content"]["application/json"]["schema"])
    if stream.data_path:
        schema = resolved(schema["properties"][stream.data_path])
    return [sample(schema["items"], "", number) for number in range(PAGES * A_PAGE)]


class Paged:
    """Records behind link headers, within what the document puts around them."""

    def __init__(self, records: list[dict[str, Any]], data_path: str | None) -> None:
        self._records = records
        self._data_path = data_path

    def __call__(self, request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("page", 1))
        part = self._records[(number - 1) * A_PAGE : number * A_PAGE]
        body = {"total_count": len(self._records), self._data_path: part} if self._data_path else part
        link = f'<{request.url.copy_set_param("page", number + 1)}>; rel="next"'
        return httpx.Response(200, json=body, headers={"link": link} if number < PAGES else {})


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("draft") / "gh.toml"
    path.write_text(apikit_sql.draft_manifest(DOCUMENT, "gh"), encoding="utf-8")
    return path


@pytest.fixture
def gh(manifest: Path, session: Session) -> Iterator[Con]:
    con = duckdb.connect()
    apikit_sql.install(con, session=session, connectors=[manifest])
    yield con
    con.close()


def test_nothing_is_wrong_or_doubtful_in_the_draft(manifest: Path) -> None:
    assert apikit_sql.lint(manifest) == []


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_the_draft_gives_the_records_of_its_schema(
    name: str, gh: Con, session: Session, api: FakeApi
) -> None:
    stream = session.connector("gh").streams[name]
    records = records_of(stream)
    keys = {key.column: 5 if key.type == "BIGINT" else "some" for key in stream.key_columns if key.required}
    path = stream.path
    for key in stream.key_columns:
        path = path.replace(f"{{{key.path}}}", str(keys.get(key.column)))
    api.routes[path] = Paged(records, stream.data_path)
    where = " AND ".join(f"{column} = {value!r}" for column, value in keys.items())

    found = gh.execute(f"FROM apikit('gh', '{name}') WHERE {where}").fetchall()

    columns = [column[0] for column in gh.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    values = [(key, value, rows[0][key]) for key, value in records[0].items() if key in columns]
    plain = [key for key, told, read in values if type(told) is type(read) in {int, bool, float, str}]  # no times
    assert len(rows) == PAGES * A_PAGE == len(records)
    assert plain
    assert [{key: row[key] for key in plain} for row in rows] == [{key: each[key] for key in plain} for each in records]
    for column, value in keys.items():
        assert {row[column] for row in rows} == {value}
    assert {request.url.path for request in api.seen} == {path}
    assert len(api.seen) == PAGES + (stream.pagination is not None)  # else no Link is documented: an empty page ends it


def test_a_draft_is_a_catalog(gh: Con, api: FakeApi) -> None:
    gh.execute("CALL apikit_attach('gh')")

    tables = gh.execute("SELECT count(*) FROM duckdb_views() WHERE database_name = 'gh' AND NOT internal").fetchall()

    assert tables[0][0] > 300
    assert api.seen == []
