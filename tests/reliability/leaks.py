"""Ten thousand scans: memory, descriptors and threads are at the end what they were before.

    python -m tests.reliability.leaks [SCANS]

Scans of an API over sockets on loopback: read whole, stopped by a LIMIT, abandoned in the middle, failed in one of
several ways; from SQL, on a plain connection, on `connect()`'s and on cursors of it, and by the client, on a thread and
in tasks. The server is a process of its own. Before counting, as many scans as the records of a session hold are made,
and all is closed: what is made once for a process, threads of DuckDB and pyarrow among it, is no leak. Then memory is
looked at after each tenth of the scans, with all of it open; threads and descriptors when all is closed again.
"""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

import apikit_sql
from apikit_sql import ApikitError
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.connector.sources import Manifest
from apikit_sql.engine.session import Session
from tests.engine.loopback import Loopback, Peer, reply

WARMING = 1_500  # scans
KEPT = 1_000  # of each kind of record, as scans, errors and inferred columns, that a session keeps
MOST = 5.0  # MB that memory may grow
PAGES, SIZE = 3, 40
TOTAL = PAGES * SIZE
BROKEN = ["gone", "html", "cut", "drift"]
_COLUMNS = "columns := {id: 'BIGINT', name: 'VARCHAR'}"


def serve() -> None:
    """Answer until stdin ends; the port is the first line on stdout."""
    with Loopback(_talk) as server:
        print(server.port, flush=True)  # noqa: T201
        sys.stdin.read()


def _talk(peer: Peer) -> None:
    while True:
        target = peer.request().split(b" ", 2)[1].decode()
        peer.server.requests.clear()
        path, _, query = target.partition("?page=")
        number = int(query or 1)
        if path != "/items" and number == 2:
            match path:
                case "/gone":
                    peer.say(reply(b"{}", status="404 Not Found"))
                case "/html":
                    peer.say(reply(b"<html>Please log in</html>"))
                case "/drift":
                    peer.say(reply(b'[{"id": "seven"}]'))
                case _:
                    peer.say(reply(b"[{}]" * 100)[:-50])
                    return
            continue
        records = [{"id": (number - 1) * SIZE + at, "name": "n" * 50} for at in range(SIZE)]
        link = [f'link: <{path}?page={number + 1}>; rel="next"'] if number < PAGES else []
        peer.say(reply(json.dumps(records).encode(), *link))


@contextmanager
def serving() -> Iterator[str]:
    """The base URL of such a server, which ends with the block."""
    command = [sys.executable, "-m", "tests.reliability.leaks", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.communicate()


# --- scans -----------------------------------------------------------------------------------------------------------


@dataclass
class Doors:
    """Those who read: connections, and a client."""

    plain: duckdb.DuckDBPyConnection
    own: Any
    client: apikit_sql.Apikit

    def source(self, path: str = "/items") -> str:
        return f"apikit('api', '{path}', {_COLUMNS})"


Scan = Callable[[Doors], None]


def whole(doors: Doors) -> None:
    for con in (doors.plain, doors.own):
        assert con.execute(f"SELECT count(*), max(id) FROM {doors.source()}").fetchall() == [(TOTAL, TOTAL - 1)]


def limited(doors: Doors) -> None:
    for con in (doors.plain, doors.own):
        assert len(con.execute(f"FROM {doors.source()} LIMIT 5").fetchall()) == 5


def abandoned(doors: Doors) -> None:
    for con in (doors.plain, doors.own):
        with closing(con.cursor()) as cursor:
            assert cursor.execute(f"SELECT id FROM {doors.source()}").fetchone() == (0,)


def failed(doors: Doors) -> None:
    for con, path in zip((doors.plain, doors.own, doors.plain, doors.own), BROKEN, strict=True):
        try:
            con.execute(f"SELECT sum(id) FROM {doors.source('/' + path)}").fetchall()
        except (duckdb.Error, ApikitError):
            continue
        raise AssertionError(path)


def inferred(doors: Doors) -> None:
    sql = f"SELECT count(*) FROM apikit('api', '/items', params := {{n: {next(_NUMBERS)}}}, pages := 1)"
    assert doors.plain.execute(sql).fetchall() == [(SIZE,)]


def viewed(doors: Doors) -> None:
    doors.own.execute(f"CREATE OR REPLACE TEMP VIEW seen AS FROM {doors.source()}")
    assert doors.own.execute("SELECT max(id) FROM seen WHERE id < 7").fetchall() == [(6,)]


def by_client(doors: Doors) -> None:
    assert len(doors.client.fetch_records("/items", paginate=True)) == TOTAL
    with closing(doors.client.stream("/items")) as records:
        assert next(records)["id"] == 0
    try:
        doors.client.fetch_records("/gone", paginate=True)
    except ApikitError:
        return
    raise AssertionError


async def in_tasks(doors: Doors) -> None:
    found = await asyncio.gather(*(doors.client.afetch_records("/items", paginate=True) for _ in range(2)))
    assert [len(each) for each in found] == [TOTAL, TOTAL]
    async for record in (records := doors.client.astream("/items")):
        assert record["id"] == 0
        break
    await records.aclose()
    try:
        await doors.client.afetch_records("/cut", paginate=True)
    except ApikitError:
        return
    raise AssertionError


_NUMBERS = iter(range(10**9))
#: What is done in turn, and how many scans each is.
ROUND: list[tuple[Scan, int]] = [
    (whole, 2),
    (limited, 2),
    (abandoned, 2),
    (failed, 4),
    (inferred, 1),
    (viewed, 1),
    (by_client, 3),
]
TASKS = 4  # scans of `in_tasks`


# --- what is left ----------------------------------------------------------------------------------------------------


@dataclass
class Left:
    """What scans have left: memory in MB as they went on, and descriptors and threads, before and after."""

    scans: int = 0
    memory: list[float] = field(default_factory=list)
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)

    @property
    def grown(self) -> float:
        return self.memory[-1] - self.memory[0]

    @property
    def holds(self) -> bool:
        return self.grown < MOST and all(now <= then for now, then in zip(self.after, self.before, strict=True))


