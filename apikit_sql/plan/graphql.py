"""A call of `apikit_graphql(...)` and its connector as a scan plan: what it asks for is known to be a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apikit_sql.connector.findings import explain
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.plan.call import JsonObject, call_of, read_arguments, refuse_misread
from apikit_sql.plan.planner import USUAL_DEFAULTS, Defaults, plan_call
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.plan.values import body_bytes, times_at, times_of, with_times

if TYPE_CHECKING:
    from apikit_sql.plan.graphql_query import Query

_PAGE_SIZE = 100


class GraphQLCall(BaseModel):
    """The arguments of one `apikit_graphql(...)`. `columns` and `nested` are those of `apikit(...)`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: str
    query: str
    variables: JsonObject = Field(default_factory=dict)
    variables_type: str = ""
    connection_path: Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")] | None = None
    page_size: Annotated[int, Field(ge=1)] | None = None
    path: str | None = None
    columns: Any = None
    nested: Any = None


def read_graphql_call(text: str) -> GraphQLCall:
    """The call whose arguments are the JSON object `text`. Raises CallError that names the argument."""
    given = read_arguments(text)
    for name in ("connector", "query"):
        if given[name] is None:
            message = f"apikit_graphql: {name} is NULL. If it is a variable, it is not set."
            raise CallError(message)
    arguments = {name: value for name, value in given.items() if value is not None}
    refuse_misread("apikit_graphql", arguments)
    return checked_graphql_call(arguments)


def checked_graphql_call(arguments: Mapping[str, Any]) -> GraphQLCall:
    """The call with these arguments, each of its type. Raises CallError that names the one that is not."""
    try:
        return GraphQLCall.model_validate(dict(arguments))
    except ValidationError as error:
        raise CallError("apikit_graphql: " + explain(error)) from None


def plan_graphql(call: GraphQLCall, connector: ConnectorDefinition, usual: Defaults = USUAL_DEFAULTS) -> ScanPlan:
    """The scan that `call` asks of `connector`. Raises CallError for anything but one query, and before it is sent."""
    query = _parsed(call)
    path = connector.graphql_path if call.path is None else call.path
    if not path.startswith("/") or fields_of(path):
        message = f"apikit_graphql: path is where the API answers GraphQL, '/graphql' for instance, not {path!r}."
        raise CallError(message)
    as_call = call_of(
        {
            "connector": call.connector,
            "path": path,
            "method": "POST",
            "body": call.variables,
            "pagination": "none",
            "data_path": query.record_path,
            "columns": call.columns,
            "nested": call.nested,
        }
    )
    reading = connector.model_copy(update={"read_posts": (path,)})  # a query reads
    plan = plan_call(as_call, reading, usual)
    request = replace(
        plan.request,
        body=body_bytes({"query": call.query, "variables": _variables(call, query)}),
        pagination=_pagination(call),
        is_graphql=True,
        unfollowed=query.unfollowed,
    )
    return replace(plan, request=request)


def _parsed(call: GraphQLCall) -> Query:
    try:
        from apikit_sql.plan.graphql_query import read_query  # noqa: PLC0415 - graphql-core is an extra
    except ImportError:
        message = "apikit_graphql needs graphql-core, which reads queries: pip install 'apikit_sql[graphql]'"
        raise CallError(message) from None
    return read_query(call.query, call.connection_path)


def _pagination(call: GraphQLCall) -> PaginationConfig:
    if call.connection_path is not None:
        return PaginationConfig(strategy="relay", connection_path=call.connection_path)
    if call.page_size is not None:
        message = "apikit_graphql: page_size needs connection_path, the connection whose pages are to be followed."
        raise CallError(message)
    return PaginationConfig(strategy="none")


def _variables(call: GraphQLCall, query: Query) -> Mapping[str, Any]:
    """The variables as they are sent: times as RFC 3339, and the number of nodes in a page.

    Raises CallError for one that the query does not declare, and where it needs one that is not given.
    """
    times = times_of(call.variables_type)
    given = {name: with_times(value, times_at(times, name)) for name, value in call.variables.items()}
    if call.connection_path is not None:
        if "first" in given:
            message = "apikit_graphql: the variable first is how many nodes a page has: say page_size := ..."
            raise CallError(message)
        given["first"] = call.page_size or _PAGE_SIZE
    for name in given:
        if name not in query.declared:
            known = ", ".join(f"${each}" for each in query.declared) or "none"
            message = f"apikit_graphql: variables has {name!r}, which the query does not declare (it has {known})."
            raise CallError(message)
    lacking = [name for name in query.needed if given.get(name) is None]
    if lacking:
        message = f"apikit_graphql: the query needs a value for ${lacking[0]}: variables := {{'{lacking[0]}': ...}}."
        raise CallError(message)
    return given
