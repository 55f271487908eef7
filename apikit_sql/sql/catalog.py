"""Every SQL function: its name, its arguments, and one line of help. Installing, docs and tests read this list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: The scalar function behind every table function: a call as JSON -> the SQL text that reads its rows.
BIND_FUNCTION = "__apikit_bind"
#: The scalar function that marks each call of a mutation, and counts the copies that DuckDB makes of one.
MARK_FUNCTION = "__apikit_mark"
#: The scalar function behind apikit_explain(): its arguments as JSON, and the caller's variables -> its rows.
EXPLAIN_FUNCTION = "__apikit_explained"
#: What the view and the macro of a stream ask for.
STREAM = "stream"
#: What tables and functions ask for while their statement is explained: to be written down, not to be read.
RECORD = "record"
CALLED = "called"


_QUERY = "system.main.current_query()"  # SQL can make a macro of that name, but not there
#: The statement that runs, NULL where a copy of it for each row would be too much.
_STATEMENT = f"CASE WHEN system.main.length({_QUERY}) <= 20000 THEN {_QUERY} END"
#: What is told apart by it is each call in the text of a statement: DuckDB evaluates a format when it binds the call,
#: and the function around it when it plans, once for each copy that it has made of the call by then.
_MARK = f"{MARK_FUNCTION}(system.main.strftime(TIMESTAMP '2000-01-01', {MARK_FUNCTION}('')))"


@dataclass(frozen=True)
class Argument:
    """One argument; `default` is SQL text, None where it must be given. With `typed`, its SQL type is passed too."""

    name: str
    default: str | None
    help: str
    typed: bool = False


@dataclass(frozen=True)
class Function:
    """A function of SQL: a macro over a Python function.

    One that `returns` a type is a scalar function, of each row; others stand in FROM, or after CALL. One that has a
    `method` changes something by it.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    returns: str = ""
    method: str = ""

    @property
    def signature(self) -> str:
        """The function as it is called, with its defaults."""
        return f"{self.name}({', '.join(_declared(argument) for argument in self.arguments)})"

    @property
    def behind(self) -> str:
        """The name of the Python function: one for all tables, and one for each scalar function."""
        return f"__{self.name}" if self.returns else BIND_FUNCTION

    @property
    def from_caller(self) -> Mapping[str, str]:
        """What a table function takes along from where its call stands, as SQL expressions by name."""
        return _FROM_CALLER.get(self.name, {})

    def macro_sql(self, *, temporary: bool) -> str:
        """The statement that makes the function callable."""
        return f"CREATE OR REPLACE {'TEMP ' if temporary else ''}MACRO {self.signature} AS {self._body()}"

    def _body(self) -> str:
        if self.returns:
            given = [arguments_sql(self.arguments), *([_STATEMENT, _MARK] if self.method else [])]
            return f"{self.behind}({', '.join(given)})"
        question = call_sql({"function": literal(self.name)}, self.arguments, self.from_caller)
        return f"TABLE FROM {bind_sql(question)}"


APIKIT = Function(
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
        Argument("cache", "NULL", "seconds for which identical reads are answered from the response cache"),
    ),
)

GRAPHQL = Function(
    "apikit_graphql",
    "the rows of a GraphQL query; of a connection, page by page",
    (
        Argument("connector", None, "a connector's name, or a base URL"),
        Argument("query", None, "one query; with connection_path it has $first and $after"),
        Argument("variables", "NULL", "values for its $variables", typed=True),
        Argument("connection_path", "NULL", "the connection whose pages are followed: 'repository.issues'"),
        Argument("page_size", "NULL", "nodes to ask for in a page: $first (100)"),
        Argument("path", "NULL", "where the API answers GraphQL, if not at '/graphql'"),
        Argument("columns", "NULL", "the whole schema, {id: 'BIGINT', at: 'TIMESTAMPTZ'}: no request at bind"),
        Argument("nested", "NULL", "'struct' (default), 'flatten' (user__login) or 'json'"),
    ),
)

