"""Traffic that nobody may have meant is told once a minute, and whatever watches requests never ends a scan."""

import logging
import threading
from collections.abc import Iterator

import httpx
import keyring
import pytest

from apikit_sql.connector.protocol import AuthConfig, RateLimitConfig
from apikit_sql.engine.anomaly import AnomalyDetector, RequestEvent
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.session import Session
from apikit_sql.errors import RequestError
from apikit_sql.secrets import KEYRING_SERVICE
from tests.engine.taking import Clock, ids, numbered, plan_of, read
from tests.fakes.api import FakeApi, Table
from tests.fakes.tokens import GuardedApi, MemoryKeyring, oauth

SECRET = "s3cr3t-0f-mine"


class Watched:
    """A detector and what it has warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.detector = AnomalyDetector(self.warnings.append)

    def see(self, *moments: float, connector: str = "api", credential: str = "one", threshold: int = 3) -> None:
        for at in moments:
            self.detector.record_event(RequestEvent(at, connector, credential, threshold))


class Kept:
    """A detector that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[RequestEvent] = []

    def record_event(self, event: RequestEvent) -> None:
        self.events.append(event)


class Broken:
    """A detector that fails, and tells how often."""

    def __init__(self) -> None:
        self.times = 0

    def record_event(self, event: RequestEvent) -> None:
        self.times += 1
        message = f"cannot bear {event.connector}"
        raise RuntimeError(message)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(numbered(5))})


def bearer(token: str) -> AuthConfig:
    return AuthConfig.model_validate({"type": "bearer", "token": token})


# --- the detector


def test_as_many_requests_as_allowed_are_nothing_new() -> None:
    watched = Watched()

    watched.see(0, 1, 2)

    assert watched.warnings == []


def test_one_request_more_within_a_minute_is_told() -> None:
    watched = Watched()

    watched.see(0, 20, 40, 59.9)

    assert watched.warnings == ["api: more than 3 requests within a minute."]


def test_the_minute_slides() -> None:
    watched = Watched()

    watched.see(*range(0, 600, 20))
    assert watched.warnings == []

    watched.see(581)
    assert len(watched.warnings) == 1


def test_a_burst_across_a_full_minute_is_told() -> None:
    watched = Watched()

    watched.see(58, 59, 61, 62)

    assert len(watched.warnings) == 1


def test_a_slow_request_that_is_told_late_counts_when_it_began() -> None:
    watched = Watched()

    watched.see(100, 101, 102, 5)

    assert watched.warnings == []


def test_what_goes_on_is_told_once_a_minute() -> None:
    watched = Watched()

    watched.see(*range(100))
    assert len(watched.warnings) == 2  # at 3 and at 63

    watched.see(*range(100, 130))
    assert len(watched.warnings) == 3


def test_connectors_count_for_themselves() -> None:
    watched = Watched()

    for at in range(3):
        watched.see(at, connector="one")
        watched.see(at, connector="two")
    assert watched.warnings == []

    watched.see(3, connector="two")
    assert watched.warnings == ["two: more than 3 requests within a minute."]


def test_several_credentials_of_one_connector_are_told_once_a_minute() -> None:
    watched = Watched()

    for at in range(0, 60, 10):
        watched.see(at, credential=f"c{at % 20}", threshold=100)
    assert watched.warnings == ["api: 2 credentials were used within a minute."]

    watched.see(80, credential="c10", threshold=100)
    assert len(watched.warnings) == 2


def test_credentials_of_different_minutes_or_connectors_are_nothing_new() -> None:
    watched = Watched()

    watched.see(0, credential="one")
    watched.see(60, credential="two")
    watched.see(61, credential="three", connector="other")

    assert watched.warnings == []


def test_both_warnings_are_told_each_by_itself() -> None:
    watched = Watched()

    watched.see(0, 1, 2, credential="one")
    watched.see(3, credential="two")

    assert sorted(watched.warnings) == [
        "api: 2 credentials were used within a minute.",
        "api: more than 3 requests within a minute.",
    ]


