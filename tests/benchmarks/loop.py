"""A whole scan: `apikit(...)` against the loop that one would write by hand with httpx and pyarrow."""

import subprocess
import sys
import time
from collections.abc import Callable

import duckdb
import httpx
import pyarrow as pa

import apikit_sql
from tests.benchmarks.decode import page_of_repositories

PAGES = 100
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tests.benchmarks.decode import page_of_repositories
body, _ = page_of_repositories()
class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        number = int(self.path.rpartition("=")[2]) if "=" in self.path else 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if number < int(sys.argv[1]):
            self.send_header("Link", f'</repos?page={number + 1}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
print(server.server_port, flush=True)
server.serve_forever()
"""


def by_hand(base_url: str) -> int:
    """The sum of sizes: every page loaded, its records turned into an Arrow table, DuckDB asked."""
    records: list[dict[str, object]] = []
    url: str | None = f"{base_url}/repos"
    with httpx.Client() as client:
        while url:
            response = client.get(url)
            records += response.json()
            following = response.links.get("next", {}).get("url")
            url = f"{base_url}{following}" if following else None
    table = pa.Table.from_pylist(records)
    with duckdb.connect() as con:
        con.register("repos", table)
        return int(con.execute("SELECT sum(size) FROM repos").fetchall()[0][0])


def by_apikit(base_url: str) -> int:
    """The same sum."""
    with duckdb.connect() as con:
        apikit_sql.install(con)
        return int(con.execute(f"SELECT sum(size) FROM apikit('{base_url}', '/repos')").fetchall()[0][0])


def cpu_seconds(work: Callable[[str], int], base_url: str) -> tuple[float, int]:
    """The CPU seconds of this process, and what came out."""
    started = time.process_time()
    found = work(base_url)
    return time.process_time() - started, found


def main() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(PAGES)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        base_url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        page_of_repositories()
        by_apikit(base_url)
        taken = {work.__name__: min(cpu_seconds(work, base_url) for _ in range(5)) for work in (by_apikit, by_hand)}
        (ours, sum_ours), (theirs, sum_theirs) = taken["by_apikit"], taken["by_hand"]
        assert sum_ours == sum_theirs
        print(f"{PAGES} pages: apikit {ours:.2f} s, by hand {theirs:.2f} s of CPU, ratio {ours / theirs:.2f}")  # noqa: T201
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
