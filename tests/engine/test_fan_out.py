"""Which trips may fail without ending the scan, and what stays known of those that did."""

from collections.abc import Sequence

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.fan_out import FanOut, may_skip
from apikit_sql.engine.scan_log import FailedTrip, ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.errors import (
    ApikitError,
    ApikitWarning,
    AuthError,
    CallError,
    ConfigError,
    DecodeError,
    OriginError,
    PaginationError,
    RateLimitError,
    RequestError,
    SchemaDriftError,
)
from apikit_sql.plan.request_plan import OnError, ScanPlan, Trip
from tests.engine.taking import NOW, Clock, ids, numbered, plan_of, read
from tests.fakes.api import FakeApi, Table

LINKED = PaginationConfig(strategy="link")


def trips_of(count: int) -> list[Trip]:
    return [Trip(plan_of(f"/items/{number}"), keys=(("id", number),)) for number in range(count)]


def fan_out_of(trips: Sequence[Trip], on_error: OnError, kept: list[FailedTrip]) -> tuple[FanOut, ScanRecord]:
    scan = ScanRecord(ScanPlan(plan_of()), trips=len(trips))
    return FanOut(trips, on_error, scan, kept.append, Clock()), scan


# --- what may be skipped

MISSING = RequestError("boom", status=404)
GONE = RequestError("boom", status=410)
#: An error, and whether 'skip_missing' and 'skip' pass over it.
TABLE = [
    pytest.param(MISSING, True, True, id="404"),
    pytest.param(GONE, True, True, id="410"),
    pytest.param(RequestError("boom", status=400), False, True, id="400"),
    pytest.param(RequestError("boom", status=403), False, True, id="403"),
    pytest.param(RequestError("boom", status=500), False, True, id="500"),
    pytest.param(RequestError("boom"), False, True, id="no answer"),
    pytest.param(DecodeError("boom"), False, True, id="no JSON"),
    pytest.param(PaginationError("boom"), False, True, id="no next page"),
    pytest.param(AuthError("boom", status=401), False, False, id="401"),
    pytest.param(RateLimitError("boom", status=429), False, False, id="429"),
    pytest.param(RateLimitError("boom", status=403), False, False, id="403 that limits"),
    pytest.param(OriginError("boom"), False, False, id="another host"),
    pytest.param(SchemaDriftError("boom"), False, False, id="drift"),
    pytest.param(ConfigError("boom"), False, False, id="config"),
    pytest.param(CallError("boom"), False, False, id="call"),
    pytest.param(ApikitError("boom"), False, False, id="any error of this package"),
]


@pytest.mark.parametrize(("error", "is_missing", "is_skipped"), TABLE)
def test_each_on_error_passes_over_its_own_errors(error: ApikitError, is_missing: bool, is_skipped: bool) -> None:  # noqa: FBT001 - a table
    assert not may_skip("error", error)
    assert may_skip("skip_missing", error) is is_missing
    assert may_skip("skip", error) is is_skipped


@pytest.mark.parametrize(("error", "is_missing", "is_skipped"), TABLE)
@pytest.mark.parametrize("on_error", ["error", "skip_missing", "skip"])
def test_what_may_not_be_skipped_is_raised_again(
    error: ApikitError,
    is_missing: bool,  # noqa: FBT001 - a table
    is_skipped: bool,  # noqa: FBT001 - a table
    on_error: OnError,
) -> None:
    goes_on = {"error": False, "skip_missing": is_missing, "skip": is_skipped}[on_error]
    fan_out, scan = fan_out_of(trips_of(3), on_error, [])

    if goes_on:
        fan_out.failed(1, error, 0)
    else:
        with pytest.raises(type(error)) as raised:
            fan_out.failed(1, error, 0)
        assert raised.value is error

    assert scan.skipped == ["boom"] * goes_on


# --- what stays known


def test_a_failed_trip_is_kept_with_its_keys_and_how_far_it_came() -> None:
    kept: list[FailedTrip] = []
    fan_out, scan = fan_out_of(trips_of(3), "skip_missing", kept)

    fan_out.failed(2, MISSING, 4)

    assert kept == [
        FailedTrip(NOW, "api", "/items/2", (("id", 2),), 404, "RequestError", "boom", pages=4, is_skipped=True)
    ]
    assert (scan.failed_trips, scan.skipped) == (1, ["boom"])


