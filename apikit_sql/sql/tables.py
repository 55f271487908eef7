"""apikit() and apikit_graphql(): a call's JSON as the dataset that DuckDB scans."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from apikit_sql.plan.call import read_call
from apikit_sql.plan.graphql import plan_graphql, read_graphql_call
from apikit_sql.plan.planner import plan_call
from apikit_sql.scan.dataset import ApiDataset
from apikit_sql.sql.permissions import Permissions, permitted
from apikit_sql.sql.seam import FIRST_AHEAD


def apikit_dataset(
    arguments: str, permissions: Permissions, new_scan: Callable[[], Event], may_reach_outside: Callable[[], bool]
) -> ApiDataset:
    """The table of one `apikit(...)`, its arguments as JSON text. Raises CallError for what may not be reached.

    `may_reach_outside` tells whether DuckDB itself may, and is asked where the permissions leave it to DuckDB.
    """
    call = read_call(arguments)
    permissions.check_network(may_reach_outside)
    plan = plan_call(call, permitted(call.connector, permissions), permissions.defaults)
    return ApiDataset(plan, permissions.session, new_scan, first_ahead=FIRST_AHEAD)


def graphql_dataset(
    arguments: str, permissions: Permissions, new_scan: Callable[[], Event], may_reach_outside: Callable[[], bool]
) -> ApiDataset:
    """The table of one `apikit_graphql(...)`, as `apikit_dataset`."""
    call = read_graphql_call(arguments)
    permissions.check_network(may_reach_outside)
    plan = plan_graphql(call, permitted(call.connector, permissions), permissions.defaults)
    return ApiDataset(plan, permissions.session, new_scan, first_ahead=FIRST_AHEAD)
