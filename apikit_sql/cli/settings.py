"""What the flags and dot commands of the shell set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Mode = Literal["duckbox", "box", "table", "column", "markdown", "csv", "list", "line", "json", "jsonlines"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass
class Settings:
    """How rows are written, and what becomes of errors; dot commands change it. `separator` None is the mode's own."""

    mode: Mode = "duckbox"
    separator: str | None = None
    null_value: str = "NULL"
    has_header: bool = True
    most_rows: int = 40
    has_timer: bool = False
    is_bailing: bool = False
    has_debug: bool = False


@dataclass(frozen=True)
class Start:
    """What the command line asks for. `work` are texts and files in their order, of which `kind` is 'sql' or 'file'."""

    database: str = ":memory:"
    settings: Settings = field(default_factory=Settings)
    work: tuple[tuple[str, str], ...] = ()
    is_read_only: bool = False
    init_file: str | None = None
    has_init: bool = True
    output: str | None = None
    attach: tuple[str, ...] = ()
    allow_mutations: tuple[str, ...] = ()
    env_file: str | None = None
    cache: float = 300
    greeting: str = ""


def unescaped(text: str) -> str:
    """`text` with what is written for a tab and a line break."""
    return text.replace("\\t", "\t").replace("\\n", "\n")
