"""A call and its connector as a scan plan: defaults joined, the path filled, nothing sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from apikit_sql.column_types import Column
from apikit_sql.connector.findings import explain
from apikit_sql.connector.manifest import ConnectorDefinition, KeyColumn, Stream
from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.connector.template import check_path, fields_of, fill_path
from apikit_sql.errors import CallError, ConfigError
from apikit_sql.origin import origin_of
from apikit_sql.plan.call import Call, filter_key_columns
from apikit_sql.plan.columns import (
    column_of,
    columns_of_keys,
    declared_columns,
    with_extra,
    with_key_columns,
    with_key_fields,
)
from apikit_sql.plan.keys import key_tuples
from apikit_sql.plan.request_plan import Keys, RequestPlan, ScanPlan
from apikit_sql.plan.values import body_bytes, query_params
from apikit_sql.redaction import redact_url

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


_PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Defaults:
    """What holds where a call says nothing.

    Seconds to wait for an API's limit, requests that a scan may send, seconds for which an answer is good enough.
    """

    max_wait: float | None = None
    max_requests: int | None = None
    cache: float = 0

    def patience(self, connector: ConnectorDefinition) -> float:
        """Seconds to wait for a limit of `connector`: what was said, else 60, or its `retry.max_wait` if longer."""
        return max(_PATIENCE, connector.retry.max_wait) if self.max_wait is None else self.max_wait


#: What holds where nobody says anything.
USUAL_DEFAULTS = Defaults()


EMPTY: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NO_STREAM = Stream(path="/")
#: What a strategy is not without, for instance.
_SETTINGS = {
    "page": "'page_param': 'page', ",
    "offset": "'offset_param': 'offset', ",
    "cursor": "'cursor_param': 'cursor', 'next_cursor_path': 'next_cursor', ",
    "next_url": "'next_url_path': 'next', ",
}


def is_base_url(connector: str) -> bool:
    """Whether a call names an API by its base URL instead of a connector."""
    return connector.startswith(("https://", "http://"))


def ad_hoc_connector(
    base_url: str, tokens: Mapping[str, str], read_posts: Mapping[str, tuple[str, ...]] = EMPTY
) -> ConnectorDefinition:
    """A connector for an API known by its base URL alone, with the token that `tokens` has for its origin.

    `read_posts` are patterns of an origin's whole paths that are read by POST.
    """
    try:
        host = urlsplit(base_url).netloc
        token = {origin_of(origin): text for origin, text in tokens.items()}.get(origin_of(base_url))
        if "@" in host:
            message = (
                "apikit: the base URL holds credentials. Give them in Python: install(con, tokens={...: 'env:NAME'})."
            )
            raise CallError(message)
        auth = AuthConfig(type="bearer", token=SecretStr(token)) if token else AuthConfig()
        base_url = base_url.rstrip("/")
        posts = {origin_of(origin): patterns for origin, patterns in read_posts.items()}.get(origin_of(base_url), ())
        before = urlsplit(base_url).path
        own = tuple(p.removeprefix(before) for p in posts if p.startswith(before + "/"))
        return ConnectorDefinition(name=host, base_url=base_url, auth=auth, read_posts=own)
    except (ConfigError, ValueError):
        message = "apikit: the connector is not a base URL (https://host, a port, a path); parameters go into params."
        raise CallError(message) from None


def plan_call(call: Call, connector: ConnectorDefinition, usual: Defaults = USUAL_DEFAULTS) -> ScanPlan:
    """The scan that `call` asks of `connector`; what is `usual` holds where the call says nothing.

    What the call says wins over the stream, the stream over the connector. Raises CallError where they do not fit
    together, naming the option.
    """
    stream = _stream(call, connector)
    path = filled_path(call, call.path if stream is _NO_STREAM else stream.path)
    columns = declared_columns(call, stream)
    keys, settled = _key_columns(call, stream, path)
    given_keys = tuple(
        (key.column, call.path_params[key.path]) for key in stream.key_columns if key.path in call.path_params
    )
    given_tuples = key_tuples(call)
    key_fields = columns_of_keys(given_tuples, keys, stream.key_columns)
    if columns is None:
        _refuse_open_fields(path, given_tuples, key_fields)
    else:
        _refuse_inference(call)
        columns = with_key_columns(with_key_fields(columns, key_fields), (*stream.key_columns, *keys))
        columns = with_extra(columns, is_wanted=call.extra)
    return ScanPlan(
        request=_request(call, stream, connector, path, usual),
        columns=columns,
        types=tuple(column_of(name, config) for name, config in call.types.items()),
        nested=call.nested,
        sample_pages=call.sample_pages,
        on_drift=call.on_drift,
        extra=call.extra,
        key_columns=keys,
        settled=settled,
        given_keys=given_keys,
        keys=given_tuples,
        key_fields=key_fields,
        filters=tuple(key.column for key in filter_key_columns(call.filters)),
        concurrency=call.concurrency or connector.concurrency,
        on_error=call.on_error,
        max_requests=usual.max_requests if call.max_requests is None else call.max_requests,
    )


def _refuse_open_fields(path: str, keys: tuple[Keys, ...] | None, key_fields: tuple[Column, ...]) -> None:
    """Raise CallError where nothing fills a field of `path`, so that no page can be sampled."""
    asked = {field.name.lower() for field in key_fields}
    still_open = [name for name in fields_of(path) if name.lower() not in asked]
    if still_open and keys != ():
        name = still_open[0]
        message = (
            f"apikit: nothing fills {{{name}}} in {path}. Say path_params := {{'{name}': ...}}, "
            f"or keys := [{{'{name}': ...}}, ...], or declare columns := {{...}} and write WHERE {name} = ..."
        )
        raise CallError(message)


def _refuse_inference(call: Call) -> None:
    """Raise CallError for options that shape inferred columns, where they are declared."""
    if call.nested != "struct":
        message = "apikit: nested shapes inferred columns; here they are declared, so declare them in that shape."
        raise CallError(message)
    if call.on_drift == "text":
        message = "apikit: on_drift := 'text' makes inferred columns VARCHAR; here they are declared: declare VARCHAR."
        raise CallError(message)


def _request(call: Call, stream: Stream, connector: ConnectorDefinition, path: str, usual: Defaults) -> RequestPlan:
    pagination, method = _pagination(call, stream, connector), _method(call, stream, connector)
    if pagination.params_in == "body" and method != "POST":
        message = "apikit: pagination: params_in = 'body' needs method := 'POST'."
        raise CallError(message)
    return RequestPlan(
        connector=connector.name,
        base_url=connector.base_url.rstrip("/"),
        path=path,
        method=method,
        params=joined_params(call, connector.params | stream.params),
        headers=checked_headers({**connector.headers, **call.headers}),
        body=body_bytes(stream.body if call.body is None else call.body) if method == "POST" else None,
        record_path=_record_path(call, stream, connector),
        pagination=pagination,
        pages=call.pages,
        auth=connector.auth,
        retry=connector.retry,
        rate_limit=connector.rate_limit,
        allowed_origins=connector.allowed_origins,
        timeout=call.timeout or connector.timeout,
        max_wait=usual.patience(connector) if call.max_wait is None else call.max_wait,
        cache=usual.cache if call.cache is None else call.cache,
        verify_ssl=connector.verify_ssl,
    )


def joined_params(call: Call, defaults: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The query parameters of `call`, and those of `defaults` that it does not say itself."""
    given = query_params("params", call.params, call.params_type)
    chosen = {name for name, _ in given} | call.params.keys()
    return tuple(pair for pair in query_params("params", defaults, "") if pair[0] not in chosen) + given


