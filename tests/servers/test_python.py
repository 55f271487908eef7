"""The Python door on real servers: true counts and sums, from data frames and files."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from apikit_sql import Apikit, Session
from tests.servers.conftest import DATASETTE

pytestmark = pytest.mark.servers

Truth = Callable[[str], tuple[Any, ...]]
FLIGHTS = {"_size": 1000, "_shape": "objects"}
COLUMNS = "count(*), sum(id), sum(distance), count(dep_delay), sum(dep_delay)"


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


@pytest.fixture
def client(session: Session) -> Apikit:
    return Apikit(DATASETTE, session=session)


@pytest.mark.parametrize("door", ["sync", "async"])
def test_a_frame_of_every_flight_has_the_true_count_and_sums(client: Apikit, truth: Truth, door: str) -> None:
    if door == "sync":
        frame = client.fetch_polars("/nyc/flights.json", params=FLIGHTS, paginate=True)
    else:
        frame = asyncio.run(client.afetch_polars("/nyc/flights.json", params=FLIGHTS, paginate=True))

    delays = frame["dep_delay"]
    found = (frame.height, frame["id"].sum(), frame["distance"].sum(), delays.count(), delays.sum())
    assert found == truth(f"SELECT {COLUMNS} FROM flights")
    assert found[0] == 336_776


def test_a_file_of_every_flight_has_the_true_count_and_sums(client: Apikit, truth: Truth, tmp_path: Path) -> None:
    path = tmp_path / "flights.parquet"

    client.fetch_to_file("/nyc/flights.json", format="parquet", file_path=path, params=FLIGHTS, paginate=True)

    assert duckdb.execute(f"SELECT {COLUMNS} FROM '{path}'").fetchone() == truth(f"SELECT {COLUMNS} FROM flights")


def test_a_table_pushes_down(client: Apikit, session: Session, truth: Truth) -> None:
    filters = {"carrier": "carrier__exact"}
    flights = client.table("/nyc/flights.json", params=FLIGHTS, filters=filters)  # noqa: F841 - found by its name

    found = duckdb.execute("SELECT count(*), sum(id) FROM flights WHERE carrier = 'HA'").fetchone()

    assert found == truth("SELECT count(*), sum(id) FROM flights WHERE carrier = 'HA'")
    assert session.scans[-1].requests == 1
