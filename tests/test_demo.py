"""The demo API, as a caller sees it: with a socket and without."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest

import apikit_sql
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.demo import Answer, DemoServer, respond

#: Whatever proxy the environment names, loopback is reached without it.
OPENER = build_opener(ProxyHandler({}))
BASE = "http://demo.test:8080"
MANIFEST = Path(apikit_sql.__path__[0]) / "connector" / "builtin" / "demo.toml"
TIME = r"2025-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def ask(path: str, **params: object) -> Answer:
    return respond("GET", f"{BASE}{path}" + (f"?{urlencode(params)}" if params else ""), {})


def body(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def links(headers: Mapping[str, str] | tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', dict(headers).get("Link", ""))
    return {rel: url for url, rel in found}


def walk_links(path: str, **params: object) -> Iterator[list[dict[str, Any]]]:
    answer = ask(path, **params)
    yield body(answer)
    while following := links(answer.headers).get("next"):
        answer = respond("GET", following, {})
        yield body(answer)


def walk_offsets(**params: object) -> Iterator[list[dict[str, Any]]]:
    offset = 0
    while items := body(ask("/orders", offset=offset, **params))["items"]:
        yield items
        offset += len(items)


def walk_cursors(**params: object) -> Iterator[list[dict[str, Any]]]:
    page = body(ask("/customers", **params))
    yield page["data"]
    while page["has_more"]:
        page = body(ask("/customers", starting_after=page["data"][-1]["id"], **params))
        yield page["data"]


def walk_pages(**params: object) -> Iterator[list[dict[str, Any]]]:
    number = 1
    while (answer := ask("/events", page=number, **params)).status == 200:
        yield body(answer)["results"]
        number += 1


def walk_next_urls(**params: object) -> Iterator[list[dict[str, Any]]]:
    page = body(ask("/products", **params))
    yield page["products"]
    while page["next"]:
        page = body(respond("GET", page["next"], {}))
        yield page["products"]


def every(pages: Iterator[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [record for page in pages for record in page]


def all_issues() -> list[dict[str, Any]]:
    return every(walk_links("/issues", per_page=100))


def all_orders() -> list[dict[str, Any]]:
    return every(walk_offsets(limit=200))


def all_customers() -> list[dict[str, Any]]:
    return every(walk_cursors(limit=100))


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with closing(DemoServer()) as server:
        yield server


# Walking to the end


@pytest.mark.parametrize(("per_page", "pages"), [(30, 42), (100, 13), (1000, 13), (62, 20)])
def test_walking_the_links_of_issues_gives_every_issue_once(per_page: int, pages: int) -> None:
    walked = list(walk_links("/issues", per_page=per_page))

    assert [issue["number"] for issue in every(iter(walked))] == list(range(1240, 0, -1))
    assert len(walked) == pages


@pytest.mark.parametrize(("limit", "pages"), [(10, 23), (100, 3), (115, 3), (7, 33)])
def test_walking_the_cursors_of_customers_gives_every_customer_once(limit: int, pages: int) -> None:
    walked = list(walk_cursors(limit=limit))

    assert [customer["id"] for customer in every(iter(walked))] == [f"cus_{number:04}" for number in range(1, 231)]
    assert len(walked) == pages


@pytest.mark.parametrize(("limit", "pages"), [(50, 20), (200, 5), (999, 5), (300, 5), (33, 31)])
def test_walking_the_offsets_of_orders_gives_every_order_once(limit: int, pages: int) -> None:
    walked = list(walk_offsets(limit=limit))

    assert [order["id"] for order in every(iter(walked))] == list(range(1, 1001))
    assert len(walked) == pages


@pytest.mark.parametrize(("page_size", "pages"), [(25, 12), (100, 3), (101, 3), (7, 43)])
def test_walking_the_pages_of_events_gives_every_event_once(page_size: int, pages: int) -> None:
    walked = list(walk_pages(page_size=page_size))

    assert [event["id"] for event in every(iter(walked))] == list(range(1, 301))
    assert len(walked) == pages == body(ask("/events", page_size=page_size))["total_pages"]


@pytest.mark.parametrize(("limit", "pages"), [(20, 4), (16, 4), (64, 1), (7, 10)])
def test_walking_the_next_urls_of_products_gives_every_product_once(limit: int, pages: int) -> None:
    walked = list(walk_next_urls(limit=limit))

    assert [product["sku"] for product in every(iter(walked))] == [f"SKU-{number:03}" for number in range(1, 65)]
    assert len(walked) == pages


def test_a_page_has_its_default_size_where_none_is_asked_for() -> None:
    sizes = [
        len(body(ask("/issues"))),
        len(body(ask("/customers"))["data"]),
        len(body(ask("/orders"))["items"]),
        len(body(ask("/events"))["results"]),
        len(body(ask("/products"))["products"]),
    ]

    assert sizes == [30, 10, 50, 25, 20]


@pytest.mark.parametrize(("per_page", "size"), [(0, 1), (-5, 1), (101, 100)])
def test_a_page_size_out_of_bounds_is_silently_moved_into_them(per_page: int, size: int) -> None:
    assert len(body(ask("/issues", per_page=per_page))) == size


# Links


def test_the_first_page_links_to_the_next_and_the_last_with_the_callers_filters() -> None:
    found = links(ask("/issues", state="open", per_page=100).headers)

    assert found.keys() == {"next", "last"}
    assert found["next"] == f"{BASE}/issues?state=open&per_page=100&page=2"


def test_a_middle_page_links_to_all_four() -> None:
    found = links(ask("/issues", page=2).headers)

    assert found == {rel: f"{BASE}/issues?page={page}" for rel, page in zip(found, (1, 1, 3, 42), strict=True)}
    assert list(found) == ["prev", "first", "next", "last"]


def test_the_last_page_links_back_only() -> None:
    assert links(ask("/issues", page=42).headers).keys() == {"prev", "first"}


def test_a_single_page_has_no_link_header() -> None:
    answer = ask("/issues", since="2025-12-30T00:00:00Z")

    assert "Link" not in dict(answer.headers)


def test_a_page_of_issues_past_the_end_is_empty() -> None:
    answer = ask("/issues", page=99)

    assert body(answer) == []
    assert "next" not in links(answer.headers)


# Filters: each gives what the whole list, filtered, would give


@pytest.mark.parametrize("state", ["open", "closed"])
def test_issues_of_one_state(state: str) -> None:
    found = every(walk_links("/issues", state=state))

    assert found == [issue for issue in all_issues() if issue["state"] == state]


def test_about_a_quarter_of_the_issues_is_open_and_only_those_have_no_end() -> None:
    opened = [issue for issue in all_issues() if issue["closed_at"] is None]

    assert opened == every(walk_links("/issues", state="open"))
    assert 0.2 < len(opened) / 1240 < 0.3


def test_issues_of_one_creator() -> None:
    found = every(walk_links("/issues", creator="grace"))

    assert found == [issue for issue in all_issues() if issue["user"]["login"] == "grace"]
    assert found


def test_issues_with_a_label() -> None:
    found = every(walk_links("/issues", label="bug"))

    assert found == [issue for issue in all_issues() if "bug" in [label["name"] for label in issue["labels"]]]
    assert found


def test_since_includes_its_own_second() -> None:
    latest = sorted(issue["updated_at"] for issue in all_issues())[-5]

    found = every(walk_links("/issues", since=latest))

    assert found == [issue for issue in all_issues() if issue["updated_at"] >= latest]
    assert len(found) == 5


@pytest.mark.parametrize("since", ["2025-06-01", "2025-06-01T00:00:00Z", "2025-06-01T00:00:00.000+00:00"])
def test_a_time_is_read_in_any_iso_form(since: str) -> None:
    found = every(walk_links("/issues", since=since))

    assert found == [issue for issue in all_issues() if issue["updated_at"] >= "2025-06-01T00:00:00Z"]


def test_customers_of_one_country() -> None:
    found = every(walk_cursors(country="DE"))

    assert found == [customer for customer in all_customers() if customer["country"] == "DE"]
    assert found


def test_orders_of_one_customer() -> None:
    found = every(walk_offsets(customer="cus_0007"))

    assert found == [order for order in all_orders() if order["customer"] == "cus_0007"]
    assert found


def test_orders_between_two_moments_include_both() -> None:
    first, last = all_orders()[100]["created_at"], all_orders()[199]["created_at"]

    page = body(ask("/orders", min_created=first, max_created=last, limit=200))

    assert page["items"] == all_orders()[100:200]
    assert page["total"] == 100


# Single records, small streams


def test_one_issue_is_the_same_as_in_the_list() -> None:
    assert body(ask("/issues/1240")) == all_issues()[0]


@pytest.mark.parametrize(("region", "count"), [("emea", 8), ("amer", 7), ("apac", 5)])
def test_a_region_has_warehouses_that_do_not_name_it(region: str, count: int) -> None:
    warehouses = body(ask(f"/regions/{region}/warehouses"))

    assert len({warehouse["id"] for warehouse in warehouses}) == count
    assert {tuple(warehouse) for warehouse in warehouses} == {("id", "city", "capacity")}


def test_the_status_is_one_object() -> None:
    assert body(ask("/status")) == {"status": "ok", "version": "1.0", "uptime": 12345}


@pytest.mark.parametrize("header", ["Authorization", "authorization"])
def test_private_items_open_to_the_demo_token(header: str) -> None:
    answer = respond("GET", f"{BASE}/private/items", {header: "Bearer demo-token"})

    assert len(body(answer)) == 3


# Refusals


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "demo-token"}])
def test_private_items_are_closed_to_others(headers: dict[str, str]) -> None:
    answer = respond("GET", f"{BASE}/private/items", headers)

    assert answer.status == 401
    assert "message" in json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/issues?state=lost", 422),
        ("/issues?since=yesterday", 400),
        ("/issues?page=two", 400),
        ("/issues/0", 404),
        ("/issues/1241", 404),
        ("/customers?starting_after=cus_9999", 400),
        ("/events?page=13", 404),
        ("/products?after=SKU-999", 400),
        ("/regions/mars/warehouses", 404),
        ("/issues/1/comments", 404),
        ("/nowhere", 404),
        ("/", 404),
        ("", 404),
    ],
)
def test_what_cannot_be_answered_is_refused_in_json(path: str, status: int) -> None:
    answer = respond("GET", BASE + path, {})

    assert answer.status == status
    assert json.loads(answer.body).keys() in ({"message"}, {"error"})


def test_an_unknown_cursor_is_refused_as_stripe_does() -> None:
    answer = ask("/customers", starting_after="cus_9999")

    assert "cus_9999" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_demo_api_is_read_only(method: str) -> None:
    answer = respond(method, f"{BASE}/issues", {})

    assert (answer.status, dict(answer.headers)["Allow"]) == (405, "GET")


# The data holds together


def test_every_order_is_of_a_known_customer_and_of_known_products_and_sums_up() -> None:
    customers = {customer["id"] for customer in all_customers()}
    prices = {product["sku"]: product["price"] for product in every(walk_next_urls())}

    for order in all_orders():
        assert order["customer"] in customers
        assert all(line["price"] == prices[line["sku"]] for line in order["lines"])
        assert order["amount"] == round(sum(line["quantity"] * line["price"] for line in order["lines"]), 2)


def test_times_are_written_in_utc_and_lie_in_2025() -> None:
    issues, orders = all_issues(), all_orders()
    texts = [issue[name] for issue in issues for name in ("created_at", "updated_at", "closed_at") if issue[name]]
    texts += [order["created_at"] for order in orders]
    seconds = [customer["created"] for customer in all_customers()] + [event["at"] for event in every(walk_pages())]

    assert all(re.fullmatch(TIME, text) for text in texts)
    assert all(re.fullmatch(r"2025-\d\d-\d\d", order["shipped_on"]) for order in orders if order["shipped_on"])
    assert all(1_735_689_600 <= moment < 1_767_225_600 for moment in seconds)


def test_issues_are_newest_first_and_updated_after_they_were_created() -> None:
    issues = all_issues()

    assert issues == sorted(issues, key=lambda issue: str(issue["created_at"]), reverse=True)
    assert all(issue["created_at"] <= issue["updated_at"] for issue in issues)


@pytest.mark.parametrize("name", ["labels", "assignee", "body", "closed_at", "milestone"])
def test_what_may_be_missing_of_an_issue_is_sometimes_missing(name: str) -> None:
    values = {bool(issue[name]) for issue in all_issues()}

    assert values == {True, False}


def test_some_text_is_not_ascii_and_travels_unescaped() -> None:
    assert "東京".encode() in ask("/issues").body


def test_the_data_is_the_same_on_every_machine() -> None:
    issue, order = body(ask("/issues/1000")), body(ask("/orders"))["items"][41]

    assert (issue["created_at"], issue["state"], issue["user"]["login"]) == ("2025-10-05T22:01:36Z", "closed", "ada")
    assert (order["customer"], order["amount"], order["created_at"]) == ("cus_0086", 266.58, "2025-01-16T06:57:23Z")


# The server


def test_the_server_walks_its_own_links_over_loopback(server: DemoServer) -> None:
    numbers, url = [], f"{server.base_url}/issues?per_page=100"

    while url:
        with OPENER.open(url) as response:
            numbers += [issue["number"] for issue in json.load(response)]
            url = links(response.headers).get("next", "")

    assert numbers == list(range(1240, 0, -1))
    assert urlsplit(server.base_url).hostname == "127.0.0.1"


def test_the_server_answers_with_the_same_bytes_as_respond(server: DemoServer) -> None:
    with OPENER.open(f"{server.base_url}/products") as response:
        got = response.read()

    assert got == respond("GET", f"{server.base_url}/products", {}).body


def test_the_server_refuses_with_a_status_and_a_message(server: DemoServer) -> None:
    with pytest.raises(HTTPError) as refused:
        OPENER.open(f"{server.base_url}/nowhere")

    with refused.value as error:
        assert (error.code, json.load(error)) == (404, {"message": "Not Found"})


def test_a_connection_is_kept_alive_across_methods_and_bodies(server: DemoServer) -> None:
    with closing(HTTPConnection("127.0.0.1", urlsplit(server.base_url).port)) as connection:
        connection.connect()
        kept, statuses = connection.sock, []

        for method, sent in (("GET", None), ("POST", b'{"title": "new"}'), ("HEAD", None), ("GET", b"{}")):
            connection.request(method, "/status", sent)
            with connection.getresponse() as response:
                response.read()
                statuses.append(response.status)

        assert statuses == [200, 405, 405, 200]
        assert connection.sock is kept


def test_the_server_is_silent(server: DemoServer, capfd: pytest.CaptureFixture[str]) -> None:
    with OPENER.open(f"{server.base_url}/status") as response:
        response.read()

    assert capfd.readouterr() == ("", "")


def fail(error: Exception) -> NoReturn:
    raise error


@pytest.mark.parametrize(("error", "printed"), [(ConnectionResetError(), False), (LookupError(), True)])
def test_a_fault_is_printed_but_a_caller_who_hangs_up_is_no_news(
    server: DemoServer, capfd: pytest.CaptureFixture[str], error: Exception, *, printed: bool
) -> None:
    try:
        fail(error)
    except (ConnectionError, LookupError):
        server.handle_error(None, None)

    assert (type(error).__name__ in capfd.readouterr().err) is printed


def test_a_closed_server_is_gone_and_may_be_closed_again() -> None:
    server = DemoServer()
    server.close()
    server.close()

    with pytest.raises(OSError, match="refused"):
        OPENER.open(f"{server.base_url}/status")


# The manifest


RECORDS: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
    "issues": all_issues,
    "customers": all_customers,
    "orders": all_orders,
    "events": lambda: every(walk_pages()),
    "products": lambda: every(walk_next_urls()),
    "warehouses": lambda: list(body(ask("/regions/emea/warehouses"))),
    "status": lambda: [body(ask("/status"))],
}


def test_the_manifest_leaves_pagination_to_be_found_and_asks_for_no_secret() -> None:
    connector = ConnectorRegistry().definition("demo")

    assert (connector.name, connector.pagination.strategy, connector.auth.type) == ("demo", "auto", "none")
    assert connector.streams.keys() == RECORDS.keys()
    assert all(stream.pagination and stream.description for stream in connector.streams.values())


@pytest.mark.parametrize("stream", RECORDS)
def test_the_manifest_declares_the_fields_of_every_record_and_a_key_that_is_unique(stream: str) -> None:
    declared, records = ConnectorRegistry().definition("demo").streams[stream], RECORDS[stream]()

    assert all(record.keys() == declared.columns.keys() for record in records)
    if declared.primary_key:
        assert len({tuple(record[name] for name in declared.primary_key) for record in records}) == len(records)


@pytest.mark.parametrize("stream", ["issues", "customers", "orders", "events", "products"])
def test_the_first_page_as_the_manifest_asks_for_it_is_full_and_where_it_says(stream: str) -> None:
    declared = ConnectorRegistry().definition("demo").streams[stream]
    assert declared.pagination
    assert declared.pagination.limit_param

    page = body(ask(declared.path, **{declared.pagination.limit_param: declared.pagination.page_size}))

    assert len(page[declared.data_path] if declared.data_path else page) == declared.pagination.page_size


# GraphQL


def query(text: str, **variables: object) -> Any:
    posted = json.dumps({"query": text, "variables": variables}).encode()
    return body(respond("POST", f"{BASE}/graphql", {}, posted))


def refusal(text: str, **variables: object) -> str:
    answer = query(text, **variables)
    assert list(answer) == ["errors"]
    return str(answer["errors"][0]["message"])


def walk_connection(inside: str, first: int, arguments: str = "") -> Iterator[Any]:
    text = f"""query Issues($first: Int! = 3, $after: String) {{ # a comment
        page: issues(first: $first, after: $after {arguments}) {{ {inside} pageInfo {{ hasNextPage endCursor }} }} }}"""
    after, has_next = None, True
    while has_next:
        page = query(text, first=first, after=after)["data"]["page"]
        yield page
        has_next, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]


@pytest.mark.parametrize("first", [100, 31])
def test_walking_the_connection_gives_every_issue_once(first: int) -> None:
    pages = list(walk_connection("totalCount nodes { number author: user { login } }", first))

    found = [node for page in pages for node in page["nodes"]]
    assert found == [{"number": i["number"], "author": {"login": i["user"]["login"]}} for i in all_issues()]
    assert {page["totalCount"] for page in pages} == {1240}
    assert len(pages) == -(-1240 // first)


def test_edges_are_the_same_nodes_with_their_cursors_and_a_state_selects() -> None:
    pages = list(walk_connection("edges { cursor node { number } }", 100, "state: CLOSED"))

    found = [edge["node"]["number"] for page in pages for edge in page["edges"]]
    assert found == [issue["number"] for issue in all_issues() if issue["state"] == "closed"]
    assert all(page["edges"][-1]["cursor"] == page["pageInfo"]["endCursor"] for page in pages)


def test_fields_lists_and_nulls_are_answered_as_they_are() -> None:
    answer = query(
        "{ issue(number: 3) { number labels { name } } none: issue(number: -1) { number } products { sku } }"
    )

    issue = body(ask("/issues/3"))
    assert answer["data"]["issue"] == {"number": 3, "labels": [{"name": each["name"]} for each in issue["labels"]]}
    assert answer["data"]["none"] is None
    assert answer["data"]["products"] == [{"sku": each["sku"]} for each in every(walk_next_urls())]


def test_a_default_counts_where_no_value_was_given() -> None:
    text = "query($n: [Int!]! = [2, 3], $m: Int = 4) { issue(number: $m) { number } }"

    assert query(text)["data"]["issue"] == {"number": 4}
    assert query(text, m=5)["data"]["issue"] == {"number": 5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mutation { addIssue }", "there is no mutation here"),
        ("subscription { issues }", "there is no subscription here"),
        ("{ nope }", 'Cannot query field "nope" on type "Query"'),
        ("{ status { nope } }", 'Cannot query field "nope" of "status"'),
        ("{ status { version(of: true) } }", 'Cannot query field "version" with arguments of "status"'),
        ("{ status }", 'Field "status" must have a selection of subfields'),
        ("{ status { version { a } } }", 'Field "version" has no subfields'),
        ("{ issue(number: $n) { number } }", 'Variable "$n" is not defined'),
        ("{ issues(first: 101) { totalCount } }", "first is a number from 1 to 100, not 101"),
        ("{ issues { totalCount } }", "first is a number from 1 to 100, not null"),
        ('{ issues(first: 1, after: "x") { totalCount } }', "invalid literal for int() with base 10: 'x'"),
        ("{ ...F } fragment F on Query { status { version } }", "Syntax Error: expected a name, found ..."),
        ("{ status { version }", "Syntax Error: expected a name, found the end"),
        ("query X Y { status { version } }", "Syntax Error: expected {, found Y"),
        ("{ status { version } } }", "Syntax Error: expected the end, found }"),
        ("{ status % }", "Syntax Error: unexpected '%'"),
    ],
)
def test_what_is_not_understood_is_an_error_and_no_data(text: str, told: str) -> None:
    assert refusal(text) == told


@pytest.mark.parametrize(
    "posted", [b"", b"[]", b"{}", b'{"query": 3}', b'{"query": "{ status { version } }", "variables": 3}']
)
def test_what_is_no_query_is_an_error(posted: bytes) -> None:
    assert list(body(respond("POST", f"{BASE}/graphql", {}, posted))) == ["errors"]


def test_graphql_is_answered_over_a_socket_by_post_only(server: DemoServer) -> None:
    connection = HTTPConnection(urlsplit(server.base_url).netloc)
    with closing(connection):
        connection.request("POST", "/graphql", json.dumps({"query": "{ status { version } }"}))
        assert json.load(connection.getresponse()) == {"data": {"status": {"version": "1.0"}}}

    assert respond("GET", f"{BASE}/graphql", {}).status == 404
