"""What the tests of the shell share: the shell in this process, an API that takes its time, a terminal."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest

from apikit_sql.cli.__main__ import main

_PAGES, _DELAY = 200, 0.1


class Ran(NamedTuple):
    """How a run ended, and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`apikit-sql` with these arguments in this process, without a terminal."""

    def run(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", StringIO(stdin))
        try:
            code = main(["-no-init", *arguments] if arguments[:1] and arguments[0].startswith("-") else arguments)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


class SlowPages(BaseHTTPRequestHandler):
    """Pages of one record each, a tenth of a second each, 200 of them; `/silent` never answers."""

    asked = Event()  # that a request has come

    def do_GET(self) -> None:
        self.asked.set()
        if self.path == "/silent":
            time.sleep(30)
            return
        time.sleep(_DELAY)
        page = int(self.path.partition("page=")[2] or 1)
        body = json.dumps([{"id": page}]).encode()
        self.send_response(200)
        if page < _PAGES:
            self.send_header("Link", f'<http://{self.headers["Host"]}/items?page={page + 1}>; rel="next"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The server of such pages."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client who has gone."""


@pytest.fixture
def slow_api() -> Iterator[str]:
    """The base URL of an API that takes its time."""
    SlowPages.asked.clear()
    server = Server(("127.0.0.1", 0), SlowPages)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of a user who has nothing yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
