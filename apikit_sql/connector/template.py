"""`{owner}` and `{site}` filled in: parts of a path URL-encoded, parts of a base URL checked as hostname labels."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from apikit_sql.errors import CallError, ConfigError

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOSTNAME_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")  # RFC 1123, section 2.1


def fields_of(template: str) -> tuple[str, ...]:
    """The names in braces, in order, each once."""
    return tuple(dict.fromkeys(_FIELD.findall(template)))


def with_labels(template: str) -> str:
    """`template` with a label in the place of each field, as a URL may be checked."""
    return _FIELD.sub("x", template)


def fill_path(template: str, values: Mapping[str, str]) -> str:
    """`template` with the fields that `values` has, URL-encoded; the others stay.

    Raises CallError for a value that is empty or would climb the path.
    """

    def filled(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            return match[0]
        if values[name] in {"", ".", ".."}:
            message = f"{name} = {values[name]!r} cannot be part of the path {template}."
            raise CallError(message)
        return _quoted(values[name], safe="")

    return _FIELD.sub(filled, template)


def check_path(path: str) -> str:
    """`path` with characters that a URL cannot hold percent-encoded.

    Raises CallError where it does not start with `/`, climbs, or brings its own query or fragment.
    """
    if not path.startswith("/"):
        message = f"the path {path!r} must start with '/'."
        raise CallError(message)
    if "?" in path or "#" in path:
        message = f"the path {path!r} has a '?' or '#'. Give query parameters as params := {{'name': value}}."
        raise CallError(message)
    if any(part in {".", ".."} for part in path.replace("%2e", ".").replace("%2E", ".").split("/")) or "\\" in path:
        message = f"the path {path!r} has a '.' or '..' step."
        raise CallError(message)
    for part in _BRACES.findall(path):
        if not _FIELD.fullmatch(part):
            message = f"the path {path!r} has {part!r}, which is no {{field}}; a field is letters, digits and '_'."
            raise CallError(message)
    path = _LONE_PERCENT.sub("%25", path)
    return _quoted(path, safe="/%:@!$&'()*+,;=~{}")


def _quoted(text: str, safe: str) -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        message = f"{text!r} cannot be written in a URL."
        raise CallError(message) from None


def is_label(text: str) -> bool:
    """Whether `text` can stand between the dots of a host's name (RFC 1123, section 2.1)."""
    return _HOSTNAME_LABEL.fullmatch(text) is not None


def fill_base_url(connector: str, template: str, values: Mapping[str, str | None]) -> str:
    """`template` with every field filled by a hostname label.

    Raises ConfigError for one that is missing or is no label: a value can never change the host's domain.
    """

    def filled(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            message = f"{connector} needs the setting {match[1]!r} for its base URL {template}."
            raise ConfigError(message)
        if not is_label(value):
            message = f"{connector}: the setting {match[1]} = {value!r} is not a hostname label (letters, digits, '-')."
            raise ConfigError(message)
        return value

    return _FIELD.sub(filled, template)
