"""apikit_explain() beside the statement itself: what it tells is what the API then sees."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import apikit_sql
from apikit_sql.engine.session import Session
from tests.fakes.api import FakeApi, Table

Con = duckdb.DuckDBPyConnection
Row = dict[str, Any]
Rows = Callable[[str], list[tuple[Any, ...]]]
IS_2 = int(duckdb.__version__.partition(".")[0]) >= 2

SHOP = """
base_url = "https://shop.test"
auth = { type = "bearer", token = "env:SHOP_TOKEN" }

[streams.orders]
path = "/orders"
pagination = { strategy = "offset", offset_param = "offset", total_path = "total" }
data_path = "items"
key_columns = [
  { column = "state", param = "status", values = ["open", "paid"] },
  { column = "buyer.name", param = "buyer" },
  { column = "made", param = "since", operators = [">="], format = "rfc3339" },
]
[streams.orders.columns]
id = "BIGINT"
state = "VARCHAR"
note = "VARCHAR"
is_late = "BOOLEAN"
buyer = "STRUCT(name VARCHAR)"
made = "TIMESTAMPTZ"
tags = "JSON"

[streams.lines]
path = "/orders/{order}/lines"
pagination = { strategy = "none" }
columns = { sku = "VARCHAR", price = "BIGINT" }
key_columns = [{ column = "order", path = "order", required = true, type = "BIGINT" }]

[streams.notes]
path = "/notes"
pagination = { strategy = "none" }
columns = { about = "BIGINT", text = "VARCHAR" }
key_columns = [{ column = "about", param = "about" }]

[streams.remarks]
path = "/remarks"
pagination = { strategy = "none" }
columns = { about = "BIGINT", text = "VARCHAR" }

