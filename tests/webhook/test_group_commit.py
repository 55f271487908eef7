"""Deliveries are stored in groups, and each is answered what became of it, whatever the store does."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import GroupCommit, RefusedRowError, StoreError, UnreadableError


class FakeStore:
    """Keeps batches in memory; `bad` cannot be read, `unfit` is refused, and `fault` is raised instead of writing."""

    def __init__(self) -> None:
        self.batches: list[list[str | None]] = []
        self.fault: Exception | None = None
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_open: bool | None = True
        self.is_closed = False

    def write(self, deliveries: Sequence[Delivery]) -> int:
        self.may_write.wait(10)
        if self.fault is not None:
            raise self.fault
        if any(each.payload == "bad" for each in deliveries):
            message = "no JSON"
            raise UnreadableError(message)
        if any(each.payload == "unfit" for each in deliveries):
            message = "it does not fit"
            raise RefusedRowError(message)
        self.batches.append([each.id for each in deliveries])
        return len(deliveries)

    def is_there(self) -> bool:
        if self.is_open is None:
            raise OSError
        return self.is_open

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def commits(store: FakeStore) -> Iterator[GroupCommit]:
    commits = GroupCommit("test", store, lambda: True)
    commits.start()
    yield commits
    commits.stop(10)
    assert not commits.is_running()


def delivery(name: str, payload: str = "{}") -> Delivery:
    return Delivery(1_700_000_000_000_000, "stripe", None, name, "{}", payload, "verified")


def kept(commits: GroupCommit, *deliveries: Delivery, meanwhile: Callable[[], object] = lambda: None) -> list[object]:
    """What became of deliveries that came together."""

    async def keep() -> list[object]:
        tasks = [asyncio.ensure_future(commits.keep(each)) for each in deliveries]
        await asyncio.sleep(0.05)
        meanwhile()
        return [*await asyncio.gather(*tasks, return_exceptions=True)]

    return asyncio.run(keep())


def test_what_comes_during_a_commit_is_stored_by_the_next_together(commits: GroupCommit, store: FakeStore) -> None:
    store.may_write.clear()
    outcomes = kept(commits, *[delivery(str(n)) for n in range(50)], meanwhile=store.may_write.set)

    assert outcomes == [None] * 50
    assert [name for batch in store.batches for name in batch] == [str(n) for n in range(50)]
    assert len(store.batches) <= 2  # whoever comes first may be alone
    assert commits.counts.new == 50
    assert commits.counts.lag > 0


def test_one_that_cannot_be_read_takes_nobody_along(commits: GroupCommit, store: FakeStore) -> None:
    store.may_write.clear()
    outcomes = kept(
        commits, delivery("a"), delivery("b"), delivery("c", "bad"), delivery("d"), meanwhile=store.may_write.set
    )

    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), UnreadableError, type(None)]
    assert sorted(str(name) for batch in store.batches for name in batch) == ["a", "b", "d"]
    assert (commits.counts.new, commits.counts.failed) == (3, 0)


def test_one_that_is_refused_takes_nobody_along_and_may_come_again(commits: GroupCommit, store: FakeStore) -> None:
    store.may_write.clear()
    sent = [delivery(str(n), "unfit" if n == 37 else "{}") for n in range(100)]
    outcomes = kept(commits, *sent, meanwhile=store.may_write.set)

    refused = outcomes.pop(37)
    assert type(refused) is RefusedRowError  # not UnreadableError, which is never tried again
    assert outcomes == [None] * 99
    assert [name for batch in store.batches for name in batch] == [str(n) for n in range(100) if n != 37]
    assert len(store.batches) <= 9  # found by halves
    assert (commits.counts.new, commits.counts.failed) == (99, 1)


def test_a_store_that_cannot_be_asked_whether_it_is_there_is_written_to(commits: GroupCommit, store: FakeStore) -> None:
    store.is_open, store.fault = None, StoreError("full")
    (outcome,) = kept(commits, delivery("a"))
    assert isinstance(outcome, StoreError)
    time.sleep(0.6)  # it is asked when nothing comes, too

    store.fault = None
    assert kept(commits, delivery("a")) == [None]


@pytest.mark.parametrize("fault", [StoreError("full"), OSError("full"), RuntimeError("full"), MemoryError("full")])
def test_whatever_a_store_raises_is_told_and_the_next_is_stored(
    commits: GroupCommit, store: FakeStore, fault: Exception
) -> None:
    store.fault = fault
    (outcome,) = kept(commits, delivery("a"))
    assert isinstance(outcome, StoreError)
    assert "full" in str(commits.counts.failure)

    store.fault = None
    assert kept(commits, delivery("a")) == [None]
    assert (commits.counts.new, commits.counts.failed, commits.counts.failure) == (1, 1, None)


def test_a_sender_that_has_gone_is_stored_all_the_same(commits: GroupCommit, store: FakeStore) -> None:
    store.may_write.clear()

    async def give_up() -> None:
        task = asyncio.ensure_future(commits.keep(delivery("a")))
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(give_up())
    store.may_write.set()

    assert kept(commits, delivery("b")) == [None]
    assert store.batches == [["a"], ["b"]]


def test_what_waits_at_the_end_is_stored_before_it(store: FakeStore) -> None:
    commits = GroupCommit("test", store, lambda: True)
    commits.start()
    store.may_write.clear()

    def end() -> None:
        threading.Timer(0.05, store.may_write.set).start()
        commits.stop(10)

    assert kept(commits, delivery("a"), delivery("b"), meanwhile=end) == [None, None]
    assert store.is_closed


def test_a_store_that_has_vanished_ends_the_thread_when_nothing_comes_any_more(store: FakeStore) -> None:
    asked: list[int] = []

    def on_gone() -> bool:
        asked.append(1)
        return len(asked) == 2

    commits = GroupCommit("test", store, on_gone)
    commits.start()
    store.is_open, store.fault = False, StoreError("closed")
    (outcome,) = kept(commits, delivery("a"))  # refused, and it is asked for the first time
    deadline = time.monotonic() + 10
    while commits.is_running() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not commits.is_running()
    assert isinstance(outcome, StoreError)
    assert len(asked) == 2
    assert store.is_closed
