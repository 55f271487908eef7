"""The shell without a terminal: what it runs, what it tells, and how it ends."""

import json
import re
import subprocess
import sys
import sysconfig
from contextlib import closing
from io import StringIO
from pathlib import Path

import duckdb
import pytest

from apikit_sql.cli.__main__ import main
from apikit_sql.cli.options import parse
from apikit_sql.cli.settings import MODES, Start
from apikit_sql.cli.shell import Shell
from apikit_sql.demo import DemoServer
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
OFFICIAL = Path(sysconfig.get_path("scripts")) / "duckdb"
README = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## The shell\n", 1)[1].split("\n## ", 1)[0]
ISSUES = "SELECT count(*) AS n FROM apikit('demo', 'issues')"


def documented(first: str) -> set[str]:
    """The words in backticks of the first column of README's table whose rows begin with `first`."""
    cells = [line.split(" | ")[0] for line in README.splitlines() if line.startswith(f"| `{first}")]
    return {word for cell in cells for word in re.findall(r"`([-.\w]+)", cell)}


def test_readme_has_every_dot_command_and_no_other() -> None:
    from apikit_sql.cli.dot_commands import COMMANDS

    assert documented(".") == {f".{each.name}" for each in COMMANDS}


def test_readme_has_every_flag_and_no_other(run: Run) -> None:
    flags = set(re.findall(r"^  (--?[\w-]+)", run("-help").out, re.MULTILINE)) - {"-h"}
    written = {f"-{each.lstrip('-')}" for each in documented("-")}

    assert written == {f"-{each.lstrip('-')}" for each in flags} | {"-help"}


def test_work_keeps_its_order_and_hyphens_do_not_matter() -> None:
    start = parse(["-c", "a", "--f", "b", "--c", "c", "x.db", "d", "--csv"])

    assert start.work == (("sql", "a"), ("file", "b"), ("sql", "c"), ("sql", "d"))
    assert (start.database, start.settings.mode, start.cache) == ("x.db", "csv", 300)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-jsn"], "there is no -jsn. Did you mean -json?"),
        (["-wibblewobble"], "there is no -wibblewobble. -help lists the flags."),
        (["-cache", "soon"], "'soon' is no number of seconds"),
        (["-c"], "expected one argument"),
        (["inspect"], "the following arguments are required"),
    ],
)
def test_a_wrong_flag_ends_with_2_and_says_what_there_is(arguments: list[str], told: str, run: Run) -> None:
    ran = run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def its_flags() -> list[str]:
    """Our own flags, without hyphens, from README's table."""
    return sorted({word.lstrip("-") for word in documented("-")})


