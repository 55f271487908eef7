"""How rows are written: each mode as DuckDB's own shell writes it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from apikit_sql.cli.settings import Settings
from apikit_sql.cli.texts import DuckDBTexts, Ends, Texts, unique
from apikit_sql.cli.visible import on_one_line
from apikit_sql.sql.single_runs import Result

_PLAN = ["explain_key", "explain_value"]
_NEEDS_QUOTES = re.compile("[\x00-\x1f\"'\x7f-\U0010ffff]")
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|BIGNUM")
_LABEL = 5  # the narrowest column of names in the mode `line`

Row = Sequence[str]


def pieces(result: Result, settings: Settings, texts: DuckDBTexts, width: int) -> Iterator[str]:
    """What a statement gives, as text in the mode of `settings`; a box has `width` columns at most, any if 0."""
    if result.names == _PLAN:
        return (f"{(plan or '').rstrip()}\n" for batch in result.batches for _, plan in texts.texts(batch))
    match settings.mode:
        case "duckbox":
            return _duckbox(result, settings, texts, width)
        case "json" | "jsonlines":
            rows = (texts.json(batch, result.types) for batch in result.batches)
            return _json(result.names, rows, is_list=settings.mode == "json")
    return _of_texts(result, settings, map(texts.texts, result.batches))


def _of_texts(result: Result, settings: Settings, batches: Iterator[Texts]) -> Iterator[str]:
    null = settings.null_value
    rows = ([[null if value is None else value for value in row] for row in batch] for batch in batches)
    match settings.mode:
        case "csv":
            return _separated(result.names, rows, settings, ",", quote=True)
        case "list":
            return _separated(result.names, rows, settings, "|", quote=False)
        case "line":
            return _labelled(result.names, rows)
        case "markdown":
            return _markdown(result, rows)
        case "column":
            return _column(result.names, rows, has_header=settings.has_header)
        case "table":
            return _framed(result.names, rows, ("+-++", "+-++", "+-++"), "|")
        case _:
            return _framed(result.names, rows, ("┌─┬┐", "├─┼┤", "└─┴┘"), "│")


def _duckbox(result: Result, settings: Settings, texts: DuckDBTexts, width: int) -> Iterator[str]:
    ends = Ends(result.empty, settings.most_rows)
    for batch in result.batches:
        ends.take(batch)
    yield texts.box(ends, unique(result.names), settings, width)


def _json(names: Row, batches: Iterator[Texts], *, is_list: bool) -> Iterator[str]:
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    before, between, after = ("[", ",\n", "]\n") if is_list else ("", "\n", "\n")
    is_first = True
    for batch in batches:
        objects = [
            "{" + ",".join(f"{key}:{value or 'null'}" for key, value in zip(keys, row, strict=True)) + "}"
            for row in batch
        ]
        if objects:
            yield (before if is_first else between) + between.join(objects)
            is_first = False
    if is_list or not is_first:
        yield (before if is_first else "") + after


def _separated(
    names: Row, batches: Iterator[list[list[str]]], settings: Settings, usual: str, *, quote: bool
) -> Iterator[str]:
    separator = usual if settings.separator is None else settings.separator

    def line(row: Row) -> str:
        return separator.join([_quoted(text, separator) for text in row] if quote else row) + "\n"

    if settings.has_header:
        yield line(names)
    for batch in batches:
        yield "".join(map(line, batch))


def _quoted(text: str, separator: str) -> str:
    """`text` in CSV: quoted where DuckDB's shell quotes it, which is more often than need be."""
    if _NEEDS_QUOTES.search(text) or (separator and separator in text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _labelled(names: Row, batches: Iterator[list[list[str]]]) -> Iterator[str]:
    width = max(_LABEL, *map(_width, names))
    labels = [" " * (width - _width(name)) + name for name in names]
    before = ""
    for row in chain.from_iterable(batches):
        yield before + "".join(f"{label} = {value}\n" for label, value in zip(labels, row, strict=True))
        before = "\n"


def _markdown(result: Result, batches: Iterable[list[list[str]]]) -> Iterator[str]:
    rows = [[on_one_line(text).replace("|", "\\|") for text in row] for batch in batches for row in batch]
    names = [on_one_line(name).replace("|", "\\|") for name in result.names]
    widths = _widths(names, rows)
    yield "| " + " | ".join(map(_centered, names, widths)) + " |\n"
    ends = [":" if _NUMBER.fullmatch(kind) else "-" for kind in result.types]
    yield "|" + "|".join("-" * (width + 1) + end for width, end in zip(widths, ends, strict=True)) + "|\n"
    for row in rows:
        yield "| " + " | ".join(map(_padded, row, widths)) + " |\n"


def _column(names: Row, batches: Iterable[list[list[str]]], *, has_header: bool) -> Iterator[str]:
    rows = [[on_one_line(text) for text in row] for batch in batches for row in batch]
    names = [on_one_line(name) for name in names]
    widths = _widths(names, rows)
    if has_header:
        yield "  ".join(map(_padded, names, widths)) + "\n"
        yield "  ".join("-" * width for width in widths) + "\n"
    for row in rows:
        yield "  ".join(map(_padded, row, widths)) + "\n"


def _framed(names: Row, batches: Iterable[list[list[str]]], lines: Sequence[Sequence[str]], side: str) -> Iterator[str]:
    """A table in a frame; `lines` are its first, that below the names and its last: left end, stroke, joint, right."""
    rows = [[on_one_line(text) for text in row] for batch in batches for row in batch]
    names = [on_one_line(name) for name in names]
    widths = _widths(names, rows)
    first, below, last = (
        left + joint.join(stroke * (width + 2) for width in widths) + right + "\n"
        for left, stroke, joint, right in lines
    )
    yield first + f"{side} " + f" {side} ".join(map(_centered, names, widths)) + f" {side}\n" + below
    for row in rows:
        yield f"{side} " + f" {side} ".join(map(_padded, row, widths)) + f" {side}\n"
    yield last


def _widths(names: Row, rows: Sequence[Row]) -> list[int]:
    return [max(map(_width, column)) for column in zip(names, *rows, strict=True)]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _centered(text: str, width: int) -> str:
    left = (width - _width(text)) // 2
    return _padded(" " * left + text, width)


def _width(text: str) -> int:
    """The columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(each) in {"Mn", "Me", "Cf"} else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )
