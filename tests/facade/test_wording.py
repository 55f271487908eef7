# ruff: noqa: E501 - messages, whole
"""What is said by the Python door is said as Python writes it: errors, warnings, and what an inspection tells."""

import asyncio
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import polars as pl
import pyarrow as pa
import pytest

from apikit_sql import (
    ApiConfig,
    Apikit,
    ApikitError,
    ApikitWarning,
    CallError,
    ConfigError,
    ConnectorNotFoundError,
    PaginationConfig,
    RateLimitError,
    RequestError,
    RequestsSpentError,
    RetryConfig,
    SchemaDriftError,
    Session,
    get_writer,
)
from apikit_sql.facade.fetching import Fetching
from apikit_sql.facade.wording import in_python
from tests.facade.doors import Door, call, first
from tests.fakes.api import BASE_URL, FakeApi, Table

RECORDS: list[dict[str, Any]] = [{"id": n} for n in range(25)]
LATER = [*RECORDS[:10], {"id": "x", "late": 1}]
MORE = {"items": RECORDS[:10], "total": 25}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            "/items": Table(RECORDS, "link"),
            "/later": Table(LATER, "link"),
            "/more": httpx.Response(200, json=MORE),
            "/silent": httpx.Response(200, json=RECORDS[:10]),
            "/empty": Table([]),
            "/busy": httpx.Response(429, headers={"retry-after": "90"}),
            "/closed": httpx.Response(401),
            "/nothing": httpx.Response(404),
        }
    )


@pytest.mark.parametrize(
    ("sql", "python"),
    [
        ("api: 0 left. Set max_wait := 3600.", "api: 0 left. Set max_wait=3600."),
        ("apikit: types := {'a': 'JSON'}, or", "types={'a': 'JSON'}, or"),
        ("apikit_graphql: say page_size := ...", "graphql: say page_size=..."),
        ("Say extra := true, or columns := {...}.", "Say extra=True, or columns={...}."),
        ("say pagination := {...}.", "say strategy=PaginationConfig(...)."),
        ("pagination := {'strategy': 'page', 'page_param': 'p'}", "strategy=PaginationConfig(strategy='page', page_param='p')"),
        ("if not, pagination := 'none'.", "if not, strategy='none'."),
        ("Write WHERE a = ..., or SET VARIABLE k = (SELECT 1) and keys := getvariable('k').", "Write WHERE a = ..., or keys=[{...}, ...]."),
        ("path_params.id is NULL; /{id} needs a value", "path_params.id is None; /{id} needs a value"),
        ("types := {'it''s': 'VARCHAR'}, or", "types={\"it's\": 'VARCHAR'}, or"),
        ("api /x: 1 of 3 trips failed and were skipped; apikit_errors() lists them. The first: no", "api /x: 1 of 3 trips failed and were skipped. The first: no"),
        ("the API said: a:=b", "the API said: a:=b"),
        ("rule `discount := true` at x := {'a''b': 3}; status is NULL; n := true", "rule `discount := true` at x := {'a''b': 3}; status is NULL; n := true"),
    ],
)  # fmt: skip
def test_what_a_message_advises_is_python(sql: str, python: str) -> None:
    assert in_python(sql) == python
    assert in_python(python) == python


