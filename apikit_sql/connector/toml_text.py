"""A manifest as TOML text, laid out to be read and edited by people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tomli_w

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


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
