"""Python values as an API is sent them, or refused by the name of what holds them."""

import datetime as dt
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pandas as pd
import pytest

from apikit_sql import Apikit, CallError
from tests.facade.doors import Door, call
from tests.fakes.api import FakeApi, Table
from tests.fakes.graphql import graphql_route, issues, variables


class State(StrEnum):
    OPEN = "open"


class Level(IntEnum):
    HIGH = 3


class Kind(Enum):
    BUG = ("bug", "p1")


UTC = dt.UTC
ID = UUID("12345678-1234-5678-1234-567812345678")
#: Each value, what a parameter of it is, and its JSON.
TAKEN: list[tuple[Any, list[str], Any]] = [
    ("a b", ["a b"], "a b"),
    (7, ["7"], 7),
    (0.5, ["0.5"], 0.5),
    (True, ["true"], True),
    (None, [], None),
    (ID, [str(ID)], str(ID)),
    (dt.datetime(2026, 1, 2, 3, tzinfo=UTC), ["2026-01-02T03:00:00Z"], "2026-01-02T03:00:00Z"),
    (dt.date(2026, 1, 2), ["2026-01-02"], "2026-01-02"),
    (dt.time(3, 4), ["03:04:00"], "03:04:00"),
    (State.OPEN, ["open"], "open"),
    (Level.HIGH, ["3"], 3),
    (Kind.BUG, ["bug", "p1"], ["bug", "p1"]),
    (np.bool_(1), ["true"], True),
    (np.int64(5), ["5"], 5),
    (np.float32(0.5), ["0.5"], 0.5),
    (np.str_("x"), ["x"], "x"),
    (np.datetime64("2026-01-02T03:00:00"), ["2026-01-02T03:00:00Z"], "2026-01-02T03:00:00Z"),
    (pd.Timestamp("2026-01-02T03:00:00"), ["2026-01-02T03:00:00Z"], "2026-01-02T03:00:00Z"),
    ((1, State.OPEN), ["1", "open"], [1, "open"]),
    ({4}, ["4"], [4]),
    (frozenset({4}), ["4"], [4]),
]


class Own:
    def __str__(self) -> str:
        return "own"


class Many(int):
    def __str__(self) -> str:  # for the name of a test
        return "many"


def numbers() -> Iterator[int]:
    yield 1


REFUSED: list[tuple[Any, str]] = [
    (b"x", "is a bytes, which cannot be sent"),
    (Own(), "is a Own, which"),
    (object, "is a type, which"),
    (numbers(), "is a generator, which"),
    (range(3), "is a range, which"),
    (float("nan"), "is nan, which"),
    (float("-inf"), "is -inf, which"),
    (Decimal("NaN"), "is NaN, which"),
    (np.float64("inf"), "is inf, which"),
    (pd.NaT, "is NaT, which"),
    (pd.NA, "is a NAType, which"),
    (np.datetime64("NaT"), "is NaT, which"),
    (np.timedelta64("NaT"), "is NaT, which"),
    (Many(10**5000), "is an integer of thousands of digits, which"),
    (np.array([1]), "is a ndarray, which"),
    (np.datetime64("2026-01-02T03:00:00.000000001"), "is a datetime64, which"),
    (dt.timedelta(1), "is a timedelta, which"),
    (1j, "is a complex, which"),
    ("\ud800", "has half of a surrogate pair"),
    (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5))), r"is 9999-12-31 .*, which is no time in UTC"),
]


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi({"/items": Table([{"id": 1}]), "/post": httpx.Response(200, json={})})
    api.routes["/graphql"] = graphql_route(issues(1))
    return api


@pytest.mark.parametrize(("value", "texts", "as_json"), TAKEN)
def test_a_value_is_sent_as_what_it_stands_for(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, value: Any, texts: list[str], as_json: Any
) -> None:
    call(door, client, "fetch_records", "/items", params={"v": value})
    call(door, client, "post", "/post", {"v": value, "in": [{"v": value}]})

    assert api.seen[0].url.params.get_list("v") == texts
    assert json.loads(api.seen[1].content) == {"v": as_json, "in": [{"v": as_json}]}


