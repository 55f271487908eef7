"""apikit_explain(): the requests that a SELECT would send, told by running it with its API tables empty.

DuckDB itself decides what it pushes into each scan, so nothing of that is guessed; what it does not push stands in its
plan. It is told while it is read, not while it is bound: only then can a subquery see the caller's variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from apikit_sql.engine.estimate import Estimate
from apikit_sql.errors import ApikitError, CallError
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.redaction import is_masked_param
from apikit_sql.scan.dataset import ScannedDataset
from apikit_sql.scan.recording import Asked, RecordedScan, Recording
from apikit_sql.sql.catalog import (
    ATTACH,
    DETACH,
    EXPLAIN,
    EXPLAIN_FUNCTION,
    EXPORTING,
    PROBING,
    WEBHOOK_START,
    WEBHOOK_STOP,
    literal,
)
from apikit_sql.sql.database import Database
from apikit_sql.sql.plan_tree import PlanScan, without_values, words
from apikit_sql.sql.questions import arguments_of, check_arguments, needed, read_question, read_variables
from apikit_sql.sql.records_dataset import RecordsDataset, Row, columns_of_types
from apikit_sql.sql.registry_tables import attached_dataset, detached_dataset
from apikit_sql.sql.rehearsal import rehearsed
from apikit_sql.sql.seam import PUSHES_WHILE_RUNNING

_COLUMNS = columns_of_types(
    {
        "connector": "VARCHAR", "path": "VARCHAR", "method": "VARCHAR", "url": "VARCHAR", "pushed": "VARCHAR[]",
        "not_pushed": "VARCHAR[]", "trips": "BIGINT", "requests": "BIGINT", "why": "VARCHAR",
        "credential": "VARCHAR", "remaining": "BIGINT",
    }
)  # fmt: skip
#: The type of the rows, as SQL has it.
EXPLAINED = "STRUCT(" + ", ".join(f"{column.name} {column.type}" for column in _COLUMNS) + ")[]"
_VARIABLES = (
    "(SELECT CAST(to_json(list({name: name, type: type, value: value})) AS VARCHAR) "
    "FROM system.main.duckdb_variables())"
)
#: What is written down as called, and not read.
_PROBING = frozenset(each.name for each in PROBING)
_DOING_NOTHING = frozenset(each.name for each in (ATTACH, DETACH, WEBHOOK_START, WEBHOOK_STOP, *EXPORTING))
#: What is not answered while it is explained.
_EMPTY = {ATTACH.name: attached_dataset(()), DETACH.name: detached_dataset("", was_there=False).emptied()}
_UNKNOWN = PlanScan(is_known=False)
_UNLIKE = "DuckDB's plan does not tell these scans apart"


def reading(arguments: str) -> str:
    """The SQL text that explains as it is read, where the caller is: its variables are the caller's own."""
    rows = f"unnest({EXPLAIN_FUNCTION}({literal(arguments)}, {_VARIABLES}))"
    return f"SELECT unnest(explained) FROM (SELECT {rows} AS explained)"  # noqa: S608 - quoted


def explained(database: Database, calls: pa.Array, variables: pa.Array) -> pa.Array:
    """A row for each scan of each call's SELECT. Raises CallError for anything else, and what a bind of it raises."""
    pairs = zip(calls.to_pylist(), variables.to_pylist(), strict=True)
    found = [
        _rows(database, {**arguments_of(EXPLAIN, call), "variables": read_variables(known or "[]")})
        for call, known in pairs
    ]
    return pa.array(found, pa.list_(pa.struct(list(RecordsDataset(_COLUMNS, lambda: ()).schema))))


def _rows(database: Database, given: Mapping[str, Any]) -> list[Row]:
    if not isinstance(given["sql"], str):
        message = "apikit_explain: write the statement as a text, $$ SELECT ... $$."
        raise CallError(message)
    recording, plan = rehearsed(database, given["sql"], given)
    return [*_scan_rows(recording.scans, plan), *map(_call_row, sorted(recording.called))]


