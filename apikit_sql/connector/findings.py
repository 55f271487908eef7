"""What is wrong with a manifest's data: every finding with its key, and what would do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from apikit_sql.connector.extending import with_given_settings, wrong_settings
from apikit_sql.connector.manifest import ColumnConfig, ConnectorDefinition, KeyColumn, Stream, Variable
from apikit_sql.connector.protocol import SECRET_FIELDS, AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.redaction import is_secret_header, is_secret_param
from apikit_sql.secrets import is_reference

#: A connector's name, which is a prefix in SQL.
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_TABLE = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object: {...}")
_PLAINLY = _TABLE | {"missing": "is needed", "tuple_type": "must be a list: ['...']", "string_type": "must be a text"}
_MODELS: Mapping[str, type[BaseModel]] = {
    "": ConnectorDefinition,
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
        Finding(_key(each["loc"]), _words(each["type"], each["msg"], each["loc"]))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def explain(error: ValidationError) -> str:
    """What `error` found, one `key: reason` each."""
    return "; ".join(map(str, findings_of(error)))


def check(data: Mapping[str, Any]) -> tuple[ConnectorDefinition | None, list[Finding]]:
    """The connector that `data` declares, None where it declares none, and all that is wrong with it."""
    found = [Finding(key, message) for key, message in wrong_settings(data).items()]
    found += [*_wrong_names(data), *_credentials_elsewhere(data), *_out_of_tls(data)]
    try:
        connector = ConnectorDefinition.model_validate(with_given_settings(data))
    except ValidationError as error:
        told = {finding.key for finding in found}
        return None, found + [each for each in findings_of(error) if not {each.key, _setting_at(each.key)} & told]
    return connector, found


def is_name(text: str) -> bool:
    """Whether `text` may be a connector's name: it stands in SQL without quotes."""
    return _NAME.fullmatch(text) is not None


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


def _key(place: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in place if step != "[key]")


def _words(kind: str, message: str, place: tuple[str | int, ...]) -> str:
    if kind == "extra_forbidden":
        return "there is no such setting" + _near(place)
    if place[-1:] == ("auth",) and kind in _TABLE:
        return "must be an object: { type = 'bearer', token = 'env:NAME' }"
    if place[-1:] == ("key_columns",) and kind == "tuple_type":
        return "must be a list of objects: [{ column = 'state', param = 'state' }]"
    return _PLAINLY.get(kind) or message.removeprefix("Value error, ").replace("Input should be", "must be")


def _near(place: tuple[str | int, ...]) -> str:
    """The settings of names like the last of `place`, as a question, or where it belongs."""
    name = str(place[-1])
    if place == (name,) and name in Stream.model_fields:
        return f"; it is one of a stream: streams.NAME.{name}"
    if place == ("connectors",):
        return "; a manifest in a file of its own is written without [connectors.NAME]"
    for pattern, model in _MODELS.items():
        steps = pattern.split(".") if pattern else []
        if len(steps) == len(place) - 1 and all(s in {"*", str(p)} for s, p in zip(steps, place, strict=False)):
            known = [*model.model_fields, *(("extends", "settings") if model is ConnectorDefinition else ())]
            near = difflib.get_close_matches(name, known, n=2)
            return f"; did you mean {' or '.join(near)}?" if near else ""
    return ""


def _setting_at(key: str) -> str:
    """The setting that gave the value at `key`."""
    return "settings." + key.removeprefix("variables.").removesuffix(".default")


def _wrong_names(data: Mapping[str, Any]) -> Iterator[Finding]:
    name, taken = data.get("name"), set[str]()
    if isinstance(name, str) and not is_name(name):
        yield Finding("name", f"{name!r} must be lower case letters, digits and '_', and begin with a letter")
    for stream in _table(data.get("streams")):
        if stream.lower() in taken:
            message = "differs from another stream by case only, which DuckDB does not tell apart"
            yield Finding(f"streams.{stream}", message)
        taken.add(stream.lower())


def _out_of_tls(data: Mapping[str, Any]) -> Iterator[Finding]:
    """What would take a request, and with it a credential, out of TLS."""
    origins, token_url = data.get("allowed_origins"), _table(data.get("auth")).get("token_url")
    places = dict(enumerate(origins)) if isinstance(origins, list | tuple) else {}
    urls = {f"allowed_origins.{number}": each for number, each in places.items()} | {"auth.token_url": token_url}
    for key, url in urls.items():
        if str(data.get("base_url")).startswith("https://") and str(url).startswith("http://"):
            yield Finding(key, "must be https, as the base URL is")


def _credentials_elsewhere(data: Mapping[str, Any]) -> Iterator[Finding]:
    """Only what stands under `auth` is bound to the API's origin and masked."""
    places = {f"headers.{name}": is_secret_header(name) for name in _table(data.get("headers"))}
    places |= {f"params.{name}": is_secret_param(name) for name in _table(data.get("params"))}
    for name, stream in _table(data.get("streams")).items():
        places |= {
            f"streams.{name}.params.{each}": is_secret_param(each) for each in _table(_table(stream).get("params"))
        }
    for place, is_secret in places.items():
        if is_secret:
            yield Finding(place, "carries a credential; say it under [auth], as a reference (env:NAME)")


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
