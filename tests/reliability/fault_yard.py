"""A database and a folder in which statements run, and what of them may change."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.sql.database import database_of
from apikit_sql.sql.permissions import Permissions

IS_2 = duckdb.__version__.startswith("2.")
_TABLES = """
    SELECT 'table', table_name FROM duckdb_tables() WHERE database_name = current_catalog()
    UNION ALL SELECT 'view', view_name FROM duckdb_views() WHERE NOT internal AND database_name = current_catalog()
"""


class Yard:
    """A database, by its connection of ours or a plain one, and a folder for its files."""

    def __init__(self, con: Any, raw: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.con = con
        self.raw = raw
        self.folder = folder

    def clear(self, session: Session, there: Sequence[int]) -> None:
        """As before any case: the table t of `there`, nothing else, and statements that are sent by `session`."""
        database = database_of(self.raw)
        assert database is not None
        for name in list(database.catalogs.attached):
            self.raw.execute(f"CALL apikit_detach('{name}')")
        database.permissions = Permissions(session)
        for kind, name in self.rows(_TABLES):
            self.raw.execute(f'DROP {kind} "{name}"')
        self.raw.execute("CREATE TABLE t AS SELECT unnest(?::BIGINT[]) AS id, 0 AS v", [list(there)])
        for file in self.folder.iterdir():
            file.unlink()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.raw.execute(sql).fetchall()
        return found

    def state(self) -> dict[str, object]:
        """Tables and views with what they hold, and files. What DuckDB 1.x leaves beside a file is not looked at."""
        found: dict[str, object] = {}
        for kind, name in self.rows(_TABLES):
            found[f"{kind} {name}"] = kind == "view" or sorted(self.rows(f'FROM "{name}"'))
        files = [file for file in self.folder.iterdir() if IS_2 or not file.name.startswith("tmp_")]
        return found | {file.name: file.read_bytes() for file in files}


@contextmanager
def yards() -> Iterator[dict[bool, Yard]]:
    """The plain one, and that of `connect()`."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("plain", "own"):
            (Path(folder) / name).mkdir()
        with closing(duckdb.connect()) as plain, closing(apikit_sql.connect(Path(folder) / "own.duckdb")) as own:
            apikit_sql.install(plain)
            raw = own._raw
            yield {False: Yard(plain, plain, Path(folder) / "plain"), True: Yard(own, raw, Path(folder) / "own")}
