"""Our validators give each delivery of public test suites the verdict that is written there."""

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
from tests.vectors import webhooks as public
from tests.vectors.webhooks import Case


def is_good(validator: Validator, body: bytes, case: Case) -> bool:
    try:
        validator.validate(body, case.headers)
    except WebhookSignatureError:
        return False
    return True


@pytest.mark.parametrize("case", public.STRIPE, ids=lambda case: case.name)
def test_stripes_cases(case: Case) -> None:
    validator = StripeWebhookValidator(public.STRIPE_SECRET, public.STRIPE_TOLERANCE, clock=lambda: case.now)

    assert is_good(validator, public.STRIPE_BODY, case) == case.is_good


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
@pytest.mark.parametrize("secret", [public.STANDARD_SECRET, f"whsec_{public.STANDARD_SECRET}"])
@pytest.mark.parametrize("number", range(len(public.standard_cases("webhook"))))
def test_the_cases_of_standard_webhooks_and_svix(prefix: str, secret: str, number: int) -> None:
    case = public.standard_cases(prefix)[number]
    validator = StandardWebhookValidator(secret, clock=lambda: case.now)

    assert is_good(validator, public.STANDARD_BODY, case) == case.is_good, case.name


def test_an_empty_key_of_standard_webhooks_is_an_error() -> None:
    with pytest.raises(ConfigError, match="empty"):
        StandardWebhookValidator("")


def test_githubs_documented_vector() -> None:
    headers = {"X-Hub-Signature-256": public.GITHUB_SIGNATURE}

    for validator in (
        GitHubWebhookValidator(public.GITHUB_SECRET),
        GenericHmacValidator(public.GITHUB_SECRET, "X-Hub-Signature-256", "sha256="),
    ):
        assert validator.validate(public.GITHUB_BODY, headers) == "verified"
        with pytest.raises(WebhookSignatureError, match="does not match"):
            validator.validate(public.GITHUB_BODY + b"?", headers)
