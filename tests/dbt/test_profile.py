"""The plugin's options in profiles.yml, as YAML gives them."""

from pathlib import Path
from typing import Any

import pytest

from apikit_sql.dbt.profile import profile_of
from apikit_sql.engine.session import default_session
from apikit_sql.errors import ConfigError


def test_without_options_it_is_the_sessions_of_the_process() -> None:
    profile = profile_of({})

    assert profile.session() is default_session()
    assert profile.options == {}


def test_options_of_install_go_there_and_what_is_not_given_does_not() -> None:
    given = {"attach": ["demo"], "cache": 300, "tokens": {"https://a.test": "env:A"}, "max_wait": None}

    assert profile_of(given).options == {name: given[name] for name in ("attach", "cache", "tokens")}


def test_a_folder_of_connectors_is_known_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text('base_url = "https://acme.test"\n')

    session = profile_of({"connectors_folder": str(tmp_path)}).session()

    assert session.connectors.definition("acme").base_url == "https://acme.test"
    assert "github" in session.connectors.names()
    assert profile_of({"connectors_folder": str(tmp_path)}).session() is session


@pytest.mark.parametrize("off", [False, "off"])
def test_off_is_false_to_yaml(off: object) -> None:
    assert profile_of({"http": off}).is_offline
    assert not profile_of({"http": ""}).is_offline


def test_the_environment_says_off_where_the_profile_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_HTTP", "off")

    assert profile_of({}).is_offline
    assert not profile_of({"http": "replay:recordings"}).is_offline


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"cash": 1}, "there is no option 'cash'; there are ad_hoc, allow_mutations"),
        ({"connectors_folder": "nowhere"}, "connectors_folder 'nowhere' is not there"),
        ({"tokens": {"https://a.test": "s3cret"}}, "tokens are references"),
        ({"tokens": "s3cret"}, "tokens are references"),
        ({"tokens": {"https://a.test": None}}, "tokens are references"),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong) as told:
        profile_of(given)

    assert "s3cret" not in str(told.value)
