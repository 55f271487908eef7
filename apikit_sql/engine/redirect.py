"""Where a request may go: next links and redirects stay on the connector's origin, and credentials always do."""

from __future__ import annotations

import httpx

from apikit_sql.errors import OriginError, RequestError
from apikit_sql.origin import origin_of
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.redaction import carries_secret, is_secret_header, redact, redact_url

#: How many redirects one request may take.
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def is_home(plan: RequestPlan, url: httpx.URL) -> bool:
    """Whether `url` is on the connector's own origin, the only one its credential is sent to."""
    return origin_of(str(url)) == origin_of(plan.base_url)


def check_origin(plan: RequestPlan, url: httpx.URL, what: str, secrets: tuple[str, ...]) -> None:
    """Refuse `url`, which `what` led to, unless it is at home, or on an allowed origin and without our secrets.

    Raises OriginError: a link in a response must not make the caller fetch from wherever the server says, nor carry
    what the server has echoed.
    """
    if is_home(plan, url) and not url.userinfo:
        return
    allowed = (origin_of(origin) for origin in plan.allowed_origins)
    origin = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")
    if url.userinfo or origin_of(str(url)) not in allowed:
        message = (
            f"{plan.connector}: a {what} leads to {origin}, away from {plan.base_url}. If that is right, add it to the "
            "allowed_origins of its manifest, or of its ApiConfig."
        )
        raise OriginError(redact(message, secrets))
    if carries_secret(str(url), secrets):
        message = f"{plan.connector}: a {what} to {origin} carries the credential along; it was not followed."
        raise OriginError(redact(message, secrets))


def without_credentials(request: httpx.Request) -> httpx.Request:
    """`request`, which leaves home, without the headers that carry credentials, whoever has given them."""
    kept = [(name, value) for name, value in request.headers.multi_items() if not is_secret_header(name)]
    return httpx.Request(
        request.method, request.url, headers=kept, content=request.content, extensions=request.extensions
    )


def redirect_target(plan: RequestPlan, response: httpx.Response, secrets: tuple[str, ...]) -> httpx.URL | None:
    """Where a redirect leads, or None where `response` is none.

    Only reads are redirected, and only within the allowed origins (RFC 9110, section 15.4). Raises OriginError.
    """
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or location is None:
        return None
    request = response.request
    url = redact_url(str(request.url), secrets)
    if request.method != "GET":
        message = f"{plan.connector} redirected a {request.method}, which is not sent twice."
        raise RequestError(message, status=response.status_code, url=url)
    try:
        target = request.url.join(location)
        origin_of(target.host and str(target))  # a host or a port may be none
    except (httpx.InvalidURL, ValueError):
        message = f"{plan.connector} redirected to what is no URL."
        raise RequestError(message, status=response.status_code, url=url) from None
    check_origin(plan, target, "redirect", secrets)
    return target
