"""A request plan as a table of DuckDB's: what is asked of it, what it asks of the API, and what it refuses."""

import contextlib
import copy
import gc
import pickle
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from apikit_sql.column_types import Column, parse_type
from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.session import Session
from apikit_sql.errors import ApikitError, CallError, ScanInterrupted, SchemaDriftError
from apikit_sql.plan.request_plan import RequestPlan, ScanPlan
from apikit_sql.scan.dataset import ApiDataset, safe_text
from tests.fakes.api import BASE_URL, FakeApi, Table

Rows = Callable[[str], list[tuple[Any, ...]]]
T = f"apikit('{BASE_URL}', '/t'"
PEOPLE: list[dict[str, Any]] = [
    {"id": 1, "team": "a", "user": {"login": "x"}, "big": 2**100, "extra": None},
    {"id": 2, "team": "b", "user": {"login": "y"}, "big": -1, "extra": None},
    {"id": 3, "team": "a", "user": None, "big": None, "extra": None},
    {"id": 4, "team": None, "user": {"login": "x"}, "big": 5, "extra": None},
]


def plan(columns: dict[str, str] | None = None, keys: tuple[KeyColumn, ...] = (), **request: Any) -> ScanPlan:
    declared = None
    if columns is not None:
        declared = tuple(Column(n, parse_type(t), (n,), declared=True) for n, t in columns.items())
    return ScanPlan(RequestPlan("shop", BASE_URL, "/t", **request), columns=declared, key_columns=keys)


def dataset(session: Session, scan: ScanPlan) -> ApiDataset:
    return ApiDataset(scan, session, Event)


def all_over(records: list[dict[str, Any]]) -> Callable[[httpx.Request], httpx.Response]:
    """An API that takes no notice of any parameter."""
    return lambda _: httpx.Response(200, json=records)


# --- what is asked of the API ----------------------------------------------------------------------------------------


def test_declared_columns_need_no_request_at_bind(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE)
    source = f"{T}, columns := {{id: 'BIGINT', team: 'VARCHAR'}})"

    described = rows(f"SELECT column_name, column_type FROM (DESCRIBE FROM {source})")
    rows(f"EXPLAIN FROM {source}")

    assert described == [("id", "BIGINT"), ("team", "VARCHAR")]
    assert api.seen == []
    assert rows(f"FROM {source} WHERE id = 2") == [(2, "b")]
    assert len(api.seen) == 1


def test_the_page_sampled_at_bind_serves_the_scan(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE)

    assert rows(f"SELECT id FROM {T})") == [(1,), (2,), (3,), (4,)]
    assert api.paths == ["/t"]


def test_columns_are_inferred_once_a_session(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)

    first = dataset(session, plan())
    second = dataset(session, plan())

    assert first.schema == second.schema
    assert len(api.seen) == 1


def test_a_second_scan_reads_the_api_afresh(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = [httpx.Response(200, json=[{"id": 1}]), httpx.Response(200, json=[{"id": 2}])]
    table = dataset(session, plan())

    found = [table.scanner().to_reader().read_all().to_pydict() for _ in range(2)]

    assert found == [{"id": [1]}, {"id": [2]}]


def test_a_predicate_that_the_api_answers_is_sent(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE, filters={"team": ("team", "="), "min": ("id", ">=")})
    source = f"{T}, columns := {{id: 'BIGINT', team: 'VARCHAR'}}, filters := {{team: 'team', 'id >=': 'min'}})"

    assert rows(f"SELECT id FROM {source} WHERE team = 'a' AND id >= 2") == [(3,)]
    assert api.paths == ["/t?min=2&team=a"]


def test_a_nested_field_can_be_a_key(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE, filters={"login": ("user.login", "=")})
    columns = "{id: 'BIGINT', user: 'STRUCT(login VARCHAR)'}"
    source = f"{T}, columns := {columns}, filters := {{'user.login': 'login'}})"

    assert rows(f"SELECT id FROM {source} WHERE user.login = 'x' ORDER BY id") == [(1,), (4,)]
    assert api.paths == ["/t?login=x"]


def test_several_values_are_several_trips(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE, filters={"team": ("team", "=")})

    found = rows(f"SELECT id FROM {T}, filters := {{team: 'team'}}) WHERE team IN ('a', 'b') ORDER BY id")

    assert found == [(1,), (2,), (3,)]
    assert sorted(api.paths[1:]) == ["/t?team=a", "/t?team=b"]


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        ("VARCHAR", ["a", "b"], ["'a'", "'b'"]),
        ("BIGINT", [1, 7], ["1", "7"]),
        ("DOUBLE", [1.5, 7.5], ["1.5", "7.5"]),
        ("DATE", ["2024-02-29", "2023-01-01"], ["DATE '2024-02-29'", "DATE '2023-01-01'"]),
        (
            "TIMESTAMP",
            ["2024-02-29T12:00:00", "2023-01-01T00:00:00"],
            ["'2024-02-29 12:00:00'", "'2023-01-01 00:00:00'"],
        ),
        (
            "TIMESTAMPTZ",
            ["2024-02-29T12:00:00Z", "2023-01-01T00:00:00+01:00"],
            ["TIMESTAMPTZ '2024-02-29 12:00:00+00'", "TIMESTAMPTZ '2022-12-31 23:00:00+00'"],
        ),
    ],
)
def test_trips_duplicate_no_row_where_the_api_takes_no_notice_of_the_parameter(
    api: FakeApi, rows: Rows, kind: str, values: list[Any], texts: list[str]
) -> None:
    api.routes["/t"] = all_over([{"id": n, "k": v} for n, v in enumerate([*values, None])])
    source = f"{T}, columns := {{id: 'BIGINT', k: '{kind}'}}, filters := {{k: 'k'}})"

    found = rows(f"SELECT id FROM {source} WHERE k IN ({', '.join(texts)}) ORDER BY id")

    assert found == [(0,), (1,)]
    assert len(api.seen) == 2


