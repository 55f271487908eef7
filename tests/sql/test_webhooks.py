"""Webhooks as SQL: started, listed, stopped; deliveries as rows, read while they come; nothing left behind."""

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.sql.script import run_script
from tests.webhook.signing import SECRET, deliver, github, hexadecimal, standard, stripe

Con = duckdb.DuckDBPyConnection
Rows = list[tuple[Any, ...]]

START = "CALL apikit_webhook_start('hooks', 'stripe', 'env:WEBHOOK_SECRET', port := 0)"
WEBHOOKS = Path(__file__).parents[1] / "fakes" / "recorded" / "github-webhooks.json.gz"
BODY = b'{"id": "evt_1", "type": "charge.succeeded", "data": {"amount": 150}}'


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)


@pytest.fixture
def con(session: Session, tmp_path: Path) -> Iterator[Con]:
    con = duckdb.connect(str(tmp_path / "file.db"))
    apikit_sql.install(con, session=session)
    yield con
    for (name,) in con.execute("SELECT name FROM apikit_webhooks()").fetchall():
        con.execute(f"CALL apikit_webhook_stop('{name}')")
    con.close()


def started(con: Con, sql: str = START) -> str:
    """The address of a receiver."""
    ((_, address, _),) = con.execute(sql).fetchall()
    return str(address)


