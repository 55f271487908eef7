"""The errors that answers are: what the API refused, in its own words, and what to do about it."""

from __future__ import annotations

import json
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from apikit_sql.engine.access import Access
from apikit_sql.engine.graphql import errors_in, place_of
from apikit_sql.engine.pagination import PageRequest
from apikit_sql.engine.rate_limit import RateLimitState, in_words
from apikit_sql.engine.redirect import is_home
from apikit_sql.engine.retry import asked_wait, is_limited
from apikit_sql.errors import AuthError, GraphQLError, RateLimitError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.redaction import is_secret_header, redact, redact_url
from apikit_sql.secrets import is_reference

_LONGEST_REASON = 200  # characters of an API's own error message
_SET_IT = "Set its token: [auth] in its manifest, install(con, tokens={...}), or in Python Apikit(..., token=...)."
_AUTH_REFUSED, _FORBIDDEN, _PROXY_AUTH = 401, 403, 407
_PATIENCES = (60, 120, 300, 600, 1800, 3600)  # seconds that an error proposes as max_wait


def refused(
    plan: RequestPlan, access: Access, request: PageRequest, response: httpx.Response, how: str
) -> RequestError:
    """The error for an answer that is not a page of records; `how` has a place for the API's own `{reason}`."""
    secrets, status = access.credential.secrets, response.status_code
    message = f"{where(plan, request)} answered {status}{how.format(reason=reason_of(response, secrets))}"
    url = redact_url(request.full_url, secrets)
    if status == _AUTH_REFUSED and is_home(plan, response.request.url):
        return AuthError(f"{message}: {_told_of(plan, access)}", status=status, url=url)
    if status == _FORBIDDEN and is_home(plan, response.request.url):
        message += f": {_told_of(plan, access)}"
    if status == _PROXY_AUTH:
        message += "; credentials of a proxy in the environment are not used"
    if is_limited(response):
        asked = asked_wait(response, access.clock)
        return RateLimitError(message, status=status, url=url, retry_after=asked)
    if plan.is_graphql and (errors := errors_in(response.content, access.credential.hide)):
        return GraphQLError(message + place_of(errors[0]), status=status, url=url, errors=errors)
    return RequestError(message, status=status, url=url)


def _told_of(plan: RequestPlan, access: Access) -> str:
    """What became of the credential."""
    name = access.credential.name
    given = [header for header, _ in plan.headers if is_secret_header(header)]
    if not access.credential.mark and given:
        return f"only the headers given were sent ({', '.join(given)})."
    if not access.credential.mark and is_reference(name):
        return f"no credential was sent, for {name} is not set."
    if not access.credential.mark:
        return f"no credential was sent. {_SET_IT}"
    return f"the credential ({name}) was refused."


class Wait(NamedTuple):
    """Seconds that the API asks for, and the status by which it did."""

    seconds: float
    status: int


def out_of_patience(
    plan: RequestPlan, access: Access, request: PageRequest, limiter: RateLimitState, wait: Wait
) -> RateLimitError:
    """The error for a wait that is longer than the caller's patience, and the patience that would do."""
    what = limiter.describe() or (
        f"{plan.method} {urlsplit(request.url).path} is to wait {in_words(wait.seconds)}, longer than max_wait = "
        f"{plan.max_wait:g} s"
    )
    patience = next((each for each in _PATIENCES if each >= wait.seconds), -(-int(wait.seconds + 1) // 3600) * 3600)
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
    for key in ("message", "error", "errors", "error_description", "detail", "title", "errorMessages"):
        found = body.get(key) if isinstance(body, dict) else None
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            texts = (f"{name}: {text}" for name, text in found.items() if isinstance(text, str))
            found = found.get("message") or found.get("detail") or found.get("title") or next(texts, None)
        if isinstance(found, str) and found:
            words = redact(found, secrets)  # a piece of one would not be known
            printable = "".join(character if character.isprintable() else " " for character in words)
            return f" ({' '.join(printable.split())[:_LONGEST_REASON]})"
    return ""
