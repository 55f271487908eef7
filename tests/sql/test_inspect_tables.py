"""apikit_inspect() and apikit_schema(): what an API tells of itself, and that what is suggested reads it."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql import lint
from apikit_sql.engine.session import Session
from apikit_sql.sql.database import database_of
from tests.fakes.api import BASE_URL, FakeApi, Paging, Table, recorded
from tests.sql import demo_data

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

ITEMS: list[dict[str, Any]] = [
    {"id": n, "name": f"item {n}", "select": n % 2 == 0, "Größe": n / 4, "at": {"when": "2025-01-02T03:04:05Z"}}
    for n in range(1, 26)
]
MORE = "the API says that there is more"
SILENT = "no Link header, next URL, cursor, has_more or total"

#: The ways to page that tell of the next page in the first: its parameters, the strategy found, and what told it.
TELLING: dict[Paging, tuple[dict[str, str], str, str]] = {
    "cursor": ({}, "cursor", "cursor at next_cursor"),
    "record_cursor": ({}, "cursor", 'has_more in an "object": "list"'),
    "link": ({}, "link", 'Link header with rel="next"'),
    "link_last": ({}, "link", 'Link header with rel="next"'),
    "next_url": ({}, "next_url", "next URL at next"),
    "offset": ({"offset": "0"}, "offset", "total = 25 and the parameter offset"),
    "page_total": ({"page": "1"}, "page", "total = 25 and the parameter page"),
}
#: Those that tell nothing, or not how: why it is `none`.
SILENCES: dict[tuple[Paging, str], str] = {
    ("none", ""): f"{SILENT}; but 25 records look like a full page",
    ("page", ""): f"{SILENT}; but 10 records look like a full page",
    ("clamped_page", ""): f"{SILENT}; but 10 records look like a full page",
    ("page", "page"): f"{SILENT}; if page counts its pages, say pagination := {{'strategy': 'page'",
    ("offset", ""): f"{MORE} (total = 25) than the first page's 10 records",
    ("page_total", ""): f"{MORE} (total = 25) than the first page's 10 records",
}


class Inspected(NamedTuple):
    status: int | None
    error: str | None
    record_count: int | None
    record_path: str | None
    strategy: str | None
    evidence: str | None
    rate_limit: dict[str, Any] | None
    columns: list[dict[str, str]] | None
    manifest: str | None
    sql: str | None
    url: str


def struct(values: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"'{name}': '{value}'" for name, value in values.items()) + "}"


def inspected(con: Con, path: str, connector: str = BASE_URL, **params: str) -> Inspected:
    given = f", params := {struct(params)}" if params else ""
    names = ", ".join(Inspected._fields)
    (found,) = con.execute(f"SELECT {names} FROM apikit_inspect('{connector}', '{path}'{given})").fetchall()
    return Inspected(*found)


def read_back(con: Con, manifest: str, folder: Path) -> list[tuple[Any, ...]]:
    """The rows of the manifest's one stream; it is clean, and names a strategy if it says anything of pages."""
    data = tomllib.loads(manifest)
    file = folder / f"{data['name']}.toml"
    file.write_text(manifest, encoding="utf-8")
    is_told = "# Its columns are not declared" not in manifest
    assert [finding.message[:19] for finding in lint(file)] == ([] if is_told else ["declares no columns"])
    (stream,) = data["streams"]
    assert data["streams"][stream].get("pagination", {}).get("strategy") != "auto"
    database = database_of(con)
    assert database is not None
    other = duckdb.connect()
    apikit_sql.install(other, session=database.permissions.session, connectors=[file])
    return other.execute(f"FROM apikit('{data['name']}', '{stream}')").fetchall()


