"""No secret leaves in a URL, a log line or an error."""

import base64
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

#: What stands where a secret stood.
MASK = "***REDACTED***"

#: Query parameters whose values are credentials, compared without case, `-` and `_`.
SECRET_PARAMS = frozenset(
    {
        "accesstoken", "apikey", "apitoken", "appkey", "auth", "authorization", "authtoken", "bearertoken",
        "clientsecret", "credential", "jwt", "key", "password", "passwd", "privatetoken", "pwd", "refreshtoken",
        "secret", "sessionid", "sig", "signature", "token", "xamzcredential", "xamzsecuritytoken", "xamzsignature",
        "xapikey", "accesskey", "hapikey", "idtoken", "sessiontoken", "subscriptionkey", "xgoogsignature",
    }
)  # fmt: skip

#: Headers that carry credentials: SQL may not set them, and no log shows them.
SECRET_HEADERS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey",
        "x-auth-token", "x-access-token", "x-csrf-token", "x-amz-security-token", "private-token",
        "x-shopify-access-token", "x-goog-api-key", "x-functions-key", "ocp-apim-subscription-key", "x-auth-key",
        "x-auth", "x-password", "x-webhook-key", "authentication", "cf-access-jwt-assertion",
    }
)  # fmt: skip

_SECRET_ENDINGS = ("-token", "-key", "-auth", "-secret", "-signature")
_INNOCENT_HEADERS = frozenset({"idempotency-key", "x-idempotency-key", "x-event-key"})  # the last is Bitbucket's event

_MOST_TIMES_ENCODED = 4
_SHORTEST_IN_BASE64 = 6  # bytes; of fewer, too few characters are left that it alone decides
_LONG = 8  # characters; what is shorter in a header is rather a word or a setting than a secret
_SHORTEST_SECRET = 4  # a shorter value stands in too much innocent text to be masked by value


def is_secret_param(name: str) -> bool:
    """Whether a query parameter of this name carries a credential."""
    return name.lower().replace("-", "").replace("_", "") in SECRET_PARAMS


def is_masked_param(name: str) -> bool:
    """Whether the value of a query parameter of this name is masked: a credential's, or one of `APIKIT_REDACT`."""
    return is_secret_param(name) or name.lower() in _also_masked(os.environ.get("APIKIT_REDACT", ""))


@functools.cache
def _also_masked(names: str) -> frozenset[str]:
    """The names, separated by commas, in lower case."""
    return frozenset(name.strip().lower() for name in names.split(",")) - {""}


def is_secret_header(name: str) -> bool:
    """Whether a header of this name carries a credential."""
    lowered = name.lower()
    return lowered in SECRET_HEADERS or (lowered.endswith(_SECRET_ENDINGS) and lowered not in _INNOCENT_HEADERS)


def header_secrets(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What no text may show of `headers`: the values of those that carry credentials, and what these are made of."""
    found: list[str] = []
    for name, value in headers:
        if is_secret_header(name):
            scheme, _, behind = value.partition(" ")
            found += [value, behind.strip(), *(each.partition("=")[2].strip() for each in value.split(";"))]
            found += _basic_pair(behind) if scheme.lower() == "basic" else ()
    return tuple(each for each in found if len(each) >= _LONG)


def _basic_pair(text: str) -> tuple[str, ...]:
    """`user:password`, and the password, of what stands behind `Basic`; nothing where it is something else."""
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ()
    return (pair, pair.partition(":")[2])


def masked_values(values: Mapping[str, Any], is_secret: Callable[[str], bool]) -> dict[str, Any]:
    """`values` with a mask for each whose name says that it carries a credential."""
    return {name: MASK if is_secret(name) else value for name, value in values.items()}


def redact_url(url: str, secrets: Iterable[str] = (), *, also_masked: bool = True) -> str:
    """`url` without its credentials: user info, the values of secret parameters, and `secrets` wherever they stand.

    Without `also_masked`, what `APIKIT_REDACT` names stays.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return redact(url, secrets)
    parts = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        query=_masked(parts.query, is_masked_param if also_masked else is_secret_param),
        fragment=_masked(parts.fragment, is_masked_param if also_masked else is_secret_param),
    )
    return redact(urlunsplit(parts), secrets)


def _masked(query: str, is_masked: Callable[[str], bool]) -> str:
    """`query` with the values of such parameters masked, else as it was written."""
    pairs = parse_qsl(query, keep_blank_values=True) if query else []
    if not any(is_masked(name) for name, _ in pairs):
        return query
    masked = [(name, MASK if is_masked(name) else value) for name, value in pairs]
    return urlencode(masked, quote_via=quote, safe="*", errors="replace")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of `secrets` masked: as it is, percent-encoded or JSON-escaped (also in part), or in Base64."""
    for secret in sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = _written(secret).sub(MASK, text)
    return text


@functools.lru_cache(maxsize=256)
def _written(secret: str) -> re.Pattern[str]:
    """Every way in which a text may write `secret`."""
    ways = ["".join(_character(character) for character in secret), *_in_base64(secret)]
    return re.compile("|".join(ways), re.IGNORECASE)  # a host's name is written small


def _character(character: str) -> str:
    """A character itself, percent-encoded, as JSON escapes it, or `+` for a space."""
    encoded = "".join(f"%{byte:02x}" for byte in character.encode(errors="replace"))
    units = character.encode("utf-16-be", errors="replace")
    escaped = "".join(rf"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    short = {" ": "+", "/": r"\/"}.get(character, json.dumps(character)[1:-1])
    ways = [re.escape(character), encoded, escaped]
    ways += [re.escape(short)] if short != character and "u" not in short else []  # two ways alike take for ever
    return f"(?:{'|'.join(ways)})"


def _in_base64(secret: str) -> Iterator[str]:
    """What Base64 makes of `secret`, wherever it begins within three bytes: the characters that it alone decides."""
    data = secret.encode(errors="replace")
    if len(data) < _SHORTEST_IN_BASE64:
        return
    for before, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        decided = text[first : (before + len(data)) * 8 // 6]
        yield re.escape(decided).replace(r"\+", "[+-]").replace("/", "[/_]")


def carries_secret(url: str, secrets: Iterable[str]) -> bool:
    """Whether one of `secrets` stands in `url`, however it is written, also where that was percent-encoded again."""
    for _ in range(_MOST_TIMES_ENCODED):
        if redact(url, secrets) != url:
            return True
        url = unquote(url)
    return False
