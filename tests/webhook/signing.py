"""Deliveries signed as their providers sign them, by the standard library alone."""

import base64
import hashlib
import hmac
import time

import httpx

Headers = dict[str, str]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def stripe(body: bytes, secret: str = SECRET, moment: int | None = None) -> Headers:
    at = int(time.time()) if moment is None else moment
    return {"stripe-signature": f"t={at},v1={hexadecimal(f'{at}.'.encode() + body, secret)}"}


def github(body: bytes, name: str, event: str, secret: str = SECRET) -> Headers:
    signature = f"sha256={hexadecimal(body, secret)}"
    return {"x-hub-signature-256": signature, "x-github-delivery": name, "x-github-event": event}


def standard(body: bytes, name: str, moment: int | None = None, key: bytes = KEY, prefix: str = "webhook") -> Headers:
    at = int(time.time()) if moment is None else moment
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {f"{prefix}-id": name, f"{prefix}-timestamp": str(at), f"{prefix}-signature": signature}


def hexadecimal(signed: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


_CLIENT = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def deliver(address: str, body: bytes, headers: Headers) -> httpx.Response:
    """What is answered to a delivery, on a connection of its own."""
    return _CLIENT.post(address, content=body, headers=headers)
