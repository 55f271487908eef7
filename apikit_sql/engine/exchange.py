"""The engine: requests in, pages out, as steps that any driver can take.

Auth, retries, limits, redirects and pagination are written here once. `exchange` is one request with its retries;
`trip` is all the pages of one plan. Neither does I/O, so both are tested with a list of canned responses.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import httpx
import tenacity

from apikit_sql.connector.manifest import PaginationConfig
from apikit_sql.engine.auth import Credential
from apikit_sql.engine.evidence import find_pagination, with_known_end
from apikit_sql.engine.pagination import PageRequest, Progress, first_request, next_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.redirect import MOST_REDIRECTS, check_origin, is_home, redirected
from apikit_sql.engine.request_log import LOGGER, RequestRecord
from apikit_sql.engine.retry import new_attempts, retry_delay
from apikit_sql.engine.steps import Page, Send, Sleep, Steps
from apikit_sql.errors import AuthError, DecodeError, PaginationError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import Envelope, read_envelope
from apikit_sql.redaction import redact, redact_url

_DEFAULT_HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": "apikit_sql"}
_LONGEST_REASON = 200  # characters of an API's own error message
_AUTH_REFUSED, _TOO_MANY = 401, 429


@dataclass(frozen=True)
class Access:
    """What a trip needs beside its plan: its credential, the limit it shares, and where requests are recorded."""

    credential: Credential
    limiter: RateLimitState
    record: Callable[[RequestRecord], None]
    clock: Callable[[], float] = time.time


def trip(plan: RequestPlan, access: Access, first: Page | None = None) -> Steps[None]:
    """Every page of `plan`, in order, beginning with `first` if it is there already.

    A page is asked for only when the one before it has been taken. Raises an ApikitError that names the API.
    """
    request: PageRequest | None = first_request(plan)
    settings, seen, records = plan.pagination, set[PageRequest](), 0
    previous: Envelope | None = None
    number = 0
    while request is not None:
        seen.add(request)
        number += 1
        if number > settings.max_pages:
            message = (
                f"{_where(plan, request)} has more than max_pages = {settings.max_pages} pages. "
                f"Say max_pages := a larger number, or pages := {settings.max_pages}."
            )
            raise PaginationError(message)
        page = (
            first if first is not None and number == 1 else (yield from _page(plan, settings, access, request, number))
        )
        if page is None:
            return
        records += len(page.envelope.records)
        yield page
        if number == plan.pages:
            return
        try:
            if number == 1:
                settings = _settled(settings, page, request)
            following = next_request(settings, page, Progress(request, number, records, previous))
        except PaginationError as error:
            message = f"{_where(plan, request)}: {error}"
            raise PaginationError(message) from None
        if following in seen:
            message = f"{_where(plan, request)}: page {number} leads back to an earlier page, after {records} records."
            raise PaginationError(message)
        request, previous = following, page.envelope


def _settled(settings: PaginationConfig, page: Page, request: PageRequest) -> PaginationConfig:
    """`settings` with what only the first page tells."""
    if settings.strategy == "auto":
        found = find_pagination(settings, page, request)
        LOGGER.debug("%s pages by %s: %s", page.url, found.pagination.strategy, found.reason)
        return found.pagination
    return with_known_end(settings, page)


def _page(
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
    except DecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        message = f"{_where(plan, request)} answered {response.status_code} ({kind}), page {number}: {error}"
        raise DecodeError(message) from None
    _refuse_errors(plan, request, envelope, response)
    url = redact_url(request.full_url, access.credential.secrets)
    return Page(number, url, response.status_code, response.headers, envelope, len(response.content))


def _refuse_errors(plan: RequestPlan, request: PageRequest, envelope: Envelope, response: httpx.Response) -> None:
    """Raise RequestError where a good status carries an error instead of records."""
    is_found = plan.record_path is None and envelope.is_single and envelope.record_path == ""
    if is_found and "id" not in envelope.beside and (envelope.at("error") or envelope.at("errors")):
        message = f"{_where(plan, request)} answered {response.status_code} with an error{_reason(response)}"
        raise RequestError(message, status=response.status_code, url=redact_url(request.full_url))


def exchange(plan: RequestPlan, access: Access, request: PageRequest) -> Steps[httpx.Response]:
    """Send `request` until it is answered well or the retries are used up; the last answer decides the error."""
    attempts = new_attempts()
    while True:
        yield from _wait_for_limit(plan, access, request)
        try:
            response = yield from _signed(plan, access, request, attempts)
        except httpx.TransportError:
            attempts.set_exception(sys.exc_info())  # type: ignore[arg-type]  # inside an except, never empty
        else:
            attempts.set_result(response)
            access.limiter.ingest(response)
        delay = retry_delay(plan.retry, attempts, access.clock)
        if delay is None:
            return _answer(plan, access, request, attempts)
        if delay > plan.max_wait:
            raise _out_of_patience(plan, request, delay)
        yield Sleep(delay)
        attempts.prepare_for_next_attempt()


def _wait_for_limit(plan: RequestPlan, access: Access, request: PageRequest) -> Steps[None]:
    wait = access.limiter.reserve()
    if wait > plan.max_wait:
        raise _out_of_patience(plan, request, wait)
    if wait > 0:
        yield Sleep(wait)


def _out_of_patience(plan: RequestPlan, request: PageRequest, wait: float) -> RateLimitError:
    message = (
        f"{_where(plan, request)}: the API asks to wait {wait:.0f} s, longer than max_wait = {plan.max_wait:g} s. "
        "Try again later, or install with a larger max_wait."
    )
    return RateLimitError(message, status=_TOO_MANY, url=redact_url(request.full_url), retry_after=wait)


def _signed(
    plan: RequestPlan, access: Access, request: PageRequest, attempts: tenacity.RetryCallState
) -> Steps[httpx.Response]:
    """The answer to `request`, signed on the connector's own origin only; redirects that may be followed are."""
    url = httpx.URL(request.full_url)
    check_origin(plan, url, "next link")
    headers = _DEFAULT_HEADERS | {name.lower(): value for name, value in plan.headers}
    if request.body is not None:
        headers["content-type"] = "application/json"
    unsigned = httpx.Request(plan.method, url, headers=headers, content=request.body)
    for _ in range(MOST_REDIRECTS + 1):
        flow = (access.credential.auth if is_home(plan, unsigned.url) else httpx.Auth()).auth_flow(unsigned)
        signed: httpx.Request | None = next(flow)
        while signed is not None:
            response = yield from _sent(plan, access, signed, attempts.attempt_number)
            signed = _next_of(flow, response)
        following = redirected(plan, response)
        if following is None:
            return response
        unsigned = following
    message = f"{_where(plan, request)} redirected more than {MOST_REDIRECTS} times."
    raise RequestError(message, status=response.status_code, url=redact_url(request.full_url))


