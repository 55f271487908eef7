"""What to read an inspected API with: a manifest of one stream, and the options of apikit()."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from apikit_sql.column_types import Column
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import SECRET_FIELDS, AuthConfig, PaginationConfig
from apikit_sql.connector.toml_text import comment, pairs, table
from apikit_sql.openapi.paging import LIMITS
from apikit_sql.openapi.schema import type_text
from apikit_sql.openapi.text import snake
from apikit_sql.plan.call import Call
from apikit_sql.plan.planner import is_base_url
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.plan.values import query_params
from apikit_sql.redaction import MASK, is_masked_param, is_secret_param
from apikit_sql.secrets import is_reference

_LETTER = re.compile(r"[A-Za-z]")
_SUFFIX = re.compile(r"\.(json|php|aspx?)$")

Settings = dict[str, Any]


@dataclass(frozen=True)
class Suggestion:
    """What was asked, and what its page has told.

    It `is_whole` unless the API has more pages that nothing leads to. `hide` masks the credential.
    """

    call: Call
    connector: ConnectorDefinition
    plan: ScanPlan
    pagination: PaginationConfig
    is_whole: bool
    evidence: str
    record_path: str
    columns: tuple[Column, ...]
    hide: Callable[[str], str]

    @property
    def is_paged(self) -> bool:
        """Whether a strategy is known; without one the API's first page decides each time, so that it may grow."""
        return self.pagination.strategy != "none" or self._is_declared

    @property
    def params(self) -> Mapping[str, str | list[str] | None]:
        """The parameters that the call has given, as texts; one that occurs several times is a list."""
        pairs = query_params("params", self.call.params, self.call.params_type)
        return dict.fromkeys(self.call.params) | _by_name(pairs)

    def options(self) -> Settings:
        """The options of apikit() that read what was asked, but for its connector and path."""
        masked = {name: MASK if is_masked_param(name) else value for name, value in self.params.items()}
        found: Settings = {"params": masked} if masked else {}
        if self.plan.request.record_path is None:
            found["data_path"] = self.record_path
        if self.is_paged and not self._is_declared:
            found["pagination"] = settings_of(self.pagination)
        return found if self.is_whole else found | {"pages": 1}

    @property
    def _is_declared(self) -> bool:
        """Whether the connector itself says how it pages."""
        return self.plan.request.pagination.strategy != "auto"


def manifest_text(found: Suggestion) -> str:
    """The TOML of a connector with one stream.

    One for a base URL says all of it; one for a connector extends that. What was found to have no further pages says
    nothing of them: then its first page is asked each time, and more pages later are read or told.
    """
    name, stream = _names(found)
    settings, pagination = _stream(found)
    notes = [f"Suggested by apikit_inspect, from one page of {found.plan.request.path}. Pagination: {found.evidence}."]
    notes += [
        f"{param} is left out: it looks like a credential. Say it under [auth]."
        for param in found.params
        if is_secret_param(param)
    ]
    is_told = all(column.path == (column.name,) for column in found.columns)
    if not is_told:
        notes.append("Its columns are not declared, for not all of them are fields of a record by their own names.")
    columns = {column.name: type_text(column.type) for column in found.columns} if is_told else {}
    lines = [
        *map(comment, notes),
        *pairs(_place(found, name)),
        *(table("auth", _auth(found.connector.auth, name)) if is_base_url(found.call.connector) else ()),
        *table(f"streams.{stream}", settings),
        *table(f"streams.{stream}.pagination", pagination),
        *table(f"streams.{stream}.columns", columns),
    ]
    return found.hide("\n".join(lines) + "\n")


def settings_of(pagination: PaginationConfig) -> Settings:
    """What `pagination` says, as a manifest and `pagination := {...}` write it."""
    told = pagination.model_dump(exclude_defaults=True, exclude={"data_path"})
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def _names(found: Suggestion) -> tuple[str, str]:
    """What to call the connector and its stream."""
    path = _SUFFIX.sub("", unquote(found.plan.request.path).rstrip("/"))
    words = [snake(step) for step in path.split("/") if _LETTER.search(step)]
    stream = next((word for word in reversed(words) if word), "records")
    if is_base_url(found.call.connector):
        return snake(urlsplit(found.connector.base_url).hostname or "") or "api", stream
    return f"{snake(found.connector.name)}_{stream}", stream


def _place(found: Suggestion, name: str) -> Settings:
    if is_base_url(found.call.connector):
        return {"name": name, "base_url": found.connector.base_url}
    return {"name": name, "extends": found.connector.name}


def _auth(auth: AuthConfig, name: str) -> Settings:
    """The settings of `auth`; a secret that is no reference becomes one to an environment variable."""
    told = auth.model_dump(exclude_defaults=True)
    for field in SECRET_FIELDS & told.keys():
        text = told[field].get_secret_value()
        told[field] = text if is_reference(text) else "env:" + f"{name}_{field}".upper()
    return told


def _stream(found: Suggestion) -> tuple[Settings, Settings]:
    """The settings of the stream, and of its pagination, which takes over the parameters that it sends itself."""
    request, declared = found.plan.request, found.connector.streams.get(found.call.path)
    pagination = settings_of(found.pagination) if found.is_paged else {}
    sent = {**(_by_name(query_params("params", declared.params, "")) if declared else {}), **found.params}
    params = {name: value for name, value in sent.items() if value is not None and not is_secret_param(name)}
    if params.get(name := pagination.get("page_param", "")) == str(pagination.get("start_page", 1)):
        del params[name]
    if params.get(name := pagination.get("offset_param", "")) == "0":
        del params[name]
    size = next((name for name, value in params.items() if snake(name) in LIMITS and _is_size(value)), None)
    if pagination.get("strategy", "none") != "none" and size is not None and "limit_param" not in pagination:
        pagination |= {"limit_param": size, "page_size": int(params.pop(size))}
    about = (declared and declared.description) or f"{request.path} of {request.connector}"
    settings: Settings = {"path": request.path, "description": about, "data_path": found.record_path, "params": params}
    if request.method != "GET" and declared is not None:
        settings |= {"method": declared.method, "body": declared.body}
    return {name: value for name, value in settings.items() if value not in ({}, None)}, pagination


def _is_size(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and int(value) > 0


def _by_name(pairs: Any) -> dict[str, Any]:  # noqa: ANN401 - pairs of texts
    """The values by name; a list where a name occurs several times."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        known = found.get(name)
        found[name] = value if known is None else [*([known] if isinstance(known, str) else known), value]
    return found
