"""No secret leaves: by name, by value, however it is encoded."""

import base64
import json
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlencode, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apikit_sql.redaction import (
    MASK,
    carries_secret,
    header_secrets,
    is_secret_header,
    is_secret_param,
    redact,
    redact_url,
)

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
        "X-My-Key",
        "DD-APPLICATION-KEY",
        "X-Vendor-Auth",
    ],
)
def test_a_credentials_header_is_known_in_any_case(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name",
    ["Accept", "X-GitHub-Api-Version", "User-Agent", "Token-Count", "Notion-Version", "Idempotency-Key", "X-Event-Key"],
)
def test_an_ordinary_header_is_no_credential(name: str) -> None:
    assert not is_secret_header(name)


def test_the_secrets_of_headers_are_all_that_an_api_may_echo() -> None:
    basic = base64.b64encode(b"someone:hunter2222").decode()
    headers = [
        ("Authorization", f"Basic {basic}"),
        ("Cookie", "theme=dark; session=s3cr3t-t0ken"),
        ("X-My-Key", "0123456789"),
        ("Accept", "application/json"),
    ]

    found = header_secrets(headers)

    assert {basic, "someone:hunter2222", "hunter2222", "s3cr3t-t0ken", "0123456789"} <= {*found}
    assert not {"someone", "dark", "application/json"} & {*found}


@pytest.mark.parametrize("value", ["Fetch", "Bearer", "Basic abc", "Basic /w=="])
def test_a_word_in_a_header_is_no_secret(value: str) -> None:
    assert not [each for each in header_secrets([("X-CSRF-Token", value), ("Authorization", value)]) if len(each) < 8]


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


# --- Base64, JSON, and all of them


SECRET = 's3cr3t/tök3n"+x??>~~'
AFTER = ["", "!", "!!", "!!!", ":x-oauth-basic"]


def traces_in_base64(secret: str) -> list[str]:
    """What of `secret` stands in Base64 whatever stands around it, in both alphabets: a character is 6 bits."""
    found = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret.encode()).decode()
        core = whole[-(-before * 8 // 6) : (before + len(secret.encode())) * 8 // 6]
        found += [core, core.replace("+", "-").replace("/", "_")]
    return found


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("pack", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("secret", [SECRET, "plain-ascii-secret", "ünïcödë-ßecret", "🔑🔑🔑🔑", "??>>??>>~~~~"])
def test_a_secret_within_base64_is_masked_at_every_alignment(
    secret: str, pack: Callable[[bytes], bytes], before: str, after: str
) -> None:
    packed = pack((before + secret + after).encode()).decode()

    for text in (f"Basic {packed}.", packed.rstrip("="), f'{{"echo": "{packed}"}}'):
        redacted = redact(text, [secret])

        assert MASK in redacted
        assert not any(trace in redacted for trace in traces_in_base64(secret))


@pytest.mark.parametrize(
    "written",
    [
        'caf\\u00e9/cl\\"e\\"',
        'caf\\u00E9/cl\\"e\\"',
        'café\\/cl\\"e\\"',
        "caf\\u00e9\\/cl\\u0022e\\u0022",
        "\\u0063\\u0061\\u0066\\u00e9\\u002F\\u0063\\u006c\\u0022\\u0065\\u0022",
        "caf%C3%A9%2Fcl%22e%22",
        "caf%c3%a9/cl%22e%22",
        "%63%61%66%c3%a9%2f%63%6c%22%65%22",
        'café/cl"e"',
        'caf%C3%A9\\/cl\\u0022e"',
    ],
)
def test_a_secret_is_masked_however_json_and_urls_escape_it_also_when_mixed(written: str) -> None:
    assert redact(f"<{written}>", ['café/cl"e"']) == f"<{MASK}>"


@pytest.mark.parametrize(
    "secret", ["a\\b\\c\\d", "tab\tand\nline", "🔑 of the house", "a b c d", "\x7f\x01\x02\x03", "<&>'x"]
)
def test_a_secret_of_odd_characters_is_masked_in_every_escape(secret: str) -> None:
    for text in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret).lower() if secret.islower() else quote(secret),
    ):
        assert redact(f"<{text.strip(chr(34))}>", [secret]) == f"<{MASK}>"


def escaped_in_json(secret: str) -> str:
    return json.dumps(secret)[1:-1]


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@given(
    secret=st.text(PRINTABLE, min_size=8, max_size=30).filter(lambda text: "*" not in text and text == text.strip()),
    before=st.text(PRINTABLE, max_size=12),
    after=st.text(PRINTABLE, max_size=12),
    way=st.sampled_from(["plain", "percent", "JSON", "Base64"]),
)
def test_nothing_remains_of_a_secret_of_8_characters_in_any_encoding(
    secret: str, before: str, after: str, way: str
) -> None:
    assume("*" not in before + after)
    match way:
        case "plain":
            text = before + secret + after
        case "percent":
            text = quote(before + secret + after, safe="")
        case "JSON":
            text = escaped_in_json(before + secret + after)
        case _:
            text = in_base64(before + secret + after)

    redacted = redact(text, [secret])

    assert MASK in redacted
    if way == "Base64":
        assert not any(trace in redacted for trace in traces_in_base64(secret))
    else:  # what stands around may hold the secret's characters again, but not the secret
        rest = redacted.split(MASK)
        assert not any(secret in each or secret in unquote(each) for each in rest)
        assert not any(escaped_in_json(secret) in each for each in rest)


@given(st.text(PRINTABLE, max_size=60), st.text(PRINTABLE, min_size=8, max_size=20))
def test_innocent_text_is_left_alone(text: str, secret: str) -> None:
    lowered = unquote_plus(text)
    assume(not any(letter in lowered for letter in set(secret) if not letter.isspace()))
    assume("+" not in text or " " not in secret)

    assert redact(text, [secret]) == text


@pytest.mark.parametrize(
    "text",
    [
        "https://api.test/items?page=2&state=open",
        '{"message": "not found", "documentation_url": "https:\\/\\/docs.test\\/rest"}',
        base64.b64encode(b"some other text that is not the one").decode(),
        "s3cr3t-t0k3",
        "3cr3t-t0k3n",
        "s3cr3t t0k3n",
    ],
)
def test_text_without_the_secret_is_as_it_was(text: str) -> None:
    assert redact(text, ["s3cr3t-t0k3n"]) == text


@pytest.mark.parametrize(
    "url", ["https://x.test/?q={}", "https://x.test/{}/y", "https://x.test/?{}", "https://x.test/#{}"]
)
@pytest.mark.parametrize("secret", [SECRET, "two words of it", "100%-sure-key"])
def test_a_url_that_carries_a_secret_is_known_by_any_encoding(secret: str, url: str) -> None:
    for spelling in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        escaped_in_json(secret),
        in_base64(f"user:{secret}"),
        quote(in_base64(f"user:{secret}"), safe=""),
        quote(escaped_in_json(secret), safe=""),
        quote(quote(secret, safe=""), safe=""),
    ):
        assert carries_secret(url.format(spelling), [secret]), spelling
    assert not carries_secret(url.format("innocent"), [secret])


def test_what_no_url_can_hold_is_redacted_all_the_same() -> None:
    assert redact_url("https://api.test/\udfff?a=\udfff&token=s3cr3t") == f"https://api.test/\udfff?a=%3F&token={MASK}"
