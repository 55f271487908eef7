"""What reads what people write: manifests, OpenAPI documents, addresses, paths, queries, types."""

from pathlib import Path
from typing import Any

import httpx

import apikit_sql
from apikit_sql.column_types import parse_type
from apikit_sql.connector.config import entries_of, read_toml
from apikit_sql.connector.findings import check, literal_secrets
from apikit_sql.connector.lint import lint
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.template import check_path, fields_of, fill_base_url, fill_path
from apikit_sql.engine.address import is_address, place_of
from apikit_sql.engine.pagination import PageRequest, follow
from apikit_sql.errors import ApikitError
from apikit_sql.openapi.draft import draft_manifest, read_document
from apikit_sql.origin import origin_of, origin_text
from apikit_sql.plan.graphql_query import read_query
from apikit_sql.plan.planner import ad_hoc_connector
from apikit_sql.plan.values import times_of
from apikit_sql.redaction import redact_url
from tests.openapi.documents import document, listing, query, ref
from tests.reliability.fuzz_inputs import Dice, Target, Values, folder

BUILT_IN = sorted((Path(apikit_sql.__file__ or "").parent / "connector" / "builtin").glob("*.toml"))
SMALL = """
name = "acme"
base_url = "https://{site}.acme.example/v2"
pagination = { strategy = "cursor", cursor_param = "after", next_cursor_path = "next.after" }
headers = { accept = "application/json" }
allowed_origins = ["https://files.acme.example"]
timeout = 5.5

[variables.site]
env = "ACME_SITE"
default = "eu"

[auth]
type = "oauth2"
token_url = "/oauth/token"
client_id = "env:ACME_ID"
client_secret = "env:ACME_SECRET"

[rate_limit]
requests_per_second = 2

[streams.things]
path = "/things/{owner}"
primary_key = ["id"]
columns = { id = "BIGINT", owner = "VARCHAR", at = { type = "TIMESTAMPTZ", format = "epoch" }, "b c" = "JSON" }
key_columns = [
  { column = "owner", path = "owner", required = true },
  { column = "at", param = "since", operators = [">="] },
]
params = { sort = "id", flags = ["a", "b"] }
"""
MANIFESTS = (
    SMALL,
    SMALL,
    '[connectors.acme]\nextends = "jira"\nsettings.site = "x"\n',
    *(f.read_text() for f in BUILT_IN if f.stat().st_size < 4_000),
)
DATA = Values(
    [read_toml(text, "") for text in MANIFESTS],
    [name for model in (ConnectorDefinition,) for name in model.model_fields] + ["extends", "settings"],
)


def _read_manifest(text: str) -> None:
    """As a file of the user's, by the linter and by the registry."""
    file = folder() / "acme.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    findings = lint(file)
    for each in findings:
        assert str(each)
    registry = ConnectorRegistry()
    try:
        name = registry.add_file(file)
        registry.get(name)
    except ApikitError:
        entries_of(read_toml(text, "text"), "text")
    else:
        assert not [each for each in findings if each.level == "error"], "the linter refuses what can be used"


def _read_data(data: Any) -> None:
    if not isinstance(data, dict):
        return
    literal_secrets(data)
    connector, found = check(data)
    assert (connector is None) <= bool(found)
    ConnectorDefinition(**data)


THINGS = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}, "owner": ref("Owner")}
OWNER = {"type": "object", "properties": {"a": {"type": "array", "items": ref("Owner")}, "b": {"enum": ["x"]}}}
PAGED = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": ref("Thing")}, "next_cursor": {"type": "string"}},
}
THING = {"allOf": [{"type": "object", "properties": THINGS}, ref("Owner")], "nullable": True}
DOCUMENTS = Values(
    [
        document(
            {
                "/things": listing(THINGS, query("cursor"), query("limit")),
                "/pages/{owner}": listing(None, query("page"), query("per_page", {"type": "integer"}), body=PAGED),
            },
            components={
                "schemas": {
                    "Owner": OWNER,
                    "Thing": THING,
                    "Any": {"anyOf": [ref("Owner"), {"type": ["null", "string"]}]},
                },
                "securitySchemes": {
                    "k": {"type": "apiKey", "in": "header", "name": "X-Key"},
                    "b": {"type": "http", "scheme": "bearer"},
                },
            },
            security=[{"k": []}, {"b": []}],
            servers=[
                {
                    "url": "https://{site}.acme.example/{v}",
                    "variables": {"site": {"default": "eu"}, "v": {"default": "v1"}},
                }
            ],
        ),
        document({"/things": listing(THINGS)}, components={"schemas": {"Owner": OWNER}}),
    ],
    ("oneOf", "enum", "default", "required", "flows", "oauth2"),
)
YAML = """
openapi: 3.1.0
info: {title: A, version: 1}
servers: [{url: https://a.example}]
paths: &p
  /a: *p
  /b: !!python/object:x 1
"""


