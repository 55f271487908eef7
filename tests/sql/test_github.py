"""GitHub as it answers: recorded exchanges (octokit/fixtures, MIT) read through apikit('github', ...)."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import RECORDED, FakeApi, recorded

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

MOMENT = dt.datetime(2017, 10, 10, 16, 0, tzinfo=dt.UTC)
REPOSITORY = "apikit('github', '/repos/octokit-fixture-org/hello-world')"
ORGANIZATION = "apikit('github', '/orgs/octokit-fixture-org')"
LABELS = "apikit('github', '/repos/octokit-fixture-org/labels/labels')"
SEARCH = "apikit('github', '/search/issues', params := {q: 'sesame repo:octokit-fixture-org/search-issues'})"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(recorded("labels", "get-organization", "get-repository", "search-issues"))


class TestRepository:
    def test_a_repository_is_one_row(self, rows: Rows) -> None:
        found = rows(
            f"SELECT id, name, full_name, private, stargazers_count, topics, created_at, default_branch "
            f"FROM {REPOSITORY}"
        )

        assert found == [
            (
                1000,
                "hello-world",
                "octokit-fixture-org/hello-world",
                False,
                42,
                ["fixtures", "hello", "hello-world"],
                MOMENT,
                "master",
            )
        ]

    def test_its_owner_and_permissions_are_nested(self, rows: Rows) -> None:
        found = rows(
            "SELECT owner.login, owner.site_admin, owner.gravatar_id, permissions.admin, organization.type "
            f"FROM {REPOSITORY}"
        )

        assert found == [("octokit-fixture-org", False, "", True, "Organization")]

    def test_its_owner_is_flattened_on_demand(self, rows: Rows) -> None:
        source = REPOSITORY.replace(")", ", nested := 'flatten')")

        assert rows(f"SELECT owner__login, permissions__pull, topics FROM {source}") == [
            ("octokit-fixture-org", True, '["fixtures","hello","hello-world"]')
        ]

    def test_what_it_lacks_is_null(self, rows: Rows) -> None:
        found = rows(f"SELECT description, homepage, language, license, mirror_url FROM {REPOSITORY}")

        assert found == [(None,) * 5]

    def test_its_columns_have_the_types_of_their_values(self, rows: Rows) -> None:
        found: dict[str, str] = dict(rows(f"SELECT column_name, column_type FROM (DESCRIBE FROM {REPOSITORY})"))

        assert {name: found[name] for name in ("id", "name", "private", "pushed_at", "topics", "size")} == {
            "id": "BIGINT",
            "name": "VARCHAR",
            "private": "BOOLEAN",
            "pushed_at": "TIMESTAMP WITH TIME ZONE",
            "topics": "VARCHAR[]",
            "size": "BIGINT",
        }
        assert list(found) == list(json.loads((RECORDED / "get-repository.json").read_text())[0]["response"])

    def test_it_is_asked_for_once(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {REPOSITORY}")

        assert [request.url.path for request in api.seen] == ["/repos/octokit-fixture-org/hello-world"]


class TestOrganization:
    def test_an_organization_is_one_row(self, rows: Rows) -> None:
        found = rows(
            "SELECT login, id, description, is_verified, public_repos, created_at, plan.name, plan.space, plan.seats "
            f"FROM {ORGANIZATION}"
        )

        assert found == [("octokit-fixture-org", 1000, None, False, 42, MOMENT, "team", 976562499, 5)]


class TestLabels:
    def test_every_label_is_a_row(self, rows: Rows) -> None:
        assert rows(f"SELECT id, name, color FROM {LABELS}") == [
            (1000, "bug", "d73a4a"),
            (1001, "documentation", "0075ca"),
            (1002, "duplicate", "cfd3d7"),
            (1003, "enhancement", "a2eeef"),
            (1004, "good first issue", "7057ff"),
            (1005, "help wanted", "008672"),
            (1006, "invalid", "e4e669"),
            (1007, "question", "d876e3"),
            (1008, "wontfix", "ffffff"),
        ]

    def test_the_stream_has_the_same_rows_by_its_keys(self, rows: Rows, api: FakeApi) -> None:
        found = rows(
            "SELECT name, \"default\", owner, repo FROM apikit('github', 'labels') "
            "WHERE owner = 'octokit-fixture-org' AND repo = 'labels' AND id < 1002"
        )

        assert found == [
            ("bug", True, "octokit-fixture-org", "labels"),
            ("documentation", True, "octokit-fixture-org", "labels"),
        ]
        assert [request.url.path for request in api.seen] == ["/repos/octokit-fixture-org/labels/labels"]

    def test_the_stream_names_the_keys_it_needs(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.InvalidInputException, match=r"needs owner and repo \(= or IN\)"):
            rows("FROM apikit('github', 'labels')")

        assert api.seen == []

    def test_a_hundred_records_a_page_are_asked_for(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {LABELS}")

        assert api.params("per_page") == ["100"]

    def test_the_other_size_is_asked_for_on_demand(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {LABELS.replace(')', ', page_size := 50)')}")

        assert api.params("per_page") == ["50"]


class TestSearch:
    def test_the_items_found_are_the_rows(self, rows: Rows) -> None:
        found = rows(f"SELECT number, title, user.login, state, comments, score, created_at FROM {SEARCH}")

        assert found[0] == (
            2,
            "Sesame seeds split without a pop!",
            "octokit-fixture-user-b",
            "open",
            42,
            42,
            MOMENT,
        )
        assert len(found) == 2

    def test_the_query_is_sent_as_it_is_written(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {SEARCH}")

        assert set(api.params("q")) == {"sesame repo:octokit-fixture-org/search-issues"}

    def test_text_in_any_script_arrives_whole(self, rows: Rows) -> None:
        assert rows(f"SELECT body FROM {SEARCH} ORDER BY number DESC") == [
            ("I’ve waited all year long, but there was no pop 😭",),  # noqa: RUF001 - as it was recorded
            ('I tried "open sesame" as seen on Wikipedia but no luck!',),
        ]

    def test_empty_lists_and_nulls_are_told_apart(self, rows: Rows) -> None:
        found = rows(f"SELECT len(labels), len(assignees), assignee, milestone, closed_at FROM {SEARCH} LIMIT 1")

        assert found == [(0, 0, None, None, None)]

    def test_reactions_with_odd_names_are_fields(self, rows: Rows) -> None:
        assert rows(f"""SELECT reactions."+1", reactions."-1", reactions.heart FROM {SEARCH} LIMIT 1""") == [(0, 0, 0)]


class TestRequestsSent:
    def test_a_request_asks_for_the_version_of_the_manifest(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {LABELS}")

        (request,) = api.seen
        assert request.url.host == "api.github.com"
        assert request.url.scheme == "https"
        assert request.headers.get_list("accept") == ["application/vnd.github+json"]
        assert request.headers["x-github-api-version"] == "2022-11-28"
        assert request.headers["user-agent"] == "apikit_sql"

    def test_without_a_token_it_is_anonymous(self, rows: Rows, api: FakeApi) -> None:
        rows(f"FROM {LABELS}")

        assert "authorization" not in api.seen[0].headers

    def test_with_a_token_it_is_signed(self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_0123456789")

        rows(f"FROM {LABELS}")

        assert api.seen[0].headers["authorization"] == "Bearer ghp_0123456789"

    def test_a_token_set_later_is_used_at_once(self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        rows(f"FROM {LABELS}")
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_0123456789")
        rows(f"FROM {LABELS}")

        assert [request.headers.get("authorization") for request in api.seen] == [None, "Bearer ghp_0123456789"]

    def test_a_next_link_to_another_host_is_not_followed_with_the_token(
        self, rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_0123456789")
        link = {"link": '<https://evil.test/repos/o/r/labels?page=2>; rel="next"'}
        api.routes["/repos/o/r/labels"] = httpx.Response(200, json=[{"id": 1}], headers=link)

        with pytest.raises(duckdb.InvalidInputException, match=r"evil\.test"):
            rows("FROM apikit('github', '/repos/o/r/labels')")
        assert {request.url.host for request in api.seen} == {"api.github.com"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "body", "told"),
        [
            (401, {"message": "Bad credentials"}, r"AuthError: github: GET /user answered 401 \(Bad credentials\)"),
            (
                403,
                {"message": "Resource not accessible"},
                r"RequestError: github: GET /user answered 403 \(Resource not",
            ),
            (
                404,
                {"message": "Not Found", "documentation_url": "https://docs.github.com"},
                r"answered 404 \(Not Found\)",
            ),
            (
                422,
                {
                    "message": "Validation Failed",
                    "errors": [{"resource": "Label", "code": "invalid", "field": "color"}],
                },
                r"answered 422 \(Validation Failed",
            ),
        ],
    )
    def test_an_error_is_told_in_the_words_of_the_api(  # noqa: PLR0917 - fixtures are parameters
        self,
        rows: Rows,
        api: FakeApi,
        monkeypatch: pytest.MonkeyPatch,
        status: int,
        body: dict[str, Any],
        told: str,
    ) -> None:
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_0123456789")
        api.routes["/user"] = httpx.Response(status, json=body)

        with pytest.raises(duckdb.InvalidInputException, match=told) as caught:
            rows("FROM apikit('github', '/user')")

        assert "ghp_0123456789" not in str(caught.value)
        assert len(api.seen) == 1

    def test_a_used_up_limit_is_told_at_once(self, rows: Rows, api: FakeApi) -> None:
        # given GitHub's answer when the hour's requests are used up, an hour before the reset
        reset = int(dt.datetime.now(dt.UTC).timestamp()) + 3600
        headers = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
        api.routes["/user"] = httpx.Response(403, json={"message": "API rate limit exceeded"}, headers=headers)

        with pytest.raises(
            duckdb.InvalidInputException,
            match=r"github: GET /user.*rate limit exceeded|github: 0 of 60 left, resets .* Set max_wait := ",
        ):
            rows("FROM apikit('github', '/user')")
        assert len(api.seen) == 1


def test_columns_of_ones_own_leave_the_keys_of_a_stream_alone(session: Session, api: FakeApi) -> None:
    api.routes["/repos/o/r/issues"] = httpx.Response(200, json=[{"number": 1, "title": "t", "state": "open"}])
    con = duckdb.connect()
    apikit_sql.install(con, session=session)

    rows = con.execute(
        "FROM apikit('github', 'issues', columns := {number: 'BIGINT', title: 'VARCHAR'}) "
        "WHERE owner = 'o' AND repo = 'r'"
    ).fetchall()

    assert rows == [(1, "t", "o", "r")]
