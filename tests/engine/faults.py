"""Schedules of faults, each made from a seed, and what must come of them: a model that knows nothing of the engine."""

import random
from dataclasses import dataclass, field
from typing import Literal

Strategy = Literal["link", "page", "offset", "cursor", "next_url"]
Auth = Literal["none", "bearer", "oauth2"]

#: No answer: before the request was sent or after, too late, cut off, and compressed data that stops in the middle.
NO_ANSWER = ["connect", "reset", "timeout", "cut", "cut gzip"]
#: Answers that are tried again.
PASSING = ["429", "500", "502", "503", "504"]
#: Answers that end the scan, and the errors that they may end it with.
FATAL = {
    "401": ["AuthError"],
    "403": ["RequestError"],
    "404": ["RequestError"],  # past the first page of a strategy that numbers them, it is the end, and comes too early
    "418": ["RequestError"],
    "html": ["DecodeError"],
    "cut json": ["DecodeError"],
    "other gzip": ["DecodeError"],  # what says so and is not
    "elsewhere": ["OriginError"],  # a redirect to another host
    "empty": ["DecodeError"],
    "repeat": ["PaginationError"],
}
WELL = ""  # no error
NUMBERED = {"page", "offset"}
MAX_WAIT = 60  # seconds; who is to wait longer is told so at once
BUDGET = 60  # retries for which the engine's budget suffices


@dataclass(frozen=True)
class Fault:
    """What one request meets. `asked` are the seconds of its Retry-After, None where it has none."""

    kind: str
    asked: float | None = None
    as_date: bool = False
    seconds: float = 0  # that a slow answer takes

    def __str__(self) -> str:
        asked = "" if self.asked is None else f" after {self.asked:g}{' (date)' * self.as_date}"
        return self.kind + asked + (f" {self.seconds:g} s" if self.seconds else "")

    @property
    def passes(self) -> bool:
        return self.kind in NO_ANSWER or self.kind in PASSING


@dataclass(frozen=True)
class Schedule:
    """One table and how it is read. `faults` come one a request, by page from 1; `token_faults` one a token request.

    `concurrency` is None where pages are read one by one, by the driver that `is_async` tells.
    """

    seed: int
    strategy: Strategy
    pages: int
    size: int
    last: int  # records of the last page
    says_last: bool
    is_compressed: bool
    auth: Auth
    token_life: int  # seconds
    max_attempts: int
    concurrency: int | None
    is_async: bool
    faults: dict[int, list[Fault]] = field(default_factory=dict)
    token_faults: list[Fault | None] = field(default_factory=list)

    @property
    def rows(self) -> list[int]:
        return list(range(1, (self.pages - 1) * self.size + self.last + 1))

    def page(self, number: int) -> list[int]:
        return self.rows[(number - 1) * self.size : number * self.size]

    def __str__(self) -> str:
        read = f"window of {self.concurrency}" if self.concurrency else "async" if self.is_async else "sync"
        faults = "; ".join(f"{page}: {', '.join(map(str, found))}" for page, found in self.faults.items())
        tokens = ", ".join(str(fault or "given") for fault in self.token_faults)
        return (
            f"  seed {self.seed}: {self.pages} pages of {self.size}, the last of {self.last}, {self.strategy}"
            f"{' with last' * self.says_last}{', gzip' * self.is_compressed}; {read}; {self.max_attempts} attempts; "
            f"{self.auth}{f' for {self.token_life} s' * (self.auth == 'oauth2')}"
            f"\n  faults by page: {faults or 'none'}\n  faults of the token endpoint: {tokens or 'none'}"
        )


def schedule(seed: int) -> Schedule:
    return drawn(random.Random(seed), seed)


def happens(chance: random.Random, probability: float) -> bool:
    return chance.random() < probability