CASES: list[tuple[str, Any, dict[str, Any], type[ApikitError], str]] = [
    ("fetch_records", "/busy", {}, RateLimitError, r"longer than max_wait = 60 s\. Set max_wait=120\.$"),
    ("fetch_records", "/closed", {}, RequestError, r"no credential was sent\. Set its token: .*Apikit\(\.\.\., token=\.\.\.\)"),
    ("fetch_records", "/more", {"paginate": True}, RequestError, r"params={'page': 1} or {'offset': 0}, or say strategy=PaginationConfig\("),
    ("fetch_records", "/items", {"paginate": True, "max_pages": 2}, RequestError, r"stop there with pages=2\.$"),
    ("fetch_records", "/items", {"paginate": True, "max_requests": 1}, RequestsSpentError, r"or stop earlier: pages=\.\.\."),
    ("fetch_arrow", "/items", {"pages": 9, "columns": {"id": "BOOLEAN"}}, SchemaDriftError, r"BOOLEAN\. Declare VARCHAR\.$"),
    ("fetch_records", "/of/{id}", {}, CallError, r"^api\.test /of/{id} needs id: say path_params={'id': \.\.\.}\.$"),
    ("fetch_records", "/a?b=1", {}, CallError, r"as params={'name': value}\.$"),
    ("fetch_records", "/items", {"params": "limit=1"}, CallError, r"^params: must be an object: {\.\.\.}$"),
    ("fetch_polars", "/items", {"columns": ["id"]}, CallError, r"^columns: must be an object: {\.\.\.}$"),
    ("fetch_polars", "/items", {"columns": {"id": int}}, CallError, r"^columns\.id: must be the name of a type, 'BIGINT', or"),
    ("fetch_records", "/items", {"strategy": "page"}, CallError,
     r"needs page_param\. Say strategy=PaginationConfig\(strategy='page', page_param='page', limit_param=\.\.\.\), as the API"),
    ("fetch_records", "/items", {"page_size": 5}, CallError, r"Say strategy=PaginationConfig\(strategy='auto', limit_param=\.\.\.\)"),
    ("fetch_records", "/items", {"strategy": "pages"}, CallError, r"they are offset, page, cursor, link, next_url, none, auto\."),
    ("fetch_records", "https://other.test/items", {}, CallError, r"A path starts with '/', and comes behind the base URL, https://api\.test\.$"),
    ("fetch_records", "items", {}, CallError, r"A path starts with '/': '/items'\.$"),
    ("fetch_records", None, {}, CallError, r"an endpoint is a path, '/issues', or the name of a stream, not NoneType"),
    ("post", "/items", {"body": "hi"}, CallError, r"^body: must be an object {\.\.\.} or a list \[\.\.\.\]$"),
    ("post", "/items/{id}", {}, CallError, r"Say path_params={'id': \.\.\.}\.$"),
    ("inspect", "/of/{id}", {}, CallError, "^inspect: "),
    ("graphql", "/graphql", {"query": "query($n: Int!) { a(n: $n) }"}, CallError, r"variables={'n': \.\.\.}\.$"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "endpoint", "options", "kind", "words"), CASES)
def test_errors_of_every_method_are_python(  # noqa: PLR0917 - fixtures and parameters
    client: Apikit, door: Door, method: str, endpoint: str, options: dict[str, Any], kind: type[ApikitError], words: str
) -> None:
    wanted = ApikitError if kind is RequestError else kind
    with pytest.raises(wanted, match=words) as caught:
        call(door, client, method, endpoint, **options)

    assert ":=" not in str(caught.value)


def test_what_others_have_said_is_not_respelt(api: FakeApi, client: Apikit, door: Door) -> None:
    said = "rule `discount := true` failed; status is NULL; see x := 5"
    api.routes["/refused"] = httpx.Response(422, json={"message": said})
    api.routes["/noted"] = httpx.Response(200, json=[{"note": "n := true"}])

    with pytest.raises(RequestError, match=re.escape(said)):
        call(door, client, "fetch_records", "/refused")
    with pytest.raises(SchemaDriftError, match='note = "n := true"'):
        call(door, client, "fetch_arrow", "/noted", columns={"note": "BIGINT"})
    with pytest.raises(CallError, match="no option 'foo := true'"):
        call(door, client, "fetch_records", "/refused", **{"foo := true": 1})


def test_a_column_is_named_as_python_quotes_it(api: FakeApi, client: Apikit, door: Door) -> None:
    api.routes["/quoted"] = Table([{"it's": 1}] * 10 + [{"it's": "x"}], "link")
    target = io.BytesIO()

    with pytest.raises(SchemaDriftError, match=re.escape("Say types={\"it's\": 'VARCHAR'}, ")):
        call(door, client, "fetch_to_file", "/quoted", format="csv", file_path=target, paginate=True)


