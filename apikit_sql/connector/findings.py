"""What is wrong with a manifest's data: every finding with its key, and what would do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from apikit_sql.connector.manifest import (
    SECRET_FIELDS,
    AuthConfig,
    ColumnConfig,
    Connector,
    KeyColumn,
    PaginationConfig,
    RateLimitConfig,
    RetryConfig,
    Stream,
    Variable,
)
from apikit_sql.redaction import is_secret_header, is_secret_param
from apikit_sql.secrets import is_reference

#: A connector's name, which is a prefix in SQL.
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_PLAINLY = {"missing": "is needed", "tuple_type": "must be a list: ['...']", "string_type": "must be a text"}
_MODELS: Mapping[str, type[BaseModel]] = {
    "": Connector,
    "auth": AuthConfig,
    "pagination": PaginationConfig,
    "rate_limit": RateLimitConfig,
    "retry": RetryConfig,
    "variables.*": Variable,
    "streams.*": Stream,
    "streams.*.pagination": PaginationConfig,
    "streams.*.columns.*": ColumnConfig,
    "streams.*.key_columns.*": KeyColumn,
}


@dataclass(frozen=True)
class Finding:
    """What is wrong under one dotted key; `` is the manifest as a whole."""

    key: str
    message: str

    def __str__(self) -> str:
        """The finding as one line."""
        return ": ".join(filter(None, (self.key, self.message)))


def findings_of(error: ValidationError) -> list[Finding]:
    """What `error` found, without the values given."""
    return [
        Finding(".".join(map(str, each["loc"])), _words(each["type"], each["msg"], each["loc"]))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def explain(error: ValidationError) -> str:
    """What `error` found, one `key: reason` each."""
    return "; ".join(map(str, findings_of(error)))


def check(data: Mapping[str, Any]) -> tuple[Connector | None, list[Finding]]:
    """The connector that `data` declares, None where it declares none, and all that is wrong with it."""
    try:
        connector = Connector.model_validate(data)
    except ValidationError as error:
        return None, findings_of(error)
    found = list(_credentials_elsewhere(connector))
    if not _NAME.fullmatch(connector.name):
        found.append(Finding("name", f"{connector.name!r} must be lower case letters, digits and '_'"))
    return connector, found


def literal_secrets(data: Mapping[str, Any]) -> list[Finding]:
    """The secrets that stand in the `data` of a file: it may be shared, so it must only refer to them."""
    auth = data.get("auth")
    message = "must be a reference (env:NAME or keyring:NAME), not the secret itself"
    given = {field: auth.get(field) for field in SECRET_FIELDS - {"username"}} if isinstance(auth, Mapping) else {}
    return [
        Finding(f"auth.{field}", message)
        for field, value in sorted(given.items())
        if value is not None and not (isinstance(value, str) and is_reference(value))
    ]


def _words(kind: str, message: str, place: tuple[str | int, ...]) -> str:
    if kind == "extra_forbidden":
        return "there is no such setting" + _near(place)
    return _PLAINLY.get(kind) or message.removeprefix("Value error, ")


def _near(place: tuple[str | int, ...]) -> str:
    """The settings of names like the last of `place`, as a question."""
    for pattern, model in _MODELS.items():
        steps = pattern.split(".") if pattern else []
        if len(steps) == len(place) - 1 and all(s in {"*", str(p)} for s, p in zip(steps, place, strict=False)):
            near = difflib.get_close_matches(str(place[-1]), model.model_fields, n=2)
            return f"; did you mean {' or '.join(near)}?" if near else ""
    return ""


def _credentials_elsewhere(connector: Connector) -> Iterator[Finding]:
    """Only what stands under `auth` is bound to the API's origin and masked."""
    places = {f"headers.{name}": is_secret_header(name) for name in connector.headers}
    for name, stream in connector.streams.items():
        places |= {f"streams.{name}.params.{param}": is_secret_param(param) for param in stream.params}
    for place, is_secret in places.items():
        if is_secret:
            yield Finding(place, "carries a credential; say it under [auth], as a reference (env:NAME)")
