"""apikit_connectors() and apikit_streams(): what is known, missing and wrong; which connectors SQL may use."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi

Con = duckdb.DuckDBPyConnection
IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
Rows = Callable[[str], list[tuple[Any, ...]]]

ACME = """
base_url = "https://{region}.acme.test/v1"
description = "The API of Acme"
docs = "https://acme.test/docs"

[variables.region]
env = "ACME_REGION"

[auth]
type = "basic"
username = "env:ACME_USER"
password = "env:ACME_PASSWORD"

[pagination]
strategy = "link"

[streams.items]
path = "/shops/{shop}/items"
description = "What a shop sells"
docs = "https://acme.test/docs/items"
primary_key = ["shop", "id"]
updated_at = "changed"
columns = { id = "BIGINT", changed = "TIMESTAMPTZ", state = "VARCHAR" }
key_columns = [
  { column = "shop", path = "shop", required = true },
  { column = "changed", param = "since", operators = [">="] },
  { column = "changed", param = "before", operators = ["<"] },
  { column = "state", param = "state" },
]

[streams.unknown]
path = "/unknown"
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACME_REGION", "ACME_USER", "ACME_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's folder of manifests, in which `acme` is."""
    folder = tmp_path / "config" / "connectors"
    folder.mkdir(parents=True)
    (folder / "acme.toml").write_text(ACME)
    return folder


@pytest.fixture
def config(folder: Path) -> Path:
    return folder.parent / "config.toml"


