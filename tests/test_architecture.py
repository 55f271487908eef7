"""The two rules that hold the house up: imports run downstairs, and outside libraries enter by their own doors."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import apikit_sql

ROOT = Path(apikit_sql.__path__[0])
FILES = sorted(ROOT.rglob("*.py"))

#: Lower floors know nothing of higher ones. Two rooms on one floor do not know each other.
FLOORS = {
    "errors": 0, "identifiers": 0, "demo_graphql": 0,
    "column_types": 1, "records": 1, "secrets": 1, "redaction": 1, "origin": 1, "demo": 1,
    "flatten": 1, "advice": 1,
    "connector": 2, "webhook": 2,
    "plan": 3, "openapi": 3,
    "engine": 4,
    "scan": 5,
    "output": 6,
    "dbt": 7,
    "facade": 8, "sql": 8,
    "cli": 9,
    "__init__": 9, "dbt_plugin": 9,
}  # fmt: skip

#: Outside libraries, and the only rooms that may import them.
DOORS: dict[str, set[str]] = {
    "duckdb": {"cli", "sql", "output", "dbt_plugin", "__init__"},
    "pyarrow": {"cli", "facade", "scan", "output", "dbt", "sql", "dbt_plugin"},
    "msgspec": {"records", "scan"},
    "starlette": {"webhook"},
    "uvicorn": {"webhook"},
    "httptools": set(),
    "polars": {"facade", "output", "webhook"},
    "pandas": {"facade", "output"},
    "rich": {"facade"},
    "dotenv": {"facade"},
    "httpx": {"engine"},
    "httpcore": {"engine"},
    "http_sf": {"engine"},
    "brotli": {"engine"},
    "backports": {"engine"},
    "tenacity": {"engine"},
    "cachetools": {"engine"},
    "pydantic": {"connector", "plan"},
    "keyring": {"secrets"},
    "tomli_w": {"connector"},
    "ruamel": {"openapi", "dbt"},
    "dbt": {"dbt_plugin"},
    "dbt_common": {"dbt_plugin"},
    "graphql": {"plan"},
    "prompt_toolkit": {"cli"},
    "numpy": set(),
    "pytz": set(),
}

#: Single names that a room may take although the door is not its own.
EXCEPTIONS = {("engine/auth.py", "pydantic", "SecretStr"), ("webhook/inbox.py", "duckdb", "")}


class Import(NamedTuple):
    """One imported name: `module` is absolute, `name` is empty where the module itself is imported."""

    module: str
    name: str
    level: int


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[Import]:
    """Every import of the file, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, "", 0) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (Import(module or "", alias.name, level) for alias in names)
            case _:
                pass


def imported_room(each: Import) -> str | None:
    """The room of this package that is imported; None for an outside library."""
    package, _, rest = each.module.partition(".")
    if package != "apikit_sql":
        return None
    first = rest.partition(".")[0] or each.name
    return first if first in FLOORS else "__init__"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_room_stands_on_a_known_floor(path: Path) -> None:
    assert room_of(path) in FLOORS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_downstairs(path: Path) -> None:
    room = room_of(path)

    for each in imports(path):
        other = imported_room(each)
        if other is not None:
            assert other == room or FLOORS[other] < FLOORS[room], f"{room} must not import {each.module} {each.name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_outside_libraries_enter_by_their_own_doors(path: Path) -> None:
    for each in imports(path):
        library = each.module.partition(".")[0]
        if library in DOORS and (name_of(path), library, each.name) not in EXCEPTIONS:
            assert room_of(path) in DOORS[library], f"{room_of(path)} must not import {library}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_import_is_relative(path: Path) -> None:
    assert [each for each in imports(path) if each.level] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_reaches_into_another_files_private_names(path: Path) -> None:
    own = [each for each in imports(path) if each.module.startswith("apikit_sql")]

    assert [each for each in own if each.name.startswith("_")] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_why_it_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    is_subpackage = path.name == "__init__.py" and path.parent != ROOT

    if is_subpackage:
        assert text == "", "there is one face: subpackage __init__ files stay empty"
    else:
        assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_every_floor_of_the_plan_is_built(room: str) -> None:
    assert (ROOT / f"{room}.py").is_file() or (ROOT / room).is_dir()