def recorded(
    database: Database, question: Mapping[str, str], answer: Callable[[Database, Mapping[str, str]], ScannedDataset]
) -> ScannedDataset:
    """What `answer` gives to the question within `question`, its scans written down instead of read."""
    recording, asked = _known(database, question), read_question(needed(question, "question"))
    check_arguments(asked["function"], asked.get("arguments", ""))
    try:
        match asked["function"]:
            case EXPLAIN.name:
                return RecordsDataset(_COLUMNS, lambda: ())
            case function if function in _PROBING | _DOING_NOTHING:
                recording.called.add(function)
                return _EMPTY[function] if function in _EMPTY else answer(database, asked).emptied()
            case _:
                return recording.of(answer(database, asked))
    except ApikitError as error:
        recording.error = recording.error or error
        raise


def called(database: Database, question: Mapping[str, str]) -> str:
    """Nothing: that a function of a row is called is written down."""
    _known(database, question).called.add(needed(question, "name"))
    return ""


def _known(database: Database, question: Mapping[str, str]) -> Recording:
    recording = database.recordings.get(needed(question, "recording"))
    if recording is None:
        message = "no statement is explained here."
        raise CallError(message)
    return recording


def _scan_rows(scans: Sequence[RecordedScan], plan: Sequence[PlanScan]) -> Iterator[Row]:
    sampled: set[RequestPlan] = set()
    for scan, shown in sorted(_paired(scans, plan), key=lambda pair: pair[0].number):
        yield _scan_row(scan, shown, sampled)


def _paired(scans: Sequence[RecordedScan], plan: Sequence[PlanScan]) -> list[tuple[RecordedScan, PlanScan]]:
    """Each scan with what the plan shows of it, the most alike first; scans of a recursion's later rounds are left."""
    filters = [[asked.text for asked in scan.asked()] for scan in scans]
    likeness = {
        (number, place): shown.likeness(scan.columns, filters[number])
        for number, scan in enumerate(scans)
        for place, shown in enumerate(plan)
    }
    pairs: dict[int, int] = {}
    for number, place in sorted(likeness, key=lambda pair: (-likeness[pair], pair)):
        if likeness[number, place] > 0 and number not in pairs and place not in pairs.values():
            pairs[number] = place
    found = {scans[number].number for number in pairs}
    unsure = _unsure(scans, plan, likeness, pairs)
    known = [(scans[number], _UNKNOWN if number in unsure else plan[place]) for number, place in pairs.items()]
    return known + [(scan, _UNKNOWN) for scan in scans if scan.number not in found]


def _unsure(
    scans: Sequence[RecordedScan],
    plan: Sequence[PlanScan],
    likeness: Mapping[tuple[int, int], float],
    pairs: Mapping[int, int],
) -> set[int]:
    """The scans that might as well change places in the plan with others, which ask and fare differently."""

    def fits_as_well(one: int, other: int) -> bool:
        here, there = likeness[one, pairs[other]], likeness[other, pairs[one]]
        return bool(here and there) and here + there >= likeness[one, pairs[one]] + likeness[other, pairs[other]]

    groups: list[set[int]] = []
    for number in pairs:
        joined = [group for group in groups if any(fits_as_well(number, other) for other in group)]
        groups = [group for group in groups if group not in joined] + [{number}.union(*joined)]
    free = set(range(len(plan))) - set(pairs.values())
    unsure = {
        number
        for number, place in pairs.items()
        for other in free
        if likeness[number, other] >= likeness[number, place] and _fate(plan[other]) != _fate(plan[place])
    }
    for group in groups:
        asks, fares = [scans[number].asks for number in group], [_fate(plan[pairs[number]]) for number in group]
        if any(each != asks[0] for each in asks) and any(each != fares[0] for each in fares):
            unsure |= group
    return unsure


def _fate(shown: PlanScan) -> tuple[object, ...]:
    """What the plan tells of a scan beside what the scan is known by."""
    return shown.read, shown.is_repeated, shown.not_pushed, shown.narrowed if PUSHES_WHILE_RUNNING else ()


