"""All that the engine and the scan must know of one call, decided before the first request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from apikit_sql.column_types import Column
from apikit_sql.connector.manifest import AuthConfig, KeyColumn, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.template import fill_path

Nested = Literal["struct", "flatten", "json"]


@dataclass(frozen=True)
class RequestPlan:
    """Every request of one trip. Frozen and hashable: narrowing returns a new plan, and a plan is a cache's key.

    `path` may still have fields in braces, which key columns fill. `record_path` is None where it is to be found.
    """

    connector: str
    base_url: str
    path: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    record_path: str | None = None
    pagination: PaginationConfig = field(default_factory=PaginationConfig)
    pages: int | None = None
    auth: AuthConfig = field(default_factory=AuthConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)
    allowed_origins: tuple[str, ...] = ()
    timeout: float = 30  # seconds, for one request
    max_wait: float = 60  # seconds, for a limit of the API
    verify_ssl: bool = True

    def with_params(self, extra: Mapping[str, str]) -> RequestPlan:
        """The same plan with these query parameters in place of any of the same name."""
        kept = tuple((name, value) for name, value in self.params if name not in extra)
        return replace(self, params=kept + tuple(extra.items()))

    def with_path_values(self, values: Mapping[str, str]) -> RequestPlan:
        """The same plan with these fields of its path filled, URL-encoded."""
        return replace(self, path=fill_path(self.path, values))


@dataclass(frozen=True)
class ScanPlan:
    """One call as a table: its requests, what its columns are, and which predicates narrow the requests.

    `columns` is the whole schema where it was declared, else None; `types` overrides inferred columns by name;
    `given_keys` are the values of key columns that the call itself put into the path.
    """

    request: RequestPlan
    columns: tuple[Column, ...] | None = None
    types: tuple[Column, ...] = ()
    nested: Nested = "struct"
    key_columns: tuple[KeyColumn, ...] = ()
    given_keys: tuple[tuple[str, object], ...] = ()
    filters: tuple[str, ...] = ()  # the columns that the call's own filters name


@dataclass(frozen=True)
class Trip:
    """The requests for one combination of key values.

    `keys` are those values by column; `fills` are the ones that records lack, since the path holds them.
    """

    request: RequestPlan
    keys: tuple[tuple[str, object], ...] = ()
    fills: tuple[tuple[str, object], ...] = ()
