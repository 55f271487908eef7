"""What public projects say of the answers of OAuth 2.0 token endpoints.

OAUTHLIB: oauthlib 4.0.1 on PyPI (BSD-3-Clause): tests/oauth2/rfc6749/test_parameters.py and, in
    tests/oauth2/rfc6749/clients, test_base.py, test_backend_application.py, test_legacy_application.py,
    test_service_application.py and test_web_application.py, named by test or attribute. Their clock stands at 1000;
    `theirs` counts from there.
OAUTHLIB_EXPIRES: test_parse_expires of the same test_parameters.py: the two members, and their `_expires_at` for a
    token of that answer. OAUTHLIB_TYPES: the types that test_base.py takes for bearer.
REQUESTS_OAUTHLIB: requests-oauthlib 2.0.0 on PyPI (ISC): tests/test_compliance_fixes.py and
    tests/test_oauth2_session.py. `theirs` is what they say once their fix for that provider has changed the answer.
DOCSTRINGS: examples of RFC 6749, 5.1 and RFC 6750, 4 as two packages on PyPI quote them: oauthlib 4.0.1 in
    oauthlib/oauth2/rfc6749/parameters.py, authlib 1.9.9 (BSD-3-Clause) in authlib/oauth2/rfc6750/token.py.
SOCIAL_AUTH: social-auth-core 7.0.0 on PyPI (BSD-3-Clause): access_token_body in
    social_core/tests/backends/test_<name>.py, or what is named beside it. Its tests say JSON of forms too.
SOCIAL_AUTH_ERRORS: social_core/tests/test_provider_errors.py of the same, written as JSON.
HTTPX_OAUTH: httpx-oauth 0.17.0 on PyPI (MIT): the files of these names in tests/mock, and tests/test_clients_github.py.
AUTHLIB: authlib 1.6.0 as Debian's source package python-authlib 1.6.0-1+deb13u1 has it (BSD-3-Clause):
    tests/clients/test_httpx/test_oauth2_client.py and tests/clients/test_requests/test_oauth2_session.py. Tokens that
    these two hand to a client are answers here; an expires_at that they compute is 4600.
GOLANG: golang.org/x/oauth2 0.36.0 as Debian's source package golang-golang-x-oauth2 0.36.0-3 has it (BSD-3-Clause):
    oauth2_test.go, deviceauth_test.go, clientcredentials/clientcredentials_test.go and internal/token_test.go.
OURS, and REFUSED_TYPES, REFUSED_TOKENS, UNTOLD_EXPIRES: our own, no one else's.

Where a source takes a token of the type "example" (it is RFC 6749's own word), ours is refused: RFC 6749, 7.1 has a
client use no type it does not understand. `test_oauth_tokens.py` reads these once more with the type "Bearer".
"""

from dataclasses import dataclass

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Issued:
    """A token: seconds it is good for, None where that is not told."""

    access_token: str
    lifetime: float | None = None
    refresh_token: str | None = None


@dataclass(frozen=True)
class Refused:
    """An error: its code, empty where the answer has none, and what of its description the message shows."""

    code: str = ""
    description: str = ""


@dataclass(frozen=True)
class Vector:
    """An answer and its outcome; `theirs` where the source says otherwise."""

    name: str
    body: str
    outcome: Issued | Refused
    status: int = 200
    media: str = JSON
    theirs: str = ""


RFC_TOKEN, RFC_REFRESH = "2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA"
EXAMPLE = "a token: the type is not understood here"

