"""Values as text: DuckDB's own, so that they read as they do in its shell."""

from __future__ import annotations

import contextlib
import io

import duckdb
import pyarrow as pa

from apikit_sql.cli.settings import Settings
from apikit_sql.sql.catalog import literal

Texts = list[tuple[str | None, ...]]

#: Types whose text is a JSON number or boolean as it stands. Others, larger ones too, are JSON texts, as DuckDB has it.
_PLAIN = frozenset({"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})
_FLOATING = frozenset({"FLOAT", "DOUBLE"})
_NESTED = ("STRUCT(", "MAP(", "UNION(", "TUPLE(")
#: Rows that stand for those left out: DuckDB's box leaves out no fewer than four, and counts no fewer than ten.
_BEYOND = 10
_WIDEST = 1_000_000


class DuckDBTexts:
    """What asks DuckDB for the texts of values, on a database of its own: that of a statement may be busy with it."""

    def __init__(self) -> None:
        """Texts of times are those of UTC."""
        self._con = duckdb.connect()
        self.set_time_zone("UTC")

    def set_time_zone(self, name: str) -> None:
        """Texts of times are those of this time zone from now on."""
        self._con.execute("SET TimeZone = " + literal(name))

    def texts(self, batch: pa.RecordBatch) -> Texts:
        """The texts of the values of `batch`, None for NULL."""
        return self._asked(batch, [_text(name) for name in batch.schema.names])

    def json(self, batch: pa.RecordBatch, types: list[str]) -> Texts:
        """The values of `batch` as JSON, None for NULL."""
        pairs = zip(batch.schema.names, types, strict=True)
        return self._asked(batch, [_json(name, kind) for name, kind in pairs])

    def box(self, ends: Ends, names: list[str], settings: Settings, width: int) -> str:
        """The rows of `ends` as DuckDB shows them, in `width` columns at most; in any number where that is 0."""
        table = ends.table()
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            self._con.from_arrow(table.rename_columns(names)).show(
                max_rows=settings.most_rows, max_width=width or _WIDEST, null_value=settings.null_value
            )
        text = shown.getvalue().rstrip("\n") + "\n"
        return text if ends.rows == len(table) else _with_count(text, len(table), ends.rows)

    def close(self) -> None:
        """Close the database."""
        self._con.close()

    def _asked(self, batch: pa.RecordBatch, expressions: list[str]) -> Texts:
        return self._con.from_arrow(batch).project(", ".join(expressions)).fetchall()


class Ends:
    """The first and the last rows of a result, as many as a box shows, and how many there are in all."""

    def __init__(self, empty: pa.Table, most: int) -> None:
        """No rows yet, as in the table `empty`; a box shows `most`."""
        self._first, self._last, self._most = most - most // 2, most // 2, most + _BEYOND
        self._head, self._tail = [empty], empty
        self.rows = 0

    def take(self, batch: pa.RecordBatch) -> None:
        """More rows."""
        table = pa.Table.from_batches([batch])
        if self.rows < self._most:
            self._head.append(table.slice(0, self._most - self.rows))
        self.rows += len(batch)
        tail = pa.concat_tables([self._tail, table])
        self._tail = tail.slice(max(len(tail) - self._last, 0))

    def table(self) -> pa.Table:
        """Those that are shown; where some are not, so many more between them that DuckDB leaves out some, too."""
        head = pa.concat_tables(self._head)
        if self.rows <= len(head):
            return head
        return pa.concat_tables([head.slice(0, self._first + _BEYOND), self._tail])


def unique(names: list[str]) -> list[str]:
    """`names`, each of them once: a box needs that."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free.lower() in {each.lower() for each in found}:
            free, number = f"{name}_{number}", number + 1
        found.append(free)
    return found


def _with_count(text: str, shown: int, rows: int) -> str:
    """`text` with the true number of `rows` in its last lines, which tell that of the rows it was given."""
    head, mark, tail = text.rpartition(f"{shown} rows")
    return f"{head}{rows} rows{tail}" if mark else text


def _text(name: str) -> str:
    return f'CAST("{name}" AS VARCHAR)'


def _json(name: str, kind: str) -> str:
    text = _text(name)
    as_json, quoted = f'CAST(to_json("{name}") AS VARCHAR)', f"CAST(to_json({text}) AS VARCHAR)"
    if kind in _PLAIN:
        return text
    if kind in _FLOATING:
        return f'CASE WHEN isfinite("{name}") THEN {as_json} ELSE {quoted} END'
    if kind == "JSON" or kind.endswith("]") or kind.startswith(_NESTED):
        return as_json
    return quoted
