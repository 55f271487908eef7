"""What may come next in a statement or a dot command: candidates for the word before the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from apikit_sql.cli.dot_commands import COMMANDS
from apikit_sql.cli.settings import MODES

_CONNECTOR = re.compile(r"\bapikit\w*\(\s*'(?P<word>\w*)$", re.IGNORECASE)
_STREAM = re.compile(r"\bapikit\w*\(\s*'(?P<connector>\w+)'\s*,\s*'(?P<word>\w*)$", re.IGNORECASE)
_TABLE_NAME = re.compile(r"\b(from|join)\s+'(?P<word>\w*)$", re.IGNORECASE)
_MEMBER = re.compile(r"\b(?P<owner>\w+)\.(?P<word>\w*)$")
_AFTER_FROM = re.compile(r"\b(from|join|describe|summarize|into|update|table)\s+(?P<word>\w*)$", re.IGNORECASE)
_WORD = re.compile(r"(?P<word>\w*)$")
_DOT_COMMAND = re.compile(r"\s*\.(?P<word>\w*)$")
_DOT_ARGUMENT = re.compile(r"\s*\.(?P<command>\w+)\s+(?P<word>\w*)$")
_USED_STREAM = re.compile(r"\bapikit\w*\(\s*'(\w+)'\s*,\s*'(\w+)'", re.IGNORECASE)
_USED_TABLE = re.compile(r'\b(?:from|join|update|into)\s+(?:"?\w+"?\.)*"?(\w+)"?(?:\s+(?:as\s+)?(\w+))?', re.IGNORECASE)
#: Dot commands whose argument is a connector.
_OF_CONNECTORS = frozenset({"connectors", "streams", "attach", "inspect"})


class Names(Protocol):
    """The names that there are, as `vocabulary.Vocabulary` has them."""

    @property
    def keywords(self) -> list[str]:
        """Those of SQL."""

    @property
    def functions(self) -> list[str]:
        """Functions and macros."""

    @property
    def tables(self) -> list[tuple[str, str, str]]:
        """Database, schema and name of each."""

    @property
    def connectors(self) -> list[str]:
        """Those that are known."""

    def streams(self, connector: str) -> list[str]:
        """The streams of a connector."""

    def columns(self, tables: Iterable[str]) -> list[str]:
        """The columns of tables."""

    def stream_columns(self, connector: str, stream: str) -> list[str]:
        """The columns that a stream declares."""


@dataclass(frozen=True)
class Candidate:
    """A word that may stand in the place of the last `length` characters, and what it is."""

    text: str
    length: int
    kind: str


def candidates(before: str, after: str, names: Names) -> Iterator[Candidate]:
    """What may stand at the end of `before`, each once, the likeliest first; `after` is the rest of the text."""
    found = _found(before, after, names)
    if found is None:
        return
    word, offered = found
    seen: set[str] = set()
    for kind, texts in offered:
        for text in texts:
            if text.lower().startswith(word.lower()) and text.lower() not in seen:
                seen.add(text.lower())
                yield Candidate(_quoted(text, kind), len(word), kind)


_Offered = tuple[str, list[tuple[str, Iterable[str]]]]


def _found(before: str, after: str, names: Names) -> _Offered | None:
    """The word at the end of `before`, and what may stand there by its kind."""
    if match := _DOT_COMMAND.fullmatch(before):
        return match["word"], [("command", [each.name for each in COMMANDS])]
    if match := _DOT_ARGUMENT.fullmatch(before):
        command = match["command"]
        texts = MODES if command == "mode" else names.connectors if command in _OF_CONNECTORS else ()
        return match["word"], [("", texts)]
    if match := _STREAM.search(before):
        return match["word"], [("stream", names.streams(match["connector"]))]
    if (match := _CONNECTOR.search(before)) or (match := _TABLE_NAME.search(before)):
        return match["word"], [("connector", names.connectors)]
    if before.count("'") % 2:
        return None
    if match := _MEMBER.search(before):
        return match["word"], _members(match["owner"], before + after, names)
    if match := _AFTER_FROM.search(before):
        return match["word"], _tables(names, with_functions=bool(match["word"]))
    match = _WORD.search(before)
    word = match["word"] if match else ""
    return word, _anywhere(word, before + after, names)


def _members(owner: str, text: str, names: Names) -> list[tuple[str, Iterable[str]]]:
    """What may follow `owner` and a dot: tables of a database or schema, columns of a table or of its other name."""
    tables = [name for database, schema, name in names.tables if owner.lower() in {database.lower(), schema.lower()}]
    used = [table for table, alias in _USED_TABLE.findall(text) if owner.lower() in {table.lower(), alias.lower()}]
    return [("table", tables), ("column", names.columns(used or [owner]))]


def _tables(names: Names, *, with_functions: bool) -> list[tuple[str, Iterable[str]]]:
    offered: list[tuple[str, Iterable[str]]] = [
        ("table", [name for _, _, name in names.tables]),
        ("database", [database for database, _, _ in names.tables]),
    ]
    return [*offered, ("function", names.functions)] if with_functions else offered


def _anywhere(word: str, text: str, names: Names) -> list[tuple[str, Iterable[str]]]:
    columns = names.columns(table for table, _ in _USED_TABLE.findall(text))
    for connector, stream in _USED_STREAM.findall(text):
        columns += names.stream_columns(connector, stream)
    if not word:
        return [("column", columns)]
    keywords = [each.upper() if word.isupper() else each for each in names.keywords]
    return [
        ("column", columns),
        ("function", names.functions),
        ("keyword", keywords),
        *_tables(names, with_functions=False),
    ]


def _quoted(text: str, kind: str) -> str:
    """`text` as it is written: a column or a table with other characters than those of a word needs quotes."""
    is_name = kind in {"column", "table", "database"}
    return text if not is_name or re.fullmatch(r"[A-Za-z_]\w*", text) else '"' + text.replace('"', '""') + '"'
