"""Where things are in a JSON body: the records, and what stands beside them. Nothing else is parsed.

Bodies stay bytes: a step into an object splits it into its raw values, so that a page of 300 KB is never turned into
Python objects only to find its cursor.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from apikit_sql.errors import DecodeError

Raw = msgspec.Raw
RawObject = Mapping[str, msgspec.Raw]

#: Keys under which APIs put their list of records, in the order in which they are believed.
_RECORD_KEYS = (
    "data", "items", "results", "records", "rows", "values", "value", "entries", "list", "content", "objects", "hits",
    "elements", "nodes",
)  # fmt: skip
#: Keys of objects that only wrap the list.
_WRAPPERS = ("data", "result", "results", "response", "payload", "_embedded", "hits", "body")
#: Keys that stand beside a list of records, never in a record that happens to hold one list.
_BESIDE_RECORDS = frozenset(
    {
        "count", "total", "total_count", "totalcount", "total_results", "total_pages", "totalpages", "size", "number",
        "page", "pages", "per_page", "page_size", "pagesize", "limit", "offset", "skip", "start", "next", "next_page",
        "next_cursor", "nextcursor", "next_url", "nextpagetoken", "next_page_token", "previous", "prev", "first",
        "last", "cursor", "has_more", "hasmore", "meta", "metadata", "pagination", "paging", "page_info", "pageinfo",
        "info", "links", "_links", "ok", "success", "status", "error", "errors", "message", "object", "kind", "etag",
        "incomplete_results", "request_id", "response_metadata", "@odata.context", "@odata.nextlink", "@odata.count",
    }
)  # fmt: skip
_ERRORS = frozenset({"error", "errors"})
_BOM = b"\xef\xbb\xbf"


@contextmanager
def _refusing() -> Iterator[None]:
    """While inside, what is not JSON is a DecodeError."""
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is not JSON: {error}"
        raise DecodeError(message) from None
    except RecursionError:
        message = "the body is nested too deeply"
        raise DecodeError(message) from None


@dataclass(frozen=True)
class Envelope:
    """One body, split: its records as raw JSON, and the values that stand beside them.

    `record_path` is where the records were found (`edges[].node`: the `node` of each edge); `is_single` tells that
    there the body has one object, not a list.
    The records are split when they are first asked for: most pages are decoded as the one text that they are. Whatever
    is asked raises DecodeError where what it looks into is not JSON after all.
    """

    record_path: str
    is_single: bool
    text: Raw = field(default_factory=lambda: Raw(b"[]"), repr=False)  # the records as one JSON list
    beside: RawObject = field(default_factory=dict, repr=False)

    @cached_property
    def records(self) -> tuple[Raw, ...]:
        """The records, each still JSON. Raises DecodeError where they are not."""
        with _refusing():
            return msgspec.json.decode(self.text, type=tuple[Raw, ...])

    @property
    def tells_error_only(self) -> bool:
        """Whether the body has a top-level `error` or `errors`, and no records beside it."""
        is_message = self.is_single and self.record_path == "" and "id" not in self.beside
        return says_error(self.beside) and (is_message or not self.records)

    @_refusing()
    def has(self, path: str) -> bool:
        """Whether the body has the dotted `path`, be it null."""
        place, _, name = path.rpartition(".")
        inside = self.at(place) if place else self.beside
        return isinstance(inside, Mapping) and name in inside

    @_refusing()
    def kind_at(self, path: str) -> str:
        """What the body has at the dotted `path`: `an object`, `a list`, `null`, ...; `` where a step is missing."""
        found = _step_into(self.beside, path)
        return "" if found is None else _kind(found)

    @_refusing()
    def at(self, path: str) -> Any:  # noqa: ANN401 - any JSON value
        """The value at the dotted `path` of the body, or None where a step is missing."""
        return _value(_step_into(self.beside, path))

    @_refusing()
    def has_distinct(self, path: str) -> bool:
        """Whether every record has a value at `path` that no other record has."""
        found = [_step_into(_object(record), path) for record in self.records if _kind(record) == "an object"]
        texts = {bytes(value) for value in found if value is not None}
        return len(texts) == len(self.records)

    @_refusing()
    def of_last_record(self, path: str) -> Any:  # noqa: ANN401 - any JSON value
        """The value at `path` of the last record, or None where there is none."""
        if not self.records or _kind(self.records[-1]) != "an object":
            return None
        return _value(_step_into(_object(self.records[-1]), path))


def json_text(body: bytes) -> bytes:
    """`body` as JSON alone, `null` where it is empty. Raises DecodeError for what is not JSON."""
    text = body.removeprefix(_BOM).strip() or b"null"
    with _refusing():
        msgspec.json.decode(text)
        text.decode()
    return text


def top_texts(body: bytes, *names: str) -> tuple[str | None, ...]:
    """What the object `body` has under each of `names`, where that is a text; None where it is not, or is not there.

    Nothing else is parsed. Raises DecodeError for what is not JSON.
    """
    with _refusing():
        body.decode()
        raw = msgspec.json.decode(body, type=Raw)
        top = _object(raw) if _kind(raw) == "an object" else {}
        found = [_value(top.get(name)) for name in names]
    return tuple(value if isinstance(value, str) else None for value in found)


def one_line(text: str) -> str:
    """The same JSON without a line break."""
    return msgspec.json.format(text, indent=-1)


def read_envelope(body: bytes, record_path: str | None) -> Envelope:
    """The envelope of `body`, its records at `record_path`, or where they are found if that is None.

    An empty body, `{}` and null hold no records; a lone object is one record; a list's elements are the records
    whatever they are, and split only when they are asked for. Raises DecodeError for what is not JSON, and where
    `record_path` leads nowhere.
    """
    with _refusing():
        return _read(body.removeprefix(_BOM).strip(), record_path)


def _read(body: bytes, record_path: str | None) -> Envelope:
    if body in (b"", b"null"):  # a set would hash all of it
        return Envelope(record_path or "", is_single=False)
    if not body.startswith(b"{"):
        if not body.startswith(b"["):
            message = f"the body is {_kind(msgspec.json.decode(body, type=Raw))}, not records"
            raise DecodeError(message)
        if record_path:
            message = f"there is no {record_path!r}: the body is a list. Say data_path := ''."
            raise DecodeError(message)
        return Envelope("", is_single=False, text=Raw(body))
    top = _object(Raw(body))
    path = find_record_path(top) if record_path is None else record_path
    if path == "":
        return _single("", Raw(body), top) if top else Envelope("", is_single=True)
    found = _found(top, path)
    if found is None and top and not says_error(top):
        message = f"there is no {path!r} in the body; it has {', '.join(sorted(top)[:20])}"
        raise DecodeError(message)
    kind = "null" if found is None else _kind(found)
    match kind:
        case "null":
            return Envelope(path, is_single=False, beside=top)
        case "a list":
            assert found is not None  # noqa: S101 - its kind was read from it
            return Envelope(path, is_single=False, text=found, beside=top)
        case "an object":
            assert found is not None  # noqa: S101 - its kind was read from it
            return _single(path, found, top)
        case _:
            message = f"{path!r} leads to {kind}, not to a list of records"
            raise DecodeError(message)


def _found(top: RawObject, path: str) -> Raw | None:
    """What is at `path`; that of `edges[].node` is a list of the `node` of each edge, null where it has none."""
    place, each, field = path.partition("[].")
    found = _step_into(top, place)
    if not each or found is None or _kind(found) != "a list":
        return found
    edges = msgspec.json.decode(found, type=tuple[Raw, ...])
    inside = [_step_into(_object(edge), field) if _kind(edge) == "an object" else None for edge in edges]
    return Raw(b"[" + b",".join(b"null" if each is None else bytes(each) for each in inside) + b"]")


def _single(path: str, record: Raw, beside: RawObject) -> Envelope:
    return Envelope(path, is_single=True, text=Raw(b"[" + bytes(record) + b"]"), beside=beside)


def find_record_path(top: RawObject) -> str:
    """Where the object `top` keeps its records: a dotted path, `` where it is a record itself.

    An object with an `id` is a record. Otherwise a well-known key with a list, a lone list among nothing but
    pagination words, or one of the two inside a well-known wrapper.
    """
    if "id" in top:
        return ""
    lists = {key for key, value in top.items() if _kind(value) == "a list"} - _ERRORS
    for key in _RECORD_KEYS:
        if key in lists:
            return key
    if len(lists) == 1 and all(key.lower() in _BESIDE_RECORDS for key in top if key not in lists):
        (lone,) = lists
        if _holds_objects(top[lone]):
            return lone
    for key in _WRAPPERS:
        if key in top and _kind(top[key]) == "an object":
            inner = find_record_path(_object(top[key]))
            if inner:
                return f"{key}.{inner}"
    return ""


def says_error(top: RawObject) -> bool:
    """Whether the object `top` tells of an error in so many words."""
    return any(_value(top[key]) for key in _ERRORS & top.keys())


def _value(raw: Raw | None) -> Any:  # noqa: ANN401 - any JSON value
    """What `raw` holds. Raises DecodeError where it is no JSON after all."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"a value beside the records cannot be read: {error}"
        raise DecodeError(message) from None


def _step_into(top: RawObject, path: str) -> Raw | None:
    """The raw value at `path`; a key that holds dots itself (`@odata.nextLink`) is found as it is written."""
    if path in top:
        return top[path]
    head, dot, rest = path.partition(".")
    while dot:
        inner = top.get(head)
        if inner is not None and _kind(inner) == "an object":
            return _step_into(_object(inner), rest)
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def _object(raw: Raw) -> RawObject:
    return msgspec.json.decode(raw, type=dict[str, Raw])


def _holds_objects(raw: Raw) -> bool:
    elements = msgspec.json.decode(raw, type=tuple[Raw, ...])
    return not elements or _kind(elements[0]) == "an object"


def _kind(raw: Raw) -> str:
    match bytes(memoryview(raw)[:1]):
        case b"[":
            return "a list"
        case b"{":
            return "an object"
        case b'"':
            return "a string"
        case b"n":
            return "null"
        case b"t" | b"f":
            return "a boolean"
        case _:
            return "a number"
