"""The connections that a session's requests share: of all its threads, and of each event loop."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator

import httpx

from apikit_sql.engine.network import AsyncNetwork, Network

#: Connections by whether certificates are verified, and what closes them with their loop.
_OfLoop = dict[bool, tuple[AsyncNetwork, AsyncGenerator[None]]]


class Transports:
    """Connections, opened when they are needed. Safe to share between threads."""

    def __init__(self, own: httpx.BaseTransport | None = None) -> None:
        """No connection yet; `own` is used in place of the network, and for event loops too where it can be."""
        self._own = own
        self._lock = threading.Lock()
        self._of_threads: dict[bool, Network] = {}
        self._of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = weakref.WeakKeyDictionary()

    def of_threads(self, *, verify: bool) -> httpx.BaseTransport:
        """The connections of all threads."""
        if self._own is not None:
            return self._own
        with self._lock:
            if verify not in self._of_threads:
                self._of_threads[verify] = Network(verify=verify)
            return self._of_threads[verify]

    async def of_loop(self, *, verify: bool) -> httpx.AsyncBaseTransport:
        """The connections of the running event loop, closed with it."""
        if isinstance(self._own, httpx.AsyncBaseTransport):
            return self._own
        networks = self._of_loops.setdefault(asyncio.get_running_loop(), {})
        if verify not in networks:
            network = AsyncNetwork(verify=verify)
            closing = _until_the_loop_ends(network)
            networks[verify] = network, closing
            await anext(closing)
        return networks[verify][0]

    def close(self) -> None:
        """Close the connections of threads; others are opened when they are needed again."""
        with self._lock:
            networks, self._of_threads = list(self._of_threads.values()), {}
        for network in networks:
            network.close()


async def _until_the_loop_ends(network: AsyncNetwork) -> AsyncGenerator[None]:
    """One step; the second closes `network`: a loop that ends closes the generators that were begun in it."""
    try:
        yield
    finally:
        await network.aclose()
