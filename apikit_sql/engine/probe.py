"""What answers the first request of a plan, told rather than raised: for whoever meets an API for the first time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from apikit_sql.engine.access import Access
from apikit_sql.engine.exchange import answer, read_page
from apikit_sql.engine.limit_headers import Quota, read_quotas
from apikit_sql.engine.pagination import PageRequest, first_request
from apikit_sql.engine.refusal import refused
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.steps import Page, Steps
from apikit_sql.errors import DecodeError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.redaction import redact_url


@dataclass(frozen=True)
class Probe:
    """The answer to one request: a page, or the error that it is instead.

    `status` is None where no answer came, `elapsed` (seconds) where nothing was sent. `quota` is the one with the least
    left of those that the answer tells.
    """

    request: PageRequest
    url: str  # redacted
    status: int | None
    elapsed: float | None
    quota: Quota | None = None
    page: Page | None = None
    error: RequestError | DecodeError | None = None
    hide: Callable[[str], str] = field(default=str, repr=False, compare=False)  # masks the credential


def probe(plan: RequestPlan, access: Access) -> Steps[Probe]:
    """What the first request of `plan` brings. No status is tried again. Raises OriginError for a refused host."""
    request, sent = first_request(plan), list[RequestRecord]()

    def record(each: RequestRecord) -> None:
        sent.append(each)
        access.record(each)

    once = replace(plan, retry=plan.retry.model_copy(update={"retry_on_status": ()}))
    url = redact_url(request.full_url, access.credential.secrets)
    response, page, error = None, None, None
    try:
        response, _ = yield from answer(once, replace(access, record=record), request)
        if not response.is_success:
            raise refused(plan, access, request, response, "{reason}")
        page = read_page(plan, access, request, 1, response)
    except (RequestError, DecodeError) as raised:
        error = raised
    elapsed = sent[-1].elapsed if sent else None
    if response is None:
        return Probe(request, url, getattr(error, "status", None), elapsed, error=error, hide=access.credential.hide)
    quotas = read_quotas(response.headers, access.clock())
    quota = min(quotas, key=lambda each: each.remaining, default=None)
    return Probe(request, url, response.status_code, elapsed, quota, page, error, access.credential.hide)
