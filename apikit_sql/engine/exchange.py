"""One request with its retries, and the page that its answer is, as steps that any driver can take.

Auth, retries, limits and redirects are written here once. Nothing here does I/O, so all is tested with a list of canned
responses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import httpx
import tenacity

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.access import Access
from apikit_sql.engine.body import ACCEPTED
from apikit_sql.engine.cache import NOT_MODIFIED, Conditions, accepts_kept, question_of
from apikit_sql.engine.graphql import read_answer
from apikit_sql.engine.network import HOME
from apikit_sql.engine.oauth2 import MUST_FINISH
from apikit_sql.engine.pagination import PageRequest, first_request, url_of
from apikit_sql.engine.rate_limit import RateLimitState, in_words
from apikit_sql.engine.redirect import MOST_REDIRECTS, check_origin, is_home, redirect_target, without_credentials
from apikit_sql.engine.refusal import Wait, out_of_patience, refused, where
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.retry import TOO_MANY, is_limited, new_attempts, retry_delay
from apikit_sql.engine.steps import Page, Send, Sleep, Steps, T
from apikit_sql.engine.tokens import Ask
from apikit_sql.errors import ApikitError, DecodeError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import json_text, read_envelope
from apikit_sql.redaction import redact_url

_DEFAULT_HEADERS = {
    b"accept": b"application/json",
    b"accept-encoding": ACCEPTED.encode(),
    b"user-agent": b"apikit_sql",
}
_BOM = b"\xef\xbb\xbf"
_NO_CONTENT = frozenset({204, 205})
_LOOK_AGAIN = 0.05  # seconds until the next look whether one more request may be under way
_LEAST_PATIENCE = 0.1  # seconds of max_wait that a wait counts for, so that others do not keep one trying for ever
_LONG_WAIT = 2.0  # seconds; a longer one is told


def fetch_page(
    plan: RequestPlan, settings: PaginationConfig, access: Access, request: PageRequest, number: int
) -> Steps[Page | None]:
    """The page that `request` brings, or None where its status says that the end is past."""
    try:
        return (yield from answered(plan, access, request, partial(read_page, plan, access, request, number)))
    except RequestError as error:
        if number > 1 and settings.strategy in {"page", "offset"} and error.status in settings.end_status:
            return None
        raise


def read_page(plan: RequestPlan, access: Access, request: PageRequest, number: int, response: httpx.Response) -> Page:
    """The page that a good `response` to `request` holds. Raises DecodeError, RequestError where it tells an error."""
    try:
        _check_is_there(response)
        if plan.is_graphql:
            envelope = read_answer(response.content, plan)
        else:
            envelope = read_envelope(response.content, plan.record_path)
        if envelope.tells_error_only:
            raise refused(plan, access, request, response, " with an error{reason}")
    except DecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"{where(plan, request)} answered {response.status_code} ({kind}), page {number}: {error}"
        raise DecodeError(access.credential.hide(message)) from None
    url, size = redact_url(request.full_url, access.credential.secrets), len(response.content)
    return Page(number, url, response.status_code, response.headers, envelope, size, access.credential.hide)


def fetch_body(plan: RequestPlan, access: Access) -> Steps[bytes]:
    """The body that the one request of `plan` brings: JSON, `null` where there is no content. Raises DecodeError."""
    request = first_request(plan)
    return (yield from answered(plan, access, request, partial(_body, plan, access, request)))


def _body(plan: RequestPlan, access: Access, request: PageRequest, response: httpx.Response) -> bytes:
    try:
        _check_is_there(response)
        return json_text(response.content)
    except DecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"{where(plan, request)} answered {response.status_code} ({kind}): {error}"
        raise DecodeError(access.credential.hide(message)) from None


def _check_is_there(response: httpx.Response) -> None:
    """Raise DecodeError for an empty body, but of a status that says so: it was cut off."""
    if not response.content.removeprefix(_BOM).strip() and response.status_code not in _NO_CONTENT:
        message = "the body is empty"
        raise DecodeError(message)


def answered(plan: RequestPlan, access: Access, request: PageRequest, read: Callable[[httpx.Response], T]) -> Steps[T]:
    """What `read` makes of the answer to `request`, which only reads: kept ones are good where `plan.cache` says so.

    Raises what `exchange` and `read` raise.
    """
    ask = partial(exchange, plan, access, request)
    if access.cache is None or not accepts_kept(plan):
        return read((yield from ask()))
    question = question_of(plan, access.credential.mark, request)
    return (yield from access.cache.answer(question, plan, ask, read, access.scan))


def exchange(
    plan: RequestPlan, access: Access, request: PageRequest, conditions: Conditions = ()
) -> Steps[httpx.Response]:
    """Send `request` until it is answered well or the retries are used up; the last answer decides the error.

    Under `conditions`, that nothing has changed is an answer, too.
    """
    asked = replace(plan, headers=plan.headers + conditions) if conditions else plan
    response, tried = yield from answer(asked, access, request)
    if response.is_success or (conditions and response.status_code == NOT_MODIFIED):
        return response
    raise refused(plan, access, request, response, "{reason}" + (f", after {tried} attempts" if tried > 1 else ""))


def answer(plan: RequestPlan, access: Access, request: PageRequest) -> Steps[tuple[httpx.Response, int]]:
    """The last answer to `request`, good or bad, and how many attempts were made."""
    return (yield from persist(plan, access, request, access.limiter, partial(_once, plan, access, request)))


def persist(
    plan: RequestPlan,
    access: Access,
    request: PageRequest,
    limiter: RateLimitState,
    once: Callable[[int], Steps[httpx.Response]],
) -> Steps[tuple[httpx.Response, int]]:
    """The last answer that `once` brings, called with the number of the attempt, and that number.

    Raises RequestError where there is none; RateLimitError for a wait that is longer than the caller's patience.
    """
    attempts, answered, waited = new_attempts(), limiter.answered, 0.0
    access.budget.earn()
    while True:
        while not limiter.enter():
            yield Sleep(_LOOK_AGAIN)
        try:
            wait = yield from _turn(plan, access, request, limiter)
            sent_at = access.clock()
            response = yield from once(attempts.attempt_number)
        except httpx.TransportError:
            attempts.set_exception(sys.exc_info())  # type: ignore[arg-type]  # inside an except, never empty
        else:
            attempts.set_result(response)
            limiter.ingest(response, sent_at)
            if not is_limited(response):
                answered = limiter.answered
            elif limiter.answered > answered and waited < plan.max_wait:
                attempts.attempt_number, answered = 1, limiter.answered  # others get through: it is no failure
        finally:
            limiter.release()
        delay = retry_delay(plan.retry, attempts, access.clock)
        if delay is None or not (_is_limit(attempts) or access.budget.spend()):
            return _last(plan, access, request, attempts), attempts.attempt_number
        if delay.asked > plan.max_wait:
            raise out_of_patience(plan, access, request, limiter, Wait(delay.asked, response.status_code))
        pause = min(delay.seconds, max(plan.max_wait, delay.asked))
        access.scan.retry()
        yield from _pause(plan, access, limiter, pause, _why(access, attempts))
        waited += max(wait + pause, _LEAST_PATIENCE)
        attempts.prepare_for_next_attempt()


def _turn(plan: RequestPlan, access: Access, request: PageRequest, limiter: RateLimitState) -> Steps[float]:
    """Seconds waited until a request may go. Raises RateLimitError where that is too long."""
    wait, waited = limiter.reserve(plan.max_wait), 0.0
    while wait > 0:  # meanwhile another may have been told to come later
        if wait > plan.max_wait:
            raise out_of_patience(plan, access, request, limiter, Wait(wait, TOO_MANY))
        yield from _pause(plan, access, limiter, wait)
        waited, wait = waited + wait, limiter.closed_for()
    return waited


def _pause(plan: RequestPlan, access: Access, limiter: RateLimitState, seconds: float, why: str = "") -> Steps[None]:
    """Wait, and say so where it is long."""
    if seconds <= 0:
        return
    access.scan.wait(seconds)
    if seconds > _LONG_WAIT and limiter.is_news(seconds):
        access.tell(f"{plan.connector}: waiting {in_words(seconds)}{why}. {limiter.describe()}".rstrip())
    yield Sleep(seconds)


def _why(access: Access, attempts: tenacity.RetryCallState) -> str:
    """What a retry waits for."""
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    return f" after {access.credential.hide(str(outcome.exception() or outcome.result().status_code))}"


def _is_limit(attempts: tenacity.RetryCallState) -> bool:
    """Whether the newest attempt met the API's limit, which says itself when to come again."""
    outcome = attempts.outcome
    return outcome is not None and not outcome.failed and is_limited(outcome.result())


