"""What calls share: connections, limits, tokens, connectors, sampled pages, and the rings of what happened lately."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING

import httpx

from apikit_sql.column_types import Column
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine import request_log
from apikit_sql.engine.access import Access, SharedLimit
from apikit_sql.engine.anomaly import Detector
from apikit_sql.engine.drivers import drive
from apikit_sql.engine.estimate import Outlook, estimate
from apikit_sql.engine.exchange import fetch_body
from apikit_sql.engine.fan_out import FanOut
from apikit_sql.engine.mutation import Outcome, Sending, allowance, send_all
from apikit_sql.engine.pages import AsyncPages, Pages
from apikit_sql.engine.probe import Probe, probe
from apikit_sql.engine.replies import replies
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.running import Running, RunningScans
from apikit_sql.engine.samples import Samples
from apikit_sql.engine.scan_log import Allowance, FailedTrip, ScanRecord
from apikit_sql.engine.scan_pages import AsyncScanPages, ScanPages
from apikit_sql.engine.sharing import Sharing
from apikit_sql.engine.steps import Page
from apikit_sql.engine.transports import Transports
from apikit_sql.engine.trip import Dialogue, trip
from apikit_sql.engine.window import WindowSettings
from apikit_sql.errors import ApikitError, ConfigError
from apikit_sql.origin import origin_of
from apikit_sql.plan.mutation import Mutation
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan, Trip
from apikit_sql.redaction import redact_url

if TYPE_CHECKING:
    from apikit_sql.demo import DemoServer

_RING = 1_000
_EXIT_WAIT = 3.0  # seconds
_FINISHING = 30.0  # seconds that mutations under way are waited for
_DEFAULT: dict[int, Session] = {}  # of each process
_EMBEDDED = "http://demo.localhost"  # the base URL of the demo's manifest, in place of the running server's


class Session:
    """One set of connections, limits, tokens, connectors and records. Safe to share between threads.

    `transport` replaces the network, for tests.
    """

    def __init__(  # noqa: PLR0913 - seven settings by name
        self,
        *,
        connectors: ConnectorRegistry | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        http: str | None = None,
        detector: Detector | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """A session that has sent nothing yet.

        `http` is as the environment's `APIKIT_HTTP`, which it takes the place of. `detector` is told of every request,
        and `on_request` of every one that is over, on the thread that sent it. `tell` is given a line where something
        waits for long; without it, that goes to stderr. Raises ConfigError where the environment is wrong.
        """
        request_log.show_log(os.environ.get("APIKIT_LOG_LEVEL", ""))
        http = os.environ.get("APIKIT_HTTP", "") if http is None else http
        self._sharing = Sharing(clock, http, detector, on_request, tell)
        self.connectors = ConnectorRegistry() if connectors is None else connectors
        self.requests = self._sharing.requests
        self.errors: deque[ApikitError] = deque(maxlen=_RING)
        self.scans: deque[ScanRecord] = deque(maxlen=_RING)
        self.failures: deque[FailedTrip] = deque(maxlen=_RING)
        self._inferred: OrderedDict[ScanPlan, tuple[Column, ...]] = OrderedDict()
        self._clock = clock
        self._lock = threading.Lock()
        self._transports = Transports(transport)
        self._samples = Samples(clock)
        self._scans = RunningScans()
        self._demo: DemoServer | None = None
        self._process = os.getpid()
        atexit.register(_stop_at_exit, weakref.ref(self))

    def connector(self, name: str) -> ConnectorDefinition:
        """The connector of this name; the demo's, whatever extends it, with its embedded server running."""
        connector = self.connectors.get(name)
        if connector.base_url != _EMBEDDED:
            return connector
        if self._sharing.tape is not None and not self._sharing.tape.sends:
            return connector
        from apikit_sql.demo import DemoServer  # noqa: PLC0415 - brings http.server, which no other connector needs

        if self._demo is None:
            started = DemoServer()
            with self._lock:
                self._demo, spare = self._demo or started, self._demo and started
            if spare:
                spare.close()
        if self._sharing.tape is not None:
            self._sharing.tape.call(self._demo.base_url, _EMBEDDED)
        return connector.model_copy(update={"base_url": self._demo.base_url})

    def pages(self, plan: ScanPlan, trips: Sequence[Trip], cancelled: Event, *, first_ahead: int = 2) -> ScanPages:
        """The pages of `trips`, in order, and the record of their scan. Leaving it stops the requests.

        The reader asks for page `first_ahead` only where it wants more than it has.
        """
        scan, dialogues, settings = self._scan(plan, trips, first_ahead)
        pages = Pages(dialogues, self._transport_of(plan.request), cancelled, **settings)
        return ScanPages(pages, scan, self._sharing.redacted)

    async def apages(
        self, plan: ScanPlan, trips: Sequence[Trip], cancelled: Event, *, first_ahead: int = 2
    ) -> AsyncScanPages:
        """The pages of `trips`, in order, and the record of their scan. Leaving it stops the requests.

        The reader asks for page `first_ahead` only where it wants more than it has.
        """
        scan, dialogues, settings = self._scan(plan, trips, first_ahead)
        transport = await self._transports.of_loop(verify=plan.request.verify_ssl)
        pages = AsyncPages(dialogues, transport, cancelled, **settings)
        return AsyncScanPages(pages, scan, self._sharing.redacted)

    def _scan(
        self, plan: ScanPlan, trips: Sequence[Trip], first_ahead: int
    ) -> tuple[ScanRecord, list[Callable[[], Dialogue]], WindowSettings]:
        """What a scan is recorded in, its trips as they begin, and how many of its requests may be under way."""
        scan = ScanRecord(plan, trips=len(trips), at=self._clock())
        access = self._access(plan.request, scan)
        fan_out = FanOut(trips, plan.on_error, scan, self.failures.append, self._clock, redact=self._sharing.redacted)
        samples = [self._samples.take(each.request) for each in trips]
        dialogues = [partial(trip, each.request, access, kept) for each, kept in zip(trips, samples, strict=True)]
        self.scans.append(scan)
        settings = WindowSettings(
            concurrency=plan.concurrency,
            first_ahead=first_ahead,
            on_failure=fan_out.failed,
            limiter=access.limiter,
        )
        return scan, [*dialogues], settings

    def sample(self, plan: RequestPlan, most: int, cancelled: Event) -> tuple[Page, ...]:
        """Up to `most` pages from the first of `plan` on, kept for the scan that follows."""
        kept = self._samples.look(plan, most)
        if kept is not None:
            return kept
        scan, generation = ScanRecord(), self._samples.generation(plan)
        begin = partial(trip, plan, self._access(plan, scan))
        with self.running(cancelled), Pages([begin], self._transport_of(plan), cancelled) as pages:
            found = tuple(page for _, page in islice(pages, min(most, sys.maxsize)))
        if not scan.cached_pages:  # else the scan takes them from there itself, and tells
            self._samples.keep(plan, most, found, generation)
        return found

    def outlook(self, plan: RequestPlan) -> Outlook:
        """What is known of the trip of `plan` before it begins; nothing is sent."""
        access = self._access(plan, ScanRecord())
        found, quota = estimate(plan, access, self._samples.kept(plan)), access.limiter.binding
        url = redact_url(found.first.full_url, access.credential.secrets)
        return Outlook(found, url, access.credential.name, quota.remaining if quota else None, access.credential.hide)

    def bodies(self, plan: ScanPlan, asked: Sequence[RequestPlan], cancelled: Event) -> Generator[tuple[int, bytes]]:
        """The number of each of `asked`, all of the API of `plan`, and the JSON that answers it, as they come.

        Several are under way at once. Raises what the first of them raises that fails.
        """
        scan = ScanRecord(plan, trips=len(asked), at=self._clock())
        access = self._access(plan.request, scan)
        self.scans.append(scan)
        steps = [partial(fetch_body, each, access) for each in asked]
        found = replies(
            steps, self._transport_of(plan.request), cancelled, concurrency=plan.concurrency, limiter=access.limiter
        )
        with self.running(cancelled), scan.ending(), closing(found):
            for number, outcome in found:
                if isinstance(outcome, BaseException):
                    raise outcome
                scan.pages += 1
                yield number, outcome

    def mutations(
        self, plan: ScanPlan, asked: Sequence[Mutation], cancelled: Event, shared: Allowance | None = None
    ) -> Callable[[], tuple[Outcome, ...]]:
        """What sends each of `asked`, all to the API of `plan`, and gives their outcomes. Before, nothing is sent.

        They may send the `max_requests` of `plan`, unless they have an allowance that is `shared` with others. Once
        `cancelled` is set, those under way are finished and no other leaves. Raises ConfigError where the credential is
        not there; what is called then raises nothing that an API or a network can cause.
        """
        may_send = allowance(plan.max_requests) if shared is None else shared
        scan = ScanRecord(plan, trips=len(asked), at=self._clock(), allowance=may_send)
        scan.may_change = True
        return partial(self._mutate, plan, asked, self._access(plan.request, scan), cancelled)

    def _mutate(
        self, plan: ScanPlan, asked: Sequence[Mutation], access: Access, cancelled: Event
    ) -> tuple[Outcome, ...]:
        self.scans.append(access.scan)
        rows, transport = [Sending(each) for each in asked], self._transport_of(plan.request)
        try:
            with self._scans.running(cancelled, must_finish=True), access.scan.ending():
                send_all(rows, access, transport, cancelled, concurrency=plan.concurrency)
        finally:
            self.forget_answers(plan.request.base_url)
        return tuple(self.noted(plan.request.connector, row.mutation.request.path, row.outcome) for row in rows)

    def noted(self, connector: str, path: str, outcome: Outcome) -> Outcome:
        """The `outcome` of a mutation, without secrets, kept among the failures where it is one."""
        if outcome.error is None:
            return outcome
        error, at = self._sharing.redacted(outcome.error), self._clock()
        failed = FailedTrip(at, connector, path, (), outcome.status, outcome.kind, error, 0, is_skipped=True)
        self.failures.append(failed)
        return replace(outcome, error=error)

    def probe(self, plan: RequestPlan, cancelled: Event) -> Probe:
        """What the first request of `plan` brings, be it an error."""
        access = self._access(plan, ScanRecord())
        with self.running(cancelled):
            return drive(probe(plan, access), self._transport_of(plan), cancelled)

    def inferred(self, plan: ScanPlan) -> tuple[Column, ...] | None:
        """The columns that were inferred for `plan`, None where none were yet."""
        return self._inferred.get(plan)

    def keep_inferred(self, plan: ScanPlan, columns: tuple[Column, ...]) -> None:
        """Keep the columns of `plan` for its next binds; the oldest go when there are very many."""
        with self._lock:
            self._inferred[plan] = columns
            if len(self._inferred) > _RING:
                self._inferred.popitem(last=False)

    def forget_answers(self, base_url: str) -> None:
        """Drop all that was read at the origin of `base_url`, by any connector: something may have changed there."""
        origin = origin_of(base_url)
        self._sharing.cache.forget(origin)
        self._samples.forget(origin)

    def limits(self) -> list[SharedLimit]:
        """What callers share of each API and credential."""
        return self._sharing.limits()

    def running(self, cancelled: Event) -> AbstractContextManager[Running]:
        """While inside, `close`, `stop_running` and leaving the interpreter set `cancelled`."""
        return self._scans.running(cancelled)

    def will_begin(self) -> None:
        """Take note that a statement was bound on this thread: who leaves the interpreter waits for its scan to end."""
        self._scans.will_begin()

    def remember(self, error: ApikitError) -> None:
        """Take the secrets from `error`, and keep a copy among the recent ones.

        The copy has no frames, which hold connections and pages; the error itself has them again where it is raised on.
        """
        if self._is_forked():
            return  # a thread that is not there may hold its locks
        error.args = (self._sharing.redacted(str(error)), *error.args[1:])
        error.__cause__ = error.__context__ = error.__traceback__ = None
        self.errors.append(copy(error))

    def close(self) -> None:
        """Cancel what runs, close the connections, forget answers, stop the demo API. The session may be used again.

        Mutations under way are finished before. In a forked child it does nothing: what is open is its parent's.
        """
        if self._is_forked():
            return
        self._scans.finish(_FINISHING)
        self._sharing.cache.forget()
        with self._lock:
            demo, self._demo = self._demo, None
        self._transports.close()
        if demo is not None:
            demo.close()

    def stop_running(self, longest: float) -> None:
        """Cancel every scan, also those to come; wait up to `longest` seconds until those that are read have ended."""
        if not self._is_forked():
            self._scans.stop(longest)

    def _access(self, plan: RequestPlan, scan: ScanRecord) -> Access:
        """What the requests of `plan` are sent with. Raises ConfigError where this session is another process's."""
        if self._is_forked():
            message = "this database, or its session, was opened before the process was forked, and is its parent's. "
            raise ConfigError(message + "Open one of your own in the child.")
        return self._sharing.access(plan, scan)

    def _is_forked(self) -> bool:
        """Whether this is a copy in a forked child: threads are gone, and sockets are the parent's."""
        return os.getpid() != self._process

    def _transport_of(self, plan: RequestPlan) -> httpx.BaseTransport:
        return self._transports.of_threads(verify=plan.verify_ssl)


def default_session() -> Session:
    """The session of this process; a forked child gets its own, for sockets and locks do not survive a fork."""
    pid = os.getpid()
    return _DEFAULT.get(pid) or _DEFAULT.setdefault(pid, Session())  # of threads that ask at once, one's is kept


def _stop_at_exit(reference: weakref.ref[Session]) -> None:
    """DuckDB aborts the process where a scan still runs in a thread while the interpreter ends."""
    session = reference()
    if session is not None:
        session.stop_running(_EXIT_WAIT)
        session.close()
