"""The newest deliveries in memory, and all of them in a file of NDJSON if one is wanted."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from apikit_sql.errors import DecodeError, OutputError
from apikit_sql.records import one_line, top_texts
from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import StoreError

_Key = tuple[str, str]


class Journal:
    """The newest `max_events` deliveries, the oldest dropped; each is in `output_file` before it is answered."""

    def __init__(self, output_file: Path | None, max_events: int) -> None:
        """A journal whose file need not be there yet."""
        self._path = output_file
        self._file: int | None = None
        self._known: set[_Key] = set()
        self.newest: deque[Delivery] = deque(maxlen=max_events)

    def open(self) -> None:
        """Open the file, and learn which deliveries it has. Raises OutputError where that cannot be."""
        if self._path is None:
            return
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._known = self._read()
        except (OSError, DecodeError) as error:
            self.close()
            message = f"webhook: {self._path} cannot be used: {getattr(error, 'strerror', None) or error}."
            raise OutputError(message) from None

    def write(self, deliveries: Sequence[Delivery]) -> int:
        """How many were new, all in the file now, each once. Raises StoreError where none is."""
        fresh: dict[_Key | int, Delivery] = {}
        for number, each in enumerate(deliveries):
            key = (each.provider, each.id) if each.id is not None else number
            if key not in self._known:
                fresh.setdefault(key, each)
        if self._file is not None and fresh:
            self._append(self._file, "".join(map(_line, fresh.values())).encode())
        for key, each in fresh.items():
            self._remember(key, each)
        return len(fresh)

    def is_there(self) -> bool:
        """Always: it is its owner's."""
        return True

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _remember(self, key: _Key | int, delivery: Delivery) -> None:
        """Keep the newest; without a file nothing is known of those that are dropped."""
        if self._file is None and self.newest.maxlen == len(self.newest) and self.newest:
            oldest = self.newest[0]
            self._known.discard((oldest.provider, oldest.id or ""))
        self.newest.append(delivery)
        if isinstance(key, tuple):
            self._known.add(key)

    def _append(self, file: int, lines: bytes) -> None:
        """Write `lines` and see them on the disk, or leave the file as it was."""
        size = os.fstat(file).st_size
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        except OSError as error:
            os.ftruncate(file, size)
            message = f"{self._path}: {error.strerror}"
            raise StoreError(message) from None

    def _read(self) -> set[_Key]:
        """Which deliveries are in the file. A last line that a kill has cut off was never answered, and goes."""
        known: set[_Key] = set()
        assert self._file is not None  # noqa: S101 - it is open
        with open(self._file, "rb", closefd=False) as lines:
            whole = 0
            for line in lines:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, whole)
                    break
                whole += len(line)
                provider, name = top_texts(line, "provider", "id")
                if provider is not None and name is not None:
                    known.add((provider, name))
        return known


def as_record(delivery: Delivery) -> dict[str, object]:
    """A delivery as Python objects."""
    return {
        "received_at": received_at(delivery),
        "provider": delivery.provider,
        "event": delivery.event,
        "id": delivery.id,
        "headers": json.loads(delivery.headers),
        "payload": _read(delivery.payload),
        "verdict": delivery.verdict,
    }


def _read(payload: str) -> object:
    """A payload as Python objects; its text where Python reads none: very long numbers, deep nesting."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload


def received_at(delivery: Delivery) -> dt.datetime:
    """When a delivery came."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=delivery.received_at)


def _line(delivery: Delivery) -> str:
    texts = {name: getattr(delivery, name) for name in ("provider", "event", "id", "verdict")}
    head = json.dumps({"received_at": received_at(delivery).isoformat(), **texts})
    return f'{head[:-1]}, "headers": {delivery.headers}, "payload": {one_line(delivery.payload)}}}\n'
