"""Connections: shared by all threads, one set for each event loop, and closed with it."""

import asyncio
import gc
import warnings

import httpx

from apikit_sql.engine.network import AsyncNetwork
from apikit_sql.engine.transports import Transports
from tests.engine.loopback import Loopback, answering, reply


def test_threads_share_their_connections_by_whether_certificates_are_verified() -> None:
    transports = Transports()

    assert transports.of_threads(verify=True) is transports.of_threads(verify=True)
    assert transports.of_threads(verify=True) is not transports.of_threads(verify=False)
    transports.close()


def test_what_was_closed_is_opened_again_when_it_is_needed() -> None:
    transports = Transports()
    before = transports.of_threads(verify=True)

    transports.close()

    assert transports.of_threads(verify=True) is not before
    transports.close()


def test_a_transport_of_ones_own_takes_the_place_of_the_network() -> None:
    own = httpx.MockTransport(lambda _: httpx.Response(200))
    transports = Transports(own)

    assert transports.of_threads(verify=True) is own
    assert asyncio.run(transports.of_loop(verify=True)) is own


def test_tasks_of_a_loop_share_their_connections_and_loops_do_not() -> None:
    transports = Transports()

    async def twice() -> list[httpx.AsyncBaseTransport]:
        return [await transports.of_loop(verify=verify) for verify in (True, True, False)]

    first, second = asyncio.run(twice()), asyncio.run(twice())

    assert first[0] is first[1]
    assert first[0] is not first[2]
    assert first[0] is not second[0]


def test_connections_are_closed_when_their_loop_ends() -> None:
    transports = Transports()

    async def ask(server: Loopback) -> AsyncNetwork:
        network = await transports.of_loop(verify=True)
        assert isinstance(network, AsyncNetwork)
        response = await network.handle_async_request(httpx.Request("GET", f"{server.url}/"))
        await response.aread()
        return network

    with Loopback(answering(lambda _: reply())) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        network = asyncio.run(ask(server))
        assert server.left.wait(5)
        assert network._pools == {}
        del network
        gc.collect()  # a socket that was left open would warn
