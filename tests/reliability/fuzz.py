"""Whatever a stranger sends is read, or refused with an error of ours: nothing else, no hang, no crash.

    python -m tests.reliability.fuzz [CASES] [SEED] [--only TARGET ...] [--from TARGET] [--engine ENGINE]

Each case asks one target of `fuzz_answers.py`, `fuzz_texts.py` or `fuzz_sql.py` to read one input. It must give an
answer or raise what is documented, in two seconds of work, and without taking more memory than the largest body may.

A case is made of a few bytes. The engine `fast` draws them at random; `hypothesis`, which the tests use, is slower and
shrinks better; `atheris` is libFuzzer, which looks for bytes that reach new code of one target. The same seed gives the
same cases: what was broken off goes on with `--from`, and more cases are those of another seed. Each target runs in a
process of its own, whose newest input is known when it crashes or hangs.
"""

import argparse
import importlib
import mmap
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from apikit_sql.engine.body import LARGEST_BODY
from apikit_sql.errors import ApikitError
from tests.reliability.fuzz_inputs import Dice, Target

LONGEST = 2.0  # seconds that one case may work
PATIENCE = 20.0  # seconds that it may take, where others keep the processor busy
SILENCE = 60.0  # seconds without a new case, after which a process is taken for hung
BLOCK = 1_000  # cases that are drawn with one seed
SIZE = 72  # bytes that decide what a case is
_SHOWN = 20_000  # characters of an input that are told


Draw = Callable[["Run", int, str], None]


class TooLongError(BaseException):
    """A case took too long. What catches errors on its way shall not take it for one."""


@dataclass
class Run:
    """The cases of one target so far; `newest` is told each input before it is read."""

    target: Target
    newest: Callable[[str], None] = lambda _: None
    cases: int = 0
    slowest: float = 0.0
    _made: object = None
    _began: tuple[float, float] = (0.0, 0.0)  # by the clock, and of the processor's time

    def shrinking(self, cases: int, key: str) -> None:
        """So many cases of hypothesis, the same for the same `key`. Raises for the least that breaks the law."""

        @seed(_number(self.target.name, key))
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        @given(st.binary(min_size=24, max_size=SIZE))
        def law(data: bytes) -> None:
            self.check(data)

        with self.watched():
            law()

    def fast(self, cases: int, key: str) -> None:
        """So many cases, the same for the same `key`. Raises for one that breaks the law, made small."""
        chance = random.Random(_number(self.target.name, key))
        with self.watched():
            for _ in range(cases):
                data = chance.randbytes(SIZE)
                try:
                    self.check(data)
                except Exception as error:
                    self.check(_least(data, partial(self._breaks, type(error))))
                    raise

    def check(self, data: bytes) -> None:
        """One case. Raises what the target may not raise, TooLongError, AssertionError."""
        self._made = made = self.target.make(Dice(data))
        self.newest(shown(made))
        before, began = _memory(), time.perf_counter()
        self._began = began, time.process_time()
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            self.target.ask(made)
        except self.target.documented as error:
            _check_words(error)
        except Exception as error:
            error.add_note(f"{self.target.name} was asked to read {shown(made)}")
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        grown = _memory() - before
        assert grown < LARGEST_BODY, f"{grown >> 20} MB more for {shown(made)}"
        self.cases += 1

    def _breaks(self, kind: type[Exception], data: bytes) -> bool:
        try:
            self.check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return type(error) is kind
        return False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While inside, a case that takes too long raises TooLongError: also one within a regular expression."""

        def ring(*_: object) -> None:
            began, worked = self._began
            if time.process_time() - worked < LONGEST and time.perf_counter() - began < PATIENCE:
                signal.setitimer(signal.ITIMER_REAL, LONGEST)  # the machine is busy
                return
            message = f"{self.target.name} took more than {LONGEST} s for {shown(self._made)}"
            raise TooLongError(message)

        self.target.ask(self.target.make(Dice(b"")))  # what is made for all cases is no part of the first one
        known = signal.signal(signal.SIGALRM, ring)
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, known)


def shown(made: object) -> str:
    """An input as whoever mends it can paste it."""
    return repr(made)[:_SHOWN]


def targets() -> tuple[Target, ...]:
    """All of them."""
    from tests.reliability import fuzz_answers, fuzz_sql, fuzz_texts

    return (*fuzz_answers.TARGETS, *fuzz_texts.TARGETS, *fuzz_sql.TARGETS)


def shares(cases: int, some: Sequence[Target]) -> dict[str, int]:
    """How many of the cases each target gets, by name."""
    whole = sum(each.share for each in some)
    return {each.name: max(1, cases * each.share // whole) for each in some}


def _check_words(error: BaseException) -> None:
    """An error of ours has a first line that says something."""
    if isinstance(error, ApikitError):
        assert str(error).partition("\n")[0].strip(), f"{error!r} says nothing"


def _memory() -> int:
    """The most bytes that the process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _number(*words: str) -> int:
    return zlib.crc32(" ".join(words).encode())


