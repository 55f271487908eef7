"""Every answer of a token endpoint that public sources know is a token or an AuthError, and says nothing secret."""

import dataclasses
import json
import math
import re
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apikit_sql.engine.oauth2 import Token, read_token
from apikit_sql.errors import AuthError
from tests.vectors import oauth_tokens as public
from tests.vectors.oauth_tokens import FORM, JSON, Expires, Issued, Refused, Vector

NOW = 1000.0  # the time of oauthlib's tests
SECRET = "s3cr3t-t0k3n"
TABLES = {
    "oauthlib": public.OAUTHLIB,
    "requests-oauthlib": public.REQUESTS_OAUTHLIB,
    "docstrings": public.DOCSTRINGS,
    "social-auth-core": public.SOCIAL_AUTH,
    "social-auth-core, errors": public.SOCIAL_AUTH_ERRORS,
    "httpx-oauth": public.HTTPX_OAUTH,
    "authlib": public.AUTHLIB,
    "golang": public.GOLANG,
    "ours": public.OURS,
}
VECTORS = [pytest.param(vector, id=f"{source}: {vector.name}") for source in TABLES for vector in TABLES[source]]
REFUSED = [
    pytest.param(vector, id=f"{source}: {vector.name}")
    for source in TABLES
    for vector in TABLES[source]
    if isinstance(vector.outcome, Refused)
]
TYPE = re.compile(r'(token_type"?\s*[:=]\s*"?)example')
SECRETS = re.compile(r'(?:access|refresh)_?token"?\s*[=:>]\s*"?([^"&<]{3,})', re.IGNORECASE)


def answer(body: str | bytes, status: int = 200, media: str = JSON) -> httpx.Response:
    content = body.encode() if isinstance(body, str) else body
    return httpx.Response(status, content=content, headers={"content-type": media} if media else None)


def read(response: httpx.Response) -> Token | AuthError:
    """The token, or the error as a value; whatever else is raised is raised."""
    try:
        return read_token(response, NOW)
    except AuthError as error:
        return error


def outcome(response: httpx.Response) -> Issued | str:
    """What was issued, its lifetime to the microsecond, or the code of the error."""
    found = read(response)
    if isinstance(found, AuthError):
        return found.code
    lifetime = None if found.expires_at is None else round(found.expires_at - NOW, 6)
    return Issued(found.access_token, lifetime, found.refresh_token)


def refusal(response: httpx.Response) -> AuthError:
    with pytest.raises(AuthError) as raised:
        read_token(response, NOW)
    return raised.value


@pytest.mark.parametrize("vector", VECTORS)
def test_every_answer_is_a_token_or_an_error_with_its_code(vector: Vector) -> None:
    found = outcome(answer(vector.body, vector.status, vector.media))

    expected = vector.outcome.code if isinstance(vector.outcome, Refused) else vector.outcome
    assert found == expected, vector.theirs


@pytest.mark.parametrize("vector", public.OAUTHLIB, ids=lambda vector: vector.name)
def test_a_type_that_is_understood_makes_the_same_answer_a_token(vector: Vector) -> None:
    body, replaced = TYPE.subn(r"\1Bearer", vector.body)

    expected = public.OAUTHLIB_BEARER.get(vector.name)

    assert (replaced == 1) is (expected is not None)
    if expected is not None:
        found = outcome(answer(body, media=vector.media))
        assert found == (expected.code if isinstance(expected, Refused) else expected)


@pytest.mark.parametrize(("title", "expires_in", "expires_at", "theirs", "seconds"), public.OAUTHLIB_EXPIRES)
def test_expires_in_says_until_when_a_token_is_good(
    title: str, expires_in: Expires, expires_at: Expires, theirs: float | None, seconds: float | None
) -> None:
    body = json.dumps({"access_token": "t", "expires_in": expires_in, "expires_at": expires_at})

    assert outcome(answer(body)) == Issued("t", seconds), (title, theirs)


@pytest.mark.parametrize("expires_in", public.UNTOLD_EXPIRES)
def test_a_lifetime_that_cannot_be_read_is_not_told(expires_in: str) -> None:
    assert outcome(answer(f'{{"access_token": "t", "expires_in": {expires_in}}}')) == Issued("t")


