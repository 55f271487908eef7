"""OAuth 2.0 access tokens: asked for when first wanted, renewed before they expire, by one caller at a time.

A token is asked for by the same steps as a page, so threads and tasks share it alike: one asks, the others wait.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

import httpx

from apikit_sql.engine.oauth2 import Grant, Token, read_token, secrets_of, token_request
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.request_log import LOGGER
from apikit_sql.engine.retry import asked_wait, is_limited
from apikit_sql.engine.steps import Sleep, Steps, called
from apikit_sql.errors import AuthError, ConfigError, RateLimitError, RequestError
from apikit_sql.redaction import redact
from apikit_sql.secrets import keep, kept

_AHEAD = 30.0  # seconds before its end that a token is renewed
_SHORT_LIVED = 300.0  # seconds; such a token is renewed when a tenth of its life is left
_LOOK_AGAIN = 0.05  # seconds that one waits for another who asks
_REFUSED_FOR = 60.0  # seconds that a refused credential is not tried again
_LEAVE_ALONE = 5.0  # seconds after a renewal ahead has failed until the next one
_REMEMBERED = 8  # tokens that no text may show
_OWN_ERRORS = 500  # from here on the server itself has failed
_REFUSALS = frozenset({400, 401})  # RFC 6749, section 5.2
#: What to do about an error of RFC 6749, section 5.2.
_REMEDIES = {
    "invalid_client": "Check client_id, client_secret and client_auth.",
    "invalid_grant": "The refresh token is no longer good: get a new one.",
    "unauthorized_client": "This client may not get tokens this way: check it with the API.",
    "invalid_scope": "Check scopes.",
}

#: Sends a request, with its retries, and brings the last answer.
Ask = Callable[[httpx.Request], Steps[httpx.Response]]


class Tokens:
    """The newest token of one grant, shared by all who use it. The lock is held for arithmetic only, never for I/O."""

    def __init__(self, grant: Grant, clock: Callable[[], float] = time.time) -> None:
        """No token yet; the first to want one asks for it."""
        self._grant = grant
        self._clock = clock
        self.limiter = RateLimitState(clock=clock)
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = math.inf
        self._refresh_token = grant.refresh_token
        self._is_asking = self._has_looked = False
        self._failure: RequestError | None = None
        self._failed_at = -math.inf
        self._failures = 0
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens that were seen lately, which no text may show."""
        with self._lock:
            return tuple(self._seen)

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells this grant from others, whatever has become of its refresh token."""
        grant = self._grant
        return grant.token_url, grant.client_id, grant.client_secret, grant.scopes, grant.audience, grant.kept_as

    def access_token(self, ask: Ask, refused: str = "") -> Steps[str]:
        """A token that is not `refused`, asked for where none is there.

        Raises AuthError with the server's own code where the credential is refused, and remembers that for a minute;
        RequestError where the server does not answer.
        """
        failures = self._failures
        while (found := self._take(refused, failures)) is None:
            yield Sleep(_LOOK_AGAIN)
        if isinstance(found, str):
            return found
        try:
            token = yield from self._asked(ask)
        except RequestError as error:
            error.is_everywhere = True
            if not isinstance(error, RateLimitError):  # another may be more patient
                self._note_failure(error)
            return self._still_good(refused, error)
        finally:
            with self._lock:
                self._is_asking = False
        return token.access_token

    def _take(self, refused: str, failures: int) -> str | Literal[True] | None:
        """The token to use; True where the caller is to ask for one; None where another is asking already.

        Who waits for one who fails, fails as well: there were `failures` when the waiting began.
        """
        with self._lock:
            now, token = self._clock(), self._token
            ago = now - self._failed_at
            was_refused = isinstance(self._failure, AuthError) and ago < _REFUSED_FOR
            if token is not None and token.access_token != refused and now < _end_of(token):
                if now < self._renew_at or self._is_asking or was_refused or ago < _LEAVE_ALONE:
                    return token.access_token
            elif self._failure is not None and (was_refused or self._failures > failures):
                raise _again(self._failure)
            if self._is_asking:
                return None
            self._is_asking = True
            return True

    def _still_good(self, refused: str, error: RequestError) -> str:
        """The old token, where it is only to be renewed. Raises `error` otherwise."""
        with self._lock:
            token = self._token
            if token is None or token.access_token == refused or self._clock() >= _end_of(token):
                raise error
        LOGGER.warning(
            "%s: the token could not be renewed and is used until it expires: %s", self._grant.connector, error
        )
        return token.access_token

    def _note_failure(self, error: RequestError) -> None:
        with self._lock:
            self._failure, self._failed_at = error, self._clock()
            self._failures += 1

    def _asked(self, ask: Ask) -> Steps[Token]:
        """A new token."""
        yield from self._look_for_rotated()
        sent = self._refresh_token
        try:
            token = yield from self._granted(ask, sent)
        except AuthError as error:
            if error.code != "invalid_grant" or sent is None:
                raise
            rotated = yield from called(partial(kept, self._grant.kept_as))
            if rotated is None or rotated == sent:
                raise
            self._refresh_token = rotated  # another process has renewed it
            token = yield from self._granted(ask, rotated)
        now = self._clock()
        life = _end_of(token) - now
        with self._lock:
            self._token, self._failure = token, None
            self._renew_at = now + life - (_AHEAD if life >= _SHORT_LIVED else life / 10)
            self._remember(token.access_token, token.refresh_token)
        return token

    def _granted(self, ask: Ask, refresh_token: str | None) -> Steps[Token]:
        with self._lock:
            self._remember(refresh_token)
        response = yield from ask(token_request(self._grant, refresh_token))
        what = f"{self._grant.connector}: POST {self._grant.token_url}"
        status, url = response.status_code, self._grant.token_url
        if is_limited(response):
            message = f"{what} answered {status}: its limit is used up."
            raise RateLimitError(message, status=status, url=url, retry_after=asked_wait(response, self._clock))
        if not response.is_success and status not in _REFUSALS:
            message = f"{what} answered {status}, not with a token." + " Check auth.token_url." * (status < _OWN_ERRORS)
            raise RequestError(message, status=status, url=url)
        try:
            token = read_token(response, self._clock(), self._redacted)
        except AuthError as error:
            message = f"{what} answered {error}. {_REMEDIES.get(error.code, '')}".strip()
            raise AuthError(message, status=status, url=url, code=error.code) from None
        if refresh_token is not None and token.refresh_token not in {None, refresh_token}:
            yield from self._keep_rotated(token.refresh_token)
        return token

    def _redacted(self, text: str) -> str:
        """`text` of a server, which may repeat what it was sent."""
        return redact(text, (*secrets_of(self._grant), *self.secrets))

    def _look_for_rotated(self) -> Steps[None]:
        """Look for the refresh token that has taken the given one's place in an earlier process."""
        if self._refresh_token is not None and not self._has_looked:
            self._has_looked = True
            self._refresh_token = (yield from called(partial(kept, self._grant.kept_as))) or self._refresh_token

    def _keep_rotated(self, refresh_token: str) -> Steps[None]:
        """Keep it before anything else is done: the one before it is worth nothing now."""
        self._refresh_token = refresh_token
        try:
            yield from called(partial(keep, self._grant.kept_as, refresh_token), must_finish=True)
        except ConfigError as error:
            LOGGER.warning(
                "%s: the server has replaced the refresh token, and there is no keyring to keep the new one: the next "
                "process needs another. Install a keyring, or use client credentials. (%s)",
                self._grant.connector,
                error,
            )

    def _remember(self, *tokens: str | None) -> None:
        self._seen.extend(token for token in tokens if token is not None and token not in self._seen)


def _end_of(token: Token) -> float:
    return math.inf if token.expires_at is None else token.expires_at


def _again(error: RequestError) -> RequestError:
    """The same error for another caller, who has frames of his own."""
    return copy.copy(error).with_traceback(None)
