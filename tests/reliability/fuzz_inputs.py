"""What strangers may send: valid texts, bytes and JSON values with a few edits in them.

A few bytes decide what is made, and none makes what is valid: so hypothesis draws and shrinks them in one piece, and a
fuzzer that follows coverage can change them as it likes. Most of what is made is nearly right, for what is plainly
wrong is refused by the first check that it meets.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from apikit_sql.errors import ApikitError

T = TypeVar("T")
S = TypeVar("S", str, bytes)

#: Stands in a JSON value for what is nested so deeply that no encoder would write it.
_DEEP = {f"\ue000{depth} {kind}": depth for depth in (100, 300, 700, 950, 3_000) for kind in "[{"}
#: How many edits there are: mostly one or two.
_EDITS = (0, 1, 1, 1, 2, 2, 3, 4)
#: What has broken readers of texts before.
HOSTILE = (
    "", " ", "\0", "\n", "\r\n", "\t", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e", "\u0663", "\u00b2", "\u0130",
    "\udfff", "\U0001f600", "e\u0301", "-", "--", "-0", "0", "00", "1e999", "-1e999", "1e-999", "NaN", "Infinity",
    "0x10", "1_000", "+1", ".5", "5.", "9" * 19, "9" * 400, "9" * 5_000, "true", "null", "None", "'", '"', "`", "\\",
    "\\u0000", "\\ud800", "\\x", "%", "%00", "%2e%2e", "%zz", "/", "//", "/..", "..", ".", "?", "#", "&", "=", "==",
    ":", ";", ";;", ",", ",,", "<", ">", "<>", "()", "[", "]", "[]", "{", "}", "{}", "{x}", "{{", "$", "$first", "*",
    "@", "|", "env:HOME", "keyring:x", "http://[", "http://[::1", "https://x:99999", "https://x:port", "//x@y",
    "data:,", "file:///", "xn--", "xn--a", "a" * 64 + ".example", "STRUCT(", "MAP(", "TIMESTAMP", "VARCHAR[", "e9",
    "A" * 3_000,
    "Sun, 31 Dec 9999 23:59:60 GMT", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "[" * 3_000,
    '{"a":' * 500, "(" * 500, "=?utf-8?", "\r\nx: y",
)  # fmt: skip
_HOSTILE_BYTES = (*(text.encode(errors="surrogatepass") for text in HOSTILE), b"\xff", b"\xc0\x80", b"\x80")
#: Values of another kind than the one that is expected, and the extremes of each kind; then what breaks texts.
_VALUES = tuple(
    map(
        json.dumps,
        (
            None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30, 1.5, -0.0, 1e308, 5e-324, [], {},
            [[]], [{}], [None], {"": None}, {"a": {"a": {"a": []}}}, ["a", 1, None, {}], [[[[]]]], {"id": 1}, "next",
            *_DEEP, *HOSTILE,
        ),
    )
)  # fmt: skip


class Dice:
    """Bytes that decide, one decision after the other. Where they end, each decision is the first that it can be."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        """One of so many numbers, from 0."""
        size = 1 if below <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "little") % below

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def some(self, make: Callable[[], T], most: int) -> list[T]:
        """Up to so many of what `make` gives."""
        return [make() for _ in range(self.number(most + 1))]

    def text(self, valid: Sequence[str]) -> str:
        """One of the `valid` texts with a few edits."""
        return self._edited(valid, HOSTILE)

    def data(self, valid: Sequence[bytes]) -> bytes:
        """One of the `valid` bodies with a few edits of bytes."""
        return self._edited(valid, _HOSTILE_BYTES)

    def value(self, valid: "Values") -> Any:
        """One of the `valid` JSON values with a few edits of what is in it."""
        holder = [json.loads(self.pick(valid.written))]
        for _ in range(self.pick(_EDITS)):
            places = list(_places_in(holder))
            inside, step = places[self.number(len(places))]
            given = json.loads(self.pick(valid.written if self.number(4) == 3 else _VALUES))
            _change(inside, step, self.pick(_CHANGES), self.pick(valid.keys), given)
        return holder[0]

    def json(self, valid: "Values") -> str:
        """Such a value as JSON text, now and then with edits of the text, too."""
        text = written_out(self.value(valid))
        return self.text((text,)) if self.number(4) == 3 else text

    def body(self, valid: "Values") -> bytes:
        """Such a value as the body of an answer, now and then with edits of its bytes, too."""
        data = written_out(self.value(valid)).encode(errors="surrogatepass")
        return self.data((data,)) if self.number(4) == 3 else data

    def lines(self, valid: "Lines", most: int = 6) -> list[tuple[bytes, bytes]]:
        """Header lines as they come off the wire: valid ones, edited ones, and one's text under another's name."""

        def line() -> tuple[bytes, bytes]:
            name, text = self.pick(valid)
            if self.number(8) == 7:
                name = self.pick(valid)[0]
            sent = self.text((text,)).encode(errors="surrogatepass")
            return name.encode(), sent.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")[:8_000]

        return [line(), *self.some(line, most - 1)]

    def _edited(self, valid: Sequence[S], hostile: Sequence[S]) -> S:
        whole = self.pick(valid)
        for _ in range(self.pick(_EDITS)):
            at, size = self.number(len(whole) + 1), self.number(16)
            before, there, after = whole[:at], whole[at : at + size], whole[at + size :]
            piece = self.pick(hostile) if self.number(4) else _some(self.pick(valid))
            match self.number(8):
                case 0 | 1:
                    whole = before + piece + after
                case 2 | 3:
                    whole = before + piece + there + after
                case 4:
                    whole = before + after
                case 5:
                    whole = before + there * (size + 1) + after
                case 6:
                    whole = after + there + before
                case _:
                    whole = before
        return whole


@dataclass(frozen=True)
class Target:
    """What reads a text of strangers: it gives an answer, or raises what is `documented`."""

    name: str
    make: Callable[[Dice], Any]
    ask: Callable[[Any], object]
    documented: tuple[type[BaseException], ...] = (ApikitError,)
    share: int = 4  # of the cases


@cache
def folder() -> Path:
    """A folder for files that are to be read."""
    return Path(tempfile.mkdtemp(prefix="apikit-fuzz-"))


Lines = Sequence[tuple[str, str]]
_CHANGES = ("set", "set", "set", "drop", "rename", "add", "wrap", "twice")


class Values:
    """Valid JSON values, and the keys that others may be renamed to: theirs, `names`, and odd ones."""

    def __init__(self, valid: Iterable[Any], names: Iterable[str] = ()) -> None:
        self.written = tuple(dict.fromkeys(json.dumps(each, default=str) for each in valid))
        places = (place for text in self.written for place in _places_in([json.loads(text)]))
        known = (step for _, step in places if isinstance(step, str))
        self.keys = tuple(dict.fromkeys((*names, *known, *HOSTILE[:16], "__proto__", "a.b", "A", "id")))


def written_out(value: Any) -> str:
    """A JSON value as text, with what is nested deeply in the place of its marks."""
    text = json.dumps(value)
    if "\\ue000" in text:
        for mark, depth in _DEEP.items():
            opening, closing = ("[", "]") if mark.endswith("[") else ('{"a":', "}")
            text = text.replace(json.dumps(mark), opening * depth + "1" + closing * depth)
    return text


def _some(whole: S) -> S:
    """The second third of a text."""
    return whole[len(whole) // 3 : len(whole) // 3 * 2]


def _change(inside: Any, step: Any, kind: str, key: str, given: Any) -> None:
    """Change what `inside` has at `step`."""
    there = inside[step]
    match kind, there:
        case "add", dict():
            there[key] = given
        case "add", list():
            there.append(given)
        case "wrap", _:
            inside[step] = {key: there} if isinstance(given, dict) else [there]
        case "twice", list():
            inside[step] = there + there
        case (("drop" | "rename"), _) if isinstance(inside, dict):
            value = inside.pop(step)
            if kind == "rename":
                inside[key] = value
        case _:
            inside[step] = given


def _places_in(value: Any) -> Iterable[tuple[Any, Any]]:
    """Each place within `value`: what holds it, and its key or number there."""
    steps: Iterable[Any] = value.items() if isinstance(value, dict) else enumerate(value)
    for step, each in steps:
        yield value, step
        if isinstance(each, dict | list):
            yield from _places_in(each)
