"""The options that bound, sample and forgive: what each does to the rows, the requests and the warnings."""

import json
from collections.abc import Callable
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, ApikitWarning, RateLimitError, SchemaDriftError
from tests.fakes.api import BASE_URL, Busy, FakeApi, Paging, Table

Con = duckdb.DuckDBPyConnection
Rows = Callable[[str], list[tuple[Any, ...]]]

IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2
#: Two records a page. `late` comes on page 2, `nothing` gets its type there, `many` changes its kind on page 3.
LATE: list[dict[str, Any]] = [
    {"id": 1, "nothing": None, "many": 1},
    {"id": 2, "nothing": None, "many": 2},
    {"id": 3, "nothing": 7, "many": 3, "late": "x"},
    {"id": 4, "nothing": None, "many": 4},
    {"id": 5, "nothing": 8, "many": "five"},
]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/late": Table(LATE, page_size=2, paging="link")})


def source(path: str, *options: str) -> str:
    return f"apikit({', '.join([repr(BASE_URL), repr(path), *options])})"


def names(rows: Rows, table: str) -> dict[str, str]:
    """The columns of `table`, with their types."""
    return dict(rows(f"SELECT column_name, column_type FROM (DESCRIBE FROM {table})"))


def error_of(con: Con, sql: str) -> str:
    """The first line of the error that `sql` raises."""
    with pytest.raises(duckdb.Error) as caught:
        con.execute(sql).fetchall()
    return str(caught.value).splitlines()[0]


def kind_of_newest(session: Session) -> type[ApikitError]:
    """The class of the newest error that the session keeps: DuckDB may tell only the text."""
    return type(session.errors[-1])


class TestSamplePages:
    @pytest.mark.parametrize(
        ("pages", "columns"),
        [
            (1, {"id": "BIGINT", "nothing": "JSON", "many": "BIGINT"}),
            (2, {"id": "BIGINT", "nothing": "BIGINT", "many": "BIGINT", "late": "VARCHAR"}),
            (3, {"id": "BIGINT", "nothing": "BIGINT", "many": "JSON", "late": "VARCHAR"}),
            (9, {"id": "BIGINT", "nothing": "BIGINT", "many": "JSON", "late": "VARCHAR"}),
        ],
    )
    def test_columns_are_those_of_all_the_sampled_pages(
        self, rows: Rows, api: FakeApi, pages: int, columns: dict[str, str]
    ) -> None:
        assert names(rows, source("/late", f"sample_pages := {pages}")) == columns
        assert api.paths == ["/late", "/late?page=2", "/late?page=3"][:pages]

    @pytest.mark.parametrize("pages", [1, 2, 3])
    def test_pages_that_were_sampled_are_not_fetched_again(self, rows: Rows, api: FakeApi, pages: int) -> None:
        table = source("/late", f"sample_pages := {pages}", "types := {many: 'JSON'}")

        found = rows(f"SELECT id, many ->> '$' FROM {table}")

        assert found == [(record["id"], str(record["many"])) for record in LATE]
        assert api.paths == ["/late", "/late?page=2", "/late?page=3"]

    def test_as_many_as_anybody_can_write_are_all_there_are(self, rows: Rows) -> None:
        assert "late" in names(rows, source("/late", f"sample_pages := {10**30}"))

    def test_a_second_execution_reads_every_page_afresh(self, con: Con, api: FakeApi) -> None:
        sql = f"SELECT count(*) FROM {source('/late', 'sample_pages := 2')}"

        assert con.execute(sql).fetchall() == con.execute(sql).fetchall() == [(5,)]
        assert api.paths == ["/late", "/late?page=2", "/late?page=3"] * 2

    def test_no_more_pages_are_sampled_than_pages_allows(self, rows: Rows, api: FakeApi) -> None:
        table = source("/late", "sample_pages := 3", "pages := 2")

        assert rows(f"SELECT id, late FROM {table}") == [(1, None), (2, None), (3, "x"), (4, None)]
        assert api.paths == ["/late", "/late?page=2"]

    def test_an_empty_first_page_needs_a_second(self, con: Con, rows: Rows, api: FakeApi) -> None:
        link = {"link": f'<{BASE_URL}/full>; rel="next"'}
        api.routes |= {
            "/empty": httpx.Response(200, json=[], headers=link),
            "/full": httpx.Response(200, json=[{"id": 1}]),
        }

        assert "has no records to infer columns from" in error_of(con, f"FROM {source('/empty')}")
        assert rows(f"FROM {source('/empty', 'sample_pages := 2')}") == [(1,)]

    def test_pages_are_sampled_of_one_key_after_the_other(self, rows: Rows, api: FakeApi) -> None:
        api.routes |= {
            "/k/a": Table([{"id": 1}]),
            "/k/b": Table([{"id": 2, "more": True}] * 2, page_size=1, paging="link"),
            "/k/c": Table([{"id": 3, "other": True}]),
        }
        table = source("/k/{k}", "keys := [{k: 'a'}, {k: 'b'}, {k: 'c'}]", "sample_pages := 2")

        assert names(rows, table) == {"id": "BIGINT", "more": "BOOLEAN", "k": "VARCHAR"}
        assert api.paths == ["/k/a", "/k/b"]
        assert rows(f"SELECT id FROM {table}") == [(1,), (2,), (2,), (3,)]
        assert sorted(api.paths) == ["/k/a", "/k/b", "/k/b?page=2", "/k/c"]

    def test_declared_columns_need_no_sample(self, rows: Rows, api: FakeApi) -> None:
        assert names(rows, source("/late", "sample_pages := 3", "columns := {id: 'BIGINT'}")) == {"id": "BIGINT"}
        assert api.seen == []


