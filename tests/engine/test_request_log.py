"""One line of the log for each request, at a level that nobody sees who did not ask."""

import json
import logging

import httpx
import pytest

from apikit_sql.connector.manifest import AuthConfig
from apikit_sql.engine.request_log import LOGGER, RequestRecord, log
from apikit_sql.engine.session import Session
from tests.engine.taking import plan_of, read
from tests.fakes.api import FakeApi

SECRET = "s3cr3t-t0k3n"


def test_a_record_is_one_json_object_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    record = RequestRecord(1_750_000_000.25, "api", "GET", "https://api.test/items", 200, 0.25, 17, 2)

    with caplog.at_level(logging.DEBUG, logger="apikit"):
        log(record)

    (line,) = caplog.records
    assert (line.name, line.levelno) == ("apikit", logging.DEBUG)
    assert json.loads(line.getMessage()) == {
        "ts": "2025-06-15T15:06:40.250Z",
        "method": "GET",
        "url": "https://api.test/items",
        "status": 200,
        "elapsed_ms": 250,
        "bytes": 17,
        "attempt": 2,
        "connector": "api",
    }


def test_nothing_is_logged_unless_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="apikit"):
        log(RequestRecord(1.0, "api", "GET", "https://api.test/items", None, 0.25, 0, 1))

    assert caplog.records == []
    assert LOGGER.name == "apikit"


def test_a_session_logs_what_it_sends_without_secrets(
    api: FakeApi, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    api.routes["/items"] = httpx.Response(200, json=[])
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"})

    with caplog.at_level(logging.DEBUG, logger="apikit"):
        read(session, plan_of(auth=auth))

    assert SECRET not in caplog.text
    assert '"url": "https://api.test/items?licence=***REDACTED***", "status": 200' in caplog.text
    assert [record.status for record in session.requests] == [200]
