"""What a Python caller asks for -> the plan of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.facade.values import as_sent
from apikit_sql.facade.wording import python_words
from apikit_sql.plan.call import Call, checked_call, strategy_name
from apikit_sql.plan.graphql import checked_graphql_call, plan_graphql
from apikit_sql.plan.planner import Defaults, plan_call
from apikit_sql.plan.pushdown import push_down
from apikit_sql.plan.request_plan import Nested, OnDrift, OnError, ScanPlan, Trip

Values = Mapping[str, object] | None
#: Types by column, each a name or, of times, with its format: `{"type": "TIMESTAMPTZ", "format": "epoch"}`.
Columns = Mapping[str, str | Mapping[str, str]] | None


class ReadOptions(TypedDict, total=False):
    """What is read of an endpoint, and how.

    `params` are query parameters: a list repeats its key, None omits it, times go out as RFC 3339 (without zone they
    are UTC). `path_params` fill the {fields} of the path. Pages follow each other by `strategy`, a name or a
    PaginationConfig, else as the connector or the first page says. `pages` stops after so many; `max_pages` is a guard:
    more of them are an error. `data_path` is where the records are in the body, found unless given.

    `headers` go along, `timeout` is seconds for one attempt, `max_wait` for a limit of the API. No more than
    `max_requests` are sent, and `concurrency` at once. What is in the response cache is taken for `cache` seconds.
    """

    params: Values
    path_params: Values
    strategy: str | PaginationConfig | None
    page_size: int | None
    pages: int | None
    max_pages: int | None
    data_path: str | None
    headers: Mapping[str, str] | None
    timeout: float | None
    max_wait: float | None
    max_requests: int | None
    concurrency: int | None
    cache: float | None


class FetchOptions(ReadOptions, total=False):
    """What is fetched of an endpoint: all pages where `paginate` is true, else the first, and a warning if more follow.

    `show_progress` counts pages and records on a terminal.
    """

    paginate: bool
    show_progress: bool


class FrameOptions(FetchOptions, total=False):
    """What goes into columns: `columns` is their whole schema, `{"id": "BIGINT"}`, inferred unless given."""

    columns: Columns


class FileOptions(FrameOptions, total=False):
    """What is written page by page, so that columns are inferred of the first `sample_pages`.

    `types` are those of some of them. A later value that does not fit is an error, or, as `on_drift` says, 'null' or
    'text'. `extra` adds a column of what no other has.
    """

    types: Columns
    sample_pages: int | None
    on_drift: OnDrift | None
    extra: bool


class TableOptions(ReadOptions, total=False):
    """What a table reads; its columns as those of a file.

    `nested` objects are STRUCTs unless they are to be flat, or JSON. `filters` are predicates that the API answers:
    `{"updated_at >=": "since"}`. Each of `keys` is a trip of its own, which may fail as `on_error` says.
    """

    columns: Columns
    types: Columns
    sample_pages: int | None
    on_drift: OnDrift | None
    extra: bool
    nested: Nested | None
    filters: Mapping[str, str] | None
    keys: Sequence[Mapping[str, object]] | None
    on_error: OnError | None


class GraphQLOptions(TypedDict, total=False):
    """What goes with a query. `paginate` reads all pages of the connection at `connection_path`, else the first."""

    variables: Values
    paginate: bool
    connection_path: str | None
    page_size: int | None
    max_wait: float | None


@dataclass(frozen=True)
class Asked:
    """A plan and its only trip. Where it `is_first_page` by default only, more pages are worth a warning."""

    plan: ScanPlan
    trip: Trip
    is_first_page: bool
    shows_progress: bool = False

    @property
    def fills(self) -> dict[str, object]:
        """The values of columns that records lack, for the path holds them."""
        return dict(self.trip.fills)


@python_words()
def asked_of(
    connector: ConnectorDefinition, usual: Defaults, endpoint: str, options: FetchOptions, known: type[FetchOptions]
) -> Asked:
    """What `options`, of the `known` ones, ask of `endpoint`, a path or a stream.

    Raises CallError for what cannot be asked.
    """
    refuse_unknown(known, options)
    given = dict(options)
    for name in ("paginate", "show_progress", "extra"):
        check_flag(name, given.get(name, False))
    shows_progress, paginate = given.pop("show_progress", False), given.pop("paginate", False)
    is_first_page = not paginate and given.get("pages") is None
    call = _call(connector.name, endpoint, given | ({"pages": 1} if is_first_page else {}))
    for name in fields_of(call.path):
        if name not in call.path_params:
            message = f"{connector.name} {call.path} needs {name}: say path_params={{{name!r}: ...}}."
            raise CallError(message)
    plan = plan_call(call, connector, usual)
    _refuse_sample(plan, options)
    for key in plan.key_columns:
        if key.required:
            said = f"path_params={{{key.path!r}: ...}}" if key.path else f"params={{{key.param!r}: ...}}"
            message = f"{plan.shown} needs {key.column}: say {said}."
            raise CallError(message)
    (trip,) = push_down(plan, ())
    return Asked(plan, trip, is_first_page, bool(shows_progress))


@python_words()
def table_plan(connector: ConnectorDefinition, usual: Defaults, endpoint: str, options: TableOptions) -> ScanPlan:
    """The plan of the table of `endpoint`. Raises CallError for what cannot be asked."""
    refuse_unknown(TableOptions, options)
    check_flag("extra", options.get("extra", False))
    plan = plan_call(_call(connector.name, endpoint, options), connector, usual)
    _refuse_sample(plan, options)
    return plan


def waiting(usual: Defaults, max_wait: float | None) -> Defaults:
    """What is `usual`, but for the `max_wait` that a call says. Raises CallError for what is no number of seconds."""
    return usual if max_wait is None else replace(usual, max_wait=_call("", "/", {"max_wait": max_wait}).max_wait)


def inspected_call(name: str, endpoint: str, params: Values, path_params: Values) -> Call:
    """The call that asks `endpoint` of the API of this `name` once."""
    return _call(name, endpoint, {"params": params, "path_params": path_params})


@python_words()
def graphql_of(
    connector: ConnectorDefinition, usual: Defaults, endpoint: str, query: str, options: GraphQLOptions
) -> Asked:
    """What a GraphQL query asks. Raises CallError for anything but one query, and where it cannot be paginated."""
    refuse_unknown(GraphQLOptions, options)
    given = dict(options)
    check_flag("paginate", paginate := given.pop("paginate", False))
    usual = waiting(usual, options.get("max_wait"))
    given.pop("max_wait", None)
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
    plan = plan_graphql(call, connector, usual)
    if not paginate:
        plan = replace(plan, request=replace(plan.request, pages=1))
    (trip,) = push_down(plan, ())
    return Asked(plan, trip, is_first_page=not paginate)


def check_flag(name: str, value: object) -> None:
    """Raise CallError where the option called `name` is neither True nor False."""
    if not isinstance(value, bool):
        message = f"{name} must be True or False, not {value!r}."
        raise CallError(message)


def _refuse_sample(plan: ScanPlan, options: Mapping[str, object]) -> None:
    """Raise CallError where pages are to be sampled for columns that are known."""
    if plan.columns is not None and options.get("sample_pages") is not None:
        message = "sample_pages is of columns that are inferred; here they are declared."
        raise CallError(message)


def refuse_unknown(known: type, options: Mapping[str, object]) -> None:
    """Raise CallError for an option that is none of `known`, a TypedDict; it names those that there are."""
    names = [*known.__required_keys__, *known.__optional_keys__]  # type: ignore[attr-defined]
    for name in options:
        if name not in names:
            is_of_columns = known is FetchOptions and name in FileOptions.__annotations__
            where = " where records stay as they are" if is_of_columns else ""
            message = f"there is no option {name!r}{where}; there are {', '.join(sorted(names))}."
            raise CallError(message)


def _call(connector: str, endpoint: str, options: Mapping[str, object]) -> Call:
    """The call that `options` describe."""
    if not isinstance(endpoint, str):
        message = f"an endpoint is a path, '/issues', or the name of a stream, not {type(endpoint).__name__}."
        raise CallError(message)
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if isinstance(value, bool) and name != "extra":
            message = f"{name} is no switch: it cannot be {value}."
            raise CallError(message)
    strategy = given.pop("strategy", None)
    if isinstance(strategy, str):
        given["strategy"] = strategy_name(strategy)
    elif strategy is not None:
        given["pagination"] = strategy
    for name in ("params", "path_params", "keys"):
        if name in given:
            given[name] = as_sent(given[name], name)
    return checked_call({"connector": connector, "path": endpoint, **given})
