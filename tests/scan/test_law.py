"""The law of pushdown: filters sent to the API never change what a query gives, they only spare requests and rows.

Each generated WHERE is asked three times: of the API with `filters`, of the API without, and of DuckDB over the same
rows in a table of its own. The API applies the parameters it knows truly and takes no notice of the others.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.sql.seam import HAS_READABLE_RELATIONS
from tests.fakes.api import BASE_URL, FakeApi, Operator, Paging, Table

pytestmark = pytest.mark.no_cover  # what it runs is measured in less time elsewhere

COLUMNS = {
    "id": "BIGINT",
    "i": "BIGINT",
    "x": "DOUBLE",
    "b": "BOOLEAN",
    "s": "VARCHAR",
    "d": "DATE",
    "ts": "TIMESTAMP",
    "tz": "TIMESTAMPTZ",
    "n": "STRUCT(f BIGINT, g VARCHAR)",
}
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("i", pa.int64()),
        ("x", pa.float64()),
        ("b", pa.bool_()),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("ts", pa.timestamp("us")),
        ("tz", pa.timestamp("us", "UTC")),
        ("n", pa.struct([("f", pa.int64()), ("g", pa.string())])),
    ]
)
TEXTS = [
    "",
    "a",
    "b",
    "B",
    "é",
    "it's",
    'q"',
    "\\",
    "a b",
    "a+b",
    "a&s=b",
    "%41",
    "two\nlines",
    "𝄞",
    "null",
    "1",
    "true",
]
DAYS = ["1969-12-31", "2024-02-28", "2024-02-29", "2024-03-01", "9999-12-31", "0001-01-01"]
TIMES = [
    "2024-02-29T11:59:59.999999",
    "2024-02-29T12:00:00",
    "2024-02-29T12:00:00.000001",
    "2024-02-29T12:00:00.5",
    "2024-02-29T12:00:01",
    "1969-12-31T23:59:59.5",
]
MOMENTS = [*(time + "Z" for time in TIMES), "2024-02-29T14:00:00+02:00", "2024-02-28T23:30:00-12:30"]

#: For each field: the values of records, and the SQL of constants it is compared with.
POOLS: dict[str, tuple[list[Any], list[str]]] = {
    "i": ([-3, -1, 0, 1, 2, 3, 7, 2**53 + 1, 2**63 - 1], ["-3", "0", "1", "2", "7", str(2**53 + 1), str(2**63 - 1)]),
    "x": ([-1.5, 0.0, 0.5, 1, 1.0, 2.25, 1e300], ["-1.5::DOUBLE", "0::DOUBLE", "0.5::DOUBLE", "1::DOUBLE"]),
    "b": ([True, False], ["true", "false"]),
    "s": (TEXTS, ["'" + text.replace("'", "''") + "'" for text in TEXTS]),
    "d": (DAYS, [f"DATE '{day}'" for day in DAYS]),
    "ts": (TIMES, [f"TIMESTAMP '{time}'" for time in TIMES]),
    "tz": (MOMENTS, [f"TIMESTAMPTZ '{moment}'" for moment in MOMENTS]),
    "n.f": ([-1, 0, 1, 2, 5], ["-1", "0", "1", "2", "5"]),
    "n.g": (["", "a", "b", "it's"], ["''", "'a'", "'b'", "'it''s'"]),
}  # fmt: skip
ORDERED = ["i", "x", "d", "ts", "tz", "n.f"]
#: Every filter that a call may name: each field and operator has a parameter of its own.
PARAMS: dict[str, tuple[str, Operator]] = {f"{field}_eq": (field, "=") for field in POOLS} | {
    f"{field}_{name}": (field, operator)
    for field in ORDERED
    for name, operator in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
}


def cell(field: str) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(POOLS[field][0])


RECORDS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={field: cell(field) for field in POOLS if "." not in field}
        | {"n": st.none() | st.fixed_dictionaries({}, optional={"f": cell("n.f"), "g": cell("n.g")})},
    ),
    max_size=8,
).map(lambda rows: [{"id": number, **row} for number, row in enumerate(rows)])


#: DuckDB 1.x refuses `b = true OR b IS DISTINCT FROM true` over any Arrow dataset, a plain pyarrow one too:
#: "COMPARE_DISTINCT_FROM can't be an Arrow Scan Pushdown Filter".
KINDS = ["compare", "compare", "mirror", "in", "in", "not in", "between", "null"]
KINDS += ["distinct"] if HAS_READABLE_RELATIONS else []


@st.composite
def conditions(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(sorted(POOLS)))
    constant = st.sampled_from(POOLS[field][1])
    match draw(st.sampled_from(KINDS)):
        case "compare":
            return f"{field} {draw(st.sampled_from(['=', '=', '<>', '<', '<=', '>', '>=']))} {draw(constant)}"
        case "mirror":
            return f"{draw(constant)} {draw(st.sampled_from(['=', '<', '<=', '>', '>=']))} {field}"
        case "in":
            values = draw(st.lists(constant, min_size=1, max_size=3)) + draw(st.sampled_from([[], [], ["NULL"]]))
            return f"{field} IN ({', '.join(values)})"
        case "not in":
            return f"{field} NOT IN ({', '.join(draw(st.lists(constant, min_size=1, max_size=3)))})"
        case "between":
            return f"{field} BETWEEN {draw(constant)} AND {draw(constant)}"
        case "null":
            return f"{field} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
        case _:
            return f"{field} IS {draw(st.sampled_from(['', 'NOT ']))}DISTINCT FROM {draw(constant)}"


WHERE = st.recursive(
    conditions(),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "AND", "OR"]), inner).map(lambda two: f"({two[0]} {two[1]} {two[2]})")
        | inner.map(lambda one: f"NOT ({one})")
    ),
    max_leaves=4,
)


@dataclass
class Bench:
    """One connection for all examples, and the API it asks."""

    con: duckdb.DuckDBPyConnection
    api: FakeApi

    def ids(self, sql: str) -> list[int]:
        return sorted(number for (number,) in self.con.execute(sql).fetchall())

    def load(self, records: list[dict[str, Any]]) -> None:
        """The records as DuckDB's own table."""
        table = pa.Table.from_pylist([_typed(record) for record in records], SCHEMA)
        self.con.register("loaded", table)
        self.con.execute("CREATE OR REPLACE TEMP TABLE own AS FROM loaded")
        self.con.unregister("loaded")


