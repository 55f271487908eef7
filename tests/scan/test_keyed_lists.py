"""A list of records for each of many keys: which are asked for, and what becomes of NULL, of nothing and of errors."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pyarrow as pa
import pytest

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.engine.session import Session
from apikit_sql.errors import CallError, RequestError, ScanInterrupted, SchemaDriftError
from apikit_sql.plan.call import call_of
from apikit_sql.plan.keys import key_rows
from apikit_sql.plan.planner import Defaults, plan_call
from apikit_sql.plan.pushdown import MOST_TRIPS
from apikit_sql.scan.keyed_lists import keyed_lists
from tests.fakes.api import Busy, FakeApi, Table

#: What asks for the lists of some keys, None for a row without one.
Ask = Callable[..., pa.Array]

COLUMNS = {"id": "BIGINT", "name": "VARCHAR"}
EXACT = {"id": "HUGEINT", "plan": "JSON", "deep": "STRUCT(id HUGEINT, notes JSON[])"}


def members(request: httpx.Request) -> httpx.Response:
    """Three members of any team, on two pages."""
    team = request.url.params["team"]
    return Table([{"id": n, "name": f"{team}-{n}"} for n in range(3)], page_size=2, paging="link").answer(request)


def of(team: str) -> list[dict[str, Any]]:
    return [{"id": n, "name": f"{team}-{n}", "team": team} for n in range(3)]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi({"/members": members})


@pytest.fixture
def cancelled() -> threading.Event:
    return threading.Event()


@pytest.fixture
def ask(session: Session, cancelled: threading.Event) -> Ask:
    """What asks for the members of teams."""

    def ask(
        teams: Sequence[object], columns: dict[str, str] = COLUMNS, usual: Defaults | None = None, **retry: Any
    ) -> pa.Array:
        stream = {
            "path": "/members",
            "columns": columns,
            "pagination": {"strategy": "link"},
            "key_columns": [{"column": "team", "param": "team", "required": True}],
        }
        retry = {"max_attempts": 1} | retry
        connector = ConnectorDefinition.model_validate(
            {"name": "acme", "base_url": "https://acme.test", "streams": {"members": stream}, "retry": retry}
        )
        call = {"connector": "acme", "path": "members"}
        plan = plan_call(call_of(call), connector, usual or Defaults())
        given = key_rows(call_of({**call, "keys": [{"team": team} for team in teams if team is not None]}))
        keys = iter(given)
        rows = [None if team is None else next(keys) for team in teams]
        assert plan.columns is not None
        return keyed_lists(plan, plan.columns, rows, session, cancelled)

    return ask


class TestLists:
    def test_each_row_has_the_records_of_its_key_in_order(self, ask: Ask) -> None:
        assert ask(["b", "a"]).to_pylist() == [of("b"), of("a")]

    def test_equal_keys_are_asked_once(self, ask: Ask, api: FakeApi) -> None:
        found = ask(["a", "b", "a", "a"])

        assert found.to_pylist() == [of("a"), of("b"), of("a"), of("a")]
        assert sorted(api.paths) == [
            "/members?team=a", "/members?team=a&page=2", "/members?team=b", "/members?team=b&page=2",
        ]  # fmt: skip

    @pytest.mark.parametrize("teams", [[None, "a", None], ["a", None, None], [None, None, "a"], ["a", "a", None, "b"]])
    def test_a_row_without_key_has_no_list(self, ask: Ask, teams: list[str | None]) -> None:
        assert ask(teams).to_pylist() == [None if team is None else of(team) for team in teams]

    @pytest.mark.parametrize("columns", [COLUMNS, EXACT])
    @pytest.mark.parametrize("teams", [[], [None], [None, None]])
    def test_without_any_key_nothing_is_sent(
        self, ask: Ask, api: FakeApi, columns: dict[str, str], teams: list[None]
    ) -> None:
        assert ask(teams, columns).to_pylist() == teams
        assert api.seen == []

    @pytest.mark.parametrize("columns", [COLUMNS, EXACT])
    def test_a_key_without_records_has_an_empty_list(self, ask: Ask, api: FakeApi, columns: dict[str, str]) -> None:
        api.routes["/members"] = Table([])

        assert ask(["a", None, "b"], columns).to_pylist() == [[], None, []]

    def test_a_page_between_may_be_empty(self, ask: Ask, api: FakeApi) -> None:
        link = {"link": '<https://acme.test/members?team=a&page=2>; rel="next"'}
        full = httpx.Response(200, json=[{"id": 7}])
        api.routes["/members"] = [httpx.Response(200, json=[], headers=link), full]

        assert ask(["a"]).to_pylist() == [[{"id": 7, "name": None, "team": "a"}]]

    def test_the_type_is_that_of_the_columns(self, ask: Ask, api: FakeApi) -> None:
        record = {"id": 2**100, "plan": {"a": 1}, "deep": {"id": -(2**90), "notes": [None, [1]]}}
        api.routes["/members"] = Table([record, {}])

        found = ask(["a", None], EXACT)

        found.validate(full=True)
        assert pa.types.is_list(found.type)
        assert [found.type.value_type.field(n).name for n in range(4)] == ["id", "plan", "deep", "team"]
        assert found.type == ask([None, "b"], EXACT).type
        (first, second), none = found.to_pylist()
        assert int.from_bytes(first["id"], "little", signed=True) == 2**100
        assert (first["plan"], first["deep"]["notes"]) == ('{"a":1}', [None, "[1]"])
        assert second == {"id": None, "plan": None, "deep": None, "team": "a"}
        assert none is None

    def test_keys_that_are_sent_alike_are_one(self, ask: Ask, api: FakeApi) -> None:
        assert ask(["7", "07", 7]).to_pylist() == [of("7"), of("07"), of("7")]
        assert len(api.seen) == 4


class TestManyKeys:
    @pytest.mark.parametrize(("most", "count"), [(3, 3), (3, 4), (3, 11), (MOST_TRIPS, MOST_TRIPS + 1)])
    def test_more_keys_than_a_scan_may_have_are_asked_in_turn(
        self, ask: Ask, api: FakeApi, monkeypatch: pytest.MonkeyPatch, most: int, count: int
    ) -> None:
        monkeypatch.setattr("apikit_sql.scan.keyed_lists.MOST_TRIPS", most)
        api.routes["/members"] = lambda request: httpx.Response(200, json=[{"name": request.url.params["team"]}])

        found = ask([f"t{n}" for n in range(count)]).to_pylist()

        assert [[record["name"] for record in each] for each in found] == [[f"t{n}"] for n in range(count)]
        assert len(api.seen) == count

    def test_they_are_asked_concurrently(self, ask: Ask, api: FakeApi) -> None:
        busy = Busy(Table([]))
        api.routes["/members"] = busy

        ask([f"t{n}" for n in range(30)])

        assert 1 < busy.most <= ConnectorDefinition.model_fields["concurrency"].default

    def test_the_session_knows_the_scan(self, ask: Ask, session: Session) -> None:
        ask(["a", "b"])

        (scan,) = session.scans
        assert (scan.trips, scan.pages, scan.rows, scan.requests) == (2, 4, 6, 4)

    def test_max_requests_bounds_them(self, ask: Ask, api: FakeApi) -> None:
        with pytest.raises(CallError, match="3 trips need as many requests at least; max_requests is 2"):
            ask(["a", "b", "c"], usual=Defaults(max_requests=2))
        assert api.seen == []


class TestErrors:
    def test_the_first_trip_that_fails_ends_it(self, ask: Ask, api: FakeApi) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(404) if request.url.params["team"] == "gone" else members(request)

        api.routes["/members"] = answer

        with pytest.raises(RequestError, match="acme: GET /members answered 404") as failed:
            ask(["a", "gone", "b"])
        assert failed.value.status == 404

    def test_a_value_that_does_not_fit_is_drift(self, ask: Ask, api: FakeApi) -> None:
        api.routes["/members"] = Table([{"id": "x"}])

        with pytest.raises(SchemaDriftError, match='record 1: id = "x" does not fit BIGINT'):
            ask(["a"])

    def test_a_record_of_another_key_is_drift(self, ask: Ask, api: FakeApi) -> None:
        api.routes["/members"] = Table([{"team": "b"}])

        with pytest.raises(SchemaDriftError, match="a record has team = 'b' where keys asked for 'a'"):
            ask(["a"])

    def test_a_cancelled_reader_is_not_kept_waiting(self, ask: Ask, api: FakeApi, cancelled: threading.Event) -> None:
        api.routes["/members"] = httpx.Response(503, headers={"retry-after": "30"})
        timer = threading.Timer(0.2, cancelled.set)

        timer.start()
        with pytest.raises(ScanInterrupted):
            ask(["a"], max_attempts=2)

        assert len(api.seen) == 1
