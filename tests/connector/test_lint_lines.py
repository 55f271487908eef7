"""The line of a finding: where a key's value starts in TOML of any style, whatever stands in its texts and comments."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apikit_sql import lint
from apikit_sql.connector.toml_lines import Lines
from tests.connector.test_lint import BASE_URL, STREAMS, WHOLE, broken, entry, found

Path_ = tuple[str, ...]

# --- documents of every style, which know their own lines ------------------------------------------------------------

NAMES = ["path", '"m.n"', "a", "b-c", "d_e", "2024", "0", '"f g"', '"7"', "'h#i'", '"[j]"', '"]"', '"k\\"l"', '"größe"']
PLAIN = [
    "5",
    "-1.5",
    "true",
    "2026-01-02",
    '"x"',
    '"# x"',
    '"[x]"',
    '"]"',
    "'}'",
    '"}]"',
    '"a \\" [b]"',
    "''",
    '"="',
    '"ä"',
]
LONG = ['"""\n[a]\npath = 1\n"""', "'''\n[[path]]\n'''", '"""x\n# y\n]\n"""', '"""\\\n  x"""', "'''a\n\"\"\"\n[b]'''"]
COMMENTS = ["", "", " # c", " # [path]", " # ]", ' # """', " # {"]


class Document:
    """TOML as it is written, and where each key of it starts."""

    def __init__(self, draw: Any) -> None:
        self.text = ""
        self.where: dict[Path_, int] = {}
        self.draw = draw
        self._names = 0

    def among(self, texts: Sequence[str]) -> str:
        return str(self.draw(st.sampled_from(texts)))

    def name(self, taken: set[str]) -> tuple[str, str]:
        """A key as it is written, and what it is; no other of its table is alike."""
        written = self.among(NAMES)
        while _key(written) in taken:
            self._names += 1
            written = f"n{self._names}"
        taken.add(_key(written))
        return written, _key(written)

    def note(self, path: Path_) -> None:
        for length in range(1, len(path) + 1):
            self.where.setdefault(path[:length], self.text.count("\n") + 1)

    def gap(self) -> None:
        """The end of a line, and perhaps empty lines and comments."""
        self.text += self.among(COMMENTS) + "\n" + self.among(["", "", "\n", "# [a]\n", "  # x = [\n"])

    def value(self, path: Path_, depth: int) -> None:
        kinds = ["plain", "plain", "plain", "long", "list", "list", "table"] if depth else ["plain", "long"]
        kind = self.among(kinds)
        if kind == "plain":
            self.text += self.among(PLAIN)
        elif kind == "long":
            self.text += self.among(LONG)
        elif kind == "list":
            self.list(path, depth - 1)
        else:
            self.table(path, depth - 1)

    def list(self, path: Path_, depth: int) -> None:
        self.text += "["
        is_open = self.draw(st.booleans())
        count = self.draw(st.integers(0, 3))
        for number in range(count):
            if is_open:
                self.gap()
            self.text += self.among(["", " ", "  "])
            self.note((*path, str(number)))
            self.value((*path, str(number)), depth)
            self.text += "," if number < count - 1 or is_open else ""
        if is_open:
            self.gap()
        self.text += "]"

    def table(self, path: Path_, depth: int) -> None:
        self.text += "{ "
        taken: set[str] = set()
        for number in range(self.draw(st.integers(0, 3))):
            self.text += ", " if number else ""
            self.pair(path, taken, depth)
        self.text += " }"

    def pair(self, path: Path_, taken: set[str], depth: int) -> None:
        written, name = self.name(taken)
        path = (*path, name)
        if self.draw(st.integers(0, 3)) == 0:
            inner = self.among(NAMES)
            written, path = f"{written}{self.among(['.', ' . '])}{inner}", (*path, _key(inner))
        self.note(path)
        self.text += f"{written} = "
        self.value(path, depth)

    def body(self, path: Path_, taken: set[str]) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.text += self.among(["", "  "])
            self.pair(path, taken, 3)
            self.gap()


def _key(written: str) -> str:
    return next(iter(tomllib.loads(f"{written} = 1")))


