"""A file of NDJSON as the store of deliveries: nobody else's lines are lost, and what is answered is in it."""

import json
from pathlib import Path

import pytest

from apikit_sql import OutputError
from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import StoreError
from apikit_sql.webhook.journal import Journal

OURS = b'{"received_at": "2026-01-01T00:00:00+00:00", "provider": "stripe", "event": null, "id": "%s", "payload": {}}'


def delivery(name: str) -> Delivery:
    return Delivery(1_700_000_000_000_000, "stripe", None, name, "{}", "{}", "verified")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def opened(file: Path) -> Journal:
    journal = Journal(file, 10)
    journal.open()
    return journal


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def ids(file: Path) -> list[str]:
    return [json.loads(line)["id"] for line in file.read_text().splitlines()]


def test_a_file_has_one_receiver_at_a_time(file: Path) -> None:
    first, second = opened(file), Journal(file, 10)
    with pytest.raises(OutputError, match="another receiver writes it"):
        second.open()
    first.write([delivery("a")])
    first.close()

    second.open()
    assert second.write([delivery("a"), delivery("b")]) == 1
    second.close()
    assert ids(file) == ["a", "b"]


@pytest.mark.parametrize("length", range(1, len(OURS % b"b")))
def test_a_line_of_ours_that_a_kill_has_cut_off_goes(file: Path, length: int) -> None:
    file.write_bytes(OURS % b"a" + b"\n" + (OURS % b"b")[:length])
    journal = opened(file)

    assert journal.write([delivery("b")]) == 1
    journal.close()
    assert ids(file) == ["a", "b"]


def test_a_last_line_that_lacks_only_its_end_stays(file: Path) -> None:
    file.write_bytes(OURS % b"a" + b"\n" + OURS % b"b")
    journal = opened(file)

    assert journal.write([delivery("b"), delivery("c")]) == 1
    journal.close()
    assert ids(file) == ["a", "b", "c"]


@pytest.mark.parametrize("text", [b"my only notes", b"one\ntwo\n", b"# not\n\n{}", b'{\n  "a": 1\n}\n', b"\xff\xfe"])
def test_a_file_that_is_no_ndjson_is_refused_and_left_alone(file: Path, text: bytes) -> None:
    file.write_bytes(text)
    with pytest.raises(OutputError, match="cannot be used"):
        opened(file)

    assert file.read_bytes() == text


@pytest.mark.parametrize("how", ["moved away", "deleted", "replaced"])
def test_what_is_stored_is_in_the_file_of_that_name_also_when_it_is_another(file: Path, how: str) -> None:
    journal = opened(file)
    journal.write([delivery("a")])
    if how == "deleted":
        file.unlink()
    else:
        file.rename(file.with_suffix(".1"))
    if how == "replaced":
        file.write_bytes(OURS % b"x" + b"\n")

    assert journal.write([delivery("a"), delivery("x"), delivery("b")]) == (1 if how == "replaced" else 2)
    journal.close()
    assert ids(file) == ["x", "b"]


def test_where_the_file_can_be_no_more_it_is_told_until_it_can(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "events.ndjson"
    journal = opened(file)
    file.unlink()
    folder.rmdir()
    for _ in range(2):
        with pytest.raises(StoreError, match="No such file"):
            journal.write([delivery("a")])

    folder.mkdir()
    assert journal.write([delivery("a")]) == 1
    journal.close()
    assert ids(file) == ["a"]


def test_an_end_leaves_no_file_open(file: Path) -> None:
    before = descriptors()
    journal = opened(file)
    file.unlink()
    journal.write([delivery("a")])
    journal.close()
    journal.close()

    assert descriptors() == before