def _typed(record: dict[str, Any]) -> dict[str, Any]:
    reads = {"d": dt.date.fromisoformat, "ts": dt.datetime.fromisoformat, "tz": dt.datetime.fromisoformat, "x": float}
    return {k: reads[k](v) if k in reads and v is not None else v for k, v in record.items()}  # type: ignore[operator]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    api = FakeApi()
    session = Session(connectors=ConnectorRegistry(), transport=api.transport())
    with duckdb.connect() as con:
        apikit_sql.install(con, session=session)
        yield Bench(con, api)
    session.close()


def source(filters: list[str]) -> str:
    """The call that declares every column, with the filters of these parameters."""
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    pushed = ", ".join(f"'{PARAMS[param][0]} {PARAMS[param][1]}': '{param}'" for param in filters)
    named = f", filters := {{{pushed}}}" if filters else ""
    return f"apikit('{BASE_URL}', '/t', columns := {{{columns}}}{named})"


def check(bench: Bench, records: list[dict[str, Any]], where: str, filters: list[str], table: Table) -> None:
    bench.api.routes["/t"] = table
    bench.api.seen.clear()
    bench.load(records)

    described = bench.con.execute(f"DESCRIBE FROM {source(filters)}").fetchall()
    assert [name for name, *_ in described] == list(COLUMNS)
    assert bench.api.seen == []  # columns are declared

    expected = bench.ids(f"SELECT id FROM own WHERE {where}")
    assert bench.ids(f"SELECT id FROM {source([])} WHERE {where}") == expected
    assert bench.ids(f"SELECT id FROM {source(filters)} WHERE {where}") == expected


def one(**fields: Any) -> list[dict[str, Any]]:
    return [{"id": 0, **fields}]