def _once(plan: RequestPlan, access: Access, request: PageRequest, attempt: int) -> Steps[httpx.Response]:
    """The answer to one attempt at a read."""
    return (yield from delivered(plan, access, request, partial(spent, plan, access, attempt=attempt)))


def delivered(
    plan: RequestPlan, access: Access, request: PageRequest, send: Ask, *, sends_again: bool = True
) -> Steps[httpx.Response]:
    """The answer to `request`, signed on the connector's own origin only; redirects that may be followed are.

    Where a token is refused it is renewed, and the request sent once more where it `sends_again`.
    """
    ask = _token_asker(plan, access)
    asked = request_of(plan, request)
    check_origin(plan, asked.url, "next link", access.credential.secrets)
    for _ in range(MOST_REDIRECTS + 1):
        if is_home(plan, asked.url):
            response = yield from access.credential.answer(asked, send, ask, sends_again=sends_again)
        else:
            response = yield from send(without_credentials(asked))
        target = redirect_target(plan, response, access.credential.secrets)
        if target is None:
            return response
        asked = request_of(plan, replace(request, url=str(target), params=()))
    raise refused(plan, access, request, response, f", redirecting more than {MOST_REDIRECTS} times")


def request_of(plan: RequestPlan, request: PageRequest) -> httpx.Request:
    """`request` as it goes out, but for its credential. Raises RequestError where its URL is none."""
    try:
        url = url_of(request.full_url)
    except (httpx.InvalidURL, ValueError):
        message = f"{plan.connector}: {plan.base_url} is not a URL that can be asked."
        raise RequestError(message) from None
    headers = _DEFAULT_HEADERS | {name.lower().encode(): value.encode() for name, value in plan.headers}
    if request.body is not None:
        headers[b"content-type"] = plan.body_type.encode()
    extensions = {HOME: url_of(plan.base_url).host}
    return httpx.Request(plan.method, url, headers=list(headers.items()), content=request.body, extensions=extensions)


