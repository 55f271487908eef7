"""The short form of `crashes`: ten exits, each kind of fork, some orders of closing, two seconds of churning."""

import os

import pytest

from tests.reliability.crashes import LONGEST, broken, exits, forks, run, together

pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has neither fork nor its signals"),
]


def test_processes_that_leave_during_a_scan_end_as_they_should() -> None:
    assert broken(exits(10, seed=7)) == []


def test_processes_that_fork_and_their_children_read_on() -> None:
    assert broken(forks(LONGEST, times=1)) == []


def test_things_close_in_any_order_and_threads_churn() -> None:
    ended = together([lambda: run("closing", 4, 7), lambda: run("churning", 2, 7)])

    assert broken(ended) == []
