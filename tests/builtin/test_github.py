"""GitHub's lists, by its Link header, its envelopes and its filters: apikit('github', ...) against a server of our own.

What octokit/fixtures (MIT) recorded of GitHub itself is read through the streams of the same paths.
"""

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

from apikit_sql.column_types import ColumnType, ListOf, Struct, parse_type
from apikit_sql.connector.manifest import Stream
from apikit_sql.connector.registry import ConnectorRegistry
from tests.fakes.api import RECORDED, FakeApi, recorded

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

Rows = Callable[[str], list[tuple[Any, ...]]]
Record = dict[str, Any]

STREAMS = ConnectorRegistry().get("github").streams
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
REPO = "owner = 'acme' AND repo = 'site'"
OTHER_REPO = "repo_owner = 'acme' AND repo_name = 'site'"

#: For each stream: what is asked, where that is on the server, and what it sends besides the page size.
ASKED: dict[str, tuple[str, str, str]] = {
    "repos": ("org = 'acme'", "/orgs/acme/repos", ""),
    "user_repos": ("username = 'ann'", "/users/ann/repos", "type=owner"),
    "my_repos": ("true", "/user/repos", ""),
    "team_repos": ("org = 'acme' AND team_slug = 'core'", "/orgs/acme/teams/core/repos", ""),
    "starred": ("username = 'ann'", "/users/ann/starred", ""),
    "forks": ("upstream_owner = 'acme' AND upstream_repo = 'site'", "/repos/acme/site/forks", ""),
    "issues": (REPO, "/repos/acme/site/issues", "state=all"),
    "issue_comments": (REPO, "/repos/acme/site/issues/comments", ""),
    "issue_events": (REPO, "/repos/acme/site/issues/events", ""),
    "issue_timeline": (f"{REPO} AND issue_number = 7", "/repos/acme/site/issues/7/timeline", ""),
    "milestones": (REPO, "/repos/acme/site/milestones", "state=all"),
    "labels": (REPO, "/repos/acme/site/labels", ""),
    "pulls": (REPO, "/repos/acme/site/pulls", "state=all"),
    "pull_reviews": (f"{REPO} AND pull_number = 7", "/repos/acme/site/pulls/7/reviews", ""),
    "review_comments": (REPO, "/repos/acme/site/pulls/comments", ""),
    "pull_commits": (f"{REPO} AND pull_number = 7", "/repos/acme/site/pulls/7/commits", ""),
    "pull_files": (f"{REPO} AND pull_number = 7", "/repos/acme/site/pulls/7/files", ""),
    "commits": (REPO, "/repos/acme/site/commits", ""),
    "commit_statuses": (f"{REPO} AND ref = 'main'", "/repos/acme/site/commits/main/statuses", ""),
    "check_runs": (f"{REPO} AND ref = 'main'", "/repos/acme/site/commits/main/check-runs", "filter=all"),
    "check_suites": (f"{REPO} AND ref = 'main'", "/repos/acme/site/commits/main/check-suites", ""),
    "branches": (REPO, "/repos/acme/site/branches", ""),
    "tags": (REPO, "/repos/acme/site/tags", ""),
    "releases": (REPO, "/repos/acme/site/releases", ""),
    "release_assets": (f"{REPO} AND release_id = 7", "/repos/acme/site/releases/7/assets", ""),
    "contributors": (REPO, "/repos/acme/site/contributors", "anon=true"),
    "collaborators": (REPO, "/repos/acme/site/collaborators", ""),
    "stargazers": (REPO, "/repos/acme/site/stargazers", ""),
    "subscribers": (REPO, "/repos/acme/site/subscribers", ""),
    "repo_events": (OTHER_REPO, "/repos/acme/site/events", ""),
    "members": ("org = 'acme'", "/orgs/acme/members", ""),
    "teams": ("org = 'acme'", "/orgs/acme/teams", ""),
    "team_members": ("org = 'acme' AND team_slug = 'core'", "/orgs/acme/teams/core/members", ""),
    "followers": ("username = 'ann'", "/users/ann/followers", ""),
    "following": ("username = 'ann'", "/users/ann/following", ""),
    "user_orgs": ("username = 'ann'", "/users/ann/orgs", ""),
    "gists": ("username = 'ann'", "/users/ann/gists", ""),
    "notifications": ("true", "/notifications", "all=true"),
    "workflows": (REPO, "/repos/acme/site/actions/workflows", ""),
    "workflow_runs": (REPO, "/repos/acme/site/actions/runs", ""),
    "workflow_jobs": (f"{REPO} AND run_id = 7", "/repos/acme/site/actions/runs/7/jobs", "filter=all"),
    "artifacts": (REPO, "/repos/acme/site/actions/artifacts", ""),
    "deployments": (REPO, "/repos/acme/site/deployments", ""),
    "deployment_statuses": (f"{REPO} AND deployment_id = 7", "/repos/acme/site/deployments/7/statuses", ""),
    "dependabot_alerts": (REPO, "/repos/acme/site/dependabot/alerts", ""),
    "org_dependabot_alerts": ("org = 'acme'", "/orgs/acme/dependabot/alerts", ""),
    "code_scanning_alerts": (f"{REPO} AND state = 'open'", "/repos/acme/site/code-scanning/alerts", "state=open"),
    "security_advisories": (REPO, "/repos/acme/site/security-advisories", ""),
    "advisories": ("type = 'malware'", "/advisories", "type=malware"),
    "search_repos": ("q = 'a'", "/search/repositories", "q=a"),
    "search_issues": ("q = 'a'", "/search/issues", "q=a"),
    "search_code": ("q = 'a'", "/search/code", "q=a"),
    "search_users": ("q = 'a'", "/search/users", "q=a"),
}
ENVELOPES = {
    "check_runs": "check_runs",
    "check_suites": "check_suites",
    "workflows": "workflows",
    "workflow_runs": "workflow_runs",
    "workflow_jobs": "jobs",
    "artifacts": "artifacts",
    "search_repos": "items",
    "search_issues": "items",
    "search_code": "items",
    "search_users": "items",
}
#: Fields that the question fixes.
FIXED: dict[str, Record] = {
    "workflow_jobs": {"run_id": 7},
    "code_scanning_alerts": {"state": "open"},
    "advisories": {"type": "malware"},
}
SINGLES = {
    "repository": (OTHER_REPO, "/repos/acme/site"),
    "organization": ("org = 'acme'", "/orgs/acme"),
    "account": ("username = 'ann'", "/users/ann"),
}