def _least(data: bytes, breaks: Callable[[bytes], bool]) -> bytes:
    """The fewest of the bytes, as many of them zero as can be, that still break the law."""
    data = next((data[:size] for size in range(len(data)) if breaks(data[:size])), data)
    for at in range(len(data)):
        zeroed = data[:at] + b"\0" + data[at + 1 :]
        data = zeroed if data[at] and breaks(zeroed) else data
    return data


def _work(name: str, cases: int, key: str, engine: str, file: Path) -> int:
    """The process of one target: 0 where the law holds."""
    run = Run(_target(name))
    draw = run.shrinking if engine == "hypothesis" else run.fast
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as newest:

        def tell(text: str) -> None:
            data = text.encode(errors="backslashreplace")[: len(newest) - 1] + b"\0"
            newest[: len(data)] = data

        run.newest = tell
        began = time.monotonic()
        try:
            for number, done in enumerate(range(0, cases, BLOCK)):
                draw(min(BLOCK, cases - done), f"{key} {number}")
        finally:
            rate = run.cases / (time.monotonic() - began)
            _say(f"{name:<16}{run.cases:>9,} cases {rate:>7,.0f}/s, the slowest {run.slowest * 1000:,.0f} ms")
    return 0


def _watch(name: str, cases: int, key: str, engine: str) -> bool:
    """Whether the law holds for the target, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "newest"
        file.write_bytes(bytes(_SHOWN * 4))
        command = [sys.executable, "-m", "tests.reliability.fuzz", "--work", name, str(cases), key, engine, str(file)]
        with subprocess.Popen(command) as process:
            newest, since = b"", time.monotonic()
            while process.poll() is None:
                time.sleep(0.2)
                if (seen := file.read_bytes()) != newest:
                    newest, since = seen, time.monotonic()
                elif time.monotonic() - since > SILENCE:
                    process.kill()
        if process.returncode < 0:
            told = newest.partition(b"\0")[0].decode(errors="replace")
            _say(f"{name}: ended by signal {-process.returncode} while it was asked to read {told}")
        return process.returncode == 0


def _follow(name: str, cases: int) -> NoReturn:
    """libFuzzer, which looks for new code in what the target calls; it ends the process."""
    atheris = importlib.import_module("atheris")  # for those who have it
    with atheris.instrument_imports(include=["apikit_sql"]):
        run = Run(_target(name))
    options = [f"-runs={cases}", f"-max_len={SIZE}", "-timeout=10", f"-artifact_prefix={tempfile.gettempdir()}/"]
    atheris.Setup([sys.argv[0], *options], run.check)
    with run.watched():
        atheris.Fuzz()
    raise AssertionError


def _target(name: str) -> Target:
    return next(each for each in targets() if each.name == name)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


def main() -> int:
    if sys.argv[1:2] == ["--work"]:
        name, cases, key, engine, file = sys.argv[2:]
        return _work(name, int(cases), key, engine, Path(file))
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.fuzz")
    parser.add_argument("cases", nargs="?", type=int, default=1_000_000)
    parser.add_argument("seed", nargs="?", default="1")
    parser.add_argument("--only", nargs="+", metavar="TARGET", help="these targets alone")
    parser.add_argument("--from", dest="first", metavar="TARGET", help="go on with this target")
    parser.add_argument("--engine", choices=["fast", "hypothesis", "atheris"], default="fast")
    options = parser.parse_args()
    if options.engine == "atheris":
        (name,) = options.only or parser.error("libFuzzer follows one target: --only TARGET")
        _follow(name, options.cases)
    parts = shares(options.cases, [each for each in targets() if options.only is None or each.name in options.only])
    names = list(parts)[list(parts).index(options.first) if options.first else 0 :]
    began = time.monotonic()
    broken = [name for name in names if not _watch(name, parts[name], options.seed, options.engine)]
    done, took = sum(parts[name] for name in names), time.monotonic() - began
    told = f"{done:,} cases of {len(names)} targets in {took:,.0f} s, {done / took:,.0f}/s"
    _say(f"{told}; broken: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