class TestDrift:
    def test_an_error_names_page_record_column_value_and_what_to_add(self, con: Con, session: Session) -> None:
        text = error_of(con, f"SELECT many FROM {source('/late')}")

        assert f'{BASE_URL}/late?page=3, page 3, record 1: many = "five" does not fit BIGINT' in text
        assert "types := {'many': 'VARCHAR'}" in text
        assert "on_drift := 'null'" in text
        assert kind_of_newest(session) is SchemaDriftError

    def test_what_the_error_says_to_add_reads_the_table(self, rows: Rows) -> None:
        table = source("/late", "types := {'many': 'VARCHAR'}")

        found = rows(f"SELECT many FROM {table}")

        assert found == [(str(record["many"]),) for record in LATE]

    def test_null_takes_the_place_of_what_does_not_fit(self, rows: Rows) -> None:
        table = source("/late", "on_drift := 'null'")

        with pytest.warns(ApikitWarning, match=r"1 values do not fit their columns and are NULL \(many: 1\)") as caught:
            found = rows(f"SELECT id, many FROM {table}")

        assert found == [(1, 1), (2, 2), (3, 3), (4, 4), (5, None)]
        assert len(caught) == 1
        assert json.loads(rows("SELECT drifted FROM apikit_scans()")[0][0]) == {"many": 1}

    def test_every_value_that_became_null_is_counted_by_its_column(self, rows: Rows, api: FakeApi) -> None:
        records = [{"a": n, "b": str(n), "c": {"d": n}} for n in range(4)]
        strange = [{"a": "x", "b": n, "c": {"d": "y"}} for n in range(3)]
        api.routes["/mixed"] = Table([*records, *strange], page_size=2, paging="link")

        with pytest.warns(ApikitWarning, match="9 values do not fit"):
            found = rows(f"SELECT a, b, c.d FROM {source('/mixed', 'on_drift := $$null$$')}")

        assert found == [(n, str(n), n) for n in range(4)] + [(None, None, None)] * 3
        assert json.loads(rows("SELECT drifted FROM apikit_scans()")[0][0]) == {"a": 3, "b": 3, "c": 3}

    def test_null_is_for_declared_columns_too(self, rows: Rows) -> None:
        with pytest.warns(ApikitWarning, match="1 values do not fit"):
            found = rows(f"FROM {source('/late', 'columns := {many: $$BIGINT$$}', 'on_drift := $$null$$')}")

        assert found == [(1,), (2,), (3,), (4,), (None,)]

    def test_a_column_that_is_not_read_does_not_drift(self, rows: Rows) -> None:
        assert rows(f"SELECT id FROM {source('/late', 'on_drift := $$null$$')}") == [(n,) for n in range(1, 6)]
        assert rows("SELECT drifted FROM apikit_scans()") == [("{}",)]

    def test_text_makes_every_inferred_scalar_text(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/kinds"] = Table(
            [
                {"n": 1, "x": 1.50, "b": True, "t": "2026-01-05T10:00:00Z", "o": {"k": 1}, "l": [1], "j": None},
                {"n": "one", "x": 12345678901234567890, "b": 0, "t": 5, "o": {"k": "two"}, "l": ["two"], "j": 1},
            ],
            page_size=1,
            paging="link",
        )
        table = source("/kinds", "on_drift := 'text'")

        assert names(rows, table) == {
            "n": "VARCHAR",
            "x": "VARCHAR",
            "b": "VARCHAR",
            "t": "VARCHAR",
            "o": "STRUCT(k VARCHAR)",
            "l": "VARCHAR[]",
            "j": "JSON",
        }
        assert rows(f"FROM {table}") == [
            ("1", "1.5", "true", "2026-01-05T10:00:00Z", {"k": "1"}, ["1"], None),
            ("one", "12345678901234567890", "0", "5", {"k": "two"}, ["two"], "1"),
        ]

    def test_text_is_refused_where_columns_are_declared(self, con: Con, api: FakeApi) -> None:
        text = error_of(con, f"FROM {source('/late', 'columns := {id: $$BIGINT$$}', 'on_drift := $$text$$')}")

        assert "CallError: apikit: on_drift := 'text' makes inferred columns VARCHAR" in text
        assert api.seen == []

    def test_a_statement_that_drifts_midway_leaves_no_table(self, con: Con, rows: Rows) -> None:
        error_of(con, f"CREATE TABLE made AS FROM {source('/late')}")

        assert rows("SELECT count(*) FROM duckdb_tables()") == [(0,)]


