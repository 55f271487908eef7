"""What a dry run shows, by both doors: the first request, and what would refuse the call, and nothing is sent."""

import json
from pathlib import Path

import pytest

from apikit_sql import (
    Apikit,
    CallError,
    DryRunResult,
    OutputError,
    PaginationConfig,
    Session,
)
from tests.facade.doors import Door, call
from tests.facade.records import RECORDS
from tests.fakes.api import FakeApi, Table


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/items": Table(RECORDS, "link"), "/one": Table(RECORDS[:3])})


def test_a_dry_run_sends_nothing_and_shows_no_secret(
    api: FakeApi, session: Session, door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Apikit("https://api.test", token="s3cr3t-t0ken", session=session)
    params = {"labels": ["a", "b"], "api_key": "s3cr3t"}

    found = call(door, client, "fetch_to_file", "/items", format="csv", file_path="x.csv", params=params, dry_run=True)

    mask = "***REDACTED***"
    assert isinstance(found, DryRunResult)
    assert found.to_dict() == {
        "method": "GET",
        "url": f"https://api.test/items?labels=a&labels=b&api_key={mask}",
        "params": {"labels": ["a", "b"], "api_key": mask},
        "body": None,
        "auth_type": "bearer",
        "pagination_strategy": "auto",
        "page_size": None,
        "output_format": "csv",
        "output_path": "x.csv",
    }
    assert json.loads(capsys.readouterr().err) == found.to_dict()
    assert api.seen == []


@pytest.mark.parametrize("method", ["fetch_records", "fetch_polars", "fetch_pandas", "fetch_arrow"])
def test_every_fetch_has_a_dry_run(
    api: FakeApi, client: Apikit, door: Door, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = call(door, client, method, "/items", dry_run=True)

    assert found.url == "https://api.test/items"
    assert capsys.readouterr().err == f"{found}\n"
    assert api.seen == []


def test_a_dry_run_tells_the_page_size(client: Apikit, door: Door) -> None:
    paging = PaginationConfig(strategy="link", limit_param="limit", page_size=5)

    found = call(door, client, "fetch_records", "/items", strategy=paging, dry_run=True)

    assert (found.page_size, found.params, found.pagination_strategy) == (5, {"limit": "5"}, "link")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("x.parquet", CallError, "is the name of a file of parquet, but the format is csv"),
        ("no/x.csv", OutputError, "its folder is not there"),
    ],
)
def test_a_dry_run_refuses_a_target_as_the_call_would(  # noqa: PLR0917 - fixtures and parameters
    client: Apikit, door: Door, tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(door, client, "fetch_to_file", "/items", format="csv", file_path=tmp_path / name, dry_run=True)
