"""The first request of a plan as it would be sent, with masks where its credential has secrets. Nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apikit_sql.engine.auth import authenticator, known_secrets, masked, name_of
from apikit_sql.engine.exchange import request_of
from apikit_sql.engine.pagination import first_request
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.redaction import MASK, header_secrets, is_secret_header, redact_url


@dataclass(frozen=True)
class ShownRequest:
    """A request that people may see; `credential` is the name of what signs it."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str | None
    credential: str


def shown_request(plan: RequestPlan) -> ShownRequest:
    """The first request of `plan`. No secret need be there. Raises RequestError where its URL is none."""
    others = known_secrets(plan.auth) + header_secrets(plan.headers)
    credential = replace(authenticator(plan.connector, masked(plan.auth)), others=others)
    request = request_of(plan, first_request(plan))
    credential.sign(request)
    if plan.auth.type == "oauth2":
        request.headers["Authorization"] = f"{plan.auth.prefix} {MASK}".strip()
    return ShownRequest(
        method=request.method,
        url=redact_url(str(request.url), credential.secrets),
        headers=tuple((name, _shown(name, credential.hide(value))) for name, value in request.headers.items()),
        body=credential.hide(request.content.decode()) or None,
        credential=name_of(plan.auth),
    )


def _shown(name: str, hidden: str) -> str:
    """The `hidden` value of a header: of one that carries a credential, whatever it is is none to show."""
    return MASK if is_secret_header(name) and MASK not in hidden else hidden