FITS = "types := {many: 'JSON'}"


class TestExtra:
    def test_fields_that_come_later_are_told_once_and_counted(self, rows: Rows) -> None:
        with pytest.warns(ApikitWarning, match=r"1 fields came later.*\(late\).*extra := true") as caught:
            found = rows(f"SELECT * FROM {source('/late', FITS)}")

        assert len(caught) == 1
        assert [len(row) for row in found] == [3] * 5
        assert json.loads(rows("SELECT unseen_fields FROM apikit_scans()")[0][0]) == {"late": 1}

    def test_every_field_that_has_no_column_is_counted(self, rows: Rows, api: FakeApi) -> None:
        records = [{"id": n, "user": {"login": "x"}} for n in range(2)]
        later = [{"id": n, "user": {"login": "y", "age": n}, "new": n, "newer": None} for n in range(5)]
        api.routes["/later"] = Table([*records, *later], page_size=2, paging="link")

        with pytest.warns(ApikitWarning, match=r"3 fields came later.*\(new, newer, user\.age\)") as caught:
            rows(f"FROM {source('/later')}")

        assert len(caught) == 1
        assert json.loads(rows("SELECT unseen_fields FROM apikit_scans()")[0][0]) == {
            "new": 5,
            "newer": 5,
            "user.age": 5,
        }

    def test_whoever_names_columns_is_not_warned(self, rows: Rows) -> None:
        assert len(rows(f"SELECT id FROM {source('/late')}")) == 5
        assert len(rows(f"FROM {source('/late', 'columns := {id: $$BIGINT$$}')}")) == 5

    def test_fields_beside_declared_columns_are_counted(self, rows: Rows) -> None:
        rows(f"FROM {source('/late', 'columns := {id: $$BIGINT$$, many: $$JSON$$}')}")

        assert set(json.loads(rows("SELECT unseen_fields FROM apikit_scans()")[0][0])) == {"nothing"}

    def test_extra_holds_the_fields_that_no_column_has(self, rows: Rows) -> None:
        table = source("/late", FITS, "extra := true")

        assert names(rows, table)["_extra"] == "JSON"
        assert rows(f"SELECT id, _extra FROM {table}") == [
            (1, None),
            (2, None),
            (3, '{"late":"x"}'),
            (4, None),
            (5, None),
        ]
        assert rows("SELECT unseen_fields FROM apikit_scans()") == [("{}",)]

    def test_extra_beside_declared_columns_holds_all_the_rest(self, rows: Rows) -> None:
        found = rows(f"FROM {source('/late', 'columns := {id: $$BIGINT$$, late: $$VARCHAR$$}', 'extra := true')}")

        assert [(row[0], row[1], json.loads(row[2])) for row in found] == [
            (record["id"], record.get("late"), {name: record[name] for name in ("nothing", "many")}) for record in LATE
        ]

    def test_extra_holds_fields_inside_of_objects_and_lists(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/deep"] = Table(
            [
                {"id": 1, "user": {"login": "x"}, "tags": [{"name": "a"}]},
                {"id": 2, "user": {"login": "y", "big": 12345678901234567890123}, "tags": [{"name": "b", "x": 1.0}]},
            ],
            page_size=1,
            paging="link",
        )

        found = rows(f"SELECT id, _extra FROM {source('/deep', 'extra := true')}")

        assert found == [(1, None), (2, '{"user":{"big":12345678901234567890123},"tags":[{"x":1.0}]}')]

    def test_extra_may_be_read_and_filtered_alone(self, rows: Rows) -> None:
        table = source("/late", "extra := true")

        assert rows(f"SELECT _extra ->> 'late' FROM {table} WHERE _extra IS NOT NULL") == [("x",)]

    def test_a_field_named_as_the_extra_one_stays_a_column(self, rows: Rows, api: FakeApi) -> None:
        api.routes["/own"] = Table([{"id": 1, "_extra": "mine"}, {"id": 2, "_extra": "m", "x": 1}], "link", 1)

        found = rows(f"FROM {source('/own', 'extra := true')}")

        assert found == [(1, "mine", None), (2, "m", '{"x":1}')]

    @pytest.mark.parametrize("says", ["false", "NULL"])
    def test_no_extra_unless_it_is_said(self, rows: Rows, says: str) -> None:
        assert "_extra" not in names(rows, source("/late", f"extra := {says}"))


