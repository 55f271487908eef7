"""A little GraphQL over plain records, for the demo API: fields, arguments, aliases, variables and connections.

What it does not know (fragments, directives, mutations, ...) it answers with an error, as a server would.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Arguments = Mapping[str, Any]
#: What a field of Query gives, by its name.
Resolvers = Mapping[str, Callable[[Arguments], Any]]

_TOKEN = re.compile(r'[\s,]+|#[^\n]*|(?P<token>"(?:[^"\\\n]|\\.)*"|\.\.\.|-?[0-9]+(?:\.[0-9]+)?|\w+|[!$():=@\[\]{}|&])')
_CONSTANTS = {"true": True, "false": False, "null": None}
_MOST_NODES = 100


def answer_query(body: bytes, resolvers: Resolvers) -> dict[str, Any]:
    """The answer to a posted query: its `data`, or its `errors`."""
    try:
        asked = json.loads(body)
        query = _Query(asked["query"], asked.get("variables") or {})
        return {"data": query.answer(resolvers)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return {"errors": [{"message": str(error.args[0]) if isinstance(error, ValueError) else "this is no query"}]}


def connection(records: Sequence[Mapping[str, Any]], arguments: Arguments) -> dict[str, Any]:
    """Some of `records` as https://relay.dev/graphql/connections.htm has them: the `first` ones behind `after`."""
    first, after = arguments.get("first"), arguments.get("after")
    if not isinstance(first, int) or not 1 <= first <= _MOST_NODES:
        message = f"first is a number from 1 to {_MOST_NODES}, not {json.dumps(first)}"
        raise ValueError(message)
    start = 0 if after is None else int(str(after).removeprefix("at:"))
    nodes = records[start : start + first]
    edges = [{"cursor": f"at:{number}", "node": node} for number, node in enumerate(nodes, start + 1)]
    end = edges[-1]["cursor"] if edges else None
    page_info = {"hasNextPage": start + first < len(records), "endCursor": end}
    return {"totalCount": len(records), "nodes": list(nodes), "edges": edges, "pageInfo": page_info}


class _Query:
    """One query that is being read, token by token."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._variables = dict(variables)

    def answer(self, resolvers: Resolvers) -> dict[str, Any]:
        if self._next in {"mutation", "subscription"}:
            message = f"there is no {self._next} here"
            raise ValueError(message)
        if self._take_if("query"):
            if self._next.isidentifier():
                self._take()
            if self._take_if("("):
                self._declare()
        found = {}
        for alias, name, arguments, inside in self._selections():
            if name not in resolvers:
                message = f'Cannot query field "{name}" on type "Query"'
                raise ValueError(message)
            found[alias] = _selected(resolvers[name](arguments), inside, name)
        if self._next:
            self._expect("the end")
        return found

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next
        self._at += 1
        return token

    def _take_if(self, token: str) -> bool:
        is_it = self._next == token
        self._at += is_it
        return is_it

    def _expect(self, token: str) -> None:
        if not self._take_if(token):
            message = f"Syntax Error: expected {token}, found {self._next or 'the end'}"
            raise ValueError(message)

    def _declare(self) -> None:
        """Read `$name: Type! = default, ...`: a default counts where no value was given."""
        while not self._take_if(")"):
            self._expect("$")
            name = self._take()
            self._expect(":")
            while self._next in {"[", "]", "!"} or self._next.isidentifier():
                self._take()
            if self._take_if("="):
                default = self._value()
                self._variables.setdefault(name, default)
            self._variables.setdefault(name, None)

    def _selections(self) -> list[Any]:
        """The selected fields, each with its alias, its name, its arguments, and what is selected within."""
        found = []
        self._expect("{")
        while not self._take_if("}"):
            alias = name = self._name()
            if self._take_if(":"):
                name = self._name()
            arguments = {}
            if self._take_if("("):
                while not self._take_if(")"):
                    argument = self._name()
                    self._expect(":")
                    arguments[argument] = self._value()
            found.append((alias, name, arguments, self._selections() if self._next == "{" else None))
        return found

    def _name(self) -> str:
        if not self._next.isidentifier():
            self._expect("a name")
        return self._take()

    def _value(self) -> Any:  # noqa: ANN401 - any value of GraphQL
        if self._take_if("$"):
            name = self._name()
            if name not in self._variables:
                message = f'Variable "${name}" is not defined'
                raise ValueError(message)
            return self._variables[name]
        if self._take_if("["):
            found = []
            while not self._take_if("]"):
                found.append(self._value())
            return found
        token = self._take()
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        return token if token.isidentifier() else json.loads(token)


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            message = f"Syntax Error: unexpected {text[at]!r}"
            raise ValueError(message)
        found += [match["token"]] if match["token"] else []
        at = match.end()
    return found


def _selected(value: Any, selections: Sequence[Any] | None, place: str) -> Any:  # noqa: ANN401 - any JSON value
    """What of `value` is selected. Raises ValueError for a field that it does not have."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_selected(each, selections, place) for each in value]
    if isinstance(value, dict) != (selections is not None):
        message = f'Field "{place}" ' + (
            "must have a selection of subfields" if selections is None else "has no subfields"
        )
        raise ValueError(message)
    if selections is None:
        return value
    found = {}
    for alias, name, arguments, inside in selections:
        if name not in value or arguments:
            message = f'Cannot query field "{name}"{" with arguments" if name in value else ""} of "{place}"'
            raise ValueError(message)
        found[alias] = _selected(value[name], inside, name)
    return found
