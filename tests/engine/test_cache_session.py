"""The response cache of a session: shared by its scans, told by them, forgotten, at rest for recordings."""

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.session import Session
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.caching import LINKED, SECRET, Versioned
from tests.engine.taking import Clock, ids, numbered, plan_of, read, scan_of
from tests.fakes.api import BASE_URL, FakeApi, Table

# --- of a session


def session_of(api: FakeApi, clock: Clock | None = None, http: str = "") -> Session:
    return Session(transport=api.transport(), clock=clock or Clock(), http=http)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(numbered(25), "link")})


CACHED = plan_of(pagination=LINKED, cache=300)
ELSEWHERE = "https://another.test"


def test_scans_of_a_session_share_their_answers(api: FakeApi) -> None:
    clock = Clock()
    session = session_of(api, clock)
    assert ids(read(session, CACHED)) == list(range(1, 26))
    clock.now += 7

    assert ids(read(session, CACHED, concurrency=4)) == list(range(1, 26))

    assert len(api.seen) == len(session.requests) == 3
    assert [(scan.requests, scan.cached_pages, scan.cache_age) for scan in session.scans] == [(3, 0, None), (0, 3, 7)]


def test_equal_trips_of_one_scan_are_asked_for_once(api: FakeApi) -> None:
    assert len(read(session_of(api), CACHED, CACHED, CACHED, concurrency=4)) == 9

    assert len(api.seen) == 3


def test_another_session_has_none_of_them(api: FakeApi) -> None:
    read(session_of(api), CACHED)

    read(session_of(api), CACHED)

    assert len(api.seen) == 6


@pytest.mark.parametrize("forget", [lambda session: session.forget_answers(BASE_URL), Session.close])
def test_a_session_forgets(api: FakeApi, forget: Callable[[Session], None]) -> None:
    session = session_of(api)
    read(session, CACHED)

    forget(session)
    read(session, CACHED)

    assert len(api.seen) == 6


def test_what_was_changed_at_another_origin_is_no_reason(api: FakeApi) -> None:
    session = session_of(api)
    read(session, CACHED)

    session.forget_answers(ELSEWHERE)
    read(session, CACHED)

    assert len(api.seen) == 3


def test_what_every_connector_of_the_origin_has_read_is_forgotten(api: FakeApi) -> None:
    session, other = session_of(api), plan_of(connector="another", base_url=f"{BASE_URL}:443", cache=300)
    read(session, other)

    session.forget_answers(f"{BASE_URL}/v2")
    read(session, other)

    assert len(api.seen) == 2


def test_the_sample_of_a_bind_is_forgotten_too(api: FakeApi) -> None:
    session, plan = session_of(api), plan_of()
    others = plan_of(connector="another", base_url=f"{BASE_URL}:443"), plan_of(base_url=ELSEWHERE)
    for each in (plan, *others):
        session.sample(each, 1, Event())

    session.forget_answers(BASE_URL)
    for each in (plan, *others):
        assert len(read(session, each)) == 1

    assert [request.url.host for request in api.seen[3:]] == ["api.test", "api.test"]


@pytest.mark.parametrize(("changed", "requests"), [(BASE_URL, 2), (ELSEWHERE, 1)])
def test_a_sample_under_way_while_something_was_changed_there_is_not_kept(changed: str, requests: int) -> None:
    """It may tell of the time before."""
    begun, may_end, seen = Event(), Event(), []

    def slow(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        begun.set()
        may_end.wait(10)
        return httpx.Response(200, json=[{"id": len(seen)}])

    session, plan = session_of(FakeApi({"/items": slow})), plan_of()
    sampling = Thread(target=session.sample, args=(plan, 1, Event()))
    sampling.start()
    assert begun.wait(10)

    session.forget_answers(changed)
    may_end.set()
    sampling.join(10)

    assert ids(read(session, plan)) == [requests]
    assert len(seen) == requests


def test_a_sample_that_was_cached_is_told_by_its_scan(api: FakeApi) -> None:
    clock = Clock()
    session = session_of(api, clock)
    read(session, CACHED)
    clock.now += 299
    session.sample(CACHED, 1, Event())
    assert len(api.seen) == 3

    read(session, CACHED)
    assert (session.scans[-1].cached_pages, session.scans[-1].cache_age) == (3, 299)
    clock.now += 2
    read(session, CACHED)

    assert (session.scans[-1].cached_pages, len(api.seen)) == (0, 6)


def test_a_sample_that_was_asked_for_serves_its_scan_as_ever(api: FakeApi) -> None:
    session = session_of(api)
    session.sample(CACHED, 1, Event())

    read(session, CACHED)

    assert (session.scans[-1].requests, session.scans[-1].cached_pages, len(api.seen)) == (2, 0, 3)


def test_a_scan_that_is_closed_early_keeps_what_it_had(api: FakeApi) -> None:
    session = session_of(api)
    with scan_of(session, CACHED) as begun:
        next(begun.pages)

    read(session, CACHED)

    assert session.scans[-1].cached_pages >= 1
    assert len(api.seen) == 3


def test_every_answer_is_recorded_and_replayed(tmp_path: Path) -> None:
    plan = plan_of(cache=300)
    recording = session_of(FakeApi({"/items": counting_pages()}), http=f"record:{tmp_path}")
    assert [ids(read(recording, plan)) for _ in range(2)] == [[1], [2]]

    replaying = session_of(FakeApi({"/items": httpx.Response(500)}), http=f"replay:{tmp_path}")

    assert [ids(read(replaying, plan)) for _ in range(3)] == [[1], [2], [2]]


def counting_pages() -> Callable[[httpx.Request], httpx.Response]:
    numbers = iter(range(1, 1_000))
    return lambda _: httpx.Response(200, json=[{"id": next(numbers)}])


# --- no secret leaves


def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    auth = AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "k"})
    plan = plan_of(cache=300, auth=auth)
    with caplog.at_level(logging.DEBUG, logger="apikit"):
        session = Session(transport=FakeApi({"/items": Versioned()}).transport(), clock=(clock := Clock()), http="")
        for _ in range(3):
            list(session.bodies(ScanPlan(plan), [plan], Event()))
            clock.now += 200

    assert [record.status for record in session.requests] == [200, 304]
    assert '"status": 304' in caplog.text
    assert SECRET not in caplog.text + repr([*session.requests, vars(session._sharing.cache)])
    assert PageRequest(f"{BASE_URL}/items").full_url in caplog.text