class TestConcurrency:
    @pytest.mark.parametrize("concurrency", [1, 2, 5, 8])
    def test_never_more_requests_at_once(self, rows: Rows, api: FakeApi, concurrency: int) -> None:
        records = [{"id": n} for n in range(60)]
        busy = Busy(Table(records, page_size=3, paging="link_last"))
        api.routes["/busy"] = busy

        found = rows(f"FROM {source('/busy', f'concurrency := {concurrency}')}")

        assert found == [(record["id"],) for record in records]
        assert busy.most == concurrency

    def test_eight_unless_told(self, rows: Rows, api: FakeApi) -> None:
        busy = Busy(Table([{"id": n} for n in range(60)], page_size=1, paging="link_last"))
        api.routes["/busy"] = busy

        rows(f"FROM {source('/busy')}")

        assert busy.most == 8

    @pytest.mark.parametrize("paging", ["cursor", "record_cursor", "link", "next_url"])
    def test_a_next_page_that_only_its_page_tells_is_never_guessed(
        self, rows: Rows, api: FakeApi, paging: Paging
    ) -> None:
        busy = Busy(Table([{"id": n} for n in range(20)], page_size=2, paging=paging), 0.005)
        api.routes["/busy"] = busy

        rows(f"FROM {source('/busy')}")

        assert busy.most == 1


#: How each of the fake's strategies is asked for; None where its first page tells.
ASKED: dict[Paging, str | None] = {
    "offset": "{strategy: 'offset', offset_param: 'offset', total_path: 'total'}",
    "page": "{strategy: 'page', page_param: 'page'}",
    "clamped_page": "{strategy: 'page', page_param: 'page'}",
    "page_total": "{strategy: 'page', page_param: 'page', total_path: 'total'}",
    "cursor": None,
    "record_cursor": None,
    "link": None,
    "link_last": None,
    "next_url": None,
}
TELLS_ITS_END: list[Paging] = ["offset", "page_total", "link_last"]


