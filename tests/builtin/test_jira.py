"""Jira Cloud: issues by a bounded JQL and tokens, projects by offset and total, users by offset until none is left."""

import base64
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

HOST = "acme.atlassian.net"
EMAIL, API_TOKEN = "ada@example.com", "ATATT3xFfake0123456789"
BASIC = "Basic " + base64.b64encode(f"{EMAIL}:{API_TOKEN}".encode()).decode()
FIRST = dt.datetime(2026, 3, 28, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
MOST_PER_PAGE = 40  # of issues with fields, however many were asked for

Rows = Callable[[str], list[tuple[object, ...]]]


def written(moment: dt.datetime) -> str:
    """A time as Jira writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}" + moment.strftime("%z")


def person(number: int) -> dict[str, Any]:
    return {
        "self": f"https://{HOST}/rest/api/3/user?accountId=5b10{number:08d}",
        "accountId": f"5b10{number:08d}",
        "accountType": ("atlassian", "app", "customer")[number % 3],
        "avatarUrls": {size: f"https://avatars.example/{number}/{size}" for size in ("16x16", "24x24", "32x32")},
        "displayName": f"Person {number}",
        "active": number % 4 != 0,
        **({"emailAddress": f"p{number}@example.com"} if number % 2 else {}),
    }


def issue(project: str, number: int) -> dict[str, Any]:
    created = FIRST + dt.timedelta(hours=number, milliseconds=number)
    return {
        "expand": "",
        "id": str(10_000 + number),
        "self": f"https://{HOST}/rest/api/3/issue/{10_000 + number}",
        "key": f"{project}-{number + 1}",
        "fields": {
            "summary": f"Summary {number}",
            "description": {
                "type": "doc",
                "version": 1,
                "content": [{"type": "paragraph", "content": [{"type": "text", "text": f"Text {number}"}]}],
            },
            "issuetype": {"id": "10001", "name": "Task", "subtask": False, "hierarchyLevel": 0},
            "project": {"id": "10000", "key": project, "name": project.title(), "projectTypeKey": "software"},
            "status": {
                "id": str(number % 2),
                "name": "Done" if number % 2 else "To Do",
                "statusCategory": {"id": 3, "key": "done" if number % 2 else "new", "name": "x", "colorName": "green"},
            },
            "priority": {"id": "3", "name": "Medium"},
            "resolution": {"id": "10000", "name": "Done"} if number % 2 else None,
            "assignee": person(number) if number % 3 else None,
            "reporter": person(1),
            "labels": [f"l{number % 3}"] if number % 2 else [],
            "components": [{"id": "7", "name": "Core"}],
            "fixVersions": [
                {"id": "9", "name": "1.0", "released": True, "archived": False, "releaseDate": "2026-04-01"}
            ],
            "duedate": "2026-05-31" if number % 2 else None,
            "created": written(created),
            "updated": written(created + dt.timedelta(days=1)),
            "resolutiondate": written(created) if number % 2 else None,
            "timespent": number * 60,
        },
    }


ISSUES = {
    "project = ACME order by key": [issue("ACME", number) for number in range(110)],
    "project = BETA order by key": [issue("BETA", number) for number in range(3)],
}
PROJECTS: list[dict[str, Any]] = [
    {
        "self": f"https://{HOST}/rest/api/3/project/{number}",
        "id": str(number),
        "key": f"P{number}",
        "name": f"Project {number}",
        "description": f"About {number}",
        "projectTypeKey": ("software", "business", "service_desk")[number % 3],
        "style": "classic",
        "simplified": number % 2 == 0,
        "isPrivate": False,
        "lead": person(number),
        "projectCategory": {"id": "1", "name": "Inner", "description": "Ours"},
    }
    for number in range(230)
]
USERS = [person(number) for number in range(2_050)]


def refused(status: int, text: str) -> httpx.Response:
    return httpx.Response(status, json={"errorMessages": [text], "errors": {}})


def signed(answer: Callable[[httpx.Request], httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    """`answer` for whoever is known."""
    return lambda r: (
        answer(r) if r.headers.get("authorization") == BASIC else refused(401, "Client must be authenticated")
    )


class IssueSearch:
    """Pages of what a JQL finds, known by tokens; no token is on the last page, and no total anywhere."""

    def __init__(self) -> None:
        self.tokens: dict[str, tuple[str, int]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        jql = params.get("jql", "")
        if not re.search(r"[=<>]", jql):
            return refused(400, "Unbounded JQL queries are not allowed here. Please add a search restriction.")
        if int(params.get("maxResults", 50)) > 5_000 or "startAt" in params:
            return refused(400, "The request is invalid.")
        asked, start = self.tokens[params["nextPageToken"]] if "nextPageToken" in params else (jql, 0)
        if asked != jql:
            return refused(400, "The token is of another query.")
        found, fields = ISSUES[jql], params.get("fields", "id").split(",")
        end = start + min(MOST_PER_PAGE, int(params.get("maxResults", 50)))
        page = [
            {**record, "fields": {name: value for name, value in record["fields"].items() if name in fields}}
            for record in found[start:end]
        ]
        body: dict[str, Any] = {"issues": page, "isLast": end >= len(found)}
        if end < len(found):
            body["nextPageToken"] = f"Ck{len(self.tokens)}AcmeFakeToken=="
            self.tokens[body["nextPageToken"]] = (jql, end)
        return httpx.Response(200, json=body)


def projects(request: httpx.Request) -> httpx.Response:
    start, size = int(request.url.params.get("startAt", 0)), int(request.url.params.get("maxResults", 50))
    page = PROJECTS[start : start + min(size, 100)]
    known = ("description", "lead", "url")
    asked = request.url.params.get("expand", "").split(",")
    page = [{name: v for name, v in p.items() if name not in known or name in asked} for p in page]
    body = {
        "self": str(request.url),
        "startAt": start,
        "maxResults": min(size, 100),
        "total": len(PROJECTS),
        "isLast": start + len(page) >= len(PROJECTS),
        "values": page,
    }
    return httpx.Response(200, json=body)


def users(request: httpx.Request) -> httpx.Response:
    start, size = int(request.url.params.get("startAt", 0)), int(request.url.params.get("maxResults", 50))
    return httpx.Response(200, json=USERS[start : start + min(size, 1_000)])


@pytest.fixture
def search() -> IssueSearch:
    return IssueSearch()


@pytest.fixture
def api(search: IssueSearch) -> FakeApi:
    removed = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
    return FakeApi(
        {
            "/rest/api/3/search/jql": signed(search),
            "/rest/api/3/search": signed(lambda _: refused(410, removed)),
            "/rest/api/3/project/search": signed(projects),
            "/rest/api/3/users/search": signed(users),
        }
    )


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_SITE", "acme")
    monkeypatch.setenv("JIRA_EMAIL", EMAIL)
    monkeypatch.setenv("JIRA_API_TOKEN", API_TOKEN)


def moment(text: str | None) -> int | None:
    return None if text is None else round(dt.datetime.fromisoformat(text).timestamp() * 1_000)


def day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def test_issues_of_a_jql_come_token_by_token(api: FakeApi, rows: Rows, search: IssueSearch) -> None:
    jql = "project = ACME order by key"

    found = rows(
        "SELECT jql, id, key, fields.summary, fields.description->>'$.content[0].content[0].text', "
        'fields.issuetype."hierarchyLevel", fields.project.key, fields.status."statusCategory".key, '
        'fields.resolution.name, fields.assignee."accountId", fields.labels, fields.components[1].name, '
        'fields."fixVersions"[1]."releaseDate", fields.duedate, epoch_ms(fields.created), '
        f"epoch_ms(fields.resolutiondate), fields.timespent FROM apikit('jira', 'issues') WHERE jql = '{jql}'"
    )

    expected = [
        (
            jql,
            i["id"],
            i["key"],
            f["summary"],
            f["description"]["content"][0]["content"][0]["text"],
            f["issuetype"]["hierarchyLevel"],
            f["project"]["key"],
            f["status"]["statusCategory"]["key"],
            f["resolution"] and f["resolution"]["name"],
            f["assignee"] and f["assignee"]["accountId"],
            f["labels"],
            f["components"][0]["name"],
            day(f["fixVersions"][0]["releaseDate"]),
            day(f["duedate"]),
            moment(f["created"]),
            moment(f["resolutiondate"]),
            f["timespent"],
        )
        for i in ISSUES[jql]
        for f in [i["fields"]]
    ]
    assert found == expected
    assert api.params("nextPageToken") == [None, *search.tokens]
    assert len(api.seen) == 3
    fields = set(str(api.params("fields")[0]).split(","))
    assert fields >= set(ISSUES[jql][0]["fields"])
    for request in api.seen:
        assert (request.method, request.url.host, request.url.path) == ("GET", HOST, "/rest/api/3/search/jql")
        assert request.headers["authorization"] == BASIC
        assert request.url.params["jql"] == jql
        assert request.url.params["maxResults"] == "5000"
        assert request.url.params.keys() <= {"jql", "fields", "maxResults", "nextPageToken"}


def test_each_jql_is_a_search_of_its_own(api: FakeApi, rows: Rows) -> None:
    wanted = list(ISSUES)

    found = rows(f"SELECT jql, key FROM apikit('jira', 'issues') WHERE jql IN ('{wanted[0]}', '{wanted[1]}')")

    assert sorted(found) == sorted((jql, i["key"]) for jql in wanted for i in ISSUES[jql])
    assert sorted(str(jql) for jql in api.params("jql")) == [wanted[0]] * 3 + [wanted[1]]


def test_a_predicate_on_a_field_is_applied_to_what_the_jql_brings(api: FakeApi, rows: Rows) -> None:
    found = rows(
        "SELECT key FROM apikit('jira', 'issues') WHERE jql = 'project = BETA order by key' "
        "AND fields.status.name = 'Done'"
    )

    expected = ISSUES["project = BETA order by key"]
    assert found == [(i["key"],) for i in expected if i["fields"]["status"]["name"] == "Done"]
    assert api.params("jql") == ["project = BETA order by key"]


def test_issues_need_a_jql(api: FakeApi, con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="needs jql"):
        con.sql("FROM apikit('jira', 'issues')").fetchall()

    assert api.seen == []


def test_an_unbounded_jql_is_refused_by_jira(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="jira: GET /rest/api/3/search/jql answered 400"):
        con.sql("FROM apikit('jira', 'issues') WHERE jql = 'order by key desc'").fetchall()


def test_the_old_search_is_gone(api: FakeApi, con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="jira: GET /rest/api/3/search answered 410"):
        con.sql("FROM apikit('jira', '/rest/api/3/search', params := {jql: 'project = ACME'})").fetchall()

    assert [request.url.path for request in api.seen] == ["/rest/api/3/search"]


def test_projects_are_counted_on_to_their_total(api: FakeApi, rows: Rows) -> None:
    found = rows(
        'SELECT id, key, name, description, projectTypeKey, style, simplified, isPrivate, lead."accountId", '
        "projectCategory.name FROM apikit('jira', 'projects')"
    )

    assert found == [
        (
            p["id"],
            p["key"],
            p["name"],
            p["description"],
            p["projectTypeKey"],
            p["style"],
            p["simplified"],
            p["isPrivate"],
            p["lead"]["accountId"],
            p["projectCategory"]["name"],
        )
        for p in PROJECTS
    ]
    assert sorted(int(str(start)) for start in api.params("startAt")) == [0, 100, 200]
    for request in api.seen:
        assert request.url.path == "/rest/api/3/project/search"
        assert request.headers["authorization"] == BASIC
        assert request.url.params["maxResults"] == "100"
        assert request.url.params.keys() == {"startAt", "maxResults", "expand"}


def test_a_filter_of_projects_is_not_sent_for_it_may_be_answered_404(api: FakeApi, rows: Rows) -> None:
    found = rows("SELECT name FROM apikit('jira', 'projects') WHERE key = 'P7' AND projectTypeKey = 'business'")

    assert found == [(p["name"],) for p in PROJECTS if p["key"] == "P7" and p["projectTypeKey"] == "business"]
    assert all(request.url.params.keys() == {"startAt", "maxResults", "expand"} for request in api.seen)


def test_users_are_counted_on_until_a_page_is_empty(api: FakeApi, rows: Rows) -> None:
    found = rows(
        'SELECT accountId, accountType, displayName, emailAddress, active, avatarUrls."24x24" '
        "FROM apikit('jira', 'users')"
    )

    assert found == [
        (
            u["accountId"],
            u["accountType"],
            u["displayName"],
            u.get("emailAddress"),
            u["active"],
            u["avatarUrls"]["24x24"],
        )
        for u in USERS
    ]
    assert [dict(request.url.params) for request in api.seen] == [
        {"maxResults": "1000", "startAt": str(start)} for start in (0, 1_000, 2_000, 2_050)
    ]


def test_a_refused_token_is_an_error_that_does_not_show_it(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIRA_API_TOKEN", "ATATT3xFwrong987654321")

    with pytest.raises(duckdb.Error, match="answered 401") as error:
        con.sql("FROM apikit('jira', 'projects')").fetchall()

    assert "ATATT3xFwrong987654321" not in str(error.value)


@pytest.mark.parametrize("name", ["JIRA_SITE", "JIRA_EMAIL", "JIRA_API_TOKEN"])
def test_a_missing_setting_is_named(
    name: str, api: FakeApi, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(duckdb.Error, match=name):
        con.sql("FROM apikit('jira', 'projects')").fetchall()

    assert api.seen == []
