"""DbtExporter: what was fetched -> a seed, its properties and its source, as dbt reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from apikit_sql.dbt.properties import Entry, with_seed, with_source
from apikit_sql.dbt.seed import Fetched, seed_columns, seed_csv
from apikit_sql.errors import CallError, OutputError
from apikit_sql.identifiers import is_identifier
from apikit_sql.output.columns import pages_of
from apikit_sql.output.tables import arrow_table
from apikit_sql.output.target import opened, telling


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
        return self.export_table(
            Fetched(table), Entry(name, (), description, _tags(tags), database or "", schema or "")
        )

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
        return self.export_table(
            Fetched(table), Entry(name, (), description, _tags(tags), database or "", schema or "")
        )

    def export_table(self, fetched: Fetched, entry: Entry) -> DbtExport:
        """The files of a table, `entry` saying what is to be said of it but for its columns."""
        paths, columns = self.places(entry.name), seed_columns(fetched)
        _, properties, sources = paths
        described = replace(entry, columns=columns, description=entry.description or fetched.description)
        contents = [
            seed_csv(fetched.table, columns, is_safe=self.csv_safe),
            with_seed(_read(properties), described, str(properties)).encode(),
            with_source(_read(sources), described, str(sources)).encode(),
        ]
        files = [self._file(path, content) for path, content in zip(paths, contents, strict=True)]
        return DbtExport(entry.name, fetched.table.num_rows, tuple(files))

    def places(self, name: str) -> tuple[Path, Path, Path]:
        """Where seed, properties and source of this `name` are written. Raises CallError where they cannot be."""
        if not isinstance(name, str) or not is_identifier(name) or name.lower() == "sources":
            message = f"{name!r} is no name for a seed: letters, digits and '_', and not sources."
            raise CallError(message)
        models = Path(self.output_dir) / "models"
        paths = Path(self.output_dir) / "seeds" / f"{name}.csv", models / f"{name}.yml", models / "sources.yml"
        here = os.path.realpath(Path.cwd())
        try:
            places = [Path(os.path.realpath(path)) for path in paths]
            is_model = (models / f"{name}.sql").exists()
        except (OSError, ValueError) as error:  # too long, a NUL, half a surrogate pair
            message = f"output_dir cannot be a folder: {error}"
            raise CallError(message) from None
        for path, place in zip(paths, places, strict=True):
            if not place.is_relative_to(here):
                message = f"{path} is outside the working folder {here}. Name an output_dir in it."
                raise CallError(message)
        if is_model:
            message = f"{models / name}.sql is there: in dbt a model and a seed cannot have one name. Choose another."
            raise CallError(message)
        return paths

    def _file(self, path: Path, content: bytes) -> DbtFile:
        with telling(str(path)):
            known = path.read_bytes() if path.is_file() else None
            action = "created" if known is None else "unchanged" if known == content else "changed"
            if action != "unchanged" and not self.dry_run:
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened(path) as output:
                    output.write(content)
        return DbtFile(path, action)


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        message = f"tags: {tags!r} is one; write a list of them."
        raise CallError(message)
    return tuple(tags)


def _read(path: Path) -> str:
    """The text of the file at `path`, nothing where there is none. Raises OutputError where it cannot be read."""
    if not path.exists():
        return ""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read ({type(error).__name__}). Nothing is written."
        raise OutputError(message) from None