def test_the_words_take_no_frames_of_their_own() -> None:
    assert Apikit.fetch_records is Fetching.fetch_records
    assert not hasattr(Apikit.graphql, "__wrapped__")


def test_an_error_keeps_its_fields(client: Apikit, door: Door) -> None:
    with pytest.raises(RateLimitError) as caught:
        call(door, client, "fetch_records", "/busy")

    assert (caught.value.status, caught.value.retry_after, caught.value.url) == (429, 90, f"{BASE_URL}/busy")


def test_a_stream_says_it_likewise(client: Apikit, door: Door) -> None:
    with pytest.raises(CallError, match=r"say path_params={'id': \.\.\.}"):
        first(door, client, 1, "/of/{id}")
    with pytest.raises(ApikitError, match=r"params={'page': 1}"):
        first(door, client, 99, "/more")
    with pytest.raises(CallError, match="no option 'columns' where records stay as they are"):
        first(door, client, 1, "/items", columns={"id": "BIGINT"})


def test_warnings_are_python(client: Apikit, door: Door, tmp_path: Any) -> None:
    with pytest.warns(
        ApikitWarning, match=r"say strategy=PaginationConfig\(strategy=\.\.\.\); if not, strategy='none'"
    ) as silent:
        call(door, client, "fetch_records", "/silent", paginate=True)
    with pytest.warns(ApikitWarning, match="has more pages than the one") as stopped:
        first(door, client, 99, "/items", paginate=False)
    with pytest.warns(ApikitWarning, match=r"Say extra=True, a larger sample_pages, or columns={\.\.\.}") as late:
        call(
            door, client, "fetch_to_file", "/later", format="csv", file_path=tmp_path / "x", paginate=True,
            types={"id": "VARCHAR"},
        )  # fmt: skip
    for told in (*silent, *stopped, *late):
        assert Path(told.filename).name == "doors.py"  # whoever has called


def test_an_inspection_tells_it_likewise(client: Apikit, door: Door) -> None:
    assert "params={'page': 1} or {'offset': 0}" in call(door, client, "inspect", "/more").evidence


READERS: list[Callable[[Any], Any]] = [pl.from_arrow, pa.table]


def by_duckdb(later: Any) -> Any:  # noqa: ARG001 - DuckDB finds it by its name
    return duckdb.sql("FROM later").fetchall()  # type: ignore[union-attr]


@pytest.mark.parametrize("read", [*READERS, by_duckdb])
def test_a_table_says_it_to_each_reader(client: Apikit, read: Callable[[Any], Any]) -> None:
    later = client.table("/later")

    with pytest.raises((SchemaDriftError, pa.ArrowInvalid, duckdb.Error), match=r"Say types={'id': 'VARCHAR'}, "):
        read(later)
    with pytest.raises(CallError, match=r"columns={'id': 'BIGINT', .*sample_pages=3\.$"):
        client.table("/empty")


def test_an_error_of_a_table_has_its_fields(api: FakeApi, client: Apikit) -> None:
    items = client.table("/items")
    api.routes["/items"] = httpx.Response(404)
    pl.from_arrow(items.schema.empty_table())  # the page that told the columns serves the first reading

    with pytest.raises(RequestError) as caught:
        pl.from_arrow(items)

    assert (caught.value.status, caught.value.url.partition("?")[0]) == (404, f"{BASE_URL}/items")


