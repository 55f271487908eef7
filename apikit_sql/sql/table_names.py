"""`FROM 'github:/orgs/duckdb/repos'` and `FROM 'https://...'` written out as the calls of apikit() that they stand for.

The text is changed before DuckDB sees it: DuckDB would take a URL for a file and load an extension to read it. Only
what stands where a table's name stands is changed, and a URL that ends like a file stays DuckDB's own.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import duckdb

#: The words after which a table's name stands, and what its call needs in front of it there.
_TABLE_COMES = {b"from": "", b"join": "", b"describe": "FROM ", b"summarize": "FROM "}
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
        parts = urlsplit(name)
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
    params = ", ".join(f"{_literal(key)}: [{', '.join(map(_literal, values))}]" for key, values in pairs.items())
    return f"apikit({_literal(connector)}, {_literal(path)}" + (f", params := MAP {{{params}}})" if params else ")")


def _table_literals(text: bytes) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each quoted text that DuckDB reads as a table's name, and what its call needs in front."""
    tokens = [(at, kind) for at, kind in duckdb.tokenize(text.decode()) if kind != _COMMENT]
    depth, reads_files, previous = 0, bool(_READS_FILES.match(text)), b""
    for index, (at, kind) in enumerate(tokens):
        end = tokens[index + 1][0] if index + 1 < len(tokens) else len(text)
        token = text[at:end].rstrip()
        if token.startswith(b"("):
            depth += 1
        elif token.startswith(b")"):
            depth -= 1
        elif token.startswith(b";"):
            depth, reads_files = 0, bool(_READS_FILES.match(text, at + 1))
        elif kind == duckdb.token_type.string_const and previous in _TABLE_COMES and not (reads_files and depth == 0):
            yield at, at + _length(text[at:end]), _TABLE_COMES[previous]
        word = _WORD.match(token)  # a comment may follow it
        previous = word[0].lower() if word else b""


def _length(token: bytes) -> int:
    """How many bytes the quoted text takes at the beginning of `token`; a comment may follow it."""
    match = re.match(rb"'(?:[^']|'')*'", token)
    return match.end() if match else 0


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_COMMENT = getattr(duckdb.token_type, "comment", None)
