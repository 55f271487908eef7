"""What one caller asked for: the arguments of `apikit(...)`, validated.

They arrive as JSON from DuckDB, with the SQL types of `params` and `path_params` beside them: JSON alone cannot tell
a timestamp from a text.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from apikit_sql.connector.findings import explain
from apikit_sql.connector.manifest import ColumnChoice, KeyColumn, Operator
from apikit_sql.connector.protocol import PaginationConfig, Strategy
from apikit_sql.errors import CallError
from apikit_sql.plan.predicate import Value
from apikit_sql.plan.request_plan import Keys, OnDrift, OnError
from apikit_sql.redaction import is_secret_header, is_secret_param
from apikit_sql.secrets import has_reference, is_reference

_WRITTEN = "Options are written name := value; name = value is a comparison, which DuckDB passes as a boolean."
_BOOLEANS = frozenset({"extra"})
_OBJECTS = frozenset({"params", "path_params", "columns", "types", "filters", "headers"})
_FILTER = re.compile(r"\s*(?P<column>.*?[^\s!<>=])\s*(?P<operator>>=|<=|>|<|=)?\s*")
_PAGE_PARAMS = frozenset({"key", "auth", "sig", "signature", "token", "credential"})  # of many innocent uses too


def _object(value: object) -> object:
    """A MAP or STRUCT arrives as an object, JSON text as a text that holds one."""
    if isinstance(value, str):
        try:
            return json.loads(value, parse_float=_number_text)
        except (ValueError, RecursionError):
            return value
    return value


def _number_text(text: str) -> object:
    """A JSON float as it goes into a URL: its own digits, whole numbers without `.0`."""
    whole, _, fraction = text.partition(".")
    if "e" not in text.lower() and not fraction.strip("0"):
        return int(whole)
    return _Verbatim(text)


class _Verbatim(str):
    """A number's own digits."""

    __slots__ = ()


def _keys(value: object) -> object:
    value = _object(value)
    if not isinstance(value, list) or not all(isinstance(key, dict) for key in value):
        message = "write [{name: value}, ...]; from a table, list({name: name})"
        raise ValueError(message)
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
    body: Annotated[dict[str, Any] | list[Any], BeforeValidator(_object)] | None = None
    headers: Annotated[dict[str, str], BeforeValidator(_object)] = Field(default_factory=dict)
    sample_pages: Annotated[int, Field(ge=1)] = 1
    on_drift: OnDrift = "error"
    extra: bool = False
    concurrency: Annotated[int, Field(ge=1, le=64)] | None = None
    on_error: OnError = "error"
    timeout: Annotated[float, Field(gt=0)] | None = None
    max_wait: Annotated[float, Field(ge=0)] | None = None
    max_requests: Annotated[int, Field(ge=1)] | None = None


def read_call(text: str) -> Call:
    """The call whose arguments are the JSON object `text`. Raises CallError as `call_of`."""
    return call_of(read_arguments(text))


def read_arguments(text: str) -> dict[str, Any]:
    """The JSON object `text`, its numbers as they were written."""
    given = json.loads(text, parse_float=_number_text)
    assert isinstance(given, dict)  # noqa: S101 - our own macros wrote it
    return given


def call_of(given: Mapping[str, Any]) -> Call:
    """The call with these arguments; absent and null ones take their defaults.

    Raises CallError that names the option, what is wrong with it and what to write.
    """
    arguments = {name: value for name, value in given.items() if value is not None}
    if "keys" in given:
        _set_keys(arguments)
    for name, value in arguments.items():
        if isinstance(value, bool) and name not in _BOOLEANS:
            message = f"apikit: {name} is a boolean. {_WRITTEN}"
            raise CallError(message)
        if name in _OBJECTS and not isinstance(_object(value), dict):
            message = f"apikit: {name} is not an object {{name: value}}. {_WRITTEN}"
            raise CallError(message)
    if isinstance(strategy := arguments.get("pagination"), str) and not strategy.lstrip().startswith("{"):
        arguments["strategy"] = _strategy(arguments.pop("pagination"))
    if arguments.get("pages") == "all":
        del arguments["pages"]
    try:
        call = Call.model_validate(arguments)
    except ValidationError as error:
        raise CallError("apikit: " + explain(error)) from None
    _refuse_secrets(call)
    _refuse_references(arguments)
    return call


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


def _strategy(name: str) -> str:
    if name not in get_args(Strategy):
        message = f"apikit: pagination: {name!r} is no strategy; they are {', '.join(get_args(Strategy))}."
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


