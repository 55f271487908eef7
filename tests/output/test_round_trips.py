"""Each format reads back equal, column by column, from a file and from a buffer; the readers are other people's."""

import csv
import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apikit_sql import get_writer
from tests.output.records import BIGINTS, LARGEST_DECIMAL, TEXTS, found_of, parsed, row_of

Rows = list[dict[str, Any]]

NESTED = {
    "owner": st.none() | st.fixed_dictionaries({"login": TEXTS, "ids": st.none() | st.lists(st.none() | BIGINTS)}),
    "mixed": st.none() | st.integers(-(10**37), 10**37) | TEXTS | st.lists(st.booleans()),
}
RECORDS = st.lists(row_of(**NESTED), min_size=1, max_size=5)
ONE = {
    "flag": True, "whole": -(2**63), "huge": 2**100, "number": -0.0, "text": "", "day": "0001-01-01",
    "moment": "9999-12-31T23:59:59.999999", "instant": "1969-12-31T23:59:59Z",
    "owner": {"login": 'a"b,\r\nc', "ids": [1, None]}, "mixed": [True],
}  # fmt: skip


def from_parquet(data: bytes) -> Rows:
    return list(pq.read_table(io.BytesIO(data)).to_pylist())


def from_arrow(data: bytes) -> Rows:
    return list(pa.ipc.open_file(io.BytesIO(data)).read_all().to_pylist())


def from_duckdb(data: bytes, folder: Path) -> Rows:
    path = folder / "read.duckdb"
    path.write_bytes(data)
    with duckdb.connect(path, read_only=True) as con:
        assert con.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("data",)]
        return rows_of(con.sql("FROM data"))


def rows_of(relation: duckdb.DuckDBPyRelation) -> Rows:
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def written(format_: str, records: Rows, folder: Path) -> bytes:
    """The bytes of the file, and that those of a buffer are as good."""
    buffer, path = io.BytesIO(), folder / "written"
    get_writer(format_).write(records, buffer)
    get_writer(format_).write(iter(records), path)
    assert not buffer.closed
    if format_ != "duckdb":  # a database has a random identity
        assert buffer.getvalue() == path.read_bytes()
    return buffer.getvalue() if len(records) % 2 else path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


READERS: dict[str, Callable[[bytes, Path], Rows]] = {
    "parquet": lambda data, _: from_parquet(data),
    "arrow": lambda data, _: from_arrow(data),
    "duckdb": from_duckdb,
}


