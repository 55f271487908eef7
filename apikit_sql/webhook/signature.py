"""Whether a delivery comes from who it says: its signature, over the raw bytes of its body, compared in constant time.

Each validator gives the same verdict as the provider's own Python package, which `tests/webhook` holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, NoReturn, Protocol

from apikit_sql.errors import ConfigError, WebhookSignatureError
from apikit_sql.secrets import resolve
from apikit_sql.webhook.delivery import Naming

#: One secret or several, each as it is or as a reference: while a secret is rotated, both are good.
Secrets = str | Sequence[str]

TOLERANCE = 300  # seconds; Stripe's and Standard Webhooks' own


class Validator(Protocol):
    """What tells whether a delivery is good, and where such deliveries have their names."""

    @property
    def naming(self) -> Naming:
        """Where a delivery has its id and its event."""

    def validate(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The verdict on a good delivery, `verified`. Raises WebhookSignatureError for any other."""


class StripeWebhookValidator:
    """Deliveries of Stripe: any of the `v1` signatures of `Stripe-Signature`, not older than `tolerance` seconds.

    As with Stripe's own packages, a clock that is behind Stripe's refuses nothing. https://docs.stripe.com/webhooks
    """

    naming: ClassVar[Naming] = Naming("stripe", id_field="id", event_field="type")

    def __init__(
        self, secret: Secrets, tolerance: float = TOLERANCE, *, clock: Callable[[], float] = time.time
    ) -> None:
        """A validator with the `whsec_...` secret of an endpoint. Raises ConfigError where there is none."""
        self._keys = [text.encode() for text in _resolved(secret)]
        self._tolerance = _seconds(tolerance)
        self._clock = clock

    def validate(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The verdict on a good delivery. Raises WebhookSignatureError for any other."""
        items = [item.split("=", 2) for item in _header(headers, "Stripe-Signature").split(",")]
        try:
            moment = int([item[1] for item in items if item[0] == "t"][0])  # noqa: RUF015 - each must have a value
            given = [item[1].encode() for item in items if item[0] == "v1"]
        except (IndexError, ValueError):
            _refuse("Stripe-Signature is malformed")
        expected = [hmac.new(key, b"%d." % moment + body, hashlib.sha256).hexdigest().encode() for key in self._keys]
        verdict = _match(expected, given, "Stripe-Signature")
        if moment < self._clock() - self._tolerance:
            _refuse("the timestamp is too old")
        return verdict


class StandardWebhookValidator:
    """Deliveries as Standard Webhooks and Svix sign them: any `v1` signature, `tolerance` seconds old or ahead at most.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    naming: ClassVar[Naming] = Naming("", id_headers=("svix-id", "webhook-id"), event_field="type")

    def __init__(
        self, secret: Secrets, tolerance: float = TOLERANCE, *, clock: Callable[[], float] = time.time
    ) -> None:
        """A validator with a secret in Base64, with or without `whsec_`. Raises ConfigError for any other."""
        self._keys = [_from_base64(text) for text in _resolved(secret)]
        self._tolerance = _seconds(tolerance)
        self._clock = clock

    def validate(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The verdict on a good delivery. Raises WebhookSignatureError for any other."""
        name, moment = _header(headers, "svix-id", "webhook-id"), self._moment(headers)
        signed = f"{name}.{moment}.".encode(errors="surrogatepass") + body
        expected = [hmac.digest(key, signed, "sha256") for key in self._keys]
        return _match(expected, _signatures(_header(headers, "svix-signature", "webhook-signature")), "the signature")

    def _moment(self, headers: Mapping[str, str]) -> int:
        """The second at which a delivery was signed. Raises WebhookSignatureError where that is not now."""
        text = _header(headers, "svix-timestamp", "webhook-timestamp")
        try:
            moment = float(text)
        except ValueError:
            _refuse("the timestamp is malformed")
        age = self._clock() - moment
        if math.isnan(age) or age > self._tolerance:
            _refuse("the timestamp is too old")
        if age < -self._tolerance:
            _refuse("the timestamp is too far ahead")
        return math.floor(round(moment, 6))


class GenericHmacValidator:
    """Deliveries with the HMAC-SHA256 of their body in a header, in hex or Base64, behind a `prefix`.

    `id_header` and `event_header` are the headers that name a delivery. Without an id each delivery is one of its own.
    """

    def __init__(
        self,
        secret: Secrets,
        header_name: str = "X-Signature",
        prefix: str = "",
        *,
        id_header: str | None = None,
        event_header: str | None = None,
    ) -> None:
        """A validator with a secret text. Raises ConfigError where there is none."""
        if not header_name:
            message = "webhook: header_name is empty; name the header that holds the signature."
            raise ConfigError(message)
        self._keys = [text.encode() for text in _resolved(secret)]
        self._header, self._prefix = header_name, prefix
        self.naming = Naming(
            "",
            id_headers=(id_header.lower(),) if id_header else (),
            event_headers=(event_header.lower(),) if event_header else (),
        )

    def validate(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The verdict on a good delivery. Raises WebhookSignatureError for any other."""
        text = _header(headers, self._header)
        if not text.startswith(self._prefix):
            _refuse(f"{self._header} does not begin with {self._prefix}")
        digests = [hmac.digest(key, body, "sha256") for key in self._keys]
        return _match(digests, [_digest(text.removeprefix(self._prefix))], self._header)


class GitHubWebhookValidator(GenericHmacValidator):
    """Deliveries of GitHub: `X-Hub-Signature-256`; the older `X-Hub-Signature` (SHA-1) is not looked at.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """

    def __init__(self, secret: Secrets) -> None:
        """A validator with the secret of a webhook. Raises ConfigError where there is none."""
        super().__init__(secret, "X-Hub-Signature-256", "sha256=")
        self.naming = Naming(
            "github", id_headers=("x-github-delivery",), event_headers=("x-github-event",), form="payload"
        )


def _resolved(secret: Secrets) -> list[str]:
    """The secrets themselves. Raises ConfigError where one is empty, or its reference leads nowhere."""
    given = [secret] if isinstance(secret, str) else [*secret]
    found = [resolve(text) if isinstance(text, str) else None for text in given]
    for text, value in zip(given, found, strict=True):
        if value is None and isinstance(text, str):
            message = f"webhook: nothing is stored at {text}. Set it, or name another reference."
            raise ConfigError(message)
    secrets = [value for value in found if value is not None and value.strip()]
    if not secrets or len(secrets) < len(given):
        message = "webhook: the secret is empty, and anybody could sign with it. Give the one that the provider shows."
        raise ConfigError(message)
    return secrets


def _from_base64(secret: str) -> bytes:
    try:
        text = secret.removeprefix("whsec_").rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        message = "webhook: a secret of Standard Webhooks is Base64, as in whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw."
        raise ConfigError(message)
    return key


def _seconds(tolerance: float) -> float:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < math.inf:
        message = f"webhook: tolerance is {tolerance!r}, not a number of seconds."
        raise ConfigError(message)
    return tolerance


def _header(headers: Mapping[str, str], *names: str) -> str:
    """The header of the first of these `names` that is there. Raises WebhookSignatureError where none is."""
    wanted = [name.lower() for name in names]
    there = {name.lower(): value for name, value in headers.items() if name.lower() in wanted}
    found = next((there[name] for name in wanted if name in there), "")
    if not found:
        _refuse(f"the header {names[-1]} is missing")
    return found


def _signatures(header: str) -> Iterable[bytes]:
    """The `v1` signatures of a header, one after the other, until one is malformed."""
    for each in header.split(" "):
        version, comma, text = each.partition(",")
        if not comma or "," in text:
            _refuse("the signature is malformed")
        if version == "v1":
            try:
                yield base64.b64decode(text)
            except (binascii.Error, ValueError):
                _refuse("the signature is malformed")


def _digest(text: str) -> bytes:
    """The bytes that `text` writes in hex or Base64, none where it writes none."""
    try:
        return bytes.fromhex(text) if len(text) == 2 * hashlib.sha256().digest_size else base64.b64decode(text)
    except ValueError:
        return b""


def _match(expected: Sequence[bytes], given: Iterable[bytes], where: str) -> str:
    """Which of the secrets has signed, in words. Raises WebhookSignatureError where none has."""
    signed_by = (number for one in given for number, each in enumerate(expected, 1) if hmac.compare_digest(each, one))
    number = next(signed_by, None)
    if number is None:
        _refuse(f"{where} does not match")
    return "verified" if len(expected) == 1 else f"verified by secret {number}"


def _refuse(reason: str) -> NoReturn:
    message = f"webhook: the delivery is refused: {reason}."
    raise WebhookSignatureError(message, reason=reason)