class Lists:
    """A list as GitHub serves it: 30 records a page unless `per_page` says otherwise, `most` at most.

    The Link header leads on, by the id of the repository in place of its name, and its last page has no `next`.
    """

    def __init__(self, served: list[Record], envelope: str = "", most: int = 100, *, moves: bool = True) -> None:
        self.records, self.envelope, self.most, self.moves = served, envelope, most, moves

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        found = self.matching(params)
        size = min(int(params.get("per_page", 30)), self.most)
        page, last = int(params.get("page", 1)), max(1, -(-len(found) // size))
        links = {"next": page + 1, "last": last} if page < last else {}
        links |= {"prev": page - 1, "first": 1} if page > 1 else {}
        target = request.url.copy_with(path=by_id(request.url.path)) if self.moves else request.url
        texts = [f'<{target.copy_set_param("page", number)}>; rel="{rel}"' for rel, number in links.items()]
        part = found[(page - 1) * size : page * size]
        body = {"total_count": len(found), self.envelope: part} if self.envelope else part
        return httpx.Response(200, json=body, headers={"link": ", ".join(texts)} if texts else {})

    def matching(self, params: httpx.QueryParams) -> list[Record]:  # noqa: ARG002 - some lists are filtered by them
        """The records that a request is about."""
        return self.records


def by_id(path: str) -> str:
    """A repository's path as GitHub's links write it."""
    return re.sub(r"^/repos/acme/\w+/", "/repositories/1296269/", path)


def serve(api: FakeApi, path: str, server: Callable[[httpx.Request], httpx.Response]) -> None:
    api.routes |= {path: server, by_id(path): server}


def value(kind: ColumnType, number: int, name: str) -> Any:
    """A value of a type as GitHub writes it; some are null."""
    if isinstance(kind, Struct):
        return {field: value(part, number, field) for field, part in kind.fields} if number % 7 else None
    if isinstance(kind, ListOf):
        return [value(kind.element, number * 7 + at + 1, name) for at in range(number % 3)]
    if number % 11 == 0 and name not in {"id", "number", "url", "login"}:
        return None
    match kind.name:
        case "BIGINT":
            return 5_000_000_000 + number
        case "DOUBLE":
            return number / 4
        case "BOOLEAN":
            return number % 2 == 0
        case "TIMESTAMPTZ":
            return (START + dt.timedelta(hours=number)).isoformat().replace("+00:00", "Z")
        case "JSON":
            return {"é": [number, None, {"b": "x"}]} if number % 2 else "text"
        case _:
            return f"{name} {number} – ü"  # noqa: RUF001 - text beyond ASCII


def read_as(kind: ColumnType, found: Any) -> Any:
    """What DuckDB gives for a value of a body."""
    if found is None:
        return None
    if isinstance(kind, Struct):
        return {field: read_as(part, found.get(field)) for field, part in kind.fields}
    if isinstance(kind, ListOf):
        return [read_as(kind.element, part) for part in found]
    return dt.datetime.fromisoformat(found) if kind.name == "TIMESTAMPTZ" else found


def cells(stream: Stream, row: dict[str, Any]) -> Record:
    """A row's cells, JSON texts as what they say."""
    kinds = {name: parse_type(column.type) for name, column in stream.columns.items()}
    return {name: _parsed(kind, row[name]) for name, kind in kinds.items()}


def _parsed(kind: ColumnType, cell: Any) -> Any:
    if cell is None:
        return None
    if isinstance(kind, Struct):
        return {field: _parsed(part, cell[field]) for field, part in kind.fields}
    if isinstance(kind, ListOf):
        return [_parsed(kind.element, part) for part in cell]
    return json.loads(cell) if kind.name == "JSON" else cell


def expected(stream: Stream, record: Record) -> Record:
    return {name: read_as(parse_type(column.type), record.get(name)) for name, column in stream.columns.items()}


def records(name: str, count: int) -> list[Record]:
    columns = STREAMS[name].columns.items()
    return [
        {column: value(parse_type(config.type), number, column) for column, config in columns}
        | {"a_field_of_tomorrow": {"id": number}}
        | FIXED.get(name, {})
        for number in range(1, count + 1)
    ]


def dicts(con: duckdb.DuckDBPyConnection, sql: str) -> list[Record]:
    found = con.execute(sql)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def query(path: str) -> dict[str, str]:
    return dict(httpx.URL("https://api.github.com" + path).params)


class TestEveryStream:
    def test_each_of_them_is_tested(self) -> None:
        assert ASKED.keys() | SINGLES.keys() == STREAMS.keys()
        assert {name for name in ASKED if STREAMS[name].data_path} == ENVELOPES.keys()

    @pytest.mark.parametrize("name", ASKED)
    def test_three_pages_of_a_list_are_read_whole(
        self, con: duckdb.DuckDBPyConnection, api: FakeApi, name: str
    ) -> None:
        # given
        where, path, params = ASKED[name]
        most = 50 if name == "notifications" else 100
        served = records(name, 2 * most + 5)
        serve(api, path, Lists(served, ENVELOPES.get(name, ""), most))

        # when
        found = dicts(con, f"FROM apikit('github', '{name}', concurrency := 1) WHERE {where}")

        # then
        assert [cells(STREAMS[name], row) for row in found] == [expected(STREAMS[name], record) for record in served]
        first, *following = api.paths
        assert first == f"{path}?{params}{'&' if params else ''}per_page={most}"
        assert [query(path).get("page") for path in following] == ["2", "3"]
        assert {query(path)["per_page"] for path in api.paths} == {str(most)}

    @pytest.mark.parametrize("name", SINGLES)
    def test_a_record_is_one_row_and_one_request(self, con: duckdb.DuckDBPyConnection, api: FakeApi, name: str) -> None:
        where, path = SINGLES[name]
        (served,) = records(name, 1)
        api.routes[path] = httpx.Response(200, json=served)

        (found,) = dicts(con, f"FROM apikit('github', '{name}') WHERE {where}")

        assert cells(STREAMS[name], found) == expected(STREAMS[name], served)
        assert api.paths == [path]

    @pytest.mark.parametrize("name", ASKED)
    def test_an_empty_list_has_no_rows(self, rows: Rows, api: FakeApi, name: str) -> None:
        where, path, _ = ASKED[name]
        serve(api, path, Lists([], ENVELOPES.get(name, "")))

        assert rows(f"FROM apikit('github', '{name}') WHERE {where}") == []
        assert len(api.seen) == 1

    @pytest.mark.parametrize("name", [*ASKED, *SINGLES])
    def test_its_reference_page_is_named(self, name: str) -> None:
        assert re.fullmatch(r"https://docs\.github\.com/rest/[a-z-]+/[a-z-]+#[a-z-]+", STREAMS[name].docs)


class TestPages:
    def test_runs_in_an_envelope_are_read_ahead_in_order(self, rows: Rows, api: FakeApi) -> None:
        served = records("workflow_runs", 250)
        serve(api, "/repos/acme/site/actions/runs", Lists(served, "workflow_runs"))

        found = rows(f"SELECT id, run_started_at, actor.login FROM apikit('github', 'workflow_runs') WHERE {REPO}")

        assert found == [
            (
                run["id"],
                run["run_started_at"] and dt.datetime.fromisoformat(run["run_started_at"]),
                run["actor"] and run["actor"]["login"],
            )
            for run in served
        ]
        assert sorted(api.params("page"), key=str) == ["2", "3", None]

    def test_alerts_follow_an_opaque_cursor(self, rows: Rows, api: FakeApi) -> None:
        # given alerts that are paged by `after`, which only the Link header tells
        served = records("dependabot_alerts", 230)

        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.params["per_page"] == "100"
            start = {None: 0, "Y3Vyc29y=1": 100, "Y3Vyc29y=2": 200}[request.url.params.get("after")]
            following = request.url.copy_set_param("after", f"Y3Vyc29y={start // 100 + 1}")
            link = {"link": f'<{following}>; rel="next"'} if start < 200 else {}
            return httpx.Response(200, json=served[start : start + 100], headers=link)

        api.routes["/repos/acme/site/dependabot/alerts"] = answer

        # when
        found = rows(f"SELECT number FROM apikit('github', 'dependabot_alerts') WHERE {REPO}")

        # then
        assert found == [(alert["number"],) for alert in served]
        assert api.params("after") == [None, "Y3Vyc29y=1", "Y3Vyc29y=2"]

    def test_each_repository_of_an_in_list_has_pages_of_its_own(self, rows: Rows, api: FakeApi) -> None:
        # given
        served = {repo: records("pull_reviews", count) for repo, count in (("site", 201), ("app", 3), ("lib", 101))}
        for repo, reviews in served.items():
            api.routes[f"/repos/acme/{repo}/pulls/12/reviews"] = Lists(reviews, moves=False)

        # when
        found = rows(
            "SELECT repo, pull_number, id FROM apikit('github', 'pull_reviews') "
            "WHERE owner = 'acme' AND repo IN ('site', 'app', 'lib') AND pull_number = 12"
        )

        # then
        assert sorted(found) == sorted((repo, 12, review["id"]) for repo in served for review in served[repo])
        asked = sorted((request.url.path, request.url.params.get("page", "1")) for request in api.seen)
        assert asked == [
            ("/repos/acme/app/pulls/12/reviews", "1"),
            ("/repos/acme/lib/pulls/12/reviews", "1"),
            ("/repos/acme/lib/pulls/12/reviews", "2"),
            ("/repos/acme/site/pulls/12/reviews", "1"),
            ("/repos/acme/site/pulls/12/reviews", "2"),
            ("/repos/acme/site/pulls/12/reviews", "3"),
        ]

    def test_a_search_ends_with_its_thousandth_result(self, rows: Rows, api: FakeApi) -> None:
        # given a search that finds more than GitHub gives
        server = Capped(records("search_users", 1_000), "items")
        serve(api, "/search/users", server)

        found = rows("SELECT id FROM apikit('github', 'search_users') WHERE q = 'location:berlin'")

        assert found == [(user["id"],) for user in server.records]
        assert len(api.seen) == 10

    def test_a_limit_stops_the_pages(self, rows: Rows, api: FakeApi) -> None:
        serve(api, "/repos/acme/site/issues", Lists(records("issues", 500)))

        assert len(rows(f"FROM apikit('github', 'issues') WHERE {REPO} LIMIT 5")) == 5
        assert len(api.seen) <= 2


class Capped(Lists):
    """A search that counts more than it lists."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        body = answer.json() | {"total_count": 3_512, "incomplete_results": False}
        return httpx.Response(200, json=body, headers={"link": answer.headers.get("link", "")})


class TestHeaders:
    @pytest.mark.parametrize("name", ["issues", "search_code", "workflow_runs"])
    def test_each_request_asks_for_the_media_type_and_version(self, rows: Rows, api: FakeApi, name: str) -> None:
        where, path, _ = ASKED[name]
        serve(api, path, Lists(records(name, 250), ENVELOPES.get(name, "")))

        rows(f"FROM apikit('github', '{name}') WHERE {where}")

        assert len(api.seen) == 3
        for request in api.seen:
            assert request.headers.get_list("accept") == ["application/vnd.github+json"]
            assert request.headers.get_list("x-github-api-version") == ["2022-11-28"]
            assert "authorization" not in request.headers
            assert (request.method, request.url.scheme, request.url.host) == ("GET", "https", "api.github.com")

    def test_with_a_token_every_page_is_signed(self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_of_ann")
        serve(api, "/notifications", Lists(records("notifications", 120), most=50))

        assert len(rows("FROM apikit('github', 'notifications')")) == 120
        assert [request.headers["authorization"] for request in api.seen] == ["Bearer ghp_of_ann"] * 3

    def test_without_a_token_what_needs_one_is_refused_in_githubs_words(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/notifications"] = httpx.Response(401, json={"message": "Requires authentication"})

        with pytest.raises(duckdb.InvalidInputException, match=r"401 \(Requires authentication\)"):
            rows("FROM apikit('github', 'notifications')")

        assert len(api.seen) == 1

    def test_the_refusal_names_the_variable_of_the_token(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/notifications"] = httpx.Response(401, json={"message": "Requires authentication"})

        with pytest.raises(duckdb.InvalidInputException, match="GITHUB_TOKEN"):
            rows("FROM apikit('github', 'notifications')")


#: A stream, a predicate beside those of ASKED, and the parameters that it adds or changes.
PUSHED = [
    ("repos", "visibility = 'private'", {"type": "private"}),
    ("my_repos", "visibility = 'public'", {"visibility": "public"}),
    ("issues", "state = 'open'", {"state": "open"}),
    ("issues", "updated_at > TIMESTAMPTZ '2026-01-02 00:00:00Z'", {"since": "2026-01-01T23:59:59Z"}),
    ("issues", "updated_at >= TIMESTAMPTZ '2026-01-02 00:00:00.5Z'", {"since": "2026-01-01T23:59:59Z"}),
    ("issue_comments", "updated_at > TIMESTAMPTZ '2026-01-02 00:00:00Z'", {"since": "2026-01-01T23:59:59Z"}),
    ("review_comments", "updated_at = TIMESTAMPTZ '2026-01-02 00:00:00Z'", {"since": "2026-01-01T23:59:59Z"}),
    ("gists", "updated_at > TIMESTAMPTZ '2026-01-02 02:00:00+02:00'", {"since": "2026-01-01T23:59:59Z"}),
    ("notifications", "updated_at > TIMESTAMPTZ '2026-01-02 00:00:00Z'", {"since": "2026-01-01T23:59:59Z"}),
    ("milestones", "state = 'closed'", {"state": "closed"}),
    ("pulls", "state = 'closed' AND base.ref = 'release/1'", {"state": "closed", "base": "release/1"}),
    ("branches", "protected = true", {"protected": "true"}),
    ("check_runs", "name = 'lint & test'", {"check_name": "lint & test"}),
    ("check_runs", "status = 'completed'", {"status": "completed"}),
    ("check_suites", "app.id = 15368", {"app_id": "15368"}),
    ("artifacts", "name = 'wheel'", {"name": "wheel"}),
    ("deployments", "environment = 'production'", {"environment": "production"}),
    ("deployments", "task = 'deploy' AND sha = 'abc'", {"task": "deploy", "sha": "abc"}),
    ("deployments", "ref = 'v1.0'", {"ref": "v1.0"}),
    ("teams", "type = 'enterprise'", {"team_type": "enterprise"}),
    ("team_members", "role = 'maintainer'", {"role": "maintainer"}),
    ("dependabot_alerts", "state = 'auto_dismissed'", {"state": "auto_dismissed"}),
    ("dependabot_alerts", "dependency.package.ecosystem = 'pip'", {"ecosystem": "pip"}),
    ("dependabot_alerts", "dependency.scope = 'runtime'", {"scope": "runtime"}),
    ("org_dependabot_alerts", "state = 'fixed'", {"state": "fixed"}),
    ("org_dependabot_alerts", "dependency.package.ecosystem = 'npm'", {"ecosystem": "npm"}),
    ("org_dependabot_alerts", "dependency.scope = 'development'", {"scope": "development"}),
    ("security_advisories", "state = 'published'", {"state": "published"}),
    ("advisories", "severity = 'critical'", {"severity": "critical"}),
    ("advisories", "ghsa_id = 'GHSA-1' AND cve_id = 'CVE-1'", {"ghsa_id": "GHSA-1", "cve_id": "CVE-1"}),
]

#: Predicates that GitHub's parameters cannot say, or of which the reference does not say that they lose no row.
NOT_PUSHED = [
    ("repos", "visibility = 'internal'"),  # no value of `type`
    ("repos", "fork = true"),
    ("issues", "state = 'OPEN'"),
    ("issues", "state <> 'closed'"),
    ("issues", "updated_at < TIMESTAMPTZ '2026-01-02 00:00:00Z'"),
    ("issues", "created_at > TIMESTAMPTZ '2026-01-02 00:00:00Z'"),
    ("issues", "user.login = 'ann'"),
    ("pulls", "state = 'merged'"),
    ("pulls", "head.ref = 'main'"),
    ("commits", "commit.author.date > TIMESTAMPTZ '2026-01-02 00:00:00Z'"),
    ("branches", "protected = false"),
    ("check_runs", "status = 'waiting'"),
    ("check_runs", "app.id = 15368"),
    ("artifacts", "name LIKE 'wh%'"),
    ("teams", "type = 'secret'"),
    ("team_members", "role = 'admin'"),
    ("collaborators", "role_name = 'admin'"),
    ("dependabot_alerts", "dependency.package.ecosystem = 'actions'"),
    ("dependabot_alerts", "security_advisory.severity = 'high'"),
    ("security_advisories", "state = 'withdrawn'"),
    ("workflow_runs", "status = 'completed' AND head_branch = 'main' AND event = 'push'"),
    ("workflow_jobs", "run_attempt = 1"),
]


def satisfying(record: Record, predicate: str) -> Record:
    """The record, with the values that the predicate's equalities ask for."""
    for path, literal in re.findall(r"([\w.]+) = ('[^']*'|\d+|true)", predicate):
        *steps, field = path.split(".")
        place = record
        for step in steps:
            place[step] = dict(place.get(step) or {})
            place = place[step]
        place[field] = literal.strip("'") if literal.startswith("'") else json.loads(literal)
    return record


def constant(name: str) -> dict[str, str]:
    """What a stream sends whatever is asked."""
    return query(f"?{ASKED[name][2]}") | {"per_page": "50" if name == "notifications" else "100"}


class TestKeyColumns:
    @pytest.mark.parametrize(("name", "predicate", "params"), PUSHED)
    def test_a_key_column_is_sent_as_its_parameter(
        self, rows: Rows, api: FakeApi, name: str, predicate: str, params: dict[str, str]
    ) -> None:
        where, path, _ = ASKED[name]
        serve(api, path, Lists([], ENVELOPES.get(name, "")))

        rows(f"FROM apikit('github', '{name}') WHERE {where} AND {predicate}")

        assert [query(path) for path in api.paths] == [constant(name) | params]

    @pytest.mark.parametrize(("name", "predicate"), NOT_PUSHED)
    def test_nothing_else_is_sent(self, rows: Rows, api: FakeApi, name: str, predicate: str) -> None:
        where, path, _ = ASKED[name]
        serve(api, path, Lists([], ENVELOPES.get(name, "")))

        rows(f"FROM apikit('github', '{name}') WHERE {where} AND {predicate}")

        assert [query(path) for path in api.paths] == [constant(name)]

    def test_each_key_column_is_tried(self) -> None:
        tried = {
            (name, key.param)
            for name, stream in STREAMS.items()
            for key in stream.key_columns
            if any(name == other and key.param in params for other, _, params in PUSHED)
        }

        assert tried == {
            (name, key.param)
            for name, stream in STREAMS.items()
            for key in stream.key_columns
            if key.param and not key.required
        }

    @pytest.mark.parametrize(("name", "predicate", "_params"), PUSHED)
    def test_a_server_that_does_not_filter_gives_the_same_rows(
        self, con: duckdb.DuckDBPyConnection, api: FakeApi, name: str, predicate: str, _params: object
    ) -> None:
        # given
        where, path, _ = ASKED[name]
        served = records(name, 40) + [satisfying(record, predicate) for record in records(name, 20)]
        serve(api, path, Lists(served, ENVELOPES.get(name, "")))
        con.execute(f"CREATE TABLE everything AS FROM apikit('github', '{name}') WHERE {where}")

        # when
        found = con.execute(f"FROM apikit('github', '{name}') WHERE {where} AND {predicate}").fetchall()

        # then
        assert found
        assert found == con.execute(f"FROM everything WHERE {predicate}").fetchall()

    @pytest.mark.parametrize("operator", [">", ">="])
    def test_what_changed_since_loses_no_row(self, rows: Rows, api: FakeApi, operator: str) -> None:
        # given a server that takes `since` for a strict bound
        served = records("issues", 90)
        serve(api, "/repos/acme/site/issues", Since(served))
        bound = START + dt.timedelta(hours=40)

        # when
        found = rows(
            f"SELECT number FROM apikit('github', 'issues') "
            f"WHERE {REPO} AND updated_at {operator} TIMESTAMPTZ '{bound.isoformat()}'"
        )

        # then
        assert found == [
            (issue["number"],)
            for issue in served
            if issue["updated_at"]
            and (at := dt.datetime.fromisoformat(issue["updated_at"])) >= bound
            and (operator == ">=" or at > bound)
        ]
        assert api.params("since") == ["2026-01-02T15:59:59Z"]


class Since(Lists):
    """Records after a time, and not at it."""

    def matching(self, params: httpx.QueryParams) -> list[Record]:
        return [r for r in self.records if r["updated_at"] and r["updated_at"] > params["since"]]


class Narrow(Lists):
    """A list that leaves out records unless `param` says `everything`."""

    def __init__(
        self, kept: list[Record], left_out: list[Record], says: tuple[str, str], envelope: str, most: int
    ) -> None:
        super().__init__(kept + left_out, envelope, most)
        self.kept, self.says = kept, says

    def matching(self, params: httpx.QueryParams) -> list[Record]:
        param, everything = self.says
        return self.records if params.get(param) == everything else self.kept


#: What GitHub leaves out unless it is asked for everything.
NARROWED = [
    ("issues", ("state", "all"), {"state": "open"}, {"state": "closed"}),
    ("pulls", ("state", "all"), {"state": "open"}, {"state": "closed"}),
    ("milestones", ("state", "all"), {"state": "open"}, {"state": "closed"}),
    ("check_runs", ("filter", "all"), {"name": "newest"}, {"name": "older"}),
    ("workflow_jobs", ("filter", "all"), {"run_attempt": 2}, {"run_attempt": 1}),
    ("contributors", ("anon", "true"), {"type": "User"}, {"type": "Anonymous", "login": None, "id": None}),
    ("notifications", ("all", "true"), {"unread": True}, {"unread": False}),
]


class TestEverything:
    @pytest.mark.parametrize(("name", "says", "kept", "left_out"), NARROWED)
    def test_what_github_leaves_out_by_default_is_asked_for(  # noqa: PLR0917 - fixtures are parameters
        self, rows: Rows, api: FakeApi, name: str, says: tuple[str, str], kept: Record, left_out: Record
    ) -> None:
        # given
        where, path, _ = ASKED[name]
        old, new = ([record | fixed for record in records(name, 3)] for fixed in (left_out, kept))
        serve(api, path, Narrow(new, old, says, ENVELOPES.get(name, ""), 100))
        (field, *_) = kept

        # when
        found = rows(f"SELECT {field}, count(*) FROM apikit('github', '{name}') WHERE {where} GROUP BY 1 ORDER BY 1")

        # then
        assert found == sorted([(kept[field], 3), (left_out[field], 3)])

    def test_a_call_may_ask_otherwise(self, rows: Rows, api: FakeApi) -> None:
        serve(api, "/users/ann/repos", Lists(records("user_repos", 3)))

        assert len(rows("FROM apikit('github', 'user_repos', params := {type: 'all'}) WHERE username = 'ann'")) == 3
        assert api.paths == ["/users/ann/repos?type=all&per_page=100"]

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("advisories", {"type": ["reviewed", "malware", "unreviewed"]}),
            ("code_scanning_alerts", {"state": ["open", "dismissed", "fixed"]}),
        ],
    )
    def test_where_no_parameter_means_everything_the_choice_must_be_said(
        self, rows: Rows, api: FakeApi, name: str, values: dict[str, list[str]]
    ) -> None:
        # given
        ((field, choices),) = values.items()
        _, path, _ = ASKED[name]
        serve(api, path, Chosen([r | {field: c} for c in choices for r in records(name, 3)], field))
        others = "" if name == "advisories" else f"{REPO} AND "

        # when
        with pytest.raises(duckdb.InvalidInputException, match=rf"needs .*\b{field} \(= or IN\)"):
            rows(f"FROM apikit('github', '{name}') WHERE {others}true")
        with pytest.raises(duckdb.InvalidInputException, match=f"cannot ask for {field} = other .one of {choices[0]}"):
            rows(f"FROM apikit('github', '{name}') WHERE {others}{field} = 'other'")
        unsent = list(api.seen)
        found = rows(
            f"SELECT {field}, count(*) FROM apikit('github', '{name}') "
            f"WHERE {others}{field} IN {tuple(choices)} GROUP BY 1 ORDER BY 1"
        )

        # then
        assert unsent == []
        assert found == [(choice, 3) for choice in sorted(choices)]
        assert sorted(api.params(field), key=str) == sorted(choices)


