"""Naughty strings arrive as they are, or are refused by an error of ours; nothing else changes."""

import logging

import pytest

from tests.reliability.naughty import PLACES, STRINGS, Yard, as_path, run, trouble, yard

pytestmark = pytest.mark.no_cover


def test_each_string_in_some_places(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="apikit")  # it asks more often than anybody means to

    tried, refused, found = run(2, seed=7)

    assert not found, "\n".join(found)
    assert tried == 2 * len(STRINGS) > 1_000
    assert 0.2 < refused / tried < 0.8


@pytest.mark.parametrize("string", ["'; DROP TABLE mine; --", "x\"; ATTACH 'evil.db'; --", "日本", "a/../b", ".", "$$"])
def test_some_strings_in_each_place(string: str) -> None:
    with yard() as here:
        before = here.state()

        found = [trouble(here, place, string)[0] for place in PLACES if "inferred" not in place.__name__]

        assert not any(found), found
        assert here.state() == before
        assert here.rows("FROM mine") == [(1,)]


def test_what_does_not_arrive_as_it_is_is_found() -> None:
    with yard() as here:
        wrong = [trouble(here, place, "x")[0] for place in (_that_duckdb_refuses, _that_sends_another)]

    assert ["CatalogException" in wrong[0], "AssertionError" in wrong[1]] == [True, True]


def _that_duckdb_refuses(yard: Yard, _: str) -> None:
    yard.rows("FROM nowhere")


def _that_sends_another(yard: Yard, _: str) -> None:
    as_path(yard, "'y'")


def test_the_list_is_whole() -> None:
    assert len(STRINGS) == 511
