"""get_writer(): records, or the pages of a scan, to a file or a buffer of one of seven formats."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from apikit_sql.column_types import Column
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import Page
from apikit_sql.errors import CallError, ConfigError
from apikit_sql.output.columns import NO_FILLS, Records, declared_columns, flat_columns, inferred_columns, pages_of
from apikit_sql.output.formats import (
    WritePage,
    WriteTable,
    arrow_file,
    csv_file,
    duckdb_file,
    joined,
    json_lines,
    json_list,
    parquet_file,
)
from apikit_sql.output.target import Target, check, path_of
from apikit_sql.plan.request_plan import OnDrift
from apikit_sql.scan.batches import project
from apikit_sql.scan.decode import PageDecoder

Format = Literal["parquet", "ndjson", "jsonl", "json", "csv", "arrow", "duckdb"]

#: The formats that keep records as they are.
_OF_RECORDS: dict[Format, Callable[[Target], AbstractContextManager[WritePage]]] = {
    "ndjson": json_lines,
    "jsonl": json_lines,
    "json": json_list,
}
#: The formats of columns.
_OF_COLUMNS: dict[Format, Callable[[Target, Sequence[Column]], AbstractContextManager[WriteTable]]] = {
    "parquet": parquet_file,
    "csv": csv_file,
    "arrow": arrow_file,
    "duckdb": duckdb_file,
}


def get_writer(format: str) -> Writer:  # noqa: A002 - the word that users write
    """The writer of `format`: parquet, ndjson, jsonl (the same), json, csv, arrow or duckdb.

    Raises ConfigError for any other.
    """
    for known in get_args(Format):
        if known == format:
            return Writer(known)
    near = difflib.get_close_matches(str(format).lower(), get_args(Format), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    message = f"{format!r} is no output format. {hint}Formats are {', '.join(get_args(Format))}."
    raise ConfigError(message)


@dataclass(frozen=True)
class Writer:
    """Writes records in one format. A file takes its place when it is whole; until then what was there stays."""

    format: Format

    @property
    def needs_columns(self) -> bool:
        """Whether the format is of columns; the others keep records as they are."""
        return self.format in _OF_COLUMNS

    def check(self, target: Target) -> None:
        """Raise CallError where `target` is nothing to write to, or a file of another format by its name.

        OutputError where there can be no file.
        """
        path = path_of(target)
        suffixes = [] if path is None else [each[1:].lower() for each in path.suffixes if each != ".gz"]
        named = suffixes[-1] if suffixes else self.format
        are_json = {named, self.format} <= _OF_RECORDS.keys()
        if named in get_args(Format) and named != self.format and not are_json:
            message = f"{path} is the name of a file of {named}, but the format is {self.format}."
            raise CallError(message)
        check(target)

    def write(self, records: Records, target: Target, *, columns: Mapping[str, str] | None = None) -> None:
        """Write dicts to a path, or to a binary file object, which stays open.

        Columns are inferred from all the records, or declared, `{"id": "BIGINT"}`. Raises CallError for records that
        are no JSON objects, or where there are none to infer columns from; OutputError where `target` cannot be
        written; SchemaDriftError for a value that a declared column cannot hold.
        """
        self.check(target)
        pages: Iterable[Page] = pages_of(records)
        chosen = None if columns is None else declared_columns(columns)
        if chosen is None and self.needs_columns:
            pages = list(pages)
            chosen = inferred_columns(pages, flatten=self.format == "csv")
            if not chosen:
                message = f"{self.format}: no records to infer columns from. Declare them: columns={{'id': 'BIGINT'}}."
                raise CallError(message)
        with self.open(target, chosen) as write:
            for page in pages:
                write(page)

    @contextmanager
    def open(
        self,
        target: Target,
        columns: Sequence[Column] | None = None,
        *,
        on_drift: OnDrift = "error",
        record: ScanRecord | None = None,
        fills: Mapping[str, object] = NO_FILLS,
    ) -> Iterator[WritePage]:
        """What writes one page after the other to `target`, whole when the block ends without an error.

        A format of columns needs `columns`, the others leave them aside; CSV makes one of each field of a STRUCT. What
        does not fit them is told or counted (in `record`) as in a scan; one of `fills` that records lack has its value.
        """
        if not self.needs_columns:
            with _OF_RECORDS[self.format](target) as write:
                yield write
            return
        if not columns:
            message = f"{self.format} is a format of columns: which are they?"
            raise CallError(message)
        chosen = flat_columns(columns) if self.format == "csv" else tuple(columns)
        decoder = PageDecoder(chosen, on_drift=on_drift, record=record, has_options=record is not None)
        with _OF_COLUMNS[self.format](target, chosen) as write_table, joined(write_table) as add:
            yield lambda page: add(project(decoder.decode(page, fills), chosen))