def test_trips_over_a_nested_field_duplicate_no_row(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = all_over(PEOPLE)

    found = rows(
        f"SELECT id FROM {T}, filters := {{'user.login': 'login'}}) WHERE user.login IN ('x', 'y') ORDER BY id"
    )

    assert found == [(1,), (2,), (4,)]


@pytest.mark.parametrize("key", ["USER.login", "user.LOGIN", "User.Login"])
def test_a_key_is_named_without_regard_to_case(api: FakeApi, rows: Rows, key: str) -> None:
    api.routes["/t"] = all_over(PEOPLE)

    found = rows(f"SELECT id FROM {T}, filters := {{'{key}': 'login'}}) WHERE user.login IN ('x', 'y') ORDER BY id")

    assert found == [(1,), (2,), (4,)]


def test_a_filter_brings_no_row_that_lacks_the_field(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = all_over([{"id": 1, "team": "a"}, {"id": 2}, {"id": 3, "team": None}])
    source = f"{T}, columns := {{id: 'BIGINT', team: 'VARCHAR'}}, filters := {{team: 'team'}})"

    assert rows(f"SELECT id, team FROM {source} WHERE team = 'a'") == [(1, "a")]


def test_a_required_key_fills_the_column_that_records_lack(api: FakeApi, rows: Rows) -> None:
    for owner in ("a", "b"):
        api.routes[f"/of/{owner}"] = httpx.Response(200, json=[{"id": f"{owner}1"}, {"id": f"{owner}2"}])
    source = f"apikit('{BASE_URL}', '/of/{{owner}}', columns := {{id: 'VARCHAR'}})"

    assert rows(f"SELECT * FROM {source} WHERE owner IN ('a', 'b') ORDER BY id") == [
        ("a1", "a"),
        ("a2", "a"),
        ("b1", "b"),
        ("b2", "b"),
    ]
    assert rows(f"SELECT count(*) FROM {source} WHERE owner IN ('a', 'b')") == [(4,)]


def test_a_missing_required_key_is_an_error_that_says_so(api: FakeApi, rows: Rows) -> None:
    with pytest.raises(duckdb.Error, match=r"needs owner \(= or IN\)"):
        rows(f"FROM apikit('{BASE_URL}', '/of/{{owner}}', columns := {{id: 'VARCHAR'}})")
    assert api.seen == []


@pytest.mark.parametrize(
    "where",
    ["k = DATE '20000-01-01'", "k < 'infinity'::DATE", "k > '-infinity'::DATE AND k > DATE '0044-03-15 (BC)'"],
)
def test_a_date_that_python_does_not_know_is_left_to_the_scan(api: FakeApi, rows: Rows, where: str) -> None:
    api.routes["/t"] = all_over([{"k": "2024-02-29"}])
    expected = 0 if "20000" in where else 1

    found = rows(f"SELECT k FROM {T}, columns := {{k: 'DATE'}}, filters := {{k: 'k', 'k >=': 'from'}}) WHERE {where}")

    assert len(found) == expected
    assert api.paths == ["/t"]


def test_json_is_never_sent_for_its_text_is_our_own(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = all_over([{"id": 1, "j": {"a": 1}}, {"id": 2, "j": "x"}, {"id": 3}])
    source = f"{T}, columns := {{id: 'BIGINT', j: 'JSON', s: 'STRUCT(j JSON)'}}, filters := {{j: 'j', 's.j': 'sj'}})"

    assert rows(f"SELECT id FROM {source} WHERE j = '{{\"a\":1}}'") == [(1,)]
    assert rows(f"SELECT id FROM {source} WHERE j IN ('\"x\"', '{{\"a\":1}}') ORDER BY id") == [(1,), (2,)]
    assert rows(f"SELECT id FROM {source} WHERE s.j = '1'") == []
    assert rows(f"SELECT id FROM {source} WHERE j IS NULL") == [(3,)]
    assert set(api.paths) == {"/t"}


def test_hugeint_columns_are_compared_by_duckdb(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table(PEOPLE)

    assert rows(f"SELECT id, big FROM {T}) WHERE big > 4 ORDER BY id") == [(1, 2**100), (4, 5)]
    assert rows(f"SELECT id FROM {T}) WHERE big = -1") == [(2,)]
    assert rows(f"SELECT id FROM {T}) WHERE big IS NULL") == [(3,)]
    assert rows(f"SELECT sum(big) FROM {T})") == [(2**100 + 4,)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) FROM {t}", [(4,)]),
        ("SELECT count(*) FROM {t} WHERE team = 'a'", [(2,)]),
        ("SELECT count(team) FROM {t}", [(3,)]),
        ("SELECT 1 FROM {t} WHERE user.login = 'x'", [(1,), (1,)]),
        ("SELECT team FROM {t} WHERE id > 2 ORDER BY id", [("a",), (None,)]),
        ("SELECT user.login FROM {t} WHERE team = 'b'", [("y",)]),
        ("SELECT id FROM {t} WHERE team IS NULL", [(4,)]),
        ("SELECT id FROM {t} WHERE id > 100", []),
        ("SELECT a.id FROM {t} a JOIN {t} b ON a.id = b.id + 1 WHERE b.team = 'a' ORDER BY 1", [(2,), (4,)]),
        ("SELECT max(id) FROM {t} GROUP BY team ORDER BY 1", [(2,), (3,), (4,)]),
    ],
)
def test_a_query_over_pages_is_a_query_over_a_table(api: FakeApi, rows: Rows, sql: str, expected: Any) -> None:
    api.routes["/t"] = Table(PEOPLE, paging="link", page_size=1)

    assert rows(sql.format(t=T + ")")) == expected


# --- reading as it comes ---------------------------------------------------------------------------------------------


def test_limit_stops_the_requests(api: FakeApi, rows: Rows) -> None:
    api.routes["/t"] = Table([{"id": number} for number in range(1_000)], paging="link", page_size=10)

    assert rows(f"SELECT id FROM {T}) LIMIT 5") == [(n,) for n in range(5)]
    assert len(api.seen) <= 3


def test_closing_the_reader_stops_the_requests(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table([{"id": number} for number in range(1_000)], paging="link", page_size=10)
    scan = plan({"id": "BIGINT"}, pagination=PaginationConfig(strategy="link"))
    reader = dataset(session, scan).scanner().to_reader()

    first = reader.read_next_batch()
    reader.close()
    del reader
    gc.collect()

    assert first.num_rows == 10
    assert len(api.seen) <= 3


def test_making_a_scanner_sends_nothing(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)
    reader = dataset(session, plan({"id": "BIGINT"})).scanner().to_reader()

    assert api.seen == []
    assert reader.read_all().num_rows == 4


def test_columns_none_means_all_of_them(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)
    table = dataset(session, plan({"id": "BIGINT", "team": "VARCHAR"}))

    assert table.scanner(columns=None).to_reader().schema.names == ["id", "team"]
    assert table.scanner(columns=["team"]).to_reader().read_all().to_pydict() == {"team": ["a", "b", "a", None]}
    assert table.scanner(columns=[]).to_reader().read_all().num_rows == 4


def test_a_filter_that_cannot_be_read_is_applied_all_the_same(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)
    table = dataset(session, plan({"id": "BIGINT", "team": "VARCHAR"}))
    condition = pc.utf8_length(pc.field("team")) + pc.field("id") == 2

    assert table.scanner(columns=["id"], filter=condition).to_reader().read_all().to_pydict() == {"id": [1]}


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        (("user", "login"), "/t?p=x"),
        (("user", "ghost"), "/t"),
        (("team", "login"), "/t"),
        (("user",), "/t"),
        (("extra",), "/t"),
    ],
)
def test_only_a_scalar_field_that_the_table_has_is_asked_of_the_api(
    api: FakeApi, session: Session, field: tuple[str, ...], sent: str
) -> None:
    api.routes["/t"] = httpx.Response(200, json=[])
    key = KeyColumn(column=".".join(field), param="p")
    columns = {"team": "VARCHAR", "user": "STRUCT(login VARCHAR)", "extra": "JSON"}
    table = dataset(session, plan(columns, (key,)))

    reader = table.scanner(filter=pc.field(*field) == "x").to_reader()

    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):  # no such field, or no such comparison
        reader.read_all()
    assert api.paths == [sent]


