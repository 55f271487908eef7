"""No secret leaves: by name, by value, however it is encoded."""

from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apikit_sql.redaction import MASK, is_secret_header, is_secret_param, redact, redact_url

PRINTABLE = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cs", "Cc"))
#: Secrets as an API may give them; those that overlap the mask itself cannot be told from it.
secrets = st.text(PRINTABLE, min_size=4, max_size=20).filter(
    lambda text: "*" not in text and text not in MASK and text == text.strip()
)
SECRET_NAMES = [
    "api_key",
    "apikey",
    "API-Key",
    "access_token",
    "token",
    "key",
    "sig",
    "X-Amz-Signature",
    "client_secret",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_credentials_parameter_is_known_in_any_spelling(name: str) -> None:
    assert is_secret_param(name)
    assert is_secret_param(name.upper())


@pytest.mark.parametrize("name", ["page", "state", "keyword", "token_type", "sort_key", "author", ""])
def test_an_ordinary_parameter_is_no_credential(name: str) -> None:
    assert not is_secret_param(name)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "COOKIE",
        "x-api-key",
        "X-Shopify-Access-Token",
        "My-Own-Token",
        "X-Client-Secret",
        "X-Hub-Signature",
    ],
)
def test_a_credentials_header_is_known_in_any_case(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize("name", ["Accept", "X-GitHub-Api-Version", "User-Agent", "Token-Count", "Notion-Version"])
def test_an_ordinary_header_is_no_credential(name: str) -> None:
    assert not is_secret_header(name)


def test_a_url_loses_its_user_info() -> None:
    assert redact_url("https://user:pass@api.test:8443/x") == "https://api.test:8443/x"
    assert redact_url("https://us@er:p@ss@api.test/x") == "https://api.test/x"


def test_a_secret_parameter_is_masked_and_the_others_stay() -> None:
    url = redact_url("https://api.test/x?state=open&api_key=abc&token=&page=2")

    assert url == f"https://api.test/x?state=open&api_key={MASK}&token={MASK}&page=2"


def test_every_value_of_a_repeated_secret_parameter_is_masked() -> None:
    url = redact_url("https://api.test/x?key=abc&key=def")

    assert url == f"https://api.test/x?key={MASK}&key={MASK}"


def test_a_url_without_secrets_stays_as_it_is() -> None:
    url = "https://api.test/a%2Fb?q=a+b&empty=&tag=x&tag=y#part"

    assert redact_url(url) == url


def test_a_secret_in_the_fragment_is_masked() -> None:
    url = redact_url("https://api.test/callback#access_token=abcdef&state=x")

    assert "abcdef" not in url


def test_a_url_that_cannot_be_read_is_still_redacted() -> None:
    url = redact_url("https://[::1/x?state=s3cret", ["s3cret"])

    assert "s3cret" not in url


def test_the_longest_secret_is_masked_first() -> None:
    assert redact("abcd abcdefgh", ["abcd", "abcdefgh"]) == f"{MASK} {MASK}"


def test_a_short_value_is_left_for_it_stands_in_too_much_innocent_text() -> None:
    assert redact("a cat sat", ["cat", "a"]) == "a cat sat"


@given(st.text(max_size=30), secrets, st.text(max_size=30))
def test_no_text_keeps_a_secret(before: str, secret: str, after: str) -> None:
    assume("*" not in before + after)

    assert secret not in redact(before + secret + after, [secret])


@given(st.lists(secrets, min_size=1, max_size=4), st.data())
def test_no_text_keeps_any_of_several_secrets(several: list[str], data: st.DataObject) -> None:
    text = " ".join(data.draw(st.lists(st.sampled_from(several), max_size=6)))

    redacted = redact(text, several)

    assert not any(secret in redacted.split(MASK) for secret in several)


@given(st.sampled_from(SECRET_NAMES), secrets)
def test_no_url_keeps_the_value_of_a_secret_parameter(name: str, secret: str) -> None:
    url = redact_url("https://api.test/x?" + urlencode({"page": "1", name: secret}))

    assert parse_qsl(urlsplit(url).query) == [("page", "1"), (name, MASK)]


@given(secrets, st.sampled_from(["form", "component", "path", "plain"]))
def test_no_url_keeps_a_known_secret_however_it_is_encoded(secret: str, encoding: str) -> None:
    """In a query as forms write it (a space is `+`, which httpx does), in a path (`/` stays), or as it is."""
    match encoding:
        case "form":
            url = "https://api.test/x?" + urlencode({"appid": secret})
        case "component":
            url = "https://api.test/x?appid=" + quote(secret, safe="")
        case "path":
            url = "https://api.test/hooks/" + quote(secret)
        case _:
            assume(not set(secret) & set("?#[]@"))
            url = "https://api.test/x?appid=" + secret

    redacted = redact_url(url, [secret])

    assert secret not in unquote(redacted)
    assert secret not in unquote_plus(redacted)


def test_a_secret_is_masked_where_its_escapes_are_written_in_lower_case() -> None:
    url = redact_url("https://api.test/x?appid=ab%2fcd%3d", ["ab/cd="])

    assert "ab%2fcd" not in url
