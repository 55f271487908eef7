"""apikit(): a call's JSON as the dataset that DuckDB scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple

from apikit_sql.connector.manifest import Connector
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import ad_hoc_connector, is_base_url, plan_call
from apikit_sql.scan.dataset import ApiDataset


@dataclass(frozen=True)
class Permissions:
    """What SQL may reach, and with what: the options of one `install`.

    `connectors` are the names allowed, None for all; `tokens` are an ad-hoc origin's token or reference to it.
    """

    session: Session
    tokens: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ad_hoc: bool = True
    connectors: frozenset[str] | None = None
    allow_network: bool | None = None
    max_wait: float = 60


class Bound(NamedTuple):
    """One call as DuckDB's bind sees it: its arguments as JSON text, and whether DuckDB may reach outside."""

    arguments: str
    external_access: bool


def apikit_dataset(bound: Bound, permissions: Permissions, new_scan: Callable[[], Event]) -> ApiDataset:
    """The table of one `apikit(...)`. Raises CallError for what may not be reached."""
    call = read_call(bound.arguments)
    connector = _permitted(call.connector, bound, permissions)
    return ApiDataset(plan_call(call, connector, permissions.max_wait), permissions.session, new_scan)


def _permitted(name: str, bound: Bound, permissions: Permissions) -> Connector:
    may_reach_outside = bound.external_access if permissions.allow_network is None else permissions.allow_network
    if not may_reach_outside:
        message = "apikit sends nothing while enable_external_access is false. Say install(con, allow_network=True)."
        raise CallError(message)
    if is_base_url(name):
        if not permissions.ad_hoc:
            message = "apikit: only named connectors may be used here (installed with ad_hoc=False)."
            raise CallError(message)
        return ad_hoc_connector(name, dict(permissions.tokens))
    if permissions.connectors is not None and name not in permissions.connectors:
        allowed = ", ".join(sorted(permissions.connectors))
        message = f"apikit: the connector {name!r} may not be used here; allowed: {allowed}."
        raise CallError(message)
    return permissions.session.connector(name)
