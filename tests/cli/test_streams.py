"""What the shell reads and writes is UTF-8, in whatever locale, and any of its streams may be closed or full."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from apikit_sql.cli.__main__ import main
from apikit_sql.cli.target import Target
from tests.cli.conftest import Run

NOT_UTF8 = b"SELECT 1 a;\nSELECT '\xff' b;\nSELECT 2 c;\n"


def test_a_statement_that_is_no_utf8_is_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NOT_UTF8), encoding="ascii"))

    assert main(["-no-init", "-csv"]) == 1

    told = capsys.readouterr()
    assert told.out == "a\n1\nc\n2\n"
    assert told.err == "Error: a statement is no UTF-8, and was not run.\n"


def test_an_argument_that_is_no_utf8_is_an_error(run: Run) -> None:
    ran = run("-csv", "-c", "SELECT '\udcff'")

    assert (ran.code, ran.out) == (1, "")
    assert "the argument 4 of the command line is no UTF-8" in ran.err


def test_a_file_that_is_no_utf8_is_named_and_nothing_of_it_is_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.sql").write_bytes(NOT_UTF8)

    for arguments in (["-f"], ["-c", "SELECT 1", "-init"]):
        ran = run("-csv", *arguments, str(tmp_path / "bad.sql"))

        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"Error: {tmp_path}/bad.sql: byte 20 is no UTF-8.\n"


def test_a_folder_is_no_file(run: Run, tmp_path: Path) -> None:
    for flag in ("-f", "-o"):
        ran = run(flag, str(tmp_path), "-c", "SELECT 1")

        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"Error: {tmp_path}: Is a directory\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_rows_are_utf8_in_whatever_locale(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))

    assert main(["-no-init", "-list", "-c", "SELECT 'é日' AS a"]) == 0

    assert written.getvalue().decode() == "a\né日\n"


def test_a_full_disk_is_told_once(run: Run) -> None:
    ran = run("-csv", "-o", "/dev/full", "-c", "SELECT 1 AS a")

    assert (ran.code, ran.out, ran.err) == (1, "", "Error: /dev/full: No space left on device\n")


def test_streams_may_be_closed() -> None:
    command = f"{sys.executable} -m apikit_sql.cli -no-init -c 'SELECT 1' <&- >&-"

    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_rows_are_there_as_soon_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))

    Target().write("a")

    assert written.getvalue() == b"a"
