"""What was recorded comes again, page for page, with nothing sent, no credential needed, and no secret in any file."""

import base64
import json
import threading
from itertools import count
from pathlib import Path

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ApikitError, ConfigError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.taking import ids, numbered, plan_of, read
from tests.fakes.api import BASE_URL, Busy, FakeApi, Paging, Table

STRATEGIES: dict[str, tuple[Paging, PaginationConfig]] = {
    "none": ("none", PaginationConfig(strategy="none")),
    "offset": ("offset", PaginationConfig(strategy="offset", offset_param="offset", total_path="total")),
    "page": ("page", PaginationConfig(strategy="page", page_param="page")),
    "cursor": ("cursor", PaginationConfig(strategy="cursor", cursor_param="cursor", next_cursor_path="next_cursor")),
    "record cursor": (
        "record_cursor",
        PaginationConfig(
            strategy="cursor", cursor_param="starting_after", cursor_record_field="id", has_more_path="has_more"
        ),
    ),
    "link": ("link", PaginationConfig(strategy="link")),
    "last link": ("link_last", PaginationConfig(strategy="link")),
    "next_url": ("next_url", PaginationConfig(strategy="next_url", next_url_path="next")),
    "auto": ("next_url", PaginationConfig()),
}


def told(pages: list[Page]) -> list[object]:
    """All that a reader sees of pages."""
    return [
        (page.number, page.url, page.status, page.size, [bytes(record) for record in page.envelope.records])
        for page in pages
    ]


def recorded(folder: Path, api: FakeApi, *plans: RequestPlan, **scan: object) -> list[Page]:
    session = Session(transport=api.transport(), http=f"record:{folder}")
    pages = read(session, *plans, **scan)
    session.close()
    return pages


