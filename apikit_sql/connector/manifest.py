"""The models of a manifest: what one API is, as data. Frozen, and closed to unknown keys.

The settings of auth, pagination, retry and rate limits are read by the engine as they stand here: there is no second
set of runtime objects.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from apikit_sql.column_types import JSON, Scalar, TimeFormat, parse_type
from apikit_sql.connector.template import check_path, fields_of, is_label
from apikit_sql.errors import CallError
from apikit_sql.origin import origin_of

Operator = Literal["=", ">", ">=", "<", "<="]
#: How a pushed value is written: as it is, or a time as RFC 3339 (seconds, milliseconds), as a date, or since 1970.
ValueFormat = Literal["", "rfc3339", "rfc3339_ms", "date", "epoch", "epoch_ms"]
Strategy = Literal["offset", "page", "cursor", "link", "next_url", "relay", "none", "auto"]


def _checked_type(text: str) -> str:
    parse_type(text)
    return text


def _as_column(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


#: The AuthConfig fields that hold secrets: a manifest file may only refer to them.
SECRET_FIELDS = frozenset({"token", "api_key", "username", "password", "client_id", "client_secret", "refresh_token"})


_HOST = r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
_ORIGIN = re.compile(_HOST + "/?")
_TOKEN_URL = re.compile(rf"({_HOST})?/[^?#\s\\@]+")
_BASE_URL = re.compile(rf"{_HOST}(/[^?#\s\\]*)?")
_FIELD = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_STREAM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _checked_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        message = "is not an origin; write 'https://host' or 'https://host:port'"
        raise ValueError(message)
    return text


def _checked_token_url(text: str) -> str:
    if not _TOKEN_URL.fullmatch(_FIELD.sub("x", text)):
        message = "must be 'https://host/path', or '/path' behind the base URL, without parameters and credentials"
        raise ValueError(message)
    return text


def _checked_base_url(text: str) -> str:
    whole = _FIELD.sub("x", text)  # a field is a part of the host's name
    try:
        is_url = bool(_BASE_URL.fullmatch(whole)) and origin_of(whole).host != ""
    except ValueError:  # a port or an address that is none, a name that cannot be one
        is_url = False
    if not is_url:
        message = "must be 'https://host' with a port and a path if need be, without parameters and credentials"
        raise ValueError(message)
    return text


def _checked_path(text: str) -> str:
    if not text.startswith("/"):
        is_path = not {":", "@", "?"} & set(text)  # else it may show a credential
        message = f"must start with '/': '/{text}'" if is_path else "must start with '/', without the base URL in front"
        raise ValueError(message)
    try:
        check_path(text)
    except CallError:
        message = "has a '?', a '#', a '.' or '..' step, or braces that are no {field}; say parameters under params"
        raise ValueError(message) from None
    return text


def _checked_stream(name: str) -> str:
    if not _STREAM.fullmatch(name):
        message = "must be letters, digits and '_': it is a table's name"
        raise ValueError(message)
    return name


def _checked_param(value: object) -> object:
    if not isinstance(value, str | int | float | bool) and not (isinstance(value, list) and all(map(_is_text, value))):
        message = "must be a text, a number, a boolean or a list of texts"
        raise ValueError(message)
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _checked_label(text: str) -> str:
    if not is_label(text):
        message = "is not a hostname label (letters, digits, '-')"
        raise ValueError(message)
    return text


OriginText = Annotated[str, AfterValidator(_checked_origin)]
TypeText = Annotated[str, AfterValidator(_checked_type)]
StreamName = Annotated[str, AfterValidator(_checked_stream)]
ParamValue = Annotated[Any, AfterValidator(_checked_param)]
Seconds = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AuthConfig(_Model):
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
    token_url: Annotated[str, AfterValidator(_checked_token_url)] | None = None
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


class PaginationConfig(_Model):
    """How one page leads to the next. What a strategy does not use is refused with it.

    Paths are dotted keys into the body (`paging.next.after`). Under `page` and `offset` a page past the end that
    answers one of `end_status` is the end. `max_pages` is a guard: reaching it is an error.
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


class RetryConfig(_Model):
    """When a read is tried again. Waits are seconds and grow exponentially, with jitter on top."""

    max_attempts: Annotated[int, Field(ge=1)] = 3
    min_wait: Seconds = 1
    max_wait: Seconds = 60
    jitter: Seconds = 1
    retry_on_status: tuple[int, ...] = (429, 500, 502, 503, 504)


