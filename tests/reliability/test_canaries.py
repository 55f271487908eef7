"""A short run of every feature with secrets: none is found in what it leaves, and no feature is forgotten."""

import pytest

from tests.fakes.canaries import SECRETS, Run, leaks
from tests.reliability.canaries import kinds, made
from tests.reliability.every_feature import FEATURES, uncovered

pytestmark = pytest.mark.no_cover


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    finished = made(tmp_path_factory.mktemp("features"), "query", "awkward_basic", "oauth", "adhoc")
    assert finished.process.returncode == 0, finished.process.stderr[-3000:].decode()
    return finished


def test_every_function_and_every_public_name_is_of_a_feature() -> None:
    assert uncovered() == set()


def test_no_secret_is_found_in_what_a_feature_leaves(run: Run) -> None:
    found = kinds(run)

    assert not found, f"{len(found)} leaks:\n" + "\n".join(found)


def test_what_a_feature_leaves_is_there(run: Run) -> None:
    """So that what is not found is not merely not there."""
    said, files = run.outputs["stdout"].decode(errors="replace"), run.outputs.keys()

    assert all(f"== {name}\n" in said for name in FEATURES)
    assert said.count("***REDACTED***") > 100
    assert {
        "kept.duckdb",
        "exported/schema.sql",
        "events.ndjson",
        "config.toml",
        "config.pickle",
        "profile.json",
    } <= files
    assert {"dbt/seeds/seed_query.csv", "dbt/models/sources.yml", "python_dbt/seeds/c.csv"} <= files
    assert sum(name.endswith(".pickle") for name in files) > 10
    assert sum(name.startswith("recordings/") for name in files) > 20
    assert b"outcome" not in run.outputs["exported/sent_post_query.csv"]
    assert b"REDACTED" in run.outputs["exported/sent_post_query.csv"] + run.outputs["exported/hook_events.csv"]
    assert b"apikit_sql.cli" in run.outputs["stdout"]


def test_the_server_is_really_sent_the_secrets(run: Run) -> None:
    used = {name for name, secret in SECRETS.items() if any(secret in text for text in run.received)}

    assert used >= {"query", "awkward", "client secret", "access token", "install", "bearer"}


def test_a_secret_that_is_left_would_be_found(run: Run) -> None:
    more = {**run.outputs, "left": b"x" + SECRETS["webhook"].encode() + b"y"}

    assert {text.partition(":")[0] for text in leaks(SECRETS, more)} == {"webhook (plain) in left"}
