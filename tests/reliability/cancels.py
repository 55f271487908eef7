"""How soon a statement ends that is cancelled, wherever it waits: `python -m tests.reliability.cancels [ROUNDS]`.

By `apikit_sql.connect()`'s interrupt() from another thread, by Ctrl-C, and in the shell. A plain connection cannot be
told, and ends with what it waits for: at most the `timeout` of the attempt under way.
"""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import duckdb

import apikit_sql
from tests.engine.loopback import Loopback, Peer, Talk, deaf, reply

LIMIT = 0.25  # seconds
TIMEOUT = 1  # seconds of an attempt, on a plain connection
BUSY = 3  # times that a wait is measured where the machine may be busy: a promise that is broken is broken each time


def says_nothing(peer: Peer) -> None:
    peer.request()
    peer.hold()


def stops_in_the_body(peer: Peer) -> None:
    peer.request()
    peer.say(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[{"id": 1}')
    peer.hold()


def drips(peer: Peer) -> None:
    peer.request()
    peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    peer.drip(b" " * 1000, 0.02)


def has_no_more_quota(peer: Peer) -> None:
    link = "link: </items?page=2>; rel=next"
    while True:
        peer.request()
        peer.say(reply(b'[{"id": 1}]', link, "ratelimit-limit: 10", "ratelimit-remaining: 0", "ratelimit-reset: 50"))


def asks_for_patience(peer: Peer) -> None:
    while True:
        peer.request()
        peer.say(reply(b"", "retry-after: 50", status="503 Service Unavailable"))


def has_pages_without_end(peer: Peer) -> None:
    number = 1
    while True:
        peer.request()
        number += 1
        peer.say(reply(b'[{"id": 1}]', f"link: </items?page={number}>; rel=next"))


def takes_no_handshake(peer: Peer) -> None:
    peer.hold()


WAITS: dict[str, Talk | None] = {
    "connecting": None,
    "the TLS handshake": takes_no_handshake,
    "the first byte": says_nothing,
    "within the body": stops_in_the_body,
    "a body that drips": drips,
    "a rate limit": has_no_more_quota,
    "a retry": asks_for_patience,
    "between pages": has_pages_without_end,
}


@contextmanager
def scanned(wait: str) -> Iterator[str]:
    """A statement whose scan waits as it is told."""
    talk = WAITS[wait]
    with ExitStack() as stack:
        if talk is None:
            url = f"http://127.0.0.1:{stack.enter_context(deaf())}"
        else:
            url = stack.enter_context(Loopback(talk)).url
        if wait == "the TLS handshake":
            url = url.replace("http:", "https:")
        yield f"SELECT count(*) FROM apikit('{url}', '/items', columns := {{id: 'BIGINT'}})"


def ended_after(sql: str, cancel: Callable[[apikit_sql.Connection], None], after: float) -> float:
    """How long `sql` goes on, once it is cancelled after so many seconds."""
    at = [0.0]
    with apikit_sql.connect() as con:

        def cancelling() -> None:
            at[0] = time.monotonic()
            cancel(con)

        timer = threading.Timer(after, cancelling)
        timer.start()
        try:
            con.execute(sql).fetchall()
        except (apikit_sql.ScanInterrupted, duckdb.InterruptException, KeyboardInterrupt):
            ended = time.monotonic()
        else:
            raise AssertionError(sql)
        finally:
            timer.join()
    return ended - at[0]


def interrupted(sql: str, after: float) -> float:
    return ended_after(sql, lambda con: con.interrupt(), after)


def ctrl_c(sql: str, after: float) -> float:
    return ended_after(sql, lambda _: os.kill(os.getpid(), signal.SIGINT), after)


def plain(sql: str, after: float) -> float:
    """How long a plain connection goes on, whose attempts take at most TIMEOUT; what it says is its own affair."""
    at = [0.0]
    with duckdb.connect() as con:
        apikit_sql.install(con)

        def cancelling() -> None:
            at[0] = time.monotonic()
            con.interrupt()

        timer = threading.Timer(after, cancelling)
        timer.start()
        with suppress(duckdb.Error, RuntimeError):
            con.execute(sql.replace("columns :=", f"timeout := {TIMEOUT}, columns :=")).fetchall()
        timer.join()
    return time.monotonic() - at[0]


class Shell:
    """`apikit-sql` on a terminal of its own, which runs one statement after the other."""

    def __init__(self, home: Path) -> None:
        from tests.cli.terminal import Terminal

        self._terminal = Terminal([], home)
        self._terminal.wait_for("apikit>")

    def interrupted(self, sql: str, after: float) -> float:
        self._terminal.press("\x0c")  # Ctrl-L clears the screen
        self._terminal.wait_until(lambda shown: shown.strip() == "apikit>", "a clear screen")
        self._terminal.press(f"{sql};\r")
        self._terminal.wait_for("Ctrl-C stops")
        time.sleep(after)
        self._terminal.press_ctrl_c()
        took = self._terminal.wait_for("Interrupted.", longest=5)
        self._terminal.wait_until(lambda shown: shown.endswith("apikit>"), "the next prompt")
        return took


def measured(how: Callable[[str, float], float], rounds: int) -> dict[str, list[float]]:
    """The seconds that each wait went on, in each round."""
    found: dict[str, list[float]] = {}
    for wait in WAITS:
        for number in range(rounds):
            with scanned(wait) as sql:
                found.setdefault(wait, []).append(how(sql, 0.15 + 0.05 * (number % 4)))
    return found


def worst(found: dict[str, list[float]]) -> float:
    return max(seconds for each in found.values() for seconds in each)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    say(f"DuckDB {duckdb.__version__}, {rounds} rounds of {len(WAITS)} waits; the longest, in ms")
    is_well = True
    with tempfile.TemporaryDirectory() as folder:
        for name, how in {
            "interrupt()": interrupted,
            "Ctrl-C": ctrl_c,
            "shell": Shell(Path(folder)).interrupted,
        }.items():
            found = measured(how, rounds)
            say(f"{name:12} " + ", ".join(f"{wait} {max(each) * 1000:.0f}" for wait, each in found.items()))
            is_well &= worst(found) < LIMIT
    silent = [plain(sql, 0.2) for _ in range(rounds) for wait in ("the first byte",) for sql in statements(wait)]
    say(f"plain        {max(silent):.2f} s, with timeout := {TIMEOUT}")
    sys.exit(not is_well)


def statements(wait: str) -> Iterator[str]:
    with scanned(wait) as sql:
        yield sql


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
