"""Whatever a server echoes, no recording holds a credential, in any spelling, nor does the name of one."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest

from apikit_sql.connector.protocol import AuthConfig, PaginationConfig
from apikit_sql.engine.session import Session
from apikit_sql.errors import RequestError
from tests.engine.taking import ids, plan_of, read
from tests.fakes.api import BASE_URL, FakeApi

SECRET, PLAIN = 's3cr3t/"tök3n"+x??>~~', "s3cr3t/t0k3n+x??>~~"
TOKEN = "acc3ss/t0k3n+x??>~~=="

AUTHS = {
    "bearer": AuthConfig.model_validate({"type": "bearer", "token": PLAIN}),
    "header": AuthConfig.model_validate({"type": "apikey", "api_key": PLAIN, "api_key_header": "X-Special"}),
    "query": AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "licence"}),
    "known query": AuthConfig.model_validate({"type": "apikey", "api_key": SECRET, "api_key_query_param": "api_key"}),
    "basic": AuthConfig.model_validate({"type": "basic", "username": "someone-special", "password": SECRET}),
    "oauth2": AuthConfig.model_validate(
        {
            "type": "oauth2",
            "client_id": "client-id-special",
            "client_secret": SECRET,
            "token_url": f"{BASE_URL}/token",
        }
    ),
}
SECRETS = {
    "bearer": [PLAIN],
    "header": [PLAIN],
    "query": [SECRET],
    "known query": [SECRET],
    "basic": [SECRET, base64.b64encode(f"someone-special:{SECRET}".encode()).decode()],
    "oauth2": [SECRET, TOKEN],
}
EVERY_AUTH = pytest.mark.parametrize("auth", list(AUTHS))
LINKED = PaginationConfig(strategy="next_url", next_url_path="next")


def spellings(secret: str) -> list[str]:
    """As servers write what they echo."""
    escaped = json.dumps(secret)[1:-1]
    return [
        secret,
        quote(secret, safe=""),
        quote(secret),
        "".join(f"%{byte:02x}" for byte in secret.encode()),
        escaped,
        escaped.replace("/", "\\/"),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"user:{secret}!".encode()).decode(),
        base64.urlsafe_b64encode(f"ab{secret}".encode()).decode(),
    ]


def traces(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret.encode()).decode()
        core = whole[before + 1 if before else 0 :].rstrip("=")[:-1]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def texts_in(value: object) -> Iterator[str]:
    """Every text within a recording, its Base64 body as what it is."""
    match value:
        case dict():
            for name, each in value.items():
                yield str(name)
                if name == "body_base64":
                    yield base64.b64decode(each).decode(errors="replace")
                else:
                    yield from texts_in(each)
        case list():
            for each in value:
                yield from texts_in(each)
        case _:
            yield str(value)


def leaks(folder: Path, auth: str) -> list[str]:
    found = []
    for file in (each for each in folder.rglob("*") if each.is_file()):
        whole = file.read_text()
        for text in [str(file.relative_to(folder)), whole, *texts_in(json.loads(whole))]:
            ways = [text, unquote(text), text.replace("\\/", "/"), text.replace("\\\\", "\\")]
            found += [
                f"{file.name}: {trace}"
                for secret in SECRETS[auth]
                for trace in traces(secret)
                if any(trace in way for way in ways)
            ]
    return found


def api_that(answer: httpx.Response) -> FakeApi:
    """An API whose pages answer so, and that gives a token."""
    token = {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}
    last = httpx.Response(200, json={"items": [{"id": 2}]})
    return FakeApi({"/items": [answer, last], "/token": httpx.Response(200, json=token), "/2": last})


def recorded(folder: Path, api: FakeApi, auth: str, **plan: object) -> list[int]:
    session = Session(transport=api.transport(), http=f"record:{folder}")
    fields: dict[str, Any] = {"pagination": LINKED, "record_path": "items", **plan}
    pages = read(session, plan_of(auth=AUTHS[auth], **fields))
    session.close()
    return ids(pages)


@EVERY_AUTH
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_no_secret_that_a_body_echoes_is_recorded(auth: str, ensure_ascii: bool, tmp_path: Path) -> None:  # noqa: FBT001
    echoes = [spelling for secret in SECRETS[auth] for spelling in spellings(secret)]
    body = {"items": [{"id": 1, "seen": f"<{each}>"} for each in echoes], "said": dict.fromkeys(echoes, 1)}
    api = api_that(httpx.Response(200, content=json.dumps(body, ensure_ascii=ensure_ascii).encode()))

    assert set(recorded(tmp_path, api, auth)) == {1}
    assert leaks(tmp_path, auth) == []


@EVERY_AUTH
def test_no_secret_that_a_header_echoes_is_recorded(auth: str, tmp_path: Path) -> None:
    echoes = [spelling for secret in SECRETS[auth] for spelling in spellings(secret)]
    headers = [(f"x-echo-{at}".encode(), each.encode()) for at, each in enumerate(echoes)]
    headers += [(b"set-cookie", SECRETS[auth][0].encode()), (b"x-new-token", SECRETS[auth][0].encode())]

    recorded(tmp_path, api_that(httpx.Response(200, json={"items": []}, headers=headers)), auth)

    assert leaks(tmp_path, auth) == []


@EVERY_AUTH
@pytest.mark.parametrize("to", ["/items?page=2&q=", "/items?page=2&api_key=", "/2/../items?page=2&", "/items?page=2#"])
def test_no_secret_that_a_link_echoes_is_recorded_and_the_link_still_leads_on(
    auth: str, to: str, tmp_path: Path
) -> None:
    for at, secret in enumerate(SECRETS[auth]):
        folder = tmp_path / str(at)
        body = {"items": [{"id": 1}], "next": to + quote(secret, safe="")}

        assert recorded(folder, api_that(httpx.Response(200, json=body)), auth) == [1, 2]
        assert leaks(folder, auth) == []

        session = Session(transport=FakeApi().transport(), http=f"replay:{folder}")
        plan = plan_of(auth=AUTHS[auth], record_path="items", pagination=LINKED)
        assert ids(read(session, plan)) == [1, 2]
        session.close()


@EVERY_AUTH
def test_no_secret_that_a_path_repeats_is_in_the_name_of_a_recording(auth: str, tmp_path: Path) -> None:
    secret = quote(SECRETS[auth][0], safe="")
    api = FakeApi({f"/of/{SECRETS[auth][0]}": httpx.Response(200, json=[])})
    token = {"access_token": TOKEN, "token_type": "bearer"}
    api.routes["/token"] = httpx.Response(200, json=token)

    recorded(tmp_path, api, auth, path=f"/of/{secret}", pagination=PaginationConfig(strategy="none"), record_path="")

    assert any(tmp_path.rglob("*.json"))
    assert leaks(tmp_path, auth) == []


@EVERY_AUTH
def test_no_secret_that_a_posted_body_has_is_recorded(auth: str, tmp_path: Path) -> None:
    body = json.dumps({"of": SECRETS[auth][0]}).encode()

    recorded(tmp_path, api_that(httpx.Response(200, json={"items": []})), auth, method="POST", body=body)

    assert leaks(tmp_path, auth) == []


@EVERY_AUTH
def test_no_secret_within_a_binary_body_is_recorded(auth: str, tmp_path: Path) -> None:
    body = b"\xff\xfe " + " ".join(each for secret in SECRETS[auth] for each in spellings(secret)).encode()
    api = api_that(httpx.Response(418, content=body))

    with pytest.raises(RequestError, match="418"):
        recorded(tmp_path, api, auth)

    assert any(tmp_path.rglob("*.json"))
    assert leaks(tmp_path, auth) == []


def test_no_answer_with_a_token_is_recorded_and_none_is_needed_to_replay(tmp_path: Path) -> None:
    api = api_that(httpx.Response(200, json={"items": [{"id": 1}]}))

    recorded(tmp_path, api, "oauth2")

    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 1
    assert not any("/token" in file.read_text() for file in files)
    assert [request.url.path for request in api.seen] == ["/token", "/items"]


@pytest.mark.parametrize("type_", ["bearer", "oauth2"])
def test_a_replay_needs_no_credential(type_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {
        "bearer": {"token": "env:API_SECRET"},
        "oauth2": {"client_id": "client", "client_secret": "env:API_SECRET", "token_url": f"{BASE_URL}/token"},
    }
    auth = AuthConfig.model_validate({"type": type_, **fields[type_]})
    plan = plan_of(auth=auth, record_path="items")
    api = api_that(httpx.Response(200, json={"items": [{"id": 1}]}))
    monkeypatch.setenv("API_SECRET", PLAIN)
    read(Session(transport=api.transport(), http=f"record:{tmp_path}"), plan)
    sent = len(api.seen)

    monkeypatch.delenv("API_SECRET")
    found = read(Session(transport=api.transport(), http=f"replay:{tmp_path}"), plan)

    assert ids(found) == [1]
    assert len(api.seen) == sent