def _method(call: Call, stream: Stream, connector: ConnectorDefinition) -> str:
    """GET, or POST where it is known to read: it is a stream's own, or a pattern of `read_posts` has the path."""
    method = call.method or stream.method
    if call.body is not None and method != "POST":
        message = "apikit: a body needs method := 'POST'."
        raise CallError(message)
    if stream is not _NO_STREAM and method != stream.method:
        message = f"apikit: the stream {call.path!r} is asked by {stream.method}, not by {method}."
        raise CallError(message)
    if stream is _NO_STREAM and method == "POST" and not reads_by_post(connector, call.path):
        base = urlsplit(connector.base_url)
        message = (
            f"apikit: POST {call.path} may change something. If it only reads, say so: in the manifest, read_posts = "
            f"['{call.path}'], or install(con, read_posts={{'{base.scheme}://{base.netloc}': "
            f"['{base.path.rstrip('/')}{call.path}']}})."
        )
        raise CallError(message)
    return method


def reads_by_post(connector: ConnectorDefinition, path: str) -> bool:
    """Whether a POST to `path`, or to the stream of that name, is known to read."""
    stream = connector.streams.get(path, _NO_STREAM)
    return stream.method == "POST" or any(_matches(pattern, path) for pattern in connector.read_posts)


def _matches(pattern: str, path: str) -> bool:
    """Whether `path` is `pattern`, in which `*` stands for any one segment."""
    asked, known = path.split("/"), pattern.split("/")
    return len(asked) == len(known) and all(k in {"*", a} for k, a in zip(known, asked, strict=True))