def memory() -> float:
    """MB of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def held() -> tuple[int, int]:
    """Descriptors, and threads of Python or not. What is ending has a moment to do so."""
    gc.collect()
    found = _held()
    for _ in range(25):
        time.sleep(0.02)
        found = min(found, _held())
    return found


def _held() -> tuple[int, int]:
    assert threading.active_count() >= 1
    return len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir()))


@contextmanager
def doors(url: str) -> Iterator[Doors]:
    api = {
        "name": "api",
        "base_url": url,
        "pagination": {"strategy": "link"},
        "retry": {"max_attempts": 1},
        "rate_limit": {"warn_above": 10**9},
    }
    registry = ConnectorRegistry([])
    registry.add(Manifest("here", api))
    session = Session(connectors=registry, http="", tell=lambda _: None)
    with (
        closing(session),
        closing(duckdb.connect()) as plain,
        closing(apikit_sql.connect(session=session)) as own,
    ):
        apikit_sql.install(plain, session=session)
        yield Doors(plain, own, apikit_sql.Apikit.from_name("api", session=session))


def scan(doors: Doors, many: int, look: Callable[[], None]) -> int:
    """So many scans at least, `look` called ten times among them; how many they were."""
    done = looks = 0
    with asyncio.Runner() as loop:
        while done < many:
            for work, scans in ROUND:
                work(doors)
                done += scans
            loop.run(in_tasks(doors))
            done += TASKS
            if done * 10 >= many * (looks + 1):
                looks += 1
                look()
    return done


def fill(doors: Doors, kept: int) -> None:
    """Errors and inferred columns, so many that the session forgets the oldest from now on."""
    for number in range(kept):
        inferred(doors)
        if number % 4 == 0:
            failed(doors)


def measured(many: int, warming: int = WARMING, kept: int = KEPT) -> Left:
    """What `many` scans leave, after `warming` and as many records as are `kept`."""
    left = Left()
    with serving() as url:
        with doors(url) as reading:
            scan(reading, warming, lambda: None)
        left.before = held()
        with doors(url) as reading:
            scan(reading, warming, lambda: None)
            fill(reading, kept)
            left.memory.append(memory())
            left.scans = scan(reading, many, lambda: left.memory.append(memory()))
        left.after = held()
    return left


def main(many: int = 10_000) -> int:
    """1 where something is left."""
    began = time.perf_counter()
    left = measured(many)
    seconds = time.perf_counter() - began
    print(f"DuckDB {duckdb.__version__}: {left.scans} scans in {seconds:.0f} s, {left.grown:+.1f} MB")  # noqa: T201
    print(f"  MB: {', '.join(f'{each:.1f}' for each in left.memory)}")  # noqa: T201
    print(f"  descriptors and threads before {left.before}, after {left.after}")  # noqa: T201
    return int(not left.holds)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
