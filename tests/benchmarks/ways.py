"""Ways from the API to an answer that need no more than our own environment: ours, hand-written loops, and their floor.

Nothing is imported before a way needs it: a cold process pays for its imports.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tests.benchmarks.meter import Found, Job, Way, main, sums

#: How each strategy is declared; `link` is found by itself.
_PAGINATIONS = {
    "link": "",
    "page": ", pagination := {strategy: 'page', page_param: 'page', total_path: 'total'}",
    "offset": ", pagination := {strategy: 'offset', offset_param: 'offset', total_path: 'total'}",
    "cursor": ", pagination := {strategy: 'cursor', cursor_param: 'cursor', next_cursor_path: 'next_cursor'}",
}


def apikit(job: Job) -> Found:
    """Ours. LIMIT tells its requests; a table is made of all columns, flattened where the work says so."""
    con = _connection()
    _, kind, strategy, *_ = job.path.split("/")
    options = f"concurrency := {job.in_flight}, max_pages := {job.pages}{_PAGINATIONS[strategy]}"
    if kind == "wide":
        options += ", nested := 'flatten'"
    call = f"apikit('{job.origin}{job.path}', '/items', {options})"
    if job.work == "limit":
        con.execute(f"FROM {call} LIMIT 10").fetchall()
        sent = f"SELECT count(*) FROM apikit_requests() WHERE url LIKE '%{job.path}/items%'"
        return {"requests": lambda: con.execute(sent).fetchone()[0]}
    if job.work == "table":
        con.execute(f"CREATE OR REPLACE TABLE t AS FROM {call}")
        call = "t"
    return sums(con, call)


_OPEN: list[Any] = []


def _connection() -> Any:
    """The connection of this process: what is warm stays warm."""
    if not _OPEN:
        import duckdb

        import apikit_sql

        _OPEN.append(duckdb.connect())
        apikit_sql.install(_OPEN[0])
    return _OPEN[0]


def fetch(job: Job) -> Found:
    """The floor: the same bytes by our own client, as many in flight, and nothing done with them."""
    from threading import Event

    import httpx

    from apikit_sql.engine.network import HOME, Network
    from apikit_sql.engine.steps import Send, Steps
    from apikit_sql.engine.workers import Threads

    headers = {"accept": "application/json", "accept-encoding": "gzip", "host": job.origin.partition("//")[2]}

    def get(url: str) -> Steps[int]:
        request = httpx.Request("GET", url, headers=headers, extensions={HOME: "127.0.0.1"})
        response = yield Send(request, 30.0)
        assert isinstance(response, httpx.Response)
        return len(response.content)

    network = Network()
    workers = Threads[int](network, Event())
    tasks = []
    for url in _urls(job):
        tasks.append(workers.submit(partial(get, url)))
        while workers.under_way >= job.in_flight:
            workers.wait(1)
    while workers.under_way:
        workers.wait(1)
    workers.stop()
    network.close()
    return {"bytes": sum(task.outcome for task in tasks if isinstance(task.outcome, int))}


def httpx_fetch(job: Job) -> Found:
    """The same by a plain httpx.Client in as many threads."""
    import httpx

    with httpx.Client() as client, ThreadPoolExecutor(job.in_flight) as pool:
        return {"bytes": sum(pool.map(lambda url: len(client.get(url).content), _urls(job)))}


def _urls(job: Job) -> list[str]:
    return [f"{job.url}?page={number}" for number in range(1, job.pages + 1)]


def loop(job: Job) -> Found:
    """What one writes by hand: httpx, orjson, the links followed, the wanted fields or all as an Arrow table."""
    import httpx
    import orjson

    def records(url: str | None) -> Iterator[dict[str, Any]]:
        with httpx.Client() as client:
            while url:
                response = client.get(url)
                yield from orjson.loads(response.content)
                url = response.links.get("next", {}).get("url")

    return in_duckdb(job, records(job.url))


def threads(job: Job) -> Found:
    """The same with threads, for one who knows how many pages there are."""
    import httpx
    import orjson

    def records() -> Iterator[dict[str, Any]]:
        with httpx.Client() as client, ThreadPoolExecutor(job.in_flight) as pool:
            for page in pool.map(lambda url: orjson.loads(client.get(url).content), _urls(job)):
                yield from page

    return in_duckdb(job, records())


def in_duckdb(job: Job, records: Iterator[dict[str, Any]]) -> Found:
    """What DuckDB says of `records`, which come to it as an Arrow table."""
    import duckdb
    import pyarrow as pa

    if job.work != "table":
        records = ({"id": record["id"], "name": record["name"]} for record in records)
    table = pa.Table.from_pylist(list(records))
    with duckdb.connect() as con:
        con.register("records", table)
        con.execute("CREATE TABLE t AS FROM records" if job.work == "table" else "CREATE VIEW t AS FROM records")
        return sums(con, "t")


def _importing(*names: str) -> Way:
    def way(_: Job) -> Found:
        for name in names:
            __import__(name)
        return {}

    return way


def _installed(_: Job) -> Found:
    _connection()
    return {}


def _decoding(design: str) -> Way:
    def way(job: Job) -> Found:
        from tests.benchmarks.decode import decode_pages

        return decode_pages(design, job.work, job.pages)

    return way


WAYS: dict[str, Way] = {
    "apikit": apikit,
    "fetch": fetch,
    "httpx": httpx_fetch,
    "loop": loop,
    "threads": threads,
    "import duckdb": _importing("duckdb"),
    "import apikit_sql": _importing("duckdb", "apikit_sql"),
    "install": _installed,
    "decode": _decoding("apikit"),
    "lists": _decoding("lists"),
    "orjson": _decoding("orjson"),
}

if __name__ == "__main__":
    main(WAYS)