@pytest.mark.parametrize("format_", READERS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(records=[ONE, dict.fromkeys(ONE)])
@given(records=RECORDS)
def test_a_typed_format_reads_back_equal(format_: str, folder: Path, records: Rows) -> None:
    rows = READERS[format_](written(format_, records, folder), folder)

    assert len(rows) == len(records)
    is_json = len({type(record["mixed"]) for record in records} - {type(None)}) > 1
    for row, record in zip(rows, records, strict=True):
        assert {name: row[name] for name in found_of(record)} == found_of(record)
        if record["owner"] is None or row["owner"] is None:
            assert row["owner"] is record["owner"]
        else:
            ids = row["owner"]["ids"]
            assert row["owner"]["login"] == record["owner"]["login"]
            assert (parsed(ids) if isinstance(ids, str) else ids) == record["owner"]["ids"]
        assert (parsed(row["mixed"]) if is_json else row["mixed"]) == record["mixed"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(records=[ONE, dict.fromkeys(ONE)])
@given(records=RECORDS)
def test_the_json_formats_read_back_equal(folder: Path, records: Rows) -> None:
    lines = written("ndjson", records, folder).decode().removesuffix("\n").split("\n")

    assert [json.loads(line) for line in lines] == records
    assert written("jsonl", records, folder) == written("ndjson", records, folder)
    assert json.loads(written("json", records, folder)) == records


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(records=[ONE, dict.fromkeys(ONE)])
@given(records=st.lists(row_of(owner=NESTED["owner"]), min_size=1, max_size=5))
def test_csv_reads_back_equal_and_tells_null_from_an_empty_text(folder: Path, records: Rows) -> None:
    data = written("csv", records, folder)
    names = next(csv.reader(io.StringIO(data.decode(), newline="")))

    as_texts = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    lines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    rows = pyarrow.csv.read_csv(io.BytesIO(data), parse_options=lines, convert_options=as_texts).to_pylist()
    plain = list(csv.DictReader(io.StringIO(data.decode(), newline="")))

    assert len(rows) == len(plain) == len(records)
    for row, text, record in zip(rows, plain, records, strict=True):
        assert text == {name: value or "" for name, value in row.items()}
        assert row["flag"] == (None if record["flag"] is None else str(record["flag"]).lower())
        assert [int(row[n]) if row[n] else None for n in ("whole", "huge")] == [record["whole"], record["huge"]]
        assert (None if row["number"] is None else float(row["number"])) == record["number"]
        assert (row["text"], row["day"]) == (record["text"], record["day"])
        moments = [row[name] and row[name].replace(" ", "T") for name in ("moment", "instant")]
        assert [same_moment(each) for each in moments] == [same_moment(record[name]) for name in ("moment", "instant")]
        if record["owner"] is not None:
            assert row["owner__login"] == record["owner"]["login"]
            assert parsed(row["owner__ids"]) == record["owner"]["ids"]


def csv_lines(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def same_moment(text: str | None) -> Any:
    return None if text is None else dt.datetime.fromisoformat(text)


@pytest.mark.parametrize("sep", ["\n", "\r\n", "\r"])
def test_a_csv_value_may_have_line_breaks(sep: str) -> None:
    buffer = io.BytesIO()

    get_writer("csv").write([{"a,b": f"one{sep}two", "c": '"'}], buffer)

    assert list(csv.reader(io.StringIO(buffer.getvalue().decode(), newline=""))) == [
        ["a,b", "c"],
        [f"one{sep}two", '"'],
    ]


def test_duckdb_reads_the_files_with_their_types(tmp_path: Path) -> None:
    for format_ in ("parquet", "csv", "ndjson", "json"):
        get_writer(format_).write([ONE, dict.fromkeys(ONE)], tmp_path / f"data.{format_}")

    types = {}
    with duckdb.connect() as con:
        for format_ in ("parquet", "csv", "ndjson", "json"):
            described = con.execute(f"DESCRIBE FROM '{tmp_path}/data.{format_}'").fetchall()
            types[format_] = {name: kind for name, kind, *_ in described}

    scalars = {"flag": "BOOLEAN", "whole": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "day": "DATE"}
    zoned = {"moment": "TIMESTAMP", "instant": "TIMESTAMP WITH TIME ZONE"}
    lists = {"owner": "STRUCT(login VARCHAR, ids BIGINT[])", "mixed": "BOOLEAN[]", "huge": "DECIMAL(38,0)"}
    assert types["parquet"] == {**types["parquet"], **scalars, **zoned, **lists}
    assert types["csv"]["whole"] == "BIGINT"
    assert {name: types["csv"][name] for name in zoned} == zoned
    assert types["ndjson"] == types["json"]
    assert types["ndjson"]["owner"].upper().startswith("STRUCT(")


def test_polars_reads_parquet_and_arrow(tmp_path: Path) -> None:
    for format_ in ("parquet", "arrow"):
        get_writer(format_).write([ONE], tmp_path / format_)

    for frame in (pl.read_parquet(tmp_path / "parquet"), pl.read_ipc(tmp_path / "arrow")):
        assert frame.select(list(found_of(ONE))).to_dicts() == [found_of(ONE)]
        assert frame["owner"].to_list() == [ONE["owner"]]


def test_a_column_of_several_kinds_is_json_where_the_format_has_it(tmp_path: Path) -> None:
    records: Rows = [{"v": 1}, {"v": "1"}, {"v": {"a": 2**70}}]
    as_json = json.dumps(records[2]["v"], separators=(",", ":"))

    for format_ in ("parquet", "csv", "duckdb"):
        get_writer(format_).write(records, tmp_path / f"data.{format_}")

    with duckdb.connect() as con:
        con.execute(f"ATTACH '{tmp_path}/data.duckdb' AS file (READ_ONLY)")
        for table in (f"'{tmp_path}/data.parquet'", "file.data"):
            assert con.sql(f"SELECT typeof(v), v FROM {table}").fetchall() == [
                ("JSON", "1"), ("JSON", '"1"'), ("JSON", as_json)
            ]  # fmt: skip
    assert csv_lines(tmp_path / "data.csv") == [["v"], ["1"], ['"1"'], [as_json]]


def test_a_duckdb_file_keeps_every_hugeint_as_one(tmp_path: Path) -> None:
    values = [2**127 - 1, -(2**127) + 1, 10**38, None]

    get_writer("duckdb").write([{"v": value, "inside": {"v": [value]}} for value in values], tmp_path / "data")
    get_writer("csv").write([{"v": value, "w": 1} for value in values], tmp_path / "data.csv")

    with duckdb.connect(tmp_path / "data") as con:
        found = con.sql("SELECT typeof(v), typeof(inside), v, inside.v[1] FROM data").fetchall()
    assert found == [("HUGEINT", "STRUCT(v HUGEINT[])", value, value) for value in values]
    assert csv_lines(tmp_path / "data.csv") == [["v", "w"], *([str(value), "1"] for value in values[:3]), ["", "1"]]


def test_a_duckdb_file_is_read_by_the_oldest_duckdb_that_is_supported(tmp_path: Path) -> None:
    get_writer("duckdb").write([ONE], tmp_path / "data")

    version = int.from_bytes((tmp_path / "data").read_bytes()[12:20], "little")  # behind a checksum and "DUCK"
    assert version <= 67  # of DuckDB 1.4


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_huge_integers_within_are_decimals(format_: str, folder: Path) -> None:
    records: Rows = [{"a": {"b": [LARGEST_DECIMAL, None], "c": "x"}}, {"a": None}, {"a": {"b": None, "c": None}}]

    rows = READERS[format_](written(format_, records, folder), folder)

    assert rows == records


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None], "BIGINT"), ([None, None], "JSON"), (["", None, "a"], "VARCHAR"), ([True, None], "BOOLEAN"),
        ([0.1, None], "DOUBLE"), ([2**127 - 1, None], "HUGEINT"), (["2024-02-29", None], "DATE"),
        (["2024-02-29T12:00:00", None], "TIMESTAMP"), (["2024-02-29T12:00:00Z", None], "TIMESTAMPTZ"),
    ],
)  # fmt: skip
def test_no_row_of_a_single_column_is_an_empty_line(values: list[Any], kind: str, tmp_path: Path) -> None:
    get_writer("csv").write([{"v": value} for value in values], tmp_path / "data.csv", columns={"v": kind})

    _, *found = csv_lines(tmp_path / "data.csv")
    times = {"2024-02-29T12:00:00": "2024-02-29 12:00:00.000000", "2024-02-29T12:00:00Z": "2024-02-29 12:00:00.000000Z"}
    texts = {None: "", True: "true"} | times if kind != "BIGINT" else {None: ""}
    assert found == [[str(texts.get(value, value))] for value in values]


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson"])
def test_a_text_format_is_compressed_where_its_name_ends_so(format_: str, tmp_path: Path) -> None:
    writer = get_writer(format_)
    writer.write([ONE], tmp_path / "plain")
    writer.write([ONE], tmp_path / f"data.{format_}.gz")

    assert gzip.decompress((tmp_path / f"data.{format_}.gz").read_bytes()) == (tmp_path / "plain").read_bytes()


def test_thirty_thousand_records_become_one_row_group() -> None:
    buffer = io.BytesIO()

    get_writer("parquet").write(({"id": number} for number in range(30_000)), buffer)

    file = pq.ParquetFile(buffer)
    assert file.metadata.num_row_groups == 1
    assert file.read().column("id").to_pylist() == list(range(30_000))


def test_more_rows_than_a_group_has_are_all_there() -> None:
    buffer = io.BytesIO()

    get_writer("parquet").write(({"id": number} for number in range(150_000)), buffer)

    assert pq.ParquetFile(buffer).metadata.num_row_groups == 2
    assert pq.read_table(buffer).column("id").to_pylist() == list(range(150_000))
