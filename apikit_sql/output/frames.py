"""Records as data frames, with the columns that SQL would infer. polars (180 MB, 0.35 s) and pandas are extras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, assert_never

import pyarrow as pa

from apikit_sql.column_types import Column, ColumnType, ListOf, Scalar, ScalarName, Struct
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ConfigError
from apikit_sql.output.columns import NO_FILLS, Records, columns_for, inferred_columns, pages_of
from apikit_sql.output.tables import arrow_table, with_text
from apikit_sql.scan.decode import PageDecoder
from apikit_sql.scan.scalars import storage_type

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_DTYPES: dict[ScalarName, str] = {
    "BOOLEAN": "Boolean",
    "INTEGER": "Int32",
    "BIGINT": "Int64",
    "HUGEINT": "Int128",
    "DOUBLE": "Float64",
    "VARCHAR": "String",
    "DATE": "Date",
    "JSON": "String",
}


def records_to_polars(records: Records, *, flatten: bool = True) -> pl.DataFrame:
    """A data frame of the records: objects as columns `a__b` and lists as JSON text, or, not flat, as Struct and List.

    Each column has the type that holds all of its values exactly: integers beyond 64 bits are Int128, dates and times
    in ISO 8601 are Date and Datetime, and what is of several kinds is JSON text. Raises CallError for what is no
    record, and ConfigError where polars is not installed.
    """
    return polars_frame(pages_of(records), flatten=flatten)


def infer_polars_schema(records: Records, *, flatten: bool = True) -> pl.Schema:
    """The names and types of the columns that `records_to_polars` gives."""
    columns = inferred_columns(pages_of(records), flatten=flatten)
    schema: pl.Schema = _polars().Schema({column.name: _dtype(column.type) for column in columns})
    return schema


def polars_frame(
    pages: Iterable[Page],
    columns: Sequence[Column] | None = None,
    *,
    fills: Mapping[str, object] = NO_FILLS,
    flatten: bool = True,
) -> pl.DataFrame:
    """The records of `pages` as a data frame of `columns`, or of the ones inferred from all of them.

    A column of `fills` that records lack has its value.
    """
    polars = _polars()
    held = list(pages)
    chosen = columns_for(held, columns, flatten=flatten)
    if not chosen:
        empty: pl.DataFrame = polars.DataFrame()
        return empty
    decoder = PageDecoder(chosen, has_options=False)
    batches = [decoder.decode(page, fills) for page in held]
    table = pa.Table.from_batches(batches, pa.schema([(c.name, storage_type(c.type)) for c in chosen]))
    frame: pl.DataFrame = polars.DataFrame(table)
    huge = [_as_integers(polars.col(c.name), c.type) for c in chosen if _has_huge(c.type)]
    return frame.with_columns(huge).rechunk() if huge else frame.rechunk()


def pandas_frame(
    pages: Iterable[Page],
    columns: Sequence[Column] | None = None,
    *,
    fills: Mapping[str, object] = NO_FILLS,
    flatten: bool = True,
) -> pd.DataFrame:
    """The records of `pages` as a data frame of Arrow's types, so that nothing is rounded; JSON is text.

    As `polars_frame`. Raises ConfigError where pandas is not installed.
    """
    need("pandas")
    import pandas as pd  # noqa: PLC0415 - an extra

    table = with_text(arrow_table(pages, columns, fills=fills, flatten=flatten))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def need(library: Literal["polars", "pandas"]) -> None:
    """Raise ConfigError where `library`, which is an extra, is not installed; it is not imported yet."""
    if find_spec(library) is None:
        message = f"{library} is not installed: pip install 'apikit_sql[{library}]'."
        raise ConfigError(message)


def _polars() -> Any:  # noqa: ANN401 - the module
    need("polars")
    import polars as pl  # noqa: PLC0415 - an extra

    return pl


def _dtype(kind: ColumnType) -> Any:  # noqa: ANN401 - a polars type
    polars = _polars()
    match kind:
        case Scalar("TIMESTAMP"):
            return polars.Datetime("us")
        case Scalar("TIMESTAMPTZ"):
            return polars.Datetime("us", "UTC")
        case Scalar(name):
            return getattr(polars, _DTYPES[name])
        case Struct(fields):
            return polars.Struct({name: _dtype(field) for name, field in fields})
        case ListOf(element):
            return polars.List(_dtype(element))
        case _:
            assert_never(kind)


def _has_huge(kind: ColumnType) -> bool:
    match kind:
        case Scalar():
            return kind == Scalar("HUGEINT")
        case Struct(fields):
            return any(_has_huge(field) for _, field in fields)
        case ListOf(element):
            return _has_huge(element)
        case _:
            assert_never(kind)


def _as_integers(values: pl.Expr, kind: ColumnType) -> pl.Expr:
    """`values` of `kind` with integers in place of the 16 bytes that each HUGEINT is."""
    polars = _polars()
    match kind:
        case Struct(fields):
            huge = [_as_integers(polars.field(name), field) for name, field in fields if _has_huge(field)]
            return values.struct.with_fields(huge)
        case ListOf(element):
            return values.list.eval(_as_integers(polars.element(), element))
        case _:
            return values.bin.reinterpret(dtype=polars.Int128, endianness="little")
