"""One request with its retries, and the page that its answer is, as steps that any driver can take.

Auth, retries, limits and redirects are written here once. Nothing here does I/O, so all is tested with a list of canned
responses.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import httpx
import tenacity

from apikit_sql.connector.manifest import PaginationConfig
from apikit_sql.engine.auth import Credential
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.redirect import MOST_REDIRECTS, check_origin, is_home, redirect_target
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.retry import TOO_MANY, is_limited, new_attempts, retry_after, retry_delay
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page, Send, Sleep, Steps
from apikit_sql.errors import AuthError, DecodeError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import read_envelope
from apikit_sql.redaction import redact, redact_url

_DEFAULT_HEADERS = {
    b"accept": b"application/json",
    b"accept-encoding": b"gzip, deflate",
    b"user-agent": b"apikit_sql",
}
_LONGEST_REASON = 200  # characters of an API's own error message
_AUTH_REFUSED, _FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Access:
    """What a scan needs beside its plans: its credential, the limit it shares, and where all is recorded."""

    credential: Credential
    limiter: RateLimitState
    record: Callable[[RequestRecord], None]
    clock: Callable[[], float] = time.time
    scan: ScanRecord = field(default_factory=ScanRecord)


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
        envelope = read_envelope(response.content, plan.record_path)
        if envelope.tells_error_only:
            raise _refused(plan, access, request, response, " with an error{reason}")
    except DecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"{where(plan, request)} answered {response.status_code} ({kind}), page {number}: {error}"
        raise DecodeError(message) from None
    url = redact_url(request.full_url, access.credential.secrets)
    return Page(number, url, response.status_code, response.headers, envelope, len(response.content))


def exchange(plan: RequestPlan, access: Access, request: PageRequest) -> Steps[httpx.Response]:
    """Send `request` until it is answered well or the retries are used up; the last answer decides the error."""
    attempts, answered = new_attempts(), access.limiter.answered
    while True:
        wait = access.limiter.reserve(plan.max_wait)
        if wait > plan.max_wait:
            raise _out_of_patience(plan, access, request, wait, TOO_MANY)
        if wait > 0:
            access.scan.wait(wait)
            yield Sleep(wait)
        try:
            response = yield from _signed(plan, access, request, attempts)
        except httpx.TransportError:
            attempts.set_exception(sys.exc_info())  # type: ignore[arg-type]  # inside an except, never empty
        else:
            attempts.set_result(response)
            access.limiter.ingest(response)
            if is_limited(response) and access.limiter.answered > answered:
                attempts.attempt_number, answered = 1, access.limiter.answered  # others get through: it is no failure
        delay = retry_delay(plan.retry, attempts, access.clock)
        if delay is None:
            return _answer(plan, access, request, attempts)
        if delay.asked > plan.max_wait:
            raise _out_of_patience(plan, access, request, delay.asked, response.status_code)
        pause = min(delay.seconds, max(plan.max_wait, delay.asked))
        access.scan.wait(pause)
        yield Sleep(pause)
        attempts.prepare_for_next_attempt()


def _signed(
    plan: RequestPlan, access: Access, request: PageRequest, attempts: tenacity.RetryCallState
) -> Steps[httpx.Response]:
    """The answer to `request`, signed on the connector's own origin only; redirects that may be followed are."""
    secrets = access.credential.secrets
    try:
        url = httpx.URL(request.full_url)
        _ = url.host  # decoded here, and perhaps no name
    except (httpx.InvalidURL, ValueError):
        message = f"{plan.connector}: {plan.base_url} is not a URL that can be asked."
        raise RequestError(message) from None
    check_origin(plan, url, "next link", secrets)
    headers = _DEFAULT_HEADERS | {name.lower().encode(): value.encode() for name, value in plan.headers}
    if request.body is not None:
        headers[b"content-type"] = b"application/json"
    for _ in range(MOST_REDIRECTS + 1):
        unsigned = httpx.Request(plan.method, url, headers=list(headers.items()), content=request.body)
        flow = (access.credential.auth if is_home(plan, url) else httpx.Auth()).auth_flow(unsigned)
        signed: httpx.Request | None = next(flow)
        while signed is not None:
            response = yield from _sent(plan, access, signed, attempts.attempt_number)
            signed = _next_of(flow, response)
        target = redirect_target(plan, response, secrets)
        if target is None:
            return response
        url = target
    raise _refused(plan, access, request, response, f", redirecting more than {MOST_REDIRECTS} times")


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
        response = yield Send(request, plan.timeout)
    except httpx.TransportError:
        access.record(replace(record, elapsed=access.clock() - started))
        raise
    except DecodeError as error:
        access.record(replace(record, elapsed=access.clock() - started))
        message = f"{plan.connector}: {request.method} {request.url.path}: {error}"
        raise DecodeError(message) from None
    assert response is not None  # noqa: S101 - a driver answers Send with a response
    elapsed = access.clock() - started
    access.record(replace(record, status=response.status_code, elapsed=elapsed, size=len(response.content)))
    return response


