"""A call and its connector as a scan plan: defaults joined, the path filled, nothing sent."""

import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from apikit_sql.column_types import JSON, Column, Scalar, parse_type
from apikit_sql.connector.manifest import AuthConfig, ColumnConfig, Connector, KeyColumn, PaginationConfig, Stream
from apikit_sql.connector.registry import explain
from apikit_sql.connector.template import check_path, fields_of, fill_path
from apikit_sql.errors import CallError
from apikit_sql.origin import origin_of
from apikit_sql.plan.call import Call, filter_key_columns, query_params
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_NO_STREAM = Stream(path="/")


def is_base_url(connector: str) -> bool:
    """Whether a call names an API by its base URL instead of a connector."""
    return connector.startswith(("https://", "http://"))


def ad_hoc_connector(base_url: str, tokens: Mapping[str, str]) -> Connector:
    """A connector for an API known by its base URL alone, with the token that `tokens` has for its origin."""
    try:
        host = urlsplit(base_url).netloc
        token = {origin_of(origin): text for origin, text in tokens.items()}.get(origin_of(base_url))
        if "@" in host:
            message = (
                "apikit: the base URL holds credentials. Give them in Python: install(con, tokens={...: 'env:NAME'})."
            )
            raise CallError(message)
        auth = AuthConfig(type="bearer", token=SecretStr(token)) if token else AuthConfig()
        return Connector(name=host, base_url=base_url.rstrip("/"), auth=auth)
    except (ValidationError, ValueError):
        message = "apikit: the connector is not a base URL (https://host, a port, a path); parameters go into params."
        raise CallError(message) from None


def plan_call(call: Call, connector: Connector, max_wait: float = 60) -> ScanPlan:
    """The scan that `call` asks of `connector`, waiting at most `max_wait` seconds for a limit of its API.

    What the call says wins over the stream, the stream over the connector. Raises CallError where they do not fit
    together, naming the option.
    """
    stream = _stream(call, connector)
    path = _path(call, stream)
    columns = _declared_columns(call, stream)
    keys = _key_columns(call, stream, path)
    given_keys = tuple(
        (key.column, call.path_params[key.path]) for key in stream.key_columns if key.path in call.path_params
    )
    if columns is None and fields_of(path):
        name = fields_of(path)[0]
        message = (
            f"apikit: nothing fills {{{name}}} in {path}. Say path_params := {{{name}: ...}}, "
            f"or declare columns := {{...}} and write WHERE {name} = ..."
        )
        raise CallError(message)
    if columns is not None and call.nested != "struct":
        message = "apikit: nested shapes inferred columns; here they are declared, so declare them in that shape."
        raise CallError(message)
    types = tuple(_column(name, config) for name, config in call.types.items())
    return ScanPlan(
        request=_request(call, stream, connector, path, max_wait),
        columns=None if columns is None else _with_key_columns(columns, (*stream.key_columns, *keys)),
        types=types,
        nested=call.nested,
        key_columns=keys,
        given_keys=given_keys,
        filters=tuple(key.column for key in filter_key_columns(call.filters)),
    )


def _request(call: Call, stream: Stream, connector: Connector, path: str, max_wait: float) -> RequestPlan:
    pagination = _pagination(call, stream, connector)
    if pagination.params_in == "body" and stream.method != "POST":
        message = "apikit: pagination: params_in = 'body' needs a stream whose method is POST."
        raise CallError(message)
    defaults = query_params("params", stream.params, "")
    given = query_params("params", call.params, call.params_type)
    chosen = {name for name, _ in given} | call.params.keys()
    return RequestPlan(
        connector=connector.name,
        base_url=connector.base_url.rstrip("/"),
        path=path,
        method=stream.method,
        params=tuple(pair for pair in defaults if pair[0] not in chosen) + given,
        headers=_headers({**connector.headers, **call.headers}),
        body=json.dumps(stream.body).encode() if stream.method == "POST" else None,
        record_path=_record_path(call, stream, connector),
        pagination=pagination,
        pages=call.pages,
        auth=connector.auth,
        retry=connector.retry,
        rate_limit=connector.rate_limit,
        allowed_origins=connector.allowed_origins,
        timeout=call.timeout or connector.timeout,
        max_wait=max_wait,
        verify_ssl=connector.verify_ssl,
    )


def _stream(call: Call, connector: Connector) -> Stream:
    if call.path.startswith("/"):
        return _NO_STREAM
    if call.path in connector.streams:
        return connector.streams[call.path]
    known = ", ".join(sorted(connector.streams)) or "none"
    message = f"{connector.name} has no stream {call.path!r} (it has {known}). A path starts with '/': '/{call.path}'."
    raise CallError(message)


