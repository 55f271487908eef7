"""What one caller asked for: the arguments of `apikit(...)`, validated.

They arrive as JSON from DuckDB, with the SQL types of `params` and `path_params` beside them: JSON alone cannot tell
a timestamp from a text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from apikit_sql.connector.findings import explain
from apikit_sql.connector.manifest import ColumnChoice, KeyColumn, Operator
from apikit_sql.connector.protocol import PaginationConfig, Strategy
from apikit_sql.errors import CallError
from apikit_sql.plan.request_plan import OnDrift, OnError
from apikit_sql.plan.values import number_text
from apikit_sql.redaction import is_secret_header, is_secret_param
from apikit_sql.secrets import has_reference, is_reference

_WRITTEN = "Options are written name := value; name = value is a comparison, which DuckDB passes as a boolean."
_BOOLEANS = frozenset({"extra"})
_OBJECTS = frozenset({"params", "path_params", "columns", "types", "filters", "headers", "variables"})
_FILTER = re.compile(r"\s*(?P<column>.*?[^\s!<>=])\s*(?P<operator>>=|<=|>|<|=)?\s*")
_PAGE_PARAMS = frozenset({"key", "auth", "sig", "signature", "token", "credential"})  # of many innocent uses too


def _object(value: object) -> object:
    """A MAP or STRUCT arrives as an object, JSON text as a text that holds one."""
    if isinstance(value, str):
        try:
            return _read_json(value)
        except (ValueError, RecursionError):
            return value
    return value


def _read_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value `text`, its numbers as they were written.

    Raises ValueError for what is none, or has half a surrogate pair in it, which nothing can be called or sent as.
    """
    found = json.loads(text, parse_float=number_text)
    if "\\ud" in text.lower():
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _keys(value: object) -> object:
    value = _object(value)
    if not isinstance(value, list) or not all(isinstance(key, dict) for key in value):
        message = "write [{'name': value}, ...]; from a table, list({name: name})"
        raise ValueError(message)
    return value


def _body(value: object) -> object:
    value = _object(value)
    if not isinstance(value, dict | list):
        message = "must be an object {...} or a list [...]"
        raise ValueError(message)  # noqa: TRY004 - pydantic's way
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


JsonObject = Annotated[dict[str, Any], BeforeValidator(_object)]


class Call(BaseModel):
    """The arguments of one `apikit(...)`. Where `pagination` is a strategy's name, that is `strategy`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: str
    path: str
    params: JsonObject = Field(default_factory=dict)
    params_type: str = ""
    keys: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_keys)] | None = None
    keys_type: str = ""
    path_params: JsonObject = Field(default_factory=dict)
    path_params_type: str = ""
    data_path: str | None = None
    pages: Annotated[int, Field(ge=1)] | None = None
    pagination: Annotated[PaginationConfig, BeforeValidator(_object)] | None = None
    strategy: Strategy | None = None
    page_size: Annotated[int, Field(ge=1)] | None = None
    max_pages: Annotated[int, Field(ge=1)] | None = None
    columns: Annotated[dict[str, ColumnChoice], BeforeValidator(_object)] | None = None
    types: Annotated[dict[str, ColumnChoice], BeforeValidator(_object)] = Field(default_factory=dict)
    nested: Literal["struct", "flatten", "json"] = "struct"
    filters: Annotated[dict[str, str], BeforeValidator(_object)] = Field(default_factory=dict)
    method: Annotated[Literal["GET", "POST"], BeforeValidator(_upper)] | None = None
    body: Annotated[dict[str, Any] | list[Any], BeforeValidator(_body)] | None = None
    headers: Annotated[dict[str, str], BeforeValidator(_object)] = Field(default_factory=dict)
    sample_pages: Annotated[int, Field(ge=1)] = 1
    on_drift: OnDrift = "error"
    extra: bool = False
    concurrency: Annotated[int, Field(ge=1, le=64)] | None = None
    on_error: OnError = "error"
    timeout: Annotated[float, Field(gt=0)] | None = None
    max_wait: Annotated[float, Field(ge=0)] | None = None
    max_requests: Annotated[int, Field(ge=1)] | None = None
    cache: Annotated[float, Field(ge=0)] | None = None


def read_call(text: str) -> Call:
    """The call whose arguments are the JSON object `text`. Raises CallError as `call_of`."""
    return call_of(read_arguments(text))


def read_arguments(text: str) -> dict[str, Any]:
    """The JSON object `text`, its numbers as they were written. Raises CallError for what cannot be read as one."""
    try:
        given = _read_json(text)
    except (ValueError, RecursionError) as error:  # very long numbers, deep nesting
        message = f"apikit: the arguments cannot be read: {error}"
        raise CallError(message) from None
    if not isinstance(given, dict):
        message = "apikit: the arguments are no object of names and values."
        raise CallError(message)
    return given


def call_of(given: Mapping[str, Any]) -> Call:
    """The call with these arguments; absent and null ones take their defaults.

    Raises CallError that names the option, what is wrong with it and what to write.
    """
    arguments = {name: value for name, value in given.items() if value is not None}
    if "keys" in given:
        _set_keys(arguments)
    refuse_misread("apikit", arguments)
    if isinstance(strategy := arguments.get("pagination"), str) and not strategy.lstrip().startswith("{"):
        arguments["strategy"] = strategy_name(arguments.pop("pagination"))
    if arguments.get("pages") == "all":
        del arguments["pages"]
    call = checked_call(arguments)
    _refuse_secrets(call)
    _refuse_references(arguments)
    return call


def checked_call(arguments: Mapping[str, Any]) -> Call:
    """The call with these arguments, each of its type. Raises CallError that names the one that is not."""
    try:
        return Call.model_validate(dict(arguments))
    except ValidationError as error:
        raise CallError("apikit: " + explain(error)) from None


def refuse_misread(function: str, arguments: Mapping[str, Any]) -> None:
    """Raise CallError for an option that is a boolean, or no object, which nobody means."""
    for name, value in arguments.items():
        if isinstance(value, bool) and name not in _BOOLEANS:
            message = f"{function}: {name} is a boolean. {_WRITTEN}"
            raise CallError(message)
        if name in _OBJECTS and not isinstance(_object(value), dict):
            message = f"{function}: {name} is not an object {{'name': value}}. {_WRITTEN}"
            raise CallError(message)


def _set_keys(arguments: dict[str, Any]) -> None:
    """Leave `keys` out where it has its default. A variable that is not set is no reason to read everything."""
    keys = arguments.pop("keys", None)
    if keys is None and arguments.get("keys_type", '"NULL"') == '"NULL"':
        message = "apikit: keys is NULL. If it is a variable, it is not set; if all is to be read, leave keys out."
        raise CallError(message)
    if keys != "":
        arguments["keys"] = keys or []  # a list that list() made of no rows is NULL


def _refuse_references(value: object) -> None:
    """A reference in SQL would send the environment to whatever host the SQL names."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            _refuse_references(each)
    elif isinstance(value, str) and is_reference(value):
        message = f"apikit: {value!r} refers to a credential, which SQL must not. {_INSTEAD}"
        raise CallError(message)


