"""The manifests of `manifests/` under the tools for them: lint, trials, lists, and ConfigManager."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql import ConfigError, ConfigManager, lint, try_out
from tests.servers.test_own_connectors import MANIFESTS, add_small_tables, declared

pytestmark = pytest.mark.servers

FILES = ["config.toml", "connectors/blog.toml", "connectors/blog_one.toml"]
KEYS: dict[str, dict[str, object]] = {
    "nyc": {"carrier": "HA", "origin": "JFK"},
    "blog": {"post": 3},
    "blog_one": {"postId": 3},
}

Con = duckdb.DuckDBPyConnection
Truth = Callable[[str], tuple[Any, ...]]


def rows(con: Con, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


@pytest.fixture(scope="module", autouse=True)
def _small_tables(store: Path) -> None:
    add_small_tables(store)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which a test may change."""
    folder = shutil.copytree(MANIFESTS, tmp_path / "apikit")
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(folder / "config.toml"))
    return folder


@pytest.fixture
def session() -> Iterator[apikit_sql.Session]:
    with closing(apikit_sql.Session()) as session:
        yield session


@pytest.fixture
def con(session: apikit_sql.Session) -> Iterator[Con]:
    with closing(duckdb.connect()) as con:
        apikit_sql.install(con, session=session)
        yield con


@pytest.mark.parametrize("file", FILES)
def test_lint_finds_no_error_in_them_and_doubts_only_columns_that_are_not_declared(file: str) -> None:
    findings = lint(MANIFESTS / file)

    assert not [finding for finding in findings if finding.level == "error"]
    assert {finding.message.partition(":")[0] for finding in findings} == {"declares no columns"}


@pytest.mark.parametrize("name", KEYS)
def test_each_stream_is_ok_when_it_is_tried_out_with_its_keys(session: apikit_sql.Session, name: str) -> None:
    trials = list(try_out(name, KEYS[name], session=session))

    assert [(trial.stream, trial.state, trial.message) for trial in trials] == [
        (stream, "ok", "") for stream in declared(name)["streams"]
    ]


def test_a_trial_without_the_keys_tells_which_ones_a_stream_needs(session: apikit_sql.Session) -> None:
    trials = {trial.stream: trial for trial in try_out("nyc", session=session)}

    assert (trials["departures"].state, trials["departures"].message) == ("skipped", "needs carrier and origin")
    assert {trial.state for name, trial in trials.items() if name != "departures"} == {"ok"}


def test_the_connectors_are_listed_with_what_their_files_say(con: Con, config: Path) -> None:
    found = rows(
        con,
        f"""SELECT name, base_url, auth, configured, pagination, streams, description, place, error
            FROM apikit_connectors() WHERE starts_with(place, '{config}') ORDER BY name""",
    )

    places = {"nyc": f"{config}/config.toml [connectors.nyc]"}
    assert found == [
        (
            name,
            declared(name)["base_url"],
            "none",
            True,
            declared(name)["pagination"]["strategy"],
            len(declared(name)["streams"]),
            declared(name)["description"],
            places.get(name, f"{config}/connectors/{name}.toml"),
            None,
        )
        for name in ("blog", "blog_one", "nyc")
    ]


@pytest.mark.parametrize("name", ["nyc", "blog", "blog_one"])
def test_the_streams_are_listed_with_what_they_need(con: Con, name: str) -> None:
    found = rows(con, f"SELECT stream, path, needs, columns, primary_key, description FROM apikit_streams('{name}')")

    assert found == [
        (
            stream,
            config["path"],
            [key["column"] for key in config.get("key_columns", []) if key.get("required")],
            len(config["columns"]) if "columns" in config else None,
            config.get("primary_key", []),
            config["description"],
        )
        for stream, config in declared(name)["streams"].items()
    ]


def test_attaching_reads_a_page_of_the_streams_without_columns_alone_and_does_so_once(
    con: Con, session: apikit_sql.Session
) -> None:
    attached = rows(con, "CALL apikit_attach('nyc')")
    asked = [request.url for request in session.requests]
    again = rows(con, "CALL apikit_attach('nyc', name := 'nyc_again')")

    assert [row[:2] for row in attached] == [
        ("nyc.flights", []),
        ("nyc.departures", ["carrier", "origin"]),
        ("nyc.airports", []),
        ("nyc.airlines", []),
        ("nyc.planes", []),
    ]
    assert [url.partition("?")[0].rpartition("/")[2] for url in asked] == ["airlines.json", "planes.json"]
    assert (len(again), len(session.requests)) == (5, len(asked))