@settings(max_examples=100, deadline=None)
@given(
    records=RECORDS,
    where=WHERE,
    filters=st.lists(st.sampled_from(sorted(PARAMS)), unique=True, max_size=8) | st.just(sorted(PARAMS)),
    ignored=st.sets(st.sampled_from(sorted(PARAMS))) | st.just(set()),
    paging=st.sampled_from(["none", "link", "next_url"]),
)
@example(one(), "i = 1", ["i_eq"], {"i_eq"}, "none")
@example(one(n={}), "n.f = 1", ["n.f_eq"], {"n.f_eq"}, "none")
@example(one(n={"f": 1}), "n.f IN (1, 5)", ["n.f_eq"], {"n.f_eq"}, "none")
@example(one(i=None), "i IN (1, NULL)", ["i_eq"], {"i_eq"}, "none")
@example(one(i=None), "i NOT IN (1, 7)", ["i_eq"], {"i_eq"}, "none")
@example(one(d="2024-02-29"), "d IN (DATE '2024-02-29', DATE '2023-01-01')", ["d_eq"], set(), "none")
@example(
    one(ts=TIMES[3]), f"ts > TIMESTAMP '{TIMES[1]}' AND ts < TIMESTAMP '{TIMES[4]}'", ["ts_gt", "ts_lt"], set(), "none"
)
@example(
    one(tz=MOMENTS[-2]), f"tz IN (TIMESTAMPTZ '{MOMENTS[1]}', TIMESTAMPTZ '{MOMENTS[4]}')", ["tz_eq"], set(), "none"
)
def test_filters_sent_to_the_api_never_change_the_rows(  # noqa: PLR0917 - given by name
    bench: Bench,
    records: list[dict[str, Any]],
    where: str,
    filters: list[str],
    ignored: set[str],
    paging: Paging,
) -> None:
    applied = {param: PARAMS[param] for param in filters if param not in ignored}

    check(bench, records, where, filters, Table(records, paging, 3, applied))


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, where=WHERE, extra=st.lists(st.integers(0, 7), max_size=3))
def test_an_api_may_deliver_more_than_was_asked_for(
    bench: Bench, records: list[dict[str, Any]], where: str, extra: list[int]
) -> None:
    """What it answers holds the rows asked for and some others."""
    table = Table(records, filters=PARAMS)

    def over_delivers(request: httpx.Request) -> httpx.Response:
        asked = json.loads(table.answer(request).content)
        return httpx.Response(200, json=[r for r in records if r in asked or r["id"] in extra])

    bench.api.routes["/t"] = over_delivers
    bench.load(records)

    found = bench.ids(f"SELECT id FROM {source(sorted(PARAMS))} WHERE {where}")

    assert found == bench.ids(f"SELECT id FROM own WHERE {where}")


@pytest.mark.parametrize("values", ["[1, 7]", "[1, 7, NULL]", "[NULL, 2]", "[NULL]::BIGINT[]", "[]::BIGINT[]"])
@pytest.mark.parametrize(
    "where", ["i IN getvariable('v')", "i = ANY(getvariable('v'))", "list_contains(getvariable('v'), i)"]
)
def test_a_list_in_a_variable_means_what_it_means_to_duckdb(bench: Bench, where: str, values: str) -> None:
    records = [{"id": n, "i": i} for n, i in enumerate([1, 2, 7, 9, None])] + [{"id": 5}]
    bench.con.execute(f"SET VARIABLE v = {values}")

    check(bench, records, where, ["i_eq", "i_ge", "i_le"], Table(records, filters={"i_eq": ("i", "=")}))


@pytest.mark.parametrize("value", ["0.0", "-0.0"])
@pytest.mark.parametrize(
    "where", ["x = {v}", "x IN ({v}, 5.5::DOUBLE)", "x >= {v}", "x <= {v}", "x BETWEEN {v} AND {v}"]
)
def test_nought_is_nought_with_either_sign(bench: Bench, where: str, value: str) -> None:
    records = [{"id": 0, "x": 0.0}, {"id": 1, "x": -0.0}, {"id": 2, "x": 1.0}]

    check(bench, records, where.format(v=f"'{value}'::DOUBLE"), sorted(PARAMS), Table(records, filters=PARAMS))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_the_time_zone_of_the_session_changes_no_row(bench: Bench, zone: str) -> None:
    records = [{"id": n, "tz": moment} for n, moment in enumerate(MOMENTS)]
    bench.con.execute(f"SET TimeZone = '{zone}'")

    try:
        for where in (
            "tz >= '2024-02-29 12:00:00'",
            "tz >= DATE '2024-02-29'",
            "tz < TIMESTAMPTZ '2024-02-29 12:00:00+05:30'",
        ):
            check(bench, records, where, sorted(PARAMS), Table(records, filters=PARAMS))
    finally:
        bench.con.execute("SET TimeZone = 'UTC'")


def test_a_list_of_a_thousand_values_brings_its_rows(bench: Bench) -> None:
    records = [{"id": n, "s": f"v{n}"} for n in range(0, 3_000, 7)]
    values = ", ".join(f"'v{n}'" for n in range(0, 3_000, 3))

    check(bench, records, f"s IN ({values})", ["i_eq"], Table(records))


def test_a_tight_bound_spares_the_rows_outside_it(bench: Bench) -> None:
    records = [{"id": n, "i": n} for n in range(100)]
    bench.api.routes["/t"] = Table(records, "link", 10, {"i_ge": ("i", ">="), "i_le": ("i", "<=")})
    bench.api.seen.clear()

    found = bench.ids(f"SELECT id FROM {source(['i_ge', 'i_le'])} WHERE i BETWEEN 40 AND 45 AND i > 41")

    assert found == [42, 43, 44, 45]
    assert len(bench.api.seen) == 1
