"""What an API says reaches a terminal as characters, and never as orders."""

import re
import sys
from io import StringIO

import pytest

from apikit_sql.cli.failures import ShellError, tell
from apikit_sql.cli.progress import ProgressLine
from apikit_sql.cli.target import Target
from apikit_sql.cli.visible import on_one_line, visible
from tests.cli.conftest import Run

ORDERS = "\x1b]0;PWNED\x07\x1b[2J \r \x9b2J \x7f \u202e\u2066\u200f"
SHOWN = r"\x1b]0;PWNED\x07\x1b[2J \r \x9b2J \x7f \u202e\u2066\u200f"


class Screen(StringIO):
    """A terminal."""

    name = "<stdout>"

    def isatty(self) -> bool:
        return True


def test_orders_are_shown_and_lines_are_kept() -> None:
    assert visible(f"a\n\tb {ORDERS} é 日 👍") == f"a\n\tb {SHOWN} é 日 👍"
    assert on_one_line(f"a\n\tb {ORDERS}") == rf"a\n\tb {SHOWN}"


def test_an_error_gives_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    for has_debug in (False, True):
        tell(ShellError(ORDERS), has_debug=has_debug)

        assert SHOWN in (told := capsys.readouterr().err)
        assert "\x1b" not in told


def test_an_error_of_duckdb_gives_none_either(run: Run) -> None:
    ran = run("-c", "SELECT E'\\x1b[2J'::INTEGER")

    assert r"\x1b[2J" in ran.err
    assert "\x1b" not in ran.err


def test_a_warning_gives_none(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLine().tell(f"fields came later in {ORDERS}")

    assert capsys.readouterr().err == f"apikit: fields came later in {SHOWN}\n"


def test_rows_give_none_to_a_terminal_and_all_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, expected in ((Screen(), SHOWN), (StringIO(), ORDERS)):
        monkeypatch.setattr(sys, "stdout", stream)
        Target().write(ORDERS)

        assert stream.getvalue() == expected


@pytest.mark.parametrize("mode", ["-table", "-box", "-column", "-markdown"])
def test_names_and_values_stay_on_their_lines_in_a_table(mode: str, run: Run) -> None:
    ran = run(mode, "-c", "SELECT E'a\\nb\\x1b' || chr(8238) AS \"x\ny\x1b\"")

    assert r"x\ny\x1b" in ran.out
    assert r"a\nb\x1b\u202e" in ran.out
    assert not re.search("[\x1b\u202e]", ran.out)


def test_a_box_is_as_wide_as_the_terminal_and_no_wider(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stdout", screen)

    run("-c", "SELECT repeat('x', 60) AS a, repeat('y', 60) AS b, repeat('z', 60) AS c")

    assert 80 < max(map(len, screen.getvalue().splitlines())) <= 100
