"""`apikit_graphql(...)` as a user calls it: rows, columns, LIMIT, warnings, and what is refused before it is sent."""

import warnings
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi
from tests.fakes.graphql import graphql_route, issues, variables
from tests.sql import demo_data

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
#: DuckDB 1.x asks for a batch more than LIMIT needs.
MOST_FOR_ONE_PAGE = 1 if IS_2 else 2
URL = "'https://api.test'"
COUNT = 57
PAGE_INFO = "pageInfo { hasNextPage endCursor }"


def query(inside: str = "number title", *, connection: bool = True) -> str:
    text = f"""query($first: Int!, $after: String, $name: String! = "duck") {{
        repository(name: $name) {{ issues(first: $first, after: $after) {{ nodes {{ {inside} }} {PAGE_INFO} }} }} }}"""
    return f"{URL}, '{text}'" + (", connection_path := 'repository.issues'" if connection else "")


ISSUES = query()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/graphql": graphql_route(issues(COUNT, labels=3))})


def error_of(con: Con, sql: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value)


class TestRows:
    @pytest.mark.parametrize("size", [1, 10, 57, 100])
    def test_every_node_of_a_connection_is_a_row(self, rows: Rows, api: FakeApi, size: int) -> None:
        (found,) = rows(f"SELECT count(*), sum(number), max(title) FROM apikit_graphql({ISSUES}, page_size := {size})")

        assert found == (COUNT, sum(range(1, COUNT + 1)), "issue 9")
        assert [variables(each)["first"] for each in api.seen] == [size] * -(-COUNT // size)

    def test_edges_are_followed_likewise(self, rows: Rows) -> None:
        by_edges = ISSUES.replace("nodes { number title }", "edges { node { number } cursor }")

        assert rows(f"SELECT list(number ORDER BY number) FROM apikit_graphql({by_edges}, page_size := 20)") == [
            (list(range(1, COUNT + 1)),)
        ]

    def test_objects_are_structs_unless_nested_says_otherwise(self, rows: Rows) -> None:
        sql = f"""{URL}, '{{ repository(name: "duck") {{ name owner {{ login }} }} }}'"""

        assert rows(f"SELECT owner.login, typeof(owner) FROM apikit_graphql({sql})") == [
            ("ada", "STRUCT(login VARCHAR)")
        ]
        assert rows(f"SELECT owner__login, name FROM apikit_graphql({sql}, nested := 'flatten')") == [("ada", "duck")]

    def test_without_a_connection_rows_are_what_the_only_field_gives(self, rows: Rows) -> None:
        assert rows(f"FROM apikit_graphql({URL}, '{{ countries {{ code name }} }}')") == [
            ("CH", "Switzerland"),
            ("VN", "Việt Nam"),
        ]
        assert rows(f"SELECT hello, numbers FROM apikit_graphql({URL}, '{{ hello numbers }}')") == [("world", [1, 2])]

    def test_declared_columns_need_no_request_at_bind(self, con: Con, api: FakeApi) -> None:
        sql = f"FROM apikit_graphql({ISSUES}, columns := {{number: 'INTEGER', gone: 'VARCHAR'}})"

        assert [column[:2] for column in con.execute(f"DESCRIBE {sql}").fetchall()] == [
            ("number", "INTEGER"),
            ("gone", "VARCHAR"),
        ]
        assert api.seen == []
        assert con.execute(f"{sql} LIMIT 1").fetchall() == [(1, None)]

    def test_what_is_null_has_no_rows(self, rows: Rows) -> None:
        sql = f"""{URL}, '{{ repository(name: "goose") {{ name }} }}', columns := {{name: 'VARCHAR'}}"""

        assert rows(f"FROM apikit_graphql({sql})") == []

    def test_variables_are_typed(self, rows: Rows, api: FakeApi) -> None:
        sql = f"""SELECT moment FROM apikit_graphql({URL}, 'query($t: String) {{ moment: at(time: $t) hello }}',
                  variables := {{t: TIMESTAMPTZ '2025-01-02 03:04:05+02'}})"""

        assert str(rows(sql)[0][0].astimezone(tz=None).timestamp()) == "1735779845.0"
        assert variables(api.seen[0]) == {"t": "2025-01-02T01:04:05Z"}

    def test_a_variable_of_sql_may_hold_the_query(self, con: Con) -> None:
        con.execute("SET VARIABLE q = 'query($n: String!) { repository(name: $n) { name } }'")

        sql = f"FROM apikit_graphql({URL}, getvariable('q'), variables := {{n: ?}})"

        assert con.execute(sql, ["duck"]).fetchall() == [("duck",)]


class TestRequests:
    def test_limit_stops_the_requests(self, rows: Rows, api: FakeApi) -> None:
        assert rows(f"SELECT number FROM apikit_graphql({ISSUES}, page_size := 5) LIMIT 3") == [(1,), (2,), (3,)]
        assert 1 <= len(api.seen) <= MOST_FOR_ONE_PAGE

    def test_the_page_of_the_bind_serves_the_scan(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM apikit_graphql({ISSUES})")

        assert len(api.seen) == 1

    def test_filters_are_duckdbs_own(self, rows: Rows, api: FakeApi) -> None:
        assert rows(f"SELECT number FROM apikit_graphql({ISSUES}, page_size := 20) WHERE number > 55") == [(56,), (57,)]
        assert [variables(each).keys() for each in api.seen] == [{"first"}, {"first", "after"}, {"first", "after"}]

    def test_a_scan_is_recorded(self, rows: Rows) -> None:
        rows(f"SELECT count(*) FROM apikit_graphql({ISSUES}, page_size := 20)")

        assert rows("SELECT path, state, pagination, pages FROM apikit_scans(newest := 1)") == [
            ("/graphql", "done", "relay", 3)
        ]


class TestRefused:
    @pytest.mark.parametrize("kind", ["mutation", "subscription"])
    def test_a_mutation_is_not_sent(self, con: Con, api: FakeApi, kind: str) -> None:
        text = error_of(con, f"FROM apikit_graphql({URL}, '{kind} {{ addStar }}')")

        assert f"CallError: apikit_graphql: a {kind} is not sent; only a query reads." in text
        assert api.seen == []

    def test_an_option_needs_its_sign(self, con: Con, api: FakeApi) -> None:
        assert "path is a boolean" in error_of(
            con, f"FROM apikit_graphql({URL}, '{{ hello }}', NULL, NULL, NULL, 'a' = 'b')"
        )
        assert api.seen == []

    def test_sql_carries_no_credential(self, con: Con, api: FakeApi) -> None:
        text = error_of(con, f"FROM apikit_graphql({URL}, '{{ hello }}', variables := {{token: 'env:TOKEN'}})")

        assert "carries a credential, which SQL must not" in text
        assert api.seen == []

    def test_a_base_url_may_not_be_used_where_only_connectors_may(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, session=session, ad_hoc=False)

        assert "only named connectors may be used here" in error_of(con, f"FROM apikit_graphql({ISSUES})")
        assert api.seen == []

    @pytest.mark.skipif(not IS_2, reason="older ones cannot read these tables then")
    def test_nothing_is_sent_where_duckdb_has_no_external_access(self, con: Con, api: FakeApi) -> None:
        con.execute("SET enable_external_access = false")

        assert "sends nothing while enable_external_access is false" in error_of(con, f"FROM apikit_graphql({ISSUES})")
        assert api.seen == []


class TestErrors:
    def test_a_partial_answer_is_never_rows(self, con: Con) -> None:
        text = error_of(con, f"FROM apikit_graphql({query('number flaky')})")

        assert (
            "GraphQLError: api.test: POST /graphql answered 200 with an error (the disk of issue 3 is away) "
            "at repository.issues.nodes.2.flaky"
        ) in text.splitlines()[0]

    def test_an_error_on_a_later_page_undoes_a_table(self, con: Con) -> None:
        text = error_of(con, f"CREATE TABLE t AS FROM apikit_graphql({query('number flaky')}, page_size := 2)")

        assert "the disk of issue 3 is away" in text
        assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]

    def test_connect_raises_it_with_its_errors(self, session: Session) -> None:
        con = apikit_sql.connect(session=session)

        with pytest.raises(apikit_sql.GraphQLError) as caught:
            con.execute(f"FROM apikit_graphql({URL}, '{{ nope }}')")

        assert caught.value.errors[0]["locations"] == [{"line": 1, "column": 3}]
        assert caught.value.status == 200

    def test_null_on_the_way_to_the_connection_is_told(self, con: Con) -> None:
        text = error_of(con, f"FROM apikit_graphql({ISSUES}, variables := {{name: 'goose'}})")

        assert "DecodeError" in text
        assert "repository is null, and no errors tell why" in text

    def test_another_path_may_answer(self, con: Con, rows: Rows, api: FakeApi) -> None:
        api.routes["/v2/query"] = api.routes.pop("/graphql")
        api.routes["/graphql"] = httpx.Response(404, json={"message": "Not Found"})

        assert "POST /graphql answered 404 (Not Found)" in error_of(con, f"FROM apikit_graphql({URL}, '{{ hello }}')")
        assert rows(f"FROM apikit_graphql({URL}, '{{ hello }}', path := '/v2/query')") == [("world",)]


class TestWarnings:
    INNER = "number labels(first: 2) { nodes { name } pageInfo { hasNextPage } }"

    @pytest.mark.parametrize("limit", ["", "LIMIT 1"])
    def test_an_inner_connection_that_goes_on_is_warned_of(self, con: Con, limit: str) -> None:
        with pytest.warns(apikit_sql.ApikitWarning) as caught:
            con.execute(f"CREATE TABLE t AS FROM apikit_graphql({query(self.INNER)}) {limit}")

        assert len(caught) == 1
        assert "repository.issues.nodes.labels had a next page (hasNextPage), which is not followed" in str(
            caught[0].message
        )

    def test_one_that_is_whole_is_not(self, con: Con) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            con.execute(f"FROM apikit_graphql({query(self.INNER.replace('2', '3'))})").fetchall()

    def test_a_connection_without_its_path_is_one(self, con: Con) -> None:
        sql = ISSUES.partition(", connection_path")[0]

        with pytest.warns(apikit_sql.ApikitWarning, match=r"repository\.issues had a next page"):
            con.execute(f"FROM apikit_graphql({sql}, variables := {{first: 5}})").fetchall()


class TestConnectors:
    def test_github_is_asked_with_its_token(self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "tok-github-1234567")

        assert rows("FROM apikit_graphql('github', '{ hello }')") == [("world",)]
        assert str(api.seen[0].url) == "https://api.github.com/graphql"
        assert api.seen[0].headers["authorization"] == "Bearer tok-github-1234567"

    def test_shopify_answers_where_its_manifest_says(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHOPIFY_SHOP", "acme")
        monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", "tok-shopify-1234567")
        api.routes["/admin/api/2026-07/graphql.json"] = api.routes.pop("/graphql")

        assert rows("FROM apikit_graphql('shopify', '{ hello }')") == [("world",)]
        assert str(api.seen[0].url) == "https://acme.myshopify.com/admin/api/2026-07/graphql.json"


class TestDemo:
    def test_the_demo_answers_graphql_from_the_same_data(self, rows: Rows, api: FakeApi) -> None:
        del api.routes["/graphql"]  # then the demo answers
        inside = f"nodes {{ number user {{ login }} }} {PAGE_INFO}"
        text = (
            f"query($first: Int, $after: String) {{ issues(first: $first, after: $after, state: OPEN) {{ {inside} }} }}"
        )

        found = rows(f"SELECT number, user.login FROM apikit_graphql('demo', '{text}', connection_path := 'issues')")

        assert found == [(i["number"], i["user"]["login"]) for i in demo_data.issues() if i["state"] == "open"]
