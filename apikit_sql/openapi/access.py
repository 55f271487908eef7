"""Where an API of an OpenAPI document is, how a caller proves who it is, and the headers that each request needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from apikit_sql.errors import ConfigError
from apikit_sql.openapi.operations import ListOperation
from apikit_sql.openapi.schema import Schemas, mapping, sequence
from apikit_sql.openapi.text import sentence, snake
from apikit_sql.redaction import is_secret_header

_FIELD = re.compile(r"\{([^{}]*)\}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_TOKEN_URL = re.compile(r"(https?:/)?/[^?#\s\\@]+")
#: Which kind of credential is taken where there is a choice: those that need the fewest steps first.
_RANKS = ("bearer", "apikey", "basic", "oauth2")

Settings = dict[str, Any]


def place_of(document: Mapping[str, Any], name: str) -> tuple[str, dict[str, Settings]]:
    """The base URL of the first https server, and its variables. Raises ConfigError where no server has a URL."""
    servers = [mapping(each) for each in sequence(document.get("servers"))]
    urls = [url for each in servers if re.match(r"https?://", url := str(each.get("url") or ""))]
    if not urls:
        message = "the document has no servers with a whole URL. Add one: servers: [{url: https://api.example.com}]."
        raise ConfigError(message)
    url = next((each for each in urls if each.startswith("https://")), urls[0])
    told = next(mapping(each.get("variables")) for each in servers if each.get("url") == url)
    variables: dict[str, Settings] = {}
    for field in dict.fromkeys(_FIELD.findall(url)):
        own = mapping(told.get(field))
        default = str(own.get("default", next(iter(sequence(own.get("enum"))), "")))
        if default and (not _LABEL.fullmatch(default) or f":{{{field}}}" in url):
            url = url.replace(f"{{{field}}}", default)  # a path or a port is no hostname label
            continue
        key = snake(field) or "server"
        url = url.replace(f"{{{field}}}", f"{{{key}}}")
        described = {"description": sentence(own.get("description")), "env": _env(name, key), "default": default}
        variables[key] = {setting: value for setting, value in described.items() if value}
    return url.rstrip("/"), variables


def auth_of(
    document: Mapping[str, Any], operations: Iterable[ListOperation], schemas: Schemas, name: str
) -> tuple[Settings, list[str]]:
    """The auth of the document, and what to say about it.

    It is the document's own security, else what most of the operations ask for.
    """
    wanted = [mapping(each) for each in _security(document, operations)]
    schemes = mapping(mapping(document.get("components")).get("securitySchemes"))
    options = []
    for requirement in wanted:
        for scheme, scopes in requirement.items():
            if auth := _auth(schemas.resolve(schemes.get(scheme)), sequence(scopes), name):
                options.append((len(requirement), _RANKS.index(auth["type"]), scheme, requirement, auth))
    if not options:
        notes = [f"The document asks for {' or '.join(map(' and '.join, wanted))}, which has no counterpart here."]
        return {}, notes if any(wanted) else []
    *_, scheme, requirement, auth = min(options, key=lambda option: option[:2])
    beside = [f"The document asks for {other} as well." for other in requirement if other != scheme]
    return auth | ({"optional": True} if {} in wanted else {}), beside


def headers_of(operations: Iterable[ListOperation]) -> tuple[Settings, list[str]]:
    """The required headers that always have one value, and the names of those that a person must fill in."""
    values: dict[str, set[str]] = {}
    for listed in operations:
        for each in listed.parameters:
            is_own = each.name.lower() not in {"accept", "content-type", "authorization"}
            if each.place == "header" and each.is_required and is_own and not is_secret_header(each.name):
                values.setdefault(each.name, set()).add("" if each.only_value is None else str(each.only_value))
    known = {name: min(found) for name, found in sorted(values.items()) if len(found) == 1 and "" not in found}
    return known, sorted(values.keys() - known.keys())


def _security(document: Mapping[str, Any], operations: Iterable[ListOperation]) -> list[Any]:
    if "security" in document:
        return sequence(document["security"])
    asked = [sequence(listed.operation["security"]) for listed in operations if "security" in listed.operation]
    counts = Counter(map(repr, asked))
    return min(asked, key=lambda each: (-counts[repr(each)], repr(each)), default=[])


def _auth(scheme: Mapping[str, Any], scopes: list[Any], name: str) -> Settings | None:
    """The auth of one security scheme, None for one that has no counterpart."""
    bearer = {"type": "bearer", "token": f"env:{_env(name, 'token')}"}
    match scheme:
        case {"type": "http", "scheme": str(kind)} if kind.lower() == "bearer":
            return bearer
        case {"type": "http", "scheme": str(kind)} if kind.lower() == "basic":
            secrets = {part: f"env:{_env(name, part)}" for part in ("username", "password")}
            return {"type": "basic"} | secrets
        case {"type": "apiKey", "in": "header" | "query" as place, "name": str(key)}:
            field = "api_key_header" if place == "header" else "api_key_query_param"
            return {"type": "apikey", "api_key": f"env:{_env(name, 'api_key')}", field: key}
        case {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": str(url)}}} if _TOKEN_URL.fullmatch(url):
            secrets = {part: f"env:{_env(name, part)}" for part in ("client_id", "client_secret")}
            asked = {"scopes": [str(scope) for scope in scopes]} if scopes else {}
            return {"type": "oauth2", "token_url": url} | secrets | asked
        case {"type": "oauth2" | "openIdConnect"}:
            return bearer
        case _:
            return None


def _env(name: str, part: str) -> str:
    """The environment variable of a setting: `GITHUB_TOKEN`."""
    return f"{snake(name)}_{part}".upper()
