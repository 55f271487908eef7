"""Singer's SDK: a tap's stream, whose records go into DuckDB by an Arrow table; that has no part in the SDK."""

from collections.abc import Iterable
from typing import Any

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk.pagination import BaseHATEOASPaginator

from tests.benchmarks.meter import Found, Job, main
from tests.benchmarks.ways import in_duckdb


class _NextLinks(BaseHATEOASPaginator):  # type: ignore[misc]  # untyped
    def get_next_url(self, response: requests.Response) -> str | None:
        return response.links.get("next", {}).get("url")


class _Items(RESTStream):  # type: ignore[misc]  # untyped
    name, path, schema = "items", "/items", {"type": "object", "properties": {"id": {"type": "integer"}}}
    records_jsonpath = "$[*]"

    @property
    def url_base(self) -> str:
        return str(self.config["url"])

    def get_new_paginator(self) -> _NextLinks:
        return _NextLinks()

    def get_url_params(self, context: object, next_page_token: Any) -> dict[str, str]:  # noqa: ARG002 - the SDK's
        return {"page": next_page_token.query.partition("=")[2]} if next_page_token else {}


class _Api(Tap):  # type: ignore[misc]  # untyped
    name, config_jsonschema = "tap-trip", {"type": "object", "properties": {"url": {"type": "string"}}}

    def discover_streams(self) -> Iterable[_Items]:
        return [_Items(self)]


def load(job: Job) -> Found:
    (stream,) = _Api(config={"url": job.origin + job.path}).discover_streams()
    return in_duckdb(job, iter(stream.get_records(None)))


if __name__ == "__main__":
    main({"singer_sdk": load})
