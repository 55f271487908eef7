"""lint(): all that is wrong or doubtful in a manifest file, with the line, the key, and what would do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apikit_sql.column_types import Struct, parse_type
from apikit_sql.connector.config import wrong_entries
from apikit_sql.connector.findings import Finding, check, literal_secrets
from apikit_sql.connector.manifest import ConnectorDefinition, Stream
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.sources import Manifest
from apikit_sql.connector.template import fields_of
from apikit_sql.connector.toml_lines import Lines
from apikit_sql.errors import ConfigError
from apikit_sql.origin import origin_of

_AT_LINE = re.compile(r" \(at (?:line (\d+)|end of document).*\)")


@dataclass(frozen=True)
class LintFinding:
    """One finding in `file`: an `error` keeps the connector from being used, a `warning` does not.

    `line` counts from 1, 0 where the finding stands nowhere; `key` is dotted, `` for the file as a whole.
    """

    file: str
    line: int
    key: str
    level: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        """The finding as compilers write theirs."""
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {self.level}: {key}{self.message}"


def lint(path: Path | str) -> list[LintFinding]:
    """All findings in the manifest file, or the config file of `[connectors.NAME]`, by line; none where it is right.

    Nothing is sent. Raises ConfigError where the file cannot be read at all.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise ConfigError(message) from None
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: nested very deeply
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        return [LintFinding(str(file), line, "", "error", f"no TOML: {_AT_LINE.sub('', str(error))}")]
    lines = Lines(text)
    found = [
        LintFinding(str(file), lines.of(finding.key), finding.key, level, finding.message)
        for level, finding in _findings(data, file)
    ]
    return sorted(set(found), key=lambda each: (each.line, each.key, each.message))


Level = Literal["error", "warning"]


def _findings(data: dict[str, Any], file: Path) -> Iterator[tuple[Level, Finding]]:
    registry = ConnectorRegistry()
    is_config = "connectors" in data or (
        file.name == "config.toml" and "base_url" not in data and "extends" not in data
    )
    if not is_config or file.parent.name == "connectors":
        manifest = Manifest(str(file), {"name": file.name.removesuffix(".toml"), **data})
        registry.add(manifest)
        yield from _of_manifest(manifest, registry, "")
        return
    yield from (("error", finding) for finding in wrong_entries(data))
    entries = data["connectors"] if isinstance(data.get("connectors"), dict) else {}
    manifests = {
        name: Manifest(f"{file} [connectors.{name}]", {**entry, "name": name})
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }
    for manifest in manifests.values():
        registry.add(manifest)
    for name, manifest in manifests.items():
        if (own := entries[name].get("name", name)) != name:
            yield "error", Finding(f"connectors.{name}.name", f"is {own!r}, but it stands under {name!r}")
        yield from _of_manifest(manifest, registry, f"connectors.{name}.")


def _of_manifest(manifest: Manifest, registry: ConnectorRegistry, prefix: str) -> Iterator[tuple[Level, Finding]]:
    found = literal_secrets(manifest.data)
    told = {finding.key for finding in found}
    connector = None
    try:
        connector, more = check(registry.joined(manifest))
        found += (finding for finding in more if finding.key not in told)
    except ConfigError as error:
        found.append(Finding("extends", str(error)))
    for finding in found:
        yield "error", Finding((prefix + finding.key).rstrip("."), finding.message)
    for finding in _doubts(connector) if connector is not None and not found else ():
        yield "warning", Finding(prefix + finding.key, finding.message)


def _doubts(connector: ConnectorDefinition) -> Iterator[Finding]:
    """What the models admit, and hardly anybody means."""
    urls = {"base_url": connector.base_url, "auth.token_url": connector.auth.token_url or ""}
    wanted = {name: key for key, url in reversed(urls.items()) for name in fields_of(url)}
    for name, key in wanted.items():
        if name not in connector.variables:
            yield Finding(key, f"{{{name}}} is no variable; declare [variables.{name}] with env or default")
    for name in connector.variables.keys() - wanted.keys():
        yield Finding(f"variables.{name}", f"no URL has {{{name}}}")
    if connector.base_url.startswith("http://") and connector.auth.type != "none" and not _is_here(connector.base_url):
        yield Finding("base_url", "sends its credential in the clear; say https://")
    yield from _of_pagination(connector.pagination)
    if not connector.streams:
        yield Finding("streams", "there is none: apikit(name, '/path') works, but a catalog would be empty")
    for name, stream in connector.streams.items():
        for finding in _of_stream(stream):
            yield Finding(f"streams.{name}.{finding.key}".rstrip("."), finding.message)


def _of_stream(stream: Stream) -> Iterator[Finding]:
    if not stream.description:
        yield Finding("", "has no description; it is the comment of its table")
    if not stream.columns:
        yield Finding("", "declares no columns: they are read from a page whenever it is bound in a new session")
    for field in fields_of(stream.path):
        if all(key.path != field for key in stream.key_columns):
            remedy = f"add {{ column = '{field}', path = '{field}', required = true }}"
            yield Finding("path", f"{{{field}}} is filled by no key column; {remedy}")
    for name in stream.primary_key if stream.columns else ():
        if not _has(stream, name) and name not in stream.required:
            yield Finding("primary_key", f"{name!r} is no column")
    if stream.columns and stream.updated_at is not None and not _has(stream, stream.updated_at):
        yield Finding("updated_at", f"{stream.updated_at!r} is no column")
    yield from _of_pagination(stream.pagination or PaginationConfig())
    yield from _of_keys(stream)


def _of_pagination(settings: PaginationConfig) -> Iterator[Finding]:
    said = settings.model_fields_set - {"strategy", "max_pages", "end_status", "data_path"}
    if settings.strategy == "auto" and (unused := said - {"page_size", "limit_param"}):
        yield Finding("pagination", f"without a strategy {', '.join(sorted(unused))} means nothing: say strategy = ...")
    if settings.next_cursor_path and settings.next_cursor_header:
        yield Finding("pagination", "the cursor is in the body or in a header: say one of the two")


def _of_keys(stream: Stream) -> Iterator[Finding]:
    taken: set[str] = set()
    for number, key in enumerate(stream.key_columns):
        place = f"key_columns.{number}"
        if stream.columns and not key.required and not _has(stream, key.column):
            yield Finding(place, f"{key.column!r} is no column, so no predicate can name it")
        if (key.param or f"/{key.path}") in taken:
            yield Finding(place, f"{key.param or key.path!r} is filled by another key column, too")
        taken.add(key.param or f"/{key.path}")
        config = stream.columns.get(key.column)
        if key.format and config is not None and config.type.upper() in {"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"}:
            yield Finding(place, f"format says how times are sent, and {key.column!r} is {config.type}")


def _has(stream: Stream, path: str) -> bool:
    """Whether the dotted `path` is a column, or a field of one."""
    by_name = {name.lower(): config for name, config in stream.columns.items()}
    head, *steps = path.lower().split(".")
    if head not in by_name:
        return False
    kind = parse_type(by_name[head].type)
    for step in steps:
        fields = {name.lower(): inner for name, inner in kind.fields} if isinstance(kind, Struct) else {}
        if step not in fields:
            return False
        kind = fields[step]
    return True


def _is_here(base_url: str) -> bool:
    return origin_of(base_url).host in {"localhost", "127.0.0.1", "::1"}