def _token_asker(plan: RequestPlan, access: Access) -> Ask:
    """What asks for an access token: as patient as for a page, by a limit of its own."""
    asking, tokens = replace(plan, method="POST"), access.credential.tokens
    limiter = access.limiter if tokens is None else tokens.limiter

    def ask(request: httpx.Request) -> Steps[httpx.Response]:
        once = partial(_sent, asking, access, request)
        response, _ = yield from persist(asking, access, PageRequest(str(request.url)), limiter, once)
        return response

    return ask


def spent(plan: RequestPlan, access: Access, request: httpx.Request, attempt: int) -> Steps[httpx.Response]:
    """The answer to one request of the scan itself, which has only so many."""
    access.scan.spend()
    return (yield from _sent(plan, access, request, attempt))


def _sent(plan: RequestPlan, access: Access, request: httpx.Request, attempt: int) -> Steps[httpx.Response]:
    """The answer to one request, recorded."""
    started = access.clock()
    url = redact_url(str(request.url), access.credential.secrets)
    record = partial(RequestRecord, started, plan.connector, request.method, url, attempt=attempt)
    try:
        response = yield from access.sender(Send(request, plan.timeout, request.extensions.get(MUST_FINISH, False)))
    except httpx.TransportError:
        access.record(record(status=None, elapsed=access.clock() - started, size=0))
        raise
    except ApikitError as error:
        access.record(record(status=None, elapsed=access.clock() - started, size=0))
        message = f"{plan.connector}: {request.method} {request.url.path}: {error}"
        raise type(error)(access.credential.hide(message)) from None
    elapsed = access.clock() - started
    access.record(record(status=response.status_code, elapsed=elapsed, size=len(response.content)))
    return response


def _last(plan: RequestPlan, access: Access, request: PageRequest, attempts: tenacity.RetryCallState) -> httpx.Response:
    """The last answer, whatever it is. Raises RequestError where there was none."""
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    if not outcome.failed:
        response: httpx.Response = outcome.result()
        return response
    cause, tried = outcome.exception(), attempts.attempt_number
    what = access.credential.hide(str(cause) or type(cause).__name__)
    message = f"{where(plan, request)}: no answer after {tried} attempts: {what}"
    raise RequestError(message, url=redact_url(request.full_url, access.credential.secrets))