#: A macro without parameters would be bound when it is made: DuckDB folds what is constant.
_NEWEST = Argument("newest", "NULL", "only the newest so many")
SCANS = Function(
    "apikit_scans", "the newest scans: pages, rows, requests, what drifted and what was not seen", (_NEWEST,)
)
ERRORS = Function("apikit_errors", "the newest trips that failed, by key", (_NEWEST,))

CONNECTORS = Function(
    "apikit_connectors",
    "the connectors that are known, whether they are configured, and what is missing",
    (Argument("name", "NULL", "only the one of this name"),),
)
STREAMS = Function(
    "apikit_streams",
    "the streams of a connector: path, columns, and the predicates that its API answers",
    (Argument("connector", None, "a connector's name"),),
)
ATTACH = Function(
    "apikit_attach",
    "CALL it: the connector as a catalog, with a view, a macro and a function of its keys for each stream",
    (
        Argument("connector", None, "a connector's name"),
        Argument("name", "NULL", "the catalog's name, the connector's unless given"),
    ),
)
DETACH = Function(
    "apikit_detach", "CALL it: takes such a catalog away", (Argument("name", None, "the catalog's name"),)
)

REQUESTS = Function("apikit_requests", "the newest requests: URL without secrets, status, time, bytes", (_NEWEST,))
RATE_LIMITS = Function(
    "apikit_rate_limits",
    "what APIs have told of their limits, by connector and credential",
    (Argument("connector", "NULL", "only those of this connector"),),
)
LAST_ERROR = Function(
    "apikit_last_error",
    "the newest error of the session, whole: DuckDB shows only its text",
    (Argument("error", "NULL", "only of this class: 'RateLimitError'"),),
)
EXPLAIN = Function(
    "apikit_explain",
    "the scans of a SELECT: first request, what is pushed, what is not and why, how many requests; it sends none",
    (Argument("sql", None, "the statement, $$ SELECT ... $$"),),
)
HELP = Function(
    "apikit_help",
    "every function: how it is called, and what it gives",
    (Argument("name", "NULL", "only the one of this name"),),
)

DRY_RUN = Function(
    "apikit_dry_run",
    "the first request of a call as it would be sent, its credential masked; nothing is sent",
    (
        Argument("connector", None, "a connector's name, or a base URL"),
        Argument("path", None, "'/path', {fields} filled from path_params, or a stream's name"),
        Argument("params", "NULL", "query parameters; a list repeats its key, NULL omits it", typed=True),
        Argument("path_params", "NULL", "values for the {fields} of path", typed=True),
        Argument("method", "NULL", "'POST', 'PUT', 'PATCH' or 'DELETE': that of a mutation, or of a POST that reads"),
        Argument("body", "NULL", "what is sent: a STRUCT, a list or JSON text"),
        Argument("headers", "NULL", "request headers, no credentials"),
        Argument("pagination", "NULL", "a strategy's name, or {strategy: 'cursor', ...}"),
        Argument("page_size", "NULL", "records to ask for in a page"),
        Argument("idempotency_key", "NULL", "what the API shall know the request by"),
    ),
)

