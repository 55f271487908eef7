"""A GraphQL query as a scan plan: what is sent, where the rows will be, and what is never sent."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import pytest

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_call
from apikit_sql.plan.graphql import plan_graphql, read_graphql_call
from apikit_sql.plan.planner import Defaults, plan_call
from apikit_sql.plan.request_plan import ScanPlan

API = ConnectorDefinition.model_validate(
    {
        "name": "api",
        "base_url": "https://api.test/v1",
        "params": {"locale": "en"},
        "data_path": "items",
        "pagination": {"strategy": "cursor", "cursor_param": "c", "next_cursor_path": "n", "params_in": "body"},
    }
)
ISSUES = """
query($first: Int!, $after: String) {
  repository(name: "duck") {
    issues(first: $first, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } }
  }
}"""
OF_ISSUES = "repository.issues"


def planned(
    query: str, connector: ConnectorDefinition = API, limits: Defaults | None = None, **options: object
) -> ScanPlan:
    call = read_graphql_call(json.dumps({"connector": "api", "query": query, **options}))
    return plan_graphql(call, connector, *([limits] if limits else []))


def refused(query: str, **options: Any) -> str:
    with pytest.raises(CallError) as caught:
        planned(query, **options)
    return str(caught.value)


def body(plan: ScanPlan) -> Any:
    return json.loads(plan.request.body or b"")


def variables(plan: ScanPlan) -> Any:
    return body(plan)["variables"]


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Fails once more than so many Python functions are called while inside."""
    seen = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal seen
        seen += event == "call"
        if seen > calls:
            sys.setprofile(None)
            message = f"more than {calls:,} calls"
            raise AssertionError(message)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


def issues(
    inside: str, first: str = "first: $first, after: $after", declared: str = "$first: Int, $after: String"
) -> str:
    return f"query({declared}) {{ repository {{ issues({first}) {{ {inside} }} }} }}"


PAGE_INFO = "pageInfo { hasNextPage endCursor }"
TIME, SENT = "2026-01-01 02:00:00+02", "2026-01-01T00:00:00Z"


