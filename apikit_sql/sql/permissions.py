"""What SQL may reach, and with what: the options of install(), checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError, ConfigError
from apikit_sql.origin import origin_text
from apikit_sql.plan.planner import USUAL_DEFAULTS, Defaults, ad_hoc_connector, is_base_url
from apikit_sql.redaction import redact_url
from apikit_sql.secrets import is_reference

T = TypeVar("T")

_LIKE_A_REFERENCE = re.compile(r"\s*(env|keyring)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Permissions:
    """What SQL may reach, and with what: the options of one `install`.

    `connectors` are the names allowed, None for all; `tokens` are an ad-hoc origin's token or reference to it;
    `read_posts` are patterns of its paths that are read by POST. `mutable` are the connectors, and origins of ad-hoc
    ones, that may be changed. Where `runs_once`, so does a SELECT, and may send mutations.
    """

    session: Session
    tokens: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    read_posts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ad_hoc: bool = True
    connectors: frozenset[str] | None = None
    allow_network: bool | None = None
    defaults: Defaults = USUAL_DEFAULTS
    mutable: frozenset[str] = frozenset()
    runs_once: bool = False

    def check_mutable(self, function: str, connector: str) -> None:
        """Raise CallError where `connector` may not be changed, and say how to allow it."""
        name = origin_text(connector) if is_base_url(connector) else connector
        if name not in self.mutable:
            message = f"{function}: {name} may only be read. Else say install(con, allow_mutations=[{name!r}])."
            raise CallError(message)

    def check_receivers(self, function: str) -> None:
        """Raise CallError where SQL is limited: it would open ports, and read any variable as a secret."""
        if not self.ad_hoc or self.connectors is not None:
            message = (
                f"{function}: SQL may start and stop no receivers here (installed with ad_hoc=False or connectors=...)."
            )
            raise CallError(message)

    def check_network(self, may_reach_outside: Callable[[], bool]) -> None:
        """Raise CallError where nothing may be sent; that is DuckDB's own setting unless `allow_network` says."""
        if not (may_reach_outside() if self.allow_network is None else self.allow_network):
            message = (
                "apikit sends nothing while enable_external_access is false. Say install(con, allow_network=True)."
            )
            raise CallError(message)


def permitted(name: str, permissions: Permissions) -> ConnectorDefinition:
    """The connector that SQL names. Raises CallError for one that may not be used, ConfigError for a wrong one."""
    if is_base_url(name):
        if not permissions.ad_hoc:
            message = "apikit: only named connectors may be used here (installed with ad_hoc=False)."
            raise CallError(message)
        return ad_hoc_connector(name, dict(permissions.tokens), dict(permissions.read_posts))
    _check_name(name, permissions)
    return permissions.session.connector(name)


def definition(name: str, permissions: Permissions) -> ConnectorDefinition:
    """The connector that SQL names, as its manifest has it: no setting of it need be there. Raises as `permitted`."""
    if is_base_url(name):
        return permitted(name, permissions)
    _check_name(name, permissions)
    return permissions.session.connectors.definition(name)


def _check_name(name: str, permissions: Permissions) -> None:
    if permissions.connectors is not None and name not in permissions.connectors:
        allowed = ", ".join(sorted(permissions.connectors))
        message = f"apikit: the connector {name!r} may not be used here; allowed: {allowed}."
        raise CallError(message)


def defaults_of(known: Defaults, max_wait: object, max_requests: object, cache: object) -> Defaults:
    """`known` with what is not None. Raises ConfigError for what is no number of seconds, or of requests."""
    if max_wait is not None:
        known = replace(known, max_wait=_seconds("max_wait", max_wait))
    if cache is not None:
        known = replace(known, cache=_seconds("cache", cache))
    if max_requests is not None:
        if isinstance(max_requests, bool) or not isinstance(max_requests, int) or max_requests < 1:
            message = f"max_requests: {max_requests!r} is not a number of requests."
            raise ConfigError(message)
        known = replace(known, max_requests=max_requests)
    return known


def _seconds(option: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        message = f"{option}: {value!r} is not a number of seconds."
        raise ConfigError(message)
    return value


def allowed_names(session: Session, connectors: Iterable[str | Path]) -> frozenset[str]:
    """The names that SQL may use, the manifests among `connectors` read."""
    if isinstance(connectors, str | Path):
        message = f"connectors: {str(connectors)!r} is one; write a list of them."
        raise ConfigError(message)
    names = frozenset(
        session.connectors.add_file(Path(each)) if str(each).endswith(".toml") else str(each) for each in connectors
    )
    for name in names:
        session.connectors.definition(name)
    return names


def mutable_of(session: Session, names: Iterable[str]) -> frozenset[str]:
    """The connectors, and origins of ad-hoc ones, that may be changed. Raises ConfigError for what is neither."""
    if isinstance(names, str):
        message = f"allow_mutations: {names!r} is one; write a list of them."
        raise ConfigError(message)
    known = frozenset(names)
    origins = {name: True for name in known if is_base_url(name)}
    for name in known - origins.keys():
        session.connectors.definition(name)
    return known - origins.keys() | {origin_text(name) for name, _ in _origins("allow_mutations", origins)}


def tokens_of(tokens: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The tokens by origin. Raises ConfigError for what is no origin, or no reference."""
    for origin, token in tokens.items():
        is_text = isinstance(token, str) and token.strip() != ""
        if not is_text or (_LIKE_A_REFERENCE.match(token) and not is_reference(token)):
            message = f"tokens: that of {redact_url(origin)!r} is no reference; write 'env:NAME' or 'keyring:NAME'."
            raise ConfigError(message)
    return _origins("tokens", tokens)


def read_posts_of(patterns: Mapping[str, Iterable[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The patterns of paths by origin. Raises ConfigError for what is none."""
    lists = {origin: (paths,) if isinstance(paths, str) else tuple(paths) for origin, paths in patterns.items()}
    for path in (path for paths in lists.values() for path in paths):
        if not path.startswith("/"):
            message = f"read_posts: {path!r} is not a path; it starts with '/', and * stands for any one segment."
            raise ConfigError(message)
    return _origins("read_posts", lists)


def _origins(option: str, by_origin: Mapping[str, T]) -> tuple[tuple[str, T], ...]:
    for origin in by_origin:
        scheme, _, rest = origin.partition("://")
        if scheme not in {"http", "https"} or not rest or set(rest.rstrip("/")) & set("/?#@"):
            shown = redact_url(origin)
            message = f"{option}: {shown!r} is not an origin alone; write 'https://host' or 'https://host:port'."
            raise ConfigError(message)
    return tuple((origin.rstrip("/"), value) for origin, value in by_origin.items())