def body_bytes(value: object) -> bytes:
    """A body as JSON, its numbers as they were written. Raises CallError for one that no double holds as written."""
    return json.dumps(_numbers(value)).encode()


def _numbers(value: object) -> object:
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if not isinstance(value, _Verbatim):
        return value
    number = float(value)
    if Decimal(value) != Decimal(repr(number)):
        message = f"apikit: no double holds {value} as it is written; give it as a text."
        raise CallError(message)
    return number


_INSTEAD = "Give the token in Python, install(con, tokens={'https://...': 'env:NAME'}), or in the connector's manifest."


def query_params(option: str, values: Mapping[str, Any], sql_type: str) -> tuple[tuple[str, str], ...]:
    """`values` as query parameters: a list repeats its key, null omits it.

    Times go out as RFC 3339 UTC; which they are is told by `sql_type`, DuckDB's type of the whole option. Raises
    CallError for an object.
    """
    times = _time_fields(sql_type)
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, dict | list):
                message = f"apikit: {option}.{name} is an object; say a text, a number, a boolean or a list of these."
                raise CallError(message)
            if element is not None:
                pairs.append((name, _param_text(element, is_time=name.lower() in times or "" in times)))
    return tuple(pairs)


def _param_text(value: object, *, is_time: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _rfc3339(str(value)) if is_time else str(value)


def _rfc3339(text: str) -> str:
    """DuckDB's text of a timestamp as RFC 3339 in UTC; without zone it is taken as UTC, as DuckDB's own casts do."""
    try:
        moment = dt.datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        message = f"apikit: the timestamp {text!r} cannot go into a URL."
        raise CallError(message) from None
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _time_fields(sql_type: str) -> frozenset[str]:
    """The fields of a STRUCT type (`` for every value of a MAP) that are timestamps or lists of them, in lower case."""
    if re.fullmatch(r"MAP\(VARCHAR, TIMESTAMP(_\w+)?( WITH TIME ZONE)?(\[\])?\)", sql_type):
        return frozenset({""})
    fields = re.findall(r'(?:^STRUCT\(|, )(?:"((?:[^"]|"")+)"|(\w+)) TIMESTAMP(?:_\w+)?\b', sql_type)
    return frozenset((quoted.replace('""', '"') or plain).lower() for quoted, plain in fields)


def key_tuples(call: Call) -> tuple[Keys, ...] | None:
    """The tuples of `keys`, each once, in the order given; times as RFC 3339. None where there are none.

    Raises CallError where they differ in their names, or hold what is no value.
    """
    found: dict[str, Keys] = {}
    for sent, pairs in key_rows(call):
        found.setdefault(sent, pairs)
    return None if call.keys is None else tuple(found.values())


def key_rows(call: Call) -> list[tuple[str, Keys]]:
    """Each of `keys` with the text that is the same for all that are sent alike. Raises CallError as `key_tuples`."""
    times = _time_fields(call.keys_type.removesuffix("[]"))
    keys = call.keys or ()
    names = {name for key in keys for name in key}
    if keys and (not names or len({name.lower() for name in names}) < len(names)):
        message = "apikit: keys has a key without a name, or two that differ by case only; write [{name: value}, ...]."
        raise CallError(message)
    found: list[tuple[str, Keys]] = []
    for key in keys:
        for name in sorted(names):
            value = key.get(name)
            if isinstance(value, dict | list | None):
                message = f"apikit: keys has no value for {name!r} in {key}; each key needs all of {sorted(names)}."
                raise CallError(message)
        pairs = tuple(
            (n, _rfc3339(str(v)) if n.lower() in times or "" in times else cast("Value", _numbers(v)))
            for n, v in key.items()
        )
        sent = sorted((name, _param_text(value, is_time=False)) for name, value in pairs)
        found.append((repr(sent), pairs))
    return found


def filter_key_columns(filters: Mapping[str, str]) -> tuple[KeyColumn, ...]:
    """`{state: 'state', 'updated_at >=': 'since'}` as key columns.

    Raises CallError for a key that is not a column and an operator.
    """
    found = []
    for key, param in filters.items():
        match = _FILTER.fullmatch(key)
        if match is None or not match["column"] or not param:
            message = (
                f"apikit: filters has {key!r}: {param!r}; write {{column: 'parameter', 'column >=': 'parameter'}}."
            )
            raise CallError(message)
        operator: Operator = match["operator"] or "="  # type: ignore[assignment]  # the pattern admits no other
        found.append(KeyColumn(column=match["column"], operators=(operator,), param=param))
    return tuple(found)