@pytest.mark.parametrize(("value", "words"), REFUSED)
def test_what_has_no_obvious_text_is_refused_by_its_name(
    api: FakeApi, client: Apikit, door: Door, value: Any, words: str
) -> None:
    with pytest.raises(CallError, match=rf"^params\.v {words}"):
        call(door, client, "fetch_records", "/items", params={"v": value})
    with pytest.raises(CallError, match=rf"^params\.v\[1\] {words}"):
        call(door, client, "fetch_records", "/items", params={"v": [1, value]})
    with pytest.raises(CallError, match=rf"^path_params\.v {words}"):
        call(door, client, "fetch_records", "/items/{v}", path_params={"v": value})
    with pytest.raises(CallError, match=rf"^body\.in\[0\]\.v {words}"):
        call(door, client, "post", "/post", {"in": [{"v": value}]})
    with pytest.raises(CallError, match=rf"^variables\.v {words}"):
        call(door, client, "graphql", "/graphql", "query($v: Int) { issue(number: $v) { id } }", variables={"v": value})
    with pytest.raises(CallError, match=rf"^params\.v {words}"):
        call(door, client, "inspect", "/items", params={"v": value})

    assert api.seen == []


def test_what_holds_itself_or_very_much_is_refused(api: FakeApi, client: Apikit, door: Door) -> None:
    itself: list[Any] = []
    itself.append(itself)
    deep: dict[str, Any] = {}
    for _ in range(2_000):
        deep = {"in": deep}

    for value in (itself, deep):
        with pytest.raises(CallError, match=r"^body has lists or dicts within each other, more than 100 deep"):
            call(door, client, "post", "/post", {"v": value})
        with pytest.raises(CallError, match=r"^params has lists or dicts within each other"):
            call(door, client, "fetch_records", "/items", params={"v": value})

    assert api.seen == []


def test_a_decimal_is_its_digits_where_a_text_will_do(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/at/1.50"] = Table([{"id": 1}])

    call(door, client, "fetch_records", "/at/{v}", path_params={"v": Decimal("1.50")}, params={"v": Decimal("1E+3")})

    assert api.paths == ["/at/1.50?v=1000"]
    with pytest.raises(CallError, match=r"^body\.v is a Decimal, which cannot be sent"):
        call(door, client, "post", "/post", {"v": Decimal(1)})


@pytest.mark.parametrize("name", ["params", "path_params", "body"])
def test_a_key_is_text(client: Apikit, door: Door, name: str) -> None:
    with pytest.raises(CallError, match=rf"^{name} has the key 1, which is not text"):
        call(door, client, "post", "/post", **{name: {1: "a"}})


def test_times_of_a_path_are_rfc_3339(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/at/2026-01-02T03:00:00Z"] = Table([{"id": 1}])

    call(door, client, "fetch_records", "/at/{t}", path_params={"t": dt.datetime(2026, 1, 2, 3, tzinfo=UTC)})

    assert api.paths == ["/at/2026-01-02T03%3A00%3A00Z"]


def test_an_enum_is_a_variable(api: FakeApi, client: Apikit, door: Door) -> None:
    query = "query($t: String) { at(time: $t) }"

    call(door, client, "graphql", "/graphql", query, variables={"t": State.OPEN})

    assert variables(api.seen[0]) == {"t": "open"}


FLAGS = [
    *(("fetch_records", {}, name) for name in ("paginate", "show_progress", "dry_run")),
    *(("fetch_polars", {}, name) for name in ("flatten", "dry_run")),
    *(("fetch_pandas", {}, name) for name in ("flatten", "dry_run")),
    *(("fetch_arrow", {}, name) for name in ("flatten", "dry_run")),
    *(("fetch_to_file", {"format": "csv", "file_path": io.BytesIO()}, name) for name in ("extra", "dry_run")),
    *(("fetch_to_file", {"format": "json", "file_path": io.BytesIO()}, name) for name in ("paginate", "dry_run")),
    *((method, {"body": {}}, "dry_run") for method in ("post", "put", "patch", "delete")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "options", "name"), FLAGS)
@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_flag_is_true_or_false(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, method: str, options: dict[str, Any], name: str, value: Any
) -> None:
    with pytest.raises(CallError, match=rf"^{name} must be True or False, not {value!r}"):
        call(door, client, method, "/items", **options, **{name: value})

    assert api.seen == []


def test_a_flag_of_a_table_is_true_or_false(api: FakeApi, client: Apikit) -> None:
    with pytest.raises(CallError, match=r"^extra must be True or False, not 'yes'"):
        client.table("/items", extra="yes")  # type: ignore[arg-type]

    assert api.seen == []


def test_a_path_that_is_inspected_has_its_fields_filled(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/users/ada/items"] = Table([{"id": 1}])

    found = call(door, client, "inspect", "/users/{name}/items", path_params={"name": "ada"})

    assert (found.status_code, found.record_count) == (200, 1)
    assert api.paths == ["/users/ada/items"]