OAUTHLIB = (
    Vector(
        "json_response",
        '{ "access_token": "2YotnFZFEjr1zCsicMWpAA",  "token_type": "example",  "expires_in": 3600,'
        '  "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",  "example_parameter": "example_value",  "scope":"abc def"}',
        Refused(),
        theirs="expires_at 4600; a warning where other scopes were asked for",
    ),
    Vector(
        "json_response_noscope",
        '{ "access_token": "2YotnFZFEjr1zCsicMWpAA",  "token_type": "example",  "expires_in": 3600,'
        '  "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",  "example_parameter": "example_value" }',
        Refused(),
        theirs="expires_at 4600",
    ),
    Vector(
        "json_response_noexpire",
        '{ "access_token": "2YotnFZFEjr1zCsicMWpAA",  "token_type": "example",'
        '  "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",  "example_parameter": "example_value"}',
        Refused(),
        theirs="no expires_at",
    ),
    Vector(
        "json_response_expirenull",
        '{ "access_token": "2YotnFZFEjr1zCsicMWpAA",  "token_type": "example",  "expires_in": null,'
        '  "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",  "example_parameter": "example_value"}',
        Refused(),
        theirs="no expires_at",
    ),
    Vector("json_custom_error", '{ "error": "incorrect_client_credentials" }', Refused("incorrect_client_credentials")),
    Vector("json_error", '{ "error": "access_denied" }', Refused("access_denied")),
    Vector(
        "json_notoken",
        '{ "token_type": "example",  "expires_in": 3600,  "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",'
        '  "example_parameter": "example_value" }',
        Refused(),
    ),
    Vector(
        "json_notype",
        '{  "access_token": "2YotnFZFEjr1zCsicMWpAA",   "expires_in": 3600,'
        '   "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",   "example_parameter": "example_value" }',
        Issued(RFC_TOKEN, 3600, RFC_REFRESH),
        theirs="the same; MissingTokenTypeError with OAUTHLIB_STRICT_TOKEN_TYPE, which is not ours",
    ),
    Vector(
        "url_encoded_response",
        "access_token=2YotnFZFEjr1zCsicMWpAA&token_type=example&expires_in=3600&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA"
        "&example_parameter=example_value&scope=abc def",
        Refused(),
        media=FORM,
        theirs="expires_at 4600; a warning where other scopes were asked for",
    ),
    Vector("url_encoded_error", "error=access_denied", Refused("access_denied"), media=FORM),
    Vector(
        "url_encoded_notoken",
        "token_type=example&expires_in=3600&refresh_token=tGzv3JOkF0XG5Qx2TlKWIA&example_parameter=example_value",
        Refused(),
        media=FORM,
    ),
    Vector(
        "clients, token_json of the backend and the service application",
        '{   "access_token":"2YotnFZFEjr1zCsicMWpAA",    "token_type":"example",    "expires_in":3600,'
        '    "scope":"/profile",    "example_parameter":"example_value"}',
        Refused(),
        theirs="expires_at 4600; a Warning where the scope asked for was another",
    ),
    Vector(
        "clients, token_json of the legacy and the web application",
        '{   "access_token":"2YotnFZFEjr1zCsicMWpAA",    "token_type":"example",    "expires_in":3600,'
        '    "scope":"/profile",    "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA",    "example_parameter":"example_value"}',
        Refused(),
        theirs="expires_at 4600; a Warning where the scope asked for was another",
    ),
    *(
        Vector(
            f"test_parse_token_response_expires_at_types, {title}",
            '{  "access_token":"2YotnFZFEjr1zCsicMWpAA",    "token_type":"example",    "expires_at":'
            f'{expires_at},    "scope":"/profile",    "example_parameter":"example_value"}}',
            Refused(),
            theirs="expires_at as it is told: RFC 6749 has no such member",
        )
        for title, expires_at in (
            ("int", "1661185148"),
            ("float", "1661185148.6437678"),
            ("str", '"2006-01-02T15:04:05Z"'),
            ("str-as-int", '"1661185148"'),
            ("str-as-float", '"1661185148.42"'),
        )
    ),
)
OAUTHLIB_BEARER = {  # the same answers with the type "Bearer"; `theirs` above holds of them
    "json_response": Issued(RFC_TOKEN, 3600, RFC_REFRESH),
    "json_response_noscope": Issued(RFC_TOKEN, 3600, RFC_REFRESH),
    "json_response_noexpire": Issued(RFC_TOKEN, None, RFC_REFRESH),
    "json_response_expirenull": Issued(RFC_TOKEN, None, RFC_REFRESH),
    "json_notoken": Refused(),
    "url_encoded_response": Issued(RFC_TOKEN, 3600, RFC_REFRESH),
    "url_encoded_notoken": Refused(),
    "clients, token_json of the backend and the service application": Issued(RFC_TOKEN, 3600),
    "clients, token_json of the legacy and the web application": Issued(RFC_TOKEN, 3600, RFC_REFRESH),
    "test_parse_token_response_expires_at_types, int": Issued(RFC_TOKEN),
    "test_parse_token_response_expires_at_types, float": Issued(RFC_TOKEN),
    "test_parse_token_response_expires_at_types, str": Issued(RFC_TOKEN),
    "test_parse_token_response_expires_at_types, str-as-int": Issued(RFC_TOKEN),
    "test_parse_token_response_expires_at_types, str-as-float": Issued(RFC_TOKEN),
}

