"""What calls share, for how long, and how it ends."""

import contextlib
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import httpx
import pytest

import apikit_sql
from apikit_sql.column_types import Column, Scalar
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig, RateLimitConfig, RetryConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine import samples
from apikit_sql.engine import session as session_room
from apikit_sql.engine.session import Session, default_session
from apikit_sql.errors import (
    ApikitWarning,
    ConfigError,
    ConnectorNotFoundError,
    PaginationError,
    RateLimitError,
    RequestError,
    ScanInterrupted,
)
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from tests.engine.taking import Clock, ids, numbered, plan_of, read, scan_of
from tests.fakes.api import FakeApi, Table

LINKED = PaginationConfig(strategy="link")
SOON = 5.0  # seconds: what happens at all happens long before


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(numbered(9), "link", page_size=2), "/other": httpx.Response(200, json=[])})


@pytest.fixture
def session(api: FakeApi, clock: Clock) -> Iterator[Session]:
    session = Session(transport=api.transport(), clock=clock)
    yield session
    session.close()


# --- pages


def test_pages_come_through_the_whole_engine(session: Session, api: FakeApi) -> None:
    found = read(session, plan_of(pagination=LINKED))

    assert ids(found) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(api.seen) == 5


def test_closing_the_pages_stops_the_requests(session: Session, api: FakeApi) -> None:
    with scan_of(session, plan_of(pagination=LINKED), concurrency=8) as scan:
        next(scan.pages)

    assert next(scan.pages, None) is None
    assert len(api.seen) == 1


def test_trips_come_in_order_with_their_numbers(session: Session, api: FakeApi) -> None:
    api.routes["/other"] = Table(numbered(3), "link", page_size=2)

    with scan_of(session, plan_of(pagination=LINKED), plan_of("/other", pagination=LINKED), concurrency=8) as scan:
        found = [(number, ids([page])) for number, page in scan.pages]

    assert found == [(0, [1, 2]), (0, [3, 4]), (0, [5, 6]), (0, [7, 8]), (0, [9]), (1, [1, 2]), (1, [3])]
    assert sorted(api.paths) == [
        "/items", "/items?page=2", "/items?page=3", "/items?page=4", "/items?page=5", "/other", "/other?page=2",
    ]  # fmt: skip


def test_what_was_sent_is_kept_the_newest_thousand(session: Session) -> None:
    read(session, plan_of("/other"))
    session.requests.extend([session.requests[0]] * 999)

    read(session, plan_of("/items"))

    assert len(session.requests) == 1000
    assert session.requests[-1].url == "https://api.test/items"


