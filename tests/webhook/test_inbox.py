"""A table as the store of deliveries: what it is called, whether it fits, and what is told where it fails."""

import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from apikit_sql import ConfigError
from apikit_sql.webhook.delivery import Delivery
from apikit_sql.webhook.group_commit import RefusedRowError, StoreError, UnreadableError
from apikit_sql.webhook.inbox import Inbox, TableName, table_name

Con = duckdb.DuckDBPyConnection

NAME = TableName("memory", "main", "events")
MADE = """CREATE TABLE events (received_at TIMESTAMPTZ, provider VARCHAR, event VARCHAR, id VARCHAR, headers JSON,
          payload JSON, verdict VARCHAR"""


def delivery(name: str | None, payload: str = "{}", provider: str = "stripe") -> Delivery:
    return Delivery(1_700_000_000_000_000, provider, None, name, "{}", payload, "verified")


@pytest.fixture
def con() -> Iterator[Con]:
    with duckdb.connect() as con:
        yield con


@pytest.fixture
def inbox(con: Con) -> Inbox:
    inbox = Inbox(NAME, con.cursor)
    inbox.open()
    return inbox


class TestNames:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("events", ("here", "now", "events")),
            ("raw.events", ("here", "raw", "events")),
            ("other.events", ("other", "main", "events")),
            ("other.raw.events", ("other", "raw", "events")),
            ('"a.b"."c""d"', ("here", "a.b", 'c"d')),
            ('"two words"', ("here", "now", "two words")),
        ],
    )
    def test_a_name_is_found_from_where_the_caller_is(self, text: str, expected: tuple[str, str, str]) -> None:
        assert table_name(text, "here", "now", ["here", "other"]) == TableName(*expected)

    def test_a_catalog_is_found_whatever_its_case(self) -> None:
        assert table_name("OTHER.events", "here", "now", ["here", "other"]) == TableName("OTHER", "main", "events")

    @pytest.mark.parametrize("text", ["", " ", ".", "a.", ".a", "a..b", "a.b.c.d", 'a"b', "two words", '"open'])
    def test_what_is_no_name_is_told(self, text: str) -> None:
        with pytest.raises(ConfigError, match="is no name"):
            table_name(text, "here", "now", [])


class TestTables:
    @pytest.mark.parametrize(
        "rest",
        [", UNIQUE (provider, id))", ", UNIQUE (id, provider))", ", n INTEGER DEFAULT 1, UNIQUE (provider, id))"],
    )
    def test_a_table_that_fits_is_taken_and_keeps_its_rows(self, con: Con, rest: str) -> None:
        con.execute(MADE + rest)
        con.execute("INSERT INTO events (provider, id) VALUES ('stripe', 'a')")

        inbox = Inbox(NAME, con.cursor)
        inbox.open()

        assert inbox.write([delivery("a"), delivery("b")]) == 1
        assert con.execute("SELECT id FROM events ORDER BY id").fetchall() == [("a",), ("b",)]

    @pytest.mark.parametrize(
        ("sql", "lacks"),
        [
            (f"{MADE})", r"lacks UNIQUE \(provider, id\)"),
            (f"{MADE}, UNIQUE (id))", r"lacks UNIQUE \(provider, id\)"),
            (MADE.replace("payload JSON", "payload VARCHAR") + ", UNIQUE (provider, id))", "lacks payload JSON"),
            ("CREATE TABLE events (id INTEGER)", "lacks received_at TIMESTAMP WITH TIME ZONE, provider VARCHAR"),
            (f"{MADE}, n INTEGER NOT NULL, UNIQUE (provider, id))", "cannot be written"),
            ("CREATE VIEW events AS SELECT 1", "cannot be written|lacks"),
        ],
    )
    def test_a_table_that_does_not_fit_is_refused_and_left_alone(self, con: Con, sql: str, lacks: str) -> None:
        con.execute(sql)
        with pytest.raises(ConfigError, match=lacks):
            Inbox(NAME, con.cursor).open()

        assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name <> 'events'").fetchall() == [(0,)]

    def test_a_table_is_the_same_in_another_case(self, con: Con, inbox: Inbox) -> None:
        other = Inbox(TableName("MEMORY", "Main", "EVENTS"), con.cursor)
        other.open()

        assert (inbox.write([delivery("a")]), other.write([delivery("a")])) == (1, 0)

    def test_a_schema_that_is_not_there_is_told(self, con: Con) -> None:
        with pytest.raises(ConfigError, match="nosuch"):
            Inbox(TableName("memory", "nosuch", "events"), con.cursor).open()

    def test_a_database_that_may_only_be_read_is_told(self, tmp_path: Path) -> None:
        duckdb.connect(str(tmp_path / "file.db")).close()
        with (
            duckdb.connect(str(tmp_path / "file.db"), read_only=True) as con,
            pytest.raises(ConfigError, match="read-only mode"),
        ):
            Inbox(TableName("file", "main", "events"), con.cursor).open()


