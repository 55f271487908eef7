"""What one request tells of an API: where its records are, how it pages, its columns, its limit, and a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event
from typing import Any, NamedTuple

from apikit_sql.column_types import Column, ColumnType, ListOf, Struct
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.connector.template import fields_of
from apikit_sql.engine.evidence import find_pagination, refuse_unfollowed, why_none
from apikit_sql.engine.limit_headers import Quota
from apikit_sql.engine.pagination import PageRequest, Progress, next_request
from apikit_sql.engine.probe import Probe
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import CallError, DecodeError, OriginError, PaginationError
from apikit_sql.plan.call import Call
from apikit_sql.plan.planner import USUAL_DEFAULTS, Defaults, plan_call
from apikit_sql.plan.request_plan import ScanPlan
from apikit_sql.scan.decode import read_records
from apikit_sql.scan.schema import infer_columns
from apikit_sql.scan.suggestion import Suggestion, manifest_text

_DEEPEST = 4  # objects within objects, where lists are looked for
_SHOWN = 3  # lists that are named


@dataclass(frozen=True, repr=False)
class InspectorResult:
    """What one request has told; `error` where it is no page, and then nothing is known of records.

    `status_code` is None where no answer came, `latency_ms` where nothing was sent. `detected_pagination` is a strategy
    with its settings, and `evidence` what told it. `suggestion` is what to read the API with, None where nothing tells.
    """

    url: str  # redacted
    status_code: int | None
    latency_ms: float | None
    error: str | None = None
    record_path: str | None = None
    record_count: int | None = None
    detected_pagination: PaginationConfig | None = None
    evidence: str | None = None
    rate_limit_state: Quota | None = None
    columns: tuple[Column, ...] = ()
    suggestion: Suggestion | None = None

    def __repr__(self) -> str:
        """What was asked, and how it went: the rest is long."""
        paging = self.detected_pagination.strategy if self.detected_pagination else None
        told = self.error or f"{self.record_count} records, {len(self.columns)} columns, pagination {paging!r}"
        return f"<InspectorResult {self.status_code} {self.url}: {told}>"

    def schema_sample(self) -> dict[str, str]:
        """The type of each column of the page, by name."""
        return {column.name: str(column.type) for column in self.columns}

    def suggested_config(self) -> str | None:
        """The manifest, as TOML, of a connector with one stream that reads what was asked for; None where none would.

        A secret that was given in Python is a reference to an environment variable there.
        """
        return manifest_text(self.suggestion) if self.suggestion else None


def inspect(
    call: Call, connector: ConnectorDefinition, session: Session, cancelled: Event, usual: Defaults = USUAL_DEFAULTS
) -> InspectorResult:
    """What one request tells of what `call` asks of `connector`. An answer that is an error is told, not raised.

    Raises CallError where the call cannot be asked, and OriginError where the answer leads to a refused host.
    """
    plan = inspected_plan(call, connector, usual)
    probe = session.probe(plan.request, cancelled)
    latency = None if probe.elapsed is None else probe.elapsed * 1000
    result = InspectorResult(probe.url, probe.status, latency, rate_limit_state=probe.quota)
    error = probe.error
    if error is None:
        try:
            return _of_page(result, probe, plan, call, connector)
        except DecodeError as found:  # in a record
            error = found
    session.remember(error)
    return replace(result, error=str(error))


def inspected_plan(call: Call, connector: ConnectorDefinition, usual: Defaults = USUAL_DEFAULTS) -> ScanPlan:
    """The plan of what is asked, its columns not declared. Raises CallError where a field of the path is open."""
    path = call.path if call.path.startswith("/") or call.path not in connector.streams else ""
    template = path or connector.streams[call.path].path
    if fields := [each for each in fields_of(template) if each not in call.path_params]:
        filled = template.replace(f"{{{fields[0]}}}", "...")
        message = f"apikit_inspect: {template} needs {', '.join(fields)}. Write the path with its values: {filled!r}."
        raise CallError(message)
    plan = plan_call(call, connector, usual)
    for key in plan.key_columns:
        if key.required:
            message = f"apikit_inspect: {call.path} needs {key.column}. Say params := {{'{key.param}': ...}}."
            raise CallError(message)
    return replace(plan, columns=None, on_drift="error", nested="struct")


def _of_page(
    result: InspectorResult, probe: Probe, plan: ScanPlan, call: Call, connector: ConnectorDefinition
) -> InspectorResult:
    page = probe.page
    assert page is not None  # noqa: S101 - else there is an error
    records = read_records(page)
    paging = _paging(plan, page, probe)
    more = []
    if page.envelope.is_single and (inner := _inner_lists(records, page.envelope.record_path)):
        more.append(f"it has lists: {', '.join(inner)}; for the records of one say data_path := '{inner[0]}'")
    if not records:
        more.append("the page is empty, so nothing tells its columns")
    evidence = probe.hide("; ".join([paging.evidence.rstrip("."), *more]))
    columns = tuple(_hidden(each, probe.hide) for each in infer_columns(plan, records)) if records else ()
    path = page.envelope.record_path
    found = Suggestion(call, connector, plan, paging.found, paging.is_whole, evidence, path, columns, probe.hide)
    return replace(
        result,
        record_path=probe.hide(path),
        record_count=len(records),
        detected_pagination=paging.found,
        evidence=evidence,
        columns=columns,
        suggestion=found if records else None,
    )


class _Paging(NamedTuple):
    """How the API pages, and what told it. It `is_whole` unless there are pages that no scan gets to."""

    found: PaginationConfig
    evidence: str
    is_whole: bool = True


def _paging(plan: ScanPlan, page: Page, probe: Probe) -> _Paging:
    """The connector's own word on it, else the page's."""
    said = plan.request.pagination
    found = _told_by(said.model_copy(update={"strategy": "auto"}), page, probe.request)
    if said.strategy != "auto":
        found = _Paging(said, f"declared by {plan.request.connector}; the page itself: {found.evidence}")
    if refusal := _refusal(found.found, page, probe):
        return found._replace(evidence=f"{found.evidence}; but {refusal}", is_whole=False)
    return found


def _refusal(settings: PaginationConfig, page: Page, probe: Probe) -> str:
    """Why a scan would not go on to the page after this first one, `` where it would, or there is none."""
    try:
        following = next_request(settings, page, Progress().after(settings, probe.request, page))
        if following is not None:
            probe.check(following)
    except (OriginError, PaginationError) as error:
        return str(error)
    return ""


def _told_by(settings: PaginationConfig, page: Page, request: PageRequest) -> _Paging:
    found = find_pagination(settings, page, request, is_last=True)
    if found.pagination.strategy != "none":
        return _Paging(found.pagination, found.reason)
    try:
        refuse_unfollowed(settings, page, request)
    except PaginationError as error:
        return _Paging(found.pagination, str(error), is_whole=False)
    return _Paging(found.pagination, why_none(page, request))


def _hidden(column: Column, hide: Callable[[str], str]) -> Column:
    """The column without a credential in its name or those of its fields."""
    return replace(column, name=hide(column.name), type=_hidden_type(column.type, hide))


def _hidden_type(kind: ColumnType, hide: Callable[[str], str]) -> ColumnType:
    if isinstance(kind, Struct):
        return Struct(tuple((hide(name), _hidden_type(inner, hide)) for name, inner in kind.fields))
    return ListOf(_hidden_type(kind.element, hide)) if isinstance(kind, ListOf) else kind


def _inner_lists(records: list[Any], path: str) -> list[str]:
    """The paths of the first lists of objects within the one record, which is at `path`."""
    return list(islice(_lists_in(records[0], path), _SHOWN)) if records else []


def _lists_in(value: Any, path: str, depth: int = 0) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict) and depth < _DEEPEST:
        for name, inner in value.items():
            yield from _lists_in(inner, f"{path}.{name}" if path else name, depth + 1)
    elif path and isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        yield path