def test_a_missing_secret_is_told_before_anything_is_sent(
    session: Session, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    auth = AuthConfig.model_validate({"type": "bearer", "token": "env:API_TOKEN"})

    with pytest.raises(ConfigError, match="env:API_TOKEN is not set"):
        read(session, plan_of(auth=auth))

    assert api.seen == []


# --- samples


def requests_of(api: FakeApi, session: Session, plan: RequestPlan) -> int:
    """How many requests a scan of the whole `plan` sends."""
    before = len(api.seen)
    read(session, plan)
    return len(api.seen) - before


def test_a_sample_is_one_request_and_serves_the_scan_once(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)

    sampled = session.sample(plan, 1, Event())
    again = session.sample(plan, 1, Event())
    asked_for_sample = len(api.seen)
    found = read(session, plan)

    assert ids(sampled) == [1, 2]
    assert again == sampled
    assert asked_for_sample == 1
    assert ids(found) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(api.seen) == 5
    assert requests_of(api, session, plan) == 5


def test_a_sample_of_several_pages_serves_the_scan_with_all_of_them(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)

    sampled = session.sample(plan, 3, Event())

    assert ids(sampled) == [1, 2, 3, 4, 5, 6]
    assert len(api.seen) == 3
    assert requests_of(api, session, plan) == 2


def test_a_sample_of_more_pages_than_there_are_has_them_all(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)

    sampled = session.sample(plan, 9, Event())
    again = session.sample(plan, 9, Event())

    assert ids(sampled) == ids(again) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(api.seen) == 5


def test_a_sample_of_more_pages_than_are_kept_is_taken_anew(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)
    session.sample(plan, 1, Event())

    assert ids(session.sample(plan, 2, Event())) == [1, 2, 3, 4]
    assert len(api.seen) == 3


def test_a_sample_of_fewer_pages_than_are_kept_sends_nothing_and_has_no_more(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)
    session.sample(plan, 2, Event())

    fewer = session.sample(plan, 1, Event())

    assert len(api.seen) == 2
    assert ids(fewer) == [1, 2]


def test_a_sample_takes_no_page_ahead(session: Session, api: FakeApi) -> None:
    api.routes["/items"] = Table(numbered(9), "offset", page_size=2)
    paging = PaginationConfig(strategy="offset", offset_param="offset", total_path="total")

    session.sample(plan_of(pagination=paging), 2, Event())

    assert api.params("offset") == ["0", "2"]


def test_each_trip_of_a_scan_has_its_own_sample(session: Session, api: FakeApi) -> None:
    plans = [plan_of(pagination=LINKED, params=[("n", str(number))]) for number in range(3)]
    for plan in plans[:2]:
        session.sample(plan, 1, Event())

    found = read(session, *plans)

    assert ids(found) == [1, 2, 3, 4, 5, 6, 7, 8, 9] * 3
    assert len(api.seen) == 15


def test_a_sample_serves_no_other_plan(session: Session, api: FakeApi) -> None:
    plan = plan_of(pagination=LINKED)
    session.sample(plan, 1, Event())

    assert requests_of(api, session, plan.with_params({"a": "b"})) == 5
    assert requests_of(api, session, plan_of(pagination=LINKED)) == 4


def test_a_sample_lasts_thirty_seconds(session: Session, api: FakeApi, clock: Clock) -> None:
    plan = plan_of(pagination=LINKED)
    session.sample(plan, 1, Event())

    clock.now += 29.9
    session.sample(plan, 1, Event())
    assert len(api.seen) == 1

    clock.now += 0.1
    session.sample(plan, 1, Event())
    assert len(api.seen) == 2

    clock.now += 30
    assert requests_of(api, session, plan) == 5


def test_a_sample_that_fails_is_not_kept(session: Session, api: FakeApi) -> None:
    api.trouble.append(httpx.Response(404))
    plan = plan_of(pagination=LINKED)

    with pytest.raises(RequestError):
        session.sample(plan, 1, Event())

    assert requests_of(api, session, plan) == 5


def test_the_oldest_samples_go_when_they_grow_too_large(
    session: Session, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_MOST", 30)
    api.routes["/big"] = httpx.Response(200, content=b"[" + b" " * 20 + b"]")
    plans = [plan_of("/big", params=[("n", str(number))]) for number in range(3)]
    for plan in plans:
        session.sample(plan, 1, Event())

    assert [requests_of(api, session, plan) for plan in plans] == [1, 1, 0]


def test_a_sample_larger_than_all_room_still_serves_its_scan(
    session: Session, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_MOST", 1)
    plan = plan_of()
    session.sample(plan, 1, Event())

    assert requests_of(api, session, plan) == 0


def test_a_sample_is_cancelled_as_a_scan_is(session: Session, api: FakeApi) -> None:
    api.trouble.extend([httpx.Response(503, headers={"retry-after": "50"})])
    raised: list[BaseException] = []

    def sample() -> None:
        try:
            session.sample(plan_of(retry=RetryConfig()), 1, Event())
        except ScanInterrupted as error:
            raised.append(error)

    thread = threading.Thread(target=sample)
    thread.start()
    deadline = time.monotonic() + SOON
    while not api.seen and time.monotonic() < deadline:
        time.sleep(0.001)

    session.stop_running(SOON)
    thread.join(SOON)

    assert not thread.is_alive()
    assert [str(error) for error in raised] == ["the scan was interrupted"]


# --- the record of a scan


def test_a_scan_is_recorded_from_its_beginning_to_its_end(session: Session, api: FakeApi, clock: Clock) -> None:
    api.trouble.append(httpx.Response(503))

    with scan_of(session, plan_of(pagination=LINKED), plan_of("/other")) as scan:
        states = [session.scans[-1].state]
        list(scan.pages)

    (record,) = session.scans
    assert record is scan.record
    assert [*states, record.state] == ["running", "done"]
    assert (record.connector, record.path, record.trips, record.at) == ("api", "/items", 2, clock.now)
    assert (record.requests, record.retries, record.failed_trips) == (7, 1, 0)


def test_a_scan_that_its_reader_closes_is_no_failed_one(session: Session) -> None:
    def rows() -> Generator[int]:
        with scan_of(session, plan_of(pagination=LINKED)) as scan:
            yield from ids(page for _, page in scan.pages)

    with contextlib.closing(rows()) as closed:
        next(closed)

    assert [record.state for record in session.scans] == ["closed"]


def test_a_scan_that_ends_with_an_error_is_a_failed_one(session: Session, api: FakeApi) -> None:
    api.trouble.append(httpx.Response(404))

    with pytest.raises(RequestError):
        read(session, plan_of())

    assert [record.state for record in session.scans] == ["failed"]
    assert [(failed.status, failed.is_skipped) for failed in session.failures] == [(404, False)]


def test_a_trip_that_is_passed_over_is_told_when_the_scan_is_over(session: Session, api: FakeApi) -> None:
    api.routes["/gone"] = httpx.Response(410)

    with pytest.warns(ApikitWarning, match=r"^api /items: 1 of 3 trips failed and were skipped; .*answered 410"):
        found = read(session, plan_of(), plan_of("/gone"), plan_of("/other"), on_error="skip_missing", concurrency=4)

    assert ids(found) == [1, 2]
    assert [(failed.path, failed.status, failed.pages) for failed in session.failures] == [("/gone", 410, 0)]
    assert [record.failed_trips for record in session.scans] == [1]


def test_a_scan_sends_no_more_than_it_may(session: Session, api: FakeApi) -> None:
    with pytest.raises(PaginationError, match=r"^api /items: max_requests = 3 are sent and the scan is not at its end"):
        read(session, plan_of(pagination=LINKED), max_requests=3)

    assert len(api.seen) == 3


def test_attempts_count_as_requests_that_a_scan_may_send(session: Session, api: FakeApi) -> None:
    api.trouble.extend([httpx.Response(503), httpx.Response(503)])

    with pytest.raises(PaginationError, match="max_requests = 2 are sent"):
        read(session, plan_of(), max_requests=2)

    assert len(api.seen) == 2


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_scan_that_needs_all_requests_that_it_may_send_is_whole(session: Session, concurrency: int) -> None:
    assert len(ids(read(session, plan_of(pagination=LINKED), max_requests=5, concurrency=concurrency))) == 9


# --- inferred columns


def test_inferred_columns_are_kept_for_their_plan(session: Session) -> None:
    plan, columns = ScanPlan(plan_of()), (Column("id", Scalar("BIGINT"), ("id",)),)

    session.keep_inferred(plan, columns)

    assert session.inferred(ScanPlan(plan_of())) == columns
    assert session.inferred(ScanPlan(plan_of("/other"))) is None


def test_the_oldest_inferred_columns_go_when_there_are_very_many(session: Session) -> None:
    plans = [ScanPlan(plan_of(f"/{number}")) for number in range(1001)]

    for plan in plans:
        session.keep_inferred(plan, ())

    assert session.inferred(plans[0]) is None
    assert [session.inferred(plan) for plan in plans[1:]] == [()] * 1000


# --- what is shared


def test_a_limit_is_shared_by_all_plans_of_one_api_and_credential(session: Session) -> None:
    plan = plan_of(rate_limit=RateLimitConfig(requests_per_second=0.01), max_wait=5)
    token = AuthConfig.model_validate({"type": "bearer", "token": "abc"})
    read(session, plan)

    with pytest.raises(RateLimitError):
        read(session, replace(plan, path="/other"))
    read(session, replace(plan, auth=token))
    read(session, replace(plan, base_url="https://eu.api.test", path="/other"))
    read(session, replace(plan, connector="another"))


# --- the end


def test_close_cancels_what_runs_and_the_session_may_be_used_again(session: Session) -> None:
    cancelled = Event()

    with session.running(cancelled):
        session.close()
        session.close()

    assert cancelled.is_set()
    assert ids(read(session, plan_of(pagination=LINKED))) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_close_lets_a_scan_end_by_an_error_of_this_package(session: Session) -> None:
    cancelled = Event()

    scan = scan_of(session, plan_of(pagination=LINKED), cancelled=cancelled)
    with session.running(cancelled), scan:
        next(scan.pages)
        session.close()
        with pytest.raises(ScanInterrupted):
            next(scan.pages)


def test_stop_running_cancels_and_waits_until_all_have_ended(session: Session) -> None:
    cancelled, has_begun = Event(), Event()
    ended: list[str] = []

    def scan() -> None:
        with session.running(cancelled):
            has_begun.set()
            assert cancelled.wait(SOON)
            time.sleep(0.03)
            ended.append("scan")

    thread = threading.Thread(target=scan)
    thread.start()
    has_begun.wait(SOON)

    session.stop_running(SOON)

    ended.append("stop")
    thread.join()
    assert ended == ["scan", "stop"]


def test_stop_running_waits_for_a_scan_that_another_thread_is_to_begin_and_cancels_it(session: Session) -> None:
    # given a thread that has bound a statement, whose scan DuckDB begins a moment later
    ended: list[str] = []
    has_bound = Event()

    def bind_and_scan() -> None:
        session.will_begin()
        has_bound.set()
        time.sleep(0.1)
        cancelled = Event()
        with session.running(cancelled):
            ended.append("cancelled" if cancelled.is_set() else "reads on")

    thread = threading.Thread(target=bind_and_scan)
    thread.start()
    has_bound.wait(SOON)

    session.stop_running(SOON)

    ended.append("stop")
    thread.join()
    assert ended == ["cancelled", "stop"]


def test_stop_running_waits_no_longer_than_it_is_told(session: Session) -> None:
    started = time.monotonic()

    with session.running(Event()):
        session.stop_running(0.05)

    assert 0.04 < time.monotonic() - started < 1


def test_stop_running_returns_at_once_where_nothing_runs(session: Session) -> None:
    session.will_begin()  # on this thread, which leaves only when its statement has ended
    started = time.monotonic()

    session.stop_running(SOON)

    assert time.monotonic() - started < 0.3


def test_a_scan_that_ends_does_not_hide_another_with_the_same_cancel(session: Session) -> None:
    shared = Event()

    with session.running(shared):
        with session.running(shared):
            pass
        session.stop_running(0.02)

    assert shared.is_set()


def test_the_end_of_the_interpreter_cancels_what_runs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_room, "_EXIT_WAIT", 0.02)
    cancelled = Event()

    with session.running(cancelled):
        session_room._stop_at_exit(weakref.ref(session))

    assert cancelled.is_set()


def test_a_session_that_is_gone_keeps_no_one_at_the_end_of_the_interpreter() -> None:
    reference = weakref.ref(Session())
    gc.collect()

    session_room._stop_at_exit(reference)

    assert reference() is None


def test_stop_running_reaches_a_scan_that_begins_meanwhile(session: Session) -> None:
    first, second, has_begun = Event(), Event(), Event()

    def scan() -> None:
        with session.running(first):
            has_begun.set()
            first.wait(SOON)
            with session.running(second):
                second.wait(SOON)

    thread = threading.Thread(target=scan)
    thread.start()
    assert has_begun.wait(SOON)

    session.stop_running(SOON)
    thread.join(SOON)

    assert second.is_set()


# --- connectors


def test_the_demo_connector_answers_by_itself() -> None:
    session = Session()
    try:
        connector = session.connector("demo")
        plan = plan_of("/status", base_url=connector.base_url, connector="demo")
        pages = read(session, plan)

        assert connector.base_url.startswith("http://127.0.0.1:")
        assert session.connector("demo").base_url == connector.base_url
        assert pages[0].envelope.at("status") == "ok"
    finally:
        session.close()


def test_the_demo_is_closed_with_its_session_and_starts_again() -> None:
    session = Session()
    try:
        first = session.connector("demo").base_url
        session.close()
        with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
            client.get(first)

        again = session.connector("demo").base_url

        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{again}/status").status_code == 200
    finally:
        session.close()


def test_connectors_come_from_the_registry(session: Session) -> None:
    assert session.connector("github").base_url == "https://api.github.com"
    with pytest.raises(ConnectorNotFoundError, match="github"):
        session.connector("gihtub")


# --- one session per process


def test_the_default_session_is_one_per_process() -> None:
    assert default_session() is default_session()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_has_a_session_of_its_own() -> None:
    program = """
        import os
        from apikit_sql.engine.session import default_session

        parents = default_session()
        with parents._lock:  # a thread of the parent may hold it at the fork
            child = os.fork()
            if child == 0:
                own = default_session()
                with own._lock:
                    os._exit(0 if own is not parents and default_session() is own else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or default_session() is not parents)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=_root(), timeout=30, check=False, capture_output=True
    )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_ends_at_once_and_sends_nothing_over_its_parents_sockets() -> None:
    program = """
        import os, sys
        from threading import Event
        from apikit_sql.engine.session import default_session
        from apikit_sql.errors import ConfigError
        from tests.engine.taking import plan_of, scan_of

        session = default_session()
        plan = plan_of(base_url=session.connector("demo").base_url)  # whose server is a thread of the parent
        with session.running(Event()):  # which its parent would wait for
            child = os.fork()
            if child == 0:
                try:
                    scan_of(session, plan)
                except ConfigError as error:
                    print(error, flush=True)
                sys.exit(5)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=_root(),
        timeout=30,
        check=False,
        capture_output=True,
        text=True,
    )

    told, code = done.stdout.splitlines()
    assert "before the process was forked" in told
    assert (code, done.stderr) == ("5", "")


def test_threads_that_ask_at_once_have_the_same_session() -> None:
    program = """
        import sys, threading
        from apikit_sql.engine.session import default_session

        sys.setswitchinterval(1e-6)
        together, found = threading.Barrier(8), []
        def ask():
            together.wait()
            found.append(default_session())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        raise SystemExit(len(set(map(id, found))) != 1)
    """

    for _ in range(3):
        subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=_root(), timeout=30, check=True)


