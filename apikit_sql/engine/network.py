"""The way out: pools of connections for threads and for event loops, as httpx transports."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from apikit_sql.engine.address import (
    EVERYWHERE,
    Place,
    aaddresses_of,
    allowed,
    is_address,
    place_of,
    places_of,
)
from apikit_sql.engine.async_sockets import AsyncBackend
from apikit_sql.engine.sockets import Backend, looked_up
from apikit_sql.errors import ConfigError

_MOST_CONNECTIONS = 64
_MOST_IDLE = 32
_IDLE_FOR = 5.0  # seconds; servers close idle connections themselves, many after as long

#: The extension of a request that names the host of its connector's base URL.
HOME = "apikit_home"


@dataclass(frozen=True)
class _Way:
    """What requests have in common that share connections."""

    scheme: str
    reach: frozenset[Place]
    proxy: str | None


class Network(httpx.BaseTransport):
    """Connections for threads. A request may go anywhere on the public internet and to its own connector's host.

    To any other address only where the connector's host is in such a place itself. Raises httpx.TransportError,
    OriginError, and ScanInterrupted.
    """

    def __init__(self, *, verify: bool = True) -> None:
        """No connection yet. Certificates are verified unless told otherwise."""
        self._verify = verify
        self._proxies = getproxies()  # reading the environment takes 0.1 ms
        self._pools: dict[_Way, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to `request`, its body still to be read."""
        with _as_httpx(request):
            proxy, home = _proxy(request.url, self._proxies), _home_of(request)
            is_bound = proxy is None and home != request.url.host
            way = _way(request, home, looked_up(home, None) if is_bound else None, proxy)
            response = self._pool(way).handle_request(_sent(request))
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=_Body(response, request),
                extensions=response.extensions,
            )

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _pool(self, way: _Way) -> httpcore.ConnectionPool:
        with self._lock:
            if way not in self._pools:
                backend = Backend(way.reach)
                self._pools[way] = (
                    httpcore.ConnectionPool(network_backend=backend, **_settings(way, verify=self._verify))
                    if way.proxy is None
                    else httpcore.HTTPProxy(way.proxy, network_backend=backend, **_settings(way, verify=self._verify))
                )
            return self._pools[way]


class AsyncNetwork(httpx.AsyncBaseTransport):
    """Connections for one event loop; the rest as `Network`."""

    def __init__(self, *, verify: bool = True) -> None:
        """No connection yet. Certificates are verified unless told otherwise."""
        self._verify = verify
        self._proxies = getproxies()  # reading the environment takes 0.1 ms
        self._pools: dict[_Way, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to `request`, its body still to be read."""
        with _as_httpx(request):
            proxy, home = _proxy(request.url, self._proxies), _home_of(request)
            is_bound = proxy is None and home != request.url.host
            way = _way(request, home, await aaddresses_of(home, None) if is_bound else None, proxy)
            response = await self._pool(way).handle_async_request(_sent(request))
            return httpx.Response(
                response.status,
                headers=response.headers,
                stream=_AsyncBody(response, request),
                extensions=response.extensions,
            )

    async def aclose(self) -> None:
        """Close every connection."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    def _pool(self, way: _Way) -> httpcore.AsyncConnectionPool:
        if way not in self._pools:
            backend = AsyncBackend(way.reach)
            settings = _settings(way, verify=self._verify)
            self._pools[way] = (
                httpcore.AsyncConnectionPool(network_backend=backend, **settings)
                if way.proxy is None
                else httpcore.AsyncHTTPProxy(way.proxy, network_backend=backend, **settings)
            )
        return self._pools[way]


def _home_of(request: httpx.Request) -> str:
    """The host of the connector's base URL, which is the request's own where nobody says."""
    return str(request.extensions.get(HOME, request.url.host))


def _way(request: httpx.Request, home: str, addresses: Sequence[str] | None, proxy: str | None) -> _Way:
    """What carries `request`, away from `home` if that has `addresses`.

    Raises OriginError for an address out of reach, which a proxy would not know.
    """
    url = request.url
    if proxy is not None:
        if is_address(url.host) and url.host != home:
            allowed(url.host, [url.host], places_of([home] if is_address(home) else []))
        return _Way(url.scheme, EVERYWHERE, proxy)
    return _Way(url.scheme, EVERYWHERE if addresses is None else places_of(addresses), None)


def _proxy(url: httpx.URL, proxies: Mapping[str, str]) -> str | None:
    """The environment's proxy for `url` without its credentials, None where there is none.

    What an environment variable holds is no credential of ours: a proxy that wants one answers 407. Loopback addresses
    are never asked of a proxy. Raises ConfigError for one that is no http:// URL.
    """
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or url.host == "localhost" or (is_address(url.host) and place_of(url.host) == "loopback"):
        return None
    if proxy_bypass(url.host):
        return None
    try:
        proxy = httpx.URL(text if "://" in text else f"http://{text}")
        is_usable = proxy.scheme == "http" and proxy.host != ""
    except (httpx.InvalidURL, ValueError):
        is_usable = False
    if not is_usable:
        message = f"the environment's proxy for {url.scheme} is no http:// URL that can be used. Mend or unset it."
        raise ConfigError(message)
    return str(proxy.copy_with(userinfo=b"", path="/"))


def _settings(way: _Way, *, verify: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_connections": _MOST_CONNECTIONS,
        "max_keepalive_connections": _MOST_IDLE,
        "keepalive_expiry": _IDLE_FOR,
    }
    if way.scheme == "https":  # reading the certificates takes 20 ms
        settings["ssl_context"] = httpx.create_ssl_context(verify=verify)
    return settings


def _sent(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """While inside, what httpcore raises is the httpx.TransportError of the same name."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise _of_same_name(error, request) from None
    except (httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
        raise _of_same_name(error, request) from None


def _of_same_name(error: Exception, request: httpx.Request) -> httpx.TransportError:
    kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
    return kind(str(error), request=request)


class _Body(httpx.SyncByteStream):
    """A body as it comes, its errors httpx's."""

    def __init__(self, response: httpcore.Response, request: httpx.Request) -> None:
        self._response, self._request = response, request

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx(self._request):
            yield from self._response.iter_stream()

    def close(self) -> None:
        with _as_httpx(self._request):
            self._response.close()


class _AsyncBody(httpx.AsyncByteStream):
    """A body as it comes, its errors httpx's."""

    def __init__(self, response: httpcore.Response, request: httpx.Request) -> None:
        self._response, self._request = response, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        with _as_httpx(self._request):
            await self._response.aclose()
