"""What a scan sends its requests with: a credential, the limits it shares, and where all is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from apikit_sql.engine.auth import Credential
from apikit_sql.engine.cache import ResponseCache
from apikit_sql.engine.rate_limit import RateLimitState
from apikit_sql.engine.replay import Sender, straight
from apikit_sql.engine.request_log import RequestRecord
from apikit_sql.engine.retry import RetryBudget
from apikit_sql.engine.scan_log import ScanRecord


@dataclass(frozen=True)
class SharedLimit:
    """What all share who send requests to one API with one credential; `credential` is its name."""

    connector: str
    origin: str
    credential: str
    limiter: RateLimitState
    budget: RetryBudget


@dataclass(frozen=True)
class Access:
    """What a scan needs beside its plans: its credential, the limit it shares, and where all is recorded."""

    credential: Credential
    limiter: RateLimitState
    record: Callable[[RequestRecord], None]
    clock: Callable[[], float] = time.time
    scan: ScanRecord = field(default_factory=ScanRecord)
    budget: RetryBudget = field(default_factory=RetryBudget)
    sender: Sender = straight
    cache: ResponseCache | None = None
    tell: Callable[[str], None] = field(default=lambda _: None)  # one line for the user
