"""What a scan's record counts, when a scan may send no more, and what its reader is told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.errors import RequestsSpentError
from apikit_sql.plan.request_plan import ScanPlan
from tests.engine.taking import NOW, plan_of

THREADS = 8


def scan_of(*, trips: int = 1, **plan: object) -> ScanRecord:
    return ScanRecord(ScanPlan(plan_of(), **plan), trips=trips, at=NOW)  # type: ignore[arg-type]  # any field of a plan


def sent(attempt: int) -> RequestRecord:
    return RequestRecord(NOW, "api", "GET", "https://api.test/items", 200, 0.1, 2, attempt)


def test_a_scan_begins_with_nothing_but_its_name() -> None:
    scan = scan_of(trips=3)

    assert (scan.connector, scan.path, scan.trips, scan.at, scan.state) == ("api", "/items", 3, NOW, "running")
    assert (scan.pages, scan.rows, scan.requests, scan.retries, scan.failed_trips, scan.throttled) == (0, 0, 0, 0, 0, 0)
    assert not scan.is_truncated
    assert list(scan.warnings()) == []


# --- requests


def test_every_request_counts() -> None:
    scan = scan_of()

    scan.spend()
    scan.spend()

    assert scan.requests == 2


def test_one_request_too_many_is_an_error_that_says_what_to_do() -> None:
    scan = scan_of(max_requests=2)
    scan.spend()
    scan.spend()

    with pytest.raises(RequestsSpentError) as refused:
        scan.spend()

    assert str(refused.value) == (
        "api /items: max_requests = 2 are sent and the scan is not at its end. "
        "Say a larger max_requests, or stop earlier: pages := ..., or LIMIT in SQL."
    )
    assert scan.requests == 2


def test_threads_together_send_no_more_than_the_scan_may() -> None:
    scan, together = scan_of(max_requests=100), threading.Barrier(THREADS)

    def spend(_: int) -> int:
        together.wait()
        refused = 0
        for _ in range(50):
            try:
                scan.spend()
            except RequestsSpentError:
                refused += 1
        return refused

    with ThreadPoolExecutor(THREADS) as pool:
        refused = sum(pool.map(spend, range(THREADS)))

    assert (scan.requests, refused) == (100, THREADS * 50 - 100)


def test_a_record_without_a_plan_knows_no_bound() -> None:
    scan = ScanRecord()

    scan.spend()

    assert scan.requests == 1


def test_retries_are_counted() -> None:
    scan = scan_of()

    scan.retry()
    scan.retry()

    assert scan.retries == 2


def test_waits_add_up() -> None:
    scan = scan_of()

    scan.wait(0.25)
    scan.wait(1.5)

    assert scan.throttled == 1.75


# --- time


def test_the_time_of_a_scan_runs_until_it_ends() -> None:
    scan = scan_of()
    first = scan.elapsed
    time.sleep(0.002)
    later = scan.elapsed

    scan.end(None)
    ended = scan.elapsed
    time.sleep(0.002)

    assert 0 <= first < later <= ended
    assert scan.elapsed == ended
    assert scan.state == "done"


# --- what its reader is told


def test_trips_that_were_passed_over_are_told_with_the_first_error() -> None:
    scan = scan_of(trips=5)
    scan.skipped += ["api: GET /items/7 answered 404", "api: GET /items/9 answered 410"]

    (told,) = scan.warnings()

    assert told == (
        "api /items: 2 of 5 trips failed and were skipped; apikit_errors() lists them. "
        "The first: api: GET /items/7 answered 404"
    )


def test_values_that_became_null_are_told_by_column() -> None:
    scan = scan_of()
    scan.drifted.update({"b": 2, "a": 40})

    assert list(scan.warnings()) == ["api /items: 42 values do not fit their columns and are NULL (a: 40, b: 2)."]


def test_fields_without_a_column_are_told_the_first_ten() -> None:
    scan = scan_of()
    scan.unseen.update({f"f{number:02}": 3 for number in range(12)})

    (told,) = scan.warnings()

    assert told.startswith("api /items: 12 fields came later than the columns were inferred and have none (f00, f01, ")
    assert "f09). Say extra := true, a larger sample_pages, or columns := {...}." in told
    assert "f10" not in told


def test_fields_beside_declared_columns_are_not_told() -> None:
    scan = scan_of(columns=())
    scan.unseen["extra"] = 3

    assert list(scan.warnings()) == []


def test_all_that_is_to_be_told_is_told_each_by_itself() -> None:
    scan = scan_of()
    scan.skipped.append("boom")
    scan.drifted["a"] = 1
    scan.unseen["b"] = 1

    skipped, drifted, unseen = scan.warnings()

    assert "1 of 1 trips failed" in skipped
    assert "1 values do not fit" in drifted
    assert "1 fields came later" in unseen