def flags_that_only_duckdb_has() -> list[str]:
    told = subprocess.run([OFFICIAL, "-help"], capture_output=True, text=True, check=True).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told)
    return sorted(set(re.findall(r"^  -([\w-]+)", plain, re.MULTILINE)) - {*its_flags(), "h", "s"})


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is told of `arguments`, which end the process before anything is done."""
    with pytest.raises(SystemExit) as ending:
        parse(arguments)
    assert ending.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("flag", [*flags_that_only_duckdb_has(), *(f"{flag}x" for flag in its_flags()), "cahce", "c1"])
@pytest.mark.parametrize("hyphens", ["-", "--"])
def test_what_is_no_flag_is_never_taken_for_another(
    flag: str, hyphens: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (f"{hyphens}{flag}", f"{hyphens}{flag}=x"):
        assert f"there is no {given}." in refused([given, "0", "-c", "select 1"], capsys)


def test_duckdb_has_flags_that_are_refused_here() -> None:
    assert {"cmd", "html", "safe", "echo"} <= set(flags_that_only_duckdb_has())


@pytest.mark.parametrize("value", ["--", "-", "-c", "-- x", "=", ""])
def test_a_value_may_begin_with_a_hyphen(value: str) -> None:
    start = parse(["-separator", value, "-nullvalue", value, "-c", value, f"--env-file={value}"])

    assert (start.settings.separator, start.settings.null_value) == (value, value)
    assert (start.work, start.env_file, start.database) == ((("sql", value),), value, ":memory:")


def test_what_stands_without_a_flag_is_a_database_and_one_statement(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert "'c' is one too many" in refused(["a.db", "select 1", "c"], capsys)
    assert "Did you mean the subcommand connectors?" in refused(["conectors", "list"], capsys)
    (tmp_path / "conectors").touch()
    assert [parse([name]).database for name in ("conectors", "./demos", "connect.db")] == [
        "conectors",
        "./demos",
        "connect.db",
    ]


def test_help_names_the_subcommands(run: Run) -> None:
    ran = run("-help")

    assert (ran.code, ran.err) == (0, "")
    assert all(f"  {name} " in ran.out for name in ("connectors", "dbt-export", "demo", "inspect", "webhook"))


def test_an_api_is_read_and_rows_alone_are_on_stdout(run: Run) -> None:
    ran = run("-csv", "-c", ISSUES)

    assert ran == (0, "n\n1240\n", "")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "FROM apikit('demmo', '/issues')",
            "ConnectorNotFoundError: no connector is named 'demmo'. Did you mean demo?",
        ),
        ("FROM apikit('demo', '/nowhere')", "RequestError: demo: GET /nowhere answered 404 (Not Found)\n"),
        ("SELECT nope", 'Binder Error: Referenced column "nope" was not found'),
        (".streams demmo", "ConnectorNotFoundError: no connector is named 'demmo'."),
        (".mode wibble", "Error: .mode takes one of duckbox, box,"),
        (".wibble", "Error: .wibble is no command; .help lists them."),
        (".once", "Error: it is written .once FILE"),
        (".maxrows some", "Error: 'some' is no number of rows."),
        (".requests " + "9" * 5_000, "Error: '" + "9" * 80 + "' is no number of rows."),
        (".timer perhaps", "Error: 'perhaps' is neither on nor off."),
        (".mode 'x", "No closing quotation"),
        (".read /no/such.sql", "Error: /no/such.sql: No such file or directory"),
        (".output /no/such/folder/x", "No such file or directory"),
        (".inspect nothing", "'nothing' is no URL"),
    ],
)
def test_an_error_is_told_on_stderr_without_a_traceback(statement: str, told: str, run: Run) -> None:
    ran = run("-csv", "-c", statement)

    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_debug_shows_where_an_error_comes_from(run: Run) -> None:
    ran = run("-debug", "-c", "FROM apikit('demo', '/nowhere')")

    assert ran.code == 1
    assert "Traceback" in ran.err


def test_a_file_runs_and_files_may_read_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "inner.sql").write_text("SELECT 2 AS b;\n")
    (tmp_path / "outer file.sql").write_text(f"-- a report\n.mode json\nSELECT 1 AS a;\n.read {tmp_path}/inner.sql\n")

    ran = run("-f", str(tmp_path / "outer file.sql"))

    assert ran == (0, '[{"a":1}]\n[{"b":2}]\n', "")


def test_rows_go_where_they_are_sent(run: Run, tmp_path: Path) -> None:
    script = f"SELECT 1 a;\n.once {tmp_path}/once\nSELECT 2 b;\nSELECT 3 c;\n.output {tmp_path}/second\nSELECT 4 d;\n"

    ran = run("-csv", "-o", str(tmp_path / "first"), stdin=script + ".output\nSELECT 5 e;\n")

    assert ran == (0, "e\n5\n", "")
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
        "first": "a\n1\nc\n3\n",
        "once": "b\n2\n",
        "second": "d\n4\n",
    }


def test_the_init_file_runs_first_unless_it_is_left_out(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
    (tmp_path / "init.sql").write_text(".mode json\nCREATE MACRO twice(x) AS 2 * x;\n")
    (tmp_path / "other.sql").write_text(".mode csv\n")

    assert run(":memory:", "SELECT twice(4) AS n") == (0, '[{"n":8}]\n', "")
    assert run(":memory:", "-init", str(tmp_path / "other.sql"), "-c", "SELECT 1 AS n") == (0, "n\n1\n", "")
    assert run("-no-init", "-csv", "-c", "SELECT twice(4)").code == 1


def test_a_database_file_is_opened_read_and_left_alone(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "my.duckdb")

    assert run(file, "-c", "CREATE TABLE t AS SELECT 7 AS n").code == 0
    assert run(file, "-readonly", "-csv", "-c", "FROM t") == (0, "n\n7\n", "")
    assert "read-only" in run(file, "-readonly", "-c", "DROP TABLE t").err
    assert run("-csv", "-c", f".open {file}", "-c", "FROM t", "-c", ".open", "-c", "FROM t").out == "n\n7\n"


def test_another_database_is_opened_with_the_same_options_and_the_one_before_is_closed(tmp_path: Path) -> None:
    for name in ("first.db", "second.db"):
        duckdb.connect(str(tmp_path / name)).close()
    start = Start(str(tmp_path / "first.db"), is_read_only=True, allow_mutations=("demo",), has_init=False)

    with closing(Shell(start)) as shell:
        before = shell.opened()
        shell.reopen(str(tmp_path / "second.db"))

        assert shell.opened().session is not before.session
        with pytest.raises(duckdb.ConnectionException):
            before.con.execute("SELECT 1")
        with pytest.raises(duckdb.Error, match="read-only"):
            shell.query("CREATE TABLE t (i INTEGER)")
        (status,) = (
            shell.opened()
            .con.execute("COPY (SELECT apikit_post('demo', '/orders/7/notes', {text: 'x'})) TO '/dev/null'")
            .fetchone()
        )
        assert status == 1


def test_a_connector_is_attached_before_all_else(run: Run) -> None:
    assert run("--attach", "demo", "-csv", "-c", "SELECT count(*) AS n FROM demo.issues").out == "n\n1240\n"


def test_a_select_sends_a_mutation_once_for_each_row_where_it_may(run: Run) -> None:
    sql = "SELECT i, apikit_post('demo', '/orders/7/notes', {text: 'n' || i}).status AS s FROM range(2) t(i) ORDER BY i"

    ran = run("-csv", "--allow-mutations", "demo", "-c", sql, "-c", "SELECT count(*) AS sent FROM apikit_requests()")

    assert ran == (0, "i,s\n0,201\n1,201\nsent\n2\n", "")
    assert "may only be read" in run("-c", sql).err


@pytest.mark.parametrize("kind", ["SELECT", "CREATE TABLE t AS SELECT"])
def test_a_statement_that_breaks_off_tells_how_many_mutations_were_sent(kind: str, run: Run) -> None:
    posts = "SELECT apikit_post('demo', '/orders/7/notes', {text: i}).status AS s FROM range(3) t(i)"
    sql = f"{kind} if(s = 201, error('boom'), s) FROM ({posts})"

    ran = run("-csv", "--allow-mutations", "demo", "-c", sql)

    assert ran.code == 1
    assert ran.err.startswith("apikit: requests that were sent and may have changed demo: 3 (.requests 3 shows them)\n")
    assert "boom" in ran.err
    assert "may have changed" not in run("-c", "SELECT error(title) FROM apikit('demo', 'issues')").err


def test_many_requests_within_a_minute_are_told_as_all_else_is(run: Run) -> None:
    server = DemoServer()
    call = f"apikit_get('{server.base_url}', '/status', params := {{n: i}})"

    ran = run("-csv", "-c", f"SELECT count({call}) AS n FROM range(101) t(i)")
    server.close()

    assert (ran.code, ran.out) == (0, "n\n101\n")
    host = server.base_url.removeprefix("http://")
    assert ran.err == f"apikit: {host}: more than 100 requests within a minute.\n"


def test_reads_are_answered_from_the_cache_and_their_age_is_told(run: Run) -> None:
    requests = "SELECT count(*) AS sent FROM apikit_requests()"
    read = "SELECT count(*) AS n FROM apikit('demo', '/status')"

    cached = run("-csv", "-c", read, "-c", read, "-c", requests)
    asked = run("-csv", "-cache", "0", "-c", read, "-c", read, "-c", requests)

    assert cached.out.splitlines()[-1] == "1"
    assert cached.err == "apikit: 1 page from the cache, up to 0 s old (cache := 0 asks the API)\n"
    assert (int(asked.out.splitlines()[-1]) > 1, asked.err) == (True, "")


def test_statements_see_nothing_of_the_shell(run: Run) -> None:
    for name in ("rows", "batch", "sql", "con", "relation", "self", "settings"):
        assert run("-c", f"FROM {name}").code == 1


def test_a_transaction_that_has_failed_can_be_rolled_back(run: Run) -> None:
    ran = run(
        "-csv", stdin="BEGIN;\nCREATE TABLE t (i INTEGER);\nSELECT error('x');\nSELECT 1;\nROLLBACK;\nSELECT 2 AS a;\n"
    )

    assert (ran.code, ran.out) == (1, "a\n2\n")


def test_the_env_file_is_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "vars.env").write_text("NOTION_TOKEN=from-a-file\n")

    ran = run(
        "-csv", "-noheader", "--env-file", str(tmp_path / "vars.env"),
        "-c", "SELECT configured FROM apikit_connectors('notion')",
    )  # fmt: skip

    assert ran.out == "true\n"


def test_dot_commands_show_what_there_is(run: Run) -> None:
    ran = run(
        "-csv",
        "-noheader",
        stdin="CREATE TABLE mine (i INTEGER PRIMARY KEY);\nCREATE VIEW seen AS SELECT 1 AS x;\n"
        ".tables\n.tables se%\n.schema mine\n.databases\n.attach demo d\n.streams demo\n.connectors\n.requests\n"
        ".quit\nSELECT 1;\n",
    )

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:4] == ["memory,main,mine,table", "memory,main,seen,view", "memory,main,seen,view", lines[3]]
    assert lines[3].startswith("CREATE TABLE mine(i INTEGER")
    assert "memory," in lines[4]
    assert sum(line.startswith("issues,/issues,") for line in lines) == 1
    assert any(line.startswith("github,") for line in lines)
    assert "1" not in lines


def test_a_timer_tells_on_stderr(run: Run) -> None:
    ran = run("-csv", "-c", ".timer on", "-c", "SELECT 1 AS a")

    assert ran.out == "a\n1\n"
    assert re.fullmatch(r"apikit: 0\.\d{3} s\n", ran.err)


def test_mode_and_help_tell_on_stderr(run: Run) -> None:
    ran = run("-json", "-c", ".mode", "-c", ".help")

    assert ran.out == ""
    assert ran.err.startswith("json\n")
    assert ".inspect URL [PATH]" in ran.err
    assert run("-c", ".help mode").err == ".mode [NAME]  how rows are written\n"
    assert run("-c", ".help wibble").code == 1


@pytest.mark.parametrize("command", [".exit 3", ".quit 3", ".exit 256", ".exit x"])
def test_leaving_takes_an_exit_code(command: str, run: Run) -> None:
    ran = run("-c", command, "-c", "SELECT 1")

    assert (ran.code, ran.out) == (3 if command.endswith("3") else 1, "")


def test_an_init_file_is_looked_for_before_anything_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keyboard = StringIO("never read")
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", keyboard)

    assert main(["-init", "/no/such.sql"]) == 1

    assert capsys.readouterr().err == "Error: /no/such.sql: No such file or directory\n"


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_can_be_chosen_by_its_name(mode: str, run: Run) -> None:
    assert run("-c", f".mode {mode}", "-c", "SELECT 1 AS a") == run(f"-{mode}", "-c", "SELECT 1 AS a")


class TestSubcommands:
    def test_demo_is_the_shell_with_its_tables(self, run: Run) -> None:
        ran = run("demo", "-no-init", "-csv", "-c", "SELECT count(*) AS n FROM demo.issues")

        assert ran == (0, "n\n1240\n", "")

    def test_inspect_tells_of_an_api_or_gives_a_manifest(self, run: Run, tmp_path: Path) -> None:
        server = DemoServer()
        url = f"{server.base_url}/orders?limit=10&offset=0"

        told = run("inspect", url)
        manifest = run("inspect", url, "--manifest")
        (tmp_path / "found.toml").write_text(manifest.out)
        linted = run("connectors", "lint", str(tmp_path / "found.toml"))
        tested = run("connectors", "test", str(tmp_path / "found.toml"))
        server.close()

        assert told.code == 0
        assert "    strategy = offset\n" in told.out
        assert (manifest.code, linted.code) == (0, 0)
        assert tested.out.startswith("orders: ok: ")

    def test_inspect_ends_with_1_where_the_api_does_not_answer(self, run: Run) -> None:
        told, sql = run("inspect", "demo:/nowhere", "--json"), run("inspect", "demo", "/nowhere", "--sql")

        assert (told.code, json.loads(told.out)[0]["status"]) == (1, 404)
        assert (sql.code, sql.out) == (1, "")
        assert "404" in sql.err

    def test_connectors_are_added_shown_and_removed(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
        monkeypatch.setenv("ACME_TOKEN", "t")
        add = ["connectors", "add", "acme", "https://api.acme.example/v2", "--auth", "bearer"]

        assert run(*add, "--token", "literal").code == 2  # it would be seen
        assert run(*add, "--token", "env:ACME_TOKEN").code == 0
        assert run(*add, "--token", "env:ACME_TOKEN").code == 1  # it is there
        listed = run("connectors", "list", "--mode", "csv")
        shown = run("connectors", "show", "acme")
        assert run("connectors", "remove", "acme").code == 0

        assert "\nacme,true," in listed.out
        assert "https://api.acme.example/v2" in shown.out
        assert run("connectors", "show", "acme").code == 1

    def test_a_manifest_that_is_wrong_ends_lint_with_1(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_text('base_url = "ftp://x"\n')

        ran = run("connectors", "lint", str(tmp_path / "bad.toml"))

        assert ran.code == 1
        assert f"{tmp_path}/bad.toml:1: error: base_url:" in ran.out

    def test_a_trial_that_fails_ends_test_with_1(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "gone.toml").write_text(
            'base_url = "http://127.0.0.1:9"\n[retry]\nmax_attempts = 1\n[streams.a]\npath = "/a"\n'
        )

        ran = run("connectors", "test", str(tmp_path / "gone.toml"))

        assert ran.code == 1
        assert ran.out.startswith("a: failed: ")