class TestRequest:
    def test_a_query_is_posted_as_it_was_written_with_its_variables(self) -> None:
        query = "query($name: String!) { repository(name: $name) { name } } # as it stands"

        plan = planned(query, variables={"name": "duck"})

        request = plan.request
        assert (request.method, request.base_url, request.path) == ("POST", "https://api.test/v1", "/graphql")
        assert body(plan) == {"query": query, "variables": {"name": "duck"}}
        assert (request.is_graphql, request.params) == (True, (("locale", "en"),))
        assert request.pagination == PaginationConfig(strategy="none")

    def test_a_connection_is_asked_for_by_its_first_nodes(self) -> None:
        plan = planned(ISSUES, connection_path=OF_ISSUES, page_size=7)

        assert plan.request.pagination == PaginationConfig(strategy="relay", connection_path=OF_ISSUES)
        assert variables(plan) == {"first": 7}

    def test_a_page_has_a_hundred_nodes_unless_something_is_said(self) -> None:
        assert variables(planned(ISSUES, connection_path=OF_ISSUES)) == {"first": 100}

    def test_a_caller_may_begin_behind_a_cursor(self) -> None:
        plan = planned(ISSUES, connection_path=OF_ISSUES, variables={"after": "c20"})

        assert variables(plan) == {"first": 100, "after": "c20"}

    def test_the_path_is_the_calls_else_the_manifests(self) -> None:
        shop = API.model_copy(update={"graphql_path": "/graphql.json"})

        assert planned("{ a }", shop).request.path == "/graphql.json"
        assert planned("{ a }", shop, path="/query").request.path == "/query"

    def test_limits_columns_and_nested_are_those_of_a_scan(self) -> None:
        plan = planned("{ a }", limits=Defaults(max_wait=5, max_requests=3), columns={"a": "BIGINT"})

        assert (plan.request.max_wait, plan.max_requests) == (5, 3)
        assert [column.name for column in plan.columns or ()] == ["a"]
        assert planned("{ a }", nested="json").nested == "json"

    def test_numbers_keep_their_digits_and_null_is_null(self) -> None:
        plan = planned("query($a: Float, $b: Int, $c: In) { a }", variables={"a": 0.5, "b": 10**17, "c": {"d": None}})

        assert variables(plan) == {"a": 0.5, "b": 10**17, "c": {"d": None}}

    def test_times_go_out_as_rfc_3339(self) -> None:
        plan = planned(
            "query($at: T, $ats: [T], $text: String, $none: T) { a }",
            variables={"at": "2025-01-02 03:04:05+02", "ats": ["2025-01-02 00:00:00"], "text": "2025", "none": None},
            variables_type=(
                "STRUCT(at TIMESTAMP WITH TIME ZONE, ats TIMESTAMP[], text VARCHAR, none TIMESTAMP WITH TIME ZONE)"
            ),
        )

        assert variables(plan) == {
            "at": "2025-01-02T01:04:05Z",
            "ats": ["2025-01-02T00:00:00Z"],
            "text": "2025",
            "none": None,
        }

    @pytest.mark.parametrize(
        ("sql_type", "value", "sent"),
        [
            ("STRUCT(since TIMESTAMP WITH TIME ZONE)", {"since": TIME}, {"since": SENT}),
            (
                "STRUCT(x DECIMAL(2,1), since TIMESTAMP, s VARCHAR)",
                {"x": 1, "since": TIME, "s": TIME},
                {"x": 1, "since": SENT, "s": TIME},
            ),
            ("STRUCT(t TIMESTAMP WITH TIME ZONE)[]", [{"t": TIME}, {"t": None}], [{"t": SENT}, {"t": None}]),
            ("TIMESTAMP_NS[2][]", [[TIME, TIME]], [[SENT, SENT]]),
            ("MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)", {"a": TIME}, {"a": SENT}),
            (
                "MAP(TIMESTAMP, STRUCT(t TIMESTAMP[], u VARCHAR))",
                {TIME: {"t": [TIME], "u": TIME}},
                {TIME: {"t": [SENT], "u": TIME}},
            ),
            ("UNION(num INTEGER, t TIMESTAMP)", {"t": TIME}, {"t": SENT}),
            (
                """STRUCT("a, ""(b" STRUCT("T" TIMESTAMP), e ENUM(')', ', t TIMESTAMP'))""",
                {'a, "(b': {"T": TIME}, "e": TIME},
                {'a, "(b': {"T": SENT}, "e": TIME},
            ),
            (
                'STRUCT(n "NULL", "TIMESTAMP" VARCHAR, t TIMESTAMP)',
                {"TIMESTAMP": TIME, "t": TIME},
                {"TIMESTAMP": TIME, "t": SENT},
            ),
            ("STRUCT(INTEGER, TIMESTAMP)", {"": TIME}, {"": SENT}),
            ("STRUCT(INTEGER, MAP(VARCHAR, TIMESTAMP))[]", [{"": TIME}], [{"": TIME}]),
            ("JSON", {"t": TIME}, {"t": TIME}),
        ],
    )
    def test_times_within_do_too_and_nothing_else(self, sql_type: str, value: object, sent: object) -> None:
        plan = planned(
            "query($f: F, $t: String) { a }",
            variables={"f": value, "t": TIME},
            variables_type=f"STRUCT(f {sql_type}, t VARCHAR)",
        )

        assert variables(plan) == {"f": sent, "t": TIME}

    def test_every_value_of_a_map_may_hold_times(self) -> None:
        plan = planned(
            "query($a: F, $b: F) { a }",
            variables={"a": {"t": TIME}, "b": {"t": None}},
            variables_type="MAP(VARCHAR, STRUCT(t TIMESTAMP WITH TIME ZONE))",
        )

        assert variables(plan) == {"a": {"t": SENT}, "b": {"t": None}}

    def test_variables_may_be_json_text(self) -> None:
        assert variables(planned("query($n: Int) { a }", variables='{"n": 3}')) == {"n": 3}


