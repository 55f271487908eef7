"""ConfigManager leaves every other byte of the file as it was, also when many change it at once."""

import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from apikit_sql.connector.config_manager import ConfigManager
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import ConfigError
from tests.sql.script import run_script

NAMES = ("a", "b", "ab", "c_1")
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def after_removing(file: Path, text: str, name: str = "b") -> str:
    file.write_bytes(text.encode())
    ConfigManager(file).remove_connector(name)
    return file.read_bytes().decode()


A = '# about a\n[connectors.a]\nbase_url = "https://a.test" # of a\n'
B = '[connectors.b]\nbase_url = "https://b.test"\n\n[connectors.b.auth]\ntype = "bearer"\ntoken = "env:B"\n'
C = "# about c\n[ connectors . 'c' ]\nstreams.x = { path = '/x' }\n"


# --- one by one


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (A + "\n" + B + "\n" + C, A + "\n" + C),
        (B + "\n" + C, C),
        (A + "\n" + B, A + "\n"),
        (B, ""),
        (A + B.rstrip() + "\n" + C.rstrip(), A + C.rstrip()),
        ("# the top\n\n" + B, "# the top\n\n"),
        (A + B + "\n# one\n\n# two\n" + C, A + "# one\n\n# two\n" + C),
        (A + B.replace("connectors.b", 'connectors . "b"') + C, A + C),
        (A + B.replace("[connectors.b]", "['connectors'.b] # mine") + C, A + C),
        (A + B + "[[connectors.b.streams.x.key_columns]]\ncolumn = 'x'\n" + C, A + C),
        (A + B + '[connectors.b.streams.x]\npath = "/x"\nbody = { a = """\n[x\n""" }\n' + C, A + C),
        (A + B.replace("\n\n", "\n# about the auth\n") + C, A + C),
        (B.replace("\n\n[", "\n" + C + "[") + A, C + A),
    ],
)
def test_an_entry_is_taken_out_with_its_tables_and_nothing_else(file: Path, before: str, after: str) -> None:
    assert after_removing(file, before) == after


def test_comments_at_the_end_of_the_file_stay(file: Path) -> None:
    old = '\n# [connectors.old]\n# base_url = "https://old.test"\n'

    after = after_removing(file, A + "\n" + B + old)

    assert after.startswith(A)
    assert after.endswith(old.lstrip())


def test_line_ends_of_windows_stay(file: Path) -> None:
    before = (A + "\n" + B + "\n" + C).replace("\n", "\r\n")

    after = after_removing(file, before)
    ConfigManager(file).add_connector("d", "https://d.test")

    assert after == (A + "\n" + C).replace("\n", "\r\n")
    assert file.read_bytes().decode().startswith(after)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_comment_with_an_odd_line_separator_stays(file: Path, mark: str) -> None:
    odd = f"# see{mark}[connectors.b]\n"

    assert after_removing(file, A + odd + B + odd + C) == A + odd + odd + C


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_header_inside_of_a_text_is_none(file: Path, quotes: str) -> None:
    before = A + f"description = {quotes}\n[connectors.b]\n{quotes}\n" + B + C
    file.write_bytes(before.encode())

    try:
        ConfigManager(file).remove_connector("b")
        expected = before.replace(B, "")
    except ConfigError as error:
        assert "by hand" in str(error)  # noqa: PT017 - either is right, if nothing is lost
        expected = before

    assert file.read_bytes().decode() == expected


@pytest.mark.parametrize(
    "text", ["", "# only this", A, A.rstrip(), A + "\n\n", "[connectors]\n", "connectors.a.timeout = 1"]
)
def test_what_is_added_stands_at_the_end_and_all_before_stays(file: Path, text: str) -> None:
    file.write_bytes(text.encode())

    ConfigManager(file).add_connector("d", "https://d.test", token="env:D")

    after = file.read_bytes().decode()
    assert after.startswith(text)
    assert tomllib.loads(after[len(text) :]) == {
        "connectors": {"d": {"base_url": "https://d.test", "auth": {"type": "bearer", "token": "env:D"}}}
    }


