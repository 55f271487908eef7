"""Apikit: one client of one API, one line to records, a data frame, Arrow or a file; from sync and from async code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, Self, Unpack

from apikit_sql.connector.api_config import api_config, as_connector, auth_of, with_token
from apikit_sql.connector.environment import connector_of
from apikit_sql.connector.findings import is_name
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RetryConfig
from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import CallError, ConfigError
from apikit_sql.facade.changing import Changing
from apikit_sql.facade.env_file import load_env_file
from apikit_sql.facade.fetching import Fetching, Record, records_of
from apikit_sql.facade.options import (
    GraphQLOptions,
    TableOptions,
    Values,
    graphql_of,
    inspected_call,
    table_plan,
    waiting,
)
from apikit_sql.facade.reading import in_thread, remembering
from apikit_sql.facade.table import RemoteTable
from apikit_sql.facade.wording import in_python, python_words
from apikit_sql.plan.planner import Defaults
from apikit_sql.scan.inspection import InspectorResult, inspect

_ATTEMPTS = RetryConfig().max_attempts


class Apikit(Fetching, Changing):
    """A client of one API. The clients of a process share its session: connections, limits, tokens and logs.

    An endpoint is a path, `/issues`, or the name of a stream of the connector. What is read of it is said by
    `FetchOptions`. Methods raise what an answer is (RequestError, AuthError, RateLimitError, PaginationError,
    DecodeError), and CallError or ConfigError for what cannot be asked.
    """

    def __init__(  # noqa: PLR0913 - settings by name
        self,
        base_url: str,
        auth: str | AuthConfig | None = None,
        *,
        token: str | None = None,
        api_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
        max_attempts: int = _ATTEMPTS,
        max_retries: int | None = None,
        verify_ssl: bool = True,
        pagination: str | PaginationConfig | None = None,
        data_path: str | None = None,
        max_wait: float | None = None,
        session: Session | None = None,
    ) -> None:
        """A client of the API at `base_url`; nothing is sent yet.

        `auth` is 'none', 'bearer', 'apikey', 'basic' or an AuthConfig; a `token` alone means bearer, an `api_key`
        apikey, a `username` basic. Secrets are themselves, or references ('env:NAME', 'keyring:NAME'). `timeout` is
        seconds for one attempt, which always ends; a read is tried `max_attempts` times (`max_retries` is the same
        number). A limit of the API is waited for up to `max_wait` seconds (60). Raises ConfigError that names every
        setting that is wrong.
        """
        if isinstance(base_url, str) and is_name(base_url):
            message = f"base_url: {base_url!r} is no URL. Did you mean Apikit.from_name({base_url!r})?"
            raise ConfigError(message)
        if max_retries is not None and max_attempts not in {_ATTEMPTS, max_retries}:
            message = f"max_attempts = {max_attempts} and max_retries = {max_retries} are one number: say it once."
            raise ConfigError(message)
        secrets = {"token": token, "api_key": api_key, "username": username, "password": password}
        settings = {
            "base_url": base_url,
            "auth": auth_of(auth, secrets),
            "headers": {} if headers is None else headers,
            "timeout": timeout,
            "retry": {"max_attempts": max_attempts if max_retries is None else max_retries},
            "verify_ssl": verify_ssl,
            "data_path": data_path,
        }
        given = settings | ({} if pagination is None else {"pagination": pagination})
        self._take(api_config(given), session, max_wait)

    @classmethod
    def from_name(
        cls, name: str, token: str | None = None, *, max_wait: float | None = None, session: Session | None = None
    ) -> Self:
        """The client of the connector of this name, with `token` in the place of its own.

        Raises ConnectorNotFoundError with near names, and ConfigError for a setting that is missing.
        """
        if not isinstance(name, str):
            message = f"a {type(name).__name__} is no connector's name: give one, such as 'github'."
            raise CallError(message)
        connector = (session or default_session()).connector(name)
        config = connector if token is None else with_token(connector, token)
        return cls.from_config(config, max_wait=max_wait, session=session)

    @classmethod
    def from_config(
        cls,
        config: ConnectorDefinition | Mapping[str, Any],
        *,
        max_wait: float | None = None,
        session: Session | None = None,
    ) -> Self:
        """The client of the API that `config` describes: an ApiConfig or a dict of its settings, or a connector.

        Raises ConfigError that names every setting that is wrong.
        """
        return cls.__new__(cls)._take(as_connector(config), session, max_wait)  # noqa: SLF001 - our own

    @classmethod
    def from_env(
        cls,
        *,
        env_file: str | os.PathLike[str] | None = None,
        max_wait: float | None = None,
        session: Session | None = None,
    ) -> Self:
        """The client of the API that the environment describes: `API_BASE_URL` and the others of the connector `env`.

        The variables of `env_file` join it where they are not set already. Raises ConfigError that names the variable
        which is missing or wrong.
        """
        if env_file is not None:
            load_env_file(env_file)
        return cls.from_config(connector_of(os.environ), max_wait=max_wait, session=session)

    def _take(self, connector: ConnectorDefinition, session: Session | None, max_wait: float | None) -> Self:
        try:
            with python_words():
                usual = waiting(Defaults(), max_wait)
        except CallError as error:
            raise ConfigError(str(error)) from None
        self._connector, self._own_session, self._usual = connector, session, usual
        return self

    def __repr__(self) -> str:
        """The API, and nothing secret."""
        return f"<Apikit {self._connector.name} at {self._connector.base_url}>"

    def graphql(self, endpoint: str, query: str, **options: Unpack[GraphQLOptions]) -> list[Record]:
        """The rows of a GraphQL query, which is posted to `endpoint`.

        With `connection_path`, a dotted path below `data`, they are the nodes of that connection. Raises GraphQLError
        for an answer with errors, also beside data.
        """
        asked = graphql_of(self._connector, self._usual, endpoint, query, options)
        return self._run(asked, records_of)

    async def agraphql(self, endpoint: str, query: str, **options: Unpack[GraphQLOptions]) -> list[Record]:
        """The rows of a GraphQL query, which is posted to `endpoint`.

        With `connection_path`, a dotted path below `data`, they are the nodes of that connection. Raises GraphQLError
        for an answer with errors, also beside data.
        """
        asked = graphql_of(self._connector, self._usual, endpoint, query, options)
        return await self._arun(asked, records_of)

    def table(self, endpoint: str, **options: Unpack[TableOptions]) -> RemoteTable:
        """The records of `endpoint` as a table that is read each time it is used, with pushdown by DuckDB.

        Where columns are not declared, the first page is fetched to infer them.
        """
        plan = table_plan(self._connector, self._usual, endpoint, options)
        with remembering(self._session):
            return RemoteTable(plan, self._session)

    def inspect(
        self, endpoint: str, *, params: Values = None, path_params: Values = None, max_wait: float | None = None
    ) -> InspectorResult:
        """What one request tells of `endpoint`: how it pages, its columns, its limit, a manifest; be it an error."""
        return self._inspect(endpoint, params, path_params, max_wait, Event())

    async def ainspect(
        self, endpoint: str, *, params: Values = None, path_params: Values = None, max_wait: float | None = None
    ) -> InspectorResult:
        """What one request tells of `endpoint`: how it pages, its columns, its limit, a manifest; be it an error."""
        return await in_thread(self._session, partial(self._inspect, endpoint, params, path_params, max_wait))

    def _inspect(
        self, endpoint: str, params: Values, path_params: Values, max_wait: float | None, cancelled: Event
    ) -> InspectorResult:
        known = self._connector.name in self._session.connectors.names()
        name = self._connector.name if known else self._connector.base_url
        with python_words():
            call, usual = inspected_call(name, endpoint, params, path_params), waiting(self._usual, max_wait)
            found = inspect(call, self._connector, self._session, cancelled, usual)
        error, evidence = (text and in_python(text) for text in (found.error, found.evidence))
        return replace(found, error=error, evidence=evidence)
