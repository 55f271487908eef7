"""The words of a drafted manifest: names as people type them, and sentences cut short."""

from __future__ import annotations

import re

_LONGEST_SENTENCE = 100
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