class Unreachable(httpx.BaseTransport):
    """A network that nothing may be asked of."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(str(request.url))


def replaying(folder: Path) -> Session:
    return Session(transport=Unreachable(), http=f"replay:{folder}")


def replayed(folder: Path, *plans: RequestPlan, **scan: object) -> list[Page]:
    session = replaying(folder)
    pages = read(session, *plans, **scan)
    session.close()
    return pages


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


# --- what comes again


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_the_pages_of_every_strategy_come_again(strategy: str, concurrency: int, tmp_path: Path) -> None:
    paging, settings = STRATEGIES[strategy]
    api = FakeApi({"/items": Table(numbered(23), paging, page_size=5)})
    plan = plan_of(pagination=settings)

    first = recorded(tmp_path, api, plan, concurrency=concurrency)
    again = replayed(tmp_path, plan, concurrency=concurrency)

    assert ids(again) == list(range(1, 24))
    assert told(again) == told(first)


def test_a_post_comes_again_by_its_body(tmp_path: Path) -> None:
    api = FakeApi({"/search": lambda request: httpx.Response(200, json=[json.loads(request.content)])})
    plans = [plan_of("/search", method="POST", body=json.dumps({"id": number}).encode()) for number in (1, 2, 3)]

    recorded(tmp_path, api, *plans)

    assert ids(replayed(tmp_path, *reversed(plans))) == [3, 2, 1]


def test_the_same_request_is_answered_in_its_turn_and_then_by_its_last_answer_for_ever(tmp_path: Path) -> None:
    turn = count(1)
    api = FakeApi({"/items": lambda _: httpx.Response(200, json=[{"id": next(turn)}])})

    recorded(tmp_path, api, *[plan_of()] * 12)

    assert ids(replayed(tmp_path, *[plan_of()] * 15)) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12]


def test_recording_again_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    plan, other = plan_of(), plan_of("/others")
    for number, times in ((1, 3), (2, 1)):
        api = FakeApi({"/items": httpx.Response(200, json=[{"id": number}])})
        recorded(tmp_path, api, *[plan] * times)
    recorded(tmp_path, FakeApi({"/others": httpx.Response(200, json=[{"id": 9}])}), other)

    assert ids(replayed(tmp_path, plan, plan, other)) == [2, 2, 9]


def test_eight_in_flight_are_recorded_and_come_again(tmp_path: Path) -> None:
    busy = Busy(Table(numbered(40), "link_last", page_size=1))
    plan = plan_of(pagination=PaginationConfig(strategy="link"))

    recorded(tmp_path, FakeApi({"/items": busy}), plan, concurrency=8)

    assert busy.most > 1
    assert ids(replayed(tmp_path, plan, concurrency=8)) == list(range(1, 41))


def test_the_same_request_recorded_by_many_at_once_loses_no_answer(tmp_path: Path) -> None:
    for attempt in range(10):
        folder, together = tmp_path / str(attempt), threading.Barrier(8)

        def answer(_: httpx.Request, together: threading.Barrier = together) -> httpx.Response:
            together.wait(5)
            return httpx.Response(200, json=[{"id": 1}])

        session = Session(transport=FakeApi({"/items": answer}).transport(), http=f"record:{folder}")
        threads = [threading.Thread(target=read, args=(session, plan_of())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()

        assert len(files_of(folder)) == 8


def test_headers_come_again_whatever_letters_they_have(tmp_path: Path) -> None:
    headers = [(b"x-city", "Zürich".encode()), (b"x-town", "Genève".encode("latin-1")), (b"x-a", b"1"), (b"x-a", b"2")]
    api = FakeApi({"/items": httpx.Response(200, json=[], headers=headers)})

    (first,) = recorded(tmp_path, api, plan_of())
    (again,) = replayed(tmp_path, plan_of())

    assert again.headers.multi_items() == first.headers.multi_items()


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_an_answer_that_is_an_error_comes_again(status: int, tmp_path: Path) -> None:
    api = FakeApi({"/items": httpx.Response(status, json={"message": "not here"})})

    for session in (Session(transport=api.transport(), http=f"record:{tmp_path}"), replaying(tmp_path)):
        with pytest.raises(RequestError, match=rf"^api: GET /items answered {status} \(not here\)"):
            read(session, plan_of())
        session.close()

    assert len(api.seen) == 1


def test_a_page_past_the_end_that_is_404_comes_again(tmp_path: Path) -> None:
    parts = [httpx.Response(200, json=numbered(2)), httpx.Response(404)]
    plan = plan_of(pagination=STRATEGIES["page"][1])

    recorded(tmp_path, FakeApi({"/items": parts}), plan)  # type: ignore[dict-item]  # a list of answers

    assert ids(replayed(tmp_path, plan)) == [1, 2]


def test_a_binary_body_is_recorded_as_it_is(tmp_path: Path) -> None:
    body = b'{"message": "\xff\xfe\x00"}'
    api = FakeApi({"/items": httpx.Response(200, content=body)})
    errors = []

    for session in (Session(transport=api.transport(), http=f"record:{tmp_path}"), replaying(tmp_path)):
        with pytest.raises(ApikitError) as raised:
            read(session, plan_of())
        errors.append(str(raised.value))
        session.close()

    (file,) = files_of(tmp_path)
    assert base64.b64decode(json.loads(file.read_text())["response"]["body_base64"]) == body
    assert errors[0] == errors[1]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_is_tried_again_is_not_recorded(status: int, tmp_path: Path) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[{"id": 1}])})
    api.trouble.append(httpx.Response(status))

    recorded(tmp_path, api, plan_of())

    assert len(files_of(tmp_path)) == 1
    assert ids(replayed(tmp_path, plan_of())) == [1]


def test_the_environment_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[{"id": 1}])})

    monkeypatch.setenv("APIKIT_HTTP", f"record:{tmp_path}")
    read(Session(transport=api.transport()), plan_of())
    monkeypatch.setenv("APIKIT_HTTP", f"replay:{tmp_path}")
    found = read(Session(transport=Unreachable()), plan_of())

    assert ids(found) == [1]
    assert ids(read(Session(transport=api.transport(), http=""), plan_of())) == [1]
    assert len(api.seen) == 2


# --- what is not there


@pytest.mark.parametrize("text", ["off", "replay:{}"])
def test_nothing_is_sent_and_what_is_missing_is_told_once(text: str, tmp_path: Path) -> None:
    session = Session(transport=Unreachable(), http=text.format(tmp_path))

    with pytest.raises(ConfigError, match=r"APIKIT_HTTP=(off|replay): .*GET https://api\.test/items") as raised:
        read(session, plan_of(params=[("a", "1"), ("api_key", "abcd")]))
    session.close()

    assert "abcd" not in str(raised.value)
    assert len(session.requests) == 1


def test_nothing_is_recorded_where_something_else_was_asked(tmp_path: Path) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[]), "/search": httpx.Response(200, json=[])})
    recorded(tmp_path, api, plan_of(params=[("a", "1")]), plan_of("/search", method="POST", body=b"{}"))

    for plan in (
        plan_of(params=[("a", "2")]),
        plan_of(),
        plan_of("/item"),
        plan_of(base_url="http://api.test", params=[("a", "1")]),
        plan_of(base_url=f"{BASE_URL}:8443", params=[("a", "1")]),
        plan_of("/search", method="POST", body=b"[]"),
        plan_of("/search"),
    ):
        with pytest.raises(ConfigError, match="has no recording of"):
            replayed(tmp_path, plan)


@pytest.mark.parametrize("text", ["on", "record", "replay:", "record:", "off:x", "Replay:x", ":x"])
def test_a_setting_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="say record:DIR, replay:DIR or off"):
        Session(http=text)


GOOD: dict[str, object] = {"status": 200, "headers": [], "body": "[]"}


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"response": null}',
        b'{"response": []}',
        *(
            json.dumps({"response": {**GOOD, **change}}).encode()
            for change in (
                {"status": "200"},
                {"status": None},
                {"status": 200.5},
                {"headers": 5},
                {"headers": [["a"]]},
                {"headers": [["a", None]]},
                {"headers": {"a": 5}},
                {"body": 5},
                {"body": None},
                {"body": ["a"]},
            )
        ),
        b'{"response": {"status": 200, "headers": []}}',
        b'{"response": {"headers": [], "body": "[]"}}',
        b'{"response": {"status": 200, "headers": [], "body_base64": "W10"}}',
        b'{"response": {"status": 200, "headers": [], "body_base64": "@@@@W10="}}',
        b'{"response": {"status": 200, "headers": [], "body": "\\ud800"}}',
    ],
    ids=lambda text: text[:60].decode("latin-1"),
)
def test_a_damaged_recording_is_an_error_that_names_the_file(damaged: bytes, tmp_path: Path) -> None:
    recorded(tmp_path, FakeApi({"/items": httpx.Response(200, json=[])}), plan_of())
    (file,) = files_of(tmp_path)
    file.write_bytes(damaged)

    with pytest.raises(ConfigError, match="cannot be read as a recording") as raised:
        replayed(tmp_path, plan_of())

    assert file.name in str(raised.value)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="could not be recorded"):
        recorded(tmp_path / "file", FakeApi({"/items": httpx.Response(200, json=[])}), plan_of())


def test_a_replay_does_not_wait_for_a_limit_that_was_recorded(tmp_path: Path) -> None:
    api = FakeApi({"/items": httpx.Response(200, json=[{"id": 1}])})
    recorded(tmp_path, api, plan_of())
    (file,) = files_of(tmp_path)
    kept = json.loads(file.read_text())
    kept["response"]["headers"] += [["ratelimit-limit", "5"], ["ratelimit-remaining", "0"], ["ratelimit-reset", "999"]]
    file.write_text(json.dumps(kept))

    assert ids(replayed(tmp_path, plan_of(), plan_of())) == [1, 1]


def test_parameters_that_are_masked_still_tell_requests_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_REDACT", "tenant")
    api = FakeApi({"/items": lambda request: httpx.Response(200, json=[{"id": ord(request.url.params["tenant"])}])})
    a, b = (plan_of(params=[("tenant", name)]) for name in "AB")
    recorded(tmp_path, api, a, b)

    assert ids(replayed(tmp_path, b, a)) == [ord("B"), ord("A")]
    assert not any("tenant=A" in file.read_text() for file in files_of(tmp_path))


def test_the_embedded_api_is_replayed_though_its_port_is_another(tmp_path: Path) -> None:
    found = []
    for mode in ("record", "replay"):
        session = Session(http=f"{mode}:{tmp_path}")
        connector = session.connector("demo")
        plan = RequestPlan("demo", connector.base_url, "/issues", pagination=PaginationConfig(strategy="link"))
        found.append([page.size for page in read(session, plan)])
        session.close()

    assert len(found[0]) > 1
    assert len(found[1]) == len(found[0])
