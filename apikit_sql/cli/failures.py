"""How things end that go wrong: the line that a person reads, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from apikit_sql.cli.visible import visible
from apikit_sql.errors import ApikitError

#: What a process tells that ends by SIGINT, and by SIGPIPE.
INTERRUPTED, NOBODY_READS = 130, 141
FAILED = 1


class ShellError(Exception):
    """What a dot command, a subcommand or a file of theirs cannot do, and what to do instead."""


class Ended(Exception):  # noqa: N818 - the error has been told already
    """The shell ends, because of an error."""


def told(error: BaseException) -> str:
    """The line, or lines, that say what `error` is."""
    text = str(error).strip()
    match error:
        case Ended():
            return ""
        case ShellError():
            return f"Error: {text}"
        case KeyboardInterrupt():
            return "Interrupted."
        case ApikitError():
            return f"{type(error).__name__}: {text}"
        case OSError() if error.strerror and error.filename is not None:
            return f"Error: {error.filename}: {error.strerror}"
        case _:
            return text or type(error).__name__


def tell(error: BaseException, *, has_debug: bool) -> None:
    """Write `error` to stderr, with where it comes from if `has_debug`."""
    if has_debug:
        sys.stderr.write(visible("".join(traceback.format_exception(error))))
    elif text := told(error):
        sys.stderr.write(visible(text) + "\n")


def is_told(error: BaseException) -> bool:
    """Whether `error` is one that a user can cause, and its text says all; any other is a mistake of ours."""
    # DuckDB's errors, all of them, without an import of DuckDB
    is_duckdbs = any(kind.__module__.endswith("duckdb") for kind in type(error).__mro__)
    return is_duckdbs or isinstance(error, (ApikitError, OSError, ShellError, Ended, UnicodeDecodeError))


def ended(work: Callable[[], int], *, has_debug: bool) -> int:
    """The exit code that `work` gives, or that what it raises means; that is told on stderr."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return NOBODY_READS
    except KeyboardInterrupt as error:
        tell(error, has_debug=has_debug)
        return INTERRUPTED
    except Exception as error:
        if not is_told(error):
            raise
        tell(error, has_debug=has_debug)
        return FAILED
    return code
