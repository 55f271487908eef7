"""Rows are written byte for byte as DuckDB's own shell writes them. It is a binary that a package brings."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.cli.conftest import Run

OFFICIAL = Path(sysconfig.get_path("scripts")) / "duckdb"
MODES = ["-csv", "-json", "-jsonlines", "-markdown", "-line", "-list", "-box", "-table", "-column"]
QUERIES = {
    "numbers, texts and NULL": "SELECT 1 a, 'x' b, NULL::DOUBLE c UNION ALL SELECT -2, 'yy', 1.5 ORDER BY 1",
    "no rows": "SELECT 1 a, 'x' \"b c\" WHERE false",
    "wide letters": "SELECT '日本' a, 'é|' b, '👍' \"größe\", 1 AS \"n m\"",
    "types": """SELECT ['x', NULL] a, '\\x00a'::BLOB b, [1.5::DECIMAL(3, 1)] c, DATE '2020-01-01' d,
        {'x': TIMESTAMP '2020-01-01', 'y': [true]} e, '/é\\' g, 5::HUGEINT h, 3::UBIGINT i, 1e30::DOUBLE j, 1e-7 k,
        INTERVAL 1 DAY m, 5::TINYINT o, 1.5::FLOAT q, [MAP {1: 'a'}] r, '{"a":[1]}'::JSON s, 10::DECIMAL(5, 2) u,
        'x'::ENUM('x') v, TIME '12:00:00' w, '5e7a4a5e-0000-4000-8000-000000000000'::UUID x, false y""",
    "what needs quotes": "SELECT 'a,b' a, 'say \"hi\"' b, 'it''s' c, '' d, ' e' e, 'NULL' f, 'Größe' g",
    "three batches": "SELECT i, i % 7 AS r FROM range(2500) t(i)",
    "changes": """CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2) RETURNING i;
        UPDATE t SET i = 3; SELECT sum(i) AS s FROM t""",
    "names twice": "SELECT 1 a, 2 a",
}


def official(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [OFFICIAL, "-no-init", *arguments], input=stdin, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    return done.returncode, done.stdout, done.stderr


def known_to_differ(mode: str, name: str) -> bool:
    return (mode, name) in {
        ("-jsonlines", "no rows"),  # DuckDB's writes an empty line, which is no JSON
        ("-line", "wide letters"),  # and there it counts bytes
    }


@pytest.mark.parametrize("mode", MODES)
def test_rows_are_written_as_the_official_shell_writes_them(mode: str, run: Run) -> None:
    queries = [query for name, query in QUERIES.items() if not known_to_differ(mode, name)]
    work = [each for query in queries for each in ("-c", query)]
    code, out, _ = official(mode, *work)

    assert run(mode, *work) == (code, out, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-csv", "-nullvalue", ""],
        ["-csv", "-nullvalue", "a,b"],
        ["-csv", "-separator", ";"],
        ["-list", "-separator", ", "],
        ["-csv", "-noheader"],
        ["-list", "-noheader", "-header"],
        ["-list", "-noheader"],
        ["-json", "-nullvalue", "-"],
        ["-line", "-noheader", "-nullvalue", "-"],
        ["-box", "-noheader", "-nullvalue", "-"],
        ["-markdown", "-noheader", "-nullvalue", ""],
        ["--csv", "--nullvalue", "none"],
    ],
    ids=" ".join,
)
def test_the_flags_of_rows_do_what_the_official_shells_do(arguments: list[str], run: Run) -> None:
    query = "SELECT 1 a, NULL::VARCHAR b, 'x;y' c"
    code, out, _ = official(*[each.replace("--", "-") for each in arguments], "-c", query)

    assert run(*arguments, "-c", query) == (code, out, "")


def test_the_default_is_duckdbs_box(run: Run) -> None:
    query = "SELECT 1 a, 'x' b, [1, 2] c, {'k': 1.5} d UNION ALL SELECT 22, NULL, NULL, NULL"
    code, out, _ = official("-c", query)

    assert run("-c", query) == (code, out, "")


def test_a_box_of_many_rows_shows_both_ends_and_counts_all(run: Run) -> None:
    ran = run("-c", ".maxrows 4", "-c", "SELECT i, 'wide enough for a count' AS t FROM range(30000) t(i)")

    shown = [line.split("│")[1].strip() for line in ran.out.splitlines() if line.startswith("│") and "·" not in line]
    assert shown == ["i", "int64", "0", "1", "29998", "29999"]
    assert "30000 rows" in ran.out
    assert "4 shown" in ran.out


def test_a_number_that_json_has_not_is_a_text(run: Run) -> None:
    ran = run("-json", "-c", "SELECT 'nan'::DOUBLE a, '-inf'::FLOAT b, 0.5::DOUBLE c")

    assert ran.out == '[{"a":"nan","b":"-inf","c":0.5}]\n'


def test_lines_without_rows_are_no_lines(run: Run) -> None:
    assert run("-jsonlines", "-c", "SELECT 1 WHERE false") == (0, "", "")


def test_what_is_no_character_of_a_line_is_written_out_in_tables(run: Run) -> None:
    ran = run("-table", "-c", "SELECT E'a\\nb\\tc\\x1b' t")

    assert ran.out.splitlines()[3] == r"| a\nb\tc\x1b |"


def test_times_are_those_of_the_time_zone_that_was_set(run: Run) -> None:
    ran = run("-csv", "-noheader", "-c", "SET TimeZone = 'Asia/Tokyo'; SELECT TIMESTAMPTZ '2025-01-01 00:00:00Z'")

    assert ran.out == "2025-01-01 09:00:00+09\n"


def test_a_plan_is_shown_as_it_is(run: Run) -> None:
    ran = run("-csv", "-c", "EXPLAIN SELECT 42")

    assert "42" in ran.out
    assert "explain_key" not in ran.out


@pytest.mark.parametrize("bail", [[], ["-bail"]], ids=["on", "bail"])
def test_an_error_in_stdin_ends_the_shell_where_it_bails(bail: list[str], run: Run) -> None:
    script = "SELECT 1 a;\nSELEC 2;\nSELECT 3 b;\n"
    code, out, _ = official("-csv", *bail, stdin=script)

    ran = run("-csv", *bail, stdin=script)

    assert (ran.code, ran.out) == (code, out)
    assert "SELEC" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-csv", "-c", "SELECT 1 a", "-c", "SELEC 2", "-c", "SELECT 3"],
        ["-csv", "-c", "SELECT 1 a; SELEC 2"],
        ["-csv", "-c", "SELECT 1 a; SELECT error('boom'); SELECT 3"],
        ["-csv", ":memory:", "SELECT 5 AS x"],
        ["-csv", "-c", ".mode json", "-c", "SELECT 1 a", "-c", ".mode list", "-c", "SELECT 2 b"],
        ["-csv", "-c", ".headers off", "-c", "SELECT 1 a, NULL", "-c", ".nullvalue -", "-c", "SELECT NULL"],
        ["-csv", "-c", ""],
        ["-csv", "-c", "-- only"],
        ["-csv", "-c", "SELECT 1 a;;; ; SELECT 2 b -- end"],
        ["-csv", "-c", "SELECT 1 a; .mode json"],
        ["-c", ".exit 3", "-c", "SELECT 1 a"],
        ["-c", ".quit"],
        ["-f", "/no/such/file.sql"],
        ["-readonly", "/no/such/file.db", "-c", "SELECT 1"],
        ["-c", ".mode nope"],
        ["-c", ".nope"],
    ],
    ids=" ".join,
)
def test_runs_end_as_those_of_the_official_shell(arguments: list[str], run: Run) -> None:
    code, out, err = official(*arguments)

    ran = run(*arguments)

    assert (ran.code, ran.out, bool(ran.err)) == (code, out, bool(err))


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["-csv", "-f", "{file}"], ""),
        (["-csv", "-f", "{file}", "-c", "SELECT 4 d"], ""),
        (["-csv", "-c", ".read {file}", "-c", "SELECT 4 d"], ""),
        (["-csv"], ".read {file}\nSELECT 4 d;\n"),
        (["-csv", "-bail"], ".read {file}\nSELECT 4 d;\n"),
        (["-csv"], ".read {outer}\nSELECT 4 d;\n"),
    ],
)
def test_a_file_ends_at_its_first_error_as_in_the_official_shell(
    arguments: list[str], stdin: str, run: Run, tmp_path: Path
) -> None:
    names = {"file": str(tmp_path / "wrong.sql"), "outer": str(tmp_path / "outer.sql")}
    (tmp_path / "wrong.sql").write_text("SELECT 1 a;\nSELEC 2;\nSELECT 3 c;\n")
    (tmp_path / "outer.sql").write_text(f"SELECT 0 o;\n.read {names['file']}\nSELECT 5 e;\n")
    given, typed = [each.format(**names) for each in arguments], stdin.format(**names)
    code, out, _ = official(*given, stdin=typed)

    ran = run(*given, stdin=typed)

    assert (ran.code, ran.out) == (code, out)
    assert ran.err.count("SELEC") == 2  # in the message, and in the line it shows


@pytest.mark.parametrize("text", ["SELEC 2;\n", None], ids=["wrong", "missing"])
def test_an_init_file_that_fails_ends_it_as_it_ends_the_official_shell(
    text: str | None, run: Run, tmp_path: Path
) -> None:
    init = tmp_path / "init.sql"
    if text is not None:
        init.write_text(text)
    done = subprocess.run([OFFICIAL, "-csv", "-init", init, "-c", "SELECT 1 a"], capture_output=True, check=False)

    ran = run(":memory:", "-csv", "-init", str(init), "-c", "SELECT 1 a")

    assert (ran.code, ran.out) == (done.returncode, done.stdout.decode()) == (1, "")
