"""The short form of `python -m tests.reliability.fuzz`: 5,000 cases, always the same; and that a breach is seen."""

import re
import sys
import time

import pytest

from apikit_sql.errors import CallError

if sys.platform == "win32":
    pytest.skip("it has no SIGALRM", allow_module_level=True)

from tests.reliability import fuzz
from tests.reliability.fuzz import Run, TooLongError, shares, targets
from tests.reliability.fuzz_inputs import Dice, Target, Values, written_out

pytestmark = pytest.mark.no_cover

TARGETS = targets()
CASES = 5_000


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@pytest.mark.filterwarnings("ignore::apikit_sql.errors.ApikitWarning")
def test_whatever_is_sent_is_read_or_refused(target: Target) -> None:
    run = Run(target)

    run.shrinking(shares(CASES, TARGETS)[target.name], "short")

    assert run.cases >= shares(CASES, TARGETS)[target.name]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_made_of_no_bytes_is_valid(target: Target) -> None:
    """Else nothing but refusals would be tried."""
    target.ask(target.make(Dice(b"")))


def _read(text: str) -> None:
    if "{" in text:
        raise KeyError(text)
    if "]" in text:
        message = "no lists"
        raise CallError(message)


READER = Target("reader", lambda dice: dice.text(("a", "b")), _read)


@pytest.mark.parametrize("draw", [Run.shrinking, Run.fast])
def test_an_error_that_is_none_of_ours_breaks_the_law_and_is_shown_small(draw: fuzz.Draw) -> None:
    with pytest.raises(KeyError) as caught:
        draw(Run(READER), 3_000, "x")

    (note,) = [each for each in caught.value.__notes__ if each.startswith("reader was asked to read ")]
    assert len(note) < 2_000


def test_the_same_seed_gives_the_same_cases() -> None:
    made: list[list[str]] = [[], [], []]
    for seen, key in zip(made, ("1", "1", "2"), strict=True):
        run = Run(Target("any", lambda dice: dice.text(("abc", "def")), lambda _: None), seen.append)
        run.fast(50, key)

    assert made[0] == made[1] != made[2]


def test_a_hang_is_broken_off_and_its_input_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LONGEST", 0.2)
    endless = Target("endless", lambda dice: "a" * 40 * dice.pick((0, 1)) + "!", re.compile("(a+)+$").match)
    began = time.monotonic()

    with pytest.raises(TooLongError, match=r"endless took more than 0\.2 s for 'aaaa"):
        Run(endless).fast(9, "x")

    assert time.monotonic() - began < 10


def test_what_waits_for_a_busy_processor_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LONGEST", 0.05)
    waiting = Target("waiting", lambda dice: dice.pick((0.0, 0.3)), time.sleep)
    run = Run(waiting)

    run.fast(4, "x")

    assert run.slowest > 0.2
    monkeypatch.setattr(fuzz, "PATIENCE", 0.2)
    with pytest.raises(TooLongError, match="waiting took"):
        run.fast(9, "x")


def test_a_case_that_takes_too_much_memory_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LARGEST_BODY", 2**20)
    greedy = Target("greedy", lambda dice: dice.number(2), lambda _: bytes(b"x" * fuzz._memory()))

    with pytest.raises(AssertionError, match="MB more for"):
        Run(greedy).check(b"")


def test_an_error_without_words_breaks_the_law() -> None:
    def silent(_: object) -> None:
        raise CallError

    with pytest.raises(AssertionError, match="says nothing"):
        Run(Target("silent", lambda _: "", silent)).check(b"")


def test_what_is_nested_deeply_is_written_out() -> None:
    texts = {written_out(Dice(bytes([1, 1, 0, 0, number, 0, 0])).value(Values([1]))) for number in range(60)}

    assert max(map(len, texts)) > 10_000