@pytest.mark.parametrize(
    ("text", "blank"), [("", ""), (A, "\n"), (A.replace("\n", "\r\n"), "\r\n"), (A + "\n", ""), (A + "\n\n", "")]
)
def test_what_is_added_and_removed_again_leaves_at_most_one_blank_line(file: Path, text: str, blank: str) -> None:
    file.write_bytes(text.encode())

    for _ in range(2):
        ConfigManager(file).add_connector("d", "https://d.test", token="env:D")
        ConfigManager(file).remove_connector("d")

    assert file.read_bytes().decode() == text + blank


def test_a_link_to_the_file_stays_a_link(tmp_path: Path, file: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    target = tmp_path / "dotfiles" / "apikit.toml"
    target.write_text(A, encoding="utf-8")
    file.symlink_to(target)

    ConfigManager(file).add_connector("d", "https://d.test")

    assert file.is_symlink()
    assert target.read_text(encoding="utf-8").startswith(A)
    assert ConfigManager(target).list_connectors() == ["a", "d"]


# --- any file


@dataclass(frozen=True)
class Block:
    """Lines of a config file that belong to one connector."""

    owner: str
    text: str


HEADERS = ("[connectors.{0}]", "[ connectors . {0} ]", '[connectors."{0}"]', "['connectors'.'{0}'] # mine [x]")
LINES = (
    "timeout = 5 # [connectors.{1}]",
    "# [connectors.{1}]",
    "# the URL of {0}\nbase_url = 'https://{0}.test'",
    'description = """\n[connectors.{1}]\n# no comment\n"""',
    "docs = '''\n[connectors.{1}]\ntimeout = 1'''",
    'headers = {{ "X-A" = "[connectors.{1}]", X-B = \'#\' }}',
    "auth.type = 'bearer'\nauth.token = \"env:T\"",
    'read_posts = [\n  "/a", # [connectors.{1}]\n  "/b",\n]',
    "retry.max_attempts   =   1",
)
TABLES = (
    "[connectors.{0}.rate_limit]\nmin_remaining = 1",
    '[connectors.{0}.streams.x]\npath = "/x"\n\n[[connectors.{0}.streams.x.key_columns]]\ncolumn = "a" # [a]',
    '[connectors . {0} .streams."y.z]"]\npath = "/y"',
)


@st.composite
def entries(draw: st.DrawFn, name: str) -> list[Block]:
    other = draw(st.sampled_from(NAMES))
    lines = draw(st.lists(st.sampled_from(LINES), unique=True, max_size=4))
    texts = [draw(st.sampled_from(HEADERS)) + "\n" + "".join(line + "\n" for line in lines)]
    texts += [table + "\n" for table in draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=2))]
    above = st.sampled_from(["", "# a note\n", "# [connectors.{1}]\n#\n# more\n"])
    below = st.sampled_from(["", "\n", "\n\n", "\n# below\n\n"])
    return [Block(name, (draw(above) + text + draw(below)).format(name, other)) for text in texts]


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, bytes]]]:
    """A whole file, and its blocks with their owners."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    blocks = [block for name in names for block in draw(entries(name))]
    if draw(st.booleans()):
        blocks = draw(st.permutations(blocks))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    parts = [(block.owner, block.text.replace("\n", end).encode()) for block in blocks]
    if draw(st.booleans()):
        parts[-1] = parts[-1][0], parts[-1][1].rstrip()
    top = draw(st.sampled_from(["", "# top\n", "# [connectors.a]\n\n"])).replace("\n", end).encode()
    mark = BOM if draw(st.integers(0, 9)) == 0 else b""
    parts.insert(0, ("", mark + top))
    return b"".join(text for _, text in parts), parts


def values(text: bytes) -> dict[str, object]:
    data: dict[str, dict[str, object]] = tomllib.loads(text.removeprefix(BOM).decode())
    return data.get("connectors", {})


def is_kept(parts: list[bytes], text: bytes) -> bool:
    """Whether `text` has all the `parts`, in order."""
    position = 0
    for part in parts:
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


@settings(max_examples=300, deadline=None)
@given(files(), st.sampled_from(NAMES), st.booleans())
@example((A.encode(), [("a", A.encode())]), "a", False)  # noqa: FBT003 - it is removed
def test_a_change_leaves_every_other_byte_or_the_whole_file(
    given: tuple[bytes, list[tuple[str, bytes]]],
    name: str,
    is_added: bool,  # noqa: FBT001 - given by position
) -> None:
    before, parts = given
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(before)
        changed = "new" if is_added else name

        try:
            if is_added:
                ConfigManager(file).add_connector(changed, "https://new.test")
            else:
                ConfigManager(file).remove_connector(changed)
        except ConfigError:
            event("refused")
            assert file.read_bytes() == before
            return
        after = file.read_bytes()

    event("changed")
    others = {key: value for key, value in values(before).items() if key != changed}
    assert {key: value for key, value in values(after).items() if key != changed} == others
    assert (changed in values(after)) is is_added
    assert is_kept([text for owner, text in parts if owner != changed], after)


# --- at once


@pytest.fixture
def both() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


CHANGES = """
    import sys
    from apikit_sql.connector.config_manager import ConfigManager

    file, own = sys.argv[1:]
    manager = ConfigManager(file)
    for number in range(25):
        manager.add_connector(f"{own}_{number}", f"https://{own}-{number}.test", token=f"env:{own}_{number}")
        if number % 2:
            manager.remove_connector(f"{own}_{number - 1}")