@st.composite
def documents(draw: Any) -> tuple[str, dict[Path_, int]]:
    """A document's text, and the line of each of its keys."""
    document, taken = Document(draw), set[str]()
    document.body((), taken)
    for _ in range(draw(st.integers(0, 3))):
        written, name = document.name(taken)
        inner = document.among(NAMES)
        path, header = ((name, _key(inner)), f"{written}.{inner}") if draw(st.booleans()) else ((name,), written)
        count = draw(st.sampled_from([0, 0, 1, 3]))
        for number in range(max(1, count)):
            own = (*path, str(number)) if count else path
            document.note(own)
            document.text += f"[[{header}]]" if count else document.among([f"[{header}]", f"  [ {header} ]"])
            document.gap()
            document.body(own, set())
    return document.text, document.where


def _at(data: Any, path: Path_) -> Any:
    for step in path:
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


@given(documents())
@settings(deadline=None, max_examples=300)
def test_a_key_is_found_on_the_line_where_its_value_starts(document: tuple[str, dict[Path_, int]]) -> None:
    text, where = document
    data = tomllib.loads(text)
    plain = {path: line for path, line in where.items() if not any("." in step for step in path)}
    assert all(_at(data, path) is not None for path in plain)

    lines = Lines(text)

    assert {path: lines.of(".".join(path)) for path in plain} == plain


@given(documents(), st.text(alphabet=".ab01 \"'[]#", max_size=12))
@example(("", {}), "..")
@example(('"a.b" = 1\n"" = 2\n[""]\n', {}), "a.b")
@settings(deadline=None, max_examples=50)
def test_any_key_at_all_is_found_somewhere(document: tuple[str, dict[Path_, int]], key: str) -> None:
    text, where = document

    lines = Lines(text)

    for each in [key, *map(".".join, where)]:
        assert 0 <= lines.of(each) <= max(1, text.count("\n") + 1)


# --- each style by itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = 1\nb = 2\n", {"a": 1, "b": 2}),
        ("\n# a = 1\na = 1 # b = 2\nb = 2\n", {"a": 3, "b": 4}),
        ("a.b.c = 1\na.b.d = 2\na . e = 3\n", {"a": 1, "a.b": 1, "a.b.c": 1, "a.b.d": 2, "a.e": 3}),
        ("[a]\nb = 1\n[a.c]\nd = 1\n[e]\n", {"a": 1, "a.b": 2, "a.c": 3, "a.c.d": 4, "e": 5}),
        ("[a.b]\nc = 1\n[a]\nd = 1\n", {"a.b": 1, "a.b.c": 2, "a.d": 4}),
        ('"a b" = 1\n[c."d e"] # f\n"g" = 2\n', {"a b": 1, "c.d e": 2, "c.d e.g": 3}),
        ("[[a.k]]\nx = 1\n[[a.k]]\n\nx = 1\n[b]\n", {"a.k": 1, "a.k.0.x": 2, "a.k.1": 3, "a.k.1.x": 5, "b": 6}),
        ("k = [\n  { a = 1 },\n  # {},\n  { a = 2 },\n]\n", {"k": 1, "k.0": 2, "k.0.a": 2, "k.1": 4, "k.1.a": 4}),
        ("k = [1,\n2, 3\n, 4]\n", {"k.0": 1, "k.1": 2, "k.2": 2, "k.3": 3}),
        ("k = [ # c\n  1, # d\n  2 # e\n]\nl = 1\n", {"k": 1, "k.0": 2, "k.1": 3, "l": 5}),
        ("k = [\n  { a = [1,\n 2], b = 3 },\n]\n", {"k.0": 2, "k.0.a": 2, "k.0.a.1": 3, "k.0.b": 3}),
        ("p = { s = 1, e = [\n  4,\n  5] }\n", {"p": 1, "p.s": 1, "p.e": 1, "p.e.0": 2, "p.e.1": 3}),
        ("k = [\n  [1],\n  [2]\n]\nl = 1\n", {"k.0": 2, "k.1": 3, "l": 5}),
        ('k = [\n  ["a"]\n]\nl = 1\n', {"k.0": 2, "k.0.0": 2, "l": 4}),
        ('t = """\n[a]\nb = 1\n"""\n[a]\nb = 2\n', {"t": 1, "a": 5, "a.b": 6}),
        ("t = '''x\ny'''\nu = 1\n", {"t": 1, "u": 3}),
        ('t = """\\\n  x"""\nu = 1\n', {"t": 1, "u": 3}),
        ('k = [\n"""\nx\n""",\n"y"]\n', {"k.0": 2, "k.1": 5}),
        ('k = ["]",\n"#",\n"\\"]"]\n', {"k.0": 1, "k.1": 2, "k.2": 3}),
        ("[a.1]\nx = 1\n[a.2]\nx = 2\n", {"a.1": 1, "a.1.x": 2, "a.2": 3, "a.2.x": 4}),
        ('["2024"]\nx = 1\n', {"2024.x": 2}),
        ('t = "a\u2028b\x85c"\nu = 1\n[v]\nw = 1\n', {"t": 1, "u": 2, "v.w": 4}),
        ("t = 1\r\n\r\n[v]\r\nw = 1\r\n", {"t": 1, "v.w": 4}),
        ('"\u00e9" = 1\nb = 1\n', {"\u00e9": 1, "b": 2}),
    ],
)  # fmt: skip
def test_each_style_is_read_as_toml_reads_it(text: str, where: dict[str, int]) -> None:
    lines = Lines(text)

    assert {key: lines.of(key) for key in where} == where


