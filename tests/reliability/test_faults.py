"""The short form of `python -m tests.reliability.faults`; what a transaction shows; what COPY leaves behind."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import duckdb
import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engine.faults import Fault, schedule
from tests.fakes.api import FakeApi, Table
from tests.reliability.fault_server import Parents
from tests.reliability.fault_statements import WAYS, Way
from tests.reliability.fault_yard import IS_2, Yard, yards
from tests.reliability.faults import Case, case, check

pytestmark = [pytest.mark.no_cover, pytest.mark.filterwarnings("ignore::apikit_sql.errors.ApikitWarning")]

CASES = 400 if IS_2 else 200
ITEMS = "apikit('https://api.test', '/items', pagination := 'link')"
_PLAN = replace(schedule(0), pages=2, size=3, last=3, strategy="link", auth="none", faults={}, token_faults=[])
_PLAN = replace(_PLAN, concurrency=2)
WELL = Case(WAYS[0], "stream", _PLAN, _PLAN)
FORMATS = ["csv", "parquet", "json"]


@pytest.fixture(scope="module")
def both() -> Iterator[dict[bool, Yard]]:
    with yards() as both:
        yield both


@pytest.fixture
def api() -> FakeApi:
    """A table whose last page is not answered."""
    table = Table([{"id": number} for number in range(9_000)], paging="link", page_size=3_000)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if request.url.params.get("page") == "3" else table.answer(request)

    return FakeApi({"/items": answer})


def test_a_statement_gives_exactly_the_rows_or_an_error_and_changes_nothing(both: dict[bool, Yard]) -> None:
    ends: Counter[str] = Counter()

    @settings(
        max_examples=CASES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def law(chance: Random) -> None:
        ends[check(case(chance), both)] += 1

    law()

    assert ends["rows"] > CASES / 3, ends  # the cases are no mere errors,
    assert ends["error"] > CASES / 20, ends  # and not too tame


@pytest.mark.parametrize("way", [way for way in WAYS if way.reads_all], ids=lambda way: way.name)
def test_a_row_that_is_lost_is_seen(both: dict[bool, Yard], monkeypatch: pytest.MonkeyPatch, way: Way) -> None:
    assert check(replace(WELL, way=way), both) == "rows"
    whole = Parents._body
    monkeypatch.setattr(Parents, "_body", lambda server, number: whole(server, number)[:-1])

    with pytest.raises(AssertionError, match=", not "):
        check(replace(WELL, way=way), both)


def test_what_an_error_changes_is_seen(both: dict[bool, Yard]) -> None:
    refused = replace(WELL, plan=replace(WELL.plan, faults={2: [Fault("403")]}))
    assert check(refused, both) == "error"
    half = Way("half", "INSERT INTO t VALUES (5, 5); SELECT id FROM {source}", lambda *_: [])

    with pytest.raises(AssertionError, match=r"\(5, 5\)"):
        check(replace(refused, way=half), both)


def test_the_same_seed_is_the_same_case() -> None:
    assert [str(case(Random(seed))) for seed in range(20)] == [str(case(Random(seed))) for seed in range(20)]


class TestTransactions:
    """What README says of BEGIN."""

    @pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
    @pytest.mark.parametrize(
        "failing",
        [
            f"INSERT INTO t SELECT id FROM {ITEMS}",
            f"SELECT max(id) FROM {ITEMS}",
            "SELECT apikit_get('https://api.test', '/items', {page: 3})",
            "FROM apikit('https://api.test', '/items', columns := {id: 'NO TYPE'})",
        ],
        ids=["insert", "scan", "row function", "call"],
    )
    def test_after_an_error_nothing_is_let_in_and_its_end_keeps_nothing(
        self, con: duckdb.DuckDBPyConnection, failing: str, end: str
    ) -> None:
        con.execute("CREATE TABLE t AS SELECT 1::BIGINT AS id")
        con.execute("BEGIN")
        con.execute("INSERT INTO t VALUES (2)")
        con.execute(f"CREATE TABLE few AS FROM {ITEMS} LIMIT 5")

        with pytest.raises(duckdb.Error, match=r"api\.test|columns\.id"):
            con.execute(failing).fetchall()
        with pytest.raises(duckdb.TransactionException, match="aborted"):
            con.execute("FROM t")
        con.execute(end)

        assert con.execute("FROM t").fetchall() == [(1,)]
        assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("t",)]

    def test_the_api_is_asked_again_by_each_statement(self, con: duckdb.DuckDBPyConnection, api: FakeApi) -> None:
        api.routes["/now"] = [httpx.Response(200, json=[{"id": number}]) for number in range(3)]
        now = "FROM apikit('https://api.test', '/now', columns := {id: 'BIGINT'})"
        con.execute("BEGIN")

        assert [con.execute(now).fetchall() for _ in range(3)] == [[(0,)], [(1,)], [(2,)]]


class TestCopy:
    """What README says of COPY ... TO that fails."""

    @pytest.mark.parametrize("is_there", [False, True], ids=["absent", "there"])
    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_file_is_not_there_or_as_it_was(
        self, con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str, *, is_there: bool
    ) -> None:
        file = tmp_path / f"items.{kind}"
        file.write_text("as it was") if is_there else None

        with pytest.raises(duckdb.Error, match="answered 404"):
            con.execute(f"COPY (FROM {ITEMS}) TO '{file}' (FORMAT {kind}{'' if IS_2 else ', USE_TMP_FILE true'})")

        assert (file.read_text() if file.exists() else "") == ("as it was" if is_there else "")
        assert {each.name for each in tmp_path.iterdir()} <= {file.name, *(() if IS_2 else (f"tmp_{file.name}",))}

    @pytest.mark.skipif(IS_2, reason="DuckDB 2.0 takes the file away")
    @pytest.mark.parametrize("kind", FORMATS)
    def test_without_use_tmp_file_duckdb_1_leaves_part_of_it_whatever_it_reads(self, tmp_path: Path, kind: str) -> None:
        schema = pa.schema({"id": pa.int64()})

        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"id": list(range(3_000))}, schema)
            message = "no more"
            raise ValueError(message)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        duckdb_alone = duckdb.connect().register("reader", reader)
        with duckdb_alone as con, pytest.raises(duckdb.Error, match="no more"):
            con.execute(f"COPY (FROM reader) TO '{tmp_path}/items.{kind}' (FORMAT {kind})")

        assert (tmp_path / f"items.{kind}").exists()
