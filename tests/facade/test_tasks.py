"""What a twin must not do to the event loop that it runs in: lose a cancel, hold it up, or use up its threads."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apikit_sql import Apikit, Session
from apikit_sql.facade import client as client_file
from apikit_sql.facade import fetching
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
