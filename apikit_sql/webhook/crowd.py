"""The connections of one listener, of which so many are open at once: for one more, that idle longest goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

#: The key in a request's state where every other connection has a delivery under way, and none may go.
IS_ONE_TOO_MANY = "is_one_too_many"


class Connection(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it, now."""


@dataclass(frozen=True)
class Crowd:
    """`most` connections, those of them first in `_idle` whose request is waited for longest.

    `on_refusal` is told why one was closed.
    """

    most: int
    on_refusal: Callable[[str], None]
    _open: set[Connection] = field(default_factory=set)
    _idle: dict[Connection, None] = field(default_factory=dict)

    def enter(self, connection: Connection) -> bool:
        """Whether there is room for one more, made if need be."""
        self._open.add(connection)
        longest = next(iter(self._idle), None)
        if len(self._open) <= self.most:
            return True
        if longest is None:
            return False
        self.on_refusal(f"more than {self.most} connections: the one that was idle longest is closed")
        self.leave(longest)
        longest.close()
        return True

    def leave(self, connection: Connection) -> None:
        """Know no more of a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def wait_for(self, connection: Connection) -> None:
        """A request is to come, from now on."""
        self._idle.pop(connection, None)
        if connection in self._open:
            self._idle[connection] = None

    def wait_no_more(self, connection: Connection) -> None:
        """The request is there."""
        self._idle.pop(connection, None)
