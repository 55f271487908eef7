"""A GraphQL document, parsed: whether it is one query, which variables it has, and where its rows will be.

The only file that needs graphql-core.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    Node,
    NonNullTypeNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    SourceLocation,
    StringValueNode,
    VariableNode,
    parse,
)

from apikit_sql.errors import CallError
from apikit_sql.plan.call import refuse_credential

_SHAPE = (
    "Write query($first: Int!, $after: String) {{ ... {field}(first: $first, after: $after) "
    "{{ nodes {{ ... }} pageInfo {{ hasNextPage endCursor }} }} }}."
)
_PAGE_VARIABLES = frozenset({"first", "after"})


@dataclass(frozen=True)
class Query:
    """What a document asks: its variables, those that need a value, and where the answer has its rows.

    `unfollowed` are the places where connections, whose pages are not followed, tell of a next one.
    """

    declared: tuple[str, ...]
    needed: tuple[str, ...]
    record_path: str
    unfollowed: tuple[tuple[str, ...], ...]


def read_query(text: str, connection_path: str | None) -> Query:
    """The one query of the document `text`, whose rows are the nodes of the connection at `connection_path`.

    Without one they are what its only field gives; several fields are one row. Raises CallError for a mutation, a
    subscription, several operations, what is no GraphQL, a credential, and what is no connection.
    """
    document = _parsed(text)
    _refuse_credentials(document)
    operation = _only_query(document)
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    top = _Selection((_Part(operation.selection_set),), fragments)
    variables = {each.variable.name.value: each for each in operation.variable_definitions or ()}
    needed = [name for name, each in variables.items() if isinstance(each.type, NonNullTypeNode)]
    followed: tuple[str, ...] = ()
    if connection_path is None:
        record_path = _top_path(top)
    else:
        followed = tuple(connection_path.split("."))
        record_path = _connection_path(top, followed, frozenset(variables))
    return Query(
        declared=tuple(variables),
        needed=tuple(name for name in needed if variables[name].default_value is None),
        record_path=record_path,
        unfollowed=tuple(place for place in _has_next_pages(top) if place[:-2] != followed),
    )


def _parsed(text: str) -> DocumentNode:
    try:
        return parse(text)
    except GraphQLSyntaxError as error:
        place = (error.locations or [SourceLocation(1, 1)])[0]
        what = error.message.removeprefix("Syntax Error: ").rstrip(".")
        message = f"apikit_graphql: the query is no GraphQL at line {place.line}, column {place.column}: {what}."
    except RecursionError:
        message = "apikit_graphql: the query is nested too deeply."
    raise CallError(message)


def _only_query(document: DocumentNode) -> OperationDefinitionNode:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    for each in operations:
        if each.operation is not OperationType.QUERY:
            message = f"apikit_graphql: a {each.operation.value} is not sent; only a query reads."
            raise CallError(message)
    if len(operations) != 1:
        message = f"apikit_graphql: the document has {len(operations)} queries; it must have one."
        raise CallError(message)
    return operations[0]


def _refuse_credentials(document: DocumentNode) -> None:
    """Raise CallError for a text in the document that is a credential by its name, or refers to one."""
    for node in _nodes(document):
        if isinstance(node, ArgumentNode | ObjectFieldNode) and isinstance(node.value, StringValueNode):
            refuse_credential(node.name.value, node.value.value)
        elif isinstance(node, StringValueNode):
            refuse_credential("", node.value)


def _nodes(node: Node) -> Iterator[Node]:
    """`node` and every one within."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        for key in node.keys:
            inside = getattr(node, key)
            waiting += [n for n in (inside if isinstance(inside, tuple | list) else [inside]) if isinstance(n, Node)]


@dataclass(frozen=True)
class _Part:
    """Selected fields, and the fragments that they stand in: one that spreads itself is spread once."""

    selections: SelectionSetNode | None
    within: frozenset[str] = frozenset()
    field: FieldNode | None = None


@dataclass(frozen=True)
class _Selection:
    """What is selected under one name of the answer: the parts that a server merges."""

    parts: tuple[_Part, ...]
    fragments: Mapping[str, FragmentDefinitionNode]

    @property
    def fields(self) -> list[FieldNode]:
        """The field, as often as it is written."""
        return [part.field for part in self.parts if part.field is not None]

    def inside(self) -> dict[str, _Selection]:
        """What is selected within, by its name in the answer."""
        found: dict[str, tuple[_Part, ...]] = {}
        for part in self.parts:
            for field, within in self._spread(part.selections, part.within):
                name = (field.alias or field.name).value
                found[name] = (*found.get(name, ()), _Part(field.selection_set, within, field))
        return {name: _Selection(parts, self.fragments) for name, parts in found.items()}

    def _spread(
        self, selections: SelectionSetNode | None, within: frozenset[str]
    ) -> Iterator[tuple[FieldNode, frozenset[str]]]:
        """The fields, those of fragments too."""
        for each in selections.selections if selections else ():
            if isinstance(each, FieldNode):
                yield each, within
            elif isinstance(each, InlineFragmentNode):
                yield from self._spread(each.selection_set, within)
            else:
                assert isinstance(each, FragmentSpreadNode)  # noqa: S101 - there are no others
                name = each.name.value
                if name in self.fragments and name not in within:
                    yield from self._spread(self.fragments[name].selection_set, within | {name})


def _top_path(top: _Selection) -> str:
    """Where the rows of a query without connection are: in its only field, if that has fields of its own."""
    inside = top.inside()
    rows = [name for name in inside if inside[name].inside()]
    return f"data.{rows[0]}" if rows and len(inside) == 1 else "data"


def _connection_path(top: _Selection, path: tuple[str, ...], variables: frozenset[str]) -> str:
    """Where the nodes of the connection at `path` are. Raises CallError for what its pages cannot be followed by."""
    shown, found = ".".join(path), top
    for step in path:
        inside = found.inside()
        if step not in inside:
            has = ", ".join(inside) or "no fields"
            message = f"apikit_graphql: connection_path is {shown!r}; the query has no {step!r} there (it has {has})."
            raise CallError(message)
        found = inside[step]
    arguments = [argument for field in found.fields for argument in field.arguments or ()]
    used = {node.name.value for each in arguments for node in _nodes(each) if isinstance(node, VariableNode)}
    inside = found.inside()
    if not used & variables >= _PAGE_VARIABLES:
        raise _no_pages(shown, "does not take $first and $after")
    if "pageInfo" not in inside or not {"hasNextPage", "endCursor"} <= inside["pageInfo"].inside().keys():
        raise _no_pages(shown, "does not select pageInfo { hasNextPage endCursor }")
    if "nodes" in inside:
        return f"data.{shown}.nodes"
    if "edges" in inside and "node" in inside["edges"].inside():
        return f"data.{shown}.edges[].node"
    raise _no_pages(shown, "selects neither nodes nor edges { node }")


def _no_pages(path: str, lack: str) -> CallError:
    return CallError(f"apikit_graphql: {path} {lack}. {_SHAPE.format(field=path.rpartition('.')[2])}")


def _has_next_pages(selection: _Selection, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every `hasNextPage` of the answer."""
    for name, inside in selection.inside().items():
        if len(path) > 1 and inside.fields[0].name.value == "hasNextPage":
            yield (*path, name)
        yield from _has_next_pages(inside, (*path, name))