class Chosen(Lists):
    """Records of the one value that a parameter says."""

    def __init__(self, served: list[Record], field: str) -> None:
        super().__init__(served)
        self.field = field

    def matching(self, params: httpx.QueryParams) -> list[Record]:
        return [record for record in self.records if record[self.field] == params[self.field]]


class TestSearch:
    def test_a_search_needs_its_query(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"/search/repositories needs q \(= or IN\)"):
            rows("FROM apikit('github', 'search_repos')")

        assert api.seen == []

    def test_each_query_is_a_search_of_its_own(self, rows: Rows, api: FakeApi) -> None:
        # given
        served = records("search_repos", 4)
        serve(api, "/search/repositories", lambda r: found_for(r, {"a language:c++": served[:1], "ü & b": served[1:]}))

        # when
        found = rows(
            "SELECT q, id, score FROM apikit('github', 'search_repos') "
            "WHERE q IN ('a language:c++', 'ü & b') ORDER BY id"
        )

        # then
        queries = ["a language:c++", "ü & b", "ü & b", "ü & b"]
        assert found == [(q, repo["id"], repo["score"]) for q, repo in zip(queries, served, strict=True)]
        assert sorted(api.params("q"), key=str) == ["a language:c++", "ü & b"]


def found_for(request: httpx.Request, results: dict[str, list[Record]]) -> httpx.Response:
    items = results[request.url.params["q"]]
    return httpx.Response(200, json={"total_count": len(items), "incomplete_results": False, "items": items})


