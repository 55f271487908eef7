"""DuckDB's plan of a statement, EXPLAIN (FORMAT JSON), read for what it says of each scan: what is not pushed, and why.

A plan names no tables, only the columns of each scan and its filters; which recorded scan is meant is told by these.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Node = Mapping[str, Any]
#: How much of a scan is surely read: all, the first page, or perhaps nothing, since LIMIT may stop above it.
Read = Literal["all", "first", "any"]

_SCANS = frozenset({"PYTHON_ARROW_SCAN", "ARROW_SCAN"})
_NARROWS = frozenset({"INNER", "RIGHT", "SEMI"})  # joins that keep of their left side only what their right side has
_READS_ALL = re.compile(r"(?!STREAMING).*(ORDER|TOP_N|AGGREGATE|GROUP_BY|WINDOW|RESERVOIR)")
_TOKEN = re.compile(
    r"""(?P<literal>'(?:[^']|'')*'|(?<![\w#.])\d[\d.]*)|"(?P<quoted>(?:[^"]|"")+)"|(?P<word>[A-Za-z_]\w*)"""
)
_TIME = re.compile(r"'\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_FIELD = re.compile(r"""struct_extract\(([\w."]+), '(\w+)'\)""")
_POSITION = re.compile(r"#\d+")  # of a column that has no name there
_BY_SUBQUERY = (
    "a subquery's value is known only while it runs; SET VARIABLE x = (...) and compare with getvariable('x')"
)
_BY_LIST = "the values of a subquery are known only while it runs; SET VARIABLE k = (...) and keys := getvariable('k')"
_BY_JOIN = "a join key is not pushed; keys := getvariable('k') or NAME.STREAM_of(...) ask for each key"
_BY_LONG_LIST = "this DuckDB makes a join of the list; keys := [...] asks for each key"


@dataclass(eq=False)
class PlanScan:
    """A scan as the plan shows it: its columns and filters, and the conditions above it with why they are not pushed.

    `columns` are their names, of fields of a STRUCT as dotted paths or not; `narrowed` are the columns that a join may
    narrow while it runs, where this DuckDB does that.
    """

    columns: frozenset[str] = frozenset()
    filters: str = ""
    read: Read = "all"
    is_repeated: bool = False
    not_pushed: dict[str, str] = field(default_factory=dict)
    narrowed: set[str] = field(default_factory=set)

    def concerns(self, condition: str) -> frozenset[str]:
        """Its columns that `condition` names."""
        return (self.columns | {name.partition(".")[0] for name in self.columns}) & words(condition)

    def likeness(self, columns: Collection[str], filters: Iterable[str]) -> float:
        """How alike it is to a scan of `columns` with these `filters`; 0 where it is another one."""
        if not all(name in columns or name.partition(".")[0] in columns for name in self.columns):
            return 0.0
        ours, theirs = words(self.filters), frozenset().union(*map(words, filters))
        extra = set(columns) - self.columns - ours
        alike = len(ours & theirs) / len(ours | theirs) if ours | theirs else 1.0
        return 1 + alike - len(extra) / (len(extra) + 1)


def words(text: str) -> frozenset[str]:
    """The names and the literals in a piece of SQL, keywords among them."""
    found = set()
    for token in _TOKEN.finditer(text):
        literal = token["literal"]
        time = _TIME.match(literal) if literal else None
        number = literal.removesuffix(".0") if literal else ""
        found.add(time[0].replace("T", " ") if time else number or token["quoted"] or token["word"])
    return frozenset(found) - {"AND", "OR", "IN", "optional", "NULL", "IS", "NOT"}


def plan_scans(plan: Sequence[Node]) -> list[PlanScan]:
    """The scans of Arrow data in `plan`, as they stand in it."""
    reader = _Reader()
    for root in plan:
        reader.read(root, "all", is_repeated=False)
    return reader.scans


@dataclass
class _Reader:
    """Walks down a plan once. What stands below a CTE's reference is what its definition scans."""

    scans: list[PlanScan] = field(default_factory=list)
    _defined: dict[str, list[PlanScan]] = field(default_factory=dict)

    def read(self, node: Node, read: Read, *, is_repeated: bool) -> list[PlanScan]:
        """The scans below `node`, of which so much is surely `read`."""
        name, info = node.get("name", "").strip(), node.get("extra_info", {})
        if name in _SCANS:
            found = PlanScan(frozenset(_texts(info, "Projections")), " AND ".join(_texts(info, "Filters")), read)
            found.is_repeated = is_repeated
            self.scans.append(found)
            return [found]
        if name == "CTE_SCAN":
            return self._defined.get(info.get("CTE Index", ""), [])
        sides = []
        for number, child in enumerate(node.get("children", [])):
            inner = _read_below(name, number, read)
            sides.append(self.read(child, inner, is_repeated=is_repeated or (name.startswith("REC") and number == 1)))
            if name == "CTE" and number == 0:
                self._defined[info.get("Table Index", "")] = sides[0]
        _take_note(name, info, node, sides)
        return [scan for side in sides for scan in side]


def _read_below(name: str, number: int, read: Read) -> Read:
    """How much is surely read of child `number` of an operator of which so much is."""
    if "LIMIT" in name:
        return "first" if read == "all" else "any"
    is_first_to_end = _READS_ALL.match(name) or (name == "CTE" and number == 0) or (_is_join(name) and number == 1)
    if is_first_to_end:
        return "any" if read == "any" else "all"
    if read == "first" and (_is_join(name) or name == "UNION"):
        return "any"
    return read


def _is_join(name: str) -> bool:
    return name.endswith("JOIN") or name == "CROSS_PRODUCT"


def _take_note(name: str, info: Mapping[str, Any], node: Node, sides: Sequence[Sequence[PlanScan]]) -> None:
    """Write what the conditions of one operator ask of the scans below it to those that they concern."""
    if name == "FILTER":
        for condition in (part for text in _texts(info, "Expression") for part in conjuncts(_with_fields(text))):
            for scan in (scan for side in sides for scan in side if scan.concerns(condition)):
                scan.not_pushed.setdefault(condition, _why_filtered(condition, scan))
    elif _is_join(name):
        for text in _texts(info, "Conditions"):
            condition = _POSITION.sub("SUBQUERY", " AND ".join(conjuncts(_with_fields(text))))
            why = _why_joined(condition, info.get("Join Type", ""), node.get("children", []))
            for number, side in enumerate(sides):
                for scan in (scan for scan in side if scan.concerns(condition)):
                    scan.not_pushed.setdefault(condition, why)
                    if number == 0 and any(sides[1:]) and info.get("Join Type") in _NARROWS:
                        scan.narrowed |= scan.concerns(condition)


def _with_fields(text: str) -> str:
    """`text` with fields of a STRUCT as people write them."""
    while (written := _FIELD.sub(r"\1.\2", text)) != text:
        text = written
    return text


def _why_filtered(condition: str, scan: PlanScan) -> str:
    outside = _TOKEN.sub(lambda token: token[0] if not token["literal"] else "0", condition)
    columns = scan.concerns(condition)
    if len(columns) > 1:
        return f"{'an OR over' if ' OR ' in outside else 'compares'} several columns; a parameter narrows one"
    if re.search(r"\w\(|[-+*/%|~]", outside):
        return "a function of the column; compare the column itself"
    if "IS NULL" in outside or "IS NOT NULL" in outside:
        return "no parameter says whether a value is there"
    if words(condition) == columns:
        return "a bare boolean; compare it: = true or = false"
    return "DuckDB does not push this form; =, IN and bounds of the column itself are pushed"


def _why_joined(condition: str, kind: str, children: Sequence[Node]) -> str:
    if kind == "MARK" and any(child.get("name", "").strip() == "COLUMN_DATA_SCAN" for child in children):
        return _BY_LONG_LIST
    if "SEMI" in kind or "ANTI" in kind or kind == "MARK":
        return _BY_LIST
    if "SUBQUERY" in condition or kind == "SINGLE":
        return _BY_SUBQUERY
    return _BY_JOIN


def conjuncts(text: str) -> list[str]:
    """What a condition joins by AND, each without the parentheses around it."""
    text = text.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    parts, depth, start, between = [], 0, 0, False
    for token in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]| BETWEEN | AND """, text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0 and token[0] == " AND " and not between:
            parts.append(text[start : token.start()])
            start = token.end()
        if depth == 0 and token[0] in {" BETWEEN ", " AND "}:
            between = token[0] == " BETWEEN "
    parts.append(text[start:])
    return [text] if len(parts) == 1 else [inner for part in parts for inner in conjuncts(part)]


def _closing(text: str) -> int:
    """Where the parenthesis that opens `text` is closed."""
    depth = 0
    for token in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]""", text):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth == 0:
            return token.start()
    return -1


def _texts(info: Mapping[str, Any], name: str) -> list[str]:
    found = info.get(name, [])
    return [text for text in ([found] if isinstance(found, str) else found) if text]
