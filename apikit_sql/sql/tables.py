"""apikit(): a call's JSON as the dataset that DuckDB scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from apikit_sql.connector.manifest import Connector
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_call
from apikit_sql.plan.planner import USUAL_LIMITS, Limits, ad_hoc_connector, is_base_url, plan_call
from apikit_sql.scan.dataset import ApiDataset
from apikit_sql.sql.seam import FIRST_AHEAD


@dataclass(frozen=True)
class Permissions:
    """What SQL may reach, and with what: the options of one `install`.

    `connectors` are the names allowed, None for all; `tokens` are an ad-hoc origin's token or reference to it;
    `read_posts` are patterns of its paths that are read by POST.
    """

    session: Session
    tokens: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    read_posts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ad_hoc: bool = True
    connectors: frozenset[str] | None = None
    allow_network: bool | None = None
    limits: Limits = USUAL_LIMITS


def apikit_dataset(
    arguments: str, permissions: Permissions, new_scan: Callable[[], Event], may_reach_outside: Callable[[], bool]
) -> ApiDataset:
    """The table of one `apikit(...)`, its arguments as JSON text. Raises CallError for what may not be reached.

    `may_reach_outside` tells whether DuckDB itself may, and is asked where the permissions leave it to DuckDB.
    """
    call = read_call(arguments)
    if not (may_reach_outside() if permissions.allow_network is None else permissions.allow_network):
        message = "apikit sends nothing while enable_external_access is false. Say install(con, allow_network=True)."
        raise CallError(message)
    connector = _permitted(call.connector, permissions)
    return ApiDataset(
        plan_call(call, connector, permissions.limits), permissions.session, new_scan, first_ahead=FIRST_AHEAD
    )


def _permitted(name: str, permissions: Permissions) -> Connector:
    if is_base_url(name):
        if not permissions.ad_hoc:
            message = "apikit: only named connectors may be used here (installed with ad_hoc=False)."
            raise CallError(message)
        return ad_hoc_connector(name, dict(permissions.tokens), dict(permissions.read_posts))
    if permissions.connectors is not None and name not in permissions.connectors:
        allowed = ", ".join(sorted(permissions.connectors))
        message = f"apikit: the connector {name!r} may not be used here; allowed: {allowed}."
        raise CallError(message)
    return permissions.session.connector(name)
