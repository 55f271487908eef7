"""Apikit: one client of one API, one line to records, Polars, pandas or Arrow; from sync and from async code.

A method is plan, run, finish. Only run has a twin: `_run` reads the pages on this thread, `_arun` in this task.
"""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from threading import Event
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

import pyarrow as pa

from apikit_sql.connector.api_config import ApiConfig, api_config, auth_of
from apikit_sql.connector.environment import connector_of
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session, default_session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ApikitWarning, ConfigError
from apikit_sql.plan.call import checked_call, strategy_name
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.request_plan import ScanPlan, Trip
from apikit_sql.scan.decode import read_records
from apikit_sql.scan.whole import whole_table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Record = dict[str, Any]


class FetchOptions(TypedDict, total=False):
    """What is fetched of an endpoint.

    `params` are query parameters: a list repeats its key, None omits it, times go out as RFC 3339; `path_params` fill
    the {fields} of the endpoint. With `paginate` all pages are read, by the `strategy` (a name or a PaginationConfig)
    or as the first page tells; else one page. `max_pages` is a guard: more is an error. `data_path` is where the
    records are in the body; found unless given.
    """

    params: Mapping[str, object] | None
    path_params: Mapping[str, object] | None
    paginate: bool
    strategy: str | PaginationConfig | None
    page_size: int | None
    max_pages: int | None
    data_path: str | None


