"""A body is unpacked whole or not at all, whatever its coding and however it arrives, within its bounds."""

import gzip
import sys
import time
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.engine import body
from apikit_sql.engine.body import BodyReader
from apikit_sql.errors import DecodeError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]'
LONG = b"".join(b'{"id": %d}\n' % number for number in range(5000))


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
CODINGS = pytest.mark.parametrize("coding", list(PACK))
WAYS = [*PACK.items(), ("deflate", raw_deflate)]
EVERY_WAY = pytest.mark.parametrize(("coding", "pack"), WAYS, ids=[*PACK, "raw deflate"])


def reader_of(coding: str, timeout: float = 30, clock: Callable[[], float] = time.monotonic) -> BodyReader:
    reader = BodyReader(httpx.Request("GET", "https://api.test/items"), timeout, clock)
    reader.begin(httpx.Headers({"content-encoding": coding} if coding else {}))
    return reader


def read(coding: str, *chunks: bytes) -> bytes:
    reader = reader_of(coding)
    for chunk in chunks:
        reader.take(chunk)
    return reader.whole()


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# --- codings


@EVERY_WAY
@pytest.mark.parametrize("text", [TEXT, LONG, b""], ids=["short", "long", "empty"])
@pytest.mark.parametrize("size", [1, 2, 7, 2**16])
def test_a_body_is_unpacked_however_it_arrives(
    coding: str, pack: Callable[[bytes], bytes], text: bytes, size: int
) -> None:
    assert read(coding, *in_pieces(pack(text), size)) == text


@EVERY_WAY
def test_a_body_whose_first_chunk_is_one_byte_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)

    assert read(coding, packed[:1], packed[1:]) == TEXT


@given(way=st.sampled_from(WAYS), text=st.binary(max_size=400), data=st.data())
def test_chunk_boundaries_do_not_matter(
    way: tuple[str, Callable[[bytes], bytes]], text: bytes, data: st.DataObject
) -> None:
    coding, pack = way
    packed = pack(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packed)), max_size=6)))

    assert read(coding, *(packed[start:end] for start, end in pairwise([0, *cuts, len(packed)]))) == text


@pytest.mark.parametrize("coding", ["", "identity", " Identity ", "identity, identity"])
def test_a_body_that_is_not_encoded_is_as_it_came(coding: str) -> None:
    assert read(coding, TEXT[:5], b"", TEXT[5:]) == TEXT


@pytest.mark.parametrize("coding", ["GZIP", " gzip ", "gzip, identity", ",gzip,"])
def test_a_coding_is_known_however_it_is_written(coding: str) -> None:
    assert read(coding, gzip.compress(TEXT)) == TEXT


@pytest.mark.parametrize("size", [1, 5, 2**16])
@pytest.mark.parametrize(
    ("chain", "packed"),
    [
        ("gzip, br", brotli.compress(gzip.compress(LONG))),
        ("br, gzip", gzip.compress(brotli.compress(LONG))),
        ("zstd, deflate, gzip", gzip.compress(raw_deflate(zstd.compress(LONG)))),
        (
            "gzip, gzip, gzip, gzip, br",
            brotli.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(LONG))))),
        ),
    ],
)
def test_codings_upon_each_other_are_taken_off_in_turn(chain: str, packed: bytes, size: int) -> None:
    assert read(chain, *in_pieces(packed, size)) == LONG


def test_codings_in_several_header_lines_are_one_list() -> None:
    reader = BodyReader(httpx.Request("GET", "https://api.test/items"), 30)
    reader.begin(httpx.Headers([("Content-Encoding", "gzip"), ("content-encoding", "br")]))

    reader.take(brotli.compress(gzip.compress(TEXT)))

    assert reader.whole() == TEXT


def test_more_codings_than_anyone_means_are_refused() -> None:
    with pytest.raises(DecodeError, match="the body is encoded 6 times"):
        reader_of(", ".join(["gzip"] * 6))


@pytest.mark.parametrize("coding", ["compress", "bzip2", "gzip, lzma", "gzip;q=1", "br gzip"])
def test_a_coding_that_was_not_asked_for_is_refused_before_the_body_is_read(coding: str) -> None:
    with pytest.raises(DecodeError, match=r"the body is encoded as '.+', which was not asked for$"):
        reader_of(coding)


@pytest.mark.parametrize(("coding", "flag"), [("br", "_HAS_BROTLI"), ("zstd", "_HAS_ZSTD")])
def test_a_coding_without_its_library_is_an_error_that_names_the_extra(
    coding: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, flag, False)

    with pytest.raises(DecodeError, match=rf"encoded as {coding}, .*pip install 'apikit_sql\[compression\]'"):
        reader_of(coding)


# --- members, frames and padding