@pytest.mark.parametrize("expires_in", ["", "-1", "soon", "nan", "inf", "1e999"])
def test_a_lifetime_of_a_form_that_cannot_be_read_is_not_told(expires_in: str) -> None:
    assert outcome(answer(f"access_token=t&expires_in={expires_in}", media=FORM)) == Issued("t")


@pytest.mark.parametrize("now", [0.0, 1_750_000_000.0, 1_750_000_000.25])
def test_a_lifetime_counts_from_the_answer(now: float) -> None:
    token = read_token(answer('{"access_token": "t", "expires_in": 0}'), now)

    assert token.expires_at == now


@pytest.mark.parametrize("kind", [*public.OAUTHLIB_TYPES, "bearer", "BEARER"])
@pytest.mark.parametrize("media", [JSON, FORM])
def test_the_case_of_bearer_tells_nothing(kind: str, media: str) -> None:
    body = {JSON: json.dumps({"access_token": "t", "token_type": kind}), FORM: f"access_token=t&token_type={kind}"}

    assert outcome(answer(body[media], media=media)) == Issued("t")


@pytest.mark.parametrize("kind", public.REFUSED_TYPES)
@pytest.mark.parametrize("media", [JSON, FORM])
def test_a_token_of_another_type_is_refused(kind: str, media: str) -> None:
    body = {
        JSON: json.dumps({"access_token": SECRET, "token_type": kind}),
        FORM: urlencode({"access_token": SECRET, "token_type": kind}),
    }

    error = refusal(answer(body[media], media=media))

    assert error.code == ""
    assert SECRET not in str(error)


@pytest.mark.parametrize("token", public.REFUSED_TOKENS)
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    assert outcome(answer(f'{{"access_token": {token}, "token_type": "Bearer"}}')) == ""


@pytest.mark.parametrize("token", ["", "+", "%20", "a%20b", "a%0Ab", "a%00b", "%7F"])
def test_a_token_of_a_form_that_no_header_can_carry_is_refused(token: str) -> None:
    assert outcome(answer(f"access_token={token}&token_type=bearer", media=FORM)) == ""


def test_a_token_does_not_change() -> None:
    token = read_token(answer('{"access_token": "t"}'), NOW)

    with pytest.raises(dataclasses.FrozenInstanceError):
        token.access_token = "u"  # type: ignore[misc]


# --- what an error says


@pytest.mark.parametrize("vector", REFUSED)
def test_an_error_says_what_the_answer_says_and_no_secret(vector: Vector) -> None:
    assert isinstance(vector.outcome, Refused)

    text = str(refusal(answer(vector.body, vector.status, vector.media)))

    assert vector.outcome.code in text
    assert vector.outcome.description in text
    assert not [secret for secret in SECRETS.findall(vector.body) if secret in text]


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (f"token: {SECRET}", "text/plain"),
        (f"<html>{SECRET}</html>", "text/html"),
        (f'{{"access_token": "{SECRET}", "expires_', JSON),
        (f'["{SECRET}"]', JSON),
        (f'"{SECRET}"', JSON),
        (f'{{"token": "{SECRET}"}}', JSON),
        (f'{{"access_token": "{SECRET} "}}', JSON),
        (f'{{"access_token": ["{SECRET}"]}}', JSON),
        (f'{{"error": "slow_down", "access_token": "{SECRET}", "refresh_token": "{SECRET}"}}', JSON),
        (f'{{"error": {{"access_token": "{SECRET}"}}}}', JSON),
        (f'{{"error": "slow_down", "error_description": {{"refresh_token": "{SECRET}"}}}}', JSON),
        (f'{{"access_token": "t", "token_type": {{"refresh_token": "{SECRET}"}}}}', JSON),
        (f"error=slow_down&access_token={SECRET}", FORM),
        (f"access_token={SECRET}+&refresh_token={SECRET}", FORM),
    ],
)
def test_an_error_shows_nothing_of_a_body_that_may_be_secret(body: str, media: str) -> None:
    error = refusal(answer(body, media=media))

    assert SECRET not in str(error)
    assert SECRET not in repr(error)