def as_rows(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The records as the columns of ITEMS are read."""
    con = duckdb.connect()
    con.execute('CREATE TABLE items(id BIGINT, name VARCHAR, "select" BOOLEAN, Größe DOUBLE)')
    con.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", [list(record.values())[:4] for record in records])
    return con.execute("SELECT *, {'when': TIMESTAMPTZ '2025-01-02T03:04:05Z'} FROM items").fetchall()


def test_both_lists_together_are_every_way_of_the_fake_api() -> None:
    assert {*TELLING, *(paging for paging, _ in SILENCES)} == set(get_args(Paging))


class TestFeedingBack:
    @pytest.mark.parametrize("size", [None, 7])
    @pytest.mark.parametrize("paging", TELLING)
    def test_the_first_page_tells_the_strategy_and_what_is_suggested_reads_every_record(
        self, con: Con, api: FakeApi, tmp_path: Path, paging: Paging, size: int | None
    ) -> None:
        api.routes["/items"] = Table(ITEMS, paging=paging)
        params, strategy, evidence = TELLING[paging]

        found = inspected(con, "/items", **params, **({"limit": str(size)} if size else {}))

        assert len(api.seen) == 1
        assert (found.status, found.error, found.record_count) == (200, None, size or 10)
        assert (found.strategy, found.evidence) == (strategy, evidence)
        assert found.sql is not None
        assert found.manifest is not None
        assert con.execute(found.sql).fetchall() == as_rows(ITEMS)
        assert read_back(con, found.manifest, tmp_path) == as_rows(ITEMS)
        if size:
            (stream,) = tomllib.loads(found.manifest)["streams"].values()
            assert (stream["pagination"]["limit_param"], stream["pagination"]["page_size"]) == ("limit", 7)
            assert "params" not in stream
            assert {request.url.params.get("limit") for request in api.seen} == {"7"}

    @pytest.mark.filterwarnings("ignore:.*no sign of further pages:apikit_sql.ApikitWarning")
    @pytest.mark.parametrize(("paging", "param"), SILENCES)
    def test_without_evidence_it_is_none_and_why(
        self, con: Con, api: FakeApi, tmp_path: Path, paging: Paging, param: str
    ) -> None:
        api.routes["/items"] = Table(ITEMS, paging=paging)
        first = ITEMS if paging == "none" else ITEMS[:10]

        found = inspected(con, "/items", **({param: "1"} if param else {}))

        assert len(api.seen) == 1
        assert found.strategy == "none"
        assert (found.evidence or "").startswith(SILENCES[paging, param])
        assert found.sql is not None
        assert found.manifest is not None
        assert con.execute(found.sql).fetchall() == as_rows(first)
        if MORE in SILENCES[paging, param]:
            assert "pages := 1" in found.sql
            with pytest.raises(duckdb.Error, match=MORE):  # never a short table
                read_back(con, found.manifest, tmp_path)
        else:
            assert read_back(con, found.manifest, tmp_path) == as_rows(first)

    @pytest.mark.parametrize(
        ("link", "told"),
        [
            ("https://evil.test/?page=2", "a next link leads to https://evil.test, away from https://api.test. If"),
            ("https://[", "the next link 'https://[' is no URL"),
        ],
    )
    @pytest.mark.parametrize("connector", [BASE_URL, "shop"])
    def test_a_next_page_that_no_scan_goes_to_is_told_and_the_first_is_read(  # noqa: PLR0917 - pytest names them
        self, con: Con, api: FakeApi, tmp_path: Path, connector: str, link: str, told: str
    ) -> None:
        file = tmp_path / "shop.toml"
        file.write_text(f'base_url = "{BASE_URL}"\npagination = {{ strategy = "next_url", next_url_path = "next" }}\n')
        apikit_sql.install(con, connectors=[file])
        api.routes["/items"] = httpx.Response(200, json={"items": [{"a": 1}], "next": link})

        found = inspected(con, "/items", connector)

        assert len(api.seen) == 1
        assert (found.status, found.error, found.record_count, found.strategy) == (200, None, 1, "next_url")
        assert "next URL at next; but " in (found.evidence or "")
        assert told in (found.evidence or "")
        assert (found.sql or "").endswith("pages := 1);")
        assert con.execute(found.sql or "").fetchall() == [(1,)]
        assert tomllib.loads(found.manifest or "")["streams"]["items"]["columns"] == {"a": "BIGINT"}

    def test_the_manifest_of_such_a_page_is_never_a_short_table(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        api.routes["/items"] = httpx.Response(200, json={"items": [{"a": 1}], "next": "https://evil.test/?page=2"})

        found = inspected(con, "/items")

        with pytest.raises(duckdb.Error, match=r"leads to https://evil\.test"):
            read_back(con, found.manifest or "", tmp_path)

    def test_a_declared_none_reads_what_it_reads(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        file = tmp_path / "shop.toml"
        file.write_text(f'base_url = "{BASE_URL}"\npagination = "none"\n')
        apikit_sql.install(con, connectors=[file])
        api.routes["/items"] = httpx.Response(200, json={"items": [{"a": 1}], "next": "https://evil.test/?page=2"})

        found = inspected(con, "/items", "shop")

        assert found.evidence == "declared by shop; the page itself: next URL at next"
        assert con.execute(found.sql or "").fetchall() == [(1,)]

    @pytest.mark.parametrize(
        ("path", "params", "strategy", "count"),
        [
            ("/issues", {}, "link", len(demo_data.issues())),
            ("/issues", {"state": "open", "per_page": "100"}, "link", 293),
            ("/customers", {"limit": "100"}, "cursor", len(demo_data.customers())),
            ("/orders", {"offset": "0"}, "offset", len(demo_data.orders())),
            ("/events", {"page": "1", "page_size": "100"}, "page", len(demo_data.events())),
            ("/products", {}, "next_url", len(demo_data.products())),
            ("/regions/emea/warehouses", {}, "none", 8),
            ("/status", {}, "none", 1),
        ],
    )
    @pytest.mark.parametrize("connector", [BASE_URL, "demo"])
    def test_the_demo_api_is_read_whole(  # noqa: PLR0917 - pytest names them
        self, con: Con, tmp_path: Path, connector: str, path: str, params: dict[str, str], strategy: str, count: int
    ) -> None:
        found = inspected(con, path, connector, **params)

        assert found.strategy == strategy
        assert found.sql is not None
        assert found.manifest is not None
        assert len(con.execute(found.sql).fetchall()) == count
        assert len(read_back(con, found.manifest, tmp_path)) == count

    @pytest.mark.parametrize(
        ("path", "count", "limit", "words"),
        [
            ("/repos/octokit-fixture-org/labels/labels", 9, 5000, SILENT),
            ("/repos/octokit-fixture-org/labels/labels/test-label", 1, 5000, "the body is one object"),
            ("/search/issues", 2, 30, "the API says that this is all: total_count = 2"),
            ("/repos/octokit-fixture-org/hello-world", 1, 5000, "the body is one object"),
            ("/orgs/octokit-fixture-org", 1, 5000, "the body is one object"),
        ],
    )
    @pytest.mark.parametrize("connector", ["https://api.github.com", "github"])
    def test_githubs_recorded_answers(  # noqa: PLR0917 - pytest names them
        self, con: Con, api: FakeApi, tmp_path: Path, connector: str, path: str, count: int, limit: int, words: str
    ) -> None:
        api.routes |= recorded("labels", "search-issues", "get-repository", "get-organization")

        found = inspected(con, path, connector)

        assert (found.error, found.record_count) == (None, count)
        assert (found.rate_limit or {})["limit"] == limit
        strategy = "none" if connector.startswith("https") else "link"  # as the connector declares
        told = "" if strategy == "none" else "declared by github; the page itself: "
        assert found.strategy == strategy
        assert (found.evidence or "").startswith(told + words)
        rows = con.execute(found.sql or "").fetchall()
        assert len(rows) == count
        assert read_back(con, found.manifest or "", tmp_path) == rows

    def test_a_stream_of_a_connector_is_asked_as_it_declares(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        found = inspected(con, "orders", "demo")

        assert (found.strategy, found.record_count) == ("offset", 200)
        assert (found.evidence or "").startswith("declared by demo; the page itself: total = 1000 and the parameter")
        assert found.sql == "FROM apikit('demo', 'orders');"
        assert found.manifest is not None
        assert len(read_back(con, found.manifest, tmp_path)) == len(con.execute(found.sql).fetchall()) == 1000
        assert {request.url.params.get("limit") for request in api.seen} == {"200"}


class TestRecords:
    @pytest.mark.parametrize(
        ("body", "path", "count", "values"),
        [
            ([{"id": 1}, {"id": 2}], "", 2, [(1,), (2,)]),
            ({"response": {"data": [{"id": 1}]}}, "response.data", 1, [(1,)]),
            ({"_embedded": {"things": [{"id": 3}]}, "page": 1}, "_embedded.things", 1, [(3,)]),
            ({"things": [{"id": 3}], "total": 1}, "things", 1, [(3,)]),
            ({"id": 7, "name": "a"}, "", 1, [(7, "a")]),
            ([1, 2, None], "", 3, [(1,), (2,), (None,)]),
            (["a"], "", 1, [("a",)]),
            ([{"a": 1, "A": 2}], "", 1, [(1, 2)]),
            ([{'say "x"': 1, "": 2, "it's; DROP": "é\n"}], "", 1, [(1, 2, "é\n")]),
        ],
    )
    def test_wherever_they_are_what_is_suggested_reads_them(  # noqa: PLR0917 - pytest names them
        self, con: Con, api: FakeApi, tmp_path: Path, body: object, path: str, count: int, values: list[Any]
    ) -> None:
        api.routes["/things"] = httpx.Response(200, json=body)

        found = inspected(con, "/things")

        assert (found.record_path, found.record_count, found.strategy) == (path, count, "none")
        assert con.execute(found.sql or "").fetchall() == values
        assert read_back(con, found.manifest or "", tmp_path) == values

    def test_of_one_object_its_lists_are_named(self, con: Con, api: FakeApi) -> None:
        api.routes["/solr"] = httpx.Response(200, json={"response": {"numFound": 1, "docs": [{"id": 1}]}, "n": [1]})

        found = inspected(con, "/solr")

        assert (found.record_path, found.record_count) == ("", 1)
        assert (found.evidence or "").endswith(
            "it has lists: response.docs; for the records of one say data_path := 'response.docs'"
        )

    @pytest.mark.parametrize("body", [[], {}, {"items": [], "total": 0}])
    def test_an_empty_page_tells_no_columns_and_suggests_nothing(self, con: Con, api: FakeApi, body: object) -> None:
        api.routes["/items"] = httpx.Response(200, json=body)

        found = inspected(con, "/items")

        assert (found.status, found.error, found.record_count, found.strategy) == (200, None, 0, "none")
        assert (found.evidence or "").endswith("the page is empty, so nothing tells its columns")
        assert (found.columns, found.manifest, found.sql) == (None, None, None)

    def test_the_columns_are_those_of_a_scan(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = Table(ITEMS, paging="link")

        assert inspected(con, "/items").columns == [
            {"name": "id", "type": "BIGINT"},
            {"name": "name", "type": "VARCHAR"},
            {"name": "select", "type": "BOOLEAN"},
            {"name": "Größe", "type": "DOUBLE"},
            {"name": "at", "type": 'STRUCT("when" TIMESTAMPTZ)'},
        ]


class TestManifest:
    @pytest.mark.parametrize(
        ("base_url", "path", "name", "stream"),
        [
            ("https://api.example.com/v2/", "/orgs/duckdb/repos", "api_example_com", "repos"),
            ("http://127.0.0.1:8080", "/nyc/flights.json", "_127_0_0_1", "flights"),
            ("https://x.test", "/", "x_test", "records"),
            ("https://x.test", "/posts/12/comments/7", "x_test", "comments"),
            ("https://x.test", "/2024", "x_test", "records"),
            ("https://x.test", "/a b/Straße ç", "x_test", "stra_e"),
        ],
    )
    def test_its_names_can_be_written_without_quotes(  # noqa: PLR0917 - pytest names them
        self, con: Con, api: FakeApi, tmp_path: Path, base_url: str, path: str, name: str, stream: str
    ) -> None:
        api.trouble.extend([httpx.Response(200, json=[{"id": 1}])] * 2)

        found = inspected(con, path, base_url)

        data = tomllib.loads(found.manifest or "")
        assert (data["name"], list(data["streams"])) == (name, [stream])
        assert read_back(con, found.manifest or "", tmp_path) == [(1,)]
        assert api.paths[0] == api.paths[-1]

    def test_parameters_go_along_once_and_repeated(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        api.routes["/items"] = Table(ITEMS[:3])
        params = "{state: 'open', n: 2, none: NULL, labels: ['a', 'b''c'], since: TIMESTAMPTZ '2025-01-02 03:04:05+00'}"
        sql = f"SELECT manifest, sql FROM apikit_inspect('{BASE_URL}', '/items', params := {params})"

        ((manifest, statement),) = con.execute(sql).fetchall()
        con.execute(statement).fetchall()
        read_back(con, manifest, tmp_path)

        assert len(api.seen) == 3
        assert {tuple(request.url.params.multi_items()) for request in api.seen} == {
            (("state", "open"), ("n", "2"), ("labels", "a"), ("labels", "b'c"), ("since", "2025-01-02T03:04:05Z"))
        }

    def test_a_start_in_the_middle_stays_where_it_is(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        api.routes["/items"] = Table(ITEMS, paging="page_total")

        found = inspected(con, "/items", page="2")

        assert con.execute(found.sql or "").fetchall() == as_rows(ITEMS[10:])
        assert read_back(con, found.manifest or "", tmp_path) == as_rows(ITEMS[10:])

    def test_a_parameter_that_may_be_a_credential_is_masked_and_left_out(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = Table(ITEMS[:3])

        found = inspected(con, "/items", key="canary-5")

        assert api.params("key") == ["canary-5"]
        assert "canary" not in str(found)
        assert "# key is left out: it looks like a credential. Say it under [auth]." in (found.manifest or "")
        assert "params" not in tomllib.loads(found.manifest or "")["streams"]["items"]

    @pytest.mark.parametrize(("token", "written"), [("env:SHOP", "env:SHOP"), ("canary-token", "env:API_TEST_TOKEN")])
    def test_a_token_of_python_is_a_reference_there(  # noqa: PLR0917 - pytest names them
        self, session: Session, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, written: str
    ) -> None:
        monkeypatch.setenv(written.removeprefix("env:"), "canary-token")
        api.routes["/items"] = guarded
        con = duckdb.connect()
        apikit_sql.install(con, session=session, tokens={BASE_URL: token})

        found = inspected(con, "/items")

        assert found.status == 200
        assert "canary" not in str(found)
        assert tomllib.loads(found.manifest or "")["auth"] == {"type": "bearer", "token": written}
        assert read_back(con, found.manifest or "", tmp_path) == [(1,)]

    def test_that_of_a_connector_extends_it_and_its_credential_stays_there(
        self, session: Session, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOP", "canary-token")
        file = tmp_path / "shop.toml"
        file.write_text(f'base_url = "{BASE_URL}"\nauth = {{ type = "bearer", token = "env:SHOP" }}')
        api.routes["/items"] = guarded
        con = duckdb.connect()
        apikit_sql.install(con, session=session, connectors=[file])

        found = inspected(con, "/items", "shop")

        data = tomllib.loads(found.manifest or "")
        assert {key: value for key, value in data.items() if key != "streams"} == {
            "name": "shop_items",
            "extends": "shop",
        }
        (tmp_path / "shop_items.toml").write_text(found.manifest or "")
        apikit_sql.install(con, connectors=[file, tmp_path / "shop_items.toml"])
        assert con.execute("FROM apikit('shop_items', 'items')").fetchall() == [(1,)]


def guarded(request: httpx.Request) -> httpx.Response:
    """A table for whoever has the token."""
    is_known = request.headers.get("authorization") == "Bearer canary-token"
    return httpx.Response(200, json=[{"id": 1}]) if is_known else httpx.Response(401)


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "told"),
        [
            (
                401,
                "install(con, tokens={...}), or in Python Apikit(..., token=...).",
            ),
            (
                403,
                "install(con, tokens={...}), or in Python Apikit(..., token=...).",
            ),
            (404, "answered 404 (no way)"),
            (429, "answered 429 (no way)"),
            (500, "answered 500 (no way)"),
        ],
    )
    def test_an_error_is_a_row_with_its_status_and_what_to_do(
        self, con: Con, api: FakeApi, status: int, told: str
    ) -> None:
        api.routes["/items"] = httpx.Response(status, json={"message": "no way"})

        found = inspected(con, "/items")

        assert found.status == status
        assert (found.error or "").endswith(told)
        assert found[2:10] == (None,) * 8
        assert found.url == f"{BASE_URL}/items"
        assert len(api.seen) == 1

    def test_html_is_an_error_that_says_so(self, con: Con, api: FakeApi) -> None:
        api.routes["/"] = httpx.Response(200, html="<!doctype html><p>Hello")

        found = inspected(con, "/")

        assert (found.status, found.manifest) == (200, None)
        assert "answered 200 (text/html; charset=utf-8), page 1: the body is not JSON" in (found.error or "")

    def test_a_record_that_cannot_be_read_is_one(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = httpx.Response(200, content=b'[{"id": 1e999}]')

        found = inspected(con, "/items")

        assert (found.status, found.columns) == (200, None)
        assert "a record is not JSON that can be read" in (found.error or "")

    def test_an_error_with_status_200_is_one(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = httpx.Response(200, json={"error": "no such user"})

        assert inspected(con, "/items")[:2] == (200, "api.test: GET /items answered 200 with an error (no such user)")

    def test_where_no_answer_comes_there_is_no_status(self, con: Con, api: FakeApi, tmp_path: Path) -> None:
        file = tmp_path / "at_once.toml"
        file.write_text(f'base_url = "{BASE_URL}"\nretry = {{ min_wait = 0, jitter = 0 }}')
        apikit_sql.install(con, connectors=[file])
        api.trouble.extend([httpx.ConnectError("refused")] * 3)

        found = inspected(con, "/items", "at_once")

        assert found.status is None
        assert "no answer after 3 attempts: refused" in (found.error or "")

    def test_the_error_stays_in_the_session(self, con: Con, rows: Rows) -> None:
        inspected(con, "/nowhere")

        assert rows("SELECT error, status FROM apikit_last_error()") == [("RequestError", 404)]

    def test_the_limit_is_told_with_an_error_as_well(self, con: Con, api: FakeApi) -> None:
        headers = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"}
        api.routes["/items"] = httpx.Response(404, headers=headers)

        limit = inspected(con, "/items").rate_limit

        assert limit is not None
        assert (limit["limit"], limit["remaining"], limit["resets_at"].timestamp()) == (60, 0, 4102444800)

    @pytest.mark.parametrize("reset", ["0001-01-01T00:00:00+14:00", "-99999999999999999", "9" * 18])
    def test_a_reset_out_of_every_calendar_is_within_one(self, con: Con, api: FakeApi, reset: str) -> None:
        headers = {"x-ratelimit-remaining": "5", "x-ratelimit-reset": reset}
        api.routes["/items"] = httpx.Response(200, json=[{"id": 1}], headers=headers)

        limit = inspected(con, "/items").rate_limit

        assert limit is not None
        assert (limit["limit"], limit["remaining"]) == (None, 5)
        assert limit["resets_at"].timestamp() == (32_503_680_000 if reset.startswith("9") else 0)

    @pytest.mark.parametrize(
        ("call", "told"),
        [
            ("'demo', 'warehouses'", "needs region. Write the path with its values: '/regions/.../warehouses'"),
            ("'https://x.test', '/a/{b}/c'", "needs b. Write the path with its values: '/a/.../c'"),
            ("'demo', 'nothing'", "demo has no stream 'nothing'"),
            ("'https://x.test', '/a?b=c'", "has a '?' or '#'"),
            ("'nobody', '/a'", "no connector is named 'nobody'"),
            ("'https://x.test', '/a', params := {api_key: 'x'}", "carries a credential"),
            ("'https://x.test', '/a', params = {a: 1}", "params"),
        ],
    )
    def test_wrong_arguments_are_errors_and_nothing_is_sent(self, con: Con, api: FakeApi, call: str, told: str) -> None:
        with pytest.raises(duckdb.Error) as raised:
            con.execute(f"FROM apikit_inspect({call})")

        assert told in str(raised.value)
        assert api.seen == []

    def test_a_refused_host_is_an_error_of_the_statement(self, session: Session, api: FakeApi) -> None:
        api.routes["/items"] = httpx.Response(302, headers={"location": "https://evil.test/"})
        con = apikit_sql.connect(session=session)

        with pytest.raises(apikit_sql.OriginError) as raised:
            con.execute(f"FROM apikit_inspect('{BASE_URL}', '/items')").fetchall()

        assert "a redirect leads to https://evil.test" in str(raised.value)

    def test_the_first_line_of_such_an_error_stands_alone_in_duckdbs_own(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = httpx.Response(302, headers={"location": "https://evil.test/"})

        with pytest.raises(duckdb.Error) as raised:
            con.execute(f"FROM apikit_inspect('{BASE_URL}', '/items')").fetchall()

        assert (
            str(raised.value)
            .splitlines()[0]
            .endswith("add it to the allowed_origins of its manifest, or of its ApiConfig.")
        )

    def test_where_nothing_may_be_sent_neither_is_this(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, allow_network=False)

        for call in (f"apikit_inspect('{BASE_URL}', '/items')", f"apikit_schema('{BASE_URL}', '/items')"):
            with pytest.raises(duckdb.Error, match="apikit sends nothing"):
                con.execute(f"FROM {call}")
        assert api.seen == []


class TestRequests:
    @pytest.mark.parametrize("way", ["DESCRIBE", "EXPLAIN", "CREATE VIEW v AS"])
    @pytest.mark.parametrize("function", ["apikit_inspect", "apikit_schema"])
    def test_what_reads_no_row_sends_nothing(self, con: Con, api: FakeApi, function: str, way: str) -> None:
        con.execute(f"{way} FROM {function}('{BASE_URL}', '/items')").fetchall()

        assert api.seen == []

    def test_the_latency_is_a_number_of_milliseconds(self, rows: Rows) -> None:
        ((latency,),) = rows("SELECT latency_ms FROM apikit_inspect('demo', '/status')")

        assert 0 < latency < 60_000


class TestSchema:
    RECORDS = (
        {"id": 1, "name": None, "tags": ["a"], "user": {"login": "ada"}},
        {"id": 2, "name": "Zoë", "tags": [], "user": {"login": "noor"}, "late": 0.5},
    )

    @pytest.fixture
    def api(self) -> FakeApi:
        return FakeApi({"/items": Table([*self.RECORDS] * 2, paging="link", page_size=2), "/k/1": Table(ITEMS[:1])})

    def test_a_sampled_page_tells_nulls_and_examples(self, rows: Rows, api: FakeApi) -> None:
        assert rows(f"FROM apikit_schema('{BASE_URL}', '/items')") == [
            ("id", "BIGINT", False, "1", [], False),
            ("name", "VARCHAR", True, "Zoë", [], False),
            ("tags", "VARCHAR[]", False, '["a"]', [], False),
            ("user", 'STRUCT("login" VARCHAR)', False, '{"login": "ada"}', [], False),
            ("late", "DOUBLE", True, "0.5", [], False),
        ]
        assert len(api.seen) == 1

    def test_its_page_serves_the_scan_that_follows(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM apikit_schema('{BASE_URL}', '/items')")

        assert len(rows(f"FROM apikit('{BASE_URL}', '/items')")) == 4
        assert len(api.seen) == 2

    def test_predicates_that_the_api_answers_stand_with_their_columns(self, rows: Rows) -> None:
        filters = "{id: 'id', 'late >=': 'from', 'late <': 'until', 'user.login': 'creator', tags: 'tag'}"

        found = rows(f"SELECT name, operators FROM apikit_schema('{BASE_URL}', '/items', filters := {filters})")

        assert found == [
            ("id", ["="]),
            ("name", []),
            ("tags", []),  # a list is never pushed
            ("user", ["= of login"]),
            ("late", [">=", "<"]),
        ]

    def test_the_options_shape_the_columns(self, rows: Rows) -> None:
        options = "nested := 'flatten', types := {id: 'VARCHAR'}, extra := true, sample_pages := 2"

        assert rows(f"SELECT * EXCLUDE operators FROM apikit_schema('{BASE_URL}', '/items', {options})") == [
            ("id", "VARCHAR", False, "1", False),
            ("name", "VARCHAR", True, "Zoë", False),
            ("tags", "JSON", False, '["a"]', False),
            ("user__login", "VARCHAR", False, "ada", False),
            ("late", "DOUBLE", True, "0.5", False),
            ("_extra", "JSON", True, None, False),
        ]

    def test_a_key_is_the_value_of_the_column_that_shows_it(self, rows: Rows) -> None:
        call = f"apikit_schema('{BASE_URL}', '/k/{{key}}', keys := [{{key: 1}}])"
        found = rows(f"SELECT name, nullable, example, operators, needed FROM {call} WHERE name = 'key'")

        assert found == [("key", False, "1", ["="], False)]

    def test_declared_columns_send_nothing_and_tell_no_values(self, rows: Rows, api: FakeApi) -> None:
        assert rows("FROM apikit_schema('demo', 'warehouses')") == [
            ("id", "VARCHAR", None, None, [], False),
            ("city", "VARCHAR", None, None, [], False),
            ("capacity", "BIGINT", None, None, [], False),
            ("region", "VARCHAR", None, None, ["="], True),
        ]
        given = f"FROM apikit_schema('{BASE_URL}', '/items', columns := {{id: 'BIGINT'}})"
        assert rows(given) == [("id", "BIGINT", None, None, [], False)]
        assert api.seen == []

    def test_a_list_of_scalars_is_one_column(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/names"] = httpx.Response(200, json=["a", None])

        assert rows(f"FROM apikit_schema('{BASE_URL}', '/names')") == [("value", "VARCHAR", True, "a", [], False)]

    def test_an_error_of_its_page_is_that_of_a_scan(self, session: Session) -> None:
        con = apikit_sql.connect(session=session)

        with pytest.raises(apikit_sql.RequestError, match="answered 404"):
            con.execute(f"FROM apikit_schema('{BASE_URL}', '/nowhere')").fetchall()
