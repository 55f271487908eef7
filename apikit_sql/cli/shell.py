"""The shell: runs statements and dot commands, whoever types them, and writes what they give."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from apikit_sql.cli.dot_commands import Quit, run_dot_command
from apikit_sql.cli.failures import FAILED, Ended, ShellError, is_told, tell
from apikit_sql.cli.progress import ProgressLine
from apikit_sql.cli.script import pieces_of
from apikit_sql.cli.settings import Mode, Settings, Start
from apikit_sql.cli.target import Target
from apikit_sql.cli.worker import Worker

if TYPE_CHECKING:
    from apikit_sql.cli.opening import Opened
    from apikit_sql.engine.scan_log import ScanRecord

T = TypeVar("T")


class Shell:
    """One session of the shell. What it runs, it runs on a thread of its own."""

    def __init__(self, start: Start) -> None:
        """A shell that has opened nothing yet."""
        self.start = start
        self.settings = replace(start.settings)
        self.target = Target()
        self._progress = ProgressLine()
        self._worker = Worker()
        self._opened: Opened | None = None
        self._is_ready = False
        self.is_talking = not start.work and sys.stdin.isatty()
        self.is_well = True
        self.statements = 0  # that have been run: names may be others since
        warnings.showwarning = lambda message, *_, **__: self._progress.tell(str(message))

    @property
    def database(self) -> Opened | None:
        """The database, None while it is being opened."""
        return self._opened

    def begin_to_open(self) -> Future[Opened]:
        """The database of the command line as it is being opened, on the thread."""
        return self._worker.begin(self.opened)

    def be_ready(self) -> None:
        """Open the database and run the init file now. An error is told, and Ended raised."""
        self._attempt(lambda: None, ends=True)

    def opened(self) -> Opened:
        """The database, opened now if it is not yet."""
        if self._opened is None:
            self._open()
        assert self._opened is not None  # noqa: S101 - it raises where it cannot be opened
        return self._opened

    def run(self, pieces: Iterable[str], *, ends: bool) -> None:
        """Run statements and dot commands. An error is told, and Ended raised where one `ends`."""
        for piece in pieces:
            self._attempt(lambda piece=piece: self._run(piece), ends=ends)  # type: ignore[misc]

    def run_text(self, text: str) -> None:
        """Run the text of `-c`. DuckDB reads all of it before any of it runs, unless it has dot commands."""
        pieces = list(pieces_of(text.split("\n")))
        if not any(piece.startswith(".") for piece in pieces):
            self._attempt(lambda: self.opened().parse(text), ends=True)
        self.run(pieces, ends=True)

    def run_file(self, path: str) -> None:
        """Run the file at `path`, to its first error: that is told, and Ended raised.

        Raises OSError where it cannot be read, ShellError where it is no text.
        """
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            message = f"{path}: byte {error.start:,} is no UTF-8."
            raise ShellError(message) from None
        self.run(pieces_of(text.split("\n")), ends=True)

    def query(self, sql: str, *, mode: Mode | None = None, has_header: bool | None = None) -> None:
        """Run one statement and write what it gives, in the `mode` of the shell unless another is given."""
        settings = self.settings
        chosen = replace(
            settings,
            mode=mode or settings.mode,
            has_header=settings.has_header if has_header is None else has_header,
        )
        database, started = self.opened(), time.monotonic()
        scans = database.scans_from_now()
        self.statements += 1
        self._progress.begin()
        try:
            self._on_thread(lambda: self._written(sql, database, chosen), scans)
        except BaseException:  # Ctrl-C, too
            self._progress.end()
            if note := _sent_note(scans()):
                self._progress.tell(note)
            raise
        finally:
            self._progress.end()
            self.target.end_line()
            self.target.end_once()
        if note := _cache_note(scans()):
            self._progress.tell(note)
        if settings.has_timer:
            self._progress.tell(f"{time.monotonic() - started:.3f} s")

    def reopen(self, database: str) -> None:
        """Open another database in the place of this one, with the same options."""
        self._on_thread(lambda: self._reopen(replace(self.start, database=database)))

    def close(self) -> None:
        """Stop what runs, and close what is open."""
        try:
            self._worker.begin(self._close).result()
        finally:
            self._worker.close()
            self.target.close()

    def _attempt(self, work: Callable[[], object], *, ends: bool) -> None:
        """Do `work`, or tell why it cannot be done; that is the end where it `ends`, or nothing could be opened."""
        try:
            if not self._is_ready:
                self._is_ready = True
                self._get_ready()
        except Exception as error:  # noqa: BLE001 - raised again unless a user can cause it
            self._tell(error)
            raise Ended from None
        try:
            work()
        except Ended:  # a file that was read has ended, and has told why
            if ends:
                raise
        except Exception as error:  # noqa: BLE001 - as above
            self._tell(error)
            if ends:
                raise Ended from None

    def _tell(self, error: Exception) -> None:
        """Tell what a user can cause; anything else, and what ends all, is raised again."""
        if isinstance(error, (BrokenPipeError, Ended, Quit)) or not is_told(error):
            raise error
        tell(error, has_debug=self.settings.has_debug)
        self.is_well = False

    def _run(self, piece: str) -> None:
        if not piece.isascii() and piece != piece.encode(errors="replace").decode():
            message = "a statement is no UTF-8, and was not run."
            raise ShellError(message)
        if piece.startswith("."):
            run_dot_command(self, piece)
        else:
            self.query(piece)

    def _get_ready(self) -> None:
        """Wait for the database, and run the init file."""
        self._on_thread(self.opened)
        if self.start.output is not None:
            self.target.send_to(self.start.output)
        if (init := self.opened().init_file()) is None:
            return
        try:
            self.run_file(init)
        except Ended:
            if self.start.init_file is not None or not self.is_talking:
                raise

    def _written(self, sql: str, database: Opened, settings: Settings) -> None:
        """Write what the statement gives as it comes."""
        from apikit_sql.cli.modes import pieces  # noqa: PLC0415 - the first prompt comes without DuckDB

        result = database.run(sql)
        if result is None:
            return
        is_terminal = self.target.is_terminal
        width = shutil.get_terminal_size().columns if is_terminal else 0
        with closing(result.batches):
            for piece in pieces(result, settings, database.texts, width):
                if is_terminal:
                    self._progress.end()
                self.target.write(piece)

    def _on_thread(self, work: Callable[[], T], scans: Callable[[], list[ScanRecord]] = list) -> T:
        return self._worker.run(work, interrupt=self._interrupt, tick=lambda: self._progress.draw(scans()))

    def _interrupt(self) -> None:
        if self._opened is not None:
            self._opened.con.interrupt()

    def _open(self) -> None:
        from apikit_sql.cli.opening import opened  # noqa: PLC0415 - takes longer than the first prompt may

        self._opened = opened(self.start, self._progress.tell)

    def _reopen(self, start: Start) -> None:
        from apikit_sql.cli.opening import opened  # noqa: PLC0415 - as above

        found = opened(start, self._progress.tell)
        self._close()
        self.start, self._opened = start, found

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def run_shell(start: Start) -> int:
    """The exit code of a shell that does what `start` asks."""
    shell = Shell(start)
    try:
        _work(shell, start)
    except Ended:
        return FAILED
    except Quit as leaving:
        if leaving.code is not None:
            return leaving.code
    finally:
        shell.close()
    return 0 if shell.is_well or shell.is_talking else FAILED


def _work(shell: Shell, start: Start) -> None:
    for kind, text in start.work:
        if kind == "sql":
            shell.run_text(text)
        else:
            shell.run([f".read {shlex.quote(text)}"], ends=True)
    if shell.is_talking:
        from apikit_sql.cli.prompt import converse  # noqa: PLC0415 - nobody else needs a terminal

        if start.init_file is not None:
            shell.be_ready()
        converse(shell)
    elif not start.work:
        for piece in pieces_of(sys.stdin):
            shell.run([piece], ends=shell.settings.is_bailing)


def _sent_note(scans: Iterable[ScanRecord]) -> str:
    """What a statement that has broken off may have changed; empty where that is nothing."""
    sent = [scan for scan in scans if scan.may_change and scan.requests]
    if not sent:
        return ""
    number, names = sum(scan.requests for scan in sent), ", ".join(sorted({scan.connector for scan in sent}))
    return f"requests that were sent and may have changed {names}: {number} (.requests {number} shows them)"


def _cache_note(scans: Iterable[ScanRecord]) -> str:
    """What `scans` have read from the response cache, and how old it is; empty where that is nothing."""
    cached = [scan for scan in scans if scan.cached_pages]
    if not cached:
        return ""
    pages, age = sum(scan.cached_pages for scan in cached), max(scan.cache_age or 0.0 for scan in cached)
    return f"{pages} page{'' if pages == 1 else 's'} from the cache, up to {age:.0f} s old (cache := 0 asks the API)"
