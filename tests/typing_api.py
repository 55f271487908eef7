"""The types that a caller sees: read by mypy --strict, never run."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, assert_type

import polars as pl

from apikit_sql import (
    ApiConfig,
    Apikit,
    AuthConfig,
    DbtExport,
    DbtExporter,
    DbtFile,
    DryRunResult,
    FetchOptions,
    InspectorResult,
    PaginationConfig,
    RateLimitError,
    RetryConfig,
    Session,
    flatten_dict,
    flatten_records,
    infer_polars_schema,
    records_to_polars,
)

Record = dict[str, Any]


def clients() -> None:
    assert_type(Apikit("https://api.test", token="t", session=Session()), Apikit)
    assert_type(Apikit("https://api.test", AuthConfig(), max_retries=1), Apikit)
    assert_type(Apikit.from_name("github", "t"), Apikit)
    assert_type(Apikit.from_env(env_file=".env"), Apikit)
    config = ApiConfig(base_url="https://api.test", pagination=PaginationConfig(), retry=RetryConfig())
    assert_type(Apikit.from_config(config), Apikit)


def fetched(client: Apikit, options: FetchOptions) -> None:
    assert_type(client.fetch_records("/x", params={"a": 1}, paginate=True, strategy="link"), list[Record])
    assert_type(client.fetch_records("/x", **options), list[Record])
    assert_type(client.fetch_records("/x", dry_run=True), DryRunResult)
    assert_type(client.fetch_polars("/x", flatten=False), pl.DataFrame)
    assert_type(client.fetch_polars("/x", dry_run=True).to_dict(), dict[str, Any])
    assert_type(client.fetch_to_file("/x", format="csv", file_path="x.csv", dry_run=True), DryRunResult)
    client.fetch_to_file("/x", format="csv", file_path="x.csv")
    assert_type(client.stream("/x"), Generator[Record])
    assert_type(client.graphql("/graphql", "{ x }", variables={"n": 1}), list[Record])
    assert_type(client.inspect("/x"), InspectorResult)
    client.fetch_records("/x", pageinate=True)  # type: ignore[call-overload]


async def afetched(client: Apikit) -> None:
    assert_type(await client.afetch_records("/x"), list[Record])
    assert_type(await client.afetch_records("/x", dry_run=True), DryRunResult)
    assert_type(await client.afetch_polars("/x"), pl.DataFrame)
    assert_type(client.astream("/x"), AsyncGenerator[Record])
    assert_type(await client.agraphql("/graphql", "{ x }"), list[Record])
    assert_type((await client.ainspect("/x")).schema_sample(), dict[str, str])
    await client.apost("/x", {"a": 1}, idempotency_key="k")


def exported(client: Apikit) -> None:
    assert_type(DbtExporter("dbt", dry_run=True).export([{"a": 1}], "name", tags=["crm"]), DbtExport)
    assert_type(DbtExporter("dbt").export_from_client(client, "/x", "name", schema="raw").files, tuple[DbtFile, ...])


def pieces(error: RateLimitError) -> None:
    assert_type(error.retry_after, float | None)
    assert_type(flatten_dict({"a": {"b": 1}}, sep="."), Record)
    assert_type(flatten_records([{"a": 1}]), list[Record])
    assert_type(records_to_polars([{"a": 1}]), pl.DataFrame)
    assert_type(infer_polars_schema([{"a": 1}]), pl.Schema)