class TestNeededKeys:
    @pytest.mark.parametrize(
        ("name", "where", "needs"),
        [
            ("pull_reviews", REPO, "owner and repo and pull_number"),
            ("workflow_jobs", REPO, "owner and repo and run_id"),
            ("team_members", "org = 'acme'", "org and team_slug"),
            ("repository", "repo_owner = 'acme'", "repo_owner and repo_name"),
        ],
    )
    def test_a_part_of_the_path_is_missed_by_name(
        self, rows: Rows, api: FakeApi, name: str, where: str, needs: str
    ) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=f"needs {needs}"):
            rows(f"FROM apikit('github', '{name}') WHERE {where}")

        assert api.seen == []

    def test_a_branch_with_a_slash_is_one_part_of_the_path(self, rows: Rows, api: FakeApi) -> None:
        serve(api, "/repos/acme/site/commits/heads/fix/it/check-runs", Lists(records("check_runs", 2), "check_runs"))

        found = rows(
            f"SELECT ref, count(*) FROM apikit('github', 'check_runs') WHERE {REPO} AND ref = 'heads/fix/it' GROUP BY 1"
        )

        assert found == [("heads/fix/it", 2)]
        assert api.paths == ["/repos/acme/site/commits/heads%2Ffix%2Fit/check-runs?filter=all&per_page=100"]

    def test_a_few_pull_requests_are_a_trip_each(self, rows: Rows, api: FakeApi) -> None:
        for number in (3, 4, 5):
            api.routes[f"/repos/acme/site/pulls/{number}/files"] = Lists(records("pull_files", number))

        found = rows(
            "SELECT pull_number, count(*) FROM apikit('github', 'pull_files') "
            f"WHERE {REPO} AND pull_number BETWEEN 3 AND 5 GROUP BY 1 ORDER BY 1"
        )

        assert found == [(3, 3), (4, 4), (5, 5)]