def test_threads_lose_no_request_and_warn_once() -> None:
    watched, start = Watched(), threading.Barrier(8)

    def see() -> None:
        start.wait()
        watched.see(*[5.0] * 250, threshold=1999)

    threads = [threading.Thread(target=see) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert watched.warnings == ["api: more than 1999 requests within a minute."]


def test_a_warning_may_use_the_detector_itself() -> None:
    detector = AnomalyDetector(lambda _: detector.record_event(RequestEvent(0, "other", "one", 100)))

    for _ in range(3):
        detector.record_event(RequestEvent(0, "api", "one", 1))  # a lock held across the warning would wait for ever


# --- in a session


def test_a_session_warns_in_the_log(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(transport=api.transport(), clock=Clock())
    plan = plan_of(rate_limit=RateLimitConfig(warn_above=2))

    with caplog.at_level(logging.WARNING, logger="apikit"):
        for _ in range(4):
            read(session, plan)

    assert [record.getMessage() for record in caplog.records] == ["api: more than 2 requests within a minute."]


def test_every_request_is_told_of_also_those_that_fail_and_those_tried_again(api: FakeApi) -> None:
    api.trouble.extend(
        [httpx.Response(503), httpx.ReadError("reset"), httpx.Response(200, json=[]), httpx.Response(404)]
    )
    kept, records, clock = Kept(), list[RequestRecord](), Clock()
    session = Session(transport=api.transport(), clock=clock, detector=kept, on_request=records.append)

    read(session, plan_of(rate_limit=RateLimitConfig(warn_above=7)))
    clock.now += 1
    with pytest.raises(RequestError):
        read(session, plan_of())

    assert [record.status for record in records] == [503, None, 200, 404]
    assert records == list(session.requests)
    assert [(event.at, event.threshold) for event in kept.events] == [(clock.now - 1, 7)] * 3 + [(clock.now, 100)]
    assert {event.connector for event in kept.events} == {"api"}


def test_requests_for_tokens_are_told_of_too() -> None:
    api, records = GuardedApi(), list[RequestRecord]()
    session = Session(transport=api.transport(), on_request=records.append)

    read(session, plan_of(auth=oauth()))

    assert [(record.method, record.url) for record in records] == [
        ("POST", "https://login.test/oauth/token"),
        ("GET", "https://api.test/items"),
    ]


def test_a_credential_is_told_apart_and_not_told(api: FakeApi) -> None:
    kept = Kept()
    session = Session(transport=api.transport(), detector=kept)

    for auth in (bearer(SECRET), bearer("another-t0ken"), bearer(SECRET), AuthConfig()):
        read(session, plan_of(auth=auth))

    one, other, again, none = (event.credential for event in kept.events)
    assert one == again
    assert len({one, other, none}) == 3
    assert SECRET not in repr(kept.events)


def test_a_session_warns_of_several_credentials(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(transport=api.transport())

    with caplog.at_level(logging.WARNING, logger="apikit"):
        for token in ("first-t0ken", "second-t0ken"):
            read(session, plan_of(auth=bearer(token)))

    assert "api: 2 credentials were used within a minute." in caplog.text
    assert "t0ken" not in caplog.text


@pytest.fixture
def store() -> Iterator[MemoryKeyring]:
    before, store = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(store)
    yield store
    keyring.set_keyring(before)


def test_a_refresh_token_that_is_replaced_makes_no_other_credential(store: MemoryKeyring) -> None:
    store.stored[KEYRING_SERVICE, "shop"] = "r0"
    kept, api = Kept(), GuardedApi(rotates=True)
    session = Session(transport=api.transport(), detector=kept)

    for _ in range(2):
        read(session, plan_of(auth=oauth(refresh_token="keyring:shop")))

    assert len({event.credential for event in kept.events}) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_watches_and_fails_ends_no_scan(api: FakeApi, concurrency: int, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken()
    session = Session(transport=api.transport(), detector=broken)

    with caplog.at_level(logging.WARNING, logger="apikit"):
        found = [ids(read(session, plan_of(), concurrency=concurrency)) for _ in range(2)]

    assert found == [[1, 2, 3, 4, 5]] * 2
    assert broken.times == 2
    assert "cannot bear api" in caplog.text


def test_an_observer_that_fails_ends_no_scan(api: FakeApi) -> None:
    def fail(record: RequestRecord) -> None:
        raise KeyError(record.url)

    kept = Kept()
    session = Session(transport=api.transport(), detector=kept, on_request=fail)

    assert ids(read(session, plan_of())) == [1, 2, 3, 4, 5]
    assert len(kept.events) == 1


def test_a_detector_that_fails_keeps_nothing_from_the_observer(api: FakeApi) -> None:
    records: list[RequestRecord] = []
    session = Session(transport=api.transport(), detector=Broken(), on_request=records.append)

    read(session, plan_of())

    assert [record.status for record in records] == [200]