@pytest.mark.usefixtures("folder")
class TestConnectors:
    def test_each_known_connector_has_a_row(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT name FROM apikit_connectors()") == [(name,) for name in ConnectorRegistry.list()]
        assert rows("SELECT count(*) FROM apikit_connectors() WHERE error IS NOT NULL") == [(0,)]
        assert api.seen == []

    def test_a_row_tells_what_the_manifest_says(self, con: Con, folder: Path) -> None:
        found = con.execute("FROM apikit_connectors('acme')")
        names = [column[0] for column in found.description]
        (row,) = found.fetchall()

        assert dict(zip(names, row, strict=True)) == {
            "name": "acme",
            "base_url": "https://{region}.acme.test/v1",
            "auth": "basic",
            "configured": False,
            "missing": ["ACME_REGION", "ACME_PASSWORD", "ACME_USER"],
            "pagination": "link",
            "streams": 2,
            "description": "The API of Acme",
            "docs": "https://acme.test/docs",
            "place": str(folder / "acme.toml"),
            "error": None,
        }

    def test_what_is_missing_shrinks_as_it_is_set(self, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = "SELECT configured, missing FROM apikit_connectors(name := 'acme')"

        monkeypatch.setenv("ACME_USER", "me")
        monkeypatch.setenv("ACME_REGION", "eu")
        before = rows(asked)
        monkeypatch.setenv("ACME_PASSWORD", "hunter2")

        assert before == [(False, ["ACME_PASSWORD"])]
        assert rows(asked) == [(True, [])]

    def test_no_secret_is_shown(self, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACME_PASSWORD", "hunter2")

        assert "hunter2" not in str(rows("FROM apikit_connectors()"))

    def test_an_optional_credential_is_not_missed(self, rows: Rows) -> None:
        found = rows("SELECT auth, configured, missing FROM apikit_connectors('github')")

        assert found == [("bearer, optional", True, [])]

    def test_an_account_of_the_config_file_is_known(self, rows: Rows, config: Path) -> None:
        config.write_text('[connectors.eu]\nextends = "acme"\nsettings.region = "eu"\n')

        found = rows("SELECT base_url, missing, streams, place FROM apikit_connectors('eu')")

        assert found == [
            ("https://{region}.acme.test/v1", ["ACME_PASSWORD", "ACME_USER"], 2, f"{config} [connectors.eu]")
        ]

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("nonsense = [", "cannot be read as TOML"),
            ("base_url = 5", "is not a manifest: base_url"),
            ('base_url = "https://x.test"\nauth = { type = "bearer", token = "s3cret" }', "auth.token: must be a ref"),
            ('extends = "nobody"', "extends 'nobody', but no connector is named 'nobody'"),
            ('name = "other"\nbase_url = "https://x.test"', "the manifest's name is 'other'"),
        ],
    )
    def test_a_manifest_that_is_wrong_is_listed_beside_the_others(
        self, rows: Rows, folder: Path, text: str, error: str
    ) -> None:
        (folder / "broken.toml").write_text(text)

        ((name, configured, told),) = rows(
            "SELECT name, configured, error FROM apikit_connectors() WHERE error IS NOT NULL"
        )
        assert (name, configured) == ("broken", False)
        assert error in told
        assert "s3cret" not in told
        assert rows("SELECT error FROM apikit_connectors('acme')") == [(None,)]

    @pytest.mark.parametrize(
        "entry", ["base_url = 5", 'base_url = "https://x.test"\nauth = { type = "bearer", token = "s3cret" }']
    )
    def test_an_entry_of_the_config_file_that_is_wrong_is_listed_beside_the_others(
        self, rows: Rows, config: Path, entry: str
    ) -> None:
        config.write_text(f"[connectors.broken]\n{entry}\n")

        assert rows("SELECT name FROM apikit_connectors() WHERE error IS NOT NULL") == [("broken",)]
        assert rows("SELECT error FROM apikit_connectors('acme')") == [(None,)]

    def test_a_config_file_that_is_no_toml_has_a_row_of_its_own(self, rows: Rows, config: Path) -> None:
        config.write_text("nonsense = [")

        wrong = rows("SELECT name, configured, error FROM apikit_connectors() WHERE name LIKE '%config.toml'")

        ((name, configured, error),) = wrong
        assert (name, configured) == (str(config), False)
        assert "config.toml cannot be read as TOML" in error
        assert rows("SELECT count(*) FROM apikit_connectors() WHERE name IN ('demo', 'github')") == [(2,)]

    def test_an_unknown_name_is_told_in_its_row(self, rows: Rows) -> None:
        ((name, configured, error),) = rows("SELECT name, configured, error FROM apikit_connectors('demi')")

        assert (name, configured) == ("demi", False)
        assert "no connector is named 'demi'. Did you mean demo" in error

    @pytest.mark.parametrize("argument", ["5", "true", "['demo']"])
    def test_a_name_that_is_no_text_is_told_in_our_words(self, rows: Rows, argument: str) -> None:
        with pytest.raises(duckdb.Error) as refused:
            rows(f"FROM apikit_connectors({argument})")

        assert "apikit_connectors" in str(refused.value).partition("\n")[0]

    def test_permissions_narrow_it(self, con: Con, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACME_REGION", "eu")
        apikit_sql.install(con, connectors=["demo", "acme"])

        assert rows("SELECT name FROM apikit_connectors()") == [("acme",), ("demo",)]
        assert rows("FROM apikit_connectors('github')") == []

    def test_it_is_joined_filtered_and_described(self, rows: Rows) -> None:
        rows("CREATE TABLE mine AS SELECT 'acme' AS name")

        assert rows("SELECT streams FROM apikit_connectors() JOIN mine USING (name) WHERE NOT configured") == [(2,)]
        assert rows("SELECT count(*) FROM apikit_connectors()") == [(len(ConnectorRegistry.list()),)]
        assert len(rows("DESCRIBE FROM apikit_connectors()")) == 11


@pytest.mark.usefixtures("folder")
class TestStreams:
    @pytest.fixture(autouse=True)
    def _region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACME_REGION", "eu")

    def test_a_row_tells_what_the_manifest_says(self, con: Con) -> None:
        found = con.execute("FROM apikit_streams('acme')")
        names = [column[0] for column in found.description]
        first, second = (dict(zip(names, row, strict=True)) for row in found.fetchall())

        assert first == {
            "stream": "items",
            "path": "/shops/{shop}/items",
            "needs": ["shop"],
            "key_columns": first["key_columns"],
            "columns": 3,
            "primary_key": ["shop", "id"],
            "updated_at": "changed",
            "description": "What a shop sells",
            "docs": "https://acme.test/docs/items",
        }
        assert json.loads(first["key_columns"]) == {"shop": ["="], "changed": [">=", "<"], "state": ["="]}
        assert (second["needs"], second["columns"], second["updated_at"]) == ([], None, None)

    def test_key_columns_are_read_as_json(self, rows: Rows, api: FakeApi) -> None:
        found = rows("SELECT stream FROM apikit_streams('acme') WHERE key_columns ->> '$.state[0]' = '='")

        assert found == [("items",)]
        assert api.seen == []

    def test_an_unknown_connector_is_told_with_near_names(self, rows: Rows) -> None:
        with pytest.raises(duckdb.Error, match=r"no connector is named 'acne'\. Did you mean acme"):
            rows("FROM apikit_streams('acne')")

    def test_streams_are_listed_before_anything_is_set(self, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ACME_REGION")

        assert rows("SELECT stream FROM apikit_streams('acme')") == [("items",), ("unknown",)]

    @pytest.mark.parametrize("argument", ["NULL", "5", "{a: 1}"])
    def test_a_name_that_is_no_text_is_told_in_our_words(self, rows: Rows, argument: str) -> None:
        with pytest.raises(duckdb.Error) as refused:
            rows(f"FROM apikit_streams({argument})")

        assert "apikit_streams" in str(refused.value).partition("\n")[0]

    def test_a_connector_that_is_not_allowed_is_refused(self, con: Con, rows: Rows) -> None:
        apikit_sql.install(con, connectors=["demo"], ad_hoc=False)

        for connector in ("acme", "https://api.test"):
            with pytest.raises(duckdb.Error, match=r"may (not )?be used here"):
                rows(f"FROM apikit_streams('{connector}')")


def databases(con: Con) -> set[str]:
    return {name for (name,) in con.execute("SELECT database_name FROM duckdb_databases()").fetchall()}


class TestPermissions:
    def test_a_connector_that_is_not_allowed_is_not_attached(self, session: Session) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, connectors=["github"], session=session)

        with pytest.raises(duckdb.Error, match="the connector 'demo' may not be used here; allowed: github"):
            con.execute("CALL apikit_attach('demo')")
        assert "demo" not in databases(con)

    @pytest.mark.parametrize(
        "statement", ["FROM demo.status", "FROM demo.issues('open')", "SELECT demo.warehouses_of('emea')"]
    )
    def test_what_is_allowed_no_longer_is_no_longer_read(self, con: Con, api: FakeApi, statement: str) -> None:
        con.execute("CALL apikit_attach('demo')")
        apikit_sql.install(con, connectors=["github"])

        with pytest.raises(duckdb.Error, match="the connector 'demo' may not be used here"):
            con.execute(statement)
        assert con.execute("SHOW ALL TABLES").fetchall() != []
        assert con.execute("CALL apikit_detach('demo')").fetchall() == [("demo", True)]
        assert api.seen == []

    def test_an_ad_hoc_address_is_refused(self, session: Session) -> None:
        con = duckdb.connect()
        apikit_sql.install(con, ad_hoc=False, session=session)

        with pytest.raises(duckdb.Error, match="only named connectors may be used here"):
            con.execute("CALL apikit_attach('https://api.test', name := 'x')")

    @pytest.mark.skipif(not IS_2, reason="DuckDB 1.x reads no dataset by name without external access")
    def test_without_external_access_it_takes_allow_network(self, session: Session, api: FakeApi) -> None:
        con = duckdb.connect(config={"enable_external_access": "false"})
        apikit_sql.install(con, session=session)
        with pytest.raises(duckdb.Error, match=r"Say install\(con, allow_network=True\)"):
            con.execute("CALL apikit_attach('demo')")
        assert (api.seen, "demo" in databases(con)) == ([], False)

        apikit_sql.install(con, allow_network=True, attach=["demo"])

        assert con.execute("SELECT len(demo.warehouses_of('emea')) FROM demo.status").fetchall() == [(8,)]

    def test_access_that_is_taken_away_later_is_noticed(self, con: Con, api: FakeApi) -> None:
        con.execute("CALL apikit_attach('demo')")
        con.execute("SET enable_external_access = false")

        for statement in ("FROM demo.status", "SELECT demo.warehouses_of('emea')"):
            with pytest.raises(duckdb.Error, match="sends nothing while enable_external_access is false"):
                con.execute(statement)
        assert api.seen == []
