"""Names as SQL writes them."""

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: DuckDB's reserved words, and those that are functions or types (duckdb_keywords()).
_RESERVED = frozenset(
    """all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check
    collate collation column concurrently constraint create cross default deferrable desc describe distinct do else
    end except false fetch for foreign freeze from full glob group having ilike in initially inner intersect into is
    isnull join lambda lateral leading left like limit natural not notnull null offset on only or order outer
    overlaps pivot pivot_longer pivot_wider placing positional primary qualify references returning right select semi
    show similar some summarize symmetric table tablesample then to trailing true union unique unpack unpivot using
    variadic verbose when where window with""".split()  # noqa: SIM905 - one word beside the other
)


def is_identifier(text: str) -> bool:
    """Whether `text` is letters, digits and `_`: a name that needs no quotes but for a reserved word's sake."""
    return _PLAIN.fullmatch(text) is not None


def quoted(name: str) -> str:
    """`name` in quotes, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def plain(name: str) -> str:
    """`name` as people write it: in quotes only where it needs them."""
    return name if is_identifier(name) and name.lower() not in _RESERVED else quoted(name)
