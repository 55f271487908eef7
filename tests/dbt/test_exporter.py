"""DbtExporter: which files are written, where, and when none is."""

from pathlib import Path
from typing import Any

import pytest

import apikit_sql
from apikit_sql import Apikit, CallError, DbtExport, DbtExporter, OutputError
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table

RECORDS: list[dict[str, Any]] = [
    {"id": 1, "user": {"login": "ada"}, "tags": ["x"]},
    {"id": 2, "user": None, "tags": []},
]
FILES = ["dbt/seeds/people.csv", "dbt/models/people.yml", "dbt/models/sources.yml"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def told(export: DbtExport) -> list[tuple[str, str]]:
    return [(each.path.as_posix(), each.action) for each in export.files]


def test_records_are_a_seed_its_properties_and_a_source() -> None:
    export = DbtExporter("dbt").export(RECORDS, "people", description="Who", tags=["crm"])

    assert told(export) == [(file, "created") for file in FILES]
    assert export.rows == 2
    assert Path(FILES[0]).read_text() == '"id","user__login","tags"\n1,"ada","[""x""]"\n2,,"[]"\n'
    assert "user__login: VARCHAR" in Path(FILES[1]).read_text()
    assert "- name: people" in Path(FILES[2]).read_text()


def test_exporting_again_writes_nothing_that_is_not_different(here: Path) -> None:
    exporter = DbtExporter("dbt")
    exporter.export(RECORDS, "people")
    stamps = {path: path.stat().st_mtime_ns for path in here.rglob("*.*")}

    assert told(exporter.export(RECORDS, "people")) == [(file, "unchanged") for file in FILES]
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*.*")} == stamps
    assert [action for _, action in told(exporter.export(RECORDS[:1], "people"))] == [
        "changed",
        "unchanged",
        "unchanged",
    ]


def test_a_dry_run_tells_and_writes_nothing(here: Path) -> None:
    assert told(DbtExporter("dbt", dry_run=True).export(RECORDS, "people")) == [(file, "created") for file in FILES]
    assert list(here.iterdir()) == []


def test_a_client_gives_all_pages_and_its_own_types(api: FakeApi, session: Session) -> None:
    api.routes["/people"] = Table([{"id": n, "at": "2025-01-01"} for n in range(25)], "link")
    client = Apikit("https://api.test", session=session)

    export = DbtExporter(".").export_from_client(client, "/people", "people", schema="raw", columns={"at": "DATE"})

    assert export.rows == 25
    assert Path("seeds/people.csv").read_text().splitlines()[:2] == ['"at"', '"2025-01-01"']
    assert "schema: raw" in Path("models/sources.yml").read_text()


@pytest.mark.parametrize("name", ["", "a b", "a-b", "../x", "1a", "sources", "Sources", "é"])
def test_a_name_that_dbt_cannot_have_is_refused(name: str, here: Path) -> None:
    with pytest.raises(CallError, match="is no name for a seed"):
        DbtExporter("dbt").export(RECORDS, name)
    assert list(here.iterdir()) == []


def test_a_model_of_that_name_is_in_the_way() -> None:
    Path("models").mkdir()
    Path("models/people.sql").touch()

    with pytest.raises(CallError, match=r"people\.sql is there"):
        DbtExporter(".").export(RECORDS, "people")


@pytest.mark.parametrize("folder", ["..", "/tmp", "link", "inside"])  # noqa: S108 - not written to
def test_nothing_is_written_outside_the_working_folder(folder: str, here: Path) -> None:
    (here.parent / "elsewhere").mkdir()
    Path("link").symlink_to(here.parent / "elsewhere")
    Path("inside").mkdir()
    Path("inside/models").symlink_to(here.parent / "elsewhere")

    with pytest.raises(CallError, match="is outside the working folder"):
        DbtExporter(folder).export(RECORDS, "people")

    assert list((here.parent / "elsewhere").iterdir()) == []
    assert list(Path("inside").iterdir()) == [Path("inside/models")]


@pytest.mark.parametrize("folder", ["x" * 500, "x/" * 3_000, "a\0b", "\udfff"])
def test_a_folder_that_there_cannot_be_is_refused(folder: str) -> None:
    with pytest.raises(CallError, match="output_dir cannot be a folder"):
        DbtExporter(folder).export([{"id": 1}], "acme")


def test_a_file_that_cannot_be_read_is_left_alone_and_none_is_written() -> None:
    Path("dbt/models").mkdir(parents=True)
    Path(FILES[2]).write_bytes(b"\xff")

    with pytest.raises(OutputError, match="cannot be read"):
        DbtExporter("dbt").export(RECORDS, "people")

    assert Path(FILES[2]).read_bytes() == b"\xff"
    assert not Path(FILES[0]).exists()


def test_one_tag_is_no_list_of_them() -> None:
    with pytest.raises(CallError, match="write a list of them"):
        DbtExporter("dbt").export(RECORDS, "people", tags="crm")


def test_the_formulas_of_texts_are_disarmed_where_asked_for() -> None:
    DbtExporter("dbt", csv_safe=True).export([{"t": "=1+1", "n": -1}], "people")

    assert Path(FILES[0]).read_text() == '"t","n"\n"\'=1+1",-1\n'


def test_the_names_are_public() -> None:
    assert {"DbtExporter", "DbtExport", "DbtFile"} <= set(apikit_sql.__all__)
