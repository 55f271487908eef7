"""A dbt project in a temporary folder, whose plugin asks the fake API; dbt's commands run in this process."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from apikit_sql.dbt import profile
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table

ROOT = Path(__file__).parents[2]
PACKAGE = Path(profile.__file__).parent / "package"
ISSUES: list[dict[str, Any]] = [
    {"number": n, "state": "closed" if n % 3 else "open", "updated_at": f"2025-01-{n:02}T00:00:00Z"}
    for n in range(1, 21)
]
_MANIFEST = """
base_url = "https://api.test"
auth = { type = "bearer", token = "env:SHOP_TOKEN" }
[streams.issues]
path = "/issues"
pagination = "none"
key_columns = [
  { column = "state", param = "state" },
  { column = "updated_at", param = "since", operators = [">="] },
]
[streams.issues.columns]
number = "BIGINT"
state = "VARCHAR"
updated_at = "TIMESTAMPTZ"
[streams.undeclared]
path = "/issues"
pagination = "none"
"""


@dataclass
class Project:
    """A dbt project; `said` is what dbt has shown of the newest command."""

    folder: Path
    api: FakeApi
    said: list[str] = field(default_factory=list)

    def write(self, **texts: str) -> None:
        """Write files of `models/`: `name` as SQL, `name_yml` as YAML."""
        for name, text in texts.items():
            file = f"{name.removesuffix('_yml')}.yml" if name.endswith("_yml") else f"{name}.sql"
            (self.folder / "models" / file).write_text(text, encoding="utf-8")

    def configure(self, config: str = "") -> None:
        """Write profiles.yml, with these options of the plugin beside the folder of connectors."""
        (self.folder / "profiles.yml").write_text(
            "shop: {target: dev, outputs: {dev: {type: duckdb, path: data.duckdb, threads: 4, plugins: [{"
            "module: apikit_sql.dbt_plugin, alias: apikit, config: {connectors_folder: connectors, "
            f"{config}}}"
            "}]}}}\n",
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> Any:
        """What dbt gives for a command that must pass."""
        found = self.invoke(*arguments)
        assert found.success, "\n".join(self.said)
        return found.result

    def failure(self, *arguments: str) -> str:
        """What dbt tells of a command that must fail."""
        assert not self.invoke(*arguments).success
        return "\n".join(self.said)

    def invoke(self, *arguments: str) -> Any:
        from dbt.cli.main import dbtRunner

        self.said.clear()
        runner = dbtRunner(callbacks=[self._note])
        return runner.invoke([*arguments])

    def _note(self, event: Any) -> None:
        if event.info.level != "debug":
            self.said.append(event.info.msg)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the project's database."""
        with duckdb.connect(self.folder / "data.duckdb") as con:
            return con.execute(sql).fetchall()

    def files(self) -> Iterator[Path]:
        """Every file of the project."""
        return (path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: FakeApi) -> Iterator[Project]:
    folder = tmp_path / "project"
    for name in ("models", "connectors", "dbt_packages"):
        (folder / name).mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: shop\nversion: '1.0'\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n"
        "models: {shop: {+materialized: table}}\n"
        "on-run-start: create schema if not exists api\n"  # which threads of dbt make at once, and DuckDB 1.x refuses
    )
    (folder / "dbt_packages" / "apikit").symlink_to(PACKAGE)  # as `dbt deps` makes it
    (folder / "connectors" / "shop.toml").write_text(_MANIFEST)
    api.routes["/issues"] = Table(ISSUES, filters={"since": ("updated_at", ">="), "state": ("state", "=")})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SHOP_TOKEN", "token-of-the-shop")
    monkeypatch.setattr(profile, "Session", partial(Session, transport=api.transport()))
    profile._session.cache_clear()
    made = Project(folder, api)
    made.configure()
    yield made
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
    profile._session.cache_clear()
