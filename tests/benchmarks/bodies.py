"""The pages of the loopback API: made beforehand, so that answering costs nothing, and what is in all of them.

Four pages differ and follow each other again and again. Records are as unlike as an API's: what compresses like one
record said a hundred times would make inflating look cheap.
"""

import functools
import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

RECORDED = Path(__file__).parents[1] / "fakes" / "recorded" / "get-repository.json"
#: Records of one page.
SIZES = {"wide": 100, "nested": 100, "narrow": 1_000}
_VARIANTS = 4
_PROPERTIES = 22
_WORDS = [f"{a}{b}{c}" for a in ("data", "no", "sky", "ver", "lu") for b in "aeiou" for c in ("rk", "xt", "ming", "é")]


class Api(NamedTuple):
    """An API of the server: what its records are, how pages follow, how many, after how long, and how they are sent.

    `strategy` is link (next and last), page or offset (with a total), or cursor (the next alone).
    """

    kind: str = "wide"
    strategy: str = "link"
    pages: int = 100
    milliseconds: int = 0
    coding: str = "gzip"

    @property
    def path(self) -> str:
        """Where it is on the server."""
        return "/" + "/".join(map(str, self))

    @classmethod
    def at(cls, path: str) -> "Api":
        """The API at `path`, whatever follows."""
        _, kind, strategy, pages, milliseconds, coding, *_ = path.split("/")
        return cls(kind, strategy, int(pages), int(milliseconds), coding)

    def body(self, number: int, *, coding: str | None = None) -> bytes:
        """The body of page `number`, from 1."""
        beside: dict[str, object] = {}
        if self.strategy in {"page", "offset"}:
            beside = {"total": self.pages * SIZES[self.kind]}
        if self.strategy == "cursor":
            beside = {"next_cursor": str(number + 1) if number < self.pages else None}
        return _body(self.kind, (number - 1) % _VARIANTS, json.dumps(beside)[1:-1], coding or self.coding)

    def truth(self) -> dict[str, int]:
        """How many records all pages have, the sum of their ids, and the bytes of their JSON."""
        pages = [json.loads(_body(self.kind, variant, "", "plain")) for variant in range(_VARIANTS)]
        sums = [sum(record["id"] for record in page) for page in pages]
        numbers = range(1, self.pages + 1)
        return {
            "count": self.pages * SIZES[self.kind],
            "sum": sum(sums[(number - 1) % _VARIANTS] for number in numbers),
            "bytes": sum(len(self.body(number, coding="plain")) for number in numbers),
        }


@functools.cache
def _body(kind: str, variant: int, beside: str, coding: str) -> bytes:
    """A page of this `kind` as it is sent, in an object with what stands `beside` its records where anything does."""
    if coding == "gzip":
        return gzip.compress(_body(kind, variant, beside, "plain"), 6, mtime=0)
    text = _records(kind, variant)
    return (f'{{"data": {text}, {beside}}}' if beside else text).encode()


@functools.cache
def _records(kind: str, variant: int) -> str:
    first, chance = variant * SIZES[kind], random.Random(variant)
    records = _RECORDS[kind](range(first, first + SIZES[kind]), chance)
    return json.dumps(list(records), ensure_ascii=False)


def _words(chance: random.Random, least: int, most: int) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(least, most)))


def _repositories(ids: range, chance: random.Random) -> Iterator[dict[str, Any]]:
    """GitHub repositories without their links, with properties of their own: 50 fields, 111 columns when flattened."""
    (exchange,) = json.loads(RECORDED.read_text(encoding="utf-8"))
    links = {name for name in exchange["response"] if name.endswith("_url")} - {"html_url", "clone_url", "ssh_url"}
    recorded = {name: value for name, value in exchange["response"].items() if name not in links}
    text = json.dumps(recorded)
    for number in ids:
        owner, name = _words(chance, 1, 1) + str(number * 7919 % 10_007), _words(chance, 1, 2).replace(" ", "-")
        at = f"20{chance.randint(10, 26)}-0{chance.randint(1, 9)}-{chance.randint(10, 28)}T11:22:33Z"
        yield json.loads(text.replace("octokit-fixture-org", owner).replace("hello-world", name)) | {
            "id": number,
            "size": chance.randrange(10**6),
            "stargazers_count": chance.randrange(10**4),
            "description": _words(chance, 3, 20) if number % 3 else None,
            "pushed_at": at,
            "updated_at": at,
            "custom_properties": {f"property_{each}": _words(chance, 1, 2) for each in range(_PROPERTIES)},
        }


def _orders(ids: range, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Orders with objects in objects and lists of objects."""
    for number in ids:
        lines = [
            {"sku": _words(chance, 1, 1), "quantity": chance.randint(1, 9), "price": {"amount": 9.5, "currency": "EUR"}}
            for _ in range(chance.randint(1, 8))
        ]
        address = {"street": _words(chance, 2, 3), "place": {"city": _words(chance, 1, 1), "country": "DE"}}
        yield {
            "id": number,
            "name": f"order {number}",
            "customer": {"id": number * 3, "name": _words(chance, 2, 2), "address": address},
            "lines": lines,
            "tags": chance.choices(_WORDS, k=3),
        }


def _items(ids: range, chance: random.Random) -> Iterator[dict[str, Any]]:
    for number in ids:
        yield {"id": number, "name": f"{_words(chance, 1, 1)} {number}", "amount": chance.randrange(10**6) / 4}


_RECORDS = {"wide": _repositories, "nested": _orders, "narrow": _items}