class TestAhead:
    @pytest.mark.parametrize(
        ("paging", "count"),
        [(paging, count) for paging in ASKED for count in (1, 9, 10, 11, 83) if paging != "clamped_page" or count > 10],
    )  # a clamped page that is the only one looks like a parameter that is ignored
    def test_eight_at_once_bring_what_one_brings(self, con: Con, api: FakeApi, paging: Paging, count: int) -> None:
        records = [{"id": n, "name": f"item {n}"} for n in range(count)]
        api.routes["/items"] = Table(records, paging=paging)
        options = [f"pagination := {ASKED[paging]}"] if ASKED[paging] else []
        if paging in {"link", "link_last"} and count == 10:
            options.append("pagination := 'link'")  # a page of ten and no sign of a next one is warned of

        found, asked = [], []
        for concurrency in (1, 8):
            api.seen.clear()
            table = source("/items", "columns := {id: 'BIGINT', name: 'VARCHAR'}", *options)
            table = table[:-1] + f", concurrency := {concurrency})"
            found.append(con.execute(f"FROM {table}").fetchall())
            asked.append(sorted(api.paths))

        assert found[0] == found[1] == [(record["id"], record["name"]) for record in records]
        assert asked[0] == asked[1]
        assert len(set(asked[1])) == len(asked[1])

    @pytest.mark.parametrize("paging", TELLS_ITS_END)
    def test_answers_that_come_late_change_no_order(self, rows: Rows, api: FakeApi, paging: Paging) -> None:
        # given pages of which each third takes longer than the two after it
        records = [{"id": n} for n in range(60)]
        fast, slow = (Busy(Table(records, page_size=3, paging=paging), seconds) for seconds in (0.001, 0.03))
        api.routes["/items"] = lambda request: slow(request) if len(api.seen) % 3 == 0 else fast(request)
        options = [f"pagination := {ASKED[paging]}"] if ASKED[paging] else []

        assert rows(f"FROM {source('/items', *options)}") == [(record["id"],) for record in records]

    @pytest.mark.parametrize("paging", TELLS_ITS_END)
    def test_pages_that_are_known_to_follow_are_fetched_at_once(self, rows: Rows, api: FakeApi, paging: Paging) -> None:
        busy = Busy(Table([{"id": n} for n in range(60)], page_size=3, paging=paging))
        api.routes["/items"] = busy
        options = [f"pagination := {ASKED[paging]}"] if ASKED[paging] else []

        rows(f"FROM {source('/items', *options)}")

        assert busy.most == 8

    @pytest.mark.parametrize("paging", ASKED)
    def test_the_first_row_costs_one_request(self, rows: Rows, api: FakeApi, paging: Paging) -> None:
        api.routes["/items"] = Table([{"id": n} for n in range(200)], page_size=2, paging=paging)
        options = [f"pagination := {ASKED[paging]}"] if ASKED[paging] else []

        assert rows(f"FROM {source('/items', *options)} LIMIT 1") == [(0,)]
        assert len(api.seen) == 1 if IS_2 else len(api.seen) <= 2

    @pytest.mark.parametrize("paging", TELLS_ITS_END)
    def test_a_number_of_pages_bounds_what_is_fetched_ahead(self, rows: Rows, api: FakeApi, paging: Paging) -> None:
        api.routes["/items"] = Table([{"id": n} for n in range(200)], page_size=3, paging=paging)
        options = [f"pagination := {ASKED[paging]}"] if ASKED[paging] else []

        assert rows(f"FROM {source('/items', 'pages := 4', *options)}") == [(n,) for n in range(12)]
        assert len(api.seen) == 4

    def test_a_page_in_the_middle_that_fails_is_told_after_the_rows_before_it(
        self, con: Con, rows: Rows, api: FakeApi
    ) -> None:
        table = Table([{"id": n} for n in range(60)], page_size=3, paging="link_last")
        api.routes["/items"] = lambda request: (
            httpx.Response(403) if request.url.params.get("page") == "7" else table.answer(request)
        )

        assert "GET /items answered 403" in error_of(con, f"FROM {source('/items')}")
        assert rows("SELECT state, pages FROM apikit_scans()") == [("failed", 6)]