WEBHOOK_START = Function(
    "apikit_webhook_start",
    "CALL it: receives the deliveries of a webhook, and keeps each in a table before it is answered",
    (
        Argument("name", None, "what the receiver is called"),
        Argument("provider", None, "'stripe', 'github', 'standard' (Standard Webhooks, Svix) or 'hmac' (HMAC-SHA256)"),
        Argument("secret", None, "a reference, 'env:NAME' or 'keyring:NAME'; a list while one is rotated"),
        Argument("port", "NULL", "where it listens (8080); 0 takes any that is free"),
        Argument("path", "NULL", "where deliveries are posted ('/webhook')"),
        Argument("table_name", "NULL", "the table (NAME_events); it is made where it is not there"),
        Argument("host", "NULL", "the address it listens at ('127.0.0.1'); '0.0.0.0' for all"),
        Argument("header", "NULL", "of 'hmac': the header of the signature ('X-Signature')"),
        Argument("prefix", "NULL", "of 'hmac': what stands before the signature, as 'sha256='"),
        Argument("id_header", "NULL", "of 'hmac': the header of a delivery's id; without it none is known again"),
        Argument("event_header", "NULL", "of 'hmac': the header of the event's name"),
        Argument("tolerance", "NULL", "of 'stripe' and 'standard': seconds that a signature is good (300)"),
        Argument("max_body", "NULL", "the largest delivery, in bytes (25 MiB)"),
    ),
)
WEBHOOK_STOP = Function(
    "apikit_webhook_stop", "CALL it: stops such a receiver", (Argument("name", None, "what the receiver is called"),)
)
WEBHOOKS = Function(
    "apikit_webhooks",
    "the receivers that run: address, counts, what was rejected and why, the lag",
    (Argument("name", "NULL", "only the one of this name"),),
)

INSPECT = Function(
    "apikit_inspect",
    "one request: where an API's records are, how it pages, its columns and limit, a manifest and SQL to read it with",
    (*APIKIT.arguments[:2], next(each for each in APIKIT.arguments if each.name == "params")),
)
SCHEMA = Function(
    "apikit_schema",
    "the columns of a call of apikit(): type, nulls and an example of its first page, predicates that the API answers",
    APIKIT.arguments,
)
#: What sends a request when it is read.
PROBING = (INSPECT, SCHEMA)

_OF_AN_EXPORT = (
    Argument("name", "NULL", "what seed and source are called; it is needed"),
    Argument("output_dir", "'dbt'", "the dbt project, in the working folder"),
    Argument("database", "NULL", "where the source is, the target's database unless given"),
    Argument("schema", "NULL", "where the source is, the target's schema unless given"),
    Argument("description", "NULL", "a text for both"),
    Argument("tags", "NULL", "tags for both, ['crm']"),
    Argument("csv_safe", "false", "true puts an apostrophe before what a spreadsheet would compute"),
)
DBT_EXPORT = Function(
    "apikit_dbt_export",
    "CALL it: all records of a path or a stream as a seed and a source of a dbt project",
    (
        Argument("connector", None, "a connector's name, or a base URL"),
        Argument("path", None, "'/path', {fields} filled from path_params, or a stream's name"),
        *_OF_AN_EXPORT[:2],
        Argument("params", "NULL", "query parameters; a list repeats its key, NULL omits it", typed=True),
        Argument("path_params", "NULL", "values for the {fields} of path", typed=True),
        *_OF_AN_EXPORT[2:],
    ),
)
DBT_EXPORT_QUERY = Function(
    "apikit_dbt_export_query",
    "CALL it: the rows of a SELECT as a seed and a source of a dbt project",
    (Argument("sql", None, "the statement, $$ SELECT ... $$"), *_OF_AN_EXPORT),
)
#: What writes files.
EXPORTING = (DBT_EXPORT, DBT_EXPORT_QUERY)

TABLE_FUNCTIONS = (
    APIKIT, GRAPHQL, EXPLAIN, DRY_RUN, INSPECT, SCHEMA, SCANS, REQUESTS, RATE_LIMITS, ERRORS, LAST_ERROR, CONNECTORS,
    STREAMS, ATTACH, DETACH, WEBHOOK_START, WEBHOOK_STOP, WEBHOOKS, DBT_EXPORT, DBT_EXPORT_QUERY, HELP,
)  # fmt: skip

_OF_A_STATEMENT = {
    "search_path": "system.main.current_setting('search_path')",
    "time_zone": "system.main.current_setting('TimeZone')",
}
#: What a question takes along from where its call stands, as SQL expressions.
_FROM_CALLER = {
    DETACH.name: {"current": "system.main.current_database()"},
    WEBHOOK_START.name: {"catalog": "system.main.current_database()", "schema": "system.main.current_schema()"},
    EXPLAIN.name: _OF_A_STATEMENT,
    DBT_EXPORT_QUERY.name: _OF_A_STATEMENT,
}