class TestRows:
    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("{ countries { code } }", "data.countries"),
            ("{ all: countries { code } }", "data.all"),
            ("{ ...A } fragment A on Query { countries { code } }", "data.countries"),
            ("{ ... on Query { countries { code } } }", "data.countries"),
            ("{ countries { code } countries { name } }", "data.countries"),
            ("{ countries { code } hello }", "data"),
            ("{ a: countries { code } b: countries { code } }", "data"),
            ("{ hello }", "data"),
            ("{ ...Gone }", "data"),
        ],
    )
    def test_rows_are_what_the_only_field_gives(self, query: str, path: str) -> None:
        assert planned(query).request.record_path == path

    @pytest.mark.parametrize(
        ("inside", "path"),
        [
            (f"nodes {{ id }} {PAGE_INFO}", "data.repository.issues.nodes"),
            (f"edges {{ node {{ id }} }} {PAGE_INFO}", "data.repository.issues.edges[].node"),
            (f"edges {{ cursor }} nodes {{ id }} {PAGE_INFO}", "data.repository.issues.nodes"),
            ("nodes { id } pageInfo { hasNextPage } pageInfo { endCursor }", "data.repository.issues.nodes"),
        ],
    )
    def test_rows_of_a_connection_are_its_nodes(self, inside: str, path: str) -> None:
        assert planned(issues(inside), connection_path=OF_ISSUES).request.record_path == path

    def test_a_connection_may_be_put_together_of_fragments_and_aliases(self) -> None:
        query = f"""
            query($first: Int, $after: String) {{ ...Repo }}
            fragment Repo on Query {{ mine: repository {{ ... on Repository {{ ...Issues }} ...Page }} }}
            fragment Issues on Repository {{ bugs: issues(in: {{first: $first, after: $after}}) {{ nodes {{ id }} }} }}
            fragment Page on Repository {{ bugs: issues(in: {{first: $first, after: $after}}) {{ {PAGE_INFO} }} }}"""

        assert planned(query, connection_path="mine.bugs").request.record_path == "data.mine.bugs.nodes"

    def test_a_fragment_that_spreads_itself_ends(self) -> None:
        query = "{ a { ...F } } fragment F on A { b { hasNextPage ...F } }"

        assert planned(query).request.unfollowed == (("a", "b", "hasNextPage"),)

    @pytest.mark.parametrize("spread", ["...f{0} ...f{0}", "... on Q {{ ...f{0} }} ...f{0} ... {{ ...f{0} }}"])
    def test_a_fragment_is_spread_once_by_however_many_ways(self, spread: str) -> None:
        levels = 40
        fragments = [f"fragment f{n} on Q {{ {spread.format(n + 1)} }}" for n in range(levels)]
        query = f"{{ {spread.format(0)} }} {' '.join(fragments)} fragment f{levels} on Q {{ rows {{ id }} }}"

        with at_most(calls=100_000):
            plan = planned(query)

        assert plan.request.record_path == "data.rows"

    def test_fields_of_one_name_in_several_fragments_are_one(self) -> None:
        query = f"""
            query($first: Int, $after: String) {{ ...A ...B ...A }}
            fragment A on Query {{ r {{ ...Nodes x: marks {{ pageInfo {{ endCursor }} }} }} }}
            fragment B on Query {{ r {{ ...Nodes ...Page x: marks {{ pageInfo {{ hasNextPage }} }} }} }}
            fragment Nodes on R {{ issues(first: $first, after: $after) {{ nodes {{ id }} }} }}
            fragment Page on R {{ issues(first: $first, after: $after) {{ {PAGE_INFO} }} }}"""

        plan = planned(query, connection_path="r.issues")

        assert plan.request.record_path == "data.r.issues.nodes"
        assert plan.request.unfollowed == (("r", "x", "pageInfo", "hasNextPage"),)

    def test_a_fragment_is_spread_again_in_another_field(self) -> None:
        query = "{ a { ...F } b { ...F } } fragment F on A { c { hasNextPage } }"

        assert planned(query).request.unfollowed == (("a", "c", "hasNextPage"), ("b", "c", "hasNextPage"))

    def test_a_long_chain_of_fragments_is_followed_to_its_end(self) -> None:
        chain = [f"fragment f{n} on Q {{ ...f{n + 1} }}" for n in range(2_000)]
        query = f"{{ ...f0 }} {' '.join(chain)} fragment f2000 on Q {{ rows {{ id }} }}"

        assert planned(query).request.record_path == "data.rows"


class TestConnectionsThatAreNotFollowed:
    def test_each_that_tells_of_a_next_page_is_known_by_its_path(self) -> None:
        inner = "nodes { id marks: labels(first: 3) { nodes { name } pageInfo { more: hasNextPage } } }"

        plan = planned(issues(f"{inner} {PAGE_INFO}"), connection_path=OF_ISSUES)

        assert plan.request.unfollowed == (("repository", "issues", "nodes", "marks", "pageInfo", "more"),)

    def test_without_a_path_no_connection_is_followed(self) -> None:
        plan = planned("{ issues(first: 3) { nodes { id } pageInfo { hasNextPage } } hasNextPage a { hasNextPage } }")

        assert plan.request.unfollowed == (("issues", "pageInfo", "hasNextPage"),)


