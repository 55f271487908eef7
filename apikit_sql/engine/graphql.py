"""A GraphQL answer: what stands where its rows should be, its errors, and the next cursor of a connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.steps import Page
from apikit_sql.errors import DecodeError, PaginationError
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.records import Envelope, read_envelope, says_error

_LONGEST_PATH = 80  # characters


def read_answer(body: bytes, plan: RequestPlan) -> Envelope:
    """The envelope of an answer to the query of `plan`: without records where it has errors, whatever it has beside.

    Raises DecodeError where there is nothing in the place of the rows, and no errors tell why.
    """
    whole = read_envelope(body, "")
    if says_error(whole.beside):
        return Envelope("data", is_single=False, beside=whole.beside)
    connection = plan.pagination.connection_path
    if connection is None:
        _refuse_lack(whole, "data", {"an object"}, plan)
    else:
        _refuse_lack(whole, (plan.record_path or "").partition("[]")[0], {"a list"}, plan)
    return read_envelope(body, plan.record_path)


def _refuse_lack(whole: Envelope, path: str, wanted: set[str], plan: RequestPlan) -> None:
    """Raise DecodeError where `path` leads to nothing of a kind that is `wanted`: it names the step that does not."""
    if whole.kind_at(path) in wanted:
        return
    steps = path.split(".")
    places = [".".join(steps[:number]) for number in range(1, len(steps))]
    place = next((place for place in places if whole.kind_at(place) != "an object"), path)
    kind = whole.kind_at(place) or "not there"
    shown = place.removeprefix("data.")
    if place == "data":
        message = f"data is {kind}, and no errors tell why. If {plan.path} does not answer GraphQL, say path := ..."
    elif kind == "a list":
        message = f"{shown} is a list: of a connection within a list no pages can be followed. Ask for one element."
    else:
        message = (
            f"{shown} is {kind}, and no errors tell why: what the query asks for may not exist, or the credential may "
            "not see it."
        )
    raise DecodeError(message)


def next_cursor(settings: PaginationConfig, page: Page) -> str | None:
    """The cursor of the page after `page`, None where that was the last.

    By the specification of GraphQL's connections (https://relay.dev/graphql/connections.htm). Raises PaginationError
    where `pageInfo` does not say.
    """
    place = f"{settings.connection_path}.pageInfo"
    found = page.envelope.at(f"data.{place}")
    has_next = found.get("hasNextPage") if isinstance(found, dict) else None
    if not isinstance(has_next, bool):
        message = f"{place}.hasNextPage is neither true nor false: it does not tell whether there is more."
        raise PaginationError(message)
    if not has_next:
        return None
    cursor = found.get("endCursor")
    if not isinstance(cursor, str) or not cursor:
        message = (
            f"{place} says that there is more, but its endCursor is {page.shown(json.dumps(cursor))}. The API does not "
            "page as Relay does: ask for one page, without connection_path."
        )
        raise PaginationError(message)
    return cursor


def unfollowed(plan: RequestPlan, page: Page) -> set[str]:
    """The connections of `page` that have a next page which is not followed."""
    if not plan.unfollowed:
        return set()
    data = page.envelope.at("data")
    return {".".join(path[:-2]) for path in plan.unfollowed if _is_true_within(data, path)}


def _is_true_within(data: Any, path: tuple[str, ...]) -> bool:  # noqa: ANN401 - any JSON value
    """Whether one of the values at `path`, which leads through lists, is true."""
    found = [data]
    for step in path:
        each = chain.from_iterable(value if isinstance(value, list) else [value] for value in found)
        found = [value.get(step) for value in each if isinstance(value, dict)]
    return any(value is True for value in found)


def errors_in(body: bytes, hide: Callable[[str], str]) -> tuple[dict[str, Any], ...]:
    """The `errors` of an answer, without secrets; none where it has none."""
    try:
        found = json.loads(hide(body.decode()))
    except (ValueError, RecursionError):
        return ()
    errors = found.get("errors") if isinstance(found, dict) else None
    return tuple(each for each in errors if isinstance(each, dict)) if isinstance(errors, list) else ()


def place_of(error: dict[str, Any]) -> str:
    """Where in the answer `error` arose, as the end of a sentence; `` where it does not say."""
    path = error.get("path")
    if not isinstance(path, list) or not path:
        return ""
    text = "".join(each for each in ".".join(map(str, path)) if each.isprintable())
    return f" at {text[:_LONGEST_PATH]}"