@pytest.mark.parametrize("size", [1, 3, 2**16])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "zstd"])
def test_several_members_in_a_row_are_one_body(coding: str, size: int) -> None:
    packed = b"".join(PACK[coding](text) for text in (TEXT, b"", LONG, TEXT))

    assert read(coding, *in_pieces(packed, size)) == TEXT + LONG + TEXT


@pytest.mark.parametrize("size", [1, 3, 2**16])
@pytest.mark.parametrize("padding", [b"\0", b"\0" * 600, b"\n", b"garbage"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_padding_behind_a_body_is_no_part_of_it(coding: str, padding: bytes, size: int) -> None:
    assert read(coding, *in_pieces(PACK[coding](TEXT) + padding, size)) == TEXT


def test_bytes_behind_a_brotli_body_mean_the_same_however_they_arrive() -> None:
    packed, outcomes = brotli.compress(TEXT), []
    for chunks in ([packed + b"\0\0"], [packed, b"\0\0"], in_pieces(packed + b"\0\0", 1)):
        try:
            outcomes.append(read("br", *chunks))
        except DecodeError:
            outcomes.append(b"refused")

    assert len(set(outcomes)) == 1


@pytest.mark.parametrize("size", [1, 2**16])
def test_a_gzip_header_may_have_every_field_there_is(size: int) -> None:
    plain = gzip.compress(TEXT)
    header = b"\x1f\x8b\x08\x1e" + plain[4:10] + b"\x05\x00EXTRA" + b"name\0" + b"comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")

    assert read("gzip", *in_pieces(header + plain[10:], size)) == TEXT


SKIPPED = (0x184D2A50).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"meta"


@pytest.mark.parametrize("size", [1, 2**16])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_zstd_frame_that_is_to_be_skipped_hides_no_records(at: int, size: int) -> None:
    """RFC 8878, section 3.1.2: such frames stand anywhere, and pzstd writes one first."""
    frames = [zstd.compress(TEXT), zstd.compress(LONG)]
    frames.insert(at, SKIPPED)

    assert read("zstd", *in_pieces(b"".join(frames), size)) == TEXT + LONG


@pytest.mark.parametrize(("window", "is_read"), [(23, True), (24, False), (27, False)])
def test_a_zstd_window_above_8_mb_is_refused(window: int, is_read: bool) -> None:  # noqa: FBT001 - a case of a table
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: window,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    packer = zstd.ZstdCompressor(options=options)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(17)) + packer.flush()

    if is_read:
        assert len(read("zstd", packed)) == 17 * 2**20
    else:
        with pytest.raises(DecodeError, match=r"cannot be decompressed \(zstd\)"):
            read("zstd", packed)


# --- bodies that are broken


@EVERY_WAY
def test_a_body_that_is_cut_anywhere_is_never_a_page(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)

    for cut in range(1, len(packed)):
        with pytest.raises((httpx.ReadError, DecodeError)):
            read(coding, packed[:cut])


@pytest.mark.parametrize("chain", ["gzip, br", "br, gzip", "zstd, gzip"])
def test_a_body_of_several_codings_that_is_cut_anywhere_is_never_a_page(chain: str) -> None:
    inner, outer = chain.split(", ")
    packed = PACK[outer](PACK[inner](TEXT))

    for cut in range(1, len(packed)):
        with pytest.raises((httpx.ReadError, DecodeError)):
            read(chain, packed[:cut])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_that_is_cut_within_its_second_member_is_never_a_page(coding: str) -> None:
    first, second = PACK[coding](TEXT), PACK[coding](LONG[:40])
    passed = []

    for cut in range(1, len(second)):
        try:
            passed.append((cut, read(coding, first, second[:cut])))
        except (httpx.ReadError, DecodeError):
            continue

    assert passed == []


@CODINGS
def test_what_is_no_such_data_is_a_decode_error_that_names_the_coding(coding: str) -> None:
    with pytest.raises(DecodeError, match=rf"the body cannot be decompressed \({coding}\)"):
        read(coding, b'{"error": "this was never compressed"}' * 20)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_wrong_checksum_is_a_decode_error(coding: str) -> None:
    packed = bytearray(PACK[coding](TEXT))
    packed[-5 if coding == "gzip" else -1] ^= 1

    for chunks in ([bytes(packed)], in_pieces(bytes(packed), 1)):
        with pytest.raises(DecodeError, match="cannot be decompressed"):
            read(coding, *chunks)


@given(coding=st.sampled_from(list(PACK)), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_body_with_a_flipped_bit_raises_nothing_but_our_own_errors(coding: str, at: int, bit: int) -> None:
    packed = bytearray(PACK[coding](LONG[:3000]))
    packed[at % len(packed)] ^= 1 << bit

    try:
        read(coding, bytes(packed))
    except (DecodeError, httpx.ReadError) as error:
        assert coding in str(error)  # noqa: PT017 - most flips are an error, some are not noticed
