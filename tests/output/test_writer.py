"""What is written where: a file whole or as it was, a buffer that stays open, and errors that say what to do."""

import errno
import io
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apikit_sql import CallError, ConfigError, DecodeError, OutputError, SchemaDriftError, get_writer
from apikit_sql.column_types import Column, parse_type
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.steps import page_of

FORMATS = ["parquet", "ndjson", "jsonl", "json", "csv", "arrow", "duckdb"]
OF_COLUMNS = ["parquet", "csv", "arrow", "duckdb"]


def column(name: str, kind: str, *path: str) -> Column:
    return Column(name, parse_type(kind), path or (name,))


def test_an_unknown_format_is_told_with_those_that_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"'xlsx' is no output format\. Formats are parquet, ndjson, jsonl, json, csv, "
    ):
        get_writer("xlsx")


def write_and_fail(format_: str, target: Any, failure: type[BaseException]) -> None:
    """Write one record, and fail before the end."""
    with get_writer(format_).open(target, [column("id", "BIGINT")]) as write:
        write(page_of(b'[{"id": 1}]', "records"))
        raise failure


# --- a failure leaves what was there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_the_old_file_and_nothing_else(
    format_: str, failure: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"old")

    with pytest.raises(failure):
        write_and_fail(format_, path, failure)

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format_", FORMATS)
def test_until_the_end_the_old_file_is_there(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"old")

    with get_writer(format_).open(path, [column("id", "BIGINT")]) as write:
        write(page_of(b'[{"id": 1}]', "records"))
        assert path.read_bytes() == b"old"

    assert path.read_bytes() not in {b"", b"old"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format_", FORMATS)
def test_records_that_fail_while_they_come_leave_no_file(format_: str, tmp_path: Path) -> None:
    def records() -> Iterator[dict[str, int]]:
        for number in range(25_000):
            yield {"id": number}
        raise OSError(errno.ECONNRESET, "of the records' own")

    with pytest.raises(OSError, match="of the records' own"):
        get_writer(format_).write(records(), tmp_path / "data")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
def test_a_buffer_with_a_part_is_not_taken_for_a_whole(format_: str) -> None:
    buffer = io.BytesIO()

    with pytest.raises(RuntimeError):
        write_and_fail(format_, buffer, RuntimeError)

    with pytest.raises(pa.ArrowInvalid):
        (pq.read_table if format_ == "parquet" else pa.ipc.open_file)(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize("format_", OF_COLUMNS)
def test_a_value_that_does_not_fit_a_declared_column_is_told_and_the_old_file_stays(
    format_: str, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"old")

    with pytest.raises(SchemaDriftError, match='records, page 1, record 2: id = "x" does not fit BIGINT'):
        get_writer(format_).write([{"id": 1}, {"id": "x"}], tmp_path / "data", columns={"id": "BIGINT"})

    assert (tmp_path / "data").read_bytes() == b"old"


def test_a_number_of_39_digits_is_told_where_decimals_end(tmp_path: Path) -> None:
    for format_ in ("parquet", "arrow"):
        with pytest.raises(OutputError, match=rf"{10**38} has more than the 38 digits of a DECIMAL"):
            get_writer(format_).write([{"v": [{"w": 10**38}]}, {"v": [{"w": 1}]}], tmp_path / "data")

    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_longer_still_makes_its_column_json(tmp_path: Path) -> None:
    get_writer("parquet").write([{"v": 10**39}, {"v": 1}], tmp_path / "data.parquet")

    with duckdb.connect() as con:
        found = con.sql(f"SELECT typeof(v), v FROM '{tmp_path}/data.parquet'").fetchall()
    assert found == [("JSON", str(10**39)), ("JSON", "1")]


# --- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_has_the_usual_mode(format_: str, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        get_writer(format_).write([{"id": 1}], tmp_path / "data")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o640


@pytest.mark.parametrize("format_", FORMATS)
def test_a_link_stays_one_and_its_file_is_written(format_: str, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "data")

    get_writer(format_).write([{"id": 1}], str(tmp_path / "link"))

    assert (tmp_path / "link").is_symlink()
    assert [each.name for each in (tmp_path / "far").iterdir()] == ["data"]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("none/data", "its folder is not there. Create it"),
        (".", "it is a folder. Name a file in it"),
        ("file/data", "a part of its folder is a file"),
        ("x" * 300, "its name is too long"),
        ("pipe", "it is no regular file"),
        ("a\0b", "null byte"),
        ("/sys/kernel/data", "no permission|can be read only"),
    ],
)
def test_a_place_that_cannot_be_is_told(format_: str, place: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OutputError, match=told):
        get_writer(format_).write([{"id": 1}], f"{tmp_path}/{place}" if place[0] != "/" else place)

    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "pipe"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_is_told_and_the_old_file_stays(format_: str, tmp_path: Path) -> None:
    path, rng = tmp_path / "data", range(40_000)
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes of any file, as near to a full disk as can be
    try:
        with pytest.raises(OutputError, match=f"cannot write {path}: ") as told:
            get_writer(format_).write(({"id": n * 7919**5 % 2**61, "text": str(n)} for n in rng), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "a file may not be as large there" in str(told.value) or "File too large" in str(told.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class Full(io.RawIOBase):
    """A file object on a full disk."""

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_buffer_is_told(format_: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write the buffer: the disk is full\. Free some space"):
        get_writer(format_).write([{"id": 1}], Full())


class Sip(io.RawIOBase):
    """A file object that takes ten bytes at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:10])
        return min(10, len(data))


def test_a_file_object_that_takes_less_than_it_is_given_gets_all() -> None:
    sip, buffer = Sip(), io.BytesIO()

    for target in (sip, buffer):
        get_writer("parquet").write([{"id": number} for number in range(100)], target)

    assert bytes(sip.taken) == buffer.getvalue()


@pytest.mark.parametrize("target", [io.StringIO(), 7, None])
def test_what_takes_no_bytes_is_told(target: Any) -> None:
    with pytest.raises(CallError, match="is nothing to write to: give a path or a binary file object"):
        get_writer("csv").write([{"id": 1}], target)


def test_a_closed_buffer_is_told() -> None:
    buffer = io.BytesIO()
    buffer.close()

    with pytest.raises(OutputError, match="cannot write the buffer: "):
        get_writer("csv").write([{"id": 1}], buffer)


def test_a_database_whose_log_is_there_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "data.duckdb"
    with duckdb.connect(path) as con:
        con.execute("CREATE TABLE mine AS SELECT 42 AS x; CHECKPOINT; INSERT INTO mine VALUES (43)")

        with pytest.raises(OutputError, match=r"data.duckdb.wal is beside it, so the database is open"):
            get_writer("duckdb").write([{"id": 1}], path)

    with duckdb.connect(path) as con:
        assert con.sql("FROM mine").fetchall() == [(42,), (43,)]


# --- pages and columns -----------------------------------------------------------------------------------------------


def test_pages_are_written_as_they_come() -> None:
    buffer = io.BytesIO()

    with get_writer("ndjson").open(buffer) as write:
        write(page_of(b'[{"a":\r\n 1.0}, [1],\n2]', "records"))
        assert buffer.getvalue() == b'{"a":   1.0}\n[1]\n2\n'
        write(page_of(b'[{"a": "\xc3\xa4\\n"}]', "records", 2))

    assert [json.loads(line) for line in buffer.getvalue().splitlines()] == [{"a": 1.0}, [1], 2, {"a": "ä\n"}]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_page_that_cannot_be_read_is_told(format_: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError), get_writer(format_).open(tmp_path / "data", [column("a", "DOUBLE")]) as write:
        write(page_of(b'[{"a": 1e999}]', "records"))

    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_may_be_null_and_is_counted() -> None:
    buffer, record = io.BytesIO(), ScanRecord()

    with get_writer("parquet").open(buffer, [column("id", "BIGINT")], on_drift="null", record=record) as write:
        write(page_of(b'[{"id": 1}, {"id": "x"}]', "records"))

    assert pq.read_table(buffer).to_pylist() == [{"id": 1}, {"id": None}]
    assert record.drifted == {"id": 1}


def test_csv_takes_structs_apart_and_makes_json_of_lists() -> None:
    columns = [
        column("user", "STRUCT(login VARCHAR, team STRUCT(id BIGINT), tags VARCHAR[])"),
        column("user__login", "BIGINT"),
        column("labels", "STRUCT(name VARCHAR)[]"),
    ]
    body = b'[{"user": {"login": "ada", "team": {"id": 7}, "tags": ["x"]}, "user__login": 5, "labels": [{"name":"p"}]},'
    buffer = io.BytesIO()

    with get_writer("csv").open(buffer, columns) as write:
        write(page_of(body + b'{"user": null}]', "records"))

    assert buffer.getvalue().decode() == (
        '"user__login","user__team__id","user__tags","user__login_1","labels"\n'
        '"ada",7,"[""x""]",5,"[{""name"":""p""}]"\n'
        ",,,,\n"
    )


def test_csv_of_records_that_are_no_objects_keeps_them_together() -> None:
    buffer = io.BytesIO()
    whole = Column("value", parse_type("STRUCT(a BIGINT)"), ())

    with get_writer("csv").open(buffer, [whole]) as write:
        write(page_of(b'[{"a": 1}]', "records"))

    assert buffer.getvalue().decode() == '"value"\n"{""a"": 1}"\n'


@pytest.mark.parametrize("format_", OF_COLUMNS)
def test_no_records_need_declared_columns(format_: str, tmp_path: Path) -> None:
    writer, path = get_writer(format_), tmp_path / f"data.{format_}"
    path.write_bytes(b"old")

    with pytest.raises(CallError, match=rf"{format_}: no records to infer columns from. Declare them"):
        writer.write([], path)
    assert path.read_bytes() == b"old"

    writer.write([], path, columns={"id": "BIGINT", "at": "TIMESTAMPTZ"})
    with duckdb.connect() as con:
        if format_ == "arrow":
            relation = con.from_arrow(pa.ipc.open_file(path).read_all())
        elif format_ == "duckdb":
            con.execute(f"ATTACH '{path}' AS file (READ_ONLY)")
            relation = con.table("file.data")
        else:
            relation = con.read_csv(str(path), header=True) if format_ == "csv" else con.read_parquet(str(path))
        assert (relation.columns, relation.fetchall()) == (["id", "at"], [])


@pytest.mark.parametrize(("format_", "text"), [("json", b"[]\n"), ("ndjson", b""), ("jsonl", b"")])
def test_no_records_are_a_valid_file_of_json(format_: str, text: bytes) -> None:
    buffer = io.BytesIO()

    get_writer(format_).write([], buffer)

    assert buffer.getvalue() == text


@pytest.mark.parametrize(
    ("columns", "told"),
    [({"id": "UUID"}, "'UUID' is not a column type"), ({"id": "BIGINT", "ID": "BIGINT"}, "differ by case only")],
)
def test_columns_that_cannot_be_are_told(columns: dict[str, str], told: str) -> None:
    with pytest.raises(CallError, match=told):
        get_writer("parquet").write([{"id": 1}], io.BytesIO(), columns=columns)


def test_a_format_of_columns_needs_some() -> None:
    with pytest.raises(CallError, match="csv is a format of columns: which are they"), get_writer("csv").open("x"):
        pass


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object(), "\ud800"])
def test_a_value_that_json_does_not_have_is_told(format_: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="a record has a value that JSON does not have"):
        get_writer(format_).write([{"v": 1}, {"v": value}], tmp_path / "data")

    assert list(tmp_path.iterdir()) == []


def test_neither_polars_nor_pandas_is_needed_to_write() -> None:
    code = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {"polars", "pandas"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import apikit_sql, io
apikit_sql.get_writer("parquet").write([{"a": 1}], io.BytesIO())
"""

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_private_file_stays_private_from_its_first_byte(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"old")
    path.chmod(0o600)

    with get_writer(format_).open(path, [column("id", "BIGINT")]) as write:
        write(page_of(b'[{"id": 1}]', "records"))
        others = [each for each in tmp_path.iterdir() if each != path]
        modes = [stat.S_IMODE(each.stat().st_mode) & 0o077 for each in others]

    assert others
    assert not any(modes)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", [0o664, 0o640, 0o444, 0o400])
def test_a_file_keeps_the_mode_of_the_one_before(format_: str, mode: int, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"old")
    (tmp_path / "data").chmod(mode)

    get_writer(format_).write([{"id": 1}], tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == mode


class TakesNothing(io.BytesIO):
    def write(self, _: Any) -> int:
        return 0


class WouldBlock(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> None:
        return None


@pytest.mark.parametrize("buffer", [TakesNothing(), WouldBlock()], ids=["0 bytes", "would block"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_buffer_that_takes_nothing_is_told(format_: str, buffer: Any) -> None:
    with pytest.raises(OutputError, match="cannot write the buffer: it takes no more"):
        get_writer(format_).write([{"id": 1}], buffer)


def noted(name: str, events: list[str]) -> Callable[..., Any]:
    """The function of `os`, whose calls are noted."""
    original = getattr(os, name)

    def noting(*args: Any) -> Any:
        events.append(name)
        return original(*args)

    return noting


@pytest.mark.parametrize("format_", FORMATS)
def test_what_is_written_is_on_the_disk_before_it_takes_its_place(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, events))

    get_writer(format_).write([{"id": 1}], tmp_path / "data")

    assert events[-1] == "replace"
    if format_ != "duckdb":  # which syncs itself
        assert events == ["fsync", "replace"]


def test_parquet_is_compressed_by_zstd(tmp_path: Path) -> None:
    get_writer("parquet").write([{"id": 1}], tmp_path / "data")

    assert pq.ParquetFile(tmp_path / "data").metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_is_read_only_is_written_by_its_owner_as_any_other(format_: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"old")
    path.chmod(0o400)

    with get_writer(format_).open(path, [column("id", "BIGINT")]) as write:
        write(page_of(b'[{"id": 1}]', "records"))
        (beside,) = [each for each in tmp_path.iterdir() if each.is_file() and each != path]
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600  # root alone could open it by less

    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert path.read_bytes() != b"old"