def test_whose_api_it_is_is_told_in_python(session: Session) -> None:
    with pytest.raises(ConfigError, match=r"'github' is no URL\. Did you mean Apikit\.from_name\('github'\)\?"):
        Apikit("github")
    with pytest.raises(ConnectorNotFoundError, match=r"in Python Apikit\('https://api\.test'\)\.$"):
        Apikit.from_name("https://api.test", session=session)
    with pytest.raises(ConfigError, match=r"STRIPE_API_KEY is not set\. Set it, or in Python say token='"):
        Apikit.from_name("stripe", session=session).fetch_records("customers")
    for wrong in (-1, float("nan"), object(), True):
        with pytest.raises(ConfigError, match=r"^max_wait"):
            Apikit(BASE_URL, max_wait=wrong)  # type: ignore[arg-type]
    for headers in ([1], {"X-A": 5}, "X-A"):
        with pytest.raises(ConfigError, match=r"^headers"):
            Apikit(BASE_URL, headers=headers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "client_of",
    [
        lambda session: Apikit(BASE_URL, max_wait=80, session=session),
        lambda session: Apikit.from_config(ApiConfig(base_url=BASE_URL), max_wait=80, session=session),
        lambda session: Apikit.from_config(
            ApiConfig(base_url=BASE_URL, retry=RetryConfig(max_wait=80)), session=session
        ),
    ],
    ids=["of the client", "of the client of a config", "of the config itself"],
)
def test_max_wait_says_how_long_a_limit_is_waited_for(session: Session, client_of: Callable[[Session], Apikit]) -> None:
    client = client_of(session)

    with pytest.raises(RateLimitError, match="longer than max_wait = 80 s"):
        client.fetch_records("/busy")
    with pytest.raises(RateLimitError, match="longer than max_wait = 70 s"):
        client.fetch_records("/busy", max_wait=70)
    with pytest.raises(RateLimitError, match="longer than max_wait = 80 s"):
        asyncio.run(client.apost("/busy"))


@pytest.mark.parametrize("method", ["fetch_records", "graphql", "post", "inspect"])
def test_what_a_limit_advises_is_taken(client: Apikit, door: Door, method: str) -> None:
    def told(**options: Any) -> str:
        query = {"query": "{ a { b } }"} if method == "graphql" else {}
        try:
            found = call(door, client, method, "/busy", **query, **options)
        except RateLimitError as error:
            return str(error)
        return str(found.error)

    told()  # of some a limit is known after its first 429 only

    assert told().endswith("Set max_wait=120.")
    assert "longer than max_wait = 70 s" in told(max_wait=70)


@pytest.mark.parametrize("method", ["fetch_records", "graphql", "post", "inspect"])
@pytest.mark.parametrize("wrong", [-1, True, "soon"])
def test_what_is_no_number_of_seconds_is_refused(
    api: FakeApi, client: Apikit, door: Door, method: str, wrong: Any
) -> None:
    query = {"query": "{ a { b } }"} if method == "graphql" else {}

    with pytest.raises(CallError, match=r"^max_wait"):
        call(door, client, method, "/items", **query, max_wait=wrong)

    assert api.seen == []


@pytest.mark.parametrize("name", ["pages", "page_size", "timeout", "max_requests"])
def test_a_number_is_no_switch(api: FakeApi, client: Apikit, door: Door, name: str) -> None:
    with pytest.raises(CallError, match=f"^{name} is no switch"):
        call(door, client, "fetch_records", "/items", **{name: True})

    assert api.seen == []


def test_a_sample_is_of_columns_that_are_inferred(api: FakeApi, client: Apikit, door: Door) -> None:
    options: dict[str, Any] = {"format": "csv", "file_path": io.BytesIO(), "columns": {"id": "BIGINT"}}
    with pytest.raises(CallError, match=r"^sample_pages is of columns that are inferred; here they are declared\.$"):
        call(door, client, "fetch_to_file", "/items", sample_pages=5, **options)
    with pytest.raises(CallError, match="sample_pages is of columns"):
        client.table("/items", columns={"id": "BIGINT"}, sample_pages=5)

    assert api.seen == []


@pytest.mark.filterwarnings("error")
def test_so_many_pages_are_no_reason_to_warn(api: FakeApi, client: Apikit, door: Door) -> None:
    assert call(door, client, "fetch_records", "/items", pages=2) == RECORDS[:20]
    assert first(door, client, 99, "/items", pages=1) == RECORDS[:10]
    assert len(api.seen) == 3


