"""Text as it is typed or read -> the statements and dot commands in it, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Script:
    """Takes lines, and gives what is whole. A statement ends with `;`, which DuckDB's own lexer finds.

    No line is looked at again once its end is known to be outside of texts and comments: a statement may be long.
    """

    def __init__(self) -> None:
        """Nothing taken yet."""
        self._begun: list[str] = []  # of the statement that is not whole
        self._unread: list[str] = []  # the newest of it, which the lexer has not seen, or which a text has left open
        self.is_pending = False  # a statement has begun that is not whole

    def take(self, line: str) -> Iterator[str]:
        """The statements that are whole with `line`, or the dot command that it is."""
        if not self.is_pending and line.lstrip().startswith("."):
            self._begun, self._unread = [], []  # comments
            yield line.strip()
            return
        self._unread.append(line if line.endswith("\n") else line + "\n")
        self.is_pending = self.is_pending or _says_something(line)
        if ";" in line:
            yield from self._whole()

    def rest(self) -> Iterator[str]:
        """The statement that has no `;` behind it."""
        if self.is_pending:
            yield _statement("".join([*self._begun, *self._unread]))
        self._begun, self._unread, self.is_pending = [], [], False

    def _whole(self) -> Iterator[str]:
        *whole, rest = _pieces("".join(self._unread) + ";")
        if rest:  # the semicolon added is within a text, or a comment
            rest = rest.removesuffix(";")
        elif whole:
            rest = whole.pop().removesuffix(";")
            if not whole:
                self._begun, self._unread = [*self._begun, rest], []
                return
        if not whole:
            return
        before, self._begun, self._unread = "".join(self._begun), [], [rest]
        self.is_pending = any(map(_says_something, rest.split("\n")))
        for piece in (before + whole[0], *whole[1:]):
            if piece.strip("; \n\t"):
                yield _statement(piece)


def pieces_of(lines: Iterable[str]) -> Iterator[str]:
    """The statements and dot commands of a whole text."""
    script = Script()
    for line in lines:
        yield from script.take(line)
    yield from script.rest()


def is_whole(text: str) -> bool:
    """Whether nothing of `text` waits for more: it is a dot command, nothing at all, or ends with `;`."""
    script = Script()
    for line in text.split("\n"):
        for _ in script.take(line):
            pass
    return not script.is_pending


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("--")


def _statement(text: str) -> str:
    """`text` as one piece, which is no dot command, even if it stands behind a semicolon and begins with a dot."""
    text = text.strip("\n")
    return f" {text}" if text.startswith(".") else text


def _pieces(text: str) -> list[str]:
    """The statements of `text`, each with its `;`, and behind them what is not whole."""
    import duckdb  # noqa: PLC0415 - the first prompt comes without it

    data = text.encode(errors="surrogateescape")  # DuckDB counts in bytes; of what is no UTF-8, each is one
    tokens = duckdb.tokenize(text.encode(errors="replace").decode())
    ends = [at + 1 for at, kind in tokens if kind == duckdb.token_type.operator and data[at : at + 1] == b";"]
    return [
        data[start:end].decode(errors="surrogateescape")
        for start, end in zip([0, *ends], [*ends, len(data)], strict=True)
    ]
