"""DbtExporter: which files are written, where, and when none is."""

import errno
from concurrent.futures import ThreadPoolExecutor
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


@pytest.mark.parametrize("folder", ["x" * 300, "x\0y"])
def test_a_folder_that_no_file_system_has_is_told(folder: str, here: Path) -> None:
    with pytest.raises(OutputError, match=r"too long|null"):
        DbtExporter(folder).export(RECORDS, "people")

    assert list(here.iterdir()) == []


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
    with pytest.raises(OutputError, match="cannot write"):
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


def test_exports_at_once_lose_no_source_of_each_other() -> None:
    names = [f"people_{number}" for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: DbtExporter("dbt").export(RECORDS, name), names))

    sources = Path(FILES[2]).read_text()
    assert [name for name in names if f"- name: {name}\n" not in sources] == []


def test_where_one_file_cannot_be_written_none_is(here: Path) -> None:
    Path("dbt").mkdir()
    Path("dbt/models").touch()

    with pytest.raises(OutputError):
        DbtExporter("dbt").export(RECORDS, "people")

    assert [path for path in here.rglob("*") if path.is_file()] == [here / "dbt/models"]


def test_a_failure_in_the_middle_leaves_all_files_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    DbtExporter("dbt").export(RECORDS, "people")
    before = [Path(file).read_bytes() for file in FILES]
    synced = []

    def full(number: int) -> None:
        synced.append(number)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        DbtExporter("dbt").export([{"id": 1, "more": 2}], "people")

    assert [Path(file).read_bytes() for file in FILES] == before
    assert [path for path in Path("dbt").rglob("*") if path.name.startswith(".")] == []


@pytest.mark.parametrize("file", ["models/staging/People.SQL", "models/people.py", "seeds/old/PEOPLE.csv"])
def test_what_has_the_name_already_is_in_the_way(file: str) -> None:
    Path(file).parent.mkdir(parents=True)
    Path(file).touch()

    with pytest.raises(CallError, match="no model or seed may have the name of another"):
        DbtExporter(".").export(RECORDS, "people")


@pytest.mark.parametrize("file", ["models/hand.yml", "seeds/all.yaml"])
def test_a_seed_that_another_file_describes_is_told(file: str) -> None:
    Path(file).parent.mkdir()
    Path(file).write_text("models: [{name: people}]")
    DbtExporter(".", dry_run=True).export(RECORDS, "people")
    Path(file).write_text("seeds: [{name: people}]")

    with pytest.raises(CallError, match="describes the seed people"):
        DbtExporter(".").export(RECORDS, "people")


@pytest.mark.parametrize(
    ("options", "wrong"),
    [({"tags": [5]}, "tags"), ({"schema": 5}, "schema"), ({"database": 5}, "database"), ({"description": 5}, "descr")],
)
def test_what_is_no_text_is_told(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(CallError, match=wrong):
        DbtExporter(".").export(RECORDS, "people", **options)


@pytest.mark.parametrize(("folder", "name"), [(".", "a" * 300), ("\0", "people")])
def test_a_path_that_cannot_be_is_told(folder: str, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        DbtExporter(folder).export(RECORDS, name)


def test_the_names_are_public() -> None:
    assert {"DbtExporter", "DbtExport", "DbtFile"} <= set(apikit_sql.__all__)
