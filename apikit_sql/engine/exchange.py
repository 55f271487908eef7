"""One request with its retries, and the page that its answer is, as steps that any driver can take.

Auth, retries, limits and redirects are written here once. Nothing here does I/O, so all is tested with a list of canned
responses.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import tenacity

from apikit_sql.connector.manifest import PaginationConfig
from apikit_sql.engine.auth import Credential
from apikit_sql.engine.body import ACCEPTED
from apikit_sql.engine.network import HOME
from apikit_sql.engine.oauth2 import Ask
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState, in_words
from apikit_sql.engine.redirect import MOST_REDIRECTS, check_origin, is_home, redirect_target
from apikit_sql.engine.replay import Sender, straight
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.retry import TOO_MANY, RetryBudget, asked_wait, is_limited, new_attempts, retry_delay
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page, Send, Sleep, Steps
from apikit_sql.errors import ApikitError, AuthError, DecodeError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import read_envelope
from apikit_sql.redaction import redact, redact_url

_DEFAULT_HEADERS = {
    b"accept": b"application/json",
    b"accept-encoding": ACCEPTED.encode(),
    b"user-agent": b"apikit_sql",
}
_LONGEST_REASON = 200  # characters of an API's own error message
_AUTH_REFUSED, _FORBIDDEN, _PROXY_AUTH = 401, 403, 407
_BOM = b"\xef\xbb\xbf"
_NO_CONTENT = frozenset({204, 205})
_LEAST_PATIENCE = 0.1  # seconds of max_wait that a wait counts for, so that others do not keep one trying for ever
_LONG_WAIT = 2.0  # seconds; a longer one is told
_PATIENCES = (60, 120, 300, 600, 1800, 3600)  # seconds that an error proposes as max_wait


@dataclass(frozen=True)
class Access:
    """What a scan needs beside its plans: its credential, the limit it shares, and where all is recorded."""

    credential: Credential
    limiter: RateLimitState
    record: Callable[[RequestRecord], None]
    clock: Callable[[], float] = time.time
    scan: ScanRecord = field(default_factory=ScanRecord)
    budget: RetryBudget = field(default_factory=RetryBudget)
    sender: Sender = straight
    tell: Callable[[str], None] = field(default=lambda _: None)  # one line for the user


def fetch_page(
    plan: RequestPlan, settings: PaginationConfig, access: Access, request: PageRequest, number: int
) -> Steps[Page | None]:
    """The page that `request` brings, or None where its status says that the end is past."""
    try:
        response = yield from exchange(plan, access, request)
    except RequestError as error:
        if number > 1 and settings.strategy in {"page", "offset"} and error.status in settings.end_status:
            return None
        raise
    try:
        if not response.content.removeprefix(_BOM).strip() and response.status_code not in _NO_CONTENT:
            message = "the body is empty"
            raise DecodeError(message)  # noqa: TRY301 - told like any other body that is none
        envelope = read_envelope(response.content, plan.record_path)
        if envelope.tells_error_only:
            raise _refused(plan, access, request, response, " with an error{reason}")
    except DecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"{where(plan, request)} answered {response.status_code} ({kind}), page {number}: {error}"
        raise DecodeError(redact(message, access.credential.secrets)) from None
    url, hide = redact_url(request.full_url, access.credential.secrets), partial(_hide, access.credential)
    return Page(number, url, response.status_code, response.headers, envelope, len(response.content), hide)


def _hide(credential: Credential, text: str) -> str:
    return redact(text, credential.secrets)


def exchange(plan: RequestPlan, access: Access, request: PageRequest) -> Steps[httpx.Response]:
    """Send `request` until it is answered well or the retries are used up; the last answer decides the error."""
    once = partial(_signed, plan, access, request)
    response, tried = yield from _persist(plan, access, request, access.limiter, once)
    if response.is_success:
        return response
    raise _refused(plan, access, request, response, "{reason}" + (f", after {tried} attempts" if tried > 1 else ""))


def _persist(
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
        wait = limiter.reserve(plan.max_wait)
        if wait > plan.max_wait:
            raise _out_of_patience(plan, access, request, limiter, _Wait(wait, TOO_MANY))
        try:
            yield from _pause(plan, access, limiter, wait)
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
            raise _out_of_patience(plan, access, request, limiter, _Wait(delay.asked, response.status_code))
        pause = min(delay.seconds, max(plan.max_wait, delay.asked))
        access.scan.retry()
        yield from _pause(plan, access, limiter, pause)
        waited += max(wait + pause, _LEAST_PATIENCE)
        attempts.prepare_for_next_attempt()


def _pause(plan: RequestPlan, access: Access, limiter: RateLimitState, seconds: float) -> Steps[None]:
    """Wait, and say so where it is long."""
    if seconds <= 0:
        return
    access.scan.wait(seconds)
    if seconds > _LONG_WAIT and limiter.is_news(seconds):
        access.tell(f"{plan.connector}: waiting {in_words(seconds)}. {limiter.describe()}".rstrip())
    yield Sleep(seconds)


def _is_limit(attempts: tenacity.RetryCallState) -> bool:
    """Whether the newest attempt met the API's limit, which says itself when to come again."""
    outcome = attempts.outcome
    return outcome is not None and not outcome.failed and is_limited(outcome.result())


