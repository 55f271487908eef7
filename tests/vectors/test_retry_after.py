"""What is asked in Retry-After is waited as public sources wait it, and without it waits grow as theirs do.

No test waits: the clock stands still.
"""

import time
from collections.abc import Iterator

import httpx
import pytest
import tenacity

from apikit_sql.connector.protocol import RetryConfig
from apikit_sql.engine.retry import new_attempts, retry_after, retry_delay
from tests.engine.taking import Clock
from tests.vectors import retry_after as public
from tests.vectors.retry_after import Backoff, Status, Vector

TABLES = {
    "values": public.VALUES,
    "sleeps": public.SLEEPS,
    "most": public.MOST,
    "RFC 9110": public.RFC_9110,
    "ours": public.OURS,
}
VECTORS = [
    pytest.param(vector, id=f"{source}: {vector.value.decode('latin-1')}")
    for source in TABLES
    for vector in TABLES[source]
]


@pytest.fixture(params=["UTC", "Asia/Jerusalem", "America/New_York"])
def _somewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


def headers(value: bytes) -> httpx.Headers:
    return httpx.Headers([(b"Retry-After", value)])


def attempt(number: int, answer: httpx.Response) -> tenacity.RetryCallState:
    """The attempts of a request whose last one, of this number, has this answer."""
    attempts = new_attempts()
    attempts.attempt_number = number
    attempts.set_result(answer)
    return attempts


@pytest.mark.parametrize("vector", VECTORS)
def test_what_is_asked_is_read_as_its_source_reads_it(vector: Vector) -> None:
    assert retry_after(headers(vector.value), Clock(vector.now)) == vector.seconds


@pytest.mark.usefixtures("_somewhere")
@pytest.mark.parametrize("vector", [*public.SLEEPS, *public.RFC_9110], ids=lambda vector: vector.value.decode())
def test_a_date_means_greenwich_wherever_the_caller_is(vector: Vector) -> None:
    assert retry_after(headers(vector.value), Clock(vector.now)) == vector.seconds


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("status", [429, 503])
def test_what_is_asked_is_waited_and_never_less_than_the_backoff(vector: Vector, status: int) -> None:
    config = RetryConfig(min_wait=1, max_wait=1, jitter=0)
    answer = httpx.Response(status, headers=headers(vector.value))

    delay = retry_delay(config, attempt(1, answer), Clock(vector.now))

    asked = vector.seconds or 0.0
    assert delay == (max(1.0, asked), asked)


@pytest.mark.parametrize("vector", public.BACKOFFS, ids=lambda vector: vector.name)
def test_waits_grow_as_those_of_the_source(vector: Backoff) -> None:
    config = RetryConfig(max_attempts=100, min_wait=vector.factor, max_wait=vector.most, jitter=vector.jitter)

    for number, (least, most) in vector.waits.items():
        delay = retry_delay(config, attempt(number, httpx.Response(503)), Clock())

        assert delay is not None
        assert least - 1e-9 <= delay.seconds <= most + 1e-9
        assert delay.asked == 0.0


@pytest.mark.parametrize("vector", public.STATUSES, ids=str)
def test_the_statuses_that_are_tried_again_are_those_of_the_source(vector: Status) -> None:
    config = RetryConfig(retry_on_status=vector.retried)
    answer = httpx.Response(vector.status, headers={"retry-after": "1"})

    delay = retry_delay(config, attempt(1, answer), Clock())

    assert (delay is not None) is vector.is_retried
