"""How many requests a trip will send, told by its own dialogue and the pages that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apikit_sql.engine.access import Access
from apikit_sql.engine.pagination import PageRequest, first_request
from apikit_sql.engine.steps import Page
from apikit_sql.engine.trip import Wanted, trip
from apikit_sql.errors import ApikitError
from apikit_sql.plan.request_plan import RequestPlan


@dataclass(frozen=True)
class Estimate:
    """The `first` request of a trip, and how many `requests` it sends beside the pages that are `kept`.

    `requests` is None where only the API can tell; `why` says then what is missing.
    """

    first: PageRequest
    kept: int = 0
    requests: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Outlook:
    """What is known of a trip before it begins: its requests, the first one's URL without secrets, and its limit.

    `credential` is the name of what it is signed with; `remaining` is None where the API has told no limit yet.
    """

    estimate: Estimate
    url: str
    credential: str
    remaining: int | None


def estimate(plan: RequestPlan, access: Access, kept: Sequence[Page] = ()) -> Estimate:
    """The requests of the trip of `plan`, of which the pages `kept` are there; nothing is sent."""
    first, dialogue = first_request(plan), trip(plan, access, kept)
    numbers: list[int] | None = None  # of the pages that are known to follow the second
    try:
        for wanted in dialogue:
            assert isinstance(wanted, Wanted)  # noqa: S101 - a page is only handed on when one was sent in
            if wanted.is_end_known and numbers is None:
                numbers = [ahead.number for ahead in wanted.expected]
            if wanted.page is None:
                return _estimate(plan, first, wanted.number, numbers)
            dialogue.send(wanted.page)
    except StopIteration:
        pass
    except ApikitError as error:
        return Estimate(first, len(kept), 0, f"it will fail: {error}")
    return Estimate(first, len(kept), 0)


def _estimate(plan: RequestPlan, first: PageRequest, number: int, expected: Sequence[int] | None) -> Estimate:
    """The estimate where the page `number` is the first that is not there."""
    kept = number - 1
    if expected is not None:
        return Estimate(first, kept, 1 + sum(ahead > number for ahead in expected))
    if number == plan.pages or plan.pagination.strategy == "none":
        return Estimate(first, kept, 1)
    if number == 1:
        return Estimate(first, kept, None, "its first page, which tells how many follow, has not come yet")
    return Estimate(first, kept, None, "a page tells only whether there is a next one")
