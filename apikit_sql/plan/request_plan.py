"""All that the engine and the scan must know of one call, decided before the first request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from apikit_sql.column_types import Column
from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.template import fill_path
from apikit_sql.plan.predicate import Value

Nested = Literal["struct", "flatten", "json"]
#: What becomes of a value that does not fit its column.
OnDrift = Literal["error", "null", "text"]
#: Which trips may fail without ending the scan.
OnError = Literal["error", "skip_missing", "skip"]
#: Key values by column.
Keys = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class RequestPlan:
    """Every request of one trip. Frozen and hashable: narrowing returns a new plan, and a plan is a cache's key.

    `path` may still have fields in braces, which key columns fill. `record_path` is None where it is to be found.
    `unfollowed` are the places where connections of a GraphQL query, whose pages are not followed, tell of a next one.
    """

    connector: str
    base_url: str
    path: str
    method: str = "GET"
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    body_type: str = "application/json"
    record_path: str | None = None
    pagination: PaginationConfig = field(default_factory=PaginationConfig)
    pages: int | None = None
    auth: AuthConfig = field(default_factory=AuthConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)
    allowed_origins: tuple[str, ...] = ()
    timeout: float = 30  # seconds, for one request
    max_wait: float = 60  # seconds, for a limit of the API
    cache: float = 0  # seconds for which an answer is good enough
    verify_ssl: bool = True
    is_graphql: bool = False
    unfollowed: tuple[tuple[str, ...], ...] = ()

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
    `settled` are key columns whose parameter the call sets itself, so that no predicate goes out under it; `given_keys`
    are the values of key columns that the call itself put into the path. Of `keys`, where they were given, each makes a
    trip of its own, and `key_fields` are the columns that show them where records lack them.
    """

    request: RequestPlan
    columns: tuple[Column, ...] | None = None
    types: tuple[Column, ...] = ()
    nested: Nested = "struct"
    sample_pages: int = 1
    on_drift: OnDrift = "error"
    extra: bool = False
    key_columns: tuple[KeyColumn, ...] = ()
    settled: tuple[KeyColumn, ...] = ()
    given_keys: Keys = ()
    keys: tuple[Keys, ...] | None = None
    key_fields: tuple[Column, ...] = ()
    filters: tuple[str, ...] = ()  # the columns that the call's own filters name
    concurrency: int = 1
    on_error: OnError = "error"
    max_requests: int | None = None
    # what the table and the function of its keys are called in SQL, where a connector is attached; for errors alone
    name: str = field(default="", compare=False)
    function: str = field(default="", compare=False)

    @property
    def shown(self) -> str:
        """What to call the table in an error."""
        return self.name or f"{self.request.connector} {self.request.path}"


@dataclass(frozen=True)
class Trip:
    """The requests for one combination of key values.

    `keys` are those values by column; `fills` are the ones that records lack, since the path holds them. Of `given`
    ones a record must not tell another value; of others, it is not of this trip then.
    """

    request: RequestPlan
    keys: Keys = ()
    fills: Keys = ()
    given: Keys = ()
