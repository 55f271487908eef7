"""NAME.STREAM_of(keys): for each row the records of its keys as a list, exact, equal keys asked once."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import Busy, FakeApi, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

ACME = """
base_url = "https://acme.test"
retry = { max_attempts = 2, min_wait = 0, max_wait = 60, jitter = 0 }
rate_limit = { warn_above = 1_000_000 }

[streams.parts]
path = "/parts"
columns = { id = "BIGINT", whole = "BIGINT" }
pagination = { strategy = "link" }
key_columns = [{ column = "whole", param = "of", required = true, type = "BIGINT" }]

[streams.rooms]
path = "/houses/{house}/rooms"
pagination = { strategy = "none" }
key_columns = [{ column = "house", path = "house", required = true }, { column = "floor", param = "floor" }]
[streams.rooms.columns]
floor = "BIGINT"
area = "HUGEINT"
plan = "JSON"
walls = "STRUCT(made VARCHAR, doors STRUCT(id HUGEINT, note JSON)[])"
names = "VARCHAR[]"
since = "DATE"

[streams.times]
path = "/times"
pagination = { strategy = "none" }
columns = { at = { type = "TIMESTAMPTZ", format = "epoch" } }
key_columns = [{ column = "at", param = "at", format = "epoch" }]

[streams.days]
path = "/days"
pagination = { strategy = "none" }
columns = { at = "TIMESTAMP" }
key_columns = [{ column = "at", param = "at" }]

[streams.states]
path = "/states"
pagination = { strategy = "none" }
columns = { state = "VARCHAR" }
key_columns = [{ column = "state", param = "state", values = ["open", "paid"] }]

