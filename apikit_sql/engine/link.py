"""The Link header: which URL has which relation to the page (RFC 8288)."""

from __future__ import annotations

import re

import httpx

_TARGET = re.compile(r"<([^<>]*)>")
_PARAMETER = re.compile(r"""\s*+;\s*+([^\s=;,]*+)\s*+(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;,]*+)))?+""")
_QUOTED_PAIR = re.compile(r"\\(.)")  # RFC 9110, section 5.6.4


def link_target(headers: httpx.Headers, relation: str) -> str | None:
    """The target of this relation in the Link header (RFC 8288, section 3), None where there is none.

    Targets may hold commas and semicolons, a relation type may stand among several, only the first rel counts, and a
    link with an anchor is about something else than the page.
    """
    text, at = headers.get("link", ""), 0
    while target := _TARGET.search(text, at):
        at, found = target.end(), dict[str, str]()
        while parameter := _PARAMETER.match(text, at):
            at = parameter.end()
            value = _QUOTED_PAIR.sub(r"\1", parameter[2]) if parameter[2] else (parameter[3] or "").strip().strip("'")
            found.setdefault(parameter[1].lower(), value)
        if relation in found.get("rel", "").lower().split() and not found.get("anchor"):
            return target[1].strip()
    return None