def test_a_second_account_that_extends_it_has_its_tables(
    con: Con, session: apikit_sql.Session, config: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (config / "config.toml").read_text()
    monkeypatch.setenv("NYC_TOKEN", "a-token")

    ConfigManager().add_connector("nyc_two", auth_type="bearer", extends="nyc", token="env:NYC_TOKEN")

    assert (config / "config.toml").read_text().startswith(before)
    assert rows(con, "SELECT auth, configured, error FROM apikit_connectors('nyc_two')") == [("bearer", True, None)]
    con.execute("CALL apikit_attach('nyc_two')")
    found = rows(con, "SELECT count(*) FROM nyc_two.flights WHERE carrier = 'OO'")
    assert found == [truth("SELECT count(*) FROM flights WHERE carrier = 'OO'")]
    assert {request.connector for request in session.requests} == {"nyc_two"}
    ConfigManager().remove_connector("nyc_two")
    assert (config / "config.toml").read_text().rstrip() == before.rstrip()


def test_a_name_that_a_file_beside_the_config_has_is_taken(config: Path) -> None:
    before = (config / "config.toml").read_text()

    with pytest.raises(ConfigError, match="blog"):
        ConfigManager().add_connector("blog", extends="nyc")

    assert (config / "config.toml").read_text() == before


@pytest.mark.parametrize(
    ("extends", "changes"),
    [
        ("nyc", {"token": "env:NYC_TOKEN"}),  # nyc's auth is of type none, which holds no token
        ("nycc", {}),
        ("nyc", {"settings": {"site": "acme"}}),  # no URL of nyc has a {site}
    ],
    ids=["a token for no auth", "nobody", "a setting that there is not"],
)
def test_an_account_that_is_wrong_once_it_is_joined_with_what_it_extends_is_not_added(
    config: Path, extends: str, changes: dict[str, Any]
) -> None:
    before = (config / "config.toml").read_text()

    with pytest.raises(ConfigError):
        ConfigManager().add_connector("nyc_two", extends=extends, **changes)

    assert (config / "config.toml").read_text() == before


def test_accounts_that_come_and_go_leave_the_blank_line_before_the_first_and_no_more(config: Path) -> None:
    before = (config / "config.toml").read_text()

    for _ in range(3):
        ConfigManager().add_connector("nyc_two", extends="nyc")
        ConfigManager().remove_connector("nyc_two")

    assert (config / "config.toml").read_text() == before + "\n"


# --- what lint should find in a stream --------------------------------------------------------------------------------

AIRLINES = """
base_url = "http://127.0.0.1:18203/nyc"
[streams.airlines]
path = "/airlines.json"
params = { _shape = "objects" }
description = "Carriers and their names"
columns = { carrier = "VARCHAR", name = "VARCHAR" }
"""


def test_a_required_key_that_cannot_be_given_by_its_value_is_an_error(config: Path) -> None:
    file = config / "connectors" / "bound.toml"
    key = '{ column = "name", param = "name__gte", operators = [">="], required = true }'
    file.write_text(f"{AIRLINES}key_columns = [{key}]\n")

    assert [finding.level for finding in lint(file)] == ["error"]


def test_a_path_with_parameters_is_an_error_that_names_params_of_the_stream(config: Path) -> None:
    file = config / "connectors" / "query.toml"
    file.write_text(AIRLINES.replace("airlines.json", "airlines.json?_size=5"))

    assert [(finding.key, finding.level) for finding in lint(file)] == [("streams.airlines.path", "error")]


def test_rows_in_the_shape_of_arrays_are_told_to_be_lists_where_columns_are_declared(
    config: Path, session: apikit_sql.Session
) -> None:
    shaped = AIRLINES.replace('params = { _shape = "objects" }', "").replace('carrier = "VARCHAR"', 'carrier = "JSON"')
    (config / "connectors" / "arrays.toml").write_text(shaped)

    (trial,) = try_out("arrays", session=session)

    assert trial.state == "failed"
    assert "does not fit JSON" not in trial.message
    assert "list" in trial.message


def test_a_setting_of_streams_that_stands_at_the_connector_is_sent_to_its_place(config: Path) -> None:
    file = config / "connectors" / "above.toml"
    file.write_text('columns = { id = "BIGINT" }\n' + AIRLINES)

    (finding,) = [finding for finding in lint(file) if finding.level == "error"]

    assert finding.message != "there is no such setting; did you mean streams?"
    assert "streams." in finding.message
