"""A secret that a caller gives as a header, a parameter or in a body: sent as it is, and shown by no text."""

from typing import Any

import httpx
import pytest

from apikit_sql import ApiConfig, Apikit, AuthError, RequestError, Session
from apikit_sql.connector.manifest import Stream
from tests.facade.doors import Door, call
from tests.fakes.api import BASE_URL, FakeApi

SECRET = "s3cr3t-t0ken"
GIVEN = {"Authorization": f"Bearer {SECRET}", "Cookie": f"theme=dark; session={SECRET}", "X-Api-Key": SECRET}


def echo(status: int, header: str) -> Any:
    """An answer that tells what it was sent in `header`, whole and its last part alone."""

    def answer(request: httpx.Request) -> httpx.Response:
        said = request.headers[header]
        return httpx.Response(status, json={"message": f"no {said}, no {said.replace('=', ' ').split()[-1]}"})

    return answer


@pytest.mark.parametrize("header", GIVEN)
@pytest.mark.parametrize("method", ["fetch_records", "post", "inspect"])
@pytest.mark.parametrize("status", [401, 422])
def test_an_error_does_not_repeat_a_header(  # noqa: PLR0917 - fixtures and parameters
    api: FakeApi, session: Session, door: Door, method: str, header: str, status: int
) -> None:
    api.routes["/items"] = echo(status, header)
    client = Apikit(BASE_URL, headers={header: GIVEN[header]}, session=session)

    try:
        text = call(door, client, method, "/items").error
    except RequestError as error:
        text = str(error)

    assert api.seen[0].headers[header] == GIVEN[header]
    assert "***REDACTED***" in text
    assert SECRET not in text
    assert SECRET not in "".join(map(str, session.errors))


def test_what_was_sent_instead_of_a_credential_is_told(api: FakeApi, session: Session, door: Door) -> None:
    api.routes["/items"] = httpx.Response(401)
    client = Apikit(BASE_URL, headers={"Authorization": f"Bearer {SECRET}", "X-Version": "2"}, session=session)

    with pytest.raises(AuthError, match=r"answered 401: only the headers given were sent \(Authorization\)\.$"):
        call(door, client, "fetch_records", "/items")


def test_a_config_does_not_show_them() -> None:
    config = ApiConfig(
        base_url=BASE_URL,
        headers=GIVEN | {"X-Version": "2"},
        params={"access_token": SECRET, "locale": "en"},
        streams={"items": Stream(path="/items", params={"token": SECRET})},
    )

    for text in (repr(config), str(config)):
        assert SECRET not in text
        assert "'X-Version': '2'" in text
        assert "'locale': 'en'" in text
    assert config.headers["X-Api-Key"] == SECRET


@pytest.mark.parametrize("token", [SECRET, "env:THE_TOKEN"])
def test_a_dry_run_does_not_show_the_clients_own_secret(
    session: Session, door: Door, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THE_TOKEN", SECRET)
    client = Apikit(BASE_URL, token=token, headers={"X-Auth-Token": "an0ther-secret"}, session=session)
    body = {"t": SECRET, "of": ["an0ther-secret"], "id": 1}

    found = call(door, client, "post", "/items", body, params={"q": SECRET}, dry_run=True)

    assert found.body == '{"t": "***REDACTED***", "of": ["***REDACTED***"], "id": 1}'
    assert found.params == {"q": "***REDACTED***"}
    assert "s3cr3t" not in capsys.readouterr().err


def test_they_stay_at_home(api: FakeApi, session: Session, door: Door) -> None:
    api.routes["/items"] = httpx.Response(307, headers={"location": "https://other.test/there"})
    api.routes["/there"] = httpx.Response(200, json=[{"id": 1}])
    config = ApiConfig(base_url=BASE_URL, headers=GIVEN | {"X-Version": "2"}, allowed_origins=("https://other.test",))

    assert call(door, Apikit.from_config(config, session=session), "fetch_records", "/items") == [{"id": 1}]

    home, away = (each.headers for each in api.seen)
    assert [home.get(name) for name in GIVEN] == list(GIVEN.values())
    assert [away.get(name) for name in GIVEN] == [None] * 3
    assert away["x-version"] == "2"
