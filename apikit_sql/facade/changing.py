"""What Apikit changes: one request -> the body of its answer, or the error that became of it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, Literal, TypedDict, Unpack, overload

from apikit_sql import errors
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.dry_run import shown_request
from apikit_sql.engine.mutation import Outcome
from apikit_sql.errors import ApikitError, RateLimitError, RequestError
from apikit_sql.facade.caller import Caller
from apikit_sql.facade.dry_run import DryRunResult, shown
from apikit_sql.facade.options import Values, check_flag, refuse_unknown, waiting
from apikit_sql.facade.reading import in_thread, remembering
from apikit_sql.facade.values import as_sent
from apikit_sql.facade.wording import python_words
from apikit_sql.plan.call import checked_call
from apikit_sql.plan.mutation import Mutation, idempotency_key, plan_mutation
from apikit_sql.plan.request_plan import ScanPlan

Yes = Literal[True]
_NOT_PAGED = PaginationConfig(strategy="none")


class ChangeOptions(TypedDict, total=False):
    """What goes with a body. By its `idempotency_key` an API that takes one knows a request which is sent again.

    `max_wait` is seconds for a limit of the API.
    """

    params: Values
    path_params: Values
    idempotency_key: str | None
    max_wait: float | None


class Changing(Caller):
    """The half of Apikit that writes. Each request is sent at most once, as in SQL.

    Raises RequestError, with the status, for an answer that is an error; one whose message begins with "outcome
    unknown" was sent, and no whole answer came.
    """

    @overload
    def post(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    def post(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    def post(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a POST of `body`, None where there is none."""
        mutation = self._planned("POST", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else self._send(mutation, Event())

    @overload
    async def apost(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    async def apost(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    async def apost(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a POST of `body`, None where there is none."""
        mutation = self._planned("POST", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else await in_thread(self._session, partial(self._send, mutation))

    @overload
    def put(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    def put(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    def put(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a PUT of `body`, None where there is none."""
        mutation = self._planned("PUT", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else self._send(mutation, Event())

    @overload
    async def aput(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    async def aput(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    async def aput(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a PUT of `body`, None where there is none."""
        mutation = self._planned("PUT", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else await in_thread(self._session, partial(self._send, mutation))

    @overload
    def patch(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    def patch(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    def patch(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a PATCH of `body`, None where there is none."""
        mutation = self._planned("PATCH", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else self._send(mutation, Event())

    @overload
    async def apatch(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    async def apatch(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    async def apatch(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a PATCH of `body`, None where there is none."""
        mutation = self._planned("PATCH", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else await in_thread(self._session, partial(self._send, mutation))

    @overload
    def delete(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    def delete(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    def delete(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a DELETE, None where there is none."""
        mutation = self._planned("DELETE", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else self._send(mutation, Event())

    @overload
    async def adelete(
        self, endpoint: str, body: object = None, *, dry_run: Yes, **options: Unpack[ChangeOptions]
    ) -> DryRunResult: ...
    @overload
    async def adelete(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any: ...  # noqa: ANN401 - any JSON value
    async def adelete(
        self, endpoint: str, body: object = None, *, dry_run: bool = False, **options: Unpack[ChangeOptions]
    ) -> Any:
        """The JSON that answers a DELETE, None where there is none."""
        mutation = self._planned("DELETE", endpoint, body, options, dry_run=dry_run)
        return shown(mutation.request) if dry_run else await in_thread(self._session, partial(self._send, mutation))

    @python_words()
    def _planned(self, method: str, endpoint: str, body: object, options: ChangeOptions, *, dry_run: bool) -> Mutation:
        """The request that is asked for. Raises CallError for what cannot be asked."""
        refuse_unknown(ChangeOptions, options)
        check_flag("dry_run", dry_run)
        given = {"params": options.get("params"), "path_params": options.get("path_params"), "body": body}
        sent = {
            name: as_sent(value, name, has_decimals=name != "body")
            for name, value in given.items()
            if value is not None
        }
        call = checked_call({"connector": self._connector.name, "path": endpoint, **sent})
        key = idempotency_key(self._connector, options.get("idempotency_key"))
        patience = waiting(self._usual, options.get("max_wait")).patience(self._connector)
        mutation = plan_mutation(call, method, self._connector, key, patience)
        return replace(mutation, request=replace(mutation.request, pagination=_NOT_PAGED))

    def _send(self, mutation: Mutation, cancelled: Event) -> Any:  # noqa: ANN401 - any JSON value
        with remembering(self._session):
            (outcome,) = self._session.mutations(ScanPlan(mutation.request), [mutation], cancelled)()
            if outcome.error is not None:
                raise _error(outcome, outcome.error, shown_request(mutation.request).url)
        return None if outcome.body is None else json.loads(outcome.body)


def _error(outcome: Outcome, message: str, url: str) -> ApikitError:
    """The error of the `outcome`, of the class that it names."""
    kind: type[ApikitError] = getattr(errors, outcome.kind, RequestError)
    if issubclass(kind, RateLimitError):
        return kind(message, status=outcome.status, url=url, retry_after=outcome.retry_after)
    if issubclass(kind, RequestError):
        return kind(message, status=outcome.status, url=url)
    return kind(message)