Expires = int | float | str | None
OAUTHLIB_EXPIRES: tuple[tuple[str, Expires, Expires, float | None, float | None], ...] = (
    # title, expires_in, expires_at, their _expires_at at 1000, our seconds: from expires_in, which is not rounded
    ("none", None, None, None, None),
    ("expires_in only", 3600, None, 4600, 3600),
    ("expires_in and expires_at", 3600, 200, 200, 3600),
    ("expires_in and expires_at float", 3600, 200.42, 200.42, 3600),
    ("expires_in and expires_at str-int", 3600, "200", 200, 3600),
    ("expires_in and expires_at str-float", 3600, "200.42", 200.42, 3600),
    ("expires_in float only", 3600.12, None, 4600, 3600.12),
    ("expires_in float and expires_at", 3600.12, 200, 200, 3600.12),
    ("expires_in float and expires_at float", 3600.12, 200.42, 200.42, 3600.12),
    ("expires_in float and expires_at str-int", 3600.12, "200", 200, 3600.12),
    ("expires_in float and expires_at str-float", 3600.12, "200.42", 200.42, 3600.12),
    ("expires_in str only", "3600", None, 4600, 3600),
    ("expires_in str and expires_at", "3600", 200, 200, 3600),
    ("expires_in str and expires_at float", "3600", 200.42, 200.42, 3600),
    ("expires_in str and expires_at str-int", "3600", "200", 200, 3600),
    ("expires_in str and expires_at str-float", "3600", "200.42", 200.42, 3600),
)
OAUTHLIB_TYPES = ("bEAreR", "Bearer")

REQUESTS_OAUTHLIB = (
    Vector("Facebook", "access_token=urlencoded", Issued("urlencoded"), media="text/plain"),
    Vector("Fitbit", '{"errors": [{"errorType": "invalid_grant"}]}', Refused(), theirs="invalid_grant"),
    Vector("Fitbit, a token", '{"access_token": "fitbit"}', Issued("fitbit")),
    Vector(
        "Fitbit, refreshed", '{"access_token": "access", "refresh_token": "refresh"}', Issued("access", None, "refresh")
    ),
    Vector(
        "MailChimp",
        '{"access_token": "mailchimp", "expires_in": 0, "scope": null}',
        Issued("mailchimp", 0),
        theirs="expires_in 3600: there 0 means never",
    ),
    Vector("Weibo", '{"access_token": "weibo"}', Issued("weibo")),
    Vector(
        "Slack",
        '{"access_token": "xoxt-23984754863-2348975623103", "scope": "read"}',
        Issued("xoxt-23984754863-2348975623103"),
    ),
    Vector(
        "plentymarkets",
        '{"accessToken": "ecUN1r8KhJewMCdLAmpHOdZ4O0ofXKB9zf6CXK61", "tokenType": "Bearer", "expiresIn": 86400,'
        ' "refreshToken": "iG2kBGIjcXaRE4xmTVUnv7xwxX7XMcWCHqJmFaSX"}',
        Refused(),
        theirs="a token, its members renamed",
    ),
    Vector(
        "eBay",
        '{"access_token": "this is the access token", "expires_in": 7200, "token_type": "Application Access Token"}',
        Refused(),
        theirs="a token, its type renamed to Bearer",
    ),
    Vector(
        "RefreshTokenRequestComplianceFixTest",
        '{"access_token": "this is the access token", "expires_in": 7200, "token_type": "Bearer"}',
        Refused(),
        theirs="a token: RFC 6749, A.12 allows a space, RFC 6750, 2.1 does not, and it would end the header's token",
    ),
    Vector(
        "OAuth2SessionTest",
        '{"token_type": "Bearer", "access_token": "asdfoiw37850234lkjsdfsdf", "refresh_token": "sldvafkjw34509s8dfsdf",'
        ' "expires_in": 3600, "expires_at": 4600}',
        Issued("asdfoiw37850234lkjsdfsdf", 3600, "sldvafkjw34509s8dfsdf"),
    ),
)

DOCSTRINGS = (
    Vector(
        "oauthlib, parse_token_response",
        """{
            "access_token":"2YotnFZFEjr1zCsicMWpAA",
            "token_type":"example",
            "expires_in":3600,
            "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA",
            "example_parameter":"example_value"
        }""",
        Refused(),
        theirs=EXAMPLE,
    ),
    Vector(
        "authlib, BearerTokenGenerator",
        """{
            "access_token":"mF_9.B5f-4.1JqM",
            "token_type":"Bearer",
            "expires_in":3600,
            "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"
        }""",
        Issued("mF_9.B5f-4.1JqM", 3600, RFC_REFRESH),
        media="application/json;charset=UTF-8",
    ),
)

