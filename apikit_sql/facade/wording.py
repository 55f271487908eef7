"""Messages as Python writes them. They leave the lower floors as SQL does: `name := value`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from apikit_sql.errors import ApikitError

T = TypeVar("T")

#: What is called otherwise in Python.
_NAMES = {"pagination": "strategy", "path": "endpoint"}
_CONSTANTS = {"true": "True", "false": "False"}
_KEYS_OF_A_QUERY = re.compile(r"SET VARIABLE k = .* and keys := getvariable\('k'\)")
_PAGINATION = re.compile(r"\bpagination := \{([^{}]*)\}")
_KEY = re.compile(r"'(\w+)': ")
_OPTION = re.compile(r"\b([a-z]\w*) := (true\b|false\b)?")
_FUNCTION = re.compile(r"^apikit(?:_(graphql|inspect))?: ")


def in_python(text: str) -> str:
    """`text`, a message, as a caller of Apikit writes what it advises; said again it stays as it is."""
    text = _FUNCTION.sub(lambda found: f"{found[1]}: " if found[1] else "", text)
    text = _KEYS_OF_A_QUERY.sub("keys := [{...}, ...]", text)
    text = _PAGINATION.sub(lambda found: f"strategy=PaginationConfig({_KEY.sub(_as_argument, found[1])})", text)
    text = _OPTION.sub(lambda found: f"{_NAMES.get(found[1], found[1])}={_CONSTANTS.get(found[2], '')}", text)
    return text.replace(" is NULL; ", " is None; ")


def _as_argument(key: re.Match[str]) -> str:
    return f"{key[1]}="


@contextmanager
def python_words() -> Iterator[None]:
    """While inside, an error of ours says what it says as Python writes it."""
    try:
        yield
    except ApikitError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise


def speaks_python(kind: type[T]) -> type[T]:
    """The class, whose public functions raise errors in `python_words`; generators see to it themselves."""
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, classmethod):
            setattr(kind, name, classmethod(_worded(member.__func__)))
        elif inspect.isfunction(member) and not (
            inspect.isgeneratorfunction(member) or inspect.isasyncgenfunction(member)
        ):
            setattr(kind, name, _worded(member))
    return kind


def _worded(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, or the coroutine function, with errors in `python_words`."""
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def in_task(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function has them
            with python_words():
                return await function(*args, **options)

        return in_task

    @wraps(function)
    def on_thread(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the function has them
        with python_words():
            return function(*args, **options)

    return on_thread