@pytest.mark.parametrize(("key", "line"), [("a.z", 1), ("a.b.z", 3), ("a.b.c.z", 4), ("z", 0), ("z.a", 0), ("", 0)])
def test_a_key_that_is_missing_is_told_at_the_nearest_one_around_it(key: str, line: int) -> None:
    lines = Lines("[a]\nx = 1\n[a.b]\nc = 1\n")

    assert lines.of(key) == line


# --- findings where they stand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BASE_URL, f'{BASE_URL}\n§allowed_origins = ["http://x.test"]'),
        (
            "[streams.items]",
            '§[streams."my items"]\npath = "/x"\ndescription = "x"\ncolumns.id = "DATE"\n[streams.items]',
        ),
        (STREAMS, STREAMS + '§[streams.ITEMS]\npath = "/x"\ndescription = "x"\ncolumns.id = "DATE"\n'),
    ],
    ids=["an origin", "a stream's name", "streams that differ by case"],
)
def test_a_rule_of_the_whole_connector_is_told_where_it_is_broken(tmp_path: Path, old: str, new: str) -> None:
    text, line = broken(old, new)

    ((finding,), (in_config,)) = found(tmp_path, text), found(tmp_path, entry(text))

    assert not in_config.key.endswith(".")
    assert (finding.line, in_config.line) == (line, line + 1)


@pytest.mark.parametrize(
    "setting", ["§settings.site = 5", '§settings.sight = "acme"', "§settings = 5", '§settings.site = "a.b/"']
)
def test_a_wrong_setting_is_told_at_its_own_line(tmp_path: Path, setting: str) -> None:
    text, line = broken(BASE_URL, f'base_url = "https://{{site}}.test"\n{setting}\nvariables.site.env = "SITE"')

    (finding,) = found(tmp_path, text)

    assert finding.line == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("connectors = 5\n", 1),
        ("# mine\nconnectors.acme = 5\n", 2),
        (f"{BASE_URL}\n{entry(WHOLE)}", 1),
        (f"{entry(WHOLE)}\n[settings]\n", entry(WHOLE).count("\n") + 2),
    ],
)
def test_what_a_config_file_cannot_hold_is_told_where_it_stands(tmp_path: Path, text: str, line: int) -> None:
    (finding,) = found(tmp_path, text)

    assert "[connectors." in finding.message
    assert finding.line == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = = 2\nc = 3\n", 2),
        ("a = 1\r\n\r\nb = = 2\r\nc = 3\r\n", 3),
        ("a = 1\na = 2\n", 2),
        ("[a]\nb = 1\n[a]\n", 3),
        ("a = 1\nb = [1, 2", 2),
        ('a = 1\nb = "x', 2),
        ('a = 1\r\n\r\nb = """x', 3),
        ("a = 1\n[a", 2),
        ("a = 1\nb = \x00\n", 2),
        ("a = 1\nb = '''\nc\n\n", 4),
    ],
)
def test_what_is_no_toml_is_told_at_its_line(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "acme.toml").write_bytes(text.encode())

    (finding,) = lint(tmp_path / "acme.toml")

    assert (finding.key, finding.level) == ("", "error")
    assert finding.line - line in ({0, 1} if text.endswith("\n\n") else {0})
    assert finding.message.startswith("no TOML: ")
    assert "(at " not in finding.message


@pytest.mark.parametrize("value", ["[" * 3_000 + "]" * 3_000, "9" * 5_000])
def test_toml_that_python_cannot_hold_is_told_too(tmp_path: Path, value: str) -> None:
    (finding,) = found(tmp_path, f"{WHOLE}\n[streams.items.body]\nq = {value}\n")

    assert finding.level == "error"
