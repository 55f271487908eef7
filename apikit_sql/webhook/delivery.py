"""One webhook POST, as it is kept: what it is called, and its body as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from apikit_sql.errors import DecodeError
from apikit_sql.records import top_texts
from apikit_sql.redaction import MASK, is_secret_header

_FORM = "application/x-www-form-urlencoded"
_SIGNATURES = ("-signature",)  # of one delivery: good for nothing else
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
#: An escape in a JSON text: a pair of surrogates, a lone one, or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


@dataclass(frozen=True)
class Naming:
    """Where the deliveries of one kind have their id and event: in the first of some headers, or in a field.

    `provider` is empty where the kind is a way to sign, which many use. `form` is the field that holds the JSON of
    what is sent as a form.
    """

    provider: str
    id_headers: tuple[str, ...] = ()
    event_headers: tuple[str, ...] = ()
    id_field: str = ""
    event_field: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery whose signature was good; `received_at` is in microseconds, `headers` and `payload` are JSON."""

    received_at: int
    provider: str
    event: str | None
    id: str | None
    headers: str
    payload: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Post:
    """A POST that came whole, its headers' names in lower case; `received_at` is in seconds since the epoch."""

    body: bytes
    headers: Mapping[str, str]
    received_at: float


def read_delivery(post: Post, naming: Naming, provider: str, verdict: str) -> Delivery:
    """The delivery that a POST is. Raises DecodeError where it has no JSON."""
    headers = post.headers
    payload = _without_lone_surrogates(_payload(naming, post.body, headers))
    fields = [name for name in (naming.id_field, naming.event_field) if name]
    named = dict(zip(fields, top_texts(payload, *fields), strict=True))
    return Delivery(
        received_at=round(post.received_at * 1_000_000),
        provider=provider,
        event=_first(headers, naming.event_headers) or named.get(naming.event_field) or None,
        id=_first(headers, naming.id_headers) or named.get(naming.id_field) or None,
        headers=json.dumps({name: MASK if _is_secret(name) else value for name, value in headers.items()}),
        payload=payload.decode(),
        verdict=verdict,
    )


def _payload(naming: Naming, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The JSON of a POST: its body, or what a form holds."""
    if not naming.form or headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return body
    try:
        (payload,) = parse_qs(body.decode(), max_num_fields=16)[naming.form]
    except (KeyError, ValueError):
        message = f"the form has no field {naming.form}"
        raise DecodeError(message) from None
    return payload.encode()


def _without_lone_surrogates(payload: bytes) -> bytes:
    """The same JSON, U+FFFD for each half of a character that a sender has cut in two: no text can hold it."""
    if _SURROGATE.search(payload) is None:
        return payload
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], payload)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((headers[name] for name in names if headers.get(name)), None)


def _is_secret(name: str) -> bool:
    return is_secret_header(name) and not name.endswith(_SIGNATURES)