def _path(call: Call, stream: Stream) -> str:
    template = check_path(call.path if stream is _NO_STREAM else stream.path)
    for name, value in call.path_params.items():
        if value is None:
            message = f"apikit: path_params.{name} is NULL; {template} needs a value."
            raise CallError(message)
        if isinstance(value, list):
            message = (
                f"apikit: path_params.{name} is a list; a path has one value. Write WHERE {name} IN (...) instead."
            )
            raise CallError(message)
        if name not in fields_of(template):
            message = f"apikit: path_params has {name!r}, but {template} has no {{{name}}}."
            raise CallError(message)
    pairs = query_params("path_params", call.path_params, call.path_params_type)
    return fill_path(template, dict(pairs))


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
            message = f"apikit: the header {name!r} has characters that HTTP cannot carry."
            raise CallError(message)
    return tuple(headers.items())


def _declared_columns(call: Call, stream: Stream) -> tuple[Column, ...] | None:
    chosen = call.columns or {**stream.columns} or None
    if chosen is None:
        return None
    if not call.columns:
        unknown = call.types.keys() - chosen.keys()
        if unknown:
            message = f"apikit: types has {min(unknown)!r}, which is no column of {call.path!r}."
            raise CallError(message)
        chosen = {**chosen, **call.types}
    elif call.types:
        message = "apikit: columns is the whole schema; say types := {...} only where columns are inferred."
        raise CallError(message)
    if len({name.lower() for name in chosen}) < len(chosen):
        message = "apikit: two of the declared columns differ by case only, which DuckDB does not tell apart."
        raise CallError(message)
    return tuple(_column(name, config) for name, config in chosen.items())


def _column(name: str, config: ColumnConfig) -> Column:
    return Column(name, parse_type(config.type), (name,), declared=True, format=config.format)


def _key_columns(call: Call, stream: Stream, path: str) -> tuple[KeyColumn, ...]:
    """The call's filters, the stream's key columns, and a required one for each field of `path` still open.

    A parameter that the call sets itself stays as it was set: no predicate may widen it again.
    """
    still_open = fields_of(path)
    formats = {
        name.lower(): config.format for name, config in {**stream.columns, **(call.columns or {}), **call.types}.items()
    }
    filters = (
        key.model_copy(update={"format": formats.get(key.column.lower(), "")})
        for key in filter_key_columns(call.filters)
    )
    chosen = (*filters, *stream.key_columns)
    free = tuple(key for key in chosen if (key.path in still_open if key.path else key.param not in call.params))
    known = {key.path for key in free}
    return free + tuple(KeyColumn(column=name, path=name, required=True) for name in still_open if name not in known)


def _with_key_columns(columns: tuple[Column, ...], keys: tuple[KeyColumn, ...]) -> tuple[Column, ...]:
    """`columns` and one for each required key that they lack; the scan fills it with the key's value."""
    names = {column.name.lower(): column for column in columns}
    for key in keys:
        column = names.get(key.column.lower())
        if key.required and column is not None and not (isinstance(column.type, Scalar) and column.type != JSON):
            message = f"apikit: {column.name} is a key column; it must be of a plain type, not {column.type}."
            raise CallError(message)
    lacking = {key.column: key for key in keys if key.required and key.column.lower() not in names}
    return columns + tuple(Column(name, parse_type(key.type), (name,), declared=True) for name, key in lacking.items())


def _pagination(call: Call, stream: Stream, connector: Connector) -> PaginationConfig:
    base = call.pagination or stream.pagination or connector.pagination
    if call.strategy not in {None, base.strategy}:
        base = _pagination_of({"strategy": call.strategy})
    changed = {name: value for name in ("page_size", "max_pages") if (value := getattr(call, name)) is not None}
    return _pagination_of(base.model_dump() | changed) if changed else base


def _pagination_of(settings: Mapping[str, object]) -> PaginationConfig:
    try:
        return PaginationConfig.model_validate(settings)
    except ValidationError as error:
        raise CallError("apikit: pagination: " + explain(error)) from None


def _record_path(call: Call, stream: Stream, connector: Connector) -> str | None:
    """Where the records are, by the nearest word on it; None where it is to be found."""
    said = call.pagination.data_path if call.pagination else None
    paged = (stream.pagination or connector.pagination).data_path
    choices = (call.data_path, said, stream.data_path, paged, connector.data_path)
    return next((choice for choice in choices if choice is not None), None)
