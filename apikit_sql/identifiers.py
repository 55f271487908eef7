"""Names as SQL writes them."""

import re

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: DuckDB's reserved words (duckdb_keywords()).
_RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
    default deferrable desc describe distinct do else end except false fetch for foreign from group having in initially
    intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing
    primary qualify references returning select show some summarize symmetric table then to trailing true union unique
    unpivot using variadic when where window with""".split()  # noqa: SIM905 - one word beside the other
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
