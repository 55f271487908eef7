"""A response's body within its bounds: decompressed piece by piece, so that a bomb is noticed before it is unpacked."""

from __future__ import annotations

import importlib.util
import io
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import httpx

from apikit_sql.errors import DecodeError

#: The largest body that is read, in bytes after decompression.
LARGEST_BODY = 256 * 2**20
_PIECE = 2**20  # bytes that are decompressed at once
_MOST_CODINGS = 5  # one upon the other; nobody means more
_ZLIB_HEADER = 2  # bytes, which tell whether it is one
_SLOWEST = 100  # bytes a second that a body must come at, once it has taken `_PATIENCE`
_PATIENCE = 30.0  # seconds
_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's names for what surrounds deflated data
#: How a further member of a coding begins (RFC 1952, 2.2; RFC 8878, 3.1: a frame, or one to be skipped).
_GZIP_MEMBER = (b"\x1f\x8b",)
_ZSTD_MEMBER = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16)))
_MEMBERS = {"gzip": _GZIP_MEMBER, "x-gzip": _GZIP_MEMBER, "zstd": _ZSTD_MEMBER}
_ZSTD_WINDOW = 23  # log2 of the bytes a zstd body may refer back to (RFC 9659, section 3)
_HAS_BROTLI = importlib.util.find_spec("brotli") is not None
_HAS_ZSTD = sys.version_info >= (3, 14) or importlib.util.find_spec("backports.zstd") is not None

#: What we can read, as a request says it.
ACCEPTED = ", ".join(["gzip", "deflate", *["br"] * _HAS_BROTLI, *["zstd"] * _HAS_ZSTD])


class Coding(Protocol):
    """One content coding under way."""

    @property
    def is_finished(self) -> bool:
        """Whether it has come to its end."""

    @property
    def rest(self) -> bytes:
        """Input that it has not used."""

    def decompress(self, data: bytes, most: int) -> bytes:
        """At most `most` bytes of what `data` and the rest unpack to."""


