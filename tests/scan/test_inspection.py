"""What one request tells of an API, as Python has it."""

from threading import Event
from typing import Any

import httpx
import pytest

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.plan.call import call_of
from apikit_sql.scan.inspection import InspectorResult, inspect
from tests.fakes.api import BASE_URL, FakeApi, Table

SEARCH = {
    "path": "/search",
    "method": "POST",
    "body": {"query": "all"},
    "description": "All that is found",
    "params": {"locale": "en", "tag": ["a", "b"]},
}
SHOP = {"name": "shop", "base_url": BASE_URL, "streams": {"search": SEARCH}}


def inspected(session: Session, path: str, connector: dict[str, Any] | None = None, **params: str) -> InspectorResult:
    found = ConnectorDefinition.model_validate(SHOP if connector is None else connector)
    call = call_of({"connector": "shop" if connector is None else BASE_URL, "path": path, "params": params})
    return inspect(call, found, session, Event())


def test_a_page_is_told_in_the_names_of_the_python_door(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = Table([{"id": 1, "name": "a"}], paging="cursor")

    found = inspected(session, "/items")

    assert (found.status_code, found.error, found.record_count, found.record_path) == (200, None, 1, "data")
    assert found.detected_pagination is not None
    assert found.detected_pagination.strategy == "none"
    assert found.evidence == "the API says that this is all: next_cursor = null"
    assert found.rate_limit_state is None
    assert found.latency_ms is not None
    assert found.schema_sample() == {"id": "BIGINT", "name": "VARCHAR"}


def test_of_an_error_nothing_is_suggested(session: Session) -> None:
    found = inspected(session, "/nowhere")

    assert (found.status_code, found.record_count, found.schema_sample()) == (404, None, {})
    assert found.suggested_config() is None


def test_a_manifest_says_nothing_of_pages_where_none_were_found(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = Table([{"id": 1}])

    assert inspected(session, "/items", {"name": "api.test", "base_url": BASE_URL}).suggested_config() == (
        "# Suggested by apikit_inspect, from one page of /items. "
        'Pagination: no Link header, next URL, cursor, has_more or total.\nname = "api_test"\nbase_url = "https://api.test"\n\n'
        '[streams.items]\npath = "/items"\ndescription = "/items of api.test"\ndata_path = ""\n\n'
        '[streams.items.columns]\nid = "BIGINT"\n'
    )


def test_a_stream_that_is_read_by_post_stays_one(session: Session, api: FakeApi) -> None:
    api.routes["/search"] = httpx.Response(200, json={"results": [{"id": 1}], "next": "/search?page=2"})

    text = inspected(session, "search", tag="c").suggested_config() or ""

    assert api.seen[0].method == "POST"
    assert 'extends = "shop"\n' in text
    assert 'description = "All that is found"\n' in text
    assert 'params = { locale = "en", tag = "c" }\nmethod = "POST"\nbody = { query = "all" }\n' in text
    assert 'strategy = "next_url"\nnext_url_path = "next"\n' in text


@pytest.mark.parametrize("declared", ["link", "none"])
def test_what_a_connector_declares_stands_beside_what_the_page_tells(
    session: Session, api: FakeApi, declared: str
) -> None:
    api.routes["/items"] = httpx.Response(200, json={"items": [{"id": 1}], "next": "/items?page=2"})

    found = inspected(session, "/items", {**SHOP, "pagination": declared})

    assert found.detected_pagination is not None
    assert found.detected_pagination.strategy == declared
    assert found.evidence == "declared by shop; the page itself: next URL at next"
    assert f'strategy = "{declared}"' in (found.suggested_config() or "")


def test_every_kind_of_auth_is_written_with_references(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = Table([{"id": 1}])
    auth = AuthConfig.model_validate({"type": "basic", "username": "anna-canary", "password": "canary-8"})

    found = inspected(session, "/items", {"name": "api.test", "base_url": BASE_URL, "auth": auth})
    text = found.suggested_config() or ""

    assert 'type = "basic"\nusername = "env:API_TEST_USERNAME"\npassword = "env:API_TEST_PASSWORD"\n' in text
    assert "canary" not in text


def test_what_a_server_tells_back_of_a_credential_is_masked(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = httpx.Response(200, json={"canary-8": [{"canary-8": 1}], "next": "/canary-8"})
    auth = AuthConfig.model_validate({"type": "bearer", "token": "canary-8"})

    found = inspected(session, "/items", {"name": "api.test", "base_url": BASE_URL, "auth": auth})

    assert found.record_path == "***REDACTED***"
    assert found.schema_sample() == {"***REDACTED***": "BIGINT"}
    assert "canary" not in f"{found.suggested_config()} {found.evidence}"


def test_it_is_masked_in_the_names_of_fields_as_well(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = httpx.Response(200, json=[{"a": {'canary"8': 1, "b": [{'x canary"8': 2}]}}])
    auth = AuthConfig.model_validate({"type": "bearer", "token": 'canary"8'})

    found = inspected(session, "/items", {"name": "api.test", "base_url": BASE_URL, "auth": auth})

    mask = "***REDACTED***"
    assert found.schema_sample() == {"a": f'STRUCT("{mask}" BIGINT, "b" STRUCT("x {mask}" BIGINT)[])'}
    assert "canary" not in f"{found.suggested_config()} {found.columns}"
    assert "# Its columns are not declared" in (found.suggested_config() or "")


def test_a_stream_that_needs_a_parameter_says_which(session: Session, api: FakeApi) -> None:
    needs = {
        "path": "/s",
        "columns": {"q": "VARCHAR"},
        "key_columns": [{"column": "q", "param": "p", "required": True}],
    }
    connector = {**SHOP, "streams": {"s": needs}}

    with pytest.raises(CallError, match=r"^apikit_inspect: s needs q\. Say params := \{'p': \.\.\.\}\.$"):
        inspected(session, "s", connector)

    api.routes["/s"] = Table([{"q": "x"}])
    assert inspected(session, "s", connector, p="x").record_count == 1


def test_where_the_api_has_more_and_does_not_say_how_that_is_told(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = httpx.Response(200, json={"items": [{"id": 1}], "has_more": True})

    found = inspected(session, "/items")

    assert found.detected_pagination is not None
    assert found.detected_pagination.strategy == "none"
    assert (found.evidence or "").startswith(
        "the API says that there is more (has_more = true) than the first page's 1"
    )


def test_the_lists_within_one_record_are_named_by_their_whole_path(session: Session, api: FakeApi) -> None:
    api.routes["/search"] = httpx.Response(200, json={"top": {"a": {"b": [{"id": 1}]}, "c": [{"d": [{}]}], "e": [1]}})
    connector = {**SHOP, "streams": {"search": {"path": "/search", "data_path": "top"}}}

    assert (inspected(session, "search", connector).evidence or "").endswith(
        "it has lists: top.a.b, top.c; for the records of one say data_path := 'top.a.b'"
    )
