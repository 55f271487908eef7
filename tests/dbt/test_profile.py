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


@pytest.mark.parametrize(("given", "meant"), [("false", False), ("False", False), ("TRUE", True), (False, False)])
@pytest.mark.parametrize("name", ["ad_hoc", "allow_network"])
def test_true_and_false_are_texts_where_jinja_gives_them(name: str, given: object, meant: bool) -> None:  # noqa: FBT001
    assert profile_of({name: given}).options[name] is meant


@pytest.mark.parametrize(("given", "meant"), [("300", 300), ("0.5", 0.5), (2, 2)])
def test_numbers_are_texts_where_jinja_gives_them(given: object, meant: float) -> None:
    assert profile_of({"cache": given}).options["cache"] == meant


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
        ({"tokens": "env:TOKEN"}, "tokens are references"),
        ({"ad_hoc": "no"}, "ad_hoc is true or false, not 'no'"),
        ({"ad_hoc": 0}, "ad_hoc is true or false, not 0"),
        ({"allow_network": ""}, "allow_network is true or false, not ''"),
        ({"attach": 5}, "attach is a list of names"),
        ({"attach": "demo"}, "attach is a list of names"),
        ({"allow_mutations": [5]}, "allow_mutations is a list of names"),
        ({"connectors": {"demo": 1}}, "connectors is a list of names"),
        ({"max_requests": "many"}, "max_requests is a number, not 'many'"),
        ({"cache": True}, "cache is a number, not True"),
        ({"read_posts": ["/search"]}, "read_posts are lists of paths"),
        ({"tokens": {"https://a.test": None}}, "tokens are references"),
    ],
)
def test_what_is_wrong_is_told_without_a_secret(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong) as told:
        profile_of(given)

    assert "s3cret" not in str(told.value)
