"""Connections are closed only where there are too many, and then that whose request is waited for longest."""

import pytest

from apikit_sql.webhook.crowd import Crowd


class FakeConnection:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def crowd(told: list[str]) -> Crowd:
    return Crowd(3, told.append)


def entered(crowd: Crowd) -> FakeConnection:
    connection = FakeConnection()
    assert crowd.enter(connection)
    crowd.wait_for(connection)
    return connection


def test_as_many_as_there_is_room_for_stay(crowd: Crowd, told: list[str]) -> None:
    connections = [entered(crowd) for _ in range(3)]
    crowd.leave(connections[0])
    connections.append(entered(crowd))

    assert not any(each.is_closed for each in connections)
    assert told == []


def test_for_one_more_that_idle_longest_is_closed_and_told(crowd: Crowd, told: list[str]) -> None:
    first, second, third = (entered(crowd) for _ in range(3))
    crowd.wait_for(first)  # which has sent another request
    entered(crowd)
    entered(crowd)

    assert [each.is_closed for each in (first, second, third)] == [False, True, True]
    assert told == ["more than 3 connections: the one that was idle longest is closed"] * 2


def test_none_is_closed_whose_delivery_is_under_way(crowd: Crowd, told: list[str]) -> None:
    busy = [entered(crowd) for _ in range(3)]
    for each in busy:
        crowd.wait_no_more(each)
    one_more = FakeConnection()
    assert not crowd.enter(one_more)
    assert told == []

    crowd.wait_for(one_more)
    entered(crowd)  # that one goes first
    assert one_more.is_closed
    assert not any(each.is_closed for each in busy)


def test_one_that_is_closed_is_closed_once(crowd: Crowd) -> None:
    connections = [entered(crowd) for _ in range(4)]
    connections[0].is_closed = False
    crowd.wait_for(connections[0])
    crowd.leave(connections[0])
    entered(crowd)

    assert [each.is_closed for each in connections] == [False, True, False, False]
