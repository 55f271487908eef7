"""The picture of a session in README, drawn from a real one: `python -m tests.cli.record` draws it anew."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from io import StringIO
from itertools import groupby
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.cli.conftest import Server, SlowPages
from tests.cli.terminal import Terminal

PICTURE = Path(__file__).with_name("session.svg")
_COLUMNS, _LINES = 92, 34
#: What is typed, and what is waited for behind it.
_TYPED = [
    (
        (
            "SELECT number, title, user.login AS author, comments\r"
            "FROM demo.issues WHERE state = 'open' ORDER BY comments DESC LIMIT 3;\r"
        ),
        "│  int64   │",
    ),
    ("SELECT state, count(*) AS issues FROM apikit('demo', '/isues') GROUP BY ALL;\r", "RequestError"),
    (".mode markdown\r", ""),
    ("SELECT country, count(*) n FROM demo.customers GROUP BY 1 ORDER BY 2 DESC LIMIT 2;\r", "| country |"),
    ("SELECT count(*) FROM apikit('acme', '/items');\r", "(Ctrl-C stops)"),
]


def session(home: Path) -> Text:
    """The screen at the end of a session, in its colours; it is that of somebody who has pressed Ctrl-C once."""
    server = Server(("127.0.0.1", 0), SlowPages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base_url = f"http://127.0.0.1:{server.server_address[1]}"
    (home / "config.toml").write_text(f'[connectors.acme]\nbase_url = "{base_url}"\n')
    with Terminal(["demo"], home, columns=_COLUMNS, lines=_LINES) as terminal:
        terminal.wait_for("apikit>")
        time.sleep(4)  # colours come when the database is open
        for typed, shown in _TYPED:
            terminal.press(typed)
            terminal.wait_for(shown)
        terminal.wait_for("pages")
        terminal.press_ctrl_c()
        terminal.wait_for("Interrupted.")
        terminal.press("FROM 'acme:/items?since=2026';\r")
        terminal.wait_for("8 pages")
        return _drawn(terminal)


def _drawn(terminal: Terminal) -> Text:
    text = Text()
    for number in range(_LINES):
        line = terminal.screen.buffer[number]
        for (colour, is_bold), cells in groupby(
            map(line.__getitem__, range(_COLUMNS)), lambda cell: (cell.fg, cell.bold)
        ):
            style = Style(color=None if colour == "default" else _rich_colour(colour), bold=is_bold)
            text.append("".join(cell.data for cell in cells), style)
        text.append("\n")
    text.rstrip()
    return text


def _rich_colour(name: str) -> str:
    """A colour of pyte's as rich knows it."""
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as home:
        text = session(Path(home))
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(text, no_wrap=True)
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # a picture loads nothing
    console.save_svg(str(PICTURE), title="apikit-sql demo", code_format=plain)


if __name__ == "__main__":
    main()