class TestMaxRequests:
    def test_reaching_it_is_told(self, con: Con, api: FakeApi) -> None:
        api.routes["/items"] = Table([{"id": n} for n in range(60)], page_size=3, paging="link_last")

        text = error_of(con, f"FROM {source('/items', 'columns := {id: $$BIGINT$$}', 'max_requests := 5')}")

        assert "max_requests = 5 are sent and the scan is not at its end" in text
        assert len(api.seen) == 5

    @pytest.mark.parametrize("paging", ["link_last", "link"])
    def test_as_many_as_there_are_pages_are_enough(self, rows: Rows, api: FakeApi, paging: Paging) -> None:
        api.routes["/items"] = Table([{"id": n} for n in range(6)], page_size=2, paging=paging)

        assert len(rows(f"FROM {source('/items', 'columns := {id: $$BIGINT$$}', 'max_requests := 3')}")) == 6


class TestMaxWait:
    def test_a_longer_wait_is_an_error_at_once(self, con: Con, api: FakeApi, session: Session) -> None:
        api.routes["/items"] = httpx.Response(429, headers={"retry-after": "30"})

        text = error_of(con, f"FROM {source('/items', 'columns := {id: $$BIGINT$$}', 'max_wait := 1')}")

        assert "GET /items is to wait 30 s, longer than max_wait = 1 s. Set max_wait := 60." in text
        assert kind_of_newest(session) is RateLimitError
        assert len(api.seen) == 1

    def test_the_call_says_more_than_the_install(self, con: Con, rows: Rows, api: FakeApi) -> None:
        apikit_sql.install(con, max_wait=0)
        items = "columns := {id: 'BIGINT'}"
        api.routes["/items"] = [
            httpx.Response(429, headers={"retry-after": "1"}),
            httpx.Response(429, headers={"retry-after": "1"}),
            httpx.Response(200, json=[{"id": 1}]),
        ]

        assert "is to wait 1 s, longer than max_wait = 0 s. Set max_wait := 60." in error_of(
            con, f"FROM {source('/items', items)}"
        )
        assert rows(f"FROM {source('/items', items, 'max_wait := 5')}") == [(1,)]


class TestWrongValues:
    @pytest.mark.parametrize(
        ("option", "told"),
        [
            ("sample_pages := 0", "sample_pages"),
            ("sample_pages := 'all'", "sample_pages"),
            ("on_drift := 'ignore'", "on_drift"),
            ("extra := 'perhaps'", "extra"),
            ("concurrency := 0", "concurrency"),
            ("concurrency := 1000", "concurrency"),
            ("on_error := 'ignore'", "on_error"),
            ("max_wait := -1", "max_wait"),
            ("max_wait := 'soon'", "max_wait"),
            ("max_requests := 0", "max_requests"),
            ("keys := {k: 1}", "keys"),
            ("keys := ['a']", "keys"),
            ("keys := [{k: NULL}]", "keys"),
            ("keys := 5", "keys"),
        ],
    )
    def test_the_option_is_named_and_nothing_is_sent(self, con: Con, api: FakeApi, option: str, told: str) -> None:
        text = error_of(con, f"FROM {source('/late', option)}")

        assert f"CallError: apikit: {told}" in text
        assert api.seen == []

    @pytest.mark.parametrize("option", ["sample_pages", "on_drift", "concurrency", "on_error", "max_wait", "keys"])
    def test_a_boolean_says_how_options_are_written(self, con: Con, api: FakeApi, option: str) -> None:
        text = error_of(con, f"FROM {source('/late', f'{option} := true')}")

        assert f"{option} is a boolean. Options are written name := value" in text
        assert api.seen == []

    @pytest.mark.parametrize(
        ("option", "told"),
        [
            ("extra = true", "Could not convert string 'extra' to BOOL"),  # DuckDB compares before we are asked
            ("concurrency = 4", "Could not convert string 'concurrency' to INT32"),
            ("on_error = 'skip'", "params is a boolean. Options are written name := value"),
            ("params := {a: 1}, extra = true", "has positional argument following named argument"),
        ],
    )
    def test_a_comparison_written_by_mistake_is_told(self, con: Con, api: FakeApi, option: str, told: str) -> None:
        assert told in error_of(con, f"FROM {source('/late', option)}")
        assert api.seen == []


