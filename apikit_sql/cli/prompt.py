"""The conversation on a terminal: history, several lines, completion, colours. prompt_toolkit is an extra."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from apikit_sql.cli.failures import ShellError, tell
from apikit_sql.cli.script import is_whole, pieces_of

try:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import StyleAndTextTuples, split_lines
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.lexers import Lexer
    from prompt_toolkit.output import create_output
    from prompt_toolkit.styles import Style
except ModuleNotFoundError as missing:
    _MESSAGE = "prompt_toolkit, which reads from the terminal, is not installed: pip install 'apikit_sql[cli]'. "
    raise ShellError(_MESSAGE + "-c, -f and a pipe work without it.") from missing

if TYPE_CHECKING:
    from apikit_sql.cli.opening import Opened
    from apikit_sql.cli.shell import Shell
    from apikit_sql.cli.vocabulary import Vocabulary

_GREETING = "apikit-sql: any API is a table. SQL ends with a semicolon; .help tells the rest, Ctrl-D leaves.\n"
_SECRET = re.compile(r"\bcreate\s+(or\s+replace\s+)?((persistent|temporary|temp)\s+)?secret\b", re.IGNORECASE)
_PROMPT, _CONTINUED = "apikit> ", "   ...> "
_STYLE = Style.from_dict(
    {"keyword": "ansiblue bold", "string": "ansigreen", "number": "ansicyan", "comment": "ansibrightblack", "sign": ""}
)
_CLASSES = {
    "keyword": "class:keyword",
    "string_const": "class:string",
    "numeric_const": "class:number",
    "comment": "class:comment",
}


def converse(shell: Shell) -> None:
    """Read and run what is typed, until its end. The database is opened while the first statement is typed."""
    sys.stderr.write(shell.start.greeting or _GREETING)
    session = _session(shell)
    begin: Callable[[], None] | None = partial(_open_behind, session, shell)
    while True:
        try:
            text = session.prompt(_PROMPT, pre_run=begin)
        except KeyboardInterrupt:  # what was typed is given up, which is plain to see
            text = ""
        except EOFError:
            return
        begin = None
        try:
            shell.run(pieces_of(text.split("\n")), ends=False)
        except KeyboardInterrupt as error:
            tell(error, has_debug=False)


def _session(shell: Shell) -> PromptSession[str]:
    return PromptSession(
        history=_history(),
        completer=ShellCompleter(shell),
        complete_while_typing=False,
        enable_history_search=True,
        lexer=ShellLexer(shell),
        style=_STYLE,
        multiline=True,
        prompt_continuation=_CONTINUED,
        key_bindings=_keys(),
        output=create_output(always_prefer_tty=True),  # rows may go to a file
    )


def _open_behind(session: PromptSession[str], shell: Shell) -> None:
    """Open the database as soon as the prompt is there; where that fails, the prompt ends with the error."""
    app = session.app

    def over(opening: Future[Opened]) -> None:
        error = opening.exception()
        if not app.is_running or app.is_done:
            return
        if error is None:
            app.invalidate()  # in colours from now on
        else:
            app.exit(exception=error)

    def begin(_: object) -> None:
        app.after_render -= begin
        loop = app.loop
        assert loop is not None  # noqa: S101 - it has just drawn

        def tell_loop(opening: Future[Opened]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before
                loop.call_soon_threadsafe(over, opening)

        shell.begin_to_open().add_done_callback(tell_loop)

    app.after_render += begin


def _history() -> History:
    """What was typed before, kept in a file that its owner alone reads; in memory where that cannot be."""
    given = os.environ.get("APIKIT_HISTORY")
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        path = Path(given or f"{state}/apikit/history").expanduser()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        if path.is_file():  # and no device
            path.chmod(0o600)  # an older one may be open to others
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return DiscreetHistory(path)


class DiscreetHistory(FileHistory):
    """A history whose file has neither secrets nor what begins with a space; the arrow keys find them until the end."""

    def store_string(self, string: str) -> None:
        """Keep `string` for the next time, unless it is not to be kept."""
        if not string.startswith(" ") and not _SECRET.search(string):
            super().store_string(string)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


class ShellCompleter(Completer):
    """The words that may come next, from names asked for after each statement."""

    def __init__(self, shell: Shell) -> None:
        """Words for what is typed into `shell`."""
        self._shell = shell
        self._known: tuple[object, Vocabulary] | None = None

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
        """The completions of the word before the cursor; none while the database is being opened."""
        database = self._shell.database
        if database is None:
            return
        from apikit_sql.cli.completion import candidates  # noqa: PLC0415 - the first prompt comes without it
        from apikit_sql.cli.vocabulary import Vocabulary  # noqa: PLC0415

        moment = (database, self._shell.statements)
        if self._known is None or self._known[0] != moment:
            self._known = moment, Vocabulary(database)
        for each in candidates(document.text_before_cursor, document.text_after_cursor, self._known[1]):
            yield Completion(each.text, -each.length, display_meta=each.kind)


class ShellLexer(Lexer):
    """Colours by DuckDB's own lexer, which is there when the database is."""

    def __init__(self, shell: Shell) -> None:
        """Colours of what is typed into `shell`."""
        self._shell = shell

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The coloured line of each number."""
        lines = list(split_lines(self._fragments(document.text)))
        return lambda number: lines[number] if number < len(lines) else []

    def invalidation_hash(self) -> bool:
        """Whether there are colours."""
        return self._shell.database is not None

    def _fragments(self, text: str) -> StyleAndTextTuples:
        if self._shell.database is None or text.lstrip().startswith("."):
            return [("", text)]
        import duckdb  # noqa: PLC0415 - it is there

        data = text.encode()
        tokens = [(at, _CLASSES.get(kind.name, "")) for at, kind in duckdb.tokenize(text)]
        ends = [*(at for at, _ in tokens), len(data)]
        fragments: StyleAndTextTuples = [("", data[: ends[0]].decode())]
        fragments += [(style, data[at:end].decode()) for (at, style), end in zip(tokens, ends[1:], strict=True)]
        return fragments
