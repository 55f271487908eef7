"""`apikit-sql dbt-export` and `apikit-sql webhook`: functions of SQL from a command line."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tests.cli.conftest import Run
from tests.sql.demo_data import customers
from tests.webhook.signing import SECRET, deliver, github


class TestDbtExport:
    @pytest.fixture(autouse=True)
    def _working_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_an_endpoint_becomes_a_seed(self, run: Run, tmp_path: Path) -> None:
        ran = run("dbt-export", "demo", "/customers", "--name", "customers", "--tags", "crm", "--tags", "daily")

        assert (ran.code, ran.err) == (0, "")
        assert "dbt/seeds/customers.csv" in ran.out
        with (tmp_path / "dbt/seeds/customers.csv").open() as file:
            assert [row["id"] for row in csv.DictReader(file)] == [str(each["id"]) for each in customers()]
        assert "- crm\n" in (tmp_path / "dbt/models/customers.yml").read_text()
        assert "- daily\n" in (tmp_path / "dbt/models/customers.yml").read_text()

    def test_parameters_are_json(self, run: Run, tmp_path: Path) -> None:
        run("dbt-export", "demo", "/customers", "--name", "some", "--params", '{"country": "DE"}')

        with (tmp_path / "dbt/seeds/some.csv").open() as file:
            found = [row["id"] for row in csv.DictReader(file)]
        assert found == [str(each["id"]) for each in customers() if each["country"] == "DE"]

    def test_the_rows_of_a_select_do_in_a_folder_that_is_named(self, run: Run, tmp_path: Path) -> None:
        ran = run("dbt-export", "--sql", "SELECT '=1+1' AS a", "--name", "one", "--output-dir", "jaffle", "--csv-safe")

        assert (ran.code, ran.err) == (0, "")
        assert (tmp_path / "jaffle/seeds/one.csv").read_text().splitlines() == ['"a"', '"\'=1+1"']

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--name", "x"], "give a connector and a path, or --sql"),
            (["demo", "--name", "x"], "give a connector and a path, or --sql"),
            (["demo", "/customers", "--sql", "SELECT 1", "--name", "x"], "give a connector and a path, or --sql"),
            (["--sql", "SELECT 1", "--params", "{}", "--name", "x"], "--params and --path-params are of a connector"),
        ],
    )
    def test_what_is_to_be_exported_is_told_once(self, arguments: list[str], told: str, run: Run) -> None:
        ran = run("dbt-export", *arguments)

        assert (ran.code, ran.out) == (2, "")
        assert told in ran.err

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["demo", "/customers"], "CallError: apikit_dbt_export: name must be a text"),
            (["demmo", "/customers", "--name", "x"], "ConnectorNotFoundError: no connector is named 'demmo'."),
            (["demo", "/customers", "--name", "x", "--output-dir", ".."], "CallError"),
        ],
    )
    def test_an_error_is_one_line_and_writes_nothing(
        self, arguments: list[str], told: str, run: Run, tmp_path: Path
    ) -> None:
        ran = run("dbt-export", *arguments)

        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(told)
        assert not list(tmp_path.iterdir())


class TestWebhook:
    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
    def test_deliveries_are_kept_until_a_signal_and_counted(self, ending: signal.Signals, tmp_path: Path) -> None:
        # given a receiver on a database file
        file = tmp_path / "events.duckdb"
        body = json.dumps({"action": "opened"}).encode()
        with receiving(str(file), "hooks", "--provider", "github", "--secret", "env:HOOKS", "--port", "0") as process:
            address = address_of(process)

            # when one delivery is signed and one is not, and the signal comes
            answers = [
                deliver(address, body, github(body, "d1", "issues")),
                deliver(address, body, github(body, "d2", "issues", secret="another secret than that")),
            ]
            process.send_signal(ending)
            out, err = process.communicate(timeout=30)

        # then it ends well, says what came, and the file has it
        assert [each.status_code for each in answers] == [200, 401]
        assert (process.returncode, err) == (0, "Ctrl-C stops it.\n")
        counted = {key.strip(): value.strip() for key, _, value in (line.partition(" = ") for line in out.splitlines())}
        assert (counted["received"], counted["stored"], counted["rejected"]) == ("2", "1", "1")
        with duckdb.connect(file) as con:
            assert con.execute("SELECT id, payload FROM hooks_events").fetchall() == [("d1", body.decode())]

    @pytest.mark.parametrize(
        ("arguments", "code", "told"),
        [
            (["--provider", "github"], 2, "the following arguments are required: --secret"),
            (["--provider", "github", "--secret", "env:A", "--port", "many"], 2, "invalid int value: 'many'"),
            (["--provider", "gitub", "--secret", "env:HOOKS"], 1, "'gitub'"),
            (["--provider", "github", "--secret", SECRET], 1, "secret must be a reference"),
        ],
    )
    def test_what_cannot_start_says_why_and_never_a_secret(
        self, arguments: list[str], code: int, told: str, run: Run, tmp_path: Path
    ) -> None:
        ran = run("webhook", str(tmp_path / "events.duckdb"), "hooks", *arguments)

        assert (ran.code, ran.out) == (code, "")
        assert told in ran.err
        assert SECRET not in ran.err


@contextmanager
def receiving(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`apikit-sql webhook` in a process of its own."""
    command = [sys.executable, "-m", "apikit_sql.cli", "webhook", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"HOOKS": SECRET}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def address_of(process: subprocess.Popen[str]) -> str:
    """Where it says that it listens."""
    assert process.stdout is not None
    return next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
