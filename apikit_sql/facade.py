"""Apikit: one client of one API, one line to records, Polars, pandas, Arrow or a file; from sync and from async code.

A method is plan, run, finish. Only run has a twin: `_run` reads the pages on this thread, `_arun` in this task.
"""

from __future__ import annotations

import asyncio
import os
import sys
import warnings
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from threading import Event
from typing import TYPE_CHECKING, Any, Self, Unpack

import pyarrow as pa

from apikit_sql.connector.api_config import api_config, auth_of
from apikit_sql.connector.environment import connector_of
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session, default_session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ApikitWarning
from apikit_sql.fetching import DryRunResult, FetchOptions, call_of_options, dry_run, planned
from apikit_sql.output.frames import pandas_frame, polars_frame
from apikit_sql.output.tables import arrow_table
from apikit_sql.output.target import Target
from apikit_sql.output.writer import get_writer
from apikit_sql.plan.request_plan import ScanPlan, Trip
from apikit_sql.scan.dataset import ApiDataset, columns_of
from apikit_sql.scan.decode import read_records
from apikit_sql.scan.inspection import InspectorResult, inspect

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Record = dict[str, Any]


class Apikit:
    """A client of one API. The clients of a process share its session: connections, limits, tokens and logs.

    What is fetched of an endpoint, a path or a stream's name, is said by the options of `FetchOptions`. Methods raise
    what the API's answers are: RequestError, AuthError, RateLimitError, PaginationError, DecodeError; and CallError or
    ConfigError for what cannot be asked.
    """

    def __init__(  # noqa: PLR0913 - settings by name
        self,
        base_url: str,
        auth: str | AuthConfig = "",
        *,
        token: str | None = None,
        api_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
        max_attempts: int = 3,
        max_retries: int | None = None,
        verify_ssl: bool = True,
        pagination: str | PaginationConfig | None = None,
        data_path: str | None = None,
        session: Session | None = None,
    ) -> None:
        """A client of the API at `base_url`; nothing is sent yet.

        `auth` is 'none', 'bearer', 'apikey', 'basic' or an AuthConfig; a `token` alone means bearer, an `api_key`
        apikey, a `username` basic. Secrets are references ('env:NAME', 'keyring:NAME') or themselves. `timeout` is
        seconds for one attempt; a read is tried `max_attempts` times (`max_retries` is the same number). Raises
        ConfigError that names every setting that is wrong.
        """
        secrets = {"token": token, "api_key": api_key, "username": username, "password": password}
        settings = {
            "base_url": base_url,
            "auth": auth_of(auth, secrets),
            "headers": dict(headers or {}),
            "timeout": timeout,
            "retry": {"max_attempts": max_attempts if max_retries is None else max_retries},
            "verify_ssl": verify_ssl,
            "pagination": pagination,
            "data_path": data_path,
        }
        self._take(api_config({name: value for name, value in settings.items() if value is not None}), session)

    @classmethod
    def from_config(cls, config: ConnectorDefinition, *, session: Session | None = None) -> Self:
        """The client of the API that `config` describes: an ApiConfig, or any ConnectorDefinition."""
        return cls.__new__(cls)._take(config, session)

    @classmethod
    def from_name(cls, name: str, token: str | None = None, *, session: Session | None = None) -> Self:
        """The client of the connector of this name, with `token` in the place of its own.

        Raises ConnectorNotFoundError with near names, and ConfigError for a setting that is missing.
        """
        connector = (session or default_session()).connector(name)
        if token is not None:
            connector = connector.model_copy(update={"auth": api_config({**connector.model_dump(), "auth": auth_of("", {"token": token})}).auth})
        return cls.from_config(connector, session=session)

    @classmethod
    def from_env(cls, *, session: Session | None = None) -> Self:
        """The client of the API that the environment describes: `API_BASE_URL` and the others of the connector `env`.

        Raises ConfigError that names the variable which is missing or wrong.
        """
        return cls.from_config(connector_of(os.environ), session=session)

    def _take(self, connector: ConnectorDefinition, session: Session | None) -> Self:
        self._connector, self._session = connector, session or default_session()
        return self

    # --- as records

    def fetch_records(self, endpoint: str, **options: Unpack[FetchOptions]) -> list[Record]:
        """The records of `endpoint` as dicts."""
        plan = self._plan(endpoint, options)
        return _records(self._run(plan))

    async def afetch_records(self, endpoint: str, **options: Unpack[FetchOptions]) -> list[Record]:
        """The records of `endpoint` as dicts."""
        plan = self._plan(endpoint, options)
        return _records(await self._arun(plan))

    def stream(self, endpoint: str, **options: Unpack[FetchOptions]) -> Generator[Record]:
        """The records of all pages of `endpoint`, as they come. Whoever breaks off stops the requests."""
        plan = self._plan(endpoint, {"paginate": True, **options})
        with closing(self._pages(plan)) as pages:
            for page in pages:
                yield from read_records(page)

    async def astream(self, endpoint: str, **options: Unpack[FetchOptions]) -> AsyncGenerator[Record]:
        """The records of all pages of `endpoint`, as they come. Whoever breaks off stops the requests."""
        plan = self._plan(endpoint, {"paginate": True, **options})
        async with aclosing(self._apages(plan)) as pages:
            async for page in pages:
                for record in read_records(page):
                    yield record
