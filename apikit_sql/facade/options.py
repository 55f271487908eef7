"""What a Python caller asks for -> the plan of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.errors import CallError
from apikit_sql.facade.values import as_sent
from apikit_sql.plan.call import Call, checked_call, strategy_name
from apikit_sql.plan.graphql import checked_graphql_call, plan_graphql
from apikit_sql.plan.planner import plan_call
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import ScanPlan, Trip

Values = Mapping[str, object] | None


class ReadOptions(TypedDict, total=False):
    """What is read of an endpoint.

    `params` are query parameters: a list repeats its key, None omits it, times go out as RFC 3339 (without zone they
    are UTC). `path_params` fill the {fields} of the path. Pages follow each other by `strategy`, a name or a
    PaginationConfig, else as the connector or the first page says; `max_pages` is a guard: more of them are an error.
    `data_path` is where the records are in the body, found unless given. `columns` is the whole schema,
    `{"id": "BIGINT"}`, inferred unless given.
    """

    params: Values
    path_params: Values
    strategy: str | PaginationConfig | None
    page_size: int | None
    max_pages: int | None
    data_path: str | None
    columns: Mapping[str, str] | None


class FetchOptions(ReadOptions, total=False):
    """What is fetched of an endpoint: all pages where `paginate` is true, else the first, and a warning if more follow.

    `show_progress` counts pages and records on a terminal.
    """

    paginate: bool
    show_progress: bool


class TableOptions(ReadOptions, total=False):
    """What a table reads. `filters` are predicates that the API answers: `{"updated_at >=": "since"}`."""

    filters: Mapping[str, str] | None


class GraphQLOptions(TypedDict, total=False):
    """What goes with a query. `paginate` reads all pages of the connection at `connection_path`, else the first."""

    variables: Values
    paginate: bool
    connection_path: str | None
    page_size: int | None


@dataclass(frozen=True)
class Asked:
    """A plan and its only trip."""

    plan: ScanPlan
    trip: Trip
    shows_progress: bool = False

    @property
    def fills(self) -> dict[str, object]:
        """The values of columns that records lack, for the path holds them."""
        return dict(self.trip.fills)


def asked_of(connector: ConnectorDefinition, endpoint: str, options: FetchOptions) -> Asked:
    """What `options` ask of `endpoint`, a path or a stream. Raises CallError for what cannot be asked."""
    refuse_unknown(FetchOptions, options)
    for name in ("paginate", "show_progress"):
        check_flag(name, options.get(name, False))
    pages = None if options.get("paginate", False) else 1
    plan = plan_call(_call(connector.name, endpoint, options, pages=pages), connector)
    for key in plan.key_columns:
        if key.required:
            said = f"path_params={{{key.path!r}: ...}}" if key.path else f"params={{{key.param!r}: ...}}"
            message = f"{plan.shown} needs {key.column}: say {said}."
            raise CallError(message)
    return _asked(plan, shows_progress=options.get("show_progress", False))


def table_plan(connector: ConnectorDefinition, endpoint: str, options: TableOptions) -> ScanPlan:
    """The plan of the table of `endpoint`. Raises CallError for what cannot be asked."""
    refuse_unknown(TableOptions, options)
    return plan_call(_call(connector.name, endpoint, options, filters=options.get("filters")), connector)


def inspected_call(name: str, endpoint: str, params: Values, path_params: Values) -> Call:
    """The call that asks `endpoint` once."""
    return _call(name, endpoint, {"params": params, "path_params": path_params})


def graphql_of(connector: ConnectorDefinition, endpoint: str, query: str, options: GraphQLOptions) -> Asked:
    """What a GraphQL query asks. Raises CallError for anything but one query, and where it cannot be paginated."""
    refuse_unknown(GraphQLOptions, options)
    given, paginate = dict(options), options.get("paginate", False)
    check_flag("paginate", paginate)
    given.pop("paginate", None)
    if paginate and given.get("connection_path") is None:
        message = "graphql: paginate needs connection_path, the connection whose pages are to be followed."
        raise CallError(message)
    given |= {
        "connector": connector.name,
        "path": endpoint,
        "query": query,
        "variables": as_sent(given.get("variables"), "variables", has_decimals=False),
    }
    call = checked_graphql_call({name: value for name, value in given.items() if value is not None})
    plan = plan_graphql(call, connector)
    return _asked(plan if paginate else replace(plan, request=replace(plan.request, pages=1)))


def check_flag(name: str, value: object) -> None:
    """Raise CallError where the option called `name` is neither True nor False."""
    if not isinstance(value, bool):
        message = f"{name} must be True or False, not {value!r}."
        raise CallError(message)


def refuse_unknown(known: type, options: Mapping[str, object]) -> None:
    """Raise CallError for an option that is none of `known`, a TypedDict; it names those that there are."""
    names = [*known.__required_keys__, *known.__optional_keys__]  # type: ignore[attr-defined]
    for name in options:
        if name not in names:
            message = f"there is no option {name!r}; there are {', '.join(sorted(names))}."
            raise CallError(message)


def _asked(plan: ScanPlan, *, shows_progress: bool = False) -> Asked:
    (trip,) = push_down(plan, ())
    return Asked(plan, trip, shows_progress)


def _call(
    name: str,
    endpoint: str,
    options: ReadOptions,
    *,
    pages: int | None = None,
    filters: Mapping[str, str] | None = None,
) -> Call:
    """The call that `options` describe."""
    strategy = options.get("strategy")
    named = {"strategy": strategy_name(strategy)} if isinstance(strategy, str) else {"pagination": strategy}
    arguments: dict[str, object] = {
        "connector": name,
        "path": endpoint,
        "params": as_sent(options.get("params"), "params"),
        "path_params": as_sent(options.get("path_params"), "path_params"),
        "pages": pages,
        "filters": filters,
        **{each: options.get(each) for each in ("data_path", "page_size", "max_pages", "columns")},
        **named,
    }
    return checked_call({each: value for each, value in arguments.items() if value is not None})