_OF_A_READ = (
    Argument("connector", None, "a connector's name, or a base URL"),
    Argument("path", None, "'/path', {fields} filled from path_params, or a stream's name"),
    Argument("params", "NULL", "query parameters; a list repeats its key, NULL omits it", typed=True),
    Argument("path_params", "NULL", "values for the {fields} of path; where one is NULL, so is the result", typed=True),
)
GET = Function("apikit_get", "of each row: the body of one response", _OF_A_READ, returns="JSON")
FETCH = Function("apikit_fetch", "of each row: all records of all pages", _OF_A_READ, returns="JSON[]")

OUTCOME = "STRUCT(status INTEGER, body JSON, error VARCHAR, idempotency_key VARCHAR)"
_OF_A_MUTATION = (
    Argument("connector", None, "a connector's name, or a base URL"),
    Argument("path", None, "'/path', {fields} filled from path_params"),
    Argument("body", "NULL", "what is sent: a STRUCT, a list or JSON text"),
    Argument("params", "NULL", "query parameters; a list repeats its key, NULL omits it", typed=True),
    Argument("path_params", "NULL", "values for the {fields} of path", typed=True),
    Argument("idempotency_key", "NULL", "what the API knows the request by, instead of a new UUID"),
)


def _mutation(method: str, what: str) -> Function:
    return Function(f"apikit_{method.lower()}", f"of each row: {what}", _OF_A_MUTATION, OUTCOME, method)


POST = _mutation("POST", "one POST, sent at most once, and its outcome")
PUT = _mutation("PUT", "one PUT, sent at most once, and its outcome")
PATCH = _mutation("PATCH", "one PATCH, sent at most once, and its outcome")
DELETE = _mutation("DELETE", "one DELETE, sent at most once, and its outcome")

MUTATIONS = (POST, PUT, PATCH, DELETE)
SCALAR_FUNCTIONS = (GET, FETCH, *MUTATIONS)
FUNCTIONS: tuple[Function, ...] = (*TABLE_FUNCTIONS, *SCALAR_FUNCTIONS)


def bind_sql(question: str) -> str:
    """The table that the answer to `question` reads, as SQL text of JSON text.

    DuckDB evaluates the argument of query() while it binds: the scalar function runs then, and what it returns is
    parsed as the table.
    """
    return f"query({BIND_FUNCTION}({question}))"


def call_sql(question: Mapping[str, str], arguments: Iterable[Argument], others: Mapping[str, str]) -> str:
    """A question with the arguments of a call, as an SQL expression; the values of both mappings are expressions."""
    return f"to_json({object_sql({**question, 'arguments': arguments_sql(arguments, others)})})"


def arguments_sql(arguments: Iterable[Argument], others: Mapping[str, str] = MappingProxyType({})) -> str:
    """The arguments of a call and `others` as an SQL expression of JSON text.

    Types go along with arguments (`type_sql`) because JSON does not tell a timestamp from a text.
    """
    arguments = tuple(arguments)
    values = {argument.name: argument.name for argument in arguments}
    values |= {f"{each.name}_type": type_sql(each.name) for each in arguments if each.typed}
    return f"CAST(to_json({object_sql({**values, **others})}) AS VARCHAR)"


def object_sql(expressions: Mapping[str, str]) -> str:
    """A STRUCT of SQL expressions."""
    return "{" + ", ".join(f"{literal(name)}: {expression}" for name, expression in expressions.items()) + "}"


def type_sql(expression: str) -> str:
    """The type of an SQL expression, as text."""
    return f"CAST(typeof({expression}) AS VARCHAR)"


def literal(text: str) -> str:
    """`text` as a value in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _declared(argument: Argument) -> str:
    return argument.name if argument.default is None else f"{argument.name} := {argument.default}"