class Apikit:
    """A client of one API. Clients of a process share its session: connections, limits, tokens and logs."""

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
        self._connector: ConnectorDefinition = api_config({k: v for k, v in settings.items() if v is not None})
        self._session = session or default_session()

    @classmethod
    def from_config(cls, config: ConnectorDefinition, *, session: Session | None = None) -> Self:
        """The client of the API that `config`, an ApiConfig or a ConnectorDefinition, describes."""
        client = cls.__new__(cls)
        client._connector, client._session = config, session or default_session()
        return client

    @classmethod
    def from_name(cls, name: str, token: str | None = None, *, session: Session | None = None) -> Self:
        """The client of the connector of this name, with `token` in the place of its own.

        Raises ConnectorNotFoundError with near names, and ConfigError for a setting that is missing.
        """
        session = session or default_session()
        connector = session.connector(name)
        if token is not None:
            connector = connector.model_copy(update={"auth": AuthConfig(type="bearer", token=token)})
        return cls.from_config(connector, session=session)

    @classmethod
    def from_env(cls, env_file: str | os.PathLike[str] | None = None, *, session: Session | None = None) -> Self:
        """The client of the API that the environment describes (`API_BASE_URL`, ...), and `env_file` where given."""
        return cls.from_config(connector_of(os.environ), session=session)

    def fetch_records(self, endpoint: str, **options: Unpack[FetchOptions]) -> list[Record]:
        """The records of `endpoint`, a path or a stream's name, as dicts.

        Raises what the API's answers are: RequestError, AuthError, RateLimitError, PaginationError, DecodeError.
        """
        plan = self._plan(endpoint, options)
        return _records(self._run(plan))

    async def afetch_records(self, endpoint: str, **options: Unpack[FetchOptions]) -> list[Record]:
        """The records of `endpoint`, a path or a stream's name, as dicts.

        Raises what the API's answers are: RequestError, AuthError, RateLimitError, PaginationError, DecodeError.
        """
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

    def fetch_arrow(self, endpoint: str, *, flatten: bool = False, **options: Unpack[FetchOptions]) -> pa.Table:
        """The records of `endpoint` as an Arrow table; with `flatten`, nested objects as a__b and lists as JSON."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return whole_table(plan, self._run(plan))

    async def afetch_arrow(self, endpoint: str, *, flatten: bool = False, **options: Unpack[FetchOptions]) -> pa.Table:
        """The records of `endpoint` as an Arrow table; with `flatten`, nested objects as a__b and lists as JSON."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return whole_table(plan, await self._arun(plan))

    def fetch_polars(self, endpoint: str, *, flatten: bool = True, **options: Unpack[FetchOptions]) -> pl.DataFrame:
        """The records of `endpoint` as a Polars DataFrame; without `flatten`, nested objects are structs."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return as_polars(whole_table(plan, self._run(plan)))

    async def afetch_polars(
        self, endpoint: str, *, flatten: bool = True, **options: Unpack[FetchOptions]
    ) -> pl.DataFrame:
        """The records of `endpoint` as a Polars DataFrame; without `flatten`, nested objects are structs."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return as_polars(whole_table(plan, await self._arun(plan)))

    def fetch_pandas(self, endpoint: str, *, flatten: bool = True, **options: Unpack[FetchOptions]) -> pd.DataFrame:
        """The records of `endpoint` as a pandas DataFrame with Arrow types; without `flatten`, nested as they are."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return as_pandas(whole_table(plan, self._run(plan)))

    async def afetch_pandas(
        self, endpoint: str, *, flatten: bool = True, **options: Unpack[FetchOptions]
    ) -> pd.DataFrame:
        """The records of `endpoint` as a pandas DataFrame with Arrow types; without `flatten`, nested as they are."""
        plan = self._plan(endpoint, options, flatten=flatten)
        return as_pandas(whole_table(plan, await self._arun(plan)))

    def _plan(self, endpoint: str, options: FetchOptions, *, flatten: bool = False) -> ScanPlan:
        """What is sent for these options. Raises CallError for one that is wrong, ConfigError for an unknown one."""
        unknown = sorted(options.keys() - FetchOptions.__annotations__.keys())
        if unknown:
            known = ", ".join(FetchOptions.__annotations__)
            message = f"there is no option {unknown[0]!r}; there are {known}."
            raise ConfigError(message)
        strategy = options.get("strategy")
        named = {"strategy": strategy_name(strategy)} if isinstance(strategy, str) else {"pagination": strategy}
        chosen: dict[str, object] = {
            "connector": self._connector.name,
            "path": endpoint,
            "params": _as_sent(options.get("params")),
            "path_params": _as_sent(options.get("path_params")),
            "data_path": options.get("data_path"),
            "page_size": options.get("page_size"),
            "max_pages": options.get("max_pages"),
            "pages": None if options.get("paginate", False) else 1,
            "nested": "flatten" if flatten else "struct",
            **named,
        }
        call = checked_call({name: value for name, value in chosen.items() if value is not None})
        return plan_call(call, self._connector)

    def _run(self, plan: ScanPlan) -> list[Page]:
        with closing(self._pages(plan)) as pages:
            return list(pages)

    async def _arun(self, plan: ScanPlan) -> list[Page]:
        async with aclosing(self._apages(plan)) as pages:
            return [page async for page in pages]

    def _pages(self, plan: ScanPlan) -> Generator[Page]:
        cancelled = Event()
        with (
            self._session.running(cancelled),
            self._session.pages(plan, [Trip(plan.request)], cancelled) as scan,
        ):
            for _, page in scan.pages:
                yield page
            _warn_of_more(plan, scan.record)

    async def _apages(self, plan: ScanPlan) -> AsyncGenerator[Page]:
        cancelled = Event()
        with self._session.running(cancelled):
            async with await self._session.apages(plan, [Trip(plan.request)], cancelled) as scan:
                async for _, page in scan.pages:
                    yield page
                _warn_of_more(plan, scan.record)


def _warn_of_more(plan: ScanPlan, record: ScanRecord) -> None:
    """Warn where a page that follows is not read: nobody shall take one page for all there is."""
    if record.is_truncated:
        message = f"{plan.shown}: more pages follow the one that was read. Say paginate=True for all of them."
        warnings.warn(message, ApikitWarning, stacklevel=4)


def _records(pages: Sequence[Page]) -> list[Record]:
    return [record for page in pages for record in read_records(page)]


def _as_sent(params: Mapping[str, object] | None) -> dict[str, object]:
    """Parameters as an API takes them: times as RFC 3339, those without zone as UTC."""
    return {name: _text(value) for name, value in (params or {}).items()}


def _text(value: object) -> object:
    match value:
        case dt.datetime():
            moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
            return moment.isoformat().removesuffix("+00:00") + "Z"
        case dt.date():
            return value.isoformat()
        case list() | tuple():
            return [_text(each) for each in value]
        case _:
            return value
