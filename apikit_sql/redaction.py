"""No secret leaves in a URL, a log line or an error."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

#: What stands where a secret stood.
MASK = "***REDACTED***"

#: Query parameters whose values are credentials, compared without case, `-` and `_`.
SECRET_PARAMS = frozenset(
    {
        "accesstoken", "apikey", "apitoken", "appkey", "auth", "authorization", "authtoken", "bearertoken",
        "clientsecret", "credential", "jwt", "key", "password", "passwd", "privatetoken", "pwd", "refreshtoken",
        "secret", "sessionid", "sig", "signature", "token", "xamzcredential", "xamzsecuritytoken", "xamzsignature",
        "xapikey",
    }
)  # fmt: skip

#: Headers that carry credentials: SQL may not set them, and no log shows them.
SECRET_HEADERS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey",
        "x-auth-token", "x-access-token", "x-csrf-token", "x-amz-security-token", "private-token",
        "x-shopify-access-token", "x-goog-api-key", "x-functions-key", "ocp-apim-subscription-key",
    }
)  # fmt: skip

_SHORTEST_SECRET = 4  # a shorter value stands in too much innocent text to be masked by value


def is_secret_param(name: str) -> bool:
    """Whether a query parameter of this name carries a credential."""
    return name.lower().replace("-", "").replace("_", "") in SECRET_PARAMS


def is_secret_header(name: str) -> bool:
    """Whether a header of this name carries a credential."""
    lowered = name.lower()
    return lowered in SECRET_HEADERS or lowered.endswith(("-token", "-api-key", "-secret", "-signature"))


def redact_url(url: str, secrets: Iterable[str] = ()) -> str:
    """`url` without its credentials: user info, the values of secret parameters, and `secrets` wherever they stand."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(is_secret_param(name) for name, _ in pairs):
        masked = [(name, MASK if is_secret_param(name) else value) for name, value in pairs]
        parts = parts._replace(query=urlencode(masked, quote_via=quote, safe="*"))
    return redact(urlunsplit(parts._replace(netloc=netloc)), secrets)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of `secrets` masked, also where it stands percent-encoded."""
    for secret in sorted((s for s in secrets if len(s) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, MASK).replace(quote(secret, safe=""), MASK)
    return text
