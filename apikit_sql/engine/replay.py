"""Requests answered from a folder of recordings instead of the network, or recorded there: `APIKIT_HTTP`.

`record:DIR` keeps every answer but those that are tried again; `replay:DIR` sends nothing and needs no credential;
`off` sends nothing at all. A recording is a JSON file that people can read, without the secrets that were sent.
"""

from __future__ import annotations

import base64
import hashlib
import json
import operator
import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from apikit_sql.engine.oauth2 import UNRECORDED
from apikit_sql.engine.retry import is_limited
from apikit_sql.engine.steps import Send, Steps, called
from apikit_sql.errors import ConfigError
from apikit_sql.redaction import MASK, is_masked_param, is_secret_header, is_secret_param, redact_url

_PASSING = frozenset({401, 429, 500, 502, 503, 504})  # answered otherwise once a token, or the API, is well again
_OF_LIMITS = re.compile("rate-?limit|retry-after")  # headers of a moment that is over when they are replayed
_USERINFO = re.compile(r"//[^/@\s<>]*@")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_LONGEST_NAME = 60  # characters of a path that a file's name shows

#: How one Send is answered: by the driver, unless a tape knows better.
Sender = Callable[[Send], Steps[httpx.Response]]


def straight(step: Send) -> Steps[httpx.Response]:
    """The driver's answer."""
    response: httpx.Response = yield step
    return response


