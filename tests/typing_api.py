"""The types that a caller sees: read by mypy --strict, never run."""

from collections.abc import AsyncGenerator, Generator
from typing import Any, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

from apikit_sql import (
    ApiConfig,
    Apikit,
    AuthConfig,
    DbtExport,
    DbtExporter,
    DbtFile,
    DryRunResult,
    FetchOptions,
    GenericHmacValidator,
    GitHubWebhookValidator,
    InspectorResult,
    PaginationConfig,
    RateLimitError,
    RetryConfig,
    Session,
    StandardWebhookValidator,
    StripeWebhookValidator,
    WebhookReceiver,
    WebhookSignatureError,
    flatten_dict,
    flatten_records,
    get_writer,
    infer_polars_schema,
    records_to_polars,
)
from apikit_sql.facade.table import RemoteTable
from apikit_sql.output.writer import Writer

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
    assert_type(client.fetch_records("/x", pages=3, max_wait=5, headers={"a": "b"}, cache=60), list[Record])
    assert_type(client.fetch_records("/x", dry_run=True), DryRunResult)
    assert_type(client.fetch_polars("/x", flatten=False, columns={"id": "BIGINT"}), pl.DataFrame)
    assert_type(client.fetch_polars("/x", **options), pl.DataFrame)
    assert_type(client.fetch_polars("/x", dry_run=True).to_dict(), dict[str, Any])
    assert_type(client.fetch_pandas("/x"), pd.DataFrame)
    assert_type(client.fetch_pandas("/x", dry_run=True), DryRunResult)
    assert_type(client.fetch_arrow("/x", flatten=True), pa.Table)
    assert_type(client.fetch_arrow("/x", dry_run=True), DryRunResult)
    assert_type(client.fetch_to_file("/x", format="csv", file_path="x.csv", dry_run=True), DryRunResult)
    client.fetch_to_file("/x", format="csv", file_path="x.csv", on_drift="null", types={"a": "JSON"}, extra=True)
    assert_type(client.stream("/x"), Generator[Record])
    assert_type(client.graphql("/graphql", "{ x }", variables={"n": 1}), list[Record])
    assert_type(client.inspect("/x"), InspectorResult)
    assert_type(client.table("/x", keys=[{"a": 1}], on_error="skip", nested="json"), RemoteTable)
    client.fetch_records("/x", pageinate=True)  # type: ignore[call-overload]
    client.fetch_records("/x", columns={"id": "BIGINT"})  # type: ignore[call-overload]
    client.fetch_to_file("/x", format="csv", file_path="x", on_drift="nil")  # type: ignore[call-overload]


async def afetched(client: Apikit) -> None:
    assert_type(await client.afetch_records("/x"), list[Record])
    assert_type(await client.afetch_records("/x", dry_run=True), DryRunResult)
    assert_type(await client.afetch_polars("/x"), pl.DataFrame)
    assert_type(await client.afetch_polars("/x", dry_run=True), DryRunResult)
    assert_type(await client.afetch_pandas("/x"), pd.DataFrame)
    assert_type(await client.afetch_pandas("/x", dry_run=True), DryRunResult)
    assert_type(await client.afetch_arrow("/x"), pa.Table)
    assert_type(await client.afetch_arrow("/x", dry_run=True), DryRunResult)
    assert_type(await client.afetch_to_file("/x", format="csv", file_path="x", dry_run=True), DryRunResult)
    assert_type(client.astream("/x"), AsyncGenerator[Record])
    assert_type(await client.agraphql("/graphql", "{ x }"), list[Record])
    assert_type((await client.ainspect("/x")).schema_sample(), dict[str, str])


def changed(client: Apikit) -> None:
    assert_type(client.post("/x", {"a": 1}, idempotency_key="k"), Any)
    assert_type(client.put("/x", [1]), Any)
    assert_type(client.patch("/x", {"a": 1}), Any)
    assert_type(client.delete("/x"), Any)
    assert_type(client.post("/x", dry_run=True), DryRunResult)
    assert_type(client.put("/x", dry_run=True), DryRunResult)
    assert_type(client.patch("/x", dry_run=True), DryRunResult)
    assert_type(client.delete("/x", dry_run=True), DryRunResult)


async def achanged(client: Apikit) -> None:
    assert_type(await client.apost("/x", {"a": 1}, idempotency_key="k"), Any)
    assert_type(await client.aput("/x", [1]), Any)
    assert_type(await client.apatch("/x", {"a": 1}), Any)
    assert_type(await client.adelete("/x"), Any)
    assert_type(await client.apost("/x", dry_run=True), DryRunResult)
    assert_type(await client.aput("/x", dry_run=True), DryRunResult)
    assert_type(await client.apatch("/x", dry_run=True), DryRunResult)
    assert_type(await client.adelete("/x", dry_run=True), DryRunResult)


def exported(client: Apikit) -> None:
    assert_type(DbtExporter("dbt", dry_run=True).export([{"a": 1}], "name", tags=["crm"]), DbtExport)
    assert_type(DbtExporter("dbt").export_from_client(client, "/x", "name", schema="raw").files, tuple[DbtFile, ...])


def received(error: WebhookSignatureError) -> None:
    validator = StripeWebhookValidator("env:STRIPE_WHSEC", tolerance=300)
    receiver = WebhookReceiver(8080, "/webhook", validator, output_file="e.ndjson", provider="stripe", max_events=10)
    receiver.start()
    assert_type(receiver.address, str)
    assert_type(receiver.event_count, int)
    assert_type(receiver.events, list[dict[str, object]])
    assert_type(receiver.to_polars(), pl.DataFrame)
    receiver.stop()
    for each in (
        GitHubWebhookValidator(["a", "b"]),
        StandardWebhookValidator("c"),
        GenericHmacValidator("d", "X", "v="),
    ):
        assert_type(each.validate(b"{}", {"X": "y"}), str)
        WebhookReceiver(validator=each)
    assert_type(error.reason, str)


def pieces(error: RateLimitError) -> None:
    assert_type(error.retry_after, float | None)
    assert_type(get_writer("csv"), Writer)
    get_writer("csv").write([{"a": 1}], "x.csv", columns={"a": "BIGINT"})
    assert_type(flatten_dict({"a": {"b": 1}}, sep="."), Record)
    assert_type(flatten_records([{"a": 1}]), list[Record])
    assert_type(records_to_polars([{"a": 1}]), pl.DataFrame)
    assert_type(infer_polars_schema([{"a": 1}]), pl.Schema)