def _next_of(flow: Generator[httpx.Request, httpx.Response, None], response: httpx.Response) -> httpx.Request | None:
    """The request that an auth flow wants sent after `response`, None where it is content."""
    try:
        return flow.send(response)
    except StopIteration:
        return None


def _answer(
    plan: RequestPlan, access: Access, request: PageRequest, attempts: tenacity.RetryCallState
) -> httpx.Response:
    """The last answer if it is a good one. Raises the RequestError that it is otherwise."""
    outcome = attempts.outcome
    assert outcome is not None  # noqa: S101 - asked only after an attempt
    secrets, tried = access.credential.secrets, attempts.attempt_number
    if outcome.failed:
        cause = outcome.exception()
        what = redact(str(cause) or type(cause).__name__, secrets)
        message = f"{where(plan, request)}: no answer after {tried} attempts: {what}"
        raise RequestError(message, url=redact_url(request.full_url, secrets))
    response: httpx.Response = outcome.result()
    if response.is_success:
        return response
    raise _refused(plan, access, request, response, "{reason}" + (f", after {tried} attempts" if tried > 1 else ""))


def _refused(
    plan: RequestPlan, access: Access, request: PageRequest, response: httpx.Response, how: str
) -> RequestError:
    """The error for an answer that is not a page of records; `how` has a place for the API's own `{reason}`."""
    secrets, status = access.credential.secrets, response.status_code
    message = f"{where(plan, request)} answered {status}{how.format(reason=redact(reason_of(response), secrets))}"
    url = redact_url(request.full_url, secrets)
    if status == _AUTH_REFUSED:
        return AuthError(f"{message}: the credential ({access.credential.name}) was refused.", status=status, url=url)
    if status == _FORBIDDEN:
        message += f"; the credential sent was {access.credential.name}"
    if is_limited(response):
        asked = retry_after(response.headers, access.clock)
        return RateLimitError(message, status=status, url=url, retry_after=asked)
    return RequestError(message, status=status, url=url)


def _out_of_patience(
    plan: RequestPlan, access: Access, request: PageRequest, wait: float, status: int
) -> RateLimitError:
    message = (
        f"{where(plan, request)}: the API asks to wait {wait:.0f} s, longer than max_wait = {plan.max_wait:g} s. "
        "Try again later, or say a larger max_wait."
    )
    url = redact_url(request.full_url, access.credential.secrets)
    return RateLimitError(message, status=status, url=url, retry_after=wait)


def where(plan: RequestPlan, request: PageRequest) -> str:
    """The API and the request's path, as an error names them: no query, which may carry secrets."""
    return f"{plan.connector}: {plan.method} {urlsplit(request.url).path}"


def reason_of(response: httpx.Response) -> str:
    """The API's own words for an error, shortened, in brackets; `` where it has none."""
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
            printable = "".join(character if character.isprintable() else " " for character in found)
            return f" ({' '.join(printable.split())[:_LONGEST_REASON]})"
    return ""
