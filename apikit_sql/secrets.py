"""References to secrets (`env:NAME`, `keyring:NAME`): where they may stand, and what they stand for.

A manifest, a config file and Python may hold a reference; SQL may not, and no file may hold the secret itself. Which
origin a resolved secret may be sent to is decided by `engine/auth.py`, the only reader of `resolve`.
"""

import contextlib
import os
import re

from apikit_sql.errors import ConfigError

#: The service under which secrets are kept in the OS keyring.
KEYRING_SERVICE = "apikit_sql"

_REFERENCE = re.compile(r"(env|keyring):([A-Za-z0-9_.\-]+)")


def is_reference(text: str) -> bool:
    """Whether `text` stands for a secret kept elsewhere."""
    return _REFERENCE.fullmatch(text) is not None


def has_reference(text: str) -> bool:
    """Whether a reference stands anywhere in `text`."""
    return re.search(r"\b(env|keyring):", text) is not None


def resolve(text: str) -> str | None:
    """The secret that `text` refers to, `text` itself where it is no reference, None where nothing is stored there."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return text
    kind, name = match.groups()
    if kind == "env":
        return os.environ.get(name) or None
    return _from_keyring(name)


def kept(name: str) -> str | None:
    """What `keep` has stored under `name`, None where nothing is, or no keyring is there."""
    try:
        return _from_keyring(name)
    except ConfigError:
        return None


def is_stored(text: str) -> bool:
    """Whether what `text` refers to is there; a text that is no reference is."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return True
    kind, name = match.groups()
    return bool(os.environ.get(name) if kind == "env" else kept(name))


def keep(name: str, secret: str) -> None:
    """Store `secret` in the OS keyring. Raises ConfigError where there is none."""
    import keyring  # noqa: PLC0415 - costs 0.1 s, wanted by few
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        keyring.set_password(KEYRING_SERVICE, name, secret)
    except KeyringError as error:
        message = (
            f"keyring:{name} could not be stored ({type(error).__name__}): no keyring of the operating system can be "
            "used. Put the secret into an environment variable, and refer to it by env:NAME."
        )
        raise ConfigError(message) from None


def forget(name: str) -> None:
    """Take out of the OS keyring what `keep` has stored under `name`, if it is there."""
    import keyring  # noqa: PLC0415 - costs 0.1 s, wanted by few
    from keyring.errors import KeyringError  # noqa: PLC0415

    with contextlib.suppress(KeyringError):  # not there, or no keyring
        keyring.delete_password(KEYRING_SERVICE, name)


def _from_keyring(name: str) -> str | None:
    import keyring  # noqa: PLC0415 - costs 0.1 s, wanted by few
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        return keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError as error:
        message = f"keyring:{name} could not be read ({type(error).__name__}). Store it there, or use env:NAME."
        raise ConfigError(message) from None
