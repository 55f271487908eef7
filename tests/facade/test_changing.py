"""What Apikit changes, by both doors: what the API sees, and what becomes of its answer."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from apikit_sql import (
    ApiConfig,
    Apikit,
    ApikitError,
    AuthConfig,
    CallError,
    ConfigError,
    RateLimitError,
    RequestError,
    Session,
)
from tests.facade.doors import Door, call
from tests.fakes.api import BASE_URL, FakeApi

CHANGES = ["post", "put", "patch", "delete"]


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_is_sent_once_and_gives_the_parsed_body(api: FakeApi, client: Apikit, door: Door, method: str) -> None:
    api.routes["/items/a b"] = httpx.Response(200, json={"id": 2**70, "tags": ["x"]})

    found = call(door, client, method, "/items/{id}", {"n": 1}, path_params={"id": "a b"}, params={"dry": True})

    assert found == {"id": 2**70, "tags": ["x"]}
    assert [(each.method, each.content) for each in api.seen] == [(method.upper(), b'{"n": 1}')]
    assert api.paths == ["/items/a%20b?dry=true"]


def test_an_answer_without_a_body_is_none(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/items"] = httpx.Response(204)

    assert call(door, client, "delete", "/items") is None
    assert api.seen[0].content == b""


def test_times_and_tuples_of_a_body_are_json(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/items"] = httpx.Response(200, json={})
    zone = dt.timezone(dt.timedelta(hours=-5))
    body = {"at": [dt.datetime(2026, 1, 1, 20, tzinfo=zone)], "on": dt.date(2026, 1, 1), "pair": (1, None)}

    call(door, client, "post", "/items", body)

    assert json.loads(api.seen[0].content) == {"at": ["2026-01-02T01:00:00Z"], "on": "2026-01-01", "pair": [1, None]}


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        ({"n": Decimal(1)}, {}, r"body\.n is a Decimal, which cannot be sent"),
        ({"n": float("nan")}, {}, r"body\.n is nan"),
        (3, {}, "body"),
        ({}, {"idempotency_key": "k"}, "has no idempotency_header"),
        ({}, {"headers": {}}, "no option 'headers'; there are idempotency_key, max_wait, params, path_params"),
        ({}, {"path_params": {"x": 1}}, "has no {x}"),
    ],
)
def test_what_cannot_be_sent_is_told(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, body: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CallError, match=words):
        call(door, client, "post", "/items", body, **options)

    assert api.seen == []


def test_an_answer_that_is_an_error_raises_it(api: FakeApi, session: Session, door: Door) -> None:
    api.routes["/items"] = httpx.Response(422, json={"message": "no s3cr3t-t0ken"})
    client = Apikit(BASE_URL, token="s3cr3t-t0ken", session=session)

    with pytest.raises(RequestError, match=r"POST /items answered 422 \(no \*\*\*REDACTED") as caught:
        call(door, client, "post", "/items", {})

    assert (caught.value.status, caught.value.url) == (422, f"{BASE_URL}/items")
    assert len(api.seen) == 1
    kept = session.errors[-1]
    assert (type(kept), str(kept), vars(kept)) == (caught.type, str(caught.value), vars(caught.value))
    assert kept.__traceback__ is None  # whose frames hold pages


def test_a_limit_tells_when_to_try_again(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/items"] = httpx.Response(429, headers={"retry-after": "3600"})

    with pytest.raises(RateLimitError, match="429") as caught:
        call(door, client, "post", "/items", {})

    assert caught.value.retry_after == 3600


def test_a_limit_that_is_too_far_off_keeps_it_back(api: FakeApi, client: Apikit, door: Door) -> None:
    spent = {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3600"}
    api.routes["/items"] = httpx.Response(200, json={}, headers=spent)
    call(door, client, "post", "/items", {})

    with pytest.raises(RateLimitError, match="not sent: ") as caught:
        call(door, client, "post", "/items", {})

    assert caught.value.retry_after == pytest.approx(3600, abs=60)
    assert len(api.seen) == 1


def test_an_answer_that_is_lost_is_not_sent_again(api: FakeApi, client: Apikit, door: Door) -> None:
    api.trouble.append(httpx.ReadTimeout("gone"))

    with pytest.raises(RequestError, match="outcome unknown: ") as caught:
        call(door, client, "post", "/items", {})

    assert caught.value.status is None
    assert len(api.seen) == 1


def test_an_idempotency_key_goes_along(api: FakeApi, session: Session, door: Door) -> None:
    api.routes["/items"] = httpx.Response(200, json={})
    client = Apikit.from_config(ApiConfig(base_url=BASE_URL, idempotency_header="Idempotency-Key"), session=session)

    call(door, client, "post", "/items", {}, idempotency_key="k-1")
    call(door, client, "post", "/items", {})

    keys = [each.headers["idempotency-key"] for each in api.seen]
    assert keys[0] == "k-1"
    assert len(keys[1]) == 36


@pytest.mark.parametrize("method", CHANGES)
def test_a_dry_run_of_a_change_sends_nothing(
    api: FakeApi, session: Session, door: Door, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Apikit(BASE_URL, AuthConfig(type="bearer", token="env:NOT_SET"), session=session)

    found = call(door, client, method, "/items", {"n": 1}, dry_run=True)

    assert (found.method, found.url, found.body) == (method.upper(), f"{BASE_URL}/items", '{"n": 1}')
    assert (found.auth_type, found.pagination_strategy) == ("bearer", "none")
    assert capsys.readouterr().err == f"{found}\n"
    assert api.seen == []


def test_what_kept_a_change_back_is_the_error(api: FakeApi, door: Door) -> None:
    session = Session(transport=api.transport(), http="off")

    with pytest.raises(ApikitError, match="not sent: ") as caught:
        call(door, Apikit(BASE_URL, session=session), "post", "/items", {})

    assert isinstance(caught.value, ConfigError)  # as for a read
    assert api.seen == []
