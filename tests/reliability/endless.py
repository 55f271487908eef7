"""An API on loopback whose pages never end, for those who leave before it is read."""

import json
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

ROWS = 500  # of a page
PAGES = 12  # of `/few`


class _Handler(BaseHTTPRequestHandler):
    """`/items` goes on for ever, `/few` has a few pages, `/stuck` stops at the third, and `/silent` says nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        page = int(urllib.parse.parse_qs(url.query).get("page", ["1"])[0])
        time.sleep(60 if url.path == "/silent" or (url.path == "/stuck" and page == 3) else 0.01)
        links = [] if url.path == "/few" and page == PAGES else [f'<{url.path}?page={page + 1}>; rel="next"']
        self._answer(json.dumps([{"id": page, "text": "x" * 20}] * ROWS).encode(), links)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.3)
        self._answer(b'{"id": 1}', [])

    def _answer(self, body: bytes, links: list[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for link in links:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Endless(ThreadingHTTPServer):
    """The server, which answers until the process ends."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client who has gone."""
