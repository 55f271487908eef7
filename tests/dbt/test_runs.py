"""dbt's own commands on a project whose models and sources are APIs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML

import apikit_sql
from apikit_sql.dbt import profile
from tests.dbt.conftest import ISSUES, ROOT, Project
from tests.fakes.api import Table

pytestmark = [pytest.mark.dbt, pytest.mark.filterwarnings("default")]

OPEN = sum(each["state"] == "open" for each in ISSUES)
SOURCES = """
version: 2
sources:
  - name: api
    config: {meta: {plugin: apikit, connector: shop}}
    tables:
      - name: issues
      - {name: whole, config: {meta: {path: issues, materialization: table}}}
      - {name: undeclared}
"""
INCREMENTAL = """
{{ config(materialized='incremental', unique_key='number', incremental_strategy='delete+insert') }}
select number, state, updated_at from apikit('shop', 'issues') where {{ apikit.since('updated_at') }}
"""


def test_every_command_passes_with_four_threads_and_each_kind_of_model(project: Project) -> None:
    project.write(
        sources_yml=SOURCES,
        as_table="select * from apikit('shop', 'issues') where state = 'open'",
        as_view="{{ config(materialized='view') }} select * from apikit('shop', 'issues')",
        as_file="{{ config(materialized='external', location='issues.parquet') }} from apikit('shop', 'issues')",
        of_view="select * from {{ source('api', 'issues') }} where state = 'open'",
        of_table="select * from {{ source('api', 'whole') }} where state = 'open'",
        tests_yml="models: [{name: as_table, columns: [{name: number, data_tests: [unique, not_null]}]}]",
    )
    (project.folder / "seeds").mkdir()
    (project.folder / "seeds" / "people.csv").write_text("id,name\n1,Ada\n")

    for command in ("seed", "run", "test", "build", "docs generate", "show --select as_table"):
        project.run(*command.split())

    counts = "select (select count(*) from {}) from range(1)"
    assert [project.rows(counts.format(name))[0][0] for name in ("as_table", "of_view", "of_table")] == [OPEN] * 3
    assert (project.folder / "issues.parquet").is_file()
    catalog = (project.folder / "target" / "catalog.json").read_text()
    assert '"as_view"' in catalog


def test_a_view_of_an_api_is_warned_of_and_a_predicate_on_a_source_is_sent(project: Project) -> None:
    project.write(
        sources_yml=SOURCES,
        as_view="{{ config(materialized='view') }} select * from apikit('shop', 'issues')",
        of_view="select * from {{ source('api', 'issues') }} where state = 'open'",
        view_of_view="{{ config(materialized='view') }} select * from {{ source('api', 'issues') }}"
        " -- after {{ ref('of_view') }}",
        view_of_table="{{ config(materialized='view') }} select * from {{ source('api', 'whole') }}"
        " -- after {{ ref('view_of_view') }}",
        after="select * from {{ ref('view_of_view') }} where state = 'open'",
    )

    project.run("run")

    warned = "".join(line for line in project.said if "is a view that reads an API" in line)
    assert re.findall(r"(\S+) is a view", warned) == ["main.as_view", "main.view_of_view"]
    assert sorted(map(str, project.api.params("state"))) == ["None", "open", "open"]


def test_a_view_on_a_source_is_read_where_the_functions_are(project: Project) -> None:
    project.write(
        sources_yml=SOURCES, of_view="{{ config(materialized='view') }} select * from {{ source('api', 'issues') }}"
    )
    project.run("run")
    session = profile.profile_of({"connectors_folder": "connectors"}).session()

    with duckdb.connect(project.folder / "data.duckdb") as con:
        apikit_sql.install(con, session=session)
        rows = con.execute("SELECT count(*) FROM of_view WHERE state = 'open'").fetchall()

    assert rows == [(OPEN,)]
    assert project.api.params("state") == ["open"]


def test_a_source_that_many_models_name_is_loaded_once_however_many_threads_there_are(project: Project) -> None:
    project.write(sources_yml=SOURCES)
    for number in range(8):
        project.write(**{f"of_table_{number}": "select * from {{ source('api', 'whole') }}"})
        project.write(**{f"of_view_{number}": "select * from {{ source('api', 'undeclared') }} limit 1"})
    before = "{% set one = run_query('select 1') if execute %}"  # a connection that does not know the source yet
    project.write(late=before + "select * from {{ source('api', 'undeclared') }} limit 1")

    project.run("run")

    whole = [request for request in project.api.seen if request.url.path == "/issues"]
    assert len(whole) == 1 + 9  # one for the table; the page that columns were told by serves one of nine scans


def test_a_second_incremental_run_asks_for_what_is_new_and_keeps_the_rest(project: Project) -> None:
    project.write(issues=INCREMENTAL)
    project.run("run")
    first = project.api.params("since")
    later = {"number": 20, "state": "open", "updated_at": "2025-02-01T00:00:00Z"}
    now = [*ISSUES[:-1], later, {**later, "number": 21}]
    project.api.routes["/issues"] = Table(now, filters={"since": ("updated_at", ">=")})

    project.run("run")

    assert first == [None]
    assert project.api.params("since")[1:] == ["2025-01-20T00:00:00Z"]
    assert project.rows("select number, state from issues where number >= 19 order by all") == [
        (19, "closed"), (20, "open"), (21, "open"),
    ]  # fmt: skip
    project.write(issues=INCREMENTAL.replace("('updated_at')", "('updated_at', lookback='INTERVAL 1 DAY')"))
    project.run("run")
    assert project.api.params("since")[-1] == "2025-01-31T00:00:00Z"
    project.run("run", "--full-refresh")
    assert project.api.params("since")[-1] is None


def test_while_its_table_is_empty_an_incremental_model_asks_for_all(project: Project) -> None:
    project.write(issues=INCREMENTAL)
    project.run("run")
    project.rows("delete from issues")

    project.run("run")

    assert project.api.params("since") == [None, None]
    assert project.rows("select count(*) from issues") == [(len(ISSUES),)]


def test_the_yaml_of_a_source_is_written_for_each_stream_and_reads(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()

    project.run("--quiet", "run-operation", "apikit.source_yaml", "--args", "{connector: shop, name: api}")

    text = capsys.readouterr().out
    (source,) = YAML(typ="safe").load(text)["sources"]
    assert source["config"]["meta"] == {"plugin": "apikit", "connector": "shop"}
    assert [table["name"] for table in source["tables"]] == ["issues", "undeclared"]
    assert source["tables"][0]["columns"][0] == {"name": "number", "data_type": "BIGINT"}
    assert project.api.seen == []
    project.write(sources_yml=text, of_view="select * from {{ source('api', 'issues') }}")
    project.run("run")
    assert project.rows("select count(*) from of_view") == [(len(ISSUES),)]


def test_jinja_in_a_manifest_is_shown_and_never_run(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "c4nary")
    jinja = "{{ env_var('CANARY') }}"
    described = "base_url = 'https://api.test'\n[streams.items]\npath = '/issues'\ndescription = "
    described += f'"d {jinja} {{{{{{{{ {{%"\n'
    field = f"id = '''STRUCT(\"{jinja}\" VARCHAR)'''"
    columns = {"told": 'id = "BIGINT"', "name": f'"{jinja}" = "BIGINT"', "type": field}
    for name, column in columns.items():
        manifest = f"{described}[streams.items.columns]\n{column}\n"
        (project.folder / "connectors" / f"{name}.toml").write_text(manifest)
    source_yaml = ("--quiet", "run-operation", "apikit.source_yaml", "--args")

    for name in ("name", "type"):
        assert "dbt would run the name" in project.failure(*source_yaml, f"{{connector: {name}}}")
    capsys.readouterr()
    project.run(*source_yaml, "{connector: told}")
    project.write(sources_yml=capsys.readouterr().out)
    project.run("parse")

    parsed = json.loads((project.folder / "target" / "manifest.json").read_text())
    shown = parsed["sources"]["source.shop.told.items"]["description"]
    assert shown == "d { { env_var('CANARY') }} { { { { { %"


def test_what_is_wrong_in_a_profile_is_one_line(project: Project) -> None:
    project.write(issues="select 1 as one")
    wrong = {
        "attach: [nope]": "plugin apikit: no connector is named 'nope'",
        "connectors_folder: elsewhere": "plugin apikit: connectors_folder 'elsewhere' is not there",
        "http: replay": "APIKIT_HTTP is 'replay'; say record:DIR, replay:DIR or off.",
        "tokens: {https://api.test: t0ken-of-the-profile}": "plugin apikit: tokens are references",
    }

    for config, line in wrong.items():
        project.configure(config)
        told = project.failure("run" if "t0ken" in config else "debug")  # which does not read models

        assert [each for each in told.splitlines() if line in each] != []
        assert "Traceback" not in told
        assert "t0ken" not in told


def test_what_is_missing_for_a_model_or_a_source_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_TOKEN")
    project.write(
        sources_yml="sources: [{name: api, config: {meta: {plugin: apikit}}, tables: [{name: lost}]}]",
        of_lost="select * from {{ source('api', 'lost') }}",
        without_token="select * from apikit('shop', 'issues')",
        stored="{{ config(materialized='external', plugin='apikit', location='stored.parquet') }} select 1 as one",
    )

    told = project.failure("run")

    assert "source data.api.lost: its meta names no connector." in told
    assert "env:SHOP_TOKEN" in told
    assert "the plugin apikit stores nothing" in told


def test_offline_compile_and_docs_send_nothing_and_show_says_why(project: Project) -> None:
    project.write(
        sources_yml=SOURCES,
        issues=INCREMENTAL,
        as_view="{{ config(materialized='view') }} select * from apikit('shop', 'issues')",
        of_view="select * from {{ source('api', 'issues') }}",
        of_table="select * from {{ source('api', 'whole') }}",
        of_undeclared="select * from {{ source('api', 'undeclared') }}",
    )
    project.run("run")
    sent = len(project.api.seen)
    project.configure("http: off")

    project.run("compile")
    project.run("docs", "generate")

    assert len(project.api.seen) == sent
    assert project.rows("select count(*) from api.whole") == [(len(ISSUES),)]
    project.write(of_column="select number from {{ source('api', 'undeclared') }} where state = 'open'")
    for model in ("issues", "of_view", "of_undeclared", "of_column"):
        told = project.failure("show", "--select", model)
        assert re.search(r"nothing is sent,? and GET https://api.test/issues\S* was wanted", told), told
    assert len(project.api.seen) == sent


def test_offline_a_source_that_was_never_read_says_why_whatever_is_asked_of_it(project: Project) -> None:
    project.write(
        sources_yml=SOURCES,
        of_column="select number from {{ source('api', 'undeclared') }} where state = 'open'",
        of_count="select count(*) from {{ source('api', 'undeclared') }}",
        of_table="select * from {{ source('api', 'whole') }}",
    )
    project.configure("http: off")

    for model in ("of_column", "of_count", "of_table"):
        told = project.failure("show", "--select", model)
        assert re.search(r"nothing is sent,? and GET https://api.test/issues\S* was wanted", told), told

    project.configure()
    project.run("run")
    assert project.rows("select count(*) from api.whole") == [(len(ISSUES),)]


def test_offline_a_connector_that_is_not_there_is_no_connector_that_is_not_read(project: Project) -> None:
    project.write(
        sources_yml="sources: [{name: api, config: {meta: {plugin: apikit, connector: shpo}}, tables: [{name: lost}]}]",
        of_lost="select * from {{ source('api', 'lost') }}",
    )
    project.configure("http: off")

    assert "'shpo'" in project.failure("compile")


def test_the_plugin_stands_once_in_a_profile(project: Project) -> None:
    profiles = project.folder / "profiles.yml"
    text = profiles.read_text()
    profiles.write_text(text.replace("plugins: [", "plugins: [{module: apikit_sql.dbt_plugin, alias: other}, "))
    project.write(one="select 1 as one")

    assert "apikit_sql.dbt_plugin stands twice" in project.failure("run")


def test_what_was_recorded_is_replayed_without_network_or_token(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        sources_yml=SOURCES,
        issues=INCREMENTAL,
        of_view="select * from {{ source('api', 'issues') }} where state = 'open'",
        of_table="select * from {{ source('api', 'whole') }}",
        of_undeclared="select * from {{ source('api', 'undeclared') }}",
    )
    project.configure("http: 'record:recordings'")
    project.run("build")
    project.run("show", "--select", "of_view")
    (project.folder / "data.duckdb").unlink()
    sent = len(project.api.seen)
    monkeypatch.delenv("SHOP_TOKEN")
    project.configure("http: 'replay:recordings'")

    for command in ("build", "compile", "docs generate", "show --select of_view"):
        project.run(*command.split())

    assert len(project.api.seen) == sent
    assert project.rows("select count(*) from of_view") == [(OPEN,)]


def test_no_secret_stands_in_what_dbt_writes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "c4nary-of-the-environment")
    monkeypatch.setenv("ADHOC_TOKEN", "c4nary-of-the-profile")
    project.configure("tokens: {'https://adhoc.test': 'env:ADHOC_TOKEN'}, attach: [shop]")
    project.write(
        sources_yml=SOURCES,
        as_table="select * from apikit('shop', 'issues')",
        as_view="{{ config(materialized='view') }} select * from shop.issues",
        of_table="select * from {{ source('api', 'whole') }}",
        ad_hoc="select * from apikit('https://adhoc.test', '/issues')",
        refused="select * from apikit('shop', '/nowhere')",
    )

    project.failure("--debug", "build")
    project.run("debug")
    project.run("docs", "generate")

    tokens = {request.headers["authorization"] for request in project.api.seen}
    assert tokens == {"Bearer c4nary-of-the-environment", "Bearer c4nary-of-the-profile"}
    written = [path for path in project.files() if b"c4nary" in path.read_bytes()]
    assert written == []
    assert "c4nary" not in "\n".join(project.said)
    assert (project.folder / "target" / "manifest.json").is_file()
    assert (project.folder / "logs" / "dbt.log").is_file()


def test_a_model_changes_an_api_where_the_profile_allows_it(project: Project) -> None:
    project.configure("allow_mutations: [shop]")
    project.write(
        sent="select n, apikit_post('shop', '/orders/1/notes', {text: 'For ' || n}) as r from range(2) as t(n)"
    )

    project.run("run")

    assert sorted(json.loads(request.content)["text"] for request in project.api.seen) == ["For 0", "For 1"]
    assert project.rows("select count(*) from sent where r.status = 201") == [(2,)]


def test_dbt_leaves_by_its_own_exit_code_while_its_threads_still_read(project: Project) -> None:
    project.write(
        wrong="{% do run_query('select 1') %}select {{ model.nothing.here }}",
        behind="select * from {{ ref('wrong') }}",  # dbt looks for errors before it begins one more
    )
    reading = """{% for n in range(100000) %}{% do run_query("from apikit_streams('shop')") %}{% endfor %}select 1"""
    project.write(reading=reading)

    done = subprocess.run(
        [Path(sys.executable).parent / "dbt", "compile", "--threads", "2"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert "Compilation Error in model wrong" in done.stdout
    assert done.returncode > 0, done.stderr  # dbt's; one that is negative is a signal's
