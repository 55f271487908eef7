"""Where the keys of a TOML text stand: the standard library reads TOML, and does not tell the lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import count

_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")  # with comments
_BETWEEN = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
_BLANKS = re.compile("[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_OTHER_VALUE = re.compile(r"[^,\]}#\n]+")  # numbers, booleans, times
_TEXT = {
    '"""': re.compile(r'(?:[^\\]|\\.)*?"""(?!")', re.DOTALL),
    "'''": re.compile(r".*?'''(?!')", re.DOTALL),
    '"': re.compile(r'(?:[^"\\]|\\.)*"'),
    "'": re.compile(r"[^']*'"),
}

Steps = tuple[str, ...]


class Lines:
    """The line on which each key of a TOML text begins; elements of arrays are keys, too, counted from 0."""

    def __init__(self, text: str) -> None:
        """The lines of `text`, which is TOML."""
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._lines: dict[Steps, int] = {}
        self._arrays: dict[Steps, int] = {}  # those made of [[tables]], and the number of the last
        table: Steps = ()
        self._pass_over()
        while self._at < len(self._text):
            if self._sees("["):
                table = self._header()
            else:
                self._pair(table)
            self._pass_over()

    def of(self, key: str) -> int:
        """The line of the dotted `key`, that of the nearest one around it where it is missing, 0 for the file."""
        steps = tuple(key.split(".")) if key else ()
        while steps and steps not in self._lines:
            steps = steps[:-1]
        return self._lines.get(steps, 0)

    def _note(self, path: Steps, line: int) -> None:
        for depth in range(1, len(path) + 1):
            self._lines.setdefault(path[:depth], line)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _header(self) -> Steps:
        """The path of the table that is opened here."""
        line, brackets = self._line(), 2 if self._sees("[[") else 1
        self._at += brackets
        names = self._key()
        self._at += brackets
        path: Steps = ()
        for number, name in enumerate(names, start=1):
            path = (*path, name)
            if brackets > 1 and number == len(names):
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path = (*path, str(self._arrays[path]))
        self._note(path, line)
        return path

    def _key(self) -> Steps:
        names = []
        while True:
            self._pass_over(_BLANKS)
            start = self._at
            if self._sees('"') or self._sees("'"):
                self._quoted()
                ((name, _),) = tomllib.loads(self._text[start : self._at] + " = 0").items()
            else:
                self._pass_over(_BARE)
                name = self._text[start : self._at]
            names.append(name)
            self._pass_over(_BLANKS)
            if not self._sees("."):
                return tuple(names)
            self._at += 1

    def _pair(self, table: Steps) -> None:
        line = self._line()
        path = table + self._key()
        self._note(path, line)
        self._at += 1  # the equals sign
        self._pass_over(_BLANKS)
        self._value(path)

    def _value(self, path: Steps) -> None:
        if self._sees("["):
            for number in self._elements("]"):
                element = (*path, str(number))
                self._note(element, self._line())
                self._value(element)
        elif self._sees("{"):
            for _ in self._elements("}"):
                self._pair(path)
        elif self._sees('"') or self._sees("'"):
            self._quoted()
        else:
            self._pass_over(_OTHER_VALUE)

    def _elements(self, end: str) -> Iterator[int]:
        """The number of each element of a list in brackets, while the text stands at its beginning."""
        self._at += 1
        for number in count():
            self._pass_over(_BETWEEN)
            if self._sees(end):
                self._at += 1
                return
            yield number

    def _quoted(self) -> None:
        quote = next(each for each in _TEXT if self._sees(each))
        self._at += len(quote)
        self._pass_over(_TEXT[quote])

    def _pass_over(self, what: re.Pattern[str] = _SPACE) -> None:
        found = what.match(self._text, self._at)
        self._at = found.end() if found else self._at
