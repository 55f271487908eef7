"""How far a fetch is, for whoever looks at a terminal. rich is an extra."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from apikit_sql.errors import ConfigError

#: Takes the number of pages and of records so far.
Show = Callable[[int, int], None]


@contextmanager
def progress(name: str, *, is_wanted: bool) -> Iterator[Show]:
    """What shows how much of `name` has been read, on stderr, while inside; nothing where that is no terminal.

    Raises ConfigError where rich is not installed.
    """
    if not is_wanted or not sys.stderr.isatty():
        yield lambda _pages, _records: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - an extra
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = "rich, which draws progress, is not installed: pip install 'apikit_sql[progress]'."
        raise ConfigError(message) from error
    counted = TextColumn("{task.description}: {task.completed} pages, {task.fields[records]} records", markup=False)
    with Progress(SpinnerColumn(), counted, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, records=0)
        yield lambda pages, records: bar.update(task, completed=pages, records=records)