class RateLimitConfig(_Model):
    """How much of the API's limit callers may use. `min_remaining` requests of the window are left untouched.

    More requests within a minute than `warn_above` are logged as a warning.
    """

    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    min_remaining: Annotated[int, Field(ge=0)] = 0
    warn_above: Annotated[int, Field(ge=1)] = 100


class KeyColumn(_Model):
    """A column whose predicate becomes a query parameter or a part of the path.

    A `required` one must be given by `=` or IN. `values` lists what the API accepts; others are not sent. `type` is
    the column's where the records do not have it: then it is filled with the key's value.
    """

    column: str
    operators: tuple[Operator, ...] = ("=",)
    param: str | None = None
    path: str | None = None
    required: bool = False
    values: tuple[str, ...] = ()
    format: ValueFormat = ""
    type: TypeText = "VARCHAR"

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if not isinstance(kind := parse_type(self.type), Scalar) or kind == JSON:
            message = f"key column {self.column!r} must be of a plain type, not {self.type}"
            raise ValueError(message)
        if (self.param is None) == (self.path is None):
            message = f"key column {self.column!r} needs either param or path"
            raise ValueError(message)
        if self.path is not None and not (self.required and "=" in self.operators):
            message = f"key column {self.column!r} is a part of the path: it needs required = true and the operator '='"
            raise ValueError(message)
        return self


class ColumnConfig(_Model):
    """A declared column: its type, how a time is written, and what it means to people."""

    type: TypeText
    format: TimeFormat = ""
    description: str = ""


#: A declared column as people write it: its type alone, or with its settings.
ColumnChoice = Annotated[ColumnConfig, BeforeValidator(_as_column)]


class Variable(_Model):
    """A `{name}` of the base URL: a hostname label, from an environment variable or a default."""

    description: str = ""
    env: str | None = None
    default: Annotated[str, AfterValidator(_checked_label)] | None = None


class Stream(_Model):
    """One table of a connector. What it leaves out is taken from the connector."""

    path: Annotated[str, AfterValidator(_checked_path)]
    description: str = ""
    docs: str = ""
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] = Field(default_factory=dict)
    data_path: str | None = None
    params: dict[str, ParamValue] = Field(default_factory=dict)
    pagination: PaginationConfig | None = None
    columns: dict[str, ColumnChoice] = Field(default_factory=dict)
    key_columns: tuple[KeyColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    updated_at: str | None = None

    @model_validator(mode="after")
    def _can_be_bound(self) -> Self:
        fields = fields_of(self.path)
        for key in self.key_columns:
            if key.path is not None and key.path not in fields:
                message = f"key column {key.column!r} fills {{{key.path}}}, which {self.path} does not have"
                raise ValueError(message)
        names = {name.lower() for name in self.columns}
        for key in self.key_columns:
            if self.columns and not key.required and key.column.partition(".")[0].lower() not in names:
                message = f"key column {key.column!r} is none of the declared columns"
                raise ValueError(message)
        if len(names) < len(self.columns):
            message = "two columns differ by case only, which DuckDB does not tell apart"
            raise ValueError(message)
        if any(key.required for key in self.key_columns) and not self.columns:
            message = f"a required key column needs declared columns: no page of {self.path} can be sampled without it"
            raise ValueError(message)
        return self


class Connector(_Model):
    """One API: base URL, auth, limits and streams."""

    name: Annotated[str, Field(pattern=r"^[^/?#@\s]+$")]  # an API without manifest has its host's
    base_url: Annotated[str, AfterValidator(_checked_base_url)]
    description: str = ""
    docs: str = ""
    variables: dict[str, Variable] = Field(default_factory=dict)
    auth: AuthConfig = AuthConfig()
    pagination: PaginationConfig = PaginationConfig()
    rate_limit: RateLimitConfig = RateLimitConfig()
    retry: RetryConfig = RetryConfig()
    headers: dict[str, str] = Field(default_factory=dict)
    allowed_origins: tuple[OriginText, ...] = ()
    read_posts: tuple[str, ...] = ()
    idempotency_header: str | None = None
    verify_ssl: bool = True
    body_format: Literal["json", "form"] = "json"
    timeout: Annotated[float, Field(gt=0)] = 30
    concurrency: Annotated[int, Field(ge=1)] = 8
    data_path: str | None = None
    streams: dict[StreamName, Stream] = Field(default_factory=dict)
