"""What a validator refuses to be made of, and what it says of a delivery."""

import base64
import contextlib
import hmac
from collections.abc import Callable
from functools import partial

import pytest

from apikit_sql import (
    ConfigError,
    GenericHmacValidator,
    GitHubWebhookValidator,
    StandardWebhookValidator,
    StripeWebhookValidator,
    WebhookSignatureError,
)
from apikit_sql.webhook.signature import Validator
from tests.webhook.signing import KEY, SECRET, github, hexadecimal, standard, stripe

BODY = b'{"id": "evt_1"}'
KINDS = [StripeWebhookValidator, StandardWebhookValidator, GitHubWebhookValidator, GenericHmacValidator]
NOW = 1_700_000_000


def reason(validator: Validator, headers: dict[str, str], body: bytes = BODY) -> str:
    with pytest.raises(WebhookSignatureError) as caught:
        validator.validate(body, headers)
    assert caught.value.reason in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("secret", ["", "  \n", [], [SECRET, ""], "env:WEBHOOK_NOT_THERE"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_validator_without_a_secret_cannot_be_made(kind: type[Validator], secret: str) -> None:
    with pytest.raises(ConfigError, match=r"secret is empty|nothing is stored at env:WEBHOOK_NOT_THERE"):
        kind(secret)  # type: ignore[call-arg]


def test_a_secret_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)

    assert StripeWebhookValidator("env:WEBHOOK_SECRET").validate(BODY, stripe(BODY)) == "verified"


def test_a_secret_of_standard_webhooks_is_base64() -> None:
    with pytest.raises(ConfigError, match="Base64") as caught:
        StandardWebhookValidator("whsec_no base64 at all!")

    assert "at all" not in str(caught.value)


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), float("inf"), True, "300"])
def test_a_tolerance_is_a_number_of_seconds(tolerance: float) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        StripeWebhookValidator(SECRET, tolerance)


def test_while_a_secret_is_rotated_both_are_good_and_the_verdict_tells_which() -> None:
    old, new = SECRET, "whsec_bmV3IHNlY3JldCBvZiAyMCBieXRlcw=="
    validators: list[tuple[Validator, dict[str, str], dict[str, str]]] = [
        (StripeWebhookValidator([old, new]), stripe(BODY, old), stripe(BODY, new)),
        (
            StandardWebhookValidator([old, new]),
            standard(BODY, "m", key=KEY),
            standard(BODY, "m", key=b"new secret of 20 bytes"),
        ),
    ]
    for validator, by_old, by_new in validators:
        assert validator.validate(BODY, by_old) == "verified by secret 1"
        assert validator.validate(BODY, by_new) == "verified by secret 2"


@pytest.mark.parametrize("size", [1, 23, 24, 25, 32, 64])
@pytest.mark.parametrize("padding", ["", "="])
def test_a_key_of_any_length_is_good_with_and_without_its_padding(size: int, padding: str) -> None:
    key = bytes(range(size))
    text = base64.b64encode(key).decode()
    validator = StandardWebhookValidator("whsec_" + (text if padding else text.rstrip("=")), clock=lambda: NOW)

    assert validator.validate(BODY, standard(BODY, "msg_1", NOW, key)) == "verified"


@pytest.mark.parametrize(
    ("kind", "signed"),
    [
        (StripeWebhookValidator, stripe),
        (StandardWebhookValidator, partial(standard, name="1")),
        (GitHubWebhookValidator, partial(github, name="1", event="push")),
        (GenericHmacValidator, lambda body: {"x-signature": hexadecimal(body)}),
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "whsec_b3RoZXI="])
def test_signatures_are_compared_in_constant_time(
    kind: Callable[[str], Validator],
    signed: Callable[[bytes], dict[str, str]],
    secret: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[bool] = []
    compare = hmac.compare_digest

    def recorded(one: bytes, other: bytes) -> bool:
        compared.append(compare(one, other))
        return compared[-1]

    monkeypatch.setattr(hmac, "compare_digest", recorded)
    with contextlib.suppress(WebhookSignatureError):
        kind(secret).validate(BODY, signed(BODY))

    assert compared == [secret == SECRET]


def test_stripes_clock_may_be_ahead_but_no_delivery_old() -> None:
    validator = StripeWebhookValidator(SECRET, clock=lambda: NOW)

    assert validator.validate(BODY, stripe(BODY, moment=NOW + 10_000)) == "verified"
    assert validator.validate(BODY, stripe(BODY, moment=NOW - 300)) == "verified"
    assert reason(validator, stripe(BODY, moment=NOW - 301)) == "the timestamp is too old"


def test_names_of_headers_have_no_case() -> None:
    headers = {name.title(): value for name, value in stripe(BODY).items()}

    assert StripeWebhookValidator(SECRET).validate(BODY, headers) == "verified"


@pytest.mark.parametrize("written", [hexadecimal, lambda body: hexadecimal(body).upper()])
@pytest.mark.parametrize("prefix", ["", "v0=", "sha256="])
def test_any_hmac_may_be_in_hex(prefix: str, written: object) -> None:
    assert callable(written)
    validator = GenericHmacValidator(SECRET, "X-Acme", prefix)

    assert validator.validate(BODY, {"x-acme": prefix + written(BODY)}) == "verified"


def test_any_hmac_may_be_in_base64_as_shopify_writes_it() -> None:
    validator = GenericHmacValidator(SECRET, "X-Shopify-Hmac-Sha256")
    signature = base64.b64encode(bytes.fromhex(hexadecimal(BODY))).decode()

    assert validator.validate(BODY, {"X-Shopify-Hmac-Sha256": signature}) == "verified"


@pytest.mark.parametrize("signature", ["", "x", "é" * 64, "g" * 64, "0" * 63, "0" * 65, "=" * 44, "sha256="])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert reason(GenericHmacValidator(SECRET), {"X-Signature": signature}) in {
        "the header X-Signature is missing",
        "X-Signature does not match",
    }


def test_a_signature_without_its_prefix_is_refused() -> None:
    headers = {"X-Hub-Signature-256": hexadecimal(BODY)}

    assert reason(GitHubWebhookValidator(SECRET), headers) == "X-Hub-Signature-256 does not begin with sha256="


def test_githubs_sha1_is_not_enough() -> None:
    headers = {"X-Hub-Signature": "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6"}

    assert reason(GitHubWebhookValidator(SECRET), headers) == "the header X-Hub-Signature-256 is missing"


def test_a_header_without_a_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match="header_name"):
        GenericHmacValidator(SECRET, "")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_no_text_is_refused(name: str) -> None:
    headers = standard(BODY, "msg_1", moment=NOW)

    reason(StandardWebhookValidator(SECRET, clock=lambda: NOW), headers | {name: headers[name] + "\udfff"})