def _scan_row(scan: RecordedScan, shown: PlanScan, sampled: set[RequestPlan]) -> Row:
    """What one scan sends. A page of `sampled` requests serves another scan already; those of this one are added."""
    plan, trips = scan.table.plan, scan.trips()
    outlooks = [scan.table.session.outlook(trip.request) for trip in trips]
    again = sum(outlook.estimate.kept for trip, outlook in zip(trips, outlooks, strict=True) if trip.request in sampled)
    sampled.update(trip.request for trip in trips)
    requests, why = _expected(scan, shown, [outlook.estimate for outlook in outlooks], again)
    asked = scan.asked()
    first = outlooks[0] if outlooks else scan.table.session.outlook(plan.request)
    not_pushed = [(each.text, each.why) for each in asked if each.why] + _not_pushed(shown, asked)
    return {
        "connector": plan.request.connector,
        "path": plan.request.path,
        "method": plan.request.method,
        "url": first.url if outlooks else None,
        "pushed": [first.hide(f"{_masked(each.text, plan)} as {each.sent}") for each in asked if each.sent],
        "not_pushed": [first.hide(f"{_masked(text, plan)}: {why}") for text, why in not_pushed],
        "trips": len(trips),
        "requests": requests,
        "why": why or None,
        "credential": first.credential,
        "remaining": first.remaining,
    }


def _expected(scan: RecordedScan, shown: PlanScan, estimates: Sequence[Estimate], again: int) -> tuple[int | None, str]:
    """The requests of one scan, `again` for pages that serve another one; None where only the API can tell, and why."""
    plan = scan.table.plan
    if not shown.is_known:
        return None, _UNLIKE
    if shown.is_repeated:
        return None, "a recursive CTE may scan it many times"
    if PUSHES_WHILE_RUNNING and shown.narrowed & {key.column.partition(".")[0] for key in plan.key_columns}:
        return None, "a join may narrow it by what its other side holds"
    if plan.request.cache and estimates:
        return None, f"answers of the last {plan.request.cache:g} s come from the response cache"
    for estimate in estimates:
        if estimate.requests is None:
            return None, estimate.why
    requests = again + sum(estimate.requests or 0 for estimate in estimates)
    is_one = requests == 1 and not any(estimate.kept for estimate in estimates)
    if requests and not (shown.read == "all" or (shown.read == "first" and is_one)):
        return None, f"LIMIT may end it early; {requests} at the most"
    if plan.max_requests is not None and requests > plan.max_requests:
        return plan.max_requests, f"it will fail: it needs {requests} requests, and max_requests is {plan.max_requests}"
    return requests, next((estimate.why for estimate in estimates if estimate.why), "")


def _not_pushed(shown: PlanScan, asked: Sequence[Asked]) -> list[tuple[str, str]]:
    """What stands in the plan beside a scan, but for what DuckDB has pushed all the same, now or as a join began."""
    told = [words(each.text) for each in asked]
    known = words(" ".join(each.text for each in asked)) - words(shown.filters) if PUSHES_WHILE_RUNNING else frozenset()
    return [
        (condition, why)
        for condition, why in shown.not_pushed.items()
        if words(condition) not in told and not (known & shown.concerns(condition))
    ]


def _masked(text: str, plan: ScanPlan) -> str:
    """`text`, its values masked where it names a column whose parameter is masked in URLs."""
    masked = [key.column.lower() for key in (*plan.key_columns, *plan.settled) if is_masked_param(key.param or "")]
    names = {name.lower() for name in words(text)}
    return without_values(text) if any(names >= {*column.split(".")} for column in masked) else text


def _call_row(function: str) -> Row:
    """A function that the statement calls, and that asks an API by itself."""
    names = (column.name for column in _COLUMNS)
    if function in _DOING_NOTHING:
        why = f"{function} does nothing while it is explained"
    elif function in _PROBING:
        why = f"{function} sends a request when it is read, unless a bind has"
    else:
        why = f"{function} sends a request or more for each distinct row that calls it, known only while it runs"
    return {**dict.fromkeys(names), "why": why}