def _sent(plan: RequestPlan, access: Access, request: httpx.Request, attempt: int) -> Steps[httpx.Response]:
    """The answer to one request, recorded."""
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
    where, url = _where(plan, request), redact_url(request.full_url, access.credential.secrets)
    if outcome.failed:
        cause = outcome.exception()
        what = redact(str(cause) or type(cause).__name__, access.credential.secrets)
        message = f"{where}: no answer after {attempts.attempt_number} attempts: {what}"
        raise RequestError(message, url=url)
    response: httpx.Response = outcome.result()
    if response.is_success:
        return response
    reason = redact(_reason(response), access.credential.secrets)
    match response.status_code:
        case 401:
            message = f"{where} answered 401{reason}: the credential ({access.credential.name}) was refused."
            raise AuthError(message, status=_AUTH_REFUSED, url=url)
        case 429:
            message = f"{where} answered 429{reason}, after {attempts.attempt_number} attempts."
            raise RateLimitError(message, status=_TOO_MANY, url=url)
        case status:
            message = f"{where} answered {status}{reason}"
            raise RequestError(message, status=status, url=url)


def _where(plan: RequestPlan, request: PageRequest) -> str:
    """The API and the request's path, as an error names them: no query, which may carry secrets."""
    return f"{plan.connector}: {plan.method} {httpx.URL(request.url).path}"


def _reason(response: httpx.Response) -> str:
    """The API's own words for an error, shortened; `` where it has none."""
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
            return f" ({' '.join(found.split())[:_LONGEST_REASON]})"
    return ""
