"""What Apikit fetches: records, data frames, Arrow, a file. A method is plan, run, finish; only run has a twin.

Run reads the pages and finishes on this thread (`_run`), or reads them in this task and finishes on a thread (`_arun`),
for decoding would hold up the loop. With `dry_run` nothing is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

import pyarrow as pa

from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.facade.caller import Caller
from apikit_sql.facade.dry_run import DryRunResult, shown
from apikit_sql.facade.options import Asked, FetchOptions, FileOptions, FrameOptions, asked_of, check_flag
from apikit_sql.facade.reading import areading, in_thread, reading, remembering
from apikit_sql.output.frames import need, pandas_frame, polars_frame
from apikit_sql.output.tables import arrow_table
from apikit_sql.output.target import Target
from apikit_sql.output.writer import Writer, get_writer
from apikit_sql.scan.dataset import columns_of
from apikit_sql.scan.decode import read_records

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Record = dict[str, Any]
T = TypeVar("T")
#: What all pages become.
Finish = Callable[[list[Page]], T]
Yes = Literal[True]
No = Literal[False]


class Fetching(Caller):
    """The half of Apikit that reads."""

    @overload
    def fetch_records(self, endpoint: str, *, dry_run: No = False, **options: Unpack[FetchOptions]) -> list[Record]: ...
    @overload
    def fetch_records(self, endpoint: str, *, dry_run: Yes, **options: Unpack[FetchOptions]) -> DryRunResult: ...
    def fetch_records(
        self, endpoint: str, *, dry_run: bool = False, **options: Unpack[FetchOptions]
    ) -> list[Record] | DryRunResult:
        """The records of `endpoint` as dicts, as they came; of a list of values each is `{"value": ...}`."""
        asked = self._asked(endpoint, options, FetchOptions, dry_run=dry_run)
        return shown(asked.plan.request) if dry_run else self._run(asked, records_of)

    @overload
    async def afetch_records(
        self, endpoint: str, *, dry_run: No = False, **options: Unpack[FetchOptions]
    ) -> list[Record]: ...
    @overload
    async def afetch_records(self, endpoint: str, *, dry_run: Yes, **options: Unpack[FetchOptions]) -> DryRunResult: ...
    async def afetch_records(
        self, endpoint: str, *, dry_run: bool = False, **options: Unpack[FetchOptions]
    ) -> list[Record] | DryRunResult:
        """The records of `endpoint` as dicts, as they came; of a list of values each is `{"value": ...}`."""
        asked = self._asked(endpoint, options, FetchOptions, dry_run=dry_run)
        return shown(asked.plan.request) if dry_run else await self._arun(asked, records_of)

    @overload
    def fetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pl.DataFrame: ...
    @overload
    def fetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    def fetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pl.DataFrame | DryRunResult:
        """The records of `endpoint` as a polars data frame: objects as columns `a__b` and lists as JSON text.

        Not flat, they are Struct and List. Columns hold every value of all pages exactly.
        """
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        if dry_run:
            return shown(asked.plan.request)
        need("polars")
        finish = partial(polars_frame, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return self._run(asked, finish)

    @overload
    async def afetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pl.DataFrame: ...
    @overload
    async def afetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    async def afetch_polars(
        self, endpoint: str, *, flatten: bool = True, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pl.DataFrame | DryRunResult:
        """The records of `endpoint` as a polars data frame: objects as columns `a__b` and lists as JSON text.

        Not flat, they are Struct and List. Columns hold every value of all pages exactly.
        """
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        if dry_run:
            return shown(asked.plan.request)
        need("polars")
        finish = partial(polars_frame, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return await self._arun(asked, finish)

    @overload
    def fetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pd.DataFrame: ...
    @overload
    def fetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    def fetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pd.DataFrame | DryRunResult:
        """The records of `endpoint` as a pandas data frame of Arrow's types: objects as columns `a__b`, lists as text.

        Not flat, they are struct and list. Columns hold every value of all pages exactly.
        """
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        if dry_run:
            return shown(asked.plan.request)
        need("pandas")
        finish = partial(pandas_frame, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return self._run(asked, finish)

    @overload
    async def afetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pd.DataFrame: ...
    @overload
    async def afetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    async def afetch_pandas(
        self, endpoint: str, *, flatten: bool = True, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pd.DataFrame | DryRunResult:
        """The records of `endpoint` as a pandas data frame of Arrow's types: objects as columns `a__b`, lists as text.

        Not flat, they are struct and list. Columns hold every value of all pages exactly.
        """
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        if dry_run:
            return shown(asked.plan.request)
        need("pandas")
        finish = partial(pandas_frame, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return await self._arun(asked, finish)

    @overload
    def fetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pa.Table: ...
    @overload
    def fetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    def fetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pa.Table | DryRunResult:
        """The records of `endpoint` as an Arrow table. Columns hold every value of all pages exactly."""
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        finish = partial(arrow_table, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return shown(asked.plan.request) if dry_run else self._run(asked, finish)

    @overload
    async def afetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: No = False, **options: Unpack[FrameOptions]
    ) -> pa.Table: ...
    @overload
    async def afetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: Yes, **options: Unpack[FrameOptions]
    ) -> DryRunResult: ...
    async def afetch_arrow(
        self, endpoint: str, *, flatten: bool = False, dry_run: bool = False, **options: Unpack[FrameOptions]
    ) -> pa.Table | DryRunResult:
        """The records of `endpoint` as an Arrow table. Columns hold every value of all pages exactly."""
        asked = self._asked(endpoint, options, FrameOptions, flatten=flatten, dry_run=dry_run)
        finish = partial(arrow_table, columns=asked.plan.columns, fills=asked.fills, flatten=flatten)
        return shown(asked.plan.request) if dry_run else await self._arun(asked, finish)

    @overload
    def fetch_to_file(
        self, endpoint: str, *, format: str, file_path: Target, dry_run: No = False, **options: Unpack[FileOptions]
    ) -> None: ...
    @overload
    def fetch_to_file(
        self, endpoint: str, *, format: str, file_path: Target, dry_run: Yes, **options: Unpack[FileOptions]
    ) -> DryRunResult: ...
    def fetch_to_file(
        self,
        endpoint: str,
        *,
        format: str,  # noqa: A002 - the word that users write
        file_path: Target,
        dry_run: bool = False,
        **options: Unpack[FileOptions],
    ) -> DryRunResult | None:
        """Write the records of `endpoint`, a page at a time, to a path or a binary file object.

        Columns are those of the first page, where the format has any. Raises OutputError, and SchemaDriftError for a
        later value that does not fit; then a file that was there before is unchanged, and a buffer has what had come.
        """
        writer = get_writer(format)
        known = FileOptions if writer.needs_columns else FetchOptions
        asked = self._asked(endpoint, options, known, dry_run=dry_run)
        writer.check(file_path)
        if dry_run:
            return shown(asked.plan.request, output_format=writer.format, target=file_path)
        _write(self._session, asked, writer, file_path, Event())
        return None

    @overload
    async def afetch_to_file(
        self, endpoint: str, *, format: str, file_path: Target, dry_run: No = False, **options: Unpack[FileOptions]
    ) -> None: ...
    @overload
    async def afetch_to_file(
        self, endpoint: str, *, format: str, file_path: Target, dry_run: Yes, **options: Unpack[FileOptions]
    ) -> DryRunResult: ...
    async def afetch_to_file(
        self,
        endpoint: str,
        *,
        format: str,  # noqa: A002 - the word that users write
        file_path: Target,
        dry_run: bool = False,
        **options: Unpack[FileOptions],
    ) -> DryRunResult | None:
        """Write the records of `endpoint`, a page at a time, to a path or a binary file object.

        Columns are those of the first page, where the format has any. Raises OutputError, and SchemaDriftError for a
        later value that does not fit; then a file that was there before is unchanged, and a buffer has what had come.
        """
        writer = get_writer(format)
        known = FileOptions if writer.needs_columns else FetchOptions
        asked = self._asked(endpoint, options, known, dry_run=dry_run)
        writer.check(file_path)
        if dry_run:
            return shown(asked.plan.request, output_format=writer.format, target=file_path)
        return await in_thread(self._session, partial(_write, self._session, asked, writer, file_path))

    def stream(self, endpoint: str, **options: Unpack[FetchOptions]) -> Generator[Record]:
        """The records of `endpoint` as they come, of all pages unless told otherwise. Breaking off stops them."""
        asked = self._asked(endpoint, {"paginate": True, **options}, FetchOptions)
        with reading(self._session, asked, Event()) as scan:
            for page in scan.pages:
                yield from records_of([page])

    async def astream(self, endpoint: str, **options: Unpack[FetchOptions]) -> AsyncGenerator[Record]:
        """The records of `endpoint` as they come, of all pages unless told otherwise. Breaking off stops them."""
        asked = self._asked(endpoint, {"paginate": True, **options}, FetchOptions)
        async with areading(self._session, asked, Event()) as pages:
            async for page in pages:
                for record in records_of([page]):
                    yield record

    def _asked(self, endpoint: str, options: FetchOptions, known: type[FetchOptions], **flags: bool) -> Asked:
        for name, value in flags.items():
            check_flag(name, value)
        return asked_of(self._connector, self._usual, endpoint, options, known)

    def _run(self, asked: Asked, finish: Finish[T]) -> T:
        with reading(self._session, asked, Event()) as scan:
            pages = list(scan.pages)
        return _finished(self._session, pages, finish)

    async def _arun(self, asked: Asked, finish: Finish[T]) -> T:
        async with areading(self._session, asked, Event()) as scan:
            pages = [page async for page in scan]
        return await in_thread(self._session, lambda _: _finished(self._session, pages, finish), "finishing")


def _finished(session: Session, pages: list[Page], finish: Finish[T]) -> T:
    with remembering(session):
        return finish(pages)


def records_of(pages: Iterable[Page]) -> list[Record]:
    """The records of `pages`; what is no object is one with the field `value`, as in SQL.

    Raises DecodeError that names the page whose records cannot be read.
    """
    records = (record for page in pages for record in read_records(page))
    return [record if isinstance(record, dict) else {"value": record} for record in records]


def _write(session: Session, asked: Asked, writer: Writer, target: Target, cancelled: Event) -> None:
    """Write what is `asked` to `target`, a page at a time."""
    with remembering(session):
        columns = columns_of(asked.plan, session, cancelled) if writer.needs_columns else None
    with (
        reading(session, asked, cancelled) as scan,
        writer.open(target, columns, on_drift=asked.plan.on_drift, record=scan.record, fills=asked.fills) as write,
    ):
        for page in scan.pages:
            write(page)
