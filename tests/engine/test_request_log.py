"""One line of the log for each request, at a level that nobody sees who did not ask."""

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.request_log import LOGGER, RequestRecord, log
from apikit_sql.engine.session import Session
from apikit_sql.errors import ConfigError, RequestError
from tests.engine.taking import numbered, plan_of, read
from tests.fakes.api import FakeApi, Table

SECRET = "s3cr3t-t0k3n"
SOON = 30.0  # seconds: what happens at all happens long before
LINKED = PaginationConfig(strategy="link")
#: A program that reads three pages, the second after an error, and prints how many records there were.
PROGRAM = f"""
    import httpx
    from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
    from apikit_sql.engine.session import Session
    from tests.engine.taking import ids, numbered, plan_of, read
    from tests.fakes.api import FakeApi, Table

    table = Table(numbered(5), "link", page_size=2)
    api = FakeApi({{"/items": table}})
    api.trouble.extend([table.answer, httpx.Response(503)])
    auth = AuthConfig.model_validate({{"type": "apikey", "api_key": {SECRET!r}, "api_key_query_param": "licence"}})
    plan = plan_of(auth=auth, params=[("who", "ann"), ("ä", "ö")], pagination=PaginationConfig(strategy=STRATEGY))
    print(len(ids(read(Session(transport=api.transport()), plan))))
"""


def run(strategy: str = "link", **environ: str) -> subprocess.CompletedProcess[str]:
    """The program, run to its end under these variables."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("APIKIT_")}
    program = textwrap.dedent(PROGRAM).replace("STRATEGY", repr(strategy))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True, text=True, check=False, timeout=SOON, env=known | environ,
    )  # fmt: skip


@pytest.fixture
def _logger_as_it_was() -> Iterator[None]:
    level, handlers = LOGGER.level, list(LOGGER.handlers)
    yield
    LOGGER.setLevel(level)
    LOGGER.handlers[:] = handlers


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


# --- APIKIT_LOG_LEVEL


@pytest.mark.parametrize("level", ["debug", "DEBUG", " Debug "])
def test_the_log_is_a_line_of_json_for_each_request(level: str) -> None:
    done = run(APIKIT_LOG_LEVEL=level)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert [(line["status"], line["attempt"]) for line in lines] == [(200, 1), (503, 1), (200, 2), (200, 1)]
    assert all(
        set(line) == {"ts", "method", "url", "status", "elapsed_ms", "bytes", "attempt", "connector"} for line in lines
    )
    assert {(line["method"], line["connector"]) for line in lines} == {("GET", "api")}
    assert all(dt.datetime.fromisoformat(line["ts"]).utcoffset() == dt.timedelta(0) for line in lines)
    assert all(line["elapsed_ms"] >= 0 and isinstance(line["bytes"], int) for line in lines)
    assert all("licence=***REDACTED***" in line["url"] and "who=ann" in line["url"] for line in lines)
    assert SECRET not in done.stderr


def test_the_log_is_all_json_also_where_pagination_is_found() -> None:
    done = run("auto", APIKIT_LOG_LEVEL="debug")

    assert done.stdout == "5\n"
    assert [json.loads(line)["status"] for line in done.stderr.splitlines()] == [200, 503, 200, 200]


@pytest.mark.parametrize("environ", [{}, {"APIKIT_LOG_LEVEL": ""}, {"APIKIT_LOG_LEVEL": "info"}])
def test_at_a_higher_level_or_none_nothing_is_written(environ: dict[str, str]) -> None:
    done = run(**environ)

    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


@pytest.mark.parametrize("level", ["loud", "10", "debug,info"])
def test_a_level_that_there_is_not_is_a_config_error(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_LOG_LEVEL", level)

    with pytest.raises(ConfigError, match=f"APIKIT_LOG_LEVEL is '{level}'; say debug, info, warning"):
        Session()


@pytest.mark.usefixtures("_logger_as_it_was")
def test_a_second_session_writes_no_line_twice(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    LOGGER.handlers.clear()
    monkeypatch.setenv("APIKIT_LOG_LEVEL", "debug")
    api.routes["/items"] = httpx.Response(200, json=[])

    for _ in range(2):
        read(Session(transport=api.transport()), plan_of())

    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.usefixtures("_logger_as_it_was")
def test_the_programs_own_handler_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    LOGGER.handlers[:] = [logging.NullHandler()]
    monkeypatch.setenv("APIKIT_LOG_LEVEL", "debug")

    Session()
    log(RequestRecord(1.0, "api", "GET", "https://api.test/items", 200, 0.25, 0, 1))

    assert len(LOGGER.handlers) == 1
    assert capsys.readouterr().err == ""


def test_a_request_without_an_answer_has_no_status(
    api: FakeApi, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    api.routes["/items"] = httpx.Response(200, json=[])
    api.trouble.append(httpx.ConnectError("refused"))

    with caplog.at_level(logging.DEBUG, logger="apikit"):
        read(session, plan_of())

    assert [json.loads(record.getMessage())["status"] for record in caplog.records] == [None, 200]


# --- APIKIT_REDACT


def url_of(session: Session) -> str:
    return session.requests[-1].url


@pytest.mark.parametrize("names", ["patient", "PATIENT", "ward, patient ,x", ",patient,,"])
def test_the_values_of_further_names_are_masked(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    monkeypatch.setenv("APIKIT_REDACT", names)
    api.routes["/items"] = httpx.Response(200, json=[])

    (page,) = read(session, plan_of(params=[("Patient", "ann b"), ("page", "1"), ("patients", "2")]))

    assert url_of(session) == page.url == "https://api.test/items?Patient=***REDACTED***&page=1&patients=2"
    assert api.params("Patient") == ["ann b"]


def test_the_names_that_are_masked_anyway_stay_masked(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_REDACT", "patient")
    api.routes["/items"] = httpx.Response(200, json=[])

    read(session, plan_of(params=[("access_token", "abc"), ("patient", "ann")]))

    assert url_of(session) == "https://api.test/items?access_token=***REDACTED***&patient=***REDACTED***"


def test_further_names_are_masked_in_links_that_the_api_gives_and_in_errors(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_REDACT", "patient")
    table = Table(numbered(4), "link", page_size=2)
    api.routes["/items"] = [table.answer, httpx.Response(404)]

    with pytest.raises(RequestError) as raised:
        read(session, plan_of(params=[("patient", "ann")], pagination=LINKED))

    assert "ann" not in raised.value.url
    assert [record.url.count("***REDACTED***") for record in session.requests] == [1, 1]
    assert not any("ann" in record.url for record in session.requests)


@pytest.mark.parametrize("value", [None, "", " , "])
def test_without_further_names_nothing_else_is_masked(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("APIKIT_REDACT", raising=False)
    if value is not None:
        monkeypatch.setenv("APIKIT_REDACT", value)
    api.routes["/items"] = httpx.Response(200, json=[])

    read(session, plan_of(params=[("patient", "ann"), ("", "x")]))

    assert url_of(session) == "https://api.test/items?patient=ann&=x"
