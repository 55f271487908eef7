"""Signed deliveries of public test suites, and whether they are good.

* `stripe-python`, tests/test_webhook.py (the verdicts of `TestWebhookSignature` and `TestWebhook`)
* `standard-webhooks`, libraries/javascript/src/webhook.test.ts and libraries/go/webhook_symmetric_test.go
* `svix-webhooks`, python/tests/test_webhooks.py: the same cases, with Svix's names of headers
* GitHub Docs, "Validating webhook deliveries", section "Testing the webhook payload validation"

Where a suite signs in the test itself, so does `tests/webhook/signing.py`, at the time of each case.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.webhook.signing import Headers, hexadecimal, standard, stripe


class Case(NamedTuple):
    """A delivery: its headers, when it comes, and whether it is good."""

    name: str
    headers: Mapping[str, str]
    is_good: bool
    now: float


NOW = 1_700_000_000
#: GitHub's documented vector.
GITHUB_SECRET, GITHUB_BODY = "It's a Secret to Everybody", b"Hello, World!"
GITHUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

STRIPE_SECRET, STRIPE_TOLERANCE = "whsec_test_secret", 10
STRIPE_BODY = b"""{
  "id": "evt_test_webhook",
  "object": "event",
  "data": { "object": { "id": "rdr_123", "object": "terminal.reader" } }
}"""
_STRIPE = stripe(STRIPE_BODY, STRIPE_SECRET, NOW)["stripe-signature"]
_OTHER_SCHEME = f"t={NOW},v0={hexadecimal(f'{NOW}.'.encode() + STRIPE_BODY, STRIPE_SECRET)}"


def _stripe(name: str, header: str, *, is_good: bool) -> Case:
    return Case(name, {"Stripe-Signature": header}, is_good, NOW)


STRIPE = [
    _stripe("raise_on_malformed_header", "i'm not even a real signature header", is_good=False),
    _stripe("raise_on_invalid_header", "bad_header", is_good=False),
    _stripe("raise_on_no_signatures_with_expected_scheme", _OTHER_SCHEME, is_good=False),
    _stripe("raise_on_no_valid_signatures_for_payload", f"t={NOW},v1=bad_signature", is_good=False),
    _stripe(
        "raise_on_timestamp_outside_tolerance",
        stripe(STRIPE_BODY, STRIPE_SECRET, NOW - 15)["stripe-signature"],
        is_good=False,
    ),
    _stripe("valid_header_and_signature", _STRIPE, is_good=True),
    _stripe("header_contains_valid_signature", f"{_STRIPE},v1=bad_signature", is_good=True),
]

STANDARD_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_ID, STANDARD_BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
_FIVE_MINUTES = 5 * 60
_WRONG = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


def standard_cases(prefix: str) -> list[Case]:
    """The cases whose headers begin with `prefix`: `webhook` of Standard Webhooks, `svix` of Svix."""
    whole = standard(STANDARD_BODY, STANDARD_ID, NOW, prefix=prefix)
    identity, timestamp, signature = f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature"
    several = f"v1,{_WRONG} v2,{_WRONG} {whole[signature]} v1,{_WRONG}"

    def changed(name: str, change: Callable[[Headers], object]) -> Case:
        headers = dict(whole)
        change(headers)
        return Case(name, headers, is_good=False, now=NOW)

    return [
        Case("valid signature is valid", whole, is_good=True, now=NOW),
        changed("missing id raises error", lambda headers: headers.pop(identity)),
        changed("missing timestamp raises error", lambda headers: headers.pop(timestamp)),
        changed("invalid timestamp throws error", lambda headers: headers.update({timestamp: "hello"})),
        changed("missing signature raises error", lambda headers: headers.pop(signature)),
        changed(
            "invalid signature throws error", lambda headers: headers.update({signature: "v1,dawfeoifkpqwoekfpqoekf"})
        ),
        changed("invalid signature is invalid", lambda headers: headers.update({signature: f"v1,{_WRONG}"})),
        changed("partial signature throws error", lambda headers: headers.update({signature: headers[signature][:8]})),
        changed("partial signature is invalid", lambda headers: headers.update({signature: "v1,"})),
        Case("old timestamp fails", whole, is_good=False, now=NOW + _FIVE_MINUTES + 1),
        Case("new timestamp fails", whole, is_good=False, now=NOW - _FIVE_MINUTES - 1),
        Case("multi sig payload is valid", {**whole, signature: several}, is_good=True, now=NOW),
        Case(  # the one signature that the suites write out
            "sign function works",
            {
                identity: STANDARD_ID,
                timestamp: "1614265330",
                signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            },
            is_good=True,
            now=1_614_265_330,
        ),
    ]