def test_the_interpreter_ends_soon_though_a_scan_waits() -> None:
    program = """
        import threading, time
        from threading import Event
        import httpx
        from apikit_sql.engine.session import default_session, Session
        from apikit_sql.errors import ScanInterrupted
        from tests.engine.taking import plan_of, scan_of

        session = Session(transport=httpx.MockTransport(lambda _: httpx.Response(503, headers={"retry-after": "50"})))

        def scan():
            cancelled = Event()
            with session.running(cancelled):
                try:
                    next(scan_of(session, plan_of(), cancelled=cancelled).pages)
                except ScanInterrupted:
                    print("interrupted", flush=True)

        threading.Thread(target=scan, daemon=True).start()
        while not session.requests:
            time.sleep(0.001)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=_root(), timeout=30, check=False, capture_output=True
    )

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        b"interrupted\n",
        b"apikit: api: waiting 50 s after 503.\n",
    )


def _root() -> Path:
    return Path(apikit_sql.__path__[0]).parent


def test_a_connector_of_the_users_own_on_loopback_is_not_the_demo(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text('name = "local"\nbase_url = "http://127.0.0.1"\n')
    session = Session(connectors=ConnectorRegistry([tmp_path]))

    assert session.connector("local").base_url == "http://127.0.0.1"


def test_the_secrets_of_headers_are_forgotten_when_there_are_very_many(session: Session) -> None:
    for number in range(300):
        read(session, plan_of("/other", headers=(("X-Vault-Token", f"s3cr3t-{number:03}"),)))
        read(session, plan_of("/other", headers=(("X-Vault-Token", "s3cr3t-usual"),)))
    session.remember(error := RequestError("no s3cr3t-299, s3cr3t-usual, s3cr3t-000"))

    assert str(error) == "no ***REDACTED***, ***REDACTED***, s3cr3t-000"