def _signed(plan: RequestPlan, access: Access, request: PageRequest, attempt: int) -> Steps[httpx.Response]:
    """The answer to `request`, signed on the connector's own origin only; redirects that may be followed are."""
    try:
        url = httpx.URL(request.full_url)
        _ = url.host  # decoded here, and perhaps no name
    except (httpx.InvalidURL, ValueError):
        message = f"{plan.connector}: {plan.base_url} is not a URL that can be asked."
        raise RequestError(message) from None
    check_origin(plan, url, "next link", access.credential.secrets)
    headers = _DEFAULT_HEADERS | {name.lower().encode(): value.encode() for name, value in plan.headers}
    if request.body is not None:
        headers[b"content-type"] = b"application/json"
    send, ask = partial(_sent, plan, access, attempt=attempt), _token_asker(plan, access)
    extensions = {HOME: httpx.URL(plan.base_url).host}
    for _ in range(MOST_REDIRECTS + 1):
        asked = httpx.Request(
            plan.method, url, headers=list(headers.items()), content=request.body, extensions=dict(extensions)
        )
        if is_home(plan, url):
            response = yield from access.credential.answer(asked, send, ask)
        else:
            response = yield from send(asked)
        target = redirect_target(plan, response, access.credential.secrets)
        if target is None:
            return response
        url = target
    raise _refused(plan, access, request, response, f", redirecting more than {MOST_REDIRECTS} times")


def _token_asker(plan: RequestPlan, access: Access) -> Ask:
    """What asks for an access token: as patient as for a page, by a limit of its own."""
    asking, limiter = replace(plan, method="POST"), RateLimitState(clock=access.clock)

    def ask(request: httpx.Request) -> Steps[httpx.Response]:
        once = partial(_sent, asking, access, request)
        response, _ = yield from _persist(asking, access, PageRequest(str(request.url)), limiter, once)
        return response

    return ask


def _sent(plan: RequestPlan, access: Access, request: httpx.Request, attempt: int) -> Steps[httpx.Response]:
    """The answer to one request, recorded."""
    access.scan.spend()
    started = access.clock()
    record = RequestRecord(
        at=started,
        connector=plan.connector,
        method=request.method,
        url=redact_url(str(request.url), access.credential.secrets),
        status=None,
        elapsed=0,
        size=0,
        attempt=attempt,
    )
    try:
        response = yield from access.sender(Send(request, plan.timeout))
    except httpx.TransportError:
        access.record(replace(record, elapsed=access.clock() - started))
        raise
    except ApikitError as error:
        access.record(replace(record, elapsed=access.clock() - started))
        message = f"{plan.connector}: {request.method} {request.url.path}: {error}"
        raise type(error)(redact(message, access.credential.secrets)) from None
    elapsed = access.clock() - started
    access.record(replace(record, status=response.status_code, elapsed=elapsed, size=len(response.content)))
    return response


def _last(plan: RequestPlan, access: Access, request: PageRequest, attempts: tenacity.RetryCallState) -> httpx.Response:
    """The last answer, whatever it is. Raises RequestError where there was none."""
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    if not outcome.failed:
        response: httpx.Response = outcome.result()
        return response
    cause, secrets, tried = outcome.exception(), access.credential.secrets, attempts.attempt_number
    what = redact(str(cause) or type(cause).__name__, secrets)
    message = f"{where(plan, request)}: no answer after {tried} attempts: {what}"
    raise RequestError(message, url=redact_url(request.full_url, secrets))


def _refused(
    plan: RequestPlan, access: Access, request: PageRequest, response: httpx.Response, how: str
) -> RequestError:
    """The error for an answer that is not a page of records; `how` has a place for the API's own `{reason}`."""
    secrets, status = access.credential.secrets, response.status_code
    message = f"{where(plan, request)} answered {status}{how.format(reason=reason_of(response, secrets))}"
    url = redact_url(request.full_url, secrets)
    if status == _AUTH_REFUSED:
        return AuthError(f"{message}: the credential ({access.credential.name}) was refused.", status=status, url=url)
    if status == _FORBIDDEN:
        message += f"; the credential sent was {access.credential.name}"
    if status == _PROXY_AUTH:
        message += "; credentials of a proxy in the environment are not used"
    if is_limited(response):
        asked = asked_wait(response, access.clock)
        return RateLimitError(message, status=status, url=url, retry_after=asked)
    return RequestError(message, status=status, url=url)


class _Wait(NamedTuple):
    """Seconds that the API asks for, and the status by which it did."""

    seconds: float
    status: int


def _out_of_patience(
    plan: RequestPlan, access: Access, request: PageRequest, limiter: RateLimitState, wait: _Wait
) -> RateLimitError:
    what = limiter.describe() or f"{plan.method} {urlsplit(request.url).path} is to wait {in_words(wait.seconds)}"
    patience = next((each for each in _PATIENCES if each > wait.seconds), -(-int(wait.seconds + 1) // 3600) * 3600)
    message = f"{plan.connector}: {what}. Set max_wait := {patience}."
    url = redact_url(request.full_url, access.credential.secrets)
    return RateLimitError(message, status=wait.status, url=url, retry_after=wait.seconds)


def where(plan: RequestPlan, request: PageRequest) -> str:
    """The API and the request's path, as an error names them: no query, which may carry secrets."""
    return f"{plan.connector}: {plan.method} {urlsplit(request.url).path}"


def reason_of(response: httpx.Response, secrets: tuple[str, ...]) -> str:
    """The API's own words for an error, without `secrets`, shortened, in brackets; `` where it has none."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    while isinstance(body, list) and body:
        body = body[0]
    for key in ("message", "error", "errors", "error_description", "detail", "title"):
        found = body.get(key) if isinstance(body, dict) else None
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            found = found.get("message") or found.get("detail") or found.get("title")
        if isinstance(found, str) and found:
            words = redact(found, secrets)  # a piece of one would not be known
            printable = "".join(character if character.isprintable() else " " for character in words)
            return f" ({' '.join(printable.split())[:_LONGEST_REASON]})"
    return ""
