"""JSONPlaceholder as its guide describes it: pages by number, a total in a header, filters by field."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.fakes.api import FakeApi

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

Rows = Callable[[str], list[tuple[Any, ...]]]

POSTS = [{"userId": 1 + n // 50, "id": n + 1, "title": f"title {n}", "body": f"body\nof {n}"} for n in range(250)]


def posts(request: httpx.Request) -> httpx.Response:
    """A page of the posts that the filters leave, of 10 unless `_limit` says."""
    params = request.url.params
    found = [post for post in POSTS if str(post["userId"]) == params.get("userId", str(post["userId"]))]
    number, size = int(params.get("_page", 1)), int(params.get("_limit", 10))
    page = found[(number - 1) * size : number * size]
    return httpx.Response(200, json=page, headers={"X-Total-Count": str(len(found))})


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/posts": posts})


def test_three_pages_are_read_by_number_until_the_total(api: FakeApi, rows: Rows) -> None:
    found = rows("SELECT userId, id, title, body FROM apikit('jsonplaceholder', 'posts')")

    assert found == [tuple(post.values()) for post in POSTS]
    assert sorted(api.paths) == [f"/posts?_limit=100&_page={number}" for number in (1, 2, 3)]
    assert {request.url.host for request in api.seen} == {"jsonplaceholder.typicode.com"}
    assert not any("authorization" in request.headers for request in api.seen)


def test_a_user_is_asked_for_by_the_api(api: FakeApi, rows: Rows) -> None:
    found = rows("SELECT id FROM apikit('jsonplaceholder', 'posts') WHERE userId = 3")

    assert found == [(post["id"],) for post in POSTS if post["userId"] == 3]
    assert api.params("userId") == ["3"]
