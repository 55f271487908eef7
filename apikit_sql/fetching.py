"""What a Python caller asks for -> the plan of it: options by name, times and lists as an API takes them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.dry_run import shown_request
from apikit_sql.errors import ConfigError
from apikit_sql.plan.call import Call, checked_call, strategy_name
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.request_plan import ScanPlan


class FetchOptions(TypedDict, total=False):
    """What is fetched of an endpoint.

    `params` are query parameters: a list repeats its key, None omits it, times go out as RFC 3339 (without zone they
    are UTC); `path_params` fill the {fields} of the endpoint. With `paginate` all pages are read, by `strategy` (a name
    or a PaginationConfig) or as the first page tells; without it one page, and a warning where more follow. `max_pages`
    is a guard: more pages are an error. `data_path` is where the records are in the body, found unless given.
    `show_progress` draws a bar on a terminal.
    """

    params: Mapping[str, object] | None
    path_params: Mapping[str, object] | None
    paginate: bool
    strategy: str | PaginationConfig | None
    page_size: int | None
    max_pages: int | None
    data_path: str | None
    show_progress: bool


@dataclass(frozen=True)
class DryRunResult:
    """The first request that a call would send, its secrets masked. `output_path` is where a file would be."""

    method: str
    url: str
    params: tuple[tuple[str, str], ...]
    auth_type: str
    pagination_strategy: str
    page_size: int | None
    output_format: str | None = None
    output_path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {**asdict(self), "params": dict(self.params)}

    def __str__(self) -> str:
        """The fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def call_of_options(
    connector: ConnectorDefinition, endpoint: str, options: FetchOptions, *, flatten: bool = False
) -> Call:
    """The call that `options` describe. Raises ConfigError for an option that there is not, CallError for a wrong one."""
    unknown = sorted(options.keys() - FetchOptions.__annotations__.keys())
    if unknown:
        message = f"there is no option {unknown[0]!r}; there are {', '.join(FetchOptions.__annotations__)}."
        raise ConfigError(message)
    strategy = options.get("strategy")
    named = {"strategy": strategy_name(strategy)} if isinstance(strategy, str) else {"pagination": strategy}
    arguments: dict[str, object] = {
        "connector": connector.name,
        "path": endpoint,
        "params": as_sent(options.get("params")),
        "path_params": as_sent(options.get("path_params")),
        "data_path": options.get("data_path"),
        "page_size": options.get("page_size"),
        "max_pages": options.get("max_pages"),
        "pages": None if options.get("paginate", False) else 1,
        "nested": "flatten" if flatten else "struct",
        **named,
    }
    return checked_call({name: value for name, value in arguments.items() if value is not None})


def planned(
    connector: ConnectorDefinition, endpoint: str, options: FetchOptions, *, flatten: bool = False
) -> ScanPlan:
    """The plan of what `options` describe. Raises as `call_of_options`."""
    return plan_call(call_of_options(connector, endpoint, options, flatten=flatten), connector)


def dry_run(plan: ScanPlan, output_format: str | None = None, output_path: str | None = None) -> DryRunResult:
    """What `plan` would send first; nothing is sent."""
    shown, pagination = shown_request(plan.request), plan.request.pagination
    return DryRunResult(
        method=shown.method,
        url=shown.url,
        params=plan.request.params,
        auth_type=plan.request.auth.type,
        pagination_strategy=pagination.strategy,
        page_size=pagination.page_size,
        output_format=output_format,
        output_path=output_path,
    )


def as_sent(values: Mapping[str, object] | None) -> dict[str, object]:
    """Values as an API takes them: times as RFC 3339 in UTC."""
    return {name: _text(value) for name, value in (values or {}).items()}


def _text(value: object) -> object:
    match value:
        case dt.datetime():
            moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
            return moment.isoformat().removesuffix("+00:00") + "Z"
        case dt.date():
            return value.isoformat()
        case list() | tuple() | set():
            return [_text(each) for each in value]
        case _:
            return value
