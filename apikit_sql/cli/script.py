"""Text as it is typed or read -> the statements and dot commands in it, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Script:
    """Takes lines, and gives what is whole. A statement ends with `;`, which DuckDB's own lexer finds."""

    def __init__(self) -> None:
        """Nothing taken yet."""
        self._pending = ""

    @property
    def is_pending(self) -> bool:
        """Whether a statement has begun that is not whole."""
        return any(line.strip() and not line.lstrip().startswith("--") for line in self._pending.splitlines())

    def take(self, line: str) -> Iterator[str]:
        """The statements that are whole with `line`, or the dot command that it is."""
        if not self.is_pending and line.lstrip().startswith("."):
            self._pending = ""  # comments
            yield line.strip()
            return
        self._pending += line if line.endswith("\n") else line + "\n"
        if ";" in line:
            *whole, self._pending = _pieces(self._pending)
            yield from (piece for piece in whole if piece.strip("; \n\t"))

    def rest(self) -> Iterator[str]:
        """The statement that has no `;` behind it."""
        if self.is_pending:
            yield self._pending.strip()
        self._pending = ""


def pieces_of(lines: Iterable[str]) -> Iterator[str]:
    """The statements and dot commands of a whole text."""
    script = Script()
    for line in lines:
        yield from script.take(line)
    yield from script.rest()


def is_whole(text: str) -> bool:
    """Whether nothing of `text` waits for more: it is a dot command, nothing at all, or ends with `;`."""
    script = Script()
    for line in text.splitlines():
        for _ in script.take(line):
            pass
    return not script.is_pending


def _pieces(text: str) -> list[str]:
    """The statements of `text`, each with its `;`, and behind them what is not whole."""
    import duckdb  # noqa: PLC0415 - the first prompt comes without it

    data = text.encode()  # DuckDB counts in bytes
    ends = [
        at + 1 for at, kind in duckdb.tokenize(text) if kind == duckdb.token_type.operator and data[at : at + 1] == b";"
    ]
    return [data[start:end].decode().strip("\n") for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
