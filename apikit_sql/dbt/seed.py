"""A table as what dbt loads as a seed: a CSV file, the type of each column, and the tests that its data passes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from apikit_sql.errors import CallError
from apikit_sql.output.tables import with_text

_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"  # noqa: RUF001 - what spreadsheets compute (OWASP: CSV injection)
_LONGEST = 131_072  # characters of a text; dbt reads seeds with Python's csv
_HUGE = pa.decimal128(38, 0)  # how tables have HUGEINT
_TYPES = {
    pa.bool_(): "BOOLEAN", pa.int32(): "INTEGER", pa.int64(): "BIGINT", _HUGE: "HUGEINT", pa.float64(): "DOUBLE",
    pa.date32(): "DATE", pa.timestamp("us"): "TIMESTAMP", pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}  # fmt: skip
_KEYS = frozenset({"INTEGER", "BIGINT", "HUGEINT", "VARCHAR"})
_NOT_IN_NAMES = ('"', "{{", "{%", "{#", "\n", "\r", "\0")


@dataclass(frozen=True)
class SeedColumn:
    """One column as dbt's YAML describes it."""

    name: str
    data_type: str
    description: str = ""
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """A table that was fetched, and what is known of it and its columns besides: texts, SQL types, the key."""

    table: pa.Table
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    primary_key: Sequence[str] = ()


def seed_columns(fetched: Fetched) -> tuple[SeedColumn, ...]:
    """The columns, with the tests that dbt's copy of the data passes.

    An empty text is NULL there. `unique` is for the key, if it is known and one column, else for the first column of
    whole numbers or texts that tells all rows apart. Raises CallError for a name that dbt or DuckDB cannot have.
    """
    names = [checked_column(name) for name in fetched.table.column_names]
    if not names:
        message = "there is nothing to export: no records, and no columns are declared."
        raise CallError(message)
    types = [fetched.types.get(f.name, _TYPES.get(f.type, _other(f.type))) for f in fetched.table.schema]
    texts = with_text(fetched.table)
    whole = {name for name in names if _is_whole(texts.column(name))}
    key = _key(fetched, texts, [name for name, kind in zip(names, types, strict=True) if kind in _KEYS], whole)
    return tuple(
        SeedColumn(
            name,
            kind,
            fetched.descriptions.get(name, ""),
            (("not_null",) if name in whole else ()) + (("unique",) if name == key else ()),
        )
        for name, kind in zip(names, types, strict=True)
    )


def seed_csv(table: pa.Table, columns: Sequence[SeedColumn], *, is_safe: bool = False) -> bytes:
    """The rows as CSV (RFC 4180, UTF-8, LF): NULL is nothing, an empty text is `""`.

    With `is_safe`, a text that a spreadsheet would compute has an apostrophe in front. Raises CallError for a text that
    dbt does not read, and a name that would be computed.
    """
    rows = with_text(table)
    if is_safe:
        for name in rows.column_names:
            if re.match(_FORMULA, name):
                message = f"the column {name!r} has a name that a spreadsheet would compute; rename it in a query."
                raise CallError(message)
        for index, column in enumerate(columns):
            if column.data_type == "VARCHAR":
                rows = rows.set_column(index, column.name, _without_formulas(rows.column(index)))
    _check_lengths(rows)
    if rows.num_columns == 1:  # readers skip an empty line, and with it the row
        rows = rows.set_column(0, rows.column_names[0], rows.column(0).cast(pa.string()).fill_null(""))
    output = io.BytesIO()
    pa_csv.write_csv(rows, output)
    return output.getvalue()


def _check_lengths(rows: pa.Table) -> None:
    for name in rows.column_names:
        texts = rows.column(name)
        if pa.types.is_string(texts.type):
            row = pc.index(pc.greater(pc.utf8_length(texts), _LONGEST), pa.scalar(value=True)).as_py()
            if row >= 0:
                message = (
                    f"the column {name!r} has a text of more than {_LONGEST} characters in row {row + 1}, which dbt "
                    "does not read from a seed; leave it out, or shorten it, in a query."
                )
                raise CallError(message)


def checked_column(name: str) -> str:
    """`name`, if a column of dbt can have it. Raises CallError else."""
    if not name or any(each in name for each in _NOT_IN_NAMES):
        message = f"the column {name!r} has a name that dbt cannot have; rename it in a query."
        raise CallError(message)
    return name


def _other(kind: pa.DataType) -> str:
    if isinstance(kind, pa.JsonType):
        return "JSON"
    return f"DECIMAL({kind.precision}, {kind.scale})" if pa.types.is_decimal(kind) else "VARCHAR"


def _is_whole(values: pa.ChunkedArray) -> bool:
    """Whether every row has a value in dbt's copy, where an empty text is none."""
    if len(values) == 0 or values.null_count:
        return False
    return not pa.types.is_string(values.type) or not pc.any(pc.equal(values, "")).as_py()


def _key(fetched: Fetched, texts: pa.Table, candidates: Sequence[str], whole: set[str]) -> str | None:
    known = list(fetched.primary_key)
    some = known if known and set(known) <= set(texts.column_names) else candidates
    if known == some and len(known) > 1:
        return None
    return next(
        (name for name in some if name in whole and pc.count_distinct(texts.column(name)).as_py() == texts.num_rows),
        None,
    )


def _without_formulas(values: pa.ChunkedArray) -> pa.ChunkedArray:
    shown = pc.binary_join_element_wise("'", values, "")
    return pc.if_else(pc.fill_null(pc.match_substring_regex(values, _FORMULA), fill_value=False), shown, values)