def exchanges() -> list[Any]:
    """Each recorded list or record of a path that a stream has: its name, file, keys and body."""
    found = []
    for file in sorted(RECORDED.glob("*.json")):
        for exchange in json.loads(file.read_text()):
            path = exchange["path"].partition("?")[0]
            for name, stream in STREAMS.items():
                pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(stream.path))
                match = re.fullmatch(pattern, path)
                if match and exchange["method"] == "get" and exchange["status"] == 200:
                    params = dict(httpx.URL("https://api.github.com" + exchange["path"]).params)
                    given = {
                        k.column: (match.groupdict() | params).get(k.path or k.param or "")
                        for k in stream.key_columns
                        if k.required
                    }
                    found.append(pytest.param(name, file.stem, given, exchange["response"], id=f"{name}-{file.stem}"))
    return found


class TestRecorded:
    def test_the_streams_with_a_recording_are_known(self) -> None:
        assert {case.values[0] for case in exchanges()} == {"labels", "search_issues", "repository", "organization"}

    @pytest.mark.parametrize(("name", "file", "keys", "body"), exchanges())
    def test_a_recorded_answer_reads_as_it_says(  # noqa: PLR0917 - fixtures are parameters
        self, con: duckdb.DuckDBPyConnection, api: FakeApi, name: str, file: str, keys: dict[str, str], body: Any
    ) -> None:
        # given
        api.routes.update(recorded(file))
        where = " AND ".join(f"{column} = '{key}'" for column, key in keys.items())
        listed = body["items"] if name == "search_issues" else body if isinstance(body, list) else [body]

        # when a value that does not fit its column is an error
        found = dicts(con, f"FROM apikit('github', '{name}') WHERE {where}")

        # then
        stream = STREAMS[name]
        assert [cells(stream, row) for row in found] == [expected(stream, record) for record in listed]
        assert [{column: row[column] for column in keys} for row in found] == [keys] * len(listed)
        filled = {column for column in stream.columns if any(record.get(column) is not None for record in listed)}
        assert {column for column in stream.columns if any(row[column] is not None for row in found)} == filled
        assert len(filled) >= 6

    def test_the_recorded_labels_are_the_first_nine_of_every_repository(self, rows: Rows, api: FakeApi) -> None:
        api.routes.update(recorded("labels"))
        (exchange, *_) = json.loads((RECORDED / "labels.json").read_text())

        found = rows(
            "SELECT name, \"default\" FROM apikit('github', 'labels') "
            "WHERE owner = 'octokit-fixture-org' AND repo = 'labels'"
        )

        assert found == [(label["name"], label["default"]) for label in exchange["response"]]
