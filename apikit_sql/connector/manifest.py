"""The models of a manifest: what one API is, as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from apikit_sql.column_types import JSON, Scalar, TimeFormat, parse_type
from apikit_sql.connector.protocol import AuthConfig, ManifestModel, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.template import fields_of
from apikit_sql.connector.texts import BaseUrl, Label, OriginText, ParamValue, PathTemplate, StreamName, TypeText

Operator = Literal["=", ">", ">=", "<", "<="]
#: How a pushed value is written: as it is, or a time as RFC 3339 (seconds, milliseconds), as a date, or since 1970.
ValueFormat = Literal["", "rfc3339", "rfc3339_ms", "date", "epoch", "epoch_ms"]


def _as_column(value: object) -> object:
    if not isinstance(value, str | dict | ManifestModel):
        message = "must be the name of a type, 'BIGINT', or an object: { type = 'TIMESTAMPTZ', format = 'epoch' }"
        raise ValueError(message)  # noqa: TRY004 - pydantic's way
    return {"type": value} if isinstance(value, str) else value


def _as_pagination(value: object) -> object:
    return {"strategy": value} if isinstance(value, str) else value


#: The pagination as people write it: the strategy's name alone, or with its settings.
PaginationChoice = Annotated[PaginationConfig, BeforeValidator(_as_pagination)]


class KeyColumn(ManifestModel):
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
        if self.required and "=" not in self.operators:
            message = f"key column {self.column!r} is required: it needs the operator '='"
            raise ValueError(message)
        if self.path is not None and not (self.required and "=" in self.operators):
            message = f"key column {self.column!r} is a part of the path: it needs required = true and the operator '='"
            raise ValueError(message)
        return self


class ColumnConfig(ManifestModel):
    """A declared column: its type, how a time is written, and what it means to people."""

    type: TypeText
    format: TimeFormat = ""
    description: str = ""


#: A declared column as people write it: its type alone, or with its settings.
ColumnChoice = Annotated[ColumnConfig, BeforeValidator(_as_column)]


class Variable(ManifestModel):
    """A `{name}` of the base URL: a hostname label, from an environment variable or a default."""

    description: str = ""
    env: str | None = None
    default: Label | None = None


class Stream(ManifestModel):
    """One table of a connector. What it leaves out is taken from the connector."""

    path: PathTemplate
    description: str = ""
    docs: str = ""
    method: Literal["GET", "POST"] = "GET"
    body: dict[str, Any] = Field(default_factory=dict)
    data_path: str | None = None
    params: dict[str, ParamValue] = Field(default_factory=dict)
    pagination: PaginationChoice | None = None
    columns: dict[str, ColumnChoice] = Field(default_factory=dict)
    key_columns: tuple[KeyColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    updated_at: str | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """The columns without whose values it cannot be asked, each once."""
        return tuple(dict.fromkeys(key.column for key in self.key_columns if key.required))

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


class ConnectorDefinition(ManifestModel):
    """One API: base URL, auth, limits and streams."""

    name: Annotated[str, Field(pattern=r"^[^/?#@\s]+$")]  # an API without manifest has its host's
    base_url: BaseUrl
    description: str = ""
    docs: str = ""
    variables: dict[str, Variable] = Field(default_factory=dict)
    auth: AuthConfig = AuthConfig()
    pagination: PaginationChoice = PaginationConfig()
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
    graphql_path: PathTemplate = "/graphql"
    data_path: str | None = None
    params: dict[str, ParamValue] = Field(default_factory=dict)
    streams: dict[StreamName, Stream] = Field(default_factory=dict)
