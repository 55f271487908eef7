"""A body's bounds: its size however it is packed, its time, its speed, and the memory that a bomb takes."""

import gc
import gzip
import subprocess
import sys
import textwrap
import tracemalloc
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event

import brotli
import httpx
import pytest

from apikit_sql.engine import body
from apikit_sql.engine.body import BodyReader
from apikit_sql.engine.drivers import drive
from apikit_sql.errors import DecodeError
from tests.engine.loopback import Loopback, answering, reply, request_of, sending
from tests.engine.taking import Clock
from tests.engine.test_body import PACK, TEXT, in_pieces, read, reader_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize("size", [1000, 2**20])
@pytest.mark.parametrize("coding", ["identity", *PACK])
def test_a_body_at_the_size_bound_is_read_and_one_byte_above_is_not(
    coding: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LARGEST_BODY", 3 * 2**20)
    pack = PACK.get(coding, bytes)

    assert len(read(coding, *in_pieces(pack(bytes(3 * 2**20)), size))) == 3 * 2**20
    with pytest.raises(DecodeError, match="the body is larger than 3 MB; ask for smaller pages"):
        read(coding, *in_pieces(pack(bytes(3 * 2**20 + 1)), size))


def test_a_body_may_take_as_long_as_its_request_and_no_longer() -> None:
    clock = Clock()
    reader = reader_of("", timeout=5, clock=clock)

    clock.now += 5
    reader.take(b"[")
    clock.now += 0.001

    with pytest.raises(httpx.ReadTimeout, match="the answer took longer than 5 s"):
        reader.take(b"]")


def come(reader: BodyReader, clock: Clock, speed: int) -> None:
    """Take so many bytes each second, for 40 seconds."""
    for _ in range(40):
        clock.now += 1
        reader.take(b" " * speed)


def test_a_body_that_comes_too_slowly_is_given_up_after_half_a_minute() -> None:
    clock = Clock()
    reader = reader_of("", timeout=600, clock=clock)

    with pytest.raises(httpx.ReadTimeout, match="the answer comes slower than 100 bytes a second"):
        come(reader, clock, 90)

    assert 30 <= clock.now - Clock().now <= 35


def test_a_body_that_comes_slowly_but_steadily_is_read() -> None:
    clock = Clock()
    reader = reader_of("", timeout=600, clock=clock)

    come(reader, clock, 110)

    assert len(reader.whole()) == 40 * 110


def test_a_server_that_thinks_for_long_and_then_answers_briefly_is_not_slow() -> None:
    clock = Clock()
    reader = BodyReader(httpx.Request("GET", "https://api.test/report"), 120, clock)

    clock.now += 40
    reader.begin(httpx.Headers())
    reader.take(TEXT)

    assert reader.whole() == TEXT


# --- bombs


class Large(httpx.SyncByteStream):
    """A body of 2 MB."""

    def __iter__(self) -> Iterator[bytes]:
        yield bytes(2**21)


def test_a_body_that_is_refused_is_let_go_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LARGEST_BODY", 2**20)
    made: list[weakref.ref[Large]] = []

    def answer(_: httpx.Request) -> httpx.Response:
        stream = Large()
        made.append(weakref.ref(stream))
        return httpx.Response(200, stream=stream)

    gc.collect()
    gc.disable()
    try:
        with suppress(DecodeError):
            drive(sending(request_of("https://api.test/items")), httpx.MockTransport(answer), Event())
        kept = made[0]()
    finally:
        gc.enable()

    assert kept is None


def _zeros(pack: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> bytes:
    block = bytes(2**20)
    return b"".join(pack(block) for _ in range(300)) + finish()


def _bombs() -> dict[str, bytes]:
    """300 MB of zeros in each coding."""
    deflating = zlib.compressobj(1, wbits=31)
    brotlied = brotli.Compressor(quality=1)
    packing = zstd.ZstdCompressor(level=1)
    return {
        "gzip": _zeros(deflating.compress, deflating.flush),
        "br": _zeros(brotlied.process, brotlied.finish),
        "zstd": _zeros(packing.compress, packing.flush),
    }


PROGRAM = """
    import gc
    import sys
    from threading import Event

    from apikit_sql.engine.drivers import drive
    from apikit_sql.engine.network import Network
    from apikit_sql.errors import DecodeError
    from tests.engine.loopback import request_of, sending

    def peak():  # bytes; getrusage would begin with those of the process that started this one
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    before = peak()
    with Network() as network:
        for coding in ("gzip", "br", "zstd"):
            try:
                drive(sending(request_of(f"{sys.argv[1]}/{coding}"), timeout=30), network, Event())
            except DecodeError as error:
                print(coding, (peak() - before) // 2**20, error, sep="|")
            gc.collect()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")
def test_a_bomb_is_an_error_and_takes_no_more_memory_than_the_largest_body() -> None:
    bombs = _bombs()

    def answer(request: bytes) -> bytes:
        coding = request.split()[1].decode().strip("/")
        return reply(bombs[coding], f"content-encoding: {coding}")

    with Loopback(answering(answer)) as server:
        program = [sys.executable, "-c", textwrap.dedent(PROGRAM), server.url]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)

    told = [line.split("|") for line in done.stdout.splitlines()]
    assert [coding for coding, *_ in told] == ["gzip", "br", "zstd"]
    assert all("larger than 256 MB" in error for *_, error in told)
    assert max(int(grown) for _, grown, _ in told) <= 256 + 64


def test_every_layer_of_a_body_is_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LARGEST_BODY", 2**20)
    padded = gzip.compress(b"[]") + bytes(3 * 2**20)  # of which nothing but the brackets is left in the end
    reader = body.BodyReader(httpx.Request("GET", "https://api.test/"), 30)
    reader.begin(httpx.Headers({"content-encoding": "gzip, gzip"}))

    with pytest.raises(DecodeError, match="larger than 1 MB"):
        reader.take(gzip.compress(padded))


def test_data_that_unpacks_to_nothing_is_not_kept() -> None:
    nothing = b"\x00\x00\x00\xff\xff" * 100_000  # empty blocks (RFC 1951, section 3.2.4)
    reader = body.BodyReader(httpx.Request("GET", "https://api.test/"), 30)
    reader.begin(httpx.Headers({"content-encoding": "deflate"}))
    reader.take(b"\x78\x01")

    tracemalloc.start()
    for _ in range(8):
        reader.take(nothing)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < len(nothing) * 4