[streams.sampled]
path = "/sampled"
pagination = { strategy = "none" }
key_columns = [{ column = "id", param = "id" }]
"""
ROOM: dict[str, Any] = {
    "floor": -3,
    "area": 2**100,
    "plan": {"b": [1, None, "é"], "a": {}},
    "walls": {"made": "東京", "doors": [{"id": -(2**90), "note": [True]}, None]},
    "names": ["zu", None, "⚠️"],
    "since": "2026-01-31",
}
EMPTY = dict.fromkeys(ROOM)
FAILING = {
    "gone": (httpx.Response(404), "acme: GET /houses/gone/rooms answered 404"),
    "closed": (httpx.Response(401), "acme: GET /houses/closed/rooms answered 401"),
    "odd": (httpx.Response(200, json=[{"floor": "x"}]), 'record 1: floor = "x" does not fit BIGINT'),
    "foreign": (httpx.Response(200, json=[{"house": "h"}]), "a record has house = 'h' where keys asked for 'foreign'"),
    "page": (httpx.Response(200, text="<html>"), "the body is not JSON"),
}


def parts(request: httpx.Request) -> httpx.Response:
    """Three parts of whatever is asked for, on two pages."""
    whole = int(request.url.params["of"])
    records = [{"id": 3 * whole + n, "whole": whole} for n in range(3)]
    return Table(records, page_size=2, paging="link").answer(request)


@pytest.fixture
def api() -> FakeApi:
    states = Table([{"state": "open"}, {"state": "paid"}], filters={"state": ("state", "=")})
    sampled = Table([{"id": n, "of": {"n": n}} for n in range(3)], filters={"id": ("id", "=")})
    api = FakeApi({"/parts": parts, "/sampled": sampled, "/times": Table([{"at": 1_769_821_323}])})
    api.routes |= {"/houses/h/rooms": Table([ROOM]), "/houses/none/rooms": Table([])}
    api.routes |= {"/houses/bare/rooms": Table([EMPTY, {}]), "/states": states}
    api.routes |= {f"/houses/{name}/rooms": answer for name, (answer, _) in FAILING.items()}
    return api


@pytest.fixture
def con(con: Con, tmp_path: Path, api: FakeApi) -> Con:
    """The connection with the connector `acme` attached, and nothing seen by its API."""
    (tmp_path / "config" / "connectors").mkdir(parents=True)
    (tmp_path / "config" / "connectors" / "acme.toml").write_text(ACME)
    con.execute("CALL apikit_attach('acme')")
    api.seen.clear()
    return con


class TestKeys:
    def test_no_text_of_the_data_means_no_key(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/states"] = httpx.Response(200, json=[{"state": "open"}, {"state": "paid"}])

        texts = ["<any>", "<any value>", "{'any': true}", '{"any": true}']
        for text in texts:
            with pytest.raises(duckdb.Error, match="cannot ask for state = "):
                rows("SELECT acme.states_of(" + "'" + text.replace("'", "''") + "')")

        assert api.seen == []

    @pytest.mark.parametrize(("given", "sent"), [("7", "7"), ("true", "true"), ("1.5", "1.5"), ("'007'", "007")])
    def test_a_key_column_has_its_own_type_whatever_is_given(
        self, rows: Rows, api: FakeApi, given: str, sent: str
    ) -> None:
        api.routes[f"/houses/{sent}/rooms"] = httpx.Response(200, json=[ROOM])

        assert rows(f"SELECT house, typeof(house) FROM acme.rooms({given})") == [(sent, "VARCHAR")]
        assert rows(f"SELECT acme.rooms_of({given})[1].house") == [(sent,)]
        assert rows(f"SELECT count(*) FROM acme.rooms({given}) WHERE house = '0{sent}'") == [(0,)]

    def test_a_day_is_its_first_moment(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/times"] = httpx.Response(200, json=[{"at": 1769817600}])

        for statement in ("FROM acme.times(at := DATE '2026-01-31')", "SELECT acme.times_of(DATE '2026-01-31')"):
            assert len(rows(statement)) == 1

        assert api.params("at") == ["1769817600", "1769817600"]

    @pytest.mark.parametrize("given", ["DATE '2026-01-31'", "'2026-01-31'", "'2026-01-31T00:00:00'"])
    def test_a_day_without_zone_is_its_first_moment_too(self, rows: Rows, api: FakeApi, given: str) -> None:
        api.routes["/days"] = httpx.Response(200, json=[{"at": "2026-01-31T00:00:00"}])

        assert len(rows(f"FROM acme.days(at := {given})")) == 1

    def test_a_text_that_tells_no_time_is_no_key_of_a_time(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/times"] = httpx.Response(200, json=[])

        with pytest.raises(duckdb.Error, match="the key at = 'yesterday' is no TIMESTAMPTZ"):
            rows("FROM acme.times(at := 'yesterday')")

    def test_each_row_has_the_list_of_its_key(self, rows: Rows) -> None:
        found = rows("SELECT w, acme.parts_of(w) FROM (VALUES (7), (NULL), (2), (7)) t(w)")

        def of(whole: int) -> list[dict[str, int]]:
            return [{"id": 3 * whole + n, "whole": whole} for n in range(3)]

        assert found == [(7, of(7)), (None, None), (2, of(2)), (7, of(7))]

    def test_equal_keys_are_asked_once_and_pages_in_order(self, rows: Rows, api: FakeApi) -> None:
        rows("SELECT acme.parts_of(i % 3) FROM range(1000) t(i)")

        of_each = [[path for path in api.paths if f"of={key}" in path] for key in range(3)]
        assert of_each == [[f"/parts?of={key}", f"/parts?of={key}&page=2"] for key in range(3)]
        assert len(api.seen) == 6

    def test_five_thousand_rows_of_fifty_keys_ask_each_key_once_a_vector(self, rows: Rows, api: FakeApi) -> None:
        rows("CREATE TABLE wholes AS SELECT i % 50 AS whole FROM range(5000) t(i)")

        assert rows("SELECT count(*), sum(len(acme.parts_of(whole))) FROM wholes") == [(5000, 15_000)]
        assert len(api.seen) <= 3 * 50 * 2

    def test_three_thousand_keys_are_more_than_a_scan_may_have(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/parts"] = lambda request: httpx.Response(200, json=[{"id": 3 * int(request.url.params["of"])}])

        found = rows("SELECT w, p FROM (SELECT w, unnest(acme.parts_of(w)) p FROM range(3000) t(w))")

        assert sorted(found, key=repr) == sorted(((w, {"id": 3 * w, "whole": w}) for w in range(3000)), key=repr)
        assert len(api.seen) == 3_000

    @pytest.mark.parametrize(
        ("call", "path"),
        [
            ("rooms_of('h')", "/houses/h/rooms"),
            ("rooms_of(house := 'h', floor := -3)", "/houses/h/rooms?floor=-3"),
            ("rooms_of('h', -3)", "/houses/h/rooms?floor=-3"),
            ("rooms_of('h', floor := '-3')", "/houses/h/rooms?floor=-3"),
            ("sampled_of(id := 2)", "/sampled?id=2"),
            ("parts_of(3::HUGEINT)", "/parts?of=3"),
            ("parts_of('3')", "/parts?of=3"),
            ("states_of('open')", "/states?state=open"),
        ],
    )
    def test_keys_are_given_by_place_or_by_name(self, rows: Rows, api: FakeApi, call: str, path: str) -> None:
        rows(f"SELECT acme.{call}")

        assert api.paths[0] == path

    @pytest.mark.parametrize(
        ("key", "sent"),
        [
            ("12", "12"),
            ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
            ("true", "true"),
            ("DATE '2026-01-31'", "2026-01-31"),
            ("TIMESTAMP '2026-01-31 01:02:03'", "2026-01-31T01%3A02%3A03Z"),
            ("TIMESTAMPTZ '2026-01-31 01:02:03+02'", "2026-01-30T23%3A02%3A03Z"),
            ("2.50::DECIMAL(9, 2)", "2.5"),
            ("'é ü/?#%&+'", "%C3%A9%20%C3%BC%2F%3F%23%25%26%2B"),
            ("'%2e%2e'", "%252e%252e"),
            ("'x'::ENUM('x', 'y')", "x"),
            ("'6b767cc8-8dda-4d47-bb61-645e26a9a711'::UUID", "6b767cc8-8dda-4d47-bb61-645e26a9a711"),
        ],
    )
    def test_a_key_is_sent_as_people_write_it(self, rows: Rows, api: FakeApi, key: str, sent: str) -> None:
        api.routes["/houses/" + httpx.URL(f"https://x/{sent}").path[1:] + "/rooms"] = Table([])

        assert rows(f"SELECT acme.rooms_of({key})") == [([],)]
        assert api.paths == [f"/houses/{sent}/rooms"]

    @pytest.mark.parametrize("key", ["'NaN'::DOUBLE", "'inf'::DOUBLE", "'..'", "''", "['h']", "{a: 'h'}"])
    def test_a_key_that_no_path_can_hold_is_refused(self, rows: Rows, api: FakeApi, key: str) -> None:
        with pytest.raises(duckdb.Error, match="house"):
            rows(f"SELECT acme.rooms_of({key})")
        assert api.seen == []

    @pytest.mark.parametrize("key", ["env:HOME", " keyring:X", "Bearer env:HOME"])
    def test_a_reference_to_a_secret_is_refused(self, rows: Rows, api: FakeApi, key: str) -> None:
        with pytest.raises(duckdb.Error, match="the parameter 'house' carries a credential, which SQL must not"):
            rows(f"SELECT acme.rooms_of('{key}')")
        assert api.seen == []

    @pytest.mark.parametrize(
        "statement",
        [
            'FROM acme.times WHERE "at" = {}',
            'FROM acme.times("at" := {})',
            "FROM acme.times(keys := [{{'at': {}}}])",
            'SELECT acme.times_of("at" := {})',
        ],
    )
    def test_a_time_is_sent_in_the_format_of_its_column(self, rows: Rows, api: FakeApi, statement: str) -> None:
        rows(statement.format("TIMESTAMPTZ '2026-01-31 01:02:03+00'"))

        assert api.params("at") == ["1769821323"]

    def test_a_value_that_the_api_does_not_accept_is_not_sent(self, rows: Rows, api: FakeApi) -> None:
        for statement in ("FROM acme.states(state := 'lost')", "SELECT acme.states_of('lost')"):
            try:
                rows(statement)
            except duckdb.Error as error:
                assert "state" in str(error)  # noqa: PT017 - rows or an error, as long as nothing is sent

        assert "lost" not in api.params("state")

    def test_without_any_key_it_says_which_there_are(self, rows: Rows, api: FakeApi) -> None:
        with pytest.raises(duckdb.Error, match=r"acme\.sampled_of needs one of its keys: id\."):
            rows("SELECT acme.sampled_of()")
        assert api.seen == []


class TestValues:
    def test_every_type_is_exact(self, rows: Rows) -> None:
        ((room,),) = rows("SELECT acme.rooms_of('h')[1]")

        assert {**room, "plan": json.loads(room["plan"]), "since": str(room["since"])} == {
            **ROOM,
            "walls": {"made": "東京", "doors": [{"id": -(2**90), "note": "[true]"}, None]},
            "house": "h",
        }

    def test_the_list_and_the_table_have_the_same_rows(self, rows: Rows) -> None:
        by_row = rows("SELECT unnest(acme.rooms_of(h), max_depth := 2) FROM (VALUES ('h'), ('bare'), ('none')) t(h)")
        by_scan = rows("FROM acme.rooms WHERE house IN ('h', 'bare', 'none')")

        assert sorted(by_row, key=repr) == sorted(by_scan, key=repr)
        assert len(by_row) == 3

    @pytest.mark.parametrize("house", ["NULL", "NULL::VARCHAR", "(SELECT NULL)"])
    @pytest.mark.parametrize("stream", ["rooms", "parts"])
    def test_nothing_but_null_is_null(self, rows: Rows, api: FakeApi, stream: str, house: str) -> None:
        assert rows(f"SELECT acme.{stream}_of({house}) FROM range(3)") == [(None,)] * 3
        assert api.seen == []

    def test_null_among_several_keys_is_null(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT acme.rooms_of('h', floor := f) FROM (SELECT NULL::INT f FROM range(2))") == [(None,)] * 2
        assert api.seen == []

    def test_no_rows_are_no_lists(self, rows: Rows, api: FakeApi) -> None:
        assert rows("SELECT acme.rooms_of(h) FROM (SELECT 'h' AS h WHERE false)") == []
        assert api.seen == []


class TestStatements:
    @pytest.mark.parametrize("word", ["EXPLAIN", "DESCRIBE"])
    def test_what_only_binds_sends_nothing(self, rows: Rows, api: FakeApi, word: str) -> None:
        rows(f"{word} SELECT acme.rooms_of(h) FROM (VALUES ('h')) t(h)")

        assert api.seen == []

    def test_the_type_is_that_of_the_stream(self, rows: Rows) -> None:
        assert rows("SELECT typeof(acme.sampled_of(id := 1))") == [('STRUCT(id BIGINT, "of" STRUCT(n BIGINT))[]',)]

    @pytest.mark.parametrize(
        "source",
        [
            "(SELECT w, unnest(acme.parts_of(w), max_depth := 2) FROM range(2) t(w))",
            "(SELECT w, p.id FROM range(2) t(w), unnest(acme.parts_of(w)) u(p))",
            "(SELECT w, p.* FROM range(2) t(w), LATERAL (SELECT unnest(acme.parts_of(w), max_depth := 2)) p)",
            "(SELECT w, unnest(acme.parts_of(w), max_depth := 2) FROM range(5) t(w)) WHERE whole < 2",
        ],
    )
    def test_lists_become_rows(self, rows: Rows, source: str) -> None:
        assert rows(f"SELECT w, id FROM {source} ORDER BY ALL") == [(n // 3, n) for n in range(6)]

    @pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
    def test_a_table_or_a_view_holds_it(self, con: Con, rows: Rows, kind: str) -> None:
        rows(f"CREATE {kind} mine AS SELECT w, len(acme.parts_of(w)) AS n FROM range(3) t(w)")

        assert con.cursor().execute("FROM mine ORDER BY w").fetchall() == [(0, 3), (1, 3), (2, 3)]

    def test_where_filters_by_the_list(self, rows: Rows) -> None:
        houses = "(VALUES ('h'), ('none'), (NULL)) t(h)"

        assert rows(f"SELECT h FROM {houses} WHERE len(acme.rooms_of(h)) > 0") == [("h",)]

    def test_several_threads_ask_at_once(self, con: Con) -> None:
        found: list[Any] = []

        def ask(start: int) -> None:
            sql = "SELECT sum(p.whole) FROM (SELECT unnest(acme.parts_of(w)) p FROM range(?, ?) t(w))"
            found.append((start, con.cursor().execute(sql, [start, start + 20]).fetchall()))

        threads = [threading.Thread(target=ask, args=(start,)) for start in range(0, 120, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert sorted(found) == [(s, [(3 * sum(range(s, s + 20)),)]) for s in range(0, 120, 20)]

    def test_keys_are_asked_concurrently_within_the_limit(self, rows: Rows, api: FakeApi) -> None:
        busy = Busy(Table([{"id": n, "whole": n} for n in range(24)], filters={"of": ("whole", "=")}))
        api.routes["/parts"] = busy

        assert rows("SELECT sum(len(acme.parts_of(w))) FROM range(24) t(w)") == [(24,)]
        assert 1 < busy.most <= 8


class TestErrors:
    @pytest.mark.parametrize("house", FAILING)
    def test_what_fails_for_one_key_is_told_in_the_first_line(self, rows: Rows, house: str) -> None:
        with pytest.raises(duckdb.Error) as failed:
            rows(f"SELECT acme.rooms_of(h) FROM (VALUES ('h'), ('{house}'), ('none')) t(h)")

        assert FAILING[house][1] in str(failed.value).partition("\n")[0]
        assert rows("SELECT len(acme.rooms_of('h'))") == [(1,)]

    def test_max_requests_bounds_it(self, con: Con, rows: Rows, api: FakeApi) -> None:
        apikit_sql.install(con, max_requests=4)

        assert rows("SELECT sum(len(acme.parts_of(w))) FROM range(2) t(w)") == [(6,)]
        with pytest.raises(duckdb.Error, match="max_requests"):
            rows("SELECT acme.parts_of(w) FROM range(3) t(w)")
        assert len(api.seen) <= 8

    @pytest.mark.usefixtures("con")
    def test_connect_raises_errors_by_their_class(self, session: Session) -> None:
        ours = apikit_sql.connect(attach=["acme"], session=session)

        with pytest.raises(apikit_sql.RequestError) as failed:
            ours.execute("SELECT acme.rooms_of('gone')")
        assert failed.value.status == 404

    @pytest.mark.usefixtures("con")
    def test_an_interrupt_reaches_one_that_waits(self, session: Session, api: FakeApi) -> None:
        ours = apikit_sql.connect(attach=["acme"], session=session)
        api.routes["/houses/h/rooms"] = httpx.Response(503, headers={"retry-after": "30"})
        timer = threading.Timer(0.5, ours.interrupt)
        start = time.monotonic()

        timer.start()
        with pytest.raises((apikit_sql.ScanInterrupted, duckdb.InterruptException)):
            ours.execute("SELECT acme.rooms_of('h')")

        assert time.monotonic() - start < 10
        assert ours.execute("SELECT 1").fetchall() == [(1,)]
