"""What callers share who send requests to an API: its limit, their tokens, answers, and who watches them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from apikit_sql.engine import request_log
from apikit_sql.engine.access import Access, SharedLimit
from apikit_sql.engine.anomaly import AnomalyDetector, Detector, RequestEvent
from apikit_sql.engine.auth import ANONYMOUS, authenticator
from apikit_sql.engine.cache import ResponseCache
from apikit_sql.engine.oauth2 import Grant
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.replay import straight, tape_of
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.retry import RetryBudget
from apikit_sql.engine.scan_log import ScanRecord
from apikit_sql.engine.tokens import Tokens
from apikit_sql.origin import origin_of, origin_text
from apikit_sql.plan.request_plan import RequestPlan
from apikit_sql.redaction import header_secrets, redact

_RING = 1_000
_MOST_SECRETS = 200  # masked in every text; redaction keeps the patterns of few more


class Sharing:
    """What the callers of one session share. Safe to share between threads.

    `requests` are the newest that were sent; `cache` holds answers; `tape` is None unless answers are recorded.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        http: str,
        detector: Detector | None,
        on_request: Callable[[RequestRecord], None] | None,
        tell: Callable[[str], None] | None,
    ) -> None:
        """Nothing shared yet; the arguments are those of a Session. Raises ConfigError for an `http` that is none."""
        self.requests: deque[RequestRecord] = deque(maxlen=_RING)
        self.cache = ResponseCache(clock)
        self.tape = tape_of(http, self.redacted)
        self._clock = clock
        self._detector = AnomalyDetector() if detector is None else detector
        self._on_request = on_request
        self._tell = _to_stderr if tell is None else tell
        self._lock = threading.Lock()
        self._limits: dict[object, SharedLimit] = {}
        self._tokens: dict[tuple[object, Grant], Tokens] = {}
        self._secrets: dict[str, None] = {}  # the newest last

    def limits(self) -> list[SharedLimit]:
        """What callers share of each API and credential."""
        with self._lock:
            return list(self._limits.values())

    def redacted(self, text: str) -> str:
        """`text` without the secrets that were used lately. Those of a scan under way are masked by itself, too."""
        with self._lock:
            secrets = {*self._secrets, *(each for tokens in self._tokens.values() for each in tokens.secrets)}
        return redact(text, secrets)

    def access(self, plan: RequestPlan, scan: ScanRecord) -> Access:
        """What the requests of `plan` are sent with. Raises ConfigError where a credential is not there."""
        key = (plan.connector, origin_of(plan.base_url), plan.auth)
        sends = self.tape is None or self.tape.sends
        credential = authenticator(plan.connector, plan.auth, partial(self._tokens_of, key)) if sends else ANONYMOUS
        credential = replace(credential, others=header_secrets(plan.headers))
        with self._lock:
            self._remember(credential.values + credential.others)
            fresh = SharedLimit(
                plan.connector,
                origin_text(plan.base_url),
                credential.name,
                RateLimitState(plan.rate_limit, self._clock),
                RetryBudget(),
            )
            shared = self._limits.setdefault(key, fresh) if sends else fresh
        most = plan.rate_limit.warn_above
        seen = partial(RequestEvent, connector=plan.connector, credential=credential.mark, threshold=most)
        sender = straight if self.tape is None else self.tape.answer
        record = partial(self._record, seen)
        cache = self.cache if self.tape is None else None  # which has, and is to have, every answer
        return Access(credential, shared.limiter, record, self._clock, scan, shared.budget, sender, cache, self._tell)

    def _remember(self, secrets: tuple[str, ...]) -> None:
        """Mask `secrets` from now on, and no longer those that were used the longest ago: each takes its time."""
        for secret in secrets:
            self._secrets.pop(secret, None)
            self._secrets[secret] = None
        while len(self._secrets) > _MOST_SECRETS:
            del self._secrets[next(iter(self._secrets))]

    def _tokens_of(self, key: object, grant: Grant) -> Tokens:
        """The tokens that all share who have this grant, whatever has become of its refresh token since."""
        with self._lock:
            return self._tokens.setdefault((key, replace(grant, refresh_token=None)), Tokens(grant, self._clock))

    def _record(self, seen: Callable[[float], RequestEvent], record: RequestRecord) -> None:
        self.requests.append(record)
        request_log.log(record)
        if self.tape is None or self.tape.sends:
            with _watching():
                self._detector.record_event(seen(record.at))
        if self._on_request is not None:
            with _watching():
                self._on_request(record)


@contextmanager
def _watching() -> Iterator[None]:
    """While inside, what is raised is logged: whoever watches a scan shall not end it."""
    try:
        yield
    except Exception:  # noqa: BLE001 - a stranger's code
        request_log.LOGGER.warning("what watches requests has failed", exc_info=True)


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"apikit: {text}\n")