class TestRefused:
    @pytest.mark.parametrize("kind", ["mutation", "subscription"])
    @pytest.mark.parametrize("query", ["{} {{ addStar }}", "# query\n{} X {{ addStar }}", "{{ a }} {} X {{ addStar }}"])
    def test_what_may_change_something_is_not_sent(self, query: str, kind: str) -> None:
        assert refused(query.format(kind)) == f"apikit_graphql: a {kind} is not sent; only a query reads."

    def test_a_query_may_speak_of_mutations(self) -> None:
        query = '{ mutation: search(text: "mutation { x }") { a } } # mutation { y }'

        assert planned(query).request.record_path == "data.mutation"

    @pytest.mark.parametrize(("query", "number"), [("query A { a } query B { b }", 2), ("fragment F on A { b }", 0)])
    def test_a_document_has_one_query(self, query: str, number: int) -> None:
        assert refused(query) == f"apikit_graphql: the document has {number} queries; it must have one."

    def test_a_syntax_error_is_told_with_its_place(self) -> None:
        expected = "apikit_graphql: the query is no GraphQL at line 2, column 8: Expected Name, found '}'."

        assert refused("{\n  a b: }") == expected

    def test_a_query_that_is_nested_too_deeply_is_refused(self) -> None:
        assert "nested too deeply" in refused("{a" * 100_000)

    def test_an_answer_that_doubles_with_every_fragment_is_refused(self) -> None:
        fragments = [f"fragment f{n} on Q {{ a {{ ...f{n + 1} }} b {{ ...f{n + 1} }} }}" for n in range(40)]
        query = f"{{ ...f0 }} {' '.join(fragments)} fragment f40 on Q {{ id }}"

        with at_most(calls=1_000_000):
            text = refused(query)

        assert text == "apikit_graphql: with its fragments the query asks for more than 10,000 fields."

    def test_a_parser_that_reaches_its_depth_is_no_crash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def parse(_: str) -> NoReturn:
            raise RecursionError

        monkeypatch.setattr("apikit_sql.plan.graphql_query.parse", parse)  # graphql-core 3.2 knows no depth of its own

        assert refused("{ a }") == "apikit_graphql: the query is nested too deeply."

    @pytest.mark.parametrize(
        ("query", "lack"),
        [
            (issues(f"nodes {{ id }} {PAGE_INFO}", first="first: 5"), "does not take $first and $after"),
            (issues(f"nodes {{ id }} {PAGE_INFO}", first="first: $first"), "does not take $first and $after"),
            (issues(f"nodes {{ id }} {PAGE_INFO}", declared="$first: Int"), "does not take $first and $after"),
            (issues("nodes { id }"), "does not select pageInfo { hasNextPage endCursor }"),
            (issues("nodes { id } pageInfo { hasNextPage }"), "does not select pageInfo { hasNextPage endCursor }"),
            (issues(f"totalCount {PAGE_INFO}"), "selects neither nodes nor edges { node }"),
            (issues(f"edges {{ cursor }} {PAGE_INFO}"), "selects neither nodes nor edges { node }"),
        ],
    )
    def test_a_connection_that_cannot_be_followed_is_told_with_what_to_write(self, query: str, lack: str) -> None:
        text = refused(query, connection_path=OF_ISSUES)

        assert text.startswith(
            f"apikit_graphql: repository.issues {lack}. Write query($first: Int!, $after: String) {{"
        )
        assert "issues(first: $first, after: $after) { nodes { ... } pageInfo { hasNextPage endCursor } }" in text

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("repo.issues", "no 'repo' there (it has repository)"),
            (OF_ISSUES + ".nodes.x.y", "no 'x' there (it has number)"),
        ],
    )
    def test_a_path_that_the_query_does_not_have_is_told(self, path: str, told: str) -> None:
        assert told in refused(ISSUES, connection_path=path)

    def test_a_path_into_a_plain_field_is_told(self) -> None:
        assert "no 'x' there (it has no fields)" in refused(ISSUES, connection_path=OF_ISSUES + ".nodes.number.x")

    def test_a_page_size_needs_a_connection(self) -> None:
        assert "page_size needs connection_path" in refused("{ a }", page_size=3)

    def test_the_size_of_a_page_has_one_name(self) -> None:
        assert "say page_size := ..." in refused(ISSUES, connection_path=OF_ISSUES, variables={"first": 3})

    def test_a_variable_that_is_not_declared_is_told(self) -> None:
        query = "query($name: String, $n: Int) { a }"

        assert "variables has 'nam', which the query does not declare (it has $name, $n)" in refused(
            query, variables={"nam": "x"}
        )
        assert "(it has none)" in refused("{ a }", variables={"nam": "x"})

    @pytest.mark.parametrize("given", [{}, {"n": None}])
    def test_a_variable_that_needs_a_value_is_told(self, given: dict[str, Any]) -> None:
        query = "query($n: Int!, $m: Int! = 3, $k: Int) { a }"

        assert "needs a value for $n: variables := {'n': ...}" in refused(query, variables=given)
        assert variables(planned(query, variables={"n": 1})) == {"n": 1}

    @pytest.mark.parametrize("path", ["graphql", "", "/repos/{owner}"])
    def test_a_path_is_one_below_the_base_url(self, path: str) -> None:
        assert f"path is where the API answers GraphQL, '/graphql' for instance, not {path!r}" in refused(
            "{ a }", path=path
        )

    def test_a_path_does_not_climb(self) -> None:
        with pytest.raises(CallError):
            planned("{ a }", path="/../admin")

    @pytest.mark.parametrize("name", ["connector", "query"])
    def test_null_is_a_variable_that_is_not_set(self, name: str) -> None:
        given = {"connector": "api", "query": "{ a }", name: None}

        with pytest.raises(CallError, match=f"apikit_graphql: {name} is NULL"):
            read_graphql_call(json.dumps(given))

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"path": True}, "path is a boolean. Options are written name := value"),
            ({"page_size": True}, "page_size is a boolean"),
            ({"variables": [1]}, "variables is not an object {'name': value}"),
            ({"variables": "x"}, "variables is not an object {'name': value}"),
            ({"columns": [1]}, "columns is not an object {'name': value}"),
            ({"page_size": 0}, "page_size: must be greater than or equal to 1"),
            ({"connection_path": "a..b"}, "connection_path: "),
            ({"connection_path": ""}, "connection_path: "),
        ],
    )
    def test_arguments_are_checked(self, options: dict[str, Any], told: str) -> None:
        assert f"apikit_graphql: {told}" in refused("{ a }", **options)

    def test_without_graphql_core_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "apikit_sql.plan.graphql_query", None)

        assert "pip install 'apikit_sql[graphql]'" in refused("{ a }")

    def test_apikit_itself_does_not_follow_relay(self) -> None:
        by_name = {"connector": "api", "path": "/x", "pagination": "relay"}
        with_settings = by_name | {"pagination": {"strategy": "relay", "connection_path": "a"}}

        for given in (by_name, with_settings):
            with pytest.raises(CallError, match=r"'relay' belongs to GraphQL: apikit_graphql"):
                plan_call(read_call(json.dumps(given)), API)