def port_of(address: str) -> int:
    return int(address.split(":")[2].partition("/")[0])


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestRows:
    def test_a_delivery_is_a_row_when_it_is_answered(self, con: Con) -> None:
        address, before = started(con), time.time()

        for _ in range(2):
            assert deliver(address, BODY, stripe(BODY) | {"cookie": "c"}).status_code == 200

        ((at, *names, amount, cookie),) = con.execute(
            """SELECT epoch(received_at), provider, event, id, verdict, (payload ->> '$.data.amount')::INTEGER,
               headers ->> 'cookie' FROM hooks_events"""
        ).fetchall()
        assert before - 1 < at < time.time() + 1
        assert names == ["stripe", "charge.succeeded", "evt_1", "verified"]
        assert (amount, cookie) == (150, "***REDACTED***")

    def test_the_receivers_tell_how_they_fare(self, con: Con) -> None:
        address = started(con)
        for headers in (stripe(BODY), stripe(BODY), stripe(BODY, "other"), {}):
            deliver(address, BODY, headers)

        found = con.execute(
            """SELECT name, provider, address, table_name, received, stored, duplicates, rejected, failed, waiting,
               error, lag_ms BETWEEN 0 AND 5000, last_stored_at >= started_at FROM apikit_webhooks()"""
        ).fetchall()
        ((reasons,),) = con.execute("SELECT rejections FROM apikit_webhooks(name := 'hooks')").fetchall()
        assert found == [("hooks", "stripe", address, "hooks_events", 4, 1, 1, 2, 0, 0, None, True, True)]
        assert json.loads(reasons) == {
            "Stripe-Signature does not match": 1,
            "the header Stripe-Signature is missing": 1,
        }
        assert con.execute("FROM apikit_webhooks(name := 'other')").fetchall() == []

    def test_real_payloads_of_github_arrive_and_can_be_queried(self, con: Con) -> None:
        address = started(con, START.replace("'stripe'", "'github'"))
        kinds = json.loads(gzip.decompress(WEBHOOKS.read_bytes()))
        sent = [(kind["name"], example) for kind in kinds for example in kind["examples"]]

        for number, (event, payload) in enumerate(sent):
            body = json.dumps(payload).encode()
            assert deliver(address, body, github(body, f"guid-{number}", event)).status_code == 200

        stored = con.execute("SELECT id, event, payload FROM hooks_events").fetchall()
        assert {name: (event, json.loads(payload)) for name, event, payload in stored} == {
            f"guid-{number}": each for number, each in enumerate(sent)
        }
        titles = con.execute(
            "SELECT payload ->> '$.issue.title' FROM hooks_events WHERE event = 'issues' ORDER BY id"
        ).fetchall()
        assert titles == [(payload["issue"]["title"],) for event, payload in sent if event == "issues"]

    def test_a_count_grows_and_never_shrinks_while_they_come(self, con: Con) -> None:
        address, counts, is_over = started(con), [0], threading.Event()
        bodies = [json.dumps({"id": f"evt_{number}"}).encode() for number in range(200)]

        def look() -> None:
            cursor = con.cursor()
            while not is_over.is_set():
                ((count, distinct),) = cursor.execute(
                    "SELECT count(*), count(DISTINCT id) FROM hooks_events"
                ).fetchall()
                assert count == distinct
                counts.append(count)

        reader = threading.Thread(target=look)
        reader.start()
        with ThreadPoolExecutor(16) as pool:
            answers = [pool.submit(deliver, address, body, stripe(body)) for body in bodies]
            for number, answer in enumerate(answers, 1):
                assert answer.result().status_code == 200
                if number % 50 == 0:  # what is answered is there
                    ((count,),) = con.execute("SELECT count(*) FROM hooks_events").fetchall()
                    assert count >= number
        is_over.set()
        reader.join()

        assert counts == sorted(counts)
        assert len(set(counts)) > 3
        assert con.execute("SELECT count(*) FROM hooks_events").fetchall() == [(200,)]

    def test_several_receivers_write_into_one_table_and_into_others(self, con: Con) -> None:
        con.execute("CREATE SCHEMA raw")
        options = "'env:WEBHOOK_SECRET', port := 0, table_name := 'raw.all'"
        addresses = {
            "stripe": started(con, f"CALL apikit_webhook_start('a', 'stripe', {options})"),
            "standard": started(con, f"CALL apikit_webhook_start('b', 'standard', {options})"),
            "hmac": started(
                con, f"CALL apikit_webhook_start('c', 'hmac', {options}, prefix := 'v=', id_header := 'X-Id')"
            ),
        }

        deliver(addresses["stripe"], BODY, stripe(BODY))
        deliver(addresses["standard"], BODY, standard(BODY, "evt_1"))
        deliver(addresses["hmac"], BODY, {"x-signature": f"v={hexadecimal(BODY)}", "x-id": "evt_1"})

        found = con.execute("SELECT provider, id FROM raw.all ORDER BY 1").fetchall()
        assert found == [("b", "evt_1"), ("c", "evt_1"), ("stripe", "evt_1")]

    def test_an_id_is_known_after_a_restart(self, con: Con) -> None:
        for _ in range(2):
            deliver(started(con), BODY, stripe(BODY))
            con.execute("CALL apikit_webhook_stop('hooks')")

        assert con.execute("SELECT count(*) FROM hooks_events").fetchall() == [(1,)]

    def test_it_is_stored_beside_a_transaction_that_is_rolled_back(self, con: Con) -> None:
        con.execute("BEGIN")
        address = started(con)
        assert deliver(address, BODY, stripe(BODY)).status_code == 200
        con.execute("ROLLBACK")

        assert con.execute("SELECT id FROM hooks_events").fetchall() == [("evt_1",)]

    def test_it_is_stored_while_its_connection_is_busy(self, con: Con) -> None:
        address = started(con)
        busy = threading.Thread(
            target=lambda: con.execute("SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b").fetchall()
        )
        busy.start()

        assert deliver(address, BODY, stripe(BODY)).status_code == 200
        busy.join()

    def test_in_memory_it_is_kept_as_long_as_the_database(self, session: Session) -> None:
        with duckdb.connect() as con:
            apikit_sql.install(con, session=session)
            deliver(started(con), BODY, stripe(BODY))

            assert con.cursor().execute("SELECT id FROM hooks_events").fetchall() == [("evt_1",)]
            con.execute("CALL apikit_webhook_stop('hooks')")


