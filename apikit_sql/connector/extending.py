"""A manifest that `extends` another one: what it says itself, and below it what that one says.

Tables are joined key by key; a table that names its own kind (`type`, `strategy`, `path`) takes the place of the other.
"""

from collections.abc import Mapping
from typing import Any

_KINDS = frozenset({"type", "strategy", "path"})


def extended(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with all that `above` says, which is no longer said to extend anything."""
    joined = _joined(below, {key: value for key, value in above.items() if key != "extends"})
    assert isinstance(joined, dict)  # noqa: S101 - both are tables
    return joined


def with_given_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, in which `settings` are the values of its variables, whatever the environment says."""
    settings = data.get("settings")
    left = {key: value for key, value in data.items() if key != "settings"}
    if not isinstance(settings, Mapping):
        return left if settings is None else dict(data)  # then the model refuses it by its name
    variables = dict(data.get("variables", {}))
    for name, value in settings.items():
        variables[name] = {**variables.get(name, {}), "env": None, "default": value}
    return left | {"variables": variables}


def _joined(below: object, above: object) -> object:
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)) or above.keys() & _KINDS:
        return above
    return {**below, **{key: _joined(below[key], value) if key in below else value for key, value in above.items()}}