SOCIAL_AUTH = (
    Vector(
        "arcgis",
        '{"access_token":'
        ' "CM-gcB85taGhRmoI7l3PSGaXUNsaLkTg-dHH7XtA9DnlinPYKBBrIvFzhd1JtDhh7hEwSv_6eLLcLtUqe3gD6i1yaYYFpUQJwy8KEuj'
        'ke5AE87tP9XIoMtp4_l320pUL", "expires_in": 86400}',
        Issued(
            "CM-gcB85taGhRmoI7l3PSGaXUNsaLkTg-dHH7XtA9DnlinPYKBBrIvFzhd1JtDhh7hEwSv_6eLLcLtUqe3gD6i1yaYYFpUQJwy8KEujke5AE87tP9XIoMtp4_l320pUL",
            86400,
        ),
    ),
    Vector(
        "bitbucket",
        '{"access_token": "foobar_access", "scopes": "foo_scope", "expires_in": 3600, "refresh_token":'
        ' "foobar_refresh", "token_type": "bearer"}',
        Issued("foobar_access", 3600, "foobar_refresh"),
    ),
    Vector(
        "box",
        '{"access_token": "T9cE5asGnuyYCCqIZFoWjFHvNbvVqHjl", "expires_in": 3600, "restricted_to": [],'
        ' "token_type": "bearer", "refresh_token":'
        ' "J7rxTiWOHMoSC1isKZKBZWizoRXjkQzig5C6jFgCVJ9bUnsUfGMinKBDLZWP9BgR"}',
        Issued(
            "T9cE5asGnuyYCCqIZFoWjFHvNbvVqHjl", 3600, "J7rxTiWOHMoSC1isKZKBZWizoRXjkQzig5C6jFgCVJ9bUnsUfGMinKBDLZWP9BgR"
        ),
    ),
    Vector(
        "cilogon",
        '{"access_token": "https://cilogon.org/oauth2/accessToken/sample-token123", "refresh_token":'
        ' "https://cilogon.org/oauth2/refreshToken/sample123/refresh-token123", "id_token":'
        ' "aBigStringOfRandomChars.123abc", "token_type": "Bearer", "expires_in": 900}',
        Issued(
            "https://cilogon.org/oauth2/accessToken/sample-token123",
            900,
            "https://cilogon.org/oauth2/refreshToken/sample123/refresh-token123",
        ),
    ),
    Vector(
        "chatwork",
        '{"access_token": "pyopyopyopyopyopyopyopyopyopyo", "token_type": "Bearer", "expires_in":'
        ' "1501138041000", "refresh_token": "pyopyopyopyopyopyo", "scope": "rooms.all:read_write"}',
        Issued("pyopyopyopyopyopyopyopyopyopyo", 1501138041000, "pyopyopyopyopyopyo"),
    ),
    Vector("deezer", "access_token=foobar&expires=0", Issued("foobar")),
    Vector(
        "digitalocean",
        '{"access_token": "547cac21118ae7", "token_type": "bearer", "expires_in": 2592000, "refresh_token":'
        ' "00a3aae641658d", "scope": "read write", "info": {"name": "Sammy Shark", "email":'
        ' "sammy@digitalocean.com"}}',
        Issued("547cac21118ae7", 2592000, "00a3aae641658d"),
    ),
    Vector(
        "evernote",
        "edam_webApiUrlPrefix=https%3A%2F%2Fwww.evernote.com%2Fshard%2Fs1%2F&edam_shard=s1&oauth_token=foobar&edam_expires=1395118279645&edam_userId=101010&edam_noteStoreUrl=https%3A%2F%2Fwww.evernote.com%2Fshard%2Fs1%2Fnotestore",
        Refused(),
        theirs="a token of OAuth 1",
    ),
    Vector(
        "facebook, access_token_body of FacebookOAuth2AuthCancelTest",
        '{"error": {"message": "redirect_uri isn\'t an absolute URI. Check RFC 3986.", "code": 191, "type":'
        ' "OAuthException", "fbtrace_id": "123Abc"}}',
        Refused(),
        status=400,
    ),
    Vector(
        "github",
        '{"access_token": "foobar", "token_type": "bearer", "expires_in": 28800, "refresh_token":'
        ' "foobar-refresh-token"}',
        Issued("foobar", 28800, "foobar-refresh-token"),
    ),
    Vector(
        "github, refresh_token_body",
        '{"access_token": "foobar-new-token", "token_type": "bearer", "expires_in": 28800, "refresh_token":'
        ' "foobar-new-refresh-token", "refresh_token_expires_in": 15897600, "scope": ""}',
        Issued("foobar-new-token", 28800, "foobar-new-refresh-token"),
    ),
    Vector(
        "github, bad_refresh_token",
        '{"error": "bad_refresh_token", "error_description": "The refresh token passed is incorrect or expired."}',
        Refused("bad_refresh_token", "The refresh token passed is incorrect or expired."),
    ),
    Vector(
        "hubspot",
        '{"access_token": "foobar", "refresh_token": "refresh", "expires_in": 1800}',
        Issued("foobar", 1800, "refresh"),
    ),
    Vector(
        "instagram",
        '{"access_token": "foobar", "token_type": "bearer", "meta": {"code": 200}, "user": {"username":'
        ' "foobar", "id": "101010101"}}',
        Issued("foobar"),
    ),
    Vector("kakao", '{"access_token": "foobar"}', Issued("foobar")),
    Vector(
        "microsoft",
        '{"access_token": "foobar", "token_type": "bearer", "id_token": "", "expires_in": 3600, "expires_on":'
        ' 1423650396, "not_before": 1423646496, "refresh_token": "foobar-refresh-token"}',
        Issued("foobar", 3600, "foobar-refresh-token"),
    ),
    Vector(
        "nationbuilder",
        '{"access_token": "foobar", "token_type": "bearer", "created_at": 1422937981, "expires_in": 2592000}',
        Issued("foobar", 2592000),
    ),
    Vector(
        "paypal",
        '{"token_type": "Bearer", "expires_in": 28800, "refresh_token": "foobar-refresh-token",'
        ' "access_token": "foobar-token"}',
        Issued("foobar-token", 28800, "foobar-refresh-token"),
    ),
    Vector(
        "paypal, refresh_token_body",
        '{"access_token": "foobar-new-token", "token_type": "Bearer", "refresh_token":'
        ' "foobar-new-refresh-token", "expires_in": 28800}',
        Issued("foobar-new-token", 28800, "foobar-new-refresh-token"),
    ),
    Vector("qiita", '{"token": "foobar", "token_type": "bearer"}', Refused(), theirs="a token, by the name of token"),
    Vector(
        "reddit",
        '{"name": "foobar", "created": 1203420772.0, "access_token": "foobar-token", "created_utc":'
        ' 1203420772.0, "expires_in": 3600.0, "link_karma": 34, "token_type": "bearer", "comment_karma": 167,'
        ' "over_18": true, "is_gold": false, "is_mod": true, "scope": "identity", "has_verified_email": false,'
        ' "id": "33bma", "refresh_token": "foobar-refresh-token"}',
        Issued("foobar-token", 3600, "foobar-refresh-token"),
    ),
    Vector(
        "reddit, refresh_token_body",
        '{"access_token": "foobar-new-token", "token_type": "bearer", "expires_in": 3600.0, "refresh_token":'
        ' "foobar-new-refresh-token", "scope": "identity"}',
        Issued("foobar-new-token", 3600, "foobar-new-refresh-token"),
    ),
    Vector("stackoverflow", "access_token=foobar&token_type=bearer", Issued("foobar")),
    Vector(
        "stripe",
        '{"stripe_publishable_key": "pk_test_foobar", "access_token": "foobar", "livemode": false,'
        ' "token_type": "bearer", "scope": "read_only", "refresh_token": "rt_foobar", "stripe_user_id":'
        ' "acct_foobar"}',
        Issued("foobar", None, "rt_foobar"),
    ),
    Vector(
        "twitter_oauth2",
        '{"token_type": "bearer", "expires_in": 7200, "access_token": "foobar", "scope": "users.read"}',
        Issued("foobar", 7200),
    ),
    Vector(
        "untappd",
        '{"meta": {"http_code": 200}, "response": {"access_token": "foobar"}}',
        Refused(),
        theirs="a token, one level down",
    ),
    Vector("weixin", '{"access_token": "access-token", "openid": "wechat-openid"}', Issued("access-token")),
    Vector(
        "xing",
        "access_token=foobar&token_type=bearer&user_id=123456_abcdef&oauth_token_secret=foobar-secret&oauth_token=foobar",
        Issued("foobar"),
    ),
    Vector(
        "zoom",
        '{"access_token": "foobar-token", "token_type": "bearer", "refresh_token": "foobar-refresh-token",'
        ' "expires_in": 3599, "scope": "identity"}',
        Issued("foobar-token", 3599, "foobar-refresh-token"),
    ),
)

