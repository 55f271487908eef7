"""dbt on what was exported, and the example project as README tells it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import apikit_sql
from tests.dbt.conftest import ROOT, Project
from tests.sql.demo_data import customers, issues

pytestmark = [pytest.mark.dbt, pytest.mark.filterwarnings("default")]

TEXTS = [
    "plain", "", None, 'say "hi"', "a,b", "two\nlines", "carriage\r\nreturn", " spaces ", "=1+1", "'quoted'", "NULL",
    "null", "\\N", "a;b|c\td", "#no comment", "é 漢字 🦆", "{{ no_jinja }}", "{% raw %}", "1", "true", "2025-01-01",
]  # fmt: skip
RECORDS = [
    {
        "id": 2**70 + number, "text": text, "yes": number % 2 == 0, "price": number / 3, "order": None,
        "at": f"2025-01-01T00:00:{number:02}Z", "user": {"login": text}, "tags": [text],
        "only": None if number else "x",
    }
    for number, text in enumerate(TEXTS)
]  # fmt: skip


def test_what_is_exported_passes_dbt_and_holds_the_records(project: Project) -> None:
    exporter = apikit_sql.DbtExporter(".")
    exporter.export(RECORDS, "things", description="{{ 'Jinja' }} {% and %} {# more #} \"it\": yes", tags=["a: b"])
    exporter.export([{"on": text} for text in ("x", None, "y")], "single")
    con = duckdb.connect()
    apikit_sql.install(con)
    con.execute("CREATE TABLE kinds AS SELECT 1.50::DECIMAL(5, 2) AS d, uuid() AS u, [1] AS l, {'a': 'b'} AS s")
    con.execute("CALL apikit_dbt_export_query('FROM kinds', 'kinds', '.')")
    project.write(one="select 1 as one")

    for command in ("parse --warn-error", "seed", "test", "docs generate"):
        project.run(*command.split())

    kept = project.rows("SELECT id, text, yes, price, user__login, tags FROM things ORDER BY id")
    assert kept == [
        (
            each["id"],
            each["text"] or None,
            each["yes"],
            each["price"],
            text or None,
            json.dumps([text], ensure_ascii=False),
        )
        for each, text in zip(RECORDS, TEXTS, strict=True)
    ]
    assert project.rows('SELECT count(*), count("on") FROM single') == [(3, 2)]
    ((amount, key),) = con.execute("SELECT d, u FROM kinds").fetchall()
    assert project.rows("SELECT * FROM kinds") == [(amount, key, "[1]", '{"a":"b"}')]
    manifest = json.loads((project.folder / "target" / "manifest.json").read_text())
    assert manifest["nodes"]["seed.shop.things"]["description"] == "{{ 'Jinja' }} {% and %} {# more #} \"it\": yes"
    assert manifest["nodes"]["seed.shop.things"]["config"]["tags"] == ["a: b"]
    assert manifest["sources"]["source.shop.apikit.things"]["relation_name"] == '"data"."main"."things"'


def test_an_export_of_a_stream_is_tested_by_its_key(project: Project) -> None:
    con = duckdb.connect()
    apikit_sql.install(con)
    con.execute("CALL apikit_dbt_export('demo', 'customers', name := 'demo_customers', output_dir := '.')")

    tested = {each.node.name for each in project.run("build")}

    assert {"unique_demo_customers_id", "not_null_demo_customers_id", "demo_customers"} <= tested
    assert project.rows("SELECT id, email FROM demo_customers ORDER BY id") == sorted(
        (each["id"], each["email"]) for each in customers()
    )


def test_the_example_project_runs_as_readme_says(tmp_path: Path) -> None:
    folder = tmp_path / "sql_examples" / "dbt"
    shutil.copytree(ROOT / "sql_examples" / "dbt", folder)
    (tmp_path / "apikit_sql").symlink_to(ROOT / "apikit_sql")
    readme = (ROOT / "README.md").read_text().split("## dbt\n", 1)[1]
    commands = readme.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()
    assert commands[:2] == ["cd sql_examples/dbt", "pip install ../.. 'dbt-core<1.12' dbt-duckdb"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    for command in commands[2:]:
        done = subprocess.run(
            [*command.partition("#")[0].split(), "--no-use-colors"],
            cwd=folder,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    with duckdb.connect(folder / "shop.duckdb") as con:
        assert con.execute("SELECT count(*), count(DISTINCT number) FROM issues").fetchall() == [(len(issues()),) * 2]
        german = sum(each["country"] == "DE" for each in customers())
        assert con.execute("SELECT count(*) FROM german_customers").fetchall() == [(german,)]