class BodyReader:
    """Takes a body as it arrives, and gives the whole of it: within its size, its request's time, a minimal speed."""

    def __init__(self, request: httpx.Request, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """A body of which nothing has come; `timeout` is in seconds, from now on."""
        self._request = request
        self._timeout = timeout
        self._clock = clock
        self._asked_at = clock()
        self._began_at: float | None = None  # when the first of it came
        self._came = 0  # bytes, as sent
        self._codings: tuple[_Decompressed, ...] = ()
        self._first = b""  # the first piece while there is no other: it is not copied
        self._whole = io.BytesIO()  # gives its bytes without a copy

    def begin(self, headers: httpx.Headers) -> None:
        """The headers have come. Raises DecodeError for a coding that cannot be read."""
        said = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
        codings = [name for name in said if name not in {"", "identity"}]
        if len(codings) > _MOST_CODINGS:
            message = f"the body is encoded {len(codings)} times"
            raise DecodeError(message)
        self._codings = tuple(_Decompressed(name) for name in reversed(codings))

    def take(self, chunk: bytes) -> None:
        """Keep `chunk`. Raises DecodeError past the size, ReadTimeout past the time or below the speed."""
        self._came += len(chunk)
        for piece in self._through(self._codings, chunk):
            self._keep(piece)
        now = self._check_time()
        self._began_at = now if self._began_at is None else self._began_at
        if now - self._began_at > _PATIENCE and self._came < (now - self._began_at) * _SLOWEST:
            self._fail(f"the answer comes slower than {_SLOWEST} bytes a second")

    def whole(self) -> bytes:
        """The body, which is at its end. Raises ReadError where compressed data stops in the middle."""
        for coding in self._codings:
            if coding.is_cut:
                message = f"the body ends in the middle of its {coding.name} data"
                raise httpx.ReadError(message, request=self._request)
        return self._first or self._whole.getvalue()

    def _keep(self, piece: bytes) -> None:
        """Put `piece` behind all others. Raises DecodeError past the size."""
        _check_size(len(self._first) + self._whole.tell() + len(piece))
        if self._whole.tell() == 0 and not self._first:
            self._first = piece
            return
        self._whole.write(self._first)
        self._whole.write(piece)
        self._first = b""

    def _through(self, codings: tuple[_Decompressed, ...], data: bytes) -> Iterator[bytes]:
        """What `data` is once every coding is taken off, piece by piece."""
        if not codings:
            yield data
            return
        for piece in codings[0].pieces(data):
            self._check_time()  # a few bytes may unpack to very many in between
            yield from self._through(codings[1:], piece)

    def _check_time(self) -> float:
        """The time by the clock. Raises ReadTimeout past the deadline."""
        now = self._clock()
        if now - self._asked_at > self._timeout:
            self._fail(f"the answer took longer than {self._timeout:g} s")
        return now

    def _fail(self, message: str) -> None:
        raise httpx.ReadTimeout(message, request=self._request)


def _check_size(size: int) -> None:
    if size > LARGEST_BODY:
        message = f"the body is larger than {LARGEST_BODY // 2**20} MB; ask for smaller pages"
        raise DecodeError(message)


class _Decompressed:
    """One coding of a body, of which there may be several members in a row."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._new = _coding_of(name)
        self._coding = self._new()
        self._members = _MEMBERS.get(name, ())
        self._has_begun = False
        self._size = 0  # bytes that it has unpacked to
        self._after = b""  # what has come behind a member, until it is clear whether another begins

    @property
    def is_cut(self) -> bool:
        """Whether more would have to come."""
        begins = any(member.startswith(self._after) for member in self._members)
        return (self._has_begun and not self._coding.is_finished) or (self._after != b"" and begins)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` unpacks to. Raises DecodeError where it is not what the header says."""
        self._has_begun |= bool(data)
        while True:
            if self._coding.is_finished:
                self._after += data
                if not self._after.startswith(self._members):
                    self._check_padding()
                    return
                self._coding, data, self._after = self._new(), self._after, b""
            try:
                piece = self._coding.decompress(data, _PIECE)
            except Exception as error:  # noqa: BLE001 - each library has its own
                message = f"the body cannot be decompressed ({self.name}): {error}"
                raise DecodeError(message) from None
            data = self._coding.rest
            if piece:
                self._size += len(piece)
                _check_size(self._size)
                yield piece
            elif not data:
                return

    def _check_padding(self) -> None:
        """Keep of what is behind the last member what may begin another. Raises DecodeError where none may be."""
        if self._after and self.name == "br":
            message = "the body goes on behind its br data"
            raise DecodeError(message)
        self._after = self._after[: max(map(len, self._members), default=0)]


class _Deflated:
    """gzip, and deflate both as it is meant and as some servers send it: without what surrounds it."""

    def __init__(self, bits: int) -> None:
        self._inner = zlib.decompressobj(bits)
        self._head: bytes | None = b"" if bits == _ZLIB else None  # until it is clear that it is not raw
        self.is_finished = False
        self.rest = b""

    def decompress(self, data: bytes, most: int) -> bytes:
        try:
            piece = self._inner.decompress(data, most)
        except zlib.error:
            if self._head is None:
                raise
            self._inner = zlib.decompressobj(_RAW)
            piece = self._inner.decompress(self._head + data, most)
        if self._head is not None:
            head = self._head + data
            self._head = None if piece or len(head) >= _ZLIB_HEADER else head
        self.is_finished = self._inner.eof
        self.rest = self._inner.unused_data if self.is_finished else self._inner.unconsumed_tail
        return piece


class _Brotli:
    """RFC 7932."""

    rest = b""  # it keeps its input itself

    def __init__(self) -> None:
        import brotli  # noqa: PLC0415 - an extra

        self._inner = brotli.Decompressor()

    @property
    def is_finished(self) -> bool:
        return bool(self._inner.is_finished())

    def decompress(self, data: bytes, most: int) -> bytes:
        return bytes(self._inner.process(data, output_buffer_limit=most))


class _Zstd:
    """RFC 8878, with the window that RFC 9659 allows."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):  # pragma: no cover - newer Pythons only
            from compression import zstd  # noqa: PLC0415 - newer Pythons only
        else:
            from backports import zstd  # noqa: PLC0415 - an extra
        self._inner = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW})
        self.is_finished = False
        self.rest = b""

    def decompress(self, data: bytes, most: int) -> bytes:
        piece = bytes(self._inner.decompress(data, most))
        self.is_finished = self._inner.eof
        self.rest = self._inner.unused_data if self.is_finished else b""
        return piece


def _coding_of(name: str) -> Callable[[], Coding]:
    match name:
        case "gzip" | "x-gzip":
            return lambda: _Deflated(_GZIP)
        case "deflate":
            return lambda: _Deflated(_ZLIB)
        case "br" if _HAS_BROTLI:
            return _Brotli
        case "zstd" if _HAS_ZSTD:
            return _Zstd
        case "br" | "zstd":
            message = f"the body is encoded as {name}, which was not asked for: pip install 'apikit_sql[compression]'"
        case _:
            message = f"the body is encoded as {name!r}, which was not asked for"
    raise DecodeError(message)
