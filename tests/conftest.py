"""What tests of every room share: a session on the one fake API, and a connection with it installed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi
from tests.shared_database import SharedDatabase


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


@pytest.fixture(scope="module")
def _shared_database() -> Iterator[SharedDatabase]:
    shared = SharedDatabase()
    yield shared
    shared.close()


@pytest.fixture
def connected(
    request: pytest.FixtureRequest, _shared_database: SharedDatabase, session: Session
) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Makes the connection on which apikit is installed, with options of install().

    It is one of the database that the tests of a file share, unless the test is marked `own_database`.
    """
    owns = request.node.get_closest_marker("own_database") is not None
    with ExitStack() as opened:

        def connect(**options: Any) -> duckdb.DuckDBPyConnection:
            if not owns:
                return opened.enter_context(_shared_database.connection(session, **options))
            con = opened.enter_context(duckdb.connect())
            apikit_sql.install(con, session=session, **options)
            return con

        yield connect


@pytest.fixture
def con(connected: Callable[..., duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
    return connected()


@pytest.fixture
def rows(con: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple[object, ...]]]:
    """What a statement gives."""
    return lambda sql: con.execute(sql).fetchall()
