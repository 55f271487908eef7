"""The newest deliveries in memory, and all of them in a file of NDJSON if one is wanted."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from apikit_sql.errors import DecodeError, OutputError
from apikit_sql.records import one_line, top_texts
from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import StoreError

_Key = tuple[str, str]
_BEGINNING = b'{"received_at": "'  # of each of our lines
_FAR = 2**31 - 2  # bytes: where Windows locks, which would keep others from reading what it locks


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
        if self._path is not None:
            self._known = set()
            self._open(self._path)

    def write(self, deliveries: Sequence[Delivery]) -> int:
        """How many were new, all in the file now, each once. Raises StoreError where none is."""
        file = None if self._path is None else self._file_at(self._path)
        fresh: dict[_Key | int, Delivery] = {}
        for number, each in enumerate(deliveries):
            key = (each.provider, each.id) if each.id is not None else number
            if key not in self._known:
                fresh.setdefault(key, each)
        if file is not None and fresh:
            self._append(file, "".join(map(_line, fresh.values())).encode())
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

    def _open(self, path: Path) -> None:
        """Open the file at `path`, which nobody else may write: what is taken back would take theirs along."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            _lock(self._file)
            self._known |= _read(self._file)
        except (OSError, DecodeError) as error:
            self.close()
            reason = "another receiver writes it" if isinstance(error, BlockingIOError) else None
            message = f"webhook: {path} cannot be used: {reason or getattr(error, 'strerror', None) or error}."
            raise OutputError(message) from None

    def _file_at(self, path: Path) -> int:
        """The file that is at `path` now: ours may have been moved away, or deleted. Raises StoreError."""
        if self._file is None or not _is_at(path, self._file):
            self.close()
            try:
                self._open(path)
            except OutputError as error:
                raise StoreError(str(error)) from None
        assert self._file is not None  # noqa: S101 - it is open
        return self._file

    def _remember(self, key: _Key | int, delivery: Delivery) -> None:
        """Keep the newest; without a file nothing is known of those that are dropped."""
        if self._path is None and self.newest.maxlen == len(self.newest) and self.newest:
            oldest = self.newest[0]
            self._known.discard((oldest.provider, oldest.id or ""))
        self.newest.append(delivery)
        if isinstance(key, tuple):
            self._known.add(key)

    def _append(self, file: int, lines: bytes) -> None:
        """Write `lines` and see them on the disk, or leave the file as it was."""
        size = os.fstat(file).st_size
        try:
            _write(file, lines)
        except OSError as error:
            os.ftruncate(file, size)
            message = f"{self._path}: {error.strerror}"
            raise StoreError(message) from None


def _lock(file: int) -> None:
    """Hold `file` until it is closed. Raises OSError where somebody else does."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - Windows only

        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _write(file: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def _read(file: int) -> set[_Key]:
    """Which deliveries are in the file, its last line whole or gone. Raises DecodeError where it is no NDJSON."""
    known: set[_Key] = set()
    with open(file, "rb", closefd=False) as lines:
        whole = 0
        for line in lines:
            if not line.endswith(b"\n") and _is_cut_off(line):
                os.ftruncate(file, whole)
                break
            whole += len(line)
            provider, name = top_texts(line, "provider", "id")
            if provider is not None and name is not None:
                known.add((provider, name))
            if not line.endswith(b"\n"):
                _write(file, b"\n")
                break
    return known


def _is_cut_off(line: bytes) -> bool:
    """Whether `line` is the beginning of one of ours, which a kill has cut off: it was never answered."""
    try:
        top_texts(line)
    except DecodeError:
        return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)
    return False


def as_record(delivery: Delivery) -> dict[str, object]:
    """A delivery as Python objects."""
    return {
        "received_at": received_at(delivery),
        "provider": delivery.provider,
        "event": delivery.event,
        "id": delivery.id,
        "headers": json.loads(delivery.headers),
        "payload": _objects(delivery.payload),
        "verdict": delivery.verdict,
    }


def _objects(payload: str) -> object:
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
