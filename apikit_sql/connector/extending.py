"""A manifest that `extends` another one: what it says itself, and below it what that one says.

Tables are joined key by key. An `auth` of its own `type`, a `pagination` of its own `strategy` and a stream of its own
`path` take the place of the other's.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from apikit_sql.connector.protocol import SECRET_FIELDS
from apikit_sql.connector.template import fields_of, is_label


def extended(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with all that `above` says; its name is its own, and it is no longer said to extend anything."""
    said = {key: value for key, value in above.items() if key != "extends"}
    known = {key: value for key, value in below.items() if key != "name"}
    joined = {**known, **{key: _joined(known.get(key), value, (key,)) for key, value in said.items()}}
    own = said.get("auth")
    if known and isinstance(own, Mapping) and "type" not in own and SECRET_FIELDS & own.keys():
        joined["auth"] |= {"optional": own.get("optional", False)}  # whoever names a credential means it
    return joined


def takes_a_credential_away(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Whether `above` would send the credential of `below` to another place, having none of its own."""
    inherited, own = below.get("auth"), above.get("auth", {})
    if not isinstance(inherited, Mapping) or not isinstance(own, Mapping) or not SECRET_FIELDS & inherited.keys():
        return False
    if "type" in own or SECRET_FIELDS & own.keys():
        return False
    leaves = "base_url" in above and _origin(above["base_url"]) != _origin(below.get("base_url"))
    return leaves or ("token_url" in own and _origin(own["token_url"]) != _origin(inherited.get("token_url")))


def _origin(url: object) -> str:
    """The scheme and the host of a URL, its fields still open; `` of a path."""
    return "/".join(str(url).lower().split("/")[:3]) if "://" in str(url) else ""


def with_given_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data`, in which `settings` are the values of its variables, whatever the environment says."""
    settings, variables = data.get("settings"), data.get("variables", {})
    left = {key: value for key, value in data.items() if key != "settings"}
    if not isinstance(settings, Mapping) or not isinstance(variables, Mapping):
        return left
    given = {}
    for name in settings.keys() & _known_settings(data):
        if isinstance(variable := variables.get(name, {}), Mapping):
            given[name] = {**variable, "env": None, "default": settings[name]}
    return left | {"variables": {**variables, **given}} if given else left


def wrong_settings(data: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the `settings` of `data`, by key."""
    settings, known = data.get("settings", {}), _known_settings(data)
    if not isinstance(settings, Mapping):
        return {"settings": "must be a table: settings.NAME = '...'"}
    found = {}
    for name, value in settings.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or sorted(known)
            found[f"settings.{name}"] = "there is no such setting" + (
                f"; did you mean {' or '.join(near)}?" if near else ""
            )
        elif not isinstance(value, str):
            found[f"settings.{name}"] = "must be a text"
        elif not is_label(value):
            found[f"settings.{name}"] = "is not a hostname label (letters, digits, '-')"
    return found


def _known_settings(data: Mapping[str, Any]) -> set[str]:
    """The variables that `data` declares, and those that its URLs have."""
    auth, variables = data.get("auth"), data.get("variables")
    urls = [data.get("base_url"), auth.get("token_url") if isinstance(auth, Mapping) else None]
    asked = {name for url in urls if isinstance(url, str) for name in fields_of(url)}
    return asked | (set(variables) if isinstance(variables, Mapping) else set())


def _joined(below: object, above: object, place: tuple[str, ...]) -> object:
    if not isinstance(below, Mapping) or not isinstance(above, Mapping) or _kind_at(place) in above:
        return above
    return {**below, **{key: _joined(below.get(key), value, (*place, key)) for key, value in above.items()}}


def _kind_at(place: tuple[str, ...]) -> str | None:
    """The key by which a table at `place` says which kind it is."""
    match place:
        case ("auth",):
            return "type"
        case ("pagination",) | ("streams", _, "pagination"):
            return "strategy"
        case ("streams", _):
            return "path"
        case _:
            return None