class TestWriting:
    def test_each_id_is_there_once_within_and_across_batches(self, con: Con, inbox: Inbox) -> None:
        first, again = [delivery("a"), delivery("b"), delivery("a")], [delivery("b"), delivery("c")]

        assert (inbox.write(first), inbox.write(again), inbox.write(again)) == (2, 1, 0)
        assert con.execute("SELECT list(id ORDER BY id) FROM events").fetchall() == [(["a", "b", "c"],)]

    def test_an_id_is_a_providers_own_and_what_has_none_is_always_new(self, inbox: Inbox) -> None:
        assert inbox.write([delivery("a"), delivery("a", provider="github"), delivery(None), delivery(None)]) == 4

    def test_one_payload_that_duckdb_cannot_read_is_told_apart(self, inbox: Inbox) -> None:
        with pytest.raises(UnreadableError):
            inbox.write([delivery("a"), delivery("b", payload="{")])

        assert inbox.write([delivery("a")]) == 1

    def test_a_table_that_is_dropped_is_told_and_taken_again_when_it_is_back(self, con: Con, inbox: Inbox) -> None:
        con.execute("DROP TABLE events")
        with pytest.raises(StoreError, match="events"):
            inbox.write([delivery("a")])

        inbox.open()
        assert inbox.write([delivery("a")]) == 1

    @pytest.mark.parametrize(
        "statements",
        [
            ["CREATE OR REPLACE TABLE events AS FROM events"],
            ["ALTER TABLE events RENAME TO old", "CREATE TABLE events AS FROM old LIMIT 0"],
        ],
    )
    def test_a_table_that_would_take_an_id_twice_by_now_is_told_and_takes_none(
        self, con: Con, inbox: Inbox, statements: list[str]
    ) -> None:
        inbox.write([delivery("a")])
        for sql in statements:
            con.execute(sql)
        ((before,),) = con.execute("SELECT count(*) FROM events").fetchall()

        for name in ("a", "b", None):
            with pytest.raises(StoreError, match=r"events\" lacks .*UNIQUE \(provider, id\)"):
                inbox.write([delivery(name)])

        assert con.execute("SELECT count(*) FROM events").fetchall() == [(before,)]

    @pytest.mark.parametrize(
        "constraint", ["CREATE UNIQUE INDEX other ON events (id)", "CREATE UNIQUE INDEX other ON events (payload)"]
    )
    def test_what_another_constraint_refuses_is_told_and_not_taken_for_known(
        self, con: Con, inbox: Inbox, constraint: str
    ) -> None:
        con.execute(constraint)
        inbox.write([delivery("a", provider="one")])

        with pytest.raises(RefusedRowError, match="violates unique"):
            inbox.write([delivery("a", provider="two")])
        assert inbox.write([delivery("a", provider="one")]) == 0

    def test_a_row_that_a_check_refuses_is_told(self, con: Con) -> None:
        con.execute(f"{MADE}, CHECK (id <> 'bad'), UNIQUE (provider, id))")
        inbox = Inbox(NAME, con.cursor)
        inbox.open()

        with pytest.raises(RefusedRowError, match="CHECK"):
            inbox.write([delivery("a"), delivery("bad")])
        assert con.execute("FROM events").fetchall() == []

    def test_a_transaction_that_is_in_the_way_for_a_moment_is_waited_for(self, con: Con, inbox: Inbox) -> None:
        con.execute("BEGIN")
        con.execute("ALTER TABLE events ADD COLUMN note VARCHAR")
        soon = threading.Timer(0.06, lambda: con.execute("COMMIT"))
        soon.start()

        assert inbox.write([delivery("a")]) == 1
        soon.join()

    def test_a_callers_transaction_neither_sees_nor_undoes_what_is_stored(self, con: Con, inbox: Inbox) -> None:
        con.execute("BEGIN")
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(0,)]
        assert inbox.write([delivery("a")]) == 1
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(0,)]
        con.execute("ROLLBACK")

        assert con.execute("SELECT count(*) FROM events").fetchall() == [(1,)]

    def test_an_id_that_another_transaction_holds_is_told_and_may_come_again(self, con: Con, inbox: Inbox) -> None:
        con.execute("BEGIN")
        con.execute("INSERT INTO events VALUES (now(), 'stripe', NULL, 'a', '{}', '{}', '')")
        try:
            stored = inbox.write([delivery("a")])
        except StoreError:
            stored = 0
        outcome = "COMMIT" if stored == 0 else "ROLLBACK"
        con.execute(outcome)

        assert inbox.write([delivery("a")]) == 0
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(1,)]

    def test_many_writers_store_each_id_once(self, con: Con, inbox: Inbox) -> None:
        new: list[int] = []

        def write() -> None:
            for number in range(20):
                while True:
                    try:
                        new.append(inbox.write([delivery(str(number)), delivery(str(number + 1))]))
                        break
                    except StoreError:
                        continue

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sum(new) == 21
        assert con.execute("SELECT count(*), count(DISTINCT id) FROM events").fetchall() == [(21, 21)]

    def test_nothing_is_stored_once_the_database_is_closed(self, tmp_path: Path) -> None:
        con = duckdb.connect(str(tmp_path / "file.db"))

        def cursor() -> Con | None:
            try:
                return con.cursor()
            except duckdb.ConnectionException:
                return None

        inbox = Inbox(TableName("file", "main", "events"), cursor)
        inbox.open()
        assert inbox.is_there()
        con.close()

        assert not inbox.is_there()
        with pytest.raises(StoreError, match="closed"):
            inbox.write([delivery("a")])
        with pytest.raises(ConfigError, match="closed"):
            inbox.open()
