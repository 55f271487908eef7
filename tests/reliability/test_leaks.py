"""The short form of `python -m tests.reliability.leaks`; and that a leak is seen."""

import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("it looks into /proc", allow_module_level=True)

from tests.reliability import leaks
from tests.reliability.leaks import Left, measured

pytestmark = [pytest.mark.no_cover, pytest.mark.filterwarnings("ignore::apikit_sql.errors.ApikitWarning")]


def test_scans_leave_neither_memory_nor_descriptors_nor_threads() -> None:
    left = measured(200, warming=120, kept=20)

    assert left.holds, left
    assert left.scans >= 200
    assert len(left.memory) == 11


def test_a_leak_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def leaking(doors: leaks.Doors) -> None:
        leaks.limited(doors)
        kept.append((bytearray(2**20), open("/dev/null")))  # noqa: SIM115, PTH123 - which nobody closes

    monkeypatch.setattr(leaks, "ROUND", [(leaking, 2)])

    left = measured(30, warming=4, kept=0)

    assert left.grown > leaks.MOST
    assert left.after[0] > left.before[0]
    assert not left.holds
    for _, file in kept:
        file.close()


def test_what_is_left_is_judged() -> None:
    assert Left(1, [100.0, 104.9], (9, 5), (9, 4)).holds
    assert not Left(1, [100.0, 100.0, 105.1], (9, 5), (9, 5)).holds
    assert not Left(1, [100.0, 100.0], (9, 5), (9, 6)).holds
