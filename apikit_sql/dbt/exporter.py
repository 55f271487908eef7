"""DbtExporter: what was fetched -> a seed, its properties and its source, as dbt reads them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from apikit_sql.dbt.properties import Entry, describes_seed, with_seed, with_source
from apikit_sql.dbt.seed import Fetched, seed_columns, seed_csv
from apikit_sql.errors import CallError, OutputError
from apikit_sql.identifiers import is_identifier
from apikit_sql.output.columns import pages_of
from apikit_sql.output.tables import arrow_table
from apikit_sql.output.target import replaced, telling

_LOCK = threading.Lock()


class FetchesArrow(Protocol):
    """A client, as far as it is used: `Apikit`."""

    @property
    def fetch_arrow(self) -> Callable[..., Any]:
        """All records of an endpoint as a table."""


@dataclass(frozen=True)
class DbtFile:
    """One file of an export: `action` is created, changed or unchanged."""

    path: Path
    action: str


@dataclass(frozen=True)
class DbtExport:
    """What was exported, or would be."""

    name: str
    rows: int
    files: tuple[DbtFile, ...]


@dataclass(frozen=True)
class DbtExporter:
    """Writes what was fetched into the dbt project at `output_dir`: a seed, and a source.

    `seeds/NAME.csv` are the rows, `models/NAME.yml` their types, texts and tests, and `models/sources.yml` has an entry
    more. Exporting again changes only what is different; what else stands in these files stays. With `dry_run` nothing
    is written. With `csv_safe`, a text that a spreadsheet would compute has an apostrophe in front.
    """

    output_dir: str | os.PathLike[str]
    dry_run: bool = False
    csv_safe: bool = False

    def export(  # noqa: PLR0913, PLR0917 - each is an option of its own
        self,
        records: Iterable[Mapping[str, Any]],
        name: str,
        database: str | None = None,
        schema: str | None = None,
        description: str = "",
        tags: Iterable[str] = (),
    ) -> DbtExport:
        """The files of `records`: objects as columns `a__b`, lists as JSON.

        `database` and `schema` are where the source is; the target's own unless given. Raises CallError for a name
        that dbt cannot have, or a folder outside the working folder, OutputError where a file cannot be written.
        """
        table = arrow_table(pages_of(records), flatten=True)
        return self.export_table(Fetched(table), _entry(name, description, tags, database, schema))

    def export_from_client(  # noqa: PLR0913, PLR0917 - each is an option of its own
        self,
        client: FetchesArrow,
        endpoint: str,
        name: str,
        database: str | None = None,
        schema: str | None = None,
        description: str = "",
        tags: Iterable[str] = (),
        **options: Any,  # noqa: ANN401 - those of fetch_arrow
    ) -> DbtExport:
        """The files of all records of `endpoint`, as `export`; `options` are those of the client's `fetch_arrow`."""
        table = client.fetch_arrow(endpoint, flatten=True, **{"paginate": True, **options})
        return self.export_table(Fetched(table), _entry(name, description, tags, database, schema))

    def export_table(self, fetched: Fetched, entry: Entry) -> DbtExport:
        """The files of a table, `entry` saying what is to be said of it but for its columns."""
        paths, columns = self.places(entry.name), seed_columns(fetched)
        seed, properties, sources = paths
        described = replace(entry, columns=columns, description=entry.description or fetched.description)
        csv = seed_csv(fetched.table, columns, is_safe=self.csv_safe)
        with nullcontext() if self.dry_run else _alone(sources.parent):
            self._refuse_described_elsewhere(properties, entry.name)
            files = [
                _Change(seed, csv),
                _Change(properties, with_seed(_read(properties), described, str(properties)).encode()),
                _Change(sources, with_source(_read(sources), described, str(sources)).encode()),
            ]
            if not self.dry_run:
                _write([each for each in files if each.action != "unchanged"])
        told = tuple(DbtFile(each.path, each.action) for each in files)
        return DbtExport(entry.name, fetched.table.num_rows, told)

    def places(self, name: str) -> tuple[Path, Path, Path]:
        """Where seed, properties and source of this `name` are written. Raises CallError where they cannot be."""
        if not isinstance(name, str) or not is_identifier(name) or name.lower() == "sources":
            message = f"{name!r} is no name for a seed: letters, digits and '_', and not sources."
            raise CallError(message)
        folder = Path(self.output_dir)
        models = folder / "models"
        paths = folder / "seeds" / f"{name}.csv", models / f"{name}.yml", models / "sources.yml"
        with telling(str(paths[0])):
            here = os.path.realpath(Path.cwd())
            for path in paths:
                if not Path(os.path.realpath(path)).is_relative_to(here):
                    message = f"{path} is outside the working folder {here}. Name an output_dir in it."
                    raise CallError(message)
            for path in (*_files(models, ".sql", ".py"), *_files(folder / "seeds", ".csv")):
                if path.stem.lower() == name.lower() and path != paths[0]:
                    message = f"{path} is there: in dbt no model or seed may have the name of another. Choose another."
                    raise CallError(message)
        return paths

    def _refuse_described_elsewhere(self, properties: Path, name: str) -> None:
        """Raise CallError where another file than `properties` describes the seed, which dbt would not read."""
        folder = Path(self.output_dir)
        for path in (*_files(folder / "models", ".yml", ".yaml"), *_files(folder / "seeds", ".yml", ".yaml")):
            if path != properties and describes_seed(_read(path), name):
                message = f"{path} describes the seed {name}: dbt reads one description. Move it to {properties}."
                raise CallError(message)


