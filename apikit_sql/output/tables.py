"""Pages as Arrow tables, in types that every reader of Arrow and Parquet knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import pyarrow as pa

from apikit_sql.column_types import Column
from apikit_sql.engine.steps import Page
from apikit_sql.errors import OutputError
from apikit_sql.output.columns import NO_FILLS, columns_for
from apikit_sql.scan.batches import project
from apikit_sql.scan.decode import PageDecoder
from apikit_sql.scan.schema import arrow_schema

#: What 128 bits are elsewhere: Arrow has no such integer, and no database reads longer decimals.
_DECIMAL = pa.decimal128(38, 0)
#: Every HUGEINT as a decimal.
LONG_DECIMAL = pa.decimal256(39, 0)


def arrow_table(
    pages: Iterable[Page],
    columns: Sequence[Column] | None = None,
    *,
    fills: Mapping[str, object] = NO_FILLS,
    flatten: bool = False,
) -> pa.Table:
    """The records of `pages` as a table of `columns`, or of the ones inferred from all of them.

    A column of `fills` that records lack has its value. HUGEINT is decimal128(38, 0): raises OutputError for a value
    with 39 digits.
    """
    held = list(pages)
    chosen = columns_for(held, columns, flatten=flatten)
    decoder = PageDecoder(chosen, has_options=False)
    batches = [project(decoder.decode(page, fills), chosen) for page in held] if chosen else []
    return portable(pa.Table.from_batches(batches, arrow_schema(chosen)))


def portable(table: pa.Table, huge: pa.DataType = _DECIMAL) -> pa.Table:
    """`table` with decimals of the type `huge` in place of DuckDB's HUGEINT."""
    schema = portable_schema(table.schema, huge)
    if schema.equals(table.schema):
        return table
    columns = [
        pa.chunked_array([_portable(chunk, huge) for chunk in column.chunks], field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def portable_schema(schema: pa.Schema, huge: pa.DataType = _DECIMAL) -> pa.Schema:
    """What `portable` makes of `schema`."""
    return pa.schema([(field.name, _portable_type(field.type, huge)) for field in schema])


def with_text(table: pa.Table) -> pa.Table:
    """`table` in types that every library has: as `portable`, and with text in place of JSON."""
    return portable(table).cast(with_text_schema(table.schema))


def with_text_schema(schema: pa.Schema) -> pa.Schema:
    """What `with_text` makes of `schema`."""
    return pa.schema([(field.name, _with_text(field.type)) for field in portable_schema(schema)])


def _with_text(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.JsonType):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_text(field.type)) for field in kind])
    return pa.list_(_with_text(kind.value_type)) if pa.types.is_list(kind) else kind


def _portable_type(kind: pa.DataType, huge: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.OpaqueType):
        return huge
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _portable_type(field.type, huge)) for field in kind])
    return pa.list_(_portable_type(kind.value_type, huge)) if pa.types.is_list(kind) else kind


def _portable(array: pa.Array, huge: pa.DataType) -> pa.Array:
    kind = _portable_type(array.type, huge)
    if kind == array.type:
        return array
    if isinstance(array.type, pa.OpaqueType):
        values = [None if v is None else int.from_bytes(v, "little", signed=True) for v in array.storage.to_pylist()]
        try:
            return pa.array([None if value is None else Decimal(value) for value in values], huge)
        except pa.ArrowInvalid:
            most = max((value for value in values if value is not None), key=abs)
            message = (
                f"{most} has more than the {huge.precision} digits of a DECIMAL. Declare VARCHAR, or write duckdb."
            )
            raise OutputError(message) from None
    if pa.types.is_struct(kind):
        children = [_portable(child, huge) for child in array.flatten()]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=array.is_null())
    values = _portable(array.values, huge)
    return pa.ListArray.from_arrays(array.offsets, values, type=kind, mask=array.is_null())
