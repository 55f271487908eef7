"""Mutations under fire: whatever network and server do, no row takes effect twice, and what each row tells is true.

A seed decides what each row meets, before it takes effect or after it. The server keeps what it has done by row; what a
row may tell is judged by that alone.
"""

import gzip
import json
import random
import threading
from collections import Counter, defaultdict
from threading import Event

import httpx
import pytest

from apikit_sql.connector.protocol import RateLimitConfig, RetryConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.mutation import Outcome
from apikit_sql.engine.session import Session
from apikit_sql.plan.mutation import Mutation
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.faulty import Bytes
from tests.engine.taking import plan_of

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

ROWS = 2_500
RETRY = RetryConfig(min_wait=0, jitter=0)
#: What a row may meet: nothing of it leaves; it leaves in vain; it takes effect, and the answer is well or is lost.
UNSENT = {"refused": httpx.ConnectError, "no connection": httpx.ConnectTimeout}
IN_VAIN = {"reset": httpx.ReadError, "half sent": httpx.WriteError}
LOST = {"lost": httpx.ReadError, "too late": httpx.ReadTimeout, "cut": httpx.RemoteProtocolError}
REFUSALS = ("429", "503", "500", "422", "302", "401")
ODD = ("cut gzip", "no coding", "html", "empty")
WELL = "well"


class Server:
    """`arrived` are the keys by which each row has come, and `done` how often it has taken effect."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        kinds = [*UNSENT, *IN_VAIN, *LOST, *REFUSALS, *ODD]
        self.arrived: defaultdict[int, list[str | None]] = defaultdict(list)
        self.done: Counter[int] = Counter()
        self._known: set[str] = set()
        self._faults = {
            row: [chance.choice(kinds) for _ in range(chance.choice([0, 1, 1, 2, 4]))] for row in range(ROWS)
        }
        self._faults |= {row: ["refused"] * 3 for row in range(0, ROWS, 50)}
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        row, key = json.loads(request.content)["row"], request.headers.get("x-once")
        with self._lock:
            faults = self._faults[row]
            kind = faults.pop(0) if faults else WELL
            if kind in UNSENT:
                raise UNSENT[kind](kind)
            self.arrived[row].append(key)
            if kind in IN_VAIN:
                raise IN_VAIN[kind](kind)
            if kind in REFUSALS:
                return httpx.Response(int(kind), json={"message": kind}, headers={"location": "/elsewhere"})
            if key is None or key not in self._known:
                self.done[row] += 1
                self._known.add(key or "")
        if kind in LOST:
            raise LOST[kind](kind)
        return self._answer(kind, row)

    def _answer(self, kind: str, row: int) -> httpx.Response:
        match kind:
            case "cut gzip":
                content = gzip.compress(json.dumps([row] * 50).encode())[:-9]
                return httpx.Response(201, headers={"content-encoding": "gzip"}, stream=Bytes(content))
            case "no coding":
                return httpx.Response(201, headers={"content-encoding": "snappy"}, stream=Bytes(b"{}"))
            case "html":
                return httpx.Response(200, html="<p>Thank you</p>")
            case "empty":
                return httpx.Response(204)
            case _:
                return httpx.Response(201, json={"row": row})


def mutation(row: int, *, has_key: bool) -> Mutation:
    retry = RETRY if has_key else RETRY.model_copy(update={"retry_on_status": ()})
    headers = (("X-Once", f"key-{row}"),) if has_key else ()
    plan = plan_of(
        method="POST",
        body=json.dumps({"row": row}).encode(),
        headers=headers,
        retry=retry,
        rate_limit=RateLimitConfig(warn_above=1_000_000),
    )
    return Mutation(plan, f"key-{row}" if has_key else None)


def judge(server: Server, row: int, outcome: Outcome, *, has_key: bool) -> str:
    """The kind of the outcome; raises AssertionError where it is not what the server has done."""
    arrived, done, error = server.arrived[row], server.done[row], outcome.error or ""
    assert done <= 1
    if has_key:
        assert set(arrived) <= {f"key-{row}"}
    else:
        assert len(arrived) <= 1
    if error.startswith("not sent: "):
        assert (arrived, outcome.status, outcome.body) == ([], None, None)
        return "not sent"
    assert arrived
    if error.startswith("outcome unknown: "):
        return "unknown"
    assert outcome.status is not None
    is_success = 200 <= outcome.status < 300
    assert done == is_success
    assert error.startswith(f"api: POST /items answered {outcome.status}") or (is_success and not error)
    if is_success and outcome.body is not None:
        assert json.loads(outcome.body) == {"row": row}
    return "done" if is_success else "refused"


@pytest.mark.parametrize("has_key", [False, True], ids=["sent once", "with a key"])
@pytest.mark.parametrize("seed", range(4))
def test_no_row_takes_effect_twice_and_every_row_tells_what_became_of_it(seed: int, *, has_key: bool) -> None:
    server = Server(seed)
    session = Session(connectors=ConnectorRegistry([]), transport=httpx.MockTransport(server), http="")
    asked = [mutation(row, has_key=has_key) for row in range(ROWS)]

    found = session.mutations(ScanPlan(asked[0].request, concurrency=8), asked, Event())()

    assert len(found) == ROWS
    ends = Counter(judge(server, row, outcome, has_key=has_key) for row, outcome in enumerate(found))
    assert min(ends[end] for end in ("done", "refused", "unknown")) > ROWS / 50, ends  # the seeds are not too tame
    assert ends["not sent"] > 0
    session.close()


def test_a_seed_makes_the_same_faults_again() -> None:
    assert [vars(Server(7))["_faults"], vars(Server(8))["_faults"]] == [
        vars(Server(7))["_faults"],
        vars(Server(8))["_faults"],
    ]
