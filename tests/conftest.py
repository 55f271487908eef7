"""What tests of every room share: a session on the one fake API, and a connection with it installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi


@pytest.fixture(autouse=True)
def _no_configuration_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the user's manifests nor their tokens reach a test."""
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config" / "config.toml"))
    for name in ("GITHUB_TOKEN", "API_BASE_URL", "BASE_URL", "APIKIT_HTTP", "APIKIT_LOG_LEVEL", "APIKIT_REDACT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def session(api: FakeApi) -> Iterator[Session]:
    session = Session(connectors=ConnectorRegistry(), transport=api.transport())
    yield session
    session.close()


@pytest.fixture
def con(session: Session) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    apikit_sql.install(con, session=session)
    yield con
    con.close()


@pytest.fixture
def rows(con: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple[object, ...]]]:
    """What a statement gives."""
    return lambda sql: con.execute(sql).fetchall()
