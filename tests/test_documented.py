"""README says what there is: every option, type, strategy and connector, and nothing that is not there."""

import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

import apikit_sql
from apikit_sql import Apikit, FetchOptions
from apikit_sql.column_types import ScalarName
from apikit_sql.connector.protocol import Strategy
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.facade.changing import ChangeOptions
from apikit_sql.facade.options import FileOptions, GraphQLOptions, TableOptions
from apikit_sql.sql.catalog import APIKIT, FUNCTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def first_column(heading: str) -> list[str]:
    """The words in backticks that open the rows of the table behind `heading`."""
    section = README.split(heading, 1)[1].split("\n#", 1)[0]
    return re.findall(r"^\| `'?([\w./]+)'?`", section, re.MULTILINE)


def first_cells(head: str) -> set[str]:
    """Every word in backticks in the first cells of the table whose first row begins with `head`."""
    table = README.split(f"\n| {head} |", 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_function_has_its_section_and_an_example() -> None:
    examples = "".join(path.read_text() for path in (ROOT / "sql_examples").glob("*.sql"))

    for function in FUNCTIONS:
        assert f"### `{function.name}(" in README
        assert f"{function.name}(" in examples


def test_the_table_of_options_is_the_catalog() -> None:
    options = [argument.name for argument in APIKIT.arguments if argument.default is not None]

    assert first_column("### `apikit(connector, path, ...)`")[: len(options)] == options


def test_the_table_of_strategies_is_the_manifests() -> None:
    documented = first_column("**Pagination.**")

    assert sorted(documented) == sorted(set(get_args(Strategy)) - {"relay"})  # relay belongs to GraphQL


def test_the_table_of_arguments_is_that_of_the_client() -> None:
    parameters = set(inspect.signature(Apikit.__init__).parameters) - {"self"}

    assert first_cells("argument of `Apikit`") == parameters - {"max_retries"}  # the same as max_attempts


def test_the_table_of_options_of_python_is_that_of_its_methods() -> None:
    documented = first_cells("option of `fetch_*`")

    assert documented == {*FetchOptions.__annotations__, *FileOptions.__annotations__, "dry_run"}
    for name in TableOptions.__annotations__:
        assert name in documented or f"`{name}`" in README.split("## Python", 1)[1]


def test_the_options_of_changes_and_of_queries_are_documented() -> None:
    assert first_cells("option of `post`, `put`, `patch` and `delete`") == {*ChangeOptions.__annotations__, "dry_run"}
    assert first_cells("option of `graphql`") == set(GraphQLOptions.__annotations__)


def test_the_table_of_errors_has_them_all() -> None:
    raised = {name for name in apikit_sql.__all__ if name.endswith("Error") or name == "ScanInterrupted"}

    assert first_cells("an error") == raised


@pytest.mark.parametrize("name", apikit_sql.__all__)
def test_every_public_name_is_in_the_readme(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


def test_no_line_is_longer_than_its_neighbours() -> None:
    assert [line for line in README.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_the_types_are_all_named() -> None:
    for name in get_args(ScalarName):
        assert f"`{name}`" in README


def test_the_table_of_connectors_is_the_registry() -> None:
    assert first_column("### Connectors") == ConnectorRegistry().names()


def test_every_file_of_the_architecture_exists_and_every_file_is_in_it() -> None:
    section = README.split("## Architecture", 1)[1]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    named: set[str] = set()
    for cell in re.findall(r"^\|[^|]*\|([^|]*)\|", table, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([\w/*]+\.(?:py|toml))`", cell):
            folder = name.rpartition("/")[0] if "/" in name else folder
            named.add(name if "/" in name or not folder else f"{folder}/{name}")
    package = ROOT / "apikit_sql"
    files = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}

    assert {name for name in named if "*" not in name} == files


@pytest.mark.parametrize("name", apikit_sql.__all__)
def test_every_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    assert getattr(apikit_sql, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        apikit_sql.nope  # noqa: B018

    assert "install" in dir(apikit_sql)


def test_the_manifests_in_the_readme_are_clean(tmp_path: Path) -> None:
    (text,) = (block for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL) if "[connectors.acme]" in block)
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")

    found = [finding for finding in apikit_sql.lint(tmp_path / "config.toml") if "products" not in finding.key]

    assert found == []