class TestSecrets:
    @pytest.mark.parametrize(
        ("query", "options"),
        [
            ('{ login(password: "hunter2secret") { id } }', {}),
            ('{ login(input: {api_key: "hunter2secret"}) { id } }', {}),
            ('{ a(header: "Bearer env:TOKEN") { id } }', {}),
            ('{ a(headers: ["x", "keyring:hunter2secret"]) { id } }', {}),
            ('query($x: String = "env:TOKEN") { a(b: $x) }', {}),
            ("query($x: String) { a(b: $x) }", {"variables": {"x": "env:hunter2secret"}}),
            ("query($x: String) { a(b: $x) }", {"variables": {"x": ["Bearer env:hunter2secret"]}}),
            ("query($x: In) { a(b: $x) }", {"variables": {"x": {"password": "hunter2secret"}}}),
        ],
    )
    def test_neither_a_credential_nor_a_reference_goes_out_of_sql(self, query: str, options: dict[str, Any]) -> None:
        text = refused(query, **options)

        assert "credential, which SQL must not" in text
        assert "Give the token in Python" in text

    @pytest.mark.parametrize(
        "query",
        [
            '{ deployments(env: "prod", key: "APIKIT-1") { id } }',
            "{ deployments(env:prod) { id } }",
            "{ env: a { b } }",
        ],
    )
    def test_innocent_words_are_no_credentials(self, query: str) -> None:
        assert planned(query).request.is_graphql
