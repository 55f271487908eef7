"""Python's records as pages, and the columns of pages: inferred as SQL's are, but from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

from apikit_sql.column_types import JSON, Column, ColumnType, ListOf, Struct, parse_type
from apikit_sql.engine.steps import Page, page_of
from apikit_sql.errors import CallError
from apikit_sql.flatten import checked, distinct_names, field_name, to_json
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.scan.decode import read_records
from apikit_sql.scan.schema import infer_columns

Records = Iterable[Mapping[str, Any]]

#: No value for columns that records lack.
NO_FILLS: Mapping[str, object] = MappingProxyType({})

_RECORDS_A_PAGE = 10_000


def pages_of(records: Records) -> Iterator[Page]:
    """The records as pages, made as they are read. Raises CallError for one that is no dict, or is no JSON."""
    texts = (to_json(checked(record, number)).encode() for number, record in enumerate(records, 1))
    number = 0
    while some := list(islice(texts, _RECORDS_A_PAGE)):
        number += 1
        yield page_of(b"[" + b",".join(some) + b"]", "records", number)


def inferred_columns(pages: Iterable[Page], *, flatten: bool) -> tuple[Column, ...]:
    """The columns that hold every value of `pages` exactly, none where there are no records.

    `flatten` makes a column of each field of an object, and JSON of lists.
    """
    records = [record for page in pages for record in read_records(page)]
    plan = ScanPlan(RequestPlan("records", "", ""), nested="flatten" if flatten else "struct")
    return infer_columns(plan, records) if records else ()


def columns_for(pages: Iterable[Page], known: Sequence[Column] | None, *, flatten: bool) -> tuple[Column, ...]:
    """The `known` columns, else those inferred of `pages`; `flatten` does the same to both."""
    if known is None:
        return inferred_columns(pages, flatten=flatten)
    return flat_columns(known) if flatten else tuple(known)


def declared_columns(types: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns of these names and types. Raises CallError for a type that is none, and for names alike."""
    if len({name.lower() for name in types}) < len(types):
        message = "two of the declared columns differ by case only, which DuckDB does not tell apart."
        raise CallError(message)
    try:
        return tuple(Column(name, parse_type(kind), (name,), declared=True) for name, kind in types.items())
    except ValueError as error:
        raise CallError(str(error)) from None


def flat_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns with one for each field of a STRUCT, and JSON in place of lists."""
    flat = [replace(column, type=kind, path=column.path + path, name=field_name((column.name, *path)))
            for column in columns for path, kind in _leaves(column.type, has_path=bool(column.path))]  # fmt: skip
    names = distinct_names(column.name for column in flat)
    return tuple(replace(column, name=name) for column, name in zip(flat, names, strict=True))


def _leaves(kind: ColumnType, *, has_path: bool) -> Iterator[tuple[tuple[str, ...], ColumnType]]:
    """Each flat part of a value of `kind`: its path and its type. What is the whole record stays together."""
    if isinstance(kind, Struct) and has_path:
        for name, field in kind.fields:
            for path, leaf in _leaves(field, has_path=True):
                yield (name, *path), leaf
    else:
        yield (), JSON if isinstance(kind, Struct | ListOf) else kind
