"""Every SQL function: its name, its arguments, and one line of help. Installing, docs and tests read this list."""

from dataclasses import dataclass

#: The scalar function behind every table function: a call as JSON -> the SQL text that reads its rows.
BIND_FUNCTION = "__apikit_bind"


@dataclass(frozen=True)
class Argument:
    """One argument; `default` is SQL text, None where it must be given. With `typed`, its SQL type is passed too."""

    name: str
    default: str | None
    help: str
    typed: bool = False


@dataclass(frozen=True)
class TableFunction:
    """A function that stands in FROM."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    def signature(self) -> str:
        """The function as it is called, with its defaults."""
        return f"{self.name}({', '.join(_declared(argument) for argument in self.arguments)})"


APIKIT = TableFunction(
    "apikit",
    "the records of a path or a stream of an API, page by page",
    (
        Argument("connector", None, "a connector's name, or a base URL"),
        Argument("path", None, "'/path', {fields} filled from path_params, or a stream's name"),
        Argument("params", "NULL", "query parameters; a list repeats its key, NULL omits it", typed=True),
        Argument("path_params", "NULL", "values for the {fields} of path", typed=True),
        Argument(
            "keys", "''", "[{owner: 'a', repo: 'x'}, ...]: a trip for each, the key a column of its rows", typed=True
        ),
        Argument("data_path", "NULL", "where the records are in the body: 'data.items', '' for the body itself"),
        Argument("pages", "NULL", "stop after this many pages"),
        Argument("pagination", "NULL", "a strategy's name, or {strategy: 'cursor', ...}"),
        Argument("page_size", "NULL", "records to ask for in a page"),
        Argument("max_pages", "NULL", "a guard: more pages than this is an error"),
        Argument("columns", "NULL", "the whole schema, {id: 'BIGINT', at: 'TIMESTAMPTZ'}: no request at bind"),
        Argument("types", "NULL", "types of some of the inferred columns"),
        Argument("nested", "NULL", "'struct' (default), 'flatten' (user__login) or 'json'"),
        Argument("sample_pages", "NULL", "pages that are read to infer columns"),
        Argument("on_drift", "NULL", "a value that does not fit later: 'error' (default), 'null' or 'text'"),
        Argument("extra", "NULL", "true adds _extra, JSON of the fields that no column has"),
        Argument("filters", "NULL", "predicates the API answers: {state: 'state', 'updated_at >=': 'since'}"),
        Argument("method", "NULL", "'POST' for a path that is known to read by it: read_posts"),
        Argument("body", "NULL", "what is posted, as JSON"),
        Argument("headers", "NULL", "request headers, no credentials"),
        Argument("concurrency", "NULL", "requests under way at once"),
        Argument("on_error", "NULL", "of several trips: 'error' (default), 'skip_missing' (404, 410) or 'skip'"),
        Argument("timeout", "NULL", "seconds that one request may take"),
        Argument("max_wait", "NULL", "seconds to wait for a limit of the API"),
        Argument("max_requests", "NULL", "requests that the scan may send"),
    ),
)

#: A macro without parameters would be bound when it is made: DuckDB folds what is constant.
_NEWEST = Argument("newest", "NULL", "only the newest so many")
SCANS = TableFunction(
    "apikit_scans", "the newest scans: pages, rows, requests, what drifted and what was not seen", (_NEWEST,)
)
ERRORS = TableFunction("apikit_errors", "the newest trips that failed, by key", (_NEWEST,))

TABLE_FUNCTIONS = (APIKIT, SCANS, ERRORS)


def macro_sql(function: TableFunction, *, temporary: bool) -> str:
    """The statement that makes `function` callable.

    DuckDB evaluates the argument of query() while it binds: the scalar function runs then, and what it returns is
    parsed as the table. The types go along because JSON does not tell a timestamp from a text.
    """
    given = [f"{a.name}: {a.name}" for a in function.arguments]
    typed = [f"{a.name}_type: CAST(typeof({a.name}) AS VARCHAR)" for a in function.arguments if a.typed]
    declared = ", ".join(_declared(argument) for argument in function.arguments)
    return (
        f"CREATE OR REPLACE {'TEMP ' if temporary else ''}MACRO {function.name}({declared}) AS TABLE FROM query("
        f"{BIND_FUNCTION}(to_json({{function: '{function.name}', "
        f"arguments: CAST(to_json({{{', '.join(given + typed)}}}) AS VARCHAR)}})))"
    )


def _declared(argument: Argument) -> str:
    return argument.name if argument.default is None else f"{argument.name} := {argument.default}"