def strategy_name(name: str) -> str:
    """`name`, which is a strategy's. Raises CallError that lists them for any other."""
    if name not in get_args(Strategy):
        known = ", ".join(each for each in get_args(Strategy) if each != "relay")  # which is GraphQL's
        message = f"apikit: pagination: {name!r} is no strategy; they are {known}."
        raise CallError(message)
    return name


def _refuse_secrets(call: Call) -> None:
    """SQL text ends in logs, profiles and database files, so it carries neither a secret nor a reference to one."""
    for name, value in call.headers.items():
        if is_secret_header(name) or has_reference(value):
            message = f"apikit: the header {name!r} carries a credential, which SQL must not. {_INSTEAD}"
            raise CallError(message)
    for option in (call.params, call.path_params, *(call.keys or ()), *_objects_in(call.body)):
        for name, value in option.items():
            refuse_credential(name, value)


def refuse_credential(name: str, value: object) -> None:
    """Raise CallError where a parameter carries a credential, by its name or by a reference in its text."""
    is_named_so = is_secret_param(name) and name.lower() not in _PAGE_PARAMS
    texts = value if isinstance(value, list) else [value]
    if is_named_so or any(isinstance(text, str) and has_reference(text) for text in texts):
        message = f"apikit: the parameter {name!r} carries a credential, which SQL must not. {_INSTEAD}"
        raise CallError(message)


def _objects_in(value: object) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _objects_in(each)


_INSTEAD = "Give the token in Python, install(con, tokens={'https://...': 'env:NAME'}), or in the connector's manifest."


def filter_key_columns(filters: Mapping[str, str]) -> tuple[KeyColumn, ...]:
    """`{state: 'state', 'updated_at >=': 'since'}` as key columns.

    Raises CallError for a key that is not a column and an operator.
    """
    found = []
    for key, param in filters.items():
        match = _FILTER.fullmatch(key)
        if match is None or not match["column"] or not param:
            message = (
                f"apikit: filters has {key!r}: {param!r}; write {{'column': 'parameter', 'column >=': 'parameter'}}."
            )
            raise CallError(message)
        operator: Operator = match["operator"] or "="  # type: ignore[assignment]  # the pattern admits no other
        found.append(KeyColumn(column=match["column"], operators=(operator,), param=param))
    return tuple(found)