@dataclass(frozen=True)
class _Change:
    """What a file of an export shall hold."""

    path: Path
    content: bytes

    @cached_property
    def action(self) -> str:
        """What becomes of the file: created, changed or unchanged."""
        with telling(str(self.path)):
            known = self.path.read_bytes() if self.path.is_file() else None
        return "created" if known is None else "unchanged" if known == self.content else "changed"


def _write(changes: Sequence[_Change]) -> None:
    """Write all of the files, or none: each takes its place when the last one is written."""
    with ExitStack() as stack:
        for change in changes:
            with telling(str(change.path)):
                change.path.parent.mkdir(parents=True, exist_ok=True)
            beside = stack.enter_context(replaced(change.path))
            with telling(str(change.path)), beside.open("wb") as file:
                file.write(change.content)
                file.flush()
                os.fsync(file.fileno())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While inside, no other export, of this process or another, reads and writes the files of `folder`."""
    with _LOCK, ExitStack() as stack:
        with telling(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            if sys.platform != "win32":
                import fcntl  # noqa: PLC0415 - Windows has none

                number = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, number)
                fcntl.flock(number, fcntl.LOCK_EX)
        yield


def _files(folder: Path, *suffixes: str) -> list[Path]:
    """The files in `folder`, at any depth, of these suffixes."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes]


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        message = f"tags: {tags!r} is one; write a list of them."
        raise CallError(message)
    found = tuple(tags)
    if not all(isinstance(tag, str) for tag in found):
        message = f"tags: {list(found)!r} are no texts; write ['crm']."
        raise CallError(message)
    return found


def _entry(name: str, description: str, tags: Iterable[str], database: str | None, schema: str | None) -> Entry:
    """What is said of a table. Raises CallError for what is no text."""
    texts = {"description": description, "database": database or "", "schema": schema or ""}
    for option, text in texts.items():
        if not isinstance(text, str):
            message = f"{option}: {text!r} is no text."
            raise CallError(message)
    return Entry(name, (), tags=_tags(tags), **texts)


def _read(path: Path) -> str:
    """The text of the file at `path`, nothing where there is none. Raises OutputError where it cannot be read."""
    with telling(str(path)):
        if not path.exists():
            return ""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read ({type(error).__name__}). Nothing is written."
        raise OutputError(message) from None
