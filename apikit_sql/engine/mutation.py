"""One request that changes something: sent once, or several times with one key, and what is known of its outcome.

From the moment that it leaves until its answer is here it may have taken effect or not. So what is known is noted at
every step, and stays true wherever the steps end. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import httpx

from apikit_sql.engine.access import Access
from apikit_sql.engine.exchange import delivered, persist, spent
from apikit_sql.engine.oauth2 import MUST_FINISH, UNRECORDED
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.refusal import refused, where
from apikit_sql.engine.replies import replies
from apikit_sql.engine.scan_log import Allowance
from apikit_sql.engine.steps import Sleep, Steps
from apikit_sql.errors import ApikitError, DecodeError, RequestError, ScanInterrupted
from apikit_sql.plan.mutation import Mutation
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import json_text

#: Without a connection nothing has left this machine.
_WITHOUT_CONNECTION = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_NOT_SENT, _UNKNOWN = "not sent: ", "outcome unknown: "
_INTERRUPTED = "the statement was interrupted."


@dataclass(frozen=True)
class Outcome:
    """What became of a request: the status and the JSON body of its answer, and what is wrong.

    `status` is None where no answer came, `body` where it has none or is not JSON; `kind` is the class of the error,
    `retry_after` the seconds that it asks to wait.
    """

    status: int | None = None
    body: bytes | None = None
    error: str | None = None
    kind: str = ""
    retry_after: float | None = None


def not_sent(error: BaseException) -> Outcome:
    """The outcome of a request that `error` kept back."""
    why = _INTERRUPTED if isinstance(error, ScanInterrupted) else str(error) or type(error).__name__
    return Outcome(error=_NOT_SENT + why, kind=type(error).__name__, retry_after=getattr(error, "retry_after", None))


def allowance(most: int | None) -> Allowance:
    """What one call of a mutation may send, however many parts its rows come in."""
    return Allowance(most, f"max_requests = {most} are sent; install(con, max_requests=...) allows more.")


class Sending:
    """One mutation on its way. `outcome` is what is known of it, at every moment."""

    def __init__(self, mutation: Mutation) -> None:
        """A mutation that has not left yet."""
        self.mutation = mutation
        self.outcome = not_sent(ScanInterrupted())
        self.has_left = False
        self._was_lost = False  # an attempt left that was never answered

    def fail(self, error: BaseException) -> None:
        """Take note of what kept it back. Of one that has left, more is known already."""
        if not self.has_left:
            self.outcome = not_sent(error)

    def leave(self) -> tuple[Outcome, bool]:
        """It leaves; what was known before, for `stay`."""
        before = self.outcome, self.has_left
        self._note_lost(_INTERRUPTED)
        return before

    def stay(self, before: tuple[Outcome, bool]) -> None:
        """It has not left after all."""
        self.outcome, self.has_left = before

    def lose(self, why: str) -> None:
        """It has left, and no answer will come."""
        self._note_lost(why)
        self._was_lost = True

    def _note_lost(self, why: str) -> None:
        self.outcome, self.has_left = Outcome(error=_UNKNOWN + why, kind="RequestError"), True

    def settle(self, outcome: Outcome, *, is_success: bool) -> None:
        """Its answer is here. A refusal says nothing of an attempt before it that was never answered."""
        if self._was_lost and not is_success:
            error = f"{_UNKNOWN}an attempt before had no answer; then {outcome.error}"
            outcome = replace(outcome, error=error)
        self.outcome = outcome


def send_all(
    sendings: Sequence[Sending],
    access: Access,
    transport: httpx.BaseTransport,
    cancelled: Event,
    *,
    concurrency: int,
) -> None:
    """Send each of `sendings`, up to `concurrency` at once; those that have left are finished also if `cancelled`."""
    steps = [partial(mutate, sending, access) for sending in sendings]
    ends = replies(steps, transport, cancelled, concurrency=concurrency, limiter=access.limiter, must_finish=True)
    with closing(ends):
        try:
            for number, end in ends:
                if isinstance(end, BaseException):
                    sendings[number].fail(end)
        except BaseException:
            cancelled.set()  # nothing more may leave
            raise


def mutate(sending: Sending, access: Access) -> Steps[Outcome]:
    """The outcome of a mutation, noted in `sending` too. Raises nothing that an API or a network can cause."""
    plan = sending.mutation.request
    request = PageRequest(plan.base_url + plan.path, plan.params, plan.body)
    try:
        access.scan.allowance.check()  # before it waits for a limit
        yield from persist(plan, access, request, access.limiter, partial(_once, sending, access, request))
    except ApikitError as error:
        error.args = (access.credential.hide(str(error)),)
        sending.fail(error)
    return sending.outcome


def _once(sending: Sending, access: Access, request: PageRequest, attempt: int) -> Steps[httpx.Response]:
    """The answer to one attempt. Only where there is a key may it be sent again after it has left."""
    send = partial(_noted, sending, access, request, attempt)
    has_key = sending.mutation.key is not None
    return (yield from delivered(sending.mutation.request, access, request, send, sends_again=has_key))


def _noted(
    sending: Sending, access: Access, request: PageRequest, attempt: int, asked: httpx.Request
) -> Steps[httpx.Response]:
    """The answer to `asked`, every change noted. Raises httpx.TransportError where it may be tried again."""
    plan = sending.mutation.request
    asked.extensions.update({MUST_FINISH: True, UNRECORDED: True})
    yield Sleep(0)  # the last moment at which it can be given up
    before = sending.leave()
    try:
        response = yield from spent(plan, access, asked, attempt)
    except _WITHOUT_CONNECTION:
        sending.stay(before)
        raise
    except (httpx.TransportError, DecodeError) as error:
        what = access.credential.hide(f"{where(plan, request)}: {error or type(error).__name__}")
        sending.lose(what)
        if sending.mutation.key is not None and isinstance(error, httpx.TransportError):
            raise
        raise RequestError(what) from None
    except ApikitError:  # it may not go where it wanted to
        sending.stay(before)
        raise
    sending.settle(_outcome(plan, access, request, response), is_success=response.is_success)
    return response


def _outcome(plan: RequestPlan, access: Access, request: PageRequest, response: httpx.Response) -> Outcome:
    """What an answer tells."""
    status, error, body = response.status_code, None, b""
    what = f"{where(plan, request)} answered {status}"
    try:
        body = json_text(response.content) if response.content else b""
    except DecodeError as unreadable:
        error = RequestError(f"{what} ({response.headers.get('content-type', 'no content type')}): {unreadable}")
    if response.is_redirect:
        error = RequestError(f"{what}, a redirect, which is not followed.")
    elif not response.is_success:
        error = refused(plan, access, request, response, "{reason}")
    if error is None:
        return Outcome(status, body or None)
    told, seconds = access.credential.hide(str(error)), getattr(error, "retry_after", None)
    return Outcome(status, body or None, told, type(error).__name__, seconds)