@pytest.mark.parametrize(
    "description", ["a\x1b[31mred\x07", "a\x00b\x7fc", "a\u202eb\u2066c", "\ud800", "x" * 100_000, "\x85\x9b"]
)
def test_a_description_is_shown_printable_and_short(description: str) -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": description})

    text = str(refusal(answer(body, 400)))

    assert "invalid_grant" in text
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text) < 2000


@pytest.mark.parametrize("error", ["a\x1b[31mred", "x" * 100_000, "a\nb"])
def test_a_code_is_shown_printable_and_short(error: str) -> None:
    text = str(refusal(answer(json.dumps({"error": error}), 400)))

    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text) < 2000


@pytest.mark.parametrize("error", [{"message": "no", "code": 190}, ["invalid_grant"], 400, True])
def test_an_error_that_is_no_text_has_no_code(error: Any) -> None:
    assert outcome(answer(json.dumps({"error": error, "access_token": "t"}))) == ""


@pytest.mark.parametrize("description", [None, 400, ["no"], {"en": "no"}])
def test_a_description_that_is_no_text_leaves_the_code(description: Any) -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": description})

    assert outcome(answer(body, 400)) == "invalid_grant"


# --- whatever comes

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
MEMBERS = ("access_token", "token_type", "expires_in", "refresh_token", "scope", "error", "error_description")
ANSWERS = st.dictionaries(st.sampled_from(MEMBERS), SCALARS | st.sampled_from(["bearer", "t", "60"]) | VALUES)
PAIRS = st.lists(st.tuples(st.sampled_from(MEMBERS), st.text(max_size=10) | st.just("bearer")), max_size=6)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ANSWERS.map(lambda members: json.dumps(members).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    PAIRS.map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogatepass")),
    PAIRS.map(lambda pairs: urlencode(pairs, errors="surrogatepass").encode()),
)
MEDIA = (JSON, FORM, "text/html", "text/plain; charset=utf-16", "application/json; charset=nonsense", "")


@settings(max_examples=400, deadline=None, database=None)
@given(BODIES, st.sampled_from([200, 201, 400, 401, 403, 500]), st.sampled_from(MEDIA))
@example(b"[" * 100_000, 200, JSON)
@example(b"[" * 100_000 + b"]" * 100_000, 200, JSON)
@example(b'{"access_token":' * 100_000 + b"1" + b"}" * 100_000, 200, JSON)
@example(b'{"access_token": "t", "scope": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 200, JSON)
@example(b'{"access_token": "t", "expires_in": ' + b"9" * 400 + b"}", 200, JSON)
@example(b'{"access_token": "t", "expires_in": ' + b"9" * 5_000 + b"}", 200, JSON)
@example(b'{"access_token": "t", "expires_in": "' + b"9" * 5_000 + b'"}', 200, JSON)
@example(b'{"access_token": "t", "expires_in": 1e999}', 200, JSON)
@example(b'{"access_token": "t", "expires_in": NaN}', 200, JSON)
@example(b'{"access_token": "t", "access_token": "u"}', 200, JSON)
@example(b'{"access_token": "t\\ud800"}', 200, JSON)
@example(b'{"access_token": "t", "error": null}', 200, JSON)
@example(b'{"access_token": "t", "error": ""}', 200, JSON)
@example(b'{"error": "\\ud800", "error_description": "\\udfff"}', 400, JSON)
@example(b'\xef\xbb\xbf{"access_token": "t"}', 200, JSON)
@example('{"access_token": "t"}'.encode("utf-16"), 200, JSON)
@example(b"access_token=t&access_token=u", 200, FORM)
@example(b"access_token=%ff%fe", 200, FORM)
@example(b"access_token=t&" + b"a=b&" * 100_000, 200, FORM)
@example(b"access_token", 200, FORM)
@example(b"=&=&access_token", 200, "text/plain; charset=utf-16")
def test_any_answer_is_a_token_or_an_auth_error(body: bytes, status: int, media: str) -> None:
    found = read(answer(body, status, media))

    if isinstance(found, Token):
        assert found.access_token.isprintable()
        assert not {"", " "} & {found.access_token, *found.access_token}
        assert found.expires_at is None or (math.isfinite(found.expires_at) and found.expires_at >= NOW)
        assert found.refresh_token is None or isinstance(found.refresh_token, str)
    else:
        assert isinstance(found.code, str)
        assert all(line.isprintable() for line in str(found).split("\n"))