"""
LEFT = [*range(1, 25, 2), 24]


def test_two_processes_that_change_the_file_at_once_lose_nothing(
    tmp_path: Path, file: Path, both: ThreadPoolExecutor
) -> None:
    file.write_text(A, encoding="utf-8")
    for own in ("x", "y"):
        (tmp_path / own).mkdir()

    runs = [both.submit(run_script, CHANGES, file, own, folder=tmp_path / own) for own in ("x", "y")]

    assert [(run.result().returncode, run.result().stderr) for run in runs] == [(0, "")] * 2
    entries = {
        f"{own}_{number}": (f"https://{own}-{number}.test", f"env:{own}_{number}") for own in "xy" for number in LEFT
    }
    found = tomllib.loads(file.read_text(encoding="utf-8"))["connectors"]
    assert {name: (each["base_url"], each["auth"]["token"]) for name, each in found.items() if name != "a"} == entries
    assert file.read_text(encoding="utf-8").startswith(A)


def test_threads_that_change_the_file_at_once_lose_nothing_and_readers_see_whole_files(
    file: Path, both: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(A, encoding="utf-8")
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(file))
    is_done = Event()

    def change(own: str) -> None:
        manager = ConfigManager(file)
        for number in range(15):
            manager.add_connector(f"{own}_{number}", f"https://{own}-{number}.test")
            if number % 2:
                manager.remove_connector(f"{own}_{number - 1}")

    def read() -> int:
        registry, reads = ConnectorRegistry(), 0
        while not is_done.is_set() or not reads:
            assert registry.get("a").base_url == "https://a.test"
            reads += 1
        return reads

    reader = both.submit(read)
    writers = [both.submit(change, own) for own in ("x", "y")]
    for writer in writers:
        writer.exception()
    is_done.set()

    assert [writer.result() for writer in writers] == [None, None]
    assert reader.result() > 0
    left = [*range(1, 15, 2), 14]
    assert ConfigManager(file).list_connectors() == sorted(
        ["a", *(f"{own}_{number}" for own in "xy" for number in left)]
    )
