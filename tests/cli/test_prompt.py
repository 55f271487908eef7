"""The conversation, with keys from a pipe: what is kept, coloured and completed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from apikit_sql.cli import prompt
from apikit_sql.cli.failures import tell
from apikit_sql.cli.settings import Settings, Start
from apikit_sql.cli.shell import Shell


@pytest.fixture
def keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    monkeypatch.setenv("APIKIT_HISTORY", str(home / "kept" / "history"))
    monkeypatch.setattr(prompt, "create_output", lambda **_: DummyOutput())
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def test_what_is_typed_is_run_until_the_end(keys: PipeInput, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    keys.send_text("SELECT 41 +\r1 AS answer;\rSELECT nope;\rgiven up\x03.mode json\rSELECT 7 AS x;\r\x04")

    with closing(Shell(Start(settings=Settings(mode="csv"), has_init=False))) as shell:
        prompt.converse(shell)

    written = capsys.readouterr()
    assert written.out == 'answer\n42\n[{"x":7}]\n'
    assert written.err.startswith("apikit-sql: any API is a table.")
    assert 'Referenced column "nope"' in written.err
    assert "+SELECT 41 +\n+1 AS answer;\n" in (home / "kept" / "history").read_text()


def test_a_file_with_an_error_keeps_the_conversation_and_its_database(
    keys: PipeInput, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "wrong.sql").write_text("SELECT nope;\nSELECT 1 AS never;\n")
    keys.send_text(f"CREATE TABLE t AS SELECT 7 AS x;\r.read {home}/wrong.sql\rFROM t;\r\x04")

    with closing(Shell(Start(settings=Settings(mode="csv"), has_init=False))) as shell:
        prompt.converse(shell)

    written = capsys.readouterr()
    assert written.out == "x\n7\n"
    assert 'Referenced column "nope"' in written.err


def test_secrets_and_what_begins_with_a_space_are_not_kept(home: Path) -> None:
    file = home / "history"
    file.touch(mode=0o644)
    history = prompt.DiscreetHistory(file)
    for text in (
        "CREATE SECRET s (TYPE s3, KEY_ID 'k');",
        "create or replace\npersistent secret s (TYPE s3);",
        " SELECT 'quiet';",
        "SELECT secret FROM t;",
    ):
        history.append_string(text)

    assert [line[1:] for line in file.read_text().splitlines() if line.startswith("+")] == ["SELECT secret FROM t;"]
    assert len(history.get_strings()) == 4


def test_an_older_history_is_closed_to_others(keys: PipeInput, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    (home / "kept").mkdir()
    (home / "kept" / "history").touch(mode=0o644)
    keys.send_text("\x04")

    with closing(Shell(Start(has_init=False))) as shell:
        prompt.converse(shell)

    assert capsys.readouterr().out == ""
    assert (home / "kept" / "history").stat().st_mode & 0o777 == 0o600


def test_names_are_those_of_the_moment_and_colours_those_of_duckdb() -> None:
    def completed(text: str) -> list[str]:
        found = completer.get_completions(Document(text), CompleteEvent())
        return [each.text for each in found]

    with closing(Shell(Start(attach=("demo",), has_init=False))) as shell:
        completer, lexer = prompt.ShellCompleter(shell), prompt.ShellLexer(shell)
        assert completed("FROM apikit('de") == []
        assert lexer.lex_document(Document("SELECT 1"))(0) == [("", "SELECT 1")]

        shell.run(["CREATE TABLE mine (first_of_mine INTEGER);"], ends=True)

        assert completed("FROM apikit('de") == ["demo"]
        assert completed("FROM apikit('demo', 'iss") == ["issues"]
        assert completed("FROM apikit('no', 'iss") == []
        assert completed("SELECT first_of") == []
        assert completed("SELECT x FROM mine WHERE first_o") == ["first_of_mine"]
        assert completed("SELECT x FROM demo.issues WHERE milest") == ["milestone"]
        assert completed("SELECT x FROM apikit('demo', 'issues') WHERE mileston") == ["milestone"]
        assert completed("FROM demo.custo") == ["customers"]
        assert "SELECT" in completed("SELEC")
        coloured = lexer.lex_document(Document("SELECT 'é',\n1"))
        assert [coloured(number) for number in range(3)] == [
            [("", ""), ("class:keyword", "SELECT "), ("class:string", "'é'"), ("", ",")],
            [("", ""), ("class:number", "1")],
            [],
        ]


def test_where_nothing_can_be_kept_history_is_in_memory(
    keys: PipeInput, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APIKIT_HISTORY", "/dev/null/history")
    keys.send_text("SELECT 1 AS a;\r\x04")

    with closing(Shell(Start(settings=Settings(mode="csv"), has_init=False))) as shell:
        prompt.converse(shell)

    assert capsys.readouterr().out == "a\n1\n"


def test_a_mistake_of_ours_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tell(ValueError("mine"), has_debug=False)
    tell(KeyboardInterrupt(), has_debug=False)

    assert capsys.readouterr().err == "mine\nInterrupted.\n"
