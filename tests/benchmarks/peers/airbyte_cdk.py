"""Airbyte's CDK: a declarative source, whose records go into DuckDB by an Arrow table; that has no part in the CDK."""

import logging

from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from tests.benchmarks.meter import Found, Job, main
from tests.benchmarks.ways import in_duckdb


def load(job: Job) -> Found:
    catalog = ConfiguredAirbyteCatalogSerializer.load(
        {
            "streams": [
                {
                    "stream": {"name": "items", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
                    "sync_mode": "full_refresh",
                    "destination_sync_mode": "overwrite",
                }
            ]
        }
    )
    source = ConcurrentDeclarativeSource(catalog=catalog, config={}, state=[], source_config=_manifest(job))
    messages = source.read(logging.getLogger("airbyte"), {}, catalog, [])
    return in_duckdb(job, (message.record.data for message in messages if message.type == Type.RECORD))


def _manifest(job: Job) -> dict[str, object]:
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {"type": "RequestPath"},
        "pagination_strategy": {
            "type": "CursorPagination",
            "cursor_value": "{{ headers['link']['next']['url'] }}",
            "stop_condition": "{{ 'next' not in headers['link'] }}",
        },
    }
    retriever = {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": job.origin + job.path,
            "path": "/items",
            "http_method": "GET",
        },
        "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}},
        "paginator": paginator,
    }
    schema = {
        "type": "InlineSchemaLoader",
        "schema": {"type": "object", "properties": {}, "additionalProperties": True},
    }
    stream = {"type": "DeclarativeStream", "name": "items", "retriever": retriever, "schema_loader": schema}
    check = {"type": "CheckStream", "stream_names": ["items"]}
    return {"version": "6.0.0", "type": "DeclarativeSource", "check": check, "streams": [stream]}


if __name__ == "__main__":
    main({"airbyte_cdk": load})
