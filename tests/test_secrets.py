"""References to secrets: what is one, and what it stands for."""

from typing import NoReturn

import keyring
import keyring.errors
import pytest

from apikit_sql.errors import ConfigError
from apikit_sql.secrets import KEYRING_SERVICE, has_reference, is_reference, resolve


@pytest.mark.parametrize("text", ["env:TOKEN", "env:my.token-2", "keyring:github", "keyring:a_b"])
def test_a_kind_and_a_name_are_a_reference(text: str) -> None:
    assert is_reference(text)
    assert has_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TOKEN",
        "env:",
        "keyring:",
        "ENV:TOKEN",
        "env:A B",
        "env:A\n",
        " env:A",
        "Bearer env:A",
        "vault:x",
        "env:$(x)",
    ],
)
def test_anything_else_is_no_reference(text: str) -> None:
    assert not is_reference(text)


@pytest.mark.parametrize("text", ["Bearer env:TOKEN", "x=keyring:name", "env:", "(env:A)"])
def test_a_reference_is_found_inside_a_text(text: str) -> None:
    assert has_reference(text)


@pytest.mark.parametrize("text", ["", "environment: production", "myenv:x", "env TOKEN", "2026-01-01T10:00:00Z"])
def test_a_text_that_only_looks_like_one_has_no_reference(text: str) -> None:
    assert not has_reference(text)


def test_an_environment_variable_is_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "s3cret")

    assert resolve("env:MY_TOKEN") == "s3cret"


def test_an_environment_variable_that_is_empty_or_missing_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("MISSING", raising=False)

    assert resolve("env:EMPTY") is None
    assert resolve("env:MISSING") is None


def test_what_is_no_reference_is_the_secret_itself() -> None:
    assert resolve("ghp_literal") == "ghp_literal"


def test_the_keyring_is_asked_under_the_packages_name(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {(KEYRING_SERVICE, "github"): "from the keyring"}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: stored.get((service, name)))

    assert resolve("keyring:github") == "from the keyring"
    assert resolve("keyring:other") is None


def test_a_keyring_that_cannot_be_read_is_a_config_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_service: str, _name: str) -> NoReturn:
        message = "locked: s3cret"
        raise keyring.errors.KeyringLocked(message)

    monkeypatch.setattr(keyring, "get_password", locked)

    with pytest.raises(ConfigError, match=r"keyring:github could not be read.*env:NAME") as caught:
        resolve("keyring:github")

    assert "s3cret" not in str(caught.value)


def test_a_machine_without_keyring_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_service: str, _name: str) -> NoReturn:
        raise keyring.errors.NoKeyringError

    monkeypatch.setattr(keyring, "get_password", none)

    with pytest.raises(ConfigError, match="NoKeyringError"):
        resolve("keyring:github")