def _stream(call: Call, connector: ConnectorDefinition) -> Stream:
    if call.path.startswith("/"):
        return _NO_STREAM
    if call.path in connector.streams:
        return connector.streams[call.path]
    known = ", ".join(sorted(connector.streams)) or "none"
    message = f"{connector.name} has no stream {redact_url(call.path)!r} (it has {known}). A path starts with '/'"
    if is_base_url(call.path):
        message += f", and comes behind the base URL, {connector.base_url}."
    else:
        message += f": '/{call.path}'."
    raise CallError(message)


def filled_path(call: Call, path: str) -> str:
    """`path` with the fields that `call` has values for. Raises CallError for values that it cannot hold."""
    template = check_path(path)
    for name, value in call.path_params.items():
        if value is None:
            message = f"apikit: path_params.{name} is NULL; {template} needs a value."
            raise CallError(message)
        if isinstance(value, list):
            many = f"keys := [{{'{name}': ...}}, ...]"
            message = f"apikit: path_params.{name} is a list; a path has one value. Many are {many} of a table."
            raise CallError(message)
        if name not in fields_of(template):
            message = f"apikit: path_params has {name!r}, but {template} has no {{{name}}}."
            raise CallError(message)
    pairs = query_params("path_params", call.path_params, call.path_params_type)
    return fill_path(template, dict(pairs))


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """`headers` as pairs. Raises CallError for one that HTTP cannot carry."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not value.isprintable() or value != value.strip():
            message = f"apikit: the header {name!r} has characters that HTTP cannot carry, or spaces around its value."
            raise CallError(message)
    return tuple(headers.items())


def _key_columns(call: Call, stream: Stream, path: str) -> tuple[tuple[KeyColumn, ...], tuple[KeyColumn, ...]]:
    """The call's filters, the stream's key columns, and a required one for each field of `path` still open.

    A parameter that the call sets itself stays as it was set: no predicate may widen it again. Behind them, those that
    the call has settled so.
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
    needed = tuple(KeyColumn(column=name, path=name, required=True) for name in still_open if name not in known)
    return free + needed, tuple(key for key in chosen if key not in free)


def _pagination(call: Call, stream: Stream, connector: ConnectorDefinition) -> PaginationConfig:
    base = call.pagination or stream.pagination or connector.pagination
    if (call.strategy or base.strategy) == "relay":
        message = (
            "apikit: the pagination 'relay' belongs to GraphQL: apikit_graphql(...), or in Python client.graphql(...)."
        )
        raise CallError(message)
    said = {"strategy": call.strategy} if call.strategy not in {None, base.strategy} else {}
    said |= {name: value for name in ("page_size", "max_pages") if (value := getattr(call, name)) is not None}
    if not said:
        return base
    try:
        return PaginationConfig.model_validate(said if "strategy" in said else base.model_dump() | said)
    except ValidationError as error:
        message = f"apikit: pagination: {explain(error)}. {_whole_pagination(call.strategy or base.strategy)}"
        raise CallError(message) from None


def _whole_pagination(strategy: str) -> str:
    """What to write where a strategy's name alone says too little."""
    settings = f"'strategy': '{strategy}', {_SETTINGS.get(strategy, '')}'limit_param': ..."
    return f"Say pagination := {{{settings}}}, as the API names its parameters."


def _record_path(call: Call, stream: Stream, connector: ConnectorDefinition) -> str | None:
    """Where the records are, by the nearest word on it; None where it is to be found."""
    said = call.pagination.data_path if call.pagination else None
    paged = (stream.pagination or connector.pagination).data_path
    choices = (call.data_path, said, stream.data_path, paged, connector.data_path)
    return next((choice for choice in choices if choice is not None), None)