def test_an_error_that_ends_the_scan_is_kept_too() -> None:
    kept: list[FailedTrip] = []
    fan_out, scan = fan_out_of(trips_of(3), "error", kept)

    with pytest.raises(DecodeError):
        fan_out.failed(0, DecodeError("no JSON"), 1)

    assert kept == [
        FailedTrip(NOW, "api", "/items/0", (("id", 0),), None, "DecodeError", "no JSON", pages=1, is_skipped=False)
    ]
    assert (scan.failed_trips, scan.skipped) == (1, [])


def test_the_last_of_trips_that_all_failed_is_not_called_skipped() -> None:
    kept: list[FailedTrip] = []
    fan_out, _ = fan_out_of(trips_of(2), "skip", kept)

    fan_out.failed(0, MISSING, 0)
    with pytest.raises(RequestError):
        fan_out.failed(1, GONE, 0)

    assert [failed.is_skipped for failed in kept] == [True, False]


# --- whole scans


def keyed(session: Session, *paths: str, on_error: OnError, **scan: object) -> list[int]:
    """The rows of a scan with a trip for each path."""
    return ids(read(session, *[plan_of(path, pagination=LINKED) for path in paths], on_error=on_error, **scan))


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            "/a": Table(numbered(3), "link", page_size=2),
            "/b": Table([{"id": 10}, {"id": 11}], "link"),
            "/gone": httpx.Response(404),
            "/broken": httpx.Response(200, content=b"<html>"),
            "/refused": httpx.Response(401),
            "/limited": httpx.Response(429, headers={"retry-after": "999"}),
            "/partial": [
                httpx.Response(200, json=[{"id": 20}], headers={"link": '</partial?page=2>; rel="next"'}),
                httpx.Response(400),
            ],
        }
    )


@pytest.mark.parametrize("concurrency", [1, 4])
def test_trips_around_a_missing_one_are_whole(session: Session, concurrency: int) -> None:
    with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
        found = keyed(session, "/a", "/gone", "/b", on_error="skip_missing", concurrency=concurrency)

    assert found == [1, 2, 3, 10, 11]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_trip_that_fails_in_its_middle_keeps_what_was_read(session: Session, concurrency: int) -> None:
    with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
        found = keyed(session, "/a", "/partial", "/b", on_error="skip", concurrency=concurrency)

    assert found == [1, 2, 3, 20, 10, 11]
    assert [(failed.path, failed.status, failed.pages) for failed in session.failures] == [("/partial", 400, 1)]


def test_a_body_that_is_no_json_is_skipped_only_by_skip(session: Session) -> None:
    with pytest.warns(ApikitWarning, match="1 of 2 trips failed"):
        assert keyed(session, "/broken", "/b", on_error="skip") == [10, 11]

    with pytest.raises(DecodeError, match="GET /broken answered 200"):
        keyed(session, "/broken", "/b", on_error="skip_missing")


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(("path", "kind"), [("/refused", AuthError), ("/limited", RateLimitError)])
def test_what_would_befall_every_trip_ends_the_scan(
    session: Session, path: str, kind: type[ApikitError], concurrency: int
) -> None:
    with pytest.raises(kind):
        keyed(session, "/a", path, "/b", on_error="skip", concurrency=concurrency)


def test_a_scan_whose_trips_all_failed_is_an_error_under_skip(session: Session) -> None:
    with pytest.raises(DecodeError, match="GET /broken answered 200"):  # and no warning that would hide it
        keyed(session, "/gone", "/broken", on_error="skip")

    assert [failed.path for failed in session.failures] == ["/gone", "/broken"]


def test_a_scan_whose_trips_are_all_missing_is_empty_under_skip_missing(session: Session) -> None:
    with pytest.warns(ApikitWarning, match="2 of 2 trips failed"):
        assert keyed(session, "/gone", "/gone", on_error="skip_missing") == []


@pytest.mark.parametrize("on_error", ["skip", "skip_missing"])
def test_a_scan_that_may_send_no_more_is_never_skipped(api: FakeApi, session: Session, on_error: OnError) -> None:
    with pytest.raises(PaginationError, match="max_requests = 3 are sent"):
        keyed(session, "/a", "/b", "/a", on_error=on_error, max_requests=3)

    assert len(api.seen) == 3
    assert [(failed.path, failed.is_skipped) for failed in session.failures] == [("/a", False)]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("paths", [("/a", "/b", "/gone"), ("/a", "/gone", "/b"), ("/gone", "/a", "/b")])
def test_a_missing_key_is_skipped_though_the_scan_needs_all_that_it_may_send(
    session: Session, paths: tuple[str, ...], concurrency: int
) -> None:
    with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
        found = keyed(session, *paths, on_error="skip_missing", max_requests=4, concurrency=concurrency)

    assert found == [1, 2, 3, 10, 11]