def test_what_messages_advise_acts(api: FakeApi, client: Apikit, door: Door, tmp_path: Any) -> None:
    paging = PaginationConfig(strategy="none")

    call(door, client, "fetch_records", "/items", headers={"X-A": "b"}, timeout=5, concurrency=1, strategy=paging)
    assert api.seen[-1].headers["x-a"] == "b"
    sent = len(api.seen)
    call(door, client, "fetch_records", "/items", cache=300, strategy=paging)
    call(door, client, "fetch_records", "/items", cache=300, strategy=paging)
    assert len(api.seen) == sent + 1
    wide: dict[str, Any] = {"format": "parquet", "file_path": tmp_path / "x.parquet", "paginate": True}
    with pytest.warns(ApikitWarning, match="id: 1"):
        call(door, client, "fetch_to_file", "/later", **wide, on_drift="null", extra=True)
    found = pl.read_parquet(tmp_path / "x.parquet")
    assert found["id"].to_list() == [*range(10), None]
    assert found["_extra"].to_list() == [None] * 10 + ['{"late":1}']
    call(door, client, "fetch_to_file", "/later", **wide, sample_pages=2)
    assert pl.read_parquet(tmp_path / "x.parquet").columns == ["id", "late"]


def test_a_table_takes_many_keys(api: FakeApi, client: Apikit) -> None:
    api.routes |= {f"/of/{n}/items": httpx.Response(200, json=[{"n": n}]) for n in (1, 3)}

    options: dict[str, Any] = {"keys": [{"k": 1}, {"k": 2}, {"k": 3}], "on_error": "skip_missing", "nested": "flatten"}
    with pytest.warns(ApikitWarning, match="1 of 3 trips failed"):
        found = pa.table(client.table("/of/{k}/items", **options)).to_pylist()

    assert found == [{"n": 1, "k": 1}, {"n": 3, "k": 3}]


def test_reprs_are_short(client: Apikit) -> None:
    assert repr(client.inspect("/items", params={"limit": 5})) == (
        f"<InspectorResult 200 {BASE_URL}/items?limit=5: 5 records, 1 columns, pagination 'link'>"
    )
    assert "answered 404" in repr(client.inspect("/nothing"))
    assert repr(client.table("/items")) == "<RemoteTable api.test /items: id BIGINT>"


def test_pandas_makes_no_garbage_of_a_table(client: Apikit) -> None:
    pandas = pytest.importorskip("pandas")
    items = client.table("/items")

    with pytest.raises(TypeError, match=r"pa\.table\(\.\.\.\)\.to_pandas\(\)$"):
        pandas.DataFrame(items)
    assert list(pa.table(items).to_pandas()["id"]) == list(range(25))


@pytest.mark.parametrize(("format_", "name"), [("csv", "o.parquet"), ("parquet", "o.csv.gz"), ("json", "o.duckdb")])
def test_a_files_name_is_of_its_format(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, client: Apikit, door: Door, tmp_path: Any, format_: str, name: str
) -> None:
    with pytest.raises(CallError, match=f"is the name of a file of .*, but the format is {format_}"):
        call(door, client, "fetch_to_file", "/items", format=format_, file_path=tmp_path / name)
    with pytest.raises(CallError, match=f"but the format is {format_}"):
        get_writer(format_).write([{"id": 1}], tmp_path / name)

    assert (api.seen, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize(
    ("format_", "name"), [("ndjson", "o.json"), ("json", "o.ndjson.gz"), ("csv", "o"), ("csv", "o.v1")]
)
def test_a_name_of_its_kind_or_of_none_will_do(tmp_path: Any, format_: str, name: str) -> None:
    get_writer(format_).write([{"id": 1}], tmp_path / name)

    assert (tmp_path / name).stat().st_size


def test_a_data_frame_is_no_records(tmp_path: Any) -> None:
    with pytest.raises(CallError, match=r"df\.to_dicts\(\) \(polars\) or df\.to_dict\('records'\) \(pandas\)"):
        get_writer("csv").write(pl.DataFrame({"id": [1]}), tmp_path / "x.csv")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Did you mean 'parquet'"):
        get_writer("Parquet")
