"""The texts and numbers of a manifest, each checked: URLs, paths, origins, names, types.

What is wrong is said without the value, which may hold a credential.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from apikit_sql.column_types import parse_type
from apikit_sql.connector.template import check_path, is_label, with_labels
from apikit_sql.errors import CallError
from apikit_sql.identifiers import is_identifier
from apikit_sql.origin import origin_of

_HOST = r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
_ORIGIN = re.compile(_HOST + "/?")
_TOKEN_URL = re.compile(rf"({_HOST})?/[^?#\s\\@]+")
_BASE_URL = re.compile(rf"{_HOST}(/[^?#\s\\]*)?")


def _checked_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        message = "is not an origin; write 'https://host' or 'https://host:port'"
        raise ValueError(message)
    return text


def _checked_token_url(text: str) -> str:
    if not _TOKEN_URL.fullmatch(with_labels(text)):
        message = "must be 'https://host/path', or '/path' behind the base URL, without parameters and credentials"
        raise ValueError(message)
    return text


def _checked_base_url(text: str) -> str:
    whole = with_labels(text)
    try:
        is_url = bool(_BASE_URL.fullmatch(whole)) and origin_of(whole).host != ""
    except ValueError:  # a port or an address that is none, a name that cannot be one
        is_url = False
    if not is_url:
        message = "must be 'https://host' with a port and a path if need be, without parameters and credentials"
        raise ValueError(message)
    return text


def _checked_path(text: str) -> str:
    if not text.startswith("/"):
        is_path = not {":", "@", "?"} & set(text)  # else it may show a credential
        message = f"must start with '/': '/{text}'" if is_path else "must start with '/', without the base URL in front"
        raise ValueError(message)
    try:
        check_path(text)
    except CallError:
        message = "has a '?', a '#', a '.' or '..' step, or braces that are no {field}; say parameters under params"
        raise ValueError(message) from None
    return text


def _checked_stream(name: str) -> str:
    if not is_identifier(name):
        message = "must be letters, digits and '_': it is a table's name"
        raise ValueError(message)
    return name


def _checked_param(value: object) -> object:
    if not isinstance(value, str | int | float | bool) and not (isinstance(value, list) and all(map(_is_text, value))):
        message = "must be a text, a number, a boolean or a list of texts"
        raise ValueError(message)
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _checked_label(text: str) -> str:
    if not is_label(text):
        message = "is not a hostname label (letters, digits, '-')"
        raise ValueError(message)
    return text


def _checked_type(text: str) -> str:
    parse_type(text)
    return text


OriginText = Annotated[str, AfterValidator(_checked_origin)]
TypeText = Annotated[str, AfterValidator(_checked_type)]
StreamName = Annotated[str, AfterValidator(_checked_stream)]
ParamValue = Annotated[Any, AfterValidator(_checked_param)]
Seconds = Annotated[float, Field(ge=0)]
BaseUrl = Annotated[str, AfterValidator(_checked_base_url)]
TokenUrl = Annotated[str, AfterValidator(_checked_token_url)]
PathTemplate = Annotated[str, AfterValidator(_checked_path)]
Label = Annotated[str, AfterValidator(_checked_label)]
