"""10,000 mutated deliveries get the verdict of each provider's own package: `stripe`, `standardwebhooks`, `svix`."""

import base64
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
import standardwebhooks
import stripe
import svix.webhooks

from apikit_sql import StandardWebhookValidator, StripeWebhookValidator, WebhookSignatureError
from apikit_sql.webhook.signature import Validator
from tests.webhook import signing
from tests.webhook.signing import SECRET, Headers

Mutation = Callable[[random.Random, str], str]
Judge = Callable[[str, Headers], object]
EACH = 3_400  # of three packages
BODY = '{"id": "evt_1", "type": "x", "n": 1.50, "text": "Grüße"}'
PIECES = [
    "v1",
    "v0",
    "v2",
    "t=",
    "=",
    ",",
    " ",
    "  ",
    ", ",
    "+",
    "-",
    ".",
    "_",
    "0",
    "1e9",
    "nan",
    "inf",
    "v1,",
    "==",
    "é",
    "a",
]


def spliced(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(PIECES) + text[at:]


def cut(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + text[at + chance.randrange(1, 9) :]


def flipped(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text)) if text else 0
    return text[:at] + chance.choice("0aAfz=,. ") + text[at + 1 :]


def swapped(chance: random.Random, text: str) -> str:
    separator = chance.choice([",", " ", "="])
    parts = text.split(separator)
    chance.shuffle(parts)
    return separator.join(parts)


def doubled(chance: random.Random, text: str) -> str:
    return text + chance.choice([",", " ", ""]) + text


def cased(chance: random.Random, text: str) -> str:
    return text.upper() if chance.random() < 0.5 else text.lower()


MUTATIONS: list[Mutation] = [spliced, cut, flipped, swapped, doubled, cased]


def mutated(chance: random.Random, body: str, headers: Headers) -> tuple[str, Headers]:
    """The delivery with up to three changes, most of them to its headers."""
    headers = dict(headers)
    for _ in range(chance.randrange(4)):
        name, change = chance.choice([*headers, *headers, "body"]), chance.choice(MUTATIONS)
        if name == "body":
            body = change(chance, body)
        elif chance.random() < 0.05:
            headers[name] = ""
        else:
            headers[name] = change(chance, headers[name])
    return body, headers


def accepts(judge: Judge, body: str, headers: Headers) -> bool:
    """Whether it is taken: these packages raise all kinds of errors."""
    try:
        judge(body, headers)
    except Exception:  # noqa: BLE001
        return False
    return True


def ours(validator: Validator, body: str, headers: Headers) -> bool:
    try:
        validator.validate(body.encode(), headers)
    except WebhookSignatureError:
        return False
    return True


def of_stripe(body: str, headers: Headers) -> object:
    return stripe.WebhookSignature.verify_header(body, headers["stripe-signature"], SECRET, 300)


def of_standard(body: str, headers: Headers) -> object:
    return standardwebhooks.Webhook(SECRET).verify(body, headers, json_parse=False)


def of_svix(body: str, headers: Headers) -> None:
    svix.webhooks.Webhook(SECRET).verify(body, headers)


def stripe_headers(chance: random.Random) -> Headers:
    header = signing.stripe(BODY.encode(), moment=moment(chance))["stripe-signature"]
    extra = chance.choice(["", "", ",v0=abc", ",v1=" + "0" * 64])
    return {"stripe-signature": header + extra if chance.random() < 0.5 else swapped(chance, header + extra)}


def standard_headers(prefix: str) -> Callable[[random.Random], Headers]:
    def headers(chance: random.Random) -> Headers:
        found = signing.standard(BODY.encode(), "msg_1", moment(chance), prefix=prefix)
        wrong = f"v1,{base64.b64encode(chance.randbytes(32)).decode()}"
        signatures = [found[f"{prefix}-signature"], *[wrong] * chance.randrange(3), *["v1a,abc="] * chance.randrange(2)]
        chance.shuffle(signatures)
        return found | {f"{prefix}-signature": " ".join(signatures)}

    return headers


def moment(chance: random.Random) -> int:
    """Seconds since the epoch; some are too long ago, or too far ahead."""
    return int(time.time()) + chance.choice([0, 0, 0, 0, -290, 290, -310, 310, -100_000, 100_000])


PACKAGES: dict[str, tuple[Callable[[random.Random], Headers], Validator, Judge]] = {
    "stripe": (stripe_headers, StripeWebhookValidator(SECRET), of_stripe),
    "standardwebhooks": (standard_headers("webhook"), StandardWebhookValidator(SECRET), of_standard),
    "svix": (standard_headers("svix"), StandardWebhookValidator(SECRET), of_svix),
}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_mutated_delivery_gets_the_verdict_of_the_providers_package(package: str) -> None:
    headers_of, validator, judge = PACKAGES[package]
    chance, verdicts = random.Random(package), Counter[bool]()

    for _ in range(EACH):
        body, headers = mutated(chance, BODY, headers_of(chance))
        verdict = ours(validator, body, headers)
        assert verdict == accepts(judge, body, headers), (body, headers)
        verdicts[verdict] += 1

    assert min(verdicts[True], verdicts[False]) > EACH / 10  # neither verdict is the rule