[streams.signed]
path = "/signed"
pagination = { strategy = "none" }
columns = { api_key = "VARCHAR", kind = "VARCHAR" }
key_columns = [{ column = "api_key", param = "api_key", values = ["abc", "xyz"] }, { column = "kind", param = "kind" }]
"""
ORDERS: list[dict[str, Any]] = [
    {
        "id": n,
        "state": ("open", "paid", "lost")[n % 3],
        "note": f"n{n}",
        "is_late": n % 2 == 0,
        "buyer": {"name": ("ada", "bo")[n % 2]},
        "made": f"2026-01-{n + 1:02}T00:00:00Z",
        "tags": [n],
    }
    for n in range(25)
]
NOTES = [{"about": n, "text": f"t{n}"} for n in range(5)]
TOTALS = [{"id": n, "kind": "ab"[n % 2]} for n in range(35)]


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config" / "connectors"
    folder.mkdir(parents=True)
    (folder / "shop.toml").write_text(SHOP, encoding="utf-8")
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-token")


@pytest.fixture
def api() -> FakeApi:
    filters: Any = {"status": ("state", "="), "buyer": ("buyer.name", "="), "since": ("made", ">=")}
    api = FakeApi(
        {
            "/orders": Table(ORDERS, paging="offset", filters=filters),
            "/notes": Table(NOTES, filters={"about": ("about", "=")}),
            "/totals": Table(TOTALS, paging="page_total", filters={"kind": ("kind", "=")}),
            "/others": Table(TOTALS, paging="page_total"),
            "/linked": Table(TOTALS, paging="link"),
            "/remarks": Table(NOTES),
            "/signed": Table([{"api_key": "abc", "kind": "a"}]),
        }
    )
    for order in range(25):
        api.routes[f"/orders/{order}/lines"] = Table([{"sku": "a", "price": order}])
    return api


@pytest.fixture
def shop(con: Con, api: FakeApi) -> Con:
    con.execute("CALL apikit_attach('shop')")
    con.execute("CREATE TABLE wanted AS FROM (VALUES (1, 'open'), (2, 'open')) v(number, state)")
    api.seen.clear()
    return con


def explained(con: Con, sql: str) -> list[Row]:
    result = con.execute(f"FROM apikit_explain($explained${sql}$explained$)")
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def urls(requests: list[httpx.Request]) -> list[str]:
    return [str(request.url) for request in requests]


TOTAL = "apikit('https://shop.test', '/totals', params := {page: 1})"
#: Statements of which every request is known before they run, and how many DuckDB 2.0 sends; older ones may push more.
KNOWN = {
    "one_page": ("FROM shop.notes", 1),
    "a_key": ("FROM shop.notes WHERE about = 3", 1),
    "a_key_in_a_function": ("FROM shop.notes WHERE about + 0 = 3", 1),
    "keys_of_a_list": ('FROM shop.lines WHERE "order" IN (3, 9, 17)', 3),
    "keys_of_a_range": ('FROM shop.lines WHERE "order" BETWEEN 3 AND 6', 4),
    "keys_by_name": ('FROM shop.lines("order" := 4)', 1),
    "keys": ("FROM shop.lines(keys := [{'order': 4}, {'order': 7}, {'order': 8}]) WHERE \"order\" <> 7", 3),
    "keys_that_a_predicate_excludes": ("FROM shop.lines(keys := [{'order': 4}, {'order': 7}]) WHERE \"order\" = 7", 1),
    "no_key": ("FROM shop.lines(keys := [])", 0),
    "a_variable": ("FROM shop.lines(keys := getvariable('chosen'))", 2),
    "a_variable_compared": ("FROM shop.notes WHERE about = getvariable('ABOUT')", 1),
    "pages": ("FROM shop.orders(pages := 1) WHERE state = 'open'", 1),
    "a_join": ('SELECT sku FROM shop.notes JOIN shop.lines ON price = about WHERE "order" IN (1, 2)', 3),
    "an_outer_join": ("FROM shop.notes n LEFT JOIN shop.notes m USING (about)", 2),
    "a_cross_product": ('SELECT * FROM shop.notes, (FROM shop.lines WHERE "order" = 1) l', 2),
    "a_cte_used_once": ("WITH c AS (FROM shop.notes WHERE about = 1) FROM c", 1),
    "a_cte_used_twice": ("WITH c AS (FROM shop.notes) FROM c a JOIN c b USING (text) WHERE a.about = 1", 1),
    "a_cte_kept": ("WITH c AS MATERIALIZED (FROM shop.notes) FROM c WHERE about = 1", 1),
    "exists": ("SELECT * FROM wanted w WHERE EXISTS (FROM shop.notes n WHERE n.about = w.number)", 1),
    "in_a_subquery": ('FROM shop.notes WHERE about IN (SELECT price FROM shop.lines WHERE "order" = 3)', 2),
    "a_scalar_subquery": ('SELECT (SELECT max(about) FROM shop.notes), count(*) FROM shop.lines WHERE "order" = 2', 2),
    "a_correlated_subquery": (
        "SELECT (SELECT count(*) FROM shop.notes n WHERE n.about = w.number) FROM wanted w", 1,
    ),
    "lateral": ("SELECT * FROM wanted w, LATERAL (SELECT text FROM shop.notes n WHERE n.about = w.number) t", 1),
    "a_window": ("SELECT text, row_number() OVER (ORDER BY about) FROM shop.notes QUALIFY row_number() OVER () < 3", 1),
    "union_all": ("FROM shop.notes UNION ALL FROM shop.notes WHERE about = 2", 2),
    "an_aggregate": ("SELECT text, count(*) FROM shop.notes GROUP BY ALL HAVING count(*) > 1 AND text LIKE 't%'", 1),
    "limit_of_one_page": ("FROM shop.notes LIMIT 2", 1),
    "limit_behind_a_sort": (f"SELECT id FROM {TOTAL} ORDER BY id DESC LIMIT 3", 3),
    "a_total": (f"SELECT count(*) FROM {TOTAL}", 3),
    "a_total_read_twice": (f"SELECT count(*) FROM {TOTAL} a JOIN {TOTAL} b USING (id)", 7),
    "a_long_list": (f"FROM shop.notes WHERE about IN ({', '.join(str(3 * n) for n in range(67))})", 67),
    "a_percentage": ("FROM apikit('https://shop.test', '/totals', params := {page: 1}) LIMIT 1%", 3),
    "look_alikes_of_one_fate": ("SELECT * FROM shop.notes a, shop.remarks b", 2),
    "what_is_never_read": ("FROM shop.notes WHERE false", 0),
    "no_api": ("SELECT 42", 0),
    "a_table_of_ours": ("SELECT count(*) FROM apikit_scans() JOIN shop.notes ON true", 1),
}  # fmt: skip


def sent_by_path(requests: list[httpx.Request]) -> Counter[str]:
    """How many requests went to each path, as the streams have it."""
    return Counter(re.sub(r"/orders/\d+/", "/orders/{order}/", request.url.path) for request in requests)


def told_by_path(told: list[Row]) -> Counter[str]:
    return Counter(path for row in told for path in [row["path"]] * (row["requests"] or 0))


@pytest.mark.parametrize("name", KNOWN)
def test_the_requests_are_exactly_as_told(shop: Con, api: FakeApi, name: str) -> None:
    sql, count = KNOWN[name]
    shop.execute("SET VARIABLE chosen = [{'order': 4}, {'order': 5}]; SET VARIABLE about = 2")

    told = explained(shop, sql)
    sampled = urls(api.seen)
    api.seen.clear()
    shop.execute(sql).fetchall()

    assert {row["url"] for row in told if row["requests"]} <= {*urls(api.seen), *sampled}
    if IS_2 or all(row["why"] is None for row in told):
        assert {row["why"] for row in told} <= {None}
        assert sent_by_path(api.seen) == told_by_path(told)
        assert len(api.seen) == count or not IS_2
    else:  # a join pushes what its other side holds
        assert {row["why"] for row in told} <= {None, "a join may narrow it by what its other side holds"}
        assert sent_by_path(api.seen) >= told_by_path(told)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("FROM shop.orders WHERE state = 'open'", "its first page"),
        (f"FROM {TOTAL} LIMIT 3", "LIMIT"),
        (f"SELECT EXISTS (FROM {TOTAL})", "LIMIT"),
        ("FROM (FROM shop.notes UNION ALL FROM shop.notes) LIMIT 1", "LIMIT"),
        ("FROM apikit('https://shop.test', '/linked')", "next one"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM r JOIN shop.notes n ON n.about = k) FROM r",
            "recursive",
        ),
    ],
)
def test_what_only_the_api_can_tell_is_null_with_the_reason(shop: Con, sql: str, why: str) -> None:
    told = explained(shop, sql)

    assert [row["requests"] for row in told] == [None] * len(told) != []
    assert all(why in row["why"] for row in told)


CONJUNCTS = {
    "state = 'open'": ("pushed", "state = 'open' as status=open"),
    "state IN ('open', 'paid')": ("pushed", "(2 trips)"),
    "buyer.name = 'ada'": ("pushed", "buyer.name = 'ada' as buyer=ada"),
    "made >= TIMESTAMPTZ '2026-01-03 00:00:00+00'": ("pushed", "as since=2026-01-03T00:00:00Z"),
    "made > TIMESTAMPTZ '2026-01-03 00:00:00.5+00'": ("pushed", "(rounded outward)"),
    "made < TIMESTAMPTZ '2026-01-20 00:00:00+00'": ("not_pushed", "of made the API answers >=, not <"),
    "state = 'lost'": ("not_pushed", "lost is none of the values that the API takes: open, paid"),
    "note = 'n3'": ("not_pushed", "note = 'n3': no key column names note, nor does filters"),
    "state <> 'open'": ("not_pushed", "state <> 'open': no parameter says <>"),
    "lower(state) = 'open'": ("not_pushed", "lower(state) = 'open': a function of the column"),
    "state || note = 'x'": ("not_pushed", "several columns"),
    "(state = 'open' OR note = 'n3')": ("not_pushed", "an OR over several columns"),
    "note IS NULL": ("not_pushed", "note IS NULL: no parameter says whether a value is there"),
    "is_late": ("not_pushed", "is_late: a bare boolean"),
    "tags = '[1]'": ("not_pushed", "tags = '[1]': "),
    "note ILIKE 'N%'": ("not_pushed", "a function of the column"),
    "state IN (SELECT state FROM wanted)": ("not_pushed", "keys := getvariable('k')"),
    "EXISTS (FROM wanted w WHERE w.number = id)": ("not_pushed", "keys := getvariable('k')"),
}


@pytest.mark.parametrize("first", CONJUNCTS)
@pytest.mark.parametrize("second", [None, "note = 'n3'", "buyer.name = 'ada'"])
def test_every_conjunct_is_told(shop: Con, api: FakeApi, first: str, second: str | None) -> None:
    chosen = [each for each in dict.fromkeys((first, second)) if each]

    (row,) = explained(shop, f"SELECT id FROM shop.orders WHERE {' AND '.join(chosen)}")
    shop.execute(f"SELECT id FROM shop.orders WHERE {' AND '.join(chosen)}").fetchall()

    for conjunct in chosen:
        where, text = CONJUNCTS[conjunct]
        assert any(text in each for each in row[where]), (row["pushed"], row["not_pushed"])
    assert len(row["pushed"]) == sum(CONJUNCTS[each][0] == "pushed" for each in chosen)
    assert urls(api.seen)[0] == row["url"]


def test_a_join_key_is_told_to_both_sides(shop: Con) -> None:
    told = explained(shop, "SELECT text FROM shop.notes n JOIN shop.orders o ON n.about = o.id WHERE o.state = 'open'")

    assert [row["path"] for row in told] == ["/notes", "/orders"]
    for row in told:
        assert [each.partition(": ")[2] for each in row["not_pushed"]] == [
            "a join key is not pushed; keys := getvariable('k') or NAME.STREAM_of(...) ask for each key"
        ]
    assert [row["pushed"] for row in told] == [[], ["state = 'open' as status=open"]]


def test_a_scalar_subquery_is_told_as_this_duckdb_treats_it(shop: Con, api: FakeApi) -> None:
    sql = "SELECT id FROM shop.orders WHERE state = (SELECT max(state) FROM wanted)"

    (row,) = explained(shop, sql)
    shop.execute(sql).fetchall()

    assert urls(api.seen)[0] == row["url"]
    is_pushed = api.params("status")[0] == "open"
    assert bool(row["pushed"]) == is_pushed
    assert any("getvariable('x')" in each for each in row["not_pushed"]) != is_pushed


def test_a_join_that_may_narrow_while_it_runs_is_unknown_where_duckdb_does_that(shop: Con, api: FakeApi) -> None:
    sql = 'SELECT sku FROM shop.notes n JOIN shop.lines l ON n.about = l.price WHERE l."order" IN (2, 3)'

    told = {row["path"]: row for row in explained(shop, sql)}
    shop.execute(sql).fetchall()

    notes = [request for request in api.seen if request.url.path == "/notes"]
    assert told["/orders/{order}/lines"]["requests"] == 2
    if any("about" in request.url.params for request in notes):
        assert told["/notes"]["requests"] is None
        assert "a join may narrow it" in told["/notes"]["why"]
    else:
        assert [str(request.url) for request in notes] == [told["/notes"]["url"]]


def test_a_function_of_a_row_sends_nothing_and_is_told(shop: Con, api: FakeApi) -> None:
    told = explained(
        shop,
        "SELECT apikit_get('https://shop.test', '/notes'), shop.lines_of(n), "
        "apikit_fetch('https://shop.test', '/x' || n) FROM range(3) r(n)",
    )

    assert api.seen == []
    assert [(row["connector"], row["requests"]) for row in told] == [(None, None)] * 3
    assert [row["why"].partition(" ")[0] for row in told] == ["apikit_fetch", "apikit_get", "shop.lines_of"]


def test_it_sends_no_more_than_its_bind(shop: Con, api: FakeApi) -> None:
    explained(shop, "FROM shop.orders WHERE state = 'open'")
    assert api.seen == []

    explained(shop, f"FROM {TOTAL}")
    explained(shop, f"FROM {TOTAL}")
    assert api.paths == ["/totals?page=1"]


def test_the_functions_work_as_before_when_it_is_over(shop: Con, rows: Rows) -> None:
    explained(shop, "SELECT apikit_get('https://shop.test', '/notes'), count(*) FROM shop.notes")

    assert rows("SELECT count(*) FROM shop.notes") == [(5,)]
    ((body,),) = rows("SELECT apikit_get('https://shop.test', '/notes')")
    assert len(json.loads(body)) == 5


def test_the_credential_is_named_and_never_shown(shop: Con) -> None:
    (row,) = explained(shop, "FROM shop.orders(params := {q: 's3cr3t-token', r: 'plain'})")

    assert row["credential"] == "env:SHOP_TOKEN"
    assert "plain" in row["url"]
    assert "s3cr3t-token" not in str(row)


def test_what_is_left_of_the_limit_is_told_when_the_api_has_told_it(shop: Con, api: FakeApi) -> None:
    headers = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "41", "x-ratelimit-reset": "9999999999"}
    api.routes["/notes"] = httpx.Response(200, json=NOTES, headers=headers)

    (before,) = explained(shop, "FROM shop.notes")
    shop.execute("FROM shop.notes").fetchall()
    (after,) = explained(shop, "FROM shop.notes")

    assert (before["remaining"], after["remaining"]) == (None, 41)


def test_more_requests_than_may_be_sent_are_told(shop: Con, api: FakeApi) -> None:
    call = "apikit('https://shop.test', '/totals', params := {page: 1}, max_requests := 2)"

    (row,) = explained(shop, f"FROM {call}")
    api.seen.clear()
    with pytest.raises(duckdb.Error, match="max_requests = 2"):
        shop.execute(f"FROM {call}").fetchall()

    assert (row["requests"], len(api.seen)) == (2, 2)
    assert "it will fail: it needs 3 requests" in row["why"]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1; SELECT 2", "must be one SELECT"),
        ("", "must be one SELECT"),
        ("CREATE TABLE x AS FROM shop.notes", "must be one SELECT"),
        ("SELECT ? + 1", "has parameters"),
        ("SELEC 1", "syntax error"),
        ("FROM nowhere", "nowhere does not exist.*\n*.*Temporary tables"),
        ("FROM shop.lines", "shop.lines needs .*order"),
        ("FROM apikit('https://shop.test', 'x')", "has no stream"),
    ],
)
def test_what_cannot_be_explained_is_an_error_that_says_why(shop: Con, api: FakeApi, sql: str, message: str) -> None:
    with pytest.raises(duckdb.Error, match=f"(?s){message}"):
        explained(shop, sql)

    assert api.seen == []


@pytest.mark.parametrize("argument", ["NULL", "3", "['FROM x']"])
def test_what_is_no_text_is_an_error(shop: Con, argument: str) -> None:
    with pytest.raises(duckdb.Error, match="write the statement as a text"):
        shop.execute(f"FROM apikit_explain({argument})")


def test_nobody_can_record_what_is_not_explained(con: Con) -> None:
    with pytest.raises(duckdb.Error, match="no statement is explained here"):
        con.execute("""FROM query(__apikit_bind('{"function": "record", "recording": "x", "question": "{}"}'))""")


@pytest.mark.own_database  # for a macro stays
def test_a_stored_view_a_macro_and_the_current_catalog_are_seen(shop: Con) -> None:
    shop.execute("CREATE VIEW opened AS FROM shop.orders WHERE state = 'open'")
    shop.execute("CREATE MACRO about(n) AS TABLE FROM shop.notes WHERE about = n")
    assert [row["pushed"] for row in explained(shop, "FROM opened")] == [["state = 'open' as status=open"]]
    assert [row["pushed"] for row in explained(shop, "FROM about(2)")] == [["about = 2 as about=2"]]

    shop.execute("USE shop")
    assert [row["requests"] for row in explained(shop, "FROM notes")] == [1]
    assert [row["trips"] for row in explained(shop, "FROM apikit('shop', 'notes')")] == [1]


def test_variables_keep_their_types(shop: Con) -> None:
    shop.execute("SET VARIABLE since = TIMESTAMPTZ '2026-01-03 01:00:00+02'; SET VARIABLE \"it's\" = 'open'")

    (row,) = explained(shop, "FROM shop.orders WHERE made >= getvariable('since') AND state = getvariable('it''s')")

    assert httpx.URL(row["url"]).params["since"] == "2026-01-02T23:00:00Z"
    assert httpx.URL(row["url"]).params["status"] == "open"


def test_a_time_without_zone_is_of_the_callers_zone(shop: Con) -> None:
    shop.execute("SET TimeZone = 'Asia/Tokyo'")

    (row,) = explained(shop, "FROM shop.orders WHERE made >= TIMESTAMP '2026-01-03 09:00:00'")

    assert httpx.URL(row["url"]).params["since"] == "2026-01-03T00:00:00Z"


def test_cursors_and_relations_explain_too(shop: Con) -> None:
    assert [row["requests"] for row in explained(shop.cursor(), "FROM shop.notes")] == [1]
    assert shop.sql("SELECT requests FROM apikit_explain('FROM shop.notes')").fetchall() == [(1,)]
    assert shop.execute("SELECT requests FROM apikit_explain(?)", ["FROM shop.notes"]).fetchall() == [(1,)]


def test_one_within_another_is_no_scan(shop: Con) -> None:
    assert explained(shop, "FROM apikit_explain('FROM shop.notes')") == []


def test_a_database_file_explains_and_keeps_nothing(session: Session, api: FakeApi, tmp_path: Path) -> None:
    con = duckdb.connect(tmp_path / "own.db")
    apikit_sql.install(con, session=session, attach=["shop"])

    told = explained(con, "FROM shop.notes WHERE about = 1")
    con.execute("SELECT count(*) FROM shop.notes").fetchall()
    con.close()

    assert [row["pushed"] for row in told] == [["about = 1 as about=1"]]
    assert len(api.seen) == 1
    with duckdb.connect(tmp_path / "own.db", read_only=True) as again:
        stored = "SELECT function_name FROM duckdb_functions() WHERE function_name LIKE '%apikit%'"
        assert again.execute(stored).fetchall() == []


def test_a_table_may_be_named_as_connect_takes_it(session: Session, api: FakeApi) -> None:
    with apikit_sql.connect(session=session) as con:
        told = con.execute("SELECT path, requests FROM apikit_explain($$ FROM 'shop:/totals?page=1' $$)").fetchall()
        api.seen.clear()
        con.execute("FROM 'shop:/totals?page=1'").fetchall()

    assert told == [("/totals", len(api.seen))]


def test_connect_raises_our_error(session: Session) -> None:
    with (
        apikit_sql.connect(session=session, attach=["shop"]) as con,
        pytest.raises(apikit_sql.CallError, match="must be one SELECT"),
    ):
        con.execute("FROM apikit_explain('DROP TABLE x')")


@pytest.mark.parametrize("function", ["apikit_inspect", "apikit_schema"])
def test_what_asks_an_api_when_it_is_read_sends_nothing_and_is_told(shop: Con, api: FakeApi, function: str) -> None:
    (told,) = explained(shop, f"FROM {function}('https://shop.test', '/totals')")

    assert api.seen == []
    assert told["requests"] is None
    assert told["why"] == f"{function} sends a request when it is read, unless a bind has"


def test_how_many_answers_the_cache_gives_is_not_foreseen(shop: Con) -> None:
    (told,) = explained(shop, "FROM apikit('shop', 'notes', cache := 60)")

    assert (told["requests"], told["trips"]) == (None, 1)
    assert told["why"] == "answers of the last 60 s come from the response cache"


def test_a_mutation_is_not_sent_while_it_is_explained(shop: Con, session: Session, api: FakeApi) -> None:
    apikit_sql.install(shop, session=session, allow_mutations=["shop"])

    (told,) = explained(shop, "SELECT apikit_post('shop', '/notes', body := {text: 'x'}).status")

    assert api.seen == []
    assert (told["requests"], told["why"][:12]) == (None, "apikit_post ")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nextval('counted')",
        *(
            [
                "WITH x AS (DELETE FROM wanted RETURNING *) SELECT * FROM x",
                "WITH x AS (INSERT INTO wanted VALUES (3, 'paid')) FROM wanted",
                "WITH x AS (COPY wanted TO '{file}') FROM x",
            ]
            if IS_2
            else []
        ),
    ],
)
def test_what_writes_is_refused_and_nothing_is_written(shop: Con, rows: Rows, tmp_path: Path, sql: str) -> None:
    shop.execute("CREATE SEQUENCE counted")

    with pytest.raises(duckdb.Error, match=r"apikit_explain: the statement writes .*explain its SELECT alone"):
        explained(shop, sql.format(file=tmp_path / "copied.csv"))

    assert rows("SELECT count(*) FROM wanted") == [(2,)]
    assert rows("SELECT nextval('counted')") == [(1,)]
    assert not (tmp_path / "copied.csv").exists()


@pytest.mark.own_database  # for a macro stays
@pytest.mark.parametrize(
    "sql",
    [
        "FROM of_a",
        "FROM of_a_too()",
        "FROM shop.notes WHERE about = getvariable($$a$$)",
        "FROM shop.notes WHERE about = getvariable(lower('A'))",
        "FROM query('FROM shop.notes WHERE about = getvariable(''a'')')",
    ],
)
def test_variables_are_seen_wherever_they_are_read(shop: Con, api: FakeApi, sql: str) -> None:
    shop.execute("SET VARIABLE a = 3")
    shop.execute("CREATE VIEW of_a AS FROM shop.notes WHERE about = getvariable('a')")
    shop.execute("CREATE MACRO of_a_too() AS TABLE FROM shop.notes WHERE about = getvariable('a')")
    api.seen.clear()

    (row,) = explained(shop, sql)
    shop.execute(sql).fetchall()

    assert (row["requests"], [row["url"]]) == (1, urls(api.seen))
    assert row["url"].endswith("?about=3")


@pytest.mark.parametrize(
    "value",
    [
        "12345678901234567890.123456789::DECIMAL(38, 9)", "'\\x00\\xFFa'::BLOB", "'0101'::BIT", "0.1::FLOAT",
        "123456789012345678901234567890123456789012345678901234567890::BIGNUM", "'a' || chr(0) || 'b'", "NULL::DATE",
        """'{"a": "it''s"}'::JSON""", "TIMESTAMPTZ '2026-01-03 01:00:00+02'", "INTERVAL '1 month 2 days'", "[1, NULL]",
        "{'a b': 'x, ''y''', 'n': NULL, 't': 'NULL'}", "'b'::ENUM('a', 'b')", "MAP {'a': 1}", "'inf'::DOUBLE",
    ],
)  # fmt: skip
def test_a_variable_keeps_its_value_and_kind(shop: Con, value: str) -> None:
    shop.execute(f"SET VARIABLE a = {value}")
    alike = f"getvariable('a') IS NOT DISTINCT FROM ({value})"
    kind = f"typeof(getvariable('a')) = typeof({value}) OR getvariable('a') IS NULL"

    told = explained(shop, f"FROM shop.notes LIMIT CASE WHEN {alike} AND ({kind}) THEN 1 ELSE error('lost') END")

    assert len(told) == 1


def test_a_variable_that_no_text_says_is_an_error_that_names_it(shop: Con) -> None:
    shop.execute("SET VARIABLE either = union_value(k := 3)")

    with pytest.raises(duckdb.Error, match=r"the variable either \(UNION\(k INTEGER\)\).*RESET VARIABLE"):
        explained(shop, "FROM shop.notes")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM (FROM {a} LIMIT 3) a, {b} b",
        "SELECT * FROM {a} a, (FROM {b} LIMIT 3) b",
        "SELECT * FROM (FROM {a} WHERE kind || 'x' = 'ax') a, {b} b",
    ],
)
def test_scans_that_the_plan_does_not_tell_apart_are_unknown(shop: Con, sql: str) -> None:
    first, second = (f"apikit('https://shop.test', '/{path}', params := {{page: 1}})" for path in ("totals", "others"))

    told = explained(shop, sql.format(a=first, b=second))

    assert [row["path"] for row in told] == ["/totals", "/others"]
    assert [(row["requests"], row["not_pushed"]) for row in told] == [(None, [])] * 2
    assert {row["why"] for row in told} == {"DuckDB's plan does not tell these scans apart"}


def test_all_that_look_alike_are_unknown_also_where_two_are_the_same(shop: Con) -> None:
    told = explained(shop, "SELECT * FROM (FROM shop.notes LIMIT 3) a, shop.remarks b, shop.remarks c")

    assert [row["path"] for row in told] == ["/notes", "/remarks", "/remarks"]
    assert {row["requests"] for row in told} == {None}


def test_scans_of_other_columns_are_told_apart(shop: Con) -> None:
    told = explained(shop, f"SELECT * FROM (FROM shop.notes WHERE text || 'x' = 't1x') a, (SELECT id FROM {TOTAL}) b")

    assert {row["path"]: (row["requests"], len(row["not_pushed"])) for row in told} == {
        "/notes": (1, 1), "/totals": (3, 0),
    }  # fmt: skip


@pytest.mark.parametrize(
    "form", ["apikit_key = 'abc'", "api_key IN ('abc', 'xyz')", "api_key = 'hushhush'", "lower(api_key) = 'abc'"]
)
def test_a_value_that_urls_mask_is_masked_here_too(shop: Con, form: str) -> None:
    (row,) = explained(shop, f"FROM shop.signed WHERE {form.replace('apikit_key', 'api_key')}")

    told = row["pushed"] + row["not_pushed"]
    assert "***REDACTED***" in told[0]
    assert not any(value in each for each in told for value in ("'abc'", "=abc", "hushhush", "'xyz'", "=xyz"))


def test_the_credential_is_masked_where_a_predicate_says_it(shop: Con) -> None:
    (row,) = explained(shop, "FROM shop.signed WHERE kind = 's3cr3t-token' AND kind || 'x' = 's3cr3t-token'")

    assert [len(row["pushed"]), len(row["not_pushed"])] == [1, 1]
    assert "s3cr3t-token" not in str(row)


def test_a_pivot_that_finds_its_columns_is_named(shop: Con) -> None:
    with pytest.raises(duckdb.Error, match=r"PIVOT .*List them: ON x IN"):
        explained(shop, "PIVOT shop.notes ON text USING sum(about)")

    (row,) = explained(shop, "PIVOT shop.notes ON text IN ('t1') USING sum(about)")
    assert row["requests"] == 1


@pytest.mark.skipif(IS_2, reason="DuckDB 2.0 does not crash")
def test_what_would_crash_is_refused(shop: Con) -> None:
    with pytest.raises(duckdb.Error, match="may crash at NOT MATERIALIZED"):
        explained(shop, "WITH c AS NOT  materialized (FROM shop.notes) FROM c a JOIN c b USING (text)")


@pytest.mark.parametrize("function", ["apikit_attach('demo')", "apikit_detach('shop')"])
def test_attaching_and_detaching_are_not_done(shop: Con, rows: Rows, function: str) -> None:
    before = rows("SELECT database_name FROM duckdb_databases() ORDER BY ALL")

    (told,) = explained(shop, f"FROM {function}")

    assert rows("SELECT database_name FROM duckdb_databases() ORDER BY ALL") == before
    assert (told["requests"], told["why"]) == (None, f"{function[:13]} does nothing while it is explained")


@pytest.mark.skipif(not IS_2, reason="a plan of DuckDB 1.x does not say what it skips")
def test_an_offset_alone_reads_everything(shop: Con, api: FakeApi) -> None:
    (row,) = explained(shop, f"SELECT id FROM {TOTAL} OFFSET 3")
    (limited,) = explained(shop, f"SELECT id FROM {TOTAL} LIMIT (SELECT 1) OFFSET 3")
    api.seen.clear()
    shop.execute(f"SELECT id FROM {TOTAL} OFFSET 3").fetchall()

    assert row["requests"] == len(api.seen) == 3
    assert (limited["requests"], limited["why"]) == (None, "LIMIT may end it early; 3 at the most")


def test_it_runs_where_duckdb_has_one_thread(shop: Con) -> None:
    shop.execute("SET threads = 1")

    assert [row["requests"] for row in explained(shop, "FROM shop.notes")] == [1]


@pytest.mark.own_database
def test_a_locked_configuration_is_no_reason_not_to_explain(connected: Callable[..., Con], api: FakeApi) -> None:
    con = connected()
    con.execute("SET lock_configuration = true")

    (row,) = explained(con, "FROM apikit('https://api.test', '/items', columns := {id: 'INT'})")

    assert (row["path"], row["trips"]) == ("/items", 1)
    assert api.seen == []


@pytest.mark.own_database
def test_a_time_zone_that_is_locked_and_not_that_of_new_connections_is_told(connected: Callable[..., Con]) -> None:
    con = connected()
    con.execute("SET TimeZone = 'Asia/Tokyo'; SET lock_configuration = true")

    with pytest.raises(
        duckdb.Error, match=r"CallError: .*'Asia/Tokyo' cannot be taken over: .*locked. SET GLOBAL TimeZone"
    ):
        explained(con, "SELECT 1")


def test_the_function_behind_takes_no_sql_along_in_a_type(con: Con) -> None:
    given = json.dumps({"sql": "SELECT 1", "time_zone": "UTC", "search_path": ""})
    variables = json.dumps([{"name": "x", "type": "INT); CREATE TABLE evil(i INT); --", "value": "1"}])

    with pytest.raises(duckdb.Error, match="CallError"):
        con.execute("SELECT __apikit_explained($1, $2)", [given, variables])

    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'evil'").fetchall() == [(0,)]
