"""`FROM 'github:/orgs/duckdb/repos'` and `FROM 'https://...'` written out as the calls of apikit() that they stand for.

The text is changed before DuckDB sees it: DuckDB would take a URL for a file and load an extension to read it. Only
what stands where a table's name stands is changed, and a URL that ends like a file stays DuckDB's own.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import duckdb

from apikit_sql.sql.catalog import literal

#: The words after which a table's name stands, and what its call needs in front of it there.
_TABLE_COMES = {b"from": "", b"join": "", b"describe": "FROM ", b"summarize": "FROM "}
#: FROM after these, or within these functions, is followed by a value: IS DISTINCT FROM 'x', trim(BOTH FROM 'x').
_NO_TABLE_AFTER = frozenset({b"distinct", b"both", b"leading", b"trailing"})
_TAKE_FROM = frozenset({b"trim", b"extract", b"substring", b"overlay", b"position"})
#: Keywords that end a list of tables.
_ENDS_FROM = frozenset(
    b"select where group order having limit offset qualify window union intersect except set values returning".split()
)
_NAME = re.compile(r"([a-z_][a-z0-9_]*):(/.*)", re.DOTALL)
_FILE = re.compile(
    r"\.(csv|tsv|txt|parquet|json|jsonl|ndjson|xlsx|arrow|db|duckdb|sqlite)(\.(gz|zst|bz2))?$", re.IGNORECASE
)
_WORD = re.compile(rb"\w+")
_READS_FILES = re.compile(rb"\s*(copy|import|install|load|attach)\b", re.IGNORECASE)


def with_calls(sql: str) -> str:
    """`sql` with each name of an API's table replaced by its apikit() call."""
    if ":/" not in sql:
        return sql
    text = sql.encode()  # DuckDB counts tokens in bytes
    pieces, done = [], 0
    for start, end, word in _table_literals(text):
        call = call_of(text[start + 1 : end - 1].decode().replace("''", "'"))
        if call is not None:
            pieces += [text[done:start], word.encode(), call.encode()]
            done = end
    return b"".join([*pieces, text[done:]]).decode()


def call_of(name: str) -> str | None:
    """The apikit() call that reads the table `name`, None where it names no API.

    `https://host/path?a=1` is the base URL, the path and `params`; `connector:/path` a connector and a path.
    """
    if name.startswith(("https://", "http://")):
        try:
            parts = urlsplit(name)
        except ValueError:  # brackets that hold no IPv6 address
            return None
        if _FILE.search(parts.path) or not parts.netloc:
            return None
        connector, path, query = f"{parts.scheme}://{parts.netloc}", parts.path or "/", parts.query
    else:
        match = _NAME.fullmatch(name)
        if match is None or match[2].startswith("//"):
            return None
        connector, (path, _, query) = match[1], match[2].partition("?")
    pairs: dict[str, list[str]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        pairs.setdefault(key, []).append(value)
    params = ", ".join(f"{literal(key)}: [{', '.join(map(literal, values))}]" for key, values in pairs.items())
    return f"apikit({literal(connector)}, {literal(path)}" + (f", params := MAP {{{params}}})" if params else ")")


def _table_literals(text: bytes) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each quoted text that DuckDB reads as a table's name, and what its call needs in front."""
    tokens = [(at, kind) for at, kind in duckdb.tokenize(text.decode()) if kind != _COMMENT]
    reads_files = bool(_READS_FILES.match(text))
    openers = [(b"", False)]  # for each parenthesis still open the word before it, and whether tables stood there
    words = [b"", b""]
    is_from_list = False
    for index, (at, kind) in enumerate(tokens):
        end = tokens[index + 1][0] if index + 1 < len(tokens) else len(text)
        token = text[at:end]
        found = _WORD.match(token)  # a comment may follow it
        word = found[0].lower() if found else token[:1]
        before = words[-1]
        if word in _TABLE_COMES:
            is_from_list = not (words[-1] in _NO_TABLE_AFTER or openers[-1][0] in _TAKE_FROM)
        elif word == b"(":
            openers.append((before, is_from_list))
            is_from_list = False
        elif word == b")":
            is_from_list = openers[-1][1]
            openers = openers[:-1] or [(b"", False)]
        elif word == b";":
            openers, reads_files, is_from_list = [(b"", False)], bool(_READS_FILES.match(text, at + 1)), False
        elif kind == duckdb.token_type.string_const:
            is_table = is_from_list and (before in _TABLE_COMES or before == b",")
            if is_table and not (reads_files and len(openers) == 1):
                yield at, at + _length(token), _TABLE_COMES.get(before, "")
        elif word in _ENDS_FROM:
            is_from_list = False
        words = [before, word]


def _length(token: bytes) -> int:
    """How many bytes the quoted text takes at the beginning of `token`; a comment may follow it."""
    match = re.match(rb"'(?:[^']|'')*'", token)
    return match.end() if match else 0


_COMMENT = getattr(duckdb.token_type, "comment", None)
