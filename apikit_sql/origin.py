"""What a credential is bound to: the scheme, host and port of a URL (RFC 6454)."""

import functools
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Two URLs are of one origin if these are equal: the host in ASCII and lower case, a default port told."""

    scheme: str
    host: str
    port: int | None


@functools.lru_cache(maxsize=1024)  # a page asks four times
def origin_of(url: str) -> Origin:
    """The origin of `url`. Raises ValueError where it has no valid one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode()
    return Origin(parts.scheme, host, _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port)


def origin_text(url: str) -> str:
    """The origin of `url` as it is written: `https://host`, with the port where that is not the scheme's own."""
    scheme, host, port = origin_of(url)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port == _DEFAULT_PORTS.get(scheme) else f":{port}")