def drawn(chance: random.Random, seed: int = 0, *, longest: int = 50, in_window: bool | None = None) -> Schedule:
    """A schedule of at most `longest` pages, all of whose choices come from `chance`."""
    size = chance.choice([1, 2, 3, 5])
    in_window = happens(chance, 0.7) if in_window is None else in_window
    concurrency = chance.randint(1, 8) if in_window else None
    auth: Auth = chance.choice(["none", "bearer", "oauth2", "oauth2"])
    pages = chance.choice([1, 2, 3, chance.randint(1, longest // 3), chance.randint(1, longest)])
    max_attempts = chance.choice([1, 2, 3, 3, 4, 5])
    is_quick = concurrency is not None
    odds = chance.choice([0.02, 0.1, 0.3])
    fatal = chance.choice([0, 0, 0.02 + 0.4 / pages])
    faults = {number: met(chance, max_attempts, odds, auth, is_quick=is_quick) for number in range(1, pages + 1)}
    for number, found in faults.items():
        if happens(chance, fatal):
            kinds = [kind for kind in FATAL if (kind != "401" or auth != "oauth2") and (number > 1 or kind != "repeat")]
            found.append(Fault(chance.choice(kinds)))
    return Schedule(
        seed=seed,
        strategy=chance.choice(["link", "page", "offset", "cursor", "next_url"]),
        pages=pages,
        size=size,
        last=chance.randint(1, size),
        says_last=happens(chance, 0.5),
        is_compressed=happens(chance, 0.3),
        auth=auth,
        token_life=chance.choice([20, 100, 400, 4000]),
        max_attempts=max_attempts,
        concurrency=concurrency,
        is_async=happens(chance, 0.5),
        faults={number: found for number, found in faults.items() if found},
        token_faults=token_faults(chance, max_attempts, is_quick=is_quick) if auth == "oauth2" else [],
    )


def met(chance: random.Random, max_attempts: int, odds: float, auth: Auth, *, is_quick: bool) -> list[Fault]:
    """What the requests for one page meet before its answer comes."""
    found: list[Fault] = []
    while happens(chance, odds) and len(found) < max_attempts + 2:
        if len(found) == max_attempts - 1 and happens(chance, 0.8):  # one more would be one too many
            break
        found.append(passing(chance, is_quick=is_quick, longest=3600 if happens(chance, 0.02) else MAX_WAIT / 2))
    if auth == "oauth2" and happens(chance, odds / 2):
        found.insert(chance.randint(0, len(found)), Fault("401"))
    if happens(chance, odds / 2):
        found.append(slow(chance, is_quick=is_quick))
    return found


def passing(chance: random.Random, *, is_quick: bool, longest: float) -> Fault:
    kind = chance.choice([chance.choice(NO_ANSWER), chance.choice(PASSING)])
    if kind not in {"429", "503"} or happens(chance, 0.4):
        return Fault(kind)
    if longest > MAX_WAIT:
        return Fault(kind, longest, as_date=happens(chance, 0.5))
    if is_quick:
        return Fault(kind, *chance.choice([(0.0, False), (0.003, False), (0.0, True)]))
    return Fault(kind, float(chance.choice([0, 1, 7, longest])), as_date=happens(chance, 0.5))


def slow(chance: random.Random, *, is_quick: bool) -> Fault:
    return Fault("slow", seconds=0.001 * chance.randint(1, 4) if is_quick else chance.choice([0.2, 3, 19]))


def token_faults(chance: random.Random, max_attempts: int, *, is_quick: bool) -> list[Fault | None]:
    """Fewer than are too many, again and again, each time before a token is given: None."""
    found: list[Fault | None] = []
    odds = chance.choice([0, 0.2, 0.5])
    for _ in range(10):
        many = sum(happens(chance, odds) for _ in range(max_attempts - 1))
        found += [*(passing(chance, is_quick=is_quick, longest=MAX_WAIT / 2) for _ in range(many)), None]
    return found


# --- what must come of it --------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """How a schedule may end: `kinds` are the classes of errors that it explains, after `safe_pages` at least."""

    must_end_well: bool = True
    may_end_well: bool = True
    safe_pages: int = 0
    kinds: set[str] = field(default_factory=set)


def judge(plan: Schedule) -> Verdict:
    verdict = Verdict(safe_pages=plan.pages)
    for number in range(1, plan.pages + 1):
        ends = ends_of(plan, number, tuple(plan.faults.get(number, [])))
        if ends == {WELL}:
            continue
        verdict.must_end_well = False
        verdict.kinds |= ends - {WELL}
        verdict.safe_pages = min(verdict.safe_pages, number - 1)
        verdict.may_end_well &= WELL in ends
        if WELL not in ends and plan.concurrency is None:
            break  # nothing after it is asked for
    spent = [fault for faults in plan.faults.values() for fault in faults if fault.passes and fault.kind != "429"]
    if len(spent) + sum(fault is not None for fault in plan.token_faults) > BUDGET:
        verdict.must_end_well, verdict.safe_pages = False, 0
        verdict.kinds.add("RequestError")
    revoked = sum(fault.kind == "401" for faults in plan.faults.values() for fault in faults)
    if plan.concurrency is not None and plan.auth == "oauth2" and revoked > 1:
        verdict.must_end_well, verdict.safe_pages = False, 0  # one that meets another's revocation and then its own
        verdict.kinds.add("AuthError")
    if plan.concurrency is not None and "RateLimitError" in verdict.kinds:
        verdict.safe_pages = 0  # who is told to wait for too long tells all others
    return verdict


def ends_of(plan: Schedule, number: int, faults: tuple[Fault, ...], attempt: int = 1) -> set[str]:
    """The classes of errors that a page may end with, and WELL where its answer may come.

    The engine may forgive a 429 where others get through meanwhile: then it is no attempt that failed.
    """
    fault, *rest = faults or (Fault("slow"),)
    if fault.kind == "401" and plan.auth == "oauth2":  # the token is renewed, and the request sent again
        fault, *rest = rest or (Fault("slow"),)
        if fault.kind == "401":
            return {"AuthError"}
    if fault.kind == "slow":
        return {WELL}
    if not fault.passes:
        return set(too_early(plan, number) if fault.kind == "404" else FATAL[fault.kind])
    kind = "RateLimitError" if fault.kind == "429" else "RequestError"
    found: set[str] = set()
    for attempts in {attempt, 1} if fault.kind == "429" else {attempt}:
        if attempts >= plan.max_attempts:
            found.add(kind)
        elif fault.asked is not None and fault.asked > MAX_WAIT:
            found.add("RateLimitError")
        else:
            found |= ends_of(plan, number, tuple(rest), attempts + 1)
    return found


def too_early(plan: Schedule, number: int) -> list[str]:
    """What a 404 for a page that is there ends with."""
    return ["PaginationError"] if plan.strategy in NUMBERED and number > 1 else FATAL["404"]
