"""lint(): all that is wrong or doubtful in a manifest file, with the line, the key, and what would do."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apikit_sql.column_types import Struct, parse_type
from apikit_sql.connector.config import entries_of
from apikit_sql.connector.findings import Finding, check, literal_secrets
from apikit_sql.connector.manifest import Connector, Stream
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import ConfigError
from apikit_sql.origin import origin_of

_AT_LINE = re.compile(r" \(at (?:line (\d+)|end of document).*\)")
_CLOSERS = ("", "]", "}]", "}")  # what may end a value that goes on over several lines


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
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise ConfigError(message) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
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
    if "connectors" not in data:
        yield from _of_manifest({"name": file.name.removesuffix(".toml"), **data}, "")
        return
    try:
        entries = entries_of(data, str(file))
    except ConfigError as error:
        yield "error", Finding("", str(error))
        return
    for name, entry in entries.items():
        yield from _of_manifest({"name": name, **entry}, f"connectors.{name}.")


def _of_manifest(data: dict[str, Any], prefix: str) -> Iterator[tuple[Level, Finding]]:
    for finding in literal_secrets(data):
        yield "error", Finding(prefix + finding.key, finding.message)
    try:
        whole = ConnectorRegistry().joined(data)
    except ConfigError as error:
        yield "error", Finding(prefix + "extends", str(error))
        return
    connector, found = check(whole)
    for finding in found:
        yield "error", Finding(prefix + finding.key, finding.message)
    for finding in _doubts(connector) if connector is not None else ():
        yield "warning", Finding(prefix + finding.key, finding.message)


def _doubts(connector: Connector) -> Iterator[Finding]:
    """What the models admit, and hardly anybody means."""
    wanted = {*fields_of(connector.base_url), *fields_of(connector.auth.token_url or "")}
    for name in sorted(wanted - connector.variables.keys()):
        yield Finding("base_url", f"{{{name}}} is no variable; declare [variables.{name}] with env or default")
    for name in sorted(connector.variables.keys() - wanted):
        yield Finding(f"variables.{name}", f"no URL has {{{name}}}")
    if connector.base_url.startswith("http://") and connector.auth.type != "none" and not _is_here(connector.base_url):
        yield Finding("base_url", "sends its credential in the clear; say https://")
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
    filled = {key.column for key in stream.key_columns if key.required}
    for name in stream.primary_key if stream.columns else ():
        if not _has(stream, name) and name not in filled:
            yield Finding("primary_key", f"{name!r} is no column")
    if stream.columns and stream.updated_at is not None and not _has(stream, stream.updated_at):
        yield Finding("updated_at", f"{stream.updated_at!r} is no column")
    yield from _of_keys(stream)


def _of_keys(stream: Stream) -> Iterator[Finding]:
    taken: set[tuple[str | None, str]] = set()
    for number, key in enumerate(stream.key_columns):
        place = f"key_columns.{number}"
        if stream.columns and not key.required and not _has(stream, key.column):
            yield Finding(place, f"{key.column!r} is no column, so no predicate can name it")
        for operator in key.operators:
            if (key.param or f"/{key.path}", operator) in taken:
                yield Finding(place, f"{key.param or key.path!r} is filled by another key column for {operator}, too")
            taken.add((key.param or f"/{key.path}", operator))


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


class Lines:
    """Where the keys of a TOML text stand: told by how many lines of a table are needed until one is there."""

    def __init__(self, text: str) -> None:
        """The lines of `text`, which is TOML."""
        self._lines = text.splitlines()
        self._tables = list(_tables(self._lines))

    def of(self, key: str) -> int:
        """The line of the dotted `key`, that of the nearest one around it where it is missing, 0 for the file."""
        steps = key.split(".") if key else []
        while steps:
            for table, following in zip(self._tables, [*self._tables[1:], _Table(len(self._lines), ())], strict=True):
                local = table.local(steps)
                for number in range(table.start, following.start if local else table.start):
                    if _is_in("\n".join(self._lines[table.start : number + 1]), local):
                        return number + 1
            steps.pop()
        return 0


@dataclass(frozen=True)
class _Table:
    """A table's header line, counted from 0, and its path; of an array's tables with their number in it."""

    start: int
    path: tuple[str, ...]

    def local(self, steps: Sequence[str]) -> list[str]:
        """`steps` within a text that has this table alone, none where they do not lead into it."""
        shared = min(len(steps), len(self.path))
        if tuple(steps[:shared]) != self.path[:shared]:
            return []
        return ["0" if index < len(self.path) and step.isdigit() else step for index, step in enumerate(steps)]


def _tables(lines: Sequence[str]) -> Iterator[_Table]:
    """The tables of the text in order; what comes before the first header is one, too."""
    yield _Table(0, ())
    counts: Counter[tuple[str, ...]] = Counter()
    for start, line in enumerate(lines):
        if line.lstrip().startswith("["):
            path: list[str] = []
            data = _parsed(line)
            while isinstance(data, Mapping) and data:
                ((name, data),) = data.items()
                path.append(name)
            if isinstance(data, list):
                counts[tuple(path)] += 1
                path.append(str(counts[tuple(path)] - 1))
            if data is not None and path:
                yield _Table(start, tuple(path))


def _is_in(text: str, steps: Sequence[str]) -> bool:
    """Whether the beginning `text` of a table holds what `steps` lead to, an open value being closed."""
    return any(_leads(_parsed(text + closer), steps) for closer in _CLOSERS)


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _leads(data: object, steps: Sequence[str]) -> bool:
    for step in steps:
        if isinstance(data, Mapping) and step in data:
            data = data[step]
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return False
    return True
