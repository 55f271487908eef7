"""Each format as what takes rows as they come: the JSON ones take pages as they are, the others tables.

Where a block ends with an error, there is no file, and a buffer has what had come: no reader of json, parquet, arrow or
duckdb takes that for a whole, but ndjson and csv are whole lines.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from apikit_sql.column_types import Column
from apikit_sql.engine.steps import Page
from apikit_sql.errors import OutputError
from apikit_sql.identifiers import quoted
from apikit_sql.output.tables import LONG_DECIMAL, portable, portable_schema
from apikit_sql.output.target import Target, opened, path_of, replaced, telling
from apikit_sql.scan.decode import json_records
from apikit_sql.scan.schema import arrow_schema

WritePage = Callable[[Page], None]
WriteTable = Callable[[pa.Table], None]

_ENOUGH_ROWS = 122_880  # a row group of DuckDB's
_ENOUGH_BYTES = 64 << 20
#: By every DuckDB that this package runs on; left alone, 2.0 writes what 1.x cannot read.
_READABLE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "v1.4.0"}


@contextmanager
def json_lines(target: Target) -> Iterator[WritePage]:
    """A record a line, as the API has sent it."""
    with _text_output(target) as output:

        def write(page: Page) -> None:
            output.write(b"".join(_one_line(text) + b"\n" for text in json_records(page)))

        yield write


@contextmanager
def json_list(target: Target) -> Iterator[WritePage]:
    """One JSON list with a record a line, as the API has sent it."""
    with _text_output(target) as output:
        before = b"[\n"

        def write(page: Page) -> None:
            nonlocal before
            for text in json_records(page):
                output.write(before + _one_line(text))
                before = b",\n"

        yield write
        output.write(b"[]\n" if before == b"[\n" else b"\n]\n")


@contextmanager
def csv_file(target: Target, columns: Sequence[Column]) -> Iterator[WriteTable]:
    """Comma-separated values (RFC 4180, UTF-8, LF): NULL is nothing, an empty text is `""`.

    In a single column both are `""`: readers skip an empty line, and with it the row.
    """
    own = portable_schema(arrow_schema(columns), LONG_DECIMAL)
    is_single = len(columns) == 1
    as_text = [is_single or isinstance(field.type, pa.JsonType) for field in own]
    schema = pa.schema([(f.name, pa.string() if is_text else f.type) for f, is_text in zip(own, as_text, strict=True)])
    with _text_output(target) as output:
        writer = pa.csv.CSVWriter(output, schema)

        def write(table: pa.Table) -> None:
            rows = portable(table, LONG_DECIMAL).cast(schema)
            writer.write_table(rows.set_column(0, schema[0], rows.column(0).fill_null("")) if is_single else rows)

        yield write
        writer.close()


@contextmanager
def parquet_file(target: Target, columns: Sequence[Column]) -> Iterator[WriteTable]:
    """Parquet, compressed by zstd."""
    with opened(target) as output:
        writer = pq.ParquetWriter(output, portable_schema(arrow_schema(columns)), compression="zstd")
        yield lambda table: writer.write_table(portable(table))
        writer.close()


@contextmanager
def arrow_file(target: Target, columns: Sequence[Column]) -> Iterator[WriteTable]:
    """An Arrow IPC file, not compressed, so that it can be mapped into memory."""
    with opened(target) as output:
        writer = pa.ipc.new_file(output, portable_schema(arrow_schema(columns)))
        yield lambda table: writer.write_table(portable(table))
        writer.close()


@contextmanager
def duckdb_file(target: Target, columns: Sequence[Column]) -> Iterator[WriteTable]:
    """A DuckDB database with the table `data`."""
    path = path_of(target)
    if path is None:
        with tempfile.TemporaryDirectory(prefix="apikit-") as folder:
            inside = Path(folder) / "data.duckdb"
            with duckdb_file(inside, columns) as write:
                yield write
            with opened(target) as output, inside.open("rb") as file:
                shutil.copyfileobj(file, output)
        return
    _refuse_log(path)
    with replaced(path) as beside, _private_folder(path, beside.parent) as folder:
        inside = folder / "data.duckdb"
        with _telling(path), closing(duckdb.connect(inside, config=_READABLE)) as con:
            yield from _inserting(con, path, columns)
        with telling(str(path)):
            inside.chmod(stat.S_IMODE(beside.stat().st_mode))
            inside.replace(beside)


@contextmanager
def _private_folder(path: Path, parent: Path) -> Iterator[Path]:
    """A folder that only its owner enters: DuckDB makes its file, and the log of it, of the usual mode."""
    with telling(str(path)):
        folder = tempfile.TemporaryDirectory(prefix=".apikit-", dir=parent)
    with folder as name:
        yield Path(name)


def _refuse_log(path: Path) -> None:
    """Raise OutputError where the log of another database would be read with the new one."""
    with telling(str(path)):
        logs = [log for place in (path, os.path.realpath(path)) if (log := Path(f"{place}.wal")).exists()]
    if logs:
        message = f"cannot write {path}: {logs[0]} is beside it, so the database is open, or was not closed. Close it."
        raise OutputError(message)


def _inserting(con: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[Column]) -> Iterator[WriteTable]:
    """What puts tables into the table `data`, all in one transaction."""
    con.begin()
    con.execute(f"CREATE TABLE data ({', '.join(f'{quoted(each.name)} {each.type}' for each in columns)})")

    def write(table: pa.Table) -> None:
        with _telling(path):
            con.from_arrow(table).insert_into("data")

    yield write
    con.commit()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """While inside, what DuckDB says is OutputError about `path`."""
    try:
        yield
    except duckdb.Error as error:
        message = f"cannot write {path}: {str(error).splitlines()[0]}"
        raise OutputError(message) from error


@contextmanager
def joined(write: WriteTable) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """What joins batches to tables that are large enough, and then writes them."""
    held: list[pa.RecordBatch] = []
    rows = size = 0

    def add(batch: pa.RecordBatch) -> None:
        nonlocal rows, size
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _ENOUGH_ROWS or size >= _ENOUGH_BYTES:
            write_held()

    def write_held() -> None:
        nonlocal rows, size
        write(pa.Table.from_batches(held))
        held.clear()
        rows = size = 0

    yield add
    if held:
        write_held()


@contextmanager
def _text_output(target: Target) -> Iterator[IO[bytes]]:
    """The output of `target`, compressed where its name ends in `.gz`."""
    path = path_of(target)
    with opened(target) as output:
        if path is None or path.suffix != ".gz":
            yield output  # type: ignore[misc]
        else:
            with gzip.GzipFile(fileobj=output, mode="wb", filename="", mtime=0) as packed:
                yield packed  # type: ignore[misc]


def _one_line(text: str) -> bytes:
    """A JSON text on one line: a line break in a string is written as an escape anyway."""
    return text.replace("\r", " ").replace("\n", " ").encode()
