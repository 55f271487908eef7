"""What a twin must not do to the event loop that it runs in: lose a cancel, hold it up, or use up its threads."""

import asyncio
import io
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from apikit_sql import Apikit, Session
from apikit_sql.facade import client as client_file
from apikit_sql.facade import fetching
from apikit_sql.facade.threads import TaskThreads
from tests.fakes.api import Busy, FakeApi, Table
from tests.fakes.graphql import graphql_route, issues

RECORDS: list[dict[str, Any]] = [{"id": n} for n in range(50)]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(RECORDS, "link"), "/graphql": graphql_route(issues(1))})


@pytest.mark.parametrize("steps", range(1, 9))
def test_a_cancel_is_never_lost(client: Apikit, steps: int) -> None:
    async def main() -> None:
        task = asyncio.create_task(client.afetch_records("/items", paginate=True))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "finish"),
    [
        ("afetch_records", "records_of"),
        ("afetch_polars", "polars_frame"),
        ("afetch_pandas", "pandas_frame"),
        ("afetch_arrow", "arrow_table"),
        ("agraphql", "records_of"),
    ],
)
def test_the_loop_does_not_decode(client: Apikit, method: str, finish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def seen(original: Callable[..., Any]) -> Callable[..., Any]:
        def finishing(*args: Any, **options: Any) -> Any:
            threads.append(threading.current_thread())
            return original(*args, **options)

        return finishing

    for file in (client_file, fetching):
        if hasattr(file, finish):
            monkeypatch.setattr(file, finish, seen(getattr(file, finish)))

    asked = ("/graphql", "{ countries { code name } }") if method == "agraphql" else ("/items",)
    options = {} if method == "agraphql" else {"paginate": True}
    found = asyncio.run(getattr(client, method)(*asked, **options))

    assert len(found) > 1
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_changes_leave_the_loops_own_threads_alone(api: FakeApi, client: Apikit) -> None:
    let_go = threading.Event()

    def waits(_: httpx.Request) -> httpx.Response:
        let_go.wait(10)
        return httpx.Response(200, json={})

    api.routes["/slow"] = waits

    async def main() -> list[Any]:
        changes = [asyncio.create_task(client.apost("/slow", {})) for _ in range(60)]
        async with asyncio.timeout(8):
            while len(api.seen) < 60:  # noqa: ASYNC110 - all at once; they are threads
                await asyncio.sleep(0.01)
            await asyncio.to_thread(let_go.set)
        return await asyncio.gather(*changes)

    assert asyncio.run(main()) == [{}] * 60


def test_very_many_changes_share_a_few_threads(api: FakeApi, client: Apikit) -> None:
    most = 0

    def counts(_: httpx.Request) -> httpx.Response:
        nonlocal most
        time.sleep(0.01)
        most = max(most, len([each for each in threading.enumerate() if each.name == "apikit-task"]))
        return httpx.Response(200, json={})

    api.routes["/slow"] = counts

    async def main() -> list[Any]:
        return await asyncio.gather(*(client.apost("/slow", {}) for _ in range(300)))

    assert asyncio.run(main()) == [{}] * 300
    assert len(api.seen) == 300
    assert 1 < most <= 64


def test_what_is_read_does_not_wait_for_changes(api: FakeApi, client: Apikit) -> None:
    let_go = threading.Event()

    def waits(_: httpx.Request) -> httpx.Response:
        let_go.wait(10)
        return httpx.Response(200, json={})

    api.routes["/slow"] = waits

    async def main() -> None:
        changes = [asyncio.create_task(client.apost("/slow", {})) for _ in range(80)]
        async with asyncio.timeout(8):
            while len(api.seen) < 64:  # noqa: ASYNC110 - they are threads
                await asyncio.sleep(0.01)
            assert await client.afetch_records("/items", pages=1) == RECORDS[:10]
        let_go.set()
        await asyncio.gather(*changes)

    asyncio.run(main())


def test_where_no_more_threads_are_to_be_had_those_that_there_are_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, start, let_go = TaskThreads(), threading.Thread.start, threading.Event()
    begun: list[threading.Thread] = []
    done: list[int] = []

    def started(thread: threading.Thread) -> None:
        if len(begun) == 2:
            message = "can't start new thread"
            raise RuntimeError(message)
        begun.append(thread)
        start(thread)

    def work(number: int) -> None:
        let_go.wait(10)
        done.append(number)

    monkeypatch.setattr(threading.Thread, "start", started)
    for number in range(9):
        threads.submit(partial(work, number))
    let_go.set()
    for thread in begun:
        thread.join(10)

    assert sorted(done) == [*range(9)]
    with pytest.raises(RuntimeError, match="can't start"):
        threads.submit(partial(work, 9))
    begun.clear()
    threads.submit(partial(work, 10))
    begun[0].join(10)
    assert sorted(done) == [*range(9), 10]


def test_a_thread_has_the_context_of_its_task(client: Apikit) -> None:
    chosen: ContextVar[str] = ContextVar("chosen", default="none")
    seen: list[str] = []

    class Watching(io.BytesIO):
        def write(self, data: Any) -> int:
            seen.append(chosen.get())
            return super().write(data)

    async def main() -> None:
        chosen.set("mine")
        await client.afetch_to_file("/items", format="ndjson", file_path=Watching(), paginate=True)

    asyncio.run(main())

    assert {*seen} == {"mine"}


def test_the_interpreter_waits_for_what_a_thread_finishes(
    session: Session, client: Apikit, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []

    def finishing(_: Any) -> list[Any]:
        at_exit = threading.Thread(target=session.stop_running, args=(5.0,))
        at_exit.start()
        at_exit.join(0.1)
        waited.append(at_exit.is_alive())
        return []

    monkeypatch.setattr(fetching, "records_of", finishing)
    asyncio.run(client.afetch_records("/items", paginate=True))

    assert waited == [True]


def test_a_cancelled_task_lets_its_thread_know(api: FakeApi, client: Apikit, tmp_path: Path) -> None:
    api.routes["/slow"] = Busy(Table(RECORDS * 100, "next_url", page_size=1), 0.01)

    async def main() -> None:
        writing = client.afetch_to_file("/slow", format="ndjson", file_path=tmp_path / "out", paginate=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writing, 0.1)

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name == "apikit-task":
            thread.join(10)

    assert not [thread for thread in threading.enumerate() if thread.name == "apikit-task"]
    assert len(api.seen) < 2_000
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_the_loop_ends_is_closed(api: FakeApi, session: Session) -> None:
    api.routes["/slow"] = Busy(Table(RECORDS, "next_url", page_size=1), 0.01)
    client = Apikit("https://api.test", session=session)

    async def main() -> None:
        async for _ in client.astream("/slow"):
            break

    asyncio.run(main())

    assert session.scans[-1].state == "closed"
