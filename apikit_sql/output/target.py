"""Where output goes: a file that is whole or not there at all, or a buffer of the caller's.

A file is written under another name beside its place and takes it at the end, so that a failure in the middle leaves
what was there before. Whatever the operating system says against it is OutputError, which tells what to do.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from apikit_sql.errors import CallError, OutputError


class Buffer(Protocol):
    """A binary file object, as far as it is used."""

    def write(self, data: memoryview, /) -> int | None:
        """How many bytes were taken; None for all."""


#: A path, or a binary file object, which is not closed.
Target = str | os.PathLike[str] | Buffer

_WRITABLE = stat.S_IRUSR | stat.S_IWUSR  # until it is whole: one that is read only is replaced as any other
_ADVICE = {
    errno.ENOENT: "its folder is not there. Create it, or name another path.",
    errno.ENOTDIR: "a part of its folder is a file. Name another path.",
    errno.EISDIR: "it is a folder. Name a file in it.",
    errno.EACCES: "no permission. Change that of its folder, or name another path.",
    errno.EPERM: "no permission. Change that of its folder, or name another path.",
    errno.EROFS: "its file system can be read only. Name another path.",
    errno.ENOSPC: "the disk is full. Free some space, or name another path.",
    errno.EDQUOT: "the disk quota is used up. Free some space, or name another path.",
    errno.EFBIG: "a file may not be as large there. Name another path.",
    errno.ENAMETOOLONG: "its name is too long. Name another path.",
}


class Output(io.RawIOBase):
    """What a format is written to: bytes in order. Closing it closes nothing; once given up, it takes no more."""

    def __init__(self, name: str, write: Callable[[memoryview], int | None], *, may_block: bool = False) -> None:
        """An output called `name` in errors, whose bytes `write` takes; None is all, or none where it `may_block`."""
        super().__init__()
        self.name = name
        self._write = write
        self._may_block = may_block
        self._position = 0
        self._is_given_up = False

    def writable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """How many bytes have come."""
        return self._position

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever has bytes
        """How many bytes were written, which is all. Raises OutputError where they cannot be."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and not self._is_given_up:  # a library's object ends what it has begun also when nobody wants it
            with telling(self.name):
                written = self._write(left)
            if written == 0 or (written is None and self._may_block):
                message = f"cannot write {self.name}: it takes no more. Give one that waits until it can."
                raise OutputError(message)
            left = left[size if written is None else written :]
        self._position += size
        return size

    def give_up(self) -> None:
        """Take no more bytes."""
        self._is_given_up = True


@contextmanager
def opened(target: Target) -> Iterator[Output]:
    """What writes to `target`; a file is in its place when the block ends without an error."""
    path = path_of(target)
    if path is None:
        write = target.write  # type: ignore[union-attr]
        with _giving_up(Output("the buffer", write, may_block=isinstance(target, io.RawIOBase))) as output:
            yield output
        return
    with replaced(path) as beside:
        with telling(str(path)):
            file = beside.open("wb")
        try:
            with _giving_up(Output(str(path), file.write)) as output:
                yield output
            with telling(str(path)):
                file.flush()
                os.fsync(file.fileno())
        finally:
            with telling(str(path)):
                file.close()


@contextmanager
def _giving_up(output: Output) -> Iterator[Output]:
    try:
        yield output
    except BaseException:
        output.give_up()
        raise


def path_of(target: Target) -> Path | None:
    """The path that `target` is, None where it is a binary file object. Raises CallError where it is neither."""
    if isinstance(target, str | os.PathLike):
        return Path(target)
    if isinstance(target, io.TextIOBase) or not callable(getattr(target, "write", None)):
        kind = type(target).__name__
        message = f"a {kind} is nothing to write to: give a path or a binary file object, such as io.BytesIO()."
        raise CallError(message)
    return None


def check(target: Target) -> None:
    """Raise CallError where `target` is nothing to write to, OutputError where there can be no file."""
    path = path_of(target)
    if path is None:
        return
    with telling(str(path)):
        folder = _place(path).parent
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place, and has its mode, when the block ends without an error."""
    with telling(str(path)):
        final = _place(path)
        beside = final.with_name(f".apikit-{uuid4().hex}.tmp")
        beside.open("xb").close()
        mode = stat.S_IMODE(beside.stat().st_mode)
        with suppress(FileNotFoundError):  # then it is made as any other
            mode = stat.S_IMODE(final.stat().st_mode)
        beside.chmod(mode | _WRITABLE)
    try:
        yield beside
        with telling(str(path)):
            beside.chmod(mode)
            beside.replace(final)
    finally:
        beside.unlink(missing_ok=True)


def _place(path: Path) -> Path:
    """Where the file of `path` is, its links followed. Raises OSError where none can be."""
    final = Path(os.path.realpath(path))
    try:
        mode = final.stat().st_mode
    except FileNotFoundError:
        return final
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "")
    if not stat.S_ISREG(mode):
        message = f"cannot write {path}: it is no regular file. Name another path, or open it and give the file object."
        raise OutputError(message)
    return final


@contextmanager
def telling(name: str) -> Iterator[None]:
    """While inside, what the operating system or a file object says is OutputError about `name`."""
    try:
        yield
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0) or f"{error.strerror or error}. Name another path."
        message = f"cannot write {name}: {reason}"
        raise OutputError(message) from error
    except ValueError as error:  # NUL in a path; a buffer that is closed
        message = f"cannot write {name}: {error}."
        raise OutputError(message) from error