def test_a_filter_on_what_is_no_column_is_refused(session: Session) -> None:
    with pytest.raises(CallError, match=r"filters has 'ghost', no column \(id\)"):
        dataset(session, replace(plan({"id": "BIGINT"}), filters=("ghost",)))


def test_a_scan_tells_when_it_begins(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)
    begun: list[str] = []
    table = dataset(session, plan({"id": "BIGINT"}))
    table.on_scan = lambda: begun.append("scan")

    assert table.schema.names == ["id"]
    assert begun == []
    table.scanner()
    assert begun == ["scan"]


def test_a_cancelled_scan_ends_with_an_error(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table([{"id": number} for number in range(100)], paging="link", page_size=10)
    cancelled = Event()
    scan = plan({"id": "BIGINT"}, pagination=PaginationConfig(strategy="link"))
    reader = ApiDataset(scan, session, lambda: cancelled).scanner().to_reader()
    reader.read_next_batch()

    cancelled.set()

    with pytest.raises(ScanInterrupted):
        reader.read_all()
    assert len(api.seen) <= 3


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_error_in_mid_scan_is_its_text_alone_and_stays_on_the_session(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = all_over([{"id": 1}, {"id": "x"}])
    table = dataset(session, plan({"id": "BIGINT"}))

    with pytest.raises(SchemaDriftError) as raised:
        table.scanner().to_reader().read_all()

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert str(raised.value).splitlines()[0] == str(session.errors[-1])


def test_an_error_of_a_later_page_fails_the_whole_statement(api: FakeApi, con: duckdb.DuckDBPyConnection) -> None:
    api.routes["/t"] = Table([{"id": 1}, {"id": 2}, {"id": "x"}], paging="link", page_size=1)

    with pytest.raises(duckdb.Error, match=r'page 3, record 1: id = "x" does not fit BIGINT'):
        con.execute(f"CREATE TABLE copied AS FROM {T})")

    with pytest.raises(duckdb.CatalogException):
        con.execute("FROM copied")


def test_the_text_of_an_error_is_short_and_without_nul() -> None:
    assert safe_text(CallError("a\0b")) == "ab"
    assert len(safe_text(ApikitError("x" * 10_000))) == 2_000


def test_a_page_that_is_empty_at_bind_asks_for_columns(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = httpx.Response(204)

    with pytest.raises(CallError, match="columns := "):
        dataset(session, plan())


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(dir(ds.Dataset)) - set(dir(object)) - {"scanner", "schema"}))
def test_every_other_member_of_a_dataset_is_refused_without_a_crash(session: Session, name: str) -> None:
    table = dataset(session, plan({"id": "BIGINT"}))
    if name in {"__pyx_vtable__", "__setstate__"}:
        return  # Cython's own, on no path of a user

    with pytest.raises(TypeError, match="SELECT from it, or read it whole"):
        getattr(table, name)()


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy], ids=lambda act: act.__name__)
def test_a_table_can_be_neither_pickled_nor_copied(session: Session, act: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        act(dataset(session, plan({"id": "BIGINT"})))


@pytest.mark.parametrize("act", [repr, str, hash, bool, lambda table: table == table], ids=range(5))  # noqa: PLR0124
def test_looking_at_a_table_is_harmless(session: Session, act: Callable[[object], object]) -> None:
    act(dataset(session, plan({"id": "BIGINT"})))


def test_a_table_is_read_by_duckdbs_own_replacement_scan(api: FakeApi, session: Session) -> None:
    api.routes["/t"] = Table(PEOPLE)
    table = dataset(session, plan({"id": "BIGINT", "team": "VARCHAR"}, (KeyColumn(column="team", param="team"),)))

    with duckdb.connect() as con:
        con.register("people", table)
        found = con.execute("SELECT id FROM people WHERE team = 'a' ORDER BY id").fetchall()

    assert found == [(1,), (3,)]
    assert api.paths == ["/t?team=a"]
