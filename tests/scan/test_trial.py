"""try_out(): one page of each stream, to see whether a manifest is true."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from apikit_sql import Session, Trial, try_out
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import AuthError, CallError, ConfigError, ConnectorNotFoundError
from tests.fakes.api import FakeApi, Table

Try = Callable[..., list[Trial]]

SECRET = "s3cret-4711"
HEAD = """\
name = "acme"
base_url = "https://api.test"
auth = { type = "bearer", token = "env:ACME_TOKEN" }
retry = { max_attempts = 1 }
"""
ITEMS = """
[streams.items]
path = "/items"
columns = { id = "BIGINT", state = "VARCHAR" }
"""
BY_OWNER = """
[streams.by_owner]
path = "/{owner}/items"
columns = { id = "BIGINT" }
key_columns = [
  { column = "owner", path = "owner", required = true },
  { column = "kind", param = "kind", required = true },
]
"""
FILTERED = ITEMS + 'key_columns = [{ column = "state", param = "status" }]\n'
RECORDS = [{"id": number, "state": "open" if number % 2 else "closed"} for number in range(25)]
OPEN = [record for record in RECORDS if record["state"] == "open"]


@pytest.fixture(autouse=True)
def _a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", SECRET)


@pytest.fixture
def sessions(api: FakeApi, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """A session that knows `acme`, of these streams."""
    made: list[Session] = []

    def of(streams: str, head: str = HEAD) -> Session:
        (tmp_path / "acme.toml").write_text(head + streams, encoding="utf-8")
        connectors = ConnectorRegistry()
        connectors.add_file(tmp_path / "acme.toml")
        made.append(Session(connectors=connectors, transport=api.transport()))
        return made[-1]

    yield of
    for session in made:
        session.close()


@pytest.fixture
def tried(sessions: Callable[..., Session]) -> Try:
    """The trials of these streams."""
    return lambda streams, keys=None: list(try_out("acme", keys, session=sessions(streams)))


# --- what one page shows ---------------------------------------------------------------------------------------------


def test_a_stream_that_answers_as_declared_is_ok(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = Table(RECORDS)

    (trial,) = tried(ITEMS)

    assert trial == Trial("items", "ok", rows=len(RECORDS))
    assert str(trial) == f"items: ok: {len(RECORDS)} rows and no next page"
    assert api.seen[0].headers["authorization"] == f"Bearer {SECRET}"


def test_streams_are_tried_in_the_manifests_order_with_a_request_each(api: FakeApi, tried: Try) -> None:
    names = ["zeta", "alpha", "mid"]
    api.routes |= {f"/{name}": Table(RECORDS) for name in names}

    trials = tried("".join(f'[streams.{name}]\npath = "/{name}"\n' for name in names))

    assert [trial.stream for trial in trials] == names
    assert api.paths == [f"/{name}" for name in names]


@pytest.mark.parametrize(
    ("paging", "told"),
    [
        ("link", 'strategy = "link"'),
        ("link", 'strategy = "auto"'),
        ("next_url", 'strategy = "next_url", next_url_path = "next"'),
        ("cursor", 'strategy = "cursor", cursor_param = "cursor", next_cursor_path = "next_cursor"'),
        ("offset", 'strategy = "offset", offset_param = "offset", limit_param = "limit", page_size = 10'),
        ("page", 'strategy = "page", page_param = "page"'),
    ],
)
@pytest.mark.parametrize("columns", [ITEMS, '[streams.items]\npath = "/items"\n'])
def test_one_page_is_asked_for_although_more_follow(
    api: FakeApi, tried: Try, columns: str, paging: str, told: str
) -> None:
    api.routes["/items"] = Table(RECORDS, paging, page_size=10)  # type: ignore[arg-type]

    (trial,) = tried(f"{columns}pagination = {{ {told} }}\n")

    assert (trial.state, trial.rows) == ("ok", 10)
    assert len(api.seen) == 1


def test_a_next_link_to_another_host_is_not_followed(api: FakeApi, tried: Try) -> None:
    link = {"link": '<https://evil.test/items>; rel="next"'}
    api.routes["/items"] = httpx.Response(200, json=RECORDS, headers=link)

    (trial,) = tried(f'{ITEMS}pagination.strategy = "link"\n')

    assert trial.state == "ok"
    assert [request.url.host for request in api.seen] == ["api.test"]


def test_fields_without_a_column_are_told_of_the_last_record(api: FakeApi, tried: Try) -> None:
    records = [{"id": 1, "first": 1}, {"id": 2, "state": "open", "new": 1, "more": {"a": 1}}]
    api.routes["/items"] = httpx.Response(200, json=records)

    (trial,) = tried(ITEMS)

    assert trial.unseen == ("more", "new")
    assert str(trial) == "items: ok: 2 rows and no next page; fields without a column: more, new"


def test_columns_that_no_record_fills_are_told(api: FakeApi, tried: Try) -> None:
    columns = 'big = "HUGEINT", any = "JSON", at = "TIMESTAMPTZ", who = "STRUCT(id BIGINT)", state = "VARCHAR"'
    api.routes["/items"] = httpx.Response(200, json=[{"state": None, "who": {}}, {"state": "open", "any": None}])

    (trial,) = tried(f'[streams.items]\npath = "/items"\ncolumns = {{ {columns} }}\n')

    assert trial.empty == ("big", "any", "at")
    assert str(trial) == "items: ok: 2 rows and no next page; always NULL: big, any, at"


def test_a_column_whose_name_differs_by_case_is_seen_to_be_wrong(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = httpx.Response(200, json=[{"ID": 1, "state": "open"}])

    (trial,) = tried(ITEMS)

    assert (trial.unseen, trial.empty) == (("ID",), ("id",))


@pytest.mark.parametrize("answer", [httpx.Response(200, json=[]), httpx.Response(204)])
def test_an_empty_page_is_ok_and_tells_nothing_of_the_columns(api: FakeApi, tried: Try, answer: httpx.Response) -> None:
    api.routes["/items"] = answer

    (trial,) = tried(ITEMS)

    assert trial == Trial("items", "ok")
    assert str(trial) == "items: ok: 0 rows and no next page"


def test_inferred_columns_are_read_from_the_very_page_that_is_tried(
    api: FakeApi, sessions: Callable[..., Session]
) -> None:
    api.routes["/items"] = Table([{"id": 1, "note": None}, {"id": 2, "note": None}])
    session = sessions('[streams.items]\npath = "/items"\n')

    first, again = list(try_out("acme", session=session)), list(try_out("acme", session=session))

    assert first == again == [Trial("items", "ok", rows=2, empty=("note",))]
    assert len(api.seen) == 2


def test_an_empty_page_gives_no_columns_to_infer(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = Table([])

    (trial,) = tried('[streams.items]\npath = "/items"\n')

    assert trial.state == "failed"
    assert "no records to infer columns from" in trial.message
    assert len(api.seen) == 1


def test_a_stream_that_reads_by_post_posts_its_body(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = lambda request: httpx.Response(200, json=[{"id": len(json.loads(request.content)["tags"])}])

    (trial,) = tried(
        '[streams.items]\npath = "/items"\nmethod = "POST"\nbody.tags = ["a", "b"]\ncolumns.id = "BIGINT"\n'
    )

    assert (trial.state, trial.rows) == ("ok", 1)
    assert [request.method for request in api.seen] == ["POST"]


def test_the_demo_is_true_to_its_manifest(session: Session) -> None:
    trials = list(try_out("demo", session=session))

    assert {trial.state for trial in trials} <= {"ok", "skipped"}
    assert any(trial.rows for trial in trials)


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "needs"), [({}, "owner and kind"), ({"kind": "a"}, "owner"), ({"owner": "a"}, "kind")]
)
def test_a_stream_whose_keys_are_missing_is_skipped_and_says_which(
    api: FakeApi, tried: Try, keys: dict[str, object], needs: str
) -> None:
    api.routes["/items"] = Table(RECORDS)

    skipped, other = tried(BY_OWNER + ITEMS, keys)

    assert skipped == Trial("by_owner", "skipped", message=f"needs {needs}")
    assert str(skipped) == f"by_owner: skipped: needs {needs}"
    assert other.state == "ok"
    assert api.paths == ["/items"]


def test_keys_are_given_to_all_streams_that_have_them(api: FakeApi, tried: Try) -> None:
    api.routes |= {"/a b/items": Table(RECORDS), "/items": Table(RECORDS)}
    keys = {"owner": "a b", "kind": 7, "state": "open"}
    api.routes["/items"] = Table(RECORDS, filters={"status": ("state", "=")})

    trials = tried(BY_OWNER + FILTERED, keys)

    assert [(trial.state, trial.rows) for trial in trials] == [("ok", len(RECORDS)), ("ok", len(OPEN))]
    assert api.paths == ["/a%20b/items?kind=7", "/items?status=open"]


def test_a_key_that_may_be_left_out_is_left_out(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = Table(RECORDS)

    (trial,) = tried(FILTERED)

    assert trial.rows == len(RECORDS)
    assert api.paths == ["/items"]


def test_a_key_that_only_bounds_is_no_key_to_give(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = Table(RECORDS)

    with pytest.raises(CallError, match=r"acme has no key column 'id' \(there are: none\)"):
        tried(ITEMS + 'key_columns = [{ column = "id", param = "after", operators = [">"] }]\n', {"id": 3})

    assert api.paths == []


def test_an_api_that_does_not_answer_by_a_key_is_found_out(api: FakeApi, tried: Try) -> None:
    api.routes["/items"] = Table(RECORDS)  # whatever `status` says

    (trial,) = tried(FILTERED, {"state": "open"})

    assert trial.state == "failed"
    assert "state = 'closed' where keys asked for 'open'" in trial.message


@pytest.mark.parametrize("owner", [None, "", "..", ["a", "b"], {"a": 1}, "env:HOME"])
def test_a_key_that_cannot_be_sent_fails_its_own_stream(api: FakeApi, tried: Try, owner: object) -> None:
    api.routes["/items"] = Table(RECORDS)

    refused, other = tried(BY_OWNER + ITEMS, {"owner": owner, "kind": "a"})

    assert (refused.state, other.state) == ("failed", "ok")
    assert "owner" in refused.message
    assert api.paths == ["/items"]


# --- what fails ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.Response(401, json={"message": f"bad {SECRET}"}), "the credential (env:ACME_TOKEN) was refused"),
        (httpx.Response(404, json={"message": f"no {SECRET}"}), "answered 404"),
        (httpx.Response(500, text=SECRET), "answered 500"),
        (httpx.Response(200, html=f"<p>{SECRET}</p>"), "text/html"),
        (httpx.Response(200, json=[{"id": SECRET}]), "does not fit BIGINT"),
        (httpx.Response(200, json={"error": SECRET}), "error"),
        (httpx.Response(200, content=b'[{"id": 1'), "JSON"),
        (httpx.Response(302, headers={"location": f"https://evil.test/?token={SECRET}"}), "evil.test"),
        (httpx.ConnectError(f"refused {SECRET}"), "no answer"),
    ],
)
def test_an_answer_that_is_an_error_is_told_in_its_trial(
    api: FakeApi, tried: Try, answer: httpx.Response | Exception, told: str
) -> None:
    api.routes["/other"] = Table(RECORDS)
    api.trouble.append(answer)

    failed, other = tried(ITEMS + ITEMS.replace("items", "other"))

    assert (failed.state, failed.rows, other.state) == ("failed", 0, "ok")
    assert told in failed.message
    assert str(failed) == f"items: failed: {failed.message}"
    assert SECRET not in str(failed)
    assert api.paths == ["/items", "/other"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('data_path = "rows"\n', "there is no 'rows' in the body"),
        ('path = "/{x}"\n', "needs x"),
    ],
)
def test_a_manifest_that_is_not_true_fails_its_stream(api: FakeApi, tried: Try, more: str, told: str) -> None:
    api.routes["/items"] = httpx.Response(200, json={"items": RECORDS})
    stream = ITEMS.replace('path = "/items"\n', "") if more.startswith("path") else ITEMS

    (trial,) = tried(stream + more)

    assert trial.state == "failed"
    assert told in trial.message


def test_a_token_that_is_not_set_is_told_and_nothing_is_sent(
    api: FakeApi, tried: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACME_TOKEN")

    (trial,) = tried(ITEMS)

    assert trial.state == "failed"
    assert "env:ACME_TOKEN is not set" in trial.message
    assert api.seen == []


def test_an_unknown_connector_is_an_error_with_near_ones(session: Session) -> None:
    with pytest.raises(ConnectorNotFoundError, match="Did you mean github"):
        try_out("githib", session=session)


def test_a_missing_setting_is_an_error_that_says_what_to_set(api: FakeApi, sessions: Callable[..., Session]) -> None:
    head = 'name = "acme"\nbase_url = "https://{site}.test"\nvariables.site.env = "ACME_SITE"\n'

    with pytest.raises(ConfigError, match="set ACME_SITE"):
        try_out("acme", session=sessions(ITEMS, head))

    assert api.seen == []


def test_a_connector_without_streams_has_no_trials(tried: Try) -> None:
    assert tried("") == []


# --- the session -----------------------------------------------------------------------------------------------------


def test_the_session_given_keeps_what_was_sent_and_what_failed(api: FakeApi, sessions: Callable[..., Session]) -> None:
    api.trouble.append(httpx.Response(401))
    session = sessions(ITEMS)

    (failed,) = try_out("acme", session=session)
    api.routes["/items"] = Table(RECORDS)
    (fine,) = try_out("acme", session=session)

    assert [record.status for record in session.requests] == [401, 200]
    assert [type(error) for error in session.errors] == [AuthError]
    assert str(session.errors[0]) == failed.message
    assert [scan.state for scan in session.scans] == ["failed", "done"]
    assert fine.state == "ok"


def test_the_scan_of_a_trial_is_counted_like_any_other(api: FakeApi, sessions: Callable[..., Session]) -> None:
    api.routes["/items"] = Table(RECORDS, "link", page_size=10)
    session = sessions(ITEMS)

    (trial,) = try_out("acme", session=session)

    (scan,) = session.scans
    assert (scan.pages, scan.rows, scan.is_truncated) == (1, trial.rows, True)


def test_without_a_session_it_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    monkeypatch.setattr("apikit_sql.scan.trial.default_session", lambda: session)

    trials = list(try_out("demo"))

    assert len(session.requests) == sum(trial.state != "skipped" for trial in trials)
