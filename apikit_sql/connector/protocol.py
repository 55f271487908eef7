"""How an API is talked to: the models of auth, pagination, retry and rate limits, as a manifest has them.

The engine reads them as they stand here: there is no second set of runtime objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from apikit_sql.connector.texts import Seconds, TokenUrl
from apikit_sql.errors import ConfigError
from apikit_sql.redaction import is_secret_header, is_secret_param, masked_values

Strategy = Literal["offset", "page", "cursor", "link", "next_url", "relay", "none", "auto"]
#: The AuthConfig fields that hold secrets: a manifest file may only refer to them.
SECRET_FIELDS = frozenset({"token", "api_key", "username", "password", "client_id", "client_secret", "refresh_token"})


class ManifestModel(BaseModel):
    """A part of a manifest: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - what a user has written
        """The settings by name. Raises ConfigError that names every one that is wrong."""
        try:
            super().__init__(**settings)
        except ValidationError as error:
            from apikit_sql.connector.findings import explain  # noqa: PLC0415 - it knows all models

            message = f"{type(self).__name__}: {explain(error)}"
            raise ConfigError(message) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # else a model within another is made by it, too

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The settings by name, but for headers and parameters that carry credentials."""
        for name, value in super().__repr_args__():
            is_secret = {"headers": is_secret_header, "params": is_secret_param}.get(name or "")
            yield name, masked_values(value, is_secret) if is_secret else value


class AuthConfig(ManifestModel):
    """How a caller proves who it is. Secrets are references (`env:NAME`, `keyring:NAME`), literal ones in Python only.

    With `optional`, a missing secret means that the API is asked anonymously. `token_url` is a URL, or a path behind
    the connector's base URL.
    """

    type: Literal["none", "bearer", "apikey", "basic", "oauth2"] = "none"
    token: SecretStr | None = None
    prefix: str = "Bearer"
    api_key: SecretStr | None = None
    api_key_header: str = "X-API-Key"
    api_key_query_param: str | None = None
    username: SecretStr | None = None
    password: SecretStr | None = None
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    token_url: TokenUrl | None = None
    scopes: tuple[str, ...] = ()
    audience: str | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    refresh_token: SecretStr | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        wanted = {
            "bearer": ("token",),
            "apikey": ("api_key",),
            "basic": ("username",),
            "oauth2": ("token_url", "client_id"),
        }
        for field in wanted.get(self.type, ()):
            if getattr(self, field) is None:
                message = f"auth of type {self.type!r} needs {field!r}"
                raise ValueError(message)
        if self.type == "oauth2" and self.client_secret is None and self.refresh_token is None:
            message = "auth of type 'oauth2' needs 'client_secret' or 'refresh_token'"
            raise ValueError(message)
        if self.type == "none" and any(getattr(self, field) is not None for field in SECRET_FIELDS):
            message = "auth of type 'none' holds a secret; say which type it is"
            raise ValueError(message)
        return self


class PaginationConfig(ManifestModel):
    """How one page leads to the next. What a strategy does not use is refused with it.

    Paths are dotted keys into the body (`paging.next.after`); that of a connection begins below `data`. Under `page`
    and `offset` a page past the end that answers one of `end_status` is the end. `max_pages` is a guard: reaching it is
    an error.
    """

    strategy: Strategy = "auto"
    page_size: Annotated[int, Field(ge=1)] | None = None
    max_pages: Annotated[int, Field(ge=1)] = 100_000
    limit_param: str | None = None
    offset_param: str | None = None
    page_param: str | None = None
    start_page: Annotated[int, Field(ge=0)] = 1
    cursor_param: str | None = None
    next_cursor_path: str | None = None
    next_cursor_header: str | None = None
    cursor_record_field: str | None = None
    cursor_fields: tuple[str, ...] = ()
    params_in: Literal["query", "body"] = "query"
    next_url_path: str | None = None
    next_url_header: str | None = None
    has_more_path: str | None = None
    total_path: str | None = None
    total_header: str | None = None
    total_pages_path: str | None = None
    connection_path: str | None = None
    data_path: str | None = None
    end_status: tuple[int, ...] = (404,)

    @model_validator(mode="after")
    def _fits_its_strategy(self) -> Self:
        cursors = ("next_cursor_path", "next_cursor_header", "cursor_record_field", "cursor_fields")
        match self.strategy:
            case "offset":
                self._needs("offset_param")
            case "page":
                self._needs("page_param")
            case "next_url":
                self._needs("next_url_path", "next_url_header")
            case "relay":
                self._needs("connection_path")
            case "cursor" if not self.cursor_fields:
                self._needs("cursor_param")
                self._needs(*cursors)
            case _:
                pass
        if self.page_size is not None and self.limit_param is None:
            message = "page_size needs limit_param, the query parameter that carries it"
            raise ValueError(message)
        return self

    def _needs(self, *one_of: str) -> None:
        if not any(getattr(self, field) for field in one_of):
            message = f"strategy {self.strategy!r} needs {' or '.join(one_of)}"
            raise ValueError(message)


class RetryConfig(ManifestModel):
    """When a read is tried again. Waits are seconds and grow exponentially, with jitter on top."""

    max_attempts: Annotated[int, Field(ge=1)] = 3
    min_wait: Seconds = 1
    max_wait: Seconds = 60
    jitter: Seconds = 1
    retry_on_status: tuple[int, ...] = (429, 500, 502, 503, 504)


class RateLimitConfig(ManifestModel):
    """How much of the API's limit callers may use. `min_remaining` requests of the window are left untouched.

    More requests within a minute than `warn_above` are logged as a warning.
    """

    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    min_remaining: Annotated[int, Field(ge=0)] = 0
    warn_above: Annotated[int, Field(ge=1)] = 100
