"""A loopback API with pre-built bodies, a process of its own: `python -m tests.benchmarks.server PAGES SECONDS KIND`.

Every page is the same body. GET /items?page=N answers it with a Link header (next, last) after SECONDS.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.decode import page_of_repositories

NUMBERS = json.dumps([{"id": n, "name": f"item {n}", "amount": n * 1.25} for n in range(1_000)]).encode()


def serve(pages: int, latency: float, body: bytes) -> None:
    """Answer until the process is ended; the port is the first line on stdout."""

    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            number = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
            time.sleep(latency)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if number < pages:
                self.send_header("Link", f'</items?page={number + 1}>; rel="next", </items?page={pages}>; rel="last"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    print(server.server_port, flush=True)  # noqa: T201
    server.serve_forever()


@contextmanager
def running(pages: int, latency: float = 0, kind: str = "repositories") -> Iterator[str]:
    """The base URL of such a server, which ends with the block."""
    command = [sys.executable, "-m", "tests.benchmarks.server", str(pages), str(latency), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), NUMBERS if sys.argv[3] == "numbers" else page_of_repositories()[0])