SOCIAL_AUTH_ERRORS = (
    Vector(
        "test_structured_provider_code_overrides_generic_status, access_denied",
        '{"error": "access_denied", "error_description": "private-token"}',
        Refused("access_denied", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, invalid_request",
        '{"error": "invalid_request", "error_description": "private-token"}',
        Refused("invalid_request", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, invalid_client",
        '{"error": "invalid_client", "error_description": "private-token"}',
        Refused("invalid_client", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, invalid_grant",
        '{"error": "invalid_grant", "error_description": "private-token"}',
        Refused("invalid_grant", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, bad_verification_code",
        '{"error": "bad_verification_code", "error_description": "private-token"}',
        Refused("bad_verification_code", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, invalid_token",
        '{"error": "invalid_token", "error_description": "private-token"}',
        Refused("invalid_token", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector(
        "test_structured_provider_code_overrides_generic_status, unrecognized",
        '{"error": "unrecognized", "error_description": "private-token"}',
        Refused("unrecognized", "private-token"),
        status=400,
        theirs="the code alone: what a description says is shown here",
    ),
    Vector("test_http_status_does_not_establish_cancellation_or_expiry, 400", "[]", Refused(), status=400),
    Vector("test_http_status_does_not_establish_cancellation_or_expiry, 401", "[]", Refused(), status=401),
    Vector("test_http_status_does_not_establish_cancellation_or_expiry, 500", "[]", Refused(), status=500),
    Vector(
        "test_http_status_does_not_establish_cancellation_or_expiry, 403",
        '{"error_description": "access_denied expired token"}',
        Refused(),
        status=403,
    ),
    Vector(
        "test_http_status_does_not_establish_cancellation_or_expiry, 429",
        '{"error_description": "access_denied expired token"}',
        Refused(),
        status=429,
    ),
)

HTTPX_OAUTH = (
    Vector(
        "google_success_access_token",
        """{
    "access_token": "1/fFAGRNJru1FTz70BzhT3Zg",
    "expires_in": 3920,
    "token_type": "Bearer",
    "refresh_token": "1/xEoDL4iW3cxlI7yDbSRFYNG01kVKM2C-259HOF2aQbI"
}""",
        Issued("1/fFAGRNJru1FTz70BzhT3Zg", 3920, "1/xEoDL4iW3cxlI7yDbSRFYNG01kVKM2C-259HOF2aQbI"),
    ),
    Vector(
        "google_success_refresh_token",
        """{
    "access_token": "1/fFAGRNJru1FTz70BzhT3Zg",
    "expires_in": 3920,
    "token_type": "Bearer"
}""",
        Issued("1/fFAGRNJru1FTz70BzhT3Zg", 3920),
    ),
    Vector(
        "github_success_refresh_token",
        """{
    "access_token": "ghu_XXX",
    "expires_in": 28800,
    "refresh_token": "ghr_XXX",
    "refresh_token_expires_in": 15897600,
    "scope": "",
    "token_type": "bearer"
}""",
        Issued("ghu_XXX", 28800, "ghr_XXX"),
    ),
    Vector(
        "facebook_success_long_lived_access_token",
        """{
    "access_token": "{long-lived-user-access-token}",
    "token_type": "bearer",
    "expires_in": 5183944
}""",
        Issued("{long-lived-user-access-token}", 5183944),
    ),
    Vector(
        "error",
        """{
    "error": "invalid_request"
}""",
        Refused("invalid_request"),
        status=400,
    ),
    Vector(
        "test_refresh_token_200_error",
        '{"error": "bad_refresh_token", "error_description": "The refresh token passed is incorrect or'
        ' expired.", "error_uri": "https://docs.github.com"}',
        Refused("bad_refresh_token", "The refresh token passed is incorrect or expired."),
    ),
    Vector("test_refresh_token_json_error", "NOT JSON", Refused(), media="text/plain"),
)

AUTHLIB = (
    Vector(
        "default_token",
        '{"token_type": "Bearer", "access_token": "a", "refresh_token": "b", "expires_in": "3600", "expires_at": 4600}',
        Issued("a", 3600, "b"),
    ),
    Vector("test_fetch_token_post", '{"error": "invalid_request"}', Refused("invalid_request")),
    Vector(
        "test_invalid_token_type",
        '{"token_type": "invalid", "access_token": "a", "refresh_token": "b", "expires_in": "3600",'
        ' "expires_at": 4600}',
        Refused(),
    ),
    Vector(
        "test_token_status2",
        '{"access_token": "a", "token_type": "bearer", "expires_in": 10}',
        Issued("a", 10),
    ),
)

HEX = "90d64460d14870c08c81352a05dedd3465940a7c"
GOLANG = (
    Vector("TestExchangeRequest", f"access_token={HEX}&scope=user&token_type=bearer", Issued(HEX), media=FORM),
    Vector("TestTokenRequest", f"access_token={HEX}&token_type=bearer", Issued(HEX), media=FORM),
    Vector(
        "TestExchangeRequest_JSONResponse",
        f'{{"access_token": "{HEX}", "scope": "user", "token_type": "bearer", "expires_in": 86400}}',
        Issued(HEX, 86400),
    ),
    Vector(
        "JSONResponse_Expiry, normal",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": 86400}',
        Issued("90d", 86400),
    ),
    Vector(
        "JSONResponse_Expiry, paypal",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": "86400"}',
        Issued("90d", 86400),
    ),
    Vector(
        "JSONResponse_Expiry, issue_239",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": null}',
        Issued("90d"),
    ),
    Vector(
        "JSONResponse_Expiry, wrong_type",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": false}',
        Issued("90d"),
        theirs="an error: here a lifetime that cannot be read is not told",
    ),
    Vector(
        "JSONResponse_Expiry, wrong_type2",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": {}}',
        Issued("90d"),
        theirs="an error, likewise",
    ),
    Vector(
        "JSONResponse_Expiry, wrong_value",
        '{"access_token": "90d", "scope": "user", "token_type": "bearer", "expires_in": "zzz"}',
        Issued("90d"),
        theirs="an error, likewise",
    ),
    Vector("TestExchangeRequest_BadResponse", '{"scope": "user", "token_type": "bearer"}', Refused()),
    Vector(
        "TestExchangeRequest_BadResponseType",
        '{"access_token":123,  "scope": "user", "token_type": "bearer"}',
        Refused(),
    ),
    Vector(
        "TestTokenRefreshRequest",
        '{"access_token": "foo", "refresh_token": "bar"}',
        Issued("foo", None, "bar"),
    ),
    Vector("TestTokenRetrieveError", '{"error": "invalid_grant"}', Refused("invalid_grant"), status=400),
    Vector("TestTokenRetrieveError200", '{"error": "invalid_grant"}', Refused("invalid_grant")),
    Vector(
        "TestRefreshToken_RefreshTokenReplacement",
        '{"access_token":"ACCESS_TOKEN",  "scope": "user", "token_type": "bearer", "refresh_token":'
        ' "NEW_REFRESH_TOKEN"}',
        Issued("ACCESS_TOKEN", None, "NEW_REFRESH_TOKEN"),
    ),
    Vector(
        "TestRefreshToken_RefreshTokenPreservation",
        '{"access_token":"ACCESS_TOKEN",  "scope": "user", "token_type": "bearer"}',
        Issued("ACCESS_TOKEN"),
        theirs="the refresh token that was sent: the answer has none",
    ),
    Vector(
        "TestRetrieveToken_InParams",
        '{"access_token": "ACCESS_TOKEN", "token_type": "bearer"}',
        Issued("ACCESS_TOKEN"),
    ),
    Vector(
        "TestExpiresInUpperBound",
        '{"access_token": "90d", "expires_in": 2147483648}',
        Issued("90d", 2_147_483_648),
        theirs="2147483647: their lifetimes have 31 bits; the answer around the number is ours",
    ),
    Vector(
        "TestDeviceAuthTokenRetrieveError, UrlEncoding",
        "error=invalid_grant&error_description=sometext",
        Refused("invalid_grant", "sometext"),
        status=400,
        media=FORM,
    ),
    Vector(
        "TestDeviceAuthTokenRetrieveError, JSON",
        '{"error": "invalid_grant", "error_description": "sometext"}',
        Refused("invalid_grant", "sometext"),
        status=400,
    ),
)

OURS = (
    Vector(
        "401",
        '{"error": "invalid_client", "error_description": "Unknown client"}',
        Refused("invalid_client", "Unknown client"),
        status=401,
    ),
    Vector(
        "an error with a charset",
        '{ "error" : "invalid_scope" }',
        Refused("invalid_scope"),
        400,
        f"{JSON};charset=UTF-8",
    ),
    Vector(
        "an error with status 200",
        '{"error": "expired_code", "error_description": "Ask again.", "error_uri": "https://api.test/expired"}',
        Refused("expired_code", "Ask again."),
    ),
    Vector(
        "a token of proof",
        '{"access_token": "k.Z~9", "token_type": "DPoP", "expires_in": 90, "refresh_token": "r.Z~9"}',
        Refused(),
    ),
    Vector(
        "a form with scopes", "access_token=tok_7&scope=read%2Cwrite&token_type=bearer", Issued("tok_7"), media=FORM
    ),
    Vector("JSON with scopes", '{"access_token": "tok_7", "scope": "read,write"}', Issued("tok_7")),
    Vector(
        "XML",
        "<answer><token_type>bearer</token_type><access_token>tok_7</access_token></answer>",
        Refused(),
        media="application/xml",
    ),
    Vector("an end that is a date", '{"access_token": "t", "expires_at": "2031-05-06T07:08:09Z"}', Issued("t")),
    Vector(
        "an end that is a date, and a lifetime",
        '{"access_token": "t", "expires_in": 90, "expires_at": "2031-05-06T07:08:09Z"}',
        Issued("t", 90),
    ),
    Vector("a long lifetime of text", '{"access_token": "t", "expires_in": "4294967296"}', Issued("t", 4_294_967_296)),
    Vector("401 without a body", "", Refused(), status=401),
    Vector("an empty body", "", Refused()),
    Vector("an empty form", "", Refused(), media=FORM),
    Vector("HTML", "<!doctype html><title>Sign in</title>", Refused(), media="text/html"),
    Vector("HTML of a gateway", "<html><h1>502 Bad Gateway</h1></html>", Refused(), status=502, media="text/html"),
    Vector(
        "a link in HTML",
        '<html><a href="/next?a=1&access_token=abcdef&b=2">Next</a></html>',
        Refused(),
        media="text/html; charset=utf-8",
    ),
    Vector("plain text", "Too many requests", Refused(), media="text/plain"),
    Vector("a token with an error beside it", '{"access_token": "t", "error": "slow_down"}', Refused("slow_down")),
    Vector("a form with an error beside a token", "access_token=t&error=slow_down", Refused("slow_down"), media=FORM),
    Vector("a token with status 400", '{"access_token": "t", "token_type": "Bearer"}', Refused(), status=400),
    Vector("a form said to be JSON", "access_token=t&expires_in=60", Issued("t", 60)),
    Vector("a form with escapes", "access_token=a%2Bb%2Fc%3D&expires_in=60", Issued("a+b/c=", 60), media=FORM),
    Vector("a form with its space written as +", "access_token=a+b", Refused(), media=FORM),
    Vector("a form with a charset", "access_token=t", Issued("t"), media=f"{FORM}; charset=utf-8"),
    Vector("no content type", '{"access_token": "t"}', Issued("t"), media=""),
    Vector("a list", '[{"access_token": "t"}]', Refused()),
    Vector("a list of nothing", "[]", Refused()),
    Vector("a string", '"access_token=t"', Refused()),
    Vector("a number", "42", Refused()),
    Vector("null", "null", Refused()),
    Vector("a token one level down", '{"data": {"access_token": "t"}}', Refused()),
    Vector("JSON cut off", '{"access_token": "t", "expires_', Refused()),
    Vector("no refresh token", '{"access_token": "t", "refresh_token": null}', Issued("t")),
    Vector("a part of a second", '{"access_token": "t", "expires_in": "0.5"}', Issued("t", 0.5)),
    Vector("a form good for no time", "access_token=t&expires_in=0", Issued("t", 0), media=FORM),
    Vector("a form good for longer", "access_token=t&expires_in=7261.5", Issued("t", 7261.5), media=FORM),
)
REFUSED_TYPES = ("mac", "MAC", "DPoP", "N_A", "example", "Bearer2", "bearer bearer", "SharedKey")
REFUSED_TOKENS = (
    '""',
    '" "',
    '"a b"',
    '" a"',
    '"a\\n"',
    '"a\\u0000b"',
    '"a\\u007f"',
    "null",
    "123",
    "true",
    "[]",
    "{}",
)
UNTOLD_EXPIRES = (
    "-1",
    "-3600",
    "-0.5",
    '"-1"',
    '""',
    '" "',
    '"soon"',
    '"nan"',
    '"inf"',
    '"1e999"',
    "true",
    "[60]",
    "{}",
)
