"""The keys of a call, `[{owner: 'a', repo: 'x'}, ...]`: a trip for each."""

from typing import cast

from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call
from apikit_sql.plan.predicate import Value
from apikit_sql.plan.request_plan import Keys
from apikit_sql.plan.values import numbers, param_text, times_at, times_of, with_times


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
    times = times_of(call.keys_type)
    keys = call.keys or ()
    names = {name for key in keys for name in key}
    if keys and (not names or len({name.lower() for name in names}) < len(names)):
        message = (
            "apikit: keys has a key without a name, or two that differ by case only; write [{'name': value}, ...]."
        )
        raise CallError(message)
    found: list[tuple[str, Keys]] = []
    for key in keys:
        for name in sorted(names):
            value = key.get(name)
            if isinstance(value, dict | list | None):
                message = f"apikit: keys has no value for {name!r} in {key}; each key needs all of {sorted(names)}."
                raise CallError(message)
        pairs = tuple((n, cast("Value", numbers(with_times(v, times_at(times, n))))) for n, v in key.items())
        sent = sorted((name, param_text(value)) for name, value in pairs)
        found.append((repr(sent), pairs))
    return found
