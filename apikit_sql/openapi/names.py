"""What the streams of a draft are called: by the last two steps of their paths, or as many as tell them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from apikit_sql.openapi.text import snake

#: Words that say how, not what.
_VERBS = frozenset({"list", "get", "all", "fetch", "find"})
_VERSION = re.compile(r"api|rest|v?\d+(\.\d+)*|\d{4}-\d{2}(-\d{2})?")
_PARAMETER = re.compile(r"\{[^{}]*\}")


def stream_names(paths: Iterable[str]) -> dict[str, str]:
    """A name for each path, all different.

    `/orgs/{org}/repos` is `org_repos`, `/repos/{owner}/{repo}/actions/runs` is `actions_runs`, `/repos` is `repos`.
    Paths that would have one name get another step in front, but for one that has no more.
    """
    waiting = {path: _choices(path) for path in sorted(paths)}
    named: dict[str, str] = {}
    for depth in range(max(map(len, waiting.values()), default=0)):
        wished = {path: choices[depth] for path, choices in waiting.items() if depth < len(choices)}
        wishes = Counter(wished.values())
        for path, name in wished.items():
            is_last = depth == len(waiting[path]) - 1
            if name not in named.values() and (wishes[name] == 1 or is_last):
                named[path] = name
                del waiting[path]
    for path, choices in waiting.items():
        named[path] = _numbered(choices[-1], set(named.values()))
    return named


def key_prefix(path: str, field: str) -> str:
    """What the step before `{field}` is about, in the singular: `repo` in `/repos/{owner}`."""
    before = path.partition("{" + field + "}")[0]
    steps = [step for step in _PARAMETER.sub("", before).split("/") if step]
    return _singular(snake(steps[-1])) if steps else "key"


def _choices(path: str) -> list[str]:
    """The names that a path may have, the shortest first: of its last two steps, then of more."""
    steps = [step for step in path.removesuffix(".json").split("/") if step]
    while steps and _VERSION.fullmatch(steps[0].lower()) and len(steps) > 1:
        steps = steps[1:]
    words, parents = list[str](), list[str]()
    for step in steps:
        if word := _without_verbs(snake(_PARAMETER.sub(" ", step))):
            words, parents = [*words, word], [*parents, word]
        elif words and _PARAMETER.fullmatch(step):
            parents[-1] = _singular(words[-1])
    last = words[-1] if words else "records"
    singular = ["_".join((*parents[depth:-1], last)) for depth in range(max(len(words) - 2, 0), -1, -1)]
    if len(words) > 1 and last.startswith(f"{parents[-2]}_"):
        singular.insert(0, last)
    by_key = [f"{singular[-1]}_by_{snake(key)}" for key in _PARAMETER.findall(steps[-1] if steps else "")[-1:]]
    return [_identifier(name) for name in dict.fromkeys((*singular, *by_key, "_".join(words) or last))]


def _without_verbs(word: str) -> str:
    return "_".join(part for part in word.split("_") if part not in _VERBS)


def _singular(word: str) -> str:
    """`word` without the ending of its plural, as English mostly has it."""
    if word.endswith("ies"):
        return word.removesuffix("ies") + "y"
    if word.endswith(("sses", "uses", "xes", "ches", "shes")):
        return word.removesuffix("es")
    return word if word.endswith(("ss", "us", "is")) else word.removesuffix("s")


def _identifier(name: str) -> str:
    return f"_{name}" if name[:1].isdigit() else name


def _numbered(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
