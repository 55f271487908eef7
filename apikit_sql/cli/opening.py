"""The database of a shell, opened with everything installed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from apikit_sql.cli.settings import Start
from apikit_sql.cli.texts import DuckDBTexts
from apikit_sql.connector.config import config_file
from apikit_sql.engine.anomaly import AnomalyDetector
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.session import Session
from apikit_sql.facade.env_file import load_env_file
from apikit_sql.sql.install import install
from apikit_sql.sql.single_runs import Result, SingleRuns


@dataclass(frozen=True, eq=False)
class Opened:
    """A database, its session, and what asks DuckDB for texts."""

    start: Start
    con: SingleRuns
    session: Session
    texts: DuckDBTexts

    def run(self, sql: str) -> Result | None:
        """What one statement gives, the texts of its times in the time zone of the database."""
        with contextlib.suppress(duckdb.Error):  # a transaction that has failed answers nothing
            ((zone,),) = self.con.execute("SELECT current_setting('TimeZone')").fetchall()
            self.texts.set_time_zone(zone)
        return self.con.run(sql)

    def parse(self, text: str) -> None:
        """Raise duckdb.ParserException where `text` is no SQL."""
        self.con.extract_statements(text)

    def scans_from_now(self) -> Callable[[], list[ScanRecord]]:
        """What tells the scans that have begun since."""
        before = list(self.session.scans)
        newest = before[-1] if before else None

        def since() -> list[ScanRecord]:
            scans = list(self.session.scans)
            return scans[scans.index(newest) + 1 :] if newest in scans else scans

        return since

    def init_file(self) -> str | None:
        """The file that is run first: that of the command line, else `init.sql` beside the config file if there."""
        if self.start.init_file is not None or not self.start.has_init:
            return self.start.init_file
        usual = config_file().parent / "init.sql"
        return str(usual) if usual.is_file() else None

    def close(self) -> None:
        """Stop its scans, and close it."""
        self.session.close()
        self.con.close()
        self.texts.close()


def opened(start: Start, tell: Callable[[str], None]) -> Opened:
    """The database of `start`. Raises duckdb.Error where it cannot be opened, ConfigError where an option is wrong."""
    if start.env_file is not None:
        load_env_file(start.env_file)
    session = Session(tell=tell, detector=AnomalyDetector(tell))
    raw = duckdb.connect(start.database, read_only=start.is_read_only)
    install(raw, attach=start.attach, allow_mutations=start.allow_mutations, cache=start.cache, session=session)
    return Opened(start, SingleRuns(raw), session, DuckDBTexts())
