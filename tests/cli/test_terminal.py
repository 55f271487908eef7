"""The shell on a real terminal, as a person sees it."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import SlowPages
from tests.cli.terminal import Terminal

PROMPT = "apikit>"


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    with Terminal(["demo"], home) as terminal:
        terminal.wait_for(PROMPT)
        yield terminal


def test_a_conversation(terminal: Terminal) -> None:
    terminal.press("SELECT 41 + 1 AS answer\r")  # not whole yet
    terminal.wait_for("...>")
    terminal.press("FROM range(1);\r")
    terminal.wait_for("42")

    terminal.press("SELECT nope;\r")
    terminal.wait_for('Binder Error: Referenced column "nope"')

    terminal.press(".mode jsonlines\r")
    terminal.press("SELECT number FROM demo.issues WHERE number = 7;\r")
    terminal.wait_for('{"number":7}')

    terminal.press("\x1b[A")  # the arrow up brings back what was typed
    terminal.wait_until(lambda shown: shown.count("WHERE number = 7;") == 2, "what was typed before")
    terminal.press("\x15\x03")  # and Ctrl-C gives it up
    terminal.press(".quit\r")
    assert terminal.wait_for_end() == 0


def test_tab_completes_functions_connectors_streams_tables_and_columns(terminal: Terminal) -> None:
    terminal.press("SELECT 'it is open' AS told;\r")
    terminal.wait_for("varchar")
    for begun, whole in [
        ("FROM apikit_rate\t", "FROM apikit_rate_limits"),
        ("FROM apikit('dem\t", "FROM apikit('demo"),
        ("FROM apikit('demo', 'wareh\t", "FROM apikit('demo', 'warehouses"),
        ("FROM demo.wareh\t", "FROM demo.warehouses"),
        ("SELECT x FROM demo.issues WHERE milest\t", "WHERE milestone"),
        ("SELECT sum(x) FROM apikit('demo', 'issues') WHERE created_\t", "WHERE created_at"),
        (".databas\t", ".databases"),
        (".attach jsonpl\t", ".attach jsonplaceholder"),
    ]:
        assert whole not in terminal.shown
        terminal.press(begun)
        terminal.wait_for(whole)
        terminal.press("\x03")


def test_a_scan_tells_how_far_it_is_and_ctrl_c_stops_it_and_keeps_the_shell(terminal: Terminal, slow_api: str) -> None:
    terminal.press(f"SELECT count(*) FROM '{slow_api}/items';\r")
    terminal.wait_for("/items · ")
    terminal.wait_until(lambda shown: "5 pages · 5 rows · 5 requests · " in shown, "progress")

    terminal.press_ctrl_c()
    assert terminal.wait_for("Interrupted.", longest=2) < 0.5

    terminal.press("SELECT 'still here' AS told;\r")
    terminal.wait_until(lambda shown: shown.count("still here") == 2, "an answer")
    assert "pages" not in terminal.shown  # the line is gone
    terminal.press("\x04")
    assert terminal.wait_for_end() == 0


def test_ctrl_c_stops_a_request_that_nobody_answers(terminal: Terminal, slow_api: str) -> None:
    terminal.press(f"FROM apikit('{slow_api}', '/silent');\r")
    terminal.wait_for("Ctrl-C stops")

    terminal.press_ctrl_c()

    assert terminal.wait_for("Interrupted.", longest=2) < 0.5


def test_ctrl_c_stops_what_duckdb_computes(terminal: Terminal) -> None:
    terminal.press("SELECT sum(hash(i, j)) FROM range(10000000) t(i), range(100000) u(j);\r")
    terminal.wait_for("Ctrl-C stops")

    terminal.press_ctrl_c()

    assert terminal.wait_for("Interrupted.", longest=2) < 0.5


def test_what_was_typed_is_there_the_next_time_and_nobody_else_reads_it(home: Path) -> None:
    for keys in ("SELECT 'kept' AS told;\r", "\x1b[A\r"):  # the arrow up brings it back
        with Terminal([], home) as terminal:
            terminal.wait_for(PROMPT)
            terminal.press(keys)
            terminal.wait_for("varchar")
            assert terminal.shown.count("kept") == 2
            terminal.press("\x04")
            assert terminal.wait_for_end() == 0

    assert (home / "history").stat().st_mode & 0o777 == 0o600


def test_a_database_that_cannot_be_opened_ends_the_shell(home: Path) -> None:
    (home / "no.duckdb").write_text("this is no database, whatever it is called")

    with Terminal([str(home / "no.duckdb")], home) as terminal:
        terminal.wait_for("not a valid DuckDB database file")
        assert terminal.wait_for_end() == 1


def test_rows_may_go_to_a_file_while_the_terminal_is_talked_to(home: Path) -> None:
    with Terminal(["-csv", "-o", str(home / "rows.csv")], home) as terminal:
        terminal.wait_for(PROMPT)
        terminal.press("SELECT 1 AS a;\r.quit\r")
        assert terminal.wait_for_end() == 0

    assert (home / "rows.csv").read_text() == "a\n1\n"


def started(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "apikit_sql.cli", "-no-init", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_who_has_read_enough_ends_it_without_a_word() -> None:
    process = started("-csv", "-c", "SELECT i, repeat('x', 100) FROM range(100000000) t(i)")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"i,")
    process.stdout.close()

    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_in_a_script_ends_it(slow_api: str) -> None:
    process = started("-csv", "-c", f"FROM apikit('{slow_api}', '/silent')")
    assert SlowPages.asked.wait(60)
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (130, b"", b"Interrupted.\n")
    with contextlib.suppress(ProcessLookupError):
        process.kill()
