"""The words of a drafted manifest: names as people type them, sentences cut short, and TOML laid out to be edited."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tomli_w

_LONGEST_SENTENCE = 100
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_END_OF_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)[.!?](?=\s|$)")


def snake(name: str) -> str:
    """`name` in lower case, its words joined by `_`; an identifier, or nothing where it has no letter or digit."""
    joined = _NO_WORD.sub("_", _HUMP.sub("_", name)).strip("_").lower()
    return f"_{joined}" if joined[:1].isdigit() else joined


def sentence(text: object) -> str:
    """The first sentence of a description, without its stop and markup, cut at about a hundred characters."""
    paragraphs = (part.strip() for part in str(text or "").split("\n\n"))
    first = next((part for part in paragraphs if part and not part.startswith(("#", "|", "```"))), "")
    plain = " ".join(_TAG.sub(" ", _LINK.sub(r"\1", first)).split())
    if end := _END_OF_SENTENCE.search(plain):
        plain = plain[: end.start()]
    if len(plain) <= _LONGEST_SENTENCE:
        return plain
    return plain[:_LONGEST_SENTENCE].rpartition(" ")[0].rstrip(",;:") + " ..."


def comment(text: str) -> str:
    """`text` as one line of comment, whatever a stranger wrote."""
    return "# " + "".join(each for each in " ".join(text.split()) if each.isprintable())


def table(header: str, settings: Mapping[str, Any]) -> list[str]:
    """The lines of a TOML table behind an empty line; none where there are no settings."""
    return ["", f"[{header}]", *pairs(settings)] if settings else []


def pairs(settings: Mapping[str, Any]) -> list[str]:
    """A line for each setting; several inline tables stand one a line."""
    return [f"{_key(name)} = {_value(value)}" for name, value in settings.items()]


def inline(settings: Mapping[str, Any]) -> str:
    """The settings as an inline table."""
    return "{ " + ", ".join(pairs(settings)) + " }"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    match value:
        case dict():
            return inline(value)
        case [dict(), dict(), *_]:
            return "[\n" + "".join(f"  {_value(each)},\n" for each in value) + "]"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")
