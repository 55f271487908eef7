"""Messages as Python writes them. They leave the lower floors as SQL does: `name := value`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from apikit_sql.errors import ApikitError
from apikit_sql.plan.call import Call

#: What is called otherwise in Python.
_NAMES = {"pagination": "strategy", "path": "endpoint"}
_CONSTANTS = {"true": "True", "false": "False"}
_KEYS_OF_A_QUERY = re.compile(r"SET VARIABLE k = .* and keys := getvariable\('k'\)")
_PAGINATION = re.compile(r"\bpagination := \{([^{}]*)\}")
_KEY = re.compile(r"'(\w+)': ")
#: An option of ours, and its value or the first name in it: what an API or a record says is not respelt.
_OPTION = re.compile(
    rf"\b({'|'.join((*Call.model_fields, 'variables'))}) := (?:(true\b|false\b)|\{{'((?:[^']|'')*)'(?=: ))?"
)
_NULL = re.compile(r"\b(path_params\.\w+) is NULL; ")
_FUNCTION = re.compile(r"^apikit(?:_(graphql|inspect))?: ")
_OF_SQL = "; apikit_errors() lists them"


def in_python(text: str) -> str:
    """`text`, a message, as a caller of Apikit writes what it advises; said again it stays as it is."""
    text = _FUNCTION.sub(lambda found: f"{found[1]}: " if found[1] else "", text)
    text = _KEYS_OF_A_QUERY.sub("keys := [{...}, ...]", text)
    text = _PAGINATION.sub(lambda found: f"strategy=PaginationConfig({_KEY.sub(_as_argument, found[1])})", text)
    return _NULL.sub(r"\1 is None; ", _OPTION.sub(_option, text)).replace(_OF_SQL, "")


def _as_argument(key: re.Match[str]) -> str:
    return f"{key[1]}="


def _option(found: re.Match[str]) -> str:
    name, constant, quoted = found.groups()
    value = "{" + repr(quoted.replace("''", "'")) if quoted is not None else _CONSTANTS.get(constant, "")
    return f"{_NAMES.get(name, name)}={value}"


@contextmanager
def python_words() -> Iterator[None]:
    """While inside, an error of ours says what it says as Python writes it."""
    try:
        yield
    except ApikitError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise
