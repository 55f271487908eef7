"""What our macros ask of the functions behind them, read back. Anybody may call those as well, with any text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_arguments
from apikit_sql.sql.catalog import FUNCTIONS, Function

_BY_NAME = {function.name: function for function in FUNCTIONS}
_NO_QUESTION = "apikit: this is no question as its macros ask one. Call the macros: FROM apikit_help() lists them."


def read_question(text: str) -> dict[str, str]:
    """The question that is the JSON object `text`. Raises CallError for a text that is none."""
    try:
        question = json.loads(text)
    except (ValueError, RecursionError):
        question = None
    if not isinstance(question, dict) or "function" not in question or not _are_texts(question.values()):
        raise CallError(_NO_QUESTION)
    return question


def needed(question: Mapping[str, str], name: str) -> str:
    """What a question has under `name`. Raises CallError where it has nothing."""
    if name not in question:
        raise CallError(_NO_QUESTION)
    return question[name]


def check_arguments(function: str, text: str) -> None:
    """Raise CallError where `text` has not what the macro of this name hands over; others are not looked at."""
    if function in _BY_NAME:
        arguments_of(_BY_NAME[function], text)


def arguments_of(function: Function, text: str) -> dict[str, Any]:
    """The arguments that the macro of `function` hands over as `text`. Raises CallError for what it would not write."""
    given = read_arguments(text)
    texts = {f"{argument.name}_type" for argument in function.arguments if argument.typed}
    lacking = {argument.name for argument in function.arguments} | texts | function.from_caller.keys()
    lacking -= given.keys()
    if lacking or not _are_texts(given[name] for name in texts | function.from_caller.keys()):
        message = f"{function.name}: this is not what its macro hands over. Call the macro, or install(con) again."
        raise CallError(message)
    return given


def handed_over(function: Function, given: Mapping[str, object]) -> str:
    """What the macro of `function` would hand over where no more is `given`: JSON, of values that have no SQL type."""
    types = {f"{each.name}_type": "" for each in function.arguments if each.typed}
    defaults = {each.name: "" if each.default == "''" else None for each in function.arguments}
    return json.dumps(defaults | types | dict(given), default=str)


def read_variables(text: str) -> list[dict[str, str]]:
    """A caller's variables, each its name, type and value. Raises CallError for a text that is no list of them."""
    try:
        variables = json.loads(text)
    except (ValueError, RecursionError):
        variables = None
    if not isinstance(variables, list) or not all(_is_variable(each) for each in variables):
        raise CallError(_NO_QUESTION)
    return variables


def _is_variable(value: object) -> bool:
    return isinstance(value, dict) and value.keys() >= {"name", "type", "value"} and _are_texts(value.values())


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
