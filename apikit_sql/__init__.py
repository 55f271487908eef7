"""Any REST or GraphQL API is a table in DuckDB.

import apikit_sql, duckdb

con = duckdb.connect()
apikit_sql.install(con)
con.sql("SELECT number, title FROM apikit('demo', 'issues') WHERE state = 'open' LIMIT 5").show()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apikit_sql.connector.api_config import ApiConfig
    from apikit_sql.connector.config_manager import ConfigManager
    from apikit_sql.connector.lint import LintFinding, lint
    from apikit_sql.connector.manifest import ConnectorDefinition
    from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
    from apikit_sql.connector.registry import ConnectorRegistry
    from apikit_sql.dbt.exporter import DbtExport, DbtExporter, DbtFile
    from apikit_sql.engine.session import Session
    from apikit_sql.errors import (
        ApikitError,
        ApikitWarning,
        AuthError,
        CallError,
        ConfigError,
        ConnectorNotFoundError,
        DecodeError,
        GraphQLError,
        OriginError,
        OutputError,
        PaginationError,
        RateLimitError,
        RequestError,
        RequestsSpentError,
        ScanInterrupted,
        SchemaDriftError,
        WebhookSignatureError,
    )
    from apikit_sql.facade.client import Apikit
    from apikit_sql.facade.dry_run import DryRunResult
    from apikit_sql.facade.options import FetchOptions
    from apikit_sql.flatten import flatten_dict, flatten_records
    from apikit_sql.openapi.draft import draft_manifest, read_document
    from apikit_sql.output.frames import infer_polars_schema, records_to_polars
    from apikit_sql.output.writer import get_writer
    from apikit_sql.scan.inspection import InspectorResult
    from apikit_sql.scan.trial import Trial, try_out
    from apikit_sql.sql.connection import Connection, connect
    from apikit_sql.sql.install import install
    from apikit_sql.webhook.receiver import WebhookReceiver
    from apikit_sql.webhook.signature import (
        GenericHmacValidator,
        GitHubWebhookValidator,
        StandardWebhookValidator,
        StripeWebhookValidator,
    )

#: Where each public name lives: importing the package costs nothing until one is used.
_HOMES = {
    "apikit_sql.sql.install": ("install",),
    "apikit_sql.sql.connection": ("Connection", "connect"),
    "apikit_sql.facade.client": ("Apikit",),
    "apikit_sql.facade.dry_run": ("DryRunResult",),
    "apikit_sql.facade.options": ("FetchOptions",),
    "apikit_sql.scan.inspection": ("InspectorResult",),
    "apikit_sql.engine.session": ("Session",),
    "apikit_sql.connector.api_config": ("ApiConfig",),
    "apikit_sql.connector.config_manager": ("ConfigManager",),
    "apikit_sql.connector.lint": ("LintFinding", "lint"),
    "apikit_sql.openapi.draft": ("draft_manifest", "read_document"),
    "apikit_sql.connector.registry": ("ConnectorRegistry",),
    "apikit_sql.scan.trial": ("Trial", "try_out"),
    "apikit_sql.dbt.exporter": ("DbtExport", "DbtExporter", "DbtFile"),
    "apikit_sql.flatten": ("flatten_dict", "flatten_records"),
    "apikit_sql.output.frames": ("infer_polars_schema", "records_to_polars"),
    "apikit_sql.output.writer": ("get_writer",),
    "apikit_sql.connector.manifest": ("ConnectorDefinition",),
    "apikit_sql.connector.protocol": ("AuthConfig", "PaginationConfig", "RateLimitConfig", "RetryConfig"),
    "apikit_sql.webhook.receiver": ("WebhookReceiver",),
    "apikit_sql.webhook.signature": (
        "GenericHmacValidator",
        "GitHubWebhookValidator",
        "StandardWebhookValidator",
        "StripeWebhookValidator",
    ),
    "apikit_sql.errors": (
        "ApikitError",
        "ApikitWarning",
        "AuthError",
        "CallError",
        "ConfigError",
        "ConnectorNotFoundError",
        "DecodeError",
        "GraphQLError",
        "OriginError",
        "OutputError",
        "PaginationError",
        "RateLimitError",
        "RequestError",
        "RequestsSpentError",
        "ScanInterrupted",
        "SchemaDriftError",
        "WebhookSignatureError",
    ),
}

__all__ = [
    "ApiConfig",
    "Apikit",
    "ApikitError",
    "ApikitWarning",
    "AuthConfig",
    "AuthError",
    "CallError",
    "ConfigError",
    "ConfigManager",
    "Connection",
    "ConnectorDefinition",
    "ConnectorNotFoundError",
    "ConnectorRegistry",
    "DbtExport",
    "DbtExporter",
    "DbtFile",
    "DecodeError",
    "DryRunResult",
    "FetchOptions",
    "GenericHmacValidator",
    "GitHubWebhookValidator",
    "GraphQLError",
    "InspectorResult",
    "LintFinding",
    "OriginError",
    "OutputError",
    "PaginationConfig",
    "PaginationError",
    "RateLimitConfig",
    "RateLimitError",
    "RequestError",
    "RequestsSpentError",
    "RetryConfig",
    "ScanInterrupted",
    "SchemaDriftError",
    "Session",
    "StandardWebhookValidator",
    "StripeWebhookValidator",
    "Trial",
    "WebhookReceiver",
    "WebhookSignatureError",
    "connect",
    "draft_manifest",
    "flatten_dict",
    "flatten_records",
    "get_writer",
    "infer_polars_schema",
    "install",
    "lint",
    "read_document",
    "records_to_polars",
    "try_out",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """The public object `name`, imported now."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    message = f"module 'apikit_sql' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