class TestCalls:
    def test_to_start_twice_is_harmless_and_explain_starts_nothing(self, con: Con) -> None:
        for sql in (f"EXPLAIN {START}", f"PREPARE p AS {START.replace('CALL', 'FROM')}"):
            con.execute(sql)
        assert con.execute("FROM apikit_webhooks()").fetchall() == []

        address = started(con)

        assert started(con) == address
        con.execute(f"EXPLAIN {START}")
        con.execute("EXPLAIN CALL apikit_webhook_stop('hooks')")
        assert [name for (name, *_) in con.execute("FROM apikit_webhooks()").fetchall()] == ["hooks"]

    def test_an_explained_statement_starts_and_stops_nothing(self, con: Con) -> None:
        ((why,),) = con.execute(f"SELECT why FROM apikit_explain($$ {START.replace('CALL', 'FROM')} $$)").fetchall()
        assert why == "apikit_webhook_start does nothing while it is explained"
        assert con.execute("FROM apikit_webhooks()").fetchall() == []

        started(con)
        con.execute("FROM apikit_explain($$ FROM apikit_webhook_stop('hooks') $$)").fetchall()
        assert len(con.execute("FROM apikit_webhooks()").fetchall()) == 1

    def test_the_same_name_with_other_arguments_is_refused(self, con: Con) -> None:
        address = started(con)
        with pytest.raises(duckdb.Error, match="'hooks' runs already, with other arguments"):
            con.execute(START.replace("port := 0", "port := 0, path := '/other'"))

        assert deliver(address, BODY, stripe(BODY)).status_code == 200

    def test_to_stop_tells_whether_it_ran_and_leaves_no_thread_and_no_port(self, con: Con) -> None:
        def ours() -> list[str]:
            return [each.name for each in threading.enumerate() if "webhook" in each.name]

        address = started(con)
        assert len(ours()) == 2

        assert con.execute("CALL apikit_webhook_stop('hooks')").fetchall() == [("hooks", True)]
        assert con.execute("CALL apikit_webhook_stop('hooks')").fetchall() == [("hooks", False)]

        assert ours() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port_of(address)))

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ("'h', 'stripe', 'whsec_abc'", "secret must be a reference"),
            ("'h', 'stripe', NULL", "secret must be a reference"),
            ("'h', 'stripe', ['env:WEBHOOK_SECRET', 'whsec_abc']", "secret must be a reference"),
            ("'h', 'stripe', 'env:WEBHOOK_NOT_THERE'", "nothing is stored at env:WEBHOOK_NOT_THERE"),
            ("'h', 'paypal', 'env:WEBHOOK_SECRET'", "write 'stripe', 'github', 'standard' or 'hmac'"),
            ("NULL, 'stripe', 'env:WEBHOOK_SECRET'", "name is NULL"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', port := 70000", "port is 70000"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', port := '80'", "port must be a whole number"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', path := 'x'", "path is 'x'"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', tolerance := -1", "tolerance is -1"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', header := 'X'", "are of provider := 'hmac'"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', port := 0, table_name := 'a.b.c.d'", "is no name"),
            ("'h', 'stripe', 'env:WEBHOOK_SECRET', port := 0, table_name := 'taken'", "is no inbox"),
        ],
    )
    def test_what_is_wrong_is_told_and_no_secret_is(self, con: Con, arguments: str, told: str) -> None:
        con.execute("CREATE TABLE taken (id INTEGER)")
        with pytest.raises(duckdb.Error, match=told) as caught:
            con.execute(f"CALL apikit_webhook_start({arguments})")

        assert "abc" not in str(caught.value)
        assert con.execute("FROM apikit_webhooks()").fetchall() == []

    def test_an_empty_secret_refuses_to_start(self, con: Con, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEBHOOK_SECRET", "   ")
        with pytest.raises(duckdb.Error, match="the secret is empty"):
            con.execute(START)

    def test_several_references_are_good_while_a_secret_is_rotated(
        self, con: Con, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NEW_SECRET", "whsec_new")
        address = started(con, START.replace("'env:WEBHOOK_SECRET'", "['env:WEBHOOK_SECRET', 'env:NEW_SECRET']"))
        deliver(address, BODY, stripe(BODY, "whsec_new"))

        assert con.execute("SELECT verdict FROM hooks_events").fetchall() == [("verified by secret 2",)]

    def test_connect_raises_our_own_errors(self, session: Session) -> None:
        with (
            apikit_sql.connect(session=session) as con,
            pytest.raises(apikit_sql.CallError, match="secret must be a reference"),
        ):
            con.execute("CALL apikit_webhook_start('h', 'stripe', 'literal')")

    def test_nothing_listens_where_sql_may_not_reach_the_network(self, session: Session) -> None:
        with duckdb.connect(config={"enable_external_access": "false"}) as con:
            apikit_sql.install(con, session=session, allow_network=False)
            with pytest.raises(duckdb.Error, match=r"sends nothing|needs DuckDB"):
                con.execute(START)

    @pytest.mark.parametrize("limits", [{"ad_hoc": False}, {"connectors": ["demo"]}])
    def test_limited_sql_opens_and_closes_no_port_and_asks_for_no_secret(
        self, session: Session, limits: dict[str, Any]
    ) -> None:
        with duckdb.connect() as con:
            apikit_sql.install(con, session=session)
            address = started(con)
            apikit_sql.install(con, **limits, session=session)
            for sql in (
                START,
                START.replace("'hooks'", "'other'"),
                START.replace("WEBHOOK_SECRET", "WEBHOOK_NOT_THERE"),
                f"EXPLAIN {START}",
                "CALL apikit_webhook_stop('hooks')",
            ):
                with pytest.raises(duckdb.Error, match="may start and stop no receivers here"):
                    con.execute(sql)

            assert deliver(address, BODY, stripe(BODY)).status_code == 200  # what was started before goes on
            assert con.execute("SELECT id FROM hooks_events").fetchall() == [("evt_1",)]
        until(lambda: not any("webhook" in each.name for each in threading.enumerate()))

    def test_the_largest_delivery_and_the_tolerance_are_as_they_are_said(self, con: Con) -> None:
        address = started(con, START.replace("port := 0", f"port := 0, max_body := {len(BODY)}, tolerance := 5"))
        now = int(time.time())

        assert deliver(address, BODY, stripe(BODY)).status_code == 200
        assert deliver(address, BODY + b" ", stripe(BODY + b" ")).status_code == 413
        assert deliver(address, BODY, stripe(BODY, moment=now - 20)).status_code == 401

    def test_a_tolerance_may_be_longer_than_usual(self, con: Con) -> None:
        address = started(
            con, START.replace("'stripe'", "'standard'").replace("port := 0", "port := 0, tolerance := 1000")
        )
        body, then = b"{}", int(time.time()) - 600

        assert deliver(address, body, standard(body, "1", then)).status_code == 200

    def test_starts_at_once_are_one(self, con: Con) -> None:
        cursors = [con.cursor() for _ in range(6)]
        for cursor in cursors:
            apikit_sql.install(cursor)
        before = threading.active_count()
        with ThreadPoolExecutor(6) as pool:
            addresses = set(pool.map(started, cursors))

        assert len(addresses) == 1
        assert len([each for each in threading.enumerate() if each.name == "apikit-webhook-hooks-store"]) == 1
        assert threading.active_count() <= before + 2

    @pytest.mark.parametrize("name", ["my shop", "my.shop", "select"])
    def test_any_name_has_a_table_of_its_own(self, con: Con, name: str) -> None:
        address = started(con, START.replace("hooks", name))
        deliver(address, BODY, stripe(BODY))

        assert con.execute(f'SELECT id FROM "{name}_events"').fetchall() == [("evt_1",)]

    def test_nothing_listens_where_duckdb_has_no_external_access_though_apis_may_be_asked(
        self, session: Session
    ) -> None:
        with duckdb.connect(config={"enable_external_access": "false"}) as con:
            apikit_sql.install(con, session=session, allow_network=True)
            with pytest.raises(duckdb.Error, match=r"opens a port|needs DuckDB"):
                con.execute(START)


class TestTrouble:
    def test_ids_that_another_constraint_refuses_are_503_and_told(self, con: Con) -> None:
        options = "'env:WEBHOOK_SECRET', port := 0, table_name := 'hooks', id_header := 'X-Id'"
        one, two = (started(con, f"CALL apikit_webhook_start('{name}', 'hmac', {options})") for name in ("a", "b"))
        con.execute("CREATE UNIQUE INDEX by_id ON hooks (id)")
        headers = {"x-signature": hexadecimal(BODY), "x-id": "1001"}

        assert [deliver(each, BODY, headers).status_code for each in (one, two, one)] == [200, 503, 200]
        found = con.execute("SELECT name, stored, duplicates, failed FROM apikit_webhooks() ORDER BY name").fetchall()
        assert found == [("a", 1, 1, 0), ("b", 0, 0, 1)]
        ((error,),) = con.execute("SELECT error FROM apikit_webhooks('b')").fetchall()
        assert "violates unique" in error

    def test_a_table_that_was_replaced_is_503_and_told(self, con: Con) -> None:
        address = started(con)
        deliver(address, BODY, stripe(BODY))
        con.execute("CREATE OR REPLACE TABLE hooks_events AS FROM hooks_events")

        assert [deliver(address, BODY, stripe(BODY)).status_code for _ in range(2)] == [503, 503]
        ((error,),) = con.execute("SELECT error FROM apikit_webhooks()").fetchall()
        assert "UNIQUE (provider, id)" in error

    def test_a_table_that_is_gone_is_503_and_told_until_it_is_back(self, con: Con) -> None:
        address = started(con)
        ((made,),) = con.execute("SELECT sql FROM duckdb_tables() WHERE table_name = 'hooks_events'").fetchall()
        con.execute("DROP TABLE hooks_events")
        answer = deliver(address, BODY, stripe(BODY))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        ((failed, error),) = con.execute("SELECT failed, error FROM apikit_webhooks()").fetchall()
        assert failed == 1
        assert "hooks_events" in error

        con.execute(made)
        assert deliver(address, BODY, stripe(BODY)).status_code == 200
        assert con.execute("SELECT stored, error FROM apikit_webhooks()").fetchall() == [(1, None)]

    def test_a_database_that_is_detached_is_503_and_taken_again(self, con: Con, tmp_path: Path) -> None:
        con.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")
        address = started(con, START.replace("port := 0", "port := 0, table_name := 'other.events'"))
        assert deliver(address, BODY, stripe(BODY)).status_code == 200
        con.execute("DETACH other")
        assert deliver(address, BODY, stripe(BODY)).status_code == 503
        con.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")
        assert deliver(address, BODY, stripe(BODY)).status_code == 200

        assert con.execute("SELECT id FROM other.events").fetchall() == [("evt_1",)]

    def test_a_disk_that_is_full_is_503_and_told(self, tmp_path: Path) -> None:
        done = run_script(
            """
            import json, os, resource
            import duckdb, apikit_sql
            from tests.webhook.signing import SECRET, deliver, stripe

            os.environ["WEBHOOK_SECRET"] = SECRET
            con = duckdb.connect("file.db")
            apikit_sql.install(con)
            con.execute("CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)")
            ((address,),) = con.execute("SELECT address FROM apikit_webhooks()").fetchall()
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
            good = []
            for number in range(40):
                body = json.dumps({"id": f"evt_{number}", "x": os.urandom(5_000).hex()}).encode()
                answer = deliver(address, body, stripe(body))
                if answer.status_code == 200:
                    good.append(f"evt_{number}")
                else:
                    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), answer
            assert 0 < len(good) < 40
            ((error,),) = con.execute("SELECT error FROM apikit_webhooks()").fetchall()
            assert error, error
            print(json.dumps(good), flush=True)
            os._exit(0)
            """,
            folder=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        with duckdb.connect(str(tmp_path / "file.db")) as con:
            stored = [name for (name,) in con.execute("SELECT id FROM h_events").fetchall()]

        assert set(json.loads(done.stdout)) <= set(stored)  # what was answered is there
        assert len(stored) == len(set(stored))


class TestEnds:
    @pytest.mark.parametrize("how", ["con.close()", "del con; gc.collect()"])
    def test_a_connection_that_ends_takes_its_receiver_along(self, tmp_path: Path, how: str) -> None:
        done = run_script(
            f"""
            import gc, os, socket, subprocess, sys, threading, time
            import duckdb, apikit_sql
            from tests.webhook.signing import SECRET, deliver, stripe

            os.environ["WEBHOOK_SECRET"] = SECRET
            con = duckdb.connect("file.db")
            apikit_sql.install(con)
            ((_, address, _),) = con.execute(
                "CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)").fetchall()
            body = b'{{"id": "evt_1"}}'
            assert deliver(address, body, stripe(body)).status_code == 200
            {how}
            opener = "import duckdb; print(duckdb.connect('file.db').execute('SELECT id FROM h_events').fetchall())"
            print(subprocess.run([sys.executable, "-c", opener], capture_output=True, text=True).stdout, end="")
            deadline = time.monotonic() + 10
            while any("webhook" in each.name for each in threading.enumerate()):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            try:
                deliver(address, body, stripe(body))
            except Exception as error:
                print(type(error).__name__)
            """,
            folder=tmp_path,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "[('evt_1',)]\nConnectError\n"

    def test_a_database_that_is_closed_and_opened_again_listens_at_the_same_port(
        self, session: Session, tmp_path: Path
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for number in range(3):
            with duckdb.connect(str(tmp_path / "file.db")) as con:
                apikit_sql.install(con, session=session)
                address = started(con, START.replace("port := 0", f"port := {port}"))
                body = json.dumps({"id": f"evt_{number}"}).encode()
                assert deliver(address, body, stripe(body)).status_code == 200

        with duckdb.connect(str(tmp_path / "file.db")) as con:
            assert con.execute("SELECT count(*) FROM hooks_events").fetchall() == [(3,)]
        until(lambda: not any("webhook" in each.name for each in threading.enumerate()))

    def test_the_interpreter_ends_while_deliveries_come(self, tmp_path: Path) -> None:
        done = run_script(
            """
            import json, os, threading, time
            import duckdb, apikit_sql
            from tests.webhook.signing import SECRET, deliver, stripe

            os.environ["WEBHOOK_SECRET"] = SECRET
            con = duckdb.connect("file.db")
            apikit_sql.install(con)
            ((_, address, _),) = con.execute(
                "CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)").fetchall()
            good = open("good", "w")

            def send(lane):
                for number in range(10_000):
                    body = json.dumps({"id": f"evt_{lane}_{number}"}).encode()
                    try:
                        if deliver(address, body, stripe(body)).status_code == 200:
                            print(f"evt_{lane}_{number}", file=good, flush=True)
                    except Exception:
                        break

            for lane in range(4):
                threading.Thread(target=send, args=(lane,), daemon=True).start()
            time.sleep(1)
            """,
            folder=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        assert "Fatal" not in done.stderr
        with duckdb.connect(str(tmp_path / "file.db")) as con:
            stored = {name for (name,) in con.execute("SELECT id FROM h_events").fetchall()}

        good = set((tmp_path / "good").read_text().split())
        assert good
        assert good <= stored

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_child_does_not_hold_the_port(self, tmp_path: Path) -> None:
        done = run_script(
            """
            import os, socket, warnings
            warnings.simplefilter("ignore")
            from apikit_sql import StripeWebhookValidator, WebhookReceiver

            receiver = WebhookReceiver(0, validator=StripeWebhookValidator("whsec_x"))
            receiver.start()
            port = int(receiver.address.split(":")[2].partition("/")[0])
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)  # until its parent has looked
                os._exit(0)
            receiver.stop()
            socket.create_server(("127.0.0.1", port)).close()
            try:
                socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                print("free")
            os.close(writer)
            os.waitpid(child, 0)
            """,
            folder=tmp_path,
        )

        assert (done.returncode, done.stdout, done.stderr) == (0, "free\n", "")

    def test_a_kill_loses_nothing_that_was_answered(self) -> None:
        command = [sys.executable, "-m", "tests.reliability.webhook_kills", "4"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

        assert done.returncode == 0, done.stderr
        assert "4 kills" in done.stdout
