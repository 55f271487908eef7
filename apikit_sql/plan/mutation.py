"""One row's mutation as a request: what its call asks for, what the connector adds, and the key to send it again by."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.template import fields_of
from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call
from apikit_sql.plan.planner import checked_headers, filled_path, joined_params
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.plan.values import body_bytes, form_bytes

_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True)
class Mutation:
    """A request that changes something. With a `key` it may be sent again, for the API knows it by that."""

    request: RequestPlan
    key: str | None = None


def idempotency_key(
    connector: ConnectorDefinition, given: str | None, new: Callable[[], object] = uuid.uuid4
) -> str | None:
    """What the API shall know a request by: `given`, or a `new` one; None where it takes none.

    Raises CallError for one that would not be sent.
    """
    if given is not None and not given.strip():
        message = "apikit: the idempotency_key is empty."
        raise CallError(message)
    if connector.idempotency_header:
        return str(new()) if given is None else given
    if given is not None:
        message = f"apikit: {connector.name} has no idempotency_header, so the idempotency_key would not be sent."
        raise CallError(message)
    return None


def plan_mutation(
    call: Call, method: str, connector: ConnectorDefinition, key: str | None, max_wait: float
) -> Mutation:
    """The request that `call` asks of `connector`, with its idempotency `key`. `max_wait` is in seconds.

    Raises CallError for what the API cannot be asked.
    """
    path = filled_path(call, call.path)
    if still_open := fields_of(path):
        name = still_open[0]
        message = f"apikit: nothing fills {{{name}}} in {path}. Say path_params := {{'{name}': ...}}."
        raise CallError(message)
    named = {connector.idempotency_header: key} if connector.idempotency_header and key is not None else {}
    is_form = connector.body_format == "form"
    body = None if call.body is None else form_bytes(call.body) if is_form else body_bytes(call.body)
    # without a key no answer is a reason to send again
    retry = connector.retry if named else connector.retry.model_copy(update={"retry_on_status": ()})
    request = RequestPlan(
        connector=connector.name,
        base_url=connector.base_url.rstrip("/"),
        path=path,
        method=method,
        params=joined_params(call, connector.params),
        headers=checked_headers({**connector.headers, **call.headers, **named}),
        body=body,
        body_type=_FORM if is_form else _JSON,
        auth=connector.auth,
        retry=retry,
        rate_limit=connector.rate_limit,
        timeout=connector.timeout,
        max_wait=max_wait,
        verify_ssl=connector.verify_ssl,
    )
    return Mutation(request, key)