class Tape:
    """What `APIKIT_HTTP` asks for: `mode` and the folder of recordings."""

    def __init__(self, mode: Literal["record", "replay", "off"], folder: Path, redact: Callable[[str], str]) -> None:
        """A tape at its beginning; `redact` masks the secrets of all that is recorded."""
        self.mode = mode
        self._folder = folder
        self._redacted = redact
        self._alias = ("", "")
        self._lock = threading.Lock()
        self._asked: Counter[Path] = Counter()

    def call(self, address: str, name: str) -> None:
        """Write `name` where `address` would stand: an embedded server's port is another each time."""
        self._alias = (address, name)

    def _redact(self, text: str) -> str:
        address, name = self._alias
        return self._redacted(text.replace(address, name) if address else text)

    @property
    def sends(self) -> bool:
        """Whether requests leave this process."""
        return self.mode == "record"

    def answer(self, step: Send) -> Steps[httpx.Response]:
        """The answer to a request. Raises ConfigError where none may be sent and none is recorded."""
        request = step.request
        name, url = self._name(request)
        if self.mode == "off":
            message = f"APIKIT_HTTP=off: nothing is sent, and {request.method} {url} was wanted."
            raise ConfigError(message)
        if self.mode == "replay":
            return (yield from called(partial(self._replayed, request, name, url)))
        response = yield from straight(step)
        is_passing = response.status_code in _PASSING or is_limited(response)
        if not request.extensions.get(UNRECORDED) and not is_passing:
            yield from called(partial(self._record, response, request, name, url))
        return response

    def _replayed(self, request: httpx.Request, name: Path, url: str) -> httpx.Response:
        """The recording of this request: the first, the second, and for ever the last of those that there are."""
        with self._lock:
            self._asked[name] += 1
            number = self._asked[name]
        files = _recordings(name)
        if not files:
            message = f"APIKIT_HTTP=replay: {self._folder} has no recording of {request.method} {url}."
            raise ConfigError(message)
        file = files[min(number, len(files)) - 1]
        try:
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["response"]
            body = kept["body"].encode() if "body" in kept else base64.b64decode(kept["body_base64"], validate=True)
            told = [(name, value) for name, value in kept["headers"] if not _OF_LIMITS.search(name.lower())]
            headers = httpx.Headers(told, encoding="utf-8")
            return httpx.Response(operator.index(kept["status"]), headers=headers, content=body, request=request)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            message = f"{file} cannot be read as a recording: {type(error).__name__}: {error}"
            raise ConfigError(message) from None

    def _record(self, response: httpx.Response, request: httpx.Request, name: Path, url: str) -> None:
        headers = [
            (each, self._redact(_USERINFO.sub("//", value)))
            for each, value in response.headers.multi_items()
            if not is_secret_header(each)
        ]
        answer: dict[str, object] = {"status": response.status_code, "headers": headers}
        try:
            answer["body"] = self._masked(response.content.decode())
        except UnicodeDecodeError:
            masked = self._redact(response.content.decode(errors="surrogateescape"))
            answer["body_base64"] = base64.b64encode(masked.encode(errors="surrogateescape")).decode()
        asked = {"method": request.method, "url": url}
        if request.content:
            asked["body"] = self._redact(request.content.decode(errors="replace"))
        file = self._next_file(name)
        try:
            unfinished = file.with_suffix(f".{threading.get_ident()}.tmp")
            unfinished.write_text(json.dumps({"request": asked, "response": answer}, indent=1), encoding="utf-8")
            unfinished.replace(file)
        except OSError as error:
            message = f"{file} could not be recorded: {error}"
            raise ConfigError(message) from None

    def _masked(self, text: str) -> str:
        """The body `text` without secrets. Raises ConfigError where JSON is none any more: one stood in a number."""
        masked = self._redact(text)
        if masked != text and _is_json(text) and not _is_json(masked):
            message = "the answer has the credential within a number; it cannot be recorded."
            raise ConfigError(message)
        return masked

    def _next_file(self, name: Path) -> Path:
        """Where the next answer to a request is kept; the first makes those of earlier times go."""
        with self._lock:
            self._asked[name] += 1
            number = self._asked[name]
            if number == 1:
                try:
                    name.parent.mkdir(parents=True, exist_ok=True)
                    for old in _recordings(name):
                        old.unlink(missing_ok=True)
                except OSError as error:
                    message = f"{name.parent} could not be recorded in: {error}"
                    raise ConfigError(message) from None
        return name.with_name(f"{name.name}-{number}.json")

    def _name(self, request: httpx.Request) -> tuple[Path, str]:
        """The file of a request, but for its number and ending, and its URL without credentials."""
        parts = urlsplit(self._redact(redact_url(str(request.url), also_masked=False)))
        kept = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if is_masked_param(name) and not is_secret_param(name):  # not told, and yet another request
                kept.append((name, hashlib.sha256(value.encode()).hexdigest()[:12]))
            elif MASK not in self._redact(name + value) and not is_secret_param(name):
                kept.append((name, value))
        url = self._redact(urlunsplit(parts._replace(query=urlencode(kept))))
        body = self._redact(request.content.decode(errors="replace"))
        key = hashlib.sha256(f"{request.method} {url}\n{body}".encode()).hexdigest()[:16]
        path = _UNSAFE.sub("-", urlsplit(url).path).strip("-.")[:_LONGEST_NAME]
        host = _UNSAFE.sub("-", parts.netloc) or "-"
        return self._folder / host / f"{request.method}-{path}-{key}", url


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _recordings(name: Path) -> Sequence[Path]:
    """The files of one request, in their order."""
    found = name.parent.glob(f"{name.name}-*.json") if name.parent.is_dir() else ()
    numbered = {int(number): file for file in found if (number := file.stem.rpartition("-")[2]).isdecimal()}
    return [numbered[number] for number in sorted(numbered)]


def tape_of(text: str, redact: Callable[[str], str]) -> Tape | None:
    """The tape that `APIKIT_HTTP` asks for, None where it says nothing. Raises ConfigError for what it cannot say."""
    mode, _, folder = text.partition(":")
    match mode:
        case "" if not text:
            return None
        case "off" if not folder:
            return Tape("off", Path(), redact)
        case "record" | "replay" if folder:
            return Tape("record" if mode == "record" else "replay", Path(folder), redact)
        case _:
            message = f"APIKIT_HTTP is {text!r}; say record:DIR, replay:DIR or off."
            raise ConfigError(message)