def _make_document(dice: Dice) -> bytes:
    return dice.data((YAML.encode(),)) if dice.number(8) == 7 else dice.body(DOCUMENTS)


def _read_document(body: bytes) -> None:
    file = folder() / "document.json"
    file.write_bytes(body)
    draft_manifest(read_document(file), "acme")


# addresses, and texts within calls

ADDRESSES = (
    "https://api.test/items?page=2#x",
    "http://user:pass@[::1]:8080/a/../b",
    "https://xn--bcher-kva.example",
    "//host/x",
    "/items?page=2&api_key=s3cr3t",
    "?page=2",
    "https://BÜCHER.example:443/ü",
    "https://127.0.0.1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "192.0.0.8",
    "github:/orgs/duckdb/repos?a=1&a=2",
    "https://x.example/data.csv",
    "demo:/orders",
    "https://{site}.acme.example",
)


def _read_address(text: str) -> None:
    follow(PageRequest("https://api.test/items"), text)


def _redact_address(text: str) -> None:
    assert "s3cr3t-t0k3n" not in redact_url(f"{text}&token=s3cr3t-t0k3n", ["s3cr3t-t0k3n"])


def _connect_address(text: str) -> None:
    connector = ad_hoc_connector(text, {"https://api.test": "t0k3n"})
    origin_of(connector.base_url)
    origin_text(connector.base_url)


def _place_address(text: str) -> None:
    if is_address(text):
        place_of(text)


TEMPLATES = (
    "/repos/{owner}/{repo}/issues",
    "/a/{x}/../b",
    "/v1/caf\u00e9/%41/%zz",
    "/",
    "/{a}{b}",
    "/x;y=1,2/@me/$count",
)


def _make_template(dice: Dice) -> tuple[str, dict[str, str]]:
    return dice.text(TEMPLATES), {name: dice.text(("duckdb", "a/b", "..", "")) for name in ("owner", "repo", "x", "a")}


def _fill_template(given: tuple[str, dict[str, str]]) -> None:
    template, values = given
    path = check_path(template)
    filled = fill_path(path, values)
    fields_of(filled)
    assert httpx.URL("https://api.test" + fill_path(filled, dict.fromkeys(fields_of(filled), "x"))).host == "api.test"


def _fill_base_url(given: tuple[str, dict[str, str]]) -> None:
    template, values = given
    url = fill_base_url("acme", "https://{x}.acme.example" + template.replace("/", ".", 1), values)
    assert isinstance(url, str)


QUERIES = (
    """query($first: Int!, $after: String) { repository(owner: "a") { issues(first: $first, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } } }""",
    "{ viewer { login ...F } } fragment F on User { name @include(if: true) repos { nodes { id } } }",
    "query A($x: [Int!] = [1]) { a: b(c: {d: $x}) { __typename ... on T { e } } }",
    "mutation { a }",
)


def _make_query(dice: Dice) -> tuple[str, str | None]:
    return dice.text(QUERIES), dice.pick((None, "repository.issues", "viewer", "a.b"))


TYPES = (
    'STRUCT(a BIGINT, "b c" VARCHAR[], c STRUCT(d TIMESTAMPTZ))',
    "DOUBLE PRECISION[]",
    "DECIMAL(18,3)[3]",
    "ENUM('a', 'b''c')",
    "MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)",
    "UNION(a INTEGER, b TIMESTAMP)",
    "STRUCT(TIMESTAMP, DATE)[]",
    "VARCHAR",
    '"NULL"',
)

TARGETS = (
    Target("manifest-text", lambda dice: dice.text(MANIFESTS), _read_manifest, share=2),
    Target("manifest-data", lambda dice: dice.value(DATA), _read_data, share=2),
    Target("openapi", _make_document, _read_document, share=2),
    Target("next-link", lambda dice: dice.text(ADDRESSES), _read_address),
    Target("redaction", lambda dice: dice.text(ADDRESSES), _redact_address),
    Target("base-url", lambda dice: dice.text(("https://api.test/v1", *ADDRESSES)), _connect_address),
    Target("address", lambda dice: dice.text(ADDRESSES), _place_address),
    Target("path", _make_template, _fill_template, (ApikitError, httpx.InvalidURL)),  # beyond 64 KB it is no URL
    Target("host", _make_template, _fill_base_url),
    Target("graphql-query", _make_query, lambda given: read_query(*given)),
    Target("column-type", lambda dice: dice.text(TYPES), parse_type, (ValueError,)),
    Target("sql-type", lambda dice: dice.text(TYPES), times_of),
)