class TestReadingByPost:
    """A POST may change something, so SQL may send one only where somebody has said that it reads."""

    @pytest.fixture
    def api(self) -> FakeApi:
        def search(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=[json.loads(request.content)])

        return FakeApi({"/search": search, "/items/7/query": search})

    def test_a_path_that_is_known_to_read_is_posted(self, api: FakeApi) -> None:
        con = installed(api, read_posts={BASE_URL: ["/search", "/items/*/query"]})
        body = "{q: 'ü', n: 12345678901234567890, f: 1.50, deep: [{a: NULL}]}"

        for path in ("/search", "/items/7/query"):
            table = source(path, "method := 'post'", f"body := {body}")
            found = con.execute(f"SELECT q, n, f FROM {table}").fetchall()
            assert found == [("ü", 12345678901234567890, 1.5)]

        assert [request.method for request in api.seen] == ["POST", "POST"]
        assert json.loads(api.seen[0].content) == {"q": "ü", "n": 12345678901234567890, "f": 1.5, "deep": [{"a": None}]}

    def test_a_base_url_with_a_path_is_matched_as_a_whole(self, api: FakeApi) -> None:
        con = installed(api, read_posts={BASE_URL: ["/items/*/query"]})
        base = f"{BASE_URL}/items"

        found = con.execute(f"FROM apikit('{base}', '/7/query', method := 'POST', body := {{a: 1}})").fetchall()

        assert found == [(1,)]
        assert "POST /search may change something" in error_of(
            con, f"FROM apikit('{base}', '/search', method := 'POST', body := {{a: 1}})"
        )

    @pytest.mark.parametrize("path", ["/other", "/search/more", "/items/7/8/query", "/items/query", "/SEARCH"])
    def test_any_other_path_is_refused_and_nothing_is_sent(self, api: FakeApi, path: str) -> None:
        con = installed(api, read_posts={BASE_URL: ["/search", "/items/*/query"]})

        text = error_of(con, "FROM " + source(path, "method := 'POST'"))

        assert f"CallError: apikit: POST {path} may change something" in text
        assert f"read_posts={{'{BASE_URL}': ['{path}']}}" in text
        assert api.seen == []

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("body := {a: 1}",), "a body needs method := 'POST'"),
            (("method := 'PUT'",), "method"),
            (("method := 'POST'", "body := {password: 'x'}"), "'password' carries a credential"),
            (("method := 'POST'", "body := {a: [{api_key: 'x'}]}"), "'api_key' carries a credential"),
            (("method := 'POST'", "body := {a: ['env:HOME']}"), "'a' carries a credential"),
        ],
    )
    def test_what_must_not_be_posted_is_refused(self, api: FakeApi, options: tuple[str, ...], told: str) -> None:
        con = installed(api, read_posts={BASE_URL: "/search"})

        assert told in error_of(con, f"FROM {source('/search', *options)}")
        assert api.seen == []

    @pytest.mark.parametrize("patterns", [{"api.test": ["/x"]}, {BASE_URL: ["search"]}, {BASE_URL + "/v1": ["/x"]}])
    def test_patterns_that_say_nothing_are_refused(self, api: FakeApi, patterns: dict[str, list[str]]) -> None:
        with pytest.raises(apikit_sql.ConfigError, match="read_posts: "):
            installed(api, read_posts=patterns)

    def test_a_stream_is_asked_by_its_own_method_only(self) -> None:
        con = duckdb.connect()
        apikit_sql.install(con)

        assert "asked by GET, not by POST" in error_of(con, "FROM apikit('demo', 'issues', method := 'POST')")


def installed(api: FakeApi, **options: Any) -> Con:
    """A connection on which apikit is installed with `options`."""
    con = duckdb.connect()
    apikit_sql.install(con, session=Session(transport=api.transport()), **options)
    return con
